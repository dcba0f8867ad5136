/*
 * Clusters: lures that share keys, and the people around them.
 *
 * On an established host only the exact link ties (or a template from which
 * nothing but a name was taken); elsewhere host and registrable domain tie too.
 * Clusters do not merge: the first key that is known decides, narrow before
 * wide, so that no message can chain an honest cluster to another.
 */
#include "guard/guard_internal.h"

static const double clusters_share = 0.5;

/* guard.memory is 64 GiB at most: half of that is full of members before the references of one user
 * overflow. */
_Static_assert(sizeof(struct member) << 28 > UINT64_C(32) << 30, "n_refs has bits enough");

bool lure_template_links(const struct lure *lure, bool established)
{
    if (lure->kind != LURE_LINK) // half the world sends IMG_{n}.jpg
        return (lure->flags & (LURE_EXECUTABLE | LURE_DISGUISED)) != 0;
    return !established || (lure->flags & (LURE_NAMED | LURE_NUMBERED)) == LURE_NAMED;
}

struct binding *binding_find(const struct guard *guard, const struct lure_key *key)
{
    uint64_t hash = guard_hash_key(guard, key);
    for (struct map_node *at = map_first(&guard->bindings_map, hash); at != NULL; at = at->next) {
        struct binding *binding = CONTAINER_OF(at, struct binding, node);
        if (at->hash == hash && lure_key_eq(&binding->key, key))
            return binding;
    }
    return NULL;
}

struct cluster *cluster_find_key(const struct guard *guard, const struct lure_key *key)
{
    const struct binding *binding = binding_find(guard, key);
    return binding != NULL ? binding->cluster : NULL;
}

struct cluster *cluster_find(const struct guard *guard, const struct lure *lure, bool established,
                             enum lure_width *via)
{
    for (int width = LURE_EXACT; width < LURE_WIDTHS; width++) {
        if (width == LURE_TEMPLATE && !lure_template_links(lure, established))
            continue;
        if (width >= LURE_HOST && established)
            break;
        if (lure_key_is_none(&lure->keys[width]))
            continue;
        struct cluster *cluster = cluster_find_key(guard, &lure->keys[width]);
        if (cluster != NULL) {
            *via = (enum lure_width)width;
            return cluster;
        }
    }
    return NULL;
}

struct cluster *cluster_by_id(const struct guard *guard, uint64_t id)
{
    for (struct map_node *at = map_first(&guard->by_id, id); at != NULL; at = at->next) {
        struct cluster *cluster = CONTAINER_OF(at, struct cluster, node);
        if (at->hash == id) // which is its hash, and nearer than the cluster's own number
            return cluster;
    }
    return NULL;
}

struct binding *binding_make(struct guard *guard, struct cluster *cluster,
                             const struct lure_key *key, enum lure_width width, bool established,
                             struct str shown)
{
    // its text lies behind it: a lure has several bindings, and they come and go together
    size_t len = shown.len < SHOWN_MOST ? shown.len : SHOWN_MOST;
    uint32_t piece;
    struct binding *binding = piece_make(guard, sizeof *binding + len, &piece);
    binding->piece = piece;
    binding->cluster = cluster;
    binding->key = *key;
    binding->width = width;
    binding->established = established;
    if (len > 0)
        memcpy(binding->text, shown.at, len);
    binding->shown = str_make(binding->text, len);
    map_put(&guard->bindings_map, &binding->node, guard_hash_key(guard, key));
    list_add_last(&cluster->bindings, &binding->link);
    cluster->n_bindings++;
    guard->bytes_clusters += sizeof *binding + binding->shown.len + sizeof(void *);
    return binding;
}

static void binding_free(struct guard *guard, struct binding *binding)
{
    map_remove(&guard->bindings_map, &binding->node);
    list_leave(&binding->link);
    binding->cluster->n_bindings--;
    guard->bytes_clusters -= sizeof *binding + binding->shown.len + sizeof(void *);
    slab_give(&guard->pieces, binding->piece);
}

void cluster_bind(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                  bool established)
{
    // wide keys first: where there is no room for one more link, its host is bound already
    for (int width = LURE_WIDTHS - 1; width >= LURE_EXACT; width--) {
        if (lure_key_is_none(&lure->keys[width]) || (width >= LURE_HOST && established) ||
            (width == LURE_TEMPLATE && !lure_template_links(lure, established)))
            continue;
        if (cluster->n_bindings >= BINDINGS_MOST ||
            cluster_find_key(guard, &lure->keys[width]) != NULL)
            continue;
        struct str shown = width == LURE_HOST     ? lure->host
                           : width == LURE_DOMAIN ? lure->domain
                                                  : lure->shown;
        binding_make(guard, cluster, &lure->keys[width], (enum lure_width)width, established,
                     shown);
    }
}

struct cluster *cluster_new(struct guard *guard, uint64_t id, struct user *zero)
{
    uint32_t piece;
    struct cluster *cluster = piece_make(guard, sizeof *cluster, &piece);
    cluster->piece = piece;
    cluster->id = id;
    cluster->evidence = cluster->few;
    list_init(&cluster->bindings);
    list_init(&cluster->members);
    list_init(&cluster->lures);
    list_init(&cluster->questions);
    cluster->first_us = cluster->last_us = guard->now_us;
    cluster->window = guard->config.window_first;
    cluster->shown = cluster->actor = cluster->why = STR_EMPTY;
    cluster->zero = zero;
    if (zero != NULL) {
        zero->n_refs++;
        struct standing *standing = standing_get(guard, zero);
        standing->n_brought++;
        list_add_last(&standing->brought, &cluster->by_zero);
    }
    map_put(&guard->by_id, &cluster->node, id);
    list_add_last(&guard->clusters[0], &cluster->link);
    guard->n_clusters++;
    guard->bytes_clusters += sizeof *cluster + sizeof(void *);
    return cluster;
}

struct cluster *cluster_make(struct guard *guard, const struct lure *lure, bool established,
                             struct user *zero)
{
    struct cluster *cluster = cluster_new(guard, guard->next_cluster++, zero);
    cluster->kind = lure->kind;
    cluster->established = established;
    cluster_bind(guard, cluster, lure, established);
    return cluster;
}

const struct binding *cluster_narrowest(const struct cluster *cluster)
{
    const struct binding *narrowest = NULL;
    if (cluster->is_campaign && !list_empty(&cluster->lures))
        cluster = CONTAINER_OF(LIST_LINK(cluster->lures.head.prev), struct cluster, in_campaign);
    LIST_EACH((struct list *)&cluster->bindings, struct binding, link, binding)
    if (narrowest == NULL || binding->width <= narrowest->width)
        narrowest = binding;
    return narrowest;
}

void cluster_share(struct guard *guard, struct cluster *cluster)
{
    if (list_is_member(&cluster->by_zero)) {
        list_leave(&cluster->by_zero);
        standing_of(guard, cluster->zero)->n_brought--;
        standing_tidy(guard, cluster->zero);
    }
}

/* ---- Members --------------------------------------------------------------------------------- */

static uint64_t member_hash(const struct cluster *cluster, const struct user *user)
{
    return (user->hash_high ^ cluster->id * UINT64_C(0x9E3779B97F4A7C15)) *
               UINT64_C(0xBF58476D1CE4E5B9) >>
           7;
}

struct member *member_find(const struct guard *guard, const struct cluster *cluster,
                           const struct user *user)
{
    uint64_t hash = member_hash(cluster, user);
    for (struct map_node *at = map_first(&guard->members_map, hash); at != NULL; at = at->next) {
        struct member *member = CONTAINER_OF(at, struct member, node);
        if (at->hash == hash && member->cluster == cluster && member->user == user)
            return member;
    }
    return NULL;
}

struct member *member_make(struct guard *guard, struct cluster *cluster, struct user *user)
{
    uint32_t piece;
    struct member *member = piece_make(guard, sizeof *member, &piece);
    member->piece = piece;
    member->cluster = cluster;
    member->user = user;
    member->roster_index = -1;
    user->n_refs++;
    map_put(&guard->members_map, &member->node, member_hash(cluster, user));
    list_add_last(&cluster->members, &member->link);
    cluster->n_members++;
    if (cluster->mature == NULL)
        cluster->mature = member;
    guard->bytes_clusters += sizeof *member + sizeof(void *);
    return member;
}

struct member *member_get(struct guard *guard, struct cluster *cluster, struct user *user)
{
    struct member *member = member_find(guard, cluster, user);
    if (member != NULL || cluster->n_members >= MEMBERS_MOST)
        return member;
    return member_make(guard, cluster, user);
}

void member_uses(struct member *member, uint64_t device)
{
    if (device != 0)
        member->device = member->device == 0 || member->device == device ? device : UINT64_MAX;
}

/* Of an array that has doubled from `least` on until it had room for n. */
static size_t room_for(size_t n, size_t least)
{
    size_t room = least;
    while (room < n)
        room *= 2;
    return n > 0 ? room : 0;
}

enum { RECEIVERS_LEAST = 8, EVIDENCE_LEAST = 4 };

static size_t receivers_size(size_t n)
{
    return n <= RECEIVERS_FEW ? 0 : room_for(n, RECEIVERS_LEAST) * sizeof(uint32_t);
}

void member_make_room(struct guard *guard, struct member *member, size_t n)
{
    size_t size = receivers_size(n), wanted = receivers_size(n + 1);
    if (wanted <= size)
        return;
    uint32_t *many = realloc(size > 0 ? member->receivers.many : NULL, wanted);
    must(many != NULL);
    if (size == 0)
        memcpy(many, member->receivers.few, sizeof member->receivers.few);
    member->receivers.many = many;
    guard->bytes_clusters += wanted - size;
}

void member_reached(struct guard *guard, struct member *member, uint32_t n_receivers)
{
    for (; member->n_receivers < n_receivers; member->n_receivers++) {
        size_t n = n_told_apart(member);
        if (n == RECEIVERS_MOST)
            continue;
        member_make_room(guard, member, n);
        receivers_of(member, n + 1)[n] = 0;
    }
}

static size_t evidence_size(size_t n)
{
    return n <= EVIDENCE_FEW ? 0 : room_for(n, EVIDENCE_LEAST) * sizeof(struct evidence);
}

void cluster_make_room(struct guard *guard, struct cluster *cluster)
{
    size_t size = evidence_size(cluster->n_evidence),
           wanted = evidence_size(cluster->n_evidence + 1);
    if (wanted <= size)
        return;
    struct evidence *more = realloc(size > 0 ? cluster->evidence : NULL, wanted);
    must(more != NULL);
    if (size == 0)
        memcpy(more, cluster->few, sizeof cluster->few);
    cluster->evidence = more;
    guard->bytes_clusters += wanted - size;
}

static void member_free(struct guard *guard, struct member *member)
{
    size_t n = n_told_apart(member);
    if (n > RECEIVERS_FEW)
        free(member->receivers.many);
    guard->bytes_clusters -= receivers_size(n);
    map_remove(&guard->members_map, &member->node);
    list_leave(&member->link);
    member->cluster->n_members--;
    member->user->n_refs--;
    if (member->from != NULL)
        member->from->n_refs--;
    guard->bytes_clusters -= sizeof *member + sizeof(void *);
    slab_give(&guard->pieces, member->piece);
}

/* ---- Remembering and forgetting ----------------------------------------------------------------
 */

void cluster_rank(struct guard *guard, struct cluster *cluster)
{
    uint8_t rank = cluster->nats >= 8 ? 2 : cluster->nats >= 4 || cluster->n_relays > 0 ? 1 : 0;
    if (cluster->is_incident)
        rank = 3;
    if (rank == cluster->rank)
        return;
    list_leave(&cluster->link);
    cluster->rank = rank;
    list_add_last(&guard->clusters[rank], &cluster->link);
}

void cluster_touch(struct guard *guard, struct cluster *cluster)
{
    cluster->last_us = guard->now_us;
    list_leave(&cluster->link);
    list_add_last(&guard->clusters[cluster->rank], &cluster->link);
    cluster_rank(guard, cluster);
}

void cluster_forget(struct guard *guard, struct cluster *cluster)
{
    must(cluster->n_waiting == 0);
    questions_forget(guard, cluster);
    decoy_hits_forget(guard, cluster);
    cluster_share(guard, cluster);
    campaign_leave(guard, cluster);
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    binding_free(guard, binding);
    LIST_EACH(&cluster->members, struct member, link, member)
    member_free(guard, member);
    for (size_t i = 0; i < cluster->n_evidence; i++)
        if (cluster->evidence[i].who != NULL)
            cluster->evidence[i].who->n_refs--;
    for (size_t i = 0; i < cluster->n_orders; i++) {
        struct cluster_order *order = &cluster->orders[i];
        if (order->who != NULL)
            order->who->n_refs--;
        guard->bytes_clusters -= order_size(order);
        str_free(&order->shown);
    }
    if (cluster->zero != NULL)
        cluster->zero->n_refs--;
    if (cluster->root != NULL)
        cluster->root->n_refs--;
    guard->bytes_clusters -= sizeof *cluster + sizeof(void *) + evidence_size(cluster->n_evidence);
    free(cluster->orders);
    if (cluster->evidence != cluster->few)
        free(cluster->evidence);
    str_free(&cluster->shown);
    str_free(&cluster->actor);
    str_free(&cluster->why);
    map_remove(&guard->by_id, &cluster->node);
    list_leave(&cluster->link);
    guard->n_clusters--;
    slab_give(&guard->pieces, cluster->piece);
}

void cluster_close(struct guard *guard, struct cluster *cluster)
{
    LIST_EACH(&cluster->bindings, struct binding, link, binding)
    binding_free(guard, binding);
    cluster_share(guard, cluster);
    campaign_leave(guard, cluster);
    cluster->state = CLUSTER_EXPIRED;
    cluster->ended_us = guard->now_us;
}

/* What is convicted stays while it stops anything: until the last stop has expired. */
static bool can_forget(const struct cluster *cluster, const struct cluster *keep)
{
    return cluster != keep && cluster->n_waiting == 0 && cluster->n_asking == 0 &&
           (cluster->state != CLUSTER_CONVICTED || cluster->n_stops == 0);
}

/* In steady traffic each lure that is judged lets an old one go, of which nothing is near any more:
 * what the next event needs of it may come from memory meanwhile. */
static void expect_settled(const struct guard *guard)
{
    const struct cluster *oldest = LIST_FIRST(&guard->clusters[0], struct cluster, link);
    if (oldest == NULL)
        return;
    const char *at = (const char *)oldest;
    for (size_t line = 0; line < sizeof *oldest; line += 64)
        __builtin_prefetch(at + line);
}

void clusters_trim(struct guard *guard, struct cluster *keep)
{
    // one account cannot fill the memory of all
    struct standing *his =
        keep != NULL && list_is_member(&keep->by_zero) ? standing_of(guard, keep->zero) : NULL;
    if (his != NULL && his->n_brought > guard->config.senders_open)
        LIST_EACH(&his->brought, struct cluster, by_zero, cluster)
    if (can_forget(cluster, keep) && !cluster->is_incident) {
        cluster_forget(guard, cluster);
        guard->n_forgotten++;
        break;
    }
    // what has settled teaches and goes
    for (int rank = 0; rank < 4; rank++)
        LIST_EACH(&guard->clusters[rank], struct cluster, link, cluster)
        {
            int64_t patience = rank == 3 ? guard->config.forget_us : guard->config.settle_us;
            if (guard->now_us - cluster->last_us < patience)
                break;
            if (!can_forget(cluster, keep))
                continue;
            if (cluster->state == CLUSTER_QUIET)
                lessons_of(guard, cluster);
            cluster_forget(guard, cluster);
        }
    expect_settled(guard);
    size_t share = (size_t)((double)guard->config.memory * clusters_share);
    for (int rank = 0; rank < 4 && guard->bytes_clusters > share; rank++) {
        int tries = 64; // a bounded number each time, so that no event is slow
        LIST_EACH(&guard->clusters[rank], struct cluster, link, cluster)
        {
            if (guard->bytes_clusters <= share || tries-- == 0)
                break;
            if (can_forget(cluster, keep)) {
                cluster_forget(guard, cluster);
                guard->n_forgotten++;
            } else { // else they would be all that is ever looked at
                list_leave(&cluster->link);
                list_add_last(&guard->clusters[rank], &cluster->link);
            }
        }
    }
}
