/*
 * A trap's messages are single ones, sent at the second that it says.
 */
#include "drill/town_internal.h"

#include "base/must.h"
#include "town/trap.h"

#include <stdlib.h>

static const double greeting_s = 30; // within which colleagues have a word before

static char *own_text(const char *text)
{
    char *copy = strdup(text);
    must(copy != NULL);
    return copy;
}

static void play_line(void *of, const struct trap_line *line)
{
    struct town *town = of;
    double at_s = line->in_seconds;
    if (line->manner.live > 0) { // who talks with him has just done so
        town_talk(town, line->to, line->from, 2, own_text("good morning"),
                  (int64_t)(prng_unit(&town->prng) * greeting_s * 1e6))
            ->pasted = true;
        at_s += DRILL_GREETINGS_S;
    }
    struct talk *talk = town_say(town, line->from, line->to, own_text(line->text),
                                 (int64_t)(at_s * 1e6), line->manner);
    talk->is_trap = true;
    talk->warns = line->warns;
    town->people[line->from].is_traps = true;
}

static void entitle(void *of, uint32_t who, const char *host)
{
    const struct town *town = of;
    if (town->plan->entitle != NULL)
        town->plan->entitle(town->plan->entitle_context, who, host);
}

void town_play_trap(struct timer *timer)
{
    struct town *town = CONTAINER_OF(timer, struct town, trap);
    struct prng prng = trap_prng(town->plan->seed);
    struct trap_stage stage = {.of = town,
                               .graph = town->plan->graph,
                               .prng = &prng,
                               .worm_link = str_of(town->worm_link),
                               .say = play_line,
                               .entitle = entitle};
    town->plan->trap->set(&stage);
}
