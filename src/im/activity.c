#include "im/activity.h"

#include "base/clock.h"
#include "base/must.h"
#include "route/own.h"
#include "store/store.h"

#include <stdlib.h>

static const int64_t flush_us = 10 * SECOND_US;

enum { SEEN_MOST = 100 };

/* Noted side by side: after a failed network thousands log in within one flush, and a piece of
 * memory for each would leave a hole between the sessions that came with it. */
struct seen {
    int64_t account;
    int64_t login_us, active_us; // 0: as it was
    struct str status;           // own memory
};

struct batch {
    struct link link; // in desk->activities
    size_t n;
    struct seen seen[SEEN_MOST];
};

/* A batch on its way to the store. */
struct writing {
    size_t n_left;
    struct one {
        struct writing *writing;
        struct store_account_seen op;
    } each[];
};

static void written(struct store_request *request)
{
    struct one *one = CONTAINER_OF(request, struct one, op.request);
    struct writing *writing = one->writing;
    store_release(request);
    own_str_free(&one->op.status);
    if (--writing->n_left == 0)
        free(writing);
}

static void write_batch(struct desk *desk, const struct batch *batch)
{
    size_t n = batch->n;
    must(n > 0);
    struct writing *writing = calloc(1, sizeof *writing + n * sizeof writing->each[0]);
    must(writing != NULL);
    writing->n_left = n;
    for (size_t i = 0; i < n; i++) {
        const struct seen *seen = &batch->seen[i];
        struct one *one = &writing->each[i];
        one->writing = writing;
        one->op.account = seen->account;
        one->op.login_us = seen->login_us;
        one->op.active_us = seen->active_us;
        one->op.status = seen->status;
        one->op.request.home = loop_mailbox(desk->home->loop);
        one->op.request.done = written;
        store_account_seen(desk->service->store, &one->op);
    }
}

void activity_flush(struct desk *desk)
{
    loop_timer_cancel(&desk->activity_timer);
    LIST_EACH(&desk->activities, struct batch, link, batch)
    {
        list_leave(&batch->link);
        write_batch(desk, batch);
        free(batch);
    }
}

static void on_timer(struct timer *timer)
{
    activity_flush(CONTAINER_OF(timer, struct desk, activity_timer));
}

static struct seen *note(struct account *account)
{
    struct desk *desk = desk_of(account->home);
    // the newest: what comes later is written later
    struct batch *batch = CONTAINER_OF(LIST_LINK(desk->activities.head.prev), struct batch, link);
    if (list_empty(&desk->activities) || batch->n == SEEN_MOST) {
        batch = calloc(1, sizeof *batch);
        must(batch != NULL);
        list_add_last(&desk->activities, &batch->link);
    }
    if (!timer_is_set(&desk->activity_timer))
        loop_timer_set(account->home->loop, &desk->activity_timer, flush_us, on_timer);
    struct seen *seen = &batch->seen[batch->n++];
    seen->account = account->number;
    seen->status = STR_EMPTY;
    return seen;
}

void activity_login(struct account *account)
{
    note(account)->login_us = clock_wall_us();
}

void activity_left(struct account *account, struct str status)
{
    account->last_activity_us = clock_wall_us();
    own_str_free(&account->last_status);
    account->last_status = own_str(status);
    struct seen *seen = note(account);
    seen->active_us = account->last_activity_us;
    seen->status = own_str(status);
}
