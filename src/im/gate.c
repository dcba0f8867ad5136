/*
 * The workers' side of the gate.
 */
#include "im/gate_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "files/text_rules.h"
#include "im/behind.h"
#include "im/containment.h"
#include "im/links.h"
#include "im/lures.h"
#include "im/message.h"
#include "im/pace.h"
#include "im/questions.h"
#include "im/sealed.h"
#include "im/send.h"
#include "im/upload.h"
#include "route/in_hand.h"

#include <stdlib.h>

enum {
    JUDGING_MOST = 128 << 20, // a stanza full of links, canonical forms included
    KEYS_MOST = STORE_LURES_MOST,
    WAITING_MOST = 50000, // mails for the guard; beyond it what comes passes unseen
};

// Semantics, holding: how long others wait behind a held message, in the guard's time (its quarter
// of a minute, and a moment in which it comes out of the store); and how long a lure waits for a
// guard that does not answer.
static const int64_t behind_us = 16 * SECOND_US, patience_us = 2 * SECOND_US,
                     alarm_every_us = 10 * SECOND_US;

int64_t gate_now_us(const struct gate *gate)
{
    int64_t wall_us = clock_wall_us();
    if (gate->clock_rate == 1)
        return wall_us;
    return gate->born_us + (int64_t)((double)(wall_us - gate->born_us) * gate->clock_rate);
}

static bool is_composing(const struct stanza *stanza)
{
    return element_child(stanza->root, NS_CHATSTATES, STR("composing")) != NULL;
}

static void judging_free(struct judging *judging)
{
    struct session *session =
        judging->gone_on ? NULL : session_find(judging->home, judging->session);
    struct account *account = judging->account;
    loop_timer_cancel(&judging->patience);
    stanza_unref(&judging->stanza);
    ticket_unref(&judging->ticket);
    buf_done(&judging->held_value);
    arena_done(&judging->arena);
    free(judging);
    if (session != NULL)
        session_unpause(session);
    account_release(account);
}

// The keys travel with the stanza: the store finds every copy by them, exposures name them.
static void stamp_keys(struct judging *judging)
{
    struct stanza *stanza = judging->stanza;
    struct lure_key keys[KEYS_MOST];
    size_t n = lure_list_collect(&judging->lures, keys, KEYS_MOST - 1);
    if (!lure_key_is_none(&judging->seal))
        keys[n++] = judging->seal;
    _Static_assert(sizeof keys[0] == 16, "keys lie side by side");
    stanza->arena.ceiling += n * sizeof keys[0] + 1;
    stanza->lure_keys = arena_str(&stanza->arena, str_make((const char *)keys, n * sizeof keys[0]));
}

static struct str or_empty(struct str text)
{
    return text.at != NULL ? text : STR_EMPTY;
}

static struct str body_of(const struct stanza *stanza)
{
    return or_empty(element_child_text(stanza->root, NS_CLIENT, STR("body")));
}

static void describe(struct judging *judging)
{
    struct stanza *stanza = judging->stanza;
    struct lure_people *people = arena_make(&judging->arena, struct lure_people);
    struct str sender = jid_bare(&stanza->from), receiver = jid_bare(&stanza->to);
    if (stanza->to.full.len == 0)
        receiver = sender; // to all who may see it
    people->names[0] = sender;
    people->names[1] = receiver;
    people->n = 2;
    upload_add_files(desk_of(judging->home), &judging->lures);
    lure_list_keys(&judging->lures, people);
    stamp_keys(judging);
    struct str body = body_of(stanza);
    if (stanza->kind == STANZA_PRESENCE)
        body = or_empty(element_child_text(stanza->root, NS_CLIENT, STR("status")));
    judging->sending = (struct sending){
        .message = atomic_fetch_add(&judging->gate->next_message, 1),
        .sender = sender,
        .receiver = receiver,
        .audience = judging->audience,
        .warns = lure_text_warns(&judging->lures, body),
        .overflowed = judging->lures.overflowed,
        .observed = judging->observes,
        .shape = lure_text_shape(&judging->lures, body, people),
        .device = questions_device(stanza->from.resource),
        .lures = judging->lures.lures,
        .n_lures = judging->lures.n,
        .pace = judging->pace,
    };
}

// The guard can never stop the service: what it cannot look at in time passes, and the operator
// hears of it.
void gate_alarm(struct desk *desk)
{
    int64_t now_us = loop_now_us(desk->home->loop);
    if (desk->guard_alarm_us != 0 && now_us - desk->guard_alarm_us < alarm_every_us)
        return;
    desk->guard_alarm_us = now_us;
    log_event(LOG_ERROR, "guard-overloaded", "passed=%llu unread=%llu waiting=%zu",
              (unsigned long long)desk->counters.guard_passed,
              (unsigned long long)desk->counters.texts_passed,
              mailbox_waiting(loop_mailbox(desk->service->gate->loop)));
}

static bool is_overloaded(const struct gate *gate)
{
    return mailbox_waiting(loop_mailbox(gate->loop)) > WAITING_MOST;
}

static void deliver(struct judging *judging)
{
    if (judging->go_on != NULL)
        judging->go_on(judging->account, session_find(judging->home, judging->session),
                       judging->stanza, judging->ticket);
    else if (!behind_waits(judging->account, judging->session, judging->stanza, judging->ticket,
                           judging->at_us))
        message_accept(judging->account, judging->session, judging->stanza, judging->ticket, 0,
                       judging->at_us);
}

static void pass_unjudged(struct desk *desk)
{
    desk->counters.guard_passed++;
    gate_alarm(desk);
}

static void no_answer(struct timer *timer)
{
    struct judging *judging = CONTAINER_OF(timer, struct judging, patience);
    struct session *session = session_find(judging->home, judging->session);
    judging->gone_on = true;
    pass_unjudged(desk_of(judging->home));
    deliver(judging);
    ticket_unref(&judging->ticket);
    if (session != NULL)
        session_unpause(session);
}

// The mode of the sender's domain.
int gate_mode(const struct account *account)
{
    const struct im_domain *domain = desk_domain(desk_of(account->home), account->jid.domain);
    return domain != NULL ? domain->guard_mode : GATE_ON;
}

static bool carries_lure(const struct element *element, const void *context)
{
    const struct gate *gate = context;
    struct arena arena;
    struct lure_list lures;
    arena_init(&arena, JUDGING_MOST);
    lure_list_init(&lures, gate->rules, &arena);
    lures_of_element(&lures, element);
    bool any = lures.n > 0 || lures.overflowed;
    arena_done(&arena);
    return any;
}

static bool is_echo(const struct element *child, const void *context)
{
    return !str_eq(child->name, STR("error")) && carries_lure(child, context);
}

// An error may repeat what it answers (RFC 6120 8.3.1) but need not: an honest client that does is
// no relay, and a worm that only says it does gets nothing through.
static void clean_error(const struct gate *gate, struct stanza *stanza)
{
    element_remove_if(stanza->root, is_echo, gate);
    struct element *error = element_child(stanza->root, NS_CLIENT, STR("error"));
    if (error != NULL)
        element_remove_if(error, carries_lure, gate);
}

// Whether the guard has a say in it.
static bool is_judged(struct session *session, struct stanza *stanza)
{
    const struct gate *gate = desk_of(session->home)->service->gate;
    int mode = gate_mode(session->account);
    if (gate == NULL || mode == GATE_OFF)
        return false;
    if (stanza->type == TYPE_ERROR) {
        if (mode == GATE_ON)
            clean_error(gate, stanza);
        return false;
    }
    return true;
}

// The session waits from now on.  The lures' arena is taken over.
static struct judging *judging_new(struct session *session, struct stanza *stanza,
                                   struct ticket *ticket, const struct lure_list *lures)
{
    struct account *account = session->account;
    struct judging *judging = calloc(1, sizeof *judging);
    must(judging != NULL);
    judging->gate = desk_of(session->home)->service->gate;
    judging->home = session->home;
    judging->account = account;
    judging->session = session->id;
    judging->stanza = stanza_ref(stanza);
    judging->ticket = ticket_ref(ticket);
    judging->arena = *lures->arena;
    judging->lures = *lures;
    judging->lures.arena = &judging->arena;
    judging->observes = gate_mode(account) == GATE_OBSERVE;
    judging->at_us = clock_wall_us();
    account_hold(account);
    session_pause(session);
    return judging;
}

static void ask_guard(struct judging *judging)
{
    struct gate *gate = judging->gate;
    describe(judging);
    if (judging->go_on == NULL)
        stanza_seal(judging->stanza); // it may have to be written down
    if (is_overloaded(gate)) {
        pass_unjudged(desk_of(judging->home));
        deliver(judging);
        judging_free(judging);
        return;
    }
    loop_timer_set(judging->home->loop, &judging->patience, patience_us, no_answer);
    judging->mail.run = gate_judge;
    loop_post(gate->loop, &judging->mail);
}

/* ---- An operator's rules for texts ---- */

// It may have to be taken back, should others follow to other people without a pause.
static void stamp_seal(struct stanza *stanza, const struct lure_key *seal)
{
    stanza->arena.ceiling += sizeof *seal + 1;
    stanza->lure_keys =
        arena_str(&stanza->arena, str_make((const char *)seal->bytes, sizeof seal->bytes));
    stanza->calm = true;
}

static void go_on_read(struct judging *judging)
{
    if (judging->lures.n > 0 || judging->lures.overflowed) {
        ask_guard(judging);
        return;
    }
    if (!lure_key_is_none(&judging->seal))
        stamp_seal(judging->stanza, &judging->seal);
    deliver(judging);
    judging_free(judging);
}

void gate_was_read(struct judging *judging)
{
    struct in_hand_slot *in_hand = judging->home->in_hand;
    loop_timer_cancel(&judging->patience);
    (void)!in_hand_begin(in_hand, judging->stanza);
    go_on_read(judging);
    in_hand_done(in_hand);
}

static void pass_unread(struct judging *judging)
{
    struct desk *desk = desk_of(judging->home);
    desk->counters.texts_passed++;
    gate_alarm(desk);
    go_on_read(judging);
}

static void too_long(struct timer *timer)
{
    struct judging *judging = CONTAINER_OF(timer, struct judging, patience);
    gate_read_no_more(judging);
    pass_unread(judging);
}

// What is to be looked at first is; then it goes to the guard, if there is anything to judge.
static void read_or_ask(struct judging *judging, struct str words)
{
    struct text_rules *rules = desk_of(judging->home)->settings->text_rules;
    if (words.len == 0)
        ask_guard(judging);
    else if (gate_read(judging, rules, words) != OK)
        pass_unread(judging);
    else
        loop_timer_set(judging->home->loop, &judging->patience, patience_us, too_long);
}

static struct str words_of(const struct session *session, const struct stanza *stanza,
                           struct arena *arena)
{
    const struct text_rules *rules = desk_of(session->home)->settings->text_rules;
    return rules != NULL ? lures_words(arena, stanza->root, text_rules_bytes(rules)) : STR_EMPTY;
}

// What leads to our own page of protected links is judged by what that leads to.
static void collect(struct session *session, struct stanza *stanza, struct arena *arena,
                    struct lure_list *lures)
{
    const struct desk *desk = desk_of(session->home);
    lure_list_init(lures, desk->service->gate->rules, arena);
    lures_of_stanza(lures, stanza->root);
    if (lures->n == 0 || !links_unwrap(desk, stanza, lures))
        return;
    arena_reset(arena);
    lure_list_init(lures, desk->service->gate->rules, arena);
    lures_of_stanza(lures, stanza->root);
}

// None: nothing in it is encrypted.
static struct lure_key seal_of(const struct gate *gate, const struct stanza *stanza)
{
    struct str text = gate->sealed_pause_us > 0 ? sealed_text(stanza) : STR_EMPTY;
    return text.len > 0 ? lure_sealed_key(jid_bare(&stanza->from), text) : (struct lure_key){0};
}

static void tell_guard(struct gate *gate, enum event_kind kind, struct str keys, struct str sender,
                       struct str receiver)
{
    struct exposing *exposing = malloc(sizeof *exposing + keys.len + sender.len + receiver.len);
    must(exposing != NULL);
    *exposing = (struct exposing){
        .mail.run = gate_note_exposure,
        .gate = gate,
        .kind = kind,
        .n = (uint32_t)(keys.len / sizeof(struct lure_key)),
        .sender_len = sender.len,
        .receiver_len = receiver.len,
    };
    memcpy(exposing->data, keys.at, keys.len);
    memcpy(exposing->data + keys.len, sender.at, sender.len);
    memcpy(exposing->data + keys.len + sender.len, receiver.at, receiver.len);
    loop_post(gate->loop, &exposing->mail);
}

// An encrypted message shows nothing but how it is sent.  Only where one follows the other to
// somebody else the guard need see it, and hear of the first.
static bool is_of_run(struct account *account, const struct stanza *stanza,
                      const struct lure_key *seal)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    struct str peer = jid_bare(&stanza->to);
    enum run_step step =
        pace_encrypted(account, peer, seal, gate_now_us(gate), gate->sealed_pause_us);
    if (step == RUN_SPREADS && !is_overloaded(gate)) {
        const struct lure_key *keys;
        size_t n;
        struct str first = pace_run_first(account, &keys, &n);
        tell_guard(gate, EVENT_SEALED, str_make((const char *)keys, n * sizeof *keys),
                   account->jid.full, first);
    }
    return step >= RUN_SPREADS;
}

bool gate_message(struct session *session, struct stanza *stanza, struct ticket *ticket)
{
    struct account *account = session->account;
    const struct gate *gate = desk_of(session->home)->service->gate;
    if (!is_judged(session, stanza))
        return false;
    int64_t now_us = gate_now_us(gate);
    struct str peer = jid_bare(&stanza->to);
    struct arena arena;
    struct lure_list lures;
    arena_init(&arena, JUDGING_MOST);
    collect(session, stanza, &arena, &lures);
    struct str words = words_of(session, stanza, &arena);
    struct lure_key seal = seal_of(gate, stanza);
    bool is_sealed = !lure_key_is_none(&seal);
    if (is_sealed && is_of_run(account, stanza, &seal)) {
        lure_add_sealed(&lures, &seal);
        seal = (struct lure_key){0};
    }
    if (lures.n == 0 && !lures.overflowed && words.len == 0) {
        arena_done(&arena);
        if (is_sealed)
            stamp_seal(stanza, &seal);
        if (is_composing(stanza))
            pace_composing(account, peer, now_us);
        else if (is_sealed || body_of(stanza).len > 0)
            pace_sends(account, peer, now_us, NULL);
        return false;
    }
    struct pace pace;
    pace_sends(account, peer, now_us, &pace);
    struct judging *judging = judging_new(session, stanza, ticket, &lures);
    judging->pace = pace;
    judging->audience = 1;
    judging->seal = seal;
    read_or_ask(judging, words);
    return true;
}

bool gate_other(struct session *session, struct stanza *stanza, struct ticket *ticket,
                uint32_t audience, gate_go_on_fn *go_on)
{
    const struct gate *gate = desk_of(session->home)->service->gate;
    if (!is_judged(session, stanza))
        return false;
    struct arena arena;
    struct lure_list lures;
    arena_init(&arena, JUDGING_MOST);
    collect(session, stanza, &arena, &lures);
    struct str words = words_of(session, stanza, &arena);
    if (lures.n == 0 && !lures.overflowed && words.len == 0) {
        arena_done(&arena);
        return false;
    }
    // what goes to all at once has no pace
    struct pace pace = {.gap_us = -1, .roster_index = -1, .account_age_us = -1};
    if (stanza->to.full.len > 0)
        pace_sends(session->account, jid_bare(&stanza->to), gate_now_us(gate), &pace);
    struct judging *judging = judging_new(session, stanza, ticket, &lures);
    judging->pace = pace;
    judging->audience = audience;
    judging->go_on = go_on;
    read_or_ask(judging, words);
    return true;
}

/* ---- The guard has spoken ---- */

// A text of its own and nothing else: its words may stay.
static bool is_plain_text(const struct element *child)
{
    if (!str_eq(child->ns, NS_CLIENT) || element_first(child) != NULL)
        return false;
    for (const struct attribute *a = child->attributes; a != NULL; a = a->next)
        if (!str_eq(a->ns, NS_XML))
            return false;
    return true;
}

static struct element *dead_text(const struct gate *gate, struct arena *arena,
                                 const struct element *child)
{
    struct str words, lang = element_attr_ns(child, NS_XML, STR("lang"));
    if (lure_defang(gate->rules, arena, child->text, &words) != OK)
        return NULL;
    struct element *copy = element_new(arena, NS_CLIENT, arena_str(arena, child->name));
    if (lang.at != NULL)
        element_set_ns(arena, copy, NS_XML, STR("lang"), arena_str(arena, lang));
    element_add_text(arena, copy, arena_str(arena, words));
    return copy;
}

struct stanza *gate_dead_copy(struct gate *gate, const struct stanza *stanza)
{
    struct stanza *dead = stanza_make(stanza->kind, stanza->type, &stanza->from,
                                      stanza->to.full.len > 0 ? &stanza->to : NULL, stanza->id);
    dead->arena.ceiling = JUDGING_MOST;
    if (stanza->lang.len > 0) {
        dead->lang = arena_str(&dead->arena, stanza->lang);
        element_set_ns(&dead->arena, dead->root, NS_XML, STR("lang"), dead->lang);
    }
    struct lure_key seal = seal_of(gate, stanza);
    bool is_stopped = !lure_key_is_none(&seal) &&
                      gate_convicts(gate, str_make((const char *)seal.bytes, sizeof seal.bytes));
    ELEMENT_EACH(stanza->root, child)
    {
        struct element *copy = NULL;
        if (is_stopped && sealed_is_part(child))
            continue;
        if (!carries_lure(child, gate)) {
            if (element_copy(&dead->arena, child, &copy) != OK)
                continue;
        } else if (is_plain_text(child)) {
            copy = dead_text(gate, &dead->arena, child);
        }
        if (copy == NULL)
            continue;
        element_add(dead->root, copy);
    }
    dead->calm = stanza->calm;
    return dead;
}

/* ---- What the store kept ---- */

bool gate_is_convicted(const struct account *account, const struct stanza *stanza)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    return gate != NULL && stanza->lure_keys.len > 0 && gate_mode(account) == GATE_ON &&
           gate_convicts(gate, stanza->lure_keys);
}

// Warnings, and what the server itself said of a lure, name it so that it cannot be opened.
static void drop_dead(struct lure_list *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++)
        if ((list->lures[i].flags & (LURE_DEFANGED | LURE_SPELLED)) != LURE_DEFANGED)
            list->lures[n++] = list->lures[i];
    list->n = n;
}

// What can be seen of its lures, and what rules found in its words.
static void find_shown(const struct account *account, struct judging *judging,
                       const struct text_hits *hits)
{
    const struct gate *gate = desk_of(account->home)->service->gate;
    const struct stanza *stanza = judging->stanza;
    lure_list_init(&judging->lures, gate->rules, &judging->arena);
    lures_of_stanza(&judging->lures, stanza->root);
    upload_add_files(desk_of(account->home), &judging->lures);
    drop_dead(&judging->lures);
    for (size_t i = 0; hits != NULL && i < hits->n; i++)
        lure_add_words(&judging->lures, hits->at[i].rule, !hits->at[i].suspects);
    struct lure_people people = {
        .names = {jid_bare(&stanza->from), jid_bare(&stanza->to)},
          .n = 2
    };
    lure_list_keys(&judging->lures, &people);
    judging->seal = seal_of(gate, stanza);
}

bool gate_bring_out(const struct account *account, struct stanza *stanza,
                    const struct text_hits *hits)
{
    const struct gate *gate = desk_of(account->home)->service->gate;
    if (gate == NULL || gate_mode(account) == GATE_OFF)
        return false;
    struct judging judging = {.stanza = stanza};
    arena_init(&judging.arena, JUDGING_MOST);
    find_shown(account, &judging, hits);
    stanza->calm |= judging.lures.n == 0 && !lure_key_is_none(&judging.seal);
    stamp_keys(&judging);
    arena_done(&judging.arena);
    return (gate_mode(account) == GATE_ON && gate_hits_forbid(hits)) ||
           gate_is_convicted(account, stanza);
}

static bool shows_words(const struct element *child, const void *context)
{
    (void)context;
    return lures_shows_words(child);
}

void gate_bring_out_dead(const struct account *account, struct stanza **stanza,
                         const struct text_hits *hits)
{
    if (!gate_bring_out(account, *stanza, hits))
        return;
    struct stanza *dead = gate_dead_copy(desk_of(account->home)->service->gate, *stanza);
    if (gate_hits_forbid(hits))
        element_remove_if(dead->root, shows_words, NULL);
    stanza_unref(stanza);
    *stanza = dead;
}

void gate_prune(const struct gate *gate, struct stanza *stanza)
{
    ELEMENT_EACH(stanza->root, child)
    element_remove_if(child, carries_lure, gate);
    stanza->lure_keys = STR_EMPTY;
}

// Whether nothing that it shows accounts for a conviction: a rule found its words.
static bool is_convicted_for_words(const struct account *account, struct stanza *stanza)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    struct judging judging = {.stanza = stanza};
    struct lure_key shown[KEYS_MOST];
    const size_t size = sizeof shown[0];
    arena_init(&judging.arena, JUDGING_MOST);
    find_shown(account, &judging, NULL);
    size_t n = lure_list_collect(&judging.lures, shown, KEYS_MOST - 1);
    shown[n++] = judging.seal;
    arena_done(&judging.arena);
    bool found = false;
    for (struct str rest = stanza->lure_keys; rest.len >= size && !found;
         rest = str_skip(rest, size)) {
        size_t at = 0;
        while (at < n && memcmp(&shown[at], rest.at, size) != 0)
            at++;
        found = at == n && gate_convicts(gate, str_first(rest, size));
    }
    return found;
}

void gate_resends(struct session *session)
{
    struct gate *gate = desk_of(session->home)->service->gate;
    LIST_EACH(&session->outbox, struct out, link, out)
    {
        if (!gate_is_convicted(session->account, out->stanza))
            continue;
        // one for one: the client counts (XEP-0198)
        struct stanza *dead = gate_dead_copy(gate, out->stanza);
        if (is_convicted_for_words(session->account, out->stanza))
            element_remove_if(dead->root, shows_words, NULL);
        stanza_seal(dead);
        stanza_unref(&out->stanza);
        out->stanza = dead;
    }
}

static void log_judged(const struct judging *judging, const char *event)
{
    containment_log(event, session_find(judging->home, judging->session), judging->stanza,
                    judging->reason, judging->incident);
}

// What is asked gets an answer, though not this one.
static void refuse_answer(const struct judging *judging)
{
    const struct stanza *answer = judging->stanza;
    struct stanza *question =
        stanza_make(STANZA_IQ, TYPE_GET, &answer->to, &answer->from, answer->id);
    send_refusal(judging->home, question, STANZA_POLICY_VIOLATION, NULL);
    stanza_unref(&question);
}

// Words that a rule found cannot be made dead: where they must not pass, none do.
static void take_dead_copy(struct judging *judging)
{
    struct stanza *dead = gate_dead_copy(judging->gate, judging->stanza);
    bool mute = false;
    for (size_t i = 0; i < judging->lures.n && judging->verdict != VERDICT_DELIVER; i++)
        mute |= judging->lures.lures[i].kind == LURE_WORDS;
    if (mute)
        element_remove_if(dead->root, shows_words, NULL);
    stanza_unref(&judging->stanza);
    judging->stanza = dead;
}

static bool is_subscription(const struct stanza *stanza)
{
    return stanza->type == TYPE_SUBSCRIBE;
}

// A status for all is replaced at a conviction (presence_take_back).  Of what one person gets, a
// request or a last word, nothing is kept from which it could be.
static bool cannot_be_taken_back(const struct stanza *stanza)
{
    return stanza->kind == STANZA_PRESENCE &&
           (stanza->type != TYPE_AVAILABLE || stanza->to.full.len > 0);
}

static void refuse(struct judging *judging);

// Presence says first of all who is there, and that is nobody's lure.
static void other_judged(struct judging *judging)
{
    const struct stanza *stanza = judging->stanza;
    enum verdict verdict = judging->observes ? VERDICT_DELIVER : judging->verdict;
    bool is_presence = stanza->kind == STANZA_PRESENCE;
    bool is_dead = (judging->defang || cannot_be_taken_back(stanza)) && !judging->observes;
    if (verdict == VERDICT_HOLD) { // it cannot wait: the guard need not remember it
        containment_held(judging->gate, judging->sending.message, false);
        judging->reason = REASON_EXPIRED;
    }
    if (verdict == VERDICT_DELIVER && !is_dead) {
        deliver(judging);
    } else if (is_presence && (verdict == VERDICT_DELIVER || !is_subscription(stanza))) {
        desk_of(judging->home)->counters.messages_refused += verdict != VERDICT_DELIVER;
        log_judged(judging, "status-made-dead");
        take_dead_copy(judging);
        deliver(judging);
    } else if (stanza->type == TYPE_RESULT) {
        desk_of(judging->home)->counters.messages_refused++;
        log_judged(judging, "message-refused");
        refuse_answer(judging);
    } else {
        refuse(judging);
    }
    judging_free(judging);
}

static void refuse(struct judging *judging)
{
    struct session *session = session_find(judging->home, judging->session);
    desk_of(judging->home)->counters.messages_refused++;
    log_judged(judging, "message-refused");
    const struct refusal refusal = {.reason = judging->reason,
                                    .incident = judging->incident,
                                    .suspended = judging->suspended,
                                    .until_us = judging->until_us};
    containment_refuse(judging->home, judging->stanza, judging->ticket,
                       session != NULL ? session->lang : judging->stanza->lang, &refusal);
}

static void is_kept(struct store_request *request)
{
    struct judging *judging = CONTAINER_OF(request, struct judging, held.request);
    enum err e = request->result;
    store_release(request);
    if (e != OK) {
        send_store_refusal(judging->home, judging->stanza, judging->ticket, e);
        behind_let_go(judging->account, judging->sending.receiver, judging->sending.message);
    } else {
        log_judged(judging, "message-held");
    }
    containment_held(judging->gate, judging->sending.message, e == OK);
    judging_free(judging);
}

// A held message is durable before it is acknowledged; the guard's orders find it by its number.
static void hold(struct judging *judging)
{
    struct arena *arena = &judging->arena;
    // Semantics, holding: what waits for an answer of its sender is overtaken.
    // At a stop (the workers have ended before the gate) nobody comes behind it any more.
    if (judging->gate->running && judging->reason != REASON_ASKED)
        behind_hold(judging->account, judging->sending.receiver, judging->sending.message,
                    (int64_t)((double)behind_us / judging->gate->clock_rate));
    containment_write_held(&judging->held_value, judging->stanza, judging->at_us);
    judging->held.kind = STORE_HELD;
    judging->held.record.key =
        arena_printf(arena, "%llu", (unsigned long long)judging->sending.message);
    judging->held.record.group = arena_printf(arena, "%llu", (unsigned long long)judging->incident);
    judging->held.record.subject = judging->sending.sender;
    judging->held.record.value = buf_str(&judging->held_value);
    judging->held.request.home = loop_mailbox(judging->home->loop);
    judging->held.request.done = is_kept;
    store_record_put(judging->home->store, &judging->held);
}

static void go_on_judged(struct judging *judging)
{
    loop_timer_cancel(&judging->patience);
    if (judging->gone_on) { // too late: it is a lesson only
        if (judging->verdict == VERDICT_HOLD && !judging->observes)
            containment_held(judging->gate, judging->sending.message, false);
        judging_free(judging);
        return;
    }
    judging->stanza->calm = judging->calm;
    if (judging->go_on != NULL) {
        other_judged(judging);
        return;
    }
    switch (judging->observes ? VERDICT_DELIVER : judging->verdict) {
    case VERDICT_DELIVER:
        if (judging->defang && !judging->observes) {
            take_dead_copy(judging);
            stanza_seal(judging->stanza);
        }
        deliver(judging);
        judging_free(judging);
        break;
    case VERDICT_HOLD:
        hold(judging);
        break;
    case VERDICT_REJECT:
        refuse(judging);
        judging_free(judging);
        break;
    }
}

void gate_judged(struct mail *mail)
{
    struct judging *judging = CONTAINER_OF(mail, struct judging, mail);
    struct in_hand_slot *in_hand = judging->home->in_hand;
    (void)!in_hand_begin(in_hand, judging->stanza); // what is put aside is not judged
    go_on_judged(judging);
    in_hand_done(in_hand);
}

/* ---- What the guard learns from delivery ---- */

void gate_received(struct account *account, const struct jid *peer)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    if (gate != NULL && account->pace != NULL)
        pace_received(account, jid_bare(peer), gate_now_us(gate));
}

void gate_exposed(struct account *account, const struct stanza *stanza)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    if (gate == NULL || stanza->calm)
        return;
    if (is_overloaded(gate)) {
        pass_unjudged(desk_of(account->home));
        return;
    }
    struct str sender = stanza->lures_from.len > 0 ? stanza->lures_from : jid_bare(&stanza->from);
    struct str receiver = account->jid.full;
    if (str_eq(sender, receiver))
        return; // his own
    tell_guard(gate, EVENT_EXPOSURE, stanza->lure_keys, sender, receiver);
}

void gate_opened(struct gate *gate, struct str reader, struct str keys)
{
    if (!is_overloaded(gate))
        tell_guard(gate, EVENT_OPENING, keys, STR_EMPTY, reader);
}

bool gate_suspends(const struct account *account, unsigned feature, int64_t *until_us)
{
    struct gate *gate = desk_of(account->home)->service->gate;
    return gate != NULL && gate_mode(account) == GATE_ON &&
           gate_bans(gate, &account->jid, (enum feature_kind)feature, until_us);
}

void gate_reported(struct account *account, struct str sender)
{
    const struct desk *desk = desk_of(account->home);
    struct gate *gate = desk->service->gate;
    struct str reporter = account->jid.full;
    if (gate == NULL || gate_mode(account) == GATE_OFF)
        return;
    struct reporting *reporting = malloc(sizeof *reporting + reporter.len + sender.len);
    must(reporting != NULL);
    *reporting = (struct reporting){
        .mail.run = gate_note_report,
        .gate = gate,
        .observes = gate_mode(account) == GATE_OBSERVE,
        .reporter_len = reporter.len,
        .sender_len = sender.len,
    };
    memcpy(reporting->data, reporter.at, reporter.len);
    memcpy(reporting->data + reporter.len, sender.at, sender.len);
    loop_post(gate->loop, &reporting->mail);
}

static void account_forgotten(struct account *account)
{
    pace_free(&account->pace);
}

const struct feature feature_gate = {
    .name = "gate",
    .spec = "docs/guard.md",
    .account_forgotten = account_forgotten,
};
