/*
 * A virus scanner's word on a file: clamd, asked by INSTREAM.
 *
 * Its parsers run in its own process, and it gets the bytes, not a path: it
 * needs no right to our files.
 */
#ifndef FILES_CLAMD_H
#define FILES_CLAMD_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum scan {
    SCAN_CLEAN,
    SCAN_FOUND,     // finding names it
    SCAN_AWAY,      // no scanner, no answer in time, or none that makes sense: why says it
    SCAN_TOO_LARGE, // more than clamd takes (StreamMaxLength)
};

enum { SCAN_FINDING_MOST = 128 };

/* Whether it says where a scanner could be: a UNIX socket's path, or a numeric address with a port,
 * "127.0.0.1:3310". */
bool clamd_is_place(struct str where);

/* Waits, at most most_us in all, and not much longer than *gives_up is true (may be NULL): not for
 * workers.  where: as above.  Reads fd from its beginning
 * without moving it. */
enum scan clamd_scan(const char *where, int fd, int64_t most_us, const atomic_bool *gives_up,
                     char finding[SCAN_FINDING_MOST], struct why *why);

#endif
