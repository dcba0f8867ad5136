/*
 * One session's available presence goes to everybody who may see it: contacts
 * with a subscription "from" or "both", the account's own sessions, and
 * addresses it was directed to.  One stanza, sealed once, with another to for
 * each.
 */
#include "im/presence.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/activity.h"
#include "im/blocking.h"
#include "im/gate.h"
#include "im/limits.h"
#include "im/offline.h"
#include "im/questions.h"
#include "im/roster.h"
#include "im/roster_subscription.h"
#include "im/send.h"
#include "route/own.h"

#include <stdlib.h>

/* An address outside the broadcast that a session has shown itself to (RFC 6121 4.6). */
struct directed_presence {
    struct directed_presence *next;
    struct jid to; // own memory
};

/* ---- Sending ---- */

static bool is_seen(const struct roster_item *item)
{
    return item->subscription == STORE_SUB_FROM || item->subscription == STORE_SUB_BOTH;
}

static void broadcast(struct account *account, struct stanza *presence, struct ticket *ticket)
{
    LIST_EACH(&account->roster->items, struct roster_item, link, item)
    if (is_seen(item) && !blocking_covers(account, &item->jid))
        route_stanza_to(account->home, presence, &item->jid, ticket, ROUTED_BROADCAST, 0);
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending)
        send_to_session(session,
                        &(struct sending_out){.stanza = presence, .to = account->jid.full});
}

void presence_show(const struct session *session, const struct jid *to, unsigned flags)
{
    struct stanza *presence = stanza_unpack(session->presence);
    route_stanza_to(session->home, presence, to, NULL, flags, 0);
    stanza_unref(&presence);
}

static void probe(struct session *session, presence_whom_fn *whom, const void *context)
{
    struct account *account = session->account;
    struct stanza *probe = stanza_make(STANZA_PRESENCE, TYPE_PROBE, &session->jid, NULL, STR_EMPTY);
    stanza_seal(probe);
    LIST_EACH(&account->roster->items, struct roster_item, link, item)
    if ((item->subscription == STORE_SUB_TO || item->subscription == STORE_SUB_BOTH) &&
        (whom == NULL || whom(account, &item->jid, context)))
        route_stanza_to(account->home, probe, &item->jid, NULL, ROUTED_BY_SERVER, 0);
    stanza_unref(&probe);
}

// RFC 6121 4.2.2: what a session learns when it has said that it is there.
static void welcome(struct session *session)
{
    struct account *account = session->account;
    probe(session, NULL, NULL);
    LIST_EACH(&account->sessions, struct session, in_account, other)
    if (other != session && other->available && !other->ending) {
        struct stanza *presence = stanza_unpack(other->presence);
        send_stanza(session, presence);
        stanza_unref(&presence);
    }
    subscription_show_requests(session);
}

static void forget_directed(struct session *session)
{
    while (session->directed != NULL) {
        struct directed_presence *d = session->directed;
        session->directed = d->next;
        own_jid_free(&d->to);
        free(d);
    }
}

void presence_each_directed(const struct session *session,
                            void (*fn)(const struct jid *to, void *context), void *context)
{
    for (struct directed_presence *d = session->directed; d != NULL; d = d->next)
        fn(&d->to, context);
}

void presence_add_directed(struct session *session, const struct jid *to)
{
    struct directed_presence *d = calloc(1, sizeof *d);
    must(d != NULL);
    d->to = own_jid(to);
    d->next = session->directed;
    session->directed = d;
}

void presence_forget(struct session *session)
{
    forget_directed(session);
    session->available = false;
    packed_stanza_free(&session->presence);
}

static struct directed_presence **find_directed(struct session *session, const struct jid *to)
{
    struct directed_presence **at = &session->directed;
    while (*at != NULL && !jid_eq(&(*at)->to, to))
        at = &(*at)->next;
    return at;
}

// XEP-0012: when, and with which words, the account was last seen.
static void remember_leaving(struct account *account, struct str status)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending)
        return;
    activity_left(account, status);
}

static void become_unavailable(struct session *session, struct stanza *presence)
{
    struct account *account = session->account;
    bool was_available = session->available;
    session->available = false;
    packed_stanza_free(&session->presence);
    if (was_available)
        broadcast(account, presence, NULL);
    for (struct directed_presence *d = session->directed; d != NULL; d = d->next)
        route_stanza_to(account->home, presence, &d->to, NULL, 0, 0);
    forget_directed(session);
    if (!was_available)
        return;
    struct str status = element_child_text(presence->root, NS_CLIENT, STR("status"));
    // what is shown for as long as he is away is not judged again: without anything to open
    remember_leaving(account,
                     status.at != NULL && presence->lure_keys.len == 0 ? status : STR_EMPTY);
}

// RFC 6121 4.7.2.3: an integer from -128 to 127; anything else is the client's mistake.
static bool read_priority(const struct stanza *stanza, int8_t *priority)
{
    struct str text = element_child_text(stanza->root, NS_CLIENT, STR("priority"));
    *priority = 0;
    if (text.at == NULL)
        return true;
    text = str_trim(text);
    bool negative = text.len > 0 && text.at[0] == '-';
    if (text.len > 0 && (negative || text.at[0] == '+'))
        text = str_skip(text, 1);
    uint64_t n;
    if (str_to_u64(text, 0, negative ? 128 : 127, &n) != OK)
        return false;
    *priority = (int8_t)(negative ? -(int)n : (int)n);
    return true;
}

static void available(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    int8_t priority;
    if (!read_priority(stanza, &priority)) {
        send_refusal(session->home, stanza, STANZA_BAD_REQUEST, "the priority is no number");
        return;
    }
    bool is_initial = !session->available;
    bool was_negative = session->priority < 0;
    stanza_seal(stanza);
    session->available = true;
    session->priority = priority;
    packed_stanza_free(&session->presence);
    session->presence = stanza_pack(stanza);
    broadcast(session->account, stanza, ticket);
    if (is_initial)
        welcome(session);
    if (is_initial)
        questions_for(session);
    if (priority >= 0 && (is_initial || was_negative))
        offline_deliver(session);
}

static void directed(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    struct directed_presence **at = find_directed(session, &stanza->to);
    bool is_available = stanza->type == TYPE_AVAILABLE;
    if (stanza->type == TYPE_UNAVAILABLE && *at != NULL) {
        struct directed_presence *d = *at;
        *at = d->next;
        own_jid_free(&d->to);
        free(d);
    } else if (is_available && *at == NULL) {
        size_t n = 0;
        for (struct directed_presence *d = session->directed; d != NULL; d = d->next)
            n++;
        if (n >= desk_of(session->home)->settings->directed_presences) {
            limit_reached(session->home, session->account->jid.full, "limits.directed_presences");
            send_refusal(session->home, stanza, STANZA_RESOURCE_CONSTRAINT,
                         "too many addresses know of you already");
            return;
        }
        presence_add_directed(session, &stanza->to);
    }
    stanza_seal(stanza);
    route_stanza(session->home, stanza, ticket);
}

static uint32_t audience_of(const struct session *session, const struct stanza *stanza)
{
    uint32_t n = 0;
    if (stanza->to.full.len > 0)
        return 1;
    LIST_EACH(&session->account->roster->items, struct roster_item, link, item)
    n += is_seen(item);
    return n;
}

static void go_on(struct account *account, struct session *session, struct stanza *stanza,
                  struct ticket *ticket)
{
    (void)account;
    if (session == NULL || session->ending)
        return; // its end has said all that is to say
    if (stanza->to.full.len > 0) {
        directed(session, stanza, ticket);
    } else if (stanza->type == TYPE_AVAILABLE) {
        available(session, stanza, ticket);
    } else if (session->available || session->directed != NULL) {
        stanza_seal(stanza);
        // the session itself hears its own last word too, as RFC 6121 4.5.2 has it
        send_stanza(session, stanza);
        become_unavailable(session, stanza);
    }
}

void presence_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    switch (stanza->type) {
    case TYPE_SUBSCRIBE:
    case TYPE_SUBSCRIBED:
    case TYPE_UNSUBSCRIBE:
    case TYPE_UNSUBSCRIBED:
        subscription_from_client(session, stanza, ticket);
        return;
    case TYPE_AVAILABLE:
    case TYPE_UNAVAILABLE:
        break;
    case TYPE_ERROR:
        if (stanza->to.full.len > 0 && !gate_other(session, stanza, ticket, 1, NULL)) {
            stanza_seal(stanza);
            route_stanza(session->home, stanza, ticket);
        }
        return;
    case TYPE_PROBE: // probes are the server's (RFC 6121 4.3)
        return;
    default:
        send_refusal(session->home, stanza, STANZA_BAD_REQUEST, NULL);
        return;
    }
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->from_client != NULL && features[f]->from_client(session, stanza) == STOP)
            return;
    if (!gate_other(session, stanza, ticket, audience_of(session, stanza), go_on))
        go_on(session->account, session, stanza, ticket);
}

static bool shows(const struct packed_stanza *presence, struct str key)
{
    for (struct str keys = packed_stanza_lures(presence); keys.len >= key.len;
         keys = str_skip(keys, key.len))
        if (str_eq(str_first(keys, key.len), key))
            return true;
    return false;
}

static struct session *find_showing(const struct account *account, struct str key)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending && shows(session->presence, key))
        return session;
    return NULL;
}

void presence_take_back(struct home *home, struct str key)
{
    struct gate *gate = desk_of(home)->service->gate;
    size_t at = 0;
    for (struct account *account; (account = table_next(&home->accounts, &at)) != NULL;) {
        struct session *session = find_showing(account, key);
        if (session == NULL)
            continue;
        struct stanza *live = stanza_unpack(session->presence);
        struct stanza *dead = gate_dead_copy(gate, live);
        stanza_unref(&live);
        stanza_seal(dead);
        packed_stanza_free(&session->presence);
        session->presence = stanza_pack(dead);
        broadcast(account, dead, NULL);
        stanza_unref(&dead);
        at = 0; // the table may have changed
    }
}

static struct stanza *gone_of(const struct session *session)
{
    struct stanza *gone =
        stanza_make(STANZA_PRESENCE, TYPE_UNAVAILABLE, &session->jid, NULL, STR_EMPTY);
    stanza_seal(gone);
    return gone;
}

static void withdraw(struct session *session, presence_whom_fn *whom, const void *context)
{
    struct account *account = session->account;
    struct stanza *gone = gone_of(session);
    if (session->available)
        LIST_EACH(&account->roster->items, struct roster_item, link, item)
    if (is_seen(item) && whom(account, &item->jid, context))
        route_stanza_to(account->home, gone, &item->jid, NULL, 0, 0);
    for (struct directed_presence **at = &session->directed; *at != NULL;) {
        struct directed_presence *d = *at;
        if (!whom(account, &d->to, context)) {
            at = &d->next;
            continue;
        }
        route_stanza_to(account->home, gone, &d->to, NULL, 0, 0);
        *at = d->next;
        own_jid_free(&d->to);
        free(d);
    }
    stanza_unref(&gone);
}

void presence_withdraw(struct account *account, presence_whom_fn *whom, const void *context)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending)
        withdraw(session, whom, context);
}

void presence_return(struct account *account, presence_whom_fn *whom, const void *context)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    {
        if (!session->available || session->ending)
            continue;
        LIST_EACH(&account->roster->items, struct roster_item, link, item)
        if (is_seen(item) && whom(account, &item->jid, context))
            presence_show(session, &item->jid, ROUTED_BROADCAST);
        probe(session, whom, context); // what they said meanwhile was not heard
    }
}

/* ---- Arriving ---- */

static void answer_probe(struct account *account, const struct routed *routed)
{
    const struct jid *asker = &routed->stanza->from;
    bool any = false;
    if (!roster_is_seen_by(account, jid_bare(asker)) && !jid_eq_bare(asker, &account->jid)) {
        // RFC 6121 4.3.2.1: the other side believes in a subscription that does not exist
        struct jid bare = jid_bare_of(asker);
        struct stanza *no =
            stanza_make(STANZA_PRESENCE, TYPE_UNSUBSCRIBED, &account->jid, &bare, STR_EMPTY);
        stanza_seal(no);
        route_stanza_to(account->home, no, &bare, NULL, ROUTED_BY_SERVER, 0);
        stanza_unref(&no);
        return;
    }
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending) {
        any = true;
        presence_show(session, asker, 0);
    }
    if (any)
        return;
    struct stanza *away =
        stanza_make(STANZA_PRESENCE, TYPE_UNAVAILABLE, &account->jid, NULL, STR_EMPTY);
    if (account->last_status.len > 0)
        element_child_with(&away->arena, away->root, NS_CLIENT, STR("status"),
                           arena_str(&away->arena, account->last_status));
    stanza_seal(away);
    route_stanza_to(account->home, away, asker, NULL, 0, 0);
    stanza_unref(&away);
}

// What is sent to subscribers is for those who know of it: an account made anew under an old name
// has no part in what the old one had.  Who has asked may hear before his own roster is written.
static bool expects(const struct account *account, const struct jid *from)
{
    const struct roster_item *item = roster_find(account, jid_bare(from));
    return item != NULL && (item->ask || item->subscription == STORE_SUB_TO ||
                            item->subscription == STORE_SUB_BOTH);
}

static void deliver(struct account *account, const struct routed *routed)
{
    const struct jid *to = &routed->to;
    if ((routed->flags & ROUTED_BROADCAST) != 0 && !expects(account, &routed->stanza->from))
        return;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    {
        if (session->ending || (!session->available && jid_is_bare(to)))
            continue;
        if (!jid_is_bare(to) && !str_eq(to->resource, session->jid.resource))
            continue;
        send_to_session(session, &(struct sending_out){.stanza = routed->stanza, .to = to->full});
    }
}

static bool nothing_to_change(struct account *account, struct roster_change *change,
                              struct arena *arena, void *context)
{
    (void)account, (void)change, (void)arena, (void)context;
    return false;
}

static void roster_has_changed(struct account *account, enum err e, void *context)
{
    struct routed *routed = context;
    (void)e;
    deliver(account, routed);
    routed_free(&routed);
}

void presence_arrived(struct account *account, struct routed *routed)
{
    switch (routed->stanza->type) {
    case TYPE_SUBSCRIBE:
    case TYPE_SUBSCRIBED:
    case TYPE_UNSUBSCRIBE:
    case TYPE_UNSUBSCRIBED:
        subscription_arrived(account, routed);
        return;
    case TYPE_PROBE:
        answer_probe(account, routed);
        break;
    default:
        // RFC 6120 10.1: a "subscribed" that came before it may wait for its commit
        if (roster_is_changing(account)) {
            roster_change_later(account, nothing_to_change, roster_has_changed, routed);
            return;
        }
        deliver(account, routed);
        break;
    }
    routed_free(&routed);
}

static void session_ends(struct session *session)
{
    if (session->available || session->directed != NULL) {
        struct stanza *gone = gone_of(session);
        become_unavailable(session, gone);
        stanza_unref(&gone);
    }
}

const struct feature feature_presence = {
    .name = "presence",
    .spec = "RFC 6121 section 4",
    .session_ends = session_ends,
};
