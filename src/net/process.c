#include "net/process.h"

#include "base/must.h"

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

enum { OTHER_THREADS = 8 }; // the store's, the guard's, those that wait for passwords or metrics

void process_ignore_sigpipe(void)
{
    must(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL) == 0);
}

uint64_t process_raise_descriptors(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    struct rlimit more = {.rlim_cur = wanted, .rlim_max = wanted};
    if (wanted <= limit.rlim_max || setrlimit(RLIMIT_NOFILE, &more) != 0) {
        more = (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) != 0)
            more = limit;
    }
    return more.rlim_cur;
}

void process_tune_malloc(unsigned n_workers)
{
    // NOLINTBEGIN(concurrency-mt-unsafe): there is one thread yet
    // A heap for each thread that works: two on one wait for each other at nearly every message.
    mallopt(M_ARENA_MAX, (int)n_workers * 2 + OTHER_THREADS);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20); // fixed: it would otherwise grow by itself
    // NOLINTEND(concurrency-mt-unsafe)
}

void process_trim_malloc(void)
{
    malloc_trim(0);
}
