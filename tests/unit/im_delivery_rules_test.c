#include "test.h"

#include "im/delivery_rules.h"

#include <string.h>

// The account's sessions in each condition of RFC 6121 Table 1.  The addressed one is the first.
enum condition {
    NO_RESOURCES,
    ONLY_UNAVAILABLE, // connected, no initial presence
    ONLY_NEGATIVE,
    ONE,
    SEVERAL, // priorities 5, 0 and -1
};

static const struct {
    size_t n;
    struct rule_session sessions[3];
} conditions[] = {
    [NO_RESOURCES] = {0, {{0}}                                                  },
    [ONLY_UNAVAILABLE] = {1, {{false, 0, false}}                                    },
    [ONLY_NEGATIVE] = {1, {{true, -1, false}}                                    },
    [ONE] = {1, {{true, 0, false}}                                     },
    [SEVERAL] = {3, {{true, 5, false}, {true, 0, false}, {true, -1, false}}},
};

enum address {
    BARE,
    FULL_MATCH, // of the first session
    FULL_MISS,
};

// What happens, as letters in the order normal, chat, groupchat, headline, error:
// O offline, E error, S silence; D to the addressed one, A to all that are not negative
static const struct {
    enum condition condition;
    enum address address;
    const char *fates;
} table[] = {
  // §8.5.2.2: no available resources
    {NO_RESOURCES,     BARE,       "OOESS"},
    {ONLY_UNAVAILABLE, BARE,       "OOESS"},
 // §8.5.2.1.1: "if all of them are negative, as if there were none"
    {ONLY_NEGATIVE,    BARE,       "OOESS"},
    {ONE,              BARE,       "AAEAS"},
    {SEVERAL,          BARE,       "AAEAS"},
 // §8.5.3.1: whatever the type, whatever the priority
    {ONLY_UNAVAILABLE, FULL_MATCH, "DDDDD"},
    {ONLY_NEGATIVE,    FULL_MATCH, "DDDDD"},
    {ONE,              FULL_MATCH, "DDDDD"},
    {SEVERAL,          FULL_MATCH, "DDDDD"},
 // §8.5.3.2: chat as to the bare JID
    {NO_RESOURCES,     FULL_MISS,  "EOESS"},
    {ONLY_UNAVAILABLE, FULL_MISS,  "EOESS"},
    {ONLY_NEGATIVE,    FULL_MISS,  "EOESS"},
    {ONE,              FULL_MISS,  "EAESS"},
    {SEVERAL,          FULL_MISS,  "EAESS"},
};

static const enum stanza_type types[] = {TYPE_NORMAL, TYPE_CHAT, TYPE_GROUPCHAT, TYPE_HEADLINE,
                                         TYPE_ERROR};

static void check_fate(size_t row, size_t column, bool may_keep)
{
    struct rule_session sessions[3];
    size_t n = conditions[table[row].condition].n;
    memcpy(sessions, conditions[table[row].condition].sessions, sizeof sessions);
    sessions[0].is_addressed = table[row].address == FULL_MATCH;
    bool targets[3] = {true, true, true};
    enum rule_fate fate =
        delivery_rule(types[column], table[row].address != BARE, may_keep, sessions, n, targets);
    enum rule_fate wanted = RULE_DELIVER;
    bool wants[3] = {false, false, false};
    switch (table[row].fates[column]) {
    case 'O':
        wanted = may_keep ? RULE_OFFLINE : RULE_REFUSE;
        break;
    case 'E':
        wanted = RULE_REFUSE;
        break;
    case 'S':
        wanted = RULE_DROP;
        break;
    case 'D':
        wants[0] = true;
        break;
    default:
        for (size_t i = 0; i < n; i++)
            wants[i] = sessions[i].available && sessions[i].priority >= 0;
    }
    if (fate != wanted)
        fail_msg("row %zu column %zu: %d instead of %d", row, column, (int)fate, (int)wanted);
    for (size_t i = 0; i < n; i++)
        if (targets[i] != wants[i])
            fail_msg("row %zu column %zu: session %zu", row, column, i);
}

TEST(messages_go_where_table_1_of_rfc_6121_says)
{
    for (size_t row = 0; row < COUNT_OF(table); row++)
        for (size_t column = 0; column < COUNT_OF(types); column++)
            for (int may_keep = 0; may_keep < 2; may_keep++)
                check_fate(row, column, may_keep != 0);
}

#define HINT(name) "<" name " xmlns='urn:xmpp:hints'/>"
#define BODY "<body>hi</body>"
#define STATE "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
#define RECEIPT "<received xmlns='urn:xmpp:receipts' id='1'/>"
#define MARKER "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"
#define ROOM "<x xmlns='http://jabber.org/protocol/muc#user'/>"
#define MEDIATED "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@x.example'/></x>"
#define DIRECT "<x xmlns='jabber:x:conference' jid='room@muc.example'/>"
#define OMEMO "<encrypted xmlns='eu.siacs.conversations.axolotl'/>"
#define RETRACT "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>"
#define PRIVATE "<private xmlns='urn:xmpp:carbons:2'/>"

// Letters: k kept offline, a archived, s copied when he sent it, r copied when he received it.
static const struct {
    const char *type, *content, *fate;
} messages[] = {
    {"chat",      BODY,                                                                          "kasr"},
    {"normal",    BODY,                                                                          "kasr"},
    {"chat",      BODY STATE "<thread>t</thread>",                                               "kasr"},
    {"chat",      "",                                                                            "sr"  },
    {"normal",    "",                                                                            ""    },
 // XEP-0160 §3: only chat states
    {"chat",      STATE,                                                                         "sr"  },
    {"chat",      STATE "<thread>t</thread>" HINT("no-store"),                                   "sr"  },
    {"normal",    STATE,                                                                         "sr"  },
    {"chat",      RECEIPT,                                                                       "ksr" },
    {"normal",    RECEIPT,                                                                       "ksr" },
    {"normal",    MARKER,                                                                        "ksr" },
    {"normal",    "<request xmlns='urn:xmpp:receipts'/>",                                        "sr"  },
    {"normal",    "<subject>s</subject>",                                                        "k"   },
    {"normal",    "<other xmlns='urn:x'/>",                                                      "k"   },
    {"normal",    "<delay xmlns='urn:xmpp:delay' stamp=''/><origin-id xmlns='urn:xmpp:sid:0'/>", ""    },
 // XEP-0334
    {"chat",      BODY HINT("no-store"),                                                         "sr"  },
    {"chat",      BODY HINT("no-permanent-store"),                                               "ksr" },
    {"chat",      BODY HINT("no-copy"),                                                          "ka"  },
    {"chat",      STATE HINT("store"),                                                           "kasr"},
    {"normal",    "<other xmlns='urn:x'/>" HINT("store"),                                        "ka"  },
    {"chat",      BODY HINT("store") HINT("no-store"),                                           "sr"  },
 // XEP-0280 §6.1
    {"chat",      BODY PRIVATE HINT("no-copy"),                                                  "ka"  },
    {"normal",    MEDIATED,                                                                      "kasr"},
    {"normal",    DIRECT,                                                                        "kasr"},
    {"chat",      BODY ROOM,                                                                     "kas" },
    {"groupchat", BODY,                                                                          ""    },
    {"groupchat", BODY HINT("store"),                                                            ""    },
    {"headline",  BODY,                                                                          ""    },
    {"headline",  RECEIPT,                                                                       "sr"  },
    {"error",     BODY "<error type='cancel'/>",                                                 "sr"  },
    {"error",     BODY HINT("no-copy") "<error type='cancel'/>",                                 "sr"  },
    {"error",     "<error type='cancel'/>",                                                      ""    },
 // belongs to the conversation without a body
    {"chat",      OMEMO,                                                                         "kasr"},
    {"chat",      RETRACT,                                                                       "kasr"},
    {"normal",    OMEMO,                                                                         "ka"  },
};

TEST(messages_are_kept_archived_and_copied_by_what_they_carry)
{
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        struct stanza *stanza = stanza_parse(
            arena_printf(test_arena(), "<message xmlns='jabber:client' type='%s'>%s</message>",
                         messages[i].type, messages[i].content));
        check(stanza != NULL);
        char fate[5] = "";
        size_t n = 0;
        if (message_is_keepable(stanza))
            fate[n++] = 'k';
        if (message_is_archivable(stanza))
            fate[n++] = 'a';
        if (message_is_carbon_copied(stanza, false))
            fate[n++] = 's';
        if (message_is_carbon_copied(stanza, true))
            fate[n++] = 'r';
        if (strcmp(fate, messages[i].fate) != 0)
            fail_msg("%s %s: %s instead of %s", messages[i].type, messages[i].content, fate,
                     messages[i].fate);
        stanza_unref(&stanza);
    }
}
