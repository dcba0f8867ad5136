/*
 * What the guard wants said to people, each in his own language.
 *
 * The number up to which all notices are durable is kept: after a kill the later
 * ones are told when the events that ordered them are taken again.  While the
 * store fails they wait for it.
 */
#include "im/containment_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "im/notices.h"
#include "route/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct str told_key = {"told", 4}; // of a STORE_SNAPSHOT

struct telling {
    struct mail mail;
    struct link in_untold; // containment->untold
    struct timer timer;
    bool failed; // the store did not take it, or could not say who he is
    struct account_waiter waiter;
    struct home *home;
    struct gate *gate;
    enum notice notice;
    struct jid to; // own memory
    struct str link, person, incident, until;
};

static void telling_free(struct telling *telling)
{
    own_jid_free(&telling->to);
    own_str_free(&telling->link);
    own_str_free(&telling->person);
    own_str_free(&telling->incident);
    own_str_free(&telling->until);
    free(telling);
}

struct str tell_dead_link(const struct gate *gate, struct str shown)
{
    struct arena arena;
    arena_init(&arena, 64 * 1024);
    struct str dead;
    if (lure_defang(gate->rules, &arena, shown, &dead) != OK)
        dead = STR_EMPTY;
    struct str own = own_str(dead);
    arena_done(&arena);
    return own;
}

// The language of the person's streams; empty, which is his domain's, when none says so or he is
// away.
struct str tell_lang(const struct account *account)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (!session->ending && session->lang.len > 0)
        return session->lang;
    return STR_EMPTY;
}

struct str tell_domain_lang(const struct home *home, struct str name)
{
    const struct im_domain *domain = desk_domain(desk_of(home), name);
    return domain != NULL && domain->lang.len > 0 ? domain->lang : STR("en");
}

void tell_set_lang(struct stanza *stanza, const struct notices *notices, struct str lang,
                   struct str fallback)
{
    stanza->lang = arena_str(&stanza->arena, notice_lang(notices, lang, fallback));
    element_set_ns(&stanza->arena, stanza->root, NS_XML, STR("lang"), stanza->lang);
}

// From his domain, in his language.  ticket: may be NULL.
void tell_say(const struct gate *gate, struct account *account, enum notice notice,
              const struct notice_args *args, struct ticket *ticket)
{
    const struct notices *notices = gate->service->notices;
    struct jid domain = jid_of_prepared(account->jid.domain);
    char id[RANDOM_ID_SIZE + 1];
    random_id_z(id);
    struct stanza *stanza =
        stanza_make(STANZA_MESSAGE, TYPE_NORMAL, &domain, &account->jid, str_of(id));
    struct str fallback = tell_domain_lang(account->home, account->jid.domain);
    struct str lang = tell_lang(account);
    tell_set_lang(stanza, notices, lang, fallback);
    element_child_with(&stanza->arena, stanza->root, NS_CLIENT, STR("body"),
                       notice_text(notices, &stanza->arena, lang, fallback, notice, args));
    stanza_seal(stanza);
    route_stanza_to(account->home, stanza, &account->jid, ticket, ROUTED_BY_SERVER, 0);
    stanza_unref(&stanza);
}

struct keeping_told {
    struct store_record_put op;
    char number[24];
};

static void told_is_kept(struct store_request *request)
{
    struct keeping_told *keeping = CONTAINER_OF(request, struct keeping_told, op.request);
    if (request->result != OK)
        log_event(LOG_ERROR, "notices-not-recorded", "error=%s", err_name(request->result));
    store_release(request);
    free(keeping);
}

static void keep_told(struct gate *gate)
{
    struct containment *containment = gate->containment;
    struct keeping_told *keeping = calloc(1, sizeof *keeping);
    must(keeping != NULL);
    containment->kept_told = containment->newest_told;
    snprintf(keeping->number, sizeof keeping->number, "%" PRIu64, containment->kept_told);
    keeping->op.kind = STORE_SNAPSHOT;
    keeping->op.record.key = told_key;
    keeping->op.record.value = str_of(keeping->number);
    keeping->op.request.home = loop_mailbox(gate->loop);
    keeping->op.request.done = told_is_kept;
    store_record_put(gate->service->store, &keeping->op);
}

static void tell_at_home(struct mail *mail);

static void tell_now(struct telling *telling)
{
    telling->failed = false;
    telling->mail.run = tell_at_home;
    loop_post(telling->home->loop, &telling->mail);
}

static void try_again(struct timer *timer)
{
    struct telling *telling = CONTAINER_OF(timer, struct telling, timer);
    list_leave(&telling->in_untold);
    tell_now(telling);
}

// On the guard's thread.
static void hear_of_telling(struct mail *mail)
{
    struct telling *telling = CONTAINER_OF(mail, struct telling, mail);
    struct gate *gate = telling->gate;
    if (telling->failed) {
        list_add_last(&gate->containment->untold, &telling->in_untold);
        loop_timer_set(gate->loop, &telling->timer, containment_retry_us, try_again);
        return;
    }
    telling_free(telling);
    if (--gate->containment->n_telling == 0 &&
        gate->containment->newest_told > gate->containment->kept_told)
        keep_told(gate);
}

static void is_told(struct ticket *ticket)
{
    struct telling *telling = ticket->context;
    telling->failed |= ticket->failed;
    telling->mail.run = hear_of_telling;
    loop_post(telling->gate->loop, &telling->mail);
}

static void tell_account(struct account_waiter *waiter, struct account *account)
{
    struct telling *telling = CONTAINER_OF(waiter, struct telling, waiter);
    const struct notice_args args = {.link = telling->link,
                                     .person = telling->person,
                                     .incident = telling->incident,
                                     .until = telling->until};
    struct ticket *ticket = ticket_new_for(telling->home, is_told, telling);
    telling->failed = account->state == ACCOUNT_BROKEN;
    if (account->state == ACCOUNT_READY)
        tell_say(telling->gate, account, telling->notice, &args, ticket);
    ticket_unref(&ticket);
}

static void tell_at_home(struct mail *mail)
{
    struct telling *telling = CONTAINER_OF(mail, struct telling, mail);
    telling->waiter.run = tell_account;
    account_want(telling->home, &telling->to, &telling->waiter);
}

static void tell(struct gate *gate, const struct order *order, struct str who, enum notice notice)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct jid to = jid_of_prepared(who);
    struct telling *telling = calloc(1, sizeof *telling);
    must(telling != NULL);
    telling->gate = gate;
    telling->notice = notice;
    telling->to = own_jid(&to);
    telling->link = tell_dead_link(gate, order->shown);
    telling->person = own_str(order->who);
    telling->incident = own_str(arena_printf(&arena, "%" PRIu64, order->incident));
    telling->until =
        own_str(order->expires_us != 0 ? clock_format(&arena, order->expires_us) : STR_EMPTY);
    telling->home = home_of(&gate->service->homes, jid_bare(&to));
    gate->containment->n_telling++;
    if (order->number > gate->containment->newest_told)
        gate->containment->newest_told = order->number;
    tell_now(telling);
    arena_done(&arena);
}

static void tell_operator(struct gate *gate, const struct order *order)
{
    log_event(LOG_WARNING, "incident", "incident=%" PRIu64 " reason=%s undo=%d", order->incident,
              reason_name(order->reason), order->undo);
    const struct im_settings *settings = gate->settings;
    for (size_t i = 0; i < settings->n_domains; i++)
        for (size_t a = 0; a < settings->domains[i].n_admins; a++)
            tell(gate, order, settings->domains[i].admins[a], NOTICE_OPERATOR);
}

void tell_order(struct gate *gate, const struct order *order)
{
    if (order->audience == TO_VICTIM)
        tell(gate, order, order->who, order->undo ? NOTICE_UNRESTRICTED : NOTICE_VICTIM);
    else if (order->audience == TO_OPERATOR)
        tell_operator(gate, order);
    // the exposed are told in the place of the message that is taken back
}

// A notice of a replayed event; the homes that tell it run only when the guard's thread does.
struct retelling {
    struct mail mail;
    struct gate *gate;
    struct order order; // its texts in own memory
};

static void tell_again(struct mail *mail)
{
    struct retelling *again = CONTAINER_OF(mail, struct retelling, mail);
    tell_order(again->gate, &again->order);
    own_str_free(&again->order.shown);
    own_str_free(&again->order.who);
    free(again);
}

void tell_replayed(struct gate *gate, const struct order *order)
{
    if (order->number <= gate->containment->kept_told)
        return;
    struct retelling *again = calloc(1, sizeof *again);
    must(again != NULL);
    again->mail.run = tell_again;
    again->gate = gate;
    again->order = *order;
    again->order.shown = own_str(order->shown);
    again->order.who = own_str(order->who);
    loop_post(gate->loop, &again->mail);
}

bool containment_is_telling(const struct gate *gate)
{
    return gate->containment->n_telling > 0;
}

enum err tell_open(struct gate *gate, struct why *why)
{
    struct store_record_get get = {.kind = STORE_SNAPSHOT, .key = told_key};
    store_record_get(gate->service->store, &get);
    enum err e = store_wait(&get.request);
    uint64_t told = 0;
    if (e == OK && str_to_u64(get.record.value, 0, UINT64_MAX, &told) == OK)
        gate->containment->newest_told = gate->containment->kept_told = told;
    store_release(&get.request);
    return e == OK || e == ERR_MISSING
               ? OK
               : why_say(why, e, "the guard's notices could not be read: %s", err_name(e));
}

void tell_close(struct containment *containment)
{
    // no snapshot has passed these: the next start tells them
    LIST_EACH(&containment->untold, struct telling, in_untold, telling)
    {
        list_leave(&telling->in_untold);
        loop_timer_cancel(&telling->timer);
        telling_free(telling);
    }
}
