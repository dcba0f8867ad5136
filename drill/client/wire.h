/*
 * One TCP connection of a client, plain or TLS, as bytes in and bytes out.
 *
 * Every wire_send() makes one TLS record, as ordinary clients do, and all
 * records of a turn leave in one system call.  Certificates are not checked:
 * the instrument talks to servers it was told to, most of them self-signed
 * and on loopback.  A wire belongs to its loop's thread.
 */
#ifndef DRILL_CLIENT_WIRE_H
#define DRILL_CLIENT_WIRE_H

#include "base/str.h"
#include "drill/client/loop.h"

#include <sys/socket.h>

struct wire;
struct wire_tls; // what all wires of a thread share: contexts and scratch memory

struct wire_tls *wire_tls_new(bool only_1_3);
void wire_tls_free(struct wire_tls **tls);

/* Where a server listens. */
struct endpoint {
    struct sockaddr_storage address;
    socklen_t size;
};

/* Reads "127.0.0.1:5222", "[::1]:5222" or "localhost:5222" (loopback and names are resolved). */
enum err endpoint_parse(struct str text, struct endpoint *out, struct why *why) MUST_CHECK;

/* What a wire tells its owner, always from within the loop's turn.  A wire may be freed in them. */
struct wire_events {
    void (*opened)(void *owner);                     // connected; or, after wire_start_tls, secured
    void (*received)(void *owner, struct str bytes); // never empty
    void (*closed)(void *owner, const char *why);    // once; nothing follows
};

/* Begins to connect.  events are borrowed for the wire's life. */
struct wire *wire_new(struct loop *loop, struct wire_tls *tls, const struct endpoint *endpoint,
                      const struct wire_events *events, void *owner);
/* Closes at once; what was not written yet is lost. */
void wire_free(struct wire **wire);

/* Begins TLS as its client; opened follows.  server_name: for SNI. */
void wire_start_tls(struct wire *wire, struct str server_name);
/* After opened only.  Copies. */
void wire_send(struct wire *wire, struct str bytes);

#endif
