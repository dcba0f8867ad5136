#include "lab/traffic.h"

#include "base/must.h"

#include <stdlib.h>

enum { PURPOSE_TEXTS = 30, PURPOSE_TALK = 31, TEXT_MOST = 8192 };

static const double day_minutes = 480;

/* ---- From a trace ---- */

void trace_traffic_init(struct trace_traffic *traffic, const struct trace *trace,
                        struct texts *texts, int64_t begin_us, double density, uint64_t seed)
{
    *traffic = (struct trace_traffic){.trace = trace,
                                      .texts = texts,
                                      .prng = prng_of(seed, 0, PURPOSE_TEXTS),
                                      .end = trace->n,
                                      .begin_us = begin_us,
                                      .density = density};
    buf_init(&traffic->text, TEXT_MOST);
    texts_shuffle(texts, &traffic->prng);
}

void trace_traffic_done(struct trace_traffic *traffic)
{
    buf_done(&traffic->text);
}

int64_t trace_traffic_at_us(const struct trace_traffic *traffic, size_t step)
{
    const struct trace *trace = traffic->trace;
    if (step >= trace->n)
        step = trace->n - 1;
    int64_t since_us = trace->steps[step].at_us - trace->steps[0].at_us;
    return traffic->begin_us + (int64_t)((double)since_us / traffic->density);
}

static int64_t trace_next_us(void *of)
{
    const struct trace_traffic *traffic = of;
    return traffic->next < traffic->end ? trace_traffic_at_us(traffic, traffic->next) : INT64_MAX;
}

static void trace_say(void *of, struct sim *sim)
{
    struct trace_traffic *traffic = of;
    const struct trace_step *step = &traffic->trace->steps[traffic->next++];
    buf_clear(&traffic->text);
    texts_say(traffic->texts, &traffic->prng, &traffic->text);
    struct message message = {
        .from = step->from,
        .to = step->to,
        .text = buf_str(&traffic->text),
        .manner = {.composing = prng_unit(&traffic->prng) < habits_typed, .live = -1},
        .identity = traffic->next
    };
    sim_send(sim, &message);
}

struct traffic trace_traffic_of(struct trace_traffic *traffic)
{
    return (struct traffic){traffic, trace_next_us, trace_say};
}

/* ---- From a model ---- */

enum { BEGIN, TURN };

struct talk {
    uint32_t people[2];
    uint32_t speaker, turns;
    uint32_t next_free;
};

struct chat_traffic {
    const struct graph *graph;
    struct texts *texts;
    struct prng prng;
    struct chat_habits habits;
    struct chatter *chatters;
    struct talk *talks;
    uint32_t n_talks, talks_room, free; // free: the first of a chain; UINT32_MAX: none
    struct queue queue;
    struct buf text;
    uint64_t n_said;
};

static void plan(struct chat_traffic *traffic, int64_t at_us, int what, uint32_t who)
{
    queue_plan(&traffic->queue, (struct happening){.at_us = at_us, .what = what, .from = who});
}

struct chat_traffic *chat_traffic_new(const struct graph *graph, struct texts *texts,
                                      double messages_a_day, int64_t begin_us, uint64_t seed)
{
    struct chat_traffic *traffic = calloc(1, sizeof *traffic);
    must(traffic != NULL && messages_a_day > 0);
    traffic->graph = graph;
    traffic->texts = texts;
    traffic->prng = prng_of(seed, 0, PURPOSE_TALK);
    traffic->habits = chat_habits_usual;
    traffic->habits.messages_a_minute = messages_a_day / day_minutes;
    traffic->free = UINT32_MAX;
    buf_init(&traffic->text, TEXT_MOST);
    texts_shuffle(texts, &traffic->prng);
    traffic->chatters = calloc(graph->n_people, sizeof *traffic->chatters);
    must(traffic->chatters != NULL);
    for (uint32_t i = 0; i < graph->n_people; i++) {
        chatter_init(&traffic->chatters[i], seed, i);
        if (graph_degree(graph, i) > 0)
            plan(traffic, begin_us + chat_until_next_us(&traffic->chatters[i], &traffic->habits),
                 BEGIN, i);
    }
    return traffic;
}

void chat_traffic_free(struct chat_traffic **at)
{
    struct chat_traffic *traffic = TAKE(*at);
    if (traffic == NULL)
        return;
    queue_done(&traffic->queue);
    buf_done(&traffic->text);
    free(traffic->chatters);
    free(traffic->talks);
    free(traffic);
}

static uint32_t new_talk(struct chat_traffic *traffic)
{
    if (traffic->free != UINT32_MAX) {
        uint32_t at = traffic->free;
        traffic->free = traffic->talks[at].next_free;
        return at;
    }
    if (traffic->n_talks == traffic->talks_room) {
        traffic->talks_room = traffic->talks_room == 0 ? 256 : 2 * traffic->talks_room;
        traffic->talks = realloc(traffic->talks, traffic->talks_room * sizeof *traffic->talks);
        must(traffic->talks != NULL);
    }
    return traffic->n_talks++;
}

/* Until the speaker's next message: thinking and typing what is not written yet. */
static int64_t writing_us(struct chat_traffic *traffic, uint32_t speaker)
{
    struct chatter *chatter = &traffic->chatters[speaker];
    size_t length = 10 + prng_below(&chatter->prng, 70);
    return chat_thinking_us(chatter, &traffic->habits) + chat_typing_us(chatter, length, false);
}

static void begin_talk(struct chat_traffic *traffic, uint32_t who, int64_t now_us)
{
    struct chatter *chatter = &traffic->chatters[who];
    uint32_t at = new_talk(traffic);
    traffic->talks[at] = (struct talk){
        .people = {who, chat_partner(chatter, traffic->graph)},
        .turns = chat_turns(chatter, &traffic->habits)
    };
    plan(traffic, now_us + writing_us(traffic, who), TURN, at);
    plan(traffic, now_us + chat_until_next_us(chatter, &traffic->habits), BEGIN, who);
}

static void take_turn(struct chat_traffic *traffic, uint32_t at, struct sim *sim, int64_t now_us)
{
    struct talk *talk = &traffic->talks[at];
    uint32_t from = talk->people[talk->speaker], to = talk->people[1 - talk->speaker];
    buf_clear(&traffic->text);
    texts_say(traffic->texts, &traffic->prng, &traffic->text);
    struct message message = {
        .from = from,
        .to = to,
        .text = buf_str(&traffic->text),
        .manner = {.composing = prng_unit(&traffic->prng) < habits_typed, .live = -1},
        .identity = ++traffic->n_said
    };
    talk->speaker = 1 - talk->speaker;
    if (--talk->turns > 0) {
        plan(traffic, now_us + writing_us(traffic, to), TURN, at);
    } else {
        talk->next_free = traffic->free;
        traffic->free = at;
    }
    sim_send(sim, &message);
}

static int64_t chat_next_us(void *of)
{
    const struct chat_traffic *traffic = of;
    return queue_next_us(&traffic->queue);
}

static void chat_say(void *of, struct sim *sim)
{
    struct chat_traffic *traffic = of;
    struct happening now = queue_take(&traffic->queue);
    if (now.what == BEGIN)
        begin_talk(traffic, now.from, now.at_us);
    else
        take_turn(traffic, now.from, sim, now.at_us);
}

struct traffic chat_traffic_of(struct chat_traffic *traffic)
{
    return (struct traffic){traffic, chat_next_us, chat_say};
}
