/*
 * Commands about what is in force: suspensions, decoys, entitlements, and the list of
 * everything.
 *
 * A rule is made, and withdrawn, by an event for the guard.  Whether that came to anything is
 * seen by looking for the rule: after it was made, before it is withdrawn.
 */
#include "daemon/command_errand_internal.h"

#include "base/clock.h"

#include <string.h>

enum { HITS_SHOWN = 1000 }; // by one decoy hits: of a worm there may be very many

/* ---- making and withdrawing rules ---- */

struct rule_change {
    struct command_errand errand;
    struct store_account_find find;
    struct guard_rule rule; // which
    bool in_force;
    enum event_kind withdraws; // sent once the rule has been seen
};

static struct rule_change *change_of(struct gate_errand *gate)
{
    return CONTAINER_OF(gate, struct rule_change, errand.gate);
}

static struct rule_change *change_new(struct command_call *call)
{
    struct rule_change *change = arena_make(&call->arena, struct rule_change);
    command_errand_init(&change->errand, call);
    return change;
}

static void compare_rule(void *context, const struct guard_rule *rule)
{
    struct rule_change *change = context;
    const struct guard_rule *wanted = &change->rule;
    if (rule->kind != wanted->kind || !str_eq(rule->account, wanted->account) ||
        !str_eq(rule->domain, wanted->domain) ||
        (rule->kind == RULE_SUSPEND && rule->feature != wanted->feature))
        return;
    change->in_force = true;
    change->rule.expires_us = rule->expires_us;
}

static void look_for_rule(struct gate_errand *gate, const struct guard *guard)
{
    guard_rules(guard, compare_rule, change_of(gate));
}

// The guard keeps so many rules and no more: a switch that did not turn must not look turned.
static void rule_made(struct gate_errand *gate)
{
    struct rule_change *change = change_of(gate);
    if (!change->in_force) {
        command_fail(change->errand.call, ERR_LIMIT,
                     "not done: too many such rules are in force (guard rules lists them)");
        return;
    }
    if (change->rule.expires_us != 0)
        change->errand.result =
            json_pack("{s:o}", "expires", json_of_time(change->rule.expires_us));
    command_errand_done(gate);
}

static void rule_seen(struct gate_errand *gate)
{
    struct rule_change *change = change_of(gate);
    if (!change->in_force) {
        command_fail(change->errand.call, ERR_MISSING,
                     "nothing of the kind is in force (guard rules lists what is)");
        return;
    }
    gate->event.kind = change->withdraws;
    gate->look = NULL;
    gate->done = command_errand_done;
    command_errand_send(&change->errand);
}

// The rule's kind, account, domain and feature are those of the event.
static void make_rule(struct rule_change *change)
{
    change->errand.gate.look = look_for_rule;
    change->errand.gate.done = rule_made;
    command_errand_send(&change->errand);
}

static void withdraw_rule(struct rule_change *change)
{
    change->withdraws = change->errand.gate.event.kind;
    change->errand.gate.event.kind = 0; // the guard is only looked into at first
    change->errand.gate.look = look_for_rule;
    change->errand.gate.done = rule_seen;
    command_errand_send(&change->errand);
}

static void account_found(struct store_request *request)
{
    struct rule_change *change = CONTAINER_OF(request, struct rule_change, find.request);
    enum err e = request->result;
    store_release(request);
    if (e == OK)
        make_rule(change);
    else if (e == ERR_MISSING)
        command_fail(change->errand.call, e, "there is no account %.*s",
                     STR_ARGS(change->rule.account));
    else
        command_fail(change->errand.call, e, "store: %s", err_name(e));
}

// A rule about an account that does not exist is a slip of the pen.
static void make_rule_if_account(struct rule_change *change)
{
    struct daemon *daemon = change->errand.call->context;
    struct jid jid = jid_of_prepared(change->rule.account);
    if (daemon->store == NULL) {
        command_fail(change->errand.call, ERR_CLOSED, "the server stops");
        return;
    }
    change->find = (struct store_account_find){
        .request = {.home = loop_mailbox(daemon->loop), .done = account_found},
        .local = jid.local,
        .domain = jid.domain,
    };
    store_account_find(daemon->store, &change->find);
}

/* ---- suspensions ---- */

static void suspend(struct command_call *call, bool resume)
{
    struct daemon *daemon = call->context;
    struct rule_change *change = change_new(call);
    int64_t for_us = argument_given(call, "for") ? argument_number(call, "for")
                                                 : daemon->config->suspension.duration_us;
    struct str domain = argument_text(call, "domain"), account = argument_text(call, "account");
    if (for_us > daemon->config->suspension.most_us) {
        command_fail(call, ERR_DENIED, "that is longer than suspension.most allows");
        return;
    }
    if (!resume && domain.len > 0 && config_find_domain(daemon->config, domain) == NULL) {
        command_fail(call, ERR_MISSING, "the domain %.*s is not served here", STR_ARGS(domain));
        return;
    }
    struct gate *gate = command_gate(call);
    if (gate == NULL)
        return;
    change->errand.gate.event.kind = EVENT_SUSPEND;
    change->errand.gate.event.suspension = (struct suspension){
        .feature =
            str_eq(argument_text(call, "feature"), STR("files")) ? FEATURE_FILES : FEATURE_LINKS,
        .domain = domain,
        .account = account,
        .expires_us = resume ? 0 : gate_clock_us(gate) + for_us,
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    change->rule = (struct guard_rule){.kind = RULE_SUSPEND,
                                       .feature = change->errand.gate.event.suspension.feature,
                                       .domain = domain,
                                       .account = account};
    if (resume)
        withdraw_rule(change);
    else if (account.len > 0)
        make_rule_if_account(change);
    else
        make_rule(change);
}

static void run_suspend(struct command_call *call)
{
    suspend(call, false);
}

static void run_resume(struct command_call *call)
{
    suspend(call, true);
}

/* ---- decoys ---- */

static struct rule_change *decoy_change(struct command_call *call, bool removed)
{
    struct rule_change *change = change_new(call);
    change->errand.gate.event.kind = EVENT_DECOY;
    change->errand.gate.event.decoy = (struct decoy){
        .account = argument_text(call, "jid"),
        .removed = removed,
        .actor = call->actor.name,
    };
    change->rule = (struct guard_rule){.kind = RULE_DECOY, .account = argument_text(call, "jid")};
    return change;
}

static void run_decoy_add(struct command_call *call)
{
    make_rule_if_account(decoy_change(call, false));
}

static void run_decoy_remove(struct command_call *call)
{
    withdraw_rule(decoy_change(call, true));
}

/* ---- entitlements ---- */

// A link or a pattern would be read as another host, and the entitlement as one that never holds.
static bool is_host_alone(struct str host)
{
    const char *others = "/?#@*\\ ";
    for (size_t i = 0; i < host.len; i++)
        if (strchr(others, host.at[i]) != NULL || (host.at[i] == ':' && host.at[0] != '['))
            return false;
    return true;
}

static void entitle(struct command_call *call, bool withdraw)
{
    struct gate *gate = command_gate(call);
    struct rule_change *change = change_new(call);
    struct str host = argument_text(call, "host");
    int64_t for_us =
        argument_given(call, "for") ? argument_number(call, "for") : 365 * 86400 * SECOND_US;
    if (gate == NULL)
        return;
    if (host.len > 0) { // as the hosts of links are read: case, IDN
        struct lure_list list;
        lure_list_init(&list, gate_lure_rules(gate), &call->arena);
        lure_add_url(&list, arena_printf(&call->arena, "https://%.*s/", STR_ARGS(host)), STR_EMPTY);
        if (list.n != 1 || !is_host_alone(host)) {
            command_fail(call, ERR_MALFORMED,
                         "host: \"%.*s\" is no host such as news.example.org, nor a domain such as "
                         "example.org",
                         STR_ARGS(host));
            return;
        }
        host = list.lures[0].host;
    }
    int64_t receivers =
        argument_given(call, "receivers") ? argument_number(call, "receivers") : UINT32_MAX;
    if (receivers < 1 || receivers > UINT32_MAX) {
        command_fail(call, ERR_MALFORMED, "receivers: a number from 1 to %u is needed", UINT32_MAX);
        return;
    }
    change->errand.gate.event.kind = EVENT_ENTITLE;
    change->errand.gate.event.entitlement = (struct entitlement){
        .account = argument_text(call, "jid"),
        .domain = host,
        .receivers = (uint32_t)receivers,
        .expires_us = withdraw ? 0 : gate_clock_us(gate) + for_us,
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    change->rule = (struct guard_rule){
        .kind = RULE_ENTITLE, .account = argument_text(call, "jid"), .domain = host};
    if (withdraw)
        withdraw_rule(change);
    else
        make_rule_if_account(change);
}

static void run_entitle_add(struct command_call *call)
{
    entitle(call, false);
}

static void run_entitle_remove(struct command_call *call)
{
    entitle(call, true);
}

/* ---- everything in force ---- */

static const char *rule_word(enum rule_kind kind)
{
    static const char *const words[] = {
        [RULE_STOP] = "stop",       [RULE_RESTRICT] = "restrict", [RULE_SUSPEND] = "suspend",
        [RULE_ENTITLE] = "entitle", [RULE_DECOY] = "decoy",
    };
    return words[kind];
}

static json_t *rule_of(const struct guard_rule *rule)
{
    json_t *json = json_pack("{s:s, s:o, s:o, s:o, s:o}", "rule", rule_word(rule->kind), "account",
                             json_of(rule->account), "domain", json_of(rule->domain), "actor",
                             json_of(rule->actor), "why", json_of(rule->why));
    json_object_set_new(json, "expires", json_of_time(rule->expires_us));
    if (rule->kind == RULE_STOP)
        json_object_set_new(json, "lure", json_of(rule->shown));
    if (rule->kind == RULE_SUSPEND)
        json_object_set_new(json, "feature",
                            json_string(rule->feature == FEATURE_LINKS ? "links" : "files"));
    if (rule->kind == RULE_ENTITLE) {
        // the guard keeps them in one field; to a person a host is no domain of ours
        json_object_set_new(json, "domain", json_string(""));
        json_object_set_new(json, "host", json_of(rule->domain));
        json_object_set_new(json, "receivers",
                            rule->receivers == UINT32_MAX ? json_null()
                                                          : json_integer(rule->receivers));
    }
    if (rule->incident != 0)
        json_object_set_new(json, "incident", json_integer((json_int_t)rule->incident));
    return json;
}

struct rule_list {
    int only; // enum rule_kind; -1: all
    json_t *rules;
};

static void add_rule(void *context, const struct guard_rule *rule)
{
    struct rule_list *list = context;
    if (list->only < 0 || rule->kind == (enum rule_kind)list->only)
        json_array_append_new(list->rules, rule_of(rule));
}

static void look_at_rules(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    struct rule_list list = {.only = (int)(intptr_t)gate->context, .rules = json_array()};
    guard_rules(guard, add_rule, &list);
    errand->result = json_pack("{s:o}", "rules", list.rules);
}

static void list_rules(struct command_call *call, int only)
{
    struct command_errand *errand = command_errand_new(call);
    errand->gate.look = look_at_rules;
    errand->gate.context = (void *)(intptr_t)only;
    command_errand_send(errand);
}

static void run_rules(struct command_call *call)
{
    list_rules(call, -1);
}

static void run_decoy_list(struct command_call *call)
{
    list_rules(call, RULE_DECOY);
}

static void run_entitle_list(struct command_call *call)
{
    list_rules(call, RULE_ENTITLE);
}

/* ---- what decoys were sent ---- */

static void add_decoy_hit(void *context, const struct guard_decoy_hit *hit)
{
    json_t *list = context;
    if (json_array_size(list) >= HITS_SHOWN)
        return;
    json_array_append_new(
        list,
        json_pack("{s:o, s:o, s:o, s:o, s:f, s:b, s:b, s:o}", "decoy",
                  hit->decoy.len > 0 ? json_of(hit->decoy) : json_null(), "sender",
                  json_of(hit->sender), "lure", json_of(hit->shown), "at", json_of_time(hit->at_us),
                  "nats", hit->nats, "discounted", hit->discounted, "convicted", hit->convicted,
                  "incident",
                  hit->incident != 0 ? json_integer((json_int_t)hit->incident) : json_null()));
}

static void look_at_decoy_hits(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    json_t *list = json_array();
    guard_decoy_hits(guard, add_decoy_hit, list);
    errand->result = json_pack("{s:o}", "hits", list);
}

static void run_decoy_hits(struct command_call *call)
{
    command_errand_look(call, look_at_decoy_hits);
}

/* ---- the table ---- */

#define ACCOUNT                                                                                    \
    {                                                                                              \
        "jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "The account."     \
    }
#define FEATURE                                                                                    \
    {                                                                                              \
        "feature", ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "links|files",        \
            "Which."                                                                               \
    }

static const struct command rows[] = {
    {
     .name = "suspend",
     .doc = "Switches links or files off for a while; people keep talking.",
     .role = ROLE_ADMIN,
     .flags = COMMAND_AUDITED,
     .scope = "domain",
     .run = run_suspend,
     .arguments = {FEATURE,
                      {"domain", ARGUMENT_DOMAIN, 0, NULL,
                       "Of senders in this domain; all domains if not said."},
                      {"account", ARGUMENT_ACCOUNT, 0, NULL, "Of this sender alone."},
                      {"for", ARGUMENT_TIME, 0, NULL, "How long; suspension.duration if not said."},
                      ARGUMENT_REASON},
     },
    {
     .name = "resume",
     .doc = "Ends a suspension before its time.",
     .role = ROLE_ADMIN,
     .flags = COMMAND_AUDITED,
     .scope = "domain",
     .run = run_resume,
     .arguments = {FEATURE,
                      {"domain", ARGUMENT_DOMAIN, 0, NULL, "As it was suspended."},
                      {"account", ARGUMENT_ACCOUNT, 0, NULL, "As it was suspended."},
                      ARGUMENT_REASON},
     },
    {
     .name = "decoy list",
     .doc = "Lists decoys.",
     .role = ROLE_OPERATOR,
     .run = run_decoy_list,
     },
    {
     .name = "decoy hits",
     .doc = "Lists who sent which lure to which decoy, when, and what that counts for.",
     .role = ROLE_OPERATOR,
     .run = run_decoy_hits,
     },
    {
     .name = "decoy add",
     .doc = "Makes an account a decoy: nobody talks to it, who sends it a lure reveals himself.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_decoy_add,
     .arguments = {ACCOUNT, ARGUMENT_REASON},
     },
    {
     .name = "decoy remove",
     .doc = "Makes a decoy an ordinary account again.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_decoy_remove,
     .arguments = {ACCOUNT, ARGUMENT_REASON},
     },
    {
     .name = "entitle list",
     .doc = "Lists who may fan out.",
     .role = ROLE_OPERATOR,
     .run = run_entitle_list,
     },
    {
     .name = "entitle add",
     .doc = "Lets an account send links of a host to many people: a research desk, a bot.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_entitle_add,
     .arguments = {ACCOUNT,
                      {"host", ARGUMENT_TEXT, 0, NULL,
                       "Host or registrable domain; if not said, those that people here know."},
                      {"receivers", ARGUMENT_NUMBER, 0, NULL, "Most different receivers a day."},
                      {"for", ARGUMENT_TIME, 0, NULL, "How long; a year if not said."},
                      ARGUMENT_REASON},
     },
    {
     .name = "entitle remove",
     .doc = "Withdraws an entitlement.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_entitle_remove,
     .arguments = {ACCOUNT,
                      {"host", ARGUMENT_TEXT, 0, NULL, "As it was given."},
                      ARGUMENT_REASON},
     },
    {
     .name = "guard rules",
     .doc = "Lists everything in force.",
     .role = ROLE_OPERATOR,
     .run = run_rules,
     },
};

void commands_add_rules(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
