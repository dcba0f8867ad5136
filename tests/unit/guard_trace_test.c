/*
 * Honest traffic of real people through the guard: what did it do to them?
 *
 * FIREDOOR_DATA names a directory with benign-trace.tsv (from, to, time) and
 * benign-messages.txt (one text a line); without it nothing is run.
 * FIREDOOR_PASSES: how often the trace is walked with other texts (default 2).
 */
#include "test.h"

#include "base/buf.h"
#include "base/random.h"
#include "guard/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct step {
    uint32_t from, to;
    int64_t at_us;
};

static struct step *steps;
static size_t n_steps;
static char **texts;
static size_t n_texts;

static bool load(void)
{
    const char *directory = getenv("FIREDOOR_DATA");
    if (directory == NULL)
        return false;
    struct arena *arena = test_arena();
    FILE *trace = fopen(arena_printf(arena, "%s/benign-trace.tsv", directory).at, "r");
    FILE *lines = fopen(arena_printf(arena, "%s/benign-messages.txt", directory).at, "r");
    if (trace == NULL || lines == NULL)
        return false;
    static char line[65536];
    size_t room = 0;
    while (fgets(line, sizeof line, trace) != NULL) {
        struct str rest = str_trim(str_of(line));
        uint64_t from, to, at;
        if (str_to_u64(str_cut(&rest, '\t'), 0, UINT32_MAX, &from) != OK ||
            str_to_u64(str_cut(&rest, '\t'), 0, UINT32_MAX, &to) != OK ||
            str_to_u64(rest, 0, INT32_MAX, &at) != OK)
            continue; // the heading
        if (n_steps == room)
            steps = realloc(steps, (room = 2 * room + 1024) * sizeof *steps);
        steps[n_steps++] = (struct step){(unsigned)from, (unsigned)to, (int64_t)at * 1000000};
    }
    room = 0;
    while (fgets(line, sizeof line, lines) != NULL) {
        if (n_texts == room)
            texts = realloc(texts, (room = 2 * room + 1024) * sizeof *texts);
        line[strcspn(line, "\n")] = 0;
        texts[n_texts++] = strdup(line);
    }
    fclose(trace);
    fclose(lines);
    return n_steps > 0 && n_texts > 0;
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

struct outcome {
    uint64_t messages, lures, rejected, held, restricted, convicted;
    double judge_us;
    struct guard_state state;
};

enum { PEOPLE = 2048 };

/* density: how much faster the same traffic runs. */
static void walk(uint64_t seed, int64_t density, struct outcome *out)
{
    struct guard_config config;
    guard_config_default(&config);
    struct guard *guard = guard_new(&config, seed);
    struct lure_rules *rules = lure_rules_new();
    struct prng prng = {seed};
    // when one last wrote to another
    int64_t *last = calloc((size_t)PEOPLE * PEOPLE, sizeof *last);
    int64_t *last_any = calloc(PEOPLE, sizeof *last_any);
    const int64_t week_us = INT64_C(7 * 86400) * 1000000 / density;
    for (size_t i = 0; i < n_steps; i++) {
        uint32_t from = steps[i].from % PEOPLE, to = steps[i].to % PEOPLE;
        // the trace knows seconds; within one, messages come in their order
        int64_t now_us = steps[0].at_us + (steps[i].at_us - steps[0].at_us) / density;
        struct str text = str_of(texts[prng_below(&prng, n_texts)]);
        struct arena arena;
        arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
        struct lure_list list;
        lure_list_init(&list, rules, &arena);
        lure_scan_text(&list, text);
        char a[32], b[32];
        snprintf(a, sizeof a, "u%u@campus.example", from);
        snprintf(b, sizeof b, "u%u@campus.example", to);
        int64_t *mine = &last[from * PEOPLE + to], yours = last[to * PEOPLE + from];
        out->messages++;
        if (list.n > 0 || list.overflowed) {
            out->lures++;
            struct lure_people people = {
                .names = {str_of(a), str_of(b)},
                  .n = 2
            };
            lure_list_keys(&list, &people);
            struct sending sending = {
                .message = i,
                .sender = str_of(a),
                .receiver = str_of(b),
                .audience = 1,
                .warns = lure_text_warns(&list, text),
                .overflowed = list.overflowed,
                .shape = lure_text_shape(&list, text, &people),
                .lures = list.lures,
                .n_lures = list.n,
                .pace = {.gap_us = last_any[from] != 0 ? now_us - last_any[from] : -1,
                         .roster_index = -1,
                         .live = *mine != 0 && yours != 0 && now_us - *mine < week_us &&
                                 now_us - yours < week_us,
                         .first_contact = *mine == 0,
                         .account_age_us = -1}
            };
            struct guard_word word;
            guard_word_init(&word, &arena);
            double at = cpu_us();
            enum verdict verdict = guard_judge(guard, &sending, now_us, &word);
            out->judge_us += cpu_us() - at;
            out->rejected += verdict == VERDICT_REJECT;
            out->held += verdict == VERDICT_HOLD;
            for (size_t k = 0; k < word.n_orders; k++) {
                out->restricted += word.orders[k].kind == ORDER_RESTRICT && !word.orders[k].undo;
                out->convicted += word.orders[k].kind == ORDER_STOP && !word.orders[k].undo;
                out->rejected += word.orders[k].kind == ORDER_REJECT_HELD;
            }
            if (verdict == VERDICT_DELIVER) {
                struct lure_key keys[64];
                struct exposure exposure = {
                    .sender = str_of(a), .receiver = str_of(b), .keys = keys};
                exposure.n_keys = lure_list_collect(&list, keys, COUNT_OF(keys));
                guard_exposed(guard, &exposure, now_us, &word);
            }
        }
        *mine = last_any[from] = now_us;
        arena_done(&arena);
    }
    guard_state(guard, &out->state);
    if (getenv("FIREDOOR_SHOW") != NULL) {
        struct arena arena;
        arena_init(&arena, (size_t)64 << 20);
        uint64_t at = 0, id;
        while ((id = guard_incident_next(guard, &at)) != 0) {
            struct incident incident;
            check(guard_incident(guard, id, &arena, &incident) == OK);
            printf("  %s %.1f nats %.*s: %u sendings, %u relays, %u held, %u rejected\n",
                   incident_state_name(incident.state), incident.nats, STR_ARGS(incident.shown),
                   incident.n_sendings, incident.n_relays, incident.n_held, incident.n_rejected);
            for (size_t i = 0; i < incident.n_evidence; i++)
                printf("    %9.1fs %5.2f %s %.*s\n",
                       (double)(incident.evidence[i].at_us - incident.first_us) / 1e6,
                       incident.evidence[i].nats, evidence_kind_name(incident.evidence[i].kind),
                       STR_ARGS(incident.evidence[i].who));
        }
        arena_done(&arena);
    }
    free(last);
    free(last_any);
    guard_free(&guard);
    lure_rules_free(&rules);
}

TEST(real_traffic_is_left_alone)
{
    if (!load()) {
        printf("skipped: FIREDOOR_DATA is not set\n");
        return;
    }
    const char *passes = getenv("FIREDOOR_PASSES");
    uint64_t n = 2;
    if (passes != NULL)
        check(str_to_u64(str_of(passes), 1, 1000, &n) == OK);
    static const int64_t densities[] = {1, 10, 50};
    for (size_t d = 0; d < COUNT_OF(densities); d++) {
        struct outcome out = {0};
        for (uint64_t seed = 1; seed <= n; seed++)
            walk(seed, densities[d], &out);
        double million = (double)out.messages / 1e6;
        printf(
            "density %2d: %llu messages, %llu with lures; per million: rejected %.1f, held %.1f; "
            "convicted %llu, restricted %llu; %.2f us a lure; %zu KiB for %llu people, %llu "
            "clusters, %llu hosts; novel share %.3f\n",
            (int)densities[d], (unsigned long long)out.messages, (unsigned long long)out.lures,
            (double)out.rejected / million, (double)out.held / million,
            (unsigned long long)out.convicted, (unsigned long long)out.restricted,
            out.judge_us / (double)out.lures, out.state.bytes / 1024,
            (unsigned long long)out.state.n_users, (unsigned long long)out.state.n_clusters,
            (unsigned long long)out.state.n_hosts, out.state.novel_share);
        check(out.restricted == 0);
        check((double)out.rejected / million <= 5);
        check((double)out.held / million <= 50);
    }
}
