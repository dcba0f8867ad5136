/*
 * The whole model as bytes, and back.
 *
 * Lists are written in their order, which is all the order there is; so the same
 * state gives the same bytes, and a guard that was loaded goes on exactly as the
 * one that was saved would have.
 */
#include "guard/codec.h"
#include "guard/guard_internal.h"

// 2: what orders did; when a cluster was first held, and convicted by evidence; what would have
// been
// 3: questions
// 4: trails of never-seen lures, campaigns
// 5: no time of a user's last use; whose trail is looked at next
// 6: openings; words that a rule found
// 7: whom somebody sent never-seen lures to, and what of it is rare
// 8: questions that may be answered late; copies that were returned
// 9: how sure it is that a worm is about
// 10: which of the copies that were only observed would have gone out
// 11: which decoys were hit
// 12: who had brought a host before yesterday; who has taught what is rare, and who is from abroad
// 13: how far what is rare is believed; who reaches many and does not answer
enum { SNAPSHOT_VERSION = 13 };

static const char magic[] = "firedoor guard\n";

/* Who is written as which number: users in the order of their use, by their pieces. */
struct saving {
    const struct guard *guard;
    uint32_t *numbers;
    struct buf *out;
};

/* 0 stands for nobody. */
static uint64_t id_of(const struct saving *saving, const struct user *user)
{
    return user != NULL ? saving->numbers[user_index(saving->guard, user)] : 0;
}

static void save_trail(const struct trail *trail, struct buf *out)
{
    put_u64(out, trail->campaign);
    put_u64(out, trail->sent);
    put_i64(out, trail->sent_us);
    put_u64(out, trail->receiver);
    put_real(out, trail->level);
    for (size_t i = 0; i < SHOWN_KEPT; i++) {
        put_u64(out, trail->shown[i]);
        put_i64(out, trail->shown_us[i]);
    }
    put_u64(out, trail->n_to);
    for (size_t i = 0; i < trail->n_to; i++) {
        put_u64(out, trail->to_s[i]);
        put_u64(out, trail->to[i]);
    }
    for (size_t i = 0; i < RARITIES; i++)
        put_u64(out, trail->least[i]);
    put_i64(out, trail->full_us);
    put_u64(out, trail->n_copies);
    put_u64(out, trail->least_s);
}

static void load_trail(struct reader *in, uint64_t version, struct trail *trail)
{
    trail->campaign = get_u64(in);
    trail->sent = get_u64(in);
    trail->sent_us = get_i64(in);
    trail->receiver = get_u32(in, UINT32_MAX);
    trail->level = get_real(in);
    for (size_t i = 0; i < SHOWN_KEPT; i++) {
        trail->shown[i] = get_u64(in);
        trail->shown_us[i] = get_i64(in);
    }
    if (version < 7)
        return;
    trail->n_to = (uint8_t)get_u32(in, TRAIL_KEPT);
    for (size_t i = 0; i < trail->n_to; i++) {
        trail->to_s[i] = get_u32(in, UINT32_MAX);
        trail->to[i] = (uint16_t)get_u32(in, UINT16_MAX);
    }
    for (size_t i = 0; i < RARITIES; i++)
        trail->least[i] = (uint8_t)get_u32(in, SPAN_BINS - 1);
    trail->full_us = get_i64(in);
    trail->n_copies = (uint8_t)get_u32(in, UINT8_MAX);
    trail->least_s = get_u32(in, UINT32_MAX);
}

static void save_users(const struct saving *saving)
{
    const struct guard *guard = saving->guard;
    struct buf *out = saving->out;
    put_u64(out, guard->n_users);
    uint32_t id = 0, tidied = 0;
    USERS_EACH(guard, user)
    {
        saving->numbers[user_index(guard, user)] = ++id;
        if (user == user_at(guard, guard->next_tidied))
            tidied = id;
        const struct trail trail = trail_of(guard, user);
        const struct standing *standing = standing_of(guard, user);
        const struct standing none = {0};
        if (standing == NULL)
            standing = &none;
        put_str(out, user_jid(guard, user));
        for (size_t i = 0; i < RECENT_CLUSTERS; i++)
            put_u64(out, trail.recent[i]);
        put_u64(out, user->n_fans);
        put_i64(out, user->lesson_day);
        put_u64(out, user->n_lessons);
        put_i64(out, standing->restricted_until_us);
        put_u64(out, standing->restricted_by);
        put_i64(out, standing->question_day);
        put_u64(out, standing->n_questions);
        put_u64(out, user->is_decoy);
        put_u64(out, user->n_taught);
        put_u64(out, user->is_remote);
        put_u64(out, has_trail(user));
        if (has_trail(user))
            save_trail(&trail, out);
    }
    put_u64(out, tidied);
}

static void save_sights(const struct guard *guard, struct buf *out)
{
    put_u64(out, guard->n_young + guard->n_known);
    const struct list *lists[] = {&guard->young, &guard->known};
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        LIST_EACH((struct list *)lists[i], struct sight, link, sight)
        {
            put_key(out, &sight->key);
            put_u64(out, sight->is_known);
            put_i64(out, sight->first_us);
            put_i64(out, sight->last_us);
            put_u64(out, sight->n_sendings);
            put_u64(out, sight->introducers);
            put_u64(out, sight->who_introduced);
            put_i64(out, sight->counted_us);
            put_u64(out, sight->counted);
            put_u64(out, sight->settled);
        }
}

static void save_member(const struct saving *saving, const struct member *member)
{
    struct buf *out = saving->out;
    put_u64(out, id_of(saving, member->user));
    put_u64(out, id_of(saving, member->from));
    put_i64(out, member->exposed_us);
    put_i64(out, member->sent_us);
    put_i64(out, member->last_sent_us);
    put_u64(out, member->n_sent);
    put_u64(out, member->n_receivers);
    size_t n = n_told_apart(member);
    const uint32_t *receivers = receivers_of((struct member *)member, n);
    for (size_t i = 0; i < RECEIVERS_MOST; i++)
        put_u64(out, i < n ? receivers[i] : 0);
    put_u64(out, member->n_machine);
    put_u64(out, member->n_live);
    put_u64(out, member->n_dormant);
    put_i64(out, member->roster_index);
    for (size_t i = 0; i < GAP_BINS; i++)
        put_u64(out, member->gaps[i]);
    put_u64(out, member->shape);
    put_u64(out, member->device);
    put_i64(out, member->opened_us);
    const double reals[] = {member->fan,     member->pace,  member->silence, member->roster,
                            member->dormant, member->decoy, member->relay,   member->streak};
    for (size_t i = 0; i < COUNT_OF(reals); i++)
        put_real(out, reals[i]);
    put_u64(out, (unsigned)member->is_relay | (unsigned)member->composed << 1 |
                     (unsigned)member->warned << 2 | (unsigned)member->reported << 3 |
                     (unsigned)member->restricted << 4 | (unsigned)member->remote << 5 |
                     (unsigned)member->independent << 6 | (unsigned)member->quoted << 7);
    put_u64(out, member->n_out);
}

enum { MEMBER_REALS_3 = 7 };

static void load_member(struct reader *in, uint64_t version, struct guard *guard,
                        struct cluster *cluster, struct user **users, uint32_t n_users)
{
    uint32_t user = get_u32(in, n_users), from = get_u32(in, n_users);
    if (in->bad || user == 0 || member_find(guard, cluster, users[user]) != NULL) {
        in->bad = true;
        return;
    }
    struct member *member = member_make(guard, cluster, users[user]);
    if (from != 0) {
        member->from = users[from];
        member->from->n_refs++;
    }
    member->exposed_us = get_i64(in);
    member->sent_us = get_i64(in);
    member->last_sent_us = get_i64(in);
    member->n_sent = get_u32(in, UINT32_MAX);
    uint32_t n_receivers = get_u32(in, UINT32_MAX), n = 0;
    for (uint32_t i = 0; i < RECEIVERS_MOST; i++) {
        uint32_t receiver = get_u32(in, UINT32_MAX);
        if (i >= n_receivers)
            continue;
        member_make_room(guard, member, n++);
        receivers_of(member, n)[i] = receiver;
    }
    member->n_receivers = n_receivers;
    member->n_machine = get_u32(in, UINT32_MAX);
    member->n_live = get_u32(in, UINT32_MAX);
    member->n_dormant = get_u32(in, UINT32_MAX);
    member->roster_index = (int32_t)get_i64(in);
    for (size_t i = 0; i < GAP_BINS; i++)
        member->gaps[i] = (uint8_t)get_u32(in, UINT8_MAX);
    member->shape = get_u64(in);
    member->device = version >= 3 ? get_u64(in) : 0;
    member->opened_us = version >= 6 ? get_i64(in) : 0;
    double *reals[] = {&member->fan,     &member->pace,  &member->silence, &member->roster,
                       &member->dormant, &member->decoy, &member->relay,   &member->streak};
    for (size_t i = 0; i < (version >= 4 ? COUNT_OF(reals) : MEMBER_REALS_3); i++)
        *reals[i] = get_real(in);
    uint32_t bits = get_u32(in, 255);
    member->is_relay = bits & 1;
    member->composed = bits & 2;
    member->warned = bits & 4;
    member->reported = bits & 8;
    member->restricted = bits & 16;
    member->remote = bits & 32;
    member->independent = bits & 64;
    member->quoted = bits & 128;
    member->n_out = (version >= 10 ? get_u32(in, OUT_MOST) : 0) & OUT_MOST;
}

/* The counters of a cluster, for both ways. */
enum { CLUSTER_COUNTS_1 = 13, CLUSTER_COUNTS_2 = 18, CLUSTER_COUNTS = 19, CLUSTER_REALS = 13 };

static void cluster_counts(struct cluster *cluster, uint32_t **counts, double **reals)
{
    uint32_t *all[CLUSTER_COUNTS] = {
        &cluster->n_sendings,    &cluster->n_receivers,     &cluster->n_exposed,
        &cluster->n_relays,      &cluster->n_fast_relays,   &cluster->n_machine_senders,
        &cluster->n_independent, &cluster->n_decoy_senders, &cluster->n_rejected,
        &cluster->n_held,        &cluster->n_reports,       &cluster->n_denied,
        &cluster->n_stops,       &cluster->n_taken_back,    &cluster->n_unspooled,
        &cluster->n_given_again, &cluster->n_let_go,        &cluster->n_returned,
        &cluster->n_sent_back,
    };
    double *doubles[CLUSTER_REALS] = {
        &cluster->window,      &cluster->novelty, &cluster->content, &cluster->members_nats,
        &cluster->relays_nats, &cluster->words,   &cluster->reports, &cluster->answers,
        &cluster->absence,     &cluster->mimicry, &cluster->nats,    &cluster->root_nats,
        &cluster->origins,
    };
    memcpy(counts, all, sizeof all);
    memcpy(reals, doubles, sizeof doubles);
}

static void save_cluster(const struct saving *saving, struct cluster *cluster)
{
    struct buf *out = saving->out;
    put_u64(out, cluster->id);
    put_u64(out, cluster->rank);
    put_u64(out, cluster->state);
    put_u64(out, cluster->kind);
    put_u64(out, (unsigned)cluster->novel | (unsigned)cluster->established << 1 |
                     (unsigned)cluster->is_incident << 2 | (unsigned)cluster->operators << 3 |
                     (unsigned)cluster->composed << 4 | (unsigned)cluster->cleared << 5 |
                     (unsigned)list_is_member(&cluster->by_zero) << 6 |
                     (unsigned)cluster->is_campaign << 7 | (unsigned)cluster->fresh << 8 |
                     (unsigned)cluster->scarce << 9);
    put_u64(out, cluster->n_grown);
    put_u64(out, id_of(saving, cluster->zero));
    put_u64(out, id_of(saving, cluster->root));
    put_i64(out, cluster->first_us);
    put_i64(out, cluster->last_us);
    put_i64(out, cluster->convicted_us);
    put_i64(out, cluster->ended_us);
    put_i64(out, cluster->expires_us);
    put_i64(out, cluster->held_us);
    put_i64(out, cluster->by_itself_us);
    uint32_t *counts[CLUSTER_COUNTS];
    double *reals[CLUSTER_REALS];
    cluster_counts(cluster, counts, reals);
    for (size_t i = 0; i < CLUSTER_COUNTS; i++)
        put_u64(out, *counts[i]);
    for (size_t i = 0; i < CLUSTER_REALS; i++)
        put_real(out, *reals[i]);
    put_str(out, cluster->actor);
    put_str(out, cluster->why);
    put_str(out, cluster->shown);
    put_key(out, &cluster->key);
    put_u64(out, cluster->width);
    put_u64(out, cluster->n_bindings);
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    {
        put_key(out, &binding->key);
        put_u64(out, binding->width);
        put_u64(out, (unsigned)binding->established | (unsigned)binding->stayed << 1);
        put_str(out, binding->shown);
    }
    put_u64(out, cluster->n_members);
    uint64_t mature = 0, at = 0;
    LIST_EACH(&cluster->members, struct member, link, member)
    {
        at++;
        if (member == cluster->mature)
            mature = at;
        save_member(saving, member);
    }
    put_u64(out, mature);
    put_u64(out, cluster->n_evidence);
    for (size_t i = 0; i < cluster->n_evidence; i++) {
        const struct evidence *evidence = &cluster->evidence[i];
        put_u64(out, evidence->kind);
        put_real(out, evidence->nats);
        put_u64(out, id_of(saving, evidence->who));
        put_i64(out, evidence->at_us);
    }
    put_u64(out, cluster->n_orders);
    for (size_t i = 0; i < cluster->n_orders; i++) {
        const struct cluster_order *order = &cluster->orders[i];
        put_u64(out, order->kind);
        put_u64(out, order->undo);
        put_u64(out, order->reason);
        put_u64(out, order->audience);
        put_u64(out, order->number);
        put_u64(out, id_of(saving, order->who));
        put_i64(out, order->at_us);
        put_i64(out, order->expires_us);
        put_u64(out, order->count);
        put_u64(out, order->done);
        put_u64(out, order->unspooled);
        put_u64(out, order->width);
        put_key(out, &order->key);
        put_str(out, order->shown);
    }
    put_u64(out, cluster->n_confirmed);
    put_u64(out, cluster->ask_again);
    put_u64(out, (unsigned)cluster->asks_tree | (unsigned)cluster->on_trial << 1);
    put_u64(out, cluster->n_questions);
    LIST_EACH(&cluster->questions, struct question, in_cluster, question)
    {
        put_u64(out, id_of(saving, question->who));
        put_u64(out, question->number);
        put_u64(out, question->device);
        put_i64(out, question->asked_us);
        put_i64(out, question->due_us);
        put_i64(out, question->ended_us);
        put_u64(out, question->receivers);
        put_u64(out, question->state);
        put_u64(out, question->trust);
        put_i64(out, question->late_us);
    }
}

static struct user *get_user(struct reader *in, struct user **users, uint32_t n_users)
{
    struct user *user = users[get_u32(in, n_users)];
    if (user != NULL)
        user->n_refs++;
    return user;
}

static void replace_text(struct str *text, struct str by)
{
    str_free(text);
    *text = own_text(by, SIZE_MAX);
}

static void load_questions(struct reader *in, uint64_t version, struct guard *guard,
                           struct cluster *cluster, struct user **users, uint32_t n_users)
{
    cluster->n_confirmed = get_u32(in, UINT32_MAX);
    cluster->ask_again = get_u32(in, UINT32_MAX);
    uint32_t bits = get_u32(in, 3);
    cluster->asks_tree = bits & 1;
    cluster->on_trial = bits & 2;
    uint32_t n = get_u32(in, QUESTIONS_OF_ONE);
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        uint32_t who = get_u32(in, n_users);
        if (in->bad || who == 0) {
            in->bad = true;
            return;
        }
        struct question *question = question_make(guard, cluster, users[who]);
        question->number = get_u64(in);
        question->device = get_u64(in);
        question->asked_us = get_i64(in);
        question->due_us = get_i64(in);
        question->ended_us = get_i64(in);
        question->receivers = get_u32(in, UINT32_MAX);
        enum question_state state = get_u32(in, QUESTION_WITHDRAWN);
        question->trust = get_u32(in, ANSWER_OTHER_DEVICE);
        int64_t late_us = version >= 8 ? get_i64(in) : 0;
        if (state == QUESTION_OPEN) // in the order in which they were asked: that of their queue
            question_queue(guard, question);
        question->state = state;
        if (state != QUESTION_EXPIRED || late_us <= 0)
            continue;
        question->late_us = late_us;
        question_queue_late(guard, question);
    }
}

static void load_cluster(struct reader *in, uint64_t version, struct guard *guard,
                         struct user **users, uint32_t n_users)
{
    uint64_t id = get_u64(in);
    uint32_t rank = get_u32(in, 3), state = get_u32(in, CLUSTER_EXPIRED),
             kind = get_u32(in, LURE_SEALED),
             bits = get_u32(in, version >= 9   ? 1023
                                : version >= 3 ? 511
                                               : 127),
             n_grown = version >= 3 ? get_u32(in, UINT32_MAX) : 0, zero = get_u32(in, n_users);
    uint32_t root = get_u32(in, n_users);
    if (in->bad || cluster_by_id(guard, id) != NULL) {
        in->bad = true;
        return;
    }
    struct cluster *cluster = cluster_new(guard, id, users[zero]);
    list_leave(&cluster->link);
    cluster->rank = (uint8_t)rank;
    list_add_last(&guard->clusters[rank], &cluster->link);
    if ((bits & 64) == 0)
        cluster_share(guard, cluster);
    if (root != 0) {
        cluster->root = users[root];
        cluster->root->n_refs++;
    }
    cluster->state = state;
    cluster->kind = kind;
    cluster->novel = bits & 1;
    cluster->established = bits & 2;
    cluster->is_incident = bits & 4;
    cluster->operators = bits & 8;
    cluster->composed = bits & 16;
    cluster->cleared = bits & 32;
    cluster->is_campaign = bits & 128;
    cluster->fresh = bits & 256;
    cluster->scarce = bits & 512;
    cluster->n_grown = n_grown;
    cluster->first_us = get_i64(in);
    cluster->last_us = get_i64(in);
    cluster->convicted_us = get_i64(in);
    cluster->ended_us = get_i64(in);
    cluster->expires_us = get_i64(in);
    if (version >= 2) {
        cluster->held_us = get_i64(in);
        cluster->by_itself_us = get_i64(in);
    }
    uint32_t *counts[CLUSTER_COUNTS];
    double *reals[CLUSTER_REALS];
    cluster_counts(cluster, counts, reals);
    size_t n_counts = version >= 8   ? CLUSTER_COUNTS
                      : version >= 2 ? CLUSTER_COUNTS_2
                                     : CLUSTER_COUNTS_1;
    for (size_t i = 0; i < n_counts; i++)
        *counts[i] = get_u32(in, UINT32_MAX);
    for (size_t i = 0; i < CLUSTER_REALS; i++)
        *reals[i] = get_real(in);
    replace_text(&cluster->actor, get_str(in));
    replace_text(&cluster->why, get_str(in));
    replace_text(&cluster->shown, get_str(in));
    cluster->key = get_key(in);
    cluster->width = get_u32(in, LURE_WIDTHS - 1);
    uint32_t n = get_u32(in, BINDINGS_MOST);
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        struct lure_key key = get_key(in);
        enum lure_width width = get_u32(in, LURE_WIDTHS - 1);
        uint32_t flags = get_u32(in, version >= 10 ? 3 : 1);
        struct str shown = get_str(in);
        if (!in->bad && cluster_find_key(guard, &key) == NULL)
            binding_make(guard, cluster, &key, width, flags & 1, shown)->stayed = flags & 2;
        else
            in->bad = true;
    }
    n = get_u32(in, MEMBERS_MOST);
    for (uint32_t i = 0; i < n && !in->bad; i++)
        load_member(in, version, guard, cluster, users, n_users);
    uint32_t mature = get_u32(in, n), at = 0;
    cluster->mature = NULL;
    LIST_EACH(&cluster->members, struct member, link, member)
    if (++at == mature)
        cluster->mature = member;
    n = get_u32(in, EVIDENCE_MOST);
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        cluster_make_room(guard, cluster);
        struct evidence *evidence = &cluster->evidence[cluster->n_evidence++];
        evidence->kind = get_u32(in, EVIDENCE_KINDS - 1);
        evidence->nats = get_real(in);
        evidence->who = get_user(in, users, n_users);
        evidence->at_us = get_i64(in);
    }
    n = get_u32(in, CLUSTER_ORDERS);
    cluster->orders_room = n;
    cluster->orders = n > 0 ? calloc(n, sizeof *cluster->orders) : NULL;
    must(n == 0 || cluster->orders != NULL);
    for (uint32_t i = 0; i < n && !in->bad; i++) {
        struct cluster_order *order = &cluster->orders[cluster->n_orders++];
        order->kind = get_u32(in, ORDER_RETURN);
        order->undo = get_bool(in);
        order->reason = get_u32(in, REASON_UNDECIDED);
        order->audience = get_u32(in, TO_OPERATOR);
        order->number = get_u64(in);
        order->who = get_user(in, users, n_users);
        order->at_us = get_i64(in);
        order->expires_us = get_i64(in);
        order->count = get_u32(in, UINT32_MAX);
        if (version >= 2) {
            order->done = get_u32(in, UINT32_MAX);
            order->unspooled = get_u32(in, UINT32_MAX);
            order->width = get_u32(in, LURE_WIDTHS - 1);
            order->key = get_key(in);
        }
        order->shown = own_text(version >= 2 ? get_str(in) : STR_EMPTY, SHOWN_MOST);
        guard->bytes_clusters += order_size(order);
    }
    if (version >= 3)
        load_questions(in, version, guard, cluster, users, n_users);
}

static void save_copy(const struct copy *copy, struct buf *out)
{
    put_u64(out, copy->lure);
    put_key(out, &copy->key);
}

static struct copy load_copy(struct reader *in)
{
    uint64_t lure = get_u64(in);
    return (struct copy){.lure = lure, .key = get_key(in)};
}

static void save_rules(const struct saving *saving)
{
    const struct guard *guard = saving->guard;
    struct buf *out = saving->out;
    struct list *stops = (struct list *)&guard->stops, *holds = (struct list *)&guard->holds,
                *bans = (struct list *)&guard->bans, *rights = (struct list *)&guard->rights;
    put_u64(out, guard->n_stops);
    LIST_EACH(stops, struct stop, link, stop)
    {
        put_key(out, &stop->key);
        put_u64(out, stop->width);
        put_u64(out, stop->incident);
        put_i64(out, stop->expires_us);
        put_str(out, stop->shown);
    }
    put_u64(out, guard->n_holds);
    LIST_EACH(holds, struct hold, link, hold)
    {
        put_u64(out, hold->cluster->id);
        put_u64(out, id_of(saving, hold->sender));
        put_u64(out, hold->message);
        put_i64(out, hold->due_us);
        put_u64(out, hold->asked);
        put_u64(out, hold->observed);
        if (hold->observed)
            save_copy(&hold->copy, out);
    }
    put_u64(out, guard->n_bans);
    LIST_EACH(bans, struct ban, link, ban)
    {
        put_u64(out, ban->feature);
        put_str(out, ban->domain);
        put_str(out, ban->account);
        put_str(out, ban->actor);
        put_str(out, ban->why);
        put_i64(out, ban->expires_us);
    }
    put_u64(out, guard->n_rights);
    LIST_EACH(rights, struct right, link, right)
    {
        put_u64(out, id_of(saving, right->user));
        put_str(out, right->domain);
        put_str(out, right->actor);
        put_str(out, right->why);
        put_u64(out, right->most);
        put_u64(out, right->n_today);
        put_i64(out, right->day);
        put_i64(out, right->expires_us);
    }
}

static void load_rules(struct reader *in, uint64_t version, struct guard *guard,
                       struct user **users, uint32_t n_users)
{
    uint64_t n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct lure_key key = get_key(in);
        if (stop_find_key(guard, &key) != NULL)
            in->bad = true;
        struct stop *stop = stop_make(guard, &key);
        stop->width = get_u32(in, LURE_WIDTHS - 1);
        stop->incident = get_u64(in);
        stop->expires_us = get_i64(in);
        stop->shown = own_text(get_str(in), SHOWN_MOST);
    }
    n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct cluster *cluster = cluster_by_id(guard, get_u64(in));
        uint32_t sender = get_u32(in, n_users);
        if (cluster == NULL || sender == 0) {
            in->bad = true;
            break;
        }
        struct hold *hold = calloc(1, sizeof *hold);
        must(hold != NULL);
        hold->cluster = cluster;
        hold->sender = users[sender];
        hold->message = get_u64(in);
        hold->due_us = get_i64(in);
        hold->asked = get_bool(in);
        hold->observed = version >= 10 && get_bool(in);
        if (hold->observed)
            hold->copy = load_copy(in);
        hold->sender->n_refs++;
        cluster->n_waiting++;
        guard->n_holds++;
        list_add_last(&guard->holds, &hold->link);
    }
    n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct ban *ban = ban_new(guard);
        ban->feature = get_u32(in, FEATURE_FILES);
        ban->domain = own_text(get_str(in), SIZE_MAX);
        ban->account = own_text(get_str(in), SIZE_MAX);
        ban->actor = own_text(get_str(in), TEXT_KEPT);
        ban->why = own_text(get_str(in), TEXT_KEPT);
        ban->expires_us = get_i64(in);
    }
    n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        uint32_t user = get_u32(in, n_users);
        if (user == 0) {
            in->bad = true;
            break;
        }
        struct right *right = right_new(guard, users[user]);
        right->domain = own_text(get_str(in), SIZE_MAX);
        right->actor = own_text(get_str(in), TEXT_KEPT);
        right->why = own_text(get_str(in), TEXT_KEPT);
        right->most = get_u32(in, UINT32_MAX);
        right->n_today = get_u32(in, UINT32_MAX);
        right->day = get_i64(in);
        right->expires_us = get_i64(in);
    }
}

static void save_tallies(const struct guard *guard, struct buf *out)
{
    put_u64(out, guard->n_tallies_forgotten);
    put_u64(out, guard->n_would_reject);
    put_u64(out, guard->n_would_hold);
    put_u64(out, guard->n_tallies);
    LIST_EACH((struct list *)&guard->tallies, struct tally, link, tally)
    {
        put_u64(out, tally->incident);
        put_str(out, tally->domain);
        put_i64(out, tally->day);
        put_str(out, tally->shown);
        const int64_t times[] = {tally->first_us, tally->last_us, tally->convicted_us,
                                 tally->by_hand_us, tally->released_us};
        for (size_t i = 0; i < COUNT_OF(times); i++)
            put_i64(out, times[i]);
        const uint32_t counts[] = {tally->n_sendings, tally->n_rejects,   tally->n_holds,
                                   tally->n_retracts, tally->n_restricts, tally->n_reports};
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            put_u64(out, counts[i]);
    }
    put_u64(out, guard->n_let_go);
    LIST_EACH((struct list *)&guard->let_go, struct let_go, link, let_go)
    {
        save_copy(&let_go->copy, out);
        put_u64(out, let_go->incident);
        put_str(out, let_go->domain);
    }
}

static void load_tallies(struct reader *in, uint64_t version, struct guard *guard)
{
    guard->n_tallies_forgotten = get_u64(in);
    guard->n_would_reject = get_u64(in);
    guard->n_would_hold = get_u64(in);
    uint64_t n = get_u64(in);
    for (uint64_t k = 0; k < n && !in->bad; k++) {
        uint64_t incident = get_u64(in);
        struct str domain = get_str(in);
        int64_t day = get_i64(in);
        if (in->bad || tally_find(guard, incident, domain, day) != NULL) {
            in->bad = true;
            return;
        }
        struct tally *tally = tally_make(guard, incident, domain, day);
        replace_text(&tally->shown, get_str(in));
        int64_t *times[] = {&tally->first_us, &tally->last_us, &tally->convicted_us,
                            &tally->by_hand_us, &tally->released_us};
        for (size_t i = 0; i < COUNT_OF(times); i++)
            *times[i] = get_i64(in);
        uint32_t *counts[] = {&tally->n_sendings, &tally->n_rejects,   &tally->n_holds,
                              &tally->n_retracts, &tally->n_restricts, &tally->n_reports};
        for (size_t i = 0; i < COUNT_OF(counts); i++)
            *counts[i] = get_u32(in, UINT32_MAX);
    }
    n = version >= 10 ? get_u64(in) : 0;
    for (uint64_t k = 0; k < n && !in->bad; k++) {
        struct copy copy = load_copy(in);
        uint64_t incident = get_u64(in);
        let_go_add(guard, &copy, incident, get_str(in));
    }
}

static void save_hits(const struct saving *saving)
{
    put_u64(saving->out, saving->guard->n_hits);
    // oldest first, as they are added
    struct list *hits = (struct list *)&saving->guard->hits;
    for (struct link *at = hits->head.prev; at != &hits->head; at = at->prev) {
        const struct decoy_hit *hit = CONTAINER_OF(at, struct decoy_hit, link);
        put_u64(saving->out, hit->cluster->id);
        put_u64(saving->out, id_of(saving, hit->sender));
        put_u64(saving->out, id_of(saving, hit->decoy));
        put_i64(saving->out, hit->at_us);
    }
}

static int64_t time_of_hit(const struct cluster *cluster, const struct user *who)
{
    for (size_t i = 0; i < cluster->n_evidence; i++)
        if (cluster->evidence[i].kind == EVIDENCE_DECOY && cluster->evidence[i].who == who)
            return cluster->evidence[i].at_us;
    return 0;
}

/* Of older snapshots: only that there was one. */
static void find_hits(struct guard *guard)
{
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH(&guard->clusters[rank], struct cluster, link, cluster)
    if (cluster->n_decoy_senders > 0 && !cluster->is_campaign)
        LIST_EACH(&cluster->members, struct member, link, member)
    if (member->decoy > 0)
        decoy_hit_add(guard, cluster, member->user, NULL, time_of_hit(cluster, member->user));
}

static void load_hits(struct reader *in, struct guard *guard, struct user **users, uint32_t n_users)
{
    uint64_t n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct cluster *cluster = cluster_by_id(guard, get_u64(in));
        uint32_t sender = get_u32(in, n_users), decoy = get_u32(in, n_users);
        int64_t at_us = get_i64(in);
        if (cluster == NULL || cluster->n_decoy_senders == 0 || sender == 0)
            in->bad = true;
        else
            decoy_hit_add(guard, cluster, users[sender], users[decoy], at_us);
    }
}

/* The guard's own numbers, for both ways. */
enum { GUARD_COUNTS = 10 };

static void guard_counts(struct guard *guard, uint64_t **counts)
{
    uint64_t *all[GUARD_COUNTS] = {
        &guard->number,      &guard->next_cluster, &guard->next_order, &guard->n_sendings,
        &guard->n_delivered, &guard->n_held,       &guard->n_rejected, &guard->n_exposures,
        &guard->n_forgotten, &guard->n_convicted,
    };
    memcpy(counts, all, sizeof all);
}

enum {
    LESSON_REALS = sizeof(struct lessons) / sizeof(double),
    LESSON_REALS_7 = offsetof(struct lessons, believed) / sizeof(double),
    LESSON_REALS_4 = offsetof(struct lessons, copies) / sizeof(double),
    LESSON_REALS_3 = offsetof(struct lessons, spans) / sizeof(double),
};

/* Which clusters are of which campaign, in its order. */
static void save_campaigns(const struct guard *guard, struct buf *out)
{
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH((struct list *)&guard->clusters[rank], struct cluster, link, campaign)
        {
            if (!campaign->is_campaign)
                continue;
            put_u64(out, campaign->n_lures);
            LIST_EACH(&campaign->lures, struct cluster, in_campaign, cluster)
            put_u64(out, cluster->id);
        }
}

static void load_campaigns(struct reader *in, struct guard *guard)
{
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH(&guard->clusters[rank], struct cluster, link, campaign)
        {
            uint64_t n = campaign->is_campaign ? get_u64(in) : 0;
            for (uint64_t i = 0; i < n && !in->bad; i++) {
                struct cluster *cluster = cluster_by_id(guard, get_u64(in));
                if (cluster == NULL || cluster->is_campaign || cluster->campaign != 0) {
                    in->bad = true;
                    return;
                }
                campaign_add(campaign, cluster);
            }
        }
}

/* Of questions, for both ways. */
enum { GUARD_ANSWERS = 5 };

static void guard_answers(struct guard *guard, uint64_t **counts)
{
    uint64_t *all[GUARD_ANSWERS] = {&guard->n_asked, &guard->n_said_yes, &guard->n_said_no,
                                    &guard->n_unanswered, &guard->n_withdrawn};
    memcpy(counts, all, sizeof all);
}

void guard_save(const struct guard *saved, struct buf *out)
{
    struct guard *guard = (struct guard *)saved; // nothing is written
    buf_add(out, str_of(magic));
    put_u64(out, SNAPSHOT_VERSION);
    put_u64(out, guard->seed);
    put_i64(out, guard->now_us);
    put_i64(out, guard->next_expiry_us);
    put_i64(out, guard->outbreak.seen_us);
    put_i64(out, guard->outbreak.sure_us);
    put_u64(out, guard->outbreak.by);
    put_real(out, guard->outbreak.surge);
    for (size_t i = 0; i < SILENT_KEPT; i++) {
        put_u64(out, guard->outbreak.silent[i]);
        put_i64(out, guard->outbreak.silent_us[i]);
    }
    put_u64(out, guard->n_incidents);
    uint64_t *counts[GUARD_COUNTS];
    guard_counts(guard, counts);
    for (size_t i = 0; i < GUARD_COUNTS; i++)
        put_u64(out, *counts[i]);
    const double *lessons = (const double *)&guard->lessons;
    for (size_t i = 0; i < LESSON_REALS; i++)
        put_real(out, lessons[i]);
    struct saving saving = {.guard = guard, .out = out};
    saving.numbers = calloc(users_indexes(guard), sizeof *saving.numbers);
    must(saving.numbers != NULL);
    save_users(&saving);
    save_sights(guard, out);
    // by age, so that the list of what a person brought comes back in its order
    put_u64(out, guard->n_clusters);
    for (size_t rank = 0; rank < COUNT_OF(guard->clusters); rank++)
        LIST_EACH(&guard->clusters[rank], struct cluster, link, cluster)
    save_cluster(&saving, cluster);
    USERS_EACH(guard, user)
    if (user->has_standing)
        LIST_EACH(&standing_of(guard, user)->brought, struct cluster, by_zero, cluster)
    put_u64(out, cluster->id);
    save_campaigns(guard, out);
    save_rules(&saving);
    save_tallies(guard, out);
    save_hits(&saving);
    uint64_t *answers[GUARD_ANSWERS];
    guard_answers(guard, answers);
    for (size_t i = 0; i < GUARD_ANSWERS; i++)
        put_u64(out, *answers[i]);
    buf_add(out, STR("end"));
    free(saving.numbers);
}

static void load_standing(struct reader *in, uint64_t version, struct guard *guard,
                          struct user *user)
{
    struct standing read = {.restricted_until_us = get_i64(in), .restricted_by = get_u64(in)};
    if (version >= 3) {
        read.question_day = get_i64(in);
        read.n_questions = get_u32(in, UINT32_MAX);
    }
    if (in->bad || (read.restricted_until_us == 0 && read.n_questions == 0))
        return;
    struct standing *standing = standing_get(guard, user);
    standing->restricted_until_us = read.restricted_until_us;
    guard->n_restricted += read.restricted_until_us != 0;
    standing->restricted_by = read.restricted_by;
    standing->question_day = read.question_day;
    standing->n_questions = read.n_questions;
    standing_tidy(guard, user);
}

static void load_users(struct reader *in, uint64_t version, struct guard *guard,
                       struct user **users, uint32_t n_users)
{
    for (uint32_t i = 1; i <= n_users && !in->bad; i++) {
        struct str jid = get_str(in);
        if (in->bad || user_find(guard, jid) != NULL) {
            in->bad = true;
            return;
        }
        struct user *user = users[i] = user_get(guard, jid);
        struct trail trail = {0};
        if (version < 5)
            get_i64(in); // of the last use
        for (size_t k = 0; k < RECENT_CLUSTERS; k++)
            trail.recent[k] = get_u64(in);
        user->n_fans = (uint32_t)clamp(0, get_u32(in, UINT32_MAX), FANS_MOST) & 31;
        user->lesson_day = (uint16_t)get_i64(in);
        user->n_lessons = (uint16_t)clamp(0, get_u32(in, UINT32_MAX), UINT16_MAX);
        load_standing(in, version, guard, user);
        user->is_decoy = get_bool(in);
        user->n_taught = version >= 12 ? get_u32(in, 7) & 7 : 0;
        user->is_remote = version >= 12 && get_bool(in);
        guard->n_decoys += user->is_decoy;
        if (version >= 4 && get_bool(in))
            load_trail(in, version, &trail);
        if (!in->bad)
            trail_put(guard, user, &trail);
    }
    uint32_t tidied = version >= 5 ? get_u32(in, n_users) : 0;
    if (tidied != 0)
        users_tidy_from(guard, users[tidied]);
}

static void load_sights(struct reader *in, uint64_t version, struct guard *guard)
{
    uint64_t n = get_u64(in);
    for (uint64_t i = 0; i < n && !in->bad; i++) {
        struct lure_key key = get_key(in);
        if (in->bad || sight_find(guard, &key) != NULL) {
            in->bad = true;
            return;
        }
        struct sight *sight = sight_make(guard, &key);
        sight->is_known = get_bool(in);
        sight->first_us = get_i64(in);
        sight->last_us = get_i64(in);
        sight->n_sendings = get_u32(in, UINT32_MAX);
        sight->introducers = get_u32(in, UINT32_MAX);
        sight->who_introduced = get_u64(in);
        sight->counted_us = version >= 12 ? get_i64(in) : 0;
        sight->counted = version >= 12 ? (uint8_t)get_u32(in, UINT8_MAX) : 0;
        sight->settled = version >= 12 ? (uint8_t)get_u32(in, UINT8_MAX) : 0;
        if (sight->is_known) {
            list_leave(&sight->link);
            list_add_last(&guard->known, &sight->link);
            guard->n_young--;
            guard->n_known++;
        }
    }
}

static void load_brought(struct reader *in, struct guard *guard)
{
    USERS_EACH(guard, user)
    {
        struct standing *standing = standing_of(guard, user);
        for (uint32_t i = 0; standing != NULL && i < standing->n_brought && !in->bad; i++) {
            struct cluster *cluster = cluster_by_id(guard, get_u64(in));
            if (cluster == NULL || cluster->zero != user || !list_is_member(&cluster->by_zero)) {
                in->bad = true;
                return;
            }
            list_leave(&cluster->by_zero);
            list_add_last(&standing->brought, &cluster->by_zero);
        }
    }
}

enum err guard_load(const struct guard_config *config, struct str bytes, struct guard **out,
                    struct why *why)
{
    struct reader in = {.rest = bytes};
    if (!str_eq(get_bytes(&in, sizeof magic - 1), str_of(magic)))
        return why_say(why, ERR_CORRUPT, "this is no snapshot of the guard");
    uint64_t version = get_u64(&in);
    if (version < 1 || version > SNAPSHOT_VERSION)
        return why_say(why, ERR_UNSUPPORTED, "the guard's snapshot is of version %llu, not %d",
                       (unsigned long long)version, SNAPSHOT_VERSION);
    struct guard *guard = guard_new(config, get_u64(&in));
    guard->now_us = get_i64(&in);
    guard->next_expiry_us = get_i64(&in);
    guard->outbreak.seen_us = version >= 7 ? get_i64(&in) : 0;
    if (version >= 9) {
        guard->outbreak.sure_us = get_i64(&in);
        guard->outbreak.by = get_u64(&in);
        guard->outbreak.surge = get_real(&in);
    }
    for (size_t i = 0; i < SILENT_KEPT && version >= 13; i++) {
        guard->outbreak.silent[i] = get_u64(&in);
        guard->outbreak.silent_us[i] = get_i64(&in);
    }
    guard->n_incidents = get_u64(&in);
    uint64_t *counts[GUARD_COUNTS];
    guard_counts(guard, counts);
    for (size_t i = 0; i < GUARD_COUNTS; i++)
        *counts[i] = get_u64(&in);
    double *lessons = (double *)&guard->lessons;
    size_t n_lessons = version >= 13  ? LESSON_REALS
                       : version >= 7 ? LESSON_REALS_7
                       : version >= 4 ? LESSON_REALS_4
                                      : LESSON_REALS_3;
    for (size_t i = 0; i < n_lessons; i++)
        lessons[i] = get_real(&in);
    if (version < 13 && version >= 7) { // it has learnt for long
        rare_believe_all(&guard->lessons);
        guard->lessons.believed_s = (double)guard->now_us / 1e6;
        guard->lessons.since_s = 1;
    }
    uint64_t forgotten = guard->n_forgotten;
    uint32_t n_users = get_u32(&in, UINT32_MAX);
    if (n_users > in.rest.len) { // each takes more than a byte
        in.bad = true;
        n_users = 0;
    }
    struct user **users = calloc((size_t)n_users + 1, sizeof(struct user *));
    must(users != NULL);
    load_users(&in, version, guard, users, n_users);
    load_sights(&in, version, guard);
    uint64_t n_clusters = get_u64(&in);
    for (uint64_t i = 0; i < n_clusters && !in.bad; i++)
        load_cluster(&in, version, guard, users, n_users);
    load_brought(&in, guard);
    if (version >= 4)
        load_campaigns(&in, guard);
    load_rules(&in, version, guard, users, n_users);
    if (version >= 2)
        load_tallies(&in, version, guard);
    if (version >= 11)
        load_hits(&in, guard, users, n_users);
    else
        find_hits(guard);
    uint64_t *answers[GUARD_ANSWERS];
    guard_answers(guard, answers);
    for (size_t i = 0; version >= 3 && i < GUARD_ANSWERS; i++)
        *answers[i] = get_u64(&in);
    free(users);
    guard->n_forgotten = forgotten;
    if (!str_eq(get_bytes(&in, 3), STR("end")) || in.rest.len != 0 || in.bad) {
        guard_free(&guard);
        return why_say(why, ERR_CORRUPT, "the guard's snapshot is damaged");
    }
    *out = guard;
    return OK;
}
