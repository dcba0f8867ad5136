#include "lab/search.h"

#include "base/must.h"
#include "lab/crew.h"

#include <errno.h>

enum { ISLAND = 500, GENERATION = 16, PARENTS = 8, DOUBT_SEEDS = 8, PURPOSE_SEARCH = 50 };

// More than --seeds allows: no confirming run shares a seed with the search.
enum { CONFIRM_SEEDS_AFTER = 1000000 };

static bool is_same(const struct family *family, const struct member_worm *a,
                    const struct member_worm *b)
{
    for (size_t i = 0; i < family->n_genes; i++)
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    return true;
}

static bool is_among(const struct found *found, size_t n, const struct family *family,
                     const struct member_worm *worm)
{
    for (size_t i = 0; i < n; i++)
        if (is_same(family, &found[i].worm, worm))
            return true;
    return false;
}

static double mean_of(const struct found *found)
{
    return series_mean(&found->result.infected);
}

/* Takes the result. */
static void keep_if_worst(struct search *search, struct found *found)
{
    double infected = mean_of(found);
    size_t at = search->n;
    while (at > 0 && mean_of(&search->worst[at - 1]) < infected)
        at--;
    if (at == FOUND_MOST) {
        result_done(&found->result);
        return;
    }
    if (search->n == FOUND_MOST)
        result_done(&search->worst[--search->n].result);
    memmove(search->worst + at + 1, search->worst + at, (search->n - at) * sizeof *search->worst);
    search->worst[at] = *found;
    search->n++;
}

static struct result no_run_yet(const struct search_plan *plan, const struct member_worm *worm)
{
    struct experiment one = *plan->experiment;
    one.worm = &worm->profile;
    return experiment_result(&one, DEFENCE_FIREDOOR);
}

/* One run more of each, with the seed that is its next. */
static enum err run_each(const struct search_plan *plan, uint64_t first_seed,
                         struct found *const *which, size_t n, struct why *why)
{
    struct task tasks[FOUND_MOST];
    must(n <= FOUND_MOST);
    for (size_t i = 0; i < n; i++)
        tasks[i] = (struct task){.worm = &which[i]->worm.profile,
                                 .seed = first_seed + which[i]->result.n_seeds};
    enum err e = crew_run(tasks, n, plan->experiment, plan->rules, plan->n_processes, why);
    for (size_t i = 0; e == OK && i < n; i++)
        result_add(&which[i]->result, &tasks[i].run);
    return e;
}

/* Runs the young over the seeds of an evaluation; whoever infects hardly anybody, compared with
 * those that are kept, is given up before. */
static enum err evaluate(const struct search *search, const struct search_plan *plan,
                         struct found *young, size_t n, struct why *why)
{
    struct found *left[GENERATION];
    size_t n_left = n;
    double hopeless = search->n == FOUND_MOST ? mean_of(&search->worst[FOUND_MOST - 1]) / 2 : 0;
    for (size_t i = 0; i < n; i++)
        left[i] = &young[i];
    enum err e = OK;
    for (unsigned seed = 0; e == OK && seed < plan->experiment->n_seeds; seed++) {
        e = run_each(plan, search->first_seed, left, n_left, why);
        size_t n_were = n_left;
        n_left = 0;
        for (size_t i = 0; i < n_were; i++)
            if (mean_of(left[i]) >= hopeless)
                left[n_left++] = left[i];
    }
    return e;
}

/* A run more for the worst that have had few: who was only lucky makes room for others. */
static enum err doubt(struct search *search, const struct search_plan *plan, struct why *why)
{
    struct found *which[PARENTS];
    size_t n = 0;
    for (size_t i = 0; i < search->n && n < PARENTS; i++)
        if (search->worst[i].result.n_seeds < DOUBT_SEEDS)
            which[n++] = &search->worst[i];
    enum err e = run_each(plan, search->first_seed, which, n, why);
    struct search again = *search;
    again.n = 0;
    for (size_t i = 0; i < search->n; i++)
        keep_if_worst(&again, &search->worst[i]);
    *search = again;
    return e;
}

static void breed(const struct search *search, const struct family *family, struct prng *prng,
                  struct member_worm *out)
{
    size_t parents = search->n < PARENTS ? search->n : PARENTS;
    const struct found *mother = &search->worst[prng_below(prng, parents)];
    const struct found *father = &search->worst[prng_below(prng, parents)];
    struct member_worm child;
    family_cross(family, prng, &mother->worm, &father->worm, &child);
    family_mutate(family, prng, &child, out);
}

/* One search of its own, from nothing. */
static enum err explore(struct search *search, const struct search_plan *plan, unsigned budget,
                        struct prng *prng, struct why *why)
{
    const struct family *family = plan->family;
    const unsigned half = (budget + 1) / 2;
    enum err e = OK;
    *search = (struct search){.first_seed = plan->experiment->first_seed};
    while (e == OK && search->n_tried < budget) {
        bool breeds = search->n_tried >= half;
        unsigned until = breeds ? budget : half;
        struct found young[GENERATION];
        size_t n = 0;
        if (breeds)
            e = doubt(search, plan, why);
        for (unsigned i = 0; e == OK && i < GENERATION && search->n_tried < until; i++) {
            struct found *one = &young[n];
            search->n_tried++;
            if (breeds)
                breed(search, family, prng, &one->worm);
            else
                family_draw(family, prng, &one->worm);
            if (is_among(search->worst, search->n, family, &one->worm) ||
                is_among(young, n, family, &one->worm))
                continue;
            one->result = no_run_yet(plan, &one->worm);
            n++;
        }
        if (e == OK)
            e = evaluate(search, plan, young, n, why);
        for (size_t i = 0; i < n; i++)
            keep_if_worst(search, &young[i]);
    }
    return e;
}

enum err search_run(struct search *search, const struct search_plan *plan, struct why *why)
{
    struct prng prng = prng_of(plan->experiment->first_seed, 0, PURPOSE_SEARCH);
    *search = (struct search){.first_seed = plan->experiment->first_seed};
    enum err e = OK;
    while (e == OK && search->n_tried < plan->budget) {
        unsigned left = plan->budget - search->n_tried;
        struct search island;
        e = explore(&island, plan, left < 2 * ISLAND ? left : ISLAND, &prng, why);
        search->n_tried += island.n_tried;
        for (size_t i = 0; i < island.n; i++) {
            struct found *found = &island.worst[i];
            if (is_among(search->worst, search->n, plan->family, &found->worm))
                result_done(&found->result);
            else
                keep_if_worst(search, found);
        }
    }
    return e;
}

enum err search_confirm(struct search *search, const struct search_plan *plan, unsigned n_seeds,
                        struct why *why)
{
    struct search confirmed = {.n_tried = search->n_tried,
                               .is_confirmed = true,
                               .first_seed = search->first_seed + CONFIRM_SEEDS_AFTER};
    const size_t n = search->n;
    struct found *all[FOUND_MOST];
    for (size_t i = 0; i < n; i++) {
        all[i] = &search->worst[i];
        all[i]->searched = mean_of(all[i]);
        result_done(&all[i]->result);
        all[i]->result = no_run_yet(plan, &all[i]->worm);
    }
    enum err e = OK;
    for (unsigned seed = 0; e == OK && seed < n_seeds; seed++)
        e = run_each(plan, confirmed.first_seed, all, n, why);
    for (size_t i = 0; i < n; i++)
        keep_if_worst(&confirmed, all[i]);
    *search = confirmed;
    return e;
}

void search_done(struct search *search)
{
    for (size_t i = 0; i < search->n; i++)
        result_done(&search->worst[i].result);
    *search = (struct search){0};
}

void search_print_settings(FILE *to, const struct family *family, const struct member_worm *worm)
{
    fprintf(to, "base=%s", family->base->name);
    for (size_t i = 0; i < family->n_genes; i++)
        fprintf(to, " %.*s=%s", STR_ARGS(family->genes[i].key), worm->values[i]);
}

enum err search_keep(const struct search *search, const struct family *family,
                     const char *directory, const char *name, unsigned most, struct why *why)
{
    for (unsigned i = 0; i < most && i < search->n; i++) {
        char path[4096];
        const struct found *found = &search->worst[i];
        snprintf(path, sizeof path, "%s/%s-%u", directory, name, i + 1);
        FILE *file = fopen(path, "we");
        if (file == NULL)
            return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
        fprintf(file, "# infected %.1f of %u at %g when it was found",
                series_mean(&found->result.infected), found->result.people, found->result.open);
        if (search->is_confirmed)
            fprintf(file, "\n# (mean of %u seeds from %llu on, %.0f in one; %.1f in the search)",
                    found->result.n_seeds, (unsigned long long)search->first_seed,
                    series_percentile(&found->result.infected, 1), found->searched);
        fprintf(file, "\nbase %s\n", family->base->name);
        for (size_t k = 0; k < family->n_genes; k++)
            fprintf(file, "%.*s %s\n", STR_ARGS(family->genes[k].key), found->worm.values[k]);
        if (fclose(file) != 0)
            return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return OK;
}
