#include "im/questions.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/must.h"
#include "base/random.h"
#include "im/behind.h"
#include "im/caps.h"
#include "im/containment_internal.h"
#include "im/gate_errand.h"
#include "im/notices.h"
#include "im/send.h"
#include "route/own.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TRIES_MOST = 2,    // at a puzzle
    WORDS_SHOWN = 6,   // of a puzzle
    WORDS_WANTED = 2,  // …and these are the answer: one of fifteen guesses is right
    WORDS_MOST = 32,   // in a catalogue's list
    TEXT_MOST = 65536, // of what is said
};

// A question on its way to the home of who is asked; there, until it ends.
struct asking {
    struct mail mail;
    struct link link; // in desk->questions, oldest first
    struct gate *gate;
    struct home *home;
    bool ends; // it carries the end of the one with its number
    bool late; // its time is over: what waited has returned, but it may still be answered
    enum reason reason;
    struct jid who;   // bare, own memory
    struct str shown; // dead, own memory
    uint64_t number, incident, device;
    uint32_t receivers;
    int64_t until_us; // of the guard's clock
    int64_t since_us; // wall time: whoever logs in later may be the worm
    uint64_t puzzle;  // seed
    unsigned tries;
};

uint64_t questions_device(struct str resource)
{
    return hash_fast(0, resource) | 1; // 0: unknown
}

static void asking_free(struct asking *asking)
{
    list_leave(&asking->link);
    own_jid_free(&asking->who);
    own_str_free(&asking->shown);
    free(asking);
}

void questions_free(struct list *questions)
{
    LIST_EACH(questions, struct asking, link, asking)
    asking_free(asking);
}

static struct asking *find(const struct home *home, struct str who, uint64_t number)
{
    LIST_EACH(&desk_of(home)->questions, struct asking, link, asking)
    if (str_eq(asking->who.full, who) && (number == 0 || asking->number == number))
        return asking;
    return NULL;
}

/* ---- Devices ---- */

static bool hears(const struct session *session)
{
    return session->available && !session->ending;
}

// A device that did not send it, and was there before anybody asked.
static bool is_another(const struct asking *asking, const struct session *session)
{
    return asking->device != 0 && asking->device != UINT64_MAX &&
           questions_device(session->jid.resource) != asking->device &&
           session->started_us < asking->since_us;
}

static bool has_another(const struct asking *asking, const struct account *account)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (hears(session) && is_another(asking, session))
        return true;
    return false;
}

/* ---- The puzzle ---- */

// Words of a list in the catalogue; how many.
static size_t words_of(struct arena *arena, const struct session *session, struct str fallback,
                       enum notice notice, struct str *words)
{
    const struct notices *notices = desk_of(session->home)->service->notices;
    const struct notice_args none = {.link = STR_EMPTY};
    struct str rest = notice_text(notices, arena, session->lang, fallback, notice, &none);
    size_t n = 0;
    while (rest.at != NULL && rest.len > 0 && n < WORDS_MOST) {
        struct str word = str_cut(&rest, ' ');
        if (word.len > 0)
            words[n++] = word;
    }
    return n;
}

// Moves some of them, drawn at random, to the front.
static void draw(struct prng *prng, struct str *words, size_t n, size_t wanted)
{
    for (size_t i = 0; i < wanted && i < n; i++) {
        size_t other = i + (size_t)prng_below(prng, n - i);
        struct str word = words[i];
        words[i] = words[other];
        words[other] = word;
    }
}

struct puzzle {
    struct str words[WORDS_SHOWN]; // as they are shown
    bool wanted[WORDS_SHOWN];
    size_t n;
};

// The same for the same question and language, whoever asks.
static void make_puzzle(const struct asking *asking, struct arena *arena,
                        const struct session *session, struct str fallback, struct puzzle *out)
{
    struct str right[WORDS_MOST], others[WORDS_MOST];
    struct prng prng = {asking->puzzle};
    size_t n_right = words_of(arena, session, fallback, NOTICE_PUZZLE_WORDS, right);
    size_t n_others = words_of(arena, session, fallback, NOTICE_PUZZLE_OTHERS, others);
    *out = (struct puzzle){0};
    draw(&prng, right, n_right, WORDS_WANTED);
    draw(&prng, others, n_others, WORDS_SHOWN - WORDS_WANTED);
    for (size_t i = 0; i < WORDS_WANTED && i < n_right; i++) {
        out->wanted[out->n] = true;
        out->words[out->n++] = right[i];
    }
    for (size_t i = 0; i < WORDS_SHOWN - WORDS_WANTED && i < n_others; i++)
        out->words[out->n++] = others[i];
    for (size_t i = 0; i + 1 < out->n; i++) {
        size_t other = i + (size_t)prng_below(&prng, out->n - i);
        struct str word = out->words[i];
        bool wanted = out->wanted[i];
        out->words[i] = out->words[other];
        out->wanted[i] = out->wanted[other];
        out->words[other] = word;
        out->wanted[other] = wanted;
    }
}

static struct str show_words(struct arena *arena, const struct puzzle *puzzle)
{
    struct buf out;
    buf_init(&out, TEXT_MOST);
    for (size_t i = 0; i < puzzle->n; i++)
        buf_printf(&out, "%s%.*s", i > 0 ? ", " : "", STR_ARGS(puzzle->words[i]));
    struct str shown = arena_str(arena, buf_str(&out));
    buf_done(&out);
    return shown;
}

/* ---- Saying ---- */

// A sentence about a question, for one session.
struct saying {
    const struct asking *asking;
    const struct session *session;
    struct stanza *stanza;
    struct str fallback;
    struct notice_args args;
};

static void saying_init(struct saying *saying, const struct asking *asking,
                        const struct session *session)
{
    struct jid domain = jid_of_prepared(session->jid.domain);
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    *saying = (struct saying){
        .asking = asking,
        .session = session,
        .stanza = stanza_make(STANZA_MESSAGE, TYPE_CHAT, &domain, &session->jid, str_of(id)),
        .fallback = tell_domain_lang(session->home, session->jid.domain),
    };
    struct arena *arena = &saying->stanza->arena;
    struct puzzle puzzle;
    make_puzzle(asking, arena, session, saying->fallback, &puzzle);
    saying->args = (struct notice_args){
        .link = asking->shown,
        .incident = arena_printf(arena, "%" PRIu64, asking->incident),
        .until = clock_format(arena, asking->until_us),
        .people = arena_printf(arena, "%" PRIu32, asking->receivers),
        .number = arena_printf(arena, "%" PRIu64, asking->number),
        .words = show_words(arena, &puzzle),
    };
    tell_set_lang(saying->stanza, asking->gate->service->notices, session->lang, saying->fallback);
}

static struct str words(const struct saying *saying, enum notice notice)
{
    return notice_text(saying->asking->gate->service->notices, &saying->stanza->arena,
                       saying->session->lang, saying->fallback, notice, &saying->args);
}

// Not for archives, and for this device alone.
static void say_it(struct saying *saying, struct session *session)
{
    element_child_new(&saying->stanza->arena, saying->stanza->root, NS_HINTS, STR("no-store"));
    stanza_seal(saying->stanza);
    send_to_session(session, &(struct sending_out){.stanza = saying->stanza, .fleeting = true});
    stanza_unref(&saying->stanza);
}

static void say(const struct asking *asking, struct session *session, enum notice notice)
{
    struct saying saying;
    saying_init(&saying, asking, session);
    element_child_with(&saying.stanza->arena, saying.stanza->root, NS_CLIENT, STR("body"),
                       words(&saying, notice));
    say_it(&saying, session);
}

static struct element *add_field(struct arena *arena, struct element *form, const char *var,
                                 const char *type, struct str label)
{
    struct element *field = element_child_new(arena, form, NS_DATA, STR("field"));
    element_set(arena, field, STR("var"), str_of(var));
    element_set(arena, field, STR("type"), str_of(type));
    if (label.len > 0)
        element_set(arena, field, STR("label"), label);
    return field;
}

static void add_form(const struct saying *saying, struct element *parent, struct str instructions,
                     bool with_puzzle)
{
    struct arena *arena = &saying->stanza->arena;
    struct element *form = element_child_new(arena, parent, NS_DATA, STR("x"));
    element_set(arena, form, STR("type"), STR("form"));
    element_child_with(arena, form, NS_DATA, STR("title"), words(saying, NOTICE_ASK_TITLE));
    element_child_with(arena, form, NS_DATA, STR("instructions"), instructions);
    element_child_with(arena, add_field(arena, form, "FORM_TYPE", "hidden", STR_EMPTY), NS_DATA,
                       STR("value"), NS_QUESTION);
    element_child_with(arena, add_field(arena, form, "question", "hidden", STR_EMPTY), NS_DATA,
                       STR("value"), saying->args.number);
    add_field(arena, form, "meant", "boolean", words(saying, NOTICE_ASK_FIELD));
    if (with_puzzle)
        add_field(arena, form, "words", "text-single", words(saying, NOTICE_PUZZLE_FIELD));
}

static struct str question_text(const struct saying *saying, bool with_puzzle)
{
    struct str text = words(saying, saying->asking->late ? NOTICE_ASK_LATE : NOTICE_ASK);
    return with_puzzle ? arena_printf(&saying->stanza->arena, "%.*s %.*s", STR_ARGS(text),
                                      STR_ARGS(words(saying, NOTICE_PUZZLE)))
                       : text;
}

static void ask_session(const struct asking *asking, struct session *session, bool with_puzzle)
{
    struct saying saying;
    saying_init(&saying, asking, session);
    struct arena *arena = &saying.stanza->arena;
    struct str text = question_text(&saying, with_puzzle);
    element_child_with(arena, saying.stanza->root, NS_CLIENT, STR("body"), text);
    if (session_has_feature(session, NS_DATA))
        add_form(&saying, saying.stanza->root, text, with_puzzle);
    say_it(&saying, session);
}

/* ---- Asking ---- */

static void ask_account(const struct asking *asking, struct account *account)
{
    bool has = has_another(asking, account);
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (hears(session) && is_another(asking, session) == has)
        ask_session(asking, session, !has);
}

void questions_for(struct session *session)
{
    const struct account *account = session->account;
    LIST_EACH(&desk_of(session->home)->questions, struct asking, link, asking)
    if (str_eq(asking->who.full, account->jid.full)) {
        bool is = is_another(asking, session);
        if (is || !has_another(asking, account))
            ask_session(asking, session, !is);
    }
}

// Whoever was asked hears of the end.
static void tell_end(const struct asking *asking, struct account *account, enum reason reason)
{
    bool is_late = reason == REASON_CLEARED && asking->late;
    enum notice notice = is_late && asking->receivers == 0 ? NOTICE_ANSWER_YES_AGAIN
                         : is_late                         ? NOTICE_ANSWER_YES_LATE
                         : reason == REASON_CLEARED        ? NOTICE_ANSWER_YES
                         : reason == REASON_UNDECIDED      ? NOTICE_ANSWER_YES_WAITS
                         : reason == REASON_DENIED         ? NOTICE_ANSWER_NO
                                                           : NOTICE_ASK_OVER;
    bool has = has_another(asking, account);
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (hears(session) && is_another(asking, session) == has)
        say(asking, session, notice);
}

static void at_home(struct mail *mail)
{
    struct asking *asking = CONTAINER_OF(mail, struct asking, mail);
    struct account *account = account_in_memory(asking->home, asking->who.full);
    struct asking *known = find(asking->home, asking->who.full, asking->number);
    if (asking->ends) {
        if (known != NULL)
            known->receivers = asking->receivers; // whom he had sent it to by now
        if (known != NULL && account != NULL)
            tell_end(known, account, asking->reason);
        if (known != NULL)
            asking_free(known);
        asking_free(asking);
        return;
    }
    if (known != NULL) {
        bool is_news = asking->late && !known->late;
        known->late |= asking->late;
        known->until_us = asking->until_us;
        asking_free(asking);
        if (is_news && account != NULL)
            ask_account(known, account);
        return;
    }
    // who is not in memory has no session: he is asked when he comes
    asking->since_us = clock_wall_us();
    list_add_last(&desk_of(asking->home)->questions, &asking->link);
    if (account != NULL) {
        behind_overtake(account);
        ask_account(asking, account);
    }
}

// On the guard's thread.
static void send_home(struct gate *gate, struct asking *asking, struct str who, struct str shown)
{
    struct jid jid = jid_of_prepared(who);
    asking->gate = gate;
    asking->who = own_jid(&jid);
    asking->shown = tell_dead_link(gate, shown);
    asking->puzzle = random_u64();
    asking->home = home_of(&gate->service->homes, who);
    asking->mail.run = at_home;
    loop_post(asking->home->loop, &asking->mail);
}

void questions_order(struct gate *gate, const struct order *order)
{
    struct asking *asking = calloc(1, sizeof *asking);
    must(asking != NULL);
    asking->ends = order->undo;
    asking->reason = order->reason;
    asking->late = !order->undo && order->reason == REASON_UNANSWERED;
    asking->number = order->question;
    asking->incident = order->incident;
    asking->device = order->device;
    asking->receivers = order->receivers;
    asking->until_us = order->expires_us;
    send_home(gate, asking, order->who, order->shown);
}

static void ask_again(void *context, const struct guard_question *question)
{
    struct asking *asking = calloc(1, sizeof *asking);
    must(asking != NULL);
    asking->number = question->number;
    asking->incident = question->incident;
    asking->device = question->device;
    asking->receivers = question->receivers;
    asking->late = question->late_us != 0;
    asking->until_us = asking->late ? question->late_us : question->due_us;
    send_home(context, asking, question->who, question->shown);
}

struct reopening {
    struct mail mail;
    struct gate *gate;
};

static void reopen(struct mail *mail)
{
    struct reopening *reopening = CONTAINER_OF(mail, struct reopening, mail);
    guard_questions(reopening->gate->guard, ask_again, reopening->gate);
    free(reopening);
}

void questions_open(struct gate *gate)
{
    struct reopening *reopening = calloc(1, sizeof *reopening);
    must(reopening != NULL);
    reopening->mail.run = reopen;
    reopening->gate = gate;
    loop_post(gate->loop, &reopening->mail); // the homes run only when the guard's thread does
}

/* ---- Answers ---- */

enum { MEANS_NOTHING, MEANS_YES, MEANS_NO };

struct reading {
    int means;
    uint64_t number; // 0: not said
    bool has_words;  // of the puzzle: some
    bool solves;
};

static bool is_one_of(struct str word, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(word, list[i]))
            return true;
    return false;
}

static bool separates(char c)
{
    return c == ' ' || c == ',' || c == '.' || c == ';' || c == ':' || c == '!' || c == '"' ||
           c == '\'' || c == '\n' || c == '\t' || c == '\r' || c == '#' || c == '(' || c == ')';
}

static struct str cut_word(struct str *rest)
{
    size_t from = 0, to;
    while (from < rest->len && separates(rest->at[from]))
        from++;
    for (to = from; to < rest->len && !separates(rest->at[to]);)
        to++;
    struct str word = str_first(str_skip(*rest, from), to - from);
    *rest = str_skip(*rest, to);
    return word;
}

// Exactly the words that were asked for, in any order, and none of the others.
static void look_at_puzzle(const struct asking *asking, struct arena *arena,
                           const struct session *session, struct str text, struct reading *reading)
{
    struct puzzle puzzle;
    struct str fallback = tell_domain_lang(session->home, session->jid.domain);
    bool said[WORDS_SHOWN] = {false};
    make_puzzle(asking, arena, session, fallback, &puzzle);
    for (struct str word; (word = cut_word(&text)).len > 0;)
        for (size_t i = 0; i < puzzle.n; i++)
            said[i] |= str_eq_nocase(word, puzzle.words[i]);
    reading->solves = puzzle.n == WORDS_SHOWN;
    for (size_t i = 0; i < puzzle.n; i++) {
        reading->has_words |= said[i];
        reading->solves &= said[i] == puzzle.wanted[i];
    }
}

static void read_words(struct arena *arena, const struct session *session, struct str text,
                       struct reading *reading)
{
    struct str yes[WORDS_MOST], no[WORDS_MOST];
    struct str fallback = tell_domain_lang(session->home, session->jid.domain);
    size_t n_yes = words_of(arena, session, fallback, NOTICE_YES, yes);
    size_t n_no = words_of(arena, session, fallback, NOTICE_NO, no);
    for (struct str word; (word = cut_word(&text)).len > 0;) {
        uint64_t number;
        if (str_to_u64(word, 1, UINT64_MAX, &number) == OK)
            reading->number = number;
        if (reading->means != MEANS_NOTHING)
            continue; // the first word of the kind
        if (is_one_of(word, yes, n_yes) || str_eq_nocase(word, STR("yes")))
            reading->means = MEANS_YES;
        else if (is_one_of(word, no, n_no) || str_eq_nocase(word, STR("no")))
            reading->means = MEANS_NO;
    }
}

static struct str field_value(const struct element *form, struct str var)
{
    ELEMENT_EACH(form, field)
    {
        struct str name = element_attr(field, STR("var"));
        struct str value =
            element_is(field, NS_DATA, STR("field")) && name.at != NULL && str_eq(name, var)
                ? element_child_text(field, NS_DATA, STR("value"))
                : STR_EMPTY;
        if (value.len > 0)
            return value;
    }
    return STR_EMPTY;
}

static void read_form(const struct element *form, struct reading *reading)
{
    struct str meant = field_value(form, STR("meant"));
    if (str_to_u64(field_value(form, STR("question")), 1, UINT64_MAX, &reading->number) != OK)
        reading->number = 0;
    if (str_eq(meant, STR("1")) || str_eq(meant, STR("true")))
        reading->means = MEANS_YES;
    else if (str_eq(meant, STR("0")) || str_eq(meant, STR("false")))
        reading->means = MEANS_NO;
}

// An answer on its way to the guard; the client's message is acknowledged when it has been taken.
struct answering {
    struct gate_errand errand;
    struct home *home;
    struct str who; // own memory
    struct ticket *ticket;
    uint64_t number, session;
    bool meant;
};

static void is_taken(struct gate_errand *errand)
{
    struct answering *answering = CONTAINER_OF(errand, struct answering, errand);
    struct session *session = session_find(answering->home, answering->session);
    const struct asking *asking = find(answering->home, answering->who, answering->number);
    // others have denied it: a puzzle was not enough
    if (asking != NULL && session != NULL && answering->meant)
        say(asking, session, NOTICE_ANSWER_ELSEWHERE);
    ticket_unref(&answering->ticket);
    own_str_free(&answering->who);
    free(answering);
}

static void answer(const struct asking *asking, const struct session *session,
                   struct ticket *ticket, bool meant, enum answer_trust trust)
{
    struct answering *answering = calloc(1, sizeof *answering);
    must(answering != NULL);
    answering->home = asking->home;
    answering->who = own_str(asking->who.full);
    answering->ticket = ticket_ref(ticket);
    answering->number = asking->number;
    answering->session = session->id;
    answering->meant = meant;
    answering->errand.event.kind = EVENT_ANSWER;
    answering->errand.event.answer = (struct answer){
        .sender = answering->who, .incident = asking->incident, .meant = meant, .trust = trust};
    answering->errand.done = is_taken;
    gate_errand_send(asking->gate, &answering->errand, asking->home->loop);
}

static void take_yes(struct asking *asking, struct session *session, struct ticket *ticket,
                     const struct reading *reading)
{
    if (is_another(asking, session)) {
        answer(asking, session, ticket, true, ANSWER_OTHER_DEVICE);
    } else if (has_another(asking, session->account)) {
        say(asking, session, NOTICE_ANSWER_ELSEWHERE);
    } else if (asking->tries < TRIES_MOST && reading->solves) {
        answer(asking, session, ticket, true, ANSWER_PUZZLE);
    } else if (asking->tries < TRIES_MOST && !reading->has_words) {
        say(asking, session, NOTICE_PUZZLE);
    } else {
        asking->tries += asking->tries < TRIES_MOST;
        say(asking, session, NOTICE_ANSWER_WRONG);
    }
}

static void take(struct asking *asking, struct session *session, struct ticket *ticket,
                 const struct reading *reading)
{
    if (reading->means == MEANS_NO)
        answer(asking, session, ticket, false,
               is_another(asking, session) ? ANSWER_OTHER_DEVICE : ANSWER_SAME_DEVICE);
    else if (reading->means == MEANS_YES)
        take_yes(asking, session, ticket, reading);
    else
        say(asking, session, NOTICE_ANSWER_UNCLEAR);
}

bool questions_answered(struct home *home, const struct routed *routed)
{
    const struct stanza *stanza = routed->stanza;
    struct account *account = account_in_memory(home, jid_bare(&stanza->from));
    struct session *session =
        account != NULL ? session_by_resource(account, stanza->from.resource) : NULL;
    if (stanza->type == TYPE_ERROR || session == NULL || find(home, account->jid.full, 0) == NULL)
        return false;
    const struct element *form = element_child(stanza->root, NS_DATA, STR("x"));
    struct str body = element_child_text(stanza->root, NS_CLIENT, STR("body"));
    if (form == NULL && body.at == NULL)
        return true; // chat states
    struct arena arena;
    struct reading reading = {.means = MEANS_NOTHING};
    arena_init(&arena, TEXT_MOST * 4);
    if (form != NULL)
        read_form(form, &reading);
    else
        read_words(&arena, session, body, &reading);
    struct asking *asking = find(home, account->jid.full, reading.number);
    if (asking == NULL) // another number among the words
        asking = find(home, account->jid.full, 0);
    look_at_puzzle(asking, &arena, session, form != NULL ? field_value(form, STR("words")) : body,
                   &reading);
    take(asking, session, routed->ticket, &reading);
    arena_done(&arena);
    return true;
}

/* ---- As a command ---- */

// That of this device: the one that sent hears of none where there is another to be asked.
static struct asking *asked_of(const struct asked *asked, uint64_t number)
{
    const struct session *session = asked_session(asked);
    struct asking *asking =
        session != NULL ? find(asked->home, asked->account->jid.full, number) : NULL;
    bool is_his =
        asking != NULL && (is_another(asking, session) || !has_another(asking, asked->account));
    return is_his ? asking : NULL;
}

bool questions_wait(const struct asked *asked)
{
    return asked_of(asked, 0) != NULL;
}

static void say_command(struct asked *asked, const struct asking *asking, struct session *session,
                        const char *status)
{
    struct arena *arena = asked_arena(asked);
    struct saying saying;
    saying_init(&saying, asking, session);
    struct element *command = element_new(&saying.stanza->arena, NS_COMMANDS, STR("command")),
                   *copy;
    element_set(&saying.stanza->arena, command, STR("node"), NS_QUESTION);
    element_set(&saying.stanza->arena, command, STR("sessionid"), saying.args.number);
    element_set(&saying.stanza->arena, command, STR("status"), str_of(status));
    if (strcmp(status, "executing") == 0) {
        bool with_puzzle = !is_another(asking, session);
        struct element *actions =
            element_child_new(&saying.stanza->arena, command, NS_COMMANDS, STR("actions"));
        element_set(&saying.stanza->arena, actions, STR("execute"), STR("complete"));
        element_child_new(&saying.stanza->arena, actions, NS_COMMANDS, STR("complete"));
        add_form(&saying, command, question_text(&saying, with_puzzle), with_puzzle);
    }
    enum err e = element_copy(arena, command, &copy);
    stanza_unref(&saying.stanza);
    if (e == OK)
        asked_result(&asked, copy);
    else
        asked_error(&asked, STANZA_RESOURCE_CONSTRAINT, NULL);
}

struct str questions_title(struct asked *asked)
{
    const struct session *session = asked_session(asked);
    const struct notice_args none = {.link = STR_EMPTY};
    return notice_text(desk_of(asked->home)->service->notices, asked_arena(asked),
                       session != NULL ? session->lang : STR_EMPTY,
                       tell_domain_lang(asked->home, asked->account->jid.domain), NOTICE_ASK_TITLE,
                       &none);
}

void questions_command(struct asked *asked)
{
    struct session *session = asked_session(asked);
    struct str sid = element_attr(asked->payload, STR("sessionid"));
    struct str action = element_attr(asked->payload, STR("action"));
    uint64_t number = 0;
    if (sid.at != NULL && str_to_u64(sid, 1, UINT64_MAX, &number) != OK)
        number = UINT64_MAX;
    struct asking *asking = asked_of(asked, number);
    const struct element *form = element_child(asked->payload, NS_DATA, STR("x"));
    if (asking == NULL) {
        asked_error(&asked, STANZA_ITEM_NOT_FOUND, NULL);
        return;
    }
    bool cancels = action.at != NULL && str_eq(action, STR("cancel"));
    if (sid.at == NULL || form == NULL || cancels) {
        say_command(asked, asking, session, cancels ? "canceled" : "executing");
        return;
    }
    struct reading reading = {.means = MEANS_NOTHING};
    read_form(form, &reading);
    look_at_puzzle(asking, asked_arena(asked), session, field_value(form, STR("words")), &reading);
    take(asking, session, asked->ticket, &reading);
    say_command(asked, asking, session, "completed");
}
