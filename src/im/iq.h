/*
 * IQs: who answers a request (RFC 6120 8.2.3, RFC 6121 8.5.3).
 */
#ifndef IM_IQ_H
#define IM_IQ_H

#include "route/route.h"
#include "route/session.h"

/* From our own client; from is set. */
void iq_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket);
/* For an account of this home, its features have been asked.  Takes the routed. */
void iq_arrived(struct account *account, struct routed *routed);
/* For one of our domains, from wherever.  Takes the routed. */
void iq_for_domain(struct home *home, struct routed *routed);

#endif
