#include "route/home.h"

#include "base/must.h"
#include "route/account.h"
#include "route/session.h"
#include "route/spool.h"

#include <stdlib.h>

enum {
    TABLE_MOST = 1 << 26,  // beyond any memory; the real limits are home_limits
    TEXT_MOST = 512 << 20, // one stanza on its way out
    TEXT_KEEP = 256 << 10, // kept between stanzas
};

static void sweep(struct timer *timer)
{
    struct home *home = CONTAINER_OF(timer, struct home, idle_timer);
    account_forget_idle(home, loop_now_us(home->loop) - home->limits.idle_us);
    if (home->text.room > TEXT_KEEP)
        buf_done(&home->text);
    loop_timer_set(home->loop, &home->idle_timer, home->limits.idle_us / 4, sweep);
}

static void clear_spool(struct chore *chore)
{
    spool_turn_end(CONTAINER_OF(chore, struct home, clear));
}

struct home *home_new(struct homes *homes, struct worker *worker, struct store *store,
                      const struct home_limits *limits, const struct home_events *events,
                      void *desk)
{
    struct home *home = calloc(1, sizeof *home);
    must(home != NULL);
    home->worker = worker;
    home->loop = worker_loop(worker);
    home->homes = homes;
    home->index = (unsigned)worker_index(worker);
    home->store = store;
    home->limits = *limits;
    home->events = events;
    home->desk = desk;
    table_init(&home->accounts, TABLE_MOST);
    table_init(&home->sessions, TABLE_MOST);
    list_init(&home->idle);
    list_init(&home->clearings);
    buf_init(&home->text, TEXT_MOST);
    home->clear.run = clear_spool;
    return home;
}

void home_start(struct home *home)
{
    loop_timer_set(home->loop, &home->idle_timer, home->limits.idle_us / 4, sweep);
}

static unsigned sessions_of(const struct account *account)
{
    unsigned n = 0;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    n++;
    return n;
}

bool home_is_settled(const struct home *home)
{
    if (mailbox_waiting(loop_mailbox(home->loop)) > 0)
        return false;
    size_t at = 0;
    for (const struct account *a; (a = table_next(&home->accounts, &at)) != NULL;)
        if (a->users > sessions_of(a))
            return false;
    return true;
}

bool home_is_quiet(const struct home *home)
{
    return home->sessions.n == 0 && home_is_settled(home);
}

void home_free(struct home **home)
{
    struct home *h = TAKE(*home);
    if (h == NULL)
        return;
    loop_timer_cancel(&h->idle_timer);
    loop_chore_cancel(&h->clear);
    account_forget_idle(h, INT64_MAX);
    table_done(&h->accounts);
    table_done(&h->sessions);
    buf_done(&h->text);
    free(h);
}

struct home *home_of(const struct homes *homes, struct str bare)
{
    // not secret: an attacker who fills one worker with accounts must own them all
    return homes->at[hash_fast(0, bare) % homes->n];
}

bool home_is_me(const struct home *home)
{
    return worker_is_me(home->worker);
}
