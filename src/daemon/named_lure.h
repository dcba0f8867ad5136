/*
 * What an operator means by the words with which he names a lure.
 *
 *     7                            an incident, by its number
 *     bad.example/u{n}/x.html      an incident, by its lure as the list shows it
 *     http://bad.example/x         a link; without a scheme too
 *     sha-256:5f70…                a file, by its digest: 64 hexadecimal digits
 *     photo.jpg.exe                files, by the shape of their name
 *     rule:NAME                    what a rule for texts finds
 *
 * What may be two things is refused, and the error says how to tell them apart.  So is a file's
 * name that is only a number: half of all cameras give such names.
 */
#ifndef DAEMON_NAMED_LURE_H
#define DAEMON_NAMED_LURE_H

#include "base/err.h"
#include "guard/lure.h"

enum named_kind {
    NAMED_INCIDENT, // incident
    NAMED_PATTERN,  // the incident whose lure is shown so
    NAMED_LURE,     // list, with the one lure
};

struct named_lure {
    enum named_kind kind;
    uint64_t incident;
    struct lure_list list; // without keys yet: named_lure_keys
    enum lure_width width; // LURE_WIDTHS, of an incident: as the guard would
};

/* width: link, template, host, domain, name (of files, the shape of their names), or empty.
 * ERR_MALFORMED: what it is instead, and what would do. */
enum err named_lure_read(const struct lure_rules *rules, struct arena *arena, struct str text,
                         struct str width, struct named_lure *out, struct why *why) MUST_CHECK;

/* Once the list has the lure that is meant. */
void named_lure_keys(struct named_lure *named);

#endif
