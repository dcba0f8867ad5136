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

// How a word for a dot begins (dot_words below), in lower case; 0 as a digit is 0x30.
static bytes16 said16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 dot =
        (bytes16)(a == 'd') & ((bytes16)(b == 'o') | (bytes16)(b == '0')) & (bytes16)(c == 't');
    bytes16 point =
        (bytes16)(a == 'p') & (((bytes16)(b == 'u') & (bytes16)(c == 'n')) |
                               ((bytes16)(b == 'o') & ((bytes16)(c == 'n') | (bytes16)(c == 'i'))));
    return dot | point;
}

static bytes16 hints16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 dot = (bytes16)(a == '.') & (bytes16)(b > ' ') & ~(bytes16)(b == '.');
    bytes16 b_folded = b | 32;
    bytes16 colon =
        (bytes16)(a == ':') &
        ((bytes16)(b == '/') | (bytes16)(b == '\\') | (bytes16)(b == ']') | (bytes16)(b == '[') |
         (bytes16)(b >= 0x80) | ((bytes16)(b_folded >= 'a') & (bytes16)(b_folded <= 'z')));
    bytes16 c_folded = c | 32;
    bytes16 word = said16(a | 32, b_folded, c_folded);
    // U+3002, U+2024; U+FF0E, U+FF1A; U+FF61; U+FE52: dots and a colon of other scripts
    bytes16 wide = ((bytes16)(a == 0x80) & ((bytes16)(b == 0x82) | (bytes16)(b == 0xA4))) |
                   ((bytes16)(a == 0xBC) & ((bytes16)(b == 0x8E) | (bytes16)(b == 0x9A))) |
                   ((bytes16)(a == 0xBD) & (bytes16)(b == 0xA1)) |
                   ((bytes16)(a == 0xB9) & (bytes16)(b == 0x92));
    return dot | colon | word | wide;
}

// Most texts have none of this.
static bytes16 may_hint16(bytes16 a, bytes16 b, bytes16 c)
{
    bytes16 folded = a | 32;
    return (bytes16)(a == '.') | (bytes16)(a == ':') | (bytes16)(a >= 0x80) |
           ((bytes16)(folded == 'd') & (bytes16)((c | 32) == 't')) |
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

// What may begin a dot or colon that cannot be clicked.
static bytes16 defanged16(bytes16 a, bytes16 b, bytes16 c)
{
    return (bytes16)((a | 32) == '{') | (bytes16)(a == '(') | // and '['
           ((bytes16)(a == ' ') & ((bytes16)((b | 32) == 'd') | (bytes16)((b | 32) == 'p')) &
            ((bytes16)((c | 32) == 'o') | (bytes16)((c | 32) == 'u') | (bytes16)((c | 32) == '0')));
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
 * only in English: "punto de vista", "point de vue" are no hosts. */
static const struct dot_word {
    struct str word;
    const char *suffixes;
} dot_words[] = {
    {{"dot", 3},   ""          },
    {{"d0t", 3},   ""          },
    {{"punkt", 5}, " de at ch "},
    {{"point", 5}, " fr "      },
    {{"punto", 5}, " it "      },
    {{"ponto", 5}, " br pt "   },
    {{"punt", 4},  " nl "      },
};

static bool is_said_suffix(const struct lure_rules *rules, const struct dot_word *dot,
                           struct str label)
{
    static const char everywhere[] = " com org net info biz app dev xyz online site shop club "
                                     "live link click website store tech ";
    char spaced[16], lower[14];
    if (label.len < 2 || label.len > sizeof lower)
        return false;
    for (size_t i = 0; i < label.len; i++)
        lower[i] = ascii_lower(label.at[i]);
    label.at = lower;
    spaced[0] = spaced[label.len + 1] = ' ';
    memcpy(spaced + 1, lower, label.len);
    struct str wanted = str_make(spaced, label.len + 2);
    struct str listed = str_of(everywhere), own = str_of(dot->suffixes);
    if (str_find(listed, wanted) < listed.len || str_find(own, wanted) < own.len)
        return true;
    return own.len == 0 && label.len == 2 && !begins_sentence(label) &&
           url_has_suffix(rules, label);
}

/* "example dot com": the length of the blanks and the word before the suffix; 0: there is none. */
static size_t spelled_dot(const struct lure_rules *rules, struct str text, size_t at)
{
    if (at == 0 || !ascii_is_alnum(text.at[at - 1]))
        return 0;
    size_t from = skip_spaces(text, at), to = from, end;
    while (to < text.len && ascii_is_alnum(text.at[to]))
        to++;
    struct str word = str_make(text.at + from, to - from);
    if (to == text.len || text.at[to] != ' ')
        return 0;
    to = end = skip_spaces(text, to);
    while (end < text.len && ascii_is_alnum(text.at[end]))
        end++;
    for (size_t i = 0; i < COUNT_OF(dot_words); i++)
        if (str_eq_nocase(word, dot_words[i].word))
            return is_said_suffix(rules, &dot_words[i], str_make(text.at + to, end - to)) ? to - at
                                                                                          : 0;
    return 0;
}

size_t lure_dead_dot(const struct lure_rules *rules, struct str text, size_t at)
{
    char c = text.at[at], meaning = 0;
    if (c == ' ')
        return spelled_dot(rules, text, at);
    size_t n = c == '[' || c == '(' || c == '{' ? bracketed(text, at, &meaning) : 0;
    return meaning == DEAD_DOT ? n : 0;
}

/* Puts markers where a dot or colon was written so that nothing can be clicked. */
static struct str fold_defanged(const struct lure_rules *rules, struct arena *scratch,
                                struct str text)
{
    if (find_three16(text, 0, defanged16) == text.len)
        return text;
    char *out = arena_alloc(scratch, text.len + 2);
    size_t len = 0, i = 0;
    while (i < text.len) {
        size_t at = find_three16(text, i, defanged16);
        while (at > i && at < text.len && text.at[at] == ' ' && text.at[at - 1] == ' ')
            at--; // what is said begins with its first blank
        memcpy(out + len, text.at + i, at - i);
        len += at - i;
        i = at;
        if (i == text.len)
            break;
        char c = text.at[i], meaning = 0;
        size_t n = c == '[' || c == '(' || c == '{' ? bracketed(text, i, &meaning) : 0;
        size_t said = c == ' ' ? spelled_dot(rules, text, i) : 0;
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
        } else if (said > 0) {
            out[len++] = SAID_DOT;
            i += said;
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
    bool digits = true, wide = false;
    for (size_t i = 0; i < run.len; i++) {
        char c = run.at[i];
        if (c == '.' || is_dead_dot(c)) {
            dots++;
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
    if (digits) {
        if (dots != 3 || !(path || port)) // else a version number
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
        if (!path && !www && ((joined && !port) || ends_file(label)))
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
    arena_init(&folded, 2 * text.len + 64);
    arena_init(&scratch, SCRATCH_MOST);
    struct scan scan = {.list = list, .scratch = &scratch};
    text = fold_defanged(list->rules, &folded, fold_unicode(&folded, text, &scan.flags));
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

void lure_scan_text(struct lure_list *list, struct str text)
{
    if (find_three16_if(text, 0, may_hint16, hints16) < text.len)
        scan_slowly(list, text);
}
