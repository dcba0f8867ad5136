/*
 * A command with a form has a session: the form is shown, and what comes back
 * under the session's id is carried out.  Sessions are few and forgotten after
 * some minutes.  Who is an administrator is looked up for every request.
 */
#include "im/adhoc_internal.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "im/account_work.h"
#include "im/containment_internal.h"
#include "im/notices.h"
#include "im/questions.h"
#include "im/send.h"
#include "route/own.h"

#include <stdlib.h>

enum { SESSIONS_MOST = 200 }; // of one worker; the oldest makes room
static const int64_t session_us = 600 * SECOND_US;
static const struct str node_prefix = {"http://jabber.org/protocol/admin#", 33};

struct adhoc_session {
    struct link link;
    char sid[RANDOM_ID_SIZE + 1];
    struct str who, domain; // own memory
    const struct adhoc_command *command;
    int64_t until_us; // loop time
};

struct adhoc_book {
    struct list sessions; // oldest first
    size_t n;
};

/* ---- Sessions ---- */

static void close_session(struct adhoc_book *book, struct adhoc_session *session)
{
    list_leave(&session->link);
    book->n--;
    own_str_free(&session->who);
    own_str_free(&session->domain);
    free(session);
}

void adhoc_book_free(struct adhoc_book **book)
{
    struct adhoc_book *b = TAKE(*book);
    if (b == NULL)
        return;
    LIST_EACH(&b->sessions, struct adhoc_session, link, session)
    close_session(b, session);
    free(b);
}

static struct adhoc_session *find_session(const struct adhoc *adhoc, struct str sid)
{
    struct desk *desk = desk_of(adhoc->asked->home);
    if (desk->adhoc == NULL)
        return NULL;
    LIST_EACH(&desk->adhoc->sessions, struct adhoc_session, link, session)
    if (str_eq_secret(str_of(session->sid), sid) && session->command == adhoc->command &&
        str_eq(session->who, adhoc->asked->account->jid.full) &&
        str_eq(session->domain, adhoc->domain))
        return session->until_us > loop_now_us(adhoc->asked->home->loop) ? session : NULL;
    return NULL;
}

static struct adhoc_session *open_session(struct adhoc *adhoc)
{
    struct desk *desk = desk_of(adhoc->asked->home);
    if (desk->adhoc == NULL) {
        desk->adhoc = calloc(1, sizeof *desk->adhoc);
        must(desk->adhoc != NULL);
        list_init(&desk->adhoc->sessions);
    }
    struct adhoc_book *book = desk->adhoc;
    struct adhoc_session *oldest = LIST_FIRST(&book->sessions, struct adhoc_session, link);
    if (oldest != NULL && book->n >= SESSIONS_MOST)
        close_session(book, oldest);
    struct adhoc_session *session = calloc(1, sizeof *session);
    must(session != NULL);
    random_id_z(session->sid);
    session->who = own_str(adhoc->asked->account->jid.full);
    session->domain = own_str(adhoc->domain);
    session->command = adhoc->command;
    session->until_us = loop_now_us(adhoc->asked->home->loop) + session_us;
    list_add_last(&book->sessions, &session->link);
    book->n++;
    return session;
}

/* ---- Who may ---- */

static void rights_are_known(struct store_request *request)
{
    struct adhoc *adhoc = CONTAINER_OF(request, struct adhoc, rights.request);
    enum err e = request->result;
    store_release(request);
    if (e != OK && e != ERR_MISSING)
        asked_store_error(&adhoc->asked, e);
    else
        adhoc->allowed(adhoc, e == OK);
}

// An administrator has rights in his own domain: by the configuration, or by the record that an
// operator's command makes.  The record itself is asked for: it is gone with the account.
static void ask_rights(struct adhoc *adhoc, void (*allowed)(struct adhoc *adhoc, bool is_admin))
{
    struct asked *asked = adhoc->asked;
    const struct jid *who = &asked->account->jid;
    const struct im_domain *domain = desk_domain(desk_of(asked->home), adhoc->domain);
    adhoc->allowed = allowed;
    if (domain == NULL || !str_eq(who->domain, adhoc->domain)) {
        allowed(adhoc, false);
        return;
    }
    for (size_t i = 0; i < domain->n_configured; i++)
        if (str_eq(domain->admins[i], who->full)) {
            allowed(adhoc, true);
            return;
        }
    adhoc->rights.kind = STORE_SETTING;
    adhoc->rights.key = account_admin_key(asked_arena(asked), who->full);
    adhoc->rights.request.home = loop_mailbox(asked->home->loop);
    adhoc->rights.request.done = rights_are_known;
    store_record_get(asked->home->store, &adhoc->rights);
}

static struct adhoc *adhoc_new(struct asked *asked)
{
    struct adhoc *adhoc = arena_make(asked_arena(asked), struct adhoc);
    adhoc->asked = asked;
    adhoc->domain = asked->stanza->to.domain;
    return adhoc;
}

/* ---- Forms ---- */

static void add_values(struct arena *arena, struct element *field, const char *options)
{
    struct str rest = str_of(options);
    bool is_first = true;
    while (rest.at != NULL && rest.len > 0) {
        struct str option = str_cut(&rest, ' ');
        if (is_first)
            element_child_with(arena, field, NS_DATA, STR("value"), option);
        is_first = false;
        struct element *e = element_child_new(arena, field, NS_DATA, STR("option"));
        element_set(arena, e, STR("label"), option);
        element_child_with(arena, e, NS_DATA, STR("value"), option);
    }
}

static void add_form_type(struct arena *arena, struct element *form)
{
    struct element *type = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, type, STR("var"), STR("FORM_TYPE"));
    element_set(arena, type, STR("type"), STR("hidden"));
    element_child_with(arena, type, NS_DATA, STR("value"), NS_ADMIN);
}

struct str adhoc_note(struct adhoc *adhoc, const char *words, const struct notice_args *args)
{
    const struct asked *asked = adhoc->asked;
    const struct session *session = asked_session(asked);
    return notice_words(desk_of(asked->home)->service->notices, asked_arena(adhoc->asked),
                        session != NULL ? session->lang : asked->stanza->lang,
                        tell_domain_lang(asked->home, adhoc->domain), words, args, NULL);
}

struct str adhoc_words(struct adhoc *adhoc, const char *words)
{
    return adhoc_note(adhoc, words, &(struct notice_args){.link = STR_EMPTY});
}

static struct element *form_of(struct adhoc *adhoc)
{
    struct arena *arena = asked_arena(adhoc->asked);
    const struct adhoc_command *command = adhoc->command;
    struct element *form = element_new(arena, NS_DATA, STR("x"));
    element_set(arena, form, STR("type"), STR("form"));
    element_child_with(arena, form, NS_DATA, STR("title"), adhoc_words(adhoc, command->name));
    element_child_with(arena, form, NS_DATA, STR("instructions"),
                       adhoc_words(adhoc, command->instructions));
    add_form_type(arena, form);
    for (const struct adhoc_field *f = command->fields; f->var != NULL; f++) {
        struct element *field = element_child_new(arena, form, NS_DATA, STR("field"));
        element_set(arena, field, STR("var"), str_of(f->var));
        element_set(arena, field, STR("type"), str_of(f->type));
        element_set(arena, field, STR("label"), adhoc_words(adhoc, f->label));
        if (f->required)
            element_child_new(arena, field, NS_DATA, STR("required"));
        if (f->options != NULL)
            add_values(arena, field, f->options);
    }
    return form;
}

const struct element *adhoc_values(const struct adhoc *adhoc, const char *var)
{
    if (adhoc->form == NULL)
        return NULL;
    ELEMENT_EACH(adhoc->form, field)
    {
        struct str name = element_attr(field, STR("var"));
        if (element_is(field, NS_DATA, STR("field")) && name.at != NULL &&
            str_eq(name, str_of(var)))
            return element_child(field, NS_DATA, STR("value"));
    }
    return NULL;
}

struct str adhoc_value(const struct adhoc *adhoc, const char *var)
{
    const struct element *value = adhoc_values(adhoc, var);
    return value != NULL ? value->text : STR_EMPTY;
}

struct element *adhoc_result(struct adhoc *adhoc)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *form = element_new(arena, NS_DATA, STR("x"));
    element_set(arena, form, STR("type"), STR("result"));
    add_form_type(arena, form);
    return form;
}

struct element *adhoc_result_field(struct adhoc *adhoc, struct element *form, const char *var,
                                   const char *type)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *field = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, field, STR("var"), str_of(var));
    element_set(arena, field, STR("type"), str_of(type));
    return field;
}

/* ---- Answers ---- */

static struct element *answer_of(struct adhoc *adhoc, struct str status)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *command = element_new(arena, NS_COMMANDS, STR("command"));
    element_set(arena, command, STR("node"), element_attr(adhoc->asked->payload, STR("node")));
    element_set(arena, command, STR("sessionid"), adhoc->sid);
    element_set(arena, command, STR("status"), status);
    return command;
}

// XEP-0050 4.3: what a note is.
static void complete(struct adhoc *adhoc, struct element *payload, struct str type, struct str note)
{
    struct asked *asked = adhoc->asked;
    struct arena *arena = asked_arena(asked);
    struct element *command = answer_of(adhoc, STR("completed"));
    if (note.len > 0) {
        struct element *e = element_child_with(arena, command, NS_COMMANDS, STR("note"), note);
        element_set(arena, e, STR("type"), type);
    }
    if (payload != NULL)
        element_add(command, payload);
    struct adhoc_session *session = find_session(adhoc, adhoc->sid);
    if (session != NULL)
        close_session(desk_of(asked->home)->adhoc, session);
    asked_result(&asked, command);
}

void adhoc_done(struct adhoc *adhoc, struct element *payload, struct str note)
{
    complete(adhoc, payload, STR("info"), note);
}

void adhoc_undone(struct adhoc *adhoc, struct str note)
{
    complete(adhoc, NULL, STR("error"), note);
}

void adhoc_wrong(struct adhoc *adhoc, const char *text)
{
    struct stanza_error error = {.condition = STANZA_BAD_REQUEST,
                                 .specific = STR("bad-payload"),
                                 .specific_ns = NS_COMMANDS};
    asked_words(adhoc->asked, text, NULL, &error);
    asked_error_full(&adhoc->asked, &error);
}

void adhoc_failed(struct adhoc *adhoc, enum err e)
{
    asked_store_error(&adhoc->asked, e);
}

// XEP-0050 section 4.5.
static void refuse(struct adhoc *adhoc, struct str specific)
{
    struct stanza_error error = {
        .condition = STANZA_BAD_REQUEST, .specific = specific, .specific_ns = NS_COMMANDS};
    asked_error_full(&adhoc->asked, &error);
}

static void show_form(struct adhoc *adhoc)
{
    struct asked *asked = adhoc->asked;
    struct arena *arena = asked_arena(asked);
    adhoc->sid = arena_str(arena, str_of(open_session(adhoc)->sid));
    struct element *command = answer_of(adhoc, STR("executing"));
    struct element *actions = element_child_new(arena, command, NS_COMMANDS, STR("actions"));
    element_set(arena, actions, STR("execute"), STR("complete"));
    element_child_new(arena, actions, NS_COMMANDS, STR("complete"));
    element_add(command, form_of(adhoc));
    asked_result(&asked, command);
}

static void cancel(struct adhoc *adhoc, struct adhoc_session *session)
{
    struct asked *asked = adhoc->asked;
    close_session(desk_of(asked->home)->adhoc, session);
    asked_result(&asked, answer_of(adhoc, STR("canceled")));
}

/* ---- A request ---- */

static const struct adhoc_command *find_command(struct str node)
{
    if (node.at == NULL || !str_starts(node, node_prefix))
        return NULL;
    struct str name = str_skip(node, node_prefix.len);
    for (const struct adhoc_command *command = adhoc_commands; command->node != NULL; command++)
        if (str_eq(name, str_of(command->node)))
            return command;
    return NULL;
}

bool adhoc_announces(const struct element *payload)
{
    const struct adhoc_command *command = element_is(payload, NS_COMMANDS, STR("command"))
                                              ? find_command(element_attr(payload, STR("node")))
                                              : NULL;
    return command != NULL && str_eq(str_of(command->node), STR("announce"));
}

static void go_on(struct adhoc *adhoc, struct str sid, struct str action)
{
    struct adhoc_session *session = find_session(adhoc, sid);
    adhoc->sid = sid;
    if (session == NULL) {
        refuse(adhoc, STR("bad-sessionid"));
        return;
    }
    if (str_eq(action, STR("cancel"))) {
        cancel(adhoc, session);
        return;
    }
    if (!str_eq(action, STR("execute")) && !str_eq(action, STR("complete"))) {
        refuse(adhoc, STR("bad-action"));
        return;
    }
    adhoc->form = element_child(adhoc->asked->payload, NS_DATA, STR("x"));
    struct str type = adhoc->form != NULL ? element_attr(adhoc->form, STR("type")) : STR_EMPTY;
    if (type.at == NULL || !str_eq(type, STR("submit"))) {
        refuse(adhoc, STR("bad-payload"));
        return;
    }
    for (const struct adhoc_field *f = adhoc->command->fields; f->var != NULL; f++)
        if (f->required && adhoc_value(adhoc, f->var).len == 0) {
            adhoc_wrong(adhoc, "a required field is empty");
            return;
        }
    adhoc->command->perform(adhoc);
}

static void command_allowed(struct adhoc *adhoc, bool is_admin)
{
    struct asked *asked = adhoc->asked;
    struct arena *arena = asked_arena(asked);
    struct str action = element_attr(asked->payload, STR("action"));
    struct str sid = element_attr(asked->payload, STR("sessionid"));
    if (!is_admin) {
        asked_error(&adhoc->asked, STANZA_FORBIDDEN, NULL);
        return;
    }
    if (action.at == NULL)
        action = STR("execute");
    if (adhoc->command == NULL) {
        asked_error(&adhoc->asked, STANZA_ITEM_NOT_FOUND, NULL);
    } else if (sid.at != NULL) {
        go_on(adhoc, sid, action);
    } else if (!str_eq(action, STR("execute"))) {
        refuse(adhoc, STR("bad-action"));
    } else if (adhoc->command->fields != NULL) {
        show_form(adhoc);
    } else {
        adhoc->sid = random_id(arena);
        adhoc->command->perform(adhoc);
    }
}

// What the guard asks is for him who is asked, whoever administrates.
static bool is_question(const struct asked *asked, struct str node)
{
    return node.at != NULL && ns_eq(node, NS_QUESTION) && asked->account != NULL &&
           str_eq(asked->stanza->to.domain, asked->account->jid.domain);
}

static void command(struct asked *asked)
{
    if (is_question(asked, element_attr(asked->payload, STR("node")))) {
        questions_command(asked);
        return;
    }
    struct adhoc *adhoc = adhoc_new(asked);
    adhoc->command = find_command(element_attr(asked->payload, STR("node")));
    ask_rights(adhoc, command_allowed);
}

/* ---- Discovery ---- */

static void list_allowed(struct adhoc *adhoc, bool is_admin)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *query = element_new(arena, NS_DISCO_ITEMS, STR("query"));
    element_set(arena, query, STR("node"), NS_COMMANDS);
    for (const struct adhoc_command *c = adhoc_commands; is_admin && c->node != NULL; c++) {
        struct element *item = element_child_new(arena, query, NS_DISCO_ITEMS, STR("item"));
        element_set(arena, item, STR("jid"), adhoc->domain);
        element_set(arena, item, STR("node"),
                    arena_printf(arena, "%.*s%s", STR_ARGS(node_prefix), c->node));
        element_set(arena, item, STR("name"), adhoc_words(adhoc, c->name));
    }
    if (questions_wait(adhoc->asked) && str_eq(adhoc->domain, adhoc->asked->account->jid.domain)) {
        struct element *item = element_child_new(arena, query, NS_DISCO_ITEMS, STR("item"));
        element_set(arena, item, STR("jid"), adhoc->domain);
        element_set(arena, item, STR("node"), NS_QUESTION);
        element_set(arena, item, STR("name"), questions_title(adhoc->asked));
    }
    asked_result(&adhoc->asked, query);
}

bool adhoc_items(struct asked *asked, struct str node)
{
    if (!str_eq(node, NS_COMMANDS) || asked->where != ASKED_DOMAIN || !asked->own)
        return false;
    ask_rights(adhoc_new(asked), list_allowed);
    return true;
}

static void info_allowed(struct adhoc *adhoc, bool is_admin)
{
    struct arena *arena = asked_arena(adhoc->asked);
    if (!is_admin) {
        asked_error(&adhoc->asked, STANZA_FORBIDDEN, NULL);
        return;
    }
    struct element *query = element_new(arena, NS_DISCO_INFO, STR("query"));
    element_set(arena, query, STR("node"), element_attr(adhoc->asked->payload, STR("node")));
    struct element *identity = element_child_new(arena, query, NS_DISCO_INFO, STR("identity"));
    element_set(arena, identity, STR("category"), STR("automation"));
    element_set(arena, identity, STR("type"),
                adhoc->command != NULL ? STR("command-node") : STR("command-list"));
    if (adhoc->command != NULL)
        element_set(arena, identity, STR("name"), adhoc_words(adhoc, adhoc->command->name));
    const struct str vars[] = {NS_COMMANDS, NS_DATA};
    for (size_t i = 0; i < COUNT_OF(vars); i++)
        element_set(arena, element_child_new(arena, query, NS_DISCO_INFO, STR("feature")),
                    STR("var"), vars[i]);
    asked_result(&adhoc->asked, query);
}

bool adhoc_info(struct asked *asked, struct str node)
{
    const struct adhoc_command *command = find_command(node);
    if ((command == NULL && !str_eq(node, NS_COMMANDS)) || asked->where != ASKED_DOMAIN ||
        !asked->own)
        return false;
    struct adhoc *adhoc = adhoc_new(asked);
    adhoc->command = command;
    ask_rights(adhoc, info_allowed);
    return true;
}

static const struct str disco[] = {
    NS_COMMANDS, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_COMMANDS, {"command", 7}, IQ_SET | IQ_DOMAIN | IQ_OWN_ONLY, command},
    {{NULL, 0},   {NULL, 0},      0,                                NULL   },
};

const struct feature feature_adhoc = {
    .name = "adhoc",
    .spec = "XEP-0050, XEP-0133",
    .disco_server = disco,
    .iqs = iqs,
};
