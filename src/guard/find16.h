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
    unsigned mask = mask_of16(hits);
    return mask == 0 ? 16 : (size_t)__builtin_ctz(mask);
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
    char tail[18 + 18];
    while (at < text.len) {
        const char *from = text.at + at;
        size_t left = text.len - at;
        if (left < 18) {
            memset(tail, 0, sizeof tail);
            if (text.len >= 18) {
                memcpy(tail, text.at + text.len - 18, 18);
                from = tail + 18 - left;
            } else {
                a = few16(from, left < 15 ? left : 15);
                memcpy(tail, &a, sizeof a);
                for (size_t i = 15; i < left; i++)
                    tail[i] = from[i];
                from = tail;
            }
        }
        memcpy(&a, from, 16);
        memcpy(&b, from + 1, 16);
        memcpy(&c, from + 2, 16);
        if (may_hit16 == NULL || first_of16(may_hit16(a, b, c)) < 16) {
            size_t n = first_of16(hits16(a, b, c));
            if (n < 16)
                return at + n;
        }
        at += 16;
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
        size_t n = first_of16(hits16(few16(text.at + at, left)));
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
