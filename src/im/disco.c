#include "im/disco.h"

#include "base/must.h"
#include "im/adhoc.h"
#include "im/caps_text.h"
#include "im/upload.h"

#include <stdlib.h>

enum { FEATURES_MOST = 256 };

static const struct str caps_node = {"urn:firedoor:server", 19};

/* ---- What is told ---- */

static int compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

// Sorted, each once: several features may announce the same thing.
static void add_features(struct arena *arena, struct element *query, const struct im_domain *domain,
                         bool of_account)
{
    struct str names[FEATURES_MOST];
    size_t n = 0;
    for (size_t f = 0; features[f] != NULL; f++) {
        const struct str *at = of_account ? features[f]->disco_account : features[f]->disco_server;
        if (features[f]->is_on != NULL && !features[f]->is_on(domain))
            continue;
        for (; at != NULL && at->len > 0; at++) {
            must(n < FEATURES_MOST);
            names[n++] = *at;
        }
    }
    qsort(names, n, sizeof names[0], compare);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && str_eq(names[i], names[i - 1]))
            continue;
        struct element *feature = element_child_new(arena, query, NS_DISCO_INFO, STR("feature"));
        element_set(arena, feature, STR("var"), names[i]);
    }
}

static void add_identity(struct arena *arena, struct element *query, struct str category,
                         struct str type, struct str name)
{
    struct element *identity = element_child_new(arena, query, NS_DISCO_INFO, STR("identity"));
    element_set(arena, identity, STR("category"), category);
    element_set(arena, identity, STR("type"), type);
    if (name.len > 0)
        element_set(arena, identity, STR("name"), name);
}

static struct element *add_field(struct arena *arena, struct element *form, struct str var,
                                 struct str type)
{
    struct element *field = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, field, STR("var"), var);
    element_set(arena, field, STR("type"), type);
    return field;
}

// XEP-0157: whom to tell of trouble.
static void add_contacts(struct arena *arena, struct element *query, const struct im_domain *domain)
{
    if (domain->n_admins == 0)
        return;
    struct element *form = element_child_new(arena, query, NS_DATA, STR("x"));
    element_set(arena, form, STR("type"), STR("result"));
    struct element *type = add_field(arena, form, STR("FORM_TYPE"), STR("hidden"));
    element_child_with(arena, type, NS_DATA, STR("value"), NS_CONTACT_INFO);
    struct element *field = add_field(arena, form, STR("admin-addresses"), STR("list-multi"));
    for (size_t i = 0; i < domain->n_admins; i++)
        element_child_with(arena, field, NS_DATA, STR("value"),
                           arena_printf(arena, "xmpp:%.*s", STR_ARGS(domain->admins[i])));
}

static struct element *describe_domain(struct arena *arena, const struct im_domain *domain)
{
    struct element *query = element_new(arena, NS_DISCO_INFO, STR("query"));
    add_identity(arena, query, STR("server"), STR("im"), STR("Firedoor"));
    add_features(arena, query, domain, false);
    if (domain->registration || domain->change_password || domain->cancel) {
        struct element *feature = element_child_new(arena, query, NS_DISCO_INFO, STR("feature"));
        element_set(arena, feature, STR("var"), NS_REGISTER);
    }
    add_contacts(arena, query, domain);
    upload_describe(arena, query, domain);
    return query;
}

static struct element *describe_account(struct arena *arena, const struct im_domain *domain)
{
    struct element *query = element_new(arena, NS_DISCO_INFO, STR("query"));
    add_identity(arena, query, STR("account"), STR("registered"), STR_EMPTY);
    add_features(arena, query, domain, true);
    return query;
}

void disco_announce(struct arena *arena, struct im_domain *domain)
{
    struct str text;
    must(caps_text(arena, describe_domain(arena, domain), &text) == OK);
    domain->stream.caps_hash = STR("sha-1");
    domain->stream.caps_node = caps_node;
    domain->stream.caps_ver = caps_hash(arena, STR("sha-1"), text);
}

/* ---- Who asks ---- */

// XEP-0115 6.2: the node of our own capabilities means the server itself.
static bool is_caps_node(struct arena *arena, const struct im_domain *domain, struct str node)
{
    return str_eq(node, arena_printf(arena, "%.*s#%.*s", STR_ARGS(caps_node),
                                     STR_ARGS(domain->stream.caps_ver)));
}

static void info(struct asked *asked)
{
    struct arena *arena = asked_arena(asked);
    struct str node = element_attr(asked->payload, STR("node"));
    bool has_node = node.at != NULL && node.len > 0;
    if (asked->where == ASKED_ACCOUNT && !asked_may_see(asked)) {
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL); // section 8: as if it were not
        return;
    }
    if (has_node && adhoc_info(asked, node))
        return;
    struct element *query;
    if (asked->where == ASKED_ACCOUNT) {
        if (has_node) {
            asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
            return;
        }
        query =
            describe_account(arena, desk_domain(desk_of(asked->home), asked->account->jid.domain));
    } else {
        const struct im_domain *domain =
            desk_domain(desk_of(asked->home), asked->stanza->to.domain);
        if (domain == NULL || (has_node && !is_caps_node(arena, domain, node))) {
            asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
            return;
        }
        query = describe_domain(arena, domain);
    }
    if (has_node)
        element_set(arena, query, STR("node"), node);
    asked_result(&asked, query);
}

static void items(struct asked *asked)
{
    struct str node = element_attr(asked->payload, STR("node"));
    if (asked->where == ASKED_ACCOUNT && !asked_may_see(asked))
        asked_error(&asked, STANZA_SERVICE_UNAVAILABLE, NULL);
    else if (node.at != NULL && adhoc_items(asked, node))
        return; // it answers
    else if (node.at != NULL && node.len > 0)
        asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
    else
        asked_result(&asked, element_new(asked_arena(asked), NS_DISCO_ITEMS, STR("query")));
}

static const struct str disco[] = {
    NS_DISCO_INFO, NS_DISCO_ITEMS, {NULL, 0}
};
// XEP-0359 4: forged ids are taken away whether there is an archive or not.
static const struct str disco_account[] = {
    NS_DISCO_INFO, NS_DISCO_ITEMS, NS_SID, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_DISCO_INFO,  {"query", 5}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT, info },
    {NS_DISCO_ITEMS, {"query", 5}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT, items},
    {{NULL, 0},      {NULL, 0},    0,                               NULL },
};

const struct feature feature_disco = {
    .name = "disco",
    .spec = "XEP-0030",
    .disco_server = disco,
    .disco_account = disco_account,
    .iqs = iqs,
};
