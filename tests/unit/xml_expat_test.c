/*
 * The tokenizer and expat agree, over the fuzzer's kept corpus (replayed by
 * tests/fuzz) and, here, over documents made at random from the pieces of which
 * XML's troubles are made.
 */
#include "test.h"

#include "base/buf.h"
#include "base/random.h"
#include "xml_check.h"

enum { DOCUMENTS = 10000 };

static const struct str pieces[] = {
    STR("<a>"),
    STR("</a>"),
    STR("<b>"),
    STR("</b>"),
    STR("<a/>"),
    STR("<p:a xmlns:p='u'>"),
    STR("</p:a>"),
    STR("<p:c/>"),
    STR("<a xmlns='v'>"),
    STR("<a xmlns=''>"),
    STR("<a b='1' b='2'/>"),
    STR("<a xmlns:q='u' xmlns:r='u' q:d='3' r:d='4'/>"),
    STR("<a b='1' "),
    STR("c=\"2\""),
    STR("xmlns:q='u' q:d='3'"),
    STR(" xmlns:r='u' r:d='4'"),
    STR(" xml:lang='en'"),
    STR(">"),
    STR("/>"),
    STR("<"),
    STR("text"),
    STR(" \t\n"),
    STR("\r\n\r"),
    STR("&amp;"),
    STR("&lt;"),
    STR("&#65;"),
    STR("&#x20AC;"),
    STR("&#0;"),
    STR("&#xD;"),
    STR("&x;"),
    STR("&"),
    STR("]]>"),
    STR("]]"),
    STR("<![CDATA["),
    STR("<![CDATA[x]]>"),
    STR("<!-- x -->"),
    STR("<?x?>"),
    STR("<!DOCTYPE a>"),
    STR("'"),
    STR("\""),
    STR("="),
    STR("\xE2\x82\xAC"),
    STR("\xE2\x82"),
    STR("\xEF\xBF\xBF"),
    STR("\xED\xA0\x80"),
    STR("\xF0\x9F\x98\x80"),
    STR("\x01"),
    STR("\0"),
    STR("<?xml version='1.0'?>"),
    STR("a long text without anything special, longer than two vectors of the machine"),
};

static void add_piece(struct buf *buf, struct prng *prng)
{
    buf_add(buf, pieces[prng_below(prng, COUNT_OF(pieces))]);
}

/* Well-formed more often than not, so that trees are compared too. */
static void make_document(struct buf *buf, struct prng *prng)
{
    buf_clear(buf);
    if (prng_below(prng, 20) == 0)
        add_piece(buf, prng);
    uint64_t n = prng_below(prng, 10);
    bool is_calm = prng_below(prng, 4) != 0;
    buf_add(buf, STR("<r>"));
    for (uint64_t i = 0; i < n; i++) {
        static const struct str calm[] = {
            STR("<a>x</a>"),
            STR("<p:a xmlns:p='u' p:b='1' b='2'><p:c/></p:a>"),
            STR("<a xmlns='v' b=' 1\t2\n3\r\n4 '><b xmlns=''/><c/></a>"),
            STR("text &amp; more\r\n"),
            STR("<![CDATA[<&]]>"),
            STR("<b c='&#10;&lt;\"'/>"),
            STR("\xE2\x82\xAC"),
            STR("<a><a><a>&#x10FFFF;</a>]]</a></a>"),
        };
        if (is_calm)
            buf_add(buf, calm[prng_below(prng, COUNT_OF(calm))]);
        else
            add_piece(buf, prng);
        if (prng_below(prng, 20) == 0)
            add_piece(buf, prng);
    }
    buf_add(buf, STR("</r>"));
}

TEST(expat_reads_generated_documents_as_we_do)
{
    struct prng prng = {1};
    struct buf buf;
    buf_init(&buf, 1U << 20);
    for (int i = 0; i < DOCUMENTS; i++) {
        make_document(&buf, &prng);
        xml_check_document(buf_str(&buf));
        xml_check_stream(buf_str(&buf), prng_u64(&prng));
    }
    buf_done(&buf);
}

TEST(expat_reads_soups_of_pieces_as_we_do)
{
    struct prng prng = {2};
    struct buf buf;
    buf_init(&buf, 1U << 20);
    for (int i = 0; i < DOCUMENTS; i++) {
        buf_clear(&buf);
        for (uint64_t n = 1 + prng_below(&prng, 8); n > 0; n--)
            add_piece(&buf, &prng);
        xml_check_document(buf_str(&buf));
        xml_check_stream(buf_str(&buf), prng_u64(&prng));
    }
    buf_done(&buf);
}

TEST(expat_reads_documents_with_one_byte_changed_as_we_do)
{
    static const struct str document =
        STR("<?xml version='1.0' encoding='UTF-8'?><m xmlns='u' xmlns:p='v' p:a='1' b=\"2&#51;\">"
            "t&lt;\xC3\xA9<p:c d='\xE2\x82\xAC'/><![CDATA[]x]]><e xmlns=''>\r\n</e ></m>");
    char text[256];
    for (size_t i = 0; i < document.len; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, document.at, document.len);
            text[i] = (char)c;
            xml_check_document((struct str){text, document.len});
        }
        xml_check_document(str_first(document, i));
        xml_check_document(str_skip(document, i));
    }
}
