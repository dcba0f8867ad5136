/*
 * The stanza handlers: whatever logged-in people send, the server goes on, what
 * it says is well-formed, and everybody who was not thrown out gets his answers.
 *
 * The whole server runs in this process, on an empty store, with TLS and the
 * guard.  The input is lines "N XML": speaker N (1 and 2 are two devices of
 * romeo, 3 is juliet, who knows him) sends it if it is whole elements; else the
 * line is passed over, since other targets have the tokenizer and the stream.
 */
#include "base/base64.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/server.h"
#include "im/client.h"
#include "net_world.h"
#include "xml/tokenizer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_SPEAKERS = 3, READ_SIZE = 1 << 16, LINES_MOST = 64 };

struct speaker {
    const char *user, *resource;
    SSL *ssl;
    struct tokenizer server; // what the server says, read as a client would
    struct arena arena;
    unsigned fence;  // the last that was answered
    bool has_answer; // to anything but a fence; see wait_for
    bool failed;     // <failure/>, or an iq of type error, before the stream was ready
};

static struct {
    char folder[64];
    uint16_t port;
    struct loop *loop;
    pthread_t thread;
    struct server *server;
    SSL_CTX *tls;
    unsigned n_fences;
    struct speaker speakers[N_SPEAKERS];
} all = {
    .speakers = {{.user = "romeo", .resource = "desk"},
                 {.user = "romeo", .resource = "phone"},
                 {.user = "juliet", .resource = "desk"}}
};

/* ---- The server ---- */

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 &&
         getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    close(fd);
    return ntohs(at.sin_port);
}

static const struct config *make_config(void)
{
    char path[96], state[96], port[64];
    snprintf(path, sizeof path, "%s/firedoor.conf", all.folder);
    snprintf(state, sizeof state, "server.state_directory=%s", all.folder);
    snprintf(port, sizeof port, "listen.direct_tls=%u", all.port);
    FILE *file = fopen(path, "w");
    must(file != NULL);
    fputs("tls = { certificate = \"a.crt\"; key = \"a.key\"; };\n"
          "domains = ( { name = \"localhost\"; administrators = [ \"romeo@localhost\" ]; } );\n",
          file);
    must(fclose(file) == 0);
    const char *const sets[] = {
        state,
        port,
        "listen.starttls=0",
        "listen.addresses=127.0.0.1",
        "server.workers=2",
        "metrics.port=0",
        "auth.iterations=4096",
        "registration.enabled=true",
        "registration.cancel=true",
        "registration.per_address=10000",
        "auth.failures_address=10000",
        "auth.failures_account=10000",
        "limits.stanzas_per_second=1000000",
        "limits.stanzas_burst=1000000",
        "limits.accepts_per_second=1000000",
        "limits.bytes_per_second=1 GiB",
        "limits.bytes_burst=1 GiB",
        "limits.resume_time=1 s",

        "test.clock_rate=100",
        "test.guard_seed=1",
    };
    const struct config *config;
    struct buf troubles;
    buf_init(&troubles, 1 << 16);
    const struct config_args args = {path, sets, sizeof sets / sizeof sets[0]};
    if (config_load(&args, &config, &troubles) != OK) {
        fprintf(stderr, "%.*s\n", STR_ARGS(buf_str(&troubles)));
        abort();
    }
    buf_done(&troubles);
    return config;
}

static void *run_loop(void *context)
{
    (void)context;
    loop_run(all.loop);
    return NULL;
}

static void hang_up(struct speaker *speaker)
{
    int fd = SSL_get_fd(speaker->ssl);
    SSL_free(speaker->ssl);
    speaker->ssl = NULL;
    close(fd);
    tokenizer_done(&speaker->server);
    arena_done(&speaker->arena);
}

static void stop(void)
{
    for (int i = 0; i < N_SPEAKERS; i++)
        if (all.speakers[i].ssl != NULL)
            hang_up(&all.speakers[i]);
    loop_stop(all.loop);
    pthread_join(all.thread, NULL);
    server_stop(&all.server);
    loop_free(&all.loop);
    SSL_CTX_free(all.tls);
    world_remove_folder(all.folder);
}

static void start(void)
{
    struct why why = {{0}};
    log_set_level(LOG_ERROR);
    process_ignore_sigpipe();
    world_folder(all.folder);
    world_certificate(all.folder, "a", "localhost", KEY_P256, "SHA256", 30);
    all.port = free_port();
    const struct config *config = make_config();
    must(loop_new("main", &all.loop, &why) == OK);
    if (server_prepare(config, all.loop, &all.server, &why) != OK ||
        server_open(all.server, NULL, &why) != OK || server_start(all.server, &why) != OK) {
        fprintf(stderr, "%s\n", why.text);
        abort();
    }
    config_unref(&config);
    must(pthread_create(&all.thread, NULL, run_loop, NULL) == 0);
    all.tls = SSL_CTX_new(TLS_client_method());
    must(all.tls != NULL);
    atexit(stop);
}

/* ---- Speakers ---- */

static void write_text(struct speaker *speaker, struct str text)
{
    if (speaker->ssl != NULL && text.len > 0 &&
        SSL_write(speaker->ssl, text.at, (int)text.len) <= 0)
        hang_up(speaker);
}

static void look_at(struct speaker *speaker, const struct element *element)
{
    struct str id = element_attr(element, STR("id"));
    uint64_t fence;
    if (id.at != NULL && str_starts(id, STR("fence-")) &&
        str_to_u64(str_skip(id, 6), 0, UINT32_MAX, &fence) == OK)
        speaker->fence = (unsigned)fence;
    struct str type = element_attr(element, STR("type"));
    speaker->failed =
        str_eq(element->name, STR("failure")) || (type.at != NULL && str_eq(type, STR("error")));
    speaker->has_answer = true;
}

// Reads once.  False: the server ended the stream (and the speaker hangs up).
static bool read_some(struct speaker *speaker)
{
    static char bytes[READ_SIZE];
    int n;
    do {
        errno = 0; // the fuzzer's alarm clock interrupts
        n = SSL_read(speaker->ssl, bytes, sizeof bytes);
    } while (n <= 0 && errno == EINTR);
    struct str rest = str_make(bytes, n > 0 ? (size_t)n : 0);
    if (n <= 0) {
        must(SSL_get_error(speaker->ssl, n) != SSL_ERROR_WANT_READ); // ten seconds: it hangs
        hang_up(speaker);
        return false;
    }
    for (;;) {
        struct element *element;
        switch (tokenizer_feed(&speaker->server, &rest, &speaker->arena, &element)) {
        case TOKEN_MORE:
            return true;
        case TOKEN_HEADER:
            break;
        case TOKEN_STANZA:
            look_at(speaker, element);
            break;
        case TOKEN_CLOSED:
            hang_up(speaker);
            return false;
        case TOKEN_FAULT:
            fprintf(stderr, "%s\n", speaker->server.detail);
            abort();
        }
        arena_reset(&speaker->arena);
    }
}

// The next element of the server's; before login nothing comes unasked.
static bool wait_for_answer(struct speaker *speaker)
{
    speaker->has_answer = false;
    while (!speaker->has_answer)
        if (!read_some(speaker))
            return false;
    return true;
}

static void open_stream(struct speaker *speaker)
{
    tokenizer_reset(&speaker->server);
    write_text(speaker, STR("<stream:stream xmlns='jabber:client' to='localhost' version='1.0' "
                            "xmlns:stream='http://etherx.jabber.org/streams'>"));
    must(wait_for_answer(speaker)); // the features
}

static void ask(struct speaker *speaker, const char *format, ...) PRINTF_LIKE(2, 3);

static void ask(struct speaker *speaker, const char *format, ...)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    va_list args;
    va_start(args, format);
    write_text(speaker, arena_vprintf(&arena, format, args));
    va_end(args);
    arena_done(&arena);
    must(speaker->ssl != NULL && wait_for_answer(speaker));
}

// Waits until the server has answered everything that each of them said so far.
static void fence(void)
{
    char text[160];
    unsigned number = ++all.n_fences;
    int n = snprintf(text, sizeof text,
                     "<iq type='get' id='fence-%u'><ping xmlns='urn:xmpp:ping'/></iq>", number);
    for (int i = 0; i < N_SPEAKERS; i++)
        write_text(&all.speakers[i], str_make(text, (size_t)n));
    for (int i = 0; i < N_SPEAKERS; i++)
        while (all.speakers[i].ssl != NULL && all.speakers[i].fence != number)
            read_some(&all.speakers[i]);
}

static bool log_in(struct speaker *speaker)
{
    struct arena arena;
    char plain[64];
    int n = snprintf(plain, sizeof plain, "%c%s%cpassword", 0, speaker->user, 0);
    arena_init(&arena, 4096);
    ask(speaker, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%.*s</auth>",
        STR_ARGS(base64_encode(&arena, str_make(plain, (size_t)n))));
    arena_done(&arena);
    return !speaker->failed;
}

// Connects, makes the account if the input before has deleted it, and settles in.
static void arrive(struct speaker *speaker)
{
    static const struct tokenizer_limits limits = {
        .bytes = 64 << 20,
        .elements = 1 << 20,
        .namespaces = 256,
        .depth = 256,
        .attributes = 128,
        .name = 4096,
    };
    speaker->ssl = world_shake(all.tls, world_dial(all.port), 0, "localhost");
    must(speaker->ssl != NULL);
    tokenizer_init(&speaker->server, &limits);
    arena_init(&speaker->arena, (size_t)256 << 20);
    open_stream(speaker);
    if (!log_in(speaker)) {
        ask(speaker,
            "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>%s</username>"
            "<password>password</password></query></iq>",
            speaker->user);
        must(!speaker->failed && log_in(speaker));
    }
    open_stream(speaker);
    ask(speaker,
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        "<resource>%s</resource></bind></iq>",
        speaker->resource);
    must(!speaker->failed);
    write_text(speaker, STR("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
                            "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
                            "<presence/>"));
}

static void befriend(void)
{
    struct speaker *romeo = &all.speakers[0], *juliet = &all.speakers[2];
    write_text(romeo, STR("<presence type='subscribe' to='juliet@localhost'/>"));
    fence();
    write_text(juliet, STR("<presence type='subscribed' to='romeo@localhost'/>"
                           "<presence type='subscribe' to='romeo@localhost'/>"));
    fence();
    write_text(romeo, STR("<presence type='subscribed' to='juliet@localhost'/>"));
}

static void arrive_all(void)
{
    bool missing = false;
    for (int i = 0; i < N_SPEAKERS; i++)
        if (all.speakers[i].ssl == NULL) {
            arrive(&all.speakers[i]);
            missing = true;
        }
    if (missing)
        befriend();
}

/* ---- The input ---- */

static bool is_whole(struct str line)
{
    struct tokenizer t;
    struct arena arena;
    struct element *element;
    struct str header = STR("<stream:stream xmlns='jabber:client' "
                            "xmlns:stream='http://etherx.jabber.org/streams'>");
    enum token token;
    arena_init(&arena, 1 << 20);
    tokenizer_init(&t, &tokenizer_limits_default);
    must(tokenizer_feed(&t, &header, &arena, &element) == TOKEN_HEADER);
    do
        token = tokenizer_feed(&t, &line, &arena, &element);
    while (token == TOKEN_STANZA);
    bool whole = token == TOKEN_MORE && tokenizer_is_idle(&t);
    tokenizer_done(&t);
    arena_done(&arena);
    return whole;
}

static struct str take_line(struct str *rest)
{
    const char *end = memchr(rest->at, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->at) : rest->len;
    struct str line = str_make(rest->at, len);
    *rest = str_skip(*rest, end != NULL ? len + 1 : len);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size);
    if (all.server == NULL)
        start();
    arrive_all();
    for (int n = 0; rest.len > 0 && n < LINES_MOST; n++) {
        struct str line = take_line(&rest);
        if (line.len < 3 || line.at[0] < '1' || line.at[0] > '0' + N_SPEAKERS || line.at[1] != ' ')
            continue;
        struct str text = str_skip(line, 2);
        if (!is_whole(text))
            continue;
        write_text(&all.speakers[line.at[0] - '1'], text);
        fence();
    }
    return 0;
}
