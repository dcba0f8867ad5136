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

TEST(pages_that_few_pieces_have_stayed_on_become_empty)
{
    enum { PIECES = 1000, STAY = 10 };
    static uint32_t pieces[PIECES];
    struct slab slab;
    slab_init(&slab, 8, SLAB_SMALL_PAGE, false);
    for (uint32_t i = 0; i < PIECES; i++) {
        pieces[i] = slab_take(&slab, 48);
        memcpy(slab_at(&slab, pieces[i]), &i, sizeof i);
    }
    for (uint32_t i = 0; i < PIECES; i++)
        if (i % STAY != 0)
            slab_give(&slab, pieces[i]);
    size_t before = slab.bytes;
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < PIECES; i += STAY) {
            uint32_t piece = slab_denser(&slab, pieces[i]);
            if (piece == 0)
                continue;
            memcpy(slab_at(&slab, piece), slab_at(&slab, pieces[i]), 48);
            slab_give(&slab, pieces[i]);
            pieces[i] = piece;
        }
    check(slab.bytes < before / 5);
    for (uint32_t i = 0; i < PIECES; i += STAY) {
        uint32_t held;
        memcpy(&held, slab_at(&slab, pieces[i]), sizeof held);
        check(held == i && slab_denser(&slab, pieces[i]) == 0);
    }
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
    check(users_memory(guard) >= guard->bytes_users);
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

TEST(a_trail_is_what_was_put)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 3);
    struct user *user = person(guard, 1), *other = person(guard, 2);
    struct prng prng = {9};
    struct trail none = {0};
    check(!user->has_trail);
    for (int turn = 0; turn < 5000; turn++) {
        struct trail trail = {0};
        uint64_t huge = turn % 7 == 0 ? UINT64_MAX : 100000;
        size_t n = prng_below(&prng, RECENT_CLUSTERS + 1);
        for (size_t i = 0; i < n; i++)
            trail.recent[i] = huge - prng_below(&prng, 1000);
        n = prng_below(&prng, SHOWN_KEPT + 1);
        for (size_t i = 0; i < n; i++) {
            trail.shown[i] = huge - prng_below(&prng, 1000);
            trail.shown_us[i] = t0 - (int64_t)prng_below(&prng, (uint64_t)day);
        }
        if (prng_below(&prng, 2) == 0) {
            trail.sent_us = prng_below(&prng, 9) == 0 ? INT64_MIN : t0 + turn;
            trail.receiver = (uint32_t)prng_below(&prng, UINT32_MAX);
            trail.level = prng_below(&prng, 2) == 0 ? 1 : 1.0 / (1 + turn);
        } else if (prng_below(&prng, 9) == 0) {
            trail.level = 4;
        }
        trail.campaign = prng_below(&prng, 2) == 0 ? huge : 0;
        trail.sent = prng_below(&prng, 2) == 0 ? huge : 0;
        trail_put(guard, user, &trail);
        struct trail got = trail_of(guard, user), nothing = trail_of(guard, other);
        check(memcmp(&got, &trail, sizeof got) == 0);
        check(user->has_trail == (memcmp(&got, &none, sizeof got) != 0));
        check(memcmp(&nothing, &none, sizeof none) == 0);
        check_str(user_jid(guard, user), STR("person1@town.example"));
        // what he sends is the first of the recent ones, however that is put there
        struct cluster cluster = {.id = huge - prng_below(&prng, 1000)};
        if (trail.recent[0] != 0 && prng_below(&prng, 4) == 0)
            cluster.id = trail.recent[0];
        note_recent(guard, user, &cluster);
        if (trail.recent[0] != cluster.id) {
            memmove(trail.recent + 1, trail.recent, sizeof trail.recent - sizeof *trail.recent);
            trail.recent[0] = cluster.id;
        }
        got = trail_of(guard, user);
        check(memcmp(&got, &trail, sizeof got) == 0);
    }
    guard_free(&guard);
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
    size_t trails = 0, standings = guard->standings.n, before = users_memory(guard);
    USERS_EACH(guard, user)
    trails += user->has_trail;
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
    check(guard->standings.n == 0);
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
    check(user->has_standing);
    struct guard *again = loaded_again(guard, &guard->config);
    check(state_hash(again) == state_hash(guard) && again->standings.n == 1);
    guard_free(&again);
    hear(guard, t0 + second, 3, 4, 2, true);
    check(user->has_standing);
    for (unsigned i = 0; i < 4; i++) // the next day nobody has been asked yet
        hear(guard, t0 + day + second, 3, 4, 2, true);
    check(!user->has_standing && guard->standings.n == 0);
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

/* ---- What they teach ---------------------------------------------------------------------------
 */

static double taught_bursts(const struct guard *guard)
{
    double sum = 0;
    for (size_t bin = 0; bin < SPAN_BINS; bin++)
        sum += guard->lessons.rare[RARE_BURST][bin];
    return sum;
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
