/*
 * Last activity: how long the server is up, and since when a person is away.
 * Spec: XEP-0012 2.0.
 */
#ifndef IM_LAST_H
#define IM_LAST_H

#include "im/feature.h"

extern const struct feature feature_last;

#endif
