/*
 * The keeper: a thread that moves the log's pages into the database.
 *
 * A checkpoint writes thousands of pages and syncs; done by the writer it would
 * make every message of that moment wait.  SQLite lets another connection do it
 * while commits go on, but the log only begins anew when all of it has been
 * moved, and the writer keeps adding.  So the writer, once the keeper has
 * finished, moves the small rest itself.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/must.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct keeper {
    sqlite3 *db; // its thread's, once started
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool wanted, closing; // lock
    atomic_bool busy;     // from being woken until it has finished
};

static void *keep(void *context)
{
    struct keeper *k = context;
    pthread_mutex_lock(&k->lock);
    for (;;) {
        while (!k->wanted && !k->closing)
            pthread_cond_wait(&k->wake, &k->lock);
        if (k->closing)
            break;
        k->wanted = false;
        pthread_mutex_unlock(&k->lock);
        // a failure (disk full) loses nothing: the log keeps growing, the next try moves it all
        sqlite3_wal_checkpoint_v2(k->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        atomic_store(&k->busy, false);
        pthread_mutex_lock(&k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

enum err keeper_new(sqlite3 **db, struct keeper **out, struct why *why)
{
    struct keeper *k = calloc(1, sizeof *k);
    must(k != NULL);
    k->db = *db;
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->wake, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&k->thread, NULL, keep, k);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e != 0) {
        pthread_mutex_destroy(&k->lock);
        pthread_cond_destroy(&k->wake);
        free(k);
        return why_say(why, ERR_IO, "cannot start a thread of the store: error %d", e);
    }
    pthread_setname_np(k->thread, "store-keep");
    *db = NULL;
    *out = k;
    return OK;
}

void keeper_free(struct keeper **at)
{
    struct keeper *k = TAKE(*at);
    if (k == NULL)
        return;
    pthread_mutex_lock(&k->lock);
    k->closing = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->thread, NULL);
    sqlite3_close(k->db);
    pthread_mutex_destroy(&k->lock);
    pthread_cond_destroy(&k->wake);
    free(k);
}

bool keeper_is_busy(const struct keeper *k)
{
    return atomic_load(&k->busy);
}

void keeper_wake(struct keeper *k)
{
    atomic_store(&k->busy, true);
    pthread_mutex_lock(&k->lock);
    k->wanted = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->lock);
}
