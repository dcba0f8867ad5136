/*
 * upload …: what people have put here, for operators.
 */
#include "daemon/daemon.h"

#include "daemon/server.h"
#include "files/uploads.h"
#include "im/desk.h"
#include "xmpp/jid.h"

#include <sodium.h>

enum { ROWS_MOST = 100 };

struct viewing {
    struct command_call *call;
    struct uploads *uploads;
    union {
        struct store_upload_list list;
        struct store_account_find find;
    };
    int64_t owner;
    void (*then)(struct viewing *viewing); // once the account is found
    // of delete
    struct job job;
    struct str id;
    uint32_t n_removed;
    enum err e;
};

static struct viewing *viewing_new(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct uploads *uploads =
        daemon->server != NULL ? server_service(daemon->server)->uploads : NULL;
    if (daemon->store == NULL || daemon->server == NULL) {
        command_fail(call, ERR_CLOSED, "the server stops");
        return NULL;
    }
    if (uploads == NULL) {
        command_fail(call, ERR_DENIED, "uploads are not served: see upload.enabled");
        return NULL;
    }
    struct viewing *viewing = arena_make(&call->arena, struct viewing);
    viewing->call = call;
    viewing->uploads = uploads;
    return viewing;
}

static json_t *flags_json(uint32_t flags)
{
    char marks[UPLOAD_MARKS_ROOM];
    upload_marks(flags, marks);
    return json_string(marks);
}

static json_t *row_of(struct uploads *uploads, const struct store_upload *row)
{
    struct upload upload = {.convicted = false};
    bool there = uploads_find(uploads, row->id, &upload);
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o}", "id", json_of(row->id),
                     "account", json_of(row->jid), "name", json_of(row->name), "type",
                     json_of(row->type), "size", (json_int_t)row->size, "served",
                     there && !upload.convicted, "marks", flags_json(row->flags), "created",
                     json_of_time(row->created_us), "expires", json_of_time(row->expires_us));
}

/* ---- upload list ---- */

static void listed(struct store_request *request)
{
    struct viewing *viewing = CONTAINER_OF(request, struct viewing, list.request);
    struct command_call *call = viewing->call;
    enum err e = request->result;
    json_t *rows = json_array();
    for (uint32_t i = 0; e == OK && i < viewing->list.n; i++)
        json_array_append_new(rows, row_of(viewing->uploads, &viewing->list.uploads[i]));
    json_t *result =
        json_pack("{s:o, s:b}", "uploads", rows, "more", e == OK && viewing->list.more);
    store_release(request);
    if (e == OK) {
        command_done(call, result);
    } else {
        json_decref(result);
        command_fail(call, e, "store: %s", err_name(e));
    }
}

static void list(struct viewing *viewing)
{
    const struct daemon *daemon = viewing->call->context;
    viewing->list = (struct store_upload_list){
        .request = {.home = loop_mailbox(daemon->loop), .done = listed},
        .owner = viewing->owner,
        .after_id = argument_text(viewing->call, "after"),
        .most = ROWS_MOST,
    };
    store_upload_list(daemon->store, &viewing->list);
}

static void account_found(struct store_request *request)
{
    struct viewing *viewing = CONTAINER_OF(request, struct viewing, find.request);
    struct command_call *call = viewing->call;
    enum err e = request->result;
    viewing->owner = e == OK ? viewing->find.account.number : 0;
    store_release(request);
    if (e == OK)
        viewing->then(viewing);
    else if (e == ERR_MISSING)
        command_fail(call, e, "there is no account %.*s", STR_ARGS(argument_text(call, "account")));
    else
        command_fail(call, e, "store: %s", err_name(e));
}

static void find_account(struct viewing *viewing, void (*then)(struct viewing *viewing))
{
    const struct daemon *daemon = viewing->call->context;
    struct jid jid = jid_of_prepared(argument_text(viewing->call, "account"));
    viewing->then = then;
    viewing->find = (struct store_account_find){
        .request = {.home = loop_mailbox(daemon->loop), .done = account_found},
        .local = jid.local,
        .domain = jid.domain,
    };
    store_account_find(daemon->store, &viewing->find);
}

static void run_list(struct command_call *call)
{
    struct viewing *viewing = viewing_new(call);
    if (viewing == NULL)
        return;
    if (argument_given(call, "account"))
        find_account(viewing, list);
    else
        list(viewing);
}

/* ---- upload show, delete, quota, status ---- */

static void run_show(struct command_call *call)
{
    struct viewing *viewing = viewing_new(call);
    if (viewing == NULL)
        return;
    struct upload upload;
    if (!uploads_find(viewing->uploads, argument_text(call, "id"), &upload)) {
        command_fail(call, ERR_MISSING, "there is no such upload");
        return;
    }
    char hex[2 * STORE_DIGEST_SIZE + 1];
    sodium_bin2hex(hex, sizeof hex, upload.digest, sizeof upload.digest);
    command_done(call, json_pack("{s:s, s:o, s:o, s:s, s:I, s:s, s:b, s:o, s:o, s:o, s:o}", "id",
                                 upload.id, "account", json_of(str_of(upload.jid)), "name",
                                 json_of(str_of(upload.name)), "type", upload.type, "size",
                                 (json_int_t)upload.size, "sha256", hex, "convicted",
                                 upload.convicted, "marks", flags_json(upload.flags), "finding",
                                 json_of(str_of(upload.finding)), "created",
                                 json_of_time(upload.created_us), "expires",
                                 json_of_time(upload.expires_us)));
}

static void remove_it(struct job *job)
{
    struct viewing *viewing = CONTAINER_OF(job, struct viewing, job);
    viewing->e = uploads_remove(viewing->uploads, &viewing->id, 1, &viewing->n_removed);
}

static void is_removed(struct job *job)
{
    struct viewing *viewing = CONTAINER_OF(job, struct viewing, job);
    struct command_call *call = viewing->call;
    if (viewing->e != OK)
        command_fail(call, viewing->e, "store: %s", err_name(viewing->e));
    else if (viewing->n_removed == 0)
        command_fail(call, ERR_MISSING, "there is no such upload");
    else
        command_done(call, json_pack("{s:o}", "deleted", json_of(viewing->id)));
}

static void run_delete(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct viewing *viewing = viewing_new(call);
    if (viewing == NULL)
        return;
    viewing->id = argument_text(call, "id");
    viewing->job = (struct job){.run = remove_it, .done = is_removed};
    if (uploads_order(viewing->uploads, &viewing->job, daemon->loop) != OK)
        command_fail(call, ERR_BUSY, "too many files are under way");
}

static void tell_quota(struct viewing *viewing)
{
    const struct daemon *daemon = viewing->call->context;
    struct upload_quota quota;
    uploads_quota(viewing->uploads, viewing->owner, &quota);
    command_done(viewing->call,
                 json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "account",
                           json_of(argument_text(viewing->call, "account")), "files",
                           (json_int_t)quota.files, "bytes", (json_int_t)quota.bytes, "promised",
                           (json_int_t)quota.reserved, "most_bytes",
                           (json_int_t)daemon->config->upload.quota, "files_today",
                           (json_int_t)quota.daily_files, "most_files_today",
                           (json_int_t)daemon->config->upload.daily_files, "bytes_today",
                           (json_int_t)quota.daily_bytes, "most_bytes_today",
                           (json_int_t)daemon->config->upload.daily));
}

static void run_quota(struct command_call *call)
{
    struct viewing *viewing = viewing_new(call);
    if (viewing != NULL)
        find_account(viewing, tell_quota);
}

static void run_status(struct command_call *call)
{
    const struct daemon *daemon = call->context;
    struct viewing *viewing = viewing_new(call);
    if (viewing == NULL)
        return;
    struct upload_stats stats;
    uploads_stats(viewing->uploads, &stats);
    struct str scanner = daemon->config->upload.scanner;
    command_done(call,
                 json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:I}", "files",
                           (json_int_t)stats.n_files, "bytes", (json_int_t)stats.bytes,
                           "most_bytes", (json_int_t)daemon->config->upload.storage, "slots",
                           (json_int_t)stats.n_slots, "waiting_for_the_scanner",
                           (json_int_t)stats.n_unscanned, "scanner",
                           json_of(scanner.len > 0 ? scanner : STR("none")), "scanned",
                           (json_int_t)stats.n_scans, "scanner_silent", (json_int_t)stats.n_away,
                           "found", (json_int_t)stats.n_ends[END_FOUND]));
}

static const struct command rows[] = {
    {
     .name = "upload list",
     .doc = "What people have put here, in order of ids, a hundred at a time.",
     .role = ROLE_OPERATOR,
     .run = run_list,
     .arguments = {{"account", ARGUMENT_ACCOUNT, 0, NULL, "Only those of this account."},
                      {"after", ARGUMENT_TEXT, 0, NULL, "The id after which to go on."}},
     },
    {
     .name = "upload show",
     .doc = "One upload: its owner, what it is, what was found in it.",
     .role = ROLE_OPERATOR,
     .run = run_show,
     .arguments = {{"id", ARGUMENT_TEXT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "Its id: the part of its link behind /upload/."}},
     },
    {
     .name = "upload delete",
     .doc = "Deletes an upload: nobody can fetch it any more.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_delete,
     .arguments = {{"id", ARGUMENT_TEXT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "Its id, as the list shows it."},
                      ARGUMENT_REASON},
     },
    {
     .name = "upload quota",
     .doc = "How much of its room an account has taken.",
     .role = ROLE_OPERATOR,
     .run = run_quota,
     .arguments = {{"account", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                       "The account."}},
     },
    {
     .name = "upload status",
     .doc = "How much is kept, and how the scanner does.",
     .role = ROLE_OPERATOR,
     .run = run_status,
     },
};

void commands_add_uploads(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
