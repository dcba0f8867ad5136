/*
 * How an account writes: the facts from which the guard tells a hand from a
 * program.  Kept in memory with the account, for the peers of late.
 */
#ifndef IM_PACE_H
#define IM_PACE_H

#include "guard/guard.h"
#include "guard/run.h"
#include "route/account.h"

struct pace_book;

void pace_free(struct pace_book **book);

/* The account typed for this peer (a composing chat state). */
void pace_composing(struct account *account, struct str peer, int64_t now_us);
/* A message from the peer was handed to the account. */
void pace_received(struct account *account, struct str peer, int64_t now_us);
/* The account sends a message to the peer: what is known of how (out), then remembers it. */
void pace_sends(struct account *account, struct str peer, int64_t now_us, struct pace *out);
/* The account sends an encrypted message; as run_sends. */
enum run_step pace_encrypted(struct account *account, struct str peer, const struct lure_key *key,
                             int64_t now_us, int64_t pause_us);
/* With whom the present run began, and what it began with. */
struct str pace_run_first(const struct account *account, const struct lure_key **keys, size_t *n);

#endif
