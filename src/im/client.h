/*
 * Clients: one connection of a person's program, its stream, and the session
 * that it has bound.
 *
 * A client begins on the worker that accepted it and moves once, after login,
 * to the home of its account.
 */
#ifndef IM_CLIENT_H
#define IM_CLIENT_H

#include "im/desk.h"
#include "net/listener.h"

struct client;
struct session;

enum { DOOR_STARTTLS, DOOR_DIRECT_TLS }; // the kinds of doors: struct arrival's kind

/* A farewell_fn for doors where the stream begins in plain text: a stream that is but an error. */
void client_farewell(struct buf *out, enum listener_refusal refusal);

/* A listener's arrival_fn; context: NULL (the worker's data is its desk). */
void client_arrived(struct worker *worker, struct arrival *arrival, void *context);

/* Joins a client and a session that has none, and parts them (both may be called without one). */
void client_attach(struct client *client, struct session *session);
void client_detach(struct client *client);
struct desk *client_desk(const struct client *client);
struct session *client_session(const struct client *client);
struct stream *client_stream(const struct client *client);
/* The number of its connection, as the log has it; 0: it is closed. */
uint64_t client_conn(const struct client *client);
/* Whether its connection is closed: only what it has asked for keeps the struct. */
bool client_is_gone(const struct client *client);
/* Writes bytes that are no stanza (XEP-0198 elements, answers before login). */
void client_send(struct client *client, struct str bytes);
/* Something takes its time for a client that has not logged in: it reads nothing meanwhile, and
 * its struct stays until client_answer, which writes the bytes and lets it go on.  False: the
 * connection is gone, and the client too. */
void client_wait(struct client *client);
bool client_answer(struct client *client, struct str bytes);
const struct addr *client_peer(const struct client *client);
/* The resumption that the client asked for has been answered. */
void client_resumed(struct client *client);

/* Ends the client's stream politely or with a condition, and its session with it (no resumption):
 * an operator's or a newer login's doing. */
void client_end(struct client *client, enum stream_condition condition, const char *text);

/* Tells all clients of this worker that the service goes down, and keeps their sessions resumable
 * (semantics.md: a planned restart). */
void clients_shut_down(struct desk *desk);

#endif
