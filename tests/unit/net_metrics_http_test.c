#include "test.h"

#include "base/must.h"
#include "net/metrics_http.h"
#include "net_world.h"

#include <stdio.h>
#include <unistd.h>

static void fill(struct buf *out, void *context)
{
    buf_printf(out, "firedoor_answer %d\n", *(int *)context);
}

static struct str ask(uint16_t port, const char *request)
{
    static char answer[65536];
    int fd = world_dial(port);
    must(write(fd, request, strlen(request)) == (ssize_t)strlen(request));
    size_t len = 0;
    for (ssize_t n; (n = read(fd, answer + len, sizeof answer - len)) > 0;)
        len += (size_t)n;
    close(fd);
    return str_make(answer, len);
}

static bool has(struct str text, struct str wanted)
{
    return str_find(text, wanted) < text.len;
}

TEST(metrics_are_served_and_nothing_else)
{
    int number = 42;
    struct metrics_http *server;
    struct addr at;
    check(addr_parse(STR("127.0.0.1"), 0, &at) == OK);
    check(metrics_http_new(&at, fill, &number, &server, NULL) == OK);
    uint16_t port = metrics_http_port(server);

    struct str a = ask(port, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 200")));
    check(has(a, STR("text/plain; version=0.0.4")));
    check(str_ends(a, STR("firedoor_answer 42\n")));

    a = ask(port, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 200")));
    check(!has(a, STR("firedoor_answer")));

    a = ask(port, "GET /etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 404")));
    a = ask(port, "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 405")));
    a = ask(port, "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    check(!str_starts(a, STR("HTTP/1.1 200")));
    metrics_http_free(&server);
}

TEST(an_address_in_use_is_said_with_its_name)
{
    struct metrics_http *first, *second = NULL;
    struct addr at;
    struct why why;
    int number = 1;
    check(addr_parse(STR("127.0.0.1"), 0, &at) == OK);
    check(metrics_http_new(&at, fill, &number, &first, &why) == OK);
    int fd = world_dial(metrics_http_port(first)); // listens indeed
    close(fd);
    // another's scrapes must not end here, nor ours there
    check(addr_parse(STR("127.0.0.1"), metrics_http_port(first), &at) == OK);
    check(metrics_http_new(&at, fill, &number, &second, &why) == ERR_IO);
    check(strstr(why.text, "127.0.0.1") != NULL);
    check(addr_parse(STR("192.0.2.1"), metrics_http_port(first), &at) == OK);
    check(metrics_http_new(&at, fill, &number, &second, &why) == ERR_IO);
    check(strstr(why.text, "192.0.2.1") != NULL);
    metrics_http_free(&first);
}
