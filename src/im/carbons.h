/*
 * Carbons: every device of a person sees the whole conversation.
 * Spec: XEP-0280 1.0.
 */
#ifndef IM_CARBONS_H
#define IM_CARBONS_H

#include "im/feature.h"

/* A session of the account sent this; its other sessions that asked for it get a copy.
 * archive_id: in the sender's archive; 0: none. */
void carbons_sent(struct account *account, uint64_t session, struct stanza *stanza,
                  uint64_t archive_id);

/* The sessions marked in gets have it; others that asked for it get a copy. */
void carbons_received(struct account *account, struct stanza *stanza, uint64_t archive_id,
                      struct session *const *sessions, const bool *gets, size_t n);

extern const struct feature feature_carbons;

#endif
