/*
 * The guard's constants by name, so that an experiment can move one of them.
 */
#ifndef LAB_GUARD_KEYS_H
#define LAB_GUARD_KEYS_H

#include "guard/guard.h"

/* As in the section "guard" of firedoor.conf(5), times in seconds.  ERR_MALFORMED. */
enum err guard_config_set(struct guard_config *config, struct str key, struct str value,
                          struct why *why) MUST_CHECK;

#endif
