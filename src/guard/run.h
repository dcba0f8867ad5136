/*
 * Runs of encrypted messages: what somebody sends to one person after another without a pause.
 *
 * Nobody can see what an encrypted message invites to open, so its sender's home watches only for
 * this, with nothing but its own account at hand.  The guard hears of a run from its second
 * receiver on (struct sending with a sealed lure), and what went to the first is told it
 * afterwards (EVENT_SEALED): most people never make one.
 */
#ifndef GUARD_RUN_H
#define GUARD_RUN_H

#include "guard/lure.h"

enum { RUN_KEPT = 4 }; // messages to the first receiver that are remembered

/* Zeroed it is: nothing was sent. */
struct run {
    int64_t last_us;
    uint64_t receiver; // hash of the last one
    bool goes_on;      // there was a second receiver
    uint8_t n_first;
    struct lure_key first[RUN_KEPT]; // keys of what went to the first receiver
};

enum run_step {
    RUN_BEGINS,  // nobody need know of it; remember the receiver
    RUN_STAYS,   // another to him
    RUN_SPREADS, // the second receiver: the guard has to hear of the first, then of this
    RUN_GOES_ON, // the guard has to hear of it
};

/* An encrypted message goes out; pause_us: what comes later than that is a new run. */
enum run_step run_sends(struct run *run, uint64_t receiver, const struct lure_key *key,
                        int64_t now_us, int64_t pause_us);

#endif
