#include "lab/result.h"

#include "base/must.h"

#include <math.h>
#include <stdlib.h>

/* ---- Series ---- */

static void series_add(struct series *series, double value)
{
    if (series->n == series->room) {
        series->room = series->room == 0 ? 32 : 2 * series->room;
        series->at = realloc(series->at, series->room * sizeof *series->at);
        must(series->at != NULL);
    }
    // kept in order, so that a percentile is a look
    size_t i = series->n++;
    while (i > 0 && series->at[i - 1] > value) {
        series->at[i] = series->at[i - 1];
        i--;
    }
    series->at[i] = value;
}

double series_mean(const struct series *series)
{
    double sum = 0;
    for (size_t i = 0; i < series->n; i++)
        sum += series->at[i];
    return series->n > 0 ? sum / (double)series->n : NAN;
}

double series_percentile(const struct series *series, double share)
{
    if (series->n == 0)
        return NAN;
    double rank = ceil(share * (double)series->n);
    size_t at = rank < 1 ? 0 : (size_t)rank - 1;
    return series->at[at < series->n ? at : series->n - 1];
}

/* ---- Runs ---- */

static void add_tally(struct tally *sum, const struct tally *one)
{
    sum->messages += one->messages;
    sum->lost += one->lost;
    sum->rejected += one->rejected;
    sum->held += one->held;
    sum->held_over_2s += one->held_over_2s;
    sum->asked += one->asked;
    sum->for_answer += one->for_answer;
    sum->returned += one->returned;
    sum->withdrawn += one->withdrawn;
    sum->dead += one->dead;
    if (one->longest_hold_us > sum->longest_hold_us)
        sum->longest_hold_us = one->longest_hold_us;
}

void result_add(struct result *result, const struct run *run)
{
    const struct outcome *outcome = &run->outcome;
    result->n_seeds++;
    series_add(&result->infected, outcome->infected);
    series_add(&result->exposed, outcome->exposed);
    if (outcome->conviction_s >= 0) {
        series_add(&result->copies, outcome->copies_until_conviction);
        series_add(&result->seconds, outcome->conviction_s);
    }
    result->infectors += outcome->infectors;
    result->offspring += outcome->offspring;
    add_tally(&result->honest, &outcome->trap);
    if (!result->counts_trap)
        add_tally(&result->honest, &outcome->honest);
    result->restricted += outcome->restricted_wrongly;
    result->rightly += outcome->restricted_rightly;
    result->honest_convictions += outcome->honest_convictions;
    result->questions += outcome->questions;
    result->answers_yes += outcome->answers_yes;
    result->answers_no += outcome->answers_no;
    result->person_weeks += run->person_weeks;
    result->rejected_of_infected += outcome->rejected_of_infected;
    if (!run->has_guard)
        return;
    result->has_guard = true;
    result->message_ns += run->cost.message_ns;
    result->lure_ns += run->cost.lure_ns;
    result->bytes_users += (double)run->state.bytes_users;
    result->n_users += (double)run->state.n_users;
    result->bytes_clusters += (double)run->state.bytes_clusters;
    result->n_clusters += (double)run->state.n_clusters;
}

void result_done(struct result *result)
{
    free(result->infected.at);
    free(result->exposed.at);
    free(result->copies.at);
    free(result->seconds.at);
    *result = (struct result){0};
}

static double per(double sum, double n)
{
    return n > 0 ? sum / n : NAN;
}

static double per_million(const struct result *result, uint64_t n)
{
    return result->honest.messages > 0 ? 1e6 * (double)n / (double)result->honest.messages : 0;
}

// What is not known is null: JSON has no other word for it.
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* How often an honest person is asked: questions to those whose clients are a worm's are not
 * needless. */
static json_t *questions_json(const struct result *result)
{
    json_t *all =
        json_pack("{s:I, s:I, s:I, s:I, s:f, s:f}", "asked", (json_int_t)result->questions,
                  "needless", (json_int_t)result->honest.asked, "yes",
                  (json_int_t)result->answers_yes, "no", (json_int_t)result->answers_no,
                  "held_for_answer_per_million", per_million(result, result->honest.for_answer),
                  "returned_unanswered_per_million", per_million(result, result->honest.returned));
    json_object_set_new(all, "per_person_week",
                        number(per((double)result->honest.asked, result->person_weeks)));
    return all;
}

static double longest_s(const struct result *result)
{
    return (double)result->honest.longest_hold_us / 1e6;
}

static double ns_per(const struct result *result, double sum)
{
    return result->has_guard ? per(sum, result->n_seeds) : NAN;
}

/* ---- For programs ---- */

static json_t *spread(const struct series *series)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "mean", number(series_mean(series)), "p5",
                     number(series_percentile(series, 0.05)), "p95",
                     number(series_percentile(series, 0.95)), "max",
                     number(series_percentile(series, 1)));
}

json_t *result_json(const struct result *result)
{
    const struct tally *honest = &result->honest;
    json_t *of_honest = json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:I}", "messages", (json_int_t)honest->messages, "lost",
        (json_int_t)honest->lost, "rejected_per_million", per_million(result, honest->rejected),
        "held_over_2s_per_million", per_million(result, honest->held_over_2s), "longest_hold_s",
        longest_s(result), "accounts_restricted", (json_int_t)result->restricted);
    json_t *warnings = json_pack("{s:I, s:I}", "withdrawn", (json_int_t)honest->withdrawn, "dead",
                                 (json_int_t)honest->dead);
    json_t *cost = json_pack("{s:o, s:o, s:o, s:o}", "ns_per_message",
                             number(ns_per(result, result->message_ns)), "ns_per_lure",
                             number(ns_per(result, result->lure_ns)), "bytes_per_user",
                             number(per(result->bytes_users, result->n_users)), "bytes_per_cluster",
                             number(per(result->bytes_clusters, result->n_clusters)));
    json_t *all =
        json_pack("{s:s, s:f, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o}",
                  result->is_trap ? "trap" : "worm", result->name, "open", result->open, "defence",
                  defence_name(result->defence), "people", (int)result->people, "seeds",
                  (int)result->n_seeds, "infected", spread(&result->infected), "reproduction",
                  number(per((double)result->offspring, (double)result->infectors)), "exposed",
                  spread(&result->exposed), "copies_until_conviction", spread(&result->copies),
                  "seconds_until_conviction", spread(&result->seconds), "honest", of_honest,
                  "warnings", warnings, "cost", cost, "questions_per_million",
                  per_million(result, result->honest.asked), "questions", questions_json(result));
    must(all != NULL);
    return all;
}

/* ---- For people ---- */

void result_table_head(FILE *to, bool is_trap)
{
    fprintf(to,
            "%-8s %-5s %-9s %9s %8s %8s %9s %8s %10s | %10s %4s %8s %9s %8s %10s %8s %8s | %6s "
            "%6s %6s %7s\n",
            is_trap ? "trap" : "worm", "open", "defence", "infected", "p95", "max", "exposed",
            "copies", "seconds", "honest", "lost", "rej/M", "held/M", "longest", "restricted",
            "asked/M", "back/M", "ns/msg", "ns/lure", "B/user", "B/clust");
}

static void cell(FILE *to, double value, int width, int digits)
{
    if (isfinite(value))
        fprintf(to, " %*.*f", width, digits, value);
    else
        fprintf(to, " %*s", width, "-");
}

void result_table_row(FILE *to, const struct result *result)
{
    const struct tally *honest = &result->honest;
    fprintf(to, "%-8s %-5g %-9s", result->name, result->open, defence_name(result->defence));
    cell(to, series_mean(&result->infected), 9, 2);
    cell(to, series_percentile(&result->infected, 0.95), 8, 0);
    cell(to, series_percentile(&result->infected, 1), 8, 0);
    cell(to, series_mean(&result->exposed), 9, 1);
    cell(to, series_mean(&result->copies), 8, 1);
    cell(to, series_mean(&result->seconds), 10, 1);
    fprintf(to, " | %10llu %4llu", (unsigned long long)honest->messages,
            (unsigned long long)honest->lost);
    cell(to, per_million(result, honest->rejected), 8, 1);
    cell(to, per_million(result, honest->held_over_2s), 9, 1);
    cell(to, longest_s(result), 8, 1);
    fprintf(to, " %10llu", (unsigned long long)result->restricted);
    cell(to, per_million(result, result->honest.asked), 8, 1);
    cell(to, per_million(result, honest->returned), 8, 1);
    fputs(" |", to);
    cell(to, ns_per(result, result->message_ns), 6, 0);
    cell(to, ns_per(result, result->lure_ns), 6, 0);
    cell(to, per(result->bytes_users, result->n_users), 6, 0);
    cell(to, per(result->bytes_clusters, result->n_clusters), 7, 0);
    fputc('\n', to);
}
