#include "test.h"

#include "guard_hand.h"

#include "base/buf.h"

#include <stdio.h>

enum { CAMPAIGN_COPIES = 12 };

/* Copies to people of his own, each with another link; what is delivered is an exposure. */
static unsigned send_all_new(struct guard *guard, int64_t *now, int64_t pause, const char *from,
                             const char *format, unsigned n)
{
    static unsigned next;
    unsigned rejected = 0;
    for (unsigned i = 0; i < n; i++, next++) {
        char to[48], text[96];
        snprintf(to, sizeof to, "to%u-%s", i, from);
        // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): of the tests below
        snprintf(text, sizeof text, format, next);
        enum verdict verdict = pass(guard, *now, from, to, text);
        rejected += verdict == VERDICT_REJECT;
        *now += pause;
    }
    return rejected;
}

/* For the shipped priors alone, which are careful: what is rare here nobody has taught it. */
static void campaign_config(struct guard_config *config)
{
    guard_config_default(config);
    config->campaign_lessons = 0;
    config->campaign_nats = 16;
    config->ask_us = 0;
}

static struct guard *campaign_guard(void)
{
    struct guard_config config;
    campaign_config(&config);
    return guard_new(&config, 42);
}

TEST(links_that_are_new_with_every_copy_are_one_campaign)
{
    static const char *const formats[] = {"look http://host%u.example/x", "https://bit.ly/%u"};
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        struct guard *guard = campaign_guard();
        int64_t now = t0;
        // what others bring of the same site stays theirs
        check(send(guard, now, "friend@a.example", "b@a.example", "https://bit.ly/own") ==
              VERDICT_DELIVER);
        unsigned rejected =
            send_all_new(guard, &now, second / 10, "zero@a.example", formats[i], CAMPAIGN_COPIES);
        check(rejected > 0);
        struct guard_state state;
        guard_state(guard, &state);
        check(state.n_convicted == 1 && state.n_waiting == 0);
        uint64_t at = 0, id = guard_incident_next(guard, &at);
        struct incident shown;
        check(guard_incident(guard, id, test_arena(), &shown) == OK);
        check(shown.state == INCIDENT_CONVICTED && shown.width == LURE_EXACT &&
              shown.shown.len > 0);
        check(shown.n_lures > 1 && shown.n_lures + rejected >= CAMPAIGN_COPIES);
        unsigned n_stops = 0;
        guard_rules(guard, count_stops, &n_stops);
        check(n_stops == shown.n_lures); // each copy's own link, and no host
        check(send(guard, now, "friend@a.example", "c@a.example", "http://host3.example/other") ==
              VERDICT_DELIVER);
        check(send(guard, now, "friend@a.example", "d@a.example", "https://bit.ly/again") ==
              VERDICT_DELIVER);
        check(send(guard, now, "zero@a.example", "e@a.example", "http://another.example/") ==
              VERDICT_REJECT);

        struct release release = {.incident = id, .actor = STR("admin")};
        guard_release(guard, &release, now, fresh_word());
        check(count_orders(ORDER_STOP, true) == n_stops);
        check(send(guard, now, "zero@a.example", "f@a.example", "http://third.example/") ==
              VERDICT_DELIVER);
        // an operator who thinks better of it names the incident: all its links, each by itself
        struct conviction conviction = {.incident = id, .width = LURE_WIDTHS};
        guard_convict(guard, &conviction, now, fresh_word());
        check(word.incident == id && count_orders(ORDER_STOP, false) >= n_stops);
        guard_free(&guard);
    }
}

/* A worm at human pace: the first relay begins a minute after he was shown it. */
static unsigned mimic(struct guard *guard, int64_t *now)
{
    unsigned rejected = send_all_new(guard, now, 40 * second, "zero@a.example",
                                     "as promised http://mimic%u.example/", 4);
    rejected += send_all_new(guard, now, 40 * second, "to0-zero@a.example",
                             "the plan: http://mimic%u.example/", 3);
    rejected += send_all_new(guard, now, 40 * second, "to2-zero@a.example",
                             "http://mimic%u.example/ not bad", 3);
    return rejected;
}

TEST(a_mimic_is_known_by_who_was_shown_what_before_he_sent)
{
    struct guard *guard = campaign_guard();
    int64_t now = t0;
    check(mimic(guard, &now) == 0);
    check(send_all_new(guard, &now, 40 * second, "to1-zero@a.example",
                       "have a look http://mimic%u.example/", 6) > 0);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    struct incident shown;
    check(guard_incident(guard, id, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_CONVICTED && shown.n_relays == 3 && shown.nats >= 16);
    guard_free(&guard);

    // without campaigns it is nobody's
    struct guard_config config;
    guard_config_default(&config);
    config.campaigns = false;
    guard = guard_new(&config, 42);
    now = t0;
    check(mimic(guard, &now) == 0);
    check(send_all_new(guard, &now, 40 * second, "to1-zero@a.example",
                       "have a look http://mimic%u.example/", 20) == 0);
    guard_free(&guard);
}

TEST(nobody_s_link_is_convicted_for_what_he_was_shown)
{
    struct guard *guard = campaign_guard();
    int64_t now = t0;
    // a hostile account shows people lures, they send links of their own, and it goes on like a
    // worm
    send_all_new(guard, &now, second / 10, "hostile@a.example", "http://bad%u.example/", 2);
    now += 60 * second;
    static const char *const own[] = {"https://bit.ly/mine", "http://my-own.example/"};
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        char from[48];
        snprintf(from, sizeof from, "to%zu-hostile@a.example", i);
        check(send(guard, now, from, "friend@a.example", own[i]) != VERDICT_REJECT);
    }
    send_all_new(guard, &now, second / 10, "hostile@a.example", "http://worse%u.example/", 20);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_convicted == 1 && state.n_waiting == 0);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    struct incident shown;
    check(guard_incident(guard, id, test_arena(), &shown) == OK);
    for (size_t i = 0; i < shown.n_orders; i++) // nothing of theirs had to wait
        check(shown.orders[i].order.kind != ORDER_DELIVER_HELD);
    for (size_t i = 0; i < COUNT_OF(own); i++)
        check(send(guard, now, "friend@a.example", "other@a.example", own[i]) == VERDICT_DELIVER);
    check(send(guard, now + hour, "to0-hostile@a.example", "other@a.example",
               "http://another-of-mine.example/") == VERDICT_DELIVER);
    guard_free(&guard);
}

/* He was asked before it was convicted, and answers after. */
TEST(whoever_means_his_links_gets_them_back)
{
    struct guard_config config;
    campaign_config(&config);
    config.ask_us = hour;
    struct guard *guard = guard_new(&config, 42);
    int64_t now = t0;
    send_all_new(guard, &now, 40 * second, "zero@a.example", "http://mimic%u.example/", 4);
    send(guard, now, "to0-zero@a.example", "x@a.example", "http://his.example/");
    for (unsigned i = 0; i < 3; i++) {
        char text[64], to[32];
        snprintf(text, sizeof text, "http://his%u.example/", i);
        snprintf(to, sizeof to, "x%u@a.example", i);
        send(guard, now += 40 * second, "to0-zero@a.example", to, text);
    }
    send_all_new(guard, &now, 40 * second, "to1-zero@a.example", "http://more%u.example/", 3);
    send_all_new(guard, &now, 40 * second, "to2-zero@a.example", "http://more%u.example/", 3);
    send_all_new(guard, &now, 40 * second, "to3-zero@a.example", "http://more%u.example/", 3);
    uint64_t at = 0, incident = 0;
    struct incident shown = {0};
    while (shown.n_lures == 0 && (incident = guard_incident_next(guard, &at)) != 0)
        check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_CONVICTED);
    unsigned n_stops = 0;
    guard_rules(guard, count_stops, &n_stops);
    check(n_stops > 0);
    check(send(guard, now, "to0-zero@a.example", "y@a.example", "http://his.example/") ==
          VERDICT_HOLD);
    struct answer answer = {.sender = STR("to0-zero@a.example"),
                            .incident = incident,
                            .meant = true,
                            .trust = ANSWER_OTHER_DEVICE};
    guard_answered(guard, &answer, now, fresh_word());
    check(word.incident == incident && count_orders(ORDER_ASK, true) == 1);
    check(count_orders(ORDER_STOP, true) > 0 && count_orders(ORDER_RETRACT, true) > 0);
    unsigned left = 0;
    guard_rules(guard, count_stops, &left);
    check(left > 0 && left < n_stops); // nobody else's
    check(send(guard, now, "to0-zero@a.example", "y@a.example", "http://his.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(a_campaign_survives_a_snapshot)
{
    struct guard *guard = campaign_guard();
    int64_t now = t0;
    mimic(guard, &now);
    struct guard_config config;
    campaign_config(&config);
    struct buf bytes;
    struct why why;
    struct guard *again = NULL;
    buf_init(&bytes, 64 << 20);
    guard_save(guard, &bytes);
    check(guard_load(&config, buf_str(&bytes), &again, &why) == OK);
    check(state_hash(again) == state_hash(guard));
    struct guard *both[] = {guard, again};
    uint64_t hashes[2];
    for (size_t i = 0; i < COUNT_OF(both); i++) {
        int64_t then = now;
        for (unsigned k = 0; k < 6; k++, then += 40 * second) {
            char to[32], text[64];
            snprintf(to, sizeof to, "x%u@a.example", k);
            snprintf(text, sizeof text, "http://again%u.example/", k);
            check(k < 5 || send(both[i], then, "to1-zero@a.example", to, text) == VERDICT_REJECT);
            if (k < 5)
                send(both[i], then, "to1-zero@a.example", to, text);
        }
        hashes[i] = state_hash(both[i]);
    }
    check(hashes[0] == hashes[1]);
    for (size_t n = 0; n < bytes.len; n += 97) { // damaged: refused, not followed
        struct guard *none = NULL;
        check(guard_load(&config, str_first(buf_str(&bytes), n), &none, &why) != OK);
    }
    buf_done(&bytes);
    guard_free(&guard);
    guard_free(&again);
}

TEST(ordinary_people_who_exchange_new_links_are_no_campaign)
{
    struct guard *guard = campaign_guard();
    int64_t now = t0;
    // each passes on something else of his own, hours later; one sends several in a day
    for (unsigned i = 0; i < 40; i++, now += 5 * hour) {
        char from[32], to[32], text[64];
        snprintf(from, sizeof from, "p%u@a.example", i % 10);
        snprintf(to, sizeof to, "p%u@a.example", (i + 1) % 10);
        snprintf(text, sizeof text, "http://of%u.example/", i);
        check(send(guard, now, from, to, text) == VERDICT_DELIVER);
        expose(guard, now, from, to, text);
    }
    check(send_all_new(guard, &now, hour, "busy@a.example", "http://busy%u.example/", 8) == 0);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_convicted == 0 && state.n_held == 0);
    guard_free(&guard);
}

/* One link of his own to so many, a minute apart each; how many were delivered. */
static unsigned send_own(struct guard *guard, int64_t *now, const char *from, const char *link,
                         unsigned first, unsigned n)
{
    unsigned delivered = 0;
    for (unsigned i = first; i < first + n; i++, *now += 60 * second) {
        char to[48];
        snprintf(to, sizeof to, "to%u-%s", i, from);
        if (send(guard, *now, from, to, link) != VERDICT_DELIVER)
            continue;
        delivered++;
        expose(guard, *now, from, to, link);
    }
    return delivered;
}

static void taught_config(struct guard_config *config)
{
    guard_config_default(config);
    config->campaign_lessons = 0;
    config->ask_nats = 4;
}

static struct guard *taught_guard(void)
{
    struct guard_config config;
    taught_config(&config);
    return guard_new(&config, 42);
}

TEST(a_worm_with_a_host_for_each_person_is_asked_for_and_then_waits)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0;
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    guard_state(guard, &state);
    check(state.n_asked == 0);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    guard_state(guard, &state);
    check(state.n_asked == 2 && state.n_held == 0); // he, and who showed it to him
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "zero@a.example", id, false);
    check(count_orders(ORDER_RETRACT, false) == 1 && count_orders(ORDER_RESTRICT, false) == 1);
    // it is known now: of the others whom he showed his, one copy passes without their word,
    // hours later
    now += 2 * hour;
    check(send_own(guard, &now, "to1-zero@a.example", "http://third.example/", 0, 3) == 1);
    check(send_own(guard, &now, "to2-zero@a.example", "http://fine.example/", 0, 3) == 1);
    guard_state(guard, &state);
    check(state.n_waiting == 4 && state.n_rejected == 0);
    say(guard, now, "to2-zero@a.example", id, true);
    check(count_orders(ORDER_DELIVER_HELD, false) == 2);
    check(send(guard, now, "to2-zero@a.example", "q@a.example", "http://fine.example/") ==
          VERDICT_DELIVER);
    say(guard, now, "to1-zero@a.example", id, false);
    check(count_orders(ORDER_REJECT_HELD, false) == 2);
    // nobody else has to say anything
    check(send_own(guard, &now, "friend@a.example", "http://friend.example/", 0, 3) == 3);
    guard_free(&guard);
}

TEST(who_sends_to_many_is_asked_and_waits_only_if_he_was_shown_one)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0;
    for (unsigned i = 0; i < 12; i++, now += 4 * second) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        check(send(guard, now, "newcomer@a.example", to, "http://me.example/") == VERDICT_DELIVER);
    }
    guard_state(guard, &state);
    check(state.n_asked == 1 && state.n_held == 0);
    now += hour;
    guard_tick(guard, now, fresh_word());
    expose(guard, now, "newcomer@a.example", "p0@a.example", "http://me.example/");
    unsigned held = 0;
    for (unsigned i = 0; i < 12; i++) {
        char to[32];
        snprintf(to, sizeof to, "q%u@a.example", i);
        now += 4 * second;
        held += send(guard, now, "p0@a.example", to, "http://own.example/") == VERDICT_HOLD;
    }
    check(held == 5); // seven people need nothing
    guard_state(guard, &state);
    check(state.n_asked == 2);
    guard_free(&guard);
}

TEST(who_was_asked_and_says_nothing_does_not_reach_everybody)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    unsigned held = 0;
    for (unsigned i = 0; i < 110; i++, now += 4 * second) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        held += send(guard, now, "silent@a.example", to, "http://me.example/") == VERDICT_HOLD;
        check(held == (i < 100 ? 0 : i - 99));
    }
    say(guard, now, "silent@a.example", word.incident, true);
    check(count_orders(ORDER_DELIVER_HELD, false) == held);
    check(send(guard, now, "silent@a.example", "q@a.example", "http://me.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(where_two_who_reach_many_say_nothing_half_as_many_are_enough)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    unsigned held[2] = {0};
    for (unsigned i = 0; i < 80; i++)
        for (unsigned who = 0; who < 2; who++, now += 2 * second) {
            char from[32], to[32], link[48];
            snprintf(from, sizeof from, "silent%u@a.example", who);
            snprintf(to, sizeof to, "p%u-%u@a.example", who, i);
            snprintf(link, sizeof link, "http://of%u.example/", who);
            held[who] += send(guard, now, from, to, link) == VERDICT_HOLD;
        }
    // the first may not know yet of the second
    check(held[0] >= 29 && held[0] <= 30 && held[1] == 30);
    // a day later nobody remembers
    now += 2 * day;
    unsigned later = 0;
    for (unsigned i = 0; i < 80; i++, now += 4 * second) {
        char to[32];
        snprintf(to, sizeof to, "q%u@a.example", i);
        later +=
            send(guard, now, "another@a.example", to, "http://another.example/") != VERDICT_DELIVER;
    }
    check(later == 0);
    guard_free(&guard);
}

/* For the shipped priors, which are careful. */
static struct guard *hasty_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.campaign_lessons = 0;
    config.hold_nats = config.ask_nats = 6;
    config.convict_nats = 8;
    return guard_new(&config, 42);
}

TEST(who_hurries_with_new_links_from_one_to_the_next_waits_for_his_own_word)
{
    struct guard *guard = hasty_guard();
    struct guard_state state;
    int64_t now = t0;
    send_all_new(guard, &now, 2 * hour, "slow@a.example", "http://slow%u.example/", 6);
    guard_state(guard, &state);
    check(state.n_asked == 0 && state.n_held == 0);
    send_all_new(guard, &now, 20 * second, "zero@a.example", "http://mimic%u.example/", 6);
    guard_state(guard, &state);
    check(state.n_asked == 1 && state.n_waiting >= 1 && state.n_convicted == 0);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "zero@a.example", id, true);
    check(count_orders(ORDER_DELIVER_HELD, false) == state.n_waiting);
    check(send(guard, now, "zero@a.example", "q@a.example", "http://another.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(a_link_that_its_sender_did_not_send_is_not_passed_on_by_whoever_means_to)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    check(send(guard, now, "to1-zero@a.example", "x@a.example", "http://zero.example/") ==
          VERDICT_DELIVER);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "zero@a.example", id, false);
    check(send(guard, now, "to2-zero@a.example", "x@a.example", "http://zero.example/") ==
          VERDICT_REJECT);
    check(word.reason == REASON_DENIED && count_orders(ORDER_RESTRICT, false) == 0);
    // he may send others, and whoever has it from elsewhere that one
    check(send(guard, now, "to2-zero@a.example", "x@a.example", "http://mine.example/") !=
          VERDICT_REJECT);
    check(send(guard, now, "stranger@a.example", "x@a.example", "http://zero.example/") ==
          VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(what_others_show_of_a_suspect_s_links_counts_as_shown)
{
    unsigned n_relays[2];
    for (size_t shows = 0; shows < 2; shows++) {
        struct guard *guard = taught_guard();
        int64_t now = t0;
        send_all_new(guard, &now, 40 * second, "zero@a.example", "http://mimic%u.example/", 4);
        send_all_new(guard, &now, 40 * second, "to0-zero@a.example", "http://relay%u.example/", 1);
        // one of those whom he reached passes it on, and means it
        char link[] = "http://shared.example/";
        check(send(guard, now, "zero@a.example", "friend@a.example", link) != VERDICT_REJECT);
        expose(guard, now, "zero@a.example", "friend@a.example", link);
        send(guard, now, "friend@a.example", "other@a.example", link);
        if (shows > 0)
            expose(guard, now, "friend@a.example", "other@a.example", link);
        now += 60 * second;
        send(guard, now, "other@a.example", "y@a.example", "http://own.example/");
        n_relays[shows] = 0;
        for (uint64_t at = 0, id; (id = guard_incident_next(guard, &at)) != 0;) {
            struct incident shown;
            check(guard_incident(guard, id, test_arena(), &shown) == OK);
            n_relays[shows] += shown.n_lures > 0 ? shown.n_relays : 0;
        }
        guard_free(&guard);
    }
    check(n_relays[1] == n_relays[0] + 1);
}

TEST(while_a_worm_is_about_whose_links_have_gone_to_several_waits)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0;
    // nobody has ever done so here, and nothing has happened yet
    check(send_own(guard, &now, "before@a.example", "http://before.example/", 0, 5) == 5);
    guard_state(guard, &state);
    check(state.n_asked == 0);
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "zero@a.example", id, false);
    say(guard, now, "zero@a.example", id, false); // one liar, however often he says so
    guard_state(guard, &state);
    unsigned asked = (unsigned)state.n_asked;
    check(send_own(guard, &now, "early@a.example", "http://early.example/", 0, 5) == 5);
    guard_state(guard, &state);
    check(state.n_asked == asked + 1);
    say(guard, now, "to0-zero@a.example", id, false);
    check(send_own(guard, &now, "late@a.example", "http://late.example/", 0, 3) == 3);
    struct guard_config config;
    taught_config(&config);
    struct guard *again = loaded_again(guard, &config); // that is known after a restart, too
    check(send_own(again, &now, "late@a.example", "http://late.example/", 3, 1) == 0);
    check(word.verdict == VERDICT_HOLD && word.reason == REASON_ASKED);
    guard_free(&again);
    check(send_own(guard, &now, "late@a.example", "http://late.example/", 3, 2) == 0);
    say(guard, now, "late@a.example", word.incident, true);
    check(count_orders(ORDER_DELIVER_HELD, false) == 2);
    check(send_own(guard, &now, "late@a.example", "http://late.example/", 5, 3) == 3);
    // hosts that others brought are no way around it
    for (unsigned i = 0; i < 4; i++) {
        char from[32], link[48];
        snprintf(from, sizeof from, "other%u@a.example", i);
        snprintf(link, sizeof link, "http://pool%u.example/", i);
        check(send_own(guard, &now, from, link, 0, 1) == 1);
        check(send_own(guard, &now, "taker@a.example", link, i, 1) == (i < 3));
    }
    check(word.verdict == VERDICT_HOLD && word.reason == REASON_ASKED);
    // a day later it is over
    now += 25 * hour;
    check(send_own(guard, &now, "after@a.example", "http://after.example/", 0, 5) == 5);
    guard_free(&guard);
}

TEST(what_waits_for_its_sender_s_word_does_not_go_because_it_was_sent_in_haste)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "zero@a.example", id, false);
    say(guard, now, "to0-zero@a.example", id, false);
    check(send_own(guard, &now, "late@a.example", "http://late.example/", 0, 3) == 3);
    for (unsigned i = 3; i < 9; i++, now += second / 10) {
        char to[32];
        snprintf(to, sizeof to, "to%u-late@a.example", i);
        check(send(guard, now, "late@a.example", to, "http://late.example/") == VERDICT_HOLD);
        check(word.reason == REASON_ASKED);
    }
    guard_tick(guard, now + 60 * second, fresh_word()); // longer than a window
    check(count_orders(ORDER_DELIVER_HELD, false) == 0);
    guard_free(&guard);
}

TEST(a_known_worm_s_hosts_are_its_own_whoever_brought_them)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    uint64_t at = 0, id = guard_incident_next(guard, &at);
    say(guard, now, "to0-zero@a.example", id, false);
    // he was shown the one, and takes the other's host: a worm with a few that it takes in turn
    unsigned delivered = 0;
    for (unsigned i = 0; i < 6; i++)
        delivered += send_own(guard, &now, "to1-zero@a.example",
                              i % 2 == 0 ? "http://second.example/" : "http://zero.example/", i, 1);
    check(delivered <= 1);
    guard_free(&guard);
}

TEST(what_a_suspect_shows_makes_other_people_s_hosts_count)
{
    unsigned asked[2];
    for (size_t shows = 0; shows < 2; shows++) {
        struct guard *guard = taught_guard();
        struct guard_state state;
        int64_t now = t0;
        // a few hosts, brought by somebody who has long done with them
        for (unsigned i = 0; i < 8; i++) {
            char from[32], link[48];
            snprintf(from, sizeof from, "first%u@a.example", i);
            snprintf(link, sizeof link, "http://pool%u.example/", i);
            send_own(guard, &now, from, link, 0, 1);
        }
        for (unsigned i = 0; i < 10; i++, now += 4 * second) {
            char to[32];
            snprintf(to, sizeof to, "p%u@a.example", i);
            send(guard, now, "zero@a.example", to, "http://zero.example/");
            if (shows > 0)
                expose(guard, now, "zero@a.example", to, "http://zero.example/");
        }
        guard_state(guard, &state);
        check(state.n_asked == 1);
        for (unsigned i = 0; i < 8; i++) {
            char link[48];
            snprintf(link, sizeof link, "http://pool%u.example/", i);
            send_own(guard, &now, "p9@a.example", link, i, 1);
        }
        guard_state(guard, &state);
        asked[shows] = (unsigned)state.n_asked;
        guard_free(&guard);
    }
    check(asked[0] == 1 && asked[1] > 1);
}

TEST(a_surge_of_people_who_send_to_several_is_asked_about_before_anybody_has_said_so)
{
    enum { PEOPLE = 140, ZEROS = 8 };
    for (size_t looks = 0; looks < 2; looks++) {
        struct guard_config config;
        taught_config(&config);
        config.surge_nats = looks > 0 ? config.surge_nats : 0;
        struct guard *guard = guard_new(&config, 42);
        struct guard_state state;
        int64_t now = t0;
        // what is ordinary here: new links, to one person each
        for (unsigned round = 0; round < 2; round++, now += 2 * day) {
            for (unsigned i = 0; i < PEOPLE; i++) {
                char from[32], link[64];
                snprintf(from, sizeof from, "p%u@a.example", i);
                snprintf(link, sizeof link, "http://own%u-%u.example/", round, i);
                send_own(guard, &now, from, link, round, 1);
            }
        }
        guard_state(guard, &state);
        check(state.n_asked == 0);
        for (unsigned i = 0; i < ZEROS; i++) {
            char from[32], link[64];
            snprintf(from, sizeof from, "zero%u@a.example", i);
            snprintf(link, sizeof link, "http://zero%u.example/", i);
            check(send_own(guard, &now, from, link, 0, 5) == 5); // nobody waits for a mere surge
        }
        guard_state(guard, &state);
        check(looks > 0 ? state.n_asked > 0 : state.n_asked == 0);
        check(state.n_held == 0);
        guard_free(&guard);
    }
}

/* So many accounts show us this link beforehand, each in a message to a friend of theirs. */
static void show_before(struct guard *guard, int64_t now, const char *link, unsigned accounts)
{
    for (unsigned i = 0; i < accounts; i++) {
        char from[32];
        snprintf(from, sizeof from, "helper-%u@a.example", i);
        check(send(guard, now, from, "friend@b.example", link) == VERDICT_DELIVER);
        expose(guard, now, from, "friend@b.example", link);
    }
}

/* Somebody sends it to twelve people, fast for a hand; how many are asked. */
static uint64_t spread_by(struct guard *guard, int64_t now, const char *from, const char *link)
{
    struct guard_state before, after;
    guard_state(guard, &before);
    for (unsigned i = 0; i < 12; i++, now += 4 * second) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        check(send(guard, now, from, to, link) == VERDICT_DELIVER);
    }
    guard_state(guard, &after);
    return after.n_asked - before.n_asked;
}

static uint64_t spread(struct guard *guard, int64_t now, const char *link)
{
    return spread_by(guard, now, "zero@a.example", link);
}

TEST(whom_hosts_reach_that_a_few_accounts_have_shown_before_counts)
{
    static const unsigned accounts[] = {1, 4, 10, 30}; // ten make it established
    for (size_t i = 0; i < COUNT_OF(accounts); i++) {
        struct guard *guard = taught_guard();
        int64_t later = t0 + 3 * day; // when nobody remembers those copies
        show_before(guard, t0, "http://zero.example/", accounts[i]);
        guard_tick(guard, later, fresh_word());
        check(spread(guard, later, "http://zero.example/") == (accounts[i] <= 10));
        guard_free(&guard);
    }
}

TEST(what_many_bring_within_a_day_makes_a_host_no_better_known)
{
    struct guard_config config;
    taught_config(&config);
    for (unsigned days = 0; days <= 3; days += 3) {
        struct guard *guard = taught_guard();
        int64_t now = t0 + 3 * day;
        show_before(guard, t0, "http://host.example/before", 4);
        for (unsigned i = 0; i < 30; i++, now += second) {
            char from[32], link[64];
            snprintf(from, sizeof from, "victim-%u@a.example", i);
            snprintf(link, sizeof link, "http://host.example/own-%u", i);
            send(guard, now, from, "friend@b.example", link);
        }
        struct guard *again = loaded_again(guard, &config); // and it is kept
        guard_free(&guard);
        now += days * day;
        check(spread(again, now, "http://host.example/zero") == (days == 0));
        guard_free(&again);
    }
}

TEST(who_passes_on_what_others_had_vouched_for_reaches_several_like_anybody)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0 + hour;
    show_before(guard, t0, "http://zero.example/", 5); // so nobody whom he shows it is a relay
    check(spread(guard, now, "http://zero.example/") == 1);
    now += 60 * second;
    for (unsigned i = 0; i < 3; i++) {
        char from[32];
        snprintf(from, sizeof from, "p%u@a.example", i);
        expose(guard, now, "zero@a.example", from, "http://zero.example/");
        for (unsigned k = 0; k < 10; k++, now += 4 * second) {
            char to[48];
            snprintf(to, sizeof to, "q%u-%s", k, from);
            send(guard, now, from, to, "http://zero.example/");
        }
    }
    guard_state(guard, &state);
    check(state.n_asked == 4);
    guard_free(&guard);
}

TEST(another_server_s_accounts_make_no_host_known)
{
    struct guard *guard = taught_guard();
    abroad = true;
    show_before(guard, t0, "http://zero.example/", 30);
    abroad = false;
    guard_tick(guard, t0 + 3 * day, fresh_word());
    check(spread(guard, t0 + 3 * day, "http://zero.example/") == 1);
    guard_free(&guard);
}

TEST(a_program_with_a_host_that_few_have_brought_waits_for_its_sender_s_word)
{
    struct guard *guard = taught_guard();
    int64_t now = t0 + 3 * day;
    unsigned delivered = 0;
    show_before(guard, t0, "http://zero.example/", 10);
    guard_tick(guard, now, fresh_word());
    for (unsigned i = 0; i < 12; i++, now += second / 10) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        delivered +=
            send(guard, now, "zero@a.example", to, "http://zero.example/") == VERDICT_DELIVER;
    }
    check(delivered <= 4 && word.verdict == VERDICT_HOLD && word.reason == REASON_ASKED);
    guard_free(&guard);
}

TEST(a_new_link_in_a_status_needs_its_sender_s_word)
{
    static const char *const self = "me@a.example", *const link = "http://me.example/";
    struct guard *guard = taught_guard();
    int64_t now = t0;
    audience = 4; // few people see it
    check(send(guard, now, "few@a.example", "few@a.example", "http://few.example/") ==
          VERDICT_DELIVER);
    audience = 20;
    check(send(guard, now, self, self, "https://www.youtube.com/watch?v=1") == VERDICT_DELIVER);
    check(send(guard, now, self, self, link) == VERDICT_HOLD);
    check(word.reason == REASON_ASKED);
    say(guard, now + 60 * second, self, word.incident, true);
    check(send(guard, now + 61 * second, self, self, link) == VERDICT_DELIVER);
    audience = 1;
    guard_free(&guard);
}

TEST(who_takes_a_host_that_is_of_a_campaign_already_is_judged_all_the_same)
{
    struct guard *guard = taught_guard();
    // somebody who is asked about it brings the host; another, who was shown nothing, takes it, too
    check(spread(guard, t0, "http://zero.example/") == 1);
    check(spread_by(guard, t0 + 60 * second, "second@a.example", "http://zero.example/") == 1);
    guard_free(&guard);
}

TEST(who_is_asked_about_what_others_brought_and_says_nothing_does_not_reach_everybody)
{
    struct guard *guard = taught_guard();
    int64_t now = t0 + 3 * day;
    unsigned held = 0;
    show_before(guard, t0, "http://zero.example/", 10);
    guard_tick(guard, now, fresh_word());
    for (unsigned i = 0; i < 110; i++, now += 4 * second) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        held += send(guard, now, "silent@a.example", to, "http://zero.example/") == VERDICT_HOLD;
    }
    check(held == 10);
    guard_free(&guard);
}

TEST(who_reaches_many_in_a_day_is_asked_however_slowly)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0;
    for (unsigned i = 0; i < 52; i++, now += 1200 * second) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        check(send(guard, now, "slow@a.example", to, "http://slow.example/") == VERDICT_DELIVER);
        guard_state(guard, &state);
        check(state.n_asked == (i >= 50));
    }
    guard_free(&guard);
}

TEST(a_shorteners_link_is_new_once)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t later = t0 + 4 * day; // when that copy is forgotten
    check(send(guard, t0, "first@a.example", "friend@b.example", "https://bit.ly/known") ==
          VERDICT_DELIVER);
    guard_tick(guard, later, fresh_word());
    guard_state(guard, &state);
    uint64_t n_campaigns = state.n_campaigns;
    check(spread(guard, later, "https://bit.ly/known") ==
          1); // asked: hardly anybody has brought it
    guard_state(guard, &state);
    check(state.n_campaigns == n_campaigns); // but it ties him to nobody
    check(spread_by(guard, later + hour, "other@a.example", "https://bit.ly/new") == 1);
    guard_state(guard, &state);
    check(state.n_campaigns > n_campaigns);
    guard_free(&guard);
}

TEST(one_account_makes_only_so_many_hosts_known_a_day)
{
    enum { HOSTS = 40 };
    for (unsigned late = 0; late < 2; late++) {
        struct guard *guard = taught_guard();
        char link[64];
        for (unsigned i = 0; i < (late ? HOSTS : 1); i++) {
            snprintf(link, sizeof link, "http://host%u.example/", i);
            show_before(guard, t0 + i * second, link, 30);
        }
        guard_tick(guard, t0 + 3 * day, fresh_word());
        check(spread(guard, t0 + 3 * day, link) == late);
        guard_free(&guard);
    }
}

TEST(what_stands_last_in_a_message_is_shown_as_well)
{
    struct guard *guard = taught_guard();
    struct guard_state state;
    int64_t now = t0;
    struct buf text;
    buf_init(&text, 4096);
    for (unsigned i = 0; i < 12; i++)
        buf_printf(&text, "https://docs.google.com/document/d/%u ", i);
    buf_add(&text, STR("http://zero.example/"));
    buf_add_char(&text, 0);
    send_own(guard, &now, "zero@a.example", buf_str(&text).at, 0, 4);
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 4);
    guard_state(guard, &state);
    check(state.n_asked == 2);
    buf_done(&text);
    guard_free(&guard);
}

static void look_at_device(void *context, const struct guard_question *question)
{
    unsigned *n = context;
    check(question->device == (str_starts(question->who, STR("zero")) ? 77 : UINT64_MAX));
    (*n)++;
}

TEST(who_is_asked_about_a_campaign_is_asked_elsewhere_than_where_he_sent)
{
    struct guard *guard = taught_guard();
    int64_t now = t0;
    unsigned n = 0;
    device = 77;
    send_own(guard, &now, "zero@a.example", "http://zero.example/", 0, 4);
    device = 78;
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 0, 2);
    device = 79; // a question to a person of two devices is one for either
    send_own(guard, &now, "to0-zero@a.example", "http://second.example/", 2, 2);
    device = 0;
    guard_questions(guard, look_at_device, &n);
    check(n == 2);
    guard_free(&guard);
}
