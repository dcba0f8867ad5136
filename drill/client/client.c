/*
 * One function for each state of a login; what arrives is given to the
 * function of the present state.
 *
 * Idle clients own almost nothing: the tokenizer keeps no heap between
 * stanzas, and arenas are lent by the pool for as long as a stanza is in hand.
 */
#include "drill/client/client.h"

#include "base/must.h"
#include "base/random.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { STANZA_ARENA_MOST = 8 * 1024 * 1024, STANZA_BYTES_MOST = 1024 * 1024 };

/* An arena that waits in the pool or serves a client. */
struct lent {
    struct lent *next;
    struct arena arena;
};

struct client_pool {
    struct loop *loop;
    struct wire_tls *tls;
    struct derived_keys *keys;
    struct lent *spare;
    struct buf scratch;  // what is being said; a copy is taken by the wire
    char caps[2][2][29]; // XEP-0115 ver: without and with forms; with and without retraction
    unsigned n_clients;
};

struct question {
    struct question *next;
    uint32_t number;
    client_answer_fn *answered;
    void *context;
};

struct unacked {
    struct unacked *next;
    uint64_t number;
    struct str stanza; // follows the struct
};

typedef void arrive_fn(struct client *client, const struct element *element);

struct client {
    struct client_pool *pool;
    const struct client_options *options;
    const struct client_events *events;
    void *owner;
    char *user, *password, *resource; // one block

    struct wire *wire; // NULL when not connected
    bool secure, authenticated, online, leaving;
    arrive_fn *arrive; // the present state
    struct tokenizer tokenizer;
    struct lent *lent;
    struct login login;
    unsigned depth; // events that are running
    bool freed;

    unsigned n_waiting; // answers that login still waits for
    uint32_t n_asked;
    struct question *questions;

    // XEP-0198
    bool counting, offered;
    char *session; // id for resumption; NULL when there is none
    uint32_t h_in;
    uint64_t n_sent, n_acked; // stanzas of this session; h is n modulo 2^32
    uint64_t base;            // added to numbers of this session: those told to the owner
    struct unacked *oldest, *newest;
};

#define NS_FORMS "jabber:x:data"

/* What we announce.  In order of the bytes, as XEP-0115 wants them hashed. */
static const char *const features[] = {
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/chatstates",
    "http://jabber.org/protocol/disco#info",
    NS_FORMS,
    "jabber:x:oob",
    "urn:xmpp:fasten:0",
    "urn:xmpp:message-correct:0",
    "urn:xmpp:message-retract:0",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:ping",
    "urn:xmpp:sfs:0",
};
#define CAPS_NODE "https://firedoor.example/drill"

static bool is_modern(const char *feature)
{
    return strstr(feature, "retract") != NULL || strstr(feature, "correct") != NULL ||
           strstr(feature, "fasten") != NULL;
}

static bool has_feature(const char *feature, bool forms, bool old_fashioned)
{
    return !(old_fashioned && is_modern(feature)) && (forms || strcmp(feature, NS_FORMS) != 0);
}

static void caps_hash(bool forms, bool old_fashioned, char out[29])
{
    struct buf text;
    buf_init(&text, 4096);
    buf_add(&text, STR("client/pc//Firedoor drill<"));
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        if (has_feature(features[i], forms, old_fashioned))
            buf_printf(&text, "%s<", features[i]);
    }
    unsigned char digest[20];
    must(EVP_Digest(text.at, text.len, digest, NULL, EVP_sha1(), NULL));
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    buf_done(&text);
}

struct client_pool *client_pool_new(struct loop *loop, bool only_tls_1_3)
{
    struct client_pool *pool = calloc(1, sizeof *pool);
    must(pool != NULL);
    pool->loop = loop;
    pool->tls = wire_tls_new(only_tls_1_3);
    pool->keys = derived_keys_new();
    buf_init(&pool->scratch, STANZA_BYTES_MOST * 2);
    for (int forms = 0; forms < 2; forms++)
        for (int old = 0; old < 2; old++)
            caps_hash(forms, old, pool->caps[forms][old]);
    return pool;
}

void client_pool_free(struct client_pool **slot)
{
    struct client_pool *pool = *slot;
    if (pool == NULL)
        return;
    must(pool->n_clients == 0);
    while (pool->spare != NULL) {
        struct lent *lent = pool->spare;
        pool->spare = lent->next;
        arena_done(&lent->arena);
        free(lent);
    }
    wire_tls_free(&pool->tls);
    derived_keys_free(&pool->keys);
    buf_done(&pool->scratch);
    free(pool);
    *slot = NULL;
}

static void borrow_arena(struct client *client)
{
    if (client->lent != NULL)
        return;
    struct lent *lent = client->pool->spare;
    if (lent != NULL) {
        client->pool->spare = lent->next;
    } else {
        lent = malloc(sizeof *lent);
        must(lent != NULL);
        arena_init(&lent->arena, STANZA_ARENA_MOST);
    }
    client->lent = lent;
}

static void return_arena(struct client *client)
{
    if (client->lent == NULL)
        return;
    arena_reset(&client->lent->arena);
    client->lent->next = client->pool->spare;
    client->pool->spare = client->lent;
    client->lent = NULL;
}

/* Saying things.  begin() gives the empty scratch buffer, finish() sends what it holds. */

static struct buf *begin(struct client *client)
{
    buf_clear(&client->pool->scratch);
    return &client->pool->scratch;
}

static void finish(struct client *client)
{
    must(!client->pool->scratch.overflowed);
    if (client->wire != NULL)
        wire_send(client->wire, buf_str(&client->pool->scratch));
}

static void say(struct client *client, struct str text)
{
    if (client->wire != NULL)
        wire_send(client->wire, text);
}

static void open_stream(struct client *client)
{
    struct buf *out = begin(client);
    buf_printf(out,
               "<?xml version='1.0'?><stream:stream to='%.*s' version='1.0' xml:lang='en' "
               "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
               STR_ARGS(client->options->domain));
    finish(client);
    tokenizer_reset(&client->tokenizer);
}

static void forget_unacked(struct client *client)
{
    while (client->oldest != NULL) {
        struct unacked *next = client->oldest->next;
        free(client->oldest);
        client->oldest = next;
    }
    client->newest = NULL;
}

static void answer_all(struct client *client, const struct element *answer)
{
    while (client->questions != NULL) {
        struct question *question = client->questions;
        client->questions = question->next;
        if (question->answered != NULL)
            question->answered(question->context, answer);
        free(question);
    }
}

static void drop_connection(struct client *client)
{
    wire_free(&client->wire);
    client->secure = client->authenticated = client->online = client->leaving = false;
    client->counting = false;
    client->arrive = NULL;
    tokenizer_done(&client->tokenizer);
    if (client->depth == 0) // else somebody up the stack may still read the stanza in hand
        return_arena(client);
    client->depth++;
    answer_all(client, NULL);
    client->depth--;
}

/* Ends the connection and tells the owner. */
static void end(struct client *client, const char *why)
{
    if (client->wire == NULL)
        return;
    bool left = client->leaving;
    drop_connection(client);
    if (client->events->closed != NULL && !client->freed)
        client->events->closed(client->owner, left ? "left" : why);
}

static void destroy(struct client *client)
{
    client->pool->n_clients--;
    forget_unacked(client);
    free(client->user);
    free(client->session);
    free(client);
}

/* XEP-0198 */

static void remember(struct client *client, struct str stanza)
{
    struct unacked *unacked = malloc(sizeof *unacked + stanza.len);
    must(unacked != NULL);
    memcpy(unacked + 1, stanza.at, stanza.len);
    *unacked = (struct unacked){
        .number = client->base + client->n_sent, .stanza = {(char *)(unacked + 1), stanza.len}
    };
    if (client->newest != NULL)
        client->newest->next = unacked;
    else
        client->oldest = unacked;
    client->newest = unacked;
}

static void take_ack(struct client *client, struct str h_text)
{
    uint64_t h;
    if (str_to_u64(h_text, 0, UINT32_MAX, &h) != OK)
        return;
    uint32_t fresh = (uint32_t)h - (uint32_t)client->n_acked;
    if (fresh == 0 || fresh > client->n_sent - client->n_acked)
        return;
    client->n_acked += fresh;
    uint64_t number = client->base + client->n_acked;
    while (client->oldest != NULL && client->oldest->number <= number) {
        struct unacked *next = client->oldest->next;
        free(client->oldest);
        client->oldest = next;
        if (next == NULL)
            client->newest = NULL;
    }
    if (client->events->acked != NULL)
        client->events->acked(client->owner, number);
}

static void answer_request(struct client *client)
{
    struct buf *out = begin(client);
    buf_printf(out, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", client->h_in);
    finish(client);
}

uint64_t client_send(struct client *client, struct str stanza)
{
    client->n_sent++;
    if (client->options->keep_unacked)
        remember(client, stanza);
    if (!client->online)
        return client->base + client->n_sent;
    unsigned every = client->options->ack_every;
    if (client->counting && every != 0 && client->n_sent % every == 0) {
        struct buf *out = begin(client);
        buf_add(out, stanza);
        buf_add(out, STR("<r xmlns='urn:xmpp:sm:3'/>"));
        finish(client);
    } else {
        say(client, stanza);
    }
    return client->base + client->n_sent;
}

void client_request_ack(struct client *client)
{
    if (client->counting)
        say(client, STR("<r xmlns='urn:xmpp:sm:3'/>"));
}

/* A new session counts from zero; the numbers that the owner knows go on. */
static void begin_counting(struct client *client)
{
    client->base += client->n_sent;
    client->n_sent = client->n_acked = 0;
    client->h_in = 0;
}

/* Sends again what was not acknowledged: in a resumed session everything, in a new one the
 * messages, which count anew. */
static void send_again(struct client *client, bool resumed)
{
    if (!client->options->keep_unacked) {
        if (resumed)
            client->n_sent = client->n_acked; // what was lost never comes, so it does not count
        return;
    }
    if (resumed) {
        for (struct unacked *at = client->oldest; at != NULL; at = at->next)
            say(client, at->stanza);
        return;
    }
    struct unacked *at = client->oldest;
    client->oldest = client->newest = NULL;
    while (at != NULL) {
        struct unacked *next = at->next;
        if (str_starts(at->stanza, STR("<message")))
            client_send(client, at->stanza);
        free(at);
        at = next;
    }
}

/* Questions and answers */

void client_ask(struct client *client, struct str type, struct str to, struct str payload,
                client_answer_fn *answered, void *context)
{
    struct question *question = malloc(sizeof *question);
    must(question != NULL);
    *question = (struct question){client->questions, ++client->n_asked, answered, context};
    client->questions = question;
    struct buf text;
    buf_init(&text, STANZA_BYTES_MOST);
    buf_printf(&text, "<iq type='%.*s' id='q%u'", STR_ARGS(type), question->number);
    if (to.len > 0)
        buf_printf(&text, " to='%.*s'", STR_ARGS(to));
    buf_printf(&text, ">%.*s</iq>", STR_ARGS(payload));
    must(!text.overflowed);
    if (client->online) {
        client_send(client, buf_str(&text));
    } else {
        // during login, where SM may or may not be on: counted when it is
        client->n_sent += client->counting;
        say(client, buf_str(&text));
    }
    buf_done(&text);
}

static bool answer_question(struct client *client, const struct element *iq)
{
    struct str id = element_attr(iq, STR("id"));
    uint64_t number;
    if (id.len < 2 || id.at[0] != 'q' || str_to_u64(str_skip(id, 1), 1, UINT32_MAX, &number) != OK)
        return false;
    for (struct question **at = &client->questions; *at != NULL; at = &(*at)->next) {
        struct question *question = *at;
        if (question->number != number)
            continue;
        *at = question->next;
        if (question->answered != NULL)
            question->answered(question->context, iq);
        free(question);
        return true;
    }
    return false;
}

static void add_features(struct client *client, struct buf *out, struct str node)
{
    buf_add(out, STR("<query xmlns='http://jabber.org/protocol/disco#info'"));
    if (node.len > 0) {
        buf_add(out, STR(" node='"));
        xml_write_value(out, node);
        buf_add_char(out, '\'');
    }
    buf_add(out, STR("><identity category='client' type='pc' name='Firedoor drill'/>"));
    for (size_t i = 0; i < COUNT_OF(features); i++) {
        if (has_feature(features[i], client->options->forms, client->options->old_fashioned))
            buf_printf(out, "<feature var='%s'/>", features[i]);
    }
    buf_add(out, STR("</query>"));
}

/* Answers an IQ request that is ours to answer. */
static void answer_iq(struct client *client, const struct element *iq, bool is_push)
{
    const struct element *payload = element_first(iq);
    const struct element *disco = element_child(iq, NS_DISCO_INFO, STR("query"));
    bool known =
        is_push || disco != NULL || (payload != NULL && element_is(payload, NS_PING, STR("ping")));
    struct buf text;
    buf_init(&text, STANZA_BYTES_MOST);
    buf_printf(&text, "<iq type='%s' id='", known ? "result" : "error");
    xml_write_value(&text, element_attr(iq, STR("id")));
    struct str from = element_attr(iq, STR("from"));
    if (from.len > 0) {
        buf_add(&text, STR("' to='"));
        xml_write_value(&text, from);
    }
    buf_add(&text, STR("'>"));
    if (disco != NULL)
        add_features(client, &text, element_attr(disco, STR("node")));
    else if (!known)
        buf_add(&text, STR("<error type='cancel'><service-unavailable "
                           "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"));
    buf_add(&text, STR("</iq>"));
    if (!text.overflowed)
        client_send(client, buf_str(&text));
    buf_done(&text);
}

static void arrive_stanza(struct client *client, const struct element *stanza)
{
    client->h_in++;
    if (str_eq(stanza->name, STR("iq"))) {
        struct str type = element_attr(stanza, STR("type"));
        bool is_request = str_eq(type, STR("get")) || str_eq(type, STR("set"));
        bool is_push =
            str_eq(type, STR("set")) && element_child(stanza, NS_ROSTER, STR("query")) != NULL;
        if (!is_request && answer_question(client, stanza))
            return;
        if (is_request)
            answer_iq(client, stanza, is_push);
        if (is_request && !is_push)
            return;
    }
    if (client->events->stanza != NULL && !client->freed)
        client->events->stanza(client->owner, stanza);
}

static void arrive_anything(struct client *client, const struct element *element)
{
    if (ns_eq(element->ns, NS_CLIENT))
        arrive_stanza(client, element);
    else if (element_is(element, NS_SM, STR("r")))
        answer_request(client);
    else if (element_is(element, NS_SM, STR("a")))
        take_ack(client, element_attr(element, STR("h")));
}

/* Login, one function a state */

static void come_online(struct client *client, bool resumed)
{
    client->online = true;
    client->arrive = arrive_anything;
    send_again(client, resumed);
    if (client->events->online != NULL)
        client->events->online(client->owner, resumed);
}

static void one_answer_less(struct client *client)
{
    must(client->n_waiting > 0);
    if (--client->n_waiting == 0 && !client->freed)
        come_online(client, false);
}

static void got_roster(void *context, const struct element *answer)
{
    struct client *client = context;
    if (answer == NULL)
        return;
    const struct element *query = element_child(answer, NS_ROSTER, STR("query"));
    if (query != NULL && client->events->roster != NULL)
        client->events->roster(client->owner, query);
    one_answer_less(client);
}

static void got_carbons(void *context, const struct element *answer)
{
    if (answer != NULL)
        one_answer_less(context);
}

static void enable_counting(struct client *client, const struct element *enabled)
{
    client->counting = true;
    client->h_in = 0;
    struct str id = element_attr(enabled, STR("id")), resume = element_attr(enabled, STR("resume"));
    free(client->session);
    client->session = NULL;
    if (id.len > 0 && (str_eq(resume, STR("true")) || str_eq(resume, STR("1")))) {
        client->session = strndup(id.at, id.len);
        must(client->session != NULL);
    }
}

/* Between binding and the answers to all that login asked for. */
static void arrive_settling(struct client *client, const struct element *element)
{
    if (element_is(element, NS_SM, STR("enabled"))) {
        enable_counting(client, element);
        one_answer_less(client);
    } else if (element_is(element, NS_SM, STR("failed"))) {
        one_answer_less(client);
    } else {
        arrive_anything(client, element);
    }
}

static void settle(struct client *client)
{
    const struct client_options *options = client->options;
    begin_counting(client);
    client->arrive = arrive_settling;
    client->n_waiting = 1;
    bool counted = options->stream_management && client->offered;
    if (counted) {
        client->n_waiting++;
        say(client, STR("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"));
    }
    client->counting = counted; // what follows <enable/> counts, whenever the answer comes
    if (options->roster) {
        client->n_waiting++;
        client_ask(client, STR("get"), STR_EMPTY, STR("<query xmlns='jabber:iq:roster'/>"),
                   got_roster, client);
    }
    if (options->carbons) {
        client->n_waiting++;
        client_ask(client, STR("set"), STR_EMPTY, STR("<enable xmlns='urn:xmpp:carbons:2'/>"),
                   got_carbons, client);
    }
    if (options->presence) {
        struct buf *out = begin(client);
        buf_printf(out,
                   "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
                   "node='" CAPS_NODE "' ver='%s'/></presence>",
                   client->pool->caps[options->forms][options->old_fashioned]);
        finish(client);
        client->n_sent += counted;
    }
    client->counting = false;
    one_answer_less(client);
}

static void arrive_bound(struct client *client, const struct element *iq)
{
    const struct element *bind = element_child(iq, NS_BIND, STR("bind"));
    struct str jid = bind != NULL ? element_child_text(bind, NS_BIND, STR("jid")) : STR_EMPTY;
    if (!element_is(iq, NS_CLIENT, STR("iq")) || jid.len == 0) {
        end(client, "no resource was bound");
        return;
    }
    settle(client);
}

static void bind_resource(struct client *client)
{
    struct buf *out = begin(client);
    buf_add(out, STR("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"));
    if (client->resource[0] != '\0')
        buf_printf(out, "<resource>%s</resource>", client->resource);
    buf_add(out, STR("</bind></iq>"));
    finish(client);
    client->arrive = arrive_bound;
}

static void arrive_resumed(struct client *client, const struct element *element)
{
    if (element_is(element, NS_SM, STR("resumed"))) {
        client->counting = true;
        take_ack(client, element_attr(element, STR("h")));
        if (!client->freed)
            come_online(client, true);
        return;
    }
    if (!element_is(element, NS_SM, STR("failed"))) {
        end(client, "resumption was answered by something else");
        return;
    }
    // XEP-0198 5: h tells what the old session had handled after all
    struct str h = element_attr(element, STR("h"));
    if (h.at != NULL)
        take_ack(client, h);
    free(client->session);
    client->session = NULL;
    if (!client->freed)
        bind_resource(client);
}

static void arrive_features_inside(struct client *client, const struct element *features_element)
{
    if (!element_is(features_element, NS_STREAM, STR("features"))) {
        end(client, "no features after login");
        return;
    }
    client->offered = element_child(features_element, NS_SM, STR("sm")) != NULL;
    if (client->session == NULL || !client->offered) {
        bind_resource(client);
        return;
    }
    struct buf *out = begin(client);
    buf_printf(out, "<resume xmlns='urn:xmpp:sm:3' h='%u' previd='", client->h_in);
    xml_write_value(out, str_of(client->session));
    buf_add(out, STR("'/>"));
    finish(client);
    client->arrive = arrive_resumed;
}

static void arrive_sasl(struct client *client, const struct element *element)
{
    if (element_is(element, NS_SASL, STR("challenge"))) {
        struct buf text;
        buf_init(&text, 8192);
        enum err e = login_answer(&client->login, client->pool->keys, element->text, &text);
        struct buf *out = begin(client);
        buf_printf(out, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%.*s</response>",
                   (int)text.len, text.at != NULL ? text.at : "");
        buf_done(&text);
        if (e == OK)
            finish(client);
        else
            end(client, "the server's challenge is not SCRAM's");
    } else if (element_is(element, NS_SASL, STR("success"))) {
        if (!login_verify(&client->login, element->text)) {
            end(client, "the server does not know the password");
            return;
        }
        client->authenticated = true;
        open_stream(client);
        client->arrive = arrive_features_inside;
    } else {
        char why[128];
        const struct element *condition = element_first(element);
        snprintf(why, sizeof why, "login refused: %.*s",
                 condition != NULL ? (int)condition->name.len : 7,
                 condition != NULL ? condition->name.at : "unknown");
        end(client, why);
    }
}

static bool is_offered(const struct element *features_element, enum mechanism mechanism)
{
    const struct element *list = element_child(features_element, NS_SASL, STR("mechanisms"));
    if (list == NULL)
        return false;
    ELEMENT_EACH(list, one)
    {
        if (str_eq(one->text, str_of(mechanism_name(mechanism))))
            return true;
    }
    return false;
}

static void log_in(struct client *client, const struct element *features_element)
{
    enum mechanism mechanism = client->options->mechanism;
    if (mechanism == MECHANISM_BEST) {
        mechanism = MECHANISM_SCRAM_SHA_256;
        while (mechanism > MECHANISM_PLAIN && !is_offered(features_element, mechanism))
            mechanism--;
    }
    if (!is_offered(features_element, mechanism)) {
        end(client, "the server offers no mechanism of ours");
        return;
    }
    struct buf text;
    buf_init(&text, 8192);
    enum err e = login_begin(&client->login, mechanism, str_of(client->user),
                             str_of(client->password), &text);
    must(e == OK); // the program chose the names
    struct buf *out = begin(client);
    buf_printf(out, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>%.*s</auth>",
               mechanism_name(mechanism), (int)text.len, text.at);
    buf_done(&text);
    finish(client);
    client->arrive = arrive_sasl;
}

static void arrive_proceed(struct client *client, const struct element *element)
{
    if (element_is(element, NS_TLS, STR("proceed")))
        wire_start_tls(client->wire, client->options->domain);
    else
        end(client, "STARTTLS was refused");
}

static void arrive_features(struct client *client, const struct element *features_element)
{
    if (!element_is(features_element, NS_STREAM, STR("features"))) {
        end(client, "no features");
    } else if (client->secure) {
        log_in(client, features_element);
    } else if (element_child(features_element, NS_TLS, STR("starttls")) == NULL) {
        end(client, "the server offers no TLS");
    } else {
        say(client, STR("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        client->arrive = arrive_proceed;
    }
}

/* The wire's events */

static void opened(void *owner)
{
    struct client *client = owner;
    if (client->arrive == arrive_proceed || (client->options->direct_tls && client->secure)) {
        client->secure = true;
    } else if (client->options->direct_tls) {
        client->secure = true; // as soon as the handshake, which begins here, has ended
        wire_start_tls(client->wire, client->options->domain);
        return;
    }
    client->arrive = arrive_features;
    open_stream(client);
}

static void stream_error(struct client *client, const struct element *error)
{
    char why[160];
    const struct element *condition = element_first(error);
    struct str name = condition != NULL ? condition->name : STR("undefined-condition");
    snprintf(why, sizeof why, "stream error: %.*s", STR_ARGS(name));
    end(client, why);
}

static void received(void *owner, struct str bytes)
{
    struct client *client = owner;
    struct str rest = bytes;
    struct wire *wire = client->wire; // an event may cut it and connect anew
    client->depth++;
    while (client->wire == wire && !client->freed) {
        borrow_arena(client);
        struct element *element;
        enum token token =
            tokenizer_feed(&client->tokenizer, &rest, &client->lent->arena, &element);
        if (token == TOKEN_MORE)
            break;
        if (token == TOKEN_FAULT) {
            end(client, client->tokenizer.detail);
        } else if (token == TOKEN_CLOSED) {
            end(client, "the server closed the stream");
        } else if (token == TOKEN_STANZA) {
            if (element_is(element, NS_STREAM, STR("error")))
                stream_error(client, element);
            else
                client->arrive(client, element);
            arena_reset(&client->lent->arena);
        }
    }
    if (client->wire != wire || client->freed || tokenizer_is_idle(&client->tokenizer))
        return_arena(client);
    if (--client->depth == 0 && client->freed)
        destroy(client);
}

static void closed(void *owner, const char *why)
{
    struct client *client = owner;
    client->depth++;
    end(client, why);
    if (--client->depth == 0 && client->freed)
        destroy(client);
}

/* The face */

struct client *client_new(struct client_pool *pool, const struct client_options *options,
                          struct str user, struct str password, struct str resource,
                          const struct client_events *events, void *owner)
{
    struct client *client = calloc(1, sizeof *client);
    must(client != NULL);
    client->pool = pool;
    client->options = options;
    client->events = events;
    client->owner = owner;
    client->user = calloc(1, user.len + password.len + resource.len + 3);
    must(client->user != NULL);
    client->password = client->user + user.len + 1;
    client->resource = client->password + password.len + 1;
    memcpy(client->user, user.at, user.len);
    memcpy(client->password, password.at, password.len);
    memcpy(client->resource, resource.at, resource.len);
    pool->n_clients++;
    return client;
}

void client_free(struct client **slot)
{
    struct client *client = *slot;
    if (client == NULL)
        return;
    *slot = NULL;
    must(!client->freed);
    client->freed = true;
    if (client->wire != NULL)
        drop_connection(client);
    if (client->depth == 0)
        destroy(client);
}

void client_connect(struct client *client)
{
    static const struct wire_events events = {opened, received, closed};
    must(client->wire == NULL);
    struct tokenizer_limits limits = tokenizer_limits_default;
    limits.bytes = STANZA_BYTES_MOST;
    limits.elements = 20000; // a long roster
    tokenizer_init(&client->tokenizer, &limits);
    client->arrive = NULL;
    client->wire = wire_new(client->pool->loop, client->pool->tls, &client->options->endpoint,
                            &events, client);
}

void client_leave(struct client *client)
{
    free(client->session);
    client->session = NULL;
    if (!client->online) {
        client_cut(client);
        return;
    }
    client->leaving = true;
    client->online = false;
    say(client, STR("</stream:stream>"));
}

void client_cut(struct client *client)
{
    if (client->wire == NULL)
        return;
    client->depth++;
    drop_connection(client);
    if (--client->depth == 0) {
        return_arena(client);
        if (client->freed)
            destroy(client);
    }
}

bool client_is_online(const struct client *client)
{
    return client->online;
}
