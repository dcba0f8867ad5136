/*
 * How honest people chat: with whom, when, how long, how fast they type.
 *
 * People talk in conversations.  Somebody begins one with a contact, mostly
 * one of a few favourites; the two take turns; before each turn a person
 * reads, thinks, and types at a human pace while his client says so
 * (XEP-0085).  No I/O: the town asks and acts.
 */
#ifndef TOWN_CHAT_H
#define TOWN_CHAT_H

#include "base/buf.h"
#include "town/graph.h"
#include "town/people.h"

struct chat_habits {
    double messages_a_minute; // of one person, over all his conversations
    double mean_turns;        // messages in a conversation
    struct delay_model thinking;
};

/* One or two messages a minute, six to a conversation. */
extern const struct chat_habits chat_habits_usual;

/* A person's habits of the day. */
struct chatter {
    struct prng prng;
    uint32_t person;
    uint32_t favourite; // rotates his contacts: whom he writes to most
};

void chatter_init(struct chatter *chatter, uint64_t seed, uint32_t person);

/* Until he begins his next conversation. */
int64_t chat_until_next_us(struct chatter *chatter, const struct chat_habits *habits);
/* With whom; he has contacts. */
uint32_t chat_partner(struct chatter *chatter, const struct graph *graph);
/* How many messages it will have, at least one. */
unsigned chat_turns(struct chatter *chatter, const struct chat_habits *habits);
/* Reading what came and thinking, before the first key is pressed. */
int64_t chat_thinking_us(struct chatter *chatter, const struct chat_habits *habits);
/* Typing a text of so many bytes, and pasting a link where there is one. */
int64_t chat_typing_us(struct chatter *chatter, size_t n_bytes, bool has_link);
/* Pasting a whole text and sending it. */
int64_t chat_pasting_us(struct chatter *chatter);

#endif
