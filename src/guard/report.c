/*
 * Reports: what people say of what they were sent.
 *
 * A report names lures, or only who sent them; then it is about what its writer was shown of his
 * of late.
 */
#include "guard/guard_internal.h"

static void report_cluster(struct guard *guard, struct cluster *cluster, struct user *reporter,
                           bool observed, struct guard_word *word)
{
    struct member *member = member_get(guard, cluster, reporter);
    word->incident = cluster->id; // also of a word that does not count
    // one word each, and none of those who spread it
    if (member == NULL || member->reported || (member->n_receivers > 0 && !member->warned))
        return;
    member->reported = true;
    evidence_of_report(guard, cluster, reporter, 1.5);
    cluster_becomes_incident(guard, cluster);
    cluster_touch(guard, cluster);
    if (observed)
        tally_reported(guard, cluster, user_jid(guard, reporter));
    if (cluster->state != CLUSTER_CONVICTED && may_convict(guard, cluster))
        convict(guard, cluster, word);
}

void take_report(struct guard *guard, const struct report *report, struct guard_word *word)
{
    struct user *reporter = user_get(guard, report->reporter);
    reporter->n_refs++;
    for (size_t i = 0; i < report->n_keys && i < 64; i++) {
        struct cluster *cluster = cluster_find_key(guard, &report->keys[i]);
        if (cluster != NULL)
            report_cluster(guard, cluster, reporter, report->observed, word);
    }
    struct user *sender = report->n_keys == 0 ? user_find(guard, report->sender) : NULL;
    const struct trail trail = sender != NULL ? trail_of(guard, sender) : (struct trail){0};
    for (size_t i = 0; i < RECENT_CLUSTERS; i++) {
        struct cluster *cluster = cluster_by_id(guard, trail.recent[i]);
        struct member *member = cluster != NULL ? member_find(guard, cluster, reporter) : NULL;
        if (member != NULL && member->exposed_us != 0)
            report_cluster(guard, cluster, reporter, report->observed, word);
    }
    if (report->observed)
        tally_report(guard, report, word);
    reporter->n_refs--;
}
