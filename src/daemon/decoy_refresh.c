/*
 * It looks now and then whether the time has come, one domain after the other,
 * and then gives the command as an operator would: what it does is in the audit
 * record, in the name "schedule".
 */
#include "daemon/decoy_refresh.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/duty.h"

#include <stdlib.h>

static const int64_t look_most_us = 3600 * SECOND_US;

struct decoy_refresh {
    struct daemon *daemon;
    struct duty duty;
    struct command_call *call; // under way
    size_t at;                 // domain
    struct arena arena;
    union {
        struct store_request request;
        struct store_record_get get;
        struct store_record_put put;
    } op;
};

static void look_at_domain(struct decoy_refresh *refresh);

static int64_t look_us(const struct decoy_refresh *refresh)
{
    int64_t every_us = refresh->daemon->config->decoys.refresh_us;
    return 1 + (every_us > 0 && every_us / 4 < look_most_us ? every_us / 4 : look_most_us);
}

static void rest(struct decoy_refresh *refresh)
{
    duty_rest(&refresh->duty, look_us(refresh));
}

static void next_domain(struct decoy_refresh *refresh)
{
    if (refresh->duty.ends || ++refresh->at >= refresh->daemon->config->n_domains)
        rest(refresh);
    else
        look_at_domain(refresh);
}

static void is_begun(struct command_call *call)
{
    struct decoy_refresh *refresh = call->face_data;
    refresh->call = call;
}

static void is_answered(struct command_call *call, enum err e, const json_t *result,
                        struct str message)
{
    struct decoy_refresh *refresh = call->face_data;
    (void)result;
    refresh->call = NULL;
    if (e != OK)
        log_event(LOG_WARNING, "decoys-not-refreshed", "error=%s why=\"%.*s\"", err_name(e),
                  STR_ARGS(message));
    next_domain(refresh);
}

static void give_command(struct decoy_refresh *refresh, struct str domain)
{
    static const struct command_face face = {.begun = is_begun, .answer = is_answered};
    const struct actor actor = {
        .name = STR("schedule"), .role = ROLE_OPERATOR, .domain = STR_EMPTY};
    json_t *arguments = json_pack("{s:o}", "domain", json_of(domain));
    command_run(refresh->daemon->commands, STR("decoy refresh"), arguments, &actor, &face, refresh);
    json_decref(arguments);
}

static void is_noted(struct store_request *request)
{
    struct decoy_refresh *refresh = CONTAINER_OF(request, struct decoy_refresh, op.request);
    store_release(request);
    next_domain(refresh);
}

static void begin(struct decoy_refresh *refresh, void (*then)(struct store_request *request))
{
    memset(&refresh->op, 0, sizeof refresh->op);
    refresh->op.request.home = loop_mailbox(refresh->daemon->loop);
    refresh->op.request.done = then;
}

static void is_found(struct store_request *request)
{
    struct decoy_refresh *refresh = CONTAINER_OF(request, struct decoy_refresh, op.request);
    const struct config *config = refresh->daemon->config;
    enum err e = request->result;
    uint64_t last_us = 0;
    bool known = e == OK && str_to_u64(refresh->op.get.record.value, 0, INT64_MAX, &last_us) == OK;
    store_release(request);
    if (refresh->duty.ends || refresh->at >= config->n_domains || (e != OK && e != ERR_MISSING)) {
        rest(refresh);
    } else if (!known) { // the first is due a whole time from now
        begin(refresh, is_noted);
        refresh->op.put.kind = STORE_SETTING;
        refresh->op.put.record.key =
            decoy_refresh_setting(&refresh->arena, config->domains[refresh->at].name);
        refresh->op.put.record.value =
            arena_printf(&refresh->arena, "%lld", (long long)clock_wall_us());
        store_record_put(refresh->daemon->store, &refresh->op.put);
    } else if (clock_wall_us() - (int64_t)last_us >= config->decoys.refresh_us) {
        give_command(refresh, config->domains[refresh->at].name);
    } else {
        next_domain(refresh);
    }
}

static void look_at_domain(struct decoy_refresh *refresh)
{
    const struct config *config = refresh->daemon->config;
    arena_reset(&refresh->arena);
    begin(refresh, is_found);
    refresh->op.get.kind = STORE_SETTING;
    refresh->op.get.key = decoy_refresh_setting(&refresh->arena, config->domains[refresh->at].name);
    store_record_get(refresh->daemon->store, &refresh->op.get);
}

static void look(struct duty *duty)
{
    struct decoy_refresh *refresh = CONTAINER_OF(duty, struct decoy_refresh, duty);
    if (refresh->daemon->config->decoys.refresh_us == 0 || refresh->daemon->store == NULL) {
        rest(refresh);
        return;
    }
    refresh->at = 0;
    look_at_domain(refresh);
}

struct decoy_refresh *decoy_refresh_new(struct daemon *daemon)
{
    struct decoy_refresh *refresh = calloc(1, sizeof *refresh);
    must(refresh != NULL);
    refresh->daemon = daemon;
    arena_init(&refresh->arena, 1 << 16);
    duty_init(&refresh->duty, daemon->loop, look_us(refresh), look);
    return refresh;
}

void decoy_refresh_free(struct decoy_refresh **refresh)
{
    struct decoy_refresh *r = TAKE(*refresh);
    if (r == NULL)
        return;
    if (r->call != NULL) { // it ends by itself, where all commands are awaited
        command_cancel(r->call);
        duty_rest(&r->duty, look_us(r));
    }
    duty_done(&r->duty);
    arena_done(&r->arena);
    free(r);
}
