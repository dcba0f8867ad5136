#include "daemon/command.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "xmpp/jid.h"

#include <stdlib.h>

enum { TABLES_MOST = 16, CALL_ARENA = 16 << 20, CALLS_MOST = 256 };

struct commands {
    struct table_of_commands {
        const struct command *rows;
        size_t n;
        void *context;
    } tables[TABLES_MOST];
    size_t n_tables;
    struct list calls;
    size_t n_calls;
    void (*record)(struct command_call *call, struct str scope, struct str details, void *context);
    void *record_context;
};

struct commands *commands_new(void)
{
    struct commands *commands = calloc(1, sizeof *commands);
    must(commands != NULL);
    list_init(&commands->calls);
    return commands;
}

void commands_free(struct commands **commands)
{
    if (*commands == NULL)
        return;
    must(list_empty(&(*commands)->calls));
    free(TAKE(*commands));
}

size_t commands_under_way(const struct commands *commands)
{
    return commands->n_calls;
}

void commands_add(struct commands *commands, const struct command *rows, size_t n, void *context)
{
    must(commands->n_tables < TABLES_MOST);
    commands->tables[commands->n_tables++] = (struct table_of_commands){rows, n, context};
}

void commands_set_audit(struct commands *commands,
                        void (*record)(struct command_call *call, struct str scope,
                                       struct str details, void *context),
                        void *context)
{
    commands->record = record;
    commands->record_context = context;
}

const struct command *commands_next(const struct commands *commands, size_t *at)
{
    size_t i = *at;
    for (size_t t = 0; t < commands->n_tables; t++) {
        if (i < commands->tables[t].n) {
            ++*at;
            return &commands->tables[t].rows[i];
        }
        i -= commands->tables[t].n;
    }
    return NULL;
}

json_t *json_of(struct str text)
{
    json_t *value = json_stringn(text.at != NULL ? text.at : "", text.len);
    return value != NULL ? value : json_string("");
}

json_t *json_of_time(int64_t us)
{
    if (us == 0)
        return json_null();
    struct arena arena;
    arena_init(&arena, 256);
    json_t *text = json_of(clock_format(&arena, us));
    arena_done(&arena);
    return text;
}

static struct str text_of(const json_t *value)
{
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
                                 : STR_EMPTY;
}

/* ---- the end of a call ---- */

static void call_free(struct command_call *call)
{
    list_leave(&call->link);
    call->commands->n_calls--;
    json_decref(call->arguments);
    json_decref(call->result);
    arena_done(&call->arena);
    free(call);
}

static void answer(struct command_call *call, enum err e, const json_t *result, struct str message)
{
    if (!call->cancelled)
        call->face->answer(call, e, result, message);
    call_free(call);
}

// What the record says was acted on: the account where one is named (it comes before any contact
// of its), else the domain.
static struct str scope_of(const struct command_call *call)
{
    for (size_t i = 0; i < ARGUMENTS_MOST && call->command->arguments[i].name != NULL; i++) {
        const struct argument *argument = &call->command->arguments[i];
        struct str named = argument_text(call, argument->name);
        if (named.len > 0 &&
            (argument->kind == ARGUMENT_ACCOUNT || argument->kind == ARGUMENT_ADDRESS)) {
            struct jid jid = jid_of_prepared(named);
            return jid_bare(&jid);
        }
    }
    return call->command->scope != NULL ? argument_text(call, call->command->scope) : STR_EMPTY;
}

// The arguments as one line of JSON, without what is secret.
static struct str details_of(struct command_call *call)
{
    json_t *shown = json_copy(call->arguments);
    for (size_t i = 0; i < ARGUMENTS_MOST && call->command->arguments[i].name != NULL; i++)
        if (call->command->arguments[i].kind == ARGUMENT_SECRET)
            json_object_del(shown, call->command->arguments[i].name);
    char *text = json_dumps(shown, JSON_COMPACT | JSON_SORT_KEYS);
    struct str details = text != NULL && arena_fits(&call->arena, strlen(text) + 1)
                             ? arena_str(&call->arena, str_of(text))
                             : STR_EMPTY;
    free(text);
    json_decref(shown);
    return details;
}

static void log_call(struct command_call *call, enum err e, struct str details)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    if (details.len > 500)
        details = STR("long");
    struct str who = log_quote(&arena, call->actor.name), what = log_quote(&arena, details);
    struct str name = log_quote(&arena, str_of(call->command->name));
    log_event(LOG_NOTICE, "command", "name=%.*s actor=%.*s result=%s arguments=%.*s",
              STR_ARGS(name), STR_ARGS(who), e == OK ? "ok" : err_name(e), STR_ARGS(what));
    arena_done(&arena);
}

void command_done(struct command_call *call, json_t *result)
{
    must(call->result == NULL);
    call->result = result != NULL ? result : json_object();
    if ((call->command->flags & COMMAND_AUDITED) == 0 || call->only_looks) {
        answer(call, OK, call->result, STR_EMPTY);
        return;
    }
    struct str details = details_of(call);
    log_call(call, OK, details);
    if (call->commands->record == NULL)
        answer(call, OK, call->result, STR_EMPTY);
    else
        call->commands->record(call, scope_of(call), details, call->commands->record_context);
}

void command_recorded(struct command_call *call, enum err e)
{
    if (e == OK)
        answer(call, OK, call->result, STR_EMPTY);
    else
        answer(call, e, call->result, STR("done, but the audit record could not be written"));
}

void command_fail_with(struct command_call *call, enum err e, json_t *result, struct str message)
{
    must(e != OK && call->result == NULL);
    call->result = result;
    if ((call->command->flags & COMMAND_AUDITED) != 0)
        log_call(call, e, details_of(call));
    answer(call, e, result, message);
}

void command_fail(struct command_call *call, enum err e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    command_fail_with(call, e, NULL, str_of(text));
}

void command_progress(struct command_call *call, json_t *what)
{
    if (!call->cancelled)
        call->face->progress(call, what);
    json_decref(what);
}

void command_cancel(struct command_call *call)
{
    call->cancelled = true;
    call->face_data = NULL;
    if (call->on_cancelled != NULL)
        call->on_cancelled(call);
}

/* ---- arguments ---- */

struct str argument_text(const struct command_call *call, const char *name)
{
    return text_of(json_object_get(call->arguments, name));
}

int64_t argument_number(const struct command_call *call, const char *name)
{
    return json_integer_value(json_object_get(call->arguments, name));
}

bool argument_given(const struct command_call *call, const char *name)
{
    return json_object_get(call->arguments, name) != NULL;
}

static bool read_time(struct str text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {
        {"s",   1000000          },
        {"min", 60000000         },
        {"m",   60000000         },
        {"h",   3600000000       },
        {"d",   86400000000      },
        {"w",   7 * 86400000000  },
        {"ms",  1000             },
        {"y",   365 * 86400000000}
    };
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    uint64_t number;
    if (str_to_u64(str_first(text, digits), 1, 100000, &number) != OK)
        return false;
    struct str unit = str_trim(str_skip(text, digits));
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(unit, str_of(units[i].name)) || (unit.len == 0 && i == 0)) {
            *out = (int64_t)number * units[i].us;
            return true;
        }
    return false;
}

static bool is_choice(const char *choices, struct str text)
{
    for (struct str rest = str_of(choices); rest.at != NULL;)
        if (str_eq(str_cut(&rest, '|'), text))
            return true;
    return false;
}

static enum err refuse(struct why *why, const struct argument *argument, const char *what)
{
    return why_say(why, ERR_MALFORMED, "%s: %s", argument->name, what);
}

// One argument as the handler gets it: a new reference in *out.
static enum err read_argument(struct arena *arena, const struct argument *argument,
                              const json_t *given, json_t **out, struct why *why)
{
    struct str text = text_of(given), prepared;
    struct jid jid;
    uint64_t number;
    int64_t time_us;
    if (!json_is_string(given) && !json_is_integer(given) && !json_is_boolean(given))
        return refuse(why, argument, "a text, a number or true or false is needed");
    if (!json_is_string(given) && argument->kind != ARGUMENT_NUMBER &&
        argument->kind != ARGUMENT_FLAG)
        return refuse(why, argument, "a text is needed");
    if (text.len > 65536)
        return refuse(why, argument, "too long");
    switch (argument->kind) {
    case ARGUMENT_TEXT:
    case ARGUMENT_SECRET:
        *out = json_of(text);
        return OK;
    case ARGUMENT_ACCOUNT:
        if (jid_parse(arena, text, &jid) != OK || jid.local.len == 0 || jid.resource.len > 0)
            return refuse(why, argument, "an address such as romeo@example.org is needed");
        *out = json_of(jid.full);
        return OK;
    case ARGUMENT_ADDRESS:
        if (jid_parse(arena, text, &jid) != OK)
            return refuse(why, argument, "an address is needed");
        *out = json_of(jid.full);
        return OK;
    case ARGUMENT_DOMAIN:
        if (jid_prepare_domain(arena, text, &prepared) != OK)
            return refuse(why, argument, "a domain is needed");
        *out = json_of(prepared);
        return OK;
    case ARGUMENT_NUMBER:
        if (json_is_integer(given) && json_integer_value(given) >= 0) {
            *out = json_integer(json_integer_value(given));
            return OK;
        }
        if (!json_is_string(given) || str_to_u64(text, 0, INT64_MAX, &number) != OK)
            return refuse(why, argument, "a whole number is needed");
        *out = json_integer((json_int_t)number);
        return OK;
    case ARGUMENT_TIME:
        if (!read_time(text, &time_us))
            return refuse(why, argument, "a time such as \"30 min\" or \"2 h\" is needed");
        *out = json_integer(time_us);
        return OK;
    case ARGUMENT_FLAG:
        if (json_is_boolean(given))
            *out = json_boolean(json_is_true(given));
        else if (str_eq(text, STR("true")) || str_eq(text, STR("false")))
            *out = json_boolean(str_eq(text, STR("true")));
        else
            return refuse(why, argument, "true or false is needed");
        return OK;
    case ARGUMENT_CHOICE:
        if (!is_choice(argument->choices, text))
            return why_say(why, ERR_MALFORMED, "%s: one of %s is needed", argument->name,
                           argument->choices);
        *out = json_of(text);
        return OK;
    }
    must(false); // the kinds are all above
    return ERR_MALFORMED;
}

static const struct argument *find_argument(const struct command *command, const char *name)
{
    for (size_t i = 0; i < ARGUMENTS_MOST && command->arguments[i].name != NULL; i++)
        if (strcmp(command->arguments[i].name, name) == 0)
            return &command->arguments[i];
    return NULL;
}

static enum err read_arguments(struct command_call *call, const json_t *given, struct why *why)
{
    const struct command *command = call->command;
    const char *name;
    json_t *value;
    enum err e = OK;
    json_object_foreach((json_t *)given, name, value)
    {
        const struct argument *argument = find_argument(command, name);
        json_t *read = NULL;
        if (argument == NULL)
            return why_say(why, ERR_MALFORMED, "%s: %s knows no such argument", name,
                           command->name);
        e = read_argument(&call->arena, argument, value, &read, why);
        if (e != OK)
            return e;
        json_object_set_new(call->arguments, name, read);
    }
    for (size_t i = 0; i < ARGUMENTS_MOST && command->arguments[i].name != NULL; i++)
        if ((command->arguments[i].flags & ARGUMENT_REQUIRED) != 0 &&
            !argument_given(call, command->arguments[i].name))
            return refuse(why, &command->arguments[i], "is needed");
    return OK;
}

// An administrator's command concerns his domain, or becomes one that does.
static enum err check_rights(struct command_call *call, struct why *why)
{
    const struct command *command = call->command;
    if (call->actor.role == ROLE_OPERATOR)
        return OK;
    if (call->actor.role < command->role || command->scope == NULL)
        return why_say(why, ERR_DENIED, "%s is for operators of the whole installation",
                       command->name);
    // not the scope alone: no account and no domain of others may be named at all
    for (size_t i = 0; i < ARGUMENTS_MOST && command->arguments[i].name != NULL; i++) {
        const struct argument *argument = &command->arguments[i];
        struct str text = argument_text(call, argument->name);
        struct jid named = argument->kind == ARGUMENT_ACCOUNT && text.len > 0
                               ? jid_of_prepared(text)
                               : (struct jid){.domain = text};
        if ((argument->kind == ARGUMENT_ACCOUNT || argument->kind == ARGUMENT_DOMAIN) &&
            text.len > 0 && !str_eq(named.domain, call->actor.domain))
            return why_say(why, ERR_DENIED, "%.*s does not administer %.*s",
                           STR_ARGS(call->actor.name), STR_ARGS(named.domain));
    }
    const struct argument *scope = find_argument(command, command->scope);
    must(scope != NULL);
    struct str given = argument_text(call, scope->name);
    if (scope->kind == ARGUMENT_DOMAIN && given.len == 0) {
        json_object_set_new(call->arguments, scope->name, json_of(call->actor.domain));
        return OK;
    }
    struct jid jid = jid_of_prepared(given);
    struct str domain = scope->kind == ARGUMENT_DOMAIN ? given : jid.domain;
    if (!str_eq(domain, call->actor.domain))
        return why_say(why, ERR_DENIED, "%.*s does not administer %.*s", STR_ARGS(call->actor.name),
                       STR_ARGS(domain));
    return OK;
}

static const struct command *find_command(const struct commands *commands, struct str name,
                                          void **context)
{
    for (size_t t = 0; t < commands->n_tables; t++)
        for (size_t i = 0; i < commands->tables[t].n; i++)
            if (str_eq(str_of(commands->tables[t].rows[i].name), name)) {
                *context = commands->tables[t].context;
                return &commands->tables[t].rows[i];
            }
    return NULL;
}

static void run_nothing(struct command_call *call)
{
    command_fail(call, ERR_MISSING, "there is no such command");
}

static const struct command no_command = {.name = "?", .run = run_nothing};

void command_run(struct commands *commands, struct str name, const json_t *arguments,
                 const struct actor *actor, const struct command_face *face, void *face_data)
{
    struct command_call *call = calloc(1, sizeof *call);
    must(call != NULL);
    arena_init(&call->arena, CALL_ARENA);
    call->commands = commands;
    call->face = face;
    call->face_data = face_data;
    call->actor.role = actor->role;
    call->actor.name = arena_str(&call->arena, actor->name);
    call->actor.domain = arena_str(&call->arena, actor->domain);
    call->arguments = json_object();
    call->command = find_command(commands, name, &call->context);
    list_add_last(&commands->calls, &call->link);
    commands->n_calls++;
    if (call->command == NULL)
        call->command = &no_command;

    struct why why = {""};
    enum err e = OK;
    if (commands->n_calls > CALLS_MOST)
        e = why_say(&why, ERR_BUSY, "too many commands at once");
    if (e == OK && call->command != &no_command)
        e = read_arguments(call, arguments, &why);
    if (e == OK && call->command != &no_command)
        e = check_rights(call, &why);
    if (face->begun != NULL)
        face->begun(call);
    if (e == OK)
        call->command->run(call);
    else
        command_fail_with(call, e, NULL, str_of(why.text));
}
