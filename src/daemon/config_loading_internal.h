/*
 * A configuration while it is loaded: what config_read.c fills in, config_check.c looks through as
 * a whole and config.c makes a snapshot of.
 */
#ifndef DAEMON_CONFIG_LOADING_INTERNAL_H
#define DAEMON_CONFIG_LOADING_INTERNAL_H

#include "base/buf.h"
#include "daemon/config_internal.h"

#include <libconfig.h>

enum { CONFIG_FILE_MOST = 16 << 20 };

// Where a value came from, for messages.
struct origin {
    const char *file; // NULL: a default
    int line;         // 0: --set
};

struct origins {
    struct origin of[CONFIG_N_SECTIONS][CONFIG_KEYS_MOST];
};

struct loading {
    struct arena *arena;
    struct config *config;
    struct config_domain *domains; // CONFIG_DOMAINS_MOST of them
    struct origin *domain_origins;
    bool (*given)[CONFIG_KEYS_MOST]; // which keys a domain has of its own
    size_t n_domains;
    struct origins origins;
    struct config_section sections[CONFIG_N_SECTIONS];
    struct config_section domain;
    const char *name;     // of the file, for messages
    struct str directory; // of the file: where its relative paths begin
    const char *text;     // read instead of a file; NULL: a file is
    const char *checked;  // file whose numbers were checked last; lives in the tree
    struct str here;      // the current directory: where those of --set begin
    struct buf *troubles;
    size_t n_troubles;
};

void loading_trouble(struct loading *loading, struct origin origin, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* path, seen from directory. */
struct str loading_path(struct arena *arena, struct str directory, struct str path);

/* Where a key's value came from; section and name are ones of the table. */
struct origin loading_origin(const struct config_section *sections, const struct origins *origins,
                             const char *section, const char *name);

/* config_read.c: values from the table's defaults, from a file, from section.key=value. */
void loading_read_defaults(struct loading *loading);
void loading_read_tree(struct loading *loading, const config_t *tree);
void loading_read_set(struct loading *loading, const char *set);
/* What libconfig said of a file it could not parse, with the name that it leaves out. */
void loading_cannot_parse(struct loading *loading, const config_t *tree);

/* config_check.c: what no single key can know. */
void loading_check(struct loading *loading);

#endif
