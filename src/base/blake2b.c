#include "base/blake2b.h"

#include "base/must.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

enum { BLOCK = 128, ROUNDS = 12 };

static const uint64_t initial[8] = {UINT64_C(0x6A09E667F3BCC908), UINT64_C(0xBB67AE8584CAA73B),
                                    UINT64_C(0x3C6EF372FE94F82B), UINT64_C(0xA54FF53A5F1D36F1),
                                    UINT64_C(0x510E527FADE682D1), UINT64_C(0x9B05688C2B3E6C1F),
                                    UINT64_C(0x1F83D9ABFB41BD6B), UINT64_C(0x5BE0CD19137E2179)};

static inline AVX2 __m256i load(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

static inline AVX2 __m256i rotate32(__m256i x)
{
    return _mm256_shuffle_epi32(x, 0xB1);
}

static inline AVX2 __m256i rotate24(__m256i x)
{
    const __m256i bytes = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3,
                                           4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    return _mm256_shuffle_epi8(x, bytes);
}

static inline AVX2 __m256i rotate16(__m256i x)
{
    const __m256i bytes = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2,
                                           3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    return _mm256_shuffle_epi8(x, bytes);
}

static inline AVX2 __m256i rotate63(__m256i x)
{
    return _mm256_or_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x));
}

/* The state's four rows. */
struct rows {
    __m256i a, b, c, d;
};

/* Section 3.1, of all four columns. */
static inline AVX2 void mix(struct rows *v, __m256i x, __m256i y)
{
    v->a = _mm256_add_epi64(_mm256_add_epi64(v->a, x), v->b);
    v->d = rotate32(_mm256_xor_si256(v->d, v->a));
    v->c = _mm256_add_epi64(v->c, v->d);
    v->b = rotate24(_mm256_xor_si256(v->b, v->c));
    v->a = _mm256_add_epi64(_mm256_add_epi64(v->a, y), v->b);
    v->d = rotate16(_mm256_xor_si256(v->d, v->a));
    v->c = _mm256_add_epi64(v->c, v->d);
    v->b = rotate63(_mm256_xor_si256(v->b, v->c));
}

// So that columns are diagonals; and back.
static inline AVX2 void turn(struct rows *v)
{
    v->a = _mm256_permute4x64_epi64(v->a, 0x93);
    v->d = _mm256_permute4x64_epi64(v->d, 0x4E);
    v->c = _mm256_permute4x64_epi64(v->c, 0x39);
}

static inline AVX2 void turn_back(struct rows *v)
{
    v->a = _mm256_permute4x64_epi64(v->a, 0x39);
    v->d = _mm256_permute4x64_epi64(v->d, 0x4E);
    v->c = _mm256_permute4x64_epi64(v->c, 0x93);
}

static inline AVX2 __m256i four(const uint64_t *m, int i, int j, int k, int l)
{
    return _mm256_set_epi64x((long long)m[l], (long long)m[k], (long long)m[j], (long long)m[i]);
}

// Section 2.7: the order of the message's words.
static const uint8_t order[ROUNDS][16] = {
    {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15},
    {14, 10, 4,  8,  9,  15, 13, 6,  1,  12, 0,  2,  11, 7,  5,  3 },
    {11, 8,  12, 0,  5,  2,  15, 13, 10, 14, 3,  6,  7,  1,  9,  4 },
    {7,  9,  3,  1,  13, 12, 11, 14, 2,  6,  5,  10, 4,  0,  15, 8 },
    {9,  0,  5,  7,  2,  4,  10, 15, 14, 1,  11, 12, 6,  8,  3,  13},
    {2,  12, 6,  10, 0,  11, 8,  3,  4,  13, 7,  5,  15, 14, 1,  9 },
    {12, 5,  1,  15, 14, 13, 4,  10, 0,  7,  6,  3,  9,  2,  8,  11},
    {13, 11, 7,  14, 12, 1,  3,  9,  5,  0,  15, 4,  8,  6,  2,  10},
    {6,  15, 14, 9,  11, 3,  0,  8,  12, 2,  13, 7,  1,  4,  10, 5 },
    {10, 2,  8,  4,  7,  6,  1,  5,  15, 11, 9,  14, 3,  12, 13, 0 },
    {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15},
    {14, 10, 4,  8,  9,  15, 13, 6,  1,  12, 0,  2,  11, 7,  5,  3 },
};

/* A text on its way. */
struct hashing {
    __m256i h[2];
    uint64_t m[BLOCK / 8]; // the block
    struct rows v;
};

static inline AVX2 void begin(struct hashing *hashing)
{
    // the parameter block: so long a digest, no key, no tree
    __m256i parameters = _mm256_set_epi64x(0, 0, 0, 0x01010000 | BLAKE2B_SHORT);
    hashing->h[0] = _mm256_xor_si256(load(initial), parameters);
    hashing->h[1] = load(initial + 4);
}

/* Section 3.2: `done` bytes in all up to this block. */
static inline AVX2 void begin_block(struct hashing *hashing, const uint8_t *bytes, size_t len,
                                    uint64_t done, bool last)
{
    __m256i ends = _mm256_set_epi64x(0, last ? -1 : 0, 0, (long long)done);
    if (len < BLOCK)
        memset(hashing->m, 0, BLOCK);
    if (len > 0)
        memcpy(hashing->m, bytes, len);
    hashing->v = (struct rows){hashing->h[0], hashing->h[1], load(initial),
                               _mm256_xor_si256(load(initial + 4), ends)};
}

static inline AVX2 void end_block(struct hashing *hashing)
{
    const struct rows *v = &hashing->v;
    hashing->h[0] = _mm256_xor_si256(hashing->h[0], _mm256_xor_si256(v->a, v->c));
    hashing->h[1] = _mm256_xor_si256(hashing->h[1], _mm256_xor_si256(v->b, v->d));
}

static inline AVX2 void end(const struct hashing *hashing, uint8_t *out)
{
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(hashing->h[0]));
}

static AVX2 void hash_one(const uint8_t *bytes, size_t len, uint8_t *out)
{
    struct hashing hashing;
    begin(&hashing);
    for (size_t done = 0;; done += BLOCK) {
        bool last = len - done <= BLOCK;
        size_t n = last ? len - done : BLOCK;
        begin_block(&hashing, bytes + done, n, done + n, last);
        struct rows v = hashing.v;
        const uint64_t *m = hashing.m;
        for (int round = 0; round < ROUNDS; round++) {
            const uint8_t *s = order[round];
            mix(&v, four(m, s[0], s[2], s[4], s[6]), four(m, s[1], s[3], s[5], s[7]));
            turn(&v);
            mix(&v, four(m, s[14], s[8], s[10], s[12]), four(m, s[15], s[9], s[11], s[13]));
            turn_back(&v);
        }
        hashing.v = v;
        end_block(&hashing);
        if (last)
            break;
    }
    end(&hashing, out);
}

/* Of a block at most: each step of one waits for the one before, and the other's fill the time. */
static AVX2 void hash_two(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b,
                          uint8_t *out_a, uint8_t *out_b)
{
    struct hashing first, second;
    begin(&first);
    begin(&second);
    begin_block(&first, a, n_a, n_a, true);
    begin_block(&second, b, n_b, n_b, true);
    struct rows v = first.v, w = second.v;
    const uint64_t *m = first.m, *n = second.m;
    for (int round = 0; round < ROUNDS; round++) {
        const uint8_t *s = order[round];
        __m256i x = four(m, s[0], s[2], s[4], s[6]), y = four(n, s[0], s[2], s[4], s[6]);
        mix(&v, x, four(m, s[1], s[3], s[5], s[7]));
        mix(&w, y, four(n, s[1], s[3], s[5], s[7]));
        turn(&v);
        turn(&w);
        x = four(m, s[14], s[8], s[10], s[12]);
        y = four(n, s[14], s[8], s[10], s[12]);
        mix(&v, x, four(m, s[15], s[9], s[11], s[13]));
        mix(&w, y, four(n, s[15], s[9], s[11], s[13]));
        turn_back(&v);
        turn_back(&w);
    }
    first.v = v;
    second.v = w;
    end_block(&first);
    end_block(&second);
    end(&first, out_a);
    end(&second, out_b);
}

#endif

void blake2b_short(const void *bytes, size_t len, uint8_t out[BLAKE2B_SHORT])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        hash_one(bytes, len, out);
        return;
    }
#endif
    must(crypto_generichash(out, BLAKE2B_SHORT, bytes, len, NULL, 0) == 0);
}

void blake2b_short_two(const void *a, size_t n_a, const void *b, size_t n_b,
                       uint8_t out_a[BLAKE2B_SHORT], uint8_t out_b[BLAKE2B_SHORT])
{
#if defined(__x86_64__)
    if (n_a <= BLOCK && n_b <= BLOCK && __builtin_cpu_supports("avx2")) {
        hash_two(a, n_a, b, n_b, out_a, out_b);
        return;
    }
#endif
    blake2b_short(a, n_a, out_a);
    blake2b_short(b, n_b, out_b);
}
