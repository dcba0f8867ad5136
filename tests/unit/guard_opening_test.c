/*
 * Somebody opened a lure: stronger than that he was shown it.
 */
#include "test.h"

#include "base/buf.h"
#include "guard/guard.h"

#include <math.h>

static const int64_t second = 1000000, t0 = INT64_C(1800000000) * 1000000;
static const char text[] = "look at http://evil.example/x";

static struct lure_list lures(void)
{
    static struct lure_rules *once;
    struct lure_list list;
    if (once == NULL)
        once = lure_rules_new();
    lure_list_init(&list, once, test_arena());
    lure_scan_text(&list, str_of(text));
    lure_list_keys(&list, NULL);
    return list;
}

static struct guard *new_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.ask_us = 0;
    return guard_new(&config, 42);
}

static void take(struct guard *guard, int64_t now, const struct guard_event *event)
{
    struct guard_event at = *event;
    struct guard_word word;
    at.now_us = now;
    guard_word_init(&word, test_arena());
    guard_take(guard, &at, &word);
}

static void sends(struct guard *guard, int64_t now, const char *from, const char *to)
{
    struct lure_list list = lures();
    struct lure_key keys[16];
    size_t n = lure_list_collect(&list, keys, COUNT_OF(keys));
    take(guard, now,
         &(struct guard_event){
             .kind = EVENT_SENDING,
             .sending = {.message = (uint64_t)now,
                         .sender = str_of(from),
                         .receiver = str_of(to),
                         .audience = 1,
                         .lures = list.lures,
                         .n_lures = list.n,
                         .pace = {.gap_us = -1, .roster_index = -1, .account_age_us = -1}},
    });
    take(guard, now + second,
         &(struct guard_event){
             .kind = EVENT_EXPOSURE,
             .exposure = {str_of(from), str_of(to), keys, n},
    });
}

static void opens(struct guard *guard, int64_t now, const char *who)
{
    struct lure_list list = lures();
    take(guard, now,
         &(struct guard_event){
             .kind = EVENT_OPENING,
             .opened = {str_of(who), list.lures[0].keys, LURE_WIDTHS},
    });
}

static struct incident story(const struct guard *guard)
{
    struct lure_list list = lures();
    struct incident incident;
    check(guard_incident_of(guard, &list.lures[0].keys[LURE_EXACT], false, test_arena(),
                            &incident) == OK);
    return incident;
}

static void check_real(double got, double wanted)
{
    check(fabs(got - wanted) < 1e-6);
}

TEST(a_relay_that_had_opened_it_weighs_more)
{
    struct guard *shown = new_guard(), *opened = new_guard(), *late = new_guard();
    struct guard *all[] = {shown, opened, late};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        sends(all[i], t0, "a@x", "b@x");
        if (all[i] == opened) {
            opens(opened, t0 + 20 * second, "b@x");
            opens(opened, t0 + 21 * second, "b@x"); // once is enough
        }
        sends(all[i], t0 + 40 * second, "b@x", "c@x");
        if (all[i] == late)
            opens(late, t0 + 50 * second, "b@x"); // what he did not do first
    }
    check_real(story(opened).sum.relays - story(shown).sum.relays, 0.84);
    check_real(story(late).sum.relays, story(shown).sum.relays);
    check_real(story(opened).nats - story(shown).nats, 0.84);
    const struct incident told = story(opened);
    size_t n = 0;
    for (size_t i = 0; i < told.n_evidence; i++)
        n += told.evidence[i].kind == EVIDENCE_OPENING;
    check(n == 1);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        guard_free(&all[i]);
}

TEST(who_opened_it_and_did_not_pass_it_on_clears_more)
{
    struct guard *shown = new_guard(), *opened = new_guard();
    struct guard *both[] = {shown, opened};
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        sends(both[i], t0, "a@x", "b@x");
        if (both[i] == opened)
            opens(opened, t0 + 60 * second, "b@x");
        sends(both[i], t0 + 5000 * second, "a@x", "c@x");
        sends(both[i], t0 + 5001 * second, "a@x", "d@x");
    }
    check_real(story(shown).sum.absence, -0.15);
    check_real(story(opened).sum.absence, -0.6);
    guard_free(&shown);
    guard_free(&opened);
}

TEST(an_opening_of_who_was_not_shown_it_is_nothing)
{
    struct guard *guard = new_guard();
    opens(guard, t0, "b@x"); // of what nobody knows
    sends(guard, t0 + second, "a@x", "b@x");
    double before = story(guard).nats;
    opens(guard, t0 + 2 * second, "z@x");
    opens(guard, t0 + 3 * second, "a@x");
    check_real(story(guard).nats, before);
    check(story(guard).n_exposed == 1 && story(guard).n_nodes == 2);
    guard_free(&guard);
}

TEST(an_opening_survives_in_log_and_snapshot)
{
    struct lure_list list = lures();
    struct guard_event event = {
        .kind = EVENT_OPENING,
        .now_us = t0,
        .opened = {STR("b@x"), list.lures[0].keys, LURE_WIDTHS},
    };
    struct buf bytes;
    struct guard_event again;
    buf_init(&bytes, 1 << 20);
    guard_event_write(&bytes, &event);
    check(guard_event_read(test_arena(), buf_str(&bytes), &again) == OK);
    check(again.kind == EVENT_OPENING && again.opened.n_keys == LURE_WIDTHS);
    check_str(again.opened.who, STR("b@x"));
    buf_done(&bytes);

    struct guard *guard = new_guard(), *copy = NULL;
    sends(guard, t0, "a@x", "b@x");
    opens(guard, t0 + 20 * second, "b@x");
    struct guard_config config;
    struct why why;
    guard_config_default(&config);
    config.ask_us = 0;
    buf_init(&bytes, 1 << 24);
    guard_save(guard, &bytes);
    check(guard_load(&config, buf_str(&bytes), &copy, &why) == OK);
    sends(guard, t0 + 40 * second, "b@x", "c@x");
    sends(copy, t0 + 40 * second, "b@x", "c@x");
    check_real(story(copy).nats, story(guard).nats);
    buf_done(&bytes);
    guard_free(&guard);
    guard_free(&copy);
}
