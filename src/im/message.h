/*
 * Messages: accepted from our people, delivered to our people.
 *
 * Accepted: made ours (from, ids), judged, archived for the sender, copied to
 * his other devices, routed.  Arrived: given its row in the store when it has
 * to last, and only then delivered, in order of arrival.
 */
#ifndef IM_MESSAGE_H
#define IM_MESSAGE_H

#include "route/route.h"
#include "route/session.h"

struct desk;

/* From our own client; from is set; not sealed. */
void message_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket);

/* Goes on with a message that was let pass: archive, copies, routing.  session: the id of the
 * sending session on this home (it may be gone); at_us: wall time at which it was sent, 0 for now;
 * flags: of the routed. */
void message_accept(struct account *sender, uint64_t session, struct stanza *stanza,
                    struct ticket *ticket, unsigned flags, int64_t at_us);

/* The sender's side alone of what message_accept does: his archive, and copies to his devices. */
void message_sent(struct account *account, uint64_t session, struct stanza *stanza,
                  struct ticket *ticket, int64_t at_us);

/* For an account of this home; its features have been asked.  Takes the routed. */
void message_arrived(struct account *account, struct routed *routed);

/* Whether a message of the same sender still waits here, for its commit or for a reader of earlier
 * ones: the presence or iq is then taken, and goes on behind it (RFC 6120 10.1).  Its ticket is not
 * kept waiting; a subscription, whose effects last, does not wait for a reader. */
bool message_is_before(struct account *account, struct routed *routed) MUST_CHECK;

/* Delivers what may be delivered now, in order. */
void message_pump(struct account *account);

/* The spool's ids of messages that wait for their turn here: who reads the spool passes them over.
 */
size_t message_ids_waiting(const struct account *account, int64_t *ids, size_t most);

/* The worker has stopped: what waits for the store is tried a last time. */
void message_close(struct desk *desk);

/* Keeps a message that a session held without a row when it ended. */
void message_keep(struct account *account, struct stanza *stanza, int64_t at_us);

#endif
