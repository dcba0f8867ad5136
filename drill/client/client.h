/*
 * An XMPP client, made to be one of thousands in a thread.
 *
 * It logs in, keeps its stream alive and acknowledged, answers what a decent
 * client answers (pings, service discovery, roster pushes), and hands every
 * other stanza to its owner.  What it says in one turn of the loop leaves
 * together.  Nothing here knows of drills or benchmarks.
 * Spec: RFC 6120, RFC 6121, RFC 7590, XEP-0030, 0115, 0198, 0199, 0280, 0368.
 */
#ifndef DRILL_CLIENT_CLIENT_H
#define DRILL_CLIENT_CLIENT_H

#include "drill/client/login.h"
#include "drill/client/loop.h"
#include "drill/client/wire.h"
#include "xml/element.h"

struct client;

/* What the clients of a thread share: TLS contexts, derived keys, scratch memory. */
struct client_pool;
struct client_pool *client_pool_new(struct loop *loop, bool only_tls_1_3);
/* All clients must have been freed. */
void client_pool_free(struct client_pool **pool);

/* How to log in; borrowed for the client's life and shared by many. */
struct client_options {
    struct endpoint endpoint;
    struct str domain;
    bool direct_tls; // else STARTTLS; there is no client without TLS
    enum mechanism mechanism;
    bool stream_management; // XEP-0198, with resumption where the server allows it
    unsigned ack_every;     // with it: ask for an acknowledgement after so many stanzas; 0: never
    bool keep_unacked;      // and send again what was not acknowledged, after a new connection
    bool carbons;           // XEP-0280
    bool roster;            // fetch it at login
    bool presence;          // show oneself
    bool old_fashioned;     // announce no retraction (XEP-0424) and no correction (XEP-0308)
    bool forms;             // announce that it shows forms (XEP-0004)
};

/* What a client tells its owner, always from within the loop's turn.  The client may be freed in
 * each of them.  Elements are borrowed for the call.  Any may be NULL. */
struct client_events {
    /* Logged in, with all that the options ask for.  resumed: the old session goes on. */
    void (*online)(void *owner, bool resumed);
    /* The roster at login: the <query/>. */
    void (*roster)(void *owner, const struct element *query);
    /* Each message, presence and IQ that the client did not deal with itself. */
    void (*stanza)(void *owner, const struct element *stanza);
    /* All stanzas up to this number (see client_send) are acknowledged. */
    void (*acked)(void *owner, uint64_t number);
    /* Login failed or the stream ended; client_connect() may follow. */
    void (*closed)(void *owner, const char *why);
};

/* user: the local part.  resource: empty lets the server choose.  Texts are copied. */
struct client *client_new(struct client_pool *pool, const struct client_options *options,
                          struct str user, struct str password, struct str resource,
                          const struct client_events *events, void *owner);
/* Cuts the connection without a word if it is open.  Accepts NULL. */
void client_free(struct client **client);

/* Connects and logs in; not while connected.  A session that can be resumed is resumed. */
void client_connect(struct client *client);
/* Ends the stream politely; closed follows when the server has answered.  A client that is not
 * online is cut. */
void client_leave(struct client *client);
/* Cuts the connection as a lost network would; the session may be resumed.  No event follows. */
void client_cut(struct client *client);

bool client_is_online(const struct client *client);

/* Sends one stanza (any XML) and returns its number, counted from 1 within the session.  While
 * online; otherwise with keep_unacked it waits for the next login, without it is dropped. */
uint64_t client_send(struct client *client, struct str stanza);
/* Asks for an acknowledgement now. */
void client_request_ack(struct client *client);

typedef void client_answer_fn(void *context, const struct element *answer);
/* Sends an IQ and calls answered with its result or error, or with NULL when the stream ends
 * first.  type: "get" or "set"; to: empty for one's own account; answered may be NULL. */
void client_ask(struct client *client, struct str type, struct str to, struct str payload,
                client_answer_fn *answered, void *context);

#endif
