/*
 * Reading and compiling an operator's YARA rules.
 */
#include "files/rules_internal.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    RULES_MOST = 64 << 20, // bytes of one file of rules
    BLOCK = 64 << 10,
};

struct compiling {
    const char *file;
    bool strict;
    struct why *why;
};

static void note_error(int level, const char *file, int line, const YR_RULE *rule,
                       const char *message, void *context)
{
    struct compiling *compiling = context;
    (void)file;
    (void)rule;
    if ((level == YARA_ERROR_LEVEL_ERROR || compiling->strict) && compiling->why->text[0] == '\0')
        (void)!why_say(compiling->why, ERR_MALFORMED, "rules: %s:%d: %s", compiling->file, line,
                       message);
}

static enum err add_rules(YR_COMPILER *compiler, struct compiling *compiling)
{
    struct why *why = compiling->why;
    FILE *file = fopen(compiling->file, "rbe");
    if (file == NULL)
        return why_say(why, ERR_IO, "rules: %s: %s", compiling->file, strerror(errno));
    struct buf text;
    buf_init(&text, RULES_MOST);
    for (char *room; (room = buf_reserve(&text, BLOCK)) != NULL;) {
        size_t n = fread(room, 1, BLOCK, file);
        text.len += n;
        if (n == 0)
            break;
    }
    buf_add_char(&text, '\0');
    enum err e = OK;
    if (ferror(file) != 0 || text.overflowed)
        e = why_say(why, ERR_IO, "rules: %s cannot be read, or is too large", compiling->file);
    else if (yr_compiler_add_string(compiler, text.at, NULL) != 0)
        e = why->text[0] != '\0' ? ERR_MALFORMED
                                 : why_say(why, ERR_MALFORMED, "rules: %s", compiling->file);
    else if (why->text[0] != '\0') // a warning, and these are not wanted
        e = ERR_MALFORMED;
    buf_done(&text);
    (void)!fclose(file);
    return e;
}

static int is_rules(const struct dirent *entry)
{
    struct str name = str_of(entry->d_name);
    return str_ends(name, STR(".yar")) || str_ends(name, STR(".yara"));
}

static enum err add_directory(YR_COMPILER *compiler, struct compiling *compiling)
{
    struct dirent **entries;
    const char *path = compiling->file;
    int n = scandir(path, &entries, is_rules, alphasort);
    if (n < 0)
        return why_say(compiling->why, ERR_IO, "rules: %s: %s", path, strerror(errno));
    enum err e = OK;
    for (int i = 0; i < n; i++) {
        char file[4096];
        int len = snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        compiling->file = file;
        if (e == OK)
            e = len < 0 || (size_t)len >= sizeof file ? ERR_LIMIT : add_rules(compiler, compiling);
        free(entries[i]);
    }
    compiling->file = path;
    free(entries);
    return e;
}

enum err rules_compile(const char *path, bool strict, YR_RULES **out, struct why *why)
{
    YR_COMPILER *compiler;
    struct stat stat_of;
    struct why first = {""}; // what is told of several mistakes
    struct compiling compiling = {path, strict, &first};
    // counted, and never taken back: the count is no atomic, and rules end on any thread
    if (yr_initialize() != ERROR_SUCCESS || yr_compiler_create(&compiler) != ERROR_SUCCESS)
        return why_say(why, ERR_IO, "rules: YARA does not start");
    yr_compiler_set_include_callback(compiler, NULL, NULL, NULL); // one reads what one names
    yr_compiler_define_string_variable(compiler, "filename", "");
    yr_compiler_set_callback(compiler, note_error, &compiling);
    bool many = stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
    enum err e = many ? add_directory(compiler, &compiling) : add_rules(compiler, &compiling);
    if (e == OK && yr_compiler_get_rules(compiler, out) != ERROR_SUCCESS)
        e = why_say(&first, ERR_MALFORMED, "rules: they do not compile together");
    yr_compiler_destroy(compiler);
    if (e != OK)
        *why = first;
    return e;
}

bool rule_suspects(const YR_RULE *rule)
{
    const char *tag;
    yr_rule_tags_foreach(rule, tag)
    {
        if (strcmp(tag, "suspect") == 0)
            return true;
    }
    return false;
}
