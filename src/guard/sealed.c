/*
 * Encrypted messages: what is left when nobody can see what they invite to open.
 *
 * Who sends them to one person after another without a pause (a run, run.h), to
 * config.sealed_first people or more, fans out.  That alone is nothing: so do
 * programs that wish everybody a happy new year.  But a worm's runs beget each
 * other: whoever makes one was shown another before.  All runs of late are in
 * one cluster, the forest, whose lures are clusters too, one for each run; its
 * members are senders and receivers.  Each run weighs
 *
 *     of somebody who was shown one   ln P(relay | worm) / f
 *     of anybody else                 ln P(other | worm) / (1 - f)
 *
 * where f is how many people have been shown one by now: among honest people who
 * all write to all, so many of the runs are by people whom one has reached
 * already, and no more.  So no constant says how often people do such a thing,
 * and where all do it at once, those who came by it themselves clear it (Page's
 * test, with a floor so that a worm cannot hide behind a feast for long).
 *
 * What follows is of people's own acts: at sealed_hold_nats relays wait and are
 * asked, with whoever showed it to them; at sealed_nats they are convicted: what
 * they sent is taken back, message by message.  Restricted is who then says that
 * it was not he, which convicts nobody else; or all, where nobody is asked.
 *
 * In a feast within an outbreak soon most people have been shown one, and that says
 * nothing of somebody who makes one, unless he had it from one of whom something is
 * known: who denied it, or is covered by a conviction himself.  And where many came by
 * it themselves, nothing of his is taken back before he has answered.
 *
 * In a forest n_fast_relays is that share, times SAMPLE_ONE, and some fields of a member mean:
 * n_machine, people in his present run; n_live, relays among those he showed it, of which that says
 * something; shape, the cluster of his run.
 */
#include "guard/guard_internal.h"

enum {
    SAMPLE = 64, // receivers from which the share of people who were shown one is taken
    SAMPLE_ONE = 1 << 24,
    KEYS_AT_ONCE = 4096, // taken back by one conviction; further ones when their senders go on
    REACHED_LEAST = 10,  // by the first relays together, or there must be RELAYS_ENOUGH
    RELAYS_ENOUGH = 3,
    CHAIN_MOST = 64, // arrows that are followed
};

static const double worms_relays = 0.9, floor_nats = -7, share_least = 0.005, share_most = 0.95,
                    share_telling = 0.5; // beyond it an arrow says nothing

/* Nobody opens what he is sent as soon as that: programs did not wait for each other. */
static const int64_t at_once_us = 2000000;
static const double at_once_nats = -1.4;

/* Nothing in a run that goes on like this is written by a hand. */
static const int64_t hand_us = 1024000;

static bool is_over(const struct guard *guard, const struct cluster *forest)
{
    int64_t since_us =
        forest->convicted_us > forest->first_us ? forest->convicted_us : forest->first_us;
    return forest->state == CLUSTER_EXPIRED ||
           (forest->n_waiting == 0 && guard->now_us - since_us > guard->config.mature_us);
}

/* After a start nobody has said which it is: the newest, whatever its rank. */
static struct cluster *find_forest(struct guard *guard)
{
    struct cluster *forest = cluster_by_id(guard, guard->forest);
    if (forest != NULL)
        return forest;
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH(&guard->clusters[rank], struct cluster, link, cluster)
    if (cluster_is_forest(cluster) && (forest == NULL || cluster->id > forest->id))
        forest = cluster;
    return forest;
}

static struct cluster *present_forest(struct guard *guard, struct user *sender)
{
    struct cluster *forest = find_forest(guard);
    if (forest != NULL && is_over(guard, forest))
        forest = NULL;
    if (forest == NULL) {
        forest = cluster_new(guard, guard->next_cluster++, sender);
        forest->kind = LURE_SEALED;
        forest->is_campaign = true;
        cluster_share(guard, forest);
    }
    guard->forest = forest->id;
    return forest;
}

/* ---- Weighing -------------------------------------------------------------------------------- */

static bool makes_run(const struct guard *guard, const struct member *member)
{
    return member->is_relay || member->independent ||
           member->n_machine >= guard->config.sealed_first;
}

/* Who showed it to him, if he made a run, or was shown one and sent it to fewer; NULL: nobody. */
static struct member *shown_by(const struct guard *guard, const struct cluster *forest,
                               const struct member *member)
{
    struct member *from = member->from != NULL ? member_find(guard, forest, member->from) : NULL;
    const struct member *at = from;
    for (int i = 0; i < CHAIN_MOST && at != NULL && !makes_run(guard, at); i++)
        at = at->from != NULL ? member_find(guard, forest, at->from) : NULL;
    return at != NULL && makes_run(guard, at) ? from : NULL;
}

/* People who came by it themselves explain a good part of it, not all. */
static bool is_mixed(const struct cluster *forest)
{
    return -forest->origins > forest->relays_nats / 2;
}

/* Whether it says something of him that he was shown one. */
static bool arrow_tells(const struct member *member)
{
    return member->is_relay && member->relay >= log(worms_relays / share_telling);
}

/* The share of people who have been shown a run, or have made one: of those whom the last copies
 * went to, who are of the sort that gets and sends many.  Too high where a run goes to people who
 * know each other, which clears. */
static double share_shown(const struct cluster *forest)
{
    double n = forest->n_receivers < SAMPLE ? forest->n_receivers : SAMPLE;
    double met = (double)forest->n_fast_relays / SAMPLE_ONE;
    return clamp(share_least, (met * n + 0.5) / (n + 1), share_most);
}

static void sample_shown(struct cluster *forest, bool was_shown)
{
    double met = forest->n_fast_relays, one = was_shown ? SAMPLE_ONE : 0;
    forest->n_receivers++;
    met += (one - met) / (forest->n_receivers < SAMPLE ? forest->n_receivers : SAMPLE);
    forest->n_fast_relays = (uint32_t)met;
}

static double tree_nats(const struct cluster *forest)
{
    return forest->relays_nats + forest->origins;
}

/* Without people's answers: each is about his own copies, and convicts nobody else. */
static double suspicion(const struct cluster *forest)
{
    return tree_nats(forest) + forest->reports;
}

static void weigh(struct guard *guard, struct cluster *forest, struct member *member)
{
    double share = share_shown(forest), was = tree_nats(forest), nats = 0;
    struct member *from = shown_by(guard, forest, member);
    int64_t lag_us = member->sent_us - member->exposed_us;
    bool is_first = forest->n_relays + forest->n_independent == 0;
    guard->sealed.n_runs++;
    if (member->exposed_us != 0 && lag_us <= guard->config.mature_us && from != NULL) {
        nats = clamp(0, log(worms_relays / share) + (lag_us < at_once_us ? at_once_nats : 0), 9);
        nats = evidence_counts(guard, EVIDENCE_RELAY) ? nats : 0;
        member->is_relay = true;
        member->relay = nats;
        forest->n_relays++;
        guard->sealed.n_relays++;
        from->n_live += arrow_tells(member) || !is_mixed(forest);
        forest->relays_nats += nats;
        evidence_add(guard, forest, EVIDENCE_RELAY, nats, member->user);
    } else {
        member->independent = true;
        forest->n_independent++;
        if (!is_first) // somebody begins, worm or not
            nats = clamp(floor_nats - was, log((1 - worms_relays) / (1 - share)), 0);
        nats = evidence_counts(guard, EVIDENCE_ORIGIN) ? nats : 0;
        forest->origins += nats;
        evidence_add(guard, forest, EVIDENCE_ORIGIN, nats, NULL);
    }
    cluster_sum(forest);
}

/* ---- A message ------------------------------------------------------------------------------- */

static struct cluster *run_of(struct guard *guard, struct cluster *forest, struct member *member)
{
    struct cluster *run = cluster_by_id(guard, member->shape);
    if (run != NULL && run->campaign == forest->id && run->n_bindings < BINDINGS_MOST)
        return run;
    run = cluster_new(guard, guard->next_cluster++, member->user);
    run->kind = LURE_SEALED;
    cluster_share(guard, run);
    campaign_add(forest, run);
    member->shape = run->id;
    return run;
}

static void note_shown(struct guard *guard, struct cluster *forest, struct member *member,
                       struct user *receiver)
{
    struct member *theirs = member_get(guard, forest, receiver);
    sample_shown(forest, theirs != NULL && (theirs->exposed_us != 0 || makes_run(guard, theirs)));
    if (theirs == NULL || receiver->is_decoy || makes_run(guard, theirs))
        return;
    if (theirs->exposed_us == 0)
        forest->n_exposed++;
    else if (shown_by(guard, forest, theirs) != NULL)
        return;
    if (theirs->from != NULL)
        theirs->from->n_refs--;
    theirs->exposed_us = guard->now_us;
    theirs->from = member->user;
    theirs->from->n_refs++;
}

/* Remembers it.  NULL: more people than one cluster can hold. */
static struct member *take_copy(struct guard *guard, struct cluster *forest, struct user *sender,
                                struct user *receiver, const struct lure_key *key)
{
    struct member *member = member_get(guard, forest, sender);
    if (member == NULL)
        return NULL;
    struct cluster *run = run_of(guard, forest, member);
    if (cluster_find_key(guard, key) == NULL)
        binding_make(guard, run, key, LURE_EXACT, false, STR(LURE_SEALED_SHOWN));
    run->n_sendings++;
    forest->n_sendings++;
    guard->sealed.n_shown++;
    member->n_sent++;
    cluster_touch(guard, run);
    cluster_touch(guard, forest);
    // who answers the one that showed it him talks to him
    if (receiver == member->from || !member_is_new_receiver(guard, member, receiver))
        return member;
    if (member->n_machine == 0)
        member->sent_us = guard->now_us;
    member->last_sent_us = guard->now_us;
    member->n_receivers++;
    member->n_machine++;
    note_shown(guard, forest, member, receiver);
    note_recent(guard, sender, forest); // whoever reports him means this
    if (!member->is_relay && !member->independent && makes_run(guard, member))
        weigh(guard, forest, member);
    return member;
}

void take_sealed(struct guard *guard, const struct exposure *exposure)
{
    struct user *sender, *receiver;
    user_get_both(guard, exposure->sender, exposure->receiver, &sender, &receiver);
    if (sender == receiver || exposure->n_keys == 0)
        return;
    sender->n_refs++;
    receiver->n_refs++;
    struct cluster *forest = present_forest(guard, sender);
    struct member *member = member_get(guard, forest, sender);
    if (member != NULL)
        member->n_machine = 0;
    for (size_t i = 0; i < exposure->n_keys && member != NULL; i++)
        take_copy(guard, forest, sender, receiver, &exposure->keys[i]);
    clusters_trim(guard, forest);
    sender->n_refs--;
    receiver->n_refs--;
    users_trim(guard);
}

/* ---- What follows ---------------------------------------------------------------------------- */

/* Whether who showed it to him says something of him, where that he was shown one does not. */
static bool came_of_worm(const struct guard *guard, const struct cluster *forest,
                         const struct member *member)
{
    const struct member *from = shown_by(guard, forest, member);
    return from != NULL && !question_confirmed(forest, from->user) &&
           (from->restricted || from->n_live >= 2 || arrow_tells(from));
}

bool sealed_covers(const struct guard *guard, const struct cluster *forest,
                   const struct member *member)
{
    if (question_confirmed(forest, member->user))
        return false;
    if (member->restricted && makes_run(guard, member))
        return true;
    // one who was shown it and does alike could be chance; and then nobody has begun it but he
    if (member->n_live >= 2 || (member->n_live == 1 && forest->n_independent <= 1))
        return true;
    return member->is_relay && (arrow_tells(member) || came_of_worm(guard, forest, member));
}

/* Whether what he sent is taken back, before he has said anything. */
static bool takes_back(const struct guard *guard, const struct cluster *forest,
                       const struct member *member)
{
    return sealed_covers(guard, forest, member) &&
           (!member->is_relay || member->restricted || arrow_tells(member) || !is_mixed(forest));
}

/* Two of those whom somebody's run was sent to may well write to three people each within the hour;
 * a worm writes to all. */
static bool has_spread(const struct cluster *forest)
{
    if (forest->n_relays >= RELAYS_ENOUGH)
        return true;
    uint32_t reached = 0;
    LIST_EACH((struct list *)&forest->members, struct member, link, member)
    reached += member->is_relay ? member->n_receivers : 0;
    return reached >= REACHED_LEAST;
}

bool sealed_may_convict(const struct guard *guard, const struct cluster *forest)
{
    return !forest->cleared && forest->n_relays > 0 &&
           suspicion(forest) >= guard->config.sealed_nats && has_spread(forest);
}

static void convict_runs(struct guard *guard, struct cluster *forest, const struct user *sender,
                         struct guard_word *word)
{
    int64_t expires_us = guard->now_us + guard->config.conviction_us;
    LIST_EACH(&forest->lures, struct cluster, in_campaign, run)
    {
        if (run->zero != sender)
            continue;
        LIST_EACH(&run->bindings, struct binding, link, binding)
        {
            guard->sealed.n_stops += stop_find_key(guard, &binding->key) == NULL;
            if (forest->state != CLUSTER_CONVICTED)
                cluster_is_convicted(guard, forest, &binding->key, binding->width, binding->shown,
                                     expires_us);
            convict_key(guard, forest, &binding->key, binding->width, binding->shown, expires_us,
                        REASON_CONVICTED, word);
        }
    }
}

/* What he sent is taken back; he keeps his rights until he has answered. */
static void convict_member(struct guard *guard, struct cluster *forest, struct member *member,
                           bool observed, struct guard_word *word)
{
    convict_runs(guard, forest, member->user, word);
    if (member->remote || member->restricted)
        return;
    if (guard->config.ask_us <= 0)
        restrict_member(guard, forest, member, REASON_CONVICTED, word);
    else if (!observed)
        (void)question_put(guard, forest, member, word);
}

void sealed_convict(struct guard *guard, struct cluster *forest, bool observed,
                    struct guard_word *word)
{
    uint32_t before = forest->n_stops;
    LIST_EACH(&forest->members, struct member, link, member)
    if (takes_back(guard, forest, member) && forest->n_stops - before < KEYS_AT_ONCE)
        convict_member(guard, forest, member, observed, word);
    if (forest->state != CLUSTER_CONVICTED)
        return;
    if (forest->by_itself_us == 0)
        forest->by_itself_us = guard->now_us;
    holds_end(guard, forest, NULL, false, REASON_CONVICTED, word);
    tell_operator(guard, forest, word);
}

/* Runs of people who came by it themselves have explained it. */
static void relent(struct guard *guard, struct cluster *forest, struct guard_word *word)
{
    if (forest->state == CLUSTER_CONVICTED || suspicion(forest) >= guard->config.sealed_hold_nats)
        return;
    questions_withdraw(guard, forest, word);
    holds_end(guard, forest, NULL, true, REASON_CLEARED, word);
}

/* The people of the tree: each decides about his own. */
static void ask_tree(struct guard *guard, struct cluster *forest, struct guard_word *word)
{
    LIST_EACH(&forest->members, struct member, link, member)
    if (makes_run(guard, member) && sealed_covers(guard, forest, member))
        (void)question_put(guard, forest, member, word);
}

/* His, and of those through whom it came to him what is not yet. */
static void convict_along(struct guard *guard, struct cluster *forest, struct member *member,
                          bool observed, struct guard_word *word)
{
    for (int i = 0; i < CHAIN_MOST && member != NULL && takes_back(guard, forest, member); i++) {
        convict_member(guard, forest, member, observed, word);
        member = member->is_relay ? shown_by(guard, forest, member) : NULL;
    }
}

/* One who is convicted, or is about to be, goes on. */
static enum verdict stops_run(struct guard *guard, struct cluster *forest, struct member *member,
                              const struct sending *sending, enum reason *reason,
                              struct guard_word *word)
{
    bool convicted = forest->state == CLUSTER_CONVICTED && takes_back(guard, forest, member);
    if (convicted)
        convict_along(guard, forest, member, sending->observed, word);
    else if (forest->state == CLUSTER_CONVICTED && guard->config.ask_us > 0 && !sending->observed)
        (void)question_put(guard, forest, member, word);
    bool would_ask = sending->observed && guard->config.ask_us > 0;
    bool asked = would_ask || question_is_open(forest, member->user);
    *reason = asked ? REASON_ASKED : convicted ? REASON_CONVICTED : REASON_SUSPECTED;
    bool waits = (asked || !convicted) && guard->n_holds < HOLDS_MOST;
    guard->sealed.n_held += waits;
    guard->sealed.n_rejected += !waits && convicted;
    forest->n_rejected += !waits && convicted;
    return waits ? VERDICT_HOLD : convicted ? VERDICT_REJECT : VERDICT_DELIVER;
}

enum verdict judge_sealed(struct guard *guard, struct user *sender, struct user *receiver,
                          const struct sending *sending, const struct lure_key *key,
                          enum reason *reason, uint64_t *incident, struct guard_word *word)
{
    *reason = REASON_NONE;
    *incident = 0;
    // who has lost links and files keeps talking, as fast as a hand can
    bool is_restricted = restricted_until_us(guard, sender) > guard->now_us;
    if (is_restricted && sending->pace.live && sending->pace.gap_us > hand_us)
        return VERDICT_DELIVER;
    if (is_restricted) {
        guard->sealed.n_rejected++;
        *reason = REASON_RESTRICTED;
        *incident = restricted_by(guard, sender);
        return VERDICT_REJECT;
    }
    struct cluster *forest = present_forest(guard, sender);
    struct member *member = take_copy(guard, forest, sender, receiver, key);
    clusters_trim(guard, forest);
    if (member == NULL)
        return VERDICT_DELIVER;
    member->remote |= sending->remote;
    member_uses(member, sending->device);
    *incident = forest->id;
    relent(guard, forest, word);
    if (forest->cleared || !makes_run(guard, member))
        return VERDICT_DELIVER;
    if (forest->state != CLUSTER_CONVICTED && suspicion(forest) >= guard->config.sealed_hold_nats &&
        guard->config.ask_us > 0 && !sending->observed)
        ask_tree(guard, forest, word);
    if (forest->state != CLUSTER_CONVICTED && sealed_may_convict(guard, forest))
        sealed_convict(guard, forest, sending->observed, word);
    if (suspicion(forest) < guard->config.sealed_hold_nats || !sealed_covers(guard, forest, member))
        return VERDICT_DELIVER;
    return stops_run(guard, forest, member, sending, reason, word);
}
