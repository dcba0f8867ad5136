/*
 * Rosters, block lists, archive preferences and documents in SQLite.
 *
 * A roster has one version that every change raises; each item carries the
 * version that brought its present state, and removed items stay as marks, the
 * newest few hundred: so a client that knows version v is told exactly the
 * items above v, if v is not below the floor.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"

#define OP(type) struct store_##type *op = CONTAINER_OF(request, struct store_##type, request)

enum { REMOVED_MOST = 256 }; // marks of removed items kept for one roster

void roster_put(struct connection *c, int64_t account, const struct store_roster_item *item,
                int64_t version)
{
    struct str groups = list_pack(c, item->groups, item->n_groups);
    sql_run(c, "INSERT OR REPLACE INTO roster VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "itiiiitb", account,
            item->jid, version, (int64_t)item->subscription, (int64_t)item->ask,
            (int64_t)item->approved, item->name, groups);
}

static int64_t next_version(struct connection *c, int64_t account)
{
    sql_run(c, "UPDATE account SET roster_version = roster_version + 1 WHERE number = ?", "i",
            account);
    return sql_number(c, 0, "SELECT roster_version FROM account WHERE number = ?", "i", account);
}

// Forgets the oldest marks beyond the number kept.
static void prune_removed(struct connection *c, int64_t account)
{
    int64_t floor = sql_number(c, 0,
                               "SELECT version FROM roster WHERE account = ? AND subscription = 4 "
                               "ORDER BY version DESC LIMIT 1 OFFSET ?",
                               "ii", account, (int64_t)REMOVED_MOST);
    if (floor == 0)
        return;
    sql_run(c, "DELETE FROM roster WHERE account = ? AND subscription = 4 AND version <= ?", "ii",
            account, floor);
    sql_run(c, "UPDATE account SET roster_floor = ?2 WHERE number = ?1", "ii", account, floor);
}

enum err roster_set(struct connection *c, struct store_request *request)
{
    OP(roster_set);
    struct store_roster_item item = op->item;
    bool removes = item.subscription == STORE_SUB_REMOVED;
    int64_t version = next_version(c, op->account);
    if (version == 0)
        return ERR_MISSING;
    if (removes) {
        if (sql_number(c, 0,
                       "SELECT 1 FROM roster WHERE account = ? AND jid = ? AND subscription <> 4",
                       "it", op->account, item.jid) == 0)
            return ERR_MISSING;
        item = (struct store_roster_item){.jid = item.jid, .subscription = STORE_SUB_REMOVED};
    }
    roster_put(c, op->account, &item, version);
    if (removes)
        prune_removed(c, op->account);
    if (op->drop_pending)
        sql_run(c, "DELETE FROM pending WHERE account = ? AND jid = ?", "it", op->account,
                item.jid);
    op->version = version;
    return OK;
}

static void load_items(struct connection *c, struct store_account_load *op)
{
    int64_t account = op->account.number;
    size_t n_all =
        (size_t)sql_number(c, 0, "SELECT count(*) FROM roster WHERE account = ?", "i", account);
    op->items = sql_room(c, n_all, sizeof *op->items);
    size_t n_marks = (size_t)sql_number(
        c, 0, "SELECT count(*) FROM roster WHERE account = ? AND subscription = 4", "i", account);
    op->removed = sql_room(c, n_marks, sizeof *op->removed);
    sqlite3_stmt *s = sql_start(c,
                                "SELECT jid, version, subscription, ask, approved, name, groups "
                                "FROM roster WHERE account = ?",
                                "i", account);
    while (sql_next(c, s)) {
        struct store_roster_item item = {
            .jid = sql_text(c, s, 0),
            .version = sqlite3_column_int64(s, 1),
            .subscription = (enum store_subscription)sqlite3_column_int(s, 2),
            .ask = sqlite3_column_int(s, 3) != 0,
            .approved = sqlite3_column_int(s, 4) != 0,
            .name = sql_text(c, s, 5),
        };
        item.n_groups = list_unpack(c, sql_text(c, s, 6), &item.groups);
        if (item.subscription == STORE_SUB_REMOVED)
            op->removed[op->n_removed++] = item;
        else
            op->items[op->n_items++] = item;
    }
}

void roster_load(struct connection *c, struct store_account_load *op)
{
    int64_t account = op->account.number;
    op->n_items = op->n_removed = op->n_pending = op->n_blocked = 0;
    load_items(c, op);

    size_t n =
        (size_t)sql_number(c, 0, "SELECT count(*) FROM pending WHERE account = ?", "i", account);
    op->pending = sql_room(c, n, sizeof *op->pending);
    sqlite3_stmt *s =
        sql_start(c, "SELECT jid, stanza FROM pending WHERE account = ?", "i", account);
    while (sql_next(c, s))
        op->pending[op->n_pending++] =
            (struct store_pending){.from = sql_text(c, s, 0), .stanza = sql_text(c, s, 1)};

    n = (size_t)sql_number(c, 0, "SELECT count(*) FROM blocked WHERE account = ?", "i", account);
    op->blocked = sql_room(c, n, sizeof *op->blocked);
    s = sql_start(c, "SELECT jid FROM blocked WHERE account = ?", "i", account);
    while (sql_next(c, s))
        op->blocked[op->n_blocked++] = sql_text(c, s, 0);
}

enum err pending_set(struct connection *c, struct store_request *request)
{
    OP(pending_set);
    if (op->pending.stanza.len > 0)
        sql_run(c, "INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", "itb", op->account,
                op->pending.from, op->pending.stanza);
    else
        sql_run(c, "DELETE FROM pending WHERE account = ? AND jid = ?", "it", op->account,
                op->pending.from);
    return OK;
}

enum err block_change(struct connection *c, struct store_request *request)
{
    OP(block);
    if (op->clear)
        sql_run(c, "DELETE FROM blocked WHERE account = ?", "i", op->account);
    for (uint32_t i = 0; i < op->n_remove; i++)
        sql_run(c, "DELETE FROM blocked WHERE account = ? AND jid = ?", "it", op->account,
                op->remove[i]);
    for (uint32_t i = 0; i < op->n_add; i++)
        sql_run(c, "INSERT OR IGNORE INTO blocked VALUES (?, ?)", "it", op->account, op->add[i]);
    return OK;
}

enum err archive_prefs_set(struct connection *c, struct store_request *request)
{
    OP(archive_prefs_set);
    int n;
    if (!op->prefs.given)
        n = sql_run(c,
                    "UPDATE account SET archive_default = NULL, archive_always = x'', "
                    "archive_never = x'' WHERE number = ?",
                    "i", op->account);
    else
        n = sql_run(c,
                    "UPDATE account SET archive_default = ?2, archive_always = ?3, "
                    "archive_never = ?4 WHERE number = ?1",
                    "iibb", op->account, (int64_t)op->prefs.by_default,
                    list_pack(c, op->prefs.always, op->prefs.n_always),
                    list_pack(c, op->prefs.never, op->prefs.n_never));
    return n > 0 ? OK : ERR_MISSING;
}

enum err document_get(struct connection *c, struct store_request *request)
{
    OP(document_get);
    sqlite3_stmt *s = sql_start(c, "SELECT xml FROM document WHERE account = ? AND key = ?", "it",
                                op->account, op->key);
    if (!sql_next(c, s))
        return ERR_MISSING;
    op->xml = sql_text(c, s, 0);
    sql_stop(c, s);
    return OK;
}

enum err document_list(struct connection *c, struct store_request *request)
{
    OP(document_list);
    op->n = 0;
    sqlite3_stmt *s =
        sql_start(c, "SELECT count(*) FROM document WHERE account = ?", "i", op->account);
    int64_t n = sql_next(c, s) ? sqlite3_column_int64(s, 0) : 0;
    sql_stop(c, s);
    op->documents = sql_room(c, (uint32_t)n, sizeof *op->documents);
    if (op->documents == NULL)
        return OK;
    // reader and writer may differ by a commit between the two: n bounds what fits
    s = sql_start(c, "SELECT key, xml FROM document WHERE account = ? ORDER BY key LIMIT ?", "ii",
                  op->account, n);
    while (sql_next(c, s)) {
        op->documents[op->n].key = sql_text(c, s, 0);
        op->documents[op->n++].xml = sql_text(c, s, 1);
    }
    return OK;
}

enum err document_put(struct connection *c, struct store_request *request)
{
    OP(document_put);
    if (op->document.xml.len > 0)
        sql_run(c,
                "INSERT INTO document VALUES (?, ?, ?) "
                "ON CONFLICT (account, key) DO UPDATE SET xml = excluded.xml",
                "itb", op->account, op->document.key, op->document.xml);
    else
        sql_run(c, "DELETE FROM document WHERE account = ? AND key = ?", "it", op->account,
                op->document.key);
    return OK;
}
