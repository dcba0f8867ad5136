/*
 * Families of worms: which habits may vary, and how.
 *
 *     # sends never-seen hosts, at any pace
 *     base P14
 *     pause 0.05..20000
 *     most 0 3 6 20
 *     aim roster random recent
 *
 * A line names a habit (worm_set) and either values to choose from or a range;
 * a range is drawn evenly over its logarithm where it begins above 0.  `base` is the profile
 * whose other habits they keep (P1).  A family with one value each is one worm.
 */
#ifndef LAB_FAMILY_H
#define LAB_FAMILY_H

#include "town/worm.h"

enum { GENES_MOST = 16, VALUES_MOST = 16 };

struct gene {
    struct str key;
    struct str values[VALUES_MOST];
    size_t n_values;
    double least, most; // of a range: n_values is 0
};

struct family {
    struct arena arena;
    const struct worm_profile *base;
    struct gene genes[GENES_MOST];
    size_t n_genes;
};

/* Of a worm in a family: the value of each gene, as it would be written. */
struct member_worm {
    char values[GENES_MOST][32];
    struct worm_profile profile;
};

/* ERR_IO, ERR_MALFORMED (says the line). */
enum err family_read(struct family *family, const char *path, struct why *why) MUST_CHECK;
void family_done(struct family *family);

void family_draw(const struct family *family, struct prng *prng, struct member_worm *out);
/* A child of the parent: one or two genes drawn anew, ranges mostly near where they were. */
void family_mutate(const struct family *family, struct prng *prng, const struct member_worm *parent,
                   struct member_worm *out);
/* A child of two: each gene is the one's or the other's. */
void family_cross(const struct family *family, struct prng *prng, const struct member_worm *mother,
                  const struct member_worm *father, struct member_worm *out);

#endif
