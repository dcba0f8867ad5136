/*
 * A session's life: it begins with a bound resource, may lose its client and
 * find another (XEP-0198), and ends; what its client did not get goes on to
 * another session or stays in the spool.
 */
#ifndef IM_SESSION_LIFE_H
#define IM_SESSION_LIFE_H

#include "base/log.h"
#include "route/session.h"
#include "xmpp/stream_error.h"

/* Begins a session with this prepared resource.  A session that has it already is ended with
 * conflict (RFC 6120 7.7.2.2).  NULL: the account has as many as it may (7.7.2.1). */
struct session *session_begin(struct account *account, struct str resource, struct str lang);

/* Ends it, from the loop: the features hear of it (unavailable presence among others), undelivered
 * messages go on, and the session is freed.  Until the turn ends the caller may still look at it.
 * The client must have been taken from it before. */
void session_end(struct session *session);

/* Ends a session whoever holds it: its client, if it has one, is closed with the condition. */
void session_end_with(struct session *session, enum stream_condition condition, const char *text);

/* Takes a session without client apart at once; nobody hears of it, and what it holds is dropped:
 * the store has all of it. */
void session_drop(struct session *session);

/* A line of the log about a session.  A resource is what a client calls itself: it may hold spaces
 * and signs, and is quoted, so that nobody writes fields into the log. */
void session_log(enum log_level level, const char *event, struct str jid);

#endif
