/*
 * Honest traffic of real people through the guard: what did it do to them?
 *
 * FIREDOOR_DATA names a directory with benign-trace.tsv (from, to, time) and
 * benign-messages.txt (one text a line); without it a trace of our own is
 * used, which is too small to claim anything.
 * FIREDOOR_PASSES: how often the trace is walked with other texts (default 2).
 */
#include "test.h"

#include "lab/experiment.h"

#include <stdio.h>
#include <stdlib.h>

TEST(real_traffic_is_left_alone)
{
    const char *directory = getenv("FIREDOOR_DATA"), *passes = getenv("FIREDOOR_PASSES");
    if (directory == NULL) {
        printf("FIREDOOR_DATA is not set: nothing is measured here\n");
        return;
    }
    struct arena *arena = test_arena();
    struct experiment experiment;
    struct names names;
    struct trace trace;
    struct why why = {0};
    uint64_t n = 2;
    if (passes != NULL)
        check(str_to_u64(str_of(passes), 1, 1000, &n) == OK);
    names_init(&names);
    experiment_default(&experiment);
    experiment.n_seeds = (unsigned)n;
    check(trace_read(&trace, arena_printf(arena, "%s/benign-trace.tsv", directory).at, &names,
                     &why) == OK);
    check(texts_read(&experiment.texts, arena_printf(arena, "%s/benign-messages.txt", directory).at,
                     &(struct prng){1}, &why) == OK);
    trace_graph(&trace, names.n, &experiment.graph);
    experiment.trace = &trace;
    struct lure_rules *rules = lure_rules_new();
    static const double densities[] = {1, 10, 50};
    result_table_head(stdout, true);
    for (size_t d = 0; d < COUNT_OF(densities); d++) {
        experiment.density = densities[d];
        struct result r = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
        double million = (double)r.honest.messages / 1e6;
        result_table_row(stdout, &r);
        check(r.restricted == 0);
        check((double)r.honest.rejected / million <= 5);
        check((double)r.honest.held / million <= 50);
        result_done(&r);
    }
    lure_rules_free(&rules);
    texts_free(&experiment.texts);
    graph_done(&experiment.graph);
    trace_done(&trace);
    names_done(&names);
}
