/*
 * Packed: places of messages in archive and spool, many in one blob.
 *
 * An entry is a byte (visible, 1 + kept in bits 4 to 6, bit 7: new), the id's
 * distance from the one before it, and of a new one the owner and seven bytes
 * of peer.  Numbers are in groups of 7 bits, lowest first.  recent_log has all
 * that a commit added or changed.
 *
 * In `packed` an owner's entries lie in blocks of up to some dozens, in order,
 * as they came from there: one row where `archive` would have one for each.
 * A block's ids are greater than all in the owner's blocks before it, and at
 * most its last_id.
 */
#include "store/sqlite/sqlite_internal.h"

#include "base/must.h"

enum {
    IS_NEW = 0x80,
    PEER_BYTES = 7,
    ENTRY_MOST = 1 + 10 + 10 + PEER_BYTES, // bytes
};

size_t entry_place(const struct recent_entry *entries, size_t n, int64_t id)
{
    if (n == 0 || entries[n - 1].id < id)
        return n;
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- One entry ------------------------------------------------------------------------------ */

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

void entry_pack(struct buf *out, int64_t *last, const struct recent_entry *entry, bool is_new)
{
    char *begin = buf_reserve(out, ENTRY_MOST), *at = begin;
    if (begin == NULL)
        return; // remembered there
    *at++ = (char)(entry->visible | (entry->kept + 1) << 4 | (is_new ? IS_NEW : 0));
    uint64_t distance = (uint64_t)entry->id - (uint64_t)*last;
    at = put_number(at, distance << 1 ^ (distance >> 63 != 0 ? UINT64_MAX : 0));
    if (is_new) {
        at = put_number(at, (uint64_t)entry->owner);
        for (unsigned b = 0; b < PEER_BYTES; b++)
            *at++ = (char)(entry->peer >> (8 * b) & 0xFF);
    }
    out->len += (size_t)(at - begin);
    *last = entry->id;
}

bool entry_unpack(struct str *rest, int64_t *last, struct recent_entry *out, bool *is_new)
{
    unsigned char head = (unsigned char)rest->at[0];
    uint64_t distance, owner;
    *rest = str_skip(*rest, 1);
    if (!take_number(rest, &distance))
        return false;
    distance = distance >> 1 ^ ((distance & 1) != 0 ? UINT64_MAX : 0);
    *last = (int64_t)((uint64_t)*last + distance);
    *is_new = (head & IS_NEW) != 0;
    *out = (struct recent_entry){
        .id = *last, .visible = head & 0xF, .kept = (int16_t)((head >> 4 & 7) - 1)};
    if (!*is_new)
        return true;
    if (!take_number(rest, &owner) || rest->len < PEER_BYTES)
        return false;
    out->owner = (int64_t)owner;
    for (unsigned b = 0; b < PEER_BYTES; b++)
        out->peer |= (int64_t)(unsigned char)rest->at[b] << (8 * b);
    *rest = str_skip(*rest, PEER_BYTES);
    return true;
}

/* ---- Blocks --------------------------------------------------------------------------------- */

static bool read_block(struct connection *c, sqlite3_stmt *s, int64_t owner, struct block *block)
{
    block->n = 0;
    if (!sql_next(c, s))
        return false;
    block->owner = owner;
    block->last_id = sqlite3_column_int64(s, 0);
    const char *at = sqlite3_column_blob(s, 1);
    struct str rest = str_make(at != NULL ? at : "", (size_t)sqlite3_column_bytes(s, 1));
    int64_t last = 0, before = INT64_MIN;
    bool whole = rest.len > 0;
    while (whole && rest.len > 0) {
        struct recent_entry *entry = &block->entries[block->n];
        bool is_new;
        whole = block->n < BLOCK_MOST && entry_unpack(&rest, &last, entry, &is_new) && is_new &&
                entry->owner == owner && entry->id > before && entry->id <= block->last_id;
        before = last;
        block->n += whole;
    }
    sql_stop(c, s);
    if (!whole)
        sql_fail(c, SQLITE_CORRUPT);
    return whole;
}

bool packed_from(struct connection *c, int64_t owner, int64_t id, struct block *block)
{
    return read_block(c,
                      sql_start(c,
                                "SELECT last_id, entries FROM packed WHERE owner = ? "
                                "AND last_id >= ? ORDER BY last_id LIMIT 1",
                                "ii", owner, id),
                      owner, block);
}

bool packed_before(struct connection *c, int64_t owner, int64_t id, struct block *block)
{
    return read_block(c,
                      sql_start(c,
                                "SELECT last_id, entries FROM packed WHERE owner = ? "
                                "AND last_id < ? ORDER BY last_id DESC LIMIT 1",
                                "ii", owner, id),
                      owner, block);
}

static void write_block(struct connection *c, const char *sql, const struct block *block)
{
    char room[BLOCK_MOST * ENTRY_MOST];
    struct buf out;
    int64_t last = 0;
    buf_init_in(&out, room, sizeof room, sizeof room);
    for (size_t i = 0; i < block->n; i++)
        entry_pack(&out, &last, &block->entries[i], true);
    must(!out.overflowed);
    sql_run(c, sql, "iib", block->owner, block->last_id, buf_str(&out));
    buf_done(&out);
}

void packed_add(struct connection *c, struct block *block)
{
    must(block->n > 0 && block->n <= BLOCK_MOST);
    block->last_id = block->entries[block->n - 1].id;
    write_block(c, "INSERT INTO packed VALUES (?, ?, ?)", block);
}

static struct recent_entry *find(struct connection *c, struct block *block, int64_t owner,
                                 int64_t id)
{
    if (!packed_from(c, owner, id, block))
        return NULL;
    size_t at = entry_place(block->entries, block->n, id);
    return at < block->n && block->entries[at].id == id ? &block->entries[at] : NULL;
}

bool packed_show(struct connection *c, int64_t owner, int64_t id, int64_t without, int64_t with)
{
    struct block block;
    struct recent_entry *entry = find(c, &block, owner, id);
    if (entry == NULL)
        return false;
    uint8_t visible = (uint8_t)((entry->visible & ~without) | with);
    if (visible == entry->visible)
        return false;
    entry->visible = visible;
    write_block(c, "UPDATE packed SET entries = ?3 WHERE owner = ?1 AND last_id = ?2", &block);
    return true;
}

void packed_remove(struct connection *c, int64_t owner, int64_t id)
{
    struct block block;
    struct recent_entry *entry = find(c, &block, owner, id);
    if (entry == NULL)
        return;
    if (block.n == 1) {
        sql_run(c, "DELETE FROM packed WHERE owner = ? AND last_id = ?", "ii", owner,
                block.last_id);
        return;
    }
    size_t after = block.n - (size_t)(entry - block.entries) - 1;
    memmove(entry, entry + 1, after * sizeof *entry);
    block.n--;
    write_block(c, "UPDATE packed SET entries = ?3 WHERE owner = ?1 AND last_id = ?2", &block);
}
