/*
 * Ordinary traffic: what honest people send each other when nothing happens.
 *
 * From a trace: the trace says who, to whom and when, the texts are dealt out in
 * an order that the seed gives.  Or from the drill's model of conversations
 * (town/chat.h) on any graph, for as many people as wanted.  In both a text is
 * typed nine times in ten and pasted else; links are passed on by the engine.
 */
#ifndef LAB_TRAFFIC_H
#define LAB_TRAFFIC_H

#include "lab/sim.h"
#include "lab/trace.h"
#include "town/chat.h"
#include "town/texts.h"

struct trace_traffic {
    const struct trace *trace; // borrowed
    struct texts *texts;       // borrowed
    struct prng prng;
    struct buf text;
    size_t next, end;
    int64_t begin_us; // of virtual time: the first step of the trace
    double density;
};

/* The whole trace beginning at begin_us, so many times faster than it was.  Shuffles the texts. */
void trace_traffic_init(struct trace_traffic *traffic, const struct trace *trace,
                        struct texts *texts, int64_t begin_us, double density, uint64_t seed);
void trace_traffic_done(struct trace_traffic *traffic);
/* When the step is taken; of all steps: the end. */
int64_t trace_traffic_at_us(const struct trace_traffic *traffic, size_t step);
struct traffic trace_traffic_of(struct trace_traffic *traffic);

struct chat_traffic;

/* messages_a_day: of one person in eight hours.  Everything is borrowed; shuffles the texts. */
struct chat_traffic *chat_traffic_new(const struct graph *graph, struct texts *texts,
                                      double messages_a_day, int64_t begin_us, uint64_t seed);
void chat_traffic_free(struct chat_traffic **traffic);
struct traffic chat_traffic_of(struct chat_traffic *traffic);

#endif
