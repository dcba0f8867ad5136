/*
 * PRECIS (RFC 8264) on ICU: which code points names may hold, and the two
 * profiles of RFC 8265 that XMPP uses.  ASCII never comes here: its callers
 * have tables for it.
 */
#ifndef XMPP_PRECIS_INTERNAL_H
#define XMPP_PRECIS_INTERNAL_H

#include "base/str.h"

enum { PRECIS_OUT_MOST = 1023 };

/* UsernameCaseMapped; ERR_MALFORMED, or ERR_LIMIT beyond PRECIS_OUT_MOST bytes.  Writes to out,
 * which has that many. */
enum err precis_username(struct str text, char *out, size_t *len) MUST_CHECK;

/* OpaqueString. */
enum err precis_opaque(struct str text, char *out, size_t *len) MUST_CHECK;

/* Whether a text (UTF-8) that is not only ASCII could be a label of IDNA2008, which what UTS 46
 * lets pass need not be. */
bool precis_is_label(struct str label);

/* The two profiles of stringprep (RFC 3454) that others still use. */
enum stringprep { STRINGPREP_NODE, STRINGPREP_SASL };
enum err stringprep(enum stringprep profile, struct str text, char *out, size_t *len) MUST_CHECK;

#endif
