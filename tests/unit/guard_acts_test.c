#include "test.h"

#include "guard_hand.h"
#include "guard_town.h"

#include "base/buf.h"

#include <stdio.h>
#include <time.h>

TEST(an_operators_conviction_stops_and_is_undone)
{
    struct guard *guard = new_guard();
    check(send(guard, t0, "a@a.example", "b@a.example", "http://evil.example/x") ==
          VERDICT_DELIVER);
    convict_evil(guard, t0 + second, LURE_HOST);
    uint64_t incident = word.incident;
    check(incident != 0);
    check(count_orders(ORDER_STOP, false) == 1 && count_orders(ORDER_RETRACT, false) == 1);
    check(count_orders(ORDER_RESTRICT, false) == 0);
    check(send(guard, t0 + 2 * second, "c@a.example", "d@a.example", "http://evil.example/other") ==
          VERDICT_REJECT);
    check(word.reason == REASON_CONVICTED && word.incident == incident);
    check(send(guard, t0 + 2 * second, "c@a.example", "d@a.example", "http://notevil.example/x") ==
          VERDICT_DELIVER);
    // a warning passes, its link dead
    check(send(guard, t0 + 3 * second, "c@a.example", "d@a.example",
               "don't click http://evil.example/x") == VERDICT_DELIVER);
    check(word.defang);
    convict_evil(guard, t0 + 3 * second, LURE_HOST); // twice is once
    check(word.incident == incident && word.n_orders == 0);

    struct incident shown;
    check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_CONVICTED);
    check_str(shown.shown, STR("evil.example"));
    check_str(shown.actor, STR("admin"));
    check(shown.n_rejected == 1);
    unsigned n_stops = 0;
    guard_rules(guard, count_stops, &n_stops);
    check(n_stops == 1);

    struct release release = {
        .incident = incident, .actor = STR("admin"), .reason = STR("mistake")};
    guard_release(guard, &release, t0 + 4 * second, fresh_word());
    check(word.incident == incident);
    check(count_orders(ORDER_STOP, true) == 1 && count_orders(ORDER_RETRACT, true) == 1);
    check(send(guard, t0 + 5 * second, "c@a.example", "d@a.example", "http://evil.example/other") ==
          VERDICT_DELIVER);
    check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_RELEASED);
    guard_release(guard, &release, t0 + 6 * second, fresh_word());
    check(count_orders(ORDER_STOP, true) == 0);
    guard_free(&guard);
}

TEST(many_convictions_do_not_keep_all_other_incidents)
{
    struct guard_config config;
    guard_config_default(&config);
    config.memory = (size_t)2 << 20;
    struct guard *guard = guard_new(&config, 42);
    int64_t now = t0;
    for (unsigned i = 0; i < 100; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://evil%u.example/x", i);
        struct lure_list list = lures_of(url);
        struct conviction conviction = {
            .lure = list.lures, .width = LURE_EXACT, .actor = STR("admin"), .reason = STR("worm")};
        guard_convict(guard, &conviction, now += second, fresh_word());
    }
    // reported, each by whom it was sent to
    for (unsigned i = 0; i < 3000; i++) {
        char url[64], from[32], to[32];
        snprintf(url, sizeof url, "http://new%u.example/x", i);
        snprintf(from, sizeof from, "a%u@a.example", i % 100);
        snprintf(to, sizeof to, "b%u@a.example", i % 100);
        send(guard, now += 60 * second, from, to, url);
        expose(guard, now, from, to, url);
        struct lure_list list = lures_of(url);
        struct lure_key keys[LURE_WIDTHS];
        struct report report = {.reporter = str_of(to), .sender = str_of(from), .keys = keys};
        report.n_keys = lure_list_collect(&list, keys, COUNT_OF(keys));
        guard_reported(guard, &report, now, fresh_word());
    }
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_incidents >= 3000 && state.n_stops == 100);
    check(state.bytes_clusters <= config.memory / 2 + config.memory / 20);
    guard_free(&guard);
}

TEST(a_warning_that_nobody_can_make_dead_does_not_pass)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 42);
    convict_evil(guard, t0, LURE_HOST);
    check(send(guard, t0, "c@a.example", "d@a.example", "don't click http://evil.example/x") ==
          VERDICT_REJECT);
    check(!word.defang);
    guard_free(&guard);
}

TEST(words_of_warning_hide_no_worm)
{
    struct guard *guard = new_guard();
    const char *words = "> http://evil.example/x\nis this you?";
    // before any conviction: what is not counted opens nothing either
    check(send(guard, t0, "zero@a.example", "b@a.example", words) == VERDICT_DELIVER);
    check(word.defang);
    // and is no shield for what follows
    unsigned rejected = 0;
    int64_t now =
        burst(guard, t0 + second, "zero@a.example", "look http://evil.example/x", 0, 30, &rejected);
    convict_evil(guard, now, LURE_HOST); // by an operator: his word is enough
    check(send(guard, now, "zero@a.example", "d@a.example", "http://other.example/") ==
          VERDICT_REJECT);
    check(word.reason == REASON_RESTRICTED);
    // on a large host links stay alive, and the copy counts like any other
    check(send(guard, now, "c@a.example", "d@a.example",
               "> https://www.youtube.com/watch?v=1\nnice") == VERDICT_DELIVER);
    check(!word.defang);
    guard_free(&guard);
}

TEST(a_worm_that_never_sends_the_same_link_is_known_by_who_sends)
{
    struct guard *guard = silent_guard();
    struct guard_state state;
    unsigned rejected = 0;
    int64_t now = t0;
    for (unsigned i = 0; i < 20; i++) {
        char text[100], to[32];
        snprintf(text, sizeof text, "%s you have to see th%cs http://evil%u.example/%u",
                 i % 3 == 0 ? "OMG" : "omg", i % 2 == 0 ? 'i' : '1', i, i);
        snprintf(to, sizeof to, "p%u@a.example", i);
        enum verdict verdict = pass(guard, now, "zero@a.example", to, text);
        // who was shown one sends another: the worm has him
        for (unsigned k = 0; k < 4 && i == 1; k++) {
            snprintf(text, sizeof text, "omg you have to see this http://other%u.example/", k);
            snprintf(to, sizeof to, "q%u@a.example", k);
            rejected += send(guard, now += second / 10, "p0@a.example", to, text) == VERDICT_REJECT;
        }
        now += second / 10;
        rejected += verdict == VERDICT_REJECT;
    }
    guard_state(guard, &state);
    check(state.n_convicted == 1);
    check(rejected > 10);
    // somebody else's own words, and his link
    check(send(guard, now, "c@a.example", "d@a.example",
               "the minutes are here http://fine.example/") == VERDICT_DELIVER);
    // the same words about a place that everybody knows
    check(send(guard, now, "c@a.example", "d@a.example",
               "omg you have to see this https://www.youtube.com/watch?v=1") == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(a_worm_in_plain_words_is_a_worm)
{
    static const char *const texts[] = {"omg go to evilplace dot com and sign in",
                                        // no words of warning help who sends like a program
                                        "not from me! do not open evilplace dot com",
                                        "> go to evilplace dot com\nis this you?",
                                        "evilplace[.]com is bad"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct guard *guard = silent_guard();
        unsigned rejected = 0;
        int64_t now = burst(guard, t0, "zero@a.example", texts[i], 0, 10, &rejected);
        now = burst(guard, now + 3 * second, "p1@a.example", texts[i], 20, 10, &rejected);
        struct guard_state state;
        guard_state(guard, &state);
        check(state.n_convicted == 1);
        check(send(guard, now, "zero@a.example", "p99@a.example", "http://fine.example/") ==
              VERDICT_REJECT);
        check(word.reason == REASON_RESTRICTED);
        // the instruction is refused, a warning arrives with nothing to type
        check(send(guard, now, "c@a.example", "d@a.example", texts[0]) == VERDICT_REJECT);
        check(send(guard, now, "c@a.example", "d@a.example", "do not open evilplace dot com") ==
              VERDICT_DELIVER);
        check(word.defang);
        guard_free(&guard);
    }
}

TEST(who_warns_of_an_address_by_hand_is_not_restricted)
{
    struct guard *guard = silent_guard();
    const char *warning = "do not open evilplace dot com, it's a virus";
    unsigned rejected = 0;
    int64_t now =
        burst(guard, t0, "zero@a.example", "go to evilplace dot com", 0, 2, &rejected) + second;
    now = burst(guard, now + 20 * second, "zero@a.example", "go to evilplace dot com", 2, 1,
                &rejected);
    for (unsigned i = 0; i < 3; i++) {
        char from[32];
        snprintf(from, sizeof from, "p%u@a.example", i);
        for (unsigned k = 0; k < 12; k++) {
            char to[32];
            snprintf(to, sizeof to, "q%u@a.example", 12 * i + k);
            check(send(guard, now += 20 * second, from, to, warning) == VERDICT_DELIVER);
        }
        check(send(guard, now, from, "p99@a.example", "http://fine.example/") == VERDICT_DELIVER);
    }
    // what is convicted meanwhile is the address: it arrives no more
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_convicted == 1);
    check(word.defang == false);
    check(send(guard, now, "p0@a.example", "q99@a.example", warning) == VERDICT_DELIVER);
    check(word.defang);
    guard_free(&guard);
}

TEST(a_conviction_expires_by_itself)
{
    struct guard *guard = new_guard();
    struct lure_list list = lures_of("http://evil.example/x");
    struct conviction conviction = {
        .lure = &list.lures[0], .width = LURE_EXACT, .expires_us = t0 + hour};
    guard_convict(guard, &conviction, t0, fresh_word());
    check(send(guard, t0 + hour - 1, "c@a.example", "d@a.example", "http://evil.example/x") ==
          VERDICT_REJECT);
    check(guard_next_us(guard) == t0 + hour);
    guard_tick(guard, t0 + hour, fresh_word());
    check(count_orders(ORDER_STOP, true) == 1 && word.orders[0].reason == REASON_EXPIRED);
    check(send(guard, t0 + hour, "c@a.example", "d@a.example", "http://evil.example/x") ==
          VERDICT_DELIVER);
    check(guard_next_us(guard) == INT64_MAX);
    guard_free(&guard);
}

// What was held of an incident that nothing has convicted yet.
static uint64_t held_incident(struct guard *guard, int64_t *now)
{
    unsigned rejected = 0;
    *now = burst(guard, t0, "zero@a.example", "http://evil.example/x", 0, 8, &rejected);
    check(rejected == 0);
    uint64_t at = 0;
    return guard_incident_next(guard, &at);
}

TEST(an_operator_convicts_an_incident_by_its_number)
{
    struct guard *guard = new_guard();
    int64_t now = t0;
    uint64_t id = held_incident(guard, &now);
    struct conviction conviction = {
        .incident = id, .width = LURE_WIDTHS, .actor = STR("admin"), .reason = STR("a worm")};
    guard_convict(guard, &conviction, now, fresh_word());
    check(word.incident == id && word.reason == REASON_OPERATOR);
    check(count_orders(ORDER_STOP, false) == 1 && count_orders(ORDER_RETRACT, false) == 1);
    check(count_orders(ORDER_REJECT_HELD, false) > 0);
    struct incident shown;
    check(guard_incident(guard, id, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_CONVICTED && shown.width == LURE_EXACT);
    check_str(shown.actor, STR("admin"));
    check_str(shown.why, STR("a worm"));
    check(send(guard, now, "c@a.example", "d@a.example", "http://evil.example/x") ==
          VERDICT_REJECT);
    // as wide as he says, of the same incident; who had nothing to do with it goes on
    check(send(guard, now, "c@a.example", "d@a.example", "http://www.evil.example/other") ==
          VERDICT_DELIVER);
    conviction.width = LURE_HOST;
    guard_convict(guard, &conviction, now, fresh_word());
    check(word.incident == id && count_orders(ORDER_STOP, false) == 1);
    check(send(guard, now, "e@a.example", "d@a.example", "http://www.evil.example/other") ==
          VERDICT_REJECT);
    check(word.incident == id);
    check(send(guard, now, "e@a.example", "d@a.example", "http://fine.example/") ==
          VERDICT_DELIVER);
    // released, and convicted once more
    struct release release = {.incident = id, .actor = STR("admin")};
    guard_release(guard, &release, now, fresh_word());
    check(send(guard, now, "c@a.example", "d@a.example", "http://evil.example/x") ==
          VERDICT_DELIVER);
    conviction.width = LURE_WIDTHS;
    guard_convict(guard, &conviction, now, fresh_word());
    check(word.incident == id);
    check(send(guard, now, "c@a.example", "d@a.example", "http://evil.example/x") ==
          VERDICT_REJECT);
    guard_free(&guard);
}

TEST(a_number_that_is_no_incident_convicts_nothing)
{
    struct guard *guard = new_guard();
    int64_t now = t0;
    uint64_t id = held_incident(guard, &now);
    struct guard_state state;
    struct conviction conviction = {.incident = id + 1000, .width = LURE_WIDTHS};
    guard_convict(guard, &conviction, now, fresh_word());
    check(word.incident == 0 && word.n_orders == 0);
    guard_state(guard, &state);
    check(state.n_convicted == 0);
    // one that is over has no keys any more
    conviction =
        (struct conviction){.incident = id, .width = LURE_WIDTHS, .expires_us = now + hour};
    guard_convict(guard, &conviction, now, fresh_word());
    check(word.incident == id);
    guard_tick(guard, now + hour, fresh_word());
    conviction.expires_us = 0;
    guard_convict(guard, &conviction, now + hour, fresh_word());
    check(word.incident == 0 && word.n_orders == 0);
    guard_free(&guard);
}

TEST(a_worm_is_stopped_retracted_and_its_carriers_restricted_and_all_of_it_undone)
{
    struct guard *guard = new_guard();
    const char *lure = "look http://evil.example/x";
    unsigned rejected = 0;
    int64_t now = burst(guard, t0, "zero@a.example", lure, 0, 10, &rejected);
    check(rejected == 0); // a star on a young store is only held
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_held > 0 && state.n_waiting == state.n_held);
    now = burst(guard, now + 30 * second / 10, "p1@a.example", lure, 20, 10, &rejected);
    check(rejected > 0);
    guard_state(guard, &state);
    check(state.n_waiting == 0 && state.n_convicted == 1);
    // whoever carries it loses links, not words
    check(send(guard, now, "p1@a.example", "p99@a.example", "http://fine.example/") ==
          VERDICT_REJECT);
    check(word.reason == REASON_RESTRICTED);
    uint64_t incident = word.incident;
    check(send(guard, now, "p1@a.example", "p99@a.example", "i can talk") == VERDICT_DELIVER);
    // who began it was perhaps honest: he is asked, and loses them when it was not he
    check(send(guard, now, "zero@a.example", "p95@a.example", "http://fine.example/") ==
          VERDICT_DELIVER);
    struct answer no = {.sender = STR("zero@a.example"), .incident = incident};
    guard_answered(guard, &no, now, fresh_word());
    check(send(guard, now, "zero@a.example", "p99@a.example", "http://fine.example/") ==
          VERDICT_REJECT);
    // who was only shown it keeps all
    check(send(guard, now, "p2@a.example", "p99@a.example", "http://fine.example/") ==
          VERDICT_DELIVER);
    struct incident shown;
    check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.n_relays == 1);
    check_str(shown.shown, STR("evil.example/x"));
    check(shown.width == LURE_EXACT);
    bool found = false;
    for (size_t i = 0; i < shown.n_nodes; i++)
        if (str_eq(shown.nodes[i].who, STR("p1@a.example"))) {
            found = true;
            check_str(shown.nodes[i].from, STR("zero@a.example"));
            check(shown.nodes[i].relay && shown.nodes[i].restricted);
        }
    check(found && shown.n_evidence > 3 && shown.n_orders > 3);
    // the worm changes its link: the conviction follows
    check(send(guard, now, "p0@a.example", "p98@a.example", "http://evil.example/y") ==
          VERDICT_REJECT);

    // one account only, then everything
    struct release release = {.account = STR("p1@a.example"), .actor = STR("admin")};
    guard_release(guard, &release, now, fresh_word());
    check(count_orders(ORDER_RESTRICT, true) == 1);
    check(send(guard, now, "p1@a.example", "p99@a.example", "http://fine.example/") ==
          VERDICT_DELIVER);
    release = (struct release){.incident = incident, .actor = STR("admin")};
    guard_release(guard, &release, now, fresh_word());
    check(count_orders(ORDER_RESTRICT, true) == 1); // zero's
    check(count_orders(ORDER_STOP, true) == 2 && count_orders(ORDER_RETRACT, true) == 2);
    check(send(guard, now, "zero@a.example", "p97@a.example", lure) == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(held_messages_are_released_in_order_when_the_window_opens)
{
    struct guard *guard = new_guard();
    unsigned rejected = 0;
    next_message = 0;
    burst(guard, t0, "zero@a.example", "http://evil.example/x", 0, 8, &rejected);
    int64_t due = guard_next_us(guard);
    check(due > t0 + 14 * second && due <= t0 + 16 * second);
    uint64_t last = 0;
    size_t released = 0;
    while (guard_next_us(guard) != INT64_MAX) {
        guard_tick(guard, guard_next_us(guard), fresh_word());
        for (size_t i = 0; i < word.n_orders; i++) {
            check(word.orders[i].kind == ORDER_DELIVER_HELD);
            check(word.orders[i].message > last);
            check_str(word.orders[i].who, STR("zero@a.example"));
            last = word.orders[i].message;
            released++;
        }
    }
    check(released == 6);
    guard_free(&guard);
}

TEST(a_flood_of_one_account_leaves_room_for_others_to_wait)
{
    struct guard *guard = new_guard();
    unsigned n_held = 0, n_crowded = 0;
    int64_t now = t0;
    for (unsigned i = 0; i < 5000; i++, now += second / 100) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        enum verdict verdict =
            send(guard, now, "flood@a.example", to, "look http://flood.example/x");
        n_held += verdict == VERDICT_HOLD;
        n_crowded += verdict == VERDICT_REJECT && word.reason == REASON_CROWDED;
        check(word.reason != REASON_CROWDED || verdict == VERDICT_REJECT);
    }
    check(n_held >= 1024 && n_crowded >= 1024);

    unsigned n_others = 0;
    for (unsigned i = 0; i < 20; i++, now += second / 10) {
        char to[32];
        snprintf(to, sizeof to, "q%u@a.example", i);
        n_others +=
            send(guard, now, "worm@a.example", to, "see http://worm.example/x") == VERDICT_HOLD;
    }
    check(n_others >= 10);
    guard_free(&guard);
}

TEST(suspensions_concern_exactly_their_scope)
{
    struct guard *guard = new_guard();
    struct suspension suspension = {.feature = FEATURE_LINKS,
                                    .domain = STR("a.example"),
                                    .expires_us = t0 + hour,
                                    .actor = STR("admin")};
    guard_suspend(guard, &suspension, t0, fresh_word());
    check(send(guard, t0, "x@a.example", "y@b.example", "http://ok.example/") == VERDICT_REJECT);
    check(word.reason == REASON_SUSPENDED);
    check(send(guard, t0, "x@b.example", "y@a.example", "http://ok.example/") == VERDICT_DELIVER);
    check(send(guard, t0, "x@a.example", "y@b.example", "only words") == VERDICT_DELIVER);
    suspension = (struct suspension){
        .feature = FEATURE_LINKS, .account = STR("z@b.example"), .expires_us = t0 + hour};
    guard_suspend(guard, &suspension, t0, fresh_word());
    check(send(guard, t0, "z@b.example", "y@a.example", "http://ok.example/") == VERDICT_REJECT);
    suspension.expires_us = 0; // resume
    guard_suspend(guard, &suspension, t0, fresh_word());
    check(send(guard, t0, "z@b.example", "y@a.example", "http://ok.example/") == VERDICT_DELIVER);
    check(send(guard, t0 + hour, "x@a.example", "y@b.example", "http://ok.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(an_entitlement_covers_its_host_and_its_number)
{
    struct guard *guard = new_guard();
    struct entitlement entitlement = {.account = STR("desk@a.example"),
                                      .domain = STR("desk.example"),
                                      .receivers = 30,
                                      .expires_us = t0 + day};
    guard_entitle(guard, &entitlement, t0, fresh_word());
    unsigned rejected = 0;
    int64_t now = burst(guard, t0, "desk@a.example", "http://www.desk.example/r", 0, 30, &rejected);
    struct guard_state state;
    guard_state(guard, &state);
    check(rejected == 0 && state.n_held == 0);
    burst(guard, now, "desk@a.example", "http://www.desk.example/r", 30, 10, &rejected);
    guard_state(guard, &state);
    check(state.n_held > 0); // beyond the number he is as everybody
    check(send(guard, now, "desk@a.example", "y@a.example", "http://notdesk.example/") ==
          VERDICT_DELIVER);
    check(!word.calm);
    guard_free(&guard);
}

TEST(an_entitlement_without_a_host_covers_only_what_people_here_know)
{
    struct guard *guard = new_guard();
    struct entitlement entitlement = {
        .account = STR("desk@a.example"), .receivers = 100, .expires_us = t0 + day};
    guard_entitle(guard, &entitlement, t0, fresh_word());
    check(send(guard, t0, "desk@a.example", "y@a.example", "https://www.youtube.com/watch?v=1") ==
          VERDICT_DELIVER);
    check(word.calm);
    check(send(guard, t0, "desk@a.example", "y@a.example", "http://never-seen.example/") ==
          VERDICT_DELIVER);
    check(!word.calm);
    guard_free(&guard);
}

TEST(too_many_lures_are_refused)
{
    struct guard *guard = new_guard();
    struct sending sending = {.sender = STR("a@a.example"),
                              .receiver = STR("b@a.example"),
                              .overflowed = true,
                              .pace = {.roster_index = -1}};
    check(guard_judge(guard, &sending, t0, fresh_word()) == VERDICT_REJECT);
    check(word.reason == REASON_TOO_MANY);
    guard_free(&guard);
}

TEST(reports_alone_convict_nobody)
{
    struct guard *guard = new_guard();
    const char *lure = "http://honest.example/x";
    check(send(guard, t0, "a@a.example", "b@a.example", lure) == VERDICT_DELIVER);
    expose(guard, t0, "a@a.example", "b@a.example", lure);
    struct lure_list list = lures_of(lure);
    for (unsigned i = 0; i < 50; i++) {
        char who[32];
        snprintf(who, sizeof who, "liar%u@a.example", i);
        struct report report = {.reporter = str_of(who),
                                .sender = STR("a@a.example"),
                                .keys = &list.lures[0].keys[LURE_EXACT],
                                .n_keys = 1};
        guard_reported(guard, &report, t0 + i, fresh_word());
        check(word.n_orders == 0);
    }
    // a report without a lure finds what he was sent
    struct report report = {.reporter = STR("b@a.example"), .sender = STR("a@a.example")};
    guard_reported(guard, &report, t0 + second, fresh_word());
    check(word.incident != 0);
    guard_free(&guard);
}

/* ---- Poisoning, floods
 * ------------------------------------------------------------------------------ */

static void poison(const char *link, unsigned k, bool may_convict)
{
    struct sim_config config;
    struct guard_town town;
    sim_config_default(&config);
    guard_town_new(&town, 200, 30, "P1", &config);
    sim_run(town.sim, 30 * 3600); // more than a day
    struct guard *guard = sim_guard(town.sim);
    int64_t now = sim_now_us(town.sim);
    struct decoy decoy = {.account = STR("decoy1@town.example")};
    guard_decoy(guard, &decoy, now, fresh_word());
    decoy.account = STR("decoy2@town.example");
    guard_decoy(guard, &decoy, now, fresh_word());
    size_t stops = 0, restricted = 0;
    char from[32], to[32];
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < k; i++) { // each to each, to decoys, to many others
            snprintf(from, sizeof from, "attacker%u@town.example", i);
            for (unsigned n = 0; n < 40; n++) {
                if (n < k)
                    snprintf(to, sizeof to, "attacker%u@town.example", n);
                else if (n < k + 2)
                    snprintf(to, sizeof to, "decoy%u@town.example", n - k + 1);
                else
                    snprintf(to, sizeof to, "person%u@town.example", (n * 7 + i * 31) % 200);
                now += second / 20;
                if (strcmp(from, to) != 0 && send(guard, now, from, to, link) == VERDICT_DELIVER)
                    expose(guard, now, from, to, link);
                stops += count_orders(ORDER_STOP, false);
            }
            struct lure_list list = lures_of(link);
            struct report report = {.reporter = str_of(from),
                                    .sender = STR("person1@town.example"),
                                    .keys = list.lures[0].keys,
                                    .n_keys = LURE_WIDTHS};
            guard_reported(guard, &report, now, fresh_word());
            stops += count_orders(ORDER_STOP, false);
        }
        // honest people share it too, some with several
        for (unsigned i = 0; i < 30; i++) {
            snprintf(from, sizeof from, "person%u@town.example", i * 5);
            for (unsigned n = 0; n < 1 + i % 3; n++) {
                snprintf(to, sizeof to, "person%u@town.example", (i * 5 + 11 + n) % 200);
                now += 8 * second;
                if (send(guard, now, from, to, link) == VERDICT_DELIVER)
                    expose(guard, now, from, to, link);
                for (size_t o = 0; o < word.n_orders; o++)
                    restricted += word.orders[o].kind == ORDER_RESTRICT &&
                                  str_starts(word.orders[o].who, STR("person"));
                stops += count_orders(ORDER_STOP, false);
            }
        }
    }
    printf("poisoning by %2u of %s: convicted %zu, honest accounts restricted %zu\n", k, link,
           stops, restricted);
    check(restricted == 0);
    check(may_convict || stops == 0);
    guard_town_free(&town);
}

TEST(a_few_accounts_cannot_poison_an_established_host)
{
    static const unsigned ks[] = {1, 3, 10};
    for (size_t i = 0; i < COUNT_OF(ks); i++) {
        poison("https://www.youtube.com/watch?v=honest", ks[i], false);
        poison("http://wiki.example.net/page/77", ks[i], false); // learnt, not shipped
        poison("http://new.example/page", ks[i], true);          // nobody's restriction even so
    }
}

static bool restricts(const char *who)
{
    for (size_t i = 0; i < word.n_orders; i++)
        if (word.orders[i].kind == ORDER_RESTRICT && !word.orders[i].undo &&
            str_eq(word.orders[i].who, str_of(who)))
            return true;
    return false;
}

TEST(ten_liars_who_pass_it_on_like_programs_and_deny_it_convict_no_established_link)
{
    struct guard *guard = new_guard();
    const char *link = "https://www.youtube.com/watch?v=honest";
    int64_t now = t0;
    char from[32], to[32];
    for (unsigned i = 1; i < 10; i++, now += second / 10) {
        snprintf(to, sizeof to, "liar%u@a.example", i);
        if (send(guard, now, "liar0@a.example", to, link) == VERDICT_DELIVER)
            expose(guard, now, "liar0@a.example", to, link);
    }
    for (unsigned i = 1; i < 10; i++)
        for (unsigned n = 0; n < 5; n++, now += second / 10) {
            snprintf(from, sizeof from, "liar%u@a.example", i);
            snprintf(to, sizeof to, "p%u@a.example", i * 10 + n);
            send(guard, now, from, to, link);
        }
    uint64_t at = 0, incident = guard_incident_next(guard, &at);
    check(incident != 0); // they were asked
    for (unsigned i = 0; i < 10; i++) {
        snprintf(from, sizeof from, "liar%u@a.example", i);
        struct answer no = {.sender = str_of(from), .incident = incident};
        guard_answered(guard, &no, now += second, fresh_word());
        check(count_orders(ORDER_STOP, false) == 0);
    }
    check(send(guard, now, "honest@a.example", "friend@a.example", link) == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(nobody_who_sends_at_a_hand_s_pace_is_restricted_for_what_another_makes_of_it)
{
    struct guard *guard = new_guard();
    const char *link = "https://meet.new-host.example/r/7";
    int64_t now = t0;
    char to[32];
    for (unsigned i = 0; i < 12; i++, now += 16 * second / 10) {
        snprintf(to, sizeof to, "p%u@a.example", i);
        if (send(guard, now, "honest@a.example", to, link) == VERDICT_DELIVER)
            expose(guard, now, "honest@a.example", to, link);
    }
    bool restricted = false;
    now += 300 * second;
    for (unsigned i = 20; i < 40; i++, now += second / 10) {
        snprintf(to, sizeof to, "p%u@a.example", i);
        send(guard, now, "p0@a.example", to, link);
        restricted |= restricts("honest@a.example");
    }
    check(!restricted);
    check(send(guard, now, "honest@a.example", "p50@a.example", "http://other.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(a_flood_of_unique_links_does_not_push_out_a_live_outbreak)
{
    struct guard_config config;
    guard_config_default(&config);
    config.memory = (size_t)8 << 20;
    struct guard *guard = guard_new(&config, 3);
    const char *lure = "http://evil.example/x";
    // a slow tree: two relays, not enough yet
    int64_t now = t0;
    check(send(guard, now, "zero@a.example", "p1@a.example", lure) == VERDICT_DELIVER);
    expose(guard, now, "zero@a.example", "p1@a.example", lure);
    now += 600 * second;
    check(send(guard, now, "p1@a.example", "p2@a.example", lure) == VERDICT_DELIVER);
    expose(guard, now, "p1@a.example", "p2@a.example", lure);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    double n_flood = 200000; // from 50 accounts; beyond the first few thousand nothing changes
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    size_t most = 0;
    for (unsigned i = 0; i < n_flood; i++) {
        struct lure lure_made = {.kind = LURE_LINK,
                                 .shown = STR("flood"),
                                 .host = STR("h.example"),
                                 .domain = STR("h.example")};
        for (size_t w = 0; w < LURE_WIDTHS; w++) {
            uint64_t halves[2] = {i * 8 + w + 1, 77};
            memcpy(lure_made.keys[w].bytes, halves, sizeof halves);
        }
        char from[32], to[32];
        snprintf(from, sizeof from, "flood%u@a.example", i % 50);
        snprintf(to, sizeof to, "someone%u@a.example", i % 977);
        struct sending sending = {
            .sender = str_of(from),
            .receiver = str_of(to),
            .audience = 1,
            .lures = &lure_made,
            .n_lures = 1,
            .pace = {.gap_us = 1000, .roster_index = -1}
        };
        struct guard_word out;
        guard_word_init(&out, &arena);
        now += 1000;
        (void)guard_judge(guard, &sending, now, &out);
        arena_reset(&arena);
        if (i % 1000 == 0) {
            struct guard_state state;
            guard_state(guard, &state);
            most = state.bytes > most ? state.bytes : most;
        }
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    arena_done(&arena);
    struct guard_state state;
    guard_state(guard, &state);
    printf("flood: %.0f links, %zu KiB at most of %zu, %llu clusters kept, %.2f us each\n", n_flood,
           most / 1024, config.memory / 1024, (unsigned long long)state.n_clusters,
           ((double)(b.tv_sec - a.tv_sec) * 1e6 + (double)(b.tv_nsec - a.tv_nsec) / 1e3) / n_flood);
    check(most <= config.memory);
    // the tree goes on and is recognized
    unsigned rejected = 0;
    now = burst(guard, now + second, "p2@a.example", lure, 100, 12, &rejected);
    guard_state(guard, &state);
    check(state.n_convicted == 1);
    check(send(guard, now, "p2@a.example", "p113@a.example", lure) != VERDICT_DELIVER);
    guard_free(&guard);
}

/* ---- Determinism
 * ---------------------------------------------------------------------------------------- */

TEST(a_snapshot_and_the_events_since_give_the_same_state)
{
    struct sim_config config;
    struct guard_town town;
    sim_config_default(&config);
    config.open = 0.7;
    guard_town_new(&town, 300, 15, "P4", &config);
    struct sim *sim = town.sim;
    struct buf log;
    buf_init(&log, (size_t)64 << 20);
    sim_log(sim, &log);
    sim_run(sim, 4 * 3600);
    sim_infect(sim);
    sim_run(sim, 900);
    // in the middle of an outbreak
    struct buf snapshot;
    buf_init(&snapshot, (size_t)64 << 20);
    guard_save(sim_guard(sim), &snapshot);
    size_t at = log.len;
    sim_run(sim, 7200);
    uint64_t wanted = state_hash(sim_guard(sim));

    struct why why;
    struct guard *replayed[2] = {NULL, NULL};
    replayed[0] = guard_new(&config.guard_config, config.seed); // from the beginning
    check(guard_load(&config.guard_config, buf_str(&snapshot), &replayed[1], &why) == OK);
    check(state_hash(replayed[1]) == hash_fast(0, buf_str(&snapshot)));
    size_t from[2] = {0, at};
    for (size_t i = 0; i < 2; i++) {
        struct str rest = str_skip(buf_str(&log), from[i]);
        while (rest.len > 0) {
            uint64_t len;
            memcpy(&len, rest.at, sizeof len);
            struct arena arena;
            arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
            struct guard_event event;
            struct guard_word out;
            guard_word_init(&out, &arena);
            check(guard_event_read(&arena, str_make(rest.at + sizeof len, len), &event) == OK);
            guard_take(replayed[i], &event, &out);
            rest = str_skip(rest, sizeof len + len);
            arena_done(&arena);
        }
        check(guard_number(replayed[i]) == guard_number(sim_guard(sim)));
        check(state_hash(replayed[i]) == wanted);
        guard_free(&replayed[i]);
    }
    // damage is noticed, whatever byte it hits
    struct prng prng = {5};
    for (int i = 0; i < 300; i++) {
        size_t where = prng_below(&prng, snapshot.len);
        char kept = snapshot.at[where];
        snapshot.at[where] ^= (char)(1 + prng_below(&prng, 255));
        struct guard *broken = NULL;
        if (guard_load(&config.guard_config, buf_str(&snapshot), &broken, &why) == OK)
            guard_free(&broken); // some numbers may be anything
        snapshot.at[where] = kept;
        if (guard_load(&config.guard_config, str_first(buf_str(&snapshot), where), &broken, &why) ==
            OK)
            check(false);
    }
    buf_done(&snapshot);
    buf_done(&log);
    guard_town_free(&town);
}

TEST(every_kind_of_event_comes_back_from_its_bytes)
{
    struct lure_list list = lures_of("http://evil.example/x?secret=1");
    struct guard_event events[] = {
        {.kind = EVENT_SENDING,
         .now_us = -5,
         .sending = {.sender = STR("a@b"),
                     .receiver = STR("c@d"),
                     .observed = true,
                     .device = 77,
                     .lures = list.lures,
                     .n_lures = 1,
                     .pace = {.gap_us = -1, .roster_index = -1, .live = true}}},
        {.kind = EVENT_EXPOSURE,
         .exposure = {.sender = STR("a@b"),
                      .receiver = STR("c@d"),
                      .keys = list.lures[0].keys,
                      .n_keys = 4}        },
        {.kind = EVENT_REPORT,
         .report = {.reporter = STR("a@b"),
                    .sender = STR("c@d"),
                    .keys = list.lures[0].keys,
                    .n_keys = 1,
                    .observed = true}  },
        {.kind = EVENT_ANSWER,
         .answer = {.sender = STR("a@b"), .incident = 7, .meant = true, .trust = ANSWER_PUZZLE}        },
        {.kind = EVENT_CONVICT,
         .conviction =
             {.lure = list.lures, .width = LURE_HOST, .actor = STR("x"), .reason = STR("y")} },
        {.kind = EVENT_CONVICT_INCIDENT,
         .conviction =
             {.incident = 7, .width = LURE_WIDTHS, .actor = STR("x"), .reason = STR("y")}},
        {.kind = EVENT_RELEASE,
         .release = {.incident = 7, .account = STR("a@b"), .actor = STR("x"), .reason = STR("y")}          },
        {.kind = EVENT_SUSPEND,
         .suspension = {.feature = FEATURE_FILES,
                        .domain = STR("d"),
                        .account = STR("a@b"),
                        .expires_us = 9,
                        .actor = STR("x"),
                        .reason = STR("y")}},
        {.kind = EVENT_ENTITLE,
         .entitlement = {.account = STR("a@b"),
                         .domain = STR("d"),
                         .receivers = 9,
                         .expires_us = 9,
                         .actor = STR("x"),
                         .reason = STR("y")}          },
        {.kind = EVENT_DECOY,                     .decoy = {.account = STR("a@b"), .removed = true, .actor = STR("x")} },
        {.kind = EVENT_TICK,                     .now_us = t0           },
        {.kind = EVENT_OUTCOME,
         .outcome = {.incident = 7,
                     .order = 9,
                     .kind = ORDER_RETRACT,
                     .undo = true,
                     .n = 300,
                     .n_unspooled = 2}},
    };
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct buf once, twice;
        buf_init(&once, 1 << 16);
        buf_init(&twice, 1 << 16);
        guard_event_write(&once, &events[i]);
        check(str_find(buf_str(&once), STR("secret")) == once.len); // no query strings in the log
        struct guard_event event;
        check(guard_event_read(test_arena(), buf_str(&once), &event) == OK);
        guard_event_write(&twice, &event);
        check(str_eq(buf_str(&once), buf_str(&twice)));
        for (size_t n = 0; n < once.len; n++)
            check(guard_event_read(test_arena(), str_first(buf_str(&once), n), &event) != OK);
        buf_done(&once);
        buf_done(&twice);
    }
}

TEST(an_event_of_the_first_version_is_read)
{
    struct guard_event event = {
        .kind = EVENT_REPORT, .report = {.reporter = STR("a@b"), .sender = STR("c@d")}
    };
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    guard_event_write(&bytes, &event);
    check(bytes.at[0] == 4);
    bytes.at[0] = 1; // it had no last byte: whether the report was only observed
    check(guard_event_read(test_arena(), str_first(buf_str(&bytes), bytes.len - 1), &event) == OK);
    check_str(event.report.sender, STR("c@d"));
    check(guard_event_read(test_arena(), buf_str(&bytes), &event) != OK);
    buf_done(&bytes);
}

/* ---- What would have been
 * ------------------------------------------------------------------------------- */

struct tallies {
    unsigned n;
    struct guard_tally last; // of an incident
    uint64_t sendings;
};

static void add_tally(void *context, const struct guard_tally *tally)
{
    struct tallies *all = context;
    all->n++;
    all->sendings += tally->n_sendings;
    if (tally->incident != 0)
        all->last = *tally;
}

static struct tallies tallies_of(const struct guard *guard)
{
    struct tallies all = {0};
    guard_tallies(guard, add_tally, &all);
    return all;
}

TEST(what_would_have_been_is_counted_and_nothing_else_is)
{
    struct guard *guard = new_guard();
    unsigned rejected = 0;
    int64_t now = burst(guard, t0, "w@a.example", "http://other.example/x", 0, 2, &rejected);
    check(tallies_of(guard).n == 0);
    observes = true;
    burst(guard, now + hour, "v@a.example", "http://worm.example/x", 10, 30, &rejected);
    observes = false;
    struct tallies all = tallies_of(guard);
    check(all.n == 2 && all.sendings == 30); // the day's, and the incident's
    // those that waited when it was convicted would have returned
    check(all.last.n_rejects > rejected && rejected > 0 && all.last.n_holds == 0);
    check(all.last.n_rejects + all.last.n_holds + all.last.n_retracts == 30);
    // nobody had shown it to him: he would have been asked before he lost his links
    check(all.last.n_restricts == 0 && all.last.convicted_us != 0);
    check_str(all.last.domain, STR("a.example"));
    guard_free(&guard);
}

// Sums over all incidents.
static void add_up(void *context, const struct guard_tally *tally)
{
    struct guard_tally *sum = context;
    sum->n_rejects += tally->n_rejects;
    sum->n_holds += tally->n_holds;
    sum->n_retracts += tally->n_retracts;
}

// n messages to different people, half a second apart.
static int64_t watch(struct guard *guard, int64_t now, const char *text, unsigned first, unsigned n)
{
    observes = true;
    for (unsigned i = first; i < first + n; i++) {
        char to[32], own[64];
        snprintf(to, sizeof to, "p%u@a.example", i);
        snprintf(own, sizeof own, text, i); // where it has room for a number
        send(guard, now, "v@a.example", to, own);
        expose(guard, now, "v@a.example", to, own);
        now += second / 2;
    }
    observes = false;
    return now;
}

TEST(what_would_have_waited_and_been_taken_back_counts_once)
{
    static const char *const texts[] = {"http://worm.example/x", "http://worm%u.example/x"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct guard *guard = new_guard();
        int64_t now = watch(guard, t0, texts[i], 0, 4);
        struct guard_tally sum = {0};
        guard_tallies(guard, add_up, &sum);
        check(sum.n_holds > 0 && sum.n_retracts == 0);
        // let go when its time is over; taken back with the others later, also over a restart
        now += 20 * second;
        guard_tick(guard, now, fresh_word());
        struct guard_config config;
        guard_config_default(&config);
        struct guard *again = loaded_again(guard, &config);
        guard_free(&guard);
        guard = again;
        watch(guard, now, texts[i], 4, 60);
        sum = (struct guard_tally){0};
        guard_tallies(guard, add_up, &sum);
        check(sum.n_retracts >= 4 && sum.n_holds == 0);
        check(sum.n_rejects + sum.n_retracts == 64);
        guard_free(&guard);
    }
}

// What became of each message, as the orders say.
enum fate { GONE_OUT, HELD, LET_GO, REJECTED, TAKEN_BACK };
struct fates {
    enum fate of[400];
    struct lure_key key[400][LURE_WIDTHS];
    uint64_t first; // number of the first message
    unsigned n;
};

static void orders_decide(struct fates *fates)
{
    for (size_t i = 0; i < word.n_orders; i++) {
        const struct order *order = &word.orders[i];
        bool is_held = order->kind == ORDER_DELIVER_HELD || order->kind == ORDER_REJECT_HELD;
        if (is_held && order->kind == ORDER_DELIVER_HELD)
            fates->of[order->message - fates->first] = LET_GO;
        else if (is_held && order->reason == REASON_CONVICTED)
            fates->of[order->message - fates->first] = REJECTED;
        for (unsigned k = 0; order->kind == ORDER_RETRACT && !order->undo && k < fates->n; k++)
            for (size_t w = 0; w < LURE_WIDTHS; w++)
                if ((fates->of[k] == GONE_OUT || fates->of[k] == LET_GO) &&
                    lure_key_eq(&fates->key[k][w], &order->key))
                    fates->of[k] = TAKEN_BACK;
    }
}

TEST(each_message_would_have_had_one_fate)
{
    unsigned n_of[TAKEN_BACK + 1] = {0};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct guard *guard = new_guard();
        struct fates fates = {.first = next_message + 1};
        uint64_t dice = seed;
        int64_t now = t0;
        observes = true;
        while (fates.n < COUNT_OF(fates.of)) {
            char from[32], to[32], text[64];
            dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            unsigned roll = (unsigned)(dice >> 33);
            snprintf(from, sizeof from, "p%u@a.example", roll % 20);
            snprintf(to, sizeof to, "p%u@a.example", roll / 32 % 80);
            // some that many send, and others that nobody has seen
            bool is_new = roll / 4096 % 2 == 0;
            snprintf(text, sizeof text, "http://worm%u.example/x",
                     is_new ? 1000 + fates.n : roll / 8192 % 16);
            now += roll / 131072 % 8 == 0 ? 20 * second : second / 4;
            enum verdict verdict = send(guard, now, from, to, text);
            orders_decide(&fates);
            fates.of[fates.n] = verdict == VERDICT_REJECT ? REJECTED
                                : verdict == VERDICT_HOLD ? HELD
                                                          : GONE_OUT;
            memcpy(fates.key[fates.n++], lures_of(text).lures[0].keys, sizeof fates.key[0]);
            if (verdict == VERDICT_DELIVER)
                expose(guard, now, from, to, text);
            orders_decide(&fates);
        }
        observes = false;
        struct guard_tally sum = {0};
        guard_tallies(guard, add_up, &sum);
        unsigned n[TAKEN_BACK + 1] = {0};
        for (unsigned i = 0; i < fates.n; i++)
            n[fates.of[i]]++;
        check(sum.n_rejects == n[REJECTED]);
        check(sum.n_holds == n[HELD] + n[LET_GO]);
        check(sum.n_retracts == n[TAKEN_BACK]);
        for (size_t i = 0; i < COUNT_OF(n); i++)
            n_of[i] += n[i];
        guard_free(&guard);
    }
    for (size_t i = 0; i < COUNT_OF(n_of); i++)
        check(n_of[i] > 0);
}

TEST(what_would_have_been_is_bounded_expires_and_comes_back)
{
    struct guard_config config;
    guard_config_default(&config);
    config.tally_most = 10;
    struct guard *guard = guard_new(&config, 42);
    observes = true;
    for (unsigned i = 0; i < 40; i++) {
        char from[32];
        snprintf(from, sizeof from, "p@d%u.example", i);
        send(guard, t0 + i, from, "q@a.example", "see http://some.example/");
    }
    observes = false;
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_tallies == 10 && state.n_tallies_forgotten == 30);

    struct guard *again = loaded_again(guard, &config);
    check(tallies_of(again).sendings == 10);
    guard_free(&again);

    guard_tick(guard, t0 + config.tally_us + second, fresh_word());
    check(tallies_of(guard).n == 0);
    guard_state(guard, &state);
    check(state.n_tallies_forgotten == 30); // these were not short of room
    guard_free(&guard);
}

TEST(the_cost_of_judging_is_printed)
{
    struct guard *guard = new_guard();
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct sending nothing = {.sender = STR("a@a.example"), .receiver = STR("b@a.example")};
    struct timespec a, b;
    const int rounds = 100000;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    for (int i = 0; i < rounds; i++) {
        struct guard_word out;
        guard_word_init(&out, &arena);
        (void)guard_judge(guard, &nothing, t0 + i, &out);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    printf("judging nothing: %.0f ns\n",
           ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / rounds);
    arena_done(&arena);
    guard_free(&guard);
}
