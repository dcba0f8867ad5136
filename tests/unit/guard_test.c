#include "test.h"

#include "guard_sim.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Worms --------------------------------------------------------------------------------------
 */

static struct sim_result outbreak(enum sim_worm worm, double open, bool guard, uint64_t seed)
{
    struct sim_config config;
    sim_config_default(&config);
    config.open = open;
    config.guard = guard;
    config.seed = seed;
    struct sim *sim = sim_new(&config);
    sim_history(sim);
    struct sim_result before = *sim_result(sim);
    if (getenv("FIREDOOR_SHOW") != NULL)
        sim_show(sim);
    check(before.rejected == 0 && before.restricted_wrongly == 0 && before.lost == 0);
    sim_infect(sim, worm);
    sim_run(sim, 6 * 3600);
    struct sim_result result = *sim_result(sim);
    sim_free(&sim);
    return result;
}

TEST(a_worm_stays_with_patient_zero)
{
    enum { SEEDS = 6 };
    static const double opens[] = {0.2, 0.7};
    printf("worm open | off: infected | on: infected max exposed copies seconds right wrong\n");
    for (int worm = WORM_P1; worm <= WORM_P6; worm++)
        for (size_t o = 0; o < COUNT_OF(opens); o++) {
            double off = 0, on = 0, exposed = 0, copies = 0, seconds = 0, right = 0;
            uint32_t most = 0, wrong = 0;
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                if (seed <= 2)
                    off += outbreak((enum sim_worm)worm, opens[o], false, seed).infected / 2.0;
                struct sim_result r = outbreak((enum sim_worm)worm, opens[o], true, seed);
                on += r.infected;
                most = r.infected > most ? r.infected : most;
                exposed += r.exposed;
                copies += r.copies_until_conviction;
                seconds += r.conviction_s;
                right += r.restricted_rightly;
                wrong += r.restricted_wrongly;
            }
            printf("%s   %.1f  | %6.1f        | %5.2f %3u %6.1f %6.1f %8.1f %5.1f %u\n",
                   sim_worm_name((enum sim_worm)worm), opens[o], off, on / SEEDS, most,
                   exposed / SEEDS, copies / SEEDS, seconds / SEEDS, right / SEEDS, wrong);
            check(wrong == 0);
            if (worm != WORM_P4 && worm != WORM_P5)
                check(on / SEEDS <= 2);
            else
                check(on / SEEDS <= 10);
        }
}

/* ---- Honest traps
 * ---------------------------------------------------------------------------------- */

static const struct sim_manner typing = {.composing = true, .live = -1};
static const struct sim_manner pasting = {.composing = false, .live = -1};

static struct sim *town(uint64_t seed, uint32_t history)
{
    struct sim_config config;
    sim_config_default(&config);
    config.seed = seed;
    config.people = 600;
    config.history = history;
    struct sim *sim = sim_new(&config);
    sim_history(sim);
    return sim;
}

static void entitle(struct sim *sim, uint32_t who, const char *domain)
{
    struct arena arena;
    arena_init(&arena, GUARD_WORD_MOST);
    struct guard_word word;
    guard_word_init(&word, &arena);
    struct entitlement entitlement = {.account = sim_jid(sim, who),
                                      .domain = str_of(domain),
                                      .receivers = 10000,
                                      .expires_us = sim_now_us(sim) + INT64_C(86400000000),
                                      .actor = STR("admin"),
                                      .reason = STR("research desk")};
    guard_entitle(sim_guard(sim), &entitlement, sim_now_us(sim), &word);
    arena_done(&arena);
}

static uint32_t somebody(struct sim *sim, uint32_t least)
{
    for (;;) {
        uint32_t who = (uint32_t)prng_below(sim_prng(sim), sim_people(sim)), n;
        sim_contacts(sim, who, &n);
        if (n >= least)
            return who;
    }
}

static void trap_b1(struct sim *sim) // a broadcast desk
{
    entitle(sim, 0, "desk.example");
    for (uint32_t i = 1; i <= 500; i++)
        sim_say(sim, 0.02 * i, 0, i, "morning report http://desk.example/today", pasting);
    for (uint32_t i = 0; i < 20; i++) // some of them pass it on
        sim_say(sim, 60 + 30 * i, 1 + 20 * i, 2 + 20 * i, "see http://desk.example/today", typing);
}

static void trap_b2(struct sim *sim) // a viral link
{
    for (uint32_t i = 0; i < sim_people(sim) / 3; i++) {
        uint32_t who = somebody(sim, 3), n;
        const uint32_t *contacts = sim_contacts(sim, who, &n);
        char text[120];
        snprintf(text, sizeof text, "%s https://www.youtube.com/watch?v=dQw4w9WgXcQ",
                 i % 3 == 0   ? "haha"
                 : i % 3 == 1 ? "you must see this"
                              : "not again");
        for (uint32_t k = 0; k < 1 + i % 3; k++)
            sim_say(sim, 18.0 * i + 7 * k, who, contacts[k], text, typing);
    }
}

static void trap_b3(struct sim *sim) // a meeting link to 12 people in 20 seconds
{
    uint32_t who = somebody(sim, 12), n;
    const uint32_t *contacts = sim_contacts(sim, who, &n);
    for (uint32_t k = 0; k < 12; k++)
        sim_say(sim, 1.7 * k, who, contacts[k], "now: https://zoom.us/j/123456789", pasting);
}

static void trap_b3_new(struct sim *sim) // the same on a host that nobody has seen
{
    uint32_t who = somebody(sim, 12), n;
    const uint32_t *contacts = sim_contacts(sim, who, &n);
    for (uint32_t k = 0; k < 12; k++)
        sim_say(sim, 1.7 * k, who, contacts[k], "now: https://meet.partner.example/j/12", typing);
}

static void trap_b4(struct sim *sim) // warnings that quote the lure of a worm
{
    sim_infect(sim, WORM_P1);
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t who = somebody(sim, 5), n;
        const uint32_t *contacts = sim_contacts(sim, who, &n);
        for (uint32_t k = 0; k < 4; k++)
            sim_say(sim, 2 + 20 * i + 6 * k, who, contacts[k],
                    "don't click http://kelvir.example/pictures.php it is a virus", typing);
    }
}

static void trap_b5(struct sim *sim) // a newcomer greets 40 people
{
    uint32_t who = 7;
    for (uint32_t k = 0; k < 40; k++)
        sim_say(sim, 25 * k, who, 100 + k, "hello, i am new here, this is me: http://me.example/cv",
                (struct sim_manner){.composing = true, .live = 0});
}

static void trap_b6(struct sim *sim) // alert bots
{
    entitle(sim, 3, "");
    for (uint32_t i = 0; i < 300; i++) {
        char text[120];
        snprintf(text, sizeof text, "disk full: http://monitor%u.example/alert/%u", i % 5, i);
        sim_say(sim, 0.01 * i, 3, 10 + i % 60, text, pasting);
    }
}

static void trap_b7(struct sim *sim) // a happy new year, no link
{
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t who = somebody(sim, 3), n;
        const uint32_t *contacts = sim_contacts(sim, who, &n);
        for (uint32_t k = 0; k < n; k++)
            sim_say(sim, 0.5 * i + 0.3 * k, who, contacts[k], "happy new year!", pasting);
    }
}

static void trap_b8(struct sim *sim) // many links to shared hosts and shorteners
{
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t who = somebody(sim, 3), n;
        const uint32_t *contacts = sim_contacts(sim, who, &n);
        char text[120];
        snprintf(text, sizeof text, "https://%s/x%u", i % 2 ? "bit.ly" : "drive.google.com", i / 3);
        sim_say(sim, 2.0 * i, who, contacts[i % n], text, typing);
    }
}

static void trap_b9(struct sim *sim) // hosts whose names contain a convicted one
{
    sim_infect(sim, WORM_P1);
    sim_run(sim, 600);
    static const char *const texts[] = {
        "http://notkelvir.example/pictures.php",
        "http://kelvir.example.com/pictures.php",
        "http://good.com/?u=kelvir.example",
        "http://kelvir-example.com/pictures.php",
    };
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t who = somebody(sim, 3), n;
        const uint32_t *contacts = sim_contacts(sim, who, &n);
        sim_say(sim, 30 * i, who, contacts[i % n], texts[i % 4], typing);
    }
}

static void trap_b10(struct sim *sim) // one writes to all of a shared roster, at a person's pace
{
    uint32_t who = somebody(sim, 15), n;
    const uint32_t *contacts = sim_contacts(sim, who, &n);
    for (uint32_t k = 0; k < n; k++)
        sim_say(sim, 6 * k, who, contacts[k], "our new wiki: http://wiki.team.example/start",
                (struct sim_manner){.composing = true, .live = 1});
}

static void trap_b10_fast(struct sim *sim) // …by a client that writes to all at once
{
    uint32_t who = somebody(sim, 15), n;
    const uint32_t *contacts = sim_contacts(sim, who, &n);
    for (uint32_t k = 0; k < n; k++)
        sim_say(sim, 0.2 * k, who, contacts[k], "our new wiki: http://wiki.team.example/start",
                (struct sim_manner){.composing = k == 0, .live = 1});
}

TEST(honest_people_are_left_alone)
{
    static const struct {
        const char *name;
        void (*set)(struct sim *sim);
        bool may_hold;
    } traps[] = {
        {"B1 broadcast desk",     trap_b1,       false},
        {"B2 viral link",         trap_b2,       false},
        {"B3 meeting link",       trap_b3,       false},
        {"B3 …never-seen host", trap_b3_new,   false},
        {"B4 warnings",           trap_b4,       false},
        {"B5 newcomer",           trap_b5,       false},
        {"B6 alert bot",          trap_b6,       false},
        {"B7 new year",           trap_b7,       false},
        {"B8 shared hosts",       trap_b8,       false},
        {"B9 substrings",         trap_b9,       false},
        {"B10 shared roster",     trap_b10,      false},
        {"B10 …all at once",    trap_b10_fast, true },
    };
    printf("trap                   history honest rejected held longest restricted dead links\n");
    for (size_t i = 0; i < COUNT_OF(traps); i++)
        for (uint32_t history = 0; history <= 6000; history += 3000) // an empty store too
            for (uint64_t seed = 1; seed <= (history == 3000 ? 2 : 1); seed++) {
                struct sim *sim = town(seed, history);
                struct sim_result a = *sim_result(sim);
                traps[i].set(sim);
                sim_run(sim, 4 * 3600);
                struct sim_result b = *sim_result(sim);
                if (seed == 1)
                    printf("%-22s %7u %6u %8u %4u %6.1fs %10u %u\n", traps[i].name, history,
                           b.honest - a.honest, b.rejected - a.rejected, b.held - a.held,
                           b.longest_hold_s, b.restricted_wrongly, b.made_dead);
                if (getenv("FIREDOOR_SHOW") != NULL)
                    sim_show(sim);
                check(b.rejected - a.rejected == 0);
                check(b.restricted_wrongly == 0);
                check(b.lost == 0);
                check(b.longest_hold_s <= 15.01);
                check(traps[i].may_hold || b.held - a.held == 0);
                sim_free(&sim);
            }
}
