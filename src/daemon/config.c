#include "daemon/config.h"

#include "base/list.h"
#include "base/must.h"
#include "daemon/config_loading_internal.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_MOST = 64 << 20 };

// What a struct config really is.
struct snapshot {
    atomic_uint n_refs;
    struct arena arena;
    struct config config;
    struct origins origins;
    const struct origin *domain_origins;
};

static void put_trouble(struct buf *troubles, struct origin origin, const char *format,
                        va_list args)
{
    struct arena arena;
    arena_init(&arena, 256 << 10);
    struct str text = arena_vprintf(&arena, format, args);
    if (origin.file == NULL)
        buf_printf(troubles, "%.*s\n", STR_ARGS(text));
    else if (origin.line == 0)
        buf_printf(troubles, "%s: %.*s\n", origin.file, STR_ARGS(text));
    else
        buf_printf(troubles, "%s:%d: %.*s\n", origin.file, origin.line, STR_ARGS(text));
    arena_done(&arena);
}

void loading_trouble(struct loading *loading, struct origin origin, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_trouble(loading->troubles, origin, format, args);
    va_end(args);
    loading->n_troubles++;
}

struct str loading_path(struct arena *arena, struct str directory, struct str path)
{
    if (path.len == 0 || path.at[0] == '/' || directory.len == 0)
        return path;
    return arena_printf(arena, "%.*s/%.*s", STR_ARGS(directory), STR_ARGS(path));
}

struct origin loading_origin(const struct config_section *sections, const struct origins *origins,
                             const char *section, const char *name)
{
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++)
        for (size_t k = 0; k < sections[s].n_keys; k++)
            if (strcmp(sections[s].name, section) == 0 &&
                strcmp(sections[s].keys[k].name, name) == 0)
                return origins->of[s][k];
    must(false); // the callers name keys of the table
    return (struct origin){0};
}

static void inherit(struct loading *loading)
{
    for (size_t d = 0; d < loading->n_domains; d++)
        for (size_t k = 0; k < loading->domain.n_keys; k++) {
            const struct config_key *key = &loading->domain.keys[k];
            if (!loading->given[d][k] && key->inherited != SIZE_MAX)
                memcpy((char *)&loading->domains[d] + key->offset,
                       (const char *)loading->config + key->inherited,
                       config_value_size(key->kind));
            else if (!loading->given[d][k])
                must(config_value_read(loading->arena, key, str_of(key->initial),
                                       &loading->domains[d]));
        }
}

static void resolve_outputs(struct loading *loading)
{
    struct str state = loading->config->server.state_directory;
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++)
        for (size_t k = 0; k < loading->sections[s].n_keys; k++) {
            const struct config_key *key = &loading->sections[s].keys[k];
            if (key->kind != KIND_OUTPUT)
                continue;
            struct str *path = (struct str *)((char *)loading->config + key->offset);
            *path = loading_path(loading->arena, state, *path);
        }
}

static struct snapshot *snapshot_new(void)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    must(snapshot != NULL);
    atomic_init(&snapshot->n_refs, 1);
    arena_init(&snapshot->arena, ARENA_MOST);
    return snapshot;
}

static enum err load(const struct config_args *args, const char *text, const char *name,
                     const struct config **out, struct buf *troubles)
{
    struct snapshot *snapshot = snapshot_new();
    struct arena scratch;
    arena_init(&scratch, 16 << 20);
    struct loading *loading = arena_make(&scratch, struct loading);
    config_t tree;

    loading->arena = &snapshot->arena;
    loading->config = &snapshot->config;
    loading->domains = arena_make_array(&scratch, struct config_domain, CONFIG_DOMAINS_MOST);
    loading->domain_origins = arena_make_array(&scratch, struct origin, CONFIG_DOMAINS_MOST);
    loading->given = arena_zalloc(&scratch, CONFIG_DOMAINS_MOST * sizeof *loading->given);
    loading->name = name != NULL ? name : "--set";
    loading->text = text;
    loading->troubles = troubles;
    config_sections(loading->sections);
    loading->domain = config_domain_section();

    char here[4096] = "";
    if (getcwd(here, sizeof here) != NULL)
        loading->here = arena_str(&scratch, str_of(here));
    const char *slash = name != NULL ? strrchr(name, '/') : NULL;
    loading->directory =
        slash != NULL ? arena_str(&scratch, str_make(name, (size_t)(slash - name))) : loading->here;
    if (slash != NULL && name[0] != '/')
        loading->directory = loading_path(&scratch, loading->here, loading->directory);

    loading_read_defaults(loading);
    config_init(&tree);
    if (text != NULL) {
        if (config_read_string(&tree, text) == CONFIG_TRUE)
            loading_read_tree(loading, &tree);
        else
            loading_trouble(loading, (struct origin){name, config_error_line(&tree)}, "%s",
                            config_error_text(&tree));
    } else if (name != NULL) {
        struct stat stat_of;
        config_set_include_dir(&tree, loading->directory.at);
        if (stat(name, &stat_of) != 0)
            loading_trouble(loading, (struct origin){name, 0}, "%s", strerror(errno));
        else if (S_ISDIR(stat_of.st_mode) || stat_of.st_size > CONFIG_FILE_MOST)
            loading_trouble(loading, (struct origin){name, 0}, "not a configuration file");
        else if (config_read_file(&tree, name) == CONFIG_TRUE)
            loading_read_tree(loading, &tree);
        else if (config_error_type(&tree) == CONFIG_ERR_FILE_IO)
            loading_trouble(loading, (struct origin){name, 0}, "%s", strerror(errno));
        else
            loading_cannot_parse(loading, &tree);
    }
    for (size_t i = 0; args != NULL && i < args->n_sets; i++)
        loading_read_set(loading, args->sets[i]);

    // what is missing or contradicts is worth saying only of values that could be read
    if (loading->n_troubles == 0) {
        inherit(loading);
        resolve_outputs(loading);
        loading_check(loading);
    }
    enum err e = loading->n_troubles > 0 ? ERR_MALFORMED : OK;
    if (e == OK) {
        struct config_domain *domains =
            arena_make_array(&snapshot->arena, struct config_domain, loading->n_domains);
        memcpy(domains, loading->domains, loading->n_domains * sizeof *domains);
        struct origin *origins =
            arena_make_array(&snapshot->arena, struct origin, loading->n_domains);
        memcpy(origins, loading->domain_origins, loading->n_domains * sizeof *origins);
        snapshot->origins = loading->origins;
        snapshot->domain_origins = origins;
        snapshot->config.domains = domains;
        snapshot->config.n_domains = loading->n_domains;
        *out = &snapshot->config;
    } else {
        const struct config *config = &snapshot->config;
        config_unref(&config);
    }
    config_destroy(&tree);
    arena_done(&scratch);
    return e;
}

enum err config_load(const struct config_args *args, const struct config **out,
                     struct buf *troubles)
{
    return load(args, NULL, args->file, out, troubles);
}

enum err config_load_text(const char *text, const char *name, const struct config **out,
                          struct buf *troubles)
{
    if (strstr(text, "@include") != NULL) {
        buf_printf(troubles, "%s: @include is not possible here\n", name);
        return ERR_MALFORMED;
    }
    return load(NULL, text, name, out, troubles);
}

const struct config *config_ref(const struct config *config)
{
    struct snapshot *snapshot = CONTAINER_OF(config, struct snapshot, config);
    atomic_fetch_add_explicit(&snapshot->n_refs, 1, memory_order_relaxed);
    return config;
}

void config_unref(const struct config **config)
{
    if (*config == NULL)
        return;
    struct snapshot *snapshot = CONTAINER_OF(TAKE(*config), struct snapshot, config);
    if (atomic_fetch_sub_explicit(&snapshot->n_refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_done(&snapshot->arena);
    free(snapshot);
}

void config_trouble(const struct config *config, struct buf *troubles, const char *section,
                    const char *key, const char *format, ...)
{
    const struct snapshot *snapshot = CONTAINER_OF(config, struct snapshot, config);
    struct config_section sections[CONFIG_N_SECTIONS];
    config_sections(sections);
    va_list args;
    va_start(args, format);
    put_trouble(troubles, loading_origin(sections, &snapshot->origins, section, key), format, args);
    va_end(args);
}

void config_domain_trouble(const struct config *config, struct buf *troubles, size_t domain,
                           const char *format, ...)
{
    const struct snapshot *snapshot = CONTAINER_OF(config, struct snapshot, config);
    va_list args;
    must(domain < config->n_domains);
    va_start(args, format);
    put_trouble(troubles, snapshot->domain_origins[domain], format, args);
    va_end(args);
}

enum err config_can_follow(const struct config *old, const struct config *new, struct buf *troubles)
{
    struct config_section sections[CONFIG_N_SECTIONS];
    config_sections(sections);
    struct arena arena;
    arena_init(&arena, 16 << 20);
    enum err e = OK;
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++)
        for (size_t k = 0; k < sections[s].n_keys; k++) {
            const struct config_key *key = &sections[s].keys[k];
            if (!key->needs_restart)
                continue;
            struct str was = config_value_text(&arena, key, old);
            struct str is = config_value_text(&arena, key, new);
            if (str_eq(was, is))
                continue;
            buf_printf(troubles, "%s.%s: from \"%.*s\" to \"%.*s\" needs a restart\n",
                       sections[s].name, key->name, STR_ARGS(was), STR_ARGS(is));
            e = ERR_DENIED;
        }
    for (size_t d = 0; d < new->n_domains; d++)
        if (config_find_domain(old, new->domains[d].name) == NULL) {
            buf_printf(troubles, "domains: a new domain, %.*s, needs a restart\n",
                       STR_ARGS(new->domains[d].name));
            e = ERR_DENIED;
        }
    for (size_t d = 0; d < old->n_domains; d++)
        if (config_find_domain(new, old->domains[d].name) == NULL) {
            buf_printf(troubles, "domains: taking away %.*s needs a restart\n",
                       STR_ARGS(old->domains[d].name));
            e = ERR_DENIED;
        }
    arena_done(&arena);
    return e;
}

const struct config_domain *config_find_domain(const struct config *config, struct str name)
{
    for (size_t d = 0; d < config->n_domains; d++)
        if (str_eq(config->domains[d].name, name))
            return &config->domains[d];
    return NULL;
}
