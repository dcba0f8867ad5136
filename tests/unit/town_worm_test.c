#include "test.h"

#include "town/graph.h"
#include "town/texts.h"
#include "town/worm.h"

static struct graph graph;

static void make_town(void)
{
    struct prng prng = {21};
    graph_make(&graph, 60, 8, &prng);
}

static void infect(struct infection *infection, const struct worm *worm, uint32_t person)
{
    infection_init(infection, worm, person, graph_contacts(&graph, person),
                   graph_degree(&graph, person));
}

static struct letter copy_of(struct infection *infection, const struct worm *worm,
                             struct str victim)
{
    struct letter letter;
    infection_write(infection, worm, test_arena(), victim, &letter);
    return letter;
}

static bool letter_eq(const struct letter *a, const struct letter *b)
{
    return str_eq(a->text, b->text) && str_eq(a->link, b->link) &&
           str_eq(a->file.name, b->file.name) && str_eq(a->file.digest, b->file.digest) &&
           a->file.size == b->file.size && a->encrypted == b->encrypted;
}

TEST(profiles_are_found_by_name)
{
    check(worm_find(STR("p1")) == &worm_profiles[0]);
    check(worm_find(STR("P6")) != NULL);
    check(worm_find(STR("P99")) == NULL);
}

TEST(every_copy_says_something_and_carries_its_link)
{
    make_town();
    for (const struct worm_profile *profile = worm_profiles; profile->name != NULL; profile++) {
        struct worm worm = {profile, 5};
        struct infection infection;
        infect(&infection, &worm, 3);
        struct letter copy = copy_of(&infection, &worm, STR("ann"));
        check(copy.text.len > 10);
        bool is_words = profile->habits.bait == BAIT_WORDS;
        check((copy.link.len == 0) == is_words);
        check(is_words || str_find(copy.text, copy.link) < copy.text.len);
        infection_done(&infection);
    }
    graph_done(&graph);
}

TEST(each_contact_gets_one_copy_in_the_order_of_the_roster)
{
    make_town();
    struct worm worm = {worm_find(STR("P1")), 5};
    struct infection infection;
    infect(&infection, &worm, 3);
    uint32_t contact, n = 0;
    while (infection_next(&infection, &worm, &contact))
        check(contact == graph_contacts(&graph, 3)[n++]);
    check(n == graph_degree(&graph, 3));
    infection_done(&infection);
    graph_done(&graph);
}

TEST(a_kelvir_always_says_the_same)
{
    make_town();
    struct worm worm = {worm_find(STR("P1")), 5};
    struct infection a, b;
    infect(&a, &worm, 3);
    infect(&b, &worm, 4);
    struct letter to_ann = copy_of(&a, &worm, STR("ann")), to_bob = copy_of(&b, &worm, STR("bob"));
    check(letter_eq(&to_ann, &to_bob));
    infection_done(&a);
    infection_done(&b);
    graph_done(&graph);
}

TEST(a_named_lure_differs_by_its_victim_only)
{
    make_town();
    struct worm worm = {worm_find(STR("P2")), 5};
    struct infection infection;
    infect(&infection, &worm, 3);
    struct str ann = copy_of(&infection, &worm, STR("ann")).link,
               bob = copy_of(&infection, &worm, STR("bob")).link;
    check(!str_eq(ann, bob));
    check(str_ends(ann, STR("=ann")) && str_ends(bob, STR("=bob")));
    check_str(str_first(ann, ann.len - 3), str_first(bob, bob.len - 3));
    infection_done(&infection);
    graph_done(&graph);
}

TEST(a_file_keeps_its_digest_and_changes_its_place)
{
    make_town();
    struct worm worm = {worm_find(STR("P6")), 5};
    struct infection infection;
    infect(&infection, &worm, 3);
    struct letter one = copy_of(&infection, &worm, STR("ann"));
    struct letter other = copy_of(&infection, &worm, STR("ann"));
    check(one.file.name.len > 0 && str_eq(one.file.digest, other.file.digest));
    check(!str_eq(one.link, other.link));
    infection_done(&infection);
    graph_done(&graph);
}

TEST(a_worm_of_live_conversations_only_answers_and_only_once)
{
    make_town();
    struct worm worm = {worm_find(STR("P5")), 5};
    struct infection infection;
    infect(&infection, &worm, 3);
    uint32_t contact, friend = graph_contacts(&graph, 3)[1];
    check(!infection_next(&infection, &worm, &contact));
    check(infection_answers(&infection, &worm, friend));
    check(!infection_answers(&infection, &worm, friend));
    check(!infection_answers(&infection, &worm, 3)); // no contact of his
    infection_done(&infection);
    graph_done(&graph);
}

TEST(the_same_seed_makes_the_same_worm)
{
    make_town();
    struct worm one = {worm_find(STR("P3")), 5}, other = {worm_find(STR("P3")), 6};
    struct infection a, b, c;
    infect(&a, &one, 3);
    infect(&b, &one, 3);
    infect(&c, &other, 3);
    struct letter of_a = copy_of(&a, &one, STR("ann")), of_b = copy_of(&b, &one, STR("ann"));
    struct letter of_c = copy_of(&c, &other, STR("ann"));
    check(letter_eq(&of_a, &of_b));
    check(!letter_eq(&of_a, &of_c));
    check(infection_pause_us(&a, &one) == infection_pause_us(&b, &one));
    infection_done(&a);
    infection_done(&b);
    infection_done(&c);
    graph_done(&graph);
}

TEST(habits_are_set_by_name)
{
    struct worm_habits habits = worm_find(STR("P1"))->habits;
    check(worm_set(&habits, STR("pause"), STR("600"), NULL) == OK && habits.pause_s == 600);
    check(worm_set(&habits, STR("aim"), STR("random"), NULL) == OK && habits.aim == AIM_RANDOM);
    check(worm_set(&habits, STR("host"), STR("copy"), NULL) == OK && habits.host == CHANGE_COPY);
    check(worm_set(&habits, STR("most"), STR("6"), NULL) == OK && habits.most == 6);
    check(worm_set(&habits, STR("avoids"), STR("1"), NULL) == OK && habits.avoids);
    check(worm_set(&habits, STR("chats"), STR("1"), NULL) == OK && habits.chats);
    check(worm_set(&habits, STR("entitled"), STR("1"), NULL) == OK && habits.entitled);
    check(worm_set(&habits, STR("poison"), STR("3"), NULL) == OK && habits.poisoners == 3);
    check(worm_set(&habits, STR("ringpause"), STR("60"), NULL) == OK && habits.ring_pause_s == 60);
    check(worm_set(&habits, STR("ringdays"), STR("7"), NULL) == OK && habits.ring_days == 7);
    check(worm_set(&habits, STR("ringsome"), STR("3"), NULL) == OK && habits.ring_some == 3);
    check(worm_set(&habits, STR("ringout"), STR("1"), NULL) == OK && habits.ring_out);
    check(worm_set(&habits, STR("hubs"), STR("1"), NULL) == OK && habits.hubs);
    check(worm_set(&habits, STR("abroad"), STR("13"), NULL) == OK && habits.abroad == 13);
    check(worm_set(&habits, STR("lull"), STR("9"), NULL) == OK && habits.lull == 9);
    check(worm_set(&habits, STR("seconds"), STR("20"), NULL) == OK && habits.seconds_of_100 == 20);
    check(worm_set(&habits, STR("own"), STR("5"), NULL) == OK && habits.own == 5);
    check(worm_set(&habits, STR("ownwait"), STR("60"), NULL) == OK && habits.own_wait_s == 60);
    check(worm_set(&habits, STR("ownmost"), STR("3"), NULL) == OK && habits.own_most == 3);
    check(worm_set(&habits, STR("meets"), STR("1"), NULL) == OK && habits.meets);
    check(worm_set(&habits, STR("pause"), STR("-1"), NULL) == ERR_MALFORMED);
    check(worm_set(&habits, STR("pause"), STR("soon"), NULL) == ERR_MALFORMED);
    check(worm_set(&habits, STR("bait"), STR("cheese"), NULL) == ERR_MALFORMED);
    check(worm_set(&habits, STR("mood"), STR("1"), NULL) == ERR_MALFORMED);
}

TEST(a_patient_worm_leaves_most_alone_and_a_mimic_repeats_nothing)
{
    make_town();
    struct worm worm = {worm_find(STR("P16")), 5};
    uint32_t person = 0, contact, n = 0;
    while (graph_degree(&graph, person) < 8)
        person++;
    struct infection infection;
    infect(&infection, &worm, person);
    struct str last = STR_EMPTY;
    while (infection_next(&infection, &worm, &contact)) {
        struct letter copy = copy_of(&infection, &worm, STR("ann"));
        check(!str_eq(copy.link, last));
        last = copy.link;
        n++;
    }
    check(n == 6);
    infection_done(&infection);
    graph_done(&graph);
}

TEST(a_worm_with_a_pool_takes_the_same_hosts_from_everywhere)
{
    make_town();
    struct worm_profile profile = *worm_find(STR("P14"));
    check(worm_set(&profile.habits, STR("host"), STR("pool"), NULL) == OK);
    struct worm worm = {&profile, 5};
    struct infection a, b;
    infect(&a, &worm, 3);
    infect(&b, &worm, 4);
    struct str links[200];
    size_t n = 0;
    for (unsigned i = 0; i < COUNT_OF(links); i++) {
        struct str link = copy_of(i % 2 == 0 ? &a : &b, &worm, STR("ann")).link;
        size_t at = 0;
        while (at < n && !str_eq(links[at], link))
            at++;
        if (at == n)
            links[n++] = link;
    }
    check(n > 10 && n <= 30);
    infection_done(&a);
    infection_done(&b);
    graph_done(&graph);
}
