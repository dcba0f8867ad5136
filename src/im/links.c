#include "im/links.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "guard/seal.h"
#include "im/caps.h"
#include "im/gate_errand.h"
#include "im/lures.h"
#include "im/sealed.h"
#include "im/send.h"

#include <stdlib.h>

enum {
    SCRATCH_MOST = 16 << 20,
    WRITTEN_MOST = 512 << 20,
    MORE = 1 << 20, // what an unwrapped stanza may need beyond what the peer was allowed
};

static const int64_t day_us = 24 * 3600 * SECOND_US;

/* ---- What is protected ---- */

struct protecting {
    const struct im_settings *settings;
    const struct im_domain *domain; // of the reader
    const struct lure_rules *rules;
    struct str lang;
    struct lure_people people;
    int64_t expires_us;
    struct arena arena; // of what follows
    struct {
        struct str url, instead;
    } known[LURES_MOST]; // the same link in body and XHTML is sealed once
    size_t n_known;
};

static bool is_within(struct str host, struct str domain)
{
    return str_ends(host, domain) &&
           (host.len == domain.len || host.at[host.len - domain.len - 1] == '.');
}

static bool is_allowed(const struct im_settings *settings, struct str host)
{
    for (size_t i = 0; i < settings->n_link_hosts; i++)
        if (is_within(host, settings->link_hosts[i]))
            return true;
    return false;
}

static bool can_be_opened(const struct lure *lure)
{
    static const struct str schemes[] = {
        {"https://", 8},
        {"http://",  7},
        {"ftp://",   6}
    };
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (str_starts(lure->url, schemes[i]))
            return lure->kind == LURE_LINK && lure->host.len > 0;
    return false;
}

// Computed anew, with the names of those two taken out: as the guard knew it.
static struct lure_key template_of(struct protecting *protecting, const struct lure *lure)
{
    struct lure one = *lure;
    struct lure_list list = {
        .rules = protecting->rules, .arena = &protecting->arena, .lures = &one, .n = 1, .room = 1};
    lure_list_keys(&list, &protecting->people);
    return one.keys[LURE_TEMPLATE];
}

static struct str protect(void *context, const struct lure *lure)
{
    struct protecting *protecting = context;
    static const struct str none = {NULL, 0};
    if (!can_be_opened(lure) || is_allowed(protecting->settings, lure->host))
        return none;
    for (size_t i = 0; i < protecting->n_known; i++)
        if (str_eq(protecting->known[i].url, lure->url))
            return protecting->known[i].instead;
    const struct sealed_link link = {
        .url = lure->url,
        .reader = protecting->people.names[1],
        .lang = protecting->lang,
        .template = template_of(protecting, lure),
        .expires_us = protecting->expires_us,
    };
    struct str token;
    if (!arena_fits(&protecting->arena, (size_t)4 * SEAL_TOKEN_MOST))
        return none;
    // a link that is too long for a token must not be the way around: its page says that it is none
    if (seal_link(&protecting->arena, protecting->settings->seals, &link, &token) != OK)
        token = STR("too-long");
    struct str instead = arena_printf(&protecting->arena, "%.*s%.*s",
                                      STR_ARGS(protecting->domain->links_base), STR_ARGS(token));
    if (protecting->n_known < COUNT_OF(protecting->known)) {
        protecting->known[protecting->n_known].url = arena_str(&protecting->arena, lure->url);
        protecting->known[protecting->n_known++].instead = instead;
    }
    return instead;
}

/* ---- Which part of a stanza ---- */

static bool is_bare(struct str full, struct str bare)
{
    return full.at != NULL && str_starts(full, bare) &&
           (full.len == bare.len || full.at[bare.len] == '/');
}

/* Only a text that is signed would break, and only for a client that looks at signatures.  What is
 * encrypted is no text and has no links: what stands beside it, for clients that cannot read it, is
 * read by whoever has one, whatever the message calls itself. */
static bool is_left_alone(const struct session *session, const struct element *message)
{
    return session_has_feature(session, STR("jabber:x:signed")) && sealed_signs_body(message);
}

// What the account's archive or carbons bring it; nobody else may write in its name.
static struct element *brought(struct element *root)
{
    ELEMENT_EACH(root, outer)
    {
        if (!ns_eq(outer->ns, NS_CARBONS) && !ns_eq(outer->ns, NS_MAM))
            continue;
        struct element *forwarded = element_child(outer, NS_FORWARD, STR("forwarded"));
        struct element *inner =
            forwarded != NULL ? element_child(forwarded, NS_CLIENT, STR("message")) : NULL;
        if (inner != NULL)
            return inner;
    }
    return NULL;
}

/* The element whose links are somebody else's, with that one's address; NULL: there is none. */
static struct element *written_by_another(const struct session *session, struct element *root,
                                          struct str *author)
{
    const struct account *account = session->account;
    struct element *message = root;
    *author = element_attr(root, STR("from"));
    if (is_bare(*author, account->jid.full)) {
        message = brought(root);
        if (message == NULL)
            return NULL;
        *author = element_attr(message, STR("from"));
    }
    if (is_bare(*author, account->jid.full) || is_left_alone(session, message))
        return NULL;
    return message;
}

/* A copy with a tree of its own, not sealed, whatever form the stanza is in; NULL: it has none. */
static struct stanza *copy_of(const struct stanza *stanza)
{
    struct buf text;
    buf_init(&text, WRITTEN_MOST);
    stanza_write(&text, stanza, STR_EMPTY, STR_EMPTY);
    struct stanza *copy = text.overflowed ? NULL : stanza_parse(buf_str(&text));
    buf_done(&text);
    if (copy == NULL)
        return NULL;
    copy->arena.ceiling += stanza->lure_keys.len + stanza->lures_from.len + 64;
    copy->lure_keys = arena_str(&copy->arena, stanza->lure_keys);
    copy->lures_from = arena_str(&copy->arena, stanza->lures_from);
    copy->calm = stanza->calm;
    copy->takes_back = stanza->takes_back;
    return copy;
}

static bool has_links(const struct lure_rules *rules, const struct element *root)
{
    struct arena scratch;
    struct lure_list list;
    arena_init(&scratch, SCRATCH_MOST);
    lure_list_init(&list, rules, &scratch);
    lures_of_stanza(&list, root);
    bool any = list.n > 0 || list.overflowed;
    arena_done(&scratch);
    return any;
}

static void set_people(struct protecting *protecting, const struct account *account,
                       struct str author)
{
    struct jid sender = author.at != NULL ? jid_of_prepared(author) : (struct jid){0};
    protecting->people.names[0] = author.at != NULL ? jid_bare(&sender) : STR_EMPTY;
    protecting->people.names[1] = account->jid.full;
    protecting->people.n = 2;
}

/* The stanza as its reader is to have it; NULL: as it is. */
static struct stanza *protected_copy(struct session *session, const struct stanza *stanza,
                                     const struct im_domain *domain)
{
    struct desk *desk = desk_of(session->home);
    const struct lure_rules *rules = gate_lure_rules(desk->service->gate);
    bool is_text = stanza->root->first == NULL && stanza->inner.len > 0; // an archive's page
    if (!is_text && !has_links(rules, stanza->root))
        return NULL;
    struct stanza *copy = copy_of(stanza);
    struct str author;
    struct element *message =
        copy != NULL ? written_by_another(session, copy->root, &author) : NULL;
    if (message == NULL || !has_links(rules, message)) {
        stanza_unref(&copy);
        return NULL;
    }
    struct protecting *protecting = calloc(1, sizeof *protecting);
    must(protecting != NULL);
    protecting->settings = desk->settings;
    protecting->domain = domain;
    protecting->rules = rules;
    protecting->lang = session->lang.len > 0 ? session->lang : domain->lang;
    // in whole days, so that the same link is the same token on all devices
    protecting->expires_us =
        (clock_wall_us() / day_us + 1) * day_us + desk->settings->links_valid_us;
    arena_init(&protecting->arena, SCRATCH_MOST);
    set_people(protecting, session->account, author);
    bool whole;
    copy->arena.ceiling += SCRATCH_MOST;
    size_t n = lures_replace(rules, &copy->arena, message, protect, protecting, &whole);
    if (!whole)
        log_event(LOG_WARNING, "link-not-protected", "account=%.*s",
                  STR_ARGS(session->account->jid.full));
    arena_done(&protecting->arena);
    free(protecting);
    desk->counters.links_protected += n;
    if (n == 0)
        stanza_unref(&copy);
    else
        stanza_seal(copy);
    return copy;
}

static enum passing to_session(struct session *session, const struct sending_out *what)
{
    const struct stanza *stanza = what->stanza;
    const struct desk *desk = desk_of(session->home);
    const struct im_domain *domain = desk_domain(desk, session->account->jid.domain);
    if (domain == NULL || desk->settings->seals == NULL || stanza->links_protected ||
        stanza->kind == STANZA_IQ ||
        !im_settings_protects(desk->settings, domain, session->account->jid.full))
        return PASS;
    struct stanza *copy = protected_copy(session, stanza, domain);
    if (copy == NULL)
        return PASS;
    copy->links_protected = true;
    struct sending_out instead = *what;
    instead.stanza = copy;
    send_to_session(session, &instead);
    stanza_unref(&copy);
    return STOP;
}

/* ---- Back again ---- */

struct unwrapping {
    const struct im_settings *settings;
    struct arena arena;
};

static struct str token_of(const struct im_settings *settings, const struct lure *lure)
{
    for (size_t i = 0; i < settings->n_domains; i++) {
        struct str base = settings->domains[i].links_base;
        if (base.len == 0 || lure->kind != LURE_LINK || !str_starts(lure->url, base))
            continue;
        struct str token = str_skip(lure->url, base.len);
        size_t end = 0;
        while (end < token.len && strchr("/?#", token.at[end]) == NULL)
            end++;
        return str_first(token, end);
    }
    return (struct str){NULL, 0};
}

enum err links_original(const struct im_settings *settings, struct arena *arena,
                        const struct lure *lure, struct sealed_link *out)
{
    struct str token = token_of(settings, lure);
    if (token.at == NULL || settings->seals == NULL)
        return ERR_MISSING;
    // one whose time is over still leads to what it says
    return seal_open(arena, settings->seals, token, out) == OK ? OK : ERR_MISSING;
}

static struct str original(void *context, const struct lure *lure)
{
    struct unwrapping *unwrapping = context;
    struct sealed_link link;
    if (links_original(unwrapping->settings, &unwrapping->arena, lure, &link) != OK)
        return (struct str){NULL, 0};
    return link.url;
}

bool links_unwrap(const struct desk *desk, struct stanza *stanza, const struct lure_list *lures)
{
    const struct im_settings *settings = desk->settings;
    bool any = false;
    for (size_t i = 0; i < lures->n && !any; i++)
        any = token_of(settings, &lures->lures[i]).at != NULL;
    if (!any)
        return false;
    struct unwrapping unwrapping = {.settings = settings};
    arena_init(&unwrapping.arena, SCRATCH_MOST);
    stanza->arena.ceiling += MORE;
    bool whole;
    size_t n =
        lures_replace(lures->rules, &stanza->arena, stanza->root, original, &unwrapping, &whole);
    arena_done(&unwrapping.arena);
    return n > 0 || !whole;
}

const struct feature feature_links = {
    .name = "links",
    .spec = "docs/guard.md",
    .to_session = to_session,
};
