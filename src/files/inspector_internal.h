/*
 * Between the two sides of the inspector's socket.
 */
#ifndef FILES_INSPECTOR_INTERNAL_H
#define FILES_INSPECTOR_INTERNAL_H

#include "files/inspector.h"

enum { NAME_MOST = 255, MAGIC_REQUEST = 0x4C6F6F6B, MAGIC_INSPECTION = 0x53656520 };

/* Two descriptors come with it: the file, and where the answer goes. */
struct look_request {
    uint32_t magic;
    uint32_t name_len;
    char name[NAME_MOST];
};

struct look_answer {
    uint32_t magic;
    struct inspection inspection;
};

/* What the helper says once at its start. */
struct look_ready {
    enum err e;
    struct why why;
};

/* ---- look.c ---- */

struct lookers; // the libraries, ready

enum err lookers_new(const struct inspector_options *options, struct lookers **out,
                     struct why *why) MUST_CHECK;
/* In a process of its own, fenced in.  False: the rules did not come to an end. */
bool lookers_look(struct lookers *lookers, int fd, struct str name,
                  struct inspection *out) MUST_CHECK;

/* ---- helper.c ---- */

/* The helper's whole life; does not return. */
_Noreturn void helper_run(const struct inspector_options *options, int socket);

#endif
