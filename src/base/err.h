/*
 * Errors: the short list of what the world can do to us.
 *
 * An error is the world's trouble (disk, peer gone, limit), never the peer's
 * mistake in protocol (that is a stanza error) and never our own bug (`must`).
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((__format__(__printf__, at, first)))
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define UNUSED __attribute__((unused))

/* Ownership moves: yields p's value and leaves p NULL. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __auto_type taken_ = (p);                                                                  \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum err {
    OK = 0,
    ERR_MALFORMED, // what was read does not follow its grammar
    ERR_LIMIT,     // a configured ceiling was reached
    ERR_MISSING,   // what was asked for does not exist
    ERR_EXISTS,    // what was to be made exists already
    ERR_DENIED,    // not allowed
    ERR_AGAIN,     // would block; try later
    ERR_CLOSED,    // the other side is gone
    ERR_FULL,      // the disk or a quota of the system is full
    ERR_IO,        // the system refused: errno said why
    ERR_CORRUPT,   // stored data contradicts itself
    ERR_BUSY,      // somebody else holds it
    ERR_UNSUPPORTED,
};

/* A short name for logs and scripts: "malformed", "limit"…  Static storage. */
const char *err_name(enum err e);

/* A sentence for a person, filled only on failure; truncated at the end if too long. */
struct why {
    char text[512];
};

/* Writes the sentence (when why is not NULL) and returns e, so that a caller can return it. */
enum err why_say(struct why *why, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
