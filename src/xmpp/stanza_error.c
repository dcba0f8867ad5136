#include "xmpp/stanza_error.h"

#include "xml/element.h"

// RFC 6120 §8.3.3: each condition with the type that goes with it.
static const struct {
    const char *name;
    enum stanza_error_type type;
} conditions[STANZA_N_CONDITIONS] = {
    [STANZA_BAD_REQUEST] = {"bad-request",             STANZA_MODIFY},
    [STANZA_CONFLICT] = {"conflict",                STANZA_CANCEL},
    [STANZA_FEATURE_NOT_IMPLEMENTED] = {"feature-not-implemented", STANZA_CANCEL},
    [STANZA_FORBIDDEN] = {"forbidden",               STANZA_AUTH  },
    [STANZA_GONE] = {"gone",                    STANZA_CANCEL},
    [STANZA_INTERNAL_SERVER_ERROR] = {"internal-server-error",   STANZA_CANCEL},
    [STANZA_ITEM_NOT_FOUND] = {"item-not-found",          STANZA_CANCEL},
    [STANZA_JID_MALFORMED] = {"jid-malformed",           STANZA_MODIFY},
    [STANZA_NOT_ACCEPTABLE] = {"not-acceptable",          STANZA_MODIFY},
    [STANZA_NOT_ALLOWED] = {"not-allowed",             STANZA_CANCEL},
    [STANZA_NOT_AUTHORIZED] = {"not-authorized",          STANZA_AUTH  },
    [STANZA_POLICY_VIOLATION] = {"policy-violation",        STANZA_MODIFY},
    [STANZA_RECIPIENT_UNAVAILABLE] = {"recipient-unavailable",   STANZA_WAIT  },
    [STANZA_REDIRECT] = {"redirect",                STANZA_MODIFY},
    [STANZA_REGISTRATION_REQUIRED] = {"registration-required",   STANZA_AUTH  },
    [STANZA_REMOTE_SERVER_NOT_FOUND] = {"remote-server-not-found", STANZA_CANCEL},
    [STANZA_REMOTE_SERVER_TIMEOUT] = {"remote-server-timeout",   STANZA_WAIT  },
    [STANZA_RESOURCE_CONSTRAINT] = {"resource-constraint",     STANZA_WAIT  },
    [STANZA_SERVICE_UNAVAILABLE] = {"service-unavailable",     STANZA_CANCEL},
    [STANZA_SUBSCRIPTION_REQUIRED] = {"subscription-required",   STANZA_AUTH  },
    [STANZA_UNDEFINED_CONDITION] = {"undefined-condition",     STANZA_CANCEL},
    [STANZA_UNEXPECTED_REQUEST] = {"unexpected-request",      STANZA_WAIT  },
};

static const char *const types[STANZA_N_TYPES] = {
    [STANZA_TYPE_DEFAULT] = "cancel", [STANZA_AUTH] = "auth",     [STANZA_CANCEL] = "cancel",
    [STANZA_CONTINUE] = "continue",   [STANZA_MODIFY] = "modify", [STANZA_WAIT] = "wait",
};

enum stanza_error_type stanza_condition_type(enum stanza_condition condition)
{
    return conditions[condition].type;
}

bool stanza_may_be_refused(const struct element *stanza)
{
    if (!ns_eq(stanza->ns, NS_CLIENT) && !ns_eq(stanza->ns, NS_SERVER))
        return false;
    struct str type = element_attr(stanza, STR("type"));
    if (str_eq(type, STR("error")))
        return false;
    if (str_eq(stanza->name, STR("iq")))
        return !str_eq(type, STR("result"));
    return str_eq(stanza->name, STR("message")) || str_eq(stanza->name, STR("presence"));
}

struct element *stanza_error_element(struct arena *arena, const struct stanza_error *error)
{
    enum stanza_error_type type =
        error->type != STANZA_TYPE_DEFAULT ? error->type : stanza_condition_type(error->condition);
    struct element *made = element_new(arena, NS_CLIENT, STR("error"));
    if (error->by.len > 0)
        element_set(arena, made, STR("by"), error->by);
    element_set(arena, made, STR("type"), str_of(types[type]));
    struct element *condition =
        element_child_new(arena, made, NS_STANZA_ERRORS, str_of(conditions[error->condition].name));
    if (error->address.len > 0 &&
        (error->condition == STANZA_GONE || error->condition == STANZA_REDIRECT))
        element_add_text(arena, condition, error->address);
    if (error->text.len > 0) {
        struct element *text =
            element_child_with(arena, made, NS_STANZA_ERRORS, STR("text"), error->text);
        if (error->lang.len > 0)
            element_set_ns(arena, text, NS_XML, STR("lang"), error->lang);
    }
    if (error->specific.len > 0)
        element_child_new(arena, made, error->specific_ns, error->specific);
    struct element *whole;
    if (error->specific_whole != NULL && element_copy(arena, error->specific_whole, &whole) == OK)
        element_add(made, whole);
    return made;
}

struct element *stanza_error_reply(struct arena *arena, const struct element *stanza,
                                   const struct stanza_error *error)
{
    if (!stanza_may_be_refused(stanza))
        return NULL;
    struct element *reply = element_new(arena, stanza->ns, stanza->name);
    struct str from = element_attr(stanza, STR("from")), to = element_attr(stanza, STR("to")),
               id = element_attr(stanza, STR("id"));
    if (to.at != NULL)
        element_set(arena, reply, STR("from"), to);
    if (from.at != NULL)
        element_set(arena, reply, STR("to"), from);
    if (id.at != NULL)
        element_set(arena, reply, STR("id"), id);
    element_set(arena, reply, STR("type"), STR("error"));
    struct element *child = stanza_error_element(arena, error);
    child->ns = stanza->ns;
    element_add(reply, child);
    return reply;
}

static enum stanza_error_type type_of(struct str name)
{
    for (int i = STANZA_AUTH; i < STANZA_N_TYPES; i++)
        if (str_eq(name, str_of(types[i])))
            return (enum stanza_error_type)i;
    return STANZA_TYPE_DEFAULT;
}

static enum stanza_condition condition_of(struct str name)
{
    for (int i = 0; i < STANZA_N_CONDITIONS; i++)
        if (str_eq(name, str_of(conditions[i].name)))
            return (enum stanza_condition)i;
    return STANZA_UNDEFINED_CONDITION;
}

enum err stanza_error_read(const struct element *stanza, struct stanza_error *out)
{
    const struct element *error = element_child(stanza, stanza->ns, STR("error"));
    if (error == NULL)
        return ERR_MALFORMED;
    struct stanza_error read = {
        .condition = STANZA_UNDEFINED_CONDITION,
        .type = type_of(element_attr(error, STR("type"))),
        .by = element_attr(error, STR("by")),
    };
    ELEMENT_EACH(error, child)
    {
        if (!ns_eq(child->ns, NS_STANZA_ERRORS)) {
            read.specific = child->name;
            read.specific_ns = child->ns;
        } else if (str_eq(child->name, STR("text"))) {
            read.text = child->text;
            read.lang = element_lang(child);
        } else {
            read.condition = condition_of(child->name);
            read.address = child->text;
        }
    }
    *out = read;
    return OK;
}
