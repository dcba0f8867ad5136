/*
 * What the guard costs: CPU time of this thread, in blocks of a few hundred
 * messages, since reading the clock costs more than a message.  The median of
 * the blocks is told.
 */
#ifndef LAB_COST_H
#define LAB_COST_H

#include "guard/guard.h"
#include "town/texts.h"

struct cost {
    double message_ns; // looking through a message without a lure
    double lure_ns;    // one with lures: extraction, keys, judgement and exposure
};

/* The guard takes what is measured for real traffic: it is of no use afterwards.  NAN where the
 * texts have no such messages. */
struct cost cost_measure(struct guard *guard, const struct lure_rules *rules, struct texts *texts,
                         uint32_t people, int64_t now_us, uint64_t seed);

#endif
