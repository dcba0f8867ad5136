/*
 * Connections: one TCP socket, in clear or under TLS, on one worker.
 *
 * Bytes come up as they were read; what is written is gathered and leaves once
 * at the end of the loop's turn, in as few TLS records and system calls as
 * possible.  An idle connection owns no buffers: reading goes through one big
 * buffer of the worker, the outbox gives its memory back when empty.
 *
 * Callbacks come from the loop only, never from inside a call of this file, so
 * there is no re-entrance: conn_abort() too is answered by on_closed at the
 * end of the turn.  on_closed comes exactly once; the conn is gone after it.
 * All calls are made on the worker that has the connection.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/buf.h"
#include "net/addr.h"
#include "net/tls.h"
#include "net/worker.h"

struct arrival; // listener.h
struct conn;

/* Why a connection ended. */
enum conn_end {
    CONN_PEER,           // the peer closed, properly
    CONN_RESET,          // the network or the peer cut it; TLS without close_notify
    CONN_OURS,           // we closed or aborted
    CONN_REFUSED,        // an outgoing connection was not made
    CONN_TLS_FAILED,     // handshake or record refused
    CONN_HANDSHAKE_SLOW, // TLS was not ready in time
    CONN_STALLED,        // the peer did not read for write_stall_us
    CONN_OUTBOX_FULL,    // more was written than outbox_bytes
    CONN_UNREAD_FULL,    // the layer above left more than unread_bytes without pausing
    CONN_SHUTDOWN,       // its worker ended
};
const char *conn_end_name(enum conn_end end);
/* In on_closed: more about it for the log, static text, may be empty. */
const char *conn_end_detail(const struct conn *conn);

struct conn_limits {
    size_t outbox_bytes;    // ceiling of what waits to be written
    size_t unread_bytes;    // ceiling of what the layer above may leave unconsumed
    uint32_t bytes_per_s;   // read from the wire; 0: no limit.  Beyond it reading rests
    uint32_t burst_bytes;   // what may come at once; at least 16 KiB is taken
    int64_t handshake_us;   // TLS (and connecting) must be ready by then
    int64_t write_stall_us; // most time without progress while something waits to be written
    int64_t close_us;       // most time for a closing connection's last bytes
};
/* 512 KiB out, 256 KiB unread, no rate, 20 s, 60 s, 5 s. */
extern const struct conn_limits conn_limits_default;

struct conn_events {
    /* Returns how many of them it consumed.  The rest stays with the connection and is offered
     * again, before more: at conn_resume, or together with the next bytes.  After conn_pause,
     * conn_start_tls, conn_move or a close it is not called again until that is over. */
    size_t (*on_bytes)(struct conn *conn, struct str bytes);
    /* The peer has ended its side.  True: what it asked for is still to be answered; nothing more
     * is read, and the layer above closes the connection when it has said all.  False, or NULL: it
     * ends at the end of this turn, with what was written by then. */
    bool (*on_eof)(struct conn *conn);
    /* TLS stands (or, for an outgoing one without TLS, TCP does).  May be NULL. */
    void (*on_secured)(struct conn *conn);
    /* Everything written so far has left; only after something had to wait for the peer.
     * May be NULL. */
    void (*on_drained)(struct conn *conn);
    /* On the new worker, after conn_move; reading goes on after it.  May be NULL. */
    void (*on_moved)(struct conn *conn);
    void (*on_closed)(struct conn *conn, enum conn_end end);
};

/* Takes over what a listener handed to this worker; the listener's counts are settled at close.
 * For direct TLS conn_start_tls follows. */
struct conn *conn_accept(struct arrival *arrival, const struct conn_events *events, void *owner,
                         const struct conn_limits *limits);
/* Starts connecting.  on_secured (after TLS, where conn_start_tls_client was called at once) or
 * on_closed follows. */
enum err conn_connect(struct worker *worker, const struct addr *to,
                      const struct conn_events *events, void *owner,
                      const struct conn_limits *limits, struct conn **out,
                      struct why *why) MUST_CHECK;

void *conn_owner(const struct conn *conn);
void conn_set_owner(struct conn *conn, const struct conn_events *events, void *owner);
void conn_set_limits(struct conn *conn, const struct conn_limits *limits);
struct worker *conn_worker(const struct conn *conn);
const struct addr *conn_peer(const struct conn *conn);
/* A number that no other connection of this process had: for logs. */
uint64_t conn_id(const struct conn *conn);
/* NULL in clear and before the handshake is over. */
const struct tls *conn_tls(const struct conn *conn);

/* Appends to the outbox.  Beyond outbox_bytes nothing is added, nothing more is accepted and the
 * connection ends with CONN_OUTBOX_FULL: false then.  Also false (and nothing done) when it is
 * closing. */
bool conn_write(struct conn *conn, struct str bytes);
/* Bytes that waiting in the outbox leave free: for who can wait with writing more. */
size_t conn_room(const struct conn *conn);
/* Bytes accepted by conn_write so far, and how many of these the kernel has.  Text that ended when
 * conn_accepted was n has left when conn_written >= n. */
uint64_t conn_accepted(const struct conn *conn);
uint64_t conn_written(const struct conn *conn);
/* When the peer last sent anything (loop time): for idle checks without a timer reset per byte. */
int64_t conn_heard_us(const struct conn *conn);

/* Stops and restarts reading: what arrives stays in the kernel, what was read stays here.
 * Pauses are not counted: one resume ends them. */
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
bool conn_is_paused(const struct conn *conn);
/* Forgets what was read but not consumed; called inside on_bytes, also the rest of those. */
void conn_discard_unread(struct conn *conn);

/* What is in the outbox leaves in clear; then TLS begins.  Inside on_bytes: bytes not consumed
 * belong to the handshake, unless conn_discard_unread was called (RFC 6120 §5.4.3.3 wants that
 * after <starttls/>).  config is referenced; name chooses the identity where the client sends no
 * SNI ("" for the first). */
void conn_start_tls(struct conn *conn, struct tls_config *config, struct str name);
/* The same for who is to speak HTTP: that is what ALPN agrees on, where it comes. */
void conn_start_tls_http(struct conn *conn, struct tls_config *config);
/* The client's side; name is sent as SNI and checked in the certificate (unless the snapshot
 * accepts any). */
void conn_start_tls_client(struct conn *conn, struct tls_config *config, struct str name,
                           bool alpn);

/* Writes what waits, then closes: close_notify, FIN, and a wait for the peer's FIN of at most
 * close_us, so that the last words are not lost.  What still comes in is dropped. */
void conn_close(struct conn *conn);
/* Closes at once; what waits is lost. */
void conn_abort(struct conn *conn);
bool conn_is_closing(const struct conn *conn);

/* Moves it to another worker, with its unread bytes, outbox and TLS session.  From now on no
 * callback comes on this worker but on_closed, should it end before it left; the layer above must
 * not touch it after this turn, until on_moved comes on the other worker. */
void conn_move(struct conn *conn, struct worker *to);

#endif
