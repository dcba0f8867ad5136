/*
 * firedoor-lab: the guard among simulated people, in virtual time.
 *
 * The very library that the server links is measured on real traces and on
 * synthetic populations, against worms and honest habits, beside what else could
 * be done.  Exit status 0 only for a run that was complete.
 */
#include "base/must.h"
#include "base/random.h"
#include "lab/alike.h"
#include "lab/crew.h"
#include "lab/experiment.h"
#include "lab/guard_keys.h"
#include "lab/search.h"
#include "town/numbers.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

enum { WORMS_MOST = 32, OPENS_MOST = 16 };

enum command { RUN, HONEST, MODEL, SEARCH, TEXTS };

struct lab {
    enum command command;
    struct experiment experiment;
    const char *trace_file, *texts_file, *graph_file, *family_file, *keep;
    double budget;  // evaluations of a search
    double jobs;    // processes that share its runs
    double confirm; // seeds with which its worst are run again; 0: they are not
    struct worm_profile worms[WORMS_MOST];
    size_t n_worms;
    const struct trap *traps[TRAPS_MOST];
    size_t n_traps;
    double opens[OPENS_MOST];
    size_t n_opens;
    bool json;
    // what was read
    struct trace trace;
    struct lure_rules *rules;
    json_t *results;
};

/* ---- Command line ---- */

static void print_help(FILE *to)
{
    fprintf(
        to,
        "Usage: firedoor-lab --trace FILE --texts FILE --worm NAME [option…]\n"
        "       firedoor-lab honest --trace FILE --texts FILE [--traps NAMES|all] [option…]\n"
        "       firedoor-lab model [--worm NAME] [option…]\n"
        "       firedoor-lab search --family FILE [--trace FILE --texts FILE] [option…]\n"
        "       firedoor-lab texts --texts FILE [--seed N] [--format F]\n"
        "The guard among simulated people, in virtual time: a worm on the traffic of a trace;\n"
        "honest traffic alone; a population of any size; which worm of a family infects most,\n"
        "on a trace or, without one, in a model; which texts are known again, however a\n"
        "program dresses them up.\n\n"
        "  --trace FILE      lines of \"from to unix_time\"\n"
        "  --texts FILE      lines to say, one text each (a sample of our own in a model)\n"
        "  --graph FILE      who knows whom, pairs (who ever wrote to each other)\n"
        "  --worm NAMES      P1,P3 or all\n"
        "  --worm-set K=V    another habit of theirs; may be repeated:\n"
        "                    %s\n"
        "  --people-set K=V  reshare=0.02 obey=1 answer=0.5 composing=0.8 report=0 warn=0\n"
        "                    heed=0.7 encrypted=0\n"
        "  --open CHANCES    that a person opens a lure (0.2); 0.2,0.72 runs both\n"
        "  --seeds N         how many runs of each (20)\n"
        "  --seed N          the first seed (1)\n"
        "  --defence NAMES   firedoor,none,throttle,stop5,decoy5,decoy20,placed5,url5 or\n"
        "                    all\n"
        "  --traps NAMES     honest habits that look like a worm: B1,B4 or all\n"
        "  --traps-after S   seconds from a worm's first copy to the traps (0: as soon as it is "
        "out)\n"
        "  --guard K=V       another constant of the guard, as in firedoor.conf(5);\n"
        "                    without=relay leaves out a kind of evidence\n"
        "  --decoys SHARE    of people who have a decoy of the guard among their contacts, those\n"
        "                    whom `firedoorctl decoy place` would choose (0)\n"
        "  --protect NATS    links lead to a page that asks the guard, and warns from so much\n"
        "                    evidence on (0: they do not; the server's default is 8)\n"
        "  --learn SHARE     of the trace that the guard has seen before the worm (0.4)\n"
        "  --days N          of the trace after that (14)\n"
        "  --density N       the same traffic so many times faster (1)\n"
        "  --people N        of a model (2000)\n"
        "  --contacts N      mean, of a model (20)\n"
        "  --graph-kind K    of a model: ba, ws, er (ba)\n"
        "  --roster ORDER    in which clients know contacts: met, address (met)\n"
        "  --messages N      a person writes in a day of a model (40)\n"
        "  --learn-hours N   of a model before the worm (8)\n"
        "  --hours N         after it (8)\n"
        "  --family FILE     of a search: lines of a habit and its values, or least..most\n"
        "  --budget N        worms that a search tries (200)\n"
        "  --confirm N       its worst are run again, each with N other seeds, and ranked by that\n"
        "                    alone (0: they are not)\n"
        "  --jobs N          processes that share its runs; it finds the same with any number (1)\n"
        "  --keep DIR        where a search leaves the worst three\n"
        "  --format F        table or json\n"
        "  --show            print the guard's incidents too\n\n"
        "Worms:\n",
        worm_settings_help);
    for (const struct worm_profile *worm = worm_profiles; worm->name != NULL; worm++)
        fprintf(to, "  %-8s %s: %s\n", worm->name, worm->title, worm->tells);
    fprintf(to, "\nTraps:\n");
    for (const struct trap *trap = traps; trap->name != NULL; trap++)
        fprintf(to, "  %-8s %s\n", trap->name, trap->tells);
}

static enum err add_worms(struct lab *lab, struct str names, struct why *why)
{
    bool all = str_eq(names, STR("all"));
    for (const struct worm_profile *worm = worm_profiles; all && worm->name != NULL; worm++) {
        must(lab->n_worms < WORMS_MOST);
        lab->worms[lab->n_worms++] = *worm;
    }
    while (!all && names.at != NULL) {
        struct str name = str_cut(&names, ',');
        const struct worm_profile *worm = worm_find(name);
        if (worm == NULL)
            return why_say(why, ERR_MALFORMED, "%.*s: no such worm; see --help", STR_ARGS(name));
        if (lab->n_worms == WORMS_MOST)
            return why_say(why, ERR_LIMIT, "more than %d worms", WORMS_MOST);
        lab->worms[lab->n_worms++] = *worm;
    }
    return OK;
}

static enum err read_defences(struct experiment *experiment, struct str names, struct why *why)
{
    experiment->n_defences = 0;
    bool all = str_eq(names, STR("all"));
    for (int kind = 0; all && kind < N_DEFENCES; kind++)
        experiment->defences[experiment->n_defences++] = (enum defence_kind)kind;
    while (!all && names.at != NULL) {
        struct str name = str_cut(&names, ',');
        enum defence_kind kind;
        if (!defence_find(name, &kind))
            return why_say(why, ERR_MALFORMED, "%.*s: no such defence; see --help", STR_ARGS(name));
        if (experiment->n_defences == N_DEFENCES)
            return why_say(why, ERR_MALFORMED, "a defence is named twice");
        experiment->defences[experiment->n_defences++] = kind;
    }
    return OK;
}

static enum err read_opens(struct lab *lab, struct str chances, struct why *why)
{
    lab->n_opens = 0;
    while (chances.at != NULL) {
        if (lab->n_opens == OPENS_MOST)
            return why_say(why, ERR_LIMIT, "more than %d chances", OPENS_MOST);
        enum err e = number_read(str_cut(&chances, ','), 0, 1, &lab->opens[lab->n_opens++], why);
        if (e != OK)
            return e;
    }
    return OK;
}

enum option_id {
    OPT_TRACE = 256,
    OPT_TEXTS,
    OPT_GRAPH,
    OPT_WORM,
    OPT_WORM_SET,
    OPT_PEOPLE_SET,
    OPT_OPEN,
    OPT_SEEDS,
    OPT_SEED,
    OPT_DEFENCE,
    OPT_TRAPS,
    OPT_TRAPS_AFTER,
    OPT_GUARD,
    OPT_DECOYS,
    OPT_PROTECT,
    OPT_LEARN,
    OPT_DAYS,
    OPT_DENSITY,
    OPT_PEOPLE,
    OPT_CONTACTS,
    OPT_GRAPH_KIND,
    OPT_ROSTER,
    OPT_MESSAGES,
    OPT_LEARN_HOURS,
    OPT_HOURS,
    OPT_FAMILY,
    OPT_BUDGET,
    OPT_CONFIRM,
    OPT_JOBS,
    OPT_KEEP,
    OPT_FORMAT,
    OPT_SHOW,
    OPT_HELP,
    OPT_VERSION,
};

static const struct option options[] = {
    {"trace",       required_argument, NULL, OPT_TRACE      },
    {"texts",       required_argument, NULL, OPT_TEXTS      },
    {"graph",       required_argument, NULL, OPT_GRAPH      },
    {"worm",        required_argument, NULL, OPT_WORM       },
    {"worm-set",    required_argument, NULL, OPT_WORM_SET   },
    {"people-set",  required_argument, NULL, OPT_PEOPLE_SET },
    {"open",        required_argument, NULL, OPT_OPEN       },
    {"seeds",       required_argument, NULL, OPT_SEEDS      },
    {"seed",        required_argument, NULL, OPT_SEED       },
    {"defence",     required_argument, NULL, OPT_DEFENCE    },
    {"traps",       required_argument, NULL, OPT_TRAPS      },
    {"traps-after", required_argument, NULL, OPT_TRAPS_AFTER},
    {"guard",       required_argument, NULL, OPT_GUARD      },
    {"decoys",      required_argument, NULL, OPT_DECOYS     },
    {"protect",     required_argument, NULL, OPT_PROTECT    },
    {"learn",       required_argument, NULL, OPT_LEARN      },
    {"days",        required_argument, NULL, OPT_DAYS       },
    {"density",     required_argument, NULL, OPT_DENSITY    },
    {"people",      required_argument, NULL, OPT_PEOPLE     },
    {"contacts",    required_argument, NULL, OPT_CONTACTS   },
    {"graph-kind",  required_argument, NULL, OPT_GRAPH_KIND },
    {"roster",      required_argument, NULL, OPT_ROSTER     },
    {"messages",    required_argument, NULL, OPT_MESSAGES   },
    {"learn-hours", required_argument, NULL, OPT_LEARN_HOURS},
    {"hours",       required_argument, NULL, OPT_HOURS      },
    {"family",      required_argument, NULL, OPT_FAMILY     },
    {"budget",      required_argument, NULL, OPT_BUDGET     },
    {"confirm",     required_argument, NULL, OPT_CONFIRM    },
    {"jobs",        required_argument, NULL, OPT_JOBS       },
    {"keep",        required_argument, NULL, OPT_KEEP       },
    {"format",      required_argument, NULL, OPT_FORMAT     },
    {"show",        no_argument,       NULL, OPT_SHOW       },
    {"help",        no_argument,       NULL, OPT_HELP       },
    {"version",     no_argument,       NULL, OPT_VERSION    },
    {NULL,          0,                 NULL, 0              },
};

/* Settings that need a worm are kept until all worms are known. */
struct settings {
    struct str at[64];
    size_t n;
};

static enum err keep_setting(struct settings *settings, const char *value, struct why *why)
{
    if (settings->n == COUNT_OF(settings->at))
        return why_say(why, ERR_LIMIT, "too many settings");
    settings->at[settings->n++] = str_of(value);
    return OK;
}

static enum err read_setting(struct lab *lab, int id, const char *value, struct why *why)
{
    struct str key, setting;
    enum err e = setting_cut(str_of(value), &key, &setting, why);
    if (e != OK)
        return e;
    if (id == OPT_PEOPLE_SET)
        return habits_set(&lab->experiment.habits, key, setting, why);
    return guard_config_set(&lab->experiment.guard_config, key, setting, why);
}

static enum err read_number(struct lab *lab, int id, const char *value, struct why *why)
{
    struct experiment *x = &lab->experiment;
    double people = x->people, seeds = x->n_seeds, seed = (double)x->first_seed;
    const struct {
        int id;
        double *at, least, most;
    } rows[] = {
        {OPT_SEEDS,       &seeds,             1,     100000   },
        {OPT_SEED,        &seed,              0,     1e15     },
        {OPT_DECOYS,      &x->decoys,         0,     1        },
        {OPT_PROTECT,     &x->protect_nats,   0,     1000     },
        {OPT_LEARN,       &x->learn,          0,     1        },
        {OPT_DAYS,        &x->days,           0,     36500    },
        {OPT_DENSITY,     &x->density,        0.001, 100000   },
        {OPT_PEOPLE,      &people,            2,     5e6      },
        {OPT_CONTACTS,    &x->contacts,       1,     10000    },
        {OPT_MESSAGES,    &x->messages_a_day, 0.01,  100000   },
        {OPT_LEARN_HOURS, &x->learn_hours,    0,     100000   },
        {OPT_HOURS,       &x->hours,          0,     100000   },
        {OPT_TRAPS_AFTER, &x->traps_after_s,  0,     1e6      },
        {OPT_BUDGET,      &lab->budget,       1,     1e6      },
        {OPT_CONFIRM,     &lab->confirm,      0,     100000   },
        {OPT_JOBS,        &lab->jobs,         1,     CREW_MOST},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].id != id)
            continue;
        enum err e = number_read(str_of(value), rows[i].least, rows[i].most, rows[i].at, why);
        x->people = (uint32_t)people;
        x->n_seeds = (unsigned)seeds;
        x->first_seed = (uint64_t)seed;
        return e;
    }
    return why_say(why, ERR_MALFORMED, "see --help");
}

static enum err read_option(struct lab *lab, struct settings *worm_settings, int id,
                            const char *value, struct why *why)
{
    struct str text = str_of(value);
    switch (id) {
    case OPT_TRACE:
        lab->trace_file = value;
        return OK;
    case OPT_TEXTS:
        lab->texts_file = value;
        return OK;
    case OPT_GRAPH:
        lab->graph_file = value;
        return OK;
    case OPT_FAMILY:
        lab->family_file = value;
        return OK;
    case OPT_KEEP:
        lab->keep = value;
        return OK;
    case OPT_WORM:
        return add_worms(lab, text, why);
    case OPT_WORM_SET:
        return keep_setting(worm_settings, value, why);
    case OPT_PEOPLE_SET:
    case OPT_GUARD:
        return read_setting(lab, id, value, why);
    case OPT_OPEN:
        return read_opens(lab, text, why);
    case OPT_DEFENCE:
        return read_defences(&lab->experiment, text, why);
    case OPT_TRAPS:
        return traps_read(text, TRAPS_MOST, lab->traps, &lab->n_traps, why);
    case OPT_GRAPH_KIND:
        return graph_kind_find(text, &lab->experiment.graph_kind)
                   ? OK
                   : why_say(why, ERR_MALFORMED, "%s: no such kind of graph", value);
    case OPT_ROSTER:
        return roster_order_find(text, &lab->experiment.roster)
                   ? OK
                   : why_say(why, ERR_MALFORMED, "%s: met or address", value);
    case OPT_FORMAT:
        lab->json = str_eq(text, STR("json"));
        return lab->json || str_eq(text, STR("table"))
                   ? OK
                   : why_say(why, ERR_MALFORMED, "%s: table or json", value);
    case OPT_SHOW:
        lab->experiment.shows = true;
        return OK;
    case '?':
        return why_say(why, ERR_MALFORMED, "see --help");
    default:
        return read_number(lab, id, value, why);
    }
}

static enum err set_worms(struct lab *lab, const struct settings *settings, struct why *why)
{
    for (size_t i = 0; i < settings->n; i++) {
        struct str key, value;
        enum err e = setting_cut(settings->at[i], &key, &value, why);
        for (size_t k = 0; e == OK && k < lab->n_worms; k++)
            e = worm_set(&lab->worms[k].habits, key, value, why);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err check_lab(struct lab *lab, struct why *why)
{
    bool is_model = lab->command == MODEL ||
                    (lab->command == SEARCH && lab->trace_file == NULL && lab->texts_file == NULL);
    bool needs_files = !is_model;
    if (needs_files && lab->trace_file == NULL && lab->command != TEXTS)
        return why_say(why, ERR_MALFORMED, "--trace is missing; see --help");
    if (needs_files && lab->texts_file == NULL)
        return why_say(why, ERR_MALFORMED, "--texts is missing; see --help");
    if (!needs_files && (lab->trace_file != NULL || lab->graph_file != NULL))
        return why_say(why, ERR_MALFORMED, "a model makes its own traffic and graph");
    if (lab->command == TEXTS &&
        (lab->trace_file != NULL || lab->graph_file != NULL || lab->n_worms > 0))
        return why_say(why, ERR_MALFORMED, "texts alone are compared: no trace, graph or worm");
    if (lab->command == RUN && lab->n_worms == 0)
        return why_say(why, ERR_MALFORMED, "--worm is missing; see --help");
    if (lab->command == HONEST && lab->n_worms > 0)
        return why_say(why, ERR_MALFORMED, "honest traffic has no worm");
    if (lab->command == SEARCH && lab->family_file == NULL)
        return why_say(why, ERR_MALFORMED, "--family is missing; see --help");
    if (lab->command == SEARCH && lab->n_worms > 0)
        return why_say(why, ERR_MALFORMED, "a family names its own worm");
    if (lab->n_opens == 0)
        lab->opens[lab->n_opens++] = lab->experiment.open;
    return OK;
}

/* ---- Running ---- */

static enum err read_files(struct lab *lab, struct why *why)
{
    struct prng prng = {1}; // each run shuffles anew
    struct experiment *x = &lab->experiment;
    enum err e = texts_read(&x->texts, lab->texts_file, &prng, why);
    if (e != OK || lab->trace_file == NULL)
        return e;
    struct names names;
    names_init(&names);
    e = trace_read(&lab->trace, lab->trace_file, &names, why);
    if (e == OK && lab->graph_file != NULL)
        e = graph_read_named(&x->graph, lab->graph_file, &names, why);
    else if (e == OK)
        trace_graph(&lab->trace, names.n, &x->graph);
    names_done(&names);
    x->trace = &lab->trace;
    return e;
}

static void run_defences(struct lab *lab)
{
    const struct experiment *x = &lab->experiment;
    for (size_t i = 0; i < x->n_defences; i++) {
        struct result result = experiment_run(x, lab->rules, x->defences[i]);
        if (lab->json)
            must(json_array_append_new(lab->results, result_json(&result)) == 0);
        else
            result_table_row(stdout, &result);
        fflush(stdout);
        result_done(&result);
    }
}

static void set_traps(struct experiment *experiment, const struct trap *const *chosen, size_t n)
{
    experiment->n_traps = n;
    for (size_t i = 0; i < n; i++)
        experiment->traps[i] = chosen[i];
}

static void run_all(struct lab *lab)
{
    struct experiment *x = &lab->experiment;
    bool is_honest = lab->n_worms == 0;
    if (!lab->json)
        result_table_head(stdout, is_honest);
    for (size_t i = 0; i < lab->n_worms; i++) {
        x->worm = &lab->worms[i];
        set_traps(x, lab->traps, lab->n_traps);
        for (size_t k = 0; k < lab->n_opens; k++) {
            x->open = lab->opens[k];
            run_defences(lab);
        }
    }
    if (!is_honest)
        return;
    x->open = lab->opens[0];
    run_defences(lab);
    for (size_t i = 0; i < lab->n_traps; i++) { // each for itself
        set_traps(x, &lab->traps[i], 1);
        run_defences(lab);
    }
}

static json_t *found_json(const struct search *search, const struct found *found,
                          const struct family *family)
{
    json_t *json = result_json(&found->result), *settings = json_object();
    for (size_t k = 0; k < family->n_genes; k++)
        json_object_set_new(settings, family->genes[k].key.at, json_string(found->worm.values[k]));
    json_object_set_new(json, "settings", settings);
    if (search->is_confirmed)
        json_object_set_new(json, "searched", json_real(found->searched));
    return json;
}

static void print_found(const struct search *search, const struct family *family)
{
    uint32_t people = search->n > 0 ? search->worst[0].result.people : 0;
    if (search->is_confirmed)
        printf("%u tried, the worst run again from seed %llu on; infected of %u people (95 %%), in "
               "the search, until conviction, settings\n",
               search->n_tried, (unsigned long long)search->first_seed, people);
    else
        printf("%u tried; infected of %u people (95 %%), until conviction, settings\n",
               search->n_tried, people);
    for (size_t i = 0; i < search->n; i++) {
        const struct found *found = &search->worst[i];
        printf("%9.1f (%.0f)", series_mean(&found->result.infected),
               series_percentile(&found->result.infected, 0.95));
        if (search->is_confirmed)
            printf(" %9.1f", found->searched);
        if (found->result.seconds.n > 0)
            printf(" %10.1f s  ", series_mean(&found->result.seconds));
        else
            printf(" %12s  ", "never");
        search_print_settings(stdout, family, &found->worm);
        putchar('\n');
    }
}

static enum err run_search(struct lab *lab, struct why *why)
{
    struct family family;
    struct search search;
    struct experiment *x = &lab->experiment;
    enum err e = family_read(&family, lab->family_file, why);
    if (e != OK)
        return e;
    x->open = lab->opens[0];
    set_traps(x, lab->traps, lab->n_traps);
    struct search_plan plan = {.experiment = x,
                               .rules = lab->rules,
                               .family = &family,
                               .budget = (unsigned)lab->budget,
                               .n_processes = (unsigned)lab->jobs};
    e = search_run(&search, &plan, why);
    if (e == OK && lab->confirm > 0)
        e = search_confirm(&search, &plan, (unsigned)lab->confirm, why);
    if (e == OK && !lab->json)
        print_found(&search, &family);
    for (size_t i = 0; e == OK && lab->json && i < search.n; i++)
        json_array_append_new(lab->results, found_json(&search, &search.worst[i], &family));
    if (e == OK && lab->keep != NULL) {
        const char *slash = strrchr(lab->family_file, '/');
        e = search_keep(&search, &family, lab->keep, slash != NULL ? slash + 1 : lab->family_file,
                        3, why);
    }
    search_done(&search);
    family_done(&family);
    return e;
}

static void run_texts(struct lab *lab)
{
    struct alike alike;
    alike_measure(lab->rules, lab->experiment.texts, lab->experiment.first_seed, &alike);
    if (!lab->json)
        printf("%-28s %9s %26s %6s\n", "dressed up as", "known %", "others, per million pairs",
               "ns");
    for (size_t i = 0; i < alike.n; i++) {
        const struct alike_row *row = &alike.rows[i];
        double known = row->n > 0 ? 100.0 * (double)row->n_alike / (double)row->n : 0;
        double others = row->pairs > 0 ? 1e6 * (double)row->n_others / (double)row->pairs : 0;
        if (lab->json)
            json_array_append_new(lab->results,
                                  json_pack("{s:s, s:I, s:f, s:I, s:f, s:f}", "dress", row->dress,
                                            "texts", (json_int_t)row->n, "known_percent", known,
                                            "pairs", (json_int_t)row->pairs, "others_per_million",
                                            others, "shape_ns", row->shape_ns));
        else
            printf("%-28s %9.1f %26.1f %6.0f\n", row->dress, known, others, row->shape_ns);
    }
}

static enum err print_results(const struct lab *lab, struct why *why)
{
    if (lab->json) {
        char *text = json_dumps(lab->results, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
        must(text != NULL);
        puts(text);
        free(text);
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return why_say(why, ERR_IO, "the results could not be written: %s", strerror(errno));
    return OK;
}

static enum command command_of(int argc, char **argv, int *first)
{
    *first = 1;
    if (argc < 2 || argv[1][0] == '-')
        return RUN;
    *first = 2;
    struct str name = str_of(argv[1]);
    if (str_eq(name, STR("honest")))
        return HONEST;
    if (str_eq(name, STR("model")))
        return MODEL;
    if (str_eq(name, STR("search")))
        return SEARCH;
    if (str_eq(name, STR("texts")))
        return TEXTS;
    *first = 1; // getopt will find that it is no option
    return RUN;
}

int main(int argc, char **argv)
{
    struct lab lab = {.budget = 200, .jobs = 1};
    struct settings worm_settings = {0};
    struct why why = {0};
    int first, id;
    random_start();
    experiment_default(&lab.experiment);
    lab.command = command_of(argc, argv, &first);
    optind = first;
    enum err e = OK;
    while (e == OK && (id = getopt_long(argc, argv, "", options, NULL)) != -1) { // NOLINT
        if (id == OPT_HELP) {
            print_help(stdout);
            return 0;
        }
        if (id == OPT_VERSION) {
            puts("firedoor-lab " FIREDOOR_VERSION);
            return 0;
        }
        e = read_option(&lab, &worm_settings, id, optarg, &why);
    }
    if (e == OK && optind < argc)
        e = why_say(&why, ERR_MALFORMED, "%s: not understood; see --help", argv[optind]);
    if (e == OK)
        e = set_worms(&lab, &worm_settings, &why);
    if (e == OK)
        e = check_lab(&lab, &why);
    if (e != OK) {
        fprintf(stderr, "firedoor-lab: %s\n", why.text);
        return 2;
    }
    e = read_files(&lab, &why);
    if (e == OK) {
        lab.rules = lure_rules_new();
        lab.results = json_array();
        if (lab.command == SEARCH)
            e = run_search(&lab, &why);
        else if (lab.command == TEXTS)
            run_texts(&lab);
        else
            run_all(&lab);
        if (e == OK)
            e = print_results(&lab, &why);
        json_decref(lab.results);
        lure_rules_free(&lab.rules);
    }
    if (e != OK)
        fprintf(stderr, "firedoor-lab: %s\n", why.text);
    texts_free(&lab.experiment.texts);
    trace_done(&lab.trace);
    graph_done(&lab.experiment.graph);
    return e == OK ? 0 : 1;
}
