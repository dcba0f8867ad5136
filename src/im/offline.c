/*
 * While the spool is read for a session, later messages for the account wait
 * behind it (account->spool_reading), so that the order of arrival is kept.
 * Rows that are in some session's outbox already are passed over.
 */
#include "im/offline.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/message.h"
#include "im/send.h"

#include <stdlib.h>

enum { PAGE = 100, ROOM_KEPT = 50 }; // messages; outbox entries left for what else comes

struct reading {
    struct store_spool_list op;
    struct account *account;
    uint64_t session;
    int64_t after_id;
    struct timer timer;
};

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The spool ids that sessions have in hand, sorted.
static int64_t *ids_in_hand(const struct account *account, size_t *n)
{
    size_t most = 0;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    most += session->outbox_n;
    int64_t *ids = calloc(most + 1, sizeof *ids);
    must(ids != NULL);
    *n = 0;
    LIST_EACH(&account->sessions, struct session, in_account, session)
    LIST_EACH(&session->outbox, struct out, link, out)
    if (out->spool_id != 0)
        ids[(*n)++] = (int64_t)out->spool_id;
    qsort(ids, *n, sizeof *ids, compare_ids);
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
    account->spool_reading = false;
    loop_timer_cancel(&reading->timer);
    free(reading);
    message_pump(account);
    account_release(account);
}

static void send_page(struct session *session, const struct store_spool_list *page)
{
    size_t n_in_hand;
    int64_t *in_hand = ids_in_hand(session->account, &n_in_hand);
    for (uint32_t i = 0; i < page->n && !session->ending; i++) {
        const struct store_message *row = &page->messages[i];
        if (bsearch(&row->id, in_hand, n_in_hand, sizeof row->id, compare_ids) != NULL)
            continue;
        struct stanza *stanza = stanza_parse(row->stanza);
        if (stanza == NULL)
            continue; // the store's integrity check is who complains
        stanza_seal(stanza);
        desk_of(session->home)->counters.messages_delivered++;
        send_to_session(session,
                        &(struct sending_out){
                            .stanza = stanza,
                            .archive_id = row->flags & STORE_ARCHIVED ? (uint64_t)row->id : 0,
                            .spool_id = (uint64_t)row->id,
                            .delay_us = row->wall_us,
                        });
        stanza_unref(&stanza);
    }
    free(in_hand);
}

static void page_is_there(struct store_request *request)
{
    struct reading *reading = CONTAINER_OF(request, struct reading, op.request);
    struct session *session = session_find(reading->account->home, reading->session);
    bool more = false;
    if (request->result == OK && session != NULL && !session->ending) {
        send_page(session, &reading->op);
        more = reading->op.more;
        if (reading->op.n > 0)
            reading->after_id = reading->op.messages[reading->op.n - 1].id;
    }
    store_release(request);
    session = session_find(reading->account->home, reading->session);
    if (more && session != NULL && !session->ending)
        read_page(reading);
    else
        finish(reading);
}

static void read_page(struct reading *reading)
{
    struct session *session = session_find(reading->account->home, reading->session);
    if (session == NULL || session->ending) {
        finish(reading);
        return;
    }
    size_t room = session->outbox_n_most - session->outbox_n;
    if (room < ROOM_KEPT + PAGE) {
        // a slow reader is waited for, not drowned
        loop_timer_set(session->home->loop, &reading->timer, SECOND_US / 20, read_on);
        return;
    }
    reading->op.request.home = loop_mailbox(session->home->loop);
    reading->op.request.done = page_is_there;
    reading->op.account = reading->account->number;
    reading->op.after_id = reading->after_id;
    reading->op.most = PAGE;
    store_spool_list(session->home->store, &reading->op);
}

void offline_deliver(struct session *session)
{
    struct account *account = session->account;
    if (account->spool_reading || account->n_spooled == 0)
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
