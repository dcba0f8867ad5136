/*
 * A home: everything that one worker knows of the accounts that live on it.
 *
 * Every account has one home worker, by the hash of its bare JID.  Its roster,
 * sessions, block list and deliveries are touched by that worker's thread
 * alone, so none of them needs a lock.  What another account wants from it
 * arrives by mail (route.h).
 */
#ifndef ROUTE_HOME_H
#define ROUTE_HOME_H

#include "base/list.h"
#include "base/table.h"
#include "net/worker.h"
#include "xmpp/stanza.h"

#include <stdint.h>

struct account;
struct home;
struct in_hand_slot;
struct routed;
struct session;
struct store;
struct store_account_load;

/* What the room above (im) does when route has found the place.  All run on the home's thread. */
struct home_events {
    /* A stanza for an account of this home, loaded (it may turn out not to exist: see
     * account->state).  Takes the routed. */
    void (*arrived)(struct home *home, struct account *account, struct routed *routed);
    /* Whether the domain is one of ours. */
    bool (*serves)(const struct home *home, struct str domain);
    /* A stanza for one of our domains itself, or for a domain we do not serve. Takes the routed. */
    void (*for_domain)(struct home *home, struct routed *routed);
    /* An account came from the store: its roster, block list and preferences are read out of
     * loaded, also when it is loaded anew and has them already.  Then: it leaves memory. */
    void (*loaded)(struct account *account, const struct store_account_load *loaded);
    void (*forgotten)(struct account *account);
    /* A session's outbox got rid of a stanza: its client has it. */
    void (*delivered)(struct session *session, struct stanza *stanza);
};

/* All homes of the process, in the order of the workers. */
struct homes {
    struct home **at;
    unsigned n;
};

struct home_limits {
    size_t accounts; // most accounts in memory
    size_t sessions; // most sessions
    int64_t idle_us; // an account without sessions is forgotten after this
};

struct home {
    struct worker *worker;
    struct loop *loop; // the worker's
    struct homes *homes;
    unsigned index;
    struct store *store;
    struct home_limits limits;
    const struct home_events *events;
    void *desk; // the im room's part of this worker
    struct table accounts;
    struct table sessions; // by id, as 8 bytes
    struct list idle;      // accounts that may be forgotten, oldest first
    struct timer idle_timer;
    uint64_t next_session;
    struct list clearings; // route/spool.c
    struct chore clear;
    struct buf text;              // scratch for one stanza on its way out
    struct in_hand_slot *in_hand; // route/in_hand.h; NULL: nothing is noted
    struct home_counters {
        uint64_t routed_here, routed_away, outbox_refused;
    } counters;
};

/* On any thread, before the worker starts. */
struct home *home_new(struct homes *homes, struct worker *worker, struct store *store,
                      const struct home_limits *limits, const struct home_events *events,
                      void *desk);
/* On the worker's thread: begins its timers. */
void home_start(struct home *home);
/* Whether nobody needs any of its accounts, no session is left and no mail waits: at the end, when
 * nothing new comes. */
bool home_is_quiet(const struct home *home);
/* The same, but for sessions, which may be there. */
bool home_is_settled(const struct home *home);
/* Frees the home and every account and session left in it; on its own thread or after it ended. */
void home_free(struct home **home);

/* Which home an account lives on: the same answer on every thread and, for the same number of
 * workers, at every start. */
struct home *home_of(const struct homes *homes, struct str bare);

/* Whether the calling thread runs this home. */
bool home_is_me(const struct home *home);

#endif
