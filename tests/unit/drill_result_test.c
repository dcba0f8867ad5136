#include "test.h"

#include "drill/result.h"

#include <math.h>
#include <stdlib.h>

/* A side of two runs, of which the machine may have been too slow for the second. */
static struct side side_of(const char *name, double lag_s)
{
    struct side side = {.name = name, .results = calloc(2, sizeof *side.results), .n = 2};
    for (int i = 0; i < 2; i++) {
        struct result *result = &side.results[i];
        result->seed = 7 + (uint64_t)i;
        result->speed = 20;
        result->outcome.n_infected = 1 + 2 * (uint32_t)i;
        result->outcome.infected = calloc(3, sizeof *result->outcome.infected);
        result->outcome.seen_s = -1;
        result->outcome.lag_s = i == 0 ? 0.1 : lag_s;
        result->outcome.trap = (struct honest_tally){.n_sent = 10,
                                                     .n_received = 9,
                                                     .n_rejected = 1,
                                                     .n_returned = 1,
                                                     .longest_unasked_s = 3 + i};
        result->outcome.n_asked_traps = 1;
        result->record = (struct record){.known = true, .convicted_s = -1};
    }
    return side;
}

static struct str printed(void (*print)(FILE *out, const struct side *side),
                          const struct side *side)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    print(out, side);
    fclose(out);
    struct str kept = arena_str(test_arena(), str_make(text, len));
    free(text);
    return kept;
}

static void print_side(FILE *out, const struct side *side)
{
    sides_print(out, side, 1);
}

static void print_trap(FILE *out, const struct side *side)
{
    const struct trap *trap = traps;
    traps_print(out, &trap, side, 1);
}

static bool holds(struct str text, const char *wanted)
{
    return str_find(text, str_of(wanted)) < text.len;
}

TEST(a_run_for_which_the_machine_was_too_slow_has_no_figures)
{
    struct side side = side_of("guard on", 3.1);
    check(sides_are_too_slow(&side, 1));
    check(side_figure(&side, FIGURE_INFECTED) == 1); // of the run that counts
    check(isnan(result_figure(&side.results[1], FIGURE_INFECTED)));
    check(side_figure(&side, FIGURE_LAG_S) == 3.1);
    struct str text = printed(print_side, &side);
    check(holds(text, "seed 8: the machine was too slow for this speed (20): lag 3.1 s"));
    check(!holds(text, "seed 7"));
    json_t *all = sides_json(&side, 1), *runs = json_object_get(json_array_get(all, 0), "runs");
    check(json_is_false(json_object_get(json_array_get(runs, 0), "too_slow")));
    check(json_is_true(json_object_get(json_array_get(runs, 1), "too_slow")));
    check(json_is_null(json_object_get(json_array_get(runs, 1), "infected")));
    json_decref(all);
    side_done(&side);
}

TEST(a_machine_that_keeps_up_is_not_spoken_of)
{
    struct side side = side_of("guard on", 0.3);
    check(!sides_are_too_slow(&side, 1) && side_figure(&side, FIGURE_INFECTED) == 2);
    check(!holds(printed(print_side, &side), "too slow"));
    side_done(&side);
}

TEST(a_trap_is_kept_where_nothing_is_lost_rejected_or_restricted)
{
    const struct trap *trap = traps;
    struct trap_tally tally;
    struct side side = side_of("guard on", 0.3);
    trap_tally(&side, &tally);
    check(tally.kept && tally.messages == 20 && tally.asked == 2 && tally.longest_s == 4);
    check(tally.returned == 2 && tally.rejected == 0); // who gives no answer gets it back
    check(!holds(printed(print_trap, &side), "MISSED"));
    side.results[1].outcome.trap.n_lost = 1;
    trap_tally(&side, &tally);
    check(!tally.kept && holds(printed(print_trap, &side), "MISSED"));
    json_t *all = traps_json(&trap, &side, 1), *one = json_array_get(all, 0);
    check(json_integer_value(json_object_get(one, "lost")) == 1);
    check(json_is_false(json_object_get(one, "kept")));
    json_decref(all);
    side_done(&side);
    side = side_of("guard on", 5);
    trap_tally(&side, &tally);
    check(!tally.kept && tally.too_slow);
    check(holds(printed(print_trap, &side), "lag 5.0 s"));
    side_done(&side);
}
