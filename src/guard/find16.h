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

typedef unsigned char bytes16 __attribute__((vector_size(16)));

/* The first byte that is not 0; 16: none. */
static inline size_t first_of16(bytes16 hits)
{
    uint64_t halves[2];
    memcpy(halves, &hits, sizeof halves);
    if ((halves[0] | halves[1]) == 0)
        return 16;
    size_t half = halves[0] != 0 ? 0 : 1;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return 8 * half + (size_t)__builtin_ctzll(halves[half]) / 8;
#else
    return 8 * half + (size_t)__builtin_clzll(halves[half]) / 8;
#endif
}

/* The first place from `at` on at which a byte and the two after it (0 behind the end) are hits;
 * text.len when there is none.  Three zeros are none. */
static inline __attribute__((always_inline)) size_t
find_three16(struct str text, size_t at, bytes16 (*hits16)(bytes16 a, bytes16 b, bytes16 c))
{
    bytes16 a, b, c;
    char tail[32 + 18];
    while (at < text.len) {
        const char *from = text.at + at;
        size_t left = text.len - at;
        if (left < 18) { // of more than thirty-two the last are copied without a call
            memset(tail + 32, 0, 18);
            if (text.len >= 32)
                memcpy(tail, text.at + text.len - 32, 32);
            else
                memcpy(tail + 32 - left, from, left);
            from = tail + 32 - left;
        }
        memcpy(&a, from, 16);
        memcpy(&b, from + 1, 16);
        memcpy(&c, from + 2, 16);
        size_t n = first_of16(hits16(a, b, c));
        if (n < 16)
            return at + n;
        at += 16;
    }
    return text.len;
}

/* The first byte from `at` on that is a hit; text.len when there is none. */
static inline __attribute__((always_inline)) size_t find_one16(struct str text, size_t at,
                                                               bytes16 (*hits16)(bytes16 a))
{
    bytes16 a;
    size_t left = text.len - at;
    if (left < 16) {
        char tail[16 + 16];
        memset(tail + 16, 0, 16);
        if (text.len >= 16)
            memcpy(tail, text.at + text.len - 16, 16);
        else if (left > 0)
            memcpy(tail + 16 - left, text.at + at, left);
        memcpy(&a, tail + 16 - left, 16);
        size_t n = first_of16(hits16(a));
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
