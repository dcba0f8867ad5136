/*
 * Orders of the guard and where they go:
 *
 *     STOP, RESTRICT               the guard keeps them itself; they are recorded
 *     RETRACT, RETURN              containment_retract.c
 *     DELIVER_HELD, REJECT_HELD    containment_held.c
 *     NOTIFY                       containment_tell.c
 *     ASK                          questions.c
 */
#include "im/containment_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "im/client.h"
#include "im/notices.h"
#include "im/questions.h"
#include "im/sealed.h"
#include "im/send.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    ORDER_TEXT_MOST = 4096,
    HOLDING_MOST = 1000000,
};

/* ---- The audit record ---- */

struct recording {
    struct store_audit_append op;
    struct arena arena;
};

static void recorded(struct store_request *request)
{
    struct recording *recording = CONTAINER_OF(request, struct recording, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "audit-not-recorded", "error=%s", err_name(request->result));
    store_release(request);
    arena_done(&recording->arena);
    free(recording);
}

static const char *order_name(enum order_kind kind)
{
    static const char *const names[] = {
        [ORDER_STOP] = "stop",
        [ORDER_RETRACT] = "retract",
        [ORDER_RESTRICT] = "restrict",
        [ORDER_NOTIFY] = "notify",
        [ORDER_DELIVER_HELD] = "deliver-held",
        [ORDER_REJECT_HELD] = "reject-held",
        [ORDER_ASK] = "ask",
        [ORDER_RETURN] = "return",
    };
    return names[kind];
}

static void record(struct gate *gate, const struct order *order)
{
    struct recording *recording = calloc(1, sizeof *recording);
    must(recording != NULL);
    struct arena *arena = &recording->arena;
    arena_init(arena, ORDER_TEXT_MOST * 4);
    struct str scope = order->who.len > 0 ? order->who : order->shown;
    if (scope.len > ORDER_TEXT_MOST)
        scope = str_first(scope, ORDER_TEXT_MOST);
    recording->op.entry = (struct store_audit){
        .wall_us = clock_wall_us(),
        .actor = STR("guard"),
        .action = arena_printf(arena, "%s%s", order->undo ? "undo " : "", order_name(order->kind)),
        .scope = arena_str(arena, scope),
        .reason = str_of(reason_name(order->reason)),
        .details = arena_printf(arena, "incident=%" PRIu64 " order=%" PRIu64, order->incident,
                                order->number),
    };
    recording->op.request.home = loop_mailbox(gate->loop);
    recording->op.request.done = recorded;
    store_audit_append(gate->service->store, &recording->op);
}

/* ---- The log ---- */

enum { LOGGED_ID_MOST = 256 }; // a stanza's id is whatever its sender made of it

void containment_log(const char *event, const struct session *session, const struct stanza *stanza,
                     enum reason reason, uint64_t incident)
{
    if (!log_wants(LOG_INFO))
        return;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str id = stanza->id;
    if (id.len > LOGGED_ID_MOST)
        id = str_first(id, LOGGED_ID_MOST);
    unsigned long long conn =
        session != NULL && session->client != NULL ? client_conn(session->client) : 0;
    log_event(LOG_INFO, event,
              "conn=%llu account=%.*s stanza=%.*s id=%.*s reason=%s incident=%" PRIu64, conn,
              STR_ARGS(log_quote(&arena, jid_bare(&stanza->from))), STR_ARGS(stanza->root->name),
              STR_ARGS(log_quote(&arena, id)), reason_name(reason), incident);
    arena_done(&arena);
}

/* ---- Refusing ---- */

static enum notice refusal_of(const struct refusal *refusal, const struct stanza *stanza)
{
    const unsigned links = 1U << FEATURE_LINKS, files = 1U << FEATURE_FILES;
    bool is_encrypted = sealed_text(stanza).len > 0;
    if (is_encrypted &&
        (refusal->reason == REASON_RESTRICTED || refusal->reason == REASON_CONVICTED))
        return NOTICE_REFUSED_ENCRYPTED;
    switch (refusal->reason) {
    case REASON_RESTRICTED:
        return NOTICE_REFUSED_RESTRICTED;
    case REASON_SUSPENDED:
        if (refusal->suspended == (links | files))
            return NOTICE_REFUSED_NOTHING;
        return refusal->suspended == files ? NOTICE_REFUSED_NO_FILES : NOTICE_REFUSED_NO_LINKS;
    case REASON_TOO_MANY:
        return NOTICE_REFUSED_TOO_MANY;
    case REASON_EXPIRED:
        return stanza->kind == STANZA_MESSAGE ? NOTICE_REFUSED_HELD : NOTICE_REFUSED_SUSPECTED;
    case REASON_UNANSWERED:
        return NOTICE_REFUSED_UNANSWERED;
    case REASON_DENIED:
        return NOTICE_REFUSED_DENIED;
    case REASON_CROWDED:
        return NOTICE_REFUSED_CROWDED;
    case REASON_UNDECIDED:
        return NOTICE_REFUSED_UNDECIDED;
    default:
        return NOTICE_REFUSED_LURE;
    }
}

void containment_refuse(struct home *home, const struct stanza *stanza, struct ticket *ticket,
                        struct str lang, const struct refusal *refusal)
{
    const struct notices *notices = desk_of(home)->service->notices;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str fallback = tell_domain_lang(home, stanza->from.domain);
    const struct notice_args args = {
        .person = jid_bare(&stanza->to),
        .incident = arena_printf(&arena, "%" PRIu64, refusal->incident),
        .until = clock_format(&arena, refusal->until_us),
    };
    struct stanza_error error = {
        .condition = STANZA_POLICY_VIOLATION,
        .type = refusal->reason == REASON_SUSPENDED || refusal->reason == REASON_RESTRICTED
                    ? STANZA_WAIT
                    : STANZA_CANCEL,
        .text = notice_text(notices, &arena, lang, fallback, refusal_of(refusal, stanza), &args),
        .lang = notice_lang(notices, lang, fallback),
    };
    send_refusal_full(home, stanza, ticket, &error);
    arena_done(&arena);
}

void containment_no_files(const struct home *home, struct arena *arena, const struct jid *who,
                          struct str lang, int64_t until_us, struct stanza_error *out)
{
    const struct notices *notices = desk_of(home)->service->notices;
    struct str fallback = tell_domain_lang(home, who->domain);
    const struct notice_args args = {.until = clock_format(arena, until_us)};
    *out = (struct stanza_error){
        .condition = STANZA_POLICY_VIOLATION,
        .type = STANZA_WAIT,
        .text = notice_text(notices, arena, lang, fallback, NOTICE_NO_UPLOADS, &args),
        .lang = notice_lang(notices, lang, fallback),
    };
}

/* ---- The door for orders ---- */

void containment_carry_out(struct gate *gate, const struct order *order)
{
    switch (order->kind) {
    case ORDER_STOP:
        record(gate, order);
        break;
    case ORDER_RETRACT:
        record(gate, order);
        retraction_order(gate, order);
        retraction_dim_presence(gate, order);
        break;
    case ORDER_RETURN:
        record(gate, order);
        retraction_order(gate, order);
        break;
    case ORDER_RESTRICT:
        record(gate, order);
        log_event(LOG_WARNING, order->undo ? "unrestricted" : "restricted",
                  "account=%.*s incident=%" PRIu64, STR_ARGS(order->who), order->incident);
        break;
    case ORDER_NOTIFY:
        tell_order(gate, order);
        break;
    case ORDER_ASK:
        record(gate, order);
        questions_order(gate, order);
        break;
    case ORDER_DELIVER_HELD:
    case ORDER_REJECT_HELD:
        held_order(gate, order);
        break;
    }
}

void containment_replayed(struct gate *gate, const struct order *order)
{
    if (order->kind == ORDER_RETRACT || order->kind == ORDER_RETURN)
        retraction_replayed(gate, order);
    if (order->kind == ORDER_NOTIFY)
        tell_replayed(gate, order);
}

void containment_note(struct gate *gate, const struct order_outcome *outcome)
{
    struct arena arena;
    struct guard_word word;
    struct guard_event event = {.kind = EVENT_OUTCOME, .outcome = *outcome};
    if (outcome->n == 0)
        return;
    arena_init(&arena, WORD_MOST);
    guard_word_init(&word, &arena);
    gate_take(gate, &event, &word, false);
    arena_done(&arena);
}

enum err containment_open(struct gate *gate, struct why *why)
{
    gate->containment = calloc(1, sizeof *gate->containment);
    must(gate->containment != NULL);
    table_init(&gate->containment->holding, HOLDING_MOST);
    list_init(&gate->containment->waiting);
    list_init(&gate->containment->untold);
    list_init(&gate->containment->retracting);
    questions_open(gate);
    enum err e = tell_open(gate, why);
    if (e == OK)
        e = retraction_open(gate, why);
    return e == OK ? held_open(gate, why) : e;
}

void containment_close(struct gate *gate)
{
    struct containment *containment = TAKE(gate->containment);
    if (containment == NULL)
        return;
    tell_close(containment);
    held_close(containment);
    retraction_close(containment);
    free(containment);
}
