/*
 * Requests: an iq of type get or set that we answer ourselves, for one of our
 * domains or for an account.
 *
 * A handler takes the request and ends it, at once or when the store has
 * answered, with exactly one of asked_result, asked_error.  Until then the
 * asking session reads no further stanza, so what it sends next finds this
 * done (RFC 6120 10.1), and its ticket is held, so that neither result nor
 * acknowledgement leaves before the commit.
 */
#ifndef IM_ASKED_H
#define IM_ASKED_H

#include "route/route.h"
#include "store/store.h"
#include "xmpp/stanza.h"
#include "xmpp/stanza_error.h"

struct notice_args;

enum asked_where {
    ASKED_DOMAIN,  // to = a domain of ours
    ASKED_ACCOUNT, // to = a bare JID of ours, or absent (the asker's own account)
};

struct asked {
    uint32_t magic;
    struct home *home;
    struct stanza *stanza;   // a reference
    struct element *payload; // its only child element
    enum asked_where where;
    struct account *account; // ASKED_ACCOUNT: whose; ASKED_DOMAIN: the asker's, NULL for strangers
    bool own;                // the asker is a session of account
    bool set;                // type set rather than get
    uint64_t session;        // the asker's id when it is a session of this home, else 0
    struct ticket *ticket;
    void *data; // the handler's, while the store works
    struct arena arena;
};

enum {
    IQ_GET = 1,
    IQ_SET = 2,
    IQ_DOMAIN = 4,    // may be asked of a domain
    IQ_ACCOUNT = 8,   // may be asked of an account
    IQ_OWN_ONLY = 16, // only by the account's own sessions; others get what hides it best
};

struct iq_handler {
    struct str ns, name; // of the payload
    unsigned when;
    void (*handle)(struct asked *asked);
};

/* The asker's session, or NULL when it is elsewhere or gone. */
struct session *asked_session(const struct asked *asked);

/* Whether the asker may know about the account: it is his own, or he may see its presence.  To
 * others an account is as if it did not exist. */
bool asked_may_see(const struct asked *asked);

/* The arena of the answer: what is built in it lives until the answer is sent. */
struct arena *asked_arena(struct asked *asked);

/* Ends the request with a result; child: built in asked_arena, or NULL for an empty one. */
void asked_result(struct asked **asked, struct element *child);
/* Text and language of an error: these words in the asker's language (send_words). */
void asked_words(struct asked *asked, const char *words, const struct notice_args *args,
                 struct stanza_error *error);
void asked_error(struct asked **asked, enum stanza_condition condition, const char *text);
void asked_error_full(struct asked **asked, const struct stanza_error *error);
/* The error that a failed store operation means: full disk, overload… */
void asked_store_error(struct asked **asked, enum err e);

#endif
