/*
 * What a person would rather see than read: one page of HTML with pictures,
 * which needs nothing else.  The same results give the same bytes.
 */
#ifndef DRILL_REPORT_H
#define DRILL_REPORT_H

#include "drill/result.h"

struct report {
    const struct side *sides;
    size_t n_sides;
    uint32_t n_people;
    const struct worm_profile *worm;
    double chance, minutes;
};

/* The page; all of it is text that we made. */
void report_write(const struct report *report, struct buf *out);
/* The picture of infections over time alone, as a file of its own. */
void report_write_picture(const struct report *report, struct buf *out);
/* Writes index.html and infected.svg into a directory, which is made when absent. */
enum err report_save(const struct report *report, const char *directory,
                     struct why *why) MUST_CHECK;

#endif
