/*
 * Campaigns: never-seen lures that share no key, tied by the people who sent them.
 *
 * A worm that changes host and words with every copy leaves nothing to compare
 * but who sent what to whom, and when.  So each account has a trail: the
 * never-seen lures that it sent and was shown of late.  The second one of a
 * burst, or the first of somebody who was shown one shortly before, makes a
 * campaign, a cluster without keys of its own: its lures are the clusters of
 * those copies, its members their senders and receivers.  Whoever was shown one
 * of its lures and then sends another never-seen one is a relay of it, in weak
 * form.
 *
 * What is a burst, and what is shortly, is learnt: every pause weighs by how rare
 * such a pause is among the site's own people, so that a place where people
 * send fifty times as much needs no other constants.
 */
#include "guard/guard_internal.h"

/* LOUD_FROM: two pauses tell a pace, one may be chance. */
enum { NEVER = SPAN_BINS - 1, LOUD_FROM = 3 };

static const double fan_most = 6.5, span_most = 3.5, lag_most = 3.9, streak_most = 5.0,
                    lessons_most = 20000, burst_most = 2.5;

/* A worm's pauses: any up to some hours, whatever is usual at the site.  Of spans, and of lags. */
static const double worms_span = 1.0 / 16, worms_lag = 1.0 / 11, worms_long = 0.01;
enum { WORMS_SPANS = 15, WORMS_LAG_FIRST = 2, WORMS_LAGS = 14 };

size_t span_bin(int64_t span_us)
{
    size_t bin = 0;
    for (int64_t limit = 1000000; bin + 1 < NEVER && span_us >= limit; limit *= 2)
        bin++;
    return bin;
}

void campaign_lessons_default(struct lessons *lessons)
{
    // never-seen lures of one person to different ones: some in a conversation, most days apart
    static const double spans[SPAN_BINS] = {0.05, 0.05, 0.05, 0.05, 0.08, 0.15, 0.3, 0.5,
                                            0.7,  1.0,  1.2,  1.6,  1.8,  2,    2,   2.2,
                                            2.2,  2.5,  3,    3,    3,    3,    3,   20};
    // of those who were shown one, who sends another, and when
    static const double lags[SPAN_BINS] = {0.02, 0.02, 0.03, 0.05, 0.08, 0.15, 0.25, 0.4,
                                           0.5,  0.6,  0.8,  0.8,  1,    1,    1,    1,
                                           1,    1,    1,    1,    1,    1,    1,    0};
    memcpy(lessons->spans, spans, sizeof spans);
    memcpy(lessons->lags, lags, sizeof lags);
    lessons->shown = 60;
    lessons->led = 20;
    lessons->streaks = 1.6;
    // careful ones, which a few hundred copies of the site's own outweigh
    lessons->copies = PRIOR_COPIES;
    lessons->rare[RARE_STAR][8] = lessons->rare[RARE_STAR][12] = 0.5;
    lessons->rare[RARE_FULL][8] = lessons->rare[RARE_FULL][12] = 0.5;
    lessons->rare[RARE_SPREAD][10] = lessons->rare[RARE_SPREAD][13] = 1;
    lessons->rare[RARE_BURST][9] = lessons->rare[RARE_BURST][12] = 2;
    rare_believe_all(lessons);
}

/* What a bin holds, and a part of its neighbours: bins are few observations. */
static double smooth(const double *bins, size_t bin)
{
    double around =
        (bin > 0 ? bins[bin - 1] : bins[bin]) + (bin + 1 < NEVER ? bins[bin + 1] : bins[bin]);
    return 0.5 * bins[bin] + 0.25 * around;
}

static double sum_of(const double *bins, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += bins[i];
    return sum;
}

static double span_nats(const struct lessons *lessons, size_t bin)
{
    double honest = smooth(lessons->spans, bin) / sum_of(lessons->spans, SPAN_BINS);
    return log((bin < WORMS_SPANS ? worms_span : worms_long) / honest);
}

/* A relay is the i-th of n people who were shown one; 0 for whom it explains nothing: so many
 * honest people send another by then that their chains would never end. */
static double lag_nats(const struct guard *guard, size_t bin, double n, double i)
{
    const struct lessons *lessons = &guard->lessons;
    if (sum_of(lessons->lags, bin + 1) > guard->config.relay_share * lessons->shown)
        return 0;
    bool is_worms = bin >= WORMS_LAG_FIRST && bin < WORMS_LAGS;
    double honest = smooth(lessons->lags, bin) / lessons->shown * n / i;
    return clamp(0, log((is_worms ? worms_lag : worms_long) / clamp(0.001, honest, 0.9)), lag_most);
}

bool campaign_is_taught(const struct guard *guard)
{
    return guard->lessons.taught >= guard->config.campaign_lessons;
}

int64_t fresh_window_us(const struct guard *guard)
{
    const double *spans = guard->lessons.spans;
    double left = guard->config.fresh_share * sum_of(spans, SPAN_BINS);
    int64_t window_us = 1000000;
    for (size_t bin = 0; bin < NEVER && (left -= spans[bin]) > 0; bin++)
        window_us *= 2;
    return window_us;
}

/* ---- What people were shown --------------------------------------------------------------------
 */

void campaign_shown(struct guard *guard, struct cluster *cluster, struct user *sender,
                    struct user *receiver)
{
    struct trail trail = trail_of(guard, receiver);
    memmove(trail.shown + 1, trail.shown, sizeof trail.shown - sizeof *trail.shown);
    memmove(trail.shown_us + 1, trail.shown_us, sizeof trail.shown_us - sizeof *trail.shown_us);
    trail.shown[0] = cluster->id;
    trail.shown_us[0] = guard->now_us;
    trail_put(guard, receiver, &trail);
    struct cluster *campaign = cluster_by_id(guard, cluster->campaign);
    if ((campaign == NULL || campaign->rank < 2) && guard->lessons.shown < lessons_most)
        guard->lessons.shown++;
    struct member *member = campaign != NULL ? member_get(guard, campaign, receiver) : NULL;
    if (member == NULL || member->exposed_us != 0 || member->n_receivers > 0)
        return;
    member->exposed_us = guard->now_us;
    member->from = sender;
    sender->n_refs++;
    campaign->n_exposed++;
}

/* Whether it is known for a worm's: its people have denied it, or done what convicts a tree. */
static bool campaign_is_known(const struct guard *guard, const struct cluster *campaign)
{
    return !campaign->cleared &&
           (campaign->n_denied > 0 ||
            (campaign->state == CLUSTER_CONVICTED && may_convict_tree(guard, campaign, true)));
}

bool campaign_is_late(const struct guard *guard, const struct cluster *campaign,
                      const struct member *member)
{
    return campaign_is_known(guard, campaign) && member->is_relay && !member->restricted &&
           member->n_machine < MACHINE_GAPS &&
           (campaign->state != CLUSTER_CONVICTED || member->sent_us > campaign->convicted_us);
}

double campaign_loudness(const struct guard *guard, const struct cluster *campaign,
                         const struct member *member)
{
    // who sends like a program is convicted on trial, which takes back what has gone
    if (campaign->cleared || campaign->state == CLUSTER_CONVICTED || !campaign_is_taught(guard) ||
        member->n_receivers < LOUD_FROM || member->n_machine > 0)
        return 0;
    double nats = campaign->novelty + campaign->mimicry + member_nats(member);
    if (member->is_relay)
        nats += member->relay;
    else if (campaign->root == member->user && campaign->n_relays > 0)
        nats += campaign->relays_nats / campaign->n_relays;
    return nats;
}

bool campaign_disowns(const struct guard *guard, const struct cluster *cluster,
                      const struct member *member)
{
    const struct cluster *campaign = cluster_by_id(guard, cluster->campaign);
    if (!cluster->fresh || cluster->n_independent > 0 || member->user == cluster->zero ||
        member->exposed_us == 0)
        return false;
    return (!cluster->cleared && question_denied(cluster, cluster->zero)) ||
           (campaign != NULL && !campaign->cleared && question_denied(campaign, cluster->zero));
}

/* What led him to send, if anything: the lure of the most suspect campaign that he was shown
 * before then; known: only of one that is known. */
static size_t find_arrow(const struct guard *guard, const struct trail *trail,
                         const struct user *sender, const struct user *receiver, int64_t before_us,
                         bool known, struct cluster **cluster)
{
    size_t best = SHOWN_KEPT;
    double most = -1;
    for (size_t i = 0; i < SHOWN_KEPT && trail->shown[i] != 0; i++) {
        struct cluster *at = cluster_by_id(guard, trail->shown[i]);
        const struct member *his = at != NULL ? member_find(guard, at, sender) : NULL;
        // back to the one who showed it: they talk to each other
        if (at == NULL || at->zero == NULL || at->zero == receiver ||
            (his != NULL && his->from == receiver) ||
            guard->now_us - trail->shown_us[i] > guard->config.relay_us ||
            trail->shown_us[i] > before_us)
            continue;
        const struct cluster *campaign = cluster_by_id(guard, at->campaign);
        if (known && (campaign == NULL || !campaign_is_known(guard, campaign) ||
                      guard->now_us - trail->shown_us[i] > guard->config.restriction_us))
            continue;
        double nats = campaign != NULL && campaign->nats > 0 ? campaign->nats : 0;
        if (nats > most) {
            most = nats;
            best = i;
            *cluster = at;
        }
    }
    return best;
}

/* ---- A campaign ------------------------------------------------------------------------------ */

void campaign_add(struct cluster *campaign, struct cluster *cluster)
{
    cluster->campaign = campaign->id;
    list_add_last(&campaign->lures, &cluster->in_campaign);
    campaign->n_lures++;
}

void campaign_leave(struct guard *guard, struct cluster *cluster)
{
    LIST_EACH(&cluster->lures, struct cluster, in_campaign, lure)
    {
        list_leave(&lure->in_campaign);
        lure->campaign = 0;
    }
    cluster->n_lures = 0;
    if (!list_is_member(&cluster->in_campaign))
        return;
    list_leave(&cluster->in_campaign);
    cluster_by_id(guard, cluster->campaign)->n_lures--;
    cluster->campaign = 0;
}

/* The lure, its sender and those it was shown to become the campaign's. */
static void adopt(struct guard *guard, struct cluster *campaign, struct cluster *cluster)
{
    if (cluster->campaign != 0)
        return;
    campaign_add(campaign, cluster);
    LIST_EACH(&cluster->members, struct member, link, member)
    {
        struct member *his = member_get(guard, campaign, member->user);
        if (his == NULL)
            return;
        if (member->user == cluster->zero && his->n_receivers == 0 && member->n_receivers > 0) {
            his->n_sent = his->n_receivers = 1;
            his->receivers.few[0] = *receivers_of(member, n_told_apart(member));
            his->sent_us = member->sent_us;
            his->last_sent_us = member->last_sent_us;
            his->roster_index = member->roster_index;
            his->composed = member->composed;
            his->silence = member->silence;
            his->remote = member->remote;
            member_uses(his, member->device);
            campaign->n_sendings++;
            campaign->n_receivers++;
        }
        if (member->exposed_us == 0 || his->exposed_us != 0 || his->n_receivers > 0)
            continue;
        his->exposed_us = member->exposed_us;
        his->from = member->from;
        if (his->from != NULL)
            his->from->n_refs++;
        campaign->n_exposed++;
    }
}

static struct cluster *campaign_make(struct guard *guard, struct cluster *first)
{
    guard->n_campaigns++;
    struct cluster *campaign = cluster_new(guard, guard->next_cluster++, first->zero);
    campaign->is_campaign = true;
    campaign->kind = first->kind;
    campaign->novel = true;
    cluster_share(guard, campaign); // his trail alone bounds how many he has
    evidence_of_novelty(guard, campaign);
    adopt(guard, campaign, first);
    struct trail trail = trail_of(guard, first->zero);
    trail.campaign = campaign->id;
    if (trail.sent_us != 0 || trail.shown[0] != 0)
        trail_put(guard, first->zero, &trail);
    return campaign;
}

bool campaign_covers(const struct guard *guard, const struct cluster *campaign,
                     const struct user *sender)
{
    const struct member *member = sender != NULL ? member_find(guard, campaign, sender) : NULL;
    if (member == NULL || member->n_receivers == 0 || question_confirmed(campaign, sender))
        return false;
    // who was shown one, and then sends one person his own as slowly as anybody, is no part of the
    // tree: a few accounts can show anybody theirs
    bool asks = guard->config.ask_us > 0; // he would be asked before his next one
    bool is_of_tree =
        (member->is_relay && (member->n_receivers >= 2 || !asks)) || campaign->root == member->user;
    return member->n_machine > 1 || (is_of_tree && may_convict_tree(guard, campaign, true));
}

bool campaign_follows(const struct guard *guard, const struct cluster *campaign,
                      const struct user *sender)
{
    const struct member *member = member_find(guard, campaign, sender);
    // who joined it later, at a hand's pace, is asked (campaign_is_late), where people are
    bool asks = guard->config.ask_us > 0;
    return campaign->state == CLUSTER_CONVICTED && campaign_covers(guard, campaign, sender) &&
           (member->n_machine > 1 || !asks ||
            (member->sent_us != 0 && member->sent_us <= campaign->convicted_us)) &&
           guard->now_us - member->last_sent_us < guard->config.restriction_us;
}

static void give_again(struct guard *guard, struct cluster *campaign, struct cluster *lure,
                       struct guard_word *word)
{
    LIST_EACH(&lure->bindings, struct binding, link, binding)
    {
        struct stop *stop = stop_find_of(guard, campaign, &binding->key);
        if (stop != NULL) {
            campaign->n_stops--;
            stop_undo(guard, campaign, stop, REASON_CLEARED, word);
        }
    }
}

void campaign_confirmed(struct guard *guard, struct cluster *campaign, struct user *user,
                        struct guard_word *word)
{
    bool is_unanswered = campaign->on_trial && !accused_are_asked(campaign);
    LIST_EACH(&campaign->lures, struct cluster, in_campaign, lure)
    {
        if (lure->zero == user) {
            give_again(guard, campaign, lure, word);
            continue;
        }
        // He came by it in another way.  A worm's author has accounts of his own, though, and one
        // of them is no proof.
        const struct member *member = is_unanswered ? member_find(guard, lure, user) : NULL;
        if (member != NULL && member->exposed_us == 0 && member->n_receivers > 0 &&
            !question_confirmed(lure, user) && ++lure->n_confirmed >= guard->config.ask_denials)
            give_again(guard, campaign, lure, word);
    }
    holds_end(guard, campaign, user, true, REASON_CLEARED, word);
}

/* NULL where it is over: nothing adds up for ever. */
static struct cluster *campaign_alive(struct guard *guard, uint64_t id)
{
    struct cluster *campaign = cluster_by_id(guard, id);
    if (campaign == NULL || !campaign->is_campaign || campaign->state == CLUSTER_EXPIRED)
        return NULL;
    if (campaign->state == CLUSTER_CONVICTED || campaign->n_waiting > 0 ||
        guard->now_us - campaign->first_us <= guard->config.novel_us)
        return campaign;
    if (campaign->state == CLUSTER_QUIET) {
        lessons_of(guard, campaign);
        cluster_forget(guard, campaign);
    } else {
        cluster_close(guard, campaign);
    }
    return NULL;
}

static void weigh(struct guard *guard, struct cluster *campaign, struct member *member,
                  const struct sending *sending, struct user *receiver, double relay, bool *machine)
{
    const struct lessons *lessons = &guard->lessons;
    const struct trail trail = trail_of(guard, member->user);
    campaign->n_sendings++;
    member->n_sent++;
    member->remote |= sending->remote;
    member_uses(member, sending->device);
    if (receiver == member->from || !member_is_new_receiver(guard, member, receiver))
        return;
    struct member was = *member;
    campaign->n_receivers += sending->audience > 0 ? sending->audience : 1;
    if (++member->n_receivers == 1) {
        member->sent_us = guard->now_us;
        if (relay > 0) {
            member->is_relay = true;
            member->relay = relay;
            campaign->n_relays++;
            campaign->relays_nats += relay;
            evidence_add(guard, campaign, EVIDENCE_RELAY, relay, member->user);
        }
    } else {
        int64_t span_us = guard->now_us - member->last_sent_us;
        // pauses of one person resemble each other, and those of one who often does so most of all
        double often = (1 + 0.5 * (member->n_receivers - 2)) * (1 + 0.5 * member->user->n_fans);
        double nats = clamp(-1, span_nats(lessons, span_bin(span_us)), span_most) / often;
        if (evidence_counts(guard, EVIDENCE_FANOUT))
            member->fan = clamp(0, member->fan + nats, fan_most);
        // an honest person says something else between, sooner or later
        int64_t gap_us = sending->pace.gap_us;
        if (gap_us >= 0 && trail.sent_us != 0 && evidence_counts(guard, EVIDENCE_STREAK) &&
            guard->now_us - trail.sent_us <= gap_us + gap_us / 8) {
            double streak = log(0.9 * lessons->led / lessons->streaks);
            member->streak =
                clamp(0, member->streak + (was.streak > 0 ? 0.7 : streak), streak_most);
        }
        if (member->n_receivers == 2 && member->is_relay)
            campaign->n_grown++;
    }
    *machine = evidence_of_manner(guard, campaign, member, sending, receiver);
    evidence_of_member(guard, campaign, member, &was);
}

/* What he does is ordinary unless his campaign says otherwise. */
static void learn(struct guard *guard, const struct cluster *campaign, const struct trail *trail,
                  const struct sending *sending, uint32_t receiver, size_t arrow,
                  struct user *sender)
{
    struct lessons *lessons = &guard->lessons;
    // a burst says how one person is, not how people are: else a worm taught its own pace
    if ((campaign != NULL && campaign->rank > 1) || trail->receiver == receiver ||
        trail_level(guard, trail) > burst_most || lessons->led > lessons_most ||
        !user_may_teach(guard, sender))
        return;
    int64_t span_us = guard->now_us - trail->sent_us, gap_us = sending->pace.gap_us;
    lessons->taught++;
    lessons->spans[trail->sent_us != 0 ? span_bin(span_us) : NEVER]++;
    if (arrow < SHOWN_KEPT)
        lessons->lags[span_bin(guard->now_us - trail->shown_us[arrow])]++;
    if (trail->sent_us == 0)
        return;
    lessons->led++;
    lessons->streaks += gap_us >= 0 && span_us <= gap_us + gap_us / 8;
}

void campaign_denied(struct guard *guard, struct cluster *cluster)
{
    if (!guard->config.campaigns)
        return;
    struct cluster *campaign = campaign_alive(guard, cluster->campaign);
    if (campaign == NULL)
        campaign = campaign_make(guard, cluster);
    campaign->n_denied++;
    cluster_touch(guard, campaign);
}

/* That he was shown the lure, and then sent others to several, whenever it was. */
static void spread_weighs(struct guard *guard, struct cluster *campaign, struct member *member,
                          double nats)
{
    if (campaign->root == member->user)
        return; // what grew from his own came back to him
    struct member was = *member;
    if (member->sent_us == 0)
        member->sent_us = guard->now_us;
    uint32_t reached = nats > 0 ? (uint32_t)guard->config.fresh_spread : 1;
    campaign->n_grown += nats > 0 && (!was.is_relay || was.n_receivers < 2);
    member_reached(guard, member, reached);
    if (!was.is_relay) {
        member->is_relay = true;
        campaign->n_relays++;
        campaign->members_nats += is_summed_as_relay(&was) ? 0 : member_nats(&was);
    }
    // that he sends to many is counted already, as far as the pauses told it
    double relay = nats - member->fan;
    if (relay > member->relay) {
        campaign->relays_nats += relay - was.relay;
        evidence_add(guard, campaign, EVIDENCE_RELAY, relay - was.relay, member->user);
        member->relay = relay;
    }
    evidence_of_member(guard, campaign, member, &was);
}

/* Who showed it had sent it, or such, to several himself. */
static void burst_weighs(struct guard *guard, struct cluster *campaign, const struct user *user)
{
    struct member *member = user != NULL ? member_find(guard, campaign, user) : NULL;
    if (member == NULL || member->is_relay)
        return;
    const struct trail trail = trail_of(guard, user);
    if (trail.least[RARE_BURST] == 0)
        return;
    double nats = rare_nats(guard, RARE_BURST, trail.least[RARE_BURST] - 1U);
    if (nats <= member->fan)
        return;
    struct member was = *member;
    member->fan = nats;
    member_reached(guard, member, (uint32_t)guard->config.fresh_spread);
    evidence_of_member(guard, campaign, member, &was);
}

/* Whoever was shown one and has since sent others to several people is a relay, though late. */
static struct cluster *spreads(struct guard *guard, struct cluster *cluster, struct user *sender,
                               struct trail *trail, const struct user *receiver,
                               struct cluster *campaign)
{
    struct cluster *shown = NULL;
    trail_counts(guard, sender, trail);
    int64_t full_us = trail_nth_us(trail, (size_t)guard->config.fresh_most + 1);
    int64_t burst_us = trail_nth_us(trail, (size_t)guard->config.fresh_spread);
    size_t before = find_arrow(guard, trail, sender, receiver, full_us, false, &shown);
    trail->full_us = before < SHOWN_KEPT ? trail->shown_us[before] : 0;
    if (trail->full_us != 0)
        trail_notes(trail, RARE_FULL, guard->now_us - trail->full_us);
    double nats = 0;
    size_t arrow = find_arrow(guard, trail, sender, receiver, burst_us, false, &shown);
    if (arrow < SHOWN_KEPT) {
        int64_t took_us = guard->now_us - trail->shown_us[arrow];
        nats = rare_nats(guard, RARE_SPREAD, span_bin(took_us));
        trail_notes(trail, RARE_SPREAD, took_us);
    }
    if (nats <= 0) // of one that is known two are enough to ask him, and say nothing yet
        arrow = find_arrow(guard, trail, sender, receiver, trail_nth_us(trail, 2), true, &shown);
    if (arrow == SHOWN_KEPT || !evidence_counts(guard, EVIDENCE_RELAY))
        return campaign;
    struct cluster *theirs = campaign_alive(guard, shown->campaign);
    struct member *member = campaign != NULL ? member_find(guard, campaign, sender) : NULL;
    if (member == NULL || !member->is_relay)
        campaign = theirs != NULL ? theirs : campaign_make(guard, shown);
    member = member_get(guard, campaign, sender);
    if (member == NULL)
        return NULL;
    if (nats > 0) // what he sent may be his own will
        adopt(guard, campaign, cluster);
    for (size_t i = 0; nats > 0 && i < RECENT_CLUSTERS; i++) {
        struct cluster *recent = cluster_by_id(guard, trail->recent[i]);
        if (recent != NULL && recent->fresh && recent->zero == sender &&
            recent->first_us >= trail->shown_us[arrow])
            adopt(guard, campaign, recent);
    }
    spread_weighs(guard, campaign, member, nats);
    if (nats > 0 && evidence_counts(guard, EVIDENCE_FANOUT))
        burst_weighs(guard, campaign, shown->zero);
    return campaign;
}

/* The first copy of a lure: what its sender's pauses and those since he was shown one say. */
static struct cluster *takes_first(struct guard *guard, struct cluster *cluster,
                                   struct user *sender, struct trail *trail, struct user *receiver,
                                   const struct sending *sending, bool *machine)
{
    uint32_t hash = receiver->hash_high;
    struct cluster *shown = NULL, *before = cluster_by_id(guard, trail->sent);
    size_t arrow = find_arrow(guard, trail, sender, receiver, guard->now_us, false, &shown);
    bool in_window = guard->now_us - trail->sent_us <= fresh_window_us(guard);
    struct cluster *campaign = campaign_alive(guard, trail->campaign);
    struct member *member = campaign != NULL ? member_find(guard, campaign, sender) : NULL;
    if (campaign != NULL && campaign->state != CLUSTER_CONVICTED && !in_window)
        campaign = NULL;
    double relay = 0;
    // he may be of another one by now: of what he was shown since, unless he passes on already
    if (arrow < SHOWN_KEPT && evidence_counts(guard, EVIDENCE_RELAY) &&
        (campaign == NULL || member == NULL || !member->is_relay) &&
        (campaign == NULL || trail->shown_us[arrow] > trail->sent_us)) {
        struct cluster *theirs = campaign_alive(guard, shown->campaign);
        double n = theirs != NULL ? theirs->n_exposed : shown->n_exposed;
        double i = theirs != NULL ? theirs->n_relays + 1 : 1;
        size_t bin = span_bin(guard->now_us - trail->shown_us[arrow]);
        relay = lag_nats(guard, bin, n > 1 ? n : 1, i);
        if (relay > 0 && theirs != campaign)
            campaign = theirs != NULL ? theirs : campaign_make(guard, shown);
        else if (relay > 0 && theirs == NULL)
            campaign = campaign_make(guard, shown);
    }
    if (campaign == NULL && before != NULL && in_window && before->zero == sender &&
        trail->receiver != hash)
        campaign = campaign_make(guard, before);
    if (campaign != NULL) {
        member = member_get(guard, campaign, sender);
        if (member != NULL) {
            weigh(guard, campaign, member, sending, receiver, relay, machine);
            adopt(guard, campaign, cluster);
        } else {
            campaign = NULL;
        }
    }
    if (campaign != NULL)
        cluster_touch(guard, campaign);
    learn(guard, campaign, trail, sending, hash, arrow, sender);
    trail->level = trail->receiver != hash ? trail_level(guard, trail) + 1 : trail->level;
    trail->campaign = campaign != NULL ? campaign->id : 0;
    trail->sent = cluster->id;
    trail->sent_us = guard->now_us;
    trail->receiver = hash;
    return campaign;
}

struct cluster *campaign_takes(struct guard *guard, struct cluster *cluster, struct user *sender,
                               struct user *receiver, const struct sending *sending, bool is_born,
                               bool *machine)
{
    if (!guard->config.campaigns)
        return NULL;
    struct trail trail = trail_of(guard, sender);
    bool adds = trail_adds(guard, &trail, receiver->hash_high, sending->audience);
    struct cluster *campaign =
        is_born ? takes_first(guard, cluster, sender, &trail, receiver, sending, machine)
                : campaign_alive(guard, trail.campaign);
    if (adds)
        campaign = spreads(guard, cluster, sender, &trail, receiver, campaign);
    trail_put(guard, sender, &trail);
    if (campaign == NULL && (trail_is_full(guard, &trail) || trail_asks(guard, &trail)))
        campaign = campaign_make(guard, cluster);
    if (campaign == NULL)
        return NULL;
    trail = trail_of(guard, sender);
    trail.campaign = campaign->id;
    trail_put(guard, sender, &trail);
    cluster_touch(guard, campaign);
    struct member *member = member_find(guard, campaign, sender);
    if (member == NULL)
        return NULL;
    member_uses(member, sending->device);
    return campaign;
}
