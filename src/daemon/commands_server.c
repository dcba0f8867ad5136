/*
 * Commands about the server itself, and the audit record.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/confine.h"
#include "daemon/server.h"
#include "im/desk.h"
#include "route/in_hand.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- status ---- */

static const char *health_name(enum store_health health)
{
    static const char *const names[] = {
        [STORE_WELL] = "well", [STORE_FULL] = "disk full", [STORE_FAILING] = "failing"};
    return names[health];
}

static void add_store(json_t *status, const struct daemon *daemon)
{
    struct store_stats stats;
    store_stats(daemon->store, &stats);
    json_object_set_new(status, "store", json_string(health_name(stats.health)));
    json_object_set_new(status, "store_path", json_of(daemon->config->store.path));
    json_object_set_new(status, "store_waiting", json_integer((json_int_t)stats.queue_length));
    json_object_set_new(status, "commits", json_integer((json_int_t)stats.n_commits));
}

struct counting {
    struct store_account_count op;
    struct command_call *call;
    json_t *status;
};

static void counted(struct store_request *request)
{
    struct counting *counting = CONTAINER_OF(request, struct counting, op.request);
    struct command_call *call = counting->call;
    if (request->result == OK) {
        json_object_set_new(counting->status, "accounts", json_integer((json_int_t)counting->op.n));
        json_object_set_new(counting->status, "accounts_disabled",
                            json_integer((json_int_t)counting->op.n_disabled));
    }
    json_t *status = counting->status;
    store_release(request);
    command_done(call, status);
}

static void run_status(struct command_call *call)
{
    struct daemon *daemon = call->context;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    json_t *domains = json_array();
    for (size_t d = 0; d < daemon->config->n_domains; d++)
        json_array_append_new(domains, json_of(daemon->config->domains[d].name));
    json_t *status = json_object();
    json_object_set_new(status, "version", json_string(FIREDOOR_VERSION));
    json_object_set_new(status, "pid", json_integer(getpid()));
    json_object_set_new(status, "started", json_of_time(daemon->started_us));
    json_object_set_new(status, "uptime_s",
                        json_integer((clock_wall_us() - daemon->started_us) / SECOND_US));
    json_object_set_new(status, "domains", domains);
    if (daemon->args.file != NULL)
        json_object_set_new(status, "configuration", json_string(daemon->args.file));
    json_object_set_new(status, "files_confined", json_boolean(daemon->confined_files));
    json_object_set_new(status, "calls_confined", json_boolean(daemon->confined_calls));
    json_object_set_new(status, "peak_memory_kib", json_integer(usage.ru_maxrss));
    json_object_set_new(status, "cpu_s",
                        json_real((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                                  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6));
    add_store(status, daemon);
    if (daemon->server != NULL)
        json_object_set_new(
            status, "put_aside",
            json_integer((json_int_t)in_hand_n_aside(server_service(daemon->server)->in_hand)));
    if (daemon->hooks.status != NULL)
        daemon->hooks.status(daemon->hooks.context, status);

    struct counting *counting = arena_make(&call->arena, struct counting);
    counting->call = call;
    counting->status = status;
    counting->op.request.home = loop_mailbox(daemon->loop);
    counting->op.request.done = counted;
    store_account_count(daemon->store, &counting->op);
}

static void run_version(struct command_call *call)
{
    command_done(call, json_pack("{s:s}", "version", FIREDOOR_VERSION));
}

static void run_commands(struct command_call *call)
{
    static const char *const kinds[] = {
        [ARGUMENT_TEXT] = "text",       [ARGUMENT_SECRET] = "secret",
        [ARGUMENT_ACCOUNT] = "account", [ARGUMENT_ADDRESS] = "address",
        [ARGUMENT_DOMAIN] = "domain",   [ARGUMENT_NUMBER] = "number",
        [ARGUMENT_TIME] = "time",       [ARGUMENT_FLAG] = "flag",
        [ARGUMENT_CHOICE] = "choice",
    };
    json_t *list = json_array();
    const struct command *command;
    for (size_t at = 0; (command = commands_next(call->commands, &at)) != NULL;) {
        json_t *arguments = json_array();
        for (size_t i = 0; i < ARGUMENTS_MOST && command->arguments[i].name != NULL; i++) {
            const struct argument *argument = &command->arguments[i];
            json_array_append_new(
                arguments, json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:s}", "name",
                                     argument->name, "kind", kinds[argument->kind], "required",
                                     (argument->flags & ARGUMENT_REQUIRED) != 0, "positional",
                                     (argument->flags & ARGUMENT_POSITIONAL) != 0, "rest",
                                     (argument->flags & ARGUMENT_REST) != 0, "several",
                                     (argument->flags & ARGUMENT_SEVERAL) != 0, "choices",
                                     argument->choices != NULL ? argument->choices : "", "doc",
                                     argument->doc));
        }
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:b, s:b, s:o}", "name", command->name, "doc",
                            command->doc, "changes", (command->flags & COMMAND_AUDITED) != 0,
                            "reads", (command->flags & COMMAND_READS) != 0, "writes",
                            (command->flags & COMMAND_WRITES) != 0, "arguments", arguments));
    }
    command_done(call, json_pack("{s:o}", "commands", list));
}

/* ---- configuration ---- */

static json_t *lines_of(const struct buf *text)
{
    json_t *lines = json_array();
    for (struct str rest = buf_str(text); rest.len > 0 && rest.at != NULL;) {
        struct str line = str_cut(&rest, '\n');
        if (line.len > 0)
            json_array_append_new(lines, json_of(line));
    }
    return lines;
}

static void run_reload(struct command_call *call)
{
    struct buf troubles;
    buf_init(&troubles, 1 << 20);
    enum err e = daemon_reload(call->context, &troubles);
    json_t *result = json_pack("{s:o}", "troubles", lines_of(&troubles));
    buf_done(&troubles);
    if (e == OK)
        command_done(call, result);
    else
        command_fail_with(call, e, result, STR("nothing was changed"));
}

static void run_config(struct command_call *call)
{
    struct daemon *daemon = call->context;
    struct buf values;
    buf_init(&values, 8 << 20);
    config_print_values(daemon->config, &values);
    json_t *lines = lines_of(&values), *found = json_array(), *line;
    struct str wanted = argument_text(call, "key");
    size_t i;
    json_array_foreach(lines, i, line)
    {
        if (str_starts(str_make(json_string_value(line), json_string_length(line)), wanted))
            json_array_append(found, line);
    }
    buf_done(&values);
    json_decref(lines);
    if (json_array_size(found) == 0) {
        json_decref(found);
        command_fail(call, ERR_MISSING, "there is no key \"%.*s\"", STR_ARGS(wanted));
        return;
    }
    command_done(call, json_pack("{s:o}", "values", found));
}

static void run_log(struct command_call *call)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
    struct str level = argument_text(call, "level");
    size_t now = 0;
    call->only_looks = level.len == 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq(level, str_of(names[i])))
            log_set_level((enum log_level)(i + CONFIG_LOG_FIRST));
        if (log_wants((enum log_level)(i + CONFIG_LOG_FIRST)))
            now = i;
    }
    command_done(call, json_pack("{s:s}", "level", names[now]));
}

/* ---- audit ---- */

struct auditing {
    struct store_audit_list op;
    struct command_call *call;
};

static void audit_listed(struct store_request *request)
{
    struct auditing *auditing = CONTAINER_OF(request, struct auditing, op.request);
    struct command_call *call = auditing->call;
    if (request->result != OK) {
        enum err e = request->result;
        store_release(request);
        command_fail(call, e, "the audit record could not be read");
        return;
    }
    json_t *entries = json_array();
    for (uint32_t i = 0; i < auditing->op.n; i++) {
        const struct store_audit *entry = &auditing->op.entries[i];
        json_array_append_new(
            entries,
            json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)entry->number,
                      "time", json_of_time(entry->wall_us), "actor", json_of(entry->actor),
                      "action", json_of(entry->action), "scope", json_of(entry->scope), "reason",
                      json_of(entry->reason), "details", json_of(entry->details)));
    }
    json_t *result = json_pack("{s:o, s:b}", "entries", entries, "more", auditing->op.more);
    store_release(request);
    command_done(call, result);
}

static void run_audit_list(struct command_call *call)
{
    struct daemon *daemon = call->context;
    struct auditing *auditing = arena_make(&call->arena, struct auditing);
    int64_t limit = argument_given(call, "limit") ? argument_number(call, "limit") : 100;
    auditing->call = call;
    auditing->op.request.home = loop_mailbox(daemon->loop);
    auditing->op.request.done = audit_listed;
    auditing->op.actor = argument_text(call, "actor");
    auditing->op.scope = argument_text(call, "scope");
    auditing->op.before = argument_number(call, "before");
    if (argument_given(call, "since"))
        auditing->op.since_us = clock_wall_us() - argument_number(call, "since");
    auditing->op.most = limit > 0 && limit < 10000 ? (uint32_t)limit : 10000;
    store_audit_list(daemon->store, &auditing->op);
}

struct recording {
    struct store_audit_append op;
    struct command_call *call;
};

static void recorded(struct store_request *request)
{
    struct recording *recording = CONTAINER_OF(request, struct recording, op.request);
    struct command_call *call = recording->call;
    enum err e = request->result;
    store_release(request);
    command_recorded(call, e);
}

static void record(struct command_call *call, struct str scope, struct str details, void *context)
{
    struct daemon *daemon = context;
    if (daemon->store == NULL) { // the process ends
        command_recorded(call, ERR_CLOSED);
        return;
    }
    struct recording *recording = arena_make(&call->arena, struct recording);
    recording->call = call;
    recording->op.request.home = loop_mailbox(daemon->loop);
    recording->op.request.done = recorded;
    recording->op.entry = (struct store_audit){
        .wall_us = clock_wall_us(),
        .actor = call->actor.name,
        .action = str_of(call->command->name),
        .scope = scope,
        .reason = argument_text(call, "reason"),
        .details = details,
    };
    store_audit_append(daemon->store, &recording->op);
}

/* ---- the proof of the fences ---- */

static void run_probe(struct command_call *call)
{
    struct daemon *daemon = call->context;
    if (!daemon->config->test.probe) {
        command_fail(call, ERR_DENIED, "test.probe is not set");
        return;
    }
    struct confine_probe probe;
    confine_probe(&probe);
    command_done(call,
                 json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "open_secret", probe.open_secret,
                           "open_public", probe.open_public, "open_write", probe.open_write,
                           "execute", probe.execute, "make_process", probe.make_process,
                           "map_executable", probe.map_executable, "regain", probe.regain));
}

static const struct command rows[] = {
    {
     .name = "status",
     .doc = "What runs, since when, and how the store is.",
     .role = ROLE_OPERATOR,
     .run = run_status,
     },
    {
     .name = "version",
     .doc = "The server's version.",
     .role = ROLE_OPERATOR,
     .run = run_version,
     },
    {
     .name = "commands",
     .doc = "Every command with its arguments.",
     .role = ROLE_OPERATOR,
     .run = run_commands,
     },
    {
     .name = "reload",
     .doc = "Reads the configuration anew: all of it, or nothing.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_reload,
     .arguments = {ARGUMENT_REASON},
     },
    {
     .name = "config",
     .doc = "The configuration in force.",
     .role = ROLE_OPERATOR,
     .run = run_config,
     .arguments = {{"key", ARGUMENT_TEXT, ARGUMENT_POSITIONAL, NULL,
                       "A key, or the beginning of keys."}},
     },
    {
     .name = "log",
     .doc = "Shows or changes, until the next reload, the least severe level that is logged.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_log,
     .arguments = {{"level", ARGUMENT_CHOICE, ARGUMENT_POSITIONAL,
                       "error|warning|notice|info|debug", "The new level."},
                      ARGUMENT_REASON},
     },
    {
     .name = "audit list",
     .doc = "Who changed what and why, newest first.",
     .role = ROLE_OPERATOR,
     .run = run_audit_list,
     .arguments = {{"limit", ARGUMENT_NUMBER, 0, NULL, "Most entries (100)."},
                      {"actor", ARGUMENT_TEXT, 0, NULL, "Only this one's acts."},
                      {"scope", ARGUMENT_TEXT, 0, NULL, "Only acts on this account or domain."},
                      {"since", ARGUMENT_TIME, 0, NULL, "Only the last hours or days: \"2 d\"."},
                      {"before", ARGUMENT_NUMBER, 0, NULL, "Only entries before this number."}},
     },
    {
     .name = "test probe",
     .doc = "Tries to break out of the confinement (tests only).",
     .role = ROLE_OPERATOR,
     .run = run_probe,
     },
};

void commands_add_server(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
    commands_set_audit(daemon->commands, record, daemon);
}
