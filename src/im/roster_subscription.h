/*
 * Subscriptions at work: the requests and answers that change rosters, by the
 * state machine of subscription.h.
 * Spec: RFC 6121 section 3 and appendix A.
 */
#ifndef IM_ROSTER_SUBSCRIPTION_H
#define IM_ROSTER_SUBSCRIPTION_H

#include "im/feature.h"

/* subscribe, subscribed, unsubscribe or unsubscribed, from our own client; from is set (full),
 * not sealed. */
void subscription_from_client(struct session *session, struct stanza *stanza,
                              struct ticket *ticket);
/* The same for an account of this home.  Takes the routed. */
void subscription_arrived(struct account *account, struct routed *routed);
/* Requests that wait for an answer are shown to a session that has become available (3.1.3). */
void subscription_show_requests(struct session *session);

#endif
