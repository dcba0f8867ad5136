#include "im/sessions.h"

#include "base/must.h"
#include "im/session_life.h"
#include "route/account.h"
#include "route/own.h"
#include "route/session.h"

#include <stdlib.h>

enum { ROWS_MOST_BYTES = 512 << 20 };

static void visit(struct mail *mail);

static struct home *home_now(const struct sessions_walk *walk)
{
    struct homes *homes = &walk->service->homes;
    return walk->account.len > 0 ? home_of(homes, walk->account) : homes->at[walk->at];
}

static void go_on(struct sessions_walk *walk)
{
    walk->mail.run = visit;
    loop_post(home_now(walk)->loop, &walk->mail);
}

static void finish(struct mail *mail)
{
    struct sessions_walk *walk = CONTAINER_OF(mail, struct sessions_walk, mail);
    walk->done(walk);
}

static void add_row(struct sessions_walk *walk, const struct session *session)
{
    if (walk->n == walk->most) {
        walk->more = true;
        return;
    }
    if (walk->n == walk->room) {
        walk->room = walk->room == 0 ? 64 : walk->room * 2;
        walk->rows = realloc(walk->rows, walk->room * sizeof *walk->rows);
        must(walk->rows != NULL);
    }
    walk->rows[walk->n++] = (struct session_row){
        .jid = arena_str(&walk->arena, session->jid.full),
        .address = arena_str(&walk->arena, str_of(session->address)),
        .available = session->available,
        .connected = session->client != NULL,
        .resumable = session->sm != NULL && session->sm->resumable,
        .priority = session->priority,
        .started_us = session->started_us,
        .outbox = session->outbox_n,
    };
}

static void visit(struct mail *mail)
{
    struct sessions_walk *walk = CONTAINER_OF(mail, struct sessions_walk, mail);
    struct home *home = home_now(walk);
    size_t at = 0;
    for (struct session *session; (session = table_next(&home->sessions, &at)) != NULL;) {
        if (session->ending)
            continue;
        if (walk->account.len > 0 && !str_eq(session->account->jid.full, walk->account))
            continue;
        if (walk->resource.len > 0 && !str_eq(session->jid.resource, walk->resource))
            continue;
        add_row(walk, session);
        if (walk->close)
            session_end_with(session, STREAM_POLICY_VIOLATION,
                             "an administrator closed this session");
    }
    if (walk->account.len == 0 && ++walk->at < walk->service->homes.n) {
        go_on(walk);
        return;
    }
    walk->mail.run = finish;
    loop_post(walk->back, &walk->mail);
}

void sessions_walk(struct service *service, struct sessions_walk *walk, struct loop *back)
{
    walk->service = service;
    walk->back = back;
    arena_init(&walk->arena, ROWS_MOST_BYTES);
    walk->at = 0;
    go_on(walk);
}

struct news {
    struct mail mail;
    struct home *home;
    struct str bare; // own memory
    enum account_news news;
};

static void end_sessions(struct account *account)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    session_end_with(session, STREAM_NOT_AUTHORIZED, "the account was closed");
}

static void hear(struct mail *mail)
{
    struct news *news = CONTAINER_OF(mail, struct news, mail);
    struct account *account = account_in_memory(news->home, news->bare);
    if (account != NULL) {
        account_hold(account);
        if (news->news == NEWS_GONE)
            end_sessions(account);
        account_reload(account);
        account_release(account);
    }
    own_str_free(&news->bare);
    free(news);
}

void sessions_tell(struct service *service, struct str bare, enum account_news what)
{
    struct news *news = calloc(1, sizeof *news);
    must(news != NULL);
    news->home = home_of(&service->homes, bare);
    news->bare = own_str(bare);
    news->news = what;
    news->mail.run = hear;
    loop_post(news->home->loop, &news->mail);
}
