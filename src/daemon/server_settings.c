#include "daemon/server_settings.h"

#include "base/must.h"
#include "files/uploads.h"
#include "im/disco.h"
#include "im/upload.h"
#include "xmpp/jid.h"

#include <stdlib.h>

static struct str keep(struct im_settings *settings, struct str text)
{
    return arena_str(&settings->arena, text);
}

static unsigned mechanisms_of(const struct config *config, const struct config_domain *domain)
{
    unsigned mechanisms = SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_SCRAM_SHA_256_PLUS);
    if (config->auth.scram_sha_1)
        mechanisms |= SASL_BIT(SASL_SCRAM_SHA_1) | SASL_BIT(SASL_SCRAM_SHA_1_PLUS);
    if (domain->plain)
        mechanisms |= SASL_BIT(SASL_PLAIN);
    return mechanisms;
}

static enum archive_preference archive_of(int choice)
{
    switch (choice) {
    case CONFIG_ARCHIVE_NEVER:
        return ARCHIVE_NEVER;
    case CONFIG_ARCHIVE_ROSTER:
        return ARCHIVE_ROSTER;
    default:
        return ARCHIVE_ALWAYS;
    }
}

struct str server_http_url(struct arena *arena, const struct config *config, struct str domain)
{
    struct str url = config->http.url;
    if (config->http.port == 0)
        return STR_EMPTY;
    if (url.len > 0) { // as URLs are compared: without the port that goes without saying
        if (str_ends(url, STR(":443")))
            url.len -= STR(":443").len;
        return arena_str(arena, url);
    }
    if (config->http.port == 443)
        return arena_printf(arena, "https://%.*s", STR_ARGS(domain));
    return arena_printf(arena, "https://%.*s:%d", STR_ARGS(domain), (int)config->http.port);
}

// Where its people's protected links lead; empty: nothing is served.
static struct str links_base(struct im_settings *settings, const struct config *config,
                             struct str domain)
{
    struct str url = server_http_url(&settings->arena, config, domain);
    return url.len > 0 ? arena_printf(&settings->arena, "%.*s/open/", STR_ARGS(url)) : STR_EMPTY;
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static const struct str *sorted(struct im_settings *settings, const struct config_list *list)
{
    struct str *names = arena_make_array(&settings->arena, struct str, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        names[i] = keep(settings, list->at[i]);
    qsort(names, list->n, sizeof *names, compare_names);
    return names;
}

static void read_links(struct im_settings *settings, const struct config *config,
                       const struct seal_keys *seals)
{
    const struct config_list *allowed = &config->links.allowed;
    struct str *hosts =
        arena_make_array(&settings->arena, struct str, allowed->n + config->n_domains + 1);
    size_t n = 0;
    for (size_t i = 0; i < allowed->n; i++)
        hosts[n++] = keep(settings, allowed->at[i]);
    for (size_t i = 0; i < config->n_domains; i++)
        hosts[n++] = keep(settings, config->domains[i].name);
    if (config->http.url.len > 0)
        hosts[n++] = keep(settings, config_url_host(config->http.url));
    settings->link_hosts = hosts;
    settings->n_link_hosts = n;
    settings->links_people = sorted(settings, &config->links.people);
    settings->n_links_people = config->links.people.n;
    settings->links_spared = sorted(settings, &config->links.spared);
    settings->n_links_spared = config->links.spared.n;
    if (seals->n > 0) {
        struct seal_keys *copy = arena_make(&settings->arena, struct seal_keys);
        *copy = *seals;
        settings->seals = copy;
    }
    settings->links_valid_us = config->links.valid_us;
    settings->links_answer_us = config->links.answer_time_us;
    settings->links_warn_nats = config->links.warn_nats;
    settings->links_closed = config->links.unsure == CONFIG_UNSURE_CLOSED;
}

static void read_domain(struct im_settings *settings, const struct config *config,
                        const struct config_list *named, const struct config_domain *from,
                        struct im_domain *to)
{
    to->name = keep(settings, from->name);
    to->stream = (struct stream_domain){
        .name = to->name,
        .mechanisms = mechanisms_of(config, from),
        .protect_offer = true,
        .registration = from->registration,
        .roster_versioning = true,
        .preapproval = true,
        .sm = true,
        .csi = true,
    };
    to->lang = keep(settings, from->language);
    struct str *admins =
        arena_make_array(&settings->arena, struct str, from->administrators.n + named->n + 1);
    for (size_t i = 0; i < from->administrators.n; i++)
        admins[to->n_admins++] = keep(settings, from->administrators.at[i]);
    to->n_configured = to->n_admins;
    for (size_t i = 0; i < named->n; i++) {
        struct jid jid = jid_of_prepared(named->at[i]);
        if (str_eq(jid.domain, to->name))
            admins[to->n_admins++] = keep(settings, named->at[i]);
    }
    to->admins = admins;
    to->registration = from->registration;
    to->change_password = config->registration.change_password;
    to->cancel = config->registration.cancel;
    to->archive = config->archive.enabled;
    to->guard_mode = from->guard;
    to->links = from->links;
    to->links_base = links_base(settings, config, from->name);
    to->archive_default = archive_of(from->archive);
    if (config->upload.enabled) {
        struct str url = server_http_url(&settings->arena, config, from->name);
        to->upload_url = arena_printf(&settings->arena, "%.*s" UPLOAD_PATH, STR_ARGS(url));
        to->upload_host = config_url_host(url);
        to->upload_bytes = config->upload.size;
    }
    disco_announce(&settings->arena, to);
}

void server_upload_settings(const struct config *config, struct upload_settings *out)
{
    *out = (struct upload_settings){
        .file_bytes = config->upload.size,
        .quota_bytes = config->upload.quota,
        .daily_bytes = config->upload.daily,
        .daily_files = (uint32_t)config->upload.daily_files,
        .slots = (uint32_t)config->upload.slots,
        .storage_bytes = config->upload.storage,
        .files = (uint64_t)config->upload.files,
        .keep_us = config->upload.keep_us,
        .slot_us = config->upload.slot_time_us,
        .scanner_us = config->upload.scanner_time_us,
        .unscanned_passes = config->upload.scanner_away == CONFIG_AWAY_PASS,
        // the choices stand in the order of the enum
        .programs = (enum upload_policy)config->upload.programs,
        .disguised = (enum upload_policy)config->upload.disguised,
        .uninspected = (enum upload_policy)config->upload.uninspected,
        .nested = (enum upload_policy)config->upload.nested,
    };
    must(str_to_z(config->upload.scanner, out->scanner, sizeof out->scanner) == OK);
}

static struct tokenizer_limits stream_limits(const struct config *config, size_t bytes)
{
    struct tokenizer_limits limits = tokenizer_limits_default;
    limits.bytes = (uint32_t)bytes;
    limits.elements = (uint32_t)config->limits.elements;
    limits.depth = (uint16_t)config->limits.depth;
    limits.attributes = (uint16_t)config->limits.attributes;
    if (limits.attributes > TOKENIZER_ATTRIBUTES_MOST)
        limits.attributes = TOKENIZER_ATTRIBUTES_MOST;
    return limits;
}

struct im_settings *server_settings(const struct config *config, const struct config_list *named,
                                    const struct seal_keys *seals)
{
    struct im_settings *settings = im_settings_new();
    struct im_domain *domains =
        arena_make_array(&settings->arena, struct im_domain, config->n_domains);
    for (size_t i = 0; i < config->n_domains; i++)
        read_domain(settings, config, named, &config->domains[i], &domains[i]);
    read_links(settings, config, seals);
    settings->domains = domains;
    settings->n_domains = config->n_domains;
    settings->replay_us = config->guard.replay_us;
    settings->replay_events = (int64_t)config->guard.replay_events;
    settings->conn = conn_limits_default;
    settings->conn.outbox_bytes = config->limits.outbox_bytes;
    settings->conn.bytes_per_s = (uint32_t)config->limits.bytes_per_second;
    settings->conn.burst_bytes = (uint32_t)config->limits.bytes_burst;
    settings->conn.handshake_us = config->limits.unauthenticated_time_us;
    settings->strange = stream_limits(config, config->limits.preauth_stanza_bytes);
    settings->known = stream_limits(config, config->limits.stanza_bytes);
    settings->unauthenticated_us = config->limits.unauthenticated_time_us;
    settings->idle_us = config->limits.idle_time_us;
    settings->answer_us = config->limits.answer_time_us;
    settings->stanzas_per_s = (uint32_t)config->limits.stanzas_per_second;
    settings->stanzas_burst = (uint32_t)config->limits.stanzas_burst;
    settings->iterations = (uint32_t)config->auth.iterations;
    settings->attempts = (unsigned)config->auth.attempts;
    settings->failures_account = (unsigned)config->auth.failures_account;
    settings->failures_address = (unsigned)config->auth.failures_address;
    settings->slowdown_us = config->auth.slowdown_us;
    settings->slowdown_most_us = config->auth.slowdown_most_us;
    settings->failure_memory_us = config->auth.failure_memory_us;
    settings->registrations_per_address = (unsigned)config->registration.per_address;
    settings->sessions_per_user = (size_t)config->limits.sessions_per_user;
    settings->roster_items = (size_t)config->limits.roster_items;
    settings->roster_groups = (size_t)config->limits.roster_groups;
    settings->roster_name_bytes = config->limits.roster_name_bytes;
    settings->pending_subscriptions = (size_t)config->limits.pending_subscriptions;
    settings->directed_presences = (size_t)config->limits.directed_presences;
    settings->block_items = (size_t)config->limits.block_items;
    settings->offline_messages = (size_t)config->limits.offline_messages;
    settings->offline_bytes = config->limits.offline_bytes;
    settings->outbox_bytes = config->limits.outbox_bytes;
    settings->unacked_stanzas = (size_t)config->limits.unacked_stanzas;
    settings->private_bytes = config->limits.private_bytes;
    settings->private_items = (size_t)config->limits.private_items;
    settings->vcard_bytes = config->limits.vcard_bytes;
    settings->archive_page = (size_t)config->limits.archive_page;
    settings->resume_us = config->limits.resume_time_us;
    settings->archive_retention_us = config->archive.retention_us;
    settings->clock_rate = config->test.clock_rate;
    settings->software_version = STR(FIREDOOR_VERSION);
    return settings;
}

struct tls_policy server_tls_policy(const struct config *config)
{
    return (struct tls_policy){
        .only_13 = config->tls.minimum == CONFIG_TLS_1_3,
        .ciphers = config->tls.ciphers.at,
    };
}

void server_guard_config(const struct config *config, struct guard_config *out)
{
    *out = (struct guard_config){
        .convict_nats = config->guard.convict_nats,
        .hold_nats = config->guard.hold_nats,
        .respond_nats = config->guard.respond_nats,
        .star_convicts = config->guard.star_convicts,
        .campaigns = config->guard.campaigns,
        .campaign_nats = config->guard.campaign_nats,
        .campaign_lessons = config->guard.campaign_lessons,
        .fresh_share = config->guard.fresh_share,
        .relay_share = config->guard.relay_share,
        .fresh_most = config->guard.fresh_most,
        .fresh_rare = config->guard.fresh_rare,
        .scarce_by = (uint32_t)config->guard.scarce_by,
        .outbreak_rare = config->guard.outbreak_rare,
        .surge_nats = config->guard.surge_nats,
        .day_most = config->guard.day_most,
        .silent_most = config->guard.silent_most,
        .fresh_spread = config->guard.fresh_spread,
        .spread_rare = config->guard.spread_rare,
        .rare_doubling_us = config->guard.rare_doubling_us,
        .sealed_pause_us = config->guard.sealed_pause_us,
        .sealed_first = (uint32_t)config->guard.sealed_first,
        .sealed_hold_nats = config->guard.sealed_hold_nats,
        .sealed_nats = config->guard.sealed_nats,
        .window_first = (uint32_t)config->guard.window_first,
        .window_growth = config->guard.window_growth,
        .hold_us = config->guard.hold_us,
        .ask_us = config->guard.ask_us,
        .ask_late_us = config->guard.ask_late_us,
        .ask_nats = config->guard.ask_nats,
        .ask_relays = (uint32_t)config->guard.ask_relays,
        .ask_most = (uint32_t)config->guard.ask_most,
        .ask_a_day = (uint32_t)config->guard.ask_a_day,
        .ask_denials = (uint32_t)config->guard.ask_denials,
        .novel_us = config->guard.novel_us,
        .established_us = config->guard.established_us,
        .established_by = (uint32_t)config->guard.established_by,
        .fast_relays_established = (uint32_t)config->guard.fast_relays_established,
        .relay_us = config->guard.relay_us,
        .mature_us = config->guard.mature_us,
        .settle_us = config->guard.settle_us,
        .forget_us = config->guard.ledger_retention_us,
        .conviction_us = config->guard.conviction_us,
        .restriction_us = config->guard.restriction_us,
        .memory = config->guard.memory,
        .defangs = true, // im/gate.c does
        .senders_open = (uint32_t)config->guard.senders_open,
        .lessons_per_day = (uint32_t)config->guard.lessons_per_day,
        .tally_us = config->guard.observed_retention_us,
        .tally_most = (uint32_t)config->guard.observed_most,
    };
}
