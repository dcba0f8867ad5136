/*
 * Housekeeping: what grows old is removed, a little at a time.
 */
#ifndef DAEMON_HOUSEKEEPING_H
#define DAEMON_HOUSEKEEPING_H

#include "daemon/config.h"
#include "net/loop.h"
#include "store/store.h"

struct housekeeping;

/* Begins its rounds on this loop.  config: asked at each round for what holds then. */
struct housekeeping *housekeeping_new(struct loop *loop, struct store *store,
                                      const struct config *(*config)(void *context), void *context);
/* Ends them; what is under way ends first, so the loop is turned until then. */
void housekeeping_free(struct housekeeping **housekeeping);

#endif
