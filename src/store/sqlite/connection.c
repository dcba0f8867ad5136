/*
 * SQLite: connections, statements, transactions, migrations.
 *
 * WAL with synchronous=FULL: a commit is one fsync of the log.  Checkpoints are
 * ours, between commits, so that their cost can be seen and placed.  A lock
 * file keeps a second process out; SQLite's own locks then never wait.
 */
#include "store/sqlite/fault_vfs.h"
#include "store/sqlite/sqlite_internal.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x46444F52, // "FDOR": this file is ours
    PATH_MOST = 4096,
    CHECKPOINT_BYTES = 16 << 20, // of log since the last time: wake the keeper
    LOG_BYTES_MOST = 200 << 20,  // the writer itself moves them, and everybody waits
};

// Larger databases that were closed properly are not read through at every start.
static const int64_t CHECK_ALWAYS_BYTES = INT64_C(1) << 30;

/* ---- Errors -------------------------------------------------------------------------------- */

static bool no_room(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

static enum err err_of(sqlite3 *db, int rc)
{
    switch (rc) { // extended codes first
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return ERR_MISSING;
    default:
        break;
    }
    switch (rc & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_CONSTRAINT:
        return ERR_EXISTS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    default:
        return db != NULL && no_room(sqlite3_system_errno(db)) ? ERR_FULL : ERR_IO;
    }
}

static enum err db_error(sqlite3 *db, int rc, const char *doing, struct why *why)
{
    enum err e = err_of(db, rc);
    if (e == ERR_FULL)
        return why_say(why, e, "no room on the disk while %s", doing);
    return why_say(why, e, "%s: %s (SQLite %d)", doing,
                   db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc), rc);
}

void sql_fail(struct connection *c, int rc)
{
    if (c->failed == SQLITE_OK)
        c->failed = rc;
    switch (rc & 0xFF) {
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_INTERRUPT:
        break;
    default:
        c->spoilt = true;
    }
}

enum err sql_result(struct connection *c, enum err e, struct why *why)
{
    if (c->failed != SQLITE_OK)
        return db_error(c->db, c->failed, "storing", why);
    if (c->refused != OK)
        return why_say(why, c->refused, "the results are too large");
    return e;
}

/* ---- Statements ---------------------------------------------------------------------------- */

sqlite3_stmt *sql_prepare(struct connection *c, const char *sql)
{
    if (c->failed != SQLITE_OK)
        return NULL;
    uint64_t hash = (uint64_t)(uintptr_t)sql * 0x9E3779B97F4A7C15U;
    size_t i = hash >> 40 & (STATEMENTS_ROOM - 1);
    while (c->statements[i].sql != NULL && c->statements[i].sql != sql)
        i = (i + 1) & (STATEMENTS_ROOM - 1);
    if (c->statements[i].sql == sql)
        return c->statements[i].prepared;
    must(c->n_statements < STATEMENTS_ROOM / 2);
    sqlite3_stmt *prepared = NULL;
    int rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, NULL);
    if (rc != SQLITE_OK) {
        sql_fail(c, rc);
        return NULL;
    }
    c->statements[i] = (struct statement_slot){sql, prepared};
    c->n_statements++;
    return prepared;
}

static sqlite3_stmt *start(struct connection *c, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *s = sql_prepare(c, sql);
    if (s == NULL)
        return NULL;
    int rc = SQLITE_OK;
    for (int at = 1; types[at - 1] != '\0' && rc == SQLITE_OK; at++) {
        struct str text;
        switch (types[at - 1]) {
        case 'i':
            rc = sqlite3_bind_int64(s, at, va_arg(args, int64_t));
            break;
        case 't':
        case 'b':
            // borrowed: whoever runs the statement again binds again
            text = va_arg(args, struct str);
            if (text.at == NULL)
                text = STR_EMPTY;
            if (types[at - 1] == 't')
                rc = sqlite3_bind_text64(s, at, text.at, text.len, SQLITE_STATIC, SQLITE_UTF8);
            else
                rc = sqlite3_bind_blob64(s, at, text.at, text.len, SQLITE_STATIC);
            break;
        case 'n':
            rc = sqlite3_bind_null(s, at);
            break;
        default:
            must(false);
        }
    }
    if (rc != SQLITE_OK) {
        sql_fail(c, rc);
        return NULL;
    }
    return s;
}

sqlite3_stmt *sql_start(struct connection *c, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = start(c, sql, types, args);
    va_end(args);
    return s;
}

bool sql_next(struct connection *c, sqlite3_stmt *s)
{
    if (s == NULL)
        return false;
    if (c->failed == SQLITE_OK && c->refused == OK) {
        int rc = sqlite3_step(s);
        if (rc == SQLITE_ROW)
            return true;
        if (rc != SQLITE_DONE)
            sql_fail(c, rc);
    }
    sqlite3_reset(s);
    return false;
}

void sql_stop(struct connection *c, sqlite3_stmt *s)
{
    (void)c;
    if (s != NULL)
        sqlite3_reset(s);
}

int sql_run(struct connection *c, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = start(c, sql, types, args);
    va_end(args);
    if (s == NULL)
        return 0;
    while (sql_next(c, s))
        continue;
    return c->failed == SQLITE_OK ? sqlite3_changes(c->db) : 0;
}

int64_t sql_number(struct connection *c, int64_t otherwise, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = start(c, sql, types, args);
    va_end(args);
    int64_t n = otherwise;
    if (sql_next(c, s)) {
        if (sqlite3_column_type(s, 0) != SQLITE_NULL)
            n = sqlite3_column_int64(s, 0);
        sql_stop(c, s);
    }
    return n;
}

struct str sql_text(struct connection *c, sqlite3_stmt *s, int column)
{
    const char *at = sqlite3_column_blob(s, column);
    size_t len = (size_t)sqlite3_column_bytes(s, column);
    if (at == NULL || len == 0)
        return STR_EMPTY;
    if (!arena_fits(c->arena, len + 1)) {
        c->refused = ERR_LIMIT;
        return STR_EMPTY;
    }
    return arena_str(c->arena, str_make(at, len));
}

void *sql_room(struct connection *c, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || !arena_fits(c->arena, bytes + 1)) {
        c->refused = ERR_LIMIT;
        return NULL;
    }
    return arena_zalloc(c->arena, bytes > 0 ? bytes : 1);
}

int sql_table_connect(sqlite3 *db, void *connection, const char *declaration, sqlite3_vtab **out)
{
    int rc = sqlite3_declare_vtab(db, declaration);
    if (rc != SQLITE_OK)
        return rc;
    struct sql_table *table = calloc(1, sizeof *table);
    must(table != NULL);
    table->connection = connection;
    *out = &table->base;
    return SQLITE_OK;
}

int sql_table_disconnect(sqlite3_vtab *base)
{
    free(CONTAINER_OF(base, struct sql_table, base));
    return SQLITE_OK;
}

/* ---- Lists: 4 bytes of length (little end first), then the text, for each ------------------- */

struct str list_pack(struct connection *c, const struct str *items, uint32_t n)
{
    size_t size = 0;
    for (uint32_t i = 0; i < n; i++)
        size += 4 + items[i].len;
    char *out = sql_room(c, size, 1);
    if (out == NULL)
        return STR_EMPTY;
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (unsigned b = 0; b < 4; b++)
            out[at++] = (char)(items[i].len >> (8 * b) & 0xFF);
        if (items[i].len > 0)
            memcpy(out + at, items[i].at, items[i].len);
        at += items[i].len;
    }
    return str_make(out, size);
}

static bool list_next(struct str *rest, struct str *item)
{
    if (rest->len < 4)
        return false;
    size_t len = 0;
    for (unsigned b = 0; b < 4; b++)
        len |= (size_t)(unsigned char)rest->at[b] << (8 * b);
    *rest = str_skip(*rest, 4);
    if (len > rest->len)
        return false;
    *item = str_first(*rest, len);
    *rest = str_skip(*rest, len);
    return true;
}

uint32_t list_unpack(struct connection *c, struct str packed, struct str **items)
{
    struct str rest = packed, item;
    uint32_t n = 0;
    while (list_next(&rest, &item))
        n++;
    *items = n > 0 ? sql_room(c, n, sizeof(struct str)) : NULL;
    if (*items == NULL)
        return 0;
    rest = packed;
    for (uint32_t i = 0; i < n && list_next(&rest, &item); i++)
        (*items)[i] = item;
    return n;
}

int64_t peer_hash(const struct connection *c, struct str bare)
{
    return (int64_t)(hash_keyed(&c->peer, bare) >> 8); // 7 bytes on the disk
}

/* ---- Transactions -------------------------------------------------------------------------- */

typedef enum err (*operation_fn)(struct connection *c, struct store_request *request);

static const struct {
    operation_fn run;
    bool several; // changes by more than one statement of which a later one may be refused
} operations[N_OPS] = {
    [OP_ACCOUNT_CREATE] = {account_create,    true},
    [OP_ACCOUNT_FIND] = {account_find                },
    [OP_ACCOUNT_SET_KEYS] = {account_set_keys, true},
    [OP_ACCOUNT_DISABLE] = {account_disable            },
    [OP_ACCOUNT_DELETE] = {account_delete,   true},
    [OP_ACCOUNT_LIST] = {account_list   },
    [OP_ACCOUNT_COUNT] = {account_count                },
    [OP_ACCOUNT_SEEN] = {account_seen             },
    [OP_ACCOUNT_IMPORT] = {account_import, true},
    [OP_ACCOUNT_LOAD] = {account_load   },
    [OP_ROSTER_SET] = {roster_set,             true},
    [OP_PENDING_SET] = {pending_set     },
    [OP_BLOCK] = {block_change,        true},
    [OP_ARCHIVE_PREFS_SET] = {archive_prefs_set                },
    [OP_DOCUMENT_GET] = {document_get           },
    [OP_DOCUMENT_LIST] = {document_list     },
    [OP_DOCUMENT_PUT] = {document_put},
    [OP_APPEND] = {message_append     },
    [OP_SPOOL_LIST] = {spool_list    },
    [OP_SPOOL_CLEAR] = {spool_clear     },
    [OP_SPOOL_COUNT] = {spool_count   },
    [OP_SPOOL_EXPIRE] = {spool_expire       },
    [OP_ARCHIVE_QUERY] = {archive_query      },
    [OP_ARCHIVE_SPAN] = {archive_span      },
    [OP_ARCHIVE_WITHDRAW] = {archive_withdraw     },
    [OP_ARCHIVE_TOLD] = {archive_told    },
    [OP_ARCHIVE_PURGE] = {archive_purge     },
    [OP_DELIVERIES] = {deliveries_find },
    [OP_DELIVERIES_EXPIRE] = {deliveries_expire     },
    [OP_RECORD_PUT] = {record_put    },
    [OP_RECORD_GET] = {record_get  },
    [OP_RECORD_TAKE] = {record_take},
    [OP_RECORD_REMOVE] = {record_remove       },
    [OP_RECORD_LIST] = {record_list       },
    [OP_RECORD_EXPIRE] = {record_expire      },
    [OP_EVENT_APPEND] = {event_append,     true},
    [OP_EVENT_READ] = {event_read      },
    [OP_EVENT_TRIM] = {event_trim    },
    [OP_UPLOAD_PUT] = {upload_put     },
    [OP_UPLOAD_MARK] = {upload_mark                },
    [OP_UPLOAD_REMOVE] = {upload_remove,           true},
    [OP_UPLOAD_LIST] = {upload_list            },
    [OP_AUDIT_APPEND] = {audit_append           },
    [OP_AUDIT_LIST] = {audit_list},
};

static void begin_operation(struct connection *c, struct arena *arena)
{
    c->failed = SQLITE_OK;
    c->refused = OK;
    c->arena = arena;
    c->recent.known = false;
}

// Runs a statement regardless of an earlier failure.
static int run_plain(struct connection *c, const char *sql)
{
    int failed = c->failed;
    enum err refused = c->refused;
    c->failed = SQLITE_OK;
    c->refused = OK;
    sql_run(c, sql, "");
    int rc = c->failed;
    c->failed = failed;
    c->refused = refused;
    return rc;
}

static void sqlite_rollback(struct connection *c)
{
    c->recent.stale = true;
    c->arriving.n = 0;
    if (sqlite3_get_autocommit(c->db) == 0)
        run_plain(c, "ROLLBACK");
}

static enum err sqlite_begin(struct connection *c, struct why *why)
{
    c->spoilt = false;
    begin_operation(c, NULL);
    int rc = run_plain(c, "BEGIN IMMEDIATE");
    if (rc != SQLITE_OK)
        return db_error(c->db, rc, "beginning", why);
    if (!c->recent.stale)
        return OK;
    recent_load(c);
    enum err e = sql_result(c, OK, why);
    if (e != OK)
        sqlite_rollback(c);
    return e;
}

static enum err sqlite_commit(struct connection *c, struct why *why)
{
    begin_operation(c, NULL);
    arriving_write(c);
    recent_write(c);
    int rc = c->failed != SQLITE_OK ? c->failed : run_plain(c, "COMMIT");
    if (rc == SQLITE_OK)
        return OK;
    enum err e = db_error(c->db, rc, "committing", why);
    sqlite_rollback(c);
    return e;
}

static bool sqlite_spoils(const struct connection *c)
{
    return c->spoilt || sqlite3_get_autocommit(c->db) != 0;
}

static int undo_operation(struct connection *c, struct recent_mark mark)
{
    int rc = run_plain(c, "ROLLBACK TO operation");
    if (rc != SQLITE_OK)
        return rc;
    begin_operation(c, NULL);
    c->arriving.n = 0; // what came before the operation is written
    recent_return(c, mark);
    return c->failed;
}

static enum err sqlite_change(struct connection *c, enum store_op op, struct store_request *request,
                              struct why *why)
{
    begin_operation(c, &request->arena);
    struct recent_mark mark = recent_mark(c);
    if (op != OP_APPEND && op != OP_SPOOL_CLEAR)
        arriving_write(c); // all others may look at messages
    if (operations[op].several)
        sql_run(c, "SAVEPOINT operation", "");
    enum err e = operations[op].run(c, request);
    if (operations[op].several && e == OK)
        arriving_write(c);
    e = sql_result(c, e, why);
    if (operations[op].several && !sqlite_spoils(c)) {
        int rc = e == OK ? SQLITE_OK : undo_operation(c, mark);
        if (rc == SQLITE_OK)
            rc = run_plain(c, "RELEASE operation");
        if (rc != SQLITE_OK) {
            c->spoilt = true;
            e = db_error(c->db, rc, "storing", why);
        }
    }
    return e;
}

static enum err sqlite_read(struct connection *c, enum store_op op, struct store_request *request,
                            struct why *why)
{
    begin_operation(c, &request->arena);
    sql_run(c, "BEGIN", ""); // several statements of one operation see one state
    enum err e = operations[op].run(c, request);
    e = sql_result(c, e, why);
    if (sqlite3_get_autocommit(c->db) == 0)
        run_plain(c, "COMMIT");
    return e;
}

/* ---- Housekeeping -------------------------------------------------------------------------- */

static int note_log(void *context, sqlite3 *db, const char *name, int n_pages)
{
    (void)db;
    (void)name;
    struct connection *c = context;
    c->n_log_pages = n_pages;
    if (n_pages < c->n_log_pages_given)
        c->n_log_pages_given = 0; // the log began anew
    return SQLITE_OK;
}

static void tend_log(struct connection *c)
{
    if (keeper_is_busy(c->keeper))
        return;
    int64_t grown = (c->n_log_pages - c->n_log_pages_given) * c->page_size;
    if (grown > LOG_BYTES_MOST || (c->keeper_was_woken && grown <= CHECKPOINT_BYTES)) {
        // all but little is done.  If a reader still needs old pages the log goes on a while.
        sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        c->keeper_was_woken = false;
        c->n_log_pages_given = c->n_log_pages;
    } else if (grown > CHECKPOINT_BYTES) {
        c->keeper_was_woken = true;
        c->n_log_pages_given = c->n_log_pages;
        keeper_wake(c->keeper);
    }
}

// A piece of housekeeping in a transaction of its own; false when it failed.
static bool tidy(struct connection *c, void (*piece)(struct connection *c))
{
    struct why why;
    if (sqlite_begin(c, &why) != OK)
        return false;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    begin_operation(c, &arena);
    piece(c);
    arena_done(&arena);
    if (c->failed != SQLITE_OK) {
        sqlite_rollback(c);
        return false;
    }
    return sqlite_commit(c, &why) == OK;
}

static void erase_doomed(struct connection *c)
{
    c->any_doomed = messages_erase_doomed(c);
}

static bool sqlite_tend(struct connection *c, bool idle)
{
    tend_log(c);
    if (messages_want_moving(c))
        return tidy(c, messages_move_some);
    if (ledger_wants_moving(c))
        return tidy(c, ledger_move_some);
    return idle && c->any_doomed && tidy(c, erase_doomed) && c->any_doomed;
}

static enum err sqlite_probe(struct connection *c, struct why *why)
{
    enum err e = sqlite_begin(c, why);
    if (e != OK)
        return e;
    sql_run(c, "INSERT OR REPLACE INTO meta VALUES ('probe', ?)", "i", clock_wall_us());
    if (c->failed != SQLITE_OK) {
        e = sql_result(c, OK, why);
        sqlite_rollback(c);
        return e;
    }
    return sqlite_commit(c, why);
}

static uint64_t sqlite_log_bytes(const struct connection *c)
{
    return (uint64_t)(c->n_log_pages * c->page_size);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static enum err exec(sqlite3 *db, const char *sql, const char *doing, struct why *why)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : db_error(db, rc, doing, why);
}

static enum err exec_number(sqlite3 *db, const char *sql, int64_t *out, struct why *why)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(s, 0);
    enum err e = rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : db_error(db, rc, "opening", why);
    sqlite3_finalize(s);
    return e;
}

static enum err apply(sqlite3 *db, const struct migration *m, struct why *why)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO schema_version VALUES (%d, '%s', %lld); PRAGMA user_version = %d; COMMIT",
             m->version, m->name, (long long)clock_wall_us(), m->version);
    enum err e = exec(db, "BEGIN IMMEDIATE", "migrating", why);
    if (e == OK)
        e = exec(db, m->sql, "migrating", why);
    if (e == OK)
        e = exec(db, sql, "migrating", why);
    if (e != OK && sqlite3_get_autocommit(db) == 0)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return e;
}

enum err schema_migrate(sqlite3 *db, const char *path, const struct migration *list, size_t n,
                        struct why *why)
{
    int64_t id = 0, tables = 0, version = 0;
    enum err e = exec_number(db, "PRAGMA application_id", &id, why);
    if (e == OK)
        e = exec_number(db, "SELECT count(*) FROM sqlite_schema", &tables, why);
    if (e != OK)
        return e;
    if (id != APPLICATION_ID && tables > 0)
        return why_say(why, ERR_MALFORMED, "%s is a database of another program", path);
    if (id != APPLICATION_ID) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "BEGIN; CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT, "
                 "applied_us INTEGER); PRAGMA application_id = %d; COMMIT",
                 APPLICATION_ID);
        e = exec(db, sql, "creating", why);
        if (e != OK)
            return e;
    }
    e = exec_number(db, "SELECT coalesce(max(version), 0) FROM schema_version", &version, why);
    if (e != OK)
        return e;
    if (version > (int64_t)n)
        return why_say(why, ERR_UNSUPPORTED,
                       "%s was written by a newer Firedoor (schema version %lld; this one knows up "
                       "to %zu): start the newer program, or restore a backup made before it ran",
                       path, (long long)version, n);
    for (size_t i = (size_t)version; i < n && e == OK; i++)
        e = apply(db, &list[i], why);
    return e;
}

static enum err check_whole(sqlite3 *db, const char *pragma, const char *path, struct why *why)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, pragma, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    enum err e = OK;
    if (rc != SQLITE_ROW) {
        e = db_error(db, rc, "checking", why);
    } else {
        const char *said = (const char *)sqlite3_column_text(s, 0);
        if (said == NULL || strcmp(said, "ok") != 0)
            e = why_say(why, ERR_CORRUPT, "%s is damaged: %s", path, said != NULL ? said : "?");
    }
    sqlite3_finalize(s);
    return e;
}

static enum err check_if_needed(sqlite3 *db, const struct store_options *options, struct why *why)
{
    const char *path = options->path;
    if (options->check == STORE_CHECK_OFF)
        return OK;
    if (options->check == STORE_CHECK_FULL)
        return check_whole(db, "PRAGMA integrity_check(1)", path, why);
    struct stat st;
    int64_t tables = 0, clean = 0;
    enum err e =
        exec_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", &tables, why);
    if (e == OK && tables > 0)
        e = exec_number(db, "SELECT value FROM meta WHERE key = 'clean'", &clean, why);
    if (e != OK)
        return e;
    if (clean == 1 && stat(path, &st) == 0 && st.st_size > CHECK_ALWAYS_BYTES)
        return OK;
    return check_whole(db, "PRAGMA quick_check(1)", path, why);
}

static enum err take_lock(const char *path, int *fd_out, struct why *why)
{
    char lock[PATH_MOST];
    int n = snprintf(lock, sizeof lock, "%s.lock", path);
    if (n < 0 || (size_t)n >= sizeof lock)
        return why_say(why, ERR_LIMIT, "the path of the database is too long");
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return why_say(why, no_room(errno) ? ERR_FULL : ERR_IO, "%s: %s", lock, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return why_say(why, ERR_BUSY, "%s is in use by another process", path);
    }
    *fd_out = fd;
    return OK;
}

// SQLite gives its log the mode of the database: made here, nobody else may read it.
static enum err make_file(const struct store_options *options, struct why *why)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (options->must_exist ? 0 : O_CREAT);
    int fd = open(options->path, flags, 0600);
    if (fd < 0 && errno == ENOENT && options->must_exist)
        return why_say(why, ERR_MISSING, "%s does not exist", options->path);
    if (fd < 0)
        return why_say(why, no_room(errno) ? ERR_FULL : ERR_IO, "%s: %s", options->path,
                       strerror(errno));
    close(fd);
    return OK;
}

static enum err settle(struct connection *c, const struct store_options *options, struct why *why)
{
    // a new database's pages: larger ones make fewer frames, and write more where little changes
    static const char settings[] = "PRAGMA page_size = 8192;"
                                   "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                   "PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;"
                                   "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;"
                                   "PRAGMA secure_delete = FAST; PRAGMA trusted_schema = OFF";
    enum err e = exec(c->db, settings, "opening", why);
    if (e == OK)
        e = check_if_needed(c->db, options, why);
    if (e == OK)
        e = schema_migrate(c->db, options->path, migrations, n_migrations, why);
    if (e == OK)
        e = exec(c->db, "INSERT OR REPLACE INTO meta VALUES ('clean', 0)", "opening", why);
    if (e == OK)
        e = exec_number(c->db, "PRAGMA page_size", &c->page_size, why);
    if (e != OK)
        return e;
    struct hash_key fresh = hash_key_random();
    begin_operation(c, NULL);
    sql_run(c, "INSERT OR IGNORE INTO meta VALUES ('peer', ?)", "b",
            str_make((const char *)fresh.bytes, sizeof fresh.bytes));
    c->any_doomed = sql_number(c, 0, "SELECT count(*) FROM doomed", "") > 0;
    recent_load(c);
    c->packed_up_to = sql_number(c, 0, "SELECT value FROM meta WHERE key = 'packed'", "");
    ledger_count(c);
    sqlite3_wal_hook(c->db, note_log, c);
    return sql_result(c, OK, why);
}

static enum err read_peer_key(struct connection *c, struct why *why)
{
    begin_operation(c, NULL);
    sqlite3_stmt *s = sql_start(c, "SELECT value FROM meta WHERE key = 'peer'", "");
    bool whole = false;
    if (sql_next(c, s)) {
        whole = sqlite3_column_bytes(s, 0) == sizeof c->peer.bytes;
        if (whole)
            memcpy(c->peer.bytes, sqlite3_column_blob(s, 0), sizeof c->peer.bytes);
        sql_stop(c, s);
    }
    enum err e = sql_result(c, OK, why);
    return e != OK || whole ? e : why_say(why, ERR_CORRUPT, "the database lost its hash key");
}

static void sqlite_close(struct connection **at)
{
    struct connection *c = TAKE(*at);
    if (c == NULL)
        return;
    keeper_free(&c->keeper);
    if (c->mark_clean && c->db != NULL)
        sqlite3_exec(c->db, "INSERT OR REPLACE INTO meta VALUES ('clean', 1)", NULL, NULL, NULL);
    for (size_t i = 0; i < STATEMENTS_ROOM; i++)
        sqlite3_finalize(c->statements[i].prepared);
    if (c->db != NULL)
        sqlite3_close(c->db);
    recent_done(c);
    fault_vfs_free(&c->faults);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    free(c);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void configure(void)
{
    // every connection belongs to one thread; nobody asks SQLite how much memory it uses
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum err open_db(const struct store_options *options, int flags, sqlite3 **db,
                        struct why *why)
{
    const char *vfs = options->test_faults != NULL ? FAULT_VFS_NAME : NULL;
    int rc = sqlite3_open_v2(options->path, db,
                             flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);
    if (rc != SQLITE_OK)
        return db_error(*db, rc, options->path, why);
    sqlite3_extended_result_codes(*db, 1);
    sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_busy_timeout(*db, 5000); // somebody recovers the log
    return OK;
}

static enum err connect_db(struct connection *c, const struct store_options *options,
                           struct why *why)
{
    if (c->writer) {
        enum err e = take_lock(options->path, &c->lock_fd, why);
        if (e == OK)
            e = make_file(options, why);
        if (e == OK && options->test_faults != NULL)
            e = fault_vfs_new(options->test_faults, &c->faults, why);
        if (e != OK)
            return e;
    }
    int flags = c->writer ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    return open_db(options, flags, &c->db, why);
}

static enum err start_keeper(struct connection *c, const struct store_options *options,
                             struct why *why)
{
    sqlite3 *db = NULL;
    enum err e = open_db(options, SQLITE_OPEN_READWRITE, &db, why);
    if (e == OK)
        e = exec(db, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL", "opening", why);
    if (e == OK)
        e = keeper_new(&db, &c->keeper, why);
    sqlite3_close(db);
    return e;
}

static enum err sqlite_open(const struct store_options *options, bool writer,
                            struct backend_shared *shared, struct connection **out, struct why *why)
{
    pthread_once(&once, configure);
    struct connection *c = calloc(1, sizeof *c);
    must(c != NULL);
    c->writer = writer;
    c->lock_fd = -1;
    recent_init(c);
    enum err e = connect_db(c, options, why);
    if (e == OK && writer)
        e = settle(c, options, why);
    if (e == OK && writer)
        e = start_keeper(c, options, why);
    if (e == OK && !writer)
        e = exec(c->db, "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY", "opening", why);
    int rc = e == OK ? places_init(c) : SQLITE_OK; // after migrations, which may know such a table
    if (rc == SQLITE_OK && e == OK && writer)
        rc = arriving_init(c);
    if (rc != SQLITE_OK)
        e = db_error(c->db, rc, "opening", why);
    if (e == OK)
        e = read_peer_key(c, why);
    if (e == OK && writer) {
        shared->newest_id = sql_number(c, 0, "SELECT max(id) FROM message", "");
        e = sql_result(c, OK, why);
    }
    if (e != OK) {
        sqlite_close(&c);
        return e;
    }
    c->mark_clean = writer;
    if (c->faults != NULL)
        fault_vfs_arm(c->faults);
    *out = c;
    return OK;
}

const struct backend backend_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .change = sqlite_change,
    .read = sqlite_read,
    .spoils = sqlite_spoils,
    .tend = sqlite_tend,
    .probe = sqlite_probe,
    .log_bytes = sqlite_log_bytes,
};
