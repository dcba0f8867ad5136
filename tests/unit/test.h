/*
 * Unit tests: TEST(name_is_a_sentence) { check(...); } and nothing else.
 *
 * Each file is one program: tests register themselves and run in the order of
 * the file, through cmocka.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

/* An arena that lives for the current test. */
struct arena *test_arena(void);

void test_register(const char *name, CMUnitTestFunction fn);

#define TEST(name)                                                                                 \
    static void name(void);                                                                        \
    static void run_##name(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        name();                                                                                    \
    }                                                                                              \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register(#name, run_##name);                                                          \
    }                                                                                              \
    static void name(void)

#define check(expression) _assert_true((expression) ? 1 : 0, #expression, __FILE__, __LINE__)

/* Compares two slices and shows both when they differ. */
#define check_str(got, wanted) test_check_str((got), (wanted), __FILE__, __LINE__)
void test_check_str(struct str got, struct str wanted, const char *file, int line);

#endif
