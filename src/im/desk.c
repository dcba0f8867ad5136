#include "im/desk.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/adhoc.h"
#include "im/behind.h"
#include "im/caps.h"
#include "im/decoys.h"
#include "im/feature.h"
#include "im/gate.h"
#include "im/iq.h"
#include "im/message.h"
#include "im/presence.h"
#include "im/questions.h"
#include "im/send.h"
#include "im/session_life.h"
#include "im/sm_store.h"
#include "route/in_hand.h"

#include <stdlib.h>

/* ---- What route asks of us ---- */

static bool serves(const struct home *home, struct str domain)
{
    return desk_domain(desk_of(home), domain) != NULL;
}

// What is refused is acknowledged when its error is on the way, not before.
static void refuse(struct home *home, const struct routed *routed, enum stanza_condition condition)
{
    send_refusal_by(home, routed->stanza, &routed->to, routed->ticket,
                    &(struct stanza_error){.condition = condition});
}

static void refuse_absent(struct home *home, struct account *account, struct routed *routed)
{
    const struct stanza *stanza = routed->stanza;
    if (account->state == ACCOUNT_BROKEN)
        send_store_refusal(home, stanza, routed->ticket, ERR_IO);
    else if (stanza->kind != STANZA_PRESENCE) // RFC 6121 8.5.1: silent for presence
        refuse(home, routed, STANZA_SERVICE_UNAVAILABLE);
    routed_free(&routed);
}

static void take_arrived(struct home *home, struct account *account, struct routed *routed)
{
    if (account->state != ACCOUNT_READY) {
        refuse_absent(home, account, routed);
        return;
    }
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->at_account != NULL && features[f]->at_account(account, routed) == STOP) {
            routed_free(&routed);
            return;
        }
    if (routed->stanza->kind == STANZA_MESSAGE)
        message_arrived(account, routed);
    else if (message_is_before(account, routed))
        return;
    else if (routed->stanza->kind == STANZA_PRESENCE)
        presence_arrived(account, routed);
    else
        iq_arrived(account, routed);
}

static void arrived(struct home *home, struct account *account, struct routed *routed)
{
    if (in_hand_begin(home->in_hand, routed->stanza)) {
        take_arrived(home, account, routed);
    } else {
        send_refusal_aside(home, routed->stanza, routed->ticket);
        routed_free(&routed);
    }
    in_hand_done(home->in_hand);
}

static void for_domain(struct home *home, struct routed *routed)
{
    struct stanza *stanza = routed->stanza;
    if (desk_domain(desk_of(home), routed->to.domain) == NULL)
        refuse(home, routed, STANZA_REMOTE_SERVER_NOT_FOUND); // no federation here
    else if (stanza->kind == STANZA_IQ) {
        iq_for_domain(home, routed);
        return;
    } else if (stanza->kind == STANZA_MESSAGE && !questions_answered(home, routed))
        refuse(home, routed, STANZA_SERVICE_UNAVAILABLE);
    routed_free(&routed);
}

static void account_loaded(struct account *account, const struct store_account_load *loaded)
{
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->account_loaded != NULL)
            features[f]->account_loaded(account, loaded);
}

static void account_forgotten(struct account *account)
{
    for (size_t f = 0; features[f] != NULL; f++)
        if (features[f]->account_forgotten != NULL)
            features[f]->account_forgotten(account);
}

static void delivered(struct session *session, struct stanza *stanza)
{
    if (stanza->lure_keys.len > 0)
        gate_exposed(session->account, stanza);
}

static const struct home_events events = {
    .arrived = arrived,
    .serves = serves,
    .for_domain = for_domain,
    .loaded = account_loaded,
    .forgotten = account_forgotten,
    .delivered = delivered,
};

/* ---- The desk ---- */

static void use_settings(struct desk *desk)
{
    const struct im_settings *settings = desk->settings;
    desk->policy = (struct stream_policy){
        .crypto = desk->service->crypto,
        .secret = desk->service->secret,
        .iterations = settings->iterations,
        .attempts = settings->attempts,
        .domain = settings->domains[0].name,
        .strange = settings->strange,
        .known = settings->known,
    };
}

struct desk *desk_new(struct service *service, struct worker *worker, struct im_settings *settings)
{
    struct desk *desk = calloc(1, sizeof *desk);
    must(desk != NULL);
    desk->service = service;
    desk->settings = im_settings_ref(settings);
    list_init(&desk->clients);
    list_init(&desk->questions);
    list_init(&desk->activities);
    list_init(&desk->unarchived);
    const struct home_limits limits = {
        .accounts = 100000,
        .idle_us = 300 * SECOND_US,
    };
    desk->home = home_new(&service->homes, worker, service->store, &limits, &events, desk);
    use_settings(desk);
    worker_set_data(worker, desk);
    return desk;
}

void desk_close(struct desk *desk)
{
    struct session *session;
    size_t at = 0;
    desk->closes = true;
    behind_end(desk->home);
    message_close(desk);
    decoys_close(desk);
    while ((session = table_next(&desk->home->sessions, &at)) != NULL)
        if (!sm_is_resumable(session))
            session_end_with(session, STREAM_SYSTEM_SHUTDOWN, NULL);
}

static bool is_settled(const struct session *session)
{
    return !session->account->spool_reading && session->client == NULL &&
           session->sm->durable == session->sm->received;
}

void desk_keep_sessions(struct desk *desk)
{
    size_t n = 0, at = 0;
    struct session **sessions = calloc(desk->home->sessions.n + 1, sizeof(struct session *));
    must(sessions != NULL);
    for (struct session *s; (s = table_next(&desk->home->sessions, &at)) != NULL;)
        if (!s->ending)
            sessions[n++] = s;
    for (size_t i = 0; i < n; i++)
        if (sm_is_resumable(sessions[i]) && is_settled(sessions[i]))
            sm_keep(sessions[i]);
        else
            session_end_with(sessions[i], STREAM_SYSTEM_SHUTDOWN, NULL);
    free(sessions);
}

void desk_free(struct desk **desk)
{
    struct desk *d = TAKE(*desk);
    if (d == NULL)
        return;
    questions_free(&d->questions);
    decoys_free(&d->decoys);
    home_free(&d->home);
    caps_cache_free(&d->caps);
    adhoc_book_free(&d->adhoc);
    im_settings_unref(&d->settings);
    free(d);
}

struct new_settings {
    struct mail mail;
    struct desk *desk;
    struct im_settings *settings;
};

static void take_settings(struct mail *mail)
{
    struct new_settings *news = CONTAINER_OF(mail, struct new_settings, mail);
    // old ones may still be in use further up this thread's stack: they go with the last reference
    im_settings_unref(&news->desk->settings);
    news->desk->settings = news->settings;
    use_settings(news->desk);
    free(news);
}

void service_set_settings(struct service *service, struct im_settings *settings)
{
    if (service->gate != NULL)
        gate_set_settings(service->gate, settings);
    for (unsigned i = 0; i < service->homes.n; i++) {
        struct new_settings *news = calloc(1, sizeof *news);
        must(news != NULL);
        news->mail.run = take_settings;
        news->desk = desk_of(service->homes.at[i]);
        news->settings = im_settings_ref(settings);
        loop_post(service->homes.at[i]->loop, &news->mail);
    }
}
