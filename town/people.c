/*
 * Every person has generators of his own: a message more or less elsewhere in
 * the town changes nobody's mind, so runs with the guard off and on compare
 * the same people.
 */
#include "town/people.h"

#include <math.h>

const struct delay_model people_opening = {.median_s = 21, .sigma = 1.0};

struct prng prng_of(uint64_t seed, uint32_t person, uint32_t purpose)
{
    struct prng prng = {seed};
    prng.state = prng_u64(&prng) ^ ((uint64_t)purpose << 32 | person);
    prng.state = prng_u64(&prng);
    return prng;
}

double prng_normal(struct prng *prng)
{
    // Box and Muller; 1 - u is never 0
    double radius = sqrt(-2 * log(1 - prng_unit(prng)));
    return radius * cos(2 * M_PI * prng_unit(prng));
}

int64_t delay_draw_us(const struct delay_model *model, struct prng *prng)
{
    double seconds = model->median_s * exp(model->sigma * prng_normal(prng));
    return (int64_t)(seconds * 1e6);
}

enum { PURPOSE_MIND = 1 };

void mind_init(struct mind *mind, uint64_t seed, uint32_t person)
{
    *mind = (struct mind){.prng = prng_of(seed, person, PURPOSE_MIND)};
}

bool mind_is_tempted(struct mind *mind, const struct openness *openness, int64_t *delay_us)
{
    if (!mind->has_decided) {
        mind->has_decided = true;
        mind->opens = prng_unit(&mind->prng) < openness->chance;
    }
    int64_t delay = delay_draw_us(&openness->delay, &mind->prng);
    if (mind->opens)
        *delay_us = delay;
    return mind->opens;
}
