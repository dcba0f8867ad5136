/*
 * What a message costs in the store: CPU microseconds by batch size.
 *
 *     store_bench DIRECTORY [MESSAGES [BATCH]]
 *
 * "row" is one archived row.  "message" is what a chat message costs with
 * archive and stream management: the sender's row, the recipient's row that
 * waits in the spool, and taking it out of the spool again.  Counted is the CPU
 * time of the whole process, so submitting and completing too.
 */
#include "base/clock.h"
#include "base/list.h"
#include "base/must.h"
#include "base/random.h"
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ACCOUNTS = 400, BATCH_MOST = 1024, STANZA_SIZE = 300 };

struct caller {
    struct store *store;
    struct mailbox mailbox;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken; // lock
    unsigned n_awaited;
    struct store_append appends[2 * BATCH_MOST];
    struct store_spool_clear clears[BATCH_MOST];
    int64_t ids[BATCH_MOST], owners[BATCH_MOST];
    unsigned n_to_clear;
    int64_t accounts[ACCOUNTS];
    char names[ACCOUNTS][40];
    struct str stanza;
    uint64_t n;
};

static void wake(void *context)
{
    struct caller *c = context;
    pthread_mutex_lock(&c->lock);
    c->woken = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

static struct caller caller; // completions find it: there is one

static void done(struct store_request *request)
{
    must(request->result == OK);
    store_release(request);
    caller.n_awaited--;
}

static void wait_all(struct caller *c)
{
    while (c->n_awaited > 0) {
        if (mailbox_drain(&c->mailbox) > 0 || !mailbox_may_sleep(&c->mailbox))
            continue;
        pthread_mutex_lock(&c->lock);
        while (!c->woken)
            pthread_cond_wait(&c->wake, &c->lock);
        c->woken = false;
        pthread_mutex_unlock(&c->lock);
        mailbox_awake(&c->mailbox);
    }
}

static int64_t append(struct caller *c, struct store_append *a, unsigned owner, unsigned peer,
                      uint8_t flags)
{
    *a = (struct store_append){
        .request = {.home = &c->mailbox, .done = done},
        .account = c->accounts[owner],
        .peer = str_of(c->names[peer]),
        .resource = STR("phone"),
        .message_id = STR("3f1c2a7e-91"),
        .origin_id = STR("3f1c2a7e-91"),
        .stanza = c->stanza,
        .flags = flags,
    };
    c->n_awaited++;
    store_append(c->store, a);
    return a->id;
}

static void batch_of_rows(struct caller *c, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        unsigned owner = (unsigned)(c->n++ * 7919 % ACCOUNTS);
        append(c, &c->appends[i], owner, owner ^ 1, STORE_ARCHIVED);
    }
    wait_all(c);
}

static void batch_of_messages(struct caller *c, unsigned size)
{
    for (unsigned i = 0; i < c->n_to_clear; i++) {
        c->clears[i] = (struct store_spool_clear){
            .request = {.home = &c->mailbox, .done = done},
            .account = c->owners[i],
            .ids = &c->ids[i],
            .n_ids = 1,
        };
        c->n_awaited++;
        store_spool_clear(c->store, &c->clears[i]);
    }
    // the ids of this round are cleared with the next one, as a client's <a/> would
    int64_t ids[BATCH_MOST], owners[BATCH_MOST];
    for (unsigned i = 0; i < size; i++) {
        unsigned from = (unsigned)(c->n++ * 7919 % ACCOUNTS), to = from ^ 1;
        append(c, &c->appends[2 * i], from, to, STORE_ARCHIVED | STORE_OUTGOING);
        ids[i] = append(c, &c->appends[2 * i + 1], to, from, STORE_ARCHIVED | STORE_SPOOLED);
        owners[i] = c->accounts[to];
    }
    wait_all(c);
    memcpy(c->ids, ids, size * sizeof *ids);
    memcpy(c->owners, owners, size * sizeof *owners);
    c->n_to_clear = size;
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND_US + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

static void measure(struct caller *c, const char *what, void (*batch)(struct caller *, unsigned),
                    unsigned size, unsigned n)
{
    unsigned n_batches = (n + size - 1) / size;
    int64_t cpu = cpu_us(), wall = clock_now_us();
    for (unsigned i = 0; i < n_batches; i++)
        batch(c, size);
    cpu = cpu_us() - cpu;
    wall = clock_now_us() - wall;
    double count = (double)n_batches * size;
    printf("%-8s batch %4u: %6.2f us CPU, %7.2f us elapsed each (%.0f)\n", what, size,
           (double)cpu / count, (double)wall / count, count);
}

static void make_accounts(struct caller *c)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        snprintf(c->names[i], sizeof c->names[i], "person%u@example.org", i);
        struct store_account_create op = {.local = str_of(c->names[i]), .domain = STR("x")};
        store_account_create(c->store, &op);
        must(store_wait(&op.request) == OK);
        c->accounts[i] = op.account;
        store_release(&op.request);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: store_bench DIRECTORY [MESSAGES [BATCH]]\n");
        return 2;
    }
    random_start();
    char path[4096], stanza[STANZA_SIZE];
    snprintf(path, sizeof path, "%s/bench.sqlite", argv[1]);
    unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 40000;
    memset(stanza, 'x', sizeof stanza);

    struct caller *c = &caller;
    struct why why;
    c->stanza = str_make(stanza, sizeof stanza);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    mailbox_init(&c->mailbox, wake, c);
    if (store_open(&(struct store_options){.path = path}, &c->store, &why) != OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    make_accounts(c);
    static const unsigned sizes[] = {1, 16, 256};
    unsigned only = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        if (only != 0 && sizes[i] != only)
            continue;
        unsigned count = sizes[i] == 1 ? n / 8 : n;
        measure(c, "row", batch_of_rows, sizes[i], count);
        c->n_to_clear = 0;
        measure(c, "message", batch_of_messages, sizes[i], count);
    }
    struct store_stats stats;
    store_stats(c->store, &stats);
    printf("commits %llu, longest %lld us, mean %lld us\n", (unsigned long long)stats.n_commits,
           (long long)stats.longest_commit_us,
           (long long)(stats.total_commit_us / (int64_t)stats.n_commits));
    store_close(&c->store);
    return 0;
}
