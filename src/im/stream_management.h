/*
 * Stream management: acknowledgements and resumption.
 *
 * The counting is route's (session.h: h never passes what is durable); here are
 * the elements and the sessions that wait for their client to come back.
 * Spec: XEP-0198 1.6; semantics: an <r/> is answered at once with the durable h
 * and again when more has become durable.
 */
#ifndef IM_STREAM_MANAGEMENT_H
#define IM_STREAM_MANAGEMENT_H

#include "im/client.h"
#include "route/session.h"

struct element;

/* <enable/>, <r/>, <a/> (or a misplaced <resume/>) of a client. */
void sm_element(struct client *client, const struct element *element);
/* <resume/> before a resource is bound; ends in client_resumed, at once or later. */
void sm_resume(struct client *client, const struct element *resume);
/* The client is gone but may come back. */
void sm_wait(struct session *session);
/* The same, for so long. */
void sm_wait_for(struct session *session, int64_t for_us);
/* The client closed its stream: it is told how far we got. */
void sm_last_words(struct client *client);
/* A silent client is asked whether it is there: by <r/>, or by a ping (XEP-0199). */
void sm_ask_alive(struct client *client);

#endif
