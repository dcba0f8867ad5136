/*
 * The guard's question to a person, "did you mean to send this?", as he reads it
 * and as he answers (docs/guard.md, Questions): in words, or with the form where
 * his client shows one.
 *
 * People know which words name animals; a program in their client is taken not
 * to.  No I/O.
 */
#ifndef DRILL_QUESTION_H
#define DRILL_QUESTION_H

#include "base/buf.h"
#include "xml/element.h"

struct question {
    uint64_t number;
    bool has_form;
    struct str text;       // borrowed from the message
    struct str animals[2]; // of the puzzle that comes with it; empty where there is none
    size_t n_animals;
};

/* Reads a message of the server's.  False: it asks nothing. */
bool question_read(const struct element *message, struct question *out);
/* Appends the children of the message that answers; solves: with the puzzle's words. */
void question_answer(const struct question *question, bool meant, bool solves, struct buf *out);
/* Whether it is about the host of this link, which it shows in a form that cannot be opened. */
bool question_shows(const struct question *question, struct str link);

#endif
