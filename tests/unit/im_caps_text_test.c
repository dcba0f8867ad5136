#include "im/caps_text.h"
#include "test.h"

#include "xml/tokenizer.h"

static const char *const simple = "<query xmlns='http://jabber.org/protocol/disco#info'>"
                                  "<identity category='client' type='pc' name='Exodus 0.9.1'/>"
                                  "<feature var='http://jabber.org/protocol/caps'/>"
                                  "<feature var='http://jabber.org/protocol/muc'/>"
                                  "<feature var='http://jabber.org/protocol/disco#items'/>"
                                  "<feature var='http://jabber.org/protocol/disco#info'/></query>";

static const char *const full =
    "<query xmlns='http://jabber.org/protocol/disco#info'>"
    "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
    "<identity xml:lang='el' category='client' name='\xCE\xA8 0.11' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
    "<x xmlns='jabber:x:data' type='result'>"
    "<field var='software_version'><value>0.11</value></field>"
    "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>"
    "<field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>"
    "<field var='os'><value>Mac</value></field>"
    "<field var='os_version'><value>10.5.1</value></field>"
    "<field var='software'><value>Psi</value></field>"
    "</x></query>";

static enum err hash_of(const char *query, struct str *out)
{
    struct element *element;
    struct str text;
    check(element_parse(test_arena(), str_of(query), STR_EMPTY, NULL, &element, NULL) == OK);
    enum err e = caps_text(test_arena(), element, &text);
    if (e == OK)
        *out = caps_hash(test_arena(), STR("sha-1"), text);
    return e;
}

TEST(the_examples_of_the_specification_have_their_hashes)
{
    struct str hash;
    check(hash_of(simple, &hash) == OK);
    check(str_eq(hash, STR("QgayPKawpkPSDYmwT/WM94uAlu0=")));
    check(hash_of(full, &hash) == OK);
    check(str_eq(hash, STR("q07IKJEyjvHSyhy//CH0CxmKi8w=")));
}

TEST(an_ill_formed_answer_stands_for_nothing)
{
    static const char *const answers[] = {
        // XEP-0115 section 5.4
        "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='a'/><feature var='a'/>"
        "</query>",
        "<query xmlns='http://jabber.org/protocol/disco#info'>"
        "<identity category='a' type='b'/><identity category='a' type='b'/></query>",
        "<query xmlns='http://jabber.org/protocol/disco#info'>"
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value></field></x>"
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value></field></x>"
        "</query>",
        "<query xmlns='http://jabber.org/protocol/disco#info'>"
        "<x xmlns='jabber:x:data'><field var='FORM_TYPE' type='hidden'><value>a</value>"
        "<value>b</value></field></x></query>",
        // one feature that reads like two
        "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='a&lt;b'/></query>",
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct str hash;
        check(hash_of(answers[i], &hash) == ERR_MALFORMED);
    }
}

TEST(a_hash_nobody_knows_is_empty)
{
    check(caps_hash(test_arena(), STR("md5"), STR("text")).len == 0);
}
