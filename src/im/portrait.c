/*
 * The questions are those that clients answer by themselves.  What depends on
 * the moment (idle seconds, the time of day) is taken out of an answer before
 * it is compared and put in again when it is given.
 */
#include "im/portrait.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "im/send.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <stdlib.h>

enum {
    PORTRAIT_MOST = 64 << 10,    // bytes of a client's answers: real ones have some thousand
    REPLY_PARSED_MOST = 4 << 20, // the tree of one answer
    ROOM_LEFT = 16 << 10,        // for what is put into it
    LANG_MOST = 64,
    ID_MOST = 4096, // of what is asked; more is not answered
};

static const int64_t silence_us = 30 * SECOND_US; // what is not answered until then will not be

enum question_kind { PLAIN, INFO, INFO_OF_NODE, IDLE, CLOCK };

struct question {
    enum question_kind kind;
    bool sets;
    struct str name; // of the element below, with its namespace
    const char *ns;
    const char *xml;
};

#define QUESTION(kind, sets, name, ns, rest)                                                       \
    {                                                                                              \
        kind, sets, {name, sizeof(name) - 1}, ns, "<" name " xmlns='" ns "'" rest                  \
    }

// The last two stand for whatever no other row names.
static const struct question questions[] = {
    QUESTION(INFO, false, "query", "http://jabber.org/protocol/disco#info", "/>"),
    QUESTION(INFO_OF_NODE, false, "query", "http://jabber.org/protocol/disco#info", " node='n'/>"),
    QUESTION(PLAIN, false, "query", "http://jabber.org/protocol/disco#items", "/>"),
    QUESTION(PLAIN, false, "query", "jabber:iq:version", "/>"),
    QUESTION(PLAIN, false, "ping", "urn:xmpp:ping", "/>"),
    QUESTION(IDLE, false, "query", "jabber:iq:last", "/>"),
    QUESTION(CLOCK, false, "time", "urn:xmpp:time", "/>"),
    QUESTION(PLAIN, false, "vCard", "vcard-temp", "/>"),
    QUESTION(PLAIN, false, "data", "urn:xmpp:bob", " cid='sha1+0@bob.xmpp.org'/>"),
    QUESTION(PLAIN, true, "command", "http://jabber.org/protocol/commands",
             " node='n' action='execute'/>"),
    QUESTION(PLAIN, true, "jingle", "urn:xmpp:jingle:1",
             " action='session-terminate' sid='n'><reason><success/></reason></jingle>"),
    QUESTION(PLAIN, true, "close", "http://jabber.org/protocol/ibb", " sid='n'/>"),
    QUESTION(PLAIN, false, "query", "urn:xmpp:portrait:0", "/>"),
    QUESTION(PLAIN, true, "query", "urn:xmpp:portrait:0", "/>"),
};
enum { N_QUESTIONS = COUNT_OF(questions), ANY_GET = N_QUESTIONS - 2, ANY_SET = N_QUESTIONS - 1 };
_Static_assert((int)N_QUESTIONS <= (int)PORTRAIT_QUESTIONS, "they have room");

// session->portrait: what was asked, and what came.
struct sitting {
    struct portrait *portrait;                 // being made; NULL: it was taken, or will not be one
    char ids[N_QUESTIONS][RANDOM_ID_SIZE + 1]; // empty: answered
    unsigned n_open;
    int64_t asked_us, delay_us; // loop time; 0: nothing came yet
};

struct portrait *portrait_ref(struct portrait *portrait)
{
    atomic_fetch_add_explicit(&portrait->refs, 1, memory_order_relaxed);
    return portrait;
}

void portrait_unref(struct portrait **portrait)
{
    struct portrait *p = TAKE(*portrait);
    if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&p->arena);
    free(p);
}

/* ---- Asking ---- */

static struct element *parsed(struct arena *arena, const char *constant)
{
    struct element *element;
    must(element_parse(arena, str_of(constant), NS_CLIENT, NULL, &element, NULL) == OK);
    return element;
}

// Children that were written once, below an element of no meaning.  It may fail the first time, as
// a site's limits may let pass more than ours here; what is kept has been read.
static enum err read_inner(struct arena *arena, struct str inner, struct element **out)
{
    if (!arena_fits(arena, inner.len + 16))
        return ERR_LIMIT;
    return element_parse(arena, arena_printf(arena, "<a>%.*s</a>", STR_ARGS(inner)), NS_CLIENT,
                         NULL, out, NULL);
}

static bool is_readable(struct str inner)
{
    struct arena arena;
    struct element *element;
    arena_init(&arena, REPLY_PARSED_MOST);
    bool reads = read_inner(&arena, inner, &element) == OK;
    arena_done(&arena);
    return reads;
}

static void put(struct session *session, const struct question *question, const char *id)
{
    struct jid domain = jid_of_prepared(session->jid.domain);
    struct stanza *stanza = stanza_make(STANZA_IQ, question->sets ? TYPE_SET : TYPE_GET, &domain,
                                        &session->jid, str_of(id));
    element_add(stanza->root, parsed(&stanza->arena, question->xml));
    stanza_seal(stanza);
    send_stanza(session, stanza);
    stanza_unref(&stanza);
}

static bool is_the_clients(const struct element *child)
{
    return element_is(child, NS_CAPS, STR("c")) || element_is(child, NS_CLIENT, STR("priority")) ||
           element_is(child, NS_VCARD_UPDATE, STR("x"));
}

static const struct str no_photo = {"<photo/>", 8};

// The person's own words, and his picture, are not his client's.
static bool take_presence(struct portrait *portrait, const struct session *session)
{
    struct stanza *stanza = stanza_parse(packed_stanza_text(session->presence));
    struct buf text;
    buf_init(&text, PORTRAIT_MOST / 4);
    if (stanza != NULL) {
        ELEMENT_EACH(stanza->root, child)
        if (element_is(child, NS_VCARD_UPDATE, STR("x")))
            buf_printf(&text, "<x xmlns='vcard-temp:x:update'>%.*s</x>", STR_ARGS(no_photo));
        else if (is_the_clients(child))
            xml_write(&text, child, NS_CLIENT);
    }
    bool fits = !text.overflowed && is_readable(buf_str(&text)) && session->lang.len <= LANG_MOST;
    if (fits) {
        portrait->presence = arena_str(&portrait->arena, buf_str(&text));
        portrait->lang =
            session->names_lang ? arena_str(&portrait->arena, session->lang) : STR_EMPTY;
    }
    buf_done(&text);
    stanza_unref(&stanza);
    return fits;
}

struct str portrait_presence(const struct portrait *portrait, struct arena *arena, struct str photo)
{
    size_t at = str_find(portrait->presence, no_photo);
    if (photo.len == 0 || at == portrait->presence.len)
        return portrait->presence;
    return arena_printf(arena, "%.*s<photo>%.*s</photo>%.*s",
                        STR_ARGS(str_first(portrait->presence, at)), STR_ARGS(photo),
                        STR_ARGS(str_skip(portrait->presence, at + no_photo.len)));
}

void portrait_ask(struct session *session)
{
    if (session->portrait != NULL)
        return;
    struct sitting *sitting = calloc(1, sizeof *sitting);
    struct portrait *portrait = calloc(1, sizeof *portrait);
    must(sitting != NULL && portrait != NULL);
    atomic_init(&portrait->refs, 1);
    arena_init(&portrait->arena, (size_t)4 * PORTRAIT_MOST);
    session->portrait = sitting;
    sitting->portrait = portrait;
    sitting->asked_us = loop_now_us(session->home->loop);
    sitting->n_open = N_QUESTIONS;
    if (!take_presence(portrait, session)) {
        portrait_unref(&sitting->portrait);
        return;
    }
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        random_id_z(sitting->ids[i]);
        put(session, &questions[i], sitting->ids[i]);
    }
}

bool portrait_is_asked(const struct session *session)
{
    return session->portrait != NULL;
}

void portrait_forget(struct session *session)
{
    struct sitting *sitting = TAKE(session->portrait);
    if (sitting == NULL)
        return;
    portrait_unref(&sitting->portrait);
    free(sitting);
}

/* ---- What is answered ---- */

static struct element *with_time(struct arena *arena, const struct element *time, struct str now)
{
    struct element *copy = element_new(arena, NS_TIME, STR("time"));
    unsigned n = 0;
    ELEMENT_EACH(time, child)
    if (n++ < 4)
        element_child_with(arena, copy, NS_TIME, child->name,
                           str_eq(child->name, STR("utc")) ? now : child->text);
    return copy;
}

// Puts what depends on the moment, or on who asks, in the place of what was there.
static struct element *at_moment(struct arena *arena, enum question_kind kind,
                                 struct element *child, struct str idle, struct str now)
{
    if (kind == IDLE && element_is(child, NS_LAST, STR("query")) &&
        element_attr(child, STR("seconds")).at != NULL)
        element_set(arena, child, STR("seconds"), idle);
    if (kind == CLOCK && element_is(child, NS_TIME, STR("time")))
        return with_time(arena, child, now);
    return child;
}

static bool has_receipts(const struct element *query)
{
    ELEMENT_EACH(query, child)
    if (element_is(child, NS_DISCO_INFO, STR("feature")) &&
        str_eq(element_attr(child, STR("var")), NS_RECEIPTS))
        return true;
    return false;
}

static struct str order_of(struct arena *arena, const struct element *root)
{
    struct str order = STR_EMPTY;
    for (const struct attribute *a = root->attributes; a != NULL; a = a->next)
        if (a->ns.len == 0 && (str_eq(a->name, STR("to")) || str_eq(a->name, STR("id")) ||
                               str_eq(a->name, STR("type"))))
            order = arena_printf(arena, "%.*s%s%.*s", STR_ARGS(order), order.len > 0 ? " " : "",
                                 STR_ARGS(a->name));
    return order;
}

// Attributes that our own stanza lacks are left out.
static struct element *in_order(struct arena *arena, struct str name, struct str order,
                                struct str to, struct str id, struct str type)
{
    struct element *element = element_new(arena, NS_CLIENT, name);
    while (order.at != NULL) {
        struct str word = str_cut(&order, ' ');
        struct str value = str_eq(word, STR("to"))     ? to
                           : str_eq(word, STR("id"))   ? id
                           : str_eq(word, STR("type")) ? type
                                                       : STR_EMPTY;
        if (value.len > 0)
            element_set(arena, element, word, value);
    }
    if (to.len > 0) // whatever the client named: where its answers go is not to be lost
        element_set(arena, element, STR("to"), to);
    return element;
}

static bool take_answer(struct portrait *portrait, size_t at, const struct stanza *stanza)
{
    struct portrait_answer *answer = &portrait->answers[at];
    struct arena arena;
    struct buf text;
    arena_init(&arena, REPLY_PARSED_MOST);
    buf_init(&text, PORTRAIT_MOST / 4);
    const struct element *asked = parsed(&arena, questions[at].xml);
    answer->is_error = stanza->type == TYPE_ERROR;
    struct str order = order_of(&arena, stanza->root);
    bool fits = arena_fits(&portrait->arena, order.len + 1);
    answer->order = fits ? arena_str(&portrait->arena, order) : STR_EMPTY;
    ELEMENT_EACH(stanza->root, child)
    {
        struct element *copy;
        if (answer->is_error && element_eq(child, asked)) {
            answer->echoes = true;
            continue;
        }
        if (questions[at].kind == INFO)
            portrait->receipts |= has_receipts(child);
        fits = fits && element_copy(&arena, child, &copy) == OK && arena_fits(&arena, ROOM_LEFT);
        if (fits)
            xml_write(&text, at_moment(&arena, questions[at].kind, copy, STR("0"), STR("0")),
                      NS_CLIENT);
    }
    fits = fits && !text.overflowed && arena_fits(&portrait->arena, text.len + 1) &&
           is_readable(buf_str(&text));
    if (fits)
        answer->inner = arena_str(&portrait->arena, buf_str(&text));
    buf_done(&text);
    arena_done(&arena);
    return fits;
}

void portrait_answered(struct session *session, const struct stanza *stanza)
{
    struct sitting *sitting = session->portrait;
    if (sitting == NULL || sitting->portrait == NULL || stanza->id.len != RANDOM_ID_SIZE)
        return;
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        if (!str_eq(stanza->id, str_of(sitting->ids[i])))
            continue;
        sitting->ids[i][0] = '\0';
        sitting->n_open--;
        if (sitting->delay_us == 0)
            sitting->delay_us = loop_now_us(session->home->loop) - sitting->asked_us + 1;
        if (!take_answer(sitting->portrait, i, stanza))
            portrait_unref(&sitting->portrait);
        return;
    }
}

// Some clients leave a request without any answer: so do decoys like them.  One that answers
// nothing at all is not there any more, or no client.
static bool is_done(const struct session *session, const struct sitting *sitting)
{
    int64_t waited_us = loop_now_us(session->home->loop) - sitting->asked_us;
    return sitting->n_open == 0 || (sitting->n_open < N_QUESTIONS && waited_us > silence_us);
}

struct portrait *portrait_take(struct session *session, int64_t *delay_us)
{
    struct sitting *sitting = session->portrait;
    if (sitting == NULL || sitting->portrait == NULL || !is_done(session, sitting))
        return NULL;
    struct portrait *portrait = TAKE(sitting->portrait);
    for (size_t i = 0; i < N_QUESTIONS; i++)
        portrait->answers[i].is_silent = sitting->ids[i][0] != '\0';
    struct buf key;
    buf_init(&key, (size_t)2 * PORTRAIT_MOST);
    buf_printf(&key, "%.*s|", STR_ARGS(portrait->lang));
    buf_add(&key, portrait->presence);
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        const struct portrait_answer *answer = &portrait->answers[i];
        buf_printf(&key, "|%d%d%d%.*s|", answer->is_silent, answer->is_error, answer->echoes,
                   STR_ARGS(answer->order));
        buf_add(&key, answer->inner);
    }
    if (key.overflowed || !arena_fits(&portrait->arena, key.len + 1))
        portrait_unref(&portrait);
    else
        portrait->key = arena_str(&portrait->arena, buf_str(&key));
    buf_done(&key);
    *delay_us = sitting->delay_us;
    return portrait;
}

/* ---- Answering like that ---- */

static bool names_caps(const struct portrait *portrait, struct arena *arena, struct str node)
{
    struct element *presence;
    if (read_inner(arena, portrait->presence, &presence) != OK)
        return false;
    const struct element *c = element_child(presence, NS_CAPS, STR("c"));
    if (c == NULL)
        return false;
    struct str name = element_attr(c, STR("node")), ver = element_attr(c, STR("ver"));
    return str_eq(node, arena_printf(arena, "%.*s#%.*s", STR_ARGS(name), STR_ARGS(ver)));
}

static size_t question_like(const struct portrait *portrait, struct arena *arena,
                            const struct stanza *request)
{
    const struct element *asked = element_first(request->root);
    bool sets = request->type == TYPE_SET;
    for (size_t i = 0; i < ANY_GET; i++) {
        const struct question *question = &questions[i];
        if (question->sets != sets || !element_is(asked, str_of(question->ns), question->name))
            continue;
        struct str node = element_attr(asked, STR("node"));
        bool of_node = node.at != NULL && node.len > 0 && !names_caps(portrait, arena, node);
        if ((question->kind == INFO && of_node) || (question->kind == INFO_OF_NODE && !of_node))
            continue;
        return i;
    }
    return sets ? ANY_SET : ANY_GET;
}

// A node that was asked for is named in the answer, where clients name it.
static void name_node(struct arena *arena, enum question_kind kind, const struct stanza *request,
                      struct element *child)
{
    struct str node = element_attr(element_first(request->root), STR("node"));
    if (node.at == NULL || (kind != INFO && kind != INFO_OF_NODE) ||
        !element_is(child, NS_DISCO_INFO, STR("query")))
        return;
    if (kind == INFO || element_attr(child, STR("node")).at != NULL)
        element_set(arena, child, STR("node"), arena_str(arena, node));
}

enum err portrait_reply(const struct portrait *portrait, struct arena *arena,
                        const struct stanza *request, int64_t idle_us, struct element **out)
{
    const struct element *asked = element_first(request->root);
    if (asked == NULL || request->id.len > ID_MOST ||
        element_attr(asked, STR("node")).len > ID_MOST)
        return ERR_LIMIT;
    size_t at = question_like(portrait, arena, request);
    const struct portrait_answer *answer = &portrait->answers[at];
    struct element *all, *echo = NULL;
    if (answer->is_silent)
        return ERR_MISSING;
    enum err e = read_inner(arena, answer->inner, &all);
    if (e == OK && answer->echoes)
        e = element_copy(arena, asked, &echo);
    if (e == OK && !arena_fits(arena, ROOM_LEFT + 2 * JID_MOST + 2 * ID_MOST))
        e = ERR_LIMIT; // a request as large as the arena is no client's
    if (e != OK)
        return e;
    struct element *reply =
        in_order(arena, STR("iq"), answer->order, arena_str(arena, request->from.full),
                 arena_str(arena, request->id), answer->is_error ? STR("error") : STR("result"));
    if (echo != NULL)
        element_add(reply, echo);
    struct str idle = arena_printf(arena, "%lld", (long long)(idle_us / SECOND_US));
    struct str now = clock_format(arena, clock_wall_us());
    now = arena_printf(arena, "%.*sZ", STR_ARGS(str_first(now, str_find_char(now, '.'))));
    for (struct element *child = element_first(all), *next; child != NULL; child = next) {
        next = element_next(child);
        element_remove(child);
        child = at_moment(arena, questions[at].kind, child, idle, now);
        name_node(arena, questions[at].kind, request, child);
        element_add(reply, child);
    }
    *out = reply;
    return OK;
}

struct element *portrait_receipt(const struct portrait *portrait, struct arena *arena,
                                 const struct stanza *message)
{
    if (!portrait->receipts || message->type == TYPE_ERROR || message->id.len == 0 ||
        message->id.len > ID_MOST ||
        element_child(message->root, NS_RECEIPTS, STR("request")) == NULL)
        return NULL;
    struct str kind = element_attr(message->root, STR("type"));
    if (kind.len > LANG_MOST) // none that there is
        return NULL;
    // how it writes a message is how it writes an answer
    struct element *receipt = in_order(arena, STR("message"), portrait->answers[0].order,
                                       arena_str(arena, message->from.full), random_id(arena),
                                       kind.at != NULL ? arena_str(arena, kind) : STR_EMPTY);
    struct element *received = element_child_new(arena, receipt, NS_RECEIPTS, STR("received"));
    element_set(arena, received, STR("id"), arena_str(arena, message->id));
    return receipt;
}
