/*
 * Logging in: SASL (RFC 6120 §6) on a client's stream, step by step as the table of stream.c says.
 */
#include "xmpp/stream_internal.h"

#include <openssl/crypto.h>

void login_offer(struct stream *stream, const struct stream_domain *domain, struct buf *out)
{
    stream->offered = (uint8_t)sasl_offer(domain->mechanisms, stream->secured, stream->bindings);
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

static void take_step(struct stream *stream, enum sasl_step step)
{
    static const enum event events[] = {
        [SASL_SEND_CHALLENGE] = STEP_CHALLENGE, [SASL_WANT_CREDENTIALS] = STEP_LOOKUP,
        [SASL_WANT_PASSWORD] = STEP_CHECK,      [SASL_SUCCEEDED] = STEP_SUCCESS,
        [SASL_FAILED] = STEP_FAILURE,
    };
    stream_move(stream, events[step], NULL);
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

void login_begin(struct stream *stream, struct element *element)
{
    const struct stream_domain *domain = stream_served_domain(stream);
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

void login_go_on(struct stream *stream, struct element *element)
{
    enum sasl_step step = sasl_respond(stream->sasl, element->text);
    wipe(element);
    take_step(stream, step);
}

static void add_answer(const struct stream *stream, struct buf *out, const char *name)
{
    struct str text = sasl_answer(stream->sasl);
    if (text.len > 0) {
        add_open(out, name, NS_SASL);
        buf_add(out, text);
        buf_printf(out, "</%s>", name);
    } else {
        add_empty(out, name, NS_SASL);
    }
}

void login_send_challenge(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_answer(stream, &out, "challenge");
    stream_send(stream, &out);
}

void login_ask_credentials(struct stream *stream, struct element *element)
{
    (void)element;
    stream->calls->find_credentials(stream->host, sasl_local(stream->sasl), stream->domain);
}

void login_ask_check(struct stream *stream, struct element *element)
{
    (void)element;
    stream->calls->check_password(stream->host, sasl_wanted(stream->sasl),
                                  sasl_password(stream->sasl));
}

void login_welcome(struct stream *stream, struct element *element)
{
    (void)element;
    struct buf out;
    buf_init(&out, OUT_MOST);
    add_answer(stream, &out, "success");
    // both parts are prepared
    struct jid jid = jid_of_prepared(arena_printf(
        &stream->arena, "%.*s@%.*s", STR_ARGS(sasl_local(stream->sasl)), STR_ARGS(stream->domain)));
    // a client that announced another address than it logged in with
    if (stream->from.len > 0 && !str_eq(stream->from, jid.full)) {
        buf_done(&out);
        stream_fail(stream, STREAM_INVALID_FROM, NULL);
        return;
    }
    stream_keep(&stream->jid, jid.full);
    stream_keep(&stream->from, STR_EMPTY); // from now on this is what it must be
    stream_send(stream, &out);
    enum sasl_mechanism mechanism = sasl_mechanism(stream->sasl);
    sasl_free(&stream->sasl);
    stream->offered = 0;
    stream_restart(stream);
    stream->calls->authenticated(stream->host, &jid, mechanism);
}

static void report_failure(struct stream *stream, enum sasl_failure failure, const char *detail)
{
    struct str local = stream->sasl != NULL ? sasl_local(stream->sasl) : STR_EMPTY;
    stream->calls->login_failed(stream->host, local, stream->domain, failure, detail);
}

void login_failed(struct stream *stream, struct element *element)
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
    stream_send(stream, &out);
    // RFC 6120 §6.4.5: a limited number of retries, then policy-violation
    if (stream->attempts < UINT8_MAX)
        stream->attempts++;
    if (stream->attempts >= stream->policy->attempts)
        stream_fail(stream, STREAM_POLICY_VIOLATION, "too many failed logins");
}

void login_refuse(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, sasl_failure(stream->sasl));
}

void login_abort(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, SASL_ABORTED);
}

// A <response/> to nothing, or an <auth/> in the middle of an exchange.
void login_out_of_order(struct stream *stream, struct element *element)
{
    (void)element;
    send_failure(stream, SASL_MALFORMED_REQUEST);
}

void stream_credentials(struct stream *stream, enum lookup lookup,
                        const struct credentials *credentials)
{
    if (!stream_is_due(stream, LOOKED_UP))
        return;
    stream_move(stream, LOOKED_UP, NULL);
    struct credentials fakes;
    // made for everybody, so that an unknown account takes no longer
    scram_fake(stream->policy->crypto, &stream->policy->secret, sasl_local(stream->sasl),
               stream->domain, stream->policy->iterations, &fakes);
    take_step(stream, sasl_credentials(stream->sasl, lookup, credentials, &fakes));
}

void stream_password_checked(struct stream *stream, enum err result)
{
    if (!stream_is_due(stream, CHECKED))
        return;
    stream_move(stream, CHECKED, NULL);
    take_step(stream, sasl_password_checked(stream->sasl, result));
}
