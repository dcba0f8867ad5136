#include "test.h"

#include "xml/tokenizer.h"
#include "xml/writer.h"

static struct element *parse(struct str text)
{
    struct element *e;
    check(element_parse(test_arena(), text, NS_CLIENT, NULL, &e, NULL) == OK);
    return e;
}

/* What is in buf, in the arena; buf is done. */
static struct str taken(struct buf *buf)
{
    check(!buf->overflowed);
    struct str text = arena_str(test_arena(), buf_str(buf));
    buf_done(buf);
    return text;
}

static struct str written(const struct element *e, struct str ns_around)
{
    struct buf buf;
    buf_init(&buf, 10000);
    xml_write(&buf, e, ns_around);
    return taken(&buf);
}

TEST(a_namespace_is_declared_where_it_changes)
{
    const struct element *e =
        parse(STR("<m><b/><x xmlns='u'><y/><m xmlns='jabber:client'><b/></m></x></m>"));
    check_str(written(e, NS_CLIENT),
              STR("<m><b/><x xmlns='u'><y/><m xmlns='jabber:client'><b/></m></x></m>"));
    check_str(written(e, NS_NONE), STR("<m xmlns='jabber:client'><b/><x xmlns='u'><y/>"
                                       "<m xmlns='jabber:client'><b/></m></x></m>"));
}

TEST(a_stanza_takes_the_namespace_of_its_stream)
{
    // a forwarded message inside stays jabber:client (XEP-0297)
    struct str text = STR("<m><b/><f xmlns='urn:xmpp:forward:0'><m xmlns='jabber:client'><b/></m>"
                          "</f></m>");
    check_str(written(parse(text), NS_SERVER), text);
    check_str(written(parse(text), NS_CLIENT), text);
    check_str(written(parse(STR("<m xmlns='jabber:server'/>")), NS_CLIENT), STR("<m/>"));
    check_str(written(parse(STR("<m xmlns='u'/>")), NS_SERVER), STR("<m xmlns='u'/>"));
}

TEST(inner_xml_is_the_same_text_on_every_stream)
{
    const struct element *e = parse(STR("<m to='a'>1<b>2</b><x xmlns='u'><b>3</b></x></m>"));
    struct buf inner, whole;
    buf_init(&inner, 1000);
    buf_init(&whole, 1000);
    xml_write_inner(&inner, e);
    check_str(buf_str(&inner), STR("1<b>2</b><x xmlns='u'><b>3</b></x>"));
    struct xml_replaced replaced[] = {
        {STR("to"),   STR("b&c")},
        {STR("from"), STR("d")  },
    };
    xml_write_around(&whole, e, NS_SERVER, replaced, COUNT_OF(replaced), buf_str(&inner));
    check_str(taken(&whole),
              STR("<m to='b&amp;c' from='d'>1<b>2</b><x xmlns='u'><b>3</b></x></m>"));
    buf_done(&inner);
}

TEST(attributes_are_replaced_added_and_left_out)
{
    const struct element *e = parse(STR("<m to='1' id='2' from='3' xml:lang='en'/>"));
    struct xml_replaced replaced[] = {
        {STR("from"), {NULL, 0}},
        {STR("to"),   STR("4") },
        {STR("type"), STR("5") },
    };
    struct buf buf;
    buf_init(&buf, 1000);
    xml_write_around(&buf, e, NS_CLIENT, replaced, COUNT_OF(replaced), STR_EMPTY);
    check_str(taken(&buf), STR("<m id='2' xml:lang='en' to='4' type='5'/>"));
    xml_write_start(&buf, e, NS_CLIENT, replaced, 1, false);
    xml_write_end(&buf, e);
    check_str(taken(&buf), STR("<m to='1' id='2' xml:lang='en'></m>"));
}

TEST(what_could_be_misread_is_escaped)
{
    struct buf buf;
    buf_init(&buf, 1000);
    xml_write_text(&buf, STR("<&>'\"\r\n\t]]> and a text longer than sixteen bytes <"));
    check_str(taken(&buf), STR("&lt;&amp;&gt;'\"&#13;\n\t]]&gt; and a text longer than sixteen "
                               "bytes &lt;"));
    xml_write_value(&buf, STR("<&>'\"\r\n\t and a text longer than sixteen bytes '"));
    check_str(taken(&buf), STR("&lt;&amp;&gt;&apos;\"&#13;&#10;&#9; and a text longer than sixteen "
                               "bytes &apos;"));
    xml_write_text(&buf, STR("a\0b\x1F"));
    check_str(taken(&buf), STR("a\xEF\xBF\xBD"
                               "b\xEF\xBF\xBD"));
}

TEST(a_foreign_attribute_keeps_its_namespace)
{
    const struct element *e =
        parse(STR("<a xmlns:b='x' xmlns:c='y' b:d='1' c:d='2' d='3'><e b:f='4'/></a>"));
    struct str text = written(e, NS_CLIENT);
    check_str(text, STR("<a xmlns:n0='x' n0:d='1' xmlns:n1='y' n1:d='2' d='3'>"
                        "<e xmlns:n0='x' n0:f='4'/></a>"));
    check(element_eq(parse(text), e));
}

TEST(a_buffer_that_is_full_says_so)
{
    struct buf buf;
    buf_init(&buf, 10);
    xml_write(&buf, parse(STR("<a b='1' c='2'>text</a>")), NS_CLIENT);
    check(buf.overflowed);
    buf_done(&buf);
    struct arena arena;
    arena_init(&arena, 5);
    struct str text;
    check(xml_to_str(&arena, parse(STR("<a b='1'/>")), NS_CLIENT, &text) == ERR_LIMIT);
    arena_done(&arena);
}
