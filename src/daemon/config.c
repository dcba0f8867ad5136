#include "daemon/config.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/must.h"
#include "daemon/config_internal.h"
#include "files/clamd.h"
#include "http/cross.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libconfig.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ARENA_MOST = 64 << 20,
    FILE_MOST = 16 << 20,
    LINK_KEYS_MOST = 15, // guard/seal.h keeps sixteen, and the newest may be fresh
};

// Where a value came from, for messages.
struct origin {
    const char *file; // NULL: a default
    int line;         // 0: --set
};

struct origins {
    struct origin of[CONFIG_N_SECTIONS][CONFIG_KEYS_MOST];
};

// What a struct config really is.
struct snapshot {
    atomic_uint n_refs;
    struct arena arena;
    struct config config;
    struct origins origins;
    const struct origin *domain_origins;
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

static void trouble(struct loading *loading, struct origin origin, const char *format, ...)
    PRINTF_LIKE(3, 4);

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

static void trouble(struct loading *loading, struct origin origin, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_trouble(loading->troubles, origin, format, args);
    va_end(args);
    loading->n_troubles++;
}

static const struct origin from_set = {"--set", 0};

/* ---- names that nobody knows ---- */

// Edit distance, up to the length of short names; longer ones are far from everything.
static size_t distance(struct str a, struct str b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b.len > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t best = diagonal + (a.at[i - 1] != b.at[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b.len];
}

static void unknown_key(struct loading *loading, struct origin origin,
                        const struct config_section *section, struct str name)
{
    size_t best = 0;
    for (size_t k = 1; k < section->n_keys; k++)
        if (distance(name, str_of(section->keys[k].name)) <
            distance(name, str_of(section->keys[best].name)))
            best = k;
    trouble(loading, origin, "%s.%.*s: no such key; did you mean %s.%s?", section->name,
            STR_ARGS(name), section->name, section->keys[best].name);
}

static void unknown_section(struct loading *loading, struct origin origin, struct str name)
{
    const char *best = "domains";
    for (size_t i = 0; i < CONFIG_N_SECTIONS; i++) {
        if (config_find_key(str_of(loading->sections[i].name), name) != NULL) {
            trouble(loading, origin, "%.*s: no such section; did you mean the key %s.%.*s?",
                    STR_ARGS(name), loading->sections[i].name, STR_ARGS(name));
            return;
        }
        if (distance(name, str_of(loading->sections[i].name)) < distance(name, str_of(best)))
            best = loading->sections[i].name;
    }
    trouble(loading, origin, "%.*s: no such section; did you mean %s?", STR_ARGS(name), best);
}

/* ---- values ---- */

static struct str join(struct arena *arena, struct str directory, struct str path)
{
    if (path.len == 0 || path.at[0] == '/' || directory.len == 0)
        return path;
    return arena_printf(arena, "%.*s/%.*s", STR_ARGS(directory), STR_ARGS(path));
}

// base: the struct config or config_domain.
static bool put_value(struct loading *loading, struct origin origin, struct str section,
                      const struct config_key *key, struct str text, void *base)
{
    // room for the value, a path before it and a list of it
    if (!arena_fits(loading->arena, text.len + loading->directory.len + loading->here.len + 4096)) {
        trouble(loading, origin, "%.*s.%s: the configuration is too large", STR_ARGS(section),
                key->name);
        return false;
    }
    if (!config_value_read(loading->arena, key, text, base)) {
        struct arena arena;
        arena_init(&arena, 256 << 10);
        struct str allowed = config_allowed(&arena, key);
        struct str shown = str_is_utf8(text) && text.len < 80 ? text : STR("the value");
        trouble(loading, origin, "%.*s.%s: \"%.*s\" is not %.*s", STR_ARGS(section), key->name,
                STR_ARGS(shown), STR_ARGS(allowed));
        arena_done(&arena);
        return false;
    }
    if (key->kind == KIND_INPUT) {
        struct str *path = (struct str *)((char *)base + key->offset);
        *path = join(loading->arena, origin.line == 0 ? loading->here : loading->directory, *path);
    }
    return true;
}

static void put_defaults(struct loading *loading)
{
    for (size_t i = 0; i < CONFIG_N_SECTIONS; i++)
        for (size_t k = 0; k < loading->sections[i].n_keys; k++) {
            const struct config_key *key = &loading->sections[i].keys[k];
            must(config_value_read(loading->arena, key, str_of(key->initial), loading->config));
        }
}

/* libconfig cuts whole numbers of more than 32 bits without a word: 4294967304 is 8 to it.  So the
 * text is looked through for such numbers: the line of the first one, 0 if there is none.  Those
 * that end in L are read whole. */
static int line_of_cut_number(struct str text)
{
    static const char word_chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.*0123456789";
    int line = 1;
    for (size_t i = 0; i < text.len; i++) {
        struct str rest = str_skip(text, i);
        char c = text.at[i];
        size_t len = 0;
        if (c == '\n') {
            line++;
        } else if (c == '#' || str_starts(rest, STR("//"))) {
            i += str_find_char(rest, '\n') - 1; // the end of the line is counted
        } else if (str_starts(rest, STR("/*"))) {
            struct str comment = str_first(rest, str_find(rest, STR("*/")));
            for (size_t n = 0; n < comment.len; n++)
                line += comment.at[n] == '\n';
            i += comment.len;
        } else if (c == '"') {
            for (len = 1; len < rest.len && rest.at[len] != '"'; len++) {
                line += rest.at[len] == '\n';
                len += rest.at[len] == '\\';
            }
            i += len;
        } else if (c != '\0' && strchr(word_chars, c) != NULL) {
            bool digits = true;
            for (;
                 len < rest.len && rest.at[len] != '\0' && strchr(word_chars, rest.at[len]) != NULL;
                 len++)
                digits = digits && rest.at[len] >= '0' && rest.at[len] <= '9';
            struct str word = str_first(rest, len);
            bool hex = str_starts(word, STR("0x")) || str_starts(word, STR("0X"));
            uint64_t number;
            if (hex ? word.len > 10 && !str_ends(word, STR("L"))
                    : digits && str_to_u64(word, 0, INT32_MAX, &number) != OK)
                return line;
            i += len - 1;
        }
    }
    return 0;
}

// Once for each file that holds a whole number.
static void check_numbers(struct loading *loading, const char *file)
{
    if (loading->checked != NULL && strcmp(loading->checked, file) == 0)
        return;
    loading->checked = file;
    struct str path = str_of(file);
    if (strcmp(file, loading->name) != 0) // included: named as the including file names it
        path = join(loading->arena, loading->directory, path);
    FILE *in = loading->text == NULL ? fopen(path.at, "re") : NULL;
    char *bytes = in != NULL ? malloc(FILE_MOST) : NULL;
    struct str text = in == NULL      ? str_of(loading->text)
                      : bytes != NULL ? str_make(bytes, fread(bytes, 1, FILE_MOST, in))
                                      : STR_EMPTY;
    int line = line_of_cut_number(text);
    if (line > 0)
        trouble(
            loading, (struct origin){file, line},
            "a number of more than 32 bits: write it with a unit, such as \"4 GiB\", or between "
            "quotes");
    if (in != NULL)
        fclose(in);
    free(bytes);
}

// A scalar or a list of scalars as text; false, with the trouble named, for anything else.
static bool setting_text(struct loading *loading, struct arena *arena, struct origin origin,
                         const config_setting_t *setting, const char *path, struct str *out)
{
    struct str text = STR_EMPTY;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        *out = str_of(config_setting_get_string(setting));
        return true;
    case CONFIG_TYPE_INT:
        check_numbers(loading, origin.file);
        *out = arena_printf(arena, "%lld", config_setting_get_int64(setting));
        return true;
    case CONFIG_TYPE_INT64:
        *out = arena_printf(arena, "%lld", config_setting_get_int64(setting));
        return true;
    case CONFIG_TYPE_FLOAT:
        *out = arena_printf(arena, "%.17g", config_setting_get_float(setting));
        return true;
    case CONFIG_TYPE_BOOL:
        *out = config_setting_get_bool(setting) ? STR("true") : STR("false");
        return true;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        if (config_setting_length(setting) > CONFIG_LIST_MOST) {
            trouble(loading, origin, "%s: more than %d values", path, CONFIG_LIST_MOST);
            return false;
        }
        for (int i = 0; i < config_setting_length(setting); i++) {
            const char *item = config_setting_get_string_elem(setting, i);
            if (item == NULL || text.len + strlen(item) > CONFIG_TEXT_MOST) {
                trouble(loading, origin, "%s: the list may hold texts only, %d bytes in all", path,
                        CONFIG_TEXT_MOST);
                return false;
            }
            text = arena_printf(arena, "%.*s%s%s", STR_ARGS(text), i > 0 ? "," : "", item);
        }
        *out = text;
        return true;
    default:
        trouble(loading, origin, "%s: a value is needed here, not a group", path);
        return false;
    }
}

static struct origin origin_of(const struct loading *loading, const config_setting_t *setting)
{
    const char *file = config_setting_source_file(setting);
    return (struct origin){file != NULL ? file : loading->name,
                           (int)config_setting_source_line(setting)};
}

static const struct config_key *key_of(const struct config_section *section, struct str name)
{
    for (size_t k = 0; k < section->n_keys; k++)
        if (str_eq(str_of(section->keys[k].name), name))
            return &section->keys[k];
    return NULL;
}

// One `key = value;` of a group.  Where it came from is kept in origins unless NULL.
static void read_setting(struct loading *loading, const config_setting_t *setting,
                         const struct config_section *section, void *base, struct origin *origins,
                         bool *given)
{
    struct origin origin = origin_of(loading, setting);
    struct str name = str_of(config_setting_name(setting));
    const struct config_key *key = key_of(section, name);
    if (key == NULL) {
        unknown_key(loading, origin, section, name);
        return;
    }
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct str path = arena_printf(&arena, "%s.%s", section->name, key->name), text;
    if (setting_text(loading, &arena, origin, setting, path.at, &text) &&
        put_value(loading, origin, str_of(section->name), key, text, base)) {
        size_t k = (size_t)(key - section->keys);
        // libconfig's names of files die with it
        origin.file = arena_str(loading->arena, str_of(origin.file)).at;
        if (origins != NULL)
            origins[k] = origin;
        if (given != NULL)
            given[k] = true;
    }
    arena_done(&arena);
}

static size_t add_domain(struct loading *loading, struct origin origin)
{
    size_t d = loading->n_domains++;
    memset(&loading->domains[d], 0, sizeof loading->domains[d]);
    memset(loading->given[d], 0, sizeof loading->given[d]);
    if (origin.file != NULL)
        origin.file = arena_str(loading->arena, str_of(origin.file)).at;
    loading->domain_origins[d] = origin;
    return d;
}

static void read_domains(struct loading *loading, const config_setting_t *list)
{
    if (config_setting_type(list) != CONFIG_TYPE_LIST) {
        trouble(loading, origin_of(loading, list),
                "domains: a list of groups is needed, such as domains = ( { name = "
                "\"example.org\"; } );");
        return;
    }
    for (int i = 0; i < config_setting_length(list); i++) {
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        struct origin origin = origin_of(loading, group);
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
            trouble(loading, origin, "domains: each domain is a group: { name = \"…\"; }");
            continue;
        }
        if (loading->n_domains == CONFIG_DOMAINS_MOST) {
            trouble(loading, origin, "domains: more than %d", CONFIG_DOMAINS_MOST);
            return;
        }
        size_t d = add_domain(loading, origin);
        for (int k = 0; k < config_setting_length(group); k++)
            read_setting(loading, config_setting_get_elem(group, (unsigned)k), &loading->domain,
                         &loading->domains[d], NULL, loading->given[d]);
    }
}

static void read_tree(struct loading *loading, const config_t *tree)
{
    const config_setting_t *root = config_root_setting(tree);
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *group = config_setting_get_elem(root, (unsigned)i);
        struct str name = str_of(config_setting_name(group));
        if (str_eq(name, STR("domains"))) {
            read_domains(loading, group);
            continue;
        }
        size_t s = 0;
        while (s < CONFIG_N_SECTIONS && !str_eq(str_of(loading->sections[s].name), name))
            s++;
        if (s == CONFIG_N_SECTIONS) {
            unknown_section(loading, origin_of(loading, group), name);
            continue;
        }
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
            trouble(loading, origin_of(loading, group),
                    "%s: a section is needed here: %s: { key = value; };",
                    loading->sections[s].name, loading->sections[s].name);
            continue;
        }
        for (int k = 0; k < config_setting_length(group); k++)
            read_setting(loading, config_setting_get_elem(group, (unsigned)k),
                         &loading->sections[s], loading->config, loading->origins.of[s], NULL);
    }
}

static void set_domain_key(struct loading *loading, const char *set, struct str path,
                           struct str value)
{
    size_t dot = path.len;
    while (dot > 0 && path.at[dot - 1] != '.')
        dot--;
    if (dot < 2) {
        trouble(loading, from_set, "%s: domains.NAME.key=value is needed", set);
        return;
    }
    struct str name = str_first(path, dot - 1), key_name = str_skip(path, dot);
    const struct config_key *key = key_of(&loading->domain, key_name);
    if (key == NULL) {
        unknown_key(loading, from_set, &loading->domain, key_name);
        return;
    }
    if (key == key_of(&loading->domain, STR("name"))) {
        trouble(loading, from_set, "%s: a domain's name stands before the key: domains.NAME.key",
                set);
        return;
    }
    size_t d = 0;
    while (d < loading->n_domains && !str_eq(loading->domains[d].name, name))
        d++;
    if (d == loading->n_domains) {
        if (d == CONFIG_DOMAINS_MOST) {
            trouble(loading, from_set, "domains: more than %d", CONFIG_DOMAINS_MOST);
            return;
        }
        const struct config_key *name_key = key_of(&loading->domain, STR("name"));
        add_domain(loading, from_set);
        if (!put_value(loading, from_set, STR("domains"), name_key, name, &loading->domains[d]))
            return;
        loading->given[d][name_key - loading->domain.keys] = true;
    }
    if (put_value(loading, from_set, STR("domains"), key, value, &loading->domains[d]))
        loading->given[d][key - loading->domain.keys] = true;
}

static void read_set(struct loading *loading, const char *set)
{
    struct str value = str_of(set), path = str_cut(&value, '=');
    if (value.at == NULL) {
        trouble(loading, from_set, "%s: section.key=value is needed", set);
        return;
    }
    path = str_trim(path);
    value = str_trim(value);
    struct str name = path, section = str_cut(&name, '.');
    if (str_eq(section, STR("domains")) && name.at != NULL) {
        set_domain_key(loading, set, name, value);
        return;
    }
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++) {
        if (!str_eq(str_of(loading->sections[s].name), section))
            continue;
        const struct config_key *key = key_of(&loading->sections[s], name);
        if (key == NULL)
            unknown_key(loading, from_set, &loading->sections[s], name);
        else if (put_value(loading, from_set, section, key, value, loading->config))
            loading->origins.of[s][key - loading->sections[s].keys] = from_set;
        return;
    }
    unknown_section(loading, from_set, section);
}

/* ---- the whole ---- */

static struct origin origin_of_key(const struct config_section *sections,
                                   const struct origins *origins, const char *section,
                                   const char *name)
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
            *path = join(loading->arena, state, *path);
        }
}

static void check_readable(struct loading *loading, struct origin origin, const char *what,
                           struct str path, bool is_directory)
{
    struct stat stat_of;
    if (stat(path.at, &stat_of) != 0)
        trouble(loading, origin, "%s: %s: %s", what, path.at, strerror(errno));
    else if (is_directory ? !S_ISDIR(stat_of.st_mode) : !S_ISREG(stat_of.st_mode))
        trouble(loading, origin, "%s: %s is not a %s", what, path.at,
                is_directory ? "directory" : "file");
    else if (access(path.at, R_OK) != 0)
        trouble(loading, origin, "%s: %s: %s", what, path.at, strerror(errno));
}

// The prepared form of RFC 7622 is lower case; the people who write this file write it so.
static bool is_domain(struct str name)
{
    if (name.len == 0 || name.len > 1023 || name.at[0] == '.' || name.at[name.len - 1] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (!(c >= 0x80 || c == '-' || c == '.' || (c >= '0' && c <= '9') ||
              (c >= 'a' && c <= 'z')))
            return false;
    }
    return str_find(name, STR("..")) == name.len;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

struct str config_url_host(struct str url)
{
    static const struct str scheme = {"https://", sizeof "https://" - 1};
    if (!str_starts(url, scheme))
        return STR_EMPTY;
    struct str rest = str_skip(url, scheme.len);
    struct str host = str_cut(&rest, ':');
    uint64_t port;
    if (rest.at != NULL && str_to_u64(rest, 1, 65535, &port) != OK)
        return STR_EMPTY;
    // in a certificate and in Host it has its A-labels
    return is_domain(host) && is_ascii(host) ? host : STR_EMPTY;
}

static bool is_account_of(struct str account, struct str domain)
{
    struct str rest = account, local = str_cut(&rest, '@');
    for (size_t i = 0; i < local.len; i++)
        if ((local.at[i] >= 'A' && local.at[i] <= 'Z') || strchr(" \"&'/:<>", local.at[i]) != NULL)
            return false;
    return local.len > 0 && rest.at != NULL && str_eq(rest, domain);
}

static bool is_account(const struct loading *loading, struct str account)
{
    for (size_t d = 0; d < loading->n_domains; d++)
        if (is_account_of(account, loading->domains[d].name))
            return true;
    return false;
}

static void check_people(struct loading *loading, struct origin origin, const char *what,
                         const struct config_list *people)
{
    for (size_t i = 0; i < people->n; i++)
        if (!is_account(loading, people->at[i]))
            trouble(loading, origin,
                    "%s: \"%.*s\" is no account in lower case of a domain served here", what,
                    STR_ARGS(people->at[i]));
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(((const struct config_domain *)a)->name,
                   ((const struct config_domain *)b)->name);
}

static void check_domains(struct loading *loading)
{
    const struct config *config = loading->config;
    bool any_port =
        config->listen.starttls != 0 || config->listen.direct_tls != 0 || config->http.port != 0;
    if (loading->n_domains == 0)
        trouble(loading, (struct origin){loading->name, 0},
                "domains: none is named; needed: domains = ( { name = \"example.org\"; } );");
    for (size_t d = 0; d < loading->n_domains; d++) {
        const struct config_domain *domain = &loading->domains[d];
        struct origin origin = loading->domain_origins[d];
        if (!is_domain(domain->name)) {
            trouble(loading, origin,
                    "domains.name: \"%.*s\" is not a domain name in lower case, such as "
                    "example.org",
                    STR_ARGS(domain->name));
            continue;
        }
        if (any_port && (domain->certificate.len == 0 || domain->key.len == 0))
            trouble(loading, origin,
                    "domain %.*s: certificate and key are needed, here or in the section tls",
                    STR_ARGS(domain->name));
        for (size_t i = 0; i < domain->administrators.n; i++)
            if (!is_account_of(domain->administrators.at[i], domain->name))
                trouble(loading, origin,
                        "domains.administrators: \"%.*s\" is not an account of %.*s in lower case, "
                        "such as admin@%.*s",
                        STR_ARGS(domain->administrators.at[i]), STR_ARGS(domain->name),
                        STR_ARGS(domain->name));
        if (domain->certificate.len > 0)
            check_readable(loading, origin, "certificate", domain->certificate, false);
        if (domain->key.len > 0)
            check_readable(loading, origin, "key", domain->key, false);
    }
    if (loading->n_domains > 1) {
        size_t n = loading->n_domains;
        struct config_domain *sorted = arena_make_array(loading->arena, struct config_domain, n);
        memcpy(sorted, loading->domains, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_names);
        for (size_t d = 1; d < n; d++)
            if (str_eq(sorted[d].name, sorted[d - 1].name))
                trouble(loading, (struct origin){loading->name, 0}, "domains: %.*s is named twice",
                        STR_ARGS(sorted[d].name));
    }
}

static bool is_address(struct str text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text.at, bytes) == 1 || inet_pton(AF_INET6, text.at, bytes) == 1;
}

// What no single key can know.
static void check_whole(struct loading *loading)
{
    const struct config *config = loading->config;
#define ORIGIN(section, key) origin_of_key(loading->sections, &loading->origins, #section, #key)
    for (size_t i = 0; i < config->listen.addresses.n; i++)
        if (!is_address(config->listen.addresses.at[i]))
            trouble(loading, ORIGIN(listen, addresses),
                    "listen.addresses: \"%.*s\" is not an IPv4 or IPv6 address",
                    STR_ARGS(config->listen.addresses.at[i]));
    if (!is_address(config->metrics.address))
        trouble(loading, ORIGIN(metrics, address),
                "metrics.address: \"%.*s\" is not an IPv4 or IPv6 address",
                STR_ARGS(config->metrics.address));
    for (size_t i = 0; i < config->http.addresses.n; i++)
        if (!is_address(config->http.addresses.at[i]))
            trouble(loading, ORIGIN(http, addresses),
                    "http.addresses: \"%.*s\" is not an IPv4 or IPv6 address",
                    STR_ARGS(config->http.addresses.at[i]));
    if (config->http.url.len > 0 && config_url_host(config->http.url).len == 0)
        trouble(loading, ORIGIN(http, url),
                "http.url: \"%.*s\" is not https:// and a host in lower case, with or without a "
                "port, and nothing after it",
                STR_ARGS(config->http.url));
    if ((config->http.certificate.len > 0) != (config->http.key.len > 0))
        trouble(loading, config->http.key.len > 0 ? ORIGIN(http, key) : ORIGIN(http, certificate),
                "http.certificate and http.key: only one given");
    for (size_t i = 0; i < config->upload.origins.n; i++)
        if (!http_cross_is_origin(config->upload.origins.at[i]))
            trouble(loading, ORIGIN(upload, origins),
                    "upload.origins: \"%.*s\" is neither * nor an origin such as "
                    "https://chat.example.org",
                    STR_ARGS(config->upload.origins.at[i]));
    if (config->http.certificate.len > 0 && config->http.url.len == 0)
        trouble(loading, ORIGIN(http, certificate),
                "http.certificate: for which host? set http.url");
    if (config->http.certificate.len > 0)
        check_readable(loading, ORIGIN(http, certificate), "http.certificate",
                       config->http.certificate, false);
    if (config->http.key.len > 0)
        check_readable(loading, ORIGIN(http, key), "http.key", config->http.key, false);
    if (config->upload.scanner.len > 0 &&
        (config->upload.scanner.len > 100 || !clamd_is_place(config->upload.scanner)))
        trouble(loading, ORIGIN(upload, scanner),
                "upload.scanner: \"%.*s\" is neither an absolute path nor a numeric address with a "
                "port, such as 127.0.0.1:3310",
                STR_ARGS(config->upload.scanner));
    if (config->upload.enabled && config->http.port == 0)
        trouble(loading, ORIGIN(upload, enabled),
                "upload.enabled: files are put and fetched over HTTP; set http.port");
    for (size_t d = 0; d < loading->n_domains; d++) {
        const struct config_domain *domain = &loading->domains[d];
        if (domain->links && config->http.port == 0)
            trouble(loading, loading->domain_origins[d],
                    "domain %.*s: links are to be protected, but http.port is 0: there is no page "
                    "to open them",
                    STR_ARGS(domain->name));
        else if (domain->links && config->http.url.len == 0 && !is_ascii(domain->name))
            trouble(
                loading, loading->domain_origins[d],
                "domain %.*s: links are to be protected, and its name is not ASCII: http.url is "
                "needed",
                STR_ARGS(domain->name));
    }
    check_people(loading, ORIGIN(links, people), "links.people", &config->links.people);
    check_people(loading, ORIGIN(links, spared), "links.spared", &config->links.spared);
    if (config->links.people.n > 0 && config->http.port == 0)
        trouble(loading, ORIGIN(links, people),
                "links.people: http.port is 0: there is no page to open links");
    for (size_t i = 0; i < config->links.allowed.n; i++)
        if (!is_domain(config->links.allowed.at[i]) || !is_ascii(config->links.allowed.at[i]))
            trouble(loading, ORIGIN(links, allowed),
                    "links.allowed: \"%.*s\" is not a host in lower case (of other letters, its "
                    "xn-- form)",
                    STR_ARGS(config->links.allowed.at[i]));
    if (config->links.valid_us / config->links.renew_us >= LINK_KEYS_MOST)
        trouble(loading, ORIGIN(links, valid),
                "links.valid: longer than %d keys of links.renew last", LINK_KEYS_MOST);
    if (config->listen.starttls != 0 && config->listen.starttls == config->listen.direct_tls)
        trouble(loading, ORIGIN(listen, direct_tls),
                "listen.direct_tls: the same port as listen.starttls");
    if (config->auth.slowdown_us > config->auth.slowdown_most_us)
        trouble(loading, ORIGIN(auth, slowdown), "auth.slowdown: more than auth.slowdown_most");
    if (config->suspension.duration_us > config->suspension.most_us)
        trouble(loading, ORIGIN(suspension, duration),
                "suspension.duration: more than suspension.most");
    if (config->limits.preauth_stanza_bytes > config->limits.stanza_bytes)
        trouble(loading, ORIGIN(limits, preauth_stanza_bytes),
                "limits.preauth_stanza_bytes: more than limits.stanza_bytes");
    if (config->limits.outbox_bytes < 2 * config->limits.stanza_bytes)
        trouble(loading, ORIGIN(limits, outbox_bytes),
                "limits.outbox_bytes: less than two stanzas of limits.stanza_bytes");
    if (config->limits.bytes_burst < config->limits.bytes_per_second)
        trouble(loading, ORIGIN(limits, bytes_burst),
                "limits.bytes_burst: less than limits.bytes_per_second");
    if (config->limits.stanzas_burst < config->limits.stanzas_per_second)
        trouble(loading, ORIGIN(limits, stanzas_burst),
                "limits.stanzas_burst: less than limits.stanzas_per_second");
    struct why why = {""};
    if (config->tls.ciphers.len > 0 && tls_check_ciphers(config->tls.ciphers.at, &why) != OK)
        trouble(loading, ORIGIN(tls, ciphers),
                "tls.ciphers: %s; allowed: OpenSSL's names, such as "
                "ECDHE+AESGCM:ECDHE+CHACHA20",
                why.text);
    if (config->server.state_directory.len == 0)
        trouble(loading, ORIGIN(server, state_directory), "server.state_directory: none is named");
    if (config->store.path.len == 0)
        trouble(loading, ORIGIN(store, path), "store.path: none is named");
    if (config->control.socket.len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        trouble(loading, ORIGIN(control, socket),
                "control.socket: the path is longer than %zu bytes, the most for a socket",
                sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    if (config->notices.catalogues.len > 0)
        check_readable(loading, ORIGIN(notices, catalogues), "notices.catalogues",
                       config->notices.catalogues, true);
#undef ORIGIN
}

/* ---- what libconfig cannot parse ---- */

enum { NAMES_MOST = 16 };

// The words of a line that a value follows; a twice used one alone.
static size_t names_in(struct str line, struct str names[NAMES_MOST])
{
    size_t n = 0;
    for (size_t i = 0; i < line.len && n < NAMES_MOST; i++) {
        if (line.at[i] == '"') // nothing in a text is a name
            while (++i < line.len && line.at[i] != '"')
                i += line.at[i] == '\\';
        if (i >= line.len || (line.at[i] != '=' && line.at[i] != ':'))
            continue;
        struct str before = str_trim(str_first(line, i));
        size_t from = before.len;
        while (from > 0 &&
               strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-*",
                      before.at[from - 1]) != NULL)
            from--;
        struct str name = str_skip(before, from);
        for (size_t k = 0; k < n; k++)
            if (str_eq(names[k], name)) {
                names[0] = name;
                return 1;
            }
        if (name.len > 0)
            names[n++] = name;
    }
    return n;
}

static void cannot_parse(struct loading *loading, const config_t *tree)
{
    const char *file = config_error_file(tree) != NULL ? config_error_file(tree) : loading->name;
    struct origin origin = {file, config_error_line(tree)};
    char line[1024] = "";
    // libconfig names the line of a setting that is there already, not the setting
    bool twice = strcmp(config_error_text(tree), "duplicate setting name") == 0;
    FILE *in = twice && loading->text == NULL ? fopen(file, "re") : NULL;
    for (int n = 0; in != NULL && n < origin.line && fgets(line, sizeof line, in) != NULL;)
        n += strchr(line, '\n') != NULL;
    if (in != NULL)
        fclose(in);
    struct str names[NAMES_MOST];
    size_t n = names_in(str_of(line), names);
    struct buf all;
    buf_init(&all, 2 * sizeof line);
    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s%.*s", i > 0 ? " or " : "", STR_ARGS(names[i]));
    if (n > 0)
        trouble(loading, origin, "%.*s: given before; a key or a section may stand only once",
                STR_ARGS(buf_str(&all)));
    else
        trouble(loading, origin, "%s", config_error_text(tree));
    buf_done(&all);
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
        loading->directory = join(&scratch, loading->here, loading->directory);

    put_defaults(loading);
    config_init(&tree);
    if (text != NULL) {
        if (config_read_string(&tree, text) == CONFIG_TRUE)
            read_tree(loading, &tree);
        else
            trouble(loading, (struct origin){name, config_error_line(&tree)}, "%s",
                    config_error_text(&tree));
    } else if (name != NULL) {
        struct stat stat_of;
        config_set_include_dir(&tree, loading->directory.at);
        if (stat(name, &stat_of) != 0)
            trouble(loading, (struct origin){name, 0}, "%s", strerror(errno));
        else if (S_ISDIR(stat_of.st_mode) || stat_of.st_size > FILE_MOST)
            trouble(loading, (struct origin){name, 0}, "not a configuration file");
        else if (config_read_file(&tree, name) == CONFIG_TRUE)
            read_tree(loading, &tree);
        else if (config_error_type(&tree) == CONFIG_ERR_FILE_IO)
            trouble(loading, (struct origin){name, 0}, "%s", strerror(errno));
        else
            cannot_parse(loading, &tree);
    }
    for (size_t i = 0; args != NULL && i < args->n_sets; i++)
        read_set(loading, args->sets[i]);

    // what is missing or contradicts is worth saying only of values that could be read
    if (loading->n_troubles == 0) {
        inherit(loading);
        resolve_outputs(loading);
        check_domains(loading);
        check_whole(loading);
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
    put_trouble(troubles, origin_of_key(sections, &snapshot->origins, section, key), format, args);
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
