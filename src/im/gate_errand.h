/*
 * Errands to the guard: what operators ask it and have it do.
 *
 * From any loop: the errand runs on the guard's thread, then done runs where
 * it came from.
 */
#ifndef IM_GATE_ERRAND_H
#define IM_GATE_ERRAND_H

#include "guard/guard.h"
#include "im/gate.h"
#include "net/loop.h"

struct gate_errand {
    struct mail mail;
    struct gate *gate;
    struct loop *home;
    /* An event to be taken first (event.kind != 0); its texts live until done.  incident: what the
     * guard's word named. */
    struct guard_event event;
    uint64_t incident;
    /* Then, on the guard's thread: looks in; copies what it wants.  May be NULL. */
    void (*look)(struct gate_errand *errand, const struct guard *guard);
    /* On the home loop. */
    void (*done)(struct gate_errand *errand);
    void *context;
};

void gate_errand_send(struct gate *gate, struct gate_errand *errand, struct loop *home);

/* The guard's clock now, for expiries. */
int64_t gate_clock_us(const struct gate *gate);
/* How links are read: for a conviction by hand. */
const struct lure_rules *gate_lure_rules(const struct gate *gate);

#endif
