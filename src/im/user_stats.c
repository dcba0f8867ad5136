#include "im/user_stats.h"

#include "im/desk.h"

#include <stdlib.h>

enum { SESSIONS_MOST = 10000 };

static void is_walked(struct sessions_walk *walk)
{
    struct user_stats *stats = walk->context;
    // the store hears of a login some seconds later
    for (size_t i = 0; i < walk->n; i++)
        if (walk->rows[i].started_us > stats->login_us)
            stats->login_us = walk->rows[i].started_us;
    stats->done(stats, OK);
}

static void is_loaded(struct store_request *request)
{
    struct user_stats *stats = CONTAINER_OF(request, struct user_stats, load.request);
    if (request->result != OK) {
        stats->done(stats, request->result);
        return;
    }
    stats->login_us = stats->load.account.login_us;
    sessions_walk(stats->walk.service, &stats->walk, stats->walk.back);
}

void user_stats_get(struct service *service, struct loop *back, struct user_stats *stats)
{
    stats->load = (struct store_account_load){
        .request = {.home = loop_mailbox(back), .done = is_loaded},
        .local = stats->jid.local,
        .domain = stats->jid.domain,
    };
    stats->walk = (struct sessions_walk){
        .service = service,
        .back = back,
        .account = jid_bare(&stats->jid),
        .resource = STR_EMPTY,
        .most = SESSIONS_MOST,
        .done = is_walked,
        .context = stats,
    };
    store_account_load(service->store, &stats->load);
}

void user_stats_done(struct user_stats *stats)
{
    store_release(&stats->load.request);
    free(stats->walk.rows);
    arena_done(&stats->walk.arena);
}
