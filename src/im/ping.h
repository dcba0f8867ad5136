/*
 * Ping: whether the server is there, and a person's account.
 * Spec: XEP-0199 2.0.
 */
#ifndef IM_PING_H
#define IM_PING_H

#include "im/feature.h"

extern const struct feature feature_ping;

#endif
