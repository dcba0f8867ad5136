/*
 * An honest person passes on a link that he received: whether, to whom, when,
 * in which words.
 *
 * Source: the model that docs/containment.md states once: with a small
 * probability (habits.reshare), to one to three contacts, a log-normal time
 * later (median two minutes), mostly typed.  Whoever wrote it does not get it back.
 */
#ifndef TOWN_RESHARE_H
#define TOWN_RESHARE_H

#include "base/buf.h"
#include "town/graph.h"
#include "town/habits.h"

enum { RESHARE_MOST = 3 };

struct reshare {
    const char *intro; // with a place for the link
    uint32_t n;
    struct {
        uint32_t to;
        int64_t delay_us; // from now
        bool typing;
        uint64_t identity; // tells this message from others
    } at[RESHARE_MOST];
};

/* luck: his own with this message.  Whether he does; he may have nobody to pass it on to. */
bool reshare_plan(struct reshare *reshare, const struct habits *habits, const struct graph *graph,
                  uint32_t who, uint32_t from, struct prng *luck);
/* Appends what he writes. */
void reshare_write(const struct reshare *reshare, struct str link, struct buf *out);

#endif
