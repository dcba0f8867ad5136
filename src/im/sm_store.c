/*
 * A record is a sequence of fields, "name length\n" and then so many bytes and
 * a line end; numbers are decimal.  The fields of one stanza of the outbox come
 * before its "stanza", which completes it.
 *
 * A record is gone from the store before its session can be resumed: after a
 * kill nobody finds an old count.  Messages have their rows in the spool all
 * the while, so that a kill costs the session, not the messages.
 */
#include "im/sm_store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/csi.h"
#include "im/delivery_rules.h"
#include "im/message.h"
#include "im/presence.h"
#include "im/session_life.h"
#include "im/stream_management.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RECORD_MOST = 256 << 20, // bytes: an outbox with its stanzas
    PAGE = 100,              // records in memory at once at the start,
    PAGE_BYTES = 1 << 30,
};

bool sm_is_resumable(const struct session *session)
{
    return session->sm != NULL && session->sm->resumable && !session->ending;
}

/* ---- Writing ---- */

static void put(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "%s %zu\n", name, value.len);
    buf_add(out, value);
    buf_add_char(out, '\n');
}

static void put_number(struct buf *out, const char *name, int64_t number)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRId64, number);
    put(out, name, str_make(text, (size_t)len));
}

static void put_stanza(struct buf *out, const char *name, const struct stanza *stanza)
{
    struct buf text;
    buf_init(&text, RECORD_MOST);
    stanza_write(&text, stanza, STR_EMPTY, STR_EMPTY);
    out->overflowed = out->overflowed || text.overflowed;
    put(out, name, buf_str(&text));
    buf_done(&text);
}

static void put_out(struct buf *to, const struct out *out)
{
    if (out->archive_id != 0)
        put_number(to, "archive", (int64_t)out->archive_id);
    if (out->spool_id != 0)
        put_number(to, "spool", (int64_t)out->spool_id);
    if (out->spool_size != 0)
        put_number(to, "spool-size", (int64_t)out->spool_size);
    if (out->delay_us != 0)
        put_number(to, "delay", out->delay_us);
    if (out->at_us != 0)
        put_number(to, "at", out->at_us);
    if (out->fleeting)
        put_number(to, "fleeting", 1);
    if (out->to.len > 0)
        put(to, "to", out->to);
    if (out->stanza->lure_keys.len > 0)
        put(to, "lures", out->stanza->lure_keys);
    if (out->stanza->lures_from.len > 0)
        put(to, "lures-from", out->stanza->lures_from);
    if (out->stanza->calm)
        put_number(to, "calm", 1);
    if (out->stanza->takes_back)
        put_number(to, "takes-back", 1);
    put_stanza(to, "stanza", out->stanza);
}

static void put_directed(const struct jid *to, void *context)
{
    put(context, "directed", to->full);
}

// Wall time until which it may be resumed: the time the server is down counts.
static int64_t until_us(const struct session *session)
{
    const struct sm *sm = session->sm;
    int64_t away_us = session->client == NULL && timer_is_set(&sm->timer)
                          ? loop_now_us(session->home->loop) - sm->detached_us
                          : 0;
    return clock_wall_us() + sm->resume_us - away_us;
}

static void write_session(struct buf *out, struct session *session)
{
    const struct sm *sm = session->sm;
    put(out, "jid", session->jid.full);
    put(out, "id", str_of(sm->id));
    put_number(out, "received", sm->durable);
    put_number(out, "acked", sm->acked);
    put_number(out, "resume", sm->resume_us);
    put_number(out, "until", until_us(session));
    put_number(out, "started", session->started_us);
    put(out, "lang", session->lang);
    put_number(out, "names-lang", session->names_lang);
    put(out, "address", str_of(session->address));
    put_number(out, "wants-roster", session->wants_roster);
    put_number(out, "wants-blocks", session->wants_blocks);
    put_number(out, "wants-carbons", session->wants_carbons);
    if (session->available) {
        put_number(out, "priority", session->priority);
        put(out, "presence", packed_stanza_text(session->presence));
    }
    presence_each_directed(session, put_directed, out);
    size_t n = session->n_uncounted;
    put_number(out, "uncounted", (int64_t)n);
    LIST_EACH(&session->outbox, struct out, link, waiting)
    put_out(out, waiting);
}

struct keeping {
    struct store_record_put op;
    struct buf value;
    char id[sizeof((struct sm *)0)->id];
};

static void is_kept(struct store_request *request)
{
    struct keeping *keeping = CONTAINER_OF(request, struct keeping, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "session-not-kept", "error=%s", err_name(request->result));
    store_release(request);
    buf_done(&keeping->value);
    free(keeping);
}

void sm_keep(struct session *session)
{
    struct keeping *keeping = calloc(1, sizeof *keeping);
    must(keeping != NULL);
    csi_flush(session); // what waits for an active client is in the outbox then
    buf_init(&keeping->value, RECORD_MOST);
    write_session(&keeping->value, session);
    if (keeping->value.overflowed || session->ending) {
        buf_done(&keeping->value);
        free(keeping);
        session_end_with(session, STREAM_SYSTEM_SHUTDOWN, NULL);
        return;
    }
    memcpy(keeping->id, session->sm->id, sizeof keeping->id);
    keeping->op.kind = STORE_RESUMPTION;
    keeping->op.record.key = str_of(keeping->id);
    keeping->op.record.value = buf_str(&keeping->value);
    keeping->op.record.created_us = clock_wall_us();
    keeping->op.request.home = loop_mailbox(session->home->loop);
    keeping->op.request.done = is_kept;
    store_record_put(session->home->store, &keeping->op);
    session_drop(session);
}

/* ---- Reading ---- */

struct field {
    struct str name, value;
};

static bool next_field(struct str *rest, struct field *out)
{
    uint64_t len;
    if (rest->at == NULL || rest->len == 0)
        return false;
    struct str head = str_cut(rest, '\n');
    struct str name = str_cut(&head, ' ');
    if (rest->at == NULL || head.at == NULL || rest->len == 0 ||
        str_to_u64(head, 0, rest->len - 1, &len) != OK)
        return false;
    *out = (struct field){name, str_first(*rest, len)};
    *rest = str_skip(*rest, len + 1);
    return true;
}

static bool is(const struct field *field, const char *name)
{
    return str_eq(field->name, str_of(name));
}

static int64_t number_of(const struct field *field)
{
    struct str text = field->value;
    bool negative = text.len > 0 && text.at[0] == '-';
    uint64_t n;
    if (str_to_u64(negative ? str_skip(text, 1) : text, 0, INT64_MAX, &n) != OK)
        return 0;
    return negative ? -(int64_t)n : (int64_t)n;
}

static struct stanza *stanza_of(const struct field *field)
{
    struct stanza *stanza = stanza_parse(field->value);
    if (stanza != NULL)
        stanza_seal(stanza);
    return stanza;
}

// One record on its way to its home.
struct returning {
    struct mail mail;
    struct account_waiter waiter;
    struct home *home;
    struct arena arena;
    struct str value; // of the record
    struct jid jid;   // full
    struct jid bare;
};

static void returning_free(struct returning *returning)
{
    arena_done(&returning->arena);
    free(returning);
}

// What is known of the next stanza of the outbox.
struct pending {
    struct sending_out what;
    struct str lures, lures_from;
    bool calm, takes_back;
};

static void read_pending(struct pending *pending, const struct field *field)
{
    if (is(field, "archive"))
        pending->what.archive_id = (uint64_t)number_of(field);
    else if (is(field, "spool"))
        pending->what.spool_id = (uint64_t)number_of(field);
    else if (is(field, "at"))
        pending->what.at_us = number_of(field);
    else if (is(field, "spool-size"))
        pending->what.spool_size = (uint64_t)number_of(field);
    else if (is(field, "delay"))
        pending->what.delay_us = number_of(field);
    else if (is(field, "fleeting"))
        pending->what.fleeting = true;
    else if (is(field, "to"))
        pending->what.to = field->value;
    else if (is(field, "lures"))
        pending->lures = field->value;
    else if (is(field, "lures-from"))
        pending->lures_from = field->value;
    else if (is(field, "calm"))
        pending->calm = true;
    else if (is(field, "takes-back"))
        pending->takes_back = true;
}

static void read_flags(struct session *session, const struct field *field)
{
    if (is(field, "started"))
        session->started_us = number_of(field);
    else if (is(field, "address"))
        snprintf(session->address, sizeof session->address, "%.*s", STR_ARGS(field->value));
    else if (is(field, "lang"))
        session_set_lang(session, field->value, session->names_lang);
    else if (is(field, "names-lang"))
        session->names_lang = number_of(field) != 0;
    else if (is(field, "wants-roster"))
        session->wants_roster = number_of(field) != 0;
    else if (is(field, "wants-blocks"))
        session->wants_blocks = number_of(field) != 0;
    else if (is(field, "wants-carbons"))
        session->wants_carbons = number_of(field) != 0;
    else if (is(field, "priority"))
        session->priority = (int8_t)number_of(field);
    else if (is(field, "presence")) {
        struct stanza *presence = stanza_of(field);
        session->available = presence != NULL;
        if (presence != NULL)
            session->presence = stanza_pack(presence);
        stanza_unref(&presence);
    } else if (is(field, "directed")) {
        struct jid to = jid_of_prepared(field->value);
        presence_add_directed(session, &to);
    }
}

static struct sm *read_sm(struct str rest, int64_t *until, size_t *n_uncounted)
{
    struct sm *sm = calloc(1, sizeof *sm);
    struct field field;
    must(sm != NULL);
    sm->resumable = true;
    while (next_field(&rest, &field)) {
        if (is(&field, "id"))
            snprintf(sm->id, sizeof sm->id, "%.*s", STR_ARGS(field.value));
        else if (is(&field, "received"))
            sm->received = sm->durable = sm->said = (uint32_t)number_of(&field);
        else if (is(&field, "acked"))
            sm->acked = sm->sent = (uint32_t)number_of(&field);
        else if (is(&field, "resume"))
            sm->resume_us = number_of(&field);
        else if (is(&field, "until"))
            *until = number_of(&field);
        else if (is(&field, "uncounted"))
            *n_uncounted = (size_t)number_of(&field);
    }
    return sm;
}

// Its resource is taken or there is no room: what its client has not got goes on as when a session
// ends.
static void give_back(struct account *account, const struct pending *pending)
{
    if (pending->what.spool_id == 0 && !pending->what.fleeting &&
        pending->what.stanza->kind == STANZA_MESSAGE && message_is_keepable(pending->what.stanza))
        message_keep(account, pending->what.stanza, pending->what.at_us);
}

static void fill_outbox(struct account *account, struct session *session, struct sm *sm,
                        size_t n_uncounted, struct str rest)
{
    struct pending pending = {0};
    struct field field;
    size_t n = 0;
    if (session != NULL && n_uncounted == 0)
        session_sm_start(session, sm);
    while (next_field(&rest, &field)) {
        if (!is(&field, "stanza")) {
            read_pending(&pending, &field);
            continue;
        }
        struct stanza *stanza = stanza_of(&field);
        if (stanza != NULL) {
            stanza->calm = pending.calm;
            stanza->takes_back = pending.takes_back;
            stanza->arena.ceiling += pending.lures.len + pending.lures_from.len + 2;
            stanza->lure_keys = arena_str(&stanza->arena, pending.lures);
            stanza->lures_from = arena_str(&stanza->arena, pending.lures_from);
            pending.what.stanza = stanza;
            if (session == NULL || session_send(session, &pending.what) != OK)
                give_back(account, &pending);
            stanza_unref(&stanza);
        }
        if (session != NULL && ++n == n_uncounted)
            session_sm_start(session, sm);
        pending = (struct pending){0};
    }
    if (session != NULL && session->sm == NULL)
        session_sm_start(session, sm);
}

static void rebuild(struct account *account, const struct returning *returning)
{
    struct session *session = NULL;
    struct str rest = returning->value;
    struct field field;
    int64_t until = 0;
    size_t n_uncounted = 0;
    struct sm *sm = read_sm(rest, &until, &n_uncounted);
    if (session_by_resource(account, returning->jid.resource) == NULL)
        session = session_begin(account, returning->jid.resource, STR_EMPTY);
    fill_outbox(account, session, sm, n_uncounted, rest);
    if (session == NULL) {
        free(sm);
        return;
    }
    while (next_field(&rest, &field))
        read_flags(session, &field);
    int64_t left_us = until - clock_wall_us();
    sm_wait_for(session, left_us > 0 ? left_us : 0);
}

static void account_is_there(struct account_waiter *waiter, struct account *account)
{
    struct returning *returning = CONTAINER_OF(waiter, struct returning, waiter);
    if (account->state == ACCOUNT_READY)
        rebuild(account, returning);
    else
        session_log(LOG_NOTICE, "session-dropped", returning->jid.full);
    returning_free(returning);
}

static void at_home(struct mail *mail)
{
    struct returning *returning = CONTAINER_OF(mail, struct returning, mail);
    returning->waiter.run = account_is_there;
    account_want(returning->home, &returning->bare, &returning->waiter);
}

static void send_home(struct service *service, const struct store_record *record)
{
    struct returning *returning = calloc(1, sizeof *returning);
    must(returning != NULL);
    arena_init(&returning->arena, RECORD_MOST + (64 << 10));
    returning->value = arena_str(&returning->arena, record->value);
    struct str rest = returning->value;
    struct field field;
    if (!next_field(&rest, &field) || !is(&field, "jid")) {
        log_event(LOG_ERROR, "session-unreadable", NULL);
        returning_free(returning);
        return;
    }
    returning->jid = jid_of_prepared(field.value);
    returning->bare = jid_bare_of(&returning->jid);
    returning->home = home_of(&service->homes, returning->bare.full);
    returning->mail.run = at_home;
    loop_post(returning->home->loop, &returning->mail);
}

// All at once, so that they share commits.
static enum err remove_all(struct store *store, const struct store_record_list *page)
{
    struct store_record_remove *ops = calloc(page->n + 1, sizeof *ops);
    enum err e = OK;
    must(ops != NULL);
    for (uint32_t i = 0; i < page->n; i++) {
        ops[i].kind = STORE_RESUMPTION;
        ops[i].key = page->records[i].key;
        store_record_remove(store, &ops[i]);
    }
    for (uint32_t i = 0; i < page->n; i++) {
        enum err one = store_wait(&ops[i].request);
        if (one != OK)
            e = one;
        store_release(&ops[i].request);
    }
    free(ops);
    return e;
}

enum err sm_bring_back(struct service *service, struct why *why)
{
    size_t n = 0;
    for (;;) {
        struct store_record_list page = {.kind = STORE_RESUMPTION, .most = PAGE};
        page.request.results_most = PAGE_BYTES;
        store_record_list(service->store, &page);
        enum err e = store_wait(&page.request);
        if (e == OK)
            e = remove_all(service->store, &page);
        if (e != OK) {
            store_release(&page.request);
            return why_say(why, e, "the sessions of the last run could not be read: %s",
                           err_name(e));
        }
        for (uint32_t i = 0; i < page.n; i++)
            send_home(service, &page.records[i]);
        n += page.n;
        bool more = page.more;
        store_release(&page.request);
        if (!more)
            break;
    }
    if (n > 0)
        log_event(LOG_NOTICE, "sessions-brought-back", "sessions=%zu", n);
    return OK;
}
