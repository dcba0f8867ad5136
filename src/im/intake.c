#include "im/intake.h"

#include "base/must.h"
#include "im/csi.h"
#include "im/iq.h"
#include "im/message.h"
#include "im/presence.h"
#include "im/send.h"
#include "route/in_hand.h"

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
    struct in_hand_slot *in_hand = session->home->in_hand;
    if (!in_hand_begin(in_hand, stanza)) {
        send_refusal_aside(session->home, stanza, ticket);
    } else if (e == ERR_MALFORMED) {
        send_refusal(session->home, stanza, STANZA_JID_MALFORMED, NULL);
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
