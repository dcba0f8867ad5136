/*
 * Likeness: what a made-up colleague is called and what his vCard says, in the form of the people
 * here and of none of them.  Pure: what it knows is what it was told.
 *
 * A name is the first half of one person's and the second half of another's, and nobody's whole.  A
 * vCard has the fields that one person's has, filled with the new name; of what else stands there
 * only what several people share is taken over (an organisation's name, a title), nothing of one
 * person's alone: no picture, no telephone, no birthday.
 */
#ifndef DAEMON_DECOY_LIKENESS_H
#define DAEMON_DECOY_LIKENESS_H

#include "base/arena.h"
#include "base/random.h"

struct likeness;

struct likeness *likeness_new(void);
/* NULL is fine; nulls the pointer. */
void likeness_free(struct likeness **likeness);

/* Somebody's local part: nobody new will have it.  names: its halves may be used. */
void likeness_add_local(struct likeness *likeness, struct str local, bool names);
/* "Anna Lang": an operator's, whose halves may be used. */
void likeness_add_name(struct likeness *likeness, struct str name);
/* Somebody's vCard as the store keeps it; empty: he has none. */
void likeness_add_vcard(struct likeness *likeness, struct str bare, struct str xml);

struct invented {
    struct str local; // "anna.roth", as most people's addresses are made
    struct str given, family;
    struct str name; // "Anna Roth"
};
/* ERR_MISSING: there are too few names.  What is invented is not invented again. */
enum err likeness_invent(struct likeness *likeness, struct prng *luck, struct arena *arena,
                         struct invented *out) MUST_CHECK;

/* The vCard of somebody invented, whose address is bare; empty: he has none, as one of those whose
 * vCards were asked for. */
struct str likeness_vcard(const struct likeness *likeness, struct prng *luck, struct arena *arena,
                          const struct invented *who, struct str bare);

#endif
