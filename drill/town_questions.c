/*
 * Some people answer, a while after they have read the question, with the truth
 * of that moment.  The worm reads what comes to the client that it owns, and says
 * yes at once; it knows neither the puzzle nor the person's other devices.
 */
#include "drill/town_internal.h"

#include "base/clock.h"
#include "base/must.h"
#include "drill/question.h"
#include "town/habits.h"

#include <stdlib.h>

static const int64_t lies_after_us = SECOND_US;

/* An answer that is about to be given. */
struct reply {
    struct link link;
    struct timer timer;
    struct device *device;
    bool lies;               // the worm's
    char *text, *animals[2]; // own memory: what the question borrows
    struct question question;
};

static char *own(struct str text)
{
    char *copy = strndup(text.at != NULL ? text.at : "", text.len);
    must(copy != NULL);
    return copy;
}

static void reply_free(struct reply *reply)
{
    list_leave(&reply->link);
    free(reply->text);
    for (size_t i = 0; i < COUNT_OF(reply->animals); i++)
        free(reply->animals[i]);
    free(reply);
}

void town_forget_replies(struct town *town)
{
    LIST_EACH(&town->replies, struct reply, link, reply)
    {
        loop_timer_stop(town->loop, &reply->timer);
        reply_free(reply);
    }
}

/* Whether he himself sent what the question is about. */
static bool sent_it(const struct person *person, const struct question *question)
{
    if (!person->infected)
        return true;
    const struct ledger *ledger = &person->town->ledger;
    for (uint32_t i = 0; i < ledger->n; i++) {
        const struct said *said = &ledger->at[i];
        struct str link;
        if (said->kind == SAID_HONEST && said->from == person->number &&
            (link = texts_find_link(said->text)).len > 0 && question_shows(question, link))
            return true;
    }
    return false;
}

/* A line for the trace: what the server said to a device, or what was answered there. */
static void trace(const struct device *device, const char *what, struct str text)
{
    const struct person *person = device->person;
    const struct town *town = person->town;
    if (town->plan->trace == NULL)
        return;
    fprintf(town->plan->trace, "%-8s seed %llu  %8.1f s  %s%s%s: %.*s\n", what,
            (unsigned long long)town->plan->seed, town_now_s(town),
            town->plan->accounts[person->number].user, device->is_phone ? "'s phone" : "",
            person->infected ? " (infected)" : "", STR_ARGS(text));
}

static void give_reply(struct timer *timer)
{
    struct reply *reply = CONTAINER_OF(timer, struct reply, timer);
    struct person *person = reply->device->person;
    struct town *town = person->town;
    bool meant = reply->lies || sent_it(person, &reply->question);
    struct buf children;
    buf_init(&children, TEXT_MOST);
    question_answer(&reply->question, meant, !reply->lies, &children);
    town_send(reply->device, town->plan->client.domain, "answer", buf_str(&children));
    trace(reply->device, reply->lies ? "lies" : "answers", buf_str(&children));
    buf_done(&children);
    if (!reply->lies) {
        town->out->n_answers_yes += meant;
        town->out->n_answers_no += !meant;
    }
    reply_free(reply);
}

static void plan_reply(struct device *device, const struct question *question, bool lies,
                       int64_t delay_us)
{
    struct town *town = device->person->town;
    struct reply *reply = calloc(1, sizeof *reply);
    must(reply != NULL);
    *reply = (struct reply){.timer.fire = give_reply,
                            .device = device,
                            .lies = lies,
                            .text = own(question->text),
                            .question = *question};
    reply->question.text = str_of(reply->text);
    for (size_t i = 0; i < question->n_animals; i++) {
        reply->animals[i] = own(question->animals[i]);
        reply->question.animals[i] = str_of(reply->animals[i]);
    }
    list_add_last(&town->replies, &reply->link);
    town_after(town, &reply->timer, delay_us);
}

/* The same question comes to each device, and again after a new login. */
static bool is_news(struct person *person, uint64_t number)
{
    for (uint32_t i = 0; i < person->n_asked; i++) {
        if (person->asked[i] == number)
            return false;
    }
    person->asked = realloc(person->asked, (person->n_asked + 1) * sizeof *person->asked);
    must(person->asked != NULL);
    person->asked[person->n_asked++] = number;
    return true;
}

static void note_question(struct person *person)
{
    struct town *town = person->town;
    town->out->n_questions++;
    town->out->n_asked += !person->infected;
    town->out->n_asked_traps += !person->infected && person->is_traps;
    // what has not arrived waits for his word
    for (uint32_t i = 0; i < town->ledger.n; i++) {
        struct said *said = &town->ledger.at[i];
        if (said->from == person->number && said->n_received == 0 && !said->rejected)
            said->asked = true;
    }
}

bool town_hear_question(struct device *device, const struct element *message)
{
    struct person *person = device->person;
    struct town *town = person->town;
    struct question question;
    struct str text = element_child_text(message, NS_CLIENT, STR("body"));
    if (!question_read(message, &question)) { // what the server says about answers is chat too
        bool concerns = str_eq(element_attr(message, STR("type")), STR("chat"));
        trace(device, concerns ? "hears" : "notice", text);
        return concerns;
    }
    trace(device, "asked", text);
    bool news = is_news(person, question.number);
    if (news)
        note_question(person);
    if (town->phase != CHATTING)
        return true;
    if (person->infected && !device->is_phone)
        plan_reply(device, &question, true, lies_after_us);
    int64_t delay_us;
    if (news && habits_answers(&town->plan->people, &person->luck, &delay_us))
        plan_reply(device, &question, false, delay_us);
    return true;
}
