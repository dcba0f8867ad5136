/*
 * Presence: who is there, and who may know it.
 * Spec: RFC 6121 sections 3 and 4.
 */
#ifndef IM_PRESENCE_H
#define IM_PRESENCE_H

#include "im/feature.h"

/* From our own client: broadcast, directed, probe or subscription; from is set, not sealed. */
void presence_from_client(struct session *session, struct stanza *stanza, struct ticket *ticket);

/* For an account of this home; its features have been asked.  Takes the routed. */
void presence_arrived(struct account *account, struct routed *routed);

/* To this address goes the presence of the session, which is available. */
void presence_show(const struct session *session, const struct jid *to, unsigned flags);

/* Some addresses may no longer see the account, or may again: those among its contacts and the
 * addresses its sessions have shown themselves to for which whom() is true are told that its
 * sessions are gone, or its contacts that they are there, and then asked whether they are. */
typedef bool presence_whom_fn(const struct account *account, const struct jid *peer,
                              const void *context);
void presence_withdraw(struct account *account, presence_whom_fn *whom, const void *context);
void presence_return(struct account *account, presence_whom_fn *whom, const void *context);

/* The addresses that know of a session by directed presence: to be kept over a restart, and brought
 * back.  presence_forget: the session goes without anybody hearing of it. */
void presence_each_directed(const struct session *session,
                            void (*fn)(const struct jid *to, void *context), void *context);
void presence_add_directed(struct session *session, const struct jid *to);
void presence_forget(struct session *session);

/* A lure was convicted: who shows it in his presence here shows it no longer, and his contacts
 * hear that.  key: of the lure. */
void presence_take_back(struct home *home, struct str key);

extern const struct feature feature_presence;

#endif
