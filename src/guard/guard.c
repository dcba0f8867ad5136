/*
 * The guard's door: events in, words out.
 *
 * Each kind of event is taken by the file that knows what it means: messages by judge.c, the others
 * by exposure.c, opening.c, sealed.c, report.c, questions.c, operator.c, policy.c and orders.c.
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
        .scarce_by = 11,
        .outbreak_rare = 0.02,
        .surge_nats = 7,
        .day_most = 50,
        .silent_most = 100,
        .fresh_spread = 4,
        .spread_rare = 0.005,
        .rare_doubling_us = 7 * day_us,
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
    slab_init(&guard->users, _Alignof(struct user), USERS_OF_PAGE * sizeof(struct user), false);
    guard->users_said = users_said_new();
    slab_init(&guard->pieces, 16, SLAB_PAGE, true);
    list_init(&guard->young);
    list_init(&guard->known);
    for (size_t i = 0; i < COUNT_OF(guard->clusters); i++)
        list_init(&guard->clusters[i]);
    list_init(&guard->stops);
    list_init(&guard->holds);
    list_init(&guard->bans);
    list_init(&guard->rights);
    list_init(&guard->tallies);
    list_init(&guard->let_go);
    list_init(&guard->hits);
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
    LIST_EACH(&guard->let_go, struct let_go, link, let_go)
    let_go_free(guard, let_go);
    map_done(&guard->sights_map);
    map_done(&guard->bindings_map);
    map_done(&guard->members_map);
    map_done(&guard->by_id);
    map_done(&guard->stops_map);
    map_done(&guard->tallies_map);
    free(guard);
    *at = NULL;
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

/* ---- Events ---- */

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
