/*
 * Orders of the guard and where they go:
 *
 *     STOP, RESTRICT     the guard keeps them itself; they are recorded and told
 *     RETRACT            store: rows by key ─► withdrawn ─► each owner's home: takes back
 *     DELIVER_HELD       store: the record  ─► sender's home: message_accept, then removed
 *     REJECT_HELD        store: the record  ─► sender's home: refused, then removed
 *     NOTIFY, ASK        each person's home: a message in his language
 *
 * A retraction is kept as a record until it is through, so that a restart takes
 * it up again; doing it twice harms nobody.  Of notices the number up to which
 * all are durable is kept: after a kill the later ones are told when the events
 * that ordered them are taken again.
 */
#include "im/containment.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/archive.h"
#include "im/behind.h"
#include "im/gate_internal.h"
#include "im/message.h"
#include "im/notices.h"
#include "im/presence.h"
#include "im/send.h"
#include "route/in_hand.h"
#include "route/own.h"
#include "route/spool.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COPIES_A_PAGE = 200,
    HOLDING_MOST = 1000000,
    ORDER_TEXT_MOST = 4096,
    RECORDS_A_PAGE = 1000,
};
static const int64_t look_again_us = 3 * SECOND_US; // after the first walk through the copies
static const int64_t retry_us = 2 * SECOND_US;      // after the store failed

// A message between the guard's word "hold" and the commit of its record: orders wait for that.
struct holding {
    uint64_t message;
    bool ordered, rejects; // what is to become of it as soon as it is there
    enum reason reason;
    uint64_t incident;
};

struct containment {
    struct table holding;   // by number, as 8 bytes
    struct list retracting; // of struct retracting
    struct list waiting;    // of struct letting_go: for a store that failed
    size_t n_telling;       // notices on their way
    uint64_t newest_told;   // number of the newest order told, or being told,
    uint64_t kept_told;     // and as the store has it
};

static const struct str told_key = {"told", 4}; // of a STORE_SNAPSHOT

/* ---- The audit record ---- */

struct recording {
    struct store_audit_append op;
    struct arena arena;
};

static void recorded(struct store_request *request)
{
    struct recording *recording = CONTAINER_OF(request, struct recording, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "audit-not-recorded", "error=%s", err_name(request->result));
    store_release(request);
    arena_done(&recording->arena);
    free(recording);
}

static const char *order_name(enum order_kind kind)
{
    static const char *const names[] = {
        [ORDER_STOP] = "stop",
        [ORDER_RETRACT] = "retract",
        [ORDER_RESTRICT] = "restrict",
        [ORDER_NOTIFY] = "notify",
        [ORDER_DELIVER_HELD] = "deliver-held",
        [ORDER_REJECT_HELD] = "reject-held",
        [ORDER_ASK] = "ask",
    };
    return names[kind];
}

static void record(struct gate *gate, const struct order *order)
{
    struct recording *recording = calloc(1, sizeof *recording);
    must(recording != NULL);
    struct arena *arena = &recording->arena;
    arena_init(arena, ORDER_TEXT_MOST * 4);
    struct str scope = order->who.len > 0 ? order->who : order->shown;
    if (scope.len > ORDER_TEXT_MOST)
        scope = str_first(scope, ORDER_TEXT_MOST);
    recording->op.entry = (struct store_audit){
        .wall_us = clock_wall_us(),
        .actor = STR("guard"),
        .action = arena_printf(arena, "%s%s", order->undo ? "undo " : "", order_name(order->kind)),
        .scope = arena_str(arena, scope),
        .reason = str_of(reason_name(order->reason)),
        .details = arena_printf(arena, "incident=%" PRIu64 " order=%" PRIu64, order->incident,
                                order->number),
    };
    recording->op.request.home = loop_mailbox(gate->loop);
    recording->op.request.done = recorded;
    store_audit_append(gate->service->store, &recording->op);
}

/* ---- Telling people ---- */

struct telling {
    struct mail mail;
    struct account_waiter waiter;
    struct home *home;
    struct gate *gate;
    enum notice notice;
    struct jid to; // own memory
    struct str link, person, incident, until;
};

static void telling_free(struct telling *telling)
{
    own_jid_free(&telling->to);
    own_str_free(&telling->link);
    own_str_free(&telling->person);
    own_str_free(&telling->incident);
    own_str_free(&telling->until);
    free(telling);
}

// The language of the person's streams; of his domain when he is away.
static struct str lang_of(const struct account *account)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending)
        return session->lang;
    return STR_EMPTY;
}

static struct str domain_lang(const struct home *home, struct str name)
{
    const struct im_domain *domain = desk_domain(desk_of(home), name);
    return domain != NULL && domain->lang.len > 0 ? domain->lang : STR("en");
}

static void set_lang(struct stanza *stanza, const struct notices *notices, struct str lang,
                     struct str fallback)
{
    stanza->lang = arena_str(&stanza->arena, notice_lang(notices, lang, fallback));
    element_set_ns(&stanza->arena, stanza->root, NS_XML, STR("lang"), stanza->lang);
}

// From his domain, in his language.  ticket: may be NULL.
static void say(const struct gate *gate, struct account *account, enum notice notice,
                const struct notice_args *args, struct ticket *ticket)
{
    const struct notices *notices = gate->service->notices;
    struct jid domain = jid_of_prepared(account->jid.domain);
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, TYPE_NORMAL, &domain, &account->jid, str_of(id));
    struct str fallback = domain_lang(account->home, account->jid.domain);
    struct str lang = lang_of(account);
    set_lang(stanza, notices, lang, fallback);
    element_child_with(&stanza->arena, stanza->root, NS_CLIENT, STR("body"),
                       notice_text(notices, &stanza->arena, lang, fallback, notice, args));
    stanza_seal(stanza);
    route_stanza_to(account->home, stanza, &account->jid, ticket, ROUTED_BY_SERVER, 0);
    stanza_unref(&stanza);
}

struct keeping_told {
    struct store_record_put op;
    char number[24];
};

static void told_is_kept(struct store_request *request)
{
    struct keeping_told *keeping = CONTAINER_OF(request, struct keeping_told, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "notices-not-recorded", "error=%s", err_name(request->result));
    store_release(request);
    free(keeping);
}

static void keep_told(struct gate *gate)
{
    struct containment *containment = gate->containment;
    struct keeping_told *keeping = calloc(1, sizeof *keeping);
    must(keeping != NULL);
    containment->kept_told = containment->newest_told;
    snprintf(keeping->number, sizeof keeping->number, "%" PRIu64, containment->kept_told);
    keeping->op.kind = STORE_SNAPSHOT;
    keeping->op.record.key = told_key;
    keeping->op.record.value = str_of(keeping->number);
    keeping->op.request.home = loop_mailbox(gate->loop);
    keeping->op.request.done = told_is_kept;
    store_record_put(gate->service->store, &keeping->op);
}

// On the guard's thread.
static void hear_of_telling(struct mail *mail)
{
    struct telling *telling = CONTAINER_OF(mail, struct telling, mail);
    struct gate *gate = telling->gate;
    telling_free(telling);
    if (--gate->containment->n_telling == 0 &&
        gate->containment->newest_told > gate->containment->kept_told)
        keep_told(gate);
}

static void is_told(struct ticket *ticket)
{
    struct telling *telling = ticket->context;
    telling->mail.run = hear_of_telling;
    loop_post(telling->gate->loop, &telling->mail);
}

static void tell_account(struct account_waiter *waiter, struct account *account)
{
    struct telling *telling = CONTAINER_OF(waiter, struct telling, waiter);
    const struct notice_args args = {telling->link, telling->person, telling->incident,
                                     telling->until};
    struct ticket *ticket = ticket_new_for(telling->home, is_told, telling);
    if (account->state == ACCOUNT_READY)
        say(telling->gate, account, telling->notice, &args, ticket);
    ticket_unref(&ticket);
}

static void tell_at_home(struct mail *mail)
{
    struct telling *telling = CONTAINER_OF(mail, struct telling, mail);
    telling->waiter.run = tell_account;
    account_want(telling->home, &telling->to, &telling->waiter);
}

static void tell(struct gate *gate, const struct order *order, struct str who, enum notice notice)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct jid to = jid_of_prepared(who);
    struct telling *telling = calloc(1, sizeof *telling);
    must(telling != NULL);
    telling->gate = gate;
    telling->notice = notice;
    telling->to = own_jid(&to);
    telling->link = own_str(order->shown);
    telling->person = own_str(order->who);
    telling->incident = own_str(arena_printf(&arena, "%" PRIu64, order->incident));
    telling->until =
        own_str(order->expires_us != 0 ? clock_format(&arena, order->expires_us) : STR_EMPTY);
    telling->home = home_of(&gate->service->homes, jid_bare(&to));
    gate->containment->n_telling++;
    if (order->number > gate->containment->newest_told)
        gate->containment->newest_told = order->number;
    telling->mail.run = tell_at_home;
    loop_post(telling->home->loop, &telling->mail);
    arena_done(&arena);
}

/* ---- Held messages ---- */

static struct str number_key(const uint64_t *number)
{
    return str_make((const char *)number, sizeof *number);
}

void containment_write_held(struct buf *out, const struct stanza *stanza, int64_t at_us)
{
    buf_init(out, (size_t)1 << 29);
    buf_printf(out, "%" PRId64 "\n", at_us);
    stanza_write(out, stanza, STR_EMPTY, STR_EMPTY);
}

// A held message on its way out of the store.
struct letting_go {
    struct mail mail;
    struct link link; // in containment->waiting
    struct timer timer;
    struct account_waiter waiter;
    struct gate *gate;
    struct home *home; // of the sender
    bool rejects;
    enum reason reason;
    uint64_t incident, message;
    char key[24];
    int64_t at_us;
    struct stanza *stanza;
    struct store_record_get get;
    struct store_record_remove remove;
};

static void removed(struct store_request *request)
{
    struct letting_go *going = CONTAINER_OF(request, struct letting_go, remove.request);
    store_release(request);
    stanza_unref(&going->stanza);
    free(going);
}

static void read_record(struct letting_go *going);

static void try_again(struct timer *timer)
{
    struct letting_go *going = CONTAINER_OF(timer, struct letting_go, timer);
    list_leave(&going->link);
    read_record(going);
}

// On the guard's thread: the store failed, and it was acknowledged.  The next start finds it too.
static void wait_for_store(struct letting_go *going)
{
    log_event(LOG_WARNING, "held-message-waits", "message=%s", going->key);
    stanza_unref(&going->stanza);
    list_add_last(&going->gate->containment->waiting, &going->link);
    loop_timer_set(going->gate->loop, &going->timer, retry_us, try_again);
}

static void was_not_kept(struct mail *mail)
{
    wait_for_store(CONTAINER_OF(mail, struct letting_go, mail));
}

// Only what is durable elsewhere, or refused, leaves the record.
static void is_through(struct ticket *ticket)
{
    struct letting_go *going = ticket->context;
    if (ticket->failed) {
        going->mail.run = was_not_kept;
        loop_post(going->gate->loop, &going->mail);
        return;
    }
    going->remove.kind = STORE_HELD;
    going->remove.key = str_of(going->key);
    going->remove.request.home = loop_mailbox(going->home->loop);
    going->remove.request.done = removed;
    store_record_remove(going->home->store, &going->remove);
}

static void go_on(struct account_waiter *waiter, struct account *account)
{
    struct letting_go *going = CONTAINER_OF(waiter, struct letting_go, waiter);
    struct in_hand_slot *in_hand = account->home->in_hand;
    (void)!in_hand_begin_number(in_hand, "held", going->message,
                                0); // what is put aside is not here
    struct ticket *ticket = ticket_new_for(going->home, is_through, going);
    if (going->rejects || account->state != ACCOUNT_READY) {
        struct str lang = account->state == ACCOUNT_READY ? lang_of(account) : STR_EMPTY;
        containment_refuse(going->home, going->stanza, lang, going->reason, going->incident);
    } else {
        struct session *session =
            session_by_resource(account, going->stanza->from.resource); // has it: needs no carbon
        gate_bring_out_dead(account, &going->stanza); // one of its other lures may be convicted
        message_accept(account, session != NULL ? session->id : 0, going->stanza, ticket,
                       ROUTED_HELD, going->at_us);
    }
    behind_let_go(account, jid_bare(&going->stanza->to), going->message);
    ticket_unref(&ticket);
    in_hand_done(in_hand);
}

static void at_senders_home(struct mail *mail)
{
    struct letting_go *going = CONTAINER_OF(mail, struct letting_go, mail);
    struct jid sender = jid_bare_of(&going->stanza->from);
    going->waiter.run = go_on;
    account_want(going->home, &sender, &going->waiter);
}

static void record_is_there(struct store_request *request)
{
    struct letting_go *going = CONTAINER_OF(request, struct letting_go, get.request);
    struct str value = request->result == OK ? going->get.record.value : STR_EMPTY;
    struct str when = str_cut(&value, '\n');
    uint64_t at_us = 0;
    if (!in_hand_begin_number(going->gate->in_hand, "held", going->message, 0))
        value = STR_EMPTY; // it stays where it is, until an operator lets it go
    if (value.at != NULL && value.len > 0 && str_to_u64(when, 0, INT64_MAX, &at_us) == OK)
        going->stanza = stanza_parse(value);
    in_hand_done(going->gate->in_hand);
    going->at_us = (int64_t)at_us;
    enum err e = request->result;
    store_release(request);
    if (e != OK && e != ERR_MISSING) {
        wait_for_store(going);
        return;
    }
    if (going->stanza == NULL) {
        if (e != ERR_MISSING)
            log_event(LOG_ERROR, "held-message-lost", "message=%s error=%s", going->key,
                      err_name(e));
        free(going);
        return;
    }
    going->home = home_of(&going->gate->service->homes, jid_bare(&going->stanza->from));
    going->mail.run = at_senders_home;
    loop_post(going->home->loop, &going->mail);
}

static void let_go(struct gate *gate, uint64_t message, bool rejects, enum reason reason,
                   uint64_t incident)
{
    struct letting_go *going = calloc(1, sizeof *going);
    must(going != NULL);
    going->gate = gate;
    going->rejects = rejects;
    going->reason = reason;
    going->incident = incident;
    going->message = message;
    snprintf(going->key, sizeof going->key, "%" PRIu64, message);
    read_record(going);
}

static void read_record(struct letting_go *going)
{
    struct gate *gate = going->gate;
    going->get.kind = STORE_HELD;
    going->get.key = str_of(going->key);
    going->get.request.home = loop_mailbox(gate->loop);
    going->get.request.done = record_is_there;
    store_record_get(gate->service->store, &going->get);
}

// Without an order: delivered, unless its incident was convicted meanwhile.
static void let_go_by_guard(struct gate *gate, uint64_t message, uint64_t incident)
{
    struct arena arena;
    struct incident found;
    arena_init(&arena, (size_t)1 << 30);
    bool convicted = incident != 0 && guard_incident(gate->guard, incident, &arena, &found) == OK &&
                     found.state == INCIDENT_CONVICTED;
    arena_done(&arena);
    let_go(gate, message, convicted, convicted ? REASON_CONVICTED : REASON_CLEARED, incident);
}

static void order_held(struct gate *gate, const struct order *order)
{
    bool rejects = order->kind == ORDER_REJECT_HELD;
    struct holding *holding = table_get(&gate->containment->holding, number_key(&order->message));
    if (holding == NULL) {
        let_go(gate, order->message, rejects, order->reason, order->incident);
        return;
    }
    holding->ordered = true;
    holding->rejects = rejects;
    holding->reason = order->reason;
    holding->incident = order->incident;
}

void containment_will_hold(struct gate *gate, uint64_t message)
{
    struct holding *holding = calloc(1, sizeof *holding);
    must(holding != NULL);
    holding->message = message;
    if (table_put(&gate->containment->holding, number_key(&holding->message), holding) != OK)
        free(holding);
}

struct held_news {
    struct mail mail;
    struct gate *gate;
    uint64_t message;
    bool kept;
};

static void hear_of_held(struct mail *mail)
{
    struct held_news *news = CONTAINER_OF(mail, struct held_news, mail);
    struct gate *gate = news->gate;
    struct holding *holding = table_remove(&gate->containment->holding, number_key(&news->message));
    if (holding != NULL && holding->ordered && news->kept)
        let_go(gate, holding->message, holding->rejects, holding->reason, holding->incident);
    free(holding);
    free(news);
}

void containment_held(struct gate *gate, uint64_t message, bool kept)
{
    struct held_news *news = calloc(1, sizeof *news);
    must(news != NULL);
    *news = (struct held_news){
        .mail.run = hear_of_held, .gate = gate, .message = message, .kept = kept};
    loop_post(gate->loop, &news->mail);
}

/* ---- Refusing ---- */

static enum notice refusal_of(enum reason reason)
{
    switch (reason) {
    case REASON_RESTRICTED:
        return NOTICE_REFUSED_RESTRICTED;
    case REASON_SUSPENDED:
        return NOTICE_REFUSED_SUSPENDED;
    case REASON_TOO_MANY:
        return NOTICE_REFUSED_TOO_MANY;
    case REASON_EXPIRED:
        return NOTICE_REFUSED_HELD;
    default:
        return NOTICE_REFUSED_LURE;
    }
}

void containment_refuse(struct home *home, const struct stanza *stanza, struct str lang,
                        enum reason reason, uint64_t incident)
{
    const struct notices *notices = desk_of(home)->service->notices;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str fallback = domain_lang(home, stanza->from.domain);
    const struct notice_args args = {
        .person = jid_bare(&stanza->to),
        .incident = arena_printf(&arena, "%" PRIu64, incident),
        .link = STR_EMPTY,
        .until = STR_EMPTY,
    };
    struct stanza_error error = {
        .condition = STANZA_POLICY_VIOLATION,
        .type =
            reason == REASON_SUSPENDED || reason == REASON_RESTRICTED ? STANZA_WAIT : STANZA_CANCEL,
        .text = notice_text(notices, &arena, lang, fallback, refusal_of(reason), &args),
        .lang = notice_lang(notices, lang, fallback),
    };
    send_refusal_full(home, stanza, NULL, &error);
    arena_done(&arena);
}

/* ---- Taking back ---- */

// One copy, on its way to its owner's home.
struct taking_back {
    struct mail mail;
    struct link in_page; // retracting->found
    struct account_waiter waiter;
    struct gate *gate;
    struct home *home;
    struct jid owner; // own memory, all of these
    struct jid peer;  // full where it was
    struct str id, origin_id, stanza, link, incident;
    struct str replaces; // the message that this one corrects (XEP-0308): there clients show it
    enum stanza_type type;
    int64_t row, at_us;
    uint64_t spool_size;
    bool outgoing, spooled, undo;
    bool unspooled; // it does not wait any more
};

static void taking_back_free(struct taking_back *back)
{
    own_jid_free(&back->owner);
    own_jid_free(&back->peer);
    own_str_free(&back->id);
    own_str_free(&back->origin_id);
    own_str_free(&back->stanza);
    own_str_free(&back->replaces);
    own_str_free(&back->link);
    own_str_free(&back->incident);
    free(back);
}

// XEP-0424 in its present and its first form, with words for clients that know neither, in one
// message: a client takes what it understands.  caps.c fits it to clients of which more is known.
static struct stanza *retraction(const struct taking_back *back, struct account *account,
                                 const struct jid *from, const struct jid *to, struct str id_of_it,
                                 bool speaks)
{
    const struct notices *notices = back->gate->service->notices;
    bool is_of_row = str_eq(id_of_it, back->id); // its tombstone names this retraction
    char id[RETRACTION_ID_SIZE], other[RANDOM_ID_SIZE + 1];
    archive_retraction_id(back->row, id);
    random_id_z(other);
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, back->type, from, to, str_of(is_of_row ? id : other));
    struct arena *arena = &stanza->arena;
    struct element *root = stanza->root;
    struct str what = arena_str(arena, id_of_it);
    if (what.len > 0) { // else there is nothing to name it by: the words alone
        struct element *retract = element_child_new(arena, root, NS_RETRACT, STR("retract"));
        element_set(arena, retract, STR("id"), what);
        struct element *apply = element_child_new(arena, root, NS_FASTEN, STR("apply-to"));
        element_set(arena, apply, STR("id"),
                    back->origin_id.len > 0 && is_of_row ? arena_str(arena, back->origin_id)
                                                         : what);
        element_child_new(arena, apply, NS_RETRACT_0, STR("retract"));
        struct element *fallback = element_child_new(arena, root, NS_FALLBACK, STR("fallback"));
        element_set(arena, fallback, STR("for"), NS_RETRACT);
        stanza->takes_back = true;
    }
    const struct notice_args args = {back->link, jid_bare(&back->peer), back->incident, STR_EMPTY};
    struct str fallback_lang = domain_lang(account->home, account->jid.domain);
    struct str lang = lang_of(account);
    set_lang(stanza, notices, lang, fallback_lang);
    if (speaks)
        element_child_with(arena, root, NS_CLIENT, STR("body"),
                           notice_text(notices, arena, lang, fallback_lang, NOTICE_EXPOSED, &args));
    element_child_new(arena, root, NS_HINTS, STR("store"));
    stanza_seal(stanza);
    return stanza;
}

static void say_taken_back(struct account *account, const struct taking_back *back, struct str id,
                           bool speaks)
{
    const struct jid *from = back->outgoing ? &account->jid : &back->peer;
    const struct jid *to = back->outgoing ? &back->peer : &account->jid;
    struct stanza *stanza = retraction(back, account, from, to, id, speaks);
    if (back->outgoing)
        message_sent(account, 0, stanza, NULL, 0); // both archives have it
    else
        route_stanza_to(account->home, stanza, &account->jid, NULL, ROUTED_BY_SERVER, 0);
    stanza_unref(&stanza);
}

static void take_back_from(struct account *account, const struct taking_back *back)
{
    // who was away and is away has not seen it: the spool has forgotten it already
    if (back->spooled && account->n_sessions == 0)
        return;
    if (back->replaces.len == 0) {
        say_taken_back(account, back, back->id, true);
        return;
    }
    // a client that has corrected shows it in the other's place, any other by its own id
    say_taken_back(account, back, back->replaces, true);
    if (back->id.len > 0)
        say_taken_back(account, back, back->id, false);
}

// There is no taking back of a retraction: the message is delivered anew, with an id of its own
// and its old time, after a word about it: who was told not to open it must hear that he may.
static void give_again(struct account *account, const struct taking_back *back)
{
    struct stanza *stanza = back->outgoing ? NULL : stanza_parse(back->stanza);
    if (stanza == NULL)
        return;
    const struct notice_args args = {back->link, jid_bare(&back->peer), back->incident, STR_EMPTY};
    say(back->gate, account, NOTICE_RELEASED, &args, NULL);
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    stanza->id = arena_str(&stanza->arena, str_of(id));
    element_set(&stanza->arena, stanza->root, STR("id"), stanza->id);
    gate_bring_out_dead(account, &stanza); // another incident may have another lure of it
    stanza_seal(stanza);
    route_stanza_to(account->home, stanza, &account->jid, NULL, ROUTED_BY_SERVER | ROUTED_HELD,
                    back->at_us);
    stanza_unref(&stanza);
}

static void owner_is_there(struct account_waiter *waiter, struct account *account)
{
    struct taking_back *back = CONTAINER_OF(waiter, struct taking_back, waiter);
    if (account->state == ACCOUNT_READY) {
        if (back->unspooled)
            spool_uncount(account, 1, back->spool_size);
        if (back->undo)
            give_again(account, back);
        else
            take_back_from(account, back);
    }
    taking_back_free(back);
}

static void at_owners_home(struct mail *mail)
{
    struct taking_back *back = CONTAINER_OF(mail, struct taking_back, mail);
    back->waiter.run = owner_is_there;
    // an account that is still to be loaded never counted it
    const struct account *account = account_in_memory(back->home, back->owner.full);
    back->unspooled = back->unspooled && account != NULL && account->state == ACCOUNT_READY;
    account_want(back->home, &back->owner, &back->waiter);
}

// A retraction that walks through all copies of a lure, page by page.
struct retracting {
    struct gate *gate;
    struct order order; // its texts in the arena
    struct arena arena;
    char key[24];
    struct store_record_put put;
    struct store_deliveries page;
    struct store_archive_withdraw withdraw;
    struct store_row rows[COPIES_A_PAGE];
    struct store_record_remove remove;
    struct list found; // of struct taking_back: of this page
    int64_t after_id, page_begin_id;
    bool more, again;
    struct timer timer;
    struct link link; // in containment->retracting
    uint64_t n_copies;
};

// The id that a correction names; own memory.
static struct str replaced_by(struct str text)
{
    struct stanza *stanza = str_find(text, NS_CORRECT) < text.len ? stanza_parse(text) : NULL;
    struct element *replace =
        stanza != NULL ? element_child(stanza->root, NS_CORRECT, STR("replace")) : NULL;
    struct str id = replace != NULL ? element_attr(replace, STR("id")) : STR_EMPTY;
    id = own_str(id.at != NULL ? id : STR_EMPTY);
    stanza_unref(&stanza);
    return id;
}

static void send_for(struct retracting *retracting, const struct store_delivery *delivery)
{
    struct gate *gate = retracting->gate;
    struct arena arena;
    arena_init(&arena, (size_t)16 * JID_MOST);
    struct taking_back *back = calloc(1, sizeof *back);
    must(back != NULL);
    const struct store_message *message = &delivery->message;
    struct str owner =
        arena_printf(&arena, "%.*s@%.*s", STR_ARGS(delivery->local), STR_ARGS(delivery->domain));
    struct str peer = message->resource.len > 0
                          ? arena_printf(&arena, "%.*s/%.*s", STR_ARGS(message->peer),
                                         STR_ARGS(message->resource))
                          : message->peer;
    struct jid owner_jid = jid_of_prepared(owner), peer_jid = jid_of_prepared(peer);
    back->gate = gate;
    back->owner = own_jid(&owner_jid);
    back->peer = own_jid(&peer_jid);
    // semantics, taking back: an id that an honest message of his has too names neither
    back->id = own_str(delivery->id_repeats ? STR_EMPTY : message->message_id);
    back->origin_id = own_str(message->origin_id);
    back->replaces = replaced_by(message->stanza);
    back->stanza = own_str(retracting->order.undo ? message->stanza : STR_EMPTY);
    back->link = own_str(retracting->order.shown);
    back->incident = own_str(arena_printf(&arena, "%" PRIu64, retracting->order.incident));
    back->type = (enum stanza_type)message->type;
    back->row = message->id;
    back->at_us = message->wall_us;
    back->outgoing = (message->flags & STORE_OUTGOING) != 0;
    back->spooled = (message->flags & STORE_SPOOLED) != 0;
    back->undo = retracting->order.undo;
    back->spool_size = message->stanza.len;
    back->home = home_of(&gate->service->homes, back->owner.full);
    back->mail.run = at_owners_home;
    arena_done(&arena);
    list_add_last(&retracting->found, &back->in_page);
}

static void retracting_free(struct retracting *retracting)
{
    log_event(LOG_NOTICE, "retracted", "incident=%" PRIu64 " order=%s copies=%" PRIu64,
              retracting->order.incident, retracting->key, retracting->n_copies);
    list_leave(&retracting->link);
    loop_timer_cancel(&retracting->timer);
    arena_done(&retracting->arena);
    free(retracting);
}

static void retraction_is_through(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, remove.request);
    store_release(request);
    retracting_free(retracting);
}

static void finish(struct retracting *retracting)
{
    retracting->remove.kind = STORE_ORDER;
    retracting->remove.key = str_of(retracting->key);
    retracting->remove.request.home = loop_mailbox(retracting->gate->loop);
    retracting->remove.request.done = retraction_is_through;
    store_record_remove(retracting->gate->service->store, &retracting->remove);
}

static void next_page(struct retracting *retracting);

// Copies that were judged before the conviction and were on their way to the store while it was
// looked through.
static void look_again(struct timer *timer)
{
    struct retracting *retracting = CONTAINER_OF(timer, struct retracting, timer);
    retracting->again = true;
    retracting->after_id = 0;
    next_page(retracting);
}

static void retry_page(struct timer *timer)
{
    next_page(CONTAINER_OF(timer, struct retracting, timer));
}

// What waits in spools would be given out as if nothing had been: the page is taken anew until the
// store takes it, at the next start if need be.
static void page_failed(struct retracting *retracting)
{
    LIST_EACH(&retracting->found, struct taking_back, in_page, back)
    {
        list_leave(&back->in_page);
        taking_back_free(back);
    }
    retracting->after_id = retracting->page_begin_id;
    loop_timer_set(retracting->gate->loop, &retracting->timer, retry_us, retry_page);
}

static void withdrawn(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, withdraw.request);
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        log_event(LOG_ERROR, "copies-not-withdrawn", "incident=%" PRIu64 " error=%s",
                  retracting->order.incident, err_name(e));
        page_failed(retracting);
        return;
    }
    retracting->n_copies += retracting->withdraw.n;
    // only now: who is given the spool meanwhile is not given these
    const struct store_row *row = retracting->rows; // in the order of the page
    LIST_EACH(&retracting->found, struct taking_back, in_page, back)
    {
        list_leave(&back->in_page);
        back->unspooled = row->unspooled;
        row++;
        loop_post(back->home->loop, &back->mail);
    }
    if (retracting->more)
        next_page(retracting);
    else if (retracting->order.undo || retracting->again)
        finish(retracting);
    else
        loop_timer_set(retracting->gate->loop, &retracting->timer, look_again_us, look_again);
}

static void page_is_there(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, page.request);
    uint32_t n = 0;
    retracting->page_begin_id = retracting->after_id;
    if (request->result == OK) {
        for (uint32_t i = 0; i < retracting->page.n; i++) {
            const struct store_delivery *delivery = &retracting->page.deliveries[i];
            bool is_gone = (delivery->message.flags & STORE_TOMBSTONE) != 0;
            retracting->after_id = delivery->message.id;
            if (is_gone != retracting->order.undo)
                continue; // done before a restart
            retracting->rows[n++] =
                (struct store_row){.account = delivery->account, .id = delivery->message.id};
            send_for(retracting, delivery);
        }
        retracting->more = retracting->page.more;
    } else {
        log_event(LOG_ERROR, "copies-not-found", "incident=%" PRIu64 " error=%s",
                  retracting->order.incident, err_name(request->result));
        store_release(request);
        page_failed(retracting);
        return;
    }
    store_release(request);
    retracting->withdraw.n = n;
    retracting->withdraw.rows = retracting->rows;
    retracting->withdraw.visibility = retracting->order.undo ? 0 : STORE_TOMBSTONE;
    retracting->withdraw.unspool = !retracting->order.undo;
    retracting->withdraw.request.home = loop_mailbox(retracting->gate->loop);
    retracting->withdraw.request.done = withdrawn;
    store_archive_withdraw(retracting->gate->service->store, &retracting->withdraw);
}

static void next_page(struct retracting *retracting)
{
    retracting->page = (struct store_deliveries){
        .key =
            str_make((const char *)retracting->order.key.bytes, sizeof retracting->order.key.bytes),
        .after_id = retracting->after_id,
        .most = COPIES_A_PAGE,
    };
    retracting->page.request.home = loop_mailbox(retracting->gate->loop);
    retracting->page.request.done = page_is_there;
    store_deliveries(retracting->gate->service->store, &retracting->page);
}

static void order_is_kept(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, put.request);
    store_release(request); // kept or not: now it is carried out
    next_page(retracting);
}

static struct retracting *retracting_new(struct gate *gate, const struct order *order)
{
    struct retracting *retracting = calloc(1, sizeof *retracting);
    must(retracting != NULL);
    arena_init(&retracting->arena, ORDER_TEXT_MOST * 4);
    retracting->gate = gate;
    retracting->order = *order;
    list_init(&retracting->found);
    list_add_last(&gate->containment->retracting, &retracting->link);
    struct str shown = order->shown.len > ORDER_TEXT_MOST ? str_first(order->shown, ORDER_TEXT_MOST)
                                                          : order->shown;
    retracting->order.shown = arena_str(&retracting->arena, shown);
    retracting->order.who = STR_EMPTY;
    snprintf(retracting->key, sizeof retracting->key, "%" PRIu64, order->number);
    return retracting;
}

// As kept: "undo incident key-in-hex shown".
static void retract(struct gate *gate, const struct order *order)
{
    struct retracting *retracting = retracting_new(gate, order);
    char hex[2 * sizeof order->key.bytes + 1];
    for (size_t i = 0; i < sizeof order->key.bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", order->key.bytes[i]);
    retracting->put.kind = STORE_ORDER;
    retracting->put.record.key = str_of(retracting->key);
    retracting->put.record.value =
        arena_printf(&retracting->arena, "%d %" PRIu64 " %s %.*s", order->undo, order->incident,
                     hex, STR_ARGS(retracting->order.shown));
    retracting->put.request.home = loop_mailbox(gate->loop);
    retracting->put.request.done = order_is_kept;
    store_record_put(gate->service->store, &retracting->put);
}

static bool read_kept(const struct store_record *record, struct order *order)
{
    struct str rest = record->value;
    struct str undo = str_cut(&rest, ' '), incident = str_cut(&rest, ' ');
    struct str hex = str_cut(&rest, ' ');
    *order = (struct order){.kind = ORDER_RETRACT, .shown = rest.at != NULL ? rest : STR_EMPTY};
    order->undo = str_eq(undo, STR("1"));
    return str_to_u64(record->key, 0, UINT64_MAX, &order->number) == OK &&
           str_to_u64(incident, 0, UINT64_MAX, &order->incident) == OK &&
           hex.len == 2 * sizeof order->key.bytes &&
           sodium_hex2bin(order->key.bytes, sizeof order->key.bytes, hex.at, hex.len, NULL, NULL,
                          NULL) == 0;
}

// Presence is in no store: each home looks for itself.
struct dimming {
    struct mail mail;
    struct home *home;
    struct lure_key key;
};

static void dim(struct mail *mail)
{
    struct dimming *dimming = CONTAINER_OF(mail, struct dimming, mail);
    presence_take_back(dimming->home,
                       str_make((const char *)dimming->key.bytes, sizeof dimming->key.bytes));
    free(dimming);
}

static void dim_presence(struct gate *gate, const struct order *order)
{
    for (unsigned i = 0; !order->undo && i < gate->service->homes.n; i++) {
        struct dimming *dimming = calloc(1, sizeof *dimming);
        must(dimming != NULL);
        *dimming = (struct dimming){
            .mail.run = dim, .home = gate->service->homes.at[i], .key = order->key};
        loop_post(dimming->home->loop, &dimming->mail);
    }
}

/* ---- The door for orders ---- */

static void tell_operator(struct gate *gate, const struct order *order)
{
    log_event(LOG_WARNING, "incident", "incident=%" PRIu64 " reason=%s undo=%d", order->incident,
              reason_name(order->reason), order->undo);
    const struct im_settings *settings = gate->settings;
    for (size_t i = 0; i < settings->n_domains; i++)
        for (size_t a = 0; a < settings->domains[i].n_admins; a++)
            tell(gate, order, settings->domains[i].admins[a], NOTICE_OPERATOR);
}

void containment_carry_out(struct gate *gate, const struct order *order)
{
    switch (order->kind) {
    case ORDER_STOP:
        record(gate, order);
        break;
    case ORDER_RETRACT:
        record(gate, order);
        retract(gate, order);
        dim_presence(gate, order);
        break;
    case ORDER_RESTRICT:
        record(gate, order);
        log_event(LOG_WARNING, order->undo ? "unrestricted" : "restricted",
                  "account=%.*s incident=%" PRIu64, STR_ARGS(order->who), order->incident);
        break;
    case ORDER_NOTIFY:
        if (order->audience == TO_VICTIM)
            tell(gate, order, order->who, order->undo ? NOTICE_UNRESTRICTED : NOTICE_VICTIM);
        else if (order->audience == TO_OPERATOR)
            tell_operator(gate, order);
        // the exposed are told in the place of the message that is taken back
        break;
    case ORDER_DELIVER_HELD:
    case ORDER_REJECT_HELD:
        order_held(gate, order);
        break;
    case ORDER_ASK:
        tell(gate, order, order->who, NOTICE_ASK);
        break;
    }
}

static enum err resume_retractions(struct gate *gate, struct why *why)
{
    struct store_record_list list = {.kind = STORE_ORDER, .most = RECORDS_A_PAGE};
    store_record_list(gate->service->store, &list);
    enum err e = store_wait(&list.request);
    for (uint32_t i = 0; e == OK && i < list.n; i++) {
        struct order order;
        if (read_kept(&list.records[i], &order))
            next_page(retracting_new(gate, &order));
    }
    if (e != OK)
        why_say(why, e, "the guard's orders could not be read: %s", err_name(e));
    store_release(&list.request);
    return e;
}

// A crash between the guard's order and its carrying out, or between the record and the event that
// made it, leaves a message that was acknowledged and that nobody would ever release.
static enum err release_forgotten(struct gate *gate, struct why *why)
{
    enum err e = OK;
    char after[24] = "";
    for (bool more = true; e == OK && more;) {
        struct store_record_list list = {
            .kind = STORE_HELD, .after_key = str_of(after), .most = RECORDS_A_PAGE};
        store_record_list(gate->service->store, &list);
        e = store_wait(&list.request);
        more = e == OK && list.more;
        for (uint32_t i = 0; e == OK && i < list.n; i++) {
            uint64_t message, incident = 0;
            if (str_to_z(list.records[i].key, after, sizeof after) != OK ||
                str_to_u64(list.records[i].key, 0, UINT64_MAX, &message) != OK)
                continue;
            if (str_to_u64(list.records[i].group, 0, UINT64_MAX, &incident) != OK)
                incident = 0;
            if (!guard_is_holding(gate->guard, message))
                let_go_by_guard(gate, message, incident);
        }
        store_release(&list.request);
    }
    if (e != OK)
        why_say(why, e, "held messages could not be read: %s", err_name(e));
    return e;
}

// A notice of a replayed event; the homes that tell it run only when the guard's thread does.
struct retelling {
    struct mail mail;
    struct gate *gate;
    struct order order; // its texts in own memory
};

static void tell_again(struct mail *mail)
{
    struct retelling *again = CONTAINER_OF(mail, struct retelling, mail);
    containment_carry_out(again->gate, &again->order);
    own_str_free(&again->order.shown);
    own_str_free(&again->order.who);
    free(again);
}

void containment_replayed(struct gate *gate, const struct order *order)
{
    if (order->kind == ORDER_RETRACT)
        retract(gate, order);
    if (order->kind != ORDER_NOTIFY || order->number <= gate->containment->kept_told)
        return;
    struct retelling *again = calloc(1, sizeof *again);
    must(again != NULL);
    again->mail.run = tell_again;
    again->gate = gate;
    again->order = *order;
    again->order.shown = own_str(order->shown);
    again->order.who = own_str(order->who);
    loop_post(gate->loop, &again->mail);
}

bool containment_is_telling(const struct gate *gate)
{
    return gate->containment->n_telling > 0;
}

static enum err read_told(struct gate *gate, struct why *why)
{
    struct store_record_get get = {.kind = STORE_SNAPSHOT, .key = told_key};
    store_record_get(gate->service->store, &get);
    enum err e = store_wait(&get.request);
    uint64_t told = 0;
    if (e == OK && str_to_u64(get.record.value, 0, UINT64_MAX, &told) == OK)
        gate->containment->newest_told = gate->containment->kept_told = told;
    store_release(&get.request);
    return e == OK || e == ERR_MISSING
               ? OK
               : why_say(why, e, "the guard's notices could not be read: %s", err_name(e));
}

enum err containment_open(struct gate *gate, struct why *why)
{
    gate->containment = calloc(1, sizeof *gate->containment);
    must(gate->containment != NULL);
    table_init(&gate->containment->holding, HOLDING_MOST);
    list_init(&gate->containment->retracting);
    list_init(&gate->containment->waiting);
    enum err e = read_told(gate, why);
    if (e == OK)
        e = resume_retractions(gate, why);
    return e == OK ? release_forgotten(gate, why) : e;
}

void containment_close(struct gate *gate)
{
    struct containment *containment = TAKE(gate->containment);
    if (containment == NULL)
        return;
    size_t at = 0;
    for (struct holding *h; (h = table_next(&containment->holding, &at)) != NULL;)
        free(h);
    table_done(&containment->holding);
    // these only wait: the next start takes them up
    LIST_EACH(&containment->waiting, struct letting_go, link, going)
    {
        list_leave(&going->link);
        loop_timer_cancel(&going->timer);
        free(going);
    }
    LIST_EACH(&containment->retracting, struct retracting, link, retracting)
    if (timer_is_set(&retracting->timer))
        retracting_free(retracting);
    free(containment);
}
