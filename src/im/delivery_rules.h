/*
 * Delivery rules for messages: who gets a message that came for an account, as
 * RFC 6121 section 8.5 says, and what is archived, copied and kept.  Pure
 * functions of tables: no sessions, no store.
 */
#ifndef IM_DELIVERY_RULES_H
#define IM_DELIVERY_RULES_H

#include "xmpp/stanza.h"

#include <stdbool.h>

/* What the rules need to know of one session of the account. */
struct rule_session {
    bool available;    // has sent initial presence
    int8_t priority;   // of its last presence
    bool is_addressed; // its full JID is the message's to
};

enum rule_fate {
    RULE_DELIVER, // to the sessions marked in targets
    RULE_OFFLINE, // nobody is there who may have it: keep it (XEP-0160)
    RULE_REFUSE,  // nobody is there and it may not be kept: service-unavailable
    RULE_DROP,    // silently
};

/* RFC 6121 8.5.2 and 8.5.3: the message's fate; targets[i] is set for each session that gets it.
 * to_full: the message is addressed to a full JID (whether or not a session has it).
 * may_keep: message_is_keepable() and the account's spool is open. */
enum rule_fate delivery_rule(enum stanza_type type, bool to_full, bool may_keep,
                             const struct rule_session *sessions, size_t n, bool *targets);

/* XEP-0160 and XEP-0334: whether a message is worth keeping for later: a body or another payload
 * that matters (receipts, retractions, corrections, encrypted content, invitations), no no-store
 * hint, not only a chat state, no error, no groupchat, no headline. */
bool message_is_keepable(const struct stanza *stanza);

/* XEP-0313 section 5.1.1 and XEP-0334: whether a message belongs in an archive. */
bool message_is_archivable(const struct stanza *stanza);

/* XEP-0280 section 6: whether copies go to the user's other devices.  received: it came for him
 * (rather than he sent it). */
bool message_is_carbon_copied(const struct stanza *stanza, bool received);

#endif
