/*
 * Kills a process that writes to the store, again and again, and looks whether
 * everything it was told to be durable is there.
 *
 *     store_kill_test [CYCLES [SEED [LONGEST_LIFE_MS]]]
 *
 * The writer reports each acknowledged operation through a pipe; it dies by
 * SIGKILL at a random moment.  Three kinds of death: plain; with the disk's
 * unsynced writes lost, as in a power cut; and the same with writes and syncs
 * that fail now and then.  Prints how many operations were checked.
 */
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FLIGHT = 24, PAGE = 1000, MOST = 2000000, PURGE_EVERY = 60 };

enum done { DONE_ARCHIVED, DONE_SPOOLED, DONE_CLEARED };

struct report {
    int64_t id;
    int64_t done; // enum done
};

/* ---- The writer, which dies ----------------------------------------------------------------- */

struct slot {
    union {
        struct store_append append;
        struct store_spool_clear clear;
    };
    int64_t id;
    bool archived;
};

static struct {
    struct store *store;
    struct mailbox mailbox;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken; // lock
    int64_t account;
    int pipe;
    uint64_t n;
    struct slot slots[IN_FLIGHT];
    struct store_archive_purge purge;
    bool purging;
} writer; // one in a process: completions find it here

static void wake(void *context)
{
    (void)context;
    pthread_mutex_lock(&writer.lock);
    writer.woken = true;
    pthread_cond_signal(&writer.wake);
    pthread_mutex_unlock(&writer.lock);
}

static void tell(int64_t id, enum done done)
{
    struct report report = {id, done};
    must(write(writer.pipe, &report, sizeof report) == sizeof report);
}

static void append_next(struct slot *slot);

static void cleared(struct store_request *request)
{
    struct slot *slot = CONTAINER_OF(request, struct slot, clear.request);
    if (request->result == OK)
        tell(slot->id, DONE_CLEARED);
    store_release(request);
    append_next(slot);
}

static void appended(struct store_request *request)
{
    struct slot *slot = CONTAINER_OF(request, struct slot, append.request);
    enum err e = request->result;
    slot->id = slot->append.id;
    store_release(request);
    if (e != OK || writer.n % 3 == 0) {
        if (e == OK)
            tell(slot->id, slot->archived ? DONE_ARCHIVED : DONE_SPOOLED);
        append_next(slot);
        return;
    }
    tell(slot->id, slot->archived ? DONE_ARCHIVED : DONE_SPOOLED);
    slot->clear = (struct store_spool_clear){
        .request = {.home = &writer.mailbox, .done = cleared},
        .account = writer.account,
        .ids = &slot->id,
        .n_ids = 1,
    };
    store_spool_clear(writer.store, &slot->clear);
}

static void purged(struct store_request *request)
{
    store_release(request);
    writer.purging = false;
}

// Erases nothing, but moves all places to where they stay: deaths shall fall into that too.
static void purge_nothing(void)
{
    writer.purging = true;
    writer.purge = (struct store_archive_purge){
        .request = {.home = &writer.mailbox, .done = purged},
        .before_us = 1,
        .most = 1,
    };
    store_archive_purge(writer.store, &writer.purge);
}

static void append_next(struct slot *slot)
{
    if (writer.n % PURGE_EVERY == PURGE_EVERY - 1 && !writer.purging)
        purge_nothing();
    slot->archived = writer.n++ % 4 != 0;
    slot->append = (struct store_append){
        .request = {.home = &writer.mailbox, .done = appended},
        .account = writer.account,
        .peer = STR("juliet@example.org"),
        .stanza = STR("<message><body>It is the east, and Juliet is the sun.</body></message>"),
        .flags = (uint8_t)(STORE_SPOOLED | (slot->archived ? STORE_ARCHIVED : 0)),
    };
    store_append(writer.store, &slot->append);
}

static _Noreturn void write_until_killed(const char *path, const char *faults, int64_t account,
                                         int pipe_fd)
{
    struct why why = {{0}};
    writer.account = account;
    writer.pipe = pipe_fd;
    pthread_mutex_init(&writer.lock, NULL);
    pthread_cond_init(&writer.wake, NULL);
    mailbox_init(&writer.mailbox, wake, NULL);
    if (store_open(&(struct store_options){.path = path, .test_faults = faults}, &writer.store,
                   &why) != OK) {
        fprintf(stderr, "%s\n", why.text);
        _exit(1);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        append_next(&writer.slots[i]);
    for (;;) {
        if (mailbox_drain(&writer.mailbox) > 0 || !mailbox_may_sleep(&writer.mailbox))
            continue;
        pthread_mutex_lock(&writer.lock);
        while (!writer.woken)
            pthread_cond_wait(&writer.wake, &writer.lock);
        writer.woken = false;
        pthread_mutex_unlock(&writer.lock);
        mailbox_awake(&writer.mailbox);
    }
}

/* ---- The judge ------------------------------------------------------------------------------ */

struct ids {
    int64_t *at;
    size_t n;
};

static void ids_add(struct ids *ids, int64_t id)
{
    must(ids->n < MOST);
    ids->at[ids->n++] = id;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool has(const struct ids *sorted, int64_t id)
{
    return bsearch(&id, sorted->at, sorted->n, sizeof id, compare) != NULL;
}

static struct {
    struct ids archived, spooled, cleared; // what was acknowledged
    struct ids in_archive, in_spool;       // what is there
} known;

static void take_reports(int fd, int64_t kill_at_us, pid_t child)
{
    struct report report;
    bool killed = false;
    for (;;) {
        if (!killed && clock_now_us() >= kill_at_us)
            killed = kill(child, SIGKILL) == 0;
        ssize_t n = read(fd, &report, sizeof report);
        if (n < 0 && errno == EAGAIN) {
            usleep(200);
            continue;
        }
        if (n != sizeof report) // a report is smaller than a pipe's atomic write
            return;
        ids_add(report.done == DONE_CLEARED    ? &known.cleared
                : report.done == DONE_ARCHIVED ? &known.archived
                                               : &known.spooled,
                report.id);
    }
}

static void look(struct store *store, int64_t account)
{
    known.in_archive.n = known.in_spool.n = 0;
    for (int64_t after = 0;;) {
        struct store_archive_query q = {.account = account, .after_id = after, .most = PAGE};
        store_archive_query(store, &q);
        must(store_wait(&q.request) == OK);
        for (uint32_t i = 0; i < q.n; i++)
            ids_add(&known.in_archive, after = q.messages[i].id);
        bool complete = q.complete;
        store_release(&q.request);
        if (complete)
            break;
    }
    for (int64_t after = 0;;) {
        struct store_spool_list l = {.account = account, .after_id = after, .most = PAGE};
        store_spool_list(store, &l);
        must(store_wait(&l.request) == OK);
        for (uint32_t i = 0; i < l.n; i++)
            ids_add(&known.in_spool, after = l.messages[i].id);
        bool more = l.more;
        store_release(&l.request);
        if (!more)
            break;
    }
}

static unsigned judge(unsigned cycle)
{
    unsigned n_lost = 0;
    qsort(known.cleared.at, known.cleared.n, sizeof(int64_t), compare);
    for (size_t i = 0; i < known.archived.n; i++)
        if (!has(&known.in_archive, known.archived.at[i])) {
            printf("cycle %u: archived %lld is lost\n", cycle, (long long)known.archived.at[i]);
            n_lost++;
        }
    for (size_t i = 0; i < known.in_spool.n; i++)
        if (has(&known.cleared, known.in_spool.at[i])) {
            printf("cycle %u: %lld is back in the spool\n", cycle, (long long)known.in_spool.at[i]);
            n_lost++;
        }
    return n_lost;
}

// A message only in the spool may have been cleared by an operation whose report was cut off.
static unsigned judge_spooled(unsigned cycle, size_t from)
{
    unsigned n_gone = 0;
    for (size_t i = from; i < known.spooled.n; i++)
        if (!has(&known.in_spool, known.spooled.at[i]) && !has(&known.cleared, known.spooled.at[i]))
            n_gone++;
    if (n_gone > IN_FLIGHT) {
        printf("cycle %u: %u messages left the spool uncalled\n", cycle, n_gone);
        return n_gone;
    }
    return 0;
}

static struct store *open_store(const char *path)
{
    struct store *store = NULL;
    struct why why = {{0}};
    if (store_open(&(struct store_options){.path = path}, &store, &why) != OK) {
        printf("cannot open after a kill: %s\n", why.text);
        exit(1);
    }
    return store;
}

static int64_t make_account(const char *path)
{
    struct store *store = open_store(path);
    struct store_account_create a = {.local = STR("romeo"), .domain = STR("example.org")};
    store_account_create(store, &a);
    must(store_wait(&a.request) == OK);
    store_release(&a.request);
    store_close(&store);
    return a.account;
}

static unsigned one_cycle(const char *path, const char *faults, int64_t account, unsigned cycle,
                          int64_t life_us)
{
    int fds[2];
    must(pipe2(fds, O_CLOEXEC) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        close(fds[0]);
        write_until_killed(path, faults, account, fds[1]);
    }
    close(fds[1]);
    must(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    size_t n_spooled = known.spooled.n;
    take_reports(fds[0], clock_now_us() + life_us, child);
    close(fds[0]);
    int status;
    must(waitpid(child, &status, 0) == child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        printf("cycle %u: the writer ended by itself (%d)\n", cycle, status);
        return 1;
    }
    struct store *store = open_store(path);
    look(store, account);
    store_close(&store);
    return judge(cycle) + judge_spooled(cycle, n_spooled);
}

static void remove_all(const char *directory)
{
    DIR *d = opendir(directory);
    must(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(directory);
}

int main(int argc, char **argv)
{
    unsigned n_cycles = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 60;
    struct prng prng = {argc > 2 ? strtoull(argv[2], NULL, 10) : 1};
    uint64_t longest_us = argc > 3 ? strtoull(argv[3], NULL, 10) * 1000 : 60000;
    random_start();
    must(log_open(NULL, LOG_ERROR - 1, false, NULL) == OK); // the faults' own lines say nothing new
    struct ids *all[] = {&known.archived, &known.spooled, &known.cleared, &known.in_archive,
                         &known.in_spool};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        all[i]->at = malloc(MOST * sizeof(int64_t));
        must(all[i]->at != NULL);
    }
    char directory[] = "/tmp/store-kill-XXXXXX", path[64];
    must(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/test.sqlite", directory);
    int64_t account = make_account(path);
    unsigned n_lost = 0;
    for (unsigned i = 0; i < n_cycles; i++) {
        char random[64];
        snprintf(random, sizeof random, "volatile,random@%u/200", i);
        const char *const faults[] = {NULL, "volatile", random};
        int64_t life_us = 5000 + (int64_t)prng_below(&prng, longest_us);
        n_lost += one_cycle(path, faults[i % COUNT_OF(faults)], account, i, life_us);
    }
    printf("%u kills; acknowledged: %zu archived, %zu spooled only, %zu taken out; lost: %u\n",
           n_cycles, known.archived.n, known.spooled.n, known.cleared.n, n_lost);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        free(all[i]->at);
    remove_all(directory);
    return n_lost == 0 ? 0 : 1;
}
