#include "im/last.h"

#include "base/clock.h"
#include "im/roster.h"
#include "im/send.h"

static void answer(struct asked *asked, int64_t since_us, struct str status)
{
    struct arena *arena = asked_arena(asked);
    int64_t seconds = since_us > 0 ? (clock_wall_us() - since_us) / SECOND_US : 0;
    struct element *query = element_new(arena, NS_LAST, STR("query"));
    element_set(arena, query, STR("seconds"),
                arena_printf(arena, "%lld", (long long)(seconds > 0 ? seconds : 0)));
    if (status.len > 0)
        element_add_text(arena, query, status);
    asked_result(&asked, query);
}

static bool is_here(const struct account *account)
{
    LIST_EACH(&account->sessions, struct session, in_account, session)
    if (session->available && !session->ending)
        return true;
    return false;
}

static void tell(struct asked *asked)
{
    const struct account *account = asked->account;
    if (asked->where == ASKED_DOMAIN)
        answer(asked, desk_of(asked->home)->service->started_us, STR_EMPTY);
    else if (!asked_may_see(asked))
        asked_error(&asked, STANZA_FORBIDDEN, NULL); // section 4
    else if (is_here(account))
        answer(asked, 0, STR_EMPTY);
    else if (account->last_activity_us == 0)
        answer(asked, account->created_us, STR_EMPTY); // never seen
    else
        answer(asked, account->last_activity_us,
               arena_str(asked_arena(asked), account->last_status));
}

// Section 5: a client is not asked by who may not see its presence: that it answers shows it.
static enum passing at_account(struct account *account, struct routed *routed)
{
    const struct stanza *stanza = routed->stanza;
    if (stanza->kind != STANZA_IQ || stanza->type != TYPE_GET || jid_is_bare(&routed->to) ||
        element_child(stanza->root, NS_LAST, STR("query")) == NULL ||
        jid_eq_bare(&stanza->from, &account->jid) ||
        roster_is_seen_by(account, jid_bare(&stanza->from)))
        return PASS;
    send_refusal_full(account->home, stanza, routed->ticket,
                      &(struct stanza_error){.condition = STANZA_FORBIDDEN});
    return STOP;
}

static const struct str disco[] = {
    NS_LAST, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_LAST,   {"query", 5}, IQ_GET | IQ_DOMAIN | IQ_ACCOUNT, tell},
    {{NULL, 0}, {NULL, 0},    0,                               NULL},
};

const struct feature feature_last = {
    .name = "last",
    .spec = "XEP-0012",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
    .at_account = at_account,
};
