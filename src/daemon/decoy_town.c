/*
 * The rosters of the domain are read, one account after the other, as a graph
 * of who knows whom.
 */
#include "daemon/decoy_town.h"

#include "base/must.h"
#include "daemon/server.h"
#include "guard/placement.h"
#include "im/desk.h"
#include "xmpp/jid.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 500,
    PEOPLE_MOST = 1 << 24,
    TIES_MOST = 1 << 28, // of 8 bytes each
    PROGRESS_EACH = 1000,
};

void decoy_town_done(struct decoy_town *town)
{
    arena_done(&town->names);
    table_done(&town->by_name);
    table_done(&town->decoys);
    free(town->people);
    free(town->ties);
    free(town->chosen);
}

// False, and the command has ended, where nothing more can be asked of the store.
static bool ask(struct decoy_town *town, void (*then)(struct store_request *request))
{
    if (town->daemon->store == NULL || town->call->cancelled) {
        town->failed(town, ERR_CLOSED, "it was broken off");
        return false;
    }
    town->op.request.home = loop_mailbox(town->daemon->loop);
    town->op.request.done = then;
    return true;
}

static struct decoy_town *town_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct decoy_town, op.request);
}

/* ---- 4. Choosing, in the kitchen ---- */

static void choose(struct job *job)
{
    struct decoy_town *town = CONTAINER_OF(job, struct decoy_town, job);
    struct placement_graph *graph = placement_graph_new(town->n_people, town->ties, town->n_ties);
    town->chosen = calloc((size_t)town->wanted + 1, sizeof *town->chosen);
    bool *left_out = calloc((size_t)town->n_people + 1, sizeof *left_out);
    must(town->chosen != NULL && left_out != NULL);
    for (uint32_t i = 0; i < town->n_people; i++)
        left_out[i] = town->people[i].left_out;
    town->n_chosen = placement_choose(graph, left_out, town->wanted, town->chosen);
    for (uint32_t i = 0; i < town->n_chosen; i++)
        town->people[town->chosen[i]].chosen = true;
    town->near = placement_coverage(graph, town->chosen, town->n_chosen);
    free(left_out);
    placement_graph_free(&graph);
}

static void is_chosen(struct job *job)
{
    struct decoy_town *town = CONTAINER_OF(job, struct decoy_town, job);
    town->then(town);
}

void decoy_town_choose(struct decoy_town *town, uint32_t wanted)
{
    town->wanted = wanted < town->n_people ? wanted : town->n_people;
    town->job.run = choose;
    town->job.done = is_chosen;
    if (town->daemon->kitchen == NULL ||
        kitchen_order(town->daemon->kitchen, &town->job, town->daemon->loop) != OK)
        town->failed(town, ERR_BUSY, "the server has too much to do");
}

/* ---- 3. Reading the rosters ---- */

static void load_next(struct decoy_town *town);

static void add_tie(struct decoy_town *town, uint32_t a, uint32_t b)
{
    if (town->n_ties == town->room_ties) {
        town->room_ties = town->room_ties * 2 + 4096;
        town->ties = realloc(town->ties, town->room_ties * sizeof *town->ties);
        must(town->ties != NULL);
    }
    town->ties[town->n_ties++] = placement_pair(a, b);
}

static void roster_read(struct store_request *request)
{
    struct decoy_town *town = town_of(request);
    enum err e = request->result;
    struct decoy_person *person = &town->people[town->at];
    for (uint32_t i = 0; e == OK && i < town->op.load.n_items; i++) {
        const struct store_roster_item *item = &town->op.load.items[i];
        const struct decoy_person *other = table_get(&town->by_name, item->jid);
        if (town->on_item != NULL)
            town->on_item(town, person, item);
        // decoys are nobody's friends
        if (other != NULL && !decoy_town_is_decoy(town, item->jid) &&
            !decoy_town_is_decoy(town, person->bare))
            add_tie(town, person->index, other->index);
    }
    store_release(request);
    if (e != OK && e != ERR_MISSING) { // deleted meanwhile: without contacts
        town->failed(town, e, "store: a roster could not be read");
    } else if (town->n_ties > TIES_MOST) {
        town->failed(town, ERR_LIMIT, "there are too many contacts");
    } else {
        town->at++;
        load_next(town);
    }
}

static void load_next(struct decoy_town *town)
{
    if (town->at == town->n_people) {
        town->then(town);
        return;
    }
    if (town->at > 0 && town->at % PROGRESS_EACH == 0)
        command_progress(town->call, json_pack("{s:I}", "rosters", (json_int_t)town->at));
    memset(&town->op, 0, sizeof town->op);
    town->op.load.by_number = town->people[town->at].number;
    if (ask(town, roster_read))
        store_account_load(town->daemon->store, &town->op.load);
}

static void index_people(struct decoy_town *town)
{
    table_init(&town->by_name, PEOPLE_MOST);
    for (uint32_t i = 0; i < town->n_people; i++)
        (void)!table_put(&town->by_name, town->people[i].bare, &town->people[i]);
    town->at = 0;
    if (town->people_only)
        town->then(town);
    else
        load_next(town);
}

/* ---- 2. Who there is ---- */

static void list_page(struct decoy_town *town, struct str after_local, struct str after_domain);

static void add_person(struct decoy_town *town, const struct store_account *account)
{
    if (town->n_people == town->room_people) {
        town->room_people = town->room_people * 2 + PAGE;
        town->people = realloc(town->people, town->room_people * sizeof *town->people);
        must(town->people != NULL);
    }
    struct str bare = arena_printf(&town->names, "%.*s@%.*s", STR_ARGS(account->local),
                                   STR_ARGS(account->domain));
    bool more = town->leaves_out != NULL && town->leaves_out(town, account, bare);
    town->people[town->n_people] = (struct decoy_person){
        .bare = bare,
        .number = account->number,
        .index = town->n_people,
        .left_out = more || account->disabled || decoy_town_is_decoy(town, bare),
    };
    town->n_people++;
}

static void page_listed(struct store_request *request)
{
    struct decoy_town *town = town_of(request);
    if (request->result != OK) {
        enum err e = request->result;
        store_release(request);
        town->failed(town, e, "store: the accounts could not be listed");
        return;
    }
    uint32_t n = town->op.list.n;
    for (uint32_t i = 0; i < n; i++)
        add_person(town, &town->op.list.accounts[i]);
    store_release(request);
    if (town->n_people > PEOPLE_MOST) {
        town->failed(town, ERR_LIMIT, "there are too many accounts");
    } else if (n < PAGE) {
        index_people(town);
    } else {
        struct jid last = jid_of_prepared(town->people[town->n_people - 1].bare);
        list_page(town, last.local, last.domain);
    }
}

static void list_page(struct decoy_town *town, struct str after_local, struct str after_domain)
{
    memset(&town->op, 0, sizeof town->op);
    town->op.list.domain = town->domain;
    town->op.list.after_local = after_local;
    town->op.list.after_domain = after_domain;
    town->op.list.most = PAGE;
    if (ask(town, page_listed))
        store_account_list(town->daemon->store, &town->op.list);
}

/* ---- 1. Who is a decoy ---- */

static void note_decoy(void *context, const struct guard_rule *rule)
{
    struct decoy_town *town = context;
    if (rule->kind == RULE_DECOY)
        (void)!table_put(&town->decoys, arena_str(&town->names, rule->account), town);
}

static void look_for_decoys(struct gate_errand *gate, const struct guard *guard)
{
    guard_rules(guard, note_decoy, CONTAINER_OF(gate, struct decoy_town, gate));
}

static void decoys_known(struct gate_errand *gate)
{
    list_page(CONTAINER_OF(gate, struct decoy_town, gate), STR_EMPTY, STR_EMPTY);
}

void decoy_town_read(struct decoy_town *town)
{
    struct daemon *daemon = town->daemon;
    arena_init(&town->names, SIZE_MAX / 2); // bounded by PEOPLE_MOST
    table_init(&town->decoys, PEOPLE_MOST);
    struct gate *gate = daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
    if (gate == NULL || daemon->store == NULL) {
        town->failed(town, ERR_CLOSED, "the guard does not run");
        return;
    }
    town->gate.look = look_for_decoys;
    town->gate.done = decoys_known;
    gate_errand_send(gate, &town->gate, daemon->loop);
}
