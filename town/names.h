/*
 * Names of people in files: each gets a number in order of appearance, so that
 * a trace and a graph that speak of the same people agree.
 */
#ifndef TOWN_NAMES_H
#define TOWN_NAMES_H

#include "base/table.h"

struct names {
    struct table table;
    uint32_t n;
};

void names_init(struct names *names);
void names_done(struct names *names);
uint32_t names_number(struct names *names, struct str name);

/* The next word of a line: columns stand apart by white space, commas or semicolons.  Empty at
 * the end. */
struct str column_cut(struct str *rest);

#endif
