/*
 * firedoor-drill: a worm, its victims and their ordinary chat, over real
 * sockets, with the guard off and with the guard on.
 */
#include "base/must.h"
#include "drill/own_server.h"
#include "drill/progress.h"
#include "drill/report.h"
#include "town/numbers.h"
#include "town/roster.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WALL_S_WANTED_FULL = 20,      // there are 120 runs in a full one
    WALL_S_WANTED = 40,           // of one run; the default speed aims at it
    MESSAGES_A_WALL_SECOND = 300, // honest ones; faster drills chat less
    SPEED_MOST = 100,             // by default
    SPEED_MOST_TRAPS = 30,        // …where many write at once
    SETTINGS_MOST = 32,
};

static const double warmup_usual = 2, warmup_recent = 20, // minutes
    trap_after_s = 300; // after a trap's last message: most of those who answer have answered

struct drill {
    // what was asked for
    uint32_t people;
    double contacts, chance, speed, minutes, warmup, chat, cuts;
    double phones, most_speed; // most_speed: what the machine has been found to carry
    struct habits habits;
    const struct trap *traps[TRAPS_MOST];
    size_t n_traps;
    unsigned meetings;
    const char *graph_file, *texts, *report, *keep, *programs;
    const struct worm_profile *worm;
    struct worm_profile changed; // by --worm-set
    const char *worm_settings[SETTINGS_MOST];
    size_t n_worm_settings;
    uint64_t seed;
    unsigned n_seeds;
    bool json, quiet, full, guard_off, guard_on;
    bool too_slow; // the machine, in some run
    struct endpoint server;
    const char *connect, *users;
    struct str domain;
    FILE *trace;
    char *settings[SETTINGS_MOST + 1];
    size_t n_settings;
    // what was made of it
    struct arena arena;
    struct account *accounts;
    uint32_t n_accounts;
    char self[4096];
};

static void raise_limits(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    prctl(PR_SET_TIMERSLACK, 1UL); // a tenth of a second at speed 600 is a sixth of a millisecond
}

/* People of our own server, or those of a file: "user@domain password" on each line. */

static void invent_accounts(struct drill *drill, uint32_t n)
{
    drill->accounts = arena_make_array(&drill->arena, struct account, n);
    drill->n_accounts = n;
    for (uint32_t i = 0; i < n; i++) {
        char name[32];
        town_name(i, name);
        drill->accounts[i] =
            (struct account){arena_str(&drill->arena, str_of(name)).at, "a pass phrase for drills"};
    }
}

static enum err read_accounts(struct drill *drill, struct why *why)
{
    FILE *file = fopen(drill->users, "re");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", drill->users, strerror(errno));
    uint32_t room = 0;
    unsigned n_line = 0;
    char *line = NULL;
    size_t line_room = 0;
    enum err e = OK;
    for (ssize_t len; e == OK && (len = getline(&line, &line_room, file)) > 0;) {
        struct str password = str_trim(str_make(line, (size_t)len));
        n_line++;
        if (password.len == 0 || password.at[0] == '#')
            continue;
        struct str domain = str_cut(&password, ' '), user = str_cut(&domain, '@');
        if (password.at == NULL || domain.at == NULL || user.len == 0) {
            e = why_say(why, ERR_MALFORMED, "%s:%u: not of the form user@domain password",
                        drill->users, n_line);
        } else if (drill->domain.len > 0 && !str_eq(domain, drill->domain)) {
            e = why_say(why, ERR_MALFORMED, "%s:%u: all users must be of one domain", drill->users,
                        n_line);
        } else {
            if (drill->n_accounts == room) {
                uint32_t larger = room == 0 ? 256 : 2 * room;
                struct account *more = arena_make_array(&drill->arena, struct account, larger);
                if (room > 0)
                    memcpy(more, drill->accounts, room * sizeof *more);
                drill->accounts = more;
                room = larger;
            }
            drill->domain = arena_str(&drill->arena, domain);
            drill->accounts[drill->n_accounts++] = (struct account){
                arena_str(&drill->arena, user).at, arena_str(&drill->arena, str_trim(password)).at};
        }
    }
    free(line);
    fclose(file);
    if (e == OK && drill->n_accounts < 2)
        e = why_say(why, ERR_MALFORMED, "%s: fewer than two users", drill->users);
    return e;
}

/* One run */

static enum err make_graph(const struct drill *drill, uint64_t seed, struct graph *graph,
                           struct why *why)
{
    struct prng prng = graph_prng(seed);
    uint32_t people = drill->people;
    if (drill->connect != NULL && drill->n_accounts < people)
        people = drill->n_accounts;
    if (drill->graph_file != NULL)
        return graph_read(graph, drill->graph_file, people, &prng, why);
    graph_make(graph, people, drill->contacts, &prng);
    return OK;
}

/* What happens in one run. */
struct event {
    const struct worm_profile *worm; // NULL: none
    const struct trap *trap;         // NULL: none
    double chance;
};

static double warmup_minutes(const struct drill *drill, const struct event *event)
{
    if (drill->warmup >= 0)
        return drill->warmup;
    bool recent = event->worm != NULL && event->worm->habits.aim == AIM_RECENT;
    return recent ? warmup_recent : warmup_usual;
}

static double watch_s(const struct drill *drill, const struct event *event,
                      const struct graph *graph, uint64_t seed)
{
    if (drill->minutes > 0)
        return 60 * drill->minutes;
    if (event->trap == NULL)
        return 60 * event->worm->minutes;
    double begins_s = event->worm != NULL ? event->worm->habits.wait_s + 1 : 0;
    return begins_s + DRILL_GREETINGS_S + trap_length_s(event->trap, graph, seed) + trap_after_s;
}

static double default_speed(const struct drill *drill, const struct event *event, double seconds)
{
    if (drill->speed > 0)
        return drill->speed;
    int wall_s = drill->full ? WALL_S_WANTED_FULL : WALL_S_WANTED;
    double speed = ceil((seconds + 60 * warmup_minutes(drill, event)) / wall_s);
    double most = event->trap != NULL ? SPEED_MOST_TRAPS : SPEED_MOST;
    speed = speed > most ? most : speed;
    return drill->most_speed > 0 && speed > drill->most_speed ? drill->most_speed : speed;
}

static struct plan make_plan(const struct drill *drill, const struct event *event, uint64_t seed,
                             const struct graph *graph)
{
    double seconds = watch_s(drill, event, graph, seed);
    struct plan plan = {
        .client = {.endpoint = drill->server,
                   .domain = drill->domain,
                   .mechanism = MECHANISM_BEST,
                   .stream_management = true,
                   .ack_every = 5,
                   .keep_unacked = true,
                   .carbons = true,
                   .roster = true,
                   .presence = true},
        .accounts = drill->accounts,
        .graph = graph,
        .texts = drill->texts,
        .openness = {event->chance, people_opening         },
        .habits = chat_habits_usual,
        .people = drill->habits,
        .phones = drill->phones,
        .worm = event->worm,
        .trap = event->trap,
        .seed = seed,
        .speed = default_speed(drill, event, seconds),
        .warmup_s = 60 * warmup_minutes(drill, event),
        .watch_s = seconds,
        .grace_s = 60,
        .meetings = event->trap == NULL ? drill->meetings : 0,
        .cuts_an_hour = drill->cuts,
        .make_rosters = drill->connect != NULL,
        .trace = drill->trace,
    };
    double most = MESSAGES_A_WALL_SECOND * 60.0 / graph->n_people / plan.speed;
    double wanted = drill->chat > 0 ? drill->chat : plan.habits.messages_a_minute;
    plan.habits.messages_a_minute = drill->chat > 0 || wanted < most ? wanted : most;
    return plan;
}

static enum err run_at_speed(struct drill *drill, const struct event *event,
                             const struct plan *wanted, const struct side *side, bool guard,
                             struct result *result, struct why *why)
{
    struct plan plan = *wanted;
    struct own_server *server = NULL;
    enum err e = OK;
    struct progress progress = {.is_live = !drill->quiet && isatty(STDERR_FILENO)};
    snprintf(progress.title, sizeof progress.title, "%s %s",
             event->trap != NULL ? event->trap->name : event->worm->name, side->name);
    plan.look = progress_look;
    plan.context = &progress;
    struct own_server_plan server_plan = {
        .programs = drill->programs,
        .domain = drill->domain,
        .graph = plan.graph,
        .accounts = drill->accounts,
        .guard = guard,
        .speed = plan.speed,
        .seed = plan.seed,
        .keep = drill->keep,
        .settings = drill->settings,
    };
    if (drill->connect == NULL) {
        e = own_server_start(&server, &server_plan, why);
        if (e == OK)
            plan.client.endpoint = own_server_endpoint(server);
        plan.entitle = guard ? own_server_entitle : NULL;
        plan.entitle_context = server;
    }
    *result = (struct result){.seed = plan.seed, .speed = plan.speed};
    if (e == OK)
        e = town_run(&plan, &result->outcome, why);
    if (e == OK && server != NULL)
        e = own_server_has_entitled(server, why);
    if (e == OK && server != NULL)
        e = own_server_record(server, result, why);
    progress_end(&progress);
    own_server_stop(&server);
    return e;
}

/* A speed that nobody asked for is not kept where the machine cannot follow. */
static enum err run_once(struct drill *drill, const struct event *event, uint64_t seed,
                         const struct side *side, bool guard, struct result *result,
                         struct why *why)
{
    struct graph graph;
    enum err e = make_graph(drill, seed, &graph, why);
    if (e != OK)
        return e;
    drill->people = graph.n_people; // a file may have fewer than were asked for
    if (drill->n_accounts < graph.n_people)
        invent_accounts(drill, graph.n_people);
    for (;;) {
        struct plan plan = make_plan(drill, event, seed, &graph);
        e = run_at_speed(drill, event, &plan, side, guard, result, why);
        if (e != OK || drill->speed > 0 || plan.speed <= 1 || !result_is_too_slow(result))
            break;
        drill->most_speed = floor(plan.speed / 2);
        fprintf(stderr,
                "firedoor-drill: the machine was too slow for speed %g: lag %.1f s; once more at "
                "%g\n",
                plan.speed, result->outcome.lag_s, drill->most_speed);
        outcome_done(&result->outcome);
    }
    graph_done(&graph);
    return e;
}

/* All runs of a worm and a chance: sides must have room for two. */
static enum err run_sides(struct drill *drill, const struct event *event, struct side *sides,
                          size_t *n_sides, struct why *why)
{
    struct {
        const char *name;
        bool guard, wanted;
    } kinds[] = {
        {"guard off",    false, drill->connect == NULL && drill->guard_off},
        {"guard on",     true,  drill->connect == NULL && drill->guard_on },
        {drill->connect, false, drill->connect != NULL                    },
    };
    enum err e = OK;
    *n_sides = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!kinds[i].wanted)
            continue;
        struct side *side = &sides[(*n_sides)++];
        *side = (struct side){.name = kinds[i].name,
                              .results = calloc(drill->n_seeds, sizeof *side->results)};
        must(side->results != NULL);
        for (unsigned k = 0; e == OK && k < drill->n_seeds; k++) {
            e = run_once(drill, event, drill->seed + k, side, kinds[i].guard, &side->results[k],
                         why);
            side->n += e == OK;
        }
    }
    return e;
}

static enum err save_report(const struct drill *drill, const struct worm_profile *worm,
                            double chance, const struct side *sides, size_t n_sides,
                            const char *directory, struct why *why)
{
    if (sides_are_too_slow(sides, n_sides))
        return OK; // a picture of the machine would be taken for one of the guard
    struct report report = {
        .sides = sides,
        .n_sides = n_sides,
        .n_people = drill->people,
        .worm = worm,
        .chance = chance,
        .minutes = drill->minutes > 0 ? drill->minutes : worm->minutes,
    };
    return report_save(&report, directory, why);
}

/* The exit status: for whoever starts it again at another speed, a slow machine is told apart. */
enum { EXIT_RAN, EXIT_FAILED, EXIT_USAGE, EXIT_TOO_SLOW };

static double speed_of(const struct side *sides, size_t n_sides)
{
    return n_sides > 0 && sides[n_sides - 1].n > 0 ? sides[n_sides - 1].results[0].speed : 0;
}

static enum err run_one_worm(struct drill *drill, struct why *why)
{
    struct side sides[3];
    size_t n_sides;
    struct event event = {.worm = drill->worm, .chance = drill->chance};
    enum err e = run_sides(drill, &event, sides, &n_sides, why);
    if (e == OK && drill->json) {
        json_t *all = json_pack("{s:s, s:i, s:f, s:f, s:o}", "worm", drill->worm->name, "people",
                                (int)drill->people, "open", drill->chance, "speed",
                                speed_of(sides, n_sides), "sides", sides_json(sides, n_sides));
        must(all != NULL && json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0);
        printf("\n");
        json_decref(all);
    } else if (e == OK) {
        printf("%s (%s): %s.  %u people, opening with probability %g, speed %g.\n\n",
               drill->worm->name, drill->worm->title, drill->worm->tells, drill->people,
               drill->chance, speed_of(sides, n_sides));
        sides_print(stdout, sides, n_sides);
    }
    if (e == OK && drill->report != NULL) {
        e = save_report(drill, drill->worm, drill->chance, sides, n_sides, drill->report, why);
        if (e == OK && !drill->json && !sides_are_too_slow(sides, n_sides))
            printf("\nPictures: %s/index.html\n", drill->report);
    }
    drill->too_slow |= sides_are_too_slow(sides, n_sides);
    for (size_t i = 0; i < n_sides; i++)
        side_done(&sides[i]);
    return e;
}

/* Each trap for itself, with the guard on or as the server has it. */
static enum err run_traps(struct drill *drill, struct why *why)
{
    struct side sides[TRAPS_MOST];
    bool all = true;
    enum err e = OK;
    size_t n = 0;
    drill->guard_off = false;
    for (; e == OK && n < drill->n_traps; n++) {
        const struct trap *trap = drill->traps[n];
        struct event event = {
            .trap = trap, .worm = trap->needs_worm ? drill->worm : NULL, .chance = drill->chance};
        size_t n_sides;
        struct trap_tally tally;
        e = run_sides(drill, &event, &sides[n], &n_sides, why);
        trap_tally(&sides[n], &tally);
        drill->too_slow |= tally.too_slow;
        all &= tally.kept || tally.too_slow;
    }
    if (e == OK && drill->json) {
        json_t *found = json_pack("{s:i, s:i, s:o}", "people", (int)drill->people, "seeds",
                                  (int)drill->n_seeds, "traps", traps_json(drill->traps, sides, n));
        must(found != NULL &&
             json_dumpf(found, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0);
        printf("\n");
        json_decref(found);
    } else if (e == OK) {
        printf("Honest habits that look like a worm: %u people, %u seed%s.\n\n", drill->people,
               drill->n_seeds, drill->n_seeds == 1 ? "" : "s");
        traps_print(stdout, drill->traps, sides, n);
    }
    for (size_t i = 0; i < n; i++)
        side_done(&sides[i]);
    if (e == OK && !all)
        e = why_say(why, ERR_LIMIT,
                    "an honest message was lost or rejected, or somebody restricted");
    return e;
}

/* The targets: what the guard must reach. */

struct target {
    const char *what;
    double value;
    bool reached;
};

static bool judge(const struct side *off, const struct side *on, double chance, uint32_t people)
{
    double lost = side_figure(on, FIGURE_HONEST_LOST), held = side_figure(on, FIGURE_HONEST_HELD),
           sent = side_figure(on, FIGURE_HONEST_SENT),
           wrong = side_figure(on, FIGURE_RESTRICTED_WRONGLY);
    struct target targets[] = {
        {"infected, guard on: at most 2",     side_figure(on,  FIGURE_INFECTED),
         side_figure(on, FIGURE_INFECTED) <= 2},
        {"infected, guard off: the majority",              side_figure(off,                             FIGURE_INFECTED),
         chance < 0.5 || side_figure(off, FIGURE_INFECTED) > people / 2.0},
        {"honest messages lost: none",                   lost,                      lost == 0                    },
        {"accounts wrongly restricted: none",        wrong, !(wrong > 0)},
        {"honest messages held: under 1 in 10,000", held / sent,    held / sent < 1e-4                     },
    };
    bool all = true;
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        if (i == 1 && chance < 0.5)
            continue;
        printf("  %-7s %-42s %g\n", targets[i].reached ? "ok" : "MISSED", targets[i].what,
               targets[i].value);
        all &= targets[i].reached;
    }
    return all;
}

static enum err run_full(struct drill *drill, struct why *why)
{
    static const char *const worms[] = {"P1", "P2", "P6"};
    static const double chances[] = {0.2, 0.7};
    bool all = true;
    for (size_t i = 0; i < COUNT_OF(worms); i++) {
        for (size_t k = 0; k < COUNT_OF(chances); k++) {
            const struct worm_profile *worm = worm_find(str_of(worms[i]));
            struct side sides[3];
            size_t n_sides;
            struct event event = {.worm = worm, .chance = chances[k]};
            enum err e = run_sides(drill, &event, sides, &n_sides, why);
            if (e != OK) {
                for (size_t side = 0; side < n_sides; side++)
                    side_done(&sides[side]);
                return e;
            }
            printf("%s, opening with probability %g, %u people, %u seeds\n\n", worm->name,
                   chances[k], drill->people, drill->n_seeds);
            sides_print(stdout, sides, n_sides);
            printf("\n");
            drill->too_slow |= sides_are_too_slow(sides, n_sides);
            all &= judge(&sides[0], &sides[1], chances[k], drill->people);
            printf("\n");
            fflush(stdout);
            if (drill->report != NULL) {
                char directory[4096];
                mkdir(drill->report, 0777); // report_save says so where this fails
                snprintf(directory, sizeof directory, "%s/%s-%g", drill->report, worm->name,
                         chances[k]);
                e = save_report(drill, worm, chances[k], sides, n_sides, directory, why);
            }
            for (size_t side = 0; side < n_sides; side++)
                side_done(&sides[side]);
            if (e != OK)
                return e;
        }
    }
    return all ? OK : why_say(why, ERR_LIMIT, "not all targets were reached");
}

/* The command line */

static void usage(FILE *to)
{
    fprintf(to,
            "usage: firedoor-drill [options]\n\n"
            "A worm in a town of real clients: first with the guard off, then with it on.\n\n"
            "  --people N        people in the town (300)\n"
            "  --contacts X      mean number of contacts (10)\n"
            "  --graph FILE      who knows whom: two names on a line\n"
            "  --texts FILE      what people say, one text on a line\n"
            "  --worm NAME       which worm (P1)\n"
            "  --worm-set K=V    another habit of it; may be repeated:\n"
            "                    %s\n"
            "  --open P          probability that a person opens a lure (0.7)\n"
            "  --minutes M       how long to watch after the first infection\n"
            "  --warmup M        minutes of chat before it (2; 20 for P9)\n"
            "  --chat R          messages a minute of one person (1.5, fewer at high speed)\n"
            "  --pass-on P       probability that a link is honestly passed on (0.02)\n"
            "  --meetings N      links to meetings, each sent to a dozen people (1)\n"
            "  --answer P        share of people who answer the guard's question (0.5)\n"
            "  --phones P        share of people who have another device (0.5)\n"
            "  --obey P          share of clients that carry out a retraction (1)\n"
            "  --composing P     share of clients that say that their people type (0.8)\n"
            "  --cuts N          times an hour that a person's network fails (0)\n"
            "  --speed N         how much faster than life; people, worm and guard alike\n"
            "  --seed N          the first seed (1)\n"
            "  --seeds N         how many of them (1)\n"
            "  --guard off|on    one side only\n"
            "  --traps NAMES     honest habits that look like a worm: B1,B4 or all\n"
            "  --full            the targets: P1, P2, P6, probabilities 0.2 and 0.7, ten seeds\n"
            "  --connect H:P     another XMPP server, with --users\n"
            "  --users FILE      its users: user@domain password\n"
            "  --report DIR      draw a page of pictures\n"
            "  --json            results for programs\n"
            "  --quiet           no live view\n"
            "  --programs DIR    where firedoord and firedoorctl are (beside this program)\n"
            "  --set KEY=VALUE   a further setting of our own server\n"
            "  --keep DIR        keep its files there\n"
            "  --trace FILE      a line for each honest message held, rejected or lost\n\n"
            "Worms:\n",
            worm_settings_help);
    for (const struct worm_profile *worm = worm_profiles; worm->name != NULL; worm++) {
        if (worm_is_one_to_one(worm))
            fprintf(to, "  %-8s %s: %s\n", worm->name, worm->title, worm->tells);
    }
    fprintf(to, "\nTraps:\n");
    for (const struct trap *trap = traps; trap->name != NULL; trap++)
        fprintf(to, "  %-8s %s\n", trap->name, trap->tells);
}

enum option_id {
    OPT_PEOPLE = 256,
    OPT_CONTACTS,
    OPT_GRAPH,
    OPT_TEXTS,
    OPT_WORM,
    OPT_WORM_SET,
    OPT_OPEN,
    OPT_MINUTES,
    OPT_WARMUP,
    OPT_CHAT,
    OPT_PASS_ON,
    OPT_MEETINGS,
    OPT_ANSWER,
    OPT_PHONES,
    OPT_OBEY,
    OPT_COMPOSING,
    OPT_CUTS,
    OPT_SPEED,
    OPT_SEED,
    OPT_SEEDS,
    OPT_GUARD,
    OPT_TRAPS,
    OPT_FULL,
    OPT_CONNECT,
    OPT_USERS,
    OPT_REPORT,
    OPT_JSON,
    OPT_QUIET,
    OPT_PROGRAMS,
    OPT_SET,
    OPT_KEEP,
    OPT_TRACE,
    OPT_HELP
};

static const struct option options[] = {
    {"people",           required_argument, NULL, OPT_PEOPLE},
    {"contacts",              required_argument, NULL, OPT_CONTACTS},
    {"graph",                  required_argument, NULL, OPT_GRAPH},
    {"texts",required_argument, NULL, OPT_TEXTS},
    {"worm",      required_argument, NULL, OPT_WORM},
    {"worm-set",            required_argument, NULL, OPT_WORM_SET},
    {"open",              required_argument, NULL, OPT_OPEN},
    {"minutes",                  required_argument, NULL, OPT_MINUTES},
    {"warmup",              required_argument, NULL, OPT_WARMUP},
    {"chat",         required_argument, NULL, OPT_CHAT},
    {"pass-on",             required_argument, NULL, OPT_PASS_ON},
    {"meetings",              required_argument, NULL, OPT_MEETINGS},
    {"answer",                  required_argument, NULL, OPT_ANSWER},
    {"phones",required_argument, NULL, OPT_PHONES},
    {"obey",      required_argument, NULL, OPT_OBEY},
    {"composing",             required_argument, NULL, OPT_COMPOSING},
    {"traps",              required_argument, NULL, OPT_TRAPS},
    {"cuts",                  required_argument, NULL, OPT_CUTS},
    {"speed",required_argument, NULL, OPT_SPEED},
    {"seed",       required_argument, NULL, OPT_SEED},
    {"seeds",           required_argument, NULL, OPT_SEEDS},
    {"guard",              required_argument, NULL, OPT_GUARD},
    {"full",                  no_argument, NULL, OPT_FULL},
    {"connect",required_argument, NULL, OPT_CONNECT},
    {"users",          required_argument, NULL, OPT_USERS},
    {"report",          required_argument, NULL, OPT_REPORT},
    {"json",              no_argument, NULL, OPT_JSON},
    {"quiet",                  no_argument, NULL, OPT_QUIET},
    {"programs",required_argument, NULL, OPT_PROGRAMS},
    {"set",      required_argument, NULL, OPT_SET},
    {"keep",           required_argument, NULL, OPT_KEEP},
    {"trace",              required_argument, NULL, OPT_TRACE},
    {"help",                  no_argument, NULL, OPT_HELP},
    {NULL           },
};

/* Options that are numbers, and where they go. */
static enum err read_number(struct drill *drill, int option, const char *text, struct why *why)
{
    static const struct {
        int option;
        double least, most;
    } bounds[] = {
        {OPT_PEOPLE,    2,      20000 },
        {OPT_CONTACTS,  1,      1000  },
        {OPT_OPEN,      0,      1     },
        {OPT_MINUTES,   0.1,    1e6   },
        {OPT_WARMUP,    0,      1e6   },
        {OPT_CHAT,      0.0001, 1000  },
        {OPT_PASS_ON,   0,      1     },
        {OPT_MEETINGS,  0,      1000  },
        {OPT_ANSWER,    0,      1     },
        {OPT_PHONES,    0,      1     },
        {OPT_OBEY,      0,      1     },
        {OPT_COMPOSING, 0,      1     },
        {OPT_CUTS,      0,      3600  },
        {OPT_SPEED,     0.001,  100000},
        {OPT_SEED,      0,      1e15  },
        {OPT_SEEDS,     1,      1000  },
    };
    char *end;
    double n = strtod(text, &end);
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        if (bounds[i].option == option &&
            (end == text || *end != '\0' || !(n >= bounds[i].least && n <= bounds[i].most)))
            return why_say(why, ERR_MALFORMED, "%s is not a number from %g to %g", text,
                           bounds[i].least, bounds[i].most);
    }
    switch (option) {
    case OPT_PEOPLE:
        drill->people = (uint32_t)n;
        break;
    case OPT_CONTACTS:
        drill->contacts = n;
        break;
    case OPT_OPEN:
        drill->chance = n;
        break;
    case OPT_MINUTES:
        drill->minutes = n;
        break;
    case OPT_WARMUP:
        drill->warmup = n;
        break;
    case OPT_CHAT:
        drill->chat = n;
        break;
    case OPT_PASS_ON:
        drill->habits.reshare = n;
        break;
    case OPT_MEETINGS:
        drill->meetings = (unsigned)n;
        break;
    case OPT_ANSWER:
        drill->habits.answer = n;
        break;
    case OPT_PHONES:
        drill->phones = n;
        break;
    case OPT_OBEY:
        drill->habits.obey = n;
        break;
    case OPT_COMPOSING:
        drill->habits.composing = n;
        break;
    case OPT_CUTS:
        drill->cuts = n;
        break;
    case OPT_SPEED:
        drill->speed = n;
        break;
    case OPT_SEED:
        drill->seed = (uint64_t)n;
        break;
    case OPT_SEEDS:
        drill->n_seeds = (unsigned)n;
        break;
    default:
        return why_say(why, ERR_MALFORMED, "see --help");
    }
    return OK;
}

static enum err read_option(struct drill *drill, int option, char *value, struct why *why)
{
    switch (option) {
    case OPT_GRAPH:
        drill->graph_file = value;
        return OK;
    case OPT_TEXTS:
        drill->texts = value;
        return OK;
    case OPT_WORM:
        drill->worm = worm_find(str_of(value));
        return drill->worm != NULL
                   ? OK
                   : why_say(why, ERR_MALFORMED, "%s: no such worm; see --help", value);
    case OPT_WORM_SET:
        if (drill->n_worm_settings == SETTINGS_MOST)
            return why_say(why, ERR_LIMIT, "at most %d habits", SETTINGS_MOST);
        drill->worm_settings[drill->n_worm_settings++] = value;
        return OK;
    case OPT_GUARD:
        drill->guard_off = str_eq(str_of(value), STR("off"));
        drill->guard_on = str_eq(str_of(value), STR("on"));
        return drill->guard_off || drill->guard_on
                   ? OK
                   : why_say(why, ERR_MALFORMED, "%s: --guard takes off or on", value);
    case OPT_TRAPS:
        return traps_read(str_of(value), TRAPS_MOST, drill->traps, &drill->n_traps, why);
    case OPT_FULL:
        drill->full = true;
        drill->n_seeds = 10;
        return OK;
    case OPT_CONNECT:
        drill->connect = value;
        return endpoint_parse(str_of(value), &drill->server, why);
    case OPT_USERS:
        drill->users = value;
        return OK;
    case OPT_REPORT:
        drill->report = value;
        return OK;
    case OPT_JSON:
        drill->json = true;
        return OK;
    case OPT_QUIET:
        drill->quiet = true;
        return OK;
    case OPT_PROGRAMS:
        drill->programs = value;
        return OK;
    case OPT_SET:
        if (drill->n_settings == SETTINGS_MOST)
            return why_say(why, ERR_LIMIT, "at most %d settings", SETTINGS_MOST);
        drill->settings[drill->n_settings++] = value;
        return OK;
    case OPT_KEEP:
        drill->keep = value;
        return OK;
    case OPT_TRACE:
        drill->trace = fopen(value, "we");
        return drill->trace != NULL ? OK : why_say(why, ERR_IO, "%s: %s", value, strerror(errno));
    default:
        return read_number(drill, option, value, why);
    }
}

/* Gives the worm its other habits; what needs more than chat between two is refused. */
static enum err change_worm(struct drill *drill, struct why *why)
{
    enum err e = OK;
    drill->changed = *drill->worm;
    drill->worm = &drill->changed;
    for (size_t i = 0; e == OK && i < drill->n_worm_settings; i++) {
        struct str key, value;
        e = setting_cut(str_of(drill->worm_settings[i]), &key, &value, why);
        if (e == OK)
            e = worm_set(&drill->changed.habits, key, value, why);
    }
    if (e == OK && !worm_is_one_to_one(drill->worm))
        e = why_say(why, ERR_MALFORMED, "%s needs more than chat between two people",
                    drill->worm->name);
    return e;
}

static enum err read_command_line(struct drill *drill, int argc, char **argv, struct why *why)
{
    enum err e = OK;
    int option;
    while (e == OK &&
           (option = getopt_long(argc, argv, "", options, NULL)) != -1) { // NOLINT: one thread
        if (option == OPT_HELP) {
            usage(stdout);
            exit(0); // NOLINT: one thread
        }
        e = option == '?' ? why_say(why, ERR_MALFORMED, "see --help")
                          : read_option(drill, option, optarg, why);
    }
    if (e != OK)
        return e;
    if (optind < argc)
        return why_say(why, ERR_MALFORMED, "%s: see --help", argv[optind]);
    e = change_worm(drill, why);
    if (e != OK)
        return e;
    if ((drill->connect == NULL) != (drill->users == NULL))
        return why_say(why, ERR_MALFORMED, "--connect and --users belong together");
    for (size_t i = 0; i < drill->n_traps; i++) {
        if (drill->traps[i]->entitles && drill->connect != NULL)
            return why_say(why, ERR_MALFORMED, "%s needs an operator: not with --connect",
                           drill->traps[i]->name);
    }
    if (drill->n_traps > 0 && (drill->full || !drill->guard_on || drill->report != NULL))
        return why_say(why, ERR_MALFORMED, "--traps stands alone: the guard is on");
    if (drill->full &&
        (drill->connect != NULL || drill->json || !drill->guard_on || !drill->guard_off))
        return why_say(why, ERR_MALFORMED,
                       "--full compares our own server's two sides, for people");
    if (drill->users != NULL)
        e = read_accounts(drill, why);
    if (drill->users != NULL && e == OK && drill->n_accounts < drill->people)
        drill->people = drill->n_accounts;
    return e;
}

static const char *beside_ourselves(char path[4096])
{
    ssize_t n = readlink("/proc/self/exe", path, 4095);
    must(n > 0);
    while (n > 1 && path[n - 1] != '/')
        n--;
    path[n - 1] = '\0';
    return path;
}

int main(int argc, char **argv)
{
    struct drill drill = {
        .people = 300,
        .contacts = 10,
        .chance = 0.7,
        .warmup = -1,
        .phones = 0.5,
        .habits = habits_usual,
        .meetings = 1,
        .worm = worm_profiles,
        .seed = 1,
        .n_seeds = 1,
        .guard_off = true,
        .guard_on = true,
    };
    struct why why;
    random_start();
    raise_limits();
    arena_init(&drill.arena, 256 << 20);
    drill.programs = beside_ourselves(drill.self);
    enum err e = read_command_line(&drill, argc, argv, &why);
    if (e != OK) {
        fprintf(stderr, "firedoor-drill: %s\n", why.text);
        return EXIT_USAGE;
    }
    if (drill.domain.len == 0)
        drill.domain = STR("localhost");
    e = drill.full          ? run_full(&drill, &why)
        : drill.n_traps > 0 ? run_traps(&drill, &why)
                            : run_one_worm(&drill, &why);
    if (e != OK)
        fprintf(stderr, "firedoor-drill: %s\n", why.text);
    arena_done(&drill.arena);
    if (drill.too_slow)
        fprintf(stderr, "firedoor-drill: the machine was too slow for this speed\n");
    return drill.too_slow ? EXIT_TOO_SLOW : e == OK ? EXIT_RAN : EXIT_FAILED;
}
