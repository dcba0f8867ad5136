/*
 * One set of features is shared by all sessions of a worker that have it.  The
 * cache holds the sets that were verified, the least recently used make room.
 *
 * Last of the features: it fits a retraction by which the server takes back a
 * lure to what the receiving client understands (semantics.md: taking back).
 */
#include "im/caps.h"

#include "base/must.h"
#include "base/random.h"
#include "base/table.h"
#include "im/caps_text.h"
#include "im/send.h"
#include "route/own.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SETS_MOST = 2000, // of one worker
    FEATURES_MOST = 500,
    NAME_MOST = 1024,        // bytes of a hash, node or feature
    CHECKING_MOST = 4 << 20, // one answer, its sorted texts included
};

// The features behind one hash, in order.
struct feature_set {
    unsigned refs; // sessions, and the cache
    struct link link;
    struct str key; // "hash ver"; empty: not verified, one session's alone.  Own memory
    size_t n;
    struct str *names; // own memory
};

struct caps_cache {
    struct table sets;
    struct list oldest_first;
};

// session->caps
struct caps {
    struct str key;  // "hash ver" of the last presence; own memory
    struct str hash; // within key
    struct str ver;
    char asked[RANDOM_ID_SIZE + 1]; // id of our question; empty: none is open
    struct feature_set *features;   // NULL: not known
};

/* ---- Sets ---- */

static void set_unref(struct feature_set **set)
{
    struct feature_set *s = TAKE(*set);
    if (s == NULL || --s->refs > 0)
        return;
    for (size_t i = 0; i < s->n; i++)
        own_str_free(&s->names[i]);
    free(s->names);
    own_str_free(&s->key);
    free(s);
}

static struct feature_set *set_ref(struct feature_set *set)
{
    set->refs++;
    return set;
}

static int compare(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    return str_cmp(*x, *y);
}

static struct feature_set *set_new(const struct element *query, struct str key)
{
    struct feature_set *set = calloc(1, sizeof *set);
    must(set != NULL);
    set->names = calloc(FEATURES_MOST, sizeof *set->names);
    must(set->names != NULL);
    set->refs = 1;
    set->key = own_str(key);
    ELEMENT_EACH(query, child)
    {
        struct str name = element_attr(child, STR("var"));
        if (element_is(child, NS_DISCO_INFO, STR("feature")) && name.at != NULL &&
            name.len <= NAME_MOST && set->n < FEATURES_MOST)
            set->names[set->n++] = own_str(name);
    }
    qsort(set->names, set->n, sizeof *set->names, compare);
    return set;
}

/* ---- The cache ---- */

static struct feature_set *find_set(struct desk *desk, struct str key)
{
    struct feature_set *set = desk->caps != NULL ? table_get(&desk->caps->sets, key) : NULL;
    if (set == NULL)
        return NULL;
    list_leave(&set->link);
    list_add_last(&desk->caps->oldest_first, &set->link);
    return set;
}

static void drop(struct caps_cache *cache, struct feature_set *set)
{
    table_remove(&cache->sets, set->key);
    list_leave(&set->link);
    set_unref(&set);
}

static void keep_set(struct desk *desk, struct feature_set *set)
{
    if (desk->caps == NULL) {
        desk->caps = calloc(1, sizeof *desk->caps);
        must(desk->caps != NULL);
        table_init(&desk->caps->sets, SETS_MOST);
        list_init(&desk->caps->oldest_first);
    }
    struct caps_cache *cache = desk->caps;
    struct feature_set *oldest = LIST_FIRST(&cache->oldest_first, struct feature_set, link);
    if (oldest != NULL && cache->sets.n >= SETS_MOST)
        drop(cache, oldest);
    if (table_put(&cache->sets, set->key, set) == OK)
        list_add_last(&cache->oldest_first, &set_ref(set)->link);
}

void caps_cache_free(struct caps_cache **cache)
{
    struct caps_cache *c = TAKE(*cache);
    if (c == NULL)
        return;
    LIST_EACH(&c->oldest_first, struct feature_set, link, set)
    drop(c, set);
    table_done(&c->sets);
    free(c);
}

/* ---- A session's ---- */

static void forget(struct session *session)
{
    struct caps *caps = TAKE(session->caps);
    if (caps == NULL)
        return;
    set_unref(&caps->features);
    own_str_free(&caps->key);
    free(caps);
}

static void ask(struct session *session, struct str node)
{
    struct caps *caps = session->caps;
    random_id_z(caps->asked);
    struct jid domain = jid_of_prepared(session->jid.domain);
    struct stanza *stanza =
        stanza_make(STANZA_IQ, TYPE_GET, &domain, &session->jid, str_of(caps->asked));
    struct arena *arena = &stanza->arena;
    struct element *query = element_child_new(arena, stanza->root, NS_DISCO_INFO, STR("query"));
    element_set(arena, query, STR("node"),
                arena_printf(arena, "%.*s#%.*s", STR_ARGS(node), STR_ARGS(caps->ver)));
    stanza_seal(stanza);
    send_stanza(session, stanza);
    stanza_unref(&stanza);
}

// A usable attribute: there, and of a length that a hash or node has.
static bool is_usable(struct str text)
{
    return text.at != NULL && text.len > 0 && text.len <= NAME_MOST &&
           str_find_char(text, ' ') == text.len;
}

static enum passing from_client(struct session *session, struct stanza *stanza)
{
    if (stanza->kind != STANZA_PRESENCE || stanza->type != TYPE_AVAILABLE ||
        stanza->to.full.len > 0)
        return PASS;
    const struct element *c = element_child(stanza->root, NS_CAPS, STR("c"));
    if (c == NULL) {
        forget(session);
        return PASS;
    }
    struct str hash = element_attr(c, STR("hash")), ver = element_attr(c, STR("ver"));
    struct str node = element_attr(c, STR("node"));
    if (!is_usable(hash) || !is_usable(ver) || !is_usable(node))
        return PASS; // the form before 1.4 says nothing that could be verified
    char key[2 * NAME_MOST + 2];
    size_t len = (size_t)snprintf(key, sizeof key, "%.*s %.*s", STR_ARGS(hash), STR_ARGS(ver));
    if (session->caps != NULL && str_eq(session->caps->key, str_make(key, len)))
        return PASS;
    forget(session);
    struct caps *caps = session->caps = calloc(1, sizeof *caps);
    must(caps != NULL);
    caps->key = own_str(str_make(key, len));
    caps->hash = str_first(caps->key, hash.len);
    caps->ver = str_skip(caps->key, hash.len + 1);
    struct feature_set *known = find_set(desk_of(session->home), caps->key);
    if (known != NULL)
        caps->features = set_ref(known);
    else
        ask(session, node);
    return PASS;
}

static bool is_verified(const struct caps *caps, const struct element *query)
{
    struct arena arena;
    struct str text;
    arena_init(&arena, CHECKING_MOST);
    bool fits = caps_text(&arena, query, &text) == OK &&
                str_eq(caps_hash(&arena, caps->hash, text), caps->ver);
    arena_done(&arena);
    return fits;
}

void caps_answered(struct session *session, const struct stanza *stanza)
{
    struct caps *caps = session->caps;
    if (caps == NULL || caps->asked[0] == '\0' || !str_eq(stanza->id, str_of(caps->asked)))
        return;
    caps->asked[0] = '\0';
    const struct element *query = element_child(stanza->root, NS_DISCO_INFO, STR("query"));
    if (stanza->type != TYPE_RESULT || query == NULL)
        return;
    // what does not have the hash is the word of this client for itself, and for nobody else
    bool fits = is_verified(caps, query);
    caps->features = set_new(query, fits ? caps->key : STR_EMPTY);
    if (fits)
        keep_set(desk_of(session->home), caps->features);
}

bool session_features_are_known(const struct session *session)
{
    return session->caps != NULL && session->caps->features != NULL;
}

bool session_has_feature(const struct session *session, struct str feature)
{
    if (!session_features_are_known(session))
        return false;
    const struct feature_set *set = session->caps->features;
    return bsearch(&feature, set->names, set->n, sizeof *set->names, compare) != NULL;
}

/* ---- Retractions, as each client understands them ---- */

// The message itself, or the one inside a carbon copy.
static struct element *message_of(struct element *root)
{
    struct element *outer = element_first(root);
    if (outer == NULL || !str_eq(outer->ns, NS_CARBONS))
        return root;
    struct element *forwarded = element_child(outer, NS_FORWARD, STR("forwarded"));
    struct element *inner =
        forwarded != NULL ? element_child(forwarded, NS_CLIENT, STR("message")) : NULL;
    return inner != NULL ? inner : root;
}

static void remove_child(struct element *message, struct str ns, struct str name)
{
    struct element *child = element_child(message, ns, name);
    if (child != NULL)
        element_remove(child);
}

static void fit(const struct session *session, struct arena *arena, struct element *message)
{
    if (session_has_feature(session, NS_RETRACT)) {
        remove_child(message, NS_FASTEN, STR("apply-to"));
        return;
    }
    const struct element *retract = element_child(message, NS_RETRACT, STR("retract"));
    struct str what = retract != NULL ? element_attr(retract, STR("id")) : STR_EMPTY;
    remove_child(message, NS_RETRACT, STR("retract"));
    remove_child(message, NS_FALLBACK, STR("fallback"));
    if (session_has_feature(session, NS_RETRACT_0))
        return;
    remove_child(message, NS_FASTEN, STR("apply-to"));
    if (session_has_feature(session, NS_CORRECT) && what.len > 0) {
        struct element *replace = element_child_new(arena, message, NS_CORRECT, STR("replace"));
        element_set(arena, replace, STR("id"), what);
    }
}

static enum passing to_session(struct session *session, const struct sending_out *what)
{
    const struct stanza *stanza = what->stanza;
    if (!stanza->takes_back || !session_features_are_known(session))
        return PASS;
    struct stanza *fitted = stanza_make(stanza->kind, stanza->type, &stanza->from,
                                        stanza->to.full.len > 0 ? &stanza->to : NULL, stanza->id);
    struct element *root;
    must(element_copy(&fitted->arena, stanza->root, &root) == OK);
    fitted->root = root;
    fit(session, &fitted->arena, message_of(root));
    stanza_seal(fitted);
    struct sending_out instead = *what;
    instead.stanza = fitted;
    send_past_features(session, &instead);
    stanza_unref(&fitted);
    return STOP;
}

const struct feature feature_caps = {
    .name = "caps",
    .spec = "XEP-0115",
    .from_client = from_client,
    .to_session = to_session,
    .session_ends = forget,
};
