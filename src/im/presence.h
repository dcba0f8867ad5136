/*
 * Presence: who is there, and who may know it.
 * Spec: RFC 6121 sections 3 and 4.
 */
#ifndef IM_PRESENCE_H
#define IM_PRESENCE_H

#include "im/feature.h"

/* From our own client: broadcast, directed, probe or subscription; from is set, not sealed. */
void presence_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket);

/* For an account of this home; its features have been asked.  Takes the routed. */
void presence_arrived(struct account *account, struct routed *routed);

extern const struct feature feature_presence;

#endif
