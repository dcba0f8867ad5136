/*
 * Client state indication: a phone in a pocket is told later what can wait.
 * Spec: XEP-0352 1.0.
 */
#ifndef IM_CSI_H
#define IM_CSI_H

#include "im/feature.h"

/* <active/> or <inactive/> from the session's client. */
void csi_element(struct session *session, const struct element *element);

/* A resumed stream is active until its client says otherwise (section 5). */
void csi_resumed(struct session *session);

/* Sends what waits for an active client, without waiting for that. */
void csi_flush(struct session *session);

extern const struct feature feature_csi;

#endif
