/*
 * The inspector: what a file is by its content, found out where it harms nobody.
 *
 * What parses strangers' formats (libmagic, libarchive, libyara) runs in a
 * process of its own, started before the server is confined and without a way
 * to any file, socket or program.  It waits for requests, and makes a process
 * anew for each file: that one has the open file, a pipe for its answer, and
 * limits on time and memory, so that a file that breaks a parser breaks the word
 * on itself and nothing else.
 *
 *     server ──socketpair: request, the file, a pipe──► helper ──fork──► one file's process
 *        ◄──────────────────────── pipe: struct inspection ───────────────────┘
 *
 * Rules (YARA) and the database of types are read before the fence stands, and
 * compiled once.
 */
#ifndef FILES_INSPECTOR_H
#define FILES_INSPECTOR_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct inspector;

enum inspected {
    INSPECTED_PROGRAM = 1 << 0,   // by content, or by its name
    INSPECTED_DISGUISED = 1 << 1, // … behind an innocent name
    INSPECTED_ARCHIVE = 1 << 2,   // its contents were listed
    INSPECTED_ENCRYPTED = 1 << 3, // an archive of which something cannot be read without a password
    INSPECTED_NESTED = 1 << 4,    // an archive in it was not looked into, for a limit or at all
    INSPECTED_INNER = 1 << 5,     // the program, or the disguise, is one inside the archive
    INSPECTED_UNFINISHED = 1 << 6, // a limit ended the listing
    INSPECTED_MATCHED = 1 << 7,    // a rule matched
    INSPECTED_SUSPECTED = 1 << 8,  // a rule with the tag `suspect` matched
};

struct inspection {
    uint32_t flags; // of enum inspected
    uint32_t n_entries;
    char type[96];     // media type by content; never empty
    char finding[192]; // the entry or the rule that the flags speak of; may be empty
};

struct inspector_options {
    const char *rules;      // a file of YARA rules, or a directory of *.yar and *.yara; NULL: none
    int64_t time_us;        // for one file
    uint64_t memory;        // of one file's process, in bytes
    uint64_t unpacked_most; // bytes that may be unpacked in order to list an archive
    uint32_t entries_most;
    unsigned depth_most; // of archives within it; 0: none is looked into
    unsigned at_once;    // files
    /* Fences the calling process in: first the helper, which makes others (one_file false), then
     * each of these.  NULL: nobody is fenced in. */
    enum err (*confine)(void *context, bool one_file, struct why *why);
    void *context;
};

/* Starts the helper.  While there are no threads yet.  ERR_MALFORMED: a rule is wrong, with file
 * and line. */
enum err inspector_start(const struct inspector_options *options, struct inspector **out,
                         struct why *why) MUST_CHECK;
/* Ends it and waits for it. */
void inspector_stop(struct inspector **inspector);

/* Waits: not for workers.  Any number of threads.  The descriptor is read, its position changes.
 * ERR_LIMIT: the file cost too much time or broke what read it.  ERR_CLOSED: the helper is gone. */
enum err inspector_look(struct inspector *inspector, int fd, struct str name,
                        struct inspection *out, struct why *why) MUST_CHECK;

#endif
