/*
 * An experiment: one worm (or none) and any traps among the same people, under
 * each of several defences, for a number of seeds.
 *
 * The guard learns from ordinary traffic first: from the first 40 % of the trace,
 * or from a working day of the model.  Then patient zero opens his lure and the
 * traps begin, while ordinary traffic goes on.
 */
#ifndef LAB_EXPERIMENT_H
#define LAB_EXPERIMENT_H

#include "lab/result.h"
#include "lab/traffic.h"
#include "town/trap.h"

struct experiment {
    // who: a trace, or a model
    const struct trace *trace; // NULL: a model
    struct graph graph;        // of the trace; of a model made anew for each seed
    struct texts *texts;
    enum graph_kind graph_kind;
    enum roster_order roster;
    uint32_t people;
    double contacts, messages_a_day;
    // what
    const struct worm_profile *worm; // NULL: none
    const struct trap *traps[TRAPS_MOST];
    size_t n_traps;
    double traps_after_s; // the first copies of a worm
    enum defence_kind defences[N_DEFENCES];
    size_t n_defences;
    struct habits habits;
    double open, decoys, protect_nats, density;
    double learn;              // share of a trace
    double learn_hours, hours; // of a model, before the worm and after
    double days;               // after the worm's beginning, of a trace at most
    uint64_t first_seed;
    unsigned n_seeds;
    struct guard_config guard_config;
    bool shows;   // print the incidents of each run
    bool untimed; // what the guard costs is not measured
};

void experiment_default(struct experiment *experiment);
/* Rules for extraction are shared by all runs. */
struct result experiment_run(const struct experiment *experiment, const struct lure_rules *rules,
                             enum defence_kind defence);

/* The same by hand: a result without a run yet, and one run of it. */
struct result experiment_result(const struct experiment *experiment, enum defence_kind defence);
void experiment_run_seed(const struct experiment *experiment, const struct lure_rules *rules,
                         enum defence_kind defence, uint64_t seed, struct run *run);

#endif
