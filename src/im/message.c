/*
 * Deliveries to one account form a queue.  A message that needs a row (it is
 * archived, or must outlive a crash until its reader has it) waits at its place
 * for the commit; what comes behind it waits too, so that order is kept: all
 * messages, and what else comes from who has one waiting.  The commit groups
 * keep that wait short.
 */
#include "im/message.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/archive.h"
#include "im/behind.h"
#include "im/carbons.h"
#include "im/delivery_rules.h"
#include "im/feature.h"
#include "im/gate.h"
#include "im/iq.h"
#include "im/limits.h"
#include "im/offline.h"
#include "im/presence.h"
#include "im/send.h"
#include "im/session_life.h"
#include "route/in_hand.h"
#include "route/spool.h"
#include "xml/writer.h"

#include <stdlib.h>

enum {
    SESSIONS_MOST = 1024,
    DELIVERIES_MOST = 8192, // of one account at a time; further senders are told to wait
    LURE_KEY_SIZE = 16,
    WRITTEN_MOST = 512 << 20,
    UNARCHIVED_MOST = 4096, // of a worker, without XEP-0198; further ones are not archived
};

static const int64_t archive_again_us = SECOND_US; // after the store failed

/* ---- A row in the store for one side of a message ---- */

struct row {
    struct store_append op;
    struct stanza *stanza;
    struct buf text;
    struct str *lures; // own memory; NULL without
};

static void row_init(struct row *row, struct account *account, struct stanza *stanza,
                     const struct jid *peer, uint8_t flags, int64_t at_us)
{
    row->stanza = stanza_ref(stanza);
    buf_init(&row->text, WRITTEN_MOST);
    if (stanza->text.len == 0)
        stanza_write(&row->text, stanza, STR_EMPTY, STR_EMPTY);
    struct element *origin = element_child(stanza->root, NS_SID, STR("origin-id"));
    struct str origin_id = origin != NULL ? element_attr(origin, STR("id")) : STR_EMPTY;
    struct store_append *op = &row->op;
    op->request.home = loop_mailbox(account->home->loop);
    op->account = account->number;
    op->wall_us = at_us;
    op->flags = flags;
    op->type = (uint8_t)stanza->type;
    op->peer = jid_bare(peer);
    op->resource = peer->resource;
    op->message_id = stanza->id;
    op->origin_id = origin_id.at != NULL ? origin_id : STR_EMPTY;
    op->stanza = stanza->text.len > 0 ? stanza->text : buf_str(&row->text);
    op->n_lures = (uint32_t)(stanza->lure_keys.len / LURE_KEY_SIZE);
    if (op->n_lures > STORE_LURES_MOST)
        op->n_lures = STORE_LURES_MOST;
    if (op->n_lures == 0)
        return;
    row->lures = calloc(op->n_lures, sizeof *row->lures);
    must(row->lures != NULL);
    for (uint32_t i = 0; i < op->n_lures; i++)
        row->lures[i] = str_make(stanza->lure_keys.at + (size_t)i * LURE_KEY_SIZE, LURE_KEY_SIZE);
    op->lures = row->lures;
}

static void row_done(struct row *row)
{
    store_release(&row->op.request);
    buf_done(&row->text);
    free(row->lures);
    stanza_unref(&row->stanza);
}

// The id is whatever its sender made of it.
static void log_not_kept(enum log_level level, const struct account *account,
                         const struct stanza *stanza, enum err e)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct str id = str_first(stanza->id, stanza->id.len < 256 ? stanza->id.len : 256);
    log_event(level, "message-not-kept", "account=%.*s id=%.*s error=%s",
              STR_ARGS(account->jid.full), STR_ARGS(log_quote(&arena, id)), err_name(e));
    arena_done(&arena);
}

/* ---- From our people ---- */

// A sender has a copy of his own in his archive, and his other devices see what he sent.
struct sent {
    struct row row;
    struct account *account;
    uint64_t session;
    struct ticket *ticket;
    struct link link; // in desk->unarchived, while it waits for a store that failed
    struct timer timer;
    bool waited;
};

static void sent_free(struct sent *sent)
{
    row_done(&sent->row);
    ticket_unref(&sent->ticket);
    account_release(sent->account);
    free(sent);
}

static void sent_is_archived(struct store_request *request);

static void archive_sent(struct sent *sent)
{
    sent->row.op.request = (struct store_request){.home = loop_mailbox(sent->account->home->loop),
                                                  .done = sent_is_archived};
    store_append(sent->account->home->store, &sent->row.op);
}

static void sent_goes_on(struct timer *timer)
{
    struct sent *sent = CONTAINER_OF(timer, struct sent, timer);
    list_leave(&sent->link);
    desk_of(sent->account->home)->n_unarchived -= sent->ticket == NULL;
    if (ticket_has_failed(
            sent->ticket)) // its sender has got an error, or it comes again as a whole
        sent_free(sent);
    else
        archive_sent(sent);
}

// The message is on its way: its sender's copy follows when the store takes it again, and until
// then nobody hears that we have it.  How many wait is bounded by the windows of sessions
// (XEP-0198: SM_WINDOW of each, behind which its reader pauses), and for those without by a number.
// Either bound is its own: who has no window is not refused for what others have in theirs.
static bool sent_waits(struct sent *sent, enum err e)
{
    struct desk *desk = desk_of(sent->account->home);
    if ((e != ERR_FULL && e != ERR_BUSY && e != ERR_IO) || desk->closes ||
        (sent->ticket == NULL && desk->n_unarchived >= UNARCHIVED_MOST))
        return false;
    if (!sent->waited)
        log_event(LOG_WARNING, "sent-archive-waits", "account=%.*s error=%s",
                  STR_ARGS(sent->account->jid.full), err_name(e));
    sent->waited = true;
    store_release(&sent->row.op.request);
    list_add_last(&desk->unarchived, &sent->link);
    desk->n_unarchived += sent->ticket == NULL;
    loop_timer_set(sent->account->home->loop, &sent->timer, archive_again_us, sent_goes_on);
    return true;
}

static void sent_is_archived(struct store_request *request)
{
    struct sent *sent = CONTAINER_OF(request, struct sent, row.op.request);
    struct account *account = sent->account;
    uint64_t id = (uint64_t)sent->row.op.id;
    enum err e = request->result;
    if (e != OK && sent_waits(sent, e))
        return;
    if (e != OK) {
        log_event(LOG_WARNING, "sent-not-archived", "account=%.*s error=%s",
                  STR_ARGS(account->jid.full), err_name(e));
        id = 0;
        // the end of the service: a session that is resumed would be told that we have it
        struct session *session = sent->ticket != NULL && desk_of(account->home)->closes
                                      ? session_find(account->home, sent->session)
                                      : NULL;
        if (session != NULL && !session->ending)
            session_end_with(session, STREAM_SYSTEM_SHUTDOWN, NULL);
    } else {
        desk_of(account->home)->counters.archived++;
    }
    carbons_sent(account, sent->session, sent->row.stanza, id);
    sent_free(sent);
}

void message_close(struct desk *desk)
{
    LIST_EACH(&desk->unarchived, struct sent, link, sent)
    {
        loop_timer_cancel(&sent->timer);
        sent_goes_on(&sent->timer); // a last time
    }
}

void message_sent(struct account *account, uint64_t session, struct stanza *stanza,
                  struct ticket *ticket, int64_t at_us)
{
    if (!archive_wants(account, &stanza->to) || !message_is_archivable(stanza)) {
        carbons_sent(account, session, stanza, 0);
        return;
    }
    struct sent *sent = calloc(1, sizeof *sent);
    must(sent != NULL);
    sent->account = account;
    sent->session = session;
    sent->ticket = ticket_ref(ticket);
    account_hold(account);
    row_init(&sent->row, account, stanza, &stanza->to, STORE_ARCHIVED | STORE_OUTGOING, at_us);
    archive_sent(sent);
}

void message_accept(struct account *sender, uint64_t session, struct stanza *stanza,
                    struct ticket *ticket, unsigned flags, int64_t at_us)
{
    stanza_seal(stanza);
    // written down twice, if at all: once in each archive
    if (stanza->text.len == 0 && (ticket != NULL || archive_wants(sender, &stanza->to)))
        stanza_keep_text(stanza);
    // what one sends to oneself is archived once, as it arrives
    if (!jid_eq_bare(&stanza->to, &sender->jid))
        message_sent(sender, session, stanza, ticket, at_us);
    route_stanza_to(sender->home, stanza, &stanza->to, ticket, flags, at_us);
}

void message_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    struct account *account = session->account;
    // RFC 6121 8.1.1.1: without to it is for the sender's own account
    if (stanza->to.full.len == 0)
        stanza_set_to(stanza, &account->jid);
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->from_client != NULL && features[f]->from_client(session, stanza) == STOP)
            return;
    // the guard: at once when nothing in it can be opened, else later, and the session waits
    if (gate_message(session, stanza, ticket) ||
        behind_waits(account, session->id, stanza, ticket, 0))
        return;
    message_accept(account, session->id, stanza, ticket, 0, 0);
}

/* ---- For our people ---- */

enum delivery_state { WAITS_FOR_ROW, READY_TO_GO };

struct delivery {
    struct link link; // in account->deliveries
    enum delivery_state state;
    struct account *account;
    struct routed *routed;
    bool has_row, archived, spooled;
    struct row row;
};

static void delivery_leaves(struct delivery *delivery)
{
    list_leave(&delivery->link);
    delivery->account->n_deliveries--;
}

static void delivery_free(struct delivery *delivery)
{
    account_release(delivery->account);
    routed_free(&delivery->routed);
    if (delivery->has_row)
        row_done(&delivery->row);
    free(delivery);
}

struct targets {
    size_t n;
    struct session *sessions[SESSIONS_MOST];
    bool gets[SESSIONS_MOST];
};

static enum rule_fate decide(struct account *account, const struct routed *routed, bool may_keep,
                             struct targets *targets)
{
    struct rule_session facts[SESSIONS_MOST];
    targets->n = 0;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    {
        if (session->ending)
            continue;
        if (targets->n == SESSIONS_MOST)
            break;
        facts[targets->n] = (struct rule_session){
            .available = session->available,
            .priority = session->priority,
            .is_addressed =
                str_eq(session->jid.resource, routed->to.resource) && routed->to.resource.len > 0,
        };
        targets->gets[targets->n] = false;
        targets->sessions[targets->n++] = session;
    }
    return delivery_rule(routed->stanza->type, !jid_is_bare(&routed->to), may_keep, facts,
                         targets->n, targets->gets);
}

// Hands it to the sessions that the rules name now: some may have come or gone since it arrived.
static void hand_over(struct account *account, struct delivery *delivery,
                      const struct targets *targets)
{
    struct routed *routed = delivery->routed;
    struct desk *desk = desk_of(account->home);
    uint64_t id = delivery->has_row ? (uint64_t)delivery->row.op.id : 0;
    struct sending_out what = {
        .stanza = routed->stanza,
        .archive_id = delivery->archived ? id : 0,
        .spool_id = delivery->spooled ? id : 0,
        .spool_size = delivery->spooled ? delivery->row.op.stanza.len : 0,
        .delay_us = (routed->flags & ROUTED_HELD) != 0 ? routed->at_us : 0,
        .at_us = routed->at_us,
    };
    for (size_t i = 0; i < targets->n; i++)
        if (targets->gets[i]) {
            desk->counters.messages_delivered++;
            send_to_session(targets->sessions[i], &what);
            // if it comes back without a row, it does so once
            what.fleeting = what.spool_id == 0;
        }
    if (element_child(routed->stanza->root, NS_CLIENT, STR("body")) != NULL)
        gate_received(account, &routed->stanza->from);
    carbons_received(account, routed->stanza, what.archive_id, targets->sessions, targets->gets,
                     targets->n);
}

static void refuse(struct account *account, const struct routed *routed)
{
    desk_of(account->home)->counters.messages_refused++;
    // RFC 6121 8.5.2.2.1, 8.5.3.2.1
    send_refusal_full(account->home, routed->stanza, routed->ticket,
                      &(struct stanza_error){.condition = STANZA_SERVICE_UNAVAILABLE});
}

// A presence or iq that came behind a message.
static void pass_on(struct account *account, struct delivery *delivery)
{
    struct routed *routed = TAKE(delivery->routed);
    struct in_hand_slot *in_hand = account->home->in_hand;
    delivery_free(delivery);
    (void)!in_hand_begin(in_hand, routed->stanza); // what is put aside did not arrive
    if (routed->stanza->kind == STANZA_PRESENCE)
        presence_arrived(account, routed);
    else
        iq_arrived(account, routed);
    in_hand_done(in_hand);
}

static void finish(struct account *account, struct delivery *delivery)
{
    struct targets targets;
    if (delivery->routed->stanza->kind != STANZA_MESSAGE) {
        pass_on(account, delivery);
        return;
    }
    struct in_hand_slot *in_hand = account->home->in_hand;
    (void)!in_hand_begin(in_hand, delivery->routed->stanza); // what is put aside did not arrive
    bool keeps = message_is_keepable(delivery->routed->stanza);
    switch (decide(account, delivery->routed, keeps, &targets)) {
    case RULE_DELIVER:
        hand_over(account, delivery, &targets);
        break;
    case RULE_OFFLINE:
        if (!delivery->spooled)
            message_keep(account, delivery->routed->stanza, delivery->routed->at_us);
        break;
    case RULE_REFUSE:
        refuse(account, delivery->routed);
        break;
    case RULE_DROP:
        break;
    }
    delivery_free(delivery);
    in_hand_done(in_hand);
}

void message_pump(struct account *account)
{
    account_hold(account);
    while (!account->spool_reading) {
        struct delivery *first = LIST_FIRST(&account->deliveries, struct delivery, link);
        if (first == NULL || first->state == WAITS_FOR_ROW)
            break;
        delivery_leaves(first); // before it is finished: an error to ourselves comes back here
        finish(account, first);
    }
    account_release(account);
}

static void row_is_there(struct store_request *request)
{
    struct delivery *delivery = CONTAINER_OF(request, struct delivery, row.op.request);
    struct account *account = delivery->account;
    struct desk *desk = desk_of(account->home);
    account_hold(account);
    if (request->result == OK) {
        delivery->state = READY_TO_GO;
        desk->counters.archived += delivery->archived;
        desk->counters.messages_spooled += delivery->spooled;
        if (delivery->spooled && delivery->row.op.folded)
            spool_uncount(account, 1, delivery->row.op.stanza.len);
        ticket_unref(&delivery->routed->ticket); // durable; a slow reader is not the sender's
    } else {
        log_not_kept(LOG_WARNING, account, delivery->routed->stanza, request->result);
        if (delivery->spooled)
            spool_uncount(account, 1, delivery->row.op.stanza.len);
        delivery_leaves(delivery);
        if (!ticket_fail(delivery->routed->ticket))
            send_store_refusal(account->home, delivery->routed->stanza, delivery->routed->ticket,
                               request->result);
        delivery_free(delivery);
    }
    message_pump(account);
    account_release(account);
}

size_t message_ids_waiting(const struct account *account, int64_t *ids, size_t most)
{
    size_t n = 0;
    LIST_EACH(&account->deliveries, const struct delivery, link, delivery)
    if (delivery->spooled && n < most)
        ids[n++] = delivery->row.op.id;
    return n;
}

// The limit because of which no more may wait for an account that is away; NULL: one more may.
static const char *limit_of_room(const struct account *account, const struct stanza *stanza)
{
    const struct im_settings *settings = desk_of(account->home)->settings;
    size_t size = stanza->text.len > 0 ? stanza->text.len : stanza->inner.len;
    if (account->n_spooled >= settings->offline_messages)
        return "limits.offline_messages";
    if (account->spooled_bytes > settings->offline_bytes ||
        size > settings->offline_bytes - account->spooled_bytes)
        return "limits.offline_bytes";
    return NULL;
}

static struct delivery *delivery_new(struct account *account, struct routed *routed)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    must(delivery != NULL);
    delivery->account = account;
    delivery->routed = routed;
    delivery->state = READY_TO_GO;
    account_hold(account);
    list_add_last(&account->deliveries, &delivery->link);
    account->n_deliveries++;
    return delivery;
}

// The server's own word about a stanza: it is on its way before that is acknowledged.
static bool is_our_error(const struct routed *routed)
{
    return routed->stanza->type == TYPE_ERROR && (routed->flags & ROUTED_BY_SERVER) != 0;
}

static bool changes_subscription(const struct stanza *stanza)
{
    return stanza->kind == STANZA_PRESENCE &&
           (stanza->type == TYPE_SUBSCRIBE || stanza->type == TYPE_SUBSCRIBED ||
            stanza->type == TYPE_UNSUBSCRIBE || stanza->type == TYPE_UNSUBSCRIBED);
}

bool message_is_before(struct account *account, struct routed *routed)
{
    const struct stanza *stanza = routed->stanza;
    // of all these only a subscription has effects that last: it is acknowledged when they do,
    // and so cannot wait for a slow reader
    bool lasts = changes_subscription(stanza);
    if (account->n_deliveries >= DELIVERIES_MOST || (lasts && account->spool_reading))
        return false;
    LIST_EACH(&account->deliveries, const struct delivery, link, delivery)
    if (jid_eq(&delivery->routed->stanza->from, &stanza->from)) {
        delivery_new(account, routed);
        if (!lasts && !is_our_error(routed))
            ticket_unref(&routed->ticket);
        return true;
    }
    return false;
}

void message_arrived(struct account *account, struct routed *routed)
{
    struct desk *desk = desk_of(account->home);
    struct stanza *stanza = routed->stanza;
    struct targets targets;
    bool keepable = message_is_keepable(stanza);
    const char *limit = limit_of_room(account, stanza);
    bool room = limit == NULL;
    if (account->n_deliveries >= DELIVERIES_MOST) {
        desk->counters.messages_refused++;
        if (!ticket_fail(routed->ticket))
            send_store_refusal(account->home, stanza, routed->ticket, ERR_BUSY);
        routed_free(&routed);
        return;
    }
    enum rule_fate fate = decide(account, routed, keepable && room, &targets);
    if (fate == RULE_REFUSE || fate == RULE_DROP) {
        if (fate == RULE_REFUSE && keepable && !room)
            limit_reached(account->home, account->jid.full, limit);
        if (fate == RULE_REFUSE)
            refuse(account, routed);
        routed_free(&routed);
        return;
    }
    bool archived = message_is_archivable(stanza) && archive_wants(account, &stanza->from);
    // a row for what may have to be taken back, archive or not: the store keeps it by its keys
    bool has_lure = stanza->lure_keys.len > 0;
    // an archived row may serve as spool too; without one it is needed where nobody is there, and
    // where the sender will be told that we have it (XEP-0198).  The offline ceiling is
    // for what waits for nobody; what sessions have in hand is bounded by their outboxes
    bool spooled = keepable && (room || fate == RULE_DELIVER) &&
                   (archived || fate == RULE_OFFLINE || routed->ticket != NULL);
    struct delivery *delivery = delivery_new(account, routed);
    delivery->archived = archived;
    delivery->spooled = spooled;
    delivery->state = archived || has_lure || spooled ? WAITS_FOR_ROW : READY_TO_GO;
    if (delivery->state == READY_TO_GO) {
        if (!is_our_error(routed)) // nothing of it lasts
            ticket_unref(&routed->ticket);
        message_pump(account);
        return;
    }
    delivery->has_row = true;
    row_init(&delivery->row, account, stanza, &stanza->from,
             (uint8_t)((archived ? STORE_ARCHIVED : 0) | (spooled ? STORE_SPOOLED : 0)),
             routed->at_us);
    delivery->row.op.request.done = row_is_there;
    if (spooled) // at once: a flood is not done before the first commit
        spool_counted(account, delivery->row.op.stanza.len);
    store_append(account->home->store, &delivery->row.op);
}

/* ---- Messages whose reader went away ---- */

struct keeping {
    struct row row;
    struct account *account;
};

static void is_kept(struct store_request *request)
{
    struct keeping *keeping = CONTAINER_OF(request, struct keeping, row.op.request);
    struct account *account = keeping->account;
    uint64_t size = keeping->row.op.stanza.len;
    if (request->result == OK) {
        if (keeping->row.op.folded)
            spool_uncount(account, 1, size);
        offline_nudge(account);
    } else {
        spool_uncount(account, 1, size);
        log_not_kept(LOG_ERROR, account, keeping->row.stanza, request->result);
        send_store_refusal(account->home, keeping->row.stanza, NULL, request->result);
    }
    row_done(&keeping->row);
    account_release(account);
    free(keeping);
}

void message_keep(struct account *account, struct stanza *stanza, int64_t at_us)
{
    const char *limit = limit_of_room(account, stanza);
    if (limit != NULL) {
        limit_reached(account->home, account->jid.full, limit);
        desk_of(account->home)->counters.messages_refused++;
        send_refusal(account->home, stanza, STANZA_SERVICE_UNAVAILABLE, NULL);
        return;
    }
    struct keeping *keeping = calloc(1, sizeof *keeping);
    must(keeping != NULL);
    keeping->account = account;
    account_hold(account);
    row_init(&keeping->row, account, stanza, &stanza->from, STORE_SPOOLED, at_us);
    keeping->row.op.request.done = is_kept;
    spool_counted(account, keeping->row.op.stanza.len);
    store_append(account->home->store, &keeping->row.op);
}
