/*
 * One upload on its way: written, looked at, scanned, and only then there.
 */
#include "files/uploads_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/clamd.h"
#include "files/inspector.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

struct upload_put {
    struct uploads *uploads;
    struct slot *slot; // taken: nobody else's; its reservation holds until the end
    int fd;
    uint64_t n_written;
    EVP_MD_CTX *digest;
    bool stored;
};

const char *upload_end_name(enum upload_end end)
{
    static const char *const names[] = {"stored", "short",        "convicted", "found", "program",
                                        "unread", "scanner-away", "too-large", "full",  "failed"};
    must((size_t)end < COUNT_OF(names));
    return names[end];
}

static enum err err_of(int number)
{
    return number == ENOSPC || number == EDQUOT || number == EFBIG ? ERR_FULL : ERR_IO;
}

static enum err make_file(struct upload_put *put)
{
    char path[PATH_ROOM];
    part_path(put->slot->get, path);
    put->fd = openat(put->uploads->directory, path,
                     O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (put->fd < 0)
        return err_of(errno);
    // so that a full disk is known before the bytes come; not every file system can
    if (fallocate(put->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)put->slot->size) != 0 && errno == ENOSPC)
        return ERR_FULL;
    return OK;
}

// The slot of this name, if it is of this size, for nobody else.
static enum err take_slot(struct uploads *uploads, struct str token, uint64_t size,
                          struct slot **out)
{
    enum err e = OK;
    pthread_mutex_lock(&uploads->lock);
    struct slot *slot = table_get(&uploads->by_slot, token);
    if (slot == NULL || slot->until_us <= clock_now_us()) {
        e = ERR_MISSING;
    } else if (slot->size != size) {
        e = ERR_MALFORMED;
    } else {
        table_remove(&uploads->by_slot, token);
        list_leave(&slot->link);
        uploads->n_slots--;
        *out = slot;
    }
    pthread_mutex_unlock(&uploads->lock);
    return e;
}

enum err uploads_begin(struct uploads *uploads, struct str token, uint64_t size,
                       struct upload_put **out)
{
    struct slot *slot = NULL;
    enum err e = take_slot(uploads, token, size, &slot);
    if (e != OK)
        return e;
    struct upload_put *put = calloc(1, sizeof *put);
    must(put != NULL);
    *put = (struct upload_put){.uploads = uploads, .slot = slot, .fd = -1};
    put->digest = EVP_MD_CTX_new();
    must(put->digest != NULL && EVP_DigestInit_ex(put->digest, EVP_sha256(), NULL) == 1);
    e = make_file(put);
    if (e != OK)
        upload_put_free(&put);
    else
        *out = put;
    return e;
}

enum err uploads_write(struct upload_put *put, struct str bytes)
{
    if (bytes.len > put->slot->size - put->n_written)
        return ERR_LIMIT;
    must(EVP_DigestUpdate(put->digest, bytes.at, bytes.len) == 1);
    while (bytes.len > 0) {
        ssize_t n = pwrite(put->fd, bytes.at, bytes.len, (off_t)put->n_written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_of(errno) : ERR_IO;
        put->n_written += (uint64_t)n;
        bytes = str_skip(bytes, (size_t)n);
    }
    return OK;
}

/* ---- Looked at ---- */

static uint32_t flags_of(const struct inspection *inspection)
{
    static const struct {
        uint32_t inspected, flag;
    } rows[] = {
        {INSPECTED_PROGRAM,    UPLOAD_PROGRAM   },
        {INSPECTED_DISGUISED,  UPLOAD_DISGUISED },
        {INSPECTED_ENCRYPTED,  UPLOAD_SEALED    },
        {INSPECTED_UNFINISHED, UPLOAD_UNFINISHED},
        {INSPECTED_SUSPECTED,  UPLOAD_SUSPECT   },
        {INSPECTED_NESTED,     UPLOAD_NESTED    },
    };
    uint32_t flags = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if ((inspection->flags & rows[i].inspected) != 0)
            flags |= rows[i].flag;
    return flags;
}

static enum upload_end inspect(struct upload_put *put, const struct upload_settings *settings,
                               struct upload *about)
{
    struct uploads *uploads = put->uploads;
    struct inspection inspection;
    struct why why = {""};
    (void)!str_to_z(STR("application/octet-stream"), about->type, sizeof about->type);
    if (uploads->options.inspector == NULL)
        return END_STORED;
    // its own opening: the other process moves the position
    char path[PATH_ROOM];
    part_path(about->id, path);
    int fd = openat(uploads->directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    enum err e = fd < 0 ? ERR_IO
                        : inspector_look(uploads->options.inspector, fd, str_of(about->name),
                                         &inspection, &why);
    if (fd >= 0)
        close(fd);
    if (e != OK) {
        log_event(LOG_WARNING, "upload-not-inspected", "account=%s error=%s", about->jid,
                  err_name(e));
        about->flags |= UPLOAD_UNFINISHED | UPLOAD_SUSPECT;
        return settings->uninspected == UPLOAD_REFUSE ? END_UNREAD : END_STORED;
    }
    must(sizeof about->finding == sizeof inspection.finding);
    memcpy(about->finding, inspection.finding, sizeof about->finding);
    memcpy(about->type, inspection.type, sizeof about->type);
    about->flags |= flags_of(&inspection);
    if ((inspection.flags & INSPECTED_MATCHED) != 0)
        return END_FOUND;
    bool refused = ((about->flags & UPLOAD_PROGRAM) != 0 && settings->programs == UPLOAD_REFUSE) ||
                   ((about->flags & UPLOAD_DISGUISED) != 0 && settings->disguised == UPLOAD_REFUSE);
    if (refused)
        return END_PROGRAM;
    bool nested = (about->flags & UPLOAD_NESTED) != 0;
    if (nested && settings->nested == UPLOAD_REFUSE)
        return END_UNREAD;
    if (nested && settings->nested == UPLOAD_MARK)
        about->flags |= UPLOAD_SUSPECT;
    if (settings->programs == UPLOAD_PASS)
        about->flags &= ~(uint32_t)UPLOAD_PROGRAM;
    if (settings->disguised == UPLOAD_PASS)
        about->flags &= ~(uint32_t)UPLOAD_DISGUISED;
    return END_STORED;
}

static enum upload_end scan(struct upload_put *put, const struct upload_settings *settings,
                            struct upload *about)
{
    if (settings->scanner[0] == '\0')
        return END_STORED;
    enum scan word = upload_scan(put->uploads, settings, put->fd, about);
    switch (word) {
    case SCAN_CLEAN:
        return END_STORED;
    case SCAN_FOUND:
        return END_FOUND;
    case SCAN_AWAY:
    case SCAN_TOO_LARGE:
        break;
    }
    about->flags |= UPLOAD_UNSCANNED;
    if (settings->unscanned_passes)
        return END_STORED;
    return word == SCAN_AWAY ? END_AWAY : END_LARGE;
}

static bool is_convicted(const struct uploads *uploads, const struct lure_key *key)
{
    return uploads->options.is_convicted != NULL &&
           uploads->options.is_convicted(uploads->options.context, key);
}

/* ---- Kept ---- */

static enum upload_end keep_bytes(const struct upload_put *put, const struct upload *about)
{
    char path[PATH_ROOM];
    part_path(about->id, path);
    int directory = put->uploads->directory;
    if (renameat(directory, path, directory, about->id) != 0 || fsync(directory) != 0)
        return err_of(errno) == ERR_FULL ? END_FULL : END_FAILED;
    return END_STORED;
}

static enum upload_end keep_row(const struct upload_put *put, const struct upload *about)
{
    struct store_upload_put op = {
        .upload = {.id = str_of(about->id),
                   .owner = about->owner,
                   .jid = str_of(about->jid),
                   .name = str_of(about->name),
                   .type = str_of(about->type),
                   .size = about->size,
                   .digest = str_make((const char *)about->digest, sizeof about->digest),
                   .flags = about->flags,
                   .finding = str_of(about->finding),
                   .created_us = about->created_us,
                   .expires_us = about->expires_us},
    };
    store_upload_put(put->uploads->options.store, &op);
    enum err e = store_wait(&op.request);
    store_release(&op.request);
    return e == OK ? END_STORED : e == ERR_FULL ? END_FULL : END_FAILED;
}

static void make_known(struct upload_put *put, const struct upload *about)
{
    struct uploads *uploads = put->uploads;
    struct file *file = file_new(about);
    pthread_mutex_lock(&uploads->lock);
    file->owner = owner_get(uploads, about->owner);
    file_add(uploads, file);
    pthread_mutex_unlock(&uploads->lock);
    put->stored = true;
}

static enum upload_end go_through(struct upload_put *put, const struct upload_settings *settings,
                                  struct upload *about)
{
    if (put->n_written != put->slot->size)
        return END_SHORT;
    unsigned len = 0;
    must(EVP_DigestFinal_ex(put->digest, about->digest, &len) == 1 && len == sizeof about->digest);
    about->key = upload_key(put->uploads, about->digest);
    about->convicted = is_convicted(put->uploads, &about->key);
    if (about->convicted)
        return END_CONVICTED;
    if (fsync(put->fd) != 0)
        return err_of(errno) == ERR_FULL ? END_FULL : END_FAILED;
    enum upload_end end = inspect(put, settings, about);
    if (end == END_STORED)
        end = scan(put, settings, about);
    if (end == END_STORED)
        end = keep_bytes(put, about);
    if (end == END_STORED)
        end = keep_row(put, about);
    if (end == END_STORED)
        make_known(put, about);
    return end;
}

void upload_marks(uint32_t flags, char out[static UPLOAD_MARKS_ROOM])
{
    static const struct {
        uint32_t flag;
        const char *word;
    } rows[] = {
        {UPLOAD_UNSCANNED,  "unscanned" },
        {UPLOAD_PROGRAM,    "program"   },
        {UPLOAD_DISGUISED,  "disguised" },
        {UPLOAD_SUSPECT,    "suspect"   },
        {UPLOAD_SEALED,     "sealed"    },
        {UPLOAD_UNFINISHED, "unfinished"},
        {UPLOAD_NESTED,     "nested"    },
        {UPLOAD_FOUND,      "found"     },
    };
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if ((flags & rows[i].flag) != 0 && n < UPLOAD_MARKS_ROOM)
            n += (size_t)snprintf(out + n, UPLOAD_MARKS_ROOM - n, "%s%s", n > 0 ? "," : "",
                                  rows[i].word);
}

static void note_end(struct uploads *uploads, const struct upload *about, enum upload_end end)
{
    pthread_mutex_lock(&uploads->lock);
    uploads->stats.n_ends[end]++;
    pthread_mutex_unlock(&uploads->lock);
    struct arena arena;
    arena_init(&arena, 16384);
    struct str jid = log_quote(&arena, str_of(about->jid));
    // a rule's or the scanner's name; an entry's name is its owner's and not for the log
    struct str finding = log_quote(&arena, end == END_FOUND ? str_of(about->finding) : STR_EMPTY);
    char marks[UPLOAD_MARKS_ROOM];
    upload_marks(about->flags, marks);
    log_event(end == END_STORED ? LOG_INFO : LOG_NOTICE, "upload",
              "account=%.*s bytes=%llu type=%s result=%s marks=%s finding=%.*s", STR_ARGS(jid),
              (unsigned long long)about->size, about->type[0] != '\0' ? about->type : "unknown",
              upload_end_name(end), marks[0] != '\0' ? marks : "none", STR_ARGS(finding));
    arena_done(&arena);
}

enum upload_end uploads_end(struct upload_put *put, struct upload *about_out)
{
    struct uploads *uploads = put->uploads;
    struct upload about = {
        .owner = put->slot->owner->number, .size = put->slot->size, .created_us = clock_wall_us()};
    struct upload_settings settings;
    upload_settings_now(uploads, &settings);
    memcpy(about.id, put->slot->get, sizeof about.id);
    must(str_to_z(str_of(put->slot->name), about.name, sizeof about.name) == OK);
    if (str_to_z(str_of(put->slot->jid), about.jid, sizeof about.jid) != OK)
        about.jid[0] = '\0';
    about.expires_us = about.created_us + settings.keep_us;
    enum upload_end end = go_through(put, &settings, &about);
    note_end(uploads, &about, end);
    if (end == END_FOUND)
        about.flags |= UPLOAD_FOUND;
    if (end == END_FOUND && uploads->found != NULL)
        uploads->found(uploads->found_context, &about);
    if (about_out != NULL)
        *about_out = about;
    return end;
}

void upload_put_free(struct upload_put **at)
{
    struct upload_put *put = TAKE(*at);
    if (put == NULL)
        return;
    struct uploads *uploads = put->uploads;
    char path[PATH_ROOM];
    if (put->fd >= 0)
        close(put->fd);
    if (!put->stored) {
        part_path(put->slot->get, path);
        unlinkat(uploads->directory, path, 0);
        unlinkat(uploads->directory, put->slot->get, 0);
    }
    EVP_MD_CTX_free(put->digest);
    pthread_mutex_lock(&uploads->lock);
    slot_free(uploads, &put->slot);
    pthread_mutex_unlock(&uploads->lock);
    free(put);
}
