/*
 * Users and sights: who takes part, and what was seen before.
 *
 * There are as many users as a site has people, so what the guard keeps of each
 * is small: links are numbers, jid and trail lie packed behind each other, and
 * what few have is elsewhere (standings).
 *
 * Both are remembered within a share of the memory.  A flood of new hosts only
 * pushes out hosts that one person brought; what several brought independently
 * lives in a list of its own.
 */
#include "guard/guard_internal.h"

enum { USERS_OF_PAGE = SLAB_PAGE / sizeof(struct user) };

static const double users_share = 0.25, sights_share = 0.25;

uint64_t guard_hash(const struct guard *guard, struct str text)
{
    return hash_keyed(&guard->hash_key, text);
}

struct str own_text(struct str text, size_t most)
{
    size_t len = text.len < most ? text.len : most;
    must(len < SIZE_MAX);
    if (len == 0) // nothing takes nothing
        return STR_EMPTY;
    char *copy = malloc(len + 1);
    must(copy != NULL);
    memcpy(copy, text.at, len);
    copy[len] = 0;
    return str_make(copy, len);
}

void *piece_make(struct guard *guard, size_t size, uint32_t *piece)
{
    *piece = slab_take(&guard->pieces, size);
    return memset(slab_at(&guard->pieces, *piece), 0, size);
}

void str_free(struct str *text)
{
    if (text->len > 0)
        free((char *)text->at);
    *text = STR_EMPTY;
}

/* ---- Finding ----------------------------------------------------------------------------------
 */

// The piece of him whom the hash leads to; 0: nobody.
static uint32_t number_of(const struct guard *guard, struct str jid, uint64_t hash)
{
    uint32_t at = guard->n_user_slots > 0 ? guard->user_slots[hash & (guard->n_user_slots - 1)] : 0;
    while (at != 0) {
        const struct user *user = user_at(guard, at);
        if (user_hash(user) == hash && str_eq(user_jid(guard, user), jid))
            break;
        at = user->same;
    }
    return at;
}

// Nothing that jid_parse lets through is longer.
static struct str of_jid(struct str jid)
{
    return jid.len <= UINT16_MAX ? jid : str_first(jid, UINT16_MAX);
}

struct user *user_find(const struct guard *guard, struct str jid)
{
    jid = of_jid(jid);
    return user_at(guard, number_of(guard, jid, guard_hash(guard, jid)));
}

static void slots_grow(struct guard *guard)
{
    uint32_t n_slots = guard->n_user_slots == 0 ? 64 : 2 * guard->n_user_slots;
    uint32_t *slots = calloc(n_slots, sizeof *slots);
    must(slots != NULL);
    for (uint32_t at = guard->oldest_user, newer; at != 0; at = newer) {
        struct user *user = user_at(guard, at);
        newer = user->newer;
        uint32_t *slot = &slots[user->hash_low & (n_slots - 1)];
        user->same = *slot;
        *slot = at;
    }
    free(guard->user_slots);
    guard->user_slots = slots;
    guard->n_user_slots = n_slots;
}

// His number, by his neighbour: he need not know it himself.
static uint32_t number_in_use(const struct guard *guard, const struct user *user)
{
    return user->older != 0 ? user_at(guard, user->older)->newer : guard->oldest_user;
}

static void leave_order(struct guard *guard, uint32_t number)
{
    const struct user *user = user_at(guard, number);
    if (guard->next_tidied == number)
        guard->next_tidied = user->older;
    *(user->older != 0 ? &user_at(guard, user->older)->newer : &guard->oldest_user) = user->newer;
    *(user->newer != 0 ? &user_at(guard, user->newer)->older : &guard->newest_user) = user->older;
}

static void become_newest(struct guard *guard, uint32_t number)
{
    struct user *user = user_at(guard, number);
    user->newer = 0;
    user->older = guard->newest_user;
    *(user->older != 0 ? &user_at(guard, user->older)->newer : &guard->oldest_user) = number;
    guard->newest_user = number;
}

size_t user_index(const struct guard *guard, const struct user *user)
{
    uint32_t number = number_in_use(guard, user);
    return (size_t)(number / SLAB_SLOTS) * USERS_OF_PAGE + number % SLAB_SLOTS;
}

size_t users_indexes(const struct guard *guard)
{
    return (size_t)guard->users.n_pages * USERS_OF_PAGE;
}

/* What counts against the share of memory; what it takes in fact (users_memory) depends on what was
 * there before. */
static size_t user_bytes(const struct guard *guard, const struct user *user)
{
    return slab_size(&guard->users, sizeof *user) + sizeof(uint32_t) +
           slab_page_of(&guard->texts, user->text)->size;
}

static uint32_t user_make(struct guard *guard, struct str jid, uint64_t hash)
{
    if (guard->n_users >= guard->n_user_slots)
        slots_grow(guard);
    uint32_t number = slab_take(&guard->users, sizeof(struct user));
    struct user *user = user_at(guard, number);
    uint32_t *slot = &guard->user_slots[hash & (guard->n_user_slots - 1)];
    *user = (struct user){.hash_low = (uint32_t)hash,
                          .hash_high = (uint32_t)(hash >> 32),
                          .same = *slot,
                          .text = slab_take(&guard->texts, jid.len),
                          .n_jid = (uint16_t)jid.len};
    if (jid.len > 0)
        memcpy(slab_at(&guard->texts, user->text), jid.at, jid.len);
    *slot = number;
    guard->n_users++;
    guard->bytes_users += user_bytes(guard, user);
    return number;
}

/* The sender and the receiver of what was judged are who it is then shown to, mostly: they need not
 * be searched again. */
static uint32_t among_newest(const struct guard *guard, struct str jid)
{
    uint32_t number = guard->newest_user;
    for (int i = 0; i < 2 && number != 0; i++) {
        const struct user *user = user_at(guard, number);
        if (str_eq(user_jid(guard, user), jid))
            return number;
        number = user->older;
    }
    return 0;
}

static struct user *use(struct guard *guard, uint32_t number)
{
    if (number != guard->newest_user) {
        leave_order(guard, number);
        become_newest(guard, number);
    }
    return user_at(guard, number);
}

/* As user_get, of somebody who is not expected among the newest. */
static struct user *search(struct guard *guard, struct str jid)
{
    jid = of_jid(jid);
    uint64_t hash = guard_hash(guard, jid);
    uint32_t number = number_of(guard, jid, hash);
    if (number != 0)
        return use(guard, number);
    number = user_make(guard, jid, hash);
    become_newest(guard, number);
    return user_at(guard, number);
}

struct user *user_get(struct guard *guard, struct str jid)
{
    uint32_t number = among_newest(guard, of_jid(jid));
    return number != 0 ? use(guard, number) : search(guard, jid);
}

void user_get_both(struct guard *guard, struct str sender_jid, struct str receiver_jid,
                   struct user **sender, struct user **receiver)
{
    // whom a message was shown to is whom it was judged for, mostly: then their order stays
    struct user *newest = user_at(guard, guard->newest_user);
    struct user *second = newest != NULL ? user_at(guard, newest->older) : NULL;
    if (second == NULL || !str_eq(user_jid(guard, newest), receiver_jid) ||
        !str_eq(user_jid(guard, second), sender_jid)) {
        *sender = newest != NULL && str_eq(user_jid(guard, newest), of_jid(sender_jid))
                      ? newest
                      : search(guard, sender_jid);
        *receiver = search(guard, receiver_jid);
        return;
    }
    if (guard->next_tidied == guard->newest_user || guard->next_tidied == newest->older)
        guard->next_tidied = second->older;
    *sender = second;
    *receiver = newest;
}

/* ---- Standings --------------------------------------------------------------------------------
 */

static uint64_t standing_hash(const struct user *user)
{
    return user_hash(user) * UINT64_C(0x9E3779B97F4A7C15) >> 7;
}

static const size_t standing_bytes = sizeof(struct standing) + sizeof(void *);

struct standing *standing_of(const struct guard *guard, const struct user *user)
{
    if (!user->has_standing)
        return NULL;
    struct map_node *at = map_first(&guard->standings, standing_hash(user));
    while (CONTAINER_OF(at, struct standing, node)->user != user)
        at = at->next;
    return CONTAINER_OF(at, struct standing, node);
}

struct standing *standing_get(struct guard *guard, struct user *user)
{
    if (user->has_standing)
        return standing_of(guard, user);
    uint32_t piece;
    struct standing *standing = piece_make(guard, sizeof *standing, &piece);
    standing->piece = piece;
    standing->user = user;
    list_init(&standing->brought);
    map_put(&guard->standings, &standing->node, standing_hash(user));
    user->has_standing = true;
    guard->bytes_users += standing_bytes;
    return standing;
}

void standing_tidy(struct guard *guard, struct user *user)
{
    struct standing *standing = standing_of(guard, user);
    if (standing == NULL || standing->n_brought > 0 || standing->restricted_until_us != 0 ||
        standing->n_questions > 0)
        return;
    map_remove(&guard->standings, &standing->node);
    user->has_standing = false;
    guard->bytes_users -= standing_bytes;
    slab_give(&guard->pieces, standing->piece);
}

/* ---- Trails -----------------------------------------------------------------------------------
 */

// Which members follow, in this order; where there is none of them there is no trail.
enum {
    TRAIL_SENT = 1,      // when; to whom
    TRAIL_LEVEL = 2,     // else it is 1 if anything was sent, or 0
    TRAIL_CAMPAIGN = 4,  //
    TRAIL_OF_SENT = 8,   // its cluster
    TRAIL_RECENT = 16,   // how many; which
    TRAIL_SHOWN = 32,    // how many; which, when
    TRAIL_REACHED = 64,  // whom, and how fast
    TRAIL_LONGEST = 280, // bytes
};

// Clusters and times are packed as what lies between them and the one before: mostly little.
struct before {
    uint64_t id, us, s;
};

static double usual_level(const struct trail *trail)
{
    return trail->sent_us != 0 ? 1 : 0;
}

static size_t n_kept(const uint64_t *ids, size_t most)
{
    while (most > 0 && ids[most - 1] == 0)
        most--;
    return most;
}

// Not through the codec: each message with a lure packs and unpacks several.
static unsigned char *put_raw(unsigned char *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static unsigned char *put_number(unsigned char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (unsigned char)(number | 0x80);
    *at++ = (unsigned char)number;
    return at;
}

static unsigned char *put_near(unsigned char *at, uint64_t number, uint64_t *before)
{
    uint64_t more = number - *before; // whatever it wraps around
    *before = number;
    return put_number(at, more << 1 ^ (more >> 63 != 0 ? UINT64_MAX : 0));
}

static const unsigned char *take_raw(const unsigned char *at, void *bytes, size_t n)
{
    memcpy(bytes, at, n);
    return at + n;
}

static const unsigned char *take_number(const unsigned char *at, uint64_t *number)
{
    unsigned shift = 0;
    uint64_t sum = 0;
    while (*at >= 0x80) {
        sum |= (uint64_t)(*at++ & 0x7F) << shift;
        shift += 7;
    }
    *number = sum | (uint64_t)*at++ << shift;
    return at;
}

static const unsigned char *take_near(const unsigned char *at, uint64_t *before)
{
    uint64_t folded;
    at = take_number(at, &folded);
    *before += folded >> 1 ^ ((folded & 1) != 0 ? UINT64_MAX : 0);
    return at;
}

static const unsigned char *take_time(const unsigned char *at, int64_t *time_us, uint64_t *before)
{
    at = take_near(at, before);
    *time_us = (int64_t)*before;
    return at;
}

// How many bytes; none where all of it is nothing.
static size_t pack(const struct trail *trail, unsigned char *out)
{
    size_t n_recent = n_kept(trail->recent, RECENT_CLUSTERS),
           n_shown = n_kept(trail->shown, SHOWN_KEPT);
    bool has_level = trail->level != usual_level(trail);
    unsigned has = (trail->sent_us != 0 || trail->receiver != 0 ? TRAIL_SENT : 0) |
                   (has_level ? TRAIL_LEVEL : 0) | (trail->campaign != 0 ? TRAIL_CAMPAIGN : 0) |
                   (trail->sent != 0 ? TRAIL_OF_SENT : 0) | (n_recent > 0 ? TRAIL_RECENT : 0) |
                   (n_shown > 0 ? TRAIL_SHOWN : 0) |
                   (trail->n_to > 0 || trail->least_s != 0 ? TRAIL_REACHED : 0);
    if (has == 0)
        return 0;
    unsigned char *at = out;
    struct before before = {0};
    *at++ = (unsigned char)has;
    if ((has & TRAIL_SENT) != 0) {
        at = put_near(at, (uint64_t)trail->sent_us, &before.us);
        at = put_raw(at, &trail->receiver, sizeof trail->receiver);
    }
    if (has_level)
        at = put_raw(at, &trail->level, sizeof trail->level);
    if (trail->campaign != 0)
        at = put_near(at, trail->campaign, &before.id);
    if (trail->sent != 0)
        at = put_near(at, trail->sent, &before.id);
    if (n_recent > 0)
        *at++ = (unsigned char)n_recent;
    for (size_t i = 0; i < n_recent; i++)
        at = put_near(at, trail->recent[i], &before.id);
    if (n_shown > 0)
        *at++ = (unsigned char)n_shown;
    for (size_t i = 0; i < n_shown; i++) {
        at = put_near(at, trail->shown[i], &before.id);
        at = put_near(at, (uint64_t)trail->shown_us[i], &before.us);
    }
    if ((has & TRAIL_REACHED) != 0) {
        before.s = trail->least_s; // since when he reached those
        *at++ = trail->n_to;
        at = put_raw(at, &trail->least_s, sizeof trail->least_s);
        for (size_t i = 0; i < trail->n_to; i++)
            at = put_near(at, trail->to_s[i], &before.s);
        at = put_raw(at, trail->to, trail->n_to * sizeof *trail->to);
        *at++ = trail->full_us != 0;
        if (trail->full_us != 0)
            at = put_near(at, (uint64_t)trail->full_us, &before.us);
        at = put_raw(at, trail->least, sizeof trail->least);
        *at++ = trail->n_copies;
    }
    return (size_t)(at - out);
}

static const unsigned char *packed_trail(const struct guard *guard, const struct user *user)
{
    return (const unsigned char *)slab_at(&guard->texts, user->text) + user->n_jid;
}

struct trail trail_of(const struct guard *guard, const struct user *user)
{
    struct trail trail = {0};
    if (!user->has_trail)
        return trail;
    const unsigned char *at = packed_trail(guard, user);
    struct before before = {0};
    unsigned has = *at++;
    if ((has & TRAIL_SENT) != 0) {
        at = take_time(at, &trail.sent_us, &before.us);
        at = take_raw(at, &trail.receiver, sizeof trail.receiver);
    }
    trail.level = usual_level(&trail);
    if ((has & TRAIL_LEVEL) != 0)
        at = take_raw(at, &trail.level, sizeof trail.level);
    if ((has & TRAIL_CAMPAIGN) != 0) {
        at = take_near(at, &before.id);
        trail.campaign = before.id;
    }
    if ((has & TRAIL_OF_SENT) != 0) {
        at = take_near(at, &before.id);
        trail.sent = before.id;
    }
    size_t n = (has & TRAIL_RECENT) != 0 ? *at++ : 0;
    for (size_t i = 0; i < n; i++) {
        at = take_near(at, &before.id);
        trail.recent[i] = before.id;
    }
    n = (has & TRAIL_SHOWN) != 0 ? *at++ : 0;
    for (size_t i = 0; i < n; i++) {
        at = take_near(at, &before.id);
        trail.shown[i] = before.id;
        at = take_time(at, &trail.shown_us[i], &before.us);
    }
    if ((has & TRAIL_REACHED) != 0) {
        trail.n_to = *at++;
        at = take_raw(at, &trail.least_s, sizeof trail.least_s);
        before.s = trail.least_s;
        for (size_t i = 0; i < trail.n_to; i++) {
            at = take_near(at, &before.s);
            trail.to_s[i] = (uint32_t)before.s;
        }
        at = take_raw(at, trail.to, trail.n_to * sizeof *trail.to);
        if (*at++ != 0)
            at = take_time(at, &trail.full_us, &before.us);
        at = take_raw(at, trail.least, sizeof trail.least);
        trail.n_copies = *at;
    }
    return trail;
}

static void keep_packed(struct guard *guard, struct user *user, const unsigned char *packed,
                        size_t n)
{
    size_t len = user->n_jid + n;
    size_t room = slab_page_of(&guard->texts, user->text)->size;
    if (slab_size(&guard->texts, len > 0 ? len : 1) != room) {
        uint32_t piece = slab_take(&guard->texts, len);
        memcpy(slab_at(&guard->texts, piece), slab_at(&guard->texts, user->text), user->n_jid);
        guard->bytes_users -= user_bytes(guard, user);
        slab_give(&guard->texts, user->text);
        user->text = piece;
        guard->bytes_users += user_bytes(guard, user);
    }
    memcpy((char *)slab_at(&guard->texts, user->text) + user->n_jid, packed, n);
    user->has_trail = n > 0;
}

void trail_put(struct guard *guard, struct user *user, const struct trail *trail)
{
    unsigned char packed[TRAIL_LONGEST];
    keep_packed(guard, user, packed, pack(trail, packed));
}

/* What comes before the recent clusters; before: what they lie near to. */
static const unsigned char *skip_to_recent(const unsigned char *at, unsigned has,
                                           struct before *before)
{
    if ((has & TRAIL_SENT) != 0)
        at = take_near(at, &before->us) + sizeof(uint32_t);
    if ((has & TRAIL_LEVEL) != 0)
        at += sizeof(double);
    if ((has & TRAIL_CAMPAIGN) != 0)
        at = take_near(at, &before->id);
    if ((has & TRAIL_OF_SENT) != 0)
        at = take_near(at, &before->id);
    return at;
}

bool trail_adds_recent(struct guard *guard, struct user *user, uint64_t id)
{
    struct before before = {0};
    const unsigned char *from = user->has_trail ? packed_trail(guard, user) : NULL, *at = from;
    unsigned has = from != NULL ? *at++ : 0;
    if ((has & (TRAIL_SHOWN | TRAIL_REACHED)) != 0)
        return false;
    at = skip_to_recent(at, has, &before);
    struct before now = before;
    unsigned char packed[TRAIL_LONGEST], *out = packed;
    *out++ = (unsigned char)(has | TRAIL_RECENT);
    if (from != NULL)
        out = put_raw(out, from + 1, (size_t)(at - from) - 1);
    size_t n = (has & TRAIL_RECENT) != 0 ? *at++ : 0;
    *out++ = (unsigned char)(n < RECENT_CLUSTERS ? n + 1 : RECENT_CLUSTERS);
    out = put_near(out, id, &now.id);
    for (size_t i = 0; i < n && i + 1 < RECENT_CLUSTERS; i++) {
        at = take_near(at, &before.id);
        if (i == 0 && before.id == id)
            return true;
        out = put_near(out, before.id, &now.id);
    }
    keep_packed(guard, user, packed, (size_t)(out - packed));
    return true;
}

/* Whether the trail has nothing but when he last sent one, and clusters of which the oldest is not
 * gone. */
static bool is_tidy_already(const struct guard *guard, const struct user *user)
{
    const unsigned char *at = packed_trail(guard, user);
    unsigned has = *at++;
    if ((has & ~(unsigned)(TRAIL_SENT | TRAIL_LEVEL | TRAIL_RECENT)) != 0)
        return false;
    if ((has & TRAIL_RECENT) == 0) // no pause is too long
        return true;
    struct before before = {0};
    at = skip_to_recent(at, has, &before);
    for (size_t n = *at++; n > 0; n--)
        at = take_near(at, &before.id);
    return cluster_by_id(guard, before.id) != NULL;
}

/* Forgets what is never asked for any more: clusters that are gone, and what was shown so long ago
 * that it leads to nothing.  Only the oldest of a row, so that what comes pushes out the same ones
 * as it would have. */
static void trail_tidy(struct guard *guard, struct user *user)
{
    if (!user->has_trail || is_tidy_already(guard, user)) // as most are
        return;
    struct trail trail = trail_of(guard, user);
    bool is_tidy = true;
    for (size_t n = n_kept(trail.recent, RECENT_CLUSTERS);
         n > 0 && cluster_by_id(guard, trail.recent[n - 1]) == NULL; n--) {
        trail.recent[n - 1] = 0;
        is_tidy = false;
    }
    for (size_t n = n_kept(trail.shown, SHOWN_KEPT);
         n > 0 && (guard->now_us - trail.shown_us[n - 1] > guard->config.relay_us ||
                   cluster_by_id(guard, trail.shown[n - 1]) == NULL);
         n--) {
        trail.shown[n - 1] = 0;
        is_tidy = false;
    }
    int64_t old_s = (guard->now_us - guard->config.relay_us) / 1000000;
    if ((trail.n_to > 0 || trail.least_s != 0) && trail.least_s < old_s &&
        (trail.n_to == 0 || trail.to_s[0] < old_s)) {
        trail.n_to = trail.n_copies = 0;
        trail.full_us = trail.least_s = 0;
        memset(trail.least, 0, sizeof trail.least);
        is_tidy = false;
    }
    uint64_t *const ids[] = {&trail.campaign, &trail.sent};
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        if (*ids[i] != 0 && cluster_by_id(guard, *ids[i]) == NULL) {
            *ids[i] = 0;
            is_tidy = false;
        }
    if (!is_tidy)
        trail_put(guard, user, &trail);
}

/* ---- Forgetting -------------------------------------------------------------------------------
 */

static void user_free(struct guard *guard, struct user *user)
{
    struct standing *standing = standing_of(guard, user);
    if (standing != NULL)
        standing->n_questions = 0;
    standing_tidy(guard, user);
    must(user->n_refs == 0 && !user->has_standing);
    uint32_t number = number_in_use(guard, user);
    uint32_t *at = &guard->user_slots[user->hash_low & (guard->n_user_slots - 1)];
    while (*at != number)
        at = &user_at(guard, *at)->same;
    *at = user->same;
    leave_order(guard, number);
    guard->n_users--;
    guard->bytes_users -= user_bytes(guard, user);
    slab_give(&guard->texts, user->text);
    slab_give(&guard->users, number);
}

/* Each event with a lure looks at so many, in turn: from the newest on, since whoever is used
 * becomes the newest, and with them before it a round would never end. */
enum { TIDIED_AT_ONCE = 1 };

/* A text that grows, or no longer does, leaves pages behind on which few have stayed. */
static void text_tidy(struct guard *guard, struct user *user)
{
    uint32_t piece = slab_denser(&guard->texts, user->text);
    if (piece == 0)
        return;
    memcpy(slab_at(&guard->texts, piece), slab_at(&guard->texts, user->text),
           slab_page_of(&guard->texts, piece)->size);
    slab_give(&guard->texts, user->text);
    user->text = piece;
}

static void users_tidy(struct guard *guard)
{
    for (int i = 0; i < TIDIED_AT_ONCE; i++) {
        uint32_t number = guard->next_tidied != 0 ? guard->next_tidied : guard->newest_user;
        struct user *user = user_at(guard, number);
        if (user == NULL)
            return;
        guard->next_tidied = user->older;
        trail_tidy(guard, user);
        text_tidy(guard, user);
        struct standing *standing = standing_of(guard, user);
        if (standing != NULL && standing->question_day != guard_day(guard))
            standing->question_day = standing->n_questions = 0;
        standing_tidy(guard, user);
    }
}

void users_tidy_from(struct guard *guard, const struct user *user)
{
    guard->next_tidied = number_in_use(guard, user);
}

void users_trim(struct guard *guard)
{
    size_t share = (size_t)((double)guard->config.memory * users_share);
    users_tidy(guard);
    // those in use are looked at and kept: a bounded number each time, so that no event is slow
    int tries = 64;
    USERS_EACH(guard, user)
    {
        if (guard->bytes_users <= share || tries-- == 0)
            break;
        if (user->n_refs == 0 && restricted_until_us(guard, user) == 0 && !user->is_decoy) {
            user_free(guard, user);
        } else {
            uint32_t number = number_in_use(guard, user);
            leave_order(guard, number);
            become_newest(guard, number);
        }
    }
}

void users_free(struct guard *guard)
{
    USERS_EACH(guard, user)
    {
        struct standing *standing = standing_of(guard, user);
        if (standing != NULL)
            standing->restricted_until_us = 0;
        user_free(guard, user);
    }
    must(guard->bytes_users == 0);
    slab_done(&guard->users);
    slab_done(&guard->texts);
    free(guard->user_slots);
}

size_t users_memory(const struct guard *guard)
{
    return slab_memory(&guard->users) + slab_memory(&guard->texts) +
           heap_size(guard->n_user_slots * sizeof *guard->user_slots) +
           heap_size(guard->standings.n_slots * sizeof(struct map_node *)) +
           guard->standings.n * slab_size(&guard->pieces, sizeof(struct standing));
}

/* ---- Lessons ----------------------------------------------------------------------------------
 */

bool user_may_teach(struct guard *guard, struct user *user)
{
    uint16_t day = (uint16_t)guard_day(guard);
    if (user->lesson_day != day) {
        user->lesson_day = day;
        user->n_lessons = 0;
    }
    bool may = user->n_lessons < guard->config.lessons_per_day && !user->is_remote;
    if (user->n_lessons < UINT16_MAX)
        user->n_lessons++;
    return may;
}

bool user_teaches(const struct guard *guard, const struct user *user)
{
    return user->n_lessons <= guard->config.lessons_per_day;
}

void user_was_seen_fanning(struct user *user)
{
    if (user->n_fans < 20)
        user->n_fans++;
}

/* ---- Sights ---------------------------------------------------------------------------------- */

struct sight *sight_find(const struct guard *guard, const struct lure_key *key)
{
    uint64_t hash = guard_hash_key(guard, key);
    for (struct map_node *at = map_first(&guard->sights_map, hash); at != NULL; at = at->next) {
        struct sight *sight = CONTAINER_OF(at, struct sight, node);
        if (at->hash == hash && lure_key_eq(&sight->key, key))
            return sight;
    }
    return NULL;
}

static const size_t sight_bytes = sizeof(struct sight) + sizeof(void *);

void sight_free(struct guard *guard, struct sight *sight)
{
    map_remove(&guard->sights_map, &sight->node);
    list_leave(&sight->link);
    if (sight->is_known)
        guard->n_known--;
    else
        guard->n_young--;
    guard->bytes_sights -= sight_bytes;
    guard->n_forgotten++;
    slab_give(&guard->pieces, sight->piece);
}

struct sight *sight_make(struct guard *guard, const struct lure_key *key)
{
    uint32_t piece;
    struct sight *sight = piece_make(guard, sizeof *sight, &piece);
    sight->piece = piece;
    sight->key = *key;
    sight->first_us = sight->counted_us = guard->now_us;
    map_put(&guard->sights_map, &sight->node, guard_hash_key(guard, key));
    list_add_last(&guard->young, &sight->link);
    guard->n_young++;
    guard->bytes_sights += sight_bytes;
    return sight;
}

void sight_count(struct guard *guard, const struct lure_key *key, const struct user *by,
                 bool independent)
{
    struct sight *sight = sight_find(guard, key);
    if (sight == NULL)
        sight = sight_make(guard, key);
    sight->last_us = guard->now_us;
    sight->n_sendings++;
    if (guard->now_us - sight->counted_us > guard->config.established_us) {
        sight->settled = (uint8_t)sight_settled(guard, sight);
        sight->counted = (uint8_t)sight->introducers; // 64 at most, the sketch's bits
        sight->counted_us = guard->now_us;
    }
    uint64_t bit = UINT64_C(1) << (by->hash_low & 63);
    if (independent && (sight->who_introduced & bit) == 0) {
        sight->who_introduced |= bit;
        sight->introducers++;
    }
    list_leave(&sight->link);
    if (!sight->is_known && sight->introducers >= 2) {
        sight->is_known = true;
        guard->n_young--;
        guard->n_known++;
    }
    list_add_last(sight->is_known ? &guard->known : &guard->young, &sight->link);

    size_t share = (size_t)((double)guard->config.memory * sights_share);
    while (guard->bytes_sights > share) {
        // the young may always have a quarter, else nothing new could ever become known
        struct list *list = guard->n_young * 4 > guard->n_known ? &guard->young : &guard->known;
        struct sight *oldest = LIST_FIRST(list, struct sight, link);
        if (oldest == NULL || oldest == sight)
            break;
        sight_free(guard, oldest);
    }
}

uint32_t sight_settled(const struct guard *guard, const struct sight *sight)
{
    int64_t since_us = guard->now_us - sight->counted_us;
    return since_us > 2 * guard->config.established_us ? sight->introducers
           : since_us > guard->config.established_us   ? sight->counted
                                                       : sight->settled;
}

bool sight_is_established(const struct guard *guard, const struct sight *sight)
{
    return sight->introducers >= guard->config.established_by &&
           guard->now_us - sight->first_us >= guard->config.established_us;
}

const struct lure_key *lure_home_key(const struct lure *lure)
{
    if (lure->kind == LURE_LINK && !lure_key_is_none(&lure->keys[LURE_DOMAIN]) &&
        (lure->flags & LURE_SHORTENER) == 0)
        return &lure->keys[LURE_DOMAIN];
    return &lure->keys[LURE_EXACT];
}

bool lure_is_established(const struct guard *guard, const struct lure *lure)
{
    if (lure->kind != LURE_LINK)
        return false;
    if ((lure->flags & LURE_WELL_KNOWN) != 0)
        return true;
    const struct sight *sight = sight_find(guard, lure_home_key(lure));
    return sight != NULL && sight_is_established(guard, sight);
}

bool lure_is_scarce(const struct guard *guard, const struct lure *lure)
{
    if ((lure->flags & (LURE_WELL_KNOWN | LURE_SHORTENER)) == LURE_WELL_KNOWN)
        return false;
    const struct sight *sight = sight_find(guard, lure_home_key(lure));
    return sight != NULL && sight_settled(guard, sight) <= guard->config.scarce_by;
}
