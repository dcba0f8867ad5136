#include "xmpp/sasl.h"

#include "base/base64.h"
#include "base/must.h"
#include "xmpp/jid.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum { SASL_ARENA_MOST = 64 * 1024 };

static const struct {
    const char *name;
    enum scram_hash hash;
    bool plus;
} mechanisms[SASL_N_MECHANISMS] = {
    [SASL_SCRAM_SHA_256_PLUS] = {"SCRAM-SHA-256-PLUS", SCRAM_SHA_256, true },
    [SASL_SCRAM_SHA_1_PLUS] = {"SCRAM-SHA-1-PLUS",   SCRAM_SHA_1,   true },
    [SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256",      SCRAM_SHA_256, false},
    [SASL_SCRAM_SHA_1] = {"SCRAM-SHA-1",        SCRAM_SHA_1,   false},
    [SASL_PLAIN] = {"PLAIN",              SCRAM_SHA_256, false},
};

#define ALL_PLUS (SASL_BIT(SASL_SCRAM_SHA_256_PLUS) | SASL_BIT(SASL_SCRAM_SHA_1_PLUS))

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].name;
}

enum err sasl_mechanism_of(struct str name, enum sasl_mechanism *out)
{
    for (int i = 0; i < SASL_N_MECHANISMS; i++) {
        if (!str_eq(name, str_of(mechanisms[i].name)))
            continue;
        *out = (enum sasl_mechanism)i;
        return OK;
    }
    return ERR_UNSUPPORTED;
}

unsigned sasl_offer(unsigned allowed, bool secured, unsigned bindings)
{
    // RFC 6120 §13.8: no mechanism of ours before TLS
    if (!secured)
        return 0;
    return allowed & (bindings != 0 ? SASL_ALL : SASL_ALL & ~ALL_PLUS);
}

const char *sasl_failure_name(enum sasl_failure failure)
{
    static const char *const names[SASL_N_FAILURES] = {
        [SASL_ABORTED] = "aborted",
        [SASL_ACCOUNT_DISABLED] = "account-disabled",
        [SASL_CREDENTIALS_EXPIRED] = "credentials-expired",
        [SASL_ENCRYPTION_REQUIRED] = "encryption-required",
        [SASL_INCORRECT_ENCODING] = "incorrect-encoding",
        [SASL_INVALID_AUTHZID] = "invalid-authzid",
        [SASL_INVALID_MECHANISM] = "invalid-mechanism",
        [SASL_MALFORMED_REQUEST] = "malformed-request",
        [SASL_MECHANISM_TOO_WEAK] = "mechanism-too-weak",
        [SASL_NOT_AUTHORIZED] = "not-authorized",
        [SASL_TEMPORARY_AUTH_FAILURE] = "temporary-auth-failure",
    };
    return names[failure];
}

enum err sasl_decode(struct arena *arena, struct str text, size_t most, struct str *out)
{
    if (str_eq(text, STR("="))) {
        *out = STR_EMPTY;
        return OK;
    }
    return base64_decode(arena, text, most, out);
}

enum phase {
    WANTS_FIRST,       // the client's first message
    WANTS_CREDENTIALS, // from the lookup
    WANTS_CHECK,       // of a PLAIN password
    WANTS_FINAL,       // the client's last message
    DONE,
};

struct sasl {
    struct sasl_setting setting;
    sasl_binding_fn binding_data;
    void *context;
    enum phase phase;
    enum sasl_mechanism mechanism;
    enum sasl_failure failure;
    enum scram_error detail;
    struct arena arena;
    struct buf answer; // base64
    struct scram *scram;
    struct scram_first first;
    struct str local, password; // in arena
    struct str secret_text;     // what holds the password: wiped at the end
    bool known;
    struct credentials credentials;
};

static enum sasl_step fail(struct sasl *sasl, enum sasl_failure failure, enum scram_error detail)
{
    sasl->phase = DONE;
    sasl->failure = failure;
    sasl->detail = detail;
    return SASL_FAILED;
}

static enum sasl_step fail_scram(struct sasl *sasl, enum scram_error error)
{
    switch (error) {
    case SCRAM_INVALID_ENCODING:
    case SCRAM_EXTENSIONS_NOT_SUPPORTED:
    case SCRAM_INVALID_USERNAME_ENCODING:
    case SCRAM_NO_RESOURCES:
        return fail(sasl, SASL_MALFORMED_REQUEST, error);
    default:
        return fail(sasl, SASL_NOT_AUTHORIZED, error);
    }
}

static enum sasl_step succeed(struct sasl *sasl)
{
    // RFC 6120 §6.5.2: said only to who has proved the password
    if (sasl->credentials.disabled)
        return fail(sasl, SASL_ACCOUNT_DISABLED, SCRAM_FINE);
    sasl->phase = DONE;
    return SASL_SUCCEEDED;
}

// RFC 6120 §6.3.8: an authorization identity is the account itself, or it is refused.
static bool authzid_fits(struct sasl *sasl, struct str authzid)
{
    struct jid jid;
    return authzid.len == 0 ||
           (jid_parse(&sasl->arena, authzid, &jid) == OK && jid_is_bare(&jid) &&
            str_eq(jid.local, sasl->local) && str_eq(jid.domain, sasl->setting.domain));
}

static enum sasl_step identify(struct sasl *sasl, struct str user, struct str authzid)
{
    if (jid_prepare_local(&sasl->arena, user, &sasl->local) != OK || sasl->local.len == 0) {
        sasl->local = STR_EMPTY;
        return fail(sasl, SASL_NOT_AUTHORIZED, SCRAM_UNKNOWN_USER);
    }
    if (!authzid_fits(sasl, authzid))
        return fail(sasl, SASL_INVALID_AUTHZID, SCRAM_OTHER_ERROR);
    sasl->phase = WANTS_CREDENTIALS;
    return SASL_WANT_CREDENTIALS;
}

// RFC 4616 §2: [authzid] NUL authcid NUL passwd
static enum sasl_step read_plain(struct sasl *sasl, struct str message)
{
    sasl->secret_text = message;
    struct str rest = message;
    struct str authzid = str_cut(&rest, '\0');
    if (rest.at == NULL)
        return fail(sasl, SASL_MALFORMED_REQUEST, SCRAM_INVALID_ENCODING);
    struct str user = str_cut(&rest, '\0');
    if (rest.at == NULL || user.len == 0 || rest.len == 0 ||
        str_find_char(rest, '\0') != rest.len || !str_is_utf8(message))
        return fail(sasl, SASL_MALFORMED_REQUEST, SCRAM_INVALID_ENCODING);
    sasl->password = rest;
    return identify(sasl, user, authzid);
}

static struct str offer_text(struct sasl *sasl)
{
    const struct sasl_setting *setting = &sasl->setting;
    struct str names[SASL_N_MECHANISMS], bindings[N_ADVERTISED_BINDINGS];
    size_t n_names = 0, n_bindings = 0;
    for (int i = 0; i < SASL_N_MECHANISMS; i++)
        if ((setting->offered & SASL_BIT(i)) != 0)
            names[n_names++] = str_of(mechanisms[i].name);
    for (int i = 0; i < N_ADVERTISED_BINDINGS; i++)
        if ((setting->bindings & 1U << i) != 0)
            bindings[n_bindings++] = str_of(channel_binding_name((enum channel_binding)i));
    return scram_offer_text(&sasl->arena, names, n_names, bindings, n_bindings);
}

static enum sasl_step read_scram_first(struct sasl *sasl, struct str message)
{
    struct scram_setting setting = {
        .hash = mechanisms[sasl->mechanism].hash,
        .plus = mechanisms[sasl->mechanism].plus,
        .plus_offered = (sasl->setting.offered & ALL_PLUS) != 0,
        .bindings = sasl->setting.bindings,
        .offer = sasl->setting.protect_offer ? offer_text(sasl) : STR_EMPTY,
    };
    sasl->scram = scram_new(sasl->setting.crypto, &setting);
    enum scram_error e = scram_read_first(sasl->scram, message, &sasl->first);
    if (e != SCRAM_FINE)
        return fail_scram(sasl, e);
    return identify(sasl, sasl->first.user, sasl->first.authzid);
}

static enum sasl_step read_first(struct sasl *sasl, struct str message)
{
    return sasl->mechanism == SASL_PLAIN ? read_plain(sasl, message)
                                         : read_scram_first(sasl, message);
}

static enum sasl_step read_scram_final(struct sasl *sasl, struct str message)
{
    unsigned char bytes[CHANNEL_BINDING_MOST];
    struct str binding_data = STR_EMPTY;
    if (sasl->first.bound)
        binding_data.len = sasl->binding_data(sasl->context, sasl->first.binding, bytes);
    must(binding_data.len <= sizeof bytes);
    binding_data.at = (const char *)bytes;
    struct buf text;
    buf_init(&text, SCRAM_MESSAGE_MOST);
    enum scram_error e = scram_read_final(sasl->scram, message, binding_data, &text);
    base64_add(&sasl->answer, buf_str(&text));
    buf_done(&text);
    return e == SCRAM_FINE ? succeed(sasl) : fail_scram(sasl, e);
}

enum sasl_step sasl_begin(const struct sasl_setting *setting, struct str mechanism, struct str text,
                          bool has_text, sasl_binding_fn binding, void *context, struct sasl **out)
{
    struct sasl *sasl = calloc(1, sizeof *sasl);
    must(sasl != NULL);
    *out = sasl;
    sasl->setting = *setting;
    sasl->binding_data = binding;
    sasl->context = context;
    sasl->local = STR_EMPTY;
    arena_init(&sasl->arena, SASL_ARENA_MOST);
    buf_init(&sasl->answer, 2 * SCRAM_MESSAGE_MOST);
    if (setting->offered == 0)
        return fail(sasl, SASL_ENCRYPTION_REQUIRED, SCRAM_OTHER_ERROR);
    if (sasl_mechanism_of(mechanism, &sasl->mechanism) != OK ||
        (setting->offered & SASL_BIT(sasl->mechanism)) == 0)
        return fail(sasl, SASL_INVALID_MECHANISM, SCRAM_OTHER_ERROR);
    // both kinds of mechanism let the client speak first: without an initial response it is asked
    // by an empty challenge (RFC 4422 §5)
    if (!has_text)
        return SASL_SEND_CHALLENGE;
    return sasl_respond(sasl, text);
}

void sasl_free(struct sasl **sasl)
{
    struct sasl *s = TAKE(*sasl);
    if (s == NULL)
        return;
    scram_free(&s->scram);
    OPENSSL_cleanse((char *)s->secret_text.at, s->secret_text.len);
    arena_done(&s->arena);
    buf_done(&s->answer);
    OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

enum sasl_step sasl_respond(struct sasl *sasl, struct str text)
{
    must(sasl->phase == WANTS_FIRST || sasl->phase == WANTS_FINAL);
    buf_clear(&sasl->answer);
    struct str message;
    enum err e = sasl_decode(&sasl->arena, text, SCRAM_MESSAGE_MOST, &message);
    if (e != OK)
        return fail(sasl, e == ERR_LIMIT ? SASL_MALFORMED_REQUEST : SASL_INCORRECT_ENCODING,
                    SCRAM_INVALID_ENCODING);
    return sasl->phase == WANTS_FIRST ? read_first(sasl, message) : read_scram_final(sasl, message);
}

static enum sasl_step challenge(struct sasl *sasl, const struct credentials *fakes)
{
    enum scram_hash hash = mechanisms[sasl->mechanism].hash;
    // an account whose keys are of the other hash looks like an unknown one
    bool known = sasl->known && sasl->credentials.keys[hash].iterations != 0;
    const struct scram_keys *keys = known ? &sasl->credentials.keys[hash] : &fakes->keys[hash];
    struct buf text;
    buf_init(&text, 2 * SCRAM_MESSAGE_MOST);
    scram_challenge(sasl->scram, keys, known, STR_EMPTY, &text);
    base64_add(&sasl->answer, buf_str(&text));
    buf_done(&text);
    sasl->phase = WANTS_FINAL;
    return SASL_SEND_CHALLENGE;
}

enum sasl_step sasl_credentials(struct sasl *sasl, enum lookup lookup,
                                const struct credentials *credentials,
                                const struct credentials *fakes)
{
    must(sasl->phase == WANTS_CREDENTIALS);
    buf_clear(&sasl->answer);
    if (lookup == LOOKUP_FAILED)
        return fail(sasl, SASL_TEMPORARY_AUTH_FAILURE, SCRAM_NO_RESOURCES);
    sasl->known = lookup == LOOKUP_FOUND;
    sasl->credentials = sasl->known ? *credentials : *fakes;
    if (sasl->mechanism != SASL_PLAIN)
        return challenge(sasl, fakes);
    sasl->phase = WANTS_CHECK;
    return SASL_WANT_PASSWORD;
}

enum sasl_step sasl_password_checked(struct sasl *sasl, enum err result)
{
    must(sasl->phase == WANTS_CHECK);
    if (result == OK && sasl->known)
        return succeed(sasl);
    if (result == OK || result == ERR_DENIED)
        return fail(sasl, SASL_NOT_AUTHORIZED,
                    sasl->known ? SCRAM_INVALID_PROOF : SCRAM_UNKNOWN_USER);
    return fail(sasl, SASL_TEMPORARY_AUTH_FAILURE, SCRAM_NO_RESOURCES);
}

struct str sasl_answer(const struct sasl *sasl)
{
    return buf_str(&sasl->answer);
}

enum sasl_failure sasl_failure(const struct sasl *sasl)
{
    return sasl->failure;
}

enum scram_error sasl_detail(const struct sasl *sasl)
{
    return sasl->detail;
}

enum sasl_mechanism sasl_mechanism(const struct sasl *sasl)
{
    return sasl->mechanism;
}

struct str sasl_local(const struct sasl *sasl)
{
    return sasl->local;
}

const struct credentials *sasl_wanted(const struct sasl *sasl)
{
    return &sasl->credentials;
}

struct str sasl_password(const struct sasl *sasl)
{
    return sasl->password;
}
