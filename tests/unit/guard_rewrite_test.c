#include "test.h"

#include "base/must.h"
#include "guard/lure.h"

static struct lure_rules *rules;

// All but allowed.example lead to the place.
static struct str instead(void *context, const struct lure *lure)
{
    struct str *place = context;
    if (lure->kind != LURE_LINK || str_ends(lure->host, STR("allowed.example")))
        return (struct str){NULL, 0};
    return *place;
}

static struct str rewritten(const char *text, struct lure_edits *edits)
{
    struct str place = STR("https://allowed.example/T"), out;
    if (rules == NULL)
        rules = lure_rules_new();
    must(lure_rewrite(rules, test_arena(), str_of(text), instead, &place, &out, edits) == OK);
    return out;
}

TEST(links_are_replaced_where_they_stand)
{
#define T "https://allowed.example/T"
    static const struct {
        const char *before, *after;
    } rows[] = {
        {"no link, e.g. here",                              "no link, e.g. here"          },
        {"http://evil.example",                             T                             },
        {"http://evil.example/",                            T                             },
        {"see http://evil.example/a?b#c now",               "see " T " now"               },
        {"(http://evil.example/a), \"www.evil.example\"!",  "(" T "), \"" T "\"!"         },
        {"seehttp://evil.example/x.",                       "see" T "."                   },
        {"HTTPS://Evil.Example/X",                          T                             },
        {"http://u:p@evil.example/x",                       T                             },
        {"http://evil.example/a_(b)",                       T                             },
        {"evil.example/x and a.allowed.example/y",          T " and a.allowed.example/y"  },
        {"https://allowed.example/a,http://evil.example/b", "https://allowed.example/a," T},
        {"http://evil.example/b,http://evil.example/b",     T "," T                       },
        {"http://a.example/1;http://b.example/2",           T ";" T                       },
        {"<http://evil.example/x>",                         "<" T ">"                     },
        {"http://evil.example\\x",                          T                             },
        {"*http://evil.example/x*",                         "*" T "*"                     },
        {"http://1.2.3.4/x",                                T                             },
        {"dead: hxxp://evil[.]example",                     "dead: hxxp://evil[.]example" },
        {"me@evil.example",                                 "me@evil.example"             },
        {"line\nhttp://evil.example/x\nline",               "line\n" T "\nline"           },
 // what cannot be cut out takes its word with it
        {"http://ev\xE2\x80\x8Bil.example/x",               T                             },
        {"\xEF\xBD\x88ttp://evil.example/x",                T                             },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(rewritten(rows[i].before, NULL), str_of(rows[i].after));
}

TEST(a_text_without_change_is_itself)
{
    static const char text[] = "see https://allowed.example/x and e.g. this";
    check(rewritten(text, NULL).at == text);
}

TEST(edits_count_characters_of_the_text_as_it_was)
{
    struct lure_edits edits;
    rewritten("\xC3\xA9 http://evil.example/x, \xC3\xA9 www.evil.example", &edits);
    check(edits.n == 2);
    check(edits.at[0].from == 2 && edits.at[0].to == 23 && edits.at[0].len == strlen(T));
    check(edits.at[1].from == 27 && edits.at[1].to == 43 && edits.at[1].len == strlen(T));
}

TEST(a_word_of_many_links_or_great_length_is_replaced_whole)
{
    struct str out = rewritten("a.example/1,b.example/2,c.example/3,d.example/4,e.example/5", NULL);
    check(str_find(out, STR("example/1")) == out.len);
    check(str_find(out, STR("example/5")) == out.len);
    char *text = arena_alloc(test_arena(), 40001);
    memset(text, 'x', 40000);
    text[40000] = '\0';
    memcpy(text, "http://evil.example/", 20);
    out = rewritten(text, NULL);
    check(str_find(out, STR("evil")) == out.len);
}
