#include "lab/defence.h"

#include "base/must.h"
#include "base/table.h"

#include <stdlib.h>

enum {
    FREE_RECEIVERS = 5,
    FAN_MOST = 5,
    KEYS_MOST = 50000000,
};
static const int64_t throttle_us = INT64_C(86400) * 1000000;

/* Whom somebody has written to last, the latest first, and who waits. */
struct valve {
    uint32_t free[FREE_RECEIVERS], n_free;
    struct {
        uint32_t to;
        int64_t release_us;
    } * waiting;
    uint32_t n_waiting, room;
    int64_t next_us; // no new receiver is let go before
};

/* What one sender did with one link; or, with nobody as the sender, that it is blocked. */
struct fan {
    struct {
        struct lure_key key;
        uint32_t from;
    } name;
    uint32_t n;
    uint32_t to[FAN_MOST];
};

struct defence {
    enum defence_kind kind;
    struct valve *valves; // throttle only
    uint32_t n_valves;
    struct table fans;
};

static const uint32_t nobody = UINT32_MAX;

static const char *const names[N_DEFENCES] = {"firedoor", "none",    "throttle", "stop5",
                                              "decoy5",   "decoy20", "placed5",  "url5"};

const char *defence_name(enum defence_kind kind)
{
    return names[kind];
}

bool defence_find(struct str name, enum defence_kind *out)
{
    for (size_t i = 0; i < N_DEFENCES; i++) {
        if (str_eq(name, str_of(names[i]))) {
            *out = (enum defence_kind)i;
            return true;
        }
    }
    return false;
}

double defence_decoys(enum defence_kind kind)
{
    if (kind == DEFENCE_DECOY5 || kind == DEFENCE_PLACED5)
        return 0.05;
    return kind == DEFENCE_DECOY20 ? 0.2 : 0;
}

bool defence_places(enum defence_kind kind)
{
    return kind == DEFENCE_PLACED5 || kind == DEFENCE_FIREDOOR;
}

struct defence *defence_new(enum defence_kind kind, uint32_t people)
{
    struct defence *defence = calloc(1, sizeof *defence);
    must(defence != NULL);
    defence->kind = kind;
    table_init(&defence->fans, KEYS_MOST);
    if (kind == DEFENCE_THROTTLE) {
        defence->n_valves = people;
        defence->valves = calloc(people, sizeof *defence->valves);
        must(defence->valves != NULL);
    }
    return defence;
}

void defence_free(struct defence **at)
{
    struct defence *defence = TAKE(*at);
    if (defence == NULL)
        return;
    size_t walk = 0;
    for (struct fan *fan; (fan = table_next(&defence->fans, &walk)) != NULL;)
        free(fan);
    table_done(&defence->fans);
    for (uint32_t i = 0; i < defence->n_valves; i++)
        free(defence->valves[i].waiting);
    free(defence->valves);
    free(defence);
}

/* ---- The throttle ---- */

static void set_free(struct valve *valve, uint32_t to, uint32_t at)
{
    memmove(valve->free + 1, valve->free, at * sizeof *valve->free);
    valve->free[0] = to;
}

static void let_in(struct valve *valve, uint32_t to)
{
    if (valve->n_free < FREE_RECEIVERS)
        valve->n_free++;
    set_free(valve, to, valve->n_free - 1);
}

static int64_t throttle(struct valve *valve, uint32_t to, int64_t now_us)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < valve->n_waiting; i++) {
        if (valve->waiting[i].release_us <= now_us)
            let_in(valve, valve->waiting[i].to);
        else
            valve->waiting[kept++] = valve->waiting[i];
    }
    valve->n_waiting = kept;
    for (uint32_t i = 0; i < valve->n_free; i++) {
        if (valve->free[i] == to) {
            set_free(valve, to, i);
            return 0;
        }
    }
    if (valve->n_free < FREE_RECEIVERS) { // the first five are nobody's news
        let_in(valve, to);
        return 0;
    }
    for (uint32_t i = 0; i < valve->n_waiting; i++)
        if (valve->waiting[i].to == to)
            return valve->waiting[i].release_us;
    if (valve->next_us <= now_us) {
        valve->next_us = now_us + throttle_us;
        let_in(valve, to);
        return 0;
    }
    if (valve->n_waiting == valve->room) {
        valve->room = valve->room == 0 ? 8 : 2 * valve->room;
        valve->waiting = realloc(valve->waiting, valve->room * sizeof *valve->waiting);
        must(valve->waiting != NULL);
    }
    int64_t release_us = valve->next_us;
    valve->waiting[valve->n_waiting].to = to;
    valve->waiting[valve->n_waiting++].release_us = release_us;
    valve->next_us += throttle_us;
    return release_us;
}

/* ---- Links ---- */

static struct fan *fan_of(struct defence *defence, const struct lure_key *key, uint32_t from,
                          bool make)
{
    struct fan wanted = {
        .name = {*key, from}
    };
    struct str name = {(const char *)&wanted.name, sizeof wanted.name};
    struct fan *fan = table_get(&defence->fans, name);
    if (fan != NULL || !make)
        return fan;
    fan = malloc(sizeof *fan);
    must(fan != NULL);
    *fan = wanted;
    must(table_put(&defence->fans, str_make((const char *)&fan->name, sizeof fan->name), fan) ==
         OK);
    return fan;
}

static bool has_sent_to(const struct fan *fan, uint32_t to)
{
    for (uint32_t i = 0; i < fan->n; i++)
        if (fan->to[i] == to)
            return true;
    return false;
}

static void judge_link(struct defence *defence, uint32_t from, uint32_t to, bool to_decoy,
                       const struct lure_key *key, struct ruling *ruling)
{
    bool shared = defence->kind != DEFENCE_STOP5;
    if (shared && fan_of(defence, key, nobody, false) != NULL) {
        ruling->refused = true;
        return;
    }
    if (defence_decoys(defence->kind) > 0) {
        if (to_decoy) {
            fan_of(defence, key, nobody, true);
            ruling->blocks = true;
        }
        return;
    }
    struct fan *fan = fan_of(defence, key, from, true);
    if (has_sent_to(fan, to))
        return;
    if (fan->n == FAN_MOST) { // stop5
        ruling->refused = true;
        return;
    }
    fan->to[fan->n++] = to;
    if (shared && fan->n == FAN_MOST) {
        fan_of(defence, key, nobody, true);
        ruling->blocks = true;
    }
}

struct ruling defence_judge(struct defence *defence, uint32_t from, uint32_t to, bool to_decoy,
                            const struct lure_key *keys, size_t n_keys, int64_t now_us)
{
    struct ruling ruling = {0};
    switch (defence->kind) {
    case DEFENCE_FIREDOOR:
    case DEFENCE_NONE:
    case N_DEFENCES:
        break;
    case DEFENCE_THROTTLE:
        must(from < defence->n_valves);
        ruling.release_us = throttle(&defence->valves[from], to, now_us);
        break;
    case DEFENCE_STOP5:
    case DEFENCE_DECOY5:
    case DEFENCE_DECOY20:
    case DEFENCE_PLACED5:
    case DEFENCE_URL5:
        for (size_t i = 0; i < n_keys; i++)
            judge_link(defence, from, to, to_decoy, &keys[i], &ruling);
        break;
    }
    return ruling;
}
