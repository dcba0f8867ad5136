#include "im/pace.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/must.h"
#include "im/roster.h"

#include <stdlib.h>

enum {
    PEERS_MOST = 64, // beyond it the one not heard of longest is forgotten
};

// who wrote to each other within an hour talks
static const int64_t live_us = 3600 * SECOND_US;

struct pace_peer {
    uint64_t peer; // hash of the bare JID
    int64_t sent_us, received_us;
    bool composing; // since our last message to him
};

struct pace_book {
    int64_t sent_us; // the last message to anybody; 0: none
    bool composes;
    uint32_t n, room;
    struct pace_peer *peers;
    struct pace_run *run; // owned; NULL: he sends nothing encrypted
};

struct pace_run {
    struct run run;
    char *first; // owned: the bare JID of whom it began with
};

void pace_free(struct pace_book **book)
{
    struct pace_book *b = TAKE(*book);
    if (b == NULL)
        return;
    if (b->run != NULL)
        free(b->run->first);
    free(b->run);
    free(b->peers);
    free(b);
}

static struct pace_book *book_of(struct account *account)
{
    if (account->pace == NULL) {
        account->pace = calloc(1, sizeof *account->pace);
        must(account->pace != NULL);
    }
    return account->pace;
}

static int64_t last_us(const struct pace_peer *peer)
{
    return peer->sent_us > peer->received_us ? peer->sent_us : peer->received_us;
}

static struct pace_peer *find(struct pace_book *book, uint64_t hash)
{
    for (uint32_t i = 0; i < book->n; i++)
        if (book->peers[i].peer == hash)
            return &book->peers[i];
    return NULL;
}

static struct pace_peer *find_or_add(struct pace_book *book, struct str peer)
{
    uint64_t hash = hash_fast(0, peer);
    struct pace_peer *found = find(book, hash);
    if (found != NULL)
        return found;
    if (book->n == book->room && book->room < PEERS_MOST) {
        book->room = book->room == 0 ? 4 : book->room * 2;
        book->peers = realloc(book->peers, book->room * sizeof *book->peers);
        must(book->peers != NULL);
    }
    if (book->n < book->room) {
        found = &book->peers[book->n++];
    } else {
        found = &book->peers[0];
        for (uint32_t i = 1; i < book->n; i++)
            if (last_us(&book->peers[i]) < last_us(found))
                found = &book->peers[i];
    }
    *found = (struct pace_peer){.peer = hash};
    return found;
}

void pace_composing(struct account *account, struct str peer, int64_t now_us)
{
    struct pace_book *book = book_of(account);
    struct pace_peer *p = find_or_add(book, peer);
    book->composes = true;
    p->composing = true;
    (void)now_us;
}

void pace_received(struct account *account, struct str peer, int64_t now_us)
{
    find_or_add(book_of(account), peer)->received_us = now_us;
}

static int32_t roster_index(const struct account *account, struct str peer)
{
    int32_t index = 0;
    LIST_EACH(&account->roster->items, struct roster_item, link, item)
    {
        if (str_eq(item->jid.full, peer))
            return index;
        index++;
    }
    return -1;
}

void pace_sends(struct account *account, struct str peer, int64_t now_us, struct pace *out)
{
    struct pace_book *book = book_of(account);
    struct pace_peer *p = find_or_add(book, peer);
    if (out != NULL) {
        *out = (struct pace){
            .gap_us = book->sent_us != 0 ? now_us - book->sent_us : -1,
            .roster_index = roster_index(account, peer),
            .composing = p->composing,
            .composes = book->composes,
            .live = p->sent_us != 0 && p->received_us != 0 && now_us - last_us(p) < live_us,
            .account_age_us = account->created_us != 0 ? clock_wall_us() - account->created_us : -1,
        };
        // a contact in the roster was written to before, as far as anybody remembers
        out->first_contact = p->sent_us == 0 && out->roster_index < 0;
    }
    book->sent_us = now_us;
    p->sent_us = now_us;
    p->composing = false;
}

enum run_step pace_encrypted(struct account *account, struct str peer, const struct lure_key *key,
                             int64_t now_us, int64_t pause_us)
{
    struct pace_book *book = book_of(account);
    if (book->run == NULL) {
        book->run = calloc(1, sizeof *book->run);
        must(book->run != NULL);
    }
    enum run_step step = run_sends(&book->run->run, hash_fast(0, peer), key, now_us, pause_us);
    if (step == RUN_BEGINS) {
        free(book->run->first);
        book->run->first = strndup(peer.at, peer.len);
        must(book->run->first != NULL);
    }
    return step;
}

struct str pace_run_first(const struct account *account, const struct lure_key **keys, size_t *n)
{
    const struct pace_run *run = account->pace->run;
    *keys = run->run.first;
    *n = run->run.n_first;
    return str_of(run->first);
}
