/*
 * The schedule of `decoy refresh`: every decoys.refresh, for each domain.
 */
#ifndef DAEMON_DECOY_REFRESH_H
#define DAEMON_DECOY_REFRESH_H

#include "daemon/daemon.h"

/* Key of the record of kind STORE_SETTING that says, in microseconds, when decoys of the domain
 * were refreshed last. */
static inline struct str decoy_refresh_setting(struct arena *arena, struct str domain)
{
    return arena_printf(arena, "decoys-refreshed %.*s", STR_ARGS(domain));
}

struct decoy_refresh;

struct decoy_refresh *decoy_refresh_new(struct daemon *daemon);
/* What is under way ends first, so the loop is turned until then.  NULL is fine. */
void decoy_refresh_free(struct decoy_refresh **refresh);

#endif
