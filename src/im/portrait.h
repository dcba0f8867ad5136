/*
 * Portraits: how a client of the people here answers whoever asks it.
 *
 * A decoy (im/decoys.h) has no client, and whoever reads this source must not tell it from people
 * by putting questions to it.  So what it answers is not written here: the server puts the same
 * questions to people's own clients, once a session and only where there are decoys, and a decoy
 * answers as those do which several people have.  What one client alone says is never repeated:
 * a worm could mark decoys by it.
 */
#ifndef IM_PORTRAIT_H
#define IM_PORTRAIT_H

#include "route/session.h"

enum { PORTRAIT_QUESTIONS = 16 };

struct portrait_answer {
    bool is_silent; // none came: the rest is empty
    bool is_error;
    bool echoes;      // it repeats the question before the error
    struct str order; // of the attributes, such as "to id type": we pass on what a client chose
    struct str inner; // the children, written
};

/* Immutable and counted, for any thread. */
struct portrait {
    atomic_uint refs;
    struct arena arena;  // of all below
    struct str key;      // everything below in one text: equal clients have the same
    struct str presence; // what its presence has beside the person's own words, written
    struct str lang;     // that its stream names; empty: none
    bool receipts;       // it confirms messages (XEP-0184)
    struct portrait_answer answers[PORTRAIT_QUESTIONS];
};

struct portrait *portrait_ref(struct portrait *portrait);
/* NULL is fine; nulls the pointer. */
void portrait_unref(struct portrait **portrait);

/* Puts the questions to the session's client, unless it was asked before. */
void portrait_ask(struct session *session);
/* Whether portrait_ask has asked it, now or before. */
bool portrait_is_asked(const struct session *session);
/* An answer came from the session to its own server. */
void portrait_answered(struct session *session, const struct stanza *stanza);
/* The portrait, once; NULL: there may still be answers, or it was taken.  delay_us: how long the
 * client took for the first. */
struct portrait *portrait_take(struct session *session, int64_t *delay_us);
/* The session ends. */
void portrait_forget(struct session *session);

/* What its presence has beside the person's own words, where a picture has this hash (XEP-0153;
 * empty: there is none), in arena.  A client that says nothing of pictures goes on saying nothing.
 */
struct str portrait_presence(const struct portrait *portrait, struct arena *arena,
                             struct str photo);

/* What whoever asks a request (an iq of type get or set) is answered by a client like that: the
 * answer's element, in arena.  ERR_MISSING: nothing; ERR_LIMIT: the arena has no room for what
 * would be repeated. */
enum err portrait_reply(const struct portrait *portrait, struct arena *arena,
                        const struct stanza *request, int64_t idle_us,
                        struct element **out) MUST_CHECK;

/* The same for what a client sends by itself when it was sent a message: NULL, or an element in
 * arena. */
struct element *portrait_receipt(const struct portrait *portrait, struct arena *arena,
                                 const struct stanza *message);

#endif
