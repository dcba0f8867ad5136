#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "net_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int n_here[8];

static size_t on_bytes(struct conn *conn, struct str bytes)
{
    char here = (char)('0' + worker_index(conn_worker(conn)));
    for (size_t i = 0; i < bytes.len; i++)
        conn_write(conn, str_make(&here, 1));
    return bytes.len;
}

static void on_closed(struct conn *conn, enum conn_end end)
{
    (void)conn;
    (void)end;
}

static const struct conn_events tell_worker = {.on_bytes = on_bytes, .on_closed = on_closed};

static void on_arrival(struct worker *worker, struct arrival *arrival, void *context)
{
    (void)context;
    must(worker_is_me(worker) && arrival->kind == 1);
    conn_accept(arrival, &tell_worker, NULL, &conn_limits_default);
}

/* '0', '1'… : the worker that answered; 0: refused. */
static char ask(int fd)
{
    char c;
    if (send(fd, "?", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
        return 0;
    return c;
}

static bool is_admitted(uint16_t port, int *fd)
{
    *fd = world_dial(port);
    return ask(*fd) != 0;
}

static bool is_admitted_soon(uint16_t port, int *fd)
{
    for (int i = 0; i < 1000; i++) {
        if (is_admitted(port, fd))
            return true;
        close(*fd);
        usleep(5000);
    }
    return false;
}

TEST(connections_are_spread_over_the_workers)
{
    struct world world;
    world_start(&world, 2, NULL, on_arrival, NULL, NULL);
    enum { N = 10 };
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = world_dial(world.port);
        atomic_fetch_add(&n_here[ask(fds[i]) - '0'], 1);
    }
    check(n_here[0] == N / 2 && n_here[1] == N / 2);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    world_stop(&world);
}

TEST(one_address_holds_no_more_than_its_share_and_gets_it_back)
{
    struct world world;
    struct listener_limits limits = {.conns_per_address = 3};
    world_start(&world, 2, &limits, on_arrival, NULL, NULL);
    int fds[3], extra;
    for (int i = 0; i < 3; i++)
        check(is_admitted(world.port, &fds[i]));
    check(!is_admitted(world.port, &extra));
    close(extra);
    close(fds[1]);
    check(is_admitted_soon(world.port, &fds[1])); // its place is free when the worker has told
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    world_stop(&world);
}

TEST(too_many_in_all_and_too_fast_from_one_are_refused)
{
    struct world world;
    struct listener_limits limits = {.conns = 2};
    int fds[4];
    world_start(&world, 1, &limits, on_arrival, NULL, NULL);
    check(is_admitted(world.port, &fds[0]));
    check(is_admitted(world.port, &fds[1]));
    check(!is_admitted(world.port, &fds[2]));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    world_stop(&world);

    limits = (struct listener_limits){.accepts_per_s_per_address = 1};
    world_start(&world, 1, &limits, on_arrival, NULL, NULL);
    check(is_admitted(world.port, &fds[0]));
    bool refused = false;
    for (int i = 0; i < 50 && !refused; i++) { // within a second at most one more
        refused = !is_admitted(world.port, &fds[1]);
        close(fds[1]);
    }
    check(refused);
    close(fds[0]);
    world_stop(&world);
}

TEST(the_rate_of_all_makes_them_wait_and_refuses_none)
{
    struct world world;
    struct listener_limits limits = {.accepts_per_s = 20};
    world_start(&world, 2, &limits, on_arrival, NULL, NULL);
    int64_t before_us = clock_now_us();
    for (int i = 0; i < 30; i++) {
        int fd;
        check(is_admitted(world.port, &fd));
        close(fd);
    }
    check(clock_now_us() - before_us > 400000);
    world_stop(&world);
}

TEST(without_descriptors_newcomers_are_refused_and_service_returns)
{
    struct world world;
    world_start(&world, 1, NULL, on_arrival, NULL, NULL);
    int first, during, after;
    check(is_admitted(world.port, &first));
    struct rlimit before, tight;
    check(getrlimit(RLIMIT_NOFILE, &before) == 0);
    during = socket(AF_INET, SOCK_STREAM, 0);
    int highest = dup(during);
    close(highest);
    tight = before;
    tight.rlim_cur = (rlim_t)highest;
    for (int fd = 0; fd < highest; fd++) // no holes below
        if (fcntl(fd, F_GETFD) < 0)
            must(dup(during) >= 0 || errno == EMFILE);
    check(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(world.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 10};
    setsockopt(during, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    check(connect(during, (struct sockaddr *)&to, sizeof to) == 0);
    check(ask(during) == 0); // refused, not left hanging
    check(ask(first) != 0);  // those inside are well
    check(setrlimit(RLIMIT_NOFILE, &before) == 0);
    // who comes as the limit is lifted may still be taken for one too many
    check(is_admitted_soon(world.port, &after));
    close(first);
    close(during);
    close(after);
    world_stop(&world);
}

TEST(ipv6_has_its_own_door_and_an_inherited_socket_serves)
{
    struct loop *loop;
    struct workers *workers;
    struct why why = {{0}};
    check(loop_new("test", &loop, &why) == OK);
    check(workers_new(&(struct workers_config){.n = 1}, &workers, &why) == OK);
    check(workers_start(workers, &why) == OK);
    struct listener_limits limits = {0};
    struct listener *listener = listener_new(loop, workers, &limits, on_arrival, NULL);
    struct door *six = NULL, *four = NULL, *inherited = NULL, *none = NULL;
    check(listener_open(listener, STR("::1"), 0, 1, &six, &why) == OK);
    check(listener_open(listener, STR("127.0.0.1"), door_port(six), 1, &four, &why) == OK);
    check(listener_open(listener, STR("127.0.0.1"), door_port(six), 1, &none, &why) == ERR_BUSY);
    check(strstr(why.text, "127.0.0.1") != NULL);
    check(listener_open(listener, STR("example.org"), 1, 1, &none, &why) == ERR_MALFORMED);

    int fd = socket(AF_INET, SOCK_STREAM, 0), not_listening = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 5) == 0);
    check(listener_adopt(listener, fd, 1, &inherited, &why) == OK);
    check(listener_adopt(listener, not_listening, 1, &none, &why) == ERR_MALFORMED);
    close(not_listening);

    int to_six = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 six_at = {.sin6_family = AF_INET6,
                                  .sin6_port = htons(door_port(six)),
                                  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    connect(to_six, (struct sockaddr *)&six_at, sizeof six_at);
    int to_inherited = world_dial(door_port(inherited));
    struct listener_stats stats;
    do {
        loop_turn(loop, 10000);
        listener_stats(listener, &stats);
    } while (stats.n_accepted < 2);
    check(ask(to_inherited) == '0');
    check(stats.n_conns == 2 && stats.n_addresses == 2);
    close(to_six);
    close(to_inherited);
    workers_stop(workers);
    listener_free(&listener);
    loop_free(&loop);
    workers_free(&workers);
}

TEST(descriptors_of_the_service_manager_are_found_by_name)
{
    struct inherited got[4];
    char pid[16];
    unsetenv("LISTEN_PID");
    check(listener_inherited(got, 4) == 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "c2s:c2s-tls", 1);
    check(listener_inherited(got, 4) == 2);
    check(got[1].fd == 4);
    check_str(got[0].name, STR("c2s"));
    check_str(got[1].name, STR("c2s-tls"));
    setenv("LISTEN_PID", "1", 1); // meant for another process
    check(listener_inherited(got, 4) == 0);
}
