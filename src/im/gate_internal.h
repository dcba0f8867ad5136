/*
 * Between the gate's two threads: gate.c (workers), gate_thread.c and gate_log.c (guard).
 */
#ifndef IM_GATE_INTERNAL_H
#define IM_GATE_INTERNAL_H

#include "guard/guard.h"
#include "im/gate.h"
#include "im/gate_base.h"
#include "store/store.h"

#include <pthread.h>

enum { GATE_OFF, GATE_OBSERVE, GATE_ON }; // im_domain.guard_mode
enum { WORD_MOST = 64 << 20 };            // bytes of what one event may make the guard say

struct gate_readings; // gate_texts.c
struct gate_stops;    // the keys that are convicted: gate_thread.c
struct gate_bans;     // what is suspended, for whom: gate_thread.c

struct gate {
    struct service *service;
    struct loop *loop; // the guard thread's
    struct in_hand_slot *in_hand;
    pthread_t thread;
    bool running, has_run;
    struct lure_rules *rules;       // read-only, any thread
    int64_t sealed_pause_us;        // as in struct guard_config
    pthread_mutex_t stops_lock;     // "guard-stops": taken when something stored is shown
    struct gate_stops *stops;       // the present ones; never NULL once the gate is made
    struct gate_bans *bans;         // suspensions; under the same lock
    struct gate_readings *readings; // looking at texts

    // the guard's thread alone
    struct guard *guard;
    double clock_rate;
    int64_t born_us; // wall time from which the guard's clock runs at its rate
    struct timer tick;
    struct gate_append *append; // events of this turn, not yet given to the store; or NULL
    struct list judged;         // struct judging: verdicts that leave after them
    struct chore flush;
    uint64_t n_since_snapshot;
    size_t log_bytes, snapshot_bytes; // of the events since the last snapshot, and of that
    int64_t snapshot_us;              // loop time of the last one
    bool snapshot_busy;
    bool lacks_events; // the log, of what happened since the last snapshot
    struct gate_base bases[GATE_BASES];
    bool base_busy;
    struct containment *containment;
    struct im_settings *settings;      // replaced by mail at a reload
    pthread_mutex_t state_lock;        // "guard-state": taken once a second, and by metrics
    struct guard_state state;          // a copy
    int64_t state_us;                  // loop time of it
    struct timer state_timer;          // it is to be renewed
    int64_t hits_since_us;             // loop time from which hits of decoys are counted,
    unsigned n_hits_said;              // lines of the log about them since
    struct list replayed;              // orders of events since the last snapshot, at the start
    atomic_uint_fast64_t next_message; // numbers of judged messages; any thread
};

/* Whether that is suspended for this bare JID, and until when; any thread. */
bool gate_bans(struct gate *gate, const struct jid *who, enum feature_kind feature,
               int64_t *until_us);

/* The guard's time now; any thread. */
int64_t gate_now_us(const struct gate *gate);

/* One message that waits for the guard's word.  Made by a worker, judged by the guard's thread,
 * finished by the worker. */
struct judging {
    struct mail mail;
    struct link in_turn; // gate->judged
    struct gate *gate;
    struct home *home;
    struct account *account; // held
    uint64_t session;
    struct stanza *stanza;
    struct ticket *ticket;
    struct arena arena; // of everything below
    struct lure_list lures;
    struct lure_key seal; // of an encrypted message that the guard is not shown; or none
    struct sending sending;
    struct pace pace;
    uint32_t audience;
    struct gate_reading *reading; // its texts are being looked at; NULL: not, or not any more
    struct timer patience;        // the home's: that, or the guard, takes too long
    bool gone_on;                 // … and so the message was let pass
    bool observes;                // judge and record, then deliver in any case
    gate_go_on_fn *go_on;         // NULL: a message
    int64_t at_us;                // wall time at which it was sent
    // the guard's word
    enum verdict verdict;
    enum reason reason;
    uint64_t incident;
    int64_t until_us;   // of a suspension,
    unsigned suspended; // and of what
    bool defang;        // deliver it with its links made dead
    bool calm;
    struct store_record_put held; // when it is to be held: kept before it is acknowledged
    struct buf held_value;
};

/* ---- gate_texts.c; on the home ---- */

enum err gate_readings_new(const struct gate_options *options, struct in_hand *in_hand,
                           size_t first_slot, struct gate_readings **out,
                           struct why *why) MUST_CHECK;
/* Ends what is under way; each comes back to its home. */
void gate_readings_stop(struct gate_readings *readings);
void gate_readings_free(struct gate_readings **readings);
/* Has an operator's rules look at the words.  ERR_BUSY: too many wait. */
enum err gate_read(struct judging *judging, struct text_rules *rules, struct str words) MUST_CHECK;
/* It took too long: nobody waits for it any more. */
void gate_read_no_more(struct judging *judging);
/* gate.c: the texts of a judging were looked at, or not; what was found is among its lures. */
void gate_was_read(struct judging *judging);

/* gate.c: the mode of the account's domain: GATE_OFF…; on its home. */
int gate_mode(const struct account *account);
/* gate.c: something passes that nobody had time to look at: the operator hears of it. */
void gate_alarm(struct desk *desk);

/* On the guard's thread: judges, logs, carries out orders, mails the judging home. */
void gate_judge(struct mail *mail);
/* On the home: goes on with a judged message. */
void gate_judged(struct mail *mail);

/* On the guard's thread: takes an event (writes it to the log first) and carries out the orders of
 * its word. */
void gate_take(struct gate *gate, struct guard_event *event, struct guard_word *word,
               bool observes);

/* ---- gate_log.c; on the guard's thread ---- */

void gate_log_init(struct gate *gate);
/* Writes down the event that the guard is about to take. */
void gate_log(struct gate *gate, const struct guard_event *event);
/* Notes that the guard has it in hand (route/in_hand.h), until in_hand_done; false: put aside. */
bool gate_begin_event(struct gate *gate, uint64_t number,
                      const struct guard_event *event) MUST_CHECK;
/* Gives the store what was written down, then lets the verdicts go; at the end of a turn by
 * itself. */
void gate_log_flush(struct gate *gate);
/* The message is judged: mails it home at the end of this turn. */
void gate_answer(struct gate *gate, struct judging *judging);
void gate_snapshot_if_due(struct gate *gate);
/* At the end, when the store answers nobody else: waits for it. */
void gate_last_snapshot(struct gate *gate);
/* Before the thread runs: the last snapshot and the events since; then the orders of those that may
 * be half done. */
enum err gate_bring_back(struct gate *gate, const struct guard_config *config, uint64_t seed,
                         struct why *why) MUST_CHECK;
void gate_carry_out_replayed(struct gate *gate);

/* A copy that reached somebody. */
struct exposing {
    struct mail mail;
    struct gate *gate;
    enum event_kind kind; // EVENT_EXPOSURE, EVENT_OPENING, EVENT_SEALED
    uint32_t n;
    size_t sender_len, receiver_len;
    char data[]; // keys, then sender (of an opening: nobody), then receiver
};
void gate_note_exposure(struct mail *mail);

/* Somebody's word against a sender. */
struct reporting {
    struct mail mail;
    struct gate *gate;
    bool observes;
    size_t reporter_len, sender_len;
    char data[]; // reporter, then sender
};
void gate_note_report(struct mail *mail);

#endif
