/*
 * A command that asks the guard something or has it do something.
 *
 * Its handler sets what the guard shall take (gate.event) or who looks in (gate.look), and sends it
 * off.  On the guard's thread look makes the result; back on the main loop gate.done answers the
 * call, with command_errand_done where nothing else is to be said.
 */
#ifndef DAEMON_COMMAND_ERRAND_INTERNAL_H
#define DAEMON_COMMAND_ERRAND_INTERNAL_H

#include "daemon/daemon.h"
#include "im/gate_errand.h"

struct command_errand {
    struct gate_errand gate;
    struct command_call *call;
    json_t *result;  // NULL: the number of the incident that the guard named, if any
    bool is_missing; // there is no such incident
    struct str why;  // …or nothing was done, and why
};

static inline struct command_errand *command_errand_of(struct gate_errand *gate)
{
    return CONTAINER_OF(gate, struct command_errand, gate);
}

/* In memory that lives as long as the call.  gate.done is command_errand_done. */
void command_errand_init(struct command_errand *errand, struct command_call *call);
struct command_errand *command_errand_new(struct command_call *call);

void command_errand_send(struct command_errand *errand);
void command_errand_done(struct gate_errand *gate);

/* All of a command that changes nothing. */
void command_errand_look(struct command_call *call,
                         void (*look)(struct gate_errand *errand, const struct guard *guard));

/* NULL, and the call has failed, where the guard does not run. */
struct gate *command_gate(struct command_call *call);

#endif
