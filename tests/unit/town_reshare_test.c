#include "test.h"

#include "town/people.h"
#include "town/reshare.h"

static struct graph town_of(uint32_t people)
{
    struct graph graph;
    struct prng prng = graph_prng(4);
    graph_make(&graph, people, 8, &prng);
    return graph;
}

TEST(a_link_is_passed_on_to_up_to_three_others_one_after_the_other)
{
    struct graph graph = town_of(60);
    struct habits habits = habits_usual;
    unsigned sizes[RESHARE_MOST + 1] = {0};
    habits.reshare = 1;
    for (uint32_t i = 0; i < 500; i++) {
        struct prng luck = prng_of(9, i, 1);
        struct reshare reshare;
        uint32_t who = i % 60, from = graph_contacts(&graph, who)[0];
        bool passes = reshare_plan(&reshare, &habits, &graph, who, from, &luck);
        check(passes == (reshare.n > 0) && reshare.n <= RESHARE_MOST);
        sizes[reshare.n]++;
        for (uint32_t k = 0; k < reshare.n; k++) {
            check(graph_are_contacts(&graph, who, reshare.at[k].to) && reshare.at[k].to != from);
            check(k == 0 || (reshare.at[k].delay_us > reshare.at[k - 1].delay_us &&
                             reshare.at[k].to != reshare.at[k - 1].to));
        }
        if (!passes)
            continue;
        struct buf text;
        buf_init(&text, 1000);
        reshare_write(&reshare, STR("https://example.org/x"), &text);
        check(str_find(buf_str(&text), STR("https://example.org/x")) < text.len);
        buf_done(&text);
    }
    check(sizes[1] > 100 && sizes[2] > 100 && sizes[3] > 100);
    graph_done(&graph);
}

TEST(few_links_are_passed_on_and_none_where_nobody_does)
{
    struct graph graph = town_of(60);
    struct habits habits = habits_usual;
    unsigned n = 0;
    for (uint32_t i = 0; i < 5000; i++) {
        struct prng luck = prng_of(9, i, 1);
        struct reshare reshare;
        n += reshare_plan(&reshare, &habits, &graph, i % 60, 0, &luck);
    }
    check(n > 60 && n < 150);
    habits.reshare = 0;
    for (uint32_t i = 0; i < 500; i++) {
        struct prng luck = prng_of(9, i, 1);
        struct reshare reshare;
        check(!reshare_plan(&reshare, &habits, &graph, i % 60, 0, &luck));
    }
    graph_done(&graph);
}
