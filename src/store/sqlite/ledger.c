/*
 * The ledger: which message carried which lure, found by any of its keys.
 *
 * Keys are hashes, so in `lure` each key's page is another one, and a commit
 * costs what pages it dirties.  A new message's keys are first one row of
 * `lure_recent`, a log; some thousand messages later they move to `lure`, sorted,
 * so that neighbours share a page's cost.
 */
#include "store/sqlite/sqlite_internal.h"

#include <stdlib.h>

enum {
    RECENT_MOST = 2048, // messages from which on their keys are moved: bounds what a reader has to
                        // search, and one commit's length
    ENTRIES_A_MOVE = 8192, // with their keys well below the ceiling of a piece of housekeeping
};

struct entry {
    struct str key;
    int64_t id;
};

void ledger_add(struct connection *c, const struct str *keys, uint32_t n, int64_t id)
{
    c->n_lure_recent += sql_run(c, "INSERT OR REPLACE INTO lure_recent VALUES (?, ?)", "ib", id,
                                list_pack(c, keys, n));
}

bool ledger_has(struct connection *c, int64_t id)
{
    return sql_number(c, 0,
                      "SELECT 1 FROM lure WHERE id = ?1 UNION ALL "
                      "SELECT 1 FROM lure_recent WHERE id = ?1",
                      "i", id) != 0;
}

void ledger_forget(struct connection *c, int64_t id)
{
    if (sql_run(c, "DELETE FROM lure_recent WHERE id = ?", "i", id) == 0)
        sql_run(c, "DELETE FROM lure WHERE id = ?", "i", id);
    sql_run(c, "DELETE FROM untold WHERE id = ?", "i", id); // nothing finds it any more
}

static int compare(const void *a_at, const void *b_at)
{
    const struct entry *a = a_at, *b = b_at;
    int order = str_cmp(a->key, b->key);
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

// The keys of the oldest messages, about as many as a commit may move; false: none was left.
static bool move_portion(struct connection *c)
{
    static const char *const oldest = "SELECT id, keys FROM lure_recent ORDER BY id";
    struct entry *entries = sql_room(c, ENTRIES_A_MOVE + STORE_LURES_MOST, sizeof *entries);
    size_t n = 0;
    int64_t last = -1;
    sqlite3_stmt *s = sql_start(c, oldest, "");
    while (entries != NULL && sql_next(c, s)) {
        if (n >= ENTRIES_A_MOVE) {
            sql_stop(c, s);
            break;
        }
        struct str *keys;
        int64_t id = sqlite3_column_int64(s, 0);
        uint32_t n_keys = list_unpack(c, sql_text(c, s, 1), &keys);
        for (uint32_t i = 0; i < n_keys && i < STORE_LURES_MOST; i++)
            entries[n++] = (struct entry){keys[i], id};
        last = id;
    }
    if (last < 0 || c->failed != SQLITE_OK || c->refused != OK)
        return false;
    qsort(entries, n, sizeof *entries, compare);
    for (size_t i = 0; i < n; i++)
        sql_run(c, "INSERT OR IGNORE INTO lure VALUES (?, ?)", "bi", entries[i].key, entries[i].id);
    sql_run(c, "DELETE FROM lure_recent WHERE id <= ?", "i", last);
    return true;
}

bool ledger_wants_moving(const struct connection *c)
{
    return c->n_lure_recent > RECENT_MOST;
}

void ledger_count(struct connection *c)
{
    c->n_lure_recent = sql_number(c, 0, "SELECT count(*) FROM lure_recent", "");
}

void ledger_move_some(struct connection *c)
{
    move_portion(c);
    ledger_count(c);
}

void ledger_move_all(struct connection *c)
{
    while (move_portion(c))
        continue;
    ledger_count(c);
}
