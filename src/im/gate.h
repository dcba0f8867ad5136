/*
 * The gate: where every message meets the guard before anybody gets it.
 *
 * Without a lure a message passes on its worker and never leaves it.  With one
 * the guard's thread is asked and the sender's later stanzas wait for its word:
 *
 *     worker                    guard's thread                 worker
 *     gate_message ──mail──►  judge, log the event  ──mail──►  deliver | hold | refuse
 *                               └─ orders ─► containment.h
 *
 * guard.mode off: nothing is looked at; observe: everything is judged, recorded
 * and delivered.
 */
#ifndef IM_GATE_H
#define IM_GATE_H

#include "im/feature.h"

struct guard_config;
struct lure_file;
struct store_message;
struct text_hits;

struct gate_options {
    uint64_t seed;
    double clock_rate; // tests only, else 1
    unsigned readers;  // threads that look at texts by an operator's rules (gate_texts.c)
    size_t readings;   // stanzas that may wait for them
};
/* The guard, with its state brought back from the store (snapshot, then the events since). */
enum err gate_new(struct service *service, struct im_settings *settings,
                  const struct guard_config *config, const struct gate_options *options,
                  struct gate **out, struct why *why) MUST_CHECK;
/* From any thread: these settings from now on. */
void gate_set_settings(struct gate *gate, struct im_settings *settings);
/* Starts its thread; the homes exist. */
enum err gate_start(struct gate *gate, struct why *why) MUST_CHECK;
/* Ends its thread.  What others still have for it is run by gate_turn, on the caller's thread. */
void gate_stop(struct gate *gate);
void gate_turn(struct gate *gate);
/* Whether nothing waits for it. */
bool gate_is_idle(const struct gate *gate);
/* Takes a last snapshot; the workers have ended, the store has nothing in hand for it. */
void gate_free(struct gate **gate);

/* What the guard has seen, at most a second old; any thread. */
struct guard_state;
void gate_state(struct gate *gate, struct guard_state *out, size_t *n_waiting);

/* True when the gate keeps the message: it will go on with message_accept, or has refused it. */
bool gate_message(struct session *session, struct stanza *stanza, struct ticket *ticket);

/* Goes on with a stanza that the gate had kept; session is NULL when it has ended meanwhile.  The
 * stanza is as it was, not sealed, or a copy in which nothing can be opened. */
typedef void gate_go_on_fn(struct account *account, struct session *session, struct stanza *stanza,
                           struct ticket *ticket);
/* The same for presence of all types and for requests to other people: whatever else shows a person
 * something to open.  audience: how many people get it.  It cannot be held: what the guard would
 * hold or reject returns as an error, but presence goes on with its links made dead. */
bool gate_other(struct session *session, struct stanza *stanza, struct ticket *ticket,
                uint32_t audience, gate_go_on_fn *go_on);

/* A copy, not sealed, of a stanza in which nothing can be opened: links in its texts are made dead,
 * what else leads anywhere is left out. */
struct stanza *gate_dead_copy(struct gate *gate, const struct stanza *stanza);

/* What the store kept is shown to the account: finds the stanza's lures anew and gives it their
 * keys, so that whoever gets it counts as exposed.  True: it shows what is convicted by now,
 * whether or not the retraction has come to it yet, or what a rule for texts forbids, and must not
 * be shown as it is.  hits: what gate_look_again found in it; may be NULL.  Before sealing. */
bool gate_bring_out(const struct account *account, struct stanza *stanza,
                    const struct text_hits *hits);

/* Rules for texts may be younger than what the store kept: looks at these rows' words, beside the
 * worker, then calls then on it.  At once where there is nothing to look at; without what was not
 * looked at in time.  A row is looked at once for each set of rules (as far as is remembered; never
 * remembered: one with the id 0).  The rows are read before it returns. */
struct gate_look;
typedef void gate_looked_fn(void *context, const struct gate_look *look);
void gate_look_again(struct account *account, const struct store_message *rows, size_t n,
                     gate_looked_fn *then, void *context);
/* What was found in the row; NULL: nothing.  As long as `then` runs. */
const struct text_hits *gate_look_hits(const struct gate_look *look, size_t row);
/* Whether a rule forbids it. */
bool gate_hits_forbid(const struct text_hits *hits);
/* Whether one of these keys, side by side, is convicted now; any thread. */
bool gate_convicts(struct gate *gate, struct str keys);
/* The same of a stanza that has its keys. */
bool gate_is_convicted(const struct account *account, const struct stanza *stanza);
/* gate_bring_out, and a dead copy in the place of what is convicted; without words where a rule
 * forbids them. */
void gate_bring_out_dead(const struct account *account, struct stanza **stanza,
                         const struct text_hits *hits);
/* Takes whatever leads anywhere out of the children's children: of a vCard, the fields. */
void gate_prune(const struct gate *gate, struct stanza *stanza);
/* What waits in a session's outbox is sent again: without what was convicted meanwhile. */
void gate_resends(struct session *session);

/* Whether an operator has suspended that for the account, and until when; home of the account. */
bool gate_suspends(const struct account *account, unsigned feature, int64_t *until_us);

/* A message from this peer was handed to the account: whether people talk to each other is part
 * of the pace. */
void gate_received(struct account *account, const struct jid *peer);

/* A copy of a message with lures reached a client of this account: an exposure. */
void gate_exposed(struct account *account, const struct stanza *stanza);

/* The account (bare) followed a protected link with these keys, side by side; any thread. */
void gate_opened(struct gate *gate, struct str reader, struct str keys);

/* The virus scanner found something in a file: it is convicted by its digest, in the scanner's
 * name, whatever guard.mode is; any thread. */
void gate_convict_file(struct gate *gate, const struct lure_file *file, struct str finding);

/* The account (bare) was deleted: its entitlements end, and it is no decoy, so that a name made
 * anew inherits neither.  Restrictions and suspensions stay until they expire: nobody sheds one
 * by leaving; any thread. */
void gate_account_deleted(struct gate *gate, struct str account);

/* The account reports whatever this person (bare) has sent to it of late. */
void gate_reported(struct account *account, struct str sender);

extern const struct feature feature_gate;

#endif
