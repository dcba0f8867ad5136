/*
 * The tokenizer: what it accepts, what it refuses and why, whole and cut anywhere.
 *
 * Rows "XML entities", "XML size before login" and "stanza smuggling" of the
 * list of advisories.
 */
#include "test.h"

#include "xml/tokenizer.h"
#include "xml/writer.h"

#include <stdlib.h>

#define HEADER                                                                                     \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "                                   \
    "xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"

static struct tokenizer_limits small = {
    .bytes = 1000,
    .elements = 20,
    .namespaces = 6,
    .depth = 4,
    .attributes = 5,
    .name = 16,
};

/* Feeds text in the pieces [0, a), [a, b), [b, end) and writes what came of it: "H" and the header,
 * "S" and each stanza in canonical form, "C", "F:condition". */
static struct str story(struct str text, size_t a, size_t b, const struct tokenizer_limits *limits)
{
    struct arena *arena = test_arena();
    struct buf out;
    buf_init(&out, 1U << 24);
    struct tokenizer t;
    tokenizer_init(&t, limits);
    struct str pieces[] = {
        str_first(text, a), {text.at + a, b - a},
          str_skip(text, b)
    };
    bool is_over = false;
    for (size_t i = 0; i < COUNT_OF(pieces) && !is_over; i++) {
        // the piece alone in memory: reading behind its end is seen by the sanitizer
        char *alone = malloc(pieces[i].len + 1);
        memcpy(alone, pieces[i].at, pieces[i].len);
        alone = realloc(alone, pieces[i].len > 0 ? pieces[i].len : 1);
        struct str rest = {alone, pieces[i].len};
        struct element *element;
        enum token token;
        while (!is_over && (token = tokenizer_feed(&t, &rest, arena, &element)) != TOKEN_MORE) {
            switch (token) {
            case TOKEN_HEADER:
                buf_add_char(&out, 'H');
                xml_write(&out, element, NS_NONE);
                break;
            case TOKEN_STANZA:
                check(tokenizer_is_idle(&t));
                check(t.pending.at == NULL);
                buf_add_char(&out, 'S');
                xml_write(&out, element, NS_CLIENT);
                break;
            case TOKEN_CLOSED:
                buf_add_char(&out, 'C');
                is_over = true;
                break;
            default:
                buf_add(&out, STR("F:"));
                buf_add(&out, xml_fault_condition(t.fault));
                is_over = true;
            }
        }
        free(alone);
    }
    check(!out.overflowed);
    struct str told = arena_str(arena, buf_str(&out));
    buf_done(&out);
    tokenizer_done(&t);
    return told;
}

static struct str story_whole(struct str text)
{
    return story(text, text.len, text.len, &tokenizer_limits_default);
}

/* The stanzas of a stream, told, without its header; and the same however the bytes are cut. */
static struct str stanzas(struct str text)
{
    struct buf buf;
    buf_init(&buf, 1U << 20);
    buf_add(&buf, STR(HEADER)); // not by printf: text may hold NUL
    buf_add(&buf, text);
    struct str all = arena_str(test_arena(), buf_str(&buf));
    buf_done(&buf);
    struct str told = story_whole(all);
    struct str header = story_whole(STR(HEADER));
    check(str_starts(told, header));
    size_t start = sizeof HEADER - 1;
    for (size_t a = start; a <= all.len; a++) {
        check_str(story(all, a, a, &tokenizer_limits_default), told);
        // and every single byte alone
        if (a < all.len)
            check_str(story(all, a, a + 1, &tokenizer_limits_default), told);
    }
    return str_skip(told, header.len);
}

static struct str byte_by_byte(struct str text, const struct tokenizer_limits *limits,
                               enum xml_fault *fault)
{
    struct arena *arena = test_arena();
    struct tokenizer t;
    tokenizer_init(&t, limits);
    struct str last = STR_EMPTY;
    enum token token = TOKEN_MORE;
    for (size_t i = 0; i < text.len && token != TOKEN_FAULT; i++) {
        struct str rest = {text.at + i, 1};
        struct element *element;
        while ((token = tokenizer_feed(&t, &rest, arena, &element)) == TOKEN_STANZA ||
               token == TOKEN_HEADER)
            check(xml_to_str(arena, element, NS_CLIENT, &last) == OK);
    }
    *fault = t.fault;
    tokenizer_done(&t);
    return last;
}

TEST(a_stream_is_a_header_stanzas_and_an_end)
{
    check_str(story_whole(STR(HEADER "<message/><iq id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
                                     "</stream:stream>")),
              STR("H<stream xmlns='http://etherx.jabber.org/streams' to='localhost' version='1.0'/>"
                  "S<message/>S<iq id='1'><ping xmlns='urn:xmpp:ping'/></iq>C"));
}

TEST(a_stream_may_be_cut_anywhere_into_two)
{
    struct str text = STR(HEADER " <message  id = \"1&amp;2\" ><body>a &lt;&#x20AC;\r\n</body >"
                                 "<![CDATA[<x>]]></message>\n\n<presence/></stream:stream >");
    struct str told = story_whole(text);
    check(str_ends(told, STR("S<message id='1&amp;2'><body>a &lt;\xE2\x82\xAC\n</body>"
                             "&lt;x&gt;</message>S<presence/>C")));
    for (size_t a = 0; a <= text.len; a++)
        check_str(story(text, a, a, &tokenizer_limits_default), told);
}

TEST(stanzas_become_canonical_trees)
{
    static const struct {
        struct str text, told;
    } rows[] = {
        {STR("<a/>"),                                                                   STR("S<a/>")                                              },
        {STR("<a></a>"),                                                                STR("S<a/>")                                              },
        {STR(" \t\r\n<a/>\n "),                                                         STR("S<a/>")                                              },
        {STR("<a b=\"'\" c='\"'/>"),                                                    STR("S<a b='&apos;' c='\"'/>")                            },
        {STR("<a b='>'/>"),                                                             STR("S<a b='&gt;'/>")                                     },
        {STR("<a\n b\t=\r'1'\n/>"),                                                     STR("S<a b='1'/>")                                        },
        {STR("<a b='1\n2\t3\r\n4\r5'/>"),                                               STR("S<a b='1 2 3 4 5'/>")                                },
        {STR("<a b='&#10;&#9;&#xd;'/>"),                                                STR("S<a b='&#10;&#9;&#13;'/>")                           },
        {STR("<a>1\r\n2\r3\n&#13;</a>"),                                                STR("S<a>1\n2\n3\n&#13;</a>")                             },
        {STR("<a>&lt;&gt;&amp;&quot;&apos;</a>"),                                       STR("S<a>&lt;&gt;&amp;\"'</a>")                           },
        {STR("<a>&#65;&#x41;&#x1F600;&#xe9;&#x7ff;</a>"),
         STR("S<a>AA\xF0\x9F\x98\x80\xC3\xA9\xDF\xBF</a>")                                                                                        },
        {STR("<a><![CDATA[]]></a>"),                                                    STR("S<a/>")                                              },
        {STR("<a><![CDATA[&amp;]]x]]]></a>"),                                           STR("S<a>&amp;amp;]]x]</a>")                              },
        {STR("<a>1<![CDATA[2]]>3<![CDATA[\r\n]]></a>"),                                 STR("S<a>123\n</a>")                                      },
        {STR("<a>]]&gt;]</a>"),                                                         STR("S<a>]]&gt;]</a>")                                    },
        {STR("<a>1<b/>2</a>"),                                                          STR("S<a>1<b/>2</a>")                                     },
        {STR("<a b:c='1' xmlns:b='x'/>"),                                               STR("S<a xmlns:n0='x' n0:c='1'/>")                        },
        {STR("<a xml:lang='en'/>"),                                                     STR("S<a xml:lang='en'/>")                                },
        {STR("<a xmlns='x'><b/><c xmlns=''/></a>"),                                     STR("S<a xmlns='x'><b/><c xmlns=''/></a>")                },
        {STR("<b:a xmlns:b='x'><b:c/><d/></b:a>"),
         STR("S<a xmlns='x'><c/><d xmlns='jabber:client'/></a>")                                                                                  },
        {STR("<b:a xmlns:b='x'><b:c xmlns:b='y'/><b:d/></b:a>"),
         STR("S<a xmlns='x'><c xmlns='y'/><d/></a>")                                                                                              },
        {STR("<stream:error/>"),                                                        STR("S<error xmlns='http://etherx.jabber.org/streams'/>") },
        {STR("<stream:stream/>"),                                                       STR("S<stream xmlns='http://etherx.jabber.org/streams'/>")},
        {STR("<\xC3\xA9t\xC3\xA9/>"),                                                   STR("S<\xC3\xA9t\xC3\xA9/>")                              },
        {STR("<a>\xF4\x8F\xBF\xBF\xEF\xBF\xBD\x7F</a>"),
         STR("S<a>\xF4\x8F\xBF\xBF\xEF\xBF\xBD\x7F</a>")                                                                                          },
        {STR("<a/></stream:stream><b/>"),                                               STR("S<a/>C")                                             },
        {STR("<a>an honest text that is longer than a vector, twice over, surely</a>"),
         STR("S<a>an honest text that is longer than a vector, twice over, surely</a>")                                                           },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(stanzas(rows[i].text), rows[i].told);
}

TEST(what_is_refused_and_why)
{
    static const struct {
        struct str text;
        enum xml_fault fault;
    } rows[] = {
        {STR("<!DOCTYPE a>"),                                        XML_RESTRICTED          },
        {STR("<!-- x -->"),                                          XML_RESTRICTED          },
        {STR("<?x y?>"),                                             XML_RESTRICTED          },
        {STR("<?xml version='1.0'?>"),                               XML_RESTRICTED          },
        {STR("<a><!-- x --></a>"),                                   XML_RESTRICTED          },
        {STR("<a><!ENTITY b 'c'></a>"),                              XML_RESTRICTED          },
        {STR("<a><?x?></a>"),                                        XML_RESTRICTED          },
        {STR("<a>&b;</a>"),                                          XML_RESTRICTED          },
        {STR("<a b='&c;'/>"),                                        XML_RESTRICTED          },
        {STR("<a>&b</a>"),                                           XML_NOT_WELL_FORMED     },
        {STR("<a>& b</a>"),                                          XML_NOT_WELL_FORMED     },
        {STR("<a>&;</a>"),                                           XML_NOT_WELL_FORMED     },
        {STR("<a>&#;</a>"),                                          XML_NOT_WELL_FORMED     },
        {STR("<a>&#x;</a>"),                                         XML_NOT_WELL_FORMED     },
        {STR("<a>&#0;</a>"),                                         XML_NOT_WELL_FORMED     },
        {STR("<a>&#x1F;</a>"),                                       XML_NOT_WELL_FORMED     },
        {STR("<a>&#xD800;</a>"),                                     XML_NOT_WELL_FORMED     },
        {STR("<a>&#xFFFE;</a>"),                                     XML_NOT_WELL_FORMED     },
        {STR("<a>&#x110000;</a>"),                                   XML_NOT_WELL_FORMED     },
        {STR("<a>&#99999999999999999999;</a>"),                      XML_NOT_WELL_FORMED     },
        {STR("<a>&#4294967361;</a>"),                                XML_NOT_WELL_FORMED     }, // 2^32 + 'A'
        {STR("<a></b>"),                                             XML_NOT_WELL_FORMED     },
        {STR("<a></aa>"),                                            XML_NOT_WELL_FORMED     },
        {STR("<aa></a>"),                                            XML_NOT_WELL_FORMED     },
        {STR("<b:a xmlns:b='x' xmlns:c='x'></c:a>"),                 XML_NOT_WELL_FORMED     },
        {STR("</a>"),                                                XML_NOT_WELL_FORMED     },
        {STR("<a b='1' b='2'/>"),                                    XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:b='x' xmlns:c='x' b:d='1' c:d='2'/>"),        XML_NOT_WELL_FORMED     },
        {STR("<a xmlns='x' xmlns='x'/>"),                            XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:b='x' xmlns:b='y'/>"),                        XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:b=''/>"),                                     XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:xml='x'/>"),                                  XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:xmlns='x'/>"),                                XML_NOT_WELL_FORMED     },
        {STR("<a xmlns='http://www.w3.org/2000/xmlns/'/>"),          XML_NOT_WELL_FORMED     },
        {STR("<a xmlns:b='http://www.w3.org/XML/1998/namespace'/>"), XML_NOT_WELL_FORMED     },
        {STR("<xmlns:a/>"),                                          XML_NOT_WELL_FORMED     },
        {STR("<b:a/>"),                                              XML_BAD_NAMESPACE_PREFIX},
        {STR("<a b:c='1'/>"),                                        XML_BAD_NAMESPACE_PREFIX},
        {STR("<a xmlns:b='x'/><b:a/>"),                              XML_BAD_NAMESPACE_PREFIX},
        {STR("<a><b xmlns:c='x'/><c:d/></a>"),                       XML_BAD_NAMESPACE_PREFIX},
        {STR("<a b=1/>"),                                            XML_NOT_WELL_FORMED     },
        {STR("<a b/>"),                                              XML_NOT_WELL_FORMED     },
        {STR("<a b='1'c='2'/>"),                                     XML_NOT_WELL_FORMED     },
        {STR("<a b='<'/>"),                                          XML_NOT_WELL_FORMED     },
        {STR("<a <b/>"),                                             XML_NOT_WELL_FORMED     },
        {STR("<a / >"),                                              XML_NOT_WELL_FORMED     },
        {STR("<1/>"),                                                XML_NOT_WELL_FORMED     },
        {STR("<>"),                                                  XML_NOT_WELL_FORMED     },
        {STR("<<a/>"),                                               XML_NOT_WELL_FORMED     },
        {STR("< a/>"),                                               XML_NOT_WELL_FORMED     },
        {STR("<:a/>"),                                               XML_NOT_WELL_FORMED     },
        {STR("<a:/>"),                                               XML_NOT_WELL_FORMED     },
        {STR("<a:b:c/>"),                                            XML_NOT_WELL_FORMED     },
        {STR("<a:1/>"),                                              XML_NOT_WELL_FORMED     },
        {STR("<a>]]></a>"),                                          XML_NOT_WELL_FORMED     },
        {STR("<a>\x01</a>"),                                         XML_NOT_WELL_FORMED     },
        {STR("<a>\0</a>"),                                           XML_NOT_WELL_FORMED     },
        {STR("<a b='\0'/>"),                                         XML_NOT_WELL_FORMED     },
        {STR("<a\0/>"),                                              XML_NOT_WELL_FORMED     },
        {STR("<a><![CDATA[\0]]></a>"),                               XML_NOT_WELL_FORMED     },
        {STR("<a>\xC0\x80</a>"),                                     XML_NOT_WELL_FORMED     }, // NUL, overlong
        {STR("<a>\xC1\xBF</a>"),                                     XML_NOT_WELL_FORMED     }, // overlong
        {STR("<a>\xE0\x9F\xBF</a>"),                                 XML_NOT_WELL_FORMED     }, // overlong
        {STR("<a>\xF0\x8F\xBF\xBF</a>"),                             XML_NOT_WELL_FORMED     }, // overlong
        {STR("<a>\xED\xA0\x80</a>"),                                 XML_NOT_WELL_FORMED     }, // a surrogate
        {STR("<a>\xF4\x90\x80\x80</a>"),                             XML_NOT_WELL_FORMED     }, // above U+10FFFF
        {STR("<a>\xEF\xBF\xBE</a>"),                                 XML_NOT_WELL_FORMED     }, // U+FFFE
        {STR("<a>\xEF\xBF\xBF</a>"),                                 XML_NOT_WELL_FORMED     }, // U+FFFF
        {STR("<a>\x80</a>"),                                         XML_NOT_WELL_FORMED     },
        {STR("<a>\xE2\x82</a>"),                                     XML_NOT_WELL_FORMED     },
        {STR("<a>\xF5\x80\x80\x80</a>"),                             XML_NOT_WELL_FORMED     },
        {STR("<a b='\xE2\x82'/>"),                                   XML_NOT_WELL_FORMED     },
        {STR("<a><![CDATA[\xE2\x82]]></a>"),                         XML_NOT_WELL_FORMED     },
        {STR("<a\xE2\x82/>"),                                        XML_NOT_WELL_FORMED     },
        {STR("<\xC3\x97/>"),                                         XML_NOT_WELL_FORMED     }, // the multiplication sign begins no name
        {STR("text"),                                                XML_BAD_FORMAT          },
        {STR("<a/>text"),                                            XML_BAD_FORMAT          },
        {STR("&lt;"),                                                XML_BAD_FORMAT          },
        {STR("<![CDATA[x]]>"),                                       XML_RESTRICTED          },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct str told = stanzas(rows[i].text);
        struct str wanted =
            arena_printf(test_arena(), "F:%s", xml_fault_condition(rows[i].fault).at);
        check_str(str_skip(told, str_find(told, STR("F:"))), wanted);
    }
}

TEST(what_may_come_before_the_header)
{
    static const struct {
        struct str text, told;
    } rows[] = {
        {STR("<?xml version='1.0'?><a/>"),                                           STR("H<a/>C")                },
        {STR("\n <?xml version=\"1.0\" encoding='utf-8' standalone='yes' ?>\n<a/>"), STR("H<a/>C")                },
        {STR("<?xml version='1.0' encoding='ISO-8859-1'?><a/>"),                     STR("F:unsupported-encoding")},
        {STR("<?xml version='1.0' encoding='UTF-16'?><a/>"),                         STR("F:unsupported-encoding")},
        {STR("<?xml version='1.1'?><a/>"),                                           STR("F:not-well-formed")     },
        {STR("<?xml?><a/>"),                                                         STR("F:restricted-xml")      },
        {STR("<?xml ?><a/>"),                                                        STR("F:not-well-formed")     },
        {STR("<?xml encoding='UTF-8'?><a/>"),                                        STR("F:not-well-formed")     },
        {STR("<?xml version='1.0' standalone='x'?><a/>"),                            STR("F:not-well-formed")     },
        {STR("<?xml version='1.0' x='y'?><a/>"),                                     STR("F:not-well-formed")     },
        {STR("<?xml version='1.0'?><?xml version='1.0'?><a/>"),                      STR("F:restricted-xml")      },
        {STR("<?xml-stylesheet x='y'?><a/>"),                                        STR("F:restricted-xml")      },
        {STR("<!DOCTYPE a><a/>"),                                                    STR("F:restricted-xml")      },
        {STR("<!-- x --><a/>"),                                                      STR("F:restricted-xml")      },
        {STR("\xEF\xBB\xBF<a/>"),                                                    STR("F:not-well-formed")     }, // RFC 6120 section 11.6
        {STR("text"),                                                                STR("F:not-well-formed")     },
        {STR("</a>"),                                                                STR("F:not-well-formed")     },
        {STR("GET / HTTP/1.1\r\n"),                                                  STR("F:not-well-formed")     },
        {STR("\x16\x03\x01"),                                                        STR("F:not-well-formed")     },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t a = 0; a <= rows[i].text.len; a++)
            check_str(story(rows[i].text, a, a, &tokenizer_limits_default), rows[i].told);
}

TEST(every_limit_holds_whole_and_byte_by_byte)
{
    static const struct {
        struct str ok, too_much;
    } rows[] = {
        {STR("<a><b><c><d/></c></b></a>"),                                                           STR("<a><b><c><d><e/></d></c></b></a>")   },
        {STR("<a><b><c><d/></c></b></a>"),                                                           STR("<a><b><c><d><e></e></d></c></b></a>")},
        {STR("<a b='' c='' d='' e='' f=''/>"),                                                       STR("<a b='' c='' d='' e='' f='' g=''/>") },
        {STR("<a2345678:a234567 xmlns:a2345678='x'/>"),                                              STR("<a2345678:a2345678/>")               },
        {STR("<a234567890123456/>"),                                                                 STR("<a2345678901234567/>")               },
        {STR("<a a234567890123456=''/>"),                                                            STR("<a a2345678901234567=''/>")          },
 // two of the header's count
        {STR("<a xmlns:b='x' xmlns:c='x' xmlns:d='x' xmlns:e='x'/>"),
         STR("<a xmlns:b='x' xmlns:c='x' xmlns:d='x' xmlns:e='x' xmlns:f='x'/>")                                                               },
        {STR("<a xmlns:b='x'><b xmlns:b='x'><c xmlns:b='x' xmlns:d='x'/><e xmlns:b='x'/></b></a>"),
         STR("<a xmlns:b='x'><b xmlns:b='x'><c xmlns:b='x' xmlns:d='x' xmlns:f='x'/></b></a>")                                                 },
        {STR("<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/></a>"),
         STR("<a><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/><b/"
             ">")                                                                                                                              },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int bad = 0; bad < 2; bad++) {
            struct str part = bad ? rows[i].too_much : rows[i].ok;
            struct str text = arena_printf(test_arena(), HEADER "%.*s", STR_ARGS(part));
            struct str told = story(text, text.len, text.len, &small);
            check(str_ends(told, STR("F:policy-violation")) == (bool)bad);
            enum xml_fault fault;
            byte_by_byte(text, &small, &fault);
            check(fault == (bad ? XML_POLICY_VIOLATION : XML_FINE));
        }
    }
}

/* <a>xxx…</a> of n bytes in all, or the like. */
static struct str of_size(const char *before, char fill, const char *after, size_t n)
{
    size_t len = strlen(before) + strlen(after);
    char *fills = arena_alloc(test_arena(), n);
    memset(fills, fill, n);
    return arena_printf(test_arena(), "%s%.*s%s", before, (int)(n - len), fills, after);
}

TEST(the_size_of_a_stanza_is_limited_to_the_byte)
{
    static const struct {
        const char *before;
        char fill;
        const char *after;
    } rows[] = {
        {"<a>",          'x',  "</a>"    },
        {"<a b='",       'x',  "'/>"     },
        {"<a>",          '\n', "</a>"    },
        {"<a",           ' ',  "/>"      },
        {"<a></a",       ' ',  ">"       },
        {"<a><![CDATA[", 'x',  "]]></a>" },
        {"<a><b/>",      '\t', "<b/></a>"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            struct str part = of_size(rows[i].before, rows[i].fill, rows[i].after, 1000 + over);
            struct str text = arena_printf(test_arena(), HEADER "%.*s", STR_ARGS(part));
            struct str told = story(text, text.len, text.len, &small);
            check(str_ends(told, STR("F:policy-violation")) == (over == 1));
            enum xml_fault fault;
            byte_by_byte(text, &small, &fault);
            check(fault == (over == 1 ? XML_POLICY_VIOLATION : XML_FINE));
        }
    }
}

TEST(a_token_without_end_is_refused_when_the_limit_is_reached)
{
    static const char *const begins[] = {
        "<a>", "<a b='", "<a ", "<a></a ", "<a><![CDATA[", "<a>x<b c=\"", "<",
    };
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        struct arena *arena = test_arena();
        size_t used = arena->used;
        struct str text = of_size(begins[i], i == 6 ? 'a' : ' ', "", 5000);
        struct str all = arena_printf(arena, HEADER "%.*s", STR_ARGS(text));
        size_t ours = arena->used - used;
        enum xml_fault fault;
        byte_by_byte(all, &small, &fault);
        check(fault == XML_POLICY_VIOLATION);
        check(arena->used - used - ours < 8000);
    }
}

TEST(white_space_between_stanzas_is_free)
{
    struct str text = of_size(HEADER, ' ', "<a/>", 100000);
    struct str told = story(text, text.len / 2, text.len, &small);
    check(str_ends(told, STR("S<a/>")));
}

TEST(the_arena_is_a_limit)
{
    struct str text = STR("<a><b><c d='e'>f</c><![CDATA[g]]>h</b>i<b/>j</a>");
    bool fitted = false;
    for (size_t ceiling = 0; ceiling < 4000; ceiling++) {
        struct arena arena;
        arena_init(&arena, ceiling);
        struct element *element;
        enum xml_fault fault;
        enum err e = element_parse(&arena, text, NS_CLIENT, NULL, &element, &fault);
        check(e == OK || (e == ERR_LIMIT && fault == XML_POLICY_VIOLATION));
        check(e == OK || !fitted); // once it fits it always fits
        fitted = e == OK;
        arena_done(&arena);
    }
    check(fitted);
}

TEST(a_token_of_a_megabyte_byte_by_byte_takes_linear_memory)
{
    // a test of work, not of time: were each byte to cost a walk over what came before, this would
    // take 10^11 steps and not end
    struct tokenizer_limits wide = tokenizer_limits_default;
    wide.bytes = 2U << 20;
    static const char *const begins[] = {"<a>", "<a b='", "<a><![CDATA[", "<a>x]]"};
    static const char *const ends[] = {"</a>", "'/>", "]]></a>", "</a>"};
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        struct str part = of_size(begins[i], i == 3 ? ']' : 'x', ends[i], 1U << 20);
        struct str text = arena_printf(test_arena(), HEADER "%.*s", STR_ARGS(part));
        enum xml_fault fault;
        struct str last = byte_by_byte(text, &wide, &fault);
        check(fault == XML_FINE);
        check(last.len >= (1U << 20) - 20);
    }
}

TEST(many_small_cdata_sections_take_linear_memory)
{
    struct tokenizer_limits wide = tokenizer_limits_default;
    wide.elements = 100000;
    struct buf buf;
    buf_init(&buf, 1U << 20);
    buf_add(&buf, STR("<a>"));
    for (int i = 0; i < 10000; i++)
        buf_add(&buf, STR("<![CDATA[x]]>y"));
    buf_add(&buf, STR("</a>"));
    struct arena arena;
    arena_init(&arena, 200000); // for 20,000 bytes of text
    struct element *element;
    check(element_parse(&arena, buf_str(&buf), NS_NONE, &wide, &element, NULL) == OK);
    check(element->text.len == 20000);
    check(element->first == element->last);
    arena_done(&arena);
    buf_done(&buf);
}

TEST(an_idle_tokenizer_owns_no_memory)
{
    static const struct str headers[] = {
        STR(HEADER),
        STR("<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' "
            "xmlns:db='jabber:server:dialback'>"),
        STR("<stream:stream xmlns='jabber:client' xml:lang='en' "
            "xmlns:stream='http://etherx.jabber.org/streams' "
            "xmlns:xml='http://www.w3.org/XML/1998/namespace'>"),
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        struct tokenizer t;
        tokenizer_init(&t, &tokenizer_limits_default);
        struct str rest = headers[i];
        struct element *element;
        check(tokenizer_feed(&t, &rest, test_arena(), &element) == TOKEN_HEADER);
        rest = STR("<a>");
        check(tokenizer_feed(&t, &rest, test_arena(), &element) == TOKEN_MORE);
        check(!tokenizer_is_idle(&t));
        rest = STR("</");
        check(tokenizer_feed(&t, &rest, test_arena(), &element) == TOKEN_MORE);
        check(t.pending.at != NULL);
        rest = STR("a>");
        check(tokenizer_feed(&t, &rest, test_arena(), &element) == TOKEN_STANZA);
        check(tokenizer_is_idle(&t) && t.pending.at == NULL && t.header == NULL);
        check(sizeof t < 200);
        tokenizer_done(&t);
    }
}

TEST(what_an_unusual_header_declares_survives_the_tokenizer)
{
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct arena header, stanza;
    arena_init(&header, 10000);
    arena_init(&stanza, 10000);
    struct str rest = STR("<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='un:known' "
                          "xmlns:foo='foo:bar'><a><foo:b/></a><s:c/></s:stream>");
    struct element *a, *c;
    check(tokenizer_feed(&t, &rest, &header, &a) == TOKEN_HEADER);
    check(element_is(a, NS_STREAM, STR("stream")));
    arena_done(&header);
    check_str(tokenizer_declared(&t, STR("")), STR("un:known"));
    check_str(tokenizer_declared(&t, STR("foo")), STR("foo:bar"));
    check_str(tokenizer_declared(&t, STR("bar")), STR(""));
    check(tokenizer_feed(&t, &rest, &stanza, &a) == TOKEN_STANZA);
    check(tokenizer_feed(&t, &rest, &stanza, &c) == TOKEN_STANZA);
    check(tokenizer_feed(&t, &rest, &stanza, &c) == TOKEN_CLOSED);
    check(tokenizer_feed(&t, &rest, &stanza, &c) == TOKEN_CLOSED);
    tokenizer_done(&t);
    check(element_is(a, STR("un:known"), STR("a")));
    check(element_child(a, STR("foo:bar"), STR("b")) != NULL);
    check(element_is(c, NS_STREAM, STR("c")));
    arena_done(&stanza);
}

TEST(known_namespaces_are_the_constants_themselves)
{
    struct element *e;
    struct str text = STR("<a xmlns='urn:xmpp:sm:3'><b xmlns='vcard-temp'/></a>");
    check(element_parse(test_arena(), text, NS_NONE, NULL, &e, NULL) == OK);
    check(e->ns.at == NS_SM.at);
    check(element_first(e)->ns.at == NS_VCARD.at);
    check(ns_is_known(e->ns) && !ns_is_known(STR("urn:xmpp:sm:3")));
}

TEST(the_list_of_namespaces_is_in_order_of_length)
{
    static const struct str all[] = {
#define ROW(id, text) STR(text),
        NAMESPACES(ROW)
#undef ROW
    };
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        check(i == 0 || all[i - 1].len <= all[i].len);
        check(ns_is_known(ns_known(all[i])));
        check_str(ns_known(all[i]), all[i]);
        struct str other = arena_str(test_arena(), all[i]);
        ((char *)other.at)[0] ^= 1;
        check(ns_known(other).at == other.at);
    }
    check_str(ns_known(STR("")), STR(""));
    check_str(ns_known(STR("x")), STR("x"));
    struct str endless = of_size("urn:", 'x', "", 1000);
    check(ns_known(endless).at == endless.at);
}

TEST(a_new_stream_begins_after_a_reset)
{
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct element *e;
    for (int i = 0; i < 3; i++) {
        struct str rest = STR(HEADER "<auth/><b");
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_HEADER);
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_STANZA);
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_MORE);
        tokenizer_reset(&t);
        check(tokenizer_is_idle(&t));
        rest = STR("<a");
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_MORE);
        rest = STR("\x01");
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_MORE);
        rest = STR(">");
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_FAULT);
        check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_FAULT);
        tokenizer_reset(&t);
    }
    tokenizer_done(&t);
}

TEST(events_come_one_at_a_time_so_that_a_stream_can_be_paused)
{
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct str rest = STR(HEADER "<a/><b/>");
    struct element *e;
    check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_HEADER);
    check(tokenizer_feed(&t, &rest, test_arena(), &e) == TOKEN_STANZA);
    check_str(rest, STR("<b/>"));
    check_str(e->name, STR("a"));
    tokenizer_done(&t);
}

TEST(a_whole_text_is_one_element_and_nothing_else)
{
    static const struct {
        struct str text;
        enum err e;
    } rows[] = {
        {STR("<a/>"),                                                                      OK           },
        {STR("<?xml version='1.0'?>\n<a/>\n"),                                             OK           },
        {STR("<a/><b/>"),                                                                  ERR_MALFORMED},
        {STR("<a/>x"),                                                                     ERR_MALFORMED},
        {STR("<a>"),                                                                       ERR_MALFORMED},
        {STR("</a>"),                                                                      ERR_MALFORMED},
        {STR(""),                                                                          ERR_MALFORMED},
        {STR("<a/><!-- x -->"),                                                            ERR_MALFORMED},
        {STR("<a xmlns='234567890123456' b234567890123456789012345678901234567890='1'/>"), OK           },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct element *e;
        enum xml_fault fault;
        check(element_parse(test_arena(), rows[i].text, NS_NONE, NULL, &e, &fault) == rows[i].e);
        check((fault == XML_FINE) == (rows[i].e == OK));
    }
}

TEST(the_namespace_around_a_text_is_copied)
{
    char around[] = "un:known";
    struct element *e;
    check(element_parse(test_arena(), STR("<a/>"), str_of(around), NULL, &e, NULL) == OK);
    around[0] = 'X';
    check_str(e->ns, STR("un:known"));
}

/* Feeds before, then piece again and again, in packets of n bytes; answers how many bytes of memory
 * were in use when the tokenizer had enough. */
static size_t memory_at_the_end(struct str before, struct str piece, size_t n)
{
    struct arena arena;
    arena_init(&arena, 2U << 20);
    struct tokenizer t;
    tokenizer_init(&t, &tokenizer_limits_default);
    struct str rest = STR(HEADER);
    struct element *e;
    check(tokenizer_feed(&t, &rest, &arena, &e) == TOKEN_HEADER);
    enum token token = tokenizer_feed(&t, &before, &arena, &e);
    for (size_t fed = 0; token == TOKEN_MORE && fed < (4U << 20); fed += piece.len) {
        for (struct str left = piece; left.len > 0 && token == TOKEN_MORE;) {
            rest = str_first(left, n < left.len ? n : left.len);
            left = str_skip(left, rest.len);
            token = tokenizer_feed(&t, &rest, &arena, &e);
        }
    }
    check(token == TOKEN_FAULT && t.fault == XML_POLICY_VIOLATION);
    check(t.pending.at == NULL);
    size_t used = arena.used;
    tokenizer_done(&t);
    arena_done(&arena);
    return used;
}

TEST(whatever_never_ends_meets_a_limit_before_login)
{
    static const struct {
        struct str before, piece;
    } rows[] = {
        {STR(""),                STR("<a>")              }, // 10^5 nested elements
        {STR("<a "),             STR("b='' ")            }, // 10^6 attributes
        {STR("<a b='"),          STR("c")                }, // one that does not end
        {STR("<a"),              STR("a")                }, // a name of a megabyte
        {STR("<a "),             STR("a")                }, // of an attribute
        {STR("<a>"),             STR("<a xmlns='u'/>")   }, // endless namespaces
        {STR(""),                STR("<a:a xmlns:a='u'>")}, // in depth
        {STR("<a>"),             STR("a&amp;")           }, // text
        {STR("<a>"),             STR("<b>x</b>")         }, // children
        {STR("<a>"),             STR("<![CDATA[x]]>")    }, // sections
        {STR("<a><![CDATA["),    STR("x]]")              }, // one that does not end
        {STR("<a></a"),          STR(" ")                }, // an end tag
        {STR("<a b='1' b='2' "), STR("c='x' \n")         }, // wrong already, and going on
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t n = 1; n < 20; n += 9) {
            check(memory_at_the_end(rows[i].before, rows[i].piece, n) < (1U << 20));
        }
    }
}
