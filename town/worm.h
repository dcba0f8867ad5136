/*
 * Worms: what an infected client sends, to whom, and how fast.
 *
 * A worm is one campaign with its texts and hosts; an infection is the worm at
 * work in one person's client.  Each contact gets one copy from each infected
 * friend.  The profiles bear the numbers by which the guard's design speaks of
 * them (containment.md, "Worms to be measured against"); each is a row of
 * habits, and worm_set() changes one of them, so that families between the
 * profiles can be tried.  No I/O, no clock: a drill over sockets and a
 * laboratory in virtual time ask what to send next and do it.
 */
#ifndef TOWN_WORM_H
#define TOWN_WORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "town/people.h"

/* Whom an infected client sends to. */
enum worm_aim {
    AIM_ROSTER,  // all contacts, in the roster's order
    AIM_RANDOM,  // all contacts, in no order
    AIM_REPLIES, // only as an answer to somebody who has just written
    AIM_RECENT,  // contacts with whom there was talk both ways of late; so no decoys
    AIM_ROOMS,   // the rooms he is in, then all contacts
    AIM_STATUS,  // all contacts at once, in the status of his presence
};

/* What it invites to open. */
enum worm_bait {
    BAIT_LINK,        // on a host of the worm's own
    BAIT_FILE,        // a program in the guise of a picture
    BAIT_SHORTENER,   // a well-known shortener's, another one with every copy
    BAIT_ESTABLISHED, // one document on a large honest host
    BAIT_WORDS,       // no link: "go to example dot com"
    BAIT_ENCRYPTED,   // nothing that a server can read
    BAIT_TALK,        // no link and no address: "ring the desk and tell them your code"
};

/* What stays the same. */
enum worm_change {
    CHANGE_NEVER,  // one for the whole campaign
    CHANGE_PERSON, // another one with each infected person
    CHANGE_COPY,   // another one with each copy
    CHANGE_POOL,   // of a few dozen, in no order: seen here before, but not by who gets it next
};

struct worm_habits {
    enum worm_aim aim;
    enum worm_bait bait;
    enum worm_change host, words;
    bool names_victim;     // the link holds the name of the one who is to open it
    bool composes;         // sends chat states as a person does
    double pause_s;        // between two copies; for replies, before the answer
    double jitter;         // the pause varies by this share, evenly; above 1: log-normal, sigma - 1
    double wait_s;         // from the infection to the first copy
    uint32_t most;         // copies of one infected client; 0: one to each contact
    uint32_t zeros;        // clients that begin
    uint32_t remote_zeros; // …of a partner's domain, instead of ours
    bool avoids;           // knows which contacts are decoys, and spares them
    bool chats;            // says something harmless to each before his copy
    bool entitled;         // an operator lets those who begin send any link to many
    uint32_t poisoners;    // accounts of its own that send new links for a day before, at its pace
    uint32_t hosts;        // of a pool; 0: thirty
    uint32_t aged;         // accounts of its own that have sent a link of each of its hosts to one
                           // more before (not of hosts that change with the copy)…
    double lead_s;         // …so long before it begins; 0: thirty hours
    uint32_t beside;       // links to large honest hosts that stand before its own in each copy
    uint32_t follows;      // new links that mean nothing, to the same person after his copy
    uint32_t ring; // accounts of its own that send new links to each other for two days before…
    double ring_pause_s; // …so far apart; 0: at its pace
    uint32_t ring_days;  // …on so many days; 0: two
    uint32_t ring_some;  // …so many of them on each day, in turn; 0: all
    bool ring_out;       // …to their contacts, after each has been shown one by the next of them
    bool hubs;           // it begins in those of ours who have most contacts
    uint32_t abroad; // accounts of another server that have sent a link of each of its hosts to one
                     // of ours before, as those of aged
    uint32_t lull; // accounts of another server that send a new link to three of ours each, on the
                   // day on which it is about
    uint32_t seconds_of_100; // of a hundred infected people it owns a second device of so many, and
                             // says there that what it sends was meant
    uint32_t own;      // of those who begin so many are accounts of its own, whose two devices are
                       // its own as well; nobody is infected there
    double own_wait_s; // the n-th of these says n times as long after a question that he meant it
    uint32_t own_most; // copies of each of these; 0: as many as others
    bool meets;        // before it begins the first of these sends his copy to the others
};

struct worm_profile {
    const char *name;  // "P1"
    const char *title; // for people
    const char *tells; // a sentence
    double minutes;    // an outbreak worth watching takes about as long
    struct worm_habits habits;
};

/* All profiles, ended by one without a name. */
extern const struct worm_profile worm_profiles[];
/* By name, case ignored; NULL when there is none. */
const struct worm_profile *worm_find(struct str name);
/* Whether clients that only chat with each other one to one can carry it. */
bool worm_is_one_to_one(const struct worm_profile *profile);

/* Changes one habit by its name: aim, bait, host, words, names, composes, pause, jitter, wait,
 * most, zeros, remote, avoids, chats, entitled, poison, hosts, aged, lead, beside, follows, ring,
 * ringpause, ringdays, ringsome, ringout, hubs, abroad, lull, seconds, own, ownwait, ownmost,
 * meets. ERR_MALFORMED. */
enum err worm_set(struct worm_habits *habits, struct str key, struct str value,
                  struct why *why) MUST_CHECK;
/* The names that worm_set knows, for help texts: one line. */
extern const char worm_settings_help[];

struct worm {
    const struct worm_profile *profile;
    uint64_t seed;
};

/* What one copy says. */
struct letter {
    struct str text;
    struct str link; // inside text; empty where there is none
    struct {
        struct str name;   // empty: no file
        struct str digest; // SHA-256, base64
        unsigned size;
    } file;
    bool encrypted; // the text is for the receiver only
};

/* The worm at work in one client. */
struct infection {
    struct prng prng;
    uint32_t person;
    uint32_t n_sent, n_contacts;
    uint32_t *order; // the contacts as he goes through them; the first n_sent have had their copy
};

/* contacts: in the order in which his client knows them (for AIM_RECENT those that count).
 * Copied. */
void infection_init(struct infection *infection, const struct worm *worm, uint32_t person,
                    const uint32_t *contacts, uint32_t n_contacts);
void infection_done(struct infection *infection);

/* The next contact to be sent a copy; false when all have had theirs, or the worm only replies. */
bool infection_next(struct infection *infection, const struct worm *worm, uint32_t *contact);
/* Somebody has written.  Whether the worm answers him with a copy; then he counts as served. */
bool infection_answers(struct infection *infection, const struct worm *worm, uint32_t contact);
/* What a program says to look like a person, and the text of a harmless new link (arena). */
struct str worm_chat(struct prng *prng);
struct str worm_harmless_link(struct prng *prng, struct arena *arena);
/* How many hosts it has among so many people: 0 where each copy has its own. */
uint32_t worm_n_hosts(const struct worm *worm, uint32_t n_people);
/* The bait of one of them alone, sent before the worm begins (arena). */
struct str worm_first_sight(const struct worm *worm, uint32_t host, struct arena *arena);
/* From the infection to the first copy: half a second at least. */
int64_t infection_wait_us(const struct worm *worm);
/* Until the next copy, or before an answer. */
int64_t infection_pause_us(struct infection *infection, const struct worm *worm);
/* The copy for this victim (his local part); its texts live in arena. */
void infection_write(struct infection *infection, const struct worm *worm, struct arena *arena,
                     struct str victim, struct letter *out);

#endif
