/*
 * Sessions over a planned restart: those that may be resumed (XEP-0198) are
 * written to the store when the server stops, and are there again, waiting for
 * their clients, before the next one takes connections.
 */
#ifndef IM_SM_STORE_H
#define IM_SM_STORE_H

#include "im/desk.h"

struct session;

/* Whether the session is one to be kept. */
bool sm_is_resumable(const struct session *session);

/* At a stop, in the worker's name, when nothing is under way any more: writes the session and takes
 * it apart; nobody hears of it.  One that cannot be written is ended like others. */
void sm_keep(struct session *session);

/* At the start, before the workers run: takes all kept sessions out of the store and sends each to
 * its home. */
enum err sm_bring_back(struct service *service, struct why *why) MUST_CHECK;

#endif
