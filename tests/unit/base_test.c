#include "test.h"

#include "base/blake2b.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "base/table.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

TEST(an_arena_can_begin_early_and_grow_as_ever)
{
    struct arena arena;
    arena_init(&arena, 100000);
    arena_begin(&arena);
    check(arena.used == 0 && arena.blocks != NULL);
    char *first = arena_alloc(&arena, 90);
    memset(first, 'a', 90);
    char *second = arena_alloc(&arena, 5000);
    memset(second, 'b', 5000);
    check(first[0] == 'a' && first[89] == 'a' && arena.used == 5090);
    arena_done(&arena);
}

TEST(an_arena_counts_what_it_gives_and_keeps_its_ceiling)
{
    struct arena arena;
    arena_init(&arena, 100);
    check(arena_fits(&arena, 100));
    arena_alloc(&arena, 60);
    check(arena_fits(&arena, 40));
    check(!arena_fits(&arena, 41));
    arena_reset(&arena);
    check(arena.used == 100 || arena_fits(&arena, 100));
    arena_done(&arena);
}

TEST(a_buffer_remembers_that_it_overflowed)
{
    struct buf buf;
    buf_init(&buf, 5);
    buf_add(&buf, STR("abc"));
    buf_add(&buf, STR("def"));
    buf_add(&buf, STR("g"));
    check_str(buf_str(&buf), STR("abc"));
    check(buf.overflowed);
    buf_done(&buf);
}

TEST(a_buffer_can_begin_in_borrowed_room_and_leaves_it_when_it_grows)
{
    char room[8];
    struct buf buf;
    buf_init_in(&buf, room, sizeof room, 1024);
    buf_add(&buf, STR("12345678"));
    check(buf.at == room);
    buf_add(&buf, STR("9"));
    check(buf.at != room);
    check_str(buf_str(&buf), STR("123456789"));
    buf_done(&buf);
}

TEST(utf8_is_checked_as_rfc_3629_says)
{
    static const struct {
        struct str text;
        bool good;
    } cases[] = {
        {STR("plain"),            true },
        {STR("\xC3\xA4"),         true },
        {STR("\xF0\x9F\x9A\xAA"), true },
        {STR("\xC0\xAF"),         false},
        {STR("\xE0\x80\xAF"),     false},
        {STR("\xED\xA0\x80"),     false},
        {STR("\xF4\x90\x80\x80"), false},
        {STR("\xC3"),             false},
        {STR("\x80"),             false},
        {STR("\xFF"),             false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(str_is_utf8(cases[i].text) == cases[i].good);
}

TEST(a_cut_loop_sees_every_part_once)
{
    struct str rest = STR("a,,b");
    check_str(str_cut(&rest, ','), STR("a"));
    check_str(str_cut(&rest, ','), STR(""));
    check(rest.at != NULL);
    check_str(str_cut(&rest, ','), STR("b"));
    check(rest.at == NULL);
}

TEST(numbers_with_signs_spaces_or_overflow_are_refused)
{
    uint64_t n = 7;
    check(str_to_u64(STR("42"), 0, 100, &n) == OK && n == 42);
    check(str_to_u64(STR("-1"), 0, 100, &n) == ERR_MALFORMED);
    check(str_to_u64(STR(" 1"), 0, 100, &n) == ERR_MALFORMED);
    check(str_to_u64(STR(""), 0, 100, &n) == ERR_MALFORMED);
    check(str_to_u64(STR("18446744073709551616"), 0, UINT64_MAX, &n) == ERR_LIMIT);
    check(str_to_u64(STR("101"), 0, 100, &n) == ERR_LIMIT && n == 42);
}

TEST(a_table_finds_what_it_holds_after_growing_and_removing)
{
    struct table table;
    table_init(&table, 1000);
    char keys[1000][8];
    for (int i = 0; i < 1000; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        check(table_put(&table, str_of(keys[i]), keys[i]) == OK);
    }
    check(table_put(&table, STR("one more"), keys) == ERR_LIMIT);
    check(table_put(&table, STR("k5"), keys) == ERR_EXISTS);
    for (int i = 0; i < 1000; i += 2)
        check(table_remove(&table, str_of(keys[i])) == keys[i]);
    for (int i = 0; i < 1000; i++)
        check(table_get(&table, str_of(keys[i])) == (i % 2 == 0 ? NULL : (void *)keys[i]));
    table_done(&table);
}

TEST(times_are_written_and_read_as_xep_0082_says)
{
    int64_t us = 0;
    check(clock_parse(STR("2002-09-10T23:41:07Z"), &us) == OK && us == 1031701267 * SECOND_US);
    check(clock_parse(STR("2002-09-10T17:41:07-06:00"), &us) == OK && us == 1031701267 * SECOND_US);
    check(clock_parse(STR("2002-09-10T23:41:07.25Z"), &us) == OK && us % SECOND_US == 250000);
    check_str(clock_format(test_arena(), us), STR("2002-09-10T23:41:07.250000Z"));
    check(clock_parse(STR("2002-09-10 23:41:07Z"), &us) == ERR_MALFORMED);
    check(clock_parse(STR("2002-13-10T23:41:07Z"), &us) == ERR_MALFORMED);
    check(clock_parse(STR("2002-09-10T23:41:07"), &us) == ERR_MALFORMED);
    check(clock_parse(STR("9999-12-31T23:59:59-00:01"), &us) == ERR_MALFORMED);
    check(clock_parse(STR("0000-01-01T00:00:00+00:01"), &us) == ERR_MALFORMED);
    check(clock_parse(STR("0000-01-01T00:00:00Z"), &us) == OK);
}

TEST(a_forged_value_cannot_make_a_second_log_line)
{
    struct str quoted = log_quote(test_arena(), STR("a\nevent=login b=\"c\""));
    check_str(quoted, STR("\"a\\x0aevent=login b=\\\"c\\\"\""));
    check_str(log_quote(test_arena(), STR("romeo@example.org")), STR("romeo@example.org"));
}

// As much of JSON's grammar as a line that was cut could break.
static bool is_sound_json(struct str line)
{
    bool quoted = false;
    for (size_t i = 0; i < line.len; i++) {
        char c = line.at[i];
        if (quoted && c == '\\') {
            size_t n = i + 1 < line.len && line.at[i + 1] == 'u' ? 5 : 1;
            if (i + n >= line.len || strchr("\"\\u", line.at[i + 1]) == NULL)
                return false;
            for (size_t k = 2; k <= n; k++)
                if (strchr("0123456789abcdef", line.at[i + k]) == NULL)
                    return false;
            i += n;
        } else if (c == '"') {
            quoted = !quoted;
        } else if ((unsigned char)c < ' ') {
            return false;
        }
    }
    return !quoted && str_starts(line, STR("{\"time\":")) && str_ends(line, STR("}")) &&
           str_is_utf8(line);
}

TEST(a_log_line_that_is_too_long_is_cut_where_it_stays_json)
{
    static const char *const pieces[] = {
        "\"",  "\\",       "\n", "\xFF\"", "\xC3\xA4 ", "\xF0\x9F\x90\x9B ", "\xE2\x82\xAC\\",
        "x y", "=\"\\\x01"};
    char path[] = "/tmp/firedoor-log-XXXXXX", line[8192];
    struct why why;
    int fd = mkstemp(path);
    check(fd >= 0 && log_open(path, LOG_INFO, true, &why) == OK);
    FILE *in = fdopen(fd, "r");
    for (size_t p = 0; p < COUNT_OF(pieces); p++)
        for (size_t before = 0; before < 12; before++) { // so that each byte is once the last
            struct buf value;
            buf_init(&value, 1 << 20);
            for (size_t i = 0; i < before; i++)
                buf_add_char(&value, 'b');
            while (value.len < 3000)
                buf_add(&value, str_of(pieces[p]));
            struct str quoted = log_quote(test_arena(), buf_str(&value));
            log_event(LOG_INFO, "test", "first=1 long=%.*s last=2", STR_ARGS(quoted));
            check(fgets(line, sizeof line, in) != NULL);
            check(is_sound_json(str_trim(str_of(line))));
            buf_done(&value);
        }
    fclose(in);
    unlink(path);
    check(log_open(NULL, LOG_INFO, false, &why) == OK);
}

TEST(a_number_in_the_log_is_one_in_json)
{
    char path[] = "/tmp/firedoor-log-XXXXXX", line[1024];
    struct why why;
    int fd = mkstemp(path);
    check(fd >= 0 && log_open(path, LOG_INFO, true, &why) == OK);
    FILE *in = fdopen(fd, "r");
    log_event(LOG_INFO, "test", "a=%u b=%s c=%lld d=%zu to=%d%s e=7 f=%.1f", 1U, "2", -3LL,
              (size_t)4, 5, "s", 1.5);
    check(fgets(line, sizeof line, in) != NULL);
    check(str_ends(str_trim(str_of(line)), STR("\"event\":\"test\",\"a\":1,\"b\":\"2\",\"c\":-3,"
                                               "\"d\":4,\"to\":\"5s\",\"e\":\"7\","
                                               "\"f\":\"1.5\"}")));
    fclose(in);
    unlink(path);
    check(log_open(NULL, LOG_INFO, false, &why) == OK);
}

TEST(root_writes_its_log_through_nobody_elses_link)
{
    char dir[] = "/tmp/firedoor-log-XXXXXX", target[64], link[64];
    struct why why;
    check(mkdtemp(dir) != NULL);
    snprintf(target, sizeof target, "%s/target", dir);
    snprintf(link, sizeof link, "%s/log", dir);
    check(symlink(target, link) == 0);
    check(log_open(link, LOG_INFO, false, &why) == OK); // our own
    check(log_open(NULL, LOG_INFO, false, &why) == OK && unlink(target) == 0);
    if (geteuid() == 0) { // the others have no more rights than whoever made the link
        check(lchown(link, 1, 1) == 0);
        check(log_open(link, LOG_INFO, false, &why) == ERR_IO);
        check(access(target, F_OK) != 0);
    }
    check(unlink(link) == 0 && rmdir(dir) == 0);
}

TEST(random_ids_are_long_and_differ)
{
    struct str a = random_id(test_arena()), b = random_id(test_arena());
    check(a.len == RANDOM_ID_SIZE && !str_eq(a, b));
}

struct item {
    struct link link;
    int n;
};

TEST(blake2b_is_what_libsodium_has)
{
    unsigned char bytes[700];
    uint8_t one[BLAKE2B_SHORT], other[BLAKE2B_SHORT], expected[BLAKE2B_SHORT];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 3);
    for (size_t n = 0; n < sizeof bytes; n++) {
        size_t m = n * 31 % 300; // both of a block, either, none
        blake2b_short(bytes, n, one);
        check(crypto_generichash(expected, sizeof expected, bytes, n, NULL, 0) == 0);
        check(memcmp(one, expected, sizeof one) == 0);
        blake2b_short_two(bytes, n, bytes + 1, m, one, other);
        check(memcmp(one, expected, sizeof one) == 0);
        check(crypto_generichash(expected, sizeof expected, bytes + 1, m, NULL, 0) == 0);
        check(memcmp(other, expected, sizeof other) == 0);
    }
}

TEST(a_list_member_may_leave_during_the_walk)
{
    struct list list;
    list_init(&list);
    struct item items[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    for (int i = 0; i < 3; i++)
        list_add_last(&list, &items[i].link);
    int sum = 0;
    LIST_EACH(&list, struct item, link, it)
    {
        sum += it->n;
        list_leave(&it->link);
    }
    check(sum == 6 && list_empty(&list));
}
