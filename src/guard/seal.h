/*
 * Sealed links: a link that this server has made, and nobody else can.
 *
 * The token carries the link itself, so opening it needs no store.  It is
 * encrypted and authenticated (XChaCha20-Poly1305): who has no key can neither
 * make nor read one, so the page that opens them is no open redirect, and what
 * stands in a proxy's log is no address.  The nonce is a keyed hash of what is
 * sealed: the same link on the same day gives the same token on all devices.
 */
#ifndef GUARD_SEAL_H
#define GUARD_SEAL_H

#include "guard/lure.h"

enum {
    SEAL_KEYS_MOST = 16,
    SEAL_SECRET = 32,
    SEAL_URL_MOST = 8192, // what is read of one may treble in the canonical form
    SEAL_TOKEN_MOST = 16384,
};

struct seal_key {
    uint32_t id;
    int64_t made_us; // wall time
    uint8_t secret[SEAL_SECRET];
};

/* The newest first: it seals, all of them open. */
struct seal_keys {
    struct seal_key keys[SEAL_KEYS_MOST];
    size_t n;
};

struct sealed_link {
    struct str url;           // http, https or ftp; canonical
    struct str reader;        // bare JID; empty: only his domain is known (tokens of old)
    struct str domain;        // his: whose settings hold; to be sealed: where there is no reader
    struct str lang;          // of his session; may be empty
    struct lure_key template; // with sender's and receiver's names taken out
    int64_t expires_us;       // wall time; sealed in whole hours
};

/* The token, letters that a URL takes as they are.  ERR_LIMIT: the URL is too long. */
enum err seal_link(struct arena *arena, const struct seal_keys *keys,
                   const struct sealed_link *link, struct str *token) MUST_CHECK;
/* ERR_MALFORMED: not made with one of these keys.  Whether its time is over is for the caller. */
enum err seal_open(struct arena *arena, const struct seal_keys *keys, struct str token,
                   struct sealed_link *out) MUST_CHECK;

/* "I have read the warning": a word that holds for this token and some minutes. */
struct str seal_permit(struct arena *arena, const struct seal_keys *keys, struct str token,
                       int64_t until_us);
bool seal_permits(const struct seal_keys *keys, struct str token, struct str permit,
                  int64_t now_us);

#endif
