/*
 * What the guard would have done beside what people said: is it time to switch it on?
 */
#ifndef DAEMON_GUARD_REPORT_H
#define DAEMON_GUARD_REPORT_H

#include "guard/guard.h"

#include <jansson.h>

/* Of what was noted since then, of senders and reporters of this domain (empty: of all). */
json_t *guard_report(const struct guard *guard, struct str domain, int64_t since_us);

#endif
