#include "store_fixture.h"

#include "files/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>

struct world {
    struct fixture store;
    struct loop *loop;
    struct uploads *uploads;
    char directory[64];
    bool convicts;
};

static const struct upload_settings roomy = {
    .file_bytes = 1000,
    .quota_bytes = 5000,
    .daily_bytes = 100000,
    .daily_files = 100,
    .slots = 10,
    .storage_bytes = 100000,
    .files = 1000,
    .keep_us = 3600 * SECOND_US,
    .slot_us = 60 * SECOND_US,
};

static bool is_convicted(void *context, const struct lure_key *key)
{
    const struct world *world = context;
    check(!lure_key_is_none(key));
    return world->convicts;
}

static void world_open(struct world *world, const struct upload_settings *settings)
{
    struct why why = {""};
    enum err e = uploads_open(&(struct uploads_options){.directory = world->directory,
                                                        .store = world->store.store,
                                                        .loop = world->loop,
                                                        .threads = 2,
                                                        .disk_threads = 1,
                                                        .is_convicted = is_convicted,
                                                        .context = world},
                              settings, &world->uploads, &why);
    if (e != OK)
        fprintf(stderr, "%s\n", why.text);
    must(e == OK);
}

static void world_new(struct world *world, const struct upload_settings *settings)
{
    *world = (struct world){.store = fixture_new(), .directory = "/tmp/uploads-test-XXXXXX"};
    must(mkdtemp(world->directory) != NULL && loop_new("test", &world->loop, NULL) == OK);
    world_open(world, settings);
}

static void world_done(struct world *world)
{
    uploads_free(&world->uploads);
    loop_free(&world->loop);
    fixture_done(&world->store);
    DIR *directory = opendir(world->directory);
    for (struct dirent *e; (e = readdir(directory)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(directory), e->d_name, 0);
    closedir(directory);
    rmdir(world->directory);
}

static enum upload_grant grant(struct world *world, int64_t owner, uint64_t size,
                               struct upload_slot *slot)
{
    return uploads_grant(world->uploads, owner, STR("romeo@example.org"), STR("a b.txt"), size,
                         slot);
}

static enum upload_end put(struct world *world, const struct upload_slot *slot, const char *text,
                           uint64_t size, struct upload *about)
{
    struct upload_put *writing = NULL;
    must(uploads_begin(world->uploads, str_of(slot->put), size, &writing) == OK);
    must(uploads_write(writing, str_of(text)) == OK);
    enum upload_end end = uploads_end(writing, about);
    upload_put_free(&writing);
    return end;
}

static size_t n_on_disk(const struct world *world)
{
    size_t n = 0;
    DIR *directory = opendir(world->directory);
    for (struct dirent *e; (e = readdir(directory)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(directory);
    return n;
}

TEST(what_was_put_is_there_and_after_a_restart_too)
{
    struct world world;
    struct upload_slot slot;
    struct upload about;
    world_new(&world, &roomy);
    check(grant(&world, 7, 5, &slot) == GRANT_OK);
    check(strlen(slot.put) == RANDOM_ID_SIZE && strcmp(slot.put, slot.get) != 0);
    check(!uploads_find(world.uploads, str_of(slot.get), NULL)); // promised, not there
    check(put(&world, &slot, "hello", 5, &about) == END_STORED);
    struct upload_put *again;
    check(uploads_begin(world.uploads, str_of(slot.put), 5, &again) == ERR_MISSING);
    check(!uploads_find(world.uploads, str_of(slot.put), NULL));

    for (int round = 0; round < 2; round++) {
        struct upload found;
        check(uploads_find(world.uploads, str_of(slot.get), &found));
        check(found.owner == 7 && found.size == 5 && !found.convicted);
        check(lure_key_eq(&found.key, &about.key));
        check_str(str_of(found.name), STR("a b.txt"));
        char path[200];
        snprintf(path, sizeof path, "/upload/%s/a%%20b.txt", slot.get);
        check(uploads_find_in_path(world.uploads, str_of(path), &found));
        int fd = uploads_open_file(world.uploads, slot.get);
        char bytes[8];
        check(fd >= 0 && read(fd, bytes, sizeof bytes) == 5 && memcmp(bytes, "hello", 5) == 0);
        close(fd);
        struct upload_quota quota;
        uploads_quota(world.uploads, 7, &quota);
        check(quota.bytes == 5 && quota.files == 1 && quota.reserved == 0);
        check(quota.daily_files == 1);
        // what nobody acknowledged is swept away, what is not ours stays
        char part[160];
        snprintf(part, sizeof part, "%s/abcdefghijklmnopqrstuvwxyz.part", world.directory);
        close(open(part, O_CREAT | O_WRONLY, 0600));
        snprintf(part, sizeof part, "%s/notes", world.directory);
        close(open(part, O_CREAT | O_WRONLY, 0600));
        uploads_free(&world.uploads);
        world_open(&world, &roomy);
        check(n_on_disk(&world) == 2);
    }
    uint32_t n;
    struct str id = str_of(slot.get);
    check(uploads_remove(world.uploads, &id, 1, &n) == OK && n == 1);
    check(!uploads_find(world.uploads, id, NULL) && n_on_disk(&world) == 1);
    world_done(&world);
}

TEST(a_key_is_the_one_the_guard_computes_for_the_digest)
{
    struct world world;
    struct upload_slot slot;
    struct upload about;
    world_new(&world, &roomy);
    check(grant(&world, 7, 5, &slot) == GRANT_OK);
    check(put(&world, &slot, "hello", 5, &about) == END_STORED);
    struct lure_rules *rules = lure_rules_new();
    struct lure_list list;
    lure_list_init(&list, rules, test_arena());
    lure_add_file(&list, &(struct lure_file){
                             .name = STR("other name.txt"),
                             .media_type = STR("text/plain"),
                             .size = 5,
                             .digest_name = STR("sha-256"),
                             .digest = STR("LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
                         });
    lure_list_keys(&list, NULL);
    check(list.n == 1 && lure_key_eq(&list.lures[0].keys[LURE_EXACT], &about.key));
    lure_rules_free(&rules);
    world_done(&world);
}

TEST(limits_hold_before_a_byte_is_written)
{
    struct upload_settings tight = roomy;
    struct upload_slot slot, other;
    struct world world;
    tight.slots = 2;
    tight.daily_files = 3;
    tight.quota_bytes = 1500;
    tight.storage_bytes = 2000;
    world_new(&world, &tight);
    check(grant(&world, 1, 0, &slot) == GRANT_LARGE);
    check(grant(&world, 1, 1001, &slot) == GRANT_LARGE);
    check(grant(&world, 1, 1000, &slot) == GRANT_OK);
    check(grant(&world, 1, 501, &other) == GRANT_QUOTA); // what is promised counts
    check(grant(&world, 1, 100, &other) == GRANT_OK);
    check(grant(&world, 1, 100, &other) == GRANT_SLOTS && other.retry_us > clock_wall_us());
    check(grant(&world, 2, 901, &other) == GRANT_STORAGE);
    check(grant(&world, 2, 500, &other) == GRANT_OK);
    static const struct str bad[] = {
        {"",         0},
        {"a/b",      3},
        {"..",       2},
        {"a\nb",     3},
        {"\xFF\xFE", 2}
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check(uploads_grant(world.uploads, 1, STR("x@y"), bad[i], 5, &other) == GRANT_NAME);

    struct upload_put *writing = NULL;
    check(uploads_begin(world.uploads, str_of(slot.put), 999, &writing) == ERR_MALFORMED);
    check(uploads_begin(world.uploads, str_of(slot.put), 1000, &writing) == OK);
    char bytes[1001] = "";
    check(uploads_write(writing, str_make(bytes, 600)) == OK);
    check(uploads_write(writing, str_make(bytes, 401)) == ERR_LIMIT);
    check(uploads_end(writing, NULL) == END_SHORT);
    upload_put_free(&writing);
    check(n_on_disk(&world) == 0);
    struct upload_quota quota;
    uploads_quota(world.uploads, 1, &quota);
    check(quota.reserved == 100 && quota.files == 0 && quota.daily_files == 2);
    // a third today, and no fourth
    check(grant(&world, 1, 10, &slot) == GRANT_OK &&
          put(&world, &slot, "0123456789", 10, NULL) == END_STORED);
    check(grant(&world, 1, 10, &slot) == GRANT_DAILY && slot.retry_us > clock_wall_us());
    world_done(&world);
}

TEST(a_slot_and_a_file_have_their_time)
{
    struct upload_settings brief = roomy;
    struct upload_slot slot;
    struct upload_put *writing = NULL;
    struct world world;
    brief.slot_us = 0;
    world_new(&world, &brief);
    check(grant(&world, 1, 5, &slot) == GRANT_OK);
    check(uploads_begin(world.uploads, str_of(slot.put), 5, &writing) == ERR_MISSING);
    brief.slot_us = SECOND_US * 60;
    brief.keep_us = 1;
    uploads_set_settings(world.uploads, &brief);
    check(grant(&world, 1, 5, &slot) == GRANT_OK);
    check(put(&world, &slot, "hello", 5, NULL) == END_STORED);
    usleep(10);
    check(!uploads_find(world.uploads, str_of(slot.get), NULL));
    world_done(&world);
}

// More than can be shown are another domain's, and were there first.
TEST(files_alike_are_looked_for_in_one_domain)
{
    enum { ROOM = 4 };
    static const struct str theirs = {"juliet@two.example", 18}, his = {"romeo@one.example", 17};
    struct world world;
    struct upload_slot slot;
    struct upload about = {0}, found[ROOM];
    world_new(&world, &roomy);
    for (int64_t i = 0; i <= ROOM + 1; i++) {
        struct str owner = i <= ROOM ? theirs : his;
        check(uploads_grant(world.uploads, i + 1, owner, STR("a"), 5, &slot) == GRANT_OK);
        check(put(&world, &slot, "hello", 5, &about) == END_STORED);
    }
    struct lure_key key = about.key;
    check(uploads_find_alike(world.uploads, &key, 1, STR_EMPTY, found, ROOM) == ROOM);
    check(uploads_find_alike(world.uploads, &key, 1, STR("two.example"), found, ROOM) == ROOM);
    check(uploads_find_alike(world.uploads, &key, 1, STR("example"), found, ROOM) == 0);
    check(uploads_find_alike(world.uploads, &key, 1, STR("one.example"), found, ROOM) == 1);
    check_str(str_of(found[0].jid), his);
    world_done(&world);
}

TEST(the_same_file_is_refused_once_it_is_convicted)
{
    struct world world;
    struct upload_slot slot, again;
    struct upload found;
    world_new(&world, &roomy);
    check(grant(&world, 1, 5, &slot) == GRANT_OK);
    check(put(&world, &slot, "hello", 5, NULL) == END_STORED);
    world.convicts = true;
    check(uploads_find(world.uploads, str_of(slot.get), &found) && found.convicted);
    check(grant(&world, 2, 5, &again) == GRANT_OK);
    check(put(&world, &again, "hello", 5, NULL) == END_CONVICTED);
    check(n_on_disk(&world) == 1);
    world.convicts = false;
    check(uploads_find(world.uploads, str_of(slot.get), &found) && !found.convicted);
    world_done(&world);
}
