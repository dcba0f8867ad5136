/*
 * Values of configuration keys: text to field and back.
 */
#include "daemon/config_internal.h"

#include "base/arena.h"
#include "base/must.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct unit {
    const char *names; // "s|sec|second|seconds", the first is how we write it
    double factor;
};

static const struct unit sizes[] = {
    {"B|byte|bytes",  1                          },
    {"KiB|K|k|KB|kB", 1024.0                     },
    {"MiB|M|MB",      1024.0 * 1024              },
    {"GiB|G|GB",      1024.0 * 1024 * 1024       },
    {"TiB|T|TB",      1024.0 * 1024 * 1024 * 1024},
};

static const struct unit times[] = {
    {"us",                   1            },
    {"ms",                   1e3          },
    {"s|sec|second|seconds", 1e6          },
    {"min|m|minute|minutes", 60e6         },
    {"h|hour|hours",         3600e6       },
    {"d|day|days",           86400e6      },
    {"w|week|weeks",         7 * 86400e6  },
    {"y|year|years",         365 * 86400e6},
};

static bool is_among(struct str word, const char *names, size_t *at)
{
    struct str rest = str_of(names);
    for (*at = 0; rest.at != NULL; (*at)++)
        if (str_eq(word, str_cut(&rest, '|')))
            return true;
    return false;
}

// A number with an optional unit; a bare one has the factor `bare`.
static bool read_quantity(struct str text, const struct unit *units, size_t n_units, double bare,
                          double *out)
{
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    uint64_t number;
    if (str_to_u64(str_first(text, digits), 0, UINT64_C(1) << 53, &number) != OK)
        return false;
    struct str unit = str_trim(str_skip(text, digits));
    if (unit.len == 0) {
        *out = (double)number * bare;
        return true;
    }
    for (size_t i = 0; i < n_units; i++) {
        size_t at;
        if (is_among(unit, units[i].names, &at)) {
            *out = (double)number * units[i].factor;
            return true;
        }
    }
    return false;
}

static bool read_flag(struct str text, bool *out)
{
    size_t at;
    if (is_among(text, "true|yes|on", &at))
        *out = true;
    else if (is_among(text, "false|no|off", &at))
        *out = false;
    else
        return false;
    return true;
}

static bool read_real(struct str text, double *out)
{
    char digits[64], *end;
    if (text.len == 0 || str_to_z(text, digits, sizeof digits) != OK)
        return false;
    if (strspn(digits, "+-.0123456789eE") != text.len) // neither hexadecimal nor "inf"
        return false;
    *out = strtod(digits, &end);
    return *end == '\0' && isfinite(*out);
}

static bool read_list(struct arena *arena, struct str text, struct config_list *out)
{
    size_t n = 0;
    struct str *items = arena_make_array(arena, struct str, CONFIG_LIST_MOST);
    for (struct str rest = text; text.len > 0 && rest.at != NULL;) {
        struct str item = str_trim(str_cut(&rest, ','));
        if (item.len == 0 || n == CONFIG_LIST_MOST)
            return false;
        items[n++] = arena_str(arena, item);
    }
    *out = (struct config_list){items, n};
    return true;
}

static bool is_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7F)
            return false;
    return text.len <= CONFIG_TEXT_MOST && str_is_utf8(text);
}

static bool within(double value, const struct config_key *key)
{
    return value >= key->least && value <= key->most;
}

bool config_value_read(struct arena *arena, const struct config_key *key, struct str text,
                       void *base)
{
    void *field = (char *)base + key->offset;
    const struct config_key *model = config_model(key);
    double value;
    size_t at;
    if (!is_text(text))
        return false;
    switch (key->kind) {
    case KIND_FLAG:
        return read_flag(text, field);
    case KIND_NUMBER:
        if (!read_quantity(text, NULL, 0, 1, &value) || !within(value, model))
            return false;
        *(int64_t *)field = (int64_t)value;
        return true;
    case KIND_REAL:
        if (!read_real(text, &value) || !within(value, model))
            return false;
        *(double *)field = value;
        return true;
    case KIND_SIZE:
        if (!read_quantity(text, sizes, COUNT_OF(sizes), 1, &value) || !within(value, model))
            return false;
        *(size_t *)field = (size_t)value;
        return true;
    case KIND_TIME:
        if (!read_quantity(text, times, COUNT_OF(times), 1e6, &value) || !within(value, model))
            return false;
        *(int64_t *)field = (int64_t)value;
        return true;
    case KIND_TEXT:
    case KIND_INPUT:
    case KIND_OUTPUT:
        *(struct str *)field = arena_str(arena, text);
        return true;
    case KIND_CHOICE:
        if (!is_among(text, model->choices, &at))
            return false;
        *(int *)field = (int)at;
        return true;
    case KIND_LIST:
        return read_list(arena, text, field);
    }
    must(false); // the kinds are all above
    return false;
}

size_t config_value_size(enum config_kind kind)
{
    static const size_t of[] = {
        [KIND_FLAG] = sizeof(bool),        [KIND_NUMBER] = sizeof(int64_t),
        [KIND_REAL] = sizeof(double),      [KIND_SIZE] = sizeof(size_t),
        [KIND_TIME] = sizeof(int64_t),     [KIND_TEXT] = sizeof(struct str),
        [KIND_INPUT] = sizeof(struct str), [KIND_OUTPUT] = sizeof(struct str),
        [KIND_CHOICE] = sizeof(int),       [KIND_LIST] = sizeof(struct config_list),
    };
    return of[kind];
}

// In the widest unit that divides it.
static struct str quantity_text(struct arena *arena, double value, const struct unit *units,
                                size_t n_units, size_t least_unit)
{
    size_t best = 0;
    for (size_t i = least_unit; i < n_units; i++)
        if (value >= units[i].factor && fmod(value, units[i].factor) == 0)
            best = i;
    if (value == 0)
        best = least_unit;
    struct str names = str_of(units[best].names);
    struct str name = str_cut(&names, '|');
    return arena_printf(arena, "%.0f %.*s", value / units[best].factor, STR_ARGS(name));
}

enum { SIZES_B = 0, TIMES_S = 2, TIMES_WEEK = 6 };

static struct str bound_text(struct arena *arena, enum config_kind kind, double value)
{
    switch (kind) {
    case KIND_SIZE:
        return quantity_text(arena, value, sizes, COUNT_OF(sizes), SIZES_B);
    case KIND_TIME: // "30 d", not "4 w": years only where they divide
        if (value > 0 && fmod(value, 365 * 86400e6) == 0)
            return quantity_text(arena, value, times, COUNT_OF(times), TIMES_S);
        return quantity_text(arena, value, times, TIMES_WEEK,
                             value == 0 || fmod(value, 1e6) == 0 ? TIMES_S : 0);
    case KIND_REAL:
        return arena_printf(arena, "%.10g", value);
    default:
        return arena_printf(arena, "%.0f", value);
    }
}

struct str config_value_text(struct arena *arena, const struct config_key *key, const void *base)
{
    const void *field = (const char *)base + key->offset;
    const struct config_list *list;
    struct str rest, choice, text = STR_EMPTY;
    switch (key->kind) {
    case KIND_FLAG:
        return *(const bool *)field ? STR("true") : STR("false");
    case KIND_NUMBER:
        return arena_printf(arena, "%" PRId64, *(const int64_t *)field);
    case KIND_REAL:
        return bound_text(arena, KIND_REAL, *(const double *)field);
    case KIND_SIZE:
        return bound_text(arena, KIND_SIZE, (double)*(const size_t *)field);
    case KIND_TIME:
        return bound_text(arena, KIND_TIME, (double)*(const int64_t *)field);
    case KIND_TEXT:
    case KIND_INPUT:
    case KIND_OUTPUT:
        return *(const struct str *)field;
    case KIND_CHOICE:
        rest = str_of(config_model(key)->choices);
        choice = str_cut(&rest, '|');
        for (int i = 0; i < *(const int *)field; i++)
            choice = str_cut(&rest, '|');
        return choice;
    case KIND_LIST:
        list = field;
        for (size_t i = 0; i < list->n; i++)
            text = arena_printf(arena, "%.*s%s%.*s", STR_ARGS(text), i > 0 ? ", " : "",
                                STR_ARGS(list->at[i]));
        return text;
    }
    must(false); // the kinds are all above
    return text;
}

struct str config_allowed(struct arena *arena, const struct config_key *key)
{
    const struct config_key *model = config_model(key);
    struct str least = bound_text(arena, model->kind, model->least);
    struct str most = bound_text(arena, model->kind, model->most);
    struct str text, rest;
    switch (model->kind) {
    case KIND_FLAG:
        return STR("true or false");
    case KIND_NUMBER:
        return arena_printf(arena, "a whole number from %.*s to %.*s", STR_ARGS(least),
                            STR_ARGS(most));
    case KIND_REAL:
        return arena_printf(arena, "a number from %.*s to %.*s", STR_ARGS(least), STR_ARGS(most));
    case KIND_SIZE:
        return arena_printf(arena, "a size from %.*s to %.*s", STR_ARGS(least), STR_ARGS(most));
    case KIND_TIME:
        return arena_printf(arena, "a time from %.*s to %.*s", STR_ARGS(least), STR_ARGS(most));
    case KIND_TEXT:
        return STR("a text");
    case KIND_INPUT:
    case KIND_OUTPUT:
        return STR("a path");
    case KIND_CHOICE:
        rest = str_of(model->choices);
        text = STR("one of");
        for (bool first = true; rest.at != NULL; first = false) {
            struct str choice = str_cut(&rest, '|');
            text = arena_printf(arena, "%.*s%s %.*s", STR_ARGS(text), first ? "" : ",",
                                STR_ARGS(choice));
        }
        return text;
    case KIND_LIST:
        return STR("a list of texts");
    }
    must(false); // the kinds are all above
    return STR_EMPTY;
}
