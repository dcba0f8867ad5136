#include "test.h"

#include "base/buf.h"
#include "base/hash.h"
#include "town/trap.h"

#include <stdlib.h>

/* A stage that looks at what is played on it. */
struct watcher {
    struct graph graph;
    unsigned n_lines, n_entitled, n_warnings;
    double last_s;
    uint64_t sum; // of all that was said
};

static void look_at_line(void *of, const struct trap_line *line)
{
    struct watcher *watcher = of;
    check(line->from < watcher->graph.n_people && line->to < watcher->graph.n_people);
    check(line->from != line->to && line->text[0] != 0);
    check(line->in_seconds >= 0 && line->in_seconds < TRAP_S);
    watcher->n_lines++;
    watcher->n_warnings += line->warns;
    watcher->last_s = line->in_seconds > watcher->last_s ? line->in_seconds : watcher->last_s;
    watcher->sum =
        watcher->sum * 31 + hash_fast(0, str_of(line->text)) + line->from * 7919 + line->to;
}

static void look_at_entitlement(void *of, uint32_t who, const char *host)
{
    struct watcher *watcher = of;
    check(who < watcher->graph.n_people && host != NULL);
    watcher->n_entitled++;
}

static struct watcher watch(const struct trap *trap, uint64_t seed)
{
    struct watcher watcher = {.n_lines = 0};
    struct prng prng = trap_prng(seed), of_graph = graph_prng(seed);
    graph_make(&watcher.graph, 200, 12, &of_graph);
    trap->set(&(struct trap_stage){.of = &watcher,
                                   .graph = &watcher.graph,
                                   .prng = &prng,
                                   .worm_link = STR("http://www.fun-pic-abc.example/pictures.php"),
                                   .say = look_at_line,
                                   .entitle = look_at_entitlement});
    return watcher;
}

TEST(every_trap_is_played_by_people_of_the_graph)
{
    for (const struct trap *trap = traps; trap->name != NULL; trap++) {
        struct watcher watcher = watch(trap, 3);
        check(watcher.n_lines >= 12);
        check((watcher.n_entitled > 0) == trap->entitles);
        check((watcher.n_warnings > 0) == (trap == trap_find(STR("b4"))));
        check(trap_length_s(trap, &watcher.graph, 3) == watcher.last_s);
        graph_done(&watcher.graph);
    }
}

TEST(the_same_seed_plays_the_same_trap)
{
    const struct trap *trap = trap_find(STR("B2"));
    struct watcher first = watch(trap, 5), same = watch(trap, 5), other = watch(trap, 6);
    check(first.n_lines == same.n_lines && first.sum == same.sum);
    check(first.sum != other.sum);
    graph_done(&first.graph);
    graph_done(&same.graph);
    graph_done(&other.graph);
}

TEST(traps_are_chosen_by_their_names)
{
    const struct trap *chosen[TRAPS_MOST];
    struct why why;
    size_t n = 0;
    check(traps_read(STR("B3,b10FAST"), TRAPS_MOST, chosen, &n, &why) == OK);
    check(n == 2 && chosen[0] == trap_find(STR("B3")) && chosen[1] == trap_find(STR("B10fast")));
    n = 0;
    check(traps_read(STR("all"), TRAPS_MOST, chosen, &n, &why) == OK);
    check(n == 13 && chosen[12] == trap_find(STR("B10fast")));
    check(traps_read(STR("B1,B99"), TRAPS_MOST, chosen, &n, &why) == ERR_MALFORMED);
    n = 0;
    check(traps_read(STR("all"), 3, chosen, &n, &why) == ERR_LIMIT);
}
