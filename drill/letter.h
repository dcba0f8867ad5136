/*
 * A worm's copy as clients write it: the children of a message.
 */
#ifndef DRILL_LETTER_H
#define DRILL_LETTER_H

#include "base/buf.h"
#include "town/worm.h"

/* Appends them: the text, and a file as out-of-band data (XEP-0066) and shared file (XEP-0447); or
 * what nobody else can read (OMEMO, XEP-0384). */
void letter_write(const struct letter *letter, struct buf *out);

#endif
