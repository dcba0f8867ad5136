/*
 * Workers: threads with one loop each; together they serve all connections.
 *
 * What belongs to a worker is touched by its thread only; others post mail.
 */
#ifndef NET_WORKER_H
#define NET_WORKER_H

#include "net/loop.h"
#include "net/tls.h"

struct worker;
struct workers;

struct workers_config {
    size_t n; // threads; 0: one for each core
    /* on_start runs on the worker's thread before its first turn.  on_stop runs in the worker's
     * name (worker_is_me holds) on the thread that called workers_stop, when all threads have
     * ended and no mail is left: what is written to connections now still leaves if the peer takes
     * it at once, then they are closed with CONN_SHUTDOWN.  Either may be NULL. */
    void (*on_start)(struct worker *worker, void *context);
    void (*on_stop)(struct worker *worker, void *context);
    void *context;
};

/* Makes the workers; their threads start with workers_start, so that one may prepare them. */
enum err workers_new(const struct workers_config *config, struct workers **out,
                     struct why *why) MUST_CHECK;
enum err workers_start(struct workers *workers, struct why *why) MUST_CHECK;
/* Ends and joins all threads; see on_stop.  The workers and their mailboxes stay valid, and mail
 * posted meanwhile has been run, in the receiver's name. */
void workers_stop(struct workers *workers);
/* For the thread that called workers_stop, afterwards: a turn of each worker in its name, with the
 * mails, timers and chores that what still goes on elsewhere (the store, the kitchen) leads to. */
void workers_turn(struct workers *workers);
/* … and fn in each worker's name. */
void workers_visit(struct workers *workers, void (*fn)(struct worker *worker, void *context),
                   void *context);
/* Stops them where that was not done. */
void workers_free(struct workers **p);

size_t workers_count(const struct workers *workers);
struct worker *workers_at(const struct workers *workers, size_t i);
/* All homes, in the order of the workers: for tls_config_new_…. */
struct tls_home *const *workers_homes(const struct workers *workers);
/* Gives every worker a new snapshot; connections made from then on use it. */
void workers_set_tls(struct workers *workers, struct tls_config *config);

/* Whether it is the calling thread's. */
bool worker_is_me(const struct worker *worker);
size_t worker_index(const struct worker *worker);
struct workers *worker_all(const struct worker *worker);
struct loop *worker_loop(const struct worker *worker);
/* Worker only: its present snapshot, NULL when none was set. */
struct tls_config *worker_tls(const struct worker *worker);
/* From any thread. */
void worker_post(struct worker *worker, struct mail *mail);

/* What the layer above keeps with each worker. */
void worker_set_data(struct worker *worker, void *data);
void *worker_data(const struct worker *worker);

/* Since the start; from any thread. */
struct worker_stats {
    size_t n_conns;               // now, and those on their way to it
    uint64_t bytes_in, bytes_out; // on the wire
    uint64_t n_reads, n_writes;   // system calls
    uint64_t n_handshakes, n_handshakes_failed;
    uint64_t n_records_written;
    struct loop_stats loop;
};
void worker_stats(const struct worker *worker, struct worker_stats *out);

#endif
