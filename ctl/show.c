#include "ctl/show.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/must.h"

#include <stdlib.h>
#include <unistd.h>

enum { COLUMNS_MOST = 16, WIDTH_MOST = 60 };

// Columns of a UTF-8 text, as far as that is known without tables: one for each character.
static size_t width_of(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
    return n;
}

// Bytes of the control character that the text begins with; 0 if it begins with none.  C1 controls
// are some, for terminals obey them, and so are those that turn the direction of writing: a link
// is shown as it is, not as its author would have it seen.
static size_t control_size(struct str text)
{
    static const struct str turning[] = {STR("\u200E"), STR("\u200F"), STR("\u202A"), STR("\u202B"),
                                         STR("\u202C"), STR("\u202D"), STR("\u202E"), STR("\u2066"),
                                         STR("\u2067"), STR("\u2068"), STR("\u2069")};
    unsigned char c = (unsigned char)text.at[0];
    if (c < ' ' || c == 0x7F)
        return 1;
    if (c == 0xC2 && text.len > 1 && (unsigned char)text.at[1] < 0xA0)
        return 2;
    for (size_t i = 0; c == 0xE2 && i < COUNT_OF(turning); i++)
        if (str_starts(text, turning[i]))
            return turning[i].len;
    return 0;
}

static size_t print_text(FILE *out, struct str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t size = control_size(str_skip(text, i));
        fputc(size > 0 ? '?' : text.at[i], out);
        i += size > 0 ? size : 1;
    }
    return width_of(text);
}

// The value as text, in fresh memory.
static char *value_text(const json_t *value)
{
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_null(value))
        return strdup("-");
    if (json_is_true(value))
        return strdup("yes");
    if (json_is_false(value))
        return strdup("no");
    if (json_is_real(value)) {
        char text[64];
        snprintf(text, sizeof text, "%.3g", json_real_value(value));
        return strdup(text);
    }
    if (json_is_array(value)) { // short lists of words in one cell
        struct arena arena;
        arena_init(&arena, 16 << 20);
        struct str all = STR_EMPTY;
        size_t i;
        const json_t *item;
        json_array_foreach(value, i, item)
        {
            char *text = value_text(item);
            if (arena_fits(&arena, all.len + strlen(text) + 8))
                all = arena_printf(&arena, "%.*s%s%s", STR_ARGS(all), i > 0 ? ", " : "", text);
            free(text);
        }
        char *copy = strndup(all.at, all.len);
        arena_done(&arena);
        return copy;
    }
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void print_cell(FILE *out, const json_t *value, size_t width, bool last)
{
    char *text = value_text(value);
    must(text != NULL);
    size_t n = print_text(out, str_of(text));
    for (; n < width && !last; n++)
        fputc(' ', out);
    fputs(last ? "\n" : "  ", out);
    free(text);
}

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_array_size(value) > 0 &&
           json_is_object(json_array_get(value, 0));
}

static void print_table(FILE *out, const json_t *rows)
{
    const char *names[COLUMNS_MOST];
    size_t widths[COLUMNS_MOST], n = 0, i;
    const json_t *row;
    const char *name;
    json_t *value;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach((json_t *)row, name, value)
        {
            size_t c = 0;
            while (c < n && strcmp(names[c], name) != 0)
                c++;
            if (c == COLUMNS_MOST)
                continue;
            if (c == n) {
                names[n] = name;
                widths[n++] = strlen(name);
            }
            char *text = value_text(value);
            size_t width = width_of(str_of(text));
            free(text);
            if (width > WIDTH_MOST)
                width = WIDTH_MOST;
            if (width > widths[c])
                widths[c] = width;
        }
    }
    for (size_t c = 0; c < n; c++)
        fprintf(out, "%-*s%s", c + 1 < n ? (int)widths[c] : 0, names[c], c + 1 < n ? "  " : "\n");
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < n; c++) {
            const json_t *cell = json_object_get(row, names[c]);
            json_t *empty = cell == NULL ? json_string("") : NULL;
            print_cell(out, cell != NULL ? cell : empty, widths[c], c + 1 == n);
            json_decref(empty);
        }
    }
}

static void print_lines(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        print_cell(out, item, 0, true);
    }
}

void show_result(FILE *out, const json_t *result)
{
    const char *name;
    json_t *value;
    size_t width = 0, n_shown = 0;
    json_object_foreach((json_t *)result, name, value)
    {
        if (!is_table(value) && strlen(name) > width)
            width = strlen(name);
    }
    bool only_list = json_object_size(result) == 1;
    json_object_foreach((json_t *)result, name, value)
    {
        if (is_table(value)) {
            if (n_shown > 0)
                fputc('\n', out);
            print_table(out, value);
        } else if (only_list && json_is_array(value)) {
            print_lines(out, value);
        } else {
            fprintf(out, "%-*s  ", (int)width, name);
            print_cell(out, value, 0, true);
        }
        n_shown++;
    }
}

void show_text(FILE *out, const char *text)
{
    struct str rest = str_of(text);
    while (rest.len > 0) {
        print_text(out, str_cut(&rest, '\n'));
        fputc('\n', out);
    }
}

void show_progress(FILE *out, const json_t *progress, int64_t *shown_us)
{
    bool first = true, terminal = isatty(fileno(out));
    const char *name;
    json_t *value;
    // where lines stay, one every few seconds is enough
    if (!terminal && clock_now_us() - *shown_us < 5 * SECOND_US)
        return;
    *shown_us = clock_now_us();
    if (terminal)
        fputs("\r\033[K", out);
    json_object_foreach((json_t *)progress, name, value)
    {
        char *text = value_text(value);
        fprintf(out, "%s%s ", first ? "" : ", ", name);
        print_text(out, str_of(text));
        free(text);
        first = false;
    }
    if (!terminal)
        fputc('\n', out);
    fflush(out);
}

void show_progress_end(FILE *out)
{
    if (isatty(fileno(out)))
        fputs("\r\033[K", out);
}
