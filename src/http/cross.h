/*
 * Pages of other origins that may use a route from within a browser (CORS, the
 * Fetch standard §3.2).
 *
 * Web clients need it: their page comes from one origin and files lie at
 * another.  It gives nothing to whoever is no browser, and nothing that rests
 * on who is asking: no credentials are ever allowed, so what a page can fetch
 * with our leave is what anybody can fetch who knows the link.
 */
#ifndef HTTP_CROSS_H
#define HTTP_CROSS_H

#include "http/head.h"

struct http_cross {
    const struct str *origins; // "https://chat.example.org", or "*" alone: any page; none: nobody
    size_t n;
    struct str methods; // of a preflight: "GET, HEAD, PUT"
    struct str request; // further fields that a request may have
    struct str answer;  // further fields of an answer that a page may read
};

/* Whether it is "*" or a scheme and a host in lower case, with or without a port. */
bool http_cross_is_origin(struct str text);

enum { HTTP_CROSS_FIELDS_MOST = 8 };
/* The fields of any answer to this request, which they borrow from. */
size_t http_cross_fields(const struct http_cross *cross, const struct http_head *head,
                         struct http_field fields[HTTP_CROSS_FIELDS_MOST]);

#endif
