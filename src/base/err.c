#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_name(enum err e)
{
    static const char *const names[] = {
        [OK] = "ok",
        [ERR_MALFORMED] = "malformed",
        [ERR_LIMIT] = "limit",
        [ERR_MISSING] = "missing",
        [ERR_EXISTS] = "exists",
        [ERR_DENIED] = "denied",
        [ERR_AGAIN] = "again",
        [ERR_CLOSED] = "closed",
        [ERR_FULL] = "full",
        [ERR_IO] = "io",
        [ERR_CORRUPT] = "corrupt",
        [ERR_BUSY] = "busy",
        [ERR_UNSUPPORTED] = "unsupported",
    };
    return (size_t)e < COUNT_OF(names) ? names[e] : "unknown";
}

enum err why_say(struct why *why, enum err e, const char *format, ...)
{
    if (why == NULL)
        return e;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return e;
}
