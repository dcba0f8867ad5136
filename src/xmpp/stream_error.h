/*
 * Stream errors (RFC 6120 §4.9.3): what ends a stream, always.
 */
#ifndef XMPP_STREAM_ERROR_H
#define XMPP_STREAM_ERROR_H

#include "base/buf.h"

enum stream_condition {
    STREAM_BAD_FORMAT,
    STREAM_BAD_NAMESPACE_PREFIX,
    STREAM_CONFLICT,
    STREAM_CONNECTION_TIMEOUT,
    STREAM_HOST_GONE,
    STREAM_HOST_UNKNOWN,
    STREAM_IMPROPER_ADDRESSING,
    STREAM_INTERNAL_SERVER_ERROR,
    STREAM_INVALID_FROM,
    STREAM_INVALID_NAMESPACE,
    STREAM_INVALID_XML,
    STREAM_NOT_AUTHORIZED,
    STREAM_NOT_WELL_FORMED,
    STREAM_POLICY_VIOLATION,
    STREAM_REMOTE_CONNECTION_FAILED,
    STREAM_RESET,
    STREAM_RESOURCE_CONSTRAINT,
    STREAM_RESTRICTED_XML,
    STREAM_SEE_OTHER_HOST,
    STREAM_SYSTEM_SHUTDOWN,
    STREAM_UNDEFINED_CONDITION,
    STREAM_UNSUPPORTED_ENCODING,
    STREAM_UNSUPPORTED_FEATURE,
    STREAM_UNSUPPORTED_STANZA_TYPE,
    STREAM_UNSUPPORTED_VERSION,
    STREAM_N_CONDITIONS,
};

struct stream_error {
    enum stream_condition condition;
    struct str text, lang; // for a person; empty: left out
    struct str other_host; // STREAM_SEE_OTHER_HOST only: "host:port"
    struct str specific;   // application-specific condition, serialized by us; empty: left out
};

/* "policy-violation"…  Static storage. */
const char *stream_condition_name(enum stream_condition condition);
/* ERR_MISSING when the name is none of RFC 6120. */
enum err stream_condition_of(struct str name, enum stream_condition *out) MUST_CHECK;

/* Appends <stream:error>…</stream:error>, for a stream whose header bound the prefix. */
void stream_error_write(struct buf *out, const struct stream_error *error);

#endif
