/*
 * In which order a client knows somebody's contacts: a worm that goes through
 * them meets the first ones first.
 *
 * Everybody met his contacts in an order of his own; a server that sorts by
 * address shows the same few first everywhere, which slows a slow worm.
 */
#ifndef TOWN_ROSTER_H
#define TOWN_ROSTER_H

#include "town/graph.h"

enum roster_order {
    ROSTER_MET,     // an order of his own
    ROSTER_ADDRESS, // by address, as this server sends it
};
/* "met", "address". */
bool roster_order_find(struct str name, enum roster_order *out);

/* places[k]: where in his roster the k-th of his contacts (graph_contacts) stands. */
void roster_places(const struct graph *graph, uint32_t person, enum roster_order order,
                   uint64_t seed, uint32_t *places);

/* A person's name, as the local part of an address: "anna.meyer". */
void town_name(uint32_t person, char out[32]);

#endif
