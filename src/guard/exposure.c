/*
 * Exposures: a copy reached somebody's client.  Whoever sends it after that is a relay.
 */
#include "guard/guard_internal.h"

void take_exposure(struct guard *guard, const struct exposure *exposure)
{
    guard->n_exposures++;
    struct cluster *seen[LURES_MOST]; // all of them: a worm could put its own last
    size_t n_seen = 0;
    for (size_t i = 0; i < exposure->n_keys && n_seen < COUNT_OF(seen); i++) {
        struct cluster *cluster = cluster_find_key(guard, &exposure->keys[i]);
        for (size_t k = 0; k < n_seen && cluster != NULL; k++)
            if (seen[k] == cluster)
                cluster = NULL;
        if (cluster == NULL || cluster->kind == LURE_SEALED) // shown when it was let go
            continue;
        seen[n_seen++] = cluster;
        struct user *sender, *receiver;
        user_get_both(guard, exposure->sender, exposure->receiver, &sender, &receiver);
        if (sender == receiver || receiver->is_decoy)
            continue;
        struct member *member = member_get(guard, cluster, receiver);
        if (member == NULL || member->exposed_us != 0 || member->n_receivers > 0)
            continue;
        member->exposed_us = guard->now_us;
        member->from = sender;
        sender->n_refs++;
        cluster->n_exposed++;
        cluster_share(guard, cluster);
        if (cluster->fresh && (cluster->zero == sender || is_of_incident(guard, cluster)))
            campaign_shown(guard, cluster, sender, receiver);
    }
    users_trim(guard);
}
