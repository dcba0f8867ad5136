#include "im/subscription.h"

#include "base/must.h"

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

// The tables of appendix A, A.2.1 to A.3.4: the event, the state, the new state,
// and whether the stanza is routed (outbound) or delivered (inbound).
struct row {
    enum subscription_event event;
    enum subscription state;
    enum subscription next;
    bool passes;
};

static const struct row rows[] = {
    {SENT_SUBSCRIBE,    SUB_NONE,        SUB_NONE_OUT,    true },
    {SENT_SUBSCRIBE,    SUB_NONE_OUT,    SUB_NONE_OUT,    true },
    {SENT_SUBSCRIBE,    SUB_NONE_IN,     SUB_NONE_OUT_IN, true },
    {SENT_SUBSCRIBE,    SUB_NONE_OUT_IN, SUB_NONE_OUT_IN, true },
    {SENT_SUBSCRIBE,    SUB_TO,          SUB_TO,          true },
    {SENT_SUBSCRIBE,    SUB_TO_IN,       SUB_TO_IN,       true },
    {SENT_SUBSCRIBE,    SUB_FROM,        SUB_FROM_OUT,    true },
    {SENT_SUBSCRIBE,    SUB_FROM_OUT,    SUB_FROM_OUT,    true },
    {SENT_SUBSCRIBE,    SUB_BOTH,        SUB_BOTH,        true },

    {SENT_UNSUBSCRIBE,  SUB_NONE,        SUB_NONE,        true },
    {SENT_UNSUBSCRIBE,  SUB_NONE_OUT,    SUB_NONE,        true },
    {SENT_UNSUBSCRIBE,  SUB_NONE_IN,     SUB_NONE_IN,     true },
    {SENT_UNSUBSCRIBE,  SUB_NONE_OUT_IN, SUB_NONE_IN,     true },
    {SENT_UNSUBSCRIBE,  SUB_TO,          SUB_NONE,        true },
    {SENT_UNSUBSCRIBE,  SUB_TO_IN,       SUB_NONE_IN,     true },
    {SENT_UNSUBSCRIBE,  SUB_FROM,        SUB_FROM,        true },
    {SENT_UNSUBSCRIBE,  SUB_FROM_OUT,    SUB_FROM,        true },
    {SENT_UNSUBSCRIBE,  SUB_BOTH,        SUB_FROM,        true },

    {SENT_SUBSCRIBED,   SUB_NONE,        SUB_NONE,        false},
    {SENT_SUBSCRIBED,   SUB_NONE_OUT,    SUB_NONE_OUT,    false},
    {SENT_SUBSCRIBED,   SUB_NONE_IN,     SUB_FROM,        true },
    {SENT_SUBSCRIBED,   SUB_NONE_OUT_IN, SUB_FROM_OUT,    true },
    {SENT_SUBSCRIBED,   SUB_TO,          SUB_TO,          false},
    {SENT_SUBSCRIBED,   SUB_TO_IN,       SUB_BOTH,        true },
    {SENT_SUBSCRIBED,   SUB_FROM,        SUB_FROM,        false},
    {SENT_SUBSCRIBED,   SUB_FROM_OUT,    SUB_FROM_OUT,    false},
    {SENT_SUBSCRIBED,   SUB_BOTH,        SUB_BOTH,        false},

    {SENT_UNSUBSCRIBED, SUB_NONE,        SUB_NONE,        false},
    {SENT_UNSUBSCRIBED, SUB_NONE_OUT,    SUB_NONE_OUT,    false},
    {SENT_UNSUBSCRIBED, SUB_NONE_IN,     SUB_NONE,        true },
    {SENT_UNSUBSCRIBED, SUB_NONE_OUT_IN, SUB_NONE_OUT,    true },
    {SENT_UNSUBSCRIBED, SUB_TO,          SUB_TO,          false},
    {SENT_UNSUBSCRIBED, SUB_TO_IN,       SUB_TO,          true },
    {SENT_UNSUBSCRIBED, SUB_FROM,        SUB_NONE,        true },
    {SENT_UNSUBSCRIBED, SUB_FROM_OUT,    SUB_NONE_OUT,    true },
    {SENT_UNSUBSCRIBED, SUB_BOTH,        SUB_TO,          true },

    {GOT_SUBSCRIBE,     SUB_NONE,        SUB_NONE_IN,     true },
    {GOT_SUBSCRIBE,     SUB_NONE_OUT,    SUB_NONE_OUT_IN, true },
    {GOT_SUBSCRIBE,     SUB_NONE_IN,     SUB_NONE_IN,     false},
    {GOT_SUBSCRIBE,     SUB_NONE_OUT_IN, SUB_NONE_OUT_IN, false},
    {GOT_SUBSCRIBE,     SUB_TO,          SUB_TO_IN,       true },
    {GOT_SUBSCRIBE,     SUB_TO_IN,       SUB_TO_IN,       false},
    {GOT_SUBSCRIBE,     SUB_FROM,        SUB_FROM,        false},
    {GOT_SUBSCRIBE,     SUB_FROM_OUT,    SUB_FROM_OUT,    false},
    {GOT_SUBSCRIBE,     SUB_BOTH,        SUB_BOTH,        false},

    {GOT_UNSUBSCRIBE,   SUB_NONE,        SUB_NONE,        false},
    {GOT_UNSUBSCRIBE,   SUB_NONE_OUT,    SUB_NONE_OUT,    false},
    {GOT_UNSUBSCRIBE,   SUB_NONE_IN,     SUB_NONE,        true },
    {GOT_UNSUBSCRIBE,   SUB_NONE_OUT_IN, SUB_NONE_OUT,    true },
    {GOT_UNSUBSCRIBE,   SUB_TO,          SUB_TO,          false},
    {GOT_UNSUBSCRIBE,   SUB_TO_IN,       SUB_TO,          true },
    {GOT_UNSUBSCRIBE,   SUB_FROM,        SUB_NONE,        true },
    {GOT_UNSUBSCRIBE,   SUB_FROM_OUT,    SUB_NONE_OUT,    true },
    {GOT_UNSUBSCRIBE,   SUB_BOTH,        SUB_TO,          true },

    {GOT_SUBSCRIBED,    SUB_NONE,        SUB_NONE,        false},
    {GOT_SUBSCRIBED,    SUB_NONE_OUT,    SUB_TO,          true },
    {GOT_SUBSCRIBED,    SUB_NONE_IN,     SUB_NONE_IN,     false},
    {GOT_SUBSCRIBED,    SUB_NONE_OUT_IN, SUB_TO_IN,       true },
    {GOT_SUBSCRIBED,    SUB_TO,          SUB_TO,          false},
    {GOT_SUBSCRIBED,    SUB_TO_IN,       SUB_TO_IN,       false},
    {GOT_SUBSCRIBED,    SUB_FROM,        SUB_FROM,        false},
    {GOT_SUBSCRIBED,    SUB_FROM_OUT,    SUB_BOTH,        true },
    {GOT_SUBSCRIBED,    SUB_BOTH,        SUB_BOTH,        false},

    {GOT_UNSUBSCRIBED,  SUB_NONE,        SUB_NONE,        false},
    {GOT_UNSUBSCRIBED,  SUB_NONE_OUT,    SUB_NONE,        true },
    {GOT_UNSUBSCRIBED,  SUB_NONE_IN,     SUB_NONE_IN,     false},
    {GOT_UNSUBSCRIBED,  SUB_NONE_OUT_IN, SUB_NONE_IN,     true },
    {GOT_UNSUBSCRIBED,  SUB_TO,          SUB_NONE,        true },
    {GOT_UNSUBSCRIBED,  SUB_TO_IN,       SUB_NONE_IN,     true },
    {GOT_UNSUBSCRIBED,  SUB_FROM,        SUB_FROM,        false},
    {GOT_UNSUBSCRIBED,  SUB_FROM_OUT,    SUB_FROM,        true },
    {GOT_UNSUBSCRIBED,  SUB_BOTH,        SUB_FROM,        true },
};

// In the order of the tables: by event, then by state.
static const struct row *row_of(enum subscription state, enum subscription_event event)
{
    const struct row *row = &rows[event * SUB_N_STATES + state];
    must(row->event == event && row->state == state);
    return row;
}

static bool is_outbound(enum subscription_event event)
{
    return event <= SENT_UNSUBSCRIBED;
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
    const struct row *row = row_of(state, event);
    struct subscription_step step = {
        .next = row->next,
        .approved = approval_after(state, approved, event),
    };
    // A.3.1, its note: the contact does not know that he is subscribed already; §3.4: or was
    // approved ahead of his asking
    bool replies = event == GOT_SUBSCRIBE && (states[state].from || approved);
    if (replies)
        step.next = subscription_of(states[state].to, true, states[state].out, false);
    if (row->passes && !replies)
        step.acts |= is_outbound(event) ? SUB_ROUTE : SUB_DELIVER;
    if (replies)
        step.acts |= SUB_REPLY;
    if (states[state].to != states[step.next].to || states[state].from != states[step.next].from ||
        states[state].out != states[step.next].out || step.approved != approved)
        step.acts |= SUB_PUSH;
    if (states[state].in != states[step.next].in)
        step.acts |= SUB_PENDING;
    // §3.1.3, §3.1.5: a fresh subscriber, or one who has forgotten that he is one
    if ((states[step.next].from && !states[state].from) || replies)
        step.acts |= SUB_PRESENCE;
    // §3.2.2, §3.3.3
    if (states[state].from && !states[step.next].from)
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
