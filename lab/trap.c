#include "lab/trap.h"

#include "base/buf.h"

#include <stdio.h>

static const struct manner typing = {.composing = true, .live = -1};
static const struct manner pasting = {.composing = false, .live = -1};

/* Somebody with so many contacts, or whoever has most of a good sample. */
static uint32_t somebody(struct sim *sim, uint32_t least)
{
    uint32_t best = 0, most = 0;
    for (int tries = 0; tries < 5000; tries++) {
        uint32_t who = (uint32_t)prng_below(sim_prng(sim), sim_people(sim)), n;
        sim_contacts(sim, who, &n);
        if (n >= least)
            return who;
        if (n >= most) {
            best = who;
            most = n;
        }
    }
    return best;
}

static uint32_t person(struct sim *sim, uint32_t n)
{
    return n % sim_people(sim);
}

/* Somebody's contact, whatever the number. */
static uint32_t contact(struct sim *sim, uint32_t who, uint32_t k)
{
    uint32_t n;
    const uint32_t *contacts = sim_contacts(sim, who, &n);
    return n > 0 ? contacts[k % n] : (who + 1) % sim_people(sim);
}

static uint32_t n_contacts(struct sim *sim, uint32_t who, uint32_t most)
{
    uint32_t n;
    sim_contacts(sim, who, &n);
    return n < most ? n : most;
}

static void broadcast_desk(struct sim *sim)
{
    uint32_t n = sim_people(sim) - 1 < 500 ? sim_people(sim) - 1 : 500;
    sim_entitle(sim, 0, "desk.example");
    for (uint32_t i = 1; i <= n; i++)
        sim_say(sim, 0.02 * i, 0, i, "morning report http://desk.example/today", pasting);
    for (uint32_t i = 0; i < n / 25; i++) // some of them pass it on
        sim_say(sim, 60 + 30 * i, 1 + 20 * i, contact(sim, 1 + 20 * i, 0),
                "see http://desk.example/today", typing);
}

static void viral_link(struct sim *sim)
{
    static const char *const words[] = {"haha", "you must see this", "not again"};
    uint32_t n = sim_people(sim) / 3;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t who = somebody(sim, 3);
        char text[120];
        snprintf(text, sizeof text, "%s https://www.youtube.com/watch?v=dQw4w9WgXcQ",
                 words[i % COUNT_OF(words)]);
        for (uint32_t k = 0; k < 1 + i % 3; k++)
            sim_say(sim, 3600.0 * i / n + 7 * k, who, contact(sim, who, k), text, typing);
    }
}

static void meeting(struct sim *sim, const char *text, struct manner manner)
{
    uint32_t who = somebody(sim, 12), n = n_contacts(sim, who, 12);
    for (uint32_t k = 0; k < n; k++)
        sim_say(sim, 1.7 * k, who, contact(sim, who, k), text, manner);
}

static void meeting_link(struct sim *sim)
{
    meeting(sim, "now: https://zoom.us/j/123456789", pasting);
}

static void meeting_link_new(struct sim *sim)
{
    meeting(sim, "now: https://meet.partner-firm.example/j/12", typing);
}

static void warnings(struct sim *sim)
{
    char text[600];
    struct str link = sim_worm_link(sim);
    snprintf(text, sizeof text, "don't click %.*s it is a virus", STR_ARGS(link));
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t who = somebody(sim, 5);
        for (uint32_t k = 0; k < 4; k++)
            sim_warn(sim, 2 + 20 * i + 6 * k, who, contact(sim, who, k), text);
    }
}

static void newcomer(struct sim *sim)
{
    uint32_t who = somebody(sim, 1);
    for (uint32_t k = 0; k < 40; k++) {
        uint32_t other = person(sim, who + 1 + 7 * k);
        if (other != who)
            sim_say(sim, 25 * k, who, other,
                    "hello, i am new here, this is me: http://me.example/cv",
                    (struct manner){.composing = true, .live = 0});
    }
}

static void alert_bot(struct sim *sim)
{
    uint32_t bot = somebody(sim, 1);
    sim_entitle(sim, bot, "");
    for (uint32_t i = 0; i < 300; i++) {
        char text[120];
        uint32_t other = person(sim, bot + 1 + i % 60);
        snprintf(text, sizeof text, "disk full: http://monitor%u.example/alert/%u", i % 5, i);
        sim_say(sim, 0.01 * i, bot, other, text, pasting);
    }
}

static void new_year(struct sim *sim, struct manner manner)
{
    uint32_t n = sim_people(sim) < 2000 ? sim_people(sim) : 2000;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = n_contacts(sim, i, 100);
        double at_s = 600 * prng_unit(sim_prng(sim));
        while (k-- > 0)
            sim_say(sim, at_s + 0.3 * k, i, contact(sim, i, k), "happy new year!", manner);
    }
}

static void new_year_plain(struct sim *sim)
{
    new_year(sim, pasting);
}

static void new_year_encrypted(struct sim *sim)
{
    new_year(sim, (struct manner){.encrypted = true, .live = -1});
}

static void shared_hosts(struct sim *sim)
{
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t who = somebody(sim, 3);
        char text[120];
        snprintf(text, sizeof text, "https://%s/x%u", i % 2 ? "bit.ly" : "drive.google.com", i / 3);
        sim_say(sim, 2.0 * i, who, contact(sim, who, i), text, typing);
    }
}

/* The worm's host, without "http://www." and ".example". */
static struct str name_of_host(struct sim *sim)
{
    struct str link = sim_worm_link(sim);
    size_t at = str_find(link, STR("www.")), end = str_find(link, STR(".example"));
    if (at == link.len || end == link.len || end <= at + 4)
        return STR("nothing");
    return str_first(str_skip(link, at + 4), end - at - 4);
}

static void substrings(struct sim *sim)
{
    struct str host = name_of_host(sim);
    for (uint32_t i = 0; i < 40; i++) {
        static const char *const formats[] = {
            "http://not%.*s.example/pictures.php", "http://www.%.*s.example.com/pictures.php",
            "http://good.com/?u=%.*s.example", "http://%.*s-example.com/pictures.php"};
        char text[300];
        uint32_t who = somebody(sim, 3);
        // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of the above
        snprintf(text, sizeof text, formats[i % 4], STR_ARGS(host));
        sim_say(sim, 30 * i, who, contact(sim, who, i), text, typing);
    }
}

static void whole_roster(struct sim *sim, double pause_s, bool types_each)
{
    uint32_t who = somebody(sim, 15), n = n_contacts(sim, who, 100);
    for (uint32_t k = 0; k < n; k++)
        sim_say(sim, pause_s * k, who, contact(sim, who, k),
                "our new wiki: http://wiki.team.example/start",
                (struct manner){.composing = types_each || k == 0, .live = 1});
}

static void shared_roster(struct sim *sim)
{
    whole_roster(sim, 6, true);
}

static void shared_roster_at_once(struct sim *sim)
{
    whole_roster(sim, 0.2, false);
}

const struct trap traps[] = {
    {"B1",                                                         "a broadcast desk, entitled, writes to 500", false, broadcast_desk},
    {"B2",                                                       "a third of the people pass on a viral link within an hour", false, viral_link},
    {"B3",                                                            "a meeting link to twelve people in 20 s", false, meeting_link},
    {"B3new","the same on a host that nobody has seen", false, meeting_link_new},
    {"B4",                                                  "people warn each other and quote the worm's link", true, warnings},
    {"B5",                                                         "a newcomer greets 40 people with a link", false, newcomer},
    {"B6",                                                       "an entitled bot sends 300 alerts", false, alert_bot},
    {"B7",                                                            "everybody wishes everybody a happy new year", false, new_year_plain},
    {"B7enc",                                                                         "the same, end-to-end encrypted", false, new_year_encrypted},
    {"B8",                                            "500 links to shared hosts and shorteners", false, shared_hosts},
    {"B9",                                                         "hosts whose names contain a convicted one", true, substrings},
    {"B10",                                                        "one writes to his whole roster at a person's pace", false, shared_roster},
    {"B10fast",                                                            "the same with a client that writes to all at once", false, shared_roster_at_once},
    {NULL},
};

const struct trap *trap_find(struct str name)
{
    for (const struct trap *at = traps; at->name != NULL; at++) {
        if (str_eq_nocase(name, str_of(at->name)))
            return at;
    }
    return NULL;
}

void trap_set(const struct trap *trap, struct sim *sim)
{
    sim_trap(sim, true);
    trap->set(sim);
    sim_trap(sim, false);
}
