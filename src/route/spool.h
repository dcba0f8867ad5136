/*
 * Taking delivered messages out of the store's spool: many at a time, once a
 * turn of the loop.
 */
#ifndef ROUTE_SPOOL_H
#define ROUTE_SPOOL_H

#include "route/account.h"

#include <stdint.h>

/* One more waits, or is on its way there; size: of its stanza, as the store keeps it. */
void spool_counted(struct account *account, uint64_t size);

/* A client has the message with this id.  If the store fails the row stays and is delivered again
 * at the next login, with the same id. */
void spool_delivered(struct account *account, int64_t id, uint64_t size);

/* So many of its messages, of that size together, are not in the spool any more, or never came
 * there. */
void spool_uncount(struct account *account, uint64_t n, uint64_t size);

/* At the end of a turn: sends what spool_delivered gathered. */
void spool_turn_end(struct home *home);

#endif
