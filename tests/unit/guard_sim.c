/*
 * The town: an event queue, people, a worm, and the guard between them.
 */
#include "guard_sim.h"

#include "base/buf.h"
#include "base/must.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum what { SAY, WORM_STEP, OPEN, TICK };

struct happening {
    int64_t at_us;
    uint64_t order; // of two at the same time the first planned comes first
    enum what what;
    uint32_t from, to;
    char *text; // owned
    struct sim_manner manner;
    bool worm;
    uint32_t copy;
};

/* One message on its way or arrived. */
struct copy {
    uint32_t from, to;
    bool worm, held, delivered, gone, rejected;
    int64_t sent_us;
    struct lure_key keys[8];
    size_t n_keys;
};

struct person {
    uint32_t *contacts;
    uint32_t n, room;
    bool composes, infected, exposed, decided, restricted, honest_restricted;
    uint32_t next; // of the worm, in his contacts
    int64_t last_sent_us;
    char jid[48];
};

struct sim {
    struct sim_config config;
    struct prng prng;
    struct lure_rules *rules;
    struct guard *guard;
    struct arena arena;
    struct person *people;
    struct happening *heap;
    size_t n_heap, heap_room;
    uint64_t order;
    struct copy *copies;
    size_t n_copies, copies_room;
    int64_t now_us;
    enum sim_worm worm;
    int64_t first_copy_us;
    uint32_t fresh; // hosts made up so far
    struct sim_result result;
    struct buf *log;
};

static const int64_t start_us = INT64_C(1800000000) * 1000000;

void sim_config_default(struct sim_config *config)
{
    *config = (struct sim_config){.people = 300,
                                  .contacts = 12,
                                  .seed = 1,
                                  .open = 0.2,
                                  .guard = true,
                                  .composers = 0.8,
                                  .history = 3000};
    guard_config_default(&config->guard_config);
    config->guard_config.defangs = true;
}

/* ---- Queue -------------------------------------------------------------------------------------
 */

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void plan(struct sim *sim, struct happening happening)
{
    if (sim->n_heap == sim->heap_room) {
        sim->heap_room = sim->heap_room == 0 ? 1024 : 2 * sim->heap_room;
        sim->heap = realloc(sim->heap, sim->heap_room * sizeof *sim->heap);
        must(sim->heap != NULL);
    }
    happening.order = sim->order++;
    size_t i = sim->n_heap++;
    while (i > 0 && sooner(&happening, &sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = happening;
}

static struct happening next_happening(struct sim *sim)
{
    struct happening first = sim->heap[0], last = sim->heap[--sim->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= sim->n_heap)
            break;
        if (child + 1 < sim->n_heap && sooner(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!sooner(&sim->heap[child], &last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    if (sim->n_heap > 0)
        sim->heap[i] = last;
    return first;
}

/* ---- People
 * -------------------------------------------------------------------------------------- */

static void befriend(struct person *person, uint32_t other)
{
    for (uint32_t i = 0; i < person->n; i++)
        if (person->contacts[i] == other)
            return;
    if (person->n == person->room) {
        person->room = person->room == 0 ? 8 : 2 * person->room;
        person->contacts = realloc(person->contacts, person->room * sizeof *person->contacts);
        must(person->contacts != NULL);
    }
    person->contacts[person->n++] = other;
}

/* Barabási–Albert: each newcomer befriends others in proportion to the friends they have. */
static void make_graph(struct sim *sim)
{
    uint32_t n = sim->config.people,
             m = sim->config.contacts / 2 > 0 ? sim->config.contacts / 2 : 1;
    uint32_t *ends = calloc((size_t)2 * n * m + 2 * m * m + 2, sizeof *ends);
    must(ends != NULL);
    size_t n_ends = 0;
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = 0; k < m && k < i; k++) {
            uint32_t other = n_ends == 0 || i <= m ? (uint32_t)prng_below(&sim->prng, i)
                                                   : ends[prng_below(&sim->prng, n_ends)];
            if (other == i)
                continue;
            befriend(&sim->people[i], other);
            befriend(&sim->people[other], i);
            ends[n_ends++] = i;
            ends[n_ends++] = other;
        }
    free(ends);
}

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *sim = calloc(1, sizeof *sim);
    must(sim != NULL);
    sim->config = *config;
    sim->prng.state = config->seed;
    sim->rules = lure_rules_new();
    sim->guard = guard_new(&config->guard_config, config->seed);
    sim->now_us = start_us;
    sim->result.conviction_s = -1;
    arena_init(&sim->arena, (size_t)64 << 20);
    sim->people = calloc(config->people, sizeof *sim->people);
    must(sim->people != NULL);
    for (uint32_t i = 0; i < config->people; i++) {
        snprintf(sim->people[i].jid, sizeof sim->people[i].jid, "person%u@town.example", i);
        sim->people[i].composes = prng_unit(&sim->prng) < config->composers;
        sim->people[i].last_sent_us = start_us - INT64_C(3600) * 1000000;
    }
    make_graph(sim);
    return sim;
}

void sim_free(struct sim **at)
{
    struct sim *sim = *at;
    if (sim == NULL)
        return;
    for (uint32_t i = 0; i < sim->config.people; i++)
        free(sim->people[i].contacts);
    while (sim->n_heap > 0)
        free(next_happening(sim).text);
    free(sim->people);
    free(sim->heap);
    free(sim->copies);
    guard_free(&sim->guard);
    lure_rules_free(&sim->rules);
    arena_done(&sim->arena);
    free(sim);
    *at = NULL;
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

const struct sim_result *sim_result(const struct sim *sim)
{
    return &sim->result;
}

void sim_log(struct sim *sim, struct buf *log)
{
    sim->log = log;
}

uint32_t sim_people(const struct sim *sim)
{
    return sim->config.people;
}

const uint32_t *sim_contacts(const struct sim *sim, uint32_t person, uint32_t *n)
{
    *n = sim->people[person].n;
    return sim->people[person].contacts;
}

struct str sim_jid(struct sim *sim, uint32_t person)
{
    return str_of(sim->people[person].jid);
}

/* Whether two people talk to each other these days: three pairs in five do. */
static bool talk(uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b, high = a < b ? b : a;
    struct prng prng = {(uint64_t)low << 32 | high};
    return prng_unit(&prng) < 0.6;
}

static double log_normal(struct sim *sim, double median, double sigma)
{
    double u = prng_unit(&sim->prng), v = prng_unit(&sim->prng);
    double normal = sqrt(-2 * log(u > 1e-12 ? u : 1e-12)) * cos(2 * 3.14159265358979 * v);
    return median * exp(sigma * normal);
}

static int64_t after(const struct sim *sim, double seconds)
{
    return sim->now_us + (int64_t)(seconds * 1e6);
}

/* ---- Messages
 * --------------------------------------------------------------------------------------- */

static void carry_out(struct sim *sim, const struct guard_word *word);

static void take(struct sim *sim, const struct guard_event *event, struct guard_word *word)
{
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

static void arrive(struct sim *sim, uint32_t at)
{
    struct copy *copy = &sim->copies[at];
    copy->delivered = true;
    copy->held = false;
    struct person *to = &sim->people[copy->to];
    if (copy->worm) {
        sim->result.exposed += !to->exposed;
        to->exposed = true;
        if (!to->decided) {
            to->decided = true;
            if (prng_unit(&sim->prng) < sim->config.open)
                plan(sim, (struct happening){.at_us = after(sim, log_normal(sim, 21, 0.9)),
                                             .what = OPEN,
                                             .to = copy->to,
                                             .copy = at});
        }
    }
    if (!sim->config.guard || copy->n_keys == 0)
        return;
    struct guard_event event = {
        .kind = EVENT_EXPOSURE,
        .now_us = sim->now_us,
        .exposure = {.sender = sim_jid(sim, copy->from),
                     .receiver = sim_jid(sim, copy->to),
                     .keys = copy->keys,
                     .n_keys = copy->n_keys}
    };
    struct arena arena;
    arena_init(&arena, GUARD_WORD_MOST);
    struct guard_word word;
    guard_word_init(&word, &arena);
    take(sim, &event, &word);
    carry_out(sim, &word);
    arena_done(&arena);
}

static bool has_key(const struct copy *copy, const struct lure_key *key)
{
    for (size_t i = 0; i < copy->n_keys; i++)
        if (lure_key_eq(&copy->keys[i], key))
            return true;
    return false;
}

static uint32_t person_of(struct sim *sim, struct str jid)
{
    uint64_t n = 0;
    struct str digits = str_skip(jid, strlen("person"));
    must(str_to_u64(str_first(digits, str_find_char(digits, '@')), 0, UINT32_MAX, &n) == OK);
    must(n < sim->config.people);
    return (uint32_t)n;
}

static void carry_out(struct sim *sim, const struct guard_word *word)
{
    for (size_t i = 0; i < word->n_orders; i++) {
        const struct order *order = &word->orders[i];
        if (order->kind == ORDER_RETRACT && !order->undo) {
            if (sim->result.conviction_s < 0 && sim->first_copy_us != 0) {
                sim->result.conviction_s = (double)(sim->now_us - sim->first_copy_us) / 1e6;
                sim->result.copies_until_conviction = sim->result.worm_copies;
            }
            for (size_t k = 0; k < sim->n_copies; k++)
                if (has_key(&sim->copies[k], &order->key))
                    sim->copies[k].gone = true;
        } else if (order->kind == ORDER_RESTRICT && !order->undo) {
            struct person *person = &sim->people[person_of(sim, order->who)];
            if (person->infected && !person->restricted)
                sim->result.restricted_rightly++;
            if (!person->infected && !person->honest_restricted) {
                sim->result.restricted_wrongly++;
                person->honest_restricted = true;
            }
            person->restricted = true;
        } else if (order->kind == ORDER_DELIVER_HELD || order->kind == ORDER_REJECT_HELD) {
            struct copy *copy = &sim->copies[order->message];
            must(copy->held);
            double waited = (double)(sim->now_us - copy->sent_us) / 1e6;
            if (!copy->worm && waited > sim->result.longest_hold_s)
                sim->result.longest_hold_s = waited;
            copy->held = false;
            if (order->kind == ORDER_DELIVER_HELD)
                arrive(sim, (uint32_t)order->message);
            else
                sim->result.rejected += !copy->worm;
        }
    }
}

static void send_now(struct sim *sim, uint32_t from, uint32_t to, const char *text,
                     const struct lure_file *file, struct sim_manner manner, bool worm)
{
    struct arena arena;
    arena_init(&arena, 2 * (size_t)GUARD_WORD_MOST);
    struct lure_list list;
    lure_list_init(&list, sim->rules, &arena);
    struct lure_people people = {
        .names = {sim_jid(sim, from), sim_jid(sim, to)},
          .n = 2
    };
    lure_scan_text(&list, str_of(text));
    if (file != NULL)
        lure_add_file(&list, file);
    lure_list_keys(&list, &people);

    if (sim->n_copies == sim->copies_room) {
        sim->copies_room = sim->copies_room == 0 ? 1024 : 2 * sim->copies_room;
        sim->copies = realloc(sim->copies, sim->copies_room * sizeof *sim->copies);
        must(sim->copies != NULL);
    }
    uint32_t at = (uint32_t)sim->n_copies++;
    sim->copies[at] = (struct copy){.from = from, .to = to, .worm = worm, .sent_us = sim->now_us};
    struct copy *copy = &sim->copies[at];
    copy->n_keys = lure_list_collect(&list, copy->keys, COUNT_OF(copy->keys));

    struct person *sender = &sim->people[from];
    int32_t index = -1;
    for (uint32_t i = 0; i < sender->n; i++)
        if (sender->contacts[i] == to)
            index = (int32_t)i;
    if (worm) {
        sim->result.worm_copies++;
        if (sim->first_copy_us == 0)
            sim->first_copy_us = sim->now_us;
    } else {
        sim->result.honest++;
    }
    if (!sim->config.guard || list.n == 0) {
        sender->last_sent_us = sim->now_us;
        arrive(sim, at);
        arena_done(&arena);
        return;
    }
    struct guard_event event = {
        .kind = EVENT_SENDING,
        .now_us = sim->now_us,
        .sending = {.message = at,
                    .sender = sim_jid(sim, from),
                    .receiver = sim_jid(sim, to),
                    .audience = 1,
                    .warns = lure_text_warns(&list, str_of(text)),
                    .overflowed = list.overflowed,
                    .shape = lure_text_shape(&list, str_of(text), &people),
                    .lures = list.lures,
                    .n_lures = list.n,
                    .pace = {.gap_us = sim->now_us - sender->last_sent_us,
                             .roster_index = index,
                             .composing = sender->composes && manner.composing,
                             .composes = sender->composes,
                             .live = manner.live < 0 ? talk(from, to) : manner.live > 0,
                             .first_contact = index < 0,
                             .account_age_us = -1}}
    };
    sender->last_sent_us = sim->now_us;
    struct guard_word word;
    guard_word_init(&word, &arena);
    take(sim, &event, &word);
    sim->copies[at].held = word.verdict == VERDICT_HOLD;
    carry_out(sim, &word);
    if (word.verdict == VERDICT_HOLD && !worm)
        sim->result.held++;
    // whom the worm owns has lost his links, and that is right
    if (word.verdict == VERDICT_REJECT)
        sim->result.rejected += !worm && !sender->infected;
    if (word.verdict == VERDICT_DELIVER) {
        if (word.defang)
            sim->result.made_dead++;
        else if (!sim->copies[at].gone)
            arrive(sim, at);
    }
    if (word.verdict == VERDICT_HOLD)
        plan(sim, (struct happening){.at_us = word.until_us, .what = TICK});
    arena_done(&arena);
}

/* ---- The worm
 * ------------------------------------------------------------------------------------------- */

const char *sim_worm_name(enum sim_worm worm)
{
    static const char *const names[] = {"P1", "P2", "P4", "P5", "P6"};
    return names[worm];
}

static void worm_step(struct sim *sim, uint32_t from)
{
    struct person *person = &sim->people[from];
    while (sim->worm == WORM_P5 && person->next < person->n &&
           !talk(from, person->contacts[person->next]))
        person->next++; // only inside live conversations
    if (person->next >= person->n)
        return;
    uint32_t to = person->contacts[person->next++];
    char text[160];
    struct sim_manner manner = {.composing = sim->config.worm_composes, .live = -1};
    struct lure_file file = {.name = STR("holiday_photo.jpg.exe"),
                             .size = 48213,
                             .digest_name = STR("sha-256"),
                             .digest = STR("d1b2a59fbea7e20077af9f91b27e95e865061b27"
                                           "0be03ff539ab3b73587882e8")};
    double pause = 0.1;
    snprintf(text, sizeof text, "omg is this you?? http://kelvir.example/pictures.php");
    switch (sim->worm) {
    case WORM_P1:
        break;
    case WORM_P2:
        snprintf(text, sizeof text, "look at this http://kelvir.example/album/person%u.jpg", to);
        break;
    case WORM_P4:
        pause = 600;
        break;
    case WORM_P5: // an answer in a conversation: when the other has written
        pause = -120 * log(1 - prng_unit(&sim->prng)) + 5;
        break;
    case WORM_P6:
        snprintf(text, sizeof text, "you must see this");
        break;
    }
    send_now(sim, from, to, text, sim->worm == WORM_P6 ? &file : NULL, manner, true);
    plan(sim, (struct happening){.at_us = after(sim, pause), .what = WORM_STEP, .from = from});
}

static void infect(struct sim *sim, uint32_t who)
{
    struct person *person = &sim->people[who];
    if (person->infected)
        return;
    person->infected = true;
    sim->result.infected++;
    plan(sim, (struct happening){.at_us = after(sim, 0.5), .what = WORM_STEP, .from = who});
}

void sim_infect(struct sim *sim, enum sim_worm worm)
{
    sim->worm = worm;
    for (;;) {
        uint32_t who = (uint32_t)prng_below(&sim->prng, sim->config.people);
        if (sim->people[who].n < 5)
            continue;
        sim->people[who].decided = true;
        infect(sim, who);
        return;
    }
}

/* ---- Running
 * ------------------------------------------------------------------------------------------------
 */

void sim_say(struct sim *sim, double in_seconds, uint32_t from, uint32_t to, const char *text,
             struct sim_manner manner)
{
    plan(sim, (struct happening){.at_us = after(sim, in_seconds),
                                 .what = SAY,
                                 .from = from,
                                 .to = to,
                                 .text = strdup(text),
                                 .manner = manner});
}

static void tick(struct sim *sim)
{
    struct arena arena;
    arena_init(&arena, GUARD_WORD_MOST);
    struct guard_word word;
    guard_word_init(&word, &arena);
    struct guard_event event = {.kind = EVENT_TICK, .now_us = sim->now_us};
    take(sim, &event, &word);
    carry_out(sim, &word);
    arena_done(&arena);
}

void sim_run(struct sim *sim, double seconds)
{
    int64_t end_us = after(sim, seconds);
    while (sim->n_heap > 0 && sim->heap[0].at_us <= end_us) {
        struct happening now = next_happening(sim);
        sim->now_us = now.at_us > sim->now_us ? now.at_us : sim->now_us;
        switch (now.what) {
        case SAY:
            send_now(sim, now.from, now.to, now.text, NULL, now.manner, false);
            free(now.text);
            break;
        case WORM_STEP:
            worm_step(sim, now.from);
            break;
        case OPEN:
            if (!sim->copies[now.copy].gone)
                infect(sim, now.to);
            break;
        case TICK:
            tick(sim);
            break;
        }
    }
    sim->now_us = end_us;
    sim->result.lost = 0;
    for (size_t i = 0; i < sim->n_copies; i++)
        sim->result.lost += !sim->copies[i].worm && sim->copies[i].held &&
                            sim->copies[i].sent_us + sim->config.guard_config.hold_us < end_us;
}

/* Links as people send them: mostly places everybody knows, some that few know, few new ones. */
static void some_link(struct sim *sim, char *out, size_t size)
{
    static const char *const big[] = {"youtube.com/watch?v=", "en.wikipedia.org/wiki/Page_",
                                      "github.com/some/thing/issues/", "imgur.com/gallery/"};
    double u = prng_unit(&sim->prng);
    unsigned page = (unsigned)prng_below(&sim->prng, 5000);
    if (u < 0.5) {
        snprintf(out, size, "https://%s%u", big[prng_below(&sim->prng, 4)], page);
    } else if (u < 0.94) {
        double z = prng_unit(&sim->prng);
        snprintf(out, size, "http://site%u.example/page/%u", (unsigned)(150 * z * z * z), page);
    } else {
        snprintf(out, size, "http://fresh%u.example/story", sim->fresh++);
    }
}

void sim_history(struct sim *sim)
{
    double at = 0;
    char link[96], text[200];
    for (uint32_t i = 0; i < sim->config.history; i++) {
        at += -20 * log(1 - prng_unit(&sim->prng));
        uint32_t from = (uint32_t)prng_below(&sim->prng, sim->config.people);
        struct person *person = &sim->people[from];
        if (person->n == 0)
            continue;
        some_link(sim, link, sizeof link);
        snprintf(text, sizeof text, "have you seen %s ? (%u)", link, i);
        uint32_t to = person->contacts[prng_below(&sim->prng, person->n)];
        struct sim_manner manner = {.composing = prng_unit(&sim->prng) < 0.9, .live = -1};
        sim_say(sim, at, from, to, text, manner);
        double later = at;
        while (prng_unit(&sim->prng) < 0.15) { // to one more
            later += log_normal(sim, 8, 0.8);
            to = person->contacts[prng_below(&sim->prng, person->n)];
            sim_say(sim, later, from, to, text, manner);
        }
        if (prng_unit(&sim->prng) < 0.02) { // the receiver passes it on
            const struct person *other = &sim->people[to];
            snprintf(text, sizeof text, "i got this: %s", link);
            sim_say(sim, at + 30 + log_normal(sim, 120, 1), to,
                    other->contacts[prng_below(&sim->prng, other->n)], text, manner);
        }
    }
    sim_run(sim, at + 600);
}

void sim_show(struct sim *sim)
{
    struct arena arena;
    arena_init(&arena, (size_t)64 << 20);
    uint64_t at = 0, id;
    while ((id = guard_incident_next(sim->guard, &at)) != 0) {
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
    }
    arena_done(&arena);
}
