/*
 * SCRAM (RFC 5802, RFC 7677), the server's side, and the keys it keeps.
 *
 * A password is never stored: only salted keys, one set a hash.  From them a
 * client's proof is verified, and a PLAIN password too.  Deriving keys is slow
 * by design (milliseconds), so those functions are pure and belong on a thread
 * for slow work; verifying a proof is a handful of HMACs and may run anywhere.
 */
#ifndef XMPP_SCRAM_H
#define XMPP_SCRAM_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum scram_hash { SCRAM_SHA_1, SCRAM_SHA_256, SCRAM_N_HASHES };

enum {
    SCRAM_KEY_MOST = 32,
    SCRAM_SALT_MOST = 64,
    SCRAM_SALT_FRESH = 16, // bytes of a salt that we make
    SCRAM_ITERATIONS_DEFAULT = 10000,
    SCRAM_ITERATIONS_LEAST = 4096, // RFC 7677 §4
    SCRAM_ITERATIONS_MOST = 10000000,
    SCRAM_MESSAGE_MOST = 4096, // bytes of one client message, decoded
};

/* 20 or 32. */
size_t scram_key_size(enum scram_hash hash);

struct scram_keys {
    uint32_t iterations; // 0: the account has no keys of this hash
    uint8_t salt_size;
    unsigned char salt[SCRAM_SALT_MOST];
    unsigned char stored_key[SCRAM_KEY_MOST]; // scram_key_size() bytes are used
    unsigned char server_key[SCRAM_KEY_MOST];
};

/* What an account is known by.  An import may bring keys of one hash only. */
struct credentials {
    struct scram_keys keys[SCRAM_N_HASHES];
    bool disabled; // said to the client only after it has proved the password
};

/* OpenSSL's algorithms, fetched once.  Immutable: any thread may use it. */
struct scram_crypto;
struct ossl_lib_ctx_st; // OSSL_LIB_CTX
/* lib NULL: the default context.  It must outlive the crypto. */
struct scram_crypto *scram_crypto_new(struct ossl_lib_ctx_st *lib);
void scram_crypto_free(struct scram_crypto **crypto);

/* Slow.  Prepares the password (prepare_password, whose errors it passes on) and derives its
 * keys. */
enum err scram_derive(const struct scram_crypto *crypto, enum scram_hash hash, struct str password,
                      struct str salt, uint32_t iterations, struct scram_keys *out) MUST_CHECK;
/* Slow.  Keys of every hash with fresh salts: what a new account or a new password stores. */
enum err scram_credentials(const struct scram_crypto *crypto, struct str password,
                           uint32_t iterations, struct credentials *out) MUST_CHECK;
/* Slow, and equally slow whatever the answer: whether the password is that of the keys (those of
 * the strongest hash there is). */
bool scram_password_fits(const struct scram_crypto *crypto, const struct credentials *credentials,
                         struct str password);

/* Keeps unknown accounts indistinguishable: the same name gets the same salt each time, on every
 * node and after restarts that share the secret. */
struct scram_secret {
    unsigned char bytes[32];
};
/* Credentials that no password fits, with a salt that depends on the secret and the name. */
void scram_fake(const struct scram_crypto *crypto, const struct scram_secret *secret,
                struct str local, struct str domain, uint32_t iterations, struct credentials *out);

/* Channel bindings that we can offer. */
enum channel_binding {
    BINDING_TLS_EXPORTER,         // RFC 9266
    BINDING_TLS_SERVER_END_POINT, // RFC 5929 §4
    N_ADVERTISED_BINDINGS,
    /* RFC 5929 §3.  Accepted, for clients that know no other (they send it under TLS 1.3 too), but
     * not advertised: who can choose finds a better one. */
    BINDING_TLS_UNIQUE = N_ADVERTISED_BINDINGS,
    N_CHANNEL_BINDINGS,
};
enum { CHANNEL_BINDING_MOST = 64 }; // bytes of binding data
/* "tls-exporter"…  Static storage. */
const char *channel_binding_name(enum channel_binding binding);

/* RFC 5802 §7 server-error-value: for the log.  The client learns a SASL failure condition, which
 * does not tell an unknown user from a wrong password. */
enum scram_error {
    SCRAM_FINE = 0,
    SCRAM_INVALID_ENCODING,
    SCRAM_EXTENSIONS_NOT_SUPPORTED,
    SCRAM_INVALID_PROOF,
    SCRAM_CHANNEL_BINDINGS_DONT_MATCH,
    SCRAM_SERVER_DOES_SUPPORT_CHANNEL_BINDING,
    SCRAM_CHANNEL_BINDING_NOT_SUPPORTED,
    SCRAM_UNSUPPORTED_CHANNEL_BINDING_TYPE,
    SCRAM_UNKNOWN_USER,
    SCRAM_INVALID_USERNAME_ENCODING,
    SCRAM_NO_RESOURCES,
    SCRAM_OTHER_ERROR,
};
/* "invalid-proof"…  Static storage. */
const char *scram_error_name(enum scram_error error);

/* What the negotiation knows when a client chooses SCRAM. */
struct scram_setting {
    enum scram_hash hash;
    bool plus;         // the client chose the -PLUS form
    bool plus_offered; // any -PLUS was offered on this stream: flag y is then a downgrade
    unsigned bindings; // bit set of enum channel_binding: what this connection can do
    /* XEP-0474: the mechanisms and binding types that were offered, as scram_offer_text makes it;
     * empty: no protection is sent.  Copied. */
    struct str offer;
};

/* One exchange of the server's side.  One thread. */
struct scram;
struct scram *scram_new(const struct scram_crypto *crypto, const struct scram_setting *setting);
void scram_free(struct scram **scram);

struct scram_first {
    struct str user;              // decoded, not yet prepared; borrowed from the scram
    struct str authzid;           // decoded; empty when absent
    bool bound;                   // whether the client binds to the channel,
    enum channel_binding binding; // and to which
};

/* Reads client-first-message (decoded from base64). */
enum scram_error scram_read_first(struct scram *scram, struct str message, struct scram_first *out);
/* Appends server-first-message for the keys, which are copied.  known: false when they are fakes;
 * the proof then fails.  our_nonce: empty for a fresh random one (tests give the RFC's). */
void scram_challenge(struct scram *scram, const struct scram_keys *keys, bool known,
                     struct str our_nonce, struct buf *out);
/* Reads client-final-message; binding_data is the channel's when one was chosen.  On SCRAM_FINE
 * appends server-final-message. */
enum scram_error scram_read_final(struct scram *scram, struct str message, struct str binding_data,
                                  struct buf *out);

/* XEP-0474: sorts and joins the names of what was offered into the text whose hash is sent. */
struct str scram_offer_text(struct arena *arena, const struct str *mechanisms, size_t n_mechanisms,
                            const struct str *bindings, size_t n_bindings);

#endif
