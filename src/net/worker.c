#include "net/worker.h"

#include "base/must.h"
#include "net/worker_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORKERS_MOST = 256 };

struct workers {
    struct workers_config config;
    size_t n, n_running;
    bool started;
    struct worker *each; // array
    struct tls_home **homes;
};

// Which worker a thread is: what worker_is_me() compares with, nothing else may depend on it.
static _Thread_local struct worker *me;

static void free_worker(struct worker *w)
{
    if (w->loop != NULL)
        loop_free(&w->loop);
    tls_config_unref(&w->tls);
    for (size_t i = 0; i < w->n_spares; i++)
        buf_done(&w->spares[i]);
    buf_done(&w->seal);
    free(w->raw);
    free(w->plain);
}

enum err workers_new(const struct workers_config *config, struct workers **out, struct why *why)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = config->n != 0 ? config->n : cores > 0 ? (size_t)cores : 1;
    if (n > WORKERS_MOST)
        n = WORKERS_MOST;
    struct workers *workers = calloc(1, sizeof *workers);
    must(workers != NULL);
    workers->config = *config;
    workers->each = calloc(n, sizeof *workers->each);
    workers->homes = calloc(n, sizeof(struct tls_home *));
    must(workers->each != NULL && workers->homes != NULL);
    for (size_t i = 0; i < n; i++) {
        struct worker *w = &workers->each[i];
        workers->n = i + 1;
        w->index = i;
        w->all = workers;
        list_init(&w->conns);
        buf_init(&w->seal, SEAL_MOST);
        w->raw = malloc(RAW_MOST);
        w->plain = malloc(PLAIN_MOST);
        must(w->raw != NULL && w->plain != NULL);
        char name[16];
        snprintf(name, sizeof name, "worker-%u", (unsigned)i % 1000);
        enum err e = loop_new(name, &w->loop, why);
        if (e == OK)
            e = tls_home_new(&workers->homes[i], why);
        if (e != OK) {
            workers_free(&workers);
            return e;
        }
        w->home = workers->homes[i];
    }
    *out = workers;
    return OK;
}

static void *work(void *context)
{
    struct worker *w = context;
    me = w;
    if (w->all->config.on_start != NULL)
        w->all->config.on_start(w, w->all->config.context);
    loop_run(w->loop);
    return NULL;
}

enum err workers_start(struct workers *workers, struct why *why)
{
    must(!workers->started);
    workers->started = true;
    for (; workers->n_running < workers->n; workers->n_running++) {
        struct worker *w = &workers->each[workers->n_running];
        int failed = pthread_create(&w->thread, NULL, work, w);
        if (failed != 0) {
            workers_stop(workers);
            return why_say(why, ERR_IO, "cannot start a worker: %s", strerrordesc_np(failed));
        }
    }
    return OK;
}

/* Runs what the workers sent each other at the end; whether there was anything. */
static bool run_leftovers(struct workers *workers)
{
    bool any = false;
    for (size_t i = 0; i < workers->n; i++) {
        struct worker *w = &workers->each[i];
        me = w;
        loop_drain_closing(w->loop);
        any |= mailbox_drain(loop_mailbox(w->loop)) > 0;
    }
    me = NULL;
    return any;
}

void workers_stop(struct workers *workers)
{
    if (!workers->started || workers->each[0].ended)
        return;
    for (size_t i = 0; i < workers->n_running; i++)
        loop_stop(workers->each[i].loop);
    for (size_t i = 0; i < workers->n_running; i++)
        pthread_join(workers->each[i].thread, NULL);
    for (size_t i = 0; i < workers->n; i++)
        workers->each[i].ended = true;
    while (run_leftovers(workers))
        continue;
    for (size_t i = 0; i < workers->n_running; i++) {
        me = &workers->each[i];
        if (workers->config.on_stop != NULL)
            workers->config.on_stop(me, workers->config.context);
    }
    bool any;
    do {
        any = false;
        for (size_t i = 0; i < workers->n; i++) {
            me = &workers->each[i];
            any |= conns_shut_down(me) > 0;
        }
        any |= run_leftovers(workers);
    } while (any);
}

static void turn(struct worker *worker, void *context)
{
    (void)context;
    loop_turn(worker->loop, 0);
}

void workers_turn(struct workers *workers)
{
    workers_visit(workers, turn, NULL);
}

void workers_visit(struct workers *workers, void (*fn)(struct worker *worker, void *context),
                   void *context)
{
    for (size_t i = 0; i < workers->n; i++) {
        me = &workers->each[i];
        fn(me, context);
    }
    me = NULL;
}

void workers_free(struct workers **p)
{
    struct workers *workers = TAKE(*p);
    if (workers == NULL)
        return;
    workers_stop(workers);
    for (size_t i = 0; i < workers->n; i++)
        free_worker(&workers->each[i]);
    // last: sessions and snapshots of any worker may have been born in any home
    for (size_t i = 0; i < workers->n; i++)
        tls_home_free(&workers->homes[i]);
    free(workers->homes);
    free(workers->each);
    free(workers);
}

size_t workers_count(const struct workers *workers)
{
    return workers->n;
}

struct worker *workers_at(const struct workers *workers, size_t i)
{
    must(i < workers->n);
    return &workers->each[i];
}

struct tls_home *const *workers_homes(const struct workers *workers)
{
    return workers->homes;
}

struct new_tls {
    struct mail mail;
    struct worker *worker;
    struct tls_config *config;
};

static void take_tls(struct mail *mail)
{
    struct new_tls *new = CONTAINER_OF(mail, struct new_tls, mail);
    tls_config_unref(&new->worker->tls);
    new->worker->tls = new->config;
    free(new);
}

void workers_set_tls(struct workers *workers, struct tls_config *config)
{
    for (size_t i = 0; i < workers->n; i++) {
        struct new_tls *new = malloc(sizeof *new);
        must(new != NULL);
        *new = (struct new_tls){
            .mail.run = take_tls,
            .worker = &workers->each[i],
            .config = tls_config_ref(config),
        };
        if (workers->started)
            worker_post(new->worker, &new->mail);
        else
            take_tls(&new->mail);
    }
}

bool worker_is_me(const struct worker *worker)
{
    return me == worker;
}

size_t worker_index(const struct worker *worker)
{
    return worker->index;
}

struct workers *worker_all(const struct worker *worker)
{
    return worker->all;
}

struct loop *worker_loop(const struct worker *worker)
{
    return worker->loop;
}

struct tls_config *worker_tls(const struct worker *worker)
{
    return worker->tls;
}

void worker_post(struct worker *worker, struct mail *mail)
{
    loop_post(worker->loop, mail);
}

void worker_set_data(struct worker *worker, void *data)
{
    worker->data = data;
}

void *worker_data(const struct worker *worker)
{
    return worker->data;
}

void worker_stats(const struct worker *worker, struct worker_stats *out)
{
    *out = (struct worker_stats){
        .n_conns = COUNTED(worker->n_conns),
        .bytes_in = COUNTED(worker->bytes_in),
        .bytes_out = COUNTED(worker->bytes_out),
        .n_reads = COUNTED(worker->n_reads),
        .n_writes = COUNTED(worker->n_writes),
        .n_handshakes = COUNTED(worker->n_handshakes),
        .n_handshakes_failed = COUNTED(worker->n_handshakes_failed),
        .n_records_written = COUNTED(worker->n_records),
    };
    loop_stats(worker->loop, &out->loop);
}
