#include "route/route.h"

#include "base/clock.h"
#include "base/must.h"
#include "route/account.h"

#include <stdlib.h>
#include <string.h>

void routed_free(struct routed **routed)
{
    struct routed *r = TAKE(*routed);
    if (r == NULL)
        return;
    stanza_unref(&r->stanza);
    ticket_unref(&r->ticket);
    free(r);
}

static void account_is_there(struct account_waiter *waiter, struct account *account)
{
    struct routed *routed = CONTAINER_OF(waiter, struct routed, waiter);
    routed->home->events->arrived(routed->home, account, routed);
}

// On the home that the stanza is for.
static void arrive(struct mail *mail)
{
    struct routed *routed = CONTAINER_OF(mail, struct routed, mail);
    struct home *home = routed->home;
    home->counters.routed_here++;
    struct jid bare = jid_bare_of(&routed->to);
    routed->waiter.run = account_is_there;
    account_want(home, &bare, &routed->waiter);
}

static void send_off(struct home *from, struct routed *routed)
{
    if (routed->to.local.len == 0 || !from->events->serves(from, routed->to.domain)) {
        // what is for a domain of ours, or for a stranger's, is answered where it came from
        routed->home = from;
        from->events->for_domain(from, routed);
        return;
    }
    routed->home = home_of(from->homes, jid_bare(&routed->to));
    routed->mail.run = arrive;
    if (routed->home == from) {
        arrive(&routed->mail);
    } else {
        from->counters.routed_away++;
        ticket_travels(routed->ticket);
        loop_post(routed->home->loop, &routed->mail);
    }
}

static struct routed *routed_new(struct stanza *stanza, struct ticket *ticket, size_t own)
{
    must(stanza->sealed);
    struct routed *routed = malloc(sizeof *routed + own);
    must(routed != NULL);
    *routed = (struct routed){.stanza = stanza_ref(stanza), .ticket = ticket_ref(ticket)};
    return routed;
}

void route_stanza(struct home *from, struct stanza *stanza, struct ticket *ticket)
{
    struct routed *routed = routed_new(stanza, ticket, 0);
    routed->to = stanza->to;
    routed->at_us = clock_wall_us();
    send_off(from, routed);
}

void route_stanza_to(struct home *from, struct stanza *stanza, const struct jid *to,
                     struct ticket *ticket, unsigned flags, int64_t at_us)
{
    struct routed *routed = routed_new(stanza, ticket, to->full.len);
    memcpy(routed->own, to->full.at, to->full.len);
    routed->to = jid_of_prepared(str_make(routed->own, to->full.len));
    routed->flags = flags;
    routed->at_us = at_us != 0 ? at_us : clock_wall_us();
    send_off(from, routed);
}
