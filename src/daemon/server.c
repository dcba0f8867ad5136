#include "daemon/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/random.h"
#include "daemon/decoy_keeper.h"
#include "daemon/decoy_mover.h"
#include "daemon/housekeeping.h"
#include "daemon/link_keys.h"
#include "daemon/metrics.h"
#include "daemon/open_page.h"
#include "daemon/server_settings.h"
#include "files/text_rules.h"
#include "files/uploads.h"
#include "guard/guard.h"
#include "http/http.h"
#include "http/upload.h"
#include "im/activity.h"
#include "im/client.h"
#include "im/desk.h"
#include "im/gate.h"
#include "im/notices.h"
#include "im/slowdown.h"
#include "im/sm_store.h"
#include "im/upload.h"
#include "net/listener.h"
#include "net/metrics_http.h"
#include "net/process.h"
#include "route/in_hand.h"
#include "store/store.h"

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    N_DOORS = 2, // DOOR_STARTTLS, DOOR_DIRECT_TLS
    ADDRESSES_MOST = 64,
    KITCHEN_THREADS = 2,
    INHERITED_MOST = N_DOORS * ADDRESSES_MOST,
    TRIM_LOOK_US = 3 * 1000 * 1000,
    TRIM_AFTER = 256, // handshakes since the last time
    TRIM_CALM = 64,   // and fewer than that since the last look
};

// What upload.size may be at most: a reload may raise it, a route is made once.
static const uint64_t upload_body_most = UINT64_C(16) << 30;

struct server {
    const struct config *config;
    struct loop *loop;
    struct workers *workers;
    struct listener *listener;
    struct door *doors[INHERITED_MOST];
    int door_kinds[INHERITED_MOST];
    size_t n_doors;
    struct metrics_http *metrics;
    struct http *http; // NULL where nothing is served
    struct upload_door *upload_door;
    struct seal_keys seals;
    struct timer seals_timer;
    struct timer trim_timer;
    uint64_t n_trimmed, n_before; // handshakes: at the last trim, at the last look
    bool trimmed;                 // once: a start takes much for moments, too
    struct housekeeping *housekeeping;
    struct decoy_keeper *decoys;
    struct decoy_mover *mover;
    struct scram_crypto *crypto;
    struct service service;
    struct im_settings *settings;
    struct text_rules *text_rules; // NULL: none
    struct arena administrators_arena;
    struct config_list administrators; // beside those of the configuration
    struct desk **desks;
    bool started, http_adopted;
};

static void worker_started(struct worker *worker, void *context)
{
    (void)context;
    struct desk *desk = worker_data(worker);
    home_start(desk->home);
}

static void worker_stops(struct worker *worker, void *context)
{
    (void)context;
    clients_shut_down(worker_data(worker));
}

/* ---- Doors and certificates ---- */

static struct listener_limits listener_limits(const struct config *config)
{
    return (struct listener_limits){
        .conns = (size_t)config->limits.connections,
        .conns_per_address = (size_t)config->limits.connections_per_address,
        .accepts_per_s_per_address = (uint32_t)config->limits.accepts_per_second,
        .accepts_at_once_per_address = 10 * (uint32_t)config->limits.accepts_per_second,
        .backlog = (unsigned)config->listen.backlog,
    };
}

static void keep_door(struct server *server, struct door *door, int kind)
{
    must(server->n_doors < INHERITED_MOST);
    server->doors[server->n_doors] = door;
    server->door_kinds[server->n_doors++] = kind;
    if (kind == DOOR_STARTTLS)
        door_set_farewell(door, client_farewell);
    log_event(LOG_NOTICE, "listening", "port=%u kind=%s", door_port(door),
              kind == DOOR_STARTTLS ? "starttls" : "direct-tls");
}

static enum err open_doors(struct server *server, int64_t port, int kind, struct why *why)
{
    const struct config_list *addresses = &server->config->listen.addresses;
    for (size_t i = 0; port != 0 && i < addresses->n && i < ADDRESSES_MOST; i++) {
        struct door *door;
        enum err e =
            listener_open(server->listener, addresses->at[i], (uint16_t)port, kind, &door, why);
        if (e != OK)
            return e;
        keep_door(server, door, kind);
    }
    return OK;
}

// Sockets that the service manager kept for us over a restart.
static enum err adopt_doors(struct server *server, struct why *why)
{
    struct inherited inherited[INHERITED_MOST];
    size_t n = listener_inherited(inherited, INHERITED_MOST);
    for (size_t i = 0; i < n; i++) {
        int kind = str_starts(inherited[i].name, STR("direct")) ? DOOR_DIRECT_TLS : DOOR_STARTTLS;
        struct door *door;
        if (str_starts(inherited[i].name, STR("http"))) {
            if (server->http == NULL) {
                close(inherited[i].fd);
                continue;
            }
            enum err e = http_adopt(server->http, inherited[i].fd, why);
            if (e != OK)
                return e;
            server->http_adopted = true;
            continue;
        }
        enum err e = listener_adopt(server->listener, inherited[i].fd, kind, &door, why);
        if (e != OK)
            return e;
        keep_door(server, door, kind);
    }
    return OK;
}

static void make_http(struct server *server)
{
    const struct config *config = server->config;
    if (config->http.port == 0)
        return;
    const struct http_limits limits = {
        .conns = (size_t)config->http.connections,
        .conns_per_address = (size_t)config->http.connections_per_address,
        .accepts_per_s_per_address = (uint32_t)config->http.accepts_per_second,
        .backlog = (unsigned)config->listen.backlog,
        .head_bytes = config->http.head_bytes,
        .head_fields = (size_t)config->http.fields,
        .requests = (size_t)config->http.requests,
        .head_us = config->http.head_time_us,
        .idle_us = config->http.idle_time_us,
        .stall_us = config->http.stall_time_us,
        .request_us = config->http.request_time_us,
        .hsts_us = config->http.hsts_us,
    };
    server->http = http_new(server->loop, server->workers, &limits);
    for (size_t i = 0; i < config->n_domains; i++)
        http_add_host(server->http, config->domains[i].name);
    if (config->http.url.len > 0)
        http_add_host(server->http, config_url_host(config->http.url));
}

// Connections wait in the kernel until the workers run: routes are added before.
static enum err open_http(struct server *server, struct why *why)
{
    const struct config_list *addresses = &server->config->http.addresses;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < addresses->n && i < ADDRESSES_MOST; i++)
        e = http_open(server->http, addresses->at[i], (uint16_t)server->config->http.port, NULL,
                      why);
    return e;
}

static enum err read_certificates(struct server *server, const struct config *config,
                                  struct tls_config **out, struct why *why)
{
    const struct tls_policy policy = server_tls_policy(config);
    struct arena arena;
    arena_init(&arena, (config->n_domains + 1) * (JID_PART_MOST + 4096));
    struct tls_identity *identities =
        arena_make_array(&arena, struct tls_identity, config->n_domains + 1);
    struct str host = config_url_host(config->http.url);
    size_t n = config->n_domains;
    bool is_domain = false;
    for (size_t i = 0; i < config->n_domains; i++) {
        const struct config_domain *domain = &config->domains[i];
        // SNI names it by its A-labels, a stream before STARTTLS by its U-labels
        struct str *names = arena_make_array(&arena, struct str, 2);
        names[0] = domain->name;
        bool has_other =
            jid_domain_ascii(&arena, domain->name, &names[1]) == OK && !str_eq(names[0], names[1]);
        identities[i] =
            (struct tls_identity){names, has_other ? 2 : 1, domain->certificate.at, domain->key.at};
        is_domain |= str_eq(host, names[has_other ? 1 : 0]);
    }
    if (config->http.certificate.len > 0 && !is_domain)
        identities[n++] =
            (struct tls_identity){&host, 1, config->http.certificate.at, config->http.key.at};
    enum err e = tls_config_new_server(identities, n, &policy, workers_homes(server->workers),
                                       workers_count(server->workers), out, why);
    arena_done(&arena);
    return e;
}

static struct im_settings *settings_of(const struct server *server, const struct config *config)
{
    struct im_settings *settings = server_settings(config, &server->administrators, &server->seals);
    settings->text_rules = text_rules_ref(server->text_rules);
    return settings;
}

enum err server_read_text_rules(const struct config *config, struct text_rules **out,
                                struct why *why)
{
    const struct text_rules_limits limits = {config->texts.time_us, config->texts.bytes};
    *out = NULL;
    return config->texts.rules.len == 0
               ? OK
               : text_rules_read(config->texts.rules.at, &limits, out, why);
}

enum err server_prepare(const struct config *config, struct loop *loop, struct server **out,
                        struct why *why)
{
    struct server *server = calloc(1, sizeof *server);
    must(server != NULL);
    server->config = config_ref(config);
    server->loop = loop;
    enum err e = server_read_text_rules(config, &server->text_rules, why);
    server->settings = settings_of(server, config);
    process_raise_descriptors((uint64_t)config->limits.connections + 4096);
    process_tune_malloc((unsigned)config->server.workers);
    const struct workers_config workers = {
        .n = (size_t)config->server.workers,
        .on_start = worker_started,
        .on_stop = worker_stops,
    };
    struct tls_config *tls = NULL;
    if (e == OK)
        e = workers_new(&workers, &server->workers, why);
    if (e == OK)
        e = read_certificates(server, config, &tls, why);
    if (e == OK) {
        workers_set_tls(server->workers, tls);
        struct listener_limits limits = listener_limits(config);
        server->listener = listener_new(loop, server->workers, &limits, client_arrived, NULL);
        make_http(server);
        e = adopt_doors(server, why);
    }
    if (e == OK && server->http != NULL && !server->http_adopted)
        e = open_http(server, why);
    if (e == OK && server->n_doors == 0) {
        e = open_doors(server, config->listen.starttls, DOOR_STARTTLS, why);
        if (e == OK)
            e = open_doors(server, config->listen.direct_tls, DOOR_DIRECT_TLS, why);
    }
    tls_config_unref(&tls);
    if (e != OK)
        server_stop(&server);
    else
        *out = server;
    return e;
}

/* ---- Keys of protected links ---- */

static enum err renew_link_keys(struct server *server, const struct config *config, struct why *why)
{
    struct arena arena;
    arena_init(&arena, 65536);
    struct str path = arena_printf(&arena, "%s/links.keys", config->server.state_directory.at);
    enum err e = link_keys_renew(path, config->links.renew_us, &server->seals, why);
    arena_done(&arena);
    return e;
}

static void renew_settings(struct server *server)
{
    struct im_settings *settings = settings_of(server, server->config);
    service_set_settings(&server->service, settings);
    im_settings_unref(&server->settings);
    server->settings = settings;
}

static void look_at_link_keys(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, seals_timer);
    uint32_t newest = server->seals.keys[0].id;
    struct why why = {""};
    if (renew_link_keys(server, server->config, &why) != OK) {
        struct arena arena;
        arena_init(&arena, 8192);
        log_event(LOG_ERROR, "link-key-not-made", "why=%.*s",
                  STR_ARGS(log_quote(&arena, str_of(why.text))));
        arena_done(&arena);
    }
    if (server->seals.keys[0].id != newest)
        renew_settings(server);
    loop_timer_set(server->loop, timer, 600 * SECOND_US, look_at_link_keys);
}

// Handshakes take large pieces of memory for moments.  After many of them, when all come back at
// once or have gone, what lay between the sessions that stay is given back.
static void look_at_memory(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, trim_timer);
    uint64_t n = 0;
    for (size_t i = 0; i < workers_count(server->workers); i++) {
        struct worker_stats stats;
        worker_stats(workers_at(server->workers, i), &stats);
        n += stats.n_handshakes + stats.n_handshakes_failed;
    }
    bool calm = n - server->n_before < TRIM_CALM;
    if (calm && (!server->trimmed || n - server->n_trimmed >= TRIM_AFTER)) {
        process_trim_malloc();
        server->trimmed = true;
        server->n_trimmed = n;
    }
    server->n_before = n;
    loop_timer_set(server->loop, timer, TRIM_LOOK_US, look_at_memory);
}

/* ---- Store, desks, threads ---- */

static enum err open_gate(struct server *server, struct why *why)
{
    const struct config *config = server->config;
    struct guard_config guard;
    server_guard_config(config, &guard);
    uint64_t seed = config->test.guard_seed != 0 ? (uint64_t)config->test.guard_seed : random_u64();
    const struct gate_options options = {
        .seed = seed,
        .clock_rate = config->test.clock_rate,
        .readers = (unsigned)config->texts.threads,
        .readings = (size_t)config->texts.waiting,
    };
    return gate_new(&server->service, server->settings, &guard, &options, &server->service.gate,
                    why);
}

// The challenge of an account that does not exist must be the same after a restart, or comparing
// tells which exist.
static enum err load_secret(struct service *service, struct why *why)
{
    struct store_record_get get = {.kind = STORE_SETTING, .key = STR("scram-secret")};
    store_record_get(service->store, &get);
    enum err e = store_wait(&get.request);
    bool found = e == OK && get.record.value.len == sizeof service->secret.bytes;
    if (found)
        memcpy(service->secret.bytes, get.record.value.at, sizeof service->secret.bytes);
    store_release(&get.request);
    if (found)
        return OK;
    if (e != OK && e != ERR_MISSING)
        return why_say(why, e, "store: the secret of challenges could not be read: %s",
                       err_name(e));
    random_bytes(service->secret.bytes, sizeof service->secret.bytes);
    struct store_record_put put = {.kind = STORE_SETTING};
    put.record.key = STR("scram-secret");
    put.record.value = str_make((const char *)service->secret.bytes, sizeof service->secret.bytes);
    store_record_put(service->store, &put);
    e = store_wait(&put.request);
    if (e != OK)
        why_say(why, e, "store: the secret of challenges could not be kept: %s", err_name(e));
    store_release(&put.request);
    return e;
}

static enum store_check check_of(int choice)
{
    switch (choice) {
    case CONFIG_CHECK_OFF:
        return STORE_CHECK_OFF;
    case CONFIG_CHECK_FULL:
        return STORE_CHECK_FULL;
    default:
        return STORE_CHECK_QUICK;
    }
}

static enum err note_what_is_in_hand(struct server *server, struct why *why)
{
    const struct config *config = server->config;
    struct arena arena;
    arena_init(&arena, 65536);
    struct str path = arena_printf(&arena, "%s.in-hand", config->store.path.at);
    // a slot for each home, the guard's, and those of the threads that look at texts
    size_t n = workers_count(server->workers) + 1 + (size_t)config->texts.threads;
    enum err e = in_hand_open(path.at, server->service.store, n, config->test.crash_at,
                              &server->service.in_hand, why);
    arena_done(&arena);
    return e;
}

/* ---- Uploads ---- */

static bool is_file_convicted(void *context, const struct lure_key *key)
{
    const struct service *service = context;
    return gate_convicts(service->gate, str_make((const char *)key->bytes, sizeof key->bytes));
}

static void file_was_found(void *context, const struct upload *upload)
{
    const struct service *service = context;
    struct arena arena;
    arena_init(&arena, 4096);
    struct lure_file file = upload_lure_file(&arena, upload);
    gate_convict_file(service->gate, &file,
                      arena_printf(&arena, "%s in a file of %s", upload->finding, upload->jid));
    arena_done(&arena);
}

static struct str say_over_http(void *context, struct http_exchange *exchange, const char *words,
                                struct str *lang)
{
    const struct server *server = context;
    const struct notices *notices = server->service.notices;
    const struct desk *desk = worker_data(http_worker(exchange));
    const struct http_head *head = http_head(exchange);
    struct str fallback = open_page_lang(desk->settings, head->host);
    struct str wanted =
        notices_accepted(notices, http_head_field(head, STR("Accept-Language")), fallback);
    return notice_words(notices, http_arena(exchange), wanted, fallback, words, NULL, lang);
}

static enum err open_uploads(struct server *server, struct inspector *inspector, struct why *why)
{
    const struct config *config = server->config;
    struct service *service = &server->service;
    if (!config->upload.enabled || server->http == NULL)
        return OK;
    struct upload_settings settings;
    server_upload_settings(config, &settings);
    const struct uploads_options options = {
        .directory = config->upload.directory.at,
        .store = service->store,
        .inspector = inspector,
        .loop = server->loop,
        .threads = (unsigned)config->upload.threads,
        .disk_threads = (unsigned)config->upload.disk_threads,
        .is_convicted = is_file_convicted,
        .context = service,
    };
    enum err e = uploads_open(&options, &settings, &service->uploads, why);
    if (e != OK)
        return e;
    uploads_on_found(service->uploads, file_was_found, service);
    server->upload_door = upload_door_new(server->http, STR(UPLOAD_PATH),
                                          &(struct upload_door_options){
                                              .uploads = service->uploads,
                                              .body_most = upload_body_most,
                                              .origins = config->upload.origins.at,
                                              .n_origins = config->upload.origins.n,
                                          });
    return OK;
}

enum err server_open(struct server *server, struct inspector *inspector, struct why *why)
{
    const struct config *config = server->config;
    struct service *service = &server->service;
    const struct store_options options = {
        .path = config->store.path.at,
        .check = check_of(config->store.check),
        .queue_most = (unsigned)config->store.queue,
        .queue_bytes_most = config->store.queue_bytes,
        .test_faults = config->test.faults.len > 0 ? config->test.faults.at : NULL,
    };
    enum err e = store_open(&options, &service->store, why);
    if (e == OK)
        e = kitchen_new(KITCHEN_THREADS, (size_t)config->auth.queue, &service->kitchen, why);
    if (e != OK)
        return e;
    server->crypto = scram_crypto_new(NULL);
    service->crypto = server->crypto;
    e = load_secret(service, why);
    if (e != OK)
        return e;
    e = note_what_is_in_hand(server, why);
    if (e != OK)
        return e;
    e = notices_new(config->notices.catalogues, &service->notices, why);
    if (e != OK)
        return e;
    if (server->http != NULL) {
        e = renew_link_keys(server, config, why);
        if (e != OK)
            return e;
        im_settings_unref(&server->settings);
        server->settings = settings_of(server, config);
        http_set_words(server->http, say_over_http, server);
        open_page_add(server->http);
    }
    service->workers = server->workers;
    service->slowdown = slowdown_new();
    service->started_us = clock_wall_us();
    size_t n = workers_count(server->workers);
    server->desks = calloc(n, sizeof(struct desk *));
    service->homes.at = calloc(n, sizeof(struct home *));
    must(server->desks != NULL && service->homes.at != NULL);
    service->homes.n = (unsigned)n;
    for (size_t i = 0; i < n; i++) {
        server->desks[i] = desk_new(service, workers_at(server->workers, i), server->settings);
        service->homes.at[i] = server->desks[i]->home;
    }
    for (size_t i = 0; i < n; i++)
        service->homes.at[i]->in_hand = in_hand_slot(service->in_hand, i);
    e = open_gate(server, why);
    if (e == OK)
        e = open_uploads(server, inspector, why);
    return e == OK ? sm_bring_back(service, why) : e;
}

static void write_metrics(struct buf *out, void *context)
{
    const struct server *server = context;
    metrics_write(out, &server->service, server->listener, server->http);
}

static const struct config *present_config(void *context)
{
    return server_config(context);
}

enum err server_start(struct server *server, struct why *why)
{
    const struct config *config = server->config;
    enum err e = gate_start(server->service.gate, why);
    if (e == OK)
        e = workers_start(server->workers, why);
    if (e != OK)
        return e;
    server->started = true;
    loop_timer_set(server->loop, &server->trim_timer, TRIM_LOOK_US, look_at_memory);
    if (server->http != NULL)
        look_at_link_keys(&server->seals_timer);
    server->decoys = decoy_keeper_new(server->loop, &server->service, present_config, server);
    server->mover = decoy_mover_new(server->loop, &server->service, present_config, server);
    server->housekeeping =
        housekeeping_new(server->loop, server->service.store, present_config, server);
    if (config->metrics.port != 0) {
        struct addr at;
        e = addr_parse(config->metrics.address, (uint16_t)config->metrics.port, &at);
        if (e != OK)
            return why_say(why, e, "metrics.address: %s is no numeric address",
                           config->metrics.address.at);
        e = metrics_http_new(&at, write_metrics, server, &server->metrics, why);
    }
    return e;
}

enum err server_reload(struct server *server, const struct config *config, struct why *why)
{
    struct tls_config *tls = NULL;
    struct text_rules *text_rules;
    enum err e = server_read_text_rules(config, &text_rules, why);
    if (e == OK)
        e = read_certificates(server, config, &tls, why);
    if (e == OK && server->http != NULL)
        e = renew_link_keys(server, config, why);
    if (e != OK) {
        tls_config_unref(&tls);
        text_rules_unref(&text_rules);
        return e;
    }
    text_rules_unref(&server->text_rules);
    server->text_rules = text_rules;
    struct im_settings *settings = settings_of(server, config);
    struct listener_limits limits = listener_limits(config);
    workers_set_tls(server->workers, tls);
    tls_config_unref(&tls);
    service_set_settings(&server->service, settings);
    listener_set_limits(server->listener, &limits);
    im_settings_unref(&server->settings);
    server->settings = settings;
    if (server->service.uploads != NULL) {
        struct upload_settings uploads;
        server_upload_settings(config, &uploads);
        uploads_set_settings(server->service.uploads, &uploads);
    }
    const struct config *old = server->config;
    server->config = config_ref(config);
    config_unref(&old);
    return OK;
}

static void close_desk(struct worker *worker, void *context)
{
    (void)context;
    desk_close(worker_data(worker));
}

static void flush_activity(struct worker *worker, void *context)
{
    (void)context;
    activity_flush(worker_data(worker));
}

static void keep_sessions(struct worker *worker, void *context)
{
    (void)context;
    desk_keep_sessions(worker_data(worker));
}

static bool is_quiet(const struct server *server, bool (*home_is)(const struct home *home))
{
    const struct service *service = &server->service;
    if ((service->store != NULL && !store_is_idle(service->store)) ||
        (service->gate != NULL && !gate_is_idle(service->gate)) ||
        (server->http != NULL && !http_is_quiet(server->http)))
        return false;
    bool quiet = true;
    for (size_t i = 0; quiet && i < service->homes.n; i++)
        quiet = home_is(service->homes.at[i]);
    return quiet;
}

// Commits, verdicts and passwords that are still under way have somebody waiting for them: their
// answers are run here, and what these lead to, until nothing is left.
static bool await(struct server *server, bool (*home_is)(const struct home *home), int64_t most_us)
{
    int64_t until_us = clock_now_us() + most_us;
    while (!is_quiet(server, home_is)) {
        if (clock_now_us() > until_us)
            return false;
        workers_turn(server->workers);
        if (server->service.gate != NULL)
            gate_turn(server->service.gate);
        if (!is_quiet(server, home_is))
            usleep(200);
    }
    return true;
}

// What may be resumed is kept when nothing can come for it any more; what is not settled after half
// of the time that a stop may take ends like the rest.
static void end_sessions(struct server *server)
{
    int64_t most_us = server->config->server.stop_time_us;
    workers_visit(server->workers, close_desk, NULL);
    await(server, home_is_settled, most_us / 2);
    workers_visit(server->workers, keep_sessions, NULL);
    bool quiet = await(server, home_is_quiet, most_us / 2 + SECOND_US);
    // the last sessions have ended only now: when their people left is still to be written
    workers_visit(server->workers, flush_activity, NULL);
    if (!await(server, home_is_quiet, most_us / 2 + SECOND_US) || !quiet)
        log_event(LOG_ERROR, "stop-not-quiet", NULL);
}

void server_set_administrators(struct server *server, const struct config_list *named)
{
    arena_done(&server->administrators_arena);
    arena_init(&server->administrators_arena, (size_t)64 << 20);
    struct str *at = arena_make_array(&server->administrators_arena, struct str, named->n + 1);
    for (size_t i = 0; i < named->n; i++)
        at[i] = arena_str(&server->administrators_arena, named->at[i]);
    server->administrators = (struct config_list){at, named->n};
    renew_settings(server);
}

void server_stop(struct server **server)
{
    struct server *s = TAKE(*server);
    if (s == NULL)
        return;
    metrics_http_free(&s->metrics);
    loop_timer_cancel(&s->seals_timer);
    loop_timer_cancel(&s->trim_timer);
    housekeeping_free(&s->housekeeping);
    decoy_keeper_free(&s->decoys);
    decoy_mover_free(&s->mover);
    for (size_t i = 0; i < s->n_doors; i++)
        door_close(&s->doors[i]);
    if (s->http != NULL)
        http_close_doors(s->http);
    if (s->workers != NULL)
        workers_stop(s->workers);
    if (s->service.uploads != NULL)
        uploads_stop(s->service.uploads);
    if (s->service.kitchen != NULL)
        kitchen_free(&s->service.kitchen);
    if (s->service.gate != NULL)
        gate_stop(s->service.gate);
    if (s->service.homes.n > 0)
        end_sessions(s);
    gate_free(&s->service.gate);
    if (s->service.store != NULL)
        store_close(&s->service.store);
    http_free(&s->http);
    upload_door_free(&s->upload_door);
    uploads_free(&s->service.uploads);
    listener_free(&s->listener);
    for (size_t i = 0; s->desks != NULL && i < s->service.homes.n; i++)
        desk_free(&s->desks[i]);
    free(s->desks);
    free(s->service.homes.at);
    in_hand_close(&s->service.in_hand);
    notices_free(&s->service.notices);
    slowdown_free(&s->service.slowdown);
    scram_crypto_free(&s->crypto);
    workers_free(&s->workers);
    im_settings_unref(&s->settings);
    text_rules_unref(&s->text_rules);
    config_unref(&s->config);
    sodium_memzero(&s->seals, sizeof s->seals);
    arena_done(&s->administrators_arena);
    free(s);
}

const struct config *server_config(const struct server *server)
{
    return server->config;
}

const struct im_settings *server_im_settings(const struct server *server)
{
    return server->settings;
}

struct service *server_service(struct server *server)
{
    return &server->service;
}
