/*
 * Looking at texts by an operator's rules (files/text_rules.h), beside the workers.
 *
 * A stanza with words waits, as one with a lure waits for the guard; then each
 * rule that matched is a lure of its own, and goes to the guard with the others.
 * What there is no time or room for passes without: the operator is alarmed.
 *
 * The thread that looks notes what it has in hand, so that a text that brings
 * YARA down does so twice at most.
 */
#include "im/gate_internal.h"

#include "base/log.h"
#include "base/must.h"
#include "files/text_rules.h"
#include "im/desk.h"
#include "route/in_hand.h"

#include <stdlib.h>

struct reader {
    atomic_flag busy;
    struct in_hand_slot *in_hand;
};

struct gate_readings {
    struct kitchen *kitchen; // NULL: stopped
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
