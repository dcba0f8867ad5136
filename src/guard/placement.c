#include "guard/placement.h"

#include "base/err.h"
#include "base/list.h"
#include "base/must.h"

#include <stdlib.h>

// How likely somebody opens what a worm sends: only the order of people hangs on it, and little.
static const double OPENS = 0.2;

struct own_graph {
    struct placement_graph graph;
    uint32_t *first, *contacts;
};

static int compare_pairs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Sorted, each once, and nobody his own contact.
static size_t tidy(uint64_t *pairs, size_t n)
{
    size_t kept = 0;
    qsort(pairs, n, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < n; i++)
        if (pairs[i] >> 32 != (uint32_t)pairs[i] && (kept == 0 || pairs[kept - 1] != pairs[i]))
            pairs[kept++] = pairs[i];
    return kept;
}

struct placement_graph *placement_graph_new(uint32_t n_people, uint64_t *pairs, size_t n_pairs)
{
    size_t n = tidy(pairs, n_pairs);
    must(n <= UINT32_MAX / 2);
    struct own_graph *own = calloc(1, sizeof *own);
    must(own != NULL);
    own->first = calloc((size_t)n_people + 2, sizeof *own->first);
    own->contacts = calloc(2 * n + 1, sizeof *own->contacts);
    must(own->first != NULL && own->contacts != NULL);
    for (size_t i = 0; i < n; i++) { // counted one place further: filling moves each to its own
        own->first[(uint32_t)(pairs[i] >> 32) + 2]++;
        own->first[(uint32_t)pairs[i] + 2]++;
    }
    for (uint32_t p = 0; p < n_people; p++)
        own->first[p + 2] += own->first[p + 1];
    for (size_t i = 0; i < n; i++) {
        uint32_t a = (uint32_t)(pairs[i] >> 32), b = (uint32_t)pairs[i];
        own->contacts[own->first[a + 1]++] = b;
        own->contacts[own->first[b + 1]++] = a;
    }
    own->graph = (struct placement_graph){n_people, own->first, own->contacts};
    return &own->graph;
}

void placement_graph_free(struct placement_graph **graph)
{
    struct placement_graph *g = TAKE(*graph);
    if (g == NULL)
        return;
    struct own_graph *own = CONTAINER_OF(g, struct own_graph, graph);
    free(own->first);
    free(own->contacts);
    free(own);
}

struct candidate {
    double gain;         // when last worked out; later it can only be less
    uint32_t person, at; // so many were chosen then
};

struct choice {
    const struct placement_graph *graph;
    double
        *missed; // how likely no decoy hears of it when this person is infected, times his weight
    struct candidate *heap; // greatest gain first
    uint32_t n_heap;
};

static double gain_of(const struct choice *choice, uint32_t person)
{
    const struct placement_graph *g = choice->graph;
    double gain = choice->missed[person];
    for (uint32_t i = g->first[person]; i < g->first[person + 1]; i++)
        gain += choice->missed[g->contacts[i]] * OPENS;
    return gain;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    // of equals the first, so that the same rosters give the same places
    return a->gain > b->gain || (a->gain == b->gain && a->person < b->person);
}

static void sink(struct choice *choice, uint32_t at)
{
    struct candidate *heap = choice->heap;
    for (;;) {
        uint32_t best = at, left = 2 * at + 1, right = left + 1;
        if (left < choice->n_heap && is_better(&heap[left], &heap[best]))
            best = left;
        if (right < choice->n_heap && is_better(&heap[right], &heap[best]))
            best = right;
        if (best == at)
            return;
        struct candidate other = heap[at];
        heap[at] = heap[best];
        heap[best] = other;
        at = best;
    }
}

static void hold(struct choice *choice, uint32_t person)
{
    const struct placement_graph *g = choice->graph;
    choice->missed[person] = 0;
    for (uint32_t i = g->first[person]; i < g->first[person + 1]; i++)
        choice->missed[g->contacts[i]] *= 1 - OPENS;
}

static void begin(struct choice *choice, const bool *left_out)
{
    const struct placement_graph *g = choice->graph;
    for (uint32_t p = 0; p < g->n_people; p++)
        choice->missed[p] = 1 + (double)(g->first[p + 1] - g->first[p]);
    for (uint32_t p = 0; p < g->n_people; p++)
        if (left_out == NULL || !left_out[p])
            choice->heap[choice->n_heap++] = (struct candidate){gain_of(choice, p), p, 0};
    for (uint32_t i = choice->n_heap / 2; i-- > 0;)
        sink(choice, i);
}

uint32_t placement_choose(const struct placement_graph *graph, const bool *left_out,
                          uint32_t wanted, uint32_t *chosen)
{
    struct choice choice = {
        .graph = graph,
        .missed = calloc((size_t)graph->n_people + 1, sizeof *choice.missed),
        .heap = calloc((size_t)graph->n_people + 1, sizeof *choice.heap),
    };
    must(choice.missed != NULL && choice.heap != NULL);
    begin(&choice, left_out);
    uint32_t n = 0;
    while (n < wanted && choice.n_heap > 0) {
        struct candidate *top = &choice.heap[0];
        if (top->at == n) { // worked out after the last choice: nobody else can be better
            uint32_t person = top->person;
            *top = choice.heap[--choice.n_heap];
            chosen[n++] = person;
            hold(&choice, person);
        } else {
            top->gain = gain_of(&choice, top->person);
            top->at = n;
        }
        sink(&choice, 0);
    }
    free(choice.missed);
    free(choice.heap);
    return n;
}

double placement_coverage(const struct placement_graph *graph, const uint32_t *holders,
                          uint32_t n_holders)
{
    if (graph->n_people == 0)
        return 0;
    bool *seen = calloc(graph->n_people, sizeof *seen);
    must(seen != NULL);
    for (uint32_t h = 0; h < n_holders; h++) {
        seen[holders[h]] = true;
        for (uint32_t i = graph->first[holders[h]]; i < graph->first[holders[h] + 1]; i++)
            seen[graph->contacts[i]] = true;
    }
    uint32_t n = 0;
    for (uint32_t p = 0; p < graph->n_people; p++)
        n += seen[p];
    free(seen);
    return (double)n / graph->n_people;
}
