/*
 * Uploads: files that people put here so that others can fetch them.
 *
 *     uploads_grant      a slot: what may be put, by whom, for how long         (im)
 *     uploads_begin … uploads_write … uploads_end: the bytes, as they come      (http)
 *     uploads_find, uploads_open_file: what is fetched                          (http)
 *     uploads_find: what a link leads to, for the guard                         (im)
 *
 * The bytes are a file of the uploads' directory, named by the upload's id; what
 * is known of it is a row of the store, and a copy here, so that whoever asks
 * never waits.  Order, so that nothing acknowledged is lost and nothing unknown
 * is served: bytes to `id.part`, fsync; scan; rename; fsync of the directory;
 * commit of the row; then it is known here, and the one who put it hears so.
 * Files without a row are removed at the next start.
 *
 * Before anybody can fetch a file its content was looked at (inspector.h), a
 * virus scanner has spoken (clamd.h) or is known to be away, and its digest was
 * not convicted.  Conviction is asked again at each fetch.
 *
 * Functions that wait for the disk, the scanner or the store say so; they are for
 * the threads of uploads_order.  All are safe on any thread.
 */
#ifndef FILES_UPLOADS_H
#define FILES_UPLOADS_H

#include "base/random.h"
#include "guard/lure.h"
#include "net/kitchen.h"
#include "store/store.h"

struct inspector;
struct uploads;

enum { UPLOAD_NAME_MOST = 255, UPLOAD_FINDING_MOST = 192, UPLOAD_TYPE_MOST = 95 }; // bytes

/* On the disk: never change one. */
enum upload_flags {
    UPLOAD_UNSCANNED = 1 << 0,  // the scanner was away, and that may pass
    UPLOAD_PROGRAM = 1 << 1,    // a program, or one in the archive
    UPLOAD_DISGUISED = 1 << 2,  // … behind an innocent name
    UPLOAD_SUSPECT = 1 << 3,    // an operator's rule says so
    UPLOAD_SEALED = 1 << 4,     // an archive that nobody can look into without a password
    UPLOAD_UNFINISHED = 1 << 5, // not all of the archive was listed
    UPLOAD_FOUND = 1 << 6,      // the scanner found something, afterwards
    UPLOAD_NESTED = 1 << 7,     // an archive inside was not looked into
};

enum { UPLOAD_MARKS_ROOM = 128 };
/* "program,nested": for people who can look up what that means. */
void upload_marks(uint32_t flags, char out[static UPLOAD_MARKS_ROOM]);

/* What happens with what was found in a file; in the order of the configuration's choices. */
enum upload_policy { UPLOAD_PASS, UPLOAD_MARK, UPLOAD_REFUSE };

struct upload_settings {
    uint64_t file_bytes;               // of one file
    uint64_t quota_bytes, daily_bytes; // of one account
    uint32_t daily_files, slots;       // of one account: a day, and open at once
    uint64_t storage_bytes;            // in all
    uint64_t files;                    // in all
    int64_t keep_us, slot_us;
    char scanner[128]; // clamd.h; empty: none
    int64_t scanner_us;
    bool unscanned_passes;
    enum upload_policy programs, disguised, uninspected, nested;
};

struct uploads_options {
    const char *directory; // exists
    struct store *store;
    struct inspector *inspector; // NULL: contents are not looked at
    struct loop *loop;           // whose timer tends: expiry, and what waits for the scanner
    unsigned threads, disk_threads;
    /* Whether the guard (or an operator) convicted it; any thread. */
    bool (*is_convicted)(void *context, const struct lure_key *key);
    void *context;
};

/* Reads what there is; waits for the store, so only at start. */
enum err uploads_open(const struct uploads_options *options, const struct upload_settings *settings,
                      struct uploads **out, struct why *why) MUST_CHECK;
/* The loop's thread; nobody asks for anything any more.  Ends the threads (what a scanner is still
 * asked for ends soon). */
void uploads_stop(struct uploads *uploads);
void uploads_free(struct uploads **uploads);
void uploads_set_settings(struct uploads *uploads, const struct upload_settings *settings);
/* Work that waits, for the uploads' own threads (net/kitchen.h).  ERR_BUSY: too much of it, or the
 * end of the service; the job is then untouched.  What may wait for the scanner, or takes long, is
 * ordered as slow and has threads of its own: who fetches a file waits for the disk only. */
enum err uploads_order(struct uploads *uploads, struct job *job, struct loop *loop) MUST_CHECK;
enum err uploads_order_slow(struct uploads *uploads, struct job *job, struct loop *loop) MUST_CHECK;

/* A copy; texts are NUL-terminated. */
struct upload {
    char id[RANDOM_ID_SIZE + 1];
    char jid[1024 * 2 + 2]; // the owner's
    char name[UPLOAD_NAME_MOST + 1];
    char type[UPLOAD_TYPE_MOST + 1];
    char finding[UPLOAD_FINDING_MOST];
    int64_t owner;
    uint64_t size;
    uint8_t digest[STORE_DIGEST_SIZE];
    uint32_t flags;
    int64_t created_us, expires_us;
    struct lure_key key; // of its digest
    bool convicted;
};

/* ---- A slot ---------------------------------------------------------------------------------- */

enum upload_grant {
    GRANT_OK,
    GRANT_NAME,    // empty, too long or not to be written down
    GRANT_LARGE,   // beyond file_bytes, or nothing
    GRANT_QUOTA,   // the account's own, until something expires or is deleted
    GRANT_DAILY,   // until retry_us
    GRANT_SLOTS,   // too many are open: retry_us
    GRANT_STORAGE, // the service's own ceilings
};

struct upload_slot {
    char put[RANDOM_ID_SIZE + 1], get[RANDOM_ID_SIZE + 1];
    int64_t retry_us; // wall
};

enum upload_grant uploads_grant(struct uploads *uploads, int64_t owner, struct str jid,
                                struct str name, uint64_t size, struct upload_slot *out);

/* ---- Putting --------------------------------------------------------------------------------- */

struct upload_put;

/* Takes the slot.  ERR_MISSING: there is no such slot (any more).  ERR_MALFORMED: not the size that
 * was granted; the slot stays.  The rest waits for the disk: ERR_FULL, ERR_IO. */
enum err uploads_begin(struct uploads *uploads, struct str slot, uint64_t size,
                       struct upload_put **out) MUST_CHECK;
/* Waits for the disk.  ERR_LIMIT: more than was granted. */
enum err uploads_write(struct upload_put *put, struct str bytes) MUST_CHECK;

enum upload_end {
    END_STORED,
    END_SHORT,     // fewer bytes than were granted
    END_CONVICTED, // the same file was convicted
    END_FOUND,     // the scanner, or a rule, found something: `finding`
    END_PROGRAM,   // a program, or a disguised one, where that is refused
    END_UNREAD,    // it, or an archive in it, could not be inspected, where that is refused
    END_AWAY,      // the scanner is away, where that is refused
    END_LARGE,     // larger than the scanner takes, where that is refused
    END_FULL,      // no room on the disk
    END_FAILED,
};
/* Waits for the disk, the scanner, the store.  about (may be NULL) tells of the file, stored or
 * not. */
enum upload_end uploads_end(struct upload_put *put, struct upload *about);
/* Whatever came of it; removes what was not stored.  Waits for the disk. */
void upload_put_free(struct upload_put **put);
const char *upload_end_name(enum upload_end end);

/* ---- What is there --------------------------------------------------------------------------- */

/* By its id; NULL out: only whether.  Convicted or not. */
bool uploads_find(struct uploads *uploads, struct str id, struct upload *out);
/* What a link leads to, without its texts: key, flags, size.  False: to none of ours. */
bool uploads_find_in_path(struct uploads *uploads, struct str path, struct upload *out);
/* Files with the content of one of these keys, of accounts of that domain (empty: of all), at most
 * room of them; how many. */
size_t uploads_find_alike(struct uploads *uploads, const struct lure_key *keys, size_t n_keys,
                          struct str domain, struct upload *out, size_t room);
/* Opens its bytes; -1: errno says why.  Waits for the disk. */
int uploads_open_file(struct uploads *uploads, const char *id);

/* Forgets them for good.  Waits for the store and the disk. */
enum err uploads_remove(struct uploads *uploads, const struct str *ids, uint32_t n,
                        uint32_t *n_removed) MUST_CHECK;
/* All of an account that is gone, by its bare JID; later, by itself.  On the loop's thread. */
void uploads_remove_owner(struct uploads *uploads, struct str jid);

struct upload_quota {
    uint64_t bytes, files, reserved; // stored; promised by slots
    uint64_t daily_bytes, daily_files;
};
void uploads_quota(struct uploads *uploads, int64_t owner, struct upload_quota *out);

/* A file that was let pass unscanned, and of which the scanner now says something: on one of the
 * kitchen's threads.  Also one that was refused at once.  May be NULL; set before anything is
 * put. */
void uploads_on_found(struct uploads *uploads,
                      void (*found)(void *context, const struct upload *upload), void *context);

/* A fetch was answered, for the figures. */
void uploads_served(struct uploads *uploads, uint64_t bytes);
void uploads_withheld(struct uploads *uploads);

struct upload_stats {
    uint64_t n_files, bytes, reserved, n_slots, n_unscanned; // now
    uint64_t n_granted, n_refused;                           // slots
    uint64_t n_ends[END_FAILED + 1];
    uint64_t n_served, bytes_served, n_withheld, n_removed;
    uint64_t n_scans, n_away; // words of the scanner; how often it gave none
    int64_t longest_scan_us;
    uint64_t n_waiting; // work for either kind of threads
};
void uploads_stats(struct uploads *uploads, struct upload_stats *out);

#endif
