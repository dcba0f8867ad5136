/*
 * Changes go one after another through an account's queue of jobs: each is
 * worked out against what holds when its turn comes, committed, taken into
 * memory and pushed.
 */
#include "im/roster.h"

#include "base/must.h"
#include "base/random.h"
#include "im/limits.h"
#include "im/roster_internal.h"
#include "im/send.h"
#include "route/own.h"

#include <stdlib.h>

enum {
    JOB_MOST = 1 << 20,
    REMOVED_MOST = 256, // marks of removed contacts: as many as the store keeps
};

struct roster_job {
    struct link link;
    struct account *account;
    struct arena arena;
    struct roster_change change;
    bool is_request; // a struct store_pending_set rather than a roster change
    struct str request_from, request_stanza;
    bool (*before)(struct account *account, struct roster_change *change, struct arena *arena,
                   void *context);
    roster_changed_fn *done;
    void *context;
    struct store_roster_set set;
    struct store_pending_set pending;
};

/* ---- What is in memory ---- */

static void item_free(struct roster_item *item)
{
    list_leave(&item->link);
    own_jid_free(&item->jid);
    own_str_free(&item->name);
    for (size_t i = 0; i < item->n_groups; i++)
        own_str_free(&item->groups[i]);
    free(item->groups);
    free(item);
}

static void request_free(struct roster *roster, struct roster_request *request)
{
    list_leave(&request->link);
    roster->n_requests--;
    own_jid_free(&request->from);
    own_str_free(&request->stanza);
    free(request);
}

static struct roster *roster_new(void)
{
    struct roster *roster = calloc(1, sizeof *roster);
    must(roster != NULL);
    table_init(&roster->by_jid, SIZE_MAX);
    list_init(&roster->items);
    list_init(&roster->requests);
    list_init(&roster->removed);
    return roster;
}

static void roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    LIST_EACH(&roster->items, struct roster_item, link, item)
    item_free(item);
    LIST_EACH(&roster->removed, struct roster_item, link, item)
    item_free(item);
    LIST_EACH(&roster->requests, struct roster_request, link, request)
    request_free(roster, request);
    table_done(&roster->by_jid);
    free(roster);
}

struct roster_item *roster_find(const struct account *account, struct str bare)
{
    return table_get(&account->roster->by_jid, bare);
}

struct roster_request *roster_find_request(const struct account *account, struct str bare)
{
    LIST_EACH(&account->roster->requests, struct roster_request, link, request)
    if (str_eq(request->from.full, bare))
        return request;
    return NULL;
}

bool roster_is_seen_by(const struct account *account, struct str bare)
{
    const struct roster_item *item = roster_find(account, bare);
    return item != NULL &&
           (item->subscription == STORE_SUB_FROM || item->subscription == STORE_SUB_BOTH);
}

static struct roster_item *item_new(struct str bare)
{
    struct roster_item *item = calloc(1, sizeof *item);
    must(item != NULL);
    struct jid jid = jid_of_prepared(bare);
    item->jid = own_jid(&jid);
    item->name = own_str(STR_EMPTY);
    return item;
}

static void item_name(struct roster_item *item, struct str name, const struct str *groups,
                      size_t n_groups)
{
    own_str_free(&item->name);
    item->name = own_str(name);
    for (size_t i = 0; i < item->n_groups; i++)
        own_str_free(&item->groups[i]);
    free(item->groups);
    item->groups = n_groups > 0 ? calloc(n_groups, sizeof *item->groups) : NULL;
    must(n_groups == 0 || item->groups != NULL);
    item->n_groups = n_groups;
    for (size_t i = 0; i < n_groups; i++)
        item->groups[i] = own_str(groups[i]);
}

// What a client has missed of older removals it learns from the whole roster (RFC 6121 2.6.3).
static void keep_removed(struct roster *roster, struct roster_item *item)
{
    list_add_last(&roster->removed, &item->link);
    if (++roster->n_removed <= REMOVED_MOST)
        return;
    struct roster_item *oldest = LIST_FIRST(&roster->removed, struct roster_item, link);
    must(oldest != NULL);
    if (oldest->version > roster->floor)
        roster->floor = oldest->version;
    item_free(oldest);
    roster->n_removed--;
}

static void forget_removed(struct roster *roster, const struct jid *jid)
{
    LIST_EACH(&roster->removed, struct roster_item, link, gone)
    if (jid_eq(&gone->jid, jid)) {
        item_free(gone);
        roster->n_removed--;
    }
}

static void push_since(struct session *session, int64_t since);

// What others changed in the store: operators.  RFC 6121 2.1.6: whoever asked for the roster hears.
static void tell_sessions(struct account *account, int64_t known)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->wants_roster)
        push_since(session, known);
}

static void account_loaded(struct account *account, const struct store_account_load *loaded)
{
    int64_t known = account->roster != NULL ? account->roster->version : INT64_MAX;
    // read anew while a change of our own was committed: what we have is the newer
    if (account->roster != NULL && account->roster->version > loaded->roster_version)
        return;
    roster_free(account->roster);
    struct roster *roster = account->roster = roster_new();
    roster->version = loaded->roster_version;
    roster->floor = loaded->roster_floor;
    for (uint32_t i = 0; i < loaded->n_items; i++) {
        const struct store_roster_item *from = &loaded->items[i];
        struct roster_item *item = item_new(from->jid);
        item_name(item, from->name, from->groups, from->n_groups);
        item->subscription = from->subscription;
        item->ask = from->ask;
        item->approved = from->approved;
        item->version = from->version;
        list_add_last(&roster->items, &item->link);
        must(table_put(&roster->by_jid, item->jid.full, item) == OK);
    }
    for (uint32_t i = 0; i < loaded->n_removed; i++) {
        struct roster_item *item = item_new(loaded->removed[i].jid);
        item->subscription = STORE_SUB_REMOVED;
        item->version = loaded->removed[i].version;
        keep_removed(roster, item);
    }
    for (uint32_t i = 0; i < loaded->n_pending; i++)
        roster_remember_request(account, loaded->pending[i].from, loaded->pending[i].stanza);
    if (known < roster->version)
        tell_sessions(account, known);
}

static void account_forgotten(struct account *account)
{
    roster_free(account->roster);
    account->roster = NULL;
}

void roster_remember_request(struct account *account, struct str from, struct str stanza)
{
    struct roster *roster = account->roster;
    struct roster_request *request = roster_find_request(account, from);
    if (request != NULL)
        request_free(roster, request);
    if (stanza.len == 0)
        return;
    request = calloc(1, sizeof *request);
    must(request != NULL);
    struct jid jid = jid_of_prepared(from);
    request->from = own_jid(&jid);
    request->stanza = own_str(stanza);
    list_add_last(&roster->requests, &request->link);
    roster->n_requests++;
}

/* ---- Pushes ---- */

struct element *roster_item_element(struct arena *arena, const struct roster_item *item)
{
    static const struct str words[] = {
        [STORE_SUB_NONE] = {"none",   4},
          [STORE_SUB_TO] = {"to",     2},
        [STORE_SUB_FROM] = {"from",   4},
          [STORE_SUB_BOTH] = {"both",   4},
        [STORE_SUB_REMOVED] = {"remove", 6},
    };
    struct element *e = element_new(arena, NS_ROSTER, STR("item"));
    element_set(arena, e, STR("jid"), item->jid.full);
    element_set(arena, e, STR("subscription"), words[item->subscription]);
    if (item->name.len > 0)
        element_set(arena, e, STR("name"), item->name);
    if (item->ask)
        element_set(arena, e, STR("ask"), STR("subscribe"));
    if (item->approved)
        element_set(arena, e, STR("approved"), STR("true"));
    for (size_t i = 0; i < item->n_groups; i++)
        element_child_with(arena, e, NS_ROSTER, STR("group"), item->groups[i]);
    return e;
}

static struct str version_text(struct arena *arena, int64_t version)
{
    return arena_printf(arena, "%lld", (long long)version);
}

static void push_to(struct session *session, const struct roster_item *item)
{
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    struct stanza *push = stanza_make(STANZA_IQ, TYPE_SET, NULL, &session->jid, str_of(id));
    struct element *query = element_child_new(&push->arena, push->root, NS_ROSTER, STR("query"));
    element_set(&push->arena, query, STR("ver"), version_text(&push->arena, item->version));
    element_add(query, roster_item_element(&push->arena, item));
    stanza_seal(push);
    send_stanza(session, push);
    stanza_unref(&push);
}

static void push(struct account *account, const struct roster_item *item)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->wants_roster)
        push_to(session, item);
}

/* ---- Jobs ---- */

static void next_job(struct account *account);

static void apply(struct account *account, const struct roster_change *change, void *context,
                  int64_t version)
{
    struct roster *roster = account->roster;
    struct roster_item *item = roster_find(account, change->jid);
    roster->version = version;
    if (change->drop_request)
        roster_remember_request(account, change->jid, STR_EMPTY);
    if (change->remove && item == NULL)
        return; // read anew meanwhile, without it
    if (change->remove) {
        table_remove(&roster->by_jid, item->jid.full);
        list_leave(&item->link);
        item->subscription = STORE_SUB_REMOVED;
        item->ask = item->approved = false;
        item_name(item, STR_EMPTY, NULL, 0);
        item->version = version;
        push(account, item);
        keep_removed(roster, item);
        return;
    }
    if (item == NULL) {
        item = item_new(change->jid);
        list_add_last(&roster->items, &item->link);
        must(table_put(&roster->by_jid, item->jid.full, item) == OK);
        forget_removed(roster, &item->jid);
    }
    if (!change->keep_name)
        item_name(item, change->name, change->groups, change->n_groups);
    item->subscription = change->subscription;
    item->ask = change->ask;
    item->approved = change->approved;
    item->version = version;
    if (change->before_push != NULL)
        change->before_push(account, context);
    push(account, item);
}

static void job_ends(struct roster_job *job, enum err e)
{
    struct account *account = job->account;
    roster_changed_fn *done = job->done;
    void *context = job->context;
    arena_done(&job->arena);
    free(job);
    account->roster_busy = false;
    if (done != NULL)
        done(account, e, context);
    account_release(account);
}

// It was under way: those behind it go on.
static void job_returns(struct roster_job *job, enum err e)
{
    struct account *account = job->account;
    account_hold(account);
    job_ends(job, e);
    next_job(account);
    account_release(account);
}

static void set_done(struct store_request *request)
{
    struct roster_job *job = CONTAINER_OF(request, struct roster_job, set.request);
    enum err e = request->result;
    if (e == OK)
        apply(job->account, &job->change, job->context, job->set.version);
    store_release(request);
    job_returns(job, e);
}

static void pending_done(struct store_request *request)
{
    struct roster_job *job = CONTAINER_OF(request, struct roster_job, pending.request);
    enum err e = request->result;
    if (e == OK)
        roster_remember_request(job->account, job->request_from, job->request_stanza);
    store_release(request);
    job_returns(job, e);
}

// Copied: the account may be read anew before the store has looked.
static void copy_name(struct arena *arena, struct store_roster_item *to,
                      const struct roster_item *from)
{
    to->name = STR_EMPTY;
    to->groups = NULL;
    to->n_groups = 0;
    if (from == NULL)
        return;
    size_t size = from->name.len + 1 + from->n_groups * (sizeof(struct str) + 1) + 64;
    for (size_t i = 0; i < from->n_groups; i++)
        size += from->groups[i].len + 16;
    arena->ceiling += size;
    to->name = arena_str(arena, from->name);
    struct str *groups = arena_make_array(arena, struct str, from->n_groups + 1);
    for (size_t i = 0; i < from->n_groups; i++)
        groups[i] = arena_str(arena, from->groups[i]);
    to->groups = groups;
    to->n_groups = (uint32_t)from->n_groups;
}

static void start_set(struct roster_job *job)
{
    struct account *account = job->account;
    const struct roster_change *change = &job->change;
    const struct roster_item *old = roster_find(account, change->jid);
    struct store_roster_item *item = &job->set.item;
    item->jid = change->jid;
    item->name = change->name;
    item->groups = (struct str *)change->groups;
    item->n_groups = (uint32_t)change->n_groups;
    if (change->keep_name)
        copy_name(&job->arena, item, old);
    item->subscription = change->remove ? STORE_SUB_REMOVED : change->subscription;
    item->ask = change->ask;
    item->approved = change->approved;
    job->set.account = account->number;
    job->set.drop_pending = change->drop_request;
    job->set.request.home = loop_mailbox(account->home->loop);
    job->set.request.done = set_done;
    store_roster_set(account->home->store, &job->set);
}

// Asked when its turn has come: requests that arrived together count each other.
static bool is_one_too_many(const struct roster_job *job)
{
    const struct account *account = job->account;
    return job->request_stanza.len > 0 && roster_find_request(account, job->request_from) == NULL &&
           account->roster->n_requests >= desk_of(account->home)->settings->pending_subscriptions;
}

static void start_job(struct roster_job *job)
{
    struct account *account = job->account;
    if (job->is_request && is_one_too_many(job)) {
        limit_reached(account->home, account->jid.full, "limits.pending_subscriptions");
        job_ends(job, ERR_LIMIT);
        return;
    }
    if (job->is_request) {
        job->pending.account = account->number;
        job->pending.pending.from = job->request_from;
        job->pending.pending.stanza = job->request_stanza;
        job->pending.request.home = loop_mailbox(account->home->loop);
        job->pending.request.done = pending_done;
        store_pending_set(account->home->store, &job->pending);
        return;
    }
    if (job->before != NULL && !job->before(account, &job->change, &job->arena, job->context)) {
        job_ends(job, ERR_MISSING);
        return;
    }
    if (job->change.remove && roster_find(account, job->change.jid) == NULL) {
        job_ends(job, ERR_MISSING);
        return;
    }
    start_set(job);
}

// One after another, until one has to wait for the store.
static void next_job(struct account *account)
{
    account_hold(account);
    while (roster_is_changing(account) && !account->roster_busy) {
        struct roster_job *job = LIST_FIRST(&account->roster_jobs, struct roster_job, link);
        account->roster_busy = true;
        list_leave(&job->link);
        start_job(job);
    }
    account_release(account);
}

bool roster_is_changing(const struct account *account)
{
    return account->roster_busy || !list_empty(&account->roster_jobs);
}

static struct roster_job *job_new(struct account *account, roster_changed_fn *done, void *context)
{
    struct roster_job *job = calloc(1, sizeof *job);
    must(job != NULL);
    job->account = account;
    job->done = done;
    job->context = context;
    arena_init(&job->arena, JOB_MOST);
    account_hold(account);
    return job;
}

static void queue_job(struct roster_job *job)
{
    struct account *account = job->account;
    list_add_last(&account->roster_jobs, &job->link);
    next_job(account);
}

void roster_change(struct account *account, const struct roster_change *change,
                   roster_changed_fn *done, void *context)
{
    struct roster_job *job = job_new(account, done, context);
    struct arena *arena = &job->arena;
    job->change = *change;
    job->change.jid = arena_str(arena, change->jid);
    job->change.name = arena_str(arena, change->name);
    struct str *groups = arena_make_array(arena, struct str, change->n_groups + 1);
    for (size_t i = 0; i < change->n_groups; i++)
        groups[i] = arena_str(arena, change->groups[i]);
    job->change.groups = groups;
    queue_job(job);
}

void roster_change_later(struct account *account,
                         bool (*before)(struct account *account, struct roster_change *change,
                                        struct arena *arena, void *context),
                         roster_changed_fn *done, void *context)
{
    struct roster_job *job = job_new(account, done, context);
    job->before = before;
    queue_job(job);
}

void roster_keep_request(struct account *account, struct str from, struct str stanza,
                         roster_changed_fn *done, void *context)
{
    struct roster_job *job = job_new(account, done, context);
    job->is_request = true;
    job->arena.ceiling += from.len + stanza.len + 2;
    job->request_from = arena_str(&job->arena, from);
    job->request_stanza = arena_str(&job->arena, stanza);
    queue_job(job);
}

/* ---- What clients ask ---- */

static int compare_versions(const void *a, const void *b)
{
    const struct roster_item *const *x = a, *const *y = b;
    return ((*x)->version > (*y)->version) - ((*x)->version < (*y)->version);
}

// In the order of the versions: a client that loses its connection in between has seen all up to
// the last one it got (RFC 6121 2.6.3).
static void push_since(struct session *session, int64_t since)
{
    struct roster *roster = session->account->roster;
    size_t most = roster->by_jid.n + roster->n_removed, n = 0;
    struct roster_item **changed = calloc(most + 1, sizeof(struct roster_item *));
    must(changed != NULL);
    LIST_EACH(&roster->items, struct roster_item, link, item)
    if (item->version > since)
        changed[n++] = item;
    LIST_EACH(&roster->removed, struct roster_item, link, item)
    if (item->version > since)
        changed[n++] = item;
    qsort(changed, n, sizeof(struct roster_item *), compare_versions);
    for (size_t i = 0; i < n; i++)
        push_to(session, changed[i]);
    free(changed);
}

static void get(struct asked *asked)
{
    struct account *account = asked->account;
    struct roster *roster = account->roster;
    struct session *session = asked_session(asked);
    struct arena *arena = asked_arena(asked);
    struct str known = element_attr(asked->payload, STR("ver"));
    uint64_t since = 0;
    bool versioned = known.at != NULL;
    bool is_known = versioned && str_to_u64(known, 0, (uint64_t)roster->version, &since) == OK &&
                    (int64_t)since >= roster->floor && since > 0;
    if (session != NULL)
        session->wants_roster = true;
    if (is_known) {
        // RFC 6121 2.6.3: nothing, and then the changes one by one
        struct account *held = account;
        account_hold(held);
        asked_result(&asked, NULL);
        if (session != NULL)
            push_since(session, (int64_t)since);
        account_release(held);
        return;
    }
    struct element *query = element_new(arena, NS_ROSTER, STR("query"));
    if (versioned)
        element_set(arena, query, STR("ver"), version_text(arena, roster->version));
    LIST_EACH(&roster->items, struct roster_item, link, item)
    element_add(query, roster_item_element(arena, item));
    asked_result(&asked, query);
}

// RFC 6121 2.3.3, of what is too long or too many.
static enum stanza_condition is_over(const struct asked *asked, const char *key, const char *text,
                                     const char **why)
{
    limit_reached(asked->home, asked->account->jid.full, key);
    *why = text;
    return STANZA_NOT_ACCEPTABLE;
}

// RFC 6121 2.3.3: what may be wrong with a request; why: in words, where there is more to say.
static enum stanza_condition read_change(struct asked *asked, struct roster_change *change,
                                         const char **why)
{
    const struct im_settings *settings = desk_of(asked->home)->settings;
    struct arena *arena = asked_arena(asked);
    struct element *item = element_first(asked->payload);
    struct jid jid;
    if (item == NULL || element_next(item) != NULL || !element_is(item, NS_ROSTER, STR("item")))
        return STANZA_BAD_REQUEST;
    struct str text = element_attr(item, STR("jid"));
    if (text.at == NULL)
        return STANZA_BAD_REQUEST;
    if (jid_parse(arena, text, &jid) != OK)
        return STANZA_JID_MALFORMED;
    change->jid = jid_bare(&jid); // RFC 6121 2.1.2.1: contacts are bare JIDs
    struct str subscription = element_attr(item, STR("subscription"));
    if (subscription.at != NULL && str_eq(subscription, STR("remove"))) {
        change->remove = true;
        return STANZA_N_CONDITIONS;
    }
    struct str name = element_attr(item, STR("name"));
    change->name = name.at != NULL ? name : STR_EMPTY;
    if (change->name.len > settings->roster_name_bytes)
        return is_over(asked, "limits.roster_name_bytes", "the name is too long", why);
    size_t n = 0;
    ELEMENT_EACH(item, group)
    n++;
    if (n > settings->roster_groups)
        return is_over(asked, "limits.roster_groups", "too many groups", why);
    struct str *groups = arena_make_array(arena, struct str, n + 1);
    ELEMENT_EACH(item, group)
    {
        if (!element_is(group, NS_ROSTER, STR("group")))
            continue;
        if (group->text.len == 0)
            return STANZA_NOT_ACCEPTABLE;
        if (group->text.len > settings->roster_name_bytes)
            return is_over(asked, "limits.roster_name_bytes", "the name is too long", why);
        for (size_t i = 0; i < change->n_groups; i++)
            if (str_eq(groups[i], group->text))
                return STANZA_BAD_REQUEST;
        groups[change->n_groups++] = group->text;
    }
    change->groups = groups;
    return STANZA_N_CONDITIONS;
}

// Name and groups are the client's to set; the subscription is what it is when the turn comes.
static bool keep_subscription(struct account *account, struct roster_change *change,
                              struct arena *arena, void *context)
{
    struct asked *asked = context;
    const struct roster_change *wished = asked->data;
    (void)arena;
    *change = *wished;
    const struct roster_item *item = roster_find(account, change->jid);
    if (item != NULL) {
        change->subscription = item->subscription;
        change->ask = item->ask;
        change->approved = item->approved;
    }
    if (item == NULL && account->roster->by_jid.n >= desk_of(account->home)->settings->roster_items)
        return false;
    return true;
}

static void set_finished(struct account *account, enum err e, void *context)
{
    struct asked *asked = context;
    if (e == OK)
        asked_result(&asked, NULL);
    else if (e == ERR_MISSING) {
        limit_reached(account->home, account->jid.full, "limits.roster_items");
        asked_error(&asked, STANZA_RESOURCE_CONSTRAINT, "the roster is full");
    } else
        asked_store_error(&asked, e);
}

// RFC 6121 2.5.2: who is taken off the roster hears that the subscriptions are over.
struct removing {
    struct jid contact;
    struct subscription_removal removal;
};

static bool begin_removal(struct account *account, struct roster_change *change,
                          struct arena *arena, void *context)
{
    struct asked *asked = context;
    struct removing *removing = asked->data;
    (void)arena;
    if (roster_find(account, removing->contact.full) == NULL)
        return false;
    *change =
        (struct roster_change){.jid = removing->contact.full, .remove = true, .name = STR_EMPTY};
    removing->removal = roster_removal(account, removing->contact.full);
    return true;
}

static void remove_finished(struct account *account, enum err e, void *context)
{
    struct asked *asked = context;
    const struct removing *removing = asked->data;
    if (e == OK) {
        roster_say_removed(account, &removing->contact, removing->removal, asked->ticket);
        asked_result(&asked, NULL);
    } else if (e == ERR_MISSING) {
        asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
    } else {
        asked_store_error(&asked, e);
    }
}

static void set(struct asked *asked)
{
    struct roster_change *change = arena_make(asked_arena(asked), struct roster_change);
    const char *why = NULL;
    enum stanza_condition wrong = read_change(asked, change, &why);
    if (wrong != STANZA_N_CONDITIONS) {
        asked_error(&asked, wrong, why);
        return;
    }
    if (!change->remove) {
        asked->data = change;
        roster_change_later(asked->account, keep_subscription, set_finished, asked);
        return;
    }
    struct removing *removing = arena_make(asked_arena(asked), struct removing);
    removing->contact = jid_of_prepared(change->jid);
    asked->data = removing;
    roster_change_later(asked->account, begin_removal, remove_finished, asked);
}

static const struct iq_handler iqs[] = {
    {NS_ROSTER, {"query", 5}, IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, get },
    {NS_ROSTER, {"query", 5}, IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, set },
    {{NULL, 0}, {NULL, 0},    0,                                 NULL},
};

const struct feature feature_roster = {
    .name = "roster",
    .spec = "RFC 6121 section 2",
    .iqs = iqs,
    .account_loaded = account_loaded,
    .account_forgotten = account_forgotten,
};
