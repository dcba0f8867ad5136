/*
 * While a client is inactive, presence and chat states wait: of each sender
 * only the last presence is kept, chat states are dropped.  They leave before
 * the next stanza that matters, or when the client becomes active.
 */
#include "im/csi.h"

#include "base/must.h"
#include "im/send.h"

#include <stdlib.h>

// beyond these the oldest leaves: it is sent
enum { WAITING_MOST = 500, BYTES_MOST = 256 << 10 };

struct waiting {
    struct link link;
    struct stanza *stanza;
    struct str to; // in this allocation
};

struct csi_queue {
    struct list waiting;
    size_t n, bytes;
};

static void let_go(struct session *session, struct waiting *waiting, bool send)
{
    list_leave(&waiting->link);
    session->csi->n--;
    session->csi->bytes -= waiting->stanza->inner.len;
    if (send)
        send_past_features(session,
                           &(struct sending_out){.stanza = waiting->stanza, .to = waiting->to});
    stanza_unref(&waiting->stanza);
    free(waiting);
}

static void flush(struct session *session, bool send)
{
    if (session->csi == NULL)
        return;
    LIST_EACH(&session->csi->waiting, struct waiting, link, waiting)
    let_go(session, waiting, send);
}

static void keep(struct session *session, const struct sending_out *what)
{
    if (session->csi == NULL) {
        session->csi = calloc(1, sizeof *session->csi);
        must(session->csi != NULL);
        list_init(&session->csi->waiting);
    }
    LIST_EACH(&session->csi->waiting, struct waiting, link, older)
    if (jid_eq(&older->stanza->from, &what->stanza->from))
        let_go(session, older, false);
    size_t size = what->stanza->inner.len;
    while (session->csi->n > 0 &&
           (session->csi->n >= WAITING_MOST || session->csi->bytes + size > BYTES_MOST)) {
        struct waiting *oldest = LIST_FIRST(&session->csi->waiting, struct waiting, link);
        must(oldest != NULL);
        let_go(session, oldest, true);
    }
    struct waiting *waiting = malloc(sizeof *waiting + what->to.len);
    must(waiting != NULL);
    *waiting = (struct waiting){.stanza = stanza_ref(what->stanza)};
    char *to = (char *)(waiting + 1);
    memcpy(to, what->to.at != NULL ? what->to.at : "", what->to.len);
    waiting->to = str_make(to, what->to.len);
    list_add_last(&session->csi->waiting, &waiting->link);
    session->csi->n++;
    session->csi->bytes += size;
}

// What a copy for this device (XEP-0280) is a copy of, else the message itself.
static const struct element *copied(const struct session *session, const struct stanza *stanza)
{
    const struct element *outer = element_first(stanza->root), *message = NULL;
    if (outer != NULL && str_eq(outer->ns, NS_CARBONS) && element_next(outer) == NULL &&
        jid_eq(&stanza->from, &session->account->jid)) {
        const struct element *forwarded = element_child(outer, NS_FORWARD, STR("forwarded"));
        if (forwarded != NULL)
            message = element_child(forwarded, NS_CLIENT, STR("message"));
    }
    return message != NULL ? message : stanza->root;
}

// A message that says nothing but that somebody types (XEP-0085).
static bool is_chat_state_only(const struct session *session, const struct stanza *stanza)
{
    if (stanza->kind != STANZA_MESSAGE)
        return false;
    bool any = false;
    ELEMENT_EACH(copied(session, stanza), child)
    {
        if (str_eq(child->ns, NS_CHATSTATES))
            any = true;
        else if (!str_eq(child->ns, NS_HINTS) && !element_is(child, NS_CLIENT, STR("thread")) &&
                 !str_eq(child->ns, NS_SID))
            return false;
    }
    return any;
}

static enum passing to_session(struct session *session, const struct sending_out *what)
{
    if (!session->inactive)
        return PASS;
    const struct stanza *stanza = what->stanza;
    bool is_news = stanza->kind == STANZA_PRESENCE &&
                   (stanza->type == TYPE_AVAILABLE || stanza->type == TYPE_UNAVAILABLE);
    if (is_news) {
        keep(session, what);
        return STOP;
    }
    if (what->spool_id == 0 && is_chat_state_only(session, stanza))
        return STOP;
    flush(session, true); // order is kept: what waited goes first
    return PASS;
}

void csi_element(struct session *session, const struct element *element)
{
    session->inactive = str_eq(element->name, STR("inactive"));
    if (!session->inactive)
        flush(session, true);
}

void csi_flush(struct session *session)
{
    flush(session, true);
}

void csi_resumed(struct session *session)
{
    session->inactive = false;
    flush(session, true);
}

static void session_ends(struct session *session)
{
    flush(session, false);
    free(session->csi);
    session->csi = NULL;
}

const struct feature feature_csi = {
    .name = "csi",
    .spec = "XEP-0352",
    .to_session = to_session,
    .session_ends = session_ends,
};
