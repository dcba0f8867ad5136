/*
 * Taking back what was delivered.
 *
 *     RETRACT   store: rows by key ─► withdrawn ─► each owner's home: takes back
 *     RETURN    store: rows by key ─► each sender's home: an error ─► hidden
 *
 * What was returned is hidden in both archives and not only a tombstone: that tells that its sender
 * was told, and no undoing gives it again.  He is told before the row says so: a kill between the
 * two tells him twice, with the same id, and never not at all.
 *
 * A retraction is kept as a record until it is through, so that a restart takes
 * it up again.  A copy that is taken back is marked in the store, in the same change,
 * as one of which its owner is still to be told; the mark goes when the word to him is as
 * durable as any message.  So after a kill those are told who had not been for certain, and nobody
 * else.  Nothing that a client sends makes or removes a mark.  Presence is in no store: each home
 * looks for what it shows.
 */
#include "im/containment_internal.h"

#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/archive.h"
#include "im/message.h"
#include "im/notices.h"
#include "im/presence.h"
#include "route/own.h"
#include "route/spool.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { COPIES_A_PAGE = 200, ORDER_TEXT_MOST = 4096, RECORDS_A_PAGE = 1000 };
static const int64_t look_again_us = 3 * SECOND_US; // after the first walk through the copies

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
    bool returns;   // home and account are its sender's, who gets it back
    bool unspooled; // it does not wait any more
    bool failed;
    uint64_t number;               // of the incident, of what returns
    struct retracting *retracting; // it waits for this one
    // of what is taken back:
    bool is_owed;     // the word to its owner counts
    struct link owed; // in retracting->waiting, for a store that failed, or retracting->told
    struct timer timer;
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
    const struct notice_args args = {
        .link = back->link, .person = jid_bare(&back->peer), .incident = back->incident};
    struct str fallback_lang = tell_domain_lang(account->home, account->jid.domain);
    struct str lang = tell_lang(account);
    tell_set_lang(stanza, notices, lang, fallback_lang);
    if (speaks)
        element_child_with(arena, root, NS_CLIENT, STR("body"),
                           notice_text(notices, arena, lang, fallback_lang, NOTICE_EXPOSED, &args));
    element_child_new(arena, root, NS_HINTS, STR("store"));
    stanza_seal(stanza);
    return stanza;
}

static void say_taken_back(struct account *account, const struct taking_back *back, struct str id,
                           bool speaks, struct ticket *ticket)
{
    const struct jid *from = back->outgoing ? &account->jid : &back->peer;
    const struct jid *to = back->outgoing ? &back->peer : &account->jid;
    struct stanza *stanza = retraction(back, account, from, to, id, speaks);
    if (back->outgoing)
        message_sent(account, 0, stanza, ticket, 0); // both archives have it
    else
        route_stanza_to(account->home, stanza, &account->jid, ticket, ROUTED_BY_SERVER, 0);
    stanza_unref(&stanza);
}

static void take_back_from(struct account *account, const struct taking_back *back,
                           struct ticket *ticket)
{
    // who was away and is away has not seen it: the spool has forgotten it already
    if (back->spooled && account->n_sessions == 0)
        return;
    if (back->replaces.len == 0) {
        say_taken_back(account, back, back->id, true, ticket);
        return;
    }
    // a client that has corrected shows it in the other's place, any other by its own id
    say_taken_back(account, back, back->replaces, true, ticket);
    if (back->id.len > 0)
        say_taken_back(account, back, back->id, false, ticket);
}

// There is no taking back of a retraction: the message is delivered anew, with an id of its own
// and its old time, after a word about it: who was told not to open it must hear that he may.
static void give_again(struct account *account, const struct taking_back *back)
{
    struct stanza *stanza = back->outgoing ? NULL : stanza_parse(back->stanza);
    if (stanza == NULL)
        return;
    const struct notice_args args = {
        .link = back->link, .person = jid_bare(&back->peer), .incident = back->incident};
    tell_say(back->gate, account, NOTICE_RELEASED, &args, NULL);
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    stanza->id = arena_str(&stanza->arena, str_of(id));
    element_set(&stanza->arena, stanza->root, STR("id"), stanza->id);
    gate_bring_out_dead(account, &stanza, NULL); // another incident may have another lure of it
    stanza_seal(stanza);
    route_stanza_to(account->home, stanza, &account->jid, NULL, ROUTED_BY_SERVER | ROUTED_HELD,
                    back->at_us);
    stanza_unref(&stanza);
}

// An error as if it had never been delivered: from whom it had been sent to.
static void return_it(struct account *account, const struct taking_back *back)
{
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, back->type, &back->peer, &back->owner, back->id);
    const struct refusal refusal = {.reason = REASON_UNDECIDED, .incident = back->number};
    containment_log("message-returned", NULL, stanza, refusal.reason, refusal.incident);
    containment_refuse(account->home, stanza, NULL, tell_lang(account), &refusal);
    stanza_unref(&stanza);
}

static void sender_was_told(struct mail *mail);
static void owner_was_told(struct mail *mail);

// What he is told is durable, or was refused; failed: the store did not take it.
static void word_is_durable(struct ticket *ticket)
{
    struct taking_back *back = ticket->context;
    back->failed = ticket->failed;
    back->mail.run = owner_was_told;
    loop_post(back->gate->loop, &back->mail);
}

static void owner_is_there(struct account_waiter *waiter, struct account *account)
{
    struct taking_back *back = CONTAINER_OF(waiter, struct taking_back, waiter);
    if (back->returns) {
        if (account->state == ACCOUNT_READY)
            return_it(account, back);
        back->failed = account->state == ACCOUNT_BROKEN; // the store did not say who he is
        back->mail.run = sender_was_told;
        loop_post(back->gate->loop, &back->mail);
        return;
    }
    if (account->state == ACCOUNT_READY && back->unspooled)
        spool_uncount(account, 1, back->spool_size);
    back->unspooled = false; // if he is told again
    if (back->is_owed) {
        struct ticket *ticket = ticket_new_for(back->home, word_is_durable, back);
        if (account->state == ACCOUNT_READY)
            take_back_from(account, back, ticket);
        else if (account->state == ACCOUNT_BROKEN) // the store did not say who he is
            (void)!ticket_fail(ticket);
        ticket_unref(&ticket);
        return;
    }
    if (account->state == ACCOUNT_READY)
        give_again(account, back);
    taking_back_free(back);
}

static void at_owners_home(struct mail *mail)
{
    struct taking_back *back = CONTAINER_OF(mail, struct taking_back, mail);
    back->waiter.run = owner_is_there;
    // an account that is still to be loaded never counted it
    const struct account *account = account_in_memory(back->home, back->owner.full);
    back->unspooled = back->unspooled && account != NULL && account->state == ACCOUNT_READY;
    const struct jid sender = jid_bare_of(&back->peer);
    account_want(back->home, back->returns ? &sender : &back->owner, &back->waiter);
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
    struct list found;  // of struct taking_back: of this page
    uint32_t n_telling; // of them, whose sender is still to be told,
    bool untold;        // or could not be
    int64_t after_id, page_begin_id;
    bool more, again;
    // a stop interrupted it, perhaps before all had been told: those that are marked; all, if it
    // began before there were marks
    bool tells_marked, tells_all;
    bool is_walked;            // all copies are withdrawn
    uint64_t n_owed;           // words on their way to owners, or waiting, or still marked
    struct list waiting, told; // of struct taking_back: for a store that failed; still marked
    bool notes;                // that the owners of these know
    int64_t noted[COPIES_A_PAGE];
    struct store_archive_told note;
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
    back->link = tell_dead_link(gate, retracting->order.shown);
    back->incident = own_str(arena_printf(&arena, "%" PRIu64, retracting->order.incident));
    back->type = (enum stanza_type)message->type;
    back->row = message->id;
    back->at_us = message->wall_us;
    back->outgoing = (message->flags & STORE_OUTGOING) != 0;
    back->spooled = (message->flags & STORE_SPOOLED) != 0;
    back->undo = retracting->order.undo;
    back->returns = retracting->order.kind == ORDER_RETURN;
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

// Through only when all have been told.
static void finish_if_told(struct retracting *retracting)
{
    if (retracting->is_walked && retracting->n_owed == 0)
        finish(retracting);
}

static void note_told(struct retracting *retracting);

static void is_noted(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, note.request);
    if (request->result != OK) // a kill now, and they are told twice
        log_event(LOG_WARNING, "told-not-noted", "incident=%" PRIu64 " error=%s",
                  retracting->order.incident, err_name(request->result));
    store_release(request);
    retracting->n_owed -= retracting->note.n;
    retracting->notes = false;
    note_told(retracting);
    finish_if_told(retracting);
}

// As many in one commit as have come during the last.
static void note_told(struct retracting *retracting)
{
    uint32_t n = 0;
    if (retracting->notes || list_empty(&retracting->told))
        return;
    LIST_EACH(&retracting->told, struct taking_back, owed, back)
    {
        if (n == COPIES_A_PAGE)
            break;
        retracting->noted[n++] = back->row;
        list_leave(&back->owed);
        taking_back_free(back);
    }
    retracting->notes = true;
    retracting->note = (struct store_archive_told){
        .by = retracting->order.number, .n = n, .ids = retracting->noted};
    retracting->note.request.home = loop_mailbox(retracting->gate->loop);
    retracting->note.request.done = is_noted;
    store_archive_told(retracting->gate->service->store, &retracting->note);
}

static void tell_again(struct timer *timer)
{
    struct taking_back *back = CONTAINER_OF(timer, struct taking_back, timer);
    list_leave(&back->owed);
    back->mail.run = at_owners_home;
    loop_post(back->home->loop, &back->mail);
}

// On the guard's thread.
static void owner_was_told(struct mail *mail)
{
    struct taking_back *back = CONTAINER_OF(mail, struct taking_back, mail);
    struct retracting *retracting = back->retracting;
    if (!back->failed) {
        list_add_last(&retracting->told, &back->owed);
        note_told(retracting);
        return;
    }
    list_add_last(&retracting->waiting, &back->owed);
    loop_timer_set(retracting->gate->loop, &back->timer, containment_retry_us, tell_again);
}

static void next_page(struct retracting *retracting);

// As kept: "stage incident key-in-hex[/whose] shown".  What began before copies were marked: 0, and
// 2 when all had been told.
enum { KEPT_UNMARKED, KEPT_UNDO, KEPT_TOLD, KEPT_RETURN, KEPT_RETRACT };

static void keep(struct retracting *retracting, int stage, void (*done)(struct store_request *))
{
    const struct order *order = &retracting->order;
    char hex[2 * sizeof order->key.bytes + 1];
    sodium_bin2hex(hex, sizeof hex, order->key.bytes, sizeof order->key.bytes);
    retracting->put.kind = STORE_ORDER;
    retracting->put.record.key = str_of(retracting->key);
    retracting->put.record.value = arena_printf(
        &retracting->arena, "%d %" PRIu64 " %s%s%.*s %.*s", stage, order->incident, hex,
        order->who.len > 0 ? "/" : "", STR_ARGS(order->who), STR_ARGS(order->shown));
    retracting->put.request.home = loop_mailbox(retracting->gate->loop);
    retracting->put.request.done = done;
    store_record_put(retracting->gate->service->store, &retracting->put);
}

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
    loop_timer_set(retracting->gate->loop, &retracting->timer, containment_retry_us, retry_page);
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
    retracting->n_copies += retracting->withdraw.n_changed;
    const struct order_outcome outcome = {.incident = retracting->order.incident,
                                          .order = retracting->order.number,
                                          .kind = retracting->order.kind,
                                          .undo = retracting->order.undo,
                                          .n = retracting->withdraw.n_changed,
                                          .n_unspooled = retracting->withdraw.n_unspooled};
    // only now: who is given the spool meanwhile is not given these
    const struct store_row *row = retracting->rows; // in the order of the page
    LIST_EACH(&retracting->found, struct taking_back, in_page, back)
    {
        list_leave(&back->in_page);
        back->unspooled = row->unspooled;
        back->is_owed = retracting->withdraw.untold_by != 0;
        back->retracting = retracting;
        retracting->n_owed += back->is_owed;
        row++;
        loop_post(back->home->loop, &back->mail);
    }
    containment_note(retracting->gate, &outcome);
    if (retracting->more) {
        next_page(retracting);
    } else if (retracting->order.undo || retracting->again) {
        retracting->is_walked = true;
        finish_if_told(retracting);
    } else { // of a return: the taking back may still be under way
        loop_timer_set(retracting->gate->loop, &retracting->timer, look_again_us, look_again);
    }
}

// Whether that person (bare) sent it; whose: empty, anybody.
static bool is_by(const struct store_delivery *delivery, struct str whose)
{
    const struct store_message *message = &delivery->message;
    if (whose.len == 0 || (message->flags & STORE_OUTGOING) == 0)
        return whose.len == 0 || str_eq(message->peer, whose);
    struct jid jid = jid_of_prepared(whose);
    return str_eq(delivery->local, jid.local) && str_eq(delivery->domain, jid.domain);
}

// Whether the order is about it: a copy that is there is taken back, one that was is given again or
// returned, and what was returned is neither.
static bool concerns(const struct retracting *retracting, const struct store_delivery *delivery)
{
    bool is_gone = (delivery->message.flags & STORE_TOMBSTONE) != 0;
    bool was_returned = is_gone && (delivery->message.flags & STORE_HIDDEN) != 0 &&
                        (delivery->message.flags & STORE_SPOOLED) == 0;
    if (was_returned)
        return false;
    if (retracting->order.undo || retracting->order.kind == ORDER_RETURN)
        return is_gone;
    // withdrawn before the stop, but perhaps its reader was not told any more: once again
    bool is_owed = retracting->tells_all || (retracting->tells_marked && delivery->is_untold);
    return !is_gone || (is_owed && !retracting->again);
}

static void withdraw_page(struct retracting *retracting)
{
    enum order_kind kind = retracting->order.kind;
    retracting->withdraw.rows = retracting->rows;
    retracting->withdraw.visibility = retracting->order.undo ? 0
                                      : kind == ORDER_RETURN ? STORE_HIDDEN | STORE_TOMBSTONE
                                                             : STORE_TOMBSTONE;
    retracting->withdraw.unspool = !retracting->order.undo;
    retracting->withdraw.untold_by =
        retracting->order.undo || kind == ORDER_RETURN ? 0 : retracting->order.number;
    retracting->withdraw.request.home = loop_mailbox(retracting->gate->loop);
    retracting->withdraw.request.done = withdrawn;
    store_archive_withdraw(retracting->gate->service->store, &retracting->withdraw);
}

// On the guard's thread: all of a page were told.
static void page_was_told(struct retracting *retracting)
{
    if (retracting->untold)
        page_failed(retracting);
    else
        withdraw_page(retracting);
}

static void sender_was_told(struct mail *mail)
{
    struct taking_back *back = CONTAINER_OF(mail, struct taking_back, mail);
    struct retracting *retracting = back->retracting;
    retracting->untold |= back->failed;
    taking_back_free(back);
    if (--retracting->n_telling == 0)
        page_was_told(retracting);
}

// Each copy's sender, once: his own row of it tells nothing more.
static void tell_senders(struct retracting *retracting)
{
    retracting->untold = false;
    retracting->n_telling = 1; // until all are on their way
    LIST_EACH(&retracting->found, struct taking_back, in_page, back)
    {
        list_leave(&back->in_page);
        if (back->outgoing) {
            taking_back_free(back);
            continue;
        }
        back->retracting = retracting;
        back->number = retracting->order.incident;
        back->home = home_of(&retracting->gate->service->homes, jid_bare(&back->peer));
        retracting->n_telling++;
        loop_post(back->home->loop, &back->mail);
    }
    if (--retracting->n_telling == 0)
        page_was_told(retracting);
}

static void page_is_there(struct store_request *request)
{
    struct retracting *retracting = CONTAINER_OF(request, struct retracting, page.request);
    uint32_t n = 0;
    retracting->page_begin_id = retracting->after_id;
    if (request->result == OK) {
        for (uint32_t i = 0; i < retracting->page.n; i++) {
            const struct store_delivery *delivery = &retracting->page.deliveries[i];
            retracting->after_id = delivery->message.id;
            if (!concerns(retracting, delivery) || !is_by(delivery, retracting->order.who))
                continue;
            retracting->rows[n++] = (struct store_row){
                .account = delivery->account,
                .id = delivery->message.id,
                .is_senders = (delivery->message.flags & STORE_OUTGOING) != 0,
            };
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
    if (retracting->order.kind == ORDER_RETURN)
        tell_senders(retracting);
    else
        withdraw_page(retracting);
}

static void next_page(struct retracting *retracting)
{
    retracting->page = (struct store_deliveries){
        .key =
            str_make((const char *)retracting->order.key.bytes, sizeof retracting->order.key.bytes),
        .untold_by = retracting->order.number,
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
    list_init(&retracting->waiting);
    list_init(&retracting->told);
    list_add_last(&gate->containment->retracting, &retracting->link);
    struct str shown = order->shown.len > ORDER_TEXT_MOST ? str_first(order->shown, ORDER_TEXT_MOST)
                                                          : order->shown;
    retracting->order.shown = arena_str(&retracting->arena, shown);
    retracting->order.who = arena_str(&retracting->arena, order->who);
    snprintf(retracting->key, sizeof retracting->key, "%" PRIu64, order->number);
    return retracting;
}

static void begin(struct gate *gate, const struct order *order, bool was_begun)
{
    struct retracting *retracting = retracting_new(gate, order);
    retracting->tells_marked = was_begun;
    keep(retracting,
         order->undo                   ? KEPT_UNDO
         : order->kind == ORDER_RETURN ? KEPT_RETURN
                                       : KEPT_RETRACT,
         order_is_kept);
}

void retraction_order(struct gate *gate, const struct order *order)
{
    begin(gate, order, false);
}

void retraction_replayed(struct gate *gate, const struct order *order)
{
    LIST_EACH(&gate->containment->retracting, const struct retracting, link, retracting)
    if (retracting->order.number == order->number)
        return; // its record was there, and it is being carried out
    begin(gate, order, true);
}

static bool read_kept(const struct store_record *record, struct order *order, bool *is_marked)
{
    struct str rest = record->value;
    struct str stage = str_cut(&rest, ' '), incident = str_cut(&rest, ' ');
    struct str whose = str_cut(&rest, ' '), hex = str_cut(&whose, '/');
    *order = (struct order){.kind = ORDER_RETRACT,
                            .shown = rest.at != NULL ? rest : STR_EMPTY,
                            .who = whose.at != NULL ? whose : STR_EMPTY};
    order->undo = str_eq(stage, STR("1"));
    if (str_eq(stage, STR("3")))
        order->kind = ORDER_RETURN;
    *is_marked = !str_eq(stage, STR("0"));
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

void retraction_dim_presence(struct gate *gate, const struct order *order)
{
    // of one sender's copies: his status goes with his next presence, which is judged
    for (unsigned i = 0; !order->undo && order->who.len == 0 && i < gate->service->homes.n; i++) {
        struct dimming *dimming = calloc(1, sizeof *dimming);
        must(dimming != NULL);
        *dimming = (struct dimming){
            .mail.run = dim, .home = gate->service->homes.at[i], .key = order->key};
        loop_post(dimming->home->loop, &dimming->mail);
    }
}

enum err retraction_open(struct gate *gate, struct why *why)
{
    enum err e = OK;
    char after[24] = "";
    for (bool more = true; e == OK && more;) {
        struct store_record_list list = {
            .kind = STORE_ORDER, .after_key = str_of(after), .most = RECORDS_A_PAGE};
        store_record_list(gate->service->store, &list);
        e = store_wait(&list.request);
        more = e == OK && list.more;
        for (uint32_t i = 0; e == OK && i < list.n; i++) {
            struct order order;
            bool is_marked;
            if (str_to_z(list.records[i].key, after, sizeof after) == OK &&
                read_kept(&list.records[i], &order, &is_marked)) {
                struct retracting *retracting = retracting_new(gate, &order);
                retracting->tells_marked = is_marked;
                retracting->tells_all = !is_marked;
                next_page(retracting);
            }
        }
        store_release(&list.request);
    }
    if (e != OK)
        why_say(why, e, "the guard's orders could not be read: %s", err_name(e));
    return e;
}

void retraction_close(struct containment *containment)
{
    // these only wait: the next start takes them up
    LIST_EACH(&containment->retracting, struct retracting, link, retracting)
    {
        bool waits = timer_is_set(&retracting->timer);
        LIST_EACH(&retracting->waiting, struct taking_back, owed, back)
        {
            list_leave(&back->owed);
            loop_timer_cancel(&back->timer);
            taking_back_free(back);
            retracting->n_owed--;
            waits |= retracting->is_walked;
        }
        if (waits && retracting->n_owed == 0)
            retracting_free(retracting);
    }
}
