/*
 * The store: accounts, rosters, messages, and what the guard must remember.
 *
 * One interface; nothing above it contains SQL.  Every operation is a struct
 * that begins its life with the caller, who fills in the first half and reads
 * the second half when it is done:
 *
 *     struct store_append *a = ...zeroed...;
 *     a->request.home = my_mailbox;          // done() will run on my loop
 *     a->request.done = appended;
 *     a->account = account; a->stanza = xml; ...
 *     store_append(store, a);                // never blocks, never fails here
 *
 *     static void appended(struct store_request *request)
 *     {
 *         struct store_append *a = CONTAINER_OF(request, struct store_append, request);
 *         if (request->result == OK) ...
 *         store_release(request);            // frees results; a may be freed or used again
 *     }
 *
 * Between the call and done() the struct and all text it points to belong to
 * the store: keep them, do not look at them (append's id excepted).
 *
 * Rules
 * - OK means durable: the commit that holds a change, and every earlier change
 *   of the same caller, has reached the disk.  Anything else means that nothing
 *   of the operation remains; its neighbours in the same commit are unharmed.
 * - Changes are carried out in the order in which one caller (thread) gave them,
 *   and complete in that order.
 * - A read sees every change that its caller gave before it.  It may see later
 *   ones too, and reads may overtake each other.
 * - The queue is bounded, in operations and in bytes of stanzas and documents: beyond it an
 *   operation completes with ERR_BUSY.
 *   Whoever reads from a socket stops reading while store_is_busy().
 * - Disk full: ERR_FULL for the operations concerned; the store keeps serving
 *   reads and recovers by itself as soon as there is room.
 *
 * Accounts are known by a number that is never used again, so that an account
 * made anew inherits nothing.  JIDs are prepared by the caller.  Outputs of type
 * struct str and arrays live in request.arena until store_release().
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "net/mailbox.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

/* What is looked for before the database is used: nothing; that its pages are whole, in databases
 * below 1 GiB and in larger ones that were not closed properly; that its indexes agree with its
 * tables too, always. */
enum store_check { STORE_CHECK_QUICK, STORE_CHECK_FULL, STORE_CHECK_OFF };

struct store_options {
    const char *path;        // of the database; its directory must exist and be writable
    bool must_exist;         // do not create one
    enum store_check check;  // 0: quick
    unsigned n_readers;      // threads for reads; 0: two
    unsigned queue_most;     // operations in hand; 0: 65536
    size_t queue_bytes_most; // stanzas and documents of these; 0: 256 MiB
    const char *test_faults; // tests only, NULL otherwise: see sqlite/fault_vfs.h
};

/* Opens, creates (mode 0600), checks and migrates the database, and starts the store's threads.
 * ERR_BUSY: another process has it.  ERR_UNSUPPORTED: it is of a newer version.  ERR_CORRUPT: the
 * integrity check found damage. */
enum err store_open(const struct store_options *options, struct store **out,
                    struct why *why) MUST_CHECK;
/* Carries out all that was given, then closes.  No other thread may use the store any more, and
 * the mailboxes that are still awaited must still exist. */
void store_close(struct store **store);

struct store_request {
    struct mailbox *home;                        // where done runs; NULL: see store_wait
    void (*done)(struct store_request *request); // required with home
    size_t results_most;                         // bytes of results; 0: 64 MiB; else ERR_LIMIT
    enum err result;
    struct str why;     // after a failure: a sentence for the operator; may be empty
    struct arena arena; // of the results

    // the store's own
    struct mail mail;
    const struct store_call *call;
    struct store *store;
    bool finished;
};

/* Frees the results and makes the struct ready for another use.  Harmless on a zeroed one. */
void store_release(struct store_request *request);
/* For tools and tests, where waiting is allowed: waits for an operation whose home is NULL. */
enum err store_wait(struct store_request *request);

/* Any thread.  True from three quarters of the queue on. */
bool store_is_busy(const struct store *store);

/* Any thread.  True when nothing is in hand and every completion has been posted to its mailbox:
 * then, where nobody asks anew, store_close has nothing left to do. */
bool store_is_idle(const struct store *store);

enum store_health {
    STORE_WELL,
    STORE_FULL,    // the last commit found no room on the disk
    STORE_FAILING, // the last commit failed otherwise
};

struct store_stats {
    enum store_health health;
    uint64_t n_commits, n_failed_commits;
    uint64_t n_changes, n_reads, n_refused; // operations completed; refused with ERR_BUSY
    uint64_t n_messages;                    // rows appended
    uint64_t largest_batch;                 // operations in one commit
    uint64_t queue_length, queue_bytes; // operations in hand now; stanzas and documents of these
    int64_t longest_commit_us, total_commit_us;
    uint64_t log_bytes; // of the write-ahead log
};

/* Any thread. */
void store_stats(const struct store *store, struct store_stats *out);

/* ---- Accounts ---------------------------------------------------------------------------- */

enum store_hash { STORE_SHA1, STORE_SHA256, STORE_SHA512, STORE_N_HASHES };

/* What RFC 5802 keeps instead of a password; iterations == 0: none. */
struct store_keys {
    uint32_t iterations;
    struct str salt, stored_key, server_key;
};

struct store_account {
    int64_t number;
    struct str local, domain;
    bool disabled;
    struct str disabled_why;
    int64_t created_us, login_us; // wall; 0: never
    int64_t active_us;            // last time it was seen leaving (XEP-0012); 0: never
    struct str active_status;     // the status text it left with
};

/* ERR_EXISTS when there is one. */
struct store_account_create {
    struct store_request request;
    struct str local, domain;
    struct store_keys keys[STORE_N_HASHES];
    int64_t wall_us;
    int64_t account; // out: its number
};
void store_account_create(struct store *store, struct store_account_create *op);

/* The account with its keys, for a login.  ERR_MISSING when there is none. */
struct store_account_find {
    struct store_request request;
    struct str local, domain;
    struct store_account account; // out
    struct store_keys keys[STORE_N_HASHES];
};
void store_account_find(struct store *store, struct store_account_find *op);

/* Replaces all keys.  ERR_MISSING. */
struct store_account_set_keys {
    struct store_request request;
    int64_t account;
    struct store_keys keys[STORE_N_HASHES];
};
void store_account_set_keys(struct store *store, struct store_account_set_keys *op);

/* ERR_MISSING. */
struct store_account_disable {
    struct store_request request;
    int64_t account;
    bool disabled;
    struct str reason;
};
void store_account_disable(struct store *store, struct store_account_disable *op);

/* Everything the account owns is out of reach at once; its messages are erased bit by bit
 * afterwards, also across restarts.  Other people's rosters are not touched.  ERR_MISSING. */
struct store_account_delete {
    struct store_request request;
    struct str local, domain;
    int64_t account; // out: the number it had
};
void store_account_delete(struct store *store, struct store_account_delete *op);

/* Ordered by local part.  domain empty: all domains, ordered by domain first. */
struct store_account_list {
    struct store_request request;
    struct str domain;
    struct str contains;                  // in the local part; empty: all
    struct str after_local, after_domain; // the last one of the page before; both empty: first page
    uint32_t most;
    bool count; // whether to fill total
    uint32_t n; // out
    struct store_account *accounts;
    uint64_t total; // that match on all pages
};
void store_account_list(struct store *store, struct store_account_list *op);

/* domain empty: all domains. */
struct store_account_count {
    struct store_request request;
    struct str domain;
    int64_t active_since_us;
    uint64_t n, n_disabled, n_active; // out; active: logged in or seen since then
};
void store_account_count(struct store *store, struct store_account_count *op);

/* Sets what is not 0.  status goes with active_us.  ERR_MISSING. */
struct store_account_seen {
    struct store_request request;
    int64_t account;
    int64_t login_us, active_us;
    struct str status;
};
void store_account_seen(struct store *store, struct store_account_seen *op);

enum store_subscription {
    STORE_SUB_NONE,
    STORE_SUB_TO,
    STORE_SUB_FROM,
    STORE_SUB_BOTH,
    STORE_SUB_REMOVED, // in store_roster_set: take the item off the roster
};

struct store_roster_item {
    struct str jid, name;
    enum store_subscription subscription;
    bool ask;      // a request of ours awaits an answer ("pending out")
    bool approved; // pre-approved (RFC 6121 section 3.4)
    uint32_t n_groups;
    struct str *groups;
    int64_t version; // out: the roster version that brought its present state
};

struct store_document {
    struct str key; // for example "vcard" or "private jabber:bookmarks"
    struct str xml;
};

/* Many accounts in one commit; some hundred at a time are quick.  Accounts that exist already are
 * left as they are and counted. */
struct store_account_import {
    struct store_request request;
    uint32_t n;
    struct store_import {
        struct str local, domain;
        struct store_keys keys[STORE_N_HASHES];
        bool disabled;
        uint32_t n_items, n_documents;
        const struct store_roster_item *items;
        const struct store_document *documents;
        // In the same commit, so that an import that broke off may simply be repeated.  Messages in
        // their order; the store fills in their account and id.
        uint32_t n_messages, n_pending, n_blocked;
        struct store_append *messages;
        const struct store_pending *pending;
        const struct str *blocked;
        int64_t account; // out: 0 where it existed already
    } * accounts;
    int64_t wall_us;
    uint32_t n_made, n_existing; // out
};
void store_account_import(struct store *store, struct store_account_import *op);

enum store_archive_default { STORE_ARCHIVE_ALWAYS, STORE_ARCHIVE_NEVER, STORE_ARCHIVE_ROSTER };

/* XEP-0313 section 8.  given is false where the person never chose: the site's default holds. */
struct store_archive_prefs {
    bool given;
    enum store_archive_default by_default;
    uint32_t n_always, n_never;
    struct str *always, *never;
};

struct store_pending {
    struct str from;   // bare
    struct str stanza; // the request as it shall be shown again at login
};

/* All of an account's state that lives in memory while it is in use, in one read.
 * By number when account is not 0, else by local and domain.  ERR_MISSING. */
struct store_account_load {
    struct store_request request;
    int64_t by_number;
    struct str local, domain;
    struct store_account account; // out
    int64_t roster_version;
    int64_t roster_floor; // changes since an older version are not known in full
    uint32_t n_items, n_removed, n_pending, n_blocked;
    struct store_roster_item *items;
    struct store_roster_item *removed; // jid and version: gone since roster_floor
    struct store_pending *pending;
    struct str *blocked;
    struct store_archive_prefs prefs;
    uint64_t n_spooled, spooled_bytes; // what waits; the sizes of its stanzas
};
void store_account_load(struct store *store, struct store_account_load *op);

/* ---- Roster, block list, preferences, documents -------------------------------------------- */

/* Puts or (STORE_SUB_REMOVED) removes one item; gives the roster a new version.  Removing what is
 * not there: ERR_MISSING. */
struct store_roster_set {
    struct store_request request;
    int64_t account;
    struct store_roster_item item;
    bool drop_pending; // in the same change, forget the request that item.jid sent to us
    int64_t version;   // out
};
void store_roster_set(struct store *store, struct store_roster_set *op);

/* Remembers a request to subscribe, replacing an older one of the same sender; an empty stanza
 * forgets it (OK also when there was none). */
struct store_pending_set {
    struct store_request request;
    int64_t account;
    struct store_pending pending;
};
void store_pending_set(struct store *store, struct store_pending_set *op);

/* All in one change: first clears (when asked), then removes, then adds.  What is there already
 * or not there is no error. */
struct store_block {
    struct store_request request;
    int64_t account;
    bool clear;
    uint32_t n_add, n_remove;
    const struct str *add, *remove;
};
void store_block(struct store *store, struct store_block *op);

struct store_archive_prefs_set {
    struct store_request request;
    int64_t account;
    struct store_archive_prefs prefs; // given == false forgets them
};
void store_archive_prefs_set(struct store *store, struct store_archive_prefs_set *op);

/* ERR_MISSING when there is none. */
struct store_document_get {
    struct store_request request;
    int64_t account;
    struct str key;
    struct str xml; // out
};
void store_document_get(struct store *store, struct store_document_get *op);

/* Puts or replaces; empty xml removes. */
struct store_document_put {
    struct store_request request;
    int64_t account;
    struct store_document document;
};
void store_document_put(struct store *store, struct store_document_put *op);

/* All of an account's documents in the order of their keys; the site bounds how many there are. */
struct store_document_list {
    struct store_request request;
    int64_t account;
    uint32_t n; // out
    struct store_document *documents;
};
void store_document_list(struct store *store, struct store_document_list *op);

/* ---- Messages: archive and spool ----------------------------------------------------------- */

/*
 * One row serves as a person's archive entry and as the message that waits in
 * the spool until his client has it.  Its id is the archive id: a positive
 * number that grows with time, for all owners together.  Its stamp (the time
 * XEP-0313 shows and filters by) is part of it.  A message that a client may
 * see by its id was committed before.
 */
#define STORE_ID_SHIFT 11
static inline int64_t store_id_time_us(int64_t id)
{
    return id >> STORE_ID_SHIFT;
}

enum store_message_flags {
    STORE_ARCHIVED = 1,  // stays until retention deletes it
    STORE_SPOOLED = 2,   // undelivered
    STORE_OUTGOING = 4,  // the owner sent it; else he received it
    STORE_HIDDEN = 8,    // withdrawn from its owner's view; kept for the record
    STORE_TOMBSTONE = 16 // withdrawn, and the view shows that something was
};

struct store_message {
    int64_t id;
    int64_t wall_us;
    uint8_t flags;         // of enum store_message_flags
    uint8_t type;          // the caller's own number for chat, normal, headline…
    struct str peer;       // bare JID of the other side
    struct str resource;   // of the other side; may be empty
    struct str message_id; // the stanza's id attribute
    struct str origin_id;  // XEP-0359
    struct str stanza;     // empty for a tombstone unless asked for the record
};

enum { STORE_LURE_KEY_MOST = 32, STORE_LURES_MOST = 64 }; // bytes; keys of one message

/* ids are given out at the call, so op->id may be read at once (unless backdated); the row is there
 * with OK.  Taking it out of the spool may be asked for before this completes.  A row with lures
 * that is not archived (flags may even be 0) outlives its delivery without its stanza, so that
 * store_deliveries finds it.  ERR_MISSING when the account was deleted. */
struct store_append {
    struct store_request request;
    int64_t account;
    int64_t wall_us; // 0: now.  Older than the newest id: the stamp is moved to that
    bool backdate;   // imports: keep an old wall_us exactly
    uint8_t flags;   // ARCHIVED, SPOOLED, OUTGOING
    uint8_t type;
    struct str peer, resource, message_id, origin_id, stanza;
    uint32_t n_lures;
    const struct str *lures; // keys by which store_deliveries finds this row
    int64_t id;              // out
    bool folded;             // the store's own: it left the spool before it was written
};
void store_append(struct store *store, struct store_append *op);

/* What waits for an account, in order.  Withdrawn messages do not wait, until shown again. */
struct store_spool_list {
    struct store_request request;
    int64_t account;
    int64_t after_id; // 0: from the beginning
    uint32_t most;
    uint32_t n; // out
    struct store_message *messages;
    bool more;
};
void store_spool_list(struct store *store, struct store_spool_list *op);

/* Takes messages out of the spool: the ids named, and (up_to_id != 0) all up to that one but the
 * withdrawn.  A row that is not archived goes altogether.  What is gone already is no error. */
struct store_spool_clear {
    struct store_request request;
    int64_t account;
    int64_t up_to_id;
    uint32_t n_ids;
    const int64_t *ids;
    const uint64_t *sizes;  // of the ids' stanzas, for bytes_cleared; NULL: nobody asks
    uint32_t n_cleared;     // out: rows that were there
    uint64_t bytes_cleared; // out: the sizes of those named that were there
};
void store_spool_clear(struct store *store, struct store_spool_clear *op);

struct store_spool_count {
    struct store_request request;
    int64_t account;
    uint64_t n; // out
};
void store_spool_count(struct store *store, struct store_spool_count *op);

/* Drops what has waited since before then, looking at no more than `most`; more: call again, with
 * after_account and after_id as they were left. */
struct store_spool_expire {
    struct store_request request;
    int64_t before_us;
    uint32_t most;
    int64_t after_account, after_id; // in and out
    uint32_t n;                      // out: dropped
    bool more;
};
void store_spool_expire(struct store *store, struct store_spool_expire *op);

/*
 * XEP-0313 with XEP-0059.  The filters, above_id and below_id (both exclusive)
 * among them, make the set that total and index count.  The page holds at most
 * `most` rows of it that lie between after_id and before_id (both exclusive), in
 * order: the oldest of them, or with backwards the newest.
 * An id among these four that is not in the owner's archive, or one of ids that
 * is not: ERR_MISSING (item-not-found).
 */
struct store_archive_query {
    struct store_request request;
    int64_t account;
    struct str with, with_resource; // bare JID and resource; empty: any
    int64_t start_us, end_us;       // inclusive; 0: open
    int64_t above_id, below_id;     // of the set; 0: open
    int64_t after_id, before_id;    // of the page; 0: open
    bool backwards;
    uint32_t n_ids;
    const int64_t *ids; // only these
    uint32_t most;      // 0: only the count
    bool count;         // whether to fill total
    bool record;        // the archive of record: hidden rows too, and stanzas of tombstones
    uint32_t n;         // out
    struct store_message *messages;
    bool complete;  // no row that matches lies beyond the page, in the page's direction
    uint64_t total; // rows that match the filters, on all pages
    uint64_t index; // with count: how many of these lie before the page
};
void store_archive_query(struct store *store, struct store_archive_query *op);

/* Oldest and newest visible rows; 0 where the archive is empty. */
struct store_archive_span {
    struct store_request request;
    int64_t account;
    int64_t first_id, last_id; // out
};
void store_archive_span(struct store *store, struct store_archive_span *op);

/* Changes who sees rows, of any owners: STORE_HIDDEN, STORE_TOMBSTONE, or 0 to show them again.
 * Rows that are gone are no error. */
struct store_archive_withdraw {
    struct store_request request;
    uint32_t n;
    struct store_row {
        int64_t account, id;
        bool is_senders; // not counted: one message is one copy
        bool unspooled;  // out: it waited, and does no more
    } * rows;
    uint8_t visibility;
    bool unspool;         // take them out of the spool as well
    uint64_t untold_by;   // other than 0: their owners are still to be told, by this order
    uint32_t n_changed;   // out: receivers' rows whose visibility is other than before
    uint32_t n_unspooled; // out
};
void store_archive_withdraw(struct store *store, struct store_archive_withdraw *op);

/* Retention: erases archive rows older than that, oldest first, looking at no more than `most`;
 * more: call again, with after_id as it was left.  What is still in a spool stays there. */
struct store_archive_purge {
    struct store_request request;
    int64_t before_us;
    struct str domain; // empty: all
    uint32_t most;
    int64_t after_id; // in and out
    uint32_t n;       // out: erased
    bool more;
};
void store_archive_purge(struct store *store, struct store_archive_purge *op);

/* Their owners have been told what store_archive_withdraw was told that they are to be, by the same
 * order.  Rows of which nobody is to be told are no error. */
struct store_archive_told {
    struct store_request request;
    uint64_t by;
    uint32_t n;
    const int64_t *ids;
};
void store_archive_told(struct store *store, struct store_archive_told *op);

/* Every copy of a lure: rows of all owners that were appended with this key. */
struct store_deliveries {
    struct store_request request;
    struct str key;
    uint64_t untold_by; // the order of which is_untold tells
    int64_t after_id;
    uint32_t most;
    uint32_t n; // out
    struct store_delivery {
        int64_t account;
        struct str local, domain;     // the owner
        struct store_message message; // its flags tell: outgoing, spooled, archived, withdrawn
        bool id_repeats; // among the owner's newest, another of the same pair has this message_id
        bool is_untold;  // withdrawn by that order, and its owner perhaps not told: a server's mark
    } * deliveries;
    bool more;
};
void store_deliveries(struct store *store, struct store_deliveries *op);

/* Forgets the keys of rows older than that: at most so many rows.  Rows that are neither archived
 * nor spooled, kept only for these keys, go altogether. */
struct store_deliveries_expire {
    struct store_request request;
    int64_t before_us;
    uint32_t most;
    uint32_t n; // out
    bool more;
};
void store_deliveries_expire(struct store *store, struct store_deliveries_expire *op);

/* ---- Records: small durable things of the rooms above -------------------------------------- */

/* Numbers are on the disk: never change one. */
enum store_kind {
    STORE_INCIDENT = 1,    // key: incident id; group: state
    STORE_HELD = 2,        // key: id of the held message; group: incident; subject: sender
    STORE_DECOY = 3,       // key: JID; subject: who added it
    STORE_SUSPENSION = 4,  // key: scope
    STORE_ENTITLEMENT = 5, // key: id; subject: account
    STORE_RESUMPTION = 6,  // key: resumption id of XEP-0198; subject: account
    STORE_SNAPSHOT = 7,    // key: whose (the guard's: "guard"); value may be large
    STORE_IN_HAND = 8,     // key: hash of what was in hand when the process died (route/in_hand.h)
    STORE_SETTING = 9,     // key: name; what an operator set at run time
    STORE_ORDER = 10,      // key: containment order; group: incident; subject: whom it concerns
};

/* value is opaque.  group and subject can be listed by; empty: none. */
struct store_record {
    struct str key, group, subject, value;
    int64_t created_us; // of the first put
    int64_t expires_us; // 0: never
};

/* Puts or replaces; only_new: ERR_EXISTS instead of replacing. */
struct store_record_put {
    struct store_request request;
    enum store_kind kind;
    struct store_record record;
    bool only_new;
};
void store_record_put(struct store *store, struct store_record_put *op);

/* ERR_MISSING when there is none, or (now_us != 0) it has expired. */
struct store_record_get {
    struct store_request request;
    enum store_kind kind;
    struct str key;
    int64_t now_us;
    struct store_record record; // out
};
void store_record_get(struct store *store, struct store_record_get *op);

/* Gets and removes in one change: of two takers one gets it.  An expired one is removed and
 * ERR_MISSING. */
void store_record_take(struct store *store, struct store_record_get *op);

/* ERR_MISSING. */
struct store_record_remove {
    struct store_request request;
    enum store_kind kind;
    struct str key;
};
void store_record_remove(struct store *store, struct store_record_remove *op);

/* In order of keys.  Empty group or subject: any. */
struct store_record_list {
    struct store_request request;
    enum store_kind kind;
    struct str group, subject;
    struct str after_key;
    uint32_t most;
    int64_t now_us; // not 0: without the expired ones
    uint32_t n;     // out
    struct store_record *records;
    bool more;
};
void store_record_list(struct store *store, struct store_record_list *op);

/* Erases the expired ones of a kind. */
struct store_record_expire {
    struct store_request request;
    enum store_kind kind;
    int64_t now_us;
    uint32_t n; // out
};
void store_record_expire(struct store *store, struct store_record_expire *op);

/* ---- The guard's log of events -------------------------------------------------------------- */

struct store_event {
    int64_t number;
    struct str blob;
};

/* The caller numbers; each number must be greater than all before it: else ERR_EXISTS and none of
 * the call is kept. */
struct store_event_append {
    struct store_request request;
    uint32_t n;
    const struct store_event *events;
};
void store_event_append(struct store *store, struct store_event_append *op);

struct store_event_read {
    struct store_request request;
    int64_t after;
    uint32_t most;
    uint32_t n; // out
    struct store_event *events;
    bool more;
};
void store_event_read(struct store *store, struct store_event_read *op);

/* Forgets events up to and including that number (the newest one of all may stay). */
struct store_event_trim {
    struct store_request request;
    int64_t up_to;
};
void store_event_trim(struct store *store, struct store_event_trim *op);

/* ---- Uploads: what is known of files that people uploaded; the bytes are kept elsewhere ---------
 */

enum { STORE_DIGEST_SIZE = 32 };

struct store_upload {
    struct str id;     // of its URL
    int64_t owner;     // account number
    struct str jid;    // the owner's bare JID
    struct str name;   // as the owner gave it
    struct str type;   // media type by content
    uint64_t size;     // bytes
    struct str digest; // SHA-256, STORE_DIGEST_SIZE bytes
    uint32_t flags;    // the caller's
    struct str finding;
    int64_t created_us, expires_us;
};

/* A new one.  ERR_EXISTS. */
struct store_upload_put {
    struct store_request request;
    struct store_upload upload;
};
void store_upload_put(struct store *store, struct store_upload_put *op);

/* Other flags and finding for one that is there.  ERR_MISSING. */
struct store_upload_mark {
    struct store_request request;
    struct str id;
    uint32_t flags;
    struct str finding;
};
void store_upload_mark(struct store *store, struct store_upload_mark *op);

/* Forgets them in one change; what is gone already is no error. */
struct store_upload_remove {
    struct store_request request;
    uint32_t n;
    const struct str *ids;
    uint32_t n_removed; // out
};
void store_upload_remove(struct store *store, struct store_upload_remove *op);

/* In order of ids. */
struct store_upload_list {
    struct store_request request;
    int64_t owner; // 0: all
    struct str after_id;
    uint32_t most;
    uint32_t n; // out
    struct store_upload *uploads;
    bool more;
};
void store_upload_list(struct store *store, struct store_upload_list *op);

/* ---- The audit record ----------------------------------------------------------------------- */

struct store_audit {
    int64_t number; // out: grows
    int64_t wall_us;
    struct str actor, action, scope, reason, details;
};

struct store_audit_append {
    struct store_request request;
    struct store_audit entry;
};
void store_audit_append(struct store *store, struct store_audit_append *op);

/* Newest first. */
struct store_audit_list {
    struct store_request request;
    int64_t before;          // number; 0: from the newest
    struct str actor, scope; // empty: any
    int64_t since_us;
    uint32_t most;
    uint32_t n; // out
    struct store_audit *entries;
    bool more;
};
void store_audit_list(struct store *store, struct store_audit_list *op);

#endif
