/*
 * What is in hand: a note of each thread's work that outlives the process.
 *
 * A stanza that brings the server down comes again: its client repeats what was
 * not acknowledged, the spool gives it at the next login, the guard takes the
 * events of its log anew.  So each thread notes what it works on in a file that
 * is mapped into its memory: a few bytes copied, no system call.  A death leaves
 * the note, however it came.  The next start counts it in the store; what was
 * in hand at two deaths is put aside: nobody touches it any more, and the
 * operator sees it (firedoorctl aside).
 *
 * A note names a stanza by its kind, bare from, to, id and the length of its body,
 * which are the same in every form it takes; other things by a word, a number
 * and a time where numbers may come again.  Notes nest: what is done in the course of something
 * else is noted beside it, to a depth of two.
 */
#ifndef ROUTE_IN_HAND_H
#define ROUTE_IN_HAND_H

#include "base/err.h"
#include "base/str.h"
#include "xmpp/stanza.h"

#include <stdbool.h>
#include <stdint.h>

struct in_hand;
struct in_hand_slot; // one thread's
struct store;

/* Counts the notes that the last run left in the file, and makes it anew for n threads.  crash_at
 * (tests; empty otherwise): whoever notes something that contains this text dies.  Waits for the
 * store. */
enum err in_hand_open(const char *path, struct store *store, size_t n, struct str crash_at,
                      struct in_hand **out, struct why *why) MUST_CHECK;
/* All threads have ended their work: nothing is noted. */
void in_hand_close(struct in_hand **in_hand);

struct in_hand_slot *in_hand_slot(struct in_hand *in_hand, size_t i);
/* How much is put aside. */
size_t in_hand_n_aside(const struct in_hand *in_hand);

/* This thread begins to work on it: until the matching in_hand_done.  False: it was put aside, and
 * the caller leaves it alone (and still calls in_hand_done).  slot may be NULL: nothing is noted.
 */
bool in_hand_begin(struct in_hand_slot *slot, const struct stanza *stanza) MUST_CHECK;
bool in_hand_begin_number(struct in_hand_slot *slot, const char *what, uint64_t number,
                          int64_t at_us) MUST_CHECK;
void in_hand_done(struct in_hand_slot *slot);

/* How a note is kept as a record of kind STORE_IN_HAND: value is the number of deaths, a line end,
 * the note.  Two deaths: it is put aside at the next start. */
enum { IN_HAND_DEATHS = 2 };

#endif
