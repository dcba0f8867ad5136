/*
 * Held messages: kept in the store until the guard's word about them.
 *
 *     DELIVER_HELD       store: the record  ─► sender's home: message_accept, then removed
 *     REJECT_HELD        store: the record  ─► sender's home: refused, then removed
 *
 * They were acknowledged: while the store fails they wait for it, and the next
 * start finds those that a kill left behind.
 */
#include "im/containment_internal.h"

#include "base/log.h"
#include "base/must.h"
#include "im/behind.h"
#include "im/message.h"
#include "route/in_hand.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RECORDS_A_PAGE = 1000 };

// A message between the guard's word "hold" and the commit of its record: orders wait for that.
struct holding {
    uint64_t message;
    bool ordered, rejects; // what is to become of it as soon as it is there
    enum reason reason;
    uint64_t incident, order;
};

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
    struct home *home;       // of the sender
    struct account *account; // the sender's, while rules for texts look: held
    bool rejects;
    bool delivered; // it went on its way to its receiver
    enum reason reason;
    uint64_t incident, order, message;
    char key[24];
    int64_t at_us;
    struct stanza *stanza;
    struct str text; // as it was written, in the stanza's arena
    struct store_record_get get;
    struct store_record_remove remove;
};

// On the guard's thread.
static void is_over(struct mail *mail)
{
    struct letting_go *going = CONTAINER_OF(mail, struct letting_go, mail);
    containment_note(going->gate,
                     &(struct order_outcome){
                         .incident = going->incident,
                         .order = going->order,
                         .kind = going->delivered ? ORDER_DELIVER_HELD : ORDER_REJECT_HELD,
                         .n = 1,
                     });
    free(going);
}

static void removed(struct store_request *request)
{
    struct letting_go *going = CONTAINER_OF(request, struct letting_go, remove.request);
    store_release(request);
    stanza_unref(&going->stanza);
    going->mail.run = is_over;
    loop_post(going->gate->loop, &going->mail);
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
    loop_timer_set(going->gate->loop, &going->timer, containment_retry_us, try_again);
}

static void was_not_kept(struct mail *mail)
{
    wait_for_store(CONTAINER_OF(mail, struct letting_go, mail));
}

static void give_up_for_now(struct letting_go *going)
{
    going->mail.run = was_not_kept;
    loop_post(going->gate->loop, &going->mail);
}

// Only what is durable elsewhere, or refused, leaves the record.
static void is_through(struct ticket *ticket)
{
    struct letting_go *going = ticket->context;
    if (ticket->failed) {
        give_up_for_now(going);
        return;
    }
    going->remove.kind = STORE_HELD;
    going->remove.key = str_of(going->key);
    going->remove.request.home = loop_mailbox(going->home->loop);
    going->remove.request.done = removed;
    store_record_remove(going->home->store, &going->remove);
}

static void let_through(struct letting_go *going, struct account *account)
{
    struct in_hand_slot *in_hand = account->home->in_hand;
    (void)!in_hand_begin_number(in_hand, "held", going->message,
                                0); // what is put aside is not here
    struct ticket *ticket = ticket_new_for(going->home, is_through, going);
    if (going->rejects || account->state != ACCOUNT_READY) {
        struct str lang = account->state == ACCOUNT_READY ? tell_lang(account) : STR_EMPTY;
        containment_log("message-returned", NULL, going->stanza, going->reason, going->incident);
        const struct refusal refusal = {.reason = going->reason, .incident = going->incident};
        containment_refuse(going->home, going->stanza, ticket, lang, &refusal);
    } else {
        struct session *session =
            session_by_resource(account, going->stanza->from.resource); // has it: needs no carbon
        containment_log("message-released", session, going->stanza, going->reason, going->incident);
        going->delivered = true;
        gate_bring_out_dead(account, &going->stanza,
                            NULL); // one of its other lures may be convicted
        message_accept(account, session != NULL ? session->id : 0, going->stanza, ticket,
                       ROUTED_HELD, going->at_us);
    }
    behind_let_go(account, jid_bare(&going->stanza->to), going->message);
    ticket_unref(&ticket);
    in_hand_done(in_hand);
}

// A rule for texts may have come since it was judged.
static void was_looked_at(void *context, const struct gate_look *look)
{
    struct letting_go *going = context;
    struct account *account = going->account;
    if (gate_hits_forbid(gate_look_hits(look, 0))) {
        going->rejects = true;
        going->reason = REASON_CONVICTED;
    }
    let_through(going, account);
    account_release(account);
}

static void go_on(struct account_waiter *waiter, struct account *account)
{
    struct letting_go *going = CONTAINER_OF(waiter, struct letting_go, waiter);
    if (account->state == ACCOUNT_BROKEN) { // nobody knows whether he is there
        give_up_for_now(going);
        return;
    }
    if (going->rejects || account->state != ACCOUNT_READY) {
        let_through(going, account);
        return;
    }
    const struct store_message row = {.stanza = going->text};
    account_hold(account);
    going->account = account;
    gate_look_again(account, &row, 1, was_looked_at, going);
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
    if (going->stanza != NULL) {
        going->stanza->arena.ceiling += value.len + 1;
        going->text = arena_str(&going->stanza->arena, value);
    }
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
                   uint64_t incident, uint64_t order)
{
    struct letting_go *going = calloc(1, sizeof *going);
    must(going != NULL);
    going->gate = gate;
    going->rejects = rejects;
    going->reason = reason;
    going->incident = incident;
    going->order = order;
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
    let_go(gate, message, convicted, convicted ? REASON_CONVICTED : REASON_CLEARED, incident, 0);
}

void held_order(struct gate *gate, const struct order *order)
{
    bool rejects = order->kind == ORDER_REJECT_HELD;
    struct holding *holding = table_get(&gate->containment->holding, number_key(&order->message));
    if (holding == NULL) {
        let_go(gate, order->message, rejects, order->reason, order->incident, order->number);
        return;
    }
    holding->ordered = true;
    holding->rejects = rejects;
    holding->reason = order->reason;
    holding->incident = order->incident;
    holding->order = order->number;
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
        let_go(gate, holding->message, holding->rejects, holding->reason, holding->incident,
               holding->order);
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

// A crash between the guard's order and its carrying out, or between the record and the event that
// made it, leaves a message that was acknowledged and that nobody would ever release.
enum err held_open(struct gate *gate, struct why *why)
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

void held_close(struct containment *containment)
{
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
}
