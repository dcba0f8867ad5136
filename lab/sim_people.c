/*
 * Who there is: people, their rosters and rooms, and what they remember of each other.
 */
#include "lab/sim_internal.h"

#include "base/must.h"
#include "guard/placement.h"

#include <stdio.h>
#include <stdlib.h>

// whom a worm takes for a recent contact
static const int64_t recent_us = 7 * 86400 * SECOND_US;

uint32_t sim_n_people(const struct sim *sim)
{
    return sim->n_ours + sim->n_remote + sim->n_decoys;
}

bool sim_is_ours(const struct sim *sim, uint32_t person)
{
    return person < sim->n_ours;
}

bool sim_is_decoy(const struct sim *sim, uint32_t person)
{
    return person >= sim->n_ours + sim->n_remote && person < STATUS;
}

static void give_decoy(struct sim *sim, uint32_t who, struct prng *luck)
{
    sim->people[who].decoy =
        sim->n_ours + sim->n_remote + (uint32_t)prng_below(luck, sim->n_decoys);
}

// To anybody, or to those among whom any worm is seen soonest.
static void give_out_decoys(struct sim *sim, double share)
{
    const struct graph *graph = sim->config.graph;
    bool places = defence_places(sim->config.defence);
    for (uint32_t i = 0; share > 0 && !places && i < sim->n_ours; i++) {
        struct prng luck = prng_of(sim->config.seed, i, PURPOSE_DECOY);
        if (prng_unit(&luck) < share)
            give_decoy(sim, i, &luck);
    }
    if (share <= 0 || !places)
        return;
    uint32_t *holders = calloc(sim->n_ours + 1, sizeof *holders);
    must(holders != NULL);
    uint32_t n =
        placement_choose(&(struct placement_graph){graph->n_people, graph->first, graph->contacts},
                         NULL, (uint32_t)(share * sim->n_ours), holders);
    for (uint32_t h = 0; h < n; h++) {
        struct prng luck = prng_of(sim->config.seed, holders[h], PURPOSE_DECOY);
        give_decoy(sim, holders[h], &luck);
    }
    free(holders);
}

void sim_make_people(struct sim *sim)
{
    const struct sim_config *config = &sim->config;
    double decoys =
        config->defence == DEFENCE_FIREDOOR ? config->decoys : defence_decoys(config->defence);
    sim->n_ours = config->graph->n_people;
    const struct worm_habits *worm = config->worm != NULL ? &config->worm->profile->habits : NULL;
    sim->n_remote = worm != NULL ? worm->remote_zeros + worm->abroad + worm->lull : 0;
    sim->n_decoys = decoys > 0 ? (uint32_t)(decoys * sim->n_ours) / PEOPLE_A_DECOY + 1 : 0;
    sim->people = calloc(sim_n_people(sim), sizeof *sim->people);
    must(sim->people != NULL && sim_n_people(sim) < STATUS);
    for (uint32_t i = 0; i < sim_n_people(sim); i++) {
        struct person *person = &sim->people[i];
        person->remote = !sim_is_ours(sim, i) && !sim_is_decoy(sim, i);
        snprintf(person->jid, JID_SIZE, "%s%u@%s.example",
                 sim_is_decoy(sim, i) ? "colleague" : "person", i,
                 person->remote ? "partner" : "town");
        person->ways = habits_client(&config->habits, config->seed, i);
        struct prng luck = prng_of(config->seed, i, PURPOSE_ENCRYPTED);
        person->encrypts = prng_unit(&luck) < config->habits.encrypted;
        mind_init(&person->mind, config->seed, i);
    }
    give_out_decoys(sim, decoys);
}

/* Each room is somebody and some of his contacts. */
void sim_make_rooms(struct sim *sim)
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

struct str sim_jid_of(const struct sim *sim, uint32_t who)
{
    return str_of((who & ROOM) != 0 ? sim->rooms[who & ~ROOM].jid : sim->people[who & ~STATUS].jid);
}

uint32_t sim_audience(const struct sim *sim, uint32_t to, const uint32_t **who)
{
    if ((to & ROOM) != 0) {
        *who = sim->rooms[to & ~ROOM].seats;
        return sim->rooms[to & ~ROOM].n;
    }
    if ((to & STATUS) != 0) {
        *who = graph_contacts(sim->config.graph, to & ~STATUS);
        return graph_degree(sim->config.graph, to & ~STATUS);
    }
    return 0;
}

struct str sim_jid(const struct sim *sim, uint32_t person)
{
    return sim_jid_of(sim, person);
}

/* -1: nobody of ours. */
int64_t sim_person_of(const struct sim *sim, struct str jid)
{
    uint64_t n = 0;
    struct str at = str_cut(&jid, '@');
    if (!str_starts(at, STR("person")) || !str_eq(jid, STR("town.example")) ||
        str_to_u64(str_skip(at, strlen("person")), 0, UINT32_MAX, &n) != OK || n >= sim->n_ours)
        return -1;
    return (int64_t)n;
}

void sim_make_rosters(struct sim *sim)
{
    const struct graph *graph = sim->config.graph;
    size_t n = graph->first[sim->n_ours] + 1;
    sim->roster = calloc(n, sizeof *sim->roster);
    sim->place = calloc(n, sizeof *sim->place);
    must(sim->roster != NULL && sim->place != NULL);
    for (uint32_t i = 0; i < sim->n_ours; i++) {
        uint32_t *place = sim->place + graph->first[i];
        roster_places(graph, i, sim->config.roster, sim->config.seed, place);
        for (uint32_t k = 0; k < graph_degree(graph, i); k++)
            sim->roster[graph->first[i] + place[k]] = graph_contacts(graph, i)[k];
    }
}

/* Which of one's contacts the other is; -1: none. */
int32_t sim_contact_index(const struct sim *sim, uint32_t person, uint32_t other)
{
    return sim_is_ours(sim, person) ? graph_contact_index(sim->config.graph, person, other) : -1;
}

int32_t sim_roster_index(const struct sim *sim, uint32_t person, int32_t contact)
{
    if (contact < 0)
        return -1;
    return (int32_t)sim->place[sim->config.graph->first[person] + (uint32_t)contact];
}

struct tie *sim_tie_of(struct sim *sim, uint32_t person, uint32_t other, int32_t index)
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

bool sim_talk_both_ways(const struct sim *sim, const struct tie *tie, int64_t within_us)
{
    int64_t last_us = tie->sent_us > tie->got_us ? tie->sent_us : tie->got_us;
    return tie->sent_us != 0 && tie->got_us != 0 && sim->now_us - last_us < within_us;
}

/* Whom a worm in this person's client sends to, in the roster's order. */
uint32_t sim_list_victims(struct sim *sim, uint32_t who, uint32_t **out)
{
    const struct graph *graph = sim->config.graph;
    enum worm_aim aim = sim->config.worm->profile->habits.aim;
    uint32_t degree = sim_is_ours(sim, who) ? graph_degree(graph, who) : PARTNER_CONTACTS, n = 0;
    uint32_t *victims = malloc((degree + sim->n_rooms + 1) * sizeof *victims);
    must(victims != NULL);
    for (uint32_t i = 0; aim == AIM_ROOMS && i < sim->n_rooms; i++)
        for (uint32_t k = 0; k < sim->rooms[i].n; k++)
            if (sim->rooms[i].seats[k] == who)
                victims[n++] = ROOM | i;
    if (aim == AIM_STATUS && sim_is_ours(sim, who)) {
        victims[0] = STATUS | who;
        *out = victims;
        return 1;
    }
    struct prng prng = prng_of(sim->config.seed, who, PURPOSE_PARTNER);
    for (uint32_t i = 0; i < degree; i++) {
        uint32_t other = sim_is_ours(sim, who) ? sim->roster[graph->first[who] + i]
                                               : (uint32_t)prng_below(&prng, sim->n_ours);
        const struct tie *tie = sim_tie_of(sim, who, other, sim_contact_index(sim, who, other));
        if (aim != AIM_RECENT || sim_talk_both_ways(sim, tie, recent_us))
            victims[n++] = other;
    }
    bool spares = aim == AIM_RECENT || sim->config.worm->profile->habits.avoids;
    if (sim->people[who].decoy != 0 && !spares) {
        uint32_t place = (uint32_t)prng_below(&prng, n + 1);
        memmove(victims + place + 1, victims + place, (n - place) * sizeof *victims);
        victims[place] = sim->people[who].decoy;
        n++;
    }
    *out = victims;
    return n;
}
