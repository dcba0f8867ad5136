/*
 * The next member begins when an earlier one is online.
 */
#include "bench/crowd.h"

#include "base/clock.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILL_S = 300 };

static void start_next(struct crowd *crowd)
{
    if (crowd->n_started < crowd->n_members)
        client_connect(crowd->members[crowd->n_started++].client);
}

static void online(void *owner, bool resumed)
{
    (void)resumed;
    struct member *member = owner;
    struct crowd *crowd = member->crowd;
    member->online = true;
    crowd->n_online++;
    if (!crowd->filling)
        return;
    start_next(crowd);
    if (crowd->n_online == crowd->n_members)
        loop_stop(crowd->loop);
}

static void stanza(void *owner, const struct element *element)
{
    struct member *member = owner;
    if (member->crowd->stanza != NULL)
        member->crowd->stanza(member, element);
}

static void acked(void *owner, uint64_t number)
{
    struct member *member = owner;
    if (member->crowd->acked != NULL)
        member->crowd->acked(member, number);
}

static void closed(void *owner, const char *why)
{
    struct member *member = owner;
    struct crowd *crowd = member->crowd;
    crowd->n_online -= member->online;
    member->online = false;
    if (crowd->filling) {
        crowd->n_failed++;
        fprintf(stderr, "u%u: %s\n", member->number, why);
        loop_stop(crowd->loop);
    } else if (crowd->closed != NULL) {
        crowd->closed(member, why);
    }
}

static const struct client_events events = {online, NULL, stanza, acked, closed};

void crowd_init(struct crowd *crowd, struct loop *loop, struct client_pool *pool,
                const struct client_options *options, const char *password, uint32_t first,
                uint32_t n)
{
    *crowd = (struct crowd){
        .loop = loop,
        .pool = pool,
        .options = *options,
        .password = password,
        .members = calloc(n, sizeof *crowd->members),
        .n_members = n,
        .abreast = 20,
    };
    must(crowd->members != NULL);
    for (uint32_t i = 0; i < n; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", first + i);
        crowd->members[i] = (struct member){.crowd = crowd, .number = first + i};
        crowd->members[i].client = client_new(pool, &crowd->options, str_of(user), str_of(password),
                                              STR("bench"), &events, &crowd->members[i]);
    }
}

enum err crowd_fill(struct crowd *crowd, struct why *why)
{
    crowd->filling = true;
    while (crowd->n_started < crowd->abreast && crowd->n_started < crowd->n_members)
        start_next(crowd);
    loop_run(crowd->loop, clock_now_us() + FILL_S * SECOND_US);
    crowd->filling = false;
    if (crowd->n_online == crowd->n_members)
        return OK;
    return why_say(why, ERR_CLOSED, "%u of %u users came online", crowd->n_online,
                   crowd->n_members);
}

static void stop_when_empty(struct member *member, const char *why)
{
    (void)why;
    if (member->crowd->n_online == 0)
        loop_stop(member->crowd->loop);
}

void crowd_done(struct crowd *crowd)
{
    crowd->closed = stop_when_empty;
    crowd->stanza = NULL;
    for (uint32_t i = 0; i < crowd->n_members; i++)
        client_leave(crowd->members[i].client);
    if (crowd->n_online > 0)
        loop_run(crowd->loop, clock_now_us() + 2 * SECOND_US);
    for (uint32_t i = 0; i < crowd->n_members; i++)
        client_free(&crowd->members[i].client);
    free(crowd->members);
    crowd->members = NULL;
}
