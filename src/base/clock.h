/*
 * Time, always in microseconds.  Rooms without I/O take time as an argument.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/arena.h"

#include <stdint.h>

#define SECOND_US INT64_C(1000000)

/* Monotonic: for timers and durations. */
int64_t clock_now_us(void);
/* Since 1970-01-01 UTC: for what people and other servers read. */
int64_t clock_wall_us(void);

/* XEP-0082 date-time in UTC with microseconds: "2026-11-24T02:01:24.123456Z". */
struct str clock_format(struct arena *arena, int64_t wall_us);
/* Reads any XEP-0082 date-time (fractions and zone offsets too). */
enum err clock_parse(struct str text, int64_t *wall_us) MUST_CHECK;

#endif
