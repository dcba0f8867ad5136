/*
 * A message on its way: sent, judged, waiting, arrived.
 */
#include "lab/sim_internal.h"

#include "town/reshare.h"
#include "town/texts.h"

// im/pace.c and im/gate.c
static const int64_t live_us = 3600 * SECOND_US, behind_us = 16 * SECOND_US;

/* ---- A message arrives ---- */

/* Of people who pass a link on, so many have opened it (Gabielkov et al., Social Clicks, 2016). */
static const double opens_before = 0.41;

/* An honest person passes on what he liked; whether he did. */
static bool pass_on(struct sim *sim, uint32_t who, const struct copy *copy, struct str link)
{
    struct prng prng = sim_dice(sim, copy->identity, who, PURPOSE_RESHARE);
    struct reshare reshare;
    if (!reshare_plan(&reshare, &sim->config.habits, sim->config.graph, who, copy->from, &prng))
        return false;
    struct buf text;
    buf_init(&text, 8192);
    reshare_write(&reshare, link, &text);
    for (uint32_t i = 0; i < reshare.n; i++)
        queue_plan(&sim->queue,
                   (struct happening){
                       .at_us = sim->now_us + reshare.at[i].delay_us,
                       .what = SAY,
                       .from = who,
                       .to = reshare.at[i].to,
                       .said = copy->said,
                       .is_trap = copy->is_trap,
                       .identity = reshare.at[i].identity,
                       .manner = {.composing = reshare.at[i].typing, .live = -1},
                       .text = sim_own_text(text.overflowed ? STR_EMPTY : buf_str(&text))
        });
    buf_done(&text);
    return true;
}

static void expose(struct sim *sim, uint32_t number, uint32_t who)
{
    const struct copy *copy = &sim->copies.at[number];
    struct guard_event event = {
        .kind = EVENT_EXPOSURE,
        .exposure = {.sender = sim_jid_of(sim, copy->from),
                     .receiver = sim_jid_of(sim, who),
                     .keys = copy_keys(&sim->copies, copy),
                     .n_keys = copy->n_keys}
    };
    if (sim->guard != NULL && copy->n_keys > 0 && !copy->calm)
        sim_happen(sim, &event);
}

void sim_tell_opening(struct sim *sim, const struct copy *copy, uint32_t who)
{
    struct guard_event event = {
        .kind = EVENT_OPENING,
        .opened = {.who = sim_jid_of(sim, who),
                   .keys = copy_keys(&sim->copies, copy),
                   .n_keys = copy->n_keys}
    };
    if (sim->config.protect_nats > 0 && sim->guard != NULL && copy->n_keys > 0 &&
        sim_is_ours(sim, who))
        sim_happen(sim, &event);
}

static void arrive_at(struct sim *sim, const struct copy *what, uint32_t at, uint32_t who,
                      struct str text)
{
    struct person *person = &sim->people[who];
    uint32_t from = what->from;
    struct copy copy = *what; // the table may grow below
    if (sim_is_decoy(sim, who))
        return;
    sim_tie_of(sim, who, from, sim_contact_index(sim, who, from))->got_us = sim->now_us;
    if (person->infected && sim_is_ours(sim, who) &&
        infection_answers(&person->infection, sim->config.worm, from))
        queue_plan(&sim->queue,
                   (struct happening){.at_us = sim->now_us + infection_pause_us(&person->infection,
                                                                                sim->config.worm),
                                      .what = WORM_ANSWER,
                                      .from = who,
                                      .to = from});
    if (copy.said == SAID_LURE)
        sim_tempt(sim, who, at, copy.identity);
    if (at == UINT32_MAX)
        return;
    bool passes = false;
    if (copy.said != SAID_WARNING && sim->config.habits.reshare > 0 && sim_is_ours(sim, who)) {
        struct str link = texts_find_link(text);
        if (link.len > 0 && !person->infected)
            passes = pass_on(sim, who, &copy, link);
    }
    expose(sim, at, who);
    struct prng prng = sim_dice(sim, copy.identity, who, PURPOSE_HEED);
    if (passes && prng_unit(&prng) < opens_before)
        sim_tell_opening(sim, &sim->copies.at[at], who);
}

/* at: its place among the copies; UINT32_MAX: it needs none. */
void sim_arrive(struct sim *sim, const struct copy *what, uint32_t at, struct str text)
{
    struct copy copy = *what;
    if (at != UINT32_MAX) {
        if (copy.gone)
            return;
        sim->copies.at[at].arrived = true;
    }
    const uint32_t *who;
    uint32_t n = sim_audience(sim, copy.to, &who);
    if (n == 0)
        arrive_at(sim, &copy, at, copy.to, text);
    for (uint32_t i = 0; i < n; i++)
        if (who[i] != copy.from)
            arrive_at(sim, &copy, at, who[i], text);
}

/* ---- A message is sent ---- */

/* What is known of how it is sent; remembers it. */
static struct pace pace_of(struct sim *sim, uint32_t from, uint32_t to, struct manner manner)
{
    struct person *sender = &sim->people[from];
    if ((to & STATUS) != 0) // what goes to all at once has no pace
        return (struct pace){.gap_us = -1, .roster_index = -1, .account_age_us = -1};
    if ((to & ROOM) != 0) {
        struct pace pace = {.gap_us = sender->sent_us != 0 ? sim->now_us - sender->sent_us : -1,
                            .roster_index = -1,
                            .composes = sender->has_typed,
                            .account_age_us = -1};
        sender->sent_us = sim->now_us;
        return pace;
    }
    int32_t index = sim_contact_index(sim, from, to);
    struct tie *tie = sim_tie_of(sim, from, to, index);
    bool composing = sender->ways.types && manner.composing;
    sender->has_typed |= composing;
    struct pace pace = {
        .gap_us = sender->sent_us != 0 ? sim->now_us - sender->sent_us : -1,
        .roster_index = sim_roster_index(sim, from, index),
        .composing = composing,
        .composes = sender->has_typed,
        .live = manner.live < 0 ? sim_talk_both_ways(sim, tie, live_us) : manner.live > 0,
        .first_contact = tie->sent_us == 0 && index < 0,
        .account_age_us = -1,
    };
    sender->sent_us = tie->sent_us = sim->now_us;
    return pace;
}

static bool waits_behind(const struct sim *sim, const struct copy *copy)
{
    if (sim->people[copy->from].n_held == 0)
        return false;
    for (size_t i = 0; i < sim->n_waiting; i++) {
        const struct copy *other = &sim->copies.at[sim->waiting[i]];
        if (other->from == copy->from && other->to == copy->to && !other->overtaken)
            return true;
    }
    return false;
}

/* The guard judges; returns true when the message goes on. */
static bool judge(struct sim *sim, const struct outgoing *out, const struct lure_list *list,
                  const struct lure_people *people, const struct pace *pace, uint32_t at)
{
    const struct message *message = &out->message;
    const uint32_t *who;
    uint32_t audience = sim_audience(sim, message->to, &who);
    struct guard_event event = {
        .kind = EVENT_SENDING,
        .sending = {.message = at,
                    .sender = sim_jid_of(sim, message->from),
                    .receiver = sim_jid_of(sim, message->to),
                    .audience = audience > 0 ? audience : 1,
                    .remote = sim->people[message->from].remote,
                    .device = DESK,
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
    sim_take(sim, &event, &word);
    enum verdict verdict = word.verdict;
    enum reason reason = word.reason;
    bool is_dead = word.defang;
    sim->copies.at[at].calm = word.calm;
    if (verdict == VERDICT_HOLD && (message->to & STATUS) != 0)
        verdict = VERDICT_REJECT; // presence does not wait: it goes on with its links made dead
    if (verdict == VERDICT_HOLD)
        sim_let_wait(sim, at, message->text, true, 0, LET_GO);
    sim->copies.at[at].overtaken = verdict == VERDICT_HOLD && reason == REASON_ASKED;
    sim_carry_out(sim, &word);
    arena_done(&arena);
    if (verdict == VERDICT_REJECT) // what never waited for somebody else's word does not return
        sim_refuse(sim, at, reason == REASON_UNDECIDED ? REASON_CONVICTED : reason);
    if (verdict == VERDICT_DELIVER && is_dead) {
        // the words arrive, and nothing in them can be opened
        struct copy dead = sim->copies.at[at];
        sim->copies.at[at].arrived = true;
        if (said_by_worm(dead.said))
            return false;
        sim_tally_of(sim, &dead)->dead++;
        sim_arrive(sim, &dead, UINT32_MAX, message->text);
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
    struct ruling ruling =
        defence_judge(sim->defence, out->message.from, out->message.to,
                      sim_is_decoy(sim, out->message.to), narrow, n, sim->now_us);
    if (ruling.blocks && out->message.said == SAID_LURE)
        sim_note_conviction(sim);
    if (!ruling.refused && ruling.release_us == 0)
        return true;
    if (*at == UINT32_MAX)
        *at = copies_add(&sim->copies, copy, NULL, 0);
    if (ruling.refused)
        sim_refuse(sim, *at, REASON_CONVICTED);
    else
        sim_let_wait(sim, *at, text, false, ruling.release_us, LET_GO);
    return false;
}

/* What the guard did not hear of when it began. */
static void tell_first(struct sim *sim, uint32_t from)
{
    const struct person *sender = &sim->people[from];
    struct guard_event event = {
        .kind = EVENT_SEALED,
        .exposure = {.sender = sim_jid_of(sim, from),
                     .receiver = sim_jid_of(sim, sender->run_first),
                     .keys = sender->run.first,
                     .n_keys = sender->run.n_first}
    };
    sim_happen(sim, &event);
}

/* As im/gate.c: an encrypted message has a key of its own, and whether the guard judges it is a
 * matter of what its sender has just done. */
static bool is_seen(struct sim *sim, const struct message *message, struct lure_key *key)
{
    struct person *sender = &sim->people[message->from];
    uint64_t number = sim->n_sealed++;
    *key = lure_sealed_key(sim_jid_of(sim, message->from),
                           str_make((const char *)&number, sizeof number));
    enum run_step step = run_sends(&sender->run, message->to, key, sim->now_us,
                                   sim->config.guard_config.sealed_pause_us);
    if (step == RUN_BEGINS)
        sender->run_first = message->to;
    if (step == RUN_SPREADS)
        tell_first(sim, message->from);
    return step >= RUN_SPREADS;
}

void sim_send_out(struct sim *sim, const struct outgoing *out)
{
    const struct message *message = &out->message;
    struct copy copy = {.identity = message->identity,
                        .sent_us = sim->now_us,
                        .from = message->from,
                        .to = message->to,
                        .said = (uint8_t)message->said,
                        .is_trap = out->is_trap};
    sim->people[message->from].is_traps |= out->is_trap;
    if (message->said == SAID_LURE) {
        sim->outcome.worm_copies++;
        if (sim->first_copy_us == 0)
            sim->first_copy_us = sim->now_us;
    } else if (message->said != SAID_CHAFF) {
        sim_tally_of(sim, &copy)->messages++;
    }
    struct pace pace = pace_of(sim, message->from, message->to, message->manner);
    struct arena arena;
    struct lure_list list;
    struct lure_key keys[KEYS_MOST];
    arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
    lure_list_init(&list, sim->rules, &arena);

    const struct letter *letter = out->letter;
    bool encrypted = letter != NULL
                         ? letter->encrypted
                         : message->manner.encrypted || sim->people[message->from].encrypts;
    bool sealed = encrypted && sim->guard != NULL && sim->config.guard_config.sealed_pause_us > 0 &&
                  (message->to & (ROOM | STATUS)) == 0;
    if (!encrypted)
        lure_scan_text(&list, message->text);
    struct lure_key seal = {0};
    if (sealed && is_seen(sim, message, &seal))
        lure_add_sealed(&list, &seal);
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
        .names = {sim_jid_of(sim, message->from), sim_jid_of(sim, message->to)},
          .n = 2
    };
    if (judged || sealed || message->said == SAID_LURE) {
        lure_list_keys(&list, &people);
        size_t n_keys = lure_list_collect(&list, keys, KEYS_MOST);
        if (sealed && !judged) { // it may yet have to be taken back
            copy.calm = true;
            keys[n_keys++] = seal;
        }
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
        sim_let_wait(sim, at, message->text, false, sim->now_us + behind_us, OVERTAKE);
        return;
    }
    sim_arrive(sim, at == UINT32_MAX ? &copy : &sim->copies.at[at], at, message->text);
}

void sim_send(struct sim *sim, const struct message *message)
{
    struct outgoing out = {.message = *message, .is_trap = sim->is_trap};
    sim_send_out(sim, &out);
}

void sim_say_later(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text,
                   struct manner manner, enum said said)
{
    queue_plan(&sim->queue, (struct happening){.at_us = sim->now_us + (int64_t)(in_seconds * 1e6),
                                               .what = SAY,
                                               .from = from,
                                               .to = to,
                                               .said = (uint8_t)said,
                                               .is_trap = sim->is_trap,
                                               .identity = ~sim->n_said++,
                                               .manner = manner,
                                               .text = sim_own_text(str_of(text))});
}

static void play_line(void *of, const struct trap_line *line)
{
    sim_say_later(of, line->in_seconds, line->from, line->to, line->text, line->manner,
                  line->warns ? SAID_WARNING : SAID_HONEST);
}

static void entitle(void *of, uint32_t who, const char *host)
{
    sim_entitle(of, who, host);
}

void sim_play(struct sim *sim, const struct trap *trap)
{
    struct trap_stage stage = {.of = sim,
                               .graph = sim->config.graph,
                               .prng = &sim->traps,
                               .worm_link = str_of(sim->worm_link),
                               .say = play_line,
                               .entitle = entitle};
    sim->is_trap = true;
    trap->set(&stage);
    sim->is_trap = false;
}

void sim_warn(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text)
{
    struct manner typing = {.composing = true, .live = -1};
    sim_say_later(sim, in_seconds, from, to, text, typing, SAID_WARNING);
}
