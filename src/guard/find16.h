/*
 * Finding bytes in text, sixteen at a time.
 *
 * What is looked for is a function of vectors, which the compiler puts into the
 * loop: one bit a byte of what it says is all that counts, 0 or not.  Private
 * to the files of lure extraction.
 */
#ifndef GUARD_FIND16_H
#define GUARD_FIND16_H

#include "base/str.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef unsigned char bytes16 __attribute__((vector_size(16)));

/* A bit for each byte; a byte is all ones or 0. */
static inline unsigned mask_of16(bytes16 hits)
{
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8((__m128i)hits);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++)
        mask |= (hits[i] & 1U) << i;
    return mask;
#endif
}

/* The first byte that is not 0; 16: none. */
static inline size_t first_of16(bytes16 hits)
{
    return (size_t)__builtin_ctz(mask_of16(hits) | 1U << 16);
}

/* Each byte is the one after it, the last 0. */
static inline bytes16 next16(bytes16 a)
{
#ifdef __SSE2__
    return (bytes16)_mm_srli_si128((__m128i)a, 1);
#else
    bytes16 next = {0};
    memcpy(&next, (const char *)&a + 1, 15);
    return next;
#endif
}

/* Fewer than sixteen bytes, and zeros behind them: without a call, for many texts end so. */
static inline bytes16 few16(const char *at, size_t len)
{
    bytes16 few;
    uint64_t halves[2] = {0, 0};
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (len > 8) {
        memcpy(&halves[0], at, 8);
        memcpy(&halves[1], at + len - 8, 8);
        halves[1] >>= 8 * (16 - len); // what the first half has already
    } else if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, at, 4);
        memcpy(&last, at + len - 4, 4);
        halves[0] = first | (uint64_t)last << 8 * (len - 4);
    } else {
        for (size_t i = 0; i < len; i++)
            halves[0] |= (uint64_t)(unsigned char)at[i] << 8 * i;
    }
#else
    memcpy(halves, at, len);
#endif
    memcpy(&few, halves, sizeof few);
    return few;
}

/* The first place from `at` on at which a byte and the two after it (0 behind the end) are hits;
 * text.len when there is none.  Three zeros are none.  may_hit16: says so of all that are hits, and
 * of few others, at less cost. */
static inline __attribute__((always_inline)) size_t
find_three16_if(struct str text, size_t at, bytes16 (*may_hit16)(bytes16 a, bytes16 b, bytes16 c),
                bytes16 (*hits16)(bytes16 a, bytes16 b, bytes16 c))
{
    bytes16 a, b, c;
    while (at < text.len) {
        size_t left = text.len - at, before = 0; // looked at once more
        if (left >= 18) {
            memcpy(&a, text.at + at, 16);
            memcpy(&b, text.at + at + 1, 16);
            memcpy(&c, text.at + at + 2, 16);
        } else if (left == 17) {
            memcpy(&a, text.at + at, 16);
            memcpy(&b, text.at + at + 1, 16);
            c = next16(b);
        } else {
            if (text.len < 16) {
                a = few16(text.at + at, left);
            } else {
                memcpy(&a, text.at + text.len - 16, 16);
                before = 16 - left;
            }
            b = next16(a);
            c = next16(b);
        }
        if (may_hit16 == NULL || mask_of16(may_hit16(a, b, c)) >> before != 0) {
            unsigned mask = mask_of16(hits16(a, b, c)) >> before;
            if (mask != 0)
                return at + (size_t)__builtin_ctz(mask);
        }
        at += 16 - before;
    }
    return text.len;
}

static inline __attribute__((always_inline)) size_t
find_three16(struct str text, size_t at, bytes16 (*hits16)(bytes16 a, bytes16 b, bytes16 c))
{
    return find_three16_if(text, at, NULL, hits16);
}

/* The first byte from `at` on that is a hit; text.len when there is none. */
static inline __attribute__((always_inline)) size_t find_one16(struct str text, size_t at,
                                                               bytes16 (*hits16)(bytes16 a))
{
    bytes16 a;
    size_t left = text.len - at;
    if (left < 16) {
        if (text.len < 16)
            a = few16(text.at + at, left);
        else
            memcpy(&a, text.at + text.len - 16, 16); // with some before
        unsigned mask = mask_of16(hits16(a)) >> (text.len < 16 ? 0 : 16 - left);
        size_t n = (size_t)__builtin_ctz(mask | 1U << 16);
        return n < left ? at + n : text.len;
    }
    for (; at < text.len; at += 16) {
        if (text.len - at < 16)
            at = text.len - 16; // some once more, which are no hits
        memcpy(&a, text.at + at, 16);
        size_t n = first_of16(hits16(a));
        if (n < 16)
            return at + n;
    }
    return text.len;
}

#endif
