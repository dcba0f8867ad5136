/*
 * Recent: where the newest messages stand in their owners' archives and spools.
 *
 * In `archive` and `spool` each owner has a page of his own, so a new message
 * stands here first.  Of what a commit adds and changes here, `recent_log` gets
 * one packed row; each connection keeps the sum of these rows in memory, in
 * order of ids.  The writer's is ahead of the disk by the transaction under way.
 * A reader first reads on in the log, in the snapshot of its operation: thus it
 * sees neither less nor more than its snapshot has, and a rollback or a crash
 * takes back here what it takes back elsewhere.  Some thousand entries later the
 * writer moves them to `archive` and `spool`, sorted, and begins the log anew
 * with those that stay.
 *
 * Queries see the entries as a table `recent` (id, owner, peer, visible, kept),
 * of which visible and kept mean what they do there; kept is NULL for what is
 * not in the spool.
 *
 * A packed row is a series of entries: a byte (visible, 1 + kept in bits 4 to 6,
 * bit 7: new), the id's distance from the one before it, and of a new one the
 * owner and seven bytes of peer.  Numbers are in groups of 7 bits, lowest first.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"
#include "base/must.h"

#include <stdlib.h>

enum {
    IS_NEW = 0x80,
    PEER_BYTES = 7,
    ENTRY_MOST = 1 + 10 + 10 + PEER_BYTES, // packed
    ROOM_KEPT = 65536,                     // entries whose memory is kept when few are left
};

static const size_t NEWS_MOST = 512U << 20; // bytes of one transaction

/* ---- In memory ------------------------------------------------------------------------------ */

// Where id stands, or would stand.
static size_t place_of(const struct recent *r, int64_t id)
{
    if (r->n == 0 || r->entries[r->n - 1].id < id)
        return r->n;
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct recent_entry *recent_find(struct connection *c, int64_t id)
{
    const struct recent *r = &c->recent;
    size_t at = place_of(r, id);
    return at < r->n && r->entries[at].id == id ? &r->entries[at] : NULL;
}

// Ids come nearly in order: little has to make way.
static void put(struct recent *r, const struct recent_entry *entry)
{
    size_t at = place_of(r, entry->id);
    if (at < r->n && r->entries[at].id == entry->id) {
        r->entries[at] = *entry;
        return;
    }
    if (r->n == r->room) {
        r->room = r->room > 0 ? 2 * r->room : 256;
        r->entries = reallocarray(r->entries, r->room, sizeof *r->entries);
        must(r->entries != NULL);
    }
    memmove(&r->entries[at + 1], &r->entries[at], (r->n - at) * sizeof *r->entries);
    r->entries[at] = *entry;
    r->n++;
}

static void forget_all(struct recent *r)
{
    r->n = 0;
    r->first_row = r->last_row = 0;
    r->n_logged = 0;
}

/* ---- Packed --------------------------------------------------------------------------------- */

static char *put_number(char *at, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        *at++ = (char)(n | 0x80);
    *at++ = (char)n;
    return at;
}

static bool take_number(struct str *rest, uint64_t *out)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 10 && i < rest->len; i++) {
        n |= (uint64_t)(rest->at[i] & 0x7F) << (7 * i);
        if ((rest->at[i] & 0x80) == 0) {
            *rest = str_skip(*rest, i + 1);
            *out = n;
            return true;
        }
    }
    return false;
}

static void pack(struct recent *r, const struct recent_entry *entry, bool is_new)
{
    char *begin = buf_reserve(&r->news, ENTRY_MOST), *at = begin;
    if (begin == NULL)
        return; // remembered there
    *at++ = (char)(entry->visible | (entry->kept + 1) << 4 | (is_new ? IS_NEW : 0));
    uint64_t distance = (uint64_t)entry->id - (uint64_t)r->news_id;
    at = put_number(at, distance << 1 ^ (distance >> 63 != 0 ? UINT64_MAX : 0));
    if (is_new) {
        at = put_number(at, (uint64_t)entry->owner);
        for (unsigned b = 0; b < PEER_BYTES; b++)
            *at++ = (char)(entry->peer >> (8 * b) & 0xFF);
    }
    r->news.len += (size_t)(at - begin);
    r->news_id = entry->id;
    r->n_logged++;
}

static bool unpack_one(struct connection *c, struct str *rest, int64_t *id)
{
    unsigned char head = (unsigned char)rest->at[0];
    uint64_t distance, owner;
    *rest = str_skip(*rest, 1);
    if (!take_number(rest, &distance))
        return false;
    distance = distance >> 1 ^ ((distance & 1) != 0 ? UINT64_MAX : 0);
    *id = (int64_t)((uint64_t)*id + distance);
    struct recent_entry entry = {.id = *id, .visible = head & 0xF};
    entry.kept = (int16_t)((head >> 4 & 7) - 1);
    c->recent.n_logged++;
    if ((head & IS_NEW) == 0) {
        struct recent_entry *old = recent_find(c, *id);
        if (old == NULL)
            return false;
        old->visible = entry.visible;
        old->kept = entry.kept;
        return true;
    }
    if (!take_number(rest, &owner) || rest->len < PEER_BYTES)
        return false;
    entry.owner = (int64_t)owner;
    for (unsigned b = 0; b < PEER_BYTES; b++)
        entry.peer |= (int64_t)(unsigned char)rest->at[b] << (8 * b);
    *rest = str_skip(*rest, PEER_BYTES);
    put(&c->recent, &entry);
    return true;
}

static bool unpack(struct connection *c, struct str packed)
{
    int64_t id = 0;
    while (packed.len > 0)
        if (!unpack_one(c, &packed, &id))
            return false;
    return true;
}

/* ---- The log -------------------------------------------------------------------------------- */

// Reads on in the log, or anew where it has begun anew.
static void catch_up(struct connection *c)
{
    struct recent *r = &c->recent;
    int64_t first = sql_number(c, 0, "SELECT seq FROM recent_log ORDER BY seq LIMIT 1", "");
    if (first != r->first_row)
        forget_all(r);
    r->first_row = first;
    sqlite3_stmt *s = sql_start(c, "SELECT seq, entries FROM recent_log WHERE seq > ? ORDER BY seq",
                                "i", r->last_row);
    while (first != 0 && sql_next(c, s)) {
        const char *at = sqlite3_column_blob(s, 1);
        size_t len = (size_t)sqlite3_column_bytes(s, 1);
        if (at != NULL && !unpack(c, str_make(at, len)))
            sql_fail(c, SQLITE_CORRUPT);
        r->last_row = sqlite3_column_int64(s, 0);
    }
    if (c->failed != SQLITE_OK)
        forget_all(r); // half of it is none
}

void recent_load(struct connection *c)
{
    buf_clear(&c->recent.news);
    c->recent.news_id = 0;
    forget_all(&c->recent);
    catch_up(c);
    c->recent.stale = c->failed != SQLITE_OK;
}

struct recent_mark recent_mark(const struct connection *c)
{
    return (struct recent_mark){c->recent.news.len, c->recent.news_id};
}

void recent_return(struct connection *c, struct recent_mark mark)
{
    struct recent *r = &c->recent;
    r->news.len = mark.len;
    r->news_id = mark.id;
    forget_all(r);
    catch_up(c);
    if (c->failed == SQLITE_OK && !unpack(c, buf_str(&r->news)))
        must(false); // our own
}

void recent_write(struct connection *c)
{
    struct recent *r = &c->recent;
    if (r->news.overflowed)
        sql_fail(c, SQLITE_TOOBIG); // millions of messages in one transaction
    if (r->news.len == 0 || c->failed != SQLITE_OK)
        return;
    sql_run(c, "INSERT INTO recent_log VALUES (?, ?)", "ib", ++r->last_row, buf_str(&r->news));
    if (r->first_row == 0)
        r->first_row = r->last_row;
    buf_clear(&r->news);
    r->news_id = 0;
}

void recent_add(struct connection *c, const struct recent_entry *entry)
{
    put(&c->recent, entry);
    pack(&c->recent, entry, true);
}

void recent_set(struct connection *c, struct recent_entry *entry, int64_t visible, int64_t kept)
{
    entry->visible = (uint8_t)visible;
    entry->kept = (int16_t)kept;
    pack(&c->recent, entry, false);
}

void recent_forget_up_to(struct connection *c, int64_t id)
{
    struct recent *r = &c->recent;
    sql_run(c, "DELETE FROM recent_log", "");
    buf_clear(&r->news);
    r->news_id = 0;
    r->first_row = 0;
    r->n_logged = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->entries[i].id <= id || recent_is_nowhere(&r->entries[i]))
            continue;
        r->entries[n] = r->entries[i];
        pack(r, &r->entries[n++], true);
    }
    r->n = n;
    if (r->room > ROOM_KEPT && n < ROOM_KEPT / 2) {
        r->room = ROOM_KEPT;
        r->entries = reallocarray(r->entries, r->room, sizeof *r->entries);
        must(r->entries != NULL);
    }
}

/* ---- As a table ----------------------------------------------------------------------------- */

enum column { COLUMN_ID, COLUMN_OWNER, COLUMN_PEER, COLUMN_VISIBLE, COLUMN_KEPT };

// What a query asks for: how it is told to the cursor.
enum {
    WITH_ID = 1,
    FROM_ID = 2,
    TO_ID = 4,
    OF_OWNER = 8,
    OLDEST_FIRST = 16,
    NEWEST_FIRST = 32,
    BY_OWNER = 64,
    SPOOLED = 128,
};

struct cursor {
    sqlite3_vtab_cursor base;
    const struct recent *recent;
    uint32_t *sorted; // BY_OWNER: where the entries are; else NULL
    size_t at, end;   // with NEWEST_FIRST: from end - 1 down to at
    bool backwards, of_owner, spooled;
    int64_t owner;
};

static int table_connect(sqlite3 *db, void *context, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **error)
{
    (void)argc;
    (void)argv;
    (void)error;
    return sql_table_connect(db, context,
                             "CREATE TABLE recent (id INTEGER, owner INTEGER, peer INTEGER, "
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
    bool by_owner = info->nOrderBy == 2 && info->aOrderBy[0].iColumn == COLUMN_OWNER &&
                    info->aOrderBy[1].iColumn == COLUMN_ID && !info->aOrderBy[0].desc &&
                    !info->aOrderBy[1].desc;
    return by_owner ? BY_OWNER : 0;
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

static int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct cursor *cursor = calloc(1, sizeof *cursor);
    must(cursor != NULL);
    cursor->recent = &CONTAINER_OF(base, struct sql_table, base)->connection->recent;
    *out = &cursor->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = CONTAINER_OF(base, struct cursor, base);
    free(cursor->sorted);
    free(cursor);
    return SQLITE_OK;
}

static const struct recent_entry *entry_at(const struct cursor *k)
{
    size_t at = k->backwards ? k->end - 1 : k->at;
    return &k->recent->entries[k->sorted != NULL ? k->sorted[at] : at];
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

static void skip_others(struct cursor *k)
{
    while (k->at < k->end && !is_asked_for(k, entry_at(k)))
        step(k);
}

// One digit of the owners' numbers; what is equal in it stays in its order.
static void sort_by_digit(const struct recent_entry *entries, const uint32_t *from, uint32_t *to,
                          size_t n, unsigned shift)
{
    uint32_t begins[256] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        begins[(uint64_t)entries[from[i]].owner >> shift & 0xFF]++;
    for (size_t digit = 0; digit < COUNT_OF(begins); digit++) {
        uint32_t n_here = begins[digit];
        begins[digit] = sum;
        sum += n_here;
    }
    for (size_t i = 0; i < n; i++)
        to[begins[(uint64_t)entries[from[i]].owner >> shift & 0xFF]++] = from[i];
}

// Entries are in order of ids: with owners in order, so are each owner's.
static void sort_by_owner(struct cursor *k)
{
    const struct recent_entry *entries = k->recent->entries;
    must(k->recent->n < UINT32_MAX);
    size_t n = 0;
    uint64_t all_bits = 0;
    uint32_t *sorted = calloc(k->end - k->at + 1, sizeof *sorted);
    uint32_t *other = calloc(k->end - k->at + 1, sizeof *other);
    must(sorted != NULL && other != NULL);
    for (size_t i = k->at; i < k->end; i++)
        if (is_asked_for(k, &entries[i])) {
            sorted[n++] = (uint32_t)i;
            all_bits |= (uint64_t)entries[i].owner;
        }
    for (unsigned shift = 0; shift < 64 && all_bits >> shift != 0; shift += 8) {
        sort_by_digit(entries, sorted, other, n, shift);
        uint32_t *swap = sorted;
        sorted = other;
        other = swap;
    }
    free(other);
    k->sorted = sorted;
    k->at = 0;
    k->end = n;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int use, const char *name, int argc,
                         sqlite3_value **argv)
{
    (void)name;
    (void)argc;
    struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    struct connection *c = CONTAINER_OF(base->pVtab, struct sql_table, base)->connection;
    if (!c->writer && !c->recent.known) {
        catch_up(c); // the first to ask in this operation: no cursor stands on an entry
        if (c->failed != SQLITE_OK)
            return c->failed;
        c->recent.known = true;
    }
    free(k->sorted);
    k->sorted = NULL;
    int64_t low = INT64_MIN, high = INT64_MAX;
    if (use & WITH_ID)
        low = high = sqlite3_value_int64(*argv++);
    if (use & FROM_ID)
        low = sqlite3_value_int64(*argv++);
    if (use & TO_ID)
        high = sqlite3_value_int64(*argv++);
    k->of_owner = (use & OF_OWNER) != 0;
    if (k->of_owner)
        k->owner = sqlite3_value_int64(*argv++);
    k->spooled = (use & SPOOLED) != 0;
    k->backwards = (use & NEWEST_FIRST) != 0;
    k->at = place_of(k->recent, low);
    k->end = high == INT64_MAX ? k->recent->n : place_of(k->recent, high + 1);
    if ((use & BY_OWNER) && k->at < k->end)
        sort_by_owner(k);
    skip_others(k);
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct cursor *k = CONTAINER_OF(base, struct cursor, base);
    step(k);
    skip_others(k);
    return SQLITE_OK;
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

int recent_init(struct connection *c)
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
    buf_init(&c->recent.news, NEWS_MOST);
    return sqlite3_create_module(c->db, "recent", &module, c);
}

void recent_done(struct connection *c)
{
    free(c->recent.entries);
    buf_done(&c->recent.news);
}
