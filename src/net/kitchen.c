#include "net/kitchen.h"

#include "base/clock.h"
#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MOST = 16 };

struct kitchen {
    pthread_mutex_t lock; // guards all below
    pthread_cond_t wanted;
    struct mail *first, *last;
    size_t n_waiting, most_waiting;
    bool closing;
    uint64_t n_done, n_refused;
    int64_t longest_wait_us;

    size_t n_threads;
    pthread_t threads[THREADS_MOST];
};

static void finish(struct mail *mail)
{
    struct job *job = CONTAINER_OF(mail, struct job, mail);
    job->done(job);
}

static struct job *next_job(struct kitchen *kitchen)
{
    pthread_mutex_lock(&kitchen->lock);
    while (kitchen->first == NULL && !kitchen->closing)
        pthread_cond_wait(&kitchen->wanted, &kitchen->lock);
    struct job *job = NULL;
    if (kitchen->first != NULL) {
        job = CONTAINER_OF(kitchen->first, struct job, mail);
        int64_t waited_us = clock_now_us() - job->ordered_us;
        if (waited_us > kitchen->longest_wait_us)
            kitchen->longest_wait_us = waited_us;
        kitchen->first = job->mail.next;
        if (kitchen->first == NULL)
            kitchen->last = NULL;
        kitchen->n_waiting--;
        kitchen->n_done++;
    }
    pthread_mutex_unlock(&kitchen->lock);
    return job;
}

static void *cook(void *context)
{
    pthread_setname_np(pthread_self(), "kitchen");
    for (struct job *job; (job = next_job(context)) != NULL;) {
        job->run(job);
        job->mail.run = finish;
        loop_post(job->loop, &job->mail);
    }
    return NULL;
}

enum err kitchen_new(size_t n_threads, size_t most_waiting, struct kitchen **out, struct why *why)
{
    must(n_threads > 0 && n_threads <= THREADS_MOST);
    struct kitchen *kitchen = calloc(1, sizeof *kitchen);
    must(kitchen != NULL);
    pthread_mutex_init(&kitchen->lock, NULL);
    pthread_cond_init(&kitchen->wanted, NULL);
    kitchen->most_waiting = most_waiting;
    for (; kitchen->n_threads < n_threads; kitchen->n_threads++) {
        int failed = pthread_create(&kitchen->threads[kitchen->n_threads], NULL, cook, kitchen);
        if (failed != 0) {
            kitchen_free(&kitchen);
            return why_say(why, ERR_IO, "cannot start a thread: %s", strerrordesc_np(failed));
        }
    }
    *out = kitchen;
    return OK;
}

void kitchen_free(struct kitchen **p)
{
    struct kitchen *kitchen = TAKE(*p);
    if (kitchen == NULL)
        return;
    pthread_mutex_lock(&kitchen->lock);
    kitchen->closing = true;
    pthread_cond_broadcast(&kitchen->wanted);
    pthread_mutex_unlock(&kitchen->lock);
    for (size_t i = 0; i < kitchen->n_threads; i++)
        pthread_join(kitchen->threads[i], NULL);
    pthread_cond_destroy(&kitchen->wanted);
    pthread_mutex_destroy(&kitchen->lock);
    free(kitchen);
}

enum err kitchen_order(struct kitchen *kitchen, struct job *job, struct loop *loop)
{
    enum err e = OK;
    pthread_mutex_lock(&kitchen->lock);
    if (kitchen->n_waiting >= kitchen->most_waiting || kitchen->closing) {
        kitchen->n_refused++;
        e = ERR_BUSY;
    } else {
        job->loop = loop;
        job->ordered_us = clock_now_us();
        job->mail.next = NULL;
        if (kitchen->last != NULL)
            kitchen->last->next = &job->mail;
        else
            kitchen->first = &job->mail;
        kitchen->last = &job->mail;
        kitchen->n_waiting++;
        pthread_cond_signal(&kitchen->wanted);
    }
    pthread_mutex_unlock(&kitchen->lock);
    return e;
}

void kitchen_stats(struct kitchen *kitchen, struct kitchen_stats *out)
{
    pthread_mutex_lock(&kitchen->lock);
    *out = (struct kitchen_stats){
        .n_waiting = kitchen->n_waiting,
        .n_done = kitchen->n_done,
        .n_refused = kitchen->n_refused,
        .longest_wait_us = kitchen->longest_wait_us,
    };
    pthread_mutex_unlock(&kitchen->lock);
}
