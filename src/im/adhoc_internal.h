/*
 * Between the commands' protocol (adhoc.c) and what they do (adhoc_accounts.c).
 */
#ifndef IM_ADHOC_INTERNAL_H
#define IM_ADHOC_INTERNAL_H

#include "im/adhoc.h"

struct notice_args;

struct adhoc_field {
    const char *var, *type, *label;
    bool required;
    const char *options; // of list-single, separated by spaces; the first is the default
};

struct adhoc;

struct adhoc_command {
    const char *node; // behind http://jabber.org/protocol/admin#
    const char *name, *instructions;
    const struct adhoc_field *fields; // terminated by var NULL; NULL: done at once, without form
    /* Ends the request, at once or later, with one of adhoc_done, adhoc_wrong, adhoc_failed. */
    void (*perform)(struct adhoc *adhoc);
};

/* All commands, terminated by node NULL. */
extern const struct adhoc_command adhoc_commands[];

/* One request that carries a command out.  Lives in the request's arena. */
struct adhoc {
    struct asked *asked;
    const struct adhoc_command *command;
    struct str domain;    // whose accounts; of the request
    struct str sid;       // of the command's session
    struct element *form; // submitted; NULL when the command has none
    void *data;           // perform's own
    struct store_record_get rights;
    void (*allowed)(struct adhoc *adhoc, bool is_admin);
};

/* The first value of a field of the form; empty when there is none. */
struct str adhoc_value(const struct adhoc *adhoc, const char *var);
/* Its value elements: the first, then element_next_same; NULL: none. */
const struct element *adhoc_values(const struct adhoc *adhoc, const char *var);

/* These words in the language of who asked. */
struct str adhoc_words(struct adhoc *adhoc, const char *words);
struct str adhoc_note(struct adhoc *adhoc, const char *words, const struct notice_args *args);

/* A form of type result, to which fields are added. */
struct element *adhoc_result(struct adhoc *adhoc);
struct element *adhoc_result_field(struct adhoc *adhoc, struct element *form, const char *var,
                                   const char *type);

/* The command is completed: with a payload (may be NULL) and a note (may be empty). */
void adhoc_done(struct adhoc *adhoc, struct element *payload, struct str note);
/* It is completed, but not all of it was done, or nothing: the note says what not. */
void adhoc_undone(struct adhoc *adhoc, struct str note);
/* What was submitted is wrong; it may be submitted again. */
void adhoc_wrong(struct adhoc *adhoc, const char *text);
/* The store failed. */
void adhoc_failed(struct adhoc *adhoc, enum err e);

#endif
