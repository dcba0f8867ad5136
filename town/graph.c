/*
 * Ties are collected as pairs, sorted, and laid out as one array of contacts.
 */
#include "town/graph.h"

#include "base/must.h"
#include "base/str.h"
#include "town/people.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PURPOSE_GRAPH = 6, PURPOSE_ZERO = 5, ZERO_CONTACTS = 5 };

struct tie {
    uint32_t a, b;
};

struct ties {
    struct tie *at;
    size_t n, room;
};

static void add_tie(struct ties *ties, uint32_t a, uint32_t b)
{
    if (ties->n + 2 > ties->room) {
        ties->room = ties->room == 0 ? 1024 : 2 * ties->room;
        ties->at = realloc(ties->at, ties->room * sizeof *ties->at);
        must(ties->at != NULL);
    }
    // both directions, so that sorting groups each person's contacts
    ties->at[ties->n++] = (struct tie){a, b};
    ties->at[ties->n++] = (struct tie){b, a};
}

static int compare_ties(const void *left, const void *right)
{
    const struct tie *a = left, *b = right;
    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    return a->b < b->b ? -1 : a->b > b->b;
}

/* Lays the ties out and frees them; doubles count once, ties to oneself not at all. */
static void lay_out(struct graph *graph, uint32_t people, struct ties *ties)
{
    if (ties->n > 0)
        qsort(ties->at, ties->n, sizeof *ties->at, compare_ties);
    graph->n_people = people;
    graph->first = calloc((size_t)people + 1, sizeof *graph->first);
    graph->contacts = malloc((ties->n + 1) * sizeof *graph->contacts);
    must(graph->first != NULL && graph->contacts != NULL);
    uint32_t n = 0;
    for (size_t i = 0; i < ties->n; i++) {
        struct tie tie = ties->at[i];
        if (tie.a == tie.b || (i > 0 && compare_ties(&ties->at[i - 1], &ties->at[i]) == 0))
            continue;
        graph->contacts[n++] = tie.b;
        graph->first[tie.a + 1] = n;
    }
    for (uint32_t i = 1; i <= people; i++) {
        if (graph->first[i] == 0)
            graph->first[i] = graph->first[i - 1];
    }
    graph->n_ties = n / 2;
    free(ties->at);
}

void graph_make(struct graph *graph, uint32_t people, double contacts, struct prng *prng)
{
    must(people >= 2 && contacts >= 1);
    // each newcomer brings m ties, each of which counts for two people
    double ties_each = contacts / 2;
    uint32_t least = (uint32_t)ties_each;
    double chance_of_more = ties_each - least;
    if (least == 0) {
        least = 1; // nobody is an island
        chance_of_more = 0;
    }
    struct ties ties = {0};
    for (uint32_t newcomer = 1; newcomer < people; newcomer++) {
        uint32_t wanted = least + (prng_unit(prng) < chance_of_more);
        if (wanted > newcomer)
            wanted = newcomer;
        size_t n_before = ties.n;
        for (uint32_t made = 0; made < wanted;) {
            uint32_t other = (uint32_t)prng_below(prng, newcomer); // now and then anybody
            // else an end of a random tie: a person drawn by number of contacts
            if (n_before > 0 && prng_below(prng, 20) != 0)
                other = ties.at[prng_below(prng, n_before)].a; // NOLINT: below n all are set
            bool known = false;
            for (size_t i = n_before; i < ties.n; i++)
                known |= ties.at[i].a == other;
            if (known)
                continue;
            add_tie(&ties, newcomer, other);
            made++;
        }
    }
    lay_out(graph, people, &ties);
}

static void make_small_world(struct graph *graph, uint32_t people, double contacts,
                             struct prng *prng)
{
    uint32_t sides = (uint32_t)(contacts / 2 + 0.5);
    struct ties ties = {0};
    for (uint32_t a = 0; a < people; a++) {
        for (uint32_t k = 1; k <= sides || k == 1; k++) {
            uint32_t b = (a + k) % people;
            if (prng_below(prng, 10) == 0)
                b = (uint32_t)prng_below(prng, people);
            add_tie(&ties, a, b);
        }
    }
    lay_out(graph, people, &ties);
}

static void make_random(struct graph *graph, uint32_t people, double contacts, struct prng *prng)
{
    uint64_t n = (uint64_t)(contacts * people / 2);
    struct ties ties = {0};
    for (uint64_t i = 0; i < n; i++) {
        uint32_t a = (uint32_t)prng_below(prng, people), b = (uint32_t)prng_below(prng, people);
        add_tie(&ties, a, b);
    }
    lay_out(graph, people, &ties);
}

bool graph_kind_find(struct str name, enum graph_kind *out)
{
    static const char *const names[] = {"ba", "ws", "er"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq(name, str_of(names[i]))) {
            *out = (enum graph_kind)i;
            return true;
        }
    }
    return false;
}

void graph_make_kind(struct graph *graph, enum graph_kind kind, uint32_t people, double contacts,
                     struct prng *prng)
{
    switch (kind) {
    case GRAPH_BA:
        graph_make(graph, people, contacts, prng);
        break;
    case GRAPH_WS:
        make_small_world(graph, people, contacts, prng);
        break;
    case GRAPH_ER:
        make_random(graph, people, contacts, prng);
        break;
    }
}

/* Keeps the people met first on a walk in breadth from a random one. */
static void keep_part(struct graph *graph, uint32_t people, struct prng *prng)
{
    uint32_t *queue = malloc(graph->n_people * sizeof *queue);
    uint32_t *number = malloc(graph->n_people * sizeof *number);
    must(queue != NULL && number != NULL);
    for (uint32_t i = 0; i < graph->n_people; i++)
        number[i] = UINT32_MAX;
    uint32_t n_met = 0, n_done = 0;
    while (n_met < people) {
        if (n_done == n_met) { // the first one, or another island
            uint32_t start = (uint32_t)prng_below(prng, graph->n_people);
            while (number[start] != UINT32_MAX)
                start = (start + 1) % graph->n_people;
            number[start] = n_met;
            queue[n_met++] = start;
        }
        uint32_t person = queue[n_done++];
        for (uint32_t i = 0; i < graph_degree(graph, person) && n_met < people; i++) {
            uint32_t other = graph_contacts(graph, person)[i];
            if (number[other] == UINT32_MAX) {
                number[other] = n_met;
                queue[n_met++] = other;
            }
        }
    }
    struct ties ties = {0};
    for (uint32_t a = 0; a < graph->n_people; a++) {
        for (uint32_t i = 0; number[a] != UINT32_MAX && i < graph_degree(graph, a); i++) {
            uint32_t b = graph_contacts(graph, a)[i];
            if (a < b && number[b] != UINT32_MAX)
                add_tie(&ties, number[a], number[b]);
        }
    }
    free(queue);
    free(number);
    graph_done(graph);
    lay_out(graph, people, &ties);
}

static enum err read_ties(struct ties *ties, struct names *names, const char *path, struct why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return why_say(why, ERR_IO, "%s: %s", path, strerror(errno));
    unsigned n_line = 0;
    enum err e = OK;
    char *line = NULL;
    size_t room = 0;
    for (ssize_t len; e == OK && (len = getline(&line, &room, file)) > 0;) {
        struct str rest = str_make(line, (size_t)len);
        struct str a = column_cut(&rest), b = column_cut(&rest);
        n_line++;
        if (a.len == 0 || a.at[0] == '#' || (n_line == 1 && str_eq(a, STR("from"))))
            continue;
        if (b.len == 0)
            e = why_say(why, ERR_MALFORMED, "%s:%u: a line names two people", path, n_line);
        if (e != OK || str_eq(a, b))
            continue;
        uint32_t of_a = names_number(names, a), of_b = names_number(names, b);
        add_tie(ties, of_a, of_b);
    }
    free(line);
    fclose(file);
    if (e == OK && names->n < 2)
        e = why_say(why, ERR_MALFORMED, "%s: no two people know each other", path);
    return e;
}

enum err graph_read_named(struct graph *graph, const char *path, struct names *names,
                          struct why *why)
{
    struct ties ties = {0};
    enum err e = read_ties(&ties, names, path, why);
    if (e != OK) {
        free(ties.at);
        return e;
    }
    lay_out(graph, names->n, &ties);
    return OK;
}

enum err graph_read(struct graph *graph, const char *path, uint32_t people, struct prng *prng,
                    struct why *why)
{
    struct names names;
    names_init(&names);
    enum err e = graph_read_named(graph, path, &names, why);
    if (e == OK && people != 0 && people < names.n)
        keep_part(graph, people, prng);
    names_done(&names);
    return e;
}

void graph_of_pairs(struct graph *graph, uint32_t people, const uint32_t (*pairs)[2], size_t n)
{
    struct ties ties = {0};
    for (size_t i = 0; i < n; i++)
        add_tie(&ties, pairs[i][0], pairs[i][1]);
    lay_out(graph, people, &ties);
}

struct prng graph_prng(uint64_t seed)
{
    return prng_of(seed, 0, PURPOSE_GRAPH);
}

static bool is_among(const uint32_t *people, uint32_t n, uint32_t person)
{
    for (uint32_t i = 0; i < n; i++) {
        if (people[i] == person)
            return true;
    }
    return false;
}

uint32_t graph_patients_zero(const struct graph *graph, uint64_t seed, uint32_t wanted,
                             uint32_t (*victims)(void *of, uint32_t person), void *of,
                             uint32_t *out)
{
    struct prng prng = prng_of(seed, 2, PURPOSE_ZERO);
    uint64_t patience = 20 * (uint64_t)graph->n_people; // draws before fewer must do
    uint32_t n = 0;
    for (uint64_t tries = 0; n < wanted && n < graph->n_people; tries++) {
        uint32_t person = (uint32_t)prng_below(&prng, graph->n_people), least = ZERO_CONTACTS;
        for (uint64_t more = patience; tries > more && least > 0; more += patience)
            least--;
        uint32_t can = victims != NULL ? victims(of, person) : graph_degree(graph, person);
        if (can >= least && !is_among(out, n, person))
            out[n++] = person;
    }
    return n;
}

void graph_done(struct graph *graph)
{
    free(graph->first);
    free(graph->contacts);
    *graph = (struct graph){0};
}

int32_t graph_contact_index(const struct graph *graph, uint32_t person, uint32_t other)
{
    const uint32_t *contacts = graph_contacts(graph, person);
    uint32_t low = 0, high = graph_degree(graph, person);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (contacts[middle] == other)
            return (int32_t)middle;
        if (contacts[middle] < other)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
