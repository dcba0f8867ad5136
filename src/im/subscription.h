/*
 * Presence subscriptions: the state machine of RFC 6121 appendix A, with the
 * pre-approval of section 3.4.  Pure tables: what is to be done, who does it
 * is im/roster.c and im/presence.c.
 *
 * The machine is the user's server's view of one contact.  "Sent" events come
 * from the user's clients, "got" events from the contact.
 */
#ifndef IM_SUBSCRIPTION_H
#define IM_SUBSCRIPTION_H

#include <stdbool.h>

/* RFC 6121 A.1.  out: a request of the user waits for an answer; in: one of the contact does. */
enum subscription {
    SUB_NONE,
    SUB_NONE_OUT,
    SUB_NONE_IN,
    SUB_NONE_OUT_IN,
    SUB_TO,
    SUB_TO_IN,
    SUB_FROM,
    SUB_FROM_OUT,
    SUB_BOTH,
    SUB_N_STATES,
};

enum subscription_event {
    SENT_SUBSCRIBE,
    SENT_UNSUBSCRIBE,
    SENT_SUBSCRIBED,
    SENT_UNSUBSCRIBED,
    GOT_SUBSCRIBE,
    GOT_UNSUBSCRIBE,
    GOT_SUBSCRIBED,
    GOT_UNSUBSCRIBED,
    SUB_N_EVENTS,
};

/* What is to be done, as bits. */
enum subscription_act {
    SUB_ROUTE = 1,     // send the user's stanza on to the contact, from his bare JID
    SUB_DELIVER = 2,   // give the contact's stanza to the user's available resources (a subscribe
                       // is given again at each login until it is answered: RFC 6121 §3.1.3)
    SUB_PUSH = 4,      // what the roster shows of the item has changed: store it, push it
    SUB_REPLY = 8,     // answer the contact's subscribe with subscribed, in the user's name
    SUB_PRESENCE = 16, // the contact gets the presence of the user's available resources
    SUB_UNAVAILABLE = 32, // the contact gets unavailable from the user's available resources
    SUB_PENDING = 64,     // whether a request of the contact waits has changed: store that
};

struct subscription_step {
    enum subscription next;
    bool approved; // pre-approval afterwards
    unsigned acts;
};

/* approved: the user has approved the contact before (RFC 6121 §3.4). */
struct subscription_step subscription_step(enum subscription state, bool approved,
                                           enum subscription_event event);

/* The user takes the contact off his roster (RFC 6121 §2.5.2): the stanzas that his server sends
 * for him. */
struct subscription_removal {
    bool unsubscribe;       // he has, or has asked for, the contact's presence
    bool unsubscribed;      // the contact has his; goes with SUB_UNAVAILABLE's presence
    enum subscription next; // what remains: a request of the contact still waits for an answer
};
struct subscription_removal subscription_remove(enum subscription state);

/* The parts of a state, and the state of its parts. */
bool subscription_to(enum subscription state);          // the user sees the contact's presence
bool subscription_from(enum subscription state);        // the contact sees the user's
bool subscription_pending_out(enum subscription state); // ask='subscribe' in the roster
bool subscription_pending_in(enum subscription state);  // never shown in the roster
/* Parts that contradict each other (to and pending out, from and pending in) lose the pending. */
enum subscription subscription_of(bool to, bool from, bool pending_out, bool pending_in);

/* "none", "to", "from", "both": the roster item's attribute.  Static storage. */
const char *subscription_name(enum subscription state);

#endif
