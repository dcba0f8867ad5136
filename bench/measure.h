/*
 * What a server costs: processor time and memory of its whole process tree,
 * read from /proc.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct cost {
    double cpu_s;    // user and system, dead children included
    int64_t pss_kib; // shared pages count by their share
    int64_t rss_kib;
    unsigned n_processes;
};

/* Of pid and all its descendants.  ERR_MISSING: there is no such process. */
enum err measure_tree(pid_t pid, struct cost *out) MUST_CHECK;
/* Processor seconds of this very process. */
double measure_own_cpu_s(void);

#endif
