#include "im/intake.h"

#include "base/must.h"
#include "im/csi.h"
#include "im/iq.h"
#include "im/message.h"
#include "im/presence.h"
#include "im/send.h"

void intake_stanza(struct session *session, struct arena *arena, struct element *root)
{
    enum err e;
    struct stanza *stanza = stanza_take(arena, root, &e);
    if (stanza == NULL)
        return; // the stream lets nothing but stanzas through
    struct ticket *ticket = session_ticket(session);
    struct desk *desk = desk_of(session->home);
    stanza_set_from(stanza, &session->jid);
    if (e == ERR_MALFORMED) {
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
    stanza_unref(&stanza);
    ticket_unref(&ticket);
}

void intake_csi(struct session *session, const struct element *root)
{
    csi_element(session, root);
}
