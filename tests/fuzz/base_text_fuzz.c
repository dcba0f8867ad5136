/*
 * Fuzzes what base reads from outside: UTF-8, numbers and dates.
 *
 * Every answer is compared with what it promises: a date that was read is
 * written and read again to the same moment; text with a malformed byte in
 * front is refused.
 */
#include "base/clock.h"
#include "base/must.h"
#include "base/random.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    random_start();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    struct arena arena;
    arena_init(&arena, 1U << 20);

    int64_t wall_us = 0, again_us = 0;
    if (clock_parse(text, &wall_us) == OK) {
        struct str written = clock_format(&arena, wall_us);
        must(clock_parse(written, &again_us) == OK && again_us == wall_us);
    }
    uint64_t number = 0;
    if (str_to_u64(text, 0, UINT64_MAX, &number) == OK) {
        uint64_t again = 0;
        struct str written = arena_printf(&arena, "%ju", (uintmax_t)number);
        must(str_to_u64(written, 0, UINT64_MAX, &again) == OK && again == number);
    }
    if (str_is_utf8(text))
        must(size == 0 || (data[0] & 0xC0) != 0x80);

    arena_done(&arena);
    return 0;
}
