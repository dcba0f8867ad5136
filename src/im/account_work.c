#include "im/account_work.h"

#include "base/clock.h"
#include "base/must.h"
#include "im/gate.h"
#include "im/roster_internal.h"
#include "im/sessions.h"
#include "route/own.h"

#include <sodium.h>
#include <stdlib.h>

enum { WORK_MOST = 64 << 10 };

struct account_work *account_work_new(struct service *service, struct loop *back,
                                      enum account_act act, const struct jid *bare,
                                      uint32_t iterations)
{
    struct account_work *work = calloc(1, sizeof *work);
    must(work != NULL);
    work->service = service;
    work->back = back;
    work->act = act;
    work->jid = own_jid(bare);
    work->iterations = iterations;
    arena_init(&work->arena, WORK_MOST);
    work->home = home_of(&service->homes, work->jid.full);
    return work;
}

enum err account_work_password(struct account_work *work, struct str password)
{
    if (password.len > sizeof work->password)
        return ERR_LIMIT;
    memcpy(work->password, password.at, password.len);
    work->password_len = password.len;
    return OK;
}

void account_work_free(struct account_work **work)
{
    struct account_work *w = TAKE(*work);
    if (w == NULL)
        return;
    own_jid_free(&w->jid);
    arena_done(&w->arena);
    sodium_memzero(w, sizeof *w);
    free(w);
}

static void end(struct account_work *work, enum err e)
{
    work->done(work, e);
    account_work_free(&work);
}

static void come_back(struct mail *mail)
{
    struct account_work *work = CONTAINER_OF(mail, struct account_work, mail);
    end(work, work->result);
}

static void go_back(struct account_work *work, enum err e)
{
    work->result = e;
    work->mail.run = come_back;
    loop_post(work->back, &work->mail);
}

// The answer first: who cancels his own account hears of it before his stream ends.
static void go_back_closing(struct account_work *work, enum err e, bool closes)
{
    struct service *service = work->service;
    struct arena arena;
    arena_init(&arena, JID_MOST + 1);
    struct str bare = arena_str(&arena, work->jid.full);
    go_back(work, e);
    if (closes)
        sessions_tell(service, bare, NEWS_GONE);
    arena_done(&arena);
}

void account_keys(const struct credentials *credentials, struct store_keys out[STORE_N_HASHES])
{
    static const enum store_hash of[] = {
        [SCRAM_SHA_1] = STORE_SHA1, [SCRAM_SHA_256] = STORE_SHA256};
    for (enum scram_hash hash = 0; hash < SCRAM_N_HASHES; hash++) {
        const struct scram_keys *keys = &credentials->keys[hash];
        size_t size = scram_key_size(hash);
        out[of[hash]] = (struct store_keys){
            .iterations = keys->iterations,
            .salt = str_make((const char *)keys->salt, keys->salt_size),
            .stored_key = str_make((const char *)keys->stored_key, size),
            .server_key = str_make((const char *)keys->server_key, size),
        };
    }
}

struct str account_admin_key(struct arena *arena, struct str bare)
{
    return arena_printf(arena, "administrator %.*s", STR_ARGS(bare));
}

/* ---- On the account's home ---- */

static void begin(struct account_work *work, struct store_request *request,
                  void (*done)(struct store_request *request))
{
    request->home = loop_mailbox(work->home->loop);
    request->done = done;
}

static void made(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, op.create.request);
    enum err e = request->result;
    store_release(request);
    go_back(work, e);
}

static void keys_are_set(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, op.set_keys.request);
    enum err e = request->result;
    store_release(request);
    go_back(work, e);
}

static void is_disabled(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, op.disable.request);
    enum err e = request->result;
    store_release(request);
    go_back_closing(work, e, e == OK && work->act == ACT_DISABLE);
}

static void is_found(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, find.request);
    enum err e = request->result;
    int64_t number = work->find.account.number;
    store_release(request);
    if (e != OK) {
        go_back(work, e);
    } else if (work->act == ACT_PASSWORD) {
        begin(work, &work->op.set_keys.request, keys_are_set);
        work->op.set_keys.account = number;
        account_keys(&work->credentials, work->op.set_keys.keys);
        store_account_set_keys(work->service->store, &work->op.set_keys);
    } else {
        begin(work, &work->op.disable.request, is_disabled);
        work->op.disable.account = number;
        work->op.disable.disabled = work->act == ACT_DISABLE;
        store_account_disable(work->service->store, &work->op.disable);
    }
}

static void is_deleted(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, op.delete.request);
    struct account *account = TAKE(work->account);
    enum err e = request->result;
    store_release(request);
    if (e == OK && account->state == ACCOUNT_READY)
        LIST_EACH(&account->roster->items, struct roster_item, link, item)
    roster_say_removed(account, &item->jid, roster_removal(account, item->jid.full), NULL);
    account_release(account);
    struct service *service = work->service;
    if (e == OK && service->gate != NULL)
        gate_account_deleted(service->gate, work->jid.full);
    if (e == OK && service->account_deleted != NULL)
        service->account_deleted(service->context, work->jid.full);
    go_back_closing(work, e, e == OK);
}

static void has_no_rights(struct store_request *request)
{
    struct account_work *work = CONTAINER_OF(request, struct account_work, rights.request);
    enum err e = request->result;
    store_release(request);
    if (e != OK && e != ERR_MISSING) {
        account_release(TAKE(work->account));
        go_back(work, e);
        return;
    }
    begin(work, &work->op.delete.request, is_deleted);
    work->op.delete.local = work->jid.local;
    work->op.delete.domain = work->jid.domain;
    store_account_delete(work->service->store, &work->op.delete);
}

// Its contacts are known before it is deleted, and a name made anew inherits no rights.
static void delete_it(struct account_waiter *waiter, struct account *account)
{
    struct account_work *work = CONTAINER_OF(waiter, struct account_work, waiter);
    work->account = account;
    account_hold(account);
    begin(work, &work->rights.request, has_no_rights);
    work->rights.kind = STORE_SETTING;
    work->rights.key = account_admin_key(&work->arena, work->jid.full);
    store_record_remove(work->service->store, &work->rights);
}

static void at_home(struct mail *mail)
{
    struct account_work *work = CONTAINER_OF(mail, struct account_work, mail);
    if (work->act == ACT_DELETE) {
        work->waiter.run = delete_it;
        account_want(work->home, &work->jid, &work->waiter);
    } else if (work->act == ACT_MAKE) {
        begin(work, &work->op.create.request, made);
        work->op.create.local = work->jid.local;
        work->op.create.domain = work->jid.domain;
        work->op.create.wall_us = clock_wall_us();
        account_keys(&work->credentials, work->op.create.keys);
        store_account_create(work->service->store, &work->op.create);
    } else {
        begin(work, &work->find.request, is_found);
        work->find.local = work->jid.local;
        work->find.domain = work->jid.domain;
        store_account_find(work->service->store, &work->find);
    }
}

static void go_home(struct account_work *work)
{
    work->mail.run = at_home;
    loop_post(work->home->loop, &work->mail);
}

/* ---- Keys first ---- */

static void derive(struct job *job)
{
    struct account_work *work = CONTAINER_OF(job, struct account_work, job);
    work->result =
        scram_credentials(work->service->crypto, str_make(work->password, work->password_len),
                          work->iterations, &work->credentials);
}

static void is_derived(struct job *job)
{
    struct account_work *work = CONTAINER_OF(job, struct account_work, job);
    sodium_memzero(work->password, sizeof work->password);
    if (work->result != OK)
        end(work, work->result);
    else
        go_home(work);
}

void account_work_start(struct account_work *work,
                        void (*done)(struct account_work *work, enum err e), void *context)
{
    work->done = done;
    work->context = context;
    if (work->act != ACT_MAKE && work->act != ACT_PASSWORD) {
        go_home(work);
        return;
    }
    work->job.run = derive;
    work->job.done = is_derived;
    if (kitchen_order(work->service->kitchen, &work->job, work->back) != OK)
        end(work, ERR_BUSY);
}
