/*
 * A growing byte buffer with a ceiling.
 *
 * Appending never fails at the call: a buffer that would pass its ceiling
 * stays as it is and remembers that it overflowed, so that a writer checks
 * once, at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct buf {
    char *at;
    size_t len, room; // bytes in use; allocated
    size_t ceiling;   // most that len may become
    bool overflowed;  // something did not fit; everything after it was refused too
    bool on_loan;     // at is the caller's: never freed here
};

void buf_init(struct buf *buf, size_t ceiling);
/* Begins in room of the caller's (his stack) and takes memory only beyond it. */
void buf_init_in(struct buf *buf, char *at, size_t room, size_t ceiling);
void buf_done(struct buf *buf);
/* Empties it and forgets an overflow; keeps the memory. */
void buf_clear(struct buf *buf);
/* Gives the memory back when empty: an idle connection keeps none. */
void buf_release(struct buf *buf);

void buf_add(struct buf *buf, struct str text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Room for n more bytes, to be written by the caller who then adds to len; NULL beyond the
 * ceiling (and remembered). */
char *buf_reserve(struct buf *buf, size_t n);
/* Drops the first n bytes; n at most len. */
void buf_drop(struct buf *buf, size_t n);

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->at != NULL ? buf->at : "", buf->len};
}

#endif
