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

void ledger_tally(const struct ledger *ledger, double speed, struct honest_tally *out)
{
    *out = (struct honest_tally){0};
    double *delays = malloc((ledger->n + 1) * sizeof *delays);
    must(delays != NULL);
    for (uint32_t i = 0; i < ledger->n; i++) {
        const struct said *said = &ledger->at[i];
        if (said->kind != SAID_HONEST)
            continue;
        out->n_sent++;
        out->n_rejected += said->rejected;
        out->n_rejected_infected += said->rejected && said->from_infected;
        out->n_lost += !said->rejected && said->n_received == 0;
        out->n_twice += said->n_received > 1;
        if (said->n_received == 0)
            continue;
        double seconds = ledger_delay_s(said, speed);
        delays[out->n_received++] = seconds;
        out->n_held += seconds > 2;
        out->delays[delay_row(seconds)]++;
    }
    qsort(delays, out->n_received, sizeof *delays, compare);
    if (out->n_received > 0) {
        out->longest_s = delays[out->n_received - 1];
        out->median_s = delays[out->n_received / 2];
        out->p99_s = delays[(uint32_t)(0.99 * (out->n_received - 1))];
    }
    free(delays);
}

uint32_t ledger_n_open(const struct ledger *ledger)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ledger->n; i++) {
        const struct said *said = &ledger->at[i];
        n += said->kind == SAID_HONEST && said->n_received == 0 && !said->rejected;
    }
    return n;
}
