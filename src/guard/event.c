/*
 * Events as bytes, for the log that replay, a second node and the lab read.
 *
 * What the guard does not use is not written: no URL, no query string, no text
 * of a message.
 */
#include "guard/codec.h"
#include "guard/guard.h"

#include "base/must.h"

// 2: what was only observed; 3: the device that sent, and what an answer is worth; 4: words that a
// rule found, and openings
enum { EVENT_VERSION = 4, KEYS_MOST = 4096 };

static void put_lure(struct buf *out, const struct lure *lure)
{
    put_u64(out, lure->kind);
    put_u64(out, lure->flags);
    put_str(out, lure->shown);
    put_str(out, lure->host);
    put_u64(out, lure->domain.len); // the domain is the end of the host
    unsigned widths = 0;
    for (size_t i = 0; i < LURE_WIDTHS; i++)
        widths |= lure_key_is_none(&lure->keys[i]) ? 0 : 1U << i;
    put_u64(out, widths);
    for (size_t i = 0; i < LURE_WIDTHS; i++)
        if (widths & 1U << i)
            put_key(out, &lure->keys[i]);
}

static void get_lure(struct reader *in, struct lure *lure)
{
    *lure = (struct lure){
        .url = STR_EMPTY, .media_type = STR_EMPTY, .digest_name = STR_EMPTY, .digest = STR_EMPTY};
    lure->kind = get_u32(in, LURE_SEALED);
    lure->flags = get_u32(in, UINT32_MAX);
    lure->shown = get_str(in);
    lure->host = get_str(in);
    uint32_t domain = get_u32(in, UINT32_MAX);
    if (domain > lure->host.len) {
        in->bad = true;
        domain = 0;
    }
    lure->domain = str_skip(lure->host, lure->host.len - domain);
    uint32_t widths = get_u32(in, (1U << LURE_WIDTHS) - 1);
    for (size_t i = 0; i < LURE_WIDTHS; i++)
        if (widths & 1U << i)
            lure->keys[i] = get_key(in);
}

static void put_sending(struct buf *out, const struct sending *sending)
{
    const struct pace *pace = &sending->pace;
    put_u64(out, sending->message);
    put_str(out, sending->sender);
    put_str(out, sending->receiver);
    put_u64(out, sending->audience);
    put_u64(out, (unsigned)sending->remote | (unsigned)sending->warns << 1 |
                     (unsigned)sending->overflowed << 2 | (unsigned)pace->composing << 3 |
                     (unsigned)pace->composes << 4 | (unsigned)pace->live << 5 |
                     (unsigned)pace->first_contact << 6 | (unsigned)sending->observed << 7);
    put_u64(out, sending->shape);
    put_i64(out, pace->gap_us);
    put_i64(out, pace->roster_index);
    put_i64(out, pace->account_age_us);
    put_u64(out, sending->device);
    put_u64(out, sending->n_lures);
    for (size_t i = 0; i < sending->n_lures; i++)
        put_lure(out, &sending->lures[i]);
}

static void get_sending(struct reader *in, uint64_t version, struct arena *arena,
                        struct sending *sending)
{
    struct pace *pace = &sending->pace;
    sending->message = get_u64(in);
    sending->sender = get_str(in);
    sending->receiver = get_str(in);
    sending->audience = get_u32(in, UINT32_MAX);
    uint32_t bits = get_u32(in, 255);
    sending->remote = bits & 1;
    sending->warns = bits & 2;
    sending->overflowed = bits & 4;
    pace->composing = bits & 8;
    pace->composes = bits & 16;
    pace->live = bits & 32;
    pace->first_contact = bits & 64;
    sending->observed = bits & 128;
    sending->shape = get_u64(in);
    pace->gap_us = get_i64(in);
    pace->roster_index = (int32_t)get_i64(in);
    pace->account_age_us = get_i64(in);
    sending->device = version >= 3 ? get_u64(in) : 0;
    uint32_t n = get_u32(in, LURES_MOST);
    struct lure *lures = arena_make_array(arena, struct lure, n);
    for (uint32_t i = 0; i < n; i++)
        get_lure(in, &lures[i]);
    sending->lures = lures;
    sending->n_lures = n;
}

static void put_keys(struct buf *out, const struct lure_key *keys, size_t n)
{
    put_u64(out, n);
    for (size_t i = 0; i < n; i++)
        put_key(out, &keys[i]);
}

static const struct lure_key *get_keys(struct reader *in, struct arena *arena, size_t *n_keys)
{
    uint32_t n = get_u32(in, KEYS_MOST);
    if (n * sizeof(struct lure_key) > in->rest.len) {
        in->bad = true;
        n = 0;
    }
    struct lure_key *keys = arena_make_array(arena, struct lure_key, n);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = get_key(in);
    *n_keys = n;
    return keys;
}

void guard_event_write(struct buf *out, const struct guard_event *event)
{
    put_u64(out, EVENT_VERSION);
    put_u64(out, event->kind);
    put_i64(out, event->now_us);
    switch (event->kind) {
    case EVENT_SENDING:
        put_sending(out, &event->sending);
        break;
    case EVENT_EXPOSURE:
    case EVENT_SEALED:
        put_str(out, event->exposure.sender);
        put_str(out, event->exposure.receiver);
        put_keys(out, event->exposure.keys, event->exposure.n_keys);
        break;
    case EVENT_OPENING:
        put_str(out, event->opened.who);
        put_keys(out, event->opened.keys, event->opened.n_keys);
        break;
    case EVENT_REPORT:
        put_str(out, event->report.reporter);
        put_str(out, event->report.sender);
        put_keys(out, event->report.keys, event->report.n_keys);
        put_u64(out, event->report.observed);
        break;
    case EVENT_ANSWER:
        put_str(out, event->answer.sender);
        put_u64(out, event->answer.incident);
        put_u64(out, event->answer.meant);
        put_u64(out, event->answer.trust);
        break;
    case EVENT_CONVICT:
        put_lure(out, event->conviction.lure);
        put_u64(out, event->conviction.width);
        put_i64(out, event->conviction.expires_us);
        put_str(out, event->conviction.actor);
        put_str(out, event->conviction.reason);
        break;
    case EVENT_CONVICT_INCIDENT:
        put_u64(out, event->conviction.incident);
        put_u64(out, event->conviction.width);
        put_i64(out, event->conviction.expires_us);
        put_str(out, event->conviction.actor);
        put_str(out, event->conviction.reason);
        break;
    case EVENT_RELEASE:
        put_u64(out, event->release.incident);
        put_str(out, event->release.account);
        put_str(out, event->release.actor);
        put_str(out, event->release.reason);
        break;
    case EVENT_SUSPEND:
        put_u64(out, event->suspension.feature);
        put_str(out, event->suspension.domain);
        put_str(out, event->suspension.account);
        put_i64(out, event->suspension.expires_us);
        put_str(out, event->suspension.actor);
        put_str(out, event->suspension.reason);
        break;
    case EVENT_ENTITLE:
        put_str(out, event->entitlement.account);
        put_str(out, event->entitlement.domain);
        put_u64(out, event->entitlement.receivers);
        put_i64(out, event->entitlement.expires_us);
        put_str(out, event->entitlement.actor);
        put_str(out, event->entitlement.reason);
        break;
    case EVENT_DECOY:
        put_str(out, event->decoy.account);
        put_u64(out, event->decoy.removed);
        put_str(out, event->decoy.actor);
        break;
    case EVENT_OUTCOME:
        put_u64(out, event->outcome.incident);
        put_u64(out, event->outcome.order);
        put_u64(out, event->outcome.kind);
        put_u64(out, event->outcome.undo);
        put_u64(out, event->outcome.n);
        put_u64(out, event->outcome.n_unspooled);
        break;
    case EVENT_TICK:
        break;
    }
}

enum err guard_event_read(struct arena *arena, struct str bytes, struct guard_event *out)
{
    struct reader in = {.rest = bytes};
    struct guard_event event = {0};
    uint64_t version = get_u64(&in);
    if (version < 1 || version > EVENT_VERSION)
        return in.bad ? ERR_CORRUPT : ERR_UNSUPPORTED;
    event.kind = get_u32(&in, EVENT_SEALED);
    event.now_us = get_i64(&in);
    switch (event.kind) {
    case EVENT_SENDING:
        get_sending(&in, version, arena, &event.sending);
        break;
    case EVENT_EXPOSURE:
    case EVENT_SEALED:
        event.exposure.sender = get_str(&in);
        event.exposure.receiver = get_str(&in);
        event.exposure.keys = get_keys(&in, arena, &event.exposure.n_keys);
        break;
    case EVENT_OPENING:
        event.opened.who = get_str(&in);
        event.opened.keys = get_keys(&in, arena, &event.opened.n_keys);
        break;
    case EVENT_REPORT:
        event.report.reporter = get_str(&in);
        event.report.sender = get_str(&in);
        event.report.keys = get_keys(&in, arena, &event.report.n_keys);
        event.report.observed = version >= 2 && get_bool(&in);
        break;
    case EVENT_ANSWER:
        event.answer.sender = get_str(&in);
        event.answer.incident = get_u64(&in);
        event.answer.meant = get_bool(&in);
        event.answer.trust = version >= 3 ? get_u32(&in, ANSWER_OTHER_DEVICE) : ANSWER_SAME_DEVICE;
        break;
    case EVENT_CONVICT: {
        struct lure *lure = arena_make(arena, struct lure);
        get_lure(&in, lure);
        event.conviction.lure = lure;
        event.conviction.width = get_u32(&in, LURE_WIDTHS - 1);
        event.conviction.expires_us = get_i64(&in);
        event.conviction.actor = get_str(&in);
        event.conviction.reason = get_str(&in);
        break;
    }
    case EVENT_CONVICT_INCIDENT:
        event.conviction.incident = get_u64(&in);
        event.conviction.width = get_u32(&in, LURE_WIDTHS);
        event.conviction.expires_us = get_i64(&in);
        event.conviction.actor = get_str(&in);
        event.conviction.reason = get_str(&in);
        break;
    case EVENT_RELEASE:
        event.release.incident = get_u64(&in);
        event.release.account = get_str(&in);
        event.release.actor = get_str(&in);
        event.release.reason = get_str(&in);
        break;
    case EVENT_SUSPEND:
        event.suspension.feature = get_u32(&in, FEATURE_FILES);
        event.suspension.domain = get_str(&in);
        event.suspension.account = get_str(&in);
        event.suspension.expires_us = get_i64(&in);
        event.suspension.actor = get_str(&in);
        event.suspension.reason = get_str(&in);
        break;
    case EVENT_ENTITLE:
        event.entitlement.account = get_str(&in);
        event.entitlement.domain = get_str(&in);
        event.entitlement.receivers = get_u32(&in, UINT32_MAX);
        event.entitlement.expires_us = get_i64(&in);
        event.entitlement.actor = get_str(&in);
        event.entitlement.reason = get_str(&in);
        break;
    case EVENT_DECOY:
        event.decoy.account = get_str(&in);
        event.decoy.removed = get_bool(&in);
        event.decoy.actor = get_str(&in);
        break;
    case EVENT_OUTCOME:
        event.outcome.incident = get_u64(&in);
        event.outcome.order = get_u64(&in);
        event.outcome.kind = get_u32(&in, ORDER_RETURN);
        event.outcome.undo = get_bool(&in);
        event.outcome.n = get_u32(&in, UINT32_MAX);
        event.outcome.n_unspooled = get_u32(&in, UINT32_MAX);
        break;
    case EVENT_TICK:
        break;
    default:
        in.bad = true;
    }
    if (in.bad || in.rest.len != 0)
        return ERR_CORRUPT;
    *out = event;
    return OK;
}
