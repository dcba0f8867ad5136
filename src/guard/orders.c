/*
 * From opinion to act: convictions, restrictions, held messages, expiry, undo.
 *
 * A conviction is a set of stopped keys, the narrowest that cover the cluster.
 * Stops live in a table of their own, which no flood can push anything out of;
 * the cluster beside them remembers why.
 */
#include "guard/guard_internal.h"

enum { STOPS_OF_ONE = 8, RESTRICT_AT_ONCE = 1024 };

void expiry_note(struct guard *guard, int64_t expires_us)
{
    if (expires_us != 0 && expires_us < guard->next_expiry_us)
        guard->next_expiry_us = expires_us;
}

static struct str keep(struct guard_word *word, struct str text)
{
    return text.len == 0 ? STR_EMPTY : arena_str(word->arena, text);
}

/* Orders of one kind, one after the other, are one line of the record. */
static void record(struct guard *guard, struct cluster *cluster, const struct order *order,
                   struct user *who)
{
    if (cluster->n_orders > 0) {
        struct cluster_order *last = &cluster->orders[cluster->n_orders - 1];
        if (last->kind == order->kind && last->undo == order->undo && last->who == who &&
            last->audience == order->audience && last->reason == order->reason &&
            (order->kind == ORDER_DELIVER_HELD || order->kind == ORDER_REJECT_HELD)) {
            last->count++;
            return;
        }
    }
    if (cluster->n_orders == CLUSTER_ORDERS)
        return; // the audit record has them all; here the first ones tell the story
    if (cluster->n_orders == cluster->orders_room) {
        size_t room = cluster->orders_room == 0 ? 8 : 2 * cluster->orders_room;
        cluster->orders = realloc(cluster->orders, room * sizeof *cluster->orders);
        must(cluster->orders != NULL);
        cluster->orders_room = room;
    }
    if (who != NULL)
        who->n_refs++;
    bool has_key =
        order->kind == ORDER_STOP || order->kind == ORDER_RETRACT || order->kind == ORDER_RETURN;
    struct cluster_order *made = &cluster->orders[cluster->n_orders++];
    *made =
        (struct cluster_order){.kind = order->kind,
                               .undo = order->undo,
                               .reason = order->reason,
                               .audience = order->audience,
                               .number = order->number,
                               .who = who,
                               .at_us = guard->now_us,
                               .expires_us = order->expires_us,
                               .count = 1,
                               .width = order->width,
                               .key = order->key,
                               .shown = own_text(has_key ? order->shown : STR_EMPTY, SHOWN_MOST)};
    guard->bytes_clusters += order_size(made);
}

// Not by the room of the array, which a snapshot forgets.
size_t order_size(const struct cluster_order *order)
{
    return sizeof *order + order->shown.len;
}

/* ---- What came of orders --------------------------------------------------------------------- */

void stop_refused(struct cluster *cluster, const struct lure_key *key)
{
    for (size_t i = cluster->n_orders; i-- > 0;) {
        struct cluster_order *order = &cluster->orders[i];
        if (order->kind == ORDER_STOP && !order->undo && lure_key_eq(&order->key, key)) {
            order->done++;
            return;
        }
    }
}

// Held messages: several orders are one record, under the number of the first.
static struct cluster_order *order_of(struct cluster *cluster, const struct order_outcome *outcome)
{
    for (size_t i = cluster->n_orders; i-- > 0;) {
        struct cluster_order *order = &cluster->orders[i];
        if (order->kind != outcome->kind || order->undo != outcome->undo ||
            order->number > outcome->order)
            continue;
        bool is_walk = order->kind == ORDER_RETRACT || order->kind == ORDER_RETURN;
        bool is_it = is_walk ? order->number == outcome->order : order->done < order->count;
        return is_it ? order : NULL;
    }
    return NULL;
}

void take_outcome(struct guard *guard, const struct order_outcome *outcome)
{
    struct cluster *cluster = cluster_by_id(guard, outcome->incident);
    if (outcome->kind == ORDER_RETRACT && outcome->undo)
        guard->n_given_again += outcome->n;
    else if (outcome->kind == ORDER_RETRACT)
        guard->n_taken_back += outcome->n;
    if (cluster == NULL)
        return;
    switch (outcome->kind) {
    case ORDER_RETRACT:
        if (outcome->undo)
            cluster->n_given_again += outcome->n;
        else
            cluster->n_taken_back += outcome->n;
        cluster->n_unspooled += outcome->n_unspooled;
        break;
    case ORDER_RETURN:
        cluster->n_sent_back += outcome->n;
        break;
    case ORDER_DELIVER_HELD:
        cluster->n_let_go += outcome->n;
        break;
    case ORDER_REJECT_HELD:
        cluster->n_returned += outcome->n;
        break;
    default:
        return; // the guard knows itself what others did
    }
    struct cluster_order *order = order_of(cluster, outcome);
    if (order != NULL) {
        order->done += outcome->n;
        order->unspooled += outcome->n_unspooled;
    }
}

struct order *order_add(struct guard *guard, struct guard_word *word, struct cluster *cluster,
                        const struct order *wanted, struct user *who)
{
    if (word->n_orders == word->room) {
        size_t room = word->room == 0 ? 8 : 2 * word->room;
        struct order *orders = arena_make_array(word->arena, struct order, room);
        if (word->n_orders > 0)
            memcpy(orders, word->orders, word->n_orders * sizeof *orders);
        word->orders = orders;
        word->room = room;
    }
    struct order *order = &word->orders[word->n_orders++];
    *order = *wanted;
    order->number = guard->next_order++;
    if (cluster != NULL)
        order->incident = cluster->id;
    order->shown = keep(word, wanted->shown);
    order->who = who != NULL ? keep(word, user_jid(guard, who)) : STR_EMPTY;
    if (cluster != NULL && cluster->is_incident)
        record(guard, cluster, order, who);
    return order;
}

/* ---- Stops ------------------------------------------------------------------------------------
 */

struct stop *stop_find_key(const struct guard *guard, const struct lure_key *key)
{
    if (guard->n_stops == 0)
        return NULL;
    uint64_t hash = guard_hash_key(guard, key);
    for (struct map_node *at = map_first(&guard->stops_map, hash); at != NULL; at = at->next) {
        struct stop *stop = CONTAINER_OF(at, struct stop, node);
        if (at->hash == hash && lure_key_eq(&stop->key, key))
            return stop;
    }
    return NULL;
}

struct stop *stop_find_of(const struct guard *guard, const struct cluster *incident,
                          const struct lure_key *key)
{
    struct stop *stop = stop_find_key(guard, key);
    return stop != NULL && stop->incident == incident->id ? stop : NULL;
}

size_t guard_stops(const struct guard *guard, struct lure_key *keys, size_t room)
{
    size_t n = 0;
    LIST_EACH((struct list *)&guard->stops, struct stop, link, stop)
    if (n < room)
        keys[n++] = stop->key;
    return guard->n_stops;
}

struct stop *stop_find(const struct guard *guard, const struct lure *lure)
{
    struct stop *stop = NULL;
    for (size_t width = 0; guard->n_stops > 0 && stop == NULL && width < LURE_WIDTHS; width++)
        if (!lure_key_is_none(&lure->keys[width]))
            stop = stop_find_key(guard, &lure->keys[width]);
    return stop;
}

struct stop *stop_make(struct guard *guard, const struct lure_key *key)
{
    struct stop *stop = calloc(1, sizeof *stop);
    must(stop != NULL);
    stop->key = *key;
    map_put(&guard->stops_map, &stop->node, guard_hash_key(guard, key));
    list_add_last(&guard->stops, &stop->link);
    guard->n_stops++;
    return stop;
}

void stop_free(struct guard *guard, struct stop *stop)
{
    map_remove(&guard->stops_map, &stop->node);
    list_leave(&stop->link);
    guard->n_stops--;
    str_free(&stop->shown);
    free(stop);
}

void cluster_becomes_incident(struct guard *guard, struct cluster *cluster)
{
    if (cluster->is_incident)
        return;
    cluster->is_incident = true;
    if (cluster->state == CLUSTER_QUIET)
        cluster->state = CLUSTER_OPEN;
    guard->n_incidents++;
    cluster_rank(guard, cluster);
}

void convict_key(struct guard *guard, struct cluster *cluster, const struct lure_key *key,
                 enum lure_width width, struct str shown, int64_t expires_us, enum reason reason,
                 struct guard_word *word)
{
    if (stop_find_key(guard, key) != NULL)
        return;
    struct stop *stop = stop_make(guard, key);
    stop->width = width;
    stop->incident = cluster->id;
    stop->expires_us = expires_us;
    stop->shown = own_text(shown, SHOWN_MOST);
    cluster->n_stops++;
    expiry_note(guard, expires_us);
    struct order order = {.kind = ORDER_STOP,
                          .reason = reason,
                          .width = width,
                          .key = *key,
                          .shown = stop->shown,
                          .expires_us = expires_us};
    order_add(guard, word, cluster, &order, NULL);
    order.kind = ORDER_RETRACT;
    order_add(guard, word, cluster, &order, NULL);
    order.kind = ORDER_NOTIFY;
    order.audience = TO_EXPOSED;
    order_add(guard, word, cluster, &order, NULL);
}

static void set_key(struct cluster *cluster, const struct lure_key *key, enum lure_width width,
                    struct str shown)
{
    cluster->key = *key;
    cluster->width = width;
    str_free(&cluster->shown);
    cluster->shown = own_text(shown, SHOWN_MOST);
}

void cluster_is_convicted(struct guard *guard, struct cluster *cluster, const struct lure_key *key,
                          enum lure_width width, struct str shown, int64_t expires_us)
{
    cluster_becomes_incident(guard, cluster);
    if (cluster->state != CLUSTER_CONVICTED)
        guard->n_convicted++;
    cluster->state = CLUSTER_CONVICTED;
    cluster->convicted_us = guard->now_us;
    cluster->ended_us = 0;
    cluster->expires_us = expires_us;
    set_key(cluster, key, width, shown);
}

int conviction_width(const struct cluster *cluster)
{
    size_t n[LURE_WIDTHS] = {0};
    LIST_EACH((struct list *)&cluster->bindings, struct binding, link, binding)
    n[binding->width]++;
    // the narrowest width that one key covers; else the narrowest that a few do
    int width = -1;
    for (size_t most = 1; width < 0 && most <= BINDINGS_MOST; most *= STOPS_OF_ONE)
        for (int w = LURE_EXACT; width < 0 && w < LURE_WIDTHS; w++)
            if (n[w] > 0 && n[w] <= most && !(cluster->established && w >= LURE_HOST))
                width = w;
    return width;
}

static void convict_binding(struct guard *guard, struct cluster *cluster,
                            const struct binding *binding, int64_t expires_us, enum reason reason,
                            struct guard_word *word)
{
    if (cluster->state != CLUSTER_CONVICTED)
        cluster_is_convicted(guard, cluster, &binding->key, binding->width, binding->shown,
                             expires_us);
    convict_key(guard, cluster, &binding->key, binding->width, binding->shown, expires_us, reason,
                word);
}

static int64_t usual_end_us(const struct guard *guard)
{
    return guard->now_us + guard->config.conviction_us;
}

/* The lures that its people sent, each by itself: no host is theirs alone. */
static void convict_lures(struct guard *guard, struct cluster *campaign, struct guard_word *word)
{
    LIST_EACH(&campaign->members, struct member, link, member)
    if (campaign->is_campaign && member->n_receivers > 0 &&
        !campaign_covers(guard, campaign, member->user))
        holds_end(guard, campaign, member->user, true, REASON_CLEARED, word);
    LIST_EACH(&campaign->lures, struct cluster, in_campaign, lure)
    {
        const struct binding *binding = cluster_narrowest(lure);
        if (!campaign_covers(guard, campaign, lure->zero))
            continue;
        if (binding != NULL)
            convict_binding(guard, campaign, binding, usual_end_us(guard), REASON_CONVICTED, word);
        holds_end(guard, lure, NULL, false, REASON_CONVICTED, word);
    }
}

void tell_operator(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    struct order notify = {.kind = ORDER_NOTIFY,
                           .reason = REASON_CONVICTED,
                           .audience = TO_OPERATOR,
                           .width = cluster->width,
                           .key = cluster->key,
                           .shown = cluster->shown};
    order_add(guard, word, cluster, &notify, NULL);
}

void convict(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    if (cluster_is_forest(cluster)) {
        sealed_convict(guard, cluster, false, word);
        return;
    }
    int width = conviction_width(cluster);
    if (width < 0 && cluster->n_lures == 0)
        return; // nothing that may be convicted
    if (!cluster->on_trial && cluster->is_campaign && may_convict_tree(guard, cluster, true))
        outbreak_convicted(guard);
    convict_lures(guard, cluster, word);
    if (!cluster->on_trial)
        questions_overtaken(guard, cluster, word);
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    if ((int)binding->width == width)
        convict_binding(guard, cluster, binding, usual_end_us(guard), REASON_CONVICTED, word);
    if (cluster->by_itself_us == 0)
        cluster->by_itself_us = guard->now_us;
    // on trial others' stay for the quarter of a minute that they were to wait
    if (!cluster->on_trial)
        holds_end(guard, cluster, NULL, false, REASON_CONVICTED, word);
    restrict_members(guard, cluster, word);
    tell_operator(guard, cluster, word);
}

int64_t conviction_end_us(const struct guard *guard, const struct conviction *conviction)
{
    return conviction->expires_us != 0 ? conviction->expires_us : usual_end_us(guard);
}

// The cluster's keys of a width, as stops of an incident; whether there are any.
static bool convict_width(struct guard *guard, struct cluster *incident, struct cluster *cluster,
                          int width, int64_t expires_us, struct guard_word *word)
{
    bool any = false;
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    if ((int)binding->width == width) {
        convict_binding(guard, incident, binding, expires_us, REASON_OPERATOR, word);
        any = true;
    }
    return any;
}

bool convict_as_told(struct guard *guard, struct cluster *cluster,
                     const struct conviction *conviction, struct guard_word *word)
{
    int64_t expires_us = conviction_end_us(guard, conviction);
    bool as_usual = conviction->width == LURE_WIDTHS;
    bool any = convict_width(guard, cluster, cluster,
                             as_usual ? conviction_width(cluster) : (int)conviction->width,
                             expires_us, word);
    // of a campaign all: who said so has looked at its people
    LIST_EACH(&cluster->lures, struct cluster, in_campaign, lure)
    {
        const struct binding *narrowest = cluster_narrowest(lure);
        int width = as_usual && narrowest != NULL ? (int)narrowest->width : (int)conviction->width;
        if (convict_width(guard, cluster, lure, width, expires_us, word)) {
            holds_end(guard, lure, NULL, false, REASON_OPERATOR, word);
            any = true;
        }
    }
    if (any)
        questions_withdraw(guard, cluster, word);
    return any;
}

void stop_undo(struct guard *guard, struct cluster *cluster, struct stop *stop, enum reason reason,
               struct guard_word *word)
{
    struct order order = {.kind = ORDER_STOP,
                          .undo = true,
                          .reason = reason,
                          .width = stop->width,
                          .key = stop->key,
                          .shown = stop->shown};
    order_add(guard, word, cluster, &order, NULL);
    if (reason != REASON_EXPIRED) { // what has expired was not wrong
        order.kind = ORDER_RETRACT;
        order_add(guard, word, cluster, &order, NULL);
        order.kind = ORDER_NOTIFY;
        order.audience = TO_EXPOSED;
        order_add(guard, word, cluster, &order, NULL);
    }
    stop_free(guard, stop);
}

void stops_undo(struct guard *guard, struct cluster *cluster, enum reason reason,
                struct guard_word *word)
{
    LIST_EACH(&guard->stops, struct stop, link, stop)
    if (stop->incident == cluster->id)
        stop_undo(guard, cluster, stop, reason, word);
    cluster->n_stops = 0;
}

/* ---- Restrictions -------------------------------------------------------------------------------
 */

void restrict_member(struct guard *guard, struct cluster *cluster, struct member *member,
                     enum reason reason, struct guard_word *word)
{
    member->restricted = true;
    struct user *user = member->user;
    struct standing *standing = standing_get(guard, user);
    bool already = standing->restricted_until_us > guard->now_us;
    int64_t until_us = guard->now_us + guard->config.restriction_us;
    guard->n_restricted += standing->restricted_until_us == 0;
    if (until_us > standing->restricted_until_us) {
        standing->restricted_until_us = until_us;
        standing->restricted_by = cluster->id;
    }
    expiry_note(guard, until_us);
    if (already)
        return;
    struct order order = {.kind = ORDER_RESTRICT,
                          .reason = reason,
                          .key = cluster->key,
                          .width = cluster->width,
                          .shown = cluster->shown,
                          .expires_us = until_us};
    order_add(guard, word, cluster, &order, user);
    order.kind = ORDER_NOTIFY;
    order.audience = TO_VICTIM;
    order_add(guard, word, cluster, &order, user);
}

void restrict_members(struct guard *guard, struct cluster *cluster, struct guard_word *word)
{
    int left = RESTRICT_AT_ONCE; // the others follow when they send again
    LIST_EACH(&cluster->members, struct member, link, member)
    {
        if (left == 0)
            break;
        if (!member_must_respond(guard, cluster, member) ||
            (cluster->on_trial && (question_is_open(cluster, member->user) ||
                                   question_is_late(cluster, member->user))) ||
            question_confirmed(cluster, member->user))
            continue;
        left--;
        restrict_member(guard, cluster, member, REASON_CONVICTED, word);
    }
}

void restrict_undo(struct guard *guard, struct user *user, enum reason reason,
                   struct guard_word *word)
{
    struct standing *standing = standing_of(guard, user);
    if (standing == NULL || standing->restricted_until_us == 0)
        return;
    struct cluster *cluster = cluster_by_id(guard, standing->restricted_by);
    struct member *member = cluster != NULL ? member_find(guard, cluster, user) : NULL;
    if (member != NULL && reason == REASON_EXPIRED)
        member->restricted = false; // should he go on, he is restricted anew
    struct order order = {.kind = ORDER_RESTRICT,
                          .undo = true,
                          .reason = reason,
                          .incident = standing->restricted_by};
    standing->restricted_until_us = 0;
    standing->restricted_by = 0;
    guard->n_restricted--;
    standing_tidy(guard, user);
    order_add(guard, word, cluster, &order, user);
    order.kind = ORDER_NOTIFY;
    order.audience = TO_VICTIM;
    order_add(guard, word, cluster, &order, user);
}

/* ---- Held messages ---- */

// Those that wait for one answer are due together: they go in the order in which they came.
static bool is_before(const struct hold *a, const struct hold *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->message < b->message;
}

static void hold_queue(struct guard *guard, struct hold *hold)
{
    // due times mostly grow: the place is found from the end
    struct link *after = guard->holds.head.prev;
    while (after != &guard->holds.head && is_before(hold, CONTAINER_OF(after, struct hold, link)))
        after = after->prev;
    hold->link.prev = after;
    hold->link.next = after->next;
    after->next->prev = &hold->link;
    after->next = &hold->link;
}

bool hold_has_room(const struct guard *guard, const struct user *sender)
{
    size_t n_free = guard->n_holds < HOLDS_MOST ? HOLDS_MOST - guard->n_holds : 0, n_his = 0;
    if (guard->n_holds <= n_free)
        return true;
    LIST_EACH((struct list *)&guard->holds, struct hold, link, hold)
    n_his += hold->sender == sender;
    return n_his < n_free;
}

void hold_add(struct guard *guard, struct cluster *cluster, struct user *sender,
              const struct sending *sending, struct guard_word *word)
{
    cluster_becomes_incident(guard, cluster);
    struct hold *hold = calloc(1, sizeof *hold);
    must(hold != NULL);
    hold->cluster = cluster;
    hold->sender = sender;
    hold->message = sending->message;
    hold->observed = sending->observed;
    if (hold->observed)
        hold->copy = tally_copy(guard, sending, cluster->id);
    hold->due_us = questions_wait_us(cluster, sender);
    hold->asked = hold->due_us != 0;
    if (!hold->asked)
        hold->due_us = guard->now_us + guard->config.hold_us;
    if (cluster->held_us == 0)
        cluster->held_us = guard->now_us;
    sender->n_refs++;
    cluster->n_waiting++;
    cluster->n_held++;
    guard->n_holds++;
    hold_queue(guard, hold);
    word->until_us = hold->due_us;
}

void hold_free(struct guard *guard, struct hold *hold)
{
    hold->sender->n_refs--;
    hold->cluster->n_waiting--;
    guard->n_holds--;
    list_leave(&hold->link);
    free(hold);
}

static void hold_end(struct guard *guard, struct hold *hold, bool deliver, enum reason reason,
                     struct guard_word *word)
{
    struct order order = {.kind = deliver ? ORDER_DELIVER_HELD : ORDER_REJECT_HELD,
                          .reason = reason,
                          .message = hold->message};
    order_add(guard, word, hold->cluster, &order, hold->sender);
    if (deliver)
        guard->n_delivered++;
    else
        guard->n_rejected++;
    if (hold->observed)
        tally_hold_ends(guard, hold, deliver, reason);
    hold_free(guard, hold);
}

void holds_end(struct guard *guard, struct cluster *cluster, struct user *sender, bool deliver,
               enum reason reason, struct guard_word *word)
{
    if (cluster->n_waiting == 0)
        return;
    LIST_EACH(&guard->holds, struct hold, link, hold)
    if (hold->cluster == cluster && (sender == NULL || hold->sender == sender) &&
        // who is still asked decides about his own
        (deliver || sender != NULL || !question_is_open(cluster, hold->sender)))
        hold_end(guard, hold, deliver, reason, word);
}

static void holds_due(struct guard *guard, struct guard_word *word)
{
    LIST_EACH(&guard->holds, struct hold, link, hold)
    {
        if (hold->due_us > guard->now_us)
            break;
        struct cluster *cluster = hold->cluster;
        int64_t wait_us = questions_wait_us(cluster, hold->sender);
        if (wait_us > guard->now_us) {
            hold->asked = true;
            hold->due_us = wait_us;
            list_leave(&hold->link);
            hold_queue(guard, hold);
            continue;
        }
        double wider = cluster->n_receivers * guard->config.window_growth;
        if (wider > cluster->window)
            cluster->window = wider;
        bool is_cleared = !hold->asked && cluster->state != CLUSTER_CONVICTED;
        hold_end(guard, hold, is_cleared,
                 is_cleared ? REASON_CLEARED : questions_end_reason(cluster, hold->sender), word);
    }
}

/* ---- Time ---- */

static void orders_expire(struct guard *guard, struct guard_word *word)
{
    if (guard->now_us < guard->next_expiry_us)
        return;
    guard->next_expiry_us = INT64_MAX;
    LIST_EACH(&guard->stops, struct stop, link, stop)
    {
        if (stop->expires_us > guard->now_us || stop->expires_us == 0) {
            expiry_note(guard, stop->expires_us);
            continue;
        }
        struct cluster *cluster = cluster_by_id(guard, stop->incident);
        struct order order = {.kind = ORDER_STOP,
                              .undo = true,
                              .reason = REASON_EXPIRED,
                              .incident = stop->incident,
                              .width = stop->width,
                              .key = stop->key,
                              .shown = stop->shown};
        order_add(guard, word, cluster, &order, NULL);
        if (cluster != NULL && --cluster->n_stops == 0)
            cluster_close(guard, cluster);
        stop_free(guard, stop);
    }
    USERS_EACH(guard, user)
    {
        int64_t until_us = restricted_until_us(guard, user);
        if (until_us == 0)
            continue;
        if (until_us <= guard->now_us)
            restrict_undo(guard, user, REASON_EXPIRED, word);
        else
            expiry_note(guard, until_us);
    }
    policy_expire(guard);
}

int64_t guard_next_us(const struct guard *guard)
{
    const struct hold *first = LIST_FIRST(&guard->holds, struct hold, link);
    const struct question *question = LIST_FIRST(&guard->questions, struct question, link);
    const struct question *late = LIST_FIRST(&guard->late, struct question, link);
    int64_t next_us = guard->next_expiry_us;
    if (question != NULL && question->due_us < next_us)
        next_us = question->due_us;
    if (late != NULL && late->late_us < next_us)
        next_us = late->late_us;
    return first != NULL && first->due_us < next_us ? first->due_us : next_us;
}

void time_passes(struct guard *guard, struct guard_word *word)
{
    if (guard->now_us < guard_next_us(guard))
        return; // as nearly always
    questions_due(guard, word);
    holds_due(guard, word);
    orders_expire(guard, word);
}
