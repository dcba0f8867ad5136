/*
 * A private hash table from text to pointer, for one thread.
 *
 * Keys are borrowed: they live in the value, or at least as long as the entry.
 * Hashes are keyed, so a peer cannot choose collisions.  Bounded by ceiling.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/hash.h"

struct table_slot;

struct table {
    struct hash_key key;
    struct table_slot *slots;
    size_t n, n_slots, ceiling;
};

/* ceiling: most entries; table_put answers ERR_LIMIT beyond. */
void table_init(struct table *table, size_t ceiling);
/* Frees the table, not the values. */
void table_done(struct table *table);

/* NULL when absent. */
void *table_get(const struct table *table, struct str key);
/* ERR_EXISTS when the key is present (the table is unchanged), ERR_LIMIT at the ceiling. */
enum err table_put(struct table *table, struct str key, void *value) MUST_CHECK;
/* Removes and returns the value, NULL when absent. */
void *table_remove(struct table *table, struct str key);

/* Walks all entries in no order: start with *at = 0; NULL at the end.  The table must not change
 * during the walk. */
void *table_next(const struct table *table, size_t *at);

#endif
