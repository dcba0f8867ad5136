/*
 * Portable accounts: reading and writing the files of XEP-0227 1.1.
 *
 * A file may hold a hundred thousand accounts, so it is read as a stream: bytes
 * in, one <user/> at a time out, memory bounded by the largest user.  What XMPP
 * forbids in a stream is refused here too (document types, entities, processing
 * instructions, comments), with the line.  XInclude is refused with advice.
 */
#ifndef DAEMON_PORTABLE_H
#define DAEMON_PORTABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"
#include "xml/tokenizer.h"

enum { PORTABLE_USER_MOST = 64 << 20 }; // bytes of memory for one user's tree

struct portable_reader {
    struct tokenizer tokenizer;
    struct arena tags; // the names and namespaces of the tags around users
    int state;
    bool in_tokenizer, begun;
    bool root_is_host;
    struct str host; // prepared; of the users that come now
    struct buf tag;  // a tag outside of hosts, as far as it has come
    char quote;
    struct str declarations; // of namespaces, by the root: text for each host's tag
    uint64_t line;           // of the last byte read, from 1
    uint64_t n_ignored;      // elements that are no users
    struct why why;          // after a fault
};

enum portable {
    PORTABLE_MORE, // come back with more bytes
    PORTABLE_USER, // *user is a <user/> of reader->host
    PORTABLE_END,  // the document is complete
    PORTABLE_FAULT,
};

void portable_reader_init(struct portable_reader *reader);
void portable_reader_done(struct portable_reader *reader);
/* Reads from *rest, which it shortens.  The tree is built in arena (ceiling at least
 * PORTABLE_USER_MOST), which may change only when portable_is_idle(). */
enum portable portable_feed(struct portable_reader *reader, struct str *rest, struct arena *arena,
                            struct element **user) MUST_CHECK;
bool portable_is_idle(const struct portable_reader *reader);

struct portable_message {
    int64_t wall_us; // 0: unknown
    bool archived, outgoing;
    uint8_t type; // enum stanza_type
    struct str peer, resource, message_id, origin_id, stanza;
};

/* What one user brings. */
struct portable_user {
    struct store_import import; // its keys are absent where only a password is given
    struct str password;        // empty: none
    struct store_pending *pending;
    struct portable_message *messages; // waiting and archived, oldest first of each kind
    struct str *blocked;
    size_t n_pending, n_messages, n_blocked;
    size_t n_ignored; // parts that we have no place for, or that are malformed
};

/* Reads a <user/>.  Texts live in arena or borrow from the element.  ERR_MALFORMED where it is no
 * account at all; parts that are malformed are left out and counted. */
enum err portable_read_user(struct arena *arena, const struct element *element, struct str host,
                            struct portable_user *out, struct why *why) MUST_CHECK;

/* The key under which the im room keeps a vCard and private XML (XEP-0049) of that namespace. */
#define PORTABLE_VCARD STR("vcard")
struct str portable_private_key(struct arena *arena, const struct element *element);

/* Writing. */
struct str portable_begin(void);
struct str portable_end(void);
void portable_begin_host(struct buf *out, struct str host);
void portable_end_host(struct buf *out);
void portable_begin_user(struct buf *out, struct str local);
void portable_end_user(struct buf *out);
void portable_write_keys(struct buf *out, const struct store_keys keys[STORE_N_HASHES]);
void portable_write_roster(struct buf *out, const struct store_roster_item *items, size_t n);
void portable_write_pending(struct buf *out, const struct store_pending *pending, size_t n);
void portable_write_blocked(struct buf *out, const struct str *blocked, size_t n);
/* rows of <offline-messages/>, between the two tags */
void portable_begin_offline(struct buf *out);
void portable_write_message(struct buf *out, struct str domain, const struct store_message *row);
void portable_end_offline(struct buf *out);

#endif
