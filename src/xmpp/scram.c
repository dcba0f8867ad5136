#include "xmpp/scram.h"

#include "base/base64.h"
#include "base/must.h"
#include "base/random.h"
#include "xmpp/prepare.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

enum {
    NONCE_SIZE = 18, // bytes, 144 bits: 24 letters of base64 without padding
    EXCHANGE_MOST = 8 * SCRAM_MESSAGE_MOST,
    HMAC_BLOCK = 64, // of both hashes
};

struct scram_crypto {
    EVP_MD *digests[SCRAM_N_HASHES];
    EVP_KDF *pbkdf2;
};

static const struct {
    const char *digest, *mechanism;
    size_t size;
} hashes[SCRAM_N_HASHES] = {
    [SCRAM_SHA_1] = {"SHA1",   "SCRAM-SHA-1",   20},
    [SCRAM_SHA_256] = {"SHA256", "SCRAM-SHA-256", 32},
};

size_t scram_key_size(enum scram_hash hash)
{
    return hashes[hash].size;
}

const char *channel_binding_name(enum channel_binding binding)
{
    static const char *const names[N_CHANNEL_BINDINGS] = {
        [BINDING_TLS_EXPORTER] = "tls-exporter",
        [BINDING_TLS_SERVER_END_POINT] = "tls-server-end-point",
        [BINDING_TLS_UNIQUE] = "tls-unique",
    };
    return names[binding];
}

const char *scram_error_name(enum scram_error error)
{
    static const char *const names[] = {
        [SCRAM_FINE] = "fine",
        [SCRAM_INVALID_ENCODING] = "invalid-encoding",
        [SCRAM_EXTENSIONS_NOT_SUPPORTED] = "extensions-not-supported",
        [SCRAM_INVALID_PROOF] = "invalid-proof",
        [SCRAM_CHANNEL_BINDINGS_DONT_MATCH] = "channel-bindings-dont-match",
        [SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING] = "server-does-support-channel-binding",
        [SCRAM_CHANNEL_BINDING_NOT_SUPPORTED] = "channel-binding-not-supported",
        [SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE] = "unsupported-channel-binding-type",
        [SCRAM_UNKNOWN_USER] = "unknown-user",
        [SCRAM_INVALID_USERNAME_ENCODING] = "invalid-username-encoding",
        [SCRAM_NO_RESOURCES] = "no-resources",
        [SCRAM_OTHER_ERROR] = "other-error",
    };
    return names[error];
}

struct scram_crypto *scram_crypto_new(OSSL_LIB_CTX *lib)
{
    struct scram_crypto *crypto = calloc(1, sizeof *crypto);
    must(crypto != NULL);
    for (int i = 0; i < SCRAM_N_HASHES; i++) {
        crypto->digests[i] = EVP_MD_fetch(lib, hashes[i].digest, NULL);
        must(crypto->digests[i] != NULL);
    }
    crypto->pbkdf2 = EVP_KDF_fetch(lib, OSSL_KDF_NAME_PBKDF2, NULL);
    must(crypto->pbkdf2 != NULL);
    return crypto;
}

void scram_crypto_free(struct scram_crypto **crypto)
{
    struct scram_crypto *c = TAKE(*crypto);
    if (c == NULL)
        return;
    for (int i = 0; i < SCRAM_N_HASHES; i++)
        EVP_MD_free(c->digests[i]);
    EVP_KDF_free(c->pbkdf2);
    free(c);
}

static struct str bytes_of(const unsigned char *bytes, size_t size)
{
    return str_make((const char *)bytes, size);
}

// One of HMAC's two digests: of the key under its pad, then of the parts.
static void pad_and_digest(EVP_MD_CTX *context, const EVP_MD *md, struct str key, unsigned char pad,
                           const struct str *parts, size_t n_parts,
                           unsigned char out[SCRAM_KEY_MOST])
{
    unsigned char block[HMAC_BLOCK];
    must(key.len <= sizeof block);
    memset(block, pad, sizeof block);
    for (size_t i = 0; i < key.len; i++)
        block[i] ^= (unsigned char)key.at[i];
    must(EVP_DigestInit_ex2(context, md, NULL) == 1);
    must(EVP_DigestUpdate(context, block, sizeof block) == 1);
    for (size_t i = 0; i < n_parts; i++)
        must(EVP_DigestUpdate(context, parts[i].at, parts[i].len) == 1);
    must(EVP_DigestFinal_ex(context, out, NULL) == 1);
    OPENSSL_cleanse(block, sizeof block);
}

// RFC 2104, on digests that were fetched once: OpenSSL's own HMAC looks its digest up by name for
// each key, and a login needs eight.
static void hmac(const struct scram_crypto *crypto, enum scram_hash hash, struct str key,
                 const struct str *parts, size_t n_parts, unsigned char out[SCRAM_KEY_MOST])
{
    const EVP_MD *md = crypto->digests[hash];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    unsigned char inner[SCRAM_KEY_MOST];
    pad_and_digest(context, md, key, 0x36, parts, n_parts, inner);
    struct str inner_text = bytes_of(inner, hashes[hash].size);
    pad_and_digest(context, md, key, 0x5c, &inner_text, 1, out);
    OPENSSL_cleanse(inner, sizeof inner);
    EVP_MD_CTX_free(context);
}

static void digest(const struct scram_crypto *crypto, enum scram_hash hash, struct str text,
                   unsigned char out[SCRAM_KEY_MOST])
{
    unsigned size;
    must(EVP_Digest(text.at, text.len, out, &size, crypto->digests[hash], NULL) == 1);
    must(size == hashes[hash].size);
}

static void pbkdf2(const struct scram_crypto *crypto, enum scram_hash hash, struct str password,
                   struct str salt, uint32_t iterations, unsigned char out[SCRAM_KEY_MOST])
{
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(crypto->pbkdf2);
    must(context != NULL);
    char name[16];
    must(str_to_z(str_of(hashes[hash].digest), name, sizeof name) == OK);
    // the salts of imported accounts may be shorter than what OpenSSL likes by default
    int any_sizes = 1;
    uint64_t n = iterations;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)password.at,
                                          password.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt.at, salt.len),
        OSSL_PARAM_construct_uint64(OSSL_KDF_PARAM_ITER, &n),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &any_sizes),
        OSSL_PARAM_construct_end(),
    };
    must(EVP_KDF_derive(context, out, hashes[hash].size, params) == 1);
    EVP_KDF_CTX_free(context);
}

enum err scram_derive(const struct scram_crypto *crypto, enum scram_hash hash, struct str password,
                      struct str salt, uint32_t iterations, struct scram_keys *out)
{
    must(salt.len > 0 && salt.len <= SCRAM_SALT_MOST && iterations > 0);
    struct arena arena;
    arena_init(&arena, 16 * PASSWORD_MOST);
    struct str prepared;
    enum err e = prepare_password(&arena, password, &prepared);
    if (e != OK) {
        arena_done(&arena);
        return e;
    }
    size_t size = hashes[hash].size;
    unsigned char salted[SCRAM_KEY_MOST], client_key[SCRAM_KEY_MOST];
    pbkdf2(crypto, hash, prepared, salt, iterations, salted);
    OPENSSL_cleanse((char *)prepared.at, prepared.len);
    arena_done(&arena);

    // RFC 5802 §3
    *out = (struct scram_keys){.iterations = iterations, .salt_size = (uint8_t)salt.len};
    memcpy(out->salt, salt.at, salt.len);
    hmac(crypto, hash, bytes_of(salted, size), &STR("Client Key"), 1, client_key);
    digest(crypto, hash, bytes_of(client_key, size), out->stored_key);
    hmac(crypto, hash, bytes_of(salted, size), &STR("Server Key"), 1, out->server_key);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return OK;
}

enum err scram_credentials(const struct scram_crypto *crypto, struct str password,
                           uint32_t iterations, struct credentials *out)
{
    struct credentials made = {0};
    for (int i = 0; i < SCRAM_N_HASHES; i++) {
        unsigned char salt[SCRAM_SALT_FRESH];
        random_bytes(salt, sizeof salt);
        enum err e = scram_derive(crypto, (enum scram_hash)i, password, bytes_of(salt, sizeof salt),
                                  iterations, &made.keys[i]);
        if (e != OK)
            return e;
    }
    *out = made;
    return OK;
}

bool scram_password_fits(const struct scram_crypto *crypto, const struct credentials *credentials,
                         struct str password)
{
    enum scram_hash hash =
        credentials->keys[SCRAM_SHA_256].iterations != 0 ? SCRAM_SHA_256 : SCRAM_SHA_1;
    const struct scram_keys *keys = &credentials->keys[hash];
    if (keys->iterations == 0 || keys->salt_size == 0)
        return false;
    struct scram_keys derived;
    if (scram_derive(crypto, hash, password, bytes_of(keys->salt, keys->salt_size),
                     keys->iterations, &derived) != OK)
        return false;
    bool fits = str_eq_secret(bytes_of(derived.stored_key, hashes[hash].size),
                              bytes_of(keys->stored_key, hashes[hash].size));
    OPENSSL_cleanse(&derived, sizeof derived);
    return fits;
}

void scram_fake(const struct scram_crypto *crypto, const struct scram_secret *secret,
                struct str local, struct str domain, uint32_t iterations, struct credentials *out)
{
    *out = (struct credentials){0};
    struct str key = bytes_of(secret->bytes, sizeof secret->bytes);
    for (int i = 0; i < SCRAM_N_HASHES; i++) {
        struct scram_keys *keys = &out->keys[i];
        unsigned char made[SCRAM_KEY_MOST];
        struct str parts[] = {STR("salt "), str_of(hashes[i].mechanism), STR(" "), local, STR("@"),
                              domain};
        hmac(crypto, SCRAM_SHA_256, key, parts, COUNT_OF(parts), made);
        keys->iterations = iterations;
        keys->salt_size = SCRAM_SALT_FRESH;
        memcpy(keys->salt, made, SCRAM_SALT_FRESH);
        // keys that nobody has, in case a caller forgets that they are fakes
        parts[0] = STR("keys ");
        hmac(crypto, SCRAM_SHA_256, key, parts, COUNT_OF(parts), keys->stored_key);
        parts[0] = STR("more ");
        hmac(crypto, SCRAM_SHA_256, key, parts, COUNT_OF(parts), keys->server_key);
    }
}

// The exchange.

struct scram {
    const struct scram_crypto *crypto;
    struct scram_setting setting;
    struct arena arena;
    struct str gs2_header, first_bare, client_nonce; // of the client's first message
    struct str server_first, nonce;                  // of our answer
    bool bound, known;
    struct scram_keys keys;
};

struct scram *scram_new(const struct scram_crypto *crypto, const struct scram_setting *setting)
{
    struct scram *scram = calloc(1, sizeof *scram);
    must(scram != NULL);
    scram->crypto = crypto;
    scram->setting = *setting;
    arena_init(&scram->arena, EXCHANGE_MOST);
    scram->setting.offer = arena_str(&scram->arena, setting->offer);
    return scram;
}

void scram_free(struct scram **scram)
{
    struct scram *s = TAKE(*scram);
    if (s == NULL)
        return;
    arena_done(&s->arena);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

// RFC 5802 §5.1: "=2C" and "=3D" stand for comma and equals; no other "=" may occur.
static bool decode_name(struct arena *arena, struct str text, struct str *out)
{
    if (text.len == 0 || !str_is_utf8(text))
        return false;
    char *name = arena_alloc(arena, text.len);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '=') {
            name[n++] = text.at[i];
            continue;
        }
        struct str rest = str_skip(text, i);
        if (str_starts(rest, STR("=2C")))
            name[n++] = ',';
        else if (str_starts(rest, STR("=3D")))
            name[n++] = '=';
        else
            return false;
        i += 2;
    }
    *out = str_make(name, n);
    return true;
}

// printable of RFC 5802 §7: ASCII without space and comma
static bool is_nonce(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7F || text.at[i] == ',')
            return false;
    return text.len > 0;
}

// Takes the next attribute, whose letter is known; false when another one, or none, comes.
static bool take_attribute(struct str *rest, char letter, struct str *value)
{
    if (rest->at == NULL || rest->len < 2 || rest->at[0] != letter || rest->at[1] != '=')
        return false;
    *value = str_skip(str_cut(rest, ','), 2);
    return true;
}

// attr-val: one letter, "=", at least one character, none of them NUL or comma
static bool is_extension(struct str text)
{
    if (text.len < 3 || text.at[1] != '=' || memchr(text.at, '\0', text.len) != NULL)
        return false;
    char c = text.at[0];
    return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) && str_is_utf8(text);
}

static bool are_extensions(struct str rest)
{
    while (rest.at != NULL)
        if (!is_extension(str_cut(&rest, ',')))
            return false;
    return true;
}

static enum scram_error read_binding_flag(struct scram *scram, struct str flag,
                                          struct scram_first *out)
{
    if (str_eq(flag, STR("n")))
        return scram->setting.plus ? SCRAM_OTHER_ERROR : SCRAM_FINE;
    if (str_eq(flag, STR("y"))) {
        // the client believes that we cannot bind: somebody took -PLUS out of our offer
        if (scram->setting.plus_offered)
            return SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING;
        return scram->setting.plus ? SCRAM_OTHER_ERROR : SCRAM_FINE;
    }
    if (!str_starts(flag, STR("p=")))
        return SCRAM_INVALID_ENCODING;
    if (!scram->setting.plus)
        return SCRAM_CHANNEL_BINDING_NOT_SUPPORTED;
    struct str name = str_skip(flag, 2);
    for (int i = 0; i < N_CHANNEL_BINDINGS; i++) {
        if ((scram->setting.bindings & 1U << i) == 0 ||
            !str_eq(name, str_of(channel_binding_name((enum channel_binding)i))))
            continue;
        out->bound = scram->bound = true;
        out->binding = (enum channel_binding)i;
        return SCRAM_FINE;
    }
    return SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE;
}

enum scram_error scram_read_first(struct scram *scram, struct str message, struct scram_first *out)
{
    must(scram->first_bare.len == 0);
    if (message.len > SCRAM_MESSAGE_MOST)
        return SCRAM_NO_RESOURCES;
    message = arena_str(&scram->arena, message);
    struct scram_first first = {.user = STR_EMPTY, .authzid = STR_EMPTY};
    struct str rest = message, value;

    struct str flag = str_cut(&rest, ',');
    enum scram_error e = read_binding_flag(scram, flag, &first);
    if (e != SCRAM_FINE)
        return e;
    if (rest.at == NULL)
        return SCRAM_INVALID_ENCODING;
    if (take_attribute(&rest, 'a', &value)) {
        if (!decode_name(&scram->arena, value, &first.authzid))
            return SCRAM_INVALID_USERNAME_ENCODING;
    } else if (str_cut(&rest, ',').len != 0) {
        return SCRAM_INVALID_ENCODING;
    }
    if (rest.at == NULL)
        return SCRAM_INVALID_ENCODING;
    scram->gs2_header = str_first(message, (size_t)(rest.at - message.at));
    scram->first_bare = rest;

    if (str_starts(rest, STR("m="))) // a mandatory extension; there are none
        return SCRAM_EXTENSIONS_NOT_SUPPORTED;
    if (!take_attribute(&rest, 'n', &value))
        return SCRAM_INVALID_ENCODING;
    if (!decode_name(&scram->arena, value, &first.user))
        return SCRAM_INVALID_USERNAME_ENCODING;
    if (!take_attribute(&rest, 'r', &value) || !is_nonce(value) || !are_extensions(rest))
        return SCRAM_INVALID_ENCODING;
    scram->client_nonce = value;
    *out = first;
    return SCRAM_FINE;
}

void scram_challenge(struct scram *scram, const struct scram_keys *keys, bool known,
                     struct str our_nonce, struct buf *out)
{
    must(scram->client_nonce.len > 0 && scram->server_first.len == 0);
    must(keys->iterations > 0);
    scram->keys = *keys;
    scram->known = known;
    struct arena *arena = &scram->arena;
    if (our_nonce.len == 0) {
        unsigned char bytes[NONCE_SIZE];
        random_bytes(bytes, sizeof bytes);
        our_nonce = base64_encode(arena, bytes_of(bytes, sizeof bytes));
    }
    struct str salt = base64_encode(arena, bytes_of(keys->salt, keys->salt_size));
    scram->server_first =
        arena_printf(arena, "r=%.*s%.*s,s=%.*s,i=%u", STR_ARGS(scram->client_nonce),
                     STR_ARGS(our_nonce), STR_ARGS(salt), (unsigned)keys->iterations);
    scram->nonce = str_make(scram->server_first.at + 2, scram->client_nonce.len + our_nonce.len);
    if (scram->setting.offer.len > 0) {
        unsigned char hash[SCRAM_KEY_MOST];
        digest(scram->crypto, scram->setting.hash, scram->setting.offer, hash);
        struct str text = base64_encode(arena, bytes_of(hash, hashes[scram->setting.hash].size));
        scram->server_first =
            arena_printf(arena, "%.*s,h=%.*s", STR_ARGS(scram->server_first), STR_ARGS(text));
    }
    buf_add(out, scram->server_first);
}

// The proof: the key that it hides must hash to the stored one.
static bool proof_fits(const struct scram *scram, struct str without_proof, struct str proof)
{
    enum scram_hash hash = scram->setting.hash;
    size_t size = hashes[hash].size;
    unsigned char signature[SCRAM_KEY_MOST], found[SCRAM_KEY_MOST];
    struct str message[] = {scram->first_bare, STR(","), scram->server_first, STR(","),
                            without_proof};
    hmac(scram->crypto, hash, bytes_of(scram->keys.stored_key, size), message, COUNT_OF(message),
         signature);
    for (size_t i = 0; i < size; i++)
        signature[i] ^= (unsigned char)proof.at[i];
    digest(scram->crypto, hash, bytes_of(signature, size), found);
    OPENSSL_cleanse(signature, sizeof signature);
    bool fits = str_eq_secret(bytes_of(found, size), bytes_of(scram->keys.stored_key, size));
    // both are computed for everybody: the time tells nothing
    return fits && scram->known;
}

static bool binding_fits(struct scram *scram, struct str got, struct str binding_data)
{
    if (got.len != scram->gs2_header.len + binding_data.len)
        return false;
    return str_eq(str_first(got, scram->gs2_header.len), scram->gs2_header) &&
           str_eq_secret(str_skip(got, scram->gs2_header.len), binding_data);
}

enum scram_error scram_read_final(struct scram *scram, struct str message, struct str binding_data,
                                  struct buf *out)
{
    must(scram->server_first.len > 0);
    if (message.len > SCRAM_MESSAGE_MOST)
        return SCRAM_NO_RESOURCES;
    enum scram_hash hash = scram->setting.hash;
    size_t size = hashes[hash].size;
    struct str rest = message, binding, nonce, proof;
    if (str_starts(rest, STR("m=")))
        return SCRAM_EXTENSIONS_NOT_SUPPORTED;
    if (!take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce))
        return SCRAM_INVALID_ENCODING;
    while (rest.at != NULL && !str_starts(rest, STR("p=")))
        if (!is_extension(str_cut(&rest, ',')))
            return SCRAM_INVALID_ENCODING;
    if (rest.at == NULL || rest.at == message.at)
        return SCRAM_INVALID_ENCODING;
    struct str without_proof = str_first(message, (size_t)(rest.at - message.at) - 1);
    // the proof is last: whatever follows makes it bad base64
    if (base64_decode(&scram->arena, str_skip(rest, 2), SCRAM_KEY_MOST, &proof) != OK ||
        base64_decode(&scram->arena, binding, SCRAM_MESSAGE_MOST, &binding) != OK)
        return SCRAM_INVALID_ENCODING;
    if (!str_eq(nonce, scram->nonce))
        return SCRAM_OTHER_ERROR;
    if (scram->bound && binding_data.len == 0)
        return SCRAM_CHANNEL_BINDING_NOT_SUPPORTED;
    if (!binding_fits(scram, binding, scram->bound ? binding_data : STR_EMPTY))
        return SCRAM_CHANNEL_BINDINGS_DONT_MATCH;
    if (proof.len != size)
        return SCRAM_INVALID_ENCODING;
    if (!proof_fits(scram, without_proof, proof))
        return scram->known ? SCRAM_INVALID_PROOF : SCRAM_UNKNOWN_USER;

    unsigned char signature[SCRAM_KEY_MOST];
    struct str signed_text[] = {scram->first_bare, STR(","), scram->server_first, STR(","),
                                without_proof};
    hmac(scram->crypto, hash, bytes_of(scram->keys.server_key, size), signed_text,
         COUNT_OF(signed_text), signature);
    buf_add(out, STR("v="));
    base64_add(out, bytes_of(signature, size));
    return SCRAM_FINE;
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void add_sorted(struct buf *out, struct arena *arena, const struct str *names, size_t n)
{
    struct str *sorted = arena_make_array(arena, struct str, n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = names[i];
    qsort(sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_add_char(out, '\x1E');
        buf_add(out, sorted[i]);
    }
}

struct str scram_offer_text(struct arena *arena, const struct str *mechanisms, size_t n_mechanisms,
                            const struct str *bindings, size_t n_bindings)
{
    struct buf text;
    buf_init(&text, 4096);
    add_sorted(&text, arena, mechanisms, n_mechanisms);
    if (n_bindings > 0) {
        buf_add_char(&text, '\x1F');
        add_sorted(&text, arena, bindings, n_bindings);
    }
    struct str made = arena_str(arena, buf_str(&text));
    buf_done(&text);
    return made;
}
