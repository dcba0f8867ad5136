/*
 * What the files of lure extraction share.
 */
#ifndef GUARD_LURE_INTERNAL_H
#define GUARD_LURE_INTERNAL_H

#include "guard/find16.h"
#include "guard/lure.h"
#include "guard/url.h"

#include "base/hash.h"

#include <libpsl.h>
#include <stdatomic.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>
#include <unicode/uspoof.h>

/* Which phrases of words.c may hold some bytes. */
struct warning_index {
    uint64_t bits[128];
    uint8_t first[1024], next[256];
    uint32_t four[256];
};

/* What is known of a host. */
struct host_facts {
    uint32_t n_domain; // bytes of its registrable domain, at its end; the host itself for
                       // addresses and names without one
    uint32_t flags;    // LURE_WELL_KNOWN and LURE_SHORTENER
    struct lure_key host, domain; // keys; the host's without "www."
};

/* Of which hosts that was found out before.  Any thread may read and write it: an entry counts only
 * while its words fit together. */
struct host_cache {
    struct hash_key key;
    _Atomic uint64_t suffixes[1024];
    struct {
        _Atomic uint64_t words[6]; // of all that follow and the host's hash; struct host_facts
    } hosts[4096];
};

enum { POINTS = 0x140000 }; // that four bytes of UTF-8 can spell, though there are fewer

enum {
    POINT_LETTER = 0x7F, // the letter or digit of ASCII that it looks like, in lower case; 0: none
    POINT_WORD = 0x80,   // words are made of it, pictures too, or nobody sees it
    POINT_NAME = 0x100,  // a letter, mark or digit: hosts are made of it
    POINT_STAYS = 0x200, // a letter of which there is at least one left in any host's ASCII
    POINT_GAP = 0x400,   // punctuation, sign or blank
    POINT_INVISIBLE = 0x800,
    POINT_FOLDS = 0x1000,  // another stands for it in folded text, or none
    POINT_STOP = 0x2000,   // a full stop or colon
    POINT_BULLET = 0x4000, // a dot in the middle
    POINT_KNOWN = 0x8000,
};

/* What was asked of ICU already (points.c).  Any thread may read and write it: the answer is always
 * the same. */
struct points {
    _Atomic uint16_t facts[POINTS]; // POINT_…; 0: not asked yet
};

struct lure_rules {
    UIDNA *idna;
    USpoofChecker *lookalikes;
    const UNormalizer2
        *folds; // NFKC and case: full width, mathematical, circled letters; ICU's own
    const psl_ctx_t *psl;
    struct host_cache *hosts;
    struct points *points;
    struct warning_index warnings;
};

void warnings_index(struct warning_index *index);

/* LURE_WELL_KNOWN and LURE_SHORTENER for a canonical host and its registrable domain. */
unsigned rules_host_flags(struct str host, struct str domain);

/* Of a canonical host that is not empty. */
struct host_facts host_facts(const struct lure_rules *rules, struct str host);

/* The key of two texts; domain: what they are, so that no key of one kind is another's. */
struct lure_key lure_hash(char domain, struct str a, struct str b);

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

struct str lure_lower_slowly(struct arena *arena, struct str text);

static inline bytes16 capitals16(bytes16 a)
{
    return (bytes16)((bytes16)(a - 'A') <= 'Z' - 'A');
}

/* Lower case of ASCII, in arena (or text itself when nothing changes). */
static inline struct str lure_lower(struct arena *arena, struct str text)
{
    return find_one16(text, 0, capitals16) == text.len ? text : lure_lower_slowly(arena, text);
}

/* Reads one code point of well-formed or broken UTF-8; a broken byte gives U+FFFD and length 1. */
static inline uint32_t lure_utf8(struct str text, size_t *len)
{
    const unsigned char *b = (const unsigned char *)text.at;
    *len = 1;
    if (b[0] < 0x80)
        return b[0];
    size_t n = b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    if (b[0] < 0xC2 || b[0] > 0xF4 || n > text.len)
        return 0xFFFD;
    uint32_t point = b[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xC0) != 0x80)
            return 0xFFFD;
        point = point << 6 | (b[i] & 0x3F);
    }
    *len = n;
    return point;
}

struct points *points_new(void);
unsigned point_facts_slowly(const struct lure_rules *rules, uint32_t point);

/* POINT_… of the character at `at`; len: its bytes. */
static inline unsigned point_at(const struct lure_rules *rules, struct str text, size_t at,
                                size_t *len)
{
    const unsigned char *b = (const unsigned char *)text.at + at;
    size_t left = text.len - at;
    uint32_t point;
    // most are of two bytes or three
    if (b[0] >= 0xC2 && b[0] < 0xE0 && left > 1 && (b[1] & 0xC0) == 0x80) {
        point = (b[0] & 0x1FU) << 6 | (b[1] & 0x3FU);
        *len = 2;
    } else if ((b[0] & 0xF0) == 0xE0 && left > 2 && (b[1] & 0xC0) == 0x80 &&
               (b[2] & 0xC0) == 0x80) {
        point = (b[0] & 0x0FU) << 12 | (b[1] & 0x3FU) << 6 | (b[2] & 0x3FU);
        *len = 3;
    } else {
        point = lure_utf8(str_skip(text, at), len);
    }
    unsigned facts = atomic_load_explicit(&rules->points->facts[point], memory_order_relaxed);
    return facts != 0 ? facts : point_facts_slowly(rules, point);
}

static inline bytes16 wide16(bytes16 a)
{
    return (bytes16)(a >= 0x80);
}

/* The first byte beyond ASCII from `at` on; text.len: none. */
static inline size_t find_wide(struct str text, size_t at)
{
    for (int n = 0; n < 2 && at < text.len; n++, at++) // most words of such texts are not far
        if ((unsigned char)text.at[at] >= 0x80)
            return at;
    return at < text.len ? find_one16(text, at, wide16) : at;
}

static inline bool lure_word_at(struct str text, size_t at, const char *word)
{
    size_t len = strlen(word);
    return text.len >= at + len && str_eq_nocase(str_make(text.at + at, len), str_of(word));
}

/* Whether a client shows nothing for it: zero width, directional marks, variation selectors, tags.
 */
bool lure_is_invisible(uint32_t point);

/* Whether the host of a link that was cut off, from behind "//", ends before the cut: no host is as
 * long as what is read. */
bool lure_host_ends(struct str link);

/* The length of a dot at `at` that was written so that nothing can be clicked ("[.]", "(dot)",
 * " dot " before "com"); 0: there is none. */
size_t lure_dead_dot(const struct lure_rules *rules, struct str text, size_t at);

/* The letter that a digit is written for ("c0m"), or c itself. */
char lure_letter_of_digit(char c);

/* The letter or sign of ASCII, in lower case, that a character of another script looks like; 0:
 * none. */
char lure_plain_letter(const struct lure_rules *rules, uint32_t point);

/* The text without what nobody sees, with words for a dot and the suffix behind them in letters of
 * ASCII, and with a bullet that stands for a dot as " dot "; the text itself when it is ASCII.
 * flags: LURE_HIDDEN is added. */
struct str lure_fold(const struct lure_rules *rules, struct arena *scratch, struct str text,
                     unsigned *flags);

/* Puts a parsed link into the list, unless it is there. */
void lure_put_url(struct lure_list *list, struct arena *scratch, const struct url *url,
                  unsigned flags);

/* A free place in the list, zeroed; NULL when it is full (and overflowed is set). */
struct lure *lure_list_room(struct lure_list *list);

#endif
