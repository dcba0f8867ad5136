/* XEP-0227: what is read out of a file, in whatever pieces it comes, and what is refused. */
#include "daemon/portable.h"

#include "base/must.h"
#include "base/random.h"
#include "test.h"

#define HEAD "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>\n"

struct heard {
    size_t n_users;
    struct portable_user users[8];
    struct str hosts[8];
    enum portable end;
    struct why why;
    uint64_t n_ignored;
};

// Feeds the text in pieces of that many bytes.
static void feed(const char *text, size_t piece, struct heard *out)
{
    struct portable_reader reader;
    struct str all = str_of(text);
    *out = (struct heard){.end = PORTABLE_MORE};
    portable_reader_init(&reader);
    while (all.len > 0 && out->end != PORTABLE_FAULT) {
        struct str rest = str_first(all, piece < all.len ? piece : all.len);
        all = str_skip(all, rest.len);
        while (rest.len > 0 && out->end != PORTABLE_FAULT) {
            struct element *element = NULL;
            out->end = portable_feed(&reader, &rest, test_arena(), &element);
            if (out->end == PORTABLE_USER) {
                check(out->n_users < COUNT_OF(out->users));
                out->hosts[out->n_users] = arena_str(test_arena(), reader.host);
                check(portable_read_user(test_arena(), element, reader.host,
                                         &out->users[out->n_users], &out->why) == OK);
                out->n_users++;
            }
        }
    }
    if (out->end == PORTABLE_FAULT)
        out->why = reader.why;
    out->n_ignored = reader.n_ignored;
    portable_reader_done(&reader);
}

static const char whole[] =
    HEAD "  <host jid='Capulet.example'>\n"
         "    <user name='Juliet' password='R0m30'>\n"
         "      <query xmlns='jabber:iq:roster'>\n"
         "        <item jid='romeo@montague.example/x' name='R&amp;J' subscription='both'>"
         "<group>Friends</group><group>Friends</group></item>\n"
         "        <item jid='@' subscription='both'/>\n"
         "        <item jid='paris@capulet.example' ask='subscribe'/>\n"
         "      </query>\n"
         "      <offline-messages><message xmlns='jabber:client' id='m1' type='chat'"
         " from='romeo@montague.example/orchard' to='juliet@capulet.example'>"
         "<body>wherefore</body>"
         "<delay xmlns='urn:xmpp:delay' from='capulet.example' stamp='2020-01-02T03:04:05Z'/>"
         "</message></offline-messages>\n"
         "      <vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>\n"
         "      <query xmlns='jabber:iq:private'><a xmlns='urn:a'>1</a><a xmlns='urn:a'>2</a>"
         "<b xmlns='urn:b'/></query>\n"
         "      <query xmlns='jabber:iq:privacy'><default name='x'/><list name='x'>"
         "<item type='jid' value='tybalt@capulet.example' action='deny' order='1'/>"
         "<item action='allow' order='2'/></list></query>\n"
         "      <presence xmlns='jabber:client' type='subscribe' from='paris@capulet.example/y'/>\n"
         "      <pubsub xmlns='http://jabber.org/protocol/pubsub'/>\n"
         "    </user>\n"
         "    <other xmlns='urn:other'><deep/></other>\n"
         "  </host>\n"
         "  <extra xmlns='urn:extra'><user name='no'/></extra>\n"
         "  <host jid='montague.example'/>\n"
         "  <host jid='montague.example'><user name='romeo'>"
         "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>"
         "<iter-count>4096</iter-count><salt>QSXCR+Q6sek8bf92</salt>"
         "<server-key>D+CSWLOshSulAsxiupA+qs2/fTE=</server-key>"
         "<stored-key>6dlGYMOdZcOPutkcNY8U2g7vK9Y=</stored-key></scram-credentials>"
         "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-256'>"
         "<iter-count>0</iter-count></scram-credentials></user></host>\n"
         "</server-data>\n";

static void check_whole(const struct heard *heard)
{
    check(heard->end == PORTABLE_END);
    check(heard->n_users == 2 && heard->n_ignored == 2);
    check_str(heard->hosts[0], STR("capulet.example"));
    check_str(heard->hosts[1], STR("montague.example"));
    const struct portable_user *juliet = &heard->users[0], *romeo = &heard->users[1];
    check_str(juliet->import.local, STR("juliet"));
    check_str(juliet->password, STR("R0m30"));
    check(juliet->import.n_items == 2);
    check_str(juliet->import.items[0].jid, STR("romeo@montague.example"));
    check_str(juliet->import.items[0].name, STR("R&J"));
    check(juliet->import.items[0].subscription == STORE_SUB_BOTH);
    check(juliet->import.items[0].n_groups == 1);
    check(juliet->import.items[1].ask && juliet->import.items[1].subscription == STORE_SUB_NONE);
    check(juliet->n_messages == 1);
    check(juliet->messages[0].wall_us == INT64_C(1577934245000000));
    check(!juliet->messages[0].archived && !juliet->messages[0].outgoing);
    check_str(juliet->messages[0].peer, STR("romeo@montague.example"));
    check_str(juliet->messages[0].resource, STR("orchard"));
    check_str(juliet->messages[0].stanza,
              STR("<message id='m1' type='chat' from='romeo@montague.example/orchard' "
                  "to='juliet@capulet.example'><body>wherefore</body></message>"));
    check(juliet->import.n_documents == 3);
    check_str(juliet->import.documents[0].key, STR("vcard"));
    check_str(juliet->import.documents[0].xml,
              STR("<vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard>"));
    check_str(juliet->import.documents[1].xml, STR("<a xmlns='urn:a'>2</a>"));
    check(juliet->n_blocked == 1);
    check_str(juliet->blocked[0], STR("tybalt@capulet.example"));
    check(juliet->n_pending == 1);
    check_str(juliet->pending[0].from, STR("paris@capulet.example"));
    // the contact without an address, the rule that allows, the pubsub
    check(juliet->n_ignored == 3);
    check(romeo->import.keys[STORE_SHA1].iterations == 4096);
    check(romeo->import.keys[STORE_SHA1].salt.len == 12);
    check(romeo->import.keys[STORE_SHA1].stored_key.len == 20);
    check(romeo->import.keys[STORE_SHA256].iterations == 0 && romeo->n_ignored == 1);
}

TEST(a_file_is_read_whatever_the_pieces_it_comes_in)
{
    for (size_t piece = 1; piece < 70; piece++) {
        struct heard heard;
        feed(whole, piece, &heard);
        check_whole(&heard);
    }
    struct heard heard;
    feed(whole, sizeof whole, &heard);
    check_whole(&heard);
}

TEST(namespaces_of_the_root_hold_in_its_hosts)
{
    struct heard heard;
    feed("<p:server-data xmlns:p='urn:xmpp:pie:0' xmlns:r=\"jabber:iq:roster\" note='xmlns=\"\"'>"
         "<p:host jid='a.example'><p:user name='x'><r:query><r:item jid='y@a.example'/></r:query>"
         "</p:user></p:host>"
         "<p:host xmlns:r='urn:other' jid='b.example'><p:user name='x'><r:query/></p:user></p:host>"
         "</p:server-data>",
         7, &heard);
    check(heard.end == PORTABLE_END && heard.n_users == 2);
    check(heard.users[0].import.n_items == 1 && heard.users[0].n_ignored == 0);
    check(heard.users[1].import.n_items == 0 && heard.users[1].n_ignored == 1);
}

TEST(a_host_may_be_the_root)
{
    struct heard heard;
    feed("\xEF\xBB\xBF<host xmlns='urn:xmpp:pie:0' jid='a.example'><user name='x'/></host>\n", 5,
         &heard);
    check(heard.end == PORTABLE_END && heard.n_users == 1);
}

TEST(an_archive_is_read_with_its_direction)
{
    struct heard heard;
    feed("<host xmlns='urn:xmpp:pie:0' jid='a.example'><user name='x'>"
         "<archive xmlns='urn:xmpp:pie:0#mam'>"
         "<result xmlns='urn:xmpp:mam:2' id='1'><forwarded xmlns='urn:xmpp:forward:0'>"
         "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>"
         "<message xmlns='jabber:client' to='x@a.example' from='y@a.example/z'><body>in</body>"
         "</message></forwarded></result>"
         "<result xmlns='urn:xmpp:mam:2' id='2'><forwarded xmlns='urn:xmpp:forward:0'>"
         "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:26Z'/>"
         "<message xmlns='jabber:client' from='x@a.example/q' to='y@a.example'><body>out</body>"
         "</message></forwarded></result>"
         "<result xmlns='urn:xmpp:mam:2' id='3'/></archive></user></host>",
         4096, &heard);
    check(heard.n_users == 1 && heard.users[0].n_messages == 2 && heard.users[0].n_ignored == 1);
    check(heard.users[0].messages[0].archived && !heard.users[0].messages[0].outgoing);
    check(heard.users[0].messages[1].archived && heard.users[0].messages[1].outgoing);
    check_str(heard.users[0].messages[1].peer, STR("y@a.example"));
}

TEST(what_does_not_belong_in_a_file_is_refused_with_its_line)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"hello",                                                               "line 1: this is no XML"                               },
        {"<!DOCTYPE x [<!ENTITY a 'b'>]><server-data xmlns='urn:xmpp:pie:0'/>",
         "line 1: document types and entities are not accepted"                                                                        },
        {HEAD "<!-- note -->",                                                  "line 3: comments are not accepted"                    },
        {HEAD "<?php?>",                                                        "line 3: processing instructions are not accepted"     },
        {"<stream xmlns='x'>",
         "line 1: the document is not an XEP-0227 file: its root is not <server-data/> in "
         "urn:xmpp:pie:0"                                                                                                              },
        {HEAD "<host>",                                                         "line 3: a <host/> needs a domain in its attribute jid"},
        {HEAD "</server-data>\n<host/>",                                        "line 4: there is more after the end of the document"  },
        {"<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>\n"
         "<xi:include href='a.xml'/>",                                 "line 2: the file is split by XInclude; join it first, for example with xmllint "
         "--xinclude"                                                                   },
        {HEAD "text",                                                           "line 3: text between the tags"                        },
        {"</server-data>",                                                      "line 1: an end tag without a beginning"               },
        {"<?xml version='1.0' encoding='ISO-8859-1'?>",                         "line 1: the encoding must be UTF-8"                   },
    };
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct heard heard;
        feed(wrong[i].text, 4096, &heard);
        check(heard.end == PORTABLE_FAULT);
        check_str(str_of(heard.why.text), str_of(wrong[i].why));
    }
    static const char *const broken[] = {
        HEAD "<host jid='a.example'>\n<user name='x'>&lol;</user></host>",
        HEAD "<host jid='a.example'>\n<user name='x'><!-- x --></user></host>",
        HEAD "<host jid='a.example'>\n<user name='x'></host>",
        HEAD "<host jid='a.example'>\n<user name='x' name='y'/></host>",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct heard heard;
        feed(broken[i], 4096, &heard);
        check(heard.end == PORTABLE_FAULT && str_starts(str_of(heard.why.text), STR("line 4: ")));
    }
}

TEST(a_document_that_stops_in_the_middle_has_no_end)
{
    struct heard heard;
    feed(HEAD "<host jid='a.example'><user name='x'/>", 4096, &heard);
    check(heard.end == PORTABLE_USER || heard.end == PORTABLE_MORE);
    check(heard.n_users == 1);
}

TEST(what_is_written_is_read_again)
{
    struct store_roster_item items[] = {
        {.jid = STR("a+b@x.example"),
         .name = STR("it's <me>"),
         .subscription = STORE_SUB_TO,
         .ask = true,
         .approved = true,
         .n_groups = 1,
         .groups = (struct str[]){STR("G&H")}},
        {.jid = STR("x.example"),                 .name = STR_EMPTY        },
    };
    struct store_keys keys[STORE_N_HASHES] = {
        [STORE_SHA256] = {4096, STR("saltsaltsalt"), STR("01234567890123456789012345678901"),
                          STR("abcdefghijklmnopqrstuvwxyz012345")}
    };
    struct store_message rows[] = {
        {.wall_us = INT64_C(1577934245000000),
         .stanza = STR("<message from='y@x.example' id='1'><body>hi</body></message>")       },
        {.wall_us = INT64_C(1577934246000000), .stanza = STR("<message from='y@x.example'/>")},
    };
    struct store_pending pending = {STR("z@x.example"),
                                    STR("<presence type='subscribe' from='z@x.example'/>")};
    struct str blocked = STR("evil@x.example");
    struct buf out;
    buf_init(&out, 1 << 20);
    buf_add(&out, portable_begin());
    portable_begin_host(&out, STR("x.example"));
    portable_begin_user(&out, STR("o'neil"));
    portable_write_keys(&out, keys);
    portable_write_roster(&out, items, COUNT_OF(items));
    portable_write_pending(&out, &pending, 1);
    portable_write_blocked(&out, &blocked, 1);
    portable_begin_offline(&out);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        portable_write_message(&out, STR("x.example"), &rows[i]);
    portable_end_offline(&out);
    portable_end_user(&out);
    portable_begin_user(&out, STR("plain"));
    portable_end_user(&out);
    portable_end_host(&out);
    buf_add(&out, portable_end());
    buf_add_char(&out, '\0');

    struct heard heard;
    // the local part has a character that no JID may have: it is there for the escaping
    struct str text = buf_str(&out);
    size_t at = str_find(text, STR("o&apos;neil"));
    check(at < text.len);
    memcpy(out.at + at, "oxxxxxxneil", 11);
    feed(out.at, 11, &heard);
    check(heard.end == PORTABLE_END && heard.n_users == 2);
    const struct portable_user *user = &heard.users[0];
    check(user->n_ignored == 0);
    check_str(user->import.keys[STORE_SHA256].server_key, keys[STORE_SHA256].server_key);
    check(user->import.n_items == 2);
    check_str(user->import.items[0].name, STR("it's <me>"));
    check_str(user->import.items[0].groups[0], STR("G&H"));
    check(user->import.items[0].ask && user->import.items[0].approved);
    check(user->n_messages == 2);
    check(user->messages[0].wall_us == rows[0].wall_us);
    check_str(user->messages[0].stanza,
              STR("<message from='y@x.example' id='1' "
                  "to='oxxxxxxneil@x.example'><body>hi</body></message>"));
    check(user->n_pending == 1 && user->n_blocked == 1);
    buf_done(&out);
}
