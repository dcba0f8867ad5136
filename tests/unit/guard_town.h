/*
 * A small town in the laboratory's engine, for tests that look into the guard
 * while it runs: people on a graph who chat, and a worm that waits.
 */
#ifndef TESTS_UNIT_GUARD_TOWN_H
#define TESTS_UNIT_GUARD_TOWN_H

#include "lab/experiment.h"

struct guard_town {
    struct graph graph;
    struct texts *texts;
    struct chat_traffic *chat;
    struct worm worm;
    struct sim *sim;
};

/* config: open, seed, guard_config; the rest is the town's. */
void guard_town_new(struct guard_town *town, uint32_t people, double messages_a_day,
                    const char *worm, const struct sim_config *config);
void guard_town_free(struct guard_town *town);

#endif
