/*
 * While the spool is read for a session, later messages for the account wait
 * behind it (account->spool_reading), so that the order of arrival is kept.
 * Rows that are in some session's outbox already, or wait for their turn
 * (message.c), are passed over.
 */
#include "im/offline.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/gate.h"
#include "im/message.h"
#include "im/send.h"
#include "im/session_life.h"
#include "route/in_hand.h"

#include <stdlib.h>

enum {
    PAGE = 100,      // messages
    ROOM_KEPT = 50,  // outbox entries left for what else comes
    AGAIN_MS = 50,   // between looks at a slow reader's outbox
    PATIENCE = 1200, // such looks without progress: then the reader is given up
};

struct reading {
    struct store_spool_list op;
    struct account *account;
    uint64_t session;
    int64_t after_id;
    unsigned looks;               // in vain
    const struct gate_look *look; // what rules for texts say of the page, while it is sent
    struct timer timer;
};

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The spool ids that sessions have in hand or that wait for their turn: sorted, each once.
static int64_t *ids_in_hand(const struct account *account, size_t *n)
{
    size_t most = account->n_deliveries, n_all = 0;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    most += session->outbox_n;
    int64_t *ids = calloc(most + 1, sizeof *ids);
    must(ids != NULL);
    LIST_EACH(&account->sessions, struct session, in_account, session)
    LIST_EACH(&session->outbox, struct out, link, out)
    if (out->spool_id != 0)
        ids[n_all++] = (int64_t)out->spool_id;
    n_all += message_ids_waiting(account, ids + n_all, most - n_all);
    qsort(ids, n_all, sizeof *ids, compare_ids);
    *n = 0;
    for (size_t i = 0; i < n_all; i++)
        if (*n == 0 || ids[*n - 1] != ids[i])
            ids[(*n)++] = ids[i];
    return ids;
}

static void read_page(struct reading *reading);

static void read_on(struct timer *timer)
{
    read_page(CONTAINER_OF(timer, struct reading, timer));
}

static void finish(struct reading *reading)
{
    struct account *account = reading->account;
    bool again = account->spool_again;
    account->spool_reading = account->spool_again = false;
    loop_timer_cancel(&reading->timer);
    free(reading);
    if (again)
        offline_nudge(account);
    message_pump(account);
    account_release(account);
}

static bool has_room(const struct session *session, size_t size)
{
    size_t kept = session->outbox_n_most / 4 < ROOM_KEPT ? session->outbox_n_most / 4 : ROOM_KEPT;
    size_t half = session->outbox_bytes_most / 2;
    if (session->outbox_n == 0)
        return true;
    return session->outbox_n + kept < session->outbox_n_most && size < half &&
           session->outbox_bytes < half - size;
}

static void send_whole_row(struct session *session, const struct store_message *row,
                           const struct text_hits *hits)
{
    struct desk *desk = desk_of(session->home);
    struct stanza *stanza = stanza_parse(row->stanza);
    if (stanza == NULL) {
        log_event(LOG_ERROR, "spooled-message-damaged", "account=%.*s row=%lld",
                  STR_ARGS(session->account->jid.full), (long long)row->id);
        return;
    }
    gate_bring_out_dead(session->account, &stanza, hits); // its retraction may be on its way
    stanza_seal(stanza);
    if (in_hand_begin(session->home->in_hand, stanza)) {
        desk->counters.messages_delivered++;
        send_to_session(
            session, &(struct sending_out){
                         .stanza = stanza,
                         .archive_id = (row->flags & STORE_ARCHIVED) != 0 ? (uint64_t)row->id : 0,
                         .spool_id = (uint64_t)row->id,
                         .spool_size = row->stanza.len,
                         .delay_us = row->wall_us,
                     });
    }
    in_hand_done(session->home->in_hand);
    stanza_unref(&stanza);
}

// What is put aside, by its row or by what it is, stays where it is.
static void send_row(struct session *session, const struct store_message *row,
                     const struct text_hits *hits)
{
    struct in_hand_slot *in_hand = session->home->in_hand;
    if (in_hand_begin_number(in_hand, "row", (uint64_t)row->id, 0))
        send_whole_row(session, row, hits);
    else
        log_event(LOG_WARNING, "put-aside-kept", "account=%.*s row=%lld",
                  STR_ARGS(session->account->jid.full), (long long)row->id);
    in_hand_done(in_hand);
}

// Sends as much as the session's outbox takes; false: not all.
static bool send_page(struct session *session, struct reading *reading)
{
    const struct store_spool_list *page = &reading->op;
    size_t n_in_hand;
    int64_t *in_hand = ids_in_hand(session->account, &n_in_hand);
    bool all = true;
    for (uint32_t i = 0; i < page->n && all && !session->ending; i++) {
        const struct store_message *row = &page->messages[i];
        if (bsearch(&row->id, in_hand, n_in_hand, sizeof row->id, compare_ids) == NULL) {
            all = has_room(session, row->stanza.len);
            if (all)
                send_row(session, row, gate_look_hits(reading->look, i));
        }
        if (all) {
            reading->after_id = row->id;
            reading->looks = 0;
        }
    }
    free(in_hand);
    return all;
}

// A slow reader is waited for, not drowned; but not for ever: others wait behind.
static void wait_for_reader(struct reading *reading, struct session *session)
{
    if (++reading->looks > PATIENCE)
        session_end_with(session, STREAM_RESOURCE_CONSTRAINT, "too much waits for this client");
    loop_timer_set(session->home->loop, &reading->timer, AGAIN_MS * 1000, read_on);
}

static void page_was_looked_at(void *context, const struct gate_look *look)
{
    struct reading *reading = context;
    struct home *home = reading->account->home;
    struct session *session = session_find(home, reading->session);
    enum err e = reading->op.request.result;
    bool gone = session == NULL || session->ending, more = reading->op.more;
    reading->look = look;
    bool all = gone || e != OK || send_page(session, reading);
    reading->look = NULL;
    store_release(&reading->op.request);
    if (!gone && e != OK)
        loop_timer_set(home->loop, &reading->timer, SECOND_US, read_on);
    else if (!all)
        wait_for_reader(reading, session);
    else if (gone || more || session->ending)
        read_page(reading); // which sees who is gone
    else
        finish(reading);
}

static void page_is_there(struct store_request *request)
{
    struct reading *reading = CONTAINER_OF(request, struct reading, op.request);
    gate_look_again(reading->account, reading->op.messages,
                    request->result == OK ? reading->op.n : 0, page_was_looked_at, reading);
}

static void read_page(struct reading *reading)
{
    struct session *session = session_find(reading->account->home, reading->session);
    if (session == NULL || session->ending) {
        reading->account->spool_again = true; // another one may have the rest
        finish(reading);
        return;
    }
    if (!has_room(session, 0) || session->outbox_n > session->outbox_n_most / 2) {
        wait_for_reader(reading, session);
        return;
    }
    reading->op.request.home = loop_mailbox(session->home->loop);
    reading->op.request.done = page_is_there;
    reading->op.account = reading->account->number;
    reading->op.after_id = reading->after_id;
    reading->op.most = PAGE;
    store_spool_list(session->home->store, &reading->op);
}

static bool may_hold_more(const struct account *account)
{
    size_t n;
    if (account->n_spooled == 0)
        return false;
    free(ids_in_hand(account, &n));
    return account->n_spooled > n;
}

void offline_deliver(struct session *session)
{
    struct account *account = session->account;
    if (account->spool_reading) {
        account->spool_again = true;
        return;
    }
    if (!may_hold_more(account))
        return;
    struct reading *reading = calloc(1, sizeof *reading);
    must(reading != NULL);
    reading->account = account;
    reading->session = session->id;
    account->spool_reading = true;
    account_hold(account);
    read_page(reading);
}

void offline_nudge(struct account *account)
{
    if (account->spool_reading) {
        account->spool_again = true;
        return;
    }
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && session->priority >= 0 && !session->ending) {
        offline_deliver(session);
        return;
    }
}

const struct feature feature_offline = {
    .name = "offline",
    .spec = "XEP-0160",
    .disco_server = (const struct str[]){{"msgoffline", 10}, {0}},
};
