#include "test.h"

#include "guard_hand.h"

#include "base/buf.h"

#include <stdio.h>

// A guard for which somebody's first link to many is a star.
static struct guard *asking_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.convict_nats = 12;
    return guard_new(&config, 1);
}

static const struct order *order_of_kind(enum order_kind kind, bool undo)
{
    for (size_t i = 0; i < word.n_orders; i++)
        if (word.orders[i].kind == kind && word.orders[i].undo == undo)
            return &word.orders[i];
    return NULL;
}

// A star until its sender is asked, and then so many messages that wait; the incident.
static uint64_t star(struct guard *guard, int64_t from_us, unsigned n_waiting)
{
    uint64_t incident = 0;
    device = 77;
    for (unsigned i = 0; i < 40 && n_waiting > 0; i++) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        int64_t now = from_us + i * second / 10;
        enum verdict verdict = send(guard, now, "zero@a.example", to, "http://evil.example/x");
        const struct order *asked = order_of_kind(ORDER_ASK, false);
        if (asked != NULL) {
            check(incident == 0 && verdict == VERDICT_HOLD && word.reason == REASON_ASKED);
            check_str(asked->who, STR("zero@a.example"));
            check_str(asked->shown, STR("evil.example/x"));
            check(asked->device == 77 && asked->receivers == i + 1);
            check(asked->expires_us == now + hour);
            check(count_orders(ORDER_STOP, false) == 1 && count_orders(ORDER_RETRACT, false) == 1);
            check(count_orders(ORDER_RESTRICT, false) == 0);
            incident = asked->incident;
        }
        if (incident != 0) {
            check(verdict == VERDICT_HOLD && count_orders(ORDER_RESTRICT, false) == 0);
            n_waiting--;
        } else if (verdict == VERDICT_DELIVER) {
            expose(guard, now, "zero@a.example", to, "http://evil.example/x");
        }
    }
    check(incident != 0);
    device = 0;
    return incident;
}

static size_t count_held(bool delivered)
{
    size_t n = 0;
    uint64_t last = 0;
    for (size_t i = 0; i < word.n_orders; i++) {
        const struct order *order = &word.orders[i];
        if (order->kind != (delivered ? ORDER_DELIVER_HELD : ORDER_REJECT_HELD))
            continue;
        check(order->message > last); // in the order in which they were sent
        last = order->message;
        n++;
    }
    return n;
}

TEST(a_star_waits_for_its_senders_word_and_is_then_delivered_whole)
{
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 10);
    struct guard_state state;
    guard_state(guard, &state);
    uint64_t waiting = state.n_waiting;
    check(waiting >= 10 && state.n_asking == 1 && state.n_asked == 1);
    // the worm says yes on the device that is its own: nothing happens
    answer(guard, t0 + 5 * second, "zero@a.example", incident, true, ANSWER_SAME_DEVICE);
    check(word.n_orders == 0);
    // nobody else answers for him
    answer(guard, t0 + 5 * second, "p1@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(word.n_orders == 0);
    answer(guard, t0 + 60 * second, "zero@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_held(true) == waiting);
    check(count_orders(ORDER_STOP, true) == 1 && count_orders(ORDER_RETRACT, true) == 1);
    check(count_orders(ORDER_ASK, true) == 1);
    struct incident shown;
    check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_OPEN && shown.n_confirmed == 1 && shown.n_questions == 1);
    check(shown.questions[0].state == QUESTION_YES && shown.convicted_us == 0);
    // and what he goes on sending goes at once
    check(send(guard, t0 + 70 * second, "zero@a.example", "q@a.example", "http://evil.example/x") ==
          VERDICT_DELIVER);
    // he is not asked about it again
    answer(guard, t0 + 71 * second, "zero@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(word.n_orders == 0);
    guard_free(&guard);
}

TEST(a_star_that_its_sender_denies_is_returned_and_he_loses_his_links)
{
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 10);
    struct guard_state state;
    guard_state(guard, &state);
    // a no is believed on any device
    answer(guard, t0 + 60 * second, "zero@a.example", incident, false, ANSWER_SAME_DEVICE);
    check(count_held(false) == state.n_waiting);
    check(count_orders(ORDER_RESTRICT, false) == 1 && count_orders(ORDER_STOP, true) == 0);
    check(order_of_kind(ORDER_RESTRICT, false)->reason == REASON_DENIED);
    struct incident shown;
    check(guard_incident(guard, incident, test_arena(), &shown) == OK);
    check(shown.state == INCIDENT_CONVICTED && shown.n_denied == 1);
    check(send(guard, t0 + 70 * second, "zero@a.example", "q@a.example", "http://fine.example/") ==
          VERDICT_REJECT);
    guard_free(&guard);
}

TEST(a_star_without_an_answer_is_returned_and_nobody_is_restricted)
{
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 10);
    struct guard_state state;
    guard_state(guard, &state);
    guard_tick(guard, t0 + 1800 * second, fresh_word());
    check(word.n_orders == 0); // it is the question that waits, not a quarter of a minute
    check(guard_next_us(guard) <= t0 + hour + 5 * second);
    int64_t word_us = guard_next_us(guard);
    guard_tick(guard, word_us, fresh_word());
    check(count_held(false) == state.n_waiting && count_orders(ORDER_RESTRICT, false) == 0);
    check(order_of_kind(ORDER_REJECT_HELD, false)->reason == REASON_UNANSWERED);
    // what had arrived and was taken back returns as well; he may still answer
    check(count_orders(ORDER_RETURN, false) == 1 && count_orders(ORDER_ASK, true) == 0);
    check(order_of_kind(ORDER_ASK, false)->reason == REASON_UNANSWERED);
    check(order_of_kind(ORDER_ASK, false)->expires_us == word_us + 7 * day);
    guard_state(guard, &state);
    check(state.n_unanswered == 1 && state.n_asking == 0 && state.n_waiting == 0);
    // a late no is still welcome
    answer(guard, t0 + 2 * hour, "zero@a.example", incident, false, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_RESTRICT, false) == 1);
    guard_free(&guard);
}

static struct guard *restarted(const struct guard *guard)
{
    struct guard_config config;
    guard_config_default(&config);
    config.convict_nats = 12;
    return loaded_again(guard, &config);
}

static struct guard *saved_and_loaded(struct guard *guard)
{
    struct guard *again = restarted(guard);
    guard_free(&guard);
    return again;
}

TEST(a_late_yes_lifts_the_conviction_and_gives_nothing_that_had_returned)
{
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 10);
    guard_tick(guard, t0 + 2 * hour, fresh_word());
    guard = saved_and_loaded(guard);
    // on the device that is the worm's it is worth as little as in time
    answer(guard, t0 + 5 * hour, "zero@a.example", incident, true, ANSWER_SAME_DEVICE);
    check(word.n_orders == 0);
    answer(guard, t0 + 5 * hour, "zero@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_STOP, true) == 1 && count_orders(ORDER_RETRACT, true) == 1);
    check(count_held(true) == 0 && count_orders(ORDER_RETURN, false) == 0);
    check(order_of_kind(ORDER_ASK, true)->reason == REASON_CLEARED);
    check(order_of_kind(ORDER_ASK, true)->receivers >= 10); // to whom he sends it again
    check(send(guard, t0 + 6 * hour, "zero@a.example", "q@a.example", "http://evil.example/x") ==
          VERDICT_DELIVER);
    check(guard_next_us(guard) > t0 + 8 * day);
    guard_free(&guard);
}

TEST(after_the_time_for_late_answers_a_yes_is_worth_nothing)
{
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 10);
    guard_tick(guard, t0 + 2 * hour, fresh_word());
    // who sends it again meanwhile is asked again
    device = 77;
    check(send(guard, t0 + 3 * hour, "zero@a.example", "q@a.example", "http://evil.example/x") ==
          VERDICT_HOLD);
    device = 0;
    check(word.reason == REASON_ASKED && count_orders(ORDER_ASK, false) == 1);
    guard_tick(guard, t0 + 4 * hour, fresh_word());
    check(count_held(false) == 1);
    guard_tick(guard, t0 + 7 * day + 5 * hour, fresh_word());
    check(count_orders(ORDER_ASK, true) == 2 && count_orders(ORDER_STOP, true) == 0);
    answer(guard, t0 + 7 * day + 6 * hour, "zero@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(word.n_orders == 0);
    check(send(guard, t0 + 7 * day + 7 * hour, "zero@a.example", "r@a.example",
               "http://evil.example/x") == VERDICT_REJECT);
    check(word.reason == REASON_CONVICTED);
    guard_free(&guard);
}

TEST(others_who_send_what_is_on_trial_are_asked_unless_they_were_shown_it)
{
    static const char *const text = "http://evil.example/x";
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 5);
    // nobody showed it to him
    check(send(guard, t0 + 20 * second, "other@a.example", "q@a.example", text) == VERDICT_HOLD);
    check_str(order_of_kind(ORDER_ASK, false)->who, STR("other@a.example"));
    // a relay is evidence and no question: nothing waits without one
    check(send(guard, t0 + 60 * second, "p0@a.example", "q1@a.example", text) == VERDICT_REJECT);
    check(count_orders(ORDER_ASK, false) == 0 && word.reason == REASON_UNDECIDED);
    // a yes is about one's own: whoever has friends does not let the star go
    answer(guard, t0 + 70 * second, "other@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_STOP, true) == 0 && count_held(true) == 0);
    check(order_of_kind(ORDER_ASK, true)->reason == REASON_UNDECIDED);
    struct guard_state state;
    guard_state(guard, &state);
    uint64_t waiting = state.n_waiting;
    answer(guard, t0 + 80 * second, "zero@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(waiting >= 6 && count_held(true) == waiting);
    check(send(guard, t0 + 90 * second, "p0@a.example", "q1@a.example", text) == VERDICT_DELIVER);
    guard_free(&guard);
    // without the star's word his returns, though he has given his own
    guard = asking_guard();
    incident = star(guard, t0, 5);
    send(guard, t0 + 20 * second, "other@a.example", "q@a.example", text);
    answer(guard, t0 + 70 * second, "other@a.example", incident, true, ANSWER_OTHER_DEVICE);
    guard_tick(guard, t0 + 2 * hour, fresh_word());
    guard_state(guard, &state);
    check(state.n_waiting == 0 && count_orders(ORDER_RETURN, false) == 1);
    check(word.orders[word.n_orders - 1].kind == ORDER_REJECT_HELD &&
          word.orders[word.n_orders - 1].reason == REASON_UNDECIDED);
    guard_free(&guard);
}

TEST(the_last_yes_of_somebody_else_ends_a_trial_whose_star_was_silent_too_long)
{
    static const char *const text = "http://evil.example/x";
    struct guard *guard = asking_guard();
    uint64_t incident = star(guard, t0, 5);
    guard_tick(guard, t0 + 2 * hour, fresh_word());
    // he is asked while the star may still answer, and answers when he may no more
    int64_t now = t0 + 7 * day + 3 * hour / 2;
    guard_tick(guard, now - second, fresh_word());
    check(send(guard, now, "other@a.example", "q@a.example", text) == VERDICT_HOLD);
    guard_tick(guard, now += 45 * 60 * second, fresh_word());
    check(count_orders(ORDER_ASK, true) == 1 && count_held(false) == 0);
    answer(guard, now += second, "other@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_held(false) == 1);
    // there is nobody any more whose word could let the next one's go: he is not asked in vain
    check(send(guard, now += second, "next@a.example", "q@a.example", text) == VERDICT_REJECT);
    check(word.reason == REASON_CONVICTED && count_orders(ORDER_ASK, false) == 0);
    guard_free(&guard);
}

TEST(a_star_that_becomes_a_tree_waits_for_nobody)
{
    struct guard *guard = asking_guard();
    star(guard, t0, 10);
    unsigned rejected = 0;
    burst(guard, t0 + 30 * second, "p1@a.example", "http://evil.example/x", 50, 6, &rejected);
    check(rejected == 6);
    struct guard_state state;
    guard_state(guard, &state);
    // his word decides nothing now but whether he keeps his links
    check(state.n_asking == 1 && state.n_waiting == 0);
    check(send(guard, t0 + 40 * second, "zero@a.example", "q@a.example", "http://evil.example/x") ==
          VERDICT_REJECT);
    guard_free(&guard);
}

TEST(several_questions_of_one_star_may_end_in_the_same_moment)
{
    static const char *const text = "http://evil.example/x";
    size_t most = 0;
    for (unsigned n = 1; n < 9; n++) {
        // a relay at human pace: he and the root are asked; then the root becomes a star
        struct guard_config config;
        guard_config_default(&config);
        config.ask_nats = 6;
        config.convict_nats = 16;
        struct guard *guard = guard_new(&config, 1);
        unsigned rejected = 0;
        int64_t now = t0;
        send(guard, now, "zero@a.example", "p0@a.example", text);
        expose(guard, now, "zero@a.example", "p0@a.example", text);
        for (unsigned i = 0; i < n; i++) {
            char to[32];
            snprintf(to, sizeof to, "q%u@a.example", i);
            send(guard, now += 30 * second, "p0@a.example", to, text);
        }
        burst(guard, now, "zero@a.example", text, 50, 12, &rejected);
        struct guard_state state;
        guard_state(guard, &state);
        most = state.n_asking > most ? state.n_asking : most;
        guard_tick(guard, t0 + 3 * hour, fresh_word());
        guard_state(guard, &state);
        check(state.n_asking == 0 && state.n_waiting == 0);
        guard_free(&guard);
    }
    check(most == 2);
}

TEST(nobody_is_asked_twice_too_often_or_where_the_guard_only_watches)
{
    struct guard_config config;
    guard_config_default(&config);
    config.convict_nats = 12;
    config.ask_a_day = 0;
    struct guard *guard = guard_new(&config, 1);
    unsigned rejected = 0;
    burst(guard, t0, "zero@a.example", "http://evil.example/x", 0, 20, &rejected);
    struct guard_state state;
    guard_state(guard, &state);
    check(rejected > 5 && state.n_asked == 0 && state.n_convicted == 1);
    guard_free(&guard);
    guard = asking_guard();
    observes = true;
    rejected = 0;
    burst(guard, t0, "zero@a.example", "http://evil.example/x", 0, 20, &rejected);
    observes = false;
    guard_state(guard, &state);
    check(rejected > 5 && state.n_asked == 0);
    guard_free(&guard);
}

static const char *const story = "https://www.youtube.com/watch?v=story";

// One more who was shown this link passes it on to three, at a person's pace.
static enum verdict pass_link(struct guard *guard, int64_t now, unsigned i, const char *link)
{
    char from[32], to[32];
    enum verdict verdict = VERDICT_DELIVER;
    snprintf(from, sizeof from, "p%u@a.example", i);
    for (unsigned k = 0; k < 3; k++) {
        snprintf(to, sizeof to, "p%u@a.example", 3 * i + k + 1);
        verdict = pass(guard, now + k * 20 * second, from, to, link);
    }
    return verdict;
}

static enum verdict pass_on(struct guard *guard, int64_t now, unsigned i)
{
    return pass_link(guard, now, i, story);
}

// The story reaches p4 by p0 and p1; the third relay is passing it on.  The incident.
static uint64_t tree(struct guard *guard)
{
    for (unsigned i = 0; i < 3; i++)
        check(pass_on(guard, t0 + i * 100 * second, i) == VERDICT_DELIVER);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_asked == 0); // two relays are nothing special
    check(pass_on(guard, t0 + 300 * second, 3) == VERDICT_DELIVER);
    guard_state(guard, &state);
    check(state.n_asked == 4 && state.n_asking == 4); // the root and three relays
    uint64_t at = 0;
    return guard_incident_next(guard, &at);
}

TEST(one_who_lies_about_a_story_harms_himself_alone)
{
    struct guard *guard = asking_guard();
    uint64_t incident = tree(guard);
    answer(guard, t0 + 400 * second, "p1@a.example", incident, false, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_STOP, false) == 0 && count_orders(ORDER_RESTRICT, false) == 1);
    const struct order *retract = order_of_kind(ORDER_RETRACT, false);
    check_str(retract->who, STR("p1@a.example")); // his copies and nobody else's
    check(pass_on(guard, t0 + 500 * second, 4) == VERDICT_DELIVER);
    // the others meant it: that is the end of it
    answer(guard, t0 + 600 * second, "p0@a.example", incident, true, ANSWER_OTHER_DEVICE);
    answer(guard, t0 + 601 * second, "p2@a.example", incident, true, ANSWER_OTHER_DEVICE);
    answer(guard, t0 + 602 * second, "p3@a.example", incident, true, ANSWER_OTHER_DEVICE);
    for (unsigned i = 5; i < 9; i++)
        check(pass_on(guard, t0 + i * 200 * second, i) == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(three_who_meant_it_end_the_asking_about_a_story)
{
    struct guard *guard = asking_guard();
    uint64_t incident = tree(guard);
    answer(guard, t0 + 400 * second, "p1@a.example", incident, true, ANSWER_OTHER_DEVICE);
    answer(guard, t0 + 401 * second, "p2@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_ASK, true) == 1);
    answer(guard, t0 + 402 * second, "p3@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_ASK, true) == 2); // his own, and the root's is withdrawn
    struct guard_state state;
    for (unsigned i = 4; i < 10; i++)
        check(pass_on(guard, t0 + i * 200 * second, i) == VERDICT_DELIVER);
    guard_state(guard, &state);
    check(state.n_asked == 4 && state.n_said_yes == 3 && state.n_withdrawn == 1);
    guard_free(&guard);
}

TEST(where_few_answer_half_of_those_who_pass_it_on_are_asked)
{
    struct guard *guard = asking_guard();
    struct guard_state state;
    (void)tree(guard);
    for (unsigned i = 4; i <= 40; i++) {
        check(pass_on(guard, t0 + i * 100 * second, i) == VERDICT_DELIVER);
        guard_state(guard, &state);
        check(state.n_asked <= (i <= 24 ? 12 : i / 2));
    }
    check(state.n_asked == 20);
    guard_free(&guard);
}

TEST(where_several_have_denied_it_each_relay_needs_his_own_word)
{
    struct guard *guard = asking_guard();
    uint64_t incident = tree(guard);
    answer(guard, t0 + 400 * second, "p1@a.example", incident, false, ANSWER_OTHER_DEVICE);
    answer(guard, t0 + 401 * second, "p2@a.example", incident, false, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_STOP, false) == 0); // ten liars must not convict an honest site's link
    check(pass_on(guard, t0 + 500 * second, 10) == VERDICT_HOLD);
    // where others have denied it, a puzzle is not enough
    answer(guard, t0 + 600 * second, "p10@a.example", incident, true, ANSWER_PUZZLE);
    check(word.n_orders == 0);
    answer(guard, t0 + 601 * second, "p10@a.example", incident, true, ANSWER_OTHER_DEVICE);
    check(count_held(true) == 3);
    check(pass_on(guard, t0 + 650 * second, 10) == VERDICT_DELIVER);
    // who came by it himself is not concerned
    check(send(guard, t0 + 700 * second, "other@a.example", "q@a.example", story) ==
          VERDICT_DELIVER);
    check(pass_on(guard, t0 + 800 * second, 11) == VERDICT_HOLD);
    guard_tick(guard, t0 + 3 * hour, fresh_word());
    check(count_held(false) == 3);
    guard_free(&guard);
}

TEST(a_shorteners_link_that_nobody_had_seen_is_nobodys_in_particular)
{
    static const char *const link = "https://bit.ly/new";
    struct guard *guard = asking_guard();
    struct guard_state state = {0};
    unsigned i = 0;
    for (; i < 12 && state.n_asked == 0; i++) {
        check(pass_link(guard, t0 + i * 100 * second, i, link) == VERDICT_DELIVER);
        guard_state(guard, &state);
    }
    check(state.n_asked > 0);
    uint64_t at = 0, incident = guard_incident_next(guard, &at);
    // of a page on such a host it would take two
    answer(guard, t0 + 2000 * second, "p1@a.example", incident, false, ANSWER_OTHER_DEVICE);
    check(count_orders(ORDER_RESTRICT, false) == 1);
    check(pass_link(guard, t0 + 2100 * second, i + 1, link) == VERDICT_HOLD);
    guard_free(&guard);
}

// So many accounts of a worm's make the host known here, a day and a quarter before.
static int64_t show_host(struct guard *guard, unsigned n, const char *link)
{
    for (unsigned i = 0; i < n; i++) {
        char from[32];
        snprintf(from, sizeof from, "helper%u@a.example", i);
        send(guard, t0 + i * 60 * second, from, "friend@b.example", link);
        expose(guard, t0 + i * 60 * second, from, "friend@b.example", link);
    }
    return t0 + 30 * hour;
}

TEST(a_few_who_meant_a_link_of_a_host_that_few_have_brought_speak_for_themselves)
{
    static const char *const link = "http://host.example/v/1";
    for (unsigned n_helpers = 0; n_helpers <= 5; n_helpers += 5) { // five make it established
        struct guard *guard = asking_guard();
        struct guard_state state = {0};
        enum verdict verdict = VERDICT_DELIVER;
        int64_t now = show_host(guard, n_helpers, link);
        // a worm's own accounts are its first, and have another device each
        for (unsigned i = 0; i < 20 && (i < 6 || verdict == VERDICT_DELIVER); i++) {
            verdict = pass_link(guard, now, i, link);
            uint64_t at = 0, incident = guard_incident_next(guard, &at);
            for (unsigned k = 0; incident != 0 && i < 5 && k <= i; k++) {
                char who[32];
                snprintf(who, sizeof who, "p%u@a.example", k);
                answer(guard, now + 50 * second, who, incident, true, ANSWER_OTHER_DEVICE);
            }
            guard_state(guard, &state);
            now += 100 * second;
        }
        check(state.n_said_yes >= 2 && verdict == VERDICT_HOLD);
        guard_free(&guard);
    }
}

TEST(who_brought_a_link_before_its_host_was_established_hides_no_tree)
{
    static const char *const link = "http://host.example/v/8888";
    struct guard *guard = asking_guard();
    int64_t now = show_host(guard, 10, link);
    for (unsigned i = 0; i < 4; i++, now += 100 * second)
        check(pass_link(guard, now, i, link) == (i < 3 ? VERDICT_DELIVER : VERDICT_HOLD));
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_asked == 4);
    guard_free(&guard);
}

TEST(questions_come_back_from_a_snapshot)
{
    struct guard *guard = asking_guard();
    tree(guard);
    star(guard, t0 + 400 * second, 5);
    struct guard *again = restarted(guard);
    while (guard_next_us(guard) < t0 + 3 * hour) {
        int64_t next_us = guard_next_us(guard);
        guard_tick(guard, next_us, fresh_word());
        size_t n = word.n_orders;
        guard_tick(again, next_us, fresh_word());
        check(word.n_orders == n);
    }
    check(state_hash(guard) == state_hash(again));
    guard_free(&guard);
    guard_free(&again);
}
