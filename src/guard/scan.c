/*
 * Finding links in running text.
 *
 * Most texts have none, so one vectorized pass first looks for the few byte
 * pairs without which there is no link.  Only then is the text folded (invisible
 * characters, full-width forms, defanged dots) and cut at blanks, and each chunk
 * read for schemes and hosts.  Every byte is looked at a bounded number of times.
 */
#include "guard/find16.h"
#include "guard/lure_internal.h"

#include <unicode/uchar.h>

enum {
    SCRATCH_MOST = 4 * 1024 * 1024,
    FAILURES_MOST = 256,
    LINK_MOST = URL_MOST - 64, // what is longer is read up to here; room for a scheme
};

/* In folded text a defanged dot or colon stands as one of these; XML text cannot hold them. */
enum { DEAD_DOT = 1, DEAD_COLON = 2, SAID_DOT = 3 }; // the last: "example dot com"

static bool is_dead_dot(char c)
{
    return c == DEAD_DOT || c == SAID_DOT;
}

// How a word for a dot begins (dot_words below), or for a period goes on, in lower case; 0 as a
// digit is 0x30.
static inline __attribute__((always_inline)) bytes16 said16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 dot =
        (bytes16)(a == 'd') & ((bytes16)(b == 'o') | (bytes16)(b == '0')) & (bytes16)(c == 't');
    bytes16 point =
        (bytes16)(a == 'p') & (((bytes16)(b == 'u') & (bytes16)(c == 'n')) |
                               ((bytes16)(b == 'o') & ((bytes16)(c == 'n') | (bytes16)(c == 'i'))));
    bytes16 stop = ((bytes16)(a == 'i') & (bytes16)(b == 'o') & (bytes16)(c == 'd')) |
                   ((bytes16)(a == 'f') & (bytes16)(b == 'u') & (bytes16)(c == 'l'));
    return dot | point | stop;
}

static inline __attribute__((always_inline)) bytes16 hints16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 dot = (bytes16)(a == '.') & (bytes16)(b > ' ') & ~(bytes16)(b == '.');
    bytes16 b_folded = b | 32;
    bytes16 colon =
        (bytes16)(a == ':') &
        ((bytes16)(b == '/') | (bytes16)(b == '\\') | (bytes16)(b == ']') | (bytes16)(b == '[') |
         (bytes16)(b >= 0x80) | ((bytes16)(b_folded >= 'a') & (bytes16)(b_folded <= 'z')));
    bytes16 c_folded = c | 32;
    bytes16 word = said16(a | 32, b_folded, c_folded);
    return dot | colon | word | (bytes16)(a >= 0xC2); // the last: is_hint asks which
}

// Most texts have none of this.
static inline __attribute__((always_inline)) bytes16 may_hint16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 folded = a | 32;
    return (bytes16)(a == '.') | (bytes16)(a == ':') | (bytes16)(a >= 0x80) |
           ((bytes16)(folded == 'd') & (bytes16)((c | 32) == 't')) |
           ((bytes16)(folded == 'i') & (bytes16)((c | 32) == 'd')) |
           ((bytes16)(folded == 'f') & (bytes16)((c | 32) == 'l')) |
           ((bytes16)(folded == 'p') & ((bytes16)((b | 32) == 'o') | (bytes16)((b | 32) == 'u')));
}

// What may stand in folded text where a link is.
static bytes16 joints16(bytes16 a, bytes16 b, bytes16 c)
{
    (void)c;
    return ((bytes16)(a == '.') & (bytes16)(b > ' ')) | (bytes16)(a == ':') |
           ((bytes16)(a >= DEAD_DOT) & (bytes16)(a <= SAID_DOT));
}

static bytes16 wide16(bytes16 a)
{
    return (bytes16)(a >= 0x80);
}

// What may begin a dot or colon that cannot be clicked, or be of a word for one.
static inline __attribute__((always_inline)) bytes16 defanged16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 quoted =
        (bytes16)(a == '.') & ((bytes16)(b == '"') | (bytes16)(b == '\'') | (bytes16)(b == '>'));
    return (bytes16)((a | 32) == '{') | (bytes16)(a == '(') | // and '['
           quoted | said16(a | 32, b | 32, c | 32);
}

/* ---- Folding ------------------------------------------------------------------------------- */

static bool is_joint(char c)
{
    return ascii_is_alnum(c) || c == '.' || c == ':' || c == '/' || c == '-';
}

/* Drops what nobody sees, and turns full-width forms into ASCII. */
static struct str fold_unicode(struct arena *scratch, struct str text, unsigned *flags)
{
    size_t i = find_one16(text, 0, wide16);
    if (i == text.len)
        return text;
    char *out = arena_alloc(scratch, text.len);
    memcpy(out, text.at, i);
    size_t len = i;
    while (i < text.len) {
        size_t n;
        uint32_t point = lure_utf8(str_skip(text, i), &n);
        if (lure_is_invisible(point)) {
            // emoji are full of selectors; inside a word or a host they hide something
            if (len > 0 && is_joint(out[len - 1]) && i + n < text.len && is_joint(text.at[i + n]))
                *flags |= LURE_HIDDEN;
        } else if (point >= 0xFF01 && point <= 0xFF5E) {
            out[len++] = (char)(point - 0xFF01 + '!');
        } else if (point == 0x3002 || point == 0xFF61 || point == 0x2024 || point == 0xFE52) {
            out[len++] = '.';
        } else if (point == 0xA0 || point == 0x3000 || point == 0x202F ||
                   (point >= 0x2000 && point <= 0x200A) || point == 0x2028 || point == 0x2029) {
            out[len++] = ' ';
        } else if (point == 0xFFFD) {
            out[len++] = ' ';
        } else {
            memcpy(out + len, text.at + i, n);
            len += n;
        }
        i += n;
    }
    return str_make(out, len);
}

static size_t skip_spaces(struct str text, size_t at)
{
    while (at < text.len && text.at[at] == ' ')
        at++;
    return at;
}

static bool word_at(struct str text, size_t at, const char *word)
{
    size_t len = strlen(word);
    return text.len >= at + len && str_eq_nocase(str_make(text.at + at, len), str_of(word));
}

/* "[.]", "(dot)", "{.}", "[:]", "[://]", "[at]"…: the length of such a token at `at`, and what it
 * stands for. */
static size_t bracketed(struct str text, size_t at, char *meaning)
{
    char close = text.at[at] == '[' ? ']' : text.at[at] == '(' ? ')' : '}';
    size_t i = skip_spaces(text, at + 1);
    *meaning = 0;
    if (i < text.len && text.at[i] == '.') {
        *meaning = DEAD_DOT;
        i++;
    } else if (word_at(text, i, "dot")) {
        *meaning = DEAD_DOT;
        i += 3;
    } else if (word_at(text, i, "://")) {
        *meaning = DEAD_COLON;
        i += 3;
    } else if (i < text.len && text.at[i] == ':') {
        *meaning = DEAD_COLON;
        i++;
    }
    i = skip_spaces(text, i);
    return *meaning != 0 && i < text.len && text.at[i] == close ? i + 1 - at : 0;
}

/* Suffixes that are also a word's beginning: "done.It works". */
static bool begins_sentence(struct str label)
{
    static const char *const words[] = {
        "am",  "as",  "at",  "be",  "by",  "do",  "go",  "he",  "hi",  "id",
        "if",  "im",  "in",  "is",  "it",  "la",  "me",  "my",  "no",  "of",
        "on",  "or",  "so",  "to",  "us",  "we",  "he",  "you", "how", "now",
        "one", "day", "all", "new", "men", "kim", "moe", "ice", "dog", "yes",
    };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq_nocase(label, str_of(words[i])))
            return true;
    return false;
}

/* Words for a dot, and what it takes for a suffix behind them; short ones are a country's anywhere
 * only in English: "punto de vista", "point de vue" are no hosts, and "trial period info" is none.
 */
static const struct dot_word {
    struct str word;
    const char *suffixes;
    bool only_own; // none of those that stand behind the others
} dot_words[] = {
    {{"dot", 3},       "",              false},
    {{"d0t", 3},       "",              false},
    {{"punkt", 5},     " de at ch ",    false},
    {{"point", 5},     " fr ",          false},
    {{"punto", 5},     " it ",          false},
    {{"ponto", 5},     " br pt ",       false},
    {{"punt", 4},      " nl ",          false},
    {{"period", 6},    " com org xyz ", true },
    {{"full stop", 9}, " com org xyz ", true },
    {{"fullstop", 8},  " com org xyz ", true },
    {{".", 1},         " com org net ", true }, // between quotation marks
};

static bool is_listed(const char *suffixes, struct str label)
{
    char spaced[16];
    if (label.len < 2 || label.len > sizeof spaced - 2)
        return false;
    spaced[0] = spaced[label.len + 1] = ' ';
    memcpy(spaced + 1, label.at, label.len);
    struct str listed = str_of(suffixes);
    return str_find(listed, str_make(spaced, label.len + 2)) < listed.len;
}

static const char everywhere[] = " com org net info biz app dev xyz online site shop club "
                                 "live link click website store tech top icu edu gov ";

/* label: in lower case.  is_glued: "example-dot-com", where a word of two letters is but a word. */
static bool is_said_suffix(const struct lure_rules *rules, const struct dot_word *dot,
                           struct str label, bool is_glued)
{
    if (is_listed(dot->suffixes, label) || (!dot->only_own && is_listed(everywhere, label)))
        return true;
    if (is_glued)
        return is_listed(" co de uk fr io ru ", label);
    return dot->suffixes[0] == 0 && label.len == 2 && !begins_sentence(label) &&
           url_has_suffix(rules, label);
}

/* The word for a dot that begins at `at`, and is a word of its own; NULL: none. */
static const struct dot_word *dot_word_at(struct str text, size_t at)
{
    if (at > 0 && ascii_is_alnum(text.at[at - 1]))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(dot_words); i++) {
        size_t end = at + dot_words[i].word.len;
        if (word_at(text, at, dot_words[i].word.at) &&
            (end == text.len || text.at[at] == '.' || !ascii_is_alnum(text.at[end])))
            return &dot_words[i];
    }
    return NULL;
}

/* Where the word begins of which defanged16 and hints16 have seen three letters: "per-iod". */
static size_t said_from(struct str text, size_t at)
{
    return (text.at[at] | 32) == 'i' && at >= 3 ? at - 3 : at;
}

// What may stand around a word for a dot.
static bool is_gap(char c)
{
    return c != 0 && strchr(" \t\r\n<>\"'_-/,:;*", c) != NULL;
}

/* The bytes of such a character at `at`, or of a sign of other scripts; 0: another. */
static size_t gap_at(struct str text, size_t at)
{
    size_t n;
    if (at >= text.len || (unsigned char)text.at[at] < 0x80)
        return at < text.len && is_gap(text.at[at]) ? 1 : 0;
    UChar32 point = (UChar32)lure_utf8(str_skip(text, at), &n);
    return (U_GET_GC_MASK(point) & (U_GC_P_MASK | U_GC_S_MASK | U_GC_Z_MASK)) != 0 ? n : 0;
}

static size_t gap_before(struct str text, size_t end)
{
    size_t at = end > 0 ? end - 1 : 0;
    while (at > 0 && end - at < 4 && ((unsigned char)text.at[at] & 0xC0) == 0x80)
        at--;
    return gap_at(text, at) == end - at ? end - at : 0;
}

/* Over all of them. */
static size_t skip_gap(struct str text, size_t at)
{
    for (size_t n; (n = gap_at(text, at)) > 0;)
        at += n;
    return at;
}

static size_t skip_gap_back(struct str text, size_t at)
{
    for (size_t n; (n = gap_before(text, at)) > 0;)
        at -= n;
    return at;
}

static bool has_char(struct str text, char c)
{
    return str_find_char(text, c) < text.len;
}

static bool is_name_char(char c)
{
    return ascii_is_alnum(c) || (unsigned char)c >= 0x80;
}

/* A dot that is said, from behind the name before it to before the suffix; with the suffix where
 * that is written otherwise than here. */
struct said {
    size_t from, to;
    char suffix[16];
    size_t suffix_len; // 0: it stands in the text
};

static bool is_small_number(struct str text)
{
    bool digits = text.len >= 1 && text.len <= 3;
    for (size_t i = 0; digits && i < text.len; i++)
        digits = ascii_is_digit(text.at[i]);
    return digits;
}

static struct str word_before(struct str text, size_t end)
{
    size_t from = end;
    while (from > 0 && ascii_is_alnum(text.at[from - 1]))
        from--;
    return str_make(text.at + from, end - from);
}

/* Whether the reader is told to go to what begins at `at`; a file is opened, too. */
static bool is_sent_to(struct str text, size_t at, bool may_be_file)
{
    static const char *const words[] = {"go to",   "goto",        "visit", "browse to",
                                        "surf to", "navigate to", "open"};
    at = skip_gap_back(text, at);
    for (size_t i = 0; i < COUNT_OF(words) - may_be_file; i++) {
        size_t len = strlen(words[i]);
        if (len <= at && word_at(text, at - len, words[i]) &&
            (len == at || !is_name_char(text.at[at - len - 1])))
            return true;
    }
    return false;
}

/* The suffix at said->to: as it is, with digits for letters ("c0m"), letter by letter ("c o m"). */
static bool read_suffix(const struct lure_rules *rules, const struct dot_word *dot, struct str text,
                        struct said *said, bool is_glued)
{
    size_t end = said->to;
    while (end < text.len && ascii_is_alnum(text.at[end]))
        end++;
    struct str label = str_make(text.at + said->to, end - said->to);
    if (label.len == 0 || label.len > sizeof said->suffix)
        return false;
    bool folds = false;
    for (size_t i = 0; i < label.len; i++) {
        said->suffix[i] = lure_letter_of_digit(ascii_lower(label.at[i]));
        folds |= ascii_is_digit(label.at[i]);
    }
    if (is_small_number(label)) // of an address: try_bare counts them
        return dot == dot_words && is_small_number(word_before(text, said->from));
    if (!folds && label.len > 1) {
        label.at = said->suffix;
        size_t name = said->from;
        while (name > 0 && (is_name_char(text.at[name - 1]) || text.at[name - 1] == '-'))
            name--;
        return is_said_suffix(rules, dot, label, is_glued) ||
               (!dot->only_own && is_sent_to(text, name, true) && url_has_suffix(rules, label));
    }
    size_t len = label.len;
    if (label.len == 1 && end + 3 < text.len && text.at[end] == ' ' && text.at[end + 2] == ' ') {
        said->suffix[1] = lure_letter_of_digit(ascii_lower(text.at[end + 1]));
        said->suffix[2] = lure_letter_of_digit(ascii_lower(text.at[end + 3]));
        end += 4;
        len = 3;
        if (end < text.len && ascii_is_alnum(text.at[end]))
            return false;
    }
    if (!is_listed(dot->only_own ? dot->suffixes : everywhere, str_make(said->suffix, len)))
        return false;
    said->to = end;
    said->suffix_len = len;
    return true;
}

/* "example dot com" and its kin, when the word for a dot begins at `at`. */
static bool is_said_dot(const struct lure_rules *rules, struct str text, size_t at,
                        struct said *said)
{
    const struct dot_word *dot = dot_word_at(text, at);
    if (dot == NULL)
        return false;
    size_t end = at + dot->word.len;
    *said = (struct said){.from = skip_gap_back(text, at), .to = skip_gap(text, end)};
    struct str before = str_make(text.at + said->from, at - said->from);
    struct str after = str_make(text.at + end, said->to - end);
    if (before.len == 0 || after.len == 0 || said->from == 0)
        return false;
    if (dot->word.at[0] == '.' &&
        (!has_char(STR("\"'<"), before.at[before.len - 1]) || !has_char(STR("\"'>"), after.at[0])))
        return false;
    bool is_glued = false;
    for (const char *c = "-_/"; *c != 0; c++) { // "the dot-com bubble" is no host
        if (has_char(before, *c) != has_char(after, *c))
            return false;
        is_glued |= has_char(before, *c);
    }
    // "example, then dot, then com"
    if (str_eq_nocase(word_before(text, said->from), STR("then")) &&
        word_at(text, said->to, "then ")) {
        said->from = skip_gap_back(text, said->from - strlen("then"));
        said->to = skip_gap(text, said->to + strlen("then"));
    }
    return said->from > 0 && is_name_char(text.at[said->from - 1]) &&
           read_suffix(rules, dot, text, said, is_glued);
}

size_t lure_dead_dot(const struct lure_rules *rules, struct str text, size_t at)
{
    char c = text.at[at], meaning = 0;
    struct said said;
    if (at > 0 && gap_at(text, at) > 0 && gap_before(text, at) == 0) {
        size_t from = skip_gap(text, at);
        if (word_at(text, from, "then "))
            from = skip_gap(text, from + strlen("then"));
        return is_said_dot(rules, text, from, &said) && said.from == at ? said.to - at : 0;
    }
    size_t n = c == '[' || c == '(' || c == '{' ? bracketed(text, at, &meaning) : 0;
    return meaning == DEAD_DOT ? n : 0;
}

/* ---- Letters that look alike ------------------------------------------------------------------
 */

enum { PLAIN_MOST = 14 }; // letters of a word that is looked up

/* What ICU has said of the letters of one text. */
struct plain_letters {
    const struct lure_rules *rules;
    struct {
        uint32_t point;
        char letter;
    } known[64];
};

static char plain_letter(struct plain_letters *plain, uint32_t point)
{
    if (point < 0x80)
        return ascii_lower((char)point);
    size_t slot = (point ^ point >> 6) % COUNT_OF(plain->known);
    if (plain->known[slot].point != point) {
        plain->known[slot].point = point;
        plain->known[slot].letter = lure_plain_letter(plain->rules, point);
    }
    return plain->known[slot].letter;
}

static bool is_word_char(struct str text, size_t at, size_t *len)
{
    *len = 1;
    if ((unsigned char)text.at[at] < 0x80)
        return ascii_is_alnum(text.at[at]);
    UChar32 point = (UChar32)lure_utf8(str_skip(text, at), len);
    // letters in squares and circles are signs
    return lure_is_invisible((uint32_t)point) ||
           (U_GET_GC_MASK(point) & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK | U_GC_SO_MASK)) != 0;
}

/* The word at *at in letters of ASCII and in small ones, empty where that cannot be; *at: its end.
 */
static struct str plain_word(struct plain_letters *plain, struct str text, size_t *at,
                             char out[PLAIN_MOST])
{
    size_t len = 0, n;
    bool can = true;
    for (; *at < text.len && is_word_char(text, *at, &n); *at += n) {
        uint32_t point = lure_utf8(str_skip(text, *at), &n);
        if (!can || lure_is_invisible(point))
            continue;
        char letter = len < PLAIN_MOST ? plain_letter(plain, point) : 0;
        can = ascii_is_alnum(letter);
        if (can)
            out[len++] = letter;
    }
    return str_make(out, can ? len : 0);
}

static const struct dot_word *said_word(struct str word)
{
    const struct dot_word *dot = word.len > 0 ? dot_word_at(word, 0) : NULL;
    return dot != NULL && dot->word.len == word.len ? dot : NULL;
}

// All that look like the middle dot, and the bullet.
static bool is_bullet(uint32_t point)
{
    return point == 0xB7 || point == 0x2022 || point == 0x2027 || point == 0x2219 ||
           point == 0x22C5 || point == 0x30FB || point == 0x387 || point == 0xFF65;
}

/* "example•com".  No endings of two letters: "Nutzer·in", "ami·es", "vil·la". */
static bool bullet_is_dot(struct plain_letters *plain, struct str text, size_t at, size_t len)
{
    char letters[PLAIN_MOST];
    size_t n, end = at + len;
    if (at == 0 || !is_name_char(text.at[at - 1]) || !is_bullet(lure_utf8(str_skip(text, at), &n)))
        return false;
    return is_listed(everywhere, plain_word(plain, text, &end, letters));
}

struct str lure_fold(const struct lure_rules *rules, struct arena *scratch, struct str text,
                     unsigned *flags)
{
    text = fold_unicode(scratch, text, flags);
    if (find_one16(text, 0, wide16) == text.len)
        return text;
    struct plain_letters plain = {.rules = rules};
    const struct dot_word *before = NULL;
    char *out = arena_alloc(scratch, array_size(text.len, 3)), letters[PLAIN_MOST];
    size_t len = 0;
    for (size_t i = 0, n; i < text.len;) {
        size_t end = i;
        struct str word = plain_word(&plain, text, &end, letters);
        if (end > i) {
            const struct dot_word *dot = said_word(word);
            bool is_plain = dot != NULL || (before != NULL && word.len > 0 &&
                                            is_said_suffix(rules, before, word, false));
            struct str as_is = str_make(text.at + i, end - i);
            if (is_plain && find_one16(as_is, 0, wide16) < as_is.len)
                as_is = word;
            memcpy(out + len, as_is.at, as_is.len);
            len += as_is.len;
            i = end;
            before = dot;
            continue;
        }
        (void)lure_utf8(str_skip(text, i), &n);
        if (bullet_is_dot(&plain, text, i, n)) {
            memcpy(out + len, " dot ", 5);
            len += 5;
            before = dot_words;
        } else {
            memcpy(out + len, text.at + i, n);
            len += n;
        }
        i += n;
    }
    return str_make(out, len);
}

/* Whether hints16's hit at *at is one, as far as that is told soon; where not, *at is moved on. */
static bool is_hint(struct plain_letters *plain, struct str text, size_t *at)
{
    char letters[PLAIN_MOST];
    size_t n, from = *at;
    if (ascii_is_alpha(text.at[from])) {
        *at += 1;
        return dot_word_at(text, said_from(text, from)) != NULL;
    }
    if ((unsigned char)text.at[from] < 0x80)
        return true;
    uint32_t point = lure_utf8(str_skip(text, from), &n);
    if (point == 0x3002 || point == 0xFF61 || point == 0x2024 || point == 0xFE52 ||
        point == 0xFF0E || point == 0xFF1A || bullet_is_dot(plain, text, from, n))
        return true;
    while (from > 0 && ascii_is_alnum(text.at[from - 1]) && *at - from < PLAIN_MOST)
        from--;
    *at += n;
    size_t end = from;
    bool is_dot = said_word(plain_word(plain, text, &end, letters)) != NULL;
    *at = end > *at ? end : *at;
    return is_dot;
}

/* Puts markers where a dot or colon was written so that nothing can be clicked. */
static struct str fold_defanged(const struct lure_rules *rules, struct arena *scratch,
                                struct str text)
{
    if (find_three16(text, 0, defanged16) == text.len)
        return text;
    char *out = arena_alloc(scratch, text.len + 2);
    size_t len = 0, i = 0, begun = 0; // from `begun` on, text was copied as it is
    while (i < text.len) {
        size_t at = find_three16(text, i, defanged16);
        memcpy(out + len, text.at + i, at - i);
        len += at - i;
        i = at;
        if (i == text.len)
            break;
        char c = text.at[i], meaning = 0;
        size_t n = c == '[' || c == '(' || c == '{' ? bracketed(text, i, &meaning) : 0;
        size_t word = said_from(text, i);
        struct said said;
        if (n > 0) {
            bool slashes = meaning == DEAD_COLON && text.at[skip_spaces(text, i + 1) + 1] == '/';
            while (meaning == DEAD_DOT && len > 0 && out[len - 1] == ' ')
                len--;
            out[len++] = meaning;
            if (slashes) { // "[://]" is longer than what replaces it
                out[len++] = '/';
                out[len++] = '/';
            }
            i += n;
            if (meaning == DEAD_DOT)
                i = skip_spaces(text, i);
            begun = i;
        } else if (is_said_dot(rules, text, word, &said) && said.from >= begun) {
            len -= i - said.from; // which were copied as they are
            out[len++] = SAID_DOT;
            memcpy(out + len, said.suffix, said.suffix_len);
            len += said.suffix_len;
            begun = i = said.to;
        } else {
            out[len++] = c;
            i++;
        }
    }
    return str_make(out, len);
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

struct scan {
    struct lure_list *list;
    struct arena *scratch; // emptied after each link
    struct str text;       // of which a chunk is read
    unsigned flags;        // of the whole text
    unsigned n_failed;     // what began like a link and was none
};

// Of folded text: what ends a chunk, what a host or scheme may be made of, and what may part links.
enum { CLASS_END = 1, CLASS_NAME = 2 };
static const unsigned char ascii_class[128] = {
    [0] = CLASS_END,
    [DEAD_DOT] = CLASS_NAME,
    [SAID_DOT] = CLASS_NAME,
    [SAID_DOT + 1 ... ' '] = CLASS_END,
    ['"'] = CLASS_END,
    ['*'] = CLASS_NAME,
    ['+'] = CLASS_NAME,
    ['-'] = CLASS_NAME,
    ['.'] = CLASS_NAME,
    ['0' ... '9'] = CLASS_NAME,
    ['<'] = CLASS_END,
    ['>'] = CLASS_END,
    ['A' ... 'Z'] = CLASS_NAME,
    ['_'] = CLASS_NAME,
    ['`'] = CLASS_END,
    ['a' ... 'z'] = CLASS_NAME,
    [0x7F] = CLASS_END,
};

// The same, sixteen at a time.
static bytes16 ends16(bytes16 a)
{
    return (bytes16)(a == 0) | ((bytes16)(a > SAID_DOT) & (bytes16)(a <= ' ')) |
           (bytes16)(a == '"') | (bytes16)(a == '<') | (bytes16)(a == '>') | (bytes16)(a == '`') |
           (bytes16)(a == 0x7F);
}

static bytes16 parts16(bytes16 a)
{
    return ends16(a) | (bytes16)(a == ',') | (bytes16)(a == ';') | (bytes16)(a == '|');
}

// All but names, and what is not ASCII.
static bytes16 no_names16(bytes16 a)
{
    bytes16 folded = a | 32;
    return ~(((bytes16)(folded >= 'a') & (bytes16)(folded <= 'z')) |
             ((bytes16)(a >= '0') & (bytes16)(a <= '9')) | (bytes16)(a == '.') |
             (bytes16)(a == '-') | (bytes16)(a == '_') | (bytes16)(a == '*') | (bytes16)(a == '+') |
             (bytes16)(a == DEAD_DOT) | (bytes16)(a == SAID_DOT));
}

static bytes16 dead16(bytes16 a)
{
    return (bytes16)(a >= DEAD_DOT) & (bytes16)(a <= SAID_DOT);
}

enum part { PART_NONE, PART_NAME, PART_PICTURE };

/* Whether a host or scheme may be made of the character at `at`; len: its bytes.  Quotation marks,
 * arrows and blanks of other scripts part words like their ASCII kin.  Pictures may be of a name,
 * but clients also take them for its end. */
static enum part part_at(struct str chunk, size_t at, size_t *len)
{
    unsigned char c = (unsigned char)chunk.at[at];
    *len = 1;
    if (c < 0x80)
        return (ascii_class[c] & CLASS_NAME) != 0 ? PART_NAME : PART_NONE;
    UChar32 point = (UChar32)lure_utf8(str_skip(chunk, at), len);
    uint32_t type = U_GET_GC_MASK(point);
    if ((type & (U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK)) != 0)
        return PART_NAME;
    return (type & U_GC_SO_MASK) != 0 ? PART_PICTURE : PART_NONE;
}

static size_t run_end(struct str chunk, size_t at, bool with_pictures)
{
    size_t len;
    while ((at = find_one16(chunk, at, no_names16)) < chunk.len) {
        enum part part = part_at(chunk, at, &len);
        if (part == PART_NONE || (part == PART_PICTURE && !with_pictures))
            break;
        at += len;
    }
    return at;
}

static bool is_end(char c)
{
    return (unsigned char)c < 0x80 && (ascii_class[(unsigned char)c] & CLASS_END) != 0;
}

/* Behind a comma or its like: "http://a.example,http://b.example" are two. */
static bool begins_another(struct str chunk, size_t at)
{
    return word_at(chunk, at + 1, "http://") || word_at(chunk, at + 1, "https://") ||
           word_at(chunk, at + 1, "www.");
}

static size_t count_char(struct str text, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.at[i] == c;
    return n;
}

/* Where a link that starts at `start` ends: punctuation of the sentence does not belong to it. */
static size_t link_end(struct str chunk, size_t start)
{
    size_t most = chunk.len - start < LINK_MOST ? chunk.len : start + LINK_MOST;
    size_t end = find_one16(str_first(chunk, most), start, parts16);
    while (end < most && !is_end(chunk.at[end]) && !begins_another(chunk, end))
        end = find_one16(str_first(chunk, most), end + 1, parts16);
    struct str link = str_make(chunk.at + start, end - start);
    size_t opened[3], closed[3];
    bool counted = false;
    while (end > start) {
        char last = chunk.at[end - 1];
        if (ascii_is_alnum(last) || last == '/')
            break;
        if (last == ')' || last == ']' || last == '}') {
            size_t which = last == ')' ? 0 : last == ']' ? 1 : 2;
            for (size_t i = 0; i < 3 && !counted; i++) {
                opened[i] = count_char(link, "([{"[i]);
                closed[i] = count_char(link, ")]}"[i]);
            }
            counted = true;
            if (closed[which] <= opened[which])
                break;
            closed[which]--;
        } else if (strchr(".,;:!?'*_~|", last) == NULL) {
            static const char *const quotes[] = {"\xE2\x80\x9D", "\xE2\x80\x99", "\xC2\xBB",
                                                 "\xE2\x80\xA6"};
            size_t cut = 0;
            for (size_t i = 0; i < COUNT_OF(quotes); i++)
                if (str_ends(str_make(chunk.at + start, end - start), str_of(quotes[i])))
                    cut = strlen(quotes[i]);
            if (cut == 0)
                break;
            end -= cut - 1;
        }
        end--;
    }
    return end;
}

/* The scheme a run ends in, as browsers would be given it; hxxp and its kin are http. */
static struct str scheme_of(struct arena *scratch, struct str run, size_t *start, bool *defanged)
{
    if (str_eq(run, STR("http")) || str_eq(run, STR("https"))) { // most are
        *start = 0;
        return run;
    }
    size_t at = run.len;
    while (at > 0 && (ascii_is_alnum(run.at[at - 1]) || run.at[at - 1] == '+' ||
                      run.at[at - 1] == '-' || run.at[at - 1] == '*'))
        at--;
    while (at < run.len && !ascii_is_alpha(run.at[at]))
        at++;
    struct str scheme = lure_lower(scratch, str_skip(run, at));
    if (scheme.len > 30 || scheme.len < 2)
        return STR_EMPTY;
    size_t s = scheme.len > 4 && scheme.at[scheme.len - 1] == 's' ? 1 : 0;
    if (scheme.len == 4 + s && scheme.at[0] == 'h' && scheme.at[3] == 'p' &&
        strchr("x*_t", scheme.at[1]) != NULL && strchr("x*_t", scheme.at[2]) != NULL &&
        !str_starts(scheme, STR("http"))) {
        *start = at;
        *defanged = true;
        return s ? STR("https") : STR("http");
    }
    static const char *const glued[] = {"https", "http", "ftp"};
    for (size_t i = 0; i < COUNT_OF(glued); i++)
        if (str_ends(scheme, str_of(glued[i]))) { // "seehttp://"
            *start = run.len - strlen(glued[i]);
            return str_of(glued[i]);
        }
    *start = at;
    return str_find_char(scheme, '*') < scheme.len ? STR_EMPTY : scheme;
}

/* Schemes that clients hand to some program without "//". */
static bool is_opaque_scheme(struct str scheme)
{
    static const char *const schemes[] = {"javascript", "vbscript",  "data",   "magnet", "aim",
                                          "ymsgr",      "callto",    "skype",  "itms",   "steam",
                                          "tg",         "search-ms", "intent", "shell"};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (str_eq(scheme, str_of(schemes[i])))
            return true;
    return str_starts(scheme, STR("ms-"));
}

/* Copies with the markers of defanged text turned back.  Returns what they say of the link. */
static unsigned undead(struct str text, char *out)
{
    unsigned flags = 0;
    if (find_one16(text, 0, dead16) == text.len) {
        memcpy(out, text.at, text.len);
        return 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c <= SAID_DOT && c >= DEAD_DOT) {
            flags |= c == SAID_DOT ? LURE_DEFANGED | LURE_SPELLED : LURE_DEFANGED;
            c = c == DEAD_COLON ? ':' : '.';
        }
        out[i] = c;
    }
    return flags;
}

/* Parses prefix and rest as one URL and puts it into the list. */
static bool put(struct scan *scan, const char *prefix, struct str rest, unsigned flags)
{
    size_t n = strlen(prefix);
    char *text = arena_alloc(scan->scratch, n + rest.len);
    memcpy(text, prefix, n);
    flags |= undead(rest, text + n);
    struct url url;
    if (url_parse(scan->list->rules, scan->scratch, str_make(text, n + rest.len), &url) != OK) {
        // each failure may have read far ahead: a text full of them would cost its square
        if (++scan->n_failed > FAILURES_MOST)
            scan->list->overflowed = true;
        return false;
    }
    lure_put_url(scan->list, scan->scratch, &url, flags | scan->flags);
    return true;
}

/* A link whose scheme ends right before chunk[colon]; returns its end, or 0 when it is none. */
static size_t try_scheme(struct scan *scan, struct str chunk, struct str run, size_t colon)
{
    size_t start = 0;
    bool defanged = false;
    if (colon + 1 >= chunk.len)
        return 0;
    struct str scheme = scheme_of(scan->scratch, run, &start, &defanged);
    if (scheme.len == 0)
        return 0;
    char prefix[40];
    if (scheme.len > sizeof prefix - 2)
        return 0;
    memcpy(prefix, scheme.at, scheme.len);
    memcpy(prefix + scheme.len, ":", 2);
    size_t after = colon + 1, slashes = 0;
    while (after + slashes < chunk.len &&
           (chunk.at[after + slashes] == '/' || chunk.at[after + slashes] == '\\'))
        slashes++;
    bool web =
        str_eq(scheme, STR("http")) || str_eq(scheme, STR("https")) || str_eq(scheme, STR("ftp"));
    // "http:example.org" without slashes is found as a bare host
    if (slashes < (web ? 1 : 2) && !is_opaque_scheme(scheme))
        return 0;
    size_t end = link_end(chunk, after);
    if (end <= after + slashes)
        return 0;
    if (chunk.len - after > LINK_MOST &&
        !lure_host_ends(str_make(chunk.at + after + slashes, LINK_MOST - slashes)))
        scan->list->overflowed = true; // "http://", pages of somebody's name, "@evil.example"
    unsigned flags = defanged || chunk.at[colon] == DEAD_COLON ? LURE_DEFANGED : 0;
    return put(scan, prefix, str_make(chunk.at + after, end - after), flags) ? end : 0;
}

/* Suffixes that more often end a file's name. */
static bool ends_file(struct str label)
{
    static const char *const endings[] = {
        "sh", "py", "rs", "so", "md", "zip", "mov", "mk", "java", "gz", "cab", "bin", "data", "map",
    };
    for (size_t i = 0; i < COUNT_OF(endings); i++)
        if (str_eq_nocase(label, str_of(endings[i])))
            return true;
    return false;
}

/* A host without a scheme at chunk[from, to); returns the link's end, or 0. */
static size_t try_bare(struct scan *scan, struct str chunk, size_t from, size_t to)
{
    while (from < to && (chunk.at[from] == '.' || chunk.at[from] == '-' || chunk.at[from] == '_'))
        from++;
    while (to > from && (chunk.at[to - 1] == '.' || chunk.at[to - 1] == '-' ||
                         chunk.at[to - 1] == '_' || chunk.at[to - 1] == '*'))
        to--;
    struct str run = str_make(chunk.at + from, to - from);
    size_t dots = 0, last = 0;
    bool digits = true, wide = false, dead = true;
    for (size_t i = 0; i < run.len; i++) {
        char c = run.at[i];
        if (c == '.' || is_dead_dot(c)) {
            dots++;
            dead &= c != '.';
            last = i + 1;
        } else {
            digits &= ascii_is_digit(c);
            wide |= (unsigned char)c >= 0x80;
        }
    }
    if (dots == 0 || run.len > 1024)
        return 0;
    char next = to < chunk.len ? chunk.at[to] : 0;
    bool port = next == ':' && to + 1 < chunk.len && ascii_is_digit(chunk.at[to + 1]);
    bool path = next == '/' || next == '\\' || next == '?' || next == '#';
    bool www = word_at(run, 0, "www.");
    struct str label = str_skip(run, last);
    size_t place = (size_t)(run.at - scan->text.at);
    if (digits) {
        // else a version number
        if (dots != 3 || !(path || port || dead || is_sent_to(scan->text, place, false)))
            return 0;
    } else if (!wide) {
        bool alpha = true;
        for (size_t i = 0; i < label.len; i++)
            alpha &= ascii_is_alpha(label.at[i]);
        if (label.len < 2 || (!alpha && !word_at(label, 0, "xn--")))
            return 0;
        // of a suffix that is none nothing more need be read
        if (!url_has_suffix(scan->list->rules, lure_lower(scan->scratch, label)))
            return 0;
        bool joined = label.at[0] >= 'A' && label.at[0] <= 'Z' && label.at[1] >= 'a' &&
                      begins_sentence(label);
        // "test.py:12" is a line of a program
        bool is_file =
            ends_file(label) && (label.at[-1] != SAID_DOT || !is_sent_to(scan->text, place, true));
        if (!path && !www && ((joined && !port) || is_file))
            return 0;
    } else {
        char *live = arena_alloc(scan->scratch, run.len);
        (void)undead(run, live);
        struct str host = lure_lower(scan->scratch, str_make(live, run.len));
        bool ip = false;
        if (url_host(scan->list->rules, scan->scratch, host, &host, &ip) != OK || ip ||
            !url_has_suffix(scan->list->rules, host))
            return 0;
    }
    size_t end = path || port ? link_end(chunk, from) : to;
    if (end < to)
        end = to;
    if (!put(scan, "http://", str_make(chunk.at + from, end - from), LURE_BARE))
        return 0;
    return end;
}

static bool is_dot(char c)
{
    return c == '.' || is_dead_dot(c);
}

static bytes16 dots16(bytes16 a)
{
    return (bytes16)(a == '.') | (bytes16)(a == DEAD_DOT) | (bytes16)(a == SAID_DOT);
}

/* "*evil.example*", "look..evil.example": hosts without a scheme in a run; the last one's end. */
static size_t try_pieces(struct scan *scan, struct str chunk, size_t from, size_t to)
{
    size_t end = 0;
    if (find_one16(str_first(chunk, to), from, dots16) == to) // "somebody:"
        return 0;
    while (from < to) {
        size_t at = from;
        while (at < to && chunk.at[at] != '*' && chunk.at[at] != '+' &&
               !(is_dot(chunk.at[at]) && at + 1 < to && is_dot(chunk.at[at + 1])))
            at++;
        if (at > from)
            end = try_bare(scan, chunk, from, at);
        from = at + 1;
    }
    return end;
}

static void scan_chunk(struct scan *scan, struct str chunk)
{
    size_t i = 0, len, looked = 0;
    while (i < chunk.len && !scan->list->overflowed) {
        enum part part = part_at(chunk, i, &len);
        if (part == PART_NONE) {
            i += len;
            continue;
        }
        size_t to = run_end(chunk, i, false);
        if (i >= looked && to < chunk.len && (unsigned char)chunk.at[to] >= 0x80) {
            // once more with pictures, if one of them ended it
            looked = run_end(chunk, i, true);
            if (looked > to)
                try_bare(scan, chunk, i, looked);
        }
        if (part == PART_PICTURE) {
            i += len;
            continue;
        }
        char next = to < chunk.len ? chunk.at[to] : 0;
        size_t end = 0;
        if (next == ':' || next == DEAD_COLON)
            end = try_scheme(scan, chunk, str_make(chunk.at + i, to - i), to);
        if (end == 0 && next == '@' && !word_at(chunk, to + 1, "www.")) {
            to = run_end(chunk, to + 1, false); // an address of a person, not a link
        } else if (end == 0) {
            end = try_pieces(scan, chunk, i, to);
        }
        arena_reset(scan->scratch);
        i = end > to ? end : to;
    }
}

static void __attribute__((noinline)) scan_slowly(struct lure_list *list, struct str text)
{
    struct arena folded, scratch; // neither costs anything before it is used
    arena_init(&folded, 8 * text.len + 1024);
    arena_init(&scratch, SCRATCH_MOST);
    struct scan scan = {.list = list, .scratch = &scratch};
    text = lure_fold(list->rules, &folded, text, &scan.flags);
    scan.text = text = fold_defanged(list->rules, &folded, text);
    size_t from = 0;
    while (!list->overflowed) {
        size_t at = find_three16(text, from, joints16);
        if (at == text.len)
            break;
        while (at > from && !is_end(text.at[at - 1]))
            at--;
        size_t to = find_one16(text, at, ends16);
        scan_chunk(&scan, str_make(text.at + at, to - at));
        from = to;
    }
    arena_done(&scratch);
    arena_done(&folded);
}

/* At what may be a hint. */
static void __attribute__((noinline))
look_closer(struct lure_list *list, struct str text, size_t at)
{
    struct plain_letters plain;
    plain.rules = list->rules;
    memset(plain.known, 0, sizeof plain.known);
    for (; at < text.len; at = find_three16_if(text, at, may_hint16, hints16))
        if (is_hint(&plain, text, &at)) {
            scan_slowly(list, text);
            return;
        }
}

void lure_scan_text(struct lure_list *list, struct str text)
{
    size_t at = find_three16_if(text, 0, may_hint16, hints16);
    if (at < text.len)
        look_closer(list, text, at);
}
