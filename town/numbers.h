/*
 * Numbers on the command line.
 */
#ifndef TOWN_NUMBERS_H
#define TOWN_NUMBERS_H

#include "base/str.h"

/* A decimal number within [least, most], nothing after it.  ERR_MALFORMED says what was wrong. */
enum err number_read(struct str text, double least, double most, double *out,
                     struct why *why) MUST_CHECK;

/* "key=value": cuts it.  ERR_MALFORMED. */
enum err setting_cut(struct str text, struct str *key, struct str *value,
                     struct why *why) MUST_CHECK;

#endif
