/*
 * Lures: what a message invites its reader to open.
 *
 * A worker that has parsed a stanza fills one list with whatever the stanza
 * shows a person, asks for the keys, and hands both to the guard:
 *
 *     struct lure_list list;
 *     lure_list_init(&list, rules, arena);
 *     lure_scan_text(&list, body);
 *     lure_add_url(&list, oob_url);
 *     if (list.n > 0) {
 *         lure_list_keys(&list, &people);
 *         ...
 *     }
 *
 * Text without a lure costs some tens of nanoseconds and no allocation.  What
 * is written here works on text of strangers: it is linear in its length,
 * bounded by LURES_MOST, and never fails; at worst a link is not one.
 *
 * Keys are unkeyed BLAKE2b of the canonical form, 128 bits: nobody can make his
 * link collide with another, and every worker, store and site computes the same.
 */
#ifndef GUARD_LURE_H
#define GUARD_LURE_H

#include "base/arena.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { LURES_MOST = 64 }; // different lures in one list; see lure_list.overflowed

/* Read-only tables (UTS-46, public suffixes, well-known hosts), shared by all threads. */
struct lure_rules;

struct lure_rules *lure_rules_new(void);
void lure_rules_free(struct lure_rules **rules);

enum lure_kind {
    LURE_LINK,
    LURE_FILE,
    LURE_WORDS,  // what a rule of the operator's found in a text: the rule ties such texts together
    LURE_SEALED, // whatever an encrypted message holds: it has the exact key alone
};

const char *lure_kind_name(enum lure_kind kind); // "link", "file", "words", "encrypted"

/* Widths of keys, narrow to wide. */
enum lure_width {
    LURE_EXACT,    // a link: the canonical URL; a file: its digest (or name and size without one);
                   // words: the rule
    LURE_TEMPLATE, // a link without what changes from victim to victim; a file: type and name shape
    LURE_HOST,     // links only
    LURE_DOMAIN,   // links only: registrable domain by the public suffix list
    LURE_WIDTHS
};

const char *lure_width_name(enum lure_width width); // "link", "template", "host", "domain"

struct lure_key {
    uint8_t bytes[16]; // all zero: no key of this width
};

static inline bool lure_key_eq(const struct lure_key *a, const struct lure_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static inline bool lure_key_is_none(const struct lure_key *key)
{
    static const struct lure_key none;
    return lure_key_eq(key, &none);
}

enum lure_flags {
    LURE_WELL_KNOWN = 1 << 0,  // shipped list: large shared host, shortener, popular site
    LURE_SHORTENER = 1 << 1,   // shipped list: leads anywhere
    LURE_IP_HOST = 1 << 2,     // an address literal instead of a name
    LURE_IDN = 1 << 3,         // a name outside ASCII
    LURE_DEFANGED = 1 << 4,    // written so that it cannot be clicked: hxxp, [.], (dot)
    LURE_BARE = 1 << 5,        // without a scheme
    LURE_USERINFO = 1 << 6,    // https://bank.example@evil.example/
    LURE_ODD_SCHEME = 1 << 7,  // not http, https or ftp
    LURE_HIDDEN = 1 << 8,      // invisible characters inside
    LURE_NAMED = 1 << 9,       // its template had sender's or receiver's name taken out
    LURE_NUMBERED = 1 << 10,   // its template had ids or query values taken out
    LURE_EXECUTABLE = 1 << 11, // the file, or the path of the link, ends in a program's extension
    LURE_DISGUISED = 1 << 12,  // …behind an innocent one: photo.jpg.exe
    LURE_LABELLED = 1 << 13,   // a reference whose visible text names another host than its target
    LURE_SPELLED = 1 << 14,    // also LURE_DEFANGED, and in words: "example dot com"
    LURE_SUSPECT = 1 << 15,  // a file, or a message, of which a rule of the operator's says that it
                             // is odd
    LURE_INFECTED = 1 << 16, // a file in which the virus scanner found something
    LURE_FORBIDDEN = 1 << 17, // words that a rule of the operator's forbids
};

struct lure {
    enum lure_kind kind;
    unsigned flags;                    // of enum lure_flags
    struct lure_key keys[LURE_WIDTHS]; // after lure_list_keys
    struct str shown;                  // after lure_list_keys: the template for operators, without
                      // query, names and fragment; "host/path/{id}" or "{n}.jpg.exe"
    struct str host, domain; // canonical ASCII; empty for files and words
    struct str url;          // canonical URL; never logged.  A file: its name; words: the rule's
    struct str media_type, digest_name; // of a file; may be empty
    uint64_t size;                      // of a file; 0: unknown
    struct str digest;                  // of a file: raw or text as given; may be empty
};

/* Zeroed but for rules and arena it is an empty list. */
struct lure_list {
    const struct lure_rules *rules;
    struct arena *arena;
    struct lure *lures;
    size_t n, room;
    bool overflowed; // more than LURES_MOST different ones: the guard refuses such a message
};

static inline void lure_list_init(struct lure_list *list, const struct lure_rules *rules,
                                  struct arena *arena)
{
    *list = (struct lure_list){.rules = rules, .arena = arena};
}

/* Adds every link that a client might make of plain text: schemes, www., bare hosts under a public
 * suffix, address literals in all spellings, defanged ones, and addresses in words ("example dot
 * com"), and numbers that one is told to go to ("go to 203.0.113.5").  text must be well-formed
 * UTF-8. */
void lure_scan_text(struct lure_list *list, struct str text);

/* A URL from an attribute or element (XEP-0066, href, src, a reference).  label: the text a person
 * sees for it, or empty. */
void lure_add_url(struct lure_list *list, struct str url, struct str label);

struct lure_file {
    struct str name, media_type;
    uint64_t size;          // 0: unknown
    struct str digest_name; // "sha-256"; empty: none
    struct str digest;      // as it stands in the element (base64 or hex)
};
/* A file that is offered or announced (XEP-0096, 0234, 0385, 0446, 0447).  Of several digests give
 * the one that lure_digest_rank ranks highest. */
void lure_add_file(struct lure_list *list, const struct lure_file *file);
/* The operator's rule of this name matched the text; forbids: it is to go no further, else it is
 * odd (LURE_SUSPECT), and so is whatever else the list has. */
void lure_add_words(struct lure_list *list, struct str rule, bool forbids);
/* LURE_EXECUTABLE and LURE_DISGUISED by the end of a file name or path. */
unsigned lure_name_flags(struct str name);
/* Whether the name promises a picture, a document, a sound: nothing that runs. */
bool lure_name_is_innocent(struct str name);
/* 0: unknown algorithm. */
int lure_digest_rank(struct str digest_name);

/* Whose traces a template must not contain: bare JIDs and nicknames of sender and receiver. */
struct lure_people {
    struct str names[8];
    size_t n;
};

/* What nobody but the receiver can read: encrypted is its text as it stands in the stanza, which
 * differs from message to message; sender a bare JID, so that nobody's message shares the key of
 * another's. */
#define LURE_SEALED_SHOWN "encrypted message" // its lure.shown
struct lure_key lure_sealed_key(struct str sender, struct str encrypted);
/* An encrypted message of that key. */
void lure_add_sealed(struct lure_list *list, const struct lure_key *key);

/* Computes keys and shown of every lure.  people may be NULL. */
void lure_list_keys(struct lure_list *list, const struct lure_people *people);

/* Every different key of the list once, those that convictions use most first; at most room.  For
 * the store's index of deliveries.  Returns how many. */
size_t lure_list_collect(const struct lure_list *list, struct lure_key *keys, size_t room);

/* The text around the lures, folded (links, names, numbers, case, spacing, invisible characters,
 * letters that look alike and digits for letters make no difference), as four lanes of sixteen bits
 * (MinHash): for texts from eight letters on, equal where a program sends the same words, and with
 * most lanes equal where it changes some of them.  0: no words. */
uint64_t lure_text_shape(const struct lure_list *list, struct str text,
                         const struct lure_people *people);

/* Whether two texts of these shapes are nearly the same words; never of one that has none. */
static inline bool lure_shapes_alike(uint64_t a, uint64_t b)
{
    uint64_t other = a ^ b;
    int n = 0;
    for (int lane = 0; lane < 4; lane++)
        n += (other >> 16 * lane & 0xFFFF) == 0;
    return a != 0 && b != 0 && n >= 3;
}

/* Whether the text speaks about a lure instead of offering it: a quotation, links that are defanged
 * as analysts do, words of warning in a handful of languages.  An address spelled out in words is
 * none of these: that is how one tells a person where to go.  A worm may write so too; see guard.h
 * for what it gains. */
bool lure_text_warns(const struct lure_list *list, struct str text);

/* What a link is to be replaced by, or at == NULL: it stays. */
typedef struct str lure_instead_fn(void *context, const struct lure *lure);
/* One place of a text that was changed, in characters (not bytes) of the text as it was. */
struct lure_edit {
    size_t from, to; // what stood there
    size_t len;      // of what stands there now
};
struct lure_edits {
    struct lure_edit *at; // in the order of the text
    size_t n;
};
/* The text with links replaced by what instead says of each; text itself where none was.  A link
 * so oddly written that it cannot be cut out of its word takes the word's place with the others of
 * it.  Dead ones are left alone.  edits may be NULL.  ERR_LIMIT: arena is full. */
enum err lure_rewrite(const struct lure_rules *rules, struct arena *arena, struct str text,
                      lure_instead_fn *instead, void *context, struct str *out,
                      struct lure_edits *edits) MUST_CHECK;

/* The text with every link in it made dead ("http[:]//evil[.]example/x"), for warnings that quote a
 * lure.  What its writer made dead himself ("evil dot com", "evil[.]com", "go to 203.0.113.5")
 * cannot be clicked but typed, so of such a name only the beginning is left ("ev... dot com"): who
 * has seen it knows it again. The text itself when there is nothing of either.  Lives in arena,
 * which must have room for three times the text: ERR_LIMIT. */
enum err lure_defang(const struct lure_rules *rules, struct arena *arena, struct str text,
                     struct str *out) MUST_CHECK;

#endif
