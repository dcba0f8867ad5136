/*
 * Inside a client's stream: stream.c has the table of what happens and all that is said before and
 * after logging in, stream_login.c the login.
 */
#ifndef XMPP_STREAM_INTERNAL_H
#define XMPP_STREAM_INTERNAL_H

#include "base/buf.h"
#include "base/random.h"
#include "xmpp/stream.h"

enum { OUT_MOST = 64 * 1024 }; // of one answer of ours

// What can happen.  GOT_: from the peer; STEP_: what an exchange wants next; the rest: the host.
enum event {
    GOT_HEADER,
    GOT_STARTTLS,
    GOT_AUTH,
    GOT_RESPONSE,
    GOT_ABORT,
    GOT_REGISTRATION, // iq of jabber:iq:register, looked for before login only
    GOT_BIND,         // iq of resource binding, looked for before binding only
    GOT_RESUME,
    GOT_SM,
    GOT_CSI,
    GOT_STANZA,
    GOT_ERROR,
    GOT_OTHER, // an element that we do not know
    GOT_END,   // </stream:stream>

    IS_STRANGER, // a good header, and who sent it
    IS_KNOWN,

    STEP_CHALLENGE,
    STEP_LOOKUP,
    STEP_CHECK,
    STEP_SUCCESS,
    STEP_FAILURE,

    TLS_DONE,
    LOOKED_UP,
    CHECKED,
    REFUSED,
    CONTINUED,
    RESUMED,
    NOT_RESUMED,
    RESOURCE_BOUND,
    RESOURCE_REFUSED,
    CLOSED_BY_US,
};

struct stream {
    const struct stream_policy *policy;
    const struct stream_host *calls;
    void *host;
    struct tokenizer tokenizer;
    struct arena arena;            // of the element that is being read or handled
    struct sasl *sasl;             // while an exchange goes on
    const struct element *request; // the bind request that waits for its answer; in arena
    size_t element_bytes;          // on the wire, of the element that is being read
    // in own memory; empty: none
    struct str domain, from, lang, jid;
    uint8_t state; // enum stream_state
    uint8_t bindings, offered;
    uint8_t attempts;
    uint16_t pauses;
    bool secured : 1;
    bool header_sent : 1; // for the current header of the client
    bool reading : 1;     // inside stream_read
    bool rest_later : 1;  // the arena holds an element that is not needed any more
    char id[RANDOM_ID_SIZE + 1];
};

/* Replaces what is kept by a copy of text, in own memory. */
void stream_keep(struct str *kept, struct str text);
/* Sends what out holds and empties it. */
void stream_send(struct stream *stream, struct buf *out);
/* The state moves as the table says; what has no row in it ends the stream. */
void stream_move(struct stream *stream, enum event event, struct element *element);
/* Whether an answer of the host still has a question: not when the stream ended meanwhile. */
bool stream_is_due(const struct stream *stream, enum event event) MUST_CHECK;
/* The next that comes is a header. */
void stream_restart(struct stream *stream);
/* That of its header; NULL: it is not served any more, and the stream has failed. */
const struct stream_domain *stream_served_domain(struct stream *stream);

/* An element without attributes of its own: its start tag, and all of it. */
void add_open(struct buf *out, const char *name, struct str ns);
void add_empty(struct buf *out, const char *name, struct str ns);

/* The login: what of it is offered, and what the table does. */
void login_offer(struct stream *stream, const struct stream_domain *domain, struct buf *out);
void login_begin(struct stream *stream, struct element *element);
void login_go_on(struct stream *stream, struct element *element);
void login_send_challenge(struct stream *stream, struct element *element);
void login_ask_credentials(struct stream *stream, struct element *element);
void login_ask_check(struct stream *stream, struct element *element);
void login_welcome(struct stream *stream, struct element *element);
void login_failed(struct stream *stream, struct element *element);
void login_refuse(struct stream *stream, struct element *element);
void login_abort(struct stream *stream, struct element *element);
void login_out_of_order(struct stream *stream, struct element *element);

#endif
