/*
 * Text rules: what an operator wants found in what people write.
 *
 * YARA rules, read and compiled once at the start and at each reload.  A text is
 * no format, so nothing here parses one: rules that import a module (which
 * would) are refused, and so are those that YARA itself calls slow.  A scan ends
 * at a limit on bytes and on time, and what did not come to an end matched what
 * it had matched by then.  Not for workers: a rule may take its time.
 */
#ifndef FILES_TEXT_RULES_H
#define FILES_TEXT_RULES_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Immutable and counted; any thread. */
struct text_rules;

struct text_rules_limits {
    int64_t time_us; // for one text
    size_t bytes;    // of a text that are looked at
};

enum { TEXT_HITS_MOST = 8 };

struct text_hit {
    struct str rule; // its name: borrowed from the rules
    bool suspects;   // it has the tag `suspect`: evidence; others forbid the text
};

struct text_hits {
    struct text_hit at[TEXT_HITS_MOST]; // those that forbid come first
    size_t n;
    bool unfinished; // a limit ended it
};

/* path: as upload.rules.  ERR_MALFORMED: a rule is wrong, with file and line. */
enum err text_rules_read(const char *path, const struct text_rules_limits *limits,
                         struct text_rules **out, struct why *why) MUST_CHECK;
struct text_rules *text_rules_ref(struct text_rules *rules);
void text_rules_unref(struct text_rules **rules);

size_t text_rules_bytes(const struct text_rules *rules);
/* No other rules have this number, nor have these when they are read again. */
uint64_t text_rules_generation(const struct text_rules *rules);
/* counts: in text_rule.n_hits. */
void text_rules_match(struct text_rules *rules, struct str text, bool counts,
                      struct text_hits *out);

struct text_rule {
    struct str name;
    bool suspects;
    uint64_t n_hits; // of texts, since the rules were read
};
/* Calls fn for each. */
void text_rules_each(struct text_rules *rules,
                     void (*fn)(void *context, const struct text_rule *rule), void *context);

#endif
