#include "test.h"

#include "lab/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum err read_family(const char *text, struct family *family, struct why *why)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/lab-family-%d", (int)getpid());
    FILE *file = fopen(path, "we");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
    enum err e = family_read(family, path, why);
    unlink(path);
    return e;
}

TEST(a_family_varies_what_it_names_within_its_bounds)
{
    struct family family;
    struct why why = {0};
    check(read_family("# slow ones\n"
                      "base P4\n"
                      "\n"
                      "pause 10..1000\n"
                      "aim roster random\n"
                      "most 6\n",
                      &family, &why) == OK);
    struct prng prng = {1};
    struct member_worm worm, child;
    bool roster = false, random = false;
    for (int i = 0; i < 200; i++) {
        family_draw(&family, &prng, &worm);
        family_mutate(&family, &prng, &worm, &child);
        const struct worm_habits *habits[] = {&worm.profile.habits, &child.profile.habits};
        for (size_t k = 0; k < 2; k++) {
            check(habits[k]->pause_s >= 10 && habits[k]->pause_s <= 1000);
            check(habits[k]->most == 6);
            check(habits[k]->jitter == worm_find(STR("P4"))->habits.jitter);
            roster |= habits[k]->aim == AIM_ROSTER;
            random |= habits[k]->aim == AIM_RANDOM;
        }
    }
    check(roster && random);
    family_done(&family);
}

TEST(a_child_of_two_has_each_gene_of_one_of_them)
{
    struct family family;
    struct why why = {0};
    check(read_family("base P4\npause 10..1000\nmost 1 2 3 4 5 6\nwait 1..5000\n", &family, &why) ==
          OK);
    struct prng prng = {1};
    bool both = false;
    for (int i = 0; i < 100; i++) {
        struct member_worm mother, father, child;
        family_draw(&family, &prng, &mother);
        family_draw(&family, &prng, &father);
        family_cross(&family, &prng, &mother, &father, &child);
        const struct worm_habits *a = &mother.profile.habits, *b = &father.profile.habits,
                                 *c = &child.profile.habits;
        check(c->pause_s == a->pause_s || c->pause_s == b->pause_s);
        check(c->wait_s == a->wait_s || c->wait_s == b->wait_s);
        check(c->most == a->most || c->most == b->most);
        both |= (c->pause_s == a->pause_s) != (c->wait_s == a->wait_s);
    }
    check(both);
    family_done(&family);
}

TEST(a_family_that_is_none_is_refused_with_its_line)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"base P99\n",              ":1:"},
        {"base P1\nmood good\n",    ":2:"},
        {"pause\n",                 ":1:"},
        {"pause 1..x\n",            ":1:"},
        {"pause 10..1\n",           ":1:"},
        {"pause 1..2 3\n",          ":1:"},
        {"pause 5 1..2\n",          ":1:"},
        {"base P1\n\naim sideways", ":3:"},
        {"aim 1..2\n",              ":1:"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct family family;
        struct why why = {0};
        check(read_family(rows[i].text, &family, &why) == ERR_MALFORMED);
        check(str_find(str_of(why.text), str_of(rows[i].says)) < strlen(why.text));
    }
    struct family family;
    struct why why;
    check(family_read(&family, "/nowhere/at/all", &why) == ERR_IO);
}

TEST(a_search_finds_that_more_contacts_infect_more_and_is_deterministic)
{
    struct family family;
    struct why why = {0};
    check(read_family("base P13\nmost 1 2 20\n", &family, &why) == OK);
    struct experiment experiment;
    experiment_default(&experiment);
    experiment.people = 100;
    experiment.contacts = 8;
    experiment.learn_hours = 0.2;
    experiment.hours = 0.5;
    experiment.n_seeds = 1;
    experiment.open = 0.9;
    experiment.guard_config.sealed_pause_us = 0; // nobody stops it
    check(texts_read(&experiment.texts, NULL, &(struct prng){1}, NULL) == OK);
    struct lure_rules *rules = lure_rules_new();
    struct search a, b;
    struct search_plan plan = {.experiment = &experiment,
                               .rules = rules,
                               .family = &family,
                               .budget = 12,
                               .n_processes = 1};
    check(search_run(&a, &plan, &why) == OK);
    plan.n_processes = 2;
    check(search_run(&b, &plan, &why) == OK);
    check(a.n_tried == 12 && a.n >= 2 && a.n == b.n);
    check(strcmp(a.worst[0].worm.values[0], "20") == 0);
    for (size_t i = 0; i < a.n; i++) {
        check(strcmp(a.worst[i].worm.values[0], b.worst[i].worm.values[0]) == 0);
        check(series_mean(&a.worst[i].result.infected) == series_mean(&b.worst[i].result.infected));
    }
    search_done(&b);
    // several searches, and each worm once
    plan.budget = 1000;
    check(search_run(&b, &plan, &why) == OK);
    check(b.n_tried == 1000 && b.n == 3);
    check(strcmp(b.worst[0].worm.values[0], "20") == 0 && b.worst[0].result.n_seeds > 1);
    search_done(&a);
    search_done(&b);
    lure_rules_free(&rules);
    texts_free(&experiment.texts);
    family_done(&family);
}
