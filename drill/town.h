/*
 * The town: people with clients on real sockets, who chat, and a worm.
 *
 * A run logs everybody in, lets them chat, releases the worm in one client,
 * watches, and counts.  Everything that happens in the world of people is a
 * matter of seeds; what the network does with it is not.  One thread.
 */
#ifndef DRILL_TOWN_H
#define DRILL_TOWN_H

#include "drill/client/client.h"
#include "drill/ledger.h"
#include "town/chat.h"
#include "town/habits.h"
#include "town/trap.h"
#include "town/worm.h"

#include <stdio.h>

struct account {
    const char *user, *password; // user: the local part
};

/* What people see of the run, while it goes on and at its end. */
struct glance {
    double at_s; // of the drill; below zero before the worm is released
    uint32_t n_people, n_online, n_infected, n_exposed;
    uint32_t n_copies, n_honest, n_honest_received, n_honest_rejected;
};

struct plan {
    struct client_options client; // where and how to log in; roster, presence as given
    const struct account *accounts;
    const struct graph *graph; // as many people as accounts
    const char *texts;         // a file; NULL: the sample
    struct openness openness;
    struct chat_habits habits;
    struct habits people;            // of these: obey, answer, composing, reshare
    double phones;                   // share of people who have another device beside
    const struct worm_profile *worm; // NULL: nothing but chat
    uint64_t seed;
    double speed;      // seconds of the drill in one of the wall
    double warmup_s;   // chat before the worm; drill time, like all below
    double watch_s;    // from its release to the end of chatting
    double grace_s;    // for what is under way then
    unsigned meetings; // links that somebody honestly sends to a dozen people, after the release
    const struct trap *trap; // from the release on, or when the worm has begun; NULL: none
    double cuts_an_hour;     // of each person's connection, by a network that fails; it is resumed
    bool make_rosters;       // ties that the rosters lack are made: the accounts are strangers
    void (*look)(void *context, const struct glance *glance); // now and then; may be NULL
    void *context;
    /* The operator lets somebody send links of a host to many; NULL: there is none. */
    void (*entitle)(void *entitle_context, uint32_t who, const char *host);
    void *entitle_context;
    FILE *trace; // lines about honest messages that were held, rejected or lost; may be NULL
};

/* One person's infection; by == NOBODY: patient zero. */
struct infected {
    uint32_t person, by;
    double at_s; // since the release
};

struct outcome {
    struct infected *infected; // in order of time
    uint32_t n_infected, n_exposed;
    uint32_t n_copies, n_copies_received, n_copies_rejected, n_copies_retracted;
    uint32_t n_warned; // people who were sent a notice
    double seen_s;     // first sign of a conviction that a client saw, since the release;
                       // negative: none
    double watched_s;  // since the release, when the chatting ended
    struct honest_tally honest, trap; // the second is part of the first
    uint32_t n_questions;             // that people read; each counts once
    uint32_t n_asked, n_asked_traps;  // …put to people whose client no worm owns; to a trap's
    uint32_t n_answers_yes, n_answers_no;
    double lag_s;                // of the drill: by how much the machine was behind it at worst
    uint32_t n_cuts;             // connections that the drill cut
    uint32_t n_lost_connections; // that somebody else did
    double release_wall_s; // of the wall clock, since 1970: to compare with the server's record
};

/* Beyond this lag, in seconds of the drill, a run's figures are the machine's and not the guard's:
 * one in a hundred who open a lure does so within it. */
#define DRILL_LAG_MOST_S 2.0
/* Before a trap in which people have just talked with each other, so many seconds. */
#define DRILL_GREETINGS_S 60.0

enum err town_run(const struct plan *plan, struct outcome *out, struct why *why) MUST_CHECK;
void outcome_done(struct outcome *outcome);

#endif
