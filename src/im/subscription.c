#include "im/subscription.h"

#include <stddef.h>

static const struct {
    const char *name;
    bool to, from, out, in;
} states[SUB_N_STATES] = {
    [SUB_NONE] = {"none", false, false, false, false},
    [SUB_NONE_OUT] = {"none", false, false, true,  false},
    [SUB_NONE_IN] = {"none", false, false, false, true },
    [SUB_NONE_OUT_IN] = {"none", false, false, true,  true },
    [SUB_TO] = {"to",   true,  false, false, false},
    [SUB_TO_IN] = {"to",   true,  false, false, true },
    [SUB_FROM] = {"from", false, true,  false, false},
    [SUB_FROM_OUT] = {"from", false, true,  true,  false},
    [SUB_BOTH] = {"both", true,  true,  false, false},
};

// The tables of appendix A as it prints them: for each state the new one, and whether the stanza is
// routed (outbound) or delivered (inbound).
struct row {
    enum subscription next;
    bool passes;
};

static const struct row rows[SUB_N_EVENTS][SUB_N_STATES] =
    {
  // A.2.1
        [SENT_SUBSCRIBE] =
            {
                              [SUB_NONE] = {SUB_NONE_OUT, true},
                              [SUB_NONE_OUT] = {SUB_NONE_OUT, true},
                              [SUB_NONE_IN] = {SUB_NONE_OUT_IN, true},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_OUT_IN, true},
                              [SUB_TO] = {SUB_TO, true},
                              [SUB_TO_IN] = {SUB_TO_IN, true},
                              [SUB_FROM] = {SUB_FROM_OUT, true},
                              [SUB_FROM_OUT] = {SUB_FROM_OUT, true},
                              [SUB_BOTH] = {SUB_BOTH, true},
                              },
 // A.2.2
        [SENT_UNSUBSCRIBE] =
            {
                              [SUB_NONE] = {SUB_NONE, true},
                              [SUB_NONE_OUT] = {SUB_NONE, true},
                              [SUB_NONE_IN] = {SUB_NONE_IN, true},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_IN, true},
                              [SUB_TO] = {SUB_NONE, true},
                              [SUB_TO_IN] = {SUB_NONE_IN, true},
                              [SUB_FROM] = {SUB_FROM, true},
                              [SUB_FROM_OUT] = {SUB_FROM, true},
                              [SUB_BOTH] = {SUB_FROM, true},
                              },
 // A.2.3
        [SENT_SUBSCRIBED] =
            {
                              [SUB_NONE] = {SUB_NONE, false},
                              [SUB_NONE_OUT] = {SUB_NONE_OUT, false},
                              [SUB_NONE_IN] = {SUB_FROM, true},
                              [SUB_NONE_OUT_IN] = {SUB_FROM_OUT, true},
                              [SUB_TO] = {SUB_TO, false},
                              [SUB_TO_IN] = {SUB_BOTH, true},
                              [SUB_FROM] = {SUB_FROM, false},
                              [SUB_FROM_OUT] = {SUB_FROM_OUT, false},
                              [SUB_BOTH] = {SUB_BOTH, false},
                              },
 // A.2.4
        [SENT_UNSUBSCRIBED] =
            {
                              [SUB_NONE] = {SUB_NONE, false},
                              [SUB_NONE_OUT] = {SUB_NONE_OUT, false},
                              [SUB_NONE_IN] = {SUB_NONE, true},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_OUT, true},
                              [SUB_TO] = {SUB_TO, false},
                              [SUB_TO_IN] = {SUB_TO, true},
                              [SUB_FROM] = {SUB_NONE, true},
                              [SUB_FROM_OUT] = {SUB_NONE_OUT, true},
                              [SUB_BOTH] = {SUB_TO, true},
                              },
 // A.3.1
        [GOT_SUBSCRIBE] =
            {
                              [SUB_NONE] = {SUB_NONE_IN, true},
                              [SUB_NONE_OUT] = {SUB_NONE_OUT_IN, true},
                              [SUB_NONE_IN] = {SUB_NONE_IN, false},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_OUT_IN, false},
                              [SUB_TO] = {SUB_TO_IN, true},
                              [SUB_TO_IN] = {SUB_TO_IN, false},
                              [SUB_FROM] = {SUB_FROM, false},
                              [SUB_FROM_OUT] = {SUB_FROM_OUT, false},
                              [SUB_BOTH] = {SUB_BOTH, false},
                              },
 // A.3.2
        [GOT_UNSUBSCRIBE] =
            {
                              [SUB_NONE] = {SUB_NONE, false},
                              [SUB_NONE_OUT] = {SUB_NONE_OUT, false},
                              [SUB_NONE_IN] = {SUB_NONE, true},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_OUT, true},
                              [SUB_TO] = {SUB_TO, false},
                              [SUB_TO_IN] = {SUB_TO, true},
                              [SUB_FROM] = {SUB_NONE, true},
                              [SUB_FROM_OUT] = {SUB_NONE_OUT, true},
                              [SUB_BOTH] = {SUB_TO, true},
                              },
 // A.3.3
        [GOT_SUBSCRIBED] =
            {
                              [SUB_NONE] = {SUB_NONE, false},
                              [SUB_NONE_OUT] = {SUB_TO, true},
                              [SUB_NONE_IN] = {SUB_NONE_IN, false},
                              [SUB_NONE_OUT_IN] = {SUB_TO_IN, true},
                              [SUB_TO] = {SUB_TO, false},
                              [SUB_TO_IN] = {SUB_TO_IN, false},
                              [SUB_FROM] = {SUB_FROM, false},
                              [SUB_FROM_OUT] = {SUB_BOTH, true},
                              [SUB_BOTH] = {SUB_BOTH, false},
                              },
 // A.3.4
        [GOT_UNSUBSCRIBED] =
            {
                              [SUB_NONE] = {SUB_NONE, false},
                              [SUB_NONE_OUT] = {SUB_NONE, true},
                              [SUB_NONE_IN] = {SUB_NONE_IN, false},
                              [SUB_NONE_OUT_IN] = {SUB_NONE_IN, true},
                              [SUB_TO] = {SUB_NONE, true},
                              [SUB_TO_IN] = {SUB_NONE_IN, true},
                              [SUB_FROM] = {SUB_FROM, false},
                              [SUB_FROM_OUT] = {SUB_FROM, true},
                              [SUB_BOTH] = {SUB_FROM, true},
                              },
};

static bool is_outbound(enum subscription_event event)
{
    return event <= SENT_UNSUBSCRIBED;
}

// §3.4: what the approval changes in the tables.
static struct row row_of(enum subscription state, bool approved, enum subscription_event event,
                         bool *replies)
{
    struct row row = rows[event][state];
    *replies = false;
    if (event != GOT_SUBSCRIBE)
        return row;
    if (states[state].from) {
        // A.3.1, its note: the contact does not know that he is subscribed already
        *replies = true;
    } else if (approved) {
        *replies = true;
        row =
            (struct row){subscription_of(states[state].to, true, states[state].out, false), false};
    }
    return row;
}

static bool approval_after(enum subscription state, bool approved, enum subscription_event event)
{
    // §3.4.2: no request to answer and no subscription to confirm: the approval is for later
    if (event == SENT_SUBSCRIBED && !states[state].from && !states[state].in)
        return true;
    // §3.4: cancelled by the opposite word
    if (event == SENT_UNSUBSCRIBED)
        return false;
    return approved;
}

struct subscription_step subscription_step(enum subscription state, bool approved,
                                           enum subscription_event event)
{
    bool replies;
    struct row row = row_of(state, approved, event, &replies);
    struct subscription_step step = {
        .next = row.next,
        .approved = approval_after(state, approved, event),
    };
    if (row.passes)
        step.acts |= is_outbound(event) ? SUB_ROUTE : SUB_DELIVER;
    if (replies)
        step.acts |= SUB_REPLY;
    if (states[state].to != states[row.next].to || states[state].from != states[row.next].from ||
        states[state].out != states[row.next].out || step.approved != approved)
        step.acts |= SUB_PUSH;
    if (states[state].in != states[row.next].in)
        step.acts |= SUB_PENDING;
    // §3.1.3, §3.1.5: a fresh subscriber, or one who has forgotten that he is one
    if ((states[row.next].from && !states[state].from) || replies)
        step.acts |= SUB_PRESENCE;
    // §3.2.2, §3.3.3
    if (states[state].from && !states[row.next].from)
        step.acts |= SUB_UNAVAILABLE;
    return step;
}

struct subscription_removal subscription_remove(enum subscription state)
{
    return (struct subscription_removal){
        .unsubscribe = states[state].to || states[state].out,
        .unsubscribed = states[state].from,
        .next = states[state].in ? SUB_NONE_IN : SUB_NONE,
    };
}

bool subscription_to(enum subscription state)
{
    return states[state].to;
}

bool subscription_from(enum subscription state)
{
    return states[state].from;
}

bool subscription_pending_out(enum subscription state)
{
    return states[state].out;
}

bool subscription_pending_in(enum subscription state)
{
    return states[state].in;
}

enum subscription subscription_of(bool to, bool from, bool pending_out, bool pending_in)
{
    bool out = pending_out && !to, in = pending_in && !from;
    enum subscription state = SUB_NONE;
    while (states[state].to != to || states[state].from != from || states[state].out != out ||
           states[state].in != in)
        state++;
    return state;
}

const char *subscription_name(enum subscription state)
{
    return states[state].name;
}
