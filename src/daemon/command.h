/*
 * The command layer: what an operator can do, whichever door he comes through.
 *
 * A command is a row: name, arguments with their kinds, role, handler.  The
 * control socket is one face; ad-hoc commands, REST and the console are others.
 * The layer checks arguments and rights before the handler runs, and records
 * what changed something in the audit record before the answer leaves.
 *
 * Everything runs on the main loop's thread.  A handler may answer later: it
 * keeps the call, and ends it by exactly one command_done or command_fail.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum role {
    ROLE_ADMIN,    // of one domain
    ROLE_OPERATOR, // of the installation
};

struct actor {
    struct str name; // for the audit record: "root" (control socket), "admin@example.org"
    enum role role;
    struct str domain; // of an administrator
};

enum argument_kind {
    ARGUMENT_TEXT,
    ARGUMENT_SECRET,  // a text that is neither logged nor recorded
    ARGUMENT_ACCOUNT, // a bare JID with a local part; the handler gets it prepared
    ARGUMENT_ADDRESS, // any JID, prepared
    ARGUMENT_DOMAIN,  // prepared
    ARGUMENT_NUMBER,  // not negative
    ARGUMENT_TIME,    // "2 h", microseconds for the handler, never 0
    ARGUMENT_FLAG,
    ARGUMENT_CHOICE,
};

enum {
    ARGUMENT_REQUIRED = 1,
    ARGUMENT_POSITIONAL = 2, // given by its place on the command line, not as --name
    ARGUMENT_REST = 4,       // a text that takes all words that are left
    ARGUMENT_SEVERAL = 8,    // a text that may be given several times: joined by line ends
};

struct argument {
    const char *name;
    enum argument_kind kind;
    unsigned flags;
    const char *choices; // "links|files"
    const char *doc;
};

/* Every COMMAND_AUDITED command takes it. */
#define ARGUMENT_REASON                                                                            \
    {                                                                                              \
        "reason", ARGUMENT_TEXT, 0, NULL, "Why, for the audit record."                             \
    }

enum { ARGUMENTS_MOST = 8 };

enum {
    COMMAND_AUDITED = 1, // changes something
    COMMAND_READS = 2,   // is followed by data (imports)
    COMMAND_WRITES = 4,  // answers with data (exports)
};

struct command_call;

struct command {
    const char *name; // "user add"
    const char *doc;  // a sentence
    enum role role;   // least role that may
    unsigned flags;
    const char
        *scope; // name of the argument that says which domain is concerned; NULL: all of them
    void (*run)(struct command_call *call);
    struct argument arguments[ARGUMENTS_MOST]; // the first with name NULL ends them
};

/* How the face takes what a call says; all on the main loop. */
struct command_face {
    /* The call is made, and its handler will run now; NULL where nobody wants to know. */
    void (*begun)(struct command_call *call);
    /* A line of progress; borrowed. */
    void (*progress)(struct command_call *call, const json_t *what);
    /* Data of a COMMAND_WRITES command. */
    void (*data)(struct command_call *call, struct str bytes);
    /* The answer; the call is gone when it returns.  e != OK: message says why and result may be
     * NULL. */
    void (*answer)(struct command_call *call, enum err e, const json_t *result, struct str message);
    /* Bytes of data that wait for a slow reader; NULL: never any. */
    size_t (*waiting)(const struct command_call *call);
    /* Stops and restarts on_data; NULL for faces that bring no data. */
    void (*pause)(struct command_call *call, bool paused);
};

struct commands;

struct command_call {
    const struct command *command;
    void *context; // of the table that the command stands in
    struct actor actor;
    struct arena arena; // lives as long as the call
    json_t *arguments;  // checked and, where they are names, prepared
    bool only_looks;    // set by a handler that changes nothing this time: no audit record
    bool cancelled;     // nobody waits for the answer any more; the handler may end early
    void *state;        // the handler's

    /* Set by a handler that expects data: pieces as they come, end with the last (which may be
     * empty).  After a cut connection: on_data is not called again, cancelled is set, and
     * on_cancelled (may be NULL) is called. */
    void (*on_data)(struct command_call *call, struct str bytes, bool end);
    void (*on_cancelled)(struct command_call *call);
    /* Set by a handler that writes much: called when waiting() has fallen to nothing. */
    void (*on_drained)(struct command_call *call);

    // the layer's
    const struct command_face *face;
    void *face_data;
    struct commands *commands;
    json_t *result;
    struct link link;
};

struct commands *commands_new(void);
/* When no call is under way. */
void commands_free(struct commands **commands);
size_t commands_under_way(const struct commands *commands);
/* Adds the rows (static storage) and what their handlers get as call->context. */
void commands_add(struct commands *commands, const struct command *rows, size_t n, void *context);
/* Who writes the audit record: must call command_recorded once, also later. */
void commands_set_audit(struct commands *commands,
                        void (*record)(struct command_call *call, struct str scope,
                                       struct str details, void *context),
                        void *context);
void command_recorded(struct command_call *call, enum err e);

/* Walks all rows: start with *at = 0; NULL at the end. */
const struct command *commands_next(const struct commands *commands, size_t *at);

/* Checks and runs a command; the answer may come before this returns.  arguments: an object of
 * texts, numbers and flags; borrowed. */
void command_run(struct commands *commands, struct str name, const json_t *arguments,
                 const struct actor *actor, const struct command_face *face, void *face_data);
/* The face is gone: nothing of it is called again. */
void command_cancel(struct command_call *call);

/* For handlers.  Texts live as long as the call; absent: empty, 0, false. */
struct str argument_text(const struct command_call *call, const char *name);
int64_t argument_number(const struct command_call *call, const char *name);
bool argument_given(const struct command_call *call, const char *name);

void command_progress(struct command_call *call, json_t *what); // takes the reference
/* End the call.  result may be NULL; the reference is taken. */
void command_done(struct command_call *call, json_t *result);
void command_fail(struct command_call *call, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);
/* Fails with a result that says how far it came. */
void command_fail_with(struct command_call *call, enum err e, json_t *result, struct str message);

/* A JSON string of any text: what is not UTF-8 or holds NUL becomes an empty one. */
json_t *json_of(struct str text);
/* A time of the wall clock as people read it; null for 0. */
json_t *json_of_time(int64_t us);

#endif
