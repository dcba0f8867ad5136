/*
 * Most of it is multiplying: four products of 64 bits for each letter.  Only their upper halves
 * count, and those of eight runs at a time are made of products of 32 bits where the processor has
 * AVX2.
 */
#include "guard/minhash.h"

#include "base/must.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { WAYS = 4, BITS = 21, VECTOR = 8 }; // of a code point; runs are 63 bits

static const uint64_t mixer = UINT64_C(0x2127599BF4325C37),
                      ways[WAYS] = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD6E8FEB86659FD93),
                                    UINT64_C(0xA0761D6478BD642F), UINT64_C(0xE7037ED1A0B428DB)};

static void find_least(const uint32_t *letters, size_t n, uint32_t *hashes)
{
    // the least product has the least upper half, which is the hash
    uint64_t least[WAYS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    uint64_t three = (uint64_t)letters[0] << BITS | (uint64_t)letters[1] << 2 * BITS;
    for (size_t i = MINHASH_RUN - 1; i < n; i++) {
        three = three >> BITS | (uint64_t)letters[i] << 2 * BITS;
        uint64_t run = three * mixer;
        run ^= run >> 32;
#pragma GCC unroll 4
        for (int way = 0; way < WAYS; way++) {
            uint64_t product = run * ways[way];
            least[way] = product < least[way] ? product : least[way];
        }
    }
    for (int way = 0; way < WAYS; way++)
        hashes[way] = (uint32_t)(least[way] >> 32);
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

// Upper halves of the products of eight numbers; odd: those in odd places, in even ones.
static inline AVX2 __m256i upper_half(__m256i a, __m256i odd, __m256i b)
{
    __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(a, b), 32);
    return _mm256_blend_epi32(even, _mm256_mul_epu32(odd, b), 0xAA);
}

static inline AVX2 __m256i eight_of(uint64_t half)
{
    return _mm256_set1_epi32((int)(uint32_t)half);
}

static AVX2 void find_least_avx2(const uint32_t *letters, size_t n, uint32_t *hashes)
{
    const __m256i low = eight_of(mixer), high = eight_of(mixer >> 32);
    __m256i least[WAYS];
    for (int way = 0; way < WAYS; way++)
        least[way] = eight_of(UINT32_MAX);
    size_t n_runs = n - (MINHASH_RUN - 1);
    for (size_t i = 0; i < n_runs; i += VECTOR) {
        if (n_runs - i < VECTOR)
            i = n_runs - VECTOR; // some once more, which changes no minimum
        const __m256i *at = (const __m256i *)(const void *)(letters + i);
        __m256i first = _mm256_loadu_si256(at);
        __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(letters + i + 1));
        __m256i third = _mm256_loadu_si256((const __m256i *)(const void *)(letters + i + 2));
        // both halves of the run, then of its product, which are made one
        __m256i a = _mm256_or_si256(first, _mm256_slli_epi32(second, BITS));
        __m256i b = _mm256_or_si256(_mm256_srli_epi32(second, 32 - BITS),
                                    _mm256_slli_epi32(third, 2 * BITS - 32));
        __m256i upper = _mm256_add_epi32(
            upper_half(a, _mm256_srli_epi64(a, 32), low),
            _mm256_add_epi32(_mm256_mullo_epi32(a, high), _mm256_mullo_epi32(b, low)));
        __m256i lower = _mm256_xor_si256(_mm256_mullo_epi32(a, low), upper);
        __m256i odd = _mm256_srli_epi64(lower, 32);
#pragma GCC unroll 4
        for (int way = 0; way < WAYS; way++) {
            __m256i way_low = eight_of(ways[way]), way_high = eight_of(ways[way] >> 32);
            __m256i hash = _mm256_add_epi32(upper_half(lower, odd, way_low),
                                            _mm256_add_epi32(_mm256_mullo_epi32(lower, way_high),
                                                             _mm256_mullo_epi32(upper, way_low)));
            least[way] = _mm256_min_epu32(least[way], hash);
        }
    }
    for (int way = 0; way < WAYS; way++) {
        __m128i four = _mm_min_epu32(_mm256_castsi256_si128(least[way]),
                                     _mm256_extracti128_si256(least[way], 1));
        __m128i two = _mm_min_epu32(four, _mm_shuffle_epi32(four, 0x4E));
        __m128i one = _mm_min_epu32(two, _mm_shuffle_epi32(two, 0xB1));
        hashes[way] = (uint32_t)_mm_cvtsi128_si32(one);
    }
}

#endif

uint64_t minhash(const uint32_t *letters, size_t n)
{
    must(n >= MINHASH_RUN);
    uint32_t hashes[WAYS];
#if defined(__x86_64__)
    if (n >= VECTOR + MINHASH_RUN - 1 && __builtin_cpu_supports("avx2"))
        find_least_avx2(letters, n, hashes);
    else
#endif
        find_least(letters, n, hashes);
    uint64_t shape = 0;
    for (int way = 0; way < WAYS; way++)
        shape = shape << 16 | (hashes[way] * 0x9E3779B1U >> 16);
    return shape != 0 ? shape : 1;
}
