/*
 * A guard by hand: tests that send, show and answer one thing after the other.
 */
#ifndef TESTS_UNIT_GUARD_HAND_H
#define TESTS_UNIT_GUARD_HAND_H

#include "guard/guard.h"

static const int64_t second = 1000000, hour = INT64_C(3600) * 1000000,
                     day = INT64_C(86400) * 1000000;
static const int64_t t0 = INT64_C(1800000000) * 1000000;

extern struct guard_word word; // of the last event
extern bool observes;          // what is sent is only observed
extern uint64_t device;        // it is sent with
extern uint32_t audience;      // people whom one copy reaches: 1, unless a test says more
extern bool abroad;            // the sender is of another server
extern uint64_t next_message;  // number of the last one sent

struct guard_word *fresh_word(void);
struct lure_list lures_of(const char *text);
enum verdict send(struct guard *guard, int64_t now, const char *from, const char *to,
                  const char *text);
void expose(struct guard *guard, int64_t now, const char *from, const char *to, const char *text);
/* Sends it; delivered, it is an exposure as well. */
enum verdict pass(struct guard *guard, int64_t now, const char *from, const char *to,
                  const char *text);
/* What somebody says when he is asked; say: on another device of his. */
void answer(struct guard *guard, int64_t now, const char *who, uint64_t incident, bool meant,
            enum answer_trust trust);
void say(struct guard *guard, int64_t now, const char *who, uint64_t incident, bool meant);
/* Sends to many at machine pace; each delivered copy is an exposure.  Returns the time after. */
int64_t burst(struct guard *guard, int64_t now, const char *from, const char *text, unsigned first,
              unsigned n, unsigned *rejected);
size_t count_orders(enum order_kind kind, bool undo);
struct guard *new_guard(void);
/* The same where nobody is asked: what the evidence decides alone. */
struct guard *silent_guard(void);
void convict_evil(struct guard *guard, int64_t now, enum lure_width width);
void count_stops(void *context, const struct guard_rule *rule); // context: unsigned *
/* Of all that is saved. */
uint64_t state_hash(const struct guard *guard);
/* The same guard, as it is after a start. */
struct guard *loaded_again(const struct guard *guard, const struct guard_config *config);

#endif
