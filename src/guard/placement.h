/*
 * Where decoys see a worm soonest.
 *
 * A decoy helps when a victim has it among his contacts, so what matters is who
 * holds one.  Holders are chosen on the graph of contacts so that wherever a
 * worm begins, the person infected is a holder or has holders among those he
 * infects next; well-connected people count for more, since worms come to them
 * first.  That sum is submodular: taking the best person again and again is
 * within 1 - 1/e of the best there is (Nemhauser, Wolsey, Fisher 1978), and
 * Kempe, Kleinberg, Tardos (KDD 2003) do the same for who infects most.
 */
#ifndef GUARD_PLACEMENT_H
#define GUARD_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who has whom among his contacts: person p's are contacts[first[p]] to contacts[first[p + 1] - 1].
 * Ties are used in both directions, whichever they are given in. */
struct placement_graph {
    uint32_t n_people;
    const uint32_t *first; // n_people + 1
    const uint32_t *contacts;
};

/* A graph of pairs, either way round and repeated as they may be, of people below n_people; sorts
 * pairs.  Free with placement_graph_free. */
struct placement_graph *placement_graph_new(uint32_t n_people, uint64_t *pairs, size_t n_pairs);
void placement_graph_free(struct placement_graph **graph);
static inline uint64_t placement_pair(uint32_t a, uint32_t b)
{
    return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

/* Chooses up to wanted holders, best first, none of whom is left_out (an entry for each person;
 * NULL: nobody); returns how many.  chosen has room for wanted.  Takes n_people + ties steps in
 * memory, and little more in time. */
uint32_t placement_choose(const struct placement_graph *graph, const bool *left_out,
                          uint32_t wanted, uint32_t *chosen);

/* Share of people who hold a decoy or have a holder among their contacts. */
double placement_coverage(const struct placement_graph *graph, const uint32_t *holders,
                          uint32_t n_holders);

#endif
