/*
 * The newest rows' places: readers follow the writer through moves, rollbacks
 * and restarts, and see what a plain model says.
 */
#include "store_fixture.h"

#include "base/random.h"
#include "store/sqlite/sqlite_internal.h"

/* ---- A model -------------------------------------------------------------------------------- */

enum { OWNERS = 3, ROWS_MOST = 900 };

struct model {
    struct fixture f;
    struct prng prng;
    int64_t owners[OWNERS];
    struct row {
        int64_t id;
        int owner;
        bool archived, spooled, hidden;
    } rows[ROWS_MOST];
    size_t n;
};

static uint64_t pick(struct model *m, uint64_t below)
{
    return prng_u64(&m->prng) % below;
}

static void append_some_rows(struct model *m)
{
    struct store_append appends[8] = {0};
    size_t n = 1 + pick(m, COUNT_OF(appends));
    for (size_t i = 0; i < n && m->n + i < ROWS_MOST; i++) {
        struct row *row = &m->rows[m->n + i];
        *row = (struct row){.owner = (int)pick(m, OWNERS), .archived = pick(m, 3) > 0};
        row->spooled = !row->archived || pick(m, 2) > 0;
        appends[i] = (struct store_append){.account = m->owners[row->owner],
                                           .peer = STR("p@x"),
                                           .stanza = STR("<m/>"),
                                           .flags = (row->archived ? STORE_ARCHIVED : 0) |
                                                    (row->spooled ? STORE_SPOOLED : 0)};
        store_append(m->f.store, &appends[i]);
        row->id = appends[i].id;
    }
    for (size_t i = 0; i < n && m->n < ROWS_MOST; i++, m->n++) {
        check(store_wait(&appends[i].request) == OK);
        store_release(&appends[i].request);
    }
}

static void clear_one_row(struct model *m)
{
    struct row *row = &m->rows[pick(m, m->n)];
    DO(m->f.store, clear, spool_clear, .account = m->owners[row->owner], .ids = &row->id,
       .n_ids = 1);
    check(clear_e == OK && clear.n_cleared == row->spooled);
    row->spooled = false;
}

static void clear_up_to_row(struct model *m)
{
    const struct row *last = &m->rows[pick(m, m->n)];
    uint32_t n = 0;
    for (struct row *row = m->rows; row <= last; row++)
        if (row->owner == last->owner && row->spooled && !row->hidden) {
            row->spooled = false;
            n++;
        }
    DO(m->f.store, clear, spool_clear, .account = m->owners[last->owner], .up_to_id = last->id);
    check(clear_e == OK && clear.n_cleared == n);
}

static void hide_or_show_row(struct model *m)
{
    struct row *row = &m->rows[pick(m, m->n)];
    bool there = row->archived || row->spooled, hide = pick(m, 2) > 0;
    struct store_row rows[] = {
        {.account = m->owners[row->owner], .id = row->id}
    };
    DO(m->f.store, withdraw, archive_withdraw, .rows = rows, .n = 1,
       .visibility = hide ? STORE_HIDDEN : 0);
    check(withdraw_e == OK && withdraw.n_changed == (there && row->hidden != hide));
    if (there)
        row->hidden = hide;
}

static void compare(struct model *m)
{
    for (int owner = 0; owner < OWNERS; owner++) {
        uint64_t n_shown = 0, n_record = 0, n_spooled = 0;
        int64_t last = 0;
        for (size_t i = 0; i < m->n; i++) {
            const struct row *row = &m->rows[i];
            if (row->owner != owner)
                continue;
            n_record += row->archived;
            n_shown += row->archived && !row->hidden;
            n_spooled += row->spooled && !row->hidden;
            if (row->archived && !row->hidden)
                last = row->id;
        }
        int64_t account = m->owners[owner];
        DO(m->f.store, shown, archive_query, .account = account, .most = ROWS_MOST, .count = true);
        check(shown.n == n_shown && shown.total == n_shown);
        for (uint32_t k = 1; k < shown.n; k++)
            check(shown.messages[k].id > shown.messages[k - 1].id);
        DO(m->f.store, record, archive_query, .account = account, .count = true, .record = true);
        check(record.total == n_record);
        DO(m->f.store, span, archive_span, .account = account);
        check(span.last_id == last);
        DO(m->f.store, spool, spool_list, .account = account, .most = ROWS_MOST);
        check(spool.n == n_spooled);
        DO(m->f.store, loaded, account_load, .by_number = account);
        check(loaded.n_spooled == n_spooled && loaded.spooled_bytes == 4 * n_spooled);
    }
}

TEST(readers_see_what_a_model_says)
{
    struct model *m = calloc(1, sizeof *m);
    must(m != NULL);
    m->f = fixture_new();
    m->prng = (struct prng){20};
    static const char *const names[OWNERS] = {"romeo", "juliet", "nurse"};
    for (int i = 0; i < OWNERS; i++)
        m->owners[i] = make_account(m->f.store, names[i]);
    while (m->n < ROWS_MOST) {
        append_some_rows(m);
        for (uint64_t i = pick(m, 4); i > 0; i--)
            clear_one_row(m);
        if (pick(m, 6) == 0)
            clear_up_to_row(m);
        if (pick(m, 3) == 0)
            hide_or_show_row(m);
        if (pick(m, 8) == 0) { // all move
            DO(m->f.store, move, archive_purge, .before_us = 1, .most = 1);
            check(move_e == OK);
        }
        if (pick(m, 30) == 0) {
            store_close(&m->f.store);
            fixture_open(&m->f, NULL);
        }
        if (pick(m, 3) == 0)
            compare(m);
    }
    compare(m);
    fixture_done(&m->f);
    free(m);
}

/* ---- What is undone ------------------------------------------------------------------------- */

TEST(an_operation_that_is_undone_leaves_no_place)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    struct store_append messages[] = {
        {.flags = STORE_ARCHIVED | STORE_SPOOLED, .peer = STR("a@x"), .stanza = STR("<m/>")},
        {.flags = STORE_SPOOLED,                  .peer = STR("a@x"), .stanza = STR("<m/>")},
    };
    struct str groups[] = {STR("a group too many")};
    struct store_roster_item items[] = {
        {.jid = STR("a@x"), .n_groups = 1, .groups = groups}
    };
    struct store_import accounts[] = {
        {.local = STR("juliet"),
         .domain = STR("example.org"),
         .messages = messages,
         .n_messages = COUNT_OF(messages)                                                  },
        {.local = STR("nurse"),  .domain = STR("example.org"), .items = items, .n_items = 1},
    };
    struct store_append before = {.account = account, .flags = STORE_ARCHIVED};
    struct store_append after = {.account = account, .flags = STORE_ARCHIVED};
    struct store_account_import import = {
        .request = {.results_most = 8}, .n = COUNT_OF(accounts), .accounts = accounts};
    store_append(f.store, &before);
    store_account_import(f.store, &import);
    store_append(f.store, &after);
    check(store_wait(&before.request) == OK && store_wait(&after.request) == OK);
    check(store_wait(&import.request) == ERR_LIMIT);
    store_release(&before.request);
    store_release(&after.request);
    store_release(&import.request);
    for (int restarted = 0; restarted < 2; restarted++) {
        DO(f.store, kept, archive_query, .account = account, .most = 9);
        check(kept.n == 2 && kept.messages[0].id == before.id && kept.messages[1].id == after.id);
        for (int64_t other = account + 1; other < account + 3; other++) {
            DO(f.store, none, archive_query, .account = other, .count = true);
            check(none.total == 0);
            DO(f.store, waits, spool_count, .account = other);
            check(waits.n == 0);
        }
        store_close(&f.store);
        fixture_open(&f, NULL);
    }
}

TEST(a_commit_that_fails_leaves_no_place)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    fixture_open(&f, NULL);
    int64_t account = make_account(f.store, "romeo");
    store_close(&f.store);
    fixture_open(&f, "random@5/4");
    uint64_t n = 0, n_failed = 0;
    for (int i = 0; i < 120; i++) {
        DO(f.store, a, append, .account = account, .stanza = STR("<m/>"),
           .flags = STORE_ARCHIVED | STORE_SPOOLED);
        n += a_e == OK;
        n_failed += a_e != OK;
        if (i % 7 == 0) { // whether moving succeeds or not
            DO(f.store, move, archive_purge, .before_us = 1, .most = 1);
            (void)move;
        }
        DO(f.store, all, archive_query, .account = account, .count = true);
        DO(f.store, waits, spool_count, .account = account);
        check(all.total == n && waits.n == n);
    }
    check(n > 0 && n_failed > 0);
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

static int64_t number_in(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s = NULL;
    must(sqlite3_open(f->path, &db) == SQLITE_OK);
    must(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static void move_all(struct fixture *f)
{
    DO(f->store, move, archive_purge, .before_us = 1, .most = 1);
    check(move_e == OK);
}

enum { PACKED_ROWS = 150 };

// Every tenth carries a lure, every fiftieth waits; all of the same peer.
static void put_packed_rows(struct fixture *f, int64_t account, int64_t *ids)
{
    static const struct str lures[] = {STR("a lure's key"), STR("another")};
    for (int i = 0; i < PACKED_ROWS; i++) {
        DO(f->store, a, append, .account = account, .peer = STR("p@x"), .stanza = STR("<m/>"),
           .message_id = i < 20 ? STR("same") : STR(""),
           .flags = STORE_ARCHIVED | (i % 50 == 0 ? STORE_SPOOLED : 0), .lures = lures,
           .n_lures = i % 10 == 0 ? 2 : 0);
        check(a_e == OK);
        ids[i] = a.id;
        usleep(1); // retention tells them apart
    }
    move_all(f);
}

TEST(packed_rows_are_found_by_their_lures_and_change_one_by_one)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[PACKED_ROWS];
    put_packed_rows(&f, account, ids);
    DO(f.store, found, deliveries, .key = STR("another"), .most = 99);
    check(found.n == 15 && !found.more);
    for (uint32_t i = 0; i < found.n; i++) {
        check(found.deliveries[i].message.id == ids[10 * i]);
        check(found.deliveries[i].id_repeats == (i < 2));
        check(((found.deliveries[i].message.flags & STORE_SPOOLED) != 0) == (i % 5 == 0));
    }
    struct store_row rows[] = {
        {account, ids[10], false},
        {account, ids[50], false}
    };
    DO(f.store, hide, archive_withdraw, .rows = rows, .n = 2, .visibility = STORE_TOMBSTONE);
    check(hide.n_changed == 2);
    DO(f.store, again, archive_withdraw, .rows = rows, .n = 2, .visibility = STORE_TOMBSTONE);
    check(again.n_changed == 0);
    DO(f.store, page, archive_query, .account = account, .ids = &ids[9], .n_ids = 3, .most = 9);
    check(page.n == 3 && page.messages[1].flags == (STORE_ARCHIVED | STORE_TOMBSTONE));
    check(page.messages[1].stanza.len == 0 && page.messages[2].stanza.len > 0);
    DO(f.store, newest, archive_query, .account = account, .before_id = ids[70], .backwards = true,
       .most = 10, .count = true);
    check(newest.n == 10 && newest.messages[0].id == ids[60] && newest.index == 60);
    check(!newest.complete && newest.total == PACKED_ROWS);
    DO(f.store, waits, spool_count, .account = account);
    check(waits.n == 2); // but the tombstone
    store_close(&f.store);
    check(number_in(&f, "SELECT count(*) FROM packed") == 3);
    check(number_in(&f, "SELECT count(*) FROM archive") == 0);
}

TEST(packed_rows_are_erased_one_by_one)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[PACKED_ROWS];
    int64_t other = make_account(f.store, "juliet");
    put_packed_rows(&f, account, ids);
    int64_t kept = put_message(f.store, other, "p@x", "<m/>", STORE_ARCHIVED);
    DO(f.store, purge, archive_purge, .before_us = store_id_time_us(ids[100]), .most = 1000);
    check(purge.n >= 99 && purge.n <= 100); // two may share a microsecond
    uint32_t left = PACKED_ROWS - purge.n;
    DO(f.store, page, archive_query, .account = account, .most = 999, .count = true);
    check(page.n == left && page.total == left && page.messages[left - 1].id == ids[149]);
    DO(f.store, gone, archive_query, .account = account, .after_id = ids[55]);
    check(gone_e == ERR_MISSING);
    DO(f.store, found, deliveries, .key = STR("another"), .most = 99);
    check(found.n == 15); // a purged one is still known by its lures
    DO(f.store, expire, deliveries_expire, .before_us = INT64_MAX, .most = 99);
    check(expire.n == 15);
    DO(f.store, end, account_delete, .local = STR("romeo"), .domain = STR("example.org"));
    check(end_e == OK);
    uint64_t n_left = 1;
    for (int i = 0; i < 100 && n_left > 0; i++) {
        DO(f.store, touch, account_seen, .account = other, .login_us = i + 1);
        DO(f.store, old, archive_query, .account = account, .count = true);
        n_left = old.total;
    }
    check(n_left == 0);
    DO(f.store, hers, archive_query, .account = other, .most = 9);
    check(hers.n == 1 && hers.messages[0].id == kept);
    store_close(&f.store);
    check(number_in(&f, "SELECT count(*) FROM packed") == 0);
    check(number_in(&f, "SELECT count(*) FROM message") == 1);
}

TEST(a_late_row_stands_between_packed_ones)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[PACKED_ROWS];
    put_packed_rows(&f, account, ids);
    int64_t between_us = store_id_time_us(ids[75]);
    DO(f.store, late, append, .account = account, .wall_us = between_us, .backdate = true,
       .flags = STORE_ARCHIVED);
    check(late_e == OK && late.id < ids[149]);
    put_packed_rows(&f, account, ids); // and more blocks after it
    for (int backwards = 0; backwards < 2; backwards++) {
        DO(f.store, page, archive_query, .account = account, .most = 999, .backwards = backwards);
        check(page.n == 2 * PACKED_ROWS + 1);
        for (uint32_t i = 1; i < page.n; i++)
            check(page.messages[i].id > page.messages[i - 1].id);
    }
}

/* ---- What was on the disk before ------------------------------------------------------------- */

static void exec_in(const struct fixture *f, const char *sql)
{
    sqlite3 *db;
    must(sqlite3_open(f->path, &db) == SQLITE_OK);
    must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(places_of_an_older_version_are_taken_over)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    sqlite3 *db;
    struct why why = {{0}};
    must(sqlite3_open(f.path, &db) == SQLITE_OK);
    check(schema_migrate(db, f.path, migrations, 4, &why) == OK);
    sqlite3_close(db);
    exec_in(&f, "INSERT INTO account (domain, local, created_us) VALUES ('example.org', 'old', 5);"
                "INSERT INTO message SELECT value * 4096, 1, 1, 'p@x', '', '', '', '<m/>' "
                "FROM json_each('[1, 2, 3, 4, 5]');"
                "INSERT INTO archive VALUES (1, 4096, 7, 0);"
                "INSERT INTO recent VALUES (8192, 1, 7, 0, NULL), (12288, 1, 7, 0, 1), "
                "(16384, 1, 7, 12, 0), (20480, 1, 7, 1, 5)");
    for (int restarted = 0; restarted < 2; restarted++) {
        fixture_open(&f, NULL);
        DO(f.store, page, archive_query, .account = 1, .most = 9, .count = true);
        check(page.total == 3 && page.messages[2].id == 12288);
        DO(f.store, record, archive_query, .account = 1, .count = true, .record = true);
        check(record.total == 4);
        DO(f.store, spool, spool_list, .account = 1, .most = 9);
        check(spool.n == 2 && spool.messages[0].id == 12288 && spool.messages[1].id == 16384);
        store_close(&f.store);
    }
}

TEST(damaged_places_are_refused_or_read_but_never_trusted)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    struct store_append appends[4] = {0};
    for (size_t i = 0; i < COUNT_OF(appends); i++) {
        appends[i] = (struct store_append){.account = account, .flags = STORE_SPOOLED};
        store_append(f.store, &appends[i]);
    }
    for (size_t i = 0; i < COUNT_OF(appends); i++) {
        check(store_wait(&appends[i].request) == OK);
        store_release(&appends[i].request);
    }
    store_close(&f.store);
    exec_in(&f, "CREATE TABLE whole AS SELECT * FROM recent_log");
    unsigned n_refused = 0;
    for (int cut = 0; cut < 30; cut++) {
        char sql[400];
        snprintf(sql, sizeof sql,
                 "DELETE FROM recent_log; INSERT INTO recent_log SELECT seq, "
                 "CASE WHEN %d < 15 THEN substr(entries, 1, max(length(entries) - %d, 0)) "
                 "ELSE CAST(zeroblob(%d) || entries AS BLOB) END FROM whole",
                 cut, cut, cut);
        exec_in(&f, sql);
        struct why why = {{0}};
        enum err e = store_open(&(struct store_options){.path = f.path}, &f.store, &why);
        check(e == OK || e == ERR_CORRUPT);
        n_refused += e == ERR_CORRUPT;
        check(cut != 0 || e == OK);
        if (e == OK) {
            DO(f.store, count, spool_count, .account = account);
            check(count.n <= COUNT_OF(appends));
        }
        store_close(&f.store);
    }
    check(n_refused >= 20);
}

TEST(damaged_blocks_are_reported_or_read_but_never_trusted)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[PACKED_ROWS];
    put_packed_rows(&f, account, ids);
    store_close(&f.store);
    exec_in(&f, "CREATE TABLE whole AS SELECT * FROM packed");
    unsigned n_refused = 0;
    for (int cut = 0; cut < 40; cut++) {
        char sql[500];
        snprintf(sql, sizeof sql,
                 "DELETE FROM packed; INSERT INTO packed SELECT owner, last_id, "
                 "CASE WHEN %d < 20 THEN substr(entries, 1, length(entries) - %d) "
                 "ELSE CAST(zeroblob(%d) || entries AS BLOB) END FROM whole",
                 cut, cut, cut);
        exec_in(&f, sql);
        fixture_open(&f, NULL);
        DO(f.store, page, archive_query, .account = account, .most = 999, .count = true);
        check(page_e == OK || page_e == ERR_CORRUPT);
        n_refused += page_e == ERR_CORRUPT;
        check(cut != 0 || page_e == OK);
        struct store_row row = {account, ids[75], false};
        DO(f.store, hide, archive_withdraw, .rows = &row, .n = 1, .visibility = STORE_HIDDEN);
        check(hide_e == OK || hide_e == ERR_CORRUPT);
        DO(f.store, others, spool_count, .account = account); // nobody else is concerned
        check(others_e == OK);
        store_close(&f.store);
    }
    check(n_refused >= 30);
}
