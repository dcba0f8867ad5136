/*
 * Base64 (RFC 4648 §4), strict: no line breaks, padding required, no stray bits.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* ERR_MALFORMED when it is no strict base64; ERR_LIMIT when it decodes to more than most bytes.
 * The empty text decodes to nothing. */
enum err base64_decode(struct arena *arena, struct str text, size_t most,
                       struct str *out) MUST_CHECK;

void base64_add(struct buf *out, struct str bytes);
struct str base64_encode(struct arena *arena, struct str bytes);

#endif
