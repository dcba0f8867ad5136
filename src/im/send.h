/*
 * Sending: the small acts by which features speak.
 */
#ifndef IM_SEND_H
#define IM_SEND_H

#include "im/feature.h"

struct notice_args;

/* Queues a sealed stanza for one session, asking the features first (XEP-0352 may keep it).  When
 * the outbox is full the session ends; what it held goes back to the spool. */
void send_to_session(struct session *session, const struct sending_out *what);
/* The same without asking: for a feature that sends later what it kept. */
void send_past_features(struct session *session, const struct sending_out *what);
/* The plain case: nothing but the stanza; to is rewritten to the session's full JID. */
void send_stanza(struct session *session, struct stanza *stanza);

/* Refuses a stanza: routes the error to its sender, if one may be sent.  ticket: the stanza's, or
 * NULL; a stanza is not acknowledged (XEP-0198) before its error is on its way to the client. */
void send_refusal(struct home *home, const struct stanza *stanza, enum stanza_condition condition,
                  const char *text);
void send_refusal_full(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                       const struct stanza_error *error);
/* The same of a stanza that was sent to many, or by the server: by is whom this copy was for. */
void send_refusal_by(struct home *home, const struct stanza *stanza, const struct jid *by,
                     struct ticket *ticket, const struct stanza_error *error);
/* The error that a failed store operation means for the sender of a stanza. */
void send_store_refusal(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                        enum err e);

/* Text and language of an error: these words, which stand in the source, as the catalogues have
 * them (im/notices.h) in lang or else in the language of that domain.  words, args: may be NULL. */
void send_words(const struct home *home, struct arena *arena, struct str lang, struct str domain,
                const char *words, const struct notice_args *args, struct stanza_error *error);

/* The same for what is put aside (route/in_hand.h); logs it. */
void send_refusal_aside(struct home *home, const struct stanza *stanza, struct ticket *ticket);

/* The condition by which a failed store operation is told to people. */
enum stanza_condition store_condition(enum err e);
const char *store_text(enum err e);

#endif
