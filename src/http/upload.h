/*
 * Uploads over HTTP: PUT of what a slot promises, GET and HEAD of what is there.
 *
 * The disk, the scanner and the store are waited for on the uploads' own
 * threads (files/uploads.h); a worker only passes pieces.  What is given out
 * opens nothing in a browser: always an attachment, a type of our own choice
 * out of a short list, no sniffing, no scripts.  A convicted file is 410, and
 * says why in the reader's language.
 */
#ifndef HTTP_UPLOAD_H
#define HTTP_UPLOAD_H

#include "http/http.h"

struct uploads;
struct upload_door;

struct upload_door_options {
    struct uploads *uploads;
    uint64_t body_most;        // no slot is larger
    const struct str *origins; // of pages that may put and fetch (cross.h); copied
    size_t n_origins;
};

/* Adds the route.  prefix is kept. */
struct upload_door *upload_door_new(struct http *http, struct str prefix,
                                    const struct upload_door_options *options);
/* After http_is_quiet. */
void upload_door_free(struct upload_door **door);

/* What Content-Range a request for part of size bytes gets.  True: *first and *last, inclusive, are
 * to be sent; false with *whole: the field says nothing that we follow; false otherwise: 416. */
bool upload_range(struct str field, uint64_t size, uint64_t *first, uint64_t *last, bool *whole);
/* The media type that a file of this type is given out as. */
struct str upload_shown_type(struct str type);

#endif
