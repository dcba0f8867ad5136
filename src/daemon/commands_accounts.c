/*
 * Commands about accounts and rosters, straight from and to the store; whoever
 * keeps an account in memory is told afterwards (daemon_account_changed).
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/server.h"
#include "im/account_work.h"
#include "im/user_stats.h"
#include "xmpp/jid.h"
#include "xmpp/prepare.h"
#include "xmpp/scram.h"

#include <stdlib.h>

// One command under way; its operations are used one after the other.
struct act {
    struct command_call *call;
    struct daemon *daemon;
    struct jid jid;
    void (*next)(struct act *act); // after the account was found

    struct job job; // deriving keys
    struct credentials credentials;
    enum err derived;

    union {
        struct store_request request;
        struct store_account_create create;
        struct store_account_set_keys set_keys;
        struct store_account_disable disable;
        struct store_account_list list;
        struct store_account_load load;
        struct store_roster_set roster;
        struct store_record_put put;
        struct store_record_remove remove;
    } op;
    struct store_account_find find;
    struct user_stats stats; // of user show
    enum account_change change;
};

static struct act *act_new(struct command_call *call)
{
    struct act *act = arena_make(&call->arena, struct act);
    act->call = call;
    act->daemon = call->context;
    struct str jid = argument_text(call, "jid");
    if (jid.len > 0)
        act->jid = jid_of_prepared(jid);
    return act;
}

// False, and the command has failed, where the process is ending.
static bool act_begin(struct act *act, struct store_request *request,
                      void (*done)(struct store_request *))
{
    if (act->daemon->store == NULL) {
        command_fail(act->call, ERR_CLOSED, "the server stops");
        return false;
    }
    request->home = loop_mailbox(act->daemon->loop);
    request->done = done;
    return true;
}

static struct act *act_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct act, op.request);
}

// Ends the command because the store said no.
static void fail(struct act *act, enum err e, const char *why)
{
    struct str bare = jid_bare(&act->jid);
    struct command_call *call = act->call;
    if (e == ERR_MISSING)
        command_fail(call, e, "there is no account %.*s", STR_ARGS(bare));
    else if (e == ERR_EXISTS)
        command_fail(call, e, "there is an account %.*s already", STR_ARGS(bare));
    else if (e == ERR_FULL)
        command_fail(call, e, "the disk is full");
    else
        command_fail(call, e, "store: %s %s", err_name(e), why);
}

static void fail_by_store(struct act *act, struct store_request *request)
{
    enum err e = request->result;
    char why[300];
    snprintf(why, sizeof why, "%.*s", STR_ARGS(request->why));
    store_release(request);
    fail(act, e, why);
}

static bool is_served(struct act *act)
{
    if (config_find_domain(act->daemon->config, act->jid.domain) != NULL)
        return true;
    command_fail(act->call, ERR_MISSING, "the domain %.*s is not served here",
                 STR_ARGS(act->jid.domain));
    return false;
}

static void changed(struct store_request *request, int64_t number)
{
    struct act *act = act_of(request);
    if (request->result != OK) {
        fail_by_store(act, request);
        return;
    }
    struct command_call *call = act->call;
    struct str bare = jid_bare(&act->jid);
    store_release(request);
    daemon_account_changed(act->daemon, bare, number, act->change);
    command_done(call, json_pack("{s:o}", "jid", json_of(bare)));
}

static void found(struct store_request *request)
{
    struct act *act = CONTAINER_OF(request, struct act, find.request);
    if (request->result != OK) {
        fail_by_store(act, request);
        return;
    }
    void (*next)(struct act *) = act->next;
    // what next needs of the account outlives the request's results
    act->find.account.local = act->jid.local;
    act->find.account.domain = act->jid.domain;
    act->find.account.disabled_why = arena_str(&act->call->arena, act->find.account.disabled_why);
    act->find.account.active_status = STR_EMPTY;
    memset(act->find.keys, 0, sizeof act->find.keys);
    struct store_account account = act->find.account;
    store_release(request);
    act->find.account = account;
    next(act);
}

static void find_then(struct act *act, void (*next)(struct act *act))
{
    act->next = next;
    act->find.local = act->jid.local;
    act->find.domain = act->jid.domain;
    if (act_begin(act, &act->find.request, found))
        store_account_find(act->daemon->store, &act->find);
}

/* ---- passwords ---- */

static void derive(struct job *job) // on a kitchen thread
{
    struct act *act = CONTAINER_OF(job, struct act, job);
    act->derived =
        scram_credentials(act->daemon->crypto, argument_text(act->call, "password"),
                          (uint32_t)act->daemon->config->auth.iterations, &act->credentials);
}

// Ends the command where the password is none.
static bool is_derived(struct act *act)
{
    if (act->derived == OK)
        return true;
    command_fail(act->call, act->derived,
                 "the password must be UTF-8 without control characters, from 1 to %d bytes",
                 PASSWORD_MOST);
    return false;
}

static void derive_then(struct act *act, void (*done)(struct job *job))
{
    act->job.run = derive;
    act->job.done = done;
    if (act->daemon->kitchen == NULL)
        command_fail(act->call, ERR_CLOSED, "the server stops");
    else if (kitchen_order(act->daemon->kitchen, &act->job, act->daemon->loop) != OK)
        command_fail(act->call, ERR_BUSY, "too many passwords are being derived; try again");
}

static void created(struct store_request *request)
{
    changed(request, act_of(request)->op.create.account);
}

static void create(struct job *job)
{
    struct act *act = CONTAINER_OF(job, struct act, job);
    if (!is_derived(act) || !act_begin(act, &act->op.request, created))
        return;
    act->change = ACCOUNT_CREATED;
    act->op.create.local = act->jid.local;
    act->op.create.domain = act->jid.domain;
    act->op.create.wall_us = clock_wall_us();
    account_keys(&act->credentials, act->op.create.keys);
    store_account_create(act->daemon->store, &act->op.create);
}

static void run_user_add(struct command_call *call)
{
    struct act *act = act_new(call);
    if (!is_served(act))
        return;
    if (jid_is_safe_new_localpart(act->jid.local) != OK) {
        command_fail(call, ERR_DENIED, "\"%.*s\" would be another account to older software",
                     STR_ARGS(act->jid.local));
        return;
    }
    derive_then(act, create);
}

static void keys_set(struct store_request *request)
{
    changed(request, act_of(request)->op.set_keys.account);
}

static void set_keys(struct job *job)
{
    struct act *act = CONTAINER_OF(job, struct act, job);
    if (!is_derived(act) || !act_begin(act, &act->op.request, keys_set))
        return;
    act->change = ACCOUNT_PASSWORD;
    act->op.set_keys.account = act->find.account.number;
    account_keys(&act->credentials, act->op.set_keys.keys);
    store_account_set_keys(act->daemon->store, &act->op.set_keys);
}

static void passwd_found(struct act *act)
{
    derive_then(act, set_keys);
}

static void run_user_passwd(struct command_call *call)
{
    find_then(act_new(call), passwd_found);
}

/* ---- disabling, deleting ---- */

static void disabled(struct store_request *request)
{
    changed(request, act_of(request)->op.disable.account);
}

static void disable_found(struct act *act)
{
    bool off = str_eq(str_of(act->call->command->name), STR("user disable"));
    if (!act_begin(act, &act->op.request, disabled))
        return;
    act->change = off ? ACCOUNT_DISABLED : ACCOUNT_ENABLED;
    act->op.disable.account = act->find.account.number;
    act->op.disable.disabled = off;
    act->op.disable.reason = argument_text(act->call, "reason");
    store_account_disable(act->daemon->store, &act->op.disable);
}

static void run_user_disable(struct command_call *call)
{
    find_then(act_new(call), disable_found);
}

static void deleted(struct account_work *work, enum err e)
{
    struct act *act = work->context;
    struct str bare = jid_bare(&act->jid);
    if (e == OK) {
        daemon_account_changed(act->daemon, bare, work->op.delete.account, ACCOUNT_DELETED);
        command_done(act->call, json_pack("{s:o}", "jid", json_of(bare)));
    } else {
        fail(act, e, "");
    }
}

static struct str admin_key(struct act *act)
{
    return arena_printf(&act->call->arena, "administrator %.*s", STR_ARGS(jid_bare(&act->jid)));
}

// As when its owner does it: his contacts hear that the subscriptions are over, and a name made
// anew inherits nothing (main.c hears of it).
static void run_user_delete(struct command_call *call)
{
    struct act *act = act_new(call);
    if (act->daemon->store == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return;
    }
    struct service *service = server_service(act->daemon->server);
    account_work_start(account_work_new(service, act->daemon->loop, ACT_DELETE, &act->jid, 0),
                       deleted, act);
}

/* ---- administrators ---- */

static bool is_administrator_by_file(const struct daemon *daemon, struct str bare)
{
    struct jid jid = jid_of_prepared(bare);
    const struct config_domain *domain = config_find_domain(daemon->config, jid.domain);
    for (size_t i = 0; domain != NULL && i < domain->administrators.n; i++)
        if (str_eq(domain->administrators.at[i], bare))
            return true;
    return false;
}

static void admin_set(struct store_request *request)
{
    struct act *act = act_of(request);
    bool on = str_eq(argument_text(act->call, "state"), STR("on"));
    char bare[JID_MOST + 1];
    if (!on && request->result == ERR_MISSING) // he was none
        request->result = OK;
    if (request->result == OK && str_to_z(jid_bare(&act->jid), bare, sizeof bare) == OK) {
        if (on)
            json_object_set_new(act->daemon->administrators, bare, json_true());
        else
            json_object_del(act->daemon->administrators, bare);
    }
    changed(request, act->find.account.number);
}

static void admin_found(struct act *act)
{
    bool on = str_eq(argument_text(act->call, "state"), STR("on"));
    if (!on && is_administrator_by_file(act->daemon, jid_bare(&act->jid))) {
        command_fail(act->call, ERR_DENIED,
                     "%.*s is an administrator by the configuration; take it out of "
                     "domains.administrators",
                     STR_ARGS(jid_bare(&act->jid)));
        return;
    }
    if (!act_begin(act, &act->op.request, admin_set))
        return;
    act->change = ACCOUNT_ADMIN;
    if (on) {
        act->op.put.kind = STORE_SETTING;
        act->op.put.record.key = admin_key(act);
        act->op.put.record.group = STR("administrator");
        act->op.put.record.subject = jid_bare(&act->jid);
        act->op.put.record.created_us = clock_wall_us();
        store_record_put(act->daemon->store, &act->op.put);
    } else {
        act->op.remove.kind = STORE_SETTING;
        act->op.remove.key = admin_key(act);
        store_record_remove(act->daemon->store, &act->op.remove);
    }
}

static void run_user_admin(struct command_call *call)
{
    find_then(act_new(call), admin_found);
}

bool daemon_is_administrator(const struct daemon *daemon, struct str bare)
{
    char name[JID_MOST + 1];
    if (str_to_z(bare, name, sizeof name) != OK)
        return false;
    return json_object_get(daemon->administrators, name) != NULL ||
           is_administrator_by_file(daemon, bare);
}

enum err daemon_load_administrators(struct daemon *daemon, struct why *why)
{
    struct store_record_list op = {.kind = STORE_SETTING, .group = STR("administrator")};
    bool more = true;
    char after[JID_MOST + 32] = "", bare[JID_MOST + 1];
    while (more) {
        op.after_key = str_of(after);
        op.most = 1000;
        store_record_list(daemon->store, &op);
        enum err e = store_wait(&op.request);
        if (e != OK) {
            store_release(&op.request);
            return why_say(why, e, "store: the administrators could not be read: %s", err_name(e));
        }
        for (uint32_t i = 0; i < op.n; i++)
            if (str_to_z(op.records[i].subject, bare, sizeof bare) == OK)
                json_object_set_new(daemon->administrators, bare, json_true());
        more = op.more && op.n > 0 && str_to_z(op.records[op.n - 1].key, after, sizeof after) == OK;
        store_release(&op.request);
    }
    return OK;
}

/* ---- lists ---- */

static json_t *json_account(const struct daemon *daemon, const struct store_account *account)
{
    struct arena arena;
    arena_init(&arena, 16384);
    struct str bare =
        arena_printf(&arena, "%.*s@%.*s", STR_ARGS(account->local), STR_ARGS(account->domain));
    json_t *row = json_object();
    json_object_set_new(row, "jid", json_of(bare));
    json_object_set_new(row, "state", json_string(account->disabled ? "disabled" : "enabled"));
    json_object_set_new(row, "administrator", json_boolean(daemon_is_administrator(daemon, bare)));
    json_object_set_new(row, "created", json_of_time(account->created_us));
    json_object_set_new(row, "last_login", json_of_time(account->login_us));
    if (account->disabled)
        json_object_set_new(row, "reason", json_of(account->disabled_why));
    arena_done(&arena);
    return row;
}

static void listed(struct store_request *request)
{
    struct act *act = act_of(request);
    if (request->result != OK) {
        fail_by_store(act, request);
        return;
    }
    json_t *accounts = json_array();
    for (uint32_t i = 0; i < act->op.list.n; i++)
        json_array_append_new(accounts, json_account(act->daemon, &act->op.list.accounts[i]));
    json_t *result =
        json_pack("{s:o, s:I}", "accounts", accounts, "total", (json_int_t)act->op.list.total);
    struct command_call *call = act->call;
    struct str domain = argument_text(call, "domain");
    bool is_nowhere = domain.len > 0 && act->op.list.total == 0 &&
                      !argument_given(call, "contains") &&
                      config_find_domain(act->daemon->config, domain) == NULL;
    store_release(request);
    if (is_nowhere) {
        json_decref(result);
        command_fail(call, ERR_MISSING, "the domain %.*s is not served here, and has no accounts",
                     STR_ARGS(domain));
    } else {
        command_done(call, result);
    }
}

static void run_user_list(struct command_call *call)
{
    struct act *act = act_new(call);
    int64_t limit = argument_given(call, "limit") ? argument_number(call, "limit") : 1000;
    if (!act_begin(act, &act->op.request, listed))
        return;
    struct str after = argument_text(call, "after");
    struct jid last = after.len > 0 ? jid_of_prepared(after) : (struct jid){0};
    act->op.list.domain = argument_text(call, "domain");
    struct str contains = argument_text(call, "contains"), prepared; // as names are kept
    act->op.list.contains =
        jid_prepare_local(&call->arena, contains, &prepared) == OK ? prepared : contains;
    act->op.list.after_local = after.len > 0 ? last.local : STR_EMPTY;
    act->op.list.after_domain = after.len > 0 ? last.domain : STR_EMPTY;
    act->op.list.most = limit < 10000 ? (uint32_t)limit : 10000;
    act->op.list.count = true;
    store_account_list(act->daemon->store, &act->op.list);
}

static void stats_are_there(struct user_stats *stats, enum err e)
{
    struct act *act = stats->context;
    struct daemon *daemon = act->daemon;
    json_t *row = NULL;
    if (e == OK) {
        json_t *sessions = json_array();
        for (size_t i = 0; i < stats->walk.n; i++)
            json_array_append_new(
                sessions, json_pack("{s:o, s:o, s:o}", "session", json_of(stats->walk.rows[i].jid),
                                    "address", json_of(stats->walk.rows[i].address), "since",
                                    json_of_time(stats->walk.rows[i].started_us)));
        stats->load.account.login_us = stats->login_us;
        row = json_account(daemon, &stats->load.account);
        json_object_set_new(row, "contacts", json_integer(stats->load.n_items));
        json_object_set_new(row, "waiting", json_integer((json_int_t)stats->load.n_spooled));
        json_object_set_new(row, "sessions", sessions);
    }
    user_stats_done(stats);
    if (e == OK)
        command_done(act->call, row);
    else
        fail(act, e, "");
}

static void run_user_show(struct command_call *call)
{
    struct act *act = act_new(call);
    if (act->daemon->store == NULL || act->daemon->server == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return;
    }
    act->stats.jid = act->jid;
    act->stats.done = stats_are_there;
    act->stats.context = act;
    user_stats_get(server_service(act->daemon->server), act->daemon->loop, &act->stats);
}

/* ---- rosters ---- */

static const char *const subscription_names[] = {
    [STORE_SUB_NONE] = "none", [STORE_SUB_TO] = "to",           [STORE_SUB_FROM] = "from",
    [STORE_SUB_BOTH] = "both", [STORE_SUB_REMOVED] = "removed",
};

static void roster_loaded(struct store_request *request)
{
    struct act *act = act_of(request);
    if (request->result != OK) {
        fail_by_store(act, request);
        return;
    }
    json_t *items = json_array();
    for (uint32_t i = 0; i < act->op.load.n_items; i++) {
        const struct store_roster_item *item = &act->op.load.items[i];
        json_t *groups = json_array();
        for (uint32_t g = 0; g < item->n_groups; g++)
            json_array_append_new(groups, json_of(item->groups[g]));
        json_array_append_new(items,
                              json_pack("{s:o, s:o, s:s, s:b, s:o}", "contact", json_of(item->jid),
                                        "name", json_of(item->name), "subscription",
                                        subscription_names[item->subscription], "asked", item->ask,
                                        "groups", groups));
    }
    struct command_call *call = act->call;
    store_release(request);
    command_done(call, json_pack("{s:o}", "contacts", items));
}

static void run_roster_list(struct command_call *call)
{
    struct act *act = act_new(call);
    if (!act_begin(act, &act->op.request, roster_loaded))
        return;
    act->op.load.local = act->jid.local;
    act->op.load.domain = act->jid.domain;
    store_account_load(act->daemon->store, &act->op.load);
}

static void roster_set(struct store_request *request)
{
    struct act *act = act_of(request);
    if (request->result == ERR_MISSING) {
        struct command_call *call = act->call;
        struct str contact = argument_text(call, "contact");
        store_release(request);
        command_fail(call, ERR_MISSING, "%.*s is not in that roster", STR_ARGS(contact));
        return;
    }
    changed(request, act->find.account.number);
}

static void set_item(struct act *act, const struct store_roster_item *item)
{
    act->op.roster = (struct store_roster_set){.account = act->find.account.number, .item = *item};
    act->change = ACCOUNT_ROSTER;
    if (act_begin(act, &act->op.request, roster_set))
        store_roster_set(act->daemon->store, &act->op.roster);
}

// more: one a line.
static struct str *with_groups(struct arena *arena, const struct str *old, uint32_t *n,
                               struct str more)
{
    size_t most = (size_t)*n + 1;
    for (size_t i = 0; i < more.len; i++)
        most += more.at[i] == '\n';
    struct str *groups = arena_make_array(arena, struct str, most);
    for (uint32_t i = 0; i < *n; i++)
        groups[i] = arena_str(arena, old[i]);
    while (more.len > 0) {
        struct str group = str_cut(&more, '\n');
        bool has_it = group.len == 0;
        for (uint32_t i = 0; i < *n; i++)
            has_it |= str_eq(groups[i], group);
        if (!has_it)
            groups[(*n)++] = group;
    }
    return groups;
}

// What is not said stays as it was.
static void roster_known(struct store_request *request)
{
    struct act *act = act_of(request);
    if (request->result != OK) {
        fail_by_store(act, request);
        return;
    }
    struct command_call *call = act->call;
    struct str name = argument_text(call, "name"), group = argument_text(call, "group"),
               subscription = argument_text(call, "subscription");
    struct store_roster_item item = {.jid = argument_text(call, "contact"),
                                     .subscription = STORE_SUB_BOTH};
    for (uint32_t i = 0; i < act->op.load.n_items; i++)
        if (str_eq(act->op.load.items[i].jid, item.jid) &&
            act->op.load.items[i].subscription != STORE_SUB_REMOVED)
            item = act->op.load.items[i];
    item.jid = argument_text(call, "contact");
    item.name = name.len > 0 ? name : arena_str(&call->arena, item.name);
    item.groups = with_groups(&call->arena, item.groups, &item.n_groups, group);
    for (size_t i = 0; i < STORE_SUB_REMOVED; i++)
        if (str_eq(subscription, str_of(subscription_names[i])))
            item.subscription = (enum store_subscription)i;
    item.ask &= item.subscription == STORE_SUB_NONE || item.subscription == STORE_SUB_FROM;
    store_release(request);
    set_item(act, &item);
}

static void roster_found(struct act *act)
{
    if (str_eq(str_of(act->call->command->name), STR("roster remove"))) {
        set_item(act, &(struct store_roster_item){.jid = argument_text(act->call, "contact"),
                                                  .subscription = STORE_SUB_REMOVED});
        return;
    }
    if (!act_begin(act, &act->op.request, roster_known))
        return;
    act->op.load.local = act->jid.local;
    act->op.load.domain = act->jid.domain;
    store_account_load(act->daemon->store, &act->op.load);
}

static void run_roster_set(struct command_call *call)
{
    struct jid contact = jid_of_prepared(argument_text(call, "contact"));
    if (contact.resource.len > 0) { // to clients such an item is another contact
        command_fail(call, ERR_MALFORMED, "contact: a bare address is needed, without /%.*s",
                     STR_ARGS(contact.resource));
        return;
    }
    find_then(act_new(call), roster_found);
}

#define JID                                                                                        \
    {                                                                                              \
        "jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "The account."     \
    }
#define PASSWORD                                                                                   \
    {                                                                                              \
        "password", ARGUMENT_SECRET, ARGUMENT_REQUIRED, NULL,                                      \
            "The password; firedoorctl asks for it."                                               \
    }
#define CONTACT                                                                                    \
    {                                                                                              \
        "contact", ARGUMENT_ADDRESS, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "The contact." \
    }

static const struct command rows[] = {
    {
     .name = "user add",
     .doc = "Makes an account.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_add,
     .arguments = {JID, PASSWORD, ARGUMENT_REASON},
     },
    {
     .name = "user passwd",
     .doc = "Sets an account's password.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_passwd,
     .arguments = {JID, PASSWORD, ARGUMENT_REASON},
     },
    {
     .name = "user list",
     .doc = "Lists accounts in the order of their names.",
     .scope = "domain",
     .run = run_user_list,
     .arguments = {{"domain", ARGUMENT_DOMAIN, ARGUMENT_POSITIONAL, NULL, "Only this domain."},
                      {"contains", ARGUMENT_TEXT, 0, NULL, "Only names with this in them."},
                      {"after", ARGUMENT_ACCOUNT, 0, NULL, "The last account of the page before."},
                      {"limit", ARGUMENT_NUMBER, 0, NULL, "Most accounts (1000)."}},
     },
    {
     .name = "user show",
     .doc = "One account: its state, its contacts, who is logged in from where.",
     .scope = "jid",
     .run = run_user_show,
     .arguments = {JID},
     },
    {
     .name = "user disable",
     .doc = "Ends an account's sessions and lets nobody log in.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_disable,
     .arguments = {JID, ARGUMENT_REASON},
     },
    {
     .name = "user enable",
     .doc = "Lets a disabled account log in again.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_disable,
     .arguments = {JID, ARGUMENT_REASON},
     },
    {
     .name = "user delete",
     .doc = "Deletes an account and all it owns.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_delete,
     .arguments = {JID, ARGUMENT_REASON},
     },
    {
     .name = "user admin",
     .doc = "Makes an account an administrator of its domain, or no longer one.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_user_admin,
     .arguments = {JID,
                      {"state", ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "on|off",
                       "Whether it is one."},
                      ARGUMENT_REASON},
     },
    {
     .name = "roster list",
     .doc = "An account's contacts.",
     .scope = "jid",
     .run = run_roster_list,
     .arguments = {JID},
     },
    {
     .name = "roster add",
     .doc = "Puts a contact into an account's roster, or changes what is said of one.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_roster_set,
     .arguments = {JID,
                      CONTACT,
                      {"name", ARGUMENT_TEXT, 0, NULL, "The name shown."},
                      {"group", ARGUMENT_TEXT, ARGUMENT_SEVERAL, NULL,
                       "A group to put it into; may be said several times."},
                      {"subscription", ARGUMENT_CHOICE, 0, "none|to|from|both",
                       "Who sees whose presence; both if not said of a new one."},
                      ARGUMENT_REASON},
     },
    {
     .name = "roster remove",
     .doc = "Takes a contact off an account's roster.",
     .flags = COMMAND_AUDITED,
     .scope = "jid",
     .run = run_roster_set,
     .arguments = {JID, CONTACT, ARGUMENT_REASON},
     },
};

void commands_add_accounts(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
