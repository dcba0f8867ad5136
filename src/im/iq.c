#include "im/iq.h"

#include "base/must.h"
#include "im/adhoc.h"
#include "im/caps.h"
#include "im/feature.h"
#include "im/gate.h"
#include "im/portrait.h"
#include "im/roster.h"
#include "im/send.h"

#include <stdlib.h>

enum {
    MAGIC_ASKED = 0x41736B64,
    ANSWER_MOST = 256 << 20, // a whole roster or archive page; their own limits are far below
};

/* ---- The life of a request ---- */

struct session *asked_session(const struct asked *asked)
{
    return asked->session != 0 ? session_find(asked->home, asked->session) : NULL;
}

bool asked_may_see(const struct asked *asked)
{
    return asked->own || jid_eq_bare(&asked->stanza->from, &asked->account->jid) ||
           roster_is_seen_by(asked->account, jid_bare(&asked->stanza->from));
}

struct arena *asked_arena(struct asked *asked)
{
    return &asked->arena;
}

static void end(struct asked **asked)
{
    struct asked *a = TAKE(*asked);
    must(a->magic == MAGIC_ASKED);
    a->magic = 0;
    struct session *session = asked_session(a);
    stanza_unref(&a->stanza);
    ticket_unref(&a->ticket);
    if (a->account != NULL)
        account_release(a->account);
    arena_done(&a->arena);
    uint64_t paused = a->session;
    free(a);
    if (paused != 0 && session != NULL)
        session_unpause(session);
}

static void answer(struct asked *asked, struct stanza *reply)
{
    struct session *session = asked_session(asked);
    if (session != NULL)
        send_stanza(session, reply);
    else if (asked->session == 0 && reply->to.full.len > 0)
        route_stanza_to(asked->home, reply, &reply->to, NULL, ROUTED_BY_SERVER, 0);
}

void asked_result(struct asked **asked, struct element *child)
{
    struct asked *a = *asked;
    struct stanza *request = a->stanza;
    struct stanza *reply =
        stanza_make(STANZA_IQ, TYPE_RESULT, request->to.full.len > 0 ? &request->to : NULL,
                    &request->from, request->id);
    if (child != NULL)
        element_add(reply->root, child);
    // XEP-0054: what somebody shows of himself to whoever asks
    if (child != NULL && str_eq(child->ns, NS_VCARD) && reply->from.local.len > 0 && !a->own &&
        gate_bring_out(a->account, reply, NULL))
        gate_prune(desk_of(a->home)->service->gate, reply);
    stanza_seal(reply); // the child's texts live as long as the request: the text is made now
    reply->root->first = reply->root->last = NULL;
    answer(a, reply);
    stanza_unref(&reply);
    end(asked);
}

void asked_error_full(struct asked **asked, const struct stanza_error *error)
{
    struct asked *a = *asked;
    struct stanza *reply = stanza_refusal(a->stanza, error);
    desk_of(a->home)->counters.stanza_errors++;
    if (reply != NULL)
        answer(a, reply);
    stanza_unref(&reply);
    end(asked);
}

void asked_words(struct asked *asked, const char *words, const struct notice_args *args,
                 struct stanza_error *error)
{
    const struct session *session = asked_session(asked);
    struct str lang = session != NULL ? session->lang : asked->stanza->lang;
    send_words(asked->home, asked_arena(asked), lang, asked->stanza->from.domain, words, args,
               error);
}

void asked_error(struct asked **asked, enum stanza_condition condition, const char *text)
{
    struct stanza_error error = {.condition = condition};
    asked_words(*asked, text, NULL, &error);
    asked_error_full(asked, &error);
}

void asked_store_error(struct asked **asked, enum err e)
{
    struct stanza_error error = {.condition = store_condition(e), .type = STANZA_WAIT};
    asked_words(*asked, store_text(e), NULL, &error);
    asked_error_full(asked, &error);
}

/* ---- Who answers ---- */

static const struct iq_handler *find_handler(const struct asked *asked)
{
    unsigned wanted = asked->where == ASKED_DOMAIN ? IQ_DOMAIN : IQ_ACCOUNT;
    wanted |= asked->set ? IQ_SET : IQ_GET;
    for (size_t f = 0; features[f] != NULL; f++) {
        const struct iq_handler *handler = features[f]->iqs;
        for (; handler != NULL && handler->ns.len > 0; handler++) {
            if ((handler->when & wanted) != wanted ||
                !element_is(asked->payload, handler->ns, handler->name))
                continue;
            if ((handler->when & IQ_OWN_ONLY) != 0 && !asked->own)
                continue;
            return handler;
        }
    }
    return NULL;
}

static void ask(struct home *home, struct stanza *stanza, struct ticket *ticket,
                enum asked_where where, struct account *account, struct session *session)
{
    struct asked *asked = calloc(1, sizeof *asked);
    must(asked != NULL);
    *asked = (struct asked){
        .magic = MAGIC_ASKED,
        .home = home,
        .stanza = stanza_ref(stanza),
        .payload = element_first(stanza->root),
        .where = where,
        .account = account,
        // another domain of ours is no more the account's own than another account is
        .own = session != NULL && session->account == account &&
               (where == ASKED_ACCOUNT || str_eq(stanza->to.domain, account->jid.domain)),
        .set = stanza->type == TYPE_SET,
        .session = session != NULL ? session->id : 0,
        .ticket = ticket_ref(ticket),
    };
    arena_init(&asked->arena, ANSWER_MOST);
    if (account != NULL)
        account_hold(account);
    if (session != NULL)
        session_pause(session);
    const struct iq_handler *handler = find_handler(asked);
    if (handler != NULL)
        handler->handle(asked);
    else
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL);
}

// RFC 6120 8.2.3: an id always; a request has exactly one child, a result at most one.
static bool is_well_formed(const struct stanza *stanza)
{
    const struct element *first = element_first(stanza->root);
    if (element_attr(stanza->root, STR("id")).at == NULL || stanza->type == TYPE_UNKNOWN)
        return false;
    if (stanza->type == TYPE_GET || stanza->type == TYPE_SET)
        return first != NULL && element_next(first) == NULL;
    return true;
}

static bool is_request(const struct stanza *stanza)
{
    return stanza->type == TYPE_GET || stanza->type == TYPE_SET;
}

static void ask_own(struct account *account, struct session *session, struct stanza *stanza,
                    struct ticket *ticket)
{
    if (session != NULL && !session->ending)
        ask(account->home, stanza, ticket, ASKED_ACCOUNT, account, session);
}

static void ask_domain(struct account *account, struct session *session, struct stanza *stanza,
                       struct ticket *ticket)
{
    if (session != NULL && !session->ending)
        ask(account->home, stanza, ticket, ASKED_DOMAIN, account, session);
}

static void go_on(struct account *account, struct session *session, struct stanza *stanza,
                  struct ticket *ticket)
{
    (void)session;
    stanza_seal(stanza);
    route_stanza(account->home, stanza, ticket);
}

// A vCard is for others to read, and what an administrator announces; nothing else that is kept or
// asked here is.  To how many it goes is no evidence: who may announce may do so to all.
static bool is_shown(const struct stanza *stanza, bool to_self)
{
    const struct element *payload = element_first(stanza->root);
    return stanza->type == TYPE_SET &&
           (to_self ? str_eq(payload->ns, NS_VCARD) : adhoc_announces(payload));
}

// Of answers to our own pings and pushes that they came is all.
static void hear_answer(struct session *session, const struct stanza *stanza)
{
    caps_answered(session, stanza);
    portrait_answered(session, stanza);
}

void iq_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    struct home *home = session->home;
    if (!is_well_formed(stanza)) {
        send_refusal(home, stanza, STANZA_BAD_REQUEST, NULL);
        return;
    }
    const struct jid *to = &stanza->to;
    bool to_self = to->full.len == 0 || jid_eq(to, &session->account->jid);
    bool to_domain =
        !to_self && to->local.len == 0 && desk_domain(desk_of(home), to->domain) && jid_is_bare(to);
    if (to_self || to_domain) {
        if (is_shown(stanza, to_self) &&
            gate_other(session, stanza, ticket, 1, to_self ? ask_own : ask_domain))
            return;
        if (is_request(stanza))
            ask(home, stanza, ticket, to_self ? ASKED_ACCOUNT : ASKED_DOMAIN, session->account,
                session);
        else
            hear_answer(session, stanza);
        return;
    }
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->from_client != NULL && features[f]->from_client(session, stanza) == STOP)
            return;
    if (!gate_other(session, stanza, ticket, 1, go_on))
        go_on(session->account, session, stanza, ticket);
}

void iq_arrived(struct account *account, struct routed *routed)
{
    struct stanza *stanza = routed->stanza;
    if (jid_is_bare(&routed->to)) {
        if (is_request(stanza))
            ask(account->home, stanza, routed->ticket, ASKED_ACCOUNT, account, NULL);
    } else {
        struct session *session = session_by_resource(account, routed->to.resource);
        // RFC 6121 8.5.3.2.2
        if (session == NULL)
            send_refusal_full(account->home, stanza, routed->ticket,
                              &(struct stanza_error){.condition = STANZA_SERVICE_UNAVAILABLE});
        else
            send_to_session(session, &(struct sending_out){.stanza = stanza});
    }
    routed_free(&routed);
}

void iq_for_domain(struct home *home, struct routed *routed)
{
    struct stanza *stanza = routed->stanza;
    if (is_request(stanza)) {
        if (jid_is_bare(&routed->to))
            ask(home, stanza, routed->ticket, ASKED_DOMAIN, NULL, NULL);
        else
            send_refusal_full(home, stanza, routed->ticket,
                              &(struct stanza_error){.condition = STANZA_ITEM_NOT_FOUND});
    }
    routed_free(&routed);
}
