/*
 * The guard's thread: the only one that touches the guard.
 *
 * Each event goes to the log (gate_log.c) under the number it will have, then
 * the guard takes it, and what it orders is carried out (containment.c).
 */
#include "im/gate_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/containment.h"
#include "route/in_hand.h"
#include "route/own.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ALARM_US = 100000,   // an event that takes longer is worth a line in the log
    HITS_SAID_MOST = 60, // lines a minute about decoys: a worm may write to very many
};

/* ---- What is convicted, for the workers ---- */

// The keys that are convicted: immutable, another whenever one is added or ends.
struct gate_stops {
    atomic_uint refs;
    size_t n;
    struct lure_key keys[]; // sorted
};

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct lure_key));
}

static struct gate_stops *stops_now(struct gate *gate)
{
    pthread_mutex_lock(&gate->stops_lock);
    struct gate_stops *stops = gate->stops;
    atomic_fetch_add_explicit(&stops->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&gate->stops_lock);
    return stops;
}

static void stops_unref(struct gate_stops **stops)
{
    struct gate_stops *s = TAKE(*stops);
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
}

bool gate_convicts(struct gate *gate, struct str keys)
{
    struct gate_stops *stops = stops_now(gate);
    bool found = false;
    for (; !found && keys.len > 0; keys = str_skip(keys, sizeof(struct lure_key)))
        found =
            bsearch(keys.at, stops->keys, stops->n, sizeof stops->keys[0], compare_keys) != NULL;
    stops_unref(&stops);
    return found;
}

static void renew_stops(struct gate *gate)
{
    size_t n = guard_stops(gate->guard, NULL, 0);
    struct gate_stops *stops = malloc(sizeof *stops + n * sizeof stops->keys[0]);
    must(stops != NULL);
    atomic_init(&stops->refs, 1);
    stops->n = guard_stops(gate->guard, stops->keys, n);
    qsort(stops->keys, stops->n, sizeof stops->keys[0], compare_keys);
    pthread_mutex_lock(&gate->stops_lock);
    struct gate_stops *old = gate->stops;
    gate->stops = stops;
    pthread_mutex_unlock(&gate->stops_lock);
    stops_unref(&old);
}

static void renew_stops_if_changed(struct gate *gate, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++)
        if (word->orders[i].kind == ORDER_STOP) {
            renew_stops(gate);
            return;
        }
}

/* ---- What is suspended ---- */

struct gate_bans {
    size_t n, room;
    struct gate_ban {
        enum feature_kind feature;
        struct str account, domain; // own memory
        int64_t expires_us;
    } * list;
};

static void bans_free(struct gate_bans *bans)
{
    if (bans == NULL)
        return;
    for (size_t i = 0; i < bans->n; i++) {
        own_str_free(&bans->list[i].account);
        own_str_free(&bans->list[i].domain);
    }
    free(bans->list);
    free(bans);
}

static void add_ban(void *context, const struct guard_rule *rule)
{
    struct gate_bans *bans = context;
    if (rule->kind != RULE_SUSPEND)
        return;
    if (bans->n == bans->room) {
        bans->room = bans->room * 2 + 16;
        bans->list = realloc(bans->list, bans->room * sizeof *bans->list);
        must(bans->list != NULL);
    }
    bans->list[bans->n++] = (struct gate_ban){.feature = rule->feature,
                                              .account = own_str(rule->account),
                                              .domain = own_str(rule->domain),
                                              .expires_us = rule->expires_us};
}

static void renew_bans(struct gate *gate)
{
    struct gate_bans *bans = calloc(1, sizeof *bans);
    must(bans != NULL);
    guard_rules(gate->guard, add_ban, bans);
    pthread_mutex_lock(&gate->stops_lock);
    struct gate_bans *old = gate->bans;
    gate->bans = bans;
    pthread_mutex_unlock(&gate->stops_lock);
    bans_free(old);
}

bool gate_bans(struct gate *gate, const struct jid *who, enum feature_kind feature,
               int64_t *until_us)
{
    int64_t now_us = gate_now_us(gate), longest_us = now_us;
    pthread_mutex_lock(&gate->stops_lock);
    for (size_t i = 0; i < gate->bans->n; i++) {
        const struct gate_ban *ban = &gate->bans->list[i];
        bool covers = ban->account.len > 0
                          ? str_eq(ban->account, who->full)
                          : ban->domain.len == 0 || str_eq(ban->domain, who->domain);
        if (ban->feature == feature && covers && ban->expires_us > longest_us)
            longest_us = ban->expires_us;
    }
    pthread_mutex_unlock(&gate->stops_lock);
    if (longest_us == now_us)
        return false;
    *until_us = longest_us;
    return true;
}

/* ---- Judging ---- */

static int mode_of_domain(const struct gate *gate, struct str domain)
{
    for (size_t i = 0; i < gate->settings->n_domains; i++)
        if (str_eq(gate->settings->domains[i].name, domain))
            return gate->settings->domains[i].guard_mode;
    return GATE_OFF;
}

static void on_tick(struct timer *timer);

static void set_tick(struct gate *gate)
{
    int64_t next_us = guard_next_us(gate->guard);
    if (next_us == INT64_MAX) {
        loop_timer_cancel(&gate->tick);
        return;
    }
    int64_t wait_us = next_us - gate_now_us(gate);
    if (gate->clock_rate != 1)
        wait_us = (int64_t)((double)wait_us / gate->clock_rate);
    loop_timer_set(gate->loop, &gate->tick, wait_us > 0 ? wait_us : 1, on_tick);
}

static void copy_state(struct gate *gate);

static void copy_state_later(struct timer *timer)
{
    copy_state(CONTAINER_OF(timer, struct gate, state_timer));
}

static void copy_state(struct gate *gate)
{
    int64_t now_us = loop_now_us(gate->loop), age_us = now_us - gate->state_us;
    if (gate->state_us != 0 && age_us < SECOND_US) {
        if (!timer_is_set(&gate->state_timer)) // perhaps nothing happens for long after this
            loop_timer_set(gate->loop, &gate->state_timer, SECOND_US - age_us, copy_state_later);
        return;
    }
    gate->state_us = now_us;
    pthread_mutex_lock(&gate->state_lock);
    guard_state(gate->guard, &gate->state);
    pthread_mutex_unlock(&gate->state_lock);
}

void gate_state(struct gate *gate, struct guard_state *out, size_t *n_waiting)
{
    pthread_mutex_lock(&gate->state_lock);
    *out = gate->state;
    pthread_mutex_unlock(&gate->state_lock);
    *n_waiting = mailbox_waiting(loop_mailbox(gate->loop));
}

// The end of what was never carried out, because the account's domain only watches.
static bool never_began(const struct gate *gate, const struct order *order)
{
    return order->undo && order->reason == REASON_EXPIRED && order->who.len > 0 &&
           mode_of_domain(gate, jid_of_prepared(order->who).domain) == GATE_OBSERVE;
}

void gate_take(struct gate *gate, struct guard_event *event, struct guard_word *word, bool observes)
{
    int64_t began_us = clock_now_us();
    event->now_us = gate_now_us(gate);
    gate_log(gate, event);
    (void)!gate_begin_event(gate, guard_number(gate->guard) + 1, event); // a new one
    guard_take(gate->guard, event, word);
    if (word->n_orders > 0)
        gate_log_flush(gate);
    // first: what the orders bring out is looked at by what holds from now on
    renew_stops_if_changed(gate, word);
    if (event->kind == EVENT_SUSPEND)
        renew_bans(gate);
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        // who only watches lets nothing happen; what an operator wanted happens all the same
        if ((observes && order->kind != ORDER_DELIVER_HELD) || never_began(gate, order))
            log_event(LOG_NOTICE, "guard-would", "incident=%" PRIu64 " order=%d lure=%.*s",
                      order->incident, (int)order->kind, STR_ARGS(order->shown));
        else
            containment_carry_out(gate, order);
    }
    in_hand_done(gate->in_hand);
    int64_t took_us = clock_now_us() - began_us;
    if (took_us > ALARM_US)
        log_event(LOG_WARNING, "guard-slow", "microseconds=%" PRId64, took_us);
    gate_snapshot_if_due(gate);
    copy_state(gate);
    set_tick(gate);
}

static void on_tick(struct timer *timer)
{
    struct gate *gate = CONTAINER_OF(timer, struct gate, tick);
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {.kind = EVENT_TICK};
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(gate, &event, &word, false);
    arena_done(&arena);
}

// An operator sees it in the log at once; later with `decoy hits`.
static void say_decoy_hit(struct gate *gate, const struct sending *sending,
                          const struct guard_word *word)
{
    struct arena arena;
    int64_t now_us = loop_now_us(gate->loop);
    if (gate->hits_since_us == 0 || now_us - gate->hits_since_us > 60 * SECOND_US) {
        gate->hits_since_us = now_us;
        gate->n_hits_said = 0;
    }
    if (gate->n_hits_said++ >= HITS_SAID_MOST)
        return;
    arena_init(&arena, 65536);
    log_event(LOG_NOTICE, "decoy-hit",
              "decoy=%.*s sender=%.*s lure=%.*s nats=%.1f incident=%" PRIu64,
              STR_ARGS(sending->receiver), STR_ARGS(sending->sender),
              STR_ARGS(log_quote(&arena, word->decoy_lure)), word->decoy_nats, word->incident);
    arena_done(&arena);
}

void gate_judge(struct mail *mail)
{
    struct judging *judging = CONTAINER_OF(mail, struct judging, mail);
    struct gate *gate = judging->gate;
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {.kind = EVENT_SENDING, .sending = judging->sending};
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    (void)!in_hand_begin(gate->in_hand, judging->stanza); // what is put aside is not judged
    gate_take(gate, &event, &word, judging->observes);
    in_hand_done(gate->in_hand);
    if (word.decoy_nats > 0)
        say_decoy_hit(gate, &judging->sending, &word);
    judging->verdict = word.verdict;
    judging->reason = word.reason;
    judging->until_us = word.until_us;
    judging->suspended = word.suspended;
    judging->incident = word.incident;
    judging->defang = word.defang;
    judging->calm = word.calm;
    if (word.verdict == VERDICT_HOLD && !judging->observes)
        containment_will_hold(gate, judging->sending.message);
    arena_done(&arena);
    gate_answer(gate, judging);
}

void gate_note_exposure(struct mail *mail)
{
    struct exposing *exposing = CONTAINER_OF(mail, struct exposing, mail);
    struct gate *gate = exposing->gate;
    struct arena arena;
    struct guard_word word;
    struct lure_key keys[STORE_LURES_MOST];
    uint32_t n = exposing->n < STORE_LURES_MOST ? exposing->n : STORE_LURES_MOST;
    memcpy(keys, exposing->data, n * sizeof keys[0]);
    const char *sender = exposing->data + (size_t)exposing->n * sizeof keys[0];
    struct str receiver = str_make(sender + exposing->sender_len, exposing->receiver_len);
    struct guard_event event = {.kind = exposing->kind};
    if (exposing->kind == EVENT_OPENING)
        event.opened = (struct opened){receiver, keys, n};
    else
        event.exposure =
            (struct exposure){str_make(sender, exposing->sender_len), receiver, keys, n};
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(gate, &event, &word, false);
    arena_done(&arena);
    free(exposing);
}

void gate_note_report(struct mail *mail)
{
    struct reporting *reporting = CONTAINER_OF(mail, struct reporting, mail);
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {
        .kind = EVENT_REPORT,
        .report = {.reporter = str_make(reporting->data, reporting->reporter_len),
                   .sender =
                       str_make(reporting->data + reporting->reporter_len, reporting->sender_len),
                   .observed = reporting->observes},
    };
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(reporting->gate, &event, &word, reporting->observes);
    arena_done(&arena);
    free(reporting);
}

struct finding {
    struct mail mail;
    struct gate *gate;
    struct arena arena; // of all below
    struct lure_list list;
    struct str reason;
};

static void note_finding(struct mail *mail)
{
    struct finding *finding = CONTAINER_OF(mail, struct finding, mail);
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {
        .kind = EVENT_CONVICT,
        .conviction = {.lure = &finding->list.lures[0],
                       .width = LURE_EXACT,
                       .actor = STR("scanner"),
                       .reason = finding->reason},
    };
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(finding->gate, &event, &word, false);
    arena_done(&arena);
    arena_done(&finding->arena);
    free(finding);
}

void gate_convict_file(struct gate *gate, const struct lure_file *file, struct str found)
{
    struct finding *finding = calloc(1, sizeof *finding);
    must(finding != NULL);
    finding->gate = gate;
    finding->mail.run = note_finding;
    arena_init(&finding->arena, 1 << 16);
    lure_list_init(&finding->list, gate->rules, &finding->arena);
    lure_add_file(&finding->list, file);
    must(finding->list.n == 1);
    finding->list.lures[0].flags |= LURE_INFECTED;
    lure_list_keys(&finding->list, NULL);
    finding->reason = arena_str(&finding->arena, found);
    loop_post(gate->loop, &finding->mail);
}

/* ---- An account that was deleted ---- */

enum { RIGHTS_MOST = 1000 }; // that one account is relieved of

struct leaving {
    struct mail mail;
    struct gate *gate;
    struct arena arena; // of all below
    struct str account;
    struct guard_event event; // that ends one of its rights; kind 0: it has none
};

static void find_right(void *context, const struct guard_rule *rule)
{
    struct leaving *leaving = context;
    struct guard_event *event = &leaving->event;
    if (event->kind != 0 || !str_eq(rule->account, leaving->account))
        return;
    const struct str actor = STR("deletion");
    if (rule->kind == RULE_DECOY) {
        event->kind = EVENT_DECOY;
        event->decoy = (struct decoy){.account = leaving->account, .removed = true, .actor = actor};
    } else if (rule->kind == RULE_ENTITLE) {
        event->kind = EVENT_ENTITLE;
        event->entitlement = (struct entitlement){
            .account = leaving->account,
            .domain = arena_str(&leaving->arena, rule->domain),
            .receivers = rule->receivers,
            .actor = actor,
        };
    }
}

static void end_rights(struct mail *mail)
{
    struct leaving *leaving = CONTAINER_OF(mail, struct leaving, mail);
    for (int i = 0; i < RIGHTS_MOST; i++) {
        struct arena arena;
        struct guard_word word;
        leaving->event = (struct guard_event){0};
        guard_rules(leaving->gate->guard, find_right, leaving);
        if (leaving->event.kind == 0)
            break;
        arena_init(&arena, WORD_MOST);
        guard_word_init(&word, &arena);
        gate_take(leaving->gate, &leaving->event, &word, false);
        arena_done(&arena);
    }
    arena_done(&leaving->arena);
    free(leaving);
}

void gate_account_deleted(struct gate *gate, struct str account)
{
    struct leaving *leaving = calloc(1, sizeof *leaving);
    must(leaving != NULL);
    leaving->gate = gate;
    leaving->mail.run = end_rights;
    arena_init(&leaving->arena, 1 << 20);
    leaving->account = arena_str(&leaving->arena, account);
    loop_post(gate->loop, &leaving->mail);
}

/* ---- The thread's life ---- */

static void *run(void *context)
{
    struct gate *gate = context;
    set_tick(gate);
    loop_run(gate->loop);
    return NULL;
}

enum err gate_new(struct service *service, struct im_settings *settings,
                  const struct guard_config *config, const struct gate_options *options,
                  struct gate **out, struct why *why)
{
    struct gate *gate = calloc(1, sizeof *gate);
    must(gate != NULL);
    gate->service = service;
    gate->settings = im_settings_ref(settings);
    gate->in_hand = in_hand_slot(service->in_hand, service->homes.n);
    gate_log_init(gate);
    pthread_mutex_init(&gate->state_lock, NULL);
    pthread_mutex_init(&gate->stops_lock, NULL);
    gate->clock_rate = options->clock_rate;
    gate->sealed_pause_us = config->sealed_pause_us;
    gate->born_us = clock_wall_us();
    // above every number an earlier run has given out
    atomic_init(&gate->next_message, (uint64_t)gate->born_us);
    gate->rules = lure_rules_new();
    enum err e = loop_new("guard", &gate->loop, why);
    if (e == OK)
        e = gate_bring_back(gate, config, options->seed, why);
    if (e == OK) {
        gate_bases_open(gate);
        renew_stops(gate);
        renew_bans(gate);
    }
    if (e == OK)
        e = containment_open(gate, why);
    if (e == OK)
        e = gate_readings_new(options, service->in_hand, service->homes.n + 1, &gate->readings,
                              why);
    gate_carry_out_replayed(gate);
    if (e == OK)
        guard_state(gate->guard, &gate->state);
    if (e != OK) {
        gate_free(&gate);
        return e;
    }
    *out = gate;
    return OK;
}

struct new_settings {
    struct mail mail;
    struct gate *gate;
    struct im_settings *settings;
};

static void take_settings(struct mail *mail)
{
    struct new_settings *news = CONTAINER_OF(mail, struct new_settings, mail);
    im_settings_unref(&news->gate->settings);
    news->gate->settings = news->settings;
    free(news);
}

void gate_set_settings(struct gate *gate, struct im_settings *settings)
{
    struct new_settings *news = calloc(1, sizeof *news);
    must(news != NULL);
    news->mail.run = take_settings;
    news->gate = gate;
    news->settings = im_settings_ref(settings);
    loop_post(gate->loop, &news->mail);
}

enum err gate_start(struct gate *gate, struct why *why)
{
    if (pthread_create(&gate->thread, NULL, run, gate) != 0)
        return why_say(why, ERR_IO, "the guard's thread could not be started");
    gate->running = true;
    return OK;
}

void gate_stop(struct gate *gate)
{
    gate_readings_stop(gate->readings);
    if (!gate->running)
        return;
    gate->running = false;
    loop_stop(gate->loop);
    pthread_join(gate->thread, NULL);
    gate->has_run = true;
}

void gate_turn(struct gate *gate)
{
    loop_turn(gate->loop, 0);
}

bool gate_is_idle(const struct gate *gate)
{
    return mailbox_waiting(loop_mailbox(gate->loop)) == 0;
}

void gate_free(struct gate **gate)
{
    struct gate *g = TAKE(*gate);
    if (g == NULL)
        return;
    gate_stop(g);
    if (g->has_run && !containment_is_telling(g)) // else the next start takes the events again
        gate_last_snapshot(g);
    containment_close(g);
    loop_timer_cancel(&g->tick);
    loop_timer_cancel(&g->state_timer);
    gate_readings_free(&g->readings);
    guard_free(&g->guard);
    lure_rules_free(&g->rules);
    im_settings_unref(&g->settings);
    stops_unref(&g->stops);
    bans_free(g->bans);
    pthread_mutex_destroy(&g->state_lock);
    pthread_mutex_destroy(&g->stops_lock);
    if (g->loop != NULL)
        loop_free(&g->loop);
    free(g);
}
