#include "base/str.h"

#include <sodium.h>

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int d = n > 0 ? memcmp(a.at, b.at, n) : 0;
    return d != 0 ? d : (a.len > b.len) - (a.len < b.len);
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

size_t str_find(struct str text, struct str wanted)
{
    if (wanted.len == 0)
        return 0;
    if (wanted.len > text.len)
        return text.len;
    const char *p = memmem(text.at, text.len, wanted.at, wanted.len);
    return p != NULL ? (size_t)(p - text.at) : text.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str text)
{
    while (text.len > 0 && is_space(text.at[0]))
        text = str_skip(text, 1);
    while (text.len > 0 && is_space(text.at[text.len - 1]))
        text.len--;
    return text;
}

enum err str_to_u64(struct str text, uint64_t min, uint64_t max, uint64_t *out)
{
    if (text.len == 0)
        return ERR_MALFORMED;
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return ERR_MALFORMED;
        if (__builtin_mul_overflow(n, 10U, &n) ||
            __builtin_add_overflow(n, (uint64_t)(text.at[i] - '0'), &n))
            return ERR_LIMIT;
    }
    if (n < min || n > max)
        return ERR_LIMIT;
    *out = n;
    return OK;
}

// RFC 3629 section 4, as a walk over the lead byte's class.
bool str_is_utf8(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.at;
    const unsigned char *end = p + text.len;
    while (p < end) {
        unsigned char c = *p++;
        if (c < 0x80)
            continue;
        size_t more;
        unsigned char low = 0x80, high = 0xBF; // allowed range of the next byte
        if (c >= 0xC2 && c <= 0xDF) {
            more = 1;
        } else if (c >= 0xE0 && c <= 0xEF) {
            more = 2;
            if (c == 0xE0)
                low = 0xA0;
            if (c == 0xED)
                high = 0x9F;
        } else if (c >= 0xF0 && c <= 0xF4) {
            more = 3;
            if (c == 0xF0)
                low = 0x90;
            if (c == 0xF4)
                high = 0x8F;
        } else {
            return false;
        }
        if ((size_t)(end - p) < more)
            return false;
        for (; more > 0; more--, p++) {
            if (*p < low || *p > high)
                return false;
            low = 0x80;
            high = 0xBF;
        }
    }
    return true;
}

bool str_eq_secret(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.at, b.at, a.len) == 0);
}

enum err str_to_z(struct str text, char *out, size_t size)
{
    if (text.len >= size || str_find_char(text, '\0') != text.len)
        return ERR_LIMIT;
    if (text.len > 0)
        memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return OK;
}
