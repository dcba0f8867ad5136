#include "test.h"

#include "guard/placement.h"

// A star of five around 0, a pair 6-7, and 8 who knows nobody.
static const uint32_t first[] = {0, 5, 6, 7, 8, 9, 10, 11, 12, 12};
static const uint32_t contacts[] = {1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 7, 6};
static const struct placement_graph graph = {9, first, contacts};

TEST(the_first_decoy_goes_to_who_knows_most)
{
    uint32_t chosen[3];
    check(placement_choose(&graph, NULL, 1, chosen) == 1);
    check(chosen[0] == 0);
}

TEST(who_is_near_a_decoy_already_needs_none_so_much)
{
    uint32_t chosen[2];
    check(placement_choose(&graph, NULL, 2, chosen) == 2);
    check(chosen[0] == 0 && chosen[1] == 6);
}

TEST(a_graph_of_pairs_has_each_tie_once_and_both_ways)
{
    uint64_t pairs[] = {placement_pair(2, 0), placement_pair(0, 2), placement_pair(1, 1),
                        placement_pair(1, 2)};
    struct placement_graph *made = placement_graph_new(4, pairs, 4);
    static const uint32_t starts[] = {0, 1, 2, 4, 4}, known[] = {2, 2, 0, 1};
    for (size_t i = 0; i < 5; i++)
        check(made->first[i] == starts[i]);
    for (size_t i = 0; i < 4; i++)
        check(made->contacts[i] == known[i]);
    placement_graph_free(&made);
    check(made == NULL);
}

TEST(who_is_left_out_holds_none)
{
    bool left_out[9] = {true};
    uint32_t chosen[9];
    check(placement_choose(&graph, left_out, 9, chosen) == 8);
    for (size_t i = 0; i < 8; i++)
        check(chosen[i] != 0);
}

TEST(coverage_counts_holders_and_those_who_know_one)
{
    const uint32_t holders[] = {0, 7};
    check(placement_coverage(&graph, holders, 1) == 6.0 / 9);
    check(placement_coverage(&graph, holders, 2) == 8.0 / 9);
    check(placement_coverage(&graph, NULL, 0) == 0);
}
