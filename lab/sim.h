/*
 * The laboratory's engine: people, a worm and a defence between them, in virtual
 * time.  Deterministic for a seed; no sockets, no clock; everything goes through
 * the guard and the extraction of lures that the server uses, and what the guard
 * orders is done as the server does it (im/gate.h, im/containment.h):
 *
 *     hold       the message waits, and later ones of the same two people behind it, for a
 *                quarter of a minute at most
 *     reject     it returns to its sender
 *     dead link  a warning arrives, but what it quotes cannot be opened
 *     retract    copies vanish from clients that obey
 *     restrict   the guard itself refuses the account's lures
 *     ask        the sender is asked; some answer, truly, on a device that is theirs alone, or with
 *                the puzzle where the guard does not know which sent it; a worm says "yes" at once,
 *                on the device that it owns
 *
 * The model (docs/containment.md): everybody is online; a copy is in the client at
 * once; a person decides once whether he opens this lure and opens it after a
 * log-normal delay, median 21 s, unless the copy is gone by then.  Opening
 * infects.  What one person decides does not depend on what happens to others,
 * so the same seed compares defences on the same people.
 */
#ifndef LAB_SIM_H
#define LAB_SIM_H

#include "guard/guard.h"
#include "lab/copies.h"
#include "lab/defence.h"
#include "lab/queue.h"
#include "town/graph.h"
#include "town/habits.h"
#include "town/roster.h"
#include "town/trap.h"
#include "town/worm.h"

struct sim;

struct sim_config {
    const struct graph *graph;      // borrowed, as all here
    const struct lure_rules *rules; // NULL: its own
    const struct worm *worm;        // NULL: none
    struct habits habits;
    double open; // probability that a person opens the worm's lure
    enum roster_order roster;
    enum defence_kind defence;
    double decoys; // share of people who have a decoy of the guard among their contacts
    // Evidence from which the page of link protection warns (im/links.h); 0: links are not
    // protected.
    double protect_nats;
    struct guard_config guard_config;
    uint64_t seed;
};

/* The guard as the server runs it; everything else as the model says.  graph stays NULL. */
void sim_config_default(struct sim_config *config);

/* What became of honest messages. */
struct tally {
    uint64_t messages, lost, rejected, held, held_over_2s;
    uint64_t for_answer;     // of those held over 2 s: they waited for the sender's answer
    uint64_t asked;          // questions to people whose client no worm owns
    uint64_t returned;       // …and came back to him for want of one; not counted as rejected
    uint64_t withdrawn;      // warnings that were taken back with the lure they quote
    uint64_t dead;           // warnings delivered with a dead link
    int64_t longest_hold_us; // without a question
};

struct outcome {
    uint32_t infected, exposed, worm_copies; // infected counts patient zero; ours only
    // Those infected in the first generations, before people grow scarce, and whom they infected.
    uint32_t infectors, offspring;
    double conviction_s; // after the first copy; -1: none
    uint32_t copies_until_conviction;
    struct tally honest, trap;     // everyday's, and what traps said (sim_play)
    uint64_t rejected_of_infected; // honest links of restricted people whose clients the worm owns
    uint32_t restricted_rightly, restricted_wrongly;
    uint32_t honest_convictions; // of keys that no copy of the worm has
    uint32_t questions;          // in all
    uint32_t answers_yes, answers_no;
};

struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim **sim);
/* What happened so far. */
void sim_outcome(const struct sim *sim, struct outcome *out);
struct guard *sim_guard(struct sim *sim); // NULL: another defence
/* All events that the guard takes from now on, each after its length (uint64_t), for replay. */
void sim_log(struct sim *sim, struct buf *log);

int64_t sim_now_us(const struct sim *sim);
uint32_t sim_people(const struct sim *sim);
struct str sim_jid(const struct sim *sim, uint32_t person);

struct message {
    uint32_t from, to;
    struct str text;
    struct manner manner;
    enum said said;
    uint64_t identity; // whatever tells it from others, the same for every defence
};
/* Somebody sends it now. */
void sim_send(struct sim *sim, const struct message *message);
/* A warning that quotes a lure, at a time from now. */
void sim_warn(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text);
/* Arranges a trap from now on; what it says is tallied apart. */
void sim_play(struct sim *sim, const struct trap *trap);
void sim_entitle(struct sim *sim, uint32_t who, const char *domain);

/* Ordinary traffic, asked for as time goes on. */
struct traffic {
    void *of;
    int64_t (*next_us)(void *of); // INT64_MAX: over
    void (*say)(void *of, struct sim *sim);
};
void sim_traffic(struct sim *sim, const struct traffic *traffic); // copied; NULL: none

/* Somebody with five contacts or more opens the first lure now; or as many as the worm wants. */
void sim_infect(struct sim *sim);

/* Runs until that time; then now is that time. */
void sim_run_until(struct sim *sim, int64_t until_us);
void sim_run(struct sim *sim, double seconds);

/* Prints every incident with its evidence. */
void sim_show(const struct sim *sim);

#endif
