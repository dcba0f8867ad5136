#include "lab/alike.h"

#include "base/must.h"

#include <stdlib.h>
#include <time.h>

enum {
    TEXTS = 8000,
    TRIES = 10 * TEXTS,
    LEAST = 8,
    MOST = 70,     // bytes
    OTHERS = 1000, // each text is compared with
    DRESSED_MOST = 4096,
};

struct words {
    struct str text;
    uint64_t shape;
};

/* ---- Dresses --------------------------------------------------------------------------------- */

struct dressing {
    struct prng *prng;
    struct buf *out;
};

typedef void dress_fn(const struct dressing *dressing, struct str text);

static bool by_chance(const struct dressing *dressing, double chance)
{
    return prng_unit(dressing->prng) < chance;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static void as_it_is(const struct dressing *d, struct str text)
{
    buf_add(d->out, text);
}

static void in_capitals(const struct dressing *d, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        buf_add_char(d->out, c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c);
    }
}

static void with_signs(const struct dressing *d, struct str text)
{
    buf_add(d->out, STR("*** "));
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(d->out, text.at[i]);
        if (text.at[i] == ' ' && by_chance(d, 0.3))
            buf_add(d->out, STR("- "));
    }
    buf_add(d->out, STR(" !!!"));
}

static void with_a_number(const struct dressing *d, struct str text)
{
    buf_add(d->out, text);
    buf_printf(d->out, " %u", (unsigned)prng_below(d->prng, 100000));
}

static void letter_by_letter(const struct dressing *d, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(d->out, text.at[i]);
        buf_add_char(d->out, ' ');
    }
}

static void split_words(const struct dressing *d, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(d->out, text.at[i]);
        if (is_letter(text.at[i]) && by_chance(d, 0.15))
            buf_add_char(d->out, by_chance(d, 0.5) ? ' ' : '-');
    }
}

static void without_width(const struct dressing *d, struct str text)
{
    static const char *const invisible[] = {"\xE2\x80\x8B", "\xC2\xAD", "\xE2\x81\xA0",
                                            "\xE2\x80\x8D", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < text.len; i++) {
        buf_add_char(d->out, text.at[i]);
        if (is_letter(text.at[i]) && by_chance(d, 0.4))
            buf_add(d->out, str_of(invisible[(size_t)prng_below(d->prng, 5)]));
    }
}

static void of_other_scripts(const struct dressing *d, struct str text)
{
    static const struct {
        char letter;
        const char *instead;
    } rows[] = {
        {'a', "\xD0\xB0"        }, // Cyrillic
        {'c', "\xD1\x81"        },
        {'e', "\xD0\xB5"        },
        {'i', "\xD1\x96"        },
        {'o', "\xD0\xBE"        },
        {'p', "\xD1\x80"        },
        {'x', "\xD1\x85"        },
        {'y', "\xD1\x83"        },
        {'s', "\xD1\x95"        },
        {'o', "\xCE\xBF"        }, // Greek
        {'v', "\xCE\xBD"        },
        {'t', "\xEF\xBD\x94"    }, // full width
        {'h', "\xF0\x9D\x90\xA1"}, // mathematical
    };
    for (size_t i = 0; i < text.len; i++) {
        size_t at = 0;
        while (at < COUNT_OF(rows) && (rows[at].letter != lower(text.at[i]) || by_chance(d, 0.4)))
            at++;
        if (at < COUNT_OF(rows))
            buf_add(d->out, str_of(rows[at].instead));
        else
            buf_add_char(d->out, text.at[i]);
    }
}

static void drawn_out(const struct dressing *d, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        size_t n =
            is_letter(text.at[i]) && by_chance(d, 0.2) ? 1 + (size_t)prng_below(d->prng, 4) : 1;
        while (n-- > 0)
            buf_add_char(d->out, text.at[i]);
    }
}

static void add_leet(const struct dressing *d, struct str text, double chance, bool with_marks)
{
    static const struct {
        char letter, digit, mark;
    } rows[] = {
        {'a', '4', '@'},
        {'e', '3', '3'},
        {'i', '1', '!'},
        {'l', '1', '|'},
        {'o', '0', '0'},
        {'s', '5', '$'},
        {'t', '7', '+'},
    };
    for (size_t i = 0; i < text.len; i++) {
        size_t at = 0;
        while (at < COUNT_OF(rows) && rows[at].letter != lower(text.at[i]))
            at++;
        if (at < COUNT_OF(rows) && by_chance(d, chance))
            buf_add_char(d->out, with_marks && by_chance(d, 0.5) ? rows[at].mark : rows[at].digit);
        else
            buf_add_char(d->out, text.at[i]);
    }
}

static void some_leet(const struct dressing *d, struct str text)
{
    add_leet(d, text, 0.3, false);
}

static void full_leet(const struct dressing *d, struct str text)
{
    add_leet(d, text, 1, false);
}

static void leet_with_marks(const struct dressing *d, struct str text)
{
    add_leet(d, text, 1, true);
}

static const struct {
    const char *name;
    dress_fn *dress;
} dresses[] = {
    {"as it is",                    as_it_is        },
    {"CAPITALS",                    in_capitals     },
    {"signs around",                with_signs      },
    {"a number behind",             with_a_number   },
    {"l e t t e r s",               letter_by_letter},
    {"spl it wor-ds",               split_words     },
    {"invisible characters",        without_width   },
    {"letters of other scripts",    of_other_scripts},
    {"draaawn out",                 drawn_out       },
    {"some leet (30 %)",            some_leet       },
    {"full leet, digits",           full_leet       },
    {"full leet, digits and marks", leet_with_marks },
};

/* ---- Measured -------------------------------------------------------------------------------- */

static uint64_t shape_of(const struct lure_rules *rules, struct str text)
{
    struct arena scratch;
    struct lure_list list;
    arena_init(&scratch, (size_t)16 << 20);
    lure_list_init(&list, rules, &scratch);
    uint64_t shape = lure_text_shape(&list, text, NULL);
    arena_done(&scratch);
    return shape;
}

static bool is_wanted(const struct lure_rules *rules, struct str text)
{
    struct arena scratch;
    struct lure_list list;
    if (text.len < LEAST || text.len > MOST)
        return false;
    arena_init(&scratch, (size_t)16 << 20);
    lure_list_init(&list, rules, &scratch);
    lure_scan_text(&list, text);
    bool wanted = list.n == 0 && !list.overflowed && lure_text_shape(&list, text, NULL) != 0;
    arena_done(&scratch);
    return wanted;
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure_dress(const struct lure_rules *rules, const struct words *words, size_t n,
                          size_t dress, struct prng *prng, struct alike *out)
{
    struct alike_row *row = &out->rows[out->n++];
    *row = (struct alike_row){.dress = dresses[dress].name};
    struct buf text;
    buf_init(&text, DRESSED_MOST);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&text);
        dresses[dress].dress(&(struct dressing){prng, &text}, words[i].text);
        double before = cpu_ns();
        uint64_t shape = shape_of(rules, buf_str(&text));
        row->shape_ns += (cpu_ns() - before) / (double)n;
        row->n++;
        row->n_alike += lure_shapes_alike(shape, words[i].shape);
        for (size_t k = 0; k < OTHERS; k++) {
            const struct words *other = &words[prng_below(prng, n)];
            if (str_eq_nocase(other->text, words[i].text))
                continue;
            row->pairs++;
            row->n_others += lure_shapes_alike(shape, other->shape);
        }
    }
    buf_done(&text);
}

void alike_measure(const struct lure_rules *rules, struct texts *texts, uint64_t seed,
                   struct alike *out)
{
    struct prng prng = {seed};
    struct arena arena;
    struct buf text;
    size_t n = 0;
    _Static_assert(COUNT_OF(dresses) <= ALIKE_DRESSES_MOST, "a row for each");
    arena_init(&arena, (size_t)64 << 20);
    buf_init(&text, (size_t)1 << 20);
    struct words *words = arena_make_array(&arena, struct words, TEXTS);
    *out = (struct alike){.n = 0};
    for (size_t tries = 0; tries < TRIES && n < TEXTS; tries++) {
        buf_clear(&text);
        texts_say(texts, &prng, &text);
        if (!is_wanted(rules, buf_str(&text)))
            continue;
        words[n].text = arena_str(&arena, buf_str(&text));
        words[n].shape = shape_of(rules, words[n].text);
        n++;
    }
    for (size_t dress = 0; dress < COUNT_OF(dresses) && n > 0; dress++)
        measure_dress(rules, words, n, dress, &prng, out);
    buf_done(&text);
    arena_done(&arena);
}
