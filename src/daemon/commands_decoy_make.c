/*
 * `decoy make`: makes accounts that look like colleagues, and decoys of them.
 *
 * The domain's accounts are listed; the vCards of some, by chance, say how a
 * vCard here looks, and their dates when an account here was made and seen last
 * (decoy_likeness.h invents names).  The accounts have no password, so nobody
 * logs in to them; to who tries they are as if they were not there.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/decoy_likeness.h"
#include "daemon/decoy_town.h"
#include "daemon/server.h"
#include "im/desk.h"

#include <stdlib.h>

enum {
    MADE_MOST = 1000,
    SAMPLE = 200, // people whose vCards and dates are looked at
    HALF_DAY_S = 43200,
};

struct example {
    struct str bare;
    int64_t number, created_us, active_us;
};

struct making {
    struct decoy_town town;
    struct command_call *call;
    struct daemon *daemon;
    struct arena arena;
    struct prng luck;
    struct likeness *likeness;
    struct example sample[SAMPLE];
    uint64_t n_seen; // of which the sample is one
    size_t n_sample, at;
    uint32_t n_wanted;
    json_t *made;

    struct invented who; // the one being made
    struct str bare;
    int64_t number;
    struct gate_errand gate;
    union {
        struct store_request request;
        struct store_document_get get;
        struct store_account_create create;
        struct store_document_put put;
        struct store_account_seen seen;
    } op;
};

static struct making *making_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct making, op.request);
}

static json_t *making_done(struct making *making)
{
    decoy_town_done(&making->town);
    likeness_free(&making->likeness);
    arena_done(&making->arena);
    return json_pack("{s:o}", "made", making->made);
}

static void break_off(struct making *making, enum err e, const char *why)
{
    struct command_call *call = making->call;
    json_t *made = making_done(making);
    if (json_array_size(json_object_get(made, "made")) > 0) {
        command_fail_with(call, e, made, str_of(why));
        return;
    }
    json_decref(made);
    command_fail(call, e, "%s", why);
}

static void town_failed(struct decoy_town *town, enum err e, const char *why)
{
    break_off(CONTAINER_OF(town, struct making, town), e, why);
}

static bool ask(struct making *making, void (*then)(struct store_request *request))
{
    if (making->daemon->store == NULL || making->call->cancelled) {
        break_off(making, ERR_CLOSED, "it was broken off");
        return false;
    }
    memset(&making->op, 0, sizeof making->op);
    making->op.request.home = loop_mailbox(making->daemon->loop);
    making->op.request.done = then;
    return true;
}

/* ---- 3. Making one ---- */

static void make_next(struct making *making);

static void is_decoy(struct gate_errand *gate)
{
    struct making *making = CONTAINER_OF(gate, struct making, gate);
    json_array_append_new(making->made, json_pack("{s:o, s:o}", "jid", json_of(making->bare),
                                                  "name", json_of(making->who.name)));
    make_next(making);
}

static void is_seen(struct store_request *request)
{
    struct making *making = making_of(request);
    enum err e = request->result;
    store_release(request);
    struct gate *gate =
        making->daemon->server != NULL ? server_service(making->daemon->server)->gate : NULL;
    if (e != OK || gate == NULL) {
        break_off(making, e != OK ? e : ERR_CLOSED, "an account was made and is no decoy yet");
        return;
    }
    making->gate = (struct gate_errand){.done = is_decoy};
    making->gate.event.kind = EVENT_DECOY;
    making->gate.event.decoy =
        (struct decoy){.account = making->bare, .actor = making->call->actor.name};
    gate_errand_send(gate, &making->gate, making->daemon->loop);
}

// Somebody's day, at another hour.
static int64_t moved(struct making *making, int64_t us)
{
    int64_t by_us = (int64_t)prng_below(&making->luck, 2 * HALF_DAY_S * 1000000ULL) -
                    (int64_t)HALF_DAY_S * SECOND_US;
    int64_t now_us = clock_wall_us();
    return us == 0 ? 0 : us + by_us < now_us ? us + by_us : us;
}

static const struct example *somebody(struct making *making)
{
    return making->n_sample > 0 ? &making->sample[prng_below(&making->luck, making->n_sample)]
                                : NULL;
}

static void is_described(struct store_request *request)
{
    struct making *making = making_of(request);
    enum err e = request->result;
    const struct example *like = somebody(making);
    store_release(request);
    if (e != OK) {
        break_off(making, e, "an account was made and has no vCard yet");
        return;
    }
    if (!ask(making, is_seen))
        return;
    making->op.seen.account = making->number;
    making->op.seen.active_us = like != NULL ? moved(making, like->active_us) : 0;
    making->op.seen.status = STR_EMPTY;
    store_account_seen(making->daemon->store, &making->op.seen);
}

static void is_created(struct store_request *request)
{
    struct making *making = making_of(request);
    enum err e = request->result;
    making->number = making->op.create.account;
    store_release(request);
    if (e == ERR_EXISTS) { // somebody made it meanwhile
        make_next(making);
        return;
    }
    if (e != OK) {
        break_off(making, e, "store: an account could not be made");
        return;
    }
    daemon_account_changed(making->daemon, making->bare, making->number, ACCOUNT_CREATED);
    if (!ask(making, is_described))
        return;
    making->op.put.account = making->number;
    making->op.put.document.key = STR("vcard");
    making->op.put.document.xml =
        likeness_vcard(making->likeness, &making->luck, &making->arena, &making->who, making->bare);
    store_document_put(making->daemon->store, &making->op.put);
}

static void make_next(struct making *making)
{
    struct command_call *call = making->call;
    if (json_array_size(making->made) == making->n_wanted) {
        command_done(call, making_done(making));
        return;
    }
    arena_reset(&making->arena);
    if (likeness_invent(making->likeness, &making->luck, &making->arena, &making->who) != OK) {
        break_off(
            making, ERR_MISSING,
            "too few names to make others of: set decoys.names, such as \"Anna Lang, Ben Roth\"");
        return;
    }
    making->bare = arena_printf(&making->arena, "%.*s@%.*s", STR_ARGS(making->who.local),
                                STR_ARGS(making->town.domain));
    const struct example *like = somebody(making);
    if (!ask(making, is_created))
        return;
    making->op.create.local = making->who.local;
    making->op.create.domain = making->town.domain;
    making->op.create.wall_us = like != NULL ? moved(making, like->created_us) : clock_wall_us();
    store_account_create(making->daemon->store, &making->op.create);
}

/* ---- 2. What vCards look like here ---- */

static void get_next(struct making *making);

static void got(struct store_request *request)
{
    struct making *making = making_of(request);
    enum err e = request->result;
    if (e == OK || e == ERR_MISSING)
        likeness_add_vcard(making->likeness, making->sample[making->at].bare,
                           e == OK ? making->op.get.xml : STR_EMPTY);
    store_release(request);
    making->at++;
    get_next(making);
}

static void get_next(struct making *making)
{
    if (making->at == making->n_sample) {
        make_next(making);
        return;
    }
    if (!ask(making, got))
        return;
    making->op.get.account = making->sample[making->at].number;
    making->op.get.key = STR("vcard");
    store_document_get(making->daemon->store, &making->op.get);
}

static void is_listed(struct decoy_town *town)
{
    struct making *making = CONTAINER_OF(town, struct making, town);
    const struct config_list *names = &making->daemon->config->decoys.names;
    for (size_t i = 0; i < names->n; i++)
        likeness_add_name(making->likeness, names->at[i]);
    get_next(making);
}

/* ---- 1. Who there is ---- */

static bool look_at(struct decoy_town *town, const struct store_account *account, struct str bare)
{
    struct making *making = CONTAINER_OF(town, struct making, town);
    bool is_person = !account->disabled && !decoy_town_is_decoy(town, bare);
    likeness_add_local(making->likeness, account->local, is_person);
    if (!is_person)
        return true;
    uint64_t place =
        making->n_seen < SAMPLE ? making->n_seen : prng_below(&making->luck, making->n_seen + 1);
    making->n_seen++;
    if (place >= SAMPLE)
        return true;
    if (place == making->n_sample)
        making->n_sample++;
    making->sample[place] = (struct example){
        .bare = arena_str(&town->names, bare),
        .number = account->number,
        .created_us = account->created_us,
        .active_us = account->active_us,
    };
    return true;
}

static void run_make(struct command_call *call)
{
    int64_t n = argument_given(call, "number") ? argument_number(call, "number") : 1;
    struct daemon *daemon = call->context;
    struct str domain = argument_text(call, "domain");
    if (n < 1 || n > MADE_MOST) {
        command_fail(call, ERR_MALFORMED, "number: from 1 to %d", MADE_MOST);
        return;
    }
    if (domain.len == 0)
        domain = daemon->config->domains[0].name;
    if (config_find_domain(daemon->config, domain) == NULL) {
        command_fail(call, ERR_MISSING, "the domain %.*s is not served here", STR_ARGS(domain));
        return;
    }
    struct making *making = arena_make(&call->arena, struct making);
    making->call = call;
    making->daemon = daemon;
    making->luck.state = random_u64();
    making->n_wanted = (uint32_t)n;
    making->made = json_array();
    making->likeness = likeness_new();
    arena_init(&making->arena, (size_t)8 << 20);
    making->town = (struct decoy_town){
        .call = call,
        .daemon = daemon,
        .domain = arena_str(&call->arena, domain),
        .people_only = true,
        .leaves_out = look_at,
        .then = is_listed,
        .failed = town_failed,
    };
    decoy_town_read(&making->town);
}

static const struct command rows[] = {
    {
     .name = "decoy make",
     .doc = "Makes accounts that look like colleagues, without a password, and decoys of them.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .scope = "domain",
     .run = run_make,
     .arguments = {{"number", ARGUMENT_NUMBER, ARGUMENT_POSITIONAL, NULL,
                       "How many; one if not said."},
                      {"domain", ARGUMENT_DOMAIN, 0, NULL,
                       "In which domain; the first if not said."},
                      ARGUMENT_REASON},
     },
};

void commands_add_decoy_make(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
