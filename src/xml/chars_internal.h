/*
 * Characters: which bytes and code points XML 1.0 allows where.
 */
#ifndef XML_CHARS_INTERNAL_H
#define XML_CHARS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CHAR_NAME_START = 1, // without ':', which a QName has once at most
    CHAR_NAME = 2,
    CHAR_SPACE = 4,
    CHAR_STOP = 8, // not plain: '<', '&', controls, and the bytes of long characters
};

extern const uint8_t char_class[256];

static inline bool char_is(char c, uint8_t classes)
{
    return (char_class[(uint8_t)c] & classes) != 0;
}

/* Reads one character of UTF-8 (RFC 3629, strictly) that XML 1.0 allows: its length, 0 when the
 * bytes are wrong, -1 when they are right so far but end too early. */
int char_read(const char *p, const char *end, uint32_t *code);

/* Production [2] of XML 1.0. */
bool char_is_allowed(uint32_t code);

/* Productions [4] and [4a] of XML 1.0, fifth edition, for what is not ASCII. */
bool char_is_name_start(uint32_t code);
bool char_is_name(uint32_t code);

/* The first byte in [p, end) that is no name character of ASCII; end when there is none. */
static inline const char *char_skip_name(const char *p, const char *end)
{
#ifdef __SSE2__
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        // distances from the first of a range: unsigned, so what is before it is far behind it
        __m128i letter = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('-')); // '-' '.' '/' '0' ... '9'
        __m128i name = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8('z' - 'a')), letter);
        __m128i other = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8('9' - '-')), digit);
        other = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')), other);
        name = _mm_or_si128(name, _mm_or_si128(other, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'))));
        unsigned mask = ~(unsigned)_mm_movemask_epi8(name) & 0xFFFFU;
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && char_is(*p, CHAR_NAME))
        p++;
    return p;
}

/* The first byte in [p, end) that is not plain, or is also; end when there is none. */
static inline const char *char_skip_plain(const char *p, const char *end, char also)
{
#ifdef __SSE2__
    const __m128i open = _mm_set1_epi8('<'), ampersand = _mm_set1_epi8('&');
    const __m128i other = _mm_set1_epi8(also), space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        // signed: bytes from 0x80 on are below ' ' too
        __m128i stop = _mm_or_si128(
            _mm_or_si128(_mm_cmplt_epi8(bytes, space), _mm_cmpeq_epi8(bytes, other)),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, open), _mm_cmpeq_epi8(bytes, ampersand)));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != also && !char_is(*p, CHAR_STOP))
        p++;
    return p;
}

#endif
