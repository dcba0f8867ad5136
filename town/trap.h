/*
 * Traps: honest habits that look like a worm (containment.md, "Honest traffic
 * that must pass").  Each arranges what a few or many people will send from now
 * on, on a stage: a laboratory in virtual time plays it, and a drill over sockets.
 *
 * Figures are the design page's: 500 receivers of a broadcast desk, a third of
 * the people re-sharing a viral link within an hour, twelve people in 20 s, forty
 * greeted by a newcomer; the rest is said at each trap.
 */
#ifndef TOWN_TRAP_H
#define TOWN_TRAP_H

#include "base/err.h"
#include "base/random.h"
#include "base/str.h"
#include "town/graph.h"

/* How a message is sent, as far as its sender decides it. */
struct manner {
    bool composing; // his client says that he types, if it ever does
    bool encrypted; // end to end, whoever sends it
    int live;       // -1: as their talk of late says; else whether they talk both ways
};

/* One message of a trap. */
struct trap_line {
    double in_seconds; // from now
    uint32_t from, to;
    const char *text; // borrowed
    struct manner manner;
    bool warns; // of the worm, whose link it quotes
};

/* Who plays it, and what a trap must know of him. */
struct trap_stage {
    void *of;
    const struct graph *graph;
    struct prng *prng;
    struct str worm_link; // of the worm's first copy; empty: none
    void (*say)(void *of, const struct trap_line *line);
    // host: of the links that he may send to many; empty: any
    void (*entitle)(void *of, uint32_t who, const char *host);
};

struct trap {
    const char *name;  // "B1"
    const char *tells; // a sentence
    bool needs_worm;   // quotes or resembles the lure of one that is at work
    bool entitles;     // needs an operator who lets somebody write to many
    void (*set)(const struct trap_stage *stage);
};

/* All, ended by one without a name. */
extern const struct trap traps[];
/* By name, case ignored; NULL when there is none. */
const struct trap *trap_find(struct str name);
/* "B1,B4" or "all": adds them.  ERR_MALFORMED, ERR_LIMIT. */
enum { TRAPS_MOST = 32 };
enum err traps_read(struct str names, size_t most, const struct trap **out, size_t *n,
                    struct why *why) MUST_CHECK;
/* Seconds from a trap's beginning to its last message; seed: of the people. */
double trap_length_s(const struct trap *trap, const struct graph *graph, uint64_t seed);
/* The generator of a seed's traps: who does it.  The same in a laboratory and a drill. */
struct prng trap_prng(uint64_t seed);

enum { TRAP_S = 4 * 3600 }; // after which every trap is over

#endif
