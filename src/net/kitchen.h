/*
 * The kitchen: a few threads for slow work, so that no worker ever waits.
 *
 * Deriving keys, resolving names.  The queue has a ceiling: beyond it the
 * caller hears ERR_BUSY and tells his peer to come later.
 */
#ifndef NET_KITCHEN_H
#define NET_KITCHEN_H

#include "net/loop.h"

struct kitchen;

/* Embedded in what the work is about; both functions are set by the caller. */
struct job {
    struct mail mail;  // the kitchen's: posted to the asking loop when done
    struct loop *loop; // the asking one: the kitchen sets it
    int64_t ordered_us;
    void (*run)(struct job *job);  // on a kitchen thread: touches only the job's own data
    void (*done)(struct job *job); // on the asking loop; may free the job
};

enum err kitchen_new(size_t n_threads, size_t most_waiting, struct kitchen **out,
                     struct why *why) MUST_CHECK;
/* Finishes what is queued, joins; done mails are then all posted. */
void kitchen_free(struct kitchen **p);

/* From any thread.  ERR_BUSY when the queue is full: the job is then untouched. */
enum err kitchen_order(struct kitchen *kitchen, struct job *job, struct loop *loop) MUST_CHECK;

struct kitchen_stats {
    size_t n_waiting;
    uint64_t n_done, n_refused;
    int64_t longest_wait_us;
};
void kitchen_stats(struct kitchen *kitchen, struct kitchen_stats *out);

#endif
