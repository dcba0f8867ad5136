/*
 * What is known of uploaded files, in SQLite.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"

#define OP(type) struct store_##type *op = CONTAINER_OF(request, struct store_##type, request)

enum err upload_put(struct connection *c, struct store_request *request)
{
    OP(upload_put);
    const struct store_upload *u = &op->upload;
    // a constraint that fails is ERR_EXISTS
    sql_run(c, "INSERT INTO upload VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "titttibitii", u->id,
            u->owner, u->jid, u->name, u->type, (int64_t)u->size, u->digest, (int64_t)u->flags,
            u->finding, u->created_us, u->expires_us);
    return OK;
}

enum err upload_mark(struct connection *c, struct store_request *request)
{
    OP(upload_mark);
    int n = sql_run(c, "UPDATE upload SET flags = ?, finding = ? WHERE id = ?", "itt",
                    (int64_t)op->flags, op->finding, op->id);
    return n > 0 ? OK : ERR_MISSING;
}

enum err upload_remove(struct connection *c, struct store_request *request)
{
    OP(upload_remove);
    op->n_removed = 0;
    for (uint32_t i = 0; i < op->n; i++)
        op->n_removed += (uint32_t)sql_run(c, "DELETE FROM upload WHERE id = ?", "t", op->ids[i]);
    return OK;
}

enum err upload_list(struct connection *c, struct store_request *request)
{
    OP(upload_list);
    op->n = 0;
    op->more = false;
    op->uploads = sql_room(c, op->most, sizeof *op->uploads);
    if (op->uploads == NULL)
        return OK;
#define COLUMNS                                                                                    \
    "id, owner, jid, name, media_type, size, digest, flags, finding, created_us, expires_us"
    static const char all[] =
        "SELECT " COLUMNS " FROM upload WHERE id > ?1 AND ?3 = 0 ORDER BY id LIMIT ?2";
    static const char of_owner[] =
        "SELECT " COLUMNS " FROM upload WHERE owner = ?3 AND id > ?1 ORDER BY id LIMIT ?2";
#undef COLUMNS
    sqlite3_stmt *s = sql_start(c, op->owner != 0 ? of_owner : all, "tii", op->after_id,
                                (int64_t)op->most + 1, op->owner);
    while (sql_next(c, s)) {
        if (op->n == op->most) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        op->uploads[op->n++] = (struct store_upload){
            .id = sql_text(c, s, 0),
            .owner = sqlite3_column_int64(s, 1),
            .jid = sql_text(c, s, 2),
            .name = sql_text(c, s, 3),
            .type = sql_text(c, s, 4),
            .size = (uint64_t)sqlite3_column_int64(s, 5),
            .digest = sql_text(c, s, 6),
            .flags = (uint32_t)sqlite3_column_int64(s, 7),
            .finding = sql_text(c, s, 8),
            .created_us = sqlite3_column_int64(s, 9),
            .expires_us = sqlite3_column_int64(s, 10),
        };
    }
    return OK;
}
