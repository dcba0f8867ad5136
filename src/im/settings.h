/*
 * What the im room needs of the configuration: an immutable snapshot, made
 * whole by the daemon at start and at each reload, and handed to every worker.
 */
#ifndef IM_SETTINGS_H
#define IM_SETTINGS_H

#include "net/conn.h"
#include "xmpp/stream.h"

#include <stdatomic.h>

enum archive_preference { ARCHIVE_NEVER, ARCHIVE_ROSTER, ARCHIVE_ALWAYS };

/* One domain we serve. */
struct im_domain {
    struct str name; // prepared
    struct stream_domain stream;
    struct str lang;                            // of people whose stream names none
    const struct str *admins;                   // bare JIDs: XEP-0133 and XEP-0157
    size_t n_admins, n_configured;              // the first of them are named in the configuration
    bool registration, change_password, cancel; // XEP-0077
    bool archive;                               // XEP-0313 at all
    struct str upload_url; // XEP-0363: below it lie slots and files; empty: not here
    struct str upload_host;
    uint64_t upload_bytes; // of one file
    int guard_mode;        // of senders here: GATE_OFF, GATE_OBSERVE, GATE_ON (im/gate_internal.h)
    enum archive_preference archive_default; // for people who chose nothing
    bool links;                              // what its people read is protected: im/links.h
    struct str links_base; // "https://example.org:5281/open/"; empty: there is no such page
};

struct seal_keys;
struct text_rules;

struct im_settings {
    atomic_uint refs;
    struct arena arena; // of everything below
    const struct im_domain *domains;
    size_t n_domains;
    int64_t replay_us;     // how far back the guard's log reaches, at least,
    int64_t replay_events; // unless so many events came since
    struct conn_limits conn;
    struct tokenizer_limits strange, known; // before and after login
    int64_t unauthenticated_us;             // from the connection to the bound resource
    int64_t idle_us, answer_us;             // silence until a ping, and then until the end
    uint32_t stanzas_per_s, stanzas_burst;
    // logins
    uint32_t iterations;
    unsigned attempts;
    unsigned failures_account, failures_address;
    int64_t slowdown_us, slowdown_most_us, failure_memory_us;
    unsigned registrations_per_address; // in an hour
    // ceilings of an account
    size_t sessions_per_user, roster_items, roster_groups, roster_name_bytes;
    size_t pending_subscriptions, directed_presences, block_items;
    size_t offline_messages, offline_bytes, outbox_bytes, unacked_stanzas;
    size_t private_bytes, private_items, vcard_bytes, archive_page;
    int64_t resume_us, archive_retention_us;
    struct text_rules *text_rules; // counted; for what people write; NULL: none
    // protected links
    const struct str *link_hosts; // whose links stay as they are, with all below them
    size_t n_link_hosts;
    const struct seal_keys *seals;                 // NULL: there is no page for them
    const struct str *links_people, *links_spared; // bare JIDs, sorted: other than their domain
    size_t n_links_people, n_links_spared;
    int64_t links_valid_us, links_answer_us;
    double links_warn_nats;
    bool links_closed; // where the guard does not answer
    // the guard
    double clock_rate;           // tests: the guard's clock runs so many times faster
    struct str software_version; // XEP-0092
};

struct im_settings *im_settings_new(void); // one reference, zeroed, arena ready
struct im_settings *im_settings_ref(struct im_settings *settings);
void im_settings_unref(struct im_settings **settings);

/* Whether the links that this account (bare) of the domain reads are protected. */
bool im_settings_protects(const struct im_settings *settings, const struct im_domain *domain,
                          struct str bare);

/* The served domain of this prepared name, or NULL. */
const struct im_domain *im_settings_domain(const struct im_settings *settings, struct str name);

/* The first domain whose uploads are fetched from this host, or NULL. */
const struct im_domain *im_settings_of_upload_host(const struct im_settings *settings,
                                                   struct str host);

#endif
