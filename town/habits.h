/*
 * What the simulated person does besides opening (town/people.h) and chatting.
 *
 * Source: the model that docs/containment.md states once.  A link that reached
 * somebody is honestly passed on with a small probability to one to three
 * contacts, a log-normal time later (median two minutes); reports and warnings
 * are nobody's by default, so that what the guard does without people's help is
 * seen first.
 */
#ifndef TOWN_HABITS_H
#define TOWN_HABITS_H

#include "base/str.h"
#include "town/people.h"

struct habits {
    double reshare;   // chance that a received link is passed on: 0.02
    double obey;      // share of clients that carry out a retraction: 1
    double answer;    // share of people who answer the guard's question: 0.5
    double composing; // share of people whose clients send chat states: 0.8
    double report;    // chance that somebody who will not open a lure reports it: 0
    double warn;      // …and that he warns contacts, quoting it: 0
    double heed;      // chance that a page that warns turns somebody back: 0.7
    double encrypted; // share of people whose messages are encrypted end to end: 0
};

extern const struct habits habits_usual;
extern const double habits_typed; // share of texts that are typed; the rest is pasted: 0.9
extern const struct delay_model habits_resharing, // median 120 s
    habits_answering,                             // median 60 s
    habits_reporting;                             // median 60 s

/* What a person's client does: the same for the same seed, whatever happens. */
struct client_ways {
    bool types; // sends chat states
    bool obeys; // carries out retractions
};
struct client_ways habits_client(const struct habits *habits, uint64_t seed, uint32_t person);
/* The guard asks somebody, who has luck of his own: whether he answers, and then after how long. */
bool habits_answers(const struct habits *habits, struct prng *luck, int64_t *delay_us);

/* One of the habits by its name.  ERR_MALFORMED. */
enum err habits_set(struct habits *habits, struct str key, struct str value,
                    struct why *why) MUST_CHECK;

#endif
