/*
 * Every message that carried a lure, or that waited: where it is, and how to
 * find it by a key of its lures when the guard takes it back.
 */
#ifndef LAB_COPIES_H
#define LAB_COPIES_H

#include "guard/lure.h"

/* What a message is to the accounts. */
enum said {
    SAID_HONEST,
    SAID_WARNING, // honest: words of warning that quote a worm's lure
    SAID_LURE,    // the worm's lure, whoever passes it on
    SAID_CHAFF,   // the worm's, harmless: it is to look honest
};

struct copy {
    uint64_t identity;
    int64_t sent_us;
    char *text; // owned, while the message waits
    uint32_t from, to;
    uint32_t keys_at;
    uint8_t n_keys;
    uint8_t said;
    bool is_trap, calm;
    bool held;      // by the guard
    bool overtaken; // held until its sender answers: nothing waits behind it
    bool queued;    // by another defence, or behind a held one
    bool arrived;   // in the receiver's client
    bool gone;      // taken back
    bool sent_back; // …and returned to its sender
    bool refused;   // returned to its sender
    bool lost;      // counted so: honest, and taken back
};

struct copies {
    struct copy *at;
    size_t n, room;
    struct lure_key *keys;
    uint32_t *owners, *next; // of each key: its copy, the one before with the same hash
    size_t n_keys, keys_room;
    uint32_t *slots;
    size_t n_slots;
};

static inline bool said_by_worm(enum said said)
{
    return said == SAID_LURE || said == SAID_CHAFF;
}

void copies_done(struct copies *copies);
uint32_t copies_add(struct copies *copies, const struct copy *copy, const struct lure_key *keys,
                    size_t n_keys);
static inline const struct lure_key *copy_keys(const struct copies *copies, const struct copy *copy)
{
    return copies->keys + copy->keys_at;
}
/* Walks the copies with this key, newest first: start with *at = UINT32_MAX; false at the end.  The
 * table may grow meanwhile. */
bool copies_next(const struct copies *copies, const struct lure_key *key, uint32_t *at,
                 uint32_t *copy);

#endif
