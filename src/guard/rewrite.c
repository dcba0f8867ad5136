/*
 * Putting other links in the place of those of a text.
 *
 * Extraction (scan.c) reads a folded copy and tells what there is, not where.
 * So each word that has a link is narrowed, by halves, to the shortest piece
 * that still gives the same one: some twenty scans of a short text.  What was
 * put together is scanned again; a word in which something is left that should
 * have been replaced, because of glue nobody foresaw, is replaced whole.
 */
#include "guard/lure_internal.h"

#include "base/buf.h"

enum {
    SCRATCH_MOST = 16 * 1024 * 1024,
    // what is longer, or has more, is replaced whole: each narrowing costs its length again
    WORD_MOST = 1024,
    LINKS_MOST = 2,
    EDITS_MOST = 4096,
    COLONS_MOST = 4,
};

struct rewrite {
    const struct lure_rules *rules;
    struct arena *scratch; // emptied after each word
    struct arena *probe;   // after each look
    lure_instead_fn *instead;
    void *context;
    struct buf out;
    struct lure_edit *edits;
    size_t n_edits;
    size_t n_chars; // of the text, so far
    bool changed;
};

static bool ends_word(char c)
{
    return is_blank((unsigned char)c) || c == '<' || c == '>' || c == '"' || c == '`';
}

static size_t count_chars(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
    return n;
}

static void scan_word(struct rewrite *rewrite, struct str word, struct lure_list *list)
{
    lure_list_init(list, rewrite->rules, rewrite->scratch);
    lure_scan_text(list, word);
}

static bool has_url(struct rewrite *rewrite, struct str piece, struct str url)
{
    struct lure_list list;
    lure_list_init(&list, rewrite->rules, rewrite->probe);
    lure_scan_text(&list, piece);
    bool found = false;
    for (size_t i = 0; i < list.n; i++)
        found |= str_eq(list.lures[i].url, url) && (list.lures[i].flags & LURE_DEFANGED) == 0;
    arena_reset(rewrite->probe);
    return found;
}

static struct str replacement(const struct rewrite *rewrite, const struct lure *lure)
{
    if (lure->kind != LURE_LINK || (lure->flags & LURE_DEFANGED) != 0)
        return (struct str){NULL, 0};
    return rewrite->instead(rewrite->context, lure);
}

// A host alone is a link too, and so is what stands behind "http://somebody@": back to the scheme.
static size_t with_scheme(struct rewrite *rewrite, struct str word, struct str url, size_t from)
{
    static const struct str schemes[] = {
        {"https", 5},
        {"http",  4},
        {"ftp",   3}
    };
    size_t n_colons = 0;
    for (size_t colon = from; colon-- > 0 && n_colons < COLONS_MOST;) {
        if (word.at[colon] != ':')
            continue;
        n_colons++;
        for (size_t i = 0; i < COUNT_OF(schemes); i++) {
            size_t len = schemes[i].len;
            if (colon >= len && str_eq_nocase(str_make(word.at + colon - len, len), schemes[i]) &&
                has_url(rewrite, str_skip(word, colon - len), url))
                return colon - len;
        }
    }
    return from;
}

// The last beginning, and then the first end, between which the link is still the same.
static bool narrow(struct rewrite *rewrite, struct str word, struct str url, size_t *from,
                   size_t *to)
{
    size_t low = 0, high = word.len; // has it from low on, not from high on
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (has_url(rewrite, str_skip(word, middle), url))
            low = middle;
        else
            high = middle;
    }
    *from = with_scheme(rewrite, word, url, low);
    size_t least = *from, most = word.len; // has it up to most, not up to least
    while (most - least > 1) {
        size_t middle = least + (most - least) / 2;
        if (has_url(rewrite, str_make(word.at + *from, middle - *from), url))
            most = middle;
        else
            least = middle;
    }
    // "http://a.example" and "http://a.example/" are one: what may follow belongs to it
    while (most < word.len && strchr("/?#", word.at[most]) != NULL &&
           has_url(rewrite, str_make(word.at + *from, most + 1 - *from), url))
        most++;
    *to = most;
    return has_url(rewrite, str_make(word.at + *from, *to - *from), url);
}

static void note_edit(struct rewrite *rewrite, struct str before, struct str old, struct str new)
{
    size_t from = rewrite->n_chars + count_chars(before);
    if (rewrite->n_edits < EDITS_MOST)
        rewrite->edits[rewrite->n_edits++] =
            (struct lure_edit){from, from + count_chars(old), count_chars(new)};
}

// All its links side by side: what else was in the word is lost.
static void replace_whole(struct rewrite *rewrite, struct str word, const struct lure_list *list)
{
    size_t began = rewrite->out.len;
    for (size_t i = 0; i < list->n; i++) {
        struct str instead = replacement(rewrite, &list->lures[i]);
        if (rewrite->out.len > began)
            buf_add_char(&rewrite->out, ' ');
        buf_add(&rewrite->out, instead.at != NULL ? instead : list->lures[i].url);
    }
    note_edit(rewrite, STR_EMPTY, word, str_skip(buf_str(&rewrite->out), began));
}

// The leftmost link of the word that is to be replaced.
static bool find_first(struct rewrite *rewrite, struct str word, size_t *from, size_t *to,
                       struct str *instead)
{
    struct lure_list list;
    scan_word(rewrite, word, &list);
    bool found = false;
    for (size_t i = 0; i < list.n; i++) {
        size_t at, end;
        struct str with = replacement(rewrite, &list.lures[i]);
        if (with.at == NULL || !narrow(rewrite, word, list.lures[i].url, &at, &end) ||
            (found && at >= *from))
            continue;
        // the same one twice: narrowing found the last
        struct str before = str_first(word, at);
        while (has_url(rewrite, before, list.lures[i].url) &&
               narrow(rewrite, before, list.lures[i].url, &at, &end))
            before = str_first(word, at);
        found = true;
        *from = at;
        *to = end;
        *instead = with;
    }
    return found;
}

static bool is_clean(struct rewrite *rewrite, struct str word)
{
    struct lure_list list;
    scan_word(rewrite, word, &list);
    for (size_t i = 0; i < list.n; i++)
        if (replacement(rewrite, &list.lures[i]).at != NULL)
            return false;
    return !list.overflowed;
}

static void rewrite_word(struct rewrite *rewrite, struct str word)
{
    struct lure_list list;
    scan_word(rewrite, word, &list);
    size_t n_wanted = 0;
    for (size_t i = 0; i < list.n; i++)
        n_wanted += replacement(rewrite, &list.lures[i]).at != NULL;
    if (n_wanted == 0) {
        buf_add(&rewrite->out, word);
        return;
    }
    rewrite->changed = true;
    size_t began = rewrite->out.len, n_edits = rewrite->n_edits, from = 0, to = 0, done = 0;
    struct str instead = STR_EMPTY;
    bool narrows = word.len <= WORD_MOST && list.n <= LINKS_MOST;
    for (size_t i = 0; narrows && i < (size_t)2 * LINKS_MOST &&
                       find_first(rewrite, str_skip(word, done), &from, &to, &instead);
         i++) {
        struct str rest = str_skip(word, done);
        note_edit(rewrite, str_first(word, done + from), str_make(rest.at + from, to - from),
                  instead);
        buf_add(&rewrite->out, str_first(rest, from));
        buf_add(&rewrite->out, instead);
        done += to;
    }
    buf_add(&rewrite->out, str_skip(word, done));
    if (narrows && is_clean(rewrite, str_skip(buf_str(&rewrite->out), began)))
        return;
    rewrite->out.len = began;
    rewrite->n_edits = n_edits;
    replace_whole(rewrite, word, &list);
}

enum err lure_rewrite(const struct lure_rules *rules, struct arena *arena, struct str text,
                      lure_instead_fn *instead, void *context, struct str *out,
                      struct lure_edits *edits)
{
    struct lure_list any;
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MOST);
    lure_list_init(&any, rules, &scratch);
    lure_scan_text(&any, text);
    bool none = any.n == 0 && !any.overflowed;
    arena_reset(&scratch);
    if (edits != NULL)
        *edits = (struct lure_edits){NULL, 0};
    if (none) {
        arena_done(&scratch);
        *out = text;
        return OK;
    }
    struct arena kept, probe; // of the edits
    arena_init(&probe, SCRATCH_MOST);
    arena_init(&kept, EDITS_MOST * sizeof(struct lure_edit) + 64);
    struct rewrite rewrite = {.rules = rules,
                              .scratch = &scratch,
                              .probe = &probe,
                              .instead = instead,
                              .context = context,
                              .edits = arena_make_array(&kept, struct lure_edit, EDITS_MOST)};
    buf_init(&rewrite.out, SCRATCH_MOST);
    for (size_t i = 0; i < text.len;) {
        size_t from = i;
        while (i < text.len && ends_word(text.at[i]))
            i++;
        struct str gap = str_make(text.at + from, i - from);
        buf_add(&rewrite.out, gap);
        rewrite.n_chars += count_chars(gap);
        from = i;
        while (i < text.len && !ends_word(text.at[i]))
            i++;
        struct str word = str_make(text.at + from, i - from);
        rewrite_word(&rewrite, word);
        rewrite.n_chars += count_chars(word);
        arena_reset(&scratch);
    }
    enum err e = rewrite.out.overflowed ? ERR_LIMIT : OK;
    size_t size = rewrite.out.len + rewrite.n_edits * sizeof(struct lure_edit) + 64;
    if (e == OK && rewrite.changed && !arena_fits(arena, size))
        e = ERR_LIMIT;
    if (e == OK)
        *out = rewrite.changed ? arena_str(arena, buf_str(&rewrite.out)) : text;
    if (e == OK && edits != NULL && rewrite.n_edits > 0) {
        edits->at = arena_make_array(arena, struct lure_edit, rewrite.n_edits);
        memcpy(edits->at, rewrite.edits, rewrite.n_edits * sizeof *rewrite.edits);
        edits->n = rewrite.n_edits;
    }
    buf_done(&rewrite.out);
    arena_done(&kept);
    arena_done(&probe);
    arena_done(&scratch);
    return e;
}
