#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "net/kitchen.h"

#include <pthread.h>

struct dish {
    struct job job;
    int n, result;
};

static struct loop *loop;
static pthread_mutex_t stove = PTHREAD_MUTEX_INITIALIZER;
static int n_done;
static pthread_t me;

static void cook(struct job *job)
{
    struct dish *dish = CONTAINER_OF(job, struct dish, job);
    must(!pthread_equal(pthread_self(), me));
    pthread_mutex_lock(&stove);
    dish->result = dish->n * dish->n;
    pthread_mutex_unlock(&stove);
}

static void serve(struct job *job)
{
    struct dish *dish = CONTAINER_OF(job, struct dish, job);
    must(pthread_equal(pthread_self(), me));
    must(dish->result == dish->n * dish->n);
    n_done++;
}

TEST(work_is_done_elsewhere_answered_here_and_refused_when_too_much)
{
    me = pthread_self();
    struct kitchen *kitchen;
    check(loop_new("test", &loop, NULL) == OK);
    check(kitchen_new(2, 3, &kitchen, NULL) == OK);
    pthread_mutex_lock(&stove); // both cooks stand still
    struct dish dishes[8];
    int n_ordered = 0;
    struct kitchen_stats stats;
    for (int i = 0; i < 8; i++) {
        dishes[i] = (struct dish){
            .job = {.run = cook, .done = serve},
              .n = i
        };
        enum err e = kitchen_order(kitchen, &dishes[i].job, loop);
        check(e == OK || e == ERR_BUSY);
        n_ordered += e == OK;
    }
    check(n_ordered >= 3 && n_ordered <= 5);
    kitchen_stats(kitchen, &stats);
    check(stats.n_refused == (uint64_t)(8 - n_ordered));
    pthread_mutex_unlock(&stove);
    while (n_done < n_ordered)
        loop_turn(loop, SECOND_US);
    kitchen_stats(kitchen, &stats);
    check(stats.n_waiting == 0 && stats.n_done == (uint64_t)n_ordered);
    kitchen_free(&kitchen);
    loop_free(&loop);
}
