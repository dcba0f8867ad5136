#include "im/caps_text.h"

#include "base/base64.h"
#include "base/must.h"

#include <openssl/evp.h>
#include <stdlib.h>

enum { ROWS_MOST = 1000, TEXT_MOST = 64 << 10 };

static int compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

// Texts of one kind, to be sorted.
struct rows {
    size_t n;
    struct str *at;
};

static struct rows rows_of(struct arena *arena, const struct element *parent)
{
    size_t most = 0;
    ELEMENT_EACH(parent, child)
    most++;
    return (struct rows){.at = arena_make_array(arena, struct str, most + 1)};
}

static enum err sort_unique(struct rows *rows)
{
    qsort(rows->at, rows->n, sizeof *rows->at, compare);
    for (size_t i = 1; i < rows->n; i++)
        if (str_eq(rows->at[i], rows->at[i - 1]))
            return ERR_MALFORMED;
    return OK;
}

static void add(struct buf *out, struct str text, bool *clean)
{
    *clean = *clean && str_find_char(text, '<') == text.len;
    buf_add(out, text);
    buf_add_char(out, '<');
}

static struct str or_empty(struct str text)
{
    return text.at != NULL ? text : STR_EMPTY;
}

static enum err add_identities(struct arena *arena, const struct element *query, struct buf *out,
                               bool *clean)
{
    struct rows rows = rows_of(arena, query);
    ELEMENT_EACH(query, child)
    if (element_is(child, NS_DISCO_INFO, STR("identity"))) {
        struct str category = or_empty(element_attr(child, STR("category")));
        struct str type = or_empty(element_attr(child, STR("type")));
        struct str lang = or_empty(element_lang(child));
        struct str name = or_empty(element_attr(child, STR("name")));
        if (category.len + type.len + lang.len + name.len > TEXT_MOST)
            return ERR_LIMIT;
        rows.at[rows.n++] = arena_printf(arena, "%.*s/%.*s/%.*s/%.*s", STR_ARGS(category),
                                         STR_ARGS(type), STR_ARGS(lang), STR_ARGS(name));
    }
    enum err e = sort_unique(&rows);
    for (size_t i = 0; e == OK && i < rows.n; i++)
        add(out, rows.at[i], clean);
    return e;
}

static enum err add_features(struct arena *arena, const struct element *query, struct buf *out,
                             bool *clean)
{
    struct rows rows = rows_of(arena, query);
    ELEMENT_EACH(query, child)
    if (element_is(child, NS_DISCO_INFO, STR("feature")))
        rows.at[rows.n++] = or_empty(element_attr(child, STR("var")));
    enum err e = sort_unique(&rows);
    for (size_t i = 0; e == OK && i < rows.n; i++)
        add(out, rows.at[i], clean);
    return e;
}

struct field {
    struct str var;
    const struct element *element;
};

static int compare_fields(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    return str_cmp(x->var, y->var);
}

static void add_values(struct arena *arena, const struct element *field, struct buf *out,
                       bool *clean)
{
    struct rows rows = rows_of(arena, field);
    ELEMENT_EACH(field, child)
    if (element_is(child, NS_DATA, STR("value")))
        rows.at[rows.n++] = child->text;
    qsort(rows.at, rows.n, sizeof *rows.at, compare);
    for (size_t i = 0; i < rows.n; i++)
        add(out, rows.at[i], clean);
}

static void add_fields(struct arena *arena, const struct element *form, struct buf *out,
                       bool *clean)
{
    size_t n = 0, most = 0;
    ELEMENT_EACH(form, child)
    most++;
    struct field *fields = arena_make_array(arena, struct field, most + 1);
    ELEMENT_EACH(form, child)
    if (element_is(child, NS_DATA, STR("field"))) {
        struct str var = or_empty(element_attr(child, STR("var")));
        if (!str_eq(var, STR("FORM_TYPE")))
            fields[n++] = (struct field){var, child};
    }
    qsort(fields, n, sizeof *fields, compare_fields);
    for (size_t i = 0; i < n; i++) {
        add(out, fields[i].var, clean);
        add_values(arena, fields[i].element, out, clean);
    }
}

// The FORM_TYPE of a form; at == NULL: it has none, or none that is hidden, and is not counted.
static enum err form_type(const struct element *form, struct str *out)
{
    *out = (struct str){NULL, 0};
    ELEMENT_EACH(form, field)
    {
        struct str var = element_attr(field, STR("var")), type = element_attr(field, STR("type"));
        if (!element_is(field, NS_DATA, STR("field")) || var.at == NULL ||
            !str_eq(var, STR("FORM_TYPE")) || type.at == NULL || !str_eq(type, STR("hidden")))
            continue;
        ELEMENT_EACH(field, value)
        {
            if (out->at != NULL && !str_eq(*out, value->text))
                return ERR_MALFORMED;
            *out = value->text;
        }
    }
    return OK;
}

static enum err add_forms(struct arena *arena, const struct element *query, struct buf *out,
                          bool *clean)
{
    size_t n = 0, most = 0;
    ELEMENT_EACH(query, child)
    most++;
    struct field *forms = arena_make_array(arena, struct field, most + 1);
    ELEMENT_EACH(query, child)
    {
        if (!element_is(child, NS_DATA, STR("x")))
            continue;
        struct str type;
        enum err e = form_type(child, &type);
        if (e != OK)
            return e;
        if (type.at != NULL)
            forms[n++] = (struct field){type, child};
    }
    qsort(forms, n, sizeof *forms, compare_fields);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(forms[i].var, forms[i - 1].var))
            return ERR_MALFORMED;
        add(out, forms[i].var, clean);
        add_fields(arena, forms[i].element, out, clean);
    }
    return OK;
}

static bool is_too_long(const struct element *query)
{
    size_t n = 0;
    for (const struct element *at = element_walk(query, query); at != NULL;
         at = element_walk(query, at))
        if (++n > ROWS_MOST)
            return true;
    return false;
}

enum err caps_text(struct arena *arena, const struct element *query, struct str *out)
{
    struct buf text;
    bool clean = true;
    if (is_too_long(query))
        return ERR_LIMIT;
    buf_init(&text, TEXT_MOST);
    enum err e = add_identities(arena, query, &text, &clean);
    if (e == OK)
        e = add_features(arena, query, &text, &clean);
    if (e == OK)
        e = add_forms(arena, query, &text, &clean);
    if (e == OK && text.overflowed)
        e = ERR_LIMIT;
    if (e == OK && !clean)
        e = ERR_MALFORMED;
    if (e == OK)
        *out = arena_str(arena, buf_str(&text));
    buf_done(&text);
    return e;
}

struct str caps_hash(struct arena *arena, struct str name, struct str text)
{
    static const struct {
        struct str name;
        const char *algorithm;
    } rows[] = {
        {{"sha-1", 5},   "SHA1"  },
        {{"sha-256", 7}, "SHA256"},
        {{"sha-512", 7}, "SHA512"},
    };
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t size;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_eq(name, rows[i].name)) {
            must(EVP_Q_digest(NULL, rows[i].algorithm, NULL, text.at, text.len, digest, &size) ==
                 1);
            return base64_encode(arena, str_make((const char *)digest, size));
        }
    return STR_EMPTY;
}
