/*
 * Mailboxes: how a thread asks another one to do something.
 *
 * Many senders, one receiver.  A mail is embedded in what it is about; posting
 * it hands that over, and the receiver's thread runs it.  Mails of one sender
 * run in the order posted; those of different senders in any order.  Nothing
 * is allocated, no lock is taken, and the receiver is woken only when it
 * sleeps and its box was empty: a batch costs one wake-up.
 *
 * A mailbox has no ceiling of its own: who posts bounds what he has under way,
 * and mailbox_waiting() shows a receiver that falls behind.
 */
#ifndef NET_MAILBOX_H
#define NET_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mail {
    struct mail *next;              // the mailbox's, while posted
    void (*run)(struct mail *mail); // on the receiver's thread; may free or post the mail again
};

struct mailbox {
    _Atomic(struct mail *) newest; // any thread
    atomic_bool asleep;            // any thread: the receiver waits, or is about to
    atomic_size_t n_waiting;       // any thread
    void (*wake)(void *context);   // called on a sender's thread
    void *context;
    uint64_t n_run; // receiver only
};

void mailbox_init(struct mailbox *mailbox, void (*wake)(void *context), void *context);

/* From any thread, also the receiver's own (then it runs next turn).  The mail must not be posted
 * already; mail->run is set. */
void mailbox_post(struct mailbox *mailbox, struct mail *mail);

/* Receiver only: runs what was posted before this call; how many. */
size_t mailbox_drain(struct mailbox *mailbox);

/* Receiver only: says that it will sleep; false when there is mail, and then it must not. */
bool mailbox_may_sleep(struct mailbox *mailbox);
/* Receiver only: it is awake again. */
void mailbox_awake(struct mailbox *mailbox);

/* Any thread: mails posted and not yet run, nearly. */
size_t mailbox_waiting(const struct mailbox *mailbox);

#endif
