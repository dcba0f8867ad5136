/*
 * Evidence: what each observation weighs, and what ordinary people taught.
 *
 * Every weight is ln P(this | worm) / P(this | honest).  The honest side starts
 * from the priors below and moves with the site's own settled traffic; the
 * worm's side is what containment.md measured.  Observations that depend on each
 * other (the gaps of one sender, the words of one text) are capped together, and
 * whatever a worm can do to look honest is charged once for a cluster, else a
 * long tree would clear itself.
 */
#include "guard/guard_internal.h"

static const double fan_most = 6.5, pace_most = 6.0, silence_most = 2.4, roster_most = 2.5,
                    novelty_most = 3.5, relay_most = 3.9, sender_most = 16.0, machine_most = 6.5,
                    decoy_nats = 5.0, decoy_discounted_nats = 0.1, dormant_most = 1.5,
                    live_most = -2.0, reports_most = 4.0, absence_most = -3.0, mimicry_nats = -0.69,
                    origin_nats = -0.7, origins_most = -7.0, infected_nats = 10.0,
                    few_nats = 2.0; // more is to speak for a small tree before its copies wait

/* The priors weigh as much as this many observations. */
static const double prior_weight = 50, lessons_most = 20000;

/* Where so many of the senders came by a lure by themselves, an exposed one may have too. */
static const double likely_known = 0.6;

void lessons_default(struct lessons *lessons)
{
    // P(one more receiver | k reached) of a link among honest people
    static const double went_on[FAN_BINS] = {1,    0.08, 0.45, 0.60, 0.68, 0.72,
                                             0.75, 0.78, 0.80, 0.82, 0.84, 0.86};
    // gaps between copies of one link to different people: a hand needs seconds
    static const double gaps[GAP_BINS] = {0.002, 0.002, 0.003, 0.005, 0.02, 0.08, 0.15,
                                          0.20,  0.20,  0.14,  0.09,  0.05, 0.03, 0.028};
    *lessons = (struct lessons){.novel = 5, .sendings = 10, .relayed = 2, .exposed = 100};
    campaign_lessons_default(lessons);
    for (size_t i = 0; i < FAN_BINS; i++) {
        lessons->went_on[i] = went_on[i] * prior_weight;
        lessons->stopped[i] = (1 - went_on[i]) * prior_weight;
    }
    for (size_t i = 0; i < GAP_BINS; i++)
        lessons->gaps[i] = gaps[i] * prior_weight * 4;
}

static size_t gap_bin(int64_t gap_us)
{
    size_t bin = 0;
    for (int64_t limit = 64000; bin + 1 < GAP_BINS && gap_us >= limit; limit *= 2)
        bin++;
    return bin;
}

/* How much a gap speaks for a program; 0 where it speaks for nobody. */
static double gap_nats(const struct lessons *lessons, size_t bin)
{
    double sum = 0;
    for (size_t i = 0; i < GAP_BINS; i++)
        sum += lessons->gaps[i];
    double honest = lessons->gaps[bin] / sum;
    // half of the worms keep a human pace; the others use any gap up to a second
    double worm = 0.5 * honest + (bin < 5 ? 0.5 / 5 : 0);
    double nats = log(worm / honest);
    return nats > 0 ? nats : 0; // slowness is mimicry, charged once
}

bool evidence_counts(const struct guard *guard, enum evidence_kind kind)
{
    return (guard->config.without >> kind & 1) == 0;
}

void evidence_add(struct guard *guard, struct cluster *cluster, enum evidence_kind kind,
                  double nats, struct user *who)
{
    if (fabs(nats) < 1e-9)
        return;
    size_t weakest = 0;
    for (size_t i = 0; i < cluster->n_evidence; i++) {
        struct evidence *old = &cluster->evidence[i];
        if (old->kind == kind && old->who == who) {
            old->nats += nats;
            return;
        }
        if (fabs(old->nats) < fabs(cluster->evidence[weakest].nats))
            weakest = i;
    }
    struct evidence fresh = {.kind = kind, .nats = nats, .who = who, .at_us = guard->now_us};
    if (cluster->n_evidence == EVIDENCE_MOST) {
        if (fabs(cluster->evidence[weakest].nats) >= fabs(nats))
            return;
        if (cluster->evidence[weakest].who != NULL)
            cluster->evidence[weakest].who->n_refs--;
        memmove(&cluster->evidence[weakest], &cluster->evidence[weakest + 1],
                (EVIDENCE_MOST - weakest - 1) * sizeof fresh);
        cluster->n_evidence--;
    }
    if (who != NULL)
        who->n_refs++;
    cluster_make_room(guard, cluster);
    cluster->evidence[cluster->n_evidence++] = fresh;
}

void cluster_sum(struct cluster *cluster)
{
    cluster->nats = cluster->novelty + cluster->content + cluster->root_nats +
                    cluster->members_nats + cluster->origins + cluster->relays_nats +
                    cluster->words + cluster->reports + cluster->answers + cluster->absence +
                    cluster->mimicry;
}

double member_nats(const struct member *member)
{
    // a program that writes to all walks the roster in order: one thing, not two
    double machine = clamp(0, member->pace + member->roster, machine_most);
    return clamp(-3,
                 member->fan + member->streak + machine + member->silence + member->dormant +
                     member->decoy,
                 sender_most);
}

void evidence_of_novelty(struct guard *guard, struct cluster *cluster)
{
    if (!evidence_counts(guard, EVIDENCE_NOVELTY))
        return;
    double honest = guard->lessons.novel / guard->lessons.sendings;
    cluster->novelty = clamp(0, log(0.9 / honest), novelty_most);
    evidence_add(guard, cluster, EVIDENCE_NOVELTY, cluster->novelty, NULL);
}

void evidence_of_content(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                         struct user *sender)
{
    double content = (lure->flags & LURE_DISGUISED) ? 3 : (lure->flags & LURE_EXECUTABLE) ? 1 : 0;
    content += (lure->flags & LURE_IP_HOST) ? 0.5 : 0;
    content += (lure->flags & (LURE_LABELLED | LURE_USERINFO)) ? 2 : 0;
    content += (lure->flags & LURE_ODD_SCHEME) ? 1 : 0;
    content += (lure->flags & LURE_SUSPECT) ? 2 : 0;
    content += (lure->flags & LURE_INFECTED) ? infected_nats : 0;
    if (content <= cluster->content || !evidence_counts(guard, EVIDENCE_CONTENT))
        return; // known already
    evidence_add(guard, cluster, EVIDENCE_CONTENT, content - cluster->content, sender);
    cluster->content = content;
}

void evidence_of_birth(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                       struct user *sender)
{
    bool is_seen = sight_find(guard, lure_home_key(lure)) != NULL;
    cluster->novel = !cluster->established && !is_seen;
    // another link of a shortener says as little about where it leads as a new host does
    cluster->fresh = cluster->novel || ((lure->flags & LURE_SHORTENER) != 0 && !is_seen);
    cluster->scarce = !cluster->fresh && lure_is_scarce(guard, lure);
    if (cluster->novel)
        evidence_of_novelty(guard, cluster);
    if (!cluster->established)
        evidence_of_content(guard, cluster, lure, sender);
    cluster_sum(cluster);
}

bool member_is_new_receiver(struct guard *guard, struct member *member, const struct user *receiver)
{
    uint32_t hash = receiver->hash_high;
    size_t n = n_told_apart(member);
    const uint32_t *before = receivers_of(member, n);
    for (size_t i = 0; i < n; i++)
        if (before[i] == hash)
            return false;
    size_t at = member->n_receivers % RECEIVERS_MOST;
    if (n < RECEIVERS_MOST)
        member_make_room(guard, member, n++);
    receivers_of(member, n)[at] = hash;
    return true;
}

/* P(one more receiver | k reached) of an honest person who passes on what he was shown: to one, two
 * or three. */
static const double passed_on[FAN_BINS] = {1,   0.6,  0.45, 0.2,  0.3, 0.4,
                                           0.5, 0.55, 0.6,  0.65, 0.7, 0.75};

/* Who brought it without having been shown it; but a few may be accounts of a worm's own, who sent
 * it beforehand. */
static uint32_t n_unsuspected(const struct guard *guard, const struct cluster *cluster)
{
    uint32_t n = cluster->n_independent, few = guard->config.scarce_by;
    return cluster_is_everyones(cluster) ? n : n > few ? n - few : 0;
}

/* The first copy of somebody who had been shown the lure before; unless he is one of the many who
 * come by it anyway. */
static void becomes_relay(struct guard *guard, struct cluster *cluster, struct member *member,
                          const struct sending *sending, enum lure_width via)
{
    if (!evidence_counts(guard, EVIDENCE_RELAY))
        return;
    const struct lessons *lessons = &guard->lessons;
    double i = cluster->n_relays + 1, exposed = cluster->n_exposed;
    // how likely honest people pass on so many of so many copies…
    double honest = lessons->relayed / lessons->exposed * exposed / i;
    if (via >= LURE_TEMPLATE) // …or come by the same host in another way
        honest *= via >= LURE_HOST ? 4 : 2;
    double independent = n_unsuspected(guard, cluster);
    double known = independent / (independent + i + 1);
    if (known > likely_known)
        return;
    honest = clamp(0.001, honest > known ? honest : known, 0.9);
    member->is_relay = true;
    member->relay = clamp(0, log(0.9 / honest), relay_most);
    cluster->n_relays++;
    cluster->relays_nats += member->relay + opening_of_relay(guard, cluster, member);
    evidence_add(guard, cluster, EVIDENCE_RELAY, member->relay, member->user);

    const struct member *from =
        member->from != NULL ? member_find(guard, cluster, member->from) : NULL;
    if (from == NULL || from->shape == 0 || sending->shape == 0 ||
        !evidence_counts(guard, EVIDENCE_WORDS))
        return;
    double words = lure_shapes_alike(from->shape, sending->shape) ? 1.2 : -1.0;
    double sum = clamp(-3, cluster->words + words, 2.4);
    evidence_add(guard, cluster, EVIDENCE_WORDS, sum - cluster->words, member->user);
    cluster->words = sum;
}

/* Who brings a lure without having been shown it makes a campaign less likely; unless he sends
 * like a program himself. */
static void independent_origin(struct guard *guard, struct cluster *cluster, struct member *member,
                               bool is_one)
{
    member->independent = is_one;
    cluster->n_independent += is_one ? 1 : (uint32_t)-1;
    if (!evidence_counts(guard, EVIDENCE_ORIGIN))
        return;
    double sum = clamp(origins_most, origin_nats * cluster->n_independent, 0);
    evidence_add(guard, cluster, EVIDENCE_ORIGIN, sum - cluster->origins, NULL);
    cluster->origins = sum;
}

void evidence_of_establishment(struct guard *guard, struct cluster *cluster,
                               const struct lure *lure)
{
    cluster->established = true;
    cluster->scarce = lure_is_scarce(guard, lure);
    LIST_EACH(&cluster->members, struct member, link, member)
    member->independent = false;
    cluster->n_independent = 0;
    evidence_add(guard, cluster, EVIDENCE_ORIGIN, -cluster->origins, NULL);
    cluster->origins = 0;
}

/* A tree has one root: of those who were not shown the lure only the most suspect counts. */
static void sum_sender(struct cluster *cluster, struct member *member, double before)
{
    double nats = member_nats(member);
    must(member->user != NULL);
    if (is_summed_as_relay(member)) {
        cluster->members_nats += nats - before;
    } else if (cluster->root == member->user || cluster->root == NULL ||
               nats > cluster->root_nats) {
        if (cluster->root != NULL)
            cluster->root->n_refs--;
        cluster->root = member->user;
        cluster->root->n_refs++;
        cluster->root_nats = nats;
    }
}

static void judge_pace(struct guard *guard, struct cluster *cluster, struct member *member,
                       const struct sending *sending, bool *machine)
{
    const struct pace *pace = &sending->pace;
    if (member->n_receivers > 1) {
        size_t bin = gap_bin(guard->now_us - member->last_sent_us);
        if (member->gaps[bin] < UINT8_MAX)
            member->gaps[bin]++;
        double nats = evidence_counts(guard, EVIDENCE_PACE) ? gap_nats(&guard->lessons, bin) : 0;
        *machine = nats >= 1.5;
        if (*machine) {
            member->n_machine++;
            if (member->independent)
                independent_origin(guard, cluster, member, false);
            if (member->n_machine == MACHINE_GAPS)
                cluster->n_machine_senders++;
            if (member->n_machine == 2 && member->is_relay)
                cluster->n_fast_relays++;
        }
        member->pace = clamp(0, member->pace + nats, pace_most);
        if (pace->roster_index >= 0 && pace->roster_index == member->roster_index + 1 &&
            evidence_counts(guard, EVIDENCE_ROSTER))
            member->roster = clamp(0, member->roster + 0.8, roster_most);
    }
    member->roster_index = pace->roster_index;
    if (!evidence_counts(guard, EVIDENCE_SILENCE)) {
        // neither it nor its imitation
    } else if (pace->composing) {
        member->composed = true;
        member->silence = 0;
        if (!cluster->composed) {
            cluster->composed = true;
            cluster->mimicry += mimicry_nats;
            evidence_add(guard, cluster, EVIDENCE_SILENCE, mimicry_nats, NULL);
        }
    } else if (pace->composes && !member->composed) {
        member->silence = clamp(0, member->silence + 1.2, silence_most);
    }
    if (pace->live)
        member->n_live++;
    else
        member->n_dormant++;
    if (evidence_counts(guard, EVIDENCE_DORMANT))
        member->dormant =
            clamp(live_most, 0.4 * member->n_dormant - 0.7 * member->n_live, dormant_most);
}

bool evidence_of_manner(struct guard *guard, struct cluster *cluster, struct member *member,
                        const struct sending *sending, struct user *receiver)
{
    bool machine = false;
    judge_pace(guard, cluster, member, sending, &machine);
    if (receiver->is_decoy && !cluster->established && member->decoy == 0 &&
        evidence_counts(guard, EVIDENCE_DECOY)) {
        cluster->n_decoy_senders++;
        guard->n_decoy_hits++;
        // the third hit says nothing that two did not: whoever wants to poison knows decoys too
        member->decoy = cluster->n_decoy_senders <= 2 ? decoy_nats : decoy_discounted_nats;
        if (!cluster->is_campaign) // which counts again what its lures have
            decoy_hit_add(guard, cluster, member->user, receiver, guard->now_us);
    }
    member->last_sent_us = guard->now_us;
    return machine;
}

bool decoy_hit_is_discounted(double nats)
{
    return nats < decoy_nats;
}

void decoy_hit_add(struct guard *guard, struct cluster *cluster, struct user *sender,
                   struct user *decoy, int64_t at_us)
{
    if (guard->n_hits >= HITS_MOST)
        decoy_hit_free(guard, CONTAINER_OF(guard->hits.head.prev, struct decoy_hit, link));
    struct decoy_hit *hit = calloc(1, sizeof *hit);
    must(hit != NULL);
    *hit = (struct decoy_hit){.cluster = cluster, .sender = sender, .decoy = decoy, .at_us = at_us};
    sender->n_refs++;
    if (decoy != NULL)
        decoy->n_refs++;
    list_add_first(&guard->hits, &hit->link);
    guard->n_hits++;
    guard->bytes_clusters += sizeof *hit;
}

void decoy_hit_free(struct guard *guard, struct decoy_hit *hit)
{
    hit->sender->n_refs--;
    if (hit->decoy != NULL)
        hit->decoy->n_refs--;
    list_leave(&hit->link);
    guard->n_hits--;
    guard->bytes_clusters -= sizeof *hit;
    free(hit);
}

void decoy_hits_forget(struct guard *guard, const struct cluster *cluster)
{
    if (cluster->n_decoy_senders == 0) // as nearly always
        return;
    LIST_EACH(&guard->hits, struct decoy_hit, link, hit)
    if (hit->cluster == cluster)
        decoy_hit_free(guard, hit);
}

void evidence_of_member(struct guard *guard, struct cluster *cluster, struct member *member,
                        const struct member *was)
{
    struct user *who = member->user;
    evidence_add(guard, cluster, EVIDENCE_FANOUT, member->fan - was->fan, who);
    evidence_add(guard, cluster, EVIDENCE_STREAK, member->streak - was->streak, who);
    evidence_add(guard, cluster, EVIDENCE_PACE, member->pace - was->pace, who);
    evidence_add(guard, cluster, EVIDENCE_SILENCE, member->silence - was->silence, who);
    evidence_add(guard, cluster, EVIDENCE_ROSTER, member->roster - was->roster, who);
    evidence_add(guard, cluster, EVIDENCE_DORMANT, member->dormant - was->dormant, who);
    evidence_add(guard, cluster, EVIDENCE_DECOY, member->decoy - was->decoy, who);
    sum_sender(cluster, member, member_nats(was));
    evidence_of_absence(guard, cluster);
    cluster_sum(cluster);
}

bool evidence_of_sending(struct guard *guard, struct cluster *cluster, struct member *member,
                         const struct sending *sending, enum lure_width via, struct user *receiver)
{
    struct lessons *lessons = &guard->lessons;
    cluster->n_sendings++;
    member->n_sent++;
    member->remote |= sending->remote;
    member_uses(member, sending->device);
    if (user_may_teach(guard, member->user) && lessons->sendings < lessons_most) {
        lessons->sendings++;
        lessons->novel += cluster->fresh && cluster->n_sendings == 1;
    }
    if (sending->warns) {
        member->warned = true;
        if (!member->reported) {
            member->reported = true;
            evidence_of_report(guard, cluster, member->user, 1.0);
        }
        return false;
    }
    // talking about it with the one who showed it is neither passing on nor fanning out
    if (receiver == member->from || !member_is_new_receiver(guard, member, receiver))
        return false;

    struct member was = *member;
    cluster->n_receivers += sending->audience > 0 ? sending->audience : 1;
    member->n_receivers++;
    if (member->n_receivers == 1) {
        member->sent_us = guard->now_us;
        member->shape = sending->shape;
        bool shown =
            member->exposed_us != 0 && guard->now_us - member->exposed_us <= guard->config.relay_us;
        // who was shown it speaks for nobody, though he might have come by it anyway
        if (shown)
            becomes_relay(guard, cluster, member, sending, via);
        else if (member->user != cluster->zero && !member->remote)
            independent_origin(guard, cluster, member, true);
    } else {
        size_t k = member->n_receivers - 1 < FAN_BINS ? member->n_receivers - 1 : FAN_BINS - 1;
        double honest = lessons->went_on[k] / (lessons->went_on[k] + lessons->stopped[k]);
        if (member->is_relay && honest < passed_on[k]) // that he passes it on is counted already
            honest = passed_on[k];
        // who often writes to many says less when he does so again
        double nats = clamp(0, log(0.97 / honest), 4) / (1 + 0.5 * member->user->n_fans);
        if (evidence_counts(guard, EVIDENCE_FANOUT))
            member->fan = clamp(0, member->fan + nats, fan_most);
    }
    bool machine = evidence_of_manner(guard, cluster, member, sending, receiver);
    evidence_of_member(guard, cluster, member, &was);
    return machine;
}

void evidence_of_absence(struct guard *guard, struct cluster *cluster)
{
    while (cluster->mature != NULL) {
        struct member *member = cluster->mature;
        if (member->exposed_us != 0 && guard->now_us - member->exposed_us < guard->config.mature_us)
            break;
        if (member->exposed_us != 0 && member->n_receivers == 0 &&
            evidence_counts(guard, EVIDENCE_ABSENCE)) {
            double nats = opening_of_absent(guard, member);
            double sum = clamp(absence_most, cluster->absence + nats, 0);
            evidence_add(guard, cluster, EVIDENCE_ABSENCE, sum - cluster->absence, NULL);
            cluster->absence = sum;
        }
        cluster->mature = member->link.next == &cluster->members.head
                              ? NULL
                              : CONTAINER_OF(member->link.next, struct member, link);
    }
}

void evidence_of_report(struct guard *guard, struct cluster *cluster, struct user *reporter,
                        double nats)
{
    if (!evidence_counts(guard, EVIDENCE_REPORT))
        return;
    double sum = clamp(0, cluster->reports + nats, reports_most);
    cluster->n_reports++;
    evidence_add(guard, cluster, EVIDENCE_REPORT, sum - cluster->reports, reporter);
    cluster->reports = sum;
    cluster_sum(cluster);
}

void lessons_of(struct guard *guard, struct cluster *cluster)
{
    struct lessons *lessons = &guard->lessons;
    LIST_EACH(&cluster->members, struct member, link, member)
    {
        if (cluster->is_campaign) { // its pauses taught at once; this is its senders' habit
            if (member->n_receivers >= 4)
                user_was_seen_fanning(member->user);
            continue;
        }
        if (member->warned || !user_may_teach(guard, member->user))
            continue;
        if (member->exposed_us != 0 && lessons->exposed < lessons_most) {
            lessons->exposed++;
            lessons->relayed += member->is_relay;
        }
        if (member->n_receivers == 0)
            continue;
        for (uint32_t k = 1; k <= member->n_receivers && k < FAN_BINS; k++) {
            double *count = k < member->n_receivers ? lessons->went_on : lessons->stopped;
            if (lessons->went_on[k] + lessons->stopped[k] < lessons_most)
                count[k]++;
        }
        for (size_t bin = 0; bin < GAP_BINS; bin++)
            lessons->gaps[bin] += member->gaps[bin] < 3 ? member->gaps[bin] : 3;
        if (member->n_receivers >= 4)
            user_was_seen_fanning(member->user);
    }
    double sum = 0;
    for (size_t bin = 0; bin < GAP_BINS; bin++)
        sum += lessons->gaps[bin];
    for (size_t bin = 0; sum > lessons_most && bin < GAP_BINS; bin++)
        lessons->gaps[bin] *= 0.5;
}

/* A popular site has many who bring it by themselves, a worm has its zeros. */
bool cluster_is_tree(const struct guard *guard, const struct cluster *cluster)
{
    return cluster->n_relays > 2 * n_unsuspected(guard, cluster);
}

/* What people did with lures that share nothing: pauses of a few people resemble each other more
 * than the sum knows, so that a human pace takes more of it. */
static bool is_grown_campaign(const struct guard *guard, const struct cluster *campaign)
{
    // whoever sends like a program could have shown his lures to people who send their own
    bool is_tree = campaign->n_machine_senders > 0
                       ? campaign->n_grown >= 2
                       : campaign->n_grown >= 1 || campaign->n_relays >= 3;
    return is_tree && campaign_is_taught(guard) && campaign->nats >= guard->config.campaign_nats;
}

static bool is_denied_campaign(const struct cluster *campaign)
{
    return campaign->n_denied >= 2 ||
           (campaign->n_denied >= 1 &&
            (campaign->n_machine_senders >= 1 || campaign->n_grown >= 2));
}

static bool may_convict_campaign(const struct guard *guard, const struct cluster *campaign,
                                 bool human_pace)
{
    return is_denied_campaign(campaign) ||
           (human_pace && campaign->n_confirmed <= campaign->n_denied &&
            is_grown_campaign(guard, campaign));
}

bool may_hold(const struct guard *guard, const struct cluster *cluster)
{
    const struct guard_config *config = &guard->config;
    // two relays at a hand's pace honest stories have as well: it is the third who tells
    double more = cluster->n_relays < 3 && cluster->n_machine_senders == 0 ? few_nats : 0;
    return cluster->nats >= config->hold_nats + more &&
           (cluster_is_tree(guard, cluster) || cluster->n_machine_senders > 0);
}

/* People, each once, who passed it on like a program or say that it was not they. */
static uint32_t n_accused(const struct guard *guard, const struct cluster *cluster)
{
    uint32_t n_both = 0;
    LIST_EACH((struct list *)&cluster->questions, struct question, in_cluster, question)
    {
        const struct member *member =
            question->state == QUESTION_NO ? member_find(guard, cluster, question->who) : NULL;
        n_both += member != NULL && member->is_relay && member->n_machine >= 2;
    }
    return cluster->n_fast_relays + cluster->n_denied - n_both;
}

bool is_slow_tree(const struct guard *guard, const struct cluster *cluster)
{
    return cluster->nats >= guard->config.convict_nats && cluster->n_relays >= 3 &&
           cluster_is_tree(guard, cluster);
}

bool may_convict_tree(const struct guard *guard, const struct cluster *cluster, bool human_pace)
{
    const struct guard_config *config = &guard->config;
    if (cluster_is_forest(cluster))
        return sealed_may_convict(guard, cluster);
    if (cluster->cleared || cluster->nats < config->convict_nats)
        return false;
    if (cluster->is_campaign)
        return may_convict_campaign(guard, cluster, human_pace);
    if (cluster->established) // so many accounts no single attacker owns
        return n_accused(guard, cluster) >= config->fast_relays_established;
    if (human_pace && is_slow_tree(guard, cluster))
        return true;
    if (cluster->n_fast_relays >= 1 && cluster->n_fast_relays * 3 > cluster->n_independent)
        return true;
    if (cluster->n_relays >= 1 && (cluster->n_decoy_senders >= 2 || cluster->n_reports >= 3 ||
                                   cluster->n_machine_senders >= 2))
        return true;
    if (human_pace && cluster->n_relays >= 2 && cluster->n_machine_senders >= 1)
        return true;
    // one who lies convicts nobody else's link
    return cluster->n_denied >= 2 || (cluster->n_denied >= 1 && cluster->n_machine_senders >= 1);
}

/* Of those who had not been shown it, the most suspect sends it like a program, and has not said
 * why. */
static bool has_fast_root(const struct guard *guard, const struct cluster *cluster)
{
    const struct member *root = member_of_root(guard, cluster);
    return root != NULL && root->n_machine >= MACHINE_GAPS && !root->is_relay &&
           !question_confirmed(cluster, root->user);
}

bool tree_is_beyond_words(const struct guard *guard, const struct cluster *cluster)
{
    bool denied = cluster->on_trial ? trial_is_denied(guard, cluster) : cluster->n_denied > 0;
    if (denied || cluster->n_decoy_senders >= 2 || cluster->n_reports >= 3)
        return true;
    // two programs, one of which was shown it by people, are near proof
    return !cluster->is_campaign &&
           (cluster->n_fast_relays >= 2 ||
            (cluster->n_fast_relays == 1 && has_fast_root(guard, cluster)));
}

static bool is_star(const struct guard *guard, const struct cluster *cluster)
{
    return guard->config.star_convicts && !cluster->cleared && !cluster->established &&
           cluster->novel && cluster->nats >= guard->config.convict_nats &&
           cluster->n_machine_senders >= 1;
}

bool still_stands(const struct guard *guard, const struct cluster *cluster)
{
    if (cluster->is_campaign)
        return is_denied_campaign(cluster) || is_grown_campaign(guard, cluster) ||
               is_star(guard, cluster);
    return may_convict_tree(guard, cluster, cluster->n_denied > 0) || is_star(guard, cluster);
}

bool may_convict(const struct guard *guard, const struct cluster *cluster)
{
    return may_convict_tree(guard, cluster, true) || is_star(guard, cluster);
}

bool member_must_respond(const struct guard *guard, const struct cluster *cluster,
                         const struct member *member)
{
    // a warning is no shield: who only warned has no receivers
    if (member->n_receivers == 0 || member->restricted || member->remote || member->user->is_decoy)
        return false;
    // At a hand's pace a few others can make anybody's link, and whoever passes one on, look like a
    // worm's; a program's pace is his own doing.  Who was shown it by nobody is perhaps the root of
    // somebody else's tree: where people are asked, only his own word counts, or an operator's.
    if (member->n_machine < MACHINE_GAPS)
        return false;
    if (!member->is_relay && guard->config.ask_us > 0 && !cluster->operators)
        return false;
    double own = member->fan + member->streak + member->pace + member->silence + member->roster;
    // only where several others stand behind the tree does being part of it count
    if (member->is_relay && cluster->n_relays >= 3)
        own += member->relay;
    return own >= guard->config.respond_nats;
}
