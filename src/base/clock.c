#include "base/clock.h"

#include "base/must.h"

#include <time.h>

#define YEAR_0000_S INT64_C(-62167219200)
#define YEAR_10000_S INT64_C(253402300800)

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    must(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

struct str clock_format(struct arena *arena, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / SECOND_US);
    int64_t micros = wall_us % SECOND_US;
    if (micros < 0) {
        micros += SECOND_US;
        seconds--;
    }
    struct tm tm;
    must(gmtime_r(&seconds, &tm) != NULL);
    return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
                        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)micros);
}

static enum err take_number(struct str *rest, size_t digits, uint64_t max, int *out)
{
    uint64_t n;
    if (rest->len < digits || str_to_u64(str_first(*rest, digits), 0, max, &n) != OK)
        return ERR_MALFORMED;
    *rest = str_skip(*rest, digits);
    *out = (int)n;
    return OK;
}

static enum err take_char(struct str *rest, char c)
{
    if (rest->len == 0 || rest->at[0] != c)
        return ERR_MALFORMED;
    *rest = str_skip(*rest, 1);
    return OK;
}

static enum err take_zone(struct str rest, int64_t *offset_s)
{
    if (str_eq(rest, STR("Z"))) {
        *offset_s = 0;
        return OK;
    }
    int hours, minutes, sign = rest.len > 0 && rest.at[0] == '-' ? -1 : 1;
    if (take_char(&rest, sign < 0 ? '-' : '+') != OK || take_number(&rest, 2, 23, &hours) != OK ||
        take_char(&rest, ':') != OK || take_number(&rest, 2, 59, &minutes) != OK || rest.len > 0)
        return ERR_MALFORMED;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return OK;
}

enum err clock_parse(struct str text, int64_t *wall_us)
{
    struct tm tm = {0};
    int64_t micros = 0, scale = SECOND_US / 10, offset_s;
    if (take_number(&text, 4, 9999, &tm.tm_year) != OK || take_char(&text, '-') != OK ||
        take_number(&text, 2, 12, &tm.tm_mon) != OK || take_char(&text, '-') != OK ||
        take_number(&text, 2, 31, &tm.tm_mday) != OK || take_char(&text, 'T') != OK ||
        take_number(&text, 2, 23, &tm.tm_hour) != OK || take_char(&text, ':') != OK ||
        take_number(&text, 2, 59, &tm.tm_min) != OK || take_char(&text, ':') != OK ||
        take_number(&text, 2, 60, &tm.tm_sec) != OK)
        return ERR_MALFORMED;
    if (tm.tm_mon < 1 || tm.tm_mday < 1)
        return ERR_MALFORMED;
    if (take_char(&text, '.') == OK) {
        int digit;
        if (take_number(&text, 1, 9, &digit) != OK)
            return ERR_MALFORMED;
        do {
            micros += digit * scale;
            scale /= 10;
        } while (take_number(&text, 1, 9, &digit) == OK);
    }
    if (take_zone(text, &offset_s) != OK)
        return ERR_MALFORMED;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    // a zone can push the first and last day out of the years 0000 to 9999, which nobody could
    // write
    int64_t seconds = (int64_t)timegm(&tm) - offset_s;
    if (seconds < YEAR_0000_S || seconds >= YEAR_10000_S)
        return ERR_MALFORMED;
    *wall_us = seconds * SECOND_US + micros;
    return OK;
}
