/*
 * Looking at texts by an operator's rules (files/text_rules.h), beside the workers.
 *
 * A stanza with words waits, as one with a lure waits for the guard; then each
 * rule that matched is a lure of its own, and goes to the guard with the others.
 * What there is no time or room for passes without: the operator is alarmed.
 * What the store kept is looked at again by rules that it has not met, a page at
 * once, before it is shown.
 *
 * The thread that looks notes what it has in hand, so that a text that brings
 * YARA down does so twice at most.
 */
#include "im/gate_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/text_rules.h"
#include "im/desk.h"
#include "im/lures.h"
#include "route/in_hand.h"

#include <stdlib.h>

enum {
    CLEAN_MOST = 1 << 15,  // rows that are remembered, a quarter of a MiB
    WORDS_ROOM = 64 << 20, // of one row's words, while they are collected
};

// For a page as for a stanza: then it goes on, with what was found by then.
static const int64_t patience_us = 2 * SECOND_US;

struct reader {
    atomic_flag busy;
    struct in_hand_slot *in_hand;
};

struct gate_readings {
    struct kitchen *kitchen; // NULL: stopped
    /* Rows in which rules found nothing, by id and the rules' generation: one may push out another,
     * and is looked at again.  Any thread. */
    atomic_uint_fast64_t clean[CLEAN_MOST];
    size_t n;
    struct reader readers[];
};

struct gate_reading {
    struct job job;
    struct gate_readings *readings;
    struct home *home;
    struct text_rules *rules; // counted
    struct stanza *stanza;    // counted
    struct judging *judging;  // NULL: it has gone on
    struct text_hits hits;
    size_t len;
    char words[];
};

enum err gate_readings_new(const struct gate_options *options, struct in_hand *in_hand,
                           size_t first_slot, struct gate_readings **out, struct why *why)
{
    struct gate_readings *readings =
        calloc(1, sizeof *readings + options->readers * sizeof readings->readers[0]);
    must(readings != NULL);
    readings->n = options->readers;
    for (size_t i = 0; i < readings->n; i++) {
        atomic_flag_clear(&readings->readers[i].busy);
        readings->readers[i].in_hand = in_hand_slot(in_hand, first_slot + i);
    }
    enum err e = kitchen_new(options->readers, options->readings, &readings->kitchen, why);
    if (e != OK) {
        free(readings);
        return e;
    }
    *out = readings;
    return OK;
}

void gate_readings_stop(struct gate_readings *readings)
{
    if (readings != NULL && readings->kitchen != NULL)
        kitchen_free(&readings->kitchen);
}

void gate_readings_free(struct gate_readings **at)
{
    gate_readings_stop(*at);
    free(*at);
    *at = NULL;
}

static void reading_free(struct gate_reading **at)
{
    struct gate_reading *reading = TAKE(*at);
    stanza_unref(&reading->stanza);
    text_rules_unref(&reading->rules);
    free(reading);
}

// As many as threads: one is free.
static struct reader *reader_of_thread(struct gate_readings *readings)
{
    size_t i = 0;
    while (i < readings->n && atomic_flag_test_and_set(&readings->readers[i].busy))
        i++;
    must(i < readings->n);
    return &readings->readers[i];
}

static void look(struct job *job)
{
    struct gate_reading *reading = CONTAINER_OF(job, struct gate_reading, job);
    struct reader *reader = reader_of_thread(reading->readings);
    if (in_hand_begin(reader->in_hand, reading->stanza)) // what is put aside is not looked at
        text_rules_match(reading->rules, str_make(reading->words, reading->len), true,
                         &reading->hits);
    in_hand_done(reader->in_hand);
    atomic_flag_clear(&reader->busy);
}

static void note_hit(struct judging *judging, const struct text_hit *hit)
{
    struct arena arena;
    arena_init(&arena, 8192);
    log_event(LOG_NOTICE, "text-rule-matched", "account=%.*s rule=%.*s suspects=%s",
              STR_ARGS(judging->account->jid.full), STR_ARGS(log_quote(&arena, hit->rule)),
              hit->suspects ? "yes" : "no");
    arena_done(&arena);
    lure_add_words(&judging->lures, hit->rule, !hit->suspects);
}

static void looked(struct job *job)
{
    struct gate_reading *reading = CONTAINER_OF(job, struct gate_reading, job);
    struct judging *judging = reading->judging;
    struct desk_counters *counters = &desk_of(reading->home)->counters;
    counters->texts_read++;
    counters->texts_matched += reading->hits.n > 0;
    counters->texts_unfinished += reading->hits.unfinished;
    if (judging != NULL) {
        judging->reading = NULL;
        for (size_t i = 0; i < reading->hits.n; i++)
            note_hit(judging, &reading->hits.at[i]);
        gate_was_read(judging);
    }
    reading_free(&reading);
}

enum err gate_read(struct judging *judging, struct text_rules *rules, struct str words)
{
    struct gate_readings *readings = judging->gate->readings;
    struct gate_reading *reading = calloc(1, sizeof *reading + words.len);
    must(reading != NULL);
    reading->readings = readings;
    reading->home = judging->home;
    reading->judging = judging;
    reading->rules = text_rules_ref(rules);
    reading->stanza = stanza_ref(judging->stanza);
    reading->job = (struct job){.run = look, .done = looked};
    reading->len = words.len;
    memcpy(reading->words, words.at, words.len);
    enum err e = readings->kitchen == NULL
                     ? ERR_BUSY
                     : kitchen_order(readings->kitchen, &reading->job, judging->home->loop);
    if (e == OK)
        judging->reading = reading;
    else
        reading_free(&reading);
    return e;
}

void gate_read_no_more(struct judging *judging)
{
    judging->reading->judging = NULL;
    judging->reading = NULL;
}

/* ---- What the store kept ---- */

struct look_row {
    int64_t id;
    struct str stanza; // of the look's own
    struct text_hits hits;
    bool unread;
};

struct gate_look {
    struct job job;
    struct timer patience;
    struct gate_readings *readings;
    struct home *home;
    struct account *account;  // held
    struct text_rules *rules; // counted
    gate_looked_fn *then;     // NULL: it took too long, and the page has gone on
    void *context;
    int64_t until_us;
    size_t n_words; // rows with words that were looked at
    size_t n;
    struct look_row rows[];
};

const struct text_hits *gate_look_hits(const struct gate_look *look, size_t row)
{
    return look != NULL && look->rows[row].hits.n > 0 ? &look->rows[row].hits : NULL;
}

bool gate_hits_forbid(const struct text_hits *hits)
{
    return hits != NULL && hits->n > 0 && !hits->at[0].suspects; // these come first
}

static atomic_uint_fast64_t *clean_of(struct gate_readings *readings, int64_t id)
{
    return &readings->clean[(uint64_t)id * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (CLEAN_MOST - 1)];
}

static uint64_t clean_mark(const struct text_rules *rules, int64_t id)
{
    return text_rules_generation(rules) ^ (uint64_t)id;
}

static bool is_clean(struct gate_readings *readings, const struct text_rules *rules, int64_t id)
{
    return id != 0 && atomic_load_explicit(clean_of(readings, id), memory_order_relaxed) ==
                          clean_mark(rules, id);
}

static void look_at_row(struct gate_look *look, struct reader *reader, struct look_row *row)
{
    struct stanza *stanza = stanza_parse(row->stanza);
    if (stanza == NULL)
        return; // whoever shows it says so
    struct arena arena;
    arena_init(&arena, WORDS_ROOM);
    struct str words = lures_words(&arena, stanza->root, text_rules_bytes(look->rules));
    if (words.len > 0 && in_hand_begin(reader->in_hand, stanza)) {
        look->n_words++;
        text_rules_match(look->rules, words, true, &row->hits);
    }
    in_hand_done(reader->in_hand);
    arena_done(&arena);
    stanza_unref(&stanza);
    if (row->id != 0 && row->hits.n == 0 && !row->hits.unfinished)
        atomic_store_explicit(clean_of(look->readings, row->id), clean_mark(look->rules, row->id),
                              memory_order_relaxed);
}

static void look_at_rows(struct job *job)
{
    struct gate_look *look = CONTAINER_OF(job, struct gate_look, job);
    struct reader *reader = reader_of_thread(look->readings);
    for (size_t i = 0; i < look->n; i++) {
        if (look->rows[i].stanza.len == 0)
            continue;
        look->rows[i].unread = clock_now_us() > look->until_us;
        if (!look->rows[i].unread)
            look_at_row(look, reader, &look->rows[i]);
    }
    atomic_flag_clear(&reader->busy);
}

static void look_free(struct gate_look *look)
{
    text_rules_unref(&look->rules);
    account_release(look->account);
    free(look);
}

static void count_look(const struct gate_look *look)
{
    struct desk_counters *counters = &desk_of(look->home)->counters;
    uint64_t n_unread = 0;
    for (size_t i = 0; i < look->n; i++) {
        counters->texts_matched += look->rows[i].hits.n > 0;
        counters->texts_unfinished += look->rows[i].hits.unfinished;
        n_unread += look->rows[i].unread;
    }
    counters->texts_passed += n_unread;
    if (n_unread > 0)
        gate_alarm(desk_of(look->home));
}

static void note_stored_hits(const struct gate_look *look)
{
    struct arena arena;
    arena_init(&arena, (size_t)64 << 10);
    for (size_t i = 0; i < look->n; i++)
        for (size_t k = 0; k < look->rows[i].hits.n; k++) {
            const struct text_hit *hit = &look->rows[i].hits.at[k];
            arena_reset(&arena);
            log_event(LOG_NOTICE, "text-rule-matched",
                      "account=%.*s rule=%.*s suspects=%s row=%lld",
                      STR_ARGS(look->account->jid.full), STR_ARGS(log_quote(&arena, hit->rule)),
                      hit->suspects ? "yes" : "no", (long long)look->rows[i].id);
        }
    arena_done(&arena);
}

static void rows_looked_at(struct job *job)
{
    struct gate_look *look = CONTAINER_OF(job, struct gate_look, job);
    loop_timer_cancel(&look->patience);
    desk_of(look->home)->counters.texts_read += look->n_words;
    if (look->then != NULL) { // else all of it was counted as passed
        count_look(look);
        note_stored_hits(look);
        look->then(look->context, look);
    }
    look_free(look);
}

static void look_takes_too_long(struct timer *timer)
{
    struct gate_look *look = CONTAINER_OF(timer, struct gate_look, patience);
    gate_looked_fn *then = look->then;
    void *context = look->context;
    look->then = NULL;
    desk_of(look->home)->counters.texts_passed += look->n;
    gate_alarm(desk_of(look->home));
    then(context, NULL);
}

static struct gate_look *look_new(const struct account *account, struct text_rules *rules,
                                  const struct store_message *rows, size_t n)
{
    struct gate_readings *readings = desk_of(account->home)->service->gate->readings;
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += rows[i].stanza.len;
    struct gate_look *look = calloc(1, sizeof *look + n * sizeof look->rows[0] + size);
    must(look != NULL);
    char *begin = (char *)&look->rows[n], *at = begin;
    look->n = n;
    for (size_t i = 0; i < n; i++) {
        look->rows[i].id = rows[i].id;
        look->rows[i].stanza = STR_EMPTY;
        if (rows[i].stanza.len == 0 || is_clean(readings, rules, rows[i].id))
            continue;
        memcpy(at, rows[i].stanza.at, rows[i].stanza.len);
        look->rows[i].stanza = str_make(at, rows[i].stanza.len);
        at += rows[i].stanza.len;
    }
    if (at == begin) { // nothing that these rules have not met
        free(look);
        return NULL;
    }
    look->readings = readings;
    look->rules = text_rules_ref(rules);
    return look;
}

void gate_look_again(struct account *account, const struct store_message *rows, size_t n,
                     gate_looked_fn *then, void *context)
{
    const struct desk *desk = desk_of(account->home);
    const struct gate *gate = desk->service->gate;
    struct text_rules *rules = desk->settings->text_rules;
    struct gate_look *look = NULL;
    if (gate != NULL && rules != NULL && gate_mode(account) != GATE_OFF)
        look = look_new(account, rules, rows, n);
    if (look == NULL) {
        then(context, NULL);
        return;
    }
    account_hold(account);
    look->account = account;
    look->home = account->home;
    look->then = then;
    look->context = context;
    // what the last row takes then is still in time for what the others have shown
    look->until_us = clock_now_us() + patience_us / 4 * 3;
    look->job = (struct job){.run = look_at_rows, .done = rows_looked_at};
    if (look->readings->kitchen != NULL &&
        kitchen_order(look->readings->kitchen, &look->job, look->home->loop) == OK) {
        loop_timer_set(look->home->loop, &look->patience, patience_us, look_takes_too_long);
        return;
    }
    desk_of(look->home)->counters.texts_passed += look->n;
    gate_alarm(desk_of(look->home));
    look_free(look);
    then(context, NULL);
}
