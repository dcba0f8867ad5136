/*
 * TLS: the only door to OpenSSL's protocol code.
 *
 * A struct tls_config is an immutable snapshot: certificates by name (SNI) and
 * our policy.  A reload builds a new one whole, or fails and leaves the old in
 * place; connections keep the snapshot they began with.  Policy: TLS 1.2 and
 * 1.3, no compression, no renegotiation, no tickets, no resumption; forward
 * secrecy and AEAD only, unless the operator names ciphers of his own.
 *
 * Each worker has a home: an OSSL_LIB_CTX of its own, because workers that
 * share one slow each other's handshakes by a quarter.  A session that moves
 * to another worker keeps the context of its birth; homes therefore outlive
 * all sessions.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_home;
struct tls_config;
struct tls; // one connection's; belongs to its struct conn

enum err tls_home_new(struct tls_home **out, struct why *why) MUST_CHECK;
void tls_home_free(struct tls_home **p);

/* A certificate with its key, and the names it is shown for. */
struct tls_identity {
    const struct str *names; // as in SNI: A-labels, case does not matter; exact match
    size_t n_names;
    const char *chain_file, *key_file; // PEM; leaf first
};

/* What an operator may choose. */
struct tls_policy {
    bool only_13;        // TLS 1.3 alone
    const char *ciphers; // for TLS 1.2, in OpenSSL's words; NULL or empty: a sound default
};

/* Whether a list of ciphers means what it says: every word of it names some, what is left is not
 * nothing, and none goes without encryption or authentication.  ERR_MALFORMED, and why names the
 * word. */
enum err tls_check_ciphers(const char *list, struct why *why) MUST_CHECK;

/* For servers.  The first identity is shown to whoever names none or an unknown one.  The homes
 * are those of all workers that will use it; borrowed for longer than the snapshot.  policy: NULL
 * for the defaults.  The sentence in why names the file.  From any thread. */
enum err tls_config_new_server(const struct tls_identity *identities, size_t n,
                               const struct tls_policy *policy, struct tls_home *const *homes,
                               size_t n_homes, struct tls_config **out, struct why *why) MUST_CHECK;

/* For clients.  ca_file: PEM of the trusted roots, "" for the system's, NULL to accept any
 * certificate (tests, load generators). */
enum err tls_config_new_client(const char *ca_file, struct tls_home *const *homes, size_t n_homes,
                               struct tls_config **out, struct why *why) MUST_CHECK;

/* From any thread. */
struct tls_config *tls_config_ref(struct tls_config *config);
void tls_config_unref(struct tls_config **p);

/* When the i-th identity's leaf certificate ends (wall µs), and its first name. */
size_t tls_config_count(const struct tls_config *config);
int64_t tls_config_expires_us(const struct tls_config *config, size_t i);
struct str tls_config_name(const struct tls_config *config, size_t i);
/* The identity that name gets. */
size_t tls_config_find(const struct tls_config *config, struct str name);

/* Facts of a finished handshake. */
const char *tls_version(const struct tls *tls); // "TLSv1.3"
/* Whether ALPN agreed on what is spoken here: "xmpp-client" (XEP-0368), or "http/1.1". */
bool tls_has_alpn(const struct tls *tls);

enum tls_binding { TLS_EXPORTER, TLS_SERVER_END_POINT, TLS_UNIQUE };
enum { TLS_BINDING_MOST = 64 };

/* Channel bindings.  TLS_EXPORTER: RFC 9266, 32 bytes, ERR_UNSUPPORTED under TLS 1.2 without
 * extended master secret.  TLS_SERVER_END_POINT: RFC 5929 §4, ERR_UNSUPPORTED when the
 * certificate's signature names no hash.  TLS_UNIQUE: RFC 5929 §3, the client's first Finished;
 * under TLS 1.3, which does not define it, the same message (what clients of OpenSSL send). */
enum err tls_bind(const struct tls *tls, enum tls_binding kind, unsigned char out[TLS_BINDING_MOST],
                  size_t *len) MUST_CHECK;
/* Whether that would be OK; costs next to nothing. */
bool tls_can_bind(const struct tls *tls, enum tls_binding kind);

#endif
