/*
 * The guard's door: events in, words out.
 *
 * This file knows the order in which things are asked (suspensions, convictions,
 * restrictions, entitlements, evidence, windows); the rest of the room knows what
 * each of them means.
 */
#include "guard/guard_internal.h"

static const int64_t second_us = INT64_C(1000000), hour_us = 3600 * INT64_C(1000000),
                     day_us = 86400 * INT64_C(1000000);

void guard_config_default(struct guard_config *config)
{
    *config = (struct guard_config){
        // one wrong conviction in a million messages is ln(10^6) = 13.8
        .convict_nats = 14,
        .hold_nats = 12,
        .respond_nats = 7,
        .star_convicts = true,
        .campaigns = true,
        .campaign_nats = 20,
        .campaign_lessons = 200,
        .fresh_share = 0.25,
        .relay_share = 0.05,
        .fresh_most = 7,
        .fresh_rare = 0.002,
        .outbreak_rare = 0.02,
        .surge_nats = 7,
        .fresh_spread = 4,
        .spread_rare = 0.005,
        .defangs = false,
        .sealed_pause_us = 5 * second_us,
        .sealed_first = 3,
        .sealed_hold_nats = 2.5,
        .sealed_nats = 5.5,
        .window_first = 2,
        .window_growth = 2,
        .hold_us = 15 * second_us,
        .ask_us = 1 * hour_us,
        .ask_late_us = 7 * day_us,
        .ask_nats = 11,
        .ask_relays = 3,
        .ask_most = 12,
        .ask_a_day = 2,
        .ask_denials = 2,
        .novel_us = 3 * day_us,
        .established_us = 1 * day_us,
        .established_by = 5,
        .fast_relays_established = 12,
        .relay_us = 7 * day_us,
        .mature_us = 1 * hour_us,
        .settle_us = 1 * day_us,
        .forget_us = 30 * day_us,
        .conviction_us = 30 * day_us,
        .restriction_us = 1 * day_us,
        .memory = (size_t)64 << 20,
        .senders_open = 256,
        .lessons_per_day = 20,
        .tally_us = 30 * day_us,
        .tally_most = 10000,
    };
}

void guard_word_init(struct guard_word *word, struct arena *arena)
{
    *word = (struct guard_word){.arena = arena};
}

struct guard *guard_new(const struct guard_config *config, uint64_t seed)
{
    struct guard *guard = calloc(1, sizeof *guard);
    must(guard != NULL);
    guard->config = *config;
    guard->seed = seed;
    uint64_t halves[2] = {seed, ~seed};
    memcpy(guard->hash_key.bytes, halves, sizeof guard->hash_key.bytes);
    guard->next_cluster = guard->next_order = 1;
    guard->next_expiry_us = INT64_MAX;
    slab_init(&guard->users, _Alignof(struct user));
    slab_init(&guard->texts, 8);
    slab_init_keeping(&guard->pieces, 16);
    list_init(&guard->young);
    list_init(&guard->known);
    for (size_t i = 0; i < COUNT_OF(guard->clusters); i++)
        list_init(&guard->clusters[i]);
    list_init(&guard->stops);
    list_init(&guard->holds);
    list_init(&guard->bans);
    list_init(&guard->rights);
    list_init(&guard->tallies);
    list_init(&guard->questions);
    list_init(&guard->late);
    lessons_default(&guard->lessons);
    return guard;
}

void guard_free(struct guard **at)
{
    struct guard *guard = *at;
    if (guard == NULL)
        return;
    LIST_EACH(&guard->holds, struct hold, link, hold)
    hold_free(guard, hold);
    for (size_t i = 0; i < COUNT_OF(guard->clusters); i++)
        LIST_EACH(&guard->clusters[i], struct cluster, link, cluster)
    cluster_forget(guard, cluster);
    LIST_EACH(&guard->stops, struct stop, link, stop)
    stop_free(guard, stop);
    LIST_EACH(&guard->bans, struct ban, link, ban)
    ban_free(guard, ban);
    LIST_EACH(&guard->rights, struct right, link, right)
    right_free(guard, right);
    LIST_EACH(&guard->young, struct sight, link, sight)
    sight_free(guard, sight);
    LIST_EACH(&guard->known, struct sight, link, sight)
    sight_free(guard, sight);
    users_free(guard);
    slab_done(&guard->pieces);
    LIST_EACH(&guard->tallies, struct tally, link, tally)
    tally_free(guard, tally);
    map_done(&guard->standings);
    map_done(&guard->sights_map);
    map_done(&guard->bindings_map);
    map_done(&guard->members_map);
    map_done(&guard->by_id);
    map_done(&guard->stops_map);
    map_done(&guard->tallies_map);
    free(guard);
    *at = NULL;
}

uint64_t guard_number(const struct guard *guard)
{
    return guard->number;
}

const char *reason_name(enum reason reason)
{
    static const char *const names[] = {"none",     "convicted", "restricted", "suspended",
                                        "too-many", "window",    "suspected",  "cleared",
                                        "operator", "expired",   "asked",      "unanswered",
                                        "denied",   "crowded",   "undecided"};
    must((size_t)reason < COUNT_OF(names));
    return names[reason];
}

/* ---- Judging --------------------------------------------------------------------------------- */

static void say(struct guard_word *word, enum verdict verdict, enum reason reason,
                uint64_t incident)
{
    if (verdict < word->verdict)
        return; // the strictest answer to any lure of the message stands
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

/* A copy of a convicted lure: it does not pass, but it tells about its sender. */
static void convicted_again(struct guard *guard, struct user *sender, struct user *receiver,
                            const struct sending *sending, const struct stop *stop,
                            struct guard_word *word)
{
    struct cluster *cluster = cluster_by_id(guard, stop->incident);
    struct member *member = cluster != NULL ? member_get(guard, cluster, sender) : NULL;
    if (member != NULL) {
        evidence_of_sending(guard, cluster, member, sending, stop->width, receiver);
        // at a human pace not before somebody has denied it
        if (cluster->on_trial && may_convict_tree(guard, cluster, cluster->n_denied > 0))
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
    // a campaign at human pace has more against it than one answer could take back
    if (cluster->is_campaign && may_convict_tree(guard, cluster, true))
        asking = ASK_NOBODY;
    else if (may_convict(guard, cluster))
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

/* A never-seen lure, by what its sender and others do with such. */
static void judge_campaign(struct guard *guard, struct cluster *cluster, struct user *sender,
                           struct user *receiver, const struct sending *sending,
                           const struct lure *lure, bool is_born, struct guard_word *word)
{
    bool machine = false;
    struct cluster *campaign =
        campaign_takes(guard, cluster, sender, receiver, sending, is_born, &machine);
    if (campaign == NULL || campaign->cleared)
        return;
    struct member *member = member_find(guard, campaign, sender);
    enum reason reason = REASON_NONE;
    const struct trail trail = trail_of(guard, sender);
    double loudness = campaign_loudness(guard, campaign, member);
    bool is_star = trail_is_star(guard, &trail), is_concerned = outbreak_concerns(guard, &trail);
    bool waits = trail_is_full(guard, &trail) ||
                 (is_concerned && (is_star || outbreak_is_sure(guard))) ||
                 campaign_is_late(guard, campaign, member) ||
                 loudness >= (guard->config.hold_nats + guard->config.convict_nats) / 2;
    if (waits || is_star || is_concerned || loudness >= guard->config.ask_nats) {
        enum verdict verdict = questions_of_sender(guard, campaign, member, sending, &reason, word);
        if (waits && verdict != VERDICT_DELIVER) {
            say(word, verdict, reason, campaign->id);
            return;
        }
    }
    if (campaign->state == CLUSTER_CONVICTED) {
        if (!campaign_follows(guard, campaign, sender) || question_confirmed(campaign, sender))
            return;
        if (question_is_open(campaign, sender) && guard->n_holds < HOLDS_MOST) {
            say(word, VERDICT_HOLD, REASON_ASKED, campaign->id);
            return;
        }
        reject_convicted(guard, campaign, lure, word);
        restrict_members(guard, campaign, word);
        return;
    }
    if (question_confirmed(campaign, sender) ||
        is_convicted_now(guard, campaign, member, sending, lure, false, word))
        return;
    enum verdict verdict = questions_of_tree(guard, campaign, member, sending, &reason, word);
    if (verdict != VERDICT_DELIVER) {
        say(word, verdict, reason, campaign->id);
        return;
    }
    if (question_confirmed(campaign, sender) || campaign->n_confirmed > campaign->n_denied ||
        guard->n_holds >= HOLDS_MOST)
        return;
    if (machine && member->n_machine >= 2 && campaign->n_receivers > campaign->window)
        say(word, VERDICT_HOLD, REASON_WINDOW, campaign->id);
    else if (may_hold(guard, campaign))
        say(word, VERDICT_HOLD, REASON_SUSPECTED, campaign->id);
}

void note_recent(struct guard *guard, struct user *sender, const struct cluster *cluster)
{
    struct trail trail = trail_of(guard, sender);
    if (trail.recent[0] == cluster->id)
        return;
    memmove(trail.recent + 1, trail.recent, sizeof trail.recent - sizeof *trail.recent);
    trail.recent[0] = cluster->id;
    trail_put(guard, sender, &trail);
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
    struct sending heard = *sending;
    // Words that a rule found cannot be made dead at all.
    bool quotes = sending->warns && lure->kind != LURE_WORDS,
         speaks = quotes && (!established || is_asked), dead = (lure->flags & LURE_DEFANGED) != 0;
    heard.warns = speaks && !dead;
    sending = &heard;
    word->defang |= heard.warns && guard->config.defangs;
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
        cluster->established |= established;
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
    if (lure->kind == LURE_LINK)
        sight_count(guard, lure_home_key(lure), sender, member->exposed_us == 0 && !machine);
    else
        sight_count(guard, lure_home_key(lure), sender, member->exposed_us == 0);
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
    // once it is known for a worm's, whoever goes on with it is judged, whoever brought it
    const struct cluster *campaign = cluster_by_id(guard, cluster->campaign);
    bool is_his =
        cluster->zero == sender || (campaign != NULL && campaign_is_known(guard, campaign));
    if (cluster->fresh && is_his && (is_born || member->n_receivers > n_receivers))
        judge_campaign(guard, cluster, sender, receiver, sending, lure, is_born, word);
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

static void take_conviction(struct guard *guard, const struct conviction *conviction,
                            struct guard_word *word);

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

static void take_sending(struct guard *guard, const struct sending *sending,
                         struct guard_word *word)
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
            hold_add(guard, cluster, sender, sending->message, word);
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

/* ---- Other events
 * -------------------------------------------------------------------------------- */

/* A worm also travels by people who mean to pass its lures on: what they show counts once there is
 * reason to ask. */
static bool is_of_incident(const struct guard *guard, const struct cluster *cluster)
{
    const struct cluster *campaign = cluster_by_id(guard, cluster->campaign);
    return campaign != NULL && campaign->is_incident && !campaign->cleared;
}

static void take_exposure(struct guard *guard, const struct exposure *exposure)
{
    guard->n_exposures++;
    struct cluster *seen[8];
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

static void take_report(struct guard *guard, const struct report *report, struct guard_word *word)
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

static void take_conviction_of_incident(struct guard *guard, const struct conviction *conviction,
                                        struct guard_word *word)
{
    struct cluster *cluster = cluster_by_id(guard, conviction->incident);
    word->reason = REASON_OPERATOR;
    if (cluster == NULL || !cluster->is_incident ||
        !convict_as_told(guard, cluster, conviction, word))
        return;
    operator_convicts(guard, cluster, conviction, word);
}

static void take_conviction(struct guard *guard, const struct conviction *conviction,
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
        if (convicted != NULL)
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

static void take_release(struct guard *guard, const struct release *release,
                         struct guard_word *word)
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
    if (cluster == NULL || !cluster->is_incident)
        return;
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

void guard_take(struct guard *guard, const struct guard_event *event, struct guard_word *word)
{
    guard->number++;
    if (event->now_us > guard->now_us)
        guard->now_us = event->now_us;
    word->number = guard->number;
    word->verdict = VERDICT_DELIVER;
    word->reason = REASON_NONE;
    word->incident = 0;
    word->until_us = 0;
    word->suspended = 0;
    word->defang = word->calm = false;
    word->n_orders = 0;
    // what was due before this event happened before it
    time_passes(guard, word);
    switch (event->kind) {
    case EVENT_SENDING:
        take_sending(guard, &event->sending, word);
        if (event->sending.observed)
            tally_sending(guard, &event->sending, word);
        break;
    case EVENT_EXPOSURE:
        take_exposure(guard, &event->exposure);
        break;
    case EVENT_OPENING:
        take_opening(guard, &event->opened);
        break;
    case EVENT_SEALED:
        take_sealed(guard, &event->exposure);
        break;
    case EVENT_REPORT:
        take_report(guard, &event->report, word);
        break;
    case EVENT_ANSWER:
        take_answer(guard, &event->answer, word);
        break;
    case EVENT_CONVICT:
        take_conviction(guard, &event->conviction, word);
        break;
    case EVENT_CONVICT_INCIDENT:
        take_conviction_of_incident(guard, &event->conviction, word);
        break;
    case EVENT_RELEASE:
        take_release(guard, &event->release, word);
        break;
    case EVENT_SUSPEND:
        take_suspension(guard, &event->suspension, word);
        break;
    case EVENT_ENTITLE:
        take_entitlement(guard, &event->entitlement, word);
        break;
    case EVENT_DECOY:
        take_decoy(guard, &event->decoy, word);
        break;
    case EVENT_TICK:
        clusters_trim(guard, NULL);
        tallies_trim(guard);
        break;
    case EVENT_OUTCOME:
        take_outcome(guard, &event->outcome);
        break;
    }
}

enum verdict guard_judge(struct guard *guard, const struct sending *sending, int64_t now_us,
                         struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_SENDING, .now_us = now_us, .sending = *sending};
    guard_take(guard, &event, word);
    return word->verdict;
}

void guard_exposed(struct guard *guard, const struct exposure *exposure, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_EXPOSURE, .now_us = now_us, .exposure = *exposure};
    guard_take(guard, &event, word);
}

void guard_opened(struct guard *guard, const struct opened *opened, int64_t now_us,
                  struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_OPENING, .now_us = now_us, .opened = *opened};
    guard_take(guard, &event, word);
}

void guard_reported(struct guard *guard, const struct report *report, int64_t now_us,
                    struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_REPORT, .now_us = now_us, .report = *report};
    guard_take(guard, &event, word);
}

void guard_answered(struct guard *guard, const struct answer *answer, int64_t now_us,
                    struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_ANSWER, .now_us = now_us, .answer = *answer};
    guard_take(guard, &event, word);
}

void guard_convict(struct guard *guard, const struct conviction *conviction, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {.kind = conviction->lure != NULL ? EVENT_CONVICT
                                                                 : EVENT_CONVICT_INCIDENT,
                                .now_us = now_us,
                                .conviction = *conviction};
    guard_take(guard, &event, word);
}

void guard_release(struct guard *guard, const struct release *release, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_RELEASE, .now_us = now_us, .release = *release};
    guard_take(guard, &event, word);
}

void guard_suspend(struct guard *guard, const struct suspension *suspension, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_SUSPEND, .now_us = now_us, .suspension = *suspension};
    guard_take(guard, &event, word);
}

void guard_entitle(struct guard *guard, const struct entitlement *entitlement, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {
        .kind = EVENT_ENTITLE, .now_us = now_us, .entitlement = *entitlement};
    guard_take(guard, &event, word);
}

void guard_decoy(struct guard *guard, const struct decoy *decoy, int64_t now_us,
                 struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_DECOY, .now_us = now_us, .decoy = *decoy};
    guard_take(guard, &event, word);
}

void guard_outcome(struct guard *guard, const struct order_outcome *outcome, int64_t now_us,
                   struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_OUTCOME, .now_us = now_us, .outcome = *outcome};
    guard_take(guard, &event, word);
}

void guard_tick(struct guard *guard, int64_t now_us, struct guard_word *word)
{
    struct guard_event event = {.kind = EVENT_TICK, .now_us = now_us};
    guard_take(guard, &event, word);
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

int64_t guard_next_us(const struct guard *guard)
{
    const struct hold *first = LIST_FIRST(&guard->holds, struct hold, link);
    const struct question *question = LIST_FIRST(&guard->questions, struct question, link);
    int64_t next_us = guard->next_expiry_us;
    const struct question *late = LIST_FIRST(&guard->late, struct question, link);
    if (question != NULL && question->due_us < next_us)
        next_us = question->due_us;
    if (late != NULL && late->late_us < next_us)
        next_us = late->late_us;
    return first != NULL && first->due_us < next_us ? first->due_us : next_us;
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
