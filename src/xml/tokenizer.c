/*
 * How it works: a token is a tag, a run of text, a CDATA section or the XML
 * declaration.  A token that arrives whole is read where it stands and copied
 * once, into the arena.  A token that the input cuts is collected in `pending`
 * while a small scanner looks only at the new bytes for its end; then it is read
 * like any other.  So every byte is looked at a constant number of times.
 */
#include "xml/tokenizer.h"

#include "base/must.h"
#include "xml/chars_internal.h"
#include "xml/element_internal.h"

#include <stdlib.h>

/* Declarations in scope, innermost first. */
struct xml_scope {
    const struct xml_scope *older;
    struct str prefix, ns;
    struct str ns_default; // in force here, so that nobody searches for it
};

/* An element whose end tag has not come yet.  Recycled, so that there are as many as the stanza
 * is deep. */
struct xml_open {
    struct xml_open *outer;
    struct element *element;
    struct str raw; // its name as it was written
    const struct xml_scope *scope;
    uint32_t n_namespaces; // around it
};

enum state {
    AT_START,    // a declaration or the header
    AT_HEADER,   // after the declaration
    AT_DOCUMENT, // the same two for element_parse, which has no header
    AT_ROOT,
    BETWEEN,
    INSIDE,
    ENDING, // after a header that was empty
    ENDED,
    FAULTY,
};

/* What kind of token the input cut. */
enum cut { CUT_NONE, CUT_TEXT, CUT_UNKNOWN, CUT_TAG, CUT_CDATA, CUT_DECLARATION };

enum parsed { PARSED, PARSED_CUT, PARSED_FAULT };

_Static_assert(sizeof(struct tokenizer) <= 200, "an idle tokenizer has grown");

const struct tokenizer_limits tokenizer_limits_default = {
    .bytes = 256U << 10,
    .elements = 2000,
    .namespaces = 64,
    .depth = 32,
    .attributes = 64,
    .name = 256,
};

static const struct xml_scope scope_none = {NULL, STR_EMPTY, STR_EMPTY, STR_EMPTY};

// What nearly every header declares: such a stream needs no memory for it.
static const struct xml_scope scope_stream = {&scope_none, STR("stream"), NS_STREAM, STR_EMPTY};
static const struct xml_scope scope_dialback = {&scope_stream, STR("db"), NS_DIALBACK, STR_EMPTY};
static const struct xml_scope usual_scopes[] = {
    {&scope_stream,   STR_EMPTY, NS_CLIENT, NS_CLIENT},
    {&scope_stream,   STR_EMPTY, NS_SERVER, NS_SERVER},
    {&scope_dialback, STR_EMPTY, NS_SERVER, NS_SERVER},
};

struct str xml_fault_condition(enum xml_fault fault)
{
    static const struct str conditions[] = {
        [XML_FINE] = STR("undefined-condition"),
        [XML_NOT_WELL_FORMED] = STR("not-well-formed"),
        [XML_RESTRICTED] = STR("restricted-xml"),
        [XML_BAD_NAMESPACE_PREFIX] = STR("bad-namespace-prefix"),
        [XML_UNSUPPORTED_ENCODING] = STR("unsupported-encoding"),
        [XML_BAD_FORMAT] = STR("bad-format"),
        [XML_POLICY_VIOLATION] = STR("policy-violation"),
    };
    return conditions[fault];
}

static enum parsed fail(struct tokenizer *t, enum xml_fault fault, const char *detail)
{
    t->fault = fault;
    t->detail = detail;
    t->state = FAULTY;
    return PARSED_FAULT;
}

static enum parsed not_well_formed(struct tokenizer *t, const char *detail)
{
    return fail(t, XML_NOT_WELL_FORMED, detail);
}

static enum parsed too_much(struct tokenizer *t, const char *detail)
{
    return fail(t, XML_POLICY_VIOLATION, detail);
}

/* Memory for what the peer sent; NULL with the fault set when the arena is full. */
static void *take(struct tokenizer *t, struct arena *arena, size_t size)
{
    if (!arena_fits(arena, size)) {
        too_much(t, "the stanza's memory");
        return NULL;
    }
    return arena_alloc(arena, size);
}

/* Whether n bytes may come after those of the current element that were read and those in hand. */
static bool may_have(struct tokenizer *t, size_t in_hand, size_t n)
{
    must(t->n_bytes <= t->limits.bytes);
    size_t room = t->limits.bytes - t->n_bytes;
    if (in_hand > room || n > room - in_hand) {
        too_much(t, "too large");
        return false;
    }
    return true;
}

/* Counts a token when it is read. */
static bool count_bytes(struct tokenizer *t, const char *start, const char *end)
{
    if (!may_have(t, 0, (size_t)(end - start)))
        return false;
    t->n_bytes += (uint32_t)(end - start);
    return true;
}

// Text

static size_t write_char(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

static int digit_value(char c, unsigned base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The reference at p ('&'): its character and the byte behind its ';'.  NULL with the fault set. */
static const char *read_reference(struct tokenizer *t, const char *p, const char *end,
                                  uint32_t *code)
{
    static const struct {
        struct str name;
        char c;
    } entities[] = {
        {STR("amp"),  '&' },
        {STR("lt"),   '<' },
        {STR("gt"),   '>' },
        {STR("quot"), '"' },
        {STR("apos"), '\''},
    };
    const char *name = ++p;
    if (p < end && *p == '#') {
        p++;
        unsigned base = 10;
        if (p < end && *p == 'x') {
            base = 16;
            p++;
        }
        uint32_t c = 0;
        const char *digits = p;
        for (int value; p < end && (value = digit_value(*p, base)) >= 0; p++)
            c = c > 0x10FFFF ? c : c * base + (uint32_t)value; // too large is too large
        if (p == digits || p == end || *p != ';' || !char_is_allowed(c)) {
            not_well_formed(t, "character reference");
            return NULL;
        }
        *code = c;
        return p + 1;
    }
    while (p < end && char_is(*p, CHAR_NAME))
        p++;
    for (size_t i = 0; i < COUNT_OF(entities) && p < end && *p == ';'; i++) {
        if (str_eq(entities[i].name, (struct str){name, (size_t)(p - name)})) {
            *code = (uint8_t)entities[i].c;
            return p + 1;
        }
    }
    if (p > name && p < end && (*p == ';' || (uint8_t)*p >= 0x80))
        fail(t, XML_RESTRICTED, "entity reference");
    else
        not_well_formed(t, "'&' without a reference");
    return NULL;
}

/* What has to be done to a text or value before it means what it says. */
enum { HAS_REFERENCE = 1, HAS_LINE_END = 2, HAS_SPACE = 4 };

/* Resolves references and normalizes line ends in place (the result is never longer); in a value,
 * white space becomes spaces.  False with the fault set. */
static bool decode(struct tokenizer *t, char *at, size_t *len, int has, bool is_value)
{
    char *out = at;
    for (const char *p = at, *end = at + *len; p < end;) {
        char c = *p;
        if (c == '&' && (has & HAS_REFERENCE) != 0) {
            uint32_t code;
            p = read_reference(t, p, end, &code);
            if (p == NULL)
                return false;
            out += write_char(out, code);
            continue;
        }
        p++;
        if (c == '\r') {
            if (p < end && *p == '\n')
                p++;
            c = '\n';
        }
        if (is_value && (c == '\n' || c == '\t'))
            c = ' ';
        *out++ = c;
    }
    *len = (size_t)(out - at);
    return true;
}

/* Checks a character that is not plain; moves *p behind it. */
static enum parsed skip_special(struct tokenizer *t, const char **p, const char *end, int *has)
{
    char c = **p;
    if ((uint8_t)c >= 0x80) {
        uint32_t code;
        do {
            int len = char_read(*p, end, &code);
            if (len < 0)
                return PARSED_CUT;
            if (len == 0)
                return not_well_formed(t, "not UTF-8, or a character XML forbids");
            *p += len;
        } while (*p < end && (uint8_t) * *p >= 0x80);
        return PARSED;
    }
    if (c == '&')
        *has |= HAS_REFERENCE;
    else if (c == '\r')
        *has |= HAS_LINE_END;
    else if (c == '\t' || c == '\n')
        *has |= HAS_SPACE;
    else
        return not_well_formed(t, "control character");
    (*p)++;
    return PARSED;
}

/* Checks text from p on up to a '<' at *stop; PARSED_CUT when there is none: *stop is then end, or
 * the beginning of a character that end cuts. */
static enum parsed scan_text(struct tokenizer *t, const char *p, const char *end, const char **stop,
                             int *has)
{
    for (;;) {
        p = char_skip_plain(p, end, ']');
        *stop = p;
        if (p == end)
            return PARSED_CUT;
        if (*p == '<')
            return PARSED;
        if (*p == ']') {
            if (end - p >= 3 && p[1] == ']' && p[2] == '>')
                return not_well_formed(t, "']]>' in text");
            p++;
            continue;
        }
        enum parsed parsed = skip_special(t, &p, end, has);
        *stop = p;
        if (parsed != PARSED)
            return parsed;
    }
}

/* Checks what stands in a CDATA section, where only characters matter. */
static enum parsed scan_cdata(struct tokenizer *t, const char *p, const char *end, int *has)
{
    int ignored = 0;
    while ((p = char_skip_plain(p, end, '<')) < end) {
        if (*p == '<' || *p == '&') {
            p++;
            continue;
        }
        if (*p == '\r')
            *has |= HAS_LINE_END;
        enum parsed parsed = skip_special(t, &p, end, &ignored);
        if (parsed == PARSED_CUT)
            return not_well_formed(t, "not UTF-8");
        if (parsed != PARSED)
            return parsed;
    }
    return PARSED;
}

static bool count_node(struct tokenizer *t)
{
    if (t->n_elements >= t->limits.elements) {
        too_much(t, "too many elements");
        return false;
    }
    t->n_elements++;
    return true;
}

/* A piece of text that follows another one directly (CDATA does that): they become one.  Grows by
 * doubling, so many small pieces cost linear time. */
static enum parsed extend_text(struct tokenizer *t, struct arena *arena, struct text *last,
                               const char *p, size_t len, int has)
{
    size_t old = last->text.len;
    if (t->text_room < len) {
        size_t room = 2 * (old + len); // both below limits.bytes, which has 32 bits
        char *at = take(t, arena, room);
        if (at == NULL)
            return PARSED_FAULT;
        memcpy(at, last->text.at, old);
        last->text.at = at;
        t->text_room = (uint32_t)(room - old);
    }
    char *to = (char *)last->text.at + old; // ours: see above
    memcpy(to, p, len);
    if (has != 0 && !decode(t, to, &len, has, false))
        return PARSED_FAULT;
    last->text.len = old + len;
    t->text_room -= (uint32_t)len;
    return PARSED;
}

static enum parsed add_text(struct tokenizer *t, struct arena *arena, const char *p, size_t len,
                            int has)
{
    has &= HAS_REFERENCE | HAS_LINE_END;
    if (len == 0)
        return PARSED;
    if (!count_node(t))
        return PARSED_FAULT;
    struct element *parent = t->innermost->element;
    if (parent->last != NULL && parent->last->is_text)
        return extend_text(t, arena, (struct text *)parent->last, p, len, has);
    struct text *text = take(t, arena, sizeof *text + len);
    if (text == NULL)
        return PARSED_FAULT;
    char *copy = (char *)(text + 1);
    memcpy(copy, p, len);
    if (has != 0 && !decode(t, copy, &len, has, false))
        return PARSED_FAULT;
    *text = (struct text){
        .node = {.is_text = true},
          .text = { copy,            len}
    };
    node_append(parent, &text->node);
    t->text_room = 0;
    return PARSED;
}

static enum parsed read_text(struct tokenizer *t, struct arena *arena, const char *start,
                             const char *end, int has)
{
    if (!count_bytes(t, start, end))
        return PARSED_FAULT;
    return add_text(t, arena, start, (size_t)(end - start), has);
}

// Tags

struct raw_name {
    const char *at;
    size_t prefix; // bytes before the ':', 0 when there is none
    size_t len;    // of all
};

struct raw_attribute {
    struct raw_name name;
    const char *value;
    size_t value_len;
    int has;
    bool declares; // xmlns or xmlns:…
};

static struct str name_prefix(struct raw_name name)
{
    return (struct str){name.at, name.prefix};
}

static struct str name_local(struct raw_name name)
{
    size_t skip = name.prefix > 0 ? name.prefix + 1 : 0;
    return (struct str){name.at + skip, name.len - skip};
}

/* What is not ASCII in a name: up to the next character that is. */
static enum parsed skip_long_name(struct tokenizer *t, const char *start, const char **at,
                                  const char *end)
{
    const char *p = *at;
    while (p < end && (uint8_t)*p >= 0x80) {
        uint32_t code;
        int len = char_read(p, end, &code);
        if (len < 0)
            return PARSED_CUT;
        if (len == 0 || !(p == start ? char_is_name_start(code) : char_is_name(code)))
            return not_well_formed(t, "name");
        p += len;
    }
    *at = p;
    return PARSED;
}

/* One part of a QName. */
static enum parsed scan_name_part(struct tokenizer *t, const char **at, const char *end)
{
    const char *start = *at;
    if (start < end && !char_is(*start, CHAR_NAME_START) && (uint8_t)*start < 0x80)
        return not_well_formed(t, "name");
    for (;;) {
        *at = char_skip_name(*at, end);
        if (*at == end)
            return PARSED_CUT;
        if ((uint8_t) * *at < 0x80)
            return PARSED;
        enum parsed parsed = skip_long_name(t, start, at, end);
        if (parsed != PARSED)
            return parsed;
    }
}

/* A QName of Namespaces in XML: one colon at most, each part a name of its own. */
static enum parsed scan_name(struct tokenizer *t, const char **at, const char *end,
                             struct raw_name *name)
{
    const char *p = *at;
    *name = (struct raw_name){.at = p};
    enum parsed parsed = scan_name_part(t, &p, end);
    if (parsed == PARSED && *p == ':') {
        name->prefix = (size_t)(p - *at);
        p++;
        parsed = scan_name_part(t, &p, end);
    }
    if (parsed == PARSED_FAULT)
        return parsed;
    name->len = (size_t)(p - *at);
    if (name->len > t->limits.name)
        return too_much(t, "length of a name");
    if (parsed == PARSED)
        *at = p;
    return parsed;
}

static enum parsed scan_value(struct tokenizer *t, const char **at, const char *end,
                              struct raw_attribute *attribute)
{
    const char *p = *at;
    char quote = *p++;
    if (quote != '"' && quote != '\'')
        return not_well_formed(t, "attribute without quotes");
    attribute->value = p;
    attribute->has = 0;
    for (;;) {
        p = char_skip_plain(p, end, quote);
        if (p == end)
            return PARSED_CUT;
        if (*p == quote)
            break;
        if (*p == '<')
            return not_well_formed(t, "'<' in an attribute");
        enum parsed parsed = skip_special(t, &p, end, &attribute->has);
        if (parsed != PARSED)
            return parsed;
    }
    attribute->value_len = (size_t)(p - attribute->value);
    *at = p + 1;
    return PARSED;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && char_is(*p, CHAR_SPACE))
        p++;
    return p;
}

struct raw_tag {
    struct raw_name name;
    bool is_empty; // ends with "/>"
    uint32_t n_attributes, n_declarations;
    const char *end; // behind its '>'
    struct raw_attribute attributes[TOKENIZER_ATTRIBUTES_MOST];
};

static enum parsed scan_attribute(struct tokenizer *t, const char **at, const char *end,
                                  struct raw_tag *tag)
{
    uint32_t most = t->limits.attributes < TOKENIZER_ATTRIBUTES_MOST ? t->limits.attributes
                                                                     : TOKENIZER_ATTRIBUTES_MOST;
    if (tag->n_attributes >= most)
        return too_much(t, "too many attributes");
    struct raw_attribute *a = &tag->attributes[tag->n_attributes];
    enum parsed parsed = scan_name(t, at, end, &a->name);
    if (parsed != PARSED)
        return parsed;
    const char *p = skip_space(*at, end);
    if (p == end)
        return PARSED_CUT;
    if (*p != '=')
        return not_well_formed(t, "attribute without '='");
    p = skip_space(p + 1, end);
    if (p == end)
        return PARSED_CUT;
    parsed = scan_value(t, &p, end, a);
    if (parsed != PARSED)
        return parsed;
    *at = p;
    struct str xmlns = STR("xmlns");
    a->declares = str_eq(a->name.prefix > 0 ? name_prefix(a->name) : name_local(a->name), xmlns);
    tag->n_attributes++;
    tag->n_declarations += a->declares;
    return PARSED;
}

/* Reads the start tag at p without making anything of it yet. */
static enum parsed scan_start_tag(struct tokenizer *t, const char *p, const char *end,
                                  struct raw_tag *tag)
{
    p++;
    enum parsed parsed = scan_name(t, &p, end, &tag->name);
    if (parsed != PARSED)
        return parsed;
    tag->n_attributes = tag->n_declarations = 0;
    tag->is_empty = false;
    for (;;) {
        const char *name_end = p;
        p = skip_space(p, end);
        if (p == end)
            return PARSED_CUT;
        if (*p == '>')
            break;
        if (*p == '/') {
            if (++p == end)
                return PARSED_CUT;
            if (*p != '>')
                return not_well_formed(t, "'/' in a tag");
            tag->is_empty = true;
            break;
        }
        if (p == name_end)
            return not_well_formed(t, "no space before an attribute");
        parsed = scan_attribute(t, &p, end, tag);
        if (parsed != PARSED)
            return parsed;
    }
    tag->end = p + 1;
    return PARSED;
}

static bool find_ns(struct tokenizer *t, const struct xml_scope *scope, struct str prefix,
                    struct str *ns)
{
    if (str_eq(prefix, STR("xml"))) {
        *ns = NS_XML;
        return true;
    }
    for (; scope != NULL; scope = scope->older) {
        if (str_eq(scope->prefix, prefix)) {
            *ns = scope->ns;
            return true;
        }
    }
    fail(t, XML_BAD_NAMESPACE_PREFIX, "prefix that is not declared");
    return false;
}

/* Puts one declaration of a tag in scope; around is the scope outside the tag. */
static bool declare(struct tokenizer *t, const struct xml_scope *around, struct xml_scope **next,
                    const struct xml_scope **scope, struct raw_name name, struct str value)
{
    struct str prefix = name.prefix > 0 ? name_local(name) : STR_EMPTY;
    struct str ns = ns_known(value);
    bool is_xml_ns = ns_eq(ns, NS_XML);
    if (str_eq(prefix, STR("xml")) && is_xml_ns)
        return true; // allowed, and says nothing new
    if (str_eq(prefix, STR("xml")) || str_eq(prefix, STR("xmlns")) || is_xml_ns ||
        ns_eq(ns, NS_XMLNS)) {
        not_well_formed(t, "declaration of a reserved prefix or namespace");
        return false;
    }
    if (prefix.len > 0 && ns.len == 0) {
        not_well_formed(t, "prefix declared as nothing");
        return false;
    }
    for (const struct xml_scope *s = *scope; s != around; s = s->older) {
        if (str_eq(s->prefix, prefix)) {
            not_well_formed(t, "declared twice");
            return false;
        }
    }
    if (t->n_namespaces >= t->limits.namespaces) {
        too_much(t, "number of namespaces");
        return false;
    }
    t->n_namespaces++;
    struct xml_scope *new = (*next)++;
    *new = (struct xml_scope){.older = *scope,
                              .prefix = prefix,
                              .ns = ns,
                              .ns_default = prefix.len > 0 ? (*scope)->ns_default : ns};
    *scope = new;
    return true;
}

/* Names that cannot have occurred before are told by one bit each; the others are compared. */
static bool is_duplicate(uint64_t seen[4], const struct attribute *first,
                         const struct attribute *new)
{
    struct str name = new->name;
    unsigned hash = (uint8_t)name.at[0] * 7U + (uint8_t)name.at[name.len - 1] * 31U +
                    (uint8_t)name.at[name.len / 2] * 3U + (unsigned)name.len;
    uint64_t bit = UINT64_C(1) << (hash & 63);
    uint64_t *word = &seen[hash >> 6 & 3];
    if ((*word & bit) != 0)
        for (const struct attribute *a = first; a != new; a++)
            if (str_eq(a->name, name) && ns_eq(a->ns, new->ns))
                return true;
    *word |= bit;
    return false;
}

/* A name of the tag, at its place in the copy. */
static struct raw_name moved_name(struct raw_name name, const char *from, const char *to)
{
    name.at = to + (name.at - from);
    return name;
}

/* The scope around a new top-level element.  What an unusual header declared belongs to the
 * tokenizer; a stanza may outlive it and gets its own copy.  NULL with the fault set. */
static const struct xml_scope *stanza_scope(struct tokenizer *t, struct arena *arena)
{
    if (t->header == NULL)
        return t->declared;
    size_t n = 0, len = 0;
    for (const struct xml_scope *s = t->declared; s != &scope_none; s = s->older, n++)
        len += s->prefix.len + s->ns.len;
    struct xml_scope *copies = take(t, arena, n * sizeof *copies + len);
    if (copies == NULL)
        return NULL;
    char *text = (char *)(copies + n);
    struct str ns_default = STR_EMPTY;
    size_t i = 0;
    for (const struct xml_scope *s = t->declared; s != &scope_none; s = s->older, i++) {
        memcpy(text, s->prefix.at, s->prefix.len);
        struct str prefix = {text, s->prefix.len};
        text += s->prefix.len;
        memcpy(text, s->ns.at, s->ns.len);
        struct str ns = ns_known((struct str){text, s->ns.len});
        text += s->ns.len;
        copies[i] = (struct xml_scope){.older = &copies[i + 1], .prefix = prefix, .ns = ns};
        if (prefix.len == 0)
            ns_default = ns;
    }
    for (i = 0; i < n; i++)
        copies[i].ns_default = ns_default;
    if (n > 0)
        copies[n - 1].older = &scope_none;
    return n > 0 ? copies : &scope_none;
}

/* Makes the element of a tag that was scanned: one allocation holds it, its attributes, its
 * declarations and its text.  NULL with the fault set. */
static struct element *make_element(struct tokenizer *t, struct arena *arena, struct raw_tag *tag,
                                    const struct xml_scope **scope, struct str *raw)
{
    const struct xml_scope *around =
        t->innermost != NULL ? t->innermost->scope : stanza_scope(t, arena);
    if (around == NULL)
        return NULL;
    const char *from = tag->name.at;
    size_t n_attributes = tag->n_attributes - tag->n_declarations;
    size_t text_len = (size_t)(tag->end - from);
    size_t size = sizeof(struct element) + n_attributes * sizeof(struct attribute) +
                  tag->n_declarations * sizeof(struct xml_scope) + text_len;
    struct element *e = take(t, arena, size);
    if (e == NULL)
        return NULL;
    struct attribute *attributes = (struct attribute *)(e + 1);
    struct xml_scope *next_scope = (struct xml_scope *)(attributes + n_attributes);
    char *text = (char *)(next_scope + tag->n_declarations);
    memcpy(text, from, text_len);

    for (uint32_t i = 0; i < tag->n_attributes; i++) {
        struct raw_attribute *a = &tag->attributes[i];
        a->name = moved_name(a->name, from, text);
        char *value = text + (a->value - from);
        if (a->has != 0 && !decode(t, value, &a->value_len, a->has, true))
            return NULL;
        a->value = value;
    }
    *scope = around;
    for (uint32_t i = 0; tag->n_declarations > 0 && i < tag->n_attributes; i++) {
        const struct raw_attribute *a = &tag->attributes[i];
        if (a->declares &&
            !declare(t, around, &next_scope, scope, a->name, (struct str){a->value, a->value_len}))
            return NULL;
    }

    uint64_t seen[4] = {0};
    struct attribute *new = attributes;
    for (uint32_t i = 0; i < tag->n_attributes; i++) {
        const struct raw_attribute *a = &tag->attributes[i];
        if (a->declares)
            continue;
        *new = (struct attribute){
            .next = new + 1,
            .name = name_local(a->name),
            .ns = STR_EMPTY,
            .value = {a->value, a->value_len}
        };
        if (a->name.prefix > 0 && !find_ns(t, *scope, name_prefix(a->name), &new->ns))
            return NULL;
        if (is_duplicate(seen, attributes, new)) {
            not_well_formed(t, "attribute twice");
            return NULL;
        }
        new ++;
    }
    if (n_attributes > 0)
        attributes[n_attributes - 1].next = NULL;

    struct raw_name name = moved_name(tag->name, from, text);
    *raw = (struct str){name.at, name.len};
    *e = (struct element){.name = name_local(name),
                          .ns = (*scope)->ns_default,
                          .text = STR_EMPTY,
                          .attributes = n_attributes > 0 ? attributes : NULL};
    if (name.prefix > 0) {
        if (str_eq(name_prefix(name), STR("xmlns"))) {
            not_well_formed(t, "reserved prefix");
            return NULL;
        }
        if (!find_ns(t, *scope, name_prefix(name), &e->ns))
            return NULL;
    }
    return e;
}

static bool is_usual(const struct xml_scope *usual, const struct xml_scope *declared)
{
    size_t n_usual = 0, n_declared = 0;
    for (; usual != &scope_none; usual = usual->older, n_usual++) {
        const struct xml_scope *s = declared;
        while (s != &scope_none && !str_eq(s->prefix, usual->prefix))
            s = s->older;
        if (s == &scope_none || !ns_eq(s->ns, usual->ns))
            return false;
    }
    for (; declared != &scope_none; declared = declared->older)
        n_declared++;
    return n_usual == n_declared;
}

static struct arena *header_arena(struct tokenizer *t)
{
    if (t->header == NULL) {
        t->header = malloc(sizeof *t->header);
        must(t->header != NULL);
        arena_init(t->header, SIZE_MAX); // the limits have bounded what comes in
    }
    return t->header;
}

/* Keeps what the header declared for the life of the stream. */
static void keep_declared(struct tokenizer *t, const struct xml_scope *scope, struct str raw)
{
    t->n_header_namespaces = t->n_namespaces;
    t->header_name = STR("stream:stream");
    if (!str_eq(raw, t->header_name))
        t->header_name = arena_str(header_arena(t), raw);
    for (size_t i = 0; i < COUNT_OF(usual_scopes); i++) {
        if (is_usual(&usual_scopes[i], scope)) {
            t->declared = &usual_scopes[i];
            return;
        }
    }
    t->declared = &scope_none;
    const struct xml_scope **tail = &t->declared;
    for (const struct xml_scope *s = scope; s != &scope_none; s = s->older) {
        struct xml_scope *copy = arena_make(header_arena(t), struct xml_scope);
        *copy = (struct xml_scope){.older = &scope_none,
                                   .prefix = arena_str(header_arena(t), s->prefix),
                                   .ns = ns_known(arena_str(header_arena(t), s->ns))};
        *tail = copy;
        tail = &copy->older;
    }
}

/* All text of an element whose end has come, in one piece. */
static bool gather_text(struct tokenizer *t, struct arena *arena, struct element *e)
{
    size_t len = 0, n = 0;
    for (struct node *node = e->first; node != NULL; node = node->next) {
        if (!node->is_text)
            continue;
        struct text *text = (struct text *)node;
        if (n++ == 0)
            e->text = text->text;
        len += text->text.len;
    }
    if (n < 2)
        return true;
    char *all = take(t, arena, len);
    if (all == NULL)
        return false;
    e->text = (struct str){all, len};
    for (struct node *node = e->first; node != NULL; node = node->next) {
        if (!node->is_text)
            continue;
        struct text *text = (struct text *)node;
        memcpy(all, text->text.at, text->text.len);
        all += text->text.len;
    }
    return true;
}

static void finish_stanza(struct tokenizer *t)
{
    t->state = BETWEEN;
    t->innermost = t->spare = NULL; // they lived in the stanza's arena
    t->n_bytes = t->n_elements = t->depth = 0;
}

static bool open_element(struct tokenizer *t, struct arena *arena, struct element *e,
                         const struct xml_scope *scope, struct str raw, uint32_t n_namespaces)
{
    struct xml_open *open = t->spare;
    if (open != NULL) {
        t->spare = open->outer;
    } else {
        open = take(t, arena, sizeof *open);
        if (open == NULL)
            return false;
    }
    *open = (struct xml_open){.outer = t->innermost,
                              .element = e,
                              .raw = raw,
                              .scope = scope,
                              .n_namespaces = n_namespaces};
    t->innermost = open;
    t->depth++;
    return true;
}

/* A start tag: *out is set when that completes something. */
static enum parsed read_start_tag(struct tokenizer *t, struct arena *arena, const char **p,
                                  const char *end, struct element **out)
{
    struct raw_tag tag;
    enum parsed parsed = scan_start_tag(t, *p, end, &tag);
    if (parsed != PARSED)
        return parsed;
    if (!count_bytes(t, *p, tag.end))
        return PARSED_FAULT;
    *p = tag.end;
    bool is_header = t->state == AT_START || t->state == AT_HEADER;
    if (t->depth >= t->limits.depth && !is_header)
        return too_much(t, "nested too deep");
    if (!count_node(t))
        return PARSED_FAULT;
    uint32_t n_namespaces = t->innermost != NULL ? t->n_namespaces : t->n_header_namespaces;
    const struct xml_scope *scope;
    struct str raw;
    struct element *e = make_element(t, arena, &tag, &scope, &raw);
    if (e == NULL)
        return PARSED_FAULT;
    if (is_header) {
        keep_declared(t, scope, raw);
        finish_stanza(t);
        if (tag.is_empty)
            t->state = ENDING;
        *out = e;
        return PARSED;
    }
    if (t->innermost != NULL) {
        e->parent = t->innermost->element;
        node_append(e->parent, &e->node);
    }
    if (!tag.is_empty) {
        t->state = INSIDE;
        return open_element(t, arena, e, scope, raw, n_namespaces) ? PARSED : PARSED_FAULT;
    }
    t->n_namespaces = n_namespaces;
    if (t->innermost == NULL) {
        *out = e;
        finish_stanza(t);
    }
    return PARSED;
}

static enum parsed read_end_tag(struct tokenizer *t, struct arena *arena, const char **at,
                                const char *end, struct element **out)
{
    struct str raw = t->innermost != NULL ? t->innermost->raw : t->header_name;
    const char *p = *at + 2;
    size_t n = (size_t)(end - p) < raw.len ? (size_t)(end - p) : raw.len;
    if (memcmp(p, raw.at, n) != 0)
        return not_well_formed(t, "end tag of another element");
    p = skip_space(p + n, end);
    if (p == end)
        return PARSED_CUT;
    if (*p != '>')
        return not_well_formed(t, "end tag of another element");
    if (!count_bytes(t, *at, p + 1))
        return PARSED_FAULT;
    *at = p + 1;
    if (t->innermost == NULL) {
        t->state = ENDED;
        return PARSED;
    }
    struct xml_open *open = t->innermost;
    struct element *e = open->element;
    if (!gather_text(t, arena, e))
        return PARSED_FAULT;
    t->n_namespaces = open->n_namespaces;
    t->innermost = open->outer;
    open->outer = t->spare;
    t->spare = open;
    t->depth--;
    if (t->innermost == NULL) {
        *out = e;
        finish_stanza(t);
    }
    return PARSED;
}

// CDATA and the XML declaration

#define CDATA_START STR("<![CDATA[")
#define DECLARATION_START STR("<?xml")

static enum parsed read_cdata(struct tokenizer *t, struct arena *arena, const char **at,
                              const char *end)
{
    const char *p = *at + CDATA_START.len;
    const char *stop = memmem(p, (size_t)(end - p), "]]>", 3);
    int has = 0;
    if (stop == NULL)
        return PARSED_CUT;
    enum parsed parsed = scan_cdata(t, p, stop, &has);
    if (parsed != PARSED)
        return parsed;
    if (!count_bytes(t, *at, stop + 3))
        return PARSED_FAULT;
    *at = stop + 3;
    return add_text(t, arena, p, (size_t)(stop - p), has);
}

/* name = 'value' with space before it; at == NULL when something else stands there. */
static struct str read_pseudo_attribute(struct str *rest, struct str name)
{
    const char *p = rest->at, *end = rest->at + rest->len;
    const char *start = p;
    p = skip_space(p, end);
    if (p == start || !str_starts((struct str){p, (size_t)(end - p)}, name))
        return (struct str){NULL, 0};
    p = skip_space(p + name.len, end);
    if (p == end || *p != '=')
        return (struct str){NULL, 0};
    p = skip_space(p + 1, end);
    if (p == end || (*p != '"' && *p != '\''))
        return (struct str){NULL, 0};
    const char *stop = memchr(p + 1, *p, (size_t)(end - p - 1));
    if (stop == NULL)
        return (struct str){NULL, 0};
    *rest = (struct str){stop + 1, (size_t)(end - stop - 1)};
    return (struct str){p + 1, (size_t)(stop - p - 1)};
}

static enum parsed read_declaration(struct tokenizer *t, const char **at, const char *end)
{
    const char *p = *at + DECLARATION_START.len;
    const char *stop = memmem(p, (size_t)(end - p), "?>", 2);
    if (stop == NULL)
        return PARSED_CUT;
    struct str rest = {p, (size_t)(stop - p)};
    struct str version = read_pseudo_attribute(&rest, STR("version"));
    struct str encoding = read_pseudo_attribute(&rest, STR("encoding"));
    struct str standalone = read_pseudo_attribute(&rest, STR("standalone"));
    if (!str_eq(version, STR("1.0")) || str_trim(rest).len > 0)
        return not_well_formed(t, "XML declaration");
    if (standalone.at != NULL && !str_eq(standalone, STR("yes")) && !str_eq(standalone, STR("no")))
        return not_well_formed(t, "XML declaration");
    if (encoding.at != NULL && !str_eq_nocase(encoding, STR("utf-8")))
        return fail(t, XML_UNSUPPORTED_ENCODING, "encoding");
    *at = stop + 2;
    t->state = t->state == AT_START ? AT_HEADER : AT_ROOT;
    return PARSED; // not counted: the header's bytes are
}

// Tokens

static bool agrees(const char *p, size_t len, struct str wanted)
{
    return memcmp(p, wanted.at, len < wanted.len ? len : wanted.len) == 0;
}

/* What begins with the '<' at p; CUT_UNKNOWN when there are too few bytes to tell, CUT_NONE with
 * the fault set when it is nothing we read. */
static enum cut kind_of(struct tokenizer *t, const char *p, size_t len)
{
    if (len < 2)
        return CUT_UNKNOWN;
    if (p[1] == '!' && t->state == INSIDE && agrees(p, len, CDATA_START))
        return len < CDATA_START.len ? CUT_UNKNOWN : CUT_CDATA;
    if (p[1] == '?' && (t->state == AT_START || t->state == AT_DOCUMENT) &&
        agrees(p, len, DECLARATION_START)) {
        if (len <= DECLARATION_START.len)
            return CUT_UNKNOWN;
        if (char_is(p[DECLARATION_START.len], CHAR_SPACE))
            return CUT_DECLARATION;
    }
    if (p[1] == '!') {
        fail(t, XML_RESTRICTED, "comment or document type");
        return CUT_NONE;
    }
    if (p[1] == '?') {
        fail(t, XML_RESTRICTED, "processing instruction");
        return CUT_NONE;
    }
    if (p[1] == '/' && t->state != INSIDE && t->state != BETWEEN) {
        not_well_formed(t, "end tag first");
        return CUT_NONE;
    }
    return CUT_TAG;
}

static enum parsed read_markup(struct tokenizer *t, struct arena *arena, enum cut kind,
                               const char **p, const char *end, struct element **out)
{
    switch (kind) {
    case CUT_TAG:
        return (*p)[1] == '/' ? read_end_tag(t, arena, p, end, out)
                              : read_start_tag(t, arena, p, end, out);
    case CUT_CDATA:
        return read_cdata(t, arena, p, end);
    case CUT_DECLARATION:
        return read_declaration(t, p, end);
    case CUT_UNKNOWN:
        return PARSED_CUT;
    default:
        return PARSED_FAULT;
    }
}

/* How many of the new bytes belong to the token in pending: up to its last one, or all of them
 * with *is_whole false.  For tags t->quote remembers in which quotes the scan stands. */
static enum parsed find_tag_end(struct tokenizer *t, struct str bytes, size_t *n, bool *is_whole)
{
    const char *p = bytes.at, *end = bytes.at + bytes.len;
    *is_whole = false;
    while (p < end) {
        if (t->quote != 0) {
            p = memchr(p, t->quote, (size_t)(end - p));
            if (p == NULL)
                break;
            t->quote = 0;
            p++;
            continue;
        }
        char c = *p++;
        if (c == '"' || c == '\'')
            t->quote = (uint8_t)c;
        if (c == '<')
            return not_well_formed(t, "'<' in a tag");
        if (c == '>') {
            *is_whole = true;
            break;
        }
    }
    *n = *is_whole ? (size_t)(p - bytes.at) : bytes.len;
    return PARSED;
}

/* The same for tokens that end with a '>' which certain bytes precede. */
static void find_end_after(const struct buf *pending, struct str bytes, struct str before,
                           size_t at_least, size_t *n, bool *is_whole)
{
    struct str rest = bytes;
    *is_whole = false;
    while (rest.len > 0 && !*is_whole) {
        size_t found = str_find_char(rest, '>');
        if (found == rest.len)
            break;
        rest = str_skip(rest, found + 1);
        size_t here = (size_t)(rest.at - bytes.at) - 1; // of the '>'
        size_t total = pending->len + here;
        *is_whole = total >= at_least + before.len;
        for (size_t i = 1; i <= before.len && *is_whole; i++) {
            char c = i <= here ? bytes.at[here - i] : pending->at[total - i];
            *is_whole = c == before.at[before.len - i];
        }
    }
    *n = *is_whole ? (size_t)(rest.at - bytes.at) : bytes.len;
}

/* Moves n bytes of *rest to pending. */
static bool keep(struct tokenizer *t, struct str *rest, size_t n)
{
    if (!may_have(t, t->pending.len, n))
        return false;
    t->pending.ceiling = t->limits.bytes;
    buf_add(&t->pending, str_first(*rest, n));
    must(!t->pending.overflowed); // refused above
    *rest = str_skip(*rest, n);
    return true;
}

/* A token that begins at rest and was found to be cut. */
static enum parsed begin_cut(struct tokenizer *t, struct str *rest, enum cut kind)
{
    t->cut = (uint8_t)kind;
    t->quote = 0;
    if (kind == CUT_TAG) {
        size_t n;
        bool is_whole;
        if (find_tag_end(t, str_skip(*rest, 1), &n, &is_whole) != PARSED)
            return PARSED_FAULT;
        if (is_whole) // the reader of tags and its scanner must not disagree
            return not_well_formed(t, "tag");
    }
    return keep(t, rest, rest->len) ? PARSED_CUT : PARSED_FAULT;
}

/* Takes from *rest what belongs to the token in pending; PARSED when that makes it whole. */
static enum parsed continue_cut(struct tokenizer *t, struct str *rest)
{
    size_t n = rest->len;
    bool is_whole = false;
    switch ((enum cut)t->cut) {
    case CUT_UNKNOWN: {
        if (!keep(t, rest, 1))
            return PARSED_FAULT;
        enum cut kind = kind_of(t, t->pending.at, t->pending.len);
        if (kind == CUT_NONE)
            return PARSED_FAULT;
        t->cut = (uint8_t)kind;
        if (kind != CUT_TAG)
            return PARSED_CUT;
        struct str second = {t->pending.at + 1, t->pending.len - 1};
        if (find_tag_end(t, second, &n, &is_whole) != PARSED)
            return PARSED_FAULT;
        return is_whole ? not_well_formed(t, "tag") : PARSED_CUT;
    }
    case CUT_TEXT:
        n = str_find_char(*rest, '<');
        is_whole = n < rest->len;
        break;
    case CUT_TAG:
        if (find_tag_end(t, *rest, &n, &is_whole) != PARSED)
            return PARSED_FAULT;
        break;
    case CUT_CDATA:
        find_end_after(&t->pending, *rest, STR("]]"), CDATA_START.len, &n, &is_whole);
        break;
    case CUT_DECLARATION:
        find_end_after(&t->pending, *rest, STR("?"), DECLARATION_START.len, &n, &is_whole);
        break;
    case CUT_NONE:
        must(false);
    }
    if (!keep(t, rest, n))
        return PARSED_FAULT;
    return is_whole ? PARSED : PARSED_CUT;
}

/* Reads the token in pending, which is whole. */
static enum parsed read_pending(struct tokenizer *t, struct arena *arena, struct element **out)
{
    const char *p = t->pending.at, *end = p + t->pending.len;
    enum cut kind = (enum cut)t->cut;
    t->cut = CUT_NONE;
    enum parsed parsed;
    if (kind == CUT_TEXT) {
        const char *stop;
        int has = 0;
        // it ended before a '<', which is not in pending
        parsed = scan_text(t, p, end, &stop, &has);
        if (parsed == PARSED_CUT)
            parsed =
                stop == end ? read_text(t, arena, p, stop, has) : not_well_formed(t, "not UTF-8");
    } else {
        parsed = read_markup(t, arena, kind, &p, end, out);
        if (parsed == PARSED_CUT || (parsed == PARSED && p != end))
            parsed = not_well_formed(t, "tag");
    }
    buf_clear(&t->pending);
    return parsed;
}

/* Reads one token, or a part of one, from *rest, which is not empty. */
static enum parsed read_token(struct tokenizer *t, struct str *rest, struct arena *arena,
                              struct element **out)
{
    if (t->cut != CUT_NONE) {
        enum parsed parsed = continue_cut(t, rest);
        return parsed == PARSED ? read_pending(t, arena, out) : parsed;
    }
    const char *p = rest->at, *end = rest->at + rest->len;
    if (*p != '<') {
        if (t->state != INSIDE) {
            p = skip_space(p, end);
            *rest = (struct str){p, (size_t)(end - p)};
            if (p < end && *p != '<')
                return t->state == BETWEEN ? fail(t, XML_BAD_FORMAT, "text between stanzas")
                                           : not_well_formed(t, "text before the root");
            return PARSED;
        }
        const char *stop = NULL;
        int has = 0;
        enum parsed parsed = scan_text(t, p, end, &stop, &has);
        if (parsed == PARSED_CUT)
            return begin_cut(t, rest, CUT_TEXT);
        if (parsed != PARSED)
            return parsed;
        *rest = str_skip(*rest, (size_t)(stop - p));
        return read_text(t, arena, p, stop, has);
    }
    enum cut kind = kind_of(t, p, rest->len);
    enum parsed parsed = read_markup(t, arena, kind, &p, end, out);
    if (parsed == PARSED_CUT)
        return begin_cut(t, rest, kind);
    if (parsed != PARSED)
        return parsed;
    *rest = (struct str){p, (size_t)(end - p)};
    return PARSED;
}

// The face

void tokenizer_init(struct tokenizer *t, const struct tokenizer_limits *limits)
{
    *t = (struct tokenizer){.limits = *limits, .state = AT_START, .declared = &scope_none};
    buf_init(&t->pending, limits->bytes);
}

void tokenizer_done(struct tokenizer *t)
{
    buf_done(&t->pending);
    if (t->header != NULL)
        arena_done(t->header);
    free(t->header);
    t->header = NULL;
}

void tokenizer_reset(struct tokenizer *t)
{
    struct tokenizer_limits limits = t->limits;
    tokenizer_done(t);
    tokenizer_init(t, &limits);
}

void tokenizer_set_limits(struct tokenizer *t, const struct tokenizer_limits *limits)
{
    t->limits = *limits;
}

enum token tokenizer_feed(struct tokenizer *t, struct str *rest, struct arena *arena,
                          struct element **out)
{
    if (t->state == FAULTY)
        return TOKEN_FAULT;
    if (t->state == ENDING)
        t->state = ENDED;
    if (t->state == ENDED)
        return TOKEN_CLOSED;
    while (rest->len > 0) {
        bool is_header = t->state == AT_START || t->state == AT_HEADER;
        struct element *element = NULL;
        enum parsed parsed = read_token(t, rest, arena, &element);
        if (parsed == PARSED_FAULT || t->state == ENDED) {
            buf_done(&t->pending);
            return parsed == PARSED_FAULT ? TOKEN_FAULT : TOKEN_CLOSED;
        }
        if (element != NULL) {
            buf_done(&t->pending);
            *out = element;
            return is_header ? TOKEN_HEADER : TOKEN_STANZA;
        }
    }
    return TOKEN_MORE;
}

bool tokenizer_is_idle(const struct tokenizer *t)
{
    return t->innermost == NULL && t->cut == CUT_NONE;
}

struct str tokenizer_declared(const struct tokenizer *t, struct str prefix)
{
    for (const struct xml_scope *s = t->declared; s != NULL; s = s->older)
        if (str_eq(s->prefix, prefix))
            return s->ns;
    return STR_EMPTY;
}

enum err element_parse(struct arena *arena, struct str text, struct str ns,
                       const struct tokenizer_limits *limits, struct element **out,
                       enum xml_fault *fault)
{
    ns = ns_known(ns);
    if (!arena_fits(arena, ns.len + 1)) {
        if (fault != NULL)
            *fault = XML_POLICY_VIOLATION;
        return ERR_LIMIT;
    }
    // the tree must not borrow what only the caller knows the life of
    struct xml_scope around = {.older = &scope_none, .prefix = STR_EMPTY};
    around.ns = ns_is_known(ns) ? ns : arena_str(arena, ns);
    around.ns_default = around.ns;
    struct tokenizer t;
    tokenizer_init(&t, limits != NULL ? limits : &tokenizer_limits_default);
    t.state = AT_DOCUMENT;
    t.declared = &around;

    struct element *element = NULL;
    enum token token = tokenizer_feed(&t, &text, arena, &element);
    if (token == TOKEN_STANZA && str_trim(text).len > 0)
        not_well_formed(&t, "more than one element");
    else if (token != TOKEN_STANZA && t.fault == XML_FINE)
        not_well_formed(&t, "it ends too early");
    tokenizer_done(&t);
    if (fault != NULL)
        *fault = t.fault;
    if (t.fault != XML_FINE)
        return t.fault == XML_POLICY_VIOLATION ? ERR_LIMIT : ERR_MALFORMED;
    *out = element;
    return OK;
}
