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

// The copies that went out before the conviction, by the domains of their senders; of what is
// encrypted its orders have told.
static void count_retracted(struct guard *guard, struct cluster *cluster)
{
    LIST_EACH(&cluster->members, struct member, link, member)
    if (member->n_sent > 0 && !cluster_is_forest(cluster))
        line_of(guard, cluster->id, domain_of(user_jid(guard, member->user)))->n_retracts +=
            member->n_sent;
    LIST_EACH(&guard->tallies, struct tally, link, tally)
    if (tally->incident == cluster->id) {
        tally->convicted_us = guard->now_us;
        // less those that would not have gone out
        uint32_t stayed = tally->n_rejects + tally->n_holds;
        tally->n_retracts -= stayed < tally->n_retracts ? stayed : tally->n_retracts;
    }
}

// Of encrypted messages each has a key of its own, and not all that were seen are taken back.
static void count_sealed(struct guard *guard, const struct order *order)
{
    const struct cluster *run = cluster_find_key(guard, &order->key);
    if (run != NULL && run->zero != NULL)
        line_of(guard, order->incident, domain_of(user_jid(guard, run->zero)))->n_retracts++;
}

/* Whether there are orders to take back what is encrypted, after its conviction. */
static bool tally_orders(struct guard *guard, const struct guard_word *word)
{
    bool of_sealed = false, convicts = false;
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        struct cluster *cluster = cluster_by_id(guard, order->incident);
        if (order->undo || cluster == NULL)
            continue;
        if (order->kind == ORDER_RESTRICT)
            line_of(guard, order->incident, domain_of(order->who))->n_restricts++;
        if (order->kind == ORDER_RETRACT && cluster_is_forest(cluster)) {
            count_sealed(guard, order);
            of_sealed = true;
        }
        // of the orders of one conviction, the one that nobody but an incident's first has
        if (order->kind == ORDER_NOTIFY && order->audience == TO_OPERATOR) {
            count_retracted(guard, cluster);
            convicts = true;
        }
    }
    // a later one that would have waited or been refused is no copy that would have been taken back
    return of_sealed && !convicts;
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
    if (tally_orders(guard, word) && word->verdict != VERDICT_DELIVER && word->incident != 0) {
        struct tally *tally = line_of(guard, word->incident, domain);
        tally->n_retracts -= tally->n_retracts > 0;
    }
}

/* ---- What people said --------------------------------------------------------------------------
 */

void tally_report(struct guard *guard, const struct report *report, const struct guard_word *word)
{
    if (word->incident == 0) // of something that the guard has not seen, or of words
        line_of(guard, 0, domain_of(report->reporter))->n_reports++;
    (void)tally_orders(guard, word);
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
