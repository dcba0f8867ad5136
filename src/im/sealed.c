#include "im/sealed.h"

static const struct str pgp = {"jabber:x:encrypted", 18}, otr = {"?OTR:", 5}; // XEP-0027, XEP-0364

static bool is_omemo(const struct element *child)
{
    return ns_eq(child->ns, NS_OMEMO) || ns_eq(child->ns, NS_OMEMO_2);
}

static bool is_otr(const struct element *child)
{
    return element_is(child, NS_CLIENT, STR("body")) && str_starts(child->text, otr);
}

bool sealed_is_part(const struct element *child)
{
    return is_omemo(child) || ns_eq(child->ns, NS_OPENPGP) || ns_eq(child->ns, NS_ENCRYPTION) ||
           str_eq(child->ns, pgp) || is_otr(child);
}

struct str sealed_text(const struct stanza *stanza)
{
    bool announced = false;
    struct str body = STR_EMPTY;
    ELEMENT_EACH(stanza->root, child)
    {
        if (is_omemo(child)) { // XEP-0384: without a payload it only sets up keys
            struct str payload = element_child_text(child, child->ns, STR("payload"));
            return payload.at != NULL ? payload : STR_EMPTY;
        }
        if (ns_eq(child->ns, NS_OPENPGP) || str_eq(child->ns, pgp) || is_otr(child))
            return child->text;
        announced |= ns_eq(child->ns, NS_ENCRYPTION);
        if (element_is(child, NS_CLIENT, STR("body")))
            body = child->text;
    }
    return announced ? body : STR_EMPTY; // XEP-0380: another way, which we do not know
}
