/*
 * Features: what a user calls the service, one file each.
 *
 * A feature is a static table: its name, its specification, what it announces,
 * the requests it answers, and the points of a stanza's or session's way at
 * which it wants to be asked.  The list of all features is im/features.c; the
 * order there is the order of asking.
 */
#ifndef IM_FEATURE_H
#define IM_FEATURE_H

#include "im/asked.h"
#include "im/desk.h"
#include "route/route.h"
#include "route/session.h"

/* What a feature says of something that passes by. */
enum passing {
    PASS, // nothing against it
    STOP, // it goes no further; the feature has answered where an answer is due
};

struct feature {
    const char *name; // in logs and the protocol table
    const char *spec;
    /* XEP-0030: features of the server, and of every account (its bare JID).  Terminated by an
     * empty str; may be NULL. */
    const struct str *disco_server, *disco_account;
    /* Whether they are announced in that domain (NULL: it is served no more); NULL: always. */
    bool (*is_on)(const struct im_domain *domain);
    /* Requests it answers; terminated by an empty ns. */
    const struct iq_handler *iqs;

    /* Points of asking; all may be NULL.  All run on the home of the account concerned. */

    /* A message, a presence of any kind, or an iq for somebody else, of our own user, before
     * anything else is done with it.  The stanza is not sealed yet. */
    enum passing (*from_client)(struct session *session, struct stanza *stanza);
    /* A message, iq or presence that came for an account, before it is delivered or answered. */
    enum passing (*at_account)(struct account *account, struct routed *routed);
    /* A copy for one session, before it is queued; STOP: the feature keeps or drops it. */
    enum passing (*to_session)(struct session *session, const struct sending_out *what);
    /* A session became able to receive (bound), sent its first presence, and is about to go. */
    void (*session_began)(struct session *session);
    void (*session_ends)(struct session *session);
    /* An account came into memory, or was read anew; and is about to leave. */
    void (*account_loaded)(struct account *account, const struct store_account_load *loaded);
    void (*account_forgotten)(struct account *account);
};

/* All features, in order of asking; terminated by NULL. */
extern const struct feature *const features[];

#endif
