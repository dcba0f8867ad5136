/*
 * The guard's thread: the only one that touches the guard.
 *
 * Each event is given to the store's log before the guard takes it, under the
 * number it will have; at the start the last snapshot is loaded and the events
 * since are taken again, their words ignored: what they ordered has its own
 * records (containment.c).
 */
#include "im/gate_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/containment.h"
#include "route/own.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    EVENTS_A_PAGE = 1000,
    SNAPSHOT_EVENTS = 20000, // a snapshot after so many,
    EVENT_MOST = 1 << 20,    // bytes of one event
    WORD_MOST = 64 << 20,    // what one event may make the guard say
    ALARM_US = 100000,       // an event that takes longer is worth a line in the log
};
static const int64_t snapshot_after_us = 600 * SECOND_US; // …or so much time, when there was any
static const struct str snapshot_key = {"guard", 5};

/* ---- Keeping ---- */

struct logging {
    struct store_event_append op;
    struct store_event event;
    struct buf blob;
};

static void logged(struct store_request *request)
{
    struct logging *logging = CONTAINER_OF(request, struct logging, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "guard-event-lost", "number=%" PRId64 " error=%s",
                  logging->event.number, err_name(request->result));
    store_release(request);
    buf_done(&logging->blob);
    free(logging);
}

static void log_to_store(struct gate *gate, const struct guard_event *event)
{
    struct logging *logging = calloc(1, sizeof *logging);
    must(logging != NULL);
    buf_init(&logging->blob, EVENT_MOST);
    guard_event_write(&logging->blob, event);
    if (logging->blob.overflowed) {
        buf_done(&logging->blob);
        free(logging);
        return;
    }
    logging->event.number = (int64_t)guard_number(gate->guard) + 1;
    logging->event.blob = buf_str(&logging->blob);
    logging->op.n = 1;
    logging->op.events = &logging->event;
    logging->op.request.home = loop_mailbox(gate->loop);
    logging->op.request.done = logged;
    store_event_append(gate->service->store, &logging->op);
}

struct snapshot {
    struct gate *gate;
    struct buf state;
    int64_t number;
    struct store_record_put put;
    struct store_event_trim trim;
};

static void snapshot_free(struct snapshot *snapshot)
{
    snapshot->gate->snapshot_busy = false;
    buf_done(&snapshot->state);
    free(snapshot);
}

static void trimmed(struct store_request *request)
{
    struct snapshot *snapshot = CONTAINER_OF(request, struct snapshot, trim.request);
    store_release(request);
    snapshot_free(snapshot);
}

static void snapshot_kept(struct store_request *request)
{
    struct snapshot *snapshot = CONTAINER_OF(request, struct snapshot, put.request);
    struct gate *gate = snapshot->gate;
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        log_event(LOG_ERROR, "guard-snapshot-failed", "error=%s", err_name(e));
        snapshot_free(snapshot);
        return;
    }
    snapshot->trim.up_to = snapshot->number;
    snapshot->trim.request.home = loop_mailbox(gate->loop);
    snapshot->trim.request.done = trimmed;
    store_event_trim(gate->service->store, &snapshot->trim);
}

static struct snapshot *snapshot_new(struct gate *gate)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    must(snapshot != NULL);
    snapshot->gate = gate;
    buf_init(&snapshot->state, (size_t)4 << 30);
    snapshot->number = (int64_t)guard_number(gate->guard);
    guard_save(gate->guard, &snapshot->state);
    must(!snapshot->state.overflowed);
    snapshot->put.kind = STORE_SNAPSHOT;
    snapshot->put.record.key = snapshot_key;
    snapshot->put.record.value = buf_str(&snapshot->state);
    gate->snapshot_busy = true;
    gate->n_since_snapshot = 0;
    gate->snapshot_us = clock_now_us();
    return snapshot;
}

static void snapshot_if_due(struct gate *gate)
{
    if (gate->snapshot_busy || gate->n_since_snapshot == 0 || containment_is_telling(gate))
        return;
    if (gate->n_since_snapshot < SNAPSHOT_EVENTS &&
        clock_now_us() - gate->snapshot_us < snapshot_after_us)
        return;
    struct snapshot *snapshot = snapshot_new(gate);
    snapshot->put.request.home = loop_mailbox(gate->loop);
    snapshot->put.request.done = snapshot_kept;
    store_record_put(gate->service->store, &snapshot->put);
}

/* ---- What is convicted, for the workers ---- */

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct lure_key));
}

struct gate_stops *gate_stops_now(struct gate *gate)
{
    pthread_mutex_lock(&gate->stops_lock);
    struct gate_stops *stops = gate->stops;
    atomic_fetch_add_explicit(&stops->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&gate->stops_lock);
    return stops;
}

void gate_stops_unref(struct gate_stops **stops)
{
    struct gate_stops *s = TAKE(*stops);
    if (s != NULL && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        free(s);
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
    gate_stops_unref(&old);
}

static void renew_stops_if_changed(struct gate *gate, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++)
        if (word->orders[i].kind == ORDER_STOP) {
            renew_stops(gate);
            return;
        }
}

/* ---- Judging ---- */

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

static void copy_state(struct gate *gate)
{
    int64_t now_us = loop_now_us(gate->loop);
    if (gate->state_us != 0 && now_us - gate->state_us < SECOND_US)
        return;
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

void gate_take(struct gate *gate, struct guard_event *event, struct guard_word *word, bool observes)
{
    int64_t began_us = clock_now_us();
    event->now_us = gate_now_us(gate);
    log_to_store(gate, event);
    guard_take(gate->guard, event, word);
    gate->n_since_snapshot++;
    // first: what the orders bring out is looked at by what holds from now on
    renew_stops_if_changed(gate, word);
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        // who only watches lets nothing happen; what an operator wanted happens all the same
        if (observes && order->kind != ORDER_DELIVER_HELD)
            log_event(LOG_NOTICE, "guard-would", "incident=%" PRIu64 " order=%d lure=%.*s",
                      order->incident, (int)order->kind, STR_ARGS(order->shown));
        else
            containment_carry_out(gate, order);
    }
    int64_t took_us = clock_now_us() - began_us;
    if (took_us > ALARM_US)
        log_event(LOG_WARNING, "guard-slow", "microseconds=%" PRId64, took_us);
    snapshot_if_due(gate);
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

void gate_judge(struct mail *mail)
{
    struct judging *judging = CONTAINER_OF(mail, struct judging, mail);
    struct gate *gate = judging->gate;
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {.kind = EVENT_SENDING, .sending = judging->sending};
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(gate, &event, &word, judging->observes);
    judging->verdict = word.verdict;
    judging->reason = word.reason;
    judging->incident = word.incident;
    judging->defang = word.defang;
    judging->calm = word.calm;
    if (word.verdict == VERDICT_HOLD && !judging->observes)
        containment_will_hold(gate, judging->sending.message);
    arena_done(&arena);
    judging->mail.run = gate_judged;
    loop_post(judging->home->loop, &judging->mail);
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
    struct guard_event event = {
        .kind = EVENT_EXPOSURE,
        .exposure = {.sender = str_make(sender, exposing->sender_len),
                     .receiver = str_make(sender + exposing->sender_len, exposing->receiver_len),
                     .keys = keys,
                     .n_keys = n},
    };
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
                       str_make(reporting->data + reporting->reporter_len, reporting->sender_len)},
    };
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(reporting->gate, &event, &word, reporting->observes);
    arena_done(&arena);
    free(reporting);
}

/* ---- The thread's life ---- */

// Events were logged before their orders were carried out: these may be half done.
struct replayed {
    struct link link;
    struct order order; // its texts in own memory
};

// Whether the event came from where the guard only watches, so that its orders were not carried
// out.
static bool was_observed(const struct gate *gate, const struct guard_event *event)
{
    struct str who = STR_EMPTY;
    if (event->kind == EVENT_SENDING)
        who = event->sending.sender;
    else if (event->kind == EVENT_REPORT)
        who = event->report.reporter;
    if (who.len == 0)
        return false;
    struct jid jid = jid_of_prepared(who);
    for (size_t i = 0; i < gate->settings->n_domains; i++)
        if (str_eq(gate->settings->domains[i].name, jid.domain))
            return gate->settings->domains[i].guard_mode == GATE_OBSERVE;
    return false;
}

static void keep_orders(struct gate *gate, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++) {
        if (word->orders[i].kind != ORDER_RETRACT && word->orders[i].kind != ORDER_NOTIFY)
            continue;
        struct replayed *replayed = calloc(1, sizeof *replayed);
        must(replayed != NULL);
        replayed->order = word->orders[i];
        replayed->order.shown = own_str(word->orders[i].shown);
        replayed->order.who = own_str(word->orders[i].who);
        list_add_last(&gate->replayed, &replayed->link);
    }
}

static void carry_out_replayed(struct gate *gate)
{
    LIST_EACH(&gate->replayed, struct replayed, link, replayed)
    {
        list_leave(&replayed->link);
        if (gate->containment != NULL)
            containment_replayed(gate, &replayed->order);
        own_str_free(&replayed->order.shown);
        own_str_free(&replayed->order.who);
        free(replayed);
    }
}

static enum err replay_page(struct gate *gate, bool *more, struct why *why)
{
    struct store_event_read read = {.after = (int64_t)guard_number(gate->guard),
                                    .most = EVENTS_A_PAGE};
    store_event_read(gate->service->store, &read);
    enum err e = store_wait(&read.request);
    if (e != OK)
        why_say(why, e, "the guard's events could not be read: %s", err_name(e));
    for (uint32_t i = 0; e == OK && i < read.n; i++) {
        struct arena arena;
        struct guard_event event;
        struct guard_word word;
        arena_init(&arena, WORD_MOST);
        guard_word_init(&word, &arena);
        e = guard_event_read(&arena, read.events[i].blob, &event);
        if (e == OK) {
            guard_take(gate->guard, &event, &word);
            if (!was_observed(gate, &event))
                keep_orders(gate, &word);
        } else
            why_say(why, e, "event %" PRId64 " of the guard's log is damaged",
                    read.events[i].number);
        arena_done(&arena);
    }
    *more = read.more;
    store_release(&read.request);
    return e;
}

static enum err bring_back(struct gate *gate, const struct guard_config *config, uint64_t seed,
                           struct why *why)
{
    struct store_record_get get = {.kind = STORE_SNAPSHOT, .key = snapshot_key};
    get.request.results_most = (size_t)4 << 30;
    store_record_get(gate->service->store, &get);
    enum err e = store_wait(&get.request);
    if (e == OK)
        e = guard_load(config, get.record.value, &gate->guard, why);
    else if (e == ERR_MISSING) {
        gate->guard = guard_new(config, seed);
        e = OK;
    } else {
        why_say(why, e, "the guard's snapshot could not be read: %s", err_name(e));
    }
    store_release(&get.request);
    for (bool more = true; e == OK && more;)
        e = replay_page(gate, &more, why);
    return e;
}

static void *run(void *context)
{
    struct gate *gate = context;
    set_tick(gate);
    loop_run(gate->loop);
    return NULL;
}

enum err gate_new(struct service *service, struct im_settings *settings,
                  const struct guard_config *config, uint64_t seed, double clock_rate,
                  struct gate **out, struct why *why)
{
    struct gate *gate = calloc(1, sizeof *gate);
    must(gate != NULL);
    gate->service = service;
    gate->settings = im_settings_ref(settings);
    list_init(&gate->replayed);
    pthread_mutex_init(&gate->state_lock, NULL);
    pthread_mutex_init(&gate->stops_lock, NULL);
    gate->clock_rate = clock_rate;
    gate->born_us = clock_wall_us();
    gate->snapshot_us = clock_now_us();
    // above every number an earlier run has given out
    atomic_init(&gate->next_message, (uint64_t)gate->born_us);
    gate->rules = lure_rules_new();
    enum err e = loop_new("guard", &gate->loop, why);
    if (e == OK)
        e = bring_back(gate, config, seed, why);
    if (e == OK)
        renew_stops(gate);
    if (e == OK)
        e = containment_open(gate, why);
    carry_out_replayed(gate);
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
    if (g->has_run) {
        struct snapshot *snapshot = snapshot_new(g);
        store_record_put(g->service->store, &snapshot->put);
        if (store_wait(&snapshot->put.request) == OK) {
            snapshot->trim.up_to = snapshot->number;
            store_event_trim(g->service->store, &snapshot->trim);
            store_wait(&snapshot->trim.request);
            store_release(&snapshot->trim.request);
        }
        store_release(&snapshot->put.request);
        snapshot_free(snapshot);
    }
    containment_close(g);
    loop_timer_cancel(&g->tick);
    guard_free(&g->guard);
    lure_rules_free(&g->rules);
    im_settings_unref(&g->settings);
    gate_stops_unref(&g->stops);
    pthread_mutex_destroy(&g->state_lock);
    pthread_mutex_destroy(&g->stops_lock);
    if (g->loop != NULL)
        loop_free(&g->loop);
    free(g);
}
