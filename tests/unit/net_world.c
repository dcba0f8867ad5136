#include "net_world.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

const char *world_folder(char out[64])
{
    snprintf(out, 64, "/tmp/firedoor-net-XXXXXX");
    must(mkdtemp(out) != NULL);
    return out;
}

void world_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    must(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(folder);
}

static FILE *create(const char *folder, const char *file, const char *ending)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.%s", folder, file, ending);
    FILE *out = fopen(path, "w");
    must(out != NULL);
    return out;
}

void world_certificate(const char *folder, const char *file, const char *name, enum key_kind kind,
                       const char *hash, int days)
{
    EVP_PKEY *key = kind == KEY_P256  ? EVP_EC_gen("P-256")
                    : kind == KEY_RSA ? EVP_RSA_gen(2048)
                                      : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *x = X509_new();
    must(key != NULL && x != NULL);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400L * days);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, key);
    char san[300];
    snprintf(san, sizeof san, "DNS:%s", name);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
    must(extension != NULL);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
    const EVP_MD *md =
        kind == KEY_ED25519 ? NULL : EVP_get_digestbyname(hash != NULL ? hash : "SHA256");
    must(X509_sign(x, key, md) > 0);
    FILE *out = create(folder, file, "crt");
    must(PEM_write_X509(out, x) == 1);
    fclose(out);
    out = create(folder, file, "key");
    must(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(out);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void *run_loop(void *context)
{
    struct world *world = context;
    loop_run(world->loop);
    return NULL;
}

void world_start(struct world *world, size_t n, const struct listener_limits *limits,
                 arrival_fn *on_arrival, void *context,
                 struct tls_config *(*config)(struct world *))
{
    static const struct listener_limits none;
    struct why why = {{0}};
    *world = (struct world){0};
    process_ignore_sigpipe();
    must(loop_new("acceptor", &world->loop, &why) == OK);
    must(workers_new(&(struct workers_config){.n = n}, &world->workers, &why) == OK);
    if (config != NULL) {
        struct tls_config *made = config(world);
        workers_set_tls(world->workers, made);
        tls_config_unref(&made);
    }
    must(workers_start(world->workers, &why) == OK);
    world->listener = listener_new(world->loop, world->workers, limits != NULL ? limits : &none,
                                   on_arrival, context);
    must(listener_open(world->listener, STR("127.0.0.1"), 0, 1, &world->door, &why) == OK);
    world->port = door_port(world->door);
    must(pthread_create(&world->thread, NULL, run_loop, world) == 0);
}

void world_stop(struct world *world)
{
    loop_stop(world->loop);
    pthread_join(world->thread, NULL);
    workers_stop(world->workers);
    listener_free(&world->listener);
    loop_free(&world->loop);
    workers_free(&world->workers);
}

int world_dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    int one = 1; // else a second small write waits for the acknowledgement of the first
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

SSL *world_shake(SSL_CTX *ctx, int fd, int version, const char *server_name)
{
    SSL *ssl = SSL_new(ctx);
    must(ssl != NULL);
    if (version != 0) {
        SSL_set_min_proto_version(ssl, version);
        SSL_set_max_proto_version(ssl, version);
    }
    SSL_set_fd(ssl, fd);
    if (server_name != NULL)
        SSL_set_tlsext_host_name(ssl, server_name);
    if (SSL_connect(ssl) == 1)
        return ssl;
    ERR_clear_error();
    SSL_free(ssl);
    return NULL;
}

void world_read_exactly(SSL *ssl, char *at, size_t n)
{
    for (size_t got = 0, more; got < n; got += more)
        must(SSL_read_ex(ssl, at + got, n - got, &more) == 1);
}
