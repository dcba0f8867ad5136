/*
 * A crowd: many clients in one thread, brought online in good order.
 *
 * Users are called u0, u1, … and share a password.  A crowd logs in a few at a
 * time, because a server that is asked for thousands of handshakes at once
 * measures its backlog and not its work.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "drill/client/client.h"

struct crowd;

struct member {
    struct crowd *crowd;
    struct client *client;
    uint32_t number; // of the user
    bool online;
    void *context; // the scenario's
};

struct crowd {
    struct loop *loop;
    struct client_pool *pool;
    struct client_options options;
    const char *password;
    struct member *members;
    uint32_t n_members, n_started, n_online, n_failed;
    uint32_t abreast; // logins at the same time
    bool filling;
    /* The scenario's: each stanza, each acknowledgement, each lost connection.  May be NULL. */
    void (*stanza)(struct member *member, const struct element *stanza);
    void (*acked)(struct member *member, uint64_t number);
    void (*closed)(struct member *member, const char *why);
};

/* options.endpoint and domain must be set.  The members' users are first, first + 1, … */
void crowd_init(struct crowd *crowd, struct loop *loop, struct client_pool *pool,
                const struct client_options *options, const char *password, uint32_t first,
                uint32_t n);
/* Logs in all members; ERR_CLOSED when one of them cannot. */
enum err crowd_fill(struct crowd *crowd, struct why *why) MUST_CHECK;
/* Leaves politely, waits for the servers' goodbyes for two seconds, and frees everything. */
void crowd_done(struct crowd *crowd);

#endif
