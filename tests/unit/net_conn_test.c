#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "net_world.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server side of the present test does, and what it saw. */
static struct conn_limits limits;
static const struct conn_events *behaviour;
static bool direct_tls;
static atomic_int n_opened, n_closed, last_end, n_moved, n_drained;
static char folder[64];

static void see_closed(struct conn *conn, enum conn_end end)
{
    (void)conn;
    atomic_store(&last_end, (int)end);
    atomic_fetch_add(&n_closed, 1);
}

static void on_arrival(struct worker *worker, struct arrival *arrival, void *context)
{
    struct conn *conn = conn_accept(arrival, behaviour, context, &limits);
    atomic_fetch_add(&n_opened, 1);
    if (direct_tls)
        conn_start_tls(conn, worker_tls(worker), STR_EMPTY);
}

static struct tls_config *one_domain(struct world *world)
{
    static const struct str names[] = {
        {"a.example", 9}
    };
    char chain[128], key[128];
    snprintf(chain, sizeof chain, "%s/a.crt", folder);
    snprintf(key, sizeof key, "%s/a.key", folder);
    struct tls_identity identity = {names, 1, chain, key};
    struct tls_config *config = NULL;
    must(tls_config_new_server(&identity, 1, NULL, workers_homes(world->workers),
                               workers_count(world->workers), &config, NULL) == OK);
    return config;
}

static void begin(struct world *world, const struct conn_events *events, bool tls)
{
    world_folder(folder);
    world_certificate(folder, "a", "a.example", KEY_P256, NULL, 30);
    limits = conn_limits_default;
    behaviour = events;
    direct_tls = tls;
    n_opened = n_closed = n_moved = n_drained = 0;
    last_end = -1;
    world_start(world, 2, NULL, on_arrival, NULL, one_domain);
}

static void finish(struct world *world)
{
    world_stop(world);
    world_remove_folder(folder);
    check(atomic_load(&n_opened) == atomic_load(&n_closed));
}

static void wait_closed(int n)
{
    for (int i = 0; i < 2000 && atomic_load(&n_closed) < n; i++)
        usleep(5000);
    check(atomic_load(&n_closed) == n);
}

static void write_all(int fd, const char *at, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);
        must(sent > 0);
        at += sent;
        n -= (size_t)sent;
    }
}

static void read_exactly(int fd, char *at, size_t n)
{
    while (n > 0) {
        ssize_t got = recv(fd, at, n, 0);
        must(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

static SSL_CTX *client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    must(ctx != NULL);
    return ctx;
}

static char pattern(size_t at)
{
    return (char)('a' + (at * 7 + at / 251) % 26);
}

/* One thread writes n bytes of the pattern, this one reads them back. */
struct stream {
    int fd;
    size_t n;
};

static void *write_pattern(void *context)
{
    struct stream *stream = context;
    char chunk[3000];
    for (size_t at = 0; at < stream->n;) {
        size_t n = 1 + (at * 31) % sizeof chunk;
        if (n > stream->n - at)
            n = stream->n - at;
        for (size_t i = 0; i < n; i++)
            chunk[i] = pattern(at + i);
        write_all(stream->fd, chunk, n);
        at += n;
    }
    return NULL;
}

static void check_stream_echo(int fd, size_t n)
{
    struct stream stream = {fd, n};
    pthread_t writer;
    must(pthread_create(&writer, NULL, write_pattern, &stream) == 0);
    char chunk[4096];
    size_t wrong = 0;
    for (size_t at = 0; at < n;) {
        size_t want = n - at < sizeof chunk ? n - at : sizeof chunk;
        read_exactly(fd, chunk, want);
        for (size_t i = 0; i < want; i++)
            wrong += chunk[i] != pattern(at + i);
        at += want;
    }
    pthread_join(writer, NULL);
    check(wrong == 0);
}

// --- echo

static size_t echo_bytes(struct conn *conn, struct str bytes)
{
    conn_write(conn, bytes);
    return bytes.len;
}

static const struct conn_events echo = {.on_bytes = echo_bytes, .on_closed = see_closed};

TEST(bytes_come_back_in_clear_and_an_end_is_an_end)
{
    struct world world;
    begin(&world, &echo, false);
    int fd = world_dial(world.port);
    check_stream_echo(fd, 300000);
    close(fd);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_PEER);
    fd = world_dial(world.port);
    char c;
    write_all(fd, "x", 1);
    read_exactly(fd, &c, 1);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd); // a reset
    wait_closed(2);
    check(atomic_load(&last_end) == CONN_RESET);
    finish(&world);
}

TEST(large_and_small_writes_come_back_through_tls)
{
    struct world world;
    begin(&world, &echo, true);
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    static char sent[50000], got[50000];
    for (size_t n = 1; n < sizeof sent; n = n * 3 + 1) {
        for (size_t i = 0; i < n; i++)
            sent[i] = pattern(i + n);
        size_t written;
        check(SSL_write_ex(ssl, sent, n, &written) == 1);
        world_read_exactly(ssl, got, n);
        check(memcmp(sent, got, n) == 0);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_PEER);
    fd = world_dial(world.port);
    ssl = world_shake(ctx, fd, 0, NULL);
    close(fd); // no close_notify: cut, not ended
    SSL_free(ssl);
    wait_closed(2);
    check(atomic_load(&last_end) == CONN_RESET);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(rubbish_instead_of_a_handshake_ends_the_connection)
{
    struct world world;
    begin(&world, &echo, true);
    int fd = world_dial(world.port);
    write_all(fd, "<stream:stream>", 15);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_TLS_FAILED);
    close(fd);
    finish(&world);
}

// --- STARTTLS

static size_t upgrade_bytes(struct conn *conn, struct str bytes)
{
    if (conn_tls(conn) != NULL) {
        conn_write(conn, bytes);
        return bytes.len;
    }
    size_t at = str_find(bytes, STR("<starttls/>"));
    if (at == bytes.len)
        return 0;
    conn_write(conn, STR("<proceed/>"));
    conn_discard_unread(conn);
    conn_start_tls(conn, worker_tls(conn_worker(conn)), STR("a.example"));
    return at + 11;
}

static const struct conn_events upgrade = {.on_bytes = upgrade_bytes, .on_closed = see_closed};

TEST(what_is_sent_in_clear_behind_starttls_is_never_seen_under_tls)
{
    struct world world;
    begin(&world, &upgrade, false);
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    char got[16];
    write_all(fd, "<start", 6);
    usleep(20000);
    write_all(fd, "tls/>EVIL", 9);
    read_exactly(fd, got, 10);
    check(memcmp(got, "<proceed/>", 10) == 0);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    check(ssl != NULL);
    size_t n;
    check(SSL_write_ex(ssl, "good", 4, &n) == 1);
    world_read_exactly(ssl, got, 4);
    check(memcmp(got, "good", 4) == 0);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

// --- limits

static size_t swallow_bytes(struct conn *conn, struct str bytes)
{
    (void)conn;
    return bytes.len;
}

static const struct conn_events swallow = {.on_bytes = swallow_bytes, .on_closed = see_closed};

TEST(a_peer_that_never_finishes_its_handshake_is_dropped)
{
    struct world world;
    begin(&world, &swallow, true);
    limits.handshake_us = 100000;
    int silent = world_dial(world.port), half = world_dial(world.port);
    write_all(half, "\x16\x03\x01\x02", 4);
    wait_closed(2);
    check(atomic_load(&last_end) == CONN_HANDSHAKE_SLOW);
    close(silent);
    close(half);
    finish(&world);
}

static size_t flood_bytes(struct conn *conn, struct str bytes)
{
    static const char block[1024] = "x";
    while (conn_room(conn) >= sizeof block)
        must(conn_write(conn, str_make(block, sizeof block)));
    if (bytes.at[0] == '+') // one more than there is room for
        check(!conn_write(conn, str_make(block, sizeof block)));
    return bytes.len;
}

static const struct conn_events flood = {.on_bytes = flood_bytes, .on_closed = see_closed};

TEST(a_peer_that_does_not_read_is_dropped_when_it_stalls)
{
    struct world world;
    begin(&world, &flood, true);
    limits.outbox_bytes = 8 << 20; // more than the kernel will take
    limits.write_stall_us = 200000;
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    size_t n;
    check(SSL_write_ex(ssl, "-", 1, &n) == 1);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_STALLED);
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(writing_beyond_the_outbox_ends_the_connection)
{
    struct world world;
    begin(&world, &flood, false);
    limits.outbox_bytes = 64 << 10;
    int fd = world_dial(world.port);
    write_all(fd, "+", 1);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_OUTBOX_FULL);
    close(fd);
    finish(&world);
}

static size_t leave_bytes(struct conn *conn, struct str bytes)
{
    (void)conn;
    (void)bytes;
    return 0;
}

static const struct conn_events leave = {.on_bytes = leave_bytes, .on_closed = see_closed};

TEST(what_the_layer_above_leaves_lying_is_bounded)
{
    struct world world;
    begin(&world, &leave, false);
    limits.unread_bytes = 10000;
    int fd = world_dial(world.port);
    static char block[10001];
    memset(block, 'x', sizeof block);
    write_all(fd, block, 10000);
    usleep(50000);
    check(atomic_load(&n_closed) == 0);
    write_all(fd, block, 1);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_UNREAD_FULL);
    close(fd);
    finish(&world);
}

TEST(reading_keeps_to_its_rate)
{
    struct world world;
    begin(&world, &echo, false);
    limits.bytes_per_s = 100000;
    limits.burst_bytes = 16384;
    int fd = world_dial(world.port);
    int64_t before_us = clock_now_us();
    check_stream_echo(fd, 60000);
    check(clock_now_us() - before_us > 300000); // never early: late does not matter
    close(fd);
    finish(&world);
}

// --- pausing

struct sipper {
    struct timer timer;
    struct conn *conn;
    bool next_pauses;
};

static void sip_again(struct timer *timer)
{
    struct sipper *sipper = CONTAINER_OF(timer, struct sipper, timer);
    conn_resume(sipper->conn);
}

static size_t sip_bytes(struct conn *conn, struct str bytes)
{
    struct sipper *sipper = conn_owner(conn);
    if (sipper == NULL) {
        sipper = calloc(1, sizeof *sipper);
        must(sipper != NULL);
        sipper->conn = conn;
        conn_set_owner(conn, behaviour, sipper);
    }
    must(!conn_is_paused(conn));
    size_t n = bytes.len < 777 ? bytes.len : 777;
    conn_write(conn, str_first(bytes, n));
    conn_pause(conn);
    sipper->next_pauses = !sipper->next_pauses;
    if (sipper->next_pauses)
        conn_resume(conn); // at once: offered again at the end of this turn
    else
        loop_timer_set(worker_loop(conn_worker(conn)), &sipper->timer, 1000, sip_again);
    return n;
}

static void sip_closed(struct conn *conn, enum conn_end end)
{
    struct sipper *sipper = conn_owner(conn);
    if (sipper != NULL) {
        loop_timer_cancel(&sipper->timer);
        free(sipper);
    }
    see_closed(conn, end);
}

static const struct conn_events sip = {.on_bytes = sip_bytes, .on_closed = sip_closed};

TEST(a_reader_that_pauses_gets_every_byte_once_and_in_order)
{
    struct world world;
    begin(&world, &sip, false);
    int fd = world_dial(world.port);
    check_stream_echo(fd, 100000);
    close(fd);
    wait_closed(1);
    finish(&world);
}

// --- closing

static size_t farewell_bytes(struct conn *conn, struct str bytes)
{
    static char block[1000];
    for (size_t at = 0; at < 400000; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = pattern(at + i);
        must(conn_write(conn, str_make(block, sizeof block)));
    }
    must(conn_accepted(conn) == 400000 && conn_written(conn) == 0);
    conn_close(conn);
    must(!conn_write(conn, STR("too late")));
    return bytes.len;
}

static void farewell_closed(struct conn *conn, enum conn_end end)
{
    must(conn_written(conn) == conn_accepted(conn));
    see_closed(conn, end);
}

static const struct conn_events farewell = {
    .on_bytes = farewell_bytes,
    .on_closed = farewell_closed,
};

TEST(everything_written_before_a_close_arrives_and_tls_ends_properly)
{
    struct world world;
    begin(&world, &farewell, true);
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    size_t n, wrong = 0, at = 0;
    check(SSL_write_ex(ssl, "bye", 3, &n) == 1);
    check(SSL_write_ex(ssl, "and more that nobody reads", 26, &n) == 1);
    char chunk[5000];
    while (SSL_read_ex(ssl, chunk, sizeof chunk, &n) == 1) {
        for (size_t i = 0; i < n; i++)
            wrong += chunk[i] != pattern(at + i);
        at += n;
        if (at % 7 == 0)
            usleep(500); // slowly
    }
    check(SSL_get_error(ssl, 0) == SSL_ERROR_ZERO_RETURN);
    check(at == 400000 && wrong == 0);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    wait_closed(1);
    check(atomic_load(&last_end) == CONN_OURS);
    SSL_CTX_free(ctx);
    finish(&world);
}

static const struct conn_events rude_farewell = {
    .on_bytes = farewell_bytes,
    .on_closed = see_closed,
};

TEST(a_closing_connection_does_not_wait_for_ever)
{
    struct world world;
    begin(&world, &rude_farewell, false);
    limits.close_us = 100000;
    int fd = world_dial(world.port);
    write_all(fd, "x", 1);
    wait_closed(1); // though nothing was read
    close(fd);
    check(atomic_load(&last_end) == CONN_OURS);
    finish(&world);
}

static void drained(struct conn *conn)
{
    must(conn_written(conn) == conn_accepted(conn));
    atomic_fetch_add(&n_drained, 1);
    conn_write(conn, STR("!"));
}

static const struct conn_events drain = {
    .on_bytes = flood_bytes,
    .on_drained = drained,
    .on_closed = see_closed,
};

TEST(an_outbox_that_had_to_wait_tells_when_it_is_empty)
{
    struct world world;
    begin(&world, &drain, false);
    limits.outbox_bytes = 16 << 20;
    int fd = world_dial(world.port);
    write_all(fd, "-", 1);
    static char chunk[65536];
    for (size_t got = 0; got < (16 << 20) + 1;) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        must(n > 0);
        got += (size_t)n;
    }
    check(atomic_load(&n_drained) == 1);
    close(fd);
    finish(&world);
}

// --- moving

static size_t wander_bytes(struct conn *conn, struct str bytes)
{
    size_t n = bytes.len < 5000 ? bytes.len : 5000;
    must(worker_is_me(conn_worker(conn)));
    conn_write(conn, str_first(bytes, n));
    size_t here = worker_index(conn_worker(conn));
    conn_move(conn, workers_at(worker_all(conn_worker(conn)), 1 - here));
    return n; // the rest moves along
}

static void wandered(struct conn *conn)
{
    must(worker_is_me(conn_worker(conn)));
    atomic_fetch_add(&n_moved, 1);
}

static const struct conn_events wander = {
    .on_bytes = wander_bytes,
    .on_moved = wandered,
    .on_closed = see_closed,
};

TEST(a_connection_moves_between_workers_under_traffic_and_loses_nothing)
{
    struct world world;
    begin(&world, &wander, false);
    int fd = world_dial(world.port);
    check_stream_echo(fd, 1 << 20);
    check(atomic_load(&n_moved) >= (1 << 20) / 5000);
    close(fd);
    wait_closed(1);
    finish(&world);
}

TEST(tls_moves_along)
{
    struct world world;
    begin(&world, &wander, true);
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    static char sent[12000], got[12000];
    for (size_t round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof sent; i++)
            sent[i] = pattern(i + round);
        size_t n;
        check(SSL_write_ex(ssl, sent, sizeof sent, &n) == 1);
        world_read_exactly(ssl, got, sizeof got);
        check(memcmp(sent, got, sizeof got) == 0);
    }
    check(atomic_load(&n_moved) >= 100);
    SSL_free(ssl);
    close(fd);
    wait_closed(1);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(stopping_the_workers_closes_connections_wherever_they_are)
{
    struct world world;
    begin(&world, &wander, false);
    enum { N = 20 };
    int fds[N];
    char c;
    for (int i = 0; i < N; i++) {
        fds[i] = world_dial(world.port);
        write_all(fds[i], "x", 1);
        read_exactly(fds[i], &c, 1);
    }
    for (int i = 0; i < N; i++)
        write_all(fds[i], "y", 1); // some are on their way while the workers end
    finish(&world);
    for (int i = 0; i < N; i++)
        close(fds[i]);
}

// --- the client's side

static atomic_int client_state;

static size_t client_bytes(struct conn *conn, struct str bytes)
{
    if (str_eq(bytes, STR("ping"))) {
        unsigned char binding[TLS_BINDING_MOST];
        size_t len;
        must(tls_bind(conn_tls(conn), TLS_SERVER_END_POINT, binding, &len) == OK && len == 32);
        must(tls_has_alpn(conn_tls(conn)));
        conn_close(conn);
    }
    return bytes.len;
}

static void client_secured(struct conn *conn)
{
    conn_write(conn, STR("ping"));
}

static void client_closed(struct conn *conn, enum conn_end end)
{
    (void)conn;
    atomic_store(&client_state, 1 + (int)end);
}

static const struct conn_events client = {
    .on_bytes = client_bytes,
    .on_secured = client_secured,
    .on_closed = client_closed,
};

struct call {
    struct mail mail;
    struct worker *worker;
    struct tls_config *config;
    struct addr to;
    const char *name;
};

static void call_now(struct mail *mail)
{
    struct call *call = CONTAINER_OF(mail, struct call, mail);
    struct conn *conn;
    must(conn_connect(call->worker, &call->to, &client, NULL, &conn_limits_default, &conn, NULL) ==
         OK);
    conn_start_tls_client(conn, call->config, str_of(call->name), true);
}

static enum conn_end run_call(struct call *call)
{
    atomic_store(&client_state, 0);
    call->mail.run = call_now;
    worker_post(call->worker, &call->mail);
    for (int i = 0; i < 2000 && atomic_load(&client_state) == 0; i++)
        usleep(5000);
    check(atomic_load(&client_state) != 0);
    return (enum conn_end)(atomic_load(&client_state) - 1);
}

/* A port where nobody listens. */
static uint16_t closed_port(void)
{
    struct sockaddr_storage at;
    struct addr addr;
    socklen_t len = sizeof at;
    must(addr_parse(STR("127.0.0.1"), 0, &addr) == OK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned size = addr_to_sockaddr(&addr, &at);
    must(bind(fd, (struct sockaddr *)&at, size) == 0);
    must(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    must(addr_from_sockaddr((struct sockaddr *)&at, &addr) == OK);
    close(fd);
    return addr.port;
}

TEST(our_own_client_checks_the_name_in_the_certificate)
{
    struct world world;
    begin(&world, &echo, true);
    char ca[128];
    snprintf(ca, sizeof ca, "%s/a.crt", folder);
    struct call call = {.worker = workers_at(world.workers, 0), .name = "a.example"};
    check(addr_parse(STR("127.0.0.1"), world.port, &call.to) == OK);
    check(tls_config_new_client(ca, workers_homes(world.workers), 2, &call.config, NULL) == OK);
    check(run_call(&call) == CONN_OURS);
    call.name = "b.example";
    check(run_call(&call) == CONN_TLS_FAILED);
    tls_config_unref(&call.config);
    check(tls_config_new_client(NULL, workers_homes(world.workers), 2, &call.config, NULL) == OK);
    check(run_call(&call) == CONN_OURS);
    call.to.port = closed_port();
    check(run_call(&call) == CONN_REFUSED);
    tls_config_unref(&call.config);
    finish(&world);
}
