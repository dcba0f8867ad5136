/*
 * Messages that waited: given to a session when it becomes available.
 * Spec: XEP-0160, RFC 6121 4.2 and 8.5.2.2.
 */
#ifndef IM_OFFLINE_H
#define IM_OFFLINE_H

#include "im/feature.h"

/* The session has become available with a priority that is not negative: it gets what waits. */
void offline_deliver(struct session *session);

/* Something is in the spool that no session has in hand: if one may have it, it gets it. */
void offline_nudge(struct account *account);

extern const struct feature feature_offline;

#endif
