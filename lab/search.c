#include "lab/search.h"

#include "base/must.h"

#include <errno.h>

enum { PARENTS = 8, PURPOSE_SEARCH = 50 };

// More than --seeds allows: no confirming run shares a seed with the search.
enum { CONFIRM_SEEDS_AFTER = 1000000 };

static bool is_known(const struct search *search, const struct family *family,
                     const struct member_worm *worm)
{
    for (size_t i = 0; i < search->n; i++) {
        size_t same = 0;
        while (same < family->n_genes &&
               strcmp(search->worst[i].worm.values[same], worm->values[same]) == 0)
            same++;
        if (same == family->n_genes)
            return true;
    }
    return false;
}

static void keep_if_worst(struct search *search, const struct member_worm *worm,
                          struct result *result, double searched)
{
    double infected = series_mean(&result->infected);
    size_t at = search->n;
    while (at > 0 && series_mean(&search->worst[at - 1].result.infected) < infected)
        at--;
    if (at == FOUND_MOST) {
        result_done(result);
        return;
    }
    if (search->n == FOUND_MOST)
        result_done(&search->worst[--search->n].result);
    memmove(search->worst + at + 1, search->worst + at, (search->n - at) * sizeof *search->worst);
    search->worst[at] = (struct found){*worm, *result, searched};
    search->n++;
}

void search_run(struct search *search, const struct experiment *experiment,
                const struct lure_rules *rules, const struct family *family, unsigned budget)
{
    struct prng prng = prng_of(experiment->first_seed, 0, PURPOSE_SEARCH);
    *search = (struct search){.first_seed = experiment->first_seed};
    for (; search->n_tried < budget; search->n_tried++) {
        struct member_worm worm;
        struct experiment one = *experiment;
        size_t parents = search->n < PARENTS ? search->n : PARENTS;
        if (parents == 0 || search->n_tried < budget / 2)
            family_draw(family, &prng, &worm);
        else
            family_mutate(family, &prng, &search->worst[prng_below(&prng, parents)].worm, &worm);
        if (is_known(search, family, &worm))
            continue;
        one.worm = &worm.profile;
        one.untimed = true;
        struct result result = experiment_run(&one, rules, DEFENCE_FIREDOOR);
        keep_if_worst(search, &worm, &result, series_mean(&result.infected));
    }
}

void search_confirm(struct search *search, const struct experiment *experiment,
                    const struct lure_rules *rules, unsigned n_seeds)
{
    struct search confirmed = *search;
    confirmed.n = 0;
    confirmed.is_confirmed = true;
    confirmed.first_seed = experiment->first_seed + CONFIRM_SEEDS_AFTER;
    for (size_t i = 0; i < search->n; i++) {
        struct found *found = &search->worst[i];
        struct experiment one = *experiment;
        one.worm = &found->worm.profile;
        one.untimed = true;
        one.first_seed = confirmed.first_seed;
        one.n_seeds = n_seeds;
        struct result result = experiment_run(&one, rules, DEFENCE_FIREDOOR);
        keep_if_worst(&confirmed, &found->worm, &result, found->searched);
        result_done(&found->result);
    }
    *search = confirmed;
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
