/*
 * Figures are a table: to show one more, add a row.
 */
#include "drill/result.h"

#include "base/must.h"

#include <math.h>
#include <stdlib.h>

enum over_runs { MEAN, SUM, MOST };

static double convicted_s(const struct result *result)
{
    // the server's own record, or else the first sign that a client saw
    double s = result->record.known ? result->record.convicted_s : result->outcome.seen_s;
    return s < 0 ? NAN : s;
}

static double recorded(const struct result *result, uint32_t n)
{
    return result->record.known ? (double)n : (double)NAN;
}

bool result_is_too_slow(const struct result *result)
{
    return result->outcome.lag_s > DRILL_LAG_MOST_S;
}

double result_figure(const struct result *result, enum figure figure)
{
    if (result_is_too_slow(result) && figure != FIGURE_LAG_S)
        return NAN;
    const struct outcome *outcome = &result->outcome;
    const struct honest_tally *honest = &outcome->honest;
    switch (figure) {
    case FIGURE_INFECTED:
        return outcome->n_infected;
    case FIGURE_EXPOSED:
        return outcome->n_exposed;
    case FIGURE_COPIES:
        return outcome->n_copies;
    case FIGURE_COPIES_REJECTED:
        return outcome->n_copies_rejected;
    case FIGURE_COPIES_RETRACTED:
        return outcome->n_copies_retracted;
    case FIGURE_CONVICTED_S:
        return convicted_s(result);
    case FIGURE_WARNED:
        return outcome->n_warned;
    case FIGURE_RESTRICTED_RIGHTLY:
        return recorded(result, result->record.n_restricted_rightly);
    case FIGURE_RESTRICTED_WRONGLY:
        return recorded(result, result->record.n_restricted_wrongly);
    case FIGURE_HONEST_CONVICTED:
        return recorded(result, result->record.n_honest_convicted);
    case FIGURE_HONEST_SENT:
        return honest->n_sent;
    case FIGURE_HONEST_LOST:
        return honest->n_lost;
    case FIGURE_HONEST_TWICE:
        return honest->n_twice;
    case FIGURE_HONEST_REJECTED:
        return honest->n_rejected;
    case FIGURE_HONEST_REJECTED_INFECTED:
        return honest->n_rejected_infected;
    case FIGURE_HONEST_RETURNED:
        return honest->n_returned;
    case FIGURE_HONEST_HELD:
        return honest->n_held;
    case FIGURE_LONGEST_DELAY_S:
        return honest->longest_s;
    case FIGURE_ASKED:
        return outcome->n_asked;
    case FIGURE_ANSWERS_YES:
        return outcome->n_answers_yes;
    case FIGURE_ANSWERS_NO:
        return outcome->n_answers_no;
    case FIGURE_CUTS:
        return outcome->n_cuts;
    case FIGURE_LOST_CONNECTIONS:
        return outcome->n_lost_connections;
    case FIGURE_LAG_S:
        return outcome->lag_s;
    case N_FIGURES:
        break;
    }
    return NAN;
}

static const struct row {
    const char *key, *label;
    enum over_runs over_runs;
    bool is_seconds;
} rows[N_FIGURES] = {
    [FIGURE_INFECTED] = {"infected",                 "people infected",                     MEAN, false},
    [FIGURE_EXPOSED] = {"exposed",                  "people exposed",                      MEAN, false},
    [FIGURE_COPIES] = {"copies_sent",              "copies of the lure sent",             MEAN, false},
    [FIGURE_COPIES_REJECTED] = {"copies_rejected",          "  of them rejected",                  MEAN, false},
    [FIGURE_COPIES_RETRACTED] = {"copies_retracted",         "  of them retracted",                 MEAN, false},
    [FIGURE_CONVICTED_S] = {"convicted_s",              "until conviction",                    MEAN, true },
    [FIGURE_WARNED] = {"warned",                   "people warned",                       MEAN, false},
    [FIGURE_RESTRICTED_RIGHTLY] = {"restricted_rightly",       "accounts rightly restricted",         MEAN,
                         false                                                                         },
    [FIGURE_RESTRICTED_WRONGLY] = {"restricted_wrongly",       "accounts wrongly restricted",         SUM,  false},
    [FIGURE_HONEST_CONVICTED] = {"honest_convicted",         "honest links convicted",              SUM,  false},
    [FIGURE_HONEST_SENT] = {"honest_sent",              "honest messages sent",                SUM,  false},
    [FIGURE_HONEST_LOST] = {"honest_lost",              "  lost",                              SUM,  false},
    [FIGURE_HONEST_TWICE] = {"honest_twice",             "  received twice",                    SUM,  false},
    [FIGURE_HONEST_REJECTED] = {"honest_rejected",          "  rejected",                          SUM,  false},
    [FIGURE_HONEST_REJECTED_INFECTED] = {"honest_rejected_infected",
                         "    while the sender was infected",                               SUM,  false},
    [FIGURE_HONEST_RETURNED] = {"honest_returned",          "    for want of their sender's word", SUM,
                         false                                                                         },
    [FIGURE_HONEST_HELD] = {"honest_held",              "  held over two seconds",             SUM,  false},
    [FIGURE_LONGEST_DELAY_S] = {"longest_delay_s",          "  longest delay",                     MOST, true },
    [FIGURE_ASKED] = {"asked",                    "questions to honest people",          SUM,  false},
    [FIGURE_ANSWERS_YES] = {"answers_yes",              "  answered with yes by their people", SUM,  false},
    [FIGURE_ANSWERS_NO] = {"answers_no",               "  answered with no",                  SUM,  false},
    [FIGURE_CUTS] = {"cuts",                     "connections cut and resumed",         SUM,  false},
    [FIGURE_LOST_CONNECTIONS] = {"lost_connections",         "connections lost",                    SUM,  false},
    [FIGURE_LAG_S] = {"lag_s",                    "the machine's lag, in drill time",    MOST, true },
};

const char *figure_label(enum figure figure)
{
    must(figure < N_FIGURES);
    return rows[figure].label;
}

double side_figure(const struct side *side, enum figure figure)
{
    double sum = 0, most = -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < side->n; i++) {
        double value = result_figure(&side->results[i], figure);
        if (isnan(value))
            continue;
        n++;
        sum += value;
        most = value > most ? value : most;
    }
    if (n == 0)
        return NAN;
    return rows[figure].over_runs == MEAN  ? sum / (double)n
           : rows[figure].over_runs == SUM ? sum
                                           : most;
}

void figure_text(enum figure figure, double value, size_t n_runs, char out[32])
{
    if (isnan(value))
        snprintf(out, 32, "-");
    else if (rows[figure].is_seconds)
        snprintf(out, 32, value < 9.995 ? "%.2f s" : "%.1f s", value);
    else if (rows[figure].over_runs == MEAN && n_runs > 1)
        snprintf(out, 32, "%.1f", value);
    else
        snprintf(out, 32, "%.0f", value);
}

bool sides_are_too_slow(const struct side *sides, size_t n_sides)
{
    for (size_t i = 0; i < n_sides; i++) {
        for (size_t k = 0; k < sides[i].n; k++) {
            if (result_is_too_slow(&sides[i].results[k]))
                return true;
        }
    }
    return false;
}

static void say_what_was_too_slow(FILE *out, const struct side *side)
{
    for (size_t k = 0; k < side->n; k++) {
        const struct result *result = &side->results[k];
        if (result_is_too_slow(result))
            fprintf(
                out, "%s, seed %llu: the machine was too slow for this speed (%g): lag %.1f s\n",
                side->name, (unsigned long long)result->seed, result->speed, result->outcome.lag_s);
    }
}

void sides_print(FILE *out, const struct side *sides, size_t n_sides)
{
    static const char *const over[] = {"mean", "sum", "most"};
    fprintf(out, "%-36s", "");
    for (size_t i = 0; i < n_sides; i++)
        fprintf(out, "%16s", sides[i].name);
    fprintf(out, "\n");
    for (enum figure figure = 0; figure < N_FIGURES; figure++) {
        fprintf(out, "%-36s", rows[figure].label);
        for (size_t i = 0; i < n_sides; i++) {
            char text[32];
            figure_text(figure, side_figure(&sides[i], figure), sides[i].n, text);
            fprintf(out, "%16s", text);
        }
        if (n_sides > 0 && sides[0].n > 1)
            fprintf(out, "   %s of %zu", over[rows[figure].over_runs], sides[0].n);
        fprintf(out, "\n");
    }
    for (size_t i = 0; i < n_sides; i++)
        say_what_was_too_slow(out, &sides[i]);
}

/* Traps */

void trap_tally(const struct side *side, struct trap_tally *out)
{
    *out = (struct trap_tally){.too_slow = sides_are_too_slow(side, 1)};
    for (size_t k = 0; k < side->n; k++) {
        const struct result *result = &side->results[k];
        const struct honest_tally *trap = &result->outcome.trap;
        out->messages += trap->n_sent;
        out->lost += trap->n_lost;
        out->rejected += trap->n_rejected - trap->n_rejected_infected - trap->n_returned;
        out->returned += trap->n_returned;
        out->withdrawn += trap->n_withdrawn;
        out->dead += trap->n_dead;
        out->held += trap->n_held;
        out->for_answer += trap->n_for_answer;
        if (trap->longest_unasked_s > out->longest_s)
            out->longest_s = trap->longest_unasked_s;
        out->asked += result->outcome.n_asked_traps;
        out->restricted += recorded(result, result->record.n_restricted_wrongly);
    }
    out->kept = !out->too_slow && out->lost == 0 && out->rejected == 0 && !(out->restricted > 0);
}

void traps_print(FILE *out, const struct trap *const *chosen, const struct side *sides, size_t n)
{
    fprintf(out, "%-8s %8s %5s %8s %8s %9s %8s %7s %8s %5s %10s\n", "trap", "messages", "lost",
            "rejected", "returned", "withdrawn", "held 2 s", "longest", "answered", "asked",
            "restricted");
    for (size_t i = 0; i < n; i++) {
        struct trap_tally tally;
        trap_tally(&sides[i], &tally);
        if (tally.too_slow) {
            fprintf(out, "%-8s ", chosen[i]->name);
            say_what_was_too_slow(out, &sides[i]);
            continue;
        }
        char restricted[32];
        figure_text(FIGURE_RESTRICTED_WRONGLY, tally.restricted, sides[i].n, restricted);
        fprintf(out, "%-8s %8.0f %5.0f %8.0f %8.0f %9.0f %8.0f %5.1f s %8.0f %5.0f %10s%s\n",
                chosen[i]->name, tally.messages, tally.lost, tally.rejected, tally.returned,
                tally.withdrawn, tally.held, tally.longest_s, tally.for_answer, tally.asked,
                restricted, tally.kept ? "" : "  MISSED");
    }
}

static json_t *number(double value)
{
    if (isnan(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 1e15)
        return json_integer((json_int_t)value);
    return json_real(value);
}

static json_t *result_json(const struct result *result)
{
    json_t *object = json_object(), *tree = json_array();
    json_object_set_new(object, "seed", json_integer((json_int_t)result->seed));
    json_object_set_new(object, "speed", number(result->speed));
    json_object_set_new(object, "too_slow", json_boolean(result_is_too_slow(result)));
    for (enum figure figure = 0; figure < N_FIGURES; figure++)
        json_object_set_new(object, rows[figure].key, number(result_figure(result, figure)));
    for (uint32_t i = 0; i < result->outcome.n_infected; i++) {
        const struct infected *one = &result->outcome.infected[i];
        json_t *by = one->by == NOBODY ? json_null() : json_integer(one->by);
        json_array_append_new(tree, json_pack("{s:i, s:o, s:f}", "person", (int)one->person, "by",
                                              by, "s", one->at_s));
    }
    json_object_set_new(object, "outbreak", tree);
    return object;
}

static json_t *trap_json(const struct trap *trap, const struct side *side)
{
    struct trap_tally tally;
    trap_tally(side, &tally);
    json_t *object = json_pack("{s:s, s:s, s:b, s:b}", "trap", trap->name, "tells", trap->tells,
                               "kept", tally.kept, "too_slow", tally.too_slow);
    must(object != NULL);
    json_object_set_new(object, "lag_s", number(side_figure(side, FIGURE_LAG_S)));
    if (tally.too_slow)
        return object;
    json_object_set_new(object, "messages", number(tally.messages));
    json_object_set_new(object, "lost", number(tally.lost));
    json_object_set_new(object, "rejected", number(tally.rejected));
    json_object_set_new(object, "returned", number(tally.returned));
    json_object_set_new(object, "withdrawn", number(tally.withdrawn));
    json_object_set_new(object, "dead", number(tally.dead));
    json_object_set_new(object, "held_over_2s", number(tally.held));
    json_object_set_new(object, "for_answer", number(tally.for_answer));
    json_object_set_new(object, "longest_hold_s", number(tally.longest_s));
    json_object_set_new(object, "asked", number(tally.asked));
    json_object_set_new(object, "restricted", number(tally.restricted));
    return object;
}

json_t *traps_json(const struct trap *const *chosen, const struct side *sides, size_t n)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, trap_json(chosen[i], &sides[i]));
    return all;
}

json_t *sides_json(const struct side *sides, size_t n_sides)
{
    json_t *all = json_array();
    for (size_t i = 0; i < n_sides; i++) {
        json_t *object = json_object(), *runs = json_array();
        json_object_set_new(object, "side", json_string(sides[i].name));
        for (enum figure figure = 0; figure < N_FIGURES; figure++)
            json_object_set_new(object, rows[figure].key, number(side_figure(&sides[i], figure)));
        for (size_t k = 0; k < sides[i].n; k++)
            json_array_append_new(runs, result_json(&sides[i].results[k]));
        json_object_set_new(object, "runs", runs);
        json_array_append_new(all, object);
    }
    return all;
}

void side_done(struct side *side)
{
    for (size_t i = 0; i < side->n; i++)
        outcome_done(&side->results[i].outcome);
    free(side->results);
    *side = (struct side){0};
}
