/*
 * The client stream: whatever a client sends, whenever the host answers, the
 * stream ends once, says nothing afterwards, and all it says is well-formed.
 *
 * The input is what the client sends; control characters that XML forbids are
 * what the host does in between:
 *   01 answers the open question with yes, 02 with no, 03 pauses, 04 goes on,
 *   05 gives back memory, 06 closes politely, 07 closes with an error,
 *   08 answers at once from now on, 0E waits for 01 and 02 from now on,
 *   0F takes the memory of elements from now on.
 * A first byte 10 begins inside TLS.
 */
#include "base/must.h"
#include "base/random.h"
#include "xml/writer.h"
#include "xmpp/stream.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct host {
    struct stream_policy policy;
    struct stream_domain domain;
    struct stream *stream;
    bool patient, takes, ended, tls_asked;
    unsigned pauses;
    // what the stream has sent, read as its client would
    struct tokenizer client;
    struct arena arena;
    bool client_closed;
};

static const struct stream_host calls;

static void send_bytes(void *context, struct str bytes)
{
    struct host *host = context;
    must(!host->ended && !host->client_closed);
    if (str_starts(bytes, STR("<?xml")))
        tokenizer_reset(&host->client);
    struct str rest = bytes;
    struct element *element;
    enum token token;
    while ((token = tokenizer_feed(&host->client, &rest, &host->arena, &element)) != TOKEN_MORE) {
        must(token != TOKEN_FAULT);
        if (token == TOKEN_CLOSED) {
            host->client_closed = true;
            break;
        }
        arena_reset(&host->arena);
    }
    must(rest.len == 0);
}

static void start_tls(void *context)
{
    ((struct host *)context)->tls_asked = true;
}

static size_t binding(void *context, enum channel_binding kind,
                      unsigned char out[CHANNEL_BINDING_MOST])
{
    (void)context;
    memcpy(out, "data", 4);
    return kind == BINDING_TLS_EXPORTER ? 4 : 0;
}

static const struct stream_domain *domain(void *context, struct str name)
{
    struct host *host = context;
    return str_eq(name, host->domain.name) ? &host->domain : NULL;
}

// Answers whatever the stream waits for; nothing when it waits for nothing.
static void answer(struct host *host, bool yes)
{
    static const struct credentials credentials = {
        .keys = {{.iterations = 1, .salt_size = 1}, {.iterations = 1, .salt_size = 1}}
    };
    struct stanza_error error = {.condition = STANZA_CONFLICT, .text = STR("taken")};
    switch (stream_state(host->stream)) {
    case STREAM_SECURING:
        stream_secured(host->stream, yes ? 3 : 0);
        break;
    case STREAM_LOOKUP:
        stream_credentials(host->stream, yes ? LOOKUP_FOUND : LOOKUP_UNKNOWN, &credentials);
        break;
    case STREAM_CHECKING:
        stream_password_checked(host->stream, yes ? OK : ERR_DENIED);
        break;
    case STREAM_REFUSING:
        stream_refuse(host->stream);
        break;
    case STREAM_MOVING:
        stream_continue(host->stream, &host->policy, &calls, host);
        break;
    case STREAM_BINDING:
        if (yes)
            stream_bound(host->stream, STR("resource"));
        else
            stream_not_bound(host->stream, &error);
        break;
    case STREAM_RESUMING:
        if (yes)
            stream_resumed(host->stream, STR("resource"));
        else
            stream_not_resumed(host->stream);
        break;
    case STREAM_ENDING:
        stream_close(host->stream, NULL);
        break;
    default:
        break;
    }
}

static void asked(struct host *host)
{
    must(!host->ended);
    if (!host->patient)
        answer(host, true);
}

static void find_credentials(void *context, struct str local, struct str name)
{
    must(local.len > 0 && name.len > 0);
    asked(context);
}

static void check_password(void *context, const struct credentials *credentials,
                           struct str password)
{
    must(credentials != NULL && password.len > 0);
    asked(context);
}

static void login_failed(void *context, struct str local, struct str name,
                         enum sasl_failure failure, const char *detail)
{
    (void)local, (void)name, (void)failure;
    must(detail != NULL);
    asked(context);
}

static void authenticated(void *context, const struct jid *bare, enum sasl_mechanism mechanism)
{
    (void)mechanism;
    must(bare->local.len > 0 && jid_is_bare(bare));
    asked(context);
}

static void bind_resource(void *context, struct str wished)
{
    (void)wished;
    asked(context);
}

static void resume(void *context, const struct element *element)
{
    must(element_is(element, NS_SM, STR("resume")));
    asked(context);
}

static void registration(void *context, const struct element *iq)
{
    (void)context;
    must(str_eq(iq->name, STR("iq")));
}

static void element(void *context, enum stream_element kind, struct arena *arena,
                    struct element *root, size_t size)
{
    struct host *host = context;
    must(!host->ended && size > 0);
    must(kind == STREAM_CSI || stream_state(host->stream) == STREAM_BOUND);
    must(ns_eq(root->ns, kind == STREAM_STANZA ? NS_CLIENT : kind == STREAM_SM ? NS_SM : NS_CSI));
    if (!host->takes)
        return;
    struct arena taken = *arena;
    arena_init(arena, taken.ceiling);
    struct buf text;
    buf_init(&text, 8 << 20);
    xml_write(&text, root, NS_CLIENT);
    must(!text.overflowed);
    buf_done(&text);
    arena_done(&taken);
}

static void ending(void *context)
{
    asked(context);
}

static void closed(void *context, enum stream_end end, const struct stream_error *error)
{
    struct host *host = context;
    must(!host->ended);
    must((end == STREAM_ENDED_BY_ERROR) == (error != NULL));
    host->ended = true;
}

static const struct stream_host calls = {
    .send = send_bytes,
    .start_tls = start_tls,
    .binding = binding,
    .domain = domain,
    .find_credentials = find_credentials,
    .check_password = check_password,
    .login_failed = login_failed,
    .authenticated = authenticated,
    .bind = bind_resource,
    .resume = resume,
    .registration = registration,
    .element = element,
    .ending = ending,
    .closed = closed,
};

static void act(struct host *host, uint8_t what)
{
    switch (what) {
    case 0x01:
    case 0x02:
        answer(host, what == 0x01);
        break;
    case 0x03:
        if (host->pauses < 100) {
            stream_pause(host->stream);
            host->pauses++;
        }
        break;
    case 0x04:
        if (host->pauses > 0) {
            stream_unpause(host->stream);
            host->pauses--;
        }
        break;
    case 0x05:
        stream_rest(host->stream);
        break;
    case 0x06:
        stream_close(host->stream, NULL);
        break;
    case 0x07:
        stream_fail(host->stream, STREAM_RESET, "why not");
        break;
    case 0x08:
    case 0x0E:
        host->patient = what == 0x0E;
        break;
    default:
        host->takes = true;
    }
}

static bool is_act(uint8_t byte)
{
    return (byte >= 0x01 && byte <= 0x08) || byte == 0x0E || byte == 0x0F;
}

// Feeds text as a connection does: what is not used now waits, what has no taker is lost.
static void feed(struct host *host, struct str *waiting, struct str more)
{
    // what waits and what is new are neighbours but for the acts between them: fed one by one
    if (waiting->len > 0) {
        size_t used = stream_read(host->stream, *waiting);
        must(used <= waiting->len);
        *waiting = str_skip(*waiting, used);
    }
    if (waiting->len > 0)
        return;
    size_t used = stream_read(host->stream, more);
    must(used <= more.len);
    must(used == more.len || !stream_wants(host->stream));
    *waiting = str_skip(more, used);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scram_crypto *crypto; // fetched once for all inputs
    if (crypto == NULL) {
        random_start();
        crypto = scram_crypto_new(NULL);
    }
    static const struct tokenizer_limits wide = {.bytes = 1 << 20,
                                                 .elements = 10000,
                                                 .namespaces = 1000,
                                                 .depth = 100,
                                                 .attributes = 100,
                                                 .name = 4096};
    struct host host = {
        .policy = {.crypto = crypto,
                   .iterations = 1,
                   .attempts = 5,
                   .domain = STR("x"),
                   .strange = {.bytes = 2048,
                               .elements = 50,
                               .namespaces = 20,
                               .depth = 5,
                               .attributes = 20,
                               .name = 100},
                   .known = {.bytes = 16384,
                             .elements = 500,
                             .namespaces = 50,
                             .depth = 20,
                             .attributes = 64,
                             .name = 200}},
        .domain = { .name = STR("x"),
                   .mechanisms = SASL_ALL,
                   .protect_offer = true,
                   .registration = true,
                   .roster_versioning = true,
                   .preapproval = true,
                   .sm = true,
                   .csi = true,
                   .caps_hash = STR("sha-1"),
                   .caps_node = STR("n"),
                   .caps_ver = STR("v")},
    };
    tokenizer_init(&host.client, &wide);
    arena_init(&host.arena, 64 << 20);
    bool secured = size > 0 && data[0] == 0x10;
    host.stream = stream_new(&host.policy, &calls, &host, secured, secured ? 3 : 0);

    struct str waiting = STR_EMPTY;
    for (size_t at = secured; at < size;) {
        size_t end = at;
        while (end < size && !is_act(data[end]))
            end++;
        feed(&host, &waiting, str_make((const char *)data + at, end - at));
        if (end < size)
            act(&host, data[end++]);
        at = end;
    }
    must(host.ended == (stream_state(host.stream) == STREAM_CLOSED));
    struct jid jid;
    if (stream_jid(host.stream, &jid))
        must(jid.local.len > 0 && str_eq(jid.domain, STR("x")));
    stream_abandon(host.stream);
    must(host.ended);
    stream_free(&host.stream);
    tokenizer_done(&host.client);
    arena_done(&host.arena);
    return 0;
}
