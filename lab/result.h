/*
 * What an experiment found, over its seeds: for a table that people read and for
 * JSON that programs do.
 */
#ifndef LAB_RESULT_H
#define LAB_RESULT_H

#include "lab/cost.h"
#include "lab/sim.h"

#include <jansson.h>
#include <stdio.h>

/* One run: one seed under one defence. */
struct run {
    struct outcome outcome;
    bool has_guard;
    struct guard_state state; // of the guard, at the end
    double person_weeks;      // that it lasted
    struct cost cost;
};

/* Values over the runs in which there was one. */
struct series {
    double *at;
    size_t n, room;
};

double series_mean(const struct series *series); // NAN where there is none
/* The smallest value that this share of the values does not exceed; NAN where there is none. */
double series_percentile(const struct series *series, double share);

struct result {
    const char *name; // of the worm, or of the trap
    bool is_trap;     // name is a trap's
    bool counts_trap; // honest figures are of the trap's messages only, not of everyday's
    double open;
    enum defence_kind defence;
    uint32_t people;
    unsigned n_seeds;
    struct series infected, exposed, copies, seconds;
    uint64_t infectors, offspring; // of the first generations: how many each infects
    struct tally honest;           // sums; the longest hold of all
    uint64_t restricted, rightly, honest_convictions, rejected_of_infected;
    uint64_t questions, answers_yes, answers_no;
    double person_weeks;
    bool has_guard;
    double message_ns, lure_ns, bytes_users, n_users, bytes_clusters, n_clusters;
};

void result_add(struct result *result, const struct run *run);
void result_done(struct result *result);

/* A new reference. */
json_t *result_json(const struct result *result);
void result_table_head(FILE *to, bool is_trap);
void result_table_row(FILE *to, const struct result *result);

#endif
