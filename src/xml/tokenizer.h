/*
 * The tokenizer: bytes of a stream in, complete top-level elements out.
 *
 * It reads the subset of XML that RFC 6120 section 11 leaves: no DTD, no
 * processing instructions, no comments, no entities but the five, UTF-8 only.
 * Whatever a peer sends, memory and time are bounded by the limits: time is
 * linear in the bytes however they are cut, and nothing recurses.
 *
 *     struct str rest = bytes;
 *     while ((token = tokenizer_feed(t, &rest, arena, &element)) != TOKEN_MORE)
 *         ...
 *
 * Between stanzas a tokenizer owns no heap (in the usual stream, whose header
 * declares what RFC 6120 shows); the struct may be moved by assignment.
 * A wrong byte is reported at the latest when its tag or its run of text ends.
 */
#ifndef XML_TOKENIZER_H
#define XML_TOKENIZER_H

#include "base/buf.h"
#include "xml/element.h"

/* Ceilings for one top-level element (and for the stream header). */
struct tokenizer_limits {
    uint32_t bytes;      // from its '<' to its '>'
    uint32_t elements;   // elements and pieces of text
    uint32_t namespaces; // declarations in scope at once, those of the stream header included
    uint16_t depth;      // 1: no element inside it
    uint16_t attributes; // of one element, at most TOKENIZER_ATTRIBUTES_MOST
    uint16_t name;       // bytes of one name with its prefix
};

enum { TOKENIZER_ATTRIBUTES_MOST = 128 };

/* For those without a configuration: 256 KiB, 2,000 elements, 32 deep. */
extern const struct tokenizer_limits tokenizer_limits_default;

enum token {
    TOKEN_MORE,   // all bytes are used up; come back with more
    TOKEN_HEADER, // the stream's header: an element without content
    TOKEN_STANZA, // one complete top-level element
    TOKEN_CLOSED, // the stream's end tag; whatever follows is not looked at
    TOKEN_FAULT,  // see fault and detail; the same answer to everything that follows
};

/* What a peer did wrong: each is a stream error of RFC 6120 section 4.9.3. */
enum xml_fault {
    XML_FINE,
    XML_NOT_WELL_FORMED,
    XML_RESTRICTED,
    XML_BAD_NAMESPACE_PREFIX,
    XML_UNSUPPORTED_ENCODING,
    XML_BAD_FORMAT,       // text between stanzas
    XML_POLICY_VIOLATION, // one of the limits
};

/* The name of the condition: "not-well-formed", "restricted-xml"… */
struct str xml_fault_condition(enum xml_fault fault);

struct tokenizer {
    // for everybody to read
    enum xml_fault fault;
    const char *detail; // what was wrong, for the log; static storage
    // private
    struct tokenizer_limits limits;
    uint8_t state, cut, quote;
    uint32_t n_bytes, n_elements, n_namespaces, n_header_namespaces;
    uint32_t depth;
    uint32_t text_room;               // of the last text, when it may grow in place
    const struct xml_scope *declared; // by the stream header
    struct xml_open *innermost, *spare;
    struct buf pending;   // a token that the input cut
    struct arena *header; // a header that declares more than usual
    struct str header_name;
};

/* Expects a stream header (an XML declaration may precede it). */
void tokenizer_init(struct tokenizer *t, const struct tokenizer_limits *limits);
void tokenizer_done(struct tokenizer *t);
/* Expects the header of a new stream (after STARTTLS and SASL); limits stay. */
void tokenizer_reset(struct tokenizer *t);
/* From the next stanza on (after authentication, at a reload). */
void tokenizer_set_limits(struct tokenizer *t, const struct tokenizer_limits *limits);

/* Reads from *rest, which it shortens, up to the next event.  The element is built in arena, which
 * must stay the same (and must not be reset) from the first byte of an element until its event:
 * while tokenizer_is_idle() it may change.  Ceiling of the arena reached: TOKEN_FAULT with
 * XML_POLICY_VIOLATION.  *out is set with TOKEN_HEADER and TOKEN_STANZA only. */
enum token tokenizer_feed(struct tokenizer *t, struct str *rest, struct arena *arena,
                          struct element **out) MUST_CHECK;

/* Nothing is half read: the next byte begins a new top-level element. */
bool tokenizer_is_idle(const struct tokenizer *t);

/* The namespace that the stream header bound to prefix ("" for the default); empty when none. */
struct str tokenizer_declared(const struct tokenizer *t, struct str prefix);

/* Reads a whole text that is one element (an XML declaration may precede it, white space may
 * surround it): stored stanzas, frames of RFC 7395, tests.  ns: the default namespace around it.
 * ERR_MALFORMED, or ERR_LIMIT for limits (NULL: the default ones) and the arena's ceiling;
 * *fault then says more (may be NULL). */
enum err element_parse(struct arena *arena, struct str text, struct str ns,
                       const struct tokenizer_limits *limits, struct element **out,
                       enum xml_fault *fault) MUST_CHECK;

#endif
