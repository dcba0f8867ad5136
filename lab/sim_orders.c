/*
 * What the guard orders, done as the server does it.
 */
#include "lab/sim_internal.h"

#include "base/must.h"

#include <stdlib.h>

struct tally *sim_tally_of(struct sim *sim, const struct copy *copy)
{
    return copy->is_trap ? &sim->outcome.trap : &sim->outcome.honest;
}

void sim_take(struct sim *sim, struct guard_event *event, struct guard_word *word)
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
        if (said_by_worm(sim->copies.at[copy].said))
            return true;
    return false;
}

void sim_note_conviction(struct sim *sim)
{
    if (sim->outcome.conviction_s >= 0 || sim->first_copy_us == 0)
        return;
    sim->outcome.conviction_s = (double)(sim->now_us - sim->first_copy_us) / 1e6;
    sim->outcome.copies_until_conviction = sim->outcome.worm_copies;
}

static void count_as_lost(struct sim *sim, struct copy *copy, bool lost)
{
    if (copy->lost == lost)
        return;
    copy->lost = lost;
    sim_tally_of(sim, copy)->lost += lost ? 1 : (uint64_t)-1;
}

static void take_back(struct sim *sim, const struct order *order)
{
    uint32_t at = UINT32_MAX, number;
    if (!order->undo && is_the_worms(sim, &order->key))
        sim_note_conviction(sim);
    else if (!order->undo && order->who.len == 0)
        sim->outcome.honest_convictions++;
    while (copies_next(&sim->copies, &order->key, &at, &number)) {
        struct copy *copy = &sim->copies.at[number];
        if (copy->sent_back ||
            (order->who.len > 0 && !str_eq(order->who, sim_jid_of(sim, copy->from))))
            continue;
        // whom the worm owns denies whatever he is asked about, his own links too
        bool by_himself = order->who.len > 0 && sim->people[copy->from].infected;
        if (copy->gone != order->undo) {
            if (by_himself && copy->lost) { // it was taken back before he said so
                count_as_lost(sim, copy, false);
                sim->outcome.rejected_of_infected++;
            }
            continue;
        }
        copy->gone = !order->undo;
        if (copy->refused)
            continue;
        if (copy->said == SAID_HONEST && by_himself)
            sim->outcome.rejected_of_infected += copy->gone ? 1 : (uint64_t)-1;
        else if (copy->said == SAID_HONEST)
            count_as_lost(sim, copy, copy->gone);
        else if (copy->said == SAID_WARNING)
            sim_tally_of(sim, copy)->withdrawn += copy->gone ? 1 : (uint64_t)-1;
    }
}

/* What was taken back returns to whoever sent it. */
static void send_back(struct sim *sim, const struct order *order)
{
    uint32_t at = UINT32_MAX, number;
    while (copies_next(&sim->copies, &order->key, &at, &number)) {
        struct copy *copy = &sim->copies.at[number];
        if (!copy->gone || copy->sent_back)
            continue;
        copy->sent_back = true;
        sim_tally_of(sim, copy)->returned += copy->lost;
        count_as_lost(sim, copy, false);
    }
}

static void restrict_account(struct sim *sim, const struct order *order)
{
    int64_t who = sim_person_of(sim, order->who);
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

/* It waits until that time, or until the guard's order. */
void sim_let_wait(struct sim *sim, uint32_t at, struct str text, bool held, int64_t until_us,
                  enum what then)
{
    struct copy *copy = &sim->copies.at[at];
    copy->held = held;
    copy->queued = !held;
    copy->text = sim_own_text(text);
    if (!said_by_worm(copy->said))
        sim_tally_of(sim, copy)->held++;
    wait_for(sim, at);
    if (!held)
        queue_plan(&sim->queue,
                   (struct happening){.at_us = until_us, .what = (int)then, .copy = at});
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

void sim_note_wait(const struct sim *sim, const struct copy *copy, struct tally *tally)
{
    int64_t waited_us = sim->now_us - copy->sent_us;
    bool was_asked = sim->people[copy->from].n_asked > 0;
    tally->held_over_2s += waited_us > 2 * SECOND_US;
    tally->for_answer += was_asked && waited_us > 2 * SECOND_US;
    if (!was_asked && waited_us > tally->longest_hold_us)
        tally->longest_hold_us = waited_us;
}

static void note_wait(struct sim *sim, const struct copy *copy)
{
    if (!said_by_worm(copy->said))
        sim_note_wait(sim, copy, sim_tally_of(sim, copy));
}

/* A message that waited goes on, and what waited behind it alone. */
void sim_go_on(struct sim *sim, uint32_t number)
{
    struct copy *copy = &sim->copies.at[number];
    uint32_t from = copy->from, to = copy->to;
    no_longer_wait(sim, number);
    note_wait(sim, copy);
    copy->held = copy->queued = false;
    char *text = TAKE(copy->text);
    sim_arrive(sim, &sim->copies.at[number], number, str_of(text));
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
        sim_arrive(sim, &sim->copies.at[next], next, str_of(text));
        free(text);
    }
}

void sim_refuse(struct sim *sim, uint32_t number, enum reason reason)
{
    struct copy *copy = &sim->copies.at[number];
    copy->refused = true;
    count_as_lost(sim, copy, false); // its sender has it back
    if (said_by_worm(copy->said))
        return;
    // whom the worm owns has lost his links, and that is right
    if (sim->people[copy->from].infected)
        sim->outcome.rejected_of_infected++;
    else if (reason == REASON_UNANSWERED || reason == REASON_UNDECIDED)
        sim_tally_of(sim, copy)->returned++;
    else
        sim_tally_of(sim, copy)->rejected++;
}

static void refuse_held(struct sim *sim, uint32_t number, enum reason reason)
{
    struct copy *copy = &sim->copies.at[number];
    note_wait(sim, copy);
    sim_refuse(sim, number, reason);
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
            sim_go_on(sim, sim->waiting[i]);
        return;
    }
}

/* Once a question has been put to the sender, what waits for his answer is overtaken. */
static void overtake(struct sim *sim, uint32_t who)
{
    for (size_t i = 0; i < sim->n_waiting; i++) {
        struct copy *copy = &sim->copies.at[sim->waiting[i]];
        if (copy->from == who)
            copy->overtaken = true;
    }
    for (size_t i = 0; sim->people[who].n_held > 0 && i < sim->n_waiting;) {
        const struct copy *copy = &sim->copies.at[sim->waiting[i]];
        if (copy->from != who || copy->held) {
            i++;
            continue;
        }
        sim_go_on(sim, sim->waiting[i]);
        i = 0; // others went with it
    }
}

static void ask(struct sim *sim, const struct order *order)
{
    int64_t who = sim_person_of(sim, order->who);
    if (order->undo ||
        order->reason == REASON_UNANSWERED) // known already, and answered in time or never
        return;
    sim->outcome.questions++;
    if (who < 0)
        return;
    sim->people[who].n_asked++;
    overtake(sim, (uint32_t)who);
    struct tally *tally = sim->people[who].is_traps ? &sim->outcome.trap : &sim->outcome.honest;
    tally->asked += !sim->people[who].infected;
    bool owns_another = sim_worm_owns_another(sim, (uint32_t)who);
    if (sim->people[who].infected)
        queue_plan(&sim->queue,
                   (struct happening){.at_us = sim->now_us + sim_lies_after_us(sim, (uint32_t)who),
                                      .what = WORM_LIES,
                                      .from = (uint32_t)who,
                                      .elsewhere = owns_another,
                                      .identity = order->incident});
    if (owns_another) // he is not told
        return;
    struct prng prng = sim_dice(sim, order->incident, (uint32_t)who, PURPOSE_ANSWER);
    int64_t delay_us;
    if (habits_answers(&sim->config.habits, &prng, &delay_us))
        queue_plan(&sim->queue, (struct happening){.at_us = sim->now_us + delay_us,
                                                   .what = ANSWER,
                                                   .from = (uint32_t)who,
                                                   .elsewhere = order->device == DESK,
                                                   .identity = order->incident});
}

void sim_carry_out(struct sim *sim, const struct guard_word *word)
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
            if (sim->copies.at[order->message].held)
                sim_go_on(sim, (uint32_t)order->message);
            break;
        case ORDER_REJECT_HELD:
            if (sim->copies.at[order->message].held)
                refuse_held(sim, (uint32_t)order->message, order->reason);
            break;
        case ORDER_ASK:
            ask(sim, order);
            break;
        case ORDER_RETURN:
            send_back(sim, order);
            break;
        case ORDER_STOP: // the guard's own; in the server for offline copies and archives
        case ORDER_NOTIFY:
            break;
        }
    }
}

/* Gives the guard an event and does what it says. */
void sim_happen(struct sim *sim, struct guard_event *event)
{
    struct arena arena;
    struct guard_word word;
    arena_init(&arena, GUARD_WORD_MOST);
    guard_word_init(&word, &arena);
    sim_take(sim, event, &word);
    sim_carry_out(sim, &word);
    arena_done(&arena);
}

void sim_name_decoys(struct sim *sim)
{
    for (uint32_t i = 0; sim->guard != NULL && i < sim->n_decoys; i++) {
        struct guard_event event = {
            .kind = EVENT_DECOY,
            .decoy = {.account = sim_jid_of(sim, sim->n_ours + sim->n_remote + i),
                      .actor = STR("operator")}
        };
        sim_happen(sim, &event);
    }
}

void sim_entitle(struct sim *sim, uint32_t who, const char *domain)
{
    struct guard_event event = {
        .kind = EVENT_ENTITLE,
        .entitlement = {.account = sim_jid_of(sim, who),
                        .domain = str_of(domain),
                        .receivers = 10000,
                        .expires_us = sim->now_us + 30 * 86400 * SECOND_US,
                        .actor = STR("operator"),
                        .reason = STR("its work")}
    };
    if (sim->guard != NULL)
        sim_happen(sim, &event);
}
