/*
 * The store's threads: one that writes, some that read.
 *
 * All requests arrive in the writer's mailbox.  It takes whatever has arrived,
 * carries out the changes in one transaction, commits, and completes them; what
 * arrives meanwhile makes the next commit, so the more there is to do the
 * cheaper each becomes.  Reads go to the readers: past the writer while nobody
 * has a change in hand, else by way of it, at once when their caller has no
 * change before them in this batch, otherwise after the commit.
 *
 * A change that fails leaves its neighbours alone; one that spoils the
 * transaction (disk full, I/O error) or a commit that fails takes the whole
 * batch with it.  Then the store probes from time to time until a commit
 * succeeds again.
 */
#include "store/store_internal.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READERS_DEFAULT = 2,
    READERS_MOST = 8,
    QUEUE_DEFAULT = 65536,
    QUEUE_BYTES_DEFAULT = 256 << 20,
    BATCH_MOST = 4096,          // changes in one commit: bounds how long the first one waits
    HOMES_MOST = 32,            // callers told apart within a batch
    RESULTS_DEFAULT = 64 << 20, // bytes
};

static const int64_t PROBE_US = SECOND_US / 2; // between probes of a store that has failed

// First in, first out; linked through request->mail.next.
struct queue {
    struct store_request *first, *last;
};

struct reader {
    struct store *store;
    struct connection *connection;
    pthread_t thread;
};

struct store {
    const struct backend *backend;
    size_t queue_bytes_most;
    _Atomic(size_t) bytes_in_hand; // any thread
    unsigned queue_most;
    atomic_uint n_in_hand;         // any thread
    atomic_uint n_changes_in_hand; // of these; any thread
    atomic_int health;             // enum store_health; any thread reads

    // ids: any thread
    _Atomic(int64_t) newest_id;
    _Atomic(uint64_t) id_seed;

    // the writer
    struct mailbox inbox; // any thread posts
    pthread_t writer_thread;
    struct connection *writer; // its thread only, as all down to `wake_lock`
    struct queue arrived;
    const void *homes[HOMES_MOST]; // callers with a change in this batch
    size_t n_homes;
    int64_t probed_us;
    bool many_homes;

    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    bool woken;   // wake_lock
    bool closing; // wake_lock

    // readers
    pthread_mutex_t read_lock;
    pthread_cond_t read_wake;
    struct queue reads; // read_lock
    struct reader readers[READERS_MOST];
    unsigned n_readers;
    bool reads_closing; // read_lock

    // store_wait
    pthread_mutex_t done_lock;
    pthread_cond_t done;

    // statistics: one thread writes each (n_reads: several), any thread reads
    _Atomic(uint64_t) n_commits, n_failed_commits, n_changes, n_reads, n_refused, n_messages,
        largest_batch, log_bytes;
    _Atomic(int64_t) longest_commit_us, total_commit_us;
};

static void queue_add(struct queue *queue, struct store_request *request)
{
    request->mail.next = NULL;
    if (queue->first == NULL)
        queue->first = request;
    else
        queue->last->mail.next = &request->mail;
    queue->last = request;
}

static struct store_request *request_of(struct mail *mail)
{
    return mail != NULL ? CONTAINER_OF(mail, struct store_request, mail) : NULL;
}

static struct store_request *queue_take(struct queue *queue)
{
    struct store_request *first = queue->first;
    if (first != NULL)
        queue->first = request_of(first->mail.next);
    return first;
}

static void count(_Atomic(uint64_t) *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- Completion ---------------------------------------------------------------------------- */

// On the caller's thread.
static void run_done(struct mail *mail)
{
    struct store_request *request = CONTAINER_OF(mail, struct store_request, mail);
    request->done(request);
}

static void hand_back(struct store_request *request)
{
    struct store *store = request->store;
    if (request->home != NULL) {
        request->mail.run = run_done;
        mailbox_post(request->home, &request->mail);
        return;
    }
    pthread_mutex_lock(&store->done_lock);
    request->finished = true;
    pthread_cond_broadcast(&store->done);
    pthread_mutex_unlock(&store->done_lock);
}

static void note_why(struct store_request *request, const struct why *why)
{
    arena_reset(&request->arena); // half a result is none
    struct str text = str_of(why->text);
    request->why = STR_EMPTY;
    if (text.len > 0 && arena_fits(&request->arena, text.len + 1))
        request->why = arena_str(&request->arena, text);
}

// What peers may make large, and keeps its memory until it is written.
static size_t bytes_of(const struct store_request *request)
{
    switch (request->call->op) {
    case OP_APPEND:
        return CONTAINER_OF(request, const struct store_append, request)->stanza.len;
    case OP_DOCUMENT_PUT:
        return CONTAINER_OF(request, const struct store_document_put, request)->document.xml.len;
    default:
        return 0;
    }
}

static void complete(struct store_request *request, enum err e, const struct why *why)
{
    struct store *store = request->store;
    size_t bytes = bytes_of(request); // the caller may free it at once
    bool changes = request->call->changes;
    request->result = e;
    if (e != OK)
        note_why(request, why);
    // release: who finds none in hand reads past the writer, and must find what was committed
    if (changes)
        atomic_fetch_sub_explicit(&store->n_changes_in_hand, 1, memory_order_release);
    hand_back(request);
    // after it: whoever finds nothing in hand finds all completions in their mailboxes
    atomic_fetch_sub_explicit(&store->bytes_in_hand, bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&store->n_in_hand, 1, memory_order_release);
}

bool store_is_idle(const struct store *store)
{
    return atomic_load_explicit(&store->n_in_hand, memory_order_acquire) == 0;
}

enum err store_wait(struct store_request *request)
{
    struct store *store = request->store;
    must(store != NULL && request->home == NULL);
    pthread_mutex_lock(&store->done_lock);
    while (!request->finished)
        pthread_cond_wait(&store->done, &store->done_lock);
    pthread_mutex_unlock(&store->done_lock);
    return request->result;
}

void store_release(struct store_request *request)
{
    arena_done(&request->arena);
    request->why = STR_EMPTY;
    request->finished = false;
}

/* ---- Readers ------------------------------------------------------------------------------- */

static void *read_loop(void *context)
{
    struct reader *reader = context;
    struct store *store = reader->store;
    for (;;) {
        pthread_mutex_lock(&store->read_lock);
        while (store->reads.first == NULL && !store->reads_closing)
            pthread_cond_wait(&store->read_wake, &store->read_lock);
        struct store_request *request = queue_take(&store->reads);
        pthread_mutex_unlock(&store->read_lock);
        if (request == NULL)
            return NULL;
        struct why why = {{0}};
        enum err e = store->backend->read(reader->connection, request->call->op, request, &why);
        count(&store->n_reads, 1);
        complete(request, e, &why);
    }
}

static void give_to_readers(struct store *store, struct store_request *request)
{
    pthread_mutex_lock(&store->read_lock);
    queue_add(&store->reads, request);
    pthread_mutex_unlock(&store->read_lock);
    pthread_cond_signal(&store->read_wake); // not before: it would wake to wait for the lock
}

/* ---- The writer ---------------------------------------------------------------------------- */

static void wake_writer(void *context)
{
    struct store *store = context;
    pthread_mutex_lock(&store->wake_lock);
    store->woken = true;
    pthread_mutex_unlock(&store->wake_lock);
    pthread_cond_signal(&store->wake);
}

// On the writer's thread.
static void arrive(struct mail *mail)
{
    struct store_request *request = CONTAINER_OF(mail, struct store_request, mail);
    queue_add(&request->store->arrived, request);
}

// Sleeps until there is mail, or a while has passed when the store has failed.  False: closing.
static bool wait_for_mail(struct store *store)
{
    if (!mailbox_may_sleep(&store->inbox))
        return true;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)PROBE_US * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    bool well = atomic_load_explicit(&store->health, memory_order_relaxed) == STORE_WELL;
    pthread_mutex_lock(&store->wake_lock);
    int timed_out = 0;
    while (!store->woken && !store->closing && timed_out == 0) {
        if (well)
            pthread_cond_wait(&store->wake, &store->wake_lock);
        else
            timed_out = pthread_cond_timedwait(&store->wake, &store->wake_lock, &until);
    }
    bool closing = store->closing && !store->woken;
    store->woken = false;
    pthread_mutex_unlock(&store->wake_lock);
    mailbox_awake(&store->inbox);
    return !closing;
}

static void note_home(struct store *store, const struct store_request *request)
{
    for (size_t i = 0; i < store->n_homes; i++)
        if (store->homes[i] == request->home)
            return;
    if (store->n_homes < HOMES_MOST)
        store->homes[store->n_homes++] = request->home;
    else
        store->many_homes = true;
}

static bool home_has_changes(const struct store *store, const struct store_request *request)
{
    for (size_t i = 0; i < store->n_homes; i++)
        if (store->homes[i] == request->home)
            return true;
    return store->many_homes;
}

static int compare_appends(const void *a, const void *b)
{
    const struct store_append *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static struct store_append *find_append(struct store_append **appends, size_t n, int64_t id)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (appends[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && appends[low]->id == id ? appends[low] : NULL;
}

// A message that is delivered before it was committed need not enter the spool at all.
static void fold(struct store_append **appends, size_t n, const struct store_spool_clear *clear)
{
    for (uint32_t i = 0; i < clear->n_ids; i++) {
        struct store_append *a = find_append(appends, n, clear->ids[i]);
        if (a != NULL && a->account == clear->account)
            a->folded = true;
    }
}

// Finds the appends of a batch that the same batch takes out of the spool.
static void fold_batch(const struct queue *batch, size_t n_appends)
{
    struct store_append **appends = NULL;
    size_t n = 0;
    for (struct store_request *r = batch->first; r != NULL; r = request_of(r->mail.next)) {
        if (r->call->op == OP_APPEND) {
            struct store_append *a = CONTAINER_OF(r, struct store_append, request);
            if ((a->flags & STORE_SPOOLED) == 0 || a->backdate)
                continue;
            if (appends == NULL)
                appends = calloc(n_appends, sizeof(struct store_append *));
            must(appends != NULL && n < n_appends);
            appends[n++] = a;
        }
    }
    if (n > 0)
        qsort(appends, n, sizeof(struct store_append *), compare_appends);
    for (struct store_request *r = batch->first; r != NULL && n > 0; r = request_of(r->mail.next))
        if (r->call->op == OP_SPOOL_CLEAR)
            fold(appends, n, CONTAINER_OF(r, struct store_spool_clear, request));
    free(appends);
}

static void set_health(struct store *store, enum err e, const struct why *why)
{
    enum store_health now = e == OK ? STORE_WELL : e == ERR_FULL ? STORE_FULL : STORE_FAILING;
    enum store_health before =
        (enum store_health)atomic_exchange_explicit(&store->health, (int)now, memory_order_relaxed);
    if (now == before)
        return;
    if (now == STORE_WELL) {
        log_event(LOG_NOTICE, "store-recovered", NULL);
        return;
    }
    struct arena arena;
    arena_init(&arena, 4096);
    struct str text = log_quote(&arena, str_of(why->text));
    log_event(LOG_ERROR, now == STORE_FULL ? "store-full" : "store-failing", "why=%.*s",
              STR_ARGS(text));
    arena_done(&arena);
}

static void count_commit(struct store *store, size_t n_changes, int64_t took_us)
{
    count(&store->n_commits, 1);
    atomic_fetch_add_explicit(&store->total_commit_us, took_us, memory_order_relaxed);
    if (took_us > atomic_load_explicit(&store->longest_commit_us, memory_order_relaxed))
        atomic_store_explicit(&store->longest_commit_us, took_us, memory_order_relaxed);
    if (n_changes > atomic_load_explicit(&store->largest_batch, memory_order_relaxed))
        atomic_store_explicit(&store->largest_batch, n_changes, memory_order_relaxed);
    atomic_store_explicit(&store->log_bytes, store->backend->log_bytes(store->writer),
                          memory_order_relaxed);
}

// Carries out the changes and commits; results are in each request.  The error that took the
// whole batch, or OK.
static enum err commit_changes(struct store *store, struct queue *changes, size_t n,
                               struct why *why)
{
    const struct backend *backend = store->backend;
    int64_t began_us = clock_now_us();
    uint64_t n_messages = 0;
    enum err e = backend->begin(store->writer, why);
    if (e != OK)
        return e;
    for (struct store_request *r = changes->first; r != NULL; r = request_of(r->mail.next)) {
        struct why own;
        own.text[0] = '\0'; // no more of it: this is done for each message
        r->result = backend->change(store->writer, r->call->op, r, &own);
        if (r->result != OK && backend->spoils(store->writer)) {
            backend->rollback(store->writer);
            *why = own;
            return r->result;
        }
        if (r->result != OK)
            note_why(r, &own);
        n_messages += r->call->op == OP_APPEND && r->result == OK;
    }
    e = backend->commit(store->writer, why);
    if (e == OK) {
        count_commit(store, n, clock_now_us() - began_us);
        count(&store->n_messages, n_messages);
    }
    return e;
}

static void finish_changes(struct store *store, struct queue *changes, enum err e,
                           const struct why *why)
{
    for (struct store_request *r; (r = queue_take(changes)) != NULL;) {
        struct why own;
        if (e == OK && r->result != OK) {
            memset(own.text, 0, sizeof own.text);
            if (r->why.len < sizeof own.text)
                memcpy(own.text, r->why.at, r->why.len);
        }
        complete(r, e != OK ? e : r->result, e != OK ? why : &own);
    }
}

// Takes from what has arrived one batch of changes; reads that need not wait for it go to the
// readers at once, others into reads.
static size_t take_batch(struct store *store, struct queue *changes, struct queue *reads)
{
    size_t n = 0, n_appends = 0;
    bool clears = false;
    store->n_homes = 0;
    store->many_homes = false;
    while (n < BATCH_MOST && store->arrived.first != NULL) {
        struct store_request *r = queue_take(&store->arrived);
        if (!r->call->changes) {
            if (home_has_changes(store, r))
                queue_add(reads, r);
            else
                give_to_readers(store, r);
            continue;
        }
        note_home(store, r);
        queue_add(changes, r);
        n++;
        n_appends += r->call->op == OP_APPEND;
        clears |= r->call->op == OP_SPOOL_CLEAR;
    }
    if (n_appends > 0 && clears)
        fold_batch(changes, n_appends);
    return n;
}

static void serve(struct store *store)
{
    struct queue changes = {0}, reads = {0};
    size_t n = take_batch(store, &changes, &reads);
    if (n > 0) {
        struct why why = {{0}};
        enum err e = commit_changes(store, &changes, n, &why);
        if (e != OK)
            count(&store->n_failed_commits, 1);
        set_health(store, e, &why);
        store->probed_us = clock_now_us();
        count(&store->n_changes, n);
        finish_changes(store, &changes, e, &why);
    }
    for (struct store_request *r; (r = queue_take(&reads)) != NULL;)
        give_to_readers(store, r);
}

static void probe(struct store *store)
{
    if (atomic_load_explicit(&store->health, memory_order_relaxed) == STORE_WELL ||
        clock_now_us() - store->probed_us < PROBE_US)
        return;
    struct why why = {{0}};
    set_health(store, store->backend->probe(store->writer, &why), &why);
    store->probed_us = clock_now_us();
}

static void *write_loop(void *context)
{
    struct store *store = context;
    for (;;) {
        mailbox_drain(&store->inbox);
        if (store->arrived.first != NULL) {
            serve(store);
            bool idle = store->arrived.first == NULL && mailbox_waiting(&store->inbox) == 0;
            store->backend->tend(store->writer, idle);
            continue;
        }
        probe(store);
        if (mailbox_waiting(&store->inbox) > 0 || store->backend->tend(store->writer, true))
            continue;
        if (!wait_for_mail(store))
            return NULL;
    }
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static enum err start_thread(pthread_t *thread, void *(*run)(void *), void *context,
                             const char *name, struct why *why)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are the main thread's
    int e = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0)
        return why_say(why, ERR_IO, "cannot start a thread of the store: error %d", e);
    pthread_setname_np(*thread, name);
    return OK;
}

static void stop_readers(struct store *store, unsigned n_started)
{
    pthread_mutex_lock(&store->read_lock);
    store->reads_closing = true;
    pthread_cond_broadcast(&store->read_wake);
    pthread_mutex_unlock(&store->read_lock);
    for (unsigned i = 0; i < n_started; i++)
        pthread_join(store->readers[i].thread, NULL);
}

static void store_free(struct store *store)
{
    for (unsigned i = 0; i < store->n_readers; i++)
        store->backend->close(&store->readers[i].connection);
    store->backend->close(&store->writer);
    pthread_mutex_destroy(&store->wake_lock);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->read_lock);
    pthread_cond_destroy(&store->read_wake);
    pthread_mutex_destroy(&store->done_lock);
    pthread_cond_destroy(&store->done);
    free(store);
}

static struct store *store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    must(store != NULL);
    store->backend = &backend_sqlite;
    store->queue_most = options->queue_most > 0 ? options->queue_most : QUEUE_DEFAULT;
    store->queue_bytes_most =
        options->queue_bytes_most > 0 ? options->queue_bytes_most : QUEUE_BYTES_DEFAULT;
    store->n_readers = options->n_readers > 0 ? options->n_readers : READERS_DEFAULT;
    if (store->n_readers > READERS_MOST)
        store->n_readers = READERS_MOST;
    atomic_store(&store->id_seed, random_u64());
    mailbox_init(&store->inbox, wake_writer, store);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->wake_lock, NULL);
    pthread_cond_init(&store->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&store->read_lock, NULL);
    pthread_cond_init(&store->read_wake, NULL);
    pthread_mutex_init(&store->done_lock, NULL);
    pthread_cond_init(&store->done, NULL);
    return store;
}

static enum err connect_all(struct store *store, const struct store_options *options,
                            struct why *why)
{
    struct backend_shared shared = {0};
    enum err e = store->backend->open(options, true, &shared, &store->writer, why);
    for (unsigned i = 0; i < store->n_readers && e == OK; i++) {
        store->readers[i].store = store;
        e = store->backend->open(options, false, &shared, &store->readers[i].connection, why);
    }
    atomic_store(&store->newest_id, shared.newest_id);
    return e;
}

static enum err start_all(struct store *store, struct why *why)
{
    unsigned n = 0;
    enum err e = OK;
    for (; n < store->n_readers && e == OK; n++)
        e = start_thread(&store->readers[n].thread, read_loop, &store->readers[n], "store-read",
                         why);
    if (e != OK)
        n--;
    else
        e = start_thread(&store->writer_thread, write_loop, store, "store-write", why);
    if (e != OK)
        stop_readers(store, n);
    return e;
}

enum err store_open(const struct store_options *options, struct store **out, struct why *why)
{
    struct store *store = store_new(options);
    enum err e = connect_all(store, options, why);
    if (e == OK)
        e = start_all(store, why);
    if (e != OK) {
        store_free(store);
        return e;
    }
    *out = store;
    return OK;
}

void store_close(struct store **store_at)
{
    struct store *store = TAKE(*store_at);
    if (store == NULL)
        return;
    pthread_mutex_lock(&store->wake_lock);
    store->closing = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->wake_lock);
    pthread_join(store->writer_thread, NULL);
    stop_readers(store, store->n_readers);
    store_free(store);
}

bool store_is_busy(const struct store *store)
{
    return atomic_load_explicit(&store->n_in_hand, memory_order_relaxed) >=
               store->queue_most - store->queue_most / 4 ||
           atomic_load_explicit(&store->bytes_in_hand, memory_order_relaxed) >=
               store->queue_bytes_most - store->queue_bytes_most / 4;
}

void store_stats(const struct store *store, struct store_stats *out)
{
#define LOAD(field) atomic_load_explicit(&store->field, memory_order_relaxed)
    *out = (struct store_stats){
        .health = (enum store_health)LOAD(health),
        .n_commits = LOAD(n_commits),
        .n_failed_commits = LOAD(n_failed_commits),
        .n_changes = LOAD(n_changes),
        .n_reads = LOAD(n_reads),
        .n_refused = LOAD(n_refused),
        .n_messages = LOAD(n_messages),
        .largest_batch = LOAD(largest_batch),
        .queue_length = LOAD(n_in_hand),
        .queue_bytes = LOAD(bytes_in_hand),
        .longest_commit_us = LOAD(longest_commit_us),
        .total_commit_us = LOAD(total_commit_us),
        .log_bytes = LOAD(log_bytes),
    };
#undef LOAD
}

/* ---- The operations ------------------------------------------------------------------------ */

static void submit(struct store *store, struct store_request *request,
                   const struct store_call *call)
{
    must(request->home == NULL || request->done != NULL);
    request->store = store;
    request->call = call;
    request->result = OK;
    request->why = STR_EMPTY;
    request->finished = false;
    arena_done(&request->arena);
    arena_init(&request->arena,
               request->results_most > 0 ? request->results_most : RESULTS_DEFAULT);
    if (!call->changes) // a reader fills it, and it is freed on the thread that asks
        arena_begin(&request->arena);
    size_t bytes = bytes_of(request);
    if (call->changes)
        atomic_fetch_add_explicit(&store->n_changes_in_hand, 1, memory_order_relaxed);
    unsigned before = atomic_fetch_add_explicit(&store->n_in_hand, 1, memory_order_relaxed);
    size_t bytes_before =
        atomic_fetch_add_explicit(&store->bytes_in_hand, bytes, memory_order_relaxed);
    // one of any size finds its place where nothing else is
    bool too_large =
        bytes > 0 && bytes_before > 0 &&
        (bytes_before >= store->queue_bytes_most || bytes > store->queue_bytes_most - bytes_before);
    if (before >= store->queue_most || too_large) {
        count(&store->n_refused, 1);
        struct why why;
        complete(request, why_say(&why, ERR_BUSY, "%u operations wait for the store", before),
                 &why);
        return;
    }
    // his own changes are done if nobody's is in hand: they were counted on this thread
    if (!call->changes &&
        atomic_load_explicit(&store->n_changes_in_hand, memory_order_acquire) == 0) {
        give_to_readers(store, request);
        return;
    }
    request->mail.run = arrive;
    mailbox_post(&store->inbox, &request->mail);
}

#define OPERATION(name, code, does_change)                                                         \
    void store_##name(struct store *store, struct store_##name *op)                                \
    {                                                                                              \
        static const struct store_call call = {.op = code, .changes = does_change};                \
        submit(store, &op->request, &call);                                                        \
    }

OPERATION(account_create, OP_ACCOUNT_CREATE, true)
OPERATION(account_find, OP_ACCOUNT_FIND, false)
OPERATION(account_set_keys, OP_ACCOUNT_SET_KEYS, true)
OPERATION(account_disable, OP_ACCOUNT_DISABLE, true)
OPERATION(account_delete, OP_ACCOUNT_DELETE, true)
OPERATION(account_list, OP_ACCOUNT_LIST, false)
OPERATION(account_count, OP_ACCOUNT_COUNT, false)
OPERATION(account_seen, OP_ACCOUNT_SEEN, true)
OPERATION(account_load, OP_ACCOUNT_LOAD, false)
OPERATION(roster_set, OP_ROSTER_SET, true)
OPERATION(pending_set, OP_PENDING_SET, true)
OPERATION(block, OP_BLOCK, true)
OPERATION(archive_prefs_set, OP_ARCHIVE_PREFS_SET, true)
OPERATION(document_put, OP_DOCUMENT_PUT, true)
OPERATION(document_get, OP_DOCUMENT_GET, false)
OPERATION(document_list, OP_DOCUMENT_LIST, false)
OPERATION(spool_list, OP_SPOOL_LIST, false)
OPERATION(spool_clear, OP_SPOOL_CLEAR, true)
OPERATION(spool_count, OP_SPOOL_COUNT, false)
OPERATION(spool_expire, OP_SPOOL_EXPIRE, true)
OPERATION(archive_query, OP_ARCHIVE_QUERY, false)
OPERATION(archive_span, OP_ARCHIVE_SPAN, false)
OPERATION(archive_withdraw, OP_ARCHIVE_WITHDRAW, true)
OPERATION(archive_told, OP_ARCHIVE_TOLD, true)
OPERATION(archive_purge, OP_ARCHIVE_PURGE, true)
OPERATION(deliveries, OP_DELIVERIES, false)
OPERATION(deliveries_expire, OP_DELIVERIES_EXPIRE, true)
OPERATION(record_put, OP_RECORD_PUT, true)
OPERATION(record_get, OP_RECORD_GET, false)
OPERATION(record_remove, OP_RECORD_REMOVE, true)
OPERATION(record_list, OP_RECORD_LIST, false)
OPERATION(record_expire, OP_RECORD_EXPIRE, true)
OPERATION(event_append, OP_EVENT_APPEND, true)
OPERATION(event_read, OP_EVENT_READ, false)
OPERATION(event_trim, OP_EVENT_TRIM, true)
OPERATION(upload_put, OP_UPLOAD_PUT, true)
OPERATION(upload_mark, OP_UPLOAD_MARK, true)
OPERATION(upload_remove, OP_UPLOAD_REMOVE, true)
OPERATION(upload_list, OP_UPLOAD_LIST, false)
OPERATION(audit_append, OP_AUDIT_APPEND, true)
OPERATION(audit_list, OP_AUDIT_LIST, false)

void store_record_take(struct store *store, struct store_record_get *op)
{
    static const struct store_call call = {.op = OP_RECORD_TAKE, .changes = true};
    submit(store, &op->request, &call);
}

// An id: the time, then random bits; always greater than those given before.
static int64_t next_id(struct store *store, int64_t wall_us, bool backdate)
{
    struct prng prng = {
        atomic_fetch_add_explicit(&store->id_seed, 0x9E3779B97F4A7C15U, memory_order_relaxed)};
    uint64_t noise = prng_u64(&prng);
    int64_t now_us = clock_wall_us();
    if (wall_us == 0 || wall_us > now_us)
        wall_us = now_us; // a stamp from the future would drag all later ones along
    if (wall_us < 1)
        wall_us = 1;
    int64_t by_time = wall_us << STORE_ID_SHIFT | (int64_t)(noise & ((1U << STORE_ID_SHIFT) - 1));
    if (backdate)
        return by_time;
    int64_t newest = atomic_load_explicit(&store->newest_id, memory_order_relaxed), id;
    do {
        id = newest + 1 + (int64_t)(noise >> 61);
        if (by_time > id)
            id = by_time;
    } while (!atomic_compare_exchange_weak_explicit(&store->newest_id, &newest, id,
                                                    memory_order_relaxed, memory_order_relaxed));
    return id;
}

void store_account_import(struct store *store, struct store_account_import *op)
{
    static const struct store_call call = {.op = OP_ACCOUNT_IMPORT, .changes = true};
    for (uint32_t i = 0; i < op->n; i++)
        for (uint32_t m = 0; m < op->accounts[i].n_messages; m++) {
            struct store_append *append = &op->accounts[i].messages[m];
            must(append->n_lures <= STORE_LURES_MOST);
            append->id = next_id(store, append->wall_us, append->backdate);
            append->folded = false;
        }
    submit(store, &op->request, &call);
}

void store_append(struct store *store, struct store_append *op)
{
    static const struct store_call call = {.op = OP_APPEND, .changes = true};
    must(op->n_lures <= STORE_LURES_MOST);
    op->id = next_id(store, op->wall_us, op->backdate);
    op->folded = false;
    submit(store, &op->request, &call);
}
