/*
 * Ad-hoc commands: what an administrator does to accounts from his own client.
 * Everything done is in the audit record.
 * Spec: XEP-0050 1.3, XEP-0133 1.3 (accounts, counts, lists, announcement).
 */
#ifndef IM_ADHOC_H
#define IM_ADHOC_H

#include "im/feature.h"

struct adhoc_book;

/* Discovery of the domain's node NS_COMMANDS, and of a command's own node.  True: it was one of
 * these, and the request will be ended. */
bool adhoc_items(struct asked *asked, struct str node);
bool adhoc_info(struct asked *asked, struct str node);

/* Whether a request's payload is an announcement, or the wish to make one. */
bool adhoc_announces(const struct element *payload);

/* A worker's open command sessions, at its end. */
void adhoc_book_free(struct adhoc_book **book);

extern const struct feature feature_adhoc;

#endif
