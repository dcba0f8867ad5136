/*
 * What a stanza shows a person to open, found in all its corners.
 */
#ifndef IM_LURES_H
#define IM_LURES_H

#include "guard/lure.h"
#include "xml/element.h"

/* Adds every lure of the stanza: body and subject in all languages, XHTML-IM, out-of-band data
 * (XEP-0066), references, shared files and their metadata (XEP-0372, 0385, 0446, 0447), file
 * offers (XEP-0096, 0234). */
void lures_of_stanza(struct lure_list *list, const struct element *stanza);
/* The same for one child with all that is in it. */
void lures_of_element(struct lure_list *list, const struct element *element);

/* All that a person reads of the stanza, a line each, at most so many bytes. */
struct str lures_words(struct arena *arena, const struct element *stanza, size_t most);

/* Whether a person reads anything of this child of a stanza. */
bool lures_shows_words(const struct element *child);

/* Puts other links in the place of those that lures_of_stanza finds in a tree of the caller's own,
 * and moves what counts characters of the body (XEP-0372, 0394, 0428).  New text is from arena.
 * Returns how many places were changed; *whole: no text had to stay as it was for want of room. */
size_t lures_replace(const struct lure_rules *rules, struct arena *arena, struct element *stanza,
                     lure_instead_fn *instead, void *context, bool *whole) MUST_CHECK;

#endif
