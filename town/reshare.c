#include "town/reshare.h"

#include "town/people.h"

enum { TRIES = 8 };

static const struct delay_model between = {.median_s = 8, .sigma = 0.8};

static bool is_new(const struct reshare *reshare, uint32_t other)
{
    for (uint32_t i = 0; i < reshare->n; i++)
        if (reshare->at[i].to == other)
            return false;
    return true;
}

bool reshare_plan(struct reshare *reshare, const struct habits *habits, const struct graph *graph,
                  uint32_t who, uint32_t from, struct prng *luck)
{
    static const char *const intros[] = {"i got this: %.*s", "have you seen %.*s ?", "%.*s",
                                         "maybe something for you: %.*s", "%.*s not bad"};
    *reshare = (struct reshare){0};
    if (prng_unit(luck) >= habits->reshare)
        return false;
    uint32_t n = graph_degree(graph, who);
    uint32_t wanted = 1 + (uint32_t)prng_below(luck, RESHARE_MOST);
    reshare->intro = intros[prng_below(luck, COUNT_OF(intros))];
    int64_t delay_us = delay_draw_us(&habits_resharing, luck);
    for (uint32_t tries = 0; tries < TRIES && reshare->n < wanted && n > 0; tries++) {
        uint32_t other = graph_contacts(graph, who)[prng_below(luck, n)];
        if (other == from || !is_new(reshare, other))
            continue;
        uint32_t i = reshare->n++;
        reshare->at[i].to = other;
        reshare->at[i].delay_us = delay_us;
        reshare->at[i].typing = prng_unit(luck) < habits_typed;
        reshare->at[i].identity = prng_u64(luck);
        delay_us += delay_draw_us(&between, luck);
    }
    return reshare->n > 0;
}

void reshare_write(const struct reshare *reshare, struct str link, struct buf *out)
{
    // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of the intros
    buf_printf(out, reshare->intro, STR_ARGS(link));
}
