/*
 * While a worm is about.
 *
 * A worm that begins in many clients at once, or waits for hours, stays below every bound that
 * looks at one sender or one campaign.  Two things tell the guard that one is about somewhere:
 * somebody's word that he did not send what he sent, and a surge of people who send never-seen
 * lures to several (wide ones, of which every site has a few).  For as long as a restriction lasts
 * it asks whoever is wide whether he meant it; and once several have said that they did not, his
 * next waits.
 *
 * The surge is a sequential test (CUSUM): each copy adds to a sum the likelihood ratio of what it
 * shows, a sender who has become wide or one who has not, at several times the site's own share of
 * such against that share.  Honest days take away from it.
 */
#include "guard/guard_internal.h"

/* OWN_COPIES: so many never-seen copies of its own say how common it is here to be wide. */
enum { NEVER = SPAN_BINS - 1, OWN_COPIES = PRIOR_COPIES / 2 };

// A worm makes so many times as many wide; never more than this share of the copies.
static const double worms_times = 5, worms_most = 0.5;

static bool is_about(const struct guard *guard, int64_t seen_us)
{
    return seen_us != 0 && guard->now_us - seen_us < guard->config.restriction_us;
}

void outbreak_denied(struct guard *guard, const struct user *by)
{
    struct outbreak *outbreak = &guard->outbreak;
    uint64_t hash = user_hash(guard, by);
    if (is_about(guard, outbreak->seen_us) && hash != outbreak->by)
        outbreak->sure_us = guard->now_us;
    outbreak->seen_us = guard->now_us;
    outbreak->by = hash;
}

void outbreak_convicted(struct guard *guard)
{
    guard->outbreak.seen_us = guard->outbreak.sure_us = guard->now_us;
}

const char *outbreak_level_name(enum outbreak_level level)
{
    static const char *const names[] = {"none", "suspected", "sure"};
    return names[level];
}

enum outbreak_level outbreak_level(const struct guard *guard)
{
    return is_about(guard, guard->outbreak.sure_us)   ? OUTBREAK_SURE
           : is_about(guard, guard->outbreak.seen_us) ? OUTBREAK_SUSPECTED
                                                      : OUTBREAK_NONE;
}

/* He has sent them to several within this time. */
static int64_t wide_us(const struct guard *guard)
{
    return rare_window_us(&guard->lessons, RARE_BURST, guard->config.outbreak_rare);
}

static bool is_wide(const struct guard *guard, const struct trail *trail)
{
    int64_t since_us = trail_nth_us(trail, (size_t)guard->config.fresh_spread);
    // where hardly anybody does so in any time, only what was sent of late counts
    return campaign_is_taught(guard) && is_about(guard, since_us) &&
           guard->now_us - since_us <= wide_us(guard);
}

bool trail_asks(const struct guard *guard, const struct trail *trail)
{
    return trail_is_star(guard, trail) || trail->n_copies > guard->config.day_most ||
           (outbreak_level(guard) != OUTBREAK_NONE && is_wide(guard, trail));
}

bool trail_waits(const struct guard *guard, const struct trail *trail)
{
    enum outbreak_level level = outbreak_level(guard);
    return (level != OUTBREAK_NONE &&
            (trail_is_full(guard, trail) || trail_is_star(guard, trail))) ||
           (level == OUTBREAK_SURE && is_wide(guard, trail));
}

bool outbreak_silences(struct guard *guard, const struct cluster *cluster,
                       const struct trail *trail, const struct user *user)
{
    struct outbreak *outbreak = &guard->outbreak;
    double most = guard->config.silent_most;
    if (trail->n_copies <= most / 2 || !question_is_silent(cluster, user))
        return false;
    const uint64_t hash = user_hash(guard, user);
    size_t his = 0; // his place; else that of the longest ago
    bool others = false;
    for (size_t i = 0; i < SILENT_KEPT; i++) {
        bool is_he = outbreak->silent[i] == hash;
        if (is_he ||
            (outbreak->silent[his] != hash && outbreak->silent_us[i] < outbreak->silent_us[his]))
            his = i;
        others |= !is_he && is_about(guard, outbreak->silent_us[i]);
    }
    outbreak->silent[his] = hash;
    outbreak->silent_us[his] = guard->now_us;
    return others || trail->n_copies > most;
}

void outbreak_counts(struct guard *guard, const struct trail *trail)
{
    const struct lessons *lessons = &guard->lessons;
    struct outbreak *outbreak = &guard->outbreak;
    if (guard->config.surge_nats <= 0 || !campaign_is_taught(guard) ||
        lessons->copies < PRIOR_COPIES + OWN_COPIES)
        return;
    int64_t since_us = trail_nth_us(trail, (size_t)guard->config.fresh_spread);
    size_t widest = span_bin(wide_us(guard)), fastest = trail->least[RARE_BURST];
    if (fastest != 0 && fastest - 1U <= widest)
        return; // he is wide, and was counted
    bool becomes_wide = since_us != 0 && span_bin(guard->now_us - since_us) <= widest;
    double honest = rare_share(lessons, RARE_BURST, widest);
    double worm = clamp(0, worms_times * honest, worms_most);
    if (worm <= honest)
        return; // to be wide is nothing here
    double nats = becomes_wide ? log(worm / honest) : log((1 - worm) / (1 - honest));
    outbreak->surge = clamp(0, outbreak->surge + nats, guard->config.surge_nats);
    if (outbreak->surge < guard->config.surge_nats)
        return;
    outbreak->surge = 0;
    if (!is_about(guard, outbreak->seen_us))
        outbreak->by = 0;
    outbreak->seen_us = guard->now_us;
}
