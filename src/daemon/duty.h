/*
 * A duty: what the server does by itself now and then, on a loop.
 *
 * Its work may take many turns of the loop (the store and the guard answer by mail); when it is
 * over, duty_rest says when it is to begin again.
 */
#ifndef DAEMON_DUTY_H
#define DAEMON_DUTY_H

#include "net/loop.h"

/* Embedded in whose duty it is; all of it on the loop's thread. */
struct duty {
    struct loop *loop;
    struct timer timer;
    void (*begin)(struct duty *duty);
    bool is_under_way;
    bool ends; // what is under way may end early
};

/* The first time is after_us from now. */
void duty_init(struct duty *duty, struct loop *loop, int64_t after_us,
               void (*begin)(struct duty *duty));
/* The work is over, and begins again after_us from now; never where the duty ends. */
void duty_rest(struct duty *duty, int64_t after_us);
/* What is under way ends first, so the loop is turned until then. */
void duty_done(struct duty *duty);

#endif
