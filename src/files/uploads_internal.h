/*
 * Between the files of the uploads: uploads.c (what there is), put.c (what comes), tend.c (what
 * goes, and what waits for the scanner).
 */
#ifndef FILES_UPLOADS_INTERNAL_H
#define FILES_UPLOADS_INTERNAL_H

#include "files/uploads.h"

#include "base/list.h"
#include "base/table.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PATH_ROOM = RANDOM_ID_SIZE + 8 };

/* An account with files or slots, or with some put today. */
struct owner {
    int64_t number; // the key of the table, as bytes
    uint64_t bytes, files, reserved;
    uint32_t slots;
    int64_t day; // of the daily figures
    uint64_t daily_bytes, daily_files;
};

/* The files of an address: an account that is deleted is known by nothing else any more. */
struct holder {
    struct list files; // oldest first
    char jid[];
};

/* Files with the same bytes. */
struct content {
    struct list files; // oldest first
    struct lure_key key;
};

struct file {
    struct link link;      // in uploads.files, oldest first
    struct link unscanned; // in uploads.unscanned
    struct link held;      // in holder.files
    struct link alike;     // in content.files
    struct holder *holder;
    struct content *content;
    struct owner *owner;
    char id[RANDOM_ID_SIZE + 1];
    uint64_t size;
    uint8_t digest[STORE_DIGEST_SIZE];
    struct lure_key key;
    uint32_t flags;
    int64_t created_us, expires_us;
    char *jid, *name, *type, *finding; // owned
};

struct slot {
    struct link link; // in uploads.slots, oldest first
    struct owner *owner;
    char put[RANDOM_ID_SIZE + 1], get[RANDOM_ID_SIZE + 1];
    char *jid, *name; // owned
    uint64_t size;
    int64_t until_us; // monotonic
};

struct uploads {
    struct uploads_options options;
    int directory;
    struct kitchen *disk, *slow;
    struct lure_rules *rules; // only for keys of digests
    struct timer timer;       // the loop's
    struct job tending;       // one at a time
    bool tends;               // the loop's, as the next
    size_t n_going;           // accounts whose files are being removed
    atomic_bool stopping;
    void (*found)(void *context, const struct upload *upload);
    void *found_context;

    pthread_mutex_t lock; // "uploads": guards all below; never held while waiting
    struct upload_settings settings;
    struct table by_id, by_slot, owners, holders, contents;
    struct list files, unscanned, slots;
    uint64_t bytes, reserved, n_slots, n_unscanned;
    int64_t away_us; // monotonic: the last line of the log about an absent scanner
    struct upload_stats stats;
};

/* With the lock held. */
struct owner *owner_get(struct uploads *uploads, int64_t number);
void owner_release(struct uploads *uploads, struct owner *owner); // forgets it when it has nothing
void slot_free(struct uploads *uploads, struct slot **slot);      // its reservation too
void file_add(struct uploads *uploads, struct file *file);
void file_take(struct uploads *uploads, struct file *file); // out of everything; not freed
void file_show(const struct file *file, struct upload *out);

void file_free(struct file **file);
struct file *file_new(const struct upload *from);
/* The guard's key of a file with this digest. */
struct lure_key upload_key(const struct uploads *uploads, const uint8_t digest[STORE_DIGEST_SIZE]);
void upload_settings_now(struct uploads *uploads, struct upload_settings *out);
void part_path(const char *id, char out[PATH_ROOM]);

/* The scanner's word, counted and, when it is away, logged now and then. */
enum scan upload_scan(struct uploads *uploads, const struct upload_settings *settings, int fd,
                      struct upload *about);

void tend_start(struct uploads *uploads);
void tend_stop(struct uploads *uploads);

#endif
