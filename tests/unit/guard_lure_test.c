#include "test.h"

#include "guard/lure_internal.h"
#include "guard/minhash.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct lure_rules *rules(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

static struct lure_list scan(const char *text)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_scan_text(&list, str_of(text));
    return list;
}

/* All canonical URLs with a space between. */
static struct str found(const char *text)
{
    struct lure_list list = scan(text);
    struct str out = STR_EMPTY;
    for (size_t i = 0; i < list.n; i++)
        out = arena_printf(test_arena(), "%.*s%s%.*s", STR_ARGS(out), i > 0 ? " " : "",
                           STR_ARGS(list.lures[i].url));
    return out;
}

TEST(links_are_found_in_running_text)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"look http://evil.example/x now",                               "http://evil.example/x"              },
        {"http://evil.example",                                          "http://evil.example/"               },
        {"(see http://evil.example/x).",                                 "http://evil.example/x"              },
        {"http://evil.example/x_(y)",                                    "http://evil.example/x_(y)"          },
        {"<http://evil.example/x>",                                      "http://evil.example/x"              },
        {"\"http://evil.example/x\"!",                                   "http://evil.example/x"              },
        {"[click](http://evil.example/x)",                               "http://evil.example/x"              },
        {"http://a.example/,http://b.example/",                          "http://a.example/ http://b.example/"},
        {"http://a.example/ http://a.example/",                          "http://a.example/"                  },
        {"*https://evil.example/x*",                                     "https://evil.example/x"             },
        {"seehttp://evil.example/",                                      "http://evil.example/"               },
        {"\xE7\x9C\x8Bhttp://evil.example/",                             "http://evil.example/"               },
        {"HTTPS://EVIL.EXAMPLE/X",                                       "https://evil.example/X"             },
        {"ftp://evil.example/a.exe",                                     "ftp://evil.example/a.exe"           },
        {"http:\\\\evil.example\\x",                                     "http://evil.example/x"              },
        {"http:evil.example/x",                                          "http://evil.example/x"              },
        {"www.evil.example",                                             "http://www.evil.example/"           },
        {"www.evil.example/x?y=1",                                       "http://www.evil.example/x?y=1"      },
        {"go to evil.com.",                                              "http://evil.com/"                   },
        {"evil.com/photo",                                               "http://evil.com/photo"              },
        {"evil.example:8080/photo",                                      "http://evil.example:8080/photo"     },
        {"EVIL.COM/photo",                                               "http://evil.com/photo"              },
        {"evil.co.uk",                                                   "http://evil.co.uk/"                 },
        {"https://good.com@evil.com/",                                   "https://evil.com/"                  },
        {"https://evil.com\\@good.com",                                  "https://evil.com/@good.com"         },
        {"http://3221225985/x",                                          "http://192.0.2.1/x"                 },
        {"http://0xC0.0.2.1/x",                                          "http://192.0.2.1/x"                 },
        {"192.0.2.1/x.exe",                                              "http://192.0.2.1/x.exe"             },
        {"192.0.2.1:8080",                                               "http://192.0.2.1:8080/"             },
        {"http://[2001:db8::1]/x",                                       "http://[2001:db8::1]/x"             },
 // hidden and foreign
        {"ht\xE2\x80\x8Btp://ev\xE2\x80\x8Dil.example/",                 "http://evil.example/"               },
        {"evil\xE2\x81\xA0.\xE2\x81\xA0"
         "com/x",                                               "http://evil.com/x"                  },
        {"http://evil\xE3\x80\x82"
         "example/",                                            "http://evil.example/"               },
        {"\xEF\xBD\x85vil\xEF\xBC\x8E"
         "com/x",                                               "http://evil.com/x"                  },
        {"http\xEF\xBC\x9A//evil.example/",                              "http://evil.example/"               },
        {"http://b\xC3\xBC"
         "cher.example/",                                       "http://xn--bcher-kva.example/"      },
        {"b\xC3\xBC"
         "cher.com/x",                                          "http://xn--bcher-kva.com/x"         },
 // defanged
        {"hxxp://evil.example/x",                                        "http://evil.example/x"              },
        {"hXXps://evil[.]example/x",                                     "https://evil.example/x"             },
        {"h**p://evil.example/",                                         "http://evil.example/"               },
        {"evil[.]com",                                                   "http://evil.com/"                   },
        {"evil (dot) com",                                               "http://evil.com/"                   },
        {"evil[dot]com/x",                                               "http://evil.com/x"                  },
        {"http[:]//evil.example/",                                       "http://evil.example/"               },
        {"http[://]evil.example/",                                       "http://evil.example/"               },
        {"go to example dot com please",                                 "http://example.com/"                },
 // what clients take for the end of a name
        {"*evil.com/x*",                                                 "http://evil.com/x"                  },
        {"*www.evil.com*",                                               "http://www.evil.com/"               },
        {"see+evil.com/x",                                               "http://evil.com/x"                  },
        {"look...evil.com/x",                                            "http://evil.com/x"                  },
        {"look..evil.com",                                               "http://evil.com/"                   },
        {"look\xE2\x80\xA6"
         "evil.com/x",                                          "http://evil.com/x"                  },
        {"\xE2\x80\x9C"
         "evil.com\xE2\x80\x9D",                                "http://evil.com/"                   },
        {"\xC2\xAB"
         "evil.com\xC2\xBB",                                    "http://evil.com/"                   },
        {"\xE2\x86\x92"
         "evil.com/x",                                          "http://evil.com/x"                  },
        {"a\xC2\x85"
         "evil.com/x",                                          "http://evil.com/x"                  },
        {"a\xE2\x81\x9F"
         "evil.com/x",                                          "http://evil.com/x"                  },
        {"x@www.evil.com/x",                                             "http://www.evil.com/x"              },
        {"evil.Com",                                                     "http://evil.com/"                   },
        {"evil.me",                                                      "http://evil.me/"                    },
        {"evil.pl",                                                      "http://evil.pl/"                    },
        {"evil.link",                                                    "http://evil.link/"                  },
        {"evil.it and more",                                             "http://evil.it/"                    },
        {"http://evil\xEF\xB9\x92"
         "com/x",                                               "http://evil.com/x"                  },
        {"aesgcm://evil\xE3\x80\x82"
         "com/x",                                               "aesgcm://evil.com/x"                },
 // other things that open
        {"javascript:alert(1)",                                          "javascript:alert(1)"                },
        {"smb://server/share",                                           "smb://server/share"                 },
        {"magnet:?xt=urn:btih:abc",                                      "magnet:?xt=urn:btih:abc"            },
        {"ms-msdt:/id",                                                  "ms-msdt:/id"                        },
 // nothing to open
        {"",                                                             ""                                   },
        {".",                                                            ""                                   },
        {"hello",                                                        ""                                   },
        {"hello there. how are you?",                                    ""                                   },
        {"well...ok",                                                    ""                                   },
        {"e.g. this, i.e. that",                                         ""                                   },
        {"done.It works.So what",                                        ""                                   },
        {"romeo@example.com",                                            ""                                   },
        {"mailto:romeo@example.com",                                     ""                                   },
        {"nick: hi",                                                     ""                                   },
        {"it is 10:30 :-) :D",                                           ""                                   },
        {"use version 2.6.32.5",                                         ""                                   },
        {"192.168.1.1",                                                  ""                                   },
        {"edit foo.c and bar.h, run setup.py",                           ""                                   },
        {"test.py:12: error in main.rs",                                 ""                                   },
        {"/etc/apt/sources.list",                                        ""                                   },
        {"C:\\windows\\system32",                                        ""                                   },
        {"connect the dot to the i",                                     ""                                   },
        {"a polka dot dress",                                            ""                                   },
        {"std::string",                                                  ""                                   },
        {"http://",                                                      ""                                   },
        {"http:// evil",                                                 ""                                   },
        {"://",                                                          ""                                   },
        {"http:",                                                        ""                                   },
        {"\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE6\x88\x91\xE6\x98\xAF", ""                                   },
        {"a.b.c.d",                                                      ""                                   },
        {"array[i.j]",                                                   ""                                   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(found(rows[i].text), str_of(rows[i].wanted));
}

TEST(a_picture_in_a_name_is_read_both_ways)
{
    struct lure_list list = scan("\xF0\x9F\x98\x80"
                                 "evil.com/x");
    bool plain = false, with_picture = false;
    for (size_t i = 0; i < list.n; i++) {
        plain |= str_eq(list.lures[i].host, STR("evil.com"));
        with_picture |= str_starts(list.lures[i].host, STR("xn--"));
    }
    check(plain && with_picture);
}

static struct str repeat(const char *before, size_t n, const char *after)
{
    char *middle = arena_alloc(test_arena(), n + 1);
    memset(middle, 'a', n);
    middle[n] = 0;
    return arena_printf(test_arena(), "%s%s%s", before, middle, after);
}

TEST(a_link_too_long_to_be_read_hides_nothing)
{
    struct lure_list list = scan(repeat("http://evil.com/x?", 100000, "").at);
    check(list.n == 1 && str_eq(list.lures[0].host, STR("evil.com")));
    // a host that does not end is refused
    list = scan(repeat("http://", 5000, "@evil.com/x").at);
    check(list.overflowed);
    lure_list_init(&list, rules(), test_arena());
    lure_add_url(&list, repeat("http://", 5000, "@evil.com/x"), STR_EMPTY);
    check(list.overflowed);
    lure_list_init(&list, rules(), test_arena());
    lure_add_url(&list, repeat("http://evil.com/", 100000, ""), STR_EMPTY);
    check(list.n == 1 && !list.overflowed);
    // an address that has no host, or one that is seen, is refused for no length
    static const char *const long_ones[] = {"data:image/png;base64,", "data:;x=", "evil.com/",
                                            "http:/evil.com/"};
    for (size_t i = 0; i < COUNT_OF(long_ones); i++) {
        lure_list_init(&list, rules(), test_arena());
        lure_add_url(&list, repeat(long_ones[i], 5000, ""), STR_EMPTY);
        check(list.n == 1 && !list.overflowed);
    }
    static const char *const hidden[] = {"http:/", "https:", "//", " \thttps://", ""};
    for (size_t i = 0; i < COUNT_OF(hidden); i++) {
        lure_list_init(&list, rules(), test_arena());
        lure_add_url(&list, repeat(hidden[i], 5000, "@evil.com/x"), STR_EMPTY);
        check(list.overflowed);
    }
}

TEST(a_text_full_of_what_is_almost_a_link_is_refused)
{
    static const char *const almost[] = {"xn--.com/", "xx://[ ", "http://[/ "};
    for (size_t i = 0; i < COUNT_OF(almost); i++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        for (int n = 0; n < 10000; n++)
            buf_add(&text, str_of(almost[i]));
        struct lure_list list;
        lure_list_init(&list, rules(), test_arena());
        lure_scan_text(&list, buf_str(&text));
        check(list.overflowed); // and not read to its end, which would cost its square
        buf_done(&text);
    }
}

/* n letters of Han, no two alike. */
static struct str han(unsigned n)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    for (unsigned i = 0; i < n; i++) {
        unsigned point = 0x4E00 + i * 7919 % 0x5000;
        const char utf8[] = {(char)(0xE0 | point >> 12), (char)(0x80 | (point >> 6 & 0x3F)),
                             (char)(0x80 | (point & 0x3F))};
        buf_add(&text, str_make(utf8, sizeof utf8));
    }
    struct str out = arena_str(test_arena(), buf_str(&text));
    buf_done(&text);
    return out;
}

// IDNA takes the square of a label's length: of sentences it is asked for their last word only.
TEST(sentences_of_other_scripts_are_no_hosts_and_hide_none)
{
    struct str text = STR_EMPTY;
    for (int i = 0; i < 1000; i++)
        text = i % 100 > 0 ? text
                           : arena_printf(test_arena(), "%.*s%.*s\xE3\x80\x82%.*s ", STR_ARGS(text),
                                          STR_ARGS(han(60 + i / 20)), STR_ARGS(han(40 + i / 20)));
    check(found(arena_printf(test_arena(), "%.*s", STR_ARGS(text)).at).len == 0);
    static const char *const names[] = {
        "\xE4\xBE\x8B\xE5\xAD\x90\xE3\x80\x82\xE4\xB8\xAD\xE5\x9B\xBD",      // a suffix of Han
        "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xBC\xD0\xB5\xD1\x80.\xD0\xA0\xD0\xA4", // in capitals
        "\xE4\xBE\x8B\xE5\xAD\x90\xE3\x80\x82"
        "com",
        "b\xC3\xBC"
        "cher.de.", // the root's dot
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct str url = found(names[i]);
        check(str_starts(url, STR("http://xn--")));
        check_str(found(arena_printf(test_arena(), "%.*s%s", STR_ARGS(text), names[i]).at), url);
    }
}

TEST(a_text_full_of_long_names_with_a_suffix_is_refused)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 300; i++) // none fits in DNS
        buf_printf(&text, "%.*s.com ", STR_ARGS(han(250)));
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_scan_text(&list, buf_str(&text));
    check(list.overflowed && list.n == 0);
    buf_done(&text);
}

TEST(what_was_made_dead_has_nothing_to_open)
{
    static const char *const texts[] = {
        "http://evil.com/x",
        "evil.com",
        "*evil.com/x*",
        "http://a.b.c.d.e.f.g.h.evil.com:80/x.y.z?a:b",
        "................................evil.com/x",
        "::::::::::::::::::::http://evil.com/x",
        "evil\xE3\x80\x82"
        "com/x",
        "evil\xEF\xBC\x8E"
        "com/x",
        "evil\xEF\xBD\xA1"
        "com/x",
        "http\xEF\xBC\x9A//evil\xE3\x80\x82"
        "com",
        "evil\xE2\x80\x8B.com/x",
        "192.0.2.1/x",
        "see http://evil.com/x and www.evil.com, or b\xC3\xBC"
        "cher.com/x",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct str dead;
        check(lure_defang(rules(), test_arena(), str_of(texts[i]), &dead) == OK);
        struct lure_list list = scan(arena_printf(test_arena(), "%.*s", STR_ARGS(dead)).at);
        for (size_t k = 0; k < list.n; k++)
            if ((list.lures[k].flags & LURE_DEFANGED) == 0)
                check_str(dead, STR("nothing to open"));
    }
}

TEST(a_hint_is_seen_at_every_place_of_a_text)
{
    char text[80];
    for (size_t len = 12; len < sizeof text; len++)
        for (size_t at = 0; at + 11 <= len; at++) {
            memset(text, ' ', len);
            memcpy(text + at, "evil.com/ab", 11);
            text[len] = 0;
            struct lure_list list = scan(text);
            check(list.n == 1);
            memset(text, ' ', len);
            memcpy(text + at, "ok dot com ", 11);
            list = scan(text);
            check(list.n == 1 && (list.lures[0].flags & LURE_DEFANGED));
            check(list.lures[0].flags & LURE_SPELLED);
        }
}

TEST(a_list_has_a_ceiling_and_says_so)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "http://h%d.example/ ", i);
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_scan_text(&list, buf_str(&text));
    check(list.n == LURES_MOST);
    check(list.overflowed);
    struct arena small;
    arena_init(&small, 3000);
    lure_list_init(&list, rules(), &small);
    lure_scan_text(&list, buf_str(&text));
    check(list.overflowed);
    lure_list_keys(&list, NULL);
    arena_done(&small);
    buf_done(&text);
}

TEST(hostile_text_costs_little)
{
    static const char *const pieces[] = {
        "a:b:",
        "http://[",
        "a.b/",
        "http:a,",
        "((((",
        "[.][.]",
        "juliet",
        "..",
        "www.",
        "@.",
        "x.com@",
        "\xE2\x80\x8B.",
        "http://%",
        "[ dot ",
        "{://}",
        " dot com",
        ",dot,com",
        "a\xC2\xB7"
        "com",
        "\xD4\x81\xD0\xBE"
        "t ",
        "period ",
        "then dot then ",
        "x-dot-ab",
        "-dot-",
        "\xE4\xB8\xAD\xE3\x80\x82",
        "\xE2\x80\x9C"
        "dot",
    };
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        while (text.len < 200000)
            buf_add(&text, str_of(pieces[i]));
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct lure_list list;
        lure_list_init(&list, rules(), &arena);
        lure_scan_text(&list, buf_str(&text));
        struct lure_people people = {.names = {STR("juliet@example.org")}, .n = 1};
        lure_list_keys(&list, &people);
        (void)lure_text_warns(&list, buf_str(&text));
        (void)lure_text_shape(&list, buf_str(&text), &people);
        arena_done(&arena);
        buf_done(&text);
    }
}

static struct lure one_of(struct str a, struct str b, const char *url)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_add_url(&list, str_of(url), STR_EMPTY);
    check(list.n == 1);
    struct lure_people people = {
        .names = {a, b},
          .n = 2
    };
    lure_list_keys(&list, &people);
    return list.lures[0];
}

TEST(templates_lose_what_changes_from_victim_to_victim)
{
    static const struct {
        const char *url, *shown;
        unsigned flags;
    } rows[] = {
        {"http://evil.example/juliet",                     "evil.example/{name}",                   LURE_NAMED                },
        {"http://evil.example/Juliet.jpg",                 "evil.example/{name}.jpg",               LURE_NAMED                },
        {"http://evil.example/photos-of-juliet",           "evil.example/photos-of-{name}",         LURE_NAMED                },
        {"http://evil.example/photosofjuliet2024",         "evil.example/photosof{name}{n}",
         LURE_NAMED | LURE_NUMBERED                                                                                           },
        {"http://juliet.evil.example/",                    "{name}.evil.example/",                  LURE_NAMED                },
        {"http://evil.example/6a756c696574",               "evil.example/{name}",                   LURE_NAMED                },
        {"http://evil.example/anVsaWV0",                   "evil.example/{name}",                   LURE_NAMED                },
        {"http://evil.example/teiluj",                     "evil.example/{name}",                   LURE_NAMED                },
        {"http://evil.example/%6auliet",                   "evil.example/{name}",                   LURE_NAMED                },
        {"http://evil.example/u/juliet%40capulet.example", "evil.example/u/{name}@capulet.example",
         LURE_NAMED                                                                                                           },
        {"http://evil.example/?u=juliet",                  "evil.example/",                         LURE_NAMED                },
        {"http://evil.example/?u=anVsaWV0",                "evil.example/",                         LURE_NAMED                },
        {"http://evil.example/?u=romeo&x=secret",          "evil.example/",                         LURE_NAMED | LURE_NUMBERED},
        {"http://evil.example/photo123.jpg",               "evil.example/photo{n}.jpg",             LURE_NUMBERED             },
        {"http://evil.example/a8f3c2d1e0",                 "evil.example/{id}",                     LURE_NUMBERED             },
        {"http://evil.example/xK3pQ9zT",                   "evil.example/{id}",                     LURE_NUMBERED             },
        {"http://evil.example/holiday/photos",             "evil.example/holiday/photos",           0                         },
        {"https://www.evil.example/holiday",               "evil.example/holiday",                  0                         },
        {"ftp://evil.example/x",                           "ftp:evil.example/x",                    0                         },
        {"http://evil.example/x#secret",                   "evil.example/x",                        0                         },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct lure lure =
            one_of(STR("romeo@montague.example"), STR("juliet@capulet.example"), rows[i].url);
        check_str(lure.shown, str_of(rows[i].shown));
        check((lure.flags & (LURE_NAMED | LURE_NUMBERED)) == rows[i].flags);
    }
}

TEST(copies_for_two_victims_share_a_template_but_not_the_url)
{
    struct str zero = STR("zero@a.example");
    struct lure a = one_of(zero, STR("juliet@a.example"), "http://evil.example/p/juliet?x=1");
    struct lure b = one_of(zero, STR("romeo@a.example"), "http://evil.example/p/romeo?x=2");
    check(!lure_key_eq(&a.keys[LURE_EXACT], &b.keys[LURE_EXACT]));
    check(lure_key_eq(&a.keys[LURE_TEMPLATE], &b.keys[LURE_TEMPLATE]));
    check(lure_key_eq(&a.keys[LURE_HOST], &b.keys[LURE_HOST]));
    struct lure c = one_of(zero, STR("romeo@a.example"), "http://other.evil.example/p/romeo");
    check(!lure_key_eq(&a.keys[LURE_HOST], &c.keys[LURE_HOST]));
    check(lure_key_eq(&a.keys[LURE_DOMAIN], &c.keys[LURE_DOMAIN]));
    // a host whose name contains another is another
    struct lure d = one_of(zero, STR("x@a.example"), "http://notevil.example/p/romeo");
    check(!lure_key_eq(&a.keys[LURE_DOMAIN], &d.keys[LURE_DOMAIN]));
    struct lure e = one_of(zero, STR("x@a.example"), "http://evil.example.org/p/romeo");
    check(!lure_key_eq(&a.keys[LURE_DOMAIN], &e.keys[LURE_DOMAIN]));
}

TEST(files_are_known_by_digest_and_by_shape)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    static const struct lure_file files[] = {
        {.name = {"photo.jpg.exe", 13},
         .size = 99,
         .digest_name = {"sha-256", 7},
         .digest = {"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", 44}},
        {.name = {"photo7.jpg.exe", 14},
         .size = 99,
         .digest_name = {"SHA-256", 7},
         .digest = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 64}},
        {.name = {"C:\\x\\photo8.jpg.exe", 19},                                                     .size = 100                                   },
        {.name = {"report.pdf", 10},                                                              .size = 5                         },
    };
    for (size_t i = 0; i < COUNT_OF(files); i++)
        lure_add_file(&list, &files[i]);
    lure_list_keys(&list, NULL);
    check(list.n == 4);
    const struct lure *l = list.lures;
    check(l[0].flags & LURE_EXECUTABLE && l[0].flags & LURE_DISGUISED);
    check(lure_key_eq(&l[0].keys[LURE_EXACT], &l[1].keys[LURE_EXACT])); // base64 or hex
    check(!lure_key_eq(&l[0].keys[LURE_TEMPLATE], &l[1].keys[LURE_TEMPLATE]));
    check(lure_key_eq(&l[1].keys[LURE_TEMPLATE], &l[2].keys[LURE_TEMPLATE]));
    check_str(l[2].shown, STR("photo{n}.jpg.exe"));
    check(l[3].flags == 0);
    check(lure_key_is_none(&l[0].keys[LURE_HOST]));
}

TEST(a_label_that_names_another_host_is_noticed)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_add_url(&list, STR("http://evil.example/"), STR("https://bank.com/login"));
    lure_add_url(&list, STR("http://www.bank.com/x"), STR("bank.com"));
    lure_add_url(&list, STR("http://c.example/x"), STR("click here"));
    lure_add_url(&list, STR("cid:sha1+0@bob.xmpp.org"), STR_EMPTY);
    lure_add_url(&list, STR("mailto:romeo@example.org"), STR_EMPTY);
    lure_add_url(&list, STR("//d.example/x"), STR_EMPTY);
    lure_add_url(&list, STR("e.com/x"), STR_EMPTY);
    check(list.n == 5);
    check(list.lures[0].flags & LURE_LABELLED);
    check(!(list.lures[1].flags & LURE_LABELLED));
    check(!(list.lures[2].flags & LURE_LABELLED));
    check_str(list.lures[3].url, STR("http://d.example/"
                                     "x"));
    check_str(list.lures[4].url, STR("http://e.com/x"));
}

TEST(keys_are_collected_once_each)
{
    struct lure_list list = scan("http://a.example/1 http://a.example/2 http://b.a.example/2");
    lure_list_keys(&list, NULL);
    struct lure_key keys[64];
    // hosts a, b.a; the domain a; templates of a, of b.a; three URLs
    check(lure_list_collect(&list, keys, 64) == 8);
    check(lure_list_collect(&list, keys, 2) == 2);
    check(lure_key_eq(&keys[0], &list.lures[0].keys[LURE_HOST]));
}

TEST(the_shape_of_the_words_ignores_links_names_and_numbers)
{
    struct lure_people people = {.names = {STR("juliet@a.example")}, .n = 1};
    struct lure_list list = scan("http://evil.example/");
    uint64_t a =
        lure_text_shape(&list, STR("Hey Juliet, LOOK at this: http://evil.example/1"), &people);
    uint64_t b =
        lure_text_shape(&list, STR("hey look at this http://evil.example/2 juliet!!"), &people);
    check(a == b && a != 0);
    check(lure_text_shape(&list, STR("http://evil.example/"), &people) == 0);
    check(lure_text_shape(&list, STR("quite another http://evil.example/"), &people) != a);
}

TEST(the_shape_of_the_words_is_what_snapshots_and_logs_hold)
{
    static const struct {
        const char *text;
        uint64_t shape;
    } rows[] = {
        {"learn to turn on the corner lamp right now, ok? see http://evil.example/1",
         0x5A621D6366519816                                                                                      },
        {"for now or never: internationalization (and counterrevolutionaries) return, juliet",
         0x5A621D63D236C536                                                                                      },
        {"one word after the other and so on until there are more letters than are looked at, "
         "which "
         "is a hundred and sixty, and then some more of them that nobody looks at any more, as if "
         "they were not there at all",                                                0x5A62EB07086D5DEB},
        {"sch\303\266ne Gr\303\274\303\237e nach K\303\266ln, siehe evil.example/1 am 24.12. um "
         "18:30",                                                                     0xD1FC4FF3F84384F8},
        {"0mg y0u h4v3 70 533 7h15",                                                           0xEA3B009E086D9345},
        {"soooo look aaaat thisss piiiicture of youuu",                                        0x9BF11D9E086D2F9F},
        {"wait... what is that? \321\201m\320\276rning, WWW.EVIL.EXAMPLE",                     0x26F6C90A224E8FEB},
    };
    struct lure_people people = {.names = {STR("juliet@a.example")}, .n = 1};
    struct lure_list list = scan("");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (lure_text_shape(&list, str_of(rows[i].text), &people) != rows[i].shape)
            check_str(str_of(rows[i].text), STR("another shape"));
}

/* As it is defined, whatever the processor has for it. */
static uint64_t plain_minhash(const uint32_t *letters, size_t n)
{
    static const uint64_t ways[] = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD6E8FEB86659FD93),
                                    UINT64_C(0xA0761D6478BD642F), UINT64_C(0xE7037ED1A0B428DB)};
    uint64_t shape = 0;
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        uint64_t least = UINT64_MAX;
        for (size_t i = 0; i + 2 < n; i++) {
            uint64_t run =
                (letters[i] | (uint64_t)letters[i + 1] << 21 | (uint64_t)letters[i + 2] << 42) *
                UINT64_C(0x2127599BF4325C37);
            uint64_t hash = (run ^ run >> 32) * ways[way];
            least = hash < least ? hash : least;
        }
        shape = shape << 16 | ((uint32_t)(least >> 32) * 0x9E3779B1U >> 16);
    }
    return shape;
}

TEST(minhash_is_the_same_on_every_processor)
{
    uint32_t letters[160];
    uint64_t state = 1;
    for (int round = 0; round < 20; round++)
        for (size_t n = 3; n <= COUNT_OF(letters); n++) {
            for (size_t i = 0; i < n; i++) {
                state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                // ASCII, and letters of as many bits as a code point has
                letters[i] = (uint32_t)(round % 2 == 0 ? 'a' + (state >> 59) : state >> 43);
            }
            check(minhash(letters, n) == plain_minhash(letters, n));
        }
}

TEST(words_that_were_dressed_up_have_nearly_the_same_shape)
{
    static const char text[] = "omg you have to see this http://evil.example/1";
    static const struct {
        const char *text;
        bool alike;
    } rows[] = {
        {"OMG! You HAVE to see THIS!!! http://evil2.example/2",                   true },
        {"0mg y0u h4ve to s33 th1s",                                              true },
        {"o m g  y o u  h a v e  t o  s e e  t h i s",                            true },
        {"omg yo\xE2\x80\x8Bu have t\xC2\xADo see this",                          true },
        {"\xD0\xBEmg y\xD0\xBEu h\xD0\xB0v\xD0\xB5 to s\xD0\xB5\xD0\xB5 this",    true },
        {"\xEF\xBD\x8F\xEF\xBD\x8D\xEF\xBD\x87 you have to see this",             true },
        {"\xF0\x9D\x90\xA8\xF0\x9D\x90\xA6\xF0\x9D\x90\xA0 you have to see this", true },
        {"haha omg you have to see this now",                                     true },
        {"0mg y0u h4v3 70 533 7h15",                                              true },
        {"0mg y0u h@v3 +0 $33 +h!5",                                              true },
        {"omg you have to see thi5 20",                                           true },
        {"\xEF\xBD\x99\xEF\xBD\x8F\xEF\xBD\x95 have to see this omg you have",    true },
        {"0mg  y0u h4v3 t0  s33 th15 http://evil3.example/3",                     true },
        {"omg the 4th and 5th of may have to be seen",                            false},
        {"omg juliet you have to see this 4711",                                  true },
        {"lol is that you in this picture",                                       false},
        {"happy new year!",                                                       false},
        {"we have to see about this on monday",                                   false},
        {"ok",                                                                    false},
    };
    struct lure_people people = {.names = {STR("juliet@a.example")}, .n = 1};
    struct lure_list list = scan("");
    uint64_t shape = lure_text_shape(&list, str_of(text), &people);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t other = lure_text_shape(&list, str_of(rows[i].text), &people);
        if (lure_shapes_alike(shape, other) != rows[i].alike)
            check_str(str_of(rows[i].text), rows[i].alike ? STR("alike") : STR("not alike"));
    }
    check(!lure_shapes_alike(0, 0));
    check(lure_text_shape(&list, STR("look"), NULL) == 0); // nobody's words in particular
}

TEST(words_drawn_out_differently_have_one_shape)
{
    struct lure_list list = scan("");
    uint64_t once =
        lure_text_shape(&list, STR("soooo look aaaat thisss piiiicture of youuu"), NULL);
    uint64_t again = lure_text_shape(&list, STR("soo loook at thiiis pictureeee of yyyou"), NULL);
    check(once != 0 && once == again);
    // one is a word as people write it, and double letters are what they are
    uint64_t plain = lure_text_shape(&list, STR("hmmm will you all still tell me"), NULL);
    check(plain != lure_text_shape(&list, STR("hm wil you al stil tel me"), NULL));
}

TEST(warnings_are_told_from_offers)
{
    static const struct {
        const char *text;
        bool warns;
    } rows[] = {
        {"look at this http://evil.example/x",                   false},
        {"don't click http://evil.example/x",                    true },
        {"DO NOT OPEN http://evil.example/x",                    true },
        {"careful: hxxp://evil.example/x",                       true },
        {"evil[.]example/x is bad",                              true },
        {"> look at this http://evil.example/x\nwas this you?",  true },
        {"http://evil.example/x ist ein Virus, nicht anklicken", true },
        {"> hi\nlook at this http://evil.example/x",             false},
        {"> http://evil.example/x\nhttp://evil.example/x",       false},
        {"no link, do not open",                                 false},
        {"go to evilplace dot com and sign in",                  false},
        {"do not open evilplace dot com",                        true },
        {"> go to evilplace dot com\nwas this you?",             true },
        {"go to evilplace[.]com and sign in",                    true }, // gains nothing: judge.c
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct lure_list list = scan(rows[i].text);
        check(lure_text_warns(&list, str_of(rows[i].text)) == rows[i].warns);
    }
}

TEST(links_of_a_warning_are_made_dead)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"don't click http://evil.example/x.php ok?",
         "don't click http[:]//evil[.]example/x[.]php ok?"                                          },
        {"evil.com/x and foo.txt",                    "evil[.]com/x and foo.txt"                    },
        {"nothing. here",                             "nothing. here"                               },
 // what can be typed is only named
        {"don't click evil[.]com/x",                  "don't click ev…[.]com/x"                   },
        {"it is evil dot com, not http://evil.com",   "it is ev… dot com, not http[:]//evil[.]com"},
        {"not me: hxxps://evil.example/a",            "not me: hxxps[:]//ev…[.]example/a"         },
        {"www (dot) evil ( dot ) com was not me",     "ww… (dot) ev… ( dot ) com was not me"    },
        {"don't go to 203.0.113.5, use 3.5.2.1",
         "don't go to 20…[.]0[.]11…[.]5, use 3[.]5[.]2[.]1"                                     },
        {"not me: evil·com, evil-dot-com",           "not me: ev… dot com, ev…-dot-com"        },
        {"never visit evil d\xD0\xBEt c0m",           "never visit ev… dot c0m"                   },
        {"so a[.]b[.]example is bad",                 "so a[.]b[.]example is bad"                   },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str dead;
        check(lure_defang(rules(), test_arena(), str_of(rows[i].text), &dead) == OK);
        check_str(dead, str_of(rows[i].wanted));
    }
    struct arena small;
    arena_init(&small, 10);
    struct str dead;
    check(lure_defang(rules(), &small, STR("http://evil.example/"), &dead) == ERR_LIMIT);
    arena_done(&small);
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

TEST(the_cost_of_a_text_is_printed)
{
    static const char plain[] = "well i think that was a good idea, but let us wait until monday";
    static const char link[] =
        "this may help: http://ubuntuhandbook.org/index.php/2015/04/encrypt/";
    struct arena arena;
    arena_init(&arena, 1 << 20);
    const int rounds = 20000;
    double at = cpu_ns();
    size_t n = 0;
    for (int i = 0; i < rounds; i++) {
        struct lure_list list;
        lure_list_init(&list, rules(), &arena);
        lure_scan_text(&list, str_of(plain));
        n += list.n;
    }
    double without = (cpu_ns() - at) / rounds;
    at = cpu_ns();
    struct lure_people people = {
        .names = {STR("romeo@a.example"), STR("juliet@a.example")},
          .n = 2
    };
    for (int i = 0; i < rounds; i++) {
        struct lure_list list;
        lure_list_init(&list, rules(), &arena);
        lure_scan_text(&list, str_of(link));
        lure_list_keys(&list, &people);
        n += list.n;
        arena_reset(&arena);
    }
    printf("extraction: %.0f ns without a lure, %.0f ns with one and its keys\n", without,
           (cpu_ns() - at) / rounds);
    check(n == (size_t)rounds);
    arena_done(&arena);
}

/* FIREDOOR_TEXTS: one message a line; prints every host found with its count, for the eye. */
TEST(real_texts_are_scanned_when_given)
{
    const char *path = getenv("FIREDOOR_TEXTS");
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    if (file == NULL)
        return;
    char line[65536];
    size_t n = 0, with = 0, bare = 0;
    double spent = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        struct arena arena;
        arena_init(&arena, 1 << 20);
        struct lure_list list;
        lure_list_init(&list, rules(), &arena);
        double at = cpu_ns();
        lure_scan_text(&list, str_trim(str_of(line)));
        spent += cpu_ns() - at;
        check(!list.overflowed);
        n++;
        with += list.n > 0;
        for (size_t i = 0; i < list.n; i++)
            if (list.lures[i].flags & LURE_BARE) {
                bare++;
                if (getenv("FIREDOOR_SHOW") != NULL)
                    printf("bare %.*s\n", STR_ARGS(list.lures[i].url));
            }
        arena_done(&arena);
    }
    printf("%zu texts, %zu with a lure, %zu bare links, %.0f ns a text\n", n, with, bare,
           spent / (double)n);
    fclose(file);
}
