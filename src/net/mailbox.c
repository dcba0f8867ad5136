#include "net/mailbox.h"

#include "base/must.h"

/*
 * A stack that senders push to and the receiver takes whole and turns round.
 *
 * Sleeping is agreed on by two variables, each side writing one and reading
 * the other, both sequentially consistent: either the receiver sees the mail,
 * or the sender sees it asleep.  Only the sender who found the box empty looks:
 * whoever came first owes the wake-up for all that follow.
 */

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *context), void *context)
{
    *mailbox = (struct mailbox){.wake = wake, .context = context};
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    must_slow(mail->run != NULL);
    atomic_fetch_add_explicit(&mailbox->n_waiting, 1, memory_order_relaxed);
    struct mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do
        mail->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, mail,
                                                  memory_order_seq_cst, memory_order_relaxed));
    // the mail may be gone from here on: only its being the first is remembered
    if (newest == NULL && atomic_load(&mailbox->asleep) && atomic_exchange(&mailbox->asleep, false))
        mailbox->wake(mailbox->context);
}

size_t mailbox_drain(struct mailbox *mailbox)
{
    if (atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == NULL)
        return 0;
    struct mail *stack = atomic_exchange(&mailbox->newest, NULL);
    struct mail *queue = NULL;
    for (struct mail *mail = stack, *older; mail != NULL; mail = older) {
        older = mail->next;
        mail->next = queue;
        queue = mail;
    }
    size_t n = 0;
    for (struct mail *mail = queue, *next; mail != NULL; mail = next, n++) {
        next = mail->next; // before it runs: it may be freed or posted again
        mail->run(mail);
    }
    atomic_fetch_sub_explicit(&mailbox->n_waiting, n, memory_order_relaxed);
    mailbox->n_run += n;
    return n;
}

bool mailbox_may_sleep(struct mailbox *mailbox)
{
    atomic_store(&mailbox->asleep, true);
    if (atomic_load(&mailbox->newest) == NULL)
        return true;
    mailbox_awake(mailbox);
    return false;
}

void mailbox_awake(struct mailbox *mailbox)
{
    atomic_store_explicit(&mailbox->asleep, false, memory_order_relaxed);
}

size_t mailbox_waiting(const struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->n_waiting, memory_order_relaxed);
}
