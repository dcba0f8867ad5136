/*
 * The other end of the control socket: one connection, a JSON object a line.
 */
#ifndef CTL_TALK_H
#define CTL_TALK_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>

struct talk {
    int fd;
    struct buf in;
};

/* ERR_CLOSED: nobody answers there; ERR_DENIED: we may not. */
enum err talk_open(struct talk *talk, const char *path, struct why *why) MUST_CHECK;
void talk_close(struct talk *talk);

/* Waits until it is written.  Stops early, with OK, when the server has said something: see
 * talk_has_word. */
enum err talk_say(struct talk *talk, const json_t *line, struct why *why) MUST_CHECK;
/* Waits for the next line.  A new reference. */
enum err talk_hear(struct talk *talk, json_t **out, struct why *why) MUST_CHECK;
/* Whether talk_hear would not wait. */
bool talk_has_word(struct talk *talk);

#endif
