/*
 * The guard: judges what people send each other to open.
 *
 * A pure library: no clock, no randomness but the seed, no logging, one thread.
 * The same seed, configuration and events in the same order give the same
 * verdicts, orders and state, bit for bit; so a restart is a snapshot plus the
 * events since, and a laboratory replays a year through this very code.
 *
 * Everything that happens is a struct guard_event.  guard_take() numbers it,
 * learns from it and answers in a struct guard_word: a verdict where a sending
 * was judged, and containment orders that others carry out.  guard_judge() and
 * its sisters only build the event.  Whoever wants durability writes each event
 * (guard_event_write) to a log under guard_number() + 1, before or after taking
 * it, and feeds the log to guard_take() at the next start, ignoring the words
 * up to what was carried out.
 *
 * Rules that no evidence moves:
 * - Established hosts are never convicted by host or domain without an operator.
 * - An account is restricted only for what it sent itself, and never for what
 *   any single other account did.
 * - A star without a relay convicts only with a never-seen lure, machine pace
 *   and the full threshold together; one relay at human pace never convicts.
 * - Who warns others by quoting a lure is a reporter, not a relay; in return
 *   his copy opens nothing, convicted or not (guard_word.defang), except on
 *   established hosts, where it counts as any copy.  So does a warning that
 *   names an address which its writer made dead himself: it can be typed.  Once
 *   that is convicted the warning passes without it, and its sender is
 *   restricted only if he sends like a program.
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "base/arena.h"
#include "base/buf.h"
#include "guard/lure.h"

struct guard;

/* Every constant of the guard.  guard_config_default() fills in and explains. */
struct guard_config {
    double convict_nats;     // evidence that convicts
    double hold_nats;        // evidence that holds further copies, at human pace too
    double respond_nats;     // evidence of an account's own acts for which it loses links and files
    bool campaigns;          // whether never-seen lures that share no key may be one campaign
    double campaign_lessons; // never-seen lures from which a site learns its pace before that
    double campaign_nats;    // evidence that convicts one at human pace
    double fresh_share; // share of one person's never-seen lures that follow each other within what
                        // the site then calls a window
    double relay_share; // share of the people shown one within whose time another explains a relay
    double fresh_most;  // people whom never-seen lures of one may reach, before he is asked…
    double fresh_rare; // …within a time in which so few of these copies follow so many honest ones
    uint32_t scarce_by;   // people who have brought a host of which one may yet reach as few
    double outbreak_rare; // …while a worm is about within a time in which so few are sent to
                          // fresh_spread people
    double surge_nats; // evidence, of how many people are as fast as that, that a worm is about; 0:
                       // only people's word is
    double
        day_most; // people whom those of one reach in a day, at whatever pace, before he is asked
    double silent_most;  // people whom those of one reach in a day before his next waits, if he was
                         // asked and has not answered
    double fresh_spread; // people whom one who was shown such a lure sends others, to pass for its
                         // relay as late as few honest people do…
    double spread_rare;  // …in this share of the copies
    int64_t rare_doubling_us; // in which what is rare becomes at most twice as ordinary, once the
                              // site has been learnt from for as long: a few accounts are as many
    uint32_t without;         // kinds of evidence that count nothing, a bit for each (1 << enum
                              // evidence_kind): what each of them is worth, in a laboratory
    bool star_convicts;       // whether a star at machine pace may; otherwise it is only held
    bool defangs; // the caller obeys guard_word.defang; if not, warnings that quote a convicted
                  // lure are rejected, since words of warning cost a worm nothing

    // Callers show encrypted messages that follow each other, to one person after another, no
    // slower than this (run.h); 0: none.  See sealed.c.
    int64_t sealed_pause_us;
    uint32_t sealed_first;   // people in a run, from which on it counts
    double sealed_hold_nats; // evidence that holds and asks those whose runs make a tree
    double sealed_nats;      // …and that convicts them

    uint32_t window_first;   // receivers a never-seen lure reaches at machine pace before it waits
    double window_growth;    // factor by which the window opens each time hold_us has passed
    int64_t hold_us;         // longest hold without a question
    int64_t ask_us;          // how long a question to a sender may wait; 0: none is asked
    int64_t ask_late_us;     // how long he may still answer while a conviction stands
    double ask_nats;         // evidence at which the people of a tree are asked
    uint32_t ask_relays;     // relays at which they are, on established hosts
    uint32_t ask_most;       // questions about one cluster, unless somebody denied it
    uint32_t ask_a_day;      // questions to one person
    uint32_t ask_denials;    // so many who deny a link there, and every relay needs his own word
    int64_t novel_us;        // how long after its first sight a host still counts as never seen
    int64_t established_us;  // a host is established when it is known so long…
    uint32_t established_by; // …and so many people brought it independently
    uint32_t fast_relays_established; // relays at machine pace that convict a link there
    int64_t relay_us;                 // how long an exposure explains a sending
    int64_t mature_us;                // after which an exposed person who sent nothing clears
    int64_t settle_us;                // a cluster without news for so long teaches what is ordinary
    int64_t forget_us;                // …and is forgotten after so long (guard.ledger_retention)
    int64_t conviction_us;            // expiry of stop orders
    int64_t restriction_us;           // expiry of restrictions

    size_t memory;            // bytes of the whole model
    uint32_t senders_open;    // unshared clusters one account may keep in memory
    uint32_t lessons_per_day; // observations one account may teach a day

    int64_t tally_us;    // how long it is remembered what would have been done
    uint32_t tally_most; // lines of that: one for an incident and domain, one for a domain and day
};

void guard_config_default(struct guard_config *config);

/* ---- What happens ------------------------------------------------------------------------ */

/* What is known of how a message was sent. */
struct pace {
    int64_t gap_us;         // since the sender's previous message to anybody; -1: unknown
    int32_t roster_index;   // of the receiver in the sender's roster; -1: not in it
    bool composing;         // a composing chat state to this receiver since the last message to him
    bool composes;          // this account's clients do send chat states
    bool live;              // sender and receiver both wrote to each other of late (two-way talk)
    bool first_contact;     // the sender never wrote to the receiver before
    int64_t account_age_us; // of the sender; -1: unknown
};

struct sending {
    uint64_t message;    // the caller's own number; comes back with the held message's release
    struct str sender;   // bare JIDs, prepared
    struct str receiver; // a person, or a room
    uint32_t audience;   // how many people the receiver stands for: 1, or a room's occupants
    bool remote;         // the sender is of another server: he cannot be restricted
    bool warns;          // lure_text_warns
    bool overflowed;     // lure_list.overflowed
    bool observed;       // nothing of the word is carried out: what would have been is remembered
    uint64_t shape;      // lure_text_shape
    uint64_t device;     // whatever tells the sender's devices apart; 0: unknown
    const struct lure *lures;
    size_t n_lures;
    struct pace pace;
};

/* A copy reached a client of the receiver: now it can be opened. */
struct exposure {
    struct str sender, receiver; // bare
    const struct lure_key *keys; // any widths, lure_list_collect
    size_t n_keys;
};

/* Somebody opened a lure, where that is seen: a protected link's page led on. */
struct opened {
    struct str who; // bare
    const struct lure_key *keys;
    size_t n_keys;
};
/* EVENT_SEALED has the same form: encrypted messages went from sender to receiver, and now others
 * follow to somebody else without a pause (run.h). */

/* XEP-0377, XEP-0191 with a reason, or "this was not me": somebody's word against a lure or a
 * sender. */
struct report {
    struct str reporter, sender; // bare; sender empty: only the lure is meant
    const struct lure_key *keys; // none: whatever the sender sent to the reporter of late
    size_t n_keys;
    bool observed; // as of a sending
};

/* What a "yes" is worth: a worm can say it on the device that is its own. */
enum answer_trust {
    ANSWER_SAME_DEVICE,  // nothing
    ANSWER_PUZZLE,       // there too, but with a puzzle solved: something
    ANSWER_OTHER_DEVICE, // all
};

/* The sender's own word: did you mean to send this? */
struct answer {
    struct str sender;
    uint64_t incident;
    bool meant;
    enum answer_trust trust; // a "no" is believed whatever it comes from: it harms nobody else
};

/* What carrying out an order did: the guard judges by none of it, it remembers for who asks. */
struct order_outcome {
    uint64_t incident, order; // numbers; order 0: none in particular
    unsigned kind;            // enum order_kind: RETRACT, RETURN, DELIVER_HELD or REJECT_HELD
    bool undo;
    uint32_t n;           // more copies taken back (undo: given again), or messages let go
    uint32_t n_unspooled; // of the copies: had not been delivered yet
};

enum feature_kind { FEATURE_LINKS, FEATURE_FILES };

/* For operators; actor is who did it, reason what he said. */
struct conviction {
    const struct lure *lure; // with keys; NULL: an incident is named instead
    uint64_t incident;       // whatever it has of this width
    enum lure_width width;   // how wide to convict; LURE_WIDTHS, of an incident only: with the
                             // narrowest keys that cover it, as the guard itself does
    int64_t expires_us;      // 0: the configured time from now
    struct str actor, reason;
};
struct release {
    uint64_t incident;
    struct str account; // empty: the whole incident; else only lift this account's restriction
    struct str actor, reason;
};
struct suspension {
    enum feature_kind feature;
    struct str domain, account; // of senders; both empty: every domain served here
    int64_t expires_us;         // 0: resume (undo)
    struct str actor, reason;
};
struct entitlement {
    struct str account;
    struct str domain;  // registrable domain or host of the links it may fan out; empty: any
    uint32_t receivers; // most different receivers a day
    int64_t expires_us; // 0: withdraw it
    struct str actor, reason;
};
struct decoy {
    struct str account;
    bool removed;
    struct str actor;
};

enum event_kind {
    EVENT_SENDING = 1, // numbers are on the disk: never change one
    EVENT_EXPOSURE = 2,
    EVENT_REPORT = 3,
    EVENT_ANSWER = 4,
    EVENT_CONVICT = 5,
    EVENT_RELEASE = 6,
    EVENT_SUSPEND = 7,
    EVENT_ENTITLE = 8,
    EVENT_DECOY = 9,
    EVENT_TICK = 10,
    EVENT_OUTCOME = 11,
    EVENT_CONVICT_INCIDENT = 12,
    EVENT_OPENING = 13,
    EVENT_SEALED = 14,
};

struct guard_event {
    enum event_kind kind;
    int64_t now_us; // wall time of the guard's clock; one that runs backwards is taken as standing
    union {
        struct sending sending;
        struct exposure exposure;
        struct opened opened;
        struct report report;
        struct answer answer;
        struct conviction conviction;
        struct release release;
        struct suspension suspension;
        struct entitlement entitlement;
        struct decoy decoy;
        struct order_outcome outcome;
    };
};

/* ---- What the guard says ------------------------------------------------------------------- */

enum verdict { VERDICT_DELIVER, VERDICT_HOLD, VERDICT_REJECT };

enum reason {
    REASON_NONE,
    REASON_CONVICTED,  // the lure was convicted
    REASON_RESTRICTED, // the sender lost links and files
    REASON_SUSPENDED,  // links or files are suspended for the sender
    REASON_TOO_MANY,   // more lures than one message may carry
    REASON_WINDOW,     // held: a never-seen lure goes out faster than people send
    REASON_SUSPECTED,  // held: evidence is near the threshold
    REASON_CLEARED,    // released: the window opened, or the sender meant it
    REASON_OPERATOR,   // an operator's act
    REASON_EXPIRED,    // the order's time was over
    REASON_ASKED,      // held: a question waits for its answer
    REASON_UNANSWERED, // returned: it had none
    REASON_DENIED,     // the sender says that it was not he
    REASON_CROWDED,    // so many messages of this sender wait already
    REASON_UNDECIDED,  // returned: somebody else's question had no answer, or not yet
};

const char *reason_name(enum reason reason);

enum order_kind {
    ORDER_STOP,         // later copies with this key are rejected (the guard does so itself; the
                        // order is for snapshots that offline delivery and archives consult)
    ORDER_RETRACT,      // withdraw delivered copies with this key everywhere, tell their receivers;
                        // `who` given: only those that he sent
    ORDER_RESTRICT,     // who loses links and files (the guard does so itself)
    ORDER_NOTIFY,       // tell `audience`
    ORDER_DELIVER_HELD, // release the held `message`
    ORDER_REJECT_HELD,  // return the held `message` to its sender
    ORDER_ASK,          // put the question "did you mean to send this?" to `who`: guard_answered;
                        // REASON_UNANSWERED: its time is over, but he may still answer until it
                        // expires; undo: nobody needs to know any more
    ORDER_RETURN,       // copies with this key that were taken back return to whoever sent them:
                        // nobody knows whether they were meant.  Final, whatever is undone later
};

enum audience {
    TO_NOBODY,
    TO_VICTIM,  // `who` sends a worm's lures: how to get clean
    TO_EXPOSED, // everybody in whose view a copy stood: do not open it, it was not your friend
    TO_OPERATOR,
};

struct order {
    uint64_t number; // of the order, unique in this guard's life
    enum order_kind kind;
    bool undo; // takes back an earlier order of this kind, incident and key or account
    enum reason reason;
    uint64_t incident; // 0: none
    enum audience audience;
    enum lure_width width;
    struct lure_key key; // what STOP and RETRACT are about
    struct str shown;    // printable form of the key
    struct str who;      // account of RESTRICT, NOTIFY, ASK; sender of a held message
    uint64_t message;    // of a held message
    uint64_t question;   // of ASK: its number, the same when it is undone
    uint64_t device;     // of ASK: which he sent it with; 0: unknown, or several
    uint32_t receivers;  // of ASK: how many people he sent it to, this one included (undo: by now;
                         // 0: what was taken back from them is given again)
    int64_t expires_us;  // 0: does not
};

/* Filled by guard_take; text and orders are copies in the arena given at guard_word_init, whose
 * ceiling must be at least GUARD_WORD_MOST. */
enum { GUARD_WORD_MOST = 16 * 1024 * 1024 };
struct guard_word {
    struct arena *arena;
    uint64_t number; // of the event
    enum verdict verdict;
    enum reason reason;
    uint64_t incident;     // 0: none
    int64_t until_us;      // of a hold: the latest moment of its release; of a suspension: its end
    unsigned suspended;    // REASON_SUSPENDED: what is, 1 << FEATURE_LINKS, 1 << FEATURE_FILES
    bool defang;           // deliver, but with every link made dead (lure_defang): a warning
    bool calm;             // none of the lures is worth an exposure event (all entitled)
    double decoy_nats;     // what it says that this went to a decoy; 0: it did not, or not anew
    struct str decoy_lure; // which lure
    struct order *orders;  // in the order in which they are to be carried out
    size_t n_orders, room; // room is the guard's
};

void guard_word_init(struct guard_word *word, struct arena *arena);

/* ---- The guard ------------------------------------------------------------------------------- */

/* seed: secret in production (it keys the tables against chosen collisions), kept in snapshots. */
struct guard *guard_new(const struct guard_config *config, uint64_t seed);
void guard_free(struct guard **guard);

/* Number of the last event taken; 0 at birth. */
uint64_t guard_number(const struct guard *guard);

/* Takes the next event. */
void guard_take(struct guard *guard, const struct guard_event *event, struct guard_word *word);

enum verdict guard_judge(struct guard *guard, const struct sending *sending, int64_t now_us,
                         struct guard_word *word);
void guard_exposed(struct guard *guard, const struct exposure *exposure, int64_t now_us,
                   struct guard_word *word);
void guard_opened(struct guard *guard, const struct opened *opened, int64_t now_us,
                  struct guard_word *word);
void guard_reported(struct guard *guard, const struct report *report, int64_t now_us,
                    struct guard_word *word);
void guard_answered(struct guard *guard, const struct answer *answer, int64_t now_us,
                    struct guard_word *word);
/* word->incident is the new incident, the one that had convicted the lure already, or the one that
 * was named; 0: there is none with this number, or it has no key of this width. */
void guard_convict(struct guard *guard, const struct conviction *conviction, int64_t now_us,
                   struct guard_word *word);
/* Gives the orders that undo.  word->incident is 0 when there is no such incident in force, as when
 * it was released already. */
void guard_release(struct guard *guard, const struct release *release, int64_t now_us,
                   struct guard_word *word);
void guard_suspend(struct guard *guard, const struct suspension *suspension, int64_t now_us,
                   struct guard_word *word);
void guard_entitle(struct guard *guard, const struct entitlement *entitlement, int64_t now_us,
                   struct guard_word *word);
void guard_decoy(struct guard *guard, const struct decoy *decoy, int64_t now_us,
                 struct guard_word *word);
void guard_outcome(struct guard *guard, const struct order_outcome *outcome, int64_t now_us,
                   struct guard_word *word);
/* Time passes: releases held messages, lets orders expire, learns.  Call at guard_next_us, and
 * some time later at the latest. */
void guard_tick(struct guard *guard, int64_t now_us, struct guard_word *word);
/* When the next tick has something to do; INT64_MAX: nothing waits. */
int64_t guard_next_us(const struct guard *guard);

/* The keys that are convicted, at most room of them; returns how many there are. */
size_t guard_stops(const struct guard *guard, struct lure_key *keys, size_t room);

/* Whether one of these keys is convicted now: the incident, or 0.  For offline delivery and
 * archive pages on the guard's own thread; changes nothing. */
uint64_t guard_convicted(const struct guard *guard, const struct lure_key *keys, size_t n_keys,
                         int64_t now_us);

enum opening { OPENING_GO, OPENING_WARN, OPENING_BLOCK };
/* What to do with who is about to open a link with these keys: block what is convicted; warn of
 * what belongs to a cluster that was held or reported, or has so much evidence against it; else
 * let him.  incident: the cluster's, where it is known as one, else 0.  Changes nothing. */
enum opening guard_opening(const struct guard *guard, const struct lure_key *keys, size_t n_keys,
                           double warn_nats, int64_t now_us, uint64_t *incident);

/* Whether a held message still waits for its release or return. */
bool guard_is_holding(const struct guard *guard, uint64_t message);

/* ---- Keeping --------------------------------------------------------------------------------- */

void guard_event_write(struct buf *out, const struct guard_event *event);
/* Text and arrays live in arena, or borrow from bytes.  ERR_CORRUPT, ERR_UNSUPPORTED. */
enum err guard_event_read(struct arena *arena, struct str bytes,
                          struct guard_event *event) MUST_CHECK;

/* The whole state; the same state gives the same bytes. */
void guard_save(const struct guard *guard, struct buf *out);
/* A guard like the one that was saved, under this configuration.  ERR_CORRUPT, ERR_UNSUPPORTED. */
enum err guard_load(const struct guard_config *config, struct str bytes, struct guard **out,
                    struct why *why) MUST_CHECK;

/* ---- Looking in ------------------------------------------------------------------------------ */

enum incident_state { INCIDENT_OPEN, INCIDENT_CONVICTED, INCIDENT_RELEASED, INCIDENT_EXPIRED };
const char *incident_state_name(enum incident_state state);

enum evidence_kind {
    EVIDENCE_NOVELTY, // never seen here
    EVIDENCE_FANOUT,  // one sender, many receivers
    EVIDENCE_PACE,    // gaps that no hand makes
    EVIDENCE_SILENCE, // no composing from a client that otherwise sends it
    EVIDENCE_ROSTER,  // the roster walked in order
    EVIDENCE_DORMANT, // receivers he does not talk to (negative: ones he talks to)
    EVIDENCE_RELAY,   // exposed, then sends
    EVIDENCE_WORDS,   // the same words from relay to relay (negative: each his own)
    EVIDENCE_DECOY,   // sent to a contact that no human talks to
    EVIDENCE_CONTENT, // a program behind an innocent name, an address instead of a host
    EVIDENCE_REPORT,  // people's word
    EVIDENCE_ANSWER,  // the sender's own word
    EVIDENCE_ORIGIN,  // (negative) several people brought it independently
    EVIDENCE_ABSENCE, // (negative) exposed people who did not pass it on
    EVIDENCE_STREAK,  // never-seen lures to one after the other, and nothing said between
    EVIDENCE_OPENING, // a relay had opened it before he sent it on
    EVIDENCE_KINDS
};
const char *evidence_kind_name(enum evidence_kind kind);

struct incident_evidence {
    enum evidence_kind kind;
    double nats;    // ln P(this | worm) / P(this | honest)
    struct str who; // whose act; empty: nobody's in particular
    int64_t at_us;
};

struct incident_node {
    struct str who;
    struct str from;                // who exposed him first; empty: patient zero
    int64_t exposed_us, sent_us;    // 0: not
    uint32_t receivers;             // different people he sent it to
    double nats;                    // evidence of his own acts
    bool relay, restricted, warned; // warned: quoted it as a warning
};

/* A question put to somebody, and what came of it. */
enum question_state {
    QUESTION_OPEN,
    QUESTION_YES,
    QUESTION_NO,
    QUESTION_EXPIRED,
    QUESTION_WITHDRAWN, // nobody needs to know any more
};
const char *question_state_name(enum question_state state);

struct guard_question {
    uint64_t number, incident;
    struct str who, shown;
    enum question_state state;
    enum answer_trust trust; // of an answer
    int64_t asked_us, due_us, ended_us;
    int64_t late_us; // expired, but he may still answer until then; 0: not
    uint64_t device;
    uint32_t receivers, n_held; // people he sent it to; messages of his that wait
};

struct incident_order {
    struct order order;
    int64_t at_us;
    uint32_t count;     // of equal orders one after the other (held messages)
    uint32_t done;      // STOP: copies refused by its key; RETRACT: copies taken back (undo: given
                        // again); RETURN: copies returned; held messages: let go.  What came of it
                        // so far
    uint32_t unspooled; // of the copies taken back: waited, and were seen by nobody
};

/* What the evidence adds up to, part by part; what depends on each other is capped together, so
 * a part may be less than its pieces of evidence. */
struct incident_sum {
    double novelty, content;
    double origin; // acts of the most suspect of those who had not been shown it
    double acts;   // of relays
    double relays, words, reports, answers;
    double origins, absence, mimicry; // what clears
};

/* What all orders did, those that are not listed any more too. */
struct incident_effects {
    uint32_t taken_back, unspooled, given_again; // copies
    uint32_t let_go, returned;                   // held messages
    uint32_t sent_back;                          // of the copies taken back: to their senders
};

struct incident {
    uint64_t id;
    enum incident_state state;
    double nats;
    enum lure_kind kind;
    enum lure_width width; // of the key that convicts
    struct lure_key key;
    struct str shown;
    int64_t first_us, convicted_us, ended_us, expires_us; // 0: not yet
    struct str actor, why;                                // of an operator's act; may be empty
    int64_t held_us;                                      // the first hold
    int64_t by_itself_us; // convicted by evidence, whatever operators did later
    uint32_t n_sendings, n_receivers, n_exposed, n_relays, n_rejected, n_held, n_reports;
    uint32_t n_lures; // of a campaign: never-seen ones that share no key; 0: it is none
    struct incident_sum sum;
    struct incident_effects effects;
    const struct incident_evidence *evidence; // oldest first; the strongest are kept
    size_t n_evidence;
    const struct incident_node *nodes; // by time of first sight
    size_t n_nodes;
    const struct incident_order *orders;
    size_t n_orders;
    const struct guard_question *questions; // oldest first
    size_t n_questions;
    uint32_t n_confirmed, n_denied; // people who meant it, and who did not
    const struct lure_key *files;   // of files: by what is in them
    size_t n_files;
};

/* Walks the ids of incidents, newest first: start with *at = 0; returns 0 at the end.  A cluster
 * becomes an incident when it is held, convicted or reported. */
uint64_t guard_incident_next(const struct guard *guard, uint64_t *at);
/* ERR_MISSING.  Everything lives in arena. */
enum err guard_incident(const struct guard *guard, uint64_t id, struct arena *arena,
                        struct incident *out) MUST_CHECK;

/* The same of the cluster that has this key, whether it is an incident or not; of_campaign: of the
 * campaign that the cluster is of, if it is of one. */
enum err guard_incident_of(const struct guard *guard, const struct lure_key *key, bool of_campaign,
                           struct arena *arena, struct incident *out) MUST_CHECK;

/* The questions that wait for an answer, the first to expire first, then those that may still be
 * answered late; texts are borrowed until the next event. */
typedef void guard_question_fn(void *context, const struct guard_question *question);
void guard_questions(const struct guard *guard, guard_question_fn *fn, void *context);

/* What would have been done, of sendings and reports that were only observed; incident 0: what
 * belongs to none, of one day. */
struct guard_tally {
    uint64_t incident;
    int kind;                  // enum lure_kind; -1: of no incident, or the guard has forgotten it
    struct str domain, shown;  // of the senders (of reports: of the reporters); the lure
    int64_t first_us, last_us; // of what was noted
    int64_t convicted_us;      // would have been convicted, by evidence
    int64_t by_hand_us;        // an operator convicted it, too or alone
    int64_t released_us;       // an operator said that it was none
    uint32_t n_sendings;       // looked at in all: of incident 0 only
    uint32_t n_rejects, n_holds; // messages
    uint32_t n_retracts;         // copies sent before the conviction
    uint32_t n_restricts;        // accounts
    uint32_t n_reports;          // by people; of incident 0: which named nothing the guard knew
};
typedef void guard_tally_fn(void *context, const struct guard_tally *tally);
/* Calls fn for each, the longest untouched first; texts are borrowed until the next event. */
void guard_tallies(const struct guard *guard, guard_tally_fn *fn, void *context);

/* Of encrypted messages, since the start. */
struct guard_sealed {
    uint64_t n_shown, n_runs, n_relays; // of runs; runs that count; by people who were shown one
    uint64_t n_held, n_rejected;        // messages; where it is only observed, they would have been
    uint64_t n_stops;                   // messages taken back by their keys
};

/* Whether a worm is about: nobody says so; somebody's word, or a surge of people who send
 * never-seen lures to several; more than one's word, or a tree that was convicted. */
enum outbreak_level { OUTBREAK_NONE, OUTBREAK_SUSPECTED, OUTBREAK_SURE };
const char *outbreak_level_name(enum outbreak_level level); // "none", "suspected", "sure"

struct guard_state {
    enum outbreak_level outbreak;
    size_t bytes, memory;               // in use; configured
    size_t bytes_users, bytes_clusters; // of bytes
    uint64_t n_events, n_sendings, n_delivered, n_held, n_rejected, n_exposures;
    uint64_t n_users, n_clusters, n_hosts, n_forgotten, n_incidents, n_convicted, n_waiting;
    uint64_t n_asking;                                                  // questions that wait
    uint64_t n_asked, n_said_yes, n_said_no, n_unanswered, n_withdrawn; // in all
    uint64_t n_would_reject, n_would_hold;                             // where it was only observed
    uint64_t n_stops, n_restricted, n_suspensions, n_rights, n_decoys; // in force
    // since the start:
    uint64_t n_taken_back, n_given_again; // copies of receivers
    uint64_t n_decoy_hits, n_campaigns;   // people who sent to a decoy; campaigns found
    struct guard_sealed sealed;
    uint64_t n_tallies, n_tallies_forgotten; // lines of it; those that had no room any more
    double novel_share;                      // of sendings: how ordinary a never-seen lure is here
};
void guard_state(const struct guard *guard, struct guard_state *out);

/* Convictions, restrictions, suspensions, entitlements and decoys in force. */
enum rule_kind { RULE_STOP, RULE_RESTRICT, RULE_SUSPEND, RULE_ENTITLE, RULE_DECOY };
struct guard_rule {
    enum rule_kind kind;
    uint64_t incident;
    struct lure_key key; // of a stop
    enum lure_width width;
    struct str shown;
    enum feature_kind feature;  // of a suspension
    struct str account, domain; // all texts are borrowed until the next event
    uint32_t receivers;
    int64_t expires_us;
    struct str actor, why;
};
typedef void guard_rule_fn(void *context, const struct guard_rule *rule);
/* Calls fn for each. */
void guard_rules(const struct guard *guard, guard_rule_fn *fn, void *context);

/* Somebody sent a lure to a decoy; of one lure each sender counts once. */
struct guard_decoy_hit {
    uint64_t incident;               // 0: that alone is no incident
    bool convicted;                  // the lure is, by now
    struct str sender, decoy, shown; // decoy empty: it was not noted which
    double nats;                     // what it counts for
    bool discounted; // for next to nothing: two others had sent the same lure to decoys before
    int64_t at_us;   // 0: forgotten
};
typedef void guard_decoy_hit_fn(void *context, const struct guard_decoy_hit *hit);
/* Calls fn for each that is remembered, newest first: the last 4,096, for as long as their lures
 * are.  Texts are borrowed until the next event. */
void guard_decoy_hits(const struct guard *guard, guard_decoy_hit_fn *fn, void *context);

#endif
