#include "route/home.h"

#include "base/must.h"
#include "route/account.h"
#include "route/session.h"
#include "route/spool.h"

#include <stdlib.h>

enum {
    TABLE_MOST = 1 << 26,        // beyond any memory; the real limits are home_limits
    TEXT_MOST = 64 << 20,        // one stanza on its way out
    TEXT_KEEP = 256 << 10,       // kept between stanzas
};

static void sweep(struct timer *timer)
{
    struct home *home = CONTAINER_OF(timer, struct home, idle_timer);
    account_forget_idle(home, loop_now_us(home->loop) - home->limits.idle_us);
    loop_timer_set(home->loop, &home->idle_timer, home->limits.idle_us / 4, sweep);
}

static void turn_end(struct turn_end *turn)
{
    struct home *home = CONTAINER_OF(turn, struct home, turn);
    spool_turn_end(home);
    if (home->text.room > TEXT_KEEP)
        buf_done(&home->text);
}

struct home *home_new(struct homes *homes, unsigned index, struct loop *loop, struct store *store,
                      const struct home_limits *limits, const struct home_events *events,
                      void *service)
{
    struct home *home = calloc(1, sizeof *home);
    must(home != NULL);
    home->loop = loop;
    home->homes = homes;
    home->index = index;
    home->store = store;
    home->limits = *limits;
    home->events = events;
    home->service = service;
    table_init(&home->accounts, TABLE_MOST);
    table_init(&home->sessions, TABLE_MOST);
    list_init(&home->idle);
    list_init(&home->clearings);
    buf_init(&home->text, TEXT_MOST);
    home->turn.run = turn_end;
    loop_turn_end_add(loop, &home->turn);
    loop_timer_set(loop, &home->idle_timer, limits->idle_us / 4, sweep);
    return home;
}

void home_free(struct home **home)
{
    struct home *h = TAKE(*home);
    if (h == NULL)
        return;
    must(h->sessions.n == 0);
    loop_timer_cancel(h->loop, &h->idle_timer);
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
    return loop_is_me(home->loop);
}
