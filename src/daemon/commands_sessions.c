/*
 * Commands about sessions.
 */
#include "daemon/daemon.h"

#include "daemon/server.h"
#include "im/sessions.h"
#include "xmpp/jid.h"

#include <stdlib.h>

enum { ROWS_MOST = 100000 };

struct walking {
    struct sessions_walk walk;
    struct command_call *call;
};

static json_t *row_of(const struct session_row *row)
{
    return json_pack("{s:o, s:o, s:o, s:b, s:i, s:b, s:b, s:I}", "session", json_of(row->jid),
                     "address", json_of(row->address), "since", json_of_time(row->started_us),
                     "available", row->available, "priority", (int)row->priority, "connected",
                     row->connected, "resumable", row->resumable, "waiting",
                     (json_int_t)row->outbox);
}

static void walked(struct sessions_walk *walk)
{
    struct walking *walking = CONTAINER_OF(walk, struct walking, walk);
    struct command_call *call = walking->call;
    json_t *rows = json_array();
    for (size_t i = 0; i < walk->n; i++)
        json_array_append_new(rows, row_of(&walk->rows[i]));
    bool closes = walk->close, none = walk->n == 0, more = walk->more;
    free(walk->rows);
    arena_done(&walk->arena);
    if (closes && none) {
        json_decref(rows);
        command_fail(call, ERR_MISSING, "there is no such session");
        return;
    }
    command_done(call, json_pack("{s:o, s:b}", closes ? "closed" : "sessions", rows, "more", more));
}

static void walk(struct command_call *call, bool closes)
{
    struct daemon *daemon = call->context;
    if (daemon->store == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return;
    }
    struct walking *walking = arena_make(&call->arena, struct walking);
    struct str text = argument_text(call, "jid");
    if (text.len > 0) {
        struct jid jid = jid_of_prepared(text);
        walking->walk.account = jid_bare(&jid);
        walking->walk.resource = jid.resource;
    }
    walking->call = call;
    walking->walk.close = closes;
    walking->walk.most = ROWS_MOST;
    walking->walk.done = walked;
    sessions_walk(server_service(daemon->server), &walking->walk, daemon->loop);
}

static void run_list(struct command_call *call)
{
    walk(call, false);
}

static void run_close(struct command_call *call)
{
    walk(call, true);
}

static const struct command rows[] = {
    {"session list",
     "Lists the sessions, of one account or of all.",                        ROLE_OPERATOR,
     0,               NULL,
     run_list,  {{"jid", ARGUMENT_ADDRESS, ARGUMENT_POSITIONAL, NULL, "The account; all if not said."}}},
    {"session close",
     "Ends a session (full JID), or all sessions of an account (bare JID).", ROLE_OPERATOR,
     COMMAND_AUDITED, NULL,
     run_close, {{"jid", ARGUMENT_ADDRESS, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL, "Whose."},
      ARGUMENT_REASON}                                                                  },
};

void commands_add_sessions(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
