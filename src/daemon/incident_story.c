#include "daemon/incident_story.h"

#include "base/must.h"
#include "base/table.h"
#include "daemon/command.h"
#include "xmpp/jid.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- whom the reader may see ---- */

struct reader {
    struct str domain;      // empty: sees everybody
    struct table strangers; // their numbers, by name: pointers into `nodes`
    const struct incident_node *nodes;
};

static bool is_of(struct str domain, struct str who)
{
    return domain.len == 0 || str_eq(jid_of_prepared(who).domain, domain);
}

static void reader_init(struct reader *reader, const struct incident *incident, struct str domain)
{
    *reader = (struct reader){.domain = domain, .nodes = incident->nodes};
    table_init(&reader->strangers, incident->n_nodes);
    for (size_t i = 0; i < incident->n_nodes; i++)
        if (!is_of(domain, incident->nodes[i].who))
            (void)!table_put(&reader->strangers, incident->nodes[i].who,
                             (void *)&incident->nodes[i]); // nobody is in it twice
}

static json_t *person(const struct reader *reader, struct str who)
{
    if (who.len == 0 || is_of(reader->domain, who))
        return json_of(who);
    const struct incident_node *node = table_get(&reader->strangers, who);
    return node != NULL ? json_sprintf("other-%zu", (size_t)(node - reader->nodes) + 1)
                        : json_string("other");
}

bool incident_concerns(const struct incident *incident, struct str domain)
{
    for (size_t i = 0; i < incident->n_nodes; i++)
        if (is_of(domain, incident->nodes[i].who))
            return true;
    return domain.len == 0;
}

/* ---- its parts ---- */

json_t *incident_summary(const struct incident *incident)
{
    return json_pack(
        "{s:I, s:s, s:s, s:s, s:o, s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id",
        (json_int_t)incident->id, "state", incident_state_name(incident->state), "kind",
        lure_kind_name(incident->kind), "width", lure_width_name(incident->width), "lure",
        json_of(incident->shown), "nats", incident->nats, "first", json_of_time(incident->first_us),
        "convicted", json_of_time(incident->convicted_us), "sendings",
        (json_int_t)incident->n_sendings, "receivers", (json_int_t)incident->n_receivers, "exposed",
        (json_int_t)incident->n_exposed, "relays", (json_int_t)incident->n_relays, "rejected",
        (json_int_t)incident->n_rejected, "held", (json_int_t)incident->n_held, "lures",
        (json_int_t)(incident->n_lures > 0 ? incident->n_lures : 1));
}

static json_t *evidence_of(const struct incident *incident, const struct reader *reader)
{
    json_t *list = json_array();
    for (size_t i = 0; i < incident->n_evidence; i++) {
        const struct incident_evidence *e = &incident->evidence[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:s, s:f, s:o}", "time", json_of_time(e->at_us),
                                        "kind", evidence_kind_name(e->kind), "nats", e->nats, "who",
                                        person(reader, e->who)));
    }
    return list;
}

static json_t *sum_of(const struct incident_sum *sum)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "novelty",
                     sum->novelty, "content", sum->content, "origin", sum->origin, "acts",
                     sum->acts, "relays", sum->relays, "words", sum->words, "reports", sum->reports,
                     "answers", sum->answers, "origins", sum->origins, "absence", sum->absence,
                     "mimicry", sum->mimicry);
}

static json_t *effects_of(const struct incident *incident)
{
    const struct incident_effects *e = &incident->effects;
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "refused", (json_int_t)incident->n_rejected,
        "taken_back", (json_int_t)e->taken_back, "withdrawn_waiting", (json_int_t)e->unspooled,
        "given_again", (json_int_t)e->given_again, "held_delivered", (json_int_t)e->let_go,
        "held_returned", (json_int_t)e->returned, "copies_returned", (json_int_t)e->sent_back);
}

static json_t *tree_of(const struct incident *incident, const struct reader *reader)
{
    json_t *list = json_array();
    for (size_t i = 0; i < incident->n_nodes; i++) {
        const struct incident_node *n = &incident->nodes[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:o, s:I, s:b, s:b, s:b, s:f}", "who",
                            person(reader, n->who), "from", person(reader, n->from), "exposed",
                            json_of_time(n->exposed_us), "sent", json_of_time(n->sent_us),
                            "receivers", (json_int_t)n->receivers, "relay", n->relay, "restricted",
                            n->restricted, "warned", n->warned, "nats", n->nats));
    }
    return list;
}

static const char *order_word(enum order_kind kind)
{
    static const char *const words[] = {
        [ORDER_STOP] = "stop",
        [ORDER_RETRACT] = "retract",
        [ORDER_RESTRICT] = "restrict",
        [ORDER_NOTIFY] = "notify",
        [ORDER_DELIVER_HELD] = "deliver held",
        [ORDER_REJECT_HELD] = "reject held",
        [ORDER_ASK] = "ask",
        [ORDER_RETURN] = "return",
    };
    return words[kind];
}

static const char *audience_word(enum audience audience)
{
    static const char *const words[] = {[TO_NOBODY] = "",
                                        [TO_VICTIM] = "victim",
                                        [TO_EXPOSED] = "exposed",
                                        [TO_OPERATOR] = "operator"};
    return words[audience];
}

static json_t *orders_of(const struct incident *incident, const struct reader *reader)
{
    json_t *list = json_array();
    for (size_t i = 0; i < incident->n_orders; i++) {
        const struct incident_order *o = &incident->orders[i];
        json_array_append_new(
            list, json_pack("{s:o, s:s, s:b, s:s, s:o, s:o, s:s, s:o, s:I, s:I, s:I}", "time",
                            json_of_time(o->at_us), "order", order_word(o->order.kind), "undo",
                            o->order.undo, "reason", reason_name(o->order.reason), "who",
                            person(reader, o->order.who), "lure", json_of(o->order.shown),
                            "audience", audience_word(o->order.audience), "expires",
                            json_of_time(o->order.expires_us), "count", (json_int_t)o->count,
                            "done", (json_int_t)o->done, "waiting", (json_int_t)o->unspooled));
    }
    return list;
}

static json_t *questions_of(const struct incident *incident, const struct reader *reader)
{
    static const char *const devices[] = {
        [ANSWER_SAME_DEVICE] = "same", [ANSWER_PUZZLE] = "puzzle", [ANSWER_OTHER_DEVICE] = "other"};
    json_t *list = json_array();
    for (size_t i = 0; i < incident->n_questions; i++) {
        const struct guard_question *q = &incident->questions[i];
        bool answered = q->state == QUESTION_YES || q->state == QUESTION_NO;
        json_array_append_new(
            list,
            json_pack("{s:I, s:o, s:I, s:o, s:o, s:s, s:o, s:s}", "question", (json_int_t)q->number,
                      "who", person(reader, q->who), "receivers", (json_int_t)q->receivers, "asked",
                      json_of_time(q->asked_us), "until", json_of_time(q->due_us), "answer",
                      question_state_name(q->state), "ended", json_of_time(q->ended_us), "device",
                      answered ? devices[q->trust] : ""));
    }
    return list;
}

/* ---- in the order of time ---- */

struct moment {
    int64_t at_us;
    size_t number; // what happens in the same moment keeps its order
    json_t *json;
};

struct timeline {
    struct moment *moments;
    size_t n;
};

static int earlier(const void *a, const void *b)
{
    const struct moment *x = a, *y = b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void add(struct timeline *timeline, int64_t at_us, const char *what, json_t *who,
                json_t *more)
{
    timeline->moments[timeline->n] = (struct moment){
        .at_us = at_us,
        .number = timeline->n,
        .json = json_pack("{s:o, s:s, s:o, s:o}", "time", json_of_time(at_us), "what", what, "who",
                          who, "more", more),
    };
    timeline->n++;
}

static json_t *what_of(const struct incident_order *order)
{
    const char *reason = reason_name(order->order.reason);
    if (order->order.shown.len > 0)
        return json_of(order->order.shown);
    return order->count > 1 ? json_sprintf("%s, %" PRIu32 " messages", reason, order->count)
                            : json_string(reason);
}

static json_t *timeline_of(const struct incident *incident, const struct reader *reader,
                           json_t *actor)
{
    size_t most =
        incident->n_nodes + incident->n_evidence + incident->n_orders + incident->n_questions + 8;
    struct timeline timeline = {.moments = calloc(most, sizeof(struct moment))};
    must(timeline.moments != NULL);
    struct str zero = STR_EMPTY;
    for (size_t i = 0; i < incident->n_nodes && zero.len == 0; i++)
        if (incident->nodes[i].sent_us != 0)
            zero = incident->nodes[i].who;
    add(&timeline, incident->first_us, "first seen", person(reader, zero), json_string(""));
    for (size_t i = 0; i < incident->n_nodes; i++) {
        const struct incident_node *node = &incident->nodes[i];
        if (node->relay)
            add(&timeline, node->sent_us, "relay", person(reader, node->who),
                person(reader, node->from));
    }
    for (size_t i = 0; i < incident->n_evidence; i++)
        if (incident->evidence[i].kind == EVIDENCE_REPORT)
            add(&timeline, incident->evidence[i].at_us, "report",
                person(reader, incident->evidence[i].who), json_string(""));
    for (size_t i = 0; i < incident->n_questions; i++) {
        const struct guard_question *question = &incident->questions[i];
        if (question->state == QUESTION_YES || question->state == QUESTION_NO)
            add(&timeline, question->ended_us, "answer", person(reader, question->who),
                json_string(question_state_name(question->state)));
    }
    if (incident->held_us != 0)
        add(&timeline, incident->held_us, "first held", json_string(""), json_string(""));
    if (incident->by_itself_us != 0)
        add(&timeline, incident->by_itself_us, "convicted", json_string("guard"),
            json_sprintf("%.1f nats now", incident->nats));
    if (incident->convicted_us != 0 && incident->convicted_us != incident->by_itself_us)
        add(&timeline, incident->convicted_us, "convicted",
            incident->state == INCIDENT_RELEASED ? json_string("operator") : json_incref(actor),
            json_string(""));
    char what[64];
    for (size_t i = 0; i < incident->n_orders; i++) {
        const struct incident_order *order = &incident->orders[i];
        const char *audience = audience_word(order->order.audience);
        snprintf(what, sizeof what, "%s%s%s%s", order->order.undo ? "undo " : "",
                 order_word(order->order.kind), audience[0] != '\0' ? " " : "", audience);
        add(&timeline, order->at_us, what, person(reader, order->order.who), what_of(order));
    }
    if (incident->ended_us != 0)
        add(&timeline, incident->ended_us, incident_state_name(incident->state),
            incident->state == INCIDENT_RELEASED ? json_incref(actor) : json_string(""),
            json_string(""));
    must(timeline.n <= most);
    qsort(timeline.moments, timeline.n, sizeof *timeline.moments, earlier);
    json_t *list = json_array();
    for (size_t i = 0; i < timeline.n; i++)
        json_array_append_new(list, timeline.moments[i].json);
    free(timeline.moments);
    return list;
}

json_t *incident_story(const struct incident *incident, struct str domain)
{
    struct reader reader;
    reader_init(&reader, incident, domain);
    // whoever acted for all domains may have written about people of all
    bool may_read = incident->actor.len == 0 || is_of(domain, incident->actor);
    json_t *actor = may_read ? json_of(incident->actor) : json_string("operator");
    json_t *story = incident_summary(incident);
    json_object_set_new(story, "held_first", json_of_time(incident->held_us));
    json_object_set_new(story, "convicted_by_evidence", json_of_time(incident->by_itself_us));
    json_object_set_new(story, "ended", json_of_time(incident->ended_us));
    json_object_set_new(story, "expires", json_of_time(incident->expires_us));
    json_object_set_new(story, "actor", json_incref(actor));
    json_object_set_new(story, "why", may_read ? json_of(incident->why) : json_string(""));
    json_object_set_new(story, "reports", json_integer(incident->n_reports));
    json_object_set_new(story, "effects", effects_of(incident));
    json_object_set_new(story, "timeline", timeline_of(incident, &reader, actor));
    json_object_set_new(story, "sum", sum_of(&incident->sum));
    json_object_set_new(story, "evidence", evidence_of(incident, &reader));
    json_object_set_new(story, "tree", tree_of(incident, &reader));
    json_object_set_new(story, "questions", questions_of(incident, &reader));
    json_object_set_new(story, "orders", orders_of(incident, &reader));
    json_decref(actor);
    table_done(&reader.strangers);
    return story;
}
