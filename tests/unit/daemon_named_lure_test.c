/* The words with which an operator names a lure. */
#include "daemon/named_lure.h"

#include "test.h"

static const struct lure_rules *rules(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

static struct named_lure named;
static struct why why;

static enum err reads(const char *text, const char *width)
{
    why = (struct why){""};
    named = (struct named_lure){.incident = 99};
    enum err e = named_lure_read(rules(), test_arena(), str_of(text), str_of(width), &named, &why);
    check(e != OK || named.kind != NAMED_LURE || named.list.n == 1);
    if (e == OK && named.kind == NAMED_LURE)
        named_lure_keys(&named);
    return e;
}

static bool says(const char *words)
{
    struct str text = str_of(why.text);
    return str_find(text, str_of(words)) < text.len;
}

TEST(numbers_and_patterns_name_incidents)
{
    check(reads("5", "") == OK);
    check(named.kind == NAMED_INCIDENT && named.incident == 5 && named.width == LURE_WIDTHS);
    check(reads(" 17 ", "host") == OK);
    check(named.kind == NAMED_INCIDENT && named.incident == 17 && named.width == LURE_HOST);
    check(reads("99999999999999999999999", "") == OK && named.incident == UINT64_MAX);
    check(reads("files.example/u{n}/x.html", "") == OK && named.kind == NAMED_PATTERN);
    check(reads("{name}-{n}.jpg.exe", "template") == OK && named.kind == NAMED_PATTERN);
    check(named.width == LURE_TEMPLATE);
}

TEST(links_are_links_with_and_without_a_scheme)
{
    static const struct {
        const char *text, *url;
    } cases[] = {
        {"http://Evil.example/x",            "http://evil.example/x"           },
        {"evil.net/x",                       "http://evil.net/x"               },
        {"evil.com",                         "http://evil.com/"                },
        {"http://5/",                        "http://0.0.0.5/"                 },
        {"10.0.0.5",                         "http://10.0.0.5/"                },
        {"aesgcm://files.example/x#0011",    "aesgcm://files.example/x#0011"   },
        {"https://host.example/photo.jpg",   "https://host.example/photo.jpg"  },
        {"http://sha-256.example/photo.zip", "http://sha-256.example/photo.zip"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check(reads(cases[i].text, "") == OK);
        check(named.kind == NAMED_LURE && named.list.lures[0].kind == LURE_LINK);
        check(named.width == LURE_TEMPLATE);
        check_str(named.list.lures[0].url, str_of(cases[i].url));
    }
    check(reads("http://evil.example/x", "domain") == OK && named.width == LURE_DOMAIN);
    check(reads("http://www.evil.co.uk/x", "domain") == OK);
    check(reads("http://192.0.2.1/x", "domain") == OK);
    check(reads("http://co.uk/x", "domain") == ERR_MALFORMED && says("no registrable domain"));
    check(reads("http://co.uk/x", "host") == OK);
}

TEST(a_digest_is_one_file_under_whatever_name)
{
    static const char hex[] = "sha-256:"
                              "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff";
    check(reads(hex, "") == OK && named.width == LURE_EXACT);
    const struct lure *lure = &named.list.lures[0];
    check(lure->kind == LURE_FILE && lure_key_is_none(&lure->keys[LURE_TEMPLATE]));
    check_str(lure->shown, STR("sha-256:"
                               "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"));
    struct lure_key key = lure->keys[LURE_EXACT];
    // as it is announced in a message
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_add_file(&list, &(struct lure_file){
                             .name = STR("photo.jpg.exe"),
                             .media_type = STR_EMPTY,
                             .digest_name = STR("sha-256"),
                             .digest = STR("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8="),
                         });
    lure_list_keys(&list, NULL);
    check(lure_key_eq(&key, &list.lures[0].keys[LURE_EXACT]));
    check(reads(hex, "link") == OK && reads(hex, "host") == ERR_MALFORMED);
    static const char *const wrong[] = {"sha256:abc", "sha-256:abc", "sha-256:", "SHA-1:00",
                                        "md5:d41d8cd98f00b204e9800998ecf8427e"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        check(reads(wrong[i], "") == ERR_MALFORMED && says("sha-256:HEX"));
}

TEST(a_file_is_named_by_the_shape_of_its_name)
{
    check(reads("photo17.jpg.exe", "") == OK && named.width == LURE_TEMPLATE);
    check(named.list.lures[0].kind == LURE_FILE);
    check_str(named.list.lures[0].shown, STR("photo{n}.jpg.exe"));
    struct lure_key key = named.list.lures[0].keys[LURE_TEMPLATE];
    check(reads("photo4.jpg.exe", "name") == OK);
    check(lure_key_eq(&key, &named.list.lures[0].keys[LURE_TEMPLATE]));
    check(reads("photo{n}.jpg.exe", "name") == OK);
    check(lure_key_eq(&key, &named.list.lures[0].keys[LURE_TEMPLATE]));
    check(reads("README", "name") == OK && named.list.lures[0].kind == LURE_FILE);
    check(reads("photo17.jpg.exe", "host") == ERR_MALFORMED && says("--width can only be name"));
}

TEST(a_name_that_is_only_a_number_is_anybodys)
{
    static const struct {
        const char *name, *shape;
    } wide[] = {
        {"7",            "shape {n}"      },
        {"20261128.jpg", "shape {n}.jpg"  },
        {"2026-11-28",   "shape {n}-{n}"  },
        {"{n}",          "shape {n}"      },
        {"(1).pdf",      "shape ({n}).pdf"},
    };
    for (size_t i = 0; i < COUNT_OF(wide); i++) {
        check(reads(wide[i].name, "name") == ERR_MALFORMED && says("would convict every file"));
        check(says(wide[i].shape) && says("sha-256:HEX"));
    }
    static const char *const own[] = {"photo7.jpg", "IMG_20261128.jpg", "7 days.doc",
                                      "---",        "1.jpg.exe",        "\303\2511.zip"};
    for (size_t i = 0; i < COUNT_OF(own); i++)
        check(reads(own[i], "name") == OK);
}

TEST(what_may_be_two_things_is_asked_about)
{
    check(reads("readme.zip", "") == ERR_MALFORMED && says("--width name"));
    check(reads("readme.zip", "name") == OK && named.list.lures[0].kind == LURE_FILE);
    check(reads("readme.zip", "host") == OK && named.list.lures[0].kind == LURE_LINK);
    check(reads("photo.jpg.com", "") == ERR_MALFORMED && says("--width name"));
}

TEST(what_is_nothing_is_refused)
{
    static const char *const cases[] = {"",          "nonsense", "invoice", "0x7f000001",
                                        "two words", "http://",  "5 6"};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(reads(cases[i], "") == ERR_MALFORMED && says("is no link"));
    static const char *const odd[] = {"xmpp:romeo@example.org", "ms-msdt:/id", "foo:/bar"};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        check(reads(odd[i], "") == ERR_MALFORMED && says("no link of the web"));
        check(reads(odd[i], "link") == OK);
    }
}
