/*
 * A worker as the connections see it: its big buffers and its counters.
 */
#ifndef NET_WORKER_INTERNAL_H
#define NET_WORKER_INTERNAL_H

#include "base/buf.h"
#include "net/loop_internal.h"
#include "net/tls_internal.h"
#include "net/worker.h"

#include <pthread.h>

enum {
    RAW_MOST = 64 << 10,                            // read from a socket at once
    PLAIN_MOST = RAW_MOST + TLS_RECORD_MOST + 2048, // and a record that was begun before
    SEAL_BATCH = 8 * TLS_RECORD_MOST,               // sealed before it is written
    SEAL_MOST = 1 << 20,                            // with whatever alerts and handshakes add
    SPARES_MOST = 64,
    SPARE_LARGEST = 16 << 10,
};

struct worker {
    size_t index;
    struct workers *all;
    struct loop *loop;
    struct tls_home *home;
    pthread_t thread;

    // the worker's thread only, after workers_start
    struct tls_config *tls;
    void *data;
    struct list conns;
    uint64_t n_made;
    bool ended; // the loop runs no more: what arrives now is closed
    char *raw;  // what a socket gave
    char *plain;
    struct buf seal;
    struct buf spares[SPARES_MOST]; // empty outboxes' memory, for the next that needs one
    size_t n_spares;

    atomic_size_t n_conns; // any thread adds
    // written by the worker's thread only, read by any
    atomic_uint_fast64_t bytes_in, bytes_out, n_reads, n_writes, n_records;
    atomic_uint_fast64_t n_handshakes, n_handshakes_failed;
};

/* conn.c: says what can still be said and closes all; how many there were. */
size_t conns_shut_down(struct worker *worker);

#endif
