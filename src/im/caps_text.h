/*
 * Verification strings: the hash by which a client's abilities are known, as
 * XEP-0115 section 5.1 makes it of a disco#info answer.  Pure.
 */
#ifndef IM_CAPS_TEXT_H
#define IM_CAPS_TEXT_H

#include "xml/element.h"

/* The text that is hashed, in arena.  ERR_MALFORMED: the answer is ill-formed (section 5.4), or
 * holds a '<' by which two answers could have the same text; ERR_LIMIT: it is too long. */
enum err caps_text(struct arena *arena, const struct element *query, struct str *out) MUST_CHECK;

/* The hash of a text in base64; empty when we do not know a hash of this name ("sha-1"…). */
struct str caps_hash(struct arena *arena, struct str name, struct str text);

#endif
