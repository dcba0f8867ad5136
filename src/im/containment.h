/*
 * Containment: what the guard orders is carried out, and told to people.
 *
 * Retractions find every copy by its lure key in the store.  To our own users,
 * and to nobody else, the server then speaks as the author, because clients
 * obey a retraction only from him (semantics.md: taking back); the audit record
 * says that it was the server.
 */
#ifndef IM_CONTAINMENT_H
#define IM_CONTAINMENT_H

#include "guard/guard.h"
#include "im/feature.h"

struct gate;

/* At the start, before the thread runs: takes up retractions that a stop interrupted, and lets go
 * of held messages that the guard no longer waits for. */
enum err containment_open(struct gate *gate, struct why *why) MUST_CHECK;
/* An order of an event that was logged before the stop: what may not have been carried out then is
 * carried out now.  After containment_open, before the thread runs. */
void containment_replayed(struct gate *gate, const struct order *order);
void containment_close(struct gate *gate);

/* On the guard's thread: begins to carry out one order.  What takes longer goes on by mail and
 * store. */
void containment_carry_out(struct gate *gate, const struct order *order);

/* On the guard's thread: the message of this number is about to be held. */
void containment_will_hold(struct gate *gate, uint64_t message);
/* From a home: it is in the store now, or could not be kept. */
void containment_held(struct gate *gate, uint64_t message, bool kept);
/* A held message as the store keeps it. */
void containment_write_held(struct buf *out, const struct stanza *stanza, int64_t at_us);

/* One line about what became of a stanza that did not simply pass: who sent it, on which
 * connection (session NULL: nobody knows any more), its id and the reason; not to whom, nor what it
 * says. */
void containment_log(const char *event, const struct session *session, const struct stanza *stanza,
                     enum reason reason, uint64_t incident);

struct refusal {
    enum reason reason;
    uint64_t incident;
    unsigned suspended; // REASON_SUSPENDED: of what (guard_word.suspended),
    int64_t until_us;   // and until when
};

/* On a home: refuses a message in plain words of that language.  ticket: of the stanza, done only
 * when the error is on its way; may be NULL. */
void containment_refuse(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                        struct str lang, const struct refusal *refusal);
/* What a person reads where the server takes no file because files are suspended; in arena. */
void containment_no_files(const struct home *home, struct arena *arena, const struct jid *who,
                          struct str lang, int64_t until_us, struct stanza_error *out);

/* Whether notices are on their way that a crash could lose: no snapshot may pass them. */
bool containment_is_telling(const struct gate *gate);

#endif
