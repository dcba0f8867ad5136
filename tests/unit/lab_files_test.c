#include "test.h"

#include "lab/guard_keys.h"
#include "lab/trace.h"
#include "town/habits.h"
#include "town/numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/lab-test-%d", (int)getpid());
    FILE *file = fopen(path, "we");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
    return path;
}

static enum err read_trace(const char *text, struct trace *trace, struct names *names,
                           struct why *why)
{
    names_init(names);
    const char *path = write_file(text);
    enum err e = trace_read(trace, path, names, why);
    unlink(path);
    return e;
}

TEST(a_trace_has_any_white_space_and_any_names)
{
    struct trace trace;
    struct names names;
    struct why why;
    check(read_trace("from\tto\tunix_time\n"
                     "ann bob 100\n"
                     "# a remark\n"
                     "\n"
                     "bob\t ann   100.5 further columns\n"
                     "cem,ann,99\n"
                     "ann bob 100\n"
                     "ann ann 100\n",
                     &trace, &names, &why) == OK);
    check(trace.n == 4 && names.n == 3);
    check(trace.steps[0].from == names_number(&names, STR("cem"))); // by time
    check(trace.steps[0].at_us == 99000000);
    check(trace.steps[1].at_us == 100000000 && trace.steps[1].line < trace.steps[2].line);
    check(trace.steps[3].at_us == 100500000);
    struct graph graph;
    trace_graph(&trace, names.n, &graph);
    check(graph.n_people == 3 && graph.n_ties == 2);
    check(graph_are_contacts(&graph, trace.steps[1].to, trace.steps[1].from));
    graph_done(&graph);
    trace_done(&trace);
    names_done(&names);
}

TEST(a_trace_that_is_none_is_refused_with_its_line)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"ann bob 1\nann bob\n",             ":2:"              },
        {"ann bob soon\n",                   ":1:"              },
        {"ann bob -5\n",                     ":1:"              },
        {"ann bob 1e300\n",                  ":1:"              },
        {"ann bob nan\n",                    ":1:"              },
        {"",                                 "nobody"           },
        {"from to unix_time\nann ann 100\n", "nobody"           },
        {"ann bob 1\nbob\n",                 "from to unix_time"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct trace trace;
        struct names names;
        struct why why = {0};
        check(read_trace(rows[i].text, &trace, &names, &why) == ERR_MALFORMED);
        struct str said = str_of(why.text);
        check(str_find(said, str_of(rows[i].says)) < said.len);
        names_done(&names);
    }
    struct trace trace;
    struct names names;
    struct why why;
    names_init(&names);
    check(trace_read(&trace, "/nowhere/at/all", &names, &why) == ERR_IO);
    names_done(&names);
}

TEST(numbers_are_numbers_and_nothing_else)
{
    double number = 7;
    struct why why;
    check(number_read(STR("0.25"), 0, 1, &number, &why) == OK && number == 0.25);
    static const char *const bad[] = {"", " 1", "1 ", "1x", "x", "2", "-1", "nan", "inf", "+1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        check(number_read(str_of(bad[i]), 0, 1, &number, &why) == ERR_MALFORMED);
    check(number == 0.25);
    struct str key, value;
    check(setting_cut(STR("pause=600"), &key, &value, &why) == OK);
    check_str(key, STR("pause"));
    check_str(value, STR("600"));
    check(setting_cut(STR("pause"), &key, &value, &why) == ERR_MALFORMED);
    check(setting_cut(STR("=5"), &key, &value, &why) == ERR_MALFORMED);
}

TEST(habits_and_constants_are_set_by_name)
{
    struct habits habits = habits_usual;
    struct guard_config config;
    struct why why;
    guard_config_default(&config);
    check(habits_set(&habits, STR("obey"), STR("0"), &why) == OK && habits.obey == 0);
    check(habits_set(&habits, STR("report"), STR("0.05"), &why) == OK && habits.report == 0.05);
    check(habits_set(&habits, STR("obey"), STR("2"), &why) == ERR_MALFORMED);
    check(habits_set(&habits, STR("mood"), STR("0"), &why) == ERR_MALFORMED);
    check(guard_config_set(&config, STR("hold"), STR("30"), &why) == OK);
    check(config.hold_us == 30000000);
    check(guard_config_set(&config, STR("convict_nats"), STR("16.5"), &why) == OK);
    check(config.convict_nats == 16.5);
    check(guard_config_set(&config, STR("star_convicts"), STR("0"), &why) == OK);
    check(!config.star_convicts);
    check(guard_config_set(&config, STR("without"), STR("relay"), &why) == OK);
    check(guard_config_set(&config, STR("without"), STR("fan-out"), &why) == OK);
    check(config.without == (1U << EVIDENCE_RELAY | 1U << EVIDENCE_FANOUT));
    check(guard_config_set(&config, STR("without"), STR("luck"), &why) == ERR_MALFORMED);
    check(guard_config_set(&config, STR("hold"), STR("long"), &why) == ERR_MALFORMED);
    check(guard_config_set(&config, STR("mercy"), STR("1"), &why) == ERR_MALFORMED);
}
