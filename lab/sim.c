#include "lab/sim.h"

#include "base/clock.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum what { SAY, WORM_STEP, WORM_ANSWER, OPEN, LET_GO, OVERTAKE, ANSWER, REPORT };

enum {
    PURPOSE_PERSON = 20,
    PURPOSE_ZERO = 21,
    PURPOSE_ROOMS = 22,
    PURPOSE_RESHARE = 23,
    PURPOSE_ANSWER = 24,
    PURPOSE_REPORT = 25,
    PURPOSE_DECOY = 26,
    PURPOSE_PARTNER = 27,
    PURPOSE_TALLY = 28,
    PURPOSE_ROSTER = 29,

    ROOM = 1u << 30, // such a receiver is a room, not a person
    ROOM_SEATS = 16,
    PEOPLE_A_ROOM = 8,   // one room for so many people
    PEOPLE_A_DECOY = 20, // so many have the same one
    PARTNER_CONTACTS = 10,
    ZERO_CONTACTS = 5,
    KEYS_MOST = 255,
    JID_SIZE = 40,

};

static const int64_t start_us = INT64_C(1800000000) * SECOND_US;
// im/pace.c and im/gate.c
static const int64_t live_us = 3600 * SECOND_US, behind_us = 16 * SECOND_US;
// whom a worm takes for a recent contact
static const int64_t recent_us = 7 * 86400 * SECOND_US;

struct person {
    struct mind mind;
    struct infection infection;
    int64_t sent_us; // his last message to anybody; 0: none
    uint32_t decoy;  // a contact of his that no human talks to; 0: none
    uint32_t n_held; // messages of his that wait
    bool types, has_typed, obeys, infected, exposed, restricted, remote;
    char jid[JID_SIZE];
};

/* What one person remembers of another: for the contacts beside the graph, else in a table. */
struct tie {
    uint32_t names[2];
    int64_t sent_us, got_us; // 0: never
};

struct room {
    uint32_t seats[ROOM_SEATS], n;
    char jid[JID_SIZE];
};

struct sim {
    struct sim_config config;
    struct lure_rules *own_rules;
    const struct lure_rules *rules;
    struct guard *guard;
    struct defence *defence;
    struct prng prng;
    int64_t now_us;
    uint32_t n_ours, n_remote, n_decoys; // people are numbered in this order
    struct person *people;
    struct room *rooms;
    uint32_t n_rooms;
    struct tie *ties;         // one for each entry of graph->contacts
    uint32_t *roster, *place; // the same people in the order of his roster; where in it
    struct table strangers;
    struct queue queue;
    struct traffic traffic;
    struct copies copies;
    uint32_t *waiting; // copies that wait, in the order in which they were sent
    size_t n_waiting, waiting_room;
    size_t n_worm_plans;
    int64_t first_copy_us;
    uint64_t n_said;
    char *worm_link;
    bool is_trap, has_infected;

    struct outcome outcome;
    struct buf *log;
};

void sim_config_default(struct sim_config *config)
{
    *config = (struct sim_config){
        .habits = habits_usual, .open = 0.2, .defence = DEFENCE_FIREDOOR, .seed = 1};
    guard_config_default(&config->guard_config);
    config->guard_config.defangs = true; // im/gate.c does
}

static struct prng dice(const struct sim *sim, uint64_t identity, uint32_t person, uint32_t purpose)
{
    struct prng prng = {identity};
    return prng_of(sim->config.seed ^ prng_u64(&prng), person, purpose);
}

static int64_t after_us(const struct sim *sim, double seconds)
{
    return sim->now_us + (int64_t)(seconds * 1e6);
}

/* ---- People ---- */

static uint32_t n_people(const struct sim *sim)
{
    return sim->n_ours + sim->n_remote + sim->n_decoys;
}

static bool is_ours(const struct sim *sim, uint32_t person)
{
    return person < sim->n_ours;
}

static bool is_decoy(const struct sim *sim, uint32_t person)
{
    return person >= sim->n_ours + sim->n_remote && person < ROOM;
}

static void make_people(struct sim *sim)
{
    const struct sim_config *config = &sim->config;
    double decoys =
        config->defence == DEFENCE_FIREDOOR ? config->decoys : defence_decoys(config->defence);
    sim->n_ours = config->graph->n_people;
    sim->n_remote = config->worm != NULL ? config->worm->profile->habits.remote_zeros : 0;
    sim->n_decoys = decoys > 0 ? (uint32_t)(decoys * sim->n_ours) / PEOPLE_A_DECOY + 1 : 0;
    sim->people = calloc(n_people(sim), sizeof *sim->people);
    must(sim->people != NULL && n_people(sim) < ROOM);
    for (uint32_t i = 0; i < n_people(sim); i++) {
        struct person *person = &sim->people[i];
        person->remote = !is_ours(sim, i) && !is_decoy(sim, i);
        snprintf(person->jid, JID_SIZE, "%s%u@%s.example",
                 is_decoy(sim, i) ? "colleague" : "person", i, person->remote ? "partner" : "town");
        struct prng prng = prng_of(config->seed, i, PURPOSE_PERSON);
        person->types = prng_unit(&prng) < config->habits.composing;
        person->obeys = prng_unit(&prng) < config->habits.obey;
        mind_init(&person->mind, config->seed, i);
        struct prng luck = prng_of(config->seed, i, PURPOSE_DECOY);
        if (is_ours(sim, i) && prng_unit(&luck) < decoys)
            person->decoy =
                sim->n_ours + sim->n_remote + (uint32_t)prng_below(&luck, sim->n_decoys);
    }
}

/* Each room is somebody and some of his contacts. */
static void make_rooms(struct sim *sim)
{
    const struct graph *graph = sim->config.graph;
    struct prng prng = prng_of(sim->config.seed, 0, PURPOSE_ROOMS);
    sim->n_rooms = sim->n_ours / PEOPLE_A_ROOM + 1;
    sim->rooms = calloc(sim->n_rooms, sizeof *sim->rooms);
    must(sim->rooms != NULL);
    for (uint32_t i = 0; i < sim->n_rooms; i++) {
        struct room *room = &sim->rooms[i];
        uint32_t host = (uint32_t)prng_below(&prng, sim->n_ours);
        uint32_t n = graph_degree(graph, host);
        snprintf(room->jid, JID_SIZE, "room%u@rooms.town.example", i);
        room->seats[room->n++] = host;
        uint32_t wanted = 3 + (uint32_t)prng_below(&prng, ROOM_SEATS - 3);
        for (uint32_t k = 0; k < n && room->n < wanted; k++) // a sample without repetition
            if (prng_below(&prng, n - k) < wanted - room->n)
                room->seats[room->n++] = graph_contacts(graph, host)[k];
    }
}

static struct str jid_of(const struct sim *sim, uint32_t who)
{
    return str_of((who & ROOM) != 0 ? sim->rooms[who & ~ROOM].jid : sim->people[who].jid);
}

struct str sim_jid(const struct sim *sim, uint32_t person)
{
    return jid_of(sim, person);
}

/* -1: nobody of ours. */
static int64_t person_of(const struct sim *sim, struct str jid)
{
    uint64_t n = 0;
    struct str at = str_cut(&jid, '@');
    if (!str_starts(at, STR("person")) || !str_eq(jid, STR("town.example")) ||
        str_to_u64(str_skip(at, strlen("person")), 0, UINT32_MAX, &n) != OK || n >= sim->n_ours)
        return -1;
    return (int64_t)n;
}

/* Everybody met his contacts in an order of his own: a worm that takes the first five of each
 * roster must not find the same people everywhere. */
static void make_rosters(struct sim *sim)
{
    const struct graph *graph = sim->config.graph;
    size_t n = graph->first[sim->n_ours] + 1;
    sim->roster = calloc(n, sizeof *sim->roster);
    sim->place = calloc(n, sizeof *sim->place);
    must(sim->roster != NULL && sim->place != NULL);
    for (uint32_t i = 0; i < sim->n_ours; i++) {
        struct prng prng = prng_of(sim->config.seed, i, PURPOSE_ROSTER);
        uint32_t *place = sim->place + graph->first[i];
        uint32_t degree = graph_degree(graph, i);
        for (uint32_t k = 0; k < degree; k++) {
            uint32_t other = (uint32_t)prng_below(&prng, k + 1);
            place[k] = place[other];
            place[other] = k;
        }
        for (uint32_t k = 0; k < degree; k++)
            sim->roster[graph->first[i] + place[k]] = graph_contacts(graph, i)[k];
    }
}

/* Which of one's contacts the other is; -1: none. */
static int32_t contact_index(const struct sim *sim, uint32_t person, uint32_t other)
{
    const struct graph *graph = sim->config.graph;
    if (!is_ours(sim, person))
        return -1;
    const uint32_t *contacts = graph_contacts(graph, person);
    uint32_t low = 0, high = graph_degree(graph, person);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (contacts[middle] == other)
            return (int32_t)middle;
        if (contacts[middle] < other)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static int32_t roster_index(const struct sim *sim, uint32_t person, int32_t contact)
{
    if (contact < 0)
        return -1;
    return (int32_t)sim->place[sim->config.graph->first[person] + (uint32_t)contact];
}

static struct tie *tie_of(struct sim *sim, uint32_t person, uint32_t other, int32_t index)
{
    if (index >= 0)
        return &sim->ties[sim->config.graph->first[person] + (uint32_t)index];
    uint32_t names[2] = {person, other};
    struct str key = {(const char *)names, sizeof names};
    struct tie *tie = table_get(&sim->strangers, key);
    if (tie != NULL)
        return tie;
    tie = calloc(1, sizeof *tie);
    must(tie != NULL);
    memcpy(tie->names, names, sizeof names);
    must(table_put(&sim->strangers, str_make((const char *)tie->names, sizeof names), tie) == OK);
    return tie;
}

static bool talk_both_ways(const struct sim *sim, const struct tie *tie, int64_t within_us)
{
    int64_t last_us = tie->sent_us > tie->got_us ? tie->sent_us : tie->got_us;
    return tie->sent_us != 0 && tie->got_us != 0 && sim->now_us - last_us < within_us;
}

/* ---- Life of an engine ---- */

static void name_decoys(struct sim *sim);

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *sim = calloc(1, sizeof *sim);
    must(sim != NULL && config->graph != NULL);
    sim->config = *config;
    sim->prng = prng_of(config->seed, 0, PURPOSE_TALLY);
    sim->rules = config->rules;
    if (sim->rules == NULL)
        sim->rules = sim->own_rules = lure_rules_new();
    sim->now_us = start_us;
    sim->outcome.conviction_s = -1;

    table_init(&sim->strangers, 100000000);
    make_people(sim);
    make_rosters(sim);
    sim->ties = calloc(config->graph->first[sim->n_ours] + 1, sizeof *sim->ties);
    must(sim->ties != NULL);
    if (config->worm != NULL && config->worm->profile->habits.aim == AIM_ROOMS)
        make_rooms(sim);
    if (config->defence == DEFENCE_FIREDOOR)
        sim->guard = guard_new(&config->guard_config, config->seed);
    else
        sim->defence = defence_new(config->defence, n_people(sim));
    name_decoys(sim);
    return sim;
}

void sim_free(struct sim **at)
{
    struct sim *sim = TAKE(*at);
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < n_people(sim); i++)
        infection_done(&sim->people[i].infection);
    size_t walk = 0;
    for (struct tie *tie; (tie = table_next(&sim->strangers, &walk)) != NULL;)
        free(tie);
    table_done(&sim->strangers);
    queue_done(&sim->queue);
    copies_done(&sim->copies);
    guard_free(&sim->guard);
    defence_free(&sim->defence);
    lure_rules_free(&sim->own_rules);
    free(sim->people);
    free(sim->rooms);
    free(sim->ties);
    free(sim->roster);
    free(sim->place);
    free(sim->waiting);
    free(sim->worm_link);
    free(sim);
}

struct guard *sim_guard(struct sim *sim)
{
    return sim->guard;
}

struct prng *sim_prng(struct sim *sim)
{
    return &sim->prng;
}

int64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

uint32_t sim_people(const struct sim *sim)
{
    return sim->n_ours;
}

const uint32_t *sim_contacts(const struct sim *sim, uint32_t person, uint32_t *n)
{
    *n = graph_degree(sim->config.graph, person);
    return graph_contacts(sim->config.graph, person);
}

void sim_log(struct sim *sim, struct buf *log)
{
    sim->log = log;
}

void sim_trap(struct sim *sim, bool is_on)
{
    sim->is_trap = is_on;
}

void sim_traffic(struct sim *sim, const struct traffic *traffic)
{
    sim->traffic = traffic != NULL ? *traffic : (struct traffic){0};
}

struct str sim_worm_link(const struct sim *sim)
{
    return str_of(sim->worm_link);
}

/* ---- What the guard orders ---- */

static void arrive(struct sim *sim, const struct copy *what, uint32_t at, struct str text);

static struct tally *tally_of(struct sim *sim, const struct copy *copy)
{
    return copy->is_trap ? &sim->outcome.trap : &sim->outcome.honest;
}

static void take(struct sim *sim, struct guard_event *event, struct guard_word *word)
{
    event->now_us = sim->now_us;
    if (sim->log != NULL) {
        struct buf one;
        buf_init(&one, 1 << 20);
        guard_event_write(&one, event);
        uint64_t len = one.len;
        buf_add(sim->log, str_make((const char *)&len, sizeof len));
        buf_add(sim->log, buf_str(&one));
        buf_done(&one);
    }
    guard_take(sim->guard, event, word);
}

static bool is_the_worms(const struct sim *sim, const struct lure_key *key)
{
    uint32_t at = UINT32_MAX, copy;
    while (copies_next(&sim->copies, key, &at, &copy))
        if (sim->copies.at[copy].said == SAID_LURE)
            return true;
    return false;
}

static void note_conviction(struct sim *sim)
{
    if (sim->outcome.conviction_s >= 0 || sim->first_copy_us == 0)
        return;
    sim->outcome.conviction_s = (double)(sim->now_us - sim->first_copy_us) / 1e6;
    sim->outcome.copies_until_conviction = sim->outcome.worm_copies;
}

static void take_back(struct sim *sim, const struct order *order)
{
    uint32_t at = UINT32_MAX, number;
    if (!order->undo && is_the_worms(sim, &order->key))
        note_conviction(sim);
    else if (!order->undo)
        sim->outcome.honest_convictions++;
    while (copies_next(&sim->copies, &order->key, &at, &number)) {
        struct copy *copy = &sim->copies.at[number];
        if (copy->gone != order->undo)
            continue;
        copy->gone = !order->undo;
        if (copy->said == SAID_HONEST)
            tally_of(sim, copy)->lost += copy->gone ? 1 : (uint64_t)-1;
        else if (copy->said == SAID_WARNING)
            tally_of(sim, copy)->withdrawn += copy->gone ? 1 : (uint64_t)-1;
    }
}

static void restrict_account(struct sim *sim, const struct order *order)
{
    int64_t who = person_of(sim, order->who);
    if (who < 0)
        return;
    struct person *person = &sim->people[who];
    bool once = !person->restricted;
    person->restricted = !order->undo;
    if (order->undo || !once)
        return;
    if (person->infected)
        sim->outcome.restricted_rightly++;
    else
        sim->outcome.restricted_wrongly++;
}

static void wait_for(struct sim *sim, uint32_t number)
{
    if (sim->n_waiting == sim->waiting_room) {
        sim->waiting_room = sim->waiting_room == 0 ? 64 : 2 * sim->waiting_room;
        sim->waiting = realloc(sim->waiting, sim->waiting_room * sizeof *sim->waiting);
        must(sim->waiting != NULL);
    }
    sim->waiting[sim->n_waiting++] = number;
    sim->people[sim->copies.at[number].from].n_held++;
}

static void no_longer_wait(struct sim *sim, uint32_t number)
{
    for (size_t i = 0; i < sim->n_waiting; i++) {
        if (sim->waiting[i] != number)
            continue;
        memmove(sim->waiting + i, sim->waiting + i + 1,
                (--sim->n_waiting - i) * sizeof *sim->waiting);
        sim->people[sim->copies.at[number].from].n_held--;
        return;
    }
}

static void note_wait(struct sim *sim, const struct copy *copy)
{
    if (copy->said == SAID_LURE)
        return;
    struct tally *tally = tally_of(sim, copy);
    int64_t waited_us = sim->now_us - copy->sent_us;
    tally->held_over_2s += waited_us > 2 * SECOND_US;
    if (waited_us > tally->longest_hold_us)
        tally->longest_hold_us = waited_us;
}

/* A message that waited goes on, and what waited behind it alone. */
static void go_on(struct sim *sim, uint32_t number)
{
    struct copy *copy = &sim->copies.at[number];
    uint32_t from = copy->from, to = copy->to;
    no_longer_wait(sim, number);
    note_wait(sim, copy);
    copy->held = copy->queued = false;
    char *text = TAKE(copy->text);
    arrive(sim, &sim->copies.at[number], number, str_of(text));
    free(text);
    while (sim->people[from].n_held > 0) {
        uint32_t next = UINT32_MAX;
        for (size_t i = 0; i < sim->n_waiting && next == UINT32_MAX; i++) {
            const struct copy *other = &sim->copies.at[sim->waiting[i]];
            if (other->from == from && other->to == to)
                next = sim->waiting[i];
        }
        if (next == UINT32_MAX || sim->copies.at[next].held)
            return; // the guard's word on that one comes
        no_longer_wait(sim, next);
        note_wait(sim, &sim->copies.at[next]);
        sim->copies.at[next].queued = false;
        text = TAKE(sim->copies.at[next].text);
        arrive(sim, &sim->copies.at[next], next, str_of(text));
        free(text);
    }
}

static void refuse_held(struct sim *sim, uint32_t number)
{
    struct copy *copy = &sim->copies.at[number];
    const struct person *sender = &sim->people[copy->from];
    note_wait(sim, copy);
    copy->refused = true;
    if (copy->said != SAID_LURE) {
        if (sender->infected)
            sim->outcome.rejected_of_infected++;
        else
            tally_of(sim, copy)->rejected++;
    }
    // what waits behind it follows without it
    uint32_t from = copy->from, to = copy->to;
    no_longer_wait(sim, number);
    copy->held = false;
    free(TAKE(copy->text));
    for (size_t i = 0; i < sim->n_waiting; i++) {
        const struct copy *other = &sim->copies.at[sim->waiting[i]];
        if (other->from != from || other->to != to)
            continue;
        if (!other->held)
            go_on(sim, sim->waiting[i]);
        return;
    }
}

static void ask(struct sim *sim, const struct order *order)
{
    int64_t who = person_of(sim, order->who);
    sim->outcome.questions++;
    if (who < 0)
        return;
    struct prng prng = dice(sim, order->incident, (uint32_t)who, PURPOSE_ANSWER);
    if (prng_unit(&prng) >= sim->config.habits.answer)
        return;
    queue_plan(&sim->queue,
               (struct happening){.at_us = sim->now_us + delay_draw_us(&habits_answering, &prng),
                                  .what = ANSWER,
                                  .from = (uint32_t)who,
                                  .identity = order->incident});
}

static void carry_out(struct sim *sim, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        switch (order->kind) {
        case ORDER_RETRACT:
            take_back(sim, order);
            break;
        case ORDER_RESTRICT:
            restrict_account(sim, order);
            break;
        case ORDER_DELIVER_HELD:
            go_on(sim, (uint32_t)order->message);
            break;
        case ORDER_REJECT_HELD:
            refuse_held(sim, (uint32_t)order->message);
            break;
        case ORDER_ASK:
            ask(sim, order);
            break;
        case ORDER_STOP: // the guard's own; in the server for offline copies and archives
        case ORDER_NOTIFY:
            break;
        }
    }
}

/* Gives the guard an event and does what it says. */
static void happen(struct sim *sim, struct guard_event *event)
{
    struct arena arena;
    struct guard_word word;
    arena_init(&arena, GUARD_WORD_MOST);
    guard_word_init(&word, &arena);
    take(sim, event, &word);
    carry_out(sim, &word);
    arena_done(&arena);
}

static void name_decoys(struct sim *sim)
{
    for (uint32_t i = 0; sim->guard != NULL && i < sim->n_decoys; i++) {
        struct guard_event event = {
            .kind = EVENT_DECOY,
            .decoy = {.account = jid_of(sim, sim->n_ours + sim->n_remote + i),
                      .actor = STR("operator")}
        };
        happen(sim, &event);
    }
}

void sim_entitle(struct sim *sim, uint32_t who, const char *domain)
{
    struct guard_event event = {
        .kind = EVENT_ENTITLE,
        .entitlement = {.account = jid_of(sim, who),
                        .domain = str_of(domain),
                        .receivers = 10000,
                        .expires_us = sim->now_us + 30 * 86400 * SECOND_US,
                        .actor = STR("operator"),
                        .reason = STR("its work")}
    };
    if (sim->guard != NULL)
        happen(sim, &event);
}

/* ---- A message arrives ---- */

static void infect(struct sim *sim, uint32_t who);

static void plan_worm(struct sim *sim, struct happening happening)
{
    sim->n_worm_plans++;
    queue_plan(&sim->queue, happening);
}

static void tempt(struct sim *sim, uint32_t who, uint32_t copy, uint64_t identity)
{
    struct person *person = &sim->people[who];
    struct openness openness = {.chance = sim->config.open, .delay = people_opening};
    bool first = !person->exposed;
    int64_t delay_us;
    if (first && is_ours(sim, who))
        sim->outcome.exposed++;
    person->exposed = true;
    if (mind_is_tempted(&person->mind, &openness, &delay_us)) {
        plan_worm(sim, (struct happening){.at_us = sim->now_us + delay_us,
                                          .what = OPEN,
                                          .to = who,
                                          .copy = copy,
                                          .identity = identity});
        return;
    }
    struct prng prng = dice(sim, identity, who, PURPOSE_REPORT);
    const struct habits *habits = &sim->config.habits;
    bool reports = prng_unit(&prng) < habits->report, warns = prng_unit(&prng) < habits->warn;
    int64_t later_us = delay_draw_us(&habits_reporting, &prng);
    if (first && reports)
        queue_plan(&sim->queue,
                   (struct happening){
                       .at_us = sim->now_us + later_us, .what = REPORT, .from = who, .copy = copy});
    uint32_t n = is_ours(sim, who) ? graph_degree(sim->config.graph, who) : 0;
    for (uint32_t i = 0; first && warns && i < n && i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text, "don't click %s it is a virus", sim->worm_link);
        sim_warn(sim, (double)later_us / 1e6 + 5 * i, who,
                 graph_contacts(sim->config.graph, who)[prng_below(&prng, n)], text);
    }
}

/* An honest person passes on what he liked. */
static void pass_on(struct sim *sim, uint32_t who, const struct copy *copy, struct str link)
{
    static const char *const intros[] = {"i got this: %.*s", "have you seen %.*s ?", "%.*s",
                                         "maybe something for you: %.*s", "%.*s not bad"};
    struct prng prng = dice(sim, copy->identity, who, PURPOSE_RESHARE);
    if (prng_unit(&prng) >= sim->config.habits.reshare)
        return;
    uint32_t n = graph_degree(sim->config.graph, who);
    uint32_t wanted = 1 + (uint32_t)prng_below(&prng, 3), n_to = 0, to[3];
    const char *intro = intros[prng_below(&prng, COUNT_OF(intros))];
    int64_t at_us = sim->now_us + delay_draw_us(&habits_resharing, &prng);
    for (uint32_t tries = 0; tries < 8 && n_to < wanted && n > 0; tries++) {
        uint32_t other = graph_contacts(sim->config.graph, who)[prng_below(&prng, n)];
        bool again = other == copy->from;
        for (uint32_t i = 0; i < n_to; i++)
            again |= to[i] == other;
        if (again)
            continue;
        to[n_to++] = other;
        struct buf text;
        buf_init(&text, 8192);
        // NOLINTNEXTLINE(clang-diagnostic-format-nonliteral): one of the above
        buf_printf(&text, intro, STR_ARGS(link));
        buf_add_char(&text, 0);
        bool typing = prng_unit(&prng) < 0.9;
        char *owned = strdup(text.overflowed ? "" : buf_str(&text).at);
        must(owned != NULL);
        buf_done(&text);
        queue_plan(&sim->queue, (struct happening){
                                    .at_us = at_us,
                                    .what = SAY,
                                    .from = who,
                                    .to = other,
                                    .said = copy->said,
                                    .is_trap = copy->is_trap,
                                    .identity = prng_u64(&prng),
                                    .manner = {.composing = typing, .live = -1},
                                    .text = owned
        });
        at_us += delay_draw_us(&(struct delay_model){.median_s = 8, .sigma = 0.8}, &prng);
    }
}

static struct str find_link(struct str text)
{
    size_t at = str_find(text, STR("https://")), plain = str_find(text, STR("http://"));
    at = at < plain ? at : plain;
    size_t end = at;
    while (end < text.len && (unsigned char)text.at[end] > ' ')
        end++;
    return str_make(text.at + at, end - at);
}

static void expose(struct sim *sim, uint32_t number, uint32_t who)
{
    const struct copy *copy = &sim->copies.at[number];
    struct guard_event event = {
        .kind = EVENT_EXPOSURE,
        .exposure = {.sender = jid_of(sim, copy->from),
                     .receiver = jid_of(sim, who),
                     .keys = copy_keys(&sim->copies, copy),
                     .n_keys = copy->n_keys}
    };
    if (sim->guard != NULL && copy->n_keys > 0 && !copy->calm)
        happen(sim, &event);
}

static void arrive_at(struct sim *sim, const struct copy *what, uint32_t at, uint32_t who,
                      struct str text)
{
    struct person *person = &sim->people[who];
    uint32_t from = what->from;
    struct copy copy = *what; // the table may grow below
    if (is_decoy(sim, who))
        return;
    tie_of(sim, who, from, contact_index(sim, who, from))->got_us = sim->now_us;
    if (person->infected && is_ours(sim, who) &&
        infection_answers(&person->infection, sim->config.worm, from))
        plan_worm(sim,
                  (struct happening){.at_us = sim->now_us + infection_pause_us(&person->infection,
                                                                               sim->config.worm),
                                     .what = WORM_ANSWER,
                                     .from = who,
                                     .to = from});
    if (copy.said == SAID_LURE)
        tempt(sim, who, at, copy.identity);
    if (at == UINT32_MAX)
        return;
    if (copy.said != SAID_WARNING && sim->config.habits.reshare > 0 && is_ours(sim, who)) {
        struct str link = find_link(text);
        if (link.len > 0 && !person->infected)
            pass_on(sim, who, &copy, link);
    }
    expose(sim, at, who);
}

/* at: its place among the copies; UINT32_MAX: it needs none. */
static void arrive(struct sim *sim, const struct copy *what, uint32_t at, struct str text)
{
    struct copy copy = *what;
    if (at != UINT32_MAX) {
        if (copy.gone)
            return;
        sim->copies.at[at].arrived = true;
    }
    if ((copy.to & ROOM) == 0) {
        arrive_at(sim, &copy, at, copy.to, text);
        return;
    }
    const struct room *room = &sim->rooms[copy.to & ~ROOM];
    for (uint32_t i = 0; i < room->n; i++)
        if (room->seats[i] != copy.from)
            arrive_at(sim, &copy, at, room->seats[i], text);
}

/* ---- A message is sent ---- */

/* What is known of how it is sent; remembers it. */
static struct pace pace_of(struct sim *sim, uint32_t from, uint32_t to, struct manner manner)
{
    struct person *sender = &sim->people[from];
    if ((to & ROOM) != 0) {
        struct pace pace = {.gap_us = sender->sent_us != 0 ? sim->now_us - sender->sent_us : -1,
                            .roster_index = -1,
                            .composes = sender->has_typed,
                            .account_age_us = -1};
        sender->sent_us = sim->now_us;
        return pace;
    }
    int32_t index = contact_index(sim, from, to);
    struct tie *tie = tie_of(sim, from, to, index);
    bool composing = sender->types && manner.composing;
    sender->has_typed |= composing;
    struct pace pace = {
        .gap_us = sender->sent_us != 0 ? sim->now_us - sender->sent_us : -1,
        .roster_index = roster_index(sim, from, index),
        .composing = composing,
        .composes = sender->has_typed,
        .live = manner.live < 0 ? talk_both_ways(sim, tie, live_us) : manner.live > 0,
        .first_contact = tie->sent_us == 0 && index < 0,
        .account_age_us = -1,
    };
    sender->sent_us = tie->sent_us = sim->now_us;
    return pace;
}

struct outgoing {
    struct message message;
    const struct letter *letter; // NULL: the text alone
    bool is_trap;
};

static bool waits_behind(const struct sim *sim, const struct copy *copy)
{
    if (sim->people[copy->from].n_held == 0)
        return false;
    for (size_t i = 0; i < sim->n_waiting; i++) {
        const struct copy *other = &sim->copies.at[sim->waiting[i]];
        if (other->from == copy->from && other->to == copy->to)
            return true;
    }
    return false;
}

static char *own(struct str text)
{
    char *copy = strndup(text.at, text.len);
    must(copy != NULL);
    return copy;
}

/* It waits until that time, or until the guard's order. */
static void let_wait(struct sim *sim, uint32_t at, struct str text, bool held, int64_t until_us,
                     enum what then)
{
    struct copy *copy = &sim->copies.at[at];
    copy->held = held;
    copy->queued = !held;
    copy->text = own(text);
    if (copy->said != SAID_LURE)
        tally_of(sim, copy)->held++;
    wait_for(sim, at);
    if (!held)
        queue_plan(&sim->queue,
                   (struct happening){.at_us = until_us, .what = (int)then, .copy = at});
}

static void refuse(struct sim *sim, uint32_t at)
{
    struct copy *copy = &sim->copies.at[at];
    copy->refused = true;
    if (copy->said == SAID_LURE)
        return;
    // whom the worm owns has lost his links, and that is right
    if (sim->people[copy->from].infected)
        sim->outcome.rejected_of_infected++;
    else
        tally_of(sim, copy)->rejected++;
}

/* The guard judges; returns true when the message goes on. */
static bool judge(struct sim *sim, const struct outgoing *out, const struct lure_list *list,
                  const struct lure_people *people, const struct pace *pace, uint32_t at)
{
    const struct message *message = &out->message;
    bool is_room = (message->to & ROOM) != 0;
    struct guard_event event = {
        .kind = EVENT_SENDING,
        .sending = {.message = at,
                    .sender = jid_of(sim, message->from),
                    .receiver = jid_of(sim, message->to),
                    .audience = is_room ? sim->rooms[message->to & ~ROOM].n : 1,
                    .remote = sim->people[message->from].remote,
                    .warns = lure_text_warns(list, message->text),
                    .overflowed = list->overflowed,
                    .shape = lure_text_shape(list, message->text, people),
                    .lures = list->lures,
                    .n_lures = list->n,
                    .pace = *pace}
    };
    struct arena arena;
    struct guard_word word;
    arena_init(&arena, GUARD_WORD_MOST);
    guard_word_init(&word, &arena);
    take(sim, &event, &word);
    enum verdict verdict = word.verdict;
    bool is_dead = word.defang;
    sim->copies.at[at].calm = word.calm;
    if (verdict == VERDICT_HOLD)
        let_wait(sim, at, message->text, true, 0, LET_GO);
    carry_out(sim, &word);
    arena_done(&arena);
    if (verdict == VERDICT_REJECT)
        refuse(sim, at);
    if (verdict == VERDICT_DELIVER && is_dead) {
        // the words arrive, and nothing in them can be opened
        tally_of(sim, &sim->copies.at[at])->dead++;
        sim->copies.at[at].arrived = true;
        return false;
    }
    return verdict == VERDICT_DELIVER;
}

/* Another defence does. */
static bool judge_otherwise(struct sim *sim, const struct outgoing *out, struct str text,
                            const struct lure_list *list, uint32_t *at, const struct copy *copy)
{
    struct lure_key narrow[LURES_MOST];
    size_t n = 0;
    for (size_t i = 0; i < list->n && n < LURES_MOST; i++)
        if (!lure_key_is_none(&list->lures[i].keys[LURE_EXACT]))
            narrow[n++] = list->lures[i].keys[LURE_EXACT];
    struct ruling ruling = defence_judge(sim->defence, out->message.from, out->message.to,
                                         is_decoy(sim, out->message.to), narrow, n, sim->now_us);
    if (ruling.blocks && out->message.said == SAID_LURE)
        note_conviction(sim);
    if (!ruling.refused && ruling.release_us == 0)
        return true;
    if (*at == UINT32_MAX)
        *at = copies_add(&sim->copies, copy, NULL, 0);
    if (ruling.refused)
        refuse(sim, *at);
    else
        let_wait(sim, *at, text, false, ruling.release_us, LET_GO);
    return false;
}

static void send(struct sim *sim, const struct outgoing *out)
{
    const struct message *message = &out->message;
    struct copy copy = {.identity = message->identity,
                        .sent_us = sim->now_us,
                        .from = message->from,
                        .to = message->to,
                        .said = (uint8_t)message->said,
                        .is_trap = out->is_trap};
    if (message->said == SAID_LURE) {
        sim->outcome.worm_copies++;
        if (sim->first_copy_us == 0)
            sim->first_copy_us = sim->now_us;
    } else {
        tally_of(sim, &copy)->messages++;
    }
    struct pace pace = pace_of(sim, message->from, message->to, message->manner);
    struct arena arena;
    struct lure_list list;
    struct lure_key keys[KEYS_MOST];
    arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
    lure_list_init(&list, sim->rules, &arena);

    const struct letter *letter = out->letter;
    if (letter == NULL || !letter->encrypted)
        lure_scan_text(&list, message->text);
    if (letter != NULL && letter->file.name.len > 0) {
        struct lure_file file = {.name = letter->file.name,
                                 .media_type = STR("application/octet-stream"),
                                 .size = letter->file.size,
                                 .digest_name = STR("sha-256"),
                                 .digest = letter->file.digest};
        lure_add_file(&list, &file);
    }
    uint32_t at = UINT32_MAX;
    bool goes_on = true;
    bool judged = list.n > 0 || list.overflowed;
    struct lure_people people = {
        .names = {jid_of(sim, message->from), jid_of(sim, message->to)},
          .n = 2
    };
    if (judged || message->said == SAID_LURE) {
        lure_list_keys(&list, &people);
        size_t n_keys = lure_list_collect(&list, keys, KEYS_MOST);
        at = copies_add(&sim->copies, &copy, keys, n_keys);
    }
    if (sim->guard != NULL && judged) {
        goes_on = judge(sim, out, &list, &people, &pace, at);

    } else if (sim->guard == NULL) {
        goes_on = judge_otherwise(sim, out, message->text, &list, &at, &copy);
    }
    arena_done(&arena);
    if (!goes_on)
        return;
    if (waits_behind(sim, &copy)) {
        if (at == UINT32_MAX)
            at = copies_add(&sim->copies, &copy, NULL, 0);
        let_wait(sim, at, message->text, false, sim->now_us + behind_us, OVERTAKE);
        return;
    }
    arrive(sim, at == UINT32_MAX ? &copy : &sim->copies.at[at], at, message->text);
}

void sim_send(struct sim *sim, const struct message *message)
{
    struct outgoing out = {.message = *message, .is_trap = sim->is_trap};
    send(sim, &out);
}

static void say_later(struct sim *sim, double in_seconds, uint32_t from, uint32_t to,
                      const char *text, struct manner manner, enum said said)
{
    queue_plan(&sim->queue, (struct happening){.at_us = after_us(sim, in_seconds),
                                               .what = SAY,
                                               .from = from,
                                               .to = to,
                                               .said = (uint8_t)said,
                                               .is_trap = sim->is_trap,
                                               .identity = ~sim->n_said++,
                                               .manner = manner,
                                               .text = own(str_of(text))});
}

void sim_say(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text,
             struct manner manner)
{
    say_later(sim, in_seconds, from, to, text, manner, SAID_HONEST);
}

void sim_warn(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text)
{
    struct manner typing = {.composing = true, .live = -1};
    say_later(sim, in_seconds, from, to, text, typing, SAID_WARNING);
}

/* ---- The worm ---- */

static void send_copy(struct sim *sim, uint32_t from, uint32_t to)
{
    const struct worm *worm = sim->config.worm;
    struct person *person = &sim->people[from];
    struct letter letter;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str victim = jid_of(sim, to);
    victim = str_first(victim, str_find_char(victim, '@'));
    infection_write(&person->infection, worm, &arena, victim, &letter);
    if (sim->worm_link == NULL)
        sim->worm_link = own(letter.link.len > 0 ? letter.link : letter.text);
    struct outgoing out = {
        .message = {.from = from,
                    .to = to,
                    .text = letter.text,
                    .manner = {.composing = worm->profile->habits.composes, .live = -1},
                    .said = SAID_LURE,
                    .identity = (uint64_t)from << 32 | to},
        .letter = &letter,
    };
    send(sim, &out);
    arena_done(&arena);
}

static void worm_step(struct sim *sim, uint32_t from)
{
    struct person *person = &sim->people[from];
    uint32_t to;
    if (!infection_next(&person->infection, sim->config.worm, &to))
        return;
    int64_t pause_us = infection_pause_us(&person->infection, sim->config.worm);
    send_copy(sim, from, to);
    if (person->infection.n_sent < person->infection.n_contacts)
        plan_worm(sim, (struct happening){
                           .at_us = sim->now_us + pause_us, .what = WORM_STEP, .from = from});
}

/* Whom a worm in this person's client sends to, in the roster's order. */
static uint32_t list_victims(struct sim *sim, uint32_t who, uint32_t **out)
{
    const struct graph *graph = sim->config.graph;
    enum worm_aim aim = sim->config.worm->profile->habits.aim;
    uint32_t degree = is_ours(sim, who) ? graph_degree(graph, who) : PARTNER_CONTACTS, n = 0;
    uint32_t *victims = malloc((degree + sim->n_rooms + 1) * sizeof *victims);
    must(victims != NULL);
    for (uint32_t i = 0; aim == AIM_ROOMS && i < sim->n_rooms; i++)
        for (uint32_t k = 0; k < sim->rooms[i].n; k++)
            if (sim->rooms[i].seats[k] == who)
                victims[n++] = ROOM | i;
    struct prng prng = prng_of(sim->config.seed, who, PURPOSE_PARTNER);
    for (uint32_t i = 0; i < degree; i++) {
        uint32_t other = is_ours(sim, who) ? sim->roster[graph->first[who] + i]
                                           : (uint32_t)prng_below(&prng, sim->n_ours);
        const struct tie *tie = tie_of(sim, who, other, contact_index(sim, who, other));
        if (aim != AIM_RECENT || talk_both_ways(sim, tie, recent_us))
            victims[n++] = other;
    }
    if (sim->people[who].decoy != 0 && aim != AIM_RECENT) {
        uint32_t place = (uint32_t)prng_below(&prng, n + 1);
        memmove(victims + place + 1, victims + place, (n - place) * sizeof *victims);
        victims[place] = sim->people[who].decoy;
        n++;
    }
    *out = victims;
    return n;
}

static void infect(struct sim *sim, uint32_t who)
{
    struct person *person = &sim->people[who];
    if (person->infected)
        return;
    person->infected = true;
    sim->outcome.infected += is_ours(sim, who);
    uint32_t *victims = NULL, n = list_victims(sim, who, &victims);
    infection_init(&person->infection, sim->config.worm, who, victims, n);
    free(victims);
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    if (habits->aim == AIM_REPLIES)
        return;
    int64_t wait_us = (int64_t)(habits->wait_s * 1e6);
    if (wait_us == 0)
        wait_us = SECOND_US / 2;
    plan_worm(sim,
              (struct happening){.at_us = sim->now_us + wait_us, .what = WORM_STEP, .from = who});
}

static uint32_t count_victims(struct sim *sim, uint32_t who)
{
    uint32_t *victims = NULL, n = list_victims(sim, who, &victims);
    free(victims);
    return n;
}

void sim_infect(struct sim *sim)
{
    must(sim->config.worm != NULL);
    const struct worm_habits *habits = &sim->config.worm->profile->habits;
    struct prng prng = prng_of(sim->config.seed, 0, PURPOSE_ZERO);
    sim->has_infected = true;
    for (uint32_t i = 0; i < sim->n_remote; i++)
        infect(sim, sim->n_ours + i);
    for (uint32_t made = 0, tries = 0; made < habits->zeros && made < sim->n_ours; tries++) {
        uint32_t who = (uint32_t)prng_below(&prng, sim->n_ours);
        // where people know few others, fewer must do
        uint32_t least = ZERO_CONTACTS;
        for (uint32_t more = 20 * sim->n_ours; tries > more && least > 0; more += 20 * sim->n_ours)
            least--;
        if (sim->people[who].infected || count_victims(sim, who) < least)
            continue;
        sim->people[who].mind.has_decided = true;
        sim->people[who].exposed = true;
        infect(sim, who);
        made++;
    }
}

static void open_lure(struct sim *sim, const struct happening *now)
{
    const struct copy *copy = &sim->copies.at[now->copy];
    if (copy->gone && sim->people[now->to].obeys)
        return;
    infect(sim, now->to);
}

bool sim_worm_is_over(const struct sim *sim)
{
    if (sim->n_worm_plans > 0)
        return false;
    for (size_t i = 0; i < sim->n_waiting; i++)
        if (sim->copies.at[sim->waiting[i]].said == SAID_LURE)
            return false;
    // a worm that only replies goes on as long as people write
    return sim->config.worm == NULL || sim->config.worm->profile->habits.aim != AIM_REPLIES;
}

/* ---- Running ---- */

static void tell_answer(struct sim *sim, const struct happening *now)
{
    struct guard_event event = {
        .kind = EVENT_ANSWER,
        .answer = {.sender = jid_of(sim, now->from),
                   .incident = now->identity,
                   .meant = !sim->people[now->from].infected}
    };
    happen(sim, &event);
}

static void tell_report(struct sim *sim, const struct happening *now)
{
    const struct copy *copy = &sim->copies.at[now->copy];
    struct guard_event event = {
        .kind = EVENT_REPORT,
        .report = {.reporter = jid_of(sim, now->from), .sender = jid_of(sim, copy->from)}
    };
    if (sim->guard != NULL)
        happen(sim, &event);
}

static void do_next(struct sim *sim)
{
    struct happening now = queue_take(&sim->queue);
    sim->now_us = now.at_us > sim->now_us ? now.at_us : sim->now_us;
    bool is_worms = false;
    switch ((enum what)now.what) {
    case SAY: {
        struct outgoing out = {
            .message = {.from = now.from,
                        .to = now.to,
                        .text = str_of(now.text),
                        .manner = now.manner,
                        .said = (enum said)now.said,
                        .identity = now.identity},
            .is_trap = now.is_trap
        };
        send(sim, &out);
        break;
    }
    case WORM_STEP:
        is_worms = true;
        worm_step(sim, now.from);
        break;
    case WORM_ANSWER:
        is_worms = true;
        send_copy(sim, now.from, now.to);
        break;
    case OPEN:
        is_worms = true;
        open_lure(sim, &now);
        break;
    case LET_GO:
    case OVERTAKE:
        if (sim->copies.at[now.copy].queued)
            go_on(sim, now.copy);
        break;
    case ANSWER:
        tell_answer(sim, &now);
        break;
    case REPORT:
        tell_report(sim, &now);
        break;
    }
    sim->n_worm_plans -= is_worms;
    free(now.text);
}

static void tick(struct sim *sim, int64_t at_us)
{
    struct guard_event event = {.kind = EVENT_TICK};
    sim->now_us = at_us > sim->now_us ? at_us : sim->now_us;
    happen(sim, &event);
}

static int64_t traffic_next_us(const struct sim *sim)
{
    return sim->traffic.next_us != NULL ? sim->traffic.next_us(sim->traffic.of) : INT64_MAX;
}

void sim_run_until(struct sim *sim, int64_t until_us)
{
    for (;;) {
        int64_t planned_us = queue_next_us(&sim->queue), traffic_us = traffic_next_us(sim);
        int64_t guard_us = sim->guard != NULL ? guard_next_us(sim->guard) : INT64_MAX;
        int64_t next_us = planned_us < traffic_us ? planned_us : traffic_us;
        if (guard_us <= until_us && guard_us <= next_us) {
            tick(sim, guard_us);
            continue;
        }
        if (next_us > until_us)
            break;
        if (planned_us <= traffic_us) {
            do_next(sim);
        } else {
            sim->now_us = traffic_us > sim->now_us ? traffic_us : sim->now_us;
            sim->traffic.say(sim->traffic.of, sim);
        }
    }
    sim->now_us = until_us;
}

void sim_run(struct sim *sim, double seconds)
{
    sim_run_until(sim, after_us(sim, seconds));
}

void sim_outcome(const struct sim *sim, struct outcome *out)
{
    *out = sim->outcome;
    // what waits for longer than anything may is lost, unless the queue is the measure itself
    for (size_t i = 0; i < sim->n_waiting; i++) {
        const struct copy *copy = &sim->copies.at[sim->waiting[i]];
        struct tally *tally = copy->is_trap ? &out->trap : &out->honest;
        int64_t waited_us = sim->now_us - copy->sent_us;
        if (copy->said == SAID_LURE)
            continue;
        tally->held_over_2s += waited_us > 2 * SECOND_US;
        if (waited_us > tally->longest_hold_us)
            tally->longest_hold_us = waited_us;
        int64_t most_us = sim->config.guard_config.hold_us + sim->config.guard_config.ask_us;
        tally->lost += sim->guard != NULL && waited_us > most_us + behind_us;
    }
}

void sim_show(const struct sim *sim)
{
    struct arena arena;
    uint64_t at = 0, id;
    arena_init(&arena, (size_t)64 << 20);
    while (sim->guard != NULL && (id = guard_incident_next(sim->guard, &at)) != 0) {
        struct incident incident;
        must(guard_incident(sim->guard, id, &arena, &incident) == OK);
        printf("incident %llu %s %.1f nats, %s %.*s: %u sendings, %u exposed, %u relays, %u held, "
               "%u rejected\n",
               (unsigned long long)id, incident_state_name(incident.state), incident.nats,
               lure_width_name(incident.width), STR_ARGS(incident.shown), incident.n_sendings,
               incident.n_exposed, incident.n_relays, incident.n_held, incident.n_rejected);
        for (size_t i = 0; i < incident.n_evidence; i++)
            printf("    %8.1fs %5.2f %s %.*s\n",
                   (double)(incident.evidence[i].at_us - incident.first_us) / 1e6,
                   incident.evidence[i].nats, evidence_kind_name(incident.evidence[i].kind),
                   STR_ARGS(incident.evidence[i].who));
        arena_reset(&arena);
    }
    arena_done(&arena);
}
