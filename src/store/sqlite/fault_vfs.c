/*
 * The layer of fault_vfs.h: wraps the files of SQLite's own layer.
 */
#include "store/sqlite/fault_vfs.h"

#include "base/list.h"
#include "base/must.h"
#include "base/random.h"
#include "base/str.h"
#include "store/store_faults.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RULES_MOST = 16, PATH_ROOM = 512 };

enum fault { FAULT_WRITE, FAULT_SYNC, FAULT_FULL, FAULT_FULL_WHILE, FAULT_RANDOM };

struct rule {
    enum fault fault;
    uint64_t first, last; // of the counted writes or syncs, inclusive; RANDOM: the odds
    char path[PATH_ROOM]; // FULL_WHILE
};

// What was written to a file and not synced yet.
struct extent {
    struct extent *next;
    sqlite3_int64 offset;
    size_t len;
    char data[];
};

// The same file as several connections see it.
struct shared_file {
    struct link link;
    char *path;
    unsigned n_open;
    struct extent *first, *last; // oldest first
};

struct fault_vfs {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct rule rules[RULES_MOST]; // fixed once made
    size_t n_rules;
    bool is_volatile;
    atomic_bool armed;
    pthread_mutex_t lock;
    uint64_t n_writes, n_syncs; // lock, as all below
    struct prng prng;
    struct list files;
};

struct fault_file {
    sqlite3_file base;
    struct fault_vfs *owner;
    struct shared_file *shared; // NULL: passed through
    bool counted;
    sqlite3_file *real;
};

static struct fault_file *file_of(sqlite3_file *base)
{
    return (struct fault_file *)base;
}

/* ---- Deciding ------------------------------------------------------------------------------ */

static bool rule_hits(struct fault_vfs *v, const struct rule *rule, bool is_write)
{
    uint64_t n = is_write ? v->n_writes : v->n_syncs;
    switch (rule->fault) {
    case FAULT_WRITE:
    case FAULT_FULL:
        return is_write && n >= rule->first && n <= rule->last;
    case FAULT_SYNC:
        return !is_write && n >= rule->first && n <= rule->last;
    case FAULT_FULL_WHILE:
        return is_write && access(rule->path, F_OK) == 0;
    case FAULT_RANDOM:
        return prng_below(&v->prng, rule->first) == 0;
    }
    return false;
}

// SQLITE_OK, or what this write or sync shall fail with.
static int judge(struct fault_file *f, bool is_write)
{
    struct fault_vfs *v = f->owner;
    if (!f->counted || !atomic_load(&v->armed))
        return SQLITE_OK;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&v->lock);
    if (is_write)
        v->n_writes++;
    else
        v->n_syncs++;
    for (size_t i = 0; i < v->n_rules && rc == SQLITE_OK; i++)
        if (rule_hits(v, &v->rules[i], is_write)) {
            bool full = v->rules[i].fault == FAULT_FULL || v->rules[i].fault == FAULT_FULL_WHILE;
            rc = full ? SQLITE_FULL : is_write ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
        }
    pthread_mutex_unlock(&v->lock);
    return rc;
}

/* ---- Volatile files ------------------------------------------------------------------------ */

static void keep(struct shared_file *shared, const void *data, size_t len, sqlite3_int64 offset)
{
    struct extent *e = malloc(sizeof *e + len);
    must(e != NULL);
    *e = (struct extent){.offset = offset, .len = len};
    memcpy(e->data, data, len);
    if (shared->first == NULL)
        shared->first = e;
    else
        shared->last->next = e;
    shared->last = e;
}

static int write_out(struct shared_file *shared, sqlite3_file *real)
{
    while (shared->first != NULL) {
        struct extent *e = shared->first;
        int rc = real->pMethods->xWrite(real, e->data, (int)e->len, e->offset);
        if (rc != SQLITE_OK)
            return rc;
        shared->first = e->next;
        free(e);
    }
    return SQLITE_OK;
}

static void overlay(const struct shared_file *shared, char *out, sqlite3_int64 offset, size_t len)
{
    sqlite3_int64 end = offset + (sqlite3_int64)len;
    for (const struct extent *e = shared->first; e != NULL; e = e->next) {
        sqlite3_int64 from = e->offset > offset ? e->offset : offset;
        sqlite3_int64 to = e->offset + (sqlite3_int64)e->len;
        if (to > end)
            to = end;
        if (from < to)
            memcpy(out + (from - offset), e->data + (from - e->offset), (size_t)(to - from));
    }
}

static int size_of(const struct fault_file *f, sqlite3_int64 *size)
{
    int rc = f->real->pMethods->xFileSize(f->real, size);
    for (const struct extent *e = f->shared->first; rc == SQLITE_OK && e != NULL; e = e->next)
        if (e->offset + (sqlite3_int64)e->len > *size)
            *size = e->offset + (sqlite3_int64)e->len;
    return rc;
}

static void cut_extents(struct shared_file *shared, sqlite3_int64 size)
{
    for (struct extent *e = shared->first; e != NULL; e = e->next) {
        if (e->offset >= size)
            e->len = 0;
        else if (e->offset + (sqlite3_int64)e->len > size)
            e->len = (size_t)(size - e->offset);
    }
}

/* ---- A file's methods ---------------------------------------------------------------------- */

static int file_read(sqlite3_file *base, void *out, int len, sqlite3_int64 offset)
{
    struct fault_file *f = file_of(base);
    if (f->shared == NULL)
        return f->real->pMethods->xRead(f->real, out, len, offset);
    pthread_mutex_lock(&f->owner->lock);
    int rc = f->real->pMethods->xRead(f->real, out, len, offset);
    if (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ) {
        overlay(f->shared, out, offset, (size_t)len);
        sqlite3_int64 size = 0;
        int size_rc = size_of(f, &size);
        rc = size_rc != SQLITE_OK   ? size_rc
             : offset + len <= size ? SQLITE_OK
                                    : SQLITE_IOERR_SHORT_READ;
    }
    pthread_mutex_unlock(&f->owner->lock);
    return rc;
}

static int file_write(sqlite3_file *base, const void *data, int len, sqlite3_int64 offset)
{
    struct fault_file *f = file_of(base);
    int rc = judge(f, true);
    if (rc != SQLITE_OK)
        return rc;
    if (f->shared == NULL)
        return f->real->pMethods->xWrite(f->real, data, len, offset);
    pthread_mutex_lock(&f->owner->lock);
    keep(f->shared, data, (size_t)len, offset);
    pthread_mutex_unlock(&f->owner->lock);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
    struct fault_file *f = file_of(base);
    int rc = judge(f, false);
    if (rc != SQLITE_OK)
        return rc;
    if (f->shared != NULL) {
        pthread_mutex_lock(&f->owner->lock);
        rc = write_out(f->shared, f->real);
        pthread_mutex_unlock(&f->owner->lock);
    }
    return rc != SQLITE_OK ? rc : f->real->pMethods->xSync(f->real, flags);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct fault_file *f = file_of(base);
    if (f->shared == NULL)
        return f->real->pMethods->xTruncate(f->real, size);
    pthread_mutex_lock(&f->owner->lock);
    cut_extents(f->shared, size);
    sqlite3_int64 now = 0;
    int rc = f->real->pMethods->xFileSize(f->real, &now);
    if (rc == SQLITE_OK && now > size)
        rc = f->real->pMethods->xTruncate(f->real, size);
    pthread_mutex_unlock(&f->owner->lock);
    return rc;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    struct fault_file *f = file_of(base);
    if (f->shared == NULL)
        return f->real->pMethods->xFileSize(f->real, size);
    pthread_mutex_lock(&f->owner->lock);
    int rc = size_of(f, size);
    pthread_mutex_unlock(&f->owner->lock);
    return rc;
}

static void drop_shared(struct fault_file *f)
{
    struct shared_file *shared = f->shared;
    pthread_mutex_lock(&f->owner->lock);
    if (--shared->n_open == 0) {
        (void)write_out(shared, f->real);
        for (struct extent *e = shared->first, *next; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
        list_leave(&shared->link);
        free(shared->path);
        free(shared);
    }
    pthread_mutex_unlock(&f->owner->lock);
}

static int file_close(sqlite3_file *base)
{
    struct fault_file *f = file_of(base);
    if (f->shared != NULL)
        drop_shared(f);
    return f->real->pMethods->xClose(f->real);
}

static int file_lock(sqlite3_file *base, int level)
{
    return file_of(base)->real->pMethods->xLock(file_of(base)->real, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return file_of(base)->real->pMethods->xUnlock(file_of(base)->real, level);
}

static int file_check_lock(sqlite3_file *base, int *out)
{
    return file_of(base)->real->pMethods->xCheckReservedLock(file_of(base)->real, out);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    return file_of(base)->real->pMethods->xFileControl(file_of(base)->real, op, arg);
}

static int file_sector(sqlite3_file *base)
{
    return file_of(base)->real->pMethods->xSectorSize(file_of(base)->real);
}

static int file_characteristics(sqlite3_file *base)
{
    return file_of(base)->real->pMethods->xDeviceCharacteristics(file_of(base)->real);
}

static int file_shm_map(sqlite3_file *base, int page, int size, int extend, void volatile **out)
{
    return file_of(base)->real->pMethods->xShmMap(file_of(base)->real, page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *base, int offset, int n, int flags)
{
    return file_of(base)->real->pMethods->xShmLock(file_of(base)->real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    file_of(base)->real->pMethods->xShmBarrier(file_of(base)->real);
}

static int file_shm_unmap(sqlite3_file *base, int erase)
{
    return file_of(base)->real->pMethods->xShmUnmap(file_of(base)->real, erase);
}

// Version 2: no memory mapping, which would go around us.
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static struct shared_file *share(struct fault_vfs *v, const char *path)
{
    pthread_mutex_lock(&v->lock);
    struct shared_file *found = NULL;
    LIST_EACH(&v->files, struct shared_file, link, it)
    if (strcmp(it->path, path) == 0)
        found = it;
    if (found == NULL) {
        found = calloc(1, sizeof *found);
        must(found != NULL);
        found->path = strdup(path);
        must(found->path != NULL);
        list_add_last(&v->files, &found->link);
    }
    found->n_open++;
    pthread_mutex_unlock(&v->lock);
    return found;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags,
                    int *flags_out)
{
    struct fault_vfs *v = vfs->pAppData;
    struct fault_file *f = file_of(base);
    memset(f, 0, sizeof *f);
    f->owner = v;
    f->real = (sqlite3_file *)(f + 1);
    int rc = v->real->xOpen(v->real, name, f->real, flags, flags_out);
    if (f->real->pMethods == NULL)
        return rc;
    f->base.pMethods = &methods;
    f->counted = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0;
    if (rc == SQLITE_OK && f->counted && v->is_volatile && name != NULL)
        f->shared = share(v, name);
    return rc;
}

/* ---- The specification --------------------------------------------------------------------- */

static enum err read_range(struct str text, struct rule *rule)
{
    struct str more = text, first = str_cut(&more, '+');
    uint64_t n_more = 0;
    if (str_to_u64(first, 1, UINT32_MAX, &rule->first) != OK)
        return ERR_MALFORMED;
    if (more.at != NULL && str_to_u64(more, 0, UINT32_MAX, &n_more) != OK)
        return ERR_MALFORMED;
    rule->last = rule->first + n_more;
    return OK;
}

static enum err read_random(struct fault_vfs *v, struct str text, struct rule *rule)
{
    struct str odds = text, seed = str_cut(&odds, '/');
    if (odds.at == NULL || str_to_u64(seed, 0, UINT64_MAX, &v->prng.state) != OK ||
        str_to_u64(odds, 1, UINT32_MAX, &rule->first) != OK)
        return ERR_MALFORMED;
    return OK;
}

static enum err read_rule(struct fault_vfs *v, struct str text)
{
    static const struct {
        struct str name;
        enum fault fault;
    } kinds[] = {
        {STR("write@"),  FAULT_WRITE     },
        {STR("sync@"),   FAULT_SYNC      },
        {STR("full@"),   FAULT_FULL      },
        {STR("full?"),   FAULT_FULL_WHILE},
        {STR("random@"), FAULT_RANDOM    },
    };
    if (str_eq(text, STR("volatile"))) {
        v->is_volatile = true;
        return OK;
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_starts(text, kinds[i].name))
            continue;
        if (v->n_rules == RULES_MOST)
            return ERR_LIMIT;
        struct rule *rule = &v->rules[v->n_rules++];
        rule->fault = kinds[i].fault;
        struct str rest = str_skip(text, kinds[i].name.len);
        if (rule->fault == FAULT_FULL_WHILE)
            return str_to_z(rest, rule->path, sizeof rule->path);
        return rule->fault == FAULT_RANDOM ? read_random(v, rest, rule) : read_range(rest, rule);
    }
    return ERR_MALFORMED;
}

static enum err read_rules(struct fault_vfs *v, const char *spec, struct why *why)
{
    for (struct str rest = str_of(spec); rest.at != NULL && rest.len > 0;) {
        struct str text = str_cut(&rest, ',');
        enum err e = read_rule(v, text);
        if (e != OK)
            return why_say(why, e,
                           "fault \"%.*s\" is not understood; allowed: write@N[+M], sync@N[+M], "
                           "full@N[+M], full?PATH, random@SEED/ODDS, volatile",
                           STR_ARGS(text));
    }
    return OK;
}

enum err store_check_faults(const char *spec, struct why *why)
{
    struct fault_vfs *v = calloc(1, sizeof *v);
    must(v != NULL);
    enum err e = read_rules(v, spec, why);
    free(v);
    return e;
}

enum err fault_vfs_new(const char *spec, struct fault_vfs **out, struct why *why)
{
    struct fault_vfs *v = calloc(1, sizeof *v);
    must(v != NULL);
    enum err e = read_rules(v, spec, why);
    if (e != OK) {
        free(v);
        return e;
    }
    pthread_mutex_init(&v->lock, NULL);
    list_init(&v->files);
    v->real = sqlite3_vfs_find(NULL);
    must(v->real != NULL && sqlite3_vfs_find(FAULT_VFS_NAME) == NULL);
    v->vfs = *v->real; // all but files as the real one does it
    v->vfs.zName = FAULT_VFS_NAME;
    v->vfs.pNext = NULL;
    v->vfs.pAppData = v;
    v->vfs.szOsFile = (int)sizeof(struct fault_file) + v->real->szOsFile;
    v->vfs.xOpen = vfs_open;
    must(sqlite3_vfs_register(&v->vfs, 0) == SQLITE_OK);
    *out = v;
    return OK;
}

void fault_vfs_free(struct fault_vfs **at)
{
    struct fault_vfs *v = TAKE(*at);
    if (v == NULL)
        return;
    sqlite3_vfs_unregister(&v->vfs);
    must(list_empty(&v->files));
    pthread_mutex_destroy(&v->lock);
    free(v);
}

void fault_vfs_arm(struct fault_vfs *v)
{
    atomic_store(&v->armed, true);
}
