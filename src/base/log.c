#include "base/log.h"

#include "base/arena.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MOST = 4096 };

static atomic_int out_fd = STDERR_FILENO;
static atomic_int most_level = LOG_INFO;
static atomic_bool as_json;
static atomic_bool to_file;

// Root follows only what root has linked: the server's own user may write where the log is, and
// shall not choose what the next start appends to.
static int following(const char *path)
{
    struct stat link;
    bool follows =
        geteuid() != 0 || (lstat(path, &link) == 0 && S_ISLNK(link.st_mode) && link.st_uid == 0);
    return follows ? 0 : O_NOFOLLOW;
}

static enum err open_file(const char *path, int *fd, struct why *why)
{
    *fd = STDERR_FILENO;
    if (path == NULL || path[0] == '\0')
        return OK;
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | following(path), 0640);
    return *fd >= 0 ? OK : why_say(why, ERR_IO, "log file %s: %s", path, strerror(errno));
}

enum err log_check(const char *path, struct why *why)
{
    int fd;
    enum err e = open_file(path, &fd, why);
    if (e == OK && fd != STDERR_FILENO)
        close(fd);
    return e;
}

enum err log_open(const char *path, enum log_level most, bool json, struct why *why)
{
    int fd;
    enum err e = open_file(path, &fd, why);
    if (e != OK)
        return e;
    // the old descriptor is duplicated over, never closed under a writer
    int old = atomic_load(&out_fd);
    if (old != STDERR_FILENO && fd != STDERR_FILENO) {
        if (dup3(fd, old, O_CLOEXEC) < 0) {
            close(fd);
            return why_say(why, ERR_IO, "log file %s: %s", path, strerror(errno));
        }
        close(fd);
        fd = old;
    }
    atomic_store(&out_fd, fd);
    atomic_store(&to_file, fd != STDERR_FILENO);
    log_set_level(most);
    log_set_json(json);
    return OK;
}

void log_set_json(bool json)
{
    atomic_store(&as_json, json);
}

void log_set_level(enum log_level most)
{
    atomic_store(&most_level, (int)most);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&most_level, memory_order_relaxed);
}

static bool is_plain(struct str value)
{
    if (value.len == 0)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F)
            return false;
    }
    return str_is_utf8(value);
}

struct str log_quote(struct arena *arena, struct str value)
{
    if (is_plain(value))
        return value;
    char *out = arena_alloc(arena, 4 * value.len + 3);
    size_t n = 0;
    bool valid = str_is_utf8(value);
    out[n++] = '"';
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < ' ' || c == 0x7F || (c >= 0x80 && !valid)) {
            static const char hex[] = "0123456789abcdef";
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        } else {
            out[n++] = (char)c;
        }
    }
    out[n++] = '"';
    return (struct str){out, n};
}

// Where a line that was cut for its length ends well: not inside an escape or a character, with
// room for the quote that closes the value.  In JSON half an escape spoils the whole line.
static size_t mend_end(char *pairs, size_t n)
{
    size_t whole = 0; // everything before it is complete
    bool quoted = false;
    for (size_t i = 0; i < n - 1;) {
        unsigned char c = (unsigned char)pairs[i];
        size_t size = 1;
        if (quoted && c == '\\')
            size = pairs[i + 1] == 'x' ? 4 : 2;
        else if (c >= 0xC2)
            size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
        if (size > n - 1 - i)
            break;
        if (c == '"')
            quoted = !quoted;
        i += size;
        whole = i;
    }
    if (quoted)
        pairs[whole++] = '"';
    return whole;
}

// Splits `key=value key="a b"` at the first unquoted space.
static struct str cut_pair(struct str *rest)
{
    bool quoted = false;
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->at[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ' ' && !quoted) {
            struct str pair = str_first(*rest, i);
            *rest = str_skip(*rest, i + 1);
            return pair;
        }
    }
    struct str pair = *rest;
    *rest = str_skip(*rest, rest->len);
    return pair;
}

// Our \xNN escapes become JSON's \u00NN; everything else is JSON already.
static size_t json_string(char *out, size_t room, struct str value)
{
    bool quoted = value.len >= 2 && value.at[0] == '"';
    if (quoted)
        value = str_make(value.at + 1, value.len - 2);
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < value.len && n + 8 < room; i++) {
        if (!quoted && value.at[i] == '\\') { // an account's name may have one (XEP-0106)
            out[n++] = '\\';
            out[n++] = '\\';
        } else if (value.at[i] == '\\' && i + 1 < value.len && value.at[i + 1] == 'x') {
            memcpy(out + n, "\\u00", 4);
            n += 4;
            i++;
        } else if (value.at[i] == '\\' && i + 1 < value.len) {
            out[n++] = value.at[i++];
            out[n++] = value.at[i];
        } else {
            out[n++] = value.at[i];
        }
    }
    out[n++] = '"';
    return n;
}

// Whether value is what the format prints for this key, and prints as a whole number.
static bool is_number(const char *format, struct str key, struct str value)
{
    struct str rest = str_of(format), conversion = STR_EMPTY;
    while (rest.len > 0 && conversion.len == 0) {
        struct str pair = str_cut(&rest, ' ');
        if (str_eq(str_cut(&pair, '='), key))
            conversion = pair;
    }
    if (conversion.len < 2 || conversion.at[0] != '%' || value.len == 0)
        return false;
    for (size_t i = 1; i < conversion.len - 1; i++)
        if (strchr("hljzt", conversion.at[i]) == NULL)
            return false;
    if (strchr("diu", conversion.at[conversion.len - 1]) == NULL)
        return false;
    for (size_t i = value.at[0] == '-' && value.len > 1 ? 1 : 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
    return true;
}

static size_t write_json(char *line, size_t room, enum log_level level, const char *event,
                         const char *format, struct str pairs, struct str when)
{
    size_t n = (size_t)snprintf(line, room, "{\"time\":\"%.*s\",\"level\":%d,\"event\":\"%s\"",
                                STR_ARGS(when), (int)level, event);
    while (pairs.len > 0 && n + 64 < room) {
        struct str pair = cut_pair(&pairs);
        size_t key = str_find_char(pair, '=');
        if (key == pair.len || pair.len + 16 > room - n)
            continue;
        n += (size_t)snprintf(line + n, room - n, ",\"%.*s\":", (int)key, pair.at);
        struct str value = str_skip(pair, key + 1);
        if (is_number(format, str_first(pair, key), value)) {
            memcpy(line + n, value.at, value.len);
            n += value.len;
        } else {
            n += json_string(line + n, room - n - 4, value);
        }
    }
    line[n++] = '}';
    line[n++] = '\n';
    return n;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_wants(level))
        return;
    char pairs[LINE_MOST / 2], line[LINE_MOST];
    int n_pairs = 0;
    if (format != NULL) {
        va_list args;
        va_start(args, format);
        n_pairs = vsnprintf(pairs, sizeof pairs, format, args);
        va_end(args);
        if (n_pairs < 0)
            n_pairs = 0;
        if ((size_t)n_pairs >= sizeof pairs)
            n_pairs = (int)mend_end(pairs, sizeof pairs - 1);
    }
    for (int i = 0; i < n_pairs; i++) // whoever forgot log_quote cannot forge a line
        if ((unsigned char)pairs[i] < ' ')
            pairs[i] = '?';
    struct arena arena;
    arena_init(&arena, 256);
    struct str when = clock_format(&arena, clock_wall_us());
    size_t n;
    struct str text = {pairs, (size_t)n_pairs};
    if (atomic_load(&as_json))
        n = write_json(line, sizeof line, level, event, format, text, when);
    else if (atomic_load(&to_file))
        n = (size_t)snprintf(line, sizeof line, "%.*s level=%d event=%s %.*s\n", STR_ARGS(when),
                             (int)level, event, STR_ARGS(text));
    else
        n = (size_t)snprintf(line, sizeof line, "<%d>event=%s %.*s\n", (int)level, event,
                             STR_ARGS(text));
    arena_done(&arena);
    // a log that cannot be written must not stop the service
    ssize_t written UNUSED = write(atomic_load(&out_fd), line, n);
}
