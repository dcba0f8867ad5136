/*
 * A small town in virtual time, for testing the guard: people on a graph who
 * chat, share links, open what they are sent; worms; honest habits that look
 * like worms.  Deterministic for a seed; everything goes through the guard and
 * the extraction that the server uses.
 *
 * Model: containment.md.  A person decides once whether he opens a lure, and
 * opens it after a log-normal delay with a median of 21 s, unless the copy is
 * gone by then.  Every client obeys retraction.
 */
#ifndef TESTS_UNIT_GUARD_SIM_H
#define TESTS_UNIT_GUARD_SIM_H

#include "base/random.h"
#include "guard/guard.h"

struct sim;

struct sim_config {
    uint32_t people;
    uint32_t contacts; // mean; Barabási–Albert
    uint64_t seed;
    double open;        // probability that a person opens a worm's lure
    bool guard;         // off: everything is delivered
    bool worm_composes; // the worm sends chat states
    double composers;   // share of people whose client sends chat states
    uint32_t history;   // honest messages before anything else happens
    struct guard_config guard_config;
};

void sim_config_default(struct sim_config *config);

struct sim_result {
    uint32_t infected, exposed, worm_copies; // infected counts patient zero
    double conviction_s;                     // after the first copy; -1: none
    uint32_t copies_until_conviction;
    uint32_t honest, rejected, held, lost; // lost: neither delivered nor rejected with a word
    double longest_hold_s;
    uint32_t restricted_rightly, restricted_wrongly;
    uint32_t made_dead; // warnings delivered with a dead link
};

struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim **sim);
struct guard *sim_guard(struct sim *sim);
struct prng *sim_prng(struct sim *sim);
int64_t sim_now_us(const struct sim *sim);
const struct sim_result *sim_result(const struct sim *sim);
/* All judged events as bytes, for replay. */
void sim_log(struct sim *sim, struct buf *log);

uint32_t sim_people(const struct sim *sim);
const uint32_t *sim_contacts(const struct sim *sim, uint32_t person, uint32_t *n);
struct str sim_jid(struct sim *sim, uint32_t person);

/* Runs until that long from now. */
void sim_run(struct sim *sim, double seconds);

/* How an honest person sends. */
struct sim_manner {
    bool composing;
    int live; // -1: as the graph says
};
/* An honest message at a time from now. */
void sim_say(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text,
             struct sim_manner manner);

enum sim_worm { WORM_P1, WORM_P2, WORM_P4, WORM_P5, WORM_P6 };
const char *sim_worm_name(enum sim_worm worm);
/* Somebody with five contacts or more opens the first lure now. */
void sim_infect(struct sim *sim, enum sim_worm worm);

/* Prints every incident with its evidence. */
void sim_show(struct sim *sim);

/* The history of config: chat with links as people send them. */
void sim_history(struct sim *sim);

#endif
