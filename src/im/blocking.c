/*
 * Asked before every delivery and for everything our people send, so the
 * answer comes from memory: the list is read with the account.  What covers an
 * address is looked up in at most three forms of it (section 5).
 */
#include "im/blocking.h"

#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "base/table.h"
#include "im/gate.h"
#include "im/limits.h"
#include "im/presence.h"
#include "im/send.h"
#include "route/own.h"

#include <stdlib.h>

// NULL in the account while it is empty, as nearly all are.
struct block_list {
    struct table by_jid; // of struct blocked
    struct list items;   // in order of arrival
};

struct blocked {
    struct link link;
    struct str jid; // own memory
};

/* ---- In memory ---- */

static void blocked_free(struct block_list *list, struct blocked *blocked)
{
    table_remove(&list->by_jid, blocked->jid);
    list_leave(&blocked->link);
    own_str_free(&blocked->jid);
    free(blocked);
}

static void forget_all(struct account *account)
{
    struct block_list *list = TAKE(account->blocked);
    if (list == NULL)
        return;
    LIST_EACH(&list->items, struct blocked, link, blocked)
    blocked_free(list, blocked);
    table_done(&list->by_jid);
    free(list);
}

static void remember(struct account *account, struct str jid)
{
    if (account->blocked == NULL) {
        account->blocked = calloc(1, sizeof *account->blocked);
        must(account->blocked != NULL);
        table_init(&account->blocked->by_jid, SIZE_MAX);
        list_init(&account->blocked->items);
    }
    struct block_list *list = account->blocked;
    if (table_get(&list->by_jid, jid) != NULL)
        return;
    struct blocked *blocked = calloc(1, sizeof *blocked);
    must(blocked != NULL);
    blocked->jid = own_str(jid);
    list_add_last(&list->items, &blocked->link);
    must(table_put(&list->by_jid, blocked->jid, blocked) == OK);
}

static void forget(struct account *account, struct str jid)
{
    struct block_list *list = account->blocked;
    struct blocked *blocked = list != NULL ? table_get(&list->by_jid, jid) : NULL;
    if (blocked == NULL)
        return;
    blocked_free(list, blocked);
    if (list_empty(&list->items))
        forget_all(account);
}

static void account_loaded(struct account *account, const struct store_account_load *loaded)
{
    forget_all(account);
    for (uint32_t i = 0; i < loaded->n_blocked; i++)
        remember(account, loaded->blocked[i]);
}

static bool has(const struct table *table, struct str jid)
{
    return table_get(table, jid) != NULL;
}

// Section 5: that resource alone, any resource, the domain and all within.
static bool covers(const struct table *table, const struct jid *peer)
{
    return has(table, peer->full) || has(table, jid_bare(peer)) || has(table, peer->domain);
}

bool blocking_covers(const struct account *account, const struct jid *peer)
{
    return account->blocked != NULL && peer->full.len > 0 && !jid_eq_bare(peer, &account->jid) &&
           covers(&account->blocked->by_jid, peer);
}

/* ---- What passes by ---- */

static enum passing from_client(struct session *session, struct stanza *stanza)
{
    struct account *account = session->account;
    if (!blocking_covers(account, &stanza->to))
        return PASS;
    const struct stanza_error error = {
        .condition = STANZA_NOT_ACCEPTABLE,
        .type = STANZA_CANCEL, // section 3.3
        .specific = STR("blocked"),
        .specific_ns = NS_BLOCKING_ERRORS,
    };
    send_refusal_full(session->home, stanza, NULL, &error);
    return STOP;
}

static enum passing at_account(struct account *account, struct routed *routed)
{
    const struct stanza *stanza = routed->stanza;
    // a probe is the server's word for somebody: it is he who must not know
    bool is_servers = (routed->flags & ROUTED_BY_SERVER) != 0 && stanza->type != TYPE_PROBE;
    if (account->blocked == NULL || is_servers || !blocking_covers(account, &stanza->from))
        return PASS;
    desk_of(account->home)->counters.blocked_messages++;
    if (stanza->kind != STANZA_PRESENCE)
        send_refusal_full(account->home, stanza, routed->ticket,
                          &(struct stanza_error){.condition = STANZA_SERVICE_UNAVAILABLE});
    return STOP;
}

/* ---- The list, as clients see and change it ---- */

struct changing {
    struct asked *asked;
    bool blocks; // else it unblocks
    size_t n;
    struct str *jids; // prepared; none: unblock all
    const struct element **reports;
    struct table given; // the same jids
    struct store_block op;
};

static void push(struct account *account, const struct changing *changing)
{
    struct str name = changing->blocks ? STR("block") : STR("unblock");
    LIST_EACH(&account->sessions, struct session, in_account, session)
    {
        if (!session->wants_blocks || session->ending)
            continue;
        char id[RANDOM_ID_SIZE + 1];
        random_id_z(id);
        struct stanza *push = stanza_make(STANZA_IQ, TYPE_SET, NULL, &session->jid, str_of(id));
        struct arena *arena = &push->arena;
        struct element *list = element_child_new(arena, push->root, NS_BLOCKING, name);
        for (size_t i = 0; i < changing->n; i++)
            element_set(arena, element_child_new(arena, list, NS_BLOCKING, STR("item")), STR("jid"),
                        changing->jids[i]);
        stanza_seal(push);
        push->root->first = push->root->last = NULL; // its texts live no longer than the request
        send_stanza(session, push);
        stanza_unref(&push);
    }
}

// Whose view of us changes: he is covered by what was given and by nothing else.  Asked before a
// block is remembered, and after it is forgotten.
static bool is_concerned(const struct account *account, const struct jid *peer, const void *context)
{
    const struct changing *changing = context;
    return !blocking_covers(account, peer) && covers(&changing->given, peer);
}

static void report(struct account *account, const struct changing *changing)
{
    for (size_t i = 0; i < changing->n; i++) {
        if (changing->reports[i] == NULL)
            continue;
        struct jid jid = jid_of_prepared(changing->jids[i]);
        struct str reason = element_attr(changing->reports[i], STR("reason"));
        log_event(LOG_NOTICE, "report", "account=%.*s about=%.*s reason=%s",
                  STR_ARGS(account->jid.full), STR_ARGS(jid_bare(&jid)),
                  str_eq(reason, NS_REPORTING_SPAM)    ? "spam"
                  : str_eq(reason, NS_REPORTING_ABUSE) ? "abuse"
                                                       : "other");
        desk_of(account->home)->counters.reports++;
        if (jid.local.len > 0)
            gate_reported(account, jid_bare(&jid));
    }
}

static void end(struct changing *changing, enum err e)
{
    struct asked *asked = changing->asked;
    table_done(&changing->given);
    if (e == OK)
        asked_result(&asked, NULL);
    else
        asked_store_error(&asked, e);
}

static void is_changed(struct store_request *request)
{
    struct changing *changing = CONTAINER_OF(request, struct changing, op.request);
    struct account *account = changing->asked->account;
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        end(changing, e);
        return;
    }
    push(account, changing); // before the presence of who is blocked no more
    if (changing->blocks) {
        presence_withdraw(account, is_concerned, changing);
        for (size_t i = 0; i < changing->n; i++)
            remember(account, changing->jids[i]);
        report(account, changing);
    } else if (changing->op.clear) {
        struct block_list *old = TAKE(account->blocked);
        struct changing all = {.given = old != NULL ? old->by_jid : changing->given};
        presence_return(account, is_concerned, &all);
        account->blocked = old;
        forget_all(account);
    } else {
        for (size_t i = 0; i < changing->n; i++)
            forget(account, changing->jids[i]);
        presence_return(account, is_concerned, changing);
    }
    end(changing, OK);
}

static enum stanza_condition read_items(struct changing *changing)
{
    struct asked *asked = changing->asked;
    struct arena *arena = asked_arena(asked);
    size_t most = 0;
    ELEMENT_EACH(asked->payload, item)
    most++;
    changing->jids = arena_make_array(arena, struct str, most + 1);
    changing->reports = arena_make_array(arena, const struct element *, most + 1);
    ELEMENT_EACH(asked->payload, item)
    {
        if (!element_is(item, NS_BLOCKING, STR("item")))
            continue;
        struct str text = element_attr(item, STR("jid"));
        struct jid jid;
        if (text.at == NULL)
            return STANZA_BAD_REQUEST;
        if (jid_parse(arena, text, &jid) != OK)
            return STANZA_JID_MALFORMED;
        const struct element *report = element_child(item, NS_REPORTING, STR("report"));
        if (report != NULL && element_attr(report, STR("reason")).len == 0)
            return STANZA_BAD_REQUEST; // XEP-0377 section 3
        if (table_put(&changing->given, jid.full, item) != OK)
            continue; // named twice
        changing->reports[changing->n] = report;
        changing->jids[changing->n++] = jid.full;
    }
    // section 3.5: only an empty <unblock/> means everybody
    bool names_nobody = changing->n == 0 && (changing->blocks || most > 0);
    return names_nobody ? STANZA_BAD_REQUEST : STANZA_N_CONDITIONS;
}

static bool is_too_long(const struct changing *changing)
{
    const struct account *account = changing->asked->account;
    size_t n = account->blocked != NULL ? account->blocked->by_jid.n : 0;
    for (size_t i = 0; i < changing->n; i++)
        n += account->blocked == NULL || !has(&account->blocked->by_jid, changing->jids[i]);
    return n > desk_of(account->home)->settings->block_items;
}

static void change(struct asked *asked, bool blocks)
{
    struct changing *changing = arena_make(asked_arena(asked), struct changing);
    changing->asked = asked;
    changing->blocks = blocks;
    table_init(&changing->given, SIZE_MAX);
    enum stanza_condition wrong = read_items(changing);
    const char *why = NULL;
    if (wrong == STANZA_N_CONDITIONS && blocks && is_too_long(changing)) {
        limit_reached(asked->home, asked->account->jid.full, "limits.block_items");
        wrong = STANZA_RESOURCE_CONSTRAINT;
        why = "the block list is full";
    }
    if (wrong != STANZA_N_CONDITIONS) {
        table_done(&changing->given);
        asked_error(&asked, wrong, why);
        return;
    }
    struct store_block *op = &changing->op;
    op->request.home = loop_mailbox(asked->home->loop);
    op->request.done = is_changed;
    op->account = asked->account->number;
    op->clear = !blocks && changing->n == 0;
    if (blocks) {
        op->add = changing->jids;
        op->n_add = (uint32_t)changing->n;
    } else {
        op->remove = changing->jids;
        op->n_remove = (uint32_t)changing->n;
    }
    store_block(asked->home->store, op);
}

static void block(struct asked *asked)
{
    change(asked, true);
}

static void unblock(struct asked *asked)
{
    change(asked, false);
}

static void show(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct session *session = asked_session(asked);
    struct element *list = element_new(arena, NS_BLOCKING, STR("blocklist"));
    if (session != NULL)
        session->wants_blocks = true;
    if (asked->account->blocked != NULL)
        LIST_EACH(&asked->account->blocked->items, struct blocked, link, blocked)
    element_set(arena, element_child_new(arena, list, NS_BLOCKING, STR("item")), STR("jid"),
                blocked->jid);
    asked_result(&asked, list);
}

static const struct str disco[] = {
    NS_BLOCKING, NS_REPORTING, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_BLOCKING, {"blocklist", 9}, IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, show   },
    {NS_BLOCKING, {"block", 5},     IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, block  },
    {NS_BLOCKING, {"unblock", 7},   IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, unblock},
    {{NULL, 0},   {NULL, 0},        0,                                 NULL   },
};

const struct feature feature_blocking = {
    .name = "blocking",
    .spec = "XEP-0191, XEP-0377",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
    .from_client = from_client,
    .at_account = at_account,
    .account_loaded = account_loaded,
    .account_forgotten = forget_all,
};
