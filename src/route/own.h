/*
 * Texts and JIDs in memory of their own, for what outlives every arena:
 * accounts and sessions.
 */
#ifndef ROUTE_OWN_H
#define ROUTE_OWN_H

#include "xmpp/jid.h"

struct str own_str(struct str text);
struct jid own_jid(const struct jid *jid);
/* bare with a prepared resource. */
struct jid own_jid_with_resource(const struct jid *bare, struct str resource);
/* Both leave the value empty. */
void own_str_free(struct str *text);
void own_jid_free(struct jid *jid);

#endif
