#include "base/buf.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *buf, size_t ceiling)
{
    *buf = (struct buf){.ceiling = ceiling};
}

void buf_init_in(struct buf *buf, char *at, size_t room, size_t ceiling)
{
    *buf = (struct buf){.at = at, .room = room, .ceiling = ceiling, .on_loan = true};
}

void buf_done(struct buf *buf)
{
    if (!buf->on_loan)
        free(buf->at);
    buf_init(buf, buf->ceiling);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflowed = false;
}

void buf_release(struct buf *buf)
{
    if (buf->len == 0)
        buf_done(buf);
}

char *buf_reserve(struct buf *buf, size_t n)
{
    if (buf->overflowed || n > buf->ceiling - buf->len) {
        buf->overflowed = true;
        return NULL;
    }
    if (n > buf->room - buf->len) {
        size_t room = buf->room < 256 ? 256 : buf->room;
        while (room - buf->len < n)
            room *= 2; // cannot wrap: n fits below the ceiling
        char *at = realloc(buf->on_loan ? NULL : buf->at, room);
        must(at != NULL);
        if (buf->on_loan)
            memcpy(at, buf->at, buf->len);
        buf->on_loan = false;
        buf->at = at;
        buf->room = room;
    }
    return buf->at + buf->len;
}

void buf_add(struct buf *buf, struct str text)
{
    if (text.len == 0)
        return;
    char *at = buf_reserve(buf, text.len);
    if (at == NULL)
        return;
    memcpy(at, text.at, text.len);
    buf->len += text.len;
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, (struct str){&c, 1});
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    must(len >= 0);
    char *at = buf_reserve(buf, (size_t)len + 1); // vsnprintf writes its NUL behind the text
    if (at != NULL) {
        vsnprintf(at, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

void buf_drop(struct buf *buf, size_t n)
{
    must(n <= buf->len);
    if (n == 0)
        return;
    buf->len -= n;
    memmove(buf->at, buf->at + n, buf->len);
}
