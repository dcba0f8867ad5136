/*
 * The search for the worm that beats us: the settings of a family that infect
 * most.
 *
 * The first half of the budget is drawn from the whole family, the rest are
 * children of two of the worst eight so far, with a change or two.  Luck is the
 * enemy: what one worm infects differs from seed to seed as much as worms do, and
 * a search that believes two lucky seeds breeds clones of a harmless worm for the
 * rest of its time.  So an evaluation is short (a worm that infects less than half
 * of what the least of the kept do is given up after any seed); before each
 * generation those at the top that have had few runs get another; and a large
 * budget is several searches of five hundred, each from nothing.
 *
 * And the worst of many means is lucky as well as bad.  Whoever wants to know what
 * a worm infects has the worst confirmed: run again over seeds that had no part in
 * choosing them, and ranked by these alone.  As many are kept as it takes for one
 * whose few seeds were unlucky to be among them.
 *
 * Deterministic like all here, in however many processes.
 */
#ifndef LAB_SEARCH_H
#define LAB_SEARCH_H

#include "lab/experiment.h"
#include "lab/family.h"

enum { FOUND_MOST = 24 };

struct found {
    struct member_worm worm;
    struct result result; // of the search, or of the confirming runs
    double searched;      // mean infected in the search
};

struct search {
    struct found worst[FOUND_MOST]; // most infected first
    size_t n;
    unsigned n_tried;
    bool is_confirmed;
    uint64_t first_seed; // of the runs that ranked them
};

struct search_plan {
    const struct experiment *experiment; // its seeds are those of one evaluation
    const struct lure_rules *rules;
    const struct family *family;
    unsigned budget;      // evaluations
    unsigned n_processes; // that share the runs; what is found does not depend on it
};

/* ERR_IO: a process could not be had, or died; what was found by then is there. */
enum err search_run(struct search *search, const struct search_plan *plan,
                    struct why *why) MUST_CHECK;
/* Runs the worst anew, each with so many seeds that the search did not use, and ranks them by
 * that.  ERR_IO as above. */
enum err search_confirm(struct search *search, const struct search_plan *plan, unsigned n_seeds,
                        struct why *why) MUST_CHECK;
void search_done(struct search *search);
/* "base=P14 pause=31.2 …" */
void search_print_settings(FILE *to, const struct family *family, const struct member_worm *worm);
/* Writes the worst as families of one worm into a directory: NAME-1, NAME-2…  ERR_IO. */
enum err search_keep(const struct search *search, const struct family *family,
                     const char *directory, const char *name, unsigned most,
                     struct why *why) MUST_CHECK;

#endif
