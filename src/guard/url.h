/*
 * URLs as browsers read them (WHATWG URL standard), for the guard's keys.
 *
 * Not a general library: there is no base URL, and the result is the form in
 * which two links that open the same thing are the same text.  A browser goes
 * to evil.com for https://evil.com\@good.com/; so do we.
 */
#ifndef GUARD_URL_H
#define GUARD_URL_H

#include "guard/lure.h"

enum { URL_MOST = 4096 };

struct url {
    struct str scheme; // lower case, without the colon
    struct str host;   // canonical ASCII: name, dotted IPv4, [IPv6]; empty for opaque schemes
    struct str port;   // empty: the scheme's own
    struct str path;   // normal form; for opaque schemes all the rest
    struct str query;  // normal form without '?'
    struct str fragment;
    bool userinfo;   // there was one; it is dropped
    bool ip;         // host is an address literal
    bool idn;        // host was written outside ASCII, or holds xn--
    bool hierarchic; // has the form //host/path; the host may be empty (file:///x)
};

/* Reads one URL, of which the parts may be slices, with its scheme (leading and trailing blanks and
 * all tabs and newlines are ignored, as browsers do).  ERR_MALFORMED where a browser would refuse;
 * ERR_LIMIT beyond URL_MOST bytes. */
enum err url_parse(const struct lure_rules *rules, struct arena *arena, struct str text,
                   struct url *out) MUST_CHECK;

/* The canonical form, without userinfo. */
struct str url_format(struct arena *arena, const struct url *url);

/* A host as the part between // and / of a URL: percent-decoding, UTS-46, IPv4 in odd spellings,
 * IPv6.  ERR_MALFORMED where a browser would refuse. */
enum err url_host(const struct lure_rules *rules, struct arena *arena, struct str text,
                  struct str *out, bool *is_ip) MUST_CHECK;

/* The registrable domain of a canonical host; the host itself for addresses and names without
 * one. */
struct str url_domain(const struct lure_rules *rules, struct str host);

/* Whether the last label of a canonical host is a real public suffix (no wildcard default), or one
 * reserved for private use (example, test, local, internal, lan, home, corp, onion, localhost). */
bool url_has_suffix(const struct lure_rules *rules, struct str host);
/* Whether that may be of a host whose last label is written so, in lower case.  False: of none. */
bool url_may_have_suffix(const struct lure_rules *rules, struct arena *arena, struct str label);

#endif
