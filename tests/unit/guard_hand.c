#include "guard_hand.h"

#include "test.h"

#include "base/buf.h"
#include "base/hash.h"

#include <stdio.h>

struct guard_word word;
bool observes;
uint64_t device;
uint32_t audience = 1;
bool abroad;
uint64_t next_message;

static const struct lure_rules *rules(void)
{
    static struct lure_rules *once;
    if (once == NULL)
        once = lure_rules_new();
    return once;
}

struct guard_word *fresh_word(void)
{
    static struct arena arena;
    arena_done(&arena);
    arena_init(&arena, GUARD_WORD_MOST);
    guard_word_init(&word, &arena);
    return &word;
}

struct lure_list lures_of(const char *text)
{
    struct lure_list list;
    lure_list_init(&list, rules(), test_arena());
    lure_scan_text(&list, str_of(text));
    lure_list_keys(&list, NULL);
    return list;
}

enum verdict send(struct guard *guard, int64_t now, const char *from, const char *to,
                  const char *text)
{
    struct lure_list list = lures_of(text);
    struct sending sending = {
        .message = ++next_message,
        .sender = str_of(from),
        .receiver = str_of(to),
        .audience = audience,
        .remote = abroad,
        .warns = lure_text_warns(&list, str_of(text)),
        .observed = observes,
        .shape = lure_text_shape(&list, str_of(text), NULL),
        .device = device,
        .lures = list.lures,
        .n_lures = list.n,
        .pace = {.gap_us = -1, .roster_index = -1, .account_age_us = -1}
    };
    return guard_judge(guard, &sending, now, fresh_word());
}

void expose(struct guard *guard, int64_t now, const char *from, const char *to, const char *text)
{
    struct lure_list list = lures_of(text);
    struct lure_key keys[16];
    struct exposure exposure = {.sender = str_of(from), .receiver = str_of(to), .keys = keys};
    exposure.n_keys = lure_list_collect(&list, keys, COUNT_OF(keys));
    guard_exposed(guard, &exposure, now, fresh_word());
}

enum verdict pass(struct guard *guard, int64_t now, const char *from, const char *to,
                  const char *text)
{
    enum verdict verdict = send(guard, now, from, to, text);
    if (verdict == VERDICT_DELIVER)
        expose(guard, now, from, to, text);
    return verdict;
}

void answer(struct guard *guard, int64_t now, const char *who, uint64_t incident, bool meant,
            enum answer_trust trust)
{
    struct answer said = {
        .sender = str_of(who), .incident = incident, .meant = meant, .trust = trust};
    guard_answered(guard, &said, now, fresh_word());
}

void say(struct guard *guard, int64_t now, const char *who, uint64_t incident, bool meant)
{
    answer(guard, now, who, incident, meant, ANSWER_OTHER_DEVICE);
}

/* Sends to many at machine pace; each delivered copy is an exposure.  Returns the time after. */
int64_t burst(struct guard *guard, int64_t now, const char *from, const char *text, unsigned first,
              unsigned n, unsigned *rejected)
{
    for (unsigned i = first; i < first + n; i++) {
        char to[32];
        snprintf(to, sizeof to, "p%u@a.example", i);
        enum verdict verdict = pass(guard, now, from, to, text);
        *rejected += verdict == VERDICT_REJECT;
        now += second / 10;
    }
    return now;
}

size_t count_orders(enum order_kind kind, bool undo)
{
    size_t n = 0;
    for (size_t i = 0; i < word.n_orders; i++)
        n += word.orders[i].kind == kind && word.orders[i].undo == undo;
    return n;
}

struct guard *new_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.defangs = true;
    return guard_new(&config, 42);
}

/* The same where nobody is asked: what the evidence decides alone. */
struct guard *silent_guard(void)
{
    struct guard_config config;
    guard_config_default(&config);
    config.defangs = true;
    config.ask_us = 0;
    return guard_new(&config, 42);
}

void convict_evil(struct guard *guard, int64_t now, enum lure_width width)
{
    struct lure_list list = lures_of("http://evil.example/x");
    struct conviction conviction = {.lure = &list.lures[0],
                                    .width = width,
                                    .actor = STR("admin"),
                                    .reason = STR("reported by telephone")};
    guard_convict(guard, &conviction, now, fresh_word());
}

void count_stops(void *context, const struct guard_rule *rule)
{
    unsigned *n = context;
    *n += rule->kind == RULE_STOP;
}

uint64_t state_hash(const struct guard *guard)
{
    struct buf bytes;
    buf_init(&bytes, (size_t)256 << 20);
    guard_save(guard, &bytes);
    check(!bytes.overflowed);
    uint64_t hash = hash_fast(0, buf_str(&bytes));
    buf_done(&bytes);
    return hash;
}

struct guard *loaded_again(const struct guard *guard, const struct guard_config *config)
{
    struct guard *again = NULL;
    struct why why;
    struct buf bytes;
    buf_init(&bytes, (size_t)64 << 20);
    guard_save(guard, &bytes);
    check(guard_load(config, buf_str(&bytes), &again, &why) == OK);
    buf_done(&bytes);
    check(state_hash(guard) == state_hash(again));
    check(guard_next_us(guard) == guard_next_us(again));
    return again;
}
