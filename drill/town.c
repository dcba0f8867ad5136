/*
 * Things happen to a person and each has its timer: the next conversation that
 * he begins, each copy of the lure that he is about to open, and the worm in his
 * client.  A conversation has a timer of its own.  All delays are drawn in
 * seconds of the drill and divided by its speed.
 */
#include "drill/town_internal.h"

#include "base/clock.h"
#include "base/must.h"
#include "drill/letter.h"
#include "town/reshare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOGINS_ABREAST = 20,
    LOGIN_WALL_S = 120,
    ROSTER_WALL_S = 120,
    LOOK_US = 200000,
    MEETING_MOST = 12,
    PURPOSE_TOWN = 5,
    PURPOSE_NETWORK = 7,
    PURPOSE_PHONE = 42,
    PURPOSE_LUCK = 43,
    PURPOSE_RESHARE = 44,
    CUT_WALL_US = 300000, // until a cut connection is tried anew
};

// of a single message, while his client says that he types
static const int64_t typing_most_us = 1500000;

/* Time */

static int64_t wall_us(const struct town *town, int64_t drill_us)
{
    return (int64_t)((double)drill_us / town->plan->speed);
}

double town_since_release_s(const struct town *town)
{
    return (double)(loop_now_us(town->loop) - town->release_us) / 1e6 * town->plan->speed;
}

int64_t town_run_time_us(const struct town *town)
{
    return loop_now_us(town->loop) - town->start_us;
}

double town_now_s(const struct town *town)
{
    return (double)town_run_time_us(town) / 1e6 * town->plan->speed - town->plan->warmup_s;
}

void town_after(struct town *town, struct timer *timer, int64_t drill_us)
{
    loop_timer(town->loop, timer, loop_now_us(town->loop) + wall_us(town, drill_us));
}

/* Sending */

void town_send(const struct device *from, struct str to, const char *id, struct str children)
{
    struct buf stanza;
    buf_init(&stanza, 2L * TEXT_MOST);
    buf_printf(&stanza, "<message type='chat' to='%.*s'", STR_ARGS(to));
    if (id != NULL)
        buf_printf(&stanza, " id='%s'", id);
    buf_add_char(&stanza, '>');
    buf_add(&stanza, children);
    buf_add(&stanza, STR("</message>"));
    must(!stanza.overflowed);
    client_send(from->client, buf_str(&stanza));
    buf_done(&stanza);
}

void town_send_to(struct person *from, uint32_t to, const char *id, struct str children)
{
    const struct plan *plan = from->town->plan;
    char jid[512];
    int n = snprintf(jid, sizeof jid, "%s@%.*s", plan->accounts[to].user,
                     STR_ARGS(plan->client.domain));
    town_send(from->desk, str_make(jid, (size_t)n), id, children);
    int32_t contact = graph_contact_index(plan->graph, from->number, to);
    if (id != NULL && contact >= 0)
        from->ties[contact] |= TIE_SENT;
}

void town_send_composing(struct person *from, uint32_t to)
{
    if (from->types)
        town_send_to(from, to, NULL,
                     STR("<composing xmlns='http://jabber.org/protocol/chatstates'/>"));
}

/* What a person means, be it the worm's link that he takes for an honest one. */
static void say(struct talk *talk)
{
    struct town *town = talk->town;
    struct person *from = &town->people[talk->people[talk->speaker]];
    uint32_t to = talk->people[1 - talk->speaker];
    struct letter letter = {.text = str_of(talk->text), .encrypted = talk->encrypted};
    uint32_t number = ledger_say(&town->ledger, talk->is_lure ? SAID_LURE : SAID_HONEST,
                                 from->number, to, letter.text, town_run_time_us(town));
    town->out->n_copies += talk->is_lure;
    struct said *said = &town->ledger.at[number];
    said->from_infected = from->infected;
    said->asked = from->n_asked > 0;
    said->is_trap = talk->is_trap;
    said->warns = talk->warns;
    // an error about an earlier one, which may come back late, ends no talk that is over
    if (talk->last != NOBODY)
        town->ledger.at[talk->last].talk = NULL;
    said->talk = talk;
    talk->last = number;
    char id[LEDGER_ID_SIZE];
    struct buf children;
    ledger_id(&town->ledger, number, id);
    buf_init(&children, TEXT_MOST);
    letter_write(&letter, &children);
    buf_add(&children, STR("<active xmlns='http://jabber.org/protocol/chatstates'/>"
                           "<origin-id xmlns='urn:xmpp:sid:0' id='"));
    buf_add(&children, str_of(id));
    buf_add(&children, STR("'/>"));
    town_send_to(from, to, id, buf_str(&children));
    buf_done(&children);
}

/* Conversations */

static void talk_end(struct talk *talk)
{
    struct town *town = talk->town;
    loop_timer_stop(town->loop, &talk->timer);
    list_leave(&talk->link);
    if (talk->last != NOBODY)
        town->ledger.at[talk->last].talk = NULL;
    free(talk->text);
    free(talk);
}

static char *think_of_text(struct town *town, struct chatter *chatter)
{
    struct buf text;
    buf_init(&text, TEXT_MOST / 8);
    texts_say(town->texts, &chatter->prng, &text);
    char *copy = strndup(text.at, text.len);
    must(copy != NULL);
    buf_done(&text);
    return copy;
}

static void begin_typing(struct talk *talk, struct person *speaker)
{
    if (talk->pasted || prng_unit(&speaker->chatter.prng) < habits_typed)
        town_send_composing(speaker, talk->people[1 - talk->speaker]);
    size_t n_link = texts_find_link(str_of(talk->text)).len, n_typed = strlen(talk->text) - n_link;
    int64_t us = talk->pasting_us;
    if (us == 0)
        us = talk->pasted ? chat_pasting_us(&speaker->chatter)
                          : chat_typing_us(&speaker->chatter, n_typed, n_link > 0);
    town_after(talk->town, &talk->timer, us);
}

static void talk_turn(struct timer *timer)
{
    struct talk *talk = CONTAINER_OF(timer, struct talk, timer);
    struct town *town = talk->town;
    struct person *speaker = &town->people[talk->people[talk->speaker]];
    if (!talk->typing) {
        talk->typing = true;
        if (talk->text == NULL)
            talk->text = think_of_text(town, &speaker->chatter);
        if (!talk->silent) {
            begin_typing(talk, speaker);
            return;
        }
    }
    say(talk);
    free(talk->text);
    talk->text = NULL;
    talk->typing = false;
    talk->speaker = 1 - talk->speaker;
    if (--talk->turns_left == 0)
        talk_end(talk);
    // else the other answers when he has received it
}

struct talk *town_talk(struct town *town, uint32_t a, uint32_t b, unsigned turns, char *text,
                       int64_t thinking_us)
{
    struct talk *talk = calloc(1, sizeof *talk);
    must(talk != NULL);
    *talk = (struct talk){
        .timer.fire = talk_turn,
        .town = town,
        .people = {a, b},
        .turns_left = turns,
        .text = text,
        .last = NOBODY
    };
    list_add_last(&town->talks, &talk->link);
    town_after(town, &talk->timer, thinking_us);
    return talk;
}

static void begin_next_talk(struct timer *timer)
{
    struct person *person = CONTAINER_OF(timer, struct person, next_talk);
    struct town *town = person->town;
    const struct chat_habits *habits = &town->plan->habits;
    uint32_t partner = chat_partner(&person->chatter, town->plan->graph);
    unsigned turns = chat_turns(&person->chatter, habits);
    town_talk(town, person->number, partner, turns, NULL, 0);
    town_after(town, timer, chat_until_next_us(&person->chatter, habits));
}

struct talk *town_say(struct town *town, uint32_t from, uint32_t to, char *text, int64_t in_us,
                      struct manner manner)
{
    int64_t typing_us = !manner.composing || in_us < 0 ? 0
                        : in_us < typing_most_us       ? in_us
                                                       : typing_most_us;
    struct talk *talk = town_talk(town, from, to, 1, text, in_us - typing_us);
    talk->pasted = true;
    talk->pasting_us = typing_us + 1;
    talk->silent = !manner.composing;
    talk->encrypted = manner.encrypted;
    return talk;
}

/* An honest person passes on a link that he has received, the worm's too. */
static void pass_on(struct person *person, const struct said *said, struct str link)
{
    struct town *town = person->town;
    struct reshare reshare;
    if (!reshare_plan(&reshare, &town->plan->people, town->plan->graph, person->number, said->from,
                      &person->reshares))
        return;
    struct buf text;
    buf_init(&text, TEXT_MOST);
    reshare_write(&reshare, link, &text);
    for (uint32_t i = 0; i < reshare.n; i++) {
        char *copy = strndup(text.at, text.len);
        must(copy != NULL);
        struct manner manner = {.composing = reshare.at[i].typing};
        struct talk *talk =
            town_say(town, person->number, reshare.at[i].to, copy, reshare.at[i].delay_us, manner);
        talk->is_trap = said->is_trap;
        talk->is_lure = said->kind == SAID_LURE;
    }
    buf_done(&text);
    person->is_traps |= said->is_trap;
}

/* Somebody sends a dozen people the link to a meeting, in no order, pasting it every two seconds.
 */
static void plan_meeting(struct town *town)
{
    const struct graph *graph = town->plan->graph;
    struct prng *prng = &town->prng;
    uint32_t host = (uint32_t)prng_below(prng, town->n_people);
    for (uint32_t i = 0; i < town->n_people && graph_degree(graph, host) < 8; i++)
        host = (host + 1) % town->n_people;
    double at_s = prng_unit(prng) * town->plan->watch_s * 0.8;
    char text[64];
    snprintf(text, sizeof text, "we meet here: https://zoom.us/j/%011llu",
             (unsigned long long)prng_below(prng, 100000000000));
    uint32_t n_contacts = graph_degree(graph, host);
    uint32_t *guests = malloc((n_contacts + 1) * sizeof *guests);
    must(guests != NULL);
    memcpy(guests, graph_contacts(graph, host), n_contacts * sizeof *guests);
    for (uint32_t i = 0; i < n_contacts && i < MEETING_MOST; i++) {
        uint32_t other = i + (uint32_t)prng_below(prng, n_contacts - i), guest = guests[other];
        guests[other] = guests[i];
        char *copy = strdup(text);
        must(copy != NULL);
        at_s += 1.2 + prng_unit(prng);
        town_talk(town, host, guest, 1, copy, (int64_t)(at_s * 1e6))->pasted = true;
    }
    free(guests);
}

/* The release */

static void release_worm(struct timer *timer)
{
    struct town *town = CONTAINER_OF(timer, struct town, release);
    town->release_us = loop_now_us(town->loop);
    town->out->release_wall_s = (double)clock_wall_us() / 1e6;
    double trap_s = 0;
    if (town->plan->worm != NULL) {
        town_release_zeros(town);
        trap_s = town->plan->worm->habits.wait_s + 1; // the first copies are out
    }
    if (town->plan->trap != NULL)
        town_after(town, &town->trap, (int64_t)(trap_s * 1e6));
    for (unsigned i = 0; i < town->plan->meetings; i++)
        plan_meeting(town);
}

/* Receiving */

/* A sign that the server has convicted the lure. */
static void note_conviction(struct town *town)
{
    if (town->out->seen_s < 0)
        town->out->seen_s = town_since_release_s(town);
}

static struct person *person_of(struct town *town, struct str jid)
{
    struct str rest = jid, local = str_cut(&rest, '@');
    if (rest.at == NULL || !str_eq(str_cut(&rest, '/'), town->plan->client.domain))
        return NULL;
    return table_get(&town->names, local);
}

static void receive_retraction(struct person *person, struct str from, struct str id)
{
    struct town *town = person->town;
    struct said *said = ledger_find(&town->ledger, id);
    // XEP-0424: from its author only
    if (said == NULL || said->to != person->number ||
        person_of(town, from) != &town->people[said->from])
        return;
    if (said->kind == SAID_LURE) {
        town->out->n_copies_retracted += !said->retracted;
        note_conviction(town);
    }
    said->retracted |= person->obeys;
}

/* The id of the message that this one takes back; len == 0 when it takes back none. */
static struct str retracted_id(const struct element *message)
{
    const struct element *retract = element_child(message, NS_RETRACT, STR("retract"));
    if (retract != NULL)
        return element_attr(retract, STR("id"));
    const struct element *apply = element_child(message, NS_FASTEN, STR("apply-to"));
    if (apply != NULL && element_child(apply, NS_RETRACT_0, STR("retract")) != NULL)
        return element_attr(apply, STR("id"));
    const struct element *replace = element_child(message, NS_CORRECT, STR("replace"));
    return replace != NULL ? element_attr(replace, STR("id")) : STR_EMPTY;
}

static void receive_error(struct person *person, const struct element *message)
{
    struct town *town = person->town;
    struct said *said = ledger_find(&town->ledger, element_attr(message, STR("id")));
    if (said == NULL || said->rejected || said->from != person->number)
        return;
    said->rejected = true;
    if (said->kind == SAID_LURE) {
        town->out->n_copies_rejected++;
        note_conviction(town);
    } else if (said->talk != NULL) {
        talk_end(said->talk);
    }
}

/* The server speaks to a person: it warns him, or says that all is well again. */
static void receive_notice(struct person *person, struct str text)
{
    struct town *town = person->town;
    if (str_find(text, STR("by mistake")) < text.len)
        return;
    if (!person->warned)
        town->out->n_warned++;
    person->warned = true;
    if (person->exposed)
        note_conviction(town);
    town_open_nothing(person); // of what came before
}

static void go_on_talking(struct person *person, const struct said *said)
{
    struct town *town = person->town;
    struct talk *talk = said->talk;
    if (talk != NULL && town->phase == CHATTING &&
        talk->last == (uint32_t)(said - town->ledger.at) &&
        talk->people[talk->speaker] == person->number)
        town_after(town, &talk->timer, chat_thinking_us(&person->chatter, &town->plan->habits));
}

/* What its reader does about it, honest or not. */
static void heed(struct person *person, struct said *said, struct str text)
{
    struct str link = texts_find_link(text);
    said->dead = said->warns && link.len == 0;
    town_tempt_worm(person, said->from);
    if (link.len > 0 && !said->warns && !person->infected)
        pass_on(person, said, link);
}

/* The message of this run that it is: by its id, or, where the server delivers anew what it had
 * taken back, by the one that its author gave it. */
static struct said *find_said(const struct town *town, const struct element *message, bool *again)
{
    struct said *said = ledger_find(&town->ledger, element_attr(message, STR("id")));
    *again = said == NULL;
    const struct element *origin = element_child(message, NS_SID, STR("origin-id"));
    if (said == NULL && origin != NULL)
        said = ledger_find(&town->ledger, element_attr(origin, STR("id")));
    return said;
}

static void receive_message(struct device *device, const struct element *message)
{
    struct person *person = device->person;
    struct town *town = person->town;
    struct str from = element_attr(message, STR("from"));
    bool is_error = str_eq(element_attr(message, STR("type")), STR("error")), again;
    bool from_server = !is_error && str_eq(from, town->plan->client.domain);
    if (from_server && town_hear_question(device, message))
        return;
    if (device->is_phone) // he reads on the other one, and looks at this when it is asked
        return;
    if (is_error) {
        receive_error(person, message);
        return;
    }
    struct str retracted = retracted_id(message);
    if (retracted.len > 0) {
        receive_retraction(person, from, retracted);
        return;
    }
    struct str text = element_child_text(message, NS_CLIENT, STR("body"));
    if (text.len == 0)
        return;
    struct said *said = find_said(town, message, &again);
    if (said == NULL) {
        if (from_server)
            receive_notice(person, text);
        return;
    }
    if (said->to != person->number)
        return;
    if (again && said->retracted) { // taken back by mistake
        said->retracted = false;
        return;
    }
    int32_t contact = graph_contact_index(town->plan->graph, person->number, said->from);
    if (contact >= 0)
        person->ties[contact] |= TIE_GOT;
    if (said->n_received++ == 0) {
        said->received_us = town_run_time_us(town);
        said->stamped = element_child(message, NS_DELAY, STR("delay")) != NULL;
        if (said->kind == SAID_LURE)
            town_see_lure(person, said);
        if (said->kind == SAID_HONEST)
            go_on_talking(person, said);
        if (town->phase == CHATTING)
            heed(person, said, text);
    }
    if (town->phase == ENDING && ledger_n_open(&town->ledger) == 0)
        loop_stop(town->loop);
}

/* Friends.  Where rosters lack a tie of the graph, one of the two asks and the other agrees. */

static void count_friends(struct person *person, const struct element *query)
{
    struct town *town = person->town;
    ELEMENT_EACH(query, item)
    {
        if (!str_eq(element_attr(item, STR("subscription")), STR("both")))
            continue;
        const struct person *other = person_of(town, element_attr(item, STR("jid")));
        if (other == NULL || !graph_are_contacts(town->plan->graph, person->number, other->number))
            continue;
        person->n_friends++;
        town->n_friends++;
    }
    if (town->phase == BEFRIENDING && town->n_friends >= 2 * town->plan->graph->n_ties)
        loop_stop(town->loop);
}

static void send_presence(struct person *from, const struct person *to, const char *type)
{
    char stanza[512];
    int n = snprintf(stanza, sizeof stanza, "<presence type='%s' to='%s@%.*s'/>", type,
                     from->town->plan->accounts[to->number].user,
                     STR_ARGS(from->town->plan->client.domain));
    client_send(from->desk->client, str_make(stanza, (size_t)n));
}

static void receive_presence(struct person *person, const struct element *presence)
{
    struct str type = element_attr(presence, STR("type"));
    const struct person *other = person_of(person->town, element_attr(presence, STR("from")));
    if (!str_eq(type, STR("subscribe")) || other == NULL ||
        !graph_are_contacts(person->town->plan->graph, person->number, other->number))
        return;
    send_presence(person, other, "subscribed");
    if (person->number > other->number) // the first to ask is the lower number
        send_presence(person, other, "subscribe");
}

static void befriend_all(struct town *town)
{
    const struct graph *graph = town->plan->graph;
    for (uint32_t a = 0; a < town->n_people; a++) {
        if (town->people[a].n_friends == graph_degree(graph, a))
            continue;
        for (uint32_t i = 0; i < graph_degree(graph, a); i++) {
            uint32_t b = graph_contacts(graph, a)[i];
            if (a < b)
                send_presence(&town->people[a], &town->people[b], "subscribe");
        }
    }
}

/* Clients' events */

static void device_online(void *owner, bool resumed)
{
    (void)resumed;
    struct device *device = owner;
    struct town *town = device->person->town;
    device->online = true;
    town->n_online++;
    if (!device->was_online && town->n_started < town->n_devices)
        client_connect(town->devices[town->n_started++].client);
    device->was_online = true;
    if (town->phase == GATHERING && town->n_online == town->n_devices)
        loop_stop(town->loop);
}

static void keep_roster(struct person *person, const struct element *query)
{
    struct town *town = person->town;
    uint32_t most = graph_degree(town->plan->graph, person->number);
    person->roster = malloc((most + 1) * sizeof *person->roster);
    must(person->roster != NULL);
    ELEMENT_EACH(query, item)
    {
        const struct person *other = person_of(town, element_attr(item, STR("jid")));
        if (other != NULL && person->n_roster < most &&
            graph_are_contacts(town->plan->graph, person->number, other->number))
            person->roster[person->n_roster++] = other->number;
    }
    count_friends(person, query);
}

static void device_roster(void *owner, const struct element *query)
{
    struct person *person = ((struct device *)owner)->person;
    if (person->town->phase == GATHERING && person->roster == NULL)
        keep_roster(person, query);
}

static void device_stanza(void *owner, const struct element *stanza)
{
    struct device *device = owner;
    const struct element *query;
    if (str_eq(stanza->name, STR("message")))
        receive_message(device, stanza);
    else if (device->is_phone)
        return;
    else if (str_eq(stanza->name, STR("presence")))
        receive_presence(device->person, stanza);
    else if ((query = element_child(stanza, NS_ROSTER, STR("query"))) != NULL)
        count_friends(device->person, query);
}

static void device_closed(void *owner, const char *why)
{
    struct device *device = owner;
    struct person *person = device->person;
    struct town *town = person->town;
    town->n_online -= device->online;
    device->online = false;
    if (str_eq(str_of(why), STR("left"))) {
        if (town->n_online == 0)
            loop_stop(town->loop);
        return;
    }
    if (!device->was_online) {
        snprintf(town->refusal, sizeof town->refusal, "%s cannot log in: %s",
                 town->plan->accounts[person->number].user, why);
        town->refusing = true;
        loop_stop(town->loop);
        return;
    }
    town->out->n_lost_connections++;
    loop_timer(town->loop, &device->reconnect, loop_now_us(town->loop) + SECOND_US);
}

static void plan_cut(struct person *person)
{
    double an_hour = person->town->plan->cuts_an_hour;
    if (an_hour > 0)
        town_after(person->town, &person->next_cut,
                   (int64_t)(-log(1 - prng_unit(&person->network)) / an_hour * 3600e6));
}

/* The network fails: neither side is told. */
static void cut(struct timer *timer)
{
    struct person *person = CONTAINER_OF(timer, struct person, next_cut);
    struct town *town = person->town;
    struct device *desk = person->desk;
    plan_cut(person);
    if (!desk->online)
        return;
    client_cut(desk->client);
    desk->online = false;
    town->n_online--;
    town->out->n_cuts++;
    loop_timer(town->loop, &desk->reconnect, loop_now_us(town->loop) + CUT_WALL_US);
}

static void reconnect(struct timer *timer)
{
    client_connect(CONTAINER_OF(timer, struct device, reconnect)->client);
}

/* A run */

static void take_glance(const struct town *town, struct glance *glance)
{
    *glance = (struct glance){
        .at_s = town->phase < CHATTING ? -town->plan->warmup_s : town_now_s(town),
        .n_people = town->n_people,
        .n_online = town->n_online,
        .n_infected = town->out->n_infected,
        .n_exposed = town->out->n_exposed,
        .n_copies = town->out->n_copies,
    };
    for (uint32_t i = 0; i < town->ledger.n; i++) {
        const struct said *said = &town->ledger.at[i];
        if (said->kind != SAID_HONEST)
            continue;
        glance->n_honest++;
        glance->n_honest_received += said->n_received > 0;
        glance->n_honest_rejected += said->rejected;
    }
}

static void look(struct timer *timer)
{
    struct town *town = CONTAINER_OF(timer, struct town, look);
    struct glance glance;
    take_glance(town, &glance);
    town->plan->look(town->plan->context, &glance);
    loop_timer(town->loop, timer, loop_now_us(town->loop) + LOOK_US);
}

static const struct client_events device_events = {device_online, device_roster, device_stanza,
                                                   NULL, device_closed};

static struct device *add_device(struct person *person, const struct client_options *options,
                                 const char *resource)
{
    struct town *town = person->town;
    const struct account *account = &town->plan->accounts[person->number];
    struct device *device = &town->devices[town->n_devices++];
    *device = (struct device){.person = person, .reconnect.fire = reconnect};
    device->client =
        client_new(town->pool, options, str_of(account->user), str_of(account->password),
                   str_of(resource), &device_events, device);
    return device;
}

static void give_devices(struct person *person)
{
    struct town *town = person->town;
    struct prng prng = prng_of(town->plan->seed, person->number, PURPOSE_PHONE);
    person->desk =
        add_device(person, person->obeys ? &town->plan->client : &town->old_fashioned, "drill");
    if (prng_unit(&prng) >= town->plan->phones)
        return;
    person->phone = add_device(person, &town->phone, "phone");
    person->phone->is_phone = true;
}

static void make_people(struct town *town)
{
    const struct plan *plan = town->plan;
    town->n_people = plan->graph->n_people;
    town->people = calloc(town->n_people, sizeof *town->people);
    town->devices = calloc(2 * (size_t)town->n_people, sizeof *town->devices);
    must(town->people != NULL && town->devices != NULL);
    town->old_fashioned = town->phone = plan->client;
    town->old_fashioned.old_fashioned = true;
    town->phone.roster = false;
    town->phone.forms = true;
    for (uint32_t i = 0; i < town->n_people; i++) {
        struct person *person = &town->people[i];
        person->town = town;
        person->number = i;
        person->next_cut.fire = cut;
        person->network = prng_of(plan->seed, i, PURPOSE_NETWORK);
        person->luck = prng_of(plan->seed, i, PURPOSE_LUCK);
        struct client_ways ways = habits_client(&plan->people, plan->seed, i);
        person->obeys = ways.obeys;
        person->types = ways.types;
        person->reshares = prng_of(plan->seed, i, PURPOSE_RESHARE);
        person->ties = calloc(graph_degree(plan->graph, i) + 1, sizeof *person->ties);
        must(person->ties != NULL);
        person->next_talk.fire = begin_next_talk;
        list_init(&person->openings);
        town_init_worm(person);
        chatter_init(&person->chatter, plan->seed, i);
        mind_init(&person->mind, plan->seed, i);
        must(table_put(&town->names, str_of(plan->accounts[i].user), person) == OK);
        give_devices(person);
    }
}

static enum err gather(struct town *town, struct why *why)
{
    town->phase = GATHERING;
    while (town->n_started < LOGINS_ABREAST && town->n_started < town->n_devices)
        client_connect(town->devices[town->n_started++].client);
    loop_run(town->loop, clock_now_us() + LOGIN_WALL_S * SECOND_US);
    if (town->refusing)
        return why_say(why, ERR_DENIED, "%s", town->refusal);
    if (town->n_online < town->n_devices)
        return why_say(why, ERR_CLOSED, "%u of %u devices came online", town->n_online,
                       town->n_devices);
    if (!town->plan->make_rosters || town->n_friends >= 2 * town->plan->graph->n_ties)
        return OK;
    town->phase = BEFRIENDING;
    befriend_all(town);
    loop_run(town->loop, clock_now_us() + ROSTER_WALL_S * SECOND_US);
    if (town->n_friends < 2 * town->plan->graph->n_ties)
        return why_say(why, ERR_CLOSED, "%llu of %zu roster entries were made",
                       (unsigned long long)town->n_friends, 2 * town->plan->graph->n_ties);
    return OK;
}

static void chat(struct town *town)
{
    const struct plan *plan = town->plan;
    town->phase = CHATTING;
    loop_run(town->loop, clock_now_us() + 1); // turns the clock
    town->start_us = town->release_us = loop_now_us(town->loop);
    for (uint32_t i = 0; i < town->n_people; i++) {
        struct person *person = &town->people[i];
        if (graph_degree(plan->graph, i) > 0)
            town_after(town, &person->next_talk,
                       chat_until_next_us(&person->chatter, &plan->habits));
        plan_cut(person);
    }
    town->release.fire = release_worm;
    town->trap.fire = town_play_trap;
    town_after(town, &town->release, (int64_t)(plan->warmup_s * 1e6));
    if (plan->look != NULL) {
        town->look.fire = look;
        loop_timer(town->loop, &town->look, town->start_us);
    }
    (void)loop_lag_us(town->loop); // logging in knows no time
    loop_run(town->loop,
             town->start_us + wall_us(town, (int64_t)((plan->warmup_s + plan->watch_s) * 1e6)));
    town->out->lag_s = (double)loop_lag_us(town->loop) / 1e6 * plan->speed;
}

static void fall_silent(struct town *town)
{
    town->phase = ENDING;
    town->out->watched_s = town_since_release_s(town);
    loop_timer_stop(town->loop, &town->release);
    loop_timer_stop(town->loop, &town->look);
    loop_timer_stop(town->loop, &town->trap);
    town_forget_replies(town);
    for (uint32_t i = 0; i < town->n_people; i++) {
        struct person *person = &town->people[i];
        loop_timer_stop(town->loop, &person->next_talk);
        loop_timer_stop(town->loop, &person->next_cut);
        town_open_nothing(person);
        loop_timer_stop(town->loop, &person->next_copy);
    }
    town_forget_answers(town);
    LIST_EACH(&town->talks, struct talk, link, talk)
    talk_end(talk);
}

static void wait_for_the_last(struct town *town)
{
    if (ledger_n_open(&town->ledger) == 0)
        return;
    int64_t grace_us = wall_us(town, (int64_t)(town->plan->grace_s * 1e6));
    if (grace_us < 5 * SECOND_US)
        grace_us = 5 * SECOND_US; // the machine needs its own time, whatever the speed
    loop_run(town->loop, clock_now_us() + grace_us);
}

/* What did not go as honest messages should, one line each. */
static void write_trace(const struct town *town)
{
    FILE *out = town->plan->trace;
    for (uint32_t i = 0; i < town->ledger.n; i++) {
        const struct said *said = &town->ledger.at[i];
        double delay_s = said->n_received > 0 ? ledger_delay_s(said, town->plan->speed) : 0;
        const char *what = said->rejected          ? "rejected"
                           : said->n_received == 0 ? said->asked ? "waits" : "lost"
                           : said->retracted       ? "taken"
                           : said->n_received > 1  ? "twice"
                           : delay_s > 2           ? "held"
                                                   : NULL;
        if (said->kind != SAID_HONEST || what == NULL)
            continue;
        double at_s = (double)said->sent_us / 1e6 * town->plan->speed - town->plan->warmup_s;
        fprintf(out, "%-8s seed %llu  %8.1f s  %6.2f s%s  %s%s -> %s: %.*s\n", what,
                (unsigned long long)town->plan->seed, at_s, delay_s,
                said->stamped ? " stamped" : "", town->plan->accounts[said->from].user,
                said->from_infected ? " (infected)" : "", town->plan->accounts[said->to].user,
                STR_ARGS(said->text));
    }
    fflush(out);
}

static void disperse(struct town *town)
{
    town->phase = ENDING;
    for (uint32_t i = 0; i < town->n_devices; i++) {
        loop_timer_stop(town->loop, &town->devices[i].reconnect);
        client_leave(town->devices[i].client);
    }
    if (town->n_online > 0)
        loop_run(town->loop, clock_now_us() + 2 * SECOND_US);
    for (uint32_t i = 0; i < town->n_devices; i++) {
        loop_timer_stop(town->loop, &town->devices[i].reconnect);
        client_free(&town->devices[i].client);
    }
    for (uint32_t i = 0; i < town->n_people; i++) {
        struct person *person = &town->people[i];
        infection_done(&person->infection);
        free(person->roster);
        free(person->ties);
        free(person->asked);
    }
    free(town->people);
    free(town->devices);
    free(town->worm_link);
}

/* A message that the guard did not stamp waited for the machine alone, or for a network that was
 * cut: that is no fault of the machine. */
static void note_lag(struct town *town)
{
    struct outcome *out = town->out;
    double server_s = out->honest.machine_s * town->plan->speed;
    if (town->plan->cuts_an_hour == 0 && server_s > out->lag_s)
        out->lag_s = server_s;
}

enum err town_run(const struct plan *plan, struct outcome *out, struct why *why)
{
    struct town town = {
        .plan = plan,
        .out = out,
        .worm = {plan->worm, plan->seed},
        .prng = prng_of(plan->seed, 0, PURPOSE_TOWN),
    };
    *out = (struct outcome){.seen_s = -1};
    struct prng order = prng_of(plan->seed, 1, PURPOSE_TOWN);
    enum err e = texts_read(&town.texts, plan->texts, &order, why);
    if (e != OK)
        return e;
    list_init(&town.talks);
    list_init(&town.answers);
    list_init(&town.replies);
    table_init(&town.names, 1000000);
    ledger_init(&town.ledger);
    town.loop = loop_new();
    town.pool = client_pool_new(town.loop, false);
    make_people(&town);
    e = gather(&town, why);
    if (e == OK) {
        chat(&town);
        fall_silent(&town);
        wait_for_the_last(&town);
        ledger_tally(&town.ledger, plan->speed, false, &out->honest);
        ledger_tally(&town.ledger, plan->speed, true, &out->trap);
        note_lag(&town);
        if (plan->trace != NULL)
            write_trace(&town);
    }
    disperse(&town);
    client_pool_free(&town.pool);
    loop_free(&town.loop);
    ledger_done(&town.ledger);
    table_done(&town.names);
    texts_free(&town.texts);
    return e;
}

void outcome_done(struct outcome *outcome)
{
    free(outcome->infected);
    *outcome = (struct outcome){0};
}
