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
    bool sealed;
    struct str lure_keys; // what the guard found, as 16-byte keys side by side; empty: no lure
};

/* Most bytes of arena for a stanza whose text was at most size bytes long. */
size_t stanza_arena_ceiling(size_t size);

/* An empty stanza with one reference, whose arena the tokenizer may fill.  ceiling: bytes. */
struct stanza *stanza_new(size_t ceiling);

/* Takes root, which lives in the stanza's arena, and reads kind, type, id, lang, from and to.
 * ERR_MALFORMED: not message, presence or iq.  A from or to that is no JID: ERR_MALFORMED too,
 * with *bad_address set (RFC 6120 8.1.1: jid-malformed). */
enum err stanza_read(struct stanza *stanza, struct element *root, bool *bad_address) MUST_CHECK;

/* A server-made stanza.  type_name "" for none; id "" for none.  The addresses are copied. */
struct stanza *stanza_make(enum stanza_kind kind, struct str type_name, const struct jid *from,
                           const struct jid *to, struct str id);

/* Sets or replaces from / to, in attribute and field; before sealing only.  The JID is copied. */
void stanza_set_from(struct stanza *stanza, const struct jid *from);
void stanza_set_to(struct stanza *stanza, const struct jid *to);

/* Serializes the children; nothing may change afterwards.  Idempotent. */
void stanza_seal(struct stanza *stanza);

struct stanza *stanza_ref(struct stanza *stanza);
/* NULL is fine; nulls the pointer. */
void stanza_unref(struct stanza **stanza);

/* Writes the stanza, sealed, into out: to replaces the to attribute when not empty; extra is
 * serialized XML that follows the children. */
void stanza_write(struct buf *out, const struct stanza *stanza, struct str to, struct str extra);

/* The words of the kind: "message", "presence", "iq". */
struct str stanza_kind_name(enum stanza_kind kind);
/* The type attribute's value; empty where the attribute is absent by default. */
struct str stanza_type_name(enum stanza_type type);

#endif
