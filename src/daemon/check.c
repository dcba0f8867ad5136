#include "daemon/check.h"

#include "base/must.h"
#include "daemon/server.h"
#include "daemon/server_settings.h"
#include "files/text_rules.h"
#include "net/certificate.h"
#include "net/tls.h"
#include "store/store_faults.h"
#include "xmpp/jid.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

static enum err worse(enum err a, enum err b)
{
    return a != OK ? a : b;
}

/* ---- names of this machine ---- */

static enum err check_user(const struct config *config, struct buf *troubles)
{
    struct passwd entry, *found = NULL;
    char room[16384];
    struct str user = config->server.run_as;
    if (geteuid() != 0) // the server stays who it is
        return OK;
    int error = getpwnam_r(user.at, &entry, room, sizeof room, &found);
    if (found != NULL)
        return OK;
    config_trouble(config, troubles, "server", "run_as",
                   "server.run_as: there is no user \"%.*s\"%s%s; make one (adduser --system "
                   "--group %.*s) or name another",
                   STR_ARGS(user), error != 0 ? ": " : "", error != 0 ? strerror(error) : "",
                   STR_ARGS(user));
    return ERR_MALFORMED;
}

static enum err check_group(const struct config *config, struct buf *troubles)
{
    struct group entry, *found = NULL;
    char room[65536];
    struct str group = config->control.group;
    if (group.len == 0)
        return OK;
    getgrnam_r(group.at, &entry, room, sizeof room, &found);
    if (found != NULL)
        return OK;
    config_trouble(config, troubles, "control", "group",
                   "control.group: there is no group \"%.*s\"; make one (addgroup --system %.*s), "
                   "name another, or \"\" for none",
                   STR_ARGS(group), STR_ARGS(group));
    return ERR_MALFORMED;
}

/* ---- what other rooms read ---- */

static enum err check_faults(const struct config *config, struct buf *troubles)
{
    struct why why = {""};
    if (config->test.faults.len == 0 || store_check_faults(config->test.faults.at, &why) == OK)
        return OK;
    config_trouble(config, troubles, "test", "faults", "test.faults: %s", why.text);
    return ERR_MALFORMED;
}

// Not of a replay: "nothing is held" is a question that one may ask.
static enum err check_guard(const struct config *config, struct buf *troubles)
{
    double hold = config->guard.hold_nats, convict = config->guard.convict_nats;
    if (hold <= convict)
        return OK;
    config_trouble(config, troubles, "guard", "hold_nats",
                   "guard.hold_nats: %.10g is more than guard.convict_nats (%.10g): what convicts "
                   "would never have been held; allowed: at most %.10g",
                   hold, convict, convict);
    return ERR_MALFORMED;
}

enum err check_live(const struct config *config, const struct notices *notices,
                    struct buf *troubles)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct str languages = notices_languages(notices, &arena);
    enum err e = OK;
    if (!notices_speak(notices, config->notices.language)) {
        config_trouble(config, troubles, "notices", "language",
                       "notices.language: there is no catalogue for \"%.*s\"; allowed: %.*s",
                       STR_ARGS(config->notices.language), STR_ARGS(languages));
        e = ERR_MALFORMED;
    }
    for (size_t d = 0; d < config->n_domains; d++) {
        const struct config_domain *domain = &config->domains[d];
        if (str_eq(domain->language, config->notices.language) ||
            notices_speak(notices, domain->language))
            continue;
        config_domain_trouble(config, troubles, d,
                              "domain %.*s: language: there is no catalogue for \"%.*s\"; "
                              "allowed: %.*s",
                              STR_ARGS(domain->name), STR_ARGS(domain->language),
                              STR_ARGS(languages));
        e = ERR_MALFORMED;
    }
    arena_done(&arena);
    return e;
}

static enum err check_languages(const struct config *config, struct buf *troubles)
{
    struct why why = {""};
    struct notices *notices = NULL;
    enum err e = notices_new(config->notices.catalogues, &notices, &why);
    if (e != OK)
        config_trouble(config, troubles, "notices", "catalogues", "%s", why.text);
    else
        e = check_live(config, notices, troubles);
    notices_free(&notices);
    return e;
}

enum err check_config(const struct config *config, struct buf *troubles)
{
    enum err e = check_user(config, troubles);
    e = worse(e, check_group(config, troubles));
    e = worse(e, check_guard(config, troubles));
    e = worse(e, check_languages(config, troubles));
    return worse(e, check_faults(config, troubles));
}

/* ---- files ---- */

static enum err check_certificate(const struct config *config, struct tls_home *home,
                                  struct str name, struct str chain, struct str key,
                                  struct why *why)
{
    const struct tls_policy policy = server_tls_policy(config);
    struct tls_identity identity = {&name, 1, chain.at, key.at};
    struct tls_config *tls = NULL;
    enum err e = tls_config_new_server(&identity, 1, &policy, &home, 1, &tls, why);
    tls_config_unref(&tls);
    return e;
}

// Of a name outside ASCII its A-labels stand in the certificate.
static bool is_for_others(struct str chain, struct str host, struct why *why)
{
    struct arena arena;
    arena_init(&arena, 65536);
    struct str ascii = host;
    bool is_for = jid_domain_ascii(&arena, host, &ascii) != OK ||
                  certificate_is_for(chain.at, ascii, why) != ERR_MISSING;
    arena_done(&arena);
    return !is_for;
}

static enum err check_certificates(const struct config *config, struct buf *troubles)
{
    struct tls_home *home = NULL;
    struct why why = {""};
    enum err e = tls_home_new(&home, &why), all = e;
    if (e != OK)
        buf_printf(troubles, "%s\n", why.text);
    for (size_t d = 0; d < config->n_domains && home != NULL; d++) {
        const struct config_domain *domain = &config->domains[d];
        if (domain->certificate.len == 0)
            continue;
        e = check_certificate(config, home, domain->name, domain->certificate, domain->key, &why);
        all = worse(all, e);
        if (e != OK)
            config_domain_trouble(config, troubles, d, "domain %.*s: %s", STR_ARGS(domain->name),
                                  why.text);
        else if (is_for_others(domain->certificate, domain->name, &why))
            config_domain_trouble(config, troubles, d, "warning: domain %.*s: %s",
                                  STR_ARGS(domain->name), why.text);
    }
    struct str host = config_url_host(config->http.url);
    if (home != NULL && config->http.certificate.len > 0) {
        e = check_certificate(config, home, host, config->http.certificate, config->http.key, &why);
        all = worse(all, e);
        if (e != OK)
            config_trouble(config, troubles, "http", "certificate", "http.certificate: %s",
                           why.text);
        else if (is_for_others(config->http.certificate, host, &why))
            config_trouble(config, troubles, "http", "certificate", "warning: http.certificate: %s",
                           why.text);
    }
    tls_home_free(&home);
    return all;
}

// That the rules for texts can be compiled.
static enum err check_text_rules(const struct config *config, struct buf *troubles)
{
    struct text_rules *texts = NULL;
    struct why why = {""};
    enum err e = server_read_text_rules(config, &texts, &why);
    if (e != OK)
        config_trouble(config, troubles, "texts", "rules", "texts.rules: %s", why.text);
    text_rules_unref(&texts);
    return e;
}

// That the rules for files can be compiled.
static enum err check_rules(const struct config *config, const struct inspector_options *options,
                            struct buf *troubles)
{
    struct inspector_options free_of_fences = *options;
    struct inspector *inspector = NULL;
    struct why why = {""};
    free_of_fences.confine = NULL;
    enum err e = inspector_start(&free_of_fences, &inspector, &why);
    if (e != OK)
        config_trouble(config, troubles, "upload", "rules", "upload.rules: %s", why.text);
    inspector_stop(&inspector);
    return e;
}

enum err check_files(const struct config *config, const struct inspector_options *options,
                     struct buf *troubles)
{
    enum err e = worse(check_certificates(config, troubles), check_text_rules(config, troubles));
    return config->upload.enabled ? worse(e, check_rules(config, options, troubles)) : e;
}
