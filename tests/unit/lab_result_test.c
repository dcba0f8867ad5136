#include "test.h"

#include "lab/result.h"

#include <math.h>

static void add(struct result *result, uint32_t infected, double conviction_s)
{
    struct run run = {
        .has_guard = true,
        .cost = {100,              3000                  },
        .state = { .n_users = 10, .bytes_users = 900, .n_clusters = 2, .bytes_clusters = 4000}
    };
    run.outcome = (struct outcome){
        .infected = infected,
        .exposed = 2 * infected,
        .conviction_s = conviction_s,
        .copies_until_conviction = 4,
        .honest = {.messages = 500000,
                   .rejected = 1,
                   .held_over_2s = 3,
                   .longest_hold_us = 15000000},
        .trap = {.messages = 10 },
        .restricted_wrongly = 1,
    };
    result_add(result, &run);
}

TEST(percentiles_are_values_that_occurred)
{
    struct result result = {.name = "P1"};
    check(isnan(series_mean(&result.infected)));
    check(isnan(series_percentile(&result.infected, 0.5)));
    for (uint32_t i = 20; i > 0; i--)
        add(&result, i, i > 10 ? 1.0 * i : -1.0);
    check(series_mean(&result.infected) == 10.5);
    check(series_percentile(&result.infected, 0.05) == 1);
    check(series_percentile(&result.infected, 0.95) == 19);
    check(series_percentile(&result.infected, 1) == 20);
    check(result.seconds.n == 10); // where there was a conviction
    result_done(&result);
}

static double number_at(const json_t *json, const char *outer, const char *inner)
{
    const json_t *at = json_object_get(json_object_get(json, outer), inner);
    check(json_is_number(at));
    return json_number_value(at);
}

TEST(json_is_as_it_is_documented)
{
    struct result result = {.name = "P1", .open = 0.2, .defence = DEFENCE_FIREDOOR, .people = 100};
    add(&result, 1, 0.5);
    add(&result, 3, 1.5);
    json_t *json = result_json(&result);
    static const char *const keys[] = {"worm",
                                       "open",
                                       "defence",
                                       "people",
                                       "seeds",
                                       "infected",
                                       "reproduction",
                                       "exposed",
                                       "copies_until_conviction",
                                       "honest",
                                       "seconds_until_conviction",
                                       "cost",
                                       "questions_per_million",
                                       "questions",
                                       "warnings"};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        check(json_object_get(json, keys[i]) != NULL);
    check(json_object_size(json) == COUNT_OF(keys));
    check(number_at(json, "infected", "mean") == 2 && number_at(json, "infected", "max") == 3);
    check(number_at(json, "seconds_until_conviction", "p5") == 0.5);
    check(number_at(json, "honest", "messages") == 1000020);
    check(fabs(number_at(json, "honest", "rejected_per_million") - 2) < 0.001);
    check(fabs(number_at(json, "honest", "held_over_2s_per_million") - 6) < 0.001);
    check(number_at(json, "honest", "longest_hold_s") == 15);
    check(number_at(json, "honest", "lost") == 0);
    check(number_at(json, "honest", "accounts_restricted") == 2);
    check(number_at(json, "cost", "ns_per_message") == 100);
    check(number_at(json, "cost", "ns_per_lure") == 3000);
    check(number_at(json, "cost", "bytes_per_user") == 90);
    check(number_at(json, "cost", "bytes_per_cluster") == 2000);
    json_decref(json);
    result_done(&result);
}

TEST(a_trap_is_named_so_and_what_never_happened_is_null)
{
    struct result result = {.name = "B1", .is_trap = true, .counts_trap = true};
    add(&result, 0, -1);
    json_t *json = result_json(&result);
    check(json_object_get(json, "worm") == NULL);
    check(str_eq(str_of(json_string_value(json_object_get(json, "trap"))), STR("B1")));
    check(json_is_null(json_object_get(json_object_get(json, "seconds_until_conviction"), "mean")));
    check(number_at(json, "honest", "messages") == 10); // the trap's own
    json_decref(json);
    result_done(&result);
}
