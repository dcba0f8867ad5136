/*
 * Assertions that ship.
 *
 * must() guards our own invariants in production too: it prints the expression
 * and what this thread was working on (never a body) and aborts.  Never on
 * bytes from outside.  must_slow() is for debug builds only.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#define must(expression)                                                                           \
    ((expression) ? (void)0 : must_failed(#expression, __FILE__, __LINE__, __func__))

#ifdef NDEBUG
#define must_slow(expression) ((void)0)
#else
#define must_slow(expression) must(expression)
#endif

_Noreturn void must_failed(const char *expression, const char *file, int line, const char *func);

/* Names what this thread works on (a connection or stanza id, no content); shown by a failing
 * must().  The text is copied, at most 127 bytes. */
void must_context(const char *what);

#endif
