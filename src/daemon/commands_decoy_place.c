/*
 * `decoy place`: puts a decoy into the rosters of those who would meet a worm
 * first.
 *
 * The rosters of the decoy's domain are read as a graph of who knows whom
 * (decoy_town.h); guard/placement.h chooses on it; then the decoy goes into the
 * rosters that lack it and leaves those no longer chosen.  What is placed is
 * written down (decoy_places.h), for `decoy refresh`.
 */
#include "daemon/daemon.h"

#include "base/must.h"
#include "daemon/decoy_places.h"
#include "daemon/decoy_town.h"

#include <string.h>

enum { SHARE_DEFAULT = 5 }; // per cent

struct placing {
    struct decoy_town town;
    struct command_call *call;
    struct daemon *daemon;
    struct str decoy;     // bare
    int64_t decoy_number; // 0 until it is found among the accounts
    uint32_t at;
    struct arena arena; // of one change

    union {
        struct store_request request;
        struct store_roster_set roster;
        struct store_record_put put;
        struct store_record_remove remove;
    } op;
    uint32_t n_added, n_removed;
};

static struct placing *placing_of_town(struct decoy_town *town)
{
    return CONTAINER_OF(town, struct placing, town);
}

static void placing_done(struct placing *placing)
{
    decoy_town_done(&placing->town);
    arena_done(&placing->arena);
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

static void town_failed(struct decoy_town *town, enum err e, const char *why)
{
    break_off(placing_of_town(town), e, why);
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

/* ---- 2. Changing the rosters ---- */

static void change_next(struct placing *placing);

static void finish(struct placing *placing)
{
    struct command_call *call = placing->call;
    const struct decoy_town *town = &placing->town;
    json_t *result = json_pack("{s:I, s:I, s:f}", "accounts", (json_int_t)town->n_people, "holders",
                               (json_int_t)town->n_chosen, "near_share", town->near);
    if (argument_given(call, "try")) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < town->n_people; i++)
            if (town->people[i].chosen)
                json_array_append_new(list, json_of(town->people[i].bare));
        json_object_set_new(result, "would_hold", list);
    } else {
        json_object_set_new(result, "added", json_integer(placing->n_added));
        json_object_set_new(result, "removed", json_integer(placing->n_removed));
    }
    placing_done(placing);
    command_done(call, result);
}

static void is_written_down(struct store_request *request)
{
    struct placing *placing = placing_of(request);
    enum err e = request->result;
    store_release(request);
    // ERR_MISSING: it came there by hand
    if (e != OK && e != ERR_MISSING) {
        break_off(placing, e, "store: a place could not be written down");
        return;
    }
    struct decoy_person *holder = &placing->town.people[placing->at];
    holder->holds = holder->chosen;
    *(holder->chosen ? &placing->n_added : &placing->n_removed) += 1;
    change_next(placing);
}

static void write_down(struct placing *placing, const struct decoy_person *holder)
{
    struct arena *arena = &placing->arena;
    memset(&placing->op, 0, sizeof placing->op);
    arena_reset(arena);
    if (!holder->chosen) {
        placing->op.remove.kind = STORE_DECOY;
        placing->op.remove.key = decoy_place_key(arena, placing->decoy, holder->bare);
        if (ask(placing, is_written_down))
            store_record_remove(placing->daemon->store, &placing->op.remove);
        return;
    }
    placing->op.put.kind = STORE_DECOY;
    placing->op.put.record = decoy_place_record(arena, placing->decoy, holder->bare, PLACE_PLACED,
                                                argument_text(placing->call, "name"));
    if (ask(placing, is_written_down))
        store_record_put(placing->daemon->store, &placing->op.put);
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
    daemon_account_changed(placing->daemon, placing->decoy, placing->decoy_number, ACCOUNT_ROSTER);
    write_down(placing, &placing->town.people[placing->at]);
}

static void set_item(struct placing *placing, int64_t account, struct str contact, struct str name,
                     void (*then)(struct store_request *request))
{
    const struct decoy_person *holder = &placing->town.people[placing->at];
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
    const struct decoy_person *holder = &placing->town.people[placing->at];
    if (e != OK && e != ERR_MISSING) {
        break_off(placing, e, "store: a roster could not be changed");
        return;
    }
    daemon_account_changed(placing->daemon, holder->bare, holder->number, ACCOUNT_ROSTER);
    set_item(placing, placing->decoy_number, holder->bare, STR_EMPTY, decoys_side_is_set);
}

static void change_next(struct placing *placing)
{
    const struct decoy_town *town = &placing->town;
    while (placing->at < town->n_people &&
           town->people[placing->at].chosen == town->people[placing->at].holds)
        placing->at++;
    if (placing->at == town->n_people) {
        finish(placing);
        return;
    }
    set_item(placing, town->people[placing->at].number, placing->decoy,
             argument_text(placing->call, "name"), holders_side_is_set);
}

/* ---- 1. Who holds it, and who shall ---- */

static void note_item(struct decoy_town *town, struct decoy_person *person,
                      const struct store_roster_item *item)
{
    person->holds |= str_eq(item->jid, placing_of_town(town)->decoy);
}

static void is_chosen(struct decoy_town *town)
{
    struct placing *placing = placing_of_town(town);
    placing->at = 0;
    if (argument_given(placing->call, "try"))
        finish(placing);
    else
        change_next(placing);
}

static void is_read(struct decoy_town *town)
{
    struct placing *placing = placing_of_town(town);
    struct command_call *call = placing->call;
    const struct decoy_person *it = table_get(&town->by_name, placing->decoy);
    if (it == NULL) {
        break_off(placing, ERR_MISSING, "there is no such account");
        return;
    }
    if (!decoy_town_is_decoy(town, placing->decoy)) {
        break_off(placing, ERR_MISSING, "that account is no decoy (decoy add makes it one)");
        return;
    }
    placing->decoy_number = it->number;
    uint64_t wanted = argument_given(call, "holders")
                          ? (uint64_t)argument_number(call, "holders")
                          : (uint64_t)town->n_people * SHARE_DEFAULT / 100 + 1;
    town->then = is_chosen;
    decoy_town_choose(town, wanted < UINT32_MAX ? (uint32_t)wanted : UINT32_MAX);
}

static void run_place(struct command_call *call)
{
    struct placing *placing = arena_make(&call->arena, struct placing);
    call->only_looks = argument_given(call, "try");
    placing->call = call;
    placing->daemon = call->context;
    placing->decoy = argument_text(call, "jid");
    arena_init(&placing->arena, 1 << 16);
    placing->town = (struct decoy_town){
        .call = call,
        .daemon = call->context,
        .domain = jid_of_prepared(placing->decoy).domain,
        .on_item = note_item,
        .then = is_read,
        .failed = town_failed,
    };
    decoy_town_read(&placing->town);
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

void commands_add_decoy_place(struct daemon *daemon)
{
    commands_add(daemon->commands, rows, COUNT_OF(rows), daemon);
}
