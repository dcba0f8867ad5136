/*
 * Hashes of text: keyed against peers who choose the text.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

#include <stdint.h>

struct hash_key {
    unsigned char bytes[16];
};

/* A fresh random key: one per table and start of the process. */
struct hash_key hash_key_random(void);

/* SipHash-2-4: for keys that a peer chooses. */
uint64_t hash_keyed(const struct hash_key *key, struct str text);

/* XXH3 with a seed: fast, for text whose collisions harm nobody. */
uint64_t hash_fast(uint64_t seed, struct str text);

#endif
