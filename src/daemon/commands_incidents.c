/*
 * Commands about incidents: looking at them, undoing them, convicting by hand.
 */
#include "daemon/command_errand_internal.h"

#include "base/clock.h"
#include "base/must.h"
#include "daemon/incident_story.h"
#include "daemon/named_lure.h"
#include "daemon/server.h"
#include "files/uploads.h"
#include "guard/seal.h"
#include "im/links.h"
#include "im/upload.h"

#include <inttypes.h>

/* ---- looking ---- */

static void look_at_list(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
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
    command_errand_look(call, look_at_list);
}

enum { FILES_SHOWN = 32 };

/* What was put here of the files that it is about: whose names and findings nobody else may see. */
static json_t *files_of(const struct command_errand *errand, const struct incident *incident,
                        struct str domain)
{
    const struct daemon *daemon = errand->call->context;
    struct uploads *uploads = server_service(daemon->server)->uploads;
    json_t *list = json_array();
    if (uploads == NULL || incident->n_files == 0)
        return list;
    struct upload *files = calloc(FILES_SHOWN, sizeof *files);
    must(files != NULL);
    size_t n =
        uploads_find_alike(uploads, incident->files, incident->n_files, domain, files, FILES_SHOWN);
    for (size_t i = 0; i < n; i++) {
        char marks[UPLOAD_MARKS_ROOM];
        upload_marks(files[i].flags, marks);
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:s, s:I, s:s, s:o}", "upload", files[i].id, "account",
                            json_of(str_of(files[i].jid)), "name", json_of(str_of(files[i].name)),
                            "type", files[i].type, "size", (json_int_t)files[i].size, "marks",
                            marks, "finding", json_of(str_of(files[i].finding))));
    }
    free(files);
    return list;
}

static void look_at_one(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    struct arena arena;
    struct incident incident;
    struct str domain = argument_text(errand->call, "domain");
    arena_init(&arena, (size_t)1 << 30);
    if (guard_incident(guard, (uint64_t)argument_number(errand->call, "id"), &arena, &incident) ==
            OK &&
        incident_concerns(&incident, domain)) {
        errand->result = incident_story(&incident, domain);
        json_object_set_new(errand->result, "files", files_of(errand, &incident, domain));
    } else
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
    struct command_errand *errand = command_errand_of(gate);
    struct command_call *call = errand->call;
    if (errand->is_missing) {
        command_errand_done(gate);
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
        command_errand_done(gate);
    } else {
        json_decref(errand->result);
        errand->result = json_object();
        for (struct str rest = buf_str(&out); rest.len > 0 && !call->cancelled;) {
            size_t n = rest.len < PIECE_MOST ? rest.len : PIECE_MOST;
            call->face->data(call, str_first(rest, n));
            rest = str_skip(rest, n);
        }
        command_errand_done(gate);
    }
    buf_done(&out);
}

static void run_incident_show(struct command_call *call)
{
    struct command_errand *errand = command_errand_new(call);
    errand->gate.look = look_at_one;
    errand->gate.done = show_drawn;
    command_errand_send(errand);
}

static void run_link_show(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct gate *gate = command_gate(call);
    struct lure_list list;
    struct sealed_link sealed;
    if (gate == NULL)
        return;
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

/* ---- undoing ---- */

// Why there was nothing to undo.
static void look_at_released(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    uint64_t id = gate->event.release.incident;
    struct arena arena;
    struct incident incident;
    if (gate->incident != 0 || gate->event.release.account.len > 0)
        return;
    arena_init(&arena, (size_t)1 << 30);
    if (guard_incident(guard, id, &arena, &incident) == OK && incident.state == INCIDENT_RELEASED)
        errand->why = arena_printf(
            &errand->call->arena, "incident %" PRIu64 " was released already, at %.*s, by %.*s", id,
            STR_ARGS(clock_format(&errand->call->arena, incident.ended_us)),
            STR_ARGS(incident.actor));
    arena_done(&arena);
}

static void released(struct gate_errand *gate)
{
    struct command_errand *errand = command_errand_of(gate);
    struct str account = gate->event.release.account;
    if (gate->incident != 0)
        command_errand_done(gate);
    else if (account.len > 0)
        command_fail(errand->call, ERR_MISSING,
                     "%.*s is not restricted by this incident (guard rules shows who is by which)",
                     STR_ARGS(account));
    else if (errand->why.len > 0)
        command_fail(errand->call, ERR_MISSING, "%.*s", STR_ARGS(errand->why));
    else
        command_fail(errand->call, ERR_MISSING,
                     "there is no incident %" PRIu64 " (incident list shows those there are)",
                     gate->event.release.incident);
}

static void run_incident_release(struct command_call *call)
{
    struct command_errand *errand = command_errand_new(call);
    errand->gate.look = look_at_released;
    errand->gate.done = released;
    errand->gate.event.kind = EVENT_RELEASE;
    errand->gate.event.release = (struct release){
        .incident = (uint64_t)argument_number(call, "id"),
        .account = argument_text(call, "account"),
        .actor = call->actor.name,
        .reason = argument_text(call, "reason"),
    };
    command_errand_send(errand);
}

/* ---- convicting by hand ---- */

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

static int64_t conviction_expiry_us(const struct command_errand *errand, const struct gate *gate)
{
    int64_t for_us = argument_number(errand->call, "for");
    return for_us > 0 ? gate_clock_us(gate) + for_us : 0;
}

static void look_at_convicted(struct gate_errand *gate, const struct guard *guard)
{
    struct command_errand *errand = command_errand_of(gate);
    struct arena arena;
    struct incident incident;
    arena_init(&arena, (size_t)1 << 30);
    errand->is_missing =
        guard_incident(guard, gate->event.conviction.incident, &arena, &incident) != OK;
    arena_done(&arena);
}

static void incident_convicted(struct gate_errand *gate)
{
    struct command_errand *errand = command_errand_of(gate);
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
        command_errand_done(gate);
}

static void convict_incident(struct command_errand *errand, uint64_t id)
{
    errand->gate.event.kind = EVENT_CONVICT_INCIDENT;
    errand->gate.event.conviction.incident = id;
    errand->gate.look = look_at_convicted;
    errand->gate.done = incident_convicted;
    command_errand_send(errand);
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
    struct command_errand *errand = command_errand_of(gate);
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

static void convict_shown(struct command_errand *errand, struct str shown)
{
    struct shown_search *search = arena_make(&errand->call->arena, struct shown_search);
    search->shown = shown;
    errand->gate.context = search;
    errand->gate.look = look_for_shown;
    errand->gate.done = shown_found;
    command_errand_send(errand);
}

static void run_incident_convict(struct command_call *call)
{
    struct gate *gate = command_gate(call);
    struct command_errand *errand = command_errand_new(call);
    struct named_lure *named = arena_make(&call->arena, struct named_lure);
    struct str text = argument_text(call, "lure");
    struct why why = {""};
    if (gate == NULL)
        return;
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
        command_errand_send(errand);
    }
}

/* ---- the table ---- */

#define NUMBER                                                                                     \
    {                                                                                              \
        "id", ARGUMENT_NUMBER, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "Its number."        \
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
               "restored.",                 .role = ROLE_OPERATOR,
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
};

void commands_add_incidents(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
