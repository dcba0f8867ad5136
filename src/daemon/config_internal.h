/*
 * The table of configuration keys as data: what config_read.c reads and config_print.c shows.
 */
#ifndef DAEMON_CONFIG_INTERNAL_H
#define DAEMON_CONFIG_INTERNAL_H

#include "base/arena.h"
#include "daemon/config.h"

enum config_kind {
    KIND_FLAG,
    KIND_NUMBER,
    KIND_REAL,
    KIND_SIZE,
    KIND_TIME,
    KIND_TEXT,
    KIND_INPUT,
    KIND_OUTPUT,
    KIND_CHOICE,
    KIND_LIST,
};

struct config_key {
    const char *name;
    enum config_kind kind;
    bool needs_restart;
    size_t offset;       // in struct config, or in struct config_domain
    const char *initial; // as --set takes it; of a domain's key: the key it inherits from
    double least, most;  // of numbers; sizes in bytes, times in microseconds
    const char *choices; // "off|on"
    const char *doc;
    size_t inherited; // of a domain's key: offset in struct config, SIZE_MAX when there is none
};

struct config_section {
    const char *name, *doc;
    const struct config_key *keys;
    size_t n_keys;
};

enum {
    CONFIG_N_SECTIONS = 0
#define FLAG(...)
#define NUMBER(...)
#define REAL(...)
#define SIZE(...)
#define TIME(...)
#define TEXT(...)
#define INPUT(...)
#define OUTPUT(...)
#define CHOICE(...)
#define LIST(...)
#define SECTION(name, doc) +1
#define END(name)
#include "daemon/config_keys.def"
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
#undef SECTION
#undef END
};

enum { CONFIG_KEYS_MOST = 64 }; // of one section

/* Sections and keys are static. */
void config_sections(struct config_section out[CONFIG_N_SECTIONS]);
/* NULL when there is none. */
const struct config_key *config_find_key(struct str section, struct str name);
/* The keys of one domain; named "domains". */
struct config_section config_domain_section(void);
/* The key whose choices and documentation a domain's key shares: itself when it inherits none. */
const struct config_key *config_model(const struct config_key *key);

enum { CONFIG_TEXT_MOST = 4000, CONFIG_LIST_MOST = 64, CONFIG_DOMAINS_MOST = 4096 };

/* Whether text is a value of key; its field in base is then set. */
bool config_value_read(struct arena *arena, const struct config_key *key, struct str text,
                       void *base) MUST_CHECK;
size_t config_value_size(enum config_kind kind);
/* "one of off, observe, on": what a value of this key may be, for a person. */
struct str config_allowed(struct arena *arena, const struct config_key *key);
/* The value of a key as --set takes it.  base: the struct config or struct config_domain. */
struct str config_value_text(struct arena *arena, const struct config_key *key, const void *base);

#endif
