#include "net/tls.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/table.h"
#include "net/tls_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_MOST = 255, PEM_FILE_MOST = 1 << 20, NAMES_MOST = 1 << 20 };

struct tls_home {
    OSSL_LIB_CTX *lib;
    BIO_METHOD *method;
    BIO *bio; // of whatever session its thread is with: 200 bytes that not each of them has
};

/* What OpenSSL's callbacks get: one for each home. */
struct tls_set {
    struct tls_config *config; // whose part it is
    struct tls_home *home;
    SSL_CTX **contexts; // one for each identity
};

struct tls_config {
    atomic_size_t n_refs; // any thread; the rest does not change
    bool client, verify;
    size_t n_identities, n_sets;
    struct tls_set *sets;
    int64_t *expires_us;
    struct str *first_names;
    struct table by_name; // lower-case name → identity number + 1
    struct arena arena;
};

struct tls {
    SSL *ssl;
    struct tls_wire *wire; // during a call
    struct tls_config *config;
    const char *why;
    enum tls_protocol protocol;
    bool alpn;
};

// --- homes

static int bio_read(BIO *bio, char *at, int room)
{
    struct tls *tls = BIO_get_data(bio);
    struct str *in = &tls->wire->in;
    BIO_clear_retry_flags(bio);
    if (in->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)room < in->len ? (size_t)room : in->len;
    memcpy(at, in->at, n);
    *in = str_skip(*in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *at, int len)
{
    struct tls *tls = BIO_get_data(bio);
    buf_add(tls->wire->out, str_make(at, (size_t)len));
    return tls->wire->out->overflowed ? -1 : len;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

enum err tls_home_new(struct tls_home **out, struct why *why)
{
    struct tls_home *home = calloc(1, sizeof *home);
    must(home != NULL);
    home->lib = OSSL_LIB_CTX_new();
    home->method = BIO_meth_new(BIO_TYPE_START | BIO_TYPE_SOURCE_SINK, "firedoor");
    if (home->lib != NULL && home->method != NULL) {
        BIO_meth_set_read(home->method, bio_read);
        BIO_meth_set_write(home->method, bio_write);
        BIO_meth_set_ctrl(home->method, bio_ctrl);
        home->bio = BIO_new_ex(home->lib, home->method);
    }
    if (home->bio == NULL) {
        tls_home_free(&home);
        return why_say(why, ERR_IO, "OpenSSL does not start");
    }
    BIO_set_init(home->bio, 1);
    *out = home;
    return OK;
}

void tls_home_free(struct tls_home **p)
{
    struct tls_home *home = TAKE(*p);
    if (home == NULL)
        return;
    BIO_free(home->bio);
    BIO_meth_free(home->method);
    OSSL_LIB_CTX_free(home->lib);
    free(home);
}

// --- snapshots

static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char ciphers_13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const unsigned char alpn_client[] = "\x0bxmpp-client";
static const unsigned char alpn_http[] = "\x08http/1.1";
static const struct tls_policy default_policy;

/* The newest complaint of OpenSSL as static text; empties its queue. */
static const char *last_complaint(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return text != NULL ? text : "unknown error";
}

static bool lower_name(struct str name, char out[NAME_MOST + 1], struct str *lowered)
{
    if (name.len == 0 || name.len > NAME_MOST)
        return false;
    for (size_t i = 0; i < name.len; i++)
        out[i] = (char)tolower((unsigned char)name.at[i]);
    out[name.len] = '\0';
    *lowered = str_make(out, name.len);
    return true;
}

static size_t find_identity(const struct tls_config *config, struct str name, bool *found)
{
    char text[NAME_MOST + 1];
    struct str lowered;
    size_t number = 0;
    if (lower_name(name, text, &lowered))
        number = (size_t)(uintptr_t)table_get(&config->by_name, lowered);
    *found = number != 0;
    return number != 0 ? number - 1 : 0;
}

static int on_server_name(SSL *ssl, int *alert, void *context)
{
    (void)alert;
    const struct tls_set *set = context;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    bool found;
    size_t i = find_identity(set->config, str_of(name), &found);
    if (!found) // it keeps the certificate of the domain its stream named, or the first
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, set->contexts[i]);
    return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *context)
{
    (void)context;
    struct tls *tls = BIO_get_data(SSL_get_rbio(ssl));
    bool http = tls->protocol == TLS_HTTP;
    const unsigned char *ours = http ? alpn_http : alpn_client;
    unsigned len = http ? sizeof alpn_http - 1 : sizeof alpn_client - 1;
    // a client that speaks of other protocols only was led here by somebody: end it (RFC 7301 §3.2)
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    tls->alpn = true;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *new_context(struct tls_home *home, bool client, const struct tls_policy *policy)
{
    const char *ciphers = policy->ciphers;
    if (ciphers == NULL || ciphers[0] == '\0')
        ciphers = ciphers_12;
    SSL_CTX *ctx =
        SSL_CTX_new_ex(home->lib, NULL, client ? TLS_client_method() : TLS_server_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ctx, policy->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) !=
            1 ||
        SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, ciphers) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, ciphers_13) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1 ||
        SSL_CTX_set_num_tickets(ctx, 0) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

// Of the ciphers that are left some may protect nothing: OpenSSL means them for tests.
static enum err check_left(const SSL_CTX *ctx, struct why *why)
{
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (SSL_CIPHER_get_cipher_nid(cipher) == NID_undef)
            return why_say(why, ERR_MALFORMED, "%s does not encrypt", SSL_CIPHER_get_name(cipher));
        if (SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null)
            return why_say(why, ERR_MALFORMED, "%s does not say who the server is",
                           SSL_CIPHER_get_name(cipher));
    }
    return OK;
}

// OpenSSL itself passes over a word that it does not know.  What is taken away or moved need not
// be there; @ begins a command.
static enum err check_words(SSL_CTX *ctx, const char *list, struct why *why)
{
    static const char separators[] = ":, ;";
    char word[256];
    for (const char *at = list + strspn(list, separators); *at != '\0';
         at += strspn(at, separators)) {
        size_t len = strcspn(at, separators);
        struct str text = str_make(at, len);
        at += len;
        if (strchr("!-+@", text.at[0]) != NULL)
            continue;
        if (str_to_z(text, word, sizeof word) != OK || SSL_CTX_set_cipher_list(ctx, word) != 1)
            return why_say(why, ERR_MALFORMED, "\"%.*s\" names no cipher of TLS 1.2",
                           STR_ARGS(text));
    }
    return OK;
}

enum err tls_check_ciphers(const char *list, struct why *why)
{
    struct tls_home *home = NULL;
    enum err e = tls_home_new(&home, why);
    if (e != OK)
        return e;
    SSL_CTX *ctx = new_context(home, false, &default_policy);
    if (ctx == NULL)
        e = why_say(why, ERR_IO, "OpenSSL refuses our TLS policy: %s", last_complaint());
    if (e == OK)
        e = check_words(ctx, list, why);
    if (e == OK && SSL_CTX_set_cipher_list(ctx, list) != 1)
        e = why_say(why, ERR_MALFORMED, "it leaves no cipher of TLS 1.2");
    if (e == OK)
        e = check_left(ctx, why);
    ERR_clear_error();
    SSL_CTX_free(ctx);
    tls_home_free(&home);
    return e;
}

static enum err read_file(const char *path, const char *what, struct arena *arena, struct str *out,
                          struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return why_say(why, errno == ENOENT ? ERR_MISSING : ERR_IO, "cannot read the %s '%s': %m",
                       what, path);
    struct stat st;
    enum err e = OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        e = why_say(why, ERR_MALFORMED, "the %s '%s' is not a file", what, path);
    else if (st.st_size > PEM_FILE_MOST)
        e = why_say(why, ERR_LIMIT, "the %s '%s' is larger than %d bytes", what, path,
                    PEM_FILE_MOST);
    if (e == OK) {
        char *at = arena_alloc(arena, (size_t)st.st_size + 1);
        ssize_t n = read(fd, at, (size_t)st.st_size);
        if (n != st.st_size)
            e = why_say(why, ERR_IO, "cannot read the %s '%s': %m", what, path);
        else
            *out = str_make(at, (size_t)n);
    }
    close(fd);
    return e;
}

static int no_passphrase(char *at, int size, int writing, void *context)
{
    (void)at;
    (void)size;
    (void)writing;
    (void)context;
    return 0;
}

static int64_t asn1_time_us(const ASN1_TIME *time)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm) * SECOND_US;
}

static enum err use_chain(SSL_CTX *ctx, struct tls_home *home, struct str pem, const char *path,
                          int64_t *expires_us, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    must(bio != NULL);
    size_t n = 0;
    enum err e = OK;
    while (e == OK) {
        X509 *made = X509_new_ex(home->lib, NULL);
        must(made != NULL);
        X509 *x = PEM_read_bio_X509(bio, &made, no_passphrase, NULL);
        if (x == NULL) {
            X509_free(made);
            break;
        }
        long good = n == 0 ? SSL_CTX_use_certificate(ctx, x) : SSL_CTX_add1_chain_cert(ctx, x);
        if (good != 1)
            e = why_say(why, ERR_MALFORMED, "the certificate '%s' cannot be used: %s", path,
                        last_complaint());
        if (n == 0)
            *expires_us = asn1_time_us(X509_get0_notAfter(x));
        X509_free(x);
        n++;
    }
    if (e == OK) {
        unsigned long code = ERR_peek_last_error();
        if (n == 0)
            e = why_say(why, ERR_MALFORMED, "there is no certificate in '%s' (PEM is wanted)",
                        path);
        else if (code != 0 && ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
            e = why_say(why, ERR_MALFORMED, "certificate %zu of '%s' is damaged: %s", n + 1, path,
                        last_complaint());
    }
    ERR_clear_error();
    BIO_free(bio);
    return e;
}

static enum err use_key(SSL_CTX *ctx, struct tls_home *home, struct str pem, const char *path,
                        const char *chain_path, struct why *why)
{
    BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
    must(bio != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(bio, NULL, no_passphrase, NULL, home->lib, NULL);
    BIO_free(bio);
    if (key == NULL) {
        bool locked = str_find(pem, STR("ENCRYPTED")) < pem.len;
        const char *complaint = last_complaint();
        if (locked)
            return why_say(why, ERR_MALFORMED, "the key '%s' is protected by a passphrase", path);
        return why_say(why, ERR_MALFORMED, "there is no usable private key in '%s': %s", path,
                       complaint);
    }
    enum err e = OK;
    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
        e = why_say(why, ERR_MALFORMED, "the key '%s' does not belong to the certificate '%s'",
                    path, chain_path);
    else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
        e = why_say(why, ERR_MALFORMED, "the key '%s' cannot be used: %s", path, last_complaint());
    EVP_PKEY_free(key);
    ERR_clear_error();
    return e;
}

static struct tls_config *new_config(size_t n_identities, struct tls_home *const *homes,
                                     size_t n_homes)
{
    struct tls_config *config = calloc(1, sizeof *config);
    must(config != NULL);
    atomic_init(&config->n_refs, 1);
    arena_init(&config->arena, SIZE_MAX / 2);
    table_init(&config->by_name, NAMES_MOST);
    config->n_identities = n_identities;
    config->n_sets = n_homes;
    config->sets = arena_make_array(&config->arena, struct tls_set, n_homes);
    config->expires_us = arena_make_array(&config->arena, int64_t, n_identities);
    config->first_names = arena_make_array(&config->arena, struct str, n_identities);
    for (size_t i = 0; i < n_homes; i++)
        config->sets[i] = (struct tls_set){
            .config = config,
            .home = homes[i],
            .contexts = arena_make_array(&config->arena, SSL_CTX *, n_identities),
        };
    return config;
}

static enum err add_identity(struct tls_config *config, const struct tls_identity *identity,
                             const struct tls_policy *policy, size_t number, struct why *why)
{
    if (identity->n_names > 0)
        config->first_names[number] = arena_str(&config->arena, identity->names[0]);
    for (size_t i = 0; i < identity->n_names; i++) {
        char text[NAME_MOST + 1];
        struct str lowered;
        if (!lower_name(identity->names[i], text, &lowered))
            return why_say(why, ERR_MALFORMED, "'%.*s' is no name for a certificate",
                           STR_ARGS(identity->names[i]));
        enum err e = table_put(&config->by_name, arena_str(&config->arena, lowered),
                               (void *)(uintptr_t)(number + 1));
        if (e == ERR_EXISTS)
            return why_say(why, e, "two certificates are given for '%.*s'",
                           STR_ARGS(identity->names[i]));
        if (e != OK)
            return why_say(why, e, "too many names");
    }
    struct arena files; // key bytes: wiped below
    arena_init(&files, 2 * (size_t)PEM_FILE_MOST + 64);
    struct str chain = STR_EMPTY, key = STR_EMPTY;
    enum err e = read_file(identity->chain_file, "certificate", &files, &chain, why);
    if (e == OK)
        e = read_file(identity->key_file, "key", &files, &key, why);
    for (size_t i = 0; e == OK && i < config->n_sets; i++) {
        struct tls_set *set = &config->sets[i];
        SSL_CTX *ctx = new_context(set->home, false, policy);
        if (ctx == NULL) {
            e = why_say(why, ERR_IO, "OpenSSL refuses our TLS policy: %s", last_complaint());
            break;
        }
        set->contexts[number] = ctx;
        SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
        SSL_CTX_set_tlsext_servername_arg(ctx, set);
        SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
        e = use_chain(ctx, set->home, chain, identity->chain_file, &config->expires_us[number],
                      why);
        if (e == OK)
            e = use_key(ctx, set->home, key, identity->key_file, identity->chain_file, why);
    }
    OPENSSL_cleanse((void *)(uintptr_t)key.at, key.len);
    arena_done(&files);
    return e;
}

enum err tls_config_new_server(const struct tls_identity *identities, size_t n,
                               const struct tls_policy *policy, struct tls_home *const *homes,
                               size_t n_homes, struct tls_config **out, struct why *why)
{
    must(n > 0 && n_homes > 0);
    struct tls_config *config = new_config(n, homes, n_homes);
    enum err e = OK;
    for (size_t i = 0; e == OK && i < n; i++)
        e = add_identity(config, &identities[i], policy != NULL ? policy : &default_policy, i, why);
    if (e != OK) {
        tls_config_unref(&config);
        return e;
    }
    *out = config;
    return OK;
}

enum err tls_config_new_client(const char *ca_file, struct tls_home *const *homes, size_t n_homes,
                               struct tls_config **out, struct why *why)
{
    must(n_homes > 0);
    struct tls_config *config = new_config(1, homes, n_homes);
    config->client = true;
    config->verify = ca_file != NULL;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < n_homes; i++) {
        SSL_CTX *ctx = new_context(homes[i], true, &default_policy);
        if (ctx == NULL) {
            e = why_say(why, ERR_IO, "OpenSSL refuses our TLS policy: %s", last_complaint());
            break;
        }
        config->sets[i].contexts[0] = ctx;
        if (ca_file == NULL)
            continue;
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        int good = *ca_file == '\0' ? SSL_CTX_set_default_verify_paths(ctx)
                                    : SSL_CTX_load_verify_file(ctx, ca_file);
        if (good != 1)
            e = why_say(why, ERR_IO, "cannot read trusted certificates from '%s': %s", ca_file,
                        last_complaint());
    }
    if (e != OK) {
        tls_config_unref(&config);
        return e;
    }
    *out = config;
    return OK;
}

struct tls_config *tls_config_ref(struct tls_config *config)
{
    atomic_fetch_add_explicit(&config->n_refs, 1, memory_order_relaxed);
    return config;
}

void tls_config_unref(struct tls_config **p)
{
    struct tls_config *config = TAKE(*p);
    if (config == NULL || atomic_fetch_sub_explicit(&config->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < config->n_sets; i++)
        for (size_t k = 0; k < config->n_identities; k++)
            SSL_CTX_free(config->sets[i].contexts[k]);
    table_done(&config->by_name);
    struct arena arena = config->arena;
    free(config);
    arena_done(&arena);
}

size_t tls_config_count(const struct tls_config *config)
{
    return config->n_identities;
}

int64_t tls_config_expires_us(const struct tls_config *config, size_t i)
{
    must(i < config->n_identities);
    return config->expires_us[i];
}

struct str tls_config_name(const struct tls_config *config, size_t i)
{
    must(i < config->n_identities);
    return config->first_names[i];
}

size_t tls_config_find(const struct tls_config *config, struct str name)
{
    bool found;
    return find_identity(config, name, &found);
}

// --- sessions

struct tls *tls_new(struct tls_config *config, size_t home, bool client, struct str name,
                    enum tls_protocol protocol, bool alpn)
{
    must(home < config->n_sets && client == config->client);
    struct tls *tls = calloc(1, sizeof *tls);
    must(tls != NULL);
    tls->config = tls_config_ref(config);
    tls->why = "";
    tls->protocol = protocol;
    const struct tls_set *set = &config->sets[home];
    tls->ssl = SSL_new(set->contexts[client ? 0 : tls_config_find(config, name)]);
    must(tls->ssl != NULL);
    if (!client) {
        SSL_set_accept_state(tls->ssl);
        return tls;
    }
    SSL_set_connect_state(tls->ssl);
    char text[NAME_MOST + 1];
    struct str lowered;
    if (lower_name(name, text, &lowered)) {
        SSL_set_tlsext_host_name(tls->ssl, text);
        if (config->verify)
            SSL_set1_host(tls->ssl, text);
    }
    if (alpn)
        SSL_set_alpn_protos(tls->ssl, alpn_client, sizeof alpn_client - 1);
    return tls;
}

void tls_free(struct tls **p)
{
    struct tls *tls = TAKE(*p);
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    tls_config_unref(&tls->config);
    free(tls);
}

// For one call into OpenSSL, which gives nothing back to its sockets but what the wire is for.
static void plug_in(struct tls *tls, struct tls_wire *wire)
{
    BIO *bio = wire->home->bio;
    tls->wire = wire;
    BIO_set_data(bio, tls);
    if (SSL_get_rbio(tls->ssl) == bio)
        return;
    must(BIO_up_ref(bio) == 1); // the first call, or the first on another worker
    SSL_set_bio(tls->ssl, bio, bio);
}

// OpenSSL keeps both sides' keys of the exchange for as long as the connection: half a kilobyte
// that nothing reads any more, one of it secret.
static void forget_exchange(SSL *ssl)
{
    EVP_PKEY *keys[2] = {NULL, NULL};
    SSL_get_peer_tmp_key(ssl, &keys[0]);
    SSL_get_tmp_key(ssl, &keys[1]);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (keys[i] != NULL)
            EVP_PKEY_set_type(keys[i], EVP_PKEY_X25519); // wipes and frees what is in it
        EVP_PKEY_free(keys[i]);
    }
    ERR_clear_error();
}

static enum tls_step judge(struct tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        tls->why = last_complaint();
        return TLS_BROKEN;
    }
}

enum tls_step tls_handshake(struct tls *tls, struct tls_wire *wire)
{
    plug_in(tls, wire);
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return judge(tls, result);
    forget_exchange(tls->ssl);
    if (tls->config->client) {
        const unsigned char *protocol;
        unsigned len;
        SSL_get0_alpn_selected(tls->ssl, &protocol, &len);
        tls->alpn = len > 0;
    }
    return TLS_DONE;
}

enum tls_step tls_read(struct tls *tls, struct tls_wire *wire, char *at, size_t room, size_t *n)
{
    plug_in(tls, wire);
    size_t more;
    int result;
    *n = 0;
    // OpenSSL would give its buffer back after each record, and take it again for the next one
    SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
    for (; (result = SSL_read_ex(tls->ssl, at + *n, room - *n, &more)) == 1; *n += more)
        must(more < room - *n);
    enum tls_step step = judge(tls, result);
    SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_free_buffers(tls->ssl);
    return step;
}

enum tls_step tls_write(struct tls *tls, struct tls_wire *wire, struct str bytes)
{
    plug_in(tls, wire);
    must(bytes.len > 0 && bytes.len <= TLS_RECORD_MOST);
    size_t n;
    int result = SSL_write_ex(tls->ssl, bytes.at, bytes.len, &n);
    return result == 1 ? TLS_DONE : judge(tls, result);
}

void tls_say_goodbye(struct tls *tls, struct tls_wire *wire)
{
    plug_in(tls, wire);
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

const char *tls_why(const struct tls *tls)
{
    return tls->why;
}

// --- facts

const char *tls_version(const struct tls *tls)
{
    return SSL_get_version(tls->ssl);
}

bool tls_has_alpn(const struct tls *tls)
{
    return tls->alpn;
}

static enum err bind_exporter(const struct tls *tls, unsigned char out[TLS_BINDING_MOST],
                              size_t *len)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    // an empty context, not none: the two differ under TLS 1.2 (RFC 5705 §4, RFC 9266 §2)
    if (SSL_export_keying_material(tls->ssl, out, 32, label, sizeof label - 1,
                                   (const unsigned char *)"", 0, 1) != 1) {
        ERR_clear_error();
        return ERR_UNSUPPORTED;
    }
    *len = 32;
    return OK;
}

static X509 *certificate_of(const struct tls *tls)
{
    return tls->config->client ? SSL_get0_peer_certificate(tls->ssl)
                               : SSL_get_certificate(tls->ssl);
}

static int signature_hash(X509 *certificate)
{
    int hash = NID_undef;
    if (certificate == NULL || X509_get_signature_info(certificate, &hash, NULL, NULL, NULL) != 1) {
        ERR_clear_error();
        return NID_undef;
    }
    return hash;
}

static enum err bind_server_end_point(const struct tls *tls, unsigned char out[TLS_BINDING_MOST],
                                      size_t *len)
{
    X509 *certificate = certificate_of(tls);
    int hash = signature_hash(certificate);
    if (hash == NID_md5 || hash == NID_sha1) // RFC 5929 §4.1
        hash = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(hash);
    unsigned n = 0;
    if (md == NULL || EVP_MD_get_size(md) > TLS_BINDING_MOST ||
        X509_digest(certificate, md, out, &n) != 1) {
        ERR_clear_error();
        return ERR_UNSUPPORTED;
    }
    *len = n;
    return OK;
}

// Sessions are never resumed here, so the first Finished is always the client's.
static enum err bind_unique(const struct tls *tls, unsigned char *out, size_t *len)
{
    size_t n = SSL_is_server(tls->ssl) ? SSL_get_peer_finished(tls->ssl, out, TLS_BINDING_MOST)
                                       : SSL_get_finished(tls->ssl, out, TLS_BINDING_MOST);
    if (n == 0 || n > TLS_BINDING_MOST)
        return ERR_UNSUPPORTED;
    *len = n;
    return OK;
}

bool tls_can_bind(const struct tls *tls, enum tls_binding kind)
{
    if (!SSL_is_init_finished(tls->ssl))
        return false;
    switch (kind) {
    case TLS_EXPORTER: // RFC 9266 §3: not unique without the extended master secret
        return SSL_version(tls->ssl) >= TLS1_3_VERSION || SSL_get_extms_support(tls->ssl) == 1;
    case TLS_UNIQUE:
        return true;
    default:
        return signature_hash(certificate_of(tls)) != NID_undef;
    }
}

enum err tls_bind(const struct tls *tls, enum tls_binding kind, unsigned char out[TLS_BINDING_MOST],
                  size_t *len)
{
    if (!tls_can_bind(tls, kind))
        return ERR_UNSUPPORTED;
    switch (kind) {
    case TLS_EXPORTER:
        return bind_exporter(tls, out, len);
    case TLS_UNIQUE:
        return bind_unique(tls, out, len);
    default:
        return bind_server_end_point(tls, out, len);
    }
}
