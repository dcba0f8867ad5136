/*
 * The glue between a connection (net), a stream (xmpp) and a session (route).
 *
 * While anything asynchronous is under way for a client (a lookup, a password,
 * a bind, a delay), its n_asked keeps the struct alive even when the
 * connection ends; the answer then finds conn == NULL and only lets go.
 */
#include "im/client_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/intake.h"
#include "im/limits.h"
#include "im/registration.h"
#include "im/send.h"
#include "im/session_life.h"
#include "im/stream_management.h"
#include "net/tls.h"
#include "store/store.h"
#include "xml/element.h"
#include "xmpp/stream_header.h"

#include <stdlib.h>
#include <string.h>

enum { MAGIC_CLIENT = 0x436C6E74 };

static void watch_silence(struct timer *timer);

static const struct stream_host host_calls;
static const struct conn_events conn_calls;
static const struct session_client session_calls;

struct str client_address(const struct client *client, char text[ADDR_TEXT_SIZE])
{
    return addr_text(conn_peer(client->conn), text);
}

void client_awaits(struct client *client)
{
    client->n_asked++;
}

static void client_free(struct client *client)
{
    must(client->magic == MAGIC_CLIENT && client->session == NULL);
    client->magic = 0;
    list_leave(&client->in_desk);
    loop_timer_cancel(&client->timer);
    loop_timer_cancel(&client->rate_timer);
    loop_chore_cancel(&client->turn);
    loop_chore_cancel(&client->flushed);
    stream_free(&client->stream);
    client_entered(client);
    free(client);
}

bool client_hears(struct client *client)
{
    must(client->n_asked > 0);
    client->n_asked--;
    if (client->conn != NULL)
        return true;
    if (client->n_asked == 0)
        client_free(client);
    return false;
}

void client_feed_again(struct client *client)
{
    if (client->conn != NULL && !conn_is_closing(client->conn) && stream_wants(client->stream))
        conn_resume(client->conn);
}

/* ---- The session's side ---- */

static bool takes_more(const struct client *client)
{
    return client->conn != NULL && !conn_is_closing(client->conn) && stream_is_open(client->stream);
}

static void write_bytes(void *context, struct str bytes)
{
    struct client *client = context;
    if (takes_more(client)) // else it is ending: what it misses is still in the outbox
        conn_write(client->conn, bytes);
}

static uint64_t given(void *context)
{
    struct client *client = context;
    return takes_more(client) ? conn_accepted(client->conn) : UINT64_MAX;
}

static uint64_t written(void *context)
{
    struct client *client = context;
    return client->conn != NULL ? conn_written(client->conn) : 0;
}

static void after_flush(struct chore *chore)
{
    struct client *client = CONTAINER_OF(chore, struct client, flushed);
    if (client->session != NULL)
        session_written(client->session);
}

static void turn_ends(struct chore *chore)
{
    struct client *client = CONTAINER_OF(chore, struct client, turn);
    if (client->session == NULL)
        return;
    session_turn_end(client->session);
    if (client->session->sm == NULL)
        loop_at_end(client->desk->home->loop, TURN_FLUSH, &client->flushed);
}

static void wants_flush(void *context)
{
    struct client *client = context;
    loop_at_end(client->desk->home->loop, TURN_GATHER, &client->turn);
}

static void pause_reading(void *context)
{
    struct client *client = context;
    stream_pause(client->stream);
}

static void resume_reading(void *context)
{
    struct client *client = context;
    stream_unpause(client->stream);
    client_feed_again(client);
}

static void kick(void *context, struct str condition, struct str text)
{
    struct client *client = context;
    enum stream_condition c;
    if (stream_condition_of(condition, &c) != OK)
        c = STREAM_UNDEFINED_CONDITION;
    client_end(client, c, text.at);
}

static const struct session_client session_calls = {
    .write = write_bytes,
    .given = given,
    .written = written,
    .wants_flush = wants_flush,
    .pause = pause_reading,
    .resume = resume_reading,
    .kick = kick,
};

void client_attach(struct client *client, struct session *session)
{
    must(client->session == NULL && session->client == NULL);
    client->session = session;
    session->client_calls = &session_calls;
    session->client = client;
    client_address(client, session->address);
    if (session->pauses > 0) // the session counts; its stream is paused once
        stream_pause(client->stream);
}

void client_detach(struct client *client)
{
    struct session *session = TAKE(client->session);
    if (session == NULL)
        return;
    session->client = NULL;
    if (session->pauses > 0)
        stream_unpause(client->stream);
}

struct desk *client_desk(const struct client *client)
{
    return client->desk;
}

struct session *client_session(const struct client *client)
{
    return client->session;
}

struct stream *client_stream(const struct client *client)
{
    return client->stream;
}

uint64_t client_conn(const struct client *client)
{
    return client->conn != NULL ? conn_id(client->conn) : 0;
}

bool client_is_gone(const struct client *client)
{
    return client->conn == NULL;
}

void client_send(struct client *client, struct str bytes)
{
    if (client->conn != NULL)
        conn_write(client->conn, bytes);
}

void client_resumed(struct client *client)
{
    if (client_hears(client)) {
        if (client->session != NULL) {
            client_begins(client);
        }
        client_feed_again(client);
        wants_flush(client);
    }
}

void client_wait(struct client *client)
{
    client_awaits(client);
    stream_pause(client->stream);
}

bool client_answer(struct client *client, struct str bytes)
{
    if (!client_hears(client))
        return false;
    client_send(client, bytes);
    stream_unpause(client->stream);
    client_feed_again(client);
    return true;
}

const struct addr *client_peer(const struct client *client)
{
    return conn_peer(client->conn);
}

// The client's connection is over: its session waits for another one, or ends.
static void let_go(struct client *client)
{
    struct session *session = client->session;
    if (session == NULL)
        return;
    client_detach(client);
    if (session->ending)
        return; // who ends it goes on
    if (session->sm != NULL && session->sm->resumable && !client->polite)
        sm_wait(session);
    else
        session_end(session);
}

void client_end(struct client *client, enum stream_condition condition, const char *text)
{
    client->polite = true;
    stream_fail(client->stream, condition, text);
    let_go(client);
}

/* ---- The stream's side ---- */

static void host_send(void *host, struct str bytes)
{
    struct client *client = host;
    if (client->conn != NULL)
        conn_write(client->conn, bytes);
}

static unsigned bindings_of(const struct conn *conn)
{
    unsigned bindings = 0;
    const struct tls *tls = conn_tls(conn);
    if (tls == NULL)
        return 0;
    if (tls_can_bind(tls, TLS_EXPORTER))
        bindings |= 1U << BINDING_TLS_EXPORTER;
    if (tls_can_bind(tls, TLS_SERVER_END_POINT))
        bindings |= 1U << BINDING_TLS_SERVER_END_POINT;
    if (tls_can_bind(tls, TLS_UNIQUE))
        bindings |= 1U << BINDING_TLS_UNIQUE;
    return bindings;
}

static void host_start_tls(void *host)
{
    struct client *client = host;
    struct tls_config *config = worker_tls(conn_worker(client->conn));
    conn_discard_unread(client->conn); // RFC 6120 5.4.3.3: nothing from before TLS counts
    if (config == NULL)
        conn_abort(client->conn);
    else
        conn_start_tls(client->conn, config, stream_domain_name(client->stream));
}

static size_t host_binding(void *host, enum channel_binding binding,
                           unsigned char out[CHANNEL_BINDING_MOST])
{
    struct client *client = host;
    const struct tls *tls = conn_tls(client->conn);
    _Static_assert((int)TLS_BINDING_MOST <= (int)CHANNEL_BINDING_MOST, "room for any binding");
    size_t len;
    static const enum tls_binding kinds[] = {
        [BINDING_TLS_EXPORTER] = TLS_EXPORTER,
        [BINDING_TLS_SERVER_END_POINT] = TLS_SERVER_END_POINT,
        [BINDING_TLS_UNIQUE] = TLS_UNIQUE,
    };
    return tls != NULL && tls_bind(tls, kinds[binding], out, &len) == OK ? len : 0;
}

static const struct stream_domain *host_domain(void *host, struct str name)
{
    struct client *client = host;
    const struct im_domain *domain = desk_domain(client->desk, name);
    return domain != NULL ? &domain->stream : NULL;
}

static void not_in_time(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    if (client->stream == NULL)
        conn_abort(client->conn);
    else
        stream_fail(client->stream, STREAM_CONNECTION_TIMEOUT, "login takes too long");
}

// Who says nothing for long is asked; who does not answer is gone.
static void watch_silence(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    struct desk *desk = client->desk;
    const struct im_settings *settings = desk->settings;
    int64_t now_us = loop_now_us(desk->home->loop), heard_us = conn_heard_us(client->conn);
    int64_t silent_us = now_us - heard_us;
    int64_t next_us;
    if (heard_us > client->asked_us) // whatever it says is an answer, however long ago
        client->asked_alive = false;
    if (settings->idle_us == 0) {
        next_us = 60 * SECOND_US; // a reload may turn it on
    } else if (silent_us < settings->idle_us) {
        next_us = settings->idle_us - silent_us;
    } else if (!client->asked_alive) {
        client->asked_alive = true;
        client->asked_us = now_us;
        next_us = settings->answer_us;
        sm_ask_alive(client);
    } else {
        struct jid who = {.full = STR_EMPTY};
        (void)stream_jid(client->stream, &who);
        char address[ADDR_TEXT_SIZE];
        log_event(LOG_INFO, "client-silent", "conn=%llu account=%.*s address=%s",
                  (unsigned long long)conn_id(client->conn), STR_ARGS(jid_bare(&who)),
                  client_address(client, address).at);
        const struct session *session = client->session;
        // RFC 6120 4.9.3.4; but what ends with an error cannot be resumed, what is cut can
        if (session != NULL && session->sm != NULL && session->sm->resumable)
            conn_abort(client->conn);
        else
            stream_fail(client->stream, STREAM_CONNECTION_TIMEOUT, "nothing was heard any more");
        return;
    }
    loop_timer_set(desk->home->loop, &client->timer, next_us, watch_silence);
}

void client_begins(struct client *client)
{
    client_entered(client);
    loop_timer_set(client->desk->home->loop, &client->timer, SECOND_US, watch_silence);
}

void client_go_on(struct client *client)
{
    stream_continue(client->stream, &client->desk->policy, &host_calls, client);
    client_feed_again(client);
}

// Its account lives on another worker.
void client_move(struct client *client, struct home *home)
{
    client->moving = true;
    loop_timer_cancel(&client->timer);
    loop_timer_cancel(&client->rate_timer);
    loop_chore_cancel(&client->turn);
    loop_chore_cancel(&client->flushed);
    list_leave(&client->in_desk);
    client->desk = desk_of(home);
    conn_move(client->conn, home->worker);
}

static void moved(struct conn *conn)
{
    struct client *client = conn_owner(conn);
    client->moving = false;
    list_add_last(&client->desk->clients, &client->in_desk);
    loop_timer_set(client->desk->home->loop, &client->timer,
                   client->desk->settings->unauthenticated_us, not_in_time);
    client_go_on(client);
}

static void host_resume(void *host, const struct element *resume)
{
    struct client *client = host;
    client_awaits(client);
    sm_resume(client, resume); // ends in client_resumed
}

static void host_registration(void *host, const struct element *iq)
{
    registration_of_stranger(host, iq);
}

static void rate_again(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, rate_timer);
    if (store_is_busy(client->desk->service->store)) {
        loop_timer_set(client->desk->home->loop, timer, SECOND_US / 10, rate_again);
        return;
    }
    client->rate_paused = false;
    stream_unpause(client->stream);
    client_feed_again(client);
}

// A bucket of stanzas: whoever empties it waits until a tenth of a second's worth is back.  So does
// everybody while the store has more in hand than it can write.
static void count_stanza(struct client *client)
{
    const struct im_settings *settings = client->desk->settings;
    int64_t now_us = loop_now_us(client->desk->home->loop);
    int64_t most = (int64_t)settings->stanzas_burst, passed_us = now_us - client->tokens_at_us;
    if (passed_us > SECOND_US * 3600) // longer silence brings no more, and must not overflow
        passed_us = SECOND_US * 3600;
    int64_t refill = passed_us * (int64_t)settings->stanzas_per_s / SECOND_US;
    if (refill > 0) {
        client->tokens_at_us = now_us;
        client->tokens =
            (uint32_t)(client->tokens + refill > most ? most : client->tokens + refill);
    }
    if (client->tokens > 0)
        client->tokens--;
    if (client->rate_paused || (client->tokens > 0 && !store_is_busy(client->desk->service->store)))
        return;
    client->rate_paused = true;
    stream_pause(client->stream);
    loop_timer_set(client->desk->home->loop, &client->rate_timer, SECOND_US / 10, rate_again);
}

static void host_element(void *host, enum stream_element kind, struct arena *arena,
                         struct element *root, size_t size)
{
    struct client *client = host;
    struct session *session = client->session;
    count_stanza(client);
    if (kind == STREAM_SM) {
        sm_element(client, root);
        return;
    }
    if (session == NULL)
        return;
    if (kind == STREAM_CSI) {
        intake_csi(session, root);
        return;
    }
    struct str from = element_attr(root, STR("from"));
    if (from.at != NULL && !stream_from_fits(client->stream, from)) {
        stream_fail(client->stream, STREAM_INVALID_FROM, NULL);
        return;
    }
    intake_stanza(session, arena, root);
    (void)size;
}

static void host_ending(void *host)
{
    struct client *client = host;
    client->polite = true;
    if (client->session != NULL)
        sm_last_words(client);
    stream_close(client->stream, NULL);
}

// The limit behind the tokenizer's words; NULL: none of the configuration.
static const char *limit_of(const struct client *client, struct str words)
{
    static const struct {
        struct str words;
        const char *key;
    } known[] = {
        {STR("nested too deep"),     "limits.depth"     },
        {STR("too many attributes"), "limits.attributes"},
        {STR("too many elements"),   "limits.elements"  },
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_eq(words, known[i].words))
            return known[i].key;
    if (str_eq(words, STR("login takes too long")))
        return "limits.unauthenticated_time";
    if (!str_eq(words, STR("too large")))
        return NULL;
    struct jid who;
    return stream_jid(client->stream, &who) ? "limits.stanza_bytes" : "limits.preauth_stanza_bytes";
}

static void log_limit(const struct client *client, const char *key)
{
    struct jid who;
    if (stream_jid(client->stream, &who))
        limit_reached(client->desk->home, jid_bare(&who), key);
    else
        limit_reached_by(client->desk->home, conn_peer(client->conn), key);
}

// Whose stream it was is known from the login on.
static struct str host_words(void *host, struct arena *arena, const char *words, struct str *lang)
{
    const struct client *client = host;
    *lang = STR("en");
    if (client->desk == NULL) // on its way to another worker
        return str_of(words);
    struct stanza_error said = {.text = STR_EMPTY};
    send_words(client->desk->home, arena, stream_lang(client->stream),
               stream_domain_name(client->stream), words, NULL, &said);
    *lang = said.lang;
    return said.text;
}

static void log_stream_error(const struct client *client, const struct stream_error *error)
{
    struct jid who = {.full = STR_EMPTY};
    (void)stream_jid(client->stream, &who);
    char address[ADDR_TEXT_SIZE];
    struct arena arena;
    arena_init(&arena, 16384);
    log_event(LOG_INFO, "stream-error", "conn=%llu account=%.*s address=%s condition=%s why=%.*s",
              (unsigned long long)client_conn(client), STR_ARGS(log_quote(&arena, jid_bare(&who))),
              client_address(client, address).at, stream_condition_name(error->condition),
              STR_ARGS(log_quote(&arena, error->text.at != NULL ? error->text : STR_EMPTY)));
    arena_done(&arena);
}

static void host_closed(void *host, enum stream_end end, const struct stream_error *error)
{
    struct client *client = host;
    if (error != NULL) {
        const char *limit = limit_of(client, error->text);
        if (limit != NULL)
            log_limit(client, limit);
        log_stream_error(client, error);
    }
    // a stream that was closed by its rules is not resumed (XEP-0198 5); one that broke may be
    if (end != STREAM_ENDED_BY_ERROR)
        client->polite = true;
    if (client->conn != NULL)
        conn_close(client->conn);
}

static const struct stream_host host_calls = {
    .send = host_send,
    .start_tls = host_start_tls,
    .binding = host_binding,
    .domain = host_domain,
    .find_credentials = client_find_credentials,
    .check_password = client_check_password,
    .login_failed = client_login_failed,
    .authenticated = client_authenticated,
    .bind = client_bind,
    .resume = host_resume,
    .registration = host_registration,
    .element = host_element,
    .words = host_words,
    .ending = host_ending,
    .closed = host_closed,
};

/* ---- The connection's side ---- */

void client_farewell(struct buf *out, enum listener_refusal refusal)
{
    static const char *const words[] = {
        [REFUSED_FULL] = "This server has too many connections. Try again later.",
        [REFUSED_ADDRESS] = "There are too many connections from your address.",
        [REFUSED_RATE] = "Too many connections come from your address at once. Try again later.",
    };
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    // RFC 6120 4.9.1.2: an error before the stream has begun comes after a header all the same
    const struct stream_header header = {
        .content_namespace = NS_CLIENT, .id = str_of(id), .lang = STR("en")};
    const struct stream_error error = {
        // RFC 6120 4.9.3.17, 4.9.3.14
        .condition = refusal == REFUSED_FULL ? STREAM_RESOURCE_CONSTRAINT : STREAM_POLICY_VIOLATION,
        .text = str_of(words[refusal]),
        .lang = STR("en"),
    };
    stream_header_write(out, &header);
    stream_error_write(out, &error);
    buf_add(out, STR("</stream:stream>"));
}

static size_t on_bytes(struct conn *conn, struct str bytes)
{
    struct client *client = conn_owner(conn);
    size_t used = stream_read(client->stream, bytes);
    if (used < bytes.len && !client->moving && !conn_is_closing(conn))
        conn_pause(conn);
    if (client->desk != NULL && !client->moving)
        stream_rest(client->stream);
    return used;
}

static void on_secured(struct conn *conn)
{
    struct client *client = conn_owner(conn);
    if (client->stream == NULL)
        client->stream =
            stream_new(&client->desk->policy, &host_calls, client, true, bindings_of(conn));
    else
        stream_secured(client->stream, bindings_of(conn));
}

static void on_drained(struct conn *conn)
{
    struct client *client = conn_owner(conn);
    if (client->session != NULL)
        session_written(client->session);
}

static void on_closed(struct conn *conn, enum conn_end end)
{
    struct client *client = conn_owner(conn);
    if (log_wants(LOG_DEBUG)) {
        char address[ADDR_TEXT_SIZE];
        log_event(LOG_DEBUG, "conn-closed", "conn=%llu address=%s why=%s detail=\"%s\"",
                  (unsigned long long)conn_id(conn), client_address(client, address).at,
                  conn_end_name(end), conn_end_detail(conn));
    }
    if (client->session != NULL)
        session_written(client->session);
    client->conn = NULL;
    let_go(client);
    loop_timer_cancel(&client->timer);
    loop_timer_cancel(&client->rate_timer);
    list_leave(&client->in_desk);
    if (client_forgets_refusal(client)) // nobody waits for that answer any more
        client->n_asked--;
    if (client->n_asked == 0)
        client_free(client);
}

static const struct conn_events conn_calls = {
    .on_bytes = on_bytes,
    .on_secured = on_secured,
    .on_drained = on_drained,
    .on_moved = moved,
    .on_closed = on_closed,
};

void client_arrived(struct worker *worker, struct arrival *arrival, void *context)
{
    (void)context;
    struct desk *desk = worker_data(worker);
    int kind = arrival->kind;
    struct tls_config *tls = worker_tls(worker);
    if (kind == DOOR_DIRECT_TLS && tls == NULL) {
        arrival_refuse(arrival);
        return;
    }
    struct client *client = calloc(1, sizeof *client);
    must(client != NULL);
    client->magic = MAGIC_CLIENT;
    client->desk = desk;
    client->turn.run = turn_ends;
    client->flushed.run = after_flush;
    client->tokens = desk->settings->stanzas_burst;
    client->tokens_at_us = loop_now_us(desk->home->loop);
    client->conn = conn_accept(arrival, &conn_calls, client, &desk->settings->conn);
    list_add_last(&desk->clients, &client->in_desk);
    loop_timer_set(desk->home->loop, &client->timer, desk->settings->unauthenticated_us,
                   not_in_time);
    if (kind == DOOR_DIRECT_TLS) // the stream begins when TLS stands
        conn_start_tls(client->conn, tls, STR_EMPTY);
    else
        client->stream = stream_new(&desk->policy, &host_calls, client, false, 0);
}

void clients_shut_down(struct desk *desk)
{
    LIST_EACH(&desk->clients, struct client, in_desk, client)
    {
        if (client->stream == NULL)
            conn_close(client->conn);
        else
            stream_fail(client->stream, STREAM_SYSTEM_SHUTDOWN, NULL);
    }
}
