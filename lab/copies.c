#include "lab/copies.h"

#include "base/must.h"

#include <stdlib.h>

static const uint32_t none = UINT32_MAX;

void copies_done(struct copies *copies)
{
    for (size_t i = 0; i < copies->n; i++)
        free(copies->at[i].text);
    free(copies->at);
    free(copies->keys);
    free(copies->owners);
    free(copies->next);
    free(copies->slots);
    *copies = (struct copies){0};
}

static size_t slot_of(const struct copies *copies, const struct lure_key *key)
{
    uint64_t hash; // a key is a digest already
    memcpy(&hash, key->bytes, sizeof hash);
    return hash & (copies->n_slots - 1);
}

static void hang(struct copies *copies, uint32_t key)
{
    size_t slot = slot_of(copies, &copies->keys[key]);
    copies->next[key] = copies->slots[slot];
    copies->slots[slot] = key;
}

static void *grown(void *at, size_t n, size_t size)
{
    void *larger = reallocarray(at, n, size);
    must(larger != NULL);
    return larger;
}

static void grow_keys(struct copies *copies)
{
    copies->keys_room = copies->keys_room == 0 ? 4096 : 2 * copies->keys_room;
    copies->keys = grown(copies->keys, copies->keys_room, sizeof *copies->keys);
    copies->owners = grown(copies->owners, copies->keys_room, sizeof *copies->owners);
    copies->next = grown(copies->next, copies->keys_room, sizeof *copies->next);
    copies->n_slots = copies->keys_room;
    copies->slots = grown(copies->slots, copies->n_slots, sizeof *copies->slots);
    for (size_t i = 0; i < copies->n_slots; i++)
        copies->slots[i] = none;
    for (size_t i = 0; i < copies->n_keys; i++)
        hang(copies, (uint32_t)i);
}

uint32_t copies_add(struct copies *copies, const struct copy *copy, const struct lure_key *keys,
                    size_t n_keys)
{
    must(copies->n < none && copies->n_keys < none - n_keys && n_keys <= UINT8_MAX);
    if (copies->n == copies->room) {
        copies->room = copies->room == 0 ? 1024 : 2 * copies->room;
        copies->at = grown(copies->at, copies->room, sizeof *copies->at);
    }
    uint32_t at = (uint32_t)copies->n++;
    copies->at[at] = *copy;
    copies->at[at].keys_at = (uint32_t)copies->n_keys;
    copies->at[at].n_keys = (uint8_t)n_keys;
    for (size_t i = 0; i < n_keys; i++) {
        if (copies->n_keys == copies->keys_room)
            grow_keys(copies);
        uint32_t key = (uint32_t)copies->n_keys++;
        copies->keys[key] = keys[i];
        copies->owners[key] = at;
        hang(copies, key);
    }
    return at;
}

bool copies_next(const struct copies *copies, const struct lure_key *key, uint32_t *at,
                 uint32_t *copy)
{
    if (copies->n_keys == 0)
        return false;
    uint32_t next = *at == none ? copies->slots[slot_of(copies, key)] : copies->next[*at];
    while (next != none && !lure_key_eq(&copies->keys[next], key))
        next = copies->next[next];
    if (next == none)
        return false;
    *at = next;
    *copy = copies->owners[next];
    return true;
}
