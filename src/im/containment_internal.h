/*
 * Between the parts of containment: orders (containment.c), what people are told,
 * held messages, and taking back.
 */
#ifndef IM_CONTAINMENT_INTERNAL_H
#define IM_CONTAINMENT_INTERNAL_H

#include "base/clock.h"
#include "im/containment.h"
#include "im/gate_internal.h"

enum notice;
struct notice_args;
struct notices;

struct containment {
    struct table holding;   // of struct holding: by number, as 8 bytes
    struct list retracting; // of struct retracting
    struct list waiting;    // of struct letting_go: for a store that failed
    size_t n_telling;       // notices on their way, those that wait included
    struct list untold;     // of struct telling: these wait for a store that failed
    uint64_t newest_told;   // number of the newest order told, or being told,
    uint64_t kept_told;     // and as the store has it
};

static const int64_t containment_retry_us = 2 * SECOND_US; // after the store failed

/* Each part at the start, before the guard's thread runs, and at the end. */
enum err tell_open(struct gate *gate, struct why *why) MUST_CHECK;
enum err retraction_open(struct gate *gate, struct why *why) MUST_CHECK;
enum err held_open(struct gate *gate, struct why *why) MUST_CHECK;
void tell_close(struct containment *containment);
void held_close(struct containment *containment);
void retraction_close(struct containment *containment);

/* On the guard's thread: begin to carry out an order of theirs. */
void tell_order(struct gate *gate, const struct order *order);
void held_order(struct gate *gate, const struct order *order);
void retraction_order(struct gate *gate, const struct order *order);
/* One of an event that is taken again: who was told of it is not told again. */
void retraction_replayed(struct gate *gate, const struct order *order);
/* Presence that shows the lure is replaced, wherever it is seen. */
void retraction_dim_presence(struct gate *gate, const struct order *order);
/* A notice of an event that is taken again: told unless it is known to be. */
void tell_replayed(struct gate *gate, const struct order *order);

/* What people are told of a lure: printable, and dead, for it stands in front of them again. Own
 * memory. */
struct str tell_dead_link(const struct gate *gate, struct str shown);
/* On the guard's thread: the guard hears what came of an order. */
void containment_note(struct gate *gate, const struct order_outcome *outcome);

/* The language of the person's streams, empty when he is away; and of his domain. */
struct str tell_lang(const struct account *account);
struct str tell_domain_lang(const struct home *home, struct str name);
void tell_set_lang(struct stanza *stanza, const struct notices *notices, struct str lang,
                   struct str fallback);
/* On a home: from his domain, in his language.  ticket: may be NULL. */
void tell_say(const struct gate *gate, struct account *account, enum notice notice,
              const struct notice_args *args, struct ticket *ticket);

#endif
