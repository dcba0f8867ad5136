/*
 * TLS runs over memory: OpenSSL reads from the bytes that recv() just brought
 * and writes to a buffer that leaves at the end of the turn.
 */
#include "drill/client/wire.h"

#include "base/buf.h"
#include "base/must.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    RAW_SIZE = 256 * 1024,
    PLAIN_SIZE = 16 * 1024,         // the largest TLS record
    UNSENT_MOST = 64 * 1024 * 1024, // beyond, the server reads nothing and we give up
};

struct wire_tls {
    SSL_CTX *context;
    BIO_METHOD *method;
    char raw[RAW_SIZE], plain[PLAIN_SIZE];
};

enum wire_state { CONNECTING, PLAIN, SECURING, SECURE, CLOSED };

struct wire {
    struct watch watch;
    struct chore flush;
    struct loop *loop;
    struct wire_tls *tls;
    const struct wire_events *events;
    void *owner;
    enum wire_state state;
    SSL *ssl;
    struct str raw; // received and not yet decrypted; borrowed from tls->raw within a turn
    struct buf out; // encrypted and not yet sent
    unsigned depth; // callbacks that are running
    bool freed;     // the owner let go within one of them
    int refused;    // errno of a connect() that failed at once
};

static int bio_read(BIO *bio, char *out, size_t size, size_t *n)
{
    struct wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->raw.len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *n = size < wire->raw.len ? size : wire->raw.len;
    memcpy(out, wire->raw.at, *n);
    wire->raw = str_skip(wire->raw, *n);
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *n)
{
    struct wire *wire = BIO_get_data(bio);
    buf_add(&wire->out, str_make(bytes, size));
    *n = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

struct wire_tls *wire_tls_new(bool only_1_3)
{
    struct wire_tls *tls = malloc(sizeof *tls);
    must(tls != NULL);
    tls->context = SSL_CTX_new(TLS_client_method());
    tls->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "wire");
    must(tls->context != NULL && tls->method != NULL);
    BIO_meth_set_read_ex(tls->method, bio_read);
    BIO_meth_set_write_ex(tls->method, bio_write);
    BIO_meth_set_ctrl(tls->method, bio_control);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
    must(SSL_CTX_set_min_proto_version(tls->context, only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION));
    return tls;
}

void wire_tls_free(struct wire_tls **tls)
{
    if (*tls == NULL)
        return;
    SSL_CTX_free((*tls)->context);
    BIO_meth_free((*tls)->method);
    free(*tls);
    *tls = NULL;
}

enum err endpoint_parse(struct str text, struct endpoint *out, struct why *why)
{
    size_t colon = text.len;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    uint64_t port;
    if (colon == 0 || str_to_u64(str_skip(text, colon), 1, 65535, &port) != OK)
        return why_say(why, ERR_MALFORMED, "%.*s: not of the form host:port", STR_ARGS(text));
    struct str host = str_first(text, colon - 1);
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
        host = str_make(host.at + 1, host.len - 2);
    char host_z[256], port_z[8];
    if (str_to_z(host, host_z, sizeof host_z) != OK)
        return why_say(why, ERR_MALFORMED, "%.*s: no host name", STR_ARGS(text));
    snprintf(port_z, sizeof port_z, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int e = getaddrinfo(host_z, port_z, &hints, &found);
    if (e != 0)
        return why_say(why, ERR_MISSING, "%s: %s", host_z, gai_strerror(e));
    *out = (struct endpoint){.size = found->ai_addrlen};
    memcpy(&out->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return OK;
}

static void destroy(struct wire *wire)
{
    SSL_free(wire->ssl);
    buf_done(&wire->out);
    free(wire);
}

/* Ends a stretch in which the owner may have freed the wire; false when it did. */
static bool leave(struct wire *wire)
{
    if (--wire->depth > 0 || !wire->freed)
        return !wire->freed;
    destroy(wire);
    return false;
}

static void shut(struct wire *wire)
{
    if (wire->state == CLOSED)
        return;
    wire->state = CLOSED;
    loop_watch(wire->loop, &wire->watch, false, false);
    loop_chore_stop(&wire->flush);
    close(wire->watch.fd);
    wire->watch.fd = -1;
}

static void fail(struct wire *wire, const char *why)
{
    if (wire->state == CLOSED)
        return;
    shut(wire);
    wire->events->closed(wire->owner, why);
}

static void flush(struct chore *chore)
{
    struct wire *wire = CONTAINER_OF(chore, struct wire, flush);
    wire->depth++;
    if (wire->out.overflowed) {
        fail(wire, "the server reads nothing");
        leave(wire);
        return;
    }
    while (wire->out.len > 0) {
        ssize_t n = send(wire->watch.fd, wire->out.at, wire->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        buf_drop(&wire->out, (size_t)n);
    }
    if (wire->out.len == 0)
        buf_release(&wire->out);
    else if (errno != EAGAIN)
        fail(wire, strerror(errno));
    if (wire->state != CLOSED)
        loop_watch(wire->loop, &wire->watch, true, wire->out.len > 0);
    leave(wire);
}

static const char *tls_trouble(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason != NULL ? reason : "TLS failed";
}

static void shake_hands(struct wire *wire)
{
    int n = SSL_do_handshake(wire->ssl);
    loop_chore(wire->loop, &wire->flush);
    if (n == 1) {
        wire->state = SECURE;
        wire->events->opened(wire->owner);
    } else if (SSL_get_error(wire->ssl, n) != SSL_ERROR_WANT_READ) {
        fail(wire, tls_trouble());
    }
}

static void decrypt(struct wire *wire)
{
    while (wire->state == SECURE && !wire->freed) {
        int n = SSL_read(wire->ssl, wire->tls->plain, PLAIN_SIZE);
        if (n <= 0) {
            int e = SSL_get_error(wire->ssl, n);
            if (e == SSL_ERROR_ZERO_RETURN)
                fail(wire, "the server closed the stream");
            else if (e != SSL_ERROR_WANT_READ)
                fail(wire, tls_trouble());
            break;
        }
        wire->events->received(wire->owner, str_make(wire->tls->plain, (size_t)n));
    }
    // a key update is answered by OpenSSL itself
    if (wire->state == SECURE && wire->out.len > 0)
        loop_chore(wire->loop, &wire->flush);
}

static void take(struct wire *wire, struct str raw)
{
    if (wire->state == PLAIN) {
        wire->events->received(wire->owner, raw);
        return;
    }
    wire->raw = raw;
    if (wire->state == SECURING)
        shake_hands(wire);
    if (wire->state == SECURE && !wire->freed)
        decrypt(wire);
    wire->raw = STR_EMPTY;
}

static void read_socket(struct wire *wire)
{
    while (wire->state != CLOSED && !wire->freed) {
        ssize_t n = recv(wire->watch.fd, wire->tls->raw, RAW_SIZE, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            fail(wire, n == 0 ? "the server closed the connection" : strerror(errno));
            return;
        }
        take(wire, str_make(wire->tls->raw, (size_t)n));
        if (n < RAW_SIZE)
            return;
    }
}

static void ready(struct watch *watch, bool readable, bool writable)
{
    struct wire *wire = CONTAINER_OF(watch, struct wire, watch);
    wire->depth++;
    if (wire->state == CONNECTING) {
        int e = 0;
        socklen_t size = sizeof e;
        getsockopt(watch->fd, SOL_SOCKET, SO_ERROR, &e, &size);
        if (wire->refused != 0)
            e = wire->refused;
        if (e != 0) {
            fail(wire, strerror(e));
        } else if (writable) {
            wire->state = PLAIN;
            loop_watch(wire->loop, watch, true, false);
            wire->events->opened(wire->owner);
        }
    } else {
        if (writable)
            loop_chore(wire->loop, &wire->flush);
        if (readable)
            read_socket(wire);
    }
    leave(wire);
}

struct wire *wire_new(struct loop *loop, struct wire_tls *tls, const struct endpoint *endpoint,
                      const struct wire_events *events, void *owner)
{
    struct wire *wire = calloc(1, sizeof *wire);
    must(wire != NULL);
    wire->loop = loop;
    wire->tls = tls;
    wire->events = events;
    wire->owner = owner;
    wire->watch.ready = ready;
    wire->flush.run = flush;
    wire->state = CONNECTING;
    buf_init(&wire->out, UNSENT_MOST);
    int family = endpoint->address.ss_family;
    wire->watch.fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(wire->watch.fd >= 0); // the caller raised the limit for what it opens
    int one = 1;
    setsockopt(wire->watch.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // a refusal known at once is told from the loop like any other: epoll reports such a socket
    if (connect(wire->watch.fd, (const struct sockaddr *)&endpoint->address, endpoint->size) != 0 &&
        errno != EINPROGRESS)
        wire->refused = errno;
    loop_watch(loop, &wire->watch, false, true);
    return wire;
}

void wire_free(struct wire **slot)
{
    struct wire *wire = *slot;
    if (wire == NULL)
        return;
    *slot = NULL;
    must(!wire->freed);
    shut(wire);
    wire->freed = true;
    if (wire->depth == 0)
        destroy(wire);
}

void wire_start_tls(struct wire *wire, struct str server_name)
{
    must(wire->state == PLAIN);
    char name[256];
    wire->ssl = SSL_new(wire->tls->context);
    BIO *bio = BIO_new(wire->tls->method);
    must(wire->ssl != NULL && bio != NULL);
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(wire->ssl, bio, bio);
    if (str_to_z(server_name, name, sizeof name) == OK)
        SSL_set_tlsext_host_name(wire->ssl, name);
    SSL_set_connect_state(wire->ssl);
    wire->state = SECURING;
    wire->depth++;
    shake_hands(wire);
    leave(wire);
}

void wire_send(struct wire *wire, struct str bytes)
{
    if (wire->state == CLOSED || bytes.len == 0)
        return;
    must(wire->state == PLAIN || wire->state == SECURE);
    if (wire->state == PLAIN)
        buf_add(&wire->out, bytes);
    else if (SSL_write(wire->ssl, bytes.at, (int)bytes.len) <= 0)
        wire->out.overflowed = true; // said at the flush: nobody expects to be closed within a send
    loop_chore(wire->loop, &wire->flush);
}
