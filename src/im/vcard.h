/*
 * vCards: what a person tells about himself.
 * Spec: XEP-0054 1.3.
 */
#ifndef IM_VCARD_H
#define IM_VCARD_H

#include "im/feature.h"

extern const struct feature feature_vcard;

#endif
