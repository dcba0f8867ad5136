#include "im/behind.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/message.h"
#include "route/own.h"

#include <stdlib.h>

enum {
    WAITING_MOST = 100, // of one pair; then the senders' sessions are read no further
    HELD_MOST = 32,     // of one pair at a time; the guard holds fewer
};

struct waiting {
    struct link link;
    struct stanza *stanza;
    struct ticket *ticket;
    uint64_t session;
    int64_t at_us;
    bool pauses;
};

struct behind {
    struct link link; // in account->behind
    struct account *account;
    struct str peer; // bare; own memory
    struct timer timer;
    uint64_t held[HELD_MOST];
    size_t n_held;
    struct list waiting;
    size_t n_waiting;
};

static struct behind *find(const struct account *account, struct str peer)
{
    LIST_EACH(&account->behind, struct behind, link, behind)
    if (str_eq(behind->peer, peer))
        return behind;
    return NULL;
}

static void follow(struct account *account, struct waiting *waiting)
{
    list_leave(&waiting->link);
    message_accept(account, waiting->session, waiting->stanza, waiting->ticket, ROUTED_HELD,
                   waiting->at_us);
    struct session *session =
        waiting->pauses ? session_find(account->home, waiting->session) : NULL;
    stanza_unref(&waiting->stanza);
    ticket_unref(&waiting->ticket);
    free(waiting);
    if (session != NULL)
        session_unpause(session);
}

static void end(struct behind *behind)
{
    struct account *account = behind->account;
    list_leave(&behind->link); // first: what follows waits no more
    loop_timer_cancel(&behind->timer);
    LIST_EACH(&behind->waiting, struct waiting, link, waiting)
    follow(account, waiting);
    own_str_free(&behind->peer);
    free(behind);
    account_release(account);
}

static void too_long(struct timer *timer)
{
    end(CONTAINER_OF(timer, struct behind, timer));
}

void behind_hold(struct account *account, struct str peer, uint64_t number, int64_t most_us)
{
    struct behind *behind = find(account, peer);
    if (behind == NULL) {
        behind = calloc(1, sizeof *behind);
        must(behind != NULL);
        behind->account = account;
        behind->peer = own_str(peer);
        list_init(&behind->waiting);
        list_add_last(&account->behind, &behind->link);
        account_hold(account);
        loop_timer_set(account->home->loop, &behind->timer, most_us, too_long);
    }
    if (behind->n_held < HELD_MOST)
        behind->held[behind->n_held++] = number;
}

bool behind_waits(struct account *account, uint64_t session_id, struct stanza *stanza,
                  struct ticket *ticket, int64_t at_us)
{
    if (list_empty(&account->behind))
        return false;
    struct behind *behind = find(account, jid_bare(&stanza->to));
    if (behind == NULL)
        return false;
    struct session *session = session_find(account->home, session_id);
    struct waiting *waiting = calloc(1, sizeof *waiting);
    must(waiting != NULL);
    waiting->stanza = stanza_ref(stanza);
    waiting->ticket = ticket_ref(ticket);
    waiting->session = session_id;
    waiting->at_us = at_us != 0 ? at_us : clock_wall_us();
    waiting->pauses = session != NULL && behind->n_waiting >= WAITING_MOST;
    if (waiting->pauses)
        session_pause(session);
    behind->n_waiting++;
    list_add_last(&behind->waiting, &waiting->link);
    return true;
}

void behind_let_go(struct account *account, struct str peer, uint64_t number)
{
    struct behind *behind = find(account, peer);
    if (behind == NULL)
        return;
    for (size_t i = 0; i < behind->n_held; i++)
        if (behind->held[i] == number) {
            behind->held[i] = behind->held[--behind->n_held];
            break;
        }
    if (behind->n_held == 0)
        end(behind);
}

void behind_overtake(struct account *account)
{
    account_hold(account);
    for (struct behind *behind;
         (behind = LIST_FIRST(&account->behind, struct behind, link)) != NULL;)
        end(behind);
    account_release(account);
}

void behind_end(struct home *home)
{
    size_t at = 0;
    for (struct account *account; (account = table_next(&home->accounts, &at)) != NULL;) {
        struct behind *behind = LIST_FIRST(&account->behind, struct behind, link);
        if (behind == NULL)
            continue;
        end(behind);
        at = 0; // the table may have changed
    }
}
