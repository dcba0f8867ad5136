#include "net/loop.h"

#include "base/clock.h"
#include "base/must.h"
#include "net/loop_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * Timers live in a wheel of wheels: four levels of 64 slots, each slot of a
 * level as long as the whole level below.  A bit says which slots hold
 * something, so the next tick at which anything happens is found with four
 * shifts, and an idle loop sleeps until then.  A cancelled timer may leave its
 * bit behind: that costs one early look.
 */
enum {
    TICK_SHIFT = 13, // a tick is 8,192 µs
    SLOT_BITS = 6,
    SLOTS = 1 << SLOT_BITS,
    LEVELS = 4,
};

struct wheel {
    int64_t now; // tick up to which everything was run
    uint64_t bits[LEVELS];
    struct list slots[LEVELS][SLOTS];
};

enum { NO_ALARM = 0, ALARM_RANG = -1 };

struct loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t alarm;
    int64_t alarm_tick; // NO_ALARM, ALARM_RANG, or for when it is set
    struct mailbox mailbox;
    struct list chores[TURN_ENDS];
    bool in_turn; // this turn's time was taken
    int64_t now_us;
    atomic_bool stopping; // any thread
    struct wheel wheel;
    char name[16];

    int signal_fd;
    struct watch *signal_watch;
    void (*on_signal)(void *context, int signal);
    void *signal_context;

    // written by the loop's thread only, read by any
    atomic_uint_fast64_t n_turns, n_mails;
    atomic_int_fast64_t busy_us, longest_us, longest_untaken_us;
};

struct watch {
    uv_poll_t poll;
    struct loop *loop;
    watch_fn *fn;
    void *context;
};

// --- the wheel

static void wheel_init(struct wheel *wheel, int64_t now_us)
{
    wheel->now = now_us >> TICK_SHIFT;
    for (int level = 0; level < LEVELS; level++)
        for (int slot = 0; slot < SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
}

static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    int64_t at = timer->tick, diff = at - wheel->now;
    int level = 0;
    while (level < LEVELS - 1 && diff >> (SLOT_BITS * (level + 1)) != 0)
        level++;
    if (diff >> (SLOT_BITS * LEVELS) != 0) // beyond the wheel: looked at again at its end
        at = wheel->now + (INT64_C(1) << (SLOT_BITS * LEVELS)) - 1;
    size_t slot = (size_t)(at >> (SLOT_BITS * level)) & (SLOTS - 1);
    list_add_last(&wheel->slots[level][slot], &timer->link);
    wheel->bits[level] |= UINT64_C(1) << slot;
}

/* The next tick at which a slot is due, INT64_MAX when there is none. */
static int64_t wheel_next(const struct wheel *wheel)
{
    int64_t best = INT64_MAX;
    for (int level = 0; level < LEVELS; level++) {
        uint64_t bits = wheel->bits[level];
        if (bits == 0)
            continue;
        int64_t at = wheel->now >> (SLOT_BITS * level);
        unsigned turn = (unsigned)(at + 1) & (SLOTS - 1);
        uint64_t rotated = turn == 0 ? bits : (bits >> turn) | (bits << (SLOTS - turn));
        int64_t due = (at + 1 + __builtin_ctzll(rotated)) << (SLOT_BITS * level);
        if (due < best)
            best = due;
    }
    return best;
}

static void list_take(struct list *from, struct list *to)
{
    list_init(to);
    if (list_empty(from))
        return;
    to->head = from->head;
    to->head.next->prev = to->head.prev->next = &to->head;
    list_init(from);
}

static void wheel_advance(struct wheel *wheel, int64_t target)
{
    while (wheel->now < target) {
        int64_t next = wheel_next(wheel);
        if (next > target) {
            wheel->now = target;
            return;
        }
        wheel->now = next;
        struct list due;
        for (int level = LEVELS - 1; level > 0; level--) {
            if ((next & ((INT64_C(1) << (SLOT_BITS * level)) - 1)) != 0)
                continue;
            size_t slot = (size_t)(next >> (SLOT_BITS * level)) & (SLOTS - 1);
            wheel->bits[level] &= ~(UINT64_C(1) << slot);
            list_take(&wheel->slots[level][slot], &due);
            for (struct timer *t; (t = LIST_FIRST(&due, struct timer, link)) != NULL;) {
                list_leave(&t->link);
                wheel_place(wheel, t);
            }
        }
        size_t slot = (size_t)next & (SLOTS - 1);
        wheel->bits[0] &= ~(UINT64_C(1) << slot);
        list_take(&wheel->slots[0][slot], &due);
        // one by one from the head: a timer's function may cancel any of the others
        for (struct timer *t; (t = LIST_FIRST(&due, struct timer, link)) != NULL;) {
            list_leave(&t->link);
            t->fn(t);
        }
    }
}

void loop_timer_set(struct loop *loop, struct timer *timer, int64_t after_us,
                    void (*fn)(struct timer *timer))
{
    list_leave(&timer->link);
    if (after_us < 0)
        after_us = 0;
    if (after_us > INT64_MAX / 4)
        after_us = INT64_MAX / 4;
    timer->fn = fn;
    timer->tick = (loop->now_us + after_us + (1 << TICK_SHIFT) - 1) >> TICK_SHIFT;
    if (timer->tick <= loop->wheel.now)
        timer->tick = loop->wheel.now + 1;
    wheel_place(&loop->wheel, timer);
}

void loop_timer_cancel(struct timer *timer)
{
    list_leave(&timer->link);
}

// --- the loop

static void on_async(uv_async_t *async)
{
    loop_begin(CONTAINER_OF(async, struct loop, async)); // the mail is run later in the turn
}

static void on_alarm(uv_timer_t *alarm)
{
    CONTAINER_OF(alarm, struct loop, alarm)->alarm_tick = ALARM_RANG;
}

static void wake(void *context)
{
    struct loop *loop = context;
    uv_async_send(&loop->async);
}

enum err loop_new(const char *name, struct loop **out, struct why *why)
{
    struct loop *loop = calloc(1, sizeof *loop);
    must(loop != NULL);
    int failed = uv_loop_init(&loop->uv);
    if (failed == 0) {
        failed = uv_async_init(&loop->uv, &loop->async, on_async);
        if (failed != 0)
            uv_loop_close(&loop->uv);
    }
    if (failed != 0) {
        free(loop);
        return why_say(why, ERR_IO, "cannot make an event loop: %s", uv_strerror(failed));
    }
    uv_timer_init(&loop->uv, &loop->alarm);
    mailbox_init(&loop->mailbox, wake, loop);
    list_init(&loop->chores[TURN_GATHER]);
    list_init(&loop->chores[TURN_FLUSH]);
    loop->now_us = clock_now_us();
    wheel_init(&loop->wheel, loop->now_us);
    snprintf(loop->name, sizeof loop->name, "%s", name);
    loop->signal_fd = -1;
    *out = loop;
    return OK;
}

void loop_free(struct loop **p)
{
    struct loop *loop = TAKE(*p);
    if (loop == NULL)
        return;
    if (loop->signal_fd >= 0) {
        watch_free(&loop->signal_watch);
        close(loop->signal_fd);
    }
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    loop_drain_closing(loop);
    must(uv_loop_close(&loop->uv) == 0); // a handle still open is its owner's bug
    free(loop);
}

void loop_drain_closing(struct loop *loop)
{
    for (int i = 0; i < 3; i++)
        uv_run(&loop->uv, UV_RUN_NOWAIT);
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

void loop_begin(struct loop *loop)
{
    if (loop->in_turn)
        return;
    loop->in_turn = true;
    loop->now_us = clock_now_us();
    mailbox_awake(&loop->mailbox);
}

static void run_chores(struct list *chores)
{
    struct list now;
    list_take(chores, &now);
    for (struct chore *chore; (chore = LIST_FIRST(&now, struct chore, link)) != NULL;) {
        list_leave(&chore->link);
        chore->run(chore);
    }
}

/* So that libuv's wait ends when the wheel's next slot is due. */
static void set_alarm(struct loop *loop)
{
    int64_t next = wheel_next(&loop->wheel);
    if (next == INT64_MAX)
        next = NO_ALARM;
    if (next == loop->alarm_tick)
        return;
    loop->alarm_tick = next;
    if (next == NO_ALARM) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    int64_t wait_us = (next << TICK_SHIFT) - clock_now_us();
    uv_update_time(&loop->uv);
    // repeating: libuv runs timers before it waits, and one that rings there would be lost on it
    uv_timer_start(&loop->alarm, on_alarm, wait_us <= 0 ? 0 : (uint64_t)(wait_us + 999) / 1000, 1);
}

static void turn(struct loop *loop, bool may_wait)
{
    may_wait = may_wait && list_empty(&loop->chores[TURN_GATHER]) &&
               list_empty(&loop->chores[TURN_FLUSH]) && mailbox_may_sleep(&loop->mailbox);
    if (may_wait)
        set_alarm(loop);
    loop->in_turn = false;
    uv_run(&loop->uv, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    loop_begin(loop);

    size_t n_mails = mailbox_drain(&loop->mailbox);
    wheel_advance(&loop->wheel, loop->now_us >> TICK_SHIFT);
    run_chores(&loop->chores[TURN_GATHER]);
    run_chores(&loop->chores[TURN_FLUSH]);

    int64_t took_us = clock_now_us() - loop->now_us;
    COUNT(loop->n_turns, 1);
    COUNT(loop->n_mails, n_mails);
    COUNT(loop->busy_us, took_us);
    if (took_us > COUNTED(loop->longest_us))
        atomic_store_explicit(&loop->longest_us, took_us, memory_order_relaxed);
    if (took_us > COUNTED(loop->longest_untaken_us)) // loses a rare race with the taker
        atomic_store_explicit(&loop->longest_untaken_us, took_us, memory_order_relaxed);
}

void loop_run(struct loop *loop)
{
    pthread_setname_np(pthread_self(), loop->name);
    while (!atomic_load(&loop->stopping))
        turn(loop, true);
    atomic_store(&loop->stopping, false);
}

static void nothing(struct timer *timer)
{
    (void)timer;
}

void loop_turn(struct loop *loop, int64_t most_us)
{
    struct timer most = {0};
    if (most_us > 0)
        loop_timer_set(loop, &most, most_us, nothing);
    turn(loop, most_us > 0);
    loop_timer_cancel(&most);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->async);
}

int64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

void loop_post(struct loop *loop, struct mail *mail)
{
    mailbox_post(&loop->mailbox, mail);
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    return &loop->mailbox;
}

void loop_at_end(struct loop *loop, enum turn_end when, struct chore *chore)
{
    if (!list_is_member(&chore->link))
        list_add_last(&loop->chores[when], &chore->link);
}

void loop_chore_cancel(struct chore *chore)
{
    list_leave(&chore->link);
}

void loop_stats(const struct loop *loop, struct loop_stats *out)
{
    *out = (struct loop_stats){
        .n_turns = COUNTED(loop->n_turns),
        .n_mails = COUNTED(loop->n_mails),
        .busy_us = COUNTED(loop->busy_us),
        .longest_turn_us = COUNTED(loop->longest_us),
        .n_waiting = mailbox_waiting(&loop->mailbox),
    };
}

// --- descriptors and signals

static int to_uv(int events)
{
    return ((events & WATCH_READ) != 0 ? UV_READABLE : 0) |
           ((events & WATCH_WRITE) != 0 ? UV_WRITABLE : 0);
}

static void on_watch(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = CONTAINER_OF(poll, struct watch, poll);
    loop_begin(watch->loop);
    int seen = 0;
    if (status < 0 || (events & UV_READABLE) != 0) // an error shows when it is read
        seen |= WATCH_READ;
    if ((events & UV_WRITABLE) != 0)
        seen |= WATCH_WRITE;
    watch->fn(watch->context, seen);
}

enum err loop_watch(struct loop *loop, int fd, int events, watch_fn *fn, void *context,
                    struct watch **out)
{
    struct watch *watch = calloc(1, sizeof *watch);
    must(watch != NULL);
    if (uv_poll_init(&loop->uv, &watch->poll, fd) != 0) {
        free(watch);
        return ERR_IO;
    }
    watch->loop = loop;
    watch->fn = fn;
    watch->context = context;
    watch_change(watch, events);
    *out = watch;
    return OK;
}

void watch_change(struct watch *watch, int events)
{
    if (events == 0)
        uv_poll_stop(&watch->poll);
    else
        uv_poll_start(&watch->poll, to_uv(events), on_watch);
}

static void free_watch(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_poll_t *)handle, struct watch, poll));
}

void watch_free(struct watch **p)
{
    struct watch *watch = TAKE(*p);
    if (watch != NULL)
        uv_close((uv_handle_t *)&watch->poll, free_watch);
}

static void on_signal_fd(void *context, int events)
{
    (void)events;
    struct loop *loop = context;
    struct signalfd_siginfo info;
    while (read(loop->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        loop->on_signal(loop->signal_context, (int)info.ssi_signo);
}

enum err loop_signals(struct loop *loop, const int *signals, size_t n,
                      void (*fn)(void *context, int signal), void *context, struct why *why)
{
    must(loop->signal_fd < 0);
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < n; i++)
        sigaddset(&set, signals[i]);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return why_say(why, ERR_IO, "cannot block signals");
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return why_say(why, ERR_IO, "signalfd: %m");
    if (loop_watch(loop, fd, WATCH_READ, on_signal_fd, loop, &loop->signal_watch) != OK) {
        close(fd);
        return why_say(why, ERR_IO, "cannot watch for signals");
    }
    loop->signal_fd = fd;
    loop->on_signal = fn;
    loop->signal_context = context;
    return OK;
}
