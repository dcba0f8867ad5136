#include "lab/trace.h"

#include "base/must.h"
#include "town/numbers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const double time_most = 1e11; // seconds; the year 5138

static int compare(const void *a, const void *b)
{
    const struct trace_step *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

enum err trace_read(struct trace *trace, const char *path, struct names *names, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    struct trace_step *steps = NULL;
    size_t n = 0, room = 0, line_room = 0;
    unsigned n_line = 0;
    char *line = NULL;
    enum err e = OK;
    for (ssize_t len; e == OK && (len = getline(&line, &line_room, file)) > 0;) {
        struct str rest = str_make(line, (size_t)len);
        struct str from = column_cut(&rest), to = column_cut(&rest), at = column_cut(&rest);
        struct why reason;
        double seconds = 0;
        n_line++;
        if (from.len == 0 || from.at[0] == '#' || (n_line == 1 && str_eq(from, STR("from"))))
            continue;
        if (at.len == 0)
            e = why_say(why, ERR_MALFORMED, "%s:%u: a line is \"from to unix_time\"", path, n_line);
        else if (number_read(at, 0, time_most, &seconds, &reason) != OK)
            e = why_say(why, ERR_MALFORMED, "%s:%u: %s", path, n_line, reason.text);
        if (e != OK || str_eq(from, to))
            continue;
        if (n == room) {
            room = room == 0 ? 4096 : 2 * room;
            steps = realloc(steps, room * sizeof *steps);
            must(steps != NULL);
        }
        uint32_t of_from = names_number(names, from), of_to = names_number(names, to);
        steps[n++] = (struct trace_step){(int64_t)(seconds * 1e6), of_from, of_to, n_line};
    }
    free(line);
    if (e == OK && ferror(file))
        e = why_say(why, ERR_IO, "%s: cannot be read", path);
    fclose(file);
    if (e == OK && n == 0)
        e = why_say(why, ERR_MALFORMED, "%s: nobody writes to anybody", path);
    if (e != OK) {
        free(steps);
        return e;
    }
    must(steps != NULL);
    qsort(steps, n, sizeof *steps, compare);
    *trace = (struct trace){steps, n};
    return OK;
}

void trace_done(struct trace *trace)
{
    free(trace->steps);
    *trace = (struct trace){0};
}

void trace_graph(const struct trace *trace, uint32_t people, struct graph *graph)
{
    uint32_t(*pairs)[2] = malloc(trace->n * sizeof *pairs);
    must(pairs != NULL);
    for (size_t i = 0; i < trace->n; i++) {
        pairs[i][0] = trace->steps[i].from;
        pairs[i][1] = trace->steps[i].to;
    }
    graph_of_pairs(graph, people, (const uint32_t(*)[2])pairs, trace->n);
    free(pairs);
}
