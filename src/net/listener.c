#include "net/listener.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/table.h"
#include "net/worker_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ADDRESSES_MOST = 1 << 20, // remembered at once
    ACCEPTS_A_TURN = 64,
    BACKLOG_DEFAULT = 1024,
    SEND_BUFFER = 128 << 10, // the kernel doubles it; bounds what a slow reader costs there
    KEEPALIVE_IDLE_S = 300,
    KEEPALIVE_EACH_S = 30,
    KEEPALIVE_PROBES = 4,
    COMPLAIN_EACH_S = 10,
    COMPLAIN_OF_ONE_EACH_S = 60,
    COMPLAINTS_AT_ONCE = 20,
    FAREWELL_MOST = 4096,
    SWEEP_EACH_S = 30,
};

/* So many a second in the long run, and so many at once. */
struct bucket {
    int64_t at_us, micro; // millionths of an accept
};

struct address {
    struct link idle; // in listener->idle while it has no connections
    struct bucket bucket;
    int64_t complained_us; // loop time of the last line about it; 0: none
    size_t n_conns;
    size_t key_len;
    char key[ADDR_BLOCK_SIZE];
};

struct door {
    struct listener *listener;
    struct link link;
    struct watch *watch;
    int fd, kind;
    uint16_t port;
    farewell_fn *farewell; // may be NULL
};

struct listener {
    struct loop *loop;
    struct workers *workers;
    struct listener_limits limits;
    arrival_fn *on_arrival;
    void *context;
    struct list doors;
    struct table addresses; // block → struct address
    struct list idle;       // addresses without connections, longest idle first
    struct bucket bucket;
    struct timer rest; // until the rate allows more
    bool resting;
    struct timer sweep;
    int reserve; // a descriptor given up to be able to refuse
    int64_t complained_us, complained_full_us;
    struct bucket complaints; // of all addresses
    // written by the loop's thread, read by any
    atomic_size_t n_conns, n_addresses;
    atomic_uint_fast64_t n_accepted, n_refused[N_LISTENER_REFUSALS], n_out_of_descriptors;
};

/* How long it takes until all that may come at once may come again. */
static int64_t refill_us(uint32_t per_s, uint32_t at_once)
{
    return at_once > per_s && per_s > 0 ? (int64_t)at_once * SECOND_US / per_s : SECOND_US;
}

/* Takes one, if the rate allows. */
static bool bucket_take(struct bucket *bucket, uint32_t per_s, uint32_t at_once, int64_t now_us)
{
    if (per_s == 0)
        return true;
    int64_t most = (int64_t)(at_once > 0 ? at_once : per_s) * SECOND_US;
    int64_t passed_us = now_us - bucket->at_us;
    if (passed_us >= refill_us(per_s, at_once) || bucket->at_us == 0)
        bucket->micro = most;
    else
        bucket->micro += passed_us * (int64_t)per_s;
    if (bucket->micro > most)
        bucket->micro = most;
    bucket->at_us = now_us;
    if (bucket->micro < SECOND_US)
        return false;
    bucket->micro -= SECOND_US;
    return true;
}

static void forget_address(struct listener *listener, struct address *address)
{
    list_leave(&address->idle);
    must(table_remove(&listener->addresses, str_make(address->key, address->key_len)) == address);
    free(address);
    COUNT(listener->n_addresses, (size_t)-1);
}

/* An address without connections is remembered for as long as its rate matters. */
static void sweep(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, sweep);
    int64_t now_us = loop_now_us(listener->loop);
    int64_t matters_us = refill_us(listener->limits.accepts_per_s_per_address,
                                   listener->limits.accepts_at_once_per_address);
    LIST_EACH(&listener->idle, struct address, idle, address)
    {
        if (now_us - address->bucket.at_us < matters_us)
            break;
        forget_address(listener, address);
    }
    loop_timer_set(listener->loop, &listener->sweep, SWEEP_EACH_S * SECOND_US, sweep);
}

static struct address *find_address(struct listener *listener, const struct addr *peer)
{
    char key[ADDR_BLOCK_SIZE];
    struct str block = addr_block(peer, key);
    struct address *address = table_get(&listener->addresses, block);
    if (address != NULL)
        return address;
    if (listener->addresses.n >= ADDRESSES_MOST) {
        struct address *oldest = LIST_FIRST(&listener->idle, struct address, idle);
        if (oldest == NULL)
            return NULL;
        forget_address(listener, oldest);
    }
    address = calloc(1, sizeof *address);
    must(address != NULL);
    memcpy(address->key, block.at, block.len);
    address->key_len = block.len;
    must(table_put(&listener->addresses, str_make(address->key, block.len), address) == OK);
    list_add_last(&listener->idle, &address->idle);
    COUNT(listener->n_addresses, 1);
    return address;
}

struct listener *listener_new(struct loop *loop, struct workers *workers,
                              const struct listener_limits *limits, arrival_fn *on_arrival,
                              void *context)
{
    struct listener *listener = calloc(1, sizeof *listener);
    must(listener != NULL);
    listener->loop = loop;
    listener->workers = workers;
    listener->limits = *limits;
    listener->on_arrival = on_arrival;
    listener->context = context;
    list_init(&listener->doors);
    list_init(&listener->idle);
    table_init(&listener->addresses, ADDRESSES_MOST);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop_timer_set(loop, &listener->sweep, SWEEP_EACH_S * SECOND_US, sweep);
    return listener;
}

void listener_free(struct listener **p)
{
    struct listener *listener = TAKE(*p);
    if (listener == NULL)
        return;
    LIST_EACH(&listener->doors, struct door, link, door)
    {
        struct door *gone = door;
        door_close(&gone);
    }
    while (mailbox_drain(loop_mailbox(listener->loop)) > 0) // the last connections' farewells
        continue;
    must(COUNTED(listener->n_conns) == 0);
    LIST_EACH(&listener->idle, struct address, idle, address)
    {
        forget_address(listener, address);
    }
    table_done(&listener->addresses);
    loop_timer_cancel(&listener->rest);
    loop_timer_cancel(&listener->sweep);
    if (listener->reserve >= 0)
        close(listener->reserve);
    free(listener);
}

void listener_set_limits(struct listener *listener, const struct listener_limits *limits)
{
    listener->limits = *limits;
}

// --- arrivals

static void on_left(struct mail *mail)
{
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct listener *listener = arrival->listener;
    struct address *address = find_address(listener, &arrival->peer);
    must(address != NULL && address->n_conns > 0);
    if (--address->n_conns == 0)
        list_add_last(&listener->idle, &address->idle);
    COUNT(listener->n_conns, (size_t)-1);
    free(arrival);
}

void arrival_refuse(struct arrival *arrival)
{
    close(arrival->fd);
    atomic_fetch_sub(&arrival->worker->n_conns, 1);
    arrival->mail.run = on_left;
    loop_post(arrival->listener->loop, &arrival->mail);
}

static void hand_over(struct mail *mail)
{
    struct arrival *arrival = CONTAINER_OF(mail, struct arrival, mail);
    struct listener *listener = arrival->listener; // these two fields never change: no race
    listener->on_arrival(arrival->worker, arrival, listener->context);
}

static struct worker *least_busy(const struct listener *listener)
{
    struct worker *best = workers_at(listener->workers, 0);
    size_t least = COUNTED(best->n_conns);
    for (size_t i = 1; i < workers_count(listener->workers); i++) {
        struct worker *w = workers_at(listener->workers, i);
        size_t n = COUNTED(w->n_conns);
        if (n < least) {
            best = w;
            least = n;
        }
    }
    return best;
}

/* One line a minute about an address, or about all; and of many addresses no more than one a
 * second in the long run, for the refused may come from a whole network. */
static void complain(struct listener *listener, const struct door *door, const struct addr *peer,
                     struct address *address, enum listener_refusal refusal)
{
    static const char *const keys[] = {
        [REFUSED_FULL] = "connections",
        [REFUSED_ADDRESS] = "connections_per_address",
        [REFUSED_RATE] = "accepts_per_second",
    };
    const char *section = listener->limits.section != NULL ? listener->limits.section : "limits";
    int64_t now_us = loop_now_us(listener->loop);
    int64_t *complained_us = refusal == REFUSED_FULL || address == NULL
                                 ? &listener->complained_full_us
                                 : &address->complained_us;
    if (*complained_us != 0 && now_us - *complained_us < COMPLAIN_OF_ONE_EACH_S * SECOND_US)
        return;
    if (!bucket_take(&listener->complaints, 1, COMPLAINTS_AT_ONCE, now_us))
        return;
    *complained_us = now_us;
    char text[ADDR_TEXT_SIZE];
    log_event(LOG_NOTICE, "connection-refused", "address=%.*s port=%u key=%s.%s refused=%llu",
              STR_ARGS(addr_text(peer, text)), door->port, section, keys[refusal],
              (unsigned long long)COUNTED(listener->n_refused[refusal]));
}

/* What does not fit into the socket's buffer at once stays unsaid. */
static void say_farewell(const struct door *door, int fd, enum listener_refusal refusal)
{
    struct buf words;
    if (door->farewell == NULL)
        return;
    buf_init(&words, FAREWELL_MOST);
    door->farewell(&words, refusal);
    if (send(fd, words.at, words.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)words.len)
        shutdown(fd, SHUT_WR);
    buf_done(&words);
}

static void refuse(struct door *door, int fd, const struct addr *peer, struct address *address,
                   enum listener_refusal refusal)
{
    COUNT(door->listener->n_refused[refusal], 1);
    complain(door->listener, door, peer, address, refusal);
    say_farewell(door, fd, refusal);
    close(fd);
}

static void admit(struct door *door, int fd, const struct addr *peer)
{
    struct listener *listener = door->listener;
    const struct listener_limits *limits = &listener->limits;
    if (limits->conns != 0 && COUNTED(listener->n_conns) >= limits->conns) {
        refuse(door, fd, peer, NULL, REFUSED_FULL);
        return;
    }
    struct address *address = find_address(listener, peer);
    if (address == NULL ||
        (limits->conns_per_address != 0 && address->n_conns >= limits->conns_per_address)) {
        refuse(door, fd, peer, address, REFUSED_ADDRESS);
        return;
    }
    if (!bucket_take(&address->bucket, limits->accepts_per_s_per_address,
                     limits->accepts_at_once_per_address, loop_now_us(listener->loop))) {
        refuse(door, fd, peer, address, REFUSED_RATE);
        return;
    }
    address->n_conns++;
    list_leave(&address->idle);
    COUNT(listener->n_conns, 1);
    COUNT(listener->n_accepted, 1);
    struct arrival *arrival = malloc(sizeof *arrival);
    must(arrival != NULL);
    *arrival = (struct arrival){
        .mail.run = hand_over,
        .listener = listener,
        .worker = least_busy(listener),
        .fd = fd,
        .kind = door->kind,
        .door_port = door->port,
        .peer = *peer,
    };
    atomic_fetch_add(&arrival->worker->n_conns, 1);
    worker_post(arrival->worker, &arrival->mail);
}

static void watch_doors(struct listener *listener, int events)
{
    LIST_EACH(&listener->doors, struct door, link, door)
    {
        watch_change(door->watch, events);
    }
}

static void end_rest(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, rest);
    listener->resting = false;
    watch_doors(listener, WATCH_READ);
}

static void rest(struct listener *listener, int64_t for_us)
{
    listener->resting = true;
    watch_doors(listener, 0);
    loop_timer_set(listener->loop, &listener->rest, for_us, end_rest);
}

/* No descriptor for the next in the queue: the reserve serves to take it out and refuse it, so
 * that the kernel does not call us again and again for it. */
static bool refuse_one(struct door *door)
{
    struct listener *listener = door->listener;
    int64_t now_us = loop_now_us(listener->loop);
    COUNT(listener->n_out_of_descriptors, 1);
    if (listener->complained_us == 0 ||
        now_us - listener->complained_us > COMPLAIN_EACH_S * SECOND_US) {
        listener->complained_us = now_us;
        log_event(LOG_ERROR, "out-of-descriptors", "connections=%zu", COUNTED(listener->n_conns));
    }
    if (listener->reserve < 0)
        return false;
    close(listener->reserve);
    int fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void on_ready(void *context, int events)
{
    (void)events;
    struct door *door = context;
    struct listener *listener = door->listener;
    for (int i = 0; i < ACCEPTS_A_TURN && !listener->resting; i++) {
        if (listener->limits.accepts_per_s != 0) {
            struct bucket before = listener->bucket;
            if (!bucket_take(&before, listener->limits.accepts_per_s, 0,
                             loop_now_us(listener->loop))) {
                rest(listener, SECOND_US / listener->limits.accepts_per_s + 1);
                return;
            }
        }
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(door->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if ((errno == EMFILE || errno == ENFILE) && refuse_one(door))
                continue;
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                rest(listener, SECOND_US / 10);
                return;
            }
            continue; // that one is gone already (ECONNABORTED and its kin)
        }
        bucket_take(&listener->bucket, listener->limits.accepts_per_s, 0,
                    loop_now_us(listener->loop));
        struct addr peer;
        if (addr_from_sockaddr((struct sockaddr *)&from, &peer) != OK) {
            close(fd);
            continue;
        }
        admit(door, fd, &peer);
    }
}

// --- doors

/* What accepted sockets inherit: nothing to be set for each of them. */
static void tune(int fd)
{
    int one = 1, size = SEND_BUFFER, idle = KEEPALIVE_IDLE_S, each = KEEPALIVE_EACH_S,
        probes = KEEPALIVE_PROBES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &each, sizeof each);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

enum err listener_adopt(struct listener *listener, int fd, int kind, struct door **out,
                        struct why *why)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    struct sockaddr_storage at;
    socklen_t at_len = sizeof at;
    struct addr address;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening ||
        getsockname(fd, (struct sockaddr *)&at, &at_len) != 0 ||
        addr_from_sockaddr((struct sockaddr *)&at, &address) != OK)
        return why_say(why, ERR_MALFORMED, "descriptor %d is no listening TCP socket", fd);
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return why_say(why, ERR_IO, "cannot prepare descriptor %d: %m", fd);
    tune(fd);
    struct door *door = calloc(1, sizeof *door);
    must(door != NULL);
    door->listener = listener;
    door->fd = fd;
    door->kind = kind;
    door->port = address.port;
    if (loop_watch(listener->loop, fd, listener->resting ? 0 : WATCH_READ, on_ready, door,
                   &door->watch) != OK) {
        free(door);
        return why_say(why, ERR_IO, "cannot watch descriptor %d", fd);
    }
    list_add_last(&listener->doors, &door->link);
    if (out != NULL)
        *out = door;
    return OK;
}

enum err listener_open(struct listener *listener, struct str address, uint16_t port, int kind,
                       struct door **out, struct why *why)
{
    struct addr at;
    char text[ADDR_TEXT_SIZE];
    if (addr_parse(address, port, &at) != OK)
        return why_say(why, ERR_MALFORMED, "'%.*s' is no numeric IPv4 or IPv6 address",
                       STR_ARGS(address));
    struct sockaddr_storage to;
    unsigned len = addr_to_sockaddr(&at, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return why_say(why, ERR_IO, "cannot make a socket for %.*s: %m",
                       STR_ARGS(addr_text(&at, text)));
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at.v6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    int backlog = listener->limits.backlog != 0 ? (int)listener->limits.backlog : BACKLOG_DEFAULT;
    if (bind(fd, (struct sockaddr *)&to, len) != 0 || listen(fd, backlog) != 0) {
        enum err e = errno == EACCES ? ERR_DENIED : errno == EADDRINUSE ? ERR_BUSY : ERR_IO;
        why_say(why, e, "cannot listen at %.*s: %m", STR_ARGS(addr_text(&at, text)));
        close(fd);
        return e;
    }
    enum err e = listener_adopt(listener, fd, kind, out, why);
    if (e != OK)
        close(fd);
    return e;
}

uint16_t door_port(const struct door *door)
{
    return door->port;
}

void door_set_farewell(struct door *door, farewell_fn *farewell)
{
    door->farewell = farewell;
}

void door_close(struct door **p)
{
    struct door *door = TAKE(*p);
    if (door == NULL)
        return;
    list_leave(&door->link);
    watch_free(&door->watch);
    close(door->fd);
    free(door);
}

size_t listener_inherited(struct inherited *out, size_t n)
{
    // NOLINTBEGIN(concurrency-mt-unsafe): there is one thread yet
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    uint64_t number, n_fds;
    if (pid == NULL || count == NULL || str_to_u64(str_of(pid), 1, INT32_MAX, &number) != OK ||
        (pid_t)number != getpid() || str_to_u64(str_of(count), 0, 1024, &n_fds) != OK)
        return 0;
    struct str names = str_of(getenv("LISTEN_FDNAMES"));
    // NOLINTEND(concurrency-mt-unsafe)
    size_t i = 0;
    for (; i < n && i < n_fds; i++) {
        int fd = 3 + (int)i; // SD_LISTEN_FDS_START
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        out[i].fd = fd;
        out[i].name = names.at != NULL ? str_cut(&names, ':') : STR_EMPTY;
    }
    return i;
}

void listener_stats(const struct listener *listener, struct listener_stats *out)
{
    *out = (struct listener_stats){
        .n_conns = COUNTED(listener->n_conns),
        .n_addresses = COUNTED(listener->n_addresses),
        .n_accepted = COUNTED(listener->n_accepted),
        .n_out_of_descriptors = COUNTED(listener->n_out_of_descriptors),
    };
    for (size_t i = 0; i < N_LISTENER_REFUSALS; i++)
        out->n_refused[i] = COUNTED(listener->n_refused[i]);
}
