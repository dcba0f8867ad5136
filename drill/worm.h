/*
 * Worms: what an infected client sends, to whom, and how fast.
 *
 * A worm is one campaign with its texts and hosts; an infection is the worm at
 * work in one person's client.  Each contact gets one copy from each infected
 * friend.  The profiles bear the numbers by which the guard's design speaks of
 * them.  No I/O, no clock: the town asks what to send next and does it.
 */
#ifndef DRILL_WORM_H
#define DRILL_WORM_H

#include "base/buf.h"
#include "drill/people.h"

struct worm_profile {
    const char *name;  // "P1"
    const char *title; // for people
    const char *tells; // a sentence
    bool replies;      // sends only as an answer to somebody who has just written
    double pause_s;    // between two copies; for replies, before the answer
    double jitter;     // the pause varies by this share
    double minutes;    // an outbreak worth watching takes about as long
    void (*write)(const struct worm_profile *profile, struct prng *campaign, struct prng *copy,
                  struct str victim, struct buf *out);
};

/* All profiles, ended by one without a name. */
extern const struct worm_profile worm_profiles[];
/* By name, case ignored; NULL when there is none. */
const struct worm_profile *worm_find(struct str name);

struct worm {
    const struct worm_profile *profile;
    uint64_t seed;
};

/* The worm at work in one client. */
struct infection {
    struct prng prng;
    uint32_t person;
    uint32_t n_sent, n_contacts;
    uint32_t *order; // the contacts as he goes through them; the first n_sent have had their copy
};

/* contacts: in the order in which his client knows them, which is how a worm goes through them.
 * Copied. */
void infection_init(struct infection *infection, const struct worm *worm, uint32_t person,
                    const uint32_t *contacts, uint32_t n_contacts);
void infection_done(struct infection *infection);

/* The next contact to be sent a copy; false when all have had theirs, or the worm only replies. */
bool infection_next(struct infection *infection, const struct worm *worm, uint32_t *contact);
/* Somebody has written.  Whether the worm answers him with a copy; then he counts as served. */
bool infection_answers(struct infection *infection, const struct worm *worm, uint32_t contact);
/* Until the next copy, or before an answer. */
int64_t infection_pause_us(struct infection *infection, const struct worm *worm);
/* Appends the children of the message that carries a copy to this victim (his local part). */
void infection_write(struct infection *infection, const struct worm *worm, struct str victim,
                     struct buf *out);

#endif
