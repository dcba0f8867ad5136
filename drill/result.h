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
    FIGURE_HONEST_HELD,
    FIGURE_LONGEST_DELAY_S,
    FIGURE_CUTS,
    FIGURE_LOST_CONNECTIONS,
    N_FIGURES,
};

/* Of one run; NAN where it does not apply. */
double result_figure(const struct result *result, enum figure figure);
/* Of a side: the mean, sum or maximum over its runs, as the figure says; NAN where none applies. */
double side_figure(const struct side *side, enum figure figure);
/* "infected (mean of 10)": for people. */
const char *figure_label(enum figure figure);
/* The figure as people read it: "1.4", "12 s", "-". */
void figure_text(enum figure figure, double value, size_t n_runs, char out[32]);

/* A table with one column for each side. */
void sides_print(FILE *out, const struct side *sides, size_t n_sides);
/* The same for programs, with every run. */
json_t *sides_json(const struct side *sides, size_t n_sides);

void side_done(struct side *side);

#endif
