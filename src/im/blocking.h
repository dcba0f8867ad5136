/*
 * Blocking: a person refuses all traffic with chosen contacts, and may say why.
 * Spec: XEP-0191 1.3, XEP-0377 0.4.
 */
#ifndef IM_BLOCKING_H
#define IM_BLOCKING_H

#include "im/feature.h"

/* Whether the account refuses traffic with this address. */
bool blocking_covers(const struct account *account, const struct jid *peer);

extern const struct feature feature_blocking;

#endif
