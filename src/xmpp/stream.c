#include "xmpp/stream_internal.h"

#include "base/must.h"
#include "xml/writer.h"
#include "xmpp/stream_header.h"

#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MOST = 64 * 1024, // of an error's words, in any language
    LANG_MOST = 64,         // a longer xml:lang is nobody's language
};

void stream_keep(struct str *kept, struct str text)
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
    stream_keep(&s->domain, STR_EMPTY);
    stream_keep(&s->from, STR_EMPTY);
    stream_keep(&s->lang, STR_EMPTY);
    stream_keep(&s->jid, STR_EMPTY);
    free(s);
}

// Writing.

void stream_send(struct stream *stream, struct buf *out)
{
    must(!out->overflowed);
    stream->calls->send(stream->host, buf_str(out));
    buf_done(out);
}

void add_open(struct buf *out, const char *name, struct str ns)
{
    buf_printf(out, "<%s xmlns='%.*s'>", name, STR_ARGS(ns));
}

void add_empty(struct buf *out, const char *name, struct str ns)
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
        stream_send(stream, &out);
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

void stream_move(struct stream *stream, enum event event, struct element *element)
{
    const struct move *m = find_move(stream, event);
    if (m == NULL) {
        unexpected(stream, event);
        return;
    }
    stream->state = (uint8_t)m->next;
    m->act(stream, element);
}

bool stream_is_due(const struct stream *stream, enum event event)
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

void stream_restart(struct stream *stream)
{
    tokenizer_reset(&stream->tokenizer);
    stream->header_sent = false;
}

static void is_secured(struct stream *stream, struct element *element)
{
    (void)element;
    stream->secured = true;
    stream_restart(stream);
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
    stream_keep(&stream->domain, prepared);
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
    stream_keep(&stream->from, bare);
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
        stream_keep(&stream->lang, header.lang); // what is wrong with the rest is said in it
    if (!domain_fits(stream, header.to) || !from_fits(stream, header.from))
        return;
    stream_move(stream, stream->jid.len > 0 ? IS_KNOWN : IS_STRANGER, NULL);
}

const struct stream_domain *stream_served_domain(struct stream *stream)
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

static void offer_login(struct stream *stream, struct element *element)
{
    (void)element;
    const struct stream_domain *domain = stream_served_domain(stream);
    if (domain == NULL)
        return;
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_header(stream, &out);
    buf_add(&out, STR("<stream:features>"));
    if (!stream->secured) {
        // RFC 7590 §3.1: nothing else until TLS
        add_open(&out, "starttls", NS_TLS);
        buf_add(&out, STR("<required/></starttls>"));
    }
    login_offer(stream, domain, &out);
    if (offers_registration(stream, domain))
        add_empty(&out, "register", NS_REGISTER_FEATURE);
    buf_add(&out, STR("</stream:features>"));
    stream_send(stream, &out);
}

static void offer_binding(struct stream *stream, struct element *element)
{
    (void)element;
    const struct stream_domain *domain = stream_served_domain(stream);
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
        xml_write_attribute(&out, "xmlns", NS_CAPS);
        xml_write_attribute(&out, "hash", domain->caps_hash);
        xml_write_attribute(&out, "node", domain->caps_node);
        xml_write_attribute(&out, "ver", domain->caps_ver);
        buf_add(&out, STR("/>"));
    }
    buf_add(&out, STR("</stream:features>"));
    stream_send(stream, &out);
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
        stream_send(stream, &out);
        struct stream_error error = {.condition = STREAM_POLICY_VIOLATION,
                                     .text = STR("TLS is in use already")};
        finish(stream, STREAM_ENDED_BY_ERROR, &error);
        return;
    }
    add_empty(&out, "proceed", NS_TLS);
    stream_send(stream, &out);
    stream->calls->start_tls(stream->host);
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
    stream_send(stream, &out);
    arena_done(&arena);
}

static void ask_registration(struct stream *stream, struct element *element)
{
    const struct stream_domain *domain = stream_served_domain(stream);
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
    stream_keep(&stream->jid, full.full);
    arena_done(&arena);
}

static void is_bound(struct stream *stream, struct element *element)
{
    (void)element;
    const struct element *request = TAKE(stream->request);
    struct buf out;
    buf_init(&out, answer_most(stream));
    buf_add(&out, STR("<iq"));
    xml_write_attribute(&out, "type", STR("result"));
    xml_write_attribute(&out, "id", element_attr(request, STR("id")));
    buf_add_char(&out, '>');
    add_open(&out, "bind", NS_BIND);
    buf_add(&out, STR("<jid>"));
    xml_write_text(&out, stream->jid);
    buf_add(&out, STR("</jid></bind></iq>"));
    stream_send(stream, &out);
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
    stream_send(stream, &out);
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
    {STREAM_BOUND,      GOT_STANZA,       got_stanza,            STREAM_BOUND     },
    {STREAM_BOUND,      GOT_SM,           got_sm,                STREAM_BOUND     },
    {STREAM_BOUND,      GOT_RESUME,       got_sm,                STREAM_BOUND     },
    {STREAM_BOUND,      GOT_CSI,          got_csi,               STREAM_BOUND     },
    {STREAM_BOUND,      GOT_ERROR,        ask_last_words,        STREAM_ENDING    },
    {STREAM_BOUND,      GOT_END,          ask_last_words,        STREAM_ENDING    },
    {STREAM_BOUND,      CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_OPENING,    GOT_HEADER,       read_header,           STREAM_GREETING  },
    {STREAM_OPENING,    GOT_END,          end_too,               STREAM_CLOSED    },
    {STREAM_OPENING,    CLOSED_BY_US,     close_at_once,         STREAM_CLOSED    },

    {STREAM_GREETING,   IS_STRANGER,      offer_login,           STREAM_OFFERED   },
    {STREAM_GREETING,   IS_KNOWN,         offer_binding,         STREAM_READY     },

    {STREAM_OFFERED,    GOT_STARTTLS,     start_tls,             STREAM_SECURING  },
    {STREAM_OFFERED,    GOT_AUTH,         login_begin,           STREAM_LOGIN     },
    {STREAM_OFFERED,    GOT_RESPONSE,     login_out_of_order,    STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_ABORT,        login_abort,           STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_REGISTRATION, ask_registration,      STREAM_OFFERED   },
    {STREAM_OFFERED,    GOT_ERROR,        end_too,               STREAM_CLOSED    },
    {STREAM_OFFERED,    GOT_END,          end_too,               STREAM_CLOSED    },
    {STREAM_OFFERED,    CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_SECURING,   TLS_DONE,         is_secured,            STREAM_OPENING   },
    {STREAM_SECURING,   CLOSED_BY_US,     close_at_once,         STREAM_CLOSED    },

    {STREAM_LOGIN,      STEP_CHALLENGE,   login_send_challenge,  STREAM_CHALLENGED},
    {STREAM_LOGIN,      STEP_LOOKUP,      login_ask_credentials, STREAM_LOOKUP    },
    {STREAM_LOGIN,      STEP_CHECK,       login_ask_check,       STREAM_CHECKING  },
    {STREAM_LOGIN,      STEP_SUCCESS,     login_welcome,         STREAM_MOVING    },
    {STREAM_LOGIN,      STEP_FAILURE,     login_failed,          STREAM_REFUSING  },

    {STREAM_LOOKUP,     LOOKED_UP,        no_act,                STREAM_LOGIN     },
    {STREAM_LOOKUP,     CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_CHALLENGED, GOT_RESPONSE,     login_go_on,           STREAM_LOGIN     },
    {STREAM_CHALLENGED, GOT_ABORT,        login_abort,           STREAM_OFFERED   },
    {STREAM_CHALLENGED, GOT_AUTH,         login_out_of_order,    STREAM_OFFERED   },
    {STREAM_CHALLENGED, GOT_ERROR,        end_too,               STREAM_CLOSED    },
    {STREAM_CHALLENGED, GOT_END,          end_too,               STREAM_CLOSED    },
    {STREAM_CHALLENGED, CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_CHECKING,   CHECKED,          no_act,                STREAM_LOGIN     },
    {STREAM_CHECKING,   CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_REFUSING,   REFUSED,          login_refuse,          STREAM_OFFERED   },
    {STREAM_REFUSING,   CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_MOVING,     CONTINUED,        no_act,                STREAM_OPENING   },
    {STREAM_MOVING,     CLOSED_BY_US,     close_at_once,         STREAM_CLOSED    },

    {STREAM_READY,      GOT_BIND,         ask_resource,          STREAM_BINDING   },
    {STREAM_READY,      GOT_RESUME,       ask_resumption,        STREAM_RESUMING  },
    {STREAM_READY,      GOT_SM,           refuse_sm,             STREAM_READY     },
    {STREAM_READY,      GOT_CSI,          got_csi,               STREAM_READY     },
    {STREAM_READY,      GOT_ERROR,        end_too,               STREAM_CLOSED    },
    {STREAM_READY,      GOT_END,          end_too,               STREAM_CLOSED    },
    {STREAM_READY,      CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_RESUMING,   RESUMED,          no_act,                STREAM_BOUND     },
    {STREAM_RESUMING,   NOT_RESUMED,      no_act,                STREAM_READY     },
    {STREAM_RESUMING,   CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_BINDING,    RESOURCE_BOUND,   is_bound,              STREAM_BOUND     },
    {STREAM_BINDING,    RESOURCE_REFUSED, no_act,                STREAM_READY     },
    {STREAM_BINDING,    CLOSED_BY_US,     close_first,           STREAM_CLOSING   },

    {STREAM_ENDING,     CLOSED_BY_US,     end_too,               STREAM_CLOSED    },

    {STREAM_CLOSING,    GOT_END,          close_at_once,         STREAM_CLOSED    },
    {STREAM_CLOSING,    GOT_ERROR,        close_at_once,         STREAM_CLOSED    },
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
    stream_move(stream, event, element);
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
    if (!stream_is_due(stream, TLS_DONE))
        return;
    stream->bindings = (uint8_t)bindings;
    stream_move(stream, TLS_DONE, NULL);
}

void stream_refuse(struct stream *stream)
{
    if (stream_is_due(stream, REFUSED))
        stream_move(stream, REFUSED, NULL);
}

void stream_continue(struct stream *stream, const struct stream_policy *policy,
                     const struct stream_host *calls, void *host)
{
    stream->policy = policy;
    stream->calls = calls;
    stream->host = host;
    if (!stream_is_due(stream, CONTINUED))
        return;
    set_limits(stream, &policy->known);
    stream_move(stream, CONTINUED, NULL);
}

void stream_bound(struct stream *stream, struct str resource)
{
    if (!stream_is_due(stream, RESOURCE_BOUND))
        return;
    set_resource(stream, resource);
    stream_move(stream, RESOURCE_BOUND, NULL);
}

void stream_not_bound(struct stream *stream, const struct stanza_error *error)
{
    if (!stream_is_due(stream, RESOURCE_REFUSED))
        return;
    const struct element *request = TAKE(stream->request);
    stream_move(stream, RESOURCE_REFUSED, NULL);
    refuse_request(stream, request, error);
}

void stream_resumed(struct stream *stream, struct str resource)
{
    if (!stream_is_due(stream, RESUMED))
        return;
    set_resource(stream, resource);
    stream_move(stream, RESUMED, NULL);
}

void stream_not_resumed(struct stream *stream)
{
    if (stream_is_due(stream, NOT_RESUMED))
        stream_move(stream, NOT_RESUMED, NULL);
}

void stream_close(struct stream *stream, const struct stream_error *error)
{
    if (error != NULL)
        end_with(stream, error, error);
    else if (stream_is_due(stream, CLOSED_BY_US))
        stream_move(stream, CLOSED_BY_US, NULL);
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
