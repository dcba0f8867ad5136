/*
 * What is asked of the guard from outside, and changes nothing: its figures, what is in force, who
 * sent something to decoys, what may be opened.  Of incidents: incident.c; when it wants to be told
 * the time: orders.c.
 */
#include "guard/guard_internal.h"

uint64_t guard_number(const struct guard *guard)
{
    return guard->number;
}

void guard_state(const struct guard *guard, struct guard_state *out)
{
    *out = (struct guard_state){
        .bytes = users_memory(guard) + guard->bytes_sights + guard->bytes_clusters,
        .bytes_users = users_memory(guard),
        .bytes_clusters = guard->bytes_clusters,
        .memory = guard->config.memory,
        .outbreak = outbreak_level(guard),
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

void guard_decoy_hits(const struct guard *guard, guard_decoy_hit_fn *fn, void *context)
{
    LIST_EACH((struct list *)&guard->hits, struct decoy_hit, link, at)
    {
        const struct cluster *cluster = at->cluster;
        const struct binding *narrowest = cluster_narrowest(cluster);
        const struct member *member = member_find(guard, cluster, at->sender);
        const double nats = member != NULL ? member->decoy : 0;
        const struct guard_decoy_hit hit = {
            .incident = cluster->is_incident ? cluster->id : 0,
            .convicted = cluster->state == CLUSTER_CONVICTED,
            .sender = user_jid(guard, at->sender),
            .decoy = at->decoy != NULL ? user_jid(guard, at->decoy) : STR_EMPTY,
            .shown =
                cluster->shown.len > 0 || narrowest == NULL ? cluster->shown : narrowest->shown,
            .nats = nats,
            .discounted = decoy_hit_is_discounted(nats),
            .at_us = at->at_us,
        };
        fn(context, &hit);
    }
}

uint64_t guard_convicted(const struct guard *guard, const struct lure_key *keys, size_t n_keys,
                         int64_t now_us)
{
    for (size_t i = 0; i < n_keys; i++) {
        const struct stop *stop = stop_find_key(guard, &keys[i]);
        if (stop != NULL && (stop->expires_us == 0 || stop->expires_us > now_us))
            return stop->incident;
    }
    return 0;
}

// Cleared by an operator, or by what came after.
static bool is_suspect(const struct cluster *cluster, double warn_nats)
{
    if (cluster->cleared || (cluster->state != CLUSTER_QUIET && cluster->state != CLUSTER_OPEN))
        return false;
    // on a host that many know one person alone warns nobody
    uint32_t reports = cluster->established ? 2 : 1;
    return cluster->n_waiting > 0 || cluster->n_reports >= reports || cluster->nats >= warn_nats;
}

enum opening guard_opening(const struct guard *guard, const struct lure_key *keys, size_t n_keys,
                           double warn_nats, int64_t now_us, uint64_t *incident)
{
    *incident = guard_convicted(guard, keys, n_keys, now_us);
    if (*incident != 0)
        return OPENING_BLOCK;
    for (size_t i = 0; i < n_keys; i++) {
        const struct cluster *cluster =
            lure_key_is_none(&keys[i]) ? NULL : cluster_find_key(guard, &keys[i]);
        if (cluster == NULL || !is_suspect(cluster, warn_nats))
            continue;
        *incident = cluster->is_incident ? cluster->id : 0;
        return OPENING_WARN;
    }
    return OPENING_GO;
}

bool guard_is_holding(const struct guard *guard, uint64_t message)
{
    LIST_EACH(&guard->holds, struct hold, link, hold)
    {
        if (hold->message == message)
            return true;
    }
    return false;
}
