/*
 * Listening sockets, and who may come in.
 *
 * One acceptor on one loop (the main thread's) accepts for all workers, so
 * that limits per address and rates are exact, and hands each connection to
 * the worker with the fewest.  Too many from one address (one /64 of IPv6):
 * closed at once, and so are too many in all; the log names the limit, once a
 * minute for each address, and where the door has a farewell they hear it
 * first.  Too fast in all: left in the kernel's queue until the rate allows
 * them.  Out of descriptors: refused one by one through a reserve, with an
 * alarm in the log, not in a spin.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/buf.h"
#include "net/addr.h"
#include "net/worker.h"

struct listener;
struct door; // one listening socket

/* A connection on its way to a worker: its on_arrival calls conn_accept or arrival_refuse. */
struct arrival {
    struct mail mail;
    struct listener *listener;
    struct worker *worker;
    int fd;
    int kind; // the door's
    uint16_t door_port;
    struct addr peer;
};

/* Why somebody may not come in. */
enum listener_refusal { REFUSED_FULL, REFUSED_ADDRESS, REFUSED_RATE, N_LISTENER_REFUSALS };

struct listener_limits {
    const char *section;      // of the configuration, for the log; NULL: "limits"
    size_t conns;             // in all; 0: no limit
    size_t conns_per_address; // 0: no limit
    uint32_t accepts_per_s;   // in all; 0: no limit
    uint32_t accepts_per_s_per_address;
    uint32_t accepts_at_once_per_address; // after a rest; 0: as many as in a second
    unsigned backlog; // kept by the kernel, of doors opened from then on; 0: 1024
};

/* On the worker's thread. */
typedef void arrival_fn(struct worker *worker, struct arrival *arrival, void *context);

struct listener *listener_new(struct loop *loop, struct workers *workers,
                              const struct listener_limits *limits, arrival_fn *on_arrival,
                              void *context);
/* After the workers have been stopped: all connections are gone then. */
void listener_free(struct listener **p);
void listener_set_limits(struct listener *listener, const struct listener_limits *limits);

/* address: numeric; IPv6 sockets take IPv6 only.  kind is the caller's (STARTTLS, direct TLS…) and
 * comes back in the arrival.  Port 0: any; door_port tells. */
enum err listener_open(struct listener *listener, struct str address, uint16_t port, int kind,
                       struct door **out, struct why *why) MUST_CHECK;
/* A listening socket that was inherited; takes the descriptor on success. */
enum err listener_adopt(struct listener *listener, int fd, int kind, struct door **out,
                        struct why *why) MUST_CHECK;
uint16_t door_port(const struct door *door);
/* What those who are refused at this door hear in plain bytes before it is closed; short, for
 * nobody waits until it is sent. */
typedef void farewell_fn(struct buf *out, enum listener_refusal refusal);
void door_set_farewell(struct door *door, farewell_fn *farewell);
void door_close(struct door **p);

/* Closes the descriptor and settles the counts. */
void arrival_refuse(struct arrival *arrival);

/* Descriptors from the service manager (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), close-on-exec
 * set.  Names live as long as the environment.  Returns how many were written, at most n. */
struct inherited {
    int fd;
    struct str name; // empty when it was given none
};
size_t listener_inherited(struct inherited *out, size_t n);

/* Any thread. */
struct listener_stats {
    size_t n_conns, n_addresses;
    uint64_t n_accepted, n_refused[N_LISTENER_REFUSALS], n_out_of_descriptors;
};
void listener_stats(const struct listener *listener, struct listener_stats *out);

#endif
