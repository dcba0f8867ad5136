#include "xml/writer.h"

#include "base/must.h"

#include <stdio.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes that cannot stand as they are, in text or in a value. */
static inline bool must_escape(char c)
{
    return (uint8_t)c < 0x20 || c == '<' || c == '>' || c == '&' || c == '\'';
}

/* The first of them; end when there is none.  A ''' in text is among them and is written as it
 * is. */
static const char *skip_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i open = _mm_set1_epi8('<'), close = _mm_set1_epi8('>');
    const __m128i ampersand = _mm_set1_epi8('&'), quote = _mm_set1_epi8('\'');
    const __m128i last_control = _mm_set1_epi8(0x1F);
    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i stop = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, open));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, close));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, ampersand));
        stop = _mm_or_si128(stop, _mm_cmpeq_epi8(bytes, quote));
        unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && !must_escape(*p))
        p++;
    return p;
}

static struct str escaped(char c, bool is_value)
{
    switch (c) {
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '&':
        return STR("&amp;");
    case '\'':
        return is_value ? STR("&apos;") : STR("'");
    case '\r':
        return STR("&#13;"); // as it is, it would be read as a line end
    case '\n':
        return is_value ? STR("&#10;") : STR("\n");
    case '\t':
        return is_value ? STR("&#9;") : STR("\t");
    default:
        return STR("\xEF\xBF\xBD");
    }
}

static void write_escaped(struct buf *buf, struct str text, bool is_value)
{
    const char *p = text.at, *end = text.at + text.len;
    for (;;) {
        const char *stop = skip_plain(p, end);
        buf_add(buf, (struct str){p, (size_t)(stop - p)});
        if (stop == end)
            return;
        buf_add(buf, escaped(*stop, is_value));
        p = stop + 1;
    }
}

void xml_write_text(struct buf *buf, struct str text)
{
    write_escaped(buf, text, false);
}

void xml_write_value(struct buf *buf, struct str value)
{
    write_escaped(buf, value, true);
}

void xml_write_attribute(struct buf *buf, const char *name, struct str value)
{
    buf_printf(buf, " %s='", name);
    xml_write_value(buf, value);
    buf_add_char(buf, '\'');
}

static void write_attribute(struct buf *buf, struct str name, struct str value)
{
    // one reservation for what nearly always needs no escaping
    const char *end = value.at + value.len;
    if (skip_plain(value.at, end) == end) {
        size_t len = name.len + value.len + 4;
        char *at = buf_reserve(buf, len);
        if (at == NULL)
            return;
        *at++ = ' ';
        memcpy(at, name.at, name.len);
        at += name.len;
        *at++ = '=';
        *at++ = '\'';
        if (value.len > 0)
            memcpy(at, value.at, value.len);
        at[value.len] = '\'';
        buf->len += len;
        return;
    }
    buf_add_char(buf, ' ');
    buf_add(buf, name);
    buf_add(buf, STR("='"));
    xml_write_value(buf, value);
    buf_add_char(buf, '\'');
}

/* An attribute of a foreign namespace needs a prefix: each declares its own. */
static void write_foreign_attribute(struct buf *buf, const struct attribute *a, unsigned n)
{
    if (ns_eq(a->ns, NS_XML)) {
        buf_add(buf, STR(" xml:"));
    } else {
        char prefix[16];
        int len = snprintf(prefix, sizeof prefix, "n%u", n);
        struct str text = {prefix, (size_t)len};
        buf_add(buf, STR(" xmlns:"));
        buf_add(buf, text);
        buf_add(buf, STR("='"));
        xml_write_value(buf, a->ns);
        buf_add(buf, STR("' "));
        buf_add(buf, text);
        buf_add_char(buf, ':');
    }
    buf_add(buf, a->name);
    buf_add(buf, STR("='"));
    xml_write_value(buf, a->value);
    buf_add_char(buf, '\'');
}

static const struct xml_replaced *find_replaced(const struct xml_replaced *replaced, size_t n,
                                                struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(replaced[i].name, name))
            return &replaced[i];
    return NULL;
}

static bool is_stanza_ns(struct str ns)
{
    return ns_eq(ns, NS_CLIENT) || ns_eq(ns, NS_SERVER);
}

/* A start tag where the default namespace is ns_around. */
static void write_start(struct buf *buf, const struct element *element, struct str ns_around,
                        const struct xml_replaced *replaced, size_t n_replaced, bool is_empty)
{
    buf_add_char(buf, '<');
    buf_add(buf, element->name);
    if (!ns_eq(element->ns, ns_around))
        write_attribute(buf, STR("xmlns"), element->ns);
    unsigned n_foreign = 0;
    for (const struct attribute *a = element->attributes; a != NULL; a = a->next) {
        if (a->ns.len > 0)
            write_foreign_attribute(buf, a, n_foreign++);
        else if (n_replaced == 0 || find_replaced(replaced, n_replaced, a->name) == NULL)
            write_attribute(buf, a->name, a->value);
    }
    for (size_t i = 0; i < n_replaced; i++)
        if (replaced[i].value.at != NULL)
            write_attribute(buf, replaced[i].name, replaced[i].value);
    buf_add(buf, is_empty ? STR("/>") : STR(">"));
}

/* The stanza's own namespace gives way to the stream's. */
static struct str ns_at_top(const struct element *element, struct str ns_around)
{
    return is_stanza_ns(element->ns) && is_stanza_ns(ns_around) ? element->ns : ns_around;
}

void xml_write_start(struct buf *buf, const struct element *element, struct str ns_around,
                     const struct xml_replaced *replaced, size_t n_replaced, bool is_empty)
{
    write_start(buf, element, ns_at_top(element, ns_around), replaced, n_replaced, is_empty);
}

void xml_write_end(struct buf *buf, const struct element *element)
{
    buf_add(buf, STR("</"));
    buf_add(buf, element->name);
    buf_add_char(buf, '>');
}

void xml_write_inner(struct buf *buf, const struct element *element)
{
    const struct element *parent = element;
    const struct node *node = element->first;
    for (;;) {
        if (node == NULL) { // up, and on behind the element just finished
            if (parent == element)
                return;
            xml_write_end(buf, parent);
            node = parent->node.next;
            parent = parent->parent;
        } else if (node->is_text) {
            xml_write_text(buf, ((const struct text *)node)->text);
            node = node->next;
        } else {
            const struct element *child = (const struct element *)node;
            write_start(buf, child, parent->ns, NULL, 0, child->first == NULL);
            if (child->first != NULL) {
                parent = child;
                node = child->first;
            } else {
                node = node->next;
            }
        }
    }
}

void xml_write(struct buf *buf, const struct element *element, struct str ns_around)
{
    xml_write_start(buf, element, ns_around, NULL, 0, element->first == NULL);
    if (element->first == NULL)
        return;
    xml_write_inner(buf, element);
    xml_write_end(buf, element);
}

void xml_write_around(struct buf *buf, const struct element *element, struct str ns_around,
                      const struct xml_replaced *replaced, size_t n_replaced, struct str inner)
{
    xml_write_start(buf, element, ns_around, replaced, n_replaced, inner.len == 0);
    if (inner.len == 0)
        return;
    buf_add(buf, inner);
    xml_write_end(buf, element);
}

enum err xml_to_str(struct arena *arena, const struct element *element, struct str ns_around,
                    struct str *out)
{
    CLEANUP(buf_done) struct buf buf;
    buf_init(&buf, SIZE_MAX);
    xml_write(&buf, element, ns_around);
    if (!arena_fits(arena, buf.len + 1))
        return ERR_LIMIT;
    *out = arena_str(arena, buf_str(&buf));
    return OK;
}
