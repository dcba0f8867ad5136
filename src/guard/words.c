/*
 * The words around a lure: are they the same from copy to copy, and do they warn?
 */
#include "guard/find16.h"
#include "guard/lure_internal.h"
#include "guard/minhash.h"

#include "base/must.h"

#include <unicode/uchar.h>
#include <unicode/utf16.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TEXT_MOST = 4096 };

/* ---- The shape of the words -------------------------------------------------------------------
 *
 * Words are folded until what a program changes to look new is gone: links, names and numbers,
 * case, spacing, invisible characters, letters of other scripts that look alike, digits that stand
 * for letters.  Of what is left MinHash is taken (minhash.h).
 *
 * Most words of most texts are letters of ASCII and nothing else.  They are told from others and
 * folded sixteen bytes at a time, which is why the text is copied: behind the copy there is room to
 * read on.
 */

enum {
    LETTERS_MOST = 160, // of a text; what comes after says no more about who wrote it
    LETTERS_LEAST = 8,  // fewer are nobody's words in particular
    WORD_MOST = 64,     // code units that are looked up among the letters that look alike
    STRIDE = 16,
    WIDE_MOST = 32, // words for which ICU is asked: 0.5 us each
    SHORT = 4,      // letters of a word in which digits are hardly a number
};

struct letters {
    uint32_t at[LETTERS_MOST + STRIDE]; // so that sixteen can be written at a time
    size_t n, n_wide;                   // words that had letters of other scripts
    // of the words: all; with digits or signs before a letter; of nothing but such digits
    size_t n_words, n_leet, n_digits;
    size_t n_drawn;    // letters that stand three times or more
    bool counts_drawn; // else there are none
    bool is_leet;      // digits and signs are letters wherever they stand
    bool is_drawn;     // however often a letter is repeated, it is one
};

// What there is in a word; CHAR_SIGN: ASCII, and neither letter nor digit.
enum { CHAR_WIDE = 1, CHAR_LEET = 2, CHAR_SIGN = 4 };
static const unsigned char
    char_class[256] =
        {
            [0 ... ' '] = CHAR_SIGN,       ['!'] = CHAR_LEET | CHAR_SIGN,
            ['"' ... '#'] = CHAR_SIGN,     ['$'] = CHAR_LEET | CHAR_SIGN,
            ['%' ... '*'] = CHAR_SIGN,     ['+'] = CHAR_LEET | CHAR_SIGN,
            [',' ... '/'] = CHAR_SIGN,     ['0' ... '9'] = CHAR_LEET,
            [':' ... '?'] = CHAR_SIGN,     ['@'] = CHAR_LEET | CHAR_SIGN,
            ['[' ... '`'] = CHAR_SIGN,     ['{'] = CHAR_SIGN,
            ['|'] = CHAR_LEET | CHAR_SIGN, ['}' ... 0x7F] = CHAR_SIGN,
            [0x80 ... 0xFF] = CHAR_WIDE,
};

/* Of people: such a word says nothing about who wrote the rest. */
struct names {
    struct str at[COUNT_OF(((struct lure_people *)0)->names)];
    size_t n;
    uint64_t lengths; // a bit each, modulo 64: most words have none of them
};

static struct names names_of(const struct lure_people *people)
{
    struct names names = {.n = people != NULL ? people->n : 0};
    for (size_t i = 0; i < names.n; i++) {
        names.at[i] = str_first(people->names[i], str_find_char(people->names[i], '@'));
        names.lengths |= UINT64_C(1) << (names.at[i].len & 63);
    }
    return names;
}

static bool may_be_name(const struct names *names, size_t len)
{
    return (names->lengths >> (len & 63) & 1) != 0;
}

static bool is_name(const struct names *names, struct str word)
{
    for (size_t i = 0; may_be_name(names, word.len) && i < names->n; i++)
        if (word.len == names->at[i].len && str_eq_nocase(word, names->at[i]))
            return true;
    return false;
}

/* Letters in the form that ICU's confusables lead to (l looks like i, and rn like m: below); digits
 * and signs that are written for a letter.  0: nothing of a word. */
static const char folded[128] = {
    ['!'] = 'i', ['$'] = 's', ['+'] = 't', ['0'] = 'o', ['1'] = 'i', ['3'] = 'e', ['4'] = 'a',
    ['5'] = 's', ['7'] = 't', ['@'] = 'a', ['|'] = 'i', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'i', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'i',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

char lure_letter_of_digit(char c)
{
    return ascii_is_digit(c) && folded[(unsigned char)c] != 0 ? folded[(unsigned char)c] : c;
}

static char one_ascii(const UChar *text, int32_t len)
{
    return len == 1 && text[0] < 0x80 ? ascii_lower((char)text[0]) : 0;
}

char lure_plain_letter(const struct lure_rules *rules, uint32_t point)
{
    UChar written[2], lower[64], skeleton[64];
    int32_t n = 0;
    UErrorCode code = U_ZERO_ERROR;
    U16_APPEND_UNSAFE(written, n, (UChar32)point);
    int32_t len = unorm2_normalize(rules->folds, written, n, lower, COUNT_OF(lower), &code);
    char c = U_SUCCESS(code) ? one_ascii(lower, len) : 0;
    if (c != 0)
        return c;
    code = U_ZERO_ERROR; // as it is written: capitals have look-alikes of their own
    len = uspoof_getSkeleton(rules->lookalikes, 0, written, n, skeleton, COUNT_OF(skeleton), &code);
    return U_SUCCESS(code) ? one_ascii(skeleton, len) : 0;
}

static bool is_trimmed(const struct letters *letters, char c)
{
    return (char_class[(unsigned char)c] & CHAR_SIGN) != 0 &&
           !(letters->is_leet && c != '!' && folded[(unsigned char)c] != 0);
}

static bytes16 blanks16(bytes16 a)
{
    return (bytes16)(a <= ' ') | (bytes16)(a == 0x7F);
}

static bytes16 joints_or_blanks16(bytes16 a)
{
    return (bytes16)(a == '.') | (bytes16)(a == ':') | blanks16(a);
}

static bytes16 no_small_letters16(bytes16 a)
{
    return (bytes16)((bytes16)(a - 'a') > 'z' - 'a');
}

/* The first hit from `at` on, in a text behind which there is one, and room to read on. */
static inline __attribute__((always_inline)) const char *skip16(const char *at,
                                                                bytes16 (*hits16)(bytes16 a))
{
    bytes16 a;
    size_t n;
    do {
        memcpy(&a, at, sizeof a);
        n = first_of16(hits16(a));
        at += n;
    } while (n == sizeof a);
    return at;
}

/* Takes the next word without punctuation at its ends; whole: with it. */
static bool next_word(const struct letters *letters, struct str *rest, struct str *word,
                      struct str *whole)
{
    const char *at = rest->at, *end = rest->at + rest->len;
    while (at < end) {
        const char *from = at, *to = skip16(at, blanks16);
        *whole = str_make(from, (size_t)(to - from));
        at = to + (to < end);
        while (from < to && is_trimmed(letters, *from))
            from++;
        while (from < to && is_trimmed(letters, to[-1]))
            to--;
        if (from == to)
            continue;
        *word = str_make(from, (size_t)(to - from));
        *rest = str_make(at, (size_t)(end - at));
        return true;
    }
    return false;
}

/* Nor does one that names a link. */
static bool is_link(struct str word)
{
    const char *end = word.at + word.len, *at = word.at;
    bool is_first = true; // of its colons
    for (; (at = skip16(at, joints_or_blanks16)) + 1 < end; at++) {
        if (*at == '.' && at > word.at && ascii_is_alnum(at[1]))
            return true;
        if (*at == ':' && is_first) {
            if (at + 2 < end && at[1] == '/' && at[2] == '/')
                return true;
            is_first = false;
        }
    }
    return false;
}

static unsigned classes_of(struct str whole)
{
    unsigned classes = 0;
    for (size_t i = 0; i < whole.len; i++)
        classes |= char_class[(unsigned char)whole.at[i]];
    return classes;
}

// r and n are m, as skeletons have it the other way round.
static void add_letter(struct letters *letters, uint32_t letter)
{
    uint32_t last = letters->n > 0 ? letters->at[letters->n - 1] : 0;
    if (letter == last && letters->is_drawn)
        return;
    if (letter == 'n' && last == 'r') {
        letters->n -= letters->is_drawn && letters->n > 1 && letters->at[letters->n - 2] == 'm';
        letters->at[letters->n - 1] = 'm';
    } else if (letters->n < LETTERS_MOST) {
        letters->at[letters->n++] = letter;
    }
}

// Counts whether digits and signs stand in it as letters do.
static void weigh_leet(struct letters *letters, struct str word)
{
    bool before_letter = false, all = word.len <= SHORT;
    for (size_t i = 0; i < word.len; i++) {
        bool stands_for_one =
            !ascii_is_alpha(word.at[i]) && folded[(unsigned char)word.at[i] & 0x7F] != 0;
        all &= stands_for_one;
        before_letter |= stands_for_one && i + 1 < word.len && ascii_is_alpha(word.at[i + 1]);
    }
    letters->n_leet += before_letter;
    letters->n_digits += all;
}

/* As many add_letter while there is room for all, of a text that draws nothing out: most are, and
 * then no letter need be a branch. */
static inline void add_letters(struct letters *letters, struct str word)
{
    size_t n = letters->n;
    uint32_t last = n > 0 ? letters->at[n - 1] : 0;
    for (size_t i = 0; i < word.len; i++) {
        uint32_t letter = (unsigned char)folded[(unsigned char)word.at[i] & 0x7F];
        bool is_m = (letter == 'n') & (last == 'r');
        letter = is_m ? 'm' : letter;
        n -= is_m;
        letters->at[n] = letter;
        n += letter != 0;
        last = letter != 0 ? letter : last;
    }
    letters->n = n;
}

static inline void write_letters(uint32_t *to, bytes16 from)
{
#ifdef __SSE2__ // which compilers do not find by themselves
    const __m128i none = _mm_setzero_si128();
    __m128i *at = (__m128i *)(void *)to;
    __m128i low = _mm_unpacklo_epi8((__m128i)from, none);
    __m128i high = _mm_unpackhi_epi8((__m128i)from, none);
    _mm_storeu_si128(at, _mm_unpacklo_epi16(low, none));
    _mm_storeu_si128(at + 1, _mm_unpackhi_epi16(low, none));
    _mm_storeu_si128(at + 2, _mm_unpacklo_epi16(high, none));
    _mm_storeu_si128(at + 3, _mm_unpackhi_epi16(high, none));
#else
    for (size_t i = 0; i < STRIDE; i++)
        to[i] = from[i];
#endif
}

/* The same of a short word that is letters of ASCII; small: its bytes, and what is behind them, in
 * small letters.  False: some of them are an m, and nothing has been added. */
static inline bool add_plain_word(struct letters *letters, const char *word, size_t len,
                                  bytes16 small)
{
    bytes16 next;
    size_t n = letters->n;
    memcpy(&next, word + 1, sizeof next);
    if (first_of16((bytes16)(small == 'r') & (bytes16)((next | 32) == 'n')) < STRIDE ||
        ((word[0] | 32) == 'n' && n > 0 && letters->at[n - 1] == 'r'))
        return false;
    small -= (bytes16)(small == 'l') & ('l' - 'i');
    write_letters(letters->at + n, small); // what is behind the word counts for nothing
    letters->n = n + len;
    return true;
}

/* Takes as many such words as there are one after the other; none may be a name. */
static struct str add_plain_words(struct letters *letters, const struct names *names,
                                  struct str rest)
{
    const char *at = rest.at, *end = rest.at + rest.len;
    while (at < end) {
        bytes16 a;
        memcpy(&a, at, sizeof a);
        a |= 32;
        size_t len = first_of16(no_small_letters16(a));
        if (len == STRIDE || !is_blank((unsigned char)at[len]) || may_be_name(names, len) ||
            len > LETTERS_MOST - letters->n || !add_plain_word(letters, at, len, a))
            break;
        letters->n_words += len > 0;
        at += len + 1;
    }
    return at < end ? str_make(at, (size_t)(end - at)) : STR_EMPTY;
}

static void count_drawn(struct letters *letters, struct str word)
{
    for (size_t i = 2; i < word.len; i++)
        letters->n_drawn += word.at[i] == word.at[i - 1] && word.at[i] == word.at[i - 2];
}

static inline void add_ascii_word(struct letters *letters, struct str word)
{
    // digits at the end of a longer word count something, others may stand for letters
    size_t last = word.len;
    while (last > 0 && !letters->is_leet && !ascii_is_alpha(word.at[last - 1]))
        last--;
    if (last > 0 && word.len <= SHORT)
        last = word.len;
    if (letters->counts_drawn)
        count_drawn(letters, str_first(word, last));
    if (!letters->is_drawn && last <= LETTERS_MOST - letters->n) {
        add_letters(letters, str_first(word, last));
        return;
    }
    for (size_t i = 0; i < last; i++) {
        char c = folded[(unsigned char)word.at[i] & 0x7F];
        if (c != 0)
            add_letter(letters, (unsigned char)c);
    }
}

static void add_wide_word(const struct lure_rules *rules, struct letters *letters, struct str word)
{
    UChar written[WORD_MOST + 2], lower[4 * WORD_MOST], skeleton[4 * WORD_MOST];
    int32_t len = 0;
    size_t n;
    for (size_t i = 0; i < word.len && len < WORD_MOST; i += n) {
        uint32_t point = lure_utf8(str_skip(word, i), &n);
        if (!lure_is_invisible(point))
            U16_APPEND_UNSAFE(written, len, (UChar32)point);
    }
    UErrorCode code = U_ZERO_ERROR;
    len = unorm2_normalize(rules->folds, written, len, lower, COUNT_OF(lower), &code);
    int32_t end =
        uspoof_getSkeleton(rules->lookalikes, 0, lower, len, skeleton, COUNT_OF(skeleton), &code);
    if (U_FAILURE(code))
        return;
    letters->counts_drawn = true; // "w" of other scripts are six times "v"
    char ascii[WORD_MOST];
    size_t n_ascii = 0;
    for (int32_t i = 0; i < end;) {
        UChar32 point;
        U16_NEXT(skeleton, i, end, point);
        if (point < 0x80 && n_ascii < sizeof ascii) {
            ascii[n_ascii++] = (char)point;
            continue;
        }
        add_ascii_word(letters, str_make(ascii, n_ascii));
        n_ascii = 0;
        if (u_isalpha(point)) // without accents
            add_letter(letters, (uint32_t)point);
    }
    add_ascii_word(letters, str_make(ascii, n_ascii));
}

static void add_word(const struct lure_rules *rules, struct letters *letters, struct str word,
                     struct str whole)
{
    unsigned classes = classes_of(whole);
    if ((classes & CHAR_LEET) != 0)
        weigh_leet(letters, word);
    if ((classes & CHAR_WIDE) == 0) // which no end of a word loses
        add_ascii_word(letters, word);
    else if (letters->n_wide++ < WIDE_MOST)
        add_wide_word(rules, letters, word);
}

/* Behind the text there are blanks, and room to read on. */
static void fold_words(const struct lure_rules *rules, struct str text,
                       const struct lure_people *people, struct letters *letters)
{
    struct names names = names_of(people);
    struct str rest = text, word, whole;
    bool is_usual = !letters->is_drawn && !letters->counts_drawn;
    while (letters->n < LETTERS_MOST) {
        if (is_usual)
            rest = add_plain_words(letters, &names, rest);
        if (letters->n == LETTERS_MOST || !next_word(letters, &rest, &word, &whole))
            break;
        bytes16 a;
        memcpy(&a, word.at, sizeof a);
        a |= 32;
        bool is_plain = word.len < STRIDE && first_of16(no_small_letters16(a)) >= word.len;
        if ((!is_plain && is_link(word)) || is_name(&names, word))
            continue;
        letters->n_words++;
        if (!is_plain || !is_usual || word.len > LETTERS_MOST - letters->n ||
            !add_plain_word(letters, word.at, word.len, a))
            add_word(rules, letters, word, whole);
    }
}

static bytes16 repeated16(bytes16 a, bytes16 b, bytes16 c)
{
    return (bytes16)(a == b) & (bytes16)(b == c) & (bytes16)(a > ' ');
}

/* Whether any character stands three times, but for those of "www." in a link. */
static bool has_drawn(struct str text)
{
    size_t at = 0;
    while ((at = find_three16(text, at, repeated16)) + 4 < text.len &&
           str_starts(str_skip(text, at), STR("www.")) && ascii_is_alnum(text.at[at + 4]))
        at += strlen("www.");
    return at < text.len;
}

// A few of its words say that the others are to be read in the same way.
static bool looks_leet(const struct letters *letters)
{
    size_t n = letters->n_leet + letters->n_digits;
    return letters->n_leet > 0 && n > 1 && 3 * n >= letters->n_words;
}

/* Digits for letters, and letters said again and again, are taken for what they stand for only in a
 * text that is full of them: "the 15th" and "will" are as they are. */
static void fold_dressed(const struct lure_rules *rules, struct str text,
                         const struct lure_people *people, struct letters *letters)
{
    char copy[TEXT_MOST + 2 * STRIDE];
    text = str_first(text, text.len < TEXT_MOST ? text.len : TEXT_MOST);
    memcpy(copy, text.at, text.len);
    memset(copy + text.len, 0, 2 * STRIDE);
    text.at = copy;
    letters->is_leet = letters->is_drawn = false;
    letters->counts_drawn = has_drawn(text);
    for (int look = 0; look < 2; look++) {
        letters->n = letters->n_wide = 0;
        letters->n_words = letters->n_leet = letters->n_digits = letters->n_drawn = 0;
        fold_words(rules, text, people, letters);
        letters->is_leet = looks_leet(letters);
        letters->is_drawn = letters->n_drawn > 1;
        if (!letters->is_leet && !letters->is_drawn)
            return;
    }
}

uint64_t lure_text_shape(const struct lure_list *list, struct str text,
                         const struct lure_people *people)
{
    struct letters letters;
    fold_dressed(list->rules, text, people, &letters);
    if (letters.n < LETTERS_LEAST)
        return 0;
    return minhash(letters.at, letters.n);
}

static bool is_quoted(struct str line)
{
    while (line.len > 0 && is_blank((unsigned char)line.at[0]))
        line = str_skip(line, 1);
    return str_starts(line, STR(">")) || str_starts(line, STR("\xC2\xBB"));
}

static bool has_quoted_line(struct str text)
{
    while (text.at != NULL)
        if (is_quoted(str_cut(&text, '\n')))
            return true;
    return false;
}

static bool has_link(const struct lure_list *list, const struct lure *lure)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->lures[i].kind == LURE_LINK && str_eq(list->lures[i].url, lure->url))
            return true;
    return false;
}

/* Whether every lure stands in lines that quote, and none in the others or outside the text. */
static bool is_quotation(const struct lure_list *list, struct str text)
{
    if (!has_quoted_line(text)) // most texts: not worth a second look for links
        return false;
    struct arena scratch;
    arena_init(&scratch, 64 * 1024 * 1024);
    struct lure_list quoted, own;
    lure_list_init(&quoted, list->rules, &scratch);
    lure_list_init(&own, list->rules, &scratch);
    while (text.at != NULL && own.n == 0) {
        struct str line = str_cut(&text, '\n');
        lure_scan_text(is_quoted(line) ? &quoted : &own, line);
    }
    bool all = own.n == 0 && !own.overflowed && !quoted.overflowed;
    for (size_t i = 0; i < list->n && all; i++)
        all = list->lures[i].kind == LURE_LINK && has_link(&quoted, &list->lures[i]);
    arena_done(&scratch);
    return all;
}

/* ---- Words of warning ------------------------------------------------------------------------ */

static const char *const warnings[] = {
    // English
    "don't click",
    "dont click",
    "do not click",
    "don't open",
    "dont open",
    "do not open",
    "not click on",
    "never click",
    "is a virus",
    "is a worm",
    "it's a virus",
    "its a virus",
    "it's a worm",
    "phishing",
    "malware",
    "got hacked",
    "been hacked",
    "not from me",
    "wasn't me",
    "wasnt me",
    "didn't send",
    "did not send",
    // German
    "nicht klicken",
    "nicht anklicken",
    "nicht draufklicken",
    "nicht \303\266ffnen",
    "ein virus",
    "nicht aufmachen",
    "nicht von mir",
    // French, Spanish, Portuguese, Italian, Dutch, Polish
    "ne clique",
    "ne cliquez",
    "n'ouvre",
    "un virus",
    "no hagas clic",
    "no abras",
    "no hagan clic",
    "n\xC3\xA3o clique",
    "n\xC3\xA3o abra",
    "um v\xC3\xADrus",
    "non cliccare",
    "non aprire",
    "niet klikken",
    "niet openen",
    "nie klikaj",
    "nie otwieraj",
    // Russian
    "\xD0\xBD\xD0\xB5 \xD0\xBE\xD1\x82\xD0\xBA\xD1\x80\xD1\x8B\xD0\xB2\xD0\xB0",
    "\xD0\xBD\xD0\xB5 \xD0\xBD\xD0\xB0\xD0\xB6\xD0\xB8\xD0\xBC\xD0\xB0",
    "\xD0\xB2\xD0\xB8\xD1\x80\xD1\x83\xD1\x81",
};

/* A text is looked at in every fourth place only, for four bytes of a phrase: its first, or those
 * from the second, third or fourth on.  One of the four falls on such a place. */
enum { STEP = 4, LOOKED_AT = 4 };

// Whatever their case.
static uint32_t four_at(const char *at)
{
    uint32_t four;
    memcpy(&four, at, sizeof four);
    return four | 0x20202020U;
}

static uint32_t hash_four(uint32_t four)
{
    return four * 0x9E3779B1U;
}

// Where a chain begins.
static size_t warning_slot(uint32_t hash)
{
    return hash >> 22;
}

// Most places of most texts are in no phrase: a bit says so, of so many that hardly one is set.
static bool may_warn(const struct warning_index *index, uint32_t hash)
{
    return (index->bits[hash >> 25] >> (hash >> 19 & 63) & 1) != 0;
}

void warnings_index(struct warning_index *index)
{
    _Static_assert(STEP * COUNT_OF(warnings) < COUNT_OF(index->next), "0 ends a chain");
    _Static_assert(COUNT_OF(index->next) <= UINT8_MAX + 1, "its numbers are bytes");
    *index = (struct warning_index){0};
    for (size_t i = 0; i < STEP * COUNT_OF(warnings); i++) {
        const char *phrase = warnings[i / STEP];
        must(strlen(phrase) >= STEP - 1 + LOOKED_AT);
        index->four[i + 1] = four_at(phrase + i % STEP);
        uint32_t hash = hash_four(index->four[i + 1]);
        index->bits[hash >> 25] |= UINT64_C(1) << (hash >> 19 & 63);
        uint8_t *slot = &index->first[warning_slot(hash)];
        index->next[i + 1] = *slot;
        *slot = (uint8_t)(i + 1);
    }
}

/* Whether one of the phrases of this chain stands around the place, where the four bytes are. */
static bool has_phrase(const struct warning_index *index, size_t i, struct str text, size_t at,
                       uint32_t four)
{
    for (; i != 0; i = index->next[i]) {
        size_t before = (i - 1) % STEP;
        if (index->four[i] != four || before > at)
            continue;
        struct str phrase = str_of(warnings[(i - 1) / STEP]);
        struct str rest = str_skip(text, at - before);
        if (phrase.len <= rest.len && str_eq_nocase(str_first(rest, phrase.len), phrase))
            return true;
    }
    return false;
}

static bool has_words_of_warning(const struct warning_index *index, struct str text)
{
    for (size_t at = 0; at + LOOKED_AT <= text.len; at += STEP) {
        uint32_t four = four_at(text.at + at);
        uint32_t hash = hash_four(four);
        if (may_warn(index, hash) &&
            has_phrase(index, index->first[warning_slot(hash)], text, at, four))
            return true;
    }
    return false;
}

bool lure_text_warns(const struct lure_list *list, struct str text)
{
    if (list->n == 0)
        return false;
    size_t dead = 0;
    for (size_t i = 0; i < list->n; i++)
        dead += (list->lures[i].flags & (LURE_DEFANGED | LURE_SPELLED)) == LURE_DEFANGED;
    if (dead == list->n)
        return true;
    struct str trimmed = str_trim(text);
    if (trimmed.at == NULL)
        return false;
    if (is_quotation(list, trimmed))
        return true;
    size_t most = trimmed.len < TEXT_MOST ? trimmed.len : TEXT_MOST;
    return has_words_of_warning(&list->rules->warnings, str_first(trimmed, most));
}

/* The dot or colon that the character at `at` is or stands for, before the end of the word. */
static char joint_at(struct str word, size_t at, size_t *len)
{
    uint32_t point = lure_utf8(str_skip(word, at), len);
    if (at + *len == word.len)
        return 0;
    if (point == '.' || point == 0x3002 || point == 0xFF61 || point == 0x2024 || point == 0xFE52 ||
        point == 0xFF0E)
        return '.';
    return point == ':' || point == 0xFF1A ? ':' : 0;
}

/* Leaves of the name at the end of what was written only its beginning.  Returns the new length. */
static size_t cut_name(char *out, size_t len)
{
    size_t end = len;
    while (end > 0 && is_blank((unsigned char)out[end - 1]))
        end--;
    size_t from = end;
    while (from > 0 && (ascii_is_alnum(out[from - 1]) || out[from - 1] == '-' ||
                        (unsigned char)out[from - 1] >= 0x80))
        from--;
    size_t keep = from, n;
    for (int i = 0; i < 2 && keep < end; i++, keep += n)
        (void)lure_utf8(str_make(out + keep, end - keep), &n);
    if (keep >= end)
        return len;
    static const char cut[] = "\xE2\x80\xA6";
    memmove(out + keep + strlen(cut), out + end, len - end); // the blanks
    memcpy(out + keep, cut, strlen(cut));
    return keep + strlen(cut) + len - end;
}

/* The text without the names that its writer made dead himself; the text itself if none is there.
 */
static struct str cut_dead_names(const struct lure_rules *rules, struct arena *scratch,
                                 struct str text)
{
    struct lure_list list;
    lure_list_init(&list, rules, scratch);
    lure_scan_text(&list, text);
    if (list.n == 0 && !list.overflowed)
        return text;
    struct str whole = text;
    unsigned flags = 0;
    text = lure_fold(rules, scratch, text, &flags);
    char *out = arena_alloc(scratch, 2 * text.len + 64);
    size_t len = 0;
    bool any = false;
    for (size_t i = 0; i < text.len;) {
        size_t n = lure_dead_dot(rules, text, i);
        any |= n > 0;
        if (n > 0)
            len = cut_name(out, len);
        else
            n = 1;
        memcpy(out + len, text.at + i, n);
        len += n;
        i += n;
    }
    return any ? str_make(out, len) : whole;
}

static bool all_are_dead(const struct lure_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        if ((list->lures[i].flags & LURE_DEFANGED) == 0)
            return false;
    return !list->overflowed;
}

static bool has_address(const struct lure_rules *rules, struct arena *scratch, struct str text)
{
    struct lure_list list;
    lure_list_init(&list, rules, scratch);
    lure_scan_text(&list, text);
    bool has = list.overflowed;
    for (size_t i = 0; i < list.n; i++)
        has |= (list.lures[i].flags & LURE_IP_HOST) != 0;
    return has;
}

enum err lure_defang(const struct lure_rules *rules, struct arena *arena, struct str text,
                     struct str *out)
{
    size_t most = 3 * text.len + 64;
    if (!arena_fits(arena, most))
        return ERR_LIMIT;
    struct arena cut, scratch;
    arena_init(&cut, 64 * 1024 * 1024);
    arena_init(&scratch, 64 * 1024 * 1024);
    char *copy = arena_alloc(arena, most);
    size_t len = 0, i = 0;
    struct str whole = text;
    text = cut_dead_names(rules, &cut, whole);
    bool changed = text.at != whole.at;
    bool may_be_sent = has_address(rules, &cut, text); // "go to 203.0.113.5": two words
    while (i < text.len) {
        size_t from = i;
        while (i < text.len && is_blank((unsigned char)text.at[i]))
            i++;
        memcpy(copy + len, text.at + from, i - from);
        len += i - from;
        from = i;
        while (i < text.len && !is_blank((unsigned char)text.at[i]))
            i++;
        struct str word = str_make(text.at + from, i - from);
        struct lure_list list;
        lure_list_init(&list, rules, &scratch);
        lure_scan_text(&list, word);
        bool dead = list.n > 0 || list.overflowed;
        bool by_hand = dead && all_are_dead(&list); // "hxxp://evil.example/"
        if (!dead && may_be_sent && word.len > 0) {
            struct str sent = arena_printf(&scratch, "open %.*s", STR_ARGS(word));
            dead = by_hand = has_address(rules, &scratch, sent); // can but be typed
        }
        changed |= dead;
        for (size_t k = 0, n; k < word.len; k += n) {
            char joint = dead ? joint_at(word, k, &n) : 0;
            if (joint == 0 || (k > 0 && word.at[k - 1] == '[')) { // or dead already
                copy[len++] = word.at[k];
                n = 1;
                continue;
            }
            if (by_hand && joint == '.')
                len = cut_name(copy, len);
            copy[len++] = '[';
            copy[len++] = joint;
            copy[len++] = ']';
        }
        arena_reset(&scratch);
    }
    arena_done(&scratch);
    arena_done(&cut);
    *out = changed ? str_make(copy, len) : whole;
    return OK;
}
