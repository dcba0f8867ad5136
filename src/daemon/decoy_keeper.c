/*
 * A round: the guard is asked which accounts are decoys, every home is told and
 * says who is there, and what it said makes the shares of the next round.
 * Where there are no decoys the homes are left alone.
 */
#include "daemon/decoy_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "base/table.h"
#include "daemon/duty.h"
#include "im/decoys.h"
#include "im/gate_errand.h"
#include "route/own.h"

#include <stdlib.h>

enum { PORTRAITS_MOST = 64, NAMES_MOST_BYTES = 256 << 20, DECOYS_MOST = 65536 };
static const int64_t first_us = 2 * SECOND_US, count_each_us = 3600 * SECOND_US,
                     active_us = 14 * 86400 * SECOND_US;

struct seen_portrait {
    struct known_portrait known;
    struct table people; // who had it; their names are the values, own memory
    int64_t seen_us;
};

struct keeper_domain {
    struct str name;
    uint64_t n_active; // people seen of late; decoys among them
    uint64_t n_decoys;
};

struct decoy_keeper {
    struct duty duty;
    struct service *service;
    const struct config *(*config)(void *context);
    void *context;
    bool told; // the homes know of decoys

    struct gate_errand gate;
    struct arena arena; // of the names, and of the domains; for one round
    struct str *names;
    size_t n_names, room;

    const struct config *domains_of;
    struct keeper_domain *domains;
    size_t n_domains, counting;
    int64_t counted_us; // loop time; 0: never
    struct store_account_count count;

    struct decoys_round *rounds; // of each home
    unsigned n_out;
    double *shares; // of domains

    struct seen_portrait *seen;
    size_t n_seen;
    struct known_portrait *usable; // borrowed from seen
};

static int64_t every_us(const struct decoy_keeper *keeper)
{
    return keeper->config(keeper->context)->decoys.look_us;
}

static void round_over(struct decoy_keeper *keeper)
{
    arena_reset(&keeper->arena);
    duty_rest(&keeper->duty, every_us(keeper));
}

/* ---- 4. What the homes said ---- */

static void forget_portrait(struct decoy_keeper *keeper, size_t at)
{
    struct seen_portrait *seen = &keeper->seen[at];
    size_t each = 0;
    for (char *name; (name = table_next(&seen->people, &each)) != NULL;)
        free(name);
    table_done(&seen->people);
    for (unsigned i = 0; i < seen->known.n_sitters; i++) {
        own_str_free(&seen->known.sitters[i].account);
        own_str_free(&seen->known.sitters[i].resource);
    }
    portrait_unref(&seen->known.portrait);
    keeper->seen[at] = keeper->seen[--keeper->n_seen];
}

static struct seen_portrait *portrait_like(struct decoy_keeper *keeper, struct portrait *portrait)
{
    size_t oldest = 0;
    for (size_t i = 0; i < keeper->n_seen; i++) {
        if (str_eq(keeper->seen[i].known.portrait->key, portrait->key))
            return &keeper->seen[i];
        if (keeper->seen[i].seen_us < keeper->seen[oldest].seen_us)
            oldest = i;
    }
    if (keeper->n_seen == PORTRAITS_MOST)
        forget_portrait(keeper, oldest);
    struct seen_portrait *seen = &keeper->seen[keeper->n_seen++];
    memset(seen, 0, sizeof *seen);
    seen->known.portrait = portrait_ref(portrait);
    table_init(&seen->people, 10000);
    return seen;
}

static struct portrait_sitter *sitter_for(struct known_portrait *known, struct str account)
{
    for (unsigned i = 0; i < known->n_sitters; i++)
        if (str_eq(known->sitters[i].account, account))
            return &known->sitters[i];
    if (known->n_sitters < COUNT_OF(known->sitters))
        return &known->sitters[known->n_sitters++];
    return &known->sitters[random_u64() % known->n_sitters];
}

static void learn(struct decoy_keeper *keeper, const struct portrait_made *made)
{
    struct seen_portrait *seen = portrait_like(keeper, made->portrait);
    struct known_portrait *known = &seen->known;
    seen->seen_us = loop_now_us(keeper->duty.loop);
    if (table_get(&seen->people, made->account) == NULL && seen->people.n < 10000) {
        char *name = malloc(made->account.len + 1);
        must(name != NULL);
        memcpy(name, made->account.at, made->account.len);
        if (table_put(&seen->people, str_make(name, made->account.len), name) != OK)
            free(name);
        known->n_people = (unsigned)seen->people.n;
    }
    struct portrait_sitter *sitter = sitter_for(known, made->account);
    own_str_free(&sitter->account);
    own_str_free(&sitter->resource);
    sitter->account = own_str(made->account);
    sitter->resource = own_str(made->resource);
    sitter->delay_us = made->delay_us;
}

static void note_shares(struct decoy_keeper *keeper)
{
    for (size_t d = 0; d < keeper->n_domains; d++) {
        const struct keeper_domain *domain = &keeper->domains[d];
        uint64_t n_here = 0;
        for (unsigned i = 0; i < keeper->service->homes.n; i++)
            n_here += keeper->rounds[i].domains[d].n_here;
        uint64_t n = domain->n_active > domain->n_decoys ? domain->n_active - domain->n_decoys : 0;
        if (n < n_here)
            n = n_here;
        keeper->shares[d] = n > 0 ? (double)n_here / (double)n : 0;
    }
}

static void home_is_back(struct decoys_round *round)
{
    struct decoy_keeper *keeper = round->context;
    uint64_t n_there = 0, n_usable = 0;
    LIST_EACH(&round->made, struct portrait_made, link, made)
    {
        learn(keeper, made);
        portrait_made_free(&made);
    }
    if (--keeper->n_out > 0)
        return;
    note_shares(keeper);
    unsigned alike = (unsigned)keeper->config(keeper->context)->decoys.alike;
    for (size_t i = 0; i < keeper->n_seen; i++)
        n_usable += keeper->seen[i].known.n_people >= alike;
    for (unsigned i = 0; i < keeper->service->homes.n; i++)
        n_there += keeper->rounds[i].n_there;
    atomic_store(&keeper->service->n_decoys_there, n_there);
    atomic_store(&keeper->service->n_decoy_portraits, n_usable);
    round_over(keeper);
}

/* ---- 3. Telling the homes ---- */

static size_t usable_portraits(struct decoy_keeper *keeper)
{
    unsigned alike = (unsigned)keeper->config(keeper->context)->decoys.alike;
    size_t n = 0;
    for (size_t i = 0; i < keeper->n_seen; i++)
        if (keeper->seen[i].known.n_people >= alike)
            keeper->usable[n++] = keeper->seen[i].known;
    return n;
}

static void tell_homes(struct decoy_keeper *keeper)
{
    const struct homes *homes = &keeper->service->homes;
    size_t n_portraits = usable_portraits(keeper);
    keeper->n_out = homes->n;
    keeper->told = keeper->n_names > 0;
    for (unsigned i = 0; i < homes->n; i++) {
        struct decoys_round *round = &keeper->rounds[i];
        *round = (struct decoys_round){
            .home = homes->at[i],
            .back = keeper->duty.loop,
            .done = home_is_back,
            .context = keeper,
            .names = keeper->names,
            .n_names = keeper->n_names,
            .portraits = keeper->usable,
            .n_portraits = n_portraits,
            .domains = arena_make_array(&keeper->arena, struct decoys_domain, keeper->n_domains),
            .n_domains = keeper->n_domains,
            .every_us = every_us(keeper),
        };
        for (size_t d = 0; d < keeper->n_domains; d++)
            round->domains[d] =
                (struct decoys_domain){.name = keeper->domains[d].name, .share = keeper->shares[d]};
    }
    for (unsigned i = 0; i < homes->n; i++)
        decoys_round_send(&keeper->rounds[i]);
}

/* ---- 2. How many people there are ---- */

static void count_next(struct decoy_keeper *keeper);

static void counted(struct store_request *request)
{
    struct decoy_keeper *keeper = CONTAINER_OF(request, struct decoy_keeper, count.request);
    if (request->result == OK)
        keeper->domains[keeper->counting].n_active = keeper->count.n_active;
    else
        log_event(LOG_WARNING, "people-not-counted", "error=%s", err_name(request->result));
    store_release(request);
    keeper->counting++;
    count_next(keeper);
}

static void count_next(struct decoy_keeper *keeper)
{
    if (keeper->counting == keeper->n_domains || keeper->duty.ends) {
        keeper->counted_us = loop_now_us(keeper->duty.loop);
        tell_homes(keeper);
        return;
    }
    memset(&keeper->count, 0, sizeof keeper->count);
    keeper->count.domain = keeper->domains[keeper->counting].name;
    keeper->count.active_since_us = clock_wall_us() - active_us;
    keeper->count.request.home = loop_mailbox(keeper->duty.loop);
    keeper->count.request.done = counted;
    store_account_count(keeper->service->store, &keeper->count);
}

static void know_domains(struct decoy_keeper *keeper, const struct config *config)
{
    if (keeper->domains_of == config)
        return;
    config_unref(&keeper->domains_of);
    keeper->domains_of = config_ref(config); // its texts are borrowed
    free(keeper->domains);
    free(keeper->shares);
    keeper->n_domains = config->n_domains;
    keeper->domains = calloc(config->n_domains, sizeof *keeper->domains);
    keeper->shares = calloc(config->n_domains, sizeof *keeper->shares);
    must(keeper->domains != NULL && keeper->shares != NULL);
    for (size_t i = 0; i < config->n_domains; i++)
        keeper->domains[i].name = config->domains[i].name;
    keeper->counted_us = 0;
}

static void count_decoys(struct decoy_keeper *keeper)
{
    for (size_t d = 0; d < keeper->n_domains; d++) {
        keeper->domains[d].n_decoys = 0;
        for (size_t i = 0; i < keeper->n_names; i++)
            keeper->domains[d].n_decoys +=
                str_eq(jid_of_prepared(keeper->names[i]).domain, keeper->domains[d].name);
    }
}

/* ---- 1. Who is a decoy ---- */

static void note_decoy(void *context, const struct guard_rule *rule)
{
    struct decoy_keeper *keeper = context;
    if (rule->kind != RULE_DECOY || keeper->n_names == keeper->room)
        return;
    keeper->names[keeper->n_names++] = arena_str(&keeper->arena, rule->account);
}

static void look_for_decoys(struct gate_errand *gate, const struct guard *guard)
{
    struct decoy_keeper *keeper = CONTAINER_OF(gate, struct decoy_keeper, gate);
    struct guard_state state;
    guard_state(guard, &state);
    keeper->room = state.n_decoys < DECOYS_MOST ? (size_t)state.n_decoys : DECOYS_MOST;
    keeper->names = arena_make_array(&keeper->arena, struct str, keeper->room + 1);
    if (keeper->room > 0)
        guard_rules(guard, note_decoy, keeper);
}

static void decoys_known(struct gate_errand *gate)
{
    struct decoy_keeper *keeper = CONTAINER_OF(gate, struct decoy_keeper, gate);
    const struct config *config = keeper->config(keeper->context);
    int64_t now_us = loop_now_us(keeper->duty.loop);
    if (keeper->duty.ends || (keeper->n_names == 0 && !keeper->told)) {
        round_over(keeper);
        return;
    }
    know_domains(keeper, config);
    if (!config->decoys.presence)
        keeper->n_names = 0;
    count_decoys(keeper);
    if (keeper->counted_us != 0 && now_us - keeper->counted_us < count_each_us) {
        tell_homes(keeper);
        return;
    }
    keeper->counting = 0;
    count_next(keeper);
}

static void begin_round(struct duty *duty)
{
    struct decoy_keeper *keeper = CONTAINER_OF(duty, struct decoy_keeper, duty);
    keeper->n_names = 0;
    keeper->gate.look = look_for_decoys;
    keeper->gate.done = decoys_known;
    gate_errand_send(keeper->service->gate, &keeper->gate, keeper->duty.loop);
}

/* ---- Its life ---- */

struct decoy_keeper *decoy_keeper_new(struct loop *loop, struct service *service,
                                      const struct config *(*config)(void *context), void *context)
{
    struct decoy_keeper *keeper = calloc(1, sizeof *keeper);
    must(keeper != NULL);
    keeper->service = service;
    keeper->config = config;
    keeper->context = context;
    keeper->rounds = calloc(service->homes.n, sizeof *keeper->rounds);
    keeper->seen = calloc(PORTRAITS_MOST, sizeof *keeper->seen);
    keeper->usable = calloc(PORTRAITS_MOST, sizeof *keeper->usable);
    must(keeper->rounds != NULL && keeper->seen != NULL && keeper->usable != NULL);
    arena_init(&keeper->arena, NAMES_MOST_BYTES);
    int64_t look_us = every_us(keeper);
    duty_init(&keeper->duty, loop, look_us < first_us ? look_us : first_us, begin_round);
    return keeper;
}

void decoy_keeper_free(struct decoy_keeper **keeper)
{
    struct decoy_keeper *k = TAKE(*keeper);
    if (k == NULL)
        return;
    duty_done(&k->duty);
    while (k->n_seen > 0)
        forget_portrait(k, k->n_seen - 1);
    arena_done(&k->arena);
    config_unref(&k->domains_of);
    free(k->domains);
    free(k->shares);
    free(k->rounds);
    free(k->seen);
    free(k->usable);
    free(k);
}
