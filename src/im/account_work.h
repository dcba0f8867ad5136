/*
 * Work on accounts: making, passwords, disabling, deleting, for whatever
 * people do it by (registration, an administrator's commands).
 *
 * Keys are derived in the kitchen, the change is made on the account's home,
 * and what follows from it is done there: sessions end, contacts of a deleted
 * account hear that the subscriptions are over.
 */
#ifndef IM_ACCOUNT_WORK_H
#define IM_ACCOUNT_WORK_H

#include "im/desk.h"
#include "route/account.h"
#include "store/store.h"
#include "xmpp/jid.h"
#include "xmpp/scram.h"

enum account_act {
    ACT_MAKE,     // with a password
    ACT_PASSWORD, // a new one
    ACT_DISABLE,  // its sessions end, nobody may log in
    ACT_ENABLE,
    ACT_DELETE,
};

enum { ACT_PASSWORD_MOST = 4096 }; // bytes, as it comes

struct account_work {
    struct job job;
    struct mail mail;
    struct account_waiter waiter;
    struct service *service;
    struct loop *back;
    struct home *home;
    struct account *account; // held while its deletion is under way
    enum account_act act;
    struct jid jid; // bare; own memory
    uint32_t iterations;
    enum err result;
    void (*done)(struct account_work *work, enum err e);
    void *context;
    struct credentials credentials;
    struct arena arena;
    struct store_account_find find;
    struct store_record_remove rights;
    union {
        struct store_account_create create;
        struct store_account_set_keys set_keys;
        struct store_account_disable disable;
        struct store_account_delete delete;
    } op;
    size_t password_len;
    char password[ACT_PASSWORD_MOST];
};

/* iterations: of a new password's keys, else 0.  done runs on back's thread, after which the work
 * is gone.  Errors: ERR_MALFORMED and ERR_LIMIT (the password), ERR_EXISTS, ERR_MISSING, ERR_BUSY,
 * and the store's. */
struct account_work *account_work_new(struct service *service, struct loop *back,
                                      enum account_act act, const struct jid *bare,
                                      uint32_t iterations);
/* ERR_LIMIT: too long. */
enum err account_work_password(struct account_work *work, struct str password) MUST_CHECK;
/* Takes the work; done may be called before this returns. */
void account_work_start(struct account_work *work,
                        void (*done)(struct account_work *work, enum err e), void *context);
void account_work_free(struct account_work **work);

/* The keys as the store has them; borrowed from the credentials. */
void account_keys(const struct credentials *credentials, struct store_keys out[STORE_N_HASHES]);

/* The record (STORE_SETTING) that makes an account an administrator. */
struct str account_admin_key(struct arena *arena, struct str bare);

#endif
