/*
 * import and export: XEP-0227 files through the control socket.
 *
 * An import is a pipeline of batches.  Users are parsed into a batch as bytes
 * come; a full batch has its passwords derived (few at a time, so that people who
 * log in meanwhile do not wait) and is committed as one, messages included: an
 * account that exists has all that its file said, so an import that broke off is
 * simply repeated.  A few batches may be under way; beyond, the socket is not read.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/must.h"
#include "daemon/portable.h"
#include "xmpp/jid.h"
#include "xmpp/scram.h"

#include <stdlib.h>

enum {
    BATCH_USERS = 200,
    BATCH_BYTES = 8 << 20, // of parsed users; one user may be larger
    BATCH_ARENA = BATCH_BYTES + 3 * PORTABLE_USER_MOST,
    BATCHES_MOST = 4,
    DERIVE_MOST = 8, // passwords in one job
    PROBLEMS_MOST = 20,
};

struct import {
    struct command_call *call;
    struct daemon *daemon;
    struct portable_reader reader;
    struct batch *current; // being filled
    size_t n_under_way;
    bool over;      // no more bytes will be read
    bool ended;     // the document was complete
    enum err fault; // why it stopped early
    struct why why;
    uint64_t n_users, n_made, n_existing, n_skipped, n_ignored, n_messages, n_keyless;
    json_t *problems;
};

struct batch {
    struct import *import;
    struct arena arena;
    struct portable_user users[BATCH_USERS];
    size_t n;
    struct store_import rows[BATCH_USERS];
    struct store_account_import op;
    struct job job;
    struct credentials derived[DERIVE_MOST];
    enum err results[DERIVE_MOST];
    size_t at[DERIVE_MOST], n_deriving;
    size_t next;                  // user whose password comes next
    struct store_append *appends; // the messages of all
    struct timer timer;
};

static void batch_derive(struct batch *batch);
static void finish_when_done(struct import *import);

static void problem(struct import *import, const char *text)
{
    import->n_skipped++;
    if (json_array_size(import->problems) == PROBLEMS_MOST)
        return;
    char line[700];
    snprintf(line, sizeof line, "line %llu: %s", (unsigned long long)import->reader.line, text);
    json_array_append_new(import->problems, json_of(str_of(line)));
}

static void stop_early(struct import *import, enum err e, const char *text)
{
    if (import->fault != OK)
        return;
    import->fault = e;
    why_say(&import->why, e, "%s", text);
    import->over = true;
}

static json_t *counts(const struct import *import)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "read", (json_int_t)import->n_users, "made",
                     (json_int_t)import->n_made, "existing", (json_int_t)import->n_existing,
                     "messages", (json_int_t)import->n_messages);
}

/* ---- the end of a batch ---- */

static void batch_free(struct batch *batch)
{
    loop_timer_cancel(&batch->timer);
    for (size_t i = 0; i < DERIVE_MOST; i++)
        explicit_bzero(&batch->derived[i], sizeof batch->derived[i]);
    arena_done(&batch->arena);
    free(batch->appends);
    free(batch);
}

static void batch_done(struct batch *batch)
{
    struct import *import = batch->import;
    store_release(&batch->op.request);
    batch_free(batch);
    import->n_under_way--;
    command_progress(import->call, counts(import));
    if (!import->call->cancelled)
        import->call->face->pause(import->call, false);
    finish_when_done(import);
}

/* ---- accounts ---- */

static void commit_batch(struct timer *timer);

static void committed(struct store_request *request)
{
    struct batch *batch = CONTAINER_OF(request, struct batch, op.request);
    struct import *import = batch->import;
    if (request->result == ERR_BUSY && import->daemon->store != NULL) {
        store_release(request);
        loop_timer_set(import->daemon->loop, &batch->timer, SECOND_US / 20, commit_batch);
        return;
    }
    if (request->result != OK) {
        stop_early(import, request->result,
                   request->result == ERR_FULL ? "the disk is full" : "store: accounts not kept");
        batch_done(batch);
        return;
    }
    import->n_made += batch->op.n_made;
    import->n_existing += batch->op.n_existing;
    for (size_t i = 0; i < batch->n; i++) {
        struct arena arena;
        arena_init(&arena, 16384);
        if (batch->rows[i].account != 0) {
            import->n_messages += batch->rows[i].n_messages;
            daemon_account_changed(import->daemon,
                                   arena_printf(&arena, "%.*s@%.*s", STR_ARGS(batch->rows[i].local),
                                                STR_ARGS(batch->rows[i].domain)),
                                   batch->rows[i].account, ACCOUNT_CREATED);
        }
        arena_done(&arena);
    }
    batch_done(batch);
}

static struct store_append append_of(const struct portable_message *message)
{
    return (struct store_append){
        .wall_us = message->wall_us,
        .backdate = message->wall_us != 0,
        .flags = (uint8_t)((message->archived ? STORE_ARCHIVED : STORE_SPOOLED) |
                           (message->outgoing ? STORE_OUTGOING : 0)),
        .type = message->type,
        .peer = message->peer,
        .resource = message->resource,
        .message_id = message->message_id,
        .origin_id = message->origin_id,
        .stanza = message->stanza,
    };
}

// What the store is told of each user.
static void fill_rows(struct batch *batch)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->n; i++)
        n += batch->users[i].n_messages;
    if (batch->appends == NULL) {
        batch->appends = calloc(n + 1, sizeof *batch->appends);
        must(batch->appends != NULL);
    }
    struct store_append *append = batch->appends;
    for (size_t i = 0; i < batch->n; i++) {
        const struct portable_user *user = &batch->users[i];
        struct store_import *row = &batch->rows[i];
        *row = user->import;
        row->n_messages = (uint32_t)user->n_messages;
        row->messages = append;
        row->n_pending = (uint32_t)user->n_pending;
        row->pending = user->pending;
        row->n_blocked = (uint32_t)user->n_blocked;
        row->blocked = user->blocked;
        for (size_t m = 0; m < user->n_messages; m++)
            *append++ = append_of(&user->messages[m]);
    }
}

static void commit_batch(struct timer *timer)
{
    struct batch *batch = CONTAINER_OF(timer, struct batch, timer);
    struct import *import = batch->import;
    if (import->daemon->store == NULL) {
        stop_early(import, ERR_CLOSED, "the server stops");
        batch_done(batch);
        return;
    }
    fill_rows(batch);
    batch->op.request.home = loop_mailbox(import->daemon->loop);
    batch->op.request.done = committed;
    batch->op.accounts = batch->rows;
    batch->op.n = (uint32_t)batch->n;
    batch->op.wall_us = clock_wall_us();
    store_account_import(import->daemon->store, &batch->op);
}

/* ---- passwords ---- */

static bool needs_keys(const struct portable_user *user)
{
    for (size_t i = 0; i < STORE_N_HASHES; i++)
        if (user->import.keys[i].iterations != 0)
            return false;
    return user->password.len > 0;
}

static void derive(struct job *job) // on a kitchen thread
{
    struct batch *batch = CONTAINER_OF(job, struct batch, job);
    struct daemon *daemon = batch->import->daemon;
    for (size_t i = 0; i < batch->n_deriving; i++)
        batch->results[i] =
            scram_credentials(daemon->crypto, batch->users[batch->at[i]].password,
                              (uint32_t)daemon->config->auth.iterations, &batch->derived[i]);
}

static struct store_keys kept(struct arena *arena, const struct scram_keys *keys,
                              enum scram_hash hash)
{
    size_t size = scram_key_size(hash);
    return (struct store_keys){
        .iterations = keys->iterations,
        .salt = arena_str(arena, str_make((const char *)keys->salt, keys->salt_size)),
        .stored_key = arena_str(arena, str_make((const char *)keys->stored_key, size)),
        .server_key = arena_str(arena, str_make((const char *)keys->server_key, size)),
    };
}

static void derived(struct job *job)
{
    struct batch *batch = CONTAINER_OF(job, struct batch, job);
    for (size_t i = 0; i < batch->n_deriving; i++) {
        struct portable_user *user = &batch->users[batch->at[i]];
        if (batch->results[i] != OK) {
            batch->import->n_keyless++; // a password that nobody could type
            continue;
        }
        const struct scram_keys *keys = batch->derived[i].keys;
        user->import.keys[STORE_SHA1] = kept(&batch->arena, &keys[SCRAM_SHA_1], SCRAM_SHA_1);
        user->import.keys[STORE_SHA256] = kept(&batch->arena, &keys[SCRAM_SHA_256], SCRAM_SHA_256);
    }
    batch_derive(batch);
}

static void order_again(struct timer *timer)
{
    struct batch *batch = CONTAINER_OF(timer, struct batch, timer);
    struct daemon *daemon = batch->import->daemon;
    if (daemon->kitchen == NULL) {
        stop_early(batch->import, ERR_CLOSED, "the server stops");
        batch_done(batch);
    } else if (kitchen_order(daemon->kitchen, &batch->job, daemon->loop) != OK) {
        loop_timer_set(daemon->loop, timer, SECOND_US / 20, order_again);
    }
}

static void batch_derive(struct batch *batch)
{
    batch->n_deriving = 0;
    for (; batch->next < batch->n && batch->n_deriving < DERIVE_MOST; batch->next++)
        if (needs_keys(&batch->users[batch->next]))
            batch->at[batch->n_deriving++] = batch->next;
    if (batch->n_deriving == 0) {
        commit_batch(&batch->timer);
        return;
    }
    batch->job.run = derive;
    batch->job.done = derived;
    order_again(&batch->timer);
}

/* ---- reading ---- */

static void submit(struct import *import)
{
    struct batch *batch = TAKE(import->current);
    if (batch == NULL)
        return;
    if (batch->n == 0) {
        batch_free(batch);
        return;
    }
    import->n_under_way++;
    batch_derive(batch);
}

static void take_user(struct import *import, const struct element *element)
{
    struct batch *batch = import->current;
    struct portable_user *user = &batch->users[batch->n];
    struct why why = {""};
    import->n_users++;
    if (portable_read_user(&batch->arena, element, import->reader.host, user, &why) != OK) {
        problem(import, why.text);
        return;
    }
    if (config_find_domain(import->daemon->config, user->import.domain) == NULL) {
        char text[600];
        snprintf(text, sizeof text, "%.*s@%.*s: the domain is not served here",
                 STR_ARGS(user->import.local), STR_ARGS(user->import.domain));
        problem(import, text);
        return;
    }
    import->n_ignored += user->n_ignored;
    bool has_keys = false;
    for (size_t i = 0; i < STORE_N_HASHES; i++)
        has_keys |= user->import.keys[i].iterations != 0;
    import->n_keyless += !has_keys && user->password.len == 0;
    batch->n++;
    if (batch->n == BATCH_USERS || batch->arena.used > BATCH_BYTES)
        submit(import);
}

static struct batch *batch_new(struct import *import)
{
    struct batch *batch = calloc(1, sizeof *batch);
    must(batch != NULL);
    batch->import = import;
    arena_init(&batch->arena, BATCH_ARENA);
    return batch;
}

static void on_data(struct command_call *call, struct str bytes, bool end)
{
    struct import *import = call->state;
    enum portable got = PORTABLE_MORE;
    while (!import->over && bytes.len > 0) {
        struct element *element = NULL;
        if (import->current == NULL)
            import->current = batch_new(import);
        got = portable_feed(&import->reader, &bytes, &import->current->arena, &element);
        if (got == PORTABLE_USER)
            take_user(import, element);
        else if (got == PORTABLE_FAULT)
            stop_early(import, ERR_MALFORMED, import->reader.why.text);
        import->ended = got == PORTABLE_END;
    }
    if (end && !import->over) {
        if (!import->ended)
            stop_early(import, ERR_MALFORMED, "the document ends too early");
        import->over = true;
    }
    if (import->over) // what was read whole is kept, also of a file that breaks later
        submit(import);
    if (import->n_under_way >= BATCHES_MOST && !import->over)
        call->face->pause(call, true);
    finish_when_done(import);
}

static void on_cancelled(struct command_call *call)
{
    struct import *import = call->state;
    stop_early(import, ERR_CLOSED, "nobody waits for the import any more");
    submit(import);
    finish_when_done(import);
}

static void finish_when_done(struct import *import)
{
    if (!import->over || import->n_under_way > 0 || import->current != NULL)
        return;
    struct command_call *call = import->call;
    json_t *result = counts(import);
    json_object_set_new(result, "skipped", json_integer((json_int_t)import->n_skipped));
    json_object_set_new(result, "without_password", json_integer((json_int_t)import->n_keyless));
    uint64_t n_ignored = import->n_ignored + import->reader.n_ignored;
    json_object_set_new(result, "parts_ignored", json_integer((json_int_t)n_ignored));
    if (json_array_size(import->problems) > 0)
        json_object_set(result, "problems", import->problems);
    if (import->fault == OK && import->n_skipped > 0) // done, but not all of it
        json_object_set_new(result, "partly", json_true());
    json_decref(import->problems);
    portable_reader_done(&import->reader);
    call->on_data = NULL;
    call->on_cancelled = NULL;
    if (import->fault == OK)
        command_done(call, result);
    else
        command_fail_with(call, import->fault, result, str_of(import->why.text));
}

static void run_import(struct command_call *call)
{
    struct import *import = arena_make(&call->arena, struct import);
    import->call = call;
    import->daemon = call->context;
    import->problems = json_array();
    portable_reader_init(&import->reader);
    call->state = import;
    call->on_data = on_data;
    call->on_cancelled = on_cancelled;
}

/* ---- export ---- */

enum { PAGE = 100, MESSAGES_PAGE = 20, WAITING_MOST = 1 << 20 };

struct export
{
    struct command_call *call;
    struct daemon *daemon;
    struct buf out;
    struct store_account_list list;
    struct store_account_find find;
    struct store_account_load load;
    struct store_document_list documents;
    struct store_spool_list spool;
    uint32_t at;        // on the page
    struct str domain;  // of the open <host/>
    struct arena names; // of the last account of a page
    uint64_t n_users;
    void (*then)(struct export *
                 export); // what goes on when the reader has caught up; NULL: nothing
};

static void export_page(struct export *export);
static void export_user(struct export *export);

static void export_end(struct export *export, enum err e, const char *what)
{
    struct command_call *call = export->call;
    store_release(&export->list.request);
    if (e == OK && export->domain.len > 0)
        portable_end_host(&export->out);
    if (e == OK) {
        buf_add(&export->out, portable_end());
        if (!call->cancelled)
            call->face->data(call, buf_str(&export->out));
    }
    buf_done(&export->out);
    arena_done(&export->names);
    call->on_drained = NULL;
    if (e == OK)
        command_done(call, json_pack("{s:I}", "accounts", (json_int_t) export->n_users));
    else
        command_fail(call, e, "%s", what);
}

static bool export_call(struct export *export, struct store_request *request,
                        void (*done)(struct store_request *))
{
    if (export->daemon->store == NULL || export->call->cancelled) {
        export_end(export, ERR_CLOSED, "the export was broken off");
        return false;
    }
    request->home = loop_mailbox(export->daemon->loop);
    request->done = done;
    return true;
}

// Hands over what is written; goes on now, or when the reader has caught up.
static void export_flush(struct export *export, void (*then)(struct export *export))
{
    struct command_call *call = export->call;
    if (export->out.overflowed) {
        export_end(export, ERR_LIMIT, "an account is too large to be exported");
        return;
    }
    if (!call->cancelled)
        call->face->data(call, buf_str(&export->out));
    buf_clear(&export->out);
    if (!call->cancelled && call->face->waiting(call) > WAITING_MOST)
        export->then = then;
    else
        then(export);
}

static void on_drained(struct command_call *call)
{
    struct export *export = call->state;
    void (*then)(struct export *) = TAKE(export->then);
    if (then != NULL)
        then(export);
}

static void on_export_cancelled(struct command_call *call)
{
    on_drained(call);
}

static void next_user(struct export *export)
{
    portable_end_user(&export->out);
    export->n_users++;
    export->at++;
    if (export->n_users % 1000 == 0)
        command_progress(export->call,
                         json_pack("{s:I}", "accounts", (json_int_t) export->n_users));
    export_flush(export, export_user);
}

static void spool_more(struct export *export);

static void spool_read(struct store_request *request)
{
    struct export *export = CONTAINER_OF(request, struct export, spool.request);
    if (request->result != OK) {
        store_release(request);
        export_end(export, ERR_IO, "store: messages could not be read");
        return;
    }
    if (export->spool.after_id == 0 && export->spool.n > 0)
        portable_begin_offline(&export->out);
    for (uint32_t i = 0; i < export->spool.n; i++)
        portable_write_message(&export->out, export->domain, &export->spool.messages[i]);
    bool more = export->spool.more && export->spool.n > 0 && !export->out.overflowed;
    if (more)
        export->spool.after_id = export->spool.messages[export->spool.n - 1].id;
    bool any = export->spool.after_id != 0 || export->spool.n > 0;
    store_release(request);
    if (more) {
        export_flush(export, spool_more);
    } else {
        if (any)
            portable_end_offline(&export->out);
        next_user(export);
    }
}

// The next messages of an account: a few at a time, for each may be large.
static void spool_more(struct export *export)
{
    if (export_call(export, &export->spool.request, spool_read))
        store_spool_list(export->daemon->store, &export->spool);
}

static void documents_read(struct store_request *request)
{
    struct export *export = CONTAINER_OF(request, struct export, documents.request);
    if (request->result != OK) {
        store_release(request);
        export_end(export, ERR_IO, "store: documents could not be read");
        return;
    }
    struct str private = STR("private ");
    bool any = false;
    for (uint32_t i = 0; i < export->documents.n; i++)
        if (str_eq(export->documents.documents[i].key, PORTABLE_VCARD)) {
            buf_add(&export->out, export->documents.documents[i].xml);
            buf_add_char(&export->out, '\n');
        }
    for (uint32_t i = 0; i < export->documents.n; i++)
        if (str_starts(export->documents.documents[i].key, private)) {
            if (!any)
                buf_add(&export->out, STR("<query xmlns='jabber:iq:private'>"));
            any = true;
            buf_add(&export->out, export->documents.documents[i].xml);
        }
    if (any)
        buf_add(&export->out, STR("</query>\n"));
    store_release(request);
    memset(&export->spool, 0, sizeof export->spool);
    export->spool.account = export->documents.account;
    export->spool.most = MESSAGES_PAGE;
    spool_more(export);
}

static void account_loaded(struct store_request *request)
{
    struct export *export = CONTAINER_OF(request, struct export, load.request);
    enum err e = request->result;
    if (e == OK) {
        portable_write_roster(&export->out, export->load.items, export->load.n_items);
        portable_write_pending(&export->out, export->load.pending, export->load.n_pending);
        portable_write_blocked(&export->out, export->load.blocked, export->load.n_blocked);
        memset(&export->documents, 0, sizeof export->documents);
        export->documents.account = export->load.account.number;
    }
    store_release(request);
    if (e == ERR_MISSING) // deleted meanwhile
        next_user(export);
    else if (e != OK)
        export_end(export, e, "store: an account could not be read");
    else if (export_call(export, &export->documents.request, documents_read))
        store_document_list(export->daemon->store, &export->documents);
}

static void account_found(struct store_request *request)
{
    struct export *export = CONTAINER_OF(request, struct export, find.request);
    enum err e = request->result;
    if (e == OK)
        portable_write_keys(&export->out, export->find.keys);
    int64_t number = export->find.account.number;
    store_release(request);
    if (e == ERR_MISSING) {
        next_user(export);
        return;
    }
    if (e != OK) {
        export_end(export, e, "store: an account could not be read");
        return;
    }
    memset(&export->load, 0, sizeof export->load);
    export->load.by_number = number;
    if (export_call(export, &export->load.request, account_loaded))
        store_account_load(export->daemon->store, &export->load);
}

static void export_user(struct export *export)
{
    if (export->at == export->list.n) {
        struct str domain = argument_text(export->call, "domain");
        if (export->list.n < PAGE && export->n_users == 0 && domain.len > 0 &&
            config_find_domain(export->daemon->config, domain) == NULL)
            export_end(export, ERR_MISSING, "the domain is not served here, and has no accounts");
        else if (export->list.n < PAGE)
            export_end(export, OK, NULL);
        else
            export_page(export);
        return;
    }
    const struct store_account *account = &export->list.accounts[export->at];
    if (!str_eq(account->domain, export->domain)) {
        if (export->domain.len > 0)
            portable_end_host(&export->out);
        portable_begin_host(&export->out, account->domain);
        export->domain = arena_str(&export->call->arena, account->domain);
    }
    portable_begin_user(&export->out, account->local);
    memset(&export->find, 0, sizeof export->find);
    export->find.local = account->local;
    export->find.domain = account->domain;
    if (export_call(export, &export->find.request, account_found))
        store_account_find(export->daemon->store, &export->find);
}

static void page_listed(struct store_request *request)
{
    struct export *export = CONTAINER_OF(request, struct export, list.request);
    if (request->result != OK) {
        export_end(export, request->result, "store: the accounts could not be listed");
        return;
    }
    export->at = 0;
    export_user(export);
}

static void export_page(struct export *export)
{
    struct store_account last = {0};
    if (export->list.n > 0) {
        const struct store_account *account = &export->list.accounts[export->list.n - 1];
        arena_reset(&export->names);
        last.local = arena_str(&export->names, account->local);
        last.domain = arena_str(&export->names, account->domain);
    }
    store_release(&export->list.request);
    memset(&export->list, 0, sizeof export->list);
    export->list.domain = argument_text(export->call, "domain");
    export->list.after_local = last.local;
    export->list.after_domain = last.domain;
    export->list.most = PAGE;
    if (export_call(export, &export->list.request, page_listed))
        store_account_list(export->daemon->store, &export->list);
}

static void run_export(struct command_call *call)
{
    struct export *export = arena_make(&call->arena, struct export);
    export->call = call;
    export->daemon = call->context;
    buf_init(&export->out, 256 << 20);
    arena_init(&export->names, 16384);
    buf_add(&export->out, portable_begin());
    call->state = export;
    call->on_drained = on_drained;
    call->on_cancelled = on_export_cancelled;
    export_page(export);
}

static const struct command command_import = {
    .name = "import",
    .doc = "Makes the accounts of an XEP-0227 file; those that exist are left as they are.",
    .role = ROLE_OPERATOR,
    .flags = COMMAND_AUDITED | COMMAND_READS,
    .run = run_import,
    .arguments = {ARGUMENT_REASON},
};

static const struct command command_export = {
    .name = "export",
    .doc = "Writes accounts with their keys, rosters and waiting messages as XEP-0227.",
    .role = ROLE_OPERATOR,
    .flags = COMMAND_AUDITED | COMMAND_WRITES,
    .scope = "domain",
    .run = run_export,
    .arguments = {{"domain", ARGUMENT_DOMAIN, ARGUMENT_POSITIONAL, NULL, "Only this domain."},
                  ARGUMENT_REASON},
};

void commands_add_portable(struct daemon *daemon)
{
    commands_add(daemon->commands, &command_import, 1, daemon);
    commands_add(daemon->commands, &command_export, 1, daemon);
}
