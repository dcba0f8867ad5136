#include "daemon/link_keys.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MOST = 64 * 1024 };

static enum err read_line(struct str line, struct seal_key *out)
{
    struct str hex = line;
    struct str id_text = str_cut(&hex, ' '), made_text = hex.at != NULL ? str_cut(&hex, ' ') : hex;
    uint64_t id, made_s;
    size_t len = 0;
    if (hex.at == NULL || str_to_u64(id_text, 1, UINT32_MAX, &id) != OK ||
        str_to_u64(made_text, 0, UINT32_MAX, &made_s) != OK ||
        sodium_hex2bin(out->secret, sizeof out->secret, hex.at, hex.len, NULL, &len, NULL) != 0 ||
        len != sizeof out->secret)
        return ERR_MALFORMED;
    out->id = (uint32_t)id;
    out->made_us = (int64_t)made_s * SECOND_US;
    return OK;
}

static enum err read_keys(const char *path, struct seal_keys *out, struct why *why)
{
    char text[FILE_MOST];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? ERR_MISSING : why_say(why, ERR_IO, "%s: %m", path);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    if (n < 0)
        return why_say(why, ERR_IO, "%s: %m", path);
    enum err e = OK;
    for (struct str rest = str_make(text, (size_t)n); e == OK && rest.len > 0;) {
        struct str line = str_cut(&rest, '\n');
        if (out->n == SEAL_KEYS_MOST)
            break;
        e = read_line(line, &out->keys[out->n]);
        if (e == OK)
            out->n++;
    }
    if (e != OK || out->n == 0)
        e = why_say(why, ERR_CORRUPT,
                    "%s: these are no keys of protected links; without them no link that was sent "
                    "can be opened. Bring the file back, or remove it to begin anew",
                    path);
    sodium_memzero(text, sizeof text);
    return e;
}

static enum err write_keys(const char *path, const struct seal_keys *keys, struct why *why)
{
    char fresh[4096];
    struct buf text;
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        return why_say(why, ERR_LIMIT, "%s: the path is too long", path);
    buf_init(&text, FILE_MOST);
    for (size_t i = 0; i < keys->n; i++) {
        char hex[2 * SEAL_SECRET + 1];
        sodium_bin2hex(hex, sizeof hex, keys->keys[i].secret, SEAL_SECRET);
        buf_printf(&text, "%" PRIu32 " %" PRId64 " %s\n", keys->keys[i].id,
                   keys->keys[i].made_us / SECOND_US, hex);
        sodium_memzero(hex, sizeof hex);
    }
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    sodium_memzero(text.at, text.len);
    buf_done(&text);
    if (good && rename(fresh, path) != 0) {
        good = false;
        error = errno;
    }
    errno = error;
    return good ? OK : why_say(why, ERR_IO, "%s: %m", path);
}

// A rename is durable when its directory is.
static void sync_directory(struct str path)
{
    char directory[4096];
    size_t slash = path.len;
    while (slash > 0 && path.at[slash - 1] != '/')
        slash--;
    if (slash < 2 || str_to_z(str_first(path, slash - 1), directory, sizeof directory) != OK)
        return;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static void add_key(struct seal_keys *keys, int64_t now_us)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < keys->n; i++)
        if (keys->keys[i].id > newest)
            newest = keys->keys[i].id;
    if (keys->n == SEAL_KEYS_MOST) // the oldest goes
        keys->n--;
    memmove(&keys->keys[1], &keys->keys[0], keys->n * sizeof keys->keys[0]);
    keys->n++;
    keys->keys[0] = (struct seal_key){.id = newest + 1, .made_us = now_us};
    random_bytes(keys->keys[0].secret, sizeof keys->keys[0].secret);
}

enum err link_keys_renew(struct str path, int64_t renew_us, struct seal_keys *keys, struct why *why)
{
    struct seal_keys fresh = {.n = 0};
    int64_t now_us = clock_wall_us();
    enum err e = keys->n > 0 ? OK : read_keys(path.at, &fresh, why);
    if (e != OK && e != ERR_MISSING)
        return e;
    if (keys->n > 0)
        fresh = *keys;
    if (fresh.n == 0 || now_us - fresh.keys[0].made_us >= renew_us) {
        add_key(&fresh, now_us);
        e = write_keys(path.at, &fresh, why);
        if (e != OK)
            return e;
        sync_directory(path);
        log_event(LOG_NOTICE, "link-key-made", "number=%" PRIu32, fresh.keys[0].id);
    }
    *keys = fresh;
    sodium_memzero(&fresh, sizeof fresh);
    return OK;
}
