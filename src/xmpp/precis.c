/*
 * PRECIS (RFC 8264, 8265) on ICU: what is prepared, folded, composed or refused when a name is not
 * plain ASCII.  There is no C library for it in Debian.
 */
#include "xmpp/precis_internal.h"

#include "base/must.h"

#include <sodium.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

enum {
    // full-width letters are three bytes each and become one
    IN_MOST = 3 * PRECIS_OUT_MOST,
    UNITS_MOST = 4096, // of UTF-16, at every step; what grows beyond is refused
    ROUNDS_MOST = 4,
};

struct units {
    UChar at[UNITS_MOST];
    int32_t len;
};

/* RFC 8264 section 8: what a code point is good for. */
enum derived {
    PVALID,    // in both classes
    FREE_ONLY, // in the FreeformClass
    CONTEXTJ,
    CONTEXTO,
    DISALLOWED,
};

enum class { IDENTIFIER, FREEFORM };

static bool is_between(UChar32 c, UChar32 first, UChar32 last)
{
    return c >= first && c <= last;
}

// RFC 5892 section 2.6 and Appendix A, by RFC 8264 section 9.6
static bool find_exception(UChar32 c, enum derived *derived)
{
    switch (c) {
    case 0x00DF:
    case 0x03C2:
    case 0x06FD:
    case 0x06FE:
    case 0x0F0B:
    case 0x3007:
        *derived = PVALID;
        return true;
    case 0x00B7:
    case 0x0375:
    case 0x05F3:
    case 0x05F4:
    case 0x30FB:
        *derived = CONTEXTO;
        return true;
    case 0x0640:
    case 0x07FA:
    case 0x302E:
    case 0x302F:
    case 0x303B:
        *derived = DISALLOWED;
        return true;
    default:
        if (is_between(c, 0x0660, 0x0669) || is_between(c, 0x06F0, 0x06F9)) {
            *derived = CONTEXTO;
            return true;
        }
        if (is_between(c, 0x3031, 0x3035)) {
            *derived = DISALLOWED;
            return true;
        }
        return false;
    }
}

static const UNormalizer2 *normalizer(bool is_compat)
{
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2 *n =
        is_compat ? unorm2_getNFKCInstance(&status) : unorm2_getNFCInstance(&status);
    must(U_SUCCESS(status)); // they are part of the library
    return n;
}

// RFC 8264 section 9.17
static bool has_compat(UChar32 c)
{
    UChar in[2], out[32];
    int32_t n_in = 0;
    U16_APPEND_UNSAFE(in, n_in, c);
    UErrorCode status = U_ZERO_ERROR;
    int32_t n_out =
        unorm2_normalize(normalizer(true), in, n_in, out, (int32_t)COUNT_OF(out), &status);
    return U_FAILURE(status) || n_out != n_in || u_memcmp(in, out, n_in) != 0;
}

static enum derived derive(UChar32 c)
{
    enum derived derived;
    if (find_exception(c, &derived))
        return derived;
    int8_t type = u_charType(c);
    if (type == U_UNASSIGNED) // noncharacters too: both are refused
        return DISALLOWED;
    if (is_between(c, 0x21, 0x7E))
        return PVALID;
    if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
        return CONTEXTJ;
    int32_t hangul = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    if (hangul == U_HST_LEADING_JAMO || hangul == U_HST_VOWEL_JAMO || hangul == U_HST_TRAILING_JAMO)
        return DISALLOWED;
    if (u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
        u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT))
        return DISALLOWED;
    if (type == U_CONTROL_CHAR)
        return DISALLOWED;
    if (has_compat(c))
        return FREE_ONLY;
    uint32_t mask = U_MASK(type);
    if ((mask & (U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK | U_GC_LM_MASK |
                 U_GC_MN_MASK | U_GC_MC_MASK)) != 0)
        return PVALID;
    if ((mask & (U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK | U_GC_ZS_MASK |
                 U_GC_S_MASK | U_GC_P_MASK)) != 0)
        return FREE_ONLY;
    return DISALLOWED;
}

/* The code point before or after the one at [start, end), or -1. */
static UChar32 before(const struct units *text, int32_t start)
{
    UChar32 c = -1;
    if (start > 0)
        U16_PREV(text->at, 0, start, c);
    return c;
}

static UChar32 after(const struct units *text, int32_t end)
{
    UChar32 c = -1;
    if (end < text->len)
        U16_NEXT(text->at, end, text->len, c);
    return c;
}

static bool is_virama(UChar32 c)
{
    return c >= 0 && u_getCombiningClass(c) == 9;
}

static bool has_script(UChar32 c, UScriptCode script)
{
    UErrorCode status = U_ZERO_ERROR;
    return c >= 0 && uscript_getScript(c, &status) == script && U_SUCCESS(status);
}

static int32_t joining_type(UChar32 c)
{
    return u_getIntPropertyValue(c, UCHAR_JOINING_TYPE);
}

// RFC 5892 A.1, second part: (L or D) T* here T* (R or D)
static bool joins_around(const struct units *text, int32_t start, int32_t end)
{
    int32_t type = U_JT_TRANSPARENT;
    while (start > 0 && type == U_JT_TRANSPARENT) {
        UChar32 c;
        U16_PREV(text->at, 0, start, c);
        type = joining_type(c);
    }
    if (type != U_JT_LEFT_JOINING && type != U_JT_DUAL_JOINING)
        return false;
    type = U_JT_TRANSPARENT;
    while (end < text->len && type == U_JT_TRANSPARENT) {
        UChar32 c;
        U16_NEXT(text->at, end, text->len, c);
        type = joining_type(c);
    }
    return type == U_JT_RIGHT_JOINING || type == U_JT_DUAL_JOINING;
}

/* What the rules that look at the whole text need to know of it, gathered once. */
struct facts {
    bool has_arabic_digits, has_extended_digits; // U+0660…, U+06F0…
    bool has_japanese;                           // Hiragana, Katakana or Han
};

static struct facts gather_facts(const struct units *text)
{
    struct facts facts = {0};
    for (int32_t i = 0; i < text->len;) {
        UChar32 c;
        U16_NEXT(text->at, i, text->len, c);
        facts.has_arabic_digits |= is_between(c, 0x0660, 0x0669);
        facts.has_extended_digits |= is_between(c, 0x06F0, 0x06F9);
        facts.has_japanese |= has_script(c, USCRIPT_HIRAGANA) || has_script(c, USCRIPT_KATAKANA) ||
                              has_script(c, USCRIPT_HAN);
    }
    return facts;
}

// RFC 5892 Appendix A
static bool fits_context(const struct units *text, int32_t start, int32_t end, UChar32 c,
                         const struct facts *facts)
{
    switch (c) {
    case 0x200C:
        return is_virama(before(text, start)) || joins_around(text, start, end);
    case 0x200D:
        return is_virama(before(text, start));
    case 0x00B7:
        return before(text, start) == 'l' && after(text, end) == 'l';
    case 0x0375:
        return has_script(after(text, end), USCRIPT_GREEK);
    case 0x05F3:
    case 0x05F4:
        return has_script(before(text, start), USCRIPT_HEBREW);
    case 0x30FB:
        return facts->has_japanese;
    default:
        if (is_between(c, 0x0660, 0x0669))
            return !facts->has_extended_digits;
        if (is_between(c, 0x06F0, 0x06F9))
            return !facts->has_arabic_digits;
        return false;
    }
}

static bool is_in_class(const struct units *text, enum class class)
{
    struct facts facts = gather_facts(text);
    for (int32_t i = 0; i < text->len;) {
        int32_t start = i;
        UChar32 c;
        U16_NEXT(text->at, i, text->len, c);
        switch (derive(c)) {
        case PVALID:
            break;
        case FREE_ONLY:
            if (class != FREEFORM)
                return false;
            break;
        case CONTEXTJ:
        case CONTEXTO:
            if (!fits_context(text, start, i, c, &facts))
                return false;
            break;
        default:
            return false;
        }
    }
    return true;
}

// RFC 5893 section 2; by RFC 8265 only asked of text with right-to-left characters
static bool obeys_bidi_rule(const struct units *text)
{
    const uint32_t rtl = U_MASK(U_RIGHT_TO_LEFT) | U_MASK(U_RIGHT_TO_LEFT_ARABIC);
    const uint32_t arabic_number = U_MASK(U_ARABIC_NUMBER), number = U_MASK(U_EUROPEAN_NUMBER);
    const uint32_t left = U_MASK(U_LEFT_TO_RIGHT);
    const uint32_t either = number | U_MASK(U_EUROPEAN_NUMBER_SEPARATOR) |
                            U_MASK(U_COMMON_NUMBER_SEPARATOR) |
                            U_MASK(U_EUROPEAN_NUMBER_TERMINATOR) | U_MASK(U_OTHER_NEUTRAL) |
                            U_MASK(U_BOUNDARY_NEUTRAL) | U_MASK(U_DIR_NON_SPACING_MARK);
    uint32_t seen = 0, first = 0, last = 0;
    for (int32_t i = 0; i < text->len;) {
        UChar32 c;
        U16_NEXT(text->at, i, text->len, c);
        uint32_t one = U_MASK(u_charDirection(c));
        seen |= one;
        if (first == 0)
            first = one;
        if (one != U_MASK(U_DIR_NON_SPACING_MARK))
            last = one;
    }
    if ((seen & (rtl | arabic_number)) == 0)
        return true;
    if ((first & rtl) != 0)
        return (seen & ~(rtl | arabic_number | either)) == 0 &&
               (last & (rtl | number | arabic_number)) != 0 &&
               (seen & (number | arabic_number)) != (number | arabic_number);
    return first == left && (seen & ~(left | either)) == 0 && (last & (left | number)) != 0;
}

// Steps

static enum err read_utf8(struct str text, struct units *out)
{
    if (text.len > IN_MOST)
        return ERR_LIMIT;
    UErrorCode status = U_ZERO_ERROR;
    u_strFromUTF8(out->at, UNITS_MOST, &out->len, text.at, (int32_t)text.len, &status);
    return U_SUCCESS(status) ? OK : ERR_MALFORMED;
}

static enum err write_utf8(const struct units *text, char *out, size_t *len)
{
    UErrorCode status = U_ZERO_ERROR;
    int32_t n = 0;
    u_strToUTF8(out, PRECIS_OUT_MOST, &n, text->at, text->len, &status);
    if (status == U_BUFFER_OVERFLOW_ERROR)
        return ERR_LIMIT;
    if (U_FAILURE(status) || n == 0)
        return ERR_MALFORMED;
    *len = (size_t)n;
    return OK;
}

/* Full-width and half-width characters become the ordinary ones (RFC 8264 section 5.2.1). */
static enum err map_width(const struct units *in, struct units *out)
{
    out->len = 0;
    for (int32_t i = 0; i < in->len;) {
        UChar32 c;
        U16_NEXT(in->at, i, in->len, c);
        UChar mapped[16];
        int32_t n = 0;
        int32_t type = u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE);
        if (type == U_DT_WIDE || type == U_DT_NARROW) {
            UErrorCode status = U_ZERO_ERROR;
            n = unorm2_getRawDecomposition(normalizer(true), c, mapped, (int32_t)COUNT_OF(mapped),
                                           &status);
            must(U_SUCCESS(status) && n > 0);
        } else {
            U16_APPEND_UNSAFE(mapped, n, c);
        }
        if (n > UNITS_MOST - out->len)
            return ERR_LIMIT;
        u_memcpy(out->at + out->len, mapped, n);
        out->len += n;
    }
    return OK;
}

static void map_spaces(struct units *text)
{
    for (int32_t i = 0; i < text->len; i++) // all spaces are in the BMP: one unit each
        if (u_charType(text->at[i]) == U_SPACE_SEPARATOR)
            text->at[i] = ' ';
}

static enum err map_lower(const struct units *in, struct units *out)
{
    UErrorCode status = U_ZERO_ERROR;
    out->len = u_strToLower(out->at, UNITS_MOST, in->at, in->len, "", &status);
    return U_SUCCESS(status) ? OK : ERR_LIMIT;
}

static enum err normalize(const struct units *in, struct units *out)
{
    UErrorCode status = U_ZERO_ERROR;
    out->len = unorm2_normalize(normalizer(false), in->at, in->len, out->at, UNITS_MOST, &status);
    return U_SUCCESS(status) ? OK : ERR_LIMIT;
}

/* One application of a profile, from a to a by way of b. */
typedef enum err profile_fn(struct units *a, struct units *b);

// RFC 8265 section 3.3
static enum err apply_username(struct units *a, struct units *b)
{
    enum err e = map_width(a, b);
    if (e != OK)
        return e;
    if (!is_in_class(b, IDENTIFIER))
        return ERR_MALFORMED;
    e = map_lower(b, a);
    if (e == OK)
        e = normalize(a, b);
    if (e != OK)
        return e;
    if (!is_in_class(b, IDENTIFIER) || !obeys_bidi_rule(b))
        return ERR_MALFORMED;
    *a = *b;
    return OK;
}

// RFC 8265 section 4.2
static enum err apply_opaque(struct units *a, struct units *b)
{
    if (!is_in_class(a, FREEFORM))
        return ERR_MALFORMED;
    map_spaces(a);
    enum err e = normalize(a, b);
    if (e != OK)
        return e;
    if (!is_in_class(b, FREEFORM))
        return ERR_MALFORMED;
    *a = *b;
    return OK;
}

/* RFC 8264 section 7: some texts need more than one round until nothing changes, and those that
 * never rest are refused. */
static enum err enforce(profile_fn *apply, struct str text, char *out, size_t *len)
{
    struct units a, b, previous;
    enum err e = read_utf8(text, &a);
    for (int i = 0; e == OK; i++) {
        previous = a;
        e = i < ROUNDS_MOST ? apply(&a, &b) : ERR_MALFORMED;
        if (e == OK && a.len == previous.len && u_memcmp(a.at, previous.at, a.len) == 0)
            break;
    }
    if (e == OK)
        e = write_utf8(&a, out, len);
    // it may have been a password
    sodium_memzero(&a, sizeof a);
    sodium_memzero(&b, sizeof b);
    sodium_memzero(&previous, sizeof previous);
    return e;
}

enum err precis_username(struct str text, char *out, size_t *len)
{
    return enforce(apply_username, text, out, len);
}

enum err precis_opaque(struct str text, char *out, size_t *len)
{
    return enforce(apply_opaque, text, out, len);
}

bool precis_is_label(struct str label)
{
    struct units text;
    if (read_utf8(label, &text) != OK || text.len == 0)
        return false;
    for (int32_t i = 0; i < text.len;) {
        UChar32 c;
        U16_NEXT(text.at, i, text.len, c);
        if (c < 0x80 && !(c == '-' || is_between(c, '0', '9') || is_between(c, 'a', 'z')))
            return false;
    }
    return is_in_class(&text, IDENTIFIER);
}

enum err stringprep(enum stringprep profile, struct str text, char *out, size_t *len)
{
    static const UStringPrepProfileType types[] = {
        [STRINGPREP_NODE] = USPREP_RFC3920_NODEPREP,
        [STRINGPREP_SASL] = USPREP_RFC4013_SASLPREP,
    };
    UErrorCode status = U_ZERO_ERROR;
    UStringPrepProfile *prep = usprep_openByType(types[profile], &status);
    must(U_SUCCESS(status)); // part of the library's data
    struct units in, prepared;
    enum err e = read_utf8(text, &in);
    if (e == OK) {
        prepared.len = usprep_prepare(prep, in.at, in.len, prepared.at, UNITS_MOST, USPREP_DEFAULT,
                                      NULL, &status);
        if (status == U_BUFFER_OVERFLOW_ERROR)
            e = ERR_LIMIT;
        else if (U_FAILURE(status))
            e = ERR_MALFORMED;
        else
            e = write_utf8(&prepared, out, len);
    }
    usprep_close(prep);
    sodium_memzero(&in, sizeof in);
    sodium_memzero(&prepared, sizeof prepared);
    return e;
}
