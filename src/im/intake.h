/*
 * Intake: what a client's stream brings, sorted by kind.
 */
#ifndef IM_INTAKE_H
#define IM_INTAKE_H

#include "im/client.h"
#include "route/session.h"

struct element;

/* A message, presence or iq of this session's client; takes over the arena. */
void intake_stanza(struct session *session, struct arena *arena, struct element *root);
/* <active/> or <inactive/> (XEP-0352). */
void intake_csi(struct session *session, const struct element *root);
#endif
