/*
 * Private storage: small XML documents that a client keeps with its account.
 * Spec: XEP-0049 1.2.
 */
#ifndef IM_PRIVATE_H
#define IM_PRIVATE_H

#include "im/feature.h"

extern const struct feature feature_private;

#endif
