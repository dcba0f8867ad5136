#include "store_fixture.h"

enum { N = 10 };

// An account with N archived rows of alternating contacts; their ids in order.
static int64_t archive_of_ten(struct store *store, int64_t ids[N])
{
    int64_t account = make_account(store, "romeo");
    for (int i = 0; i < N; i++) {
        char stanza[32];
        snprintf(stanza, sizeof stanza, "<m n='%d'/>", i);
        ids[i] = put_message(store, account, i % 2 == 0 ? "even@x" : "odd@x", stanza,
                             STORE_ARCHIVED | (i % 3 == 0 ? STORE_OUTGOING : 0));
    }
    return account;
}

TEST(ids_grow_and_tell_the_time)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t ids[N], before = clock_wall_us();
    int64_t account = archive_of_ten(f.store, ids);
    for (int i = 1; i < N; i++)
        check(ids[i] > ids[i - 1]);
    check(store_id_time_us(ids[0]) >= before &&
          store_id_time_us(ids[N - 1]) <= clock_wall_us() + 1);
    // neither an old nor a future stamp breaks the order
    DO(f.store, old, append, .account = account, .wall_us = 5, .flags = STORE_ARCHIVED);
    check(old_e == OK && old.id > ids[N - 1]);
    DO(f.store, late, append, .account = account, .wall_us = INT64_MAX, .flags = STORE_ARCHIVED);
    check(late_e == OK && store_id_time_us(late.id) <= clock_wall_us() + 1);
}

TEST(a_row_comes_back_as_it_was)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, a, append, .account = account, .peer = STR("j'%@x"), .resource = STR("re\0s"),
       .message_id = STR("id\"1"), .origin_id = STR("o--"), .stanza = STR("<m>\xC3\xA4</m>"),
       .flags = STORE_ARCHIVED | STORE_OUTGOING, .type = 200);
    DO(f.store, page, archive_query, .account = account, .most = 5);
    check(page_e == OK && page.n == 1 && page.complete);
    const struct store_message *m = &page.messages[0];
    check(m->id == a.id && m->type == 200 && m->flags == (STORE_ARCHIVED | STORE_OUTGOING));
    check(m->wall_us == store_id_time_us(a.id));
    check_str(m->peer, STR("j'%@x"));
    check_str(m->resource, STR("re\0s"));
    check_str(m->message_id, STR("id\"1"));
    check_str(m->origin_id, STR("o--"));
    check_str(m->stanza, STR("<m>\xC3\xA4</m>"));
}

// Which of the ten a page holds, as a text of digits.
static const char *digits(const struct store_archive_query *page, const int64_t ids[N])
{
    static char out[N + 1];
    uint32_t n = 0;
    for (; n < page->n; n++) {
        out[n] = '?';
        for (int k = 0; k < N; k++)
            if (page->messages[n].id == ids[k])
                out[n] = (char)('0' + k);
    }
    out[n] = '\0';
    return out;
}

TEST(pages_follow_result_set_management)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t ids[N];
    int64_t account = archive_of_ten(f.store, ids);
    static const struct {
        uint32_t most;
        int after, before; // position; -1: none
        bool backwards;
        const char *with, *rows;
        bool complete;
        uint64_t total, index;
    } cases[] = {
        {20, -1, -1, false, "",       "0123456789", true,  10, 0},
        {10, -1, -1, false, "",       "0123456789", true,  10, 0},
        {9,  -1, -1, false, "",       "012345678",  false, 10, 0},
        {3,  -1, -1, false, "",       "012",        false, 10, 0},
        {3,  2,  -1, false, "",       "345",        false, 10, 3},
        {3,  6,  -1, false, "",       "789",        true,  10, 7},
        {3,  8,  -1, false, "",       "9",          true,  10, 9},
        {3,  9,  -1, false, "",       "",           true,  10, 0},
        {3,  -1, -1, true,  "",       "789",        false, 10, 7},
        {3,  -1, 7,  true,  "",       "456",        false, 10, 4},
        {3,  -1, 3,  true,  "",       "012",        true,  10, 0},
        {3,  -1, 1,  true,  "",       "0",          true,  10, 0},
        {3,  -1, 0,  true,  "",       "",           true,  10, 0},
        {3,  1,  8,  false, "",       "234",        false, 10, 2},
        {3,  1,  8,  true,  "",       "567",        false, 10, 5},
        {3,  4,  5,  false, "",       "",           true,  10, 0},
        {0,  -1, -1, false, "",       "",           false, 10, 0},
        {0,  9,  -1, false, "",       "",           true,  10, 0},
        {9,  -1, -1, false, "even@x", "02468",      true,  5,  0},
        {2,  2,  -1, false, "even@x", "46",         false, 5,  2},
        {2,  -1, -1, true,  "odd@x",  "79",         false, 5,  3},
        {9,  -1, -1, false, "o%",     "",           true,  0,  0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        DO(f.store, page, archive_query, .account = account, .most = cases[i].most,
           .after_id = cases[i].after >= 0 ? ids[cases[i].after] : 0,
           .before_id = cases[i].before >= 0 ? ids[cases[i].before] : 0,
           .backwards = cases[i].backwards, .with = str_of(cases[i].with), .count = true);
        check(page_e == OK);
        check_str(str_of(digits(&page, ids)), str_of(cases[i].rows));
        check(page.complete == cases[i].complete);
        check(page.total == cases[i].total && page.index == cases[i].index);
    }
}

TEST(pages_are_the_same_wherever_the_rows_lie)
{
    // entries move from the newest rows' table to the owners' tables: force it half way
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t ids[N], other = make_account(f.store, "other");
    int64_t account = archive_of_ten(f.store, ids);
    put_message(f.store, other, "x@x", "<m/>", STORE_ARCHIVED);
    DO(f.store, move, archive_purge, .before_us = 1, .most = 1); // moves all, erases nothing
    check(move_e == OK && move.n == 0);
    int64_t more = put_message(f.store, account, "odd@x", "<m/>", STORE_ARCHIVED);
    DO(f.store, all, archive_query, .account = account, .most = 20, .count = true);
    check(all.n == 11 && all.total == 11 && all.messages[10].id == more);
    DO(f.store, back, archive_query, .account = account, .most = 2, .backwards = true,
       .count = true);
    check(back.n == 2 && back.messages[0].id == ids[9] && back.messages[1].id == more);
    check(back.index == 9 && !back.complete);
    DO(f.store, across, archive_query, .account = account, .most = 5, .after_id = ids[8]);
    check(across.n == 2 && across.complete);
    DO(f.store, resource, archive_query, .account = account, .most = 20, .count = true,
       .with = STR("odd@x"), .with_resource = STR("r"));
    check(resource.n == 6 && resource.total == 6);
    DO(f.store, no_resource, archive_query, .account = account, .most = 20, .count = true,
       .with = STR("odd@x"), .with_resource = STR("R"));
    check(no_resource.n == 0 && no_resource.total == 0);
    DO(f.store, span, archive_span, .account = account);
    check(span.first_id == ids[0] && span.last_id == more);
    int64_t two[] = {more, ids[3]};
    DO(f.store, by_id, archive_query, .account = account, .most = 5, .ids = two, .n_ids = 2);
    check(by_id_e == OK && by_id.n == 2 && by_id.messages[1].id == more);
}

TEST(times_are_inclusive_and_any_size)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[3];
    for (int i = 0; i < 3; i++) {
        DO(f.store, a, append, .account = account, .wall_us = 1000 + i, .backdate = true,
           .flags = STORE_ARCHIVED);
        check(a_e == OK && store_id_time_us(a.id) == 1000 + i);
        ids[i] = a.id;
    }
    static const struct {
        int64_t start_us, end_us;
        uint32_t n;
    } cases[] = {
        {0,         0,         3},
        {1001,      0,         2},
        {1001,      1001,      1},
        {0,         1001,      2},
        {1003,      0,         0},
        {0,         999,       0},
        {1002,      1000,      0},
        {INT64_MAX, 0,         0},
        {1,         INT64_MAX, 3},
        {-5,        1000,      1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        DO(f.store, page, archive_query, .account = account, .start_us = cases[i].start_us,
           .end_us = cases[i].end_us, .most = 9, .count = true);
        check(page_e == OK && page.n == cases[i].n && page.total == cases[i].n);
    }
    DO(f.store, span, archive_span, .account = account);
    check(span.first_id == ids[0] && span.last_id == ids[2]);
    DO(f.store, empty, archive_span, .account = account + 1);
    check(empty_e == OK && empty.first_id == 0 && empty.last_id == 0);
}

TEST(many_rows_of_one_microsecond_find_ids)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    for (int i = 0; i < 300; i++) {
        DO(f.store, a, append, .account = account, .wall_us = 1000, .backdate = true,
           .flags = STORE_ARCHIVED);
        check(a_e == OK);
    }
    DO(f.store, page, archive_query, .account = account, .most = 1000);
    check(page.n == 300);
}

TEST(rows_are_found_by_id_or_reported_missing)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t ids[N], other = make_account(f.store, "other");
    int64_t account = archive_of_ten(f.store, ids);
    int64_t wanted[] = {ids[7], ids[2], ids[7], ids[5]};
    DO(f.store, page, archive_query, .account = account, .ids = wanted, .n_ids = 4, .most = 10,
       .count = true);
    check(page_e == OK && page.total == 3);
    check_str(str_of(digits(&page, ids)), STR("257"));
    DO(f.store, last, archive_query, .account = account, .ids = wanted, .n_ids = 4, .most = 1,
       .backwards = true);
    check_str(str_of(digits(&last, ids)), STR("7"));
    check(!last.complete && last.index == 2);
    DO(f.store, after, archive_query, .account = account, .ids = wanted, .n_ids = 4, .most = 9,
       .after_id = ids[2]);
    check_str(str_of(digits(&after, ids)), STR("57"));
    DO(f.store, with, archive_query, .account = account, .ids = wanted, .n_ids = 4, .most = 9,
       .with = STR("odd@x"));
    check_str(str_of(digits(&with, ids)), STR("57"));
    int64_t none[] = {ids[1], 12345};
    DO(f.store, missing, archive_query, .account = account, .ids = none, .n_ids = 2, .most = 9);
    check(missing_e == ERR_MISSING);
    DO(f.store, theirs, archive_query, .account = other, .ids = wanted, .n_ids = 1, .most = 9);
    check(theirs_e == ERR_MISSING);
    DO(f.store, mark, archive_query, .account = account, .after_id = 12345, .most = 9);
    check(mark_e == ERR_MISSING);
    DO(f.store, mark2, archive_query, .account = other, .before_id = ids[3], .most = 9);
    check(mark2_e == ERR_MISSING);
}

TEST(withdrawn_rows_are_hidden_or_marked_and_come_back)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t ids[N];
    int64_t account = archive_of_ten(f.store, ids);
    struct store_row hide[] = {
        {account, ids[0], false},
        {account, ids[9], false},
        {account, 4711,   false}
    };
    struct store_row mark[] = {
        {account,     ids[4], false},
        {account + 1, ids[5], false}
    };
    DO(f.store, hidden, archive_withdraw, .n = 3, .rows = hide, .visibility = STORE_HIDDEN);
    DO(f.store, marked, archive_withdraw, .n = 2, .rows = mark, .visibility = STORE_TOMBSTONE);
    check(hidden.n_changed == 2 && marked.n_changed == 1);
    DO(f.store, page, archive_query, .account = account, .most = 20, .count = true);
    check_str(str_of(digits(&page, ids)), STR("12345678"));
    check(page.total == 8);
    check(page.messages[3].flags & STORE_TOMBSTONE);
    check(page.messages[3].stanza.len == 0 && page.messages[2].stanza.len > 0);
    DO(f.store, span, archive_span, .account = account);
    check(span.first_id == ids[1] && span.last_id == ids[8]);
    DO(f.store, from_hidden, archive_query, .account = account, .after_id = ids[0], .most = 1);
    check(from_hidden_e == OK && from_hidden.messages[0].id == ids[1]);
    DO(f.store, by_id, archive_query, .account = account, .ids = &ids[9], .n_ids = 1, .most = 1);
    check(by_id_e == ERR_MISSING);

    DO(f.store, record, archive_query, .account = account, .most = 20, .record = true);
    check(record.n == 10 && record.messages[4].stanza.len > 0);
    check(record.messages[0].flags & STORE_HIDDEN);

    DO(f.store, twice, archive_withdraw, .n = 3, .rows = hide, .visibility = STORE_HIDDEN);
    check(twice.n_changed == 0);
    DO(f.store, back, archive_withdraw, .n = 3, .rows = hide);
    check(back.n_changed == 2);
    DO(f.store, after, archive_query, .account = account, .most = 20);
    check(after.n == 10);
}

TEST(the_spool_gives_each_message_until_it_is_cleared)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), other = make_account(f.store, "other");
    int64_t ids[6];
    for (int i = 0; i < 6; i++) // every second is of the archive too
        ids[i] = put_message(f.store, account, "j@x", "<m/>",
                             STORE_SPOOLED | (i % 2 == 0 ? STORE_ARCHIVED : 0));
    put_message(f.store, other, "j@x", "<m/>", STORE_SPOOLED);
    DO(f.store, first, spool_list, .account = account, .most = 4);
    check(first.n == 4 && first.more && first.messages[0].id == ids[0]);
    check(first.messages[0].flags == (STORE_SPOOLED | STORE_ARCHIVED));
    check(first.messages[1].flags == STORE_SPOOLED);
    check_str(first.messages[1].stanza, STR("<m/>"));
    DO(f.store, second, spool_list, .account = account, .most = 4, .after_id = ids[3]);
    check(second.n == 2 && !second.more);
    DO(f.store, archive, archive_query, .account = account, .most = 9, .count = true);
    check(archive.n == 3 && archive.total == 3);

    DO(f.store, full, account_load, .by_number = account);
    check(full.n_spooled == 6 && full.spooled_bytes == 24);
    const uint64_t sizes[] = {100, 7};
    DO(f.store, some, spool_clear, .account = account, .ids = &ids[3], .sizes = sizes, .n_ids = 2);
    check(some_e == OK && some.n_cleared == 2 && some.bytes_cleared == 107);
    DO(f.store, again, spool_clear, .account = account, .ids = &ids[3], .sizes = sizes, .n_ids = 2);
    check(again_e == OK && again.n_cleared == 0 && again.bytes_cleared == 0);
    DO(f.store, theirs, spool_clear, .account = other, .ids = &ids[0], .n_ids = 1);
    check(theirs.n_cleared == 0);
    DO(f.store, up_to, spool_clear, .account = account, .up_to_id = ids[1]);
    check(up_to.n_cleared == 2);
    DO(f.store, count, spool_count, .account = account);
    check(count.n == 2);
    DO(f.store, rest, spool_clear, .account = account, .up_to_id = INT64_MAX);
    check(rest.n_cleared == 2);
    DO(f.store, loaded, account_load, .by_number = account);
    check(loaded.n_spooled == 0 && loaded.spooled_bytes == 0);
    DO(f.store, kept, archive_query, .account = account, .most = 9);
    check(kept.n == 3 && kept.messages[2].stanza.len > 0);
    DO(f.store, other_count, spool_count, .account = other);
    check(other_count.n == 1);
}

TEST(the_spool_is_the_same_after_the_rows_have_moved)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), ids[600];
    for (int i = 0; i < 600; i++)
        ids[i] = put_message(f.store, account, "j@x", "<m/>",
                             STORE_SPOOLED | (i % 2 == 0 ? STORE_ARCHIVED : 0));
    DO(f.store, move, archive_purge, .before_us = 1, .most = 1);
    int64_t last = put_message(f.store, account, "j@x", "<m/>", STORE_SPOOLED);
    DO(f.store, count, spool_count, .account = account);
    check(count.n == 601);
    DO(f.store, page, spool_list, .account = account, .most = 5, .after_id = ids[597]);
    check(page.n == 3 && page.messages[2].id == last && !page.more);
    DO(f.store, one, spool_clear, .account = account, .ids = &ids[7], .n_ids = 1);
    check(one.n_cleared == 1);
    DO(f.store, up_to, spool_clear, .account = account, .up_to_id = ids[599]);
    check(up_to.n_cleared == 599);
    DO(f.store, left, spool_list, .account = account, .most = 5);
    check(left.n == 1 && left.messages[0].id == last);
    DO(f.store, archive, archive_query, .account = account, .most = 0, .count = true);
    check(archive.total == 300);
}

TEST(a_withdrawn_message_waits_unseen_until_it_is_shown_again)
{
    for (int moved = 0; moved < 2; moved++) {
        struct fixture f CLEANUP(fixture_done) = fixture_new();
        int64_t account = make_account(f.store, "romeo");
        int64_t bad = put_message(f.store, account, "j@x", "<m>lure</m>", STORE_SPOOLED);
        int64_t good = put_message(f.store, account, "j@x", "<m/>", STORE_SPOOLED | STORE_ARCHIVED);
        if (moved) {
            DO(f.store, move, archive_purge, .before_us = 1, .most = 1);
        }
        struct store_row row = {account, bad, false};
        DO(f.store, hide, archive_withdraw, .n = 1, .rows = &row, .visibility = STORE_HIDDEN);
        check(hide.n_changed == 1);
        DO(f.store, list, spool_list, .account = account, .most = 9);
        check(list.n == 1 && list.messages[0].id == good);
        DO(f.store, count, spool_count, .account = account);
        check(count.n == 1);
        DO(f.store, clear, spool_clear, .account = account, .up_to_id = good);
        check(clear.n_cleared == 1);
        DO(f.store, show, archive_withdraw, .n = 1, .rows = &row);
        check(show.n_changed == 1);
        DO(f.store, again, spool_list, .account = account, .most = 9);
        check(again.n == 1 && again.messages[0].id == bad);
        DO(f.store, out, archive_withdraw, .n = 1, .rows = &row, .visibility = STORE_TOMBSTONE,
           .unspool = true);
        check(out.n_unspooled == 1);
        DO(f.store, none, spool_count, .account = account);
        check(none.n == 0);
    }
}

TEST(the_spool_forgets_what_waited_too_long)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo"), other = make_account(f.store, "other");
    for (int i = 0; i < 5; i++) {
        DO(f.store, a, append, .account = account, .wall_us = 1000 + i, .backdate = true,
           .flags = STORE_SPOOLED | (i == 0 ? STORE_ARCHIVED : 0));
        DO(f.store, b, append, .account = other, .wall_us = 2000 + i, .backdate = true,
           .flags = STORE_SPOOLED);
    }
    int64_t fresh = put_message(f.store, other, "j@x", "<m/>", STORE_SPOOLED);
    uint32_t n = 0, rounds = 0;
    int64_t after_account = 0, after_id = 0;
    for (bool more = true; more; rounds++) {
        DO(f.store, e, spool_expire, .before_us = 2003, .most = 3, .after_account = after_account,
           .after_id = after_id);
        check(e_e == OK && rounds < 10);
        n += e.n;
        more = e.more;
        after_account = e.after_account;
        after_id = e.after_id;
    }
    check(n == 8 && rounds == 4);
    DO(f.store, left, spool_list, .account = other, .most = 9);
    check(left.n == 3 && left.messages[2].id == fresh);
    DO(f.store, archive, archive_query, .account = account, .most = 9);
    check(archive.n == 1);
}

TEST(retention_erases_but_the_spool_keeps)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, elsewhere, account_create, .local = STR("x"), .domain = STR("b.example"));
    for (int i = 0; i < 10; i++) {
        DO(f.store, a, append, .account = i < 8 ? account : elsewhere.account, .wall_us = 1000 + i,
           .backdate = true, .stanza = STR("<m/>"),
           .flags = STORE_ARCHIVED | (i == 2 ? STORE_SPOOLED : 0));
    }
    uint32_t n = 0;
    int64_t after = 0;
    for (bool more = true; more;) {
        DO(f.store, p, archive_purge, .before_us = 1006, .domain = STR("example.org"), .most = 3,
           .after_id = after);
        n += p.n;
        more = p.more;
        after = p.after_id;
    }
    check(n == 6);
    DO(f.store, left, archive_query, .account = account, .most = 20);
    check(left.n == 2);
    DO(f.store, waits, spool_list, .account = account, .most = 9);
    check(waits.n == 1 && waits.messages[0].flags == STORE_SPOOLED);
    check_str(waits.messages[0].stanza, STR("<m/>"));
    DO(f.store, all, archive_purge, .before_us = INT64_MAX, .most = 100);
    check(all.n == 4 && !all.more);
}

static struct str key_of(char c)
{
    static char keys[256][32];
    memset(keys[(unsigned char)c], c, 32);
    return str_make(keys[(unsigned char)c], 32);
}

static int64_t put_lure(struct store *store, int64_t account, uint8_t flags, const struct str *keys,
                        uint32_t n)
{
    DO(store, a, append, .account = account, .peer = STR("p@x"), .message_id = STR("mid"),
       .stanza = STR("<m>lure</m>"), .flags = flags, .lures = keys, .n_lures = n);
    check(a_e == OK);
    return a.id;
}

TEST(every_copy_of_a_lure_is_found_by_any_of_its_keys)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t romeo = make_account(f.store, "romeo"), juliet = make_account(f.store, "juliet");
    struct str ab[] = {key_of('a'), key_of('b'), key_of('a')}, b[] = {key_of('b')};
    int64_t one = put_lure(f.store, romeo, STORE_ARCHIVED | STORE_OUTGOING, ab, 3);
    int64_t two = put_lure(f.store, juliet, STORE_ARCHIVED | STORE_SPOOLED, ab, 3);
    int64_t three = put_lure(f.store, juliet, STORE_SPOOLED, b, 1);
    int64_t four = put_lure(f.store, romeo, 0, b, 1);
    put_message(f.store, romeo, "p@x", "<m/>", STORE_ARCHIVED);

    DO(f.store, a, deliveries, .key = key_of('a'), .most = 10);
    check(a.n == 2 && !a.more);
    check(a.deliveries[0].message.id == one && a.deliveries[0].account == romeo);
    check_str(a.deliveries[0].local, STR("romeo"));
    check_str(a.deliveries[0].domain, STR("example.org"));
    check_str(a.deliveries[0].message.message_id, STR("mid"));
    check(a.deliveries[0].message.flags == (STORE_ARCHIVED | STORE_OUTGOING));
    check(a.deliveries[1].message.flags == (STORE_ARCHIVED | STORE_SPOOLED));
    DO(f.store, page, deliveries, .key = key_of('b'), .most = 2);
    check(page.n == 2 && page.more);
    DO(f.store, rest, deliveries, .key = key_of('b'), .most = 5,
       .after_id = page.deliveries[1].message.id);
    check(rest.n == 2 && rest.deliveries[0].message.id == three);
    check(rest.deliveries[1].message.id == four && rest.deliveries[1].message.flags == 0);
    DO(f.store, none, deliveries, .key = key_of('c'), .most = 5);
    check(none_e == OK && none.n == 0);

    // delivered and not archived: the copy is still known, its text is not kept
    DO(f.store, clear, spool_clear, .account = juliet, .up_to_id = INT64_MAX);
    check(clear.n_cleared == 2);
    DO(f.store, later, deliveries, .key = key_of('b'), .most = 9, .after_id = two);
    check(later.n == 2 && later.deliveries[0].message.id == three);
    check(later.deliveries[0].message.flags == 0 && later.deliveries[0].message.stanza.len == 0);
    DO(f.store, archive, archive_query, .account = juliet, .most = 9, .count = true,
       .record = true);
    check(archive.n == 1 && archive.total == 1 && archive.messages[0].id == two);
    check_str(archive.messages[0].stanza, STR("<m>lure</m>"));

    struct store_row row = {juliet, two, false};
    DO(f.store, withdraw, archive_withdraw, .n = 1, .rows = &row, .visibility = STORE_TOMBSTONE);
    DO(f.store, after, deliveries, .key = key_of('a'), .most = 9);
    check(after.deliveries[1].message.flags == (STORE_ARCHIVED | STORE_TOMBSTONE));
}

static bool is_untold(struct store *store, uint64_t by)
{
    DO(store, copies, deliveries, .key = key_of('a'), .most = 9, .untold_by = by);
    check(copies.n == 1);
    return copies.deliveries[0].is_untold;
}

TEST(a_copy_is_marked_until_its_owner_has_been_told)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t romeo = make_account(f.store, "romeo");
    struct str keys[] = {key_of('a')};
    DO(f.store, put, append, .account = romeo, .peer = STR("p@x"), .stanza = STR("<m>lure</m>"),
       .message_id = STR("retract-1"), .flags = STORE_ARCHIVED, .lures = keys, .n_lures = 1);
    struct store_row rows[] = {
        {romeo, put.id,     false},
        {romeo, put.id + 1, false}  // is gone
    };
    check(put_e == OK && !is_untold(f.store, 7));
    DO(f.store, withdraw, archive_withdraw, .n = 2, .rows = rows, .visibility = STORE_TOMBSTONE,
       .untold_by = 7);
    check(withdraw_e == OK && withdraw.n_changed == 1);
    for (int round = 0; round < 2; round++) {
        check(is_untold(f.store, 7) && !is_untold(f.store, 8) && !is_untold(f.store, 0));
        store_close(&f.store);
        fixture_open(&f, NULL);
    }
    // another order's word is not this one's
    DO(f.store, other, archive_told, .by = 8, .n = 1, .ids = &put.id);
    check(other_e == OK && is_untold(f.store, 7));
    DO(f.store, told, archive_told, .by = 7, .n = 1, .ids = &put.id);
    check(told_e == OK && !is_untold(f.store, 7));
    DO(f.store, again, archive_told, .by = 7, .n = 1, .ids = &put.id);
    check(again_e == OK);
    // what is shown again needs no word about its end
    DO(f.store, anew, archive_withdraw, .n = 1, .rows = rows, .visibility = STORE_TOMBSTONE,
       .untold_by = 9);
    DO(f.store, back, archive_withdraw, .n = 1, .rows = rows);
    check(anew_e == OK && back_e == OK && !is_untold(f.store, 9));
}

TEST(copies_are_found_before_and_after_their_keys_have_moved)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t romeo = make_account(f.store, "romeo");
    enum { COPIES = 5000 };
    static struct store_append ops[COPIES];
    static struct str keys[COPIES][2];
    static char own[COPIES][16];
    struct str shared = key_of('a');
    for (int i = 0; i < COPIES; i++) {
        snprintf(own[i], sizeof own[i], "key %d", i);
        keys[i][0] = shared;
        keys[i][1] = str_make(own[i], sizeof own[i]);
        ops[i] = (struct store_append){.account = romeo,
                                       .peer = STR("p@x"),
                                       .stanza = STR("<m>lure</m>"),
                                       .flags = STORE_ARCHIVED,
                                       .lures = keys[i],
                                       .n_lures = 2};
        store_append(f.store, &ops[i]);
    }
    int64_t after = 0;
    uint32_t n = 0;
    for (bool more = true; more;) {
        DO(f.store, page, deliveries, .key = shared, .most = 300, .after_id = after);
        check(page_e == OK && page.n > 0);
        for (uint32_t i = 0; i < page.n; i++)
            check(page.deliveries[i].message.id == ops[n + i].id);
        n += page.n;
        more = page.more;
        after = page.deliveries[page.n - 1].message.id;
    }
    check(n == COPIES);
    for (int i = 0; i < COPIES; i += 499) {
        DO(f.store, one, deliveries, .key = keys[i][1], .most = 5);
        check(one.n == 1 && one.deliveries[0].message.id == ops[i].id);
    }
    for (int i = 0; i < COPIES; i++)
        store_release(&ops[i].request);
    DO(f.store, expire, deliveries_expire, .before_us = clock_wall_us() + SECOND_US,
       .most = COPIES + 1);
    check(expire.n == COPIES && !expire.more);
    DO(f.store, none, deliveries, .key = key_of('a'), .most = 9);
    check(none.n == 0);
}

TEST(lures_expire_and_take_along_what_was_kept_for_them)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t romeo = make_account(f.store, "romeo");
    struct str a[] = {key_of('a')};
    put_lure(f.store, romeo, STORE_ARCHIVED, a, 1);
    put_lure(f.store, romeo, 0, a, 1);
    int64_t waits = put_lure(f.store, romeo, STORE_SPOOLED, a, 1);
    DO(f.store, purge, archive_purge, .before_us = clock_wall_us() + SECOND_US, .most = 10);
    check(purge.n == 1);
    DO(f.store, found, deliveries, .key = key_of('a'), .most = 9);
    check(found.n == 3); // retention leaves the ledger, without text
    check(found.deliveries[0].message.stanza.len == 0 && found.deliveries[0].message.flags == 0);
    DO(f.store, some, deliveries_expire, .before_us = clock_wall_us() + SECOND_US, .most = 2);
    check(some.n == 2 && some.more);
    DO(f.store, rest, deliveries_expire, .before_us = clock_wall_us() + SECOND_US, .most = 2);
    check(rest.n == 1 && !rest.more);
    DO(f.store, none, deliveries, .key = key_of('a'), .most = 9);
    check(none.n == 0);
    DO(f.store, list, spool_list, .account = romeo, .most = 9);
    check(list.n == 1 && list.messages[0].id == waits);
    DO(f.store, clear, spool_clear, .account = romeo, .ids = &waits, .n_ids = 1);
    check(clear.n_cleared == 1);
}

TEST(a_page_that_grows_too_large_ends_early)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    static char large[3000];
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 5; i++)
        put_message(f.store, account, "j@x", large, STORE_ARCHIVED | STORE_SPOOLED);
    DO(f.store, page, archive_query, .request = {.results_most = 10000}, .account = account,
       .most = 5);
    check(page_e == OK && page.n == 3 && !page.complete);
    DO(f.store, list, spool_list, .request = {.results_most = 10000}, .account = account,
       .most = 5);
    check(list_e == OK && list.n == 3 && list.more);
    DO(f.store, none, archive_query, .request = {.results_most = 2000}, .account = account,
       .most = 5);
    check(none_e == ERR_LIMIT && none.request.why.len > 0);
}

TEST(thousands_of_rows_move_and_stay_whole)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    enum { ACCOUNTS = 20, ROWS = 30000 };
    int64_t accounts[ACCOUNTS];
    for (int i = 0; i < ACCOUNTS; i++) {
        char name[8];
        snprintf(name, sizeof name, "u%d", i);
        accounts[i] = make_account(f.store, name);
    }
    static struct store_append appends[ROWS];
    for (int i = 0; i < ROWS; i++) {
        appends[i] = (struct store_append){.account = accounts[i % ACCOUNTS],
                                           .peer = STR("p@x"),
                                           .stanza = STR("<m/>"),
                                           .flags = STORE_ARCHIVED |
                                                    (i % 100 < ACCOUNTS ? STORE_SPOOLED : 0)};
        store_append(f.store, &appends[i]);
    }
    for (int i = 0; i < ROWS; i++) {
        check(store_wait(&appends[i].request) == OK);
        store_release(&appends[i].request);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        DO(f.store, page, archive_query, .account = accounts[i], .most = ROWS, .count = true);
        check(page.n == ROWS / ACCOUNTS && page.total == ROWS / ACCOUNTS && page.complete);
        for (uint32_t k = 1; k < page.n; k++)
            check(page.messages[k].id > page.messages[k - 1].id);
        DO(f.store, spool, spool_count, .account = accounts[i]);
        check(spool.n == ROWS / 100);
    }
}
