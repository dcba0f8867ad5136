/*
 * Looking in: incidents with their tree, evidence and orders; rules in force.
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

void guard_state(const struct guard *guard, struct guard_state *out)
{
    *out = (struct guard_state){
        .bytes = users_memory(guard) + guard->bytes_sights + guard->bytes_clusters,
        .bytes_users = users_memory(guard),
        .bytes_clusters = guard->bytes_clusters,
        .memory = guard->config.memory,
        .n_events = guard->number,
        .n_sendings = guard->n_sendings,
        .n_delivered = guard->n_delivered,
        .n_held = guard->n_held,
        .n_rejected = guard->n_rejected,
        .n_exposures = guard->n_exposures,
        .n_users = guard->n_users,
        .n_clusters = guard->n_clusters,
        .n_hosts = guard->n_young + guard->n_known,
        .n_forgotten = guard->n_forgotten,
        .n_incidents = guard->n_incidents,
        .n_convicted = guard->n_convicted,
        .n_waiting = guard->n_holds,
        .n_asking = guard->n_questions,
        .n_asked = guard->n_asked,
        .n_said_yes = guard->n_said_yes,
        .n_said_no = guard->n_said_no,
        .n_unanswered = guard->n_unanswered,
        .n_withdrawn = guard->n_withdrawn,
        .n_would_reject = guard->n_would_reject,
        .n_would_hold = guard->n_would_hold,
        .n_stops = guard->n_stops,
        .n_restricted = guard->n_restricted,
        .n_suspensions = guard->n_bans,
        .n_rights = guard->n_rights,
        .n_decoys = guard->n_decoys,
        .n_taken_back = guard->n_taken_back,
        .n_given_again = guard->n_given_again,
        .n_decoy_hits = guard->n_decoy_hits,
        .n_campaigns = guard->n_campaigns,
        .sealed = guard->sealed,
        .n_tallies = guard->n_tallies,
        .n_tallies_forgotten = guard->n_tallies_forgotten,
        .novel_share = guard->lessons.novel / guard->lessons.sendings,
    };
}

static struct guard_rule rule_of_stop(const struct guard *guard, const struct stop *stop)
{
    const struct cluster *cluster = cluster_by_id(guard, stop->incident);
    return (struct guard_rule){.kind = RULE_STOP,
                               .incident = stop->incident,
                               .key = stop->key,
                               .width = stop->width,
                               .shown = stop->shown,
                               .expires_us = stop->expires_us,
                               .actor = cluster != NULL ? cluster->actor : STR_EMPTY,
                               .why = cluster != NULL ? cluster->why : STR_EMPTY};
}

void guard_rules(const struct guard *guard, guard_rule_fn *fn, void *context)
{
    struct guard_rule rule;
    LIST_EACH((struct list *)&guard->stops, struct stop, link, stop)
    {
        rule = rule_of_stop(guard, stop);
        fn(context, &rule);
    }
    LIST_EACH((struct list *)&guard->bans, struct ban, link, ban)
    {
        rule = (struct guard_rule){.kind = RULE_SUSPEND,
                                   .feature = ban->feature,
                                   .account = ban->account,
                                   .domain = ban->domain,
                                   .expires_us = ban->expires_us,
                                   .actor = ban->actor,
                                   .why = ban->why};
        fn(context, &rule);
    }
    LIST_EACH((struct list *)&guard->rights, struct right, link, right)
    {
        rule = (struct guard_rule){.kind = RULE_ENTITLE,
                                   .account = user_jid(guard, right->user),
                                   .domain = right->domain,
                                   .receivers = right->most,
                                   .expires_us = right->expires_us,
                                   .actor = right->actor,
                                   .why = right->why};
        fn(context, &rule);
    }
    USERS_EACH(guard, user)
    {
        if (restricted_until_us(guard, user) > guard->now_us) {
            rule = (struct guard_rule){.kind = RULE_RESTRICT,
                                       .incident = restricted_by(guard, user),
                                       .account = user_jid(guard, user),
                                       .expires_us = restricted_until_us(guard, user)};
            fn(context, &rule);
        }
        if (user->is_decoy) {
            rule = (struct guard_rule){.kind = RULE_DECOY, .account = user_jid(guard, user)};
            fn(context, &rule);
        }
    }
}

static int64_t time_of_hit(const struct cluster *cluster, const struct user *who)
{
    for (size_t i = 0; i < cluster->n_evidence; i++)
        if (cluster->evidence[i].kind == EVIDENCE_DECOY && cluster->evidence[i].who == who)
            return cluster->evidence[i].at_us;
    return 0;
}

static void tell_hits(const struct guard *guard, const struct cluster *cluster,
                      guard_decoy_hit_fn *fn, void *context)
{
    const struct binding *narrowest = cluster_narrowest(cluster);
    struct guard_decoy_hit hit = {
        .incident = cluster->is_incident ? cluster->id : 0,
        .convicted = cluster->state == CLUSTER_CONVICTED,
        .shown = cluster->shown.len > 0 || narrowest == NULL ? cluster->shown : narrowest->shown,
    };
    LIST_EACH((struct list *)&cluster->members, struct member, link, member)
    {
        if (member->decoy <= 0)
            continue;
        hit.sender = user_jid(guard, member->user);
        hit.nats = member->decoy;
        hit.discounted = decoy_hit_is_discounted(member->decoy);
        hit.at_us = time_of_hit(cluster, member->user);
        fn(context, &hit);
    }
}

void guard_decoy_hits(const struct guard *guard, guard_decoy_hit_fn *fn, void *context)
{
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH((struct list *)&guard->clusters[rank], struct cluster, link, cluster)
    // a campaign counts again what its lures have
    if (cluster->n_decoy_senders > 0 && !cluster->is_campaign)
        tell_hits(guard, cluster, fn, context);
}
