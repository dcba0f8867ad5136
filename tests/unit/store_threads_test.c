#include "store_fixture.h"

#include "base/list.h"
#include "store/sqlite/fault_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

/* ---- Callers with a mailbox of their own --------------------------------------------------- */

struct caller {
    struct store *store;
    struct mailbox mailbox;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken; // lock
    int64_t account;
    unsigned n_awaited, n_failed;
    int64_t newest_done; // ids complete in order
    bool disorder;
    unsigned seed;
};

static void wake(void *context)
{
    struct caller *c = context;
    pthread_mutex_lock(&c->lock);
    c->woken = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

static void caller_init(struct caller *c, struct store *store, int64_t account)
{
    *c = (struct caller){.store = store, .account = account};
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    mailbox_init(&c->mailbox, wake, c);
}

static void caller_wait(struct caller *c)
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

struct task {
    struct caller *caller;
    union {
        struct store_append append;
        struct store_spool_clear clear;
        struct store_spool_count count;
    };
    int64_t id;
    uint64_t expected; // of a count
};

static struct caller *finish(struct task *task, const struct store_request *request)
{
    struct caller *c = task->caller;
    c->n_awaited--;
    c->n_failed += request->result != OK;
    return c;
}

static void appended(struct store_request *request)
{
    struct task *task = CONTAINER_OF(request, struct task, append.request);
    struct caller *c = finish(task, request);
    c->disorder |= task->append.id <= c->newest_done;
    c->newest_done = task->append.id;
    store_release(request);
    free(task);
}

static void cleared(struct store_request *request)
{
    struct task *task = CONTAINER_OF(request, struct task, clear.request);
    finish(task, request);
    store_release(request);
    free(task);
}

static void counted(struct store_request *request)
{
    struct task *task = CONTAINER_OF(request, struct task, count.request);
    struct caller *c = finish(task, request);
    c->disorder |= task->count.n != task->expected;
    store_release(request);
    free(task);
}

static struct task *task_new(struct caller *c)
{
    struct task *task = calloc(1, sizeof *task);
    must(task != NULL);
    task->caller = c;
    c->n_awaited++;
    return task;
}

static int64_t give_append(struct caller *c, uint8_t flags)
{
    struct task *task = task_new(c);
    task->append = (struct store_append){
        .request = {.home = &c->mailbox, .done = appended},
        .account = c->account,
        .peer = STR("p@x"),
        .stanza = STR("<m/>"),
        .flags = flags
    };
    store_append(c->store, &task->append);
    return task->append.id;
}

static void give_clear(struct caller *c, int64_t id)
{
    struct task *task = task_new(c);
    task->id = id;
    task->clear = (struct store_spool_clear){
        .request = {.home = &c->mailbox, .done = cleared},
        .account = c->account,
        .ids = &task->id,
        .n_ids = 1
    };
    store_spool_clear(c->store, &task->clear);
}

static void give_count(struct caller *c, uint64_t expected)
{
    struct task *task = task_new(c);
    task->expected = expected;
    task->count = (struct store_spool_count){
        .request = {.home = &c->mailbox, .done = counted},
          .account = c->account
    };
    store_spool_count(c->store, &task->count);
}

enum { ROUNDS = 30, PER_ROUND = 40 };

// Appends, takes every second one out at once, and counts what must be left.
static void *work(void *context)
{
    struct caller *c = context;
    uint64_t left = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PER_ROUND; i++) {
            int64_t id = give_append(c, STORE_SPOOLED | (i % 3 == 0 ? STORE_ARCHIVED : 0));
            if (i % 2 == 0)
                give_clear(c, id);
            else
                left++;
        }
        give_count(c, left);
        caller_wait(c); // a count may see later changes, so none are given before it is done
    }
    return NULL;
}

TEST(several_threads_each_see_their_own_order)
{
    enum { THREADS = 3 };
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        char name[8];
        snprintf(name, sizeof name, "u%d", i);
        caller_init(&callers[i], f.store, make_account(f.store, name));
    }
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, work, &callers[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        check(!callers[i].disorder && callers[i].n_failed == 0);
        DO(f.store, left, spool_count, .account = callers[i].account);
        check(left.n == ROUNDS * PER_ROUND / 2);
        DO(f.store, archive, archive_query, .account = callers[i].account, .count = true);
        check(archive.total == ROUNDS * ((PER_ROUND + 2) / 3));
    }
    while (!store_is_idle(f.store)) // the last completion may be here before it is counted out
        sched_yield();
    struct store_stats stats;
    store_stats(f.store, &stats);
    check(stats.n_messages == THREADS * ROUNDS * PER_ROUND);
    check(stats.largest_batch > 1 && stats.queue_length == 0 && stats.health == STORE_WELL);
}

TEST(one_that_fails_leaves_its_neighbours_alone)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    make_account(f.store, "romeo");
    static struct store_account_create ops[90];
    static char names[90][8];
    for (int i = 0; i < 90; i++) {
        snprintf(names[i], sizeof names[i], i % 3 == 0 ? "romeo" : "u%d", i);
        ops[i] = (struct store_account_create){.local = str_of(names[i]),
                                               .domain = STR("example.org"),
                                               .keys = {{1, STR("s"), STR("t"), STR("u")}}};
        store_account_create(f.store, &ops[i]);
    }
    for (int i = 0; i < 90; i++) {
        check(store_wait(&ops[i].request) == (i % 3 == 0 ? ERR_EXISTS : OK));
        store_release(&ops[i].request);
    }
    DO(f.store, count, account_count, .domain = STR("example.org"));
    check(count.n == 61);
}

TEST(a_full_queue_says_so)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    struct why why;
    must(store_open(&(struct store_options){.path = f.path, .queue_most = 8}, &f.store, &why) ==
         OK);
    int64_t account = make_account(f.store, "romeo");
    enum { MANY = 2000 };
    static struct store_append ops[MANY];
    for (int i = 0; i < MANY; i++) {
        ops[i] = (struct store_append){.account = account, .flags = STORE_ARCHIVED};
        store_append(f.store, &ops[i]);
    }
    uint64_t n_ok = 0;
    for (int i = 0; i < MANY; i++) {
        enum err e = store_wait(&ops[i].request);
        check(e == OK || e == ERR_BUSY);
        n_ok += e == OK;
        store_release(&ops[i].request);
    }
    struct store_stats stats;
    store_stats(f.store, &stats);
    check(stats.n_refused == MANY - n_ok && stats.n_refused > 0 && !store_is_busy(f.store));
    DO(f.store, page, archive_query, .account = account, .count = true);
    check(page.total == n_ok);
}

TEST(large_operations_fill_the_queue_too)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    struct why why;
    must(store_open(&(struct store_options){.path = f.path, .queue_bytes_most = 100000}, &f.store,
                    &why) == OK);
    int64_t account = make_account(f.store, "romeo");
    enum { MANY = 2000 };
    static struct store_append ops[MANY];
    static char text[30000];
    memset(text, 'x', sizeof text);
    for (int i = 0; i < MANY; i++) {
        ops[i] = (struct store_append){
            .account = account, .flags = STORE_ARCHIVED, .stanza = str_make(text, sizeof text)};
        store_append(f.store, &ops[i]);
    }
    uint64_t n_ok = 0;
    for (int i = 0; i < MANY; i++) {
        enum err e = store_wait(&ops[i].request);
        check(e == OK || e == ERR_BUSY);
        n_ok += e == OK;
        store_release(&ops[i].request);
    }
    while (!store_is_idle(f.store)) // a completion is counted off after it was told
        usleep(1000);
    struct store_stats stats;
    store_stats(f.store, &stats);
    check(stats.n_refused == MANY - n_ok && stats.n_refused > 0 && stats.queue_bytes == 0);
    check(!store_is_busy(f.store));
    static char huge[200000];
    memset(huge, 'x', sizeof huge);
    DO(f.store, alone, append, .account = account, .flags = STORE_ARCHIVED,
       .stanza = str_make(huge, sizeof huge));
    check(alone_e == OK);
}

/* ---- Faults -------------------------------------------------------------------------------- */

// Appends n messages one by one; those acknowledged are noted.
static unsigned append_some(struct store *store, int64_t account, unsigned n, int64_t *acked)
{
    unsigned n_acked = 0;
    for (unsigned i = 0; i < n; i++) {
        DO(store, a, append, .account = account, .peer = STR("p@x"), .stanza = STR("<m/>"),
           .flags = STORE_ARCHIVED | STORE_SPOOLED);
        if (a_e == OK)
            acked[n_acked++] = a.id;
        else
            check(a_e == ERR_FULL || a_e == ERR_IO);
    }
    return n_acked;
}

static void check_all_there(struct store *store, int64_t account, const int64_t *acked, unsigned n)
{
    DO(store, page, archive_query, .account = account, .most = 10000);
    check(page_e == OK);
    uint32_t at = 0;
    for (unsigned i = 0; i < n; i++) {
        while (at < page.n && page.messages[at].id != acked[i])
            at++;
        check(at < page.n);
    }
    DO(store, spool, spool_count, .account = account);
    check(spool.n == page.n);
}

TEST(a_disk_full_is_an_error_and_then_over)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    char spec[128], flag[96];
    snprintf(flag, sizeof flag, "%s/full", f.directory);
    snprintf(spec, sizeof spec, "full?%s", flag);
    fixture_open(&f, spec);
    int64_t account = make_account(f.store, "romeo"), acked[64];
    unsigned n = append_some(f.store, account, 10, acked);
    check(n == 10);
    int fd = open(flag, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    must(fd >= 0);
    close(fd);
    DO(f.store, refused, append, .account = account, .flags = STORE_ARCHIVED);
    check(refused_e == ERR_FULL);
    check(str_find(refused.request.why, STR("no room")) < refused.request.why.len);
    struct store_stats stats;
    store_stats(f.store, &stats);
    check(stats.health == STORE_FULL && stats.n_failed_commits == 1);
    check_all_there(f.store, account, acked, n); // reads go on
    unlink(flag);
    // it finds out by itself
    for (int i = 0; i < 200 && stats.health != STORE_WELL; i++) {
        usleep(20000);
        store_stats(f.store, &stats);
    }
    check(stats.health == STORE_WELL);
    n += append_some(f.store, account, 10, acked + n);
    check(n == 20);
    store_close(&f.store);
    fixture_open(&f, NULL);
    check_all_there(f.store, account, acked, n);
    DO(f.store, page, archive_query, .account = account, .count = true);
    check(page.total == 20);
}

TEST(each_failing_write_and_sync_loses_nothing_acknowledged)
{
    static const char *const kinds[] = {"write@%d", "sync@%d", "full@%d+2", "sync@%d+2"};
    for (size_t kind = 0; kind < COUNT_OF(kinds); kind++) {
        for (int at = 1; at <= 40; at += 1 + at / 8) {
            struct fixture f CLEANUP(fixture_done);
            fixture_make(&f);
            fixture_open(&f, NULL);
            int64_t account = make_account(f.store, "romeo"), acked[16];
            store_close(&f.store);
            char spec[32];
            snprintf(spec, sizeof spec, kinds[kind], at);
            fixture_open(&f, spec);
            unsigned n = append_some(f.store, account, 12, acked);
            check(n >= 8);
            check_all_there(f.store, account, acked, n);
            store_close(&f.store);
            fixture_open(&f, NULL);
            check_all_there(f.store, account, acked, n);
            DO(f.store, page, archive_query, .account = account, .count = true);
            check(page.total == n); // and nothing refused remains
        }
    }
}

TEST(a_batch_fails_as_one)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    fixture_open(&f, NULL);
    int64_t account = make_account(f.store, "romeo");
    store_close(&f.store);
    fixture_open(&f, "random@7/3");
    struct caller c;
    caller_init(&c, f.store, account);
    for (int i = 0; i < 300; i++) {
        give_append(&c, STORE_ARCHIVED);
        if (i % 10 == 9)
            caller_wait(&c);
    }
    caller_wait(&c);
    // the last one holds: of a commit that failed at the end of the log SQLite may find the frames
    // there when it opens it anew, unless another commit has come over them
    unsigned n = 300, failed;
    do {
        failed = c.n_failed;
        give_append(&c, STORE_ARCHIVED);
        caller_wait(&c);
        n++;
    } while (c.n_failed > failed);
    check(failed > 0 && failed < 300);
    store_close(&f.store);
    fixture_open(&f, NULL);
    DO(f.store, page, archive_query, .account = account, .count = true);
    check(page.total == n - failed);
}

TEST(faults_are_read_or_refused)
{
    static const char *const bad[] = {"write@",  "write@0",   "write@x",    "sync@1+",
                                      "random@", "random@1",  "random@1/0", "full",
                                      "full@-1", "volatile2", "write@1,,"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct fault_vfs *vfs = NULL;
        struct why why;
        check(fault_vfs_new(bad[i], &vfs, &why) == ERR_MALFORMED);
        check(vfs == NULL);
    }
}
