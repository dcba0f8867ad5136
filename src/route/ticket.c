#include "route/ticket.h"

#include "base/must.h"
#include "route/home.h"
#include "route/session.h"

#include <stdlib.h>

static void tell_session(struct ticket *ticket)
{
    struct session *session = session_find(ticket->home, ticket->session);
    if (session != NULL)
        session_ticket_done(session, ticket->h);
}

struct ticket *ticket_new_for(struct home *home, void (*done)(struct ticket *ticket), void *context)
{
    struct ticket *ticket = malloc(sizeof *ticket);
    must(ticket != NULL);
    *ticket = (struct ticket){.home = home, .done = done, .context = context, .comes_again = true};
    atomic_init(&ticket->refs, 1);
    atomic_init(&ticket->travelled, false);
    atomic_init(&ticket->failed, false);
    return ticket;
}

struct ticket *ticket_new(struct home *home, uint64_t session, uint32_t h)
{
    struct ticket *ticket = ticket_new_for(home, tell_session, NULL);
    ticket->comes_again = false; // the client has it no more
    ticket->session = session;
    ticket->h = h;
    return ticket;
}

struct ticket *ticket_ref(struct ticket *ticket)
{
    if (ticket != NULL)
        atomic_fetch_add_explicit(&ticket->refs, 1, memory_order_relaxed);
    return ticket;
}

void ticket_travels(struct ticket *ticket)
{
    if (ticket != NULL)
        atomic_store_explicit(&ticket->travelled, true, memory_order_relaxed);
}

bool ticket_fail(struct ticket *ticket)
{
    if (ticket == NULL)
        return false;
    atomic_store_explicit(&ticket->failed, true, memory_order_relaxed);
    return ticket->comes_again;
}

bool ticket_has_failed(const struct ticket *ticket)
{
    return ticket != NULL && atomic_load_explicit(&ticket->failed, memory_order_relaxed);
}

static void come_home(struct mail *mail)
{
    struct ticket *ticket = CONTAINER_OF(mail, struct ticket, mail);
    ticket->done(ticket);
    free(ticket);
}

void ticket_unref(struct ticket **ticket)
{
    struct ticket *t = TAKE(*ticket);
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    t->mail.run = come_home;
    // through the mailbox where others had a part: their mail may still lie there
    if (!atomic_load_explicit(&t->travelled, memory_order_relaxed) && home_is_me(t->home))
        come_home(&t->mail);
    else
        loop_post(t->home->loop, &t->mail);
}
