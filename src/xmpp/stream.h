/*
 * A client's stream, the server's side (RFC 6120): bytes and events in, bytes
 * and events out, no I/O.
 *
 * The machine is a table of states and events (stream.c).  What the machine
 * cannot know (accounts, TLS, resources) it asks of its host, who answers at
 * once or later.  While a question is open the stream takes no bytes:
 * stream_read returns what it used, the host keeps the rest, stops reading the
 * socket, and feeds the rest again after the answer.
 *
 *     OPENING ─► OFFERED ─► SECURING ─► OPENING ─► OFFERED ─► … SASL …
 *             ─► MOVING (to the account's worker) ─► OPENING ─► READY ─► BINDING ─► BOUND
 *
 * Rules of the calls: one thread at a time.  Any answer may be given from
 * within the question.  The stream is not freed from within one of its own
 * calls into the host.  After closed() nothing is sent and no bytes are used.
 */
#ifndef XMPP_STREAM_H
#define XMPP_STREAM_H

#include "xml/tokenizer.h"
#include "xmpp/jid.h"
#include "xmpp/sasl.h"
#include "xmpp/stanza_error.h"
#include "xmpp/stream_error.h"

#include <stdbool.h>
#include <stdint.h>

struct stream;

enum stream_state {
    STREAM_OPENING,    // a stream header is due
    STREAM_GREETING,   // one came and is being looked at; never seen between calls
    STREAM_OFFERED,    // features were sent; the client is not authenticated
    STREAM_SECURING,   // <proceed/> was sent: the bytes belong to TLS
    STREAM_LOGIN,      // an exchange takes a step; never seen between calls
    STREAM_LOOKUP,     // waits for stream_credentials
    STREAM_CHALLENGED, // a <response/> is due
    STREAM_CHECKING,   // waits for stream_password_checked
    STREAM_REFUSING,   // waits for stream_refuse
    STREAM_MOVING,     // authenticated; waits for stream_continue
    STREAM_READY,      // authenticated, features were sent; a resource is to be bound
    STREAM_RESUMING,   // waits for stream_resumed or stream_not_resumed
    STREAM_BINDING,    // waits for stream_bound or stream_not_bound
    STREAM_BOUND,      // stanzas go to the host
    STREAM_ENDING,     // the client closed; the host may say its last words
    STREAM_CLOSING,    // we closed; the client's </stream:stream> is due
    STREAM_CLOSED,
    STREAM_N_STATES,
};

/* What one domain offers; answered anew for every stream header, so a reload takes effect. */
struct stream_domain {
    struct str name;        // prepared
    unsigned mechanisms;    // allowed by configuration: SASL_BIT()s
    bool protect_offer;     // XEP-0474
    bool registration;      // XEP-0077 before login: jabber:iq:register reaches the host
    bool roster_versioning; // RFC 6121 §2.6
    bool preapproval;       // RFC 6121 §3.4
    bool sm, csi;           // XEP-0198, XEP-0352
    /* XEP-0115 of the server: hash, node, ver; ver empty: left out. */
    struct str caps_hash, caps_node, caps_ver;
};

/* What all streams of a worker share; outlives them, or is replaced by stream_continue. */
struct stream_policy {
    const struct scram_crypto *crypto;
    struct scram_secret secret; // for challenges to unknown accounts
    uint32_t iterations;        // of the same: what real accounts have
    unsigned attempts;          // failed logins before the stream ends (RFC 6120 §6.4.5: 2 to 5)
    struct str domain;          // in our header when the client named none of ours
    struct tokenizer_limits strange; // before authentication,
    struct tokenizer_limits known;   // and after
};

/* What a top-level element is for. */
enum stream_element {
    STREAM_STANZA, // message, presence or iq in jabber:client
    STREAM_SM,     // urn:xmpp:sm:3
    STREAM_CSI,    // urn:xmpp:csi:0
};

enum stream_end {
    STREAM_ENDED_BY_PEER,  // the client closed its stream
    STREAM_ENDED_BY_US,    // stream_close without error
    STREAM_ENDED_BY_ERROR, // we found an error; condition and text say which
};

struct stream_host {
    /* Appends to what leaves for the client.  The bytes are borrowed for the call. */
    void (*send)(void *host, struct str bytes);
    /* After what was sent so far the connection turns to TLS; then stream_secured.  Whatever plain
     * bytes the host still holds it must throw away (STARTTLS injection). */
    void (*start_tls)(void *host);
    /* The channel's binding data, its size; 0: there is none. */
    size_t (*binding)(void *host, enum channel_binding binding,
                      unsigned char out[CHANNEL_BINDING_MOST]);
    /* The served domain of this (prepared) name, or NULL.  Used until the call into the stream
     * that asked returns. */
    const struct stream_domain *(*domain)(void *host, struct str name);
    /* Answer: stream_credentials.  Both parts are prepared; borrowed. */
    void (*find_credentials)(void *host, struct str local, struct str domain);
    /* Answer: stream_password_checked, with what scram_password_fits says on a thread for slow
     * work.  Borrowed for the call: copy, and wipe the copy after use. */
    void (*check_password)(void *host, const struct credentials *credentials, struct str password);
    /* A login failed, for account local (may be empty) and this reason.  Answer: stream_refuse,
     * later if this peer is to be slowed.  detail: a sentence part for the log, without secrets. */
    void (*login_failed)(void *host, struct str local, struct str domain, enum sasl_failure failure,
                         const char *detail);
    /* <success/> was sent; nothing is buffered within the stream: the host may take it to another
     * worker.  Answer: stream_continue. */
    void (*authenticated)(void *host, const struct jid *bare, enum sasl_mechanism mechanism);
    /* Answer: stream_bound or stream_not_bound.  wished: prepared; empty when the client leaves
     * the choice to us. */
    void (*bind)(void *host, struct str wished);
    /* XEP-0198 <resume/>: Answer: stream_resumed or stream_not_resumed; the host itself sends
     * <resumed/> or <failed/>. */
    void (*resume)(void *host, const struct element *resume);
    /* XEP-0077 before login, inside TLS.  The host sends the answering iq itself; NULL: not
     * offered. */
    void (*registration)(void *host, const struct element *iq);
    /* A top-level element after binding (CSI also before).  size: bytes on the wire.  root lives in
     * arena.  To keep it the host takes the memory over: copies the struct arena and leaves
     * arena_init behind; otherwise it is gone after the call. */
    void (*element)(void *host, enum stream_element kind, struct arena *arena, struct element *root,
                    size_t size);
    /* Words of ours for people (static), in the stream's language as far as the host speaks it;
     * *lang: the one that they are in now.  Text is from arena.  NULL: all is said in English. */
    struct str (*words)(void *host, struct arena *arena, const char *words, struct str *lang);
    /* The client closed a bound stream.  The host sends what it still owes (last <a/>), then
     * calls stream_close without error. */
    void (*ending)(void *host);
    /* The last event: flush what was sent, then close the connection.  error: NULL unless end is
     * STREAM_ENDED_BY_ERROR. */
    void (*closed)(void *host, enum stream_end end, const struct stream_error *error);
};

/* secured: direct TLS (XEP-0368) has been negotiated; bindings: what it can bind to. */
struct stream *stream_new(const struct stream_policy *policy, const struct stream_host *calls,
                          void *host, bool secured, unsigned bindings);
void stream_free(struct stream **stream);

/* Takes bytes; returns how many it used.  Fewer than given: a question is open or the stream is
 * paused; feed the rest after the answer.  Text before a closing or a TLS handshake is used up. */
size_t stream_read(struct stream *stream, struct str bytes);
/* Whether stream_read would use bytes now. */
bool stream_wants(const struct stream *stream);
/* Stops and starts the taking of elements; calls nest.  For the host's own reasons (rates, a
 * verdict that is awaited, a full outbox). */
void stream_pause(struct stream *stream);
void stream_unpause(struct stream *stream);
/* Gives back what an idle stream does not need; cheap, at the end of a turn. */
void stream_rest(struct stream *stream);

/* The TLS handshake is done. */
void stream_secured(struct stream *stream, unsigned bindings);
/* credentials: NULL unless LOOKUP_FOUND; copied. */
void stream_credentials(struct stream *stream, enum lookup lookup,
                        const struct credentials *credentials);
/* OK: the password fits; ERR_DENIED: it does not; any other: it could not be checked. */
void stream_password_checked(struct stream *stream, enum err result);
/* Tells the client that its login failed. */
void stream_refuse(struct stream *stream);
/* The new worker's things; the same ones when nothing moved. */
void stream_continue(struct stream *stream, const struct stream_policy *policy,
                     const struct stream_host *calls, void *host);
/* The resource, which makes the full JID; copied. */
void stream_bound(struct stream *stream, struct str resource);
/* The bind request gets this error; the client may try again. */
void stream_not_bound(struct stream *stream, const struct stanza_error *error);
/* The session of this resource goes on in this stream. */
void stream_resumed(struct stream *stream, struct str resource);
void stream_not_resumed(struct stream *stream);

/* Ends the stream from our side.  NULL: politely (waits for the client to close too, which the
 * host bounds in time: stream_abandon).  With an error: at once.  Harmless when closed. */
void stream_close(struct stream *stream, const struct stream_error *error);
/* stream_close with a condition and a text for people (static or NULL). */
void stream_fail(struct stream *stream, enum stream_condition condition, const char *text);
/* No more waiting for the peer. */
void stream_abandon(struct stream *stream);

enum stream_state stream_state(const struct stream *stream);
/* Whether stanzas may be sent: bound and not yet closed by us. */
bool stream_is_open(const struct stream *stream);
/* The stream's id (RFC 6120 §4.7.3), for the log; changes with every header. */
struct str stream_id(const struct stream *stream);
/* xml:lang of the client's header; empty when it gave none. */
struct str stream_lang(const struct stream *stream);
/* The domain the client named; empty before. */
struct str stream_domain_name(const struct stream *stream);
/* Full JID once bound, bare once authenticated; false before. */
bool stream_jid(const struct stream *stream, struct jid *out);

/* RFC 6120 §8.1.2.1: whether the from of a client's stanza is acceptable: absent (at NULL), or its
 * own bare or full JID.  The stream asks this itself before it hands a stanza on, and ends with
 * invalid-from where it does not fit. */
bool stream_from_fits(const struct stream *stream, struct str from);

#endif
