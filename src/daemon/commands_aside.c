/*
 * What was in hand when the server died: what is put aside, and letting it go.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "daemon/server.h"
#include "im/desk.h"
#include "route/in_hand.h"

#include <stdlib.h>

enum { ROWS_MOST = 1000 };

struct asiding {
    struct store_record_list list;
    struct store_record_remove remove;
    struct command_call *call;
};

static struct asiding *asiding_new(struct command_call *call)
{
    struct asiding *asiding = arena_make(&call->arena, struct asiding);
    asiding->call = call;
    return asiding;
}

static json_t *row_of(const struct store_record *record)
{
    struct str note = record->value;
    struct str number = str_cut(&note, '\n');
    uint64_t deaths = 0;
    if (str_to_u64(number, 0, UINT32_MAX, &deaths) != OK)
        deaths = 0;
    return json_pack("{s:o, s:I, s:b, s:o, s:o}", "key", json_of(record->key), "deaths",
                     (json_int_t)deaths, "aside", deaths >= IN_HAND_DEATHS, "last",
                     json_of_time(record->created_us), "what", json_of(str_trim(note)));
}

static void listed(struct store_request *request)
{
    struct asiding *asiding = CONTAINER_OF(request, struct asiding, list.request);
    struct command_call *call = asiding->call;
    if (request->result != OK) {
        enum err e = request->result;
        store_release(request);
        command_fail(call, e, "store: %s", err_name(e));
        return;
    }
    json_t *rows = json_array();
    for (uint32_t i = 0; i < asiding->list.n; i++)
        json_array_append_new(rows, row_of(&asiding->list.records[i]));
    json_t *result = json_pack("{s:o, s:b}", "aside", rows, "more", asiding->list.more);
    store_release(request);
    command_done(call, result);
}

static void run_list(struct command_call *call)
{
    struct daemon *daemon = call->context;
    if (daemon->store == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return;
    }
    struct asiding *asiding = asiding_new(call);
    asiding->list = (struct store_record_list){
        .request = {.home = loop_mailbox(daemon->loop), .done = listed},
        .kind = STORE_IN_HAND,
        .most = ROWS_MOST,
        .now_us = clock_wall_us(),
    };
    store_record_list(daemon->store, &asiding->list);
}

static void removed(struct store_request *request)
{
    struct asiding *asiding = CONTAINER_OF(request, struct asiding, remove.request);
    struct command_call *call = asiding->call;
    enum err e = request->result;
    store_release(request);
    if (e == OK)
        command_done(call, json_pack("{s:s}", "released", "from the next start on"));
    else if (e == ERR_MISSING)
        command_fail(call, e, "nothing with this key was in hand");
    else
        command_fail(call, e, "store: %s", err_name(e));
}

static void run_release(struct command_call *call)
{
    struct daemon *daemon = call->context;
    if (daemon->store == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return;
    }
    struct asiding *asiding = asiding_new(call);
    asiding->remove = (struct store_record_remove){
        .request = {.home = loop_mailbox(daemon->loop), .done = removed},
        .kind = STORE_IN_HAND,
        .key = argument_text(call, "key"),
    };
    store_record_remove(daemon->store, &asiding->remove);
}

static const struct command rows[] = {
    {
     .name = "aside release",
     .doc = "Forgets it: from the next start on it is tried again.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_release,
     .arguments = {{"key", ARGUMENT_TEXT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "Its key, as the list shows it."},
                      ARGUMENT_REASON},
     },
    {
     .name = "aside list",
     .doc = "What was in hand when the server died; at the second death it is put aside.",
     .role = ROLE_OPERATOR,
     .run = run_list,
     },
};

void commands_add_aside(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
