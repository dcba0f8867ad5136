#include "test.h"

#include "lab/defence.h"

static const struct lure_key one = {.bytes = {1}}, other = {.bytes = {2}};

static struct ruling judge(struct defence *defence, uint32_t from, uint32_t to,
                           const struct lure_key *key)
{
    return defence_judge(defence, from, to, to == 99, key, key != NULL, 0);
}

TEST(defences_have_names)
{
    for (int kind = 0; kind < N_DEFENCES; kind++) {
        enum defence_kind found;
        check(defence_find(str_of(defence_name((enum defence_kind)kind)), &found));
        check(found == (enum defence_kind)kind);
    }
    enum defence_kind unchanged = DEFENCE_URL5;
    check(!defence_find(STR("prayer"), &unchanged) && unchanged == DEFENCE_URL5);
}

TEST(stop5_lets_five_receivers_have_a_link_and_tells_nobody)
{
    struct defence *defence = defence_new(DEFENCE_STOP5, 100);
    for (uint32_t to = 1; to <= 5; to++)
        check(!judge(defence, 0, to, &one).refused);
    check(!judge(defence, 0, 3, &one).refused); // he has it already
    check(judge(defence, 0, 6, &one).refused);
    check(!judge(defence, 0, 6, &other).refused);
    check(!judge(defence, 0, 6, NULL).refused);
    check(!judge(defence, 1, 6, &one).refused);
    defence_free(&defence);
}

TEST(url5_blocks_a_link_everywhere_after_five)
{
    struct defence *defence = defence_new(DEFENCE_URL5, 100);
    for (uint32_t to = 1; to <= 5; to++) {
        struct ruling ruling = judge(defence, 0, to, &one);
        check(!ruling.refused && ruling.blocks == (to == 5));
    }
    check(judge(defence, 0, 6, &one).refused);
    check(judge(defence, 7, 8, &one).refused);
    check(!judge(defence, 7, 8, &other).refused);
    defence_free(&defence);
}

TEST(a_decoy_blocks_what_it_is_sent)
{
    struct defence *defence = defence_new(DEFENCE_DECOY5, 100);
    for (uint32_t to = 1; to <= 20; to++)
        check(!judge(defence, 0, to, &one).refused);
    check(judge(defence, 0, 99, &one).blocks);
    check(judge(defence, 5, 6, &one).refused);
    check(!judge(defence, 5, 6, &other).refused);
    check(defence_decoys(DEFENCE_DECOY5) == 0.05 && defence_decoys(DEFENCE_NONE) == 0);
    defence_free(&defence);
}

TEST(a_throttle_lets_one_new_receiver_a_day_through)
{
    static const int64_t day_us = INT64_C(86400) * 1000000;
    struct defence *defence = defence_new(DEFENCE_THROTTLE, 100);
    for (uint32_t to = 1; to <= 6; to++) // five are free, and one is today's
        check(defence_judge(defence, 0, to, false, NULL, 0, 0).release_us == 0);
    check(defence_judge(defence, 0, 7, false, NULL, 0, 0).release_us == day_us);
    check(defence_judge(defence, 0, 8, false, NULL, 0, 0).release_us == 2 * day_us);
    check(defence_judge(defence, 0, 7, false, NULL, 0, 5).release_us == day_us); // in his turn
    check(defence_judge(defence, 0, 6, false, NULL, 0, 5).release_us == 0);
    check(defence_judge(defence, 0, 7, false, NULL, 0, day_us).release_us == 0);
    defence_free(&defence);
}
