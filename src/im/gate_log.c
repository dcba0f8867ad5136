/*
 * The guard's memory in the store: a log of events, and snapshots that cut it
 * (where, says gate_base.h).
 *
 * What happened in one turn of the guard's loop is one append to the log; the
 * verdicts of that turn, and every order, leave only after it was given to the
 * store.  So whatever follows from a judgement stands behind its event in the
 * store's queue, and no kill can keep the one and lose the other.
 *
 * A snapshot holds the whole state and costs as much to write; it is taken when
 * the log since the last one outweighs that one, or lacks something that the disk
 * had no room for.  At the start the last snapshot is loaded and the events since
 * are taken again, their words ignored but for retractions and notices: what else
 * they ordered has its own records (containment.c).
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
    EVENTS_A_PAGE = 1000,
    EVENTS_AN_APPEND = 64,
    SNAPSHOT_EVENTS = 20000, // no snapshot before so many,
    EVENT_MOST = 1 << 20,    // bytes of one event
    APPEND_MOST = EVENTS_AN_APPEND * (EVENT_MOST + 64),
};
static const int64_t snapshot_after_us = 600 * SECOND_US, // …but after so much time, if any came,
    mend_after_us = 60 * SECOND_US;                       // or if something of it was lost
static const struct str snapshot_key = {"guard", 5};

/* ---- Events ---- */

struct gate_append {
    struct gate *gate;
    struct store_event_append op;
    struct store_event events[EVENTS_AN_APPEND];
    struct arena arena; // of their blobs
};

static void append_free(struct gate_append *append)
{
    arena_done(&append->arena);
    free(append);
}

static void appended(struct store_request *request)
{
    struct gate_append *append = CONTAINER_OF(request, struct gate_append, op.request);
    if (request->result != OK) {
        append->gate->lacks_events = true;
        log_event(LOG_ERROR, "guard-event-lost", "number=%" PRId64 " events=%" PRIu32 " error=%s",
                  append->events[0].number, append->op.n, err_name(request->result));
    }
    store_release(request);
    append_free(append);
}

static void append_events(struct gate *gate)
{
    struct gate_append *append = TAKE(gate->append);
    if (append == NULL)
        return;
    append->op.events = append->events;
    append->op.request.home = loop_mailbox(gate->loop);
    append->op.request.done = appended;
    store_event_append(gate->service->store, &append->op);
}

void gate_log_flush(struct gate *gate)
{
    append_events(gate);
    LIST_EACH(&gate->judged, struct judging, in_turn, judging)
    {
        list_leave(&judging->in_turn);
        judging->mail.run = gate_judged;
        loop_post(judging->home->loop, &judging->mail);
    }
}

static void flush_at_end(struct chore *chore)
{
    gate_log_flush(CONTAINER_OF(chore, struct gate, flush));
}

void gate_log_init(struct gate *gate)
{
    list_init(&gate->replayed);
    list_init(&gate->judged);
    gate->flush.run = flush_at_end;
    gate->snapshot_us = clock_now_us();
}

void gate_log(struct gate *gate, const struct guard_event *event)
{
    int64_t number = (int64_t)guard_number(gate->guard) + 1;
    struct buf blob;
    buf_init(&blob, EVENT_MOST);
    guard_event_write(&blob, event);
    gate->n_since_snapshot++;
    loop_at_end(gate->loop, TURN_FLUSH, &gate->flush);
    if (blob.overflowed) {
        gate->lacks_events = true;
        log_event(LOG_ERROR, "guard-event-lost", "number=%" PRId64 " error=%s", number,
                  err_name(ERR_LIMIT));
        buf_done(&blob);
        return;
    }
    if (gate->append == NULL) {
        gate->append = calloc(1, sizeof *gate->append);
        must(gate->append != NULL);
        gate->append->gate = gate;
        arena_init(&gate->append->arena, APPEND_MOST);
    }
    struct gate_append *append = gate->append;
    append->events[append->op.n++] =
        (struct store_event){.number = number, .blob = arena_str(&append->arena, buf_str(&blob))};
    gate->log_bytes += buf_str(&blob).len;
    buf_done(&blob);
    if (append->op.n == EVENTS_AN_APPEND)
        append_events(gate);
}

bool gate_begin_event(struct gate *gate, uint64_t number, const struct guard_event *event)
{
    return in_hand_begin_number(gate->in_hand, "event", number, event->now_us);
}

void gate_answer(struct gate *gate, struct judging *judging)
{
    list_add_last(&gate->judged, &judging->in_turn);
    loop_at_end(gate->loop, TURN_FLUSH, &gate->flush);
}

/* ---- Snapshots ---- */

struct snapshot {
    struct gate *gate;
    struct buf state;
    int64_t number;
    bool mends; // the log lacked something
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
        gate->lacks_events |= snapshot->mends;
        snapshot_free(snapshot);
        return;
    }
    gate_base_if_due(gate, buf_str(&snapshot->state), snapshot->number);
    snapshot->trim.up_to = gate_bases_oldest(gate, snapshot->number);
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
    snapshot->mends = gate->lacks_events;
    gate->snapshot_busy = true;
    gate->lacks_events = false;
    gate->n_since_snapshot = 0;
    gate->log_bytes = 0;
    gate->snapshot_bytes = snapshot->put.record.value.len;
    gate->snapshot_us = clock_now_us();
    return snapshot;
}

void gate_snapshot_if_due(struct gate *gate)
{
    if (gate->snapshot_busy || gate->n_since_snapshot == 0 || containment_is_telling(gate))
        return;
    bool outweighs =
        gate->n_since_snapshot >= SNAPSHOT_EVENTS && gate->log_bytes >= gate->snapshot_bytes;
    int64_t after_us = gate->lacks_events ? mend_after_us : snapshot_after_us;
    if (!outweighs && clock_now_us() - gate->snapshot_us < after_us)
        return;
    append_events(gate); // what it holds is never appended after it
    struct snapshot *snapshot = snapshot_new(gate);
    snapshot->put.request.home = loop_mailbox(gate->loop);
    snapshot->put.request.done = snapshot_kept;
    store_record_put(gate->service->store, &snapshot->put);
}

void gate_last_snapshot(struct gate *gate)
{
    struct snapshot *snapshot = snapshot_new(gate);
    store_record_put(gate->service->store, &snapshot->put);
    if (store_wait(&snapshot->put.request) == OK) {
        gate_last_base_if_due(gate, buf_str(&snapshot->state), snapshot->number);
        snapshot->trim.up_to = gate_bases_oldest(gate, snapshot->number);
        store_event_trim(gate->service->store, &snapshot->trim);
        store_wait(&snapshot->trim.request);
        store_release(&snapshot->trim.request);
    }
    store_release(&snapshot->put.request);
    snapshot_free(snapshot);
}

/* ---- At the start ---- */

// Events were logged before their orders were carried out: these may be half done.
struct replayed {
    struct link link;
    struct order order; // its texts in own memory
};

// Whether the event came from where the guard only watches, so that its orders were not carried
// out.
static bool was_observed(const struct guard_event *event)
{
    return (event->kind == EVENT_SENDING && event->sending.observed) ||
           (event->kind == EVENT_REPORT && event->report.observed);
}

static void keep_orders(struct gate *gate, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++) {
        enum order_kind kind = word->orders[i].kind;
        if (kind != ORDER_RETRACT && kind != ORDER_RETURN && kind != ORDER_NOTIFY)
            continue;
        struct replayed *replayed = calloc(1, sizeof *replayed);
        must(replayed != NULL);
        replayed->order = word->orders[i];
        replayed->order.shown = own_str(word->orders[i].shown);
        replayed->order.who = own_str(word->orders[i].who);
        list_add_last(&gate->replayed, &replayed->link);
    }
}

void gate_carry_out_replayed(struct gate *gate)
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

// What follows is done; nobody waits for a verdict.
static void take_again(struct gate *gate, const struct guard_event *event, struct guard_word *word)
{
    guard_take(gate->guard, event, word);
    if (!was_observed(event))
        keep_orders(gate, word);
}

// Events that the disk had no room for: their numbers are taken all the same, or those behind them
// would be taken twice, and new ones get numbers that the log has already.
static void pass_over_lost(struct gate *gate, uint64_t number, int64_t now_us,
                           struct guard_word *word)
{
    const struct guard_event nothing = {.kind = EVENT_TICK, .now_us = now_us};
    uint64_t from = guard_number(gate->guard) + 1;
    if (from < number)
        log_event(LOG_WARNING, "guard-events-missing", "from=%" PRIu64 " to=%" PRIu64, from,
                  number - 1);
    while (guard_number(gate->guard) + 1 < number)
        take_again(gate, &nothing, word);
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
            // its number is taken all the same
            if (!gate_begin_event(gate, (uint64_t)read.events[i].number, &event))
                event = (struct guard_event){.kind = EVENT_TICK, .now_us = event.now_us};
            pass_over_lost(gate, (uint64_t)read.events[i].number, event.now_us, &word);
            take_again(gate, &event, &word);
            in_hand_done(gate->in_hand);
        } else
            why_say(why, e, "event %" PRId64 " of the guard's log is damaged",
                    read.events[i].number);
        arena_done(&arena);
    }
    *more = read.more;
    store_release(&read.request);
    return e;
}

enum err gate_bring_back(struct gate *gate, const struct guard_config *config, uint64_t seed,
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
