#include "test.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/must.h"
#include "base/random.h"
#include "net/loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static struct loop *loop;

struct clocked {
    struct timer timer;
    int64_t due_us, fired_us;
};

static size_t n_fired;

static void fire(struct timer *timer)
{
    struct clocked *c = CONTAINER_OF(timer, struct clocked, timer);
    must(c->fired_us == 0);
    c->fired_us = loop_now_us(loop);
    n_fired++;
}

static void run_until_fired(size_t n)
{
    while (n_fired < n)
        loop_turn(loop, SECOND_US);
}

TEST(timers_never_fire_early_nor_before_those_due_ticks_before_them)
{
    check(loop_new("test", &loop, NULL) == OK);
    struct prng prng = {7};
    static struct clocked timers[300];
    n_fired = 0;
    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        int64_t after_us = (int64_t)prng_below(&prng, 1200000); // three turns of the lowest wheel
        timers[i] = (struct clocked){.due_us = loop_now_us(loop) + after_us};
        loop_timer_set(loop, &timers[i].timer, after_us, fire);
    }
    run_until_fired(COUNT_OF(timers));
    for (size_t i = 0; i < COUNT_OF(timers); i++) {
        check(timers[i].fired_us >= timers[i].due_us);
        for (size_t k = 0; k < COUNT_OF(timers); k++)
            if (timers[i].due_us + 20000 < timers[k].due_us)
                check(timers[i].fired_us <= timers[k].fired_us);
    }
    loop_free(&loop);
}

static struct clocked victim;

static void kill_victim(struct timer *timer)
{
    (void)timer;
    loop_timer_cancel(&victim.timer);
    n_fired++;
}

TEST(a_timer_can_cancel_another_of_the_same_tick_and_be_set_anew)
{
    check(loop_new("test", &loop, NULL) == OK);
    n_fired = 0;
    struct timer killer = {0};
    victim = (struct clocked){0};
    loop_timer_set(loop, &killer, 1000, kill_victim);
    loop_timer_set(loop, &victim.timer, 1000, fire);
    run_until_fired(1);
    loop_turn(loop, 50000);
    check(victim.fired_us == 0);
    check(!timer_is_set(&victim.timer));
    loop_timer_set(loop, &victim.timer, 3600 * SECOND_US, fire);
    loop_timer_set(loop, &victim.timer, 1000, fire);
    run_until_fired(2);
    check(victim.fired_us != 0);
    loop_free(&loop);
}

TEST(a_hundred_thousand_timers_are_cheap_and_far_ones_cost_no_turns)
{
    enum { N = 100000 };
    check(loop_new("test", &loop, NULL) == OK);
    struct clocked *timers = calloc(N, sizeof *timers);
    struct prng prng = {1};
    for (size_t i = 0; i < N; i++) // from a minute to four days: all levels, and beyond
        loop_timer_set(loop, &timers[i].timer,
                       60 * SECOND_US + (int64_t)prng_below(&prng, 345600) * SECOND_US, fire);
    n_fired = 0;
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 20000);
    check(n_fired == 0);
    struct loop_stats stats;
    loop_stats(loop, &stats);
    check(stats.n_turns == 5);
    for (size_t i = 0; i < N; i++)
        loop_timer_cancel(&timers[i].timer);
    free(timers);
    loop_free(&loop);
}

static char order[16];
static size_t n_order;
static struct chore gather, flush;

static void note_gather(struct chore *chore)
{
    (void)chore;
    order[n_order++] = 'g';
    loop_at_end(loop, TURN_FLUSH, &flush); // listed already: once is enough
}

static void note_flush(struct chore *chore)
{
    (void)chore;
    order[n_order++] = 'f';
}

static void note_mail(struct mail *mail)
{
    (void)mail;
    order[n_order++] = 'm';
}

TEST(a_turn_runs_mail_then_gathers_then_flushes_each_once)
{
    check(loop_new("test", &loop, NULL) == OK);
    gather = (struct chore){.run = note_gather};
    flush = (struct chore){.run = note_flush};
    struct mail mail = {.run = note_mail};
    n_order = 0;
    loop_at_end(loop, TURN_FLUSH, &flush);
    loop_at_end(loop, TURN_FLUSH, &flush);
    loop_at_end(loop, TURN_GATHER, &gather);
    loop_post(loop, &mail);
    loop_turn(loop, 0);
    check_str(str_make(order, n_order), STR("mgf"));
    loop_turn(loop, 0);
    check(n_order == 3);
    loop_free(&loop);
}

static int got_signal;

static void note_signal(void *context, int signal)
{
    (void)context;
    got_signal = signal;
}

TEST(signals_arrive_on_the_loop)
{
    check(loop_new("test", &loop, NULL) == OK);
    int wanted[] = {SIGUSR1, SIGHUP};
    check(loop_signals(loop, wanted, 2, note_signal, NULL, NULL) == OK);
    raise(SIGHUP);
    while (got_signal == 0)
        loop_turn(loop, SECOND_US);
    check(got_signal == SIGHUP);
    loop_free(&loop);
}

static int watched_events;

static void note_watch(void *context, int events)
{
    char c;
    watched_events |= events;
    must(read(*(int *)context, &c, 1) == 1);
}

TEST(a_watched_descriptor_calls_back)
{
    check(loop_new("test", &loop, NULL) == OK);
    int ends[2];
    check(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    struct watch *watch;
    check(loop_watch(loop, ends[0], WATCH_READ, note_watch, &ends[0], &watch) == OK);
    loop_turn(loop, 0);
    check(watched_events == 0);
    check(write(ends[1], "x", 1) == 1);
    while (watched_events == 0)
        loop_turn(loop, SECOND_US);
    check(watched_events == WATCH_READ);
    watch_free(&watch);
    close(ends[0]);
    close(ends[1]);
    loop_free(&loop);
}
