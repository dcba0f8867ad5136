/*
 * Time: the server's clock.
 * Spec: XEP-0202 2.0.
 */
#ifndef IM_ENTITY_TIME_H
#define IM_ENTITY_TIME_H

#include "im/feature.h"

extern const struct feature feature_time;

#endif
