/*
 * Metrics by HTTP: GET and HEAD of /metrics, nothing else.
 *
 * libmicrohttpd serves on a thread of its own; few connections, small
 * requests, no TLS: meant for loopback.
 */
#ifndef NET_METRICS_HTTP_H
#define NET_METRICS_HTTP_H

#include "base/buf.h"
#include "net/addr.h"

struct metrics_http;

/* Fills out (ceiling 8 MiB) with the text exposition format; on the server's thread. */
typedef void metrics_fn(struct buf *out, void *context);

/* Port 0: any. */
enum err metrics_http_new(const struct addr *at, metrics_fn *fn, void *context,
                          struct metrics_http **out, struct why *why) MUST_CHECK;
uint16_t metrics_http_port(const struct metrics_http *server);
void metrics_http_free(struct metrics_http **p);

#endif
