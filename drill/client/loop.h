/*
 * The clients' event loop: sockets, timers, and a last act of every turn.
 *
 * One loop belongs to one thread and carries thousands of clients.  What they
 * write during a turn leaves at its end, so that one system call carries all
 * that a turn had to say to one server connection.  It is no part of the
 * server: the instrument that measures should not share the loop it measures.
 */
#ifndef DRILL_CLIENT_LOOP_H
#define DRILL_CLIENT_LOOP_H

#include "base/err.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* Watches a descriptor; lives in its owner. */
struct watch {
    int fd;
    bool reading, writing; // what is asked of epoll at present
    void (*ready)(struct watch *watch, bool readable, bool writable);
};

/* Fires once; lives in its owner.  Zeroed memory is a timer that is not set. */
struct timer {
    int64_t due_us;
    uint64_t order; // among equal times, first set fires first
    size_t at;      // place in the heap, counted from 1; 0: not set
    void (*fire)(struct timer *timer);
};

/* Something to do before the loop sleeps; lives in its owner.  Zeroed memory is not set. */
struct chore {
    struct link link;
    void (*run)(struct chore *chore);
};

struct loop *loop_new(void);
/* Timers, watches and chores must have been stopped. */
void loop_free(struct loop **loop);

/* Turns until loop_stop(), or until the clock passes until_us (INT64_MAX: never). */
void loop_run(struct loop *loop, int64_t until_us);
void loop_stop(struct loop *loop);
/* The monotonic time at which the present turn began. */
int64_t loop_now_us(const struct loop *loop);

/* By how much the latest timer fired too late since this was last asked. */
int64_t loop_lag_us(struct loop *loop);

/* Adds the watch, changes what it waits for, or (both false) removes it. */
void loop_watch(struct loop *loop, struct watch *watch, bool reading, bool writing);

/* Sets the timer, anew where it is set already. */
void loop_timer(struct loop *loop, struct timer *timer, int64_t due_us);
void loop_timer_stop(struct loop *loop, struct timer *timer);
static inline bool timer_is_set(const struct timer *timer)
{
    return timer->at != 0;
}

/* Runs it once at the end of this turn; asking twice is asking once. */
void loop_chore(struct loop *loop, struct chore *chore);
void loop_chore_stop(struct chore *chore);

#endif
