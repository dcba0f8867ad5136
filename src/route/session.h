/*
 * A session: one resource of an account, with what its client has not got yet.
 *
 * It lives on its account's home worker.  Its client (one connection) may go
 * away and, with XEP-0198, another may take its place; the outbox stays.
 */
#ifndef ROUTE_SESSION_H
#define ROUTE_SESSION_H

#include "base/list.h"
#include "route/account.h"
#include "route/ticket.h"

enum { SM_WINDOW = 1024 }; // most received stanzas that are not durable yet; a power of two

/* One stanza on its way to a client. */
struct out {
    struct link link;
    struct stanza *stanza; // a reference
    uint64_t archive_id;   // given to the client as stanza-id; 0: none
    uint64_t spool_id;     // its row in the store's spool; 0: none
    uint64_t spool_size;   // what the row counts for
    int64_t delay_us;      // wall time at which it was first ours, for XEP-0203; 0: no delay
    int64_t at_us;         // wall time at which it came, should it have to wait yet; 0: not known
    bool fleeting;         // a copy of what is kept elsewhere: not given to anybody else later
    uint64_t written_mark; // without XEP-0198: the connection's count at which it is written
    size_t size;           // bytes counted against the outbox
    struct str to;         // replaces the stanza's to when not empty; in this allocation
};

/* What to send; copied. */
struct sending_out {
    struct stanza *stanza;
    struct str to;
    uint64_t archive_id, spool_id, spool_size;
    int64_t delay_us, at_us;
    bool fleeting; // a copy (carbon, archive page, further resource): another has the original
};

/* XEP-0198 for one session. */
struct sm {
    bool resumable;
    char id[40];                   // resumption id
    uint32_t received;             // stanzas that came from the client: our h counts up to here
    uint32_t durable;              // … and everything up to here is durable: the h we may say
    uint32_t said;                 // the h in the last <a/>
    uint64_t done[SM_WINDOW / 64]; // which of (durable, received] are done
    bool asked;                    // an <r/> came that deserved a higher h than we could say
    uint32_t sent;                 // stanzas sent to the client
    uint32_t acked;                // … that it acknowledged
    bool request_pending;          // an <r/> of ours is unanswered
    int64_t resume_us;             // how long it may be resumed
    int64_t detached_us;           // loop time at which the client went
    struct timer timer;            // runs while the client is away
    struct session *session;
};

/* The connection's side, as the session sees it; implemented by im/client.c. */
struct session_client {
    /* Appends bytes to what leaves at the end of this turn.  A connection that ends takes nothing
     * more and says so by given(): its session's outbox goes on elsewhere. */
    void (*write)(void *client, struct str bytes);
    /* Count of bytes given to write so far (UINT64_MAX when the connection takes no more), and of
     * those that left through the socket. */
    uint64_t (*given)(void *client);
    uint64_t (*written)(void *client);
    /* Asks for session_turn_end() before this turn's bytes leave. */
    void (*wants_flush)(void *client);
    void (*pause)(void *client);
    void (*resume)(void *client);
    /* Ends the stream with this condition and lets go of the session. */
    void (*kick)(void *client, struct str condition, struct str text);
};

struct decoy;
struct sitting;

struct session {
    uint32_t magic;
    uint64_t id; // for handles across asynchronous work: session_find
    struct home *home;
    struct account *account;
    struct link in_account;
    struct jid jid;  // full; text in own memory
    struct str lang; // of its stream; empty: it says nothing, its domain's is spoken; own memory
    bool names_lang; // the stream's header has it: stanzas without xml:lang are in it

    const struct session_client *client_calls;
    void *client; // NULL while detached

    // presence: im/presence.c
    bool available;
    int8_t priority;
    struct packed_stanza *presence; // the last broadcast one
    struct directed_presence *directed;
    // what the client asked for
    bool wants_roster;  // asked for the roster: gets pushes (RFC 6121 2.1.6)
    bool wants_blocks;  // asked for the block list: gets pushes (XEP-0191)
    bool wants_carbons; // XEP-0280
    bool inactive;      // XEP-0352
    struct csi_queue *csi;
    struct caps *caps;        // XEP-0115: what its client can do
    void *gate;               // im/gate.c: pace of this client
    struct decoy *decoy;      // im/decoys.c: whose it is; it has no client then.  Else NULL
    struct sitting *portrait; // im/portrait.c: what its client was asked; or NULL

    struct sm *sm;      // NULL without XEP-0198
    struct list outbox; // of struct out: sent, not known to have arrived
    size_t outbox_n, outbox_bytes;
    size_t n_uncounted; // of these, sent before XEP-0198 began
    size_t outbox_n_most, outbox_bytes_most;
    unsigned pauses;    // its stanzas are not read while > 0
    bool ending;        // it is about to go: gets nothing more, is found no more
    bool said_goodbye;  // the features have heard of its end
    struct mail end;    // runs its end from the loop, never under a caller's feet
    int64_t started_us; // wall time
    char address[64];   // of the peer, for logs and operators
};

/* On the account's home, account ready.  resource: prepared.  The session begins without client. */
struct session *session_new(struct account *account, struct str resource);
/* Leaves the account and frees; what is left in the outbox must have been taken by the caller. */
void session_free(struct session **session);

/* NULL when it is gone. */
struct session *session_find(struct home *home, uint64_t id);
/* Marks the session as ending: it is no longer counted or found by its resource. */
void session_mark_ending(struct session *session);
/* The account's session with this resource that is not ending, or NULL. */
struct session *session_by_resource(struct account *account, struct str resource);

/* named: the stream said so. */
void session_set_lang(struct session *session, struct str lang, bool named);

/* Begins XEP-0198: what is sent and received from now on is counted.  Takes sm. */
void session_sm_start(struct session *session, struct sm *sm);

/* Queues and writes one stanza; sealed.  ERR_LIMIT: the outbox is full, nothing was queued; the
 * session is beyond help (its reader is too slow) and the caller ends it. */
enum err session_send(struct session *session, const struct sending_out *what) MUST_CHECK;

/* The client acknowledges up to h (XEP-0198 4).  ERR_MALFORMED: more than was sent. */
enum err session_acked(struct session *session, uint32_t h) MUST_CHECK;

/* Writes again everything that is unacknowledged, after a resumption. */
void session_resend(struct session *session);

/* The connection wrote more: without XEP-0198 that is delivery. */
void session_written(struct session *session);

/* The client sent <r/>: answers at once with the durable h, and again when there is more to say. */
void session_sm_requested(struct session *session);

/* Called once before a turn's bytes leave: adds one <r/> and one <a/> where they are due. */
void session_turn_end(struct session *session);

/* A stanza came from the client: counts it and gives its ticket; NULL without XEP-0198. */
struct ticket *session_ticket(struct session *session);
/* The ticket's last reference is gone. */
void session_ticket_done(struct session *session, uint32_t h);

/* Stops and starts the reading of this session's stanzas; calls nest. */
void session_pause(struct session *session);
void session_unpause(struct session *session);

/* Takes the first unacknowledged out from the outbox, or NULL; out_free when done with it. */
struct out *session_take_out(struct session *session);
void out_free(struct out **out);

#endif
