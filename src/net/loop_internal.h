/*
 * What the rest of the room sees of the loop: libuv's loop, and the moment a
 * turn begins.
 */
#ifndef NET_LOOP_INTERNAL_H
#define NET_LOOP_INTERNAL_H

#include "net/loop.h"

#include <uv.h>

uv_loop_t *loop_uv(struct loop *loop);

/* Every callback of libuv begins with it: the first one of a turn takes the time. */
void loop_begin(struct loop *loop);

/* After loop_run: lets handles that are closing finish. */
void loop_drain_closing(struct loop *loop);

/* Counters with one writing thread and any readers: no locked instruction needed. */
#define COUNT(counter, add)                                                                        \
    atomic_store_explicit(&(counter),                                                              \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (add),          \
                          memory_order_relaxed)
#define COUNTED(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

#endif
