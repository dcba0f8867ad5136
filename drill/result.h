/*
 * What a drill found: figures of one side (the guard off, or on) over some
 * seeds, and how they are shown.
 */
#ifndef DRILL_RESULT_H
#define DRILL_RESULT_H

#include "drill/town.h"

#include <jansson.h>
#include <stdio.h>

/* What the server itself says about a run; known for our own server only. */
struct record {
    bool known;
    double convicted_s; // from the first copy, by the guard's clock; negative: no conviction
    uint32_t n_restricted_rightly, n_restricted_wrongly;
    uint32_t n_honest_convicted; // convictions of what no infected client had sent
};

/* One run. */
struct result {
    uint64_t seed;
    double speed;
    struct outcome outcome;
    struct record record;
};

/* All runs of one side. */
struct side {
    const char *name; // "guard off", "guard on", or the server's address
    struct result *results;
    size_t n;
};

enum figure {
    FIGURE_INFECTED,
    FIGURE_EXPOSED,
    FIGURE_COPIES,
    FIGURE_COPIES_REJECTED,
    FIGURE_COPIES_RETRACTED,
    FIGURE_CONVICTED_S,
    FIGURE_WARNED,
    FIGURE_RESTRICTED_RIGHTLY,
    FIGURE_RESTRICTED_WRONGLY,
    FIGURE_HONEST_CONVICTED,
    FIGURE_HONEST_SENT,
    FIGURE_HONEST_LOST,
    FIGURE_HONEST_TWICE,
    FIGURE_HONEST_REJECTED,
    FIGURE_HONEST_REJECTED_INFECTED,
    FIGURE_HONEST_RETURNED,
    FIGURE_HONEST_HELD,
    FIGURE_LONGEST_DELAY_S,
    FIGURE_ASKED,
    FIGURE_ANSWERS_YES,
    FIGURE_ANSWERS_NO,
    FIGURE_CUTS,
    FIGURE_LOST_CONNECTIONS,
    FIGURE_LAG_S,
    N_FIGURES,
};

/* The machine lagged so far behind the drill that its figures say nothing of the guard. */
bool result_is_too_slow(const struct result *result);
/* Of one run; NAN where it does not apply, or where the machine was too slow. */
double result_figure(const struct result *result, enum figure figure);
/* Of a side: the mean, sum or maximum over its runs, as the figure says; NAN where none applies. */
double side_figure(const struct side *side, enum figure figure);
/* "infected (mean of 10)": for people. */
const char *figure_label(enum figure figure);
/* The figure as people read it: "1.4", "12 s", "-". */
void figure_text(enum figure figure, double value, size_t n_runs, char out[32]);

/* A table with one column for each side, and a sentence for each run for which the machine was too
 * slow. */
void sides_print(FILE *out, const struct side *sides, size_t n_sides);
/* Whether there was one. */
bool sides_are_too_slow(const struct side *sides, size_t n_sides);

/* Of a trap: the honest messages that it sent, over all runs of a side. */
struct trap_tally {
    double messages, lost, rejected, returned, withdrawn, dead, held, for_answer, longest_s, asked;
    double restricted; // NAN: not known
    bool kept;         // what may not happen has not
    bool too_slow;     // nothing is known
};
void trap_tally(const struct side *side, struct trap_tally *out);
/* Tables with one row for each trap, of which there is a side each. */
void traps_print(FILE *out, const struct trap *const *chosen, const struct side *sides, size_t n);
json_t *traps_json(const struct trap *const *chosen, const struct side *sides, size_t n);
/* The same for programs, with every run. */
json_t *sides_json(const struct side *sides, size_t n_sides);

void side_done(struct side *side);

#endif
