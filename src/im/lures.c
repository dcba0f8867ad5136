/*
 * One walk over the tree.  What an element is matters less than what a client
 * may make of it: any attribute or element that holds an address to open is
 * taken as one, whatever its namespace, so that a new extension does not open a
 * hole.
 */
#include "im/lures.h"

#include "base/buf.h"

// Without case: some clients read XHTML as they read HTML.
static bool is_one_of(struct str name, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

static const struct str open_graph = {"https://ogp.me/ns#", 18}; // XEP-0511

// Text that a person reads, in which clients make links clickable.
static bool shows_text(const struct element *e)
{
    static const struct str names[] = {
        {"body",         4 },
        {"subject",      7 },
        {"status",       6 },
        {"desc",         4 },
        {"reason",       6 },
        {"text",         4 },
        {"nick",         4 },
 // forms, commands, published items
        {"title",        5 },
        {"instructions", 12},
        {"note",         4 },
        {"summary",      7 },
        {"content",      7 },
    };
    return str_eq(e->ns, NS_XHTML) || str_eq(e->ns, NS_VCARD) || str_eq(e->ns, open_graph) ||
           is_one_of(e->name, names, COUNT_OF(names));
}

static bool holds_url(const struct element *e)
{
    static const struct str names[] = {
        {"url",    3},
        {"uri",    3},
        {"EXTVAL", 6},
        {"URL",    3}
    };
    return is_one_of(e->name, names, COUNT_OF(names));
}

static struct str or_empty(struct str text)
{
    return text.at != NULL ? text : STR_EMPTY;
}

static bool shows_attribute(const struct attribute *a)
{
    static const struct str texts[] = {
        {"reason", 6}, // XEP-0249
        {"label",  5},
        {"desc",   4},
    };
    return is_one_of(a->name, texts, COUNT_OF(texts));
}

static bool is_url_attribute(const struct attribute *a)
{
    static const struct str urls[] = {
        {"href",   4},
        {"src",    3},
        {"uri",    3},
        {"url",    3},
        {"target", 6},
        {"anchor", 6},
        {"about",  5},
    };
    return is_one_of(a->name, urls, COUNT_OF(urls)) && !str_starts(a->value, STR("xmpp:")) &&
           !str_starts(a->value, STR("cid:"));
}

static void add_attributes(struct lure_list *list, const struct element *e)
{
    for (const struct attribute *a = e->attributes; a != NULL; a = a->next) {
        if (a->value.len <= 3)
            continue;
        if (shows_attribute(a))
            lure_scan_text(list, a->value);
        else if (is_url_attribute(a))
            lure_add_url(list, a->value, e->text);
    }
}

// XEP-0004: what a form shows; FORM_TYPE names a protocol.
static bool is_shown_field(const struct element *e)
{
    struct str var = element_attr(e, STR("var"));
    return element_is(e, NS_DATA, STR("field")) &&
           (var.at == NULL || !str_eq(var, STR("FORM_TYPE")));
}

static void add_field(struct lure_list *list, const struct element *e)
{
    ELEMENT_EACH(e, value)
    if (str_eq(value->name, STR("value")))
        lure_scan_text(list, value->text);
}

static void add_file(struct lure_list *list, const struct element *e)
{
    struct lure_file file = {
        .name = or_empty(element_child_text(e, e->ns, STR("name"))),
        .media_type = or_empty(element_child_text(e, e->ns, STR("media-type"))),
        .digest_name = STR_EMPTY,
        .digest = STR_EMPTY,
    };
    if (file.name.len == 0)
        file.name = or_empty(element_attr(e, STR("name"))); // XEP-0096
    struct str size = element_child_text(e, e->ns, STR("size"));
    if (size.at == NULL)
        size = element_attr(e, STR("size"));
    if (size.at == NULL || str_to_u64(str_trim(size), 0, UINT64_MAX, &file.size) != OK)
        file.size = 0;
    ELEMENT_EACH(e, hash)
    {
        struct str algorithm = element_attr(hash, STR("algo"));
        if (!str_eq(hash->name, STR("hash")) || algorithm.at == NULL ||
            lure_digest_rank(algorithm) <= lure_digest_rank(file.digest_name))
            continue;
        file.digest_name = algorithm;
        file.digest = str_trim(hash->text);
    }
    if (file.name.len > 0 || file.digest.len > 0)
        lure_add_file(list, &file);
}

static void look_at(struct lure_list *list, const struct element *e)
{
    if (e->text.len > 3) {
        if (holds_url(e))
            lure_add_url(list, str_trim(e->text), STR_EMPTY);
        if (holds_url(e) || shows_text(e)) // a client may show what is no address as text
            lure_scan_text(list, e->text);
    }
    if (e->attributes != NULL)
        add_attributes(list, e);
    if (str_eq(e->name, STR("file")))
        add_file(list, e);
    else if (is_shown_field(e))
        add_field(list, e);
}

void lures_of_stanza(struct lure_list *list, const struct element *stanza)
{
    for (const struct element *e = element_walk(stanza, stanza); e != NULL && !list->overflowed;
         e = element_walk(stanza, e))
        look_at(list, e);
}

void lures_of_element(struct lure_list *list, const struct element *element)
{
    look_at(list, element);
    lures_of_stanza(list, element);
}

/* ---- Words ---- */

// XHTML is one text, however it is dressed.
static void add_words(struct buf *out, const struct element *e, bool is_shown)
{
    bool flows = str_eq(e->ns, NS_XHTML);
    is_shown |= shows_text(e) || (e->parent != NULL && is_shown_field(e->parent));
    for (const struct attribute *a = e->attributes; a != NULL; a = a->next)
        if (shows_attribute(a)) {
            buf_add(out, a->value);
            buf_add_char(out, '\n');
        }
    for (const struct node *node = e->first; node != NULL; node = node->next)
        if (!node->is_text)
            add_words(out, (const struct element *)node, is_shown && flows);
        else if (is_shown)
            buf_add(out, ((const struct text *)node)->text);
    if (is_shown && !flows)
        buf_add_char(out, '\n');
}

bool lures_shows_words(const struct element *child)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    add_words(&out, child, false);
    bool any = str_trim(buf_str(&out)).len > 0;
    buf_done(&out);
    return any;
}

struct str lures_words(struct arena *arena, const struct element *stanza, size_t most)
{
    struct buf out;
    buf_init(&out, SIZE_MAX / 2);
    ELEMENT_EACH(stanza, child)
    add_words(&out, child, false);
    struct str words = str_trim(buf_str(&out));
    words = str_first(words, words.len < most ? words.len : most);
    words = words.len > 0 ? arena_str(arena, words) : STR_EMPTY;
    buf_done(&out);
    return words;
}

/* ---- Other links in their place ---- */

struct replacing {
    const struct lure_rules *rules;
    struct arena *arena;
    lure_instead_fn *instead;
    void *context;
    size_t n;
    bool whole;
    struct lure_edits body; // of the first body
    const struct element *body_of;
};

static bool replace_in(struct replacing *replacing, struct str *text, struct lure_edits *edits)
{
    struct str out;
    struct lure_edits any;
    if (lure_rewrite(replacing->rules, replacing->arena, *text, replacing->instead,
                     replacing->context, &out, &any) != OK) {
        replacing->whole = false;
        return false;
    }
    if (out.at == text->at)
        return false;
    replacing->n += any.n;
    *text = out;
    if (edits != NULL)
        *edits = any;
    return true;
}

// An address that stands alone.
static bool replace_url(struct replacing *replacing, struct str *value)
{
    struct arena scratch;
    struct lure_list list;
    arena_init(&scratch, (size_t)1 << 20);
    lure_list_init(&list, replacing->rules, &scratch);
    lure_add_url(&list, str_trim(*value), STR_EMPTY);
    struct str instead = {NULL, 0};
    if (list.n == 1)
        instead = replacing->instead(replacing->context, &list.lures[0]);
    bool replaces = instead.at != NULL;
    if (replaces && !arena_fits(replacing->arena, instead.len + 1)) {
        replacing->whole = false;
        replaces = false;
    }
    if (replaces) {
        *value = arena_str(replacing->arena, instead);
        replacing->n++;
    }
    arena_done(&scratch);
    return replaces;
}

static void join_text(struct replacing *replacing, struct element *e)
{
    struct buf all;
    size_t n = 0;
    for (struct node *node = e->first; node != NULL; node = node->next)
        if (node->is_text && n++ == 0)
            e->text = ((struct text *)node)->text;
    if (n < 2)
        return;
    buf_init(&all, SIZE_MAX / 2);
    for (struct node *node = e->first; node != NULL; node = node->next)
        if (node->is_text)
            buf_add(&all, ((struct text *)node)->text);
    if (arena_fits(replacing->arena, all.len + 1))
        e->text = arena_str(replacing->arena, buf_str(&all));
    buf_done(&all);
}

static void replace_texts(struct replacing *replacing, struct element *e, bool is_url)
{
    bool is_body = replacing->body_of == NULL && element_is(e, NS_CLIENT, STR("body"));
    struct lure_edits edits = {NULL, 0};
    bool changed = false;
    for (struct node *node = e->first; node != NULL; node = node->next) {
        if (!node->is_text)
            continue;
        struct str *text = &((struct text *)node)->text;
        if (is_url && replace_url(replacing, text))
            changed = true;
        else
            changed |= replace_in(replacing, text, &edits);
    }
    if (changed)
        join_text(replacing, e);
    if (is_body) {
        replacing->body_of = e;
        replacing->body = edits;
    }
}

static void replace_attributes(struct replacing *replacing, struct element *e)
{
    for (struct attribute *a = e->attributes; a != NULL; a = a->next) {
        if (a->value.len <= 3)
            continue;
        if (shows_attribute(a))
            (void)!replace_in(replacing, &a->value, NULL);
        else if (is_url_attribute(a))
            (void)!replace_url(replacing, &a->value);
    }
}

// Where a character of the body is now; one inside a link goes to the link's edge.
static size_t moved(const struct lure_edits *edits, size_t at, bool is_end)
{
    int64_t shift = 0;
    for (size_t i = 0; i < edits->n; i++) {
        const struct lure_edit *edit = &edits->at[i];
        if (at <= edit->from)
            break;
        if (at < edit->to)
            return (size_t)((int64_t)edit->from + shift) + (is_end ? edit->len : 0);
        shift += (int64_t)edit->len - (int64_t)(edit->to - edit->from);
    }
    return (size_t)((int64_t)at + shift);
}

static void move_attribute(struct replacing *replacing, struct element *e, struct str name,
                           bool is_end)
{
    struct str value = element_attr(e, name);
    uint64_t at;
    if (value.at == NULL || str_to_u64(value, 0, UINT32_MAX, &at) != OK ||
        !arena_fits(replacing->arena, 64))
        return;
    element_set(replacing->arena, e, name,
                arena_printf(replacing->arena, "%zu", moved(&replacing->body, at, is_end)));
}

static void move_counts(struct replacing *replacing, struct element *stanza)
{
    static const struct str markup = {"urn:xmpp:markup:0", 17};
    ELEMENT_EACH(stanza, child)
    {
        if (element_is(child, NS_REFERENCE, STR("reference"))) {
            move_attribute(replacing, child, STR("begin"), false);
            move_attribute(replacing, child, STR("end"), true);
        }
        bool is_markup = str_eq(child->ns, markup);
        if (!is_markup && !ns_eq(child->ns, NS_FALLBACK))
            continue;
        ELEMENT_EACH(child, part)
        {
            if (!is_markup && !str_eq(part->name, STR("body")))
                continue;
            move_attribute(replacing, part, STR("start"), false);
            move_attribute(replacing, part, STR("end"), true);
        }
    }
}

size_t lures_replace(const struct lure_rules *rules, struct arena *arena, struct element *stanza,
                     lure_instead_fn *instead, void *context, bool *whole)
{
    struct replacing replacing = {
        .rules = rules, .arena = arena, .instead = instead, .context = context, .whole = true};
    for (const struct element *at = element_walk(stanza, stanza); at != NULL;
         at = element_walk(stanza, at)) {
        struct element *e = (struct element *)(uintptr_t)at; // the tree is the caller's own
        bool in_form =
            e->parent != NULL && is_shown_field(e->parent) && str_eq(e->name, STR("value"));
        if (e->text.len > 3 && (holds_url(e) || shows_text(e) || in_form))
            replace_texts(&replacing, e, holds_url(e));
        if (e->attributes != NULL)
            replace_attributes(&replacing, e);
    }
    if (replacing.body.n > 0)
        move_counts(&replacing, stanza);
    *whole = replacing.whole;
    return replacing.n;
}
