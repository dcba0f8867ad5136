/*
 * Metrics in Prometheus's text format.
 */
#ifndef DAEMON_METRICS_H
#define DAEMON_METRICS_H

#include "base/buf.h"
#include "im/desk.h"

struct http;
struct listener;

/* Any thread, while the workers run.  http: NULL where it is not served. */
void metrics_write(struct buf *out, const struct service *service, const struct listener *listener,
                   const struct http *http);

#endif
