/*
 * Stanza errors (RFC 6120 §8.3): what was wrong with a message, presence or iq.
 */
#ifndef XMPP_STANZA_ERROR_H
#define XMPP_STANZA_ERROR_H

#include "base/arena.h"

#include <stdbool.h>

struct element;

enum stanza_condition {
    STANZA_BAD_REQUEST,
    STANZA_CONFLICT,
    STANZA_FEATURE_NOT_IMPLEMENTED,
    STANZA_FORBIDDEN,
    STANZA_GONE,
    STANZA_INTERNAL_SERVER_ERROR,
    STANZA_ITEM_NOT_FOUND,
    STANZA_JID_MALFORMED,
    STANZA_NOT_ACCEPTABLE,
    STANZA_NOT_ALLOWED,
    STANZA_NOT_AUTHORIZED,
    STANZA_POLICY_VIOLATION,
    STANZA_RECIPIENT_UNAVAILABLE,
    STANZA_REDIRECT,
    STANZA_REGISTRATION_REQUIRED,
    STANZA_REMOTE_SERVER_NOT_FOUND,
    STANZA_REMOTE_SERVER_TIMEOUT,
    STANZA_RESOURCE_CONSTRAINT,
    STANZA_SERVICE_UNAVAILABLE,
    STANZA_SUBSCRIPTION_REQUIRED,
    STANZA_UNDEFINED_CONDITION,
    STANZA_UNEXPECTED_REQUEST,
    STANZA_N_CONDITIONS,
};

enum stanza_error_type {
    STANZA_TYPE_DEFAULT, // the condition's own, as RFC 6120 §8.3.3 recommends
    STANZA_AUTH,         // retry after providing credentials
    STANZA_CANCEL,       // do not retry
    STANZA_CONTINUE,     // only a warning
    STANZA_MODIFY,       // retry after changing the data
    STANZA_WAIT,         // retry after waiting
    STANZA_N_TYPES,
};

struct stanza_error {
    enum stanza_condition condition;
    enum stanza_error_type type;
    struct str by;         // JID of who found the error; empty: left out
    struct str text, lang; // for a person; empty: left out
    struct str address;    // the new address: STANZA_GONE and STANZA_REDIRECT only
    /* Application-specific condition: an empty element of this name; empty: left out. */
    struct str specific, specific_ns;
    const struct element *specific_whole; // one with content instead; copied; NULL: none
};

/* The type that usually goes with it (RFC 6120 8.3.3). */
enum stanza_error_type stanza_condition_type(enum stanza_condition condition);

/* Whether an error may be sent in answer: never to an error (RFC 6120 §8.3.1), nor to an iq
 * result, nor to anything that is no stanza. */
bool stanza_may_be_refused(const struct element *stanza);

/* The error reply: same name and id, type error, addresses swapped, without the original's
 * children (they may be what was too large).  Texts are borrowed from both.  NULL when
 * stanza_may_be_refused() says no. */
struct element *stanza_error_reply(struct arena *arena, const struct element *stanza,
                                   const struct stanza_error *error);
/* The <error/> element alone, to be put in a stanza that the caller makes. */
struct element *stanza_error_element(struct arena *arena, const struct stanza_error *error);

/* Reads the <error/> of a stanza of type error that somebody sent; ERR_MALFORMED when it has none.
 * A condition that we do not know is STANZA_UNDEFINED_CONDITION.  Texts are borrowed. */
enum err stanza_error_read(const struct element *stanza, struct stanza_error *out) MUST_CHECK;

#endif
