/*
 * What src/net costs by itself: a relay without XMPP, and idle connections.
 *
 *     net_bench relay [pairs] [in flight] [seconds] [workers]
 *     net_bench idle [connections]
 *     net_bench logins [connections]
 *
 * The server is a process of its own, so that its CPU time and memory are its
 * alone.  The client is plain OpenSSL on epoll: each message is one record and
 * one write, as an ordinary client sends it.
 */
#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 300, PAIRS_MOST = 10000 };

// --- the server: what comes from one of a pair goes to the other, message by message

struct end {
    struct conn *conn;
    struct worker *worker;
};

static struct end *ends; // written before traffic begins, by the worker that owns the connection

struct parcel {
    struct mail mail;
    uint32_t to;
    char text[MESSAGE];
};

static void deliver(struct mail *mail)
{
    struct parcel *parcel = CONTAINER_OF(mail, struct parcel, mail);
    if (ends[parcel->to].conn != NULL)
        conn_write(ends[parcel->to].conn, str_make(parcel->text, MESSAGE));
    free(parcel);
}

/* A message is a decimal number of the receiver, filled up with anything. */
static size_t on_bytes(struct conn *conn, struct str bytes);
static void on_closed(struct conn *conn, enum conn_end why);
static const struct conn_events events = {.on_bytes = on_bytes, .on_closed = on_closed};

static size_t on_bytes(struct conn *conn, struct str bytes)
{
    size_t at = 0;
    for (; bytes.len - at >= MESSAGE; at += MESSAGE) {
        const char *message = bytes.at + at;
        if (message[0] == 'h') { // hello: says who this is
            uint32_t me = (uint32_t)strtoul(message + 1, NULL, 10);
            ends[me] = (struct end){conn, conn_worker(conn)};
            conn_set_owner(conn, &events, &ends[me]);
            conn_write(conn, str_make(message, MESSAGE));
            continue;
        }
        uint32_t to = (uint32_t)strtoul(message, NULL, 10);
        if (worker_is_me(ends[to].worker)) {
            conn_write(ends[to].conn, str_make(message, MESSAGE));
            continue;
        }
        struct parcel *parcel = malloc(sizeof *parcel);
        parcel->mail.run = deliver;
        parcel->to = to;
        memcpy(parcel->text, message, MESSAGE);
        worker_post(ends[to].worker, &parcel->mail);
    }
    return at;
}

static void on_closed(struct conn *conn, enum conn_end why)
{
    (void)why;
    struct end *e = conn_owner(conn);
    if (e != NULL)
        e->conn = NULL;
}

static void on_arrival(struct worker *worker, struct arrival *arrival, void *context)
{
    struct conn *conn = conn_accept(arrival, &events, NULL, &conn_limits_default);
    conn_start_tls(conn, worker_tls(worker), STR_EMPTY);
    (void)context;
}

static struct loop *server_loop;

static void on_signal(void *context, int signal)
{
    (void)context;
    if (signal == SIGTERM) {
        loop_stop(server_loop);
        return;
    }
    malloc_trim(0);
}

static void serve(const char *folder, size_t n_workers, int tell)
{
    struct why why;
    struct workers *workers;
    struct tls_config *config;
    struct door *door;
    char chain[128], key[128];
    process_tune_malloc((unsigned)n_workers);
    process_raise_descriptors(65536);
    must(loop_new("main", &server_loop, &why) == OK);
    int signals[] = {SIGTERM, SIGUSR1};
    must(loop_signals(server_loop, signals, 2, on_signal, NULL, &why) == OK);
    must(workers_new(&(struct workers_config){.n = n_workers}, &workers, &why) == OK);
    snprintf(chain, sizeof chain, "%s/bench.crt", folder);
    snprintf(key, sizeof key, "%s/bench.key", folder);
    struct tls_identity identity = {NULL, 0, chain, key};
    must(tls_config_new_server(&identity, 1, NULL, workers_homes(workers), n_workers, &config,
                               &why) == OK);
    workers_set_tls(workers, config);
    tls_config_unref(&config);
    must(workers_start(workers, &why) == OK);
    struct listener_limits none = {0};
    struct listener *listener = listener_new(server_loop, workers, &none, on_arrival, NULL);
    must(listener_open(listener, STR("127.0.0.1"), 0, 0, &door, &why) == OK);
    uint16_t port = door_port(door);
    must(write(tell, &port, sizeof port) == sizeof port);
    loop_run(server_loop);
    workers_stop(workers);
    for (size_t i = 0; i < n_workers; i++) {
        struct worker_stats s;
        worker_stats(workers_at(workers, i), &s);
        fprintf(stderr,
                "worker %zu: %lu turns, %lu reads, %lu writes, %lu records, longest turn %ld us\n",
                i, (unsigned long)s.loop.n_turns, (unsigned long)s.n_reads,
                (unsigned long)s.n_writes, (unsigned long)s.n_records_written,
                (long)s.loop.longest_turn_us);
    }
    listener_free(&listener);
    loop_free(&server_loop);
    workers_free(&workers);
}

// --- the client

struct client {
    int fd;
    SSL *ssl;
    uint32_t to;
    size_t got; // bytes of a message in pieces
};

static struct client *clients;
static SSL_CTX *ctx;

static void make_certificate(const char *folder)
{
    char path[128];
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, pkey);
    X509_sign(x, pkey, EVP_sha256());
    snprintf(path, sizeof path, "%s/bench.crt", folder);
    FILE *out = fopen(path, "w");
    PEM_write_X509(out, x);
    fclose(out);
    snprintf(path, sizeof path, "%s/bench.key", folder);
    out = fopen(path, "w");
    PEM_write_PrivateKey(out, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(pkey);
}

static void connect_one(struct client *c, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    must(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0);
    c->ssl = SSL_new(ctx);
    SSL_set_fd(c->ssl, c->fd);
    must(SSL_connect(c->ssl) == 1);
}

static void say(struct client *c, const char *format, uint32_t number)
{
    char message[MESSAGE];
    memset(message, 'x', sizeof message);
    int len = snprintf(message, 16, format, (unsigned)number);
    message[len] = ' ';
    size_t n;
    must(SSL_write_ex(c->ssl, message, MESSAGE, &n) == 1);
}

static double cpu_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    must(clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double rss_kib(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *in = fopen(path, "r");
    char line[256];
    must(in != NULL && fgets(line, sizeof line, in) != NULL);
    struct str rest = str_of(line);
    uint64_t pages = 0;
    str_cut(&rest, ' ');
    must(str_to_u64(str_cut(&rest, ' '), 0, UINT64_MAX, &pages) == OK);
    fclose(in);
    return (double)pages * 4;
}

static void relay(pid_t server, uint16_t port, size_t pairs, int in_flight, int seconds)
{
    int epoll = epoll_create1(0);
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        struct client *c = &clients[i];
        char back[MESSAGE];
        connect_one(c, port);
        c->to = i < pairs ? i + (uint32_t)pairs : i - (uint32_t)pairs;
        say(c, "h%u", i);
        for (size_t got = 0, n; got < MESSAGE; got += n)
            must(SSL_read_ex(c->ssl, back, MESSAGE - got, &n) == 1);
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
    }
    for (size_t i = 0; i < pairs; i++)
        for (int k = 0; k < in_flight; k++)
            say(&clients[i], "%u", clients[i].to);
    double cpu = cpu_of(server);
    int64_t begun_us = clock_now_us(), end_us = begun_us + seconds * SECOND_US;
    uint64_t n_messages = 0;
    char text[16384];
    while (clock_now_us() < end_us) {
        struct epoll_event ready[512];
        int n_ready = epoll_wait(epoll, ready, 512, 1000);
        for (int i = 0; i < n_ready; i++) {
            struct client *c = &clients[ready[i].data.u32];
            size_t n;
            while (SSL_read_ex(c->ssl, text, sizeof text, &n) == 1) {
                c->got += n;
                for (; c->got >= MESSAGE; c->got -= MESSAGE) {
                    n_messages++;
                    say(&clients[c->to], "%u", ready[i].data.u32); // the sender has one less
                }
            }
        }
    }
    cpu = cpu_of(server) - cpu;
    double passed = (double)(clock_now_us() - begun_us) / 1e6;
    printf("relay: %zu pairs, %d in flight: %.0f messages/s, server CPU %.2f us a message\n", pairs,
           in_flight, (double)n_messages / passed, cpu * 1e6 / (double)n_messages);
}

static void idle(pid_t server, uint16_t port, size_t n, bool print_memory)
{
    double before = 0, cpu = 0;
    enum { WARM = 100 };
    for (size_t i = 0; i < n + WARM; i++) {
        if (i == WARM) {
            usleep(200000);
            before = rss_kib(server);
            cpu = cpu_of(server);
        }
        char back[MESSAGE];
        connect_one(&clients[i], port);
        say(&clients[i], "h%u", (uint32_t)i);
        for (size_t got = 0, k; got < MESSAGE; got += k)
            must(SSL_read_ex(clients[i].ssl, back, MESSAGE - got, &k) == 1);
    }
    usleep(200000);
    cpu = cpu_of(server) - cpu;
    if (print_memory)
        printf("idle: %zu connections: %.2f KiB each (RSS)\n", n,
               (rss_kib(server) - before) / (double)n);
    printf("handshakes: %.3f ms server CPU each\n", cpu * 1e3 / (double)n);
    kill(server, SIGUSR1);
    usleep(300000);
    if (print_memory)
        printf("idle: after malloc_trim %.2f KiB each\n", (rss_kib(server) - before) / (double)n);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "relay";
    random_start();
    process_ignore_sigpipe();
    process_raise_descriptors(65536);
    char folder[] = "/tmp/firedoor-bench-XXXXXX";
    must(mkdtemp(folder) != NULL);
    make_certificate(folder);
    bool is_relay = strcmp(mode, "relay") == 0;
    size_t pairs = is_relay && argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 200;
    int in_flight = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 10;
    int seconds = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 5;
    size_t n_workers = argc > 5 ? (size_t)strtoul(argv[5], NULL, 10) : 1;
    size_t n_idle = !is_relay && argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 5000;
    must(pairs <= PAIRS_MOST && n_idle <= 2 * PAIRS_MOST - 200);
    ends = calloc(2 * PAIRS_MOST, sizeof *ends);
    clients = calloc(2 * PAIRS_MOST, sizeof *clients);

    int ports[2];
    must(pipe(ports) == 0);
    pid_t server = fork();
    must(server >= 0);
    if (server == 0) {
        serve(folder, n_workers, ports[1]);
        return 0;
    }
    uint16_t port;
    must(read(ports[0], &port, sizeof port) == sizeof port);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (is_relay)
        relay(server, port, pairs, in_flight, seconds);
    else
        idle(server, port, n_idle, strcmp(mode, "idle") == 0);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    char path[160];
    snprintf(path, sizeof path, "%s/bench.crt", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/bench.key", folder);
    unlink(path);
    rmdir(folder);
    return 0;
}
