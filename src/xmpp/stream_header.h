/*
 * Stream headers (RFC 6120 §4.7): the tag that opens a stream, for a server's
 * answer and for whoever opens one (a client, another server).
 */
#ifndef XMPP_STREAM_HEADER_H
#define XMPP_STREAM_HEADER_H

#include "base/buf.h"
#include "xml/tokenizer.h"
#include "xmpp/stream_error.h"

#include <stdbool.h>

struct stream_header {
    struct str content_namespace;  // NS_CLIENT or NS_SERVER
    struct str from, to, id, lang; // as they stand; empty: absent
};

/* Appends an XML declaration and the open tag, version 1.0. */
void stream_header_write(struct buf *out, const struct stream_header *header);

/* Reads the element of a TOKEN_HEADER; its texts are borrowed from it.  content_namespace: what
 * the stream must be of.  false: *condition says which error ends the stream. */
bool stream_header_read(const struct element *element, const struct tokenizer *tokenizer,
                        struct str content_namespace, struct stream_header *out,
                        enum stream_condition *condition) MUST_CHECK;

#endif
