/*
 * Between the store's threads and its backends.
 *
 * store.c owns queues, threads, order and group commits; a backend is a table
 * of functions on one connection.  A connection is used by one thread.
 */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/store.h"

enum store_op {
    OP_ACCOUNT_CREATE,
    OP_ACCOUNT_FIND,
    OP_ACCOUNT_SET_KEYS,
    OP_ACCOUNT_DISABLE,
    OP_ACCOUNT_DELETE,
    OP_ACCOUNT_LIST,
    OP_ACCOUNT_COUNT,
    OP_ACCOUNT_SEEN,
    OP_ACCOUNT_IMPORT,
    OP_ACCOUNT_LOAD,
    OP_ROSTER_SET,
    OP_PENDING_SET,
    OP_BLOCK,
    OP_ARCHIVE_PREFS_SET,
    OP_DOCUMENT_GET,
    OP_DOCUMENT_LIST,
    OP_DOCUMENT_PUT,
    OP_APPEND,
    OP_SPOOL_LIST,
    OP_SPOOL_CLEAR,
    OP_SPOOL_COUNT,
    OP_SPOOL_EXPIRE,
    OP_ARCHIVE_QUERY,
    OP_ARCHIVE_SPAN,
    OP_ARCHIVE_WITHDRAW,
    OP_ARCHIVE_TOLD,
    OP_ARCHIVE_PURGE,
    OP_DELIVERIES,
    OP_DELIVERIES_EXPIRE,
    OP_RECORD_PUT,
    OP_RECORD_GET,
    OP_RECORD_TAKE,
    OP_RECORD_REMOVE,
    OP_RECORD_LIST,
    OP_RECORD_EXPIRE,
    OP_EVENT_APPEND,
    OP_EVENT_READ,
    OP_EVENT_TRIM,
    OP_UPLOAD_PUT,
    OP_UPLOAD_MARK,
    OP_UPLOAD_REMOVE,
    OP_UPLOAD_LIST,
    OP_AUDIT_APPEND,
    OP_AUDIT_LIST,
    N_OPS,
};

struct store_call {
    enum store_op op;
    bool changes; // goes into a commit; else it is a read
};

struct connection; // the backend's own

/* What the backend must know of the other threads' work. */
struct backend_shared {
    int64_t newest_id; // out of open, for the writer: the greatest id ever given
};

struct backend {
    /* The writer's connection is opened first and creates, checks and migrates. */
    enum err (*open)(const struct store_options *options, bool writer,
                     struct backend_shared *shared, struct connection **out,
                     struct why *why) MUST_CHECK;
    void (*close)(struct connection **connection);
    /* A change runs between begin and commit.  An err for which spoils() is true has spoiled the
     * whole transaction: the store rolls back.  A read runs alone. */
    enum err (*begin)(struct connection *connection, struct why *why) MUST_CHECK;
    enum err (*commit)(struct connection *connection, struct why *why) MUST_CHECK;
    void (*rollback)(struct connection *connection);
    enum err (*change)(struct connection *connection, enum store_op op,
                       struct store_request *request, struct why *why) MUST_CHECK;
    enum err (*read)(struct connection *connection, enum store_op op, struct store_request *request,
                     struct why *why) MUST_CHECK;
    bool (*spoils)(const struct connection *connection);
    /* Housekeeping between commits; idle: nothing waits.  True: there is more to do. */
    bool (*tend)(struct connection *connection, bool idle);
    /* Whether a commit would succeed now: asked from time to time after one has failed. */
    enum err (*probe)(struct connection *connection, struct why *why) MUST_CHECK;
    uint64_t (*log_bytes)(const struct connection *connection);
};

extern const struct backend backend_sqlite;

/* Operations on a row that the writer finds in the very batch that takes it out of the spool again
 * are folded: see store.c. */
static inline bool append_is_spooled(const struct store_append *op)
{
    return (op->flags & STORE_SPOOLED) != 0 && !op->folded;
}

#endif
