/*
 * The keeper of decoys: tells each home which of its accounts are decoys, what
 * share of the people is there, and how people's clients answer (im/decoys.h).
 */
#ifndef DAEMON_DECOY_KEEPER_H
#define DAEMON_DECOY_KEEPER_H

#include "daemon/config.h"
#include "im/desk.h"

struct decoy_keeper;

/* Begins its rounds on this loop, on which it belongs.  config: asked at each round for what holds
 * then. */
struct decoy_keeper *decoy_keeper_new(struct loop *loop, struct service *service,
                                      const struct config *(*config)(void *context), void *context);
/* Ends them; what is under way ends first, so the loop is turned until then.  NULL is fine. */
void decoy_keeper_free(struct decoy_keeper **keeper);

#endif
