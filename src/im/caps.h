/*
 * What a client can do: known by the hash that its presence carries.
 *
 * The server asks a client once for what stands behind a hash, and believes
 * the answer for other clients only when it has that hash; until then, and of
 * clients that announce nothing, nothing is known.
 * Spec: XEP-0115 1.6.
 */
#ifndef IM_CAPS_H
#define IM_CAPS_H

#include "im/feature.h"

struct caps_cache;

/* Whether the client's features are known, and whether it has this one. */
bool session_features_are_known(const struct session *session);
bool session_has_feature(const struct session *session, struct str feature);

/* An answer (result or error) of the session's client to the server. */
void caps_answered(struct session *session, const struct stanza *stanza);

/* A worker's cache, at its end. */
void caps_cache_free(struct caps_cache **cache);

extern const struct feature feature_caps;

#endif
