/*
 * What is going to happen, in virtual time: a heap, soonest first; of two at the
 * same moment the one planned first.
 */
#ifndef LAB_QUEUE_H
#define LAB_QUEUE_H

#include "town/trap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct happening {
    int64_t at_us;
    uint64_t order;    // the queue's
    uint64_t identity; // of a message, the same whatever the defence
    int what;          // the owner's
    uint32_t from, to, copy;
    uint8_t said; // the owner's
    bool is_trap;
    bool elsewhere; // of an answer: from a device that did not send what it is about
    struct manner manner;
    char *text; // owned by whoever takes it from the queue; may be NULL
};

struct queue {
    struct happening *heap;
    size_t n, room;
    uint64_t order;
};

void queue_done(struct queue *queue); // texts too
void queue_plan(struct queue *queue, struct happening happening);
/* INT64_MAX: nothing waits. */
int64_t queue_next_us(const struct queue *queue);
/* Something waits. */
struct happening queue_take(struct queue *queue);

#endif
