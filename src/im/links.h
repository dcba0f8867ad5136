/*
 * Link protection: what our people read leads to a page of this server, which
 * asks the guard when it is opened (daemon/open_page.h).
 *
 * Every store, row and judgement has the links as they were written; only what
 * leaves for a reader's client is rewritten, at the last moment.  So archives,
 * carbons and offline messages show protected links, the record keeps the
 * original, and switching it off shows originals again.  What somebody writes
 * to himself, and reads of his own on other devices, stays as it is.  So do
 * hosts that are allowed, other schemes than http, https and ftp, and signed
 * texts for clients that look at signatures.  Nothing encrypted is changed; the
 * words beside it are, like any.
 */
#ifndef IM_LINKS_H
#define IM_LINKS_H

#include "guard/lure.h"
#include "im/feature.h"

/* Puts the original in the place of each protected link that a person sends on: judged by what it
 * leads to, and protected anew for its next reader.  lures: the stanza's.  True: something was, and
 * they are to be collected anew.  Before sealing. */
bool links_unwrap(const struct desk *desk, struct stanza *stanza, const struct lure_list *lures);

struct sealed_link;
/* What a protected link of ours leads to; texts are from arena.  ERR_MISSING: lure is none. */
enum err links_original(const struct im_settings *settings, struct arena *arena,
                        const struct lure *lure, struct sealed_link *out) MUST_CHECK;

extern const struct feature feature_links;

#endif
