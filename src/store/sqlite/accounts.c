/*
 * Accounts and their keys in SQLite.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"

#define OP(type) struct store_##type *op = CONTAINER_OF(request, struct store_##type, request)

static void put_keys(struct connection *c, int64_t account, const struct store_keys *keys)
{
    for (int64_t hash = 0; hash < STORE_N_HASHES; hash++)
        if (keys[hash].iterations > 0)
            sql_run(c, "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?)", "iiibbb", account, hash,
                    (int64_t)keys[hash].iterations, keys[hash].salt, keys[hash].stored_key,
                    keys[hash].server_key);
}

enum err account_create(struct connection *c, struct store_request *request)
{
    OP(account_create);
    sql_run(c, "INSERT INTO account (domain, local, created_us) VALUES (?, ?, ?)", "tti",
            op->domain, op->local, op->wall_us);
    if (c->failed != SQLITE_OK)
        return OK;
    int64_t account = sqlite3_last_insert_rowid(c->db);
    put_keys(c, account, op->keys);
    op->account = account;
    return OK;
}

#define ACCOUNT_COLUMNS                                                                            \
    "number, local, domain, disabled, disabled_why, created_us, login_us, active_us, "             \
    "active_status"
enum { N_ACCOUNT_COLUMNS = 9 };

static void read_account(struct connection *c, sqlite3_stmt *s, struct store_account *out)
{
    *out = (struct store_account){
        .number = sqlite3_column_int64(s, 0),
        .local = sql_text(c, s, 1),
        .domain = sql_text(c, s, 2),
        .disabled = sqlite3_column_int(s, 3) != 0,
        .disabled_why = sql_text(c, s, 4),
        .created_us = sqlite3_column_int64(s, 5),
        .login_us = sqlite3_column_int64(s, 6),
        .active_us = sqlite3_column_int64(s, 7),
        .active_status = sql_text(c, s, 8),
    };
}

enum err account_find(struct connection *c, struct store_request *request)
{
    OP(account_find);
    sqlite3_stmt *s =
        sql_start(c, "SELECT " ACCOUNT_COLUMNS " FROM account WHERE domain = ? AND local = ?", "tt",
                  op->domain, op->local);
    if (!sql_next(c, s))
        return ERR_MISSING;
    read_account(c, s, &op->account);
    sql_stop(c, s);
    memset(op->keys, 0, sizeof op->keys);
    s = sql_start(c,
                  "SELECT hash, iterations, salt, stored_key, server_key FROM credential "
                  "WHERE account = ?",
                  "i", op->account.number);
    while (sql_next(c, s)) {
        int64_t hash = sqlite3_column_int64(s, 0);
        if (hash >= 0 && hash < STORE_N_HASHES)
            op->keys[hash] = (struct store_keys){
                .iterations = (uint32_t)sqlite3_column_int64(s, 1),
                .salt = sql_text(c, s, 2),
                .stored_key = sql_text(c, s, 3),
                .server_key = sql_text(c, s, 4),
            };
    }
    return OK;
}

enum err account_set_keys(struct connection *c, struct store_request *request)
{
    OP(account_set_keys);
    if (sql_number(c, 0, "SELECT 1 FROM account WHERE number = ?", "i", op->account) == 0)
        return ERR_MISSING;
    sql_run(c, "DELETE FROM credential WHERE account = ?", "i", op->account);
    put_keys(c, op->account, op->keys);
    return OK;
}

enum err account_disable(struct connection *c, struct store_request *request)
{
    OP(account_disable);
    int n = sql_run(c, "UPDATE account SET disabled = ?, disabled_why = ? WHERE number = ?", "iti",
                    (int64_t)op->disabled, op->disabled ? op->reason : STR_EMPTY, op->account);
    return n > 0 ? OK : ERR_MISSING;
}

enum err account_delete(struct connection *c, struct store_request *request)
{
    OP(account_delete);
    int64_t account = sql_number(c, 0, "SELECT number FROM account WHERE domain = ? AND local = ?",
                                 "tt", op->domain, op->local);
    if (account == 0)
        return ERR_MISSING;
    sql_run(c, "DELETE FROM account WHERE number = ?", "i", account);
    sql_run(c, "INSERT INTO doomed VALUES (?)", "i", account);
    c->any_deleted = c->any_doomed = true;
    op->account = account;
    return OK;
}

enum err account_list(struct connection *c, struct store_request *request)
{
    OP(account_list);
    op->n = 0;
    op->total = 0;
    if (op->count)
        op->total =
            (uint64_t)sql_number(c, 0,
                                 "SELECT count(*) FROM account WHERE (?1 = '' OR domain = ?1) "
                                 "AND (?2 = '' OR instr(local, ?2) > 0)",
                                 "tt", op->domain, op->contains);
    op->accounts = sql_room(c, op->most, sizeof *op->accounts);
    if (op->accounts == NULL || op->most == 0)
        return OK;
    sqlite3_stmt *s;
    if (op->domain.len > 0)
        s = sql_start(c,
                      "SELECT " ACCOUNT_COLUMNS " FROM account WHERE domain = ?1 AND local > ?2 "
                      "AND (?3 = '' OR instr(local, ?3) > 0) ORDER BY local LIMIT ?4",
                      "ttti", op->domain, op->after_local, op->contains, (int64_t)op->most);
    else
        s = sql_start(c,
                      "SELECT " ACCOUNT_COLUMNS " FROM account WHERE (domain, local) > (?1, ?2) "
                      "AND (?3 = '' OR instr(local, ?3) > 0) ORDER BY domain, local LIMIT ?4",
                      "ttti", op->after_domain, op->after_local, op->contains, (int64_t)op->most);
    while (sql_next(c, s))
        read_account(c, s, &op->accounts[op->n++]);
    return OK;
}

enum err account_count(struct connection *c, struct store_request *request)
{
    OP(account_count);
    sqlite3_stmt *s = sql_start(c,
                                "SELECT count(*), coalesce(sum(disabled), 0), "
                                "coalesce(sum(max(login_us, active_us) >= ?2), 0) "
                                "FROM account WHERE ?1 = '' OR domain = ?1",
                                "ti", op->domain, op->active_since_us);
    if (sql_next(c, s)) {
        op->n = (uint64_t)sqlite3_column_int64(s, 0);
        op->n_disabled = (uint64_t)sqlite3_column_int64(s, 1);
        op->n_active = (uint64_t)sqlite3_column_int64(s, 2);
        sql_stop(c, s);
    }
    return OK;
}

enum err account_seen(struct connection *c, struct store_request *request)
{
    OP(account_seen);
    int n = sql_run(c,
                    "UPDATE account SET login_us = iif(?2 <> 0, ?2, login_us), "
                    "active_us = iif(?3 <> 0, ?3, active_us), "
                    "active_status = iif(?3 <> 0, ?4, active_status) WHERE number = ?1",
                    "iiit", op->account, op->login_us, op->active_us, op->status);
    return n > 0 ? OK : ERR_MISSING;
}

static enum err import_messages(struct connection *c, struct store_import *account, int64_t number)
{
    enum err e = OK;
    for (uint32_t i = 0; i < account->n_messages && e == OK && c->failed == SQLITE_OK; i++) {
        struct store_append *append = &account->messages[i];
        // stamps of whole seconds are common: what has the same one stays in its order
        if (i > 0 && append->backdate && append->wall_us == append[-1].wall_us)
            append->id = append[-1].id + 1;
        append->account = number;
        e = message_append(c, &append->request);
    }
    return e;
}

static enum err import_one(struct connection *c, struct store_account_import *op,
                           struct store_import *account)
{
    account->account = 0;
    int n = sql_run(c,
                    "INSERT OR IGNORE INTO account (domain, local, disabled, created_us, "
                    "roster_version, roster_floor) VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
                    "ttiii", account->domain, account->local, (int64_t)account->disabled,
                    op->wall_us, (int64_t)account->n_items);
    if (n == 0) {
        op->n_existing++;
        return OK;
    }
    int64_t number = sqlite3_last_insert_rowid(c->db);
    put_keys(c, number, account->keys);
    for (uint32_t i = 0; i < account->n_items; i++)
        roster_put(c, number, &account->items[i], (int64_t)i + 1);
    for (uint32_t i = 0; i < account->n_documents; i++)
        sql_run(c, "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", "itb", number,
                account->documents[i].key, account->documents[i].xml);
    for (uint32_t i = 0; i < account->n_pending; i++)
        sql_run(c, "INSERT OR REPLACE INTO pending VALUES (?, ?, ?)", "itb", number,
                account->pending[i].from, account->pending[i].stanza);
    for (uint32_t i = 0; i < account->n_blocked; i++)
        sql_run(c, "INSERT OR IGNORE INTO blocked VALUES (?, ?)", "it", number,
                account->blocked[i]);
    account->account = number;
    op->n_made++;
    return import_messages(c, account, number);
}

enum err account_import(struct connection *c, struct store_request *request)
{
    OP(account_import);
    enum err e = OK;
    op->n_made = op->n_existing = 0;
    for (uint32_t i = 0; i < op->n && e == OK && c->failed == SQLITE_OK; i++)
        e = import_one(c, op, &op->accounts[i]);
    return e;
}

enum err account_load(struct connection *c, struct store_request *request)
{
    OP(account_load);
    static const char by_number[] =
        "SELECT " ACCOUNT_COLUMNS ", roster_version, roster_floor, archive_default, "
        "archive_always, archive_never FROM account WHERE number = ?";
    static const char by_name[] =
        "SELECT " ACCOUNT_COLUMNS ", roster_version, roster_floor, archive_default, "
        "archive_always, archive_never FROM account WHERE domain = ? AND local = ?";
    sqlite3_stmt *s = op->by_number != 0 ? sql_start(c, by_number, "i", op->by_number)
                                         : sql_start(c, by_name, "tt", op->domain, op->local);
    if (!sql_next(c, s))
        return ERR_MISSING;
    read_account(c, s, &op->account);
    op->roster_version = sqlite3_column_int64(s, N_ACCOUNT_COLUMNS);
    op->roster_floor = sqlite3_column_int64(s, N_ACCOUNT_COLUMNS + 1);
    op->prefs = (struct store_archive_prefs){0};
    op->prefs.given = sqlite3_column_type(s, N_ACCOUNT_COLUMNS + 2) != SQLITE_NULL;
    op->prefs.by_default = (enum store_archive_default)sqlite3_column_int(s, N_ACCOUNT_COLUMNS + 2);
    struct str always = sql_text(c, s, N_ACCOUNT_COLUMNS + 3);
    struct str never = sql_text(c, s, N_ACCOUNT_COLUMNS + 4);
    sql_stop(c, s);
    op->prefs.n_always = list_unpack(c, always, &op->prefs.always);
    op->prefs.n_never = list_unpack(c, never, &op->prefs.never);
    roster_load(c, op);
    spool_measure(c, op);
    return OK;
}
