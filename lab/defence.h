/*
 * What else could be done: the defences that the guard is measured against.
 *
 *     none       everything is delivered
 *     throttle   Williamson's: five people whom one has written to last are free, further ones
 *                wait in a queue from which one a day is let go
 *     stop5      a sender may send one link to five people; nobody else hears of it
 *     decoy5     one person in twenty has a contact that no human talks to; a link sent to such a
 *     decoy20    contact is blocked everywhere (one in five)
 *     placed5    the same for one in twenty, those whom guard/placement.h chooses
 *     url5       a link that one sender sends to five people is blocked everywhere
 *
 * Links are told apart by their canonical URL, files by their digest; nothing is
 * taken back.  Sources: containment.md, "Figures"; Williamson, Throttling viruses;
 * Xie, Wu, Wang, HoneyIM.
 */
#ifndef LAB_DEFENCE_H
#define LAB_DEFENCE_H

#include "guard/lure.h"

enum defence_kind {
    DEFENCE_FIREDOOR, // the guard itself: not asked here
    DEFENCE_NONE,
    DEFENCE_THROTTLE,
    DEFENCE_STOP5,
    DEFENCE_DECOY5,
    DEFENCE_DECOY20,
    DEFENCE_PLACED5,
    DEFENCE_URL5,
    N_DEFENCES
};

const char *defence_name(enum defence_kind kind);
bool defence_find(struct str name, enum defence_kind *out);
/* Share of people who have a decoy among their contacts. */
double defence_decoys(enum defence_kind kind);
/* Whether those people are chosen on the graph of contacts; else they are anybody. */
bool defence_places(enum defence_kind kind);

struct defence;

/* DEFENCE_FIREDOOR: what the guard's own people would have without it, which is nothing. */
struct defence *defence_new(enum defence_kind kind, uint32_t people);
void defence_free(struct defence **defence);

struct ruling {
    bool refused;
    bool blocks;        // this message made a link blocked everywhere
    int64_t release_us; // 0: at once; else it waits until then
};
/* keys: the narrow key of each lure, none where the message carries none. */
struct ruling defence_judge(struct defence *defence, uint32_t from, uint32_t to, bool to_decoy,
                            const struct lure_key *keys, size_t n_keys, int64_t now_us);

#endif
