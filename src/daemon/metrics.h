/*
 * Metrics in Prometheus's text format.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "base/buf.h"
#include "im/desk.h"

struct http;

/* Any thread, while the workers run.  http: NULL where it is not served. */
void metrics_write(struct buf *out, const struct service *service, const struct http *http);

#endif
