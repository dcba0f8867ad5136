/*
 * Who knows whom: contact graphs with the degrees of real ones.
 *
 * A few people have many contacts and most have few: that is what carries a
 * worm.  Graphs are made by preferential attachment (Barabasi and Albert), which
 * is what instant messaging networks look like (Smith, Instant messaging as a
 * scale-free network), or read from a file of pairs; small worlds (Watts and
 * Strogatz) and random ones (Erdos and Renyi) are there to compare.  The same seed
 * gives the same graph everywhere.
 */
#ifndef TOWN_GRAPH_H
#define TOWN_GRAPH_H

#include "base/err.h"
#include "base/random.h"
#include "town/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct graph {
    uint32_t n_people;
    size_t n_ties;      // undirected
    uint32_t *first;    // n_people + 1 indices into contacts
    uint32_t *contacts; // of all people, one after the other, ascending for each
};

enum graph_kind { GRAPH_BA, GRAPH_WS, GRAPH_ER };
/* "ba", "ws", "er". */
bool graph_kind_find(struct str name, enum graph_kind *out);
/* A graph of that kind; people and contacts as for graph_make.  A small world is a ring in which
 * everybody knows his neighbours and one tie in ten leads anywhere. */
void graph_make_kind(struct graph *graph, enum graph_kind kind, uint32_t people, double contacts,
                     struct prng *prng);
/* people at least 2; contacts: the mean number wanted, at least 1.  Everybody is connected. */
void graph_make(struct graph *graph, uint32_t people, double contacts, struct prng *prng);
/* Reads "a b" on each line, further columns ignored, a line of names allowed at the top; then
 * keeps at most `people` of them (0: all), those nearest to a random first one, so that the part
 * keeps its density.  */
enum err graph_read(struct graph *graph, const char *path, uint32_t people, struct prng *prng,
                    struct why *why) MUST_CHECK;
/* The same with all people, known by these names; some may have no contact there. */
enum err graph_read_named(struct graph *graph, const char *path, struct names *names,
                          struct why *why) MUST_CHECK;
/* Who ever wrote to each other is a contact. */
void graph_of_pairs(struct graph *graph, uint32_t people, const uint32_t (*pairs)[2], size_t n);
/* What a seed's graph is drawn from, so that a drill over sockets and a laboratory agree on it. */
struct prng graph_prng(uint64_t seed);
/* Patients zero, so many as wanted: people who can infect five others or more; where they know
 * few, fewer do.  victims says how many one can; NULL: all his contacts.  out has room for as many
 * as are wanted.  Returns how many there are. */
uint32_t graph_patients_zero(const struct graph *graph, uint64_t seed, uint32_t wanted,
                             uint32_t (*victims)(void *of, uint32_t person), void *of,
                             uint32_t *out);
void graph_done(struct graph *graph);

static inline uint32_t graph_degree(const struct graph *graph, uint32_t person)
{
    return graph->first[person + 1] - graph->first[person];
}

static inline const uint32_t *graph_contacts(const struct graph *graph, uint32_t person)
{
    return graph->contacts + graph->first[person];
}

/* Which of one's contacts the other is; -1: none. */
int32_t graph_contact_index(const struct graph *graph, uint32_t person, uint32_t other);
static inline bool graph_are_contacts(const struct graph *graph, uint32_t a, uint32_t b)
{
    return graph_contact_index(graph, a, b) >= 0;
}

#endif
