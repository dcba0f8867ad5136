/*
 * Requests of older times, and those that come too late: a client that was written
 * for RFC 3921 asks for a session after it has bound its resource.
 * Spec: RFC 3921 section 3, RFC 6120 section 7.
 */
#ifndef IM_SESSION_REQUEST_H
#define IM_SESSION_REQUEST_H

#include "im/feature.h"

extern const struct feature feature_session_request;

#endif
