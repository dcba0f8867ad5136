/*
 * Behind a held message: while the guard holds a message, later ones from the
 * same sender to the same person wait too, so that they are read in the order
 * in which they were written.
 *
 * Not for long: after a quarter of a minute they overtake, and at once when its
 * sender is asked whether he meant it.  Who waits is in memory only, and so is not
 * acknowledged before it goes on (XEP-0198).  Semantics: holding.
 */
#ifndef IM_BEHIND_H
#define IM_BEHIND_H

#include "im/feature.h"

/* The message of this number, from the account to peer (bare), is held from now on; it will be let
 * go by behind_let_go.  most_us: how long others wait behind it. */
void behind_hold(struct account *account, struct str peer, uint64_t number, int64_t most_us);

/* True: the message waits behind a held one and will go on with message_accept.  session: of the
 * sender, on this home; 0: none.  Takes references. */
bool behind_waits(struct account *account, uint64_t session, struct stanza *stanza,
                  struct ticket *ticket, int64_t at_us);

/* The held message has gone on, or was refused: what waited for it follows. */
void behind_let_go(struct account *account, struct str peer, uint64_t number);

/* Its sender is asked, which takes as long as a person takes: nobody waits behind what he sent. */
void behind_overtake(struct account *account);

/* At the end of the service: nobody waits any longer. */
void behind_end(struct home *home);

#endif
