/*
 * `decoy place`: puts a decoy into the rosters of those who would meet a worm
 * first.
 *
 * The rosters of the decoy's domain are read, one account after the other, as a
 * graph of who knows whom; guard/placement.h chooses on it; then the decoy goes
 * into the rosters that lack it and leaves those no longer chosen, so that
 * running it again refreshes the places after people have come and gone.  The
 * guard says which other accounts are decoys: they hold none.
 */
#include "daemon/daemon.h"

#include "base/must.h"
#include "base/table.h"
#include "daemon/server.h"
#include "guard/placement.h"
#include "im/desk.h"
#include "im/gate_errand.h"
#include "xmpp/jid.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAGE = 500,
    PEOPLE_MOST = 1 << 24,
    TIES_MOST = 1 << 28, // of 8 bytes each
    PROGRESS_EACH = 1000,
    SHARE_DEFAULT = 5, // per cent
};

struct holder {
    struct str bare; // in names
    int64_t number;
    uint32_t index; // of the account among all
    bool left_out;  // a decoy, or disabled
    bool holds, chosen;
};

struct placing {
    struct command_call *call;
    struct daemon *daemon;
    struct str decoy;     // bare
    int64_t decoy_number; // 0 until it is found among the accounts
    struct gate_errand gate;
    struct arena names; // the accounts' addresses
    struct table by_name;
    struct table decoys; // the guard's; keys in the call's arena
    struct holder *people;
    uint32_t n_people, room_people, at;
    uint64_t *ties;
    size_t n_ties, room_ties;

    struct job job;
    uint32_t wanted, n_chosen;
    double near; // share of people

    union {
        struct store_request request;
        struct store_account_list list;
        struct store_account_load load;
        struct store_roster_set roster;
    } op;
    uint32_t n_added, n_removed;
};

static void placing_done(struct placing *placing)
{
    arena_done(&placing->names);
    table_done(&placing->by_name);
    table_done(&placing->decoys);
    free(placing->people);
    free(placing->ties);
}

static void break_off(struct placing *placing, enum err e, const char *why)
{
    struct command_call *call = placing->call;
    placing_done(placing);
    if (placing->n_added + placing->n_removed > 0)
        command_fail(call, e, "%s, after %u rosters were changed: run it again", why,
                     placing->n_added + placing->n_removed);
    else
        command_fail(call, e, "%s", why);
}

// False, and the command has ended, where nothing more can be asked of the store.
static bool ask(struct placing *placing, void (*then)(struct store_request *request))
{
    if (placing->daemon->store == NULL || placing->call->cancelled) {
        break_off(placing, ERR_CLOSED, "it was broken off");
        return false;
    }
    placing->op.request.home = loop_mailbox(placing->daemon->loop);
    placing->op.request.done = then;
    return true;
}

static struct placing *placing_of(struct store_request *request)
{
    return CONTAINER_OF(request, struct placing, op.request);
}

/* ---- 4. Changing the rosters ---- */

static void change_next(struct placing *placing);

static void finish(struct placing *placing)
{
    struct command_call *call = placing->call;
    json_t *result =
        json_pack("{s:I, s:I, s:f}", "accounts", (json_int_t)placing->n_people, "holders",
                  (json_int_t)placing->n_chosen, "near_share", placing->near);
    if (argument_given(call, "try")) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < placing->n_people; i++)
            if (placing->people[i].chosen)
                json_array_append_new(list, json_of(placing->people[i].bare));
        json_object_set_new(result, "would_hold", list);
    } else {
        json_object_set_new(result, "added", json_integer(placing->n_added));
        json_object_set_new(result, "removed", json_integer(placing->n_removed));
    }
    placing_done(placing);
    command_done(call, result);
}

static void decoys_side_is_set(struct store_request *request)
{
    struct placing *placing = placing_of(request);
    enum err e = request->result;
    store_release(request);
    // ERR_MISSING: taken from a roster in which it was not
    if (e != OK && e != ERR_MISSING) {
        break_off(placing, e, "store: a roster could not be changed");
        return;
    }
    struct holder *holder = &placing->people[placing->at];
    holder->holds = holder->chosen;
    *(holder->chosen ? &placing->n_added : &placing->n_removed) += 1;
    daemon_account_changed(placing->daemon, placing->decoy, placing->decoy_number, ACCOUNT_ROSTER);
    change_next(placing);
}

static void set_item(struct placing *placing, int64_t account, struct str contact, struct str name,
                     void (*then)(struct store_request *request))
{
    const struct holder *holder = &placing->people[placing->at];
    memset(&placing->op, 0, sizeof placing->op);
    placing->op.roster.account = account;
    placing->op.roster.item = (struct store_roster_item){
        .jid = contact,
        .name = name,
        .subscription = holder->chosen ? STORE_SUB_BOTH : STORE_SUB_REMOVED,
    };
    if (ask(placing, then))
        store_roster_set(placing->daemon->store, &placing->op.roster);
}

static void holders_side_is_set(struct store_request *request)
{
    struct placing *placing = placing_of(request);
    enum err e = request->result;
    store_release(request);
    const struct holder *holder = &placing->people[placing->at];
    if (e != OK && e != ERR_MISSING) {
        break_off(placing, e, "store: a roster could not be changed");
        return;
    }
    daemon_account_changed(placing->daemon, holder->bare, holder->number, ACCOUNT_ROSTER);
    set_item(placing, placing->decoy_number, holder->bare, STR_EMPTY, decoys_side_is_set);
}

static void change_next(struct placing *placing)
{
    while (placing->at < placing->n_people &&
           placing->people[placing->at].chosen == placing->people[placing->at].holds)
        placing->at++;
    if (placing->at == placing->n_people) {
        finish(placing);
        return;
    }
    set_item(placing, placing->people[placing->at].number, placing->decoy,
             argument_text(placing->call, "name"), holders_side_is_set);
}

/* ---- 3. Choosing, in the kitchen ---- */

static void choose(struct job *job)
{
    struct placing *placing = CONTAINER_OF(job, struct placing, job);
    struct placement_graph *graph =
        placement_graph_new(placing->n_people, placing->ties, placing->n_ties);
    uint32_t *chosen = calloc((size_t)placing->wanted + 1, sizeof *chosen);
    bool *left_out = calloc((size_t)placing->n_people + 1, sizeof *left_out);
    must(chosen != NULL && left_out != NULL);
    for (uint32_t i = 0; i < placing->n_people; i++)
        left_out[i] = placing->people[i].left_out;
    placing->n_chosen = placement_choose(graph, left_out, placing->wanted, chosen);
    for (uint32_t i = 0; i < placing->n_chosen; i++)
        placing->people[chosen[i]].chosen = true;
    placing->near = placement_coverage(graph, chosen, placing->n_chosen);
    free(chosen);
    free(left_out);
    placement_graph_free(&graph);
}

static void chosen(struct job *job)
{
    struct placing *placing = CONTAINER_OF(job, struct placing, job);
    placing->at = 0;
    if (argument_given(placing->call, "try"))
        finish(placing);
    else
        change_next(placing);
}

static void order_choice(struct placing *placing)
{
    struct command_call *call = placing->call;
    if (placing->decoy_number == 0) {
        break_off(placing, ERR_MISSING, "there is no such account");
        return;
    }
    uint64_t wanted = argument_given(call, "holders")
                          ? (uint64_t)argument_number(call, "holders")
                          : (uint64_t)placing->n_people * SHARE_DEFAULT / 100 + 1;
    placing->wanted = wanted < placing->n_people ? (uint32_t)wanted : placing->n_people;
    placing->job.run = choose;
    placing->job.done = chosen;
    if (placing->daemon->kitchen == NULL ||
        kitchen_order(placing->daemon->kitchen, &placing->job, placing->daemon->loop) != OK)
        break_off(placing, ERR_BUSY, "the server has too much to do");
}

/* ---- 2. Reading the rosters ---- */

static void load_next(struct placing *placing);

static void add_tie(struct placing *placing, uint32_t a, uint32_t b)
{
    if (placing->n_ties == placing->room_ties) {
        placing->room_ties = placing->room_ties * 2 + 4096;
        placing->ties = realloc(placing->ties, placing->room_ties * sizeof *placing->ties);
        must(placing->ties != NULL);
    }
    placing->ties[placing->n_ties++] = placement_pair(a, b);
}

static void roster_read(struct store_request *request)
{
    struct placing *placing = placing_of(request);
    enum err e = request->result;
    struct holder *holder = &placing->people[placing->at];
    for (uint32_t i = 0; e == OK && i < placing->op.load.n_items; i++) {
        const struct store_roster_item *item = &placing->op.load.items[i];
        const struct holder *other = table_get(&placing->by_name, item->jid);
        holder->holds |= str_eq(item->jid, placing->decoy);
        if (other != NULL && !str_eq(item->jid, placing->decoy))
            add_tie(placing, holder->index, other->index);
    }
    store_release(request);
    if (e != OK && e != ERR_MISSING) { // deleted meanwhile: without contacts
        break_off(placing, e, "store: a roster could not be read");
    } else if (placing->n_ties > TIES_MOST) {
        break_off(placing, ERR_LIMIT, "there are too many contacts");
    } else {
        placing->at++;
        load_next(placing);
    }
}

static void load_next(struct placing *placing)
{
    if (placing->at == placing->n_people) {
        order_choice(placing);
        return;
    }
    if (placing->at > 0 && placing->at % PROGRESS_EACH == 0)
        command_progress(placing->call, json_pack("{s:I}", "rosters", (json_int_t)placing->at));
    memset(&placing->op, 0, sizeof placing->op);
    placing->op.load.by_number = placing->people[placing->at].number;
    if (ask(placing, roster_read))
        store_account_load(placing->daemon->store, &placing->op.load);
}

static void index_people(struct placing *placing)
{
    table_init(&placing->by_name, PEOPLE_MOST);
    for (uint32_t i = 0; i < placing->n_people; i++)
        (void)!table_put(&placing->by_name, placing->people[i].bare, &placing->people[i]);
    placing->at = 0;
    load_next(placing);
}

/* ---- 1. Who there is ---- */

static void list_page(struct placing *placing, struct str after_local, struct str after_domain);

static void add_person(struct placing *placing, const struct store_account *account)
{
    if (placing->n_people == placing->room_people) {
        placing->room_people = placing->room_people * 2 + PAGE;
        placing->people = realloc(placing->people, placing->room_people * sizeof *placing->people);
        must(placing->people != NULL);
    }
    struct str bare = arena_printf(&placing->names, "%.*s@%.*s", STR_ARGS(account->local),
                                   STR_ARGS(account->domain));
    bool is_it = str_eq(bare, placing->decoy);
    if (is_it)
        placing->decoy_number = account->number;
    placing->people[placing->n_people] = (struct holder){
        .bare = bare,
        .number = account->number,
        .index = placing->n_people,
        .left_out = is_it || account->disabled || table_get(&placing->decoys, bare) != NULL,
    };
    placing->n_people++;
}

static void page_listed(struct store_request *request)
{
    struct placing *placing = placing_of(request);
    if (request->result != OK) {
        enum err e = request->result;
        store_release(request);
        break_off(placing, e, "store: the accounts could not be listed");
        return;
    }
    uint32_t n = placing->op.list.n;
    for (uint32_t i = 0; i < n; i++)
        add_person(placing, &placing->op.list.accounts[i]);
    store_release(request);
    if (placing->n_people > PEOPLE_MOST) {
        break_off(placing, ERR_LIMIT, "there are too many accounts");
    } else if (n < PAGE) {
        index_people(placing);
    } else {
        struct jid last = jid_of_prepared(placing->people[placing->n_people - 1].bare);
        list_page(placing, last.local, last.domain);
    }
}

static void list_page(struct placing *placing, struct str after_local, struct str after_domain)
{
    memset(&placing->op, 0, sizeof placing->op);
    placing->op.list.domain = jid_of_prepared(placing->decoy).domain;
    placing->op.list.after_local = after_local;
    placing->op.list.after_domain = after_domain;
    placing->op.list.most = PAGE;
    if (ask(placing, page_listed))
        store_account_list(placing->daemon->store, &placing->op.list);
}

static void note_decoy(void *context, const struct guard_rule *rule)
{
    struct placing *placing = context;
    if (rule->kind == RULE_DECOY)
        (void)!table_put(&placing->decoys, arena_str(&placing->names, rule->account), placing);
}

static void look_for_decoys(struct gate_errand *gate, const struct guard *guard)
{
    guard_rules(guard, note_decoy, CONTAINER_OF(gate, struct placing, gate));
}

static void decoys_known(struct gate_errand *gate)
{
    struct placing *placing = CONTAINER_OF(gate, struct placing, gate);
    if (table_get(&placing->decoys, placing->decoy) == NULL)
        break_off(placing, ERR_MISSING, "that account is no decoy (decoy add makes it one)");
    else
        list_page(placing, STR_EMPTY, STR_EMPTY);
}

static void run_place(struct command_call *call)
{
    struct placing *placing = arena_make(&call->arena, struct placing);
    call->only_looks = argument_given(call, "try");
    placing->call = call;
    placing->daemon = call->context;
    placing->decoy = argument_text(call, "jid");
    arena_init(&placing->names, SIZE_MAX / 2); // bounded by PEOPLE_MOST
    table_init(&placing->decoys, PEOPLE_MOST);
    struct daemon *daemon = call->context;
    struct gate *gate = daemon->server != NULL ? server_service(daemon->server)->gate : NULL;
    if (gate == NULL || daemon->store == NULL) {
        break_off(placing, ERR_CLOSED, "the guard does not run");
        return;
    }
    placing->gate.look = look_for_decoys;
    placing->gate.done = decoys_known;
    gate_errand_send(gate, &placing->gate, daemon->loop);
}

static const struct command rows[] = {
    {
     .name = "decoy place",
     .doc =
            "Puts a decoy into the rosters of those who would meet a worm first, and only theirs.", .role = ROLE_OPERATOR,
     .flags = COMMAND_AUDITED,
     .run = run_place,
     .arguments =
            {
                {"jid", ARGUMENT_ACCOUNT, ARGUMENT_REQUIRED | ARGUMENT_POSITIONAL, NULL,
                 "The decoy."},
                {"holders", ARGUMENT_NUMBER, 0, NULL,
                 "How many people hold it (one in twenty; 0 takes it from everybody)."},
                {"name", ARGUMENT_TEXT, 0, NULL, "What they call it."},
                {"try", ARGUMENT_FLAG, 0, NULL, "Only says who would."},
                ARGUMENT_REASON,
            }, },
};

void commands_add_decoys(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
