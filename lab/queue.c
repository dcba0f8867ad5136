#include "lab/queue.h"

#include "base/must.h"

#include <stdlib.h>

void queue_done(struct queue *queue)
{
    for (size_t i = 0; i < queue->n; i++)
        free(queue->heap[i].text);
    free(queue->heap);
    *queue = (struct queue){0};
}

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void queue_plan(struct queue *queue, struct happening happening)
{
    if (queue->n == queue->room) {
        queue->room = queue->room == 0 ? 1024 : 2 * queue->room;
        queue->heap = realloc(queue->heap, queue->room * sizeof *queue->heap);
        must(queue->heap != NULL);
    }
    happening.order = queue->order++;
    size_t i = queue->n++;
    while (i > 0 && sooner(&happening, &queue->heap[(i - 1) / 2])) {
        queue->heap[i] = queue->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->heap[i] = happening;
}

int64_t queue_next_us(const struct queue *queue)
{
    return queue->n > 0 ? queue->heap[0].at_us : INT64_MAX;
}

struct happening queue_take(struct queue *queue)
{
    must(queue->n > 0);
    struct happening first = queue->heap[0], last = queue->heap[--queue->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= queue->n)
            break;
        if (child + 1 < queue->n && sooner(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!sooner(&queue->heap[child], &last))
            break;
        queue->heap[i] = queue->heap[child];
        i = child;
    }
    if (queue->n > 0)
        queue->heap[i] = last;
    return first;
}
