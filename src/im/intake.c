#include "im/intake.h"

#include "base/must.h"
#include "im/csi.h"
#include "im/iq.h"
#include "im/message.h"
#include "im/presence.h"
#include "im/send.h"
#include "route/in_hand.h"

static bool is_one_of_ours(const struct session *session, struct str address, bool but_the_sender)
{
    struct arena arena;
    struct jid jid;
    arena_init(&arena, (size_t)16 * JID_MOST);
    bool ours = jid_parse(&arena, address, &jid) != OK ||
                (desk_domain(desk_of(session->home), jid.domain) != NULL &&
                 !(but_the_sender && jid_eq_bare(&jid, &session->jid)));
    arena_done(&arena);
    return ours;
}

// What only we may say is not believed, however often it is said: ids (XEP-0359 6), whoever of us
// they name, that we or one of our people kept something for a while (XEP-0203), and who somebody
// is in a room (XEP-0421 4: only rooms say so, and a person's account is none).
static bool is_forged(const struct element *child, const void *context)
{
    if (element_is(child, NS_SID, STR("stanza-id"))) {
        struct str by = element_attr(child, STR("by"));
        return by.at == NULL || is_one_of_ours(context, by, false);
    }
    if (element_is(child, NS_DELAY, STR("delay"))) {
        struct str from = element_attr(child, STR("from"));
        return from.at != NULL && is_one_of_ours(context, from, true);
    }
    return element_is(child, NS_OCCUPANT_ID, STR("occupant-id")) ||
           element_is(child, NS_HATS, STR("hats"));
}

// RFC 6120 8.1.5: what says nothing of its language is in that of its stream, and it must be said
// before it enters another one.  Requests are for programs: they stay as they are.
static void set_lang(struct stanza *stanza, struct str lang)
{
    stanza->lang = arena_str(&stanza->arena, lang);
    element_set_ns(&stanza->arena, stanza->root, NS_XML, STR("lang"), stanza->lang);
}

void intake_stanza(struct session *session, struct arena *arena, struct element *root)
{
    enum err e;
    struct stanza *stanza = stanza_take(arena, root, &e);
    if (stanza == NULL)
        return; // the stream lets nothing but stanzas through
    if (stanza->lang.len == 0 && session->names_lang && stanza->kind != STANZA_IQ)
        set_lang(stanza, session->lang);
    struct ticket *ticket = session_ticket(session);
    struct desk *desk = desk_of(session->home);
    stanza_set_from(stanza, &session->jid);
    if (stanza->kind != STANZA_IQ)
        element_remove_if(stanza->root, is_forged, session);
    struct in_hand_slot *in_hand = session->home->in_hand;
    if (!in_hand_begin(in_hand, stanza)) {
        send_refusal_aside(session->home, stanza, ticket);
    } else if (e == ERR_MALFORMED) {
        send_refusal_full(session->home, stanza, ticket,
                          &(struct stanza_error){.condition = STANZA_JID_MALFORMED});
    } else if (stanza->kind == STANZA_MESSAGE) {
        desk->counters.messages_in++;
        message_from_client(session, stanza, ticket);
    } else if (stanza->kind == STANZA_PRESENCE) {
        desk->counters.presences_in++;
        presence_from_client(session, stanza, ticket);
    } else {
        desk->counters.iqs_in++;
        iq_from_client(session, stanza, ticket);
    }
    in_hand_done(in_hand);
    stanza_unref(&stanza);
    ticket_unref(&ticket);
}

void intake_csi(struct session *session, const struct element *root)
{
    csi_element(session, root);
}
