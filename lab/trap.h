/*
 * Traps: honest habits that look like a worm (containment.md, "Honest traffic
 * that must pass").  Each arranges what a few or many people will send from now
 * on; what it arranges is tallied apart (sim_trap).
 *
 * Figures are the design page's: 500 receivers of a broadcast desk, a third of
 * the people re-sharing a viral link within an hour, twelve people in 20 s, forty
 * greeted by a newcomer; the rest is said at each trap.
 */
#ifndef LAB_TRAP_H
#define LAB_TRAP_H

#include "lab/sim.h"

struct trap {
    const char *name;  // "B1"
    const char *tells; // a sentence
    bool needs_worm;   // quotes or resembles the lure of one that is at work
    void (*set)(struct sim *sim);
};

/* All, ended by one without a name. */
extern const struct trap traps[];
/* By name, case ignored; NULL when there is none. */
const struct trap *trap_find(struct str name);
/* Arranges it; nothing where the graph has nobody with enough contacts. */
void trap_set(const struct trap *trap, struct sim *sim);

enum { TRAP_S = 4 * 3600 }; // after which every trap is over

#endif
