/*
 * Configuration: one file for people, one table in code, one immutable snapshot.
 *
 * firedoor.conf is read by libconfig and checked whole: every trouble is named
 * with file, line, key and what is allowed, and nothing is used unless all of
 * it is right.  The keys, their defaults and their documentation are rows of
 * config_keys.def; `config->limits.stanza_bytes` is the key limits.stanza_bytes.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct config_list {
    const struct str *at; // terminated texts
    size_t n;
};

/* Values of the choices, in the order of the table. */
enum { CONFIG_OFF, CONFIG_ON };                                              // server.confine
enum { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };                                     // tls.minimum
enum { CONFIG_GUARD_OFF, CONFIG_GUARD_OBSERVE, CONFIG_GUARD_ON };            // guard.mode
enum { CONFIG_ARCHIVE_NEVER, CONFIG_ARCHIVE_ROSTER, CONFIG_ARCHIVE_ALWAYS }; // archive.preference
enum { CONFIG_CHECK_OFF, CONFIG_CHECK_QUICK, CONFIG_CHECK_FULL };            // store.check
enum { CONFIG_AWAY_REFUSE, CONFIG_AWAY_PASS };                               // upload.scanner_away
enum { CONFIG_UNSURE_OPEN, CONFIG_UNSURE_CLOSED };                           // links.unsure
enum { CONFIG_LOG_FIRST = 3 }; // log.level: enum log_level less this

#define FLAG(name, ...) bool name;
#define NUMBER(name, ...) int64_t name;
#define REAL(name, ...) double name;
#define SIZE(name, ...) size_t name;
#define TIME(name, ...) int64_t name##_us;
#define TEXT(name, ...) struct str name;
#define INPUT(name, ...) struct str name;
#define OUTPUT(name, ...) struct str name;
#define CHOICE(name, ...) int name;
#define LIST(name, ...) struct config_list name;
#define INHERITS(kind, name, section, key) kind(name, )

/* One domain, with the settings it inherits already in place. */
struct config_domain {
#include "daemon/config_domain_keys.def"
};

#define SECTION(name, doc) struct {
#define END(name)                                                                                  \
    }                                                                                              \
    name;

struct config {
#include "daemon/config_keys.def"
    const struct config_domain *domains;
    size_t n_domains; // at least one
};

#undef FLAG
#undef NUMBER
#undef REAL
#undef SIZE
#undef TIME
#undef TEXT
#undef INPUT
#undef OUTPUT
#undef CHOICE
#undef LIST
#undef INHERITS
#undef SECTION
#undef END

/* Where the settings come from; kept for reloads. */
struct config_args {
    const char *file;        // NULL: the defaults and the sets alone
    const char *const *sets; // "section.key=value" or "domains.NAME.key=value", later ones win
    size_t n_sets;
};

/* Reads and checks everything.  On failure *out is untouched and troubles holds a line for each
 * trouble ("firedoor.conf:12: limits.depth: 5000 is not within 8 and 256").  *out is shared,
 * immutable, and belongs to the caller by one reference. */
enum err config_load(const struct config_args *args, const struct config **out,
                     struct buf *troubles) MUST_CHECK;
/* The same from a text instead of a file, named name in the troubles; @include is refused. */
enum err config_load_text(const char *text, const char *name, const struct config **out,
                          struct buf *troubles) MUST_CHECK;

/* Any thread. */
const struct config *config_ref(const struct config *config);
void config_unref(const struct config **config);

/* Adds a trouble that only others can see, with the place of the key or the domain. */
void config_trouble(const struct config *config, struct buf *troubles, const char *section,
                    const char *key, const char *format, ...) PRINTF_LIKE(5, 6);
void config_domain_trouble(const struct config *config, struct buf *troubles, size_t domain,
                           const char *format, ...) PRINTF_LIKE(4, 5);

/* Whether a running server may go from old to new; else ERR_DENIED, and troubles names each key
 * that differs and needs a restart. */
enum err config_can_follow(const struct config *old, const struct config *new,
                           struct buf *troubles) MUST_CHECK;

/* NULL when there is none.  name: prepared. */
const struct config_domain *config_find_domain(const struct config *config, struct str name);

/* The host of an http.url; empty where it is none. */
struct str config_url_host(struct str url);

/* The example file: every section and key with its documentation and default. */
void config_print_example(FILE *out);
/* The body of firedoor.conf(5), in man's macros. */
void config_print_man(FILE *out);
/* Every key in force, as `section.key=value` lines: what `firedoorctl config` shows. */
void config_print_values(const struct config *config, struct buf *out);

#endif
