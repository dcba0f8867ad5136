/*
 * incident replay: the past once more, under other settings.
 *
 * A second guard begins as ours was at a base (im/gate_base.h) and takes the
 * events since.  Nothing waits for it: the store is asked page by page, and each
 * page is judged in the kitchen.  What operators did is left out: it shall show
 * what the guard would have found alone.
 */
#include "daemon/daemon.h"

#include "base/must.h"
#include "daemon/server.h"
#include "daemon/server_settings.h"
#include "im/desk.h"
#include "im/gate_base.h"
#include "im/gate_errand.h"

#include <stdlib.h>

enum { EVENTS_A_PAGE = 500, SETS_MOST = 64, WORD_MOST = 64 << 20 };

// What is told of a judgement.
struct judgement {
    bool found, convicted;
    int64_t first_us, held_us, convicted_us;
    double nats;
    uint32_t sendings, exposed, relays, rejected, held;
};

struct replay {
    struct gate_errand gate;
    struct job job;
    struct command_call *call;
    struct daemon *daemon;
    struct guard_config config;
    uint64_t id;
    struct lure_key key;
    bool is_incident, is_campaign; // the lure is one of many that share nothing
    struct judgement really, again;
    int64_t base_us;
    struct guard *guard; // the second; NULL before the base is loaded
    struct store_record_get get;
    struct store_event_read page;
    bool is_loading; // the job: the base, else a page
    enum err job_result;
    struct why why;
    int64_t after; // number of the last event taken: the log may have gaps, a guard has none
    uint64_t n_events;
};

/* ---- the end ---- */

static void replay_free(struct replay *replay)
{
    store_release(&replay->get.request);
    store_release(&replay->page.request);
    guard_free(&replay->guard);
    free(replay);
}

static void fail(struct replay *replay, enum err e, const char *text)
{
    struct command_call *call = replay->call;
    struct why why;
    (void)!why_say(&why, e, "%s", text);
    replay_free(replay);
    command_fail(call, e, "%s", why.text);
}

static struct judgement judgement_of(const struct incident *incident)
{
    return (struct judgement){
        .found = true,
        .convicted = incident->by_itself_us != 0,
        .first_us = incident->first_us,
        .held_us = incident->held_us,
        .convicted_us = incident->by_itself_us,
        .nats = incident->nats,
        .sendings = incident->n_sendings,
        .exposed = incident->n_exposed,
        .relays = incident->n_relays,
        .rejected = incident->n_rejected,
        .held = incident->n_held,
    };
}

static json_t *row_of(const char *which, const struct judgement *j)
{
    const char *verdict = !j->found ? "not seen" : j->convicted ? "convicted" : "not convicted";
    return json_pack(
        "{s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "which", which, "verdict",
        verdict, "nats", j->nats, "first", json_of_time(j->first_us), "first_held",
        json_of_time(j->held_us), "convicted", json_of_time(j->convicted_us), "seconds",
        j->convicted ? json_real((double)(j->convicted_us - j->first_us) / 1e6) : json_null(),
        "sendings", (json_int_t)j->sendings, "exposed", (json_int_t)j->exposed, "relays",
        (json_int_t)j->relays, "rejected", (json_int_t)j->rejected, "held", (json_int_t)j->held);
}

static void succeed(struct replay *replay)
{
    struct command_call *call = replay->call;
    json_t *result = json_pack(
        "{s:I, s:o, s:o, s:b, s:I, s:o}", "incident", (json_int_t)replay->id, "settings",
        json_of(argument_text(call, "set")), "from", json_of_time(replay->base_us), "complete",
        replay->base_us <= replay->really.first_us, "events", (json_int_t)replay->n_events,
        "judgements",
        json_pack("[o, o]", row_of("really", &replay->really), row_of("replayed", &replay->again)));
    replay_free(replay);
    command_done(call, result);
}

/* ---- judging, in the kitchen ---- */

static void take_page(struct replay *replay)
{
    for (uint32_t i = 0; i < replay->page.n && replay->job_result == OK; i++) {
        struct arena arena;
        struct guard_event event;
        struct guard_word word;
        arena_init(&arena, WORD_MOST);
        guard_word_init(&word, &arena);
        enum err e = guard_event_read(&arena, replay->page.events[i].blob, &event);
        if (e != OK) {
            replay->job_result = why_say(&replay->why, e, "an event of the log cannot be read");
        } else {
            bool is_operators = event.kind == EVENT_CONVICT ||
                                event.kind == EVENT_CONVICT_INCIDENT ||
                                event.kind == EVENT_RELEASE || event.kind == EVENT_OUTCOME;
            if (is_operators) // its number is taken all the same
                event = (struct guard_event){.kind = EVENT_TICK, .now_us = event.now_us};
            guard_take(replay->guard, &event, &word);
            replay->n_events++;
            replay->after = replay->page.events[i].number;
        }
        arena_done(&arena);
    }
    struct arena arena;
    struct incident incident;
    arena_init(&arena, (size_t)1 << 30);
    // the last sight of it stays, should it be forgotten later
    if (guard_incident_of(replay->guard, &replay->key, replay->is_campaign, &arena, &incident) ==
        OK)
        replay->again = judgement_of(&incident);
    arena_done(&arena);
}

static void load_base(struct replay *replay)
{
    replay->job_result =
        guard_load(&replay->config, replay->get.record.value, &replay->guard, &replay->why);
    if (replay->job_result == OK)
        replay->after = (int64_t)guard_number(replay->guard);
}

static void in_kitchen(struct job *job)
{
    struct replay *replay = CONTAINER_OF(job, struct replay, job);
    if (replay->is_loading)
        load_base(replay);
    else
        take_page(replay);
}

static void read_page(struct replay *replay);

static void judged(struct job *job)
{
    struct replay *replay = CONTAINER_OF(job, struct replay, job);
    bool more = replay->is_loading || replay->page.more;
    replay->is_loading = false;
    store_release(&replay->get.request);
    store_release(&replay->page.request);
    if (replay->job_result != OK)
        fail(replay, replay->job_result, replay->why.text);
    else if (!more)
        succeed(replay);
    else
        read_page(replay);
}

static void order_job(struct replay *replay)
{
    struct daemon *daemon = replay->daemon;
    replay->job.run = in_kitchen;
    replay->job.done = judged;
    if (replay->call->cancelled)
        fail(replay, ERR_CLOSED, "nobody waits for it");
    else if (daemon->kitchen == NULL)
        fail(replay, ERR_CLOSED, "the server stops");
    else if (kitchen_order(daemon->kitchen, &replay->job, daemon->loop) != OK)
        fail(replay, ERR_BUSY, "too much is being done; try again");
}

/* ---- reading ---- */

// Whether the store can be asked now; ends the replay if not.
static bool begin(struct replay *replay, struct store_request *request,
                  void (*read)(struct store_request *))
{
    if (replay->daemon->store == NULL) {
        fail(replay, ERR_CLOSED, "the server stops");
        return false;
    }
    request->home = loop_mailbox(replay->daemon->loop);
    request->done = read;
    return true;
}

static void page_read(struct store_request *request)
{
    struct replay *replay = CONTAINER_OF(request, struct replay, page.request);
    if (request->result != OK)
        fail(replay, request->result, "the guard's log could not be read");
    else
        order_job(replay);
}

static void read_page(struct replay *replay)
{
    replay->page.after = replay->after;
    replay->page.most = EVENTS_A_PAGE;
    if (begin(replay, &replay->page.request, page_read))
        store_event_read(replay->daemon->store, &replay->page);
}

static void base_read(struct store_request *request)
{
    struct replay *replay = CONTAINER_OF(request, struct replay, get.request);
    if (request->result != OK) {
        fail(replay, request->result, "the base could not be read");
        return;
    }
    replay->is_loading = true;
    order_job(replay);
}

// The newest base before the incident; else the oldest there is.
static size_t base_for(const struct gate_base bases[GATE_BASES], int64_t first_us)
{
    size_t best = bases[0].number >= 0 ? 0 : 1;
    for (size_t i = 0; i < GATE_BASES; i++) {
        bool fits = bases[i].at_us <= first_us, best_fits = bases[best].at_us <= first_us;
        bool is_newer = bases[i].at_us > bases[best].at_us;
        if (bases[i].number >= 0 && (fits ? !best_fits || is_newer : !best_fits && !is_newer))
            best = i;
    }
    return best;
}

static void bases_read(struct store_request *request)
{
    struct replay *replay = CONTAINER_OF(request, struct replay, get.request);
    struct gate_base bases[GATE_BASES];
    enum err e = request->result;
    if (e == OK)
        e = gate_bases_read(replay->get.record.value, bases);
    store_release(request);
    if (e != OK) {
        fail(replay, e, "there is nothing from which it could be judged again");
        return;
    }
    size_t base = base_for(bases, replay->really.first_us);
    replay->base_us = bases[base].at_us;
    replay->get.key = gate_base_key(base);
    replay->get.request.results_most = (size_t)4 << 30;
    if (begin(replay, &replay->get.request, base_read))
        store_record_get(replay->daemon->store, &replay->get);
}

/* ---- the beginning ---- */

static void look(struct gate_errand *gate, const struct guard *guard)
{
    struct replay *replay = CONTAINER_OF(gate, struct replay, gate);
    struct arena arena;
    struct incident incident;
    arena_init(&arena, (size_t)1 << 30);
    replay->is_incident = guard_incident(guard, replay->id, &arena, &incident) == OK;
    if (replay->is_incident) {
        replay->key = incident.key;
        replay->is_campaign = incident.n_lures > 0;
        replay->really = judgement_of(&incident);
    }
    arena_done(&arena);
}

static void looked(struct gate_errand *gate)
{
    struct replay *replay = CONTAINER_OF(gate, struct replay, gate);
    if (!replay->is_incident || lure_key_is_none(&replay->key)) {
        fail(replay, ERR_MISSING,
             replay->is_incident ? "its lures are forgotten" : "there is no such incident");
        return;
    }
    replay->get.kind = STORE_SNAPSHOT;
    replay->get.key = gate_bases_key;
    if (begin(replay, &replay->get.request, bases_read))
        store_record_get(replay->daemon->store, &replay->get);
}

// The settings in the file, and over them those that were said.
static enum err read_settings(struct command_call *call, struct guard_config *out,
                              struct buf *troubles)
{
    const struct daemon *daemon = call->context;
    const char **sets =
        arena_make_array(&call->arena, const char *, daemon->args.n_sets + SETS_MOST);
    struct config_args args = {.file = daemon->args.file, .sets = sets};
    for (; args.n_sets < daemon->args.n_sets; args.n_sets++)
        sets[args.n_sets] = daemon->args.sets[args.n_sets];
    for (struct str rest = argument_text(call, "set"); rest.len > 0;) {
        struct str set = str_cut(&rest, '\n');
        if (!str_starts(set, STR("guard.")) || args.n_sets == daemon->args.n_sets + SETS_MOST) {
            buf_printf(troubles, "%.*s: settings of the section guard are needed, at most %d",
                       STR_ARGS(set), SETS_MOST);
            return ERR_MALFORMED;
        }
        sets[args.n_sets++] = arena_printf(&call->arena, "%.*s%c", STR_ARGS(set), 0).at;
    }
    const struct config *config = NULL;
    enum err e = config_load(&args, &config, troubles);
    if (e == OK)
        server_guard_config(config, out);
    config_unref(&config);
    return e;
}

static void run_replay(struct command_call *call)
{
    struct daemon *daemon = call->context;
    struct gate *gate = daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
    struct guard_config config;
    struct buf troubles;
    buf_init(&troubles, 1 << 20);
    enum err e = read_settings(call, &config, &troubles);
    if (e != OK)
        command_fail(call, ERR_MALFORMED, "%.*s", STR_ARGS(str_trim(buf_str(&troubles))));
    else if (gate == NULL || daemon->store == NULL)
        command_fail(call, ERR_CLOSED, "the guard does not run");
    buf_done(&troubles);
    if (e != OK || gate == NULL || daemon->store == NULL)
        return;
    struct replay *replay = calloc(1, sizeof *replay);
    must(replay != NULL);
    replay->call = call;
    replay->daemon = daemon;
    replay->config = config;
    replay->id = (uint64_t)argument_number(call, "id");
    replay->gate.look = look;
    replay->gate.done = looked;
    gate_errand_send(gate, &replay->gate, daemon->loop);
}

static const struct command rows[] = {
    {
     .name = "incident replay",
     .doc = "Judges an incident again under other settings; changes nothing.",
     .role = ROLE_OPERATOR,
     .run = run_replay,
     .arguments = {{"id", ARGUMENT_NUMBER, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "Its number."},
                      {"set", ARGUMENT_TEXT, ARGUMENT_SEVERAL, NULL,
                       "guard.KEY=VALUE, as in the configuration; may be said several times."}},
     },
};

void commands_add_replay(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
