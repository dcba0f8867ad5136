/*
 * Containment: what the guard orders is carried out, and told to people.
 */
#ifndef IM_CONTAINMENT_H
#define IM_CONTAINMENT_H

#include "guard/guard.h"
#include "im/feature.h"

struct gate;

/* On the guard's thread: begins to carry out one order of the guard.  What takes longer goes on by
 * mail and store. */
void containment_carry_out(struct gate *gate, const struct order *order);

/* At the start, before the thread runs: takes up orders that a stop interrupted. */
enum err containment_resume(struct gate *gate, struct why *why) MUST_CHECK;

/* Refuses a message in plain words of that language. */
void containment_refuse(struct home *home, const struct stanza *stanza, struct str lang,
                        enum reason reason, uint64_t incident);

/* A held message as the store keeps it. */
void containment_write_held(struct buf *out, const struct stanza *stanza, int64_t at_us);
/* From a home: the held message of this number is in the store, or could not be kept. */
void containment_held(struct gate *gate, uint64_t message, bool kept);

#endif
