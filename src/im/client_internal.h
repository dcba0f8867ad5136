/*
 * Inside a client: client.c has its life, client_login.c what happens until its session is there.
 */
#ifndef IM_CLIENT_INTERNAL_H
#define IM_CLIENT_INTERNAL_H

#include "im/client.h"
#include "net/conn.h"
#include "xmpp/stream.h"

struct entering; // what only a login needs

struct client {
    uint32_t magic;
    struct desk *desk;
    struct link in_desk;
    struct conn *conn; // NULL once it is closed
    struct stream *stream;
    struct session *session; // NULL until bound, and after it was let go
    struct timer timer;      // login in time; afterwards silence
    struct timer rate_timer; // stanzas a second
    struct chore turn, flushed;
    struct entering *entering; // NULL until it is needed, and after login
    unsigned n_asked;
    bool rate_paused;
    bool moving;
    bool asked_alive; // silence: a ping was sent,
    bool polite;      // the stream was closed by its rules: nothing to resume
    int64_t asked_us; // at this loop time, and nothing was heard since
    int64_t tokens_at_us;
    uint32_t tokens; // stanzas that may still come
};

/* Something asynchronous was asked for; each of these is followed by one client_hears, when the
 * answer comes: whether the connection is still there.  False: the client may be gone. */
void client_awaits(struct client *client);
bool client_hears(struct client *client) MUST_CHECK;
/* After an answer or an unpause the stream may want the bytes that the connection kept. */
void client_feed_again(struct client *client);
struct str client_address(const struct client *client, char text[ADDR_TEXT_SIZE]);

/* It has logged in: its stream goes on here, or on the worker where its account lives. */
void client_go_on(struct client *client);
void client_move(struct client *client, struct home *home);
/* Its session is there. */
void client_begins(struct client *client);

/* The stream's calls (struct stream_host). */
void client_find_credentials(void *host, struct str local, struct str domain);
void client_check_password(void *host, const struct credentials *credentials, struct str password);
void client_login_failed(void *host, struct str local, struct str domain, enum sasl_failure failure,
                         const char *detail);
void client_authenticated(void *host, const struct jid *bare, enum sasl_mechanism mechanism);
void client_bind(void *host, struct str wished);

/* What was only needed for the login is let go. */
void client_entered(struct client *client);
/* Whether the answer to a failed login was still to come; it does not come any more. */
bool client_forgets_refusal(struct client *client);

#endif
