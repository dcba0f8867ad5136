#include "im/delivery_rules.h"

enum rule {
    TO_IT,  // to the resource that the address names
    TO_ALL, // to all available resources whose priority is not negative
    KEEP,   // offline storage, or service-unavailable where it is closed
    REFUSE, // service-unavailable
    DROP,
};

enum found {
    NOBODY,   // no available resource with a priority that is not negative
    SOMEBODY, // at least one
    MATCHED,  // the full JID is that of a connected resource
};

// RFC 6121 Table 1, with our choice where it leaves one.
static const struct {
    enum found found;
    bool to_full;
    enum rule normal, chat, groupchat, headline, error;
} table[] = {
    {NOBODY,   false, KEEP,   KEEP,   REFUSE, DROP,   DROP }, // §8.5.2.2
    {SOMEBODY, false, TO_ALL, TO_ALL, REFUSE, TO_ALL, DROP }, // §8.5.2.1
    {MATCHED,  true,  TO_IT,  TO_IT,  TO_IT,  TO_IT,  TO_IT}, // §8.5.3.1
  // §8.5.3.2: nobody has the full JID; a chat message goes the way of the bare one
    {NOBODY,   true,  REFUSE, KEEP,   REFUSE, DROP,   DROP },
    {SOMEBODY, true,  REFUSE, TO_ALL, REFUSE, DROP,   DROP },
};

static enum rule find_rule(enum stanza_type type, bool to_full, enum found found)
{
    size_t i = 0;
    while (table[i].found != found || table[i].to_full != to_full)
        i++;
    switch (type) {
    case TYPE_CHAT:
        return table[i].chat;
    case TYPE_GROUPCHAT:
        return table[i].groupchat;
    case TYPE_HEADLINE:
        return table[i].headline;
    case TYPE_ERROR:
        return table[i].error;
    default: // RFC 6121 §5.2.2: an unknown type is normal
        return table[i].normal;
    }
}

static bool has_it(const struct rule_session *session)
{
    return session->available && session->priority >= 0;
}

enum rule_fate delivery_rule(enum stanza_type type, bool to_full, bool may_keep,
                             const struct rule_session *sessions, size_t n, bool *targets)
{
    enum found found = NOBODY;
    for (size_t i = 0; i < n; i++) {
        targets[i] = false;
        if (to_full && sessions[i].is_addressed)
            found = MATCHED;
        else if (found == NOBODY && has_it(&sessions[i]))
            found = SOMEBODY;
    }
    switch (find_rule(type, to_full, found)) {
    case TO_IT:
        for (size_t i = 0; i < n; i++)
            targets[i] = sessions[i].is_addressed;
        return RULE_DELIVER;
    case TO_ALL:
        for (size_t i = 0; i < n; i++)
            targets[i] = has_it(&sessions[i]);
        return RULE_DELIVER;
    case KEEP:
        return may_keep ? RULE_OFFLINE : RULE_REFUSE;
    case REFUSE:
        return RULE_REFUSE;
    default:
        return RULE_DROP;
    }
}

// What a message carries, found in one walk over its children.
enum {
    HAS_BODY = 1,
    HAS_OTHER = 2,     // something that is neither below nor mere decoration
    HAS_STATE = 4,     // XEP-0085
    HAS_RECEIPT = 8,   // XEP-0184: a receipt
    HAS_REQUEST = 16,  // … or the request for one
    HAS_MARKER = 32,   // XEP-0333: a marker
    HAS_MARKABLE = 64, // … or the request for one
    HAS_INVITATION = 128,
    HAS_ROOM_MARK = 256, // muc#user: it goes through a room
    HAS_LASTING = 512,   // belongs to the conversation without a body
    HINT_STORE = 1024,
    HINT_NO_STORE = 2048,
    HINT_NO_PERMANENT_STORE = 4096,
    HINT_NO_COPY = 8192,
    IS_PRIVATE = 16384, // XEP-0280 §8
};

// The first row that fits counts; name empty: any.
static const struct {
    struct str ns, name;
    unsigned what;
} payloads[] = {
    {NS_CLIENT,       {"body", 4},                HAS_BODY               },
    {NS_CLIENT,       {"thread", 6},              0                      },
    {NS_CHATSTATES,   {"", 0},                    HAS_STATE              },
    {NS_RECEIPTS,     {"received", 8},            HAS_RECEIPT            },
    {NS_RECEIPTS,     {"", 0},                    HAS_REQUEST            },
    {NS_MARKERS,      {"markable", 8},            HAS_MARKABLE           },
    {NS_MARKERS,      {"", 0},                    HAS_MARKER             },
    {NS_HINTS,        {"store", 5},               HINT_STORE             },
    {NS_HINTS,        {"no-store", 8},            HINT_NO_STORE          },
    {NS_HINTS,        {"no-permanent-store", 18}, HINT_NO_PERMANENT_STORE},
    {NS_HINTS,        {"no-copy", 7},             HINT_NO_COPY           },
    {NS_HINTS,        {"", 0},                    0                      },
    {NS_CARBONS,      {"private", 7},             IS_PRIVATE             },
    {NS_MUC_USER,     {"x", 1},                   HAS_ROOM_MARK          },
    {NS_CONFERENCE,   {"x", 1},                   HAS_INVITATION         },
    {NS_OMEMO,        {"encrypted", 9},           HAS_LASTING            },
    {NS_OMEMO_2,      {"encrypted", 9},           HAS_LASTING            },
    {NS_OPENPGP,      {"openpgp", 7},             HAS_LASTING            },
    {NS_RETRACT,      {"", 0},                    HAS_LASTING            },
    {NS_FASTEN,       {"", 0},                    HAS_LASTING            },
    {NS_CORRECT,      {"", 0},                    HAS_LASTING            },
    {NS_REACTIONS,    {"", 0},                    HAS_LASTING            },
 // decoration: says something about the rest
    {NS_DELAY,        {"", 0},                    0                      },
    {NS_SID,          {"", 0},                    0                      },
    {NS_NICK,         {"", 0},                    0                      },
    {NS_ENCRYPTION,   {"", 0},                    0                      },
    {NS_STYLING,      {"", 0},                    0                      },
    {NS_FALLBACK,     {"", 0},                    0                      },
    {NS_VCARD_UPDATE, {"", 0},                    0                      },
    {NS_OCCUPANT_ID,  {"", 0},                    0                      },
    {NS_SHIM,         {"", 0},                    0                      },
};

static unsigned payload_of(const struct element *child)
{
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        if (!ns_eq(child->ns, payloads[i].ns) ||
            (payloads[i].name.len > 0 && !str_eq(child->name, payloads[i].name)))
            continue;
        // XEP-0045 §7.8.2: the room's own invitation
        if (payloads[i].what == HAS_ROOM_MARK &&
            element_child(child, NS_MUC_USER, STR("invite")) != NULL)
            return HAS_INVITATION;
        return payloads[i].what;
    }
    return HAS_OTHER;
}

static unsigned contents(const struct stanza *stanza)
{
    unsigned found = 0;
    ELEMENT_EACH(stanza->root, child)
    found |= payload_of(child);
    return found;
}

bool message_is_keepable(const struct stanza *stanza)
{
    // XEP-0160 §3
    if (stanza->type != TYPE_NORMAL && stanza->type != TYPE_CHAT)
        return false;
    unsigned has = contents(stanza);
    if ((has & HINT_NO_STORE) != 0)
        return false;
    return (has & (HINT_STORE | HAS_BODY | HAS_OTHER | HAS_RECEIPT | HAS_MARKER | HAS_INVITATION |
                   HAS_LASTING)) != 0;
}

bool message_is_archivable(const struct stanza *stanza)
{
    if (stanza->type != TYPE_NORMAL && stanza->type != TYPE_CHAT)
        return false;
    unsigned has = contents(stanza);
    if ((has & (HINT_NO_STORE | HINT_NO_PERMANENT_STORE)) != 0)
        return false;
    return (has & (HINT_STORE | HAS_BODY | HAS_INVITATION | HAS_LASTING)) != 0;
}

bool message_is_carbon_copied(const struct stanza *stanza, bool received)
{
    unsigned has = contents(stanza);
    bool is_im = (has & (HAS_STATE | HAS_RECEIPT | HAS_REQUEST | HAS_MARKER | HAS_MARKABLE)) != 0;
    // XEP-0334 §5: hints in an error are those of the message it came for
    if (stanza->type == TYPE_ERROR)
        return (has & HAS_BODY) != 0 || is_im;
    if ((has & (IS_PRIVATE | HINT_NO_COPY)) != 0)
        return false;
    switch (stanza->type) {
    case TYPE_GROUPCHAT:
        return false;
    case TYPE_CHAT:
        break;
    case TYPE_NORMAL:
        if ((has & (HAS_BODY | HAS_INVITATION)) == 0 && !is_im)
            return false;
        break;
    default:
        return is_im;
    }
    // from an occupant of a room, which sends to all of the user's clients there itself
    return !received || (has & HAS_ROOM_MARK) == 0 || (has & HAS_INVITATION) != 0;
}
