/*
 * JIDs: addresses, prepared so that equal addresses are equal bytes.
 *
 * RFC 7622: local part by PRECIS UsernameCaseMapped, resource by OpaqueString
 * (RFC 8264, 8265), domain by IDNA2008 (UTS 46) or an IP literal.  ASCII takes
 * a table; the rest goes through ICU.
 */
#ifndef XMPP_JID_H
#define XMPP_JID_H

#include "base/arena.h"

enum { JID_PART_MOST = 1023, JID_MOST = 3 * JID_PART_MOST + 2 }; // bytes

struct jid {
    struct str local, domain, resource; // local and resource may be empty
    struct str full;                    // "local@domain/resource" in one piece
};

/* Reads a JID and prepares it; its text lives in arena (JID_MOST bytes at most).
 * ERR_MALFORMED if it is none, ERR_LIMIT if a part is too long; *out is then untouched. */
enum err jid_parse(struct arena *arena, struct str text, struct jid *out) MUST_CHECK;

/* From parts that are not prepared yet; local and resource may be empty. */
enum err jid_make(struct arena *arena, struct str local, struct str domain, struct str resource,
                  struct jid *out) MUST_CHECK;

/* Cuts a text that jid_parse has prepared before (from the store): no copy, no checks. */
struct jid jid_of_prepared(struct str full);

/* "local@domain", a prefix of full: no allocation. */
static inline struct str jid_bare(const struct jid *jid)
{
    return str_first(jid->full, jid->domain.len + (jid->local.len > 0 ? jid->local.len + 1 : 0));
}

/* The same as a JID; shares jid's text. */
struct jid jid_bare_of(const struct jid *jid);

static inline bool jid_is_bare(const struct jid *jid)
{
    return jid->resource.len == 0;
}

static inline bool jid_eq(const struct jid *a, const struct jid *b)
{
    return str_eq(a->full, b->full);
}

static inline bool jid_eq_bare(const struct jid *a, const struct jid *b)
{
    return str_eq(jid_bare(a), jid_bare(b));
}

/* A copy whose text lives in arena. */
struct jid jid_copy(struct arena *arena, const struct jid *jid);
/* bare (prepared, without resource) with a resource that jid_prepare_resource has prepared. */
struct jid jid_with_resource(struct arena *arena, const struct jid *bare, struct str resource);

/* The parts alone, prepared; ERR_MALFORMED, or ERR_LIMIT beyond 1,023 bytes. */
enum err jid_prepare_local(struct arena *arena, struct str text, struct str *out) MUST_CHECK;
enum err jid_prepare_domain(struct arena *arena, struct str text, struct str *out) MUST_CHECK;
enum err jid_prepare_resource(struct arena *arena, struct str text, struct str *out) MUST_CHECK;

/* A prepared domain as DNS, certificates and SNI have it: with A-labels.  ERR_MALFORMED where it
 * has no such form. */
enum err jid_domain_ascii(struct arena *arena, struct str domain, struct str *out) MUST_CHECK;

/* Whether a new account may have this local part: servers and clients that still use stringprep
 * (RFC 6122) must read it as the same account as we do ("straße" is "strasse" to them).
 * ERR_DENIED where they disagree, ERR_MALFORMED where PRECIS refuses it. */
enum err jid_is_safe_new_localpart(struct str text) MUST_CHECK;

#endif
