/*
 * What no single key can know: names that must be served here, files that must be readable, values
 * that contradict each other.
 */
#include "daemon/config_loading_internal.h"

#include "files/clamd.h"
#include "http/cross.h"
#include "net/tls.h"
#include "xmpp/jid.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    LINK_KEYS_MOST = 15, // guard/seal.h keeps sixteen, and the newest may be fresh
    MEBIBYTE = 1024 * 1024,
};

static void check_readable(struct loading *loading, struct origin origin, const char *what,
                           struct str path, bool is_directory)
{
    struct stat stat_of;
    if (stat(path.at, &stat_of) != 0)
        loading_trouble(loading, origin, "%s: %s: %s", what, path.at, strerror(errno));
    else if (is_directory ? !S_ISDIR(stat_of.st_mode) : !S_ISREG(stat_of.st_mode))
        loading_trouble(loading, origin, "%s: %s is not a %s", what, path.at,
                        is_directory ? "directory" : "file");
    else if (access(path.at, R_OK) != 0)
        loading_trouble(loading, origin, "%s: %s: %s", what, path.at, strerror(errno));
}

// The prepared form of RFC 7622 is lower case; the people who write this file write it so.
static bool is_domain(struct str name)
{
    if (name.len == 0 || name.len > 1023 || name.at[0] == '.' || name.at[name.len - 1] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.at[i];
        if (!(c >= 0x80 || c == '-' || c == '.' || (c >= '0' && c <= '9') ||
              (c >= 'a' && c <= 'z')))
            return false;
    }
    return str_find(name, STR("..")) == name.len;
}

// Whether people's addresses have the domain in this form (RFC 7622); nobody reaches another one.
static enum err check_prepared(struct loading *loading, struct origin origin, struct str name)
{
    struct arena arena;
    struct str prepared;
    arena_init(&arena, 65536);
    enum err e = jid_prepare_domain(&arena, name, &prepared);
    if (e != OK)
        loading_trouble(loading, origin, "domains.name: \"%.*s\" is not a domain name",
                        STR_ARGS(name));
    else if (!str_eq(prepared, name))
        loading_trouble(loading, origin,
                        "domains.name: \"%.*s\" is \"%.*s\" in people's addresses: write it so",
                        STR_ARGS(name), STR_ARGS(prepared));
    arena_done(&arena);
    return e;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

struct str config_url_host(struct str url)
{
    static const struct str scheme = {"https://", sizeof "https://" - 1};
    if (!str_starts(url, scheme))
        return STR_EMPTY;
    struct str rest = str_skip(url, scheme.len);
    struct str host = str_cut(&rest, ':');
    uint64_t port;
    if (rest.at != NULL && str_to_u64(rest, 1, 65535, &port) != OK)
        return STR_EMPTY;
    // in a certificate and in Host it has its A-labels
    return is_domain(host) && is_ascii(host) ? host : STR_EMPTY;
}

static bool is_account_of(struct str account, struct str domain)
{
    struct str rest = account, local = str_cut(&rest, '@');
    for (size_t i = 0; i < local.len; i++)
        if ((local.at[i] >= 'A' && local.at[i] <= 'Z') || strchr(" \"&'/:<>", local.at[i]) != NULL)
            return false;
    return local.len > 0 && rest.at != NULL && str_eq(rest, domain);
}

static bool is_account(const struct loading *loading, struct str account)
{
    for (size_t d = 0; d < loading->n_domains; d++)
        if (is_account_of(account, loading->domains[d].name))
            return true;
    return false;
}

static void check_people(struct loading *loading, struct origin origin, const char *what,
                         const struct config_list *people)
{
    for (size_t i = 0; i < people->n; i++)
        if (!is_account(loading, people->at[i]))
            loading_trouble(loading, origin,
                            "%s: \"%.*s\" is no account in lower case of a domain served here",
                            what, STR_ARGS(people->at[i]));
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(((const struct config_domain *)a)->name,
                   ((const struct config_domain *)b)->name);
}

static void check_domains(struct loading *loading)
{
    const struct config *config = loading->config;
    bool any_port =
        config->listen.starttls != 0 || config->listen.direct_tls != 0 || config->http.port != 0;
    if (loading->n_domains == 0)
        loading_trouble(
            loading, (struct origin){loading->name, 0},
            "domains: none is named; needed: domains = ( { name = \"example.org\"; } );");
    for (size_t d = 0; d < loading->n_domains; d++) {
        const struct config_domain *domain = &loading->domains[d];
        struct origin origin = loading->domain_origins[d];
        if (!is_domain(domain->name)) {
            loading_trouble(loading, origin,
                            "domains.name: \"%.*s\" is not a domain name in lower case, such as "
                            "example.org",
                            STR_ARGS(domain->name));
            continue;
        }
        if (check_prepared(loading, origin, domain->name) != OK)
            continue;
        if (any_port && (domain->certificate.len == 0 || domain->key.len == 0))
            loading_trouble(
                loading, origin,
                "domain %.*s: certificate and key are needed, here or in the section tls",
                STR_ARGS(domain->name));
        for (size_t i = 0; i < domain->administrators.n; i++)
            if (!is_account_of(domain->administrators.at[i], domain->name))
                loading_trouble(
                    loading, origin,
                    "domains.administrators: \"%.*s\" is not an account of %.*s in lower case, "
                    "such as admin@%.*s",
                    STR_ARGS(domain->administrators.at[i]), STR_ARGS(domain->name),
                    STR_ARGS(domain->name));
        if (domain->certificate.len > 0)
            check_readable(loading, origin, "certificate", domain->certificate, false);
        if (domain->key.len > 0)
            check_readable(loading, origin, "key", domain->key, false);
    }
    if (loading->n_domains > 1) {
        size_t n = loading->n_domains;
        struct config_domain *sorted = arena_make_array(loading->arena, struct config_domain, n);
        memcpy(sorted, loading->domains, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_names);
        for (size_t d = 1; d < n; d++)
            if (str_eq(sorted[d].name, sorted[d - 1].name))
                loading_trouble(loading, (struct origin){loading->name, 0},
                                "domains: %.*s is named twice", STR_ARGS(sorted[d].name));
    }
}

static bool is_address(struct str text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text.at, bytes) == 1 || inet_pton(AF_INET6, text.at, bytes) == 1;
}

/* What it takes to start: each thread has its stack, and room that malloc reserves for it. */
static void check_memory(struct loading *loading, struct origin origin)
{
    const struct config *config = loading->config;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t workers = config->server.workers != 0 ? (size_t)config->server.workers
                     : cores > 0                 ? (size_t)cores
                                                 : 1;
    size_t mib = (512 + 64 * workers) + config->guard.memory / MEBIBYTE;
    if (config->server.memory != 0 && config->server.memory / MEBIBYTE < mib)
        loading_trouble(loading, origin,
                        "server.memory: less than %zu MiB, what %zu workers and guard.memory need",
                        mib, workers);
}

static void check_keys(struct loading *loading)
{
    const struct config *config = loading->config;
#define ORIGIN(section, key) loading_origin(loading->sections, &loading->origins, #section, #key)
    for (size_t i = 0; i < config->listen.addresses.n; i++)
        if (!is_address(config->listen.addresses.at[i]))
            loading_trouble(loading, ORIGIN(listen, addresses),
                            "listen.addresses: \"%.*s\" is not an IPv4 or IPv6 address",
                            STR_ARGS(config->listen.addresses.at[i]));
    if (!is_address(config->metrics.address))
        loading_trouble(loading, ORIGIN(metrics, address),
                        "metrics.address: \"%.*s\" is not an IPv4 or IPv6 address",
                        STR_ARGS(config->metrics.address));
    for (size_t i = 0; i < config->http.addresses.n; i++)
        if (!is_address(config->http.addresses.at[i]))
            loading_trouble(loading, ORIGIN(http, addresses),
                            "http.addresses: \"%.*s\" is not an IPv4 or IPv6 address",
                            STR_ARGS(config->http.addresses.at[i]));
    if (config->http.url.len > 0 && config_url_host(config->http.url).len == 0)
        loading_trouble(
            loading, ORIGIN(http, url),
            "http.url: \"%.*s\" is not https:// and a host in lower case, with or without a "
            "port, and nothing after it",
            STR_ARGS(config->http.url));
    if ((config->http.certificate.len > 0) != (config->http.key.len > 0))
        loading_trouble(loading,
                        config->http.key.len > 0 ? ORIGIN(http, key) : ORIGIN(http, certificate),
                        "http.certificate and http.key: only one given");
    for (size_t i = 0; i < config->upload.origins.n; i++)
        if (!http_cross_is_origin(config->upload.origins.at[i]))
            loading_trouble(loading, ORIGIN(upload, origins),
                            "upload.origins: \"%.*s\" is neither * nor an origin such as "
                            "https://chat.example.org",
                            STR_ARGS(config->upload.origins.at[i]));
    if (config->http.certificate.len > 0 && config->http.url.len == 0)
        loading_trouble(loading, ORIGIN(http, certificate),
                        "http.certificate: for which host? set http.url");
    if (config->http.certificate.len > 0)
        check_readable(loading, ORIGIN(http, certificate), "http.certificate",
                       config->http.certificate, false);
    if (config->http.key.len > 0)
        check_readable(loading, ORIGIN(http, key), "http.key", config->http.key, false);
    if (config->upload.scanner.len > 0 &&
        (config->upload.scanner.len > 100 || !clamd_is_place(config->upload.scanner)))
        loading_trouble(
            loading, ORIGIN(upload, scanner),
            "upload.scanner: \"%.*s\" is neither an absolute path nor a numeric address with a "
            "port, such as 127.0.0.1:3310",
            STR_ARGS(config->upload.scanner));
    if (config->upload.enabled && config->http.port == 0)
        loading_trouble(loading, ORIGIN(upload, enabled),
                        "upload.enabled: files are put and fetched over HTTP; set http.port");
    for (size_t d = 0; d < loading->n_domains; d++) {
        const struct config_domain *domain = &loading->domains[d];
        if (domain->links && config->http.port == 0)
            loading_trouble(
                loading, loading->domain_origins[d],
                "domain %.*s: links are to be protected, but http.port is 0: there is no page "
                "to open them",
                STR_ARGS(domain->name));
        else if (domain->links && config->http.url.len == 0 && !is_ascii(domain->name))
            loading_trouble(
                loading, loading->domain_origins[d],
                "domain %.*s: links are to be protected, and its name is not ASCII: http.url is "
                "needed",
                STR_ARGS(domain->name));
    }
    check_people(loading, ORIGIN(links, people), "links.people", &config->links.people);
    check_people(loading, ORIGIN(links, spared), "links.spared", &config->links.spared);
    if (config->links.people.n > 0 && config->http.port == 0)
        loading_trouble(loading, ORIGIN(links, people),
                        "links.people: http.port is 0: there is no page to open links");
    for (size_t i = 0; i < config->links.allowed.n; i++)
        if (!is_domain(config->links.allowed.at[i]) || !is_ascii(config->links.allowed.at[i]))
            loading_trouble(
                loading, ORIGIN(links, allowed),
                "links.allowed: \"%.*s\" is not a host in lower case (of other letters, its "
                "xn-- form)",
                STR_ARGS(config->links.allowed.at[i]));
    if (config->links.valid_us / config->links.renew_us >= LINK_KEYS_MOST)
        loading_trouble(loading, ORIGIN(links, valid),
                        "links.valid: longer than %d keys of links.renew last", LINK_KEYS_MOST);
    if (config->listen.starttls != 0 && config->listen.starttls == config->listen.direct_tls)
        loading_trouble(loading, ORIGIN(listen, direct_tls),
                        "listen.direct_tls: the same port as listen.starttls");
    if (config->auth.slowdown_us > config->auth.slowdown_most_us)
        loading_trouble(loading, ORIGIN(auth, slowdown),
                        "auth.slowdown: more than auth.slowdown_most");
    if (config->suspension.duration_us > config->suspension.most_us)
        loading_trouble(loading, ORIGIN(suspension, duration),
                        "suspension.duration: more than suspension.most");
    if (config->limits.preauth_stanza_bytes > config->limits.stanza_bytes)
        loading_trouble(loading, ORIGIN(limits, preauth_stanza_bytes),
                        "limits.preauth_stanza_bytes: more than limits.stanza_bytes");
    if (config->limits.outbox_bytes < 2 * config->limits.stanza_bytes)
        loading_trouble(loading, ORIGIN(limits, outbox_bytes),
                        "limits.outbox_bytes: less than two stanzas of limits.stanza_bytes");
    if (config->limits.bytes_burst < config->limits.bytes_per_second)
        loading_trouble(loading, ORIGIN(limits, bytes_burst),
                        "limits.bytes_burst: less than limits.bytes_per_second");
    if (config->limits.stanzas_burst < config->limits.stanzas_per_second)
        loading_trouble(loading, ORIGIN(limits, stanzas_burst),
                        "limits.stanzas_burst: less than limits.stanzas_per_second");
    struct why why = {""};
    if (config->tls.ciphers.len > 0 && tls_check_ciphers(config->tls.ciphers.at, &why) != OK)
        loading_trouble(loading, ORIGIN(tls, ciphers),
                        "tls.ciphers: %s; allowed: OpenSSL's names, such as "
                        "ECDHE+AESGCM:ECDHE+CHACHA20",
                        why.text);
    check_memory(loading, ORIGIN(server, memory));
    if (config->server.state_directory.len == 0)
        loading_trouble(loading, ORIGIN(server, state_directory),
                        "server.state_directory: none is named");
    if (config->store.path.len == 0)
        loading_trouble(loading, ORIGIN(store, path), "store.path: none is named");
    if (config->control.socket.len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        loading_trouble(loading, ORIGIN(control, socket),
                        "control.socket: the path is longer than %zu bytes, the most for a socket",
                        sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    if (config->notices.catalogues.len > 0)
        check_readable(loading, ORIGIN(notices, catalogues), "notices.catalogues",
                       config->notices.catalogues, true);
#undef ORIGIN
}

void loading_check(struct loading *loading)
{
    check_domains(loading);
    check_keys(loading);
}
