/*
 * Bytes in a queue: they come at the end and go from the front, and what remains is not moved each
 * time.
 *
 * Queues that are rarely needed are there only while something is in them (rare_…): most
 * connections never have them.
 */
#ifndef NET_BYTE_QUEUE_INTERNAL_H
#define NET_BYTE_QUEUE_INTERNAL_H

#include "base/buf.h"
#include "base/must.h"

#include <stdlib.h>

struct queue {
    struct buf buf;
    size_t start;
};

enum { QUEUE_COMPACT_AT = 4096 }; // bytes gone from the front

static inline struct str queue_str(const struct queue *q)
{
    if (q == NULL || q->buf.at == NULL)
        return STR_EMPTY;
    return str_make(q->buf.at + q->start, q->buf.len - q->start);
}

static inline size_t queue_len(const struct queue *q)
{
    return q == NULL ? 0 : q->buf.len - q->start;
}

static inline void queue_add(struct queue *q, struct str bytes)
{
    if (q->start >= QUEUE_COMPACT_AT && q->start >= q->buf.len / 2) {
        buf_drop(&q->buf, q->start);
        q->start = 0;
    }
    buf_add(&q->buf, bytes);
}

static inline void queue_drop(struct queue *q, size_t n)
{
    must(n <= queue_len(q));
    q->start += n;
    if (q->start == q->buf.len) {
        buf_done(&q->buf);
        q->start = 0;
    }
}

/* False: more than ceiling, nothing was added. */
static inline bool rare_add(struct queue **q, struct str bytes, size_t ceiling)
{
    if (*q == NULL) {
        *q = calloc(1, sizeof **q);
        must(*q != NULL);
    }
    struct buf *buf = &(*q)->buf;
    buf->ceiling = ceiling > buf->len ? ceiling : buf->len; // limits may have been lowered
    queue_add(*q, bytes);
    return !(*q)->buf.overflowed;
}

static inline void rare_empty(struct queue **q)
{
    if (*q == NULL)
        return;
    buf_done(&(*q)->buf);
    free(*q);
    *q = NULL;
}

static inline void rare_drop(struct queue **q, size_t n)
{
    if (*q == NULL)
        return;
    queue_drop(*q, n);
    if (queue_len(*q) == 0)
        rare_empty(q);
}

#endif
