/*
 * The town's rooms among themselves: town.c (its life, what people chat),
 * town_worm.c (the worm, and who opens its copies), town_questions.c (what the
 * guard asks and people answer), town_traps.c (honest habits that look like a
 * worm).
 */
#ifndef DRILL_TOWN_INTERNAL_H
#define DRILL_TOWN_INTERNAL_H

#include "base/table.h"
#include "drill/town.h"
#include "town/texts.h"

enum { TEXT_MOST = 65536 };

struct person;

/* One client of a person's. */
struct device {
    struct person *person;
    struct client *client;
    bool is_phone; // his other one, on which he only reads what the server says
    bool online, was_online;
    struct timer reconnect;
};

enum { TIE_SENT = 1, TIE_GOT = 2 };

struct person {
    struct town *town;
    struct device *desk, *phone; // phone: NULL where he has none
    struct timer next_cut;
    struct prng network; // when it fails
    uint32_t *roster;    // contacts in the order of the roster at login
    uint8_t *ties;       // with each contact of the graph: who has written to whom
    uint32_t number, n_roster;
    uint32_t n_friends; // contacts with a subscription in both directions
    uint32_t n_asked;
    uint64_t *asked;      // questions that were put to him, by number
    struct prng luck;     // with them
    struct prng reshares; // what he passes on

    struct chatter chatter;
    struct timer next_talk;

    struct mind mind;
    struct list openings; // copies that he is about to open

    struct infection infection;
    struct timer next_copy;

    bool obeys; // his client carries out retractions
    bool types; // …and says that he types
    bool exposed, warned, infected;
    bool is_traps; // he sends something of a trap
};

/* A conversation, or a single message that is on its way to be typed. */
struct talk {
    struct link link;
    struct timer timer;
    struct town *town;
    uint32_t people[2];
    unsigned speaker; // index into people
    unsigned turns_left;
    bool typing;
    bool pasted;         // the whole text
    int64_t pasting_us;  // exactly; 0: as long as he takes
    bool silent;         // his client does not say that he types, nor does he
    bool encrypted;      // end to end
    bool is_trap, warns; // see struct said
    bool is_lure;        // the worm's link, honestly passed on
    char *text;          // what will be sent; NULL until it is thought of
    uint32_t last;       // its newest message, in the ledger; NOBODY before the first
};

struct town {
    const struct plan *plan;
    struct outcome *out;
    struct loop *loop;
    struct client_pool *pool;
    struct client_options phone, old_fashioned; // of other devices; of clients that do not obey
    struct person *people;
    struct device *devices;
    uint32_t n_people, n_devices, n_started, n_online; // the last two: of devices
    uint64_t n_friends;                                // of all people
    struct table names;
    struct ledger ledger;
    struct texts *texts;
    struct worm worm;
    char *worm_link; // as a person would quote it; NULL before the first copy
    struct prng prng;
    struct list talks, answers;
    struct list replies; // to the guard's questions
    struct timer release, look, trap;
    enum { GATHERING, BEFRIENDING, CHATTING, ENDING } phase;
    bool refusing;
    char refusal[256];
    int64_t start_us, release_us; // wall
    uint32_t room_infected;
};

/* Seconds of the drill since the worm's release; below zero before. */
double town_now_s(const struct town *town);
/* …as it happened, not as it was planned. */
double town_since_release_s(const struct town *town);
/* Of the wall, since the chatting began. */
int64_t town_run_time_us(const struct town *town);
void town_after(struct town *town, struct timer *timer, int64_t drill_us);
/* children: of the message. */
void town_send(const struct device *from, struct str to, const char *id, struct str children);
void town_send_to(struct person *from, uint32_t to, const char *id, struct str children);
/* Where his client does so. */
void town_send_composing(struct person *from, uint32_t to);
/* A conversation of so many turns, which begins with a text (own memory) or any. */
struct talk *town_talk(struct town *town, uint32_t a, uint32_t b, unsigned turns, char *text,
                       int64_t thinking_us);
/* A single message with that text (own memory), so long from now, in that manner; the rest is for
 * the caller to set. */
struct talk *town_say(struct town *town, uint32_t from, uint32_t to, char *text, int64_t in_us,
                      struct manner manner);

/* ---- town_worm.c ---- */

void town_init_worm(struct person *person); // not yet infected
void town_release_zeros(struct town *town);
/* A copy has reached him. */
void town_see_lure(struct person *person, const struct said *copy);
/* He opens none of the copies that have reached him. */
void town_open_nothing(struct person *person);
/* Somebody wrote to him: if the worm owns his client, it may answer. */
void town_tempt_worm(struct person *person, uint32_t writer);
void town_forget_answers(struct town *town);

/* ---- town_questions.c ---- */

/* The server speaks to the device; true: about a question, not to warn. */
bool town_hear_question(struct device *device, const struct element *message);
void town_forget_replies(struct town *town);

/* ---- town_traps.c ---- */

/* The plan's trap begins now. */
void town_play_trap(struct timer *timer);

#endif
