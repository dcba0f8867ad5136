/*
 * Logged events: any bytes are an event or are refused; an event is taken, and
 * written again is the same.
 */
#include "guard/guard.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, 1);
    struct str rest = str_make((const char *)data, size);
    while (rest.len > 1) { // each event with its length before it
        size_t len = (unsigned char)rest.at[0] | (size_t)(unsigned char)rest.at[1] << 8;
        rest = str_skip(rest, 2);
        struct str bytes = str_first(rest, len < rest.len ? len : rest.len);
        rest = str_skip(rest, bytes.len);
        struct arena arena;
        arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
        struct guard_event event;
        if (guard_event_read(&arena, bytes, &event) == OK) {
            struct guard_word word;
            guard_word_init(&word, &arena);
            guard_take(guard, &event, &word);
            struct buf out;
            buf_init(&out, 1 << 20);
            guard_event_write(&out, &event);
            struct guard_event again;
            must(guard_event_read(&arena, buf_str(&out), &again) == OK);
            buf_done(&out);
        }
        arena_done(&arena);
    }
    struct buf out;
    buf_init(&out, 1 << 24);
    guard_save(guard, &out);
    struct guard *loaded = NULL;
    must(guard_load(&config, buf_str(&out), &loaded, NULL) == OK);
    must(guard_number(loaded) == guard_number(guard));
    guard_free(&loaded);
    buf_done(&out);
    guard_free(&guard);
    return 0;
}
