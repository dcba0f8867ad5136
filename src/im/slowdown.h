/*
 * Slowing down who guesses passwords: per account and per address.
 *
 * Shared by all workers behind one lock, which is taken only when a login has
 * failed or when a login succeeds after failures were seen.
 */
#ifndef IM_SLOWDOWN_H
#define IM_SLOWDOWN_H

#include "im/settings.h"
#include "net/addr.h"

struct login_slowdown;

struct login_slowdown *slowdown_new(void);
void slowdown_free(struct login_slowdown **slowdown);

/* Counts a failure and returns the µs by which its answer is to be delayed; 0: none. */
int64_t slowdown_failed(struct login_slowdown *slowdown, const struct im_settings *settings,
                        const struct addr *peer, struct str account, int64_t now_us);
/* The owner has come: his account's failures are forgotten, those of the address are not (an
 * attacker may own an account too). */
void slowdown_succeeded(struct login_slowdown *slowdown, const struct addr *peer,
                        struct str account);

/* Whether this address may do something once more of which it may do so many in a window of time;
 * if so, that is counted. */
enum slowed_kind { SLOWED_TRIES, SLOWED_ACCOUNTS }; // XEP-0077: attempts, and accounts made
bool slowdown_allows(struct login_slowdown *slowdown, enum slowed_kind kind,
                     const struct addr *peer, unsigned most, int64_t window_us, int64_t now_us);
/* It came to nothing and is not counted. */
void slowdown_take_back(struct login_slowdown *slowdown, enum slowed_kind kind,
                        const struct addr *peer);

#endif
