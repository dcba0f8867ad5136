#include "test.h"

#include "base/err.h"
#include "base/list.h"
#include "base/must.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdlib.h>

enum { SENDERS = 4, MAILS = 20000 };

struct numbered {
    struct mail mail;
    int sender, number;
};

static int next_number[SENDERS];
static size_t n_seen;
static struct loop *loop;

static void see(struct mail *mail)
{
    struct numbered *n = CONTAINER_OF(mail, struct numbered, mail);
    must(n->number == next_number[n->sender]);
    next_number[n->sender]++;
    if (++n_seen == (size_t)SENDERS * MAILS)
        loop_stop(loop);
    free(n);
}

static void *send_many(void *context)
{
    int sender = *(int *)context;
    for (int i = 0; i < MAILS; i++) {
        struct numbered *n = malloc(sizeof *n);
        *n = (struct numbered){.mail.run = see, .sender = sender, .number = i};
        loop_post(loop, &n->mail);
    }
    return NULL;
}

TEST(mails_of_one_sender_keep_their_order_and_none_is_lost)
{
    check(loop_new("test", &loop, NULL) == OK);
    pthread_t threads[SENDERS];
    int numbers[SENDERS];
    n_seen = 0;
    for (int i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        next_number[i] = 0;
        pthread_create(&threads[i], NULL, send_many, &numbers[i]);
    }
    loop_run(loop); // ends by the last mail: a lost wake-up would hang here
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    check(n_seen == (size_t)SENDERS * MAILS);
    check(mailbox_waiting(loop_mailbox(loop)) == 0);
    loop_free(&loop);
}

struct ball {
    struct mail mail;
    struct loop *loops[2];
    int n_left;
};

static void hit(struct mail *mail)
{
    struct ball *ball = CONTAINER_OF(mail, struct ball, mail);
    if (--ball->n_left > 0) {
        loop_post(ball->loops[ball->n_left & 1], mail);
        return;
    }
    loop_stop(ball->loops[0]);
    loop_stop(ball->loops[1]);
}

static void *run(void *context)
{
    loop_run(context);
    return NULL;
}

TEST(two_sleeping_loops_wake_each_other_every_time)
{
    struct ball ball = {.mail.run = hit, .n_left = 20000};
    check(loop_new("ping", &ball.loops[0], NULL) == OK);
    check(loop_new("pong", &ball.loops[1], NULL) == OK);
    pthread_t other;
    loop_post(ball.loops[0], &ball.mail);
    pthread_create(&other, NULL, run, ball.loops[1]);
    loop_run(ball.loops[0]);
    pthread_join(other, NULL);
    check(ball.n_left == 0);
    loop_free(&ball.loops[0]);
    loop_free(&ball.loops[1]);
}

static int n_wakes;

static void count_wake(void *context)
{
    (void)context;
    n_wakes++;
}

static void nothing(struct mail *mail)
{
    (void)mail;
}

TEST(a_batch_costs_one_wake_up_and_an_awake_receiver_none)
{
    struct mailbox box;
    struct mail mails[6];
    for (size_t i = 0; i < COUNT_OF(mails); i++)
        mails[i].run = nothing;
    n_wakes = 0;
    mailbox_init(&box, count_wake, NULL);
    mailbox_post(&box, &mails[0]);
    check(n_wakes == 0);
    check(!mailbox_may_sleep(&box));
    check(mailbox_drain(&box) == 1);
    check(mailbox_may_sleep(&box));
    for (size_t i = 1; i < 6; i++)
        mailbox_post(&box, &mails[i]);
    check(n_wakes == 1);
    check(mailbox_waiting(&box) == 5);
    mailbox_awake(&box);
    check(mailbox_drain(&box) == 5);
    check(mailbox_waiting(&box) == 0);
}
