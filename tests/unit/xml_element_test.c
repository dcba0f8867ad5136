#include "test.h"

#include "xml/tokenizer.h"
#include "xml/writer.h"

static struct element *parse(struct str text)
{
    struct element *e;
    check(element_parse(test_arena(), text, NS_CLIENT, NULL, &e, NULL) == OK);
    return e;
}

static struct str text_of(const struct element *e)
{
    struct str text;
    check(xml_to_str(test_arena(), e, NS_CLIENT, &text) == OK);
    return text;
}

TEST(attributes_are_found_by_name_and_namespace)
{
    const struct element *e =
        parse(STR("<a xmlns:b='x' c='1' b:c='2' xml:lang='en' lang='de' empty=''/>"));
    check_str(element_attr(e, STR("c")), STR("1"));
    check_str(element_attr_ns(e, STR("x"), STR("c")), STR("2"));
    check_str(element_lang(e), STR("en"));
    check_str(element_attr(e, STR("lang")), STR("de"));
    check(element_attr(e, STR("empty")).at != NULL);
    check(element_attr(e, STR("none")).at == NULL);
}

TEST(children_are_found_by_namespace_and_name)
{
    const struct element *e = parse(STR("<m> <body>1</body><x xmlns='u'><y/></x>t<body>2</body>"
                                        "<body xmlns='u'>3</body></m>"));
    check_str(element_child_text(e, NS_CLIENT, STR("body")), STR("1"));
    check_str(element_child_text(e, STR("u"), STR("body")), STR("3"));
    check(element_child_text(e, STR("v"), STR("body")).at == NULL);
    check(element_child(e, STR("u"), STR("y")) == NULL);
    const struct element *body = element_child(e, NS_CLIENT, STR("body"));
    check_str(element_next_same(body)->text, STR("2"));
    check(element_next_same(element_next_same(body)) == NULL);
    size_t n = 0;
    ELEMENT_EACH(e, child)
    {
        check(child->parent == e);
        n++;
    }
    check(n == 4);
}

TEST(text_is_in_one_piece_whatever_stands_between)
{
    const struct element *e = parse(STR("<a>1<b>2</b>3<![CDATA[4]]><c/>5</a>"));
    check_str(e->text, STR("1345"));
    check_str(parse(STR("<a><b/></a>"))->text, STR(""));
}

TEST(a_walk_visits_all_elements_in_order)
{
    const struct element *e = parse(STR("<a><b><c/>t<d><e/></d></b>t<f/><g><h/></g></a>"));
    struct buf seen;
    buf_init(&seen, 100);
    for (const struct element *at = element_walk(e, e); at != NULL; at = element_walk(e, at))
        buf_add(&seen, at->name);
    check_str(buf_str(&seen), STR("bcdefgh"));
    buf_clear(&seen);
    const struct element *b = element_first(e);
    for (const struct element *at = element_walk(b, b); at != NULL; at = element_walk(b, at))
        buf_add(&seen, at->name);
    check_str(buf_str(&seen), STR("cde"));
    buf_done(&seen);
}

TEST(built_elements_are_like_parsed_ones)
{
    struct arena *arena = test_arena();
    struct element *iq = element_new(arena, NS_CLIENT, STR("iq"));
    element_set(arena, iq, STR("type"), STR("get"));
    element_set(arena, iq, STR("id"), STR("1"));
    element_set(arena, iq, STR("type"), STR("result"));
    element_set(arena, iq, STR("gone"), STR("1"));
    element_set(arena, iq, STR("gone"), (struct str){NULL, 0});
    element_set(arena, iq, STR("never"), (struct str){NULL, 0});
    element_set_ns(arena, iq, NS_XML, STR("lang"), STR("en"));
    struct element *query = element_child_new(arena, iq, NS_VERSION, STR("query"));
    element_child_with(arena, query, NS_VERSION, STR("name"), STR("A & B"));
    element_child_with(arena, query, NS_VERSION, STR("os"), STR(""));
    element_add_text(arena, query, STR("1"));
    element_add_text(arena, query, STR("2"));
    element_add_text(arena, query, STR(""));
    check(element_eq(iq, parse(STR("<iq id='1' type='result' xml:lang='en'>"
                                   "<query xmlns='jabber:iq:version'><name>A &amp; B</name><os/>"
                                   "12</query></iq>"))));
    check_str(query->text, STR("12"));
}

static bool is_named_x(const struct element *child, const void *context)
{
    return str_eq(child->name, *(const struct str *)context);
}

TEST(removing_children_keeps_the_rest_whole)
{
    static const struct {
        struct str before, after;
        size_t n;
    } rows[] = {
        {STR("<a><x/></a>"),                          STR("<a/>"),               1},
        {STR("<a><x/><b/><x/><c/><x/></a>"),          STR("<a><b/><c/></a>"),    3},
        {STR("<a>1<x/>2</a>"),                        STR("<a>12</a>"),          1},
        {STR("<a>1<x/>2<x/>3<b/>4<x/><x/>5<x/></a>"), STR("<a>123<b/>45</a>"),   5},
        {STR("<a><x/>1<x/></a>"),                     STR("<a>1</a>"),           2},
        {STR("<a><b><x/></b></a>"),                   STR("<a><b><x/></b></a>"), 0},
    };
    struct str name = STR("x");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct element *e = parse(rows[i].before);
        check(element_remove_if(e, is_named_x, &name) == rows[i].n);
        check_str(text_of(e), rows[i].after);
        check(element_eq(e, parse(rows[i].after)));
        element_add_text(test_arena(), e, STR("end")); // last is right too
        check(str_ends(text_of(e), STR("end</a>")));
    }
}

TEST(a_removed_element_is_a_tree_of_its_own)
{
    struct element *e = parse(STR("<a>1<x y='z'>t</x>2</a>"));
    struct element *x = element_first(e);
    element_remove(x);
    check(x->parent == NULL);
    check_str(text_of(x), STR("<x y='z'>t</x>"));
    check_str(text_of(e), STR("<a>12</a>"));
    element_add(e, x);
    check_str(text_of(e), STR("<a>12<x y='z'>t</x></a>"));
}

static const struct str trees[] = {
    STR("<a/>"),
    STR("<a b='c' xml:lang='en'>t</a>"),
    STR("<a>1<b>2</b>3<c><d><e f='g'/></d>4</c>5</a>"),
    STR("<a xmlns='u'><b xmlns='urn:xmpp:sm:3'/><c xmlns='v' xmlns:n='w' n:o='p'/></a>"),
};

TEST(a_copy_is_equal_and_shares_nothing)
{
    for (size_t i = 0; i < COUNT_OF(trees); i++) {
        struct arena first, second;
        arena_init(&first, 10000);
        arena_init(&second, 10000);
        struct element *e, *copy;
        check(element_parse(&first, trees[i], NS_CLIENT, NULL, &e, NULL) == OK);
        check(element_copy(&second, e, &copy) == OK);
        check(element_eq(e, copy));
        struct str before = text_of(e);
        arena_done(&first); // what the copy still borrowed would be seen by the sanitizer
        check_str(text_of(copy), before);
        arena_done(&second);
    }
}

TEST(a_copy_that_does_not_fit_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(trees); i++) {
        struct element *e = parse(trees[i]);
        bool fitted = false;
        for (size_t ceiling = 0; ceiling < 4000; ceiling++) {
            struct arena arena;
            arena_init(&arena, ceiling);
            struct element *copy;
            enum err err = element_copy(&arena, e, &copy);
            check(err == OK || (err == ERR_LIMIT && !fitted));
            fitted = err == OK;
            arena_done(&arena);
        }
        check(fitted);
    }
}

TEST(a_copy_of_an_inner_element_stays_inside_it)
{
    struct element *e = parse(STR("<a><b><c/>1</b><d/></a>"));
    struct element *copy;
    check(element_copy(test_arena(), element_first(e), &copy) == OK);
    check_str(text_of(copy), STR("<b><c/>1</b>"));
    check(copy->parent == NULL && element_next(copy) == NULL);
}

TEST(equality_sees_every_difference)
{
    static const struct {
        struct str a, b;
        bool are_equal;
    } rows[] = {
        {STR("<a/>"),                   STR("<a></a>"),            true },
        {STR("<a b='1' c='2'/>"),       STR("<a c='2' b='1'/>"),   true },
        {STR("<a>1<![CDATA[2]]></a>"),  STR("<a>12</a>"),          true },
        {STR("<a xmlns='x'/>"),         STR("<y:a xmlns:y='x'/>"), true },
        {STR("<a/>"),                   STR("<b/>"),               false},
        {STR("<a/>"),                   STR("<a xmlns='x'/>"),     false},
        {STR("<a b='1'/>"),             STR("<a/>"),               false},
        {STR("<a b='1'/>"),             STR("<a b='2'/>"),         false},
        {STR("<a b='1'/>"),             STR("<a b='1' c='1'/>"),   false},
        {STR("<a>1</a>"),               STR("<a>2</a>"),           false},
        {STR("<a>1</a>"),               STR("<a/>"),               false},
        {STR("<a>1<b/></a>"),           STR("<a><b/>1</a>"),       false},
        {STR("<a><b/></a>"),            STR("<a><b/><b/></a>"),    false},
        {STR("<a><b/><b/></a>"),        STR("<a><b/></a>"),        false},
        {STR("<a><b><c/></b></a>"),     STR("<a><b/><c/></a>"),    false},
        {STR("<a><b/><c/></a>"),        STR("<a><b><c/></b></a>"), false},
        {STR("<a><b><c/></b><d/></a>"), STR("<a><b><c/></b></a>"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(element_eq(parse(rows[i].a), parse(rows[i].b)) == rows[i].are_equal);
    struct element *e = parse(STR("<a><b>1</b><b>2</b><b>1</b></a>"));
    struct element *first = element_first(e), *second = element_next(first);
    check(!element_eq(first, second));
    check(element_eq(first, element_next(second))); // siblings do not matter
}

TEST(text_from_elsewhere_can_be_checked)
{
    check(xml_is_text(STR("")));
    check(xml_is_text(STR("a <&> text\t\r\n that is longer than sixteen bytes \xE2\x82\xAC")));
    check(!xml_is_text(STR("a text that is longer than sixteen bytes\x01")));
    check(!xml_is_text(STR("\0")));
    check(!xml_is_text(STR("\xE2\x82")));
    check(!xml_is_text(STR("\xEF\xBF\xBF")));
}
