#include "im/stream_management.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/csi.h"
#include "im/gate.h"
#include "im/send.h"
#include "im/session_life.h"
#include "xml/element.h"
#include "xml/writer.h"

#include <stdio.h>
#include <stdlib.h>

static void say(struct client *client, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct client *client, const char *format, ...)
{
    struct arena arena;
    arena_init(&arena, 4096);
    va_list args;
    va_start(args, format);
    client_send(client, arena_vprintf(&arena, format, args));
    va_end(args);
    arena_done(&arena);
}

// h absent: we no longer know (XEP-0198 5 leaves it out then).
static void say_failed(struct client *client, const char *condition, const uint32_t *h)
{
    char text[32] = "";
    if (h != NULL)
        snprintf(text, sizeof text, " h='%u'", *h);
    say(client,
        "<failed xmlns='urn:xmpp:sm:3'%s><%s xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "</failed>",
        text, condition);
}

static bool read_h(const struct element *element, uint32_t *h)
{
    struct str text = element_attr(element, STR("h"));
    uint64_t n;
    if (text.at == NULL || str_to_u64(text, 0, UINT32_MAX, &n) != OK)
        return false;
    *h = (uint32_t)n;
    return true;
}

static bool is_true(struct str value)
{
    return value.at != NULL && (str_eq(value, STR("true")) || str_eq(value, STR("1")));
}

static void enable(struct client *client, const struct element *element)
{
    struct session *session = client_session(client);
    const struct im_settings *settings = client_desk(client)->settings;
    if (session == NULL || session->sm != NULL) {
        say_failed(client, "unexpected-request", NULL);
        return;
    }
    // what went out before cannot be counted: its receipt is known by the socket alone
    session_written(session);
    struct sm *sm = calloc(1, sizeof *sm);
    must(sm != NULL);
    sm->resumable = is_true(element_attr(element, STR("resume"))) && settings->resume_us > 0;
    sm->resume_us = settings->resume_us;
    struct str most = element_attr(element, STR("max"));
    uint64_t seconds;
    if (most.at != NULL && str_to_u64(most, 1, INT32_MAX, &seconds) == OK &&
        (int64_t)seconds * SECOND_US < sm->resume_us)
        sm->resume_us = (int64_t)seconds * SECOND_US;
    random_id_z(sm->id);
    session_sm_start(session, sm);
    if (sm->resumable)
        say(client, "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='%s' max='%lld'/>", sm->id,
            (long long)(sm->resume_us / SECOND_US));
    else
        say(client, "<enabled xmlns='urn:xmpp:sm:3'/>");
}

// XEP-0198 6: it says that it has more than it was sent.
static void end_for_too_many(struct client *client, uint32_t h, uint32_t sent)
{
    struct arena arena;
    arena_init(&arena, 4096);
    const struct stream_error error = {
        .condition = STREAM_UNDEFINED_CONDITION,
        .text = arena_printf(&arena, "you acknowledged %u stanzas, of %u that were sent", h, sent),
        .lang = STR("en"),
        .specific = arena_printf(&arena,
                                 "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='%u' "
                                 "send-count='%u'/>",
                                 h, sent),
    };
    stream_close(client_stream(client), &error);
    arena_done(&arena);
}

static void acknowledged(struct client *client, const struct element *element)
{
    struct session *session = client_session(client);
    uint32_t h;
    if (session == NULL || session->sm == NULL)
        return;
    if (!read_h(element, &h)) {
        stream_fail(client_stream(client), STREAM_BAD_FORMAT, "h is the number of stanzas");
        return;
    }
    if (session_acked(session, h) != OK)
        end_for_too_many(client, h, session->sm->sent);
}

void sm_element(struct client *client, const struct element *element)
{
    struct session *session = client_session(client);
    if (str_eq(element->name, STR("r"))) {
        if (session != NULL && session->sm != NULL)
            session_sm_requested(session);
    } else if (str_eq(element->name, STR("a"))) {
        acknowledged(client, element);
    } else if (str_eq(element->name, STR("enable"))) {
        enable(client, element);
    } else {
        say_failed(client, "unexpected-request", NULL);
    }
}

static void not_resumed(struct client *client, const char *condition)
{
    client_desk(client)->counters.failed_resumptions++;
    say_failed(client, condition, NULL);
    stream_not_resumed(client_stream(client));
    client_resumed(client);
}

static struct session *find_waiting(struct account *account, struct str id)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending && session->sm != NULL && session->sm->resumable &&
        str_eq_secret(str_of(session->sm->id), id))
        return session;
    return NULL;
}

// Whether that many stanzas were sent, and not fewer than were acknowledged before.
static bool h_fits(const struct sm *sm, uint32_t h)
{
    return h - sm->acked <= sm->sent - sm->acked; // modulo 2^32
}

// Section 6 has a <failed/> for whatever is wrong with a <resume/>, and the end of the stream for
// an h that is too high.  With both, a client whose count is off forgets this session, and does not
// come back with the same.
static void refuse_h(struct client *client, const struct sm *sm, uint32_t h)
{
    client_desk(client)->counters.failed_resumptions++;
    say_failed(client, "bad-request", &sm->durable);
    stream_not_resumed(client_stream(client));
    bool is_too_high = h - sm->sent <= INT32_MAX && h != sm->sent; // modulo 2^32
    if (is_too_high && !client_is_gone(client))
        end_for_too_many(client, h, sm->sent);
    client_resumed(client);
}

static void resume(struct client *client, struct session *session, uint32_t h)
{
    struct sm *sm = session->sm;
    struct str lang = stream_lang(client_stream(client));
    loop_timer_cancel(&sm->timer);
    client_desk(client)->counters.resumptions++;
    session_log(LOG_INFO, "session-resumed", session->jid.full);
    must(session_acked(session, h) == OK);
    sm->asked = false;
    sm->said = sm->durable;
    say(client, "<resumed xmlns='urn:xmpp:sm:3' previd='%s' h='%u'/>", sm->id, sm->durable);
    stream_resumed(client_stream(client), session->jid.resource);
    client_attach(client, session);
    session->names_lang = false;
    if (lang.len > 0)
        session_set_lang(session, lang, true);
    gate_resends(session);
    session_resend(session);
    csi_resumed(session);
    client_resumed(client);
}

// A client that waits for its session's last stanzas to become durable: only then do both sides
// agree on where to go on.
struct resuming {
    struct client *client;
    uint64_t session;
    uint32_t h;
    struct timer timer;
};

static void try_again(struct timer *timer)
{
    struct resuming *resuming = CONTAINER_OF(timer, struct resuming, timer);
    struct client *client = resuming->client;
    struct home *home = client_desk(client)->home;
    struct session *session = session_find(home, resuming->session);
    if (session == NULL || session->ending || session->client != NULL) {
        free(resuming);
        not_resumed(client, "item-not-found");
    } else if (!h_fits(session->sm, resuming->h)) {
        // another connection resumed it meanwhile and went again, further on
        uint32_t h = resuming->h;
        free(resuming);
        refuse_h(client, session->sm, h);
    } else if (session->sm->durable != session->sm->received && !client_is_gone(client)) {
        loop_timer_set(home->loop, &resuming->timer, SECOND_US / 100, try_again);
    } else {
        uint32_t h = resuming->h;
        free(resuming);
        if (client_is_gone(client))
            client_resumed(client);
        else
            resume(client, session, h);
    }
}

static void begin_resuming(struct client *client, struct session *session, uint32_t h)
{
    struct sm *sm = session->sm;
    if (!h_fits(sm, h)) {
        refuse_h(client, sm, h);
        return;
    }
    if (session->client != NULL) {
        // the client came back before we saw its old connection die
        struct client *old = session->client;
        client_detach(old);
        client_end(old, STREAM_CONFLICT, "resumed elsewhere");
        sm_wait(session);
    }
    struct resuming *resuming = calloc(1, sizeof *resuming);
    must(resuming != NULL);
    *resuming = (struct resuming){.client = client, .session = session->id, .h = h};
    try_again(&resuming->timer);
}

// A wish to resume, while the account is looked for: right after a restart its sessions come with
// it (sm_store.c).
struct wishing {
    struct account_waiter waiter;
    struct client *client;
    uint32_t h;
    char id[sizeof((struct sm *)0)->id];
};

static void account_is_there(struct account_waiter *waiter, struct account *account)
{
    struct wishing *wishing = CONTAINER_OF(waiter, struct wishing, waiter);
    struct client *client = wishing->client;
    uint32_t h = wishing->h;
    struct session *session =
        account->state == ACCOUNT_READY ? find_waiting(account, str_of(wishing->id)) : NULL;
    free(wishing);
    if (client_is_gone(client))
        client_resumed(client);
    else if (session != NULL)
        begin_resuming(client, session, h);
    else
        not_resumed(client, "item-not-found");
}

void sm_resume(struct client *client, const struct element *resume)
{
    struct jid jid;
    uint32_t h;
    struct str id = element_attr(resume, STR("previd"));
    must(stream_jid(client_stream(client), &jid));
    if (id.at == NULL || !read_h(resume, &h)) {
        not_resumed(client, "bad-request");
        return;
    }
    if (client_desk(client)->settings->resume_us == 0) { // section 5: nor is it offered
        not_resumed(client, "feature-not-implemented");
        return;
    }
    struct wishing *wishing = calloc(1, sizeof *wishing);
    must(wishing != NULL);
    wishing->waiter.run = account_is_there;
    wishing->client = client;
    wishing->h = h;
    if (str_to_z(id, wishing->id, sizeof wishing->id) != OK)
        wishing->id[0] = '\0'; // it is none of ours
    struct jid bare = jid_bare_of(&jid);
    account_want(client_desk(client)->home, &bare, &wishing->waiter);
}

static void too_late(struct timer *timer)
{
    struct sm *sm = CONTAINER_OF(timer, struct sm, timer);
    session_end(sm->session);
}

void sm_wait(struct session *session)
{
    sm_wait_for(session, session->sm->resume_us);
}

void sm_wait_for(struct session *session, int64_t for_us)
{
    struct sm *sm = session->sm;
    // as if it had gone when its time began
    sm->detached_us = loop_now_us(session->home->loop) - (sm->resume_us - for_us);
    sm->session = session;
    sm->request_pending = false;
    loop_timer_set(session->home->loop, &sm->timer, for_us, too_late);
    session_log(LOG_INFO, "session-waits", session->jid.full);
}

void sm_last_words(struct client *client)
{
    struct session *session = client_session(client);
    if (session->sm != NULL)
        session_sm_requested(session);
}

void sm_ask_alive(struct client *client)
{
    struct session *session = client_session(client);
    if (session == NULL)
        return;
    if (session->sm != NULL) {
        client_send(client, STR("<r xmlns='urn:xmpp:sm:3'/>"));
        session->sm->request_pending = true;
        return;
    }
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    struct jid domain = jid_of_prepared(session->jid.domain);
    struct stanza *ping = stanza_make(STANZA_IQ, TYPE_GET, &domain, &session->jid, str_of(id));
    element_child_new(&ping->arena, ping->root, NS_PING, STR("ping"));
    stanza_seal(ping);
    send_past_features(session, &(struct sending_out){.stanza = ping});
    stanza_unref(&ping);
}
