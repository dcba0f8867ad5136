#include "town/numbers.h"

#include <stdlib.h>

enum err number_read(struct str text, double least, double most, double *out, struct why *why)
{
    char z[64], *end;
    if (str_to_z(text, z, sizeof z) != OK || z[0] == 0 || strchr(" \t+", z[0]) != NULL)
        return why_say(why, ERR_MALFORMED, "\"%.*s\" is no number", STR_ARGS(text));
    double number = strtod(z, &end);
    if (*end != 0)
        return why_say(why, ERR_MALFORMED, "\"%s\" is no number", z);
    if (!(number >= least && number <= most))
        return why_say(why, ERR_MALFORMED, "%s is not in %g..%g", z, least, most);
    *out = number;
    return OK;
}

enum err setting_cut(struct str text, struct str *key, struct str *value, struct why *why)
{
    size_t at = str_find_char(text, '=');
    if (at == 0 || at == text.len)
        return why_say(why, ERR_MALFORMED, "\"%.*s\" is not of the form key=value", STR_ARGS(text));
    *key = str_first(text, at);
    *value = str_skip(text, at + 1);
    return OK;
}
