#include "test.h"

#include "im/subscription.h"

#include <stdio.h>
#include <string.h>

// RFC 6121 appendix A, as it is printed: the state, whether the stanza is routed or delivered, and
// the state afterwards.  The words are those of the tables.
static const char *const words[SUB_N_STATES] = {
    [SUB_NONE] = "None",
    [SUB_NONE_OUT] = "None + Pending Out",
    [SUB_NONE_IN] = "None + Pending In",
    [SUB_NONE_OUT_IN] = "None + Pending Out+In",
    [SUB_TO] = "To",
    [SUB_TO_IN] = "To + Pending In",
    [SUB_FROM] = "From",
    [SUB_FROM_OUT] = "From + Pending Out",
    [SUB_BOTH] = "Both",
};

#define SAME "no state change"

struct printed {
    const char *state;
    bool passes;
    const char *next;
};

static enum subscription state_of(const char *word)
{
    for (int i = 0; i < SUB_N_STATES; i++)
        if (strcmp(words[i], word) == 0)
            return (enum subscription)i;
    fail_msg("no state %s", word);
    return SUB_NONE;
}

static void check_table(enum subscription_event event, const struct printed *table)
{
    unsigned passes = event <= SENT_UNSUBSCRIBED ? SUB_ROUTE : SUB_DELIVER;
    for (int i = 0; i < SUB_N_STATES; i++) {
        enum subscription state = state_of(table[i].state);
        enum subscription next = strcmp(table[i].next, SAME) == 0 ? state : state_of(table[i].next);
        struct subscription_step step = subscription_step(state, false, event);
        if (step.next != next || ((step.acts & passes) != 0) != table[i].passes)
            fail_msg("event %d in %s: %s, acts %u", event, table[i].state, words[step.next],
                     step.acts);
        check((step.acts & (SUB_ROUTE | SUB_DELIVER) & ~passes) == 0);
    }
}

TEST(a_2_1_sent_subscribe)
{
    check_table(SENT_SUBSCRIBE, (struct printed[]){
                                    {"None",                  true, "None + Pending Out"   },
                                    {"None + Pending Out",    true, SAME                   },
                                    {"None + Pending In",     true, "None + Pending Out+In"},
                                    {"None + Pending Out+In", true, SAME                   },
                                    {"To",                    true, SAME                   },
                                    {"To + Pending In",       true, SAME                   },
                                    {"From",                  true, "From + Pending Out"   },
                                    {"From + Pending Out",    true, SAME                   },
                                    {"Both",                  true, SAME                   },
    });
}

TEST(a_2_2_sent_unsubscribe)
{
    check_table(SENT_UNSUBSCRIBE, (struct printed[]){
                                      {"None",                  true, SAME               },
                                      {"None + Pending Out",    true, "None"             },
                                      {"None + Pending In",     true, SAME               },
                                      {"None + Pending Out+In", true, "None + Pending In"},
                                      {"To",                    true, "None"             },
                                      {"To + Pending In",       true, "None + Pending In"},
                                      {"From",                  true, SAME               },
                                      {"From + Pending Out",    true, "From"             },
                                      {"Both",                  true, "From"             },
    });
}

TEST(a_2_3_sent_subscribed)
{
    check_table(SENT_SUBSCRIBED, (struct printed[]){
                                     {"None",                  false, SAME                },
                                     {"None + Pending Out",    false, SAME                },
                                     {"None + Pending In",     true,  "From"              },
                                     {"None + Pending Out+In", true,  "From + Pending Out"},
                                     {"To",                    false, SAME                },
                                     {"To + Pending In",       true,  "Both"              },
                                     {"From",                  false, SAME                },
                                     {"From + Pending Out",    false, SAME                },
                                     {"Both",                  false, SAME                },
    });
}

TEST(a_2_4_sent_unsubscribed)
{
    check_table(SENT_UNSUBSCRIBED, (struct printed[]){
                                       {"None",                  false, SAME                },
                                       {"None + Pending Out",    false, SAME                },
                                       {"None + Pending In",     true,  "None"              },
                                       {"None + Pending Out+In", true,  "None + Pending Out"},
                                       {"To",                    false, SAME                },
                                       {"To + Pending In",       true,  "To"                },
                                       {"From",                  true,  "None"              },
                                       {"From + Pending Out",    true,  "None + Pending Out"},
                                       {"Both",                  true,  "To"                },
    });
}

TEST(a_3_1_got_subscribe)
{
    check_table(GOT_SUBSCRIBE, (struct printed[]){
                                   {"None",                  true,  "None + Pending In"    },
                                   {"None + Pending Out",    true,  "None + Pending Out+In"},
                                   {"None + Pending In",     false, SAME                   },
                                   {"None + Pending Out+In", false, SAME                   },
                                   {"To",                    true,  "To + Pending In"      },
                                   {"To + Pending In",       false, SAME                   },
                                   {"From",                  false, SAME                   },
                                   {"From + Pending Out",    false, SAME                   },
                                   {"Both",                  false, SAME                   },
    });
}

TEST(a_3_2_got_unsubscribe)
{
    check_table(GOT_UNSUBSCRIBE, (struct printed[]){
                                     {"None",                  false, SAME                },
                                     {"None + Pending Out",    false, SAME                },
                                     {"None + Pending In",     true,  "None"              },
                                     {"None + Pending Out+In", true,  "None + Pending Out"},
                                     {"To",                    false, SAME                },
                                     {"To + Pending In",       true,  "To"                },
                                     {"From",                  true,  "None"              },
                                     {"From + Pending Out",    true,  "None + Pending Out"},
                                     {"Both",                  true,  "To"                },
    });
}

TEST(a_3_3_got_subscribed)
{
    check_table(GOT_SUBSCRIBED, (struct printed[]){
                                    {"None",                  false, SAME             },
                                    {"None + Pending Out",    true,  "To"             },
                                    {"None + Pending In",     false, SAME             },
                                    {"None + Pending Out+In", true,  "To + Pending In"},
                                    {"To",                    false, SAME             },
                                    {"To + Pending In",       false, SAME             },
                                    {"From",                  false, SAME             },
                                    {"From + Pending Out",    true,  "Both"           },
                                    {"Both",                  false, SAME             },
    });
}

TEST(a_3_4_got_unsubscribed)
{
    check_table(GOT_UNSUBSCRIBED, (struct printed[]){
                                      {"None",                  false, SAME               },
                                      {"None + Pending Out",    true,  "None"             },
                                      {"None + Pending In",     false, SAME               },
                                      {"None + Pending Out+In", true,  "None + Pending In"},
                                      {"To",                    true,  "None"             },
                                      {"To + Pending In",       true,  "None + Pending In"},
                                      {"From",                  false, SAME               },
                                      {"From + Pending Out",    true,  "From"             },
                                      {"Both",                  true,  "From"             },
    });
}

TEST(a_roster_push_follows_what_the_roster_shows)
{
    for (int state = 0; state < SUB_N_STATES; state++) {
        for (int event = 0; event < SUB_N_EVENTS; event++) {
            enum subscription before = (enum subscription)state;
            struct subscription_step step =
                subscription_step(before, false, (enum subscription_event)event);
            bool shows = strcmp(subscription_name(before), subscription_name(step.next)) != 0 ||
                         subscription_pending_out(before) != subscription_pending_out(step.next) ||
                         step.approved;
            check(((step.acts & SUB_PUSH) != 0) == shows);
            bool waits = subscription_pending_in(before) != subscription_pending_in(step.next);
            check(((step.acts & SUB_PENDING) != 0) == waits);
        }
    }
}

TEST(presence_follows_the_right_to_see_it)
{
    struct subscription_step step = subscription_step(SUB_NONE_IN, false, SENT_SUBSCRIBED);
    check(step.acts == (SUB_ROUTE | SUB_PUSH | SUB_PENDING | SUB_PRESENCE));
    step = subscription_step(SUB_BOTH, false, SENT_UNSUBSCRIBED);
    check(step.acts == (SUB_ROUTE | SUB_PUSH | SUB_UNAVAILABLE));
    step = subscription_step(SUB_FROM, false, GOT_UNSUBSCRIBE);
    check(step.acts == (SUB_DELIVER | SUB_PUSH | SUB_UNAVAILABLE));
    step = subscription_step(SUB_NONE_IN, false, SENT_UNSUBSCRIBED);
    check(step.acts == (SUB_ROUTE | SUB_PENDING));
    step = subscription_step(SUB_NONE_OUT, false, GOT_SUBSCRIBED);
    check(step.acts == (SUB_DELIVER | SUB_PUSH));
}

// A.3.1, note: whoever is subscribed already is told so again.
TEST(a_subscriber_who_asks_again_is_answered_by_the_server)
{
    static const enum subscription states[] = {SUB_FROM, SUB_FROM_OUT, SUB_BOTH};
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        struct subscription_step step = subscription_step(states[i], false, GOT_SUBSCRIBE);
        check(step.next == states[i] && step.acts == (SUB_REPLY | SUB_PRESENCE));
    }
}

// RFC 6121 §3.4
TEST(an_approval_ahead_of_time_answers_the_request_when_it_comes)
{
    struct subscription_step step = subscription_step(SUB_NONE, false, SENT_SUBSCRIBED);
    check(step.next == SUB_NONE && step.approved && step.acts == SUB_PUSH);
    step = subscription_step(SUB_NONE, true, SENT_SUBSCRIBED);
    check(step.approved && step.acts == 0);
    static const struct {
        enum subscription before, after;
    } rows[] = {
        {SUB_NONE,     SUB_FROM    },
        {SUB_NONE_OUT, SUB_FROM_OUT},
        {SUB_TO,       SUB_BOTH    },
 // the request was there before the approval
        {SUB_NONE_IN,  SUB_FROM    },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        step = subscription_step(rows[i].before, true, GOT_SUBSCRIBE);
        check(step.next == rows[i].after && step.approved);
        check((step.acts & SUB_REPLY) != 0 && (step.acts & SUB_DELIVER) == 0);
        check((step.acts & SUB_PUSH) != 0 && (step.acts & SUB_PRESENCE) != 0);
    }
    step = subscription_step(SUB_NONE, true, SENT_UNSUBSCRIBED);
    check(!step.approved && step.next == SUB_NONE && step.acts == SUB_PUSH);
    // an answer to a request that waits is no approval ahead of time
    check(!subscription_step(SUB_TO_IN, false, SENT_SUBSCRIBED).approved);
    check(!subscription_step(SUB_BOTH, false, SENT_SUBSCRIBED).approved);
}

// RFC 6121 §2.5.2
TEST(taking_a_contact_off_the_roster_ends_both_directions)
{
    struct subscription_removal removal = subscription_remove(SUB_BOTH);
    check(removal.unsubscribe && removal.unsubscribed && removal.next == SUB_NONE);
    removal = subscription_remove(SUB_TO_IN);
    check(removal.unsubscribe && !removal.unsubscribed && removal.next == SUB_NONE_IN);
    removal = subscription_remove(SUB_NONE_OUT);
    check(removal.unsubscribe && !removal.unsubscribed && removal.next == SUB_NONE);
    removal = subscription_remove(SUB_NONE);
    check(!removal.unsubscribe && !removal.unsubscribed);
}

TEST(a_state_is_the_sum_of_its_parts)
{
    for (int i = 0; i < SUB_N_STATES; i++) {
        enum subscription state = (enum subscription)i;
        check(subscription_of(subscription_to(state), subscription_from(state),
                              subscription_pending_out(state),
                              subscription_pending_in(state)) == state);
    }
    check(subscription_of(true, true, true, true) == SUB_BOTH);
    check(subscription_of(true, false, true, true) == SUB_TO_IN);
}
