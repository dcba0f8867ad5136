/*
 * Messages in SQLite: archive, spool, and who received which lure.
 *
 * A commit costs what pages it dirties, so tables instead of indexes: `message`
 * is a log that only grows at its end.  `archive` and `spool` hold (owner, id):
 * an archive page is one walk along `archive`, filtered without reading a
 * message.  But every owner has a page of his own there; so a new message's
 * entry first stands in `recent` (recent.c), where most messages are delivered
 * and taken out of the spool again.  Some thousand entries later they move,
 * sorted by owner: to `spool`, and to `archive` in blocks (packed.c).  Readers
 * look at all: `archive`, `settled` (the blocks) and `recent` (places.c).
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"

#include <stdlib.h>

#define OP(type) struct store_##type *op = CONTAINER_OF(request, struct store_##type, request)

enum {
    TYPE_SHIFT = 8, // in message.flags
    FLAGS_ON_DISK = STORE_ARCHIVED | STORE_OUTGOING,
    BACKDATE_TRIES = 1 << 20, // beside crowds, only the first meets so many
    BLOCK_LEAST = 3,          // archive entries that are packed; fewer stand alone
    CLEAR_STEP = 256,         // rows taken out of a spool at a time
    ERASE_STEP = 200,         // rows of a deleted account erased in one commit
    RECENT_MOST = 20480,      // entries from which on they are moved, all but those left: bounds a
                              // reader's walk and one commit's length (10 ms with 400 owners)
    RECENT_LEFT = 4096,       // the newest stay: what is in hand soon leaves the spool
    LOGGED_MOST = 4 * RECENT_MOST, // changes to these, after which they are moved as well
};

/* ---- Writing ------------------------------------------------------------------------------- */

int64_t message_flags(const struct store_append *op)
{
    return (op->flags & FLAGS_ON_DISK) | (int64_t)op->type << TYPE_SHIFT;
}

static bool insert_message(struct connection *c, const struct store_append *op, int64_t id,
                           struct str stanza)
{
    return sql_run(c, "INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "iiittttb",
                   id, op->account, message_flags(op), op->peer, op->resource, op->message_id,
                   op->origin_id, stanza) > 0;
}

// Where the row is found: in the archive, in the spool, by its lures.
static void insert_entry(struct connection *c, const struct store_append *op, bool archived,
                         bool spooled)
{
    bool lures = op->n_lures > 0;
    int64_t visible = archived ? 0 : VISIBLE_LEDGER | (lures ? 0 : VISIBLE_NOWHERE);
    int64_t kept = archived ? KEPT_ALL : lures ? KEPT_LEDGER : KEPT_NOTHING;
    int64_t peer = peer_hash(c, op->peer);
    if (!op->backdate) {
        recent_add(c, &(struct recent_entry){op->id, op->account, peer, (uint8_t)visible,
                                             spooled ? (int16_t)kept : -1});
        return;
    }
    if (archived || lures)
        sql_run(c, "INSERT INTO archive VALUES (?, ?, ?, ?)", "iiii", op->account, op->id, peer,
                visible);
    if (spooled)
        sql_run(c, "INSERT INTO spool VALUES (?, ?, ?)", "iii", op->account, op->id, kept);
}

// Imports bring many messages of one stamp: what was sent to everybody, with stamps of whole
// seconds.  Their ids follow each other, and who comes last does not ask past all the others.
static bool insert_backdated(struct connection *c, struct store_append *op, struct str stanza)
{
    arriving_write(c);
    int64_t at = op->id >> STORE_ID_SHIFT;
    struct crowd *crowd = &c->crowds[(uint64_t)at * 0x9E3779B97F4A7C15U >> 56];
    if (crowd->at == at && op->id < crowd->next)
        op->id = crowd->next;
    bool done = false;
    for (int i = 0; i < BACKDATE_TRIES && !done && c->failed == SQLITE_OK; i++, op->id++)
        done = insert_message(c, op, op->id, stanza);
    op->id -= done;
    if (op->id > c->arriving.newest_backdated)
        c->arriving.newest_backdated = op->id;
    // the greatest crowds are worth remembering
    if (done && (crowd->at == at ||
                 op->id - (at << STORE_ID_SHIFT) >= crowd->next - (crowd->at << STORE_ID_SHIFT)))
        *crowd = (struct crowd){at, op->id + 1};
    return done;
}

// False: its id is taken.
static bool write_message(struct connection *c, struct store_append *op, struct str stanza)
{
    if (op->backdate)
        return insert_backdated(c, op, stanza);
    return arriving_add(c, op, stanza) || insert_message(c, op, op->id, stanza);
}

enum err message_append(struct connection *c, struct store_request *request)
{
    OP(append);
    if (c->any_deleted &&
        sql_number(c, 0, "SELECT 1 FROM account WHERE number = ?", "i", op->account) == 0)
        return ERR_MISSING;
    bool archived = (op->flags & STORE_ARCHIVED) != 0, spooled = append_is_spooled(op);
    bool lures = op->n_lures > 0;
    if (!archived && !spooled && !lures)
        return OK; // delivered before it was written
    if (!write_message(c, op, archived || spooled ? op->stanza : STR_EMPTY))
        return ERR_EXISTS;
    insert_entry(c, op, archived, spooled);
    if (lures)
        ledger_add(c, op->lures, op->n_lures, op->id);
    return OK;
}

/* ---- From recent to archive and spool ------------------------------------------------------ */

bool messages_want_moving(const struct connection *c)
{
    return c->recent.n > RECENT_MOST || c->recent.n_logged > LOGGED_MOST;
}

static void settle_alone(struct connection *c, const struct recent_entry *entry)
{
    sql_run(c, "INSERT INTO archive VALUES (?, ?, ?, ?)", "iiii", entry->owner, entry->id,
            entry->peer, (int64_t)entry->visible);
}

// Few are as cheap alone, and cheaper to change.
static void settle_block(struct connection *c, struct block *block)
{
    if (block->n >= BLOCK_LEAST) {
        packed_add(c, block);
    } else {
        for (size_t i = 0; i < block->n; i++)
            settle_alone(c, &block->entries[i]);
    }
    block->n = 0;
}

static void settle(struct connection *c, const struct recent_entry *entry, struct block *block)
{
    if (block->n == BLOCK_MOST || (block->n > 0 && block->owner != entry->owner))
        settle_block(c, block);
    if (entry->kept >= 0)
        sql_run(c, "INSERT INTO spool VALUES (?, ?, ?)", "iii", entry->owner, entry->id,
                (int64_t)entry->kept);
    if ((entry->visible & VISIBLE_NOWHERE) != 0)
        return;
    if (entry->id <= c->packed_up_to) { // came late: blocks do not overlap
        settle_alone(c, entry);
        return;
    }
    block->owner = entry->owner;
    block->entries[block->n] = *entry;
    block->entries[block->n++].kept = -1;
}

// Sorted, so that neighbours share a page's cost.
static void move_up_to(struct connection *c, int64_t id)
{
    size_t n;
    uint32_t *order = recent_by_owner(c, id, &n);
    const struct recent *r = &c->recent;
    struct block block = {.n = 0};
    int64_t newest = c->packed_up_to;
    for (size_t i = 0; i < n; i++) {
        const struct recent_entry *entry = &r->entries[order[i]];
        settle(c, entry, &block);
        newest = entry->id > newest ? entry->id : newest;
    }
    settle_block(c, &block);
    free(order);
    c->packed_up_to = newest; // too high after a rollback does no harm
    sql_run(c, "INSERT OR REPLACE INTO meta VALUES ('packed', ?)", "i", newest);
    recent_forget_up_to(c, id);
}

void messages_move_some(struct connection *c)
{
    const struct recent *r = &c->recent;
    move_up_to(c, r->n > RECENT_LEFT ? r->entries[r->n - RECENT_LEFT - 1].id : 0);
}

/* ---- Reading rows -------------------------------------------------------------------------- */

// After the id, which comes from the table that gives the order.
#define MESSAGE_COLUMNS "m.flags, m.peer, m.resource, m.message_id, m.origin_id, m.stanza"
enum { N_MESSAGE_COLUMNS = 7 };

static struct store_message read_message(struct connection *c, sqlite3_stmt *s, int64_t visible,
                                         bool record)
{
    int64_t flags = sqlite3_column_int64(s, 1);
    struct store_message m = {
        .id = sqlite3_column_int64(s, 0),
        .flags = (uint8_t)(flags & FLAGS_ON_DISK),
        .type = (uint8_t)(flags >> TYPE_SHIFT),
        .peer = sql_text(c, s, 2),
        .resource = sql_text(c, s, 3),
        .message_id = sql_text(c, s, 4),
        .origin_id = sql_text(c, s, 5),
        .stanza = STR_EMPTY,
    };
    m.wall_us = store_id_time_us(m.id);
    if (visible & VISIBLE_HIDDEN)
        m.flags |= STORE_HIDDEN;
    if (visible & VISIBLE_TOMBSTONE)
        m.flags |= STORE_TOMBSTONE;
    if (record || (visible & VISIBLE_WITHDRAWN) == 0)
        m.stanza = sql_text(c, s, 6);
    return m;
}

// A page that outgrows the results' ceiling ends before the row that did not fit.
static bool page_is_cut(struct connection *c, uint32_t n)
{
    if (c->refused == OK || n == 0)
        return false;
    c->refused = OK;
    return true;
}

/* ---- Spool --------------------------------------------------------------------------------- */

static int64_t spool_length(struct connection *c, int64_t account)
{
    return sql_number(c, 0,
                      "SELECT (SELECT count(*) FROM spool WHERE owner = ?1 AND kept < 4) + "
                      "(SELECT count(*) FROM recent "
                      "WHERE owner = ?1 AND kept >= 0 AND kept < 4)",
                      "i", account);
}

void spool_measure(struct connection *c, struct store_account_load *op)
{
    int64_t account = op->account.number;
    op->n_spooled = (uint64_t)spool_length(c, account);
    op->spooled_bytes = 0;
    if (op->n_spooled == 0)
        return;
    op->spooled_bytes = (uint64_t)sql_number(
        c, 0,
        "SELECT coalesce(sum(length(m.stanza)), 0) FROM (SELECT id FROM spool WHERE owner = ?1 "
        "AND kept < 4 UNION ALL SELECT id FROM recent WHERE owner = ?1 "
        "AND kept >= 0 AND kept < 4) w CROSS JOIN message m ON m.id = w.id",
        "i", account);
}

enum err spool_count(struct connection *c, struct store_request *request)
{
    OP(spool_count);
    op->n = (uint64_t)spool_length(c, op->account);
    return OK;
}

enum err spool_list(struct connection *c, struct store_request *request)
{
    OP(spool_list);
    op->n = 0;
    op->more = false;
    op->messages = sql_room(c, op->most, sizeof *op->messages);
    if (op->messages == NULL)
        return OK;
    sqlite3_stmt *s = sql_start(c,
                                "SELECT s.id, " MESSAGE_COLUMNS " FROM spool s "
                                "CROSS JOIN message m ON m.id = s.id "
                                "WHERE s.owner = ?1 AND s.id > ?2 AND s.kept < 4 "
                                "UNION ALL SELECT s.id, " MESSAGE_COLUMNS
                                " FROM recent s CROSS JOIN message m ON m.id = s.id "
                                "WHERE s.owner = ?1 AND s.id > ?2 AND s.kept >= 0 AND s.kept < 4 "
                                "ORDER BY 1 LIMIT ?3",
                                "iii", op->account, op->after_id, (int64_t)op->most + 1);
    while (sql_next(c, s)) {
        struct store_message m = {0};
        if (op->n < op->most)
            m = read_message(c, s, 0, false);
        if (op->n == op->most || page_is_cut(c, op->n)) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        m.flags |= STORE_SPOOLED;
        op->messages[op->n++] = m;
    }
    return OK;
}

// What delivery, expiry or withdrawal leaves of a message that has left the spool.
static void leave_spool(struct connection *c, int64_t id, int64_t kept)
{
    if ((kept & KEPT_MASK) != KEPT_ALL)
        arriving_write(c); // it may be among these
    if ((kept & KEPT_MASK) == KEPT_NOTHING)
        sql_run(c, "DELETE FROM message WHERE id = ?", "i", id);
    else if ((kept & KEPT_MASK) == KEPT_LEDGER)
        sql_run(c, "UPDATE message SET stanza = x'' WHERE id = ?", "i", id);
}

static bool clear_recent(struct connection *c, struct recent_entry *entry)
{
    int64_t id = entry->id, kept = entry->kept;
    if (kept < 0)
        return false;
    bool ends = (kept & KEPT_MASK) == KEPT_NOTHING;
    recent_set(c, entry, ends ? VISIBLE_LEDGER | VISIBLE_NOWHERE : entry->visible, -1);
    leave_spool(c, id, kept);
    return true;
}

// An owner's entry; NULL when it is not there, or not his.
static struct recent_entry *find_recent(struct connection *c, int64_t account, int64_t id)
{
    struct recent_entry *entry = recent_find(c, id);
    return entry != NULL && entry->owner == account && !recent_is_nowhere(entry) ? entry : NULL;
}

static bool clear_one(struct connection *c, int64_t account, int64_t id)
{
    struct recent_entry *entry = find_recent(c, account, id);
    if (entry != NULL)
        return clear_recent(c, entry);
    int64_t kept =
        sql_number(c, -1, "SELECT kept FROM spool WHERE owner = ? AND id = ?", "ii", account, id);
    if (kept < 0)
        return false;
    sql_run(c, "DELETE FROM spool WHERE owner = ? AND id = ?", "ii", account, id);
    leave_spool(c, id, kept);
    return true;
}

static uint32_t clear_recent_up_to(struct connection *c, int64_t account, int64_t up_to)
{
    uint32_t n_cleared = 0;
    for (size_t i = 0; i < c->recent.n && c->recent.entries[i].id <= up_to; i++) {
        struct recent_entry *entry = &c->recent.entries[i];
        if (entry->owner == account && entry->kept < KEPT_WITHDRAWN)
            n_cleared += clear_recent(c, entry);
    }
    return n_cleared;
}

static uint32_t clear_up_to(struct connection *c, int64_t account, int64_t up_to)
{
    uint32_t n_cleared = clear_recent_up_to(c, account, up_to);
    size_t n;
    do {
        struct {
            int64_t id, kept;
        } rows[CLEAR_STEP];
        n = 0;
        sqlite3_stmt *s = sql_start(c,
                                    "SELECT id, kept FROM spool WHERE owner = ? AND id <= ? "
                                    "AND kept < 4 ORDER BY id LIMIT 256",
                                    "ii", account, up_to);
        while (sql_next(c, s)) {
            rows[n].id = sqlite3_column_int64(s, 0);
            rows[n++].kept = sqlite3_column_int64(s, 1);
        }
        if (n == 0)
            break;
        sql_run(c, "DELETE FROM spool WHERE owner = ? AND id BETWEEN ? AND ? AND kept < 4", "iii",
                account, rows[0].id, rows[n - 1].id);
        for (size_t i = 0; i < n; i++)
            leave_spool(c, rows[i].id, rows[i].kept);
        n_cleared += (uint32_t)n;
    } while (n == CLEAR_STEP && c->failed == SQLITE_OK);
    return n_cleared;
}

enum err spool_clear(struct connection *c, struct store_request *request)
{
    OP(spool_clear);
    op->n_cleared = 0;
    op->bytes_cleared = 0;
    for (uint32_t i = 0; i < op->n_ids; i++) {
        if (!clear_one(c, op->account, op->ids[i]))
            continue;
        op->n_cleared++;
        op->bytes_cleared += op->sizes != NULL ? op->sizes[i] : 0;
    }
    if (op->up_to_id != 0)
        op->n_cleared += clear_up_to(c, op->account, op->up_to_id);
    return OK;
}

struct row {
    int64_t owner, id, kept;
};

// The rows that a query of (owner, id, kept) answers, collected before any of them changes.
static struct row *collect(struct connection *c, sqlite3_stmt *s, uint32_t most, uint32_t *n)
{
    struct row *rows = sql_room(c, most, sizeof(struct row));
    *n = 0;
    while (sql_next(c, s)) {
        rows[*n].owner = sqlite3_column_int64(s, 0);
        rows[*n].id = sqlite3_column_int64(s, 1);
        rows[(*n)++].kept = sqlite3_column_int64(s, 2);
    }
    return rows;
}

static int64_t first_id_of(int64_t wall_us)
{
    if (wall_us <= 0)
        return 0;
    return wall_us >= INT64_MAX >> STORE_ID_SHIFT ? INT64_MAX : wall_us << STORE_ID_SHIFT;
}

enum err spool_expire(struct connection *c, struct store_request *request)
{
    OP(spool_expire);
    uint32_t n_looked;
    move_up_to(c, INT64_MAX); // then there is one place to look
    sqlite3_stmt *s = sql_start(c,
                                "SELECT owner, id, kept FROM spool WHERE (owner, id) > (?, ?) "
                                "ORDER BY owner, id LIMIT ?",
                                "iii", op->after_account, op->after_id, (int64_t)op->most);
    struct row *rows = collect(c, s, op->most, &n_looked);
    int64_t before_id = first_id_of(op->before_us);
    op->n = 0;
    for (uint32_t i = 0; i < n_looked; i++)
        if (rows[i].id < before_id)
            op->n += clear_one(c, rows[i].owner, rows[i].id);
    op->more = n_looked == op->most && n_looked > 0;
    if (n_looked > 0) {
        op->after_account = rows[n_looked - 1].owner;
        op->after_id = rows[n_looked - 1].id;
    }
    return OK;
}

/* ---- Archive ------------------------------------------------------------------------------- */

// The filters of a query as SQL sees them.
struct filter {
    int64_t low, high; // ids, exclusive
    int64_t without;   // bits of archive.visible
    int64_t any_peer, peer;
};

static struct filter filter_of(struct connection *c, const struct store_archive_query *op)
{
    struct filter f = {
        .low = first_id_of(op->start_us) - 1,
        .high = op->end_us > 0 && op->end_us < INT64_MAX ? first_id_of(op->end_us + 1) : INT64_MAX,
        .without = VISIBLE_LEDGER | (op->record ? 0 : VISIBLE_HIDDEN),
        .any_peer = op->with.len == 0,
    };
    if (!f.any_peer)
        f.peer = peer_hash(c, op->with);
    return f;
}

static bool is_in_archive(struct connection *c, int64_t account, int64_t id, int64_t without)
{
    return sql_number(c, 0,
                      "SELECT 1 FROM archive WHERE owner = ?1 AND id = ?2 AND (visible & ?3) = 0 "
                      "UNION ALL "
                      "SELECT 1 FROM settled WHERE owner = ?1 AND id = ?2 AND (visible & ?3) = 0 "
                      "UNION ALL "
                      "SELECT 1 FROM recent WHERE owner = ?1 AND id = ?2 AND (visible & ?3) = 0",
                      "iii", account, id, without) != 0;
}

#define MATCH_ARCHIVE                                                                              \
    "a.owner = ?1 AND a.id > ?2 AND a.id < ?3 AND (a.visible & ?4) = 0 "                           \
    "AND (?5 OR a.peer = ?6) "
#define FROM_ARCHIVE(table)                                                                        \
    "FROM " table " a CROSS JOIN message m ON m.id = a.id WHERE " MATCH_ARCHIVE                    \
    "AND (?7 = '' OR m.resource = ?7) "
#define PAGE_OF(table) "SELECT a.id, " MESSAGE_COLUMNS ", a.visible " FROM_ARCHIVE(table)
#define PAGE(order)                                                                                \
    PAGE_OF("archive")                                                                             \
    "UNION ALL " PAGE_OF("settled") "UNION ALL " PAGE_OF("recent") "ORDER BY 1 " order " LIMIT ?8"

static int64_t count_matches(struct connection *c, const struct store_archive_query *op,
                             const struct filter *f)
{
#define COUNT(rest) "(SELECT count(*) " rest ")"
#define COUNT_OF_TABLE(table) COUNT("FROM " table " a WHERE " MATCH_ARCHIVE)
    if (op->with_resource.len == 0)
        return sql_number(c, 0,
                          "SELECT " COUNT_OF_TABLE("archive") " + " COUNT_OF_TABLE(
                              "settled") " + " COUNT_OF_TABLE("recent"),
                          "iiiiii", op->account, f->low, f->high, f->without, f->any_peer, f->peer);
    return sql_number(c, 0,
                      "SELECT " COUNT(FROM_ARCHIVE("archive")) " + " COUNT(
                          FROM_ARCHIVE("settled")) " + " COUNT(FROM_ARCHIVE("recent")),
                      "iiiiiit", op->account, f->low, f->high, f->without, f->any_peer, f->peer,
                      op->with_resource);
#undef COUNT
#undef COUNT_OF_TABLE
}

static void reverse(struct store_message *messages, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        struct store_message m = messages[i];
        messages[i] = messages[n - 1 - i];
        messages[n - 1 - i] = m;
    }
}

static void read_page(struct connection *c, struct store_archive_query *op, const struct filter *f)
{
    static const char forwards[] = PAGE("ASC");
    static const char backwards[] = PAGE("DESC");
    op->complete = true;
    const char *sql = op->backwards ? backwards : forwards;
    sqlite3_stmt *s = sql_start(c, sql, "iiiiiiti", op->account, f->low, f->high, f->without,
                                f->any_peer, f->peer, op->with_resource, (int64_t)op->most + 1);
    while (sql_next(c, s)) {
        struct store_message m = {0};
        if (op->n < op->most)
            m = read_message(c, s, sqlite3_column_int64(s, N_MESSAGE_COLUMNS), op->record);
        if (op->n == op->most || page_is_cut(c, op->n)) {
            op->complete = false;
            sql_stop(c, s);
            break;
        }
        op->messages[op->n++] = m;
    }
    if (op->backwards)
        reverse(op->messages, op->n);
}

static int compare_ids(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The ids asked for that match the other filters, in order; ERR_MISSING when one does not exist.
static enum err matching_ids(struct connection *c, const struct store_archive_query *op,
                             const struct filter *f, int64_t **out, uint32_t *n_out)
{
    int64_t *ids = sql_room(c, op->n_ids, sizeof(int64_t));
    if (ids == NULL)
        return OK;
    memcpy(ids, op->ids, op->n_ids * sizeof *ids);
    qsort(ids, op->n_ids, sizeof *ids, compare_ids);
    uint32_t n = 0;
    for (uint32_t i = 0; i < op->n_ids; i++) {
        if (!is_in_archive(c, op->account, ids[i], f->without))
            return ERR_MISSING;
        if (n > 0 && ids[n - 1] == ids[i])
            continue;
        struct filter one = *f;
        one.low = f->low > ids[i] - 1 ? f->low : ids[i] - 1;
        one.high = f->high < ids[i] + 1 ? f->high : ids[i] + 1;
        if (one.low < one.high && count_matches(c, op, &one) > 0)
            ids[n++] = ids[i];
    }
    *out = ids;
    *n_out = n;
    return OK;
}

static enum err query_ids(struct connection *c, struct store_archive_query *op,
                          const struct filter *f, const struct filter *page)
{
    int64_t *ids = NULL;
    uint32_t n = 0;
    enum err e = matching_ids(c, op, f, &ids, &n);
    if (e != OK)
        return e;
    op->total = n;
    uint32_t begin = 0, end = n;
    while (begin < end && ids[begin] <= page->low)
        begin++;
    while (end > begin && ids[end - 1] >= page->high)
        end--;
    op->complete = end - begin <= op->most;
    if (!op->complete && op->backwards)
        begin = end - op->most;
    else if (!op->complete)
        end = begin + op->most;
    op->index = begin;
    for (uint32_t i = begin; i < end; i++) {
        sqlite3_stmt *s =
            sql_start(c,
                      "SELECT m.id, " MESSAGE_COLUMNS ", coalesce((SELECT visible FROM archive a "
                      "WHERE a.owner = ?1 AND a.id = ?2), "
                      "(SELECT visible FROM settled WHERE owner = ?1 AND id = ?2), "
                      "(SELECT visible FROM recent WHERE id = ?2)) FROM message m WHERE m.id = ?2",
                      "ii", op->account, ids[i]);
        if (sql_next(c, s)) {
            op->messages[op->n++] =
                read_message(c, s, sqlite3_column_int64(s, N_MESSAGE_COLUMNS), op->record);
            sql_stop(c, s);
        }
    }
    return OK;
}

// To the ids between these two; 0: open.
static void narrow(struct filter *filter, int64_t low, int64_t high)
{
    if (low > filter->low)
        filter->low = low;
    if (high != 0 && high < filter->high)
        filter->high = high;
}

enum err archive_query(struct connection *c, struct store_request *request)
{
    OP(archive_query);
    op->n = 0;
    op->total = op->index = 0;
    op->complete = true;
    const int64_t marks[] = {op->above_id, op->below_id, op->after_id, op->before_id};
    for (size_t i = 0; i < COUNT_OF(marks); i++) // a withdrawn row may still be a client's mark
        if (marks[i] != 0 && !is_in_archive(c, op->account, marks[i], VISIBLE_LEDGER))
            return ERR_MISSING;
    struct filter all = filter_of(c, op);
    narrow(&all, op->above_id, op->below_id);
    struct filter page = all;
    narrow(&page, op->after_id, op->before_id);
    op->messages = sql_room(c, op->most, sizeof *op->messages);
    if (op->messages == NULL)
        return OK;
    if (op->n_ids > 0)
        return query_ids(c, op, &all, &page);
    if (op->most > 0)
        read_page(c, op, &page);
    else
        op->complete = count_matches(c, op, &page) == 0;
    if (op->count)
        op->total = (uint64_t)count_matches(c, op, &all);
    if (op->count && op->n > 0) {
        struct filter before = all;
        before.high = op->messages[0].id;
        op->index = (uint64_t)count_matches(c, op, &before);
    }
    return OK;
}

enum err archive_span(struct connection *c, struct store_request *request)
{
    OP(archive_span);
#define END_OF(table, order)                                                                       \
    "SELECT * FROM (SELECT id FROM " table " WHERE owner = ?1 AND (visible & 5) = 0 "              \
    "ORDER BY id " order " LIMIT 1)"
#define END(which, order)                                                                          \
    "SELECT " which "(id) FROM (" END_OF("archive", order) " UNION ALL " END_OF(                   \
        "settled", order) " UNION ALL " END_OF("recent", order) ")"
    op->first_id = sql_number(c, 0, END("min", "ASC"), "i", op->account);
    op->last_id = sql_number(c, 0, END("max", "DESC"), "i", op->account);
#undef END
#undef END_OF
    return OK;
}

static bool set_visible(struct connection *c, const struct store_row *row, int64_t bits)
{
    struct recent_entry *entry = find_recent(c, row->account, row->id);
    if (entry == NULL)
        return sql_run(c,
                       "UPDATE archive SET visible = (visible & 12) | ?3 WHERE owner = ?1 "
                       "AND id = ?2 AND (visible & 3) <> ?3",
                       "iii", row->account, row->id, bits) > 0 ||
               packed_show(c, row->account, row->id, VISIBLE_WITHDRAWN, bits);
    if ((entry->visible & VISIBLE_WITHDRAWN) == bits)
        return false;
    recent_set(c, entry, (entry->visible & ~VISIBLE_WITHDRAWN) | bits, entry->kept);
    return true;
}

// A withdrawn message stays in the spool without being seen there.
static bool set_waiting(struct connection *c, const struct store_row *row, bool waits)
{
    int64_t bit = waits ? 0 : KEPT_WITHDRAWN;
    struct recent_entry *entry = find_recent(c, row->account, row->id);
    if (entry == NULL)
        return sql_run(c,
                       "UPDATE spool SET kept = (kept & 3) | ?3 WHERE owner = ?1 AND id = ?2 "
                       "AND (kept & 4) <> ?3",
                       "iii", row->account, row->id, bit) > 0;
    if (entry->kept < 0 || (entry->kept & KEPT_WITHDRAWN) == bit)
        return false;
    recent_set(c, entry, entry->visible, (entry->kept & KEPT_MASK) | bit);
    return true;
}

enum err archive_withdraw(struct connection *c, struct store_request *request)
{
    OP(archive_withdraw);
    int64_t bits = (op->visibility & STORE_HIDDEN ? VISIBLE_HIDDEN : 0) |
                   (op->visibility & STORE_TOMBSTONE ? VISIBLE_TOMBSTONE : 0);
    op->n_changed = op->n_unspooled = 0;
    for (uint32_t i = 0; i < op->n; i++) {
        struct store_row *row = &op->rows[i];
        bool changed = set_visible(c, row, bits);
        row->unspooled = op->unspool && clear_one(c, row->account, row->id);
        op->n_unspooled += row->unspooled;
        if (!op->unspool)
            changed |= set_waiting(c, row, bits == 0);
        op->n_changed += changed && !row->is_senders;
        if (op->untold_by != 0)
            sql_run(c,
                    "INSERT OR REPLACE INTO untold SELECT id, ?2 FROM message WHERE id = ?1 "
                    "AND owner = ?3",
                    "iii", row->id, (int64_t)op->untold_by, row->account);
        else if (bits == 0)
            sql_run(c, "DELETE FROM untold WHERE id = ?", "i", row->id);
    }
    return OK;
}

enum err archive_told(struct connection *c, struct store_request *request)
{
    OP(archive_told);
    for (uint32_t i = 0; i < op->n; i++)
        sql_run(c, "DELETE FROM untold WHERE id = ? AND the_order = ?", "ii", op->ids[i],
                (int64_t)op->by);
    return OK;
}

static void leave_archive(struct connection *c, int64_t owner, int64_t id)
{
    if (sql_run(c, "DELETE FROM archive WHERE owner = ? AND id = ?", "ii", owner, id) == 0)
        packed_remove(c, owner, id);
}

static void stay_for_lures(struct connection *c, int64_t owner, int64_t id)
{
    if (sql_run(c, "UPDATE archive SET visible = visible | 4 WHERE owner = ? AND id = ?", "ii",
                owner, id) == 0)
        packed_show(c, owner, id, 0, VISIBLE_LEDGER);
}

// Takes a row's archive entry; the rest goes too unless spool or ledger still need it.
static void purge_one(struct connection *c, int64_t owner, int64_t id)
{
    bool waits =
        sql_number(c, 0, "SELECT 1 FROM spool WHERE owner = ? AND id = ?", "ii", owner, id) != 0;
    bool lured = ledger_has(c, id);
    if (lured)
        stay_for_lures(c, owner, id);
    else
        leave_archive(c, owner, id);
    if (waits)
        sql_run(c, "UPDATE spool SET kept = (kept & 4) | ?3 WHERE owner = ?1 AND id = ?2", "iii",
                owner, id, (int64_t)(lured ? KEPT_LEDGER : KEPT_NOTHING));
    if (waits)
        sql_run(c, "UPDATE message SET flags = flags & ~1 WHERE id = ?", "i", id);
    else if (lured)
        sql_run(c, "UPDATE message SET flags = flags & ~1, stanza = x'' WHERE id = ?", "i", id);
    else
        sql_run(c, "DELETE FROM message WHERE id = ?", "i", id);
}

enum err archive_purge(struct connection *c, struct store_request *request)
{
    OP(archive_purge);
    uint32_t n_looked;
    move_up_to(c, INT64_MAX); // then there is one place to look
    sqlite3_stmt *s = sql_start(
        c,
        "SELECT owner, id, (flags & 1) AND (?3 = '' OR ?3 = (SELECT domain FROM account "
        "WHERE number = owner)) FROM message WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?4",
        "iiti", op->after_id, first_id_of(op->before_us), op->domain, (int64_t)op->most);
    struct row *rows = collect(c, s, op->most, &n_looked);
    op->n = 0;
    for (uint32_t i = 0; i < n_looked; i++) {
        if (rows[i].kept == 0)
            continue;
        purge_one(c, rows[i].owner, rows[i].id);
        op->n++;
    }
    op->more = n_looked == op->most && n_looked > 0;
    if (n_looked > 0)
        op->after_id = rows[n_looked - 1].id;
    return OK;
}

/* ---- Deliveries ---------------------------------------------------------------------------- */

// An owner's newest messages, among which an id is looked for again: a client finds by its id what
// it shows, and that is not older.  Only those of the same pair are read, by their keyed hash.
#define NEWEST "2000"
#define ID_AGAIN(table)                                                                            \
    "EXISTS (SELECT 1 FROM (SELECT id, peer FROM " table " WHERE owner = m.owner "                 \
    "ORDER BY id DESC LIMIT " NEWEST ") x CROSS JOIN message n ON n.id = x.id "                    \
    "WHERE x.peer = coalesce(a.peer, p.peer, r.peer) AND n.id <> m.id AND n.peer = m.peer "        \
    "AND n.message_id = m.message_id AND (n.flags & 4) = (m.flags & 4))"
#define ID_REPEATS                                                                                 \
    "(m.message_id <> '' AND (" ID_AGAIN("archive") " OR " ID_AGAIN("settled") " OR " ID_AGAIN(    \
        "recent") "))"

enum err deliveries_find(struct connection *c, struct store_request *request)
{
    OP(deliveries);
    op->n = 0;
    op->more = false;
    op->deliveries = sql_room(c, op->most, sizeof *op->deliveries);
    if (op->deliveries == NULL)
        return OK;
    sqlite3_stmt *s =
        sql_start(c,
                  "SELECT l.id, " MESSAGE_COLUMNS ", coalesce(a.visible, p.visible, r.visible, 0), "
                  "coalesce(s.kept, r.kept, -1), m.owner, o.local, o.domain, " ID_REPEATS
                  ", EXISTS (SELECT 1 FROM untold WHERE id = l.id AND the_order = ?4) "
                  "FROM (SELECT id FROM lure WHERE key = ?1 AND id > ?2 UNION ALL "
                  "SELECT id FROM lure_recent WHERE id > ?2 AND instr(keys, ?1) > 0 ORDER BY 1) l "
                  "CROSS JOIN message m ON m.id = l.id "
                  "JOIN account o ON o.number = m.owner "
                  "LEFT JOIN archive a ON a.owner = m.owner AND a.id = m.id "
                  "LEFT JOIN settled p ON p.owner = m.owner AND p.id = m.id "
                  "LEFT JOIN spool s ON s.owner = m.owner AND s.id = m.id "
                  "LEFT JOIN recent r ON r.id = m.id "
                  "ORDER BY l.id LIMIT ?3",
                  "biii", op->key, op->after_id, (int64_t)op->most + 1, (int64_t)op->untold_by);
    while (sql_next(c, s)) {
        struct store_delivery d = {0};
        if (op->n < op->most) {
            d.message = read_message(c, s, sqlite3_column_int64(s, N_MESSAGE_COLUMNS), true);
            d.account = sqlite3_column_int64(s, N_MESSAGE_COLUMNS + 2);
            d.local = sql_text(c, s, N_MESSAGE_COLUMNS + 3);
            d.domain = sql_text(c, s, N_MESSAGE_COLUMNS + 4);
            d.id_repeats = sqlite3_column_int(s, N_MESSAGE_COLUMNS + 5) != 0;
            d.is_untold = sqlite3_column_int(s, N_MESSAGE_COLUMNS + 6) != 0;
            int64_t kept = sqlite3_column_int64(s, N_MESSAGE_COLUMNS + 1);
            if (kept >= 0)
                d.message.flags |= STORE_SPOOLED;
            if (kept >= 0 && (kept & KEPT_WITHDRAWN))
                d.message.flags |= STORE_HIDDEN;
        }
        if (op->n == op->most || page_is_cut(c, op->n)) {
            op->more = true;
            sql_stop(c, s);
            break;
        }
        op->deliveries[op->n++] = d;
    }
    return OK;
}

// A row whose keys have expired: what was kept only for them goes.
static void forget_lures(struct connection *c, int64_t owner, int64_t id, bool archived)
{
    ledger_forget(c, id);
    if (archived)
        return;
    leave_archive(c, owner, id);
    int waits =
        sql_run(c, "UPDATE spool SET kept = kept & 4 WHERE owner = ? AND id = ?", "ii", owner, id);
    if (waits == 0)
        sql_run(c, "DELETE FROM message WHERE id = ?", "i", id);
}

enum err deliveries_expire(struct connection *c, struct store_request *request)
{
    OP(deliveries_expire);
    move_up_to(c, INT64_MAX); // then there is one place to look
    ledger_move_all(c);
    sqlite3_stmt *s = sql_start(c,
                                "SELECT coalesce(m.owner, 0), l.id, coalesce(m.flags & 1, 0) FROM "
                                "(SELECT DISTINCT id FROM lure WHERE id < ? ORDER BY id LIMIT ?) l "
                                "LEFT JOIN message m ON m.id = l.id",
                                "ii", first_id_of(op->before_us), (int64_t)op->most);
    struct row *rows = collect(c, s, op->most, &op->n);
    for (uint32_t i = 0; i < op->n; i++)
        forget_lures(c, rows[i].owner, rows[i].id, rows[i].kept != 0);
    op->more = op->n == op->most && op->n > 0;
    return OK;
}

/* ---- Deleted accounts ---------------------------------------------------------------------- */

static uint32_t erase_some(struct connection *c, int64_t owner)
{
    uint32_t n;
    sqlite3_stmt *s = sql_start(c,
                                "SELECT owner, id, 0 FROM archive WHERE owner = ?1 UNION "
                                "SELECT owner, id, 0 FROM spool WHERE owner = ?1 UNION "
                                "SELECT owner, id, 0 FROM settled WHERE owner = ?1 UNION "
                                "SELECT owner, id, 0 FROM recent WHERE owner = ?1 LIMIT ?2",
                                "ii", owner, (int64_t)ERASE_STEP);
    struct row *rows = collect(c, s, ERASE_STEP, &n);
    for (uint32_t i = 0; i < n; i++) {
        leave_archive(c, owner, rows[i].id);
        sql_run(c, "DELETE FROM spool WHERE owner = ? AND id = ?", "ii", owner, rows[i].id);
        struct recent_entry *entry = recent_find(c, rows[i].id);
        if (entry != NULL)
            recent_set(c, entry, VISIBLE_LEDGER | VISIBLE_NOWHERE, -1);
        ledger_forget(c, rows[i].id);
        sql_run(c, "DELETE FROM message WHERE id = ?", "i", rows[i].id);
    }
    return n;
}

bool messages_erase_doomed(struct connection *c)
{
    int64_t owner = sql_number(c, 0, "SELECT owner FROM doomed LIMIT 1", "");
    if (owner == 0)
        return false;
    if (erase_some(c, owner) < ERASE_STEP && c->failed == SQLITE_OK)
        sql_run(c, "DELETE FROM doomed WHERE owner = ?", "i", owner);
    return sql_number(c, 0, "SELECT 1 FROM doomed LIMIT 1", "") != 0;
}
