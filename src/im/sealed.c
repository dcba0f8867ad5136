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

static bool announces_omemo(const struct element *child)
{
    struct str of = element_attr(child, STR("namespace"));
    return of.at != NULL && (str_eq(of, NS_OMEMO) || str_eq(of, NS_OMEMO_2));
}

// Parts without a text of their own hide nothing, and what stands behind them is read as well.
struct str sealed_text(const struct stanza *stanza)
{
    bool omemo = false, other = false, sets_up = false;
    struct str body = STR_EMPTY;
    ELEMENT_EACH(stanza->root, child)
    {
        struct str text = STR_EMPTY;
        if (is_omemo(child)) { // XEP-0384: without a payload it only sets up keys
            struct str payload = element_child_text(child, child->ns, STR("payload"));
            text = payload.at != NULL ? payload : STR_EMPTY;
            sets_up = true;
        }
        if (ns_eq(child->ns, NS_OPENPGP) || str_eq(child->ns, pgp) || is_otr(child))
            text = child->text;
        if (text.len > 0)
            return text;
        if (ns_eq(child->ns, NS_ENCRYPTION)) {
            omemo |= announces_omemo(child);
            other |= !announces_omemo(child);
        }
        if (element_is(child, NS_CLIENT, STR("body")) && body.len == 0)
            body = child->text;
    }
    return other || (omemo && !sets_up) ? body
                                        : STR_EMPTY; // XEP-0380: another way, which we do not know
}
