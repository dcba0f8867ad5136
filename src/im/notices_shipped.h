/*
 * The catalogues that are built in: made from po/ by po/embed.py.
 */
#ifndef IM_NOTICES_SHIPPED_H
#define IM_NOTICES_SHIPPED_H

#include <stddef.h>

struct notices_shipped {
    const char *lang;
    const unsigned char *bytes; // a .mo file
    size_t len;
};

extern const struct notices_shipped notices_shipped[];
extern const size_t notices_n_shipped;

#endif
