/*
 * epoll, a binary heap of timers, and a list of chores for the end of a turn.
 *
 * The heap holds pointers to timers that know their own place, so that one
 * can be taken out of the middle; people and worms set and withdraw thousands.
 */
#include "drill/client/loop.h"

#include "base/clock.h"
#include "base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_A_TURN = 512 };

struct loop {
    int epoll_fd;
    bool stopping;
    int64_t now_us, lag_us;
    struct timer **heap; // heap[0] is the next to fire
    size_t n_timers, room;
    uint64_t n_set; // timers ever set: the order among equals
    struct list chores;
    struct epoll_event events[EVENTS_A_TURN];
    int n_events; // of the turn in hand, so that a watch removed meanwhile is not called
};

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    must(loop != NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(loop->epoll_fd >= 0);
    list_init(&loop->chores);
    loop->now_us = clock_now_us();
    return loop;
}

void loop_free(struct loop **loop)
{
    if (*loop == NULL)
        return;
    must((*loop)->n_timers == 0);
    must(list_empty(&(*loop)->chores));
    close((*loop)->epoll_fd);
    free((*loop)->heap);
    free(*loop);
    *loop = NULL;
}

int64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

int64_t loop_lag_us(struct loop *loop)
{
    int64_t lag_us = loop->lag_us;
    loop->lag_us = 0;
    return lag_us;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

void loop_watch(struct loop *loop, struct watch *watch, bool reading, bool writing)
{
    if (watch->reading == reading && watch->writing == writing)
        return;
    bool known = watch->reading || watch->writing, wanted = reading || writing;
    struct epoll_event event = {.events = (reading ? EPOLLIN : 0U) | (writing ? EPOLLOUT : 0U),
                                .data.ptr = watch};
    int op = !known ? EPOLL_CTL_ADD : wanted ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    must(epoll_ctl(loop->epoll_fd, op, watch->fd, &event) == 0);
    watch->reading = reading;
    watch->writing = writing;
    for (int i = 0; !wanted && i < loop->n_events; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
}

static bool fires_before(const struct timer *a, const struct timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void put(struct loop *loop, size_t i, struct timer *timer)
{
    loop->heap[i] = timer;
    timer->at = i + 1;
}

static void rise(struct loop *loop, size_t i)
{
    struct timer *timer = loop->heap[i];
    while (i > 0 && fires_before(timer, loop->heap[(i - 1) / 2])) {
        put(loop, i, loop->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(loop, i, timer);
}

static void sink(struct loop *loop, size_t i)
{
    struct timer *timer = loop->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->n_timers)
            break;
        if (child + 1 < loop->n_timers && fires_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!fires_before(loop->heap[child], timer))
            break;
        put(loop, i, loop->heap[child]);
        i = child;
    }
    put(loop, i, timer);
}

void loop_timer(struct loop *loop, struct timer *timer, int64_t due_us)
{
    loop_timer_stop(loop, timer);
    if (loop->n_timers == loop->room) {
        loop->room = loop->room == 0 ? 256 : loop->room * 2;
        loop->heap =
            realloc(loop->heap, loop->room * sizeof(struct timer *)); // NOLINT: pointers are meant
        must(loop->heap != NULL);
    }
    timer->due_us = due_us;
    timer->order = loop->n_set++;
    loop->heap[loop->n_timers++] = timer;
    rise(loop, loop->n_timers - 1);
}

void loop_timer_stop(struct loop *loop, struct timer *timer)
{
    if (timer->at == 0)
        return;
    size_t i = timer->at - 1;
    timer->at = 0;
    struct timer *last = loop->heap[--loop->n_timers];
    if (last == timer)
        return;
    put(loop, i, last);
    rise(loop, i);
    sink(loop, last->at - 1);
}

void loop_chore(struct loop *loop, struct chore *chore)
{
    if (!list_is_member(&chore->link))
        list_add_last(&loop->chores, &chore->link);
}

void loop_chore_stop(struct chore *chore)
{
    list_leave(&chore->link);
}

static void run_chores(struct loop *loop)
{
    while (!list_empty(&loop->chores)) {
        struct chore *chore = LIST_FIRST(&loop->chores, struct chore, link);
        list_leave(&chore->link);
        chore->run(chore);
    }
}

static void fire_timers(struct loop *loop)
{
    // timers set by those that fire now wait for the next turn: sockets must not starve
    uint64_t n_set = loop->n_set;
    while (loop->n_timers > 0 && loop->heap[0]->due_us <= loop->now_us &&
           loop->heap[0]->order < n_set) {
        struct timer *timer = loop->heap[0];
        int64_t lag_us = loop->now_us - timer->due_us;
        loop->lag_us = lag_us > loop->lag_us ? lag_us : loop->lag_us;
        loop_timer_stop(loop, timer);
        timer->fire(timer);
    }
}

static struct timespec time_to_sleep(const struct loop *loop, int64_t until_us)
{
    int64_t due_us = until_us, most_us = loop->now_us + SECOND_US;
    if (loop->n_timers > 0 && loop->heap[0]->due_us < due_us)
        due_us = loop->heap[0]->due_us;
    due_us = due_us > most_us ? most_us : due_us;
    int64_t us = due_us > loop->now_us ? due_us - loop->now_us : 0;
    return (struct timespec){.tv_sec = us / SECOND_US, .tv_nsec = us % SECOND_US * 1000};
}

void loop_run(struct loop *loop, int64_t until_us)
{
    loop->stopping = false;
    loop->now_us = clock_now_us();
    while (!loop->stopping && loop->now_us < until_us) {
        run_chores(loop);
        // not epoll_wait: a worm at ten times its speed is a matter of less than milliseconds
        struct timespec sleep = time_to_sleep(loop, until_us);
        int n = epoll_pwait2(loop->epoll_fd, loop->events, EVENTS_A_TURN, &sleep, NULL);
        must(n >= 0 || errno == EINTR);
        loop->now_us = clock_now_us();
        loop->n_events = n > 0 ? n : 0;
        for (int i = 0; i < loop->n_events; i++) {
            struct watch *watch = loop->events[i].data.ptr;
            uint32_t what = loop->events[i].events;
            if (watch != NULL)
                watch->ready(watch, (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0,
                             (what & EPOLLOUT) != 0);
        }
        loop->n_events = 0;
        fire_timers(loop);
    }
    run_chores(loop);
}
