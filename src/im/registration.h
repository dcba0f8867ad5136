/*
 * Registration: people make their accounts, change their passwords and cancel
 * their accounts themselves, as far as the domain lets them.
 * Spec: XEP-0077 2.4.
 */
#ifndef IM_REGISTRATION_H
#define IM_REGISTRATION_H

#include "im/client.h"
#include "im/feature.h"

/* jabber:iq:register before login, on a stream whose domain offers that. */
void registration_of_stranger(struct client *client, const struct element *iq);

extern const struct feature feature_registration;

#endif
