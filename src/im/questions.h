/*
 * Questions to senders: "did you mean to send this?"
 *
 * The guard orders them and weighs the answers (guard/questions.c); here they
 * reach people and come back:
 *
 *     guard's thread            home of who is asked
 *     ORDER_ASK     ──mail──►   his sessions, as words, and as a form where the client knows forms
 *     EVENT_ANSWER  ◄──mail──   a message to his domain: words, or the form
 *     ORDER_ASK, late ─mail─►   the time is over, but he may still answer
 *     ORDER_ASK undo ─mail──►   thank you, or: never mind
 *
 * The device that sent may be the worm's.  So another one is asked where there
 * is one that was online before; else the one that sent, with a puzzle in words,
 * which stops only a worm that was not made for it (docs/threat-model.md).  Who
 * is away is asked when he comes back, until the question expires.  The guard
 * remembers what was asked, so a restart asks again and forgets nothing.
 */
#ifndef IM_QUESTIONS_H
#define IM_QUESTIONS_H

#include "guard/guard.h"
#include "im/asked.h"
#include "im/feature.h"

struct gate;

/* What tells an account's devices apart, for struct sending. */
uint64_t questions_device(struct str resource);

/* At the start, before the guard's thread runs: what was asked before the stop is asked again. */
void questions_open(struct gate *gate);
/* On the guard's thread: asks, or ends a question. */
void questions_order(struct gate *gate, const struct order *order);

/* On a home: a message to the bare domain.  True: its sender had been asked, and this was taken for
 * his answer. */
bool questions_answered(struct home *home, const struct routed *routed);
/* The same as a command (XEP-0050), whose node is NS_QUESTION: for a client that lost the message.
 * On the home of who asks. */
bool questions_wait(const struct asked *asked); // for the asker, on this device
struct str questions_title(struct asked *asked);
void questions_command(struct asked *asked);
/* The session has become available: it is asked what waits. */
void questions_for(struct session *session);

/* A worker's questions, at its end. */
void questions_free(struct list *questions);

#endif
