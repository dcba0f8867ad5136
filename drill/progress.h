/*
 * The live view: one line of a terminal that changes while a run goes on.
 */
#ifndef DRILL_PROGRESS_H
#define DRILL_PROGRESS_H

#include "drill/town.h"

struct progress {
    bool is_live; // standard error is a terminal and nobody asked for quiet
    char title[64];
};

/* For plan.look, with a struct progress as context. */
void progress_look(void *context, const struct glance *glance);
/* Ends the line. */
void progress_end(const struct progress *progress);

#endif
