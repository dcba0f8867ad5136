/*
 * The worm in people's clients, and what people do about its copies: each is
 * opened after a delay of its own, unless it is gone by then, or its reader has
 * been warned.
 */
#include "drill/town_internal.h"

#include "base/must.h"
#include "drill/letter.h"

#include <stdlib.h>

/* An answer that the worm is about to give. */
struct answer {
    struct link link;
    struct timer timer;
    struct town *town;
    uint32_t from, to;
};

/* A copy that somebody is about to open. */
struct opening {
    struct link link;
    struct timer timer;
    struct person *person;
    uint32_t copy; // in the ledger
};

/* Whom a worm in this person's client sends to, in the roster's order; the caller frees it. */
static uint32_t list_victims(const struct person *person, uint32_t **out)
{
    const struct graph *graph = person->town->plan->graph;
    bool has_roster = person->n_roster > 0;
    const uint32_t *all = has_roster ? person->roster : graph_contacts(graph, person->number);
    uint32_t n_all = has_roster ? person->n_roster : graph_degree(graph, person->number), n = 0;
    bool recent = person->town->worm.profile->habits.aim == AIM_RECENT;
    *out = malloc((n_all + 1) * sizeof **out);
    must(*out != NULL);
    for (uint32_t i = 0; i < n_all; i++) {
        int32_t contact = graph_contact_index(graph, person->number, all[i]);
        bool talks = contact >= 0 && person->ties[contact] == (TIE_SENT | TIE_GOT);
        if (!recent || talks)
            (*out)[n++] = all[i];
    }
    return n;
}

static uint32_t count_victims(void *of, uint32_t who)
{
    const struct town *town = of;
    uint32_t *victims = NULL, n = list_victims(&town->people[who], &victims);
    free(victims);
    return n;
}

static void infect(struct person *person, uint32_t by)
{
    struct town *town = person->town;
    if (person->infected)
        return;
    person->infected = true;
    if (town->out->n_infected == town->room_infected) {
        town->room_infected = town->room_infected == 0 ? 64 : 2 * town->room_infected;
        town->out->infected =
            realloc(town->out->infected, town->room_infected * sizeof *town->out->infected);
        must(town->out->infected != NULL);
    }
    town->out->infected[town->out->n_infected++] =
        (struct infected){person->number, by, town_since_release_s(town)};
    uint32_t *victims = NULL, n = list_victims(person, &victims);
    infection_init(&person->infection, &town->worm, person->number, victims, n);
    free(victims);
    const struct worm_habits *habits = &town->worm.profile->habits;
    if (habits->aim == AIM_REPLIES)
        return;
    town_after(town, &person->next_copy, infection_wait_us(&town->worm));
}

static void send_copy(struct person *from, uint32_t to)
{
    struct town *town = from->town;
    uint32_t number =
        ledger_say(&town->ledger, SAID_LURE, from->number, to, STR_EMPTY, town_run_time_us(town));
    char id[LEDGER_ID_SIZE];
    struct buf children;
    ledger_id(&town->ledger, number, id);
    buf_init(&children, TEXT_MOST);
    struct arena arena;
    struct letter letter;
    arena_init(&arena, TEXT_MOST);
    infection_write(&from->infection, &town->worm, &arena, str_of(town->plan->accounts[to].user),
                    &letter);
    letter_write(&letter, &children);
    if (town->worm_link == NULL) {
        struct str link = letter.link.len > 0 ? letter.link : letter.text;
        town->worm_link = strndup(link.at, link.len);
        must(town->worm_link != NULL);
    }
    arena_done(&arena);
    town->out->n_copies++;
    if (town->worm.profile->habits.composes)
        town_send_composing(from, to);
    town_send_to(from, to, id, buf_str(&children));
    buf_done(&children);
}

static void send_next_copy(struct timer *timer)
{
    struct person *person = CONTAINER_OF(timer, struct person, next_copy);
    struct town *town = person->town;
    uint32_t contact;
    if (!infection_next(&person->infection, &town->worm, &contact))
        return;
    send_copy(person, contact);
    town_after(town, timer, infection_pause_us(&person->infection, &town->worm));
}

static void give_answer(struct timer *timer)
{
    struct answer *answer = CONTAINER_OF(timer, struct answer, timer);
    send_copy(&answer->town->people[answer->from], answer->to);
    list_leave(&answer->link);
    free(answer);
}

void town_forget_answers(struct town *town)
{
    LIST_EACH(&town->answers, struct answer, link, answer)
    {
        loop_timer_stop(town->loop, &answer->timer);
        list_leave(&answer->link);
        free(answer);
    }
}

void town_init_worm(struct person *person)
{
    person->next_copy.fire = send_next_copy;
}

void town_tempt_worm(struct person *person, uint32_t writer)
{
    struct town *town = person->town;
    if (!person->infected || !infection_answers(&person->infection, &town->worm, writer))
        return;
    struct answer *answer = calloc(1, sizeof *answer);
    must(answer != NULL);
    *answer = (struct answer){
        .timer.fire = give_answer, .town = town, .from = person->number, .to = writer};
    list_add_last(&town->answers, &answer->link);
    town_after(town, &answer->timer, infection_pause_us(&person->infection, &town->worm));
}

void town_release_zeros(struct town *town)
{
    uint32_t wanted = town->plan->worm->habits.zeros;
    uint32_t *zeros = calloc(wanted + 1, sizeof *zeros);
    must(zeros != NULL);
    uint32_t n = graph_patients_zero(town->plan->graph, town->plan->seed, wanted, count_victims,
                                     town, zeros);
    for (uint32_t i = 0; i < n; i++)
        infect(&town->people[zeros[i]], NOBODY);
    free(zeros);
}

/* Lures and people */

static void opening_free(struct opening *opening)
{
    list_leave(&opening->link);
    free(opening);
}

static void open_lure(struct timer *timer)
{
    struct opening *opening = CONTAINER_OF(timer, struct opening, timer);
    struct person *person = opening->person;
    const struct said *copy = &person->town->ledger.at[opening->copy];
    if (!copy->retracted)
        infect(person, copy->from);
    opening_free(opening);
}

void town_see_lure(struct person *person, const struct said *copy)
{
    struct town *town = person->town;
    town->out->n_copies_received++;
    town->out->n_exposed += !person->exposed;
    person->exposed = true;
    int64_t delay_us;
    if (person->infected || town->phase != CHATTING ||
        !mind_is_tempted(&person->mind, &town->plan->openness, &delay_us))
        return;
    struct opening *opening = calloc(1, sizeof *opening);
    must(opening != NULL);
    *opening = (struct opening){
        .timer.fire = open_lure, .person = person, .copy = (uint32_t)(copy - town->ledger.at)};
    list_add_last(&person->openings, &opening->link);
    town_after(town, &opening->timer, delay_us);
}

void town_open_nothing(struct person *person)
{
    LIST_EACH(&person->openings, struct opening, link, opening)
    {
        loop_timer_stop(person->town->loop, &opening->timer);
        opening_free(opening);
    }
}
