/*
 * A trace of real traffic: who wrote to whom and when.
 *
 * Lines of "from to unix_time", any white space between, names any text, times
 * in seconds with or without a fraction; a heading "from …" and lines that begin
 * with # are passed over.  What was written is not in a trace: texts are given
 * beside it (town/texts.h) and dealt out anew for each seed, so one trace gives
 * many weeks of traffic but no independent people.
 */
#ifndef LAB_TRACE_H
#define LAB_TRACE_H

#include "town/graph.h"

struct trace_step {
    int64_t at_us;
    uint32_t from, to;
    uint32_t line; // of the file
};

struct trace {
    struct trace_step *steps; // by time; of the same second in the file's order
    size_t n;
};

/* ERR_IO, ERR_MALFORMED (says the line). */
enum err trace_read(struct trace *trace, const char *path, struct names *names,
                    struct why *why) MUST_CHECK;
void trace_done(struct trace *trace);
/* Who ever wrote to each other. */
void trace_graph(const struct trace *trace, uint32_t people, struct graph *graph);

#endif
