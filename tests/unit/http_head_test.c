#include "test.h"

#include "http/head.h"

#include <stdio.h>

static const struct http_head_limits limits = {4096, 16};

static unsigned read_head(const char *text, struct http_head *head)
{
    size_t scanned = 0, used;
    return http_head_read(test_arena(), str_of(text), &limits, &scanned, head, &used);
}

TEST(a_head_is_read_as_it_was_meant)
{
    struct http_head head;
    check(read_head("PUT /upload/a%20b/caf%C3%A9.txt?x=%41 HTTP/1.1\r\nHost: Example.ORG:5281\r\n"
                    "content-length:  12 \r\nExpect: 100-continue\r\nX-Empty:\r\n\r\n0123",
                    &head) == HTTP_OK);
    check(head.method == HTTP_PUT);
    check_str(head.path, STR("/upload/a b/caf\xC3\xA9.txt"));
    check_str(head.query, STR("x=%41"));
    check_str(head.host, STR("example.org"));
    check(head.has_length && head.body_bytes == 12 && head.continues && head.keep);
    check_str(http_head_field(&head, STR("x-empty")), STR(""));
    check(http_head_field(&head, STR("Range")).at == NULL);

    check(read_head("GET https://b.example:99/x HTTP/1.1\r\nHost: a.example\r\n\r\n", &head) ==
          HTTP_OK);
    check_str(head.host, STR("b.example"));
    check_str(head.path, STR("/x"));
    check(read_head("GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: x, Close\r\n\r\n", &head) ==
          HTTP_OK);
    check_str(head.host, STR("[::1]"));
    check(!head.keep);
    check(read_head("GET / HTTP/1.0\r\n\r\n", &head) == HTTP_OK);
    check(!head.keep && head.host.len == 0);
}

TEST(what_two_readers_could_read_in_two_ways_is_refused)
{
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a",                                                             HTTP_WANTS_MORE},
        {"GET / HTTP/1.1\r\nHost: a\r\n",                                                         HTTP_WANTS_MORE},
 // lengths
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         400                                                                                                     },
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",                      411            },
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",                     411            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",          400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\n",          400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",                            400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",                              400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",                              400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n",                             400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",                                 400            },
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",            400            },
 // lines
        {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",                                  400            },
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n",                                                    400            },
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n",                                                    400            },
        {"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n",                                               400            },
        {"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n",                                               400            },
        {"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",                                                400            },
        {"GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n",                                              400            },
        {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",                                          400            },
        {"GET / HTTP/1.1\r\nHost: a\r\nX\x7f: 1\r\n\r\n",                                         400            },
        {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",                                                 400            },
 // the first line
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",                                                    400            },
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",                                                    400            },
        {"GET /\r\nHost: a\r\n\r\n",                                                              400            },
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n",                                                     505            },
        {"GET / HTTX/1.1\r\nHost: a\r\n\r\n",                                                     400            },
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",                                                      505            },
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n",                                                     501            },
        {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",                                                    501            },
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",                                                 400            },
        {"GET x HTTP/1.1\r\nHost: a\r\n\r\n",                                                     400            },
        {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",                                              400            },
        {"GET https://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n",                                          400            },
        {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",                                             501            },
 // paths
        {"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n",                                                 400            },
        {"GET /x/.. HTTP/1.1\r\nHost: a\r\n\r\n",                                                 400            },
        {"GET /./x HTTP/1.1\r\nHost: a\r\n\r\n",                                                  400            },
        {"GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n",                                             400            },
        {"GET /%u002e%u002e/x HTTP/1.1\r\nHost: a\r\n\r\n",                                       400            },
        {"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",                                                400            },
        {"GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n",                                                400            },
        {"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",                                                 400            },
        {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",                                                  400            },
        {"GET /%0d%0ax HTTP/1.1\r\nHost: a\r\n\r\n",                                              400            },
        {"GET /%c0%ae HTTP/1.1\r\nHost: a\r\n\r\n",                                               400            },
        {"GET /%e HTTP/1.1\r\nHost: a\r\n\r\n",                                                   400            },
        {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",                                                  400            },
        {"GET /\xC3\xA9 HTTP/1.1\r\nHost: a\r\n\r\n",                                             400            },
 // hosts, expectations
        {"GET / HTTP/1.1\r\n\r\n",                                                                400            },
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",                                          400            },
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",                                                   400            },
        {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",                                                   400            },
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",                                                  400            },
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n",                                                       400            },
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n",                                   417            },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_head head = {0};
        unsigned status = read_head(rows[i].text, &head);
        if (status != rows[i].status)
            printf("row %zu: %u instead of %u: %s\n", i, status, rows[i].status, rows[i].text);
        check(status == rows[i].status);
    }
    // %252e is decoded once: it stays an ordinary name
    struct http_head head;
    check(read_head("GET /%252e%252e/x HTTP/1.1\r\nHost: a\r\n\r\n", &head) == HTTP_OK);
    check_str(head.path, STR("/%2e%2e/x"));
}

TEST(a_head_has_its_limits)
{
    char text[8192];
    struct http_head head;
    int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + n, 'x', 5000);
    text[n + 5000] = '\0';
    check(read_head(text, &head) == 431); // long before its end
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 16; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "X: 1\r\n");
    snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    check(read_head(text, &head) == 431);
}
