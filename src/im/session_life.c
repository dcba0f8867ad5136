#include "im/session_life.h"

#include "base/must.h"
#include "im/client.h"
#include "im/delivery_rules.h"
#include "im/feature.h"
#include "im/limits.h"
#include "im/message.h"
#include "im/offline.h"
#include "im/presence.h"
#include "im/send.h"

void session_log(enum log_level level, const char *event, struct str jid)
{
    struct arena arena;
    arena_init(&arena, (size_t)8 * JID_MOST);
    log_event(level, event, "session=%.*s", STR_ARGS(log_quote(&arena, jid)));
    arena_done(&arena);
}

static void say_goodbye(struct session *session)
{
    if (session->said_goodbye)
        return;
    session->said_goodbye = true;
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->session_ends != NULL)
            features[f]->session_ends(session);
}

struct session *session_begin(struct account *account, struct str resource, struct str lang)
{
    const struct im_settings *settings = desk_of(account->home)->settings;
    struct session *older = session_by_resource(account, resource);
    if (older != NULL) {
        session_end_with(older, STREAM_CONFLICT, "this resource has logged in anew");
        say_goodbye(older); // contacts hear that the old one went before they hear of the new one
    }
    if (account->n_sessions >= settings->sessions_per_user) {
        limit_reached(account->home, account->jid.full, "limits.sessions_per_user");
        return NULL;
    }
    struct session *session = session_new(account, resource);
    session_set_lang(session, lang, lang.len > 0);
    session->outbox_n_most = settings->unacked_stanzas;
    session->outbox_bytes_most = settings->outbox_bytes;
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->session_began != NULL)
            features[f]->session_began(session);
    return session;
}

// What the client did not get goes on: a message stays in its spool row or is given one, a
// request is refused (RFC 6121 8.5.3.2.2), the rest was only news.
static void give_back(struct session *session)
{
    struct account *account = session->account;
    for (;;) {
        struct out *out = session_take_out(session);
        if (out == NULL)
            return;
        struct stanza *stanza = out->stanza;
        bool is_request =
            stanza->kind == STANZA_IQ && (stanza->type == TYPE_GET || stanza->type == TYPE_SET);
        if (out->spool_id == 0 && !out->fleeting && stanza->kind == STANZA_MESSAGE &&
            message_is_keepable(stanza))
            message_keep(account, stanza, out->at_us);
        else if (is_request && stanza->from.resource.len > 0)
            send_refusal(account->home, stanza, STANZA_SERVICE_UNAVAILABLE, NULL);
        out_free(&out);
    }
}

static void run_end(struct mail *mail)
{
    struct session *session = CONTAINER_OF(mail, struct session, end);
    struct account *account = session->account;
    must(session->client == NULL);
    account_hold(account);
    desk_of(session->home)->counters.sessions_ended++;
    say_goodbye(session);
    session_log(LOG_INFO, "session-ended", session->jid.full);
    give_back(session);
    session_free(&session);
    if (account->n_spooled > 0)
        offline_nudge(account);
    account_release(account);
}

void session_end(struct session *session)
{
    must(session->client == NULL);
    if (session->ending)
        return;
    session_mark_ending(session);
    session->end.run = run_end;
    loop_post(session->home->loop, &session->end);
}

void session_end_with(struct session *session, enum stream_condition condition, const char *text)
{
    if (session->ending)
        return;
    if (session->client != NULL)
        client_end(session->client, condition, text); // comes back to session_end
    else
        session_end(session);
}

void session_drop(struct session *session)
{
    must(session->client == NULL && !session->ending);
    presence_forget(session);
    say_goodbye(session); // to nobody but the features, which free what they have
    for (struct out *out; (out = session_take_out(session)) != NULL;)
        out_free(&out);
    session_free(&session);
}
