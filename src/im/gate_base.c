#include "im/gate_base.h"

#include "base/log.h"
#include "base/must.h"
#include "im/gate_internal.h"
#include "route/own.h"

#include <inttypes.h>
#include <stdlib.h>

struct str gate_base_key(size_t i)
{
    static const struct str keys[GATE_BASES] = {
        {"guard-base-0", 12},
        {"guard-base-1", 12}
    };
    must(i < GATE_BASES);
    return keys[i];
}

static enum err read_number(struct str *rest, int64_t *out)
{
    uint64_t number;
    enum err e = str_to_u64(str_cut(rest, ' '), 0, INT64_MAX, &number);
    if (e == OK)
        *out = (int64_t)number - 1; // as written: one more, so that none is 0
    return e;
}

enum err gate_bases_read(struct str value, struct gate_base *out)
{
    struct gate_base bases[GATE_BASES];
    for (size_t i = 0; i < GATE_BASES; i++)
        if (read_number(&value, &bases[i].number) != OK ||
            read_number(&value, &bases[i].at_us) != OK)
            return ERR_CORRUPT;
    memcpy(out, bases, sizeof bases);
    return OK;
}

static void write_bases(struct buf *out, const struct gate_base bases[GATE_BASES])
{
    for (size_t i = 0; i < GATE_BASES; i++)
        buf_printf(out, "%" PRId64 " %" PRId64 "%s", bases[i].number + 1, bases[i].at_us + 1,
                   i + 1 < GATE_BASES ? " " : "");
}

int64_t gate_bases_oldest(const struct gate *gate, int64_t snapshot)
{
    int64_t oldest = snapshot;
    for (size_t i = 0; i < GATE_BASES; i++)
        if (gate->bases[i].number >= 0 && gate->bases[i].number < oldest)
            oldest = gate->bases[i].number;
    return oldest;
}

// The place of the next base: a free one, or the older one's.
static size_t next_place(const struct gate *gate)
{
    return gate->bases[0].number <= gate->bases[1].number ? 0 : 1;
}

// A base on its way to the store: the snapshot first, then the record that names it.
struct making_base {
    struct gate *gate;
    struct str state; // own memory
    struct buf record;
    struct gate_base bases[GATE_BASES];
    struct store_record_put put;
};

static struct making_base *making_new(struct gate *gate, struct str state, int64_t number)
{
    struct making_base *making = calloc(1, sizeof *making);
    must(making != NULL);
    size_t place = next_place(gate);
    making->gate = gate;
    making->state = own_str(state);
    memcpy(making->bases, gate->bases, sizeof making->bases);
    making->bases[place] = (struct gate_base){.number = number, .at_us = gate_now_us(gate)};
    buf_init(&making->record, 256);
    write_bases(&making->record, making->bases);
    making->put.kind = STORE_SNAPSHOT;
    making->put.record.key = gate_base_key(place);
    making->put.record.value = making->state;
    return making;
}

static void put_record(struct making_base *making)
{
    store_release(&making->put.request);
    making->put.record.key = gate_bases_key;
    making->put.record.value = buf_str(&making->record);
}

static void making_free(struct making_base *making)
{
    store_release(&making->put.request);
    making->gate->base_busy = false;
    own_str_free(&making->state);
    buf_done(&making->record);
    free(making);
}

static void record_kept(struct store_request *request)
{
    struct making_base *making = CONTAINER_OF(request, struct making_base, put.request);
    if (request->result == OK)
        memcpy(making->gate->bases, making->bases, sizeof making->bases);
    making_free(making);
}

static void state_kept(struct store_request *request)
{
    struct making_base *making = CONTAINER_OF(request, struct making_base, put.request);
    struct gate *gate = making->gate;
    if (request->result !=
        OK) { // the older base may be gone, and is not named any more than before
        log_event(LOG_WARNING, "guard-base-failed", "error=%s", err_name(request->result));
        making_free(making);
        return;
    }
    put_record(making);
    making->put.request.home = loop_mailbox(gate->loop);
    making->put.request.done = record_kept;
    store_record_put(gate->service->store, &making->put);
}

static bool is_due(const struct gate *gate, int64_t number)
{
    const struct gate_base *newest = &gate->bases[1 - next_place(gate)];
    bool is_old = gate_now_us(gate) - newest->at_us >= gate->settings->replay_us;
    bool is_far = number - newest->number >= gate->settings->replay_events;
    return !gate->base_busy && number != newest->number && (is_old || is_far);
}

void gate_base_if_due(struct gate *gate, struct str state, int64_t number)
{
    if (!is_due(gate, number))
        return;
    gate->base_busy = true;
    struct making_base *making = making_new(gate, state, number);
    making->put.request.home = loop_mailbox(gate->loop);
    making->put.request.done = state_kept;
    store_record_put(gate->service->store, &making->put);
}

static enum err make_now(struct gate *gate, struct str state, int64_t number)
{
    struct making_base *making = making_new(gate, state, number);
    store_record_put(gate->service->store, &making->put);
    enum err e = store_wait(&making->put.request);
    if (e == OK) {
        put_record(making);
        store_record_put(gate->service->store, &making->put);
        e = store_wait(&making->put.request);
    }
    if (e == OK)
        memcpy(gate->bases, making->bases, sizeof making->bases);
    making_free(making);
    return e;
}

void gate_last_base_if_due(struct gate *gate, struct str state, int64_t number)
{
    enum err e = is_due(gate, number) ? make_now(gate, state, number) : OK;
    if (e != OK)
        log_event(LOG_WARNING, "guard-base-failed", "error=%s", err_name(e));
}

static enum err first_base(struct gate *gate)
{
    struct buf state;
    buf_init(&state, (size_t)4 << 30);
    guard_save(gate->guard, &state);
    must(!state.overflowed);
    enum err e = make_now(gate, buf_str(&state), (int64_t)guard_number(gate->guard));
    buf_done(&state);
    return e;
}

void gate_bases_open(struct gate *gate)
{
    struct store_record_get get = {.kind = STORE_SNAPSHOT, .key = gate_bases_key};
    for (size_t i = 0; i < GATE_BASES; i++)
        gate->bases[i] = (struct gate_base){.number = -1, .at_us = -1};
    store_record_get(gate->service->store, &get);
    enum err e = store_wait(&get.request);
    if (e == OK)
        e = gate_bases_read(get.record.value, gate->bases);
    store_release(&get.request);
    if (e == ERR_MISSING)
        e = first_base(gate);
    // no reason not to serve: the next snapshot makes one
    if (e != OK)
        log_event(LOG_WARNING, "guard-base-failed", "error=%s", err_name(e));
}
