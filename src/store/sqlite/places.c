/*
 * Places as tables: what is recent and what is packed, for queries.
 *
 * Tables that are there by their names alone: `recent` (id, owner, peer,
 * visible, kept) is the connection's memory; `settled`, with the same columns,
 * reads an owner's blocks of `packed`, and answers only who names the owner.
 * visible and peer mean what they do in `archive`, kept what it does in
 * `spool`; it is NULL for what is not in the spool.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"
#include "base/must.h"

#include <stdlib.h>

enum column { COLUMN_ID, COLUMN_OWNER, COLUMN_PEER, COLUMN_VISIBLE, COLUMN_KEPT };

// What a query asks for: how it is told to the cursor.
enum {
    WITH_ID = 1,
    FROM_ID = 2,
    TO_ID = 4,
    OF_OWNER = 8,
    OLDEST_FIRST = 16,
    NEWEST_FIRST = 32,
    SPOOLED = 64,
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct connection *connection;
    const struct recent_entry *entries;
    size_t at, end; // backwards: from end - 1 down to at
    bool backwards, of_owner, spooled;
    int64_t owner, low, high; // ids, inclusive
    struct block *block;      // settled; else NULL
};

static int table_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **error)
{
    (void)argc;
    (void)argv;
    (void)error;
    return sql_table_connect(db, context,
                             "CREATE TABLE places (id INTEGER, owner INTEGER, peer INTEGER, "
                             "visible INTEGER, kept INTEGER)",
                             out);
}

static int use_of(int column, int op)
{
    if (column == COLUMN_OWNER)
        return op == SQLITE_INDEX_CONSTRAINT_EQ ? OF_OWNER : 0;
    if (column == COLUMN_KEPT) // whatever it is compared with: NULL it is not
        return op == SQLITE_INDEX_CONSTRAINT_GE ? SPOOLED : 0;
    if (column != COLUMN_ID)
        return 0;
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return WITH_ID;
    case SQLITE_INDEX_CONSTRAINT_GT: // SQLite looks again whether it is the very one
    case SQLITE_INDEX_CONSTRAINT_GE:
        return FROM_ID;
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
        return TO_ID;
    default:
        return 0;
    }
}

static int order_of(const sqlite3_index_info *info)
{
    if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_ID)
        return info->aOrderBy[0].desc ? NEWEST_FIRST : OLDEST_FIRST;
    return 0;
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    // of the arguments
    static const int in_order[] = {WITH_ID, FROM_ID, TO_ID, OF_OWNER, SPOOLED};
    int n_arguments = 0;
    info->idxNum = 0;
    for (size_t k = 0; k < COUNT_OF(in_order); k++)
        for (int i = 0; i < info->nConstraint; i++) {
            if (!info->aConstraint[i].usable || (info->idxNum & in_order[k]) != 0 ||
                use_of(info->aConstraint[i].iColumn, info->aConstraint[i].op) != in_order[k])
                continue;
            info->idxNum |= in_order[k];
            info->aConstraintUsage[i].argvIndex = ++n_arguments;
        }
    int order = order_of(info);
    info->orderByConsumed = order != 0;
    info->idxNum |= order;
    info->estimatedRows = info->idxNum & WITH_ID ? 1 : info->idxNum & OF_OWNER ? 20 : 8000;
    info->estimatedCost = info->idxNum & WITH_ID ? 10 : info->idxNum & OF_OWNER ? 100 : 8000;
    return SQLITE_OK;
}

static int settled_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    int rc = table_best_index(base, info);
    return (info->idxNum & OF_OWNER) != 0 ? rc : SQLITE_CONSTRAINT; // not in this way
}

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct cursor *k = calloc(1, sizeof *k);
    must(k != NULL);
    k->connection = CONTAINER_OF(base, struct sql_table, base)->connection;
    *out = &k->base;
    return SQLITE_OK;
}

static int settled_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    int rc = cursor_open(base, out);
    struct cursor *k = CONTAINER_OF(*out, struct cursor, base);
    k->block = calloc(1, sizeof *k->block);
    must(k->block != NULL);
    return rc;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    free(k->block);
    free(k);
    return SQLITE_OK;
}

static const struct recent_entry *entry_at(const struct cursor *k)
{
    return &k->entries[k->backwards ? k->end - 1 : k->at];
}

static void step(struct cursor *k)
{
    if (k->backwards)
        k->end--;
    else
        k->at++;
}

static bool is_asked_for(const struct cursor *k, const struct recent_entry *e)
{
    return (!k->of_owner || e->owner == k->owner) && (!k->spooled || e->kept >= 0) &&
           !recent_is_nowhere(e);
}

static void look_at(struct cursor *k, const struct recent_entry *entries, size_t n)
{
    k->entries = entries;
    k->at = entry_place(entries, n, k->low);
    k->end = k->high == INT64_MAX ? n : entry_place(entries, n, k->high + 1);
}

// The block after the one that has been read, if its ids may be asked for.
static bool next_block(struct cursor *k)
{
    struct block *block = k->block;
    if (block == NULL || block->n == 0)
        return false;
    bool more;
    if (k->backwards)
        more = block->entries[0].id > k->low &&
               packed_before(k->connection, k->owner, block->last_id, block);
    else
        more = block->last_id < k->high &&
               packed_from(k->connection, k->owner, block->last_id + 1, block);
    if (more)
        look_at(k, block->entries, block->n);
    return more;
}

static int skip_others(struct cursor *k)
{
    do
        while (k->at < k->end && !is_asked_for(k, entry_at(k)))
            step(k);
    while (k->at >= k->end && next_block(k));
    return k->connection->failed;
}

static void first_block(struct cursor *k)
{
    struct connection *c = k->connection;
    bool found = k->backwards && k->high == INT64_MAX
                     ? packed_before(c, k->owner, INT64_MAX, k->block)
                     : packed_from(c, k->owner, k->backwards ? k->high : k->low, k->block);
    if (!found && k->backwards && c->failed == SQLITE_OK)
        packed_before(c, k->owner, k->high, k->block);
    look_at(k, k->block->entries, k->block->n);
}

static int cursor_filter(sqlite3_vtab_cursor *base, int use, const char *name, int argc,
                         sqlite3_value **argv)
{
    (void)name;
    (void)argc;
    struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    struct connection *c = k->connection;
    k->low = INT64_MIN;
    k->high = INT64_MAX;
    if (use & WITH_ID)
        k->low = k->high = sqlite3_value_int64(*argv++);
    if (use & FROM_ID)
        k->low = sqlite3_value_int64(*argv++);
    if (use & TO_ID)
        k->high = sqlite3_value_int64(*argv++);
    k->of_owner = (use & OF_OWNER) != 0;
    if (k->of_owner)
        k->owner = sqlite3_value_int64(*argv++);
    k->spooled = (use & SPOOLED) != 0;
    k->backwards = (use & NEWEST_FIRST) != 0;
    if (k->block != NULL) {
        first_block(k);
    } else {
        recent_catch_up(c); // at the first to ask in an operation: no cursor stands on an entry
        look_at(k, c->recent.entries, c->recent.n);
    }
    return c->failed != SQLITE_OK ? c->failed : skip_others(k);
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    step(k);
    return skip_others(k);
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    return k->at >= k->end;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *out, int column)
{
    const struct recent_entry *e = entry_at(CONTAINER_OF(base, struct cursor, base));
    switch ((enum column)column) {
    case COLUMN_ID:
        sqlite3_result_int64(out, e->id);
        break;
    case COLUMN_OWNER:
        sqlite3_result_int64(out, e->owner);
        break;
    case COLUMN_PEER:
        sqlite3_result_int64(out, e->peer);
        break;
    case COLUMN_VISIBLE:
        sqlite3_result_int64(out, e->visible);
        break;
    case COLUMN_KEPT:
        if (e->kept >= 0)
            sqlite3_result_int64(out, e->kept);
        break;
    }
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = entry_at(CONTAINER_OF(base, struct cursor, base))->id;
    return SQLITE_OK;
}

int places_init(struct connection *c)
{
#define READING(best_index, open)                                                                  \
    .xConnect = table_connect, /* and no xCreate: it is there by its name, and only there */       \
        .xBestIndex = (best_index), .xDisconnect = sql_table_disconnect, .xOpen = (open),          \
    .xClose = cursor_close, .xFilter = cursor_filter, .xNext = cursor_next, .xEof = cursor_eof,    \
    .xColumn = cursor_column, .xRowid = cursor_rowid
    static const sqlite3_module recent = {READING(table_best_index, cursor_open)};
    static const sqlite3_module settled = {READING(settled_best_index, settled_open)};
    int rc = sqlite3_create_module(c->db, "recent", &recent, c);
    return rc != SQLITE_OK ? rc : sqlite3_create_module(c->db, "settled", &settled, c);
}
