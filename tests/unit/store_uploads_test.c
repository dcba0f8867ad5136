#include "store_fixture.h"

#define DIGEST STR("0123456789\0bcdef0123456789abcdef")

static struct store_upload a_file(const char *id, int64_t owner)
{
    return (struct store_upload){
        .id = str_of(id),
        .owner = owner,
        .jid = STR("romeo@example.org"),
        .name = STR("Bild's \"ü\".jpg"),
        .type = STR("image/jpeg"),
        .size = UINT64_C(5000000000),
        .digest = DIGEST,
        .flags = 0x80000001,
        .finding = STR("none"),
        .created_us = 7,
        .expires_us = 9,
    };
}

TEST(an_upload_is_kept_marked_and_removed)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    DO(f.store, put, upload_put, .upload = a_file("a", 3));
    DO(f.store, twice, upload_put, .upload = a_file("a", 4));
    check(put_e == OK && twice_e == ERR_EXISTS);
    DO(f.store, list, upload_list, .most = 9);
    check(list_e == OK && list.n == 1 && !list.more);
    const struct store_upload *u = &list.uploads[0];
    check(u->owner == 3 && u->size == UINT64_C(5000000000) && u->flags == 0x80000001);
    check(u->created_us == 7 && u->expires_us == 9);
    check_str(u->id, STR("a"));
    check_str(u->name, STR("Bild's \"ü\".jpg"));
    check_str(u->digest, DIGEST);
    check(u->digest.len == STORE_DIGEST_SIZE);

    DO(f.store, mark, upload_mark, .id = STR("a"), .flags = 2, .finding = STR("a worm"));
    DO(f.store, nobody, upload_mark, .id = STR("b"), .flags = 2, .finding = STR("a worm"));
    check(mark_e == OK && nobody_e == ERR_MISSING);
    DO(f.store, marked, upload_list, .most = 9);
    check(marked.uploads[0].flags == 2);
    check_str(marked.uploads[0].finding, STR("a worm"));

    struct str ids[] = {STR("a"), STR("b")};
    DO(f.store, remove, upload_remove, .n = 2, .ids = ids);
    check(remove_e == OK && remove.n_removed == 1);
    DO(f.store, none, upload_list, .most = 9);
    check(none.n == 0);
}

TEST(uploads_are_listed_in_pages_and_by_owner)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    static const char *const ids[] = {"d", "a", "c", "b", "e"};
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        DO(f.store, put, upload_put, .upload = a_file(ids[i], 1 + (int64_t)i % 2));
        check(put_e == OK);
    }
    static const struct {
        int64_t owner;
        const char *after;
        uint32_t most;
        const char *found;
        bool more;
    } cases[] = {
        {0, "",  9, "abcde", false},
        {0, "b", 2, "cd",    true },
        {1, "",  9, "cde",   false},
        {2, "",  1, "a",     true },
        {2, "a", 1, "b",     false},
        {3, "",  9, "",      false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        DO(f.store, list, upload_list, .owner = cases[i].owner, .after_id = str_of(cases[i].after),
           .most = cases[i].most);
        char found[8] = "";
        for (uint32_t k = 0; k < list.n; k++)
            found[k] = list.uploads[k].id.at[0];
        check_str(str_of(found), str_of(cases[i].found));
        check(list.more == cases[i].more);
    }
}
