/*
 * Commands that look at the guard itself: what it has seen, what it asks people just now, what it
 * would have done.
 */
#include "daemon/command_errand_internal.h"
#include "daemon/guard_report.h"

static void add_question(void *context, const struct guard_question *question)
{
    json_array_append_new(
        context,
        json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:b, s:I, s:I}", "question",
                  (json_int_t)question->number, "account", json_of(question->who), "incident",
                  (json_int_t)question->incident, "lure", json_of(question->shown), "asked",
                  json_of_time(question->asked_us), "until",
                  json_of_time(question->late_us != 0 ? question->late_us : question->due_us),
                  "late", question->late_us != 0, "receivers", (json_int_t)question->receivers,
                  "held", (json_int_t)question->n_held));
}

static void look_at_questions(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    json_t *list = json_array();
    guard_questions(guard, add_question, list);
    errand->result = json_pack("{s:o}", "questions", list);
}

static void run_questions(struct command_call *call)
{
    command_errand_look(call, look_at_questions);
}

static void look_at_state(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    struct guard_state s;
    guard_state(guard, &s);
    errand->result = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I, s:s}",
        "events", (json_int_t)s.n_events, "sendings", (json_int_t)s.n_sendings, "delivered",
        (json_int_t)s.n_delivered, "held", (json_int_t)s.n_held, "rejected",
        (json_int_t)s.n_rejected, "exposures", (json_int_t)s.n_exposures, "users",
        (json_int_t)s.n_users, "clusters", (json_int_t)s.n_clusters, "hosts", (json_int_t)s.n_hosts,
        "incidents", (json_int_t)s.n_incidents, "convicted", (json_int_t)s.n_convicted, "asked",
        (json_int_t)s.n_asked, "answered_yes", (json_int_t)s.n_said_yes, "answered_no",
        (json_int_t)s.n_said_no, "unanswered", (json_int_t)s.n_unanswered, "asking",
        (json_int_t)s.n_asking, "bytes", (json_int_t)s.bytes, "memory", (json_int_t)s.memory,
        "outbreak", outbreak_level_name(s.outbreak));
}

static void run_guard_state(struct command_call *call)
{
    command_errand_look(call, look_at_state);
}

static void look_at_tallies(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    int64_t since_us = argument_number(errand->call, "since");
    if (since_us > 0)
        since_us = gate_clock_us(gate->gate) - since_us;
    errand->result = guard_report(guard, argument_text(errand->call, "domain"), since_us);
}

static void run_guard_report(struct command_call *call)
{
    command_errand_look(call, look_at_tallies);
}

/* ---- the table ---- */

static const struct command rows[] = {
    {
     .name = "guard report",
     .doc = "Compares what the guard would have done, where it observes, with what people said.",
     .role = ROLE_ADMIN,
     .scope = "domain",
     .run = run_guard_report,
     .arguments = {{"domain", ARGUMENT_DOMAIN, 0, NULL, "Of this domain; of all if not said."},
                      {"since", ARGUMENT_TIME, 0, NULL,
                       "How far back; all that is kept if not said."}},
     },
    {
     .name = "guard questions",
     .doc = "Lists the questions to senders that wait for an answer.",
     .role = ROLE_OPERATOR,
     .run = run_questions,
     },
    {
     .name = "guard state",
     .doc = "Shows what the guard has seen.",
     .role = ROLE_OPERATOR,
     .run = run_guard_state,
     },
};

void commands_add_guard(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
