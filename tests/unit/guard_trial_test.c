/*
 * Trees and campaigns on trial: convicted at once, and undone by the words of those whose acts
 * made them one.  Stars: guard_questions_test.c.
 */
#include "test.h"

#include "guard_hand.h"

#include <stdio.h>

static struct incident shown(struct guard *guard, uint64_t incident)
{
    struct incident out;
    check(guard_incident(guard, incident, test_arena(), &out) == OK);
    return out;
}

/* ---- One lure ---------------------------------------------------------------------------------
 */

static const char *const story = "http://story.example/x";

/* A story at a hand's pace, and one who passes it on like a program: the incident. */
static uint64_t tree(struct guard *guard, int64_t *now)
{
    char to[32];
    *now = t0;
    for (unsigned i = 0; i < 4; i++, *now += 30 * second) {
        snprintf(to, sizeof to, "p%u@a.example", i);
        check(pass(guard, *now, "zero@a.example", to, story) == VERDICT_DELIVER);
    }
    uint64_t incident = 0;
    for (unsigned i = 0; i < 12 && incident == 0; i++, *now += second / 10) {
        snprintf(to, sizeof to, "q%u@a.example", i);
        pass(guard, *now, "p0@a.example", to, story);
        if (count_orders(ORDER_STOP, false) > 0)
            incident = word.incident;
    }
    check(incident != 0 && word.verdict == VERDICT_HOLD && word.reason == REASON_ASKED);
    check(count_orders(ORDER_RETRACT, false) == 1 && count_orders(ORDER_RESTRICT, false) == 0);
    check(shown(guard, incident).state == INCIDENT_CONVICTED);
    return incident;
}

TEST(one_who_passes_it_on_like_a_program_is_asked_and_his_yes_gives_all_of_it_back)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    check(send(guard, now, "p0@a.example", "r0@a.example", story) == VERDICT_HOLD);
    say(guard, now + 60 * second, "p0@a.example", incident, true);
    check(count_orders(ORDER_STOP, true) == 1 && count_orders(ORDER_RETRACT, true) == 1);
    check(count_orders(ORDER_DELIVER_HELD, false) >= 2);
    check(shown(guard, incident).state != INCIDENT_CONVICTED);
    check(send(guard, now + 90 * second, "p0@a.example", "r1@a.example", story) == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(a_yes_never_adds_to_what_speaks_for_a_worm)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    say(guard, now += 60 * second, "p0@a.example", incident, true);
    double explained = shown(guard, incident).nats;
    say(guard, now += second, "zero@a.example", incident, true);
    check(shown(guard, incident).nats <= explained);
    guard_free(&guard);
}

TEST(acts_that_were_explained_do_not_count_again_with_the_next_copy)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    say(guard, now += 60 * second, "p0@a.example", incident, true);
    double explained = shown(guard, incident).nats;
    check(send(guard, now += 60 * second, "p0@a.example", "r0@a.example", story) ==
          VERDICT_DELIVER);
    check(shown(guard, incident).nats < explained + 1); // what this copy weighs
    guard_free(&guard);
}

TEST(his_no_makes_it_final_and_takes_his_links)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    say(guard, now + 60 * second, "p0@a.example", incident, false);
    check(count_orders(ORDER_RESTRICT, false) == 1);
    check(shown(guard, incident).state == INCIDENT_CONVICTED);
    check(send(guard, now + 61 * second, "x@a.example", "y@a.example", story) == VERDICT_REJECT);
    check(word.reason == REASON_CONVICTED);
    guard_free(&guard);
}

TEST(an_operators_word_about_the_link_ends_its_trial)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    struct lure_list list = lures_of(story);
    struct conviction conviction = {
        .lure = &list.lures[0], .width = LURE_EXACT, .actor = STR("admin"), .reason = STR("seen")};
    guard_convict(guard, &conviction, now += second, fresh_word());
    check(word.incident == incident && count_orders(ORDER_REJECT_HELD, false) > 0);
    say(guard, now += second, "p0@a.example", incident, true);
    check(count_orders(ORDER_STOP, true) == 0 &&
          shown(guard, incident).state == INCIDENT_CONVICTED);
    check(send(guard, now += second, "x@a.example", "y@a.example", story) == VERDICT_REJECT);
    guard_free(&guard);
}

TEST(his_silence_returns_what_was_taken_back_and_restricts_nobody)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    guard_tick(guard, now + 2 * hour, fresh_word());
    check(count_orders(ORDER_RETURN, false) == 1 && count_orders(ORDER_RESTRICT, false) == 0);
    check(shown(guard, incident).state == INCIDENT_CONVICTED);
    guard_free(&guard);
}

TEST(whoever_may_still_answer_loses_nothing_by_what_others_send)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    for (unsigned i = 0; i < 8; i++) {
        char to[32];
        snprintf(to, sizeof to, "s%u@a.example", i);
        check(send(guard, now += second / 10, "p0@a.example", to, story) == VERDICT_HOLD);
    }
    guard_tick(guard, now += 2 * hour, fresh_word());
    check(send(guard, now += second, "x@a.example", "y@a.example", story) == VERDICT_HOLD);
    check(count_orders(ORDER_RESTRICT, false) == 0);
    say(guard, now += second, "p0@a.example", incident, false);
    check(count_orders(ORDER_RESTRICT, false) == 1);
    guard_free(&guard);
}

TEST(two_programs_one_of_which_was_shown_it_need_nobodys_word)
{
    struct guard *guard = new_guard();
    int64_t now;
    tree(guard, &now);
    char to[32];
    for (unsigned i = 0; i < 12; i++, now += second / 10) {
        snprintf(to, sizeof to, "s%u@a.example", i);
        send(guard, now, "p1@a.example", to, story);
    }
    check(word.verdict == VERDICT_REJECT);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_waiting == 0);
    guard_free(&guard);
}

/* ---- Lures that share nothing -------------------------------------------------------------------
 */

static struct guard *campaign_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.campaign_lessons = 0;
    config.campaign_nats = 16;
    return guard_new(&config, 42);
}

// So many never-seen links of his own, to people of his own; the last one's verdict.
static enum verdict send_new(struct guard *guard, int64_t *now, int64_t pause, const char *from,
                             unsigned n)
{
    static unsigned next;
    enum verdict verdict = VERDICT_DELIVER;
    for (unsigned i = 0; i < n; i++, next++, *now += pause) {
        char to[48], text[64];
        snprintf(to, sizeof to, "to%u-%s", i, from);
        snprintf(text, sizeof text, "http://new%u.example/", next);
        verdict = pass(guard, *now, from, to, text);
    }
    return verdict;
}

static uint64_t convicted_campaign(struct guard *guard)
{
    uint64_t at = 0, incident;
    while ((incident = guard_incident_next(guard, &at)) != 0)
        if (shown(guard, incident).state == INCIDENT_CONVICTED)
            return incident;
    return 0;
}

static unsigned n_stops_of(struct guard *guard)
{
    unsigned n = 0;
    guard_rules(guard, count_stops, &n);
    return n;
}

static uint64_t mimic(struct guard *guard, int64_t *now)
{
    *now = t0;
    send_new(guard, now, 40 * second, "zero@a.example", 4);
    static const char *const relays[] = {"to0-zero@a.example", "to1-zero@a.example",
                                         "to2-zero@a.example"};
    uint64_t incident = 0;
    for (size_t i = 0; i < COUNT_OF(relays) && incident == 0; i++) {
        send_new(guard, now, 40 * second, relays[i], 3);
        incident = convicted_campaign(guard);
    }
    check(incident != 0 && n_stops_of(guard) > 0);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_asking > 0 && state.n_restricted == 0 && state.outbreak != OUTBREAK_SURE);
    return incident;
}

TEST(a_mimics_campaign_is_undone_when_those_who_made_it_one_meant_it)
{
    struct guard *guard = campaign_guard();
    int64_t now;
    uint64_t incident = mimic(guard, &now);
    static const char *const all[] = {"zero@a.example", "to0-zero@a.example", "to1-zero@a.example",
                                      "to2-zero@a.example"};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        say(guard, now += second, all[i], incident, true);
    check(shown(guard, incident).state != INCIDENT_CONVICTED && n_stops_of(guard) == 0);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_waiting == 0 && state.n_asking == 0);
    guard_free(&guard);
}

TEST(a_no_convicts_a_mimics_campaign_for_good)
{
    struct guard *guard = campaign_guard();
    int64_t now;
    uint64_t incident = mimic(guard, &now);
    say(guard, now += second, "to0-zero@a.example", incident, false);
    check(shown(guard, incident).state == INCIDENT_CONVICTED && n_stops_of(guard) > 0);
    // who denied it has nothing to get back; the others are told that theirs have not arrived
    unsigned n_stops = n_stops_of(guard);
    guard_tick(guard, now + 2 * hour, fresh_word());
    size_t n_returned = count_orders(ORDER_RETURN, false);
    check(n_returned > 0 && n_returned < n_stops);
    check(count_orders(ORDER_STOP, true) == 0);
    guard_free(&guard);
}

TEST(who_was_silent_gets_his_back_though_the_last_who_was_asked_meant_his)
{
    struct guard_config config;
    guard_config_default(&config);
    config.campaign_lessons = 0;
    config.ask_nats = 7; // long before it is convicted…
    config.ask_us = 450 * second;
    config.campaign_nats = 10; // …and so low that it stands without the acts of one
    struct guard *guard = guard_new(&config, 42);
    int64_t now = t0;
    send_new(guard, &now, 40 * second, "zero@a.example", 8);
    send_new(guard, &now, 40 * second, "to0-zero@a.example", 2);
    for (unsigned i = 1; i < 5; i++) {
        char from[32];
        snprintf(from, sizeof from, "to%u-zero@a.example", i);
        send_new(guard, &now, 40 * second, from, 3);
    }
    uint64_t incident = convicted_campaign(guard);
    guard_tick(guard, now += 20 * second, fresh_word());
    check(incident != 0 && count_orders(ORDER_RETURN, false) == 0);
    say(guard, now += second, "to2-zero@a.example", incident, true);
    check(shown(guard, incident).state == INCIDENT_CONVICTED);
    check(count_orders(ORDER_RETURN, false) > 0 && count_orders(ORDER_STOP, true) > 0);
    guard_free(&guard);
}

/* Somebody's new links to many at machine pace, each another one. */
static uint64_t star(struct guard *guard, int64_t *now)
{
    *now = t0;
    send_new(guard, now, second / 10, "zero@a.example", 14);
    uint64_t incident = convicted_campaign(guard);
    check(incident != 0);
    return incident;
}

// One of its links.
static const char *stopped_link(struct guard *guard, uint64_t incident)
{
    static char link[96];
    snprintf(link, sizeof link, "http://%.*s", STR_ARGS(shown(guard, incident).shown));
    return link;
}

TEST(who_is_silent_about_his_star_gets_his_next_back_and_may_still_answer)
{
    struct guard *guard = campaign_guard();
    int64_t now;
    uint64_t incident = star(guard, &now);
    now += 2 * hour;
    guard_tick(guard, now, fresh_word());
    check(send_new(guard, &now, 40 * second, "zero@a.example", 1) == VERDICT_REJECT);
    check(word.reason == REASON_UNANSWERED);
    say(guard, now, "zero@a.example", incident, true);
    check(n_stops_of(guard) == 0);
    check(send_new(guard, &now, 40 * second, "zero@a.example", 1) == VERDICT_DELIVER);
    guard_free(&guard);
}

TEST(others_yes_ends_no_trial_and_two_who_came_by_it_otherwise_free_the_link_of_a_silent_one)
{
    struct guard *guard = campaign_guard();
    int64_t now;
    uint64_t incident = star(guard, &now);
    char link[96];
    snprintf(link, sizeof link, "%s", stopped_link(guard, incident));
    // while its sender may still answer each of them decides about his own
    for (unsigned i = 0; i < 4; i++) {
        char from[32];
        snprintf(from, sizeof from, "early%u@a.example", i);
        check(send(guard, now += second, from, "y@a.example", link) == VERDICT_HOLD);
        say(guard, now += second, from, incident, true);
        check(count_orders(ORDER_DELIVER_HELD, false) == 1 && count_orders(ORDER_STOP, true) == 0);
    }
    guard_tick(guard, now += 2 * hour, fresh_word());
    check(count_orders(ORDER_RETURN, false) > 0);
    unsigned before = n_stops_of(guard);
    static const char *const others[] = {"late0@a.example", "late1@a.example"};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        check(n_stops_of(guard) == before);
        check(send(guard, now += second, others[i], "y@a.example", link) == VERDICT_HOLD);
        say(guard, now += second, others[i], incident, true);
    }
    check(n_stops_of(guard) == before - 1); // this one's, and no other
    check(send(guard, now += second, "late2@a.example", "y@a.example", link) == VERDICT_DELIVER);
    // its sender has still not said anything
    check(send_new(guard, &now, 40 * second, "zero@a.example", 1) == VERDICT_REJECT);
    guard_free(&guard);
}

TEST(the_no_of_one_who_joins_a_trial_ends_it_for_nobody_else)
{
    struct guard *guard = new_guard();
    int64_t now;
    uint64_t incident = tree(guard, &now);
    check(send(guard, now += second, "x@a.example", "y@a.example", story) == VERDICT_HOLD);
    say(guard, now += second, "x@a.example", incident, false);
    check(count_orders(ORDER_RESTRICT, false) == 1); // himself
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_waiting > 0);
    say(guard, now += second, "p0@a.example", incident, true);
    check(shown(guard, incident).state != INCIDENT_CONVICTED);
    check(count_orders(ORDER_DELIVER_HELD, false) > 0);
    guard_free(&guard);
}

TEST(who_joined_a_silent_ones_campaign_and_meant_his_is_asked_once)
{
    struct guard *guard = campaign_guard();
    int64_t now;
    uint64_t incident = star(guard, &now);
    char link[96];
    snprintf(link, sizeof link, "%s", stopped_link(guard, incident));
    guard_tick(guard, now += 2 * hour, fresh_word());
    check(send(guard, now, "late@a.example", "y@a.example", link) == VERDICT_HOLD);
    say(guard, now += second, "late@a.example", incident, true);
    check(count_orders(ORDER_DELIVER_HELD, false) == 1 && count_orders(ORDER_STOP, true) == 0);
    check(send(guard, now += second, "late@a.example", "z@a.example", link) == VERDICT_DELIVER);
    guard_free(&guard);
}
