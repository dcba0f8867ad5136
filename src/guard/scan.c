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
#include "guard/spelled_internal.h"

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
static struct str fold_unicode(const struct lure_rules *rules, struct arena *scratch,
                               struct str text, unsigned *flags)
{
    char *out = NULL;
    size_t len = 0, copied = 0; // of the text, to here
    for (size_t i = find_wide(text, 0), n; i < text.len; i = find_wide(text, i + n)) {
        unsigned facts = point_at(rules, text, i, &n);
        if ((facts & POINT_FOLDS) == 0)
            continue;
        if (out == NULL)
            out = arena_alloc(scratch, text.len);
        memcpy(out + len, text.at + copied, i - copied);
        len += i - copied;
        copied = i + n;
        uint32_t point = lure_utf8(str_skip(text, i), &n);
        if ((facts & POINT_INVISIBLE) == 0)
            out[len++] = point >= 0xFF01 && point <= 0xFF5E ? (char)(point - 0xFF01 + '!')
                         : (facts & POINT_STOP) != 0        ? '.'
                                                            : ' ';
        // emoji are full of selectors; inside a word or a host they hide something
        else if (len > 0 && is_joint(out[len - 1]) && copied < text.len &&
                 is_joint(text.at[copied]))
            *flags |= LURE_HIDDEN;
    }
    if (out == NULL)
        return text;
    memcpy(out + len, text.at + copied, text.len - copied);
    return str_make(out, len + text.len - copied);
}

static size_t skip_spaces(struct str text, size_t at)
{
    while (at < text.len && text.at[at] == ' ')
        at++;
    return at;
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
    } else if (lure_word_at(text, i, "dot")) {
        *meaning = DEAD_DOT;
        i += 3;
    } else if (lure_word_at(text, i, "://")) {
        *meaning = DEAD_COLON;
        i += 3;
    } else if (i < text.len && text.at[i] == ':') {
        *meaning = DEAD_COLON;
        i++;
    }
    i = skip_spaces(text, i);
    return *meaning != 0 && i < text.len && text.at[i] == close ? i + 1 - at : 0;
}

size_t lure_dead_dot(const struct lure_rules *rules, struct str text, size_t at)
{
    char c = text.at[at], meaning = 0;
    size_t n = spelled_dot_len(rules, text, at);
    if (n > 0)
        return n;
    n = c == '[' || c == '(' || c == '{' ? bracketed(text, at, &meaning) : 0;
    return meaning == DEAD_DOT ? n : 0;
}

struct str lure_fold(const struct lure_rules *rules, struct arena *scratch, struct str text,
                     unsigned *flags)
{
    text = fold_unicode(rules, scratch, text, flags);
    return find_one16(text, 0, wide16) == text.len ? text : spelled_fold(rules, scratch, text);
}

/* Whether hints16's hit at *at is one, as far as that is told soon; where not, *at is moved on. */
static bool is_hint(const struct lure_rules *rules, struct str text, size_t *at)
{
    size_t from = *at;
    if (ascii_is_alpha(text.at[from])) {
        *at += 1;
        return spelled_is_dot_word(text, said_from(text, from));
    }
    return (unsigned char)text.at[from] < 0x80 || spelled_hint(rules, text, at);
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
        } else if (spelled_dot(rules, text, word, &said) && said.from >= begun) {
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
static enum part part_at(const struct lure_rules *rules, struct str chunk, size_t at, size_t *len)
{
    unsigned char c = (unsigned char)chunk.at[at];
    *len = 1;
    if (c < 0x80)
        return (ascii_class[c] & CLASS_NAME) != 0 ? PART_NAME : PART_NONE;
    unsigned facts = point_at(rules, chunk, at, len);
    if ((facts & POINT_NAME) != 0)
        return PART_NAME;
    return (facts & (POINT_WORD | POINT_INVISIBLE)) == POINT_WORD ? PART_PICTURE : PART_NONE;
}

static size_t run_end(const struct lure_rules *rules, struct str chunk, size_t at,
                      bool with_pictures)
{
    size_t len;
    while (at < chunk.len) {
        if ((unsigned char)chunk.at[at] < 0x80) {
            at = find_one16(chunk, at, no_names16);
            if (at == chunk.len)
                break;
        }
        enum part part = part_at(rules, chunk, at, &len);
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
    return lure_word_at(chunk, at + 1, "http://") || lure_word_at(chunk, at + 1, "https://") ||
           lure_word_at(chunk, at + 1, "www.");
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

/* Each may have read far ahead: a text full of them would cost its square. */
static void count_failure(struct scan *scan)
{
    if (++scan->n_failed > FAILURES_MOST)
        scan->list->overflowed = true;
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
        count_failure(scan);
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
    bool www = lure_word_at(run, 0, "www.");
    struct str label = str_skip(run, last);
    size_t place = (size_t)(run.at - scan->text.at);
    if (digits) {
        // else a version number
        if (dots != 3 || !(path || port || dead ||
                           spelled_is_sent_to(scan->list->rules, scan->text, place, false)))
            return 0;
    } else if (!wide) {
        bool alpha = true;
        for (size_t i = 0; i < label.len; i++)
            alpha &= ascii_is_alpha(label.at[i]);
        if (label.len < 2 || (!alpha && !lure_word_at(label, 0, "xn--")))
            return 0;
        // of a suffix that is none nothing more need be read
        if (!url_has_suffix(scan->list->rules, lure_lower(scan->scratch, label)))
            return 0;
        bool joined = label.at[0] >= 'A' && label.at[0] <= 'Z' && label.at[1] >= 'a' &&
                      spelled_begins_sentence(label);
        // "test.py:12" is a line of a program
        bool is_file =
            ends_file(label) && (label.at[-1] != SAID_DOT ||
                                 !spelled_is_sent_to(scan->list->rules, scan->text, place, true));
        if (!path && !www && ((joined && !port) || is_file))
            return 0;
    } else {
        char *live = arena_alloc(scan->scratch, run.len);
        (void)undead(run, live);
        struct str host = lure_lower(scan->scratch, str_make(live, run.len));
        bool ip = false;
        // IDNA takes the square of a label's length: the last one says first whether it is worth it
        if (!url_may_have_suffix(scan->list->rules, scan->scratch, str_skip(host, last)))
            return 0;
        if (url_host(scan->list->rules, scan->scratch, host, &host, &ip) != OK) {
            count_failure(scan);
            return 0;
        }
        if (ip || !url_has_suffix(scan->list->rules, host))
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
    const struct lure_rules *rules = scan->list->rules;
    size_t i = 0, len, looked = 0;
    while (i < chunk.len && !scan->list->overflowed) {
        enum part part = part_at(rules, chunk, i, &len);
        if (part == PART_NONE) {
            i += len;
            continue;
        }
        size_t to = run_end(rules, chunk, i, false);
        if (i >= looked && to < chunk.len && (unsigned char)chunk.at[to] >= 0x80) {
            // once more with pictures, if one of them ended it
            looked = run_end(rules, chunk, i, true);
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
        if (end == 0 && next == '@' && !lure_word_at(chunk, to + 1, "www.")) {
            to = run_end(rules, chunk, to + 1, false); // an address of a person, not a link
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
    while (at < text.len) {
        if (is_hint(list->rules, text, &at)) {
            scan_slowly(list, text);
            return;
        }
        // most words of such texts are parted by one blank: not worth sixteen bytes
        at += at + 1 < text.len && text.at[at] == ' ' && (unsigned char)text.at[at + 1] >= 0xC2;
        if (at < text.len && (unsigned char)text.at[at] < 0xC2)
            at = find_three16_if(text, at, may_hint16, hints16);
    }
}

void lure_scan_text(struct lure_list *list, struct str text)
{
    size_t at = find_three16_if(text, 0, may_hint16, hints16);
    if (at < text.len)
        look_closer(list, text, at);
}
