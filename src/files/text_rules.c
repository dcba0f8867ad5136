#include "files/text_rules.h"

#include "base/must.h"
#include "base/random.h"
#include "files/rules_internal.h"

#include <stdatomic.h>
#include <stdlib.h>

struct text_rules {
    atomic_uint refs;
    uint64_t generation;
    struct text_rules_limits limits;
    YR_RULES *compiled;
    size_t n;
    atomic_uint_fast64_t hits[]; // by the rule's place
};

struct matching {
    struct text_rules *rules;
    bool counts;
    struct text_hits *out;
    const char *imports; // a module that a rule wants
};

static void add_hit(struct text_hits *out, const YR_RULE *rule)
{
    struct text_hit hit = {str_of(rule->identifier), rule_suspects(rule)};
    size_t at = out->n;
    if (!hit.suspects)
        for (at = 0; at < out->n && !out->at[at].suspects;)
            at++;
    if (at == TEXT_HITS_MOST)
        return;
    if (out->n == TEXT_HITS_MOST)
        out->n--;
    memmove(&out->at[at + 1], &out->at[at], (out->n - at) * sizeof hit);
    out->at[at] = hit;
    out->n++;
}

static int on_message(YR_SCAN_CONTEXT *scan, int message, void *data, void *context)
{
    struct matching *matching = context;
    (void)scan;
    if (message == CALLBACK_MSG_IMPORT_MODULE) {
        matching->imports = ((const YR_MODULE_IMPORT *)data)->module_name;
        return CALLBACK_ERROR; // it would parse what strangers write
    }
    if (message != CALLBACK_MSG_RULE_MATCHING)
        return CALLBACK_CONTINUE;
    const YR_RULE *rule = data;
    add_hit(matching->out, rule);
    struct text_rules *rules = matching->rules;
    if (matching->counts)
        atomic_fetch_add_explicit(&rules->hits[rule - rules->compiled->rules_table], 1,
                                  memory_order_relaxed);
    return CALLBACK_CONTINUE;
}

static bool scan(struct matching *matching, struct str text)
{
    YR_SCANNER *scanner;
    const struct text_rules_limits *limits = &matching->rules->limits;
    if (yr_scanner_create(matching->rules->compiled, &scanner) != ERROR_SUCCESS)
        return false;
    yr_scanner_set_callback(scanner, on_message, matching);
    // its signal handlers are for mapped files, and there is one such handler in a process
    yr_scanner_set_flags(scanner, SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING);
    scanner->timeout = (uint64_t)limits->time_us * 1000; // the setter knows whole seconds only
    if (text.len > limits->bytes)
        text = str_first(text, limits->bytes);
    int got = yr_scanner_scan_mem(scanner, (const uint8_t *)text.at, text.len);
    yr_scanner_destroy(scanner);
    return got == ERROR_SUCCESS;
}

void text_rules_match(struct text_rules *rules, struct str text, bool counts, struct text_hits *out)
{
    struct matching matching = {.rules = rules, .counts = counts, .out = out};
    *out = (struct text_hits){.n = 0};
    out->unfinished = !scan(&matching, text) || text.len > rules->limits.bytes;
}

enum err text_rules_read(const char *path, const struct text_rules_limits *limits,
                         struct text_rules **out, struct why *why)
{
    YR_RULES *compiled;
    enum err e = rules_compile(path, true, &compiled, why);
    if (e != OK)
        return e;
    size_t n = compiled->num_rules;
    struct text_rules *rules = calloc(1, sizeof *rules + n * sizeof rules->hits[0]);
    must(rules != NULL);
    atomic_init(&rules->refs, 1);
    rules->generation = random_u64();
    rules->limits = *limits;
    rules->compiled = compiled;
    rules->n = n;
    for (size_t i = 0; i < n; i++)
        atomic_init(&rules->hits[i], 0);
    // a module is asked for at the beginning of any scan
    struct text_hits none = {.n = 0};
    struct matching trial = {.rules = rules, .out = &none};
    (void)!scan(&trial, STR("a"));
    if (trial.imports != NULL) {
        e = why_say(why, ERR_MALFORMED,
                    "rules: %s: rules for texts may not import the module \"%s\"", path,
                    trial.imports);
        text_rules_unref(&rules);
        return e;
    }
    *out = rules;
    return OK;
}

struct text_rules *text_rules_ref(struct text_rules *rules)
{
    if (rules != NULL)
        atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
    return rules;
}

void text_rules_unref(struct text_rules **at)
{
    struct text_rules *rules = TAKE(*at);
    if (rules == NULL || atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel) != 1)
        return;
    yr_rules_destroy(rules->compiled);
    free(rules);
}

size_t text_rules_bytes(const struct text_rules *rules)
{
    return rules->limits.bytes;
}

uint64_t text_rules_generation(const struct text_rules *rules)
{
    return rules->generation;
}

void text_rules_each(struct text_rules *rules,
                     void (*fn)(void *context, const struct text_rule *rule), void *context)
{
    for (size_t i = 0; i < rules->n; i++) {
        const YR_RULE *rule = &rules->compiled->rules_table[i];
        if (RULE_IS_PRIVATE(rule))
            continue;
        fn(context, &(struct text_rule){
                        .name = str_of(rule->identifier),
                        .suspects = rule_suspects(rule),
                        .n_hits = atomic_load_explicit(&rules->hits[i], memory_order_relaxed),
                    });
    }
}
