/*
 * The worm: who is tempted, who opens, what an infected client does.
 */
#include "lab/sim_internal.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

// for so long its accounts behave before it begins
static const double poison_s = 86400;
// what one does is a lesson a day later: so it takes a little more than that from round to round
static const double ring_s = 1.02 * 86400;
enum { RING_DAYS = 2, LULL_RECEIVERS = 3 };

static uint32_t ring_days(const struct worm_habits *habits)
{
    return habits->ring_days > 0 ? habits->ring_days : RING_DAYS;
}

void sim_tempt(struct sim *sim, uint32_t who, uint32_t copy, uint64_t identity)
{
    struct person *person = &sim->people[who];
    struct openness openness = {.chance = sim->config.open, .delay = people_opening};
    bool first = !person->exposed;
    int64_t delay_us;
    if (first && sim_is_ours(sim, who))
        sim->outcome.exposed++;
    person->exposed = true;
    if (mind_is_tempted(&person->mind, &openness, &delay_us)) {
        queue_plan(&sim->queue, (struct happening){.at_us = sim->now_us + delay_us,
                                                   .what = OPEN,
                                                   .to = who,
                                                   .copy = copy,
                                                   .identity = identity});
        return;
    }
    struct prng prng = sim_dice(sim, identity, who, PURPOSE_REPORT);
    const struct habits *habits = &sim->config.habits;
    bool reports = prng_unit(&prng) < habits->report, warns = prng_unit(&prng) < habits->warn;
    int64_t later_us = delay_draw_us(&habits_reporting, &prng);
    if (first && reports)
        queue_plan(&sim->queue,
                   (struct happening){
                       .at_us = sim->now_us + later_us, .what = REPORT, .from = who, .copy = copy});
    uint32_t n = sim_is_ours(sim, who) ? graph_degree(sim->config.graph, who) : 0;
    for (uint32_t i = 0; first && warns && i < n && i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text, "don't click %s it is a virus", sim->worm_link);
        sim_warn(sim, (double)later_us / 1e6 + 5 * i, who,
                 graph_contacts(sim->config.graph, who)[prng_below(&prng, n)], text);
    }
}

/* ---- The worm ---- */

/* A day after they were seen first they are no longer anybody's news. */
static double lead_s(const struct worm_habits *habits)
{
    return habits->lead_s > 0 ? habits->lead_s : 1.25 * poison_s;
}

/* So long before its first infected people begin. */
static double prepares_s(const struct worm_habits *habits)
{
    double seconds = habits->poisoners > 0 ? poison_s : 0;
    if (habits->aged + habits->abroad > 0)
        seconds += lead_s(habits);
    if (habits->ring > 0)
        seconds += ring_days(habits) * ring_s;
    return seconds;
}

/* It says something else than its lure. */
static void say_chaff(struct sim *sim, double in_seconds, uint32_t from, uint32_t to,
                      struct str text)
{
    struct manner manner = {.composing = sim->config.worm->profile->habits.composes, .live = -1};
    char *own = sim_own_text(text);
    sim_say_later(sim, in_seconds, from, to, own, manner, SAID_CHAFF);
    free(own);
}

/* A new link that means nothing. */
static void say_new_link(struct sim *sim, double in_seconds, uint32_t from, uint32_t to,
                         struct prng *prng)
{
    struct arena arena;
    arena_init(&arena, 65536);
    say_chaff(sim, in_seconds, from, to, worm_harmless_link(prng, &arena));
    arena_done(&arena);
}

/* New links to whom he has sent his copy: they push it out of memory. */
static void follow(struct sim *sim, uint32_t from, uint32_t to)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    struct prng prng = sim_dice(sim, (uint64_t)to << 32 | from, from, PURPOSE_CHAFF);
    for (uint32_t i = 0; i < habits->follows; i++)
        say_new_link(sim, habits->pause_s * (i + 1), from, to, &prng);
}

void sim_send_copy(struct sim *sim, uint32_t from, uint32_t to)
{
    const struct worm *worm = sim->config.worm;
    struct person *person = &sim->people[from];
    struct letter letter;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str victim = sim_jid_of(sim, to);
    victim = str_first(victim, str_find_char(victim, '@'));
    infection_write(&person->infection, worm, &arena, victim, &letter);
    if (sim->worm_link == NULL)
        sim->worm_link = sim_own_text(letter.link.len > 0 ? letter.link : letter.text);
    struct outgoing out = {
        .message = {.from = from,
                    .to = to,
                    .text = letter.text,
                    .manner = {.composing = worm->profile->habits.composes, .live = -1},
                    .said = SAID_LURE,
                    .identity = (uint64_t)from << 32 | to},
        .letter = &letter,
    };
    sim_send_out(sim, &out);
    arena_done(&arena);
    follow(sim, from, to);
}

/* Says something harmless first, and sends the copy when he would have read it. */
static void chat(struct sim *sim, uint32_t from, uint32_t to)
{
    static const struct delay_model reading = {.median_s = 6, .sigma = 0.5};
    uint64_t identity = (uint64_t)from << 32 | to;
    struct prng prng = sim_dice(sim, identity, from, PURPOSE_CHAFF);
    sim_send(sim,
             &(struct message){
                 .from = from,
                 .to = to,
                 .text = worm_chat(&prng),
                 .manner = {.composing = sim->config.worm->profile->habits.composes, .live = -1},
                 .said = SAID_CHAFF,
                 .identity = ~identity
    });
    queue_plan(&sim->queue,
               (struct happening){.at_us = sim->now_us + delay_draw_us(&reading, &prng),
                                  .what = WORM_ANSWER,
                                  .from = from,
                                  .to = to});
}

void sim_worm_step(struct sim *sim, uint32_t from)
{
    struct person *person = &sim->people[from];
    uint32_t to;
    if (!infection_next(&person->infection, sim->config.worm, &to))
        return;
    int64_t pause_us = infection_pause_us(&person->infection, sim->config.worm);
    if (sim->config.worm->profile->habits.chats)
        chat(sim, from, to);
    else
        sim_send_copy(sim, from, to);
    if (person->infection.n_sent < person->infection.n_contacts)
        queue_plan(
            &sim->queue,
            (struct happening){.at_us = sim->now_us + pause_us, .what = WORM_STEP, .from = from});
}

void sim_infect_one(struct sim *sim, uint32_t who, uint32_t generation)
{
    struct person *person = &sim->people[who];
    if (person->infected)
        return;
    person->infected = true;
    person->generation = generation;
    sim->outcome.infectors += generation < GENERATIONS;
    sim->outcome.offspring += generation > 0 && generation <= GENERATIONS;
    sim->outcome.infected += sim_is_ours(sim, who) && person->own == 0;
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    uint32_t *victims = NULL, n = sim_list_victims(sim, who, &victims);
    infection_init(&person->infection, sim->config.worm, who, victims, n);
    if (person->own > 0 && habits->own_most > 0 && habits->own_most < n)
        person->infection.n_contacts = habits->own_most;
    free(victims);
    if (habits->aim == AIM_REPLIES)
        return;
    int64_t waits_us = infection_wait_us(sim->config.worm);
    if (generation == 0)
        waits_us += (int64_t)(prepares_s(habits) * 1e6);
    queue_plan(&sim->queue,
               (struct happening){.at_us = sim->now_us + waits_us, .what = WORM_STEP, .from = who});
}

bool sim_worm_owns_another(const struct sim *sim, uint32_t who)
{
    struct prng prng = prng_of(sim->config.seed, who, PURPOSE_SECOND);
    return sim->people[who].infected &&
           (sim->people[who].own > 0 ||
            prng_below(&prng, 100) < sim->config.worm->profile->habits.seconds_of_100);
}

int64_t sim_lies_after_us(const struct sim *sim, uint32_t who)
{
    double wait_s = sim->people[who].own * sim->config.worm->profile->habits.own_wait_s;
    return (int64_t)((wait_s > 0 ? wait_s : 1) * 1e6);
}

/* Whoever was shown its copies and sends his own is a relay, and his yes one of their tree's. */
static void meet(struct sim *sim, const uint32_t *zeros, uint32_t n)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    for (uint32_t i = 1; habits->meets && i < n && sim->people[zeros[i]].own > 0; i++)
        queue_plan(
            &sim->queue,
            (struct happening){.at_us = sim->now_us + (int64_t)((prepares_s(habits) + 5 * i) * 1e6),
                               .what = WORM_ANSWER,
                               .from = zeros[0],
                               .to = zeros[i]});
}

static uint32_t count_victims(void *of, uint32_t who)
{
    struct sim *sim = of;
    if (sim->config.worm->profile->habits.aim == AIM_STATUS)
        return graph_degree(sim->config.graph, who);
    uint32_t *victims = NULL, n = sim_list_victims(of, who, &victims);
    free(victims);
    return n;
}

/* Accounts of its own, as many as wanted where there are so many; the caller frees them. */
static uint32_t own_accounts(struct sim *sim, uint32_t wanted, uint32_t **out)
{
    *out = calloc(wanted + 1, sizeof **out);
    must(*out != NULL);
    return graph_patients_zero(sim->config.graph, ~sim->config.seed, wanted, count_victims, sim,
                               *out);
}

/* Accounts of the worm's own teach the guard its pace: harmless new links, for a day before. */
static void poison(struct sim *sim)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    uint32_t *who, n = own_accounts(sim, habits->poisoners, &who);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t *victims = NULL, n_victims = sim_list_victims(sim, who[i], &victims);
        struct prng prng = sim_dice(sim, i, who[i], PURPOSE_CHAFF);
        double at_s = 1;
        for (uint32_t k = 0; k < n_victims && at_s < poison_s; k++, at_s += habits->pause_s)
            say_new_link(sim, at_s, who[i], victims[k], &prng);
        free(victims);
    }
    free(who);
}

/* Accounts of the worm's own show the guard its hosts, each in a link to the last of them, in the
 * first part of that time. */
static void age_hosts(struct sim *sim)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    uint32_t *who, n_hosts = worm_n_hosts(sim->config.worm, sim->n_ours + sim->n_remote);
    uint32_t n = own_accounts(sim, habits->aged + 1, &who), n_abroad = habits->abroad;
    double pause_s = lead_s(habits) / 5 / ((double)n_hosts * (n + n_abroad) + 1), at_s = 0;
    for (uint32_t host = 0; n > 0 && habits->aged + n_abroad > 0 && host < n_hosts; host++) {
        struct arena arena;
        arena_init(&arena, 65536);
        struct str text = worm_first_sight(sim->config.worm, host, &arena);
        for (uint32_t i = 0; i + 1 < n; i++) // nobody who has been shown it brings it himself
            say_chaff(sim, at_s += pause_s, who[i], who[n - 1], text);
        for (uint32_t i = 0; i < n_abroad; i++)
            say_chaff(sim, at_s += pause_s, sim->n_ours + habits->remote_zeros + i, who[n - 1],
                      text);
        arena_done(&arena);
    }
    free(who);
}

/* Those with most contacts. */
static uint32_t find_hubs(const struct sim *sim, uint32_t wanted, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; wanted > 0 && i < sim->n_ours; i++) {
        uint32_t at = n, degree = graph_degree(sim->config.graph, i);
        while (at > 0 && graph_degree(sim->config.graph, out[at - 1]) < degree)
            at--;
        if (at == wanted)
            continue;
        n += n < wanted;
        memmove(out + at + 1, out + at, (n - at - 1) * sizeof *out);
        out[at] = i;
    }
    return n;
}

/* Accounts of the worm's own write to each other as it will, so that it is ordinary; or each is
 * shown one by the next and writes to people, who are no accounts of a worm's. */
static void ring(struct sim *sim)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    uint32_t *who, n = own_accounts(sim, habits->ring, &who);
    double pause_s = habits->ring_pause_s > 0 ? habits->ring_pause_s : habits->pause_s;
    uint32_t days = ring_days(habits), some = habits->ring_some > 0 ? habits->ring_some : n;
    for (uint32_t i = 0; i < n; i++) {
        struct prng prng = sim_dice(sim, i, who[i], PURPOSE_CHAFF);
        uint32_t *people = NULL, n_people = 0;
        if (habits->ring_out)
            n_people = sim_list_victims(sim, who[i], &people);
        for (uint32_t day = 0; day <= days; day++) {
            // one link of each on the last day, so that what the days before taught is settled
            bool is_his_turn = (i + n - day * some % n) % n < some && (day < days || some == n);
            uint32_t last = is_his_turn ? n : day == days && n > 1 ? 2 : 0;
            if (habits->ring_out && n > 1)
                say_new_link(sim, 0.5 + day * ring_s, who[(i + 1) % n], who[i], &prng);
            for (uint32_t k = 1; k < last && (!habits->ring_out || k <= n_people); k++)
                say_new_link(sim, 1 + day * ring_s + k * pause_s, who[i],
                             habits->ring_out ? people[k - 1] : who[(i + k) % n], &prng);
        }
        free(people);
    }
    free(who);
}

/* While it is about, accounts of another server send a new link to three people each: so many who
 * are not wide hide those who are. */
static void lull(struct sim *sim)
{
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    uint32_t *who, n = own_accounts(sim, LULL_RECEIVERS, &who);
    for (uint32_t i = 0; i < habits->lull; i++) {
        struct prng prng = sim_dice(sim, i, ~0U, PURPOSE_CHAFF);
        double at_s = prepares_s(habits) + habits->wait_s + i * poison_s / habits->lull;
        for (uint32_t k = 0; k < n; k++)
            say_new_link(sim, at_s + 60 * k,
                         sim->n_ours + habits->remote_zeros + habits->abroad + i, who[k], &prng);
    }
    free(who);
}

void sim_infect(struct sim *sim)
{
    must(sim->config.worm != NULL);
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    poison(sim);
    age_hosts(sim);
    ring(sim);
    lull(sim);
    for (uint32_t i = 0; i < habits->remote_zeros; i++)
        sim_infect_one(sim, sim->n_ours + i, 0);
    uint32_t *zeros = calloc(habits->zeros + 1, sizeof *zeros);
    must(zeros != NULL);
    uint32_t n = habits->hubs ? find_hubs(sim, habits->zeros, zeros)
                              : graph_patients_zero(sim->config.graph, sim->config.seed,
                                                    habits->zeros, count_victims, sim, zeros);
    for (uint32_t i = 0; i < n; i++) {
        sim->people[zeros[i]].mind.has_decided = true;
        sim->people[zeros[i]].exposed = true;
        if (habits->entitled)
            sim_entitle(sim, zeros[i], "");
        sim->people[zeros[i]].own = i < habits->own ? i + 1 : 0;
        sim_infect_one(sim, zeros[i], 0);
    }
    meet(sim, zeros, n);
    free(zeros);
}

static bool is_protected(const struct sim *sim)
{
    enum worm_bait bait = sim->config.worm->profile->habits.bait;
    return sim->config.protect_nats > 0 && sim->guard != NULL &&
           (bait == BAIT_LINK || bait == BAIT_SHORTENER || bait == BAIT_ESTABLISHED);
}

/* Where links are protected, the page behind them asks the guard once more. */
static bool page_turns_back(struct sim *sim, const struct copy *copy, const struct happening *now)
{
    if (!is_protected(sim))
        return false;
    uint64_t incident;
    struct prng prng = sim_dice(sim, now->identity, now->to, PURPOSE_HEED);
    switch (guard_opening(sim->guard, copy_keys(&sim->copies, copy), copy->n_keys,
                          sim->config.protect_nats, sim->now_us, &incident)) {
    case OPENING_BLOCK:
        return true;
    case OPENING_WARN:
        return prng_unit(&prng) < sim->config.habits.heed;
    case OPENING_GO:
        break;
    }
    return false;
}

void sim_open_lure(struct sim *sim, const struct happening *now)
{
    const struct copy *copy = &sim->copies.at[now->copy];
    if ((copy->gone && sim->people[now->to].ways.obeys) || page_turns_back(sim, copy, now))
        return;
    if (is_protected(sim))
        sim_tell_opening(sim, copy, now->to);
    copy = &sim->copies.at[now->copy]; // the table may have grown
    sim_infect_one(sim, now->to, sim->people[copy->from].generation + 1);
}
