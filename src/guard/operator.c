/*
 * What operators decide about incidents: convictions by hand, and releases.
 */
#include "guard/guard_internal.h"

// What an operator's conviction does beside its stops.
static void operator_convicts(struct guard *guard, struct cluster *cluster,
                              const struct conviction *conviction, struct guard_word *word)
{
    cluster->operators = true;
    cluster->cleared = false;
    str_free(&cluster->actor);
    str_free(&cluster->why);
    cluster->actor = own_text(conviction->actor, TEXT_KEPT);
    cluster->why = own_text(conviction->reason, TEXT_KEPT);
    holds_end(guard, cluster, NULL, false, REASON_OPERATOR, word);
    restrict_members(guard, cluster, word);
    cluster_touch(guard, cluster);
    tally_operator(guard, cluster, true);
    word->incident = cluster->id;
}

void take_conviction_of_incident(struct guard *guard, const struct conviction *conviction,
                                 struct guard_word *word)
{
    struct cluster *cluster = cluster_by_id(guard, conviction->incident);
    word->reason = REASON_OPERATOR;
    if (cluster == NULL || !cluster->is_incident ||
        !convict_as_told(guard, cluster, conviction, word))
        return;
    operator_convicts(guard, cluster, conviction, word);
}

void take_conviction(struct guard *guard, const struct conviction *conviction,
                     struct guard_word *word)
{
    const struct lure *lure = conviction->lure;
    const struct lure_key *key = &lure->keys[conviction->width];
    if (lure_key_is_none(key))
        return;
    const struct stop *stop = stop_find_key(guard, key);
    word->reason = REASON_OPERATOR;
    if (stop != NULL) {
        word->incident = stop->incident;
        struct cluster *convicted = cluster_by_id(guard, stop->incident);
        // what is on trial for one lure is decided by his word, of a campaign he names but one link
        if (convicted != NULL && convicted->on_trial && !convicted->is_campaign &&
            convict_as_told(guard, convicted, conviction, word))
            operator_convicts(guard, convicted, conviction, word);
        else if (convicted != NULL)
            tally_operator(guard, convicted, true); // he agrees
        return;
    }
    struct cluster *cluster = cluster_find_key(guard, key);
    if (cluster == NULL)
        cluster = cluster_make(guard, lure, false, NULL);
    struct str shown = conviction->width == LURE_HOST     ? lure->host
                       : conviction->width == LURE_DOMAIN ? lure->domain
                                                          : lure->shown;
    int64_t expires_us = conviction_end_us(guard, conviction);
    cluster_is_convicted(guard, cluster, key, conviction->width, shown, expires_us);
    if ((lure->flags & LURE_INFECTED) != 0) {
        evidence_of_content(guard, cluster, lure, NULL);
        cluster_sum(cluster);
    }
    questions_withdraw(guard, cluster, word);
    convict_key(guard, cluster, key, conviction->width, shown, expires_us, REASON_OPERATOR, word);
    operator_convicts(guard, cluster, conviction, word);
}

void take_release(struct guard *guard, const struct release *release, struct guard_word *word)
{
    word->reason = REASON_OPERATOR;
    struct cluster *cluster = cluster_by_id(guard, release->incident);
    if (release->account.len > 0) {
        struct user *user = user_find(guard, release->account);
        if (user == NULL || restricted_until_us(guard, user) == 0 ||
            (release->incident != 0 && restricted_by(guard, user) != release->incident))
            return;
        word->incident = restricted_by(guard, user);
        restrict_undo(guard, user, REASON_OPERATOR, word);
        return;
    }
    if (cluster == NULL || !cluster->is_incident || cluster->state == CLUSTER_RELEASED)
        return; // again: it would only forget who did it, and when
    word->incident = cluster->id;
    questions_withdraw(guard, cluster, word);
    cluster->cleared = true;
    cluster->state = CLUSTER_RELEASED;
    cluster->ended_us = guard->now_us;
    str_free(&cluster->actor);
    str_free(&cluster->why);
    cluster->actor = own_text(release->actor, TEXT_KEPT);
    cluster->why = own_text(release->reason, TEXT_KEPT);
    stops_undo(guard, cluster, REASON_OPERATOR, word);
    LIST_EACH(&cluster->members, struct member, link, member)
    if (member->restricted && restricted_by(guard, member->user) == cluster->id)
        restrict_undo(guard, member->user, REASON_OPERATOR, word);
    holds_end(guard, cluster, NULL, true, REASON_OPERATOR, word);
    cluster_touch(guard, cluster);
    tally_operator(guard, cluster, false);
}
