/*
 * Looking in: incidents with their tree, evidence and orders.
 */
#include "guard/guard_internal.h"

const char *incident_state_name(enum incident_state state)
{
    static const char *const names[] = {"open", "convicted", "released", "expired"};
    must((size_t)state < COUNT_OF(names));
    return names[state];
}

const char *evidence_kind_name(enum evidence_kind kind)
{
    static const char *const names[] = {
        "novelty", "fan-out", "pace",   "silence", "roster", "dormant", "relay",  "words",
        "decoy",   "content", "report", "answer",  "origin", "absence", "streak", "opening"};
    must((size_t)kind < COUNT_OF(names));
    return names[kind];
}

uint64_t guard_incident_next(const struct guard *guard, uint64_t *at)
{
    // newest first: the greatest id below the one before
    uint64_t best = 0, below = *at == 0 ? UINT64_MAX : *at;
    LIST_EACH((struct list *)&guard->clusters[3], struct cluster, link, cluster)
    if (cluster->is_incident && cluster->id < below && cluster->id > best)
        best = cluster->id;
    *at = best;
    return best;
}

static enum incident_state state_of(const struct cluster *cluster)
{
    switch (cluster->state) {
    case CLUSTER_CONVICTED:
        return INCIDENT_CONVICTED;
    case CLUSTER_RELEASED:
        return INCIDENT_RELEASED;
    case CLUSTER_EXPIRED:
        return INCIDENT_EXPIRED;
    case CLUSTER_QUIET:
    case CLUSTER_OPEN:
        break;
    }
    return INCIDENT_OPEN;
}

static struct str jid_in(const struct guard *guard, struct arena *arena, const struct user *user)
{
    return user != NULL ? arena_str(arena, user_jid(guard, user)) : STR_EMPTY;
}

static int by_time(const void *a, const void *b)
{
    const struct incident_evidence *x = a, *y = b;
    return x->at_us < y->at_us ? -1 : x->at_us > y->at_us;
}

static void fill_nodes(const struct guard *guard, const struct cluster *cluster,
                       struct arena *arena, struct incident *out)
{
    struct incident_node *nodes = arena_make_array(arena, struct incident_node, cluster->n_members);
    size_t n = 0;
    LIST_EACH((struct list *)&cluster->members, struct member, link, member)
    nodes[n++] = (struct incident_node){.who = jid_in(guard, arena, member->user),
                                        .from = jid_in(guard, arena, member->from),
                                        .exposed_us = member->exposed_us,
                                        .sent_us = member->sent_us,
                                        .receivers = member->n_receivers,
                                        .nats = member_nats(member) + member->relay,
                                        .relay = member->is_relay,
                                        .restricted = member->restricted,
                                        .warned = member->warned};
    out->nodes = nodes;
    out->n_nodes = n;
}

// Keys of what is in the files that it is about, of this cluster's lures.
static void add_files(const struct cluster *cluster, struct lure_key *keys, size_t *n)
{
    LIST_EACH((struct list *)&cluster->bindings, struct binding, link, binding)
    if (binding->width == LURE_EXACT)
        keys[(*n)++] = binding->key;
}

static void fill_files(const struct cluster *cluster, struct arena *arena, struct incident *out)
{
    if (cluster->kind != LURE_FILE)
        return;
    size_t most = cluster->n_bindings + 1;
    LIST_EACH((struct list *)&cluster->lures, struct cluster, in_campaign, lure)
    most += lure->n_bindings;
    struct lure_key *keys = arena_make_array(arena, struct lure_key, most);
    add_files(cluster, keys, &out->n_files);
    LIST_EACH((struct list *)&cluster->lures, struct cluster, in_campaign, lure)
    add_files(lure, keys, &out->n_files);
    // of one that is over nothing else is left
    if (out->n_files == 0 && out->width == LURE_EXACT && !lure_key_is_none(&out->key))
        keys[out->n_files++] = out->key;
    out->files = keys;
}

static void fill(const struct guard *guard, const struct cluster *cluster, struct arena *arena,
                 struct incident *out)
{
    struct lure_key key = cluster->key;
    struct str shown = cluster->shown;
    enum lure_width width = cluster->width;
    const struct binding *narrowest = cluster_narrowest(cluster);
    if (lure_key_is_none(&key) && narrowest != NULL) { // not convicted
        key = narrowest->key;
        shown = narrowest->shown;
        width = narrowest->width;
    }
    *out = (struct incident){
        .id = cluster->id,
        .state = state_of(cluster),
        .nats = cluster->nats,
        .kind = cluster->kind,
        .width = width,
        .key = key,
        .shown = arena_str(arena, shown),
        .first_us = cluster->first_us,
        .convicted_us = cluster->convicted_us,
        .ended_us = cluster->ended_us,
        .expires_us = cluster->expires_us,
        .actor = arena_str(arena, cluster->actor),
        .why = arena_str(arena, cluster->why),
        .n_sendings = cluster->n_sendings,
        .n_receivers = cluster->n_receivers,
        .n_exposed = cluster->n_exposed,
        .n_relays = cluster->n_relays,
        .n_rejected = cluster->n_rejected,
        .n_held = cluster->n_held,
        .n_reports = cluster->n_reports,
        .n_lures = cluster->n_lures,
        .held_us = cluster->held_us,
        .by_itself_us = cluster->by_itself_us,
        .sum = {.novelty = cluster->novelty,
                .content = cluster->content,
                .origin = cluster->root_nats,
                .acts = cluster->members_nats,
                .relays = cluster->relays_nats,
                .words = cluster->words,
                .reports = cluster->reports,
                .answers = cluster->answers,
                .origins = cluster->origins,
                .absence = cluster->absence,
                .mimicry = cluster->mimicry},
        .effects = {.taken_back = cluster->n_taken_back,
                .unspooled = cluster->n_unspooled,
                .given_again = cluster->n_given_again,
                .let_go = cluster->n_let_go,
                .returned = cluster->n_returned,
                .sent_back = cluster->n_sent_back}
    };
    fill_nodes(guard, cluster, arena, out);
    struct incident_evidence *evidence =
        arena_make_array(arena, struct incident_evidence, cluster->n_evidence);
    for (size_t i = 0; i < cluster->n_evidence; i++)
        evidence[i] =
            (struct incident_evidence){.kind = cluster->evidence[i].kind,
                                       .nats = cluster->evidence[i].nats,
                                       .who = jid_in(guard, arena, cluster->evidence[i].who),
                                       .at_us = cluster->evidence[i].at_us};
    if (cluster->n_evidence > 1)
        qsort(evidence, cluster->n_evidence, sizeof *evidence, by_time);
    out->evidence = evidence;
    out->n_evidence = cluster->n_evidence;
    struct incident_order *orders =
        arena_make_array(arena, struct incident_order, cluster->n_orders);
    for (size_t i = 0; i < cluster->n_orders; i++) {
        const struct cluster_order *from = &cluster->orders[i];
        orders[i].at_us = from->at_us;
        orders[i].count = from->count;
        orders[i].done = from->done;
        orders[i].unspooled = from->unspooled;
        orders[i].order = (struct order){.number = from->number,
                                         .kind = from->kind,
                                         .undo = from->undo,
                                         .reason = from->reason,
                                         .incident = cluster->id,
                                         .audience = from->audience,
                                         .width = from->width,
                                         .key = from->key,
                                         .shown = arena_str(arena, from->shown),
                                         .who = jid_in(guard, arena, from->who),
                                         .expires_us = from->expires_us};
    }
    out->orders = orders;
    out->n_orders = cluster->n_orders;
    struct guard_question *questions =
        arena_make_array(arena, struct guard_question, cluster->n_questions);
    size_t n = 0;
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    questions[n++] = (struct guard_question){.number = question->number,
                                             .incident = cluster->id,
                                             .who = jid_in(guard, arena, question->who),
                                             .shown = out->shown,
                                             .state = question->state,
                                             .trust = question->trust,
                                             .asked_us = question->asked_us,
                                             .due_us = question->due_us,
                                             .ended_us = question->ended_us,
                                             .late_us = question->late_us,
                                             .device = question->device,
                                             .receivers = question->receivers};
    out->questions = questions;
    out->n_questions = n;
    out->n_confirmed = cluster->n_confirmed;
    out->n_denied = cluster->n_denied;
    fill_files(cluster, arena, out);
}

enum err guard_incident(const struct guard *guard, uint64_t id, struct arena *arena,
                        struct incident *out)
{
    const struct cluster *cluster = cluster_by_id(guard, id);
    if (cluster == NULL || !cluster->is_incident)
        return ERR_MISSING;
    fill(guard, cluster, arena, out);
    return OK;
}

enum err guard_incident_of(const struct guard *guard, const struct lure_key *key, bool of_campaign,
                           struct arena *arena, struct incident *out)
{
    const struct cluster *cluster = cluster_find_key(guard, key);
    const struct cluster *campaign =
        of_campaign && cluster != NULL ? cluster_by_id(guard, cluster->campaign) : NULL;
    if (campaign != NULL)
        cluster = campaign;
    if (cluster == NULL)
        return ERR_MISSING;
    fill(guard, cluster, arena, out);
    return OK;
}
