/*
 * A move is a chain of reads and changes of the store.  The place is marked
 * "placing" before the first roster is changed: should the process die then,
 * the contact is ours and not one that somebody added himself.
 */
#include "daemon/decoy_mover.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/decoy_places.h"
#include "daemon/duty.h"
#include "im/gate_errand.h"
#include "im/sessions.h"

#include <stdlib.h>

enum { MOVE_MOST = 64 << 10 }; // bytes of one move's names

struct decoy_mover {
    struct duty duty;
    struct service *service;
    const struct config *(*config)(void *context);
    void *context;

    struct arena arena; // of the move
    unsigned group;     // of those looked into
    bool leaves_first;
    struct str decoy, holder, name;
    bool leaves, goes_on; // out of the roster; a move that was interrupted
    bool is_decoy;        // still
    int64_t decoy_number, holder_number;
    struct gate_errand gate;
    union {
        struct store_request request;
        struct store_record_list list;
        struct store_record_put put;
        struct store_record_remove remove;
        struct store_account_load load;
        struct store_roster_set roster;
    } op;
};

// Between half of what is configured and one and a half: no clock stands behind these changes.
static int64_t some_pause_us(const struct decoy_mover *mover)
{
    int64_t pause_us = mover->config(mover->context)->decoys.pause_us;
    return pause_us / 2 + (int64_t)(random_u64() % (uint64_t)(pause_us + 1));
}

static void rest(struct decoy_mover *mover)
{
    duty_rest(&mover->duty, some_pause_us(mover));
}

static void begin(struct decoy_mover *mover, void (*then)(struct store_request *request))
{
    mover->op.request.home = loop_mailbox(mover->duty.loop);
    mover->op.request.done = then;
}

static struct decoy_mover *mover_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct decoy_mover, op.request);
}

// What comes next is tried again after the pause, from where the store says that we are.
static bool went_wrong(struct decoy_mover *mover, enum err e)
{
    if (e == OK || e == ERR_MISSING)
        return false;
    log_event(LOG_WARNING, "decoy-not-moved", "decoy=%.*s error=%s", STR_ARGS(mover->decoy),
              err_name(e));
    rest(mover);
    return true;
}

/* ---- 4. Written down ---- */

static void is_over(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    store_release(request);
    if (!went_wrong(mover, e))
        rest(mover);
}

static void forget_place(struct decoy_mover *mover)
{
    memset(&mover->op, 0, sizeof mover->op);
    begin(mover, is_over);
    mover->op.remove.kind = STORE_DECOY;
    mover->op.remove.key = decoy_place_key(&mover->arena, mover->decoy, mover->holder);
    store_record_remove(mover->service->store, &mover->op.remove);
}

static void write_place(struct decoy_mover *mover, struct str group,
                        void (*then)(struct store_request *request))
{
    memset(&mover->op, 0, sizeof mover->op);
    begin(mover, then);
    mover->op.put.kind = STORE_DECOY;
    mover->op.put.record =
        decoy_place_record(&mover->arena, mover->decoy, mover->holder, group, mover->name);
    store_record_put(mover->service->store, &mover->op.put);
}

// Nobody's own contact, and nobody who is no decoy any more, is touched.
static void leave_alone(struct decoy_mover *mover, const char *why)
{
    log_event(LOG_INFO, "decoy-left-alone", "decoy=%.*s holder=%.*s why=%s", STR_ARGS(mover->decoy),
              STR_ARGS(mover->holder), why);
    forget_place(mover);
}

/* ---- 3. The two rosters ---- */

static void set_item(struct decoy_mover *mover, int64_t account, struct str contact,
                     struct str name, void (*then)(struct store_request *request))
{
    memset(&mover->op, 0, sizeof mover->op);
    begin(mover, then);
    mover->op.roster.account = account;
    mover->op.roster.item = (struct store_roster_item){
        .jid = contact,
        .name = name,
        .subscription = mover->leaves ? STORE_SUB_REMOVED : STORE_SUB_BOTH,
    };
    store_roster_set(mover->service->store, &mover->op.roster);
}

static void decoys_side_is_set(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    store_release(request);
    if (went_wrong(mover, e))
        return;
    sessions_tell(mover->service, mover->decoy, NEWS_CHANGED);
    log_event(LOG_INFO, "decoy-moved", "decoy=%.*s holder=%.*s to=%s", STR_ARGS(mover->decoy),
              STR_ARGS(mover->holder), mover->leaves ? "out" : "in");
    if (mover->leaves)
        forget_place(mover);
    else
        write_place(mover, PLACE_PLACED, is_over);
}

static void holders_side_is_set(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    store_release(request);
    if (went_wrong(mover, e))
        return;
    sessions_tell(mover->service, mover->holder, NEWS_CHANGED);
    set_item(mover, mover->decoy_number, mover->holder, STR_EMPTY, decoys_side_is_set);
}

static void change(struct decoy_mover *mover)
{
    set_item(mover, mover->holder_number, mover->decoy, mover->name, holders_side_is_set);
}

static void is_marked(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    store_release(request);
    if (!went_wrong(mover, e))
        change(mover);
}

/* ---- 2. Whether it may be ---- */

static const struct store_roster_item *item_of(const struct store_account_load *load,
                                               struct str contact)
{
    for (uint32_t i = 0; i < load->n_items; i++)
        if (str_eq(load->items[i].jid, contact))
            return &load->items[i];
    return NULL;
}

// What he has sorted into a group, or no longer wants to see, he has made his own.
static bool is_his_own(const struct store_roster_item *item)
{
    return item->n_groups > 0 || item->subscription != STORE_SUB_BOTH;
}

static void holder_is_read(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    const struct store_account_load *load = &mover->op.load;
    int64_t items_most = mover->config(mover->context)->limits.roster_items;
    enum err e = request->result;
    const struct store_roster_item *item = e == OK ? item_of(load, mover->decoy) : NULL;
    const char *why = NULL;
    if (e == ERR_MISSING || (e == OK && load->account.disabled))
        why = "no-holder";
    else if (mover->leaves && item != NULL && is_his_own(item))
        why = "own-contact";
    else if (!mover->leaves && !mover->goes_on && item != NULL)
        why = "own-contact";
    else if (!mover->leaves && item == NULL && load->n_items >= items_most)
        why = "roster-full";
    mover->holder_number = load->account.number;
    store_release(request);
    if (went_wrong(mover, e))
        return;
    if (mover->leaves && e == ERR_MISSING) // his roster went with him, the decoy's is there yet
        set_item(mover, mover->decoy_number, mover->holder, STR_EMPTY, decoys_side_is_set);
    else if (why != NULL)
        leave_alone(mover, why);
    else if (mover->leaves || mover->goes_on)
        change(mover);
    else
        write_place(mover, PLACE_PLACING, is_marked);
}

static void read_account(struct decoy_mover *mover, struct str bare,
                         void (*then)(struct store_request *request))
{
    struct jid jid = jid_of_prepared(bare);
    memset(&mover->op, 0, sizeof mover->op);
    begin(mover, then);
    mover->op.load.local = jid.local;
    mover->op.load.domain = jid.domain;
    store_account_load(mover->service->store, &mover->op.load);
}

static void decoy_is_read(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    mover->decoy_number = mover->op.load.account.number;
    store_release(request);
    if (went_wrong(mover, e))
        return;
    if (e == ERR_MISSING)
        leave_alone(mover, "no-decoy");
    else
        read_account(mover, mover->holder, holder_is_read);
}

static void note_decoy(void *context, const struct guard_rule *rule)
{
    struct decoy_mover *mover = context;
    mover->is_decoy |= rule->kind == RULE_DECOY && str_eq(rule->account, mover->decoy);
}

static void look_for_it(struct gate_errand *gate, const struct guard *guard)
{
    guard_rules(guard, note_decoy, CONTAINER_OF(gate, struct decoy_mover, gate));
}

static void is_known(struct gate_errand *gate)
{
    struct decoy_mover *mover = CONTAINER_OF(gate, struct decoy_mover, gate);
    if (mover->is_decoy)
        read_account(mover, mover->decoy, decoy_is_read);
    else
        leave_alone(mover, "no-decoy");
}

/* ---- 1. What is to be done ---- */

static void look_into_next(struct decoy_mover *mover);

static struct str group_at(const struct decoy_mover *mover)
{
    switch (mover->group) {
    case 0:
        return PLACE_PLACING; // interrupted
    case 1:
        return mover->leaves_first ? PLACE_LEAVING : PLACE_DUE;
    default:
        return mover->leaves_first ? PLACE_DUE : PLACE_LEAVING;
    }
}

static void listed(struct store_request *request)
{
    struct decoy_mover *mover = mover_of(request);
    enum err e = request->result;
    bool any = e == OK && mover->op.list.n > 0;
    if (any) {
        const struct store_record *record = &mover->op.list.records[0];
        struct str holder = decoy_place_holder(record->key);
        mover->decoy = arena_str(&mover->arena, record->subject);
        mover->holder = arena_str(&mover->arena, holder);
        mover->name = arena_str(&mover->arena, record->value);
        mover->leaves = str_eq(record->group, PLACE_LEAVING);
        mover->goes_on = str_eq(record->group, PLACE_PLACING);
    }
    store_release(request);
    if (went_wrong(mover, e))
        return;
    if (any) {
        mover->is_decoy = false;
        mover->gate.look = look_for_it;
        mover->gate.done = is_known;
        gate_errand_send(mover->service->gate, &mover->gate, mover->duty.loop);
    } else if (++mover->group < 3 && !mover->duty.ends) {
        look_into_next(mover);
    } else {
        rest(mover);
    }
}

static void look_into_next(struct decoy_mover *mover)
{
    memset(&mover->op, 0, sizeof mover->op);
    begin(mover, listed);
    mover->op.list.kind = STORE_DECOY;
    mover->op.list.group = group_at(mover);
    mover->op.list.most = 1;
    store_record_list(mover->service->store, &mover->op.list);
}

static void look(struct duty *duty)
{
    struct decoy_mover *mover = CONTAINER_OF(duty, struct decoy_mover, duty);
    mover->group = 0;
    mover->leaves_first = random_u64() % 2 == 0;
    mover->decoy = mover->holder = mover->name = STR_EMPTY;
    arena_reset(&mover->arena);
    look_into_next(mover);
}

/* ---- Its life ---- */

struct decoy_mover *decoy_mover_new(struct loop *loop, struct service *service,
                                    const struct config *(*config)(void *context), void *context)
{
    struct decoy_mover *mover = calloc(1, sizeof *mover);
    must(mover != NULL);
    mover->service = service;
    mover->config = config;
    mover->context = context;
    arena_init(&mover->arena, MOVE_MOST);
    duty_init(&mover->duty, loop, some_pause_us(mover), look);
    return mover;
}

void decoy_mover_free(struct decoy_mover **mover)
{
    struct decoy_mover *m = TAKE(*mover);
    if (m == NULL)
        return;
    duty_done(&m->duty);
    arena_done(&m->arena);
    free(m);
}
