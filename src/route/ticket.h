/*
 * Tickets: what still keeps a received stanza from being acknowledged.
 *
 * A session that uses XEP-0198 gives each stanza it receives a ticket.  Whoever
 * does something lasting for that stanza (a commit, a copy on another worker)
 * holds a reference until it is durable; when the last reference goes, on
 * whatever thread, the session's durable h may pass the stanza.
 * Sessions without XEP-0198 have no tickets: NULL is fine everywhere.
 */
#ifndef ROUTE_TICKET_H
#define ROUTE_TICKET_H

#include "base/err.h"
#include "net/mailbox.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct home;

struct ticket {
    struct mail mail; // carries the news home
    struct home *home;
    void (*done)(struct ticket *ticket); // on the home, before the ticket goes
    void *context;
    uint64_t session; // its id at that home
    uint32_t h;       // the stanza's number, XEP-0198 4
    atomic_uint refs;
    atomic_bool travelled; // another thread had a reference
    bool comes_again;      // ticket_new_for: see ticket_fail
    atomic_bool failed;    // any thread
};

/* One reference for the caller; on the session's home. */
struct ticket *ticket_new(struct home *home, uint64_t session, uint32_t h);
/* The same for somebody who is no session and will try again: done runs on the home when all is
 * durable or refused, or (failed) could not be kept. */
struct ticket *ticket_new_for(struct home *home, void (*done)(struct ticket *ticket),
                              void *context);
/* NULL is fine. */
struct ticket *ticket_ref(struct ticket *ticket);
/* A reference goes to another thread; before that.  NULL is fine.  What that thread mails home
 * before it lets go arrives before the ticket is done: an error for a stanza never comes after the
 * acknowledgement that covers it. */
void ticket_travels(struct ticket *ticket);
/* Something of the stanza could not be kept.  True: whoever made the ticket keeps it and tries
 * again later, and its sender need not hear of it; else he is to be told.  NULL is fine; any
 * thread. */
bool ticket_fail(struct ticket *ticket) MUST_CHECK;
/* Whether that has happened: it is refused as a whole, or comes again.  NULL is fine; any thread.
 */
bool ticket_has_failed(const struct ticket *ticket);
/* NULL is fine; nulls the pointer; any thread. */
void ticket_unref(struct ticket **ticket);

#endif
