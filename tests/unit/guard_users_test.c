#include "test.h"

#include "guard_hand.h"

#include "guard/guard_internal.h"

#include "base/buf.h"
#include "base/random.h"

#include <malloc.h>
#include <stdio.h>

/* ---- Slabs ------------------------------------------------------------------------------------
 */

TEST(pieces_of_a_slab_keep_what_is_in_them)
{
    enum { PIECES = 4000 };
    static struct {
        uint32_t piece;
        size_t size;
        unsigned char fill;
    } all[PIECES];
    struct prng prng = {7};
    struct slab slab;
    slab_init(&slab, 8, SLAB_PAGE, false);
    size_t wanted = 0;
    for (int turn = 0; turn < 40 * PIECES; turn++) {
        size_t i = prng_below(&prng, PIECES);
        if (all[i].piece != 0) {
            const unsigned char *at = slab_at(&slab, all[i].piece);
            for (size_t k = 0; k < all[i].size; k++)
                check(at[k] == all[i].fill);
            slab_give(&slab, all[i].piece);
            wanted -= all[i].size;
            all[i].piece = 0;
            continue;
        }
        // most small, some beyond what a page of several holds
        all[i].size = 1 + prng_below(&prng, i % 50 == 0 ? 3000 : 90);
        all[i].fill = (unsigned char)prng_below(&prng, 256);
        all[i].piece = slab_take(&slab, all[i].size);
        check(all[i].piece != 0);
        check(slab_page_of(&slab, all[i].piece)->size == slab_size(&slab, all[i].size));
        check(slab_page_of(&slab, all[i].piece)->beside == NULL);
        memset(slab_at(&slab, all[i].piece), all[i].fill, all[i].size);
        wanted += all[i].size;
    }
    check(slab_memory(&slab) >= wanted);
    // what it says it has is what the heap gave: each page a piece of it, and the list of pages
    size_t heap = malloc_usable_size(slab.pages) + sizeof(size_t);
    for (uint32_t i = 1; i < slab.n_pages; i++)
        if ((slab.pages[i].next_free & 1) == 0)
            heap += malloc_usable_size(slab.pages[i].page) + sizeof(size_t);
#if !defined(__SANITIZE_ADDRESS__) && !defined(FUZZED)
    check(slab_memory(&slab) <= heap + heap / 50 && heap <= slab_memory(&slab) + heap / 50);
#endif
    for (size_t i = 0; i < PIECES; i++)
        if (all[i].piece != 0)
            slab_give(&slab, all[i].piece);
    check(slab.bytes == 0); // pages without pieces are gone
    uint32_t n_pages = slab.n_pages;
    for (size_t i = 0; i < 100; i++)
        check(slab_take(&slab, 40) != 0);
    check(slab.n_pages == n_pages); // and their numbers are taken anew
    slab_done(&slab);
}

/* ---- Users ------------------------------------------------------------------------------------
 */

static struct user *person(struct guard *guard, unsigned i)
{
    char jid[48];
    snprintf(jid, sizeof jid, "person%u@town.example", i);
    return user_get(guard, str_of(jid));
}

static void check_order(const struct guard *guard)
{
    size_t n = 0;
    const struct user *before = NULL;
    USERS_EACH(guard, user)
    {
        check(user_at(guard, user->older) == before);
        check(user_find(guard, user_jid(guard, user)) == user);
        check(user_index(guard, user) < users_indexes(guard));
        before = user;
        n++;
    }
    check(n == guard->n_users && user_at(guard, guard->newest_user) == before);
}

TEST(users_are_found_and_the_unused_are_forgotten_first)
{
    struct guard_config config;
    guard_config_default(&config);
    config.memory = 400000; // a quarter is theirs
    struct guard *guard = guard_new(&config, 3);
    guard->now_us = t0;
    struct user *kept = person(guard, 0), *judged = person(guard, 1), *decoy = person(guard, 2);
    kept->n_refs++;
    standing_get(guard, judged)->restricted_until_us = t0 + day;
    decoy->is_decoy = true;
    struct prng prng = {5};
    for (int i = 0; i < 20000; i++) {
        unsigned who = 3 + (unsigned)prng_below(&prng, 5000);
        struct user *user = person(guard, who);
        if (i % 3 == 0) {
            struct trail trail = {.sent_us = t0 + i, .receiver = who, .level = 1.0 + i % 2};
            trail_put(guard, user, &trail);
        }
        check(user_at(guard, guard->newest_user) == user);
        users_trim(guard);
        check(guard->bytes_users <= config.memory / 4);
        if (i % 1000 == 0)
            check_order(guard);
    }
    check(guard->n_users > 1000 && guard->n_users < 3000);
    check(person(guard, 0) == kept && person(guard, 1) == judged && person(guard, 2) == decoy);
    check(restricted_until_us(guard, judged) == t0 + day);
    kept->n_refs--;
    // a domain counts for each of its people, and is there once
    check(users_memory(guard) + guard->n_users * strlen("@town.example") >= guard->bytes_users);
    guard_free(&guard);
}

/* Whoever is on a page with others keeps his name and trail while theirs grow, shrink and go; of
 * more domains than are shared, with few people each, and of names of all lengths. */
TEST(names_and_trails_lie_close_and_stay_what_they_are)
{
    enum { PEOPLE = 3000, DOMAINS = 200, NAME = 400 };
    static struct {
        char jid[NAME + 64];
        struct trail trail;
    } all[PEOPLE];
    struct guard_config config;
    guard_config_default(&config);
    config.memory = 600000; // too little for all
    struct guard *guard = guard_new(&config, 3);
    struct prng prng = {19};
    for (unsigned i = 0; i < PEOPLE; i++) {
        size_t n = i % 50 == 0 ? 240 + prng_below(&prng, NAME - 240) : prng_below(&prng, 20);
        memset(all[i].jid, 'a' + (int)prng_below(&prng, 26), n);
        snprintf(all[i].jid + n, sizeof all[i].jid - n, "%u%s%llu.example", i,
                 i % 7 == 0 ? "." : "@", (unsigned long long)prng_below(&prng, DOMAINS));
    }
    size_t n_found = 0, n_forgotten = 0;
    for (int turn = 0; turn < 60000; turn++) {
        unsigned i = (unsigned)prng_below(&prng, PEOPLE);
        struct str jid = str_of(all[i].jid);
        struct user *user = user_find(guard, jid);
        if (user != NULL) {
            struct trail trail = trail_of(guard, user);
            check(memcmp(&trail, &all[i].trail, sizeof trail) == 0);
            check_str(user_jid(guard, user), jid);
            n_found++;
        } else {
            user = user_get(guard, jid);
            check(!has_trail(user));
            n_forgotten++;
        }
        memset(&all[i].trail, 0, sizeof all[i].trail);
        if (turn % 3 != 0) // which leads to nothing that could be gone
            all[i].trail.sent_us = t0 + turn;
        all[i].trail.level = turn % 2 == 0 ? turn % 3 != 0 : turn * 0.7;
        trail_put(guard, user, &all[i].trail);
        user = user_get(guard, jid);
        user->n_refs++; // not him
        users_trim(guard);
        user->n_refs--;
        check(guard->bytes_users <= config.memory / 4);
        if (turn % 5000 == 0)
            check_order(guard);
    }
    check(n_found > 10000 && n_forgotten > 2 * PEOPLE);
    size_t before = users_memory(guard);
    check(before < config.memory / 4);
    while (guard->n_users > 1) { // of the last one on a page nothing stays
        guard->config.memory = 0;
        users_trim(guard);
    }
    check(users_memory(guard) < before / 10);
    guard_free(&guard);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(FUZZED)
/* What is said to be taken is what the heap gave. */
TEST(the_memory_of_users_is_what_the_heap_gave)
{
    enum { PEOPLE = 5000 };
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    struct mallinfo2 before = mallinfo2();
    if (before.uordblks == 0) { // a sanitizer's heap does not tell
        guard_free(&guard);
        return;
    }
    struct prng prng = {23};
    for (int turn = 0; turn < 20 * PEOPLE; turn++) {
        struct user *user = person(guard, (unsigned)prng_below(&prng, PEOPLE));
        struct trail trail = trail_of(guard, user);
        trail.recent[turn % RECENT_CLUSTERS] = 1 + prng_below(&prng, 1 << 20);
        trail.sent_us = turn % 5 == 0 ? 0 : t0 + turn;
        trail_put(guard, user, &trail);
    }
    struct mallinfo2 after = mallinfo2();
    size_t heap = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    size_t said = users_memory(guard) - sizeof guard->domains; // which came with the guard
    check(heap > 40 * PEOPLE && said <= heap + heap / 20 && heap <= said + said / 20);
    guard_free(&guard);
}
#endif

TEST(what_user_jid_says_is_good_until_the_fourth_call_after_it)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    struct user *people[] = {person(guard, 1), person(guard, 22), person(guard, 333),
                             user_get(guard, STR("town.example"))};
    struct str jids[COUNT_OF(people)];
    for (size_t i = 0; i < COUNT_OF(people); i++)
        jids[i] = user_jid(guard, people[i]);
    for (unsigned i = 0; i < 500; i++) // whoever comes meanwhile
        (void)person(guard, 1000 + i);
    check_str(jids[0], STR("person1@town.example"));
    check_str(jids[1], STR("person22@town.example"));
    check_str(jids[2], STR("person333@town.example"));
    check_str(jids[3], STR("town.example"));
    guard_free(&guard);
}

/* Names that are longer than anybody's are nobody's. */
TEST(a_name_of_any_length_is_taken)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    static char name[100000];
    memset(name, 'x', sizeof name);
    struct user *longest = user_get(guard, str_make(name, sizeof name));
    check(user_get(guard, str_make(name, 2000)) != longest);
    check(user_get(guard, STR_EMPTY) != longest && guard->n_users == 3);
    struct trail trail = {.sent = 5, .level = 2.5};
    trail_put(guard, longest, &trail);
    trail_put(guard, user_get(guard, STR_EMPTY), &trail);
    check(user_find(guard, str_make(name, sizeof name)) == longest);
    check(trail_of(guard, longest).sent == 5);
    guard_free(&guard);
}

/* ---- Trails -----------------------------------------------------------------------------------
 */

/* Anything, as often as not far from all else in it. */
static void any_trail(struct prng *prng, uint64_t huge, int turn, struct trail *trail)
{
    memset(trail, 0, sizeof *trail); // compared as bytes
    size_t n = prng_below(prng, RECENT_CLUSTERS + 1);
    for (size_t i = 0; i < n; i++)
        trail->recent[i] = huge - prng_below(prng, 1000);
    n = prng_below(prng, SHOWN_KEPT + 1);
    for (size_t i = 0; i < n; i++) {
        trail->shown[i] = huge - prng_below(prng, 1000);
        trail->shown_us[i] = t0 - (int64_t)prng_below(prng, (uint64_t)day);
    }
    if (prng_below(prng, 2) == 0) {
        trail->sent_us = prng_below(prng, 9) == 0 ? INT64_MIN : t0 + turn;
        trail->receiver = (uint32_t)prng_below(prng, UINT32_MAX);
        trail->level =
            prng_below(prng, 2) == 0 ? 1 : 1.0 / (1 + turn) + (double)prng_below(prng, 3);
    } else if (prng_below(prng, 9) == 0) {
        trail->level = 4;
    }
    trail->campaign = prng_below(prng, 2) == 0 ? huge : 0;
    trail->sent = prng_below(prng, 2) == 0   ? huge
                  : prng_below(prng, 2) == 0 ? trail->recent[prng_below(prng, RECENT_CLUSTERS)]
                                             : 0;
    if (prng_below(prng, 3) == 0)
        return;
    uint32_t now_s = (uint32_t)(t0 / second);
    trail->n_to = (uint8_t)prng_below(prng, TRAIL_KEPT + 1);
    for (size_t i = 0; i < trail->n_to; i++) {
        trail->to_s[i] = prng_below(prng, 5) == 0 ? (uint32_t)prng_below(prng, UINT32_MAX)
                                                  : now_s - (uint32_t)(i * prng_below(prng, 900));
        trail->to[i] = i == 0 && prng_below(prng, 2) == 0 ? (uint16_t)trail->receiver
                                                          : (uint16_t)prng_below(prng, UINT16_MAX);
    }
    trail->least_s = prng_below(prng, 2) == 0 && trail->n_to > 0
                         ? trail->to_s[trail->n_to - 1]
                         : now_s - (uint32_t)prng_below(prng, 90000);
    for (size_t i = 0; i < RARITIES; i++)
        trail->least[i] = (uint8_t)(prng_below(prng, 2) * prng_below(prng, SPAN_BINS + 1));
    trail->n_copies = (uint8_t)(prng_below(prng, 2) == 0 ? trail->n_to : prng_below(prng, 256));
    trail->full_us = prng_below(prng, 4) == 0 ? t0 - (int64_t)prng_below(prng, (uint64_t)day) : 0;
}

TEST(a_trail_is_what_was_put)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    struct user *user = person(guard, 1), *other = person(guard, 2);
    struct prng prng = {9};
    struct trail none = {0};
    check(!has_trail(user));
    size_t n_packed = 0;
    for (int turn = 0; turn < 50000; turn++) {
        struct trail trail;
        uint64_t huge = turn % 7 == 0 ? UINT64_MAX : 100000;
        any_trail(&prng, huge, turn, &trail);
        trail_put(guard, user, &trail);
        struct trail got = trail_of(guard, user), nothing = trail_of(guard, other);
        check(memcmp(&got, &trail, sizeof got) == 0);
        check(has_trail(user) == (memcmp(&got, &none, sizeof got) != 0));
        check(memcmp(&nothing, &none, sizeof none) == 0);
        check_str(user_jid(guard, user), STR("person1@town.example"));
        // what he sends is the first of the recent ones, however that is put there
        struct cluster cluster = {.id = huge - prng_below(&prng, 1000)};
        if (trail.recent[0] != 0 && prng_below(&prng, 4) == 0)
            cluster.id = trail.recent[0];
        n_packed += trail_adds_recent(guard, user, cluster.id);
        note_recent(guard, user, &cluster);
        if (trail.recent[0] != cluster.id) {
            memmove(trail.recent + 1, trail.recent, sizeof trail.recent - sizeof *trail.recent);
            trail.recent[0] = cluster.id;
        }
        got = trail_of(guard, user);
        check(memcmp(&got, &trail, sizeof got) == 0);
        // as long as if it had been packed anew, or a loaded guard would count other bytes
        size_t bytes = guard->bytes_users;
        trail_put(guard, user, &trail);
        check(guard->bytes_users == bytes);
    }
    check(n_packed > 1000 && n_packed < 49000);
    guard_free(&guard);
}

TEST(the_longest_trail_has_room_and_an_ordinary_one_takes_little)
{
    unsigned char packed[TRAIL_LONGEST];
    struct trail longest = {.sent_us = INT64_MIN,
                            .receiver = UINT32_MAX,
                            .level = -1,
                            .campaign = UINT64_MAX / 3,
                            .sent = UINT64_MAX / 5 * 4,
                            .n_to = TRAIL_KEPT,
                            .full_us = INT64_MAX,
                            .n_copies = UINT8_MAX,
                            .least_s = UINT32_MAX / 2};
    for (size_t i = 0; i < RECENT_CLUSTERS; i++)
        longest.recent[i] = i % 2 == 0 ? UINT64_MAX / 2 : UINT64_MAX;
    for (size_t i = 0; i < SHOWN_KEPT; i++) {
        longest.shown[i] = i % 2 == 0 ? UINT64_MAX / 2 : UINT64_MAX;
        longest.shown_us[i] = i % 2 == 0 ? INT64_MAX : INT64_MIN / 2;
    }
    for (size_t i = 0; i < TRAIL_KEPT; i++)
        longest.to_s[i] = i % 2 == 0 ? UINT32_MAX / 2 : UINT32_MAX / 2 + 1;
    for (size_t i = 0; i < RARITIES; i++)
        longest.least[i] = SPAN_BINS;
    size_t n = trail_pack(&longest, packed);
    check(n > 200 && n < TRAIL_LONGEST);
    struct trail got = trail_unpack(packed);
    check(memcmp(&got, &longest, sizeof got) == 0);

    // four links within an hour, the last two never seen before, and two that he was shown
    struct trail ordinary = {
        .sent_us = t0,
        .receiver = 0x12345678,
        .level = 1.7,
        .recent = {61000,  60900, 60400, 60000},
        .sent = 61000,
        .shown = {60800, 60500     },
        .shown_us = {t0 - 600 * second, t0 - 1800 * second},
        .n_to = 2,
        .n_copies = 2
    };
    ordinary.to_s[0] = (uint32_t)(t0 / second);
    ordinary.to_s[1] = ordinary.least_s = ordinary.to_s[0] - 1200;
    ordinary.to[0] = 0x5678;
    ordinary.to[1] = 0x9ABC;
    n = trail_pack(&ordinary, packed);
    check(n <= 55);
    got = trail_unpack(packed);
    check(memcmp(&got, &ordinary, sizeof got) == 0);
}

static void hear(struct guard *guard, int64_t now_us, unsigned from, unsigned to, unsigned link,
                 bool reaches)
{
    char sender[32], receiver[32], text[64];
    snprintf(sender, sizeof sender, "person%u@town.example", from);
    snprintf(receiver, sizeof receiver, "person%u@town.example", to);
    snprintf(text, sizeof text, "look http://host%u.example/%u", link, link);
    static struct lure_rules *rules;
    if (rules == NULL)
        rules = lure_rules_new();
    struct arena arena;
    struct guard_word said;
    arena_init(&arena, 4 << 20);
    guard_word_init(&said, &arena);
    struct lure_list list;
    struct lure_key keys[8];
    lure_list_init(&list, rules, &arena);
    lure_scan_text(&list, str_of(text));
    lure_list_keys(&list, NULL);
    struct sending sending = {
        .message = link,
        .sender = str_of(sender),
        .receiver = str_of(receiver),
        .audience = 1,
        .lures = list.lures,
        .n_lures = list.n,
        .pace = {.gap_us = -1, .roster_index = -1, .account_age_us = -1}
    };
    (void)guard_judge(guard, &sending, now_us, &said);
    if (reaches) {
        struct exposure exposure = {
            .sender = sending.sender, .receiver = sending.receiver, .keys = keys};
        exposure.n_keys = lure_list_collect(&list, keys, COUNT_OF(keys));
        guard_exposed(guard, &exposure, now_us, &said);
    }
    arena_done(&arena);
}

/* What is remembered of people who do nothing any more is forgotten bit by bit, and wherever a
 * snapshot comes in between the guard goes on as if there had been none. */
TEST(what_leads_to_nothing_any_more_is_forgotten)
{
    enum { PEOPLE = 3000 };
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3), *loaded = NULL;
    struct prng prng = {11};
    int64_t now_us = t0;
    for (unsigned i = 0; i < 2 * PEOPLE; i++, now_us += second)
        hear(guard, now_us, (unsigned)prng_below(&prng, PEOPLE),
             (unsigned)prng_below(&prng, PEOPLE), i, i % 5 != 0);
    size_t trails = 0, standings = guard->n_standings, before = users_memory(guard);
    USERS_EACH(guard, user)
    trails += has_trail(user);
    check(trails > PEOPLE / 2 && standings > PEOPLE / 20);
    now_us += 10 * day;
    for (unsigned i = 0; i < 2 * PEOPLE; i++, now_us += second) {
        struct guard *both[] = {guard, loaded};
        for (size_t k = 0; k < COUNT_OF(both) && both[k] != NULL; k++)
            hear(both[k], now_us, i % 10, 10 + i % 7, 1000000, true); // a few go on
        if (i % 1000 == 500) {
            check(loaded == NULL || state_hash(loaded) == state_hash(guard));
            check(loaded == NULL || loaded->bytes_users == guard->bytes_users);
            guard_free(&loaded);
            loaded = loaded_again(guard, &guard->config);
            check(state_hash(loaded) == state_hash(guard));
            check(loaded->bytes_users == guard->bytes_users);
        }
    }
    check(guard->n_standings == 0);
    size_t left = 0;
    USERS_EACH(guard, user)
    {
        struct trail trail = trail_of(guard, user);
        left += trail.shown[0] != 0 || trail.sent != 0 || trail.recent[0] != 0;
    }
    printf("%zu users: %zu bytes each, later %zu\n", guard->n_users, before / guard->n_users,
           users_memory(guard) / guard->n_users);
    check(left < 30);
    check(users_memory(guard) <= 100 * guard->n_users);
    guard_free(&loaded);
    guard_free(&guard);
}

TEST(a_standing_is_there_while_there_is_something)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    guard->now_us = t0;
    struct user *user = person(guard, 1);
    check(standing_of(guard, user) == NULL && restricted_until_us(guard, user) == 0);
    hear(guard, t0, 1, 2, 1, false); // a link that nobody else has is his
    check(user->has_standing && standing_of(guard, user)->n_brought == 1);
    hear(guard, t0 + second, 1, 2, 1, true);
    check(!user->has_standing);
    struct standing *standing = standing_get(guard, user);
    standing->n_questions = 1;
    standing->question_day = guard_day(guard);
    standing_tidy(guard, user);
    check(user->has_standing && user->is_asked && guard->n_standings == 0);
    struct guard *again = loaded_again(guard, &guard->config);
    check(state_hash(again) == state_hash(guard) && again->n_standings == 0);
    check(again->bytes_users == guard->bytes_users);
    standing = standing_of(again, user_find(again, STR("person1@town.example")));
    check(standing->n_questions == 1 && standing->question_day == guard_day(guard));
    guard_free(&again);
    hear(guard, t0 + second, 3, 4, 2, true);
    check(user->has_standing);
    for (unsigned i = 0; i < 4; i++) // the next day nobody has been asked yet
        hear(guard, t0 + day + second, 3, 4, 2, true);
    check(!user->has_standing && guard->n_standings == 0);
    // nor is it kept when he was, where something else is
    hear(guard, t0 + day + second, 1, 2, 5, false);
    standing = standing_get(guard, user);
    standing->n_questions = 1;
    standing->question_day = guard_day(guard);
    for (unsigned i = 0; i < 8; i++)
        hear(guard, t0 + 2 * day, 3, 4, 2, true);
    check(user->has_standing && standing->n_questions == 0);
    again = loaded_again(guard, &guard->config);
    check(state_hash(again) == state_hash(guard));
    guard_free(&again);
    guard_free(&guard);
}

/* Many are asked while a worm is about; what else there is with somebody makes it a standing again,
 * and his name and trail do not notice. */
TEST(that_somebody_was_asked_takes_three_bytes_of_his)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    guard->now_us = t0;
    enum { PEOPLE = 100 };
    struct trail trail;
    memset(&trail, 0, sizeof trail);
    trail.sent_us = t0;
    trail.level = 1.5;
    struct user *people[PEOPLE];
    for (unsigned i = 0; i < PEOPLE; i++) {
        people[i] = person(guard, i);
        if (i % 2 == 0)
            trail_put(guard, people[i], &trail);
        struct standing *standing = standing_get(guard, people[i]);
        standing->n_questions = i % 10 == 9 ? 1000 : 1 + i;
        standing->question_day = guard_day(guard);
        standing->restricted_until_us = i % 10 == 8 ? t0 + day : 0;
    }
    size_t before = users_memory(guard), counted = guard->bytes_users;
    for (unsigned i = 0; i < PEOPLE; i++) {
        standing_tidy(guard, people[i]);
        check(people[i]->has_standing && people[i]->is_asked == (i % 10 < 8));
    }
    check(guard->n_standings == PEOPLE / 5 && guard->bytes_users == counted);
    check(users_memory(guard) + PEOPLE * 40 < before);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < PEOPLE; i++) {
            char jid[48];
            snprintf(jid, sizeof jid, "person%u@town.example", i);
            check_str(user_jid(guard, people[i]), str_of(jid));
            struct trail got = trail_of(guard, people[i]);
            check(i % 2 == 0 ? memcmp(&got, &trail, sizeof got) == 0 : !has_trail(people[i]));
            check((restricted_until_us(guard, people[i]) != 0) == (i % 10 == 8));
            check(standing_of(guard, people[i])->n_questions == (i % 10 == 9 ? 1000 : 1 + i));
            check(standing_of(guard, people[i])->question_day == guard_day(guard));
            check(list_empty(&standing_of(guard, people[i])->brought));
            if (round == 0 && i % 3 == 0)
                check(standing_get(guard, people[i])->n_questions == (i % 10 == 9 ? 1000 : 1 + i));
        }
    check(guard->bytes_users == counted);
    guard_free(&guard);
}

/* ---- What they teach ---------------------------------------------------------------------------
 */

static double taught_bursts(const struct guard *guard)
{
    double sum = 0;
    for (size_t bin = 0; bin < SPAN_BINS; bin++)
        sum += guard->lessons.rare[RARE_BURST][bin];
    return sum;
}

TEST(what_is_rare_becomes_ordinary_slowly_once_a_site_is_known)
{
    struct guard_config config;
    guard_config_default(&config);
    int64_t doubling = config.rare_doubling_us;
    struct lessons lessons;
    lessons_default(&lessons);
    // a site that is new is believed at once…
    lessons.copies = 1000;
    lessons.rare[RARE_STAR][12] = 2;
    rare_believe(&lessons, t0, doubling);
    check(lessons.believed[RARE_STAR][12] >= 0.002 && lessons.believed[RARE_STAR][12] < 0.004);
    double window = (double)rare_window_us(&lessons, RARE_STAR, 0.002);
    // …and ten accounts that come two weeks later, and are faster, little by little
    rare_believe(&lessons, t0 + 14 * day, doubling);
    lessons.rare[RARE_STAR][6] += 12;
    rare_believe(&lessons, t0 + 15 * day, doubling);
    check(lessons.believed[RARE_STAR][6] < 0.0007);
    check((double)rare_window_us(&lessons, RARE_STAR, 0.002) > 0.8 * window);
    rare_believe(&lessons, t0 + 21 * day, doubling);
    check(lessons.believed[RARE_STAR][6] < 0.0012);
    // what is true for months is believed in the end
    rare_believe(&lessons, t0 + 90 * day, doubling);
    check(lessons.believed[RARE_STAR][6] >= 0.012);
    // and that something is rarer than it was at once
    lessons.copies *= 10;
    rare_believe(&lessons, t0 + 90 * day, doubling);
    check(lessons.believed[RARE_STAR][6] < 0.002);
}

TEST(who_is_fast_every_day_teaches_less_each_time_and_another_server_nothing)
{
    for (unsigned from_abroad = 0; from_abroad < 2; from_abroad++) {
        struct guard *guard = new_guard();
        double before = taught_bursts(guard);
        abroad = from_abroad > 0;
        for (unsigned i = 0; i < 80; i++) { // eight people a day, of his own
            char to[32], link[48];
            snprintf(to, sizeof to, "p%u@a.example", i);
            snprintf(link, sizeof link, "http://host%u.example/", i);
            send(guard, t0 + i / 8 * 2 * day + i % 8 * 60 * second, "fast@a.example", to, link);
        }
        double taught = taught_bursts(guard) - before;
        check(from_abroad ? taught <= 0 : taught > 1 && taught < 2);
        abroad = false;
        guard_free(&guard);
    }
}
