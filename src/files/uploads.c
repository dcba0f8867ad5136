/*
 * What there is: files, slots, and what each account may still put.
 */
#include "files/uploads_internal.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/clamd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILES_CEILING = 100 * 1000 * 1000, // of the tables; uploads.settings.files is the real one
    PAGE = 1000,
    QUEUE_MOST = 4096,
};

static const int64_t day_us = 86400 * SECOND_US, slots_retry_us = 60 * SECOND_US;

/* ---- Owners ---- */

static struct str number_key(const int64_t *number)
{
    return str_make((const char *)number, sizeof *number);
}

struct owner *owner_get(struct uploads *uploads, int64_t number)
{
    struct owner *owner = table_get(&uploads->owners, number_key(&number));
    if (owner == NULL) {
        owner = calloc(1, sizeof *owner);
        must(owner != NULL);
        owner->number = number;
        must(table_put(&uploads->owners, number_key(&owner->number), owner) == OK);
    }
    int64_t today = clock_wall_us() / day_us;
    if (owner->day != today) {
        owner->day = today;
        owner->daily_bytes = owner->daily_files = 0;
    }
    return owner;
}

void owner_release(struct uploads *uploads, struct owner *owner)
{
    bool today = owner->day == clock_wall_us() / day_us && owner->daily_files > 0;
    if (owner->files > 0 || owner->slots > 0 || owner->reserved > 0 || today)
        return;
    table_remove(&uploads->owners, number_key(&owner->number));
    free(owner);
}

/* ---- Files ---- */

static char *copy(struct str text)
{
    char *out = malloc(text.len + 1);
    must(out != NULL);
    memcpy(out, text.at, text.len);
    out[text.len] = '\0';
    return out;
}

struct file *file_new(const struct upload *from)
{
    struct file *file = calloc(1, sizeof *file);
    must(file != NULL);
    memcpy(file->id, from->id, sizeof file->id);
    memcpy(file->digest, from->digest, sizeof file->digest);
    file->size = from->size;
    file->key = from->key;
    file->flags = from->flags;
    file->created_us = from->created_us;
    file->expires_us = from->expires_us;
    file->jid = copy(str_of(from->jid));
    file->name = copy(str_of(from->name));
    file->type = copy(str_of(from->type));
    file->finding = copy(str_of(from->finding));
    return file;
}

void file_free(struct file **at)
{
    struct file *file = TAKE(*at);
    if (file == NULL)
        return;
    free(file->jid);
    free(file->name);
    free(file->type);
    free(file->finding);
    free(file);
}

static struct holder *holder_get(struct uploads *uploads, const char *jid)
{
    struct holder *holder = table_get(&uploads->holders, str_of(jid));
    if (holder != NULL)
        return holder;
    size_t size = strlen(jid) + 1;
    holder = calloc(1, sizeof *holder + size);
    must(holder != NULL);
    list_init(&holder->files);
    memcpy(holder->jid, jid, size);
    must(table_put(&uploads->holders, str_of(holder->jid), holder) == OK);
    return holder;
}

static struct str content_key(const struct lure_key *key)
{
    return str_make((const char *)key->bytes, sizeof key->bytes);
}

static struct content *content_get(struct uploads *uploads, const struct lure_key *key)
{
    struct content *content = table_get(&uploads->contents, content_key(key));
    if (content != NULL)
        return content;
    content = calloc(1, sizeof *content);
    must(content != NULL);
    list_init(&content->files);
    content->key = *key;
    must(table_put(&uploads->contents, content_key(&content->key), content) == OK);
    return content;
}

void file_add(struct uploads *uploads, struct file *file)
{
    must(file->owner != NULL);
    file->content = content_get(uploads, &file->key);
    list_add_last(&file->content->files, &file->alike);
    file->holder = holder_get(uploads, file->jid);
    list_add_last(&file->holder->files, &file->held);
    must(table_put(&uploads->by_id, str_of(file->id), file) == OK);
    list_add_last(&uploads->files, &file->link);
    if ((file->flags & UPLOAD_UNSCANNED) != 0) {
        list_add_last(&uploads->unscanned, &file->unscanned);
        uploads->n_unscanned++;
    }
    uploads->bytes += file->size;
    file->owner->bytes += file->size;
    file->owner->files++;
}

void file_take(struct uploads *uploads, struct file *file)
{
    table_remove(&uploads->by_id, str_of(file->id));
    list_leave(&file->link);
    list_leave(&file->held);
    if (list_empty(&file->holder->files)) {
        table_remove(&uploads->holders, str_of(file->holder->jid));
        free(file->holder);
    }
    file->holder = NULL;
    list_leave(&file->alike);
    if (list_empty(&file->content->files)) {
        table_remove(&uploads->contents, content_key(&file->content->key));
        free(file->content);
    }
    file->content = NULL;
    if (list_is_member(&file->unscanned)) {
        list_leave(&file->unscanned);
        uploads->n_unscanned--;
    }
    uploads->bytes -= file->size;
    file->owner->bytes -= file->size;
    file->owner->files--;
    uploads->stats.n_removed++;
    owner_release(uploads, file->owner);
    file->owner = NULL;
}

static void put_text(char *out, size_t size, const char *text)
{
    if (str_to_z(str_of(text), out, size) != OK)
        out[0] = '\0';
}

void file_show(const struct file *file, struct upload *out)
{
    out->owner = file->owner->number;
    out->size = file->size;
    out->flags = file->flags;
    out->created_us = file->created_us;
    out->expires_us = file->expires_us;
    out->key = file->key;
    memcpy(out->id, file->id, sizeof out->id);
    memcpy(out->digest, file->digest, sizeof out->digest);
    put_text(out->jid, sizeof out->jid, file->jid);
    put_text(out->name, sizeof out->name, file->name);
    put_text(out->type, sizeof out->type, file->type);
    put_text(out->finding, sizeof out->finding, file->finding);
}

struct lure_key upload_key(const struct uploads *uploads, const uint8_t digest[STORE_DIGEST_SIZE])
{
    struct arena arena;
    struct lure_list list;
    arena_init(&arena, 1 << 16);
    lure_list_init(&list, uploads->rules, &arena);
    struct lure_file file = {
        .name = STR_EMPTY,
        .media_type = STR_EMPTY,
        .digest_name = STR("sha-256"),
        .digest = base64_encode(&arena, str_make((const char *)digest, STORE_DIGEST_SIZE)),
    };
    lure_add_file(&list, &file);
    lure_list_keys(&list, NULL);
    must(list.n == 1);
    struct lure_key key = list.lures[0].keys[LURE_EXACT];
    arena_done(&arena);
    return key;
}

bool uploads_find(struct uploads *uploads, struct str id, struct upload *out)
{
    pthread_mutex_lock(&uploads->lock);
    const struct file *file = table_get(&uploads->by_id, id);
    // who is late need not wait for the housekeeping
    bool found = file != NULL && file->expires_us > clock_wall_us();
    if (found && out != NULL)
        file_show(file, out);
    pthread_mutex_unlock(&uploads->lock);
    if (found && out != NULL)
        out->convicted = uploads->options.is_convicted != NULL &&
                         uploads->options.is_convicted(uploads->options.context, &out->key);
    return found;
}

static bool is_of_domain(const struct file *file, struct str domain)
{
    struct str jid = str_of(file->jid);
    size_t at = str_find_char(jid, '@'); // the one that a bare JID has
    return domain.len == 0 || (at < jid.len && str_eq(str_skip(jid, at + 1), domain));
}

size_t uploads_find_alike(struct uploads *uploads, const struct lure_key *keys, size_t n_keys,
                          struct str domain, struct upload *out, size_t room)
{
    size_t n = 0;
    pthread_mutex_lock(&uploads->lock);
    for (size_t i = 0; i < n_keys; i++) {
        struct content *content = table_get(&uploads->contents, content_key(&keys[i]));
        if (content == NULL)
            continue;
        LIST_EACH(&content->files, struct file, alike, file)
        if (n < room && is_of_domain(file, domain))
            file_show(file, &out[n++]);
    }
    pthread_mutex_unlock(&uploads->lock);
    return n;
}

static bool is_of_id(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool uploads_find_in_path(struct uploads *uploads, struct str path, struct upload *out)
{
    size_t from = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && is_of_id(path.at[i]))
            continue;
        if (i - from == RANDOM_ID_SIZE &&
            uploads_find(uploads, str_make(path.at + from, i - from), out))
            return true;
        from = i + 1;
    }
    return false;
}

int uploads_open_file(struct uploads *uploads, const char *id)
{
    return openat(uploads->directory, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* ---- Slots ---- */

void slot_free(struct uploads *uploads, struct slot **at)
{
    struct slot *slot = TAKE(*at);
    if (slot == NULL)
        return;
    uploads->reserved -= slot->size;
    slot->owner->reserved -= slot->size;
    slot->owner->slots--;
    owner_release(uploads, slot->owner);
    free(slot->jid);
    free(slot->name);
    free(slot);
}

static void drop_slot(struct uploads *uploads, struct slot *slot)
{
    table_remove(&uploads->by_slot, str_of(slot->put));
    list_leave(&slot->link);
    uploads->n_slots--;
    slot_free(uploads, &slot);
}

static void expire_slots(struct uploads *uploads)
{
    int64_t now_us = clock_now_us();
    LIST_EACH(&uploads->slots, struct slot, link, slot)
    {
        if (slot->until_us > now_us)
            break;
        drop_slot(uploads, slot);
    }
}

static bool is_name(struct str name)
{
    if (name.len == 0 || name.len > UPLOAD_NAME_MOST || !str_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < ' ' || name.at[i] == 0x7F || name.at[i] == '/' ||
            name.at[i] == '\\')
            return false;
    return !str_eq(name, STR(".")) && !str_eq(name, STR(".."));
}

static bool exceeds(uint64_t used, uint64_t more, uint64_t most)
{
    return used > most || more > most - used;
}

static enum upload_grant may_put(const struct uploads *uploads, const struct owner *owner,
                                 uint64_t size, int64_t *retry_us)
{
    const struct upload_settings *settings = &uploads->settings;
    int64_t now_us = clock_wall_us();
    *retry_us = 0;
    if (exceeds(owner->bytes + owner->reserved, size, settings->quota_bytes))
        return GRANT_QUOTA;
    if (exceeds(owner->daily_bytes, size, settings->daily_bytes) ||
        owner->daily_files >= settings->daily_files) {
        *retry_us = (now_us / day_us + 1) * day_us;
        return GRANT_DAILY;
    }
    if (owner->slots >= settings->slots) {
        *retry_us = now_us + slots_retry_us;
        return GRANT_SLOTS;
    }
    if (exceeds(uploads->bytes + uploads->reserved, size, settings->storage_bytes) ||
        uploads->by_id.n + uploads->n_slots >= settings->files)
        return GRANT_STORAGE;
    return GRANT_OK;
}

static void open_slot(struct uploads *uploads, struct owner *owner, struct str jid, struct str name,
                      uint64_t size, struct upload_slot *out)
{
    struct slot *slot = calloc(1, sizeof *slot);
    must(slot != NULL);
    random_id_z(slot->put);
    random_id_z(slot->get);
    slot->owner = owner;
    slot->jid = copy(jid);
    slot->name = copy(name);
    slot->size = size;
    slot->until_us = clock_now_us() + uploads->settings.slot_us;
    owner->slots++;
    owner->reserved += size;
    // counted when promised: what is refused or given up costs the scanner too
    owner->daily_files++;
    owner->daily_bytes += size;
    uploads->reserved += size;
    uploads->n_slots++;
    must(table_put(&uploads->by_slot, str_of(slot->put), slot) == OK);
    list_add_last(&uploads->slots, &slot->link);
    memcpy(out->put, slot->put, sizeof out->put);
    memcpy(out->get, slot->get, sizeof out->get);
}

enum upload_grant uploads_grant(struct uploads *uploads, int64_t owner, struct str jid,
                                struct str name, uint64_t size, struct upload_slot *out)
{
    *out = (struct upload_slot){.retry_us = 0};
    pthread_mutex_lock(&uploads->lock);
    enum upload_grant grant = is_name(name) ? GRANT_LARGE : GRANT_NAME;
    if (grant != GRANT_NAME && size > 0 && size <= uploads->settings.file_bytes) {
        expire_slots(uploads);
        struct owner *of = owner_get(uploads, owner);
        grant = may_put(uploads, of, size, &out->retry_us);
        if (grant == GRANT_OK)
            open_slot(uploads, of, jid, name, size, out);
        else
            owner_release(uploads, of);
    }
    uploads->stats.n_granted += grant == GRANT_OK;
    uploads->stats.n_refused += grant != GRANT_OK;
    pthread_mutex_unlock(&uploads->lock);
    return grant;
}

void uploads_quota(struct uploads *uploads, int64_t number, struct upload_quota *out)
{
    pthread_mutex_lock(&uploads->lock);
    expire_slots(uploads);
    struct owner *owner = owner_get(uploads, number);
    *out = (struct upload_quota){owner->bytes, owner->files, owner->reserved, owner->daily_bytes,
                                 owner->daily_files};
    owner_release(uploads, owner);
    pthread_mutex_unlock(&uploads->lock);
}

/* ---- Figures and settings ---- */

void uploads_served(struct uploads *uploads, uint64_t bytes)
{
    pthread_mutex_lock(&uploads->lock);
    uploads->stats.n_served++;
    uploads->stats.bytes_served += bytes;
    pthread_mutex_unlock(&uploads->lock);
}

void uploads_withheld(struct uploads *uploads)
{
    pthread_mutex_lock(&uploads->lock);
    uploads->stats.n_withheld++;
    pthread_mutex_unlock(&uploads->lock);
}

static size_t n_waiting(struct kitchen *kitchen)
{
    struct kitchen_stats stats = {0};
    if (kitchen != NULL)
        kitchen_stats(kitchen, &stats);
    return stats.n_waiting;
}

void uploads_stats(struct uploads *uploads, struct upload_stats *out)
{
    pthread_mutex_lock(&uploads->lock);
    *out = uploads->stats;
    out->n_files = uploads->by_id.n;
    out->bytes = uploads->bytes;
    out->reserved = uploads->reserved;
    out->n_slots = uploads->n_slots;
    out->n_unscanned = uploads->n_unscanned;
    pthread_mutex_unlock(&uploads->lock);
    out->n_waiting = n_waiting(uploads->disk) + n_waiting(uploads->slow);
}

void upload_settings_now(struct uploads *uploads, struct upload_settings *out)
{
    pthread_mutex_lock(&uploads->lock);
    *out = uploads->settings;
    pthread_mutex_unlock(&uploads->lock);
}

void uploads_set_settings(struct uploads *uploads, const struct upload_settings *settings)
{
    pthread_mutex_lock(&uploads->lock);
    uploads->settings = *settings;
    pthread_mutex_unlock(&uploads->lock);
}

// After the stop, on the thread that stopped it, nobody works any more.
enum err uploads_order(struct uploads *uploads, struct job *job, struct loop *loop)
{
    return uploads->disk != NULL ? kitchen_order(uploads->disk, job, loop) : ERR_BUSY;
}

enum err uploads_order_slow(struct uploads *uploads, struct job *job, struct loop *loop)
{
    return uploads->slow != NULL ? kitchen_order(uploads->slow, job, loop) : ERR_BUSY;
}

void uploads_on_found(struct uploads *uploads,
                      void (*found)(void *context, const struct upload *upload), void *context)
{
    uploads->found = found;
    uploads->found_context = context;
}

enum scan upload_scan(struct uploads *uploads, const struct upload_settings *settings, int fd,
                      struct upload *about)
{
    char finding[SCAN_FINDING_MOST];
    struct why why;
    int64_t began_us = clock_now_us();
    // a stop does not wait for a scanner that takes its time
    enum scan word =
        clamd_scan(settings->scanner, fd, settings->scanner_us, &uploads->stopping, finding, &why);
    if (word == SCAN_FOUND)
        put_text(about->finding, sizeof about->finding, finding);
    int64_t now_us = clock_now_us();
    bool silent = word == SCAN_AWAY || word == SCAN_TOO_LARGE;
    pthread_mutex_lock(&uploads->lock);
    uploads->stats.n_scans += !silent;
    uploads->stats.n_away += silent;
    if (now_us - began_us > uploads->stats.longest_scan_us)
        uploads->stats.longest_scan_us = now_us - began_us;
    bool says = silent && (uploads->away_us == 0 || now_us - uploads->away_us > 10 * SECOND_US);
    if (says)
        uploads->away_us = now_us;
    pthread_mutex_unlock(&uploads->lock);
    if (says) {
        struct arena arena;
        arena_init(&arena, 8192);
        struct str text = log_quote(&arena, str_of(why.text));
        log_event(LOG_ERROR, word == SCAN_AWAY ? "scanner-away" : "scanner-takes-less",
                  "why=%.*s passes=%s", STR_ARGS(text), settings->unscanned_passes ? "yes" : "no");
        arena_done(&arena);
    }
    return word;
}

/* ---- Start and stop ---- */

static int by_expiry(const void *a, const void *b)
{
    const struct file *const *x = a, *const *y = b;
    return ((*x)->expires_us > (*y)->expires_us) - ((*x)->expires_us < (*y)->expires_us);
}

struct loading {
    struct file **files;
    int64_t *owners;
    size_t n, room;
};

static void load_one(struct uploads *uploads, struct loading *loading,
                     const struct store_upload *row)
{
    struct upload about = {.size = row->size,
                           .flags = row->flags,
                           .created_us = row->created_us,
                           .expires_us = row->expires_us};
    struct stat stat_of;
    if (row->digest.len != sizeof about.digest ||
        str_to_z(row->id, about.id, sizeof about.id) != OK ||
        str_to_z(row->jid, about.jid, sizeof about.jid) != OK ||
        str_to_z(row->name, about.name, sizeof about.name) != OK ||
        str_to_z(row->type, about.type, sizeof about.type) != OK ||
        str_to_z(row->finding, about.finding, sizeof about.finding) != OK ||
        fstatat(uploads->directory, about.id, &stat_of, AT_SYMLINK_NOFOLLOW) != 0 ||
        (uint64_t)stat_of.st_size != row->size) {
        log_event(LOG_ERROR, "upload-lost", "number=%lld size=%llu", (long long)row->owner,
                  (unsigned long long)row->size);
        return;
    }
    memcpy(about.digest, row->digest.at, sizeof about.digest);
    about.key = upload_key(uploads, about.digest);
    if (loading->n == loading->room) {
        loading->room = loading->room == 0 ? PAGE : 2 * loading->room;
        loading->files = reallocarray(loading->files, loading->room, sizeof(struct file *));
        must(loading->files != NULL);
    }
    struct file *file = file_new(&about);
    file->owner = owner_get(uploads, row->owner);
    if (file->created_us / day_us == file->owner->day) {
        file->owner->daily_files++;
        file->owner->daily_bytes += file->size;
    }
    file->owner->reserved++; // so that nobody forgets it before its files are in
    loading->files[loading->n++] = file;
}

static enum err load_rows(struct uploads *uploads, struct loading *loading, struct why *why)
{
    char after[RANDOM_ID_SIZE + 1] = "";
    bool more = true;
    while (more) {
        struct store_upload_list list = {.after_id = str_of(after), .most = PAGE};
        store_upload_list(uploads->options.store, &list);
        enum err e = store_wait(&list.request);
        for (uint32_t i = 0; e == OK && i < list.n; i++)
            load_one(uploads, loading, &list.uploads[i]);
        more = e == OK && list.more &&
               str_to_z(list.uploads[list.n - 1].id, after, sizeof after) == OK;
        store_release(&list.request);
        if (e != OK)
            return why_say(why, e, "uploads: what is known of them cannot be read: %s",
                           err_name(e));
    }
    return OK;
}

static enum err load(struct uploads *uploads, struct why *why)
{
    struct loading loading = {0};
    enum err e = load_rows(uploads, &loading, why);
    if (loading.n > 0)
        qsort(loading.files, loading.n, sizeof(struct file *), by_expiry);
    for (size_t i = 0; i < loading.n; i++) {
        loading.files[i]->owner->reserved--;
        file_add(uploads, loading.files[i]);
    }
    free(loading.files);
    return e;
}

void part_path(const char *id, char out[PATH_ROOM])
{
    memcpy(out, id, RANDOM_ID_SIZE);
    memcpy(out + RANDOM_ID_SIZE, ".part", sizeof ".part");
}

// One that we have made: whatever else lies in the directory is not ours to remove.
static bool is_ours(struct str name)
{
    if (name.len > RANDOM_ID_SIZE && str_eq(str_skip(name, RANDOM_ID_SIZE), STR(".part")))
        name.len = RANDOM_ID_SIZE;
    for (size_t i = 0; i < name.len; i++)
        if (!is_of_id(name.at[i]))
            return false;
    return name.len == RANDOM_ID_SIZE;
}

// What was put but never acknowledged, and what was on its way.
static void sweep(struct uploads *uploads)
{
    int fd = openat(uploads->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = 0;
    if (directory == NULL && fd >= 0)
        close(fd);
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads this one
    for (struct dirent *e; directory != NULL && (e = readdir(directory)) != NULL;) {
        struct str name = str_of(e->d_name);
        if (!is_ours(name) || table_get(&uploads->by_id, name) != NULL)
            continue;
        n += unlinkat(uploads->directory, e->d_name, 0) == 0;
    }
    if (directory != NULL)
        closedir(directory);
    if (n > 0)
        log_event(LOG_NOTICE, "uploads-swept", "files=%zu", n);
}

enum err uploads_open(const struct uploads_options *options, const struct upload_settings *settings,
                      struct uploads **out, struct why *why)
{
    struct uploads *uploads = calloc(1, sizeof *uploads);
    must(uploads != NULL);
    uploads->options = *options;
    uploads->settings = *settings;
    uploads->rules = lure_rules_new();
    pthread_mutex_init(&uploads->lock, NULL);
    table_init(&uploads->by_id, FILES_CEILING);
    table_init(&uploads->by_slot, FILES_CEILING);
    table_init(&uploads->owners, FILES_CEILING);
    table_init(&uploads->holders, FILES_CEILING);
    table_init(&uploads->contents, FILES_CEILING);
    list_init(&uploads->files);
    list_init(&uploads->unscanned);
    list_init(&uploads->slots);
    uploads->directory = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    enum err e = OK;
    if (uploads->directory < 0)
        e = why_say(why, ERR_IO, "uploads: %s: %s", options->directory, strerrordesc_np(errno));
    if (e == OK)
        e = load(uploads, why);
    if (e == OK) {
        sweep(uploads);
        e = kitchen_new(options->disk_threads, QUEUE_MOST, &uploads->disk, why);
        if (e == OK)
            e = kitchen_new(options->threads, QUEUE_MOST, &uploads->slow, why);
    }
    if (e != OK) {
        uploads_free(&uploads);
        return e;
    }
    if (options->loop != NULL)
        tend_start(uploads);
    *out = uploads;
    return OK;
}

void uploads_stop(struct uploads *uploads)
{
    atomic_store(&uploads->stopping, true);
    tend_stop(uploads);
    kitchen_free(&uploads->slow);
    kitchen_free(&uploads->disk);
}

void uploads_free(struct uploads **at)
{
    struct uploads *uploads = TAKE(*at);
    if (uploads == NULL)
        return;
    if (uploads->disk != NULL)
        uploads_stop(uploads);
    LIST_EACH(&uploads->slots, struct slot, link, slot)
    drop_slot(uploads, slot);
    LIST_EACH(&uploads->files, struct file, link, file)
    {
        file_take(uploads, file);
        file_free(&file);
    }
    size_t at_owner = 0;
    for (struct owner *owner; (owner = table_next(&uploads->owners, &at_owner)) != NULL;)
        free(owner);
    table_done(&uploads->by_id);
    table_done(&uploads->by_slot);
    table_done(&uploads->owners);
    table_done(&uploads->holders);
    table_done(&uploads->contents);
    if (uploads->directory >= 0)
        close(uploads->directory);
    lure_rules_free(&uploads->rules);
    pthread_mutex_destroy(&uploads->lock);
    free(uploads);
}
