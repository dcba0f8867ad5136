/*
 * Between roster.c and subscription's acts (roster_subscription.c).
 */
#ifndef IM_ROSTER_INTERNAL_H
#define IM_ROSTER_INTERNAL_H

#include "im/roster.h"
#include "im/subscription.h"

/* In memory only. */
void roster_remember_request(struct account *account, struct str from, struct str stanza);

/* What the contact must hear when he is taken off the roster now. */
struct subscription_removal roster_removal(const struct account *account, struct str contact);
/* He is off it: unsubscribe and unsubscribed go out where they are due, and our presence is
 * withdrawn (RFC 6121 2.5.2).  ticket: of the stanza that did it, or NULL. */
void roster_say_removed(struct account *account, const struct jid *contact,
                        struct subscription_removal removal, struct ticket *ticket);

#endif
