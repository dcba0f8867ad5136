/*
 * How a stream of users comes out of one document: XEP-0227 nests them in
 * <server-data><host>, while the tokenizer delivers the children of a header.  So
 * each <host> tag is given to a tokenizer as the header of a stream of its own,
 * with the namespaces that the root declared added to it; what stands outside of
 * hosts is little, and read here.
 */
#include "daemon/portable.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/must.h"
#include "xml/writer.h"
#include "xmpp/jid.h"
#include "xmpp/scram.h"
#include "xmpp/stanza.h"

#define NS_XINCLUDE STR("http://www.w3.org/2001/XInclude")
#define NS_ARCHIVE STR("urn:xmpp:pie:0#mam")

enum state { BEFORE_ROOT, IN_ROOT, IN_HOST, SKIPPING, AFTER_ROOT, BROKEN };

enum { TAG_MOST = 64 << 10, TAGS_ARENA = 1 << 20, USER_BYTES_MOST = 32 << 20 };

static const struct tokenizer_limits limits = {
    .bytes = USER_BYTES_MOST,
    .elements = 500000,
    .namespaces = 128,
    .depth = 64,
    .attributes = TOKENIZER_ATTRIBUTES_MOST,
    .name = 256,
};

void portable_reader_init(struct portable_reader *reader)
{
    *reader = (struct portable_reader){.line = 1};
    arena_init(&reader->tags, TAGS_ARENA);
    buf_init(&reader->tag, TAG_MOST);
}

void portable_reader_done(struct portable_reader *reader)
{
    if (reader->in_tokenizer)
        tokenizer_done(&reader->tokenizer);
    arena_done(&reader->tags);
    buf_done(&reader->tag);
}

bool portable_is_idle(const struct portable_reader *reader)
{
    return !reader->in_tokenizer || tokenizer_is_idle(&reader->tokenizer);
}

static enum portable fault(struct portable_reader *reader, const char *what)
{
    reader->state = BROKEN;
    why_say(&reader->why, OK, "line %llu: %s", (unsigned long long)reader->line, what);
    return PORTABLE_FAULT;
}

static void count_lines(struct portable_reader *reader, struct str read)
{
    for (const char *at = read.at, *end = read.at + read.len;
         (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        reader->line++;
}

/* ---- tags outside of hosts ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The declarations of namespaces in a tag that a tokenizer has accepted, as text.
static struct str declarations_of(struct arena *arena, struct str tag)
{
    struct str all = STR_EMPTY;
    for (size_t i = 0; i < tag.len;) {
        if (tag.at[i] == '"' || tag.at[i] == '\'') { // a value: past it
            size_t end = str_find_char(str_skip(tag, i + 1), tag.at[i]);
            i += end + 2;
            continue;
        }
        struct str here = str_skip(tag, i);
        if (i == 0 || !is_space(tag.at[i - 1]) || !str_starts(here, STR("xmlns"))) {
            i++;
            continue;
        }
        size_t open = 0;
        while (open < here.len && here.at[open] != '"' && here.at[open] != '\'')
            open++;
        if (open == here.len)
            break;
        size_t close = open + 1 + str_find_char(str_skip(here, open + 1), here.at[open]);
        if (close >= here.len)
            break;
        all = arena_printf(arena, "%.*s %.*s", STR_ARGS(all), (int)close + 1, here.at);
        i += close + 1;
    }
    return all;
}

// "xmlns:x" of one declaration as declarations_of() writes it.
static struct str declared_name(struct str declaration)
{
    size_t end = 0;
    while (end < declaration.len && declaration.at[end] != '=' && !is_space(declaration.at[end]))
        end++;
    return str_first(declaration, end);
}

static bool declares(struct str tag, struct str name)
{
    for (size_t i = 1; i + name.len < tag.len; i++) {
        struct str here = str_skip(tag, i);
        if (is_space(tag.at[i - 1]) && str_starts(here, name) &&
            (here.at[name.len] == '=' || is_space(here.at[name.len])))
            return true;
    }
    return false;
}

// The tag with the root's declarations that it does not make itself.
static struct str with_declarations(struct portable_reader *reader, struct str tag, bool empty)
{
    struct str body = str_first(tag, tag.len - (empty ? 2 : 1)), added = STR_EMPTY;
    for (struct str rest = reader->declarations; rest.len > 0;) {
        rest = str_skip(rest, 1); // the space before each
        struct str name = declared_name(rest);
        size_t open = name.len;
        while (open < rest.len && rest.at[open] != '"' && rest.at[open] != '\'')
            open++;
        size_t close = open + 1 + str_find_char(str_skip(rest, open + 1), rest.at[open]);
        if (!declares(body, name))
            added =
                arena_printf(&reader->tags, "%.*s %.*s", STR_ARGS(added), (int)close + 1, rest.at);
        rest = str_skip(rest, close + 1);
    }
    return arena_printf(&reader->tags, "%.*s%.*s%s", STR_ARGS(body), STR_ARGS(added),
                        empty ? "/>" : ">");
}

static enum portable take_tag(struct portable_reader *reader, struct str tag)
{
    bool empty = str_ends(tag, STR("/>"));
    struct element *header = NULL;
    // three copies of a tag and of the root's are the most that is made of it
    if (!arena_fits(&reader->tags, 4 * (tag.len + reader->declarations.len) + 65536)) {
        struct arena fresh;
        arena_init(&fresh, TAGS_ARENA);
        reader->declarations = arena_str(&fresh, reader->declarations);
        reader->host = STR_EMPTY;
        arena_done(&reader->tags);
        reader->tags = fresh;
        if (!arena_fits(&reader->tags, 4 * (tag.len + reader->declarations.len) + 65536))
            return fault(reader, "a tag is too long");
    }
    struct str whole = reader->state == IN_ROOT ? with_declarations(reader, tag, empty) : tag;
    struct str rest = whole;
    tokenizer_init(&reader->tokenizer, &limits);
    reader->in_tokenizer = true;
    enum token token = tokenizer_feed(&reader->tokenizer, &rest, &reader->tags, &header);
    if (token != TOKEN_HEADER)
        return fault(reader, token == TOKEN_FAULT ? reader->tokenizer.detail : "a broken tag");
    if (element_is(header, NS_XINCLUDE, STR("include")))
        return fault(reader, "the file is split by XInclude; join it first, for example with "
                             "xmllint --xinclude");
    if (element_is(header, NS_PIE, STR("server-data")) && reader->state == BEFORE_ROOT) {
        reader->declarations = declarations_of(&reader->tags, tag);
        reader->state = empty ? AFTER_ROOT : IN_ROOT;
    } else if (element_is(header, NS_PIE, STR("host"))) {
        struct str jid = element_attr(header, STR("jid"));
        if (jid_prepare_domain(&reader->tags, jid, &reader->host) != OK)
            return fault(reader, "a <host/> needs a domain in its attribute jid");
        reader->root_is_host = reader->state == BEFORE_ROOT;
        if (!empty) {
            reader->state = IN_HOST;
            return PORTABLE_MORE; // the tokenizer goes on
        }
        reader->state = reader->root_is_host ? AFTER_ROOT : IN_ROOT;
    } else if (reader->state == BEFORE_ROOT) {
        return fault(reader, "the document is not an XEP-0227 file: its root is not <server-data/> "
                             "in urn:xmpp:pie:0");
    } else {
        reader->n_ignored++;
        if (!empty) {
            reader->state = SKIPPING;
            return PORTABLE_MORE;
        }
    }
    tokenizer_done(&reader->tokenizer);
    reader->in_tokenizer = false;
    return PORTABLE_MORE;
}

static enum portable take_markup(struct portable_reader *reader, struct str tag)
{
    if (str_starts(tag, STR("<?xml")) && tag.len > 5 && is_space(tag.at[5]) && !reader->begun) {
        struct str lower = str_skip(tag, 5);
        size_t at = str_find(lower, STR("encoding"));
        bool utf8 = at == lower.len || str_find(lower, STR("UTF-8")) < lower.len ||
                    str_find(lower, STR("utf-8")) < lower.len;
        return utf8 ? PORTABLE_MORE : fault(reader, "the encoding must be UTF-8");
    }
    if (str_starts(tag, STR("<?")))
        return fault(reader, "processing instructions are not accepted");
    if (str_starts(tag, STR("<!--")))
        return fault(reader, "comments are not accepted");
    if (str_starts(tag, STR("<!")))
        return fault(reader, "document types and entities are not accepted");
    if (reader->state == AFTER_ROOT)
        return fault(reader, "there is more after the end of the document");
    if (!str_starts(tag, STR("</")))
        return take_tag(reader, tag);
    if (reader->state != IN_ROOT || tag.len < 4)
        return fault(reader, "an end tag without a beginning");
    reader->state = AFTER_ROOT;
    return PORTABLE_MORE;
}

// Bytes outside of hosts; stops behind each tag.
static enum portable read_outside(struct portable_reader *reader, struct str *rest)
{
    size_t i = 0;
    for (; i < rest->len; i++) {
        char c = rest->at[i];
        if (c == '\n')
            reader->line++;
        if (reader->tag.len == 0) {
            if (is_space(c))
                continue;
            if (!reader->begun && reader->tag.len == 0 && (unsigned char)c >= 0x80 &&
                reader->line == 1 &&
                ((unsigned char)c == 0xEF || (unsigned char)c == 0xBB || (unsigned char)c == 0xBF))
                continue; // a byte order mark
            if (c != '<')
                return fault(reader, reader->state == BEFORE_ROOT ? "this is no XML"
                                                                  : "text between the tags");
            reader->quote = '\0';
        }
        buf_add_char(&reader->tag, c);
        if (reader->tag.overflowed)
            return fault(reader, "a tag is too long");
        if (reader->quote != '\0') {
            if (c == reader->quote)
                reader->quote = '\0';
            continue;
        }
        if (c == '"' || c == '\'')
            reader->quote = c;
        // a comment or a document type need not be read to its end to be refused
        bool refused = reader->tag.len == 4 && str_starts(buf_str(&reader->tag), STR("<!"));
        if (c != '>' && !refused)
            continue;
        *rest = str_skip(*rest, i + 1);
        enum portable got = take_markup(reader, buf_str(&reader->tag));
        reader->begun = true;
        buf_clear(&reader->tag);
        return got;
    }
    *rest = str_skip(*rest, rest->len);
    return PORTABLE_MORE;
}

/* ---- inside of hosts ---- */

static enum portable read_inside(struct portable_reader *reader, struct str *rest,
                                 struct arena *arena, struct element **user)
{
    struct str before = *rest;
    struct element *element = NULL;
    enum token token = tokenizer_feed(&reader->tokenizer, rest, arena, &element);
    count_lines(reader, str_first(before, before.len - rest->len));
    switch (token) {
    case TOKEN_MORE:
        return PORTABLE_MORE;
    case TOKEN_STANZA:
        if (reader->state == IN_HOST && element_is(element, NS_PIE, STR("user"))) {
            *user = element;
            return PORTABLE_USER;
        }
        if (element_is(element, NS_XINCLUDE, STR("include")))
            return fault(reader, "the file is split by XInclude; join it first, for example with "
                                 "xmllint --xinclude");
        reader->n_ignored += reader->state == IN_HOST;
        return PORTABLE_MORE;
    case TOKEN_CLOSED:
        tokenizer_done(&reader->tokenizer);
        reader->in_tokenizer = false;
        reader->state = reader->root_is_host ? AFTER_ROOT : IN_ROOT;
        return PORTABLE_MORE;
    case TOKEN_HEADER:
    case TOKEN_FAULT:
        break;
    }
    return fault(reader,
                 reader->tokenizer.detail != NULL ? reader->tokenizer.detail : "broken XML");
}

enum portable portable_feed(struct portable_reader *reader, struct str *rest, struct arena *arena,
                            struct element **user)
{
    if (reader->state == BROKEN)
        return PORTABLE_FAULT;
    enum portable got = PORTABLE_MORE;
    while (rest->len > 0 && got == PORTABLE_MORE)
        got = reader->state == IN_HOST || reader->state == SKIPPING
                  ? read_inside(reader, rest, arena, user)
                  : read_outside(reader, rest);
    if (got == PORTABLE_MORE && reader->state == AFTER_ROOT && reader->tag.len == 0)
        return PORTABLE_END;
    return got;
}

/* ---- one user ---- */

// How many elements of a kind there are, so that arrays are made once.
static size_t count_children(const struct element *parent, struct str ns, struct str name)
{
    size_t n = 0;
    for (const struct element *child = element_child(parent, ns, name); child != NULL;
         child = element_next_same(child))
        n++;
    return n;
}

static bool read_key(struct arena *arena, const struct element *from, struct str name, size_t least,
                     size_t most, struct str *out)
{
    struct str text = str_trim(element_child_text(from, NS_PIE_SCRAM, name)), bytes;
    if (text.len == 0 || base64_decode(arena, text, most, &bytes) != OK || bytes.len < least)
        return false;
    *out = bytes;
    return true;
}

static bool read_scram(struct arena *arena, const struct element *from,
                       struct store_keys keys[STORE_N_HASHES])
{
    static const struct {
        struct str name;
        enum store_hash hash;
        size_t size;
    } mechanisms[] = {
        {STR("SCRAM-SHA-1"),   STORE_SHA1,   20},
        {STR("SCRAM-SHA-256"), STORE_SHA256, 32},
        {STR("SCRAM-SHA-512"), STORE_SHA512, 64},
    };
    struct str mechanism = element_attr(from, STR("mechanism"));
    for (size_t i = 0; i < COUNT_OF(mechanisms); i++) {
        if (!str_eq(mechanism, mechanisms[i].name))
            continue;
        struct store_keys read = {0};
        uint64_t iterations;
        size_t size = mechanisms[i].size;
        if (str_to_u64(str_trim(element_child_text(from, NS_PIE_SCRAM, STR("iter-count"))), 1,
                       SCRAM_ITERATIONS_MOST, &iterations) != OK ||
            !read_key(arena, from, STR("salt"), 1, SCRAM_SALT_MOST, &read.salt) ||
            !read_key(arena, from, STR("server-key"), size, size, &read.server_key) ||
            !read_key(arena, from, STR("stored-key"), size, size, &read.stored_key))
            return false;
        read.iterations = (uint32_t)iterations;
        keys[mechanisms[i].hash] = read;
        return true;
    }
    return false;
}

static bool read_subscription(struct str text, enum store_subscription *out)
{
    static const struct str names[] = {
        [STORE_SUB_NONE] = STR("none"),
        [STORE_SUB_TO] = STR("to"),
        [STORE_SUB_FROM] = STR("from"),
        [STORE_SUB_BOTH] = STR("both"),
    };
    *out = STORE_SUB_NONE;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq(text, names[i])) {
            *out = (enum store_subscription)i;
            return true;
        }
    return text.len == 0;
}

static bool read_item(struct arena *arena, const struct element *from,
                      struct store_roster_item *out)
{
    struct jid jid;
    if (jid_parse(arena, element_attr(from, STR("jid")), &jid) != OK ||
        !read_subscription(element_attr(from, STR("subscription")), &out->subscription))
        return false;
    struct str name = element_attr(from, STR("name")), approved;
    size_t n = count_children(from, NS_ROSTER, STR("group"));
    approved = element_attr(from, STR("approved"));
    out->jid = jid_bare(&jid);
    out->name = name.at != NULL ? name : STR_EMPTY;
    out->ask = str_eq(element_attr(from, STR("ask")), STR("subscribe"));
    out->approved = str_eq(approved, STR("true")) || str_eq(approved, STR("1"));
    out->groups = arena_make_array(arena, struct str, n);
    for (const struct element *group = element_child(from, NS_ROSTER, STR("group")); group != NULL;
         group = element_next_same(group)) {
        bool known = group->text.len == 0;
        for (uint32_t g = 0; g < out->n_groups && !known; g++)
            known = str_eq(out->groups[g], group->text);
        if (!known)
            out->groups[out->n_groups++] = group->text;
    }
    return true;
}

static void read_roster(struct arena *arena, const struct element *from, struct portable_user *out)
{
    size_t n = count_children(from, NS_ROSTER, STR("item"));
    struct store_roster_item *items = arena_make_array(arena, struct store_roster_item, n);
    for (const struct element *item = element_child(from, NS_ROSTER, STR("item")); item != NULL;
         item = element_next_same(item)) {
        if (read_item(arena, item, &items[out->import.n_items]))
            out->import.n_items++;
        else
            out->n_ignored++;
    }
    out->import.items = items;
}

static uint8_t type_of(struct str type)
{
    if (str_eq(type, STR("chat")))
        return TYPE_CHAT;
    if (str_eq(type, STR("groupchat")))
        return TYPE_GROUPCHAT;
    if (str_eq(type, STR("headline")))
        return TYPE_HEADLINE;
    return TYPE_NORMAL;
}

static bool is_delay(const struct element *child, const void *host)
{
    const struct str *domain = host;
    struct str from = element_attr(child, STR("from"));
    // without an author, or by the server itself: it says when the server took it, and our own
    // will say the same
    return element_is(child, NS_DELAY, STR("delay")) && (from.len == 0 || str_eq(from, *domain));
}

// own: the account's bare JID.  when_us: of an archive's <delay/>, 0 for offline messages.
static bool read_message(struct arena *arena, const struct element *from, struct str own,
                         struct str host, int64_t when_us, struct portable_message *out)
{
    struct jid sender = {0}, receiver = {0}, me = jid_of_prepared(own);
    struct element *message;
    if (element_copy(arena, from, &message) != OK)
        return false;
    struct str sender_text = element_attr(message, STR("from"));
    struct str receiver_text = element_attr(message, STR("to"));
    if ((sender_text.len > 0 && jid_parse(arena, sender_text, &sender) != OK) ||
        (receiver_text.len > 0 && jid_parse(arena, receiver_text, &receiver) != OK))
        return false;
    out->outgoing = when_us != 0 && sender.full.len > 0 && jid_eq_bare(&sender, &me) &&
                    receiver.full.len > 0 && !jid_eq_bare(&receiver, &me);
    out->archived = when_us != 0;
    out->wall_us = when_us;
    const struct element *delay = element_child(message, NS_DELAY, STR("delay"));
    for (; delay != NULL && out->wall_us == 0; delay = element_next_same(delay))
        if (is_delay(delay, &host) &&
            clock_parse(element_attr(delay, STR("stamp")), &out->wall_us) != OK)
            out->wall_us = 0;
    if (when_us == 0)
        element_remove_if(message, is_delay, &host);
    const struct jid *peer = out->outgoing ? &receiver : &sender;
    const struct element *origin = element_child(message, NS_SID, STR("origin-id"));
    struct str id = element_attr(message, STR("id"));
    out->peer = jid_bare(peer);
    out->resource = peer->resource;
    out->message_id = id.at != NULL ? id : STR_EMPTY;
    out->origin_id = STR_EMPTY;
    if (origin != NULL && element_attr(origin, STR("id")).at != NULL)
        out->origin_id = element_attr(origin, STR("id"));
    out->type = type_of(element_attr(message, STR("type")));
    // who it is for is known; a stored message may lack it
    if (receiver_text.len == 0)
        element_set(arena, message, STR("to"), own);
    return out->peer.len > 0 && xml_to_str(arena, message, NS_CLIENT, &out->stanza) == OK;
}

static void read_messages(struct arena *arena, const struct element *user, struct str own,
                          struct str host, struct portable_user *out)
{
    const struct element *offline = element_child(user, NS_PIE, STR("offline-messages"));
    const struct element *archive = element_child(user, NS_ARCHIVE, STR("archive"));
    size_t most = (offline != NULL ? count_children(offline, NS_CLIENT, STR("message")) : 0) +
                  (archive != NULL ? count_children(archive, NS_MAM, STR("result")) : 0);
    if (most == 0)
        return;
    out->messages = arena_make_array(arena, struct portable_message, most);
    const struct element *at =
        offline != NULL ? element_child(offline, NS_CLIENT, STR("message")) : NULL;
    for (; at != NULL; at = element_next_same(at)) {
        if (read_message(arena, at, own, host, 0, &out->messages[out->n_messages]))
            out->n_messages++;
        else
            out->n_ignored++;
    }
    at = archive != NULL ? element_child(archive, NS_MAM, STR("result")) : NULL;
    for (; at != NULL; at = element_next_same(at)) {
        const struct element *forwarded = element_child(at, NS_FORWARD, STR("forwarded"));
        const struct element *delay = NULL, *message = NULL;
        int64_t when_us = 0;
        if (forwarded != NULL) {
            delay = element_child(forwarded, NS_DELAY, STR("delay"));
            message = element_child(forwarded, NS_CLIENT, STR("message"));
        }
        if (delay != NULL && message != NULL &&
            clock_parse(element_attr(delay, STR("stamp")), &when_us) == OK && when_us > 0 &&
            read_message(arena, message, own, host, when_us, &out->messages[out->n_messages]))
            out->n_messages++;
        else
            out->n_ignored++;
    }
}

struct str portable_private_key(struct arena *arena, const struct element *element)
{
    return arena_printf(arena, "private %.*s", STR_ARGS(element->ns));
}

static bool add_document(struct arena *arena, struct str key, const struct element *from,
                         struct store_document *documents, uint32_t *n)
{
    struct str xml;
    if (xml_to_str(arena, from, NS_NONE, &xml) != OK)
        return false;
    for (uint32_t i = 0; i < *n; i++)
        if (str_eq(documents[i].key, key)) // the later one, as when it had been set again
            documents[i].xml = xml;
    bool known = false;
    for (uint32_t i = 0; i < *n; i++)
        known |= str_eq(documents[i].key, key);
    if (!known)
        documents[(*n)++] = (struct store_document){.key = key, .xml = xml};
    return true;
}

static void read_documents(struct arena *arena, const struct element *user,
                           struct portable_user *out)
{
    const struct element *vcard = element_child(user, NS_VCARD, STR("vCard"));
    const struct element *first = element_child(user, NS_PRIVATE, STR("query")), *query;
    size_t most = 1;
    for (query = first; query != NULL; query = element_next_same(query))
        ELEMENT_EACH(query, child)
    most++;
    struct store_document *documents = arena_make_array(arena, struct store_document, most);
    uint32_t *n = &out->import.n_documents;
    out->import.documents = documents;
    if (vcard != NULL)
        out->n_ignored += !add_document(arena, PORTABLE_VCARD, vcard, documents, n);
    for (query = first; query != NULL; query = element_next_same(query))
        ELEMENT_EACH(query, child)
    out->n_ignored += !add_document(arena, portable_private_key(arena, child), child, documents, n);
}

static void read_pending(struct arena *arena, const struct element *user, struct str own,
                         struct portable_user *out)
{
    size_t n = count_children(user, NS_CLIENT, STR("presence"));
    out->pending = arena_make_array(arena, struct store_pending, n);
    for (const struct element *at = element_child(user, NS_CLIENT, STR("presence")); at != NULL;
         at = element_next_same(at)) {
        struct store_pending *pending = &out->pending[out->n_pending];
        struct element *copy;
        struct jid from;
        if (str_eq(element_attr(at, STR("type")), STR("subscribe")) &&
            jid_parse(arena, element_attr(at, STR("from")), &from) == OK &&
            element_copy(arena, at, &copy) == OK) {
            element_set(arena, copy, STR("from"), jid_bare(&from));
            element_set(arena, copy, STR("to"), own);
            pending->from = jid_bare(&from);
            if (xml_to_str(arena, copy, NS_CLIENT, &pending->stanza) == OK) {
                out->n_pending++;
                continue;
            }
        }
        out->n_ignored++;
    }
}

// Of privacy lists only what a block list can say: everything from this address is denied.
static void read_blocked(struct arena *arena, const struct element *privacy,
                         struct portable_user *out)
{
    struct str wanted = STR_EMPTY;
    const struct element *named = element_child(privacy, NS_PRIVACY, STR("default"));
    if (named != NULL)
        wanted = element_attr(named, STR("name"));
    const struct element *list = element_child(privacy, NS_PRIVACY, STR("list"));
    while (list != NULL && !str_eq(element_attr(list, STR("name")), wanted))
        list = element_next_same(list);
    if (list == NULL) {
        out->n_ignored++;
        return;
    }
    out->blocked =
        arena_make_array(arena, struct str, count_children(list, NS_PRIVACY, STR("item")));
    for (const struct element *item = element_child(list, NS_PRIVACY, STR("item")); item != NULL;
         item = element_next_same(item)) {
        struct jid jid;
        if (str_eq(element_attr(item, STR("type")), STR("jid")) &&
            str_eq(element_attr(item, STR("action")), STR("deny")) && element_first(item) == NULL &&
            jid_parse(arena, element_attr(item, STR("value")), &jid) == OK)
            out->blocked[out->n_blocked++] = jid.full;
        else
            out->n_ignored++;
    }
}

// As clients have it (XEP-0191); some servers write it so.
static void read_block_list(struct arena *arena, const struct element *list,
                            struct portable_user *out)
{
    out->blocked =
        arena_make_array(arena, struct str, count_children(list, NS_BLOCKING, STR("item")));
    for (const struct element *item = element_child(list, NS_BLOCKING, STR("item")); item != NULL;
         item = element_next_same(item)) {
        struct jid jid;
        if (jid_parse(arena, element_attr(item, STR("jid")), &jid) == OK)
            out->blocked[out->n_blocked++] = jid.full;
        else
            out->n_ignored++;
    }
}

// What a user may hold besides, and we have no place for.
static size_t count_unknown(const struct element *user)
{
    size_t n = 0;
    ELEMENT_EACH(user, child)
    {
        bool known = element_is(child, NS_ROSTER, STR("query")) ||
                     element_is(child, NS_PRIVATE, STR("query")) ||
                     element_is(child, NS_PRIVACY, STR("query")) ||
                     element_is(child, NS_BLOCKING, STR("blocklist")) ||
                     element_is(child, NS_VCARD, STR("vCard")) ||
                     element_is(child, NS_CLIENT, STR("presence")) ||
                     element_is(child, NS_PIE, STR("offline-messages")) ||
                     element_is(child, NS_PIE_SCRAM, STR("scram-credentials")) ||
                     element_is(child, NS_ARCHIVE, STR("archive"));
        n += !known;
    }
    return n;
}

enum err portable_read_user(struct arena *arena, const struct element *element, struct str host,
                            struct portable_user *out, struct why *why)
{
    struct str name = element_attr(element, STR("name")), local;
    struct portable_user user = {0};
    if (name.len == 0 || jid_prepare_local(arena, name, &local) != OK)
        return why_say(why, ERR_MALFORMED, "\"%.*s\" is no name for an account",
                       name.len < 200 ? (int)name.len : 200, name.at != NULL ? name.at : "");
    if (element_child(element, NS_XINCLUDE, STR("include")) != NULL)
        return why_say(why, ERR_UNSUPPORTED,
                       "the file is split by XInclude; join it first, for example with xmllint "
                       "--xinclude");
    struct jid jid;
    if (jid_make(arena, local, host, STR_EMPTY, &jid) != OK)
        return why_say(why, ERR_MALFORMED, "%.*s is no address", STR_ARGS(local));
    user.import.local = jid.local;
    user.import.domain = jid.domain;
    struct str password = element_attr(element, STR("password"));
    user.password = password.at != NULL ? password : STR_EMPTY;
    for (const struct element *at = element_child(element, NS_PIE_SCRAM, STR("scram-credentials"));
         at != NULL; at = element_next_same(at))
        user.n_ignored += !read_scram(arena, at, user.import.keys);
    const struct element *roster = element_child(element, NS_ROSTER, STR("query"));
    const struct element *privacy = element_child(element, NS_PRIVACY, STR("query"));
    if (roster != NULL)
        read_roster(arena, roster, &user);
    const struct element *blocked = element_child(element, NS_BLOCKING, STR("blocklist"));
    if (blocked != NULL)
        read_block_list(arena, blocked, &user);
    else if (privacy != NULL)
        read_blocked(arena, privacy, &user);
    read_documents(arena, element, &user);
    read_pending(arena, element, jid_bare(&jid), &user);
    read_messages(arena, element, jid_bare(&jid), jid.domain, &user);
    user.n_ignored += count_unknown(element);
    *out = user;
    return OK;
}

/* ---- writing ---- */

struct str portable_begin(void)
{
    return STR("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n");
}

struct str portable_end(void)
{
    return STR("</server-data>\n");
}

void portable_begin_host(struct buf *out, struct str host)
{
    buf_add(out, STR("<host jid='"));
    xml_write_value(out, host);
    buf_add(out, STR("'>\n"));
}

void portable_end_host(struct buf *out)
{
    buf_add(out, STR("</host>\n"));
}

void portable_begin_user(struct buf *out, struct str local)
{
    buf_add(out, STR("<user name='"));
    xml_write_value(out, local);
    buf_add(out, STR("'>\n"));
}

void portable_end_user(struct buf *out)
{
    buf_add(out, STR("</user>\n"));
}

void portable_write_keys(struct buf *out, const struct store_keys keys[STORE_N_HASHES])
{
    static const char *const names[] = {
        [STORE_SHA1] = "SCRAM-SHA-1",
        [STORE_SHA256] = "SCRAM-SHA-256",
        [STORE_SHA512] = "SCRAM-SHA-512",
    };
    for (size_t i = 0; i < STORE_N_HASHES; i++) {
        if (keys[i].iterations == 0)
            continue;
        buf_printf(out,
                   "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='%s'>"
                   "<iter-count>%u</iter-count><salt>",
                   names[i], keys[i].iterations);
        base64_add(out, keys[i].salt);
        buf_add(out, STR("</salt><server-key>"));
        base64_add(out, keys[i].server_key);
        buf_add(out, STR("</server-key><stored-key>"));
        base64_add(out, keys[i].stored_key);
        buf_add(out, STR("</stored-key></scram-credentials>\n"));
    }
}

static void write_attribute(struct buf *out, const char *name, struct str value)
{
    if (value.len > 0)
        xml_write_attribute(out, name, value);
}

void portable_write_roster(struct buf *out, const struct store_roster_item *items, size_t n)
{
    static const char *const names[] = {
        [STORE_SUB_NONE] = "none", [STORE_SUB_TO] = "to",          [STORE_SUB_FROM] = "from",
        [STORE_SUB_BOTH] = "both", [STORE_SUB_REMOVED] = "remove",
    };
    buf_add(out, STR("<query xmlns='jabber:iq:roster'>"));
    for (size_t i = 0; i < n; i++) {
        buf_add(out, STR("<item"));
        write_attribute(out, "jid", items[i].jid);
        write_attribute(out, "name", items[i].name);
        write_attribute(out, "subscription", str_of(names[items[i].subscription]));
        if (items[i].ask)
            buf_add(out, STR(" ask='subscribe'"));
        if (items[i].approved)
            buf_add(out, STR(" approved='true'"));
        buf_add(out, items[i].n_groups > 0 ? STR(">") : STR("/>"));
        for (uint32_t g = 0; g < items[i].n_groups; g++) {
            buf_add(out, STR("<group>"));
            xml_write_text(out, items[i].groups[g]);
            buf_add(out, STR("</group>"));
        }
        if (items[i].n_groups > 0)
            buf_add(out, STR("</item>"));
    }
    buf_add(out, STR("</query>\n"));
}

// A stored stanza stands in jabber:client; in this file its parent does not.
static void write_stanza(struct buf *out, struct str stanza)
{
    size_t name = 1;
    while (name < stanza.len && stanza.at[name] >= 'a' && stanza.at[name] <= 'z')
        name++;
    buf_add(out, str_first(stanza, name));
    buf_add(out, STR(" xmlns='jabber:client'"));
    buf_add(out, str_skip(stanza, name));
}

void portable_write_pending(struct buf *out, const struct store_pending *pending, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        write_stanza(out, pending[i].stanza);
        buf_add_char(out, '\n');
    }
}

void portable_write_blocked(struct buf *out, const struct str *blocked, size_t n)
{
    if (n == 0)
        return;
    buf_add(out, STR("<query xmlns='jabber:iq:privacy'><default name='blocked'/>"
                     "<list name='blocked'>"));
    for (size_t i = 0; i < n; i++) {
        buf_add(out, STR("<item type='jid' action='deny'"));
        write_attribute(out, "value", blocked[i]);
        buf_printf(out, " order='%zu'/>", i + 1);
    }
    buf_add(out, STR("</list></query>\n"));
}

void portable_begin_offline(struct buf *out)
{
    buf_add(out, STR("<offline-messages>\n"));
}

void portable_write_message(struct buf *out, struct str domain, const struct store_message *row)
{
    struct arena arena;
    arena_init(&arena, 1024);
    struct str when = clock_format(&arena, row->wall_us), stanza = row->stanza;
    struct buf delay;
    buf_init(&delay, 4096);
    buf_add(&delay, STR("<delay xmlns='urn:xmpp:delay'"));
    write_attribute(&delay, "from", domain);
    buf_printf(&delay, " stamp='%.*s'/>", STR_ARGS(when));
    // before its end tag; a message without content has none
    struct str end = STR("</message>");
    if (str_ends(stanza, end)) {
        write_stanza(out, str_first(stanza, stanza.len - end.len));
        buf_add(out, buf_str(&delay));
        buf_add(out, STR("</message>\n"));
    } else if (str_ends(stanza, STR("/>"))) {
        write_stanza(out, str_first(stanza, stanza.len - 2));
        buf_printf(out, ">%.*s</message>\n", STR_ARGS(buf_str(&delay)));
    }
    buf_done(&delay);
    arena_done(&arena);
}

void portable_end_offline(struct buf *out)
{
    buf_add(out, STR("</offline-messages>\n"));
}
