/*
 * SCRAM as a client, on OpenSSL: an instrument must not share the code under
 * test, so nothing here comes from the server's SASL.
 */
#include "drill/client/login.h"

#include "base/base64.h"
#include "base/must.h"
#include "base/random.h"
#include "base/table.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

enum { KEY_MOST = 32, MESSAGE_MOST = 1024, KEYS_MOST = 1000000 };

struct derived {
    unsigned char client_key[KEY_MOST], server_key[KEY_MOST];
    char name[]; // the table's key
};

struct derived_keys {
    struct table table;
};

struct derived_keys *derived_keys_new(void)
{
    struct derived_keys *keys = malloc(sizeof *keys);
    must(keys != NULL);
    table_init(&keys->table, KEYS_MOST);
    return keys;
}

void derived_keys_free(struct derived_keys **keys)
{
    if (*keys == NULL)
        return;
    size_t at = 0;
    for (void *derived; (derived = table_next(&(*keys)->table, &at)) != NULL;)
        free(derived);
    table_done(&(*keys)->table);
    free(*keys);
    *keys = NULL;
}

const char *mechanism_name(enum mechanism mechanism)
{
    static const char *const names[] = {"", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"};
    must((size_t)mechanism < COUNT_OF(names));
    return names[mechanism];
}

enum err login_begin(struct login *login, enum mechanism mechanism, struct str user,
                     struct str password, struct buf *out)
{
    *login = (struct login){.mechanism = mechanism, .user = user, .password = password};
    char text[MESSAGE_MOST];
    if (user.len > 255 || password.len > 255)
        return ERR_LIMIT;
    if (mechanism == MECHANISM_PLAIN) {
        int n =
            snprintf(text, sizeof text, "%c%.*s%c%.*s", 0, STR_ARGS(user), 0, STR_ARGS(password));
        base64_add(out, str_make(text, (size_t)n));
        return OK;
    }
    random_id_z(login->nonce);
    // the drill's names hold neither ',' nor '=', which would want escaping
    if (str_find_char(user, ',') < user.len || str_find_char(user, '=') < user.len)
        return ERR_MALFORMED;
    snprintf(login->first_bare, sizeof login->first_bare, "n=%.*s,r=%s", STR_ARGS(user),
             login->nonce);
    int n = snprintf(text, sizeof text, "n,,%s", login->first_bare);
    base64_add(out, str_make(text, (size_t)n));
    return OK;
}

static const EVP_MD *digest_of(enum mechanism mechanism)
{
    return mechanism == MECHANISM_SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
}

static void hmac(const EVP_MD *digest, const unsigned char *key, struct str text,
                 unsigned char out[KEY_MOST])
{
    must(HMAC(digest, key, EVP_MD_get_size(digest), (const unsigned char *)text.at, text.len, out,
              NULL) != NULL);
}

static void derive_keys(enum mechanism mechanism, struct str password, struct str salt,
                        int iterations, struct derived *out)
{
    const EVP_MD *digest = digest_of(mechanism);
    unsigned char salted[KEY_MOST];
    must(PKCS5_PBKDF2_HMAC(password.at, (int)password.len, (const unsigned char *)salt.at,
                           (int)salt.len, iterations, digest, EVP_MD_get_size(digest), salted));
    hmac(digest, salted, STR("Client Key"), out->client_key);
    hmac(digest, salted, STR("Server Key"), out->server_key);
}

static const struct derived *derive(struct derived_keys *keys, const struct login *login,
                                    struct str salt, int iterations)
{
    struct buf name;
    buf_init(&name, 4096);
    buf_printf(&name, "%d %d ", (int)login->mechanism, iterations);
    buf_add(&name, salt);
    buf_add(&name, login->password);
    struct derived *derived = table_get(&keys->table, buf_str(&name));
    if (derived == NULL) {
        derived = malloc(sizeof *derived + name.len);
        must(derived != NULL);
        memcpy(derived->name, name.at, name.len);
        derive_keys(login->mechanism, login->password, salt, iterations, derived);
        must(table_put(&keys->table, str_make(derived->name, name.len), derived) == OK);
    }
    buf_done(&name);
    return derived;
}

struct kept_keys login_kept_keys(enum mechanism mechanism, struct str password, struct str salt,
                                 int iterations)
{
    const EVP_MD *digest = digest_of(mechanism);
    struct kept_keys kept = {.size = (size_t)EVP_MD_get_size(digest)};
    struct derived derived;
    derive_keys(mechanism, password, salt, iterations, &derived);
    must(EVP_Digest(derived.client_key, kept.size, kept.stored_key, NULL, digest, NULL));
    memcpy(kept.server_key, derived.server_key, kept.size);
    return kept;
}

/* The value of a field "x=…" at the front of *rest, which moves on behind its comma. */
static bool cut_field(struct str *rest, char name, struct str *value)
{
    struct str field = str_cut(rest, ',');
    if (field.len < 2 || field.at[0] != name || field.at[1] != '=')
        return false;
    *value = str_skip(field, 2);
    return true;
}

/* Appends client-final-message and notes the signature that must come back. */
static void prove(struct login *login, const struct derived *derived, struct str server_first,
                  struct str nonce, struct buf *final)
{
    struct buf auth; // RFC 5802 §3 AuthMessage
    buf_init(&auth, 8192);
    buf_printf(final, "c=biws,r=%.*s", STR_ARGS(nonce));
    buf_printf(&auth, "%s,%.*s,%.*s", login->first_bare, STR_ARGS(server_first),
               STR_ARGS(buf_str(final)));

    const EVP_MD *digest = digest_of(login->mechanism);
    size_t key_size = (size_t)EVP_MD_get_size(digest);
    unsigned char stored_key[KEY_MOST], signature[KEY_MOST], proof[KEY_MOST];
    must(EVP_Digest(derived->client_key, key_size, stored_key, NULL, digest, NULL));
    hmac(digest, stored_key, buf_str(&auth), signature);
    for (size_t i = 0; i < key_size; i++)
        proof[i] = derived->client_key[i] ^ signature[i];
    buf_add(final, STR(",p="));
    base64_add(final, str_make((char *)proof, key_size));
    hmac(digest, derived->server_key, buf_str(&auth), (unsigned char *)login->server_signature);
    login->server_signature_len = key_size;
    buf_done(&auth);
}

enum err login_answer(struct login *login, struct derived_keys *keys, struct str challenge,
                      struct buf *out)
{
    struct arena arena;
    struct buf final;
    struct str first, rest, nonce, salt_text, salt, count_text;
    uint64_t iterations;
    arena_init(&arena, 4L * MESSAGE_MOST);
    buf_init(&final, 2L * MESSAGE_MOST);
    enum err e = base64_decode(&arena, challenge, MESSAGE_MOST, &first);
    rest = first;
    if (e == OK && (!cut_field(&rest, 'r', &nonce) || !str_starts(nonce, str_of(login->nonce)) ||
                    !cut_field(&rest, 's', &salt_text) || !cut_field(&rest, 'i', &count_text) ||
                    base64_decode(&arena, salt_text, MESSAGE_MOST, &salt) != OK ||
                    str_to_u64(count_text, 1, 10000000, &iterations) != OK))
        e = ERR_MALFORMED;
    if (e == OK) {
        prove(login, derive(keys, login, salt, (int)iterations), first, nonce, &final);
        base64_add(out, buf_str(&final));
    }
    buf_done(&final);
    arena_done(&arena);
    return e;
}

bool login_verify(const struct login *login, struct str success)
{
    if (login->mechanism == MECHANISM_PLAIN)
        return true;
    struct arena arena;
    struct str rest, value, signature;
    arena_init(&arena, 4L * MESSAGE_MOST);
    bool fits = base64_decode(&arena, success, MESSAGE_MOST, &rest) == OK &&
                cut_field(&rest, 'v', &value) &&
                base64_decode(&arena, value, MESSAGE_MOST, &signature) == OK &&
                str_eq(signature, str_make(login->server_signature, login->server_signature_len));
    arena_done(&arena);
    return fits;
}
