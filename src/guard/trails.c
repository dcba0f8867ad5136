/*
 * Trails: the never-seen lures that an account sent, and was shown, of late.
 *
 * Somebody who sends such lures to one person after the other is what a worm
 * looks like that gives nothing else away; but some honest people do so, each
 * site in its own time.  So for each thing that is rare (enum rarity) it is
 * counted how fast the fastest do it, each account once in a while, so that
 * nobody teaches the guard his own pace; what is faster than almost all of
 * these says something, by how rare it is.
 */
#include "guard/guard_internal.h"

/* ROOM_COUNTS: a room counts for its people, but for no more than these.  BURST_COPIES: fewer may
 * be a meeting's people. */
enum { NEVER = SPAN_BINS - 1, ROOM_COUNTS = 4, TAUGHT_MOST = 7, BURST_COPIES = 12 };

/* How likely of somebody whose client a worm owns, if any. */
static const double worms_spread = 0.1, worms_burst = 0.5, rare_most = 4.6;

/* So much faster than what a few honest people do; and so much that nobody's answer comes in time.
 */
static const int64_t margin = 4, burst_margin = 1024;

double trail_level(const struct guard *guard, const struct trail *trail)
{
    double windows = (double)(guard->now_us - trail->sent_us) / (double)fresh_window_us(guard);
    return trail->level * exp(-windows);
}

bool trail_adds(struct guard *guard, struct trail *trail, uint32_t receiver, uint32_t audience)
{
    uint16_t hash = (uint16_t)receiver;
    for (size_t i = 0; i < trail->n_to; i++)
        if (trail->to[i] == hash)
            return false;
    for (uint32_t i = 0; i < (audience < 1 ? 1 : audience) && i < ROOM_COUNTS; i++) {
        memmove(trail->to + 1, trail->to, sizeof trail->to - sizeof *trail->to);
        memmove(trail->to_s + 1, trail->to_s, sizeof trail->to_s - sizeof *trail->to_s);
        trail->to[0] = hash;
        trail->to_s[0] = (uint32_t)(guard->now_us / 1000000);
        if (trail->n_to < TRAIL_KEPT)
            trail->n_to++;
    }
    return true;
}

void note_recent(struct guard *guard, struct user *sender, const struct cluster *cluster)
{
    if (trail_adds_recent(guard, sender, cluster->id))
        return;
    struct trail trail = trail_of(guard, sender);
    if (trail.recent[0] == cluster->id)
        return;
    memmove(trail.recent + 1, trail.recent, sizeof trail.recent - sizeof *trail.recent);
    trail.recent[0] = cluster->id;
    trail_put(guard, sender, &trail);
}

void trail_clear(struct guard *guard, struct user *user)
{
    struct trail trail = trail_of(guard, user);
    trail.n_to = 0;
    trail.full_us = 0;
    trail_put(guard, user, &trail);
}

int64_t trail_nth_us(const struct trail *trail, size_t n)
{
    return n > 0 && n <= trail->n_to ? (int64_t)trail->to_s[n - 1] * 1000000 : 0;
}

/* ---- What is rare ---------------------------------------------------------------------------- */

/* No share has become more than so many times what it was; but what nobody did may be done. */
static void believe(struct lessons *lessons, double growth)
{
    double least = 0.5 / lessons->copies;
    for (size_t rarity = 0; rarity < RARITIES; rarity++) {
        double taught = 0;
        for (size_t bin = 0; bin < SPAN_BINS; bin++) {
            double *believed = &lessons->believed[rarity][bin];
            taught += lessons->rare[rarity][bin];
            double most = (*believed > least ? *believed : least) * growth;
            double share = taught / lessons->copies;
            *believed = share < most ? share : most;
        }
    }
}

void rare_believe_all(struct lessons *lessons)
{
    believe(lessons, INFINITY);
}

void rare_believe(struct lessons *lessons, int64_t now_us, int64_t doubling_us)
{
    double now_s = (double)now_us / 1e6, doubling_s = (double)doubling_us / 1e6;
    if (lessons->since_s == 0)
        lessons->since_s = now_s;
    if (now_s - lessons->since_s < doubling_s)
        rare_believe_all(lessons);
    else
        believe(lessons, exp2((now_s - lessons->believed_s) / doubling_s));
    lessons->believed_s = now_s;
}

int64_t rare_window_us(const struct lessons *lessons, enum rarity rarity, double share)
{
    double below = 0, window = 1e6;
    for (size_t bin = 0; bin < NEVER; bin++, window *= 2) {
        double upto = lessons->believed[rarity][bin];
        if (upto > share) {
            double part = (share - below) / (upto - below);
            return (int64_t)(window * (bin == 0 ? part : exp2(part - 1)));
        }
        below = upto;
    }
    return (int64_t)(window / 2);
}

double rare_share(const struct lessons *lessons, enum rarity rarity, size_t bin)
{
    return 0.5 / lessons->copies + lessons->believed[rarity][bin < NEVER ? bin : NEVER - 1];
}

double rare_nats(const struct guard *guard, enum rarity rarity, size_t bin)
{
    const struct lessons *lessons = &guard->lessons;
    double honest = rare_share(lessons, rarity, bin);
    if (bin >= NEVER || honest > guard->config.spread_rare * (rarity == RARE_BURST ? 4 : 1))
        return 0;
    double worm = rarity == RARE_BURST ? worms_burst : worms_spread;
    return clamp(0, log(worm / honest), rare_most);
}

static void settle(struct guard *guard, struct user *user, struct trail *trail)
{
    struct lessons *lessons = &guard->lessons;
    uint32_t now_s = (uint32_t)(guard->now_us / 1000000);
    if (trail->least_s != 0 && now_s - trail->least_s <= guard->config.settle_us / 1000000)
        return;
    if (trail->least_s != 0 && restricted_until_us(guard, user) == 0 && !user->is_remote) {
        lessons->copies += trail->n_copies < guard->config.lessons_per_day
                               ? trail->n_copies
                               : guard->config.lessons_per_day;
        // A day of his says less than the one before, and all together not two: a few accounts
        // could make any pace ordinary, for themselves and for whoever is slower.
        double weight = 1.0 / ((1 + user->n_taught) * (1 + user->n_taught));
        bool taught = false;
        for (size_t i = 0; i < RARITIES; i++)
            if (trail->least[i] != 0 && trail->least[i] <= NEVER) {
                lessons->rare[i][trail->least[i] - 1] += weight;
                taught = true;
            }
        if (taught && user->n_taught < TAUGHT_MOST)
            user->n_taught++;
        rare_believe(lessons, guard->now_us, guard->config.rare_doubling_us);
    }
    trail->least_s = now_s;
    trail->n_copies = 0;
    memset(trail->least, 0, sizeof trail->least);
}

void trail_notes(struct trail *trail, enum rarity rarity, int64_t took_us)
{
    size_t bin = span_bin(took_us) + 1;
    if (trail->least[rarity] == 0 || bin < trail->least[rarity])
        trail->least[rarity] = (uint8_t)bin;
}

/* Much faster than in this share of the copies. */
static bool is_rare(const struct guard *guard, enum rarity rarity, int64_t since_us)
{
    return since_us != 0 && campaign_is_taught(guard) &&
           guard->now_us - since_us <=
               rare_window_us(&guard->lessons, rarity, guard->config.fresh_rare) / margin;
}

void trail_counts(struct guard *guard, struct user *user, struct trail *trail)
{
    settle(guard, user, trail);
    if (trail->n_copies < UINT8_MAX)
        trail->n_copies++;
    int64_t full_us = trail_nth_us(trail, (size_t)guard->config.fresh_most + 1);
    int64_t burst_us = trail_nth_us(trail, (size_t)guard->config.fresh_spread);
    outbreak_counts(guard, trail);
    if (full_us != 0)
        trail_notes(trail, RARE_STAR, guard->now_us - full_us);
    if (burst_us != 0)
        trail_notes(trail, RARE_BURST, guard->now_us - burst_us);
}

bool trail_is_star(const struct guard *guard, const struct trail *trail)
{
    size_t n = (size_t)guard->config.fresh_most + 1;
    return is_rare(guard, RARE_STAR, trail_nth_us(trail, n));
}

bool trail_is_burst(const struct guard *guard, const struct trail *trail)
{
    if (trail->n_copies <= BURST_COPIES || trail->n_to < TRAIL_KEPT || !campaign_is_taught(guard))
        return false;
    // a trail knows whole seconds: up to one less than it seems
    int64_t took_us = guard->now_us - trail_nth_us(trail, TRAIL_KEPT) + 1000000;
    return took_us <=
           rare_window_us(&guard->lessons, RARE_STAR, guard->config.fresh_rare) / burst_margin;
}

bool trail_is_full(const struct guard *guard, const struct trail *trail)
{
    return is_rare(guard, RARE_FULL, trail->full_us);
}
