/*
 * Sessions as an operator sees them, and how what he changes in the store
 * reaches accounts in memory.  From any thread; answers by mail.
 */
#ifndef IM_SESSIONS_H
#define IM_SESSIONS_H

#include "im/desk.h"
#include "net/loop.h"

struct session_row {
    struct str jid, address; // full JID
    bool available, connected, resumable;
    int8_t priority;
    int64_t started_us; // wall time
    size_t outbox;      // stanzas that wait
};

/* A walk through all homes: each adds its rows, then done runs on the asking loop. */
struct sessions_walk {
    struct mail mail;
    struct service *service;
    struct loop *back;
    struct str account;  // bare; empty: all
    struct str resource; // with close: this one alone; empty: all of the account
    bool close;          // end them instead of listing
    unsigned at;         // home whose turn it is
    struct arena arena;
    struct session_row *rows;
    size_t n, room, most;
    bool more; // there were more than most
    void (*done)(struct sessions_walk *walk);
    void *context;
};

/* The caller has set account, resource, close, most, done and context. */
void sessions_walk(struct service *service, struct sessions_walk *walk, struct loop *back);

enum account_news {
    NEWS_CHANGED, // read it anew: its roster or state was changed in the store
    NEWS_GONE,    // deleted or disabled: its sessions end
};
/* Tells the account's home what an operator did to it. */
void sessions_tell(struct service *service, struct str bare, enum account_news news);

#endif
