/*
 * Metrics in Prometheus's text format.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "base/buf.h"
#include "im/desk.h"

/* Any thread, while the workers run. */
void metrics_write(struct buf *out, const struct service *service);

#endif
