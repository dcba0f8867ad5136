#include "im/slowdown.h"

#include "base/list.h"
#include "base/must.h"
#include "base/table.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

enum {
    COUNTED_MOST = 100000, // who is counted longest ago makes room
    ACCOUNT_KEY_SIZE = 32, // longer than an address' block: the two are never the same
};

struct counted {
    struct link link; // in order of the last failure
    unsigned failures;
    int64_t last_us;
    int64_t first_us; // of a window, not of failures
    size_t len;
    char key[];
};

struct login_slowdown {
    pthread_mutex_t lock; // "slowdown": logins that fail, never messages
    atomic_size_t n;      // any thread: 0 spares the lock
    struct table table;
    struct list oldest_first;
    struct table windows; // of struct counted, key: kind and address
    struct list windows_oldest_first;
};

struct login_slowdown *slowdown_new(void)
{
    struct login_slowdown *slowdown = calloc(1, sizeof *slowdown);
    must(slowdown != NULL);
    pthread_mutex_init(&slowdown->lock, NULL);
    table_init(&slowdown->table, COUNTED_MOST);
    list_init(&slowdown->oldest_first);
    table_init(&slowdown->windows, COUNTED_MOST);
    list_init(&slowdown->windows_oldest_first);
    return slowdown;
}

static void drop(struct login_slowdown *slowdown, struct counted *counted)
{
    table_remove(&slowdown->table, str_make(counted->key, counted->len));
    list_leave(&counted->link);
    free(counted);
    atomic_store(&slowdown->n, slowdown->table.n);
}

static void drop_window(struct login_slowdown *slowdown, struct counted *counted)
{
    table_remove(&slowdown->windows, str_make(counted->key, counted->len));
    list_leave(&counted->link);
    free(counted);
}

void slowdown_free(struct login_slowdown **slowdown)
{
    struct login_slowdown *s = TAKE(*slowdown);
    if (s == NULL)
        return;
    LIST_EACH(&s->oldest_first, struct counted, link, counted)
    drop(s, counted);
    table_done(&s->table);
    LIST_EACH(&s->windows_oldest_first, struct counted, link, counted)
    drop_window(s, counted);
    table_done(&s->windows);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct counted *count(struct login_slowdown *slowdown, struct str key, int64_t now_us,
                             int64_t memory_us)
{
    for (;;) {
        struct counted *oldest = LIST_FIRST(&slowdown->oldest_first, struct counted, link);
        if (oldest == NULL ||
            (slowdown->table.n < COUNTED_MOST && now_us - oldest->last_us < memory_us))
            break;
        drop(slowdown, oldest);
    }
    struct counted *counted = table_get(&slowdown->table, key);
    if (counted == NULL) {
        counted = calloc(1, sizeof *counted + key.len);
        must(counted != NULL);
        counted->len = key.len;
        memcpy(counted->key, key.at, key.len);
        must(table_put(&slowdown->table, str_make(counted->key, key.len), counted) == OK);
        atomic_store(&slowdown->n, slowdown->table.n);
    } else {
        list_leave(&counted->link);
    }
    counted->failures++;
    counted->last_us = now_us;
    list_add_last(&slowdown->oldest_first, &counted->link);
    return counted;
}

static int64_t delay_of(unsigned failures, unsigned free_of_delay,
                        const struct im_settings *settings)
{
    if (failures <= free_of_delay)
        return 0;
    unsigned doublings = failures - free_of_delay - 1;
    if (doublings > 20)
        return settings->slowdown_most_us;
    int64_t delay_us = settings->slowdown_us << doublings;
    return delay_us < settings->slowdown_most_us ? delay_us : settings->slowdown_most_us;
}

/* An account's name may have two thousand bytes and a stranger may try any number of them: what is
 * remembered is of one size. */
static struct str account_key(struct str account, char out[ACCOUNT_KEY_SIZE])
{
    crypto_generichash((unsigned char *)out, ACCOUNT_KEY_SIZE, (const unsigned char *)account.at,
                       account.len, NULL, 0);
    return str_make(out, ACCOUNT_KEY_SIZE);
}

int64_t slowdown_failed(struct login_slowdown *slowdown, const struct im_settings *settings,
                        const struct addr *peer, struct str account, int64_t now_us)
{
    char block[ADDR_BLOCK_SIZE], name[ACCOUNT_KEY_SIZE];
    struct str address = addr_block(peer, block), key = account_key(account, name);
    pthread_mutex_lock(&slowdown->lock);
    unsigned by_address = count(slowdown, address, now_us, settings->failure_memory_us)->failures;
    unsigned by_account =
        account.len > 0 ? count(slowdown, key, now_us, settings->failure_memory_us)->failures : 0;
    pthread_mutex_unlock(&slowdown->lock);
    int64_t a = delay_of(by_address, settings->failures_address, settings);
    int64_t b = delay_of(by_account, settings->failures_account, settings);
    return a > b ? a : b;
}

void slowdown_succeeded(struct login_slowdown *slowdown, const struct addr *peer,
                        struct str account)
{
    (void)peer;
    char name[ACCOUNT_KEY_SIZE];
    if (atomic_load(&slowdown->n) == 0)
        return;
    struct str key = account_key(account, name);
    pthread_mutex_lock(&slowdown->lock);
    struct counted *counted = table_get(&slowdown->table, key);
    if (counted != NULL)
        drop(slowdown, counted);
    pthread_mutex_unlock(&slowdown->lock);
}

/* ---- So many in a window of time ---- */

static struct str window_key(enum slowed_kind kind, const struct addr *peer,
                             char out[ADDR_BLOCK_SIZE + 1])
{
    char block[ADDR_BLOCK_SIZE];
    struct str address = addr_block(peer, block);
    out[0] = (char)('0' + (int)kind);
    memcpy(out + 1, address.at, address.len);
    return str_make(out, address.len + 1);
}

static struct counted *window_of(struct login_slowdown *slowdown, struct str key, int64_t window_us,
                                 int64_t now_us)
{
    for (;;) {
        struct counted *oldest = LIST_FIRST(&slowdown->windows_oldest_first, struct counted, link);
        if (oldest == NULL ||
            (slowdown->windows.n < COUNTED_MOST && now_us - oldest->first_us < window_us))
            break;
        drop_window(slowdown, oldest);
    }
    struct counted *counted = table_get(&slowdown->windows, key);
    if (counted != NULL)
        return counted;
    counted = calloc(1, sizeof *counted + key.len);
    must(counted != NULL);
    counted->first_us = now_us;
    counted->len = key.len;
    memcpy(counted->key, key.at, key.len);
    must(table_put(&slowdown->windows, str_make(counted->key, key.len), counted) == OK);
    list_add_last(&slowdown->windows_oldest_first, &counted->link);
    return counted;
}

bool slowdown_allows(struct login_slowdown *slowdown, enum slowed_kind kind,
                     const struct addr *peer, unsigned most, int64_t window_us, int64_t now_us)
{
    char key[ADDR_BLOCK_SIZE + 1];
    pthread_mutex_lock(&slowdown->lock);
    struct counted *counted = window_of(slowdown, window_key(kind, peer, key), window_us, now_us);
    bool allowed = counted->failures < most;
    counted->failures += allowed;
    pthread_mutex_unlock(&slowdown->lock);
    return allowed;
}

void slowdown_take_back(struct login_slowdown *slowdown, enum slowed_kind kind,
                        const struct addr *peer)
{
    char key[ADDR_BLOCK_SIZE + 1];
    pthread_mutex_lock(&slowdown->lock);
    struct counted *counted = table_get(&slowdown->windows, window_key(kind, peer, key));
    if (counted != NULL && counted->failures > 0)
        counted->failures--;
    pthread_mutex_unlock(&slowdown->lock);
}
