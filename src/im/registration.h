/*
 * In-band registration: new accounts where a domain allows them, and changing
 * one's own password.
 * Spec: XEP-0077 2.4.
 */
#ifndef IM_REGISTRATION_H
#define IM_REGISTRATION_H

#include "im/client.h"
#include "im/feature.h"

/* An iq of jabber:iq:register on a stream that is not logged in. */
void registration_before_login(struct client *client, const struct element *iq);

extern const struct feature feature_registration;

#endif
