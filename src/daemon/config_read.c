/*
 * Values from the file (libconfig's tree) and from --set, each checked by its key.  Every trouble
 * is noted with its place, and reading goes on: a person wants to hear of all of them at once.
 */
#include "daemon/config_loading_internal.h"

#include "base/must.h"

#include <stdlib.h>

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
    loading_trouble(loading, origin, "%s.%.*s: no such key; did you mean %s.%s?", section->name,
                    STR_ARGS(name), section->name, section->keys[best].name);
}

static void unknown_section(struct loading *loading, struct origin origin, struct str name)
{
    const char *best = "domains";
    for (size_t i = 0; i < CONFIG_N_SECTIONS; i++) {
        if (config_find_key(str_of(loading->sections[i].name), name) != NULL) {
            loading_trouble(loading, origin, "%.*s: no such section; did you mean the key %s.%.*s?",
                            STR_ARGS(name), loading->sections[i].name, STR_ARGS(name));
            return;
        }
        if (distance(name, str_of(loading->sections[i].name)) < distance(name, str_of(best)))
            best = loading->sections[i].name;
    }
    loading_trouble(loading, origin, "%.*s: no such section; did you mean %s?", STR_ARGS(name),
                    best);
}

/* ---- values ---- */

// base: the struct config or config_domain.
static bool put_value(struct loading *loading, struct origin origin, struct str section,
                      const struct config_key *key, struct str text, void *base)
{
    // room for the value, a path before it and a list of it
    if (!arena_fits(loading->arena, text.len + loading->directory.len + loading->here.len + 4096)) {
        loading_trouble(loading, origin, "%.*s.%s: the configuration is too large",
                        STR_ARGS(section), key->name);
        return false;
    }
    if (!config_value_read(loading->arena, key, text, base)) {
        struct arena arena;
        arena_init(&arena, 256 << 10);
        struct str allowed = config_allowed(&arena, key);
        struct str shown = str_is_utf8(text) && text.len < 80 ? text : STR("the value");
        loading_trouble(loading, origin, "%.*s.%s: \"%.*s\" is not %.*s", STR_ARGS(section),
                        key->name, STR_ARGS(shown), STR_ARGS(allowed));
        arena_done(&arena);
        return false;
    }
    if (key->kind == KIND_INPUT) {
        struct str *path = (struct str *)((char *)base + key->offset);
        *path = loading_path(loading->arena, origin.line == 0 ? loading->here : loading->directory,
                             *path);
    }
    return true;
}

void loading_read_defaults(struct loading *loading)
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
        path = loading_path(loading->arena, loading->directory, path);
    FILE *in = loading->text == NULL ? fopen(path.at, "re") : NULL;
    char *bytes = in != NULL ? malloc(CONFIG_FILE_MOST) : NULL;
    struct str text = in == NULL      ? str_of(loading->text)
                      : bytes != NULL ? str_make(bytes, fread(bytes, 1, CONFIG_FILE_MOST, in))
                                      : STR_EMPTY;
    int line = line_of_cut_number(text);
    if (line > 0)
        loading_trouble(
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
            loading_trouble(loading, origin, "%s: more than %d values", path, CONFIG_LIST_MOST);
            return false;
        }
        for (int i = 0; i < config_setting_length(setting); i++) {
            const char *item = config_setting_get_string_elem(setting, i);
            if (item == NULL || text.len + strlen(item) > CONFIG_TEXT_MOST) {
                loading_trouble(loading, origin,
                                "%s: the list may hold texts only, %d bytes in all", path,
                                CONFIG_TEXT_MOST);
                return false;
            }
            text = arena_printf(arena, "%.*s%s%s", STR_ARGS(text), i > 0 ? "," : "", item);
        }
        *out = text;
        return true;
    default:
        loading_trouble(loading, origin, "%s: a value is needed here, not a group", path);
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
        loading_trouble(loading, origin_of(loading, list),
                        "domains: a list of groups is needed, such as domains = ( { name = "
                        "\"example.org\"; } );");
        return;
    }
    for (int i = 0; i < config_setting_length(list); i++) {
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        struct origin origin = origin_of(loading, group);
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
            loading_trouble(loading, origin, "domains: each domain is a group: { name = \"…\"; }");
            continue;
        }
        if (loading->n_domains == CONFIG_DOMAINS_MOST) {
            loading_trouble(loading, origin, "domains: more than %d", CONFIG_DOMAINS_MOST);
            return;
        }
        size_t d = add_domain(loading, origin);
        for (int k = 0; k < config_setting_length(group); k++)
            read_setting(loading, config_setting_get_elem(group, (unsigned)k), &loading->domain,
                         &loading->domains[d], NULL, loading->given[d]);
    }
}

void loading_read_tree(struct loading *loading, const config_t *tree)
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
            loading_trouble(loading, origin_of(loading, group),
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
        loading_trouble(loading, from_set, "%s: domains.NAME.key=value is needed", set);
        return;
    }
    struct str name = str_first(path, dot - 1), key_name = str_skip(path, dot);
    const struct config_key *key = key_of(&loading->domain, key_name);
    if (key == NULL) {
        unknown_key(loading, from_set, &loading->domain, key_name);
        return;
    }
    if (key == key_of(&loading->domain, STR("name"))) {
        loading_trouble(loading, from_set,
                        "%s: a domain's name stands before the key: domains.NAME.key", set);
        return;
    }
    size_t d = 0;
    while (d < loading->n_domains && !str_eq(loading->domains[d].name, name))
        d++;
    if (d == loading->n_domains) {
        if (d == CONFIG_DOMAINS_MOST) {
            loading_trouble(loading, from_set, "domains: more than %d", CONFIG_DOMAINS_MOST);
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

void loading_read_set(struct loading *loading, const char *set)
{
    struct str value = str_of(set), path = str_cut(&value, '=');
    if (value.at == NULL) {
        loading_trouble(loading, from_set, "%s: section.key=value is needed", set);
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

void loading_cannot_parse(struct loading *loading, const config_t *tree)
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
        loading_trouble(loading, origin,
                        "%.*s: given before; a key or a section may stand only once",
                        STR_ARGS(buf_str(&all)));
    else
        loading_trouble(loading, origin, "%s", config_error_text(tree));
    buf_done(&all);
}
