/*
 * TLS sessions as the connection drives them: bytes in, bytes out, no socket.
 */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include "base/buf.h"
#include "net/tls.h"

/* Where a session reads from and writes to during one call: the worker's buffers. */
struct tls_wire {
    struct str in;         // consumed from the front
    struct buf *out;       // appended to
    struct tls_home *home; // of the calling thread
};

enum tls_step {
    TLS_DONE,   // handshake: finished; reading: bytes came
    TLS_MORE,   // the peer must say more
    TLS_CLOSED, // close_notify
    TLS_BROKEN, // protocol error; an alert may be in out
};

enum { TLS_RECORD_MOST = 16384 };

/* Whom we expect at the other end, as ALPN names it. */
enum tls_protocol { TLS_XMPP, TLS_HTTP };

/* References config.  name: of the identity to show when no SNI comes; for a client, SNI and the
 * name to verify. */
struct tls *tls_new(struct tls_config *config, size_t home, bool client, struct str name,
                    enum tls_protocol protocol, bool alpn);
void tls_free(struct tls **p);

enum tls_step tls_handshake(struct tls *tls, struct tls_wire *wire);
/* Decrypts what the wire has, *n bytes of it.  room: more than the wire's.  Never TLS_DONE:
 * TLS_MORE when all is read. */
enum tls_step tls_read(struct tls *tls, struct tls_wire *wire, char *at, size_t room, size_t *n);
/* Seals bytes (at most TLS_RECORD_MOST) into one record. */
enum tls_step tls_write(struct tls *tls, struct tls_wire *wire, struct str bytes);
void tls_say_goodbye(struct tls *tls, struct tls_wire *wire);

/* Why it broke: static text, "" when nothing did. */
const char *tls_why(const struct tls *tls);

#endif
