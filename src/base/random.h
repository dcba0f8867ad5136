/*
 * Randomness from the kernel, for everything an attacker must not guess.
 * Models that must be deterministic take their own seeded generator instead.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/arena.h"

#include <stdint.h>

/* Once per process before anything else of base is used. */
void random_start(void);
void random_bytes(void *out, size_t size);
uint64_t random_u64(void);

enum { RANDOM_ID_SIZE = 26 }; // 128 bits in base32, without the NUL

/* A fresh identifier of 128 random bits: lower-case letters and digits. */
struct str random_id(struct arena *arena);
/* The same into the caller's storage, NUL-terminated. */
void random_id_z(char out[RANDOM_ID_SIZE + 1]);

/* A small seeded generator (splitmix64): the same seed gives the same numbers everywhere. */
struct prng {
    uint64_t state;
};
uint64_t prng_u64(struct prng *prng);
/* Uniform in [0, 1). */
double prng_unit(struct prng *prng);
/* Uniform in [0, n); n > 0. */
uint64_t prng_below(struct prng *prng, uint64_t n);

#endif
