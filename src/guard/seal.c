#include "guard/seal.h"

#include "base/must.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

enum {
    VERSION_DOMAIN = 1, // names the reader's domain
    VERSION = 2,        // names him
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
    HEAD = 4,                   // the key's id
    FIXED = 1 + 4 + 16 + 1 + 2, // version, hours, template, lengths
    LANG_MOST = 35,
    READER_MOST = 1023 + 1 + 1023,
    PLAIN_MOST = FIXED + LANG_MOST + READER_MOST + SEAL_URL_MOST,
    RAW_MOST = HEAD + NONCE + PLAIN_MOST + TAG,
    MAC = 16,
};

_Static_assert(RAW_MOST * 4 / 3 + 4 <= SEAL_TOKEN_MOST, "a token has room");

static const int64_t hour_us = INT64_C(3600000000);

enum use { USE_SEAL = 1, USE_NONCE = 2, USE_PERMIT = 3 };

static void derive(const struct seal_key *key, enum use use, uint8_t out[32])
{
    _Static_assert(SEAL_SECRET == crypto_kdf_KEYBYTES, "one secret, several uses");
    must(crypto_kdf_derive_from_key(out, 32, use, "fd-links", key->secret) == 0);
}

static void put_number(uint8_t *at, size_t n, uint64_t number)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(number >> (8 * (n - 1 - i)));
}

static uint64_t get_number(const uint8_t *at, size_t n)
{
    uint64_t number = 0;
    for (size_t i = 0; i < n; i++)
        number = number << 8 | at[i];
    return number;
}

static struct str put_text(uint8_t *plain, size_t *len, struct str text)
{
    if (text.len > 0)
        memcpy(plain + *len, text.at, text.len);
    *len += text.len;
    return text;
}

enum err seal_link(struct arena *arena, const struct seal_keys *keys,
                   const struct sealed_link *link, struct str *token)
{
    must(keys->n > 0);
    const struct seal_key *key = &keys->keys[0];
    struct str lang = link->lang.len <= LANG_MOST ? link->lang : STR_EMPTY;
    uint8_t plain[PLAIN_MOST], raw[RAW_MOST], sub[32];
    struct str reader = link->reader.len > 0 ? link->reader : link->domain;
    if (link->url.len > SEAL_URL_MOST || reader.len > READER_MOST ||
        !arena_fits(arena, SEAL_TOKEN_MOST + 64))
        return ERR_LIMIT;
    size_t len = 0;
    plain[len++] = link->reader.len > 0 ? VERSION : VERSION_DOMAIN;
    put_number(plain + len, 4, (uint64_t)((link->expires_us + hour_us - 1) / hour_us));
    len += 4;
    memcpy(plain + len, link->template.bytes, sizeof link->template.bytes);
    len += sizeof link->template.bytes;
    plain[len++] = (uint8_t)lang.len;
    put_text(plain, &len, lang);
    put_number(plain + len, 2, reader.len);
    len += 2;
    put_text(plain, &len, reader);
    put_text(plain, &len, link->url);

    put_number(raw, HEAD, key->id);
    derive(key, USE_NONCE, sub);
    crypto_generichash(raw + HEAD, NONCE, plain, len, sub, sizeof sub);
    derive(key, USE_SEAL, sub);
    unsigned long long sealed = 0;
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw + HEAD + NONCE, &sealed, plain, len, raw, HEAD,
                                               NULL, raw + HEAD, sub);
    sodium_memzero(sub, sizeof sub);
    size_t n = HEAD + NONCE + (size_t)sealed;
    size_t room = sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = arena_alloc(arena, room);
    sodium_bin2base64(text, room, raw, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    *token = str_of(text);
    return OK;
}

static const struct seal_key *find_key(const struct seal_keys *keys, uint64_t id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (keys->keys[i].id == id)
            return &keys->keys[i];
    return NULL;
}

// What was sealed is ours, so it is as seal_link wrote it; checked all the same.
static bool read_plain(struct arena *arena, const uint8_t *plain, size_t len,
                       struct sealed_link *out)
{
    if (len < FIXED || plain[0] < VERSION_DOMAIN || plain[0] > VERSION)
        return false;
    size_t at = 1, lang_len, reader_len;
    out->expires_us = (int64_t)get_number(plain + at, 4) * hour_us;
    at += 4;
    memcpy(out->template.bytes, plain + at, sizeof out->template.bytes);
    at += sizeof out->template.bytes;
    lang_len = plain[at++];
    if (lang_len + 2 > len - at)
        return false;
    out->lang = arena_str(arena, str_make((const char *)plain + at, lang_len));
    at += lang_len;
    reader_len = get_number(plain + at, 2);
    at += 2;
    if (reader_len > len - at)
        return false;
    struct str reader = arena_str(arena, str_make((const char *)plain + at, reader_len));
    at += reader_len;
    size_t local = str_find_char(reader, '@');
    bool is_named = plain[0] == VERSION;
    out->reader = is_named ? reader : STR_EMPTY;
    out->domain = is_named && local < reader.len ? str_skip(reader, local + 1) : reader;
    out->url = arena_str(arena, str_make((const char *)plain + at, len - at));
    return true;
}

enum err seal_open(struct arena *arena, const struct seal_keys *keys, struct str token,
                   struct sealed_link *out)
{
    uint8_t raw[RAW_MOST], plain[PLAIN_MOST + TAG], sub[32];
    size_t n = 0;
    if (token.len > SEAL_TOKEN_MOST ||
        sodium_base642bin(raw, sizeof raw, token.at, token.len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n < HEAD + NONCE + TAG + FIXED)
        return ERR_MALFORMED;
    const struct seal_key *key = find_key(keys, get_number(raw, HEAD));
    if (key == NULL)
        return ERR_MALFORMED;
    derive(key, USE_SEAL, sub);
    unsigned long long len = 0;
    int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(
        plain, &len, NULL, raw + HEAD + NONCE, n - HEAD - NONCE, raw, HEAD, raw + HEAD, sub);
    sodium_memzero(sub, sizeof sub);
    struct sealed_link link;
    if (bad != 0 || !arena_fits(arena, (size_t)len + 256) ||
        !read_plain(arena, plain, (size_t)len, &link))
        return ERR_MALFORMED;
    *out = link;
    return OK;
}

static void mac_of(const struct seal_key *key, struct str token, uint64_t until_s, uint8_t out[MAC])
{
    uint8_t sub[32], number[8];
    crypto_generichash_state state;
    derive(key, USE_PERMIT, sub);
    put_number(number, sizeof number, until_s);
    crypto_generichash_init(&state, sub, sizeof sub, MAC);
    crypto_generichash_update(&state, number, sizeof number);
    crypto_generichash_update(&state, (const uint8_t *)token.at, token.len);
    crypto_generichash_final(&state, out, MAC);
    sodium_memzero(sub, sizeof sub);
}

struct str seal_permit(struct arena *arena, const struct seal_keys *keys, struct str token,
                       int64_t until_us)
{
    uint8_t mac[MAC];
    char text[2 * MAC + 1];
    uint64_t until_s = (uint64_t)(until_us / (hour_us / 3600));
    mac_of(&keys->keys[0], token, until_s, mac);
    sodium_bin2hex(text, sizeof text, mac, sizeof mac);
    return arena_printf(arena, "%" PRIu64 "-%s", until_s, text);
}

bool seal_permits(const struct seal_keys *keys, struct str token, struct str permit, int64_t now_us)
{
    struct str mac = permit, number = str_cut(&mac, '-');
    uint64_t until_s;
    if (mac.at == NULL || str_to_u64(number, 0, UINT32_MAX, &until_s) != OK ||
        (int64_t)until_s < now_us / (hour_us / 3600))
        return false;
    for (size_t i = 0; i < keys->n; i++) {
        uint8_t wanted[MAC];
        char text[2 * MAC + 1];
        mac_of(&keys->keys[i], token, until_s, wanted);
        sodium_bin2hex(text, sizeof text, wanted, sizeof wanted);
        if (str_eq_secret(mac, str_of(text)))
            return true;
    }
    return false;
}
