/*
 * A document is known by the namespace of its element (section 2).  One
 * request may set several: they are kept one after another, and the first that
 * cannot be kept ends it.
 */
#include "im/private.h"

#include "im/limits.h"
#include "xml/tokenizer.h"
#include "xml/writer.h"

enum { DOCUMENTS_MOST = 64 << 20 }; // bytes read to count an account's documents

static struct str key_of(struct arena *arena, const struct element *element)
{
    return arena_printf(arena, "private %.*s", STR_ARGS(element->ns));
}

// Elements of no namespace, or of ours, belong to nobody.
static bool has_owner(const struct element *element)
{
    return element != NULL && element->ns.len > 0 && !str_eq(element->ns, NS_PRIVATE);
}

/* ---- Getting ---- */

struct getting {
    struct asked *asked;
    struct store_document_get op;
};

static void got(struct store_request *request)
{
    struct getting *getting = CONTAINER_OF(request, struct getting, op.request);
    struct asked *asked = getting->asked;
    struct arena *arena = asked_arena(asked);
    const struct element *wanted = element_first(asked->payload);
    struct element *query = element_new(arena, NS_PRIVATE, STR("query"));
    struct element *document = NULL;
    enum err e = request->result;
    if (e == OK)
        e = element_parse(arena, arena_str(arena, getting->op.xml), NS_NONE, NULL, &document, NULL);
    else if (e == ERR_MISSING) // section 2.3: what was never kept is empty
        e = element_copy(arena, wanted, &document);
    store_release(request);
    if (e != OK) {
        asked_store_error(&asked, e);
        return;
    }
    element_add(query, document);
    asked_result(&asked, query);
}

static void get(struct asked *asked)
{
    const struct element *wanted = element_first(asked->payload);
    if (!has_owner(wanted) || element_next(wanted) != NULL) {
        asked_error(&asked, STANZA_BAD_REQUEST, "one element with a namespace of its own is asked");
        return;
    }
    struct arena *arena = asked_arena(asked);
    struct getting *getting = arena_make(arena, struct getting);
    getting->asked = asked;
    getting->op.account = asked->account->number;
    getting->op.key = key_of(arena, wanted);
    getting->op.request.home = loop_mailbox(asked->home->loop);
    getting->op.request.done = got;
    store_document_get(asked->home->store, &getting->op);
}

/* ---- Setting ---- */

struct setting {
    struct asked *asked;
    const struct element *at; // the one in hand
    struct store_document_get old;
    struct store_document_list list;
    struct store_document_put put;
};

static void keep_next(struct setting *setting);

static void failed(struct setting *setting, enum err e)
{
    asked_store_error(&setting->asked, e);
}

static void is_put(struct store_request *request)
{
    struct setting *setting = CONTAINER_OF(request, struct setting, put.request);
    enum err e = request->result;
    store_release(request);
    setting->at = element_next(setting->at);
    if (e != OK)
        failed(setting, e);
    else
        keep_next(setting);
}

static void put(struct setting *setting)
{
    setting->put.request.home = loop_mailbox(setting->asked->home->loop);
    setting->put.request.done = is_put;
    setting->put.account = setting->asked->account->number;
    store_document_put(setting->asked->home->store, &setting->put);
}

static void are_listed(struct store_request *request)
{
    struct setting *setting = CONTAINER_OF(request, struct setting, list.request);
    size_t most = desk_of(setting->asked->home)->settings->private_items, n = 0;
    enum err e = request->result;
    for (uint32_t i = 0; e == OK && i < setting->list.n; i++)
        n += str_starts(setting->list.documents[i].key, STR("private "));
    store_release(request);
    if (e != OK && e != ERR_LIMIT)
        failed(setting, e);
    else if (e == ERR_LIMIT || n >= most) {
        limit_reached(setting->asked->home, setting->asked->account->jid.full,
                      "limits.private_items");
        asked_error(&setting->asked, STANZA_RESOURCE_CONSTRAINT, "too many documents are kept");
    } else
        put(setting);
}

static void old_is_known(struct store_request *request)
{
    struct setting *setting = CONTAINER_OF(request, struct setting, old.request);
    enum err e = request->result;
    store_release(request);
    if (e == OK) {
        put(setting);
    } else if (e != ERR_MISSING) {
        failed(setting, e);
    } else {
        setting->list.request.home = loop_mailbox(setting->asked->home->loop);
        setting->list.request.done = are_listed;
        setting->list.request.results_most = DOCUMENTS_MOST;
        setting->list.account = setting->asked->account->number;
        store_document_list(setting->asked->home->store, &setting->list);
    }
}

static void keep_next(struct setting *setting)
{
    struct asked *asked = setting->asked;
    struct arena *arena = asked_arena(asked);
    if (setting->at == NULL) {
        asked_result(&asked, NULL);
        return;
    }
    struct store_document *document = &setting->put.document;
    document->key = key_of(arena, setting->at);
    if (xml_to_str(arena, setting->at, NS_NONE, &document->xml) != OK ||
        document->xml.len > desk_of(asked->home)->settings->private_bytes) {
        limit_reached(asked->home, asked->account->jid.full, "limits.private_bytes");
        asked_error(&asked, STANZA_NOT_ACCEPTABLE, "the document is too large");
        return;
    }
    setting->old.request.home = loop_mailbox(asked->home->loop);
    setting->old.request.done = old_is_known;
    setting->old.account = asked->account->number;
    setting->old.key = document->key;
    store_document_get(asked->home->store, &setting->old);
}

static void set(struct asked *asked)
{
    bool any = false, all = true;
    ELEMENT_EACH(asked->payload, child)
    {
        any = true;
        all = all && has_owner(child);
    }
    if (!any || !all) {
        asked_error(&asked, STANZA_BAD_REQUEST, "an element with a namespace of its own is kept");
        return;
    }
    struct setting *setting = arena_make(asked_arena(asked), struct setting);
    setting->asked = asked;
    setting->at = element_first(asked->payload);
    keep_next(setting);
}

static const struct str disco[] = {
    NS_PRIVATE, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_PRIVATE, {"query", 5}, IQ_GET | IQ_ACCOUNT | IQ_OWN_ONLY, get },
    {NS_PRIVATE, {"query", 5}, IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, set },
    {{NULL, 0},  {NULL, 0},    0,                                 NULL},
};

const struct feature feature_private = {
    .name = "private",
    .spec = "XEP-0049",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
};
