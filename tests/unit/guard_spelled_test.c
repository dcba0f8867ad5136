#include "test.h"

#include "guard/spelled_internal.h"

#include "base/buf.h"

#include <stdio.h>

static const struct lure_rules *rules(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

/* All canonical URLs with a space between. */
static struct str found_in(struct str text)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_scan_text(&list, text);
    struct str out = STR_EMPTY;
    for (size_t i = 0; i < list.n; i++)
        out = arena_printf(test_arena(), "%.*s%s%.*s", STR_ARGS(out), i > 0 ? " " : "",
                           STR_ARGS(list.lures[i].url));
    return out;
}

static struct str found(const char *text)
{
    return found_in(str_of(text));
}

TEST(an_address_in_words_is_read_where_it_cannot_be_anything_else)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"go to evilplace dot com and sign in", "http://evilplace.com/"   },
        {"go to evilplace  DOT  com now",       "http://evilplace.com/"   },
        {"evilplace d0t com",                   "http://evilplace.com/"   },
        {"evilplace dot de, quick",             "http://evilplace.de/"    },
        {"www dot evilplace dot co dot uk",     "http://evilplace.co.uk/" },
        {"geh auf evilplace Punkt de",          "http://evilplace.de/"    },
        {"evilplace ponto com ponto br",        "http://evilplace.com.br/"},
        {"va su evilplace punto it",            "http://evilplace.it/"    },
        {"the dot is red",                      ""                        },
        {"a dot matrix",                        ""                        },
        {"de mon point de vue",                 ""                        },
        {"desde mi punto de vista",             ""                        },
        {"at this point it works",              ""                        },
        {"dot com",                             ""                        },
        {"join the dots",                       ""                        },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(found(rows[i].text), str_of(rows[i].wanted));
}

TEST(an_address_in_words_is_read_however_its_dot_is_dressed)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"abcqwe <dot> com",                                                   "http://abcqwe.com/"  },
        {"abcqwe-dot-com",                                                     "http://abcqwe.com/"  },
        {"abcqwe_dot_com",                                                     "http://abcqwe.com/"  },
        {"abcqwe/dot/com",                                                     "http://abcqwe.com/"  },
        {"abcqwe \"dot\" com",                                                 "http://abcqwe.com/"  },
        {"abcqwe 'dot' com",                                                   "http://abcqwe.com/"  },
        {"abcqwe, dot, com",                                                   "http://abcqwe.com/"  },
        {"abcqwe dot: com",                                                    "http://abcqwe.com/"  },
        {"abcqwe *dot* com",                                                   "http://abcqwe.com/"  },
        {"abcqwe\x0A"
         "dot\x0A"
         "com",                                                       "http://abcqwe.com/"  },
        {"abcqwe \".\" com",                                                   "http://abcqwe.com/"  },
        {"abcqwe\xE2\x80\xA2"
         "com",                                                       "http://abcqwe.com/"  },
        {"abcqwe\xC2\xB7"
         "com",                                                       "http://abcqwe.com/"  },
        {"abcqwe dot c0m",                                                     "http://abcqwe.com/"  },
        {"abcqwe dot c o m",                                                   "http://abcqwe.com/"  },
        {"abcqwe dot c 0 m",                                                   "http://abcqwe.com/"  },
        {"abcqwe period com",                                                  "http://abcqwe.com/"  },
        {"abcqwe full stop com",                                               "http://abcqwe.com/"  },
        {"abcqwe d\xD0\xBEt com",                                              "http://abcqwe.com/"  },
        {"abcqwe D\xD0\x9E\xD0\xA2 com",                                       "http://abcqwe.com/"  },
        {"abcqwe \xF0\x9D\x90\x9D\xF0\x9D\x90\xA8\xF0\x9D\x90\xAD com",        "http://abcqwe.com/"  },
        {"abcqwe dot \xF0\x9D\x90\x9C\xF0\x9D\x90\xA8\xF0\x9D\x90\xA6",        "http://abcqwe.com/"  },
        {"abcqwe \xEF\xBD\x84\xEF\xBD\x8F\xEF\xBD\x94 com",                    "http://abcqwe.com/"  },
        {"abcqwe \xE2\x93\x93\xE2\x93\x9E\xE2\x93\xA3 c\xD0\xBEm",             "http://abcqwe.com/"  },
        {"abcqwe d\xE2\x80\x8Bot com",                                         "http://abcqwe.com/"  },
        {"abcqwe (d\xD0\xBEt) com",                                            "http://abcqwe.com/"  },
        {"\xE2\x80\x9C"
         "abcqwe\xE2\x80\x9D dot com",                                "http://abcqwe.com/"  },
        {"abcqwe \xF0\x9F\x91\x89 dot \xF0\x9F\x91\x88 com",                   "http://abcqwe.com/"  },
        {"abcqwe \xE2\x80\x94 dot \xE2\x80\x94 com",                           "http://abcqwe.com/"  },
        {"type abcqwe then dot then com",                                      "http://abcqwe.com/"  },
        {"type abcqwe, then dot, then com",                                    "http://abcqwe.com/"  },
        {"abcqwe\xE2\x80\xA2\xF0\x9D\x90\x9C\xF0\x9D\x90\xA8\xF0\x9D\x90\xA6",
         "http://abcqwe.com/"                                                                        },
        {"abcqwe dot top",                                                     "http://abcqwe.top/"  },
        {"go to abcqwe dot zip",                                               "http://abcqwe.zip/"  },
        {"visit \"abcqwe dot zip\"",                                           "http://abcqwe.zip/"  },
        {"abcqwe-dot-co-dot-uk",                                               "http://abcqwe.co.uk/"},
        {"203 dot 0 dot 113 dot 5",                                            "http://203.0.113.5/" },
        {"go to 203.0.113.5",                                                  "http://203.0.113.5/" },
        {"open: 203.0.113.5 now",                                              "http://203.0.113.5/" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_str(found(rows[i].text), str_of(rows[i].wanted));
        // and a warning that quotes it no longer says where to go
        struct str dead;
        check(lure_defang(rules(), test_arena(), str_of(rows[i].text), &dead) == OK);
        dead = arena_printf(test_arena(), "%.*s", STR_ARGS(dead));
        struct str left = found(dead.at);
        if (str_eq(left, str_of(rows[i].wanted)))
            check_str(dead, STR("nowhere to go"));
    }
}

TEST(what_people_say_of_dots_and_numbers_is_no_address)
{
    static const char *const texts[] = {
        "the .net framework",
        "the end. come on",
        "top dot zip file",
        "open report dot zip",
        "run test dot py",
        "der Punkt ist, com",
        "am Punkt angekommen",
        "version 3.5.2.1 is out",
        "use version 3.5.2.1",
        "let us go to 3.5.2",
        "go to version 3.5.2.1",
        "at 10.30 or 11:45",
        "see notes.txt",
        "the dot-com bubble",
        "a dot/com thing",
        "trial period info",
        "a period of time",
        "it came to a full stop. Online again",
        "Home \xE2\x80\xA2 Shop \xE2\x80\xA2 Info",
        "Nutzer\xC2\xB7in",
        "ami\xC2\xB7"
        "es",
        "vil\xC2\xB7la",
        "dot-to-dot",
        "foo_dot_in",
        "dash-dot-dash",
        "he said \".\" in the end",
        "put \".\" before org",
        "1 dot 5 million",
        "\xD1\x87\xD1\x82\xD0\xBE \xD1\x8D\xD1\x82\xD0\xBE \xD0\xBE\xD1\x82 "
        "\xD0\xB4\xD0\xBE\xD1\x82 \xD0\xBA\xD0\xBE\xD0\xBC",
        "300 dot 0 dot 113 dot 5",
        "3 dot 5 dot 2",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (found(texts[i]).len > 0)
            check_str(str_of(texts[i]), STR("no address"));
}

/* Words are read no further than they must: whatever stands before and behind, none is missed. */
TEST(an_address_in_words_is_read_at_every_place_of_a_foreign_text)
{
    static const char *const around[] = {
        "\xD0\xBE",         // Cyrillic
        "\xD0\xB6\xD0\xBE", // the second looks like o
        "\xE6\x96\x87",     // Han
        "\xED\x95\x9C",     // Hangul
        "\xD8\xA8",         // Arabic
        "\xE0\xA4\xA8",     // Devanagari
        "\xF0\x9F\x98\x80", // a picture
        "d",
        "\xD4\x81", // looks like d
    };
    static const char *const said[] = {
        " abcqwe dot com ",
        " abcqwe d\xD0\xBEt com ",
        " abcqwe \xF0\x9D\x90\x9D\xF0\x9D\x90\xA8\xF0\x9D\x90\xAD c\xD0\xBEm ",
        " abcqwe \xD1\x80unkt com ",
        " abcqwe\xE2\x80\xA2"
        "com ",
        " abcqwe\xE3\x80\x82"
        "com ",
    };
    for (size_t i = 0; i < COUNT_OF(said); i++) {
        const struct str address = STR("http://abcqwe.com/");
        check_str(found(said[i]), address);
        for (size_t k = 0; k < COUNT_OF(around); k++)
            for (int n = 0; n < 20; n++) {
                struct buf text;
                buf_init(&text, 1 << 12);
                for (int before = 0; before < n; before++)
                    buf_add(&text, str_of(around[k]));
                buf_add(&text, str_of(said[i]));
                for (int behind = 0; behind < 20 - n; behind++)
                    buf_add(&text, str_of(around[k]));
                check_str(found_in(buf_str(&text)), address);
                buf_done(&text);
            }
    }
}

/* What is kept of ICU's answers is what it answers, the first time and again. */
TEST(what_is_known_of_a_character_is_what_it_looks_like)
{
    for (uint32_t point = 0x80; point < 0x110000; point += point < 0x3100 ? 1 : 37) {
        char utf8[4];
        size_t len = 0, n;
        if (point >= 0x10000) {
            utf8[len++] = (char)(0xF0 | point >> 18);
            utf8[len++] = (char)(0x80 | (point >> 12 & 0x3F));
        } else if (point >= 0x800) {
            utf8[len++] = (char)(0xE0 | point >> 12);
        }
        utf8[len] = (char)(point < 0x800 ? 0xC0 | point >> 6 : 0x80 | (point >> 6 & 0x3F));
        utf8[++len] = (char)(0x80 | (point & 0x3F));
        struct str text = str_make(utf8, len + 1);
        unsigned facts = point_at(rules(), text, 0, &n);
        check(n == text.len && lure_utf8(text, &n) == point);
        check(point_at(rules(), text, 0, &n) == facts);
        char letter = lure_plain_letter(rules(), point);
        check((facts & POINT_LETTER) == (ascii_is_alnum(letter) ? (unsigned char)letter : 0));
        check(((facts & POINT_INVISIBLE) != 0) == lure_is_invisible(point));
        // of three that stay there are three in a host, or there is no host
        struct str host = arena_printf(test_arena(), "%.*s%.*s%.*s", STR_ARGS(text), STR_ARGS(text),
                                       STR_ARGS(text));
        bool is_ip;
        if ((facts & POINT_STAYS) != 0 &&
            url_host(rules(), test_arena(), host, &host, &is_ip) == OK)
            check(host.len >= 3);
    }
}

TEST(broken_bytes_are_read_one_by_one)
{
    static const char *const texts[] = {
        "\xD0", "\xE4\xB8", "\xF0\x9F\x98", "\x80", "\xC0\xAE", "\xFF", "\xE4\xB8 ", "\xD0\xD0",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t n;
        static const struct str instead = STR("\xEF\xBF\xBD");
        unsigned facts = point_at(rules(), str_of(texts[i]), 0, &n);
        check(n == 1);
        check(point_at(rules(), instead, 0, &n) == facts && n == 3);
    }
}
