#include "base/table.h"

#include "base/must.h"

#include <stdlib.h>

struct table_slot {
    uint64_t hash;
    struct str key;
    void *value; // NULL: the slot is free
};

void table_init(struct table *table, size_t ceiling)
{
    *table = (struct table){.key = hash_key_random(), .ceiling = ceiling};
}

void table_done(struct table *table)
{
    free(table->slots);
    table->slots = NULL;
    table->n = table->n_slots = 0;
}

// Linear probing: the slot that holds key, or the free one where it would go.
static size_t slot_of(const struct table *table, uint64_t hash, struct str key)
{
    size_t mask = table->n_slots - 1;
    size_t i = hash & mask;
    while (table->slots[i].value != NULL &&
           !(table->slots[i].hash == hash && str_eq(table->slots[i].key, key)))
        i = (i + 1) & mask;
    return i;
}

void *table_get(const struct table *table, struct str key)
{
    if (table->n == 0)
        return NULL;
    return table->slots[slot_of(table, hash_keyed(&table->key, key), key)].value;
}

static void resize(struct table *table, size_t n_slots)
{
    struct table_slot *old = table->slots;
    size_t n_old = table->n_slots;
    table->slots = calloc(n_slots, sizeof *table->slots);
    must(table->slots != NULL);
    table->n_slots = n_slots;
    for (size_t i = 0; i < n_old; i++)
        if (old[i].value != NULL)
            table->slots[slot_of(table, old[i].hash, old[i].key)] = old[i];
    free(old);
}

enum err table_put(struct table *table, struct str key, void *value)
{
    must(value != NULL);
    if (table->n_slots == 0)
        resize(table, 16);
    uint64_t hash = hash_keyed(&table->key, key);
    size_t i = slot_of(table, hash, key);
    if (table->slots[i].value != NULL)
        return ERR_EXISTS;
    if (table->n >= table->ceiling)
        return ERR_LIMIT;
    if ((table->n + 1) * 4 > table->n_slots * 3) {
        resize(table, table->n_slots * 2);
        i = slot_of(table, hash, key);
    }
    table->slots[i] = (struct table_slot){hash, key, value};
    table->n++;
    return OK;
}

void *table_remove(struct table *table, struct str key)
{
    if (table->n == 0)
        return NULL;
    size_t mask = table->n_slots - 1;
    size_t hole = slot_of(table, hash_keyed(&table->key, key), key);
    void *value = table->slots[hole].value;
    if (value == NULL)
        return NULL;
    table->n--;
    // close the gap: move back whatever probed past the hole
    for (size_t i = (hole + 1) & mask; table->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t wants = table->slots[i].hash & mask;
        if (((i - wants) & mask) >= ((i - hole) & mask)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole] = (struct table_slot){0};
    return value;
}

void *table_next(const struct table *table, size_t *at)
{
    while (*at < table->n_slots) {
        void *value = table->slots[(*at)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}
