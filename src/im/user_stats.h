/*
 * What an administrator may know of an account beside its state: when somebody logged in last, how
 * many contacts it has, and who is logged in from where.  For whoever asks: firedoorctl, and the
 * commands of XEP-0133.
 */
#ifndef IM_USER_STATS_H
#define IM_USER_STATS_H

#include "im/sessions.h"
#include "store/store.h"
#include "xmpp/jid.h"

struct user_stats {
    struct jid jid; // bare; the caller's, as done and context are
    void (*done)(struct user_stats *stats, enum err e);
    void *context;

    // what there is when done runs without an error; texts live until user_stats_done
    struct store_account_load load; // contacts are load.items
    struct sessions_walk walk;      // sessions are walk.rows
    int64_t login_us;               // wall; 0: never
};

/* done runs on back's thread.  Errors: ERR_MISSING, and the store's. */
void user_stats_get(struct service *service, struct loop *back, struct user_stats *stats);
/* Whatever came of it. */
void user_stats_done(struct user_stats *stats);

#endif
