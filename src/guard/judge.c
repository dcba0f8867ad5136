/*
 * Judging a message: the verdict on each lure that it carries, and the strictest of them.
 *
 * This file knows the order in which things are asked (suspensions, convictions,
 * restrictions, entitlements, evidence, campaigns, questions, windows); the rest of
 * the room knows what each of them means.
 */
#include "guard/guard_internal.h"

static void say(struct guard_word *word, enum verdict verdict, enum reason reason,
                uint64_t incident)
{
    if (verdict < word->verdict)
        return; // the strictest answer to any lure of the message stands
    if (verdict == VERDICT_HOLD && word->verdict == VERDICT_HOLD && word->reason == REASON_ASKED &&
        reason != REASON_ASKED)
        return; // what waits for somebody's word would go after a quarter of a minute
    word->verdict = verdict;
    word->reason = reason;
    word->incident = incident;
}

/* A warning that names what is convicted passes with nothing left to open. */
static void let_warn(uint64_t incident, struct guard_word *word)
{
    word->defang = true;
    word->reason = REASON_CONVICTED;
    word->incident = incident;
}

/* Of a campaign on trial: which of its lures he sent, should he say that he meant it. */
static void note_joiner(struct guard *guard, struct user *sender, struct user *receiver,
                        const struct sending *sending, const struct stop *stop)
{
    struct cluster *lure = cluster_find_key(guard, &stop->key);
    struct member *member = lure != NULL ? member_get(guard, lure, sender) : NULL;
    if (member != NULL)
        evidence_of_sending(guard, lure, member, sending, stop->width, receiver);
}

/* A copy of a convicted lure: it does not pass, but it tells about its sender. */
static void convicted_again(struct guard *guard, struct user *sender, struct user *receiver,
                            const struct sending *sending, const struct stop *stop,
                            struct guard_word *word)
{
    struct cluster *cluster = cluster_by_id(guard, stop->incident);
    struct member *member = cluster != NULL ? member_get(guard, cluster, sender) : NULL;
    if (cluster != NULL && cluster->is_campaign && cluster->on_trial)
        note_joiner(guard, sender, receiver, sending, stop);
    if (member != NULL) {
        evidence_of_sending(guard, cluster, member, sending, stop->width, receiver);
        // at a human pace not before somebody has denied it
        if (cluster->on_trial && tree_is_beyond_words(guard, cluster) &&
            may_convict_tree(guard, cluster, cluster->is_campaign || cluster->n_denied > 0))
            questions_overtaken(guard, cluster, word);
        restrict_members(guard, cluster, word);
    }
    enum verdict verdict = VERDICT_REJECT;
    enum reason reason = REASON_CONVICTED;
    if (member != NULL && !sending->warns)
        verdict = questions_of_trial(guard, cluster, member, sending, &reason, word);
    if (sending->warns && guard->config.defangs)
        let_warn(stop->incident, word);
    else
        say(word, verdict, reason, stop->incident);
    if (cluster == NULL)
        return;
    if (!sending->warns && verdict == VERDICT_REJECT) {
        cluster->n_rejected++;
        stop_refused(cluster, &stop->key);
    }
    cluster_touch(guard, cluster);
}

/* The worm changed what the conviction covered: the conviction follows, unless this looks like
 * somebody's own link to the same host. */
static bool conviction_follows(struct guard *guard, struct cluster *cluster,
                               const struct member *member, const struct lure *lure,
                               struct guard_word *word)
{
    if (cluster->established ||
        (member->exposed_us == 0 && member->n_receivers < 3 &&
         restricted_until_us(guard, member->user) == 0 && member->n_machine == 0))
        return false;
    enum lure_width width = LURE_EXACT;
    if (lure_template_links(lure, false) && !lure_key_is_none(&lure->keys[LURE_TEMPLATE]))
        width = LURE_TEMPLATE;
    if (cluster->n_stops >= 3 && !lure_key_is_none(&lure->keys[LURE_DOMAIN]))
        width = cluster->n_stops >= 6 ? LURE_DOMAIN : LURE_HOST;
    struct str shown = width == LURE_HOST     ? lure->host
                       : width == LURE_DOMAIN ? lure->domain
                                              : lure->shown;
    convict_key(guard, cluster, &lure->keys[width], width, shown,
                guard->now_us + guard->config.conviction_us, REASON_CONVICTED, word);
    return true;
}

// A copy of a lure of this cluster, which has just been convicted, or is followed by the
// conviction.
static void reject_convicted(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                             struct guard_word *word)
{
    const struct stop *stop = stop_find(guard, lure);
    cluster->n_rejected++;
    if (stop != NULL)
        stop_refused(cluster, &stop->key);
    say(word, VERDICT_REJECT, REASON_CONVICTED, cluster->id);
}

/* Whether that was enough to convict: then this copy goes no further, or its sender is asked. */
static bool is_convicted_now(struct guard *guard, struct cluster *cluster, struct member *member,
                             const struct sending *sending, const struct lure *lure, bool careful,
                             struct guard_word *word)
{
    enum asking asking = ASK_NO_MORE;
    if (may_convict(guard, cluster))
        asking = questions_first(guard, cluster, member, sending, word);
    if (asking == ASK_NO_MORE)
        return false;
    convict(guard, cluster, word);
    if (cluster->state == CLUSTER_CONVICTED && !sending->observed)
        question_of_root(guard, cluster, word);
    if (cluster->state == CLUSTER_CONVICTED && careful && guard->config.defangs)
        let_warn(cluster->id, word);
    else if (cluster->state == CLUSTER_CONVICTED && asking == ASK_SENDER &&
             guard->n_holds < HOLDS_MOST)
        say(word, VERDICT_HOLD, REASON_ASKED, cluster->id);
    else if (cluster->state == CLUSTER_CONVICTED)
        reject_convicted(guard, cluster, lure, word);
    return true;
}

/* Somebody showed him, within a day, one of a campaign that people are asked about. */
static bool was_shown_suspects(const struct guard *guard, const struct trail *trail,
                               const struct user *user)
{
    for (size_t i = 0; i < SHOWN_KEPT && trail->shown[i] != 0; i++) {
        const struct cluster *shown = cluster_by_id(guard, trail->shown[i]);
        if (shown != NULL && shown->zero != user && is_of_incident(guard, shown) &&
            guard->now_us - trail->shown_us[i] <= guard->config.restriction_us)
            return true;
    }
    return false;
}

/* A never-seen lure, by what its sender and others do with such.  False: he takes part in no
 * campaign. */
static bool judge_campaign(struct guard *guard, struct cluster *cluster, struct user *sender,
                           struct user *receiver, const struct sending *sending,
                           const struct lure *lure, bool is_born, struct guard_word *word)
{
    bool machine = false;
    struct cluster *campaign =
        campaign_takes(guard, cluster, sender, receiver, sending, is_born, &machine);
    if (campaign == NULL || campaign->cleared)
        return campaign != NULL;
    struct member *member = member_find(guard, campaign, sender);
    enum verdict verdict = VERDICT_DELIVER;
    enum reason reason = REASON_NONE;
    const struct trail trail = trail_of(guard, sender);
    double loudness = campaign_loudness(guard, campaign, member);
    bool waits = trail_waits(guard, &trail) ||
                 (trail_is_full(guard, &trail) && was_shown_suspects(guard, &trail, sender)) ||
                 outbreak_silences(guard, campaign, &trail, sender) ||
                 campaign_is_late(guard, campaign, member) ||
                 loudness >= (guard->config.hold_nats + guard->config.convict_nats) / 2;
    if (waits || trail_asks(guard, &trail) || loudness >= guard->config.ask_nats) {
        verdict = questions_of_sender(guard, campaign, member, sending, &reason, word);
        if (waits && verdict != VERDICT_DELIVER) {
            say(word, verdict, reason, campaign->id);
            return true;
        }
    }
    if (campaign->state == CLUSTER_CONVICTED) {
        if (!campaign_follows(guard, campaign, sender) || question_confirmed(campaign, sender))
            return true;
        if (question_is_open(campaign, sender) && guard->n_holds < HOLDS_MOST) {
            say(word, VERDICT_HOLD, REASON_ASKED, campaign->id);
            return true;
        }
        if (campaign->on_trial && !sending->observed) { // his silence is no denial
            verdict = VERDICT_REJECT;
            reason = REASON_UNANSWERED;
            if (!question_is_late(campaign, sender))
                verdict = questions_of_sender(guard, campaign, member, sending, &reason, word);
            say(word, verdict, reason, campaign->id);
            return true;
        }
        reject_convicted(guard, campaign, lure, word);
        restrict_members(guard, campaign, word);
        return true;
    }
    if (question_confirmed(campaign, sender) ||
        is_convicted_now(guard, campaign, member, sending, lure, false, word))
        return true;
    verdict = questions_of_tree(guard, campaign, member, sending, &reason, word);
    if (verdict != VERDICT_DELIVER) {
        say(word, verdict, reason, campaign->id);
        return true;
    }
    if (question_confirmed(campaign, sender) || campaign->n_confirmed > campaign->n_denied ||
        guard->n_holds >= HOLDS_MOST)
        return true;
    if (machine && member->n_machine >= 2 && campaign->n_receivers > campaign->window)
        say(word, VERDICT_HOLD, REASON_WINDOW, campaign->id);
    return true;
}

/* A never-seen lure that somebody else brought, and one of a host that hardly anybody has brought,
 * tie their sender to no campaign: others may have it from elsewhere.  But a worm that takes a few
 * hosts in turn, or has shown them to us before, reaches as many people as with its own. */
static void judge_others_lure(struct guard *guard, struct cluster *cluster, struct member *member,
                              const struct user *receiver, const struct sending *sending,
                              struct guard_word *word)
{
    // a program's never-seen lure is a star; of a host that is only scarce it would be nothing
    bool is_program = member->n_machine >= MACHINE_GAPS && cluster->scarce;
    if (!guard->config.campaigns || (member->is_relay && !is_program))
        return;
    struct trail trail = trail_of(guard, member->user);
    if (trail_adds(guard, &trail, receiver->hash_high, sending->audience)) {
        trail_counts(guard, member->user, &trail);
        trail_put(guard, member->user, &trail);
    }
    if (!is_program && !trail_asks(guard, &trail))
        return;
    enum reason reason;
    enum verdict verdict = questions_of_sender(guard, cluster, member, sending, &reason, word);
    is_program |= trail_is_burst(guard, &trail) ||
                  (member->n_machine >= MACHINE_GAPS && trail_is_star(guard, &trail));
    if (verdict != VERDICT_DELIVER &&
        (is_program || outbreak_silences(guard, cluster, &trail, member->user) ||
         trail_waits(guard, &trail)))
        say(word, verdict, reason, cluster->id);
}

/* Whether his copies of a never-seen lure say something of him: he brought it; or it is of a
 * campaign that people are asked about, or he was shown one of such: then whoever brought it first
 * is chance. */
static bool tells_of_sender(const struct guard *guard, const struct cluster *cluster,
                            const struct user *sender)
{
    if (cluster->zero == sender || is_of_incident(guard, cluster))
        return true;
    const struct trail trail = trail_of(guard, sender);
    return was_shown_suspects(guard, &trail, sender);
}

/* A status is one copy for everybody: no pace and no number of people would tell, so that a
 * never-seen lure in one needs its sender's word. */
static bool status_waits(struct guard *guard, struct cluster *cluster, struct member *member,
                         const struct user *receiver, const struct sending *sending,
                         struct guard_word *word)
{
    if (member->user != receiver || sending->audience <= guard->config.fresh_spread ||
        !guard->config.campaigns || !campaign_is_taught(guard) ||
        (!cluster->fresh && !cluster->scarce))
        return false;
    enum reason reason;
    enum verdict verdict = questions_of_sender(guard, cluster, member, sending, &reason, word);
    if (verdict != VERDICT_DELIVER)
        say(word, verdict, reason, cluster->id);
    return verdict != VERDICT_DELIVER;
}

static void judge_lure(struct guard *guard, struct user *sender, struct user *receiver,
                       const struct sending *sending, const struct lure *lure,
                       struct guard_word *word)
{
    bool established = lure_is_established(guard, lure);
    enum lure_width via = LURE_EXACT;
    struct cluster *cluster = cluster_find(guard, lure, established, &via);
    // Words cost a worm nothing: who warns is believed only while his copy opens nothing.  On
    // established hosts links stay alive while nobody is asked about them, and honest people's pace
    // convicts nobody there.  An address that he made dead himself can still be typed: his copy
    // counts as any other.
    bool is_asked = cluster != NULL && cluster->asks_tree;
    // Words that a rule found cannot be made dead at all.
    bool quotes = sending->warns && lure->kind != LURE_WORDS,
         speaks = quotes && (!established || is_asked), dead = (lure->flags & LURE_DEFANGED) != 0;
    struct sending heard;
    if (sending->warns && (!speaks || dead)) { // then it is heard as if he did not warn
        heard = *sending;
        heard.warns = false;
        sending = &heard;
    }
    word->defang |= sending->warns && guard->config.defangs;
    if (cluster != NULL && cluster->n_waiting == 0 && cluster->n_asking == 0 &&
        guard->now_us - cluster->first_us > guard->config.novel_us) {
        // ordinary traffic: what is old must not add up for ever
        if (cluster->state == CLUSTER_QUIET) {
            lessons_of(guard, cluster);
            cluster_forget(guard, cluster);
            cluster = NULL;
        } else if (cluster->state == CLUSTER_OPEN) {
            cluster_close(guard, cluster);
            cluster = NULL;
        }
    }
    bool is_born = cluster == NULL;
    if (is_born) {
        cluster = cluster_make(guard, lure, established, sender);
        evidence_of_birth(guard, cluster, lure, sender);
    } else {
        cluster_bind(guard, cluster, lure, established);
        if (cluster->zero != sender)
            cluster_share(guard, cluster);
        if (established && !cluster->established)
            evidence_of_establishment(guard, cluster, lure);
    }
    struct member *member = member_get(guard, cluster, sender);
    if (member == NULL) { // more people than one cluster can hold: it is long past doubt
        say(word, VERDICT_DELIVER, REASON_NONE, 0);
        return;
    }
    member->quoted |= quotes;
    // who only ever warned loses nothing for it, unless he does so like a program
    if (speaks && dead && member->n_sent == 0)
        member->warned = true;
    else if (!speaks)
        member->warned = false;
    uint32_t n_receivers = member->n_receivers;
    double decoy_before = member->decoy;
    bool machine = evidence_of_sending(guard, cluster, member, sending, via, receiver);
    if (member->decoy > decoy_before) {
        word->decoy_nats = member->decoy;
        word->decoy_lure = arena_str(word->arena, lure->shown);
    }
    note_recent(guard, sender, cluster);
    bool by_himself = member->exposed_us == 0 && !(machine && lure->kind == LURE_LINK);
    // whoever has a domain has any number of accounts: other servers make no host known
    sight_count(guard, lure_home_key(lure), sender,
                by_himself && !sending->remote && user_teaches(guard, sender));
    cluster_touch(guard, cluster);
    clusters_trim(guard, cluster);

    if (sending->warns)
        return;
    if (cluster->state == CLUSTER_CONVICTED) {
        if (conviction_follows(guard, cluster, member, lure, word)) {
            reject_convicted(guard, cluster, lure, word);
            restrict_members(guard, cluster, word);
        }
        return;
    }
    bool careful = speaks && member->warned && member->n_machine < MACHINE_GAPS;
    if (is_convicted_now(guard, cluster, member, sending, lure, careful, word))
        return;
    if (campaign_disowns(guard, cluster, member)) {
        if (careful && guard->config.defangs)
            let_warn(cluster->id, word);
        else
            say(word, VERDICT_REJECT, REASON_DENIED, cluster->id);
        return;
    }
    if (status_waits(guard, cluster, member, receiver, sending, word))
        return;
    bool is_new_copy = is_born || member->n_receivers > n_receivers;
    bool tells = is_new_copy && cluster->fresh && tells_of_sender(guard, cluster, sender);
    bool is_judged =
        tells && judge_campaign(guard, cluster, sender, receiver, sending, lure, is_born, word);
    if (is_new_copy && !is_judged && (cluster->fresh || cluster->scarce))
        judge_others_lure(guard, cluster, member, receiver, sending, word);
    enum reason reason = REASON_NONE;
    enum verdict verdict = questions_of_tree(guard, cluster, member, sending, &reason, word);
    if (verdict != VERDICT_DELIVER && !careful) {
        say(word, verdict, reason, cluster->id);
        return;
    }
    if (question_confirmed(cluster, sender) || cluster->n_confirmed > cluster->n_denied)
        return;
    if (!cluster->novel || cluster->established || cluster->cleared || guard->n_holds >= HOLDS_MOST)
        return;
    if (machine && member->n_machine >= 2 && cluster->n_receivers > cluster->window)
        say(word, VERDICT_HOLD, REASON_WINDOW, cluster->id);
    else if (may_hold(guard, cluster) && !careful)
        say(word, VERDICT_HOLD, REASON_SUSPECTED, cluster->id);
}

/* Of what is encrypted, the sending alone can be judged. */
static void judge_encrypted(struct guard *guard, struct user *sender, struct user *receiver,
                            const struct sending *sending, struct guard_word *word)
{
    bool only = true;
    for (size_t i = 0; i < sending->n_lures; i++) {
        enum reason reason;
        uint64_t incident;
        only &= sending->lures[i].kind == LURE_SEALED;
        if (sending->lures[i].kind != LURE_SEALED)
            continue;
        enum verdict verdict =
            judge_sealed(guard, sender, receiver, sending, &sending->lures[i].keys[LURE_EXACT],
                         &reason, &incident, word);
        if (verdict != VERDICT_DELIVER)
            say(word, verdict, reason, incident);
    }
    word->calm |= only; // it counts as shown when it is let go
}

static void note_ban(const struct guard *guard, enum feature_kind feature, struct str sender,
                     struct guard_word *word)
{
    const struct ban *ban = ban_find(guard, feature, sender);
    if (ban == NULL)
        return;
    word->suspended |= 1U << feature;
    if (ban->expires_us > word->until_us)
        word->until_us = ban->expires_us;
}

/* What a rule of the operator's forbids is convicted with the first text that it finds, as if by
 * his hand; unless he has released that since.  NULL: then. */
static const struct stop *stop_of_rule(struct guard *guard, const struct lure *lure,
                                       struct guard_word *word)
{
    const struct cluster *cluster = cluster_find_key(guard, &lure->keys[LURE_EXACT]);
    if (cluster != NULL && cluster->cleared)
        return NULL;
    const struct conviction conviction = {
        .lure = lure, .width = LURE_EXACT, .actor = STR("rules"), .reason = lure->shown};
    take_conviction(guard, &conviction, word);
    return stop_find(guard, lure);
}

void take_sending(struct guard *guard, const struct sending *sending, struct guard_word *word)
{
    guard->n_sendings++;
    if (sending->n_lures == 0 && !sending->overflowed) {
        guard->n_delivered++;
        return;
    }
    bool links = sending->overflowed, files = false;
    for (size_t i = 0; i < sending->n_lures; i++) {
        links |= sending->lures[i].kind == LURE_LINK;
        files |= sending->lures[i].kind == LURE_FILE;
    }
    struct user *sender, *receiver;
    user_get_both(guard, sending->sender, sending->receiver, &sender, &receiver);
    sender->is_remote = sending->remote;
    sender->n_refs++; // both stay while the event is looked at
    receiver->n_refs++;
    if (links)
        note_ban(guard, FEATURE_LINKS, sending->sender, word);
    if (files)
        note_ban(guard, FEATURE_FILES, sending->sender, word);
    if (word->suspended != 0) {
        say(word, VERDICT_REJECT, REASON_SUSPENDED, 0);
    } else if (sending->overflowed) {
        say(word, VERDICT_REJECT, REASON_TOO_MANY, 0);
    } else {
        uint64_t stopped = 0;
        for (size_t i = 0; i < sending->n_lures; i++) {
            const struct stop *stop =
                sending->lures[i].kind != LURE_SEALED ? stop_find(guard, &sending->lures[i]) : NULL;
            if (stop == NULL && (sending->lures[i].flags & LURE_FORBIDDEN) != 0)
                stop = stop_of_rule(guard, &sending->lures[i], word);
            if (stop == NULL)
                continue;
            struct sending heard = *sending; // no warning makes forbidden words harmless
            heard.warns = sending->warns && sending->lures[i].kind != LURE_WORDS;
            stopped = stop->incident;
            convicted_again(guard, sender, receiver, &heard, stop, word);
        }
        if (stopped == 0 && restricted_until_us(guard, sender) > guard->now_us && (links || files))
            say(word, VERDICT_REJECT, REASON_RESTRICTED, restricted_by(guard, sender));
        else if (stopped == 0 && right_covers(guard, sender, sending))
            word->calm = true;
        else if (stopped == 0)
            for (size_t i = 0; i < sending->n_lures; i++)
                if (sending->lures[i].kind != LURE_SEALED)
                    judge_lure(guard, sender, receiver, sending, &sending->lures[i], word);
        if (stopped == 0 && !word->calm && word->verdict != VERDICT_REJECT)
            judge_encrypted(guard, sender, receiver, sending, word);
    }
    if (word->verdict == VERDICT_HOLD && !hold_has_room(guard, sender))
        say(word, VERDICT_REJECT, REASON_CROWDED, word->incident);
    if (word->verdict == VERDICT_HOLD) {
        struct cluster *cluster = cluster_by_id(guard, word->incident);
        if (cluster != NULL)
            hold_add(guard, cluster, sender, sending, word);
        else // forgotten for want of memory, while the message's other lures were judged
            word->verdict = VERDICT_DELIVER;
    }
    sender->n_refs--;
    receiver->n_refs--;
    guard->n_held += word->verdict == VERDICT_HOLD;
    guard->n_rejected += word->verdict == VERDICT_REJECT;
    guard->n_delivered += word->verdict == VERDICT_DELIVER;
    users_trim(guard);
}
