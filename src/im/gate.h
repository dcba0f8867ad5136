/*
 * The gate: where every message meets the guard before anybody gets it.
 *
 * Without a lure, and from an account that is not restricted, a message passes
 * on its worker without leaving it.  Otherwise the guard's thread is asked and
 * the sender's later stanzas wait for its word.
 */
#ifndef IM_GATE_H
#define IM_GATE_H

#include "im/feature.h"

/* True when the gate keeps the message: it will go on with message_accept, or has refused it. */
bool gate_message(struct session *session, struct stanza *stanza, struct ticket *ticket);

/* A copy of a message with lures reached a client of this account: an exposure. */
void gate_exposed(struct account *account, const struct stanza *stanza);

#endif
