/*
 * What a monitoring system reads: the counters of all workers, added up, and
 * the store's.  Read without locks while the workers count: a figure may be a
 * moment old, never wrong by more.
 */
#include "daemon/metrics.h"

#include "base/clock.h"
#include "files/uploads.h"
#include "guard/guard.h"
#include "http/http.h"
#include "im/desk.h"
#include "im/gate.h"
#include "net/listener.h"
#include "net/worker.h"
#include "store/store.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

struct sum {
    struct desk_counters counters;
    uint64_t connections, sessions, accounts, bytes_in, bytes_out, handshakes, handshakes_failed;
    int64_t busy_us, longest_turn_us;
};

// A home writes its counters with plain stores of one aligned word: it is read old or new, never
// torn.  ThreadSanitizer wants an atomic store and is not asked.
__attribute__((no_sanitize("thread"))) static uint64_t read64(const volatile uint64_t *counter)
{
    return *counter;
}

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "tables count in words as well");

static void add_desk(struct sum *sum, const struct desk *desk)
{
    const uint64_t *from = (const uint64_t *)&desk->counters;
    uint64_t *to = (uint64_t *)&sum->counters;
    for (size_t i = 0; i < sizeof sum->counters / sizeof *to; i++)
        to[i] += read64(&from[i]);
    sum->sessions += read64(&desk->home->sessions.n);
    sum->accounts += read64(&desk->home->accounts.n);
}

static void add_worker(struct sum *sum, const struct worker *worker)
{
    struct worker_stats stats;
    worker_stats(worker, &stats);
    sum->connections += stats.n_conns;
    sum->bytes_in += stats.bytes_in;
    sum->bytes_out += stats.bytes_out;
    sum->handshakes += stats.n_handshakes;
    sum->handshakes_failed += stats.n_handshakes_failed;
    sum->busy_us += stats.loop.busy_us;
    if (stats.loop.longest_turn_us > sum->longest_turn_us)
        sum->longest_turn_us = stats.loop.longest_turn_us;
}

static void say(struct buf *out, const char *name, const char *type, const char *help,
                uint64_t value)
{
    buf_printf(out, "# HELP firedoor_%s %s\n# TYPE firedoor_%s %s\nfiredoor_%s %" PRIu64 "\n", name,
               help, name, type, name, value);
}

static void say_us(struct buf *out, const char *name, const char *type, const char *help,
                   int64_t us)
{
    buf_printf(out, "# HELP firedoor_%s %s\n# TYPE firedoor_%s %s\nfiredoor_%s %.6f\n", name, help,
               name, type, name, (double)us / (double)SECOND_US);
}

#define COUNTER(name, help)                                                                        \
    {                                                                                              \
#name, help, offsetof(struct desk_counters, name)                                          \
    }

static void say_counters(struct buf *out, const struct desk_counters *counters)
{
    static const struct {
        const char *name, *help;
        size_t at;
    } rows[] = {
        COUNTER(logins, "Logins that succeeded."),
        COUNTER(failed_logins, "Logins that failed."),
        COUNTER(resumptions, "Sessions resumed (XEP-0198)."),
        COUNTER(failed_resumptions, "Resumptions refused."),
        COUNTER(messages_in, "Messages that clients sent."),
        COUNTER(messages_delivered, "Messages handed to sessions."),
        COUNTER(messages_spooled, "Messages kept until their reader has them."),
        COUNTER(messages_refused, "Messages returned with an error."),
        COUNTER(presences_in, "Presence stanzas that clients sent."),
        COUNTER(iqs_in, "IQ stanzas that clients sent."),
        COUNTER(stanza_errors, "Stanza errors sent."),
        COUNTER(sessions_ended, "Sessions that ended."),
        COUNTER(blocked_messages, "Stanzas refused by block lists."),
        COUNTER(guard_passed, "Lures that passed because the guard did not answer in time."),
        COUNTER(carbons, "Copies to other devices."),
        COUNTER(archived, "Messages archived."),
        COUNTER(reports, "Contacts that people reported (XEP-0377)."),
        COUNTER(links_protected, "Places in messages where a protected link was put."),
        COUNTER(links_opened, "Protected links that led on."),
        COUNTER(links_warned, "Warnings shown before a protected link."),
        COUNTER(links_blocked, "Protected links that were not opened: convicted."),
        COUNTER(links_unsure, "Protected links for which the guard did not answer in time."),
        COUNTER(links_refused, "Protected links that were forged, broken or too old."),
        COUNTER(limits_reached, "Times that a limit of the configuration was reached."),
        COUNTER(texts_read, "Stanzas whose texts were looked at by rules (texts.rules)."),
        COUNTER(texts_matched, "Of these, those that a rule matched."),
        COUNTER(texts_unfinished, "Of these, those of which a limit ended the look."),
        COUNTER(texts_passed, "Stanzas that passed without: too many waited, or it took too long."),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value;
        memcpy(&value, (const char *)counters + rows[i].at, sizeof value);
        say(out, rows[i].name, "counter", rows[i].help, value);
    }
}

static void say_store(struct buf *out, const struct store *store)
{
    struct store_stats stats;
    store_stats(store, &stats);
    say(out, "store_health", "gauge", "0 well, 1 disk full, 2 failing.", (uint64_t)stats.health);
    say(out, "store_commits", "counter", "Commits.", stats.n_commits);
    say(out, "store_failed_commits", "counter", "Commits that failed.", stats.n_failed_commits);
    say(out, "store_changes", "counter", "Changes committed.", stats.n_changes);
    say(out, "store_reads", "counter", "Reads.", stats.n_reads);
    say(out, "store_refused", "counter", "Operations refused because the queue was full.",
        stats.n_refused);
    say(out, "store_messages", "counter", "Message rows written.", stats.n_messages);
    say(out, "store_queue", "gauge", "Operations in hand.", stats.queue_length);
    say(out, "store_queue_bytes", "gauge", "Stanzas and documents of these.", stats.queue_bytes);
    say(out, "store_largest_batch", "gauge", "Most operations in one commit.", stats.largest_batch);
    say_us(out, "store_longest_commit_seconds", "gauge", "Longest commit.",
           stats.longest_commit_us);
}

static void say_decoys(struct buf *out, const struct service *service)
{
    say(out, "decoys_there", "gauge", "Decoys that are there now, as people see them.",
        atomic_load(&service->n_decoys_there));
    say(out, "decoy_portraits", "gauge",
        "Kinds of clients that answer alike for several people, and so for decoys.",
        atomic_load(&service->n_decoy_portraits));
}

static void say_guard(struct buf *out, struct gate *gate)
{
    struct guard_state state;
    size_t n_waiting;
    gate_state(gate, &state, &n_waiting);
    say(out, "guard_sendings", "counter", "Messages with lures that were judged.",
        state.n_sendings);
    say(out, "guard_delivered", "counter", "… and delivered.", state.n_delivered);
    say(out, "guard_held", "counter", "… and held.", state.n_held);
    say(out, "guard_rejected", "counter", "… and rejected.", state.n_rejected);
    say(out, "guard_would_hold", "counter",
        "Messages that would have been held where the guard only observes.", state.n_would_hold);
    say(out, "guard_would_reject", "counter",
        "Messages that would have been rejected where the guard only observes.",
        state.n_would_reject);
    say(out, "guard_questions", "counter", "Questions put to senders.", state.n_asked);
    say(out, "guard_questions_yes", "counter", "… who meant it.", state.n_said_yes);
    say(out, "guard_questions_no", "counter", "… who did not.", state.n_said_no);
    say(out, "guard_questions_expired", "counter", "… who did not answer in time.",
        state.n_unanswered);
    say(out, "guard_questions_withdrawn", "counter", "… that nobody needed to know any more.",
        state.n_withdrawn);
    say(out, "guard_questions_waiting", "gauge", "Questions that wait for an answer.",
        state.n_asking);
    say(out, "guard_exposures", "counter", "Copies that reached a client.", state.n_exposures);
    say(out, "guard_incidents", "gauge", "Incidents remembered.", state.n_incidents);
    say(out, "guard_convicted", "gauge", "Convictions in force.", state.n_convicted);
    say(out, "guard_stops", "gauge", "Keys of lures that are stopped.", state.n_stops);
    say(out, "guard_restricted", "gauge", "Accounts without links and files.", state.n_restricted);
    say(out, "guard_suspensions", "gauge", "Suspensions by operators.", state.n_suspensions);
    say(out, "guard_entitlements", "gauge", "Entitlements to fan out.", state.n_rights);
    say(out, "guard_decoys", "gauge", "Decoys.", state.n_decoys);
    say(out, "guard_decoy_hits", "counter", "People who sent a lure to a decoy, for each incident.",
        state.n_decoy_hits);
    say(out, "guard_outbreak", "gauge",
        "Whether a worm is about: 0 not, 1 suspected, 2 by more than one person's word.",
        (uint64_t)state.outbreak);
    say(out, "guard_campaigns", "counter", "Campaigns of lures that share nothing but people.",
        state.n_campaigns);
    say(out, "guard_taken_back", "counter", "Receivers' copies taken back.", state.n_taken_back);
    say(out, "guard_given_again", "counter", "… and given again at a release.",
        state.n_given_again);
    say(out, "guard_encrypted_shown", "counter",
        "Encrypted messages to one person after another without a pause.", state.sealed.n_shown);
    say(out, "guard_encrypted_runs", "counter", "Runs of such messages to several people.",
        state.sealed.n_runs);
    say(out, "guard_encrypted_relays", "counter", "… by people who had been shown one.",
        state.sealed.n_relays);
    say(out, "guard_encrypted_held", "counter",
        "Messages of them that were held, or would have been.", state.sealed.n_held);
    say(out, "guard_encrypted_rejected", "counter", "… that were rejected.",
        state.sealed.n_rejected);
    say(out, "guard_encrypted_taken_back", "counter", "… that were taken back.",
        state.sealed.n_stops);
    say(out, "guard_bytes", "gauge", "Memory of the guard's model.", state.bytes);
    say(out, "guard_waiting", "gauge", "Events that wait for the guard.", n_waiting);
}

static void say_http(struct buf *out, const struct http *http)
{
    struct http_stats stats;
    http_stats(http, &stats);
    say(out, "http_connections", "gauge", "Connections for HTTP.", stats.n_conns);
    say(out, "http_requests", "counter", "Requests over HTTP.", stats.n_requests);
    say(out, "http_body_bytes_in", "counter", "Bytes of bodies received.", stats.body_in);
    say(out, "http_body_bytes_out", "counter", "Bytes of bodies sent.", stats.body_out);
    buf_printf(out, "# HELP firedoor_http_answers Answers over HTTP, by the status' first digit.\n"
                    "# TYPE firedoor_http_answers counter\n");
    for (unsigned i = 1; i < COUNT_OF(stats.n_answers); i++)
        buf_printf(out, "firedoor_http_answers{status=\"%uxx\"} %" PRIu64 "\n", i,
                   stats.n_answers[i]);
}

static void say_uploads(struct buf *out, struct uploads *uploads)
{
    struct upload_stats stats;
    uploads_stats(uploads, &stats);
    say(out, "upload_files", "gauge", "Files that people put here.", stats.n_files);
    say(out, "upload_bytes", "gauge", "Their size.", stats.bytes);
    say(out, "upload_slots", "gauge", "Files promised and not put yet.", stats.n_slots);
    say(out, "upload_unscanned", "gauge", "Files that wait for the scanner.", stats.n_unscanned);
    say(out, "upload_slots_granted", "counter", "Slots given.", stats.n_granted);
    say(out, "upload_slots_refused", "counter", "Slots refused for a limit.", stats.n_refused);
    for (int end = 0; end <= END_FAILED; end++) {
        char name[64];
        snprintf(name, sizeof name, end == END_STORED ? "upload_%s" : "upload_refused_%s",
                 upload_end_name((enum upload_end)end));
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '-' ? '_' : *c;
        say(out, name, "counter", "Files put, by what came of it.", stats.n_ends[end]);
    }
    say(out, "upload_served", "counter", "Files given out, whole or in part.", stats.n_served);
    say(out, "upload_served_bytes", "counter", "Bytes of these.", stats.bytes_served);
    say(out, "upload_withheld", "counter", "Convicted files that were not given out.",
        stats.n_withheld);
    say(out, "upload_removed", "counter", "Files deleted, most by their age.", stats.n_removed);
    say(out, "upload_scans", "counter", "Words of the scanner.", stats.n_scans);
    say(out, "upload_scanner_silent", "counter", "Files on which the scanner said nothing.",
        stats.n_away);
    say_us(out, "upload_longest_scan_seconds", "gauge", "Longest wait for the scanner.",
           stats.longest_scan_us);
    say(out, "upload_waiting", "gauge", "Work that waits for disk or scanner.", stats.n_waiting);
}

static void say_listener(struct buf *out, const struct listener *listener)
{
    struct listener_stats stats;
    listener_stats(listener, &stats);
    say(out, "connections_accepted", "counter", "Connections of clients that came in.",
        stats.n_accepted);
    say(out, "connections_refused_full", "counter", "… that did not: limits.connections.",
        stats.n_refused[REFUSED_FULL]);
    say(out, "connections_refused_address", "counter", "… limits.connections_per_address.",
        stats.n_refused[REFUSED_ADDRESS]);
    say(out, "connections_refused_rate", "counter", "… limits.accepts_per_second.",
        stats.n_refused[REFUSED_RATE]);
    say(out, "connections_refused_descriptors", "counter", "… no descriptor was left.",
        stats.n_out_of_descriptors);
}

void metrics_write(struct buf *out, const struct service *service, const struct listener *listener,
                   const struct http *http)
{
    struct sum sum = {0};
    for (unsigned i = 0; i < service->homes.n; i++) {
        add_desk(&sum, desk_of(service->homes.at[i]));
        add_worker(&sum, service->homes.at[i]->worker);
    }
    say(out, "connections", "gauge", "Connections, those for HTTP included.", sum.connections);
    say_listener(out, listener);
    say(out, "sessions", "gauge", "Bound sessions, those waiting for resumption included.",
        sum.sessions);
    say(out, "accounts_in_memory", "gauge", "Accounts in memory.", sum.accounts);
    say(out, "bytes_in", "counter", "Bytes received.", sum.bytes_in);
    say(out, "bytes_out", "counter", "Bytes sent.", sum.bytes_out);
    say(out, "tls_handshakes", "counter", "TLS handshakes.", sum.handshakes);
    say(out, "tls_handshakes_failed", "counter", "TLS handshakes that failed.",
        sum.handshakes_failed);
    say_us(out, "busy_seconds", "counter", "Time the workers worked.", sum.busy_us);
    say_us(out, "longest_turn_seconds", "gauge", "Longest turn of a worker's loop.",
           sum.longest_turn_us);
    say_counters(out, &sum.counters);
    say_store(out, service->store);
    if (service->gate != NULL)
        say_guard(out, service->gate);
    say_decoys(out, service);
    if (http != NULL)
        say_http(out, http);
    if (service->uploads != NULL)
        say_uploads(out, service->uploads);
}
