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
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/list.h"
#include "base/must.h"

#include <stdlib.h>

enum {
    ROOM_KEPT = 65536,   // entries whose memory is kept when few are left
    NEWS_KEPT = 1 << 20, // bytes
};

static const size_t NEWS_MOST = 512U << 20; // bytes of one transaction

/* ---- In memory ------------------------------------------------------------------------------ */

struct recent_entry *recent_find(struct connection *c, int64_t id)
{
    const struct recent *r = &c->recent;
    size_t at = entry_place(r->entries, r->n, id);
    return at < r->n && r->entries[at].id == id ? &r->entries[at] : NULL;
}

// Ids come nearly in order: little has to make way.
static void put(struct recent *r, const struct recent_entry *entry)
{
    size_t at = entry_place(r->entries, r->n, entry->id);
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

static void log_entry(struct recent *r, const struct recent_entry *entry, bool is_new)
{
    entry_pack(&r->news, &r->news_id, entry, is_new);
    r->n_logged++;
}

static bool unpack(struct connection *c, struct str packed)
{
    struct recent_entry entry, *old;
    bool is_new;
    for (int64_t last = 0; packed.len > 0; c->recent.n_logged++) {
        if (!entry_unpack(&packed, &last, &entry, &is_new))
            return false;
        if (is_new) {
            put(&c->recent, &entry);
            continue;
        }
        old = recent_find(c, entry.id);
        if (old == NULL)
            return false;
        old->visible = entry.visible;
        old->kept = entry.kept;
    }
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

void recent_catch_up(struct connection *c)
{
    if (c->writer || c->recent.known)
        return;
    catch_up(c);
    c->recent.known = c->failed == SQLITE_OK;
}

void recent_init(struct connection *c)
{
    buf_init(&c->recent.news, NEWS_MOST);
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
    if (r->news.room > NEWS_KEPT)
        buf_release(&r->news);
    r->news_id = 0;
}

void recent_add(struct connection *c, const struct recent_entry *entry)
{
    put(&c->recent, entry);
    log_entry(&c->recent, entry, true);
}

void recent_set(struct connection *c, struct recent_entry *entry, int64_t visible, int64_t kept)
{
    entry->visible = (uint8_t)visible;
    entry->kept = (int16_t)kept;
    log_entry(&c->recent, entry, false);
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
        log_entry(r, &r->entries[n++], true);
    }
    r->n = n;
    if (r->room > ROOM_KEPT && n < ROOM_KEPT / 2) {
        r->room = ROOM_KEPT;
        r->entries = reallocarray(r->entries, r->room, sizeof *r->entries);
        must(r->entries != NULL);
    }
}

/* ---- By owner ------------------------------------------------------------------------------- */

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

uint32_t *recent_by_owner(const struct connection *c, int64_t up_to, size_t *n_out)
{
    const struct recent *r = &c->recent;
    must(r->n < UINT32_MAX);
    size_t n = 0;
    uint64_t all_bits = 0;
    uint32_t *sorted = calloc(r->n + 1, sizeof *sorted), *other = calloc(r->n + 1, sizeof *other);
    must(sorted != NULL && other != NULL);
    for (size_t i = 0; i < r->n && r->entries[i].id <= up_to; i++) {
        sorted[n++] = (uint32_t)i;
        all_bits |= (uint64_t)r->entries[i].owner;
    }
    // entries are in order of ids: with owners in order, so are each owner's
    for (unsigned shift = 0; shift < 64 && all_bits >> shift != 0; shift += 8) {
        sort_by_digit(r->entries, sorted, other, n, shift);
        uint32_t *swap = sorted;
        sorted = other;
        other = swap;
    }
    free(other);
    *n_out = n;
    return sorted;
}

void recent_done(struct connection *c)
{
    free(c->recent.entries);
    buf_done(&c->recent.news);
}
