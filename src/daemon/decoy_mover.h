/*
 * The mover of decoys: puts them into rosters and takes them out again as it is written down
 * (decoy_places.h), one contact at a time with a pause after each, so that nobody sees many rosters
 * change at once.  What is written down outlives a restart, and so does what is left to do.
 */
#ifndef DAEMON_DECOY_MOVER_H
#define DAEMON_DECOY_MOVER_H

#include "daemon/config.h"
#include "im/desk.h"

struct decoy_mover;

/* On this loop, on which it belongs.  config: asked before each pause for what holds then. */
struct decoy_mover *decoy_mover_new(struct loop *loop, struct service *service,
                                    const struct config *(*config)(void *context), void *context);
/* What is under way ends first, so the loop is turned until then.  NULL is fine. */
void decoy_mover_free(struct decoy_mover **mover);

#endif
