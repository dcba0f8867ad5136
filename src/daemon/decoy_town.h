/*
 * A domain's people and who knows whom, read from the store for a command that
 * places decoys.  On the main loop; guard/placement.h chooses on it in a kitchen.
 */
#ifndef DAEMON_DECOY_TOWN_H
#define DAEMON_DECOY_TOWN_H

#include "base/table.h"
#include "daemon/daemon.h"
#include "im/gate_errand.h"

struct decoy_person {
    struct str bare; // in names
    int64_t number;
    uint32_t index; // among all
    bool left_out;  // holds no decoy: is one, or disabled, or whatever the command says
    bool chosen;
    bool holds; // the command's
};

struct decoy_town {
    // the caller's
    struct command_call *call;
    struct daemon *daemon;
    struct str domain;
    bool people_only; // their rosters are not read
    /* Who holds none; and an item of somebody's roster as it is read.  May be NULL. */
    bool (*leaves_out)(struct decoy_town *town, const struct store_account *account,
                       struct str bare);
    void (*on_item)(struct decoy_town *town, struct decoy_person *person,
                    const struct store_roster_item *item);
    /* All is read, or chosen.  Failures end the command: failed is called first. */
    void (*then)(struct decoy_town *town);
    void (*failed)(struct decoy_town *town, enum err e, const char *why);

    struct arena names; // the accounts' addresses
    struct table by_name;
    struct table decoys; // the guard's; by bare JID
    struct decoy_person *people;
    uint32_t n_people, n_chosen;
    uint32_t *chosen; // best first
    double near;      // share of people who hold one or have a holder among their contacts

    // its own
    uint32_t room_people, at, wanted;
    uint64_t *ties;
    size_t n_ties, room_ties;
    struct gate_errand gate;
    struct job job;
    union {
        struct store_request request;
        struct store_account_list list;
        struct store_account_load load;
    } op;
};

/* Reads the decoys from the guard, the accounts, and their rosters. */
void decoy_town_read(struct decoy_town *town);
/* Chooses up to wanted people who are not left out. */
void decoy_town_choose(struct decoy_town *town, uint32_t wanted);
void decoy_town_done(struct decoy_town *town);

static inline bool decoy_town_is_decoy(const struct decoy_town *town, struct str bare)
{
    return table_get(&town->decoys, bare) != NULL;
}

#endif
