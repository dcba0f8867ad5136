/*
 * What the tests of net share: certificates made on the spot, workers behind a
 * listener on loopback, and plain OpenSSL clients that know nothing of ours.
 */
#ifndef TESTS_UNIT_NET_WORLD_H
#define TESTS_UNIT_NET_WORLD_H

#include "net/conn.h"
#include "net/listener.h"
#include "net/process.h"

#include <openssl/ssl.h>
#include <pthread.h>

/* A folder that is emptied and removed by world_remove_folder. */
const char *world_folder(char out[64]);
void world_remove_folder(const char *folder);

enum key_kind { KEY_P256, KEY_RSA, KEY_ED25519 };

/* Self-signed for name, valid for days; written to <folder>/<file>.crt and .key.  hash NULL: none
 * (Ed25519) or SHA-256. */
void world_certificate(const char *folder, const char *file, const char *name, enum key_kind kind,
                       const char *hash, int days);

struct world {
    struct loop *loop; // the acceptor's
    pthread_t thread;
    struct workers *workers;
    struct listener *listener;
    struct door *door;
    uint16_t port;
};

/* Starts n workers and a listener on 127.0.0.1 with one door.  Config may be NULL. */
void world_start(struct world *world, size_t n, const struct listener_limits *limits,
                 arrival_fn *on_arrival, void *context,
                 struct tls_config *(*config)(struct world *));
void world_stop(struct world *world);

/* A blocking socket to the world's door (or to any port on 127.0.0.1); reads give up after 10 s. */
int world_dial(uint16_t port);
/* Client handshake on fd over exactly this version (0: any); NULL when refused. */
SSL *world_shake(SSL_CTX *ctx, int fd, int version, const char *server_name);
void world_read_exactly(SSL *ssl, char *at, size_t n);

#endif
