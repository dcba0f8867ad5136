#include "lab/sim_internal.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t start_us = INT64_C(1800000000) * SECOND_US;
// a held message, and what waits behind it, is gone by then
static const int64_t lost_us = 16 * SECOND_US;

void sim_config_default(struct sim_config *config)
{
    *config = (struct sim_config){
        .habits = habits_usual, .open = 0.2, .defence = DEFENCE_FIREDOOR, .seed = 1};
    guard_config_default(&config->guard_config);
    config->guard_config.defangs = true; // im/gate.c does
}

struct prng sim_dice(const struct sim *sim, uint64_t identity, uint32_t person, uint32_t purpose)
{
    struct prng prng = {identity};
    return prng_of(sim->config.seed ^ prng_u64(&prng), person, purpose);
}

char *sim_own_text(struct str text)
{
    char *copy = strndup(text.at, text.len);
    must(copy != NULL);
    return copy;
}

static int64_t after_us(const struct sim *sim, double seconds)
{
    return sim->now_us + (int64_t)(seconds * 1e6);
}

/* ---- Life of an engine ---- */

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *sim = calloc(1, sizeof *sim);
    must(sim != NULL && config->graph != NULL);
    sim->config = *config;
    sim->traps = trap_prng(config->seed);
    sim->rules = config->rules;
    if (sim->rules == NULL)
        sim->rules = sim->own_rules = lure_rules_new();
    sim->now_us = start_us;
    sim->outcome.conviction_s = -1;

    table_init(&sim->strangers, 100000000);
    sim_make_people(sim);
    sim_make_rosters(sim);
    sim->ties = calloc(config->graph->first[sim->n_ours] + 1, sizeof *sim->ties);
    must(sim->ties != NULL);
    if (config->worm != NULL && config->worm->profile->habits.aim == AIM_ROOMS)
        sim_make_rooms(sim);
    if (config->defence == DEFENCE_FIREDOOR)
        sim->guard = guard_new(&config->guard_config, config->seed);
    else
        sim->defence = defence_new(config->defence, sim_n_people(sim));
    sim_name_decoys(sim);
    return sim;
}

void sim_free(struct sim **at)
{
    struct sim *sim = TAKE(*at);
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < sim_n_people(sim); i++)
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

int64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

uint32_t sim_people(const struct sim *sim)
{
    return sim->n_ours;
}

void sim_log(struct sim *sim, struct buf *log)
{
    sim->log = log;
}

void sim_traffic(struct sim *sim, const struct traffic *traffic)
{
    sim->traffic = traffic != NULL ? *traffic : (struct traffic){0};
}

/* ---- Running ---- */

/* The truth, said where a worm has no hand in it; or what it says itself. */
static void tell_answer(struct sim *sim, const struct happening *now)
{
    bool lies = now->what == WORM_LIES, infected = sim->people[now->from].infected;
    if (!lies && infected)
        sim->outcome.answers_no++;
    else if (!lies)
        sim->outcome.answers_yes++;
    struct guard_event event = {
        .kind = EVENT_ANSWER,
        .answer = {.sender = sim_jid_of(sim, now->from),
                   .incident = now->identity,
                   .meant = lies || !infected,
                   .trust = now->elsewhere ? ANSWER_OTHER_DEVICE
                            : lies         ? ANSWER_SAME_DEVICE
                                           : ANSWER_PUZZLE}
    };
    sim_happen(sim, &event);
}

static void tell_report(struct sim *sim, const struct happening *now)
{
    const struct copy *copy = &sim->copies.at[now->copy];
    struct guard_event event = {
        .kind = EVENT_REPORT,
        .report = {.reporter = sim_jid_of(sim, now->from), .sender = sim_jid_of(sim, copy->from)}
    };
    if (sim->guard != NULL)
        sim_happen(sim, &event);
}

static void do_next(struct sim *sim)
{
    struct happening now = queue_take(&sim->queue);
    sim->now_us = now.at_us > sim->now_us ? now.at_us : sim->now_us;
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
        sim_send_out(sim, &out);
        break;
    }
    case WORM_STEP:
        sim_worm_step(sim, now.from);
        break;
    case WORM_ANSWER:
        sim_send_copy(sim, now.from, now.to);
        break;
    case OPEN:
        sim_open_lure(sim, &now);
        break;
    case LET_GO:
    case OVERTAKE:
        if (sim->copies.at[now.copy].queued)
            sim_go_on(sim, now.copy);
        break;
    case ANSWER:
    case WORM_LIES:
        tell_answer(sim, &now);
        break;
    case REPORT:
        tell_report(sim, &now);
        break;
    }
    free(now.text);
}

static void tick(struct sim *sim, int64_t at_us)
{
    struct guard_event event = {.kind = EVENT_TICK};
    sim->now_us = at_us > sim->now_us ? at_us : sim->now_us;
    sim_happen(sim, &event);
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
        if (said_by_worm(copy->said))
            continue;
        sim_note_wait(sim, copy, tally);
        int64_t most_us = sim->config.guard_config.hold_us + sim->config.guard_config.ask_us;
        tally->lost += sim->guard != NULL && waited_us > most_us + lost_us;
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
        for (size_t i = 0; i < incident.n_questions; i++) {
            const struct guard_question *question = &incident.questions[i];
            printf("    %8.1fs asked %.*s: %s after %.1fs\n",
                   (double)(question->asked_us - incident.first_us) / 1e6, STR_ARGS(question->who),
                   question_state_name(question->state),
                   (double)(question->ended_us - question->asked_us) / 1e6);
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
}
