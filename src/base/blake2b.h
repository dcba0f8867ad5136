/*
 * BLAKE2b of sixteen bytes, without a key (RFC 7693): what crypto_generichash gives, in two thirds
 * of the time.
 *
 * For short texts libsodium takes nearly as long to set up its state and to wipe it as to hash. Not
 * for secrets: nothing is wiped.
 */
#ifndef BASE_BLAKE2B_H
#define BASE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

enum { BLAKE2B_SHORT = 16 };

void blake2b_short(const void *bytes, size_t len, uint8_t out[BLAKE2B_SHORT]);
/* Of two texts that do not wait for each other. */
void blake2b_short_two(const void *a, size_t n_a, const void *b, size_t n_b,
                       uint8_t out_a[BLAKE2B_SHORT], uint8_t out_b[BLAKE2B_SHORT]);

#endif
