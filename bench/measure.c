/*
 * A server may be one process or a family (the Erlang machine has helpers):
 * descendants are found by their parents' ids in one walk over /proc.
 */
#include "bench/measure.h"

#include "base/must.h"
#include "base/str.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PROCESSES_MOST = 65536, FILE_MOST = 16384 };

struct process {
    pid_t pid, parent;
    uint64_t ticks;
};

/* The beginning of a file of /proc, terminated; empty when it is gone. */
static struct str slurp(pid_t pid, const char *name, char text[FILE_MOST])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(text, 1, FILE_MOST - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[n] = '\0';
    return str_make(text, n);
}

static uint64_t number(struct str text)
{
    uint64_t n = 0;
    return str_to_u64(str_trim(text), 0, UINT64_MAX, &n) == OK ? n : 0;
}

static bool read_process(pid_t pid, struct process *out)
{
    char text[FILE_MOST];
    struct str stat = slurp(pid, "stat", text);
    // the name, in parentheses, may hold anything
    size_t end = stat.len;
    while (end > 0 && stat.at[end - 1] != ')')
        end--;
    if (end == 0)
        return false;
    struct str rest = str_trim(str_skip(stat, end));
    *out = (struct process){.pid = pid};
    // proc(5): after the name come state, ppid … utime, stime, cutime, cstime as 12th to 15th
    for (int field = 1; field <= 15 && rest.at != NULL; field++) {
        uint64_t n = number(str_cut(&rest, ' '));
        if (field == 2)
            out->parent = (pid_t)n;
        if (field >= 12)
            out->ticks += n;
    }
    return true;
}

static int64_t kib_after(struct str text, struct str label)
{
    size_t at = str_find(text, label);
    if (at == text.len)
        return 0;
    struct str rest = str_skip(text, at + label.len);
    struct str line = str_trim(str_cut(&rest, '\n'));
    return (int64_t)number(str_cut(&line, ' '));
}

enum err measure_tree(pid_t pid, struct cost *out)
{
    DIR *proc = opendir("/proc");
    must(proc != NULL);
    struct process *all = malloc(PROCESSES_MOST * sizeof *all);
    must(all != NULL);
    size_t n = 0;
    struct dirent *entry;
    while (n < PROCESSES_MOST && (entry = readdir(proc)) != NULL) { // NOLINT: one thread
        uint64_t one;
        if (str_to_u64(str_of(entry->d_name), 1, INT32_MAX, &one) == OK)
            n += read_process((pid_t)one, &all[n]);
    }
    closedir(proc);

    // the family grows until a walk adds nobody
    size_t n_family = 0;
    for (size_t i = 0; i < n; i++) {
        if (all[i].pid == pid) {
            struct process self = all[i];
            all[i] = all[0];
            all[0] = self;
            n_family = 1;
        }
    }
    for (size_t known = 0; known < n_family; known++) {
        for (size_t i = n_family; i < n; i++) {
            if (all[i].parent == all[known].pid) {
                struct process child = all[i];
                all[i] = all[n_family];
                all[n_family++] = child;
            }
        }
    }
    *out = (struct cost){.n_processes = (unsigned)n_family};
    char text[FILE_MOST];
    for (size_t i = 0; i < n_family; i++) {
        out->cpu_s += (double)all[i].ticks / (double)sysconf(_SC_CLK_TCK);
        struct str memory = slurp(all[i].pid, "smaps_rollup", text);
        out->pss_kib += kib_after(memory, STR("\nPss:"));
        out->rss_kib += kib_after(memory, STR("\nRss:"));
    }
    free(all);
    return n_family > 0 ? OK : ERR_MISSING;
}

double measure_own_cpu_s(void)
{
    struct rusage usage;
    must(getrusage(RUSAGE_SELF, &usage) == 0);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
