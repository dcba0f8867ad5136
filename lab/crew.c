#include "lab/crew.h"

#include "base/must.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the processes share: who comes first takes the next task. */
struct board {
    atomic_size_t next;
    struct run runs[];
};

static void do_task(const struct task *task, const struct experiment *experiment,
                    const struct lure_rules *rules, struct run *run)
{
    struct experiment one = *experiment;
    one.worm = task->worm;
    one.untimed = true;
    experiment_run_seed(&one, rules, DEFENCE_FIREDOOR, task->seed, run);
}

static void work(struct board *board, const struct task *tasks, size_t n,
                 const struct experiment *experiment, const struct lure_rules *rules)
{
    for (size_t i; (i = atomic_fetch_add(&board->next, 1)) < n;)
        do_task(&tasks[i], experiment, rules, &board->runs[i]);
    fflush(stdout); // the guard's incidents, if they are shown
}

enum err crew_run(struct task *tasks, size_t n, const struct experiment *experiment,
                  const struct lure_rules *rules, unsigned n_processes, struct why *why)
{
    if (n_processes <= 1) {
        for (size_t i = 0; i < n; i++)
            do_task(&tasks[i], experiment, rules, &tasks[i].run);
        return OK;
    }
    must(n_processes <= CREW_MOST);
    size_t size = sizeof(struct board) + n * sizeof(struct run);
    struct board *board =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return why_say(why, ERR_IO, "no memory to share: %s", strerror(errno));
    pid_t pids[CREW_MOST];
    unsigned n_pids = 0;
    enum err e = OK;
    fflush(NULL); // or each process would print it once more
    while (n_pids < n_processes && n_pids < n) {
        pid_t pid = fork();
        if (pid == 0) {
            work(board, tasks, n, experiment, rules);
            _exit(0);
        }
        if (pid < 0) {
            e = why_say(why, ERR_IO, "no further process: %s", strerror(errno));
            break;
        }
        pids[n_pids++] = pid;
    }
    for (unsigned i = 0; i < n_pids; i++) {
        int status;
        while (waitpid(pids[i], &status, 0) < 0)
            must(errno == EINTR);
        if (status != 0 && e == OK)
            e = why_say(why, ERR_IO, "a process died in the middle of a run (status %d)", status);
    }
    for (size_t i = 0; e == OK && i < n; i++)
        tasks[i].run = board->runs[i];
    munmap(board, size);
    return e;
}
