/*
 * XEP-0133: the commands themselves.  Those that change accounts go through
 * them one by one; each success is in the audit record before the next begins.
 */
#include "im/adhoc_internal.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "im/account_work.h"
#include "im/notices.h"
#include "im/sessions.h"
#include "im/user_stats.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ACCOUNTS_MOST = 1000, // of one command
    LIST_MOST = 10000,
    SESSIONS_MOST = 1 << 20,
    NOTE_MOST = 4096,
};

static void begin(struct adhoc *adhoc, struct store_request *request,
                  void (*done)(struct store_request *request))
{
    request->home = loop_mailbox(adhoc->asked->home->loop);
    request->done = done;
}

/* ---- One account after another ---- */

struct each {
    struct adhoc *adhoc;
    bool ends_sessions; // rather than act
    enum account_act act;
    struct str password;
    struct jid *jids;
    size_t n, at, n_done;
    struct str trouble; // the first that could not be done, and why
    struct sessions_walk walk;
    struct store_audit_append audit;
};

static void do_next(struct each *each);

static void is_audited(struct store_request *request)
{
    struct each *each = CONTAINER_OF(request, struct each, audit.request);
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        adhoc_failed(each->adhoc, e);
        return;
    }
    each->at++;
    do_next(each);
}

static void audit(struct each *each)
{
    struct adhoc *adhoc = each->adhoc;
    each->n_done++;
    begin(adhoc, &each->audit.request, is_audited);
    each->audit.entry = (struct store_audit){
        .wall_us = clock_wall_us(),
        .actor = adhoc->asked->account->jid.full,
        .action = str_of(adhoc->command->node),
        .scope = each->jids[each->at].full,
        .details = STR("by ad-hoc command"),
    };
    store_audit_append(adhoc->asked->home->store, &each->audit);
}

static const char *words_of(enum err e)
{
    switch (e) {
    case ERR_EXISTS:
        return "there is such an account already";
    case ERR_MISSING:
        return "there is no such account";
    case ERR_MALFORMED:
    case ERR_LIMIT:
        return "this cannot be a password";
    case ERR_BUSY:
        return "too much is under way";
    default:
        return "the server could not keep this";
    }
}

static void worked(struct account_work *work, enum err e)
{
    struct each *each = work->context;
    if (e == OK) {
        audit(each);
        return;
    }
    if (each->trouble.len == 0)
        each->trouble =
            arena_printf(asked_arena(each->adhoc->asked), "%.*s: %.*s.", STR_ARGS(work->jid.full),
                         STR_ARGS(adhoc_words(each->adhoc, words_of(e))));
    each->at++;
    do_next(each);
}

static void walked(struct sessions_walk *walk)
{
    struct each *each = walk->context;
    free(walk->rows);
    arena_done(&walk->arena);
    audit(each);
}

static void end_sessions(struct each *each)
{
    const struct jid *jid = &each->jids[each->at];
    struct home *home = each->adhoc->asked->home;
    each->walk = (struct sessions_walk){
        .account = jid_bare(jid),
        .resource = jid->resource,
        .close = true,
        .most = SESSIONS_MOST,
        .done = walked,
        .context = each,
    };
    sessions_walk(desk_of(home)->service, &each->walk, home->loop);
}

static void do_next(struct each *each)
{
    struct adhoc *adhoc = each->adhoc;
    struct home *home = adhoc->asked->home;
    const struct desk *desk = desk_of(home);
    if (each->at == each->n) {
        struct arena *arena = asked_arena(adhoc->asked);
        const struct notice_args counts = {.number = arena_printf(arena, "%zu", each->n_done),
                                           .people = arena_printf(arena, "%zu", each->n)};
        struct str note = adhoc_note(adhoc, "{number} of {people} done.", &counts);
        if (each->trouble.len > 0)
            adhoc_undone(adhoc,
                         arena_printf(arena, "%.*s %.*s", STR_ARGS(note), STR_ARGS(each->trouble)));
        else
            adhoc_done(adhoc, NULL, note);
    } else if (each->ends_sessions) {
        end_sessions(each);
    } else {
        struct account_work *work =
            account_work_new(desk->service, home->loop, each->act, &each->jids[each->at],
                             desk->settings->iterations);
        must(account_work_password(work, each->password) == OK);
        account_work_start(work, worked, each);
    }
}

static const char *read_jids(struct each *each, const char *var)
{
    struct adhoc *adhoc = each->adhoc;
    struct arena *arena = asked_arena(adhoc->asked);
    const struct element *value = adhoc_values(adhoc, var), *first = value;
    size_t n = 0;
    for (; value != NULL; value = element_next_same(value))
        n++;
    if (n > ACCOUNTS_MOST)
        return "too many accounts at once";
    each->jids = arena_make_array(arena, struct jid, n + 1);
    for (value = first; value != NULL; value = element_next_same(value)) {
        struct jid *jid = &each->jids[each->n];
        struct str text = str_trim(value->text);
        if (text.len == 0)
            continue;
        if (jid_parse(arena, text, jid) != OK || jid->local.len == 0)
            return "an account is no address";
        if (!str_eq(jid->domain, adhoc->domain))
            return "an account is of another domain";
        if (!each->ends_sessions)
            *jid = jid_bare_of(jid);
        each->n++;
    }
    return each->n == 0 ? "no account is named" : NULL;
}

static void do_each(struct adhoc *adhoc, struct each *each, const char *var)
{
    each->adhoc = adhoc;
    const char *wrong = read_jids(each, var);
    if (wrong == NULL && each->password.len > ACT_PASSWORD_MOST)
        wrong = "the password is too long";
    if (wrong == NULL && each->act == ACT_MAKE && !each->ends_sessions &&
        jid_is_safe_new_localpart(each->jids[0].local) != OK)
        wrong = "to older software this would be another account";
    if (wrong != NULL)
        adhoc_wrong(adhoc, wrong);
    else
        do_next(each);
}

static struct each *each_new(struct adhoc *adhoc, enum account_act act)
{
    struct each *each = arena_make(asked_arena(adhoc->asked), struct each);
    each->act = act;
    each->password = STR_EMPTY;
    each->trouble = STR_EMPTY;
    return each;
}

static void add_user(struct adhoc *adhoc)
{
    struct each *each = each_new(adhoc, ACT_MAKE);
    each->password = adhoc_value(adhoc, "password");
    if (!str_eq(each->password, adhoc_value(adhoc, "password-verify")))
        adhoc_wrong(adhoc, "the passwords differ");
    else
        do_each(adhoc, each, "accountjid");
}

static void change_password(struct adhoc *adhoc)
{
    struct each *each = each_new(adhoc, ACT_PASSWORD);
    each->password = adhoc_value(adhoc, "password");
    do_each(adhoc, each, "accountjid");
}

static void delete_user(struct adhoc *adhoc)
{
    do_each(adhoc, each_new(adhoc, ACT_DELETE), "accountjids");
}

static void disable_user(struct adhoc *adhoc)
{
    do_each(adhoc, each_new(adhoc, ACT_DISABLE), "accountjids");
}

static void reenable_user(struct adhoc *adhoc)
{
    do_each(adhoc, each_new(adhoc, ACT_ENABLE), "accountjids");
}

static void end_user_session(struct adhoc *adhoc)
{
    struct each *each = each_new(adhoc, ACT_DISABLE);
    each->ends_sessions = true;
    do_each(adhoc, each, "accountjids");
}

/* ---- Counts and lists ---- */

static void answer_number(struct adhoc *adhoc, const char *var, uint64_t n)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *form = adhoc_result(adhoc);
    element_child_with(arena, adhoc_result_field(adhoc, form, var, "text-single"), NS_DATA,
                       STR("value"), arena_printf(arena, "%" PRIu64, n));
    adhoc_done(adhoc, form, STR_EMPTY);
}

struct counting {
    struct adhoc *adhoc;
    bool disabled;
    struct store_account_count op;
};

static void counted(struct store_request *request)
{
    struct counting *counting = CONTAINER_OF(request, struct counting, op.request);
    enum err e = request->result;
    uint64_t n = counting->disabled ? counting->op.n_disabled : counting->op.n;
    store_release(request);
    if (e != OK)
        adhoc_failed(counting->adhoc, e);
    else
        answer_number(counting->adhoc,
                      counting->disabled ? "disabledusersnum" : "registeredusersnum", n);
}

static void count(struct adhoc *adhoc, bool disabled)
{
    struct counting *counting = arena_make(asked_arena(adhoc->asked), struct counting);
    counting->adhoc = adhoc;
    counting->disabled = disabled;
    begin(adhoc, &counting->op.request, counted);
    counting->op.domain = adhoc->domain;
    store_account_count(adhoc->asked->home->store, &counting->op);
}

static void count_registered(struct adhoc *adhoc)
{
    count(adhoc, false);
}

static void count_disabled(struct adhoc *adhoc)
{
    count(adhoc, true);
}

static uint32_t most_items(const struct adhoc *adhoc)
{
    uint64_t n;
    return str_to_u64(adhoc_value(adhoc, "max_items"), 1, LIST_MOST, &n) == OK ? (uint32_t)n
                                                                               : LIST_MOST;
}

struct listing {
    struct adhoc *adhoc;
    struct store_account_list op;
};

static void listed(struct store_request *request)
{
    struct listing *listing = CONTAINER_OF(request, struct listing, op.request);
    struct adhoc *adhoc = listing->adhoc;
    struct arena *arena = asked_arena(adhoc->asked);
    enum err e = request->result;
    if (e != OK) {
        store_release(request);
        adhoc_failed(adhoc, e);
        return;
    }
    struct element *form = adhoc_result(adhoc);
    struct element *field = adhoc_result_field(adhoc, form, "registereduserjids", "jid-multi");
    for (uint32_t i = 0; i < listing->op.n; i++)
        element_child_with(arena, field, NS_DATA, STR("value"),
                           arena_printf(arena, "%.*s@%.*s", STR_ARGS(listing->op.accounts[i].local),
                                        STR_ARGS(listing->op.accounts[i].domain)));
    store_release(request);
    adhoc_done(adhoc, form, STR_EMPTY);
}

static void list_registered(struct adhoc *adhoc)
{
    struct listing *listing = arena_make(asked_arena(adhoc->asked), struct listing);
    listing->adhoc = adhoc;
    begin(adhoc, &listing->op.request, listed);
    listing->op.domain = adhoc->domain;
    listing->op.most = most_items(adhoc);
    store_account_list(adhoc->asked->home->store, &listing->op);
}

/* ---- Who is online ---- */

struct online {
    struct adhoc *adhoc;
    struct sessions_walk walk;
    void (*then)(struct online *online);
};

static void seen(struct sessions_walk *walk)
{
    struct online *online = walk->context;
    online->then(online);
}

static void walk_online(struct adhoc *adhoc, void (*then)(struct online *online))
{
    struct home *home = adhoc->asked->home;
    struct online *online = arena_make(asked_arena(adhoc->asked), struct online);
    online->adhoc = adhoc;
    online->then = then;
    online->walk = (struct sessions_walk){
        .account = STR_EMPTY,
        .resource = STR_EMPTY,
        .most = SESSIONS_MOST,
        .done = seen,
        .context = online,
    };
    sessions_walk(desk_of(home)->service, &online->walk, home->loop);
}

static void online_free(struct online *online)
{
    free(online->walk.rows);
    arena_done(&online->walk.arena);
}

static int compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

// The people of the domain that are online, each once; *out: own memory, texts borrowed.
static size_t people_online(const struct online *online, struct str **out)
{
    size_t n = 0, n_once = 0;
    struct str *people = calloc(online->walk.n + 1, sizeof *people);
    must(people != NULL);
    for (size_t i = 0; i < online->walk.n; i++) {
        struct jid jid = jid_of_prepared(online->walk.rows[i].jid);
        if (str_eq(jid.domain, online->adhoc->domain) && online->walk.rows[i].available)
            people[n++] = jid_bare(&jid);
    }
    qsort(people, n, sizeof *people, compare);
    for (size_t i = 0; i < n; i++)
        if (n_once == 0 || !str_eq(people[i], people[n_once - 1]))
            people[n_once++] = people[i];
    *out = people;
    return n_once;
}

static void say_how_many(struct online *online)
{
    struct str *people;
    size_t n = people_online(online, &people);
    free(people);
    online_free(online);
    answer_number(online->adhoc, "onlineusersnum", n);
}

static void count_online(struct adhoc *adhoc)
{
    walk_online(adhoc, say_how_many);
}

static void say_who(struct online *online)
{
    struct adhoc *adhoc = online->adhoc;
    struct arena *arena = asked_arena(adhoc->asked);
    struct element *form = adhoc_result(adhoc);
    struct element *field = adhoc_result_field(adhoc, form, "onlineuserjids", "jid-multi");
    struct str *people;
    size_t n = people_online(online, &people), most = most_items(adhoc);
    for (size_t i = 0; i < n && i < most; i++)
        element_child_with(arena, field, NS_DATA, STR("value"), arena_str(arena, people[i]));
    free(people);
    online_free(online);
    adhoc_done(adhoc, form, STR_EMPTY);
}

static void list_online(struct adhoc *adhoc)
{
    walk_online(adhoc, say_who);
}

/* ---- An announcement ---- */

struct announcing {
    struct adhoc *adhoc;
    size_t n;
    struct store_audit_append audit;
};

static void is_announced(struct store_request *request)
{
    struct announcing *announcing = CONTAINER_OF(request, struct announcing, audit.request);
    struct adhoc *adhoc = announcing->adhoc;
    store_release(request); // said is said, recorded or not
    const struct notice_args counts = {
        .people = arena_printf(asked_arena(adhoc->asked), "%zu", announcing->n)};
    adhoc_done(adhoc, NULL, adhoc_note(adhoc, "Sent to {people} sessions.", &counts));
}

static struct str text_of(struct adhoc *adhoc, const char *var)
{
    struct arena *arena = asked_arena(adhoc->asked);
    struct str text = STR_EMPTY;
    const struct element *line = adhoc_values(adhoc, var);
    for (; line != NULL; line = element_next_same(line))
        text = text.len == 0
                   ? line->text
                   : arena_printf(arena, "%.*s\n%.*s", STR_ARGS(text), STR_ARGS(line->text));
    return text;
}

static void say_it(struct online *online)
{
    struct adhoc *adhoc = online->adhoc;
    struct asked *asked = adhoc->asked;
    struct announcing *announcing = arena_make(asked_arena(asked), struct announcing);
    struct jid domain = jid_of_prepared(adhoc->domain);
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, TYPE_HEADLINE, &domain, NULL, random_id(asked_arena(asked)));
    struct str subject = adhoc_value(adhoc, "subject");
    announcing->adhoc = adhoc;
    if (subject.len > 0)
        element_child_with(&stanza->arena, stanza->root, NS_CLIENT, STR("subject"),
                           arena_str(&stanza->arena, subject));
    element_child_with(&stanza->arena, stanza->root, NS_CLIENT, STR("body"),
                       arena_str(&stanza->arena, text_of(adhoc, "announcement")));
    stanza_seal(stanza);
    // who reads it is exposed, and to whom is known, though it comes in the domain's name
    stanza->lure_keys = arena_str(&stanza->arena, asked->stanza->lure_keys);
    stanza->lures_from = arena_str(&stanza->arena, asked->account->jid.full);
    for (size_t i = 0; i < online->walk.n; i++) {
        const struct session_row *row = &online->walk.rows[i];
        struct jid jid = jid_of_prepared(row->jid);
        if (!row->available || !str_eq(jid.domain, adhoc->domain))
            continue;
        announcing->n++;
        route_stanza_to(asked->home, stanza, &jid, NULL, ROUTED_BY_SERVER, 0);
    }
    stanza_unref(&stanza);
    online_free(online);
    begin(adhoc, &announcing->audit.request, is_announced);
    announcing->audit.entry = (struct store_audit){
        .wall_us = clock_wall_us(),
        .actor = asked->account->jid.full,
        .action = STR("announce"),
        .scope = adhoc->domain,
        .details = arena_printf(asked_arena(asked), "by ad-hoc command, %zu bytes to %zu sessions",
                                text_of(adhoc, "announcement").len, announcing->n),
    };
    store_audit_append(asked->home->store, &announcing->audit);
}

static void announce(struct adhoc *adhoc)
{
    if (text_of(adhoc, "announcement").len > NOTE_MOST)
        adhoc_wrong(adhoc, "the announcement is too long");
    else
        walk_online(adhoc, say_it);
}

/* ---- A person's roster ---- */

struct showing {
    struct adhoc *adhoc;
    struct store_account_load op;
};

static void roster_is_loaded(struct store_request *request)
{
    static const char *const words[] = {
        [STORE_SUB_NONE] = "none",
        [STORE_SUB_TO] = "to",
        [STORE_SUB_FROM] = "from",
        [STORE_SUB_BOTH] = "both",
    };
    struct showing *showing = CONTAINER_OF(request, struct showing, op.request);
    struct adhoc *adhoc = showing->adhoc;
    struct arena *arena = asked_arena(adhoc->asked);
    enum err e = request->result;
    if (e != OK) {
        store_release(request);
        if (e == ERR_MISSING)
            adhoc_wrong(adhoc, words_of(e));
        else
            adhoc_failed(adhoc, e);
        return;
    }
    struct element *query = element_new(arena, NS_ROSTER, STR("query"));
    for (uint32_t i = 0; i < showing->op.n_items; i++) {
        const struct store_roster_item *from = &showing->op.items[i];
        struct element *item = element_child_new(arena, query, NS_ROSTER, STR("item"));
        element_set(arena, item, STR("jid"), arena_str(arena, from->jid));
        element_set(arena, item, STR("subscription"), str_of(words[from->subscription]));
        if (from->name.len > 0)
            element_set(arena, item, STR("name"), arena_str(arena, from->name));
        for (uint32_t g = 0; g < from->n_groups; g++)
            element_child_with(arena, item, NS_ROSTER, STR("group"),
                               arena_str(arena, from->groups[g]));
    }
    store_release(request);
    adhoc_done(adhoc, query, STR_EMPTY);
}

static void show_roster(struct adhoc *adhoc)
{
    struct showing *showing = arena_make(asked_arena(adhoc->asked), struct showing);
    struct each *each = each_new(adhoc, ACT_ENABLE);
    each->adhoc = adhoc;
    const char *wrong = read_jids(each, "accountjids");
    if (wrong != NULL || each->n != 1) {
        adhoc_wrong(adhoc, wrong != NULL ? wrong : "one account at a time");
        return;
    }
    showing->adhoc = adhoc;
    begin(adhoc, &showing->op.request, roster_is_loaded);
    showing->op.local = each->jids[0].local;
    showing->op.domain = each->jids[0].domain;
    store_account_load(adhoc->asked->home->store, &showing->op);
}

/* ---- What is known of a person ---- */

struct asking {
    struct adhoc *adhoc;
    struct user_stats stats;
    void (*tell)(struct asking *asking, struct element *form);
};

static void add_value(struct asking *asking, struct element *field, struct str text)
{
    struct arena *arena = asked_arena(asking->adhoc->asked);
    element_child_with(arena, field, NS_DATA, STR("value"), arena_str(arena, text));
}

static void stats_are_there(struct user_stats *stats, enum err e)
{
    struct asking *asking = stats->context;
    struct adhoc *adhoc = asking->adhoc;
    struct element *form = NULL;
    if (e == OK) {
        form = adhoc_result(adhoc);
        asking->tell(asking, form);
    }
    user_stats_done(stats);
    if (e == OK)
        adhoc_done(adhoc, form, STR_EMPTY);
    else if (e == ERR_MISSING)
        adhoc_wrong(adhoc, words_of(e));
    else
        adhoc_failed(adhoc, e);
}

static void ask_of(struct adhoc *adhoc, const char *var,
                   void (*tell)(struct asking *asking, struct element *form))
{
    struct asking *asking = arena_make(asked_arena(adhoc->asked), struct asking);
    struct each *each = each_new(adhoc, ACT_ENABLE);
    struct home *home = adhoc->asked->home;
    each->adhoc = adhoc;
    const char *wrong = read_jids(each, var);
    if (wrong != NULL || each->n != 1) {
        adhoc_wrong(adhoc, wrong != NULL ? wrong : "one account at a time");
        return;
    }
    asking->adhoc = adhoc;
    asking->tell = tell;
    asking->stats.jid = each->jids[0];
    asking->stats.done = stats_are_there;
    asking->stats.context = asking;
    user_stats_get(desk_of(home)->service, home->loop, &asking->stats);
}

// XEP-0133 4.8: who never logged in has no time of it.
static void tell_last_login(struct asking *asking, struct element *form)
{
    struct adhoc *adhoc = asking->adhoc;
    add_value(asking, adhoc_result_field(adhoc, form, "accountjids", "jid-multi"),
              asking->stats.jid.full);
    if (asking->stats.login_us != 0)
        add_value(asking, adhoc_result_field(adhoc, form, "lastlogin", "text-single"),
                  clock_format(asked_arena(adhoc->asked), asking->stats.login_us));
}

static void show_last_login(struct adhoc *adhoc)
{
    ask_of(adhoc, "accountjids", tell_last_login);
}

// Without its port, and without the brackets that part it from that: "[::1]:5222".
static struct str address_alone(struct str address)
{
    size_t colon = address.len;
    while (colon > 0 && address.at[colon - 1] != ':')
        colon--;
    struct str alone = colon > 0 ? str_first(address, colon - 1) : address;
    return str_starts(alone, STR("[")) && str_ends(alone, STR("]"))
               ? str_make(alone.at + 1, alone.len - 2)
               : alone;
}

// XEP-0133 4.9: nobody counts stanzas or logins of one person here.
static void tell_stats(struct asking *asking, struct element *form)
{
    struct adhoc *adhoc = asking->adhoc;
    struct arena *arena = asked_arena(adhoc->asked);
    const struct sessions_walk *walk = &asking->stats.walk;
    struct element *addresses = adhoc_result_field(adhoc, form, "ipaddresses", "text-multi");
    for (size_t i = 0; i < walk->n; i++) {
        struct str address = address_alone(walk->rows[i].address);
        bool is_known = false; // of a few sessions
        for (size_t k = 0; k < i && !is_known; k++)
            is_known = str_eq(address_alone(walk->rows[k].address), address);
        if (!is_known)
            add_value(asking, addresses, address);
    }
    add_value(asking, adhoc_result_field(adhoc, form, "rostersize", "text-single"),
              arena_printf(arena, "%" PRIu32, asking->stats.load.n_items));
    struct element *resources = adhoc_result_field(adhoc, form, "onlineresources", "text-multi");
    for (size_t i = 0; i < walk->n; i++)
        add_value(asking, resources, jid_of_prepared(walk->rows[i].jid).resource);
}

static void show_stats(struct adhoc *adhoc)
{
    ask_of(adhoc, "accountjid", tell_stats);
}

/* ---- The table ---- */

static const struct adhoc_field accounts[] = {
    {"accountjids", "jid-multi", "The accounts", true,  NULL},
    {NULL,          NULL,        NULL,           false, NULL},
};
static const struct adhoc_field one_of_accounts[] = {
    {"accountjids", "jid-single", "The account", true,  NULL},
    {NULL,          NULL,         NULL,          false, NULL},
};
static const struct adhoc_field one_account[] = {
    {"accountjid", "jid-single", "The account", true,  NULL},
    {NULL,         NULL,         NULL,          false, NULL},
};
static const struct adhoc_field new_account[] = {
    {"accountjid",      "jid-single",   "The account",        true,  NULL},
    {"password",        "text-private", "Its password",       true,  NULL},
    {"password-verify", "text-private", "The password again", true,  NULL},
    {NULL,              NULL,           NULL,                 false, NULL},
};
static const struct adhoc_field new_password[] = {
    {"accountjid", "jid-single",   "The account",      true,  NULL},
    {"password",   "text-private", "The new password", true,  NULL},
    {NULL,         NULL,           NULL,               false, NULL},
};
static const struct adhoc_field max_items[] = {
    {"max_items", "list-single", "At most so many", false, "25 50 100 200 none"},
    {NULL,        NULL,          NULL,              false, NULL                },
};
static const struct adhoc_field words[] = {
    {"subject",      "text-single", "The subject",      false, NULL},
    {"announcement", "text-multi",  "The announcement", true,  NULL},
    {NULL,           NULL,          NULL,               false, NULL},
};

const struct adhoc_command adhoc_commands[] = {
    {"add-user",                  "Add a user",               "A new account of this domain.",                       new_account,     add_user        },
    {"delete-user",               "Delete users",             "These accounts and all that is theirs will be gone.", accounts,
     delete_user                                                                                                                                      },
    {"disable-user",              "Disable users",            "Their sessions end, and they cannot log in.",         accounts,
     disable_user                                                                                                                                     },
    {"reenable-user",             "Re-enable users",          "They can log in again.",                              accounts,        reenable_user   },
    {"end-user-session",          "End users' sessions",
     "Bare addresses end all sessions of an account, full ones one of them.",                                        accounts,
     end_user_session                                                                                                                                 },
    {"change-user-password",      "Change a user's password", "It holds from the next login on.",
     new_password,                                                                                                                    change_password },
    {"get-user-roster",           "Show a user's roster",     "Whose roster?",                                       one_of_accounts, show_roster     },
    {"get-user-lastlogin",        "Show a user's last login", "Whose?",                                              one_of_accounts, show_last_login },
    {"user-stats",                "Show a user's statistics", "Whose?",                                              one_account,     show_stats      },
    {"get-registered-users-num",  "Count registered users",   NULL,                                                  NULL,            count_registered},
    {"get-disabled-users-num",    "Count disabled users",     NULL,                                                  NULL,            count_disabled  },
    {"get-online-users-num",      "Count users online",       NULL,                                                  NULL,            count_online    },
    {"get-registered-users-list", "List registered users",    "How many?",                                           max_items,       list_registered },
    {"get-online-users-list",     "List users online",        "How many?",                                           max_items,       list_online     },
    {"announce",                  "Send an announcement",     "It goes to everybody who is online.",                 words,           announce        },
    {NULL,                        NULL,                       NULL,                                                  NULL,            NULL            },
};
