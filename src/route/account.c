#include "route/account.h"

#include "base/log.h"
#include "base/must.h"
#include "route/own.h"
#include "route/session.h"
#include "store/store.h"

#include <stdlib.h>

enum { MAGIC_ACCOUNT = 0x4163636F };

struct loading {
    struct account *account;
    struct store_account_load op;
};

static void run_waiters(struct account *account)
{
    // new waiters may come while these run: they find the account settled and run at once
    while (!list_empty(&account->waiters)) {
        struct account_waiter *waiter = LIST_FIRST(&account->waiters, struct account_waiter, link);
        list_leave(&waiter->link);
        waiter->run(waiter, account);
    }
}

static void account_free(struct account *account)
{
    must(account->magic == MAGIC_ACCOUNT && account->users == 0);
    account->magic = 0;
    list_leave(&account->idle);
    table_remove(&account->home->accounts, account->jid.full);
    account->home->events->forgotten(account);
    own_jid_free(&account->jid);
    own_str_free(&account->last_status);
    free(account);
}

static void take_in(struct account *account, const struct store_account_load *loaded)
{
    if (account->number != loaded->account.number) { // else our count is the newer
        account->n_spooled = loaded->n_spooled;
        account->spooled_bytes = loaded->spooled_bytes;
    }
    account->number = loaded->account.number;
    account->last_activity_us = loaded->account.active_us;
    account->created_us = loaded->account.created_us;
    own_str_free(&account->last_status);
    account->last_status = own_str(loaded->account.active_status);
    account->home->events->loaded(account, loaded);
}

static void load(struct account *account);

static void loaded(struct store_request *request)
{
    struct loading *loading = CONTAINER_OF(request, struct loading, op.request);
    struct account *account = loading->account;
    if (account->load_again) { // what was read may be older than the news
        account->load_again = false;
        store_release(request);
        free(loading);
        load(account);
        account_release(account);
        return;
    }
    if (request->result == OK && !loading->op.account.disabled) {
        take_in(account, &loading->op);
        account->state = ACCOUNT_READY;
    } else if (request->result == OK || request->result == ERR_MISSING) {
        account->state = ACCOUNT_ABSENT;
    } else {
        log_event(LOG_ERROR, "account-not-loaded", "account=%.*s error=%s",
                  STR_ARGS(account->jid.full), err_name(request->result));
        // who was there before stays as he was
        account->state = account->number != 0 ? ACCOUNT_READY : ACCOUNT_BROKEN;
    }
    store_release(request);
    free(loading);
    run_waiters(account);
    account_release(account);
}

static void load(struct account *account)
{
    struct loading *loading = calloc(1, sizeof *loading);
    must(loading != NULL);
    loading->account = account;
    loading->op.request.home = loop_mailbox(account->home->loop);
    loading->op.request.done = loaded;
    loading->op.local = account->jid.local;
    loading->op.domain = account->jid.domain;
    account_hold(account);
    store_account_load(account->home->store, &loading->op);
}

void account_want(struct home *home, const struct jid *bare, struct account_waiter *waiter)
{
    struct account *account = table_get(&home->accounts, bare->full);
    if (account == NULL) {
        account = calloc(1, sizeof *account);
        must(account != NULL);
        account->magic = MAGIC_ACCOUNT;
        account->home = home;
        account->jid = own_jid(bare);
        account->last_status = own_str(STR_EMPTY);
        list_init(&account->waiters);
        list_init(&account->sessions);
        list_init(&account->deliveries);
        list_init(&account->roster_jobs);
        list_init(&account->behind);
        // the ceiling of the table is far beyond what idle accounts may be: see home_sweep
        must(table_put(&home->accounts, account->jid.full, account) == OK);
        load(account);
    }
    if (account->state == ACCOUNT_LOADING) {
        list_add_last(&account->waiters, &waiter->link);
        return;
    }
    account_hold(account);
    waiter->run(waiter, account);
    account_release(account);
}

struct account *account_in_memory(struct home *home, struct str bare)
{
    return table_get(&home->accounts, bare);
}

void account_hold(struct account *account)
{
    must_slow(home_is_me(account->home));
    if (account->users++ == 0)
        list_leave(&account->idle);
}

void account_release(struct account *account)
{
    must(account->users > 0);
    if (--account->users > 0)
        return;
    if (account->state != ACCOUNT_READY) {
        account_free(account);
        return;
    }
    account->idle_since_us = loop_now_us(account->home->loop);
    list_add_last(&account->home->idle, &account->idle);
}

void account_forget_idle(struct home *home, int64_t before_us)
{
    for (;;) {
        struct account *account = LIST_FIRST(&home->idle, struct account, idle);
        if (account == NULL)
            return;
        if (account->idle_since_us > before_us && home->accounts.n <= home->limits.accounts)
            return;
        account_free(account);
    }
}

void account_reload(struct account *account)
{
    if (account->state == ACCOUNT_LOADING) {
        account->load_again = true;
        return;
    }
    account->state = ACCOUNT_LOADING;
    load(account);
}
