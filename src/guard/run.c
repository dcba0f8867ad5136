#include "guard/run.h"

static void remember(struct run *run, const struct lure_key *key)
{
    if (run->n_first < RUN_KEPT)
        run->first[run->n_first++] = *key;
}

enum run_step run_sends(struct run *run, uint64_t receiver, const struct lure_key *key,
                        int64_t now_us, int64_t pause_us)
{
    bool follows = run->last_us != 0 && now_us - run->last_us <= pause_us;
    bool is_same = run->receiver == receiver;
    run->last_us = now_us;
    run->receiver = receiver;
    if (!follows) {
        run->goes_on = false;
        run->n_first = 0;
    }
    if (run->goes_on)
        return RUN_GOES_ON;
    if (follows && !is_same) {
        run->goes_on = true;
        return RUN_SPREADS;
    }
    remember(run, key);
    return follows ? RUN_STAYS : RUN_BEGINS;
}
