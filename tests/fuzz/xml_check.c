#include "xml_check.h"

#include "base/must.h"
#include "base/random.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <expat.h>
#include <stdlib.h>

enum { MEMORY = 64 << 20, DEPTH_MOST = 200 };

// wide enough for all that a fuzzer sends, so that only the grammar decides
static const struct tokenizer_limits wide = {
    .bytes = 4U << 20,
    .elements = 1000000,
    .namespaces = 100000,
    .depth = DEPTH_MOST,
    .attributes = TOKENIZER_ATTRIBUTES_MOST,
    .name = 65535,
};

/* The tree that expat's callbacks build. */
struct other {
    struct arena arena;
    XML_Parser parser;
    struct element *top, *at;
    struct buf text; // since the last tag
    size_t depth;
    bool is_restricted; // it holds what XMPP leaves out
    bool is_beyond;     // deeper than our limit, or with names that two editions of XML judge
                        // differently
};

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.at[i] >= 0x80)
            return false;
    return true;
}

/* "namespace|name", or "name": the separator cannot be in a name. */
static void split(struct other *other, const char *text, struct str *ns, struct str *name)
{
    struct str copy = arena_str(&other->arena, str_of(text));
    const char *bar = memrchr(copy.at, '\f', copy.len);
    *ns = bar != NULL ? str_first(copy, (size_t)(bar - copy.at)) : STR_EMPTY;
    *name = bar != NULL ? str_skip(copy, ns->len + 1) : copy;
    if (!is_ascii(*name))
        other->is_beyond = true;
}

static void flush_text(struct other *other)
{
    if (other->at != NULL)
        element_add_text(&other->arena, other->at, arena_str(&other->arena, buf_str(&other->text)));
    buf_clear(&other->text);
}

static void XMLCALL on_start(void *context, const XML_Char *tag, const XML_Char **attributes)
{
    struct other *other = context;
    flush_text(other);
    if (++other->depth > DEPTH_MOST) {
        other->is_beyond = true;
        XML_StopParser(other->parser, XML_FALSE);
        return;
    }
    struct str ns, name;
    split(other, tag, &ns, &name);
    struct element *e = element_new(&other->arena, ns, name);
    size_t n = 0;
    for (; *attributes != NULL; attributes += 2, n++) {
        split(other, attributes[0], &ns, &name);
        element_set_ns(&other->arena, e, ns, name, arena_str(&other->arena, str_of(attributes[1])));
    }
    if (n > 64) // declarations are not seen here
        other->is_beyond = true;
    if (other->at != NULL)
        element_add(other->at, e);
    else
        other->top = e;
    other->at = e;
}

static void XMLCALL on_end(void *context, const XML_Char *tag)
{
    struct other *other = context;
    flush_text(other);
    other->depth--;
    other->at = other->at->parent;
}

static void XMLCALL on_text(void *context, const XML_Char *text, int len)
{
    struct other *other = context;
    buf_add(&other->text, (struct str){text, (size_t)len});
}

static void XMLCALL on_namespace(void *context, const XML_Char *prefix, const XML_Char *uri)
{
    struct other *other = context;
    if (prefix != NULL && !is_ascii(str_of(prefix)))
        other->is_beyond = true;
}

static void XMLCALL on_comment(void *context, const XML_Char *text)
{
    ((struct other *)context)->is_restricted = true;
}

static void XMLCALL on_instruction(void *context, const XML_Char *target, const XML_Char *text)
{
    ((struct other *)context)->is_restricted = true;
}

static void XMLCALL on_doctype(void *context, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    struct other *other = context;
    other->is_restricted = true;
    XML_StopParser(other->parser, XML_FALSE);
}

static void XMLCALL on_declaration(void *context, const XML_Char *version, const XML_Char *encoding,
                                   int standalone)
{
    struct other *other = context;
    if (!str_eq(str_of(version), STR("1.0")) ||
        (encoding != NULL && !str_eq_nocase(str_of(encoding), STR("utf-8"))))
        other->is_restricted = true;
}

/* expat's word on text. */
static bool parse_by_expat(struct other *other, struct str text)
{
    *other = (struct other){0};
    arena_init(&other->arena, MEMORY);
    buf_init(&other->text, MEMORY);
    other->parser = XML_ParserCreateNS("UTF-8", '\f');
    must(other->parser != NULL);
    XML_SetUserData(other->parser, other);
    XML_SetElementHandler(other->parser, on_start, on_end);
    XML_SetCharacterDataHandler(other->parser, on_text);
    XML_SetStartNamespaceDeclHandler(other->parser, on_namespace);
    XML_SetCommentHandler(other->parser, on_comment);
    XML_SetProcessingInstructionHandler(other->parser, on_instruction);
    XML_SetStartDoctypeDeclHandler(other->parser, on_doctype);
    XML_SetXmlDeclHandler(other->parser, on_declaration);
    bool is_read = XML_Parse(other->parser, text.at, (int)text.len, 1) == XML_STATUS_OK;
    return is_read && !other->is_restricted;
}

static void done_by_expat(struct other *other)
{
    XML_ParserFree(other->parser);
    buf_done(&other->text);
    arena_done(&other->arena);
}

/* Whether a name in the text could be one that the fourth and fifth edition of XML judge
 * differently. */
static bool has_long_names(const struct element *top)
{
    for (const struct element *e = top; e != NULL; e = element_walk(top, e)) {
        if (!is_ascii(e->name))
            return true;
        for (const struct attribute *a = e->attributes; a != NULL; a = a->next)
            if (!is_ascii(a->name))
                return true;
    }
    return false;
}

/* The same of prefixes, which the tree does not keep. */
static bool has_long_prefixes(struct str text)
{
    const struct str declares = STR("xmlns:");
    for (size_t at; (at = str_find(text, declares)) < text.len;) {
        text = str_skip(text, at + declares.len);
        if (!is_ascii(str_first(text, str_find_char(text, '='))))
            return true;
    }
    return false;
}

/* Beginnings that we read otherwise than expat, and why. */
static bool begins_otherwise(struct str text)
{
    // RFC 6120 section 11.6: no byte order mark
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        return true;
    // white space of the old stream may stand before a new declaration
    struct str trimmed = str_trim(text);
    return trimmed.at != text.at && str_starts(trimmed, STR("<?xml"));
}

static void check_round_trip(const struct element *e)
{
    struct buf first, second;
    buf_init(&first, MEMORY);
    buf_init(&second, MEMORY);
    struct arena arena;
    arena_init(&arena, MEMORY);
    xml_write(&first, e, NS_NONE);
    must(!first.overflowed);
    struct tokenizer_limits wider = wide;
    wider.bytes *= 8; // escaping makes it longer
    wider.namespaces = UINT32_MAX;
    struct element *again, *copy;
    enum xml_fault fault;
    enum err err = element_parse(&arena, buf_str(&first), NS_NONE, &wider, &again, &fault);
    // each foreign attribute brings its own declaration: a tag full of them outgrows the limit
    if (err != ERR_LIMIT) {
        must(err == OK);
        must(element_eq(e, again));
        xml_write(&second, again, NS_NONE);
        must(str_eq(buf_str(&first), buf_str(&second)));
        must(element_copy(&arena, again, &copy) == OK);
        must(element_eq(e, copy));
    }
    struct other other;
    bool is_read = parse_by_expat(&other, buf_str(&first));
    must(other.is_beyond || has_long_names(e) || (is_read && element_eq(e, other.top)));
    done_by_expat(&other);
    arena_done(&arena);
    buf_done(&first);
    buf_done(&second);
}

void xml_check_document(struct str text)
{
    struct arena arena;
    arena_init(&arena, MEMORY);
    struct element *ours = NULL;
    enum xml_fault fault;
    bool is_read = element_parse(&arena, text, NS_NONE, &wide, &ours, &fault) == OK;
    if (fault != XML_POLICY_VIOLATION && !begins_otherwise(text)) {
        struct other other;
        bool is_read_by_expat = parse_by_expat(&other, text);
        bool is_edition = is_read && (has_long_names(ours) || has_long_prefixes(text));
        if (!other.is_beyond && !is_edition) {
            must(is_read == is_read_by_expat);
            if (is_read)
                must(element_eq(ours, other.top));
        }
        done_by_expat(&other);
    }
    if (is_read)
        check_round_trip(ours);
    arena_done(&arena);
}

/* Feeds text in pieces and writes what comes.  Whether the last token is still without its end. */
static bool tell_stream(struct str text, struct prng *cuts, struct buf *story)
{
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct arena arena;
    arena_init(&arena, 1U << 20);
    bool is_over = false;
    while (text.len > 0 && !is_over) {
        size_t n = text.len;
        if (cuts != NULL) {
            // mostly small pieces, since most tokens are
            size_t most = prng_below(cuts, 4) == 0 ? text.len : 8;
            n = 1 + prng_below(cuts, most < text.len ? most : text.len);
        }
        char *alone = malloc(n); // so that reading behind its end is seen
        must(alone != NULL);
        memcpy(alone, text.at, n);
        struct str rest = {alone, n};
        text = str_skip(text, n);
        enum token token;
        struct element *e;
        while (!is_over && (token = tokenizer_feed(&t, &rest, &arena, &e)) != TOKEN_MORE) {
            buf_printf(story, "%d", token);
            if (token == TOKEN_HEADER || token == TOKEN_STANZA) {
                must(tokenizer_is_idle(&t));
                xml_write(story, e, NS_CLIENT);
                arena_reset(&arena);
            } else {
                buf_printf(story, "%d", t.fault);
                is_over = true;
            }
        }
        must(is_over || rest.len == 0);
        free(alone);
    }
    bool is_waiting = t.fault == XML_FINE && t.pending.len > 0;
    tokenizer_done(&t);
    arena_done(&arena);
    return is_waiting;
}

/* Which of two faults in one tag is seen first may depend on the cut, when one of them is a limit;
 * that there is one may not. */
static struct str without_fault(const struct buf *story)
{
    struct str text = buf_str(story);
    char policy[] = {'0' + TOKEN_FAULT, '0' + XML_POLICY_VIOLATION};
    char grammar[] = {'0' + TOKEN_FAULT, '0' + XML_NOT_WELL_FORMED};
    if (str_ends(text, (struct str){policy, 2}) || str_ends(text, (struct str){grammar, 2}))
        text.len--;
    return text;
}

void xml_check_stream(struct str text, uint64_t seed)
{
    struct buf whole, cut;
    buf_init(&whole, MEMORY);
    buf_init(&cut, MEMORY);
    tell_stream(text, NULL, &whole);
    struct prng cuts = {seed};
    bool is_waiting = tell_stream(text, &cuts, &cut);
    must(!whole.overflowed && !cut.overflowed);
    // what is wrong with a tag whose end has not come may not be known yet
    if (is_waiting && str_starts(buf_str(&whole), buf_str(&cut)) && whole.len == cut.len + 2)
        must(whole.at[cut.len] == '0' + TOKEN_FAULT);
    else
        must(whole.len == cut.len && str_eq(without_fault(&whole), without_fault(&cut)));
    buf_done(&whole);
    buf_done(&cut);
}
