#include "test.h"

#include "xml/tokenizer.h"
#include "xml/writer.h"
#include "xmpp/stanza_error.h"
#include "xmpp/stream_error.h"

static struct element *parsed(const char *text)
{
    struct element *element;
    check(element_parse(test_arena(), str_of(text), NS_CLIENT, NULL, &element, NULL) == OK);
    return element;
}

static struct str written(const struct element *element)
{
    struct str text;
    check(xml_to_str(test_arena(), element, NS_CLIENT, &text) == OK);
    return text;
}

#define STANZAS " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"

TEST(a_reply_swaps_the_addresses_and_leaves_the_content)
{
    struct stanza_error error = {.condition = STANZA_SERVICE_UNAVAILABLE};
    struct element *stanza = parsed("<message from='a@x/r' to='b@x' id='1' type='chat' "
                                    "xml:lang='de'><body>hi</body></message>");
    check_str(written(stanza_error_reply(test_arena(), stanza, &error)),
              STR("<message from='b@x' to='a@x/r' id='1' type='error'><error type='cancel'>"
                  "<service-unavailable" STANZAS "/></error></message>"));
    check_str(written(stanza_error_reply(test_arena(), parsed("<iq type='get'/>"), &error)),
              STR("<iq type='error'><error type='cancel'><service-unavailable" STANZAS
                  "/></error></iq>"));
}

TEST(a_reply_says_all_that_it_was_given)
{
    struct stanza_error error = {
        .condition = STANZA_GONE,
        .type = STANZA_MODIFY,
        .by = STR("x"),
        .text = STR("moved & gone"),
        .lang = STR("en"),
        .address = STR("xmpp:c@y"),
        .specific = STR("too-many"),
        .specific_ns = STR("urn:x"),
    };
    struct element *reply = stanza_error_reply(test_arena(), parsed("<presence id='p'/>"), &error);
    check_str(written(reply),
              STR("<presence id='p' type='error'><error by='x' type='modify'><gone" STANZAS
                  ">xmpp:c@y</gone><text" STANZAS " xml:lang='en'>moved &amp; gone</text>"
                  "<too-many xmlns='urn:x'/></error></presence>"));
    struct stanza_error read;
    check(stanza_error_read(reply, &read) == OK);
    check(read.condition == STANZA_GONE && read.type == STANZA_MODIFY);
    check_str(read.text, error.text);
    check_str(read.lang, error.lang);
    check_str(read.by, error.by);
    check_str(read.address, error.address);
    check_str(read.specific, error.specific);
    check_str(read.specific_ns, error.specific_ns);
    // an address belongs to gone and redirect only
    error.condition = STANZA_CONFLICT;
    check(str_find(written(stanza_error_element(test_arena(), &error)), STR("xmpp:")) ==
          written(stanza_error_element(test_arena(), &error)).len);
}

// RFC 6120 §8.3.1
TEST(an_error_is_never_answered_with_an_error)
{
    static const struct {
        const char *stanza;
        bool may;
    } cases[] = {
        {"<message/>",                       true },
        {"<message type='error'/>",          false},
        {"<presence type='unavailable'/>",   true },
        {"<presence type='error'/>",         false},
        {"<iq type='get'/>",                 true },
        {"<iq type='set'/>",                 true },
        {"<iq type='nonsense'/>",            true },
        {"<iq type='result'/>",              false},
        {"<iq type='error'/>",               false},
        {"<foo/>",                           false},
        {"<message xmlns='urn:x'/>",         false},
        {"<message xmlns='jabber:server'/>", true },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct stanza_error error = {.condition = STANZA_BAD_REQUEST};
        struct element *stanza = parsed(cases[i].stanza);
        check(stanza_may_be_refused(stanza) == cases[i].may);
        check((stanza_error_reply(test_arena(), stanza, &error) != NULL) == cases[i].may);
    }
}

TEST(every_stanza_error_reads_as_what_was_written)
{
    for (int i = 0; i < STANZA_N_CONDITIONS; i++) {
        struct stanza_error error = {.condition = (enum stanza_condition)i}, read;
        struct element *reply = stanza_error_reply(test_arena(), parsed("<message/>"), &error);
        check(stanza_error_read(reply, &read) == OK);
        check((int)read.condition == i && read.type == stanza_condition_type(error.condition));
    }
    struct stanza_error read;
    check(stanza_error_read(parsed("<message type='error'/>"), &read) == ERR_MALFORMED);
    check(stanza_error_read(parsed("<message type='error'><error/></message>"), &read) == OK);
    check(read.condition == STANZA_UNDEFINED_CONDITION);
    check(stanza_error_read(parsed("<message><error><new" STANZAS "/></error></message>"), &read) ==
          OK);
    check(read.condition == STANZA_UNDEFINED_CONDITION);
}

TEST(every_stream_error_has_its_name)
{
    for (int i = 0; i < STREAM_N_CONDITIONS; i++) {
        enum stream_condition condition;
        check(stream_condition_of(str_of(stream_condition_name((enum stream_condition)i)),
                                  &condition) == OK);
        check((int)condition == i);
    }
    enum stream_condition condition;
    check(stream_condition_of(STR("undefined"), &condition) == ERR_MISSING);
}

// every fault of the tokenizer is a condition of a stream error
TEST(every_xml_fault_has_a_stream_error)
{
    for (int i = XML_NOT_WELL_FORMED; i <= XML_POLICY_VIOLATION; i++) {
        enum stream_condition condition;
        check(stream_condition_of(xml_fault_condition((enum xml_fault)i), &condition) == OK);
    }
}
