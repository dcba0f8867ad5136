#include "lab/cost.h"

#include "base/must.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMED = 2000, BLOCK = 250, BLOCKS = TIMED / BLOCK, TRIES = 20 * TIMED, TEXT_MOST = 8192 };

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct sample {
    struct str *plain, *lures;
    size_t n_plain, n_lures;
};

static void take_sample(struct sample *sample, struct arena *arena, const struct lure_rules *rules,
                        struct texts *texts, struct prng *prng)
{
    struct buf text;
    buf_init(&text, TEXT_MOST);
    sample->plain = arena_make_array(arena, struct str, TIMED);
    sample->lures = arena_make_array(arena, struct str, TIMED);
    for (size_t tries = 0; tries < TRIES && (sample->n_plain < TIMED || sample->n_lures < TIMED);
         tries++) {
        struct arena scratch;
        struct lure_list list;
        buf_clear(&text);
        texts_say(texts, prng, &text);
        arena_init(&scratch, (size_t)16 << 20);
        lure_list_init(&list, rules, &scratch);
        lure_scan_text(&list, buf_str(&text));
        if (list.n == 0 && !list.overflowed && sample->n_plain < TIMED)
            sample->plain[sample->n_plain++] = arena_str(arena, buf_str(&text));
        else if (list.n > 0 && sample->n_lures < TIMED)
            sample->lures[sample->n_lures++] = arena_str(arena, buf_str(&text));
        arena_done(&scratch);
    }
    buf_done(&text);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median of the blocks: on a machine that others use too, some are dear. */
static double median(double *blocks, size_t n)
{
    qsort(blocks, n, sizeof *blocks, compare);
    return n > 0 ? blocks[n / 2] : NAN;
}

static size_t block_end(size_t from, size_t n)
{
    return n - from < BLOCK ? n : from + BLOCK;
}

// by itself, so that callgrind can count it alone (--toggle-collect)
static double __attribute__((noinline))
time_plain(const struct sample *sample, const struct lure_rules *rules)
{
    struct arena arena;
    double blocks[BLOCKS];
    size_t found = 0, n = 0;
    arena_init(&arena, (size_t)16 << 20);
    for (size_t i = 0, from = 0; from < sample->n_plain; from = i) {
        double begun = cpu_ns();
        for (size_t end = block_end(from, sample->n_plain); i < end; i++) {
            struct lure_list list;
            lure_list_init(&list, rules, &arena);
            lure_scan_text(&list, sample->plain[i]);
            found += list.n;
        }
        blocks[n++] = (cpu_ns() - begun) / (double)(i - from);
    }
    must(found == 0);
    arena_done(&arena);
    return median(blocks, n);
}

/* As the gate does it for one message (im/gate.c). */
static void __attribute__((noinline))
pass(struct guard *guard, const struct lure_rules *rules, struct str text, struct str sender,
     struct str receiver, uint64_t number, int64_t now_us)
{
    struct arena arena;
    struct lure_list list;
    struct guard_word word;
    struct lure_key keys[64];
    arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
    lure_list_init(&list, rules, &arena);
    lure_scan_text(&list, text);
    struct lure_people people = {
        .names = {sender, receiver},
          .n = 2
    };
    lure_list_keys(&list, &people);
    struct sending sending = {
        .message = number,
        .sender = sender,
        .receiver = receiver,
        .audience = 1,
        .warns = lure_text_warns(&list, text),
        .overflowed = list.overflowed,
        .shape = lure_text_shape(&list, text, &people),
        .lures = list.lures,
        .n_lures = list.n,
        .pace = {.gap_us = -1, .roster_index = 3, .live = true, .account_age_us = -1}
    };
    guard_word_init(&word, &arena);
    if (guard_judge(guard, &sending, now_us, &word) == VERDICT_DELIVER) {
        struct exposure exposure = {.sender = sender, .receiver = receiver, .keys = keys};
        exposure.n_keys = lure_list_collect(&list, keys, COUNT_OF(keys));
        guard_exposed(guard, &exposure, now_us, &word);
    }
    arena_done(&arena);
}

struct cost cost_measure(struct guard *guard, const struct lure_rules *rules, struct texts *texts,
                         uint32_t people, int64_t now_us, uint64_t seed)
{
    struct prng prng = {seed};
    struct arena arena;
    struct sample sample = {0};
    arena_init(&arena, (size_t)256 << 20);
    take_sample(&sample, &arena, rules, texts, &prng);
    struct str *names = arena_make_array(&arena, struct str, 2 * TIMED);
    for (size_t i = 0; i < 2 * TIMED; i++)
        names[i] =
            arena_printf(&arena, "person%u@town.example", (unsigned)prng_below(&prng, people));
    struct cost cost = {.message_ns = time_plain(&sample, rules)};
    double blocks[BLOCKS];
    size_t n = 0;
    for (size_t i = 0, from = 0; from < sample.n_lures; from = i) {
        double begun = cpu_ns();
        for (size_t end = block_end(from, sample.n_lures); i < end; i++) {
            now_us += INT64_C(20000000); // a quiet site: nobody is in a hurry
            pass(guard, rules, sample.lures[i], names[2 * i], names[2 * i + 1], UINT64_MAX - i,
                 now_us);
        }
        blocks[n++] = (cpu_ns() - begun) / (double)(i - from);
    }
    cost.lure_ns = median(blocks, n);
    arena_done(&arena);
    return cost;
}
