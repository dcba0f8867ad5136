/*
 * Slices of text: a pointer and a length, passed by value, not terminated.
 * A slice always borrows; who owns the bytes is said where the slice is made.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){("" literal), sizeof(literal) - 1})
#define STR_EMPTY ((struct str){"", 0})
/* For printf's "%.*s". */
#define STR_ARGS(s) ((int)(s).len), ((s).at)

/* The slice of a terminated text; NULL gives the empty slice. */
static inline struct str str_of(const char *text)
{
    return (struct str){text != NULL ? text : "", text != NULL ? strlen(text) : 0};
}

static inline struct str str_make(const char *at, size_t len)
{
    return (struct str){at, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Byte order, shorter first where one begins the other: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
/* ASCII letters compare without case. */
bool str_eq_nocase(struct str a, struct str b);

/* text without its first n bytes; n at most text.len. */
static inline struct str str_skip(struct str text, size_t n)
{
    return (struct str){text.at + n, text.len - n};
}

/* The first n bytes; n at most text.len. */
static inline struct str str_first(struct str text, size_t n)
{
    return (struct str){text.at, n};
}

static inline bool str_starts(struct str text, struct str prefix)
{
    return text.len >= prefix.len && str_eq(str_first(text, prefix.len), prefix);
}

static inline bool str_ends(struct str text, struct str suffix)
{
    return text.len >= suffix.len && str_eq(str_skip(text, text.len - suffix.len), suffix);
}

/* Position of the first occurrence, or text.len when there is none. */
static inline size_t str_find_char(struct str text, char c)
{
    const char *p = text.len > 0 ? (const char *)memchr(text.at, c, text.len) : NULL;
    return p != NULL ? (size_t)(p - text.at) : text.len;
}

size_t str_find(struct str text, struct str wanted);

/* Without ASCII white space at both ends. */
struct str str_trim(struct str text);

/* Cuts *rest at the first c: returns what is before it and leaves what is after; when there is
 * no c, returns everything and leaves *rest empty with at == NULL, which ends a loop
 * `while (rest.at != NULL)`. */
static inline struct str str_cut(struct str *rest, char c)
{
    size_t n = str_find_char(*rest, c);
    struct str head = str_first(*rest, n);
    *rest = n < rest->len ? str_skip(*rest, n + 1) : (struct str){NULL, 0};
    return head;
}

/* Decimal digits only, no sign, no space, within [min, max]. */
enum err str_to_u64(struct str text, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;

/* Well-formed UTF-8 of RFC 3629: no overlong forms, no surrogates, at most U+10FFFF. */
bool str_is_utf8(struct str text);

/* Compares in a time that depends on the lengths only. */
bool str_eq_secret(struct str a, struct str b);

/* Copies into a terminated buffer of size bytes; ERR_LIMIT when it does not fit or holds a NUL. */
enum err str_to_z(struct str text, char *out, size_t size) MUST_CHECK;

#endif
