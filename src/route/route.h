/*
 * Routing: brings a stanza to the home of the account it is for.
 *
 * The same home: a direct call.  Another home: one mail.  A stanza for an
 * account waits there until the account is loaded.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "net/mailbox.h"
#include "route/account.h"
#include "route/ticket.h"

enum routed_flag {
    ROUTED_BY_SERVER = 1, // the server itself speaks: no block list, no rules for strangers
    ROUTED_HELD = 2,      // released from the guard: original time in at_us
    ROUTED_BROADCAST = 4, // presence for subscribers
};

/* A stanza on its way to one address. */
struct routed {
    struct mail mail;
    struct link link; // in whatever list it waits
    struct account_waiter waiter;
    struct home *home; // where it goes
    struct stanza *stanza;
    struct ticket *ticket; // of the session that sent it; may be NULL
    struct jid to;         // borrowed from the stanza, or in own
    int64_t at_us;         // wall time at which it became ours
    unsigned flags;
    char own[];
};

/* Sends the sealed stanza to its own to.  Takes a reference to both of its own. */
void route_stanza(struct home *from, struct stanza *stanza, struct ticket *ticket);
/* The same to another address, which is copied. */
void route_stanza_to(struct home *from, struct stanza *stanza, const struct jid *to,
                     struct ticket *ticket, unsigned flags, int64_t at_us);

void routed_free(struct routed **routed);

#endif
