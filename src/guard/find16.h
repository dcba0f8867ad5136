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
    char tail[16 + 2 + 16];
    while (at < text.len) {
        const char *from = text.at + at;
        if (text.len - at < 18) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, from, text.len - at);
            from = tail;
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
    if (text.len - at < 16) {
        char all[16] = {0};
        memcpy(all, text.at + at, text.len - at);
        memcpy(&a, all, 16);
        size_t n = first_of16(hits16(a));
        return n < text.len - at ? at + n : text.len;
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
