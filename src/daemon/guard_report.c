/*
 * Each incident is judged by two questions: would the guard have convicted it,
 * and did anybody complain?
 *
 *                    somebody complained     nobody did
 *     convicted      agreed                  unreported
 *     not            missed                  held
 *
 * …but released, whatever else, where an operator said so.  What people of one
 * domain said of an incident speaks for all: the lure is the same.
 */
#include "daemon/guard_report.h"

#include "base/must.h"
#include "daemon/command.h"

#include <stdlib.h>

enum judgement { AGREED, UNREPORTED, MISSED, HELD, RELEASED, JUDGEMENTS };

static const char *const words[JUDGEMENTS] = {
    [AGREED] = "agreed", [UNREPORTED] = "unreported", [MISSED] = "missed",
    [HELD] = "held",     [RELEASED] = "released",
};

struct line {
    struct guard_tally tally; // its texts are the guard's: it does not move meanwhile
    uint64_t n_complaints;    // by people of any domain
    bool by_hand, released, convicted;
};

struct lines {
    struct line *at;
    size_t n, room;
};

static void add_line(void *context, const struct guard_tally *tally)
{
    struct lines *lines = context;
    if (lines->n == lines->room) {
        lines->room = lines->room == 0 ? 256 : 2 * lines->room;
        lines->at = realloc(lines->at, lines->room * sizeof *lines->at);
        must(lines->at != NULL);
    }
    lines->at[lines->n++] = (struct line){.tally = *tally};
}

static int by_incident(const void *a, const void *b)
{
    const struct guard_tally *x = &((const struct line *)a)->tally,
                             *y = &((const struct line *)b)->tally;
    if (x->incident != y->incident)
        return x->incident > y->incident ? -1 : 1; // newest first
    return str_cmp(x->domain, y->domain);
}

// Lines of one incident know the same.
static void compare(struct lines *lines)
{
    for (size_t i = 0, end; i < lines->n; i = end) {
        struct line all = {0};
        for (end = i;
             end < lines->n && lines->at[end].tally.incident == lines->at[i].tally.incident;
             end++) {
            const struct guard_tally *tally = &lines->at[end].tally;
            all.n_complaints += tally->n_reports;
            all.by_hand |= tally->by_hand_us != 0;
            all.released |= tally->released_us > tally->by_hand_us;
            all.convicted |= tally->convicted_us != 0;
        }
        for (size_t k = i; k < end; k++) {
            lines->at[k].n_complaints = all.n_complaints;
            lines->at[k].by_hand = all.by_hand;
            lines->at[k].released = all.released;
            lines->at[k].convicted = all.convicted;
        }
    }
}

static enum judgement judge(const struct line *line)
{
    bool complained = line->n_complaints > 0 || line->by_hand;
    if (line->released)
        return RELEASED;
    if (line->convicted)
        return complained ? AGREED : UNREPORTED;
    return complained ? MISSED : HELD;
}

static json_t *scope_of(int kind)
{
    return kind < 0 ? json_null() : json_string(lure_kind_name((enum lure_kind)kind));
}

static json_t *json_of_line(const struct line *line)
{
    const struct guard_tally *t = &line->tally;
    return json_pack("{s:I, s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}",
                     "incident", (json_int_t)t->incident, "scope", scope_of(t->kind), "domain",
                     json_of(t->domain), "judgement", words[judge(line)], "lure", json_of(t->shown),
                     "reject", (json_int_t)t->n_rejects, "hold", (json_int_t)t->n_holds, "retract",
                     (json_int_t)t->n_retracts, "restrict", (json_int_t)t->n_restricts, "reports",
                     (json_int_t)line->n_complaints, "first", json_of_time(t->first_us), "last",
                     json_of_time(t->last_us), "convicted", json_of_time(t->convicted_us),
                     "by_hand", json_of_time(t->by_hand_us), "released",
                     json_of_time(t->released_us));
}

enum { SCOPES = LURE_SEALED + 1 };

struct scope {
    uint64_t incidents, rejects, holds, retracts, restricts, honest_rejects, honest_holds;
};

struct totals {
    struct scope scopes[SCOPES];
    uint64_t sendings, rejects, holds, retracts, restricts, odd_reports;
    uint64_t honest_rejects, honest_holds;
    uint64_t incidents[JUDGEMENTS];
    int64_t first_us;
};

static void count(struct totals *totals, const struct line *line, bool is_first_of_incident)
{
    const struct guard_tally *t = &line->tally;
    if (totals->first_us == 0 || t->first_us < totals->first_us)
        totals->first_us = t->first_us;
    totals->sendings += t->n_sendings;
    totals->rejects += t->n_rejects;
    totals->holds += t->n_holds;
    totals->retracts += t->n_retracts;
    totals->restricts += t->n_restricts;
    if (t->incident == 0) {
        totals->odd_reports += t->n_reports;
        return;
    }
    enum judgement judgement = judge(line);
    bool honest = judgement == UNREPORTED || judgement == HELD || judgement == RELEASED;
    totals->incidents[judgement] += is_first_of_incident;
    totals->honest_rejects += honest ? t->n_rejects : 0;
    totals->honest_holds += honest ? t->n_holds : 0;
    if (t->kind < 0)
        return;
    struct scope *scope = &totals->scopes[t->kind];
    scope->incidents += is_first_of_incident;
    scope->rejects += t->n_rejects;
    scope->holds += t->n_holds;
    scope->retracts += t->n_retracts;
    scope->restricts += t->n_restricts;
    scope->honest_rejects += honest ? t->n_rejects : 0;
    scope->honest_holds += honest ? t->n_holds : 0;
}

static json_t *json_of_scopes(const struct totals *all)
{
    json_t *list = json_array();
    for (int kind = 0; kind < SCOPES; kind++) {
        const struct scope *s = &all->scopes[kind];
        json_array_append_new(
            list,
            json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "scope", scope_of(kind),
                      "incidents", (json_int_t)s->incidents, "would_reject", (json_int_t)s->rejects,
                      "would_hold", (json_int_t)s->holds, "would_retract", (json_int_t)s->retracts,
                      "would_restrict", (json_int_t)s->restricts, "honest_rejected",
                      (json_int_t)s->honest_rejects, "honest_held", (json_int_t)s->honest_holds));
    }
    return list;
}

static json_t *json_of_totals(const struct totals *all, const struct guard *guard,
                              struct str domain, int64_t since_us)
{
    struct guard_state state;
    guard_state(guard, &state);
    json_t *json = json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I}", "domain",
        domain.len > 0 ? json_of(domain) : json_string("all"), "since", json_of_time(since_us),
        "first", json_of_time(all->first_us), "messages", (json_int_t)all->sendings, "would_reject",
        (json_int_t)all->rejects, "would_hold", (json_int_t)all->holds, "would_retract",
        (json_int_t)all->retracts, "would_restrict", (json_int_t)all->restricts);
    for (size_t i = 0; i < JUDGEMENTS; i++)
        json_object_set_new(json, words[i], json_integer((json_int_t)all->incidents[i]));
    json_object_set_new(json, "honest_rejected", json_integer((json_int_t)all->honest_rejects));
    json_object_set_new(json, "honest_held", json_integer((json_int_t)all->honest_holds));
    json_object_set_new(json, "reports_of_nothing_known",
                        json_integer((json_int_t)all->odd_reports));
    json_object_set_new(json, "forgotten", json_integer((json_int_t)state.n_tallies_forgotten));
    return json;
}

json_t *guard_report(const struct guard *guard, struct str domain, int64_t since_us)
{
    struct lines lines = {0};
    guard_tallies(guard, add_line, &lines);
    if (lines.n > 1)
        qsort(lines.at, lines.n, sizeof *lines.at, by_incident);
    compare(&lines);
    struct totals totals = {0};
    json_t *list = json_array();
    uint64_t before = 0;
    for (size_t i = 0; i < lines.n; i++) {
        const struct line *line = &lines.at[i];
        if (line->tally.last_us < since_us ||
            (domain.len > 0 && !str_eq(line->tally.domain, domain)))
            continue;
        count(&totals, line, line->tally.incident != before);
        before = line->tally.incident;
        if (line->tally.incident != 0)
            json_array_append_new(list, json_of_line(line));
    }
    json_t *json = json_of_totals(&totals, guard, domain, since_us);
    json_object_set_new(json, "scopes", json_of_scopes(&totals));
    json_object_set_new(json, "incidents", list);
    free(lines.at);
    return json;
}
