/*
 * What the files of lure extraction share.
 */
#ifndef GUARD_LURE_INTERNAL_H
#define GUARD_LURE_INTERNAL_H

#include "guard/lure.h"
#include "guard/url.h"

#include "base/hash.h"

#include <libpsl.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/uspoof.h>

/* Which phrases of words.c may hold some bytes. */
struct warning_index {
    uint8_t first[1024], next[160];
};

/* What was found out of a host before, since that takes long.  Any thread may read and write it: an
 * answer is one word, a hash of the host above ten bits of answer, and a key counts only while its
 * three words fit together.  Whoever does not know the hashes' key
 * cannot make one host answer for another; and what is forgotten is found out again. */
struct host_cache {
    struct hash_key key;
    _Atomic uint64_t answers[4096];
    struct {
        _Atomic uint64_t check, low, high; // check: hash ^ low ^ high
    } keys[4096];
};

struct lure_rules {
    UIDNA *idna;
    USpoofChecker *lookalikes;
    const UNormalizer2
        *folds; // NFKC and case: full width, mathematical, circled letters; ICU's own
    const psl_ctx_t *psl;
    struct host_cache *hosts;
    struct warning_index warnings;
};

void warnings_index(struct warning_index *index);

/* LURE_WELL_KNOWN and LURE_SHORTENER for a canonical host and its registrable domain. */
unsigned rules_host_flags(struct str host, struct str domain);

/* The registrable domain of a host, and these flags: remembered together. */
struct str url_domain_flags(const struct lure_rules *rules, struct str host, unsigned *flags);

/* Bytes that may not be part of a link in running text. */
static inline bool is_blank(unsigned char c)
{
    return c <= ' ' || c == 0x7F;
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_alnum(char c)
{
    return ascii_is_digit(c) || ascii_is_alpha(c);
}

/* 0..15, or -1. */
static inline int ascii_hex(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lower case of ASCII, in arena (or text itself when nothing changes). */
struct str lure_lower(struct arena *arena, struct str text);

/* Reads one code point of well-formed or broken UTF-8; a broken byte gives U+FFFD and length 1. */
uint32_t lure_utf8(struct str text, size_t *len);

/* Whether a client shows nothing for it: zero width, directional marks, variation selectors, tags.
 */
bool lure_is_invisible(uint32_t point);

/* Whether the host of a link that was cut off, from behind "//", ends before the cut: no host is as
 * long as what is read. */
bool lure_host_ends(struct str link);

/* The length of a dot at `at` that was written so that nothing can be clicked ("[.]", "(dot)",
 * " dot " before "com"); 0: there is none. */
size_t lure_dead_dot(const struct lure_rules *rules, struct str text, size_t at);

/* Puts a parsed link into the list, unless it is there. */
void lure_put_url(struct lure_list *list, struct arena *scratch, const struct url *url,
                  unsigned flags);

/* A free place in the list, zeroed; NULL when it is full (and overflowed is set). */
struct lure *lure_list_room(struct lure_list *list);

#endif
