/*
 * One walk over the tree.  What an element is matters less than what a client
 * may make of it: any attribute or element that holds an address to open is
 * taken as one, whatever its namespace, so that a new extension does not open a
 * hole.
 */
#include "im/lures.h"

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

static void add_attributes(struct lure_list *list, const struct element *e)
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
    static const struct str texts[] = {
        {"reason", 6}, // XEP-0249
        {"label",  5},
        {"desc",   4},
    };
    for (const struct attribute *a = e->attributes; a != NULL; a = a->next) {
        if (a->value.len <= 3)
            continue;
        if (is_one_of(a->name, texts, COUNT_OF(texts)))
            lure_scan_text(list, a->value);
        else if (is_one_of(a->name, urls, COUNT_OF(urls)) && !str_starts(a->value, STR("xmpp:")) &&
                 !str_starts(a->value, STR("cid:")))
            lure_add_url(list, a->value, e->text);
    }
}

// XEP-0004: what a form shows; FORM_TYPE names a protocol.
static void add_field(struct lure_list *list, const struct element *e)
{
    struct str var = element_attr(e, STR("var"));
    if (var.at != NULL && str_eq(var, STR("FORM_TYPE")))
        return;
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
    else if (element_is(e, NS_DATA, STR("field")))
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
