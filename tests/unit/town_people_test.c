#include "test.h"

#include "base/clock.h"
#include "town/chat.h"
#include "town/habits.h"
#include "town/people.h"
#include "town/texts.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

TEST(half_of_the_delays_are_shorter_than_the_median)
{
    enum { N = 20001 };
    static int64_t delays[N];
    struct prng prng = {11};
    for (int i = 0; i < N; i++)
        delays[i] = delay_draw_us(&people_opening, &prng);
    qsort(delays, N, sizeof *delays, compare);
    check(delays[0] > 0);
    check(delays[N / 2] > 20 * SECOND_US && delays[N / 2] < 22 * SECOND_US);
}

TEST(a_person_decides_once)
{
    struct openness openness = {.chance = 0.5, .delay = people_opening};
    unsigned n_open = 0;
    for (uint32_t person = 0; person < 2000; person++) {
        struct mind mind;
        int64_t delay_us = -1;
        mind_init(&mind, 5, person);
        bool opens = mind_is_tempted(&mind, &openness, &delay_us);
        check(opens == (delay_us >= 0));
        for (int again = 0; again < 5; again++)
            check(mind_is_tempted(&mind, &openness, &delay_us) == opens);
        n_open += opens;
    }
    check(n_open > 900 && n_open < 1100);
}

TEST(the_same_seed_gives_the_same_mind_and_another_gives_another)
{
    struct openness openness = {.chance = 1, .delay = people_opening};
    struct mind a, b, c;
    int64_t of_a = 0, of_b = 0, of_c = 0;
    mind_init(&a, 5, 17);
    mind_init(&b, 5, 17);
    mind_init(&c, 6, 17);
    check(mind_is_tempted(&a, &openness, &of_a) && mind_is_tempted(&b, &openness, &of_b) &&
          mind_is_tempted(&c, &openness, &of_c));
    check(of_a == of_b && of_a != of_c);
}

TEST(nobody_opens_at_zero_and_everybody_at_one)
{
    for (uint32_t person = 0; person < 200; person++) {
        struct mind never, always;
        int64_t delay_us;
        mind_init(&never, 1, person);
        mind_init(&always, 1, person);
        check(!mind_is_tempted(&never, &(struct openness){0, people_opening}, &delay_us));
        check(mind_is_tempted(&always, &(struct openness){1, people_opening}, &delay_us));
    }
}

TEST(people_write_as_often_as_their_habits_say)
{
    struct chatter chatter;
    chatter_init(&chatter, 3, 8);
    double seconds = 0, messages = 0;
    for (int i = 0; i < 20000; i++) {
        seconds += (double)chat_until_next_us(&chatter, &chat_habits_usual) / 1e6;
        messages += chat_turns(&chatter, &chat_habits_usual);
    }
    double a_minute = messages / seconds * 60;
    check(a_minute > 0.9 * chat_habits_usual.messages_a_minute);
    check(a_minute < 1.1 * chat_habits_usual.messages_a_minute);
}

TEST(people_have_favourites_among_their_contacts)
{
    struct prng prng = {2};
    struct graph graph;
    struct chatter chatter;
    graph_make(&graph, 50, 20, &prng);
    uint32_t person = 0;
    while (graph_degree(&graph, person) < 20)
        person++;
    chatter_init(&chatter, 1, person);
    static unsigned n_to[50];
    unsigned most = 0, n_reached = 0;
    for (int i = 0; i < 2000; i++) {
        uint32_t partner = chat_partner(&chatter, &graph);
        check(graph_are_contacts(&graph, person, partner));
        n_to[partner]++;
    }
    for (int i = 0; i < 50; i++) {
        most = n_to[i] > most ? n_to[i] : most;
        n_reached += n_to[i] > 0;
    }
    check(n_reached == graph_degree(&graph, person));
    check(most > 3 * 2000 / graph_degree(&graph, person));
    graph_done(&graph);
}

TEST(the_sample_says_valid_text_with_links_now_and_then)
{
    struct prng prng = {9};
    struct texts *texts;
    struct why why;
    struct buf text;
    buf_init(&text, 8192);
    check(texts_read(&texts, NULL, &prng, &why) == OK);
    unsigned n_links = 0;
    for (int i = 0; i < 2000; i++) {
        buf_clear(&text);
        texts_say(texts, &prng, &text);
        check(text.len > 0 && str_is_utf8(buf_str(&text)));
        check(str_find_char(buf_str(&text), '{') == text.len);
        n_links += texts_find_link(buf_str(&text)).len > 0;
    }
    check(n_links > 2000 / 10 && n_links < 2000 / 4);
    texts_free(&texts);
    buf_done(&text);
}

TEST(a_link_is_found_and_ends_where_it_ends)
{
    check_str(texts_find_link(STR("see https://a.example/x?y=1 please")),
              STR("https://a.example/x?y=1"));
    check_str(texts_find_link(STR("http://b.example/")), STR("http://b.example/"));
    check(texts_find_link(STR("no link here")).len == 0);
}

TEST(clients_obey_and_people_answer_as_often_as_their_habits_say)
{
    struct habits habits = habits_usual;
    struct prng luck = {9};
    int64_t delay_us;
    unsigned n_obey = 0, n_answer = 0, n_soon = 0;
    habits.obey = 0.25;
    for (uint32_t i = 0; i < 4000; i++) {
        n_obey += habits_client(&habits, 7, i).obeys;
        if (!habits_answers(&habits, &luck, &delay_us))
            continue;
        n_answer++;
        n_soon += delay_us < 60 * INT64_C(1000000);
    }
    check(n_obey > 900 && n_obey < 1100);
    check(n_answer > 1900 && n_answer < 2100);
    check(n_soon * 2 > n_answer - 200 && n_soon * 2 < n_answer + 200); // the median is a minute
    check(habits_client(&habits, 7, 3).obeys == habits_client(&habits, 7, 3).obeys);
}
