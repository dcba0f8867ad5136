#include "town/trap.h"

#include "base/buf.h"
#include "town/people.h"

#include <stdio.h>

static const struct manner typing = {.composing = true, .live = -1};
static const struct manner pasting = {.composing = false, .live = -1};

static void say(const struct trap_stage *stage, double in_seconds, uint32_t from, uint32_t to,
                const char *text, struct manner manner)
{
    stage->say(
        stage->of,
        &(struct trap_line){
            .in_seconds = in_seconds, .from = from, .to = to, .text = text, .manner = manner});
}

static void warn(const struct trap_stage *stage, double in_seconds, uint32_t from, uint32_t to,
                 const char *text)
{
    stage->say(stage->of, &(struct trap_line){.in_seconds = in_seconds,
                                              .from = from,
                                              .to = to,
                                              .text = text,
                                              .manner = typing,
                                              .warns = true});
}

/* Somebody with so many contacts, or whoever has most of a good sample. */
static uint32_t somebody(const struct trap_stage *stage, uint32_t least)
{
    uint32_t best = 0, most = 0;
    for (int tries = 0; tries < 5000; tries++) {
        uint32_t who = (uint32_t)prng_below(stage->prng, stage->graph->n_people);
        uint32_t n = graph_degree(stage->graph, who);
        if (n >= least)
            return who;
        if (n >= most) {
            best = who;
            most = n;
        }
    }
    return best;
}

static uint32_t person(const struct trap_stage *stage, uint32_t n)
{
    return n % stage->graph->n_people;
}

/* Somebody's contact, whatever the number. */
static uint32_t contact(const struct trap_stage *stage, uint32_t who, uint32_t k)
{
    uint32_t n = graph_degree(stage->graph, who);
    return n > 0 ? graph_contacts(stage->graph, who)[k % n] : (who + 1) % stage->graph->n_people;
}

static uint32_t n_contacts(const struct trap_stage *stage, uint32_t who, uint32_t most)
{
    uint32_t n = graph_degree(stage->graph, who);
    return n < most ? n : most;
}

static void broadcast_desk(const struct trap_stage *stage)
{
    uint32_t n = stage->graph->n_people - 1 < 500 ? stage->graph->n_people - 1 : 500;
    stage->entitle(stage->of, 0, "desk.example");
    for (uint32_t i = 1; i <= n; i++)
        say(stage, 0.02 * i, 0, i, "morning report http://desk.example/today", pasting);
    for (uint32_t i = 0; i < n / 25; i++) // some of them pass it on
        say(stage, 60 + 30 * i, 1 + 20 * i, contact(stage, 1 + 20 * i, 0),
            "see http://desk.example/today", typing);
}

static void viral_link(const struct trap_stage *stage)
{
    static const char *const words[] = {"haha", "you must see this", "not again"};
    uint32_t n = stage->graph->n_people / 3;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t who = somebody(stage, 3);
        char text[120];
        snprintf(text, sizeof text, "%s https://www.youtube.com/watch?v=dQw4w9WgXcQ",
                 words[i % COUNT_OF(words)]);
        for (uint32_t k = 0; k < 1 + i % 3; k++)
            say(stage, 3600.0 * i / n + 7 * k, who, contact(stage, who, k), text, typing);
    }
}

static void meeting(const struct trap_stage *stage, const char *text, struct manner manner)
{
    uint32_t who = somebody(stage, 12), n = n_contacts(stage, who, 12);
    for (uint32_t k = 0; k < n; k++)
        say(stage, 1.7 * k, who, contact(stage, who, k), text, manner);
}

static void meeting_link(const struct trap_stage *stage)
{
    meeting(stage, "now: https://zoom.us/j/123456789", pasting);
}

static void meeting_link_new(const struct trap_stage *stage)
{
    meeting(stage, "now: https://meet.partner-firm.example/j/12", typing);
}

static void warnings(const struct trap_stage *stage)
{
    char text[600];
    struct str link = stage->worm_link;
    snprintf(text, sizeof text, "don't click %.*s it is a virus", STR_ARGS(link));
    for (uint32_t i = 0; i < 30; i++) {
        uint32_t who = somebody(stage, 5);
        for (uint32_t k = 0; k < 4; k++)
            warn(stage, 2 + 20 * i + 6 * k, who, contact(stage, who, k), text);
    }
}

static void newcomer(const struct trap_stage *stage)
{
    uint32_t who = somebody(stage, 1);
    for (uint32_t k = 0; k < 40; k++) {
        uint32_t other = person(stage, who + 1 + 7 * k);
        if (other != who)
            say(stage, 25 * k, who, other, "hello, i am new here, this is me: http://me.example/cv",
                (struct manner){.composing = true, .live = 0});
    }
}

static void alert_bot(const struct trap_stage *stage)
{
    uint32_t bot = somebody(stage, 1);
    stage->entitle(stage->of, bot, "monitor.example");
    for (uint32_t i = 0; i < 300; i++) {
        char text[120];
        uint32_t other = person(stage, bot + 1 + i % 60);
        snprintf(text, sizeof text, "disk full: http://host%u.monitor.example/alert/%u", i % 5, i);
        say(stage, 0.01 * i, bot, other, text, pasting);
    }
}

static void new_year_of(const struct trap_stage *stage, struct manner manner)
{
    uint32_t n = stage->graph->n_people < 2000 ? stage->graph->n_people : 2000;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = n_contacts(stage, i, 100);
        double at_s = 600 * prng_unit(stage->prng);
        while (k-- > 0)
            say(stage, at_s + 0.3 * k, i, contact(stage, i, k), "happy new year!", manner);
    }
}

static void new_year(const struct trap_stage *stage)
{
    new_year_of(stage, pasting);
}

static void new_year_encrypted(const struct trap_stage *stage)
{
    new_year_of(stage, (struct manner){.encrypted = true, .live = -1});
}

static void shared_hosts(const struct trap_stage *stage)
{
    for (uint32_t i = 0; i < 500; i++) {
        uint32_t who = somebody(stage, 3);
        char text[120];
        snprintf(text, sizeof text, "https://%s/x%u", i % 2 ? "bit.ly" : "drive.google.com", i / 3);
        say(stage, 2.0 * i, who, contact(stage, who, i), text, typing);
    }
}

/* The worm's host, without "http://www." and ".example". */
static struct str name_of_host(const struct trap_stage *stage)
{
    struct str link = stage->worm_link;
    size_t at = str_find(link, STR("www.")), end = str_find(link, STR(".example"));
    if (at == link.len || end == link.len || end <= at + 4)
        return STR("nothing");
    return str_first(str_skip(link, at + 4), end - at - 4);
}

static void substrings(const struct trap_stage *stage)
{
    struct str host = name_of_host(stage);
    for (uint32_t i = 0; i < 40; i++) {
        static const char *const formats[] = {
            "http://not%.*s.example/pictures.php", "http://www.%.*s.example.com/pictures.php",
            "http://good.com/?u=%.*s.example", "http://%.*s-example.com/pictures.php"};
        char text[300];
        uint32_t who = somebody(stage, 3);
        // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of the above
        snprintf(text, sizeof text, formats[i % 4], STR_ARGS(host));
        say(stage, 30 * i, who, contact(stage, who, i), text, typing);
    }
}

static void whole_roster(const struct trap_stage *stage, double pause_s, bool types_each)
{
    uint32_t who = somebody(stage, 15), n = n_contacts(stage, who, 100);
    for (uint32_t k = 0; k < n; k++)
        say(stage, pause_s * k, who, contact(stage, who, k),
            "our new wiki: http://wiki.team.example/start",
            (struct manner){.composing = types_each || k == 0, .live = 1});
}

static void shared_roster(const struct trap_stage *stage)
{
    whole_roster(stage, 6, true);
}

static void shared_roster_at_once(const struct trap_stage *stage)
{
    whole_roster(stage, 0.2, false);
}

const struct trap traps[] = {
    {"B1",                                                         "a broadcast desk, entitled, writes to 500", .entitles = true, .set = broadcast_desk},
    {"B2",                                            "a third of the people pass on a viral link within an hour", .set = viral_link},
    {"B3",                                                            "a meeting link to twelve people in 20 s", .set = meeting_link},
    {"B3new","the same on a host that nobody has seen", .set = meeting_link_new},
    {"B4",                                                            "people warn each other and quote the worm's link", .needs_worm = true, .set = warnings},
    {"B5","a newcomer greets 40 people with a link", .set = newcomer},
    {"B6",                                                            "an entitled bot sends 300 alerts", .entitles = true, .set = alert_bot},
    {"B7",                                                              "everybody wishes everybody a happy new year", .set = new_year},
    {"B7enc",                                                            "the same, encrypted end to end", .set = new_year_encrypted},
    {"B8","500 links to shared hosts and shorteners", .set = shared_hosts},
    {"B9",                                             "hosts whose names contain a convicted one", .needs_worm = true, .set = substrings},
    {"B10",                                                         "one writes to his whole roster at a person's pace", .set = shared_roster},
    {"B10fast",                                             "the same with a client that writes to all at once", .set = shared_roster_at_once},
    {NULL                                                        },
};

const struct trap *trap_find(struct str name)
{
    for (const struct trap *at = traps; at->name != NULL; at++) {
        if (str_eq_nocase(name, str_of(at->name)))
            return at;
    }
    return NULL;
}

enum err traps_read(struct str names, size_t most, const struct trap **out, size_t *n,
                    struct why *why)
{
    bool all = str_eq(names, STR("all"));
    const struct trap *next = traps;
    while (all ? next->name != NULL : names.len > 0) {
        struct str name = all ? str_of(next->name) : str_cut(&names, ',');
        const struct trap *trap = all ? next++ : trap_find(name);
        if (trap == NULL)
            return why_say(why, ERR_MALFORMED, "%.*s: no such trap; see --help", STR_ARGS(name));
        if (*n == most)
            return why_say(why, ERR_LIMIT, "more than %zu traps", most);
        out[(*n)++] = trap;
    }
    return OK;
}

/* ---- How long it takes ---- */

static void note_time(void *of, const struct trap_line *line)
{
    double *last_s = of;
    *last_s = line->in_seconds > *last_s ? line->in_seconds : *last_s;
}

static void entitle_nobody(void *of, uint32_t who, const char *host)
{
    (void)of, (void)who, (void)host;
}

enum { PURPOSE_TRAP = 28 };

struct prng trap_prng(uint64_t seed)
{
    return prng_of(seed, 0, PURPOSE_TRAP);
}

double trap_length_s(const struct trap *trap, const struct graph *graph, uint64_t seed)
{
    double last_s = 0;
    struct prng prng = trap_prng(seed);
    trap->set(&(struct trap_stage){
        .of = &last_s, .graph = graph, .prng = &prng, .say = note_time, .entitle = entitle_nobody});
    return last_s;
}
