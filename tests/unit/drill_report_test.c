#include "test.h"

#include "base/table.h"
#include "drill/report.h"
#include "town/roster.h"

#include <math.h>
#include <stdlib.h>

/* An outbreak that we make up: each infects two. */
static struct outcome outcome_of(uint32_t n)
{
    struct outcome outcome = {.n_infected = n, .n_exposed = 2 * n, .watched_s = 600, .seen_s = -1};
    outcome.infected = calloc(n, sizeof *outcome.infected);
    for (uint32_t i = 0; i < n; i++)
        outcome.infected[i] = (struct infected){
            .person = 10 * i, .by = i == 0 ? NOBODY : 10 * ((i - 1) / 2), .at_s = 7.5 * i};
    outcome.honest = (struct honest_tally){.n_sent = 100, .n_received = 100, .longest_s = 0.25};
    outcome.honest.delays[0] = 90;
    outcome.honest.delays[16] = 10;
    return outcome;
}

static struct side side_of(const char *name, uint32_t n, size_t n_runs)
{
    struct side side = {.name = name, .results = calloc(n_runs, sizeof *side.results), .n = n_runs};
    for (size_t i = 0; i < n_runs; i++)
        side.results[i] = (struct result){.seed = i, .outcome = outcome_of(n + (uint32_t)i)};
    return side;
}

static void write_both(struct buf *page, struct buf *picture)
{
    struct side sides[] = {side_of("guard off", 31, 3), side_of("guard on", 1, 3)};
    struct report report = {sides, 2, 60, worm_find(STR("P1")), 0.7, 10};
    buf_init(page, 1 << 20);
    buf_init(picture, 1 << 20);
    report_write(&report, page);
    report_write_picture(&report, picture);
    side_done(&sides[0]);
    side_done(&sides[1]);
}

TEST(the_same_results_give_the_same_page)
{
    struct buf page[2], picture[2];
    for (int i = 0; i < 2; i++)
        write_both(&page[i], &picture[i]);
    check(!page[0].overflowed && page[0].len > 5000);
    check_str(buf_str(&page[0]), buf_str(&page[1]));
    check_str(buf_str(&picture[0]), buf_str(&picture[1]));
    for (int i = 0; i < 2; i++) {
        buf_done(&page[i]);
        buf_done(&picture[i]);
    }
}

TEST(the_page_says_what_happened_and_draws_everybody_once)
{
    struct buf page, picture;
    write_both(&page, &picture);
    struct str text = buf_str(&page);
    check(str_find(text, STR("Guard off: 32.0 of 60 infected. Guard on: 2.0 of 60 infected.")) <
          text.len);
    unsigned n_circles = 0;
    for (struct str rest = text;; n_circles++) {
        size_t at = str_find(rest, STR("<circle"));
        if (at == rest.len)
            break;
        rest = str_skip(rest, at + 1);
    }
    check(n_circles == 31); // the first run of the first side; patient zero alone is not drawn
    check(str_find(text, STR("Patient zero infected nobody")) < text.len);
    check(str_find(text, STR("nan")) == text.len && str_find(text, STR("inf'")) == text.len);
    buf_done(&page);
    buf_done(&picture);
}

TEST(figures_are_means_sums_or_the_most)
{
    struct side side = side_of("guard on", 1, 3);
    side.results[1].outcome.honest.longest_s = 9;
    side.results[1].outcome.honest.n_lost = 2;
    side.results[2].outcome.honest.n_lost = 3;
    side.results[2].outcome.seen_s = 4;
    check(side_figure(&side, FIGURE_INFECTED) == 2);
    check(side_figure(&side, FIGURE_HONEST_LOST) == 5);
    check(side_figure(&side, FIGURE_LONGEST_DELAY_S) == 9);
    check(side_figure(&side, FIGURE_CONVICTED_S) == 4);
    check(isnan(side_figure(&side, FIGURE_RESTRICTED_WRONGLY)));
    side_done(&side);
}

TEST(a_stamped_message_waited_for_the_guard_and_any_other_for_the_machine)
{
    struct ledger ledger;
    struct honest_tally tally;
    ledger_init(&ledger);
    for (int i = 0; i < 3; i++) {
        uint32_t number = ledger_say(&ledger, SAID_HONEST, 1, 2, STR("hi"), 1000000);
        struct said *said = &ledger.at[number];
        said->received_us = 1200000; // a fifth of a second of the wall
        said->n_received = i == 2 ? 0 : 1;
        said->stamped = i == 1;
    }
    ledger_say(&ledger, SAID_LURE, 1, 2, STR_EMPTY, 0);
    check(ledger_n_open(&ledger) == 1);
    ledger_tally(&ledger, 20, false, &tally);
    check(tally.n_sent == 3 && tally.n_received == 2 && tally.n_lost == 1);
    check(tally.n_held == 1);
    check(fabs(tally.longest_s - 4) < 1e-9);
    ledger_done(&ledger);
}

TEST(an_id_leads_back_to_its_message_and_no_other_does)
{
    struct ledger ledger;
    char id[LEDGER_ID_SIZE];
    ledger_init(&ledger);
    for (uint32_t i = 0; i < 12; i++)
        check(ledger_say(&ledger, SAID_HONEST, i, i + 1, STR("hi"), 5) == i);
    ledger_id(&ledger, 7, id);
    check(ledger_find(&ledger, str_of(id)) == &ledger.at[7]);
    check(ledger_find(&ledger, STR("")) == NULL);
    check(ledger_find(&ledger, STR("zzzzzzz-7")) == NULL);
    ledger_id(&ledger, 12, id);
    check(ledger_find(&ledger, str_of(id)) == NULL);
    ledger_done(&ledger);
}

TEST(people_have_different_names)
{
    struct table names;
    table_init(&names, 10000);
    static char name[3000][32];
    for (uint32_t i = 0; i < COUNT_OF(name); i++) {
        town_name(i, name[i]);
        check(table_put(&names, str_of(name[i]), name[i]) == OK);
    }
    table_done(&names);
}
