/* Made-up colleagues: in the form of people, and none of them. */
#include "daemon/decoy_likeness.h"

#include "test.h"

static const char *const people[] = {"anna.lang", "ben.roth",  "carl.dorn",
                                     "eve.fox",   "ida.stark", "max.weiss"};

static struct likeness *town(void)
{
    struct likeness *likeness = likeness_new();
    for (size_t i = 0; i < COUNT_OF(people); i++)
        likeness_add_local(likeness, str_of(people[i]), true);
    likeness_add_local(likeness, STR("root"), true);
    return likeness;
}

static bool is_person(struct str local)
{
    for (size_t i = 0; i < COUNT_OF(people); i++)
        if (str_eq(local, str_of(people[i])))
            return true;
    return false;
}

TEST(nobody_new_is_a_person_or_made_twice)
{
    struct likeness *likeness = town();
    struct prng luck = {7};
    struct str seen[30];
    struct invented who;
    for (size_t n = 0; n < COUNT_OF(seen); n++) { // of 6 · 6 - 6
        check(likeness_invent(likeness, &luck, test_arena(), &who) == OK);
        check(!is_person(who.local));
        check(who.given.at[0] >= 'A' && who.given.at[0] <= 'Z');
        check(str_eq(who.name, arena_printf(test_arena(), "%.*s %.*s", STR_ARGS(who.given),
                                            STR_ARGS(who.family))));
        for (size_t i = 0; i < n; i++)
            check(!str_eq(seen[i], who.local));
        seen[n] = who.local;
    }
    check(likeness_invent(likeness, &luck, test_arena(), &who) == ERR_MISSING);
    likeness_free(&likeness);
}

TEST(a_few_names_are_too_few)
{
    struct likeness *likeness = likeness_new();
    struct prng luck = {7};
    struct invented who;
    likeness_add_local(likeness, STR("anna.lang"), true);
    likeness_add_local(likeness, STR("u1"), true);
    check(likeness_invent(likeness, &luck, test_arena(), &who) == ERR_MISSING);
    likeness_free(&likeness);
}

TEST(an_operators_names_go_before_peoples_and_addresses_look_as_here)
{
    struct likeness *likeness = likeness_new();
    struct prng luck = {7};
    struct invented who;
    static const char *const locals[] = {"anna_lang", "ben_roth", "carl_dorn", "eve.fox"};
    static const char *const names[] = {"Zoe Zahn",       "Yan Yorck", "Xaver Xanten",
                                        "Willi von Wald", "nonsense",  ""};
    for (size_t i = 0; i < COUNT_OF(locals); i++)
        likeness_add_local(likeness, str_of(locals[i]), true);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        likeness_add_name(likeness, str_of(names[i]));
    for (int i = 0; i < 5; i++) {
        // "von Wald" makes no address
        check(likeness_invent(likeness, &luck, test_arena(), &who) == OK);
        check(who.given.at[0] >= 'W' && str_find_char(who.local, '_') < who.local.len);
    }
    likeness_free(&likeness);
}

static struct str card_of(struct likeness *likeness, struct invented *who)
{
    struct prng luck = {3};
    check(likeness_invent(likeness, &luck, test_arena(), who) == OK);
    return likeness_vcard(likeness, &luck, test_arena(), who,
                          arena_printf(test_arena(), "%.*s@town.example", STR_ARGS(who->local)));
}

static bool has(struct str text, struct str word)
{
    return str_find(text, word) < text.len;
}

TEST(a_vcard_says_what_several_share_and_nothing_of_one_alone)
{
    struct likeness *likeness = town();
    struct invented who;
    for (size_t i = 0; i < COUNT_OF(people); i++) {
        struct str xml = arena_printf(
            test_arena(),
            "<vCard xmlns='vcard-temp'><FN>Person %zu</FN><N><FAMILY>F%zu</FAMILY><GIVEN>G%zu"
            "</GIVEN><MIDDLE/></N><ORG><ORGNAME>Town Ltd</ORGNAME></ORG><TITLE>Title %zu</TITLE>"
            "<TEL><WORK/><NUMBER>555-%zu</NUMBER></TEL><EMAIL><WORK/><USERID>%s@mail.example"
            "</USERID></EMAIL><BDAY>1980-01-0%zu</BDAY><PHOTO><BINVAL>aaaa%zu</BINVAL></PHOTO>"
            "<JABBERID>x%zu</JABBERID></vCard>",
            i, i, i, i, i, people[i], i, i, i);
        likeness_add_vcard(likeness, str_of(people[i]), xml);
    }
    struct str card = card_of(likeness, &who);
    check(has(card, arena_printf(test_arena(), "<FN>%.*s</FN>", STR_ARGS(who.name))));
    check(has(card,
              arena_printf(test_arena(), "<N><FAMILY>%.*s</FAMILY><GIVEN>%.*s</GIVEN><MIDDLE/></N>",
                           STR_ARGS(who.family), STR_ARGS(who.given))));
    check(has(card, STR("<ORG><ORGNAME>Town Ltd</ORGNAME></ORG>")));
    check(has(card, arena_printf(test_arena(), "<USERID>%.*s@mail.example</USERID>",
                                 STR_ARGS(who.local))));
    check(has(card, arena_printf(test_arena(), "<JABBERID>%.*s@town.example</JABBERID>",
                                 STR_ARGS(who.local))));
    static const char *const own[] = {"Title", "TEL", "555", "BDAY", "PHOTO", "Person"};
    for (size_t i = 0; i < COUNT_OF(own); i++)
        check(!has(card, str_of(own[i])));
    likeness_free(&likeness);
}

TEST(where_nobody_has_a_vcard_nobody_new_has_one)
{
    struct likeness *likeness = town();
    struct invented who;
    for (size_t i = 0; i < COUNT_OF(people); i++)
        likeness_add_vcard(likeness, str_of(people[i]),
                           i % 2 == 0 ? STR_EMPTY : STR("<not closed"));
    check(card_of(likeness, &who).len == 0);
    likeness_free(&likeness);
}
