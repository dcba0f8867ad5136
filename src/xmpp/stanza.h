/*
 * A stanza: parsed once, immutable once shared, counted, with its arena.
 *
 * The worker that makes a stanza may still change it; from stanza_seal() on
 * nobody may, and any thread may hold a reference.  The children are
 * serialized once, at sealing, and shared by all recipients: only the start
 * tag and what the server adds (stanza-id, delay) differ.
 * Spec: RFC 6120 section 8.
 */
#ifndef XMPP_STANZA_H
#define XMPP_STANZA_H

#include "base/arena.h"
#include "base/buf.h"
#include "xml/element.h"
#include "xmpp/jid.h"
#include "xmpp/stanza_error.h"

#include <stdatomic.h>
#include <stdbool.h>

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ };

enum stanza_type {
    TYPE_UNKNOWN, // a value that the specification does not know
    // message: RFC 6121 5.2.2
    TYPE_NORMAL,
    TYPE_CHAT,
    TYPE_GROUPCHAT,
    TYPE_HEADLINE,
    // iq: RFC 6120 8.2.3
    TYPE_GET,
    TYPE_SET,
    TYPE_RESULT,
    // presence: RFC 6121 4.7.1; TYPE_AVAILABLE is the absent attribute
    TYPE_AVAILABLE,
    TYPE_UNAVAILABLE,
    TYPE_SUBSCRIBE,
    TYPE_SUBSCRIBED,
    TYPE_UNSUBSCRIBE,
    TYPE_UNSUBSCRIBED,
    TYPE_PROBE,
    // all kinds
    TYPE_ERROR,
};

struct stanza {
    atomic_uint refs;
    struct arena arena; // of everything below
    struct element *root;
    enum stanza_kind kind;
    enum stanza_type type;
    struct jid from, to; // full.len == 0: absent
    struct str id, lang; // empty: absent
    struct str inner;    // the serialized children, from stanza_seal() on
    struct str text;     // all of it, where stanza_keep_text() was called; else empty
    bool sealed;
    struct str lure_keys;  // what the guard found, as 16-byte keys side by side; empty: no lure
    struct str lures_from; // bare: who sent them, where that is not from (carbons, archive pages)
    bool calm;             // the guard need not hear who got these lures
    bool takes_back;       // a retraction in the server's words: im/caps.c fits it to each client
    bool links_protected;  // a reader's copy: im/links.c
};

/* Makes a stanza of a parsed element: takes over the arena that root lives in (arena is as after
 * arena_init then) and reads kind, type, id, lang, from and to.  One reference for the caller.
 * NULL with *e ERR_UNSUPPORTED: not message, presence or iq; the arena is untouched then.  A from
 * or to that is no JID: the stanza is made, the address is absent and *e is ERR_MALFORMED (RFC
 * 6120 8.1.1: the answer is jid-malformed). */
struct stanza *stanza_take(struct arena *arena, struct element *root, enum err *e);

/* A stanza from its text, as the store keeps it; NULL when it does not parse. */
struct stanza *stanza_parse(struct str text);

/* A server-made stanza without children yet; add them to its root, from its arena.  NULL addresses
 * and an empty id are left out; all are copied. */
struct stanza *stanza_make(enum stanza_kind kind, enum stanza_type type, const struct jid *from,
                           const struct jid *to, struct str id);

/* Sets or replaces from / to, in attribute and field; before sealing only.  The JID is copied. */
void stanza_set_from(struct stanza *stanza, const struct jid *from);
void stanza_set_to(struct stanza *stanza, const struct jid *to);

/* Serializes the children; nothing may change afterwards.  Idempotent. */
void stanza_seal(struct stanza *stanza);

/* Keeps the whole text, as stanza_write gives it, for several rows of the store; after sealing,
 * before the stanza is shared. */
void stanza_keep_text(struct stanza *stanza);

/* Seals a stanza whose children are given as text in canonical form (copied) instead of a tree. */
void stanza_seal_with(struct stanza *stanza, struct str inner);

/* A sealed stanza put away for long: its text and what the guard said of it, in one small piece of
 * memory.  Whoever wants to send it unpacks it: a stanza of his own, sealed. */
struct packed_stanza;
struct packed_stanza *stanza_pack(const struct stanza *stanza);
struct stanza *stanza_unpack(const struct packed_stanza *packed);
struct str packed_stanza_text(const struct packed_stanza *packed);
struct str packed_stanza_lures(const struct packed_stanza *packed); // as lure_keys
/* NULL is fine; nulls the pointer. */
void packed_stanza_free(struct packed_stanza **packed);

struct stanza *stanza_ref(struct stanza *stanza);
/* NULL is fine; nulls the pointer. */
void stanza_unref(struct stanza **stanza);

/* Appends the stanza, sealed, for a stream of jabber:client: to replaces the to attribute when not
 * empty; extra is serialized XML that follows the children. */
void stanza_write(struct buf *out, const struct stanza *stanza, struct str to, struct str extra);

/* The error reply (RFC 6120 8.3): same kind and id, addresses swapped, sealed; NULL when none may
 * be sent (an error is never answered by an error). */
struct stanza *stanza_refusal(const struct stanza *stanza, const struct stanza_error *error);
/* by: from whom it comes where the stanza names nobody itself, as a copy of one that many get. */
struct stanza *stanza_refusal_by(const struct stanza *stanza, const struct jid *by,
                                 const struct stanza_error *error);

/* The type attribute's value; empty where the attribute is absent by default. */
struct str stanza_type_name(enum stanza_type type);

#endif
