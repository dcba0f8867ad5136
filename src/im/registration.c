#include "im/registration.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/account_work.h"
#include "im/limits.h"
#include "im/send.h"
#include "im/slowdown.h"
#include "net/addr.h"
#include "xml/writer.h"

#include <stdlib.h>

enum {
    REQUEST_MOST =
        16 << 20, // the largest request before login, its copy and an answer that repeats it
    TRIES_PER_ACCOUNT = 10, // names that are taken may be tried, but not all of them
};
static const int64_t window_us = 3600 * SECOND_US;

/* ---- Strangers ---- */

struct applying {
    struct client *client;
    struct desk *desk;
    struct arena arena; // the request's copy lives in it
    struct element *iq;
    struct addr peer;
};

static void applying_free(struct applying *applying)
{
    arena_done(&applying->arena);
    free(applying);
}

static struct str text_of(struct applying *applying, const struct element *element)
{
    struct str text;
    if (xml_to_str(&applying->arena, element, NS_CLIENT, &text) != OK)
        return STR_EMPTY;
    return text;
}

static struct str result_text(struct applying *applying, struct element *child)
{
    struct arena *arena = &applying->arena;
    struct element *iq = element_new(arena, NS_CLIENT, STR("iq"));
    element_set(arena, iq, STR("type"), STR("result"));
    element_set(arena, iq, STR("from"), stream_domain_name(client_stream(applying->client)));
    struct str id = element_attr(applying->iq, STR("id"));
    if (id.at != NULL)
        element_set(arena, iq, STR("id"), id);
    if (child != NULL)
        element_add(iq, child);
    return text_of(applying, iq);
}

static struct str error_text(struct applying *applying, enum stanza_condition condition,
                             const char *text)
{
    struct stream *stream = client_stream(applying->client);
    struct stanza_error error = {.condition = condition};
    send_words(applying->desk->home, &applying->arena, stream_lang(stream),
               stream_domain_name(stream), text, NULL, &error);
    const struct element *reply = stanza_error_reply(&applying->arena, applying->iq, &error);
    return reply != NULL ? text_of(applying, reply) : STR_EMPTY;
}

static struct element *form(struct applying *applying)
{
    struct arena *arena = &applying->arena;
    struct stream *stream = client_stream(applying->client);
    struct stanza_error words = {.text = STR_EMPTY}; // its text
    send_words(applying->desk->home, arena, stream_lang(stream), stream_domain_name(stream),
               "Choose a user name and a password.", NULL, &words);
    struct element *query = element_new(arena, NS_REGISTER, STR("query"));
    element_child_with(arena, query, NS_REGISTER, STR("instructions"), words.text);
    element_child_new(arena, query, NS_REGISTER, STR("username"));
    element_child_new(arena, query, NS_REGISTER, STR("password"));
    return query;
}

static enum stanza_condition condition_of(enum err e, const char **text)
{
    *text = NULL;
    switch (e) {
    case ERR_EXISTS:
        *text = "This name is taken.";
        return STANZA_CONFLICT;
    case ERR_MALFORMED:
    case ERR_LIMIT:
        *text = "This cannot be a password.";
        return STANZA_NOT_ACCEPTABLE;
    case ERR_BUSY:
        *text = "Too many ask at once. Try again later.";
        return STANZA_RESOURCE_CONSTRAINT;
    case ERR_MISSING:
        return STANZA_ITEM_NOT_FOUND;
    default:
        *text = "The server could not keep this. Try again later.";
        return STANZA_INTERNAL_SERVER_ERROR;
    }
}

static void has_applied(struct account_work *work, enum err e)
{
    struct applying *applying = work->context;
    const char *why;
    if (e == OK) {
        log_event(LOG_NOTICE, "registered", "account=%.*s", STR_ARGS(work->jid.full));
    } else {
        slowdown_take_back(applying->desk->service->slowdown, SLOWED_ACCOUNTS, &applying->peer);
    }
    enum stanza_condition condition = condition_of(e, &why);
    if (client_is_gone(applying->client))
        client_answer(applying->client, STR_EMPTY);
    else
        client_answer(applying->client,
                      e == OK ? result_text(applying, NULL) : error_text(applying, condition, why));
    applying_free(applying);
}

// What is wrong with the request; *work: what is to be done where nothing is.
static enum stanza_condition read_application(struct applying *applying, const char **why,
                                              struct account_work **work)
{
    const struct element *query = element_first(applying->iq);
    struct desk *desk = applying->desk;
    struct str domain = stream_domain_name(client_stream(applying->client));
    struct str user = element_child_text(query, NS_REGISTER, STR("username"));
    struct str password = element_child_text(query, NS_REGISTER, STR("password"));
    struct jid jid;
    *why = NULL;
    if (element_child(query, NS_REGISTER, STR("remove")) != NULL)
        return STANZA_UNEXPECTED_REQUEST;
    if (user.len == 0 || password.len == 0)
        return STANZA_NOT_ACCEPTABLE;
    if (jid_make(&applying->arena, user, domain, STR_EMPTY, &jid) != OK ||
        jid_is_safe_new_localpart(user) != OK) {
        *why = "This cannot be a user name.";
        return STANZA_NOT_ACCEPTABLE;
    }
    unsigned most = desk->settings->registrations_per_address;
    int64_t now_us = clock_now_us();
    if (!slowdown_allows(desk->service->slowdown, SLOWED_TRIES, &applying->peer,
                         most * TRIES_PER_ACCOUNT, window_us, now_us) ||
        !slowdown_allows(desk->service->slowdown, SLOWED_ACCOUNTS, &applying->peer, most, window_us,
                         now_us)) {
        limit_reached_by(desk->home, &applying->peer, "registration.per_address");
        *why = "Too many accounts were made from this address. Try again later.";
        return STANZA_RESOURCE_CONSTRAINT;
    }
    *work = account_work_new(desk->service, desk->home->loop, ACT_MAKE, &jid,
                             desk->settings->iterations);
    if (account_work_password(*work, password) == OK)
        return STANZA_N_CONDITIONS;
    account_work_free(work);
    slowdown_take_back(desk->service->slowdown, SLOWED_ACCOUNTS, &applying->peer);
    *why = "The password is too long.";
    return STANZA_NOT_ACCEPTABLE;
}

static void apply(struct applying *applying)
{
    struct str type = element_attr(applying->iq, STR("type"));
    struct account_work *work = NULL;
    struct str answer;
    if (type.at != NULL && str_eq(type, STR("get"))) {
        answer = result_text(applying, form(applying));
    } else if (type.at != NULL && str_eq(type, STR("set"))) {
        const char *why;
        enum stanza_condition wrong = read_application(applying, &why, &work);
        if (wrong == STANZA_N_CONDITIONS) {
            client_wait(applying->client);
            account_work_start(work, has_applied, applying);
            return;
        }
        answer = error_text(applying, wrong, why);
    } else {
        answer = error_text(applying, STANZA_BAD_REQUEST, NULL);
    }
    client_send(applying->client, answer);
    applying_free(applying);
}

void registration_of_stranger(struct client *client, const struct element *iq)
{
    struct applying *applying = calloc(1, sizeof *applying);
    must(applying != NULL);
    applying->client = client;
    applying->desk = client_desk(client);
    applying->peer = *client_peer(client);
    arena_init(&applying->arena, REQUEST_MOST);
    if (element_copy(&applying->arena, iq, &applying->iq) != OK ||
        element_first(applying->iq) == NULL) {
        applying_free(applying);
        return;
    }
    apply(applying);
}

/* ---- Our people ---- */

static void get(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct element *query = element_new(arena, NS_REGISTER, STR("query"));
    element_child_new(arena, query, NS_REGISTER, STR("registered"));
    element_child_with(arena, query, NS_REGISTER, STR("username"), asked->account->jid.local);
    element_child_new(arena, query, NS_REGISTER, STR("password"));
    asked_result(&asked, query);
}

static void is_done(struct account_work *work, enum err e)
{
    struct asked *asked = work->context;
    const char *why;
    enum stanza_condition condition = condition_of(e, &why);
    if (e == OK) {
        log_event(LOG_NOTICE, work->act == ACT_DELETE ? "account-cancelled" : "password-changed",
                  "account=%.*s", STR_ARGS(work->jid.full));
        asked_result(&asked, NULL);
    } else {
        asked_error(&asked, condition, why);
    }
}

static struct account_work *work_of(struct asked *asked, enum account_act act)
{
    const struct desk *desk = desk_of(asked->home);
    return account_work_new(desk->service, asked->home->loop, act, &asked->account->jid,
                            desk->settings->iterations);
}

static void cancel(struct asked *asked)
{
    const struct im_domain *domain = desk_domain(desk_of(asked->home), asked->account->jid.domain);
    if (element_next(element_first(asked->payload)) != NULL)
        asked_error(&asked, STANZA_BAD_REQUEST, "an account is cancelled by nothing but <remove/>");
    else if (domain == NULL || !domain->cancel)
        asked_error(&asked, STANZA_NOT_ALLOWED, "People here do not cancel their accounts.");
    else
        account_work_start(work_of(asked, ACT_DELETE), is_done, asked);
}

static void set(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    const struct account *account = asked->account;
    const struct im_domain *domain = desk_domain(desk_of(asked->home), account->jid.domain);
    struct str user = element_child_text(asked->payload, NS_REGISTER, STR("username"));
    struct str password = element_child_text(asked->payload, NS_REGISTER, STR("password"));
    struct str local;
    if (element_child(asked->payload, NS_REGISTER, STR("remove")) != NULL) {
        cancel(asked);
        return;
    }
    if (domain == NULL || !domain->change_password) {
        asked_error(&asked, STANZA_NOT_ALLOWED, "Passwords are changed elsewhere.");
        return;
    }
    if (user.len == 0 || password.len == 0) {
        asked_error(&asked, STANZA_BAD_REQUEST, NULL);
        return;
    }
    if (jid_prepare_local(arena, user, &local) != OK || !str_eq(local, account->jid.local)) {
        asked_error(&asked, STANZA_FORBIDDEN, NULL);
        return;
    }
    struct account_work *work = work_of(asked, ACT_PASSWORD);
    if (account_work_password(work, password) != OK) {
        account_work_free(&work);
        asked_error(&asked, STANZA_NOT_ACCEPTABLE, "The password is too long.");
        return;
    }
    account_work_start(work, is_done, asked);
}

static const struct iq_handler iqs[] = {
    {NS_REGISTER, {"query", 5}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT | IQ_OWN_ONLY, get },
    {NS_REGISTER, {"query", 5}, IQ_SET | IQ_DOMAIN | IQ_ACCOUNT | IQ_OWN_ONLY, set },
    {{NULL, 0},   {NULL, 0},    0,                                             NULL},
};

const struct feature feature_registration = {
    .name = "registration",
    .spec = "XEP-0077",
    .iqs = iqs,
};
