/*
 * The client's side of SASL: PLAIN, SCRAM-SHA-1 and SCRAM-SHA-256.
 *
 * Deriving a key from a password is slow by design, which would make the
 * instrument the bottleneck; so derived keys are remembered by password, salt,
 * iterations and hash, as RFC 5802 allows a client.  No I/O; one thread.
 * Spec: RFC 4616, RFC 5802, RFC 7677.
 */
#ifndef DRILL_CLIENT_LOGIN_H
#define DRILL_CLIENT_LOGIN_H

#include "base/buf.h"

enum mechanism { MECHANISM_BEST, MECHANISM_PLAIN, MECHANISM_SCRAM_SHA_1, MECHANISM_SCRAM_SHA_256 };

/* "PLAIN", "SCRAM-SHA-1"…; "" for MECHANISM_BEST.  Static storage. */
const char *mechanism_name(enum mechanism mechanism);

/* Derived keys of all logins of a thread. */
struct derived_keys;
struct derived_keys *derived_keys_new(void);
void derived_keys_free(struct derived_keys **keys);

/* One login.  Lives in the caller's storage; user and password must outlive it. */
struct login {
    enum mechanism mechanism;
    struct str user, password;
    char nonce[27];
    char first_bare[300];      // what was sent
    char server_signature[32]; // what must come
    size_t server_signature_len;
};

/* Begins and appends the initial response in base64.  ERR_LIMIT: user or password is too long. */
enum err login_begin(struct login *login, enum mechanism mechanism, struct str user,
                     struct str password, struct buf *out) MUST_CHECK;
/* Answers a challenge (base64) by appending the response in base64. */
enum err login_answer(struct login *login, struct derived_keys *keys, struct str challenge,
                      struct buf *out) MUST_CHECK;
/* Whether the server proved that it knows the password (RFC 5802 §3); additional data in base64.
 * Always true for PLAIN. */
bool login_verify(const struct login *login, struct str success);

/* What a server keeps of a password (RFC 5802 §3), for accounts that are made beforehand. */
struct kept_keys {
    unsigned char stored_key[32], server_key[32];
    size_t size; // of each
};
struct kept_keys login_kept_keys(enum mechanism mechanism, struct str password, struct str salt,
                                 int iterations);

#endif
