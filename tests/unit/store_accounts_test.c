#include "store_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/sqlite/sqlite_internal.h"

static struct store_keys keys_of(const char *salt)
{
    return (struct store_keys){10000, str_of(salt), STR("stored\0key"), STR("server'key")};
}

TEST(an_account_is_found_with_its_keys)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    DO(f.store, made, account_create, .local = STR("romeo"), .domain = STR("example.org"),
       .keys = {keys_of("one"), keys_of("two")}, .wall_us = 77);
    check(made_e == OK);
    DO(f.store, again, account_create, .local = STR("romeo"), .domain = STR("example.org"));
    check(again_e == ERR_EXISTS);
    check(again.request.why.len > 0);
    DO(f.store, found, account_find, .local = STR("romeo"), .domain = STR("example.org"));
    check(found_e == OK);
    check(found.account.number == made.account);
    check(found.account.created_us == 77);
    check(found.keys[STORE_SHA1].iterations == 10000);
    check_str(found.keys[STORE_SHA1].salt, STR("one"));
    check_str(found.keys[STORE_SHA256].stored_key, STR("stored\0key"));
    check_str(found.keys[STORE_SHA256].server_key, STR("server'key"));
    check(found.keys[STORE_SHA512].iterations == 0);
    DO(f.store, other, account_find, .local = STR("romeo"), .domain = STR("example.com"));
    check(other_e == ERR_MISSING);
}

TEST(a_failed_creation_leaves_nothing)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    make_account(f.store, "romeo");
    DO(f.store, again, account_create, .local = STR("romeo"), .domain = STR("example.org"),
       .keys = {keys_of("evil"), keys_of("evil")});
    check(again_e == ERR_EXISTS);
    DO(f.store, found, account_find, .local = STR("romeo"), .domain = STR("example.org"));
    check(found.keys[STORE_SHA1].iterations == 0);
}

TEST(keys_are_replaced_as_a_whole)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, set, account_set_keys, .account = account,
       .keys = {keys_of("a"), keys_of("b"), keys_of("c")});
    check(set_e == OK);
    DO(f.store, set2, account_set_keys, .account = account, .keys = {[1] = keys_of("d")});
    check(set2_e == OK);
    DO(f.store, found, account_find, .local = STR("romeo"), .domain = STR("example.org"));
    check(found.keys[0].iterations == 0 && found.keys[2].iterations == 0);
    check_str(found.keys[1].salt, STR("d"));
    DO(f.store, nobody, account_set_keys, .account = account + 1, .keys = {keys_of("a")});
    check(nobody_e == ERR_MISSING);
}

TEST(an_account_is_disabled_with_a_reason_and_enabled_again)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, off, account_disable, .account = account, .disabled = true,
       .reason = STR("left; the 'house'"));
    check(off_e == OK);
    DO(f.store, found, account_find, .local = STR("romeo"), .domain = STR("example.org"));
    check(found.account.disabled);
    check_str(found.account.disabled_why, STR("left; the 'house'"));
    DO(f.store, on, account_disable, .account = account);
    DO(f.store, found2, account_find, .local = STR("romeo"), .domain = STR("example.org"));
    check(!found2.account.disabled && found2.account.disabled_why.len == 0);
    DO(f.store, nobody, account_disable, .account = account + 1);
    check(nobody_e == ERR_MISSING);
}

TEST(what_was_seen_of_an_account_is_kept_apart)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, in, account_seen, .account = account, .login_us = 50);
    DO(f.store, out, account_seen, .account = account, .active_us = 60, .status = STR("gone"));
    DO(f.store, in2, account_seen, .account = account, .login_us = 70);
    check(in_e == OK && out_e == OK && in2_e == OK);
    DO(f.store, loaded, account_load, .by_number = account);
    check(loaded.account.login_us == 70 && loaded.account.active_us == 60);
    check_str(loaded.account.active_status, STR("gone"));
}

TEST(accounts_are_listed_in_pages_and_names_are_only_text)
{
    static const struct str odd = STR("nul\0inside");
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    static const char *const names[] = {"a%b", "a_b", "a'b", "axb", "b\\", "zoë"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        make_account(f.store, names[i]);
    DO(f.store, made, account_create, .local = odd, .domain = STR("example.org"));
    DO(f.store, other, account_create, .local = STR("axb"), .domain = STR("a.example"));
    check(made_e == OK && other_e == OK);

    DO(f.store, percent, account_list, .domain = STR("example.org"), .contains = STR("%"),
       .most = 10, .count = true);
    check(percent.n == 1 && percent.total == 1);
    check_str(percent.accounts[0].local, STR("a%b"));
    DO(f.store, quote, account_list, .contains = STR("'"), .most = 10);
    check(quote.n == 1);
    DO(f.store, found, account_find, .local = odd, .domain = STR("example.org"));
    check(found_e == OK);
    check_str(found.account.local, odd);

    uint32_t n = 0;
    char last[16] = "", last_domain[16] = "";
    for (;;) {
        DO(f.store, page, account_list, .after_local = str_of(last),
           .after_domain = str_of(last_domain), .most = 3, .count = true);
        check(page_e == OK && page.total == 8);
        if (page.n == 0)
            break;
        n += page.n;
        const struct store_account *end = &page.accounts[page.n - 1];
        snprintf(last, sizeof last, "%.*s", STR_ARGS(end->local));
        snprintf(last_domain, sizeof last_domain, "%.*s", STR_ARGS(end->domain));
        check(n <= 8);
    }
    check(n == 8);
}

TEST(accounts_are_counted_by_domain)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t romeo = make_account(f.store, "romeo");
    make_account(f.store, "juliet");
    DO(f.store, other, account_create, .local = STR("x"), .domain = STR("b.example"));
    DO(f.store, off, account_disable, .account = romeo, .disabled = true);
    DO(f.store, seen, account_seen, .account = romeo, .login_us = 900);
    DO(f.store, all, account_count, .active_since_us = 900);
    check(all.n == 3 && all.n_disabled == 1 && all.n_active == 1);
    DO(f.store, one, account_count, .domain = STR("b.example"), .active_since_us = 1);
    check(one.n == 1 && one.n_disabled == 0 && one.n_active == 0);
}

TEST(a_roster_counts_its_changes)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    struct str groups[] = {STR("Friends"), STR(""), STR("a,b;'c'"), STR("nul\0in")};
    DO(f.store, one, roster_set, .account = account,
       .item = {.jid = STR("juliet@example.org"),
                .name = STR("J'uliet %"),
                .subscription = STORE_SUB_FROM,
                .ask = true,
                .n_groups = 4,
                .groups = groups});
    DO(f.store, two, roster_set, .account = account,
       .item = {.jid = STR("nurse@example.org"), .approved = true});
    check(one_e == OK && one.version == 1 && two.version == 2);

    DO(f.store, loaded, account_load, .local = STR("romeo"), .domain = STR("example.org"));
    check(loaded_e == OK && loaded.roster_version == 2 && loaded.roster_floor == 0);
    check(loaded.n_items == 2 && loaded.n_removed == 0);
    const struct store_roster_item *juliet = &loaded.items[0];
    check_str(juliet->jid, STR("juliet@example.org"));
    check_str(juliet->name, STR("J'uliet %"));
    check(juliet->subscription == STORE_SUB_FROM && juliet->ask && !juliet->approved);
    check(juliet->n_groups == 4 && juliet->version == 1);
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        check_str(juliet->groups[i], groups[i]);
    check(loaded.items[1].approved && loaded.items[1].n_groups == 0);

    DO(f.store, gone, roster_set, .account = account,
       .item = {.jid = STR("nurse@example.org"), .subscription = STORE_SUB_REMOVED});
    check(gone_e == OK && gone.version == 3);
    DO(f.store, twice, roster_set, .account = account,
       .item = {.jid = STR("nurse@example.org"), .subscription = STORE_SUB_REMOVED});
    check(twice_e == ERR_MISSING);
    DO(f.store, after, account_load, .by_number = account);
    check(after.roster_version == 3); // the refused change took no version
    check(after.n_items == 1 && after.n_removed == 1 && after.removed[0].version == 3);
    DO(f.store, back, roster_set, .account = account, .item = {.jid = STR("nurse@example.org")});
    DO(f.store, again, account_load, .by_number = account);
    check(again.n_items == 2 && again.n_removed == 0 && again.roster_version == 4);
}

TEST(a_roster_forgets_its_oldest_removals_and_says_so)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    for (int i = 0; i < 260; i++) {
        char jid[32];
        snprintf(jid, sizeof jid, "x%d@example.org", i);
        DO(f.store, put, roster_set, .account = account, .item = {.jid = str_of(jid)});
        DO(f.store, drop, roster_set, .account = account,
           .item = {.jid = str_of(jid), .subscription = STORE_SUB_REMOVED});
    }
    DO(f.store, loaded, account_load, .by_number = account);
    check(loaded.n_removed == 256 && loaded.n_items == 0);
    check(loaded.roster_floor == 8 && loaded.roster_version == 520);
}

TEST(requests_to_subscribe_are_kept_until_answered)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, one, pending_set, .account = account,
       .pending = {STR("tybalt@example.org"), STR("<presence>old</presence>")});
    DO(f.store, two, pending_set, .account = account,
       .pending = {STR("tybalt@example.org"), STR("<presence/>")});
    DO(f.store, three, pending_set, .account = account,
       .pending = {STR("paris@example.org"), STR("<presence/>")});
    DO(f.store, loaded, account_load, .by_number = account);
    check(loaded.n_pending == 2);
    check_str(loaded.pending[1].from, STR("tybalt@example.org"));
    check_str(loaded.pending[1].stanza, STR("<presence/>"));
    DO(f.store, answer, roster_set, .account = account,
       .item = {.jid = STR("tybalt@example.org"), .subscription = STORE_SUB_FROM},
       .drop_pending = true);
    DO(f.store, drop, pending_set, .account = account,
       .pending = {.from = STR("paris@example.org")});
    check(answer_e == OK && drop_e == OK);
    DO(f.store, after, account_load, .by_number = account);
    check(after.n_pending == 0 && after.n_items == 1);
    DO(f.store, nobody, pending_set, .account = 99, .pending = {STR("a@b"), STR("<presence/>")});
    check(nobody_e == ERR_MISSING);
}

TEST(a_block_list_changes_in_one_go)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    const struct str some[] = {STR("a@x"), STR("b@x"), STR("a@x")}, other[] = {STR("c@x")};
    DO(f.store, add, block, .account = account, .add = some, .n_add = 3);
    DO(f.store, change, block, .account = account, .add = other, .n_add = 1, .remove = some,
       .n_remove = 1);
    DO(f.store, loaded, account_load, .by_number = account);
    check(add_e == OK && change_e == OK && loaded.n_blocked == 2);
    check_str(loaded.blocked[0], STR("b@x"));
    check_str(loaded.blocked[1], STR("c@x"));
    DO(f.store, clear, block, .account = account, .clear = true, .add = some, .n_add = 1);
    DO(f.store, after, account_load, .by_number = account);
    check(after.n_blocked == 1);
    DO(f.store, nobody, block, .account = 99, .add = some, .n_add = 1);
    check(nobody_e == ERR_MISSING);
}

TEST(documents_and_preferences_come_back_as_they_were)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    DO(f.store, put, document_put, .account = account,
       .document = {STR("vcard"), STR("<vCard>'\";--</vCard>")});
    DO(f.store, put2, document_put, .account = account, .document = {STR("vcard"), STR("<v/>")});
    DO(f.store, get, document_get, .account = account, .key = STR("vcard"));
    check(get_e == OK);
    check_str(get.xml, STR("<v/>"));
    DO(f.store, none, document_get, .account = account, .key = STR("vcar"));
    check(none_e == ERR_MISSING);
    DO(f.store, drop, document_put, .account = account, .document = {STR("vcard"), STR("")});
    DO(f.store, gone, document_get, .account = account, .key = STR("vcard"));
    check(gone_e == ERR_MISSING);

    DO(f.store, before, account_load, .by_number = account);
    check(!before.prefs.given);
    struct str always[] = {STR("a@x"), STR("b@x")}, never[] = {STR("c@x/r")};
    DO(f.store, prefs, archive_prefs_set, .account = account,
       .prefs = {true, STORE_ARCHIVE_ROSTER, 2, 1, always, never});
    DO(f.store, after, account_load, .by_number = account);
    check(after.prefs.given && after.prefs.by_default == STORE_ARCHIVE_ROSTER);
    check(after.prefs.n_always == 2 && after.prefs.n_never == 1);
    check_str(after.prefs.always[1], STR("b@x"));
    check_str(after.prefs.never[0], STR("c@x/r"));
    DO(f.store, forget, archive_prefs_set, .account = account);
    DO(f.store, last, account_load, .by_number = account);
    check(!last.prefs.given && last.prefs.n_always == 0);
}

TEST(an_account_made_anew_inherits_nothing)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    int64_t juliet = make_account(f.store, "juliet");
    DO(f.store, item, roster_set, .account = account, .item = {.jid = STR("juliet@example.org")});
    DO(f.store, item2, roster_set, .account = juliet, .item = {.jid = STR("romeo@example.org")});
    DO(f.store, doc, document_put, .account = account, .document = {STR("vcard"), STR("<v/>")});
    for (int i = 0; i < 500; i++)
        put_message(f.store, account, "juliet@example.org", "<m/>", STORE_ARCHIVED | STORE_SPOOLED);
    DO(f.store, gone, account_delete, .local = STR("romeo"), .domain = STR("example.org"));
    check(gone_e == OK && gone.account == account);
    DO(f.store, twice, account_delete, .local = STR("romeo"), .domain = STR("example.org"));
    check(twice_e == ERR_MISSING);
    DO(f.store, late, append, .account = account, .flags = STORE_ARCHIVED);
    check(late_e == ERR_MISSING);
    int64_t anew = make_account(f.store, "romeo");
    check(anew > juliet);
    DO(f.store, loaded, account_load, .by_number = anew);
    check(loaded.n_items == 0 && loaded.n_spooled == 0);
    DO(f.store, doc2, document_get, .account = anew, .key = STR("vcard"));
    check(doc2_e == ERR_MISSING);
    DO(f.store, page, archive_query, .account = anew, .most = 10);
    check(page.n == 0);
    DO(f.store, hers, account_load, .by_number = juliet);
    check(hers.n_items == 1); // other people's rosters are their own

    // the messages are erased bit by bit, also by the next process
    store_close(&f.store);
    fixture_open(&f, NULL);
    bool left = true;
    for (int i = 0; i < 100 && left; i++) {
        DO(f.store, touch, account_seen, .account = juliet, .login_us = i + 1);
        DO(f.store, old, archive_query, .account = account, .most = 1);
        left = old.n > 0;
    }
    check(!left);
}

TEST(many_accounts_are_imported_at_once)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    make_account(f.store, "u7");
    static struct store_import accounts[500];
    static char names[500][8];
    struct store_roster_item items[] = {
        {.jid = STR("a@x"), .subscription = STORE_SUB_BOTH},
        {.jid = STR("b@x")                }
    };
    struct store_document documents[] = {
        {STR("vcard"), STR("<v/>")}
    };
    for (size_t i = 0; i < COUNT_OF(accounts); i++) {
        snprintf(names[i], sizeof names[i], "u%zu", i);
        accounts[i] = (struct store_import){
            .local = str_of(names[i]),
            .domain = STR("example.org"),
            .keys = {keys_of("s"), keys_of("t")},
            .n_items = 2,
            .items = items,
            .n_documents = 1,
            .documents = documents
        };
    }
    DO(f.store, in, account_import, .n = COUNT_OF(accounts), .accounts = accounts, .wall_us = 9);
    check(in_e == OK && in.n_made == 499 && in.n_existing == 1);
    check(accounts[7].account == 0 && accounts[8].account > 0);
    DO(f.store, loaded, account_load, .by_number = accounts[8].account);
    check(loaded.n_items == 2 && loaded.roster_version == 2);
    check(loaded.items[0].subscription == STORE_SUB_BOTH);
    DO(f.store, all, account_count, .domain = STR("example.org"));
    check(all.n == 500);
}

/* ---- Opening ------------------------------------------------------------------------------- */

TEST(the_database_is_for_its_owner_only_and_for_one_process)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    make_account(f.store, "romeo");
    struct stat st;
    check(stat(f.path, &st) == 0 && (st.st_mode & 0777) == 0600);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", f.path);
    check(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
    struct why why = {{0}};
    struct store *second = NULL;
    check(store_open(&(struct store_options){.path = f.path}, &second, &why) == ERR_BUSY);
    check(second == NULL && strstr(why.text, "another process") != NULL);
}

TEST(what_cannot_be_opened_is_explained)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    struct why why = {{0}};
    struct store *store = NULL;
    struct store_options options = {.path = f.path, .must_exist = true};
    check(store_open(&options, &store, &why) == ERR_MISSING);
    options.path = "/nonexistent/x.sqlite";
    check(store_open(&options, &store, &why) == ERR_IO);

    options = (struct store_options){.path = f.path};
    FILE *file = fopen(f.path, "w");
    must(file != NULL);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database", file);
    fclose(file);
    check(store_open(&options, &store, &why) == ERR_CORRUPT);
    unlink(f.path);

    sqlite3 *db;
    must(sqlite3_open(f.path, &db) == SQLITE_OK);
    must(sqlite3_exec(db, "CREATE TABLE theirs (x)", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    check(store_open(&options, &store, &why) == ERR_MALFORMED);
    check(strstr(why.text, "another program") != NULL);
    options.test_faults = "nonsense@1";
    check(store_open(&options, &store, &why) == ERR_MALFORMED);
    check(store == NULL);
}

TEST(a_newer_version_is_refused)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    store_close(&f.store);
    sqlite3 *db;
    must(sqlite3_open(f.path, &db) == SQLITE_OK);
    must(sqlite3_exec(db, "INSERT INTO schema_version VALUES (99, 'later', 0)", NULL, NULL, NULL) ==
         SQLITE_OK);
    sqlite3_close(db);
    struct why why = {{0}};
    check(store_open(&(struct store_options){.path = f.path}, &f.store, &why) == ERR_UNSUPPORTED);
    check(strstr(why.text, "newer Firedoor") != NULL);
}

TEST(every_older_version_is_migrated_with_what_it_holds)
{
    for (size_t version = 1; version <= n_migrations; version++) {
        struct fixture f CLEANUP(fixture_done);
        fixture_make(&f);
        sqlite3 *db;
        struct why why = {{0}};
        must(sqlite3_open(f.path, &db) == SQLITE_OK);
        check(schema_migrate(db, f.path, migrations, version, &why) == OK);
        must(sqlite3_exec(db,
                          "INSERT INTO account (domain, local, created_us) "
                          "VALUES ('example.org', 'old', 5)",
                          NULL, NULL, NULL) == SQLITE_OK);
        sqlite3_close(db);
        fixture_open(&f, NULL);
        DO(f.store, found, account_find, .local = STR("old"), .domain = STR("example.org"));
        check(found_e == OK && found.account.created_us == 5);
        put_message(f.store, found.account.number, "a@x", "<m/>", STORE_ARCHIVED);
        DO(f.store, event, event_append, .n = 1, .events = &(struct store_event){1, STR("x")});
        check(event_e == OK);
        store_close(&f.store);
        fixture_open(&f, NULL); // and a second start finds nothing to do
    }
}

TEST(a_migration_that_fails_changes_nothing)
{
    struct fixture f CLEANUP(fixture_done);
    fixture_make(&f);
    sqlite3 *db;
    struct why why = {{0}};
    must(sqlite3_open(f.path, &db) == SQLITE_OK);
    const struct migration list[] = {
        {1, "good", "CREATE TABLE one (x);"                                },
        {2, "bad",  "CREATE TABLE two (x); INSERT INTO nowhere VALUES (1);"},
    };
    check(schema_migrate(db, f.path, list, 2, &why) != OK);
    check(sqlite3_exec(db, "SELECT * FROM one", NULL, NULL, NULL) == SQLITE_OK);
    check(sqlite3_exec(db, "SELECT * FROM two", NULL, NULL, NULL) != SQLITE_OK);
    check(schema_migrate(db, f.path, list, 1, &why) == OK);
    sqlite3_close(db);
}

TEST(damage_is_found_at_start)
{
    struct fixture f CLEANUP(fixture_done) = fixture_new();
    int64_t account = make_account(f.store, "romeo");
    for (int i = 0; i < 300; i++)
        put_message(f.store, account, "a@x", "<message>some text to fill pages</message>",
                    STORE_ARCHIVED);
    store_close(&f.store);
    int fd = open(f.path, O_RDWR | O_CLOEXEC);
    struct stat st;
    must(fd >= 0 && fstat(fd, &st) == 0);
    char junk[8192];
    memset(junk, 0xA5, sizeof junk);
    for (off_t page = 1; page < st.st_size / 8192; page++) // all but the first
        must(pwrite(fd, junk, sizeof junk, page * 8192) == (ssize_t)sizeof junk);
    close(fd);
    struct why why = {{0}};
    check(store_open(&(struct store_options){.path = f.path}, &f.store, &why) == ERR_CORRUPT);
}
