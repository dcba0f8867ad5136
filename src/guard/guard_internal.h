/*
 * The guard's model, as its own files see it.
 *
 *     sight    a key that was seen: how long ago, brought by how many people
 *     user     an account that sent or received a lure, its habits
 *     standing what the guard has done with an account, and it with the guard
 *     cluster  lures that share keys; its members are users, with their part in it
 *     campaign a cluster whose lures share no key: never-seen ones, tied by people
 *     trail    never-seen lures that an account sent, or was shown, of late
 *     binding  one key of a cluster
 *     stop     a convicted key
 *     hold     a message that waits
 *     question what somebody was asked about a cluster
 *
 * Everything is in lists whose order is a function of the events, and in maps
 * that only find; so a walk is deterministic, and saving the lists saves all.
 */
#ifndef GUARD_GUARD_INTERNAL_H
#define GUARD_GUARD_INTERNAL_H

#include "guard/guard.h"
#include "guard/map.h"
#include "guard/slab.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/must.h"

#include <math.h>

enum {
    GAP_BINS = 14,         // of pace: below 64 ms, then doubling, the last without end
    FAN_BINS = 12,         // receivers of one cluster by one sender; the last: more
    EVIDENCE_MOST = 32,    // kept of one cluster
    CLUSTER_ORDERS = 64,   // kept of one cluster
    BINDINGS_MOST = 48,    // keys of one cluster
    MEMBERS_MOST = 8192,   // people of one cluster
    RECEIVERS_MOST = 64,   // receivers told apart, of one member
    RECEIVERS_FEW = 2,     // that have room in the member itself: most have no more
    EVIDENCE_FEW = 2,      // the same, in the cluster
    HOLDS_MOST = 4096,     // messages that wait in all; beyond, they pass
    HITS_MOST = 4096,      // of people on decoys that are remembered
    LET_GO_MOST = 4096,    // that would have waited, and may still be taken back
    OUT_MOST = 0xFFFFFF,   // copies of one person's that are counted as out
    SHOWN_MOST = 160,      // bytes of a printable key
    RULES_MOST = 65536,    // suspensions, entitlements, decoys, each
    RECENT_CLUSTERS = 4,   // that a user sent last
    TEXT_KEPT = 256,       // bytes of actors' and reasons' text
    MACHINE_GAPS = 3,      // of one sender at machine pace: then it is no accident
    QUESTIONS_MOST = 4096, // open ones in all
    QUESTIONS_OF_ONE = 64, // kept of one cluster
    SPAN_BINS = 24, // of pauses: below a second, then doubling, the last: longer, or none before
    SHOWN_KEPT = 4, // never-seen lures that reached one person last
    TRAIL_KEPT = 8, // people whom one person sent never-seen lures last
    PRIOR_COPIES = 200, // never-seen copies that what is rare is shipped with
    SILENT_KEPT = 2,    // accounts that reach many and do not answer
};

/* What only few honest people do with never-seen lures, each within some time of the first. */
enum rarity {
    RARE_STAR,   // send them to config.fresh_most people and one more
    RARE_FULL,   // the same, counted from when they had been shown one
    RARE_BURST,  // send them to config.fresh_spread people
    RARE_SPREAD, // the same, counted from when they had been shown one
    RARITIES
};

/* Whether a worm is about. */
struct outbreak {
    double surge;    // what speaks for it: how many people send never-seen lures to several
    int64_t seen_us; // when that, or somebody's word, last said so
    int64_t sure_us; // when a second one's word did, or a conviction as a tree
    uint64_t by;     // user_hash of whose word was the last; 0: nobody's
    uint64_t silent[SILENT_KEPT]; // those of the last who have reached half of silent_most, and…
    int64_t silent_us[SILENT_KEPT]; // …when, and say nothing; 0: nobody
};

/* What an account sent and was shown of late.  Kept packed (packed.c): the members of most are
 * nothing. */
struct trail {
    uint64_t recent[RECENT_CLUSTERS]; // ids of clusters he sent last
    // of never-seen lures:
    uint64_t campaign;          // that he took part in last; 0: none
    uint64_t sent;              // cluster of the last one he sent; 0: none
    int64_t sent_us;            // when
    uint32_t receiver;          // hash of whom
    double level;               // how many of late: each counts less as the site's window passes
    uint64_t shown[SHOWN_KEPT]; // clusters, the newest first
    int64_t shown_us[SHOWN_KEPT];
    uint32_t to_s[TRAIL_KEPT]; // when he sent one to somebody else, in seconds, the newest first…
    uint16_t to[TRAIL_KEPT];   // …and hashes of whom
    uint8_t n_to;
    int64_t full_us;         // since he was shown one and sent his to so many; 0: he did not
    uint8_t least[RARITIES]; // one more than the bin of his fastest of late; 0: none
    uint8_t n_copies;        // of late, to somebody else each
    uint32_t least_s;        // since when
};

/* One of these for everybody who was ever shown a lure: every byte counts.  Users have numbers of
 * 32 bits, which are pieces of guard.users. */
struct user {
    uint32_t hash_high;    // of his jid
    uint32_t same;         // the next of his chain in guard.user_slots
    uint32_t older, newer; // in the order of use; 0: none
    // n_refs comes last in its word, after others of its type: one more or less needs no mask then
    uint32_t has_standing : 1;
    uint32_t n_taught : 3; // days on which he taught what is rare, and how fast
    uint32_t n_refs : 28;  // members, holds and rules that name him
    uint32_t n_name : 7;   // bytes of his name before its domain; NAME_LONG
    uint32_t is_asked : 1; // his standing is that he was asked this day: packed before his trail
    uint32_t slot : 6;     // on his page, beside which lie the names and trails of all on it
    uint32_t sketch : 6;   // his bit among those who introduced a key
    uint32_t domain : 5;   // of guard.domains, with the '@'; 0: it is in the name
    uint32_t n_fans : 5;   // honest fan-outs of his that the guard has seen settle
    bool is_decoy : 1;
    bool is_remote : 1;  // another server may have any number of accounts: they teach nothing
    uint16_t lesson_day; // day of the lessons counted, its low bits
    uint16_t n_lessons;  // that he taught this day
};

enum {
    USERS_OF_PAGE = 48, // with more less lies idle, and more moves when the trail of one grows
    NAME_LONG = 127,    // a name of so many bytes, or more, has a piece of the heap
    DOMAINS_MOST = 31,  // that are shared by whoever is there
    FANS_MOST = 20,     // that are counted
};

/* A domain that is written once for all its people; the first ones have it, and a domain beyond
 * them is part of its people's names. */
struct user_domain {
    struct str text; // owned; none: it is free
    uint32_t n_users;
};

/* Only of those with whom there is something. */
struct standing {
    uint32_t same;       // the next of its chain in guard.standing_slots
    uint32_t n_brought;  // clusters he began…
    struct list brought; // …and is alone with, oldest first
    struct user *user;
    uint32_t n_questions; // that he was asked this day
    int64_t question_day; // day of the questions counted
    int64_t restricted_until_us;
    uint64_t restricted_by; // incident
};

struct sight {
    struct map_node node;
    struct link link; // in guard.young or guard.known, least recently used first
    struct lure_key key;
    int64_t first_us, last_us;
    uint32_t n_sendings;
    uint32_t introducers;    // people who brought it without having been shown it
    uint64_t who_introduced; // sketch of them
    int64_t counted_us;      // when counted was taken, a day or more after settled
    uint8_t counted;         // introducers then
    uint8_t settled;         // and a day or more before
    bool is_known;           // which list
    uint32_t piece;
};

enum cluster_state {
    CLUSTER_QUIET,
    CLUSTER_OPEN,
    CLUSTER_CONVICTED,
    CLUSTER_RELEASED,
    CLUSTER_EXPIRED
};

struct binding {
    struct map_node node;
    struct link link; // in cluster.bindings, oldest first
    struct cluster *cluster;
    struct lure_key key;
    enum lure_width width : 8;
    bool established : 1; // its host was, when it was bound
    bool stayed : 1; // of an encrypted message that was only observed: it would not have gone out
    uint32_t piece;
    struct str shown; // text
    char text[];
};

struct member {
    struct map_node node; // in guard.members, by cluster and user
    struct link link;     // in cluster.members, by first sight
    struct cluster *cluster;
    struct user *user;
    struct user *from;                         // who exposed him first; NULL: nobody
    int64_t exposed_us, sent_us, last_sent_us; // 0: not
    int64_t opened_us;                         // after he was shown it, before he sent it
    uint32_t n_sent, n_receivers;
    union { // hashes of the last ones, told apart: receivers_of
        uint32_t few[RECEIVERS_FEW];
        uint32_t *many; // owned
    } receivers;
    uint32_t n_machine; // gaps that no hand makes
    uint32_t n_live, n_dormant;
    int32_t roster_index; // of the last receiver
    uint8_t gaps[GAP_BINS];
    uint64_t shape;  // of the words of his first copy
    uint64_t device; // that he sends it with; 0: unknown, UINT64_MAX: several
    double fan, pace, silence, roster, dormant, decoy, streak;
    double relay; // weight of his being a relay, or of his having been one until he said why
    bool is_relay : 1, independent : 1, composed : 1, warned : 1, reported : 1, restricted : 1;
    bool remote : 1;
    bool quoted : 1;     // a copy of his warned of it: that he meant it says nothing of the others
    uint32_t n_out : 24; // copies that were only observed, and would stand at their receivers
    uint32_t piece;
};

struct evidence {
    enum evidence_kind kind;
    double nats;
    struct user *who; // NULL: nobody's; counted in n_refs
    int64_t at_us;
};

struct cluster_order {
    enum order_kind kind;
    bool undo;
    enum reason reason;
    enum audience audience;
    uint64_t number;
    struct user *who; // counted in n_refs; NULL
    int64_t at_us, expires_us;
    uint32_t count;           // equal ones in a row: held messages
    uint32_t done, unspooled; // as in struct incident_order
    enum lure_width width;    // of STOP and RETRACT:
    struct lure_key key;
    struct str shown; // owned
};

struct cluster {
    struct map_node node; // in guard.by_id
    struct link link;     // in guard.clusters[rank], least recently used first
    struct link by_zero;  // in his standing's brought, while it is his alone
    uint64_t id;
    uint32_t piece;
    uint8_t rank; // of memory: 0 forgotten first
    enum cluster_state state;
    enum lure_kind kind;
    bool novel;       // never seen before its first copy
    bool established; // on an established host: only its exact links are in it
    bool is_incident, operators, composed, cleared;
    bool is_campaign;
    bool scarce;       // hardly anybody had brought its host
    bool fresh;        // nobody had seen its lure, which he who began it sent: it may be of a…
    uint64_t campaign; // …or 0
    struct link in_campaign; // in the campaign's lures
    struct list lures;       // of a campaign: clusters, oldest first
    uint32_t n_lures;
    uint32_t n_grown; // of a campaign: relays that reached several people
    struct user *zero;
    int64_t first_us, last_us, convicted_us, ended_us, expires_us;
    int64_t held_us, by_itself_us; // as in struct incident
    struct list bindings, members;
    uint32_t n_bindings, n_members;
    struct member *mature; // the first member not yet looked at for absence; NULL: all are
    uint32_t n_sendings, n_receivers, n_exposed, n_relays, n_fast_relays, n_machine_senders;
    uint32_t n_independent; // senders who had not been exposed, after the first
    uint32_t n_decoy_senders, n_rejected, n_held, n_reports, n_denied, n_waiting, n_stops;
    uint32_t n_taken_back, n_unspooled, n_given_again, n_let_go, n_returned; // by all orders
    uint32_t n_sent_back;
    double window; // receivers at machine pace that may still be reached before the next is held
    struct user *root; // the most suspect of those who had not been shown it; counted in n_refs
    double root_nats, origins;
    double novelty, content, members_nats, relays_nats, words, reports, answers, absence, mimicry;
    double nats;                                 // sum of the above
    struct list questions;                       // oldest first
    uint32_t n_questions, n_asking, n_confirmed; // of these open; people who meant it
    uint32_t ask_again;                          // relays at which people are asked once more
    bool asks_tree;                              // its people are asked
    bool on_trial; // convicted until whoever sent it like a program has answered, or can no more
    struct evidence *evidence; // few, or owned
    struct evidence few[EVIDENCE_FEW];
    size_t n_evidence;
    struct cluster_order *orders;
    size_t n_orders, orders_room;
    struct str actor, why, shown; // owned
    struct lure_key key;          // that convicts
    enum lure_width width;
};

struct stop {
    struct map_node node;
    struct link link; // in guard.stops, by time of the order
    struct lure_key key;
    enum lure_width width;
    uint64_t incident;
    int64_t expires_us;
    struct str shown; // owned
};

/* A message that was only observed: by which of its lures it is found when that is convicted. */
struct copy {
    uint64_t lure; // a cluster's number; 0: of none
    struct lure_key key;
};

struct hold {
    struct link link; // in guard.holds, by due_us
    struct cluster *cluster;
    struct user *sender;
    uint64_t message;
    int64_t due_us;
    bool asked;
    bool observed; // then:
    struct copy copy;
};

struct question {
    struct link link;       // in guard.questions while open, by due_us; in guard.late by late_us
    struct link in_cluster; // cluster.questions
    struct cluster *cluster;
    struct user *who; // counted in n_refs
    uint64_t number, device;
    int64_t asked_us, due_us, ended_us;
    int64_t late_us;    // expired, and still answered until then; 0: not
    uint32_t receivers; // whom he had sent it to when he was asked
    enum question_state state;
    enum answer_trust trust;
};

struct ban { // a suspension
    struct link link;
    enum feature_kind feature;
    struct str domain, account, actor, why; // owned
    int64_t expires_us;
};

struct right { // an entitlement
    struct link link;
    struct user *user;             // counted in n_refs
    struct str domain, actor, why; // owned
    uint32_t most, n_today;
    int64_t day, expires_us;
};

struct tally { // as struct guard_tally
    struct map_node node;
    struct link link; // in guard.tallies, longest untouched first
    uint64_t incident;
    struct str domain, shown; // owned
    int64_t day;              // of what belongs to no incident
    int64_t first_us, last_us, convicted_us, by_hand_us, released_us;
    uint32_t n_sendings, n_rejects, n_holds, n_retracts, n_restricts, n_reports;
};

/* A message that would have been held, and let go: should it be taken back, it counts as that. */
struct let_go {
    struct link link; // in guard.let_go, oldest first
    struct copy copy;
    uint64_t incident; // under which it counts as held
    struct str domain; // of its sender; owned
};

struct decoy_hit {    // as struct guard_decoy_hit; what else is told is his, as a member
    struct link link; // in guard.hits, newest first
    struct cluster *cluster;
    struct user *sender, *decoy; // counted in n_refs; decoy NULL: it was not noted which
    int64_t at_us;
};

/* What the site has taught; all start from shipped priors. */
struct lessons {
    double novel, sendings;                      // sendings of never-seen lures, of all
    double relayed, exposed;                     // settled exposures that were passed on, of all
    double gaps[GAP_BINS];                       // between copies of one lure to different people
    double went_on[FAN_BINS], stopped[FAN_BINS]; // after k receivers
    // of never-seen lures: the pause since the sender's one before, to somebody else
    double spans[SPAN_BINS];
    double shown, lags[SPAN_BINS]; // people shown one; the pause until they sent another
    double taught;                 // never-seen lures that were counted below
    double led, streaks; // never-seen lures after one to somebody else; with nothing said between
    double copies;       // of never-seen lures, to one person each
    double rare[RARITIES][SPAN_BINS]; // how long the fastest of late took whoever did it at all
    // …in which share of the copies so long or less, as far as that is believed; when, and since
    // when
    double believed[RARITIES][SPAN_BINS], believed_s, since_s;
};

struct guard {
    struct guard_config config;
    uint64_t seed;
    struct hash_key hash_key;
    uint64_t number;
    int64_t now_us;
    uint64_t next_cluster, next_order;
    struct map sights_map, bindings_map, members_map, by_id, stops_map, tallies_map;
    struct list young, known, clusters[4], stops, holds, bans, rights, tallies, questions, late;
    struct slab users, pieces;
    struct user_domain domains[DOMAINS_MOST]; // the first is number 1
    uint32_t n_domains;                       // places of them that were ever taken
    struct users_said *users_said;            // what user_jid and standing_of have said last
    size_t bytes_texts;                       // names, trails and domains of users
    uint32_t *user_slots;                     // the first of each chain
    uint32_t n_user_slots;
    uint32_t *standing_slots; // likewise
    uint32_t n_standing_slots, n_standings;
    uint32_t oldest_user, newest_user; // by use
    uint32_t next_tidied;              // whose trail is looked at next; 0: the newest's
    size_t n_users, n_young, n_known, n_clusters, n_stops, n_holds, n_bans, n_rights, n_decoys;
    size_t bytes_users, bytes_sights, bytes_clusters;
    struct lessons lessons;
    uint64_t n_sendings, n_delivered, n_held, n_rejected, n_exposures, n_forgotten, n_convicted;
    uint64_t n_incidents;
    struct outbreak outbreak;
    size_t n_questions; // open
    size_t n_late;      // questions whose time is over, and that may still be answered
    uint64_t n_asked, n_said_yes, n_said_no, n_unanswered, n_withdrawn;
    size_t n_restricted; // users
    // for whoever watches: since the start, no part of a snapshot
    uint64_t n_taken_back, n_given_again, n_decoy_hits, n_campaigns;
    struct guard_sealed sealed;
    struct list let_go, hits;
    size_t n_tallies, n_let_go, n_hits;
    uint64_t n_tallies_forgotten, n_would_reject, n_would_hold;
    uint64_t forest; // the present one (sealed.c), found again after a start; 0: not looked for
    int64_t next_expiry_us; // no stop, restriction, suspension or entitlement ends before
};

/* ---- users.c ---- */

uint64_t guard_hash(const struct guard *guard, struct str text);
/* Of a key, which is a hash already: what is left is that nobody outside may foretell its place. */
static inline uint64_t guard_hash_key(const struct guard *guard, const struct lure_key *key)
{
    uint64_t halves[2], secret[2];
    memcpy(halves, key->bytes, sizeof halves);
    memcpy(secret, guard->hash_key.bytes, sizeof secret);
    unsigned __int128 product =
        (unsigned __int128)(halves[0] ^ secret[0]) * (halves[1] ^ secret[1]);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
/* Zeroed, and a piece of guard.pieces: what comes and goes with every lure. */
void *piece_make(struct guard *guard, size_t size, uint32_t *piece);
struct str own_text(struct str text, size_t most); // a copy on the heap; str_free gives it back
void str_free(struct str *text);

static inline struct user *user_at(const struct guard *guard, uint32_t number)
{
    if (number == 0)
        return NULL;
    struct slab_page *page = slab_page_of(&guard->users, number); // not slab_at: the size is known
    return (struct user *)(void *)page->at + number % SLAB_SLOTS;
}
/* All users, least recently used first; the current one may be freed or moved in the body. */
#define USERS_EACH(guard, it)                                                                      \
    for (struct user *it = user_at(guard, (guard)->oldest_user), *it##_next;                       \
         it != NULL && (it##_next = user_at(guard, it->newer), true); it = it##_next)

/* Of his jid, all of it: what hash_high is half of. */
uint64_t user_hash(const struct guard *guard, const struct user *user);
struct users_said *users_said_new(void); // users_free frees it
/* Good until the fourth call after it, of this or of user_hash. */
struct str user_jid(const struct guard *guard, const struct user *user);
/* Finds or makes; counts as use. */
struct user *user_get(struct guard *guard, struct str jid);
/* Of a sending or an exposure, one after the other. */
void user_get_both(struct guard *guard, struct str sender_jid, struct str receiver_jid,
                   struct user **sender, struct user **receiver);
struct user *user_find(const struct guard *guard, struct str jid); // NULL
/* Whether the user may teach one more observation today; counts it. */
bool user_may_teach(struct guard *guard, struct user *user);
/* Whether the one that was counted last was still a lesson. */
bool user_teaches(const struct guard *guard, const struct user *user);
void user_was_seen_fanning(struct user *user);
/* A number below users_indexes that no other user has. */
size_t user_index(const struct guard *guard, const struct user *user);
size_t users_indexes(const struct guard *guard);
/* Whose trail is looked at next; as it was saved. */
void users_tidy_from(struct guard *guard, const struct user *user);
/* Forgets users that nothing refers to while their share of memory is exceeded, and of some others
 * what is of no use any more. */
void users_trim(struct guard *guard);
void users_free(struct guard *guard);
/* Heap that users take, with whatever is theirs. */
size_t users_memory(const struct guard *guard);
bool has_trail(const struct user *user);
/* What is known of his lures; all nothing where that is so. */
struct trail trail_of(const struct guard *guard, const struct user *user);
void trail_put(struct guard *guard, struct user *user, const struct trail *trail);
/* Puts a cluster before the recent ones, unless it is their first: without unpacking the rest, for
 * each message with a lure does it.  False: it has to be unpacked, and nothing has been done. */
bool trail_adds_recent(struct guard *guard, struct user *user, uint64_t id) MUST_CHECK;
/* NULL: there is nothing.  Of whoever was only asked it is a copy, good until the next call: to
 * change it takes standing_get. */
struct standing *standing_of(const struct guard *guard, const struct user *user);
struct standing *standing_get(struct guard *guard, struct user *user);
/* Forgets it where there is nothing any more, or packs it where he was only asked. */
void standing_tidy(struct guard *guard, struct user *user);
/* 0: he is not. */
static inline int64_t restricted_until_us(const struct guard *guard, const struct user *user)
{
    return user->has_standing ? standing_of(guard, user)->restricted_until_us : 0;
}
static inline uint64_t restricted_by(const struct guard *guard, const struct user *user)
{
    return user->has_standing ? standing_of(guard, user)->restricted_by : 0;
}

/* ---- packed.c ---- */

enum { TRAIL_LONGEST = 256 }; // bytes, whatever is in it

/* How many of a trail's clusters there are; those behind them are none. */
static inline size_t ids_kept(const uint64_t *ids, size_t most)
{
    while (most > 0 && ids[most - 1] == 0)
        most--;
    return most;
}

/* How many bytes; none where all of it is nothing. */
size_t trail_pack(const struct trail *trail, unsigned char *out);
/* at: what trail_pack wrote; NULL: nothing.  Everything that was packed, bit for bit. */
struct trail trail_unpack(const unsigned char *at);
/* The n bytes that were packed, with the cluster put before the recent ones.  Not: it has to be
 * unpacked for that; same: it is their first already. */
enum packed_adds { ADDS_NOT, ADDS_SAME, ADDS_MORE };
enum packed_adds trail_pack_recent(const unsigned char *at, size_t n, uint64_t id,
                                   unsigned char *out, size_t *n_out) MUST_CHECK;
/* Whether it has nothing but when he last sent one, and clusters, of which *oldest is one that may
 * be gone; 0: none. */
bool trail_is_plain(const unsigned char *at, uint64_t *oldest) MUST_CHECK;

/* ---- sights.c ---- */

struct sight *sight_find(const struct guard *guard, const struct lure_key *key); // NULL
/* Counts one sending of the key; independent: by somebody who had not been shown it. */
void sight_count(struct guard *guard, const struct lure_key *key, const struct user *by,
                 bool independent);
struct sight *sight_make(struct guard *guard, const struct lure_key *key);
void sight_free(struct guard *guard, struct sight *sight);
/* Known for long enough, brought by enough people. */
bool sight_is_established(const struct guard *guard, const struct sight *sight);

/* How many had brought it a day or two ago: a worm's own victims make its hosts no better known. */
uint32_t sight_settled(const struct guard *guard, const struct sight *sight);
/* The key by which a lure's novelty is judged: its domain, or a file's digest. */
const struct lure_key *lure_home_key(const struct lure *lure);
bool lure_is_established(const struct guard *guard, const struct lure *lure);
/* Its host was known, but to so few that they may be a worm's own accounts. */
bool lure_is_scarce(const struct guard *guard, const struct lure *lure);

/* ---- clusters.c ---- */

/* The cluster that shares a linking key with the lure; NULL when there is none. */
struct cluster *cluster_find(const struct guard *guard, const struct lure *lure, bool established,
                             enum lure_width *via);
struct binding *binding_find(const struct guard *guard, const struct lure_key *key); // NULL
struct cluster *cluster_find_key(const struct guard *guard, const struct lure_key *key);
struct cluster *cluster_by_id(const struct guard *guard, uint64_t id);
/* established: only the exact link is bound. */
struct cluster *cluster_make(struct guard *guard, const struct lure *lure, bool established,
                             struct user *zero);
void cluster_bind(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                  bool established);
struct binding *binding_make(struct guard *guard, struct cluster *cluster,
                             const struct lure_key *key, enum lure_width width, bool established,
                             struct str shown);
/* NULL where the cluster is full. */
struct member *member_get(struct guard *guard, struct cluster *cluster, struct user *user);
/* He sent it with this device (0: unknown): on others he can be asked. */
void member_uses(struct member *member, uint64_t device);
struct member *member_find(const struct guard *guard, const struct cluster *cluster,
                           const struct user *user);
/* The most suspect of those who had not been shown it; NULL: there is none. */
static inline struct member *member_of_root(const struct guard *guard,
                                            const struct cluster *cluster)
{
    return cluster->root != NULL ? member_find(guard, cluster, cluster->root) : NULL;
}
/* The same for a cluster that is being read from a snapshot: no look for an older one. */
struct member *member_make(struct guard *guard, struct cluster *cluster, struct user *user);
/* Moves the cluster to the end of its rank's list, the rank by its evidence. */
void cluster_touch(struct guard *guard, struct cluster *cluster);
void cluster_rank(struct guard *guard, struct cluster *cluster);
/* The newest of its narrowest keys; NULL when it has none any more. */
const struct binding *cluster_narrowest(const struct cluster *cluster);
void cluster_share(struct guard *guard,
                   struct cluster *cluster); // no longer its first sender's alone
/* The record stays, but no lure belongs to it any more. */
void cluster_close(struct guard *guard, struct cluster *cluster);
/* Every hold must be gone. */
void cluster_forget(struct guard *guard, struct cluster *cluster);
/* Forgets what memory, age and the limit of open clusters of one account demand. */
void clusters_trim(struct guard *guard, struct cluster *keep);
/* Whether a template may tie two lures together. */
bool lure_template_links(const struct lure *lure, bool established);
struct cluster *cluster_new(struct guard *guard, uint64_t id, struct user *zero);
/* Room for one more receiver of a member that tells n of them apart, for one more piece of evidence
 * of a cluster.  Both are counted as the cluster's memory. */
void member_make_room(struct guard *guard, struct member *member, size_t n);
/* He is known to have reached so many, whoever they are. */
void member_reached(struct guard *guard, struct member *member, uint32_t n_receivers);
void cluster_make_room(struct guard *guard, struct cluster *cluster);
static inline size_t n_told_apart(const struct member *member)
{
    return member->n_receivers < RECEIVERS_MOST ? member->n_receivers : RECEIVERS_MOST;
}
static inline uint32_t *receivers_of(struct member *member, size_t n)
{
    return n <= RECEIVERS_FEW ? member->receivers.few : member->receivers.many;
}

/* ---- evidence.c ---- */

void lessons_default(struct lessons *lessons);
/* False: its weight stays out of every sum, and what only it can tell is not seen. */
bool evidence_counts(const struct guard *guard, enum evidence_kind kind);
void evidence_add(struct guard *guard, struct cluster *cluster, enum evidence_kind kind,
                  double nats, struct user *who);
void cluster_sum(struct cluster *cluster);
double member_nats(const struct member *member);
/* A copy is sent; member is the sender's.  Returns whether it came at machine pace. */
bool evidence_of_sending(struct guard *guard, struct cluster *cluster, struct member *member,
                         const struct sending *sending, enum lure_width via, struct user *receiver);
/* How a copy was sent: pace, silence, roster, to whom.  Returns whether it came at machine pace. */
bool evidence_of_manner(struct guard *guard, struct cluster *cluster, struct member *member,
                        const struct sending *sending, struct user *receiver);
/* Whether a hit of a decoy that says so much is one after the second of its lure. */
bool decoy_hit_is_discounted(double nats);
void decoy_hit_add(struct guard *guard, struct cluster *cluster, struct user *sender,
                   struct user *decoy, int64_t at_us);
void decoy_hit_free(struct guard *guard, struct decoy_hit *hit);
/* The cluster is about to be forgotten. */
void decoy_hits_forget(struct guard *guard, const struct cluster *cluster);
/* The member's parts have changed from what they were: notes it and adds up. */
void evidence_of_member(struct guard *guard, struct cluster *cluster, struct member *member,
                        const struct member *was);
/* False where the member has sent to this receiver before; remembers him. */
bool member_is_new_receiver(struct guard *guard, struct member *member,
                            const struct user *receiver);
void evidence_of_novelty(struct guard *guard, struct cluster *cluster);
/* Its host is established now.  Who brought a link before that may have done so to make it known,
 * and hides nobody who passes it on afterwards. */
void evidence_of_establishment(struct guard *guard, struct cluster *cluster,
                               const struct lure *lure);
void evidence_of_birth(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                       struct user *sender);
/* What the lure is by itself; the most that was ever said of it counts. */
void evidence_of_content(struct guard *guard, struct cluster *cluster, const struct lure *lure,
                         struct user *sender);
void evidence_of_absence(struct guard *guard, struct cluster *cluster);
void evidence_of_report(struct guard *guard, struct cluster *cluster, struct user *reporter,
                        double nats);
/* What a quiet cluster's end teaches about honest people. */
void lessons_of(struct guard *guard, struct cluster *cluster);
bool may_hold(const struct guard *guard, const struct cluster *cluster);
bool may_convict(const struct guard *guard, const struct cluster *cluster);
/* Not counting that a star may; and not, unless human_pace, by relays at a human pace. */
bool may_convict_tree(const struct guard *guard, const struct cluster *cluster, bool human_pace);
/* So much speaks for a tree's conviction that nobody's word would take it back: several programs
 * that passed it on, somebody's denial, decoys, reports. */
bool tree_is_beyond_words(const struct guard *guard, const struct cluster *cluster);
/* Of what is on trial: what is left once somebody's acts are explained would convict still. */
bool still_stands(const struct guard *guard, const struct cluster *cluster);
bool cluster_is_tree(const struct guard *guard, const struct cluster *cluster);
/* Whether his acts are in members_nats: also when he is no relay any more, as what explains them is
 * in answers.  Else they would count once more, as those of a root. */
static inline bool is_summed_as_relay(const struct member *member)
{
    return member->is_relay || member->relay > 0;
}
/* A tree that no more than a hand made, of three relays or more. */
bool is_slow_tree(const struct guard *guard, const struct cluster *cluster);
bool member_must_respond(const struct guard *guard, const struct cluster *cluster,
                         const struct member *member);

/* ---- trails.c ---- */

/* How many never-seen lures he sent of late. */
double trail_level(const struct guard *guard, const struct trail *trail);
/* Whether the account has sent never-seen lures to so many of late that it is to be asked; and that
 * the next must wait, since it had been shown one itself. */
bool trail_is_star(const struct guard *guard, const struct trail *trail);
bool trail_is_full(const struct guard *guard, const struct trail *trail);
/* Out of all proportion, so that he has reached everybody before he could answer. */
bool trail_is_burst(const struct guard *guard, const struct trail *trail);
/* He has said that he meant it: the count begins anew. */
void trail_clear(struct guard *guard, struct user *user);
/* He has sent of it last. */
void note_recent(struct guard *guard, struct user *sender, const struct cluster *cluster);
/* One was sent to him whom the hash stands for, or to so many in a room.  False: he is one of those
 * who had the last. */
bool trail_adds(struct guard *guard, struct trail *trail, uint32_t receiver, uint32_t audience);
/* When he sent the n-th last one, to somebody else each; 0: he has not sent so many. */
int64_t trail_nth_us(const struct trail *trail, size_t n);
/* He did that within this time. */
void trail_notes(struct trail *trail, enum rarity rarity, int64_t took_us);
/* What trail_adds has added is counted: how fast he has reached several, and many.  What he did of
 * late teaches what is ordinary, once it is old enough for others to have said something. */
void trail_counts(struct guard *guard, struct user *user, struct trail *trail);
/* The share of the copies that honest people who did it as fast as that have sent. */
double rare_share(const struct lessons *lessons, enum rarity rarity, size_t bin);
/* What it weighs that somebody did it within the time of this bin; 0: it is too common. */
double rare_nats(const struct guard *guard, enum rarity rarity, size_t bin);
/* What was taught is believed at once while a site is new, and later as fast as what is rare may
 * become ordinary. */
void rare_believe(struct lessons *lessons, int64_t now_us, int64_t doubling_us);
/* As if it were new. */
void rare_believe_all(struct lessons *lessons);
/* The time within which this share of the copies was sent by honest people who did it. */
int64_t rare_window_us(const struct lessons *lessons, enum rarity rarity, double share);

/* ---- outbreak.c ---- */

/* One person's word that he did not send never-seen lures, at a hand's pace: a worm is about. */
void outbreak_denied(struct guard *guard, const struct user *by);
/* The same, by what several did. */
void outbreak_convicted(struct guard *guard);
enum outbreak_level outbreak_level(const struct guard *guard);
/* Whether so many never-seen lures of an account have gone out that its owner is asked whether he
 * meant it: as a star, or to fewer while a worm is about; and that the next one waits for his word.
 */
bool trail_asks(const struct guard *guard, const struct trail *trail);
bool trail_waits(const struct guard *guard, const struct trail *trail);
/* He was asked, says nothing, and has reached as many as he may so: half as many where he is not
 * the only one of late. */
bool outbreak_silences(struct guard *guard, const struct cluster *cluster,
                       const struct trail *trail, const struct user *user);
/* The account has sent one to somebody else: is that what many do of late? */
void outbreak_counts(struct guard *guard, const struct trail *trail);

/* ---- campaigns.c ---- */

/* A never-seen lure was sent by him who brought it, the first copy (is_born) or another: what he
 * and whoever showed him such a lure have done of late is weighed, whatever the hosts.  The
 * campaign that it is of, or NULL. */
struct cluster *campaign_takes(struct guard *guard, struct cluster *cluster, struct user *sender,
                               struct user *receiver, const struct sending *sending, bool is_born,
                               bool *machine);
/* Its host is established, and by more people than a worm may have accounts of its own; and it is
 * no shortener's link that nobody had seen, for of those anybody has any number. */
static inline bool cluster_is_everyones(const struct cluster *cluster)
{
    return cluster->established && !cluster->scarce && !cluster->fresh;
}
/* Whether the lure is of a campaign that people are asked about: a worm also travels by people who
 * mean to pass its lures on, so what they show and send counts then. */
static inline bool is_of_incident(const struct guard *guard, const struct cluster *cluster)
{
    const struct cluster *campaign = cluster_by_id(guard, cluster->campaign);
    return campaign != NULL && campaign->is_incident && !campaign->cleared;
}
/* A never-seen lure reached him. */
void campaign_shown(struct guard *guard, struct cluster *cluster, struct user *sender,
                    struct user *receiver);
/* Pauses are counted in bins that double. */
size_t span_bin(int64_t span_us);
/* Whether the site has taught what pauses are ordinary here: priors fit no site in particular. */
bool campaign_is_taught(const struct guard *guard);
/* Whether a conviction is of somebody's lures too: a star's is of nobody else's, else whoever shows
 * a lure to honest people could have theirs taken back. */
bool campaign_covers(const struct guard *guard, const struct cluster *campaign,
                     const struct user *sender);
/* Whether somebody's never-seen lures are still refused after his campaign's conviction. */
bool campaign_follows(const struct guard *guard, const struct cluster *campaign,
                      const struct user *sender);
/* Its sender has denied this lure: his campaign is known, and is made if it was none. */
void campaign_denied(struct guard *guard, struct cluster *cluster);
/* Whether he joined it after that, having been shown a lure of it: then his own word decides. */
bool campaign_is_late(const struct guard *guard, const struct cluster *campaign,
                      const struct member *member);
/* What a member does himself, to three people or more, and being a relay or having led to some, in
 * nats: where people send much, what others do adds up by chance, and nobody is to wait for that.
 */
double campaign_loudness(const struct guard *guard, const struct cluster *campaign,
                         const struct member *member);
/* Whether who began this lure has said that it was not he, and this one was shown it: that he means
 * to pass it on makes it no less a worm's. */
bool campaign_disowns(const struct guard *guard, const struct cluster *cluster,
                      const struct member *member);
void campaign_add(struct cluster *campaign, struct cluster *cluster);
void campaign_leave(struct guard *guard, struct cluster *cluster);
/* After its conviction another device of his says that he meant it: his are given again. */
void campaign_confirmed(struct guard *guard, struct cluster *campaign, struct user *user,
                        struct guard_word *word);
void campaign_lessons_default(struct lessons *lessons);
/* The pause by which most never-seen lures of one person are apart here: config.fresh_share of
 * them follow sooner. */
int64_t fresh_window_us(const struct guard *guard);

/* ---- sealed.c ---- */

/* Runs of encrypted messages, all of late: a campaign of that kind. */
static inline bool cluster_is_forest(const struct cluster *cluster)
{
    return cluster->is_campaign && cluster->kind == LURE_SEALED;
}
/* A run began with these. */
void take_sealed(struct guard *guard, const struct exposure *exposure);
/* One more message of a run. */
enum verdict judge_sealed(struct guard *guard, struct user *sender, struct user *receiver,
                          const struct sending *sending, const struct lure_key *key,
                          enum reason *reason, uint64_t *incident, struct guard_word *word);
bool sealed_may_convict(const struct guard *guard, const struct cluster *forest);
/* Whether a conviction is of what he sent. */
bool sealed_covers(const struct guard *guard, const struct cluster *forest,
                   const struct member *member);
void sealed_convict(struct guard *guard, struct cluster *forest, bool observed,
                    struct guard_word *word);

/* ---- orders.c ---- */

/* One more order of the word; the caller may still fill in key, message, expiry, question. */
struct order *order_add(struct guard *guard, struct guard_word *word, struct cluster *cluster,
                        const struct order *wanted, struct user *who);
struct stop *stop_find(const struct guard *guard, const struct lure *lure);
struct stop *stop_find_key(const struct guard *guard, const struct lure_key *key);
/* Of this key, by that incident; NULL: it is not stopped, or by another. */
struct stop *stop_find_of(const struct guard *guard, const struct cluster *incident,
                          const struct lure_key *key);
/* A copy was refused by that key. */
void stop_refused(struct cluster *cluster, const struct lure_key *key);
void take_outcome(struct guard *guard, const struct order_outcome *outcome);
/* Memory that the record of an order takes. */
size_t order_size(const struct cluster_order *order);
struct stop *stop_make(struct guard *guard, const struct lure_key *key);
void stop_free(struct guard *guard, struct stop *stop);
void cluster_becomes_incident(struct guard *guard, struct cluster *cluster);
void cluster_is_convicted(struct guard *guard, struct cluster *cluster, const struct lure_key *key,
                          enum lure_width width, struct str shown, int64_t expires_us);
/* That it has been convicted. */
void tell_operator(struct guard *guard, struct cluster *cluster, struct guard_word *word);
/* By evidence: the narrowest keys that cover the cluster. */
void convict(struct guard *guard, struct cluster *cluster, struct guard_word *word);
/* One more key of a convicted cluster. */
void convict_key(struct guard *guard, struct cluster *cluster, const struct lure_key *key,
                 enum lure_width width, struct str shown, int64_t expires_us, enum reason reason,
                 struct guard_word *word);
/* An operator's, of an incident by its number (conviction->lure is NULL); whether it has such keys.
 */
bool convict_as_told(struct guard *guard, struct cluster *cluster,
                     const struct conviction *conviction, struct guard_word *word);
int64_t conviction_end_us(const struct guard *guard, const struct conviction *conviction);
/* The width of the keys that cover it narrowest; -1: it has none that may be convicted. */
int conviction_width(const struct cluster *cluster);
void restrict_members(struct guard *guard, struct cluster *cluster, struct guard_word *word);
void restrict_member(struct guard *guard, struct cluster *cluster, struct member *member,
                     enum reason reason, struct guard_word *word);
void restrict_undo(struct guard *guard, struct user *user, enum reason reason,
                   struct guard_word *word);
void stop_undo(struct guard *guard, struct cluster *cluster, struct stop *stop, enum reason reason,
               struct guard_word *word);
void stops_undo(struct guard *guard, struct cluster *cluster, enum reason reason,
                struct guard_word *word);
/* Whether one more message of his may wait: each sender may take up as many places as he leaves
 * free, so that no flood of one account lets another's worm pass unheld. */
bool hold_has_room(const struct guard *guard, const struct user *sender);
void hold_add(struct guard *guard, struct cluster *cluster, struct user *sender,
              const struct sending *sending, struct guard_word *word);
void holds_end(struct guard *guard, struct cluster *cluster, struct user *sender, bool deliver,
               enum reason reason, struct guard_word *word);
void hold_free(struct guard *guard, struct hold *hold);
void time_passes(struct guard *guard, struct guard_word *word);
void expiry_note(struct guard *guard, int64_t expires_us);

/* ---- questions.c ---- */

/* What is asked before a cluster is convicted by evidence. */
enum asking {
    ASK_NOBODY,  // convict
    ASK_SENDER,  // convict until this sender has answered; this copy waits
    ASK_NO_MORE, // not now: its people are asked, or meant it
};
enum asking questions_first(struct guard *guard, struct cluster *cluster, struct member *member,
                            const struct sending *sending, struct guard_word *word);
/* A copy of a lure that is not convicted: asks whom there is to ask.  Its verdict, or
 * VERDICT_DELIVER: they have nothing against it. */
enum verdict questions_of_tree(struct guard *guard, struct cluster *cluster, struct member *member,
                               const struct sending *sending, enum reason *reason,
                               struct guard_word *word);
/* Somebody's next copy needs his own word: VERDICT_DELIVER when he has given it, or nobody may be
 * asked. */
enum verdict questions_of_sender(struct guard *guard, struct cluster *cluster,
                                 struct member *member, const struct sending *sending,
                                 enum reason *reason, struct guard_word *word);
/* Asks him; false: he is not asked, or was before. */
bool question_put(struct guard *guard, struct cluster *cluster, struct member *member,
                  struct guard_word *word);
/* Whether a question to him about it waits for his answer, or waited in vain; whether he meant to
 * send it. */
bool question_is_open(const struct cluster *cluster, const struct user *user);
bool question_is_late(const struct cluster *cluster, const struct user *user); // he may still
bool question_is_silent(const struct cluster *cluster, const struct user *user);
bool question_confirmed(const struct cluster *cluster, const struct user *user);
bool question_denied(const struct cluster *cluster, const struct user *user);
/* Until when a message of his waits for an answer: his own, or once he has given it, the others';
 * 0: for none. */
int64_t questions_wait_us(const struct cluster *cluster, const struct user *user);
/* Why what waited for one returns. */
enum reason questions_end_reason(const struct cluster *cluster, const struct user *user);
/* One whose acts began the trial says that it was not he; or several do who joined it: one of those
 * may be anybody's account. */
bool trial_is_denied(const struct guard *guard, const struct cluster *cluster);
/* Whether the trial still waits for the word of somebody whose acts began it. */
bool accused_are_asked(const struct cluster *cluster);
/* One more copy of what is convicted on trial: its sender is asked as well, unless he was shown it;
 * then he is a relay, and his returns. */
enum verdict questions_of_trial(struct guard *guard, struct cluster *cluster, struct member *member,
                                const struct sending *sending, enum reason *reason,
                                struct guard_word *word);
void take_answer(struct guard *guard, const struct answer *answer, struct guard_word *word);
/* Who began at machine pace what is convicted by what others did: it takes his own word that it was
 * not he to take his links. */
void question_of_root(struct guard *guard, struct cluster *cluster, struct guard_word *word);
/* Convicted for good: nobody's answer is waited for any more, and what waited for one returns.  Who
 * was asked may still say that it was not he, and loses his links then. */
void questions_overtaken(struct guard *guard, struct cluster *cluster, struct guard_word *word);
/* Nobody needs to know any more. */
void questions_withdraw(struct guard *guard, struct cluster *cluster, struct guard_word *word);
/* The time for answers is over. */
void questions_due(struct guard *guard, struct guard_word *word);
struct question *question_make(struct guard *guard, struct cluster *cluster, struct user *who);
/* Puts an open question where it is due; one that may still be answered (late_us) likewise. */
void question_queue(struct guard *guard, struct question *question);
void question_queue_late(struct guard *guard, struct question *question);
/* The cluster is about to be forgotten. */
void questions_forget(struct guard *guard, struct cluster *cluster);

/* ---- policy.c ---- */

struct ban *ban_find(const struct guard *guard, enum feature_kind feature, struct str sender);
struct str domain_of(struct str jid);
/* Whether the sender is entitled to send all these lures to one more receiver; counts it. */
bool right_covers(struct guard *guard, struct user *sender, const struct sending *sending);
void take_suspension(struct guard *guard, const struct suspension *suspension,
                     struct guard_word *word);
void take_entitlement(struct guard *guard, const struct entitlement *entitlement,
                      struct guard_word *word);
void take_decoy(struct guard *guard, const struct decoy *decoy, struct guard_word *word);
struct ban *ban_new(struct guard *guard);
void ban_free(struct guard *guard, struct ban *ban);
struct right *right_new(struct guard *guard, struct user *user);
void right_free(struct guard *guard, struct right *right);
void policy_expire(struct guard *guard);

/* ---- tally.c ---- */

/* After the guard's word about what is only observed. */
void tally_sending(struct guard *guard, const struct sending *sending,
                   const struct guard_word *word);
void tally_report(struct guard *guard, const struct report *report, const struct guard_word *word);
/* The copy that an observed message counts as, where a verdict is about this incident, or 0. */
struct copy tally_copy(const struct guard *guard, const struct sending *sending, uint64_t incident);
/* What was only observed would wait no longer. */
void tally_hold_ends(struct guard *guard, const struct hold *hold, bool deliver,
                     enum reason reason);
void let_go_add(struct guard *guard, const struct copy *copy, uint64_t incident, struct str domain);
void let_go_free(struct guard *guard, struct let_go *let_go);
/* Somebody's word against this cluster was taken, by a report that is only observed. */
void tally_reported(struct guard *guard, const struct cluster *cluster, struct str reporter);
/* An operator convicted it, or released it. */
void tally_operator(struct guard *guard, struct cluster *cluster, bool convicts);
struct tally *tally_find(const struct guard *guard, uint64_t incident, struct str domain,
                         int64_t day); // NULL
struct tally *tally_make(struct guard *guard, uint64_t incident, struct str domain, int64_t day);
void tally_free(struct guard *guard, struct tally *tally);
/* Forgets what is too old, or too much. */
void tallies_trim(struct guard *guard);

/* Days since 1970. */
static inline int64_t guard_day(const struct guard *guard)
{
    return guard->now_us / (86400 * INT64_C(1000000));
}

static inline double clamp(double low, double value, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- opening.c ---- */

void take_opening(struct guard *guard, const struct opened *opened);
/* What it adds that this new relay had opened the lure. */
double opening_of_relay(struct guard *guard, struct cluster *cluster, struct member *member);
/* What it weighs that somebody who was shown the lure did not pass it on. */
double opening_of_absent(const struct guard *guard, const struct member *member);

/* ---- judge.c ---- */

void take_sending(struct guard *guard, const struct sending *sending, struct guard_word *word);

/* ---- exposure.c ---- */

void take_exposure(struct guard *guard, const struct exposure *exposure);

/* ---- report.c ---- */

void take_report(struct guard *guard, const struct report *report, struct guard_word *word);

/* ---- operator.c ---- */

void take_conviction(struct guard *guard, const struct conviction *conviction,
                     struct guard_word *word);
void take_conviction_of_incident(struct guard *guard, const struct conviction *conviction,
                                 struct guard_word *word);
void take_release(struct guard *guard, const struct release *release, struct guard_word *word);

#endif
