/*
 * JIDs: RFC 7622's own examples, the corners of PRECIS, and how to be refused.
 *
 * Row "names" of the list of advisories.
 */
#include "test.h"

#include "xmpp/jid.h"
#include "xmpp/prepare.h"

TEST(a_domain_has_its_a_labels_in_certificates)
{
    struct str ascii;
    check(jid_domain_ascii(test_arena(),
                           STR("b\xC3\xBC"
                               "cher.example"),
                           &ascii) == OK);
    check_str(ascii, STR("xn--bcher-kva.example"));
    check(jid_domain_ascii(test_arena(), STR("example.org"), &ascii) == OK);
    check_str(ascii, STR("example.org"));
    check(jid_domain_ascii(test_arena(), STR("[2001:db8::1]"), &ascii) == OK);
    check_str(ascii, STR("[2001:db8::1]"));
}

TEST(a_jid_becomes_its_prepared_form)
{
    static const struct {
        struct str text, full;
    } rows[] = {
  // RFC 7622 section 3.5, those of the valid
        {STR("juliet@example.com"),                                 STR("juliet@example.com")           },
        {STR("juliet@example.com/foo"),                             STR("juliet@example.com/foo")       },
        {STR("juliet@example.com/foo bar"),                         STR("juliet@example.com/foo bar")   },
        {STR("juliet@example.com/foo@bar"),                         STR("juliet@example.com/foo@bar")   },
        {STR("foo\\20bar@example.com"),                             STR("foo\\20bar@example.com")       },
        {STR("fussball@example.com"),                               STR("fussball@example.com")         },
        {STR("fu\xC3\x9F"
             "ball@example.com"),
         STR("fu\xC3\x9F"
             "ball@example.com")                                                                        },
        {STR("\xCF\x80@example.com"),                               STR("\xCF\x80@example.com")         },
        {STR("\xCE\xA3@example.com/foo"),                           STR("\xCF\x83@example.com/foo")     },
        {STR("\xCF\x83@example.com/foo"),                           STR("\xCF\x83@example.com/foo")     },
        {STR("\xCF\x82@example.com/foo"),                           STR("\xCF\x82@example.com/foo")     },
        {STR("king@example.com/\xE2\x99\x9A"),                      STR("king@example.com/\xE2\x99\x9A")},
        {STR("example.com"),                                        STR("example.com")                  },
        {STR("example.com/foobar"),                                 STR("example.com/foobar")           },
        {STR("a.example.com/b@example.net"),                        STR("a.example.com/b@example.net")  },
 // case
        {STR("Juliet@EXAMPLE.Com/Foo"),                             STR("juliet@example.com/Foo")       },
        {STR("\xC3\x89milie@example.com"),                          STR("\xC3\xA9milie@example.com")    },
 // width: fullwidth ROMEO, half-width katakana
        {STR("\xEF\xBC\xB2\xEF\xBC\xAF@example.com"),               STR("ro@example.com")               },
        {STR("\xEF\xBD\xB1@example.com"),                           STR("\xE3\x82\xA2@example.com")     },
 // composition: e and an acute accent
        {STR("e\xCC\x81@example.com/e\xCC\x81"),                    STR("\xC3\xA9@example.com/\xC3\xA9")},
 // spaces of other kinds are spaces in a resource
        {STR("a@b/c\xC2\xA0"
             "d\xE3\x80\x80"
             "e"),
         STR("a@b/c d e")                                                                               },
        {STR("a@b/ c "),                                            STR("a@b/ c ")                      },
 // domains
        {STR("a@example.com."),                                     STR("a@example.com")                },
        {STR("a@B\xC3\x9C"
             "CHER.example"),
         STR("a@b\xC3\xBC"
             "cher.example")                                                                            },
        {STR("a@xn--bcher-kva.example"),                            STR("a@b\xC3\xBC"
                                             "cher.example")    },
        {STR("a@XN--BCHER-KVA.example/"
             "b"),
         STR("a@b\xC3\xBC"
             "cher.example/b")                                                                          },
        {STR("a@fa\xC3\x9F.de"),                                    STR("a@fa\xC3\x9F.de")              },
        {STR("a@\xE4\xBE\x8B\xE3\x80\x82\xE4\xBE\x8B\xE3\x80\x82"),
         STR("a@\xE4\xBE\x8B.\xE4\xBE\x8B")                                                             }, // ideographic full stops
        {STR("a@\xEF\xBC\xA5xample.com"),                           STR("a@example.com")                },
        {STR("a@192.0.2.1"),                                        STR("a@192.0.2.1")                  },
        {STR("a@[2001:DB8:0:0::1]/b"),                              STR("a@[2001:db8::1]/b")            },
        {STR("a@[::ffff:192.0.2.1]"),                               STR("a@[::ffff:192.0.2.1]")         },
        {STR("a@localhost"),                                        STR("a@localhost")                  },
        {STR("a@3com.example"),                                     STR("a@3com.example")               },
 // right to left
        {STR("\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D@example.com"),
         STR("\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D@example.com")                                            },
 // contextual rules: l·l
        {STR("paral\xC2\xB7lel@example.com"),                       STR("paral\xC2\xB7lel@example.com") },
        {STR("a@b/\xF0\x9F\x98\x80"),                               STR("a@b/\xF0\x9F\x98\x80")         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jid jid, again;
        check(jid_parse(test_arena(), rows[i].text, &jid) == OK);
        check_str(jid.full, rows[i].full);
        check(jid_parse(test_arena(), jid.full, &again) == OK);
        check(jid_eq(&jid, &again));
    }
}

TEST(what_is_no_jid)
{
    static const struct str rows[] = {
        STR(""),
        STR("@"),
        STR("/"),
        STR("@/"),
        STR("romeo@"),
        STR("romeo@/orchard"),
        STR("@example.com"),
        STR("@example.com/a"),
        STR("example.com/"),
        STR("romeo@example.com/"),
        STR("/orchard"),
        STR("."),
        STR("a@."),
        STR("a@b..c"),
        STR("a@.b"),
        STR("a@b.."),
        STR("a@b\xE3\x80\x82."),
        STR("a@b.\xE3\x80\x82"),
        STR("a@b@c"),
        // RFC 7622 section 3.5, those of the invalid
        STR("\"juliet\"@example.com"),
        STR("foo bar@example.com"),
        STR("henry\xE2\x85\xA3@example.com"), // roman numeral four
        STR("\xE2\x99\x9A@example.com"),      // a chess king
        // the excluded characters
        STR("a&b@c"),
        STR("a'b@c"),
        STR("a:b@c"),
        STR("a<b@c"),
        STR("a>b@c"),
        STR("a b@c"),
        STR("a\tb@c"),
        STR("a\x7F@c"),
        // and their full-width forms, which would become them
        STR("a\xEF\xBC\xA0"
            "b@c"),
        STR("a\xEF\xBC\x8F"
            "b@c"),
        STR("a\xEF\xBC\x9C"
            "b@c"),
        STR("a\xE3\x80\x80"
            "b@c"), // ideographic space
        // ignorable and invisible
        STR("a\xC2\xAD@c"),     // soft hyphen
        STR("a\xE2\x80\x8B@c"), // zero width space
        STR("a\xE2\x80\x8D"
            "b@c"), // zero width joiner out of context
        STR("a\xEF\xBB\xBF@c"),
        STR("a\xF3\xA0\x80\x81@c"), // a tag
        STR("a@b/c\xE2\x80\x8B"),
        STR("a@b/c\xEF\xBF\xBF"),
        // compatibility characters
        STR("\xE2\x84\xAA@c"),  // Kelvin
        STR("o\xEF\xAC\x80@c"), // ligature ff
        // old jamo, noncharacters, unassigned, private use, controls
        STR("\xE1\x84\x80@c"),
        STR("\xEF\xB7\x90@c"),
        STR("\xEF\xBF\xBE@c"),
        STR("\xCD\xB8@c"),
        STR("\xEE\x80\x80@c"),
        STR("\xC2\x80@c"),
        STR("a\0b@c"),
        STR("a@b/\0"),
        STR("a@b/\n"),
        STR("a@b/\x7F"),
        STR("a@b/\xC2\x85"),
        // UTF-8 that is none
        STR("\xC0\x80@c"),
        STR("\xED\xA0\x80@c"),
        STR("\xF4\x90\x80\x80@c"),
        STR("\x80@c"),
        STR("\xE2\x82@c"),
        STR("a@\xFF"),
        STR("a@b/\xC1\xBF"),
        STR("a@b/\xED\xBF\xBF"),
        // bidi: mixed directions, European with Arabic digits, an open end
        STR("a\xD7\x90@c"),
        STR("\xD7\x90"
            "a@c"),
        STR("1\xD7\x90@c"),
        STR("\xD9\x84\xD9\xA1"
            "1@c"),
        STR("\xD7\x90-@c"),
        // contextual rules
        STR("a\xC2\xB7"
            "b@c"),
        STR("\xD9\xA1\xDB\xB1@c"),
        STR("\xE3\x83\xBB@c"),
        STR("\xCD\xB5"
            "a@c"),
        // domains
        STR("a@-b"),
        STR("a@b-"),
        STR("a@b-.c"),
        STR("a@b_c"),
        STR("a@b c"),
        STR("a@b:5222"),
        STR("a@ab--c"),
        STR("a@xn--"),
        STR("a@xn--a"),
        STR("a@xn--zzzzzzzzzzzz"),
        STR("a@xn--abc-"),
        STR("a@\xE2\x98\x83.example"), // a snowman is no letter to IDNA2008
        STR("a@\xC2\xAD"),             // mapped to nothing
        STR("a@b.\xD7\x90"
            "a"),
        STR("a@\xCC\x81"
            "b"), // begins with a combining mark
        STR("a@\xEF\xBC\x8F"),
        STR("a@["),
        STR("a@[]"),
        STR("a@[::1"),
        STR("a@[::1]x"),
        STR("a@[192.0.2.1]"),
        STR("a@[fe80::1%eth0]"),
        STR("a@[v1.x]"),
        STR("a@[::1\0]"),
        STR("a@::1"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jid jid = {.full = STR("untouched")};
        enum err e = jid_parse(test_arena(), rows[i], &jid);
        if (e != ERR_MALFORMED)
            check_str(e == OK ? jid.full : str_of(err_name(e)), rows[i]);
        check(e == ERR_MALFORMED);
        check_str(jid.full, STR("untouched"));
    }
}

TEST(parts_and_bare_jids_are_slices_of_the_full_text)
{
    struct jid jid;
    check(jid_parse(test_arena(), STR("Romeo@Montague.lit/Orchard/2@x"), &jid) == OK);
    check_str(jid.local, STR("romeo"));
    check_str(jid.domain, STR("montague.lit"));
    check_str(jid.resource, STR("Orchard/2@x"));
    check_str(jid_bare(&jid), STR("romeo@montague.lit"));
    check(jid_bare(&jid).at == jid.full.at);
    struct jid bare = jid_bare_of(&jid);
    check(jid_is_bare(&bare) && !jid_is_bare(&jid));
    check_str(bare.full, STR("romeo@montague.lit"));
    check(jid_eq_bare(&bare, &jid) && !jid_eq(&bare, &jid));

    check(jid_parse(test_arena(), STR("montague.lit/a"), &jid) == OK);
    check_str(jid_bare(&jid), STR("montague.lit"));
    check(jid.local.len == 0 && jid.local.at != NULL);
}

TEST(prepared_texts_are_cut_without_a_copy)
{
    static const struct str rows[] = {STR("a@b/c@d/e"), STR("a@b"), STR("b"), STR("b/c@d"),
                                      STR("a@[::1]/b")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jid jid, cut = jid_of_prepared(rows[i]);
        check(jid_parse(test_arena(), rows[i], &jid) == OK);
        check(cut.full.at == rows[i].at);
        check(jid_eq(&jid, &cut));
        check_str(cut.local, jid.local);
        check_str(cut.domain, jid.domain);
        check_str(cut.resource, jid.resource);
        struct jid copy = jid_copy(test_arena(), &cut);
        check(copy.full.at != cut.full.at && jid_eq(&copy, &cut));
        check_str(copy.resource, jid.resource);
        struct jid other = jid_with_resource(test_arena(), &cut, STR("x/y"));
        check(jid_eq_bare(&other, &cut));
        check_str(other.resource, STR("x/y"));
    }
}

TEST(a_jid_is_made_of_parts)
{
    struct jid jid;
    check(jid_make(test_arena(), STR("A"), STR("B"), STR("C"), &jid) == OK);
    check_str(jid.full, STR("a@b/C"));
    check(jid_make(test_arena(), STR(""), STR("b"), STR(""), &jid) == OK);
    check_str(jid.full, STR("b"));
    // what would move the cuts is refused
    check(jid_make(test_arena(), STR("a@b"), STR("c"), STR(""), &jid) == ERR_MALFORMED);
    check(jid_make(test_arena(), STR("a/b"), STR("c"), STR(""), &jid) == ERR_MALFORMED);
    check(jid_make(test_arena(), STR("a"), STR("b/c"), STR(""), &jid) == ERR_MALFORMED);
    check(jid_make(test_arena(), STR("a"), STR("b@c"), STR(""), &jid) == ERR_MALFORMED);
    check(jid_make(test_arena(), STR("a"), STR(""), STR("c"), &jid) == ERR_MALFORMED);
}

static struct str many(const char *piece, size_t n)
{
    size_t len = strlen(piece);
    char *text = arena_alloc(test_arena(), len * n + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, piece, len);
    return (struct str){text, len * n};
}

TEST(a_part_has_1023_bytes_at_most)
{
    struct arena *arena = test_arena();
    struct str out;
    struct {
        enum err (*prepare)(struct arena *, struct str, struct str *);
        const char *piece;
        size_t each; // bytes of the piece once prepared
    } rows[] = {
        {jid_prepare_local,    "A",            1},
        {jid_prepare_local,    "\xEF\xBC\xA1", 1}, // fullwidth A: shrinks to a third
        {jid_prepare_local,    "\xC3\xA9",     2},
        {jid_prepare_local,    "\xC8\xBA",     3}, // grows when it is lowered
        {jid_prepare_resource, "A",            1},
        {jid_prepare_resource, "\xE2\x99\x9A", 3},
        {jid_prepare_domain,   "a.",           2},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t most = 1023 / rows[i].each;
        check(rows[i].prepare(arena, many(rows[i].piece, most), &out) == OK);
        check(rows[i].prepare(arena, many(rows[i].piece, most + 2), &out) == ERR_LIMIT);
        check(rows[i].prepare(arena, many(rows[i].piece, 100000), &out) == ERR_LIMIT);
    }
    struct jid jid;
    struct str all =
        arena_printf(arena, "%.*s@%.*s/%.*s", STR_ARGS(many("a", 1023)),
                     STR_ARGS(str_first(many("a.", 512), 1023)), STR_ARGS(many("r", 1023)));
    check(jid_parse(arena, all, &jid) == OK);
    check(jid.full.len == JID_MOST);
    check(jid_prepare_domain(arena, many("a", 63), &out) == OK);
    check(jid_prepare_domain(arena, many("a", 64), &out) == ERR_MALFORMED);
    check(jid_prepare_domain(arena, many("\xC3\xA9", 60), &out) == ERR_MALFORMED); // encoded
}

TEST(an_arena_without_room_is_a_limit)
{
    struct arena arena;
    arena_init(&arena, 4);
    struct jid jid;
    struct str out;
    check(jid_parse(&arena, STR("a@b/c"), &jid) == ERR_LIMIT);
    check(jid_prepare_local(&arena, STR("abcd"), &out) == ERR_LIMIT);
    check(prepare_password(&arena, STR("abcd"), &out) == ERR_LIMIT);
    arena_done(&arena);
}

TEST(new_accounts_mean_the_same_to_old_software)
{
    static const struct {
        struct str text;
        enum err e;
    } rows[] = {
        {STR("juliet"),                           OK           },
        {STR("Juliet"),                           OK           },
        {STR("a.b-c_d+e"),                        OK           },
        {STR("\xC3\xA9milie"),                    OK           },
        {STR("\xC3\x89milie"),                    OK           },
        {STR("\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D"), OK           },
        {STR("\xE4\xBE\x8B"),                     OK           },
        {STR("stra\xC3\x9F"
             "e"),
         ERR_DENIED                                            },
        {STR("\xCF\x83\xCF\x82"),                 ERR_DENIED   }, // final sigma is folded
        {STR("\xE1\xBA\x9E"),                     ERR_DENIED   }, // capital sharp s
        {STR("\xF0\x9E\xA4\xA2"),                 ERR_DENIED   }, // newer than Unicode 3.2
        {STR(""),                                 ERR_MALFORMED},
        {STR("a@b"),                              ERR_MALFORMED},
        {STR("\xE2\x85\xA3"),                     ERR_MALFORMED},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(jid_is_safe_new_localpart(rows[i].text) == rows[i].e);
}

TEST(passwords_are_prepared_as_scram_clients_do)
{
    static const struct {
        struct str text, prepared;
    } rows[] = {
  // RFC 4013 section 3
        {STR("I\xC2\xADX"),           STR("IX")                  },
        {STR("user"),                 STR("user")                },
        {STR("USER"),                 STR("USER")                },
        {STR("\xC2\xAA"),             STR("a")                   },
        {STR("\xE2\x85\xA8"),         STR("IX")                  },
 // spaces
        {STR("a b "),                 STR("a b ")                },
        {STR("a\xC2\xA0"
             "b"),
         STR("a b")                                              },
 // newer than SASLprep: OpaqueString
        {STR("pass\xF0\x9F\xA4\x96"), STR("pass\xF0\x9F\xA4\x96")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str out;
        check(prepare_password(test_arena(), rows[i].text, &out) == OK);
        check_str(out, rows[i].prepared);
    }
    static const struct str refused[] = {STR(""), STR("\x07"), STR("a\0"), STR("\xFF"),
                                         STR("\xE2\x80\x8B\xF0\x9F\xA4\x96")};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct str out;
        check(prepare_password(test_arena(), refused[i], &out) == ERR_MALFORMED);
    }
    struct str out;
    check(prepare_password(test_arena(), many("a", 1023), &out) == OK);
    check(prepare_password(test_arena(), many("a", 1024), &out) == ERR_LIMIT);
    prepare_start();
}
