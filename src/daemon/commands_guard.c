/*
 * Commands about the guard: incidents, suspensions, decoys, entitlements.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/must.h"
#include "daemon/guard_report.h"
#include "daemon/incident_story.h"
#include "daemon/named_lure.h"
#include "daemon/server.h"
#include "files/uploads.h"
#include "guard/seal.h"
#include "im/desk.h"
#include "im/gate_errand.h"
#include "im/links.h"
#include "im/upload.h"

#include <inttypes.h>

enum { HITS_SHOWN = 1000 }; // by one decoy hits: of a worm there may be very many

struct errand {
    struct gate_errand gate;
    struct store_account_find find;
    struct command_call *call;
    json_t *result;  // made on the guard's thread, given on ours
    bool is_missing; // what was asked for does not exist

    // Of a command that makes or withdraws a rule: which, and whether it is in force.
    struct guard_rule rule;
    bool in_force;
    enum event_kind withdraws; // sent once the rule has been seen
};

static void done(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
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

static struct errand *errand_new(struct command_call *call)
{
    struct errand *errand = arena_make(&call->arena, struct errand);
    errand->call = call;
    errand->gate.done = done;
    return errand;
}

static void send_off(struct errand *errand)
{
    struct daemon *daemon = errand->call->context;
    struct gate *gate = daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
    if (gate == NULL || daemon->store == NULL) {
        command_fail(errand->call, ERR_CLOSED, "the guard does not run");
        return;
    }
    gate_errand_send(gate, &errand->gate, daemon->loop);
}

// What a command answers that changes nothing.
static void look_into_guard(struct command_call *call,
                            void (*look)(struct gate_errand *errand, const struct guard *guard))
{
    struct errand *errand = errand_new(call);
    errand->gate.look = look;
    send_off(errand);
}

static struct gate *gate_of(const struct command_call *call)
{
    struct daemon *daemon = call->context;
    return daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
}

/* ---- making and withdrawing rules ---- */

static void compare_rule(void *context, const struct guard_rule *rule)
{
    struct errand *errand = context;
    const struct guard_rule *wanted = &errand->rule;
    if (rule->kind != wanted->kind || !str_eq(rule->account, wanted->account) ||
        !str_eq(rule->domain, wanted->domain) ||
        (rule->kind == RULE_SUSPEND && rule->feature != wanted->feature))
        return;
    errand->in_force = true;
    errand->rule.expires_us = rule->expires_us;
}

static void look_for_rule(struct gate_errand *gate, const struct guard *guard)
{
    guard_rules(guard, compare_rule, CONTAINER_OF(gate, struct errand, gate));
}

// The guard keeps so many rules and no more: a switch that did not turn must not look turned.
static void rule_made(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    if (!errand->in_force) {
        command_fail(errand->call, ERR_LIMIT,
                     "not done: too many such rules are in force (guard rules lists them)");
        return;
    }
    if (errand->rule.expires_us != 0)
        errand->result = json_pack("{s:o}", "expires", json_of_time(errand->rule.expires_us));
    done(gate);
}

static void rule_seen(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    if (!errand->in_force) {
        command_fail(errand->call, ERR_MISSING,
                     "nothing of the kind is in force (guard rules lists what is)");
        return;
    }
    gate->event.kind = errand->withdraws;
    gate->look = NULL;
    gate->done = done;
    send_off(errand);
}

// The rule's kind, account, domain and feature are those of the event.
static void make_rule(struct errand *errand)
{
    errand->gate.look = look_for_rule;
    errand->gate.done = rule_made;
    send_off(errand);
}

static void withdraw_rule(struct errand *errand)
{
    errand->withdraws = errand->gate.event.kind;
    errand->gate.event.kind = 0; // the guard is only looked into at first
    errand->gate.look = look_for_rule;
    errand->gate.done = rule_seen;
    send_off(errand);
}

static void account_found(struct store_request *request)
{
    struct errand *errand = CONTAINER_OF(request, struct errand, find.request);
    enum err e = request->result;
    store_release(request);
    if (e == OK)
        make_rule(errand);
    else if (e == ERR_MISSING)
        command_fail(errand->call, e, "there is no account %.*s", STR_ARGS(errand->rule.account));
    else
        command_fail(errand->call, e, "store: %s", err_name(e));
}

// A rule about an account that does not exist is a slip of the pen.
static void make_rule_if_account(struct errand *errand)
{
    struct daemon *daemon = errand->call->context;
    struct jid jid = jid_of_prepared(errand->rule.account);
    if (daemon->store == NULL) {
        command_fail(errand->call, ERR_CLOSED, "the server stops");
        return;
    }
    errand->find = (struct store_account_find){
        .request = {.home = loop_mailbox(daemon->loop), .done = account_found},
        .local = jid.local,
        .domain = jid.domain,
    };
    store_account_find(daemon->store, &errand->find);
}

/* ---- incidents ---- */

static void look_at_list(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct str state = argument_text(errand->call, "state");
    struct str domain = argument_text(errand->call, "domain");
    json_t *list = json_array();
    uint64_t at = 0, id;
    while ((id = guard_incident_next(guard, &at)) != 0) {
        struct arena arena;
        struct incident incident;
        arena_init(&arena, (size_t)1 << 30);
        if (guard_incident(guard, id, &arena, &incident) == OK &&
            (state.len == 0 || str_eq(state, str_of(incident_state_name(incident.state)))) &&
            incident_concerns(&incident, domain))
            json_array_append_new(list, incident_summary(&incident));
        arena_done(&arena);
    }
    errand->result = json_pack("{s:o}", "incidents", list);
}

static void run_incident_list(struct command_call *call)
{
    look_into_guard(call, look_at_list);
}

static void look_at_one(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct arena arena;
    struct incident incident;
    struct str domain = argument_text(errand->call, "domain");
    arena_init(&arena, (size_t)1 << 30);
    if (guard_incident(guard, (uint64_t)argument_number(errand->call, "id"), &arena, &incident) ==
            OK &&
        incident_concerns(&incident, domain))
        errand->result = incident_story(&incident, domain);
    else
        errand->is_missing = true;
    arena_done(&arena);
}

enum { DRAWING_MOST = 16 << 20, PIECE_MOST = 64 << 10 };

// Text is part of the answer; a picture is data of its own.
static void show_drawn(struct gate_errand *gate)
{
    static const struct {
        const char *name;
        void (*draw)(struct buf *out, const json_t *story);
    } kinds[] = {
        {"text", incident_draw_text},
        {"dot",  incident_draw_dot },
        {"svg",  incident_draw_svg }
    };
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct command_call *call = errand->call;
    if (errand->is_missing) {
        done(gate);
        return;
    }
    size_t kind = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_eq(argument_text(call, "tree"), str_of(kinds[i].name)))
            kind = i;
    struct buf out;
    buf_init(&out, DRAWING_MOST);
    kinds[kind].draw(&out, errand->result);
    if (out.overflowed) {
        json_decref(errand->result);
        command_fail(call, ERR_LIMIT, "the picture would be too large; --json has it all");
    } else if (kind == 0) {
        json_object_set_new(errand->result, "text", json_of(buf_str(&out)));
        done(gate);
    } else {
        json_decref(errand->result);
        errand->result = json_object();
        for (struct str rest = buf_str(&out); rest.len > 0 && !call->cancelled;) {
            size_t n = rest.len < PIECE_MOST ? rest.len : PIECE_MOST;
            call->face->data(call, str_first(rest, n));
            rest = str_skip(rest, n);
        }
        done(gate);
    }
    buf_done(&out);
}

static void run_incident_show(struct command_call *call)
{
    struct errand *errand = errand_new(call);
    errand->gate.look = look_at_one;
    errand->gate.done = show_drawn;
    send_off(errand);
}

static void released(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    errand->is_missing = gate->incident == 0;
    done(gate);
}

static void run_incident_release(struct command_call *call)
{
    struct errand *errand = errand_new(call);
    errand->gate.done = released;
    errand->gate.event.kind = EVENT_RELEASE;
    errand->gate.event.release = (struct release){
        .incident = (uint64_t)argument_number(call, "id"),
        .account = argument_text(call, "account"),
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    send_off(errand);
}

// Of a protected link, which is what people see and report, that to which it leads.
static void unseal(struct command_call *call, struct lure_list *list)
{
    const struct daemon *daemon = call->context;
    struct sealed_link sealed;
    if (list->lures[0].kind != LURE_LINK ||
        links_original(server_im_settings(daemon->server), &call->arena, &list->lures[0],
                       &sealed) != OK)
        return;
    struct lure_list original;
    lure_list_init(&original, list->rules, &call->arena);
    lure_add_url(&original, sealed.url, STR_EMPTY);
    if (original.n == 1)
        *list = original;
}

// A link to an upload of ours stands for the file, wherever else it is.
static bool becomes_upload(struct command_call *call, struct lure_list *list)
{
    const struct daemon *daemon = call->context;
    struct uploads *uploads =
        daemon->server != NULL ? server_service(daemon->server)->uploads : NULL;
    struct upload upload;
    if (uploads == NULL || list->lures[0].kind != LURE_LINK ||
        !uploads_find_in_path(uploads, list->lures[0].url, &upload))
        return false;
    list->n = 0;
    upload_add_file(list, &upload);
    return true;
}

static void run_link_show(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct gate *gate = gate_of(call);
    struct lure_list list;
    struct sealed_link sealed;
    if (gate == NULL) {
        command_fail(call, ERR_CLOSED, "the guard does not run");
        return;
    }
    lure_list_init(&list, gate_lure_rules(gate), &call->arena);
    lure_add_url(&list, argument_text(call, "link"), STR_EMPTY);
    if (list.n != 1 || links_original(server_im_settings(daemon->server), &call->arena,
                                      &list.lures[0], &sealed) != OK) {
        command_fail(call, ERR_MISSING, "\"%.*s\" is no protected link of this server",
                     STR_ARGS(argument_text(call, "link")));
        return;
    }
    command_done(call, json_pack("{s:o,s:o,s:o}", "link", json_of(sealed.url), "domain",
                                 json_of(sealed.domain), "expires",
                                 json_of(clock_format(&call->arena, sealed.expires_us))));
}

static int64_t conviction_expiry_us(const struct errand *errand, const struct gate *gate)
{
    int64_t for_us = argument_number(errand->call, "for");
    return for_us > 0 ? gate_clock_us(gate) + for_us : 0;
}

static void look_at_convicted(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct arena arena;
    struct incident incident;
    arena_init(&arena, (size_t)1 << 30);
    errand->is_missing =
        guard_incident(guard, gate->event.conviction.incident, &arena, &incident) != OK;
    arena_done(&arena);
}

static void incident_convicted(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    uint64_t id = gate->event.conviction.incident;
    if (errand->is_missing)
        command_fail(errand->call, ERR_MISSING,
                     "there is no incident %" PRIu64 " (incident list shows those there are)", id);
    else if (gate->incident == 0)
        command_fail(errand->call, ERR_MISSING,
                     "incident %" PRIu64 " has nothing %s that could be convicted: name its link, "
                     "its digest or the name of its file",
                     id, argument_given(errand->call, "width") ? "of this width" : "any more");
    else
        done(gate);
}

static void convict_incident(struct errand *errand, uint64_t id)
{
    errand->gate.event.kind = EVENT_CONVICT_INCIDENT;
    errand->gate.event.conviction.incident = id;
    errand->gate.look = look_at_convicted;
    errand->gate.done = incident_convicted;
    send_off(errand);
}

enum { SHOWN_ALIKE_MOST = 5 };

// The incidents whose lure is shown as the operator wrote it.
struct shown_search {
    struct str shown;
    uint64_t ids[SHOWN_ALIKE_MOST];
    size_t n;
};

static void look_for_shown(struct gate_errand *gate, const struct guard *guard)
{
    struct shown_search *search = gate->context;
    uint64_t at = 0, id;
    while ((id = guard_incident_next(guard, &at)) != 0 && search->n < SHOWN_ALIKE_MOST) {
        struct arena arena;
        struct incident incident;
        arena_init(&arena, (size_t)1 << 30);
        if (guard_incident(guard, id, &arena, &incident) == OK &&
            str_eq(incident.shown, search->shown))
            search->ids[search->n++] = id;
        arena_done(&arena);
    }
}

static void shown_found(struct gate_errand *gate)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct command_call *call = errand->call;
    const struct shown_search *search = gate->context;
    if (search->n == 0)
        command_fail(call, ERR_MISSING,
                     "no incident is about \"%.*s\"; what has {...} in it is no link",
                     STR_ARGS(search->shown));
    else if (search->n > 1)
        command_fail(call, ERR_MALFORMED,
                     "several incidents are about \"%.*s\", %" PRIu64 " and %" PRIu64
                     " among them: give the number",
                     STR_ARGS(search->shown), search->ids[0], search->ids[1]);
    else
        convict_incident(errand, search->ids[0]);
}

static void convict_shown(struct errand *errand, struct str shown)
{
    struct shown_search *search = arena_make(&errand->call->arena, struct shown_search);
    search->shown = shown;
    errand->gate.context = search;
    errand->gate.look = look_for_shown;
    errand->gate.done = shown_found;
    send_off(errand);
}

static void run_incident_convict(struct command_call *call)
{
    struct gate *gate = gate_of(call);
    struct errand *errand = errand_new(call);
    struct named_lure *named = arena_make(&call->arena, struct named_lure);
    struct str text = argument_text(call, "lure");
    struct why why = {""};
    if (gate == NULL) {
        command_fail(call, ERR_CLOSED, "the guard does not run");
        return;
    }
    enum err e = named_lure_read(gate_lure_rules(gate), &call->arena, text,
                                 argument_text(call, "width"), named, &why);
    if (e != OK) {
        command_fail(call, e, "%s", why.text);
        return;
    }
    errand->gate.event.conviction = (struct conviction){
        .width = named->width,
        .expires_us = conviction_expiry_us(errand, gate),
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    if (named->kind == NAMED_INCIDENT) {
        convict_incident(errand, named->incident);
    } else if (named->kind == NAMED_PATTERN) {
        convict_shown(errand, str_trim(text));
    } else {
        unseal(call, &named->list);
        if (becomes_upload(call, &named->list))
            errand->gate.event.conviction.width = LURE_EXACT;
        named_lure_keys(named);
        errand->gate.event.kind = EVENT_CONVICT;
        errand->gate.event.conviction.lure = &named->list.lures[0];
        send_off(errand);
    }
}

/* ---- suspensions ---- */

static void suspend(struct command_call *call, bool resume)
{
    struct daemon *daemon = call->context;
    struct gate *gate = gate_of(call);
    struct errand *errand = errand_new(call);
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
    errand->gate.event.kind = EVENT_SUSPEND;
    errand->gate.event.suspension = (struct suspension){
        .feature =
            str_eq(argument_text(call, "feature"), STR("files")) ? FEATURE_FILES : FEATURE_LINKS,
        .domain = domain,
        .account = account,
        .expires_us = resume || gate == NULL ? 0 : gate_clock_us(gate) + for_us,
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    errand->rule = (struct guard_rule){.kind = RULE_SUSPEND,
                                       .feature = errand->gate.event.suspension.feature,
                                       .domain = domain,
                                       .account = account};
    if (resume)
        withdraw_rule(errand);
    else if (account.len > 0)
        make_rule_if_account(errand);
    else
        make_rule(errand);
}

static void run_suspend(struct command_call *call)
{
    suspend(call, false);
}

static void run_resume(struct command_call *call)
{
    suspend(call, true);
}

/* ---- rules in force ---- */

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
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct rule_list list = {.only = (int)(intptr_t)gate->context, .rules = json_array()};
    guard_rules(guard, add_rule, &list);
    errand->result = json_pack("{s:o}", "rules", list.rules);
}

static void list_rules(struct command_call *call, int only)
{
    struct errand *errand = errand_new(call);
    errand->gate.look = look_at_rules;
    errand->gate.context = (void *)(intptr_t)only;
    send_off(errand);
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
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    json_t *list = json_array();
    guard_questions(guard, add_question, list);
    errand->result = json_pack("{s:o}", "questions", list);
}

static void run_questions(struct command_call *call)
{
    look_into_guard(call, look_at_questions);
}

static void add_decoy_hit(void *context, const struct guard_decoy_hit *hit)
{
    json_t *list = context;
    if (json_array_size(list) >= HITS_SHOWN)
        return;
    json_array_append_new(
        list,
        json_pack("{s:o, s:o, s:o, s:f, s:b, s:b, s:o}", "sender", json_of(hit->sender), "lure",
                  json_of(hit->shown), "at", json_of_time(hit->at_us), "nats", hit->nats,
                  "discounted", hit->discounted, "convicted", hit->convicted, "incident",
                  hit->incident != 0 ? json_integer((json_int_t)hit->incident) : json_null()));
}

static void look_at_decoy_hits(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    json_t *list = json_array();
    guard_decoy_hits(guard, add_decoy_hit, list);
    errand->result = json_pack("{s:o}", "hits", list);
}

static void run_decoy_hits(struct command_call *call)
{
    look_into_guard(call, look_at_decoy_hits);
}

static struct errand *decoy_new(struct command_call *call, bool removed)
{
    struct errand *errand = errand_new(call);
    errand->gate.event.kind = EVENT_DECOY;
    errand->gate.event.decoy = (struct decoy){
        .account = argument_text(call, "jid"),
        .removed = removed,
        .actor = call->actor.name,
    };
    errand->rule = (struct guard_rule){.kind = RULE_DECOY, .account = argument_text(call, "jid")};
    return errand;
}

static void run_decoy_add(struct command_call *call)
{
    make_rule_if_account(decoy_new(call, false));
}

static void run_decoy_remove(struct command_call *call)
{
    withdraw_rule(decoy_new(call, true));
}

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
    struct gate *gate = gate_of(call);
    struct errand *errand = errand_new(call);
    struct str host = argument_text(call, "host");
    int64_t for_us =
        argument_given(call, "for") ? argument_number(call, "for") : 365 * 86400 * SECOND_US;
    if (gate == NULL) {
        command_fail(call, ERR_CLOSED, "the guard does not run");
        return;
    }
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
    errand->gate.event.kind = EVENT_ENTITLE;
    errand->gate.event.entitlement = (struct entitlement){
        .account = argument_text(call, "jid"),
        .domain = host,
        .receivers = (uint32_t)receivers,
        .expires_us = withdraw ? 0 : gate_clock_us(gate) + for_us,
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    errand->rule = (struct guard_rule){
        .kind = RULE_ENTITLE, .account = argument_text(call, "jid"), .domain = host};
    if (withdraw)
        withdraw_rule(errand);
    else
        make_rule_if_account(errand);
}

static void run_entitle_add(struct command_call *call)
{
    entitle(call, false);
}

static void run_entitle_remove(struct command_call *call)
{
    entitle(call, true);
}

static void look_at_state(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    struct guard_state s;
    guard_state(guard, &s);
    errand->result = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
        "s:I}",
        "events", (json_int_t)s.n_events, "sendings", (json_int_t)s.n_sendings, "delivered",
        (json_int_t)s.n_delivered, "held", (json_int_t)s.n_held, "rejected",
        (json_int_t)s.n_rejected, "exposures", (json_int_t)s.n_exposures, "users",
        (json_int_t)s.n_users, "clusters", (json_int_t)s.n_clusters, "hosts", (json_int_t)s.n_hosts,
        "incidents", (json_int_t)s.n_incidents, "convicted", (json_int_t)s.n_convicted, "asked",
        (json_int_t)s.n_asked, "answered_yes", (json_int_t)s.n_said_yes, "answered_no",
        (json_int_t)s.n_said_no, "unanswered", (json_int_t)s.n_unanswered, "asking",
        (json_int_t)s.n_asking, "bytes", (json_int_t)s.bytes, "memory", (json_int_t)s.memory);
}

static void run_guard_state(struct command_call *call)
{
    look_into_guard(call, look_at_state);
}

static void look_at_tallies(struct gate_errand *gate, const struct guard *guard)
{
    struct errand *errand = CONTAINER_OF(gate, struct errand, gate);
    int64_t since_us = argument_number(errand->call, "since");
    if (since_us > 0)
        since_us = gate_clock_us(gate->gate) - since_us;
    errand->result = guard_report(guard, argument_text(errand->call, "domain"), since_us);
}

static void run_guard_report(struct command_call *call)
{
    look_into_guard(call, look_at_tallies);
}

/* ---- the table ---- */

#define ACCOUNT                                                                                    \
    {                                                                                              \
        "jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "The account."     \
    }
#define NUMBER                                                                                     \
    {                                                                                              \
        "id", ARGUMENT_NUMBER, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "Its number."        \
    }
#define FEATURE                                                                                    \
    {                                                                                              \
        "feature", ARGUMENT_CHOICE, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, "links|files",        \
            "Which."                                                                               \
    }

static const struct command rows[] = {
    {
     .name = "incident list",
     .doc = "Lists incidents, newest first.",
     .role = ROLE_ADMIN,
     .scope = "domain",
     .run = run_incident_list,
     .arguments = {{"state", ARGUMENT_CHOICE, 0, "open|convicted|released|expired",
                       "Only these."},
                      {"domain", ARGUMENT_DOMAIN, 0, NULL, "Only those that concern it."}},
     },
    {
     .name = "incident show",
     .doc = "Shows one incident: outbreak tree, timeline, evidence, orders and what they did.",
     .role = ROLE_ADMIN,
     .flags = COMMAND_WRITES,
     .scope = "domain",
     .run = run_incident_show,
     .arguments =
            {NUMBER,
             {"tree", ARGUMENT_CHOICE, 0, "text|dot|svg",
              "A picture of the tree alone, for Graphviz or a browser; else all, as text."},
             {"domain", ARGUMENT_DOMAIN, 0, NULL,
              "As its administrator sees it: people of other domains have no names."}},
     },
    {
     .name = "incident release",
     .doc = "Undoes an incident: held messages are delivered, restrictions lifted, copies "
               "restored.", .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_incident_release,
     .arguments = {NUMBER,
                      {"account", ARGUMENT_ACCOUNT, 0, NULL,
                       "Only lift this account's restriction."},
                      ARGUMENT_REASON},
     },
    {
     .name = "incident convict",
     .doc = "Convicts a lure by hand: copies are stopped and taken back.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_incident_convict,
     .arguments =
            {{"lure", ARGUMENT_TEXT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
              "An incident's number, a link, sha-256:HEX of a file, a file's name, or rule:NAME."},
             {"width", ARGUMENT_CHOICE, 0, "link|template|host|domain|name",
              "How wide; the narrowest of an incident, template of a link if not said."},
             {"for", ARGUMENT_TIME, 0, NULL, "How long."},
             ARGUMENT_REASON},
     },
    {
     .name = "link show",
     .doc = "Where a protected link leads: what people see in messages and report.",
     .role = ROLE_OPERATOR,
     .run = run_link_show,
     .arguments = {{"link", ARGUMENT_TEXT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "The link."}},
     },
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
     .doc = "Lists who sent which lure to a decoy, and what that counts for.",
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
                       "Host or registrable domain; any if not said."},
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
     .name = "guard rules",
     .doc = "Lists everything in force.",
     .role = ROLE_OPERATOR,
     .run = run_rules,
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
