/*
 * Arriving: the messages of a transaction that are not rows yet.
 *
 * A statement for each row costs more than the row: binding, finding the way
 * from the root of the tree again, ending.  So appends are gathered, and written
 * by one statement that reads them as a table: `arriving`, with the columns of
 * `message`.  They are written before anything looks at `message`, and before
 * the commit.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"
#include "base/must.h"

#include <stdlib.h>

struct cursor {
    sqlite3_vtab_cursor base;
    const struct arriving *arriving;
    size_t at;
};

bool arriving_add(struct connection *c, const struct store_append *op, struct str stanza)
{
    struct arriving *a = &c->arriving;
    if (a->n == COUNT_OF(a->messages))
        arriving_write(c);
    if (a->n == COUNT_OF(a->messages) || op->id <= a->newest_backdated)
        return false;
    a->messages[a->n++] = (struct arriving_message){op, stanza};
    return true;
}

void arriving_write(struct connection *c)
{
    size_t n = c->arriving.n;
    if (n == 0 || c->failed != SQLITE_OK || c->refused != OK)
        return; // what fails alone leaves them for later
    int written = sql_run(c, "INSERT INTO message SELECT * FROM arriving", "");
    c->arriving.n = 0;
    if (c->failed != SQLITE_OK)
        c->spoilt = true; // it concerns more than the operation under way
    else
        must((size_t)written == n);
}

/* ---- As a table ----------------------------------------------------------------------------- */

static int table_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **error)
{
    (void)argc;
    (void)argv;
    (void)error;
    return sql_table_connect(db, context,
                             "CREATE TABLE arriving (id INTEGER, owner INTEGER, flags INTEGER, "
                             "peer TEXT, resource TEXT, message_id TEXT, origin_id TEXT, "
                             "stanza BLOB)",
                             out);
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    (void)info;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct cursor *k = calloc(1, sizeof *k);
    must(k != NULL);
    k->arriving = &CONTAINER_OF(base, struct sql_table, base)->connection->arriving;
    *out = &k->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    free(CONTAINER_OF(base, struct cursor, base));
    return SQLITE_OK;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int use, const char *name, int argc,
                         sqlite3_value **argv)
{
    (void)use;
    (void)name;
    (void)argc;
    (void)argv;
    CONTAINER_OF(base, struct cursor, base)->at = 0;
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    CONTAINER_OF(base, struct cursor, base)->at++;
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    return k->at >= k->arriving->n;
}

static void give_text(sqlite3_context *out, struct str text)
{
    // borrowed: the operation outlives the statement
    sqlite3_result_text64(out, text.at != NULL ? text.at : "", text.len, SQLITE_STATIC,
                          SQLITE_UTF8);
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *out, int column)
{
    const struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    const struct arriving_message *m = &k->arriving->messages[k->at];
    switch (column) {
    case 0:
        sqlite3_result_int64(out, m->op->id);
        break;
    case 1:
        sqlite3_result_int64(out, m->op->account);
        break;
    case 2:
        sqlite3_result_int64(out, message_flags(m->op));
        break;
    case 3:
        give_text(out, m->op->peer);
        break;
    case 4:
        give_text(out, m->op->resource);
        break;
    case 5:
        give_text(out, m->op->message_id);
        break;
    case 6:
        give_text(out, m->op->origin_id);
        break;
    default:
        sqlite3_result_blob64(out, m->stanza.at != NULL ? m->stanza.at : "", m->stanza.len,
                              SQLITE_STATIC);
    }
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)CONTAINER_OF(base, struct cursor, base)->at;
    return SQLITE_OK;
}

int arriving_init(struct connection *c)
{
    static const sqlite3_module module = {
        .xConnect = table_connect, // and no xCreate: it is there by its name, and only there
        .xBestIndex = table_best_index,
        .xDisconnect = sql_table_disconnect,
        .xOpen = cursor_open,
        .xClose = cursor_close,
        .xFilter = cursor_filter,
        .xNext = cursor_next,
        .xEof = cursor_eof,
        .xColumn = cursor_column,
        .xRowid = cursor_rowid,
    };
    return sqlite3_create_module(c->db, "arriving", &module, c);
}
