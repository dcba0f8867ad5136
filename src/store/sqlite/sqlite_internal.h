/*
 * The SQLite backend's own helpers: statements, binding, columns, errors.
 *
 * A function that carries out an operation reads straight on: the first
 * failure of SQLite is remembered in the connection (`failed`), everything
 * after it does nothing, and the caller turns it into an enum err at the end
 * (sql_result).
 */
#ifndef STORE_SQLITE_SQLITE_INTERNAL_H
#define STORE_SQLITE_SQLITE_INTERNAL_H

#include "base/buf.h"
#include "base/hash.h"
#include "store/store_internal.h"

#include <sqlite3.h>

enum {
    STATEMENTS_ROOM = 512, // slots of the cache; a power of two
};

struct migration {
    int version;
    const char *name;
    const char *sql;
};

extern const struct migration migrations[];
extern const size_t n_migrations;

struct statement_slot {
    const char *sql; // a literal: compared by address
    sqlite3_stmt *prepared;
};

/* A message's place in its owner's archive and spool: see recent.c. */
struct recent_entry {
    int64_t id, owner, peer;
    uint8_t visible;
    int16_t kept; // -1: not in the spool
};

enum { BLOCK_MOST = 64 }; // entries in a block: it fits a page several times

/* Places of one owner's messages, in order: see packed.c. */
struct block {
    int64_t owner, last_id;
    size_t n;
    struct recent_entry entries[BLOCK_MOST];
};

struct recent {
    struct recent_entry *entries; // in order of ids
    size_t n, room;
    size_t n_logged;             // entries packed in the log since it began anew
    int64_t first_row, last_row; // of recent_log: from where to where entries are made; 0: none
    bool known;                  // a reader's: they are those of this operation's snapshot
    // writer only
    bool stale;      // to be read again from the log: a transaction was rolled back
    struct buf news; // of this transaction, packed, not yet in recent_log
    int64_t news_id; // the last one there
};

struct recent_mark {
    size_t len;
    int64_t id;
};

struct arriving_message {
    const struct store_append *op;
    struct str stanza;
};

/* Messages of the transaction that are not rows yet: see arriving.c. */
struct arriving {
    int64_t newest_backdated; // ids from there on cannot be taken
    size_t n;
    struct arriving_message messages[256];
};

/* Of the microseconds that imported messages share, as many are remembered. */
enum { CROWDS_MOST = 256 }; // eight bits of a hash

struct connection {
    sqlite3 *db;
    bool writer;
    int lock_fd;          // writer only; -1: none
    struct hash_key peer; // for the hashes of JIDs in the archive
    struct statement_slot statements[STATEMENTS_ROOM];
    size_t n_statements;

    // the operation under way
    int failed; // SQLite's code; SQLITE_OK: none
    enum err refused;
    struct arena *arena;

    struct recent recent;

    // writer only
    bool spoilt;           // the transaction is lost
    bool any_deleted;      // an account was deleted since the start: appends must look
    bool any_doomed;       // messages of deleted accounts wait to be erased
    bool mark_clean;       // at closing
    int64_t packed_up_to;  // no entry in a block has a greater id
    int64_t n_lure_recent; // rows of lure_recent, nearly
    int64_t page_size;     // bytes
    int n_log_pages;       // in the write-ahead log
    int n_log_pages_given; // of these, when the keeper was last woken
    bool keeper_was_woken; // and the rest it leaves is still to be moved
    struct keeper *keeper;
    struct arriving arriving;
    struct crowd { // imports: a microsecond that many messages have, and the next id that is free
        int64_t at, next;
    } crowds[CROWDS_MOST];
    struct fault_vfs *faults;
};

/* Remembers a failure; everything but a statement's own spoils the transaction. */
void sql_fail(struct connection *c, int rc);
/* The prepared statement of a literal; NULL after a failure. */
sqlite3_stmt *sql_prepare(struct connection *c, const char *sql);

/* Binds in order: i int64_t, t struct str as text, b struct str as blob, n NULL. */
sqlite3_stmt *sql_start(struct connection *c, const char *sql, const char *types, ...);
/* Next row?  At the end or after a failure the statement is reset. */
bool sql_next(struct connection *c, sqlite3_stmt *s);
/* Ends a walk early. */
void sql_stop(struct connection *c, sqlite3_stmt *s);
/* Runs to the end; how many rows it changed. */
int sql_run(struct connection *c, const char *sql, const char *types, ...);
/* The single integer that a query answers, or otherwise. */
int64_t sql_number(struct connection *c, int64_t otherwise, const char *sql, const char *types,
                   ...);

/* A table that a connection has in memory, known by its name alone. */
struct sql_table {
    sqlite3_vtab base;
    struct connection *connection;
};

int sql_table_connect(sqlite3 *db, void *connection, const char *declaration, sqlite3_vtab **out);
int sql_table_disconnect(sqlite3_vtab *base);

/* Copies of columns in the operation's arena; beyond its ceiling the operation fails with
 * ERR_LIMIT. */
struct str sql_text(struct connection *c, sqlite3_stmt *s, int column);
/* An array of n members; NULL (and ERR_LIMIT) beyond the ceiling. */
void *sql_room(struct connection *c, size_t n, size_t size);

/* What the operation comes to; e is its own opinion where SQLite has none. */
enum err sql_result(struct connection *c, enum err e, struct why *why);

/* A list of texts in one blob. */
struct str list_pack(struct connection *c, const struct str *items, uint32_t n);
uint32_t list_unpack(struct connection *c, struct str packed, struct str **items);

/* The bits of archive.visible. */
enum {
    VISIBLE_HIDDEN = 1,
    VISIBLE_TOMBSTONE = 2,
    VISIBLE_WITHDRAWN = VISIBLE_HIDDEN | VISIBLE_TOMBSTONE,
    VISIBLE_LEDGER = 4,  // not in the archive: kept for its lures
    VISIBLE_NOWHERE = 8, // in the spool only
};
/* spool.kept: what delivery leaves, and whether the message was withdrawn while it waits. */
enum { KEPT_NOTHING = 0, KEPT_ALL = 1, KEPT_LEDGER = 2, KEPT_MASK = 3, KEPT_WITHDRAWN = 4 };

/* Neither in the archive nor the spool, nor kept for its lures: no more than a place to skip. */
static inline bool recent_is_nowhere(const struct recent_entry *entry)
{
    return (entry->visible & VISIBLE_NOWHERE) != 0 && entry->kept < 0;
}

int64_t peer_hash(const struct connection *c, struct str bare);

enum err account_create(struct connection *c, struct store_request *request);
enum err account_find(struct connection *c, struct store_request *request);
enum err account_set_keys(struct connection *c, struct store_request *request);
enum err account_disable(struct connection *c, struct store_request *request);
enum err account_delete(struct connection *c, struct store_request *request);
enum err account_list(struct connection *c, struct store_request *request);
enum err account_count(struct connection *c, struct store_request *request);
enum err account_seen(struct connection *c, struct store_request *request);
enum err account_import(struct connection *c, struct store_request *request);
enum err account_load(struct connection *c, struct store_request *request);

enum err roster_set(struct connection *c, struct store_request *request);
enum err pending_set(struct connection *c, struct store_request *request);
enum err block_change(struct connection *c, struct store_request *request);
enum err archive_prefs_set(struct connection *c, struct store_request *request);
enum err document_get(struct connection *c, struct store_request *request);
enum err document_list(struct connection *c, struct store_request *request);
enum err document_put(struct connection *c, struct store_request *request);
/* Reads the account's part of these into op. */
void roster_load(struct connection *c, struct store_account_load *op);
/* Stores an item with a version that the caller has taken. */
void roster_put(struct connection *c, int64_t account, const struct store_roster_item *item,
                int64_t version);

enum err message_append(struct connection *c, struct store_request *request);
enum err spool_list(struct connection *c, struct store_request *request);
enum err spool_clear(struct connection *c, struct store_request *request);
enum err spool_count(struct connection *c, struct store_request *request);
enum err spool_expire(struct connection *c, struct store_request *request);
enum err archive_query(struct connection *c, struct store_request *request);
enum err archive_span(struct connection *c, struct store_request *request);
enum err archive_withdraw(struct connection *c, struct store_request *request);
enum err archive_told(struct connection *c, struct store_request *request);
enum err archive_purge(struct connection *c, struct store_request *request);
enum err deliveries_find(struct connection *c, struct store_request *request);
enum err deliveries_expire(struct connection *c, struct store_request *request);
/* What waits for op's account, and its size. */
void spool_measure(struct connection *c, struct store_account_load *op);
/* Erases some messages of deleted accounts; false when none is left. */
bool messages_erase_doomed(struct connection *c);
/* Whether entries should move from recent to archive and spool; moves them. */
bool messages_want_moving(const struct connection *c);
void messages_move_some(struct connection *c);

/* As the table message has them. */
int64_t message_flags(const struct store_append *op);

/* The table arriving; an SQLite code. */
int arriving_init(struct connection *c);
/* Keeps a message for arriving_write; false: its id may be taken, and it must be written alone. */
bool arriving_add(struct connection *c, const struct store_append *op, struct str stanza);
/* Makes rows of them.  A failure spoils the transaction. */
void arriving_write(struct connection *c);

/* Where id stands among entries in order, or would stand. */
size_t entry_place(const struct recent_entry *entries, size_t n, int64_t id);
/* An entry in packed form, after one with the id *last (0: the first); a changed one without what
 * never changes.  Unpacking (rest is not empty): false when it is damaged. */
void entry_pack(struct buf *out, int64_t *last, const struct recent_entry *entry, bool is_new);
bool entry_unpack(struct str *rest, int64_t *last, struct recent_entry *out, bool *is_new);
/* An owner's first block that ends at or after id, or the last that ends before; false: there is
 * none, or it is damaged. */
bool packed_from(struct connection *c, int64_t owner, int64_t id, struct block *block);
bool packed_before(struct connection *c, int64_t owner, int64_t id, struct block *block);
/* Adds a block, of which owner and entries are filled in. */
void packed_add(struct connection *c, struct block *block);
/* Changes bits of visible; false when that changes nothing, or there is no such entry. */
bool packed_show(struct connection *c, int64_t owner, int64_t id, int64_t without, int64_t with);
void packed_remove(struct connection *c, int64_t owner, int64_t id);

/* The tables recent and settled; an SQLite code. */
int places_init(struct connection *c);

void recent_init(struct connection *c);
void recent_done(struct connection *c);
/* A reader: takes up what its snapshot has more, once in an operation. */
void recent_catch_up(struct connection *c);
/* Where the entries up to that id stand, in order of owners and ids; to be freed. */
uint32_t *recent_by_owner(const struct connection *c, int64_t up_to, size_t *n) MUST_CHECK;
/* All below: the writer only.  Reads the whole log anew; a failure leaves it stale. */
void recent_load(struct connection *c);
/* The entry of a message, until the next is added; NULL when there is none. */
struct recent_entry *recent_find(struct connection *c, int64_t id);
void recent_add(struct connection *c, const struct recent_entry *entry);
/* kept -1: not in the spool; with VISIBLE_NOWHERE that is the end of it. */
void recent_set(struct connection *c, struct recent_entry *entry, int64_t visible, int64_t kept);
/* Drops the entries up to this one, which the caller has put elsewhere. */
void recent_forget_up_to(struct connection *c, int64_t id);
/* Writes this transaction's news into the log, before it is committed. */
void recent_write(struct connection *c);
/* Where this transaction's news stand; and back to there. */
struct recent_mark recent_mark(const struct connection *c);
void recent_return(struct connection *c, struct recent_mark mark);

/* A message's keys come; whether it has any; they go. */
void ledger_add(struct connection *c, const struct str *keys, uint32_t n, int64_t id);
bool ledger_has(struct connection *c, int64_t id);
void ledger_forget(struct connection *c, int64_t id);
/* Whether keys should move from lure_recent to lure; moves a portion, or all; counts them anew. */
bool ledger_wants_moving(const struct connection *c);
void ledger_move_some(struct connection *c);
void ledger_move_all(struct connection *c);
void ledger_count(struct connection *c);

enum err record_put(struct connection *c, struct store_request *request);
enum err record_get(struct connection *c, struct store_request *request);
enum err record_take(struct connection *c, struct store_request *request);
enum err record_remove(struct connection *c, struct store_request *request);
enum err record_list(struct connection *c, struct store_request *request);
enum err record_expire(struct connection *c, struct store_request *request);
enum err event_append(struct connection *c, struct store_request *request);
enum err event_read(struct connection *c, struct store_request *request);
enum err event_trim(struct connection *c, struct store_request *request);
enum err upload_put(struct connection *c, struct store_request *request);
enum err upload_mark(struct connection *c, struct store_request *request);
enum err upload_remove(struct connection *c, struct store_request *request);
enum err upload_list(struct connection *c, struct store_request *request);
enum err audit_append(struct connection *c, struct store_request *request);
enum err audit_list(struct connection *c, struct store_request *request);

/* Takes the connection; its thread checkpoints when woken. */
enum err keeper_new(sqlite3 **db, struct keeper **out, struct why *why) MUST_CHECK;
void keeper_free(struct keeper **keeper);
bool keeper_is_busy(const struct keeper *keeper);
/* Not while it is busy. */
void keeper_wake(struct keeper *keeper);

/* Brings the database to version n; ERR_UNSUPPORTED when it is beyond. */
enum err schema_migrate(sqlite3 *db, const char *path, const struct migration *list, size_t n,
                        struct why *why) MUST_CHECK;

#endif
