#include "im/carbons.h"

#include "base/must.h"
#include "im/delivery_rules.h"
#include "im/send.h"

#include <stdio.h>

// <message><sent|received><forwarded>the message</forwarded></…></message>, from the account
// itself; clients believe no other (section 11).
static struct stanza *wrap(struct account *account, struct stanza *stanza, uint64_t archive_id,
                           struct str direction)
{
    struct stanza *copy = stanza_make(STANZA_MESSAGE, stanza->type, &account->jid, NULL, STR_EMPTY);
    struct arena *arena = &copy->arena;
    struct element *outer = element_child_new(arena, copy->root, NS_CARBONS, direction);
    struct element *forwarded = element_child_new(arena, outer, NS_FORWARD, STR("forwarded"));
    struct element *inner;
    must(element_copy(arena, stanza->root, &inner) == OK);
    element_add(forwarded, inner);
    if (archive_id != 0) {
        struct element *id = element_child_new(arena, inner, NS_SID, STR("stanza-id"));
        element_set(arena, id, STR("by"), account->jid.full);
        element_set(arena, id, STR("id"),
                    arena_printf(arena, "%llu", (unsigned long long)archive_id));
    }
    copy->lure_keys = arena_str(arena, stanza->lure_keys);
    copy->lures_from = arena_str(arena, jid_bare(&stanza->from));
    copy->takes_back = stanza->takes_back;
    stanza_seal(copy);
    return copy;
}

static bool wants(const struct session *session)
{
    return session->wants_carbons && !session->ending;
}

static void give(struct session *session, struct account *account, struct stanza *stanza,
                 uint64_t archive_id, struct str direction, struct stanza **copy)
{
    if (*copy == NULL)
        *copy = wrap(account, stanza, archive_id, direction);
    desk_of(account->home)->counters.carbons++;
    send_to_session(
        session, &(struct sending_out){.stanza = *copy, .to = session->jid.full, .fleeting = true});
}

void carbons_sent(struct account *account, uint64_t session, struct stanza *stanza,
                  uint64_t archive_id)
{
    struct stanza *copy = NULL;
    if (account->n_sessions < 2 && session_find(account->home, session) != NULL)
        return;
    if (!message_is_carbon_copied(stanza, false))
        return;
    LIST_EACH(&account->sessions, struct session, in_account, other)
    if (other->id != session && wants(other))
        give(other, account, stanza, archive_id, STR("sent"), &copy);
    stanza_unref(&copy);
}

static bool has_it(const struct session *session, struct session *const *sessions, const bool *gets,
                   size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sessions[i] == session)
            return gets[i];
    return false;
}

void carbons_received(struct account *account, struct stanza *stanza, uint64_t archive_id,
                      struct session *const *sessions, const bool *gets, size_t n)
{
    struct stanza *copy = NULL;
    if (account->n_sessions < 2 || !message_is_carbon_copied(stanza, true))
        return;
    // section 7: from one of the user's own clients to another, its sender knows it
    LIST_EACH(&account->sessions, struct session, in_account, other)
    if (wants(other) && !has_it(other, sessions, gets, n) && !jid_eq(&other->jid, &stanza->from))
        give(other, account, stanza, archive_id, STR("received"), &copy);
    stanza_unref(&copy);
}

static void set_wanted(struct asked *asked, bool wanted)
{
    struct session *session = asked_session(asked);
    if (session != NULL)
        session->wants_carbons = wanted;
    asked_result(&asked, NULL);
}

static void enable(struct asked *asked)
{
    set_wanted(asked, true);
}

static void disable(struct asked *asked)
{
    set_wanted(asked, false);
}

static const struct str disco[] = {
    NS_CARBONS, {NULL, 0}
};
static const struct iq_handler iqs[] = {
    {NS_CARBONS, {"enable", 6},  IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, enable },
    {NS_CARBONS, {"disable", 7}, IQ_SET | IQ_ACCOUNT | IQ_OWN_ONLY, disable},
    {{NULL, 0},  {NULL, 0},      0,                                 NULL   },
};

const struct feature feature_carbons = {
    .name = "carbons",
    .spec = "XEP-0280",
    .disco_server = disco,
    .disco_account = disco,
    .iqs = iqs,
};
