/*
 * Service discovery: what the server and an account are and can do, gathered
 * from all features; and the server's own entity capabilities, by which a
 * client need not ask.
 * Spec: XEP-0030 2.5, XEP-0115 1.6, XEP-0157 1.1.1.
 */
#ifndef IM_DISCO_H
#define IM_DISCO_H

#include "im/feature.h"

/* Fills in what streams of the domain announce (domain->stream.caps_…): at the making of settings,
 * when the rest of the domain is known.  Texts live in arena. */
void disco_announce(struct arena *arena, struct im_domain *domain);

extern const struct feature feature_disco;

#endif
