/*
 * Words that a rule of the operator's found: forbidden, or suspect.
 */
#include "test.h"

#include "base/buf.h"
#include "guard/guard.h"

#include <stdio.h>

static const int64_t second = 1000000, t0 = INT64_C(1800000000) * 1000000;

static const struct lure_rules *tables(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

static struct guard *new_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.defangs = true;
    config.ask_us = 0;
    return guard_new(&config, 42);
}

static struct lure_list words(const char *text, const char *rule, bool forbids)
{
    struct lure_list list;
    lure_list_init(&list, tables(), test_arena());
    lure_scan_text(&list, str_of(text));
    lure_add_words(&list, str_of(rule), forbids);
    lure_list_keys(&list, NULL);
    return list;
}

static struct guard_word say(struct guard *guard, int64_t now, const char *from, const char *to,
                             const struct lure_list *list, bool warns)
{
    struct guard_word word;
    struct sending sending = {
        .message = (uint64_t)now,
        .sender = str_of(from),
        .receiver = str_of(to),
        .audience = 1,
        .warns = warns,
        .lures = list->lures,
        .n_lures = list->n,
        .pace = {.gap_us = -1, .roster_index = -1, .account_age_us = -1},
    };
    guard_word_init(&word, test_arena());
    guard_judge(guard, &sending, now, &word);
    if (word.verdict == VERDICT_DELIVER) {
        struct guard_word shown;
        struct lure_key keys[16];
        struct exposure exposure = {.sender = sending.sender, .receiver = sending.receiver};
        exposure.n_keys = lure_list_collect(list, keys, COUNT_OF(keys));
        exposure.keys = keys;
        guard_word_init(&shown, test_arena());
        guard_exposed(guard, &exposure, now, &shown);
    }
    return word;
}

TEST(a_rules_name_is_the_key_of_the_words_it_finds)
{
    struct lure_list a = words("one", "gift", true),
                     b = words("another http://h.example/", "gift", false);
    check(a.n == 1 && a.lures[0].kind == LURE_WORDS && b.n == 2);
    check(lure_key_eq(&a.lures[0].keys[LURE_EXACT], &b.lures[1].keys[LURE_EXACT]));
    check(str_eq(a.lures[0].shown, STR("rule:gift")));
    // a rule that suspects the text suspects its links
    check((b.lures[0].flags & LURE_SUSPECT) != 0 && (b.lures[1].flags & LURE_FORBIDDEN) == 0);
    b = words("x", "gifts", true);
    check(!lure_key_eq(&a.lures[0].keys[LURE_EXACT], &b.lures[0].keys[LURE_EXACT]));
}

TEST(forbidden_words_are_convicted_with_the_first_and_no_warning_passes_them)
{
    struct guard *guard = new_guard();
    struct lure_list list = words("x", "gift", true);
    struct guard_word word = say(guard, t0, "a@x", "b@x", &list, false);
    check(word.verdict == VERDICT_REJECT && word.reason == REASON_CONVICTED && word.incident != 0);
    word = say(guard, t0 + second, "c@x", "b@x", &list, true);
    check(word.verdict == VERDICT_REJECT && !word.defang);
    // the operator lets it go, and it stays so
    struct release release = {.incident = word.incident, .actor = STR("op")};
    struct guard_word released;
    guard_word_init(&released, test_arena());
    guard_release(guard, &release, t0 + 2 * second, &released);
    check(say(guard, t0 + 3 * second, "a@x", "b@x", &list, false).verdict == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(what_is_found_is_written_down_and_read_again)
{
    struct lure_list list = words("x", "gift", true);
    struct guard_event event = {
        .kind = EVENT_SENDING,
        .now_us = t0,
        .sending = {.sender = STR("a@x"),
                    .receiver = STR("b@x"),
                    .audience = 1,
                    .lures = list.lures,
                    .n_lures = list.n},
    };
    struct buf bytes;
    struct guard_event again;
    buf_init(&bytes, 1 << 20);
    guard_event_write(&bytes, &event);
    check(guard_event_read(test_arena(), buf_str(&bytes), &again) == OK);
    check(again.sending.n_lures == 1 && again.sending.lures[0].kind == LURE_WORDS);
    check((again.sending.lures[0].flags & LURE_FORBIDDEN) != 0);

    struct guard *guard = new_guard(), *copy = NULL;
    struct guard_word word;
    guard_word_init(&word, test_arena());
    guard_take(guard, &again, &word);
    check(word.verdict == VERDICT_REJECT);
    buf_done(&bytes); // the event borrowed from it
    buf_init(&bytes, 1 << 24);
    guard_save(guard, &bytes);
    struct guard_config config;
    struct why why;
    guard_config_default(&config);
    check(guard_load(&config, buf_str(&bytes), &copy, &why) == OK);
    check(guard_convicted(copy, &list.lures[0].keys[LURE_EXACT], 1, t0) == word.incident);
    buf_done(&bytes);
    guard_free(&guard);
    guard_free(&copy);
}

TEST(suspect_words_that_spread_like_a_worm_are_convicted_and_common_ones_are_not)
{
    struct guard *guard = new_guard();
    struct lure_list list = words("x", "prize", false);
    int64_t now = t0;
    unsigned rejected = 0;
    for (unsigned worm = 0; worm < 4; worm++)
        for (unsigned i = 0; i < 10; i++, now += second / 5) {
            char from[16], to[16];
            snprintf(from, sizeof from, "p%u@x", worm);
            snprintf(to, sizeof to, "p%u@x", worm + 1 + i);
            rejected += say(guard, now, from, to, &list, false).verdict == VERDICT_REJECT;
        }
    check(rejected > 10);
    guard_free(&guard);

    guard = new_guard();
    rejected = 0;
    for (unsigned i = 0; i < 400; i++, now += 1000 * second) { // somebody says it now and then
        char from[16], to[16];
        snprintf(from, sizeof from, "p%u@x", i * 7 % 50);
        snprintf(to, sizeof to, "p%u@x", i * 11 % 50 + 50);
        rejected += say(guard, now, from, to, &list, false).verdict != VERDICT_DELIVER;
    }
    check(rejected == 0);
    guard_free(&guard);
}
