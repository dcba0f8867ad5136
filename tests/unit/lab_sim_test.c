#include "test.h"

#include "lab/experiment.h"

static struct lure_rules *rules;
static struct experiment experiment;

static void set_up(const char *worm)
{
    experiment_default(&experiment);
    experiment.people = 200;
    experiment.contacts = 10;
    experiment.learn_hours = 1;
    experiment.hours = 2;
    experiment.n_seeds = 2;
    experiment.worm = worm_find(str_of(worm));
    check(texts_read(&experiment.texts, NULL, &(struct prng){1}, NULL) == OK);
    rules = lure_rules_new();
}

static void tear_down(void)
{
    texts_free(&experiment.texts);
    lure_rules_free(&rules);
}

static json_t *run(enum defence_kind defence)
{
    struct result result = experiment_run(&experiment, rules, defence);
    json_t *json = result_json(&result);
    json_object_del(json, "cost"); // measured, not simulated
    result_done(&result);
    return json;
}

TEST(the_same_seed_gives_the_same_figures)
{
    static const enum defence_kind kinds[] = {DEFENCE_FIREDOOR, DEFENCE_THROTTLE, DEFENCE_URL5};
    static const char *const worms[] = {"P5", "P10", "P14"};
    for (size_t i = 0; i < COUNT_OF(worms); i++) {
        set_up(worms[i]);
        for (size_t k = 0; k < COUNT_OF(kinds); k++) {
            json_t *a = run(kinds[k]), *b = run(kinds[k]);
            check(json_equal(a, b));
            experiment.first_seed = 7;
            json_t *c = run(kinds[k]);
            experiment.first_seed = 1;
            check(!json_equal(a, c));
            json_decref(a);
            json_decref(b);
            json_decref(c);
        }
        tear_down();
    }
}

TEST(without_a_defence_a_worm_reaches_nearly_everybody_who_would_open)
{
    set_up("P1");
    experiment.open = 0.9;
    struct result none = experiment_run(&experiment, rules, DEFENCE_NONE);
    check(series_mean(&none.infected) > 0.7 * experiment.people);
    check(none.seconds.n == 0);
    check(none.honest.messages > 0 && none.honest.lost == 0 && none.honest.held == 0);
    struct result guard = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(series_mean(&guard.infected) < 5);
    check(guard.seconds.n == guard.n_seeds);
    check(guard.honest.lost == 0);
    result_done(&none);
    result_done(&guard);
    tear_down();
}

TEST(an_encrypted_worm_ends_and_an_encrypted_new_year_meets_nothing)
{
    set_up("P13");
    struct result guard = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(series_mean(&guard.infected) < 12);
    check(guard.honest.lost == 0 && guard.honest.rejected == 0 && guard.restricted == 0);
    experiment.guard_config.sealed_pause_us = 0;
    struct result blind = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(series_mean(&blind.infected) > 2 * series_mean(&guard.infected));
    result_done(&guard);
    result_done(&blind);
    experiment.guard_config.sealed_pause_us = INT64_C(5) * 1000000;
    experiment.worm = NULL;
    experiment.habits.encrypted = 1;
    experiment.traps[0] = trap_find(STR("B7enc"));
    experiment.n_traps = 1;
    struct result feast = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(feast.honest.messages > 500);
    check(feast.honest.rejected == 0 && feast.honest.held == 0 && feast.restricted == 0);
    result_done(&feast);
    tear_down();
}

TEST(every_worm_runs_under_every_defence)
{
    for (const struct worm_profile *worm = worm_profiles; worm->name != NULL; worm++) {
        set_up(worm->name);
        experiment.n_seeds = 1;
        experiment.people = 80;
        experiment.hours = 1;
        experiment.decoys = 0.1;
        experiment.habits.report = 0.5;
        experiment.habits.warn = 0.2;
        experiment.guard_config.ask_us = INT64_C(3600) * 1000000;
        for (int kind = 0; kind < N_DEFENCES; kind++) {
            struct result result = experiment_run(&experiment, rules, (enum defence_kind)kind);
            uint32_t zeros = worm->habits.zeros;
            check(result.n_seeds == 1 && result.infected.n == 1);
            check(series_mean(&result.infected) >= zeros);
            check(series_mean(&result.infected) <= experiment.people);
            result_done(&result);
        }
        tear_down();
    }
}

TEST(clients_that_do_not_obey_keep_what_was_taken_back)
{
    set_up("P4");
    experiment.open = 1;
    experiment.hours = 24;
    struct result obeying = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    experiment.habits.obey = 0;
    struct result deaf = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(series_mean(&deaf.infected) >= series_mean(&obeying.infected));
    result_done(&obeying);
    result_done(&deaf);
    tear_down();
}

TEST(the_defences_are_compared_on_the_same_people_and_traffic)
{
    set_up("P1");
    experiment.open = 0; // nobody opens anything: only the first client sends
    struct result none = experiment_run(&experiment, rules, DEFENCE_NONE);
    struct result stop = experiment_run(&experiment, rules, DEFENCE_STOP5);
    struct result guard = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    check(none.honest.messages == guard.honest.messages);
    check(none.honest.messages == stop.honest.messages);
    check(series_mean(&none.infected) == 1 && series_mean(&guard.infected) == 1);
    check(series_mean(&none.exposed) >= 5);
    result_done(&none);
    result_done(&stop);
    result_done(&guard);
    tear_down();
}
