/*
 * The daemon: what one process holds together, and who is told when it changes.
 *
 * All of it belongs to the main loop's thread.  The service (im, route, guard)
 * hangs in by the hooks below; the daemon itself does what needs no service:
 * configuration, privileges, control socket, store, signals.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/command.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/notify.h"
#include "daemon/privileges.h"
#include "net/kitchen.h"
#include "net/loop.h"
#include "store/store.h"

struct decoy_refresh;
struct inspector;
struct scram_crypto;
struct server;

enum account_change {
    ACCOUNT_CREATED,
    ACCOUNT_PASSWORD,
    ACCOUNT_DISABLED, // its sessions must end
    ACCOUNT_ENABLED,
    ACCOUNT_DELETED, // its sessions must end
    ACCOUNT_ROSTER,  // its roster was changed in the store
    ACCOUNT_ADMIN,   // it became or ceased to be an administrator
};

/* What the service wants to know.  Each may be NULL. */
struct daemon_hooks {
    void *context;
    /* A new configuration: all of it is taken, or nothing and why says what was wrong. */
    enum err (*reload)(void *context, const struct config *new, struct why *why);
    /* The store has it. */
    void (*account_changed)(void *context, struct str bare, int64_t number,
                            enum account_change what);
    /* Adds its lines to the answer of `status`. */
    void (*status)(void *context, json_t *status);
};

struct daemon {
    struct config_args args;
    const struct config *config;
    struct identity identity;
    struct notify notify;
    struct loop *loop;
    struct server *server;
    struct inspector *inspector;       // NULL: files are not taken
    struct kitchen *kitchen;           // the server's
    struct store *store;               // the server's
    const struct scram_crypto *crypto; // the server's
    struct commands *commands;
    struct control *control;
    struct decoy_refresh *decoy_refresh; // its schedule
    struct daemon_hooks hooks;
    int64_t started_us; // wall
    bool confined_files, confined_calls;
    struct why unconfined;  // why not, where it is not
    json_t *administrators; // object: bare JID → true; from the store
};

/* Reads the configuration anew and puts all of it into force, or nothing; troubles then has lines
 * that say why. */
enum err daemon_reload(struct daemon *daemon, struct buf *troubles) MUST_CHECK;

/* Whether a bare JID may use the administrators' commands of its domain. */
bool daemon_is_administrator(const struct daemon *daemon, struct str bare);

/* The tables of commands. */
void commands_add_server(struct daemon *daemon);    // status, version, reload, log, audit, probe
void commands_add_accounts(struct daemon *daemon);  // user …, roster …
void commands_add_portable(struct daemon *daemon);  // import, export
void commands_add_incidents(struct daemon *daemon); // incident …, link show
void commands_add_rules(struct daemon *daemon);     // suspend, decoy, entitle, guard rules
void commands_add_guard(struct daemon *daemon);     // guard report, guard questions, guard state
void commands_add_replay(struct daemon *daemon);    // incident replay
void commands_add_sessions(struct daemon *daemon);  // session …
void commands_add_aside(struct daemon *daemon);     // aside …
void commands_add_uploads(struct daemon *daemon);   // upload …
void commands_add_texts(struct daemon *daemon);     // text …
void commands_add_decoy_picture(struct daemon *daemon); // decoy picture
void commands_add_decoy_place(struct daemon *daemon);   // decoy place
void commands_add_decoy_make(struct daemon *daemon);
void commands_add_decoy_refresh(struct daemon *daemon);

/* Reads who is an administrator; waits for the store, so only at start. */
enum err daemon_load_administrators(struct daemon *daemon, struct why *why) MUST_CHECK;

static inline void daemon_account_changed(const struct daemon *daemon, struct str bare,
                                          int64_t number, enum account_change what)
{
    if (daemon->hooks.account_changed != NULL)
        daemon->hooks.account_changed(daemon->hooks.context, bare, number, what);
}

#endif
