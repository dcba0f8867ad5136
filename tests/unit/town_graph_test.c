#include "test.h"

#include "base/buf.h"
#include "town/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_whole(const struct graph *graph)
{
    size_t n_ends = 0;
    for (uint32_t a = 0; a < graph->n_people; a++) {
        for (uint32_t i = 0; i < graph_degree(graph, a); i++) {
            uint32_t b = graph_contacts(graph, a)[i];
            if (b >= graph->n_people || b == a || !graph_are_contacts(graph, b, a))
                return false;
            if (i > 0 && graph_contacts(graph, a)[i - 1] >= b)
                return false;
        }
        n_ends += graph_degree(graph, a);
    }
    return n_ends == 2 * graph->n_ties;
}

TEST(a_made_graph_has_the_mean_that_was_asked_for_and_a_few_people_with_many_contacts)
{
    struct prng prng = {7};
    struct graph graph;
    graph_make(&graph, 1000, 11, &prng);
    check(is_whole(&graph));
    double mean = 2.0 * (double)graph.n_ties / graph.n_people;
    check(mean > 10 && mean < 12);
    uint32_t most = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i < graph.n_people; i++) {
        uint32_t n = graph_degree(&graph, i);
        most = n > most ? n : most;
        least = n < least ? n : least;
    }
    check(least >= 1);
    check(most > 5 * 11);
    graph_done(&graph);
}

TEST(the_same_seed_makes_the_same_graph)
{
    struct prng one = {3}, same = {3}, other = {4};
    struct graph a, b, c;
    graph_make(&a, 200, 8, &one);
    graph_make(&b, 200, 8, &same);
    graph_make(&c, 200, 8, &other);
    check(a.n_ties == b.n_ties);
    check(memcmp(a.contacts, b.contacts, 2 * a.n_ties * sizeof *a.contacts) == 0);
    check(a.n_ties != c.n_ties ||
          memcmp(a.contacts, c.contacts, 2 * a.n_ties * sizeof *a.contacts) != 0);
    graph_done(&a);
    graph_done(&b);
    graph_done(&c);
}

TEST(the_smallest_graphs_are_made)
{
    for (uint32_t n = 2; n < 8; n++) {
        struct prng prng = {n};
        struct graph graph;
        graph_make(&graph, n, 10, &prng);
        check(is_whole(&graph));
        check(graph.n_people == n && graph.n_ties >= n - 1);
        graph_done(&graph);
    }
}

static const char *file_with(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/drill_graph_test.XXXXXX");
    int fd = mkstemp(path);
    check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

TEST(a_graph_is_read_from_pairs_and_doubles_count_once)
{
    struct prng prng = {1};
    struct graph graph;
    struct why why;
    const char *path = file_with("from\tto\tunix_time\nann\tbob\t1\nbob\tann\t2\nbob cyd\n"
                                 "# nobody\nann ann 5\n");
    check(graph_read(&graph, path, 0, &prng, &why) == OK);
    check(graph.n_people == 3 && graph.n_ties == 2 && is_whole(&graph));
    check(graph_are_contacts(&graph, 0, 1) && graph_are_contacts(&graph, 1, 2));
    check(!graph_are_contacts(&graph, 0, 2));
    graph_done(&graph);
    unlink(path);
}

TEST(a_part_of_a_graph_keeps_its_neighbours)
{
    struct prng prng = {1};
    struct graph graph;
    struct why why;
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "p%d p%d\n", i, (i + 1) % 100);
    buf_add_char(&text, '\0');
    const char *path = file_with(text.at);
    check(graph_read(&graph, path, 10, &prng, &why) == OK);
    check(graph.n_people == 10 && graph.n_ties == 9 && is_whole(&graph));
    graph_done(&graph);
    buf_done(&text);
    unlink(path);
}

TEST(a_line_with_one_name_is_refused_with_its_number)
{
    struct prng prng = {1};
    struct graph graph;
    struct why why;
    const char *path = file_with("a b\nc\n");
    check(graph_read(&graph, path, 0, &prng, &why) == ERR_MALFORMED);
    check(strstr(why.text, ":2:") != NULL);
    unlink(path);
}

static uint32_t five_for_the_first_ten(void *of, uint32_t person)
{
    (void)of;
    return person < 10 ? 5 : 4;
}

TEST(patients_zero_can_infect_five_and_where_few_can_fewer_do)
{
    struct prng prng = graph_prng(4);
    struct graph graph;
    uint32_t zeros[20], again[20];
    graph_make(&graph, 100, 8, &prng);
    check(graph_patients_zero(&graph, 4, 20, NULL, NULL, zeros) == 20);
    check(graph_patients_zero(&graph, 4, 20, NULL, NULL, again) == 20);
    for (int i = 0; i < 20; i++) {
        check(graph_degree(&graph, zeros[i]) >= 5 && zeros[i] == again[i]);
        for (int k = 0; k < i; k++)
            check(zeros[k] != zeros[i]);
    }
    check(graph_patients_zero(&graph, 4, 20, five_for_the_first_ten, NULL, zeros) == 20);
    for (int i = 0; i < 20; i++)
        check((zeros[i] < 10) == (i < 10)); // those who can more come first
    graph_done(&graph);
    graph_make(&graph, 3, 1, &prng);
    check(graph_patients_zero(&graph, 4, 20, NULL, NULL, zeros) == 3);
    graph_done(&graph);
}
