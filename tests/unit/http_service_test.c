#include "test.h"

#include "base/must.h"
#include "http/http.h"
#include "net_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];
static const struct http_limits default_limits = {
    .head_bytes = 4096,
    .head_fields = 32,
    .requests = 100,
    .head_us = 20000000,
    .idle_us = 20000000,
    .stall_us = 20000000,
    .request_us = 60000000,
    .hsts_us = 3600000000,
};

struct setting {
    struct loop *loop;
    pthread_t thread;
    struct workers *workers;
    struct http *http;
    SSL_CTX *client;
    uint16_t port;
};

static void *run_loop(void *context)
{
    struct setting *s = context;
    loop_run(s->loop);
    return NULL;
}

/* ---- handlers ---- */

static void hello(struct http_exchange *x, void *context)
{
    (void)context;
    struct http_answer answer = {.status = 200, .type = STR("text/plain")};
    http_answer(x, &answer, arena_printf(http_arena(x), "hello %.*s", STR_ARGS(http_rest(x))));
}

/* Adds up the bytes of a body, which it takes in bites of at most 5,000, one a turn. */
struct sum {
    struct mail mail;
    struct http_exchange *x; // NULL once it is over
    struct http *http;
    uint64_t bytes, sum;
    bool under_way;
};

static void sum_again(struct mail *mail)
{
    struct sum *sum = CONTAINER_OF(mail, struct sum, mail);
    sum->under_way = false;
    http_work_ends(sum->http);
    if (sum->x != NULL)
        http_resume(sum->x);
    else
        free(sum);
}

static size_t sum_body(struct http_exchange *x, struct str bytes)
{
    struct sum *sum = http_data(x);
    size_t n = bytes.len > 5000 ? 5000 : bytes.len;
    for (size_t i = 0; i < n; i++)
        sum->sum += (unsigned char)bytes.at[i];
    sum->bytes += n;
    if (n < bytes.len && !sum->under_way) {
        sum->under_way = true;
        http_work_begins(sum->http);
        worker_post(http_worker(x), &sum->mail);
    }
    return n;
}

static void sum_complete(struct http_exchange *x)
{
    struct sum *sum = http_data(x);
    struct http_answer answer = {.status = 201, .type = STR("text/plain")};
    http_answer(x, &answer,
                arena_printf(http_arena(x), "%llu %llu", (unsigned long long)sum->bytes,
                             (unsigned long long)sum->sum));
}

static void sum_end(struct http_exchange *x, bool answered)
{
    (void)answered;
    struct sum *sum = http_data(x);
    sum->x = NULL;
    if (!sum->under_way)
        free(sum);
}

static const struct http_calls sum_calls = {
    .on_body = sum_body, .on_complete = sum_complete, .on_end = sum_end};

static void sum_begins(struct http_exchange *x, void *context)
{
    (void)context;
    struct sum *sum = calloc(1, sizeof *sum);
    must(sum != NULL);
    sum->x = x;
    sum->http = http_of(x);
    sum->mail.run = sum_again;
    http_set_calls(x, &sum_calls, sum);
}

/* As many bytes as the path says. */
static void big_room(struct http_exchange *x)
{
    static const char piece[HTTP_PIECE];
    size_t room = http_room(x), left = room;
    while (left > 0) {
        size_t n = left < sizeof piece ? left : sizeof piece;
        http_write(x, str_make(piece, n));
        left -= n;
    }
    uint64_t *promised = http_data(x);
    *promised -= room;
    if (*promised > 0)
        http_want_room(x);
}

static const struct http_calls big_calls = {.on_room = big_room};

static void big(struct http_exchange *x, void *context)
{
    (void)context;
    uint64_t *promised = arena_alloc(http_arena(x), sizeof *promised);
    if (str_to_u64(http_rest(x), 1, UINT32_MAX, promised) != OK) {
        http_refuse(x, 404);
        return;
    }
    http_set_calls(x, &big_calls, promised);
    const struct http_field fields[] = {
        {STR("Cache-Control"), STR("private")}
    };
    struct http_answer answer = {200, STR("application/octet-stream"), fields, 1};
    http_begin(x, &answer, *promised);
    if (http_head(x)->method == HTTP_GET)
        http_want_room(x);
}

/* ---- the world ---- */

static void begin(struct setting *s, const struct http_limits *limits)
{
    static const struct str name[] = {
        {"chat.example", 12}
    };
    char chain[128], key[128];
    struct why why = {""};
    *s = (struct setting){0};
    process_ignore_sigpipe();
    if (folder[0] == '\0') {
        world_folder(folder);
        world_certificate(folder, "chat", "chat.example", KEY_P256, NULL, 2);
    }
    snprintf(chain, sizeof chain, "%s/chat.crt", folder);
    snprintf(key, sizeof key, "%s/chat.key", folder);
    must(loop_new("main", &s->loop, &why) == OK);
    must(workers_new(&(struct workers_config){.n = 2}, &s->workers, &why) == OK);
    struct tls_identity identity = {name, 1, chain, key};
    struct tls_config *tls = NULL;
    must(tls_config_new_server(&identity, 1, NULL, workers_homes(s->workers),
                               workers_count(s->workers), &tls, &why) == OK);
    workers_set_tls(s->workers, tls);
    tls_config_unref(&tls);
    s->http = http_new(s->loop, s->workers, limits);
    http_add_host(s->http, STR("chat.example"));
    http_add_route(s->http,
                   &(struct http_route){.prefix = STR("/hello/"),
                                        .methods = HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD),
                                        .begin = hello});
    http_add_route(s->http, &(struct http_route){.prefix = STR("/sum/"),
                                                 .methods = HTTP_BIT(HTTP_PUT),
                                                 .body_most = 64 << 20,
                                                 .begin = sum_begins});
    http_add_route(s->http,
                   &(struct http_route){.prefix = STR("/big/"),
                                        .methods = HTTP_BIT(HTTP_GET) | HTTP_BIT(HTTP_HEAD),
                                        .begin = big});
    must(http_open(s->http, STR("127.0.0.1"), 0, &s->port, &why) == OK);
    must(workers_start(s->workers, &why) == OK);
    must(pthread_create(&s->thread, NULL, run_loop, s) == 0);
    s->client = SSL_CTX_new(TLS_client_method());
    must(s->client != NULL);
    SSL_CTX_set_alpn_protos(s->client, (const unsigned char *)"\x02h2\x08http/1.1", 12);
}

static void end(struct setting *s)
{
    loop_stop(s->loop);
    pthread_join(s->thread, NULL);
    http_close_doors(s->http);
    workers_stop(s->workers);
    while (!http_is_quiet(s->http))
        workers_turn(s->workers);
    http_free(&s->http);
    workers_free(&s->workers);
    loop_free(&s->loop);
    SSL_CTX_free(s->client);
}

static SSL *dial(struct setting *s)
{
    SSL *ssl = world_shake(s->client, world_dial(s->port), 0, "chat.example");
    must(ssl != NULL);
    return ssl;
}

static void hang_up(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void say(SSL *ssl, struct str text)
{
    for (size_t done = 0, n; done < text.len; done += n)
        must(SSL_write_ex(ssl, text.at + done, text.len - done, &n) == 1);
}

/* Until the server closes. */
static struct str hear_all(SSL *ssl)
{
    static char answer[1 << 20];
    size_t len = 0;
    for (size_t n; SSL_read_ex(ssl, answer + len, sizeof answer - len, &n) == 1;)
        len += n;
    return str_make(answer, len);
}

static struct str ask(struct setting *s, const char *request)
{
    SSL *ssl = dial(s);
    say(ssl, str_of(request));
    struct str answer = hear_all(ssl);
    hang_up(ssl);
    return answer;
}

static bool has(struct str text, const char *wanted)
{
    return str_find(text, str_of(wanted)) < text.len;
}

/* One head, and nothing of what follows it. */
static struct str hear_head(SSL *ssl)
{
    static char head[8192];
    size_t len = 0;
    while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) {
        must(len < sizeof head);
        world_read_exactly(ssl, head + len++, 1);
    }
    return str_make(head, len);
}

/* ---- tests ---- */

TEST(a_page_is_served_with_what_keeps_a_browser_harmless)
{
    struct setting s;
    begin(&s, &default_limits);
    struct str a = ask(&s, "GET /hello/you?x HTTP/1.1\r\nHost: chat.example:99\r\n"
                           "Connection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 200 OK\r\nDate: ")));
    check(str_ends(a, STR("\r\n\r\nhello you")));
    check(has(a, "\r\nContent-Length: 9\r\n"));
    check(has(a, "\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'"));
    check(has(a, "\r\nX-Content-Type-Options: nosniff\r\n"));
    check(has(a, "\r\nReferrer-Policy: no-referrer\r\n"));
    check(has(a, "\r\nStrict-Transport-Security: max-age=3600\r\n"));
    check(has(a, "\r\nCache-Control: no-store\r\n"));
    a = ask(&s, "HEAD /hello/you HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n");
    check(has(a, "\r\nContent-Length: 9\r\n") && str_ends(a, STR("\r\n\r\n")));
    a = ask(&s, "GET /nowhere HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 404 ")));
    a = ask(&s, "DELETE /hello/ HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 405 ")) && has(a, "\r\nAllow: GET, HEAD\r\n"));
    a = ask(&s, "GET /hello/you HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 421 ")));
    a = ask(&s, "GET /hello/you HTTP/1.0\r\nHost: chat.example\r\n\r\n");
    check(str_ends(a, STR("hello you")));
    struct http_stats stats;
    http_stats(s.http, &stats);
    check(stats.n_requests == 6 && stats.n_answers[2] == 3 && stats.n_answers[4] == 3);
    end(&s);
}

TEST(requests_share_a_connection_one_after_the_other)
{
    struct setting s;
    begin(&s, &default_limits);
    // pipelined, the second with a body, the third ends it
    struct str a =
        ask(&s, "GET /hello/1 HTTP/1.1\r\nHost: chat.example\r\n\r\n"
                "PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 3\r\n\r\n\1\2\3"
                "GET /hello/3 HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n"
                "GET /hello/4 HTTP/1.1\r\nHost: chat.example\r\n\r\n");
    size_t one = str_find(a, STR("hello 1")), two = str_find(a, STR("\r\n\r\n3 6")),
           three = str_find(a, STR("hello 3"));
    check(one < two && two < three && three < a.len);
    check(!has(a, "hello 4"));

    // a body that is refused is read over when it is short
    a = ask(&s, "PUT /hello/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 60\r\n\r\n"
                "GET /hello/smuggled HTTP/1.1\r\nHost: chat.example\r\nX: 1\r\n\r\n"
                "GET /hello/2 HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n");
    check(has(a, "405 ") && !has(a, "hello smuggled"));

    // what is refused as malformed ends the connection: nothing after it is read
    a = ask(&s, "POST /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 5\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                "GET /hello/smuggled HTTP/1.1\r\nHost: chat.example\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 400 ")) && !has(a, "smuggled"));
    check(has(a, "\r\nConnection: close\r\n"));
    end(&s);
}

TEST(bodies_stream_both_ways)
{
    enum { UP = 3 << 20, DOWN = 9 << 20 };
    struct setting s;
    begin(&s, &default_limits);
    SSL *ssl = dial(&s);
    char text[256];
    snprintf(text, sizeof text,
             "PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: %d\r\n"
             "Expect: 100-continue\r\n\r\n",
             UP);
    say(ssl, str_of(text));
    check_str(hear_head(ssl), STR("HTTP/1.1 100 Continue\r\n\r\n"));
    char *body = malloc(UP);
    must(body != NULL);
    memset(body, 1, UP);
    say(ssl, str_make(body, UP));
    free(body);
    check(str_starts(hear_head(ssl), STR("HTTP/1.1 201 ")));
    char sums[16];
    int n = snprintf(text, sizeof text, "%d %d", UP, UP);
    world_read_exactly(ssl, sums, (size_t)n);
    check(memcmp(sums, text, (size_t)n) == 0);

    snprintf(text, sizeof text, "GET /big/%d HTTP/1.1\r\nHost: chat.example\r\n\r\n", DOWN);
    say(ssl, str_of(text));
    struct str head = hear_head(ssl);
    check(has(head, "\r\nCache-Control: private\r\n") && !has(head, "no-store"));
    char *got = malloc(DOWN);
    must(got != NULL);
    world_read_exactly(ssl, got, DOWN);
    free(got);
    // the same connection still works
    say(ssl, STR("GET /hello/x HTTP/1.1\r\nHost: chat.example\r\n\r\n"));
    check(str_starts(hear_head(ssl), STR("HTTP/1.1 200 ")));
    hang_up(ssl);

    // who leaves in the middle harms nobody
    ssl = dial(&s);
    say(ssl, STR("PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 900000\r\n\r\n"));
    char some[40000] = {0};
    say(ssl, str_make(some, sizeof some));
    hang_up(ssl);
    struct str a = ask(&s, "PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\n"
                           "Content-Length: 67108865\r\n\r\n");
    check(str_starts(a, STR("HTTP/1.1 413 ")) && has(a, "\r\nConnection: close\r\n"));
    end(&s);
}

TEST(who_waits_to_be_asked_for_a_body_is_not_read_on)
{
    // RFC 9110 §10.1.1: refused, it may send the body or the next request; nobody can tell which
    struct setting s;
    begin(&s, &default_limits);
    static const char *const refused[] = {
        "PUT /hello/ HTTP/1.1\r\nHost: chat.example\r\n",
        "PUT /nowhere HTTP/1.1\r\nHost: chat.example\r\n",
        "PUT /sum/ HTTP/1.1\r\nHost: other.example\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        char request[512];
        snprintf(request, sizeof request,
                 "%sContent-Length: 60\r\nExpect: 100-continue\r\n\r\n"
                 "GET /hello/inner HTTP/1.1\r\nHost: chat.example\r\nX: 12\r\n\r\n"
                 "GET /hello/after HTTP/1.1\r\nHost: chat.example\r\n"
                 "Connection: close\r\n\r\n",
                 refused[i]);
        struct str a = ask(&s, request);
        check(str_starts(a, STR("HTTP/1.1 4")) && !has(a, "100 Continue"));
        check(has(a, "\r\nConnection: close\r\n") && !has(a, "hello "));
    }
    end(&s);
}

/* How many bytes of zero came until the server closed. */
static size_t hear_zeros(SSL *ssl)
{
    char bytes[16384];
    size_t zeros = 0;
    for (size_t n; SSL_read_ex(ssl, bytes, sizeof bytes, &n) == 1;)
        for (size_t i = 0; i < n; i++)
            zeros += bytes[i] == 0;
    return zeros;
}

TEST(who_reads_late_gets_all_of_it)
{
    enum { READERS = 20, STEP = 200000, ASKED = 12, LARGE = 2000000 };
    struct setting s;
    begin(&s, &default_limits);
    // one after the other, of sizes of which some fit what the kernel takes and some do not
    SSL *readers[READERS];
    char text[256];
    for (size_t i = 0; i < READERS; i++) {
        readers[i] = dial(&s);
        snprintf(text, sizeof text,
                 "GET /big/%zu HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n",
                 (i + 1) * STEP);
        say(readers[i], str_of(text));
    }
    // many asked for at once, none of them read
    SSL *hasty = dial(&s);
    for (size_t i = 0; i < ASKED; i++) {
        snprintf(text, sizeof text, "GET /big/%d HTTP/1.1\r\nHost: chat.example\r\n%s\r\n", LARGE,
                 i == ASKED - 1 ? "Connection: close\r\n" : "");
        say(hasty, str_of(text));
    }
    sleep(7); // longer than a connection that closes has for its last bytes
    for (size_t i = 0; i < READERS; i++) {
        check(hear_zeros(readers[i]) == (i + 1) * STEP);
        hang_up(readers[i]);
    }
    check(hear_zeros(hasty) == (size_t)ASKED * LARGE);
    hang_up(hasty);
    end(&s);
}

TEST(who_is_slow_is_let_go)
{
    struct http_limits limits = default_limits;
    limits.head_us = 300000;
    limits.idle_us = 300000;
    limits.stall_us = 300000;
    struct setting s;
    begin(&s, &limits);
    struct str a = ask(&s, "GET /hello/x HTTP/1.1\r\nHost: chat");
    check(str_starts(a, STR("HTTP/1.1 408 ")));
    a = ask(&s, "PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 9\r\n\r\n12");
    check(str_starts(a, STR("HTTP/1.1 408 ")));
    a = ask(&s, "GET /hello/x HTTP/1.1\r\nHost: chat.example\r\n\r\n"); // idle
    check(str_ends(a, STR("hello x")));
    a = ask(&s, "");
    check(str_starts(a, STR("HTTP/1.1 408 ")));
    end(&s);
}

TEST(a_stop_ends_what_is_under_way)
{
    struct setting s;
    begin(&s, &default_limits);
    SSL *ssl = dial(&s);
    say(ssl, STR("PUT /sum/ HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 900000\r\n\r\n"));
    static const char some[40000];
    say(ssl, str_make(some, sizeof some));
    SSL *reader = dial(&s);
    say(reader, STR("GET /big/90000000 HTTP/1.1\r\nHost: chat.example\r\n\r\n"));
    char byte;
    world_read_exactly(reader, &byte, 1);
    end(&s);
    hang_up(ssl);
    hang_up(reader);
    world_remove_folder(folder);
}
