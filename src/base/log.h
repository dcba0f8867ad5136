/*
 * Logs: one line an event, key=value or JSON, for the journal or a file.
 *
 *     log_event(LOG_INFO, "login", "account=%.*s address=%s", STR_ARGS(bare), address);
 *
 * Never passwords, never message bodies.  A line is written by one write(2), so
 * lines of several threads do not mix.  Where and how is set once at start
 * (log_open) and may be reopened at reload; this is the one process-wide state
 * of base, because a log line must be possible from everywhere.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/err.h"

#include <stdbool.h>

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* path NULL or "": standard error with <N> priorities for the journal.  json: one object a line.
 * ERR_IO also where root would follow a symbolic link that root has not made. */
enum err log_open(const char *path, enum log_level most, bool json, struct why *why) MUST_CHECK;
/* Whether log_open could open it; a file that is not there is made. */
enum err log_check(const char *path, struct why *why) MUST_CHECK;
void log_set_level(enum log_level most);
void log_set_json(bool json);
bool log_wants(enum log_level level);

/* event: a short name with dashes; format: space-separated key=value pairs.  Values that contain
 * spaces, quotes, '=' or control characters must be passed through log_quote.  May be NULL.
 * In JSON a number is what an integer conversion alone prints: "conn=%llu". */
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

struct arena;
struct str;
/* value, quoted and escaped where needed, safe against forged lines. */
struct str log_quote(struct arena *arena, struct str value);

#endif
