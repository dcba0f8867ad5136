/*
 * The engine's rooms among themselves: sim.c (its life and time), sim_people.c
 * (who there is), sim_message.c (a message's way), sim_orders.c (what the guard
 * orders), sim_worm.c (temptation and infection).
 */
#ifndef LAB_SIM_INTERNAL_H
#define LAB_SIM_INTERNAL_H

#include "base/clock.h"
#include "guard/run.h"
#include "lab/sim.h"

enum what { SAY, WORM_STEP, WORM_ANSWER, OPEN, LET_GO, OVERTAKE, ANSWER, WORM_LIES, REPORT };

enum {
    PURPOSE_ROOMS = 22,
    PURPOSE_RESHARE = 23,
    PURPOSE_ANSWER = 24,
    PURPOSE_REPORT = 25,
    PURPOSE_DECOY = 26,
    PURPOSE_PARTNER = 27,
    PURPOSE_HEED = 31,
    PURPOSE_ENCRYPTED = 32,
    PURPOSE_CHAFF = 34,
    PURPOSE_SECOND = 36,

    DESK = 1, // the device that everybody sends with; he has another, if the guard asks there
    ROOM = 1u << 30,   // such a receiver is a room, not a person
    STATUS = 1u << 29, // …all contacts of a person, who see his presence
    ROOM_SEATS = 16,
    PEOPLE_A_ROOM = 8,   // one room for so many people
    PEOPLE_A_DECOY = 20, // so many have the same one
    PARTNER_CONTACTS = 10,
    GENERATIONS = 3, // from which the reproduction number is taken
    KEYS_MOST = 255,
    JID_SIZE = 40,

};

struct person {
    struct mind mind;
    struct infection infection;
    int64_t sent_us;     // his last message to anybody; 0: none
    uint32_t decoy;      // a contact of his that no human talks to; 0: none
    uint32_t n_held;     // messages of his that wait
    uint32_t generation; // infected people between him and a patient zero
    uint32_t n_asked;    // questions put to him
    uint32_t own;        // which of the worm's own accounts that is, from one on; 0: somebody's
    bool is_traps;       // he sent something of a trap
    struct client_ways ways;
    struct run run;     // of encrypted messages, as im/pace.c keeps it
    uint32_t run_first; // whom it began with
    bool has_typed, encrypts, infected, exposed, restricted, remote;
    char jid[JID_SIZE];
};

/* What one person remembers of another: for the contacts beside the graph, else in a table. */
struct tie {
    uint32_t names[2];
    int64_t sent_us, got_us; // 0: never
};

struct room {
    uint32_t seats[ROOM_SEATS], n;
    char jid[JID_SIZE];
};

struct sim {
    struct sim_config config;
    struct lure_rules *own_rules;
    const struct lure_rules *rules;
    struct guard *guard;
    struct defence *defence;
    struct prng traps; // who plays them
    int64_t now_us;
    uint32_t n_ours, n_remote, n_decoys; // people are numbered in this order
    struct person *people;
    struct room *rooms;
    uint32_t n_rooms;
    struct tie *ties;         // one for each entry of graph->contacts
    uint32_t *roster, *place; // the same people in the order of his roster; where in it
    struct table strangers;
    struct queue queue;
    struct traffic traffic;
    struct copies copies;
    uint32_t *waiting; // copies that wait, in the order in which they were sent
    size_t n_waiting, waiting_room;
    int64_t first_copy_us;
    uint64_t n_said, n_sealed;
    char *worm_link;
    bool is_trap;

    struct outcome outcome;
    struct buf *log;
};

struct outgoing {
    struct message message;
    const struct letter *letter; // NULL: the text alone
    bool is_trap;
};

/* Luck of a person with one message: the same whatever the defence. */
struct prng sim_dice(const struct sim *sim, uint64_t identity, uint32_t person, uint32_t purpose);
char *sim_own_text(struct str text); // on the heap

/* ---- sim_people.c ---- */

void sim_make_people(struct sim *sim);
void sim_make_rooms(struct sim *sim);   // each is somebody and some of his contacts
void sim_make_rosters(struct sim *sim); // after the people
uint32_t sim_n_people(const struct sim *sim);
bool sim_is_ours(const struct sim *sim, uint32_t person);
bool sim_is_decoy(const struct sim *sim, uint32_t person);
struct str sim_jid_of(const struct sim *sim, uint32_t who); // a person, or a room
/* Who is behind a receiver that is several; 0: it is one person. */
uint32_t sim_audience(const struct sim *sim, uint32_t to, const uint32_t **who);
int64_t sim_person_of(const struct sim *sim, struct str jid); // -1: nobody of ours
/* Which of one's contacts the other is; -1: none.  Where that one stands in his roster. */
int32_t sim_contact_index(const struct sim *sim, uint32_t person, uint32_t other);
int32_t sim_roster_index(const struct sim *sim, uint32_t person, int32_t contact);
/* Found or made. */
struct tie *sim_tie_of(struct sim *sim, uint32_t person, uint32_t other, int32_t contact);
bool sim_talk_both_ways(const struct sim *sim, const struct tie *tie, int64_t within_us);
/* Whom a worm in this person's client sends to, in the roster's order; the caller frees it. */
uint32_t sim_list_victims(struct sim *sim, uint32_t who, uint32_t **out);

/* ---- sim_message.c ---- */

void sim_send_out(struct sim *sim, const struct outgoing *out);
void sim_say_later(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text,
                   struct manner manner, enum said said);
/* at: its place among the copies; UINT32_MAX: it needs none. */
void sim_arrive(struct sim *sim, const struct copy *what, uint32_t at, struct str text);

/* ---- sim_orders.c ---- */

/* Gives the guard an event and hears its word; sim_happen also does what it says. */
void sim_take(struct sim *sim, struct guard_event *event, struct guard_word *word);
void sim_carry_out(struct sim *sim, const struct guard_word *word);
void sim_happen(struct sim *sim, struct guard_event *event);
void sim_name_decoys(struct sim *sim);
struct tally *sim_tally_of(struct sim *sim, const struct copy *copy);
/* Counts that a message has waited until now. */
void sim_note_wait(const struct sim *sim, const struct copy *copy, struct tally *tally);
void sim_note_conviction(struct sim *sim); // of the worm, by whatever defence
/* A message waits: held, until the guard's order; else until that time, when `then` happens. */
void sim_let_wait(struct sim *sim, uint32_t at, struct str text, bool held, int64_t until_us,
                  enum what then);
/* A message returns to its sender. */
void sim_refuse(struct sim *sim, uint32_t number, enum reason reason);
/* A message that waited goes on, and what waited behind it alone. */
void sim_go_on(struct sim *sim, uint32_t number);
/* Somebody followed the link of a copy, where the page of protected links sees it. */
void sim_tell_opening(struct sim *sim, const struct copy *copy, uint32_t who);

/* ---- sim_worm.c ---- */

void sim_tempt(struct sim *sim, uint32_t who, uint32_t copy, uint64_t identity);
/* generation: 0 for patients zero. */
void sim_infect_one(struct sim *sim, uint32_t who, uint32_t generation);
/* Of an infected person it may own a second device. */
bool sim_worm_owns_another(const struct sim *sim, uint32_t who);
/* How long after a question an infected client says that it meant what it sent. */
int64_t sim_lies_after_us(const struct sim *sim, uint32_t who);
void sim_worm_step(struct sim *sim, uint32_t from);
void sim_send_copy(struct sim *sim, uint32_t from, uint32_t to);
void sim_open_lure(struct sim *sim, const struct happening *now);

#endif
