#include "store_fixture.h"

TEST(a_record_is_put_replaced_taken_and_expires)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    DO(f.store, put, record_put, .kind = STORE_HELD,
       .record = {STR("k'1"), STR("inc"), STR("romeo@x"), STR("val\0ue"), 5, 100});
    DO(f.store, only, record_put, .kind = STORE_HELD, .record = {.key = STR("k'1")},
       .only_new = true);
    check(put_e == OK && only_e == ERR_EXISTS);
    DO(f.store, get, record_get, .kind = STORE_HELD, .key = STR("k'1"), .now_us = 99);
    check(get_e == OK && get.record.created_us == 5 && get.record.expires_us == 100);
    check_str(get.record.value, STR("val\0ue"));
    check_str(get.record.group, STR("inc"));
    check_str(get.record.subject, STR("romeo@x"));
    DO(f.store, late, record_get, .kind = STORE_HELD, .key = STR("k'1"), .now_us = 100);
    check(late_e == ERR_MISSING);
    DO(f.store, other_kind, record_get, .kind = STORE_DECOY, .key = STR("k'1"));
    check(other_kind_e == ERR_MISSING);

    DO(f.store, replace, record_put, .kind = STORE_HELD,
       .record = {.key = STR("k'1"), .value = STR("new"), .created_us = 50});
    struct store_record_get take CLEANUP(op_done) = {.kind = STORE_HELD, .key = STR("k'1")};
    store_record_take(f.store, &take);
    check(store_wait(&take.request) == OK);
    check_str(take.record.value, STR("new"));
    check(take.record.created_us == 5 && take.record.expires_us == 0);
    store_release(&take.request);
    store_record_take(f.store, &take);
    check(store_wait(&take.request) == ERR_MISSING);
    DO(f.store, remove, record_remove, .kind = STORE_HELD, .key = STR("k'1"));
    check(remove_e == ERR_MISSING);
}

TEST(records_are_listed_by_group_and_subject)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    static const char *const rows[][3] = {
        {"a", "i1", "romeo" },
        {"b", "i1", "juliet"},
        {"c", "i2", "romeo" },
        {"d", "",   "romeo" },
        {"e", "i1", "romeo" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        DO(f.store, put, record_put, .kind = STORE_HELD,
           .record = {.key = str_of(rows[i][0]),
                      .group = str_of(rows[i][1]),
                      .subject = str_of(rows[i][2]),
                      .expires_us = (int64_t)i + 1});
    }
    static const struct {
        const char *group, *subject, *after;
        uint32_t most;
        int64_t now_us;
        const char *keys;
        bool more;
    } cases[] = {
        {"",   "",      "",  9, 0, "abcde", false},
        {"",   "",      "b", 2, 0, "cd",    true },
        {"i1", "",      "",  9, 0, "abe",   false},
        {"i1", "",      "a", 1, 0, "b",     true },
        {"i1", "",      "b", 1, 0, "e",     false},
        {"",   "romeo", "",  9, 0, "acde",  false},
        {"i1", "romeo", "",  9, 0, "ae",    false},
        {"i3", "",      "",  9, 0, "",      false},
        {"",   "",      "",  9, 3, "de",    false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        DO(f.store, list, record_list, .kind = STORE_HELD, .group = str_of(cases[i].group),
           .subject = str_of(cases[i].subject), .after_key = str_of(cases[i].after),
           .most = cases[i].most, .now_us = cases[i].now_us);
        char keys[8] = "";
        for (uint32_t k = 0; k < list.n; k++)
            keys[k] = list.records[k].key.at[0];
        check_str(str_of(keys), str_of(cases[i].keys));
        check(list.more == cases[i].more);
    }
    DO(f.store, expire, record_expire, .kind = STORE_HELD, .now_us = 3);
    check(expire.n == 3);
    DO(f.store, left, record_list, .kind = STORE_HELD, .most = 9);
    check(left.n == 2);
}

TEST(events_keep_their_numbers)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    struct store_event some[] = {
        {5, STR("five")},
        {6, STR("s\0x")},
        {9, STR("nine")}
    };
    DO(f.store, append, event_append, .n = 3, .events = some);
    check(append_e == OK);
    struct store_event bad[] = {
        {10, STR("ten")  },
        {10, STR("again")}
    };
    DO(f.store, twice, event_append, .n = 2, .events = bad);
    check(twice_e == ERR_EXISTS);
    DO(f.store, read, event_read, .after = 0, .most = 2);
    check(read.n == 2 && read.more && read.events[1].number == 6);
    check_str(read.events[1].blob, STR("s\0x"));
    DO(f.store, rest, event_read, .after = 6, .most = 9);
    check(rest.n == 1 && !rest.more && rest.events[0].number == 9);
    DO(f.store, trim, event_trim, .up_to = 9);
    DO(f.store, after, event_read, .after = 9, .most = 9);
    check(after.n == 0);
    DO(f.store, old, event_append, .n = 1, .events = &(struct store_event){9, STR("x")});
    check(old_e == ERR_EXISTS); // numbers do not begin anew
    DO(f.store, next, event_append, .n = 1, .events = &(struct store_event){10, STR("x")});
    check(next_e == OK);
}

TEST(the_audit_record_is_read_from_the_newest)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    for (int i = 1; i <= 5; i++) {
        DO(f.store, a, audit_append,
           .entry = {.wall_us = i * 10,
                     .actor = i % 2 ? STR("op'1") : STR("guard"),
                     .action = STR("suspend"),
                     .scope = STR("links"),
                     .reason = STR("%"),
                     .details = STR("{\"a\":1}")});
        check(a_e == OK && a.entry.number == i);
    }
    DO(f.store, page, audit_list, .most = 2);
    check(page.n == 2 && page.more && page.entries[0].number == 5);
    check_str(page.entries[0].details, STR("{\"a\":1}"));
    DO(f.store, next, audit_list, .most = 9, .before = 4);
    check(next.n == 3 && !next.more && next.entries[0].number == 3);
    DO(f.store, one, audit_list, .most = 9, .actor = STR("op'1"), .since_us = 30);
    check(one.n == 2);
    DO(f.store, scope, audit_list, .most = 9, .scope = STR("files"));
    check(scope.n == 0);
}

TEST(all_of_it_survives_a_restart)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    static char large[3 << 20];
    memset(large, 'g', sizeof large);
    DO(f.store, put, record_put, .kind = STORE_SNAPSHOT,
       .record = {.key = STR("guard"), .value = str_make(large, sizeof large)});
    DO(f.store, event, event_append, .n = 1, .events = &(struct store_event){1, STR("e")});
    store_close(&f.store);
    fixture_open(&f, NULL);
    DO(f.store, get, record_get, .kind = STORE_SNAPSHOT, .key = STR("guard"));
    check(get_e == OK && get.record.value.len == sizeof large);
    DO(f.store, events, event_read, .most = 9);
    check(events.n == 1);
}
