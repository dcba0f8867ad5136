/*
 * Encrypted and signed messages: which they are, and what tells one from the other.
 *
 * OMEMO, OpenPGP (XEP-0373 and 0027), OTR, and what XEP-0380 announces as encrypted in another
 * way.  Messages that only set up keys show a person nothing and do not count.
 */
#ifndef IM_SEALED_H
#define IM_SEALED_H

#include "xmpp/stanza.h"

/* The encrypted text, as it stands there; empty: the message has none. */
struct str sealed_text(const struct stanza *stanza);
/* Whether a part of it is encrypted, or says that it is. */
bool sealed_is_part(const struct element *child);

/* Whether its body is signed (XEP-0027): a child holds one whole OpenPGP signature.  Nobody here
 * can tell whose, or of what; but what is empty or no signature signs nothing. */
bool sealed_signs_body(const struct element *message);

#endif
