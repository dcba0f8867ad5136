/*
 * `decoy refresh`: some decoys leave the rosters that they were put into, and
 * others go elsewhere, by the graph of who knows whom among the people who are
 * here now.
 *
 * What is to be done is only written down (decoy_places.h); decoy_mover.c does
 * it, little by little.  Those placed longest go first; in their stead come
 * decoys of the same domain that are placed nowhere, or else they themselves,
 * to other people.  Those who go stay decoys: a worm may have kept their
 * addresses.  It runs by itself every decoys.refresh.
 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "daemon/decoy_places.h"
#include "daemon/decoy_refresh.h"
#include "daemon/decoy_town.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, PLACES_MOST = 1 << 22, SETTING_MOST = 2048 };

struct pool_decoy {
    struct str bare;
    struct str name;    // what its holders call it
    int64_t placed_us;  // the first of its places; 0: it is placed nowhere
    uint32_t n_holders; // that hold it now
    bool goes;          // out of their rosters
    uint32_t n_new;     // people that shall hold it
};

struct place {
    struct str key, decoy, holder, name;
    int64_t at_us;
};

struct refresh {
    struct decoy_town town;
    struct command_call *call;
    struct daemon *daemon;
    struct arena arena; // of everything below
    struct place *places;
    size_t n_places, room_places;
    struct table holders; // by bare JID
    struct pool_decoy *pool;
    size_t n_pool;
    struct pool_decoy **coming; // a place of these for each that is to be written
    size_t n_coming, n_going, at;
    uint32_t n_out, n_in;
    int64_t since_us; // who was not seen since then is left out

    union {
        struct store_request request;
        struct store_record_list list;
        struct store_record_put put;
    } op;
};

static struct refresh *refresh_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct refresh, op.request);
}

static struct refresh *refresh_of_town(struct decoy_town *town)
{
    return CONTAINER_OF(town, struct refresh, town);
}

static void refresh_done(struct refresh *refresh)
{
    decoy_town_done(&refresh->town);
    table_done(&refresh->holders);
    arena_done(&refresh->arena);
    free(refresh->places);
    free(refresh->pool);
    free(refresh->coming);
}

static void break_off(struct refresh *refresh, enum err e, const char *why)
{
    struct command_call *call = refresh->call;
    refresh_done(refresh);
    command_fail(call, e, "%s", why);
}

static void town_failed(struct decoy_town *town, enum err e, const char *why)
{
    break_off(refresh_of_town(town), e, why);
}

static bool ask(struct refresh *refresh, void (*then)(struct store_request *request))
{
    if (refresh->daemon->store == NULL || refresh->call->cancelled) {
        break_off(refresh, ERR_CLOSED, "it was broken off");
        return false;
    }
    memset(&refresh->op, 0, sizeof refresh->op);
    refresh->op.request.home = loop_mailbox(refresh->daemon->loop);
    refresh->op.request.done = then;
    return true;
}

/* ---- 5. Writing down what is to be done ---- */

static void write_next(struct refresh *refresh);

static void finish(struct refresh *refresh)
{
    struct command_call *call = refresh->call;
    bool tries = argument_given(call, "try");
    json_t *going = json_array(), *coming = json_array();
    for (size_t i = 0; i < refresh->n_pool; i++) {
        const struct pool_decoy *decoy = &refresh->pool[i];
        if (decoy->goes)
            json_array_append_new(going, json_of(decoy->bare));
        if (decoy->n_new > 0)
            json_array_append_new(coming, json_of(decoy->bare));
    }
    json_t *result = json_pack("{s:o, s:o, s:I, s:I, s:f}", "go", going, "come", coming, "removals",
                               (json_int_t)refresh->n_out, "additions", (json_int_t)refresh->n_in,
                               "near_share", refresh->town.near);
    if (!tries)
        log_event(LOG_NOTICE, "decoys-refresh", "domain=%.*s removals=%u additions=%u",
                  STR_ARGS(refresh->town.domain), refresh->n_out, refresh->n_in);
    refresh_done(refresh);
    command_done(call, result);
}

static void is_stamped(struct store_request *request)
{
    struct refresh *refresh = refresh_of(request);
    enum err e = request->result;
    store_release(request);
    if (e != OK)
        break_off(refresh, e, "store: the time of the refresh could not be written down");
    else
        finish(refresh);
}

static void stamp(struct refresh *refresh)
{
    if (!ask(refresh, is_stamped))
        return;
    refresh->op.put.kind = STORE_SETTING;
    refresh->op.put.record.key = decoy_refresh_setting(&refresh->arena, refresh->town.domain);
    refresh->op.put.record.value =
        arena_printf(&refresh->arena, "%lld", (long long)clock_wall_us());
    store_record_put(refresh->daemon->store, &refresh->op.put);
}

static void is_written(struct store_request *request)
{
    struct refresh *refresh = refresh_of(request);
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        break_off(refresh, e, "store: what is to be done could not be written down");
        return;
    }
    refresh->at++;
    write_next(refresh);
}

static bool goes(const struct refresh *refresh, struct str bare)
{
    for (size_t i = 0; i < refresh->n_pool; i++)
        if (str_eq(refresh->pool[i].bare, bare))
            return refresh->pool[i].goes;
    return false;
}

static void put_place(struct refresh *refresh, struct str decoy, struct str holder,
                      struct str group, struct str name)
{
    if (!ask(refresh, is_written))
        return;
    refresh->op.put.kind = STORE_DECOY;
    refresh->op.put.record = decoy_place_record(&refresh->arena, decoy, holder, group, name);
    store_record_put(refresh->daemon->store, &refresh->op.put);
}

static void write_next(struct refresh *refresh)
{
    while (refresh->at < refresh->n_places && !goes(refresh, refresh->places[refresh->at].decoy))
        refresh->at++;
    if (refresh->at < refresh->n_places) {
        const struct place *place = &refresh->places[refresh->at];
        put_place(refresh, place->decoy, place->holder, PLACE_LEAVING, place->name);
        return;
    }
    size_t i = refresh->at - refresh->n_places;
    if (i < refresh->n_in) {
        const struct decoy_town *town = &refresh->town;
        const struct pool_decoy *decoy = refresh->coming[i % refresh->n_coming];
        put_place(refresh, decoy->bare, town->people[town->chosen[i]].bare, PLACE_DUE, decoy->name);
        return;
    }
    stamp(refresh);
}

/* ---- 4. Where they go ---- */

static void is_chosen(struct decoy_town *town)
{
    struct refresh *refresh = refresh_of_town(town);
    refresh->n_in = refresh->n_coming > 0 ? town->n_chosen : 0;
    for (uint32_t i = 0; i < refresh->n_in; i++)
        refresh->coming[i % refresh->n_coming]->n_new++;
    if (argument_given(refresh->call, "try"))
        finish(refresh);
    else
        write_next(refresh);
}

/* ---- 3. Who goes, and who comes ---- */

// Placed longest first; those placed nowhere behind them.
static int compare_decoys(const void *a, const void *b)
{
    const struct pool_decoy *x = a, *y = b;
    if ((x->placed_us == 0) != (y->placed_us == 0))
        return x->placed_us == 0 ? 1 : -1;
    if (x->placed_us != y->placed_us)
        return x->placed_us < y->placed_us ? -1 : 1;
    return str_cmp(x->bare, y->bare);
}

// Who is called by a name of his own keeps it; else he is called as his address has it.
static struct str name_of(struct refresh *refresh, struct str bare)
{
    struct str local = jid_of_prepared(bare).local;
    char *name = arena_alloc(&refresh->arena, local.len + 1);
    bool begins = true;
    for (size_t i = 0; i < local.len; i++) {
        char c = local.at[i] == '.' || local.at[i] == '_' || local.at[i] == '-' ? ' ' : local.at[i];
        name[i] = begins && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        begins = c == ' ';
    }
    return str_make(name, local.len);
}

static void fill_pool(struct refresh *refresh)
{
    const struct decoy_town *town = &refresh->town;
    refresh->pool = calloc(town->decoys.n + 1, sizeof *refresh->pool);
    refresh->coming = calloc(town->decoys.n + 1, sizeof(struct pool_decoy *));
    must(refresh->pool != NULL && refresh->coming != NULL);
    struct table by_name;
    table_init(&by_name, SIZE_MAX);
    for (uint32_t i = 0; i < town->n_people; i++) {
        struct str bare = town->people[i].bare;
        if (!decoy_town_is_decoy(town, bare))
            continue;
        struct pool_decoy *decoy = &refresh->pool[refresh->n_pool++];
        decoy->bare = bare;
        decoy->name = STR_EMPTY;
        (void)!table_put(&by_name, bare, decoy);
    }
    for (size_t i = 0; i < refresh->n_places; i++) {
        const struct place *place = &refresh->places[i];
        struct pool_decoy *decoy = table_get(&by_name, place->decoy);
        if (decoy == NULL) // no decoy any more: the mover leaves it alone
            continue;
        decoy->n_holders++;
        decoy->name = place->name;
        if (decoy->placed_us == 0 || place->at_us < decoy->placed_us)
            decoy->placed_us = place->at_us;
    }
    table_done(&by_name);
    if (refresh->n_pool > 0)
        qsort(refresh->pool, refresh->n_pool, sizeof *refresh->pool, compare_decoys);
}

static void comes(struct refresh *refresh, struct pool_decoy *decoy)
{
    if (decoy->name.len == 0)
        decoy->name = name_of(refresh, decoy->bare);
    refresh->coming[refresh->n_coming++] = decoy;
}

static void is_read(struct decoy_town *town)
{
    struct refresh *refresh = refresh_of_town(town);
    fill_pool(refresh);
    size_t n_placed = 0;
    while (n_placed < refresh->n_pool && refresh->pool[n_placed].placed_us != 0)
        n_placed++;
    double share = refresh->daemon->config->decoys.refresh_share;
    size_t n_going = (size_t)(share * (double)n_placed + 0.5);
    refresh->n_going = n_placed == 0 ? 0 : n_going == 0 ? 1 : n_going;
    for (size_t i = 0; i < refresh->n_going; i++) {
        refresh->pool[i].goes = true;
        refresh->n_out += refresh->pool[i].n_holders;
    }
    for (size_t i = n_placed; i < refresh->n_pool && refresh->n_coming < refresh->n_going; i++)
        comes(refresh, &refresh->pool[i]);
    for (size_t i = 0; refresh->n_coming < refresh->n_going; i++)
        comes(refresh, &refresh->pool[i]);
    town->then = is_chosen;
    decoy_town_choose(town, refresh->n_out);
}

// Who holds a decoy, or held one that goes, gets none this time; nor who has not been here of late.
static bool leaves_out(struct decoy_town *town, const struct store_account *account,
                       struct str bare)
{
    struct refresh *refresh = refresh_of_town(town);
    int64_t seen_us = account->created_us;
    if (account->login_us > seen_us)
        seen_us = account->login_us;
    if (account->active_us > seen_us)
        seen_us = account->active_us;
    return seen_us < refresh->since_us || table_get(&refresh->holders, bare) != NULL;
}

/* ---- 2. What is written down ---- */

static void list_places(struct refresh *refresh);

static void add_place(struct refresh *refresh, const struct store_record *record)
{
    struct arena *arena = &refresh->arena;
    if (!str_eq(jid_of_prepared(record->subject).domain, refresh->town.domain))
        return;
    if (refresh->n_places == refresh->room_places) {
        refresh->room_places = refresh->room_places * 2 + PAGE;
        refresh->places = realloc(refresh->places, refresh->room_places * sizeof *refresh->places);
        must(refresh->places != NULL);
    }
    struct place *place = &refresh->places[refresh->n_places++];
    place->key = arena_str(arena, record->key);
    place->decoy = arena_str(arena, record->subject);
    place->holder = decoy_place_holder(place->key);
    place->name = arena_str(arena, record->value);
    place->at_us = record->created_us;
    (void)!table_put(&refresh->holders, place->holder, refresh);
}

static void places_listed(struct store_request *request)
{
    struct refresh *refresh = refresh_of(request);
    struct store_record_list *list = &refresh->op.list;
    enum err e = request->result;
    for (uint32_t i = 0; e == OK && i < list->n; i++)
        add_place(refresh, &list->records[i]);
    bool more = e == OK && list->more;
    store_release(request);
    if (e != OK)
        break_off(refresh, e, "store: the places of the decoys could not be read");
    else if (refresh->n_places > PLACES_MOST)
        break_off(refresh, ERR_LIMIT, "there are too many places");
    else if (more)
        list_places(refresh);
    else
        decoy_town_read(&refresh->town);
}

static void list_places(struct refresh *refresh)
{
    struct str after =
        refresh->n_places > 0 ? refresh->places[refresh->n_places - 1].key : STR_EMPTY;
    if (!ask(refresh, places_listed))
        return;
    refresh->op.list.kind = STORE_DECOY;
    refresh->op.list.group = PLACE_PLACED;
    refresh->op.list.after_key = after;
    refresh->op.list.most = PAGE;
    store_record_list(refresh->daemon->store, &refresh->op.list);
}

/* ---- 1. Whether the one before is over ---- */

static void look_for_left(struct refresh *refresh);

static void left_listed(struct store_request *request)
{
    struct refresh *refresh = refresh_of(request);
    enum err e = request->result;
    bool any = e == OK && refresh->op.list.n > 0;
    store_release(request);
    if (e != OK) {
        break_off(refresh, e, "store: the places of the decoys could not be read");
    } else if (any) {
        break_off(refresh, ERR_BUSY, "the refresh before is not over yet");
    } else if (++refresh->at < 3) {
        look_for_left(refresh);
    } else {
        refresh->at = 0;
        list_places(refresh);
    }
}

static void look_for_left(struct refresh *refresh)
{
    const struct str groups[] = {PLACE_DUE, PLACE_PLACING, PLACE_LEAVING};
    if (!ask(refresh, left_listed))
        return;
    refresh->op.list.kind = STORE_DECOY;
    refresh->op.list.group = groups[refresh->at];
    refresh->op.list.most = 1;
    store_record_list(refresh->daemon->store, &refresh->op.list);
}

static void run_refresh(struct command_call *call)
{
    struct refresh *refresh = arena_make(&call->arena, struct refresh);
    struct str domain = argument_text(call, "domain");
    call->only_looks = argument_given(call, "try");
    refresh->call = call;
    refresh->daemon = call->context;
    const struct config *config = refresh->daemon->config;
    arena_init(&refresh->arena, SIZE_MAX / 2); // bounded by PLACES_MOST
    table_init(&refresh->holders, SIZE_MAX);
    if (domain.len == 0)
        domain = config->domains[0].name;
    refresh->since_us = clock_wall_us() - config->decoys.here_us;
    refresh->town = (struct decoy_town){
        .call = call,
        .daemon = call->context,
        .domain = arena_str(&call->arena, domain),
        .leaves_out = leaves_out,
        .then = is_read,
        .failed = town_failed,
    };
    look_for_left(refresh);
}

static const struct command rows[] = {
    {
     .name = "decoy refresh",
     .doc = "Takes some decoys out of rosters, little by little, and puts others elsewhere.",
     .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .scope = "domain",
     .run = run_refresh,
     .arguments = {{"domain", ARGUMENT_DOMAIN, 0, NULL,
                       "Of which domain; the first if not said."},
                      {"try", ARGUMENT_FLAG, 0, NULL, "Only says which would go and come."},
                      ARGUMENT_REASON},
     },
};

void commands_add_decoy_refresh(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
