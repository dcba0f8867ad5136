/*
 * The loop: one thread's wait for sockets, mail and time.
 *
 * A turn: wait; hand out what the sockets have; run the mails; run the timers
 * that are due; run the chores left for the end of the turn.  Chores are what
 * makes batches: whatever happened during the turn, each chore runs once, the
 * gathering ones first (upper layers add their last words), then the flushing
 * ones (connections write to their sockets).
 *
 * Everything here belongs to the loop's thread unless it says otherwise.
 * Inside is libuv's uv_poll, uv_async and one uv_timer.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/err.h"
#include "base/list.h"
#include "net/mailbox.h"

#include <stdint.h>

struct loop;

/* name: for logs, copied.  ERR_IO when the system gives no descriptors. */
enum err loop_new(const char *name, struct loop **out, struct why *why) MUST_CHECK;
/* After the loop has ended, and on the thread that ran it or after joining it. */
void loop_free(struct loop **p);

/* Runs on the calling thread, until loop_stop. */
void loop_run(struct loop *loop);
/* From any thread: the loop ends after its current turn. */
void loop_stop(struct loop *loop);
/* One turn, which waits for at most most_us: for threads that mix in a foreign loop, and tests. */
void loop_turn(struct loop *loop, int64_t most_us);

/* Monotonic time as of this turn: no call of the system. */
int64_t loop_now_us(const struct loop *loop);

/* From any thread. */
void loop_post(struct loop *loop, struct mail *mail);
struct mailbox *loop_mailbox(struct loop *loop);

/* A timer is embedded in its owner, starts zeroed, and must be cancelled before its memory goes.
 * Never early; late by up to 8 ms and the length of a turn.  Setting and cancelling are O(1). */
struct timer {
    struct link link;
    int64_t tick;
    void (*fn)(struct timer *timer);
};

/* Sets it anew when it was set. */
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t after_us,
                    void (*fn)(struct timer *timer));
void loop_timer_cancel(struct timer *timer);

static inline bool timer_is_set(const struct timer *timer)
{
    return list_is_member(&timer->link);
}

enum turn_end { TURN_GATHER, TURN_FLUSH, TURN_ENDS };

/* What is to be done once at the end of the turn.  Starts zeroed but for run. */
struct chore {
    struct link link;
    void (*run)(struct chore *chore);
};

/* Does nothing when it is on the list already.  A chore added while chores of its kind run waits
 * for the next turn, which then follows at once. */
void loop_at_end(struct loop *loop, enum turn_end when, struct chore *chore);
void loop_chore_cancel(struct chore *chore);

/* A descriptor to watch: for control sockets and libraries with descriptors of their own. */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
struct watch;
typedef void watch_fn(void *context, int events);

/* The descriptor stays the caller's; it must be non-blocking. */
enum err loop_watch(struct loop *loop, int fd, int events, watch_fn *fn, void *context,
                    struct watch **out) MUST_CHECK;
void watch_change(struct watch *watch, int events);
/* Before the descriptor is closed. */
void watch_free(struct watch **p);

/* Hands signals to fn on the loop's thread.  Blocks them in the calling thread: call it before
 * other threads are started, which inherit that.  Once per loop. */
enum err loop_signals(struct loop *loop, const int *signals, size_t n,
                      void (*fn)(void *context, int signal), void *context,
                      struct why *why) MUST_CHECK;

/* Since the start; readable from any thread.  A turn is counted without its wait. */
struct loop_stats {
    uint64_t n_turns, n_mails;
    int64_t busy_us, longest_turn_us;
    size_t n_waiting; // mails
};
void loop_stats(const struct loop *loop, struct loop_stats *out);

#endif
