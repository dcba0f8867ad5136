#include "test.h"

#include "drill/graph.h"
#include "drill/texts.h"
#include "drill/worm.h"
#include "xml/tokenizer.h"

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

/* A copy as a message of the client's namespace; the arena is the test's. */
static const struct element *copy_of(struct infection *infection, const struct worm *worm,
                                     struct str victim)
{
    struct buf text;
    buf_init(&text, 16384);
    buf_add(&text, STR("<message>"));
    infection_write(infection, worm, victim, &text);
    buf_add(&text, STR("</message>"));
    struct element *message = NULL;
    struct str kept = arena_str(test_arena(), buf_str(&text));
    check(element_parse(test_arena(), kept, NS_CLIENT, NULL, &message, NULL) == OK);
    buf_done(&text);
    return message;
}

static struct str link_of(const struct element *message)
{
    return texts_find_link(element_child_text(message, NS_CLIENT, STR("body")));
}

TEST(profiles_are_found_by_name)
{
    check(worm_find(STR("p1")) == &worm_profiles[0]);
    check(worm_find(STR("P6")) != NULL);
    check(worm_find(STR("P99")) == NULL);
}

TEST(every_copy_is_well_formed_and_carries_a_link)
{
    make_town();
    for (const struct worm_profile *profile = worm_profiles; profile->name != NULL; profile++) {
        struct worm worm = {profile, 5};
        struct infection infection;
        infect(&infection, &worm, 3);
        const struct element *copy = copy_of(&infection, &worm, STR("ann"));
        check(link_of(copy).len > 0);
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
    check(element_eq(copy_of(&a, &worm, STR("ann")), copy_of(&b, &worm, STR("bob"))));
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
    struct str ann = link_of(copy_of(&infection, &worm, STR("ann"))),
               bob = link_of(copy_of(&infection, &worm, STR("bob")));
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
    const struct element *copies[2], *files[2];
    for (int i = 0; i < 2; i++) {
        copies[i] = copy_of(&infection, &worm, STR("ann"));
        const struct element *sharing = element_child(copies[i], NS_SFS, STR("file-sharing"));
        check(sharing != NULL);
        files[i] = element_child(sharing, NS_FILE_METADATA, STR("file"));
        check(files[i] != NULL);
    }
    check(element_eq(files[0], files[1]));
    check(!str_eq(link_of(copies[0]), link_of(copies[1])));
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
    const struct element *of_a = copy_of(&a, &one, STR("ann"));
    check(element_eq(of_a, copy_of(&b, &one, STR("ann"))));
    check(!element_eq(of_a, copy_of(&c, &other, STR("ann"))));
    check(infection_pause_us(&a, &one) == infection_pause_us(&b, &one));
    infection_done(&a);
    infection_done(&b);
    infection_done(&c);
    graph_done(&graph);
}
