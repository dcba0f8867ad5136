/*
 * Limits of the configuration that somebody has reached: the error tells him,
 * the log tells the operator which key it was.
 */
#ifndef IM_LIMITS_H
#define IM_LIMITS_H

#include "im/desk.h"

/* On a home: counts it, and writes one line for each key and account (address, where nobody has
 * logged in) in a minute, so that a flood does not become one of the log.  key: as in the
 * configuration, "limits.roster_items". */
void limit_reached(struct home *home, struct str account, const char *key);
void limit_reached_by(struct home *home, const struct addr *address, const char *key);

#endif
