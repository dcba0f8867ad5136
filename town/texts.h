/*
 * What honest people say: a sample of our own, or lines of a file.
 *
 * The sample is a few hundred sentences with places for links, times and
 * names, so that two people hardly ever send the same link unless one passes
 * it on.  Lines of a file are used once each, in an order that the seed
 * gives, and taken as they are.
 */
#ifndef TOWN_TEXTS_H
#define TOWN_TEXTS_H

#include "base/buf.h"
#include "base/random.h"

struct texts;

/* path NULL: the sample.  The prng decides the order of a file's lines. */
enum err texts_read(struct texts **out, const char *path, struct prng *prng,
                    struct why *why) MUST_CHECK;
void texts_free(struct texts **texts);
/* Begins anew, in the order that this prng gives, whatever was said before. */
void texts_shuffle(struct texts *texts, struct prng *prng);

/* Appends the next text (not escaped). */
void texts_say(struct texts *texts, struct prng *prng, struct buf *out);
/* Appends a link such as honest people send. */
void texts_link(struct prng *prng, struct buf *out);
/* The first link in a text; len == 0 when there is none. */
struct str texts_find_link(struct str text);

#endif
