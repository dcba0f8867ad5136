/* The command layer: arguments, rights, the audit record before the answer. */
#include "daemon/command.h"

#include "base/must.h"
#include "test.h"

#include <stdlib.h>

struct answered {
    size_t n;
    enum err e;
    struct str message;
    json_t *result;
};

static void on_answer(struct command_call *call, enum err e, const json_t *result,
                      struct str message)
{
    struct answered *answered = call->face_data;
    answered->n++;
    answered->e = e;
    answered->message = arena_str(test_arena(), message);
    answered->result = json_deep_copy(result);
}

static const struct command_face face = {.answer = on_answer};

// Answers with its arguments, as the handler sees them.
static void echo(struct command_call *call)
{
    command_done(call, json_deep_copy(call->arguments));
}

static struct command_call *kept;

static void keep(struct command_call *call)
{
    kept = call;
}

static const struct command rows[] = {
    {
     .name = "user add",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = echo,
     .arguments = {{"jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED, NULL, ""},
                      {"password", ARGUMENT_SECRET, ARGUMENT_REQUIRED, NULL, ""}},
     },
    {
     .name = "list",
     .scope = "domain",
     .run = echo,
     .arguments = {{"domain", ARGUMENT_DOMAIN, 0, NULL, ""},
                      {"for", ARGUMENT_TIME, 0, NULL, ""},
                      {"what", ARGUMENT_CHOICE, 0, "links|files", ""},
                      {"n", ARGUMENT_NUMBER, 0, NULL, ""},
                      {"all", ARGUMENT_FLAG, 0, NULL, ""},
                      {"to", ARGUMENT_ADDRESS, 0, NULL, ""},
                      {"account", ARGUMENT_ACCOUNT, 0, NULL, ""}},
     },
    {.name = "stop",                                                             .role = ROLE_OPERATOR,              .run = echo                                },
    {.name = "slow",                                                                                   .role = ROLE_OPERATOR,               .run = keep},
};

static struct str recorded_scope, recorded_details;
static enum err record_says;

static void record(struct command_call *call, struct str scope, struct str details, void *context)
{
    must(context == &record_says);
    recorded_scope = arena_str(test_arena(), scope);
    recorded_details = arena_str(test_arena(), details);
    command_recorded(call, record_says);
}

static struct commands *commands_made(void)
{
    struct commands *commands = commands_new();
    commands_add(commands, rows, COUNT_OF(rows), NULL);
    commands_set_audit(commands, record, &record_says);
    record_says = OK;
    return commands;
}

static const struct actor operator= {.name = STR("root"), .role = ROLE_OPERATOR};
static const struct actor admin = {
    .name = STR("ann@a.example"), .role = ROLE_ADMIN, .domain = STR("a.example")};

// Runs a command with arguments as JSON; the answer's result as JSON.
static struct str run(struct commands *commands, const struct actor *actor, const char *name,
                      const char *arguments, struct answered *out)
{
    json_error_t error;
    json_t *given = json_loads(arguments, 0, &error);
    check(given != NULL);
    *out = (struct answered){0};
    command_run(commands, str_of(name), given, actor, &face, out);
    json_decref(given);
    if (out->result == NULL)
        return STR_EMPTY;
    char *text = json_dumps(out->result, JSON_COMPACT | JSON_SORT_KEYS);
    struct str result = arena_str(test_arena(), str_of(text));
    free(text);
    json_decref(out->result);
    return result;
}

TEST(arguments_reach_the_handler_checked_and_prepared)
{
    struct commands *commands = commands_made();
    struct answered got;
    check_str(
        run(commands, &operator, "list",
            "{\"domain\": \"B.Example\", \"for\": \"2 h\", \"what\": \"files\", \"n\": \"7\", "
            "\"all\": true, \"to\": \"X@y.example/Z\"}",
            &got),
        STR("{\"all\":true,\"domain\":\"b.example\",\"for\":7200000000,\"n\":7,"
            "\"to\":\"x@y.example/Z\",\"what\":\"files\"}"));
    check(got.n == 1 && got.e == OK);
    static const struct {
        const char *arguments, *message;
    } wrong[] = {
        {"{\"nonsense\": 1}",     "nonsense: list knows no such argument"              },
        {"{\"for\": \"soon\"}",   "for: a time such as \"30 min\" or \"2 h\" is needed"},
        {"{\"what\": \"rooms\"}", "what: one of links|files is needed"                 },
        {"{\"n\": -1}",           "n: a whole number is needed"                        },
        {"{\"n\": [1]}",          "n: a text, a number or true or false is needed"     },
        {"{\"to\": \"@\"}",       "to: an address is needed"                           },
        {"{\"all\": \"maybe\"}",  "all: true or false is needed"                       },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        run(commands, &operator, "list", wrong[i].arguments, &got);
        check(got.n == 1 && got.e == ERR_MALFORMED);
        check_str(got.message, str_of(wrong[i].message));
    }
    run(commands, &operator, "user add", "{\"jid\": \"a@b.example\"}", &got);
    check_str(got.message, STR("password: is needed"));
    run(commands, &operator, "user add", "{\"jid\": \"b.example\", \"password\": \"x\"}", &got);
    check_str(got.message, STR("jid: an address such as romeo@example.org is needed"));
    run(commands, &operator, "user", "{}", &got);
    check(got.e == ERR_MISSING);
    commands_free(&commands);
}

TEST(an_administrator_acts_in_his_domain_only)
{
    struct commands *commands = commands_made();
    struct answered got;
    run(commands, &admin, "user add", "{\"jid\": \"x@A.example\", \"password\": \"x\"}", &got);
    check(got.e == OK);
    run(commands, &admin, "user add", "{\"jid\": \"x@b.example\", \"password\": \"x\"}", &got);
    check(got.e == ERR_DENIED);
    check_str(got.message, STR("ann@a.example does not administer b.example"));
    run(commands, &admin, "list", "{\"domain\": \"b.example\"}", &got);
    check(got.e == ERR_DENIED);
    // nor by another argument than the one that says the domain
    run(commands, &admin, "list", "{\"account\": \"x@b.example\"}", &got);
    check(got.e == ERR_DENIED);
    // what would concern every domain concerns his
    check_str(run(commands, &admin, "list", "{}", &got), STR("{\"domain\":\"a.example\"}"));
    run(commands, &admin, "stop", "{}", &got);
    check(got.e == ERR_DENIED);
    commands_free(&commands);
}

TEST(what_changed_something_is_recorded_before_the_answer_and_without_secrets)
{
    struct commands *commands = commands_made();
    struct answered got;
    run(commands, &operator, "user add", "{\"jid\": \"x@a.example\", \"password\": \"geheim\"}",
        &got);
    check(got.e == OK);
    check_str(recorded_scope, STR("x@a.example"));
    check_str(recorded_details, STR("{\"jid\":\"x@a.example\"}"));
    record_says = ERR_FULL;
    run(commands, &operator, "user add", "{\"jid\": \"x@a.example\", \"password\": \"y\"}", &got);
    check(got.e == ERR_FULL);
    check_str(got.message, STR("done, but the audit record could not be written"));
    commands_free(&commands);
}

TEST(a_call_whose_face_is_gone_ends_silently)
{
    struct commands *commands = commands_made();
    struct answered got;
    run(commands, &operator, "slow", "{}", &got);
    check(got.n == 0 && commands_under_way(commands) == 1);
    command_cancel(kept);
    check(kept->cancelled);
    command_done(kept, NULL);
    check(got.n == 0 && commands_under_way(commands) == 0);
    commands_free(&commands);
}
