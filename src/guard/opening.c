/*
 * Openings: somebody followed a protected link (im/links.h), and what that adds
 * to his having been shown it.
 *
 * Only who was shown the lure counts, once, and only what he did first: where
 * links are not protected, nothing here ever happens.  That somebody passes on
 * what he did not open is not evidence for honesty: a worm may reach him past the
 * page (a text that it calls signed stays as it is), and then all its relays
 * would look so.
 */
#include "guard/guard_internal.h"

/* Whose client a worm sends from has opened it, through the page in 95 of 100 cases: other doors
 * are the rest.  Of honest people who pass a link on 41 in 100 have (Gabielkov et al., Social
 * Clicks, 2016: 59 % of shared links were not clicked).  ln(0.95 / 0.41). */
static const double opened_relay_nats = 0.84;
/* Of those who open a worm's lure about half become its senders soon (the others' machines are not
 * what it wants, or they see through it); of honest ones two in a hundred pass it on.
 * ln(0.54 / 0.98); who is not known to have opened it clears by as much as the worm's reader who
 * did not open it leaves: ln(0.84 / 0.98). */
static const double opened_absent_nats = -0.6, absent_nats = -0.15;

double opening_of_relay(struct guard *guard, struct cluster *cluster, struct member *member)
{
    if (member->opened_us == 0 || !evidence_counts(guard, EVIDENCE_OPENING))
        return 0;
    evidence_add(guard, cluster, EVIDENCE_OPENING, opened_relay_nats, member->user);
    return opened_relay_nats;
}

double opening_of_absent(const struct guard *guard, const struct member *member)
{
    // who opened it a moment ago may still become a sender
    bool settled =
        member->opened_us != 0 && guard->now_us - member->opened_us >= guard->config.mature_us / 2;
    return settled ? opened_absent_nats : absent_nats;
}

void take_opening(struct guard *guard, const struct opened *opened)
{
    const struct user *who = user_find(guard, opened->who);
    for (size_t i = 0; i < opened->n_keys && who != NULL; i++) {
        struct cluster *cluster = cluster_find_key(guard, &opened->keys[i]);
        struct member *member = cluster != NULL ? member_find(guard, cluster, who) : NULL;
        if (member != NULL && member->exposed_us != 0 && member->opened_us == 0 &&
            member->n_receivers == 0)
            member->opened_us = guard->now_us;
    }
}
