/*
 * The head of an HTTP/1.1 request, read once and strictly.
 *
 * Whatever two readers could understand in two ways is refused, not repaired:
 * bare CR or LF, folded lines, white space before a colon, a second Host or
 * Content-Length, Content-Length beside Transfer-Encoding.  Transfer-Encoding
 * is not understood at all: who sends a body says how long it is.  The path is
 * decoded exactly once; encoded slashes, NULs, dot segments and what is no
 * UTF-8 after decoding are refused.  Spec: RFC 9110, RFC 9112, RFC 3986.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "base/arena.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_PUT,
    HTTP_POST,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_N_METHODS,
};
#define HTTP_BIT(method) (1U << (method))
/* "GET". */
struct str http_method_name(enum http_method method);

struct http_field {
    struct str name, value;
};

struct http_head {
    enum http_method method;
    struct str path;                 // decoded; begins with '/'
    struct str query;                // as sent, without the '?'; at == NULL where there is none
    struct str host;                 // lower case, without port
    const struct http_field *fields; // as sent, in order; Host among them
    size_t n_fields;
    uint64_t body_bytes; // Content-Length; 0 where there is none
    bool has_length;
    bool keep;      // the connection may serve another request
    bool continues; // Expect: 100-continue
};

struct http_head_limits {
    size_t bytes; // of the whole head
    size_t fields;
};

enum { HTTP_WANTS_MORE = 0, HTTP_OK = 200 };

/* Reads the head that bytes begin with, into arena (which fits three times limits->bytes, and
 * a struct http_field for each).  HTTP_WANTS_MORE: it is not whole.  HTTP_OK: *out, and *used is
 * its length.  Otherwise the status to refuse with; the connection is of no more use then.
 * *scanned: where to go on looking for the end; 0 at first. */
unsigned http_head_read(struct arena *arena, struct str bytes,
                        const struct http_head_limits *limits, size_t *scanned,
                        struct http_head *out, size_t *used) MUST_CHECK;

/* The value of a field that may come once, trimmed; at == NULL where it does not come, or comes
 * twice. */
struct str http_head_field(const struct http_head *head, struct str name);

/* Room for the memory that http_head_read wants. */
size_t http_head_memory(const struct http_head_limits *limits);

#endif
