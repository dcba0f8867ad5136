/*
 * Hash maps whose links live in the members, for the guard's model.
 *
 * Unlike base's table the hash comes from the guard's seed, so that nothing of
 * the model depends on the process; a walk in hash order does not exist.
 */
#ifndef GUARD_MAP_H
#define GUARD_MAP_H

#include "base/must.h"

#include <stdint.h>
#include <stdlib.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

struct map {
    struct map_node **slots;
    size_t n, n_slots; // a power of two, or 0
};

static inline void map_done(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

/* The first node of the hash's chain; walk it by next and compare. */
static inline struct map_node *map_first(const struct map *map, uint64_t hash)
{
    return map->n_slots == 0 ? NULL : map->slots[hash & (map->n_slots - 1)];
}

/* The chain is looked for soon: it may come from memory meanwhile. */
static inline void map_expect(const struct map *map, uint64_t hash)
{
    if (map->n_slots > 0)
        __builtin_prefetch(&map->slots[hash & (map->n_slots - 1)]);
}

static inline void map_grow(struct map *map)
{
    size_t n_slots = map->n_slots == 0 ? 64 : 2 * map->n_slots;
    struct map_node **slots = calloc(n_slots, sizeof(struct map_node *));
    must(slots != NULL);
    for (size_t i = 0; i < map->n_slots; i++)
        for (struct map_node *node = map->slots[i], *next; node != NULL; node = next) {
            next = node->next;
            node->next = slots[node->hash & (n_slots - 1)];
            slots[node->hash & (n_slots - 1)] = node;
        }
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
}

static inline void map_put(struct map *map, struct map_node *node, uint64_t hash)
{
    if (map->n >= map->n_slots)
        map_grow(map);
    node->hash = hash;
    node->next = map->slots[hash & (map->n_slots - 1)];
    map->slots[hash & (map->n_slots - 1)] = node;
    map->n++;
}

static inline void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **at = &map->slots[node->hash & (map->n_slots - 1)];
    while (*at != node) {
        must(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    map->n--;
}

#endif
