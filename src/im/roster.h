/*
 * The roster: a person's contacts, and what he and they may know of each other.
 *
 * It lives in the memory of the account's home and changes only when the store
 * has committed the change; changes of one account wait for each other.  A
 * change is pushed to every session that asked for the roster.
 * Spec: RFC 6121 section 2.
 */
#ifndef IM_ROSTER_H
#define IM_ROSTER_H

#include "base/table.h"
#include "im/feature.h"

struct roster_item {
    struct link link;   // in roster->items, in order of arrival
    struct jid jid;     // bare; own memory
    struct str name;    // own memory
    struct str *groups; // own memory, texts too
    size_t n_groups;
    enum store_subscription subscription;
    bool ask;      // our request awaits an answer ("pending out")
    bool approved; // pre-approved (RFC 6121 3.4)
    int64_t version;
};

/* Somebody asked to see us and waits for an answer ("pending in"). */
struct roster_request {
    struct link link;
    struct jid from;   // bare; own memory
    struct str stanza; // shown again at each login; own memory
};

struct roster {
    int64_t version, floor; // changes older than floor are not known one by one
    struct table by_jid;
    struct list items;
    struct list requests;
    size_t n_requests;
    struct list removed; // of struct roster_item: gone since floor; jid and version count
    size_t n_removed;
};

/* NULL when the contact is not in the roster.  bare: prepared. */
struct roster_item *roster_find(const struct account *account, struct str bare);
struct roster_request *roster_find_request(const struct account *account, struct str bare);

/* Whether the contact sees our presence (from, both). */
bool roster_is_seen_by(const struct account *account, struct str bare);

/* What an item is to become.  All text is copied at the call. */
struct roster_change {
    struct str jid; // bare, prepared
    bool remove;
    bool keep_name; // name and groups stay as they are
    struct str name;
    const struct str *groups;
    size_t n_groups;
    enum store_subscription subscription;
    bool ask, approved;
    bool drop_request; // with it the contact's own request is answered
    // called with the change's context when the change holds, before it is pushed; NULL: nobody
    void (*before_push)(struct account *account, void *context);
};

/* Called when the change is durable, in memory and pushed, or has failed (nothing changed then). */
typedef void roster_changed_fn(struct account *account, enum err e, void *context);

/* Waits for earlier changes of the account.  before(), where given, runs when its turn has come and
 * fills in the change by what then holds; returning false gives the turn up (done is called with
 * ERR_MISSING). */
void roster_change(struct account *account, const struct roster_change *change,
                   roster_changed_fn *done, void *context);
void roster_change_later(struct account *account,
                         bool (*before)(struct account *account, struct roster_change *change,
                                        struct arena *arena, void *context),
                         roster_changed_fn *done, void *context);

/* Whether a change is under way or waits. */
bool roster_is_changing(const struct account *account);

/* Remembers, or with an empty stanza forgets, a request to subscribe.  ERR_LIMIT: too many wait. */
void roster_keep_request(struct account *account, struct str from, struct str stanza,
                         roster_changed_fn *done, void *context);

/* The item as clients see it: <item jid=… name=… subscription=… ask=…><group/></item>. */
struct element *roster_item_element(struct arena *arena, const struct roster_item *item);

extern const struct feature feature_roster;

#endif
