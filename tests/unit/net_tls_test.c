#include "test.h"

#include "base/clock.h"
#include "base/must.h"
#include "net_world.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

static char folder[64];

static const char *path(const char *file)
{
    static char paths[8][128];
    static int next;
    char *out = paths[next++ % 8];
    snprintf(out, sizeof paths[0], "%s/%s", folder, file);
    return out;
}

/* Echoes; answers BIND0 and BIND1 with the length and bytes of a channel binding, NAME with the
 * name the client asked for. */
static size_t on_bytes(struct conn *conn, struct str bytes)
{
    const struct tls *tls = conn_tls(conn);
    must(tls != NULL);
    if (str_starts(bytes, STR("BIND"))) {
        unsigned char out[1 + TLS_BINDING_MOST];
        size_t len = 0;
        enum tls_binding kind = bytes.at[4] == '0' ? TLS_EXPORTER : TLS_SERVER_END_POINT;
        if (tls_bind(tls, kind, out + 1, &len) != OK)
            len = 0;
        out[0] = (unsigned char)len;
        conn_write(conn, str_make((char *)out, 1 + len));
    } else {
        conn_write(conn, bytes);
    }
    return bytes.len;
}

static void on_closed(struct conn *conn, enum conn_end end)
{
    (void)conn;
    (void)end;
}

static const struct conn_events echo = {.on_bytes = on_bytes, .on_closed = on_closed};

static void on_arrival(struct worker *worker, struct arrival *arrival, void *context)
{
    struct conn *conn = conn_accept(arrival, &echo, context, &conn_limits_default);
    conn_start_tls(conn, worker_tls(worker), STR_EMPTY);
}

static struct tls_config *two_domains(struct world *world)
{
    static const struct str first[] =
        {
            {"one.example", 11}
    },
                            second[] = {{"TWO.example", 11}};
    struct tls_identity identities[] = {
        {first,  1, path("one.crt"), path("one.key")},
        {second, 1, path("two.crt"), path("two.key")},
    };
    struct tls_config *config = NULL;
    struct why why;
    must(tls_config_new_server(identities, 2, NULL, workers_homes(world->workers),
                               workers_count(world->workers), &config, &why) == OK);
    return config;
}

static void begin(struct world *world)
{
    world_folder(folder);
    world_certificate(folder, "one", "one.example", KEY_P256, NULL, 30);
    world_certificate(folder, "two", "two.example", KEY_RSA, "SHA384", 90);
    world_start(world, 2, NULL, on_arrival, NULL, two_domains);
}

static void finish(struct world *world)
{
    world_stop(world);
    world_remove_folder(folder);
}

static SSL_CTX *client_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(ctx, 0); // would offer TLS 1.1
    SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
    SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
    return ctx;
}

static void hang_up(SSL *ssl, int fd)
{
    if (ssl != NULL) {
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
    close(fd);
}

static void check_echo(SSL *ssl)
{
    char got[5];
    size_t n;
    check(SSL_write_ex(ssl, "hello", 5, &n) == 1);
    world_read_exactly(ssl, got, 5);
    check(memcmp(got, "hello", 5) == 0);
}

static bool subject_is(SSL *ssl, const char *name)
{
    X509 *x = SSL_get0_peer_certificate(ssl);
    return x != NULL && X509_check_host(x, name, 0, 0, NULL) == 1;
}

TEST(tls_12_and_13_are_spoken_and_nothing_older)
{
    struct world world;
    begin(&world);
    SSL_CTX *ctx = client_context();
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        int fd = world_dial(world.port);
        SSL *ssl = world_shake(ctx, fd, versions[i], NULL);
        check(ssl != NULL && SSL_version(ssl) == versions[i]);
        check(versions[i] == TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1);
        check_echo(ssl);
        check(SSL_SESSION_has_ticket(SSL_get_session(ssl)) == 0);
        hang_up(ssl, fd);
    }
    static const int old[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < 2; i++) {
        int fd = world_dial(world.port);
        check(world_shake(ctx, fd, old[i], NULL) == NULL);
        close(fd);
    }
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(weak_ciphers_are_refused)
{
    struct world world;
    begin(&world);
    static const char *const weak[] = {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                       "DES-CBC3-SHA"};
    for (size_t i = 0; i < COUNT_OF(weak); i++) {
        SSL_CTX *ctx = client_context();
        if (SSL_CTX_set_cipher_list(ctx, weak[i]) == 1) { // this OpenSSL may not even have it
            int fd = world_dial(world.port);
            check(world_shake(ctx, fd, TLS1_2_VERSION, "two.example") == NULL);
            close(fd);
        }
        ERR_clear_error();
        SSL_CTX_free(ctx);
    }
    finish(&world);
}

TEST(the_name_asked_for_chooses_the_certificate)
{
    struct world world;
    begin(&world);
    SSL_CTX *ctx = client_context();
    static const struct {
        const char *asked, *got;
    } cases[] = {
        {NULL,            "one.example"},
        {"one.example",   "one.example"},
        {"two.example",   "two.example"},
        {"Two.Example",   "two.example"},
        {"three.example", "one.example"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            int fd = world_dial(world.port);
            SSL *ssl = world_shake(ctx, fd, version, cases[i].asked);
            check(ssl != NULL && subject_is(ssl, cases[i].got));
            check_echo(ssl);
            hang_up(ssl, fd);
        }
    }
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(a_reload_serves_new_connections_and_leaves_old_ones_alone)
{
    struct world world;
    begin(&world);
    SSL_CTX *ctx = client_context();
    int old_fd = world_dial(world.port);
    SSL *old = world_shake(ctx, old_fd, 0, "one.example");
    check(old != NULL);
    check_echo(old);
    X509 *before = SSL_get0_peer_certificate(old);

    world_certificate(folder, "one", "one.example", KEY_P256, NULL, 60);
    struct tls_config *config = two_domains(&world);
    workers_set_tls(world.workers, config);
    tls_config_unref(&config);

    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, "one.example");
    check(ssl != NULL && subject_is(ssl, "one.example"));
    check(X509_cmp(before, SSL_get0_peer_certificate(ssl)) != 0);
    check_echo(ssl);
    check_echo(old);
    hang_up(ssl, fd);
    hang_up(old, old_fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

static size_t ask_binding(SSL *ssl, char kind, unsigned char *out)
{
    char question[] = {'B', 'I', 'N', 'D', kind};
    size_t n;
    check(SSL_write_ex(ssl, question, 5, &n) == 1);
    world_read_exactly(ssl, (char *)out, 1);
    n = out[0];
    world_read_exactly(ssl, (char *)out, n);
    return n;
}

TEST(channel_bindings_are_the_same_on_both_sides)
{
    struct world world;
    begin(&world);
    static const struct {
        const char *name, *hash;
        size_t len;
    } cases[] = {
        {"one.example", "SHA256", 32},
        {"two.example", "SHA384", 48},
    };
    SSL_CTX *ctx = client_context();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            int fd = world_dial(world.port);
            SSL *ssl = world_shake(ctx, fd, version, cases[i].name);
            unsigned char theirs[64], ours[64];
            check(ask_binding(ssl, '0', theirs) == 32);
            check(SSL_export_keying_material(ssl, ours, 32, "EXPORTER-Channel-Binding", 24,
                                             (const unsigned char *)"", 0, 1) == 1);
            check(memcmp(ours, theirs, 32) == 0);
            check(ask_binding(ssl, '1', theirs) == cases[i].len);
            unsigned n;
            X509_digest(SSL_get0_peer_certificate(ssl), EVP_get_digestbyname(cases[i].hash), ours,
                        &n);
            check(n == cases[i].len && memcmp(ours, theirs, n) == 0);
            hang_up(ssl, fd);
        }
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, TLS1_2_VERSION, NULL);
    unsigned char none[64];
    check(ask_binding(ssl, '0', none) == 0); // RFC 9266: not unique without it
    check(ask_binding(ssl, '1', none) == 32);
    hang_up(ssl, fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(an_end_point_signed_with_sha1_is_hashed_with_sha256_and_ed25519_has_none)
{
    struct world world;
    begin(&world);
    world_certificate(folder, "one", "one.example", KEY_RSA, "SHA1", 30);
    world_certificate(folder, "two", "two.example", KEY_ED25519, NULL, 30);
    struct tls_config *config = two_domains(&world);
    workers_set_tls(world.workers, config);
    tls_config_unref(&config);
    SSL_CTX *ctx = client_context();
    unsigned char theirs[64], ours[64];
    unsigned n;
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, "one.example");
    check(ask_binding(ssl, '1', theirs) == 32);
    X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), ours, &n);
    check(memcmp(ours, theirs, 32) == 0);
    hang_up(ssl, fd);
    fd = world_dial(world.port);
    ssl = world_shake(ctx, fd, 0, "two.example");
    check(ask_binding(ssl, '1', theirs) == 0);
    hang_up(ssl, fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(renegotiation_by_the_client_is_refused)
{
    struct world world;
    begin(&world);
    SSL_CTX *ctx = client_context();
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, TLS1_2_VERSION, NULL);
    check_echo(ssl);
    SSL_renegotiate(ssl);
    char got[5];
    size_t n;
    bool refused = SSL_do_handshake(ssl) != 1;
    if (!refused) // the request left; its answer comes with the next read
        refused = SSL_read_ex(ssl, got, 5, &n) != 1;
    check(refused);
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

TEST(alpn_agrees_on_xmpp_client_and_refuses_other_protocols)
{
    struct world world;
    begin(&world);
    SSL_CTX *ctx = client_context();
    static const unsigned char ours[] = "\x0bxmpp-client", theirs[] = "\x08http/1.1";
    SSL_CTX_set_alpn_protos(ctx, ours, sizeof ours - 1);
    int fd = world_dial(world.port);
    SSL *ssl = world_shake(ctx, fd, 0, NULL);
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(ssl, &chosen, &len);
    check_str(str_make((const char *)chosen, len), STR("xmpp-client"));
    hang_up(ssl, fd);
    SSL_CTX_set_alpn_protos(ctx, theirs, sizeof theirs - 1);
    fd = world_dial(world.port);
    check(world_shake(ctx, fd, 0, NULL) == NULL);
    close(fd);
    SSL_CTX_free(ctx);
    finish(&world);
}

static void spoil(const char *file, const char *text)
{
    FILE *out = fopen(path(file), "w");
    must(out != NULL);
    fputs(text, out);
    fclose(out);
}

TEST(a_broken_certificate_or_key_is_named_and_nothing_is_made)
{
    world_folder(folder);
    world_certificate(folder, "good", "a.example", KEY_P256, NULL, 30);
    world_certificate(folder, "other", "a.example", KEY_RSA, NULL, 30);
    spoil("text.crt", "not a certificate\n");
    spoil("cut.crt", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    spoil("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n"
                        "-----END ENCRYPTED PRIVATE KEY-----\n");
    spoil("empty.key", "");
    static const struct {
        const char *chain, *key, *says;
    } cases[] = {
        {"missing.crt", "good.key",    "missing.crt"              },
        {"text.crt",    "good.key",    "no certificate in"        },
        {"cut.crt",     "good.key",    "cut.crt"                  },
        {"good.crt",    "missing.key", "missing.key"              },
        {"good.crt",    "empty.key",   "empty.key"                },
        {"good.crt",    "locked.key",  "protected by a passphrase"},
        {"good.crt",    "other.key",   "does not belong to"       },
        {".",           "good.key",    "is not a file"            },
    };
    struct tls_home *home = NULL;
    check(tls_home_new(&home, NULL) == OK);
    static const struct str names[] = {
        {"a.example", 9}
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tls_identity identity = {names, 1, path(cases[i].chain), path(cases[i].key)};
        struct tls_config *config = NULL;
        struct why why = {{0}};
        check(tls_config_new_server(&identity, 1, NULL, &home, 1, &config, &why) != OK);
        check(config == NULL);
        if (strstr(why.text, cases[i].says) == NULL)
            fprintf(stderr, "'%s' does not say '%s'\n", why.text, cases[i].says);
        check(strstr(why.text, cases[i].says) != NULL);
        check(ERR_peek_error() == 0);
    }
    struct tls_identity twice[] = {
        {names, 1, path("good.crt"), path("good.key")},
        {names, 1, path("good.crt"), path("good.key")},
    };
    struct tls_config *config = NULL;
    struct why why;
    check(tls_config_new_server(twice, 2, NULL, &home, 1, &config, &why) == ERR_EXISTS);
    check(strstr(why.text, "a.example") != NULL);
    tls_home_free(&home);
    world_remove_folder(folder);
}

TEST(a_snapshot_tells_names_and_when_certificates_end)
{
    struct world world;
    begin(&world);
    struct tls_config *config = two_domains(&world);
    check(tls_config_count(config) == 2);
    check(tls_config_find(config, STR("two.EXAMPLE")) == 1);
    check(tls_config_find(config, STR("elsewhere")) == 0);
    check_str(tls_config_name(config, 0), STR("one.example"));
    int64_t days = (tls_config_expires_us(config, 1) - clock_wall_us()) / (86400 * SECOND_US);
    check(days == 89 || days == 90);
    tls_config_unref(&config);
    finish(&world);
}
