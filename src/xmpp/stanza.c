#include "xmpp/stanza.h"

#include "base/must.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <stdlib.h>
#include <string.h>

enum {
    OWN_MOST = 1 << 20, // what the server says itself
    // beyond the largest stanza that can be configured (4 MiB): its tree, 16 bytes for each of its
    // own and 256 for each element, and its text, six bytes for each where it must be escaped
    INNER_MOST = 512 << 20,
};

static const struct str kind_names[] = {
    [STANZA_MESSAGE] = {"message",  7},
    [STANZA_PRESENCE] = {"presence", 8},
    [STANZA_IQ] = {"iq",       2},
};

static const struct {
    struct str name;
    enum stanza_kind kind;
    enum stanza_type type;
} types[] = {
    {{"chat", 4},          STANZA_MESSAGE,  TYPE_CHAT        },
    {{"groupchat", 9},     STANZA_MESSAGE,  TYPE_GROUPCHAT   },
    {{"headline", 8},      STANZA_MESSAGE,  TYPE_HEADLINE    },
    {{"normal", 6},        STANZA_MESSAGE,  TYPE_NORMAL      },
    {{"error", 5},         STANZA_MESSAGE,  TYPE_ERROR       },
    {{"get", 3},           STANZA_IQ,       TYPE_GET         },
    {{"set", 3},           STANZA_IQ,       TYPE_SET         },
    {{"result", 6},        STANZA_IQ,       TYPE_RESULT      },
    {{"error", 5},         STANZA_IQ,       TYPE_ERROR       },
    {{"unavailable", 11},  STANZA_PRESENCE, TYPE_UNAVAILABLE },
    {{"subscribe", 9},     STANZA_PRESENCE, TYPE_SUBSCRIBE   },
    {{"subscribed", 10},   STANZA_PRESENCE, TYPE_SUBSCRIBED  },
    {{"unsubscribe", 11},  STANZA_PRESENCE, TYPE_UNSUBSCRIBE },
    {{"unsubscribed", 12}, STANZA_PRESENCE, TYPE_UNSUBSCRIBED},
    {{"probe", 5},         STANZA_PRESENCE, TYPE_PROBE       },
    {{"error", 5},         STANZA_PRESENCE, TYPE_ERROR       },
};

struct str stanza_type_name(enum stanza_type type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].type == type && type != TYPE_NORMAL)
            return types[i].name;
    return STR_EMPTY;
}

static enum stanza_type type_of(enum stanza_kind kind, struct str name)
{
    if (name.len == 0 && kind != STANZA_IQ)
        return kind == STANZA_MESSAGE ? TYPE_NORMAL : TYPE_AVAILABLE;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].kind == kind && str_eq(types[i].name, name))
            return types[i].type;
    // RFC 6121 5.2.2: an unknown message type is normal
    return kind == STANZA_MESSAGE ? TYPE_NORMAL : TYPE_UNKNOWN;
}

// A stanza lives in its own arena, which it takes over.
static struct stanza *stanza_new(struct arena *arena)
{
    arena->ceiling += sizeof(struct stanza);
    struct stanza *stanza = arena_make(arena, struct stanza);
    atomic_init(&stanza->refs, 1);
    stanza->arena = *arena;
    arena_init(arena, stanza->arena.ceiling);
    return stanza;
}

static enum err read_address(struct stanza *stanza, struct str name, struct jid *out)
{
    struct str text = element_attr(stanza->root, name);
    if (text.at == NULL)
        return OK;
    struct jid jid;
    if (!arena_fits(&stanza->arena, (size_t)4 * JID_MOST) ||
        jid_parse(&stanza->arena, text, &jid) != OK)
        return ERR_MALFORMED;
    *out = jid;
    // what is written is what was understood: the prepared form
    element_set(&stanza->arena, stanza->root, name, jid.full);
    return OK;
}

static struct str or_empty(struct str text)
{
    return text.at != NULL ? text : STR_EMPTY;
}

struct stanza *stanza_take(struct arena *arena, struct element *root, enum err *e)
{
    enum stanza_kind kind = STANZA_MESSAGE;
    while (kind <= STANZA_IQ && !str_eq(kind_names[kind], root->name))
        kind++;
    if (kind > STANZA_IQ || !str_eq(root->ns, NS_CLIENT)) {
        *e = ERR_UNSUPPORTED;
        return NULL;
    }
    struct stanza *stanza = stanza_new(arena);
    // the server adds addresses and an answer of its own to what the peer was allowed
    stanza->arena.ceiling += OWN_MOST;
    stanza->root = root;
    stanza->kind = kind;
    stanza->type = type_of(kind, or_empty(element_attr(root, STR("type"))));
    stanza->id = or_empty(element_attr(root, STR("id")));
    stanza->lang = or_empty(element_lang(root));
    enum err from = read_address(stanza, STR("from"), &stanza->from);
    enum err to = read_address(stanza, STR("to"), &stanza->to);
    *e = from != OK ? from : to;
    return stanza;
}

struct stanza *stanza_parse(struct str text)
{
    struct arena arena;
    arena_init(&arena, INNER_MOST);
    static const struct tokenizer_limits wide = {
        .bytes = INNER_MOST,
        .elements = 1 << 20,
        .namespaces = 1 << 16,
        .depth = 1024,
        .attributes = TOKENIZER_ATTRIBUTES_MOST,
        .name = 8192,
    };
    struct element *root;
    enum err e;
    struct stanza *stanza = NULL;
    if (element_parse(&arena, text, NS_CLIENT, &wide, &root, NULL) == OK)
        stanza = stanza_take(&arena, root, &e);
    arena_done(&arena);
    return stanza;
}

struct stanza *stanza_make(enum stanza_kind kind, enum stanza_type type, const struct jid *from,
                           const struct jid *to, struct str id)
{
    struct arena arena;
    arena_init(&arena, INNER_MOST);
    struct stanza *stanza = stanza_new(&arena);
    stanza->kind = kind;
    stanza->type = type;
    stanza->root = element_new(&stanza->arena, NS_CLIENT, kind_names[kind]);
    if (from != NULL)
        stanza_set_from(stanza, from);
    if (to != NULL)
        stanza_set_to(stanza, to);
    if (id.len > 0) {
        stanza->id = arena_str(&stanza->arena, id);
        element_set(&stanza->arena, stanza->root, STR("id"), stanza->id);
    }
    struct str type_name = stanza_type_name(type);
    if (type_name.len > 0)
        element_set(&stanza->arena, stanza->root, STR("type"), type_name);
    return stanza;
}

void stanza_set_from(struct stanza *stanza, const struct jid *from)
{
    must(!stanza->sealed);
    stanza->from = jid_copy(&stanza->arena, from);
    element_set(&stanza->arena, stanza->root, STR("from"), stanza->from.full);
}

void stanza_set_to(struct stanza *stanza, const struct jid *to)
{
    must(!stanza->sealed);
    stanza->to = jid_copy(&stanza->arena, to);
    element_set(&stanza->arena, stanza->root, STR("to"), stanza->to.full);
}

void stanza_seal(struct stanza *stanza)
{
    if (stanza->sealed)
        return;
    stanza->sealed = true;
    if (stanza->root->first == NULL)
        return;
    char room[1024];
    struct buf inner;
    buf_init_in(&inner, room, sizeof room, INNER_MOST);
    xml_write_inner(&inner, stanza->root);
    must(!inner.overflowed);
    stanza->arena.ceiling += inner.len + 1;
    stanza->inner = arena_str(&stanza->arena, buf_str(&inner));
    buf_done(&inner);
}

void stanza_keep_text(struct stanza *stanza)
{
    must(stanza->sealed);
    char room[2048];
    struct buf text;
    buf_init_in(&text, room, sizeof room, INNER_MOST);
    stanza_write(&text, stanza, STR_EMPTY, STR_EMPTY);
    must(!text.overflowed);
    stanza->arena.ceiling += text.len + 1;
    stanza->text = arena_str(&stanza->arena, buf_str(&text));
    buf_done(&text);
}

void stanza_seal_with(struct stanza *stanza, struct str inner)
{
    must(!stanza->sealed);
    stanza->sealed = true;
    stanza->arena.ceiling += inner.len + 1;
    stanza->inner = arena_str(&stanza->arena, inner);
}

struct packed_stanza {
    uint32_t text_len, lures_len, from_len;
    bool calm, links_protected;
    char bytes[]; // text, lure_keys, lures_from
};

struct packed_stanza *stanza_pack(const struct stanza *stanza)
{
    char room[2048];
    struct buf bytes;
    buf_init_in(&bytes, room, sizeof room, INNER_MOST);
    stanza_write(&bytes, stanza, STR_EMPTY, STR_EMPTY);
    size_t text_len = bytes.len;
    buf_add(&bytes, stanza->lure_keys);
    buf_add(&bytes, stanza->lures_from);
    must(!bytes.overflowed);
    struct packed_stanza *packed = malloc(sizeof *packed + bytes.len);
    must(packed != NULL);
    *packed = (struct packed_stanza){
        .text_len = (uint32_t)text_len,
        .lures_len = (uint32_t)stanza->lure_keys.len,
        .from_len = (uint32_t)stanza->lures_from.len,
        .calm = stanza->calm,
        .links_protected = stanza->links_protected,
    };
    memcpy(packed->bytes, bytes.at, bytes.len);
    buf_done(&bytes);
    return packed;
}

struct str packed_stanza_text(const struct packed_stanza *packed)
{
    return str_make(packed->bytes, packed->text_len);
}

struct str packed_stanza_lures(const struct packed_stanza *packed)
{
    return str_make(packed->bytes + packed->text_len, packed->lures_len);
}

struct stanza *stanza_unpack(const struct packed_stanza *packed)
{
    struct stanza *stanza = stanza_parse(packed_stanza_text(packed));
    must(stanza != NULL); // it is what stanza_write made
    stanza_seal(stanza);
    struct str lures = packed_stanza_lures(packed);
    stanza->arena.ceiling += lures.len + packed->from_len + 2;
    if (lures.len > 0)
        stanza->lure_keys = arena_str(&stanza->arena, lures);
    if (packed->from_len > 0)
        stanza->lures_from =
            arena_str(&stanza->arena, str_make(lures.at + lures.len, packed->from_len));
    stanza->calm = packed->calm;
    stanza->links_protected = packed->links_protected;
    return stanza;
}

void packed_stanza_free(struct packed_stanza **packed)
{
    free(TAKE(*packed));
}

struct stanza *stanza_ref(struct stanza *stanza)
{
    atomic_fetch_add_explicit(&stanza->refs, 1, memory_order_relaxed);
    return stanza;
}

void stanza_unref(struct stanza **stanza)
{
    struct stanza *s = TAKE(*stanza);
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct arena arena = s->arena; // s lives in it
    arena_done(&arena);
}

void stanza_write(struct buf *out, const struct stanza *stanza, struct str to, struct str extra)
{
    must(stanza->sealed);
    const struct xml_replaced replaced[] = {
        {STR("to"), to}
    };
    bool is_empty = stanza->inner.len == 0 && extra.len == 0;
    xml_write_start(out, stanza->root, NS_CLIENT, replaced, to.len > 0 ? 1 : 0, is_empty);
    if (is_empty)
        return;
    buf_add(out, stanza->inner);
    buf_add(out, extra);
    xml_write_end(out, stanza->root);
}

struct stanza *stanza_refusal(const struct stanza *stanza, const struct stanza_error *error)
{
    return stanza_refusal_by(stanza, &stanza->to, error);
}

struct stanza *stanza_refusal_by(const struct stanza *stanza, const struct jid *by,
                                 const struct stanza_error *error)
{
    if (stanza->type == TYPE_ERROR || stanza->type == TYPE_RESULT)
        return NULL;
    if (stanza->to.full.len > 0)
        by = &stanza->to;
    struct stanza *reply =
        stanza_make(stanza->kind, TYPE_ERROR, by->full.len > 0 ? by : NULL,
                    stanza->from.full.len > 0 ? &stanza->from : NULL, stanza->id);
    const struct element *child = stanza_error_element(&reply->arena, error);
    struct element *copy;
    must(element_copy(&reply->arena, child, &copy) == OK);
    element_add(reply->root, copy);
    stanza_seal(reply);
    return reply;
}
