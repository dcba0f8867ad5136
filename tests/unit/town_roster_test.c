#include "test.h"

#include "town/roster.h"

#include <stdlib.h>
#include <string.h>

enum { PEOPLE = 200 };

static uint32_t *places_of(const struct graph *graph, uint32_t who, enum roster_order order,
                           uint64_t seed)
{
    uint32_t n = graph_degree(graph, who), *places = calloc(n + 1, sizeof *places);
    bool taken[PEOPLE] = {false};
    roster_places(graph, who, order, seed, places);
    for (uint32_t k = 0; k < n; k++) {
        check(places[k] < n && !taken[places[k]]);
        taken[places[k]] = true;
    }
    return places;
}

TEST(a_roster_by_address_is_sorted_as_the_server_sorts_it)
{
    struct graph graph;
    struct prng prng = graph_prng(2);
    graph_make(&graph, PEOPLE, 12, &prng);
    for (uint32_t who = 0; who < PEOPLE; who++) {
        uint32_t *places = places_of(&graph, who, ROSTER_ADDRESS, 1);
        for (uint32_t a = 0; a < graph_degree(&graph, who); a++)
            for (uint32_t b = 0; b < a; b++) {
                char first[32], second[32];
                town_name(graph_contacts(&graph, who)[a], first);
                town_name(graph_contacts(&graph, who)[b], second);
                check((strcmp(first, second) < 0) == (places[a] < places[b]));
            }
        free(places);
    }
    graph_done(&graph);
}

TEST(everybody_met_his_contacts_in_an_order_of_his_own)
{
    struct graph graph;
    struct prng prng = graph_prng(2);
    graph_make(&graph, PEOPLE, 12, &prng);
    unsigned n_same = 0;
    for (uint32_t who = 0; who < PEOPLE; who++) {
        uint32_t n = graph_degree(&graph, who);
        uint32_t *places = places_of(&graph, who, ROSTER_MET, 1),
                 *again = places_of(&graph, who, ROSTER_MET, 1),
                 *other = places_of(&graph, who, ROSTER_MET, 2);
        check(memcmp(places, again, n * sizeof *places) == 0);
        n_same += memcmp(places, other, n * sizeof *places) == 0;
        free(places);
        free(again);
        free(other);
    }
    check(n_same < PEOPLE / 4);
    graph_done(&graph);
}

TEST(orders_are_known_by_name)
{
    enum roster_order order = ROSTER_MET;
    check(roster_order_find(STR("address"), &order) && order == ROSTER_ADDRESS);
    check(roster_order_find(STR("met"), &order) && order == ROSTER_MET);
    check(!roster_order_find(STR("sorted"), &order) && order == ROSTER_MET);
}
