/*
 * Are short texts known again that a program dresses up, and others not taken for them?
 *
 * Each honest text of 8 to 70 bytes without a link is dressed in every way
 * there is, and its shape (lure_text_shape) compared with that of the text as
 * it was; and pairs of different texts are compared as they are.
 */
#ifndef LAB_ALIKE_H
#define LAB_ALIKE_H

#include "guard/lure.h"
#include "town/texts.h"

enum { ALIKE_DRESSES_MOST = 24 };

struct alike_row {
    const char *dress;
    uint64_t n, n_alike;      // texts; of these, those that were known again
    uint64_t pairs, n_others; // dressed, with another text; of these, those that were taken for it
    double shape_ns;          // CPU time for the shape of one
};

struct alike {
    struct alike_row rows[ALIKE_DRESSES_MOST];
    size_t n;
};

void alike_measure(const struct lure_rules *rules, struct texts *texts, uint64_t seed,
                   struct alike *out);

#endif
