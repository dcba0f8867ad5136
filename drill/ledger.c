/*
 * An array that grows; the number in an id is the place in it.
 */
#include "drill/ledger.h"

#include "base/must.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void ledger_init(struct ledger *ledger)
{
    char id[RANDOM_ID_SIZE + 1];
    *ledger = (struct ledger){0};
    arena_init(&ledger->texts, (size_t)4 << 30);
    random_id_z(id);
    snprintf(ledger->tag, sizeof ledger->tag, "%.7s", id);
}

void ledger_done(struct ledger *ledger)
{
    free(ledger->at);
    arena_done(&ledger->texts);
    *ledger = (struct ledger){0};
}

uint32_t ledger_say(struct ledger *ledger, enum said_kind kind, uint32_t from, uint32_t to,
                    struct str text, int64_t now_us)
{
    if (ledger->n == ledger->room) {
        ledger->room = ledger->room == 0 ? 4096 : 2 * ledger->room;
        ledger->at = realloc(ledger->at, ledger->room * sizeof *ledger->at);
        must(ledger->at != NULL);
    }
    ledger->at[ledger->n] = (struct said){.kind = kind,
                                          .from = from,
                                          .to = to,
                                          .sent_us = now_us,
                                          .text = arena_str(&ledger->texts, text)};
    return ledger->n++;
}

void ledger_id(const struct ledger *ledger, uint32_t number, char out[LEDGER_ID_SIZE])
{
    snprintf(out, LEDGER_ID_SIZE, "%s-%u", ledger->tag, number);
}

struct said *ledger_find(const struct ledger *ledger, struct str id)
{
    struct str tag = str_of(ledger->tag);
    uint64_t number;
    if (!str_starts(id, tag) || id.len < tag.len + 2 || id.at[tag.len] != '-' || ledger->n == 0 ||
        str_to_u64(str_skip(id, tag.len + 1), 0, ledger->n - 1, &number) != OK)
        return NULL;
    return &ledger->at[number];
}

double ledger_delay_s(const struct said *said, double speed)
{
    double wall_s = (double)(said->received_us - said->sent_us) / 1e6;
    return said->stamped ? wall_s * speed : wall_s;
}

static unsigned delay_row(double seconds)
{
    double row = 2 * log2(seconds / 1e-3);
    return row < 0 ? 0 : row > 31 ? 31 : (unsigned)row;
}

double ledger_delay_row_s(unsigned row)
{
    return 1e-3 * exp2(row / 2.0);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool is_open(const struct said *said)
{
    return said->kind == SAID_HONEST && said->n_received == 0 && !said->rejected;
}

static double sorted_percentile(double *delays, uint32_t n, double share)
{
    if (n == 0)
        return 0;
    qsort(delays, n, sizeof *delays, compare);
    return delays[(uint32_t)(share * (n - 1))];
}

static void count(const struct said *said, struct honest_tally *out)
{
    bool returned = said->rejected && (said->asked || said->n_received > 0);
    bool gone = said->n_received > 0 && said->retracted && !returned;
    out->n_sent++;
    out->n_rejected += said->rejected;
    out->n_rejected_infected += said->rejected && said->from_infected;
    out->n_returned += returned && !said->from_infected;
    out->n_taken_back += gone && !said->warns;
    out->n_withdrawn += gone && said->warns;
    out->n_lost += (is_open(said) && !said->asked) || (gone && !said->warns);
    out->n_twice += said->n_received > 1;
    out->n_dead += said->dead;
    out->n_for_answer += said->asked && said->n_received == 0;
}

void ledger_tally(const struct ledger *ledger, double speed, bool traps, struct honest_tally *out)
{
    *out = (struct honest_tally){0};
    double *delays = malloc((ledger->n + 1) * sizeof *delays);
    double *quick = malloc((ledger->n + 1) * sizeof *quick);
    must(delays != NULL && quick != NULL);
    uint32_t n_quick = 0;
    for (uint32_t i = 0; i < ledger->n; i++) {
        const struct said *said = &ledger->at[i];
        if (said->kind != SAID_HONEST || (traps && !said->is_trap))
            continue;
        count(said, out);
        if (said->n_received == 0)
            continue;
        double seconds = ledger_delay_s(said, speed);
        delays[out->n_received++] = seconds;
        out->n_held += seconds > 2;
        out->n_for_answer += seconds > 2 && said->asked;
        if (!said->asked && seconds > out->longest_unasked_s)
            out->longest_unasked_s = seconds;
        out->delays[delay_row(seconds)]++;
        if (!said->stamped)
            quick[n_quick++] = seconds;
    }
    out->longest_s = sorted_percentile(delays, out->n_received, 1);
    out->median_s = sorted_percentile(delays, out->n_received, 0.5);
    out->p99_s = sorted_percentile(delays, out->n_received, 0.99);
    out->machine_s = sorted_percentile(quick, n_quick, 0.99);
    free(delays);
    free(quick);
}

uint32_t ledger_n_open(const struct ledger *ledger)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ledger->n; i++)
        n += is_open(&ledger->at[i]) && !ledger->at[i].asked;
    return n;
}
