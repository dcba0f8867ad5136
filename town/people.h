/*
 * What a person does about a lure: open it or not, and when.
 *
 * A person decides once whether this sort of thing is for him; if it is, he
 * opens a copy after a delay that is log-normal, as human delays are, unless
 * his client has taken the copy away by then or he has been warned.
 */
#ifndef TOWN_PEOPLE_H
#define TOWN_PEOPLE_H

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

/* Log-normal: half of the delays are shorter than the median. */
struct delay_model {
    double median_s, sigma;
};

/* A standard normal number. */
double prng_normal(struct prng *prng);
int64_t delay_draw_us(const struct delay_model *model, struct prng *prng);

struct openness {
    double chance; // that a person opens what a friend seems to send
    struct delay_model delay;
};

extern const struct delay_model people_opening; // median 21 s

/* A person's mind about one worm. */
struct mind {
    struct prng prng;
    bool has_decided, opens;
};

/* The same seed and person decide the same, whatever everybody else does. */
void mind_init(struct mind *mind, uint64_t seed, uint32_t person);
/* A copy has reached him.  Whether he will open it, and then after how long. */
bool mind_is_tempted(struct mind *mind, const struct openness *openness, int64_t *delay_us);

/* A generator of its own for a person and a purpose. */
struct prng prng_of(uint64_t seed, uint32_t person, uint32_t purpose);

#endif
