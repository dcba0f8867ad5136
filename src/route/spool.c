#include "route/spool.h"

#include "base/log.h"
#include "base/must.h"
#include "net/loop.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

enum {
    IDS_FEW = 16, // what a turn of the loop mostly has for one account
    IDS_MOST = 256,
};

// One account's ids; sent as one store operation, freed when that is done.
struct spool_clearing {
    struct link link; // in home->clearings
    struct account *account;
    struct store_spool_clear op;
    uint32_t n;
    int64_t *ids; // few, or in many
    uint64_t *sizes;
    int64_t few_ids[IDS_FEW];
    uint64_t few_sizes[IDS_FEW];
    struct spool_clearing_many {
        int64_t ids[IDS_MOST];
        uint64_t sizes[IDS_MOST];
    } * many; // NULL until they are needed
};

void spool_counted(struct account *account, uint64_t size)
{
    account->n_spooled++;
    account->spooled_bytes += size;
}

void spool_uncount(struct account *account, uint64_t n, uint64_t size)
{
    account->n_spooled -= n <= account->n_spooled ? n : account->n_spooled;
    account->spooled_bytes -= size <= account->spooled_bytes ? size : account->spooled_bytes;
    if (account->n_spooled == 0)
        account->spooled_bytes = 0;
}

static void cleared(struct store_request *request)
{
    struct spool_clearing *clearing = CONTAINER_OF(request, struct spool_clearing, op.request);
    struct account *account = clearing->account;
    if (request->result == OK) // of two sessions that had the same message one has cleared it
        spool_uncount(account, clearing->op.n_cleared, clearing->op.bytes_cleared);
    else
        log_event(LOG_WARNING, "spool-not-cleared", "account=%.*s error=%s",
                  STR_ARGS(account->jid.full), err_name(request->result));
    store_release(request);
    account_release(account);
    free(clearing->many);
    free(clearing);
}

static void send_off(struct spool_clearing *clearing)
{
    struct account *account = clearing->account;
    list_leave(&clearing->link);
    account->clearing = NULL;
    clearing->op.request.home = loop_mailbox(account->home->loop);
    clearing->op.request.done = cleared;
    clearing->op.account = account->number;
    clearing->op.n_ids = clearing->n;
    clearing->op.ids = clearing->ids;
    clearing->op.sizes = clearing->sizes;
    store_spool_clear(account->home->store, &clearing->op);
}

static void make_room(struct spool_clearing *clearing)
{
    clearing->many = malloc(sizeof *clearing->many);
    must(clearing->many != NULL);
    memcpy(clearing->many->ids, clearing->few_ids, sizeof clearing->few_ids);
    memcpy(clearing->many->sizes, clearing->few_sizes, sizeof clearing->few_sizes);
    clearing->ids = clearing->many->ids;
    clearing->sizes = clearing->many->sizes;
}

void spool_delivered(struct account *account, int64_t id, uint64_t size)
{
    struct spool_clearing *clearing = account->clearing;
    if (clearing == NULL) {
        clearing = calloc(1, sizeof *clearing);
        must(clearing != NULL);
        clearing->account = account;
        clearing->ids = clearing->few_ids;
        clearing->sizes = clearing->few_sizes;
        account_hold(account);
        account->clearing = clearing;
        list_add_last(&account->home->clearings, &clearing->link);
        loop_at_end(account->home->loop, TURN_GATHER, &account->home->clear);
    }
    if (clearing->n == IDS_FEW)
        make_room(clearing);
    clearing->sizes[clearing->n] = size;
    clearing->ids[clearing->n++] = id;
    if (clearing->n == IDS_MOST)
        send_off(clearing);
}

void spool_turn_end(struct home *home)
{
    LIST_EACH(&home->clearings, struct spool_clearing, link, clearing)
    send_off(clearing);
}
