/*
 * Addresses that are spelled out: "example dot com", its dot in other words, letters of other
 * scripts that look alike, or a sign.
 *
 * Most words of most texts are none for a dot.  What ICU says of their letters is kept (points.c),
 * and of a word that does not begin as one of those only the end is looked for.
 */
#include "guard/spelled_internal.h"

/* ---- Words for a dot ------------------------------------------------------------------------- */

bool spelled_begins_sentence(struct str label)
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
    return dot->suffixes[0] == 0 && label.len == 2 && !spelled_begins_sentence(label) &&
           url_has_suffix(rules, label);
}

/* The word for a dot that begins at `at`, and is a word of its own; NULL: none. */
static const struct dot_word *dot_word_at(struct str text, size_t at)
{
    if (at > 0 && ascii_is_alnum(text.at[at - 1]))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(dot_words); i++) {
        size_t end = at + dot_words[i].word.len;
        if (lure_word_at(text, at, dot_words[i].word.at) &&
            (end == text.len || text.at[at] == '.' || !ascii_is_alnum(text.at[end])))
            return &dot_words[i];
    }
    return NULL;
}

// What may stand around a word for a dot.
static bool is_gap(char c)
{
    return c != 0 && strchr(" \t\r\n<>\"'_-/,:;*", c) != NULL;
}

/* The bytes of such a character at `at`, or of a sign of other scripts; 0: another. */
static size_t gap_at(const struct lure_rules *rules, struct str text, size_t at)
{
    size_t n;
    if (at >= text.len || (unsigned char)text.at[at] < 0x80)
        return at < text.len && is_gap(text.at[at]) ? 1 : 0;
    return (point_at(rules, text, at, &n) & POINT_GAP) != 0 ? n : 0;
}

static size_t gap_before(const struct lure_rules *rules, struct str text, size_t end)
{
    size_t at = end > 0 ? end - 1 : 0;
    while (at > 0 && end - at < 4 && ((unsigned char)text.at[at] & 0xC0) == 0x80)
        at--;
    return gap_at(rules, text, at) == end - at ? end - at : 0;
}

/* Over all of them. */
static size_t skip_gap(const struct lure_rules *rules, struct str text, size_t at)
{
    for (size_t n; (n = gap_at(rules, text, at)) > 0;)
        at += n;
    return at;
}

static size_t skip_gap_back(const struct lure_rules *rules, struct str text, size_t at)
{
    for (size_t n; (n = gap_before(rules, text, at)) > 0;)
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

enum { NAME_MOST = 4 * 63 }; // bytes of a label that DNS can hold, before it is in ASCII

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

bool spelled_is_sent_to(const struct lure_rules *rules, struct str text, size_t at,
                        bool may_be_file)
{
    static const char *const words[] = {"go to",   "goto",        "visit", "browse to",
                                        "surf to", "navigate to", "open"};
    at = skip_gap_back(rules, text, at);
    for (size_t i = 0; i < COUNT_OF(words) - may_be_file; i++) {
        size_t len = strlen(words[i]);
        if (len <= at && lure_word_at(text, at - len, words[i]) &&
            (len == at || !is_name_char(text.at[at - len - 1])))
            return true;
    }
    return false;
}

/* Whether the reader is told to go to the name that ends at `end`. */
static bool name_is_sent_to(const struct lure_rules *rules, struct str text, size_t end)
{
    size_t name = end, least = end > NAME_MOST ? end - NAME_MOST : 0;
    while (name > least && (is_name_char(text.at[name - 1]) || text.at[name - 1] == '-'))
        name--;
    return (name > least || least == 0) && spelled_is_sent_to(rules, text, name, true);
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
        return is_said_suffix(rules, dot, label, is_glued) ||
               (!dot->only_own && url_has_suffix(rules, label) &&
                name_is_sent_to(rules, text, said->from));
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

bool spelled_dot(const struct lure_rules *rules, struct str text, size_t at, struct said *said)
{
    const struct dot_word *dot = dot_word_at(text, at);
    if (dot == NULL)
        return false;
    size_t end = at + dot->word.len;
    *said = (struct said){.from = skip_gap_back(rules, text, at), .to = skip_gap(rules, text, end)};
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
        lure_word_at(text, said->to, "then ")) {
        said->from = skip_gap_back(rules, text, said->from - strlen("then"));
        said->to = skip_gap(rules, text, said->to + strlen("then"));
    }
    return said->from > 0 && is_name_char(text.at[said->from - 1]) &&
           read_suffix(rules, dot, text, said, is_glued);
}

bool spelled_is_dot_word(struct str text, size_t at)
{
    return dot_word_at(text, at) != NULL;
}

size_t spelled_dot_len(const struct lure_rules *rules, struct str text, size_t at)
{
    struct said said;
    if (at == 0 || gap_at(rules, text, at) == 0 || gap_before(rules, text, at) > 0)
        return 0;
    size_t from = skip_gap(rules, text, at);
    if (lure_word_at(text, from, "then "))
        from = skip_gap(rules, text, from + strlen("then"));
    return spelled_dot(rules, text, from, &said) && said.from == at ? said.to - at : 0;
}

/* ---- Letters that look alike ----------------------------------------------------------------- */

enum { PLAIN_MOST = 14 }; // letters of a word that is looked up

/* Whether a word goes on at `at`: its bytes there, 0: not.  letter: how it reads in ASCII and in
 * small letters, 0: not at all, or nobody sees it; which of these, is_seen tells. */
static inline size_t letter_at(const struct lure_rules *rules, struct str text, size_t at,
                               char *letter, bool *is_seen)
{
    size_t n;
    *is_seen = true;
    if ((unsigned char)text.at[at] < 0x80) {
        *letter = ascii_lower(text.at[at]);
        return ascii_is_alnum(text.at[at]) ? 1 : 0;
    }
    unsigned facts = point_at(rules, text, at, &n);
    *letter = (char)(facts & POINT_LETTER);
    *is_seen = (facts & POINT_INVISIBLE) == 0;
    return (facts & POINT_WORD) != 0 ? n : 0;
}

/* The end of the word that `at` is in. */
static size_t word_end(const struct lure_rules *rules, struct str text, size_t at)
{
    char letter;
    bool is_seen;
    for (size_t n; at < text.len && (n = letter_at(rules, text, at, &letter, &is_seen)) > 0;)
        at += n;
    return at;
}

/* The word at *at in letters of ASCII and in small ones, empty where that cannot be; *at: its end.
 */
static struct str plain_word(const struct lure_rules *rules, struct str text, size_t *at,
                             char out[PLAIN_MOST])
{
    size_t len = 0, n;
    char letter;
    bool is_seen;
    for (; *at < text.len && (n = letter_at(rules, text, *at, &letter, &is_seen)) > 0; *at += n) {
        if (!is_seen)
            continue;
        if (len == PLAIN_MOST || !ascii_is_alnum(letter)) {
            *at = word_end(rules, text, *at);
            return STR_EMPTY;
        }
        out[len++] = letter;
    }
    return str_make(out, len);
}

static const struct dot_word *said_word(struct str word)
{
    const struct dot_word *dot = word.len > 0 ? dot_word_at(word, 0) : NULL;
    return dot != NULL && dot->word.len == word.len ? dot : NULL;
}

/* The word for a dot as which the word at *at reads; NULL: as none.  *at: its end. */
static const struct dot_word *plain_dot_word(const struct lure_rules *rules, struct str text,
                                             size_t *at)
{
    char letter = 0, letters[PLAIN_MOST];
    bool is_seen = false;
    for (size_t i = *at, n; i < text.len && !is_seen; i += n)
        if ((n = letter_at(rules, text, i, &letter, &is_seen)) == 0)
            break;
    if (letter != 'd' && letter != 'p' && letter != 'f') { // as most words begin
        *at = word_end(rules, text, *at);
        return NULL;
    }
    return said_word(plain_word(rules, text, at, letters));
}

/* "example•com".  No endings of two letters: "Nutzer·in", "ami·es", "vil·la".  end: behind the
 * bullet. */
static bool bullet_is_dot(const struct lure_rules *rules, struct str text, size_t at, size_t end)
{
    char letters[PLAIN_MOST];
    return at > 0 && is_name_char(text.at[at - 1]) &&
           is_listed(everywhere, plain_word(rules, text, &end, letters));
}

bool spelled_hint(const struct lure_rules *rules, struct str text, size_t *at)
{
    size_t n, from = *at;
    unsigned facts = point_at(rules, text, from, &n);
    if ((facts & POINT_STOP) != 0 ||
        ((facts & POINT_BULLET) != 0 && bullet_is_dot(rules, text, from, from + n)))
        return true;
    while (from > 0 && ascii_is_alnum(text.at[from - 1]) && *at - from < PLAIN_MOST)
        from--;
    *at += n;
    size_t end = from;
    bool is_dot = plain_dot_word(rules, text, &end) != NULL;
    *at = end > *at ? end : *at;
    return is_dot;
}

static inline bytes16 odd16(bytes16 a, bytes16 b, bytes16 c)
{
    return (bytes16)(a >= 0x80) | said16(a | 32, b | 32, c | 32);
}

/* From `at` on the first place that may be in a word for a dot, or be a bullet. */
static size_t next_odd(struct str text, size_t at)
{
    for (size_t i = at; i < text.len && i < at + 2; i++) // most words of such texts are not far
        if ((unsigned char)text.at[i] >= 0x80)
            return i;
    return find_three16(text, at, odd16);
}

struct str spelled_fold(const struct lure_rules *rules, struct arena *scratch, struct str text)
{
    const struct dot_word *before = NULL;
    char *out = NULL, letters[PLAIN_MOST];
    size_t len = 0, copied = 0; // of the text, to here
    for (size_t i = 0, end; i < text.len; i = end) {
        struct str instead = STR_EMPTY;
        const struct dot_word *dot = NULL;
        size_t n;
        if (before == NULL) {
            size_t least = i;
            i = next_odd(text, i);
            if (i == text.len)
                break;
            while (i > least && ascii_is_alnum(text.at[i - 1]))
                i--; // to where its word begins
        }
        end = i;
        if (before == NULL) {
            dot = plain_dot_word(rules, text, &end);
            if (dot != NULL)
                instead = dot->word;
        } else {
            struct str word = plain_word(rules, text, &end, letters);
            dot = said_word(word);
            if (dot != NULL || (word.len > 0 && is_said_suffix(rules, before, word, false)))
                instead = word;
        }
        if (end > i) {
            before = dot;
            if (find_one16(str_make(text.at + i, end - i), 0, wide16) == end - i)
                continue;
        } else {
            unsigned facts = point_at(rules, text, i, &n);
            end = i + n;
            if ((facts & POINT_BULLET) != 0 && bullet_is_dot(rules, text, i, end)) {
                instead = STR(" dot ");
                before = dot_words;
            }
        }
        if (instead.len == 0)
            continue;
        if (out == NULL)
            out = arena_alloc(scratch, array_size(text.len, 3));
        memcpy(out + len, text.at + copied, i - copied);
        len += i - copied;
        memcpy(out + len, instead.at, instead.len);
        len += instead.len;
        copied = end;
    }
    if (out == NULL)
        return text;
    memcpy(out + len, text.at + copied, text.len - copied);
    return str_make(out, len + text.len - copied);
}
