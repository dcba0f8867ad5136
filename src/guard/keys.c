/*
 * Keys of lures, narrow to wide, and the template that stands between.
 *
 * A worm puts its victim's name, a serial number or a random token into each
 * copy; the template is the link without them.  Text is cut into tokens at
 * everything that is no letter or digit; tokens that are a person's name in some
 * dress (case, hex, base64, reversed) become {name}, numbers {n}, random-looking
 * ones {id}, and query values that are none of these {v}.
 */
#include "guard/find16.h"
#include "guard/lure_internal.h"

#include "base/blake2b.h"
#include "base/must.h"

#include <sodium.h>

enum {
    SCRATCH_MOST = 4 * 1024 * 1024,
    SHOWN_MOST = 160,
    NAMES_MOST = 64,
    NAME_LEAST = 3,
    INSIDE_LEAST = 4, // shorter ones are by chance inside what is no name
    DRESS_MOST = 256,
    TOKEN_MOST = 64
};

/* All dresses of all names; lower case, so that one comparison without case serves all. */
struct dresses {
    struct str names[NAMES_MOST];
    uint64_t chars[NAMES_MOST]; // which characters each is made of: most tokens lack one of them
    size_t n;
    size_t shortest;    // that is looked for inside a token; 0: none is
    size_t longest;     // that any link here has room for: what is longer need not be made,
    uint64_t available; // nor what has another character than all of them together
};

/* A bit of each character; of letters whatever their case. */
#define BIT(c) UINT64_C(1) << (((c)&0x1F) | ((c)&0x40) >> 1)
#define BITS8(c)                                                                                   \
    BIT(c), BIT((c) + 1), BIT((c) + 2), BIT((c) + 3), BIT((c) + 4), BIT((c) + 5), BIT((c) + 6),    \
        BIT((c) + 7)
#define BITS64(c)                                                                                  \
    BITS8(c), BITS8((c) + 8), BITS8((c) + 16), BITS8((c) + 24), BITS8((c) + 32), BITS8((c) + 40),  \
        BITS8((c) + 48), BITS8((c) + 56)
static const uint64_t char_bits[256] = {BITS64(0), BITS64(64), BITS64(128), BITS64(192)};

static uint64_t char_bit(char c)
{
    return char_bits[(unsigned char)c];
}

static inline uint64_t chars_of(struct str text)
{
    uint64_t chars = 0;
#pragma GCC unroll 4
    for (size_t i = 0; i < text.len; i++)
        chars |= char_bit(text.at[i]);
    return chars;
}

static bool is_available(const struct dresses *dresses, uint64_t chars)
{
    return (chars & ~dresses->available) == 0;
}

static inline void add_dress(struct dresses *dresses, struct str name, uint64_t chars)
{
    if (name.len < NAME_LEAST || name.len > dresses->longest || dresses->n == NAMES_MOST ||
        !is_available(dresses, chars))
        return;
    if (name.len >= INSIDE_LEAST && (dresses->shortest == 0 || name.len < dresses->shortest))
        dresses->shortest = name.len;
    dresses->chars[dresses->n] = chars;
    dresses->names[dresses->n++] = name;
}

// What a token is made of; and of these, what a part of a name is.
enum { CHAR_TOKEN = 1, CHAR_LETTER = 2 };
static const unsigned char char_class[256] = {['0' ... '9'] = CHAR_TOKEN,
                                              ['A' ... 'Z'] = CHAR_TOKEN | CHAR_LETTER,
                                              ['a' ... 'z'] = CHAR_TOKEN | CHAR_LETTER,
                                              [0x80 ... 0xFF] = CHAR_TOKEN | CHAR_LETTER};

static bool is_of(char c, unsigned class)
{
    return (char_class[(unsigned char)c] & class) != 0;
}

static bool is_one_token(struct str segment)
{
    for (size_t i = 0; i < segment.len; i++)
        if (!is_of(segment.at[i], CHAR_TOKEN))
            return false;
    return true;
}

static struct str letters_and_digits(struct arena *scratch, struct str text)
{
    char *out = arena_alloc(scratch, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (is_of(text.at[i], CHAR_TOKEN))
            out[len++] = ascii_lower(text.at[i]);
    return str_make(out, len);
}

/* Whether there are all characters of its hexadecimal form. */
static bool may_be_hex(const struct dresses *dresses, struct str name)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < name.len; i++) {
        uint64_t both =
            char_bit(digits[(unsigned char)name.at[i] >> 4]) | char_bit(digits[name.at[i] & 15]);
        if ((both & ~dresses->available) != 0)
            return false;
    }
    return true;
}

/* Whether there are those of its first bytes in base64; '-' and '_' are not looked for. */
static bool may_be_base64(const struct dresses *dresses, struct str name)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i + 3 <= name.len; i += 3) {
        unsigned three = (unsigned)(unsigned char)name.at[i] << 16 |
                         (unsigned)(unsigned char)name.at[i + 1] << 8 |
                         (unsigned char)name.at[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) {
            char digit = digits[three >> shift & 63];
            if (ascii_is_alnum(digit) && (char_bit(digit) & ~dresses->available) != 0)
                return false;
        }
    }
    return true;
}

/* Its hexadecimal and base64 form, and itself reversed: none is shorter than it is. */
static void add_coded(struct arena *scratch, struct dresses *dresses, struct str name,
                      uint64_t chars)
{
    if (name.len < NAME_LEAST || name.len > 96)
        return;
    if (2 * name.len <= dresses->longest && may_be_hex(dresses, name)) {
        char *hex = arena_alloc(scratch, 2 * name.len + 1);
        sodium_bin2hex(hex, 2 * name.len + 1, (const unsigned char *)name.at, name.len);
        struct str coded = str_make(hex, 2 * name.len);
        add_dress(dresses, coded, chars_of(coded));
    }
    size_t n_base64 = (4 * name.len + 2) / 3; // without padding
    if (n_base64 <= dresses->longest && may_be_base64(dresses, name)) {
        char *base64 = arena_alloc(scratch, n_base64 + 1);
        sodium_bin2base64(base64, n_base64 + 1, (const unsigned char *)name.at, name.len,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        struct str coded = letters_and_digits(scratch, str_make(base64, n_base64));
        add_dress(dresses, coded, chars_of(coded));
    }
    if (name.len > dresses->longest || !is_available(dresses, chars))
        return;
    char *back = arena_alloc(scratch, name.len);
    for (size_t i = 0; i < name.len; i++)
        back[i] = name.at[name.len - 1 - i];
    add_dress(dresses, str_make(back, name.len), chars);
}

/* "john.smith" is also John and Smith. */
static void add_parts(struct dresses *dresses, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        size_t start = i;
        while (i < name.len && is_of(name.at[i], CHAR_LETTER))
            i++;
        struct str part = str_make(name.at + start, i - start);
        if (part.len >= NAME_LEAST)
            add_dress(dresses, part, chars_of(part));
    }
}

static void dress(struct arena *scratch, const struct lure_people *people, struct dresses *dresses)
{
    // most links have no room for some dresses, or for any
    for (size_t i = 0; people != NULL && i < people->n && dresses->longest >= NAME_LEAST; i++) {
        struct str jid = people->names[i];
        struct str local = lure_lower(scratch, str_first(jid, str_find_char(jid, '@')));
        unsigned all = CHAR_TOKEN | CHAR_LETTER; // what every character is
        uint64_t chars = 0;
        for (size_t k = 0; k < local.len; k++) {
            all &= char_class[(unsigned char)local.at[k]];
            chars |= char_bit(local.at[k]);
        }
        if ((all & CHAR_TOKEN) != 0) {
            add_dress(dresses, local, chars);
        } else {
            struct str joined = letters_and_digits(scratch, local);
            add_dress(dresses, joined, chars_of(joined));
        }
        if (local.len <= dresses->longest)
            add_coded(scratch, dresses, local, chars);
        if (local.len < jid.len && jid.len <= dresses->longest) {
            struct str whole = lure_lower(scratch, jid);
            add_coded(scratch, dresses, whole, chars_of(whole));
        }
        if ((all & CHAR_LETTER) == 0)
            add_parts(dresses, local);
    }
}

/* The template as it is written, in the scratch arena. */
struct draft {
    char *at;
    size_t len, room;
    const struct dresses *dresses;
    unsigned flags;
};

static inline void put(struct draft *draft, struct str text)
{
    if (text.len > draft->room - draft->len)
        text.len = draft->room - draft->len;
    memcpy(draft->at + draft->len, text.at, text.len);
    draft->len += text.len;
}

static inline void put_char(struct draft *draft, char c)
{
    if (draft->len < draft->room)
        draft->at[draft->len++] = c;
}

static bool is_name(const struct dresses *dresses, struct str token)
{
    for (size_t i = 0; i < dresses->n; i++)
        if (token.len == dresses->names[i].len && str_eq_nocase(token, dresses->names[i]))
            return true;
    return false;
}

/* Where the first of the names that stands inside the token does; NULL: none of them. */
static const struct str *__attribute__((noinline))
name_inside(const struct dresses *dresses, struct str token, size_t *at)
{
    char lower[TOKEN_MOST];
    for (size_t i = 0; i < token.len; i++)
        lower[i] = ascii_lower(token.at[i]);
    uint64_t chars = chars_of(str_make(lower, token.len));
    for (size_t i = 0; i < dresses->n; i++) {
        const struct str *name = &dresses->names[i];
        if (name->len < INSIDE_LEAST || name->len >= token.len || (dresses->chars[i] & ~chars) != 0)
            continue;
        for (size_t k = 0; k + name->len <= token.len; k++)
            if (lower[k] == name->at[0] && memcmp(lower + k, name->at, name->len) == 0) {
                *at = k;
                return name;
            }
    }
    return NULL;
}

/* What characters a token is made of, counted in fields of sixteen bits. */
enum { COUNT_DIGITS = 0, COUNT_HEX = 16, COUNT_VOWELS = 32, COUNT_LARGE = 48 };
#define ONE(field) (UINT64_C(1) << (field))
#define LETTER(vowel, hex, small, large)                                                           \
    [small] = (vowel) | (hex), [large] = (vowel) | (hex) | ONE(COUNT_LARGE)
static const uint64_t counted[256] = {
    ['0' ... '9'] = ONE(COUNT_DIGITS) | ONE(COUNT_HEX),
    LETTER(ONE(COUNT_VOWELS), ONE(COUNT_HEX), 'a', 'A'),
    LETTER(0, ONE(COUNT_HEX), 'b', 'B'),
    LETTER(0, ONE(COUNT_HEX), 'c', 'C'),
    LETTER(0, ONE(COUNT_HEX), 'd', 'D'),
    LETTER(ONE(COUNT_VOWELS), ONE(COUNT_HEX), 'e', 'E'),
    LETTER(0, ONE(COUNT_HEX), 'f', 'F'),
    LETTER(ONE(COUNT_VOWELS), 0, 'i', 'I'),
    LETTER(ONE(COUNT_VOWELS), 0, 'o', 'O'),
    LETTER(ONE(COUNT_VOWELS), 0, 'u', 'U'),
    LETTER(ONE(COUNT_VOWELS), 0, 'y', 'Y'),
    ['G'] = ONE(COUNT_LARGE),
    ['H'] = ONE(COUNT_LARGE),
    ['J' ... 'N'] = ONE(COUNT_LARGE),
    ['P' ... 'T'] = ONE(COUNT_LARGE),
    ['V' ... 'X'] = ONE(COUNT_LARGE),
    ['Z'] = ONE(COUNT_LARGE),
};

static uint64_t count_chars(struct str token)
{
    uint64_t counts = 0;
    for (size_t i = 0; i < token.len; i++)
        counts += counted[(unsigned char)token.at[i]];
    return counts;
}

static size_t count_of(uint64_t counts, unsigned field)
{
    return counts >> field & 0xFFFF;
}

/* How often digits and others, or large and small letters, take turns. */
static void count_turns(struct str token, size_t *turns, size_t *case_turns)
{
    enum { DIGIT = 1, SMALL = 2, LARGE = 4 };
    static const unsigned char kinds[256] = {
        ['0' ... '9'] = DIGIT, ['a' ... 'z'] = SMALL, ['A' ... 'Z'] = LARGE};
    unsigned last = kinds[(unsigned char)token.at[0]];
    for (size_t i = 1; i < token.len; i++) {
        unsigned kind = kinds[(unsigned char)token.at[i]];
        *turns += (kind ^ last) & DIGIT;
        *case_turns += (kind | last) == (SMALL | LARGE) && !(i == 1 && kind == SMALL);
        last = kind;
    }
}

/* Letters and digits, or letters without vowels and in turning case: nobody's word. */
static bool is_random(struct str token, uint64_t counts)
{
    size_t digits = count_of(counts, COUNT_DIGITS);
    if (token.len < 5 || digits == token.len)
        return false;
    if (token.len >= 8 && count_of(counts, COUNT_HEX) == token.len && digits > 0)
        return true;
    size_t turns = 0, case_turns = 0;
    if (digits > 0 || count_of(counts, COUNT_LARGE) > 0)
        count_turns(token, &turns, &case_turns);
    if (digits > 0)
        return turns >= 2;
    return token.len >= 6 &&
           (case_turns >= 3 || (token.len >= 8 && count_of(counts, COUNT_VOWELS) * 7 < token.len));
}

/* One token of letters and digits. */
static void put_token(struct draft *draft, struct str token)
{
    if (is_name(draft->dresses, token)) {
        draft->flags |= LURE_NAMED;
        put(draft, STR("{name}"));
        return;
    }
    if (token.len > TOKEN_MOST) { // nobody's word, and searching it would cost its square
        draft->flags |= LURE_NUMBERED;
        put(draft, STR("{id}"));
        return;
    }
    // a name inside: "photosofjuliet", "juliet2024"
    size_t k = 0;
    const struct str *name = NULL;
    if (draft->dresses->shortest > 0 && token.len > draft->dresses->shortest)
        name = name_inside(draft->dresses, token, &k);
    if (name != NULL) {
        draft->flags |= LURE_NAMED;
        if (k > 0)
            put_token(draft, str_first(token, k));
        put(draft, STR("{name}"));
        if (k + name->len < token.len)
            put_token(draft, str_skip(token, k + name->len));
        return;
    }
    uint64_t counts = count_chars(token);
    if (is_random(token, counts)) {
        draft->flags |= LURE_NUMBERED;
        put(draft, STR("{id}"));
        return;
    }
    if (count_of(counts, COUNT_DIGITS) == 0 && count_of(counts, COUNT_LARGE) == 0) {
        put(draft, token);
        return;
    }
    for (size_t i = 0; i < token.len;) {
        if (ascii_is_digit(token.at[i])) {
            while (i < token.len && ascii_is_digit(token.at[i]))
                i++;
            draft->flags |= LURE_NUMBERED;
            put(draft, STR("{n}"));
        } else {
            put_char(draft, ascii_lower(token.at[i++]));
        }
    }
}

static void put_tokens(struct draft *draft, struct str text)
{
    // a whole segment first: the base64 of an address holds '-' and '_'
    size_t i = 0;
    while (i < text.len) {
        size_t from = i;
        while (i < text.len && is_of(text.at[i], CHAR_TOKEN))
            i++;
        if (i > from) {
            put_token(draft, str_make(text.at + from, i - from));
        } else if (text.at[i] == '%' && i + 2 < text.len) { // one encoded byte, not two digits
            put(draft, str_make(text.at + i, 3));
            i += 3;
        } else {
            put_char(draft, text.at[i]);
            i++;
        }
    }
}

static void put_segment(struct draft *draft, struct arena *scratch, struct str segment)
{
    if (segment.len >= NAME_LEAST && draft->dresses->n > 0 && !is_one_token(segment) &&
        is_name(draft->dresses, letters_and_digits(scratch, segment))) {
        draft->flags |= LURE_NAMED;
        put(draft, STR("{name}"));
        return;
    }
    put_tokens(draft, segment);
}

/* The labels below the registrable domain may be made for one victim. */
static void put_host(struct draft *draft, struct arena *scratch, struct str host, struct str domain)
{
    struct str below = str_first(host, host.len - domain.len);
    if (str_starts(below, STR("www.")))
        below = str_skip(below, 4);
    while (below.len > 0) {
        size_t dot = str_find_char(below, '.');
        put_segment(draft, scratch, str_first(below, dot));
        put_char(draft, '.');
        below = str_skip(below, dot < below.len ? dot + 1 : dot);
    }
    put(draft, domain);
}

static void put_path(struct draft *draft, struct arena *scratch, struct str path)
{
    if (path.len > 0)
        put_char(draft, '/');
    if (path.len > 0 && path.at[0] == '/')
        path = str_skip(path, 1);
    while (path.len > 0) {
        // where no name may be, segments are of no account
        size_t slash = draft->dresses->n > 0 ? str_find_char(path, '/') : path.len;
        put_segment(draft, scratch, str_first(path, slash));
        if (slash < path.len)
            put_char(draft, '/');
        path = str_skip(path, slash < path.len ? slash + 1 : slash);
    }
}

static void put_query(struct draft *draft, struct arena *scratch, struct str query)
{
    char mark = '?';
    struct str rest = query;
    while (rest.at != NULL) {
        struct str pair = str_cut(&rest, '&');
        size_t equals = str_find_char(pair, '=');
        put_char(draft, mark);
        mark = '&';
        put_segment(draft, scratch, str_first(pair, equals));
        if (equals == pair.len)
            continue;
        put_char(draft, '=');
        struct str value = str_skip(pair, equals + 1);
        if (value.len == 0)
            continue;
        if (draft->dresses->n > 0 &&
            (is_name(draft->dresses, value) ||
             is_name(draft->dresses, letters_and_digits(scratch, value)))) {
            draft->flags |= LURE_NAMED;
            put(draft, STR("{name}"));
        } else {
            draft->flags |= LURE_NUMBERED;
            put(draft, STR("{v}"));
        }
    }
}

struct lure_key lure_hash(char domain, struct str a, struct str b)
{
    struct lure_key key;
    _Static_assert(sizeof key.bytes == BLAKE2B_SHORT, "a key is a digest");
    unsigned char whole[512], separator = 0;
    if (a.len + b.len + 2 <= sizeof whole) {
        whole[0] = (unsigned char)domain;
        memcpy(whole + 1, a.at, a.len);
        whole[1 + a.len] = separator;
        memcpy(whole + 2 + a.len, b.at, b.len);
        blake2b_short(whole, a.len + b.len + 2, key.bytes);
        return key;
    }
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof key.bytes);
    crypto_generichash_update(&state, (const unsigned char *)&domain, 1);
    crypto_generichash_update(&state, (const unsigned char *)a.at, a.len);
    crypto_generichash_update(&state, &separator, 1);
    crypto_generichash_update(&state, (const unsigned char *)b.at, b.len);
    crypto_generichash_final(&state, key.bytes, sizeof key.bytes);
    return key;
}

/* Both keys of most links at once. */
static void hash_link(struct lure *lure, struct str template)
{
    enum { SHORT = 126 }; // with what is put around it, one block of the hash
    struct str url = lure->url;
    if (url.len > SHORT || template.len > SHORT) {
        lure->keys[LURE_EXACT] = lure_hash('U', url, STR_EMPTY);
        lure->keys[LURE_TEMPLATE] = lure_hash('T', template, STR_EMPTY);
        return;
    }
    char exact[SHORT + 2], wide[SHORT + 2];
    exact[0] = 'U';
    memcpy(exact + 1, url.at, url.len);
    exact[1 + url.len] = 0;
    wide[0] = 'T';
    memcpy(wide + 1, template.at, template.len);
    wide[1 + template.len] = 0;
    blake2b_short_two(exact, url.len + 2, wide, template.len + 2, lure->keys[LURE_EXACT].bytes,
                      lure->keys[LURE_TEMPLATE].bytes);
}

static bytes16 unprintable16(bytes16 a)
{
    return (bytes16)(a < ' ') | (bytes16)(a >= 0x7F);
}

/* What an operator's terminal and logs may show: no control characters, no broken UTF-8. */
static struct str keep_shown(struct lure_list *list, struct draft *draft, size_t end)
{
    size_t len = end < SHOWN_MOST ? end : SHOWN_MOST, n;
    if (!arena_fits(list->arena, len + 1))
        return STR_EMPTY;
    char *out = arena_alloc(list->arena, len + 1);
    n = find_one16(str_make(draft->at, len), 0, unprintable16);
    memcpy(out, draft->at, n);
    for (size_t i = n; i < len;) {
        size_t width;
        if (draft->at[i] >= ' ' && draft->at[i] < 0x7F) {
            out[n++] = draft->at[i++];
            continue;
        }
        uint32_t point = lure_utf8(str_make(draft->at + i, len - i), &width);
        if (point == 0xFFFD || point < ' ' || (point >= 0x7F && point < 0xA0) ||
            lure_is_invisible(point)) {
            out[n++] = '?';
        } else {
            memcpy(out + n, draft->at + i, width);
            n += width;
        }
        i += width;
    }
    out[n] = 0;
    return str_make(out, n);
}

/* Of a canonical form, which is cut again. */
struct parts {
    struct str scheme, port, path, query, fragment;
};

static struct str cut_from(struct str *text, char mark)
{
    size_t at = str_find_char(*text, mark);
    struct str rest = at < text->len ? str_skip(*text, at + 1) : STR_EMPTY;
    *text = str_first(*text, at);
    return rest;
}

static bytes16 marks16(bytes16 a)
{
    return (bytes16)(a == '?') | (bytes16)(a == '#');
}

static struct parts parts_of(const struct lure *lure)
{
    struct parts parts = {.port = STR_EMPTY, .query = STR_EMPTY, .fragment = STR_EMPTY};
    struct str rest = lure->url;
    if (find_one16(rest, 0, marks16) < rest.len) {
        parts.fragment = cut_from(&rest, '#');
        parts.query = cut_from(&rest, '?');
    }
    if (lure->host.len > 0) { // scheme://host:port/path
        size_t n_scheme = (size_t)(lure->host.at - rest.at) - strlen("://");
        parts.scheme = str_first(rest, n_scheme);
        rest = str_skip(rest, n_scheme + strlen("://") + lure->host.len);
        if (rest.len > 0 && rest.at[0] == ':') {
            size_t slash = str_find_char(rest, '/');
            parts.port = str_make(rest.at + 1, slash - 1);
            rest = str_skip(rest, slash);
        }
    } else { // scheme:path, or scheme:///path
        size_t colon = str_find_char(rest, ':');
        must(colon < rest.len);
        parts.scheme = str_first(rest, colon);
        rest = str_skip(rest, colon + 1);
        if (str_starts(rest, STR("//")))
            rest = str_skip(rest, 2);
    }
    parts.path = rest;
    return parts;
}

static void link_keys(struct lure_list *list, struct arena *scratch, struct lure *lure,
                      struct draft *draft)
{
    struct parts parts = parts_of(lure);
    if (!str_eq(parts.scheme, STR("http")) && !str_eq(parts.scheme, STR("https"))) {
        put(draft, parts.scheme);
        put_char(draft, ':');
    }
    put_host(draft, scratch, lure->host, lure->domain);
    if (parts.port.len > 0) {
        put_char(draft, ':');
        put(draft, parts.port);
    }
    put_path(draft, scratch, parts.path);
    size_t shown = draft->len; // neither query nor fragment are shown
    if (parts.query.len > 0)
        put_query(draft, scratch, parts.query);
    if (parts.fragment.len > 0) {
        put_char(draft, '#');
        put_tokens(draft, parts.fragment);
    }
    lure->flags |= draft->flags;
    lure->shown = keep_shown(list, draft, shown);
    hash_link(lure, str_make(draft->at, draft->len));
}

static void file_keys(struct lure_list *list, struct arena *scratch, struct lure *lure,
                      struct draft *draft)
{
    put_tokens(draft, lure->url);
    size_t shown = draft->len;
    if (lure->url.len == 0) {
        put(draft, lure->media_type);
        shown = draft->len;
    }
    lure->flags |= draft->flags;
    lure->shown = keep_shown(list, draft, shown);
    lure->keys[LURE_TEMPLATE] = lure_hash('S', str_make(draft->at, draft->len), STR_EMPTY);
    if (lure->digest.len > 0) {
        lure->keys[LURE_EXACT] = lure_hash('F', lure->digest_name, lure->digest);
    } else {
        struct str size = arena_printf(scratch, "%llu", (unsigned long long)lure->size);
        lure->keys[LURE_EXACT] = lure_hash('N', lure->url, size);
    }
}

static void words_keys(const struct lure_list *list, struct lure *lure)
{
    lure->keys[LURE_EXACT] = lure_hash('W', lure->url, STR_EMPTY);
    lure->shown = arena_fits(list->arena, lure->url.len + 8)
                      ? arena_printf(list->arena, "rule:%.*s", STR_ARGS(lure->url))
                      : lure->url;
}

/* What cuts a link into parts that are compared with a name. */
static bytes16 cuts16(bytes16 a)
{
    return (bytes16)(a == '/') | (bytes16)(a == '?') | (bytes16)(a == '&') | (bytes16)(a == '=') |
           (bytes16)(a == '#');
}

/* A part of the lure that is compared with a name. */
static void allow_part(struct dresses *dresses, size_t len)
{
    len = len < DRESS_MOST ? len : DRESS_MOST;
    dresses->longest = len > dresses->longest ? len : dresses->longest;
}

/* What of a name the lure has room for, and the characters. */
static void allow(struct dresses *dresses, const struct lure *lure)
{
    if (lure->kind != LURE_LINK || lure->host.len == 0) {
        dresses->available |= chars_of(lure->url);
        allow_part(dresses, lure->url.len);
        return;
    }
    struct str below = str_first(lure->host, lure->host.len - lure->domain.len);
    dresses->available |= chars_of(below);
    allow_part(dresses, below.len);
    struct str rest = str_skip(lure->url, (size_t)(lure->host.at - lure->url.at) + lure->host.len);
    dresses->available |= chars_of(rest);
    for (size_t from = 0, at;; from = at + 1) {
        at = find_one16(rest, from, cuts16);
        allow_part(dresses, at - from);
        if (at == rest.len)
            break;
    }
}

struct lure_key lure_sealed_key(struct str sender, struct str encrypted)
{
    return lure_hash('s', sender, encrypted);
}

void lure_list_keys(struct lure_list *list, const struct lure_people *people)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MOST);
    struct dresses dresses;
    dresses.n = dresses.shortest = dresses.longest = 0;
    dresses.available = 0;
    for (size_t i = 0; i < list->n; i++)
        allow(&dresses, &list->lures[i]);
    dress(&scratch, people, &dresses);
    struct arena work;
    arena_init(&work, SCRATCH_MOST);
    char usual[1024]; // room for the drafts of most lures
    for (size_t i = 0; i < list->n; i++) {
        struct lure *lure = &list->lures[i];
        if (lure->kind == LURE_SEALED)
            continue; // has its key
        size_t room = 8 * (lure->url.len + lure->host.len + lure->media_type.len) + 64;
        struct draft draft = {.at = room <= sizeof usual ? usual : arena_alloc(&work, room),
                              .room = room,
                              .dresses = &dresses};
        if (lure->kind == LURE_LINK)
            link_keys(list, &work, lure, &draft);
        else if (lure->kind == LURE_WORDS)
            words_keys(list, lure);
        else
            file_keys(list, &work, lure, &draft);
        arena_reset(&work);
    }
    arena_done(&work);
    arena_done(&scratch);
}
