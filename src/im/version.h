/*
 * Version: which software serves this domain.
 * Spec: XEP-0092 1.1.
 */
#ifndef IM_VERSION_H
#define IM_VERSION_H

#include "im/feature.h"

extern const struct feature feature_version;

#endif
