/*
 * What the guard would have done, where it only watches.
 *
 * One line for each incident and domain, and one for each domain and day of what
 * belongs to no incident; both with what people and operators said, so that the
 * two can be compared.  Bounded: the lines that were touched longest ago go
 * first, and after config.tally_us in any case.
 */
#include "guard/guard_internal.h"

static const int64_t day_us = 86400 * INT64_C(1000000);

static uint64_t tally_hash(const struct guard *guard, uint64_t incident, struct str domain,
                           int64_t day)
{
    return guard_hash(guard, domain) ^ incident * UINT64_C(0x9E3779B97F4A7C15) ^
           (uint64_t)day * UINT64_C(0xBF58476D1CE4E5B9);
}

struct tally *tally_make(struct guard *guard, uint64_t incident, struct str domain, int64_t day)
{
    struct tally *tally = calloc(1, sizeof *tally);
    must(tally != NULL);
    tally->incident = incident;
    tally->domain = own_text(domain, SIZE_MAX);
    tally->shown = own_text(STR_EMPTY, 0);
    tally->day = day;
    map_put(&guard->tallies_map, &tally->node, tally_hash(guard, incident, domain, day));
    list_add_last(&guard->tallies, &tally->link);
    guard->n_tallies++;
    return tally;
}

void tally_free(struct guard *guard, struct tally *tally)
{
    map_remove(&guard->tallies_map, &tally->node);
    list_leave(&tally->link);
    guard->n_tallies--;
    str_free(&tally->domain);
    str_free(&tally->shown);
    free(tally);
}

void tallies_trim(struct guard *guard)
{
    LIST_EACH(&guard->tallies, struct tally, link, tally)
    {
        bool is_old = guard->now_us - tally->last_us >= guard->config.tally_us;
        if (!is_old && guard->n_tallies <= guard->config.tally_most)
            break;
        guard->n_tallies_forgotten += !is_old;
        tally_free(guard, tally);
    }
}

struct tally *tally_find(const struct guard *guard, uint64_t incident, struct str domain,
                         int64_t day)
{
    uint64_t hash = tally_hash(guard, incident, domain, day);
    for (struct map_node *at = map_first(&guard->tallies_map, hash); at != NULL; at = at->next) {
        struct tally *tally = CONTAINER_OF(at, struct tally, node);
        if (at->hash == hash && tally->incident == incident && tally->day == day &&
            str_eq(tally->domain, domain))
            return tally;
    }
    return NULL;
}

// The line, touched; incident 0: today's of the domain.
static struct tally *line_of(struct guard *guard, uint64_t incident, struct str domain)
{
    int64_t day = incident == 0 ? guard->now_us / day_us : 0;
    struct tally *tally = tally_find(guard, incident, domain, day);
    if (tally == NULL) {
        tally = tally_make(guard, incident, domain, day);
        tally->first_us = guard->now_us;
    }
    tally->last_us = guard->now_us;
    list_leave(&tally->link);
    list_add_last(&guard->tallies, &tally->link);
    const struct cluster *cluster = incident != 0 ? cluster_by_id(guard, incident) : NULL;
    const struct binding *binding = cluster != NULL ? cluster_narrowest(cluster) : NULL;
    struct str shown = cluster == NULL          ? STR_EMPTY
                       : cluster->shown.len > 0 ? cluster->shown
                       : binding != NULL        ? binding->shown
                                                : STR_EMPTY;
    if (shown.len > 0 && !str_eq(shown, tally->shown)) {
        str_free(&tally->shown);
        tally->shown = own_text(shown, SHOWN_MOST);
    }
    tallies_trim(guard);
    return tally;
}

/* ---- What would have been ---------------------------------------------------------------------
 */

void let_go_add(struct guard *guard, const struct copy *copy, uint64_t incident, struct str domain)
{
    struct let_go *oldest = LIST_FIRST(&guard->let_go, struct let_go, link);
    if (oldest != NULL && guard->n_let_go >= LET_GO_MOST) // it stays counted as held
        let_go_free(guard, oldest);
    struct let_go *let_go = calloc(1, sizeof *let_go);
    must(let_go != NULL);
    let_go->copy = *copy;
    let_go->incident = incident;
    let_go->domain = own_text(domain, SIZE_MAX);
    list_add_last(&guard->let_go, &let_go->link);
    guard->n_let_go++;
}

void let_go_free(struct guard *guard, struct let_go *let_go)
{
    list_leave(&let_go->link);
    guard->n_let_go--;
    str_free(&let_go->domain);
    free(let_go);
}

/* A message counts once, though it may have several lures: by that which its verdict is about, else
 * by the most suspect. */
struct copy tally_copy(const struct guard *guard, const struct sending *sending, uint64_t incident)
{
    struct copy copy = {0};
    double most = 0;
    for (size_t i = 0; i < sending->n_lures; i++) {
        const struct lure *lure = &sending->lures[i];
        enum lure_width via = LURE_EXACT;
        const struct cluster *cluster =
            cluster_find(guard, lure, lure_is_established(guard, lure), &via);
        if (cluster == NULL)
            continue;
        bool is_it = incident != 0 && (cluster->id == incident || cluster->campaign == incident);
        if (copy.lure == 0 || is_it || cluster->nats > most) {
            most = cluster->nats;
            copy = (struct copy){.lure = cluster->id, .key = lure->keys[via]};
        }
        if (is_it)
            break;
    }
    return copy;
}

static void note_copy(struct guard *guard, const struct sending *sending,
                      const struct guard_word *word)
{
    const struct copy copy = tally_copy(guard, sending, word->incident);
    const struct cluster *cluster = copy.lure != 0 ? cluster_by_id(guard, copy.lure) : NULL;
    if (cluster == NULL)
        return;
    bool goes_out = word->verdict == VERDICT_DELIVER && !word->defang;
    if (cluster->kind == LURE_SEALED) { // its runs have no members, each message is a key
        binding_find(guard, &copy.key)->stayed = !goes_out;
        return;
    }
    const struct user *sender = user_find(guard, sending->sender);
    struct member *member = sender != NULL ? member_find(guard, cluster, sender) : NULL;
    if (goes_out && member != NULL && member->n_out < OUT_MOST)
        member->n_out++;
}

static void one_held_less(const struct guard *guard, uint64_t incident, struct str domain)
{
    struct tally *tally = tally_find(guard, incident, domain, 0);
    if (tally != NULL)
        tally->n_holds -= tally->n_holds > 0;
}

void tally_hold_ends(struct guard *guard, const struct hold *hold, bool deliver, enum reason reason)
{
    struct str domain = domain_of(user_jid(guard, hold->sender));
    // of what is encrypted each would have been asked, and nobody knows what he had said
    if (cluster_is_forest(hold->cluster) && guard->config.ask_us > 0)
        return;
    if (deliver) {
        let_go_add(guard, &hold->copy, hold->cluster->id, domain);
    } else if (reason == REASON_CONVICTED || reason == REASON_DENIED) {
        one_held_less(guard, hold->cluster->id, domain);
        line_of(guard, hold->cluster->id, domain)->n_rejects++;
        guard->n_would_reject++;
    }
}

static void count_let_go(struct guard *guard, const struct order *order,
                         const struct cluster *cluster)
{
    LIST_EACH(&guard->let_go, struct let_go, link, let_go)
    {
        if (let_go->copy.lure != cluster->id ||
            (cluster->kind == LURE_SEALED && !lure_key_eq(&let_go->copy.key, &order->key)))
            continue;
        one_held_less(guard, let_go->incident, let_go->domain);
        line_of(guard, order->incident, let_go->domain)->n_retracts++;
        let_go_free(guard, let_go);
    }
}

// The copies that would stand at their receivers, by the domains of their senders.
static void count_retracted(struct guard *guard, const struct order *order)
{
    struct binding *binding = binding_find(guard, &order->key);
    if (binding == NULL)
        return;
    struct cluster *cluster = binding->cluster;
    count_let_go(guard, order, cluster);
    if (cluster->kind == LURE_SEALED && !binding->stayed && cluster->zero != NULL) {
        line_of(guard, order->incident, domain_of(user_jid(guard, cluster->zero)))->n_retracts++;
        binding->stayed = true;
    }
    LIST_EACH(&cluster->members, struct member, link, member)
    if (member->n_out > 0) {
        line_of(guard, order->incident, domain_of(user_jid(guard, member->user)))->n_retracts +=
            member->n_out;
        member->n_out = 0;
    }
}

static void tally_orders(struct guard *guard, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        if (order->undo || cluster_by_id(guard, order->incident) == NULL)
            continue;
        if (order->kind == ORDER_RESTRICT)
            line_of(guard, order->incident, domain_of(order->who))->n_restricts++;
        if (order->kind == ORDER_RETRACT)
            count_retracted(guard, order);
        // of the orders of one conviction, the one that nobody but an incident's first has
        if (order->kind == ORDER_NOTIFY && order->audience == TO_OPERATOR)
            LIST_EACH(&guard->tallies, struct tally, link, tally)
        if (tally->incident == order->incident)
            tally->convicted_us = guard->now_us;
    }
}

void tally_sending(struct guard *guard, const struct sending *sending,
                   const struct guard_word *word)
{
    struct str domain = domain_of(sending->sender);
    struct tally *today = line_of(guard, 0, domain);
    today->n_sendings++;
    if (word->verdict != VERDICT_DELIVER) {
        struct tally *tally = word->incident != 0 ? line_of(guard, word->incident, domain) : today;
        tally->n_rejects += word->verdict == VERDICT_REJECT;
        tally->n_holds += word->verdict == VERDICT_HOLD;
        guard->n_would_reject += word->verdict == VERDICT_REJECT;
        guard->n_would_hold += word->verdict == VERDICT_HOLD;
    }
    note_copy(guard, sending, word); // first: what is stopped now is no copy that is taken back
    tally_orders(guard, word);
}

/* ---- What people said --------------------------------------------------------------------------
 */

void tally_report(struct guard *guard, const struct report *report, const struct guard_word *word)
{
    if (word->incident == 0) // of something that the guard has not seen, or of words
        line_of(guard, 0, domain_of(report->reporter))->n_reports++;
    tally_orders(guard, word);
}

void tally_reported(struct guard *guard, const struct cluster *cluster, struct str reporter)
{
    line_of(guard, cluster->id, domain_of(reporter))->n_reports++;
}

static bool is_watched(const struct guard *guard, struct str domain)
{
    LIST_EACH((struct list *)&guard->tallies, struct tally, link, tally)
    if (str_eq(tally->domain, domain))
        return true;
    return false;
}

void tally_operator(struct guard *guard, struct cluster *cluster, bool convicts)
{
    // an operator speaks for all domains: what the guard missed there has no line yet
    if (convicts && guard->n_tallies > 0)
        LIST_EACH(&cluster->members, struct member, link, member)
        {
            struct str domain = domain_of(user_jid(guard, member->user));
            if (tally_find(guard, cluster->id, domain, 0) == NULL && is_watched(guard, domain))
                line_of(guard, cluster->id, domain);
        }
    LIST_EACH(&guard->tallies, struct tally, link, tally)
    if (tally->incident == cluster->id) {
        if (convicts)
            tally->by_hand_us = guard->now_us;
        else
            tally->released_us = guard->now_us;
        tally->last_us = guard->now_us;
    }
}

void guard_tallies(const struct guard *guard, guard_tally_fn *fn, void *context)
{
    LIST_EACH((struct list *)&guard->tallies, struct tally, link, tally)
    {
        // where others are not only watched, it may have been their doing
        const struct cluster *cluster = cluster_by_id(guard, tally->incident);
        int64_t convicted_us = tally->convicted_us == 0 && cluster != NULL ? cluster->by_itself_us
                                                                           : tally->convicted_us;
        const struct guard_tally out = {
            .incident = tally->incident,
            .kind = cluster != NULL ? (int)cluster->kind : -1,
            .domain = tally->domain,
            .shown = tally->shown,
            .first_us = tally->first_us,
            .last_us = tally->last_us,
            .convicted_us = convicted_us,
            .by_hand_us = tally->by_hand_us,
            .released_us = tally->released_us,
            .n_sendings = tally->n_sendings,
            .n_rejects = tally->n_rejects,
            .n_holds = tally->n_holds,
            .n_retracts = tally->n_retracts,
            .n_restricts = tally->n_restricts,
            .n_reports = tally->n_reports,
        };
        fn(context, &out);
    }
}
