#include "town/roster.h"

#include "base/must.h"
#include "town/people.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PURPOSE_ROSTER = 29 };

bool roster_order_find(struct str name, enum roster_order *out)
{
    bool met = str_eq(name, STR("met"));
    if (!met && !str_eq(name, STR("address")))
        return false;
    *out = met ? ROSTER_MET : ROSTER_ADDRESS;
    return true;
}

static void shuffle(uint64_t seed, uint32_t person, uint32_t *places, uint32_t n)
{
    struct prng prng = prng_of(seed, person, PURPOSE_ROSTER);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t other = (uint32_t)prng_below(&prng, k + 1);
        places[k] = places[other];
        places[other] = k;
    }
}

struct entry {
    char local[34]; // with the '@' that ends it: it counts where one name begins another
    uint32_t contact;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->local, ((const struct entry *)b)->local);
}

static void sort(const uint32_t *contacts, uint32_t *places, uint32_t n)
{
    struct entry *entries = calloc(n + 1, sizeof *entries);
    must(entries != NULL);
    for (uint32_t k = 0; k < n; k++) {
        char name[32];
        town_name(contacts[k], name);
        snprintf(entries[k].local, sizeof entries[k].local, "%s@", name);
        entries[k].contact = k;
    }
    qsort(entries, n, sizeof *entries, compare);
    for (uint32_t place = 0; place < n; place++)
        places[entries[place].contact] = place;
    free(entries);
}

void roster_places(const struct graph *graph, uint32_t person, enum roster_order order,
                   uint64_t seed, uint32_t *places)
{
    uint32_t n = graph_degree(graph, person);
    if (order == ROSTER_MET)
        shuffle(seed, person, places, n);
    else
        sort(graph_contacts(graph, person), places, n);
}

void town_name(uint32_t person, char out[32])
{
    static const char *const first[] = {
        "anna",  "boris",  "carla", "david", "elena",  "felix",  "gina",  "hugo",  "ines",  "jonas",
        "karin", "lukas",  "maria", "nils",  "olga",   "paul",   "quinn", "rosa",  "sven",  "tanja",
        "ute",   "viktor", "wanda", "xaver", "yasmin", "zoltan", "agnes", "bruno", "clara", "denis",
    };
    static const char *const last[] = {
        "adler",  "baker",  "costa",  "dubois", "ek",    "fischer", "garcia", "hansen",
        "ivanov", "jansen", "kovacs", "lang",   "meyer", "novak",   "olsen",  "petrov",
        "quist",  "rossi",  "silva",  "toth",   "urban", "vogel",   "weber",  "young",
    };
    uint32_t n_first = COUNT_OF(first), n_last = COUNT_OF(last);
    uint32_t round = person / n_first;
    const char *given = first[person % n_first], *family = last[(round + person) % n_last];
    // for one given name the family names repeat after n_last rounds
    if (round < n_last)
        snprintf(out, 32, "%s.%s", given, family);
    else
        snprintf(out, 32, "%s.%s%u", given, family, round / n_last + 1);
}
