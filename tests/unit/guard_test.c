#include "test.h"

#include "lab/experiment.h"

#include <stdio.h>

/* ---- Worms ---- */

static struct result outbreak(const char *worm, double open, enum defence_kind defence,
                              unsigned seeds)
{
    struct experiment experiment;
    experiment_default(&experiment);
    experiment.people = 300;
    experiment.contacts = 12;
    experiment.learn_hours = 4;
    experiment.hours = 4;
    experiment.worm = worm_find(str_of(worm));
    experiment.open = open;
    experiment.n_seeds = seeds;
    check(texts_read(&experiment.texts, NULL, &(struct prng){1}, NULL) == OK);
    struct lure_rules *rules = lure_rules_new();
    struct result result = experiment_run(&experiment, rules, defence);
    lure_rules_free(&rules);
    texts_free(&experiment.texts);
    return result;
}

TEST(a_worm_stays_with_patient_zero)
{
    static const struct {
        const char *worm;
        double most; // infected, in the mean
    } rows[] = {
        {"P1", 2 },
        {"P2", 2 },
        {"P4", 10},
        {"P5", 10},
        {"P6", 2 },
        {"P9", 2 },
    };
    static const double opens[] = {0.2, 0.72};
    result_table_head(stdout, false);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t o = 0; o < COUNT_OF(opens); o++) {
            struct result on = outbreak(rows[i].worm, opens[o], DEFENCE_FIREDOOR, 3);
            result_table_row(stdout, &on);
            check(series_mean(&on.infected) <= rows[i].most);
            check(on.honest.lost == 0 && on.honest.rejected == 0);
            check(on.restricted == 0);
            result_done(&on);
        }
}

/* ---- Honest traps ---- */

static struct result trap_alone(const struct trap *trap, double learn_hours)
{
    struct experiment experiment;
    experiment_default(&experiment);
    experiment.people = 600;
    experiment.contacts = 12;
    experiment.learn_hours = learn_hours;
    experiment.traps[0] = trap;
    experiment.n_traps = 1;
    experiment.n_seeds = 1;
    experiment.habits.reshare = 0; // only what the trap itself sends on
    check(texts_read(&experiment.texts, NULL, &(struct prng){1}, NULL) == OK);
    struct lure_rules *rules = lure_rules_new();
    struct result result = experiment_run(&experiment, rules, DEFENCE_FIREDOOR);
    lure_rules_free(&rules);
    texts_free(&experiment.texts);
    return result;
}

TEST(honest_people_are_left_alone)
{
    result_table_head(stdout, true);
    for (const struct trap *trap = traps; trap->name != NULL; trap++)
        for (double learn_hours = 0; learn_hours <= 8; learn_hours += 8) { // an empty store too
            struct result r = trap_alone(trap, learn_hours);
            result_table_row(stdout, &r);
            bool waits = str_eq(str_of(trap->name), STR("B10fast"));
            check(r.honest.messages > 0);
            check(r.honest.lost == 0);
            check(r.honest.rejected == 0);
            check(r.restricted == 0);
            check(r.honest.longest_hold_us <= 15010000);
            check(waits || r.honest.held == 0);
            result_done(&r);
        }
}
