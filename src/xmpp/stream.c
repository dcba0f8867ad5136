#include "xmpp/stream.h"

#include "base/must.h"
#include "base/random.h"
#include "xml/writer.h"
#include "xmpp/stream_header.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum {
    OUT_MOST = 64 * 1024,   // of one answer of ours
    WORDS_MOST = 64 * 1024, // of an error's words, in any language
    LANG_MOST = 64,         // a longer xml:lang is nobody's language
};

// What can happen.  GOT_: from the peer; STEP_: what an exchange wants next; the rest: the host.
enum event {
    GOT_HEADER,
    GOT_STARTTLS,
    GOT_AUTH,
    GOT_RESPONSE,
    GOT_ABORT,
    GOT_REGISTRATION, // iq of jabber:iq:register, looked for before login only
    GOT_BIND,         // iq of resource binding, looked for before binding only
    GOT_RESUME,
    GOT_SM,
    GOT_CSI,
    GOT_STANZA,
    GOT_ERROR,
    GOT_OTHER, // an element that we do not know
    GOT_END,   // </stream:stream>

    IS_STRANGER, // a good header, and who sent it
    IS_KNOWN,

    STEP_CHALLENGE,
    STEP_LOOKUP,
    STEP_CHECK,
    STEP_SUCCESS,
    STEP_FAILURE,

    TLS_DONE,
    LOOKED_UP,
    CHECKED,
    REFUSED,
    CONTINUED,
    RESUMED,
    NOT_RESUMED,
    RESOURCE_BOUND,
    RESOURCE_REFUSED,
    CLOSED_BY_US,
};

struct stream {
    const struct stream_policy *policy;
    const struct stream_host *calls;
    void *host;
    struct tokenizer tokenizer;
    struct arena arena;            // of the element that is being read or handled
    struct sasl *sasl;             // while an exchange goes on
    const struct element *request; // the bind request that waits for its answer; in arena
    size_t element_bytes;          // on the wire, of the element that is being read
    // in own memory; empty: none
    struct str domain, from, lang, jid;
    uint8_t state; // enum stream_state
    uint8_t bindings, offered;
    uint8_t attempts;
    uint16_t pauses;
    bool secured : 1;
    bool header_sent : 1; // for the current header of the client
    bool reading : 1;     // inside stream_read
    bool rest_later : 1;  // the arena holds an element that is not needed any more
    char id[RANDOM_ID_SIZE + 1];
};

// Replaces what is kept by a copy of text, in own memory.
static void keep(struct str *kept, struct str text)
{
    if (str_eq(*kept, text))
        return;
    char *copy = NULL;
    if (text.len > 0) {
        copy = malloc(text.len);
        must(copy != NULL);
        memcpy(copy, text.at, text.len);
    }
    free((char *)kept->at);
    *kept = str_make(copy, text.len);
}

// Most that the tree of one element may take.  An attribute of 5 bytes makes a node of some 70, a
// child of 4 bytes one of some 150, but those are counted by the limits.
static size_t arena_most(const struct tokenizer_limits *limits)
{
    return 16 * (size_t)limits->bytes + 256 * (size_t)limits->elements + 16384;
}

static void set_limits(struct stream *stream, const struct tokenizer_limits *limits)
{
    tokenizer_set_limits(&stream->tokenizer, limits);
    stream->arena.ceiling = arena_most(limits);
}

struct stream *stream_new(const struct stream_policy *policy, const struct stream_host *calls,
                          void *host, bool secured, unsigned bindings)
{
    struct stream *stream = calloc(1, sizeof *stream);
    must(stream != NULL);
    stream->policy = policy;
    stream->calls = calls;
    stream->host = host;
    stream->secured = secured;
    stream->bindings = (uint8_t)bindings;
    stream->state = STREAM_OPENING;
    tokenizer_init(&stream->tokenizer, &policy->strange);
    arena_init(&stream->arena, arena_most(&policy->strange));
    return stream;
}

void stream_free(struct stream **stream)
{
    struct stream *s = TAKE(*stream);
    if (s == NULL)
        return;
    must(!s->reading);
    sasl_free(&s->sasl);
    tokenizer_done(&s->tokenizer);
    arena_done(&s->arena);
    keep(&s->domain, STR_EMPTY);
    keep(&s->from, STR_EMPTY);
    keep(&s->lang, STR_EMPTY);
    keep(&s->jid, STR_EMPTY);
    free(s);
}

// Writing.

static void send_and_drop(struct stream *stream, struct buf *out)
{
    must(!out->overflowed);
    stream->calls->send(stream->host, buf_str(out));
    buf_done(out);
}

static void add_attribute(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, " %s='", name);
    xml_write_value(out, value);
    buf_add_char(out, '\'');
}

static void add_open(struct buf *out, const char *name, struct str ns)
{
    buf_printf(out, "<%s xmlns='%.*s'>", name, STR_ARGS(ns));
}

static void add_empty(struct buf *out, const char *name, struct str ns)
{
    buf_printf(out, "<%s xmlns='%.*s'/>", name, STR_ARGS(ns));
}

static void add_header(struct stream *stream, struct buf *out)
{
    random_id_z(stream->id);
    struct stream_header header = {
        .content_namespace = NS_CLIENT,
        .from = stream->domain.len > 0 ? stream->domain : stream->policy->domain,
        .to = stream->jid.len > 0 ? stream->jid : stream->from,
        .id = str_make(stream->id, RANDOM_ID_SIZE),
        // the language of our own words; what people read later comes in theirs
        .lang = STR("en"),
    };
    stream_header_write(out, &header);
    stream->header_sent = true;
}

static void finish(struct stream *stream, enum stream_end end, const struct stream_error *error)
{
    stream->state = STREAM_CLOSED;
    stream->calls->closed(stream->host, end, error);
}

// said: the error in the client's language; our own log has it in ours.
static void end_with(struct stream *stream, const struct stream_error *error,
                     const struct stream_error *said)
{
    switch (stream->state) {
    case STREAM_CLOSED:
        return;
    case STREAM_SECURING: // nothing can be said in the middle of a TLS handshake
    case STREAM_CLOSING:  // nothing may be said after our end tag
        break;
    default: {
        struct buf out;
        buf_init(&out, OUT_MOST);
        // RFC 6120 §4.9.1.2: an error in the header is answered after a header
        if (!stream->header_sent)
            add_header(stream, &out);
        stream_error_write(&out, said);
        buf_add(&out, STR("</stream:stream>"));
        send_and_drop(stream, &out);
    }
    }
    finish(stream, STREAM_ENDED_BY_ERROR, error);
}

void stream_fail(struct stream *stream, enum stream_condition condition, const char *text)
{
    struct stream_error error = {
        .condition = condition,
        .text = str_of(text),
        .lang = text != NULL ? STR("en") : STR_EMPTY,
    };
    struct stream_error said = error;
    struct arena arena;
    arena_init(&arena, WORDS_MOST);
    if (text != NULL && stream->calls->words != NULL)
        said.text = stream->calls->words(stream->host, &arena, text, &said.lang);
    end_with(stream, &error, &said);
    arena_done(&arena);
}

// The table's machinery.

struct move {
    enum stream_state state;
    enum event event;
    void (*act)(struct stream *stream, struct element *element);
    enum stream_state next; // set before act runs, which may move on
};

// The row of the table below; NULL when there is none.
static const struct move *find_move(const struct stream *stream, enum event event);

static void unexpected(struct stream *stream, enum event event)
{
    switch (event) {
    case GOT_STANZA:
    case GOT_BIND:
    case GOT_REGISTRATION:
    case GOT_RESUME:
    case GOT_SM:
    case GOT_CSI:
        // RFC 6120 §4.9.3.12, §7.1
        stream_fail(stream, STREAM_NOT_AUTHORIZED, "log in and bind a resource first");
        break;
    case GOT_STARTTLS:
    case GOT_AUTH:
    case GOT_RESPONSE:
    case GOT_ABORT:
        stream_fail(stream, STREAM_POLICY_VIOLATION, "this was negotiated already");
        break;
    default:
        must(event <= GOT_END); // an answer of the host to a question that nobody asked
        stream_fail(stream, STREAM_UNSUPPORTED_STANZA_TYPE, NULL);
    }
}

static void move(struct stream *stream, enum event event, struct element *element)
{
    const struct move *m = find_move(stream, event);
    if (m == NULL) {
        unexpected(stream, event);
        return;
    }
    stream->state = (uint8_t)m->next;
    m->act(stream, element);
}

// Whether an answer of the host still has a question: not when the stream ended meanwhile.
static bool is_due(const struct stream *stream, enum event event)
{
    if (stream->state == STREAM_CLOSED || stream->state == STREAM_CLOSING)
        return false;
    must(find_move(stream, event) != NULL);
    return true;
}

static void no_act(struct stream *stream, struct element *element)
{
    (void)stream;
    (void)element;
}

// Headers.

static void restart(struct stream *stream)
{
    tokenizer_reset(&stream->tokenizer);
    stream->header_sent = false;
}

static void is_secured(struct stream *stream, struct element *element)
{
    (void)element;
    stream->secured = true;
    restart(stream);
}

// The domain of the header: the first one is remembered, later ones must not differ (a stream that
// is restarted for another domain would take its rights there).
static bool domain_fits(struct stream *stream, struct str to)
{
    struct str prepared;
    if (to.len == 0) {
        stream_fail(stream, STREAM_IMPROPER_ADDRESSING, "the stream header needs a to");
        return false;
    }
    if (jid_prepare_domain(&stream->arena, to, &prepared) != OK) {
        stream_fail(stream, STREAM_IMPROPER_ADDRESSING, "to is not a domain");
        return false;
    }
    if (stream->domain.len > 0 && !str_eq(prepared, stream->domain)) {
        stream_fail(stream, STREAM_NOT_AUTHORIZED, "to changed within the connection");
        return false;
    }
    if (stream->calls->domain(stream->host, prepared) == NULL) {
        stream_fail(stream, STREAM_HOST_UNKNOWN, NULL);
        return false;
    }
    keep(&stream->domain, prepared);
    return true;
}

// RFC 6120 §4.7.1: from is the client's own address; once given it must not change, and after login
// it is the account.
static bool from_fits(struct stream *stream, struct str from)
{
    if (from.len == 0)
        return true;
    struct jid jid;
    if (jid_parse(&stream->arena, from, &jid) != OK) {
        stream_fail(stream, STREAM_INVALID_FROM, "from is not a JID");
        return false;
    }
    struct str bare = jid_bare(&jid), wanted = stream->jid.len > 0 ? stream->jid : stream->from;
    if ((wanted.len > 0 && !str_eq(bare, wanted)) || !str_eq(jid.domain, stream->domain)) {
        stream_fail(stream, STREAM_INVALID_FROM, NULL);
        return false;
    }
    keep(&stream->from, bare);
    return true;
}

static bool is_language(struct str lang)
{
    for (size_t i = 0; i < lang.len; i++) {
        char c = lang.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-')
            return false;
    }
    return lang.len > 0 && lang.len <= LANG_MOST;
}

static void read_header(struct stream *stream, struct element *element)
{
    struct stream_header header;
    enum stream_condition condition;
    if (!stream_header_read(element, &stream->tokenizer, NS_CLIENT, &header, &condition)) {
        stream_fail(stream, condition, NULL);
        return;
    }
    if (is_language(header.lang))
        keep(&stream->lang, header.lang); // what is wrong with the rest is said in it
    if (!domain_fits(stream, header.to) || !from_fits(stream, header.from))
        return;
    move(stream, stream->jid.len > 0 ? IS_KNOWN : IS_STRANGER, NULL);
}

static const struct stream_domain *domain_of(struct stream *stream)
{
    const struct stream_domain *domain = stream->calls->domain(stream->host, stream->domain);
    if (domain == NULL) // a reload took it away
        stream_fail(stream, STREAM_HOST_GONE, NULL);
    return domain;
}

static bool offers_registration(const struct stream *stream, const struct stream_domain *domain)
{
    return stream->secured && domain->registration && stream->calls->registration != NULL;
}

static void add_mechanisms(const struct stream *stream, struct buf *out)
{
    if (stream->offered == 0)
        return;
    add_open(out, "mechanisms", NS_SASL);
    for (int i = 0; i < SASL_N_MECHANISMS; i++)
        if ((stream->offered & SASL_BIT(i)) != 0)
            buf_printf(out, "<mechanism>%s</mechanism>",
                       sasl_mechanism_name((enum sasl_mechanism)i));
    buf_add(out, STR("</mechanisms>"));
    if (stream->bindings == 0)
        return;
    add_open(out, "sasl-channel-binding", NS_SASL_CB); // XEP-0440
    for (int i = 0; i < N_ADVERTISED_BINDINGS; i++)
        if ((stream->bindings & 1U << i) != 0)
            buf_printf(out, "<channel-binding type='%s'/>",
                       channel_binding_name((enum channel_binding)i));
    buf_add(out, STR("</sasl-channel-binding>"));
}

static void offer_login(struct stream *stream, struct element *element)
{
    (void)element;
    const struct stream_domain *domain = domain_of(stream);
    if (domain == NULL)
        return;
    stream->offered = (uint8_t)sasl_offer(domain->mechanisms, stream->secured, stream->bindings);
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_header(stream, &out);
    buf_add(&out, STR("<stream:features>"));
    if (!stream->secured) {
        // RFC 7590 §3.1: nothing else until TLS
        add_open(&out, "starttls", NS_TLS);
        buf_add(&out, STR("<required/></starttls>"));
    }
    add_mechanisms(stream, &out);
    if (offers_registration(stream, domain))
        add_empty(&out, "register", NS_REGISTER_FEATURE);
    buf_add(&out, STR("</stream:features>"));
    send_and_drop(stream, &out);
}

static void offer_binding(struct stream *stream, struct element *element)
{
    (void)element;
    const struct stream_domain *domain = domain_of(stream);
    if (domain == NULL)
        return;
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_header(stream, &out);
    buf_add(&out, STR("<stream:features>"));
    add_empty(&out, "bind", NS_BIND);
    // clients of RFC 3921 look for it; optional says that it does nothing
    add_open(&out, "session", NS_SESSION);
    buf_add(&out, STR("<optional/></session>"));
    if (domain->sm)
        add_empty(&out, "sm", NS_SM);
    if (domain->csi)
        add_empty(&out, "csi", NS_CSI);
    if (domain->roster_versioning)
        add_empty(&out, "ver", NS_ROSTER_VERSION);
    if (domain->preapproval)
        add_empty(&out, "sub", NS_PRE_APPROVAL);
    if (domain->caps_ver.len > 0) {
        buf_add(&out, STR("<c"));
        add_attribute(&out, "xmlns", NS_CAPS);
        add_attribute(&out, "hash", domain->caps_hash);
        add_attribute(&out, "node", domain->caps_node);
        add_attribute(&out, "ver", domain->caps_ver);
        buf_add(&out, STR("/>"));
    }
    buf_add(&out, STR("</stream:features>"));
    send_and_drop(stream, &out);
}

// TLS.

static void start_tls(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    if (stream->secured) {
        // RFC 6120 §5.4.2.2: failure is followed by the end of the stream
        add_empty(&out, "failure", NS_TLS);
        buf_add(&out, STR("</stream:stream>"));
        send_and_drop(stream, &out);
        struct stream_error error = {.condition = STREAM_POLICY_VIOLATION,
                                     .text = STR("TLS is in use already")};
        finish(stream, STREAM_ENDED_BY_ERROR, &error);
        return;
    }
    add_empty(&out, "proceed", NS_TLS);
    send_and_drop(stream, &out);
    stream->calls->start_tls(stream->host);
}

// SASL.

static void take_step(struct stream *stream, enum sasl_step step)
{
    static const enum event events[] = {
        [SASL_SEND_CHALLENGE] = STEP_CHALLENGE, [SASL_WANT_CREDENTIALS] = STEP_LOOKUP,
        [SASL_WANT_PASSWORD] = STEP_CHECK,      [SASL_SUCCEEDED] = STEP_SUCCESS,
        [SASL_FAILED] = STEP_FAILURE,
    };
    move(stream, events[step], NULL);
}

static size_t binding_data(void *context, enum channel_binding binding,
                           unsigned char out[CHANNEL_BINDING_MOST])
{
    struct stream *stream = context;
    return stream->calls->binding(stream->host, binding, out);
}

// The text of a login may be a password: it does not stay in the arena.
static void wipe(struct element *element)
{
    if (element->text.len > 0)
        OPENSSL_cleanse((char *)element->text.at, element->text.len);
}

static void begin_login(struct stream *stream, struct element *element)
{
    const struct stream_domain *domain = domain_of(stream);
    if (domain == NULL)
        return;
    struct sasl_setting setting = {
        .crypto = stream->policy->crypto,
        .offered = stream->offered,
        .bindings = stream->bindings,
        .protect_offer = domain->protect_offer,
        .domain = stream->domain,
    };
    struct str mechanism = element_attr(element, STR("mechanism"));
    enum sasl_step step =
        sasl_begin(&setting, mechanism.at != NULL ? mechanism : STR_EMPTY, element->text,
                   element->text.len > 0, binding_data, stream, &stream->sasl);
    wipe(element);
    take_step(stream, step);
}

static void go_on_login(struct stream *stream, struct element *element)
{
    enum sasl_step step = sasl_respond(stream->sasl, element->text);
    wipe(element);
    take_step(stream, step);
}

static void send_challenge(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    struct str text = sasl_answer(stream->sasl);
    if (text.len > 0) {
        add_open(&out, "challenge", NS_SASL);
        buf_add(&out, text);
        buf_add(&out, STR("</challenge>"));
    } else {
        add_empty(&out, "challenge", NS_SASL);
    }
    send_and_drop(stream, &out);
}

static void ask_credentials(struct stream *stream, struct element *element)
{
    (void)element;
    stream->calls->find_credentials(stream->host, sasl_local(stream->sasl), stream->domain);
}

static void ask_check(struct stream *stream, struct element *element)
{
    (void)element;
    stream->calls->check_password(stream->host, sasl_wanted(stream->sasl),
                                  sasl_password(stream->sasl));
}

static void welcome(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    struct str text = sasl_answer(stream->sasl);
    if (text.len > 0) {
        add_open(&out, "success", NS_SASL);
        buf_add(&out, text);
        buf_add(&out, STR("</success>"));
    } else {
        add_empty(&out, "success", NS_SASL);
    }
    // both parts are prepared
    struct jid jid = jid_of_prepared(arena_printf(
        &stream->arena, "%.*s@%.*s", STR_ARGS(sasl_local(stream->sasl)), STR_ARGS(stream->domain)));
    // a client that announced another address than it logged in with
    if (stream->from.len > 0 && !str_eq(stream->from, jid.full)) {
        buf_done(&out);
        stream_fail(stream, STREAM_INVALID_FROM, NULL);
        return;
    }
    keep(&stream->jid, jid.full);
    keep(&stream->from, STR_EMPTY); // from now on this is what it must be
    send_and_drop(stream, &out);
    enum sasl_mechanism mechanism = sasl_mechanism(stream->sasl);
    sasl_free(&stream->sasl);
    stream->offered = 0;
    restart(stream);
    stream->calls->authenticated(stream->host, &jid, mechanism);
}

static void report_failure(struct stream *stream, enum sasl_failure failure, const char *detail)
{
    struct str local = stream->sasl != NULL ? sasl_local(stream->sasl) : STR_EMPTY;
    stream->calls->login_failed(stream->host, local, stream->domain, failure, detail);
}

static void login_failed(struct stream *stream, struct element *element)
{
    (void)element;
    report_failure(stream, sasl_failure(stream->sasl), scram_error_name(sasl_detail(stream->sasl)));
}

static void send_failure(struct stream *stream, enum sasl_failure failure)
{
    sasl_free(&stream->sasl);
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_open(&out, "failure", NS_SASL);
    buf_printf(&out, "<%s/></failure>", sasl_failure_name(failure));
    send_and_drop(stream, &out);
    // RFC 6120 §6.4.5: a limited number of retries, then policy-violation
    if (stream->attempts < UINT8_MAX)
        stream->attempts++;
    if (stream->attempts >= stream->policy->attempts)
        stream_fail(stream, STREAM_POLICY_VIOLATION, "too many failed logins");
}

static void refuse_login(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, sasl_failure(stream->sasl));
}

static void abort_login(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, SASL_ABORTED);
}

// A <response/> to nothing, or an <auth/> in the middle of an exchange.
static void out_of_order(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, SASL_MALFORMED_REQUEST);
}

// An answer repeats the client's id, each byte of which may take six when escaped ("&apos;").
static size_t answer_most(const struct stream *stream)
{
    return 6 * (size_t)stream->policy->known.bytes + OUT_MOST;
}

static void refuse_request(struct stream *stream, const struct element *request,
                           const struct stanza_error *error)
{
    struct arena arena;
    arena_init(&arena, OUT_MOST);
    struct buf out;
    buf_init(&out, answer_most(stream));
    const struct element *reply = stanza_error_reply(&arena, request, error);
    xml_write(&out, reply, NS_CLIENT);
    send_and_drop(stream, &out);
    arena_done(&arena);
}

static void ask_registration(struct stream *stream, struct element *element)
{
    const struct stream_domain *domain = domain_of(stream);
    if (domain == NULL)
        return;
    if (offers_registration(stream, domain)) {
        stream->calls->registration(stream->host, element);
    } else if (stream->secured) {
        // XEP-0077 3.1: a client that asks anyway may log in yet
        struct stanza_error error = {.condition = STANZA_SERVICE_UNAVAILABLE};
        refuse_request(stream, element, &error);
    } else {
        unexpected(stream, GOT_REGISTRATION);
    }
}

// Binding and resumption.

static void refuse_bad_binding(struct stream *stream, const struct element *request)
{
    struct stanza_error error = {.condition = STANZA_BAD_REQUEST};
    stream->state = STREAM_READY;
    refuse_request(stream, request, &error);
}

static void ask_resource(struct stream *stream, struct element *element)
{
    struct str wished =
        element_child_text(element_child(element, NS_BIND, STR("bind")), NS_BIND, STR("resource"));
    struct str prepared = STR_EMPTY;
    // RFC 6120 §7.7.2.1 (bad-request); §8.1.3: an iq needs an id
    if (!str_eq(element_attr(element, STR("type")), STR("set")) ||
        element_attr(element, STR("id")).at == NULL ||
        (wished.len > 0 && jid_prepare_resource(&stream->arena, wished, &prepared) != OK)) {
        refuse_bad_binding(stream, element);
        return;
    }
    stream->request = element;
    stream->calls->bind(stream->host, prepared);
}

static void set_resource(struct stream *stream, struct str resource)
{
    must(resource.len > 0);
    struct arena arena;
    arena_init(&arena, 2 * JID_MOST);
    struct jid bare = jid_of_prepared(stream->jid);
    struct jid full = jid_with_resource(&arena, &bare, resource);
    keep(&stream->jid, full.full);
    arena_done(&arena);
}

static void is_bound(struct stream *stream, struct element *element)
{
    (void)element;
    const struct element *request = TAKE(stream->request);
    struct buf out;
    buf_init(&out, answer_most(stream));
    buf_add(&out, STR("<iq"));
    add_attribute(&out, "type", STR("result"));
    add_attribute(&out, "id", element_attr(request, STR("id")));
    buf_add_char(&out, '>');
    add_open(&out, "bind", NS_BIND);
    buf_add(&out, STR("<jid>"));
    xml_write_text(&out, stream->jid);
    buf_add(&out, STR("</jid></bind></iq>"));
    send_and_drop(stream, &out);
}

static void ask_resumption(struct stream *stream, struct element *element)
{
    stream->calls->resume(stream->host, element);
}

// XEP-0198 §3, §5: enabling, acknowledging and asking come after binding.
static void refuse_sm(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_open(&out, "failed", NS_SM);
    add_empty(&out, "unexpected-request", NS_STANZA_ERRORS);
    buf_add(&out, STR("</failed>"));
    send_and_drop(stream, &out);
}

// What a bound client sends.

static void hand_over(struct stream *stream, enum stream_element kind, struct element *element)
{
    stream->calls->element(stream->host, kind, &stream->arena, element, stream->element_bytes);
}

static void got_stanza(struct stream *stream, struct element *element)
{
    if (!stream_from_fits(stream, element_attr(element, STR("from")))) {
        stream_fail(stream, STREAM_INVALID_FROM, NULL);
        return;
    }
    hand_over(stream, STREAM_STANZA, element);
}

static void got_sm(struct stream *stream, struct element *element)
{
    hand_over(stream, STREAM_SM, element);
}

static void got_csi(struct stream *stream, struct element *element)
{
    hand_over(stream, STREAM_CSI, element);
}

// The end.

static void send_end_tag(struct stream *stream)
{
    if (stream->header_sent)
        stream->calls->send(stream->host, STR("</stream:stream>"));
}

static void end_too(struct stream *stream, struct element *element)
{
    (void)element;
    send_end_tag(stream);
    finish(stream, STREAM_ENDED_BY_PEER, NULL);
}

static void ask_last_words(struct stream *stream, struct element *element)
{
    (void)element;
    stream->calls->ending(stream->host);
}

static void close_first(struct stream *stream, struct element *element)
{
    (void)element;
    send_end_tag(stream);
}

static void close_at_once(struct stream *stream, struct element *element)
{
    (void)element;
    finish(stream, STREAM_ENDED_BY_US, NULL);
}

// What happens.  A missing row ends the stream (unexpected).  The search is linear, so what happens
// for every stanza comes first.
static const struct move moves[] = {
    {STREAM_BOUND,      GOT_STANZA,       got_stanza,       STREAM_BOUND     },
    {STREAM_BOUND,      GOT_SM,           got_sm,           STREAM_BOUND     },
    {STREAM_BOUND,      GOT_RESUME,       got_sm,           STREAM_BOUND     },
    {STREAM_BOUND,      GOT_CSI,          got_csi,          STREAM_BOUND     },
    {STREAM_BOUND,      GOT_ERROR,        ask_last_words,   STREAM_ENDING    },
    {STREAM_BOUND,      GOT_END,          ask_last_words,   STREAM_ENDING    },
    {STREAM_BOUND,      CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_OPENING,    GOT_HEADER,       read_header,      STREAM_GREETING  },
    {STREAM_OPENING,    GOT_END,          end_too,          STREAM_CLOSED    },
    {STREAM_OPENING,    CLOSED_BY_US,     close_at_once,    STREAM_CLOSED    },

    {STREAM_GREETING,   IS_STRANGER,      offer_login,      STREAM_OFFERED   },
    {STREAM_GREETING,   IS_KNOWN,         offer_binding,    STREAM_READY     },

    {STREAM_OFFERED,    GOT_STARTTLS,     start_tls,        STREAM_SECURING  },
    {STREAM_OFFERED,    GOT_AUTH,         begin_login,      STREAM_LOGIN     },
    {STREAM_OFFERED,    GOT_RESPONSE,     out_of_order,     STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_ABORT,        abort_login,      STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_REGISTRATION, ask_registration, STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_ERROR,        end_too,          STREAM_CLOSED    },
    {STREAM_OFFERED,    GOT_END,          end_too,          STREAM_CLOSED    },
    {STREAM_OFFERED,    CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_SECURING,   TLS_DONE,         is_secured,       STREAM_OPENING   },
    {STREAM_SECURING,   CLOSED_BY_US,     close_at_once,    STREAM_CLOSED    },

    {STREAM_LOGIN,      STEP_CHALLENGE,   send_challenge,   STREAM_CHALLENGED},
    {STREAM_LOGIN,      STEP_LOOKUP,      ask_credentials,  STREAM_LOOKUP    },
    {STREAM_LOGIN,      STEP_CHECK,       ask_check,        STREAM_CHECKING  },
    {STREAM_LOGIN,      STEP_SUCCESS,     welcome,          STREAM_MOVING    },
    {STREAM_LOGIN,      STEP_FAILURE,     login_failed,     STREAM_REFUSING  },

    {STREAM_LOOKUP,     LOOKED_UP,        no_act,           STREAM_LOGIN     },
    {STREAM_LOOKUP,     CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_CHALLENGED, GOT_RESPONSE,     go_on_login,      STREAM_LOGIN     },
    {STREAM_CHALLENGED, GOT_ABORT,        abort_login,      STREAM_OFFERED   },
    {STREAM_CHALLENGED, GOT_AUTH,         out_of_order,     STREAM_OFFERED   },
    {STREAM_CHALLENGED, GOT_ERROR,        end_too,          STREAM_CLOSED    },
    {STREAM_CHALLENGED, GOT_END,          end_too,          STREAM_CLOSED    },
    {STREAM_CHALLENGED, CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_CHECKING,   CHECKED,          no_act,           STREAM_LOGIN     },
    {STREAM_CHECKING,   CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_REFUSING,   REFUSED,          refuse_login,     STREAM_OFFERED   },
    {STREAM_REFUSING,   CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_MOVING,     CONTINUED,        no_act,           STREAM_OPENING   },
    {STREAM_MOVING,     CLOSED_BY_US,     close_at_once,    STREAM_CLOSED    },

    {STREAM_READY,      GOT_BIND,         ask_resource,     STREAM_BINDING   },
    {STREAM_READY,      GOT_RESUME,       ask_resumption,   STREAM_RESUMING  },
    {STREAM_READY,      GOT_SM,           refuse_sm,        STREAM_READY     },
    {STREAM_READY,      GOT_CSI,          got_csi,          STREAM_READY     },
    {STREAM_READY,      GOT_ERROR,        end_too,          STREAM_CLOSED    },
    {STREAM_READY,      GOT_END,          end_too,          STREAM_CLOSED    },
    {STREAM_READY,      CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_RESUMING,   RESUMED,          no_act,           STREAM_BOUND     },
    {STREAM_RESUMING,   NOT_RESUMED,      no_act,           STREAM_READY     },
    {STREAM_RESUMING,   CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_BINDING,    RESOURCE_BOUND,   is_bound,         STREAM_BOUND     },
    {STREAM_BINDING,    RESOURCE_REFUSED, no_act,           STREAM_READY     },
    {STREAM_BINDING,    CLOSED_BY_US,     close_first,      STREAM_CLOSING   },

    {STREAM_ENDING,     CLOSED_BY_US,     end_too,          STREAM_CLOSED    },

    {STREAM_CLOSING,    GOT_END,          close_at_once,    STREAM_CLOSED    },
    {STREAM_CLOSING,    GOT_ERROR,        close_at_once,    STREAM_CLOSED    },
};

static const struct move *find_move(const struct stream *stream, enum event event)
{
    for (size_t i = 0; i < COUNT_OF(moves); i++)
        if (moves[i].state == stream->state && moves[i].event == event)
            return &moves[i];
    return NULL;
}

// Reading.

static bool is_stanza_name(struct str name)
{
    return str_eq(name, STR("message")) || str_eq(name, STR("presence")) || str_eq(name, STR("iq"));
}

static enum event event_of_stanza(const struct stream *stream, const struct element *element)
{
    if (!is_stanza_name(element->name))
        return GOT_OTHER;
    if (stream->state == STREAM_BOUND || !str_eq(element->name, STR("iq")))
        return GOT_STANZA;
    struct str type = element_attr(element, STR("type"));
    if (!str_eq(type, STR("set")) && !str_eq(type, STR("get")))
        return GOT_STANZA;
    if (element_child(element, NS_BIND, STR("bind")) != NULL)
        return GOT_BIND;
    if (element_child(element, NS_REGISTER, STR("query")) != NULL)
        return GOT_REGISTRATION;
    return GOT_STANZA;
}

static enum event event_of(const struct stream *stream, const struct element *element)
{
    static const struct {
        struct str ns;
        const char *name; // NULL: any other
        enum event event;
    } known[] = {
        {NS_SM,     "resume",   GOT_RESUME  },
        {NS_SM,     NULL,       GOT_SM      },
        {NS_CSI,    "active",   GOT_CSI     },
        {NS_CSI,    "inactive", GOT_CSI     },
        {NS_TLS,    "starttls", GOT_STARTTLS},
        {NS_SASL,   "auth",     GOT_AUTH    },
        {NS_SASL,   "response", GOT_RESPONSE},
        {NS_SASL,   "abort",    GOT_ABORT   },
        {NS_STREAM, "error",    GOT_ERROR   },
    };
    if (ns_eq(element->ns, NS_CLIENT))
        return event_of_stanza(stream, element);
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (ns_eq(element->ns, known[i].ns) &&
            (known[i].name == NULL || str_eq(element->name, str_of(known[i].name))))
            return known[i].event;
    return GOT_OTHER;
}

static void got_fault(struct stream *stream)
{
    enum stream_condition condition;
    // every fault is named after its condition
    must(stream_condition_of(xml_fault_condition(stream->tokenizer.fault), &condition) == OK);
    stream_fail(stream, condition, stream->tokenizer.detail);
}

static void got_token(struct stream *stream, enum token token, struct element *element)
{
    if (token == TOKEN_FAULT) {
        got_fault(stream);
        return;
    }
    enum event event = token == TOKEN_HEADER   ? GOT_HEADER
                       : token == TOKEN_CLOSED ? GOT_END
                                               : event_of(stream, element);
    // after our end tag whatever comes is read only to find theirs
    if (stream->state == STREAM_CLOSING && event != GOT_END && event != GOT_ERROR)
        return;
    move(stream, event, element);
}

bool stream_wants(const struct stream *stream)
{
    switch (stream->state) {
    case STREAM_OPENING:
    case STREAM_OFFERED:
    case STREAM_CHALLENGED:
    case STREAM_READY:
    case STREAM_BOUND:
        return stream->pauses == 0;
    case STREAM_CLOSING:
        return true;
    default:
        return false;
    }
}

// What was handled goes; what waits for an answer stays.
static void drop_element(struct stream *stream)
{
    if (stream->request == NULL && stream->rest_later) {
        arena_reset(&stream->arena);
        stream->rest_later = false;
    }
}

size_t stream_read(struct stream *stream, struct str bytes)
{
    must(!stream->reading);
    stream->reading = true;
    struct str rest = bytes;
    while (stream_wants(stream)) {
        drop_element(stream);
        struct element *element = NULL;
        size_t before = rest.len;
        enum token token = tokenizer_feed(&stream->tokenizer, &rest, &stream->arena, &element);
        stream->element_bytes += before - rest.len;
        if (token == TOKEN_MORE)
            break;
        stream->rest_later = true;
        got_token(stream, token, element);
        stream->element_bytes = 0;
    }
    stream->reading = false;
    // plain text behind <starttls/> is nobody's (STARTTLS injection); nor is what follows the end
    if (stream->state == STREAM_SECURING || stream->state == STREAM_CLOSED)
        return bytes.len;
    return bytes.len - rest.len;
}

void stream_pause(struct stream *stream)
{
    must(stream->pauses < UINT16_MAX);
    stream->pauses++;
}

void stream_unpause(struct stream *stream)
{
    must(stream->pauses > 0);
    stream->pauses--;
}

void stream_rest(struct stream *stream)
{
    if (stream->reading || stream->request != NULL || !tokenizer_is_idle(&stream->tokenizer))
        return;
    arena_done(&stream->arena);
    stream->rest_later = false;
}

// The host's answers.

void stream_secured(struct stream *stream, unsigned bindings)
{
    if (!is_due(stream, TLS_DONE))
        return;
    stream->bindings = (uint8_t)bindings;
    move(stream, TLS_DONE, NULL);
}

void stream_credentials(struct stream *stream, enum lookup lookup,
                        const struct credentials *credentials)
{
    if (!is_due(stream, LOOKED_UP))
        return;
    move(stream, LOOKED_UP, NULL);
    struct credentials fakes;
    // made for everybody, so that an unknown account takes no longer
    scram_fake(stream->policy->crypto, &stream->policy->secret, sasl_local(stream->sasl),
               stream->domain, stream->policy->iterations, &fakes);
    take_step(stream, sasl_credentials(stream->sasl, lookup, credentials, &fakes));
}

void stream_password_checked(struct stream *stream, enum err result)
{
    if (!is_due(stream, CHECKED))
        return;
    move(stream, CHECKED, NULL);
    take_step(stream, sasl_password_checked(stream->sasl, result));
}

void stream_refuse(struct stream *stream)
{
    if (is_due(stream, REFUSED))
        move(stream, REFUSED, NULL);
}

void stream_continue(struct stream *stream, const struct stream_policy *policy,
                     const struct stream_host *calls, void *host)
{
    stream->policy = policy;
    stream->calls = calls;
    stream->host = host;
    if (!is_due(stream, CONTINUED))
        return;
    set_limits(stream, &policy->known);
    move(stream, CONTINUED, NULL);
}

void stream_bound(struct stream *stream, struct str resource)
{
    if (!is_due(stream, RESOURCE_BOUND))
        return;
    set_resource(stream, resource);
    move(stream, RESOURCE_BOUND, NULL);
}

void stream_not_bound(struct stream *stream, const struct stanza_error *error)
{
    if (!is_due(stream, RESOURCE_REFUSED))
        return;
    const struct element *request = TAKE(stream->request);
    move(stream, RESOURCE_REFUSED, NULL);
    refuse_request(stream, request, error);
}

void stream_resumed(struct stream *stream, struct str resource)
{
    if (!is_due(stream, RESUMED))
        return;
    set_resource(stream, resource);
    move(stream, RESUMED, NULL);
}

void stream_not_resumed(struct stream *stream)
{
    if (is_due(stream, NOT_RESUMED))
        move(stream, NOT_RESUMED, NULL);
}

void stream_close(struct stream *stream, const struct stream_error *error)
{
    if (error != NULL)
        end_with(stream, error, error);
    else if (is_due(stream, CLOSED_BY_US))
        move(stream, CLOSED_BY_US, NULL);
}

void stream_abandon(struct stream *stream)
{
    if (stream->state != STREAM_CLOSED)
        finish(stream, STREAM_ENDED_BY_US, NULL);
}

// Reading the stream.

enum stream_state stream_state(const struct stream *stream)
{
    return (enum stream_state)stream->state;
}

bool stream_is_open(const struct stream *stream)
{
    return stream->state == STREAM_BOUND || stream->state == STREAM_ENDING;
}

struct str stream_id(const struct stream *stream)
{
    return str_of(stream->id);
}

struct str stream_lang(const struct stream *stream)
{
    return stream->lang;
}

struct str stream_domain_name(const struct stream *stream)
{
    return stream->domain;
}

bool stream_jid(const struct stream *stream, struct jid *out)
{
    if (stream->jid.len == 0)
        return false;
    *out = jid_of_prepared(stream->jid);
    return true;
}

bool stream_from_fits(const struct stream *stream, struct str from)
{
    if (from.at == NULL)
        return true;
    if (stream->jid.len == 0)
        return false;
    struct jid own = jid_of_prepared(stream->jid);
    if (str_eq(from, own.full) || str_eq(from, jid_bare(&own)))
        return true;
    // the same address spelt otherwise
    struct arena arena;
    arena_init(&arena, 4 * JID_MOST);
    struct jid claimed;
    bool fits = jid_parse(&arena, from, &claimed) == OK && jid_eq_bare(&claimed, &own) &&
                (jid_is_bare(&claimed) || str_eq(claimed.resource, own.resource));
    arena_done(&arena);
    return fits;
}
