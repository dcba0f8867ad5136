#include "test.h"

#include "guard/guard.h"
#include "guard/run.h"

#include <stdio.h>

static const int64_t second = 1000000, pause = INT64_C(5) * 1000000;

static struct guard_word word;

static struct guard_word *fresh_word(void)
{
    static struct arena arena;
    arena_done(&arena);
    arena_init(&arena, GUARD_WORD_MOST);
    guard_word_init(&word, &arena);
    return &word;
}

static struct str person(unsigned n)
{
    return arena_printf(test_arena(), "p%u@a.example", n);
}

static uint64_t next_message;

static struct lure_key key_of(struct str sender)
{
    struct str text = arena_printf(test_arena(), "text %llu", (unsigned long long)++next_message);
    return lure_sealed_key(sender, text);
}

static bool observes;       // what goes on is only observed
static size_t n_taken_back; // by all words since the test began to count

static size_t count_orders(enum order_kind kind, bool undo)
{
    size_t n = 0;
    for (size_t i = 0; i < word.n_orders; i++)
        n += word.orders[i].kind == kind && word.orders[i].undo == undo;
    return n;
}

static void begin(struct guard *guard, int64_t now, unsigned from, unsigned to)
{
    struct lure_key key = key_of(person(from));
    struct guard_event event = {
        .kind = EVENT_SEALED,
        .now_us = now,
        .exposure = {.sender = person(from), .receiver = person(to), .keys = &key, .n_keys = 1}
    };
    guard_take(guard, &event, fresh_word());
}

static enum verdict go_on(struct guard *guard, int64_t now, unsigned from, unsigned to, bool live,
                          int64_t gap_us)
{
    struct lure lure = {.kind = LURE_SEALED,
                        .shown = STR(LURE_SEALED_SHOWN),
                        .host = STR_EMPTY,
                        .domain = STR_EMPTY};
    lure.keys[LURE_EXACT] = key_of(person(from));
    struct sending sending = {
        .message = next_message,
        .sender = person(from),
        .receiver = person(to),
        .audience = 1,
        .observed = observes,
        .lures = &lure,
        .n_lures = 1,
        .pace = {.gap_us = gap_us, .roster_index = -1, .live = live, .account_age_us = -1}
    };
    enum verdict verdict = guard_judge(guard, &sending, now, fresh_word());
    n_taken_back += count_orders(ORDER_RETRACT, false);
    return verdict;
}

/* To n people from first on, a tenth of a second apart.  How many did not arrive at once. */
static unsigned spread(struct guard *guard, int64_t now, unsigned from, unsigned first, unsigned n)
{
    unsigned stopped = 0;
    begin(guard, now, from, first);
    for (unsigned i = 1; i < n; i++)
        stopped += go_on(guard, now + i * second / 10, from, first + i, false, second / 10) !=
                   VERDICT_DELIVER;
    return stopped;
}

static struct guard *new_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    return guard_new(&config, 42);
}

TEST(a_run_goes_from_one_person_to_another_without_a_pause)
{
    struct run run = {0};
    struct lure_key key = {.bytes = {1}};
    check(run_sends(&run, 1, &key, 100 * second, pause) == RUN_BEGINS);
    check(run_sends(&run, 1, &key, 101 * second, pause) == RUN_STAYS);
    check(run.n_first == 2);
    check(run_sends(&run, 2, &key, 102 * second, pause) == RUN_SPREADS);
    check(run_sends(&run, 2, &key, 103 * second, pause) == RUN_GOES_ON);
    check(run_sends(&run, 1, &key, 104 * second, pause) == RUN_GOES_ON);
    check(run.n_first == 2);
    check(run_sends(&run, 3, &key, 110 * second, pause) == RUN_BEGINS);
    check(run.n_first == 1);
    for (int i = 0; i < 2 * RUN_KEPT; i++)
        check(run_sends(&run, 3, &key, 111 * second, pause) == RUN_STAYS);
    check(run.n_first == RUN_KEPT);
}

TEST(one_run_alone_is_nothing)
{
    struct guard *guard = new_guard();
    check(spread(guard, 10 * second, 0, 100, 60) == 0);
    check(spread(guard, 60 * second, 1, 300, 60) == 0);
    uint64_t at = 0;
    check(guard_incident_next(guard, &at) == 0);
    guard_free(&guard);
}

TEST(two_who_write_to_three_people_each_make_nobody_s_run_a_worms)
{
    struct guard *guard = new_guard();
    check(spread(guard, 10 * second, 0, 100, 20) == 0);
    spread(guard, 30 * second, 100, 200, 3);
    spread(guard, 40 * second, 101, 300, 3);
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_convicted == 0 && state.n_asked > 0);
    guard_free(&guard);
}

TEST(a_tree_of_runs_waits_is_asked_and_then_convicted_with_all_that_it_sent)
{
    struct guard *guard = new_guard();
    check(spread(guard, 10 * second, 0, 100, 20) == 0);
    // two of them; the rest of their runs waits
    check(spread(guard, 30 * second, 100, 200, 12) == 10);
    begin(guard, 40 * second, 101, 300);
    check(go_on(guard, 40 * second, 101, 301, false, second / 10) == VERDICT_DELIVER);
    check(go_on(guard, 40 * second, 101, 302, false, second / 10) == VERDICT_HOLD);
    check(word.reason == REASON_ASKED);
    // all of patient zero's, both relays' with what had gone before anybody could know
    check(count_orders(ORDER_RETRACT, false) == 20 + 12 + 3);
    check(count_orders(ORDER_STOP, false) == 20 + 12 + 3);
    check(count_orders(ORDER_RESTRICT, false) == 0);
    uint64_t incident = word.incident;
    // his own word restricts him, and what waited returns
    guard_answered(guard, &(struct answer){.sender = person(101), .incident = incident},
                   60 * second, fresh_word());
    check(count_orders(ORDER_RESTRICT, false) == 1 && count_orders(ORDER_REJECT_HELD, false) == 1);
    check(go_on(guard, 70 * second, 101, 400, false, second) == VERDICT_REJECT);
    check(word.reason == REASON_RESTRICTED);
    check(go_on(guard, 80 * second, 101, 401, true, 3 * second) == VERDICT_DELIVER);
    check(go_on(guard, 90 * second, 101, 401, true, second / 2) == VERDICT_REJECT);
    // another device of the other says that it was he: his are given again
    guard_answered(guard,
                   &(struct answer){.sender = person(100),
                                    .incident = incident,
                                    .meant = true,
                                    .trust = ANSWER_OTHER_DEVICE},
                   100 * second, fresh_word());
    check(count_orders(ORDER_RETRACT, true) == 12 && count_orders(ORDER_DELIVER_HELD, false) == 10);
    guard_release(guard, &(struct release){.incident = incident}, 110 * second, fresh_word());
    check(count_orders(ORDER_RETRACT, true) == 20 + 3 && count_orders(ORDER_RESTRICT, true) == 1);
    guard_free(&guard);
}

/* Somebody whom nobody is known to have shown one (a link that was passed on in clear) begins
 * after the conviction: his goes as well, as soon as two of those who got it do the same. */
TEST(who_begins_anew_after_the_conviction_is_taken_back_too)
{
    struct guard *guard = new_guard();
    spread(guard, 10 * second, 0, 100, 20);
    spread(guard, 30 * second, 100, 200, 12);
    spread(guard, 40 * second, 101, 300, 6);
    check(spread(guard, 50 * second, 9, 400, 30) == 0);
    n_taken_back = 0;
    spread(guard, 70 * second, 400, 500, 12);
    check(n_taken_back == 12); // what he sent himself
    begin(guard, 80 * second, 401, 600);
    check(go_on(guard, 80 * second, 401, 601, false, second / 10) == VERDICT_DELIVER);
    check(go_on(guard, 80 * second, 401, 602, false, second / 10) == VERDICT_HOLD);
    check(count_orders(ORDER_RETRACT, false) == 3 + 30);
    guard_free(&guard);
}

/* Two contacts are no run, but whoever has it from there has it from where they had it. */
TEST(one_with_two_contacts_breaks_no_chain)
{
    struct guard *guard = new_guard();
    spread(guard, 10 * second, 0, 100, 20);
    check(spread(guard, 20 * second, 100, 200, 2) == 0);
    check(spread(guard, 40 * second, 200, 300, 6) == 4);
    guard_free(&guard);
}

/* Soon most have been shown one, and that says nothing of whoever does it now. */
static void add_up(void *context, const struct guard_tally *tally)
{
    struct guard_tally *sum = context;
    if (tally->incident == 0)
        return;
    sum->n_rejects += tally->n_rejects;
    sum->n_holds += tally->n_holds;
    sum->n_retracts += tally->n_retracts;
}

TEST(what_would_have_waited_before_a_conviction_is_not_taken_back_as_well)
{
    struct guard *guard = new_guard();
    observes = true;
    spread(guard, 10 * second, 0, 100, 20);
    unsigned stopped = spread(guard, 30 * second, 100, 200, 12);
    stopped += spread(guard, 40 * second, 101, 300, 12);
    // one who is found later, and goes on
    stopped += spread(guard, 50 * second, 102, 400, 12);
    stopped += spread(guard, 60 * second, 100, 500, 12);
    guard_tick(guard, 120 * second, fresh_word());
    stopped += spread(guard, 130 * second, 101, 600, 12);
    observes = false;
    struct guard_tally sum = {0};
    guard_tallies(guard, add_up, &sum);
    check(sum.n_rejects + sum.n_holds == stopped);
    check(sum.n_retracts == 20 + 5 * 12 - stopped);
    guard_free(&guard);
}

TEST(of_a_feast_within_an_outbreak_the_first_are_taken_back_and_no_more)
{
    struct guard *guard = new_guard();
    spread(guard, 10 * second, 0, 100, 20);
    spread(guard, 30 * second, 100, 200, 12);
    spread(guard, 31 * second, 101, 300, 6);
    n_taken_back = 0;
    unsigned arrived = 0;
    enum { PEOPLE = 300, CONTACTS = 20 };
    for (unsigned i = 0; i < PEOPLE; i++) {
        unsigned who = 1000 + i * 37 % PEOPLE;
        int64_t now = (60 + 2 * i) * second;
        begin(guard, now, who, 1000 + i * 11 % PEOPLE);
        for (unsigned k = 1; k < CONTACTS; k++)
            arrived += go_on(guard, now + k * second / 20, who, 1000 + (i * 11 + k * 13) % PEOPLE,
                             false, second / 20) == VERDICT_DELIVER;
    }
    check(n_taken_back <= PEOPLE * CONTACTS / 20); // the first ones could be either
    check(arrived > PEOPLE * CONTACTS * 2 / 5);
    guard_free(&guard);
}

TEST(runs_of_people_who_were_shown_none_clear_the_others)
{
    struct guard *guard = new_guard();
    check(spread(guard, 10 * second, 0, 100, 20) == 0);
    check(spread(guard, 20 * second, 100, 200, 5) == 3);
    // others do so too, each by himself: what waited goes
    spread(guard, 21 * second, 500, 600, 3);
    check(count_orders(ORDER_DELIVER_HELD, false) == 3 && count_orders(ORDER_ASK, true) == 2);
    check(spread(guard, 22 * second, 501, 700, 3) == 0);
    check(spread(guard, 22 * second, 502, 800, 3) == 0);
    check(spread(guard, 23 * second, 101, 220, 5) == 0);
    guard_free(&guard);
}

TEST(nobody_opens_what_he_is_sent_at_once)
{
    struct guard *guard = new_guard();
    check(spread(guard, 10 * second, 0, 100, 10) == 0);
    check(spread(guard, 11 * second, 100, 200, 5) == 0);
    guard_free(&guard);
}

TEST(a_tree_survives_a_restart_bit_for_bit)
{
    struct guard *guard = new_guard(), *other = NULL;
    struct guard_config config;
    struct why why;
    guard_config_default(&config);
    spread(guard, 10 * second, 0, 100, 20);
    spread(guard, 30 * second, 100, 200, 12);
    struct buf one, two;
    buf_init(&one, SIZE_MAX / 2);
    buf_init(&two, SIZE_MAX / 2);
    guard_save(guard, &one);
    check(guard_load(&config, buf_str(&one), &other, &why) == OK);
    buf_clear(&one);
    struct guard *both[] = {guard, other};
    struct buf *outs[] = {&one, &two};
    uint64_t message = next_message;
    for (size_t i = 0; i < 2; i++) {
        next_message = message;
        check(spread(both[i], 40 * second, 101, 300, 6) == 4);
        guard_save(both[i], outs[i]);
    }
    check(str_eq(buf_str(&one), buf_str(&two)));
    buf_done(&one);
    buf_done(&two);
    guard_free(&guard);
    guard_free(&other);
}

/* An older forest that came to nothing is forgotten first; the present one is no less the newest
 * for that. */
TEST(an_outbreak_is_found_again_beside_an_older_forest)
{
    struct guard *guard = new_guard(), *other = NULL;
    struct guard_config config;
    struct why why;
    guard_config_default(&config);
    spread(guard, 10 * second, 0, 100, 20);
    int64_t now = 2 * 3600 * second;
    spread(guard, now, 1, 400, 20);
    check(spread(guard, now + 20 * second, 400, 500, 12) == 10);
    struct buf one;
    buf_init(&one, SIZE_MAX / 2);
    guard_save(guard, &one);
    check(guard_load(&config, buf_str(&one), &other, &why) == OK);
    uint64_t message = next_message;
    check(spread(guard, now + 30 * second, 401, 600, 6) == 4);
    uint64_t incident = word.incident;
    next_message = message;
    check(spread(other, now + 30 * second, 401, 600, 6) == 4);
    check(word.incident == incident);
    buf_done(&one);
    guard_free(&guard);
    guard_free(&other);
}

/* Who are all acquitted leave a conviction of nothing: it is no reason to remember it for ever. */
TEST(a_conviction_without_a_stop_is_forgotten)
{
    struct guard *guard = new_guard();
    spread(guard, 10 * second, 0, 100, 20);
    spread(guard, 30 * second, 100, 200, 12);
    spread(guard, 40 * second, 101, 300, 6);
    uint64_t incident = word.incident;
    const unsigned people[] = {0, 100, 101};
    for (size_t i = 0; i < COUNT_OF(people); i++)
        guard_answered(guard,
                       &(struct answer){.sender = person(people[i]),
                                        .incident = incident,
                                        .meant = true,
                                        .trust = ANSWER_OTHER_DEVICE},
                       50 * second, fresh_word());
    struct guard_state state;
    guard_state(guard, &state);
    check(state.n_stops == 0);
    guard_tick(guard, 100 * 86400 * second, fresh_word());
    uint64_t at = 0;
    check(guard_incident_next(guard, &at) == 0);
    guard_free(&guard);
}

TEST(the_event_of_a_run_is_read_as_it_was_written)
{
    struct lure_key key = key_of(person(1));
    struct guard_event event =
                           {
                               .kind = EVENT_SEALED,
                               .now_us = 5,
                               .exposure = {.sender = person(1),
                                            .receiver = person(2),
                                            .keys = &key,
                                            .n_keys = 1}
    },
                       got;
    struct buf out;
    buf_init(&out, 4096);
    guard_event_write(&out, &event);
    check(guard_event_read(test_arena(), buf_str(&out), &got) == OK);
    check(got.kind == EVENT_SEALED && str_eq(got.exposure.receiver, person(2)));
    check(got.exposure.n_keys == 1 && lure_key_eq(&got.exposure.keys[0], &key));
    buf_done(&out);
}

TEST(keys_are_of_one_sender_and_one_text)
{
    struct lure_key a = lure_sealed_key(person(1), STR("x")),
                    b = lure_sealed_key(person(2), STR("x")),
                    c = lure_sealed_key(person(1), STR("y")),
                    d = lure_sealed_key(person(1), STR("x"));
    check(!lure_key_eq(&a, &b) && !lure_key_eq(&a, &c) && lure_key_eq(&a, &d));
}
