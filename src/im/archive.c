/*
 * Archive ids are the store's row ids in decimal.  A page is written as text
 * straight from the rows, whose stanzas are in canonical form already.
 */
#include "im/archive.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/gate.h"
#include "im/roster.h"
#include "im/send.h"
#include "route/own.h"
#include "xml/writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    IDS_MOST = 100,         // of one by-id query
    JIDS_MOST = 1000,       // in one of the lists of preferences
    RESULT_MOST = 96 << 20, // one archived message, wrapped
};

struct archive_prefs {
    bool given; // else the domain's default holds
    enum archive_preference by_default;
    size_t n_always, n_never;
    struct jid *always, *never; // own memory
};

/* ---- Preferences (section 8) ---- */

static void jids_free(struct jid *jids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        own_jid_free(&jids[i]);
    free(jids);
}

static void prefs_free(struct archive_prefs *prefs)
{
    if (prefs == NULL)
        return;
    jids_free(prefs->always, prefs->n_always);
    jids_free(prefs->never, prefs->n_never);
    free(prefs);
}

static struct jid *own_jids(const struct str *texts, size_t n)
{
    if (n == 0) // as with almost everybody
        return NULL;
    struct jid *jids = calloc(n, sizeof *jids);
    must(jids != NULL);
    for (size_t i = 0; i < n; i++) {
        struct jid jid = jid_of_prepared(texts[i]);
        jids[i] = own_jid(&jid);
    }
    return jids;
}

static enum archive_preference of_store(enum store_archive_default by_default)
{
    switch (by_default) {
    case STORE_ARCHIVE_NEVER:
        return ARCHIVE_NEVER;
    case STORE_ARCHIVE_ROSTER:
        return ARCHIVE_ROSTER;
    default:
        return ARCHIVE_ALWAYS;
    }
}

static enum store_archive_default to_store(enum archive_preference preference)
{
    switch (preference) {
    case ARCHIVE_NEVER:
        return STORE_ARCHIVE_NEVER;
    case ARCHIVE_ROSTER:
        return STORE_ARCHIVE_ROSTER;
    default:
        return STORE_ARCHIVE_ALWAYS;
    }
}

static void take_prefs(struct account *account, const struct store_archive_prefs *from)
{
    struct archive_prefs *prefs = calloc(1, sizeof *prefs);
    must(prefs != NULL);
    prefs->given = from->given;
    prefs->by_default = of_store(from->by_default);
    prefs->n_always = from->n_always;
    prefs->n_never = from->n_never;
    prefs->always = own_jids(from->always, from->n_always);
    prefs->never = own_jids(from->never, from->n_never);
    prefs_free(account->archive);
    account->archive = prefs;
}

static void account_loaded(struct account *account, const struct store_account_load *loaded)
{
    take_prefs(account, &loaded->prefs);
}

static void account_forgotten(struct account *account)
{
    prefs_free(account->archive);
    account->archive = NULL;
}

static bool is_listed(const struct jid *jids, size_t n, const struct jid *peer)
{
    for (size_t i = 0; i < n; i++)
        if (jid_eq(&jids[i], peer) || (jid_is_bare(&jids[i]) && jid_eq_bare(&jids[i], peer)))
            return true;
    return false;
}

bool archive_wants(const struct account *account, const struct jid *peer)
{
    const struct archive_prefs *prefs = account->archive;
    const struct im_domain *domain = desk_domain(desk_of(account->home), account->jid.domain);
    if (domain == NULL || !domain->archive)
        return false;
    if (prefs->n_always > 0 && is_listed(prefs->always, prefs->n_always, peer))
        return true;
    if (prefs->n_never > 0 && is_listed(prefs->never, prefs->n_never, peer))
        return false;
    switch (prefs->given ? prefs->by_default : domain->archive_default) {
    case ARCHIVE_NEVER:
        return false;
    case ARCHIVE_ROSTER:
        return roster_find(account, jid_bare(peer)) != NULL;
    default:
        return true;
    }
}

static void add_jids(struct arena *arena, struct element *prefs, struct str name,
                     const struct jid *jids, size_t n)
{
    struct element *list = element_child_new(arena, prefs, NS_MAM, name);
    for (size_t i = 0; i < n; i++)
        element_child_with(arena, list, NS_MAM, STR("jid"), jids[i].full);
}

static const struct str preference_names[] = {
    [ARCHIVE_NEVER] = {"never",  5},
    [ARCHIVE_ROSTER] = {"roster", 6},
    [ARCHIVE_ALWAYS] = {"always", 6},
};

static void answer_prefs(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    const struct archive_prefs *prefs = asked->account->archive;
    const struct im_domain *domain = desk_domain(desk_of(asked->home), asked->account->jid.domain);
    struct element *e = element_new(arena, NS_MAM, STR("prefs"));
    enum archive_preference by_default =
        prefs->given || domain == NULL ? prefs->by_default : domain->archive_default;
    element_set(arena, e, STR("default"), preference_names[by_default]);
    add_jids(arena, e, STR("always"), prefs->always, prefs->n_always);
    add_jids(arena, e, STR("never"), prefs->never, prefs->n_never);
    asked_result(&asked, e);
}

struct setting_prefs {
    struct asked *asked;
    struct store_archive_prefs_set op;
};

static void prefs_are_set(struct store_request *request)
{
    struct setting_prefs *setting = CONTAINER_OF(request, struct setting_prefs, op.request);
    struct asked *asked = setting->asked;
    enum err e = request->result;
    if (e == OK)
        take_prefs(asked->account, &setting->op.prefs);
    store_release(request);
    if (e == OK)
        answer_prefs(asked);
    else
        asked_store_error(&asked, e);
}

static enum err read_jids(struct arena *arena, const struct element *list, struct str **out,
                          uint32_t *n)
{
    size_t most = 0;
    *n = 0;
    if (list == NULL)
        return OK;
    ELEMENT_EACH(list, e)
    most++;
    if (most > JIDS_MOST)
        return ERR_LIMIT;
    struct str *jids = arena_make_array(arena, struct str, most + 1);
    ELEMENT_EACH(list, e)
    {
        struct jid jid;
        if (!element_is(e, NS_MAM, STR("jid")))
            continue;
        if (jid_parse(arena, str_trim(e->text), &jid) != OK)
            return ERR_MALFORMED;
        jids[(*n)++] = jid.full;
    }
    *out = jids;
    return OK;
}

static void set_prefs(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct setting_prefs *setting = arena_make(arena, struct setting_prefs);
    struct store_archive_prefs *prefs = &setting->op.prefs;
    struct str by_default = element_attr(asked->payload, STR("default"));
    enum archive_preference preference = ARCHIVE_NEVER;
    while (preference <= ARCHIVE_ALWAYS &&
           (by_default.at == NULL || !str_eq(by_default, preference_names[preference])))
        preference++;
    if (preference > ARCHIVE_ALWAYS) {
        asked_error(&asked, STANZA_BAD_REQUEST, "default is always, never or roster");
        return;
    }
    prefs->given = true;
    prefs->by_default = to_store(preference);
    enum err e = read_jids(arena, element_child(asked->payload, NS_MAM, STR("always")),
                           &prefs->always, &prefs->n_always);
    if (e == OK)
        e = read_jids(arena, element_child(asked->payload, NS_MAM, STR("never")), &prefs->never,
                      &prefs->n_never);
    if (e != OK) {
        asked_error(&asked, e == ERR_LIMIT ? STANZA_RESOURCE_CONSTRAINT : STANZA_JID_MALFORMED,
                    NULL);
        return;
    }
    setting->asked = asked;
    setting->op.account = asked->account->number;
    setting->op.request.home = loop_mailbox(asked->home->loop);
    setting->op.request.done = prefs_are_set;
    store_archive_prefs_set(asked->home->store, &setting->op);
}

/* ---- Queries (sections 4 and 5) ---- */

struct querying {
    struct asked *asked;
    struct str query_id; // at == NULL: none
    bool flips;          // urn:xmpp:mam:2#extended: the page comes newest first
    int64_t ids[IDS_MOST];
    struct store_archive_query op;
};

static struct str id_text(struct arena *arena, int64_t id)
{
    return arena_printf(arena, "%" PRId64, id);
}

void archive_retraction_id(int64_t row, char out[RETRACTION_ID_SIZE])
{
    snprintf(out, RETRACTION_ID_SIZE, "retract-%" PRId64, row);
}

// A tombstone shows that something was, not what (XEP-0424 section 5).
static void write_tombstone(struct buf *out, const struct account *account,
                            const struct store_message *row)
{
    bool outgoing = (row->flags & STORE_OUTGOING) != 0;
    struct str me = account->jid.full, type = stanza_type_name((enum stanza_type)row->type);
    char retraction[RETRACTION_ID_SIZE];
    archive_retraction_id(row->id, retraction);
    buf_add(out, STR("<message xmlns='jabber:client' from='"));
    xml_write_value(out, outgoing ? me : row->peer);
    buf_add(out, STR("' to='"));
    xml_write_value(out, outgoing ? row->peer : me);
    if (type.len > 0)
        buf_printf(out, "' type='%.*s", STR_ARGS(type));
    buf_add(out, STR("' id='"));
    xml_write_value(out, row->message_id);
    buf_printf(out, "'><retracted xmlns='urn:xmpp:message-retract:1' id='%s'/></message>",
               retraction);
}

// Without a stanza: a tombstone.
static void write_row(struct buf *out, struct arena *arena, const struct account *account,
                      const struct querying *querying, const struct store_message *row)
{
    struct str when = clock_format(arena, row->wall_us);
    buf_printf(out, "<result xmlns='urn:xmpp:mam:2' id='%" PRId64 "'", row->id);
    if (querying->query_id.at != NULL)
        xml_write_attribute(out, "queryid", querying->query_id);
    buf_printf(out,
               "><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' "
               "stamp='%.*s'/>",
               STR_ARGS(when));
    struct str head = STR("<message");
    if (row->stanza.len > 0 && str_starts(row->stanza, head)) {
        buf_add(out, STR("<message xmlns='jabber:client'"));
        buf_add(out, str_skip(row->stanza, head.len));
    } else {
        write_tombstone(out, account, row);
    }
    buf_add(out, STR("</forwarded></result>"));
}

// A page shows what it holds: who reads it is exposed, and sees nothing that is convicted by now,
// even where the retraction has not come to the row yet.
static void bring_out(struct account *account, struct stanza *page, struct store_message *row,
                      const struct text_hits *hits)
{
    struct stanza *shown = row->stanza.len > 0 ? stanza_parse(row->stanza) : NULL;
    if (shown == NULL)
        return;
    if (gate_bring_out(account, shown, hits)) {
        row->stanza = STR_EMPTY;
    } else if ((row->flags & STORE_OUTGOING) == 0) {
        page->lure_keys = arena_str(&page->arena, shown->lure_keys);
        page->lures_from = arena_str(&page->arena, row->peer);
    }
    stanza_unref(&shown);
}

static void send_row(struct session *session, const struct querying *querying,
                     struct store_message *row, const struct text_hits *hits)
{
    struct account *account = session->account;
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, TYPE_NORMAL, &account->jid, &session->jid, STR_EMPTY);
    bring_out(account, stanza, row, hits);
    struct buf inner;
    buf_init(&inner, RESULT_MOST);
    write_row(&inner, &stanza->arena, account, querying, row);
    stanza_seal_with(stanza, buf_str(&inner));
    buf_done(&inner);
    send_to_session(session, &(struct sending_out){.stanza = stanza, .fleeting = true});
    stanza_unref(&stanza);
}

static struct element *fin_of(struct asked *asked, const struct querying *querying)
{
    const struct store_archive_query *op = &querying->op;
    struct arena *arena = asked_arena(asked);
    struct element *fin = element_new(arena, NS_MAM, STR("fin"));
    if (op->complete)
        element_set(arena, fin, STR("complete"), STR("true"));
    struct element *set = element_child_new(arena, fin, NS_RSM, STR("set"));
    if (op->n > 0) {
        struct element *first = element_child_with(arena, set, NS_RSM, STR("first"),
                                                   id_text(arena, op->messages[0].id));
        if (op->count)
            element_set(arena, first, STR("index"), arena_printf(arena, "%" PRIu64, op->index));
        element_child_with(arena, set, NS_RSM, STR("last"),
                           id_text(arena, op->messages[op->n - 1].id));
    }
    if (op->count)
        element_child_with(arena, set, NS_RSM, STR("count"),
                           arena_printf(arena, "%" PRIu64, op->total));
    return fin;
}

// A page is cut to what the session's outbox takes, at the end away from where the client began;
// the client asks for the rest as for any further page.
static void cut_page(struct querying *querying, const struct session *session)
{
    struct store_archive_query *op = &querying->op;
    size_t room = session->outbox_bytes_most / 2, n_most = session->outbox_n_most / 2, size = 0;
    uint32_t n = 0;
    while (n < op->n) {
        const struct store_message *row = &op->messages[op->backwards ? op->n - 1 - n : n];
        size += row->stanza.len + 1024;
        if (n > 0 && (size > room || n >= n_most))
            break;
        n++;
    }
    if (n == op->n)
        return;
    if (op->backwards) {
        op->index += op->n - n;
        op->messages += op->n - n;
    }
    op->n = n;
    op->complete = false;
}

static void page_was_looked_at(void *context, const struct gate_look *look)
{
    struct querying *querying = context;
    struct asked *asked = querying->asked;
    struct session *session = asked_session(asked);
    for (uint32_t i = 0; session != NULL && i < querying->op.n; i++) {
        uint32_t at = querying->flips ? querying->op.n - 1 - i : i;
        send_row(session, querying, &querying->op.messages[at], gate_look_hits(look, at));
    }
    struct element *fin = fin_of(asked, querying);
    store_release(&querying->op.request);
    asked_result(&asked, fin);
}

static void page_is_there(struct store_request *request)
{
    struct querying *querying = CONTAINER_OF(request, struct querying, op.request);
    struct asked *asked = querying->asked;
    struct session *session = asked_session(asked);
    enum err e = request->result;
    if (e != OK) {
        store_release(request);
        if (e == ERR_MISSING)
            asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
        else
            asked_store_error(&asked, e);
        return;
    }
    if (session != NULL && querying->op.n_ids == 0)
        cut_page(querying, session);
    gate_look_again(asked->account, querying->op.messages, querying->op.n, page_was_looked_at,
                    querying);
}

static enum err read_id(struct str text, int64_t *id)
{
    uint64_t n;
    text = str_trim(text);
    if (str_to_u64(text, 1, INT64_MAX, &n) != OK)
        return ERR_MISSING; // none of ours: item-not-found
    *id = (int64_t)n;
    return OK;
}

// Section 4.1: the fields that a query may have.
static const struct {
    struct str name, type;
} query_fields[] = {
    {{"with", 4},      {"jid-single", 10} },
    {{"start", 5},     {"text-single", 11}},
    {{"end", 3},       {"text-single", 11}},
    {{"before-id", 9}, {"text-single", 11}},
    {{"after-id", 8},  {"text-single", 11}},
    {{"ids", 3},       {"list-multi", 10} },
};

static bool is_query_field(struct str name)
{
    size_t i = 0;
    while (i < COUNT_OF(query_fields) && !str_eq(query_fields[i].name, name))
        i++;
    return i < COUNT_OF(query_fields) || str_eq(name, STR("FORM_TYPE"));
}

static enum err read_form(struct arena *arena, const struct element *form,
                          struct querying *querying)
{
    struct store_archive_query *op = &querying->op;
    struct jid with;
    ELEMENT_EACH(form, field)
    {
        struct str name = element_attr(field, STR("var"));
        struct str value = element_child_text(field, NS_DATA, STR("value"));
        if (!element_is(field, NS_DATA, STR("field")) || name.at == NULL)
            continue;
        if (!is_query_field(name))
            return ERR_UNSUPPORTED; // section 4.1.5: refused, not passed over
        if (value.at == NULL)
            continue;
        enum err e = OK;
        if (str_eq(name, STR("FORM_TYPE"))) {
            if (!str_eq(value, NS_MAM))
                return ERR_MALFORMED;
        } else if (str_eq(name, STR("with"))) {
            e = jid_parse(arena, value, &with);
            if (e == OK) {
                op->with = jid_bare(&with);
                op->with_resource = with.resource;
            }
        } else if (str_eq(name, STR("start"))) {
            e = clock_parse(value, &op->start_us);
        } else if (str_eq(name, STR("end"))) {
            e = clock_parse(value, &op->end_us);
        } else if (str_eq(name, STR("before-id"))) {
            e = read_id(value, &op->below_id);
        } else if (str_eq(name, STR("after-id"))) {
            e = read_id(value, &op->above_id);
        } else {
            op->ids = querying->ids;
            ELEMENT_EACH(field, v)
            {
                if (op->n_ids == IDS_MOST)
                    return ERR_LIMIT;
                e = read_id(v->text, &querying->ids[op->n_ids++]);
                if (e != OK)
                    return e;
            }
        }
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err read_set(const struct element *set, size_t page_most, struct querying *querying)
{
    struct store_archive_query *op = &querying->op;
    struct str max = element_child_text(set, NS_RSM, STR("max"));
    struct str after = element_child_text(set, NS_RSM, STR("after"));
    struct str before = element_child_text(set, NS_RSM, STR("before"));
    uint64_t n;
    if (element_child(set, NS_RSM, STR("index")) != NULL)
        return ERR_UNSUPPORTED; // XEP-0059 2.6: by id alone
    if (max.at != NULL) {
        if (str_to_u64(str_trim(max), 0, UINT32_MAX, &n) != OK)
            return ERR_MALFORMED;
        op->most = (uint32_t)(n < page_most ? n : page_most);
    }
    enum err e = OK;
    if (after.at != NULL && after.len > 0)
        e = read_id(after, &op->after_id);
    if (e == OK && before.at != NULL) {
        op->backwards = true;
        if (before.len > 0)
            e = read_id(before, &op->before_id);
    }
    return e;
}

static void query(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    const size_t page_most = desk_of(asked->home)->settings->archive_page;
    struct querying *querying = arena_make(arena, struct querying);
    querying->asked = asked;
    querying->query_id = element_attr(asked->payload, STR("queryid"));
    querying->flips = element_child(asked->payload, NS_MAM, STR("flip-page")) != NULL;
    querying->op.most = (uint32_t)page_most;
    querying->op.count = true;
    const struct element *form = element_child(asked->payload, NS_DATA, STR("x"));
    const struct element *set = element_child(asked->payload, NS_RSM, STR("set"));
    enum err e = form != NULL ? read_form(arena, form, querying) : OK;
    if (e == OK && set != NULL)
        e = read_set(set, page_most, querying);
    switch (e) {
    case OK:
        break;
    case ERR_MISSING:
        asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
        return;
    case ERR_UNSUPPORTED:
        asked_error(&asked, STANZA_FEATURE_NOT_IMPLEMENTED, "this cannot be asked for");
        return;
    default:
        asked_error(&asked, STANZA_BAD_REQUEST, NULL);
        return;
    }
    querying->op.account = asked->account->number;
    querying->op.request.home = loop_mailbox(asked->home->loop);
    querying->op.request.done = page_is_there;
    store_archive_query(asked->home->store, &querying->op);
}

// Section 4.1.5: which fields a query may have.
static void form(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct element *query = element_new(arena, NS_MAM, STR("query"));
    struct element *x = element_child_new(arena, query, NS_DATA, STR("x"));
    element_set(arena, x, STR("type"), STR("form"));
    struct element *type = element_child_new(arena, x, NS_DATA, STR("field"));
    element_set(arena, type, STR("var"), STR("FORM_TYPE"));
    element_set(arena, type, STR("type"), STR("hidden"));
    element_child_with(arena, type, NS_DATA, STR("value"), NS_MAM);
    for (size_t i = 0; i < COUNT_OF(query_fields); i++) {
        struct element *field = element_child_new(arena, x, NS_DATA, STR("field"));
        element_set(arena, field, STR("var"), query_fields[i].name);
        element_set(arena, field, STR("type"), query_fields[i].type);
        if (!str_eq(query_fields[i].type, STR("list-multi")))
            continue;
        // XEP-0122: any value, not one of a list
        struct element *validate =
            element_child_new(arena, field, NS_DATA_VALIDATE, STR("validate"));
        element_set(arena, validate, STR("datatype"), STR("xs:string"));
        element_child_new(arena, validate, NS_DATA_VALIDATE, STR("open"));
    }
    asked_result(&asked, query);
}

/* ---- Metadata (section 5.2) ---- */

struct spanning {
    struct asked *asked;
    struct store_archive_span op;
};

static void span_is_there(struct store_request *request)
{
    struct spanning *spanning = CONTAINER_OF(request, struct spanning, op.request);
    struct asked *asked = spanning->asked;
    enum err e = request->result;
    int64_t first = spanning->op.first_id, last = spanning->op.last_id;
    store_release(request);
    if (e != OK) {
        asked_store_error(&asked, e);
        return;
    }
    struct arena *arena = asked_arena(asked);
    struct element *metadata = element_new(arena, NS_MAM, STR("metadata"));
    const struct {
        struct str name;
        int64_t id;
    } ends[] = {
        {STR("start"), first},
        {STR("end"),   last }
    };
    for (size_t i = 0; i < COUNT_OF(ends) && first != 0; i++) {
        struct element *end = element_child_new(arena, metadata, NS_MAM, ends[i].name);
        element_set(arena, end, STR("id"), id_text(arena, ends[i].id));
        element_set(arena, end, STR("timestamp"),
                    clock_format(arena, store_id_time_us(ends[i].id)));
    }
    asked_result(&asked, metadata);
}

static void metadata(struct asked *asked)
{
    struct spanning *spanning = arena_make(asked_arena(asked), struct spanning);
    spanning->asked = asked;
    spanning->op.account = asked->account->number;
    spanning->op.request.home = loop_mailbox(asked->home->loop);
    spanning->op.request.done = span_is_there;
    store_archive_span(asked->home->store, &spanning->op);
}

// What was kept before it was turned off can still be read by who asks.
static bool is_on(const struct im_domain *domain)
{
    return domain != NULL && domain->archive;
}

static const struct str disco[] = {
    NS_MAM, NS_MAM_EXTENDED, NS_RETRACT, {"urn:xmpp:message-retract:1#tombstone", 36},
       {NULL,                                   0 },
};

static const struct iq_handler iqs[] = {
    {NS_MAM,    {"query", 5},    IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, query       },
    {NS_MAM,    {"query", 5},    IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, form        },
    {NS_MAM,    {"metadata", 8}, IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, metadata    },
    {NS_MAM,    {"prefs", 5},    IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, answer_prefs},
    {NS_MAM,    {"prefs", 5},    IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, set_prefs   },
    {{NULL, 0}, {NULL, 0},       0,                                 NULL        },
};

const struct feature feature_archive = {
    .name = "archive",
    .spec = "XEP-0313",
    .disco_account = disco,
    .is_on = is_on,
    .iqs = iqs,
    .account_loaded = account_loaded,
    .account_forgotten = account_forgotten,
};
