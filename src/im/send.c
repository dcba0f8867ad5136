#include "im/send.h"

#include "base/log.h"
#include "im/containment_internal.h"
#include "im/delivery_rules.h"
#include "im/limits.h"
#include "im/message.h"
#include "im/notices.h"
#include "im/session_life.h"

enum { WORDS_MOST = 65536 };

void send_to_session(struct session *session, const struct sending_out *what)
{
    if (session->ending)
        return;
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->to_session != NULL && features[f]->to_session(session, what) == STOP)
            return;
    send_past_features(session, what);
}

void send_past_features(struct session *session, const struct sending_out *what)
{
    if (session->ending || session_send(session, what) == OK)
        return;
    // what it holds goes back to the spool, and so does this
    if (what->spool_id == 0 && !what->fleeting && what->stanza->kind == STANZA_MESSAGE &&
        message_is_keepable(what->stanza))
        message_keep(session->account, what->stanza, what->at_us);
    limit_reached(session->home, session->account->jid.full,
                  session->outbox_n >= session->outbox_n_most ? "limits.unacked_stanzas"
                                                              : "limits.outbox_bytes");
    session_end_with(session, STREAM_RESOURCE_CONSTRAINT, "too much waits for this client");
}

void send_stanza(struct session *session, struct stanza *stanza)
{
    send_to_session(session, &(struct sending_out){.stanza = stanza, .to = session->jid.full});
}

void send_refusal_full(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                       const struct stanza_error *error)
{
    send_refusal_by(home, stanza, &stanza->to, ticket, error);
}

void send_refusal_by(struct home *home, const struct stanza *stanza, const struct jid *by,
                     struct ticket *ticket, const struct stanza_error *error)
{
    struct stanza *reply = stanza_refusal_by(stanza, by, error);
    if (reply == NULL)
        return;
    desk_of(home)->counters.stanza_errors++;
    if (reply->to.full.len > 0)
        route_stanza_to(home, reply, &reply->to, ticket, ROUTED_BY_SERVER, 0);
    stanza_unref(&reply);
}

void send_words(const struct home *home, struct arena *arena, struct str lang, struct str domain,
                const char *words, const struct notice_args *args, struct stanza_error *error)
{
    if (words != NULL)
        error->text = notice_words(desk_of(home)->service->notices, arena, lang,
                                   tell_domain_lang(home, domain), words, args, &error->lang);
}

// In the language of the stanza, which is that of its stream unless it says otherwise.
static void refuse_in_words(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                            const char *words, struct stanza_error *error)
{
    struct arena arena;
    arena_init(&arena, WORDS_MOST);
    send_words(home, &arena, stanza->lang, stanza->from.domain, words, NULL, error);
    send_refusal_full(home, stanza, ticket, error);
    arena_done(&arena);
}

void send_refusal(struct home *home, const struct stanza *stanza, enum stanza_condition condition,
                  const char *text)
{
    struct stanza_error error = {.condition = condition};
    refuse_in_words(home, stanza, NULL, text, &error);
}

void send_refusal_aside(struct home *home, const struct stanza *stanza, struct ticket *ticket)
{
    struct stanza_error error = {.condition = STANZA_INTERNAL_SERVER_ERROR};
    log_event(LOG_WARNING, "put-aside-refused", "from=%.*s", STR_ARGS(stanza->from.full));
    refuse_in_words(home, stanza, ticket, "The server failed over this before; it was put aside.",
                    &error);
}

enum stanza_condition store_condition(enum err e)
{
    return e == ERR_FULL || e == ERR_BUSY || e == ERR_LIMIT ? STANZA_RESOURCE_CONSTRAINT
                                                            : STANZA_INTERNAL_SERVER_ERROR;
}

const char *store_text(enum err e)
{
    switch (e) {
    case ERR_FULL:
        return "The server's disk is full; nothing was kept. Try again later.";
    case ERR_BUSY:
        return "The server has too much to write; nothing was kept. Try again later.";
    default:
        return "The server could not keep this. Try again later.";
    }
}

void send_store_refusal(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                        enum err e)
{
    struct stanza_error error = {.condition = store_condition(e), .type = STANZA_WAIT};
    refuse_in_words(home, stanza, ticket, store_text(e), &error);
}
