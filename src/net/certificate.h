/*
 * Certificates as files: what an operator may have mistaken about them.
 */
#ifndef NET_CERTIFICATE_H
#define NET_CERTIFICATE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* Whether the first certificate of a PEM file is for this host (ASCII), by its names or its
 * wildcards.  ERR_MISSING: it is for others, and why lists them; ERR_MALFORMED: there is none. */
enum err certificate_is_for(const char *file, struct str host, struct why *why) MUST_CHECK;

#endif
