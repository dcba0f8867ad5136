#include "test.h"

#include "base/must.h"
#include "base/random.h"

#include <stdio.h>

enum { TESTS_MOST = 512 };

static struct CMUnitTest tests[TESTS_MOST];
static size_t n_tests;
static struct arena arena;

struct arena *test_arena(void)
{
    return &arena;
}

static int fresh_arena(void **state)
{
    (void)state;
    arena_init(&arena, 64U << 20);
    return 0;
}

static int drop_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

void test_register(const char *name, CMUnitTestFunction fn)
{
    must(n_tests < TESTS_MOST);
    tests[n_tests++] = (struct CMUnitTest){name, fn, fresh_arena, drop_arena, NULL};
}

void test_check_str(struct str got, struct str wanted, const char *file, int line)
{
    if (!str_eq(got, wanted)) {
        fprintf(stderr, "got    '%.*s'\nwanted '%.*s'\n", STR_ARGS(got), STR_ARGS(wanted));
        _fail(file, line);
    }
}

int main(void)
{
    random_start();
    // the macro wants an array in scope: the count is known only at run time
    return _cmocka_run_group_tests("unit", tests, n_tests, NULL, NULL) == 0 ? 0 : 1;
}
