/*
 * Every message of a run, and what became of it.
 *
 * Honest ones must arrive exactly once; copies of the lure are followed from
 * sending to opening.  A message's id is its number here, so that whoever
 * receives it can be matched.  Times are of the wall, in microseconds since
 * the run began.
 */
#ifndef DRILL_LEDGER_H
#define DRILL_LEDGER_H

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum said_kind { SAID_HONEST, SAID_LURE };

#define NOBODY UINT32_MAX

struct said {
    enum said_kind kind;
    uint32_t from, to;
    int64_t sent_us, received_us; // received_us: of the first time
    uint32_t n_received;
    bool rejected;      // its sender was told so
    bool retracted;     // the receiver's client took it away
    bool stamped;       // arrived with a <delay/>: it was held or kept, not merely slow
    bool from_infected; // honest words from a person whose client was not his own any more
    bool is_trap;       // of an honest habit that looks like a worm (town/trap.h)
    bool warns;         // quotes the lure: it may be taken away with it, or arrive dead
    bool dead;          // …which it did
    bool asked;         // its sender had been asked whether he means it before it arrived
    struct str text;    // of honest ones; lives in the ledger
    struct talk *talk;  // the conversation it belongs to; NULL when that is over
};

struct ledger {
    char tag[8]; // this run's ids begin with it
    struct arena texts;
    struct said *at;
    uint32_t n, room;
};

void ledger_init(struct ledger *ledger);
void ledger_done(struct ledger *ledger);

/* Notes a message and returns its number.  text is copied. */
uint32_t ledger_say(struct ledger *ledger, enum said_kind kind, uint32_t from, uint32_t to,
                    struct str text, int64_t now_us);
enum { LEDGER_ID_SIZE = 24 };
/* The message's id, terminated. */
void ledger_id(const struct ledger *ledger, uint32_t number, char out[LEDGER_ID_SIZE]);
/* The message with this id; NULL when it is none of this run. */
struct said *ledger_find(const struct ledger *ledger, struct str id);

/* What became of the honest ones.  Delays are in seconds of the drill. */
struct honest_tally {
    uint32_t n_sent, n_received, n_lost, n_twice;
    uint32_t n_rejected, n_rejected_infected; // the second is part of the first
    uint32_t n_returned;   // part of the rejected: their senders gave no answer, or a no; what had
                           // arrived and was taken back returns as well
    uint32_t n_taken_back; // part of the lost: arrived, and then were taken away
    uint32_t n_withdrawn;  // warnings that were taken away with the lure they quote: not lost
    uint32_t n_dead;       // warnings that arrived with a dead link
    uint32_t n_held;       // longer than two seconds
    uint32_t n_for_answer; // waited for the sender's answer, or wait at the end
    double longest_s, median_s, p99_s;
    double longest_unasked_s; // without a question
    double machine_s;         // 99 in 100 that were not stamped took no longer, by the wall
    uint32_t delays[32];      // by half powers of two from 1 ms: how many took that long
};

/* traps: only what belongs to one.  speed: seconds of the drill in one of the wall.  A stamped
 * message waited for the guard, whose clock runs at the drill's speed; any other waited for the
 * machine, whose clock does not. */
void ledger_tally(const struct ledger *ledger, double speed, bool traps, struct honest_tally *out);
/* How long a message took, as the tally counts it; it has arrived. */
double ledger_delay_s(const struct said *said, double speed);
/* Honest messages that have neither arrived nor come back, and wait for nobody's answer. */
uint32_t ledger_n_open(const struct ledger *ledger);
/* The lower bound, in seconds, of a row of delays. */
double ledger_delay_row_s(unsigned row);

#endif
