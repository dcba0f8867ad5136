/*
 * Runs of a search, shared out among processes.
 *
 * A run is a worm and a seed and depends on nothing else, so it does not matter
 * who does it.  Processes, not threads: texts are shuffled where they lie, and a
 * guard that dies takes only its own runs along.
 */
#ifndef LAB_CREW_H
#define LAB_CREW_H

#include "lab/experiment.h"

enum { CREW_MOST = 64 };

struct task {
    const struct worm_profile *worm; // borrowed
    uint64_t seed;
    struct run run; // what came of it
};

/* Does all of them under Firedoor's guard, in so many processes: 1 is this one.  ERR_IO when
 * there could be none, or when one died. */
enum err crew_run(struct task *tasks, size_t n, const struct experiment *experiment,
                  const struct lure_rules *rules, unsigned n_processes, struct why *why) MUST_CHECK;

#endif
