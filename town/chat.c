/*
 * Figures: five to seven characters a second is a good typist, thinking is
 * log-normal, partners follow a power law over one's contacts.
 */
#include "town/chat.h"

#include "base/must.h"

#include <math.h>

const struct chat_habits chat_habits_usual = {
    .messages_a_minute = 1.5,
    .mean_turns = 6,
    .thinking = {.median_s = 5, .sigma = 0.8},
};

enum { PURPOSE_CHAT = 2 };

void chatter_init(struct chatter *chatter, uint64_t seed, uint32_t person)
{
    *chatter = (struct chatter){.prng = prng_of(seed, person, PURPOSE_CHAT), .person = person};
    chatter->favourite = (uint32_t)prng_u64(&chatter->prng);
}

static double exponential(struct prng *prng, double mean)
{
    return -mean * log(1 - prng_unit(prng));
}

int64_t chat_until_next_us(struct chatter *chatter, const struct chat_habits *habits)
{
    // he begins a conversation as often as he is drawn into one: each message has one writer
    double mean_s = 60 * habits->mean_turns / habits->messages_a_minute;
    return (int64_t)(exponential(&chatter->prng, mean_s) * 1e6);
}

uint32_t chat_partner(struct chatter *chatter, const struct graph *graph)
{
    uint32_t n = graph_degree(graph, chatter->person);
    must(n > 0);
    double rank = pow(n + 1.0, prng_unit(&chatter->prng)) - 1;
    uint32_t at = ((uint32_t)rank + chatter->favourite % n) % n;
    return graph_contacts(graph, chatter->person)[at];
}

unsigned chat_turns(struct chatter *chatter, const struct chat_habits *habits)
{
    return 1 + (unsigned)exponential(&chatter->prng, habits->mean_turns - 0.5);
}

int64_t chat_thinking_us(struct chatter *chatter, const struct chat_habits *habits)
{
    return delay_draw_us(&habits->thinking, &chatter->prng);
}

int64_t chat_pasting_us(struct chatter *chatter)
{
    return (int64_t)((0.5 + prng_unit(&chatter->prng)) * 1e6);
}

int64_t chat_typing_us(struct chatter *chatter, size_t n_bytes, bool has_link)
{
    double a_second = 5 + 2 * prng_unit(&chatter->prng);
    double seconds = 0.5 + (double)n_bytes / a_second;
    int64_t pasting_us = chat_pasting_us(chatter);
    // long texts come from somewhere else too
    return (int64_t)((seconds > 20 ? 20 : seconds) * 1e6) + (has_link ? pasting_us : 0);
}
