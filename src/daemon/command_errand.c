/*
 * The way to the guard's thread and back.
 */
#include "daemon/command_errand_internal.h"
#include "daemon/server.h"
#include "im/desk.h"

struct gate *command_gate(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct gate *gate = daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
    if (gate == NULL || daemon->store == NULL) {
        command_fail(call, ERR_CLOSED, "the guard does not run");
        return NULL;
    }
    return gate;
}

void command_errand_init(struct command_errand *errand, struct command_call *call)
{
    memset(errand, 0, sizeof *errand);
    errand->call = call;
    errand->gate.done = command_errand_done;
}

struct command_errand *command_errand_new(struct command_call *call)
{
    struct command_errand *errand = arena_make(&call->arena, struct command_errand);
    command_errand_init(errand, call);
    return errand;
}

void command_errand_send(struct command_errand *errand)
{
    const struct daemon *daemon = errand->call->context;
    struct gate *gate = command_gate(errand->call);
    if (gate != NULL)
        gate_errand_send(gate, &errand->gate, daemon->loop);
}

void command_errand_look(struct command_call *call,
                         void (*look)(struct gate_errand *errand, const struct guard *guard))
{
    struct command_errand *errand = command_errand_new(call);
    errand->gate.look = look;
    command_errand_send(errand);
}

void command_errand_done(struct gate_errand *gate)
{
    struct command_errand *errand = command_errand_of(gate);
    struct command_call *call = errand->call;
    if (errand->is_missing) {
        json_decref(errand->result);
        command_fail(call, ERR_MISSING, "there is no such incident in force");
        return;
    }
    if (errand->result == NULL)
        errand->result = gate->incident != 0
                             ? json_pack("{s:I}", "incident", (json_int_t)gate->incident)
                             : json_object();
    command_done(call, errand->result);
}
