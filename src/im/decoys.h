/*
 * Decoys on their homes: they come and go like the people around them.
 *
 * A worm that could tell a decoy from a colleague would leave it out, and its author has read this.
 * So as little as possible is made for decoys: what is asked of an address without resource the
 * server answers for everybody alike; and while a decoy is there it has a session like any other
 * and speaks through the same intake as a client's bytes do, so that routing, archives, receipts of
 * presence, blocking and errors cannot differ.  Only the client is missing: its answers, and how
 * long they take, are those that several people's clients give (im/portrait.h); until there are
 * such people no decoy comes.  It never writes.
 *
 * How many are there follows from how many of the domain's people are: each decoy has a threshold
 * of its own, drawn anew about once a day, and is there while that share is above it.
 */
#ifndef IM_DECOYS_H
#define IM_DECOYS_H

#include "im/feature.h"
#include "im/portrait.h"

struct decoys_desk;

/* The same portrait of several people. */
struct known_portrait {
    struct portrait *portrait;
    unsigned n_people;
    struct portrait_sitter {
        struct str account, resource; // of a client that answered so; own memory
        int64_t delay_us;             // how long it took
    } sitters[8];
    unsigned n_sitters;
};

struct decoys_domain {
    struct str name;
    double share;    // of its people who are there, as of the last round
    unsigned n_here; // out: on this home, decoys not counted
};

/* A portrait that was made on a home. */
struct portrait_made {
    struct link link;
    struct portrait *portrait;
    struct str account, resource; // own memory
    int64_t delay_us;
};
void portrait_made_free(struct portrait_made **made);

/* What the keeper (daemon/decoy_keeper.h) tells each home from time to time, and hears from it.
 * What it points to is not touched until it has come back. */
struct decoys_round {
    struct mail mail;
    struct home *home;
    struct loop *back;
    void (*done)(struct decoys_round *round); // on the loop back
    void *context;
    const struct str *names; // all decoys, bare
    size_t n_names;
    const struct known_portrait *portraits; // that decoys may have
    size_t n_portraits;
    struct decoys_domain *domains;
    size_t n_domains;
    int64_t every_us; // from one round to the next
    struct list made; // out: of struct portrait_made
    unsigned n_there; // out: decoys that are there
};
void decoys_round_send(struct decoys_round *round);

/* The worker has stopped: no decoy comes any more. */
void decoys_close(struct desk *desk);
void decoys_free(struct decoys_desk **decoys);

extern const struct feature feature_decoys;

#endif
