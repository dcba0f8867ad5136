/*
 * The table of keys as people read it: example file, manual page, values in force.
 */
#include "daemon/config_internal.h"

#include "base/arena.h"

// Breaks text at spaces, each line after prefix.
static void print_wrapped(FILE *out, const char *prefix, struct str text)
{
    enum { WIDTH = 88 };
    size_t column = 0;
    for (struct str rest = text; rest.at != NULL;) {
        struct str word = str_cut(&rest, ' ');
        if (column > 0 && column + 1 + word.len > WIDTH - strlen(prefix)) {
            fputc('\n', out);
            column = 0;
        }
        column += (size_t)fprintf(out, "%s%.*s", column == 0 ? prefix : " ", STR_ARGS(word)) -
                  (column == 0 ? strlen(prefix) : 0);
    }
    fputc('\n', out);
}

// As the file wants it: lists in brackets, words in quotes.
static struct str file_value(struct arena *arena, const struct config_key *key)
{
    struct str initial = str_of(key->initial), text = STR("[ ");
    switch (key->kind) {
    case KIND_FLAG:
    case KIND_NUMBER:
        return initial;
    case KIND_REAL:
        return str_find_char(initial, '.') < initial.len
                   ? initial
                   : arena_printf(arena, "%.*s.0", STR_ARGS(initial));
    case KIND_LIST:
        for (struct str rest = initial; initial.len > 0 && rest.at != NULL;) {
            struct str item = str_trim(str_cut(&rest, ','));
            text = arena_printf(arena, "%.*s%s\"%.*s\"", STR_ARGS(text), text.len > 2 ? ", " : "",
                                STR_ARGS(item));
        }
        return arena_printf(arena, "%.*s ]", STR_ARGS(text));
    default:
        return arena_printf(arena, "\"%.*s\"", STR_ARGS(initial));
    }
}

void config_print_example(FILE *out)
{
    struct config_section sections[CONFIG_N_SECTIONS], domain = config_domain_section();
    config_sections(sections);
    struct arena arena;
    arena_init(&arena, 16 << 20);

    fputs("# Firedoor's configuration: every key, with its default.\n"
          "#\n"
          "# `firedoord --check` says what is wrong with it, `firedoorctl reload` puts it into\n"
          "# force.  Keys marked (restart) are read at start only.  Sizes are like \"64 KiB\", "
          "times\n"
          "# like \"30 s\", \"10 min\", \"2 h\", \"30 d\".  The manual is firedoor.conf(5).\n\n",
          out);
    fprintf(out, "# %s\n", domain.doc);
    fputs("domains = (\n"
          "    {\n"
          "        name = \"example.org\";\n"
          "        certificate = \"example.org.crt\";\n"
          "        key = \"example.org.key\";\n",
          out);
    for (size_t k = 0; k < domain.n_keys; k++) {
        const struct config_key *key = &domain.keys[k];
        if (key->kind == KIND_INPUT || key->needs_restart) // above
            continue;
        if (key->inherited != SIZE_MAX) {
            fprintf(out, "        # %s: as %s unless given here\n", key->name, key->initial);
            continue;
        }
        struct str allowed = config_allowed(&arena, key), value = file_value(&arena, key);
        print_wrapped(out, "        # ", str_of(key->doc));
        print_wrapped(out, "        # ", arena_printf(&arena, "May be %.*s.", STR_ARGS(allowed)));
        fprintf(out, "        # %s = %.*s;\n", key->name, STR_ARGS(value));
    }
    fputs("    }\n);\n", out);
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++) {
        fputc('\n', out);
        print_wrapped(out, "# ", str_of(sections[s].doc));
        fprintf(out, "%s: {\n", sections[s].name);
        for (size_t k = 0; k < sections[s].n_keys; k++) {
            const struct config_key *key = &sections[s].keys[k];
            struct str allowed = config_allowed(&arena, key), value = file_value(&arena, key);
            print_wrapped(out, "    # ", str_of(key->doc));
            print_wrapped(out, "    # ",
                          arena_printf(&arena, "May be %.*s.%s", STR_ARGS(allowed),
                                       key->needs_restart ? " (restart)" : ""));
            fprintf(out, "    # %s = %.*s;\n%s", key->name, STR_ARGS(value),
                    k + 1 < sections[s].n_keys ? "\n" : "");
        }
        fputs("};\n", out);
    }
    arena_done(&arena);
}

// roff takes '-', '\' and a leading '.' or '\'' for its own.
static void print_roff(FILE *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (i == 0 && (text.at[i] == '.' || text.at[i] == '\''))
            fputs("\\&", out);
        if (text.at[i] == '\\')
            fputs("\\e", out);
        else if (text.at[i] == '-')
            fputs("\\-", out);
        else
            fputc(text.at[i], out);
    }
}

void config_print_man(FILE *out)
{
    struct config_section sections[CONFIG_N_SECTIONS], domain = config_domain_section();
    config_sections(sections);
    struct arena arena;
    arena_init(&arena, 16 << 20);
    fputs(".TH FIREDOOR.CONF 5 \"\" \"Firedoor " FIREDOOR_VERSION "\" \"File formats\"\n"
          ".SH NAME\n"
          "firedoor.conf \\- configuration of the Firedoor chat service\n"
          ".SH DESCRIPTION\n"
          ".BR firedoord (8)\n"
          "reads this file at start and at every reload.\n"
          "It is checked whole; a reload puts all of it into force or nothing.\n"
          "The syntax is libconfig's: sections\n"
          ".RI \"of \" \"key = value;\" ,\n"
          "comments after # or //, and\n"
          ".I @include \"file\"\n"
          "on a line of its own; its path begins at the directory of this file.\n"
          "Every key can be overridden on the command line:\n"
          ".BI \"\\-\\-set \" section.key = value\n"
          "and, for one domain,\n"
          ".BI \"\\-\\-set domains.\" NAME.key = value\n"
          "(lists as values separated by commas).\n"
          ".PP\n"
          "Sizes are numbers with B, KiB, MiB, GiB or TiB; times are numbers with ms, s, min, h,\n"
          "d, w or y, seconds when nothing is said.\n"
          "Paths of files that are read begin at the directory of this file unless absolute;\n"
          "paths of files that are written begin at\n"
          ".IR server.state_directory .\n",
          out);
    fprintf(out, ".SH DOMAINS\n%s\nA list of groups:\n.PP\n.nf\n.RS\n", domain.doc);
    fputs("domains = (\n  { name = \"example.org\"; certificate = \"a.crt\"; key = \"a.key\"; },\n"
          "  { name = \"example.net\"; certificate = \"b.crt\"; key = \"b.key\"; plain = false; }\n"
          ");\n.RE\n.fi\n",
          out);
    for (size_t k = 0; k < domain.n_keys; k++) {
        const struct config_key *key = &domain.keys[k];
        struct str allowed = config_allowed(&arena, key);
        fprintf(out, ".TP\n.B %s\n", key->name);
        print_roff(out, str_of(config_model(key)->doc));
        fprintf(out, "\nMay be %.*s.\n", STR_ARGS(allowed));
        if (key->inherited != SIZE_MAX)
            fprintf(out, "Unless given: as\n.IR %s .\n", key->initial);
    }
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++) {
        fprintf(out, ".SH SECTION %s\n", sections[s].name);
        print_roff(out, str_of(sections[s].doc));
        fputc('\n', out);
        for (size_t k = 0; k < sections[s].n_keys; k++) {
            const struct config_key *key = &sections[s].keys[k];
            struct str allowed = config_allowed(&arena, key), value = file_value(&arena, key);
            fprintf(out, ".TP\n.B %s.%s\n", sections[s].name, key->name);
            print_roff(out, str_of(key->doc));
            fprintf(out, "\nMay be %.*s.\nDefault: ", STR_ARGS(allowed));
            print_roff(out, value);
            fputs(key->needs_restart ? ".\nChanging it needs a restart.\n" : ".\n", out);
        }
    }
    fputs(".SH SEE ALSO\n.BR firedoord (8),\n.BR firedoorctl (1)\n", out);
    arena_done(&arena);
}

void config_print_values(const struct config *config, struct buf *out)
{
    struct config_section sections[CONFIG_N_SECTIONS], domain = config_domain_section();
    config_sections(sections);
    struct arena arena;
    arena_init(&arena, 64 << 20);
    for (size_t d = 0; d < config->n_domains; d++)
        for (size_t k = 0; k < domain.n_keys; k++) {
            struct str value = config_value_text(&arena, &domain.keys[k], &config->domains[d]);
            buf_printf(out, "domains.%.*s.%s=%.*s\n", STR_ARGS(config->domains[d].name),
                       domain.keys[k].name, STR_ARGS(value));
        }
    for (size_t s = 0; s < CONFIG_N_SECTIONS; s++)
        for (size_t k = 0; k < sections[s].n_keys; k++) {
            struct str value = config_value_text(&arena, &sections[s].keys[k], config);
            buf_printf(out, "%s.%s=%.*s\n", sections[s].name, sections[s].keys[k].name,
                       STR_ARGS(value));
        }
    arena_done(&arena);
}
