#include "base/random.h"

#include "base/must.h"

#include <sodium.h>

void random_start(void)
{
    must(sodium_init() >= 0);
}

void random_bytes(void *out, size_t size)
{
    randombytes_buf(out, size);
}

uint64_t random_u64(void)
{
    uint64_t n;
    randombytes_buf(&n, sizeof n);
    return n;
}

void random_id_z(char out[RANDOM_ID_SIZE + 1])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[16];
    randombytes_buf(bytes, sizeof bytes);
    unsigned bits = 0, n_bits = 0;
    size_t next = 0;
    for (int i = 0; i < RANDOM_ID_SIZE; i++) {
        if (n_bits < 5 && next < sizeof bytes) {
            bits = bits << 8 | bytes[next++];
            n_bits += 8;
        }
        // the 26th digit has only 3 bits left
        unsigned take = n_bits < 5 ? n_bits : 5;
        out[i] = digits[(bits >> (n_bits - take)) & ((1U << take) - 1)];
        n_bits -= take;
    }
    out[RANDOM_ID_SIZE] = '\0';
}

struct str random_id(struct arena *arena)
{
    char *text = arena_alloc(arena, RANDOM_ID_SIZE + 1);
    random_id_z(text);
    return (struct str){text, RANDOM_ID_SIZE};
}

uint64_t prng_u64(struct prng *prng)
{
    uint64_t z = (prng->state += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

double prng_unit(struct prng *prng)
{
    return (double)(prng_u64(prng) >> 11) * 0x1p-53;
}

uint64_t prng_below(struct prng *prng, uint64_t n)
{
    must(n > 0);
    return (uint64_t)(((unsigned __int128)prng_u64(prng) * n) >> 64);
}
