/*
 * One account as its home worker sees it: loaded on first need, kept while it
 * has sessions or deliveries under way, forgotten some time after.
 */
#ifndef ROUTE_ACCOUNT_H
#define ROUTE_ACCOUNT_H

#include "base/list.h"
#include "route/home.h"

enum account_state {
    ACCOUNT_LOADING, // the store has been asked; whoever wants it waits
    ACCOUNT_READY,
    ACCOUNT_ABSENT, // no such account, or disabled: forgotten when nobody waits any more
    ACCOUNT_BROKEN, // the store could not answer: as absent, but errors say "wait"
};

struct roster;
struct block_list;
struct archive_prefs;
struct pace_book;

/* Somebody who needs the account loaded.  run takes the waiter; it runs at once when the account
 * is loaded already. */
struct account_waiter {
    struct link link;
    void (*run)(struct account_waiter *waiter, struct account *account);
};

struct account {
    uint32_t magic;
    enum account_state state;
    bool load_again; // while it is being loaded: something was changed in the store
    struct home *home;
    struct jid jid;        // bare; text in own memory
    int64_t number;        // the store's name for it
    struct link idle;      // in home->idle while nothing needs it
    int64_t idle_since_us; // loop time
    struct list waiters;
    struct list sessions; // of struct session, oldest first
    unsigned n_sessions;
    unsigned users;                  // things under way that need the account to stay
    struct list deliveries;          // im/message.c: in order of arrival
    size_t n_deliveries;             // of these
    uint64_t n_spooled;              // messages in its spool, those in a session's outbox included
    uint64_t spooled_bytes;          // and the size of their stanzas
    struct spool_clearing *clearing; // route/spool.h: ids to be taken out at the end of this turn
    bool spool_reading;         // a session is being given the spool: later messages queue behind
    bool spool_again;           // and somebody found meanwhile that there may be more
    struct roster *roster;      // im/roster.h
    struct block_list *blocked; // im/blocking.h
    struct archive_prefs *archive; // im/archive.h
    struct list behind;            // im/behind.h: people to whom a message of ours is held
    struct list roster_jobs;       // im/roster.h: changes wait for the one before
    bool roster_busy;
    struct pace_book *pace;   // im/pace.h: how this account writes
    int64_t last_activity_us; // wall time of the last unavailable presence; 0 never (XEP-0012)
    struct str last_status;   // its status text, own memory
    int64_t created_us;       // wall time
};

/* Finds or begins to load the account and runs the waiter when it is there (or is known not to
 * be).  bare: a bare JID. */
void account_want(struct home *home, const struct jid *bare, struct account_waiter *waiter);

/* The account in whatever state, or NULL. */
struct account *account_in_memory(struct home *home, struct str bare);

/* Keeps the account in memory until the matching account_release. */
void account_hold(struct account *account);
void account_release(struct account *account);

/* Forgets the accounts that nothing has needed since before_us, and as many more, oldest first, as
 * the home's limit asks. */
void account_forget_idle(struct home *home, int64_t before_us);

/* Reads the account anew from the store before the next use: after a change whose commit failed,
 * or a change made by an operator.  Sessions stay. */
void account_reload(struct account *account);

#endif
