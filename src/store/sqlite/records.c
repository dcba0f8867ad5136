/*
 * Records, the guard's events and the audit record in SQLite.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/clock.h"
#include "base/list.h"

#define OP(type) struct store_##type *op = CONTAINER_OF(request, struct store_##type, request)

enum err record_put(struct connection *c, struct store_request *request)
{
    OP(record_put);
    const struct store_record *r = &op->record;
    int64_t created_us = r->created_us != 0 ? r->created_us : clock_wall_us();
    static const char put[] =
        "INSERT INTO record (kind, key, within, subject, created_us, expires_us, value) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET "
        "within = excluded.within, subject = excluded.subject, "
        "expires_us = excluded.expires_us, value = excluded.value";
    static const char put_new[] =
        "INSERT INTO record (kind, key, within, subject, created_us, expires_us, value) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)";
    const char *sql = op->only_new ? put_new : put;
    sql_run(c, sql, "itttiib", (int64_t)op->kind, r->key, r->group, r->subject, created_us,
            r->expires_us, r->value);
    return OK;
}

#define RECORD_COLUMNS "key, within, subject, created_us, expires_us, value"

static struct store_record read_record(struct connection *c, sqlite3_stmt *s)
{
    return (struct store_record){
        .key = sql_text(c, s, 0),
        .group = sql_text(c, s, 1),
        .subject = sql_text(c, s, 2),
        .created_us = sqlite3_column_int64(s, 3),
        .expires_us = sqlite3_column_int64(s, 4),
        .value = sql_text(c, s, 5),
    };
}

enum err record_get(struct connection *c, struct store_request *request)
{
    OP(record_get);
    sqlite3_stmt *s =
        sql_start(c, "SELECT " RECORD_COLUMNS " FROM record WHERE kind = ? AND key = ?", "it",
                  (int64_t)op->kind, op->key);
    if (!sql_next(c, s))
        return ERR_MISSING;
    op->record = read_record(c, s);
    sql_stop(c, s);
    bool expired =
        op->now_us != 0 && op->record.expires_us != 0 && op->record.expires_us <= op->now_us;
    return expired ? ERR_MISSING : OK;
}

enum err record_take(struct connection *c, struct store_request *request)
{
    OP(record_get);
    enum err e = record_get(c, request);
    // a result that does not fit must not be lost: then it stays
    if (c->refused == OK)
        sql_run(c, "DELETE FROM record WHERE kind = ? AND key = ?", "it", (int64_t)op->kind,
                op->key);
    return e;
}

enum err record_remove(struct connection *c, struct store_request *request)
{
    OP(record_remove);
    int n = sql_run(c, "DELETE FROM record WHERE kind = ? AND key = ?", "it", (int64_t)op->kind,
                    op->key);
    return n > 0 ? OK : ERR_MISSING;
}

enum err record_list(struct connection *c, struct store_request *request)
{
    OP(record_list);
    op->n = 0;
    op->more = false;
    op->records = sql_room(c, op->most, sizeof *op->records);
    if (op->records == NULL)
        return OK;
    static const char by_group[] =
        "SELECT " RECORD_COLUMNS " FROM record WHERE kind = ?1 AND key > ?2 "
        "AND (?3 = 0 OR expires_us = 0 OR expires_us > ?3) AND within = ?5 AND within <> '' "
        "AND (?6 = '' OR subject = ?6) ORDER BY key LIMIT ?4";
    static const char by_subject[] =
        "SELECT " RECORD_COLUMNS " FROM record WHERE kind = ?1 AND key > ?2 "
        "AND (?3 = 0 OR expires_us = 0 OR expires_us > ?3) AND (?5 = '' OR within = ?5) "
        "AND subject = ?6 AND subject <> '' ORDER BY key LIMIT ?4";
    static const char all[] =
        "SELECT " RECORD_COLUMNS " FROM record WHERE kind = ?1 AND key > ?2 "
        "AND (?3 = 0 OR expires_us = 0 OR expires_us > ?3) AND (?5 = '' OR within = ?5) "
        "AND (?6 = '' OR subject = ?6) ORDER BY key LIMIT ?4";
    const char *sql = op->group.len > 0 ? by_group : op->subject.len > 0 ? by_subject : all;
    sqlite3_stmt *s = sql_start(c, sql, "itiitt", (int64_t)op->kind, op->after_key, op->now_us,
                                (int64_t)op->most + 1, op->group, op->subject);
    while (sql_next(c, s)) {
        if (op->n == op->most) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        op->records[op->n++] = read_record(c, s);
    }
    return OK;
}

enum err record_expire(struct connection *c, struct store_request *request)
{
    OP(record_expire);
    op->n = (uint32_t)sql_run(
        c, "DELETE FROM record WHERE kind = ? AND expires_us <> 0 AND expires_us <= ?", "ii",
        (int64_t)op->kind, op->now_us);
    return OK;
}

/* ---- Events -------------------------------------------------------------------------------- */

enum err event_append(struct connection *c, struct store_request *request)
{
    OP(event_append);
    int64_t newest = sql_number(c, INT64_MIN, "SELECT max(number) FROM event", "");
    for (uint32_t i = 0; i < op->n; i++) {
        if (op->events[i].number <= newest)
            return ERR_EXISTS;
        newest = op->events[i].number;
        sql_run(c, "INSERT INTO event VALUES (?, ?)", "ib", newest, op->events[i].blob);
    }
    return OK;
}

enum err event_read(struct connection *c, struct store_request *request)
{
    OP(event_read);
    op->n = 0;
    op->more = false;
    op->events = sql_room(c, op->most, sizeof *op->events);
    if (op->events == NULL)
        return OK;
    sqlite3_stmt *s =
        sql_start(c, "SELECT number, blob FROM event WHERE number > ? ORDER BY number LIMIT ?",
                  "ii", op->after, (int64_t)op->most + 1);
    while (sql_next(c, s)) {
        if (op->n == op->most) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        op->events[op->n++] = (struct store_event){sqlite3_column_int64(s, 0), sql_text(c, s, 1)};
    }
    return OK;
}

enum err event_trim(struct connection *c, struct store_request *request)
{
    OP(event_trim);
    // the newest one stays: it says where numbers go on
    sql_run(c, "DELETE FROM event WHERE number <= ? AND number < (SELECT max(number) FROM event)",
            "i", op->up_to);
    return OK;
}

/* ---- Audit --------------------------------------------------------------------------------- */

enum err audit_append(struct connection *c, struct store_request *request)
{
    OP(audit_append);
    struct store_audit *e = &op->entry;
    sql_run(c,
            "INSERT INTO audit (wall_us, actor, action, scope, reason, details) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            "ittttt", e->wall_us, e->actor, e->action, e->scope, e->reason, e->details);
    if (c->failed == SQLITE_OK)
        e->number = sqlite3_last_insert_rowid(c->db);
    return OK;
}

enum err audit_list(struct connection *c, struct store_request *request)
{
    OP(audit_list);
    op->n = 0;
    op->more = false;
    op->entries = sql_room(c, op->most, sizeof *op->entries);
    if (op->entries == NULL)
        return OK;
    sqlite3_stmt *s =
        sql_start(c,
                  "SELECT number, wall_us, actor, action, scope, reason, details FROM audit "
                  "WHERE number < ?1 AND wall_us >= ?2 AND (?3 = '' OR actor = ?3) "
                  "AND (?4 = '' OR scope = ?4) ORDER BY number DESC LIMIT ?5",
                  "iitti", op->before != 0 ? op->before : INT64_MAX, op->since_us, op->actor,
                  op->scope, (int64_t)op->most + 1);
    while (sql_next(c, s)) {
        if (op->n == op->most) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        op->entries[op->n++] = (struct store_audit){
            .number = sqlite3_column_int64(s, 0),
            .wall_us = sqlite3_column_int64(s, 1),
            .actor = sql_text(c, s, 2),
            .action = sql_text(c, s, 3),
            .scope = sql_text(c, s, 4),
            .reason = sql_text(c, s, 5),
            .details = sql_text(c, s, 6),
        };
    }
    return OK;
}
