/*
 * firedoord: from the command line to a running service and back.
 *
 * The order is the point.  As root: configuration, directories, sockets, keys.
 * Then the process becomes its own user and is fenced in.  Only then are threads
 * started, is the store opened and is the first byte read from a peer.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/check.h"
#include "daemon/confine.h"
#include "daemon/decoy_refresh.h"
#include "daemon/server.h"
#include "daemon/server_settings.h"
#include "files/inspector.h"
#include "files/uploads.h"
#include "im/desk.h"
#include "im/sessions.h"
#include "net/process.h"
#include "net/tls.h"
#include "xmpp/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_CONFIG = 78 }; // as firedoord(8) says; 78 is sysexits' EX_CONFIG

#define DEFAULT_FILE "/etc/firedoor/firedoor.conf"

enum act { ACT_RUN, ACT_CHECK, ACT_DEFAULTS, ACT_MANUAL, ACT_VERSION, ACT_HELP };

static const char help[] =
    "usage: firedoord [--config FILE | --no-config] [--set SECTION.KEY=VALUE]... [--check]\n"
    "\n"
    "  -c, --config FILE   configuration file (default " DEFAULT_FILE ")\n"
    "      --no-config     no file: defaults and --set alone\n"
    "  -s, --set K=V       overrides a key, e.g. limits.depth=16, domains.example.org.plain=no\n"
    "      --check         says what is wrong with the configuration, and ends\n"
    "      --print-defaults  every key with its documentation and default\n"
    "      --print-manual  firedoor.conf(5)\n"
    "      --version, --help\n";

/* ---- command line ---- */

struct line {
    enum act act;
    const char *file;
    bool no_file;
    const char **sets;
    size_t n_sets;
};

static bool read_line(int argc, char **argv, struct line *line)
{
    enum { NO_CONFIG = 256, CHECK, DEFAULTS, MANUAL, VERSION };
    static const struct option options[] = {
        {"config",         required_argument, NULL, 'c'      },
        {"set",            required_argument, NULL, 's'      },
        {"no-config",      no_argument,       NULL, NO_CONFIG},
        {"check",          no_argument,       NULL, CHECK    },
        {"print-defaults", no_argument,       NULL, DEFAULTS },
        {"print-manual",   no_argument,       NULL, MANUAL   },
        {"version",        no_argument,       NULL, VERSION  },
        {"help",           no_argument,       NULL, 'h'      },
        {NULL,             0,                 NULL, 0        },
    };
    int option;
    *line = (struct line){.file = DEFAULT_FILE};
    line->sets = calloc((size_t)argc, sizeof *line->sets);
    must(line->sets != NULL);
    while ((option = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1) { // NOLINT: one thread
        switch (option) {
        case 'c':
            line->file = optarg;
            break;
        case 's':
            line->sets[line->n_sets++] = optarg;
            break;
        case NO_CONFIG:
            line->no_file = true;
            break;
        case CHECK:
            line->act = ACT_CHECK;
            break;
        case DEFAULTS:
            line->act = ACT_DEFAULTS;
            break;
        case MANUAL:
            line->act = ACT_MANUAL;
            break;
        case VERSION:
            line->act = ACT_VERSION;
            break;
        case 'h':
            line->act = ACT_HELP;
            break;
        default:
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "firedoord: what is \"%s\"?\n", argv[optind]);
        return false;
    }
    if (line->no_file)
        line->file = NULL;
    return true;
}

/* ---- configuration ---- */

enum err daemon_reload(struct daemon *daemon, struct buf *troubles)
{
    const struct config *new = NULL;
    struct why why = {""};
    notify_reloading(&daemon->notify);
    enum err e = config_load(&daemon->args, &new, troubles);
    if (e == OK)
        e = config_can_follow(daemon->config, new, troubles);
    if (e == OK && daemon->server != NULL)
        e = check_live(new, server_service(daemon->server)->notices, troubles);
    if (e == OK && !str_eq(new->log.file, daemon->config->log.file))
        e = log_check(new->log.file.at, &why);
    if (e == OK && daemon->hooks.reload != NULL)
        e = daemon->hooks.reload(daemon->hooks.context, new, &why);
    if (e != OK && why.text[0] != '\0')
        buf_printf(troubles, "%s\n", why.text);
    struct str denied = str_of(strerror(EACCES)); // NOLINT(concurrency-mt-unsafe): a constant
    if (e != OK && daemon->confined_files &&
        str_find(buf_str(troubles), denied) < buf_str(troubles).len)
        buf_printf(troubles, "the running server reads files as its own user, and only in "
                             "directories that it knew at its start\n");
    if (e == OK) {
        // the same log that cannot be opened anew goes on where it is: certificates are renewed
        // even where a rotation has left no place for it
        enum log_level level = (enum log_level)(new->log.level + CONFIG_LOG_FIRST);
        if (log_open(new->log.file.at, level, new->log.json, &why) != OK) {
            buf_printf(troubles, "%s\n", why.text);
            log_set_level(level);
            log_set_json(new->log.json);
        }
        const struct config *old = daemon->config;
        daemon->config = new;
        config_unref(&old);
    } else {
        config_unref(&new);
    }
    log_event(e == OK ? LOG_NOTICE : LOG_ERROR, "reload", "result=%s", err_name(e));
    for (struct str rest = buf_str(troubles); rest.len > 0 && rest.at != NULL;) {
        struct str trouble = str_cut(&rest, '\n');
        struct arena arena;
        arena_init(&arena, 1 << 20);
        if (trouble.len > 0 && trouble.len < 100000) {
            struct str quoted = log_quote(&arena, trouble);
            log_event(LOG_ERROR, "reload-trouble", "what=%.*s", STR_ARGS(quoted));
        }
        arena_done(&arena);
    }
    notify_say(&daemon->notify, "READY=1");
    return e;
}

/* ---- start ---- */

static enum err write_pid(const struct config *config, const struct identity *identity,
                          struct why *why)
{
    const char *path = config->server.pid_file.at;
    if (path[0] == '\0')
        return OK;
    unlink(path); // not through somebody's symbolic link
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return why_say(why, ERR_IO, "pid file %s: %s", path, strerror(errno));
    bool written = dprintf(fd, "%d\n", (int)getpid()) > 0;
    close(fd);
    if (!written)
        return why_say(why, ERR_IO, "pid file %s: %s", path, strerror(errno));
    return file_give(config->server.pid_file, identity, why);
}

static enum err prepare_directories(const struct config *config, const struct identity *identity,
                                    struct why *why)
{
    umask(0027);
    enum err e = directory_prepare(config->server.state_directory, true, identity, why);
    const struct str files[] = {config->store.path, config->log.file, config->server.pid_file,
                                config->control.socket};
    for (size_t i = 0; i < COUNT_OF(files) && e == OK; i++)
        if (files[i].len > 0)
            e = directory_prepare_for(files[i], identity, why);
    if (e == OK && config->upload.enabled)
        e = directory_prepare(config->upload.directory, true, identity, why);
    return e;
}

static enum err open_log(const struct config *config, const struct identity *identity,
                         struct why *why)
{
    enum err e =
        log_open(config->log.file.at, (enum log_level)(config->log.level + CONFIG_LOG_FIRST),
                 config->log.json, why);
    if (e == OK && config->log.file.len > 0)
        e = file_give(config->log.file, identity, why);
    return e;
}

static enum err bound_memory(const struct config *config, struct why *why)
{
    size_t most = config->server.memory;
    if (most == 0)
        return OK;
    if (setrlimit(RLIMIT_AS, &(struct rlimit){most, most}) != 0)
        return why_say(why, ERR_IO, "server.memory: %s", strerror(errno));
    return OK;
}

// The process that looks into files: what it may, it may not when it has begun.
static enum err confine_helper(void *context, bool one_file, struct why *why)
{
    const struct daemon *daemon = context;
    if (!one_file) {
        enum err e = privileges_drop(&daemon->identity, why);
        if (e != OK)
            return e;
    }
    return daemon->config->server.confine == CONFIG_OFF ? OK : confine_inspector(one_file, why);
}

static struct inspector_options inspector_options(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    must(config != NULL);
    return (struct inspector_options){
        .rules = config->upload.rules.len > 0 ? config->upload.rules.at : NULL,
        .time_us = config->upload.inspection_time_us,
        .memory = config->upload.inspection_memory,
        .unpacked_most = config->upload.unpacked,
        .entries_most = (uint32_t)config->upload.entries,
        .depth_most = (unsigned)config->upload.depth,
        .at_once = (unsigned)config->upload.threads,
        .confine = confine_helper,
        .context = daemon,
    };
}

// While we may still be root.
static enum err prepare(struct daemon *daemon, struct why *why)
{
    const struct config *config = daemon->config;
    must(config != NULL);
    enum err e = identity_find(config->server.run_as, &daemon->identity, why);
    if (e == OK)
        e = prepare_directories(config, &daemon->identity, why);
    if (e == OK)
        e = open_log(config, &daemon->identity, why);
    if (e == OK)
        e = control_bind(config->control.socket, config->control.group, &daemon->identity,
                         &daemon->control, why);
    if (e == OK)
        e = write_pid(config, &daemon->identity, why);
    if (e == OK && config->upload.enabled) {
        // before there are threads, and before anything that it need not know is in memory
        struct inspector_options options = inspector_options(daemon);
        e = inspector_start(&options, &daemon->inspector, why);
    }
    if (e == OK)
        e = bound_memory(config, why);
    if (e != OK)
        return e;
    process_ignore_sigpipe();
    notify_open(&daemon->notify);
    prepare_start(); // what libraries read from files they read before the fences stand
    e = loop_new("firedoord", &daemon->loop, why);
    return e == OK ? server_prepare(config, daemon->loop, &daemon->server, why) : e;
}

static enum err confine(struct daemon *daemon, struct why *why)
{
    enum err e = privileges_drop(&daemon->identity, why);
    if (e != OK)
        return e;
    if (daemon->config->server.confine == CONFIG_OFF) {
        why_say(&daemon->unconfined, OK, "server.confine is off");
        return OK;
    }
    e = confine_files(daemon->config, daemon->args.file, why);
    if (e == ERR_UNSUPPORTED) // older kernels and some containers: the other fences stand
        daemon->unconfined = *why;
    else if (e != OK)
        return e;
    daemon->confined_files = e == OK;
    e = confine_calls(why);
    daemon->confined_calls = e == OK;
    return e;
}

static enum err reload_server(void *context, const struct config *new, struct why *why)
{
    struct daemon *daemon = context;
    return server_reload(daemon->server, new, why);
}

static void name_administrators(struct daemon *daemon)
{
    size_t n = 0;
    struct str *at = calloc(json_object_size(daemon->administrators) + 1, sizeof *at);
    must(at != NULL);
    const char *bare;
    json_t *yes;
    json_object_foreach(daemon->administrators, bare, yes) at[n++] = str_of(bare);
    server_set_administrators(daemon->server, &(struct config_list){at, n});
    free(at);
}

static void remove_uploads(struct daemon *daemon, struct str bare)
{
    struct uploads *uploads = server_service(daemon->server)->uploads;
    if (uploads != NULL)
        uploads_remove_owner(uploads, bare);
}

static void tell_sessions(void *context, struct str bare, int64_t number, enum account_change what)
{
    struct daemon *daemon = context;
    (void)number;
    if (what == ACCOUNT_ADMIN || what == ACCOUNT_DELETED)
        name_administrators(daemon);
    if (what == ACCOUNT_DELETED)
        remove_uploads(daemon, bare);
    if (what == ACCOUNT_CREATED || what == ACCOUNT_PASSWORD || what == ACCOUNT_ADMIN)
        return;
    sessions_tell(server_service(daemon->server), bare,
                  what == ACCOUNT_DELETED || what == ACCOUNT_DISABLED ? NEWS_GONE : NEWS_CHANGED);
}

// An account was deleted by its owner or an administrator, on some worker: a name made anew has no
// rights.
struct deletion {
    struct mail mail;
    struct daemon *daemon;
    char bare[JID_MOST + 1];
};

static void hear_of_deletion(struct mail *mail)
{
    struct deletion *deletion = CONTAINER_OF(mail, struct deletion, mail);
    if (json_object_del(deletion->daemon->administrators, deletion->bare) == 0)
        name_administrators(deletion->daemon);
    remove_uploads(deletion->daemon, str_of(deletion->bare));
    free(deletion);
}

static void account_deleted(void *context, struct str bare)
{
    struct daemon *daemon = context;
    struct deletion *deletion = calloc(1, sizeof *deletion);
    must(deletion != NULL);
    deletion->daemon = daemon;
    deletion->mail.run = hear_of_deletion;
    must(str_to_z(bare, deletion->bare, sizeof deletion->bare) == OK);
    loop_post(daemon->loop, &deletion->mail);
}

// Threads begin here.
static enum err open_service(struct daemon *daemon, struct why *why)
{
    enum err e = server_open(daemon->server, daemon->inspector, why);
    if (e != OK)
        return e;
    struct service *service = server_service(daemon->server);
    daemon->store = service->store;
    daemon->kitchen = service->kitchen;
    daemon->crypto = service->crypto;
    service->account_deleted = account_deleted;
    service->context = daemon;
    daemon->hooks.context = daemon;
    daemon->hooks.reload = reload_server;
    daemon->hooks.account_changed = tell_sessions;
    e = daemon_load_administrators(daemon, why);
    if (e == OK) {
        name_administrators(daemon);
        e = server_start(daemon->server, why);
    }
    if (e != OK)
        return e;
    commands_add_server(daemon);
    commands_add_accounts(daemon);
    commands_add_portable(daemon);
    commands_add_incidents(daemon);
    commands_add_rules(daemon);
    commands_add_guard(daemon);
    commands_add_replay(daemon);
    commands_add_sessions(daemon);
    commands_add_aside(daemon);
    commands_add_uploads(daemon);
    commands_add_texts(daemon);
    commands_add_decoy_picture(daemon);
    commands_add_decoy_place(daemon);
    commands_add_decoy_make(daemon);
    commands_add_decoy_refresh(daemon);
    daemon->decoy_refresh = decoy_refresh_new(daemon);
    return control_serve(daemon->control, daemon->loop, daemon->commands, why);
}

// Commands whose caller is gone still hear from the kitchen and the store, and end then.
static void await_commands(struct daemon *daemon, int64_t most_us)
{
    int64_t until_us = clock_now_us() + most_us;
    while (daemon->loop != NULL && commands_under_way(daemon->commands) > 0 &&
           clock_now_us() < until_us)
        loop_turn(daemon->loop, SECOND_US / 20);
}

static void close_service(struct daemon *daemon)
{
    control_free(&daemon->control);
    decoy_refresh_free(&daemon->decoy_refresh);
    await_commands(daemon, daemon->config->server.stop_time_us);
    server_stop(&daemon->server);
    inspector_stop(&daemon->inspector);
    daemon->store = NULL;
    daemon->kitchen = NULL;
    await_commands(daemon, 5 * SECOND_US); // each fails at its next step: there is no store
    commands_free(&daemon->commands);
}

/* ---- life ---- */

static void on_signal(void *context, int number)
{
    struct daemon *daemon = context;
    if (number == SIGHUP) {
        struct buf troubles;
        buf_init(&troubles, 1 << 20);
        (void)!daemon_reload(daemon, &troubles); // the log says how it went
        buf_done(&troubles);
        return;
    }
    log_event(LOG_NOTICE, "stopping", "signal=%d", number);
    notify_say(&daemon->notify, "STOPPING=1");
    loop_stop(daemon->loop);
}

struct watchdog {
    struct timer timer;
    struct daemon *daemon;
};

static void on_watchdog(struct timer *timer)
{
    struct watchdog *watchdog = CONTAINER_OF(timer, struct watchdog, timer);
    notify_say(&watchdog->daemon->notify, "WATCHDOG=1");
    loop_timer_set(watchdog->daemon->loop, timer, watchdog->daemon->notify.watchdog_us / 2,
                   on_watchdog);
}

static void say_started(const struct daemon *daemon)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    if (!daemon->confined_files && daemon->config->server.confine == CONFIG_ON) {
        struct str why = log_quote(&arena, str_of(daemon->unconfined.text));
        log_event(LOG_WARNING, "not-confined", "fence=files why=%.*s", STR_ARGS(why));
    }
    if (daemon->config->server.confine == CONFIG_OFF)
        log_event(LOG_WARNING, "not-confined", "fence=all why=server.confine");
    if (geteuid() == 0)
        log_event(LOG_WARNING, "runs-as-root", "why=server.run_as capabilities=none");
    if (daemon->config->test.clock_rate != 1 || daemon->config->test.faults.len > 0 ||
        daemon->config->test.guard_seed != 0 || daemon->config->test.probe ||
        daemon->config->test.crash_at.len > 0)
        log_event(LOG_WARNING, "test-settings", "section=test");
    log_event(LOG_NOTICE, "started", "version=" FIREDOOR_VERSION " pid=%d domains=%zu",
              (int)getpid(), daemon->config->n_domains);
    arena_done(&arena);
}

static enum err run(struct daemon *daemon, struct why *why)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    enum err e = prepare(daemon, why);
    if (e == OK)
        e = confine(daemon, why);
    if (e == OK)
        e = loop_signals(daemon->loop, signals, COUNT_OF(signals), on_signal, daemon, why);
    if (e == OK)
        e = open_service(daemon, why);
    if (e == OK) {
        struct watchdog watchdog = {.daemon = daemon};
        if (daemon->notify.watchdog_us > 0)
            on_watchdog(&watchdog.timer);
        say_started(daemon);
        notify_say(&daemon->notify, "READY=1");
        loop_run(daemon->loop);
        loop_timer_cancel(&watchdog.timer);
    }
    close_service(daemon);
    if (e == OK)
        log_event(LOG_NOTICE, "stopped", NULL);
    return e;
}

// Reads and checks the configuration, says what is wrong with it, and of --check whether it is
// good.
static enum err take_config(struct daemon *daemon, bool only_check)
{
    struct buf troubles;
    buf_init(&troubles, 1 << 20);
    enum err e = config_load(&daemon->args, &daemon->config, &troubles);
    if (e == OK)
        e = check_config(daemon->config, &troubles);
    if (e == OK && only_check) {
        struct inspector_options options = inspector_options(daemon);
        e = check_files(daemon->config, &options, &troubles);
    }
    fprintf(stderr, "%.*s", STR_ARGS(buf_str(&troubles)));
    if (e == OK && only_check)
        puts("the configuration is good");
    buf_done(&troubles);
    return e;
}

int main(int argc, char **argv)
{
    struct line line;
    if (!read_line(argc, argv, &line)) {
        fputs(help, stderr);
        free(line.sets);
        return EXIT_USAGE;
    }
    int status = EXIT_SUCCESS;
    switch (line.act) {
    case ACT_HELP:
        fputs(help, stdout);
        break;
    case ACT_VERSION:
        puts("firedoord " FIREDOOR_VERSION);
        break;
    case ACT_DEFAULTS:
        config_print_example(stdout);
        break;
    case ACT_MANUAL:
        config_print_man(stdout);
        break;
    case ACT_CHECK:
    case ACT_RUN:
        status = -1;
        break;
    }
    if (status == EXIT_SUCCESS) {
        free(line.sets);
        return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }

    random_start();
    struct daemon daemon = {
        .args = {.file = line.file,      .sets = line.sets, .n_sets = line.n_sets},
        .started_us = clock_wall_us(),
        .notify = {.fd = -1},
        .commands = commands_new(),
        .administrators = json_object(),
    };
    struct why why = {""};
    status = EXIT_SUCCESS;
    if (take_config(&daemon, line.act == ACT_CHECK) != OK) {
        status = EXIT_CONFIG;
    } else if (line.act != ACT_CHECK && run(&daemon, &why) != OK) {
        fprintf(stderr, "firedoord: %s\n", why.text);
        status = EXIT_FAILURE;
    }
    if (status != EXIT_SUCCESS || line.act == ACT_CHECK)
        commands_free(&daemon.commands);
    if (daemon.config != NULL && line.act == ACT_RUN && daemon.config->server.pid_file.len > 0 &&
        status == EXIT_SUCCESS)
        unlink(daemon.config->server.pid_file.at);
    json_decref(daemon.administrators);
    loop_free(&daemon.loop);
    notify_close(&daemon.notify);
    config_unref(&daemon.config);
    free(line.sets);
    return status;
}
