#include "town/habits.h"

#include "town/numbers.h"

const struct habits habits_usual = {
    .reshare = 0.02, .obey = 1, .answer = 0.5, .composing = 0.8, .heed = 0.7};
const double habits_typed = 0.9;
const struct delay_model habits_resharing = {.median_s = 120, .sigma = 1},
                         habits_answering = {.median_s = 60, .sigma = 1},
                         habits_reporting = {.median_s = 60, .sigma = 1};

enum { PURPOSE_PERSON = 20 };

struct client_ways habits_client(const struct habits *habits, uint64_t seed, uint32_t person)
{
    struct prng prng = prng_of(seed, person, PURPOSE_PERSON);
    struct client_ways ways;
    ways.types = prng_unit(&prng) < habits->composing;
    ways.obeys = prng_unit(&prng) < habits->obey;
    return ways;
}

bool habits_answers(const struct habits *habits, struct prng *luck, int64_t *delay_us)
{
    if (prng_unit(luck) >= habits->answer)
        return false;
    *delay_us = delay_draw_us(&habits_answering, luck);
    return true;
}

enum err habits_set(struct habits *habits, struct str key, struct str value, struct why *why)
{
    const struct {
        const char *key;
        double *at;
    } rows[] = {
        {"reshare",   &habits->reshare  },
        {"obey",      &habits->obey     },
        {"answer",    &habits->answer   },
        {"composing", &habits->composing},
        {"report",    &habits->report   },
        {"warn",      &habits->warn     },
        {"heed",      &habits->heed     },
        {"encrypted", &habits->encrypted},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (str_eq(key, str_of(rows[i].key)))
            return number_read(value, 0, 1, rows[i].at, why);
    }
    return why_say(why, ERR_MALFORMED, "%.*s: people have no such habit", STR_ARGS(key));
}
