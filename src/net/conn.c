#include "net/conn.h"

#include "base/clock.h"
#include "base/must.h"
#include "net/byte_queue_internal.h"
#include "net/listener.h"
#include "net/worker_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What leaves and what is read, in the order of a turn:
 *
 *   socket ready -> recv into the worker's raw buffer -> TLS -> the worker's
 *   plain buffer -> on_bytes; what that leaves goes to c->unread
 *   conn_write -> c->out
 *   end of turn: c->out -> TLS records in the worker's seal buffer -> send;
 *   what the kernel does not take goes to c->sealed, and nothing more is sealed
 *   until that is gone
 *
 * Invariants: c->sealed is only filled under TLS; c->out_clear bytes at the
 * front of c->out leave in clear before TLS begins, and until then nothing is
 * read; an ended connection has its chore on the list, which finishes it.
 */

enum { MAGIC_CONN = 0x436f6e6e };

enum stage {
    CONNECTING,
    CLEAR,
    SHAKING, // hands in TLS
    SECURE,
    LINGERING, // everything said, waiting for the peer's FIN
    ENDED,
};

struct conn {
    uint32_t magic;
    enum stage stage : 8;
    enum conn_end end : 8;
    bool has_poll : 1;
    bool delivering : 1; // inside on_bytes
    bool discard : 1;    // its rest is not wanted
    bool paused : 1, throttled : 1, resuming : 1;
    bool dirty : 1;   // its chore will flush
    bool blocked : 1; // the kernel takes no more for now
    bool waited : 1;  // and did not at some time since the outbox was last empty
    bool closing : 1, said_goodbye : 1;
    bool secured : 1;
    bool eof : 1;  // the peer ended; eof_end says how
    bool half : 1; // … and is still told what it had asked for
    bool tls_wanted : 1, tls_client : 1, tls_alpn : 1, tls_http : 1;
    enum conn_end eof_end : 8;
    uint8_t polled; // UV_READABLE, UV_WRITABLE: what libuv watches

    int fd;
    struct worker *worker; // changes only by conn_move; only its thread touches the rest
    struct worker *moving_to;
    struct link link; // in worker->conns
    uv_poll_t poll;
    struct chore chore;
    struct mail mail; // while moving
    struct timer timer;
    int64_t timer_at_us;
    int64_t limit_at_us; // handshake or close must be over; 0: none
    int64_t progress_us; // while blocked: when the kernel last took something
    int64_t heard_us;
    int64_t tokens, tokens_us; // bytes that may be read, as of then

    const struct conn_events *events;
    void *owner;
    struct tls *tls;
    struct queue out;     // plain text to be written
    struct queue *unread; // plain text not consumed; in CLEAR possibly the peer's first TLS bytes
    struct queue *sealed; // records the kernel did not take yet; both NULL while there are none
    size_t out_clear;
    size_t sealed_plain; // bytes of plain text that c->sealed stands for
    uint64_t n_accepted;
    uint64_t id;
    struct conn_limits limits;
    struct arrival *arrival; // its listener is NULL for outgoing ones
    const char *detail;

    struct tls_config *tls_config; // between conn_start_tls and the beginning of TLS
    char *tls_name;
};

const struct conn_limits conn_limits_default = {
    .outbox_bytes = 512 << 10,
    .unread_bytes = 256 << 10,
    .handshake_us = 20000000,
    .write_stall_us = 60000000,
    .close_us = 5000000,
};

enum { BURST_LEAST = 16 << 10, UNREAD_SLACK = 2 * PLAIN_MOST };

static void run_chore(struct chore *chore);
static void on_poll(uv_poll_t *poll, int status, int events);
static void on_timer(struct timer *timer);
static void decrypt(struct conn *c, struct str raw);

const char *conn_end_name(enum conn_end end)
{
    static const char *const names[] = {
        [CONN_PEER] = "peer-closed",
        [CONN_RESET] = "reset",
        [CONN_OURS] = "closed",
        [CONN_REFUSED] = "refused",
        [CONN_TLS_FAILED] = "tls-failed",
        [CONN_HANDSHAKE_SLOW] = "handshake-slow",
        [CONN_STALLED] = "stalled",
        [CONN_OUTBOX_FULL] = "outbox-full",
        [CONN_UNREAD_FULL] = "unread-full",
        [CONN_SHUTDOWN] = "shutdown",
    };
    must((size_t)end < COUNT_OF(names));
    return names[end];
}

// --- the outbox

/* The outbox's memory goes round among the connections of a worker. */
static void out_drop(struct conn *c, size_t n)
{
    struct worker *w = c->worker;
    if (n == queue_len(&c->out) && c->out.buf.room <= SPARE_LARGEST && c->out.buf.at != NULL &&
        w->n_spares < SPARES_MOST) {
        w->spares[w->n_spares++] = c->out.buf;
        c->out.buf.at = NULL;
        c->out.buf.room = c->out.buf.len = c->out.start = 0;
        return;
    }
    queue_drop(&c->out, n);
}

static void out_add(struct conn *c, struct str bytes)
{
    struct worker *w = c->worker;
    if (c->out.buf.at == NULL && w->n_spares > 0) {
        struct buf *spare = &w->spares[--w->n_spares];
        c->out.buf.at = spare->at;
        c->out.buf.room = spare->room;
    }
    queue_add(&c->out, bytes);
}

// --- time and interest

static int64_t now_us(const struct conn *c)
{
    return loop_now_us(c->worker->loop);
}

static void mark_dirty(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    loop_at_end(c->worker->loop, TURN_FLUSH, &c->chore);
}

static bool rests(const struct conn *c)
{
    return c->paused || c->moving_to != NULL || c->tls_wanted || c->closing || c->eof || c->half ||
           c->stage >= LINGERING;
}

static int64_t burst(const struct conn *c)
{
    return c->limits.burst_bytes > BURST_LEAST ? c->limits.burst_bytes : BURST_LEAST;
}

/* A reader that rests goes on with 50 ms' worth, not with each byte. */
static int64_t enough_tokens(const struct conn *c)
{
    int64_t some = c->limits.bytes_per_s / 20 + 1;
    return some < burst(c) / 2 ? some : burst(c) / 2;
}

/* When the timer should next look; it looks again if that was too early. */
static void arm(struct conn *c)
{
    int64_t at = INT64_MAX;
    if (c->limit_at_us != 0)
        at = c->limit_at_us;
    if (c->blocked && c->progress_us + c->limits.write_stall_us < at)
        at = c->progress_us + c->limits.write_stall_us;
    if (c->throttled) {
        int64_t rested_at = c->tokens_us + (enough_tokens(c) - c->tokens) * SECOND_US /
                                               (int64_t)c->limits.bytes_per_s;
        if (rested_at < at)
            at = rested_at;
    }
    if (at == INT64_MAX) {
        loop_timer_cancel(&c->timer);
        return;
    }
    if (timer_is_set(&c->timer) && c->timer_at_us <= at)
        return;
    c->timer_at_us = at;
    loop_timer_set(c->worker->loop, &c->timer, at - now_us(c), on_timer);
}

static void watch(struct conn *c)
{
    if (!c->has_poll || c->stage == ENDED)
        return;
    bool reads = c->stage == LINGERING || c->closing ||
                 (c->stage != CONNECTING && !c->paused && !c->throttled && !c->tls_wanted &&
                  !c->half && c->moving_to == NULL);
    bool writes = c->blocked || c->stage == CONNECTING;
    uint8_t wanted = (uint8_t)((reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0));
    if (wanted == c->polled)
        return;
    c->polled = wanted;
    if (wanted == 0)
        uv_poll_stop(&c->poll);
    else
        uv_poll_start(&c->poll, wanted, on_poll);
}

/* Ends it once; the chore tells the layer above. */
static void end(struct conn *c, enum conn_end why)
{
    if (c->stage == ENDED)
        return;
    if (c->stage == SHAKING)
        COUNT(c->worker->n_handshakes_failed, 1);
    c->stage = ENDED;
    c->end = why;
    c->resuming = false;
    loop_timer_cancel(&c->timer);
    if (c->has_poll)
        uv_poll_stop(&c->poll);
    loop_chore_cancel(&c->chore);
    loop_at_end(c->worker->loop, TURN_FLUSH, &c->chore);
}

static void take_tokens(struct conn *c, size_t n)
{
    if (c->limits.bytes_per_s == 0)
        return;
    int64_t passed = now_us(c) - c->tokens_us;
    if (passed > 0) {
        int64_t most = (burst(c) - c->tokens) * SECOND_US / (int64_t)c->limits.bytes_per_s;
        c->tokens = passed > most ? burst(c)
                                  : c->tokens + passed * (int64_t)c->limits.bytes_per_s / SECOND_US;
        c->tokens_us = now_us(c);
    }
    c->tokens -= (int64_t)n;
    c->throttled = c->tokens < (c->throttled ? enough_tokens(c) : 1);
    if (c->throttled)
        arm(c);
}

static void on_timer(struct timer *timer)
{
    struct conn *c = CONTAINER_OF(timer, struct conn, timer);
    must(c->magic == MAGIC_CONN);
    if (c->limit_at_us != 0 && now_us(c) >= c->limit_at_us) {
        end(c, c->closing ? CONN_OURS : CONN_HANDSHAKE_SLOW);
        return;
    }
    if (c->blocked && now_us(c) - c->progress_us >= c->limits.write_stall_us) {
        end(c, c->closing ? CONN_OURS : CONN_STALLED);
        return;
    }
    if (c->throttled) {
        take_tokens(c, 0);
        watch(c);
    }
    arm(c);
}

// --- birth and death

static struct conn *make(struct arrival *arrival, const struct conn_events *events, void *owner,
                         const struct conn_limits *limits)
{
    struct worker *w = arrival->worker;
    must(worker_is_me(w));
    struct conn *c = calloc(1, sizeof *c);
    must(c != NULL);
    c->magic = MAGIC_CONN;
    c->stage = CLEAR;
    c->fd = arrival->fd;
    c->arrival = arrival;
    c->worker = w;
    c->id = ++w->n_made * workers_count(w->all) + w->index;
    c->chore.run = run_chore;
    c->events = events;
    c->owner = owner;
    c->detail = "";
    c->heard_us = c->tokens_us = now_us(c);
    conn_set_limits(c, limits);
    c->tokens = burst(c);
    list_add_last(&w->conns, &c->link);
    if (uv_poll_init(loop_uv(w->loop), &c->poll, c->fd) == 0)
        c->has_poll = true;
    else
        end(c, CONN_RESET);
    return c;
}

struct conn *conn_accept(struct arrival *arrival, const struct conn_events *events, void *owner,
                         const struct conn_limits *limits)
{
    struct conn *c = make(arrival, events, owner, limits);
    watch(c);
    return c;
}

enum err conn_connect(struct worker *worker, const struct addr *to,
                      const struct conn_events *events, void *owner,
                      const struct conn_limits *limits, struct conn **out, struct why *why)
{
    struct sockaddr_storage address;
    unsigned len = addr_to_sockaddr(to, &address);
    char text[ADDR_TEXT_SIZE];
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return why_say(why, ERR_IO, "cannot make a socket: %m");
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, len) != 0 && errno != EINPROGRESS) {
        enum err e =
            why_say(why, ERR_CLOSED, "cannot connect to %.*s: %m", STR_ARGS(addr_text(to, text)));
        close(fd);
        return e;
    }
    struct arrival *arrival = calloc(1, sizeof *arrival);
    must(arrival != NULL);
    *arrival = (struct arrival){.worker = worker, .fd = fd, .peer = *to};
    struct conn *c = make(arrival, events, owner, limits);
    // what came in was counted by the listener already
    atomic_fetch_add(&worker->n_conns, 1);
    if (c->stage != ENDED) {
        c->stage = CONNECTING;
        c->limit_at_us = now_us(c) + c->limits.handshake_us;
        arm(c);
        watch(c);
    }
    *out = c;
    return OK;
}

static void free_conn(uv_handle_t *handle)
{
    struct conn *c = CONTAINER_OF((uv_poll_t *)handle, struct conn, poll);
    c->magic = 0;
    free(c);
}

static void destroy(struct conn *c)
{
    list_leave(&c->link);
    loop_timer_cancel(&c->timer);
    loop_chore_cancel(&c->chore);
    tls_free(&c->tls);
    tls_config_unref(&c->tls_config);
    free(c->tls_name);
    c->tls_name = NULL;
    rare_empty(&c->unread);
    buf_done(&c->out.buf);
    rare_empty(&c->sealed);
    if (c->has_poll)
        uv_close((uv_handle_t *)&c->poll, free_conn); // before the descriptor, as libuv wants
    if (c->arrival->listener != NULL) {
        c->arrival->worker = c->worker;
        arrival_refuse(c->arrival); // closes the descriptor, gives the seat back
    } else {
        close(c->fd);
        free(c->arrival);
        atomic_fetch_sub(&c->worker->n_conns, 1);
    }
    if (!c->has_poll)
        free(c);
}

static void finish(struct conn *c)
{
    c->events->on_closed(c, c->end);
    destroy(c);
}

// --- writing

/* How many bytes the kernel took; marks it blocked when not all, ended when it cannot. */
static size_t send_some(struct conn *c, struct str bytes)
{
    ssize_t n;
    do
        n = send(c->fd, bytes.at, bytes.len, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    COUNT(c->worker->n_writes, 1);
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
        c->detail = strerrordesc_np(errno);
        end(c, c->closing ? CONN_OURS : CONN_RESET);
        return 0;
    }
    size_t sent = n < 0 ? 0 : (size_t)n;
    COUNT(c->worker->bytes_out, sent);
    if (sent > 0 || !c->blocked)
        c->progress_us = now_us(c);
    if (sent < bytes.len) {
        c->blocked = c->waited = true;
        watch(c);
        arm(c);
    }
    return sent;
}

/* Sends what TLS put into the worker's seal buffer, behind what waits already. */
static void push_seal(struct conn *c)
{
    struct buf *seal = &c->worker->seal;
    must(!seal->overflowed);
    if (seal->len == 0 || c->stage == ENDED) {
        seal->len = 0;
        return;
    }
    size_t sent = 0;
    if (queue_len(c->sealed) == 0 && !c->blocked)
        sent = send_some(c, buf_str(seal));
    // a peer that makes us answer (alerts, key updates) and does not read
    if (c->stage != ENDED && sent < seal->len &&
        !rare_add(&c->sealed, str_skip(buf_str(seal), sent), c->limits.outbox_bytes + SEAL_MOST))
        end(c, CONN_OUTBOX_FULL);
    seal->len = 0;
}

static bool flush_sealed(struct conn *c)
{
    if (queue_len(c->sealed) == 0)
        return true;
    rare_drop(&c->sealed, send_some(c, queue_str(c->sealed)));
    if (c->stage == ENDED || queue_len(c->sealed) > 0)
        return false;
    c->sealed_plain = 0;
    return true;
}

static bool flush_secure(struct conn *c)
{
    struct tls_wire wire = {STR_EMPTY, &c->worker->seal, c->worker->home};
    while (queue_len(&c->out) > 0) {
        struct str batch = queue_str(&c->out);
        if (batch.len > SEAL_BATCH)
            batch.len = SEAL_BATCH;
        for (size_t at = 0; at < batch.len; at += TLS_RECORD_MOST) {
            struct str record = str_skip(batch, at);
            if (record.len > TLS_RECORD_MOST)
                record.len = TLS_RECORD_MOST;
            if (tls_write(c->tls, &wire, record) != TLS_DONE) {
                c->detail = tls_why(c->tls);
                c->worker->seal.len = 0;
                end(c, CONN_TLS_FAILED);
                return false;
            }
            COUNT(c->worker->n_records, 1);
        }
        out_drop(c, batch.len);
        c->sealed_plain = batch.len;
        push_seal(c);
        if (c->stage == ENDED || c->blocked)
            return false;
        c->sealed_plain = 0;
    }
    return true;
}

static bool flush_clear(struct conn *c)
{
    struct str bytes = queue_str(&c->out);
    if (c->tls_wanted)
        bytes.len = c->out_clear;
    if (bytes.len == 0)
        return true;
    size_t sent = send_some(c, bytes);
    out_drop(c, sent);
    if (c->tls_wanted)
        c->out_clear -= sent;
    return sent == bytes.len;
}

static void say_goodbye(struct conn *c)
{
    if (c->said_goodbye)
        return;
    c->said_goodbye = true;
    struct tls_wire wire = {STR_EMPTY, &c->worker->seal, c->worker->home};
    tls_say_goodbye(c->tls, &wire);
    push_seal(c);
}

/* The farewell of a connection whose outbox is empty. */
static void take_leave(struct conn *c)
{
    if (c->stage == SECURE) {
        say_goodbye(c);
        if (c->stage == ENDED || c->blocked)
            return;
    }
    if (c->eof || c->half || shutdown(c->fd, SHUT_WR) != 0) {
        end(c, CONN_OURS);
        return;
    }
    c->stage = LINGERING;
    rare_empty(&c->unread);
    watch(c);
}

static void begin_tls(struct conn *c)
{
    c->tls = tls_new(c->tls_config, c->worker->index, c->tls_client, str_of(c->tls_name),
                     c->tls_http ? TLS_HTTP : TLS_XMPP, c->tls_alpn);
    tls_config_unref(&c->tls_config);
    free(c->tls_name);
    c->tls_name = NULL;
    c->tls_wanted = false;
    c->stage = SHAKING;
    struct queue *first = TAKE(c->unread);
    struct str raw = queue_str(first);
    do {
        struct str part = raw.len > RAW_MOST ? str_first(raw, RAW_MOST) : raw;
        decrypt(c, part);
        raw = str_skip(raw, part.len);
    } while (raw.len > 0 && c->stage != ENDED);
    rare_empty(&first);
    watch(c);
}

static void flush(struct conn *c)
{
    if (c->stage == CONNECTING || c->stage >= LINGERING || c->blocked || !flush_sealed(c))
        return;
    if (c->stage == CLEAR) {
        if (!flush_clear(c))
            return;
        if (c->tls_wanted && !c->closing) {
            begin_tls(c);
            return;
        }
    } else if (c->stage == SECURE) {
        if (!flush_secure(c))
            return;
    } else {
        return; // hands are being shaken
    }
    if (c->waited) {
        c->waited = false;
        if (!c->closing && c->events->on_drained != NULL)
            c->events->on_drained(c);
    }
    if (c->closing && c->stage != ENDED && (queue_len(&c->out) == 0 || c->tls_wanted))
        take_leave(c);
}

bool conn_write(struct conn *c, struct str bytes)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    if (c->closing || c->stage >= LINGERING)
        return false;
    if (bytes.len > conn_room(c)) {
        end(c, CONN_OUTBOX_FULL);
        return false;
    }
    out_add(c, bytes);
    c->n_accepted += bytes.len;
    mark_dirty(c);
    return true;
}

size_t conn_room(const struct conn *c)
{
    size_t used = queue_len(&c->out) + c->sealed_plain;
    return used >= c->limits.outbox_bytes ? 0 : c->limits.outbox_bytes - used;
}

uint64_t conn_accepted(const struct conn *c)
{
    return c->n_accepted;
}

uint64_t conn_written(const struct conn *c)
{
    return c->n_accepted - queue_len(&c->out) - c->sealed_plain;
}

// --- reading

static void keep(struct conn *c, struct str bytes)
{
    if (bytes.len == 0)
        return;
    if (!rare_add(&c->unread, bytes, c->limits.unread_bytes + UNREAD_SLACK))
        end(c, CONN_UNREAD_FULL);
}

static void deliver(struct conn *c, struct str bytes)
{
    if (c->closing || c->stage >= LINGERING)
        return;
    bool again = queue_len(c->unread) > 0;
    if (rests(c) || again) {
        keep(c, bytes);
        if (rests(c))
            return;
        bytes = queue_str(c->unread);
    }
    if (bytes.len == 0)
        return;
    c->delivering = true;
    c->discard = false;
    size_t used = c->events->on_bytes(c, bytes);
    c->delivering = false;
    must(used <= bytes.len);
    if (c->discard)
        used = bytes.len;
    if (again)
        rare_drop(&c->unread, used);
    else if (c->stage != ENDED)
        keep(c, str_skip(bytes, used));
    if (!rests(c) && queue_len(c->unread) > c->limits.unread_bytes)
        end(c, CONN_UNREAD_FULL);
}

static void got_eof(struct conn *c, enum conn_end why)
{
    if (c->stage == LINGERING) {
        end(c, CONN_OURS);
        return;
    }
    c->eof_end = why;
    bool speaks = !c->closing && (c->stage == CLEAR || c->stage == SECURE);
    if (speaks && !c->half && c->events->on_eof != NULL && c->events->on_eof(c)) {
        c->half = true;
        watch(c);
        return;
    }
    c->eof = true;
    mark_dirty(c); // what the layer above still wrote gets its chance, then it ends
}

static bool shake(struct conn *c, struct tls_wire *wire)
{
    switch (tls_handshake(c->tls, wire)) {
    case TLS_DONE:
        push_seal(c);
        if (c->stage == ENDED)
            return false;
        c->stage = SECURE;
        c->secured = true;
        c->limit_at_us = 0;
        COUNT(c->worker->n_handshakes, 1);
        if (queue_len(&c->out) > 0)
            mark_dirty(c);
        if (c->events->on_secured != NULL)
            c->events->on_secured(c);
        return c->stage != ENDED;
    case TLS_MORE:
        push_seal(c);
        return false;
    default:
        push_seal(c); // the alert
        c->detail = tls_why(c->tls);
        end(c, CONN_TLS_FAILED);
        return false;
    }
}

static void decrypt(struct conn *c, struct str raw)
{
    struct worker *w = c->worker;
    struct tls_wire wire = {raw, &w->seal, w->home};
    if (c->stage == SHAKING && !shake(c, &wire))
        return;
    size_t len;
    enum tls_step step = tls_read(c->tls, &wire, w->plain, PLAIN_MOST, &len);
    push_seal(c);
    if (len > 0)
        deliver(c, str_make(w->plain, len));
    if (c->stage == ENDED)
        return;
    if (step == TLS_CLOSED) {
        got_eof(c, CONN_PEER);
    } else if (step == TLS_BROKEN) {
        c->detail = tls_why(c->tls);
        end(c, c->closing ? CONN_OURS : CONN_TLS_FAILED);
    }
}

static void receive(struct conn *c)
{
    struct worker *w = c->worker;
    size_t room = RAW_MOST;
    if (c->limits.bytes_per_s != 0 && c->tokens < RAW_MOST)
        room = c->tokens < 1024 ? 1024 : (size_t)c->tokens;
    ssize_t n;
    do
        n = recv(c->fd, w->raw, room, 0);
    while (n < 0 && errno == EINTR);
    COUNT(w->n_reads, 1);
    if (n < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        c->detail = strerrordesc_np(errno);
        end(c, c->closing ? CONN_OURS : CONN_RESET);
        return;
    }
    if (n == 0) {
        got_eof(c, c->tls != NULL ? CONN_RESET : CONN_PEER); // close_notify would have come first
        return;
    }
    COUNT(w->bytes_in, (size_t)n);
    c->heard_us = now_us(c);
    take_tokens(c, (size_t)n);
    struct str raw = str_make(w->raw, (size_t)n);
    if (c->closing || c->stage == LINGERING)
        return; // dropped
    if (c->stage == CLEAR)
        deliver(c, raw);
    else
        decrypt(c, raw);
}

static void connected(struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        c->detail = strerrordesc_np(error);
        end(c, CONN_REFUSED);
        return;
    }
    c->stage = CLEAR;
    watch(c);
    mark_dirty(c); // writes what waits, or begins TLS
    if (c->tls_wanted)
        return;
    c->limit_at_us = 0;
    if (c->events->on_secured != NULL)
        c->events->on_secured(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct conn *c = CONTAINER_OF(poll, struct conn, poll);
    must(c->magic == MAGIC_CONN);
    loop_begin(c->worker->loop);
    if (c->stage == ENDED)
        return;
    if (c->stage == CONNECTING) {
        connected(c);
        return;
    }
    if (status < 0) { // libuv has stopped watching: the socket is in error
        c->polled = 0;
        c->detail = "socket error";
        if (!rests(c))
            receive(c); // what came before the error, and the error's name
        end(c, c->closing ? CONN_OURS : CONN_RESET);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && c->blocked) {
        c->blocked = false;
        mark_dirty(c);
    }
    bool resting = c->paused || c->tls_wanted || c->moving_to != NULL || c->throttled;
    bool reads = !resting || c->closing || c->stage == LINGERING;
    if ((events & UV_READABLE) != 0 && reads)
        receive(c);
    // a pause takes effect only when something comes meanwhile: short ones cost no system call
    if (!reads || c->polled != UV_READABLE)
        watch(c);
}

void conn_pause(struct conn *c)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    c->paused = true;
    c->resuming = false;
}

static void offer_again(struct conn *c)
{
    if (c->stage == ENDED || c->resuming)
        return;
    c->resuming = true;
    loop_chore_cancel(&c->chore);
    loop_at_end(c->worker->loop, TURN_GATHER, &c->chore);
}

void conn_resume(struct conn *c)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    if (!c->paused)
        return;
    c->paused = false;
    offer_again(c);
}

bool conn_is_paused(const struct conn *c)
{
    return c->paused;
}

void conn_discard_unread(struct conn *c)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    if (c->delivering)
        c->discard = true;
    else
        rare_empty(&c->unread);
}

// --- TLS, closing, moving

static void want_tls(struct conn *c, struct tls_config *config, bool client, struct str name,
                     bool alpn)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    must(c->tls == NULL && !c->tls_wanted);
    if (c->stage > CLEAR || c->closing)
        return;
    c->tls_config = tls_config_ref(config);
    c->tls_name = strndup(name.at, name.len);
    must(c->tls_name != NULL);
    c->tls_wanted = true;
    c->tls_client = client;
    c->tls_alpn = alpn;
    c->out_clear = queue_len(&c->out);
    if (c->limit_at_us == 0)
        c->limit_at_us = now_us(c) + c->limits.handshake_us;
    arm(c);
    mark_dirty(c);
}

void conn_start_tls(struct conn *c, struct tls_config *config, struct str name)
{
    want_tls(c, config, false, name, false);
}

void conn_start_tls_http(struct conn *c, struct tls_config *config)
{
    want_tls(c, config, false, STR_EMPTY, false);
    c->tls_http = true;
}

void conn_start_tls_client(struct conn *c, struct tls_config *config, struct str name, bool alpn)
{
    want_tls(c, config, true, name, alpn);
}

void conn_close(struct conn *c)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    if (c->closing || c->stage >= LINGERING)
        return;
    c->closing = true;
    if (c->stage == CONNECTING || c->stage == SHAKING) {
        end(c, CONN_OURS); // nothing can be said yet
        return;
    }
    c->limit_at_us = now_us(c) + c->limits.close_us;
    arm(c);
    mark_dirty(c);
}

void conn_abort(struct conn *c)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    c->closing = true;
    end(c, CONN_OURS);
}

bool conn_is_closing(const struct conn *c)
{
    return c->closing || c->stage >= LINGERING;
}

void conn_move(struct conn *c, struct worker *to)
{
    must(c->magic == MAGIC_CONN && worker_is_me(c->worker));
    must(c->moving_to == NULL && c->stage != CONNECTING);
    c->moving_to = to;
    mark_dirty(c);
}

static void arrive(struct mail *mail)
{
    struct conn *c = CONTAINER_OF(mail, struct conn, mail);
    struct worker *w = c->moving_to;
    must(c->magic == MAGIC_CONN && worker_is_me(w));
    c->worker = w;
    c->moving_to = NULL;
    list_add_last(&w->conns, &c->link);
    if (w->ended)
        return; // conns_shut_down comes for it
    if (uv_poll_init(loop_uv(w->loop), &c->poll, c->fd) != 0) {
        end(c, CONN_RESET);
        return;
    }
    c->has_poll = true;
    arm(c);
    if (c->events->on_moved != NULL)
        c->events->on_moved(c);
    if (c->stage == ENDED)
        return;
    if (queue_len(&c->out) > 0 || c->closing)
        mark_dirty(c);
    offer_again(c);
    watch(c);
}

static void post_moved(uv_handle_t *handle)
{
    struct conn *c = CONTAINER_OF((uv_poll_t *)handle, struct conn, poll);
    c->mail.run = arrive;
    worker_post(c->moving_to, &c->mail);
}

static void depart(struct conn *c)
{
    list_leave(&c->link);
    loop_timer_cancel(&c->timer);
    loop_chore_cancel(&c->chore);
    c->dirty = c->resuming = false;
    atomic_fetch_sub(&c->worker->n_conns, 1);
    atomic_fetch_add(&c->moving_to->n_conns, 1);
    c->polled = 0;
    if (c->has_poll) {
        c->has_poll = false;
        uv_close((uv_handle_t *)&c->poll, post_moved); // libuv lets go of it first
    } else {
        post_moved((uv_handle_t *)&c->poll);
    }
}

static void run_chore(struct chore *chore)
{
    struct conn *c = CONTAINER_OF(chore, struct conn, chore);
    must(c->magic == MAGIC_CONN);
    if (c->resuming && c->stage != ENDED) {
        c->resuming = false;
        deliver(c, STR_EMPTY);
        watch(c);
        if (c->dirty && c->stage != ENDED)
            loop_at_end(c->worker->loop, TURN_FLUSH, &c->chore);
        return;
    }
    c->dirty = false;
    if (c->stage != ENDED)
        flush(c);
    if (c->stage != ENDED && c->eof) {
        if (c->stage == SECURE && !c->blocked)
            say_goodbye(c);
        end(c, c->closing ? CONN_OURS : c->eof_end);
    }
    if (c->stage == ENDED)
        finish(c);
    else if (c->moving_to != NULL)
        depart(c);
}

size_t conns_shut_down(struct worker *w)
{
    size_t n = 0;
    LIST_EACH(&w->conns, struct conn, link, c)
    {
        if (c->stage != ENDED) {
            c->moving_to = NULL;
            flush(c);
            if (c->stage == SECURE && !c->blocked)
                say_goodbye(c);
            end(c, CONN_SHUTDOWN);
        }
        finish(c);
        n++;
    }
    return n;
}

// --- facts

void *conn_owner(const struct conn *c)
{
    return c->owner;
}

void conn_set_owner(struct conn *c, const struct conn_events *events, void *owner)
{
    c->events = events;
    c->owner = owner;
}

void conn_set_limits(struct conn *c, const struct conn_limits *limits)
{
    c->limits = *limits;
    c->out.buf.ceiling = SIZE_MAX / 2; // conn_room() is the ceiling
    if (c->limits.bytes_per_s == 0 && c->throttled) {
        c->throttled = false;
        watch(c);
    }
}

struct worker *conn_worker(const struct conn *c)
{
    return c->worker;
}

const struct addr *conn_peer(const struct conn *c)
{
    return &c->arrival->peer;
}

uint64_t conn_id(const struct conn *c)
{
    return c->id;
}

const struct tls *conn_tls(const struct conn *c)
{
    return c->secured ? c->tls : NULL;
}

int64_t conn_heard_us(const struct conn *c)
{
    return c->heard_us;
}

const char *conn_end_detail(const struct conn *c)
{
    return c->detail;
}
