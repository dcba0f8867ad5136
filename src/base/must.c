#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

// Thread-local and for the post-mortem only: no code may read it to decide anything.
static _Thread_local char context[128];

void must_context(const char *what)
{
    snprintf(context, sizeof context, "%s", what);
}

void must_failed(const char *expression, const char *file, int line, const char *func)
{
    fprintf(stderr, "<0>must failed: %s at %s:%d in %s working-on=%s\n", expression, file, line,
            func, context);
    abort();
}
