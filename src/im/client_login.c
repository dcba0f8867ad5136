/*
 * Logging in: credentials, passwords, failures and their delays, the way to the account's home, and
 * the session that is bound there.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/activity.h"
#include "im/client_internal.h"
#include "im/send.h"
#include "im/session_life.h"
#include "im/slowdown.h"
#include "net/tls.h"
#include "route/own.h"
#include "store/store.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_TEXT_MOST = 4096 }; // bytes, as it comes

struct entering {
    struct client *client;
    struct timer slow_timer;      // a failed login's delay
    struct account_waiter waiter; // for the bind
    struct str wished;            // resource; own memory
};

static struct entering *entering_of(struct client *client)
{
    if (client->entering == NULL) {
        client->entering = calloc(1, sizeof *client->entering);
        must(client->entering != NULL);
        client->entering->client = client;
    }
    return client->entering;
}

void client_entered(struct client *client)
{
    struct entering *entering = TAKE(client->entering);
    if (entering == NULL)
        return;
    loop_timer_cancel(&entering->slow_timer);
    own_str_free(&entering->wished);
    free(entering);
}

bool client_forgets_refusal(struct client *client)
{
    if (client->entering == NULL || !timer_is_set(&client->entering->slow_timer))
        return false;
    loop_timer_cancel(&client->entering->slow_timer);
    return true;
}

/* ---- Credentials ---- */

struct finding {
    struct client *client;
    struct store_account_find op;
    struct str text; // of local and domain
};

static bool copy_keys(const struct store_keys *from, enum scram_hash hash, struct scram_keys *to)
{
    if (from->iterations == 0 || from->salt.len > sizeof to->salt ||
        from->stored_key.len != scram_key_size(hash) ||
        from->server_key.len != scram_key_size(hash))
        return false;
    to->iterations = from->iterations;
    to->salt_size = (uint8_t)from->salt.len;
    memcpy(to->salt, from->salt.at, from->salt.len);
    memcpy(to->stored_key, from->stored_key.at, from->stored_key.len);
    memcpy(to->server_key, from->server_key.at, from->server_key.len);
    return true;
}

static void found(struct store_request *request)
{
    struct finding *finding = CONTAINER_OF(request, struct finding, op.request);
    struct client *client = finding->client;
    struct credentials credentials = {.disabled = finding->op.account.disabled};
    enum lookup lookup = LOOKUP_FAILED;
    if (request->result == ERR_MISSING)
        lookup = LOOKUP_UNKNOWN;
    if (request->result == OK) {
        bool sha1 =
            copy_keys(&finding->op.keys[STORE_SHA1], SCRAM_SHA_1, &credentials.keys[SCRAM_SHA_1]);
        bool sha256 = copy_keys(&finding->op.keys[STORE_SHA256], SCRAM_SHA_256,
                                &credentials.keys[SCRAM_SHA_256]);
        lookup = sha1 || sha256 ? LOOKUP_FOUND : LOOKUP_UNKNOWN;
    }
    store_release(request);
    free((char *)finding->text.at);
    free(finding);
    if (client_hears(client)) {
        stream_credentials(client->stream, lookup, lookup == LOOKUP_FOUND ? &credentials : NULL);
        client_feed_again(client);
    }
    sodium_memzero(&credentials, sizeof credentials);
}

void client_find_credentials(void *host, struct str local, struct str domain)
{
    struct client *client = host;
    struct finding *finding = calloc(1, sizeof *finding);
    char *text = malloc(local.len + domain.len + 1);
    must(finding != NULL && text != NULL);
    memcpy(text, local.at, local.len);
    memcpy(text + local.len, domain.at, domain.len);
    finding->client = client;
    finding->text = str_make(text, local.len + domain.len);
    finding->op.local = str_make(text, local.len);
    finding->op.domain = str_make(text + local.len, domain.len);
    finding->op.request.home = loop_mailbox(client->desk->home->loop);
    finding->op.request.done = found;
    client_awaits(client);
    store_account_find(client->desk->service->store, &finding->op);
}

/* ---- Passwords ---- */

// A password on its way through the kitchen; wiped afterwards.
struct checking {
    struct job job;
    struct client *client;
    const struct scram_crypto *crypto;
    struct credentials credentials;
    bool fits;
    size_t len;
    char password[PASSWORD_TEXT_MOST];
};

static void check_in_kitchen(struct job *job)
{
    struct checking *checking = CONTAINER_OF(job, struct checking, job);
    checking->fits = scram_password_fits(checking->crypto, &checking->credentials,
                                         str_make(checking->password, checking->len));
}

static void checked(struct job *job)
{
    struct checking *checking = CONTAINER_OF(job, struct checking, job);
    struct client *client = checking->client;
    bool fits = checking->fits;
    sodium_memzero(checking, sizeof *checking);
    free(checking);
    if (client_hears(client)) {
        stream_password_checked(client->stream, fits ? OK : ERR_DENIED);
        client_feed_again(client);
    }
}

void client_check_password(void *host, const struct credentials *credentials, struct str password)
{
    struct client *client = host;
    struct checking *checking = calloc(1, sizeof *checking);
    must(checking != NULL);
    if (password.len > sizeof checking->password) {
        free(checking);
        stream_password_checked(client->stream, ERR_DENIED);
        return;
    }
    checking->client = client;
    checking->crypto = client->desk->service->crypto;
    checking->credentials = *credentials;
    checking->len = password.len;
    memcpy(checking->password, password.at, password.len);
    checking->job.run = check_in_kitchen;
    checking->job.done = checked;
    if (kitchen_order(client->desk->service->kitchen, &checking->job, client->desk->home->loop) !=
        OK) {
        sodium_memzero(checking, sizeof *checking);
        free(checking);
        stream_password_checked(client->stream, ERR_BUSY);
        return;
    }
    client_awaits(client);
}

/* ---- Failure ---- */

static void refuse_now(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct entering, slow_timer)->client;
    if (client_hears(client)) {
        stream_refuse(client->stream);
        client_feed_again(client);
    }
}

void client_login_failed(void *host, struct str local, struct str domain, enum sasl_failure failure,
                         const char *detail)
{
    struct client *client = host;
    struct desk *desk = client->desk;
    struct arena arena;
    char address[ADDR_TEXT_SIZE];
    arena_init(&arena, 16384);
    desk->counters.failed_logins++;
    struct str account = STR_EMPTY;
    if (local.len > 0)
        account = arena_printf(&arena, "%.*s@%.*s", STR_ARGS(local), STR_ARGS(domain));
    log_event(LOG_NOTICE, "login-failed",
              "conn=%llu account=%.*s address=%s reason=%s detail=\"%s\"",
              (unsigned long long)conn_id(client->conn), STR_ARGS(log_quote(&arena, account)),
              client_address(client, address).at, sasl_failure_name(failure), detail);
    int64_t delay_us = 0;
    if (failure == SASL_NOT_AUTHORIZED)
        delay_us = slowdown_failed(desk->service->slowdown, desk->settings, conn_peer(client->conn),
                                   account, clock_now_us());
    arena_done(&arena);
    if (delay_us == 0) {
        stream_refuse(client->stream);
        return;
    }
    client_awaits(client);
    loop_timer_set(desk->home->loop, &entering_of(client)->slow_timer, delay_us, refuse_now);
}

/* ---- Success ---- */

void client_authenticated(void *host, const struct jid *bare, enum sasl_mechanism mechanism)
{
    struct client *client = host;
    struct desk *desk = client->desk;
    char address[ADDR_TEXT_SIZE];
    desk->counters.logins++;
    slowdown_succeeded(desk->service->slowdown, conn_peer(client->conn), bare->full);
    log_event(LOG_INFO, "login", "conn=%llu account=%.*s address=%s mechanism=%s tls=%s",
              (unsigned long long)conn_id(client->conn), STR_ARGS(bare->full),
              client_address(client, address).at, sasl_mechanism_name(mechanism),
              conn_tls(client->conn) != NULL ? tls_version(conn_tls(client->conn)) : "none");
    struct home *home = home_of(&desk->service->homes, bare->full);
    if (home == desk->home)
        client_go_on(client);
    else
        client_move(client, home);
}

static void bind_now(struct account_waiter *waiter, struct account *account)
{
    struct client *client = CONTAINER_OF(waiter, struct entering, waiter)->client;
    if (!client_hears(client))
        return;
    struct stanza_error error = {.condition = STANZA_INTERNAL_SERVER_ERROR, .type = STANZA_WAIT};
    const char *words = "The account could not be read; try again later.";
    if (account->state == ACCOUNT_ABSENT) {
        error = (struct stanza_error){.condition = STANZA_NOT_ALLOWED};
        words = NULL;
    }
    struct session *session = NULL;
    if (account->state == ACCOUNT_READY) {
        char random[RANDOM_ID_SIZE + 1];
        random_id_z(random);
        struct str wished = client->entering->wished;
        struct str resource = wished.len > 0 ? wished : str_of(random);
        session = session_begin(account, resource, stream_lang(client->stream));
        error = (struct stanza_error){.condition = STANZA_RESOURCE_CONSTRAINT, .type = STANZA_WAIT};
        words = "This account has too many sessions.";
    }
    if (session == NULL) {
        struct arena arena;
        arena_init(&arena, 65536);
        send_words(account->home, &arena, stream_lang(client->stream), account->jid.domain, words,
                   NULL, &error);
        stream_not_bound(client->stream, &error);
        arena_done(&arena);
        client_feed_again(client);
        return;
    }
    client_attach(client, session);
    struct arena arena;
    arena_init(&arena, (size_t)8 * JID_MOST);
    log_event(LOG_INFO, "session-began", "conn=%llu session=%.*s",
              (unsigned long long)conn_id(client->conn),
              STR_ARGS(log_quote(&arena, session->jid.full)));
    arena_done(&arena);
    activity_login(account);
    client_begins(client);
    stream_bound(client->stream, session->jid.resource);
    client_feed_again(client);
}

void client_bind(void *host, struct str wished)
{
    struct client *client = host;
    struct jid bare;
    must(stream_jid(client->stream, &bare));
    struct entering *entering = entering_of(client);
    own_str_free(&entering->wished);
    entering->wished = own_str(wished);
    entering->waiter.run = bind_now;
    client_awaits(client);
    account_want(client->desk->home, &bare, &entering->waiter);
}
