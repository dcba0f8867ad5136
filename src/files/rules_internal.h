/*
 * YARA rules out of an operator's files, for whoever scans with them.
 */
#ifndef FILES_RULES_INTERNAL_H
#define FILES_RULES_INTERNAL_H

#include "base/err.h"

#include <stdbool.h>
#include <yara.h>

/* A file, or a directory of *.yar and *.yara.  strict: what YARA only warns of (it would be slow)
 * is an error too.  ERR_MALFORMED: a rule is wrong, with file and line. */
enum err rules_compile(const char *path, bool strict, YR_RULES **out, struct why *why) MUST_CHECK;

/* Whether the rule has the tag `suspect`: what matches it is evidence, and not refused. */
bool rule_suspects(const YR_RULE *rule);

#endif
