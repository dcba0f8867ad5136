/*
 * How an account writes: the facts from which the guard tells a hand from a
 * program.  Kept in memory with the account, for the peers of late.
 */
#ifndef IM_PACE_H
#define IM_PACE_H

#include "guard/guard.h"
#include "route/account.h"

struct pace_book;

void pace_free(struct pace_book **book);

/* The account typed for this peer (a composing chat state). */
void pace_composing(struct account *account, struct str peer, int64_t now_us);
/* A message from the peer was handed to the account. */
void pace_received(struct account *account, struct str peer, int64_t now_us);
/* The account sends a message to the peer: what is known of how (out), then remembers it. */
void pace_sends(struct account *account, struct str peer, int64_t now_us, struct pace *out);

#endif
