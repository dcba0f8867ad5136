/*
 * One walk over the tree.  What an element is matters less than what a client
 * may make of it: any attribute or element that holds an address to open is
 * taken as one, whatever its namespace, so that a new extension does not open a
 * hole.
 */
#include "im/lures.h"

static bool is_one_of(struct str name, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, names[i]))
            return true;
    return false;
}

// Text that a person reads, in which clients make links clickable.
static bool shows_text(const struct element *e)
{
    static const struct str names[] = {
        {"body",     4},
        {"subject",  7},
        {"status",   6},
        {"desc",     4},
        {"reason",   6},
        {"text",     4},
        {"nick",     4},
 // XEP-0054
        {"FN",       2},
        {"NICKNAME", 8},
        {"DESC",     4},
        {"NOTE",     4},
    };
    return str_eq(e->ns, NS_XHTML) || is_one_of(e->name, names, COUNT_OF(names));
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
    static const struct str names[] = {
        {"href",   4},
        {"src",    3},
        {"uri",    3},
        {"url",    3},
        {"target", 6},
        {"anchor", 6},
    };
    for (const struct attribute *a = e->attributes; a != NULL; a = a->next)
        if (a->value.len > 3 && is_one_of(a->name, names, COUNT_OF(names)) &&
            str_find_char(a->value, ':') < a->value.len && !str_starts(a->value, STR("xmpp:")) &&
            !str_starts(a->value, STR("cid:")))
            lure_add_url(list, a->value, e->text);
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
        if (shows_text(e))
            lure_scan_text(list, e->text);
        else if (holds_url(e))
            lure_add_url(list, str_trim(e->text), STR_EMPTY);
    }
    if (e->attributes != NULL)
        add_attributes(list, e);
    if (str_eq(e->name, STR("file")))
        add_file(list, e);
}

void lures_of_stanza(struct lure_list *list, const struct element *stanza)
{
    for (const struct element *e = element_walk(stanza, stanza); e != NULL;
         e = element_walk(stanza, e))
        look_at(list, e);
}

void lures_of_element(struct lure_list *list, const struct element *element)
{
    look_at(list, element);
    lures_of_stanza(list, element);
}
