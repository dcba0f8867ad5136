#include "lab/experiment.h"

#include "base/clock.h"
#include "base/must.h"

void experiment_default(struct experiment *experiment)
{
    struct sim_config config;
    sim_config_default(&config);
    *experiment = (struct experiment){
        .people = 2000,
        .contacts = 20,
        .messages_a_day = 40,
        .defences = {DEFENCE_FIREDOOR},
        .n_defences = 1,
        .habits = config.habits,
        .open = config.open,
        .density = 1,
        .learn = 0.4,
        .learn_hours = 8,
        .hours = 8,
        .days = 14,
        .first_seed = 1,
        .n_seeds = 20,
        .guard_config = config.guard_config,
    };
}

/* Ordinary traffic of one run. */
struct ordinary {
    struct trace_traffic trace;
    struct chat_traffic *chat;
    int64_t worm_us, end_us; // when the worm begins; when everything ends
};

static void begin_ordinary(struct ordinary *ordinary, const struct experiment *experiment,
                           const struct graph *graph, struct sim *sim, uint64_t seed)
{
    struct traffic traffic;
    int64_t now_us = sim_now_us(sim);
    if (experiment->trace != NULL) {
        const struct trace *trace = experiment->trace;
        trace_traffic_init(&ordinary->trace, trace, experiment->texts, now_us, experiment->density,
                           seed);
        size_t step = (size_t)((double)trace->n * experiment->learn);
        ordinary->worm_us = trace_traffic_at_us(&ordinary->trace, step);
        ordinary->end_us = trace_traffic_at_us(&ordinary->trace, trace->n);
        traffic = trace_traffic_of(&ordinary->trace);
        int64_t days_us = (int64_t)(experiment->days * 86400e6);
        bool has_event = experiment->worm != NULL || experiment->n_traps > 0;
        if (has_event && ordinary->end_us - ordinary->worm_us > days_us)
            ordinary->end_us = ordinary->worm_us + days_us;
    } else {
        ordinary->chat =
            chat_traffic_new(graph, experiment->texts,
                             experiment->messages_a_day * experiment->density, now_us, seed);
        ordinary->worm_us = now_us + (int64_t)(experiment->learn_hours * 3600e6);
        ordinary->end_us = ordinary->worm_us + (int64_t)(experiment->hours * 3600e6);
        traffic = chat_traffic_of(ordinary->chat);
    }
    sim_traffic(sim, &traffic);
}

static void end_ordinary(struct ordinary *ordinary, const struct experiment *experiment)
{
    if (experiment->trace != NULL)
        trace_traffic_done(&ordinary->trace);
    chat_traffic_free(&ordinary->chat);
}

static const struct worm_profile *worm_of(const struct experiment *experiment)
{
    if (experiment->worm != NULL)
        return experiment->worm;
    for (size_t i = 0; i < experiment->n_traps; i++)
        if (experiment->traps[i]->needs_worm)
            return worm_find(STR("P1"));
    return NULL;
}

void experiment_run_seed(const struct experiment *experiment, const struct lure_rules *rules,
                         enum defence_kind defence, uint64_t seed, struct run *run)
{
    struct graph own = {0};
    const struct graph *graph = &experiment->graph;
    if (experiment->trace == NULL) {
        struct prng prng = graph_prng(seed);
        graph_make_kind(&own, experiment->graph_kind, experiment->people, experiment->contacts,
                        &prng);
        graph = &own;
    }
    struct worm worm = {worm_of(experiment), seed};
    struct sim_config config = {.graph = graph,
                                .rules = rules,
                                .worm = worm.profile != NULL ? &worm : NULL,
                                .habits = experiment->habits,
                                .open = experiment->open,
                                .roster = experiment->roster,
                                .defence = defence,
                                .decoys = experiment->decoys,
                                .protect_nats = experiment->protect_nats,
                                .guard_config = experiment->guard_config,
                                .seed = seed};
    struct sim *sim = sim_new(&config);
    struct ordinary ordinary = {0};
    int64_t began_us = sim_now_us(sim);
    begin_ordinary(&ordinary, experiment, graph, sim, seed);
    sim_run_until(sim, ordinary.worm_us);
    if (worm.profile != NULL) {
        sim_infect(sim);
        if (experiment->n_traps > 0) // the first copies are out
            sim_run(sim, worm.profile->habits.wait_s + 1 + experiment->traps_after_s);
    }
    for (size_t i = 0; i < experiment->n_traps; i++)
        sim_play(sim, experiment->traps[i]);
    if (experiment->worm == NULL && experiment->n_traps > 0)
        ordinary.end_us = sim_now_us(sim) + TRAP_S * SECOND_US;
    sim_run_until(sim, ordinary.end_us);
    if (experiment->shows)
        sim_show(sim);
    // nobody says more; what the guard still holds is let go within its time
    sim_traffic(sim, NULL);
    sim_run(sim, 60);
    const double week_us = 7 * 86400e6;
    *run = (struct run){.has_guard = sim_guard(sim) != NULL,
                        .person_weeks =
                            graph->n_people * (double)(sim_now_us(sim) - began_us) / week_us};
    sim_outcome(sim, &run->outcome);
    if (run->has_guard) {
        guard_state(sim_guard(sim), &run->state);
        if (!experiment->untimed)
            run->cost = cost_measure(sim_guard(sim), rules, experiment->texts, graph->n_people,
                                     sim_now_us(sim), seed);
    }
    end_ordinary(&ordinary, experiment);
    sim_free(&sim);
    graph_done(&own);
}

struct result experiment_result(const struct experiment *experiment, enum defence_kind defence)
{
    return (struct result){
        .name = experiment->worm != NULL    ? experiment->worm->name
                : experiment->n_traps > 0   ? experiment->traps[0]->name
                : experiment->trace != NULL ? "trace"
                                            : "model",
        .is_trap = experiment->worm == NULL,
        .counts_trap = experiment->worm == NULL && experiment->n_traps > 0,
        .open = experiment->open,
        .defence = defence,
        .people = experiment->trace != NULL ? experiment->graph.n_people : experiment->people,
    };
}

struct result experiment_run(const struct experiment *experiment, const struct lure_rules *rules,
                             enum defence_kind defence)
{
    struct result result = experiment_result(experiment, defence);
    for (unsigned i = 0; i < experiment->n_seeds; i++) {
        struct run run;
        experiment_run_seed(experiment, rules, defence, experiment->first_seed + i, &run);
        result_add(&result, &run);
    }
    return result;
}
