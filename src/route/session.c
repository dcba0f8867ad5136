/*
 * The outbox is one queue in the order of sending.  With XEP-0198 its entries
 * are numbered sm->acked + 1 … sm->sent and leave when the client acknowledges
 * them; without, they leave when the socket has taken their last byte.  Either
 * way an entry with a spool id is un-spooled at that moment and not before, so
 * that a crash finds it in the store.
 */
#include "route/session.h"

#include "base/clock.h"
#include "base/must.h"
#include "route/own.h"
#include "route/spool.h"
#include "xml/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC_SESSION = 0x53657373 };

static struct str id_key(const uint64_t *id)
{
    return str_make((const char *)id, sizeof *id);
}

struct session *session_new(struct account *account, struct str resource)
{
    struct home *home = account->home;
    struct session *session = calloc(1, sizeof *session);
    must(session != NULL);
    session->magic = MAGIC_SESSION;
    session->id = ++home->next_session;
    session->home = home;
    session->account = account;
    session->jid = own_jid_with_resource(&account->jid, resource);
    session->lang = own_str(STR_EMPTY);
    session->started_us = clock_wall_us();
    list_init(&session->outbox);
    must(table_put(&home->sessions, id_key(&session->id), session) == OK);
    list_add_last(&account->sessions, &session->in_account);
    account->n_sessions++;
    account_hold(account);
    return session;
}

void session_free(struct session **session)
{
    struct session *s = TAKE(*session);
    if (s == NULL)
        return;
    must(s->magic == MAGIC_SESSION && home_is_me(s->home));
    must(list_empty(&s->outbox));
    s->magic = 0;
    table_remove(&s->home->sessions, id_key(&s->id));
    list_leave(&s->in_account);
    if (!s->ending)
        s->account->n_sessions--;
    account_release(s->account);
    packed_stanza_free(&s->presence);
    if (s->sm != NULL)
        loop_timer_cancel(&s->sm->timer);
    own_jid_free(&s->jid);
    own_str_free(&s->lang);
    free(s->sm);
    free(s);
}

void session_mark_ending(struct session *session)
{
    if (session->ending)
        return;
    session->ending = true;
    session->account->n_sessions--;
}

struct session *session_find(struct home *home, uint64_t id)
{
    return table_get(&home->sessions, id_key(&id));
}

struct session *session_by_resource(struct account *account, struct str resource)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending && str_eq(session->jid.resource, resource))
        return session;
    return NULL;
}

void session_sm_start(struct session *session, struct sm *sm)
{
    must(session->sm == NULL);
    session->sm = sm;
    sm->session = session;
    // what was sent before and is still in the outbox is not counted by the client, but it is in
    // front: it stays until the first acknowledgement says that the stream has passed it
    session->n_uncounted = session->outbox_n;
}

void session_set_lang(struct session *session, struct str lang, bool named)
{
    own_str_free(&session->lang);
    session->lang = own_str(lang);
    session->names_lang = named;
}

void out_free(struct out **out)
{
    struct out *o = TAKE(*out);
    if (o == NULL)
        return;
    stanza_unref(&o->stanza);
    free(o);
}

struct out *session_take_out(struct session *session)
{
    struct out *out = LIST_FIRST(&session->outbox, struct out, link);
    if (out == NULL)
        return NULL;
    list_leave(&out->link);
    session->outbox_n--;
    session->outbox_bytes -= out->size;
    return out;
}

// What the server adds behind the sender's own children (XEP-0359 3, XEP-0203).
static struct str write_extra(struct arena *arena, const struct session *session,
                              const struct out *out)
{
    struct str extra = STR_EMPTY;
    struct str bare = jid_bare(&session->jid);
    struct buf buf;
    if (out->archive_id == 0 && out->delay_us == 0)
        return extra;
    buf_init(&buf, 8192);
    if (out->archive_id != 0) {
        buf_add(&buf, STR("<stanza-id xmlns='urn:xmpp:sid:0' by='"));
        xml_write_value(&buf, bare);
        buf_printf(&buf, "' id='%llu'/>", (unsigned long long)out->archive_id);
    }
    if (out->delay_us != 0) {
        struct str when = clock_format(arena, out->delay_us);
        buf_add(&buf, STR("<delay xmlns='urn:xmpp:delay' from='"));
        xml_write_value(&buf, session->jid.domain);
        buf_printf(&buf, "' stamp='%.*s'/>", STR_ARGS(when));
    }
    extra = arena_str(arena, buf_str(&buf));
    buf_done(&buf);
    return extra;
}

static enum err write_out(struct session *session, struct out *out)
{
    if (session->client == NULL)
        return OK; // it is written at resumption
    struct arena arena;
    arena_init(&arena, 16384);
    struct buf *text = &session->home->text;
    buf_clear(text);
    stanza_write(text, out->stanza, out->to, write_extra(&arena, session, out));
    arena_done(&arena);
    if (text->overflowed)
        return ERR_LIMIT;
    session->client_calls->write(session->client, buf_str(text));
    // a connection that ends is never said to have written it
    out->written_mark = session->client_calls->given(session->client);
    session->client_calls->wants_flush(session->client);
    return OK;
}

// Whether anybody must know when this has arrived.  Without XEP-0198 only messages do: a lost
// presence or iq is made good by the client's next stream.  What carries a lure is an exposure, of
// whatever kind it is.
static bool must_be_kept(const struct session *session, const struct out *out)
{
    return session->sm != NULL || out->spool_id != 0 || out->stanza->lure_keys.len > 0 ||
           (out->stanza->kind == STANZA_MESSAGE && !out->fleeting);
}

enum err session_send(struct session *session, const struct sending_out *what)
{
    must(session->magic == MAGIC_SESSION);
    must_slow(home_is_me(session->home));
    size_t size = sizeof(struct out) + what->stanza->inner.len + 256;
    if (session->outbox_n >= session->outbox_n_most ||
        size > session->outbox_bytes_most - session->outbox_bytes) {
        session->home->counters.outbox_refused++;
        return ERR_LIMIT;
    }
    struct out *out = malloc(sizeof *out + what->to.len);
    must(out != NULL);
    *out = (struct out){
        .stanza = stanza_ref(what->stanza),
        .archive_id = what->archive_id,
        .spool_id = what->spool_id,
        .spool_size = what->spool_size,
        .delay_us = what->delay_us,
        .at_us = what->at_us,
        .fleeting = what->fleeting,
        .size = size,
    };
    char *to = (char *)(out + 1);
    if (what->to.len > 0)
        memcpy(to, what->to.at, what->to.len);
    out->to = str_make(to, what->to.len);
    enum err e = write_out(session, out);
    if (e != OK) {
        out_free(&out);
        return e;
    }
    if (!must_be_kept(session, out)) {
        out_free(&out);
        return OK;
    }
    list_add_last(&session->outbox, &out->link);
    session->outbox_n++;
    session->outbox_bytes += size;
    if (session->sm != NULL)
        session->sm->sent++;
    return OK;
}

// The client has it: the spool may forget it, and whoever counts exposures hears of it.
static void has_arrived(struct session *session, struct out *out)
{
    if (out->spool_id != 0)
        spool_delivered(session->account, (int64_t)out->spool_id, out->spool_size);
    session->home->events->delivered(session, out->stanza);
    out_free(&out);
}

enum err session_acked(struct session *session, uint32_t h)
{
    struct sm *sm = session->sm;
    must(sm != NULL);
    uint32_t n = h - sm->acked; // modulo 2^32: XEP-0198 4
    if (n > sm->sent - sm->acked)
        return ERR_MALFORMED;
    sm->request_pending = false;
    sm->acked = h;
    for (; session->n_uncounted > 0; session->n_uncounted--)
        has_arrived(session, session_take_out(session));
    for (; n > 0; n--)
        has_arrived(session, session_take_out(session));
    // what is still out wants an answer too, even if nothing else is sent any more
    if (sm->sent != sm->acked && session->client != NULL)
        session->client_calls->wants_flush(session->client);
    return OK;
}

void session_written(struct session *session)
{
    if (session->sm != NULL || session->client == NULL || list_empty(&session->outbox))
        return;
    uint64_t written = session->client_calls->written(session->client);
    for (;;) {
        struct out *out = LIST_FIRST(&session->outbox, struct out, link);
        if (out == NULL || out->written_mark > written || out->written_mark == UINT64_MAX)
            return;
        has_arrived(session, session_take_out(session));
    }
}

void session_resend(struct session *session)
{
    LIST_EACH(&session->outbox, struct out, link, out)
    if (write_out(session, out) != OK)
        return; // cannot be: it could be written before
}

static struct str write_h(char *buffer, size_t size, const char *format, uint32_t h)
{
    int n = snprintf(buffer, size, format, h);
    return str_make(buffer, (size_t)n);
}

static void say_h(struct session *session)
{
    char text[64];
    struct sm *sm = session->sm;
    session->client_calls->write(
        session->client,
        write_h(text, sizeof text, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", sm->durable));
    sm->said = sm->durable;
}

void session_sm_requested(struct session *session)
{
    struct sm *sm = session->sm;
    say_h(session); // answered at once, with what is durable now (semantics: acknowledging)
    sm->asked = sm->durable != sm->received;
}

void session_turn_end(struct session *session)
{
    struct sm *sm = session->sm;
    if (sm == NULL || session->client == NULL)
        return;
    if (sm->asked && sm->said != sm->durable) {
        say_h(session);
        sm->asked = sm->durable != sm->received;
    }
    if (!sm->request_pending && sm->sent != sm->acked) {
        session->client_calls->write(session->client, STR("<r xmlns='urn:xmpp:sm:3'/>"));
        sm->request_pending = true;
    }
}

struct ticket *session_ticket(struct session *session)
{
    struct sm *sm = session->sm;
    if (sm == NULL)
        return NULL;
    sm->received++;
    must(sm->received - sm->durable <= SM_WINDOW); // the window pauses the reader before
    if (sm->received - sm->durable == SM_WINDOW)
        session_pause(session);
    return ticket_new(session->home, session->id, sm->received);
}

static bool take_done(struct sm *sm, uint32_t h)
{
    uint64_t bit = UINT64_C(1) << (h % 64);
    uint64_t *word = &sm->done[h % SM_WINDOW / 64];
    bool was = (*word & bit) != 0;
    *word &= ~bit;
    return was;
}

void session_ticket_done(struct session *session, uint32_t h)
{
    struct sm *sm = session->sm;
    must(sm != NULL && h - sm->durable - 1 < SM_WINDOW);
    bool was_full = sm->received - sm->durable == SM_WINDOW;
    sm->done[h % SM_WINDOW / 64] |= UINT64_C(1) << (h % 64);
    uint32_t before = sm->durable;
    while (sm->durable != sm->received && take_done(sm, sm->durable + 1))
        sm->durable++;
    if (sm->durable == before)
        return;
    if (was_full)
        session_unpause(session);
    if (sm->asked && session->client != NULL)
        session->client_calls->wants_flush(session->client);
}

void session_pause(struct session *session)
{
    if (session->pauses++ == 0 && session->client != NULL)
        session->client_calls->pause(session->client);
}

void session_unpause(struct session *session)
{
    must(session->pauses > 0);
    if (--session->pauses == 0 && session->client != NULL)
        session->client_calls->resume(session->client);
}
