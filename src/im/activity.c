#include "im/activity.h"

#include "base/clock.h"
#include "base/must.h"
#include "route/own.h"
#include "store/store.h"

#include <stdlib.h>

static const int64_t flush_us = 10 * SECOND_US;

struct activity {
    struct link link; // in desk->activities
    int64_t account;
    struct str status; // own memory
    struct store_account_seen op;
};

static void written(struct store_request *request)
{
    struct activity *activity = CONTAINER_OF(request, struct activity, op.request);
    store_release(request);
    own_str_free(&activity->status);
    free(activity);
}

void activity_flush(struct desk *desk)
{
    loop_timer_cancel(&desk->activity_timer);
    LIST_EACH(&desk->activities, struct activity, link, activity)
    {
        list_leave(&activity->link);
        activity->op.account = activity->account;
        activity->op.status = activity->status;
        activity->op.request.home = loop_mailbox(desk->home->loop);
        activity->op.request.done = written;
        store_account_seen(desk->service->store, &activity->op);
    }
}

static void on_timer(struct timer *timer)
{
    activity_flush(CONTAINER_OF(timer, struct desk, activity_timer));
}

static struct activity *note(struct account *account)
{
    struct desk *desk = desk_of(account->home);
    struct activity *activity = calloc(1, sizeof *activity);
    must(activity != NULL);
    activity->account = account->number;
    activity->status = own_str(STR_EMPTY);
    list_add_last(&desk->activities, &activity->link);
    if (!timer_is_set(&desk->activity_timer))
        loop_timer_set(account->home->loop, &desk->activity_timer, flush_us, on_timer);
    return activity;
}

void activity_login(struct account *account)
{
    note(account)->op.login_us = clock_wall_us();
}

void activity_left(struct account *account, struct str status)
{
    account->last_activity_us = clock_wall_us();
    own_str_free(&account->last_status);
    account->last_status = own_str(status);
    struct activity *activity = note(account);
    activity->op.active_us = account->last_activity_us;
    own_str_free(&activity->status);
    activity->status = own_str(status);
}
