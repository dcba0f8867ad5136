/*
 * A desk: the im room's part of one worker, beside the worker's home (route).
 * And the service: what all desks share.
 */
#ifndef IM_DESK_H
#define IM_DESK_H

#include "im/settings.h"
#include "net/kitchen.h"
#include "route/home.h"

#include <stdatomic.h>

struct adhoc_book;
struct caps_cache;
struct decoys_desk;
struct login_slowdown;
struct gate;
struct in_hand;
struct notices;
struct uploads;

/* Set up by the daemon before the workers start; constant afterwards, or safe for any thread. */
struct service {
    struct workers *workers;
    struct homes homes;
    struct store *store;
    struct in_hand *in_hand; // route/in_hand.h: slots of the homes, the guard, gate_texts.c
    struct kitchen *kitchen;
    const struct scram_crypto *crypto;
    struct scram_secret secret;
    struct login_slowdown *slowdown; // any thread
    struct gate *gate;               // the guard's thread; NULL: there is none
    struct notices *notices;         // any thread
    struct uploads *uploads;         // any thread; NULL: there are none
    atomic_uint_fast64_t n_decoys_there, n_decoy_portraits; // daemon/decoy_keeper.h
    int64_t started_us;                                     // wall time
    /* On the home of an account that was deleted from within; may be NULL. */
    void (*account_deleted)(void *context, struct str bare);
    void *context; // of the call above
};

struct desk {
    struct service *service;
    struct home *home;
    struct im_settings *settings; // replaced by mail at a reload
    struct stream_policy policy;  // for streams of this worker
    struct list clients;          // connections on this worker
    int64_t guard_alarm_us;       // loop time of the last line about an overloaded guard; 0: none
    struct caps_cache *caps;      // im/caps.h; NULL until the first
    struct adhoc_book *adhoc;     // im/adhoc.h; NULL until the first
    struct decoys_desk *decoys;   // im/decoys.h; NULL until the first round
    struct list questions;        // im/questions.h: put to people whose home this is
    struct list activities;       // im/activity.c
    struct list unarchived;       // im/message.c: copies of senders that wait for the store
    size_t n_unarchived;          // of them, of senders without XEP-0198
    bool closes;                  // nothing waits for better times any more
    struct timer activity_timer;
    struct limit_said { // im/limits.c: of whom and what there was a line not long ago
        uint64_t hash;
        int64_t at_us; // loop time
    } limits_said[64];
    struct desk_counters {
        uint64_t logins, failed_logins, resumptions, failed_resumptions;
        uint64_t messages_in, messages_delivered, messages_spooled, messages_refused;
        uint64_t presences_in, iqs_in, stanza_errors, sessions_ended;
        uint64_t blocked_messages, carbons, archived, reports;
        uint64_t guard_passed; // lures and exposures that the guard was too slow for
        uint64_t links_protected, links_opened, links_warned, links_blocked, links_unsure;
        uint64_t links_refused;                                             // forged, or too old
        uint64_t texts_read, texts_matched, texts_unfinished, texts_passed; // by gate_texts.c
        uint64_t limits_reached;
    } counters; // written by the worker; read by the metrics thread without order
};

struct desk *desk_new(struct service *service, struct worker *worker, struct im_settings *settings);
/* The worker has stopped: ends what sessions are left and cannot be resumed, in the worker's name,
 * and gives their messages back to the store.  The answers still come by mail. */
void desk_close(struct desk *desk);
/* Then, when all is settled: keeps those that can be resumed for the next start (sm_store.h). */
void desk_keep_sessions(struct desk *desk);
void desk_free(struct desk **desk);

static inline struct desk *desk_of(const struct home *home)
{
    return home->desk;
}

/* From any thread: every desk uses these settings from its next turn on. */
void service_set_settings(struct service *service, struct im_settings *settings);

/* The prepared domain's settings; NULL: not ours. */
static inline const struct im_domain *desk_domain(const struct desk *desk, struct str name)
{
    return im_settings_domain(desk->settings, name);
}

#endif
