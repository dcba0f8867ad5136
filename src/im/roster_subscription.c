/*
 * Each act waits for its turn among the account's roster changes, takes its
 * step from the table by what then holds, and speaks only when the change is
 * durable: to the contact (route), to the user's sessions (deliver), by
 * presence.
 */
#include "im/roster_subscription.h"

#include "base/must.h"
#include "im/gate.h"
#include "im/limits.h"
#include "im/presence.h"
#include "im/roster_internal.h"
#include "im/send.h"
#include "im/subscription.h"
#include "xml/writer.h"

#include <stdlib.h>

enum { REQUEST_MOST = 64 << 10 };

struct act {
    struct account *account;
    enum subscription_event event;
    struct stanza *stanza; // sealed, bare addresses
    struct jid contact;    // bare; text in the stanza
    struct ticket *ticket;
    uint64_t session; // that reads nothing more until this is done; 0: none
    struct subscription_step step;
    enum subscription before;
};

static enum subscription state_of(const struct account *account, struct str contact, bool *approved)
{
    const struct roster_item *item = roster_find(account, contact);
    bool in = roster_find_request(account, contact) != NULL;
    *approved = item != NULL && item->approved;
    if (item == NULL)
        return subscription_of(false, false, false, in);
    bool to = item->subscription == STORE_SUB_TO || item->subscription == STORE_SUB_BOTH;
    bool from = item->subscription == STORE_SUB_FROM || item->subscription == STORE_SUB_BOTH;
    return subscription_of(to, from, item->ask, in);
}

static enum store_subscription stored(enum subscription state)
{
    bool to = subscription_to(state), from = subscription_from(state);
    if (to && from)
        return STORE_SUB_BOTH;
    return to ? STORE_SUB_TO : from ? STORE_SUB_FROM : STORE_SUB_NONE;
}

/* ---- What is said when it is done ---- */

static void send_presence(struct account *account, const struct jid *contact)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending)
        presence_show(session, contact, 0);
}

static void send_unavailable(struct account *account, const struct jid *contact)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    {
        if (!session->available || session->ending)
            continue;
        struct stanza *gone =
            stanza_make(STANZA_PRESENCE, TYPE_UNAVAILABLE, &session->jid, NULL, STR_EMPTY);
        stanza_seal(gone);
        route_stanza_to(account->home, gone, contact, NULL, 0, 0);
        stanza_unref(&gone);
    }
}

static void say(struct account *account, const struct jid *contact, enum stanza_type type,
                struct ticket *ticket)
{
    struct stanza *stanza = stanza_make(STANZA_PRESENCE, type, &account->jid, contact, STR_EMPTY);
    stanza_seal(stanza);
    route_stanza(account->home, stanza, ticket);
    stanza_unref(&stanza);
}

// A request is for who is there (RFC 6121 3.1.3); an answer or an end for who knows the roster too
// (3.1.6, 3.2.3, 3.3.3).
static void deliver(struct account *account, struct stanza *stanza)
{
    bool is_request = stanza->type == TYPE_SUBSCRIBE;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending && (session->available || (session->wants_roster && !is_request)))
        send_to_session(session, &(struct sending_out){.stanza = stanza, .to = account->jid.full});
}

// RFC 6121 3.1.6: before the push, so that clients know what the push is about.
static void deliver_first(struct account *account, void *context)
{
    struct act *act = context;
    deliver(account, act->stanza);
    act->step.acts &= ~(unsigned)SUB_DELIVER;
}

static void act_free(struct act *act)
{
    struct session *session =
        act->session != 0 ? session_find(act->account->home, act->session) : NULL;
    struct account *account = act->account;
    stanza_unref(&act->stanza);
    ticket_unref(&act->ticket);
    free(act);
    if (session != NULL)
        session_unpause(session);
    account_release(account);
}

static void finish(struct account *account, enum err e, void *context)
{
    struct act *act = context;
    bool is_ours = act->event <= SENT_UNSUBSCRIBED;
    // ERR_MISSING: there was nothing to store, but there may be something to say
    if (e != OK && e != ERR_MISSING) {
        send_store_refusal(account->home, act->stanza, act->ticket, e);
        act_free(act);
        return;
    }
    unsigned acts = act->step.acts;
    if ((acts & SUB_ROUTE) != 0 && is_ours)
        route_stanza(account->home, act->stanza, act->ticket);
    if ((acts & SUB_DELIVER) != 0)
        deliver(account, act->stanza);
    if ((acts & SUB_REPLY) != 0)
        say(account, &act->contact, TYPE_SUBSCRIBED, act->ticket);
    if ((acts & SUB_PRESENCE) != 0)
        send_presence(account, &act->contact);
    if ((acts & SUB_UNAVAILABLE) != 0)
        send_unavailable(account, &act->contact);
    act_free(act);
}

/* ---- The step, when its turn has come ---- */

static bool step_now(struct account *account, struct roster_change *change, struct arena *arena,
                     void *context)
{
    struct act *act = context;
    bool approved;
    (void)arena;
    struct str contact = act->contact.full;
    act->before = state_of(account, contact, &approved);
    act->step = subscription_step(act->before, approved, act->event);
    const struct roster_item *item = roster_find(account, contact);
    bool stores = (act->step.acts & SUB_PUSH) != 0 || act->step.approved != approved;
    if (!stores)
        return false;
    if (item == NULL &&
        account->roster->by_jid.n >= desk_of(account->home)->settings->roster_items) {
        act->step.acts = 0;
        limit_reached(account->home, account->jid.full, "limits.roster_items");
        send_refusal(account->home, act->stanza, STANZA_RESOURCE_CONSTRAINT, "the roster is full");
        return false;
    }
    *change = (struct roster_change){
        .jid = contact,
        .keep_name = true,
        .name = STR_EMPTY,
        .subscription = stored(act->step.next),
        .ask = subscription_pending_out(act->step.next),
        .approved = act->step.approved,
        .drop_request =
            (act->step.acts & SUB_PENDING) != 0 && !subscription_pending_in(act->step.next),
        .before_push = (act->step.acts & SUB_DELIVER) != 0 ? deliver_first : NULL,
    };
    return true;
}

static void begin(struct act *act)
{
    struct account *account = act->account;
    bool approved;
    enum subscription state = state_of(account, act->contact.full, &approved);
    struct subscription_step step = subscription_step(state, approved, act->event);
    bool stores_item = (step.acts & SUB_PUSH) != 0 || step.approved != approved;
    if ((step.acts & SUB_PENDING) == 0 || stores_item) {
        roster_change_later(account, step_now, finish, act);
        return;
    }
    act->step = step;
    if (!subscription_pending_in(step.next)) {
        roster_keep_request(account, act->contact.full, STR_EMPTY, finish, act);
        return;
    }
    struct buf text;
    buf_init(&text, REQUEST_MOST);
    // shown again at every login until it is answered, and not judged again
    struct stanza *kept = act->stanza->lure_keys.len > 0
                              ? gate_dead_copy(desk_of(account->home)->service->gate, act->stanza)
                              : stanza_ref(act->stanza);
    stanza_seal(kept);
    stanza_write(&text, kept, STR_EMPTY, STR_EMPTY);
    stanza_unref(&kept);
    if (text.overflowed) {
        send_refusal(account->home, act->stanza, STANZA_RESOURCE_CONSTRAINT, NULL);
        act_free(act);
    } else {
        roster_keep_request(account, act->contact.full, buf_str(&text), finish, act);
    }
    buf_done(&text);
}

static enum subscription_event event_of(enum stanza_type type, bool sent)
{
    switch (type) {
    case TYPE_SUBSCRIBE:
        return sent ? SENT_SUBSCRIBE : GOT_SUBSCRIBE;
    case TYPE_SUBSCRIBED:
        return sent ? SENT_SUBSCRIBED : GOT_SUBSCRIBED;
    case TYPE_UNSUBSCRIBE:
        return sent ? SENT_UNSUBSCRIBE : GOT_UNSUBSCRIBE;
    default:
        return sent ? SENT_UNSUBSCRIBED : GOT_UNSUBSCRIBED;
    }
}

static void go_on(struct account *account, struct session *session, struct stanza *stanza,
                  struct ticket *ticket)
{
    struct jid to = jid_bare_of(&stanza->to);
    // RFC 6121 3.1.2: between bare JIDs
    stanza_set_from(stanza, &account->jid);
    stanza_set_to(stanza, &to);
    stanza_seal(stanza);
    struct act *act = calloc(1, sizeof *act);
    must(act != NULL);
    act->account = account;
    act->event = event_of(stanza->type, true);
    act->stanza = stanza_ref(stanza);
    act->contact = stanza->to;
    act->ticket = ticket_ref(ticket);
    account_hold(account);
    if (session != NULL) {
        act->session = session->id;
        session_pause(session);
    }
    begin(act);
}

void subscription_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    struct account *account = session->account;
    if (stanza->to.full.len == 0 || jid_eq_bare(&stanza->to, &account->jid)) {
        send_refusal(account->home, stanza, STANZA_BAD_REQUEST, NULL);
        return;
    }
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->from_client != NULL && features[f]->from_client(session, stanza) == STOP)
            return;
    if (!gate_other(session, stanza, ticket, 1, go_on))
        go_on(account, session, stanza, ticket);
}

void subscription_arrived(struct account *account, struct routed *routed)
{
    struct act *act = calloc(1, sizeof *act);
    must(act != NULL);
    act->account = account;
    act->event = event_of(routed->stanza->type, false);
    act->stanza = stanza_ref(routed->stanza);
    act->contact = jid_bare_of(&routed->stanza->from);
    act->ticket = ticket_ref(routed->ticket);
    account_hold(account);
    routed_free(&routed);
    begin(act);
}

void subscription_show_requests(struct session *session)
{
    LIST_EACH(&session->account->roster->requests, struct roster_request, link, request)
    {
        struct stanza *stanza = stanza_parse(request->stanza);
        if (stanza == NULL)
            continue;
        stanza_seal(stanza);
        send_to_session(session, &(struct sending_out){.stanza = stanza});
        stanza_unref(&stanza);
    }
}

struct subscription_removal roster_removal(const struct account *account, struct str contact)
{
    bool approved;
    return subscription_remove(state_of(account, contact, &approved));
}

void roster_say_removed(struct account *account, const struct jid *contact,
                        struct subscription_removal removal, struct ticket *ticket)
{
    if (removal.unsubscribe)
        say(account, contact, TYPE_UNSUBSCRIBE, ticket);
    if (removal.unsubscribed) {
        say(account, contact, TYPE_UNSUBSCRIBED, ticket);
        send_unavailable(account, contact);
    }
}
