#include "xmpp/jid.h"

#include "base/must.h"
#include "xmpp/precis_internal.h"

#include <arpa/inet.h>
#include <unicode/uidna.h>

_Static_assert((int)JID_PART_MOST == (int)PRECIS_OUT_MOST, "one buffer for both");

/* What ASCII may stand in a local part: RFC 7622 section 3.3.1 excludes "&'/:<>@. */
static const bool local_chars[256] = {
    ['!'] = true, ['#' ... '%'] = true, ['(' ... '.'] = true, ['0' ... '9'] = true, [';'] = true,
    ['='] = true, ['?'] = true,         ['A' ... 'Z'] = true, ['[' ... '~'] = true,
};

/* And in a domain, whose labels are looked at apart. */
static const bool domain_chars[256] = {
    ['-' ... '.'] = true,
    ['0' ... '9'] = true,
    ['A' ... 'Z'] = true,
    ['a' ... 'z'] = true,
};

static bool is_one_of(const bool chars[256], char c)
{
    return chars[(uint8_t)c];
}

static char lower(char c)
{
    return (char)(c | ((unsigned)(c - 'A') < 26U) << 5); // without a branch
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((uint8_t)text.at[i] >= 0x80)
            return false;
    return true;
}

/* Each of these writes a prepared part to out, which has room for JID_PART_MOST bytes. */

static enum err prepare_local(struct str text, char *out, size_t *len)
{
    if (text.len <= JID_PART_MOST) {
        size_t i = 0;
        for (; i < text.len && is_one_of(local_chars, text.at[i]); i++)
            out[i] = lower(text.at[i]);
        if (i == text.len) {
            *len = i;
            return i > 0 ? OK : ERR_MALFORMED;
        }
    }
    if (is_ascii(text))
        return text.len > JID_PART_MOST ? ERR_LIMIT : ERR_MALFORMED;
    enum err e = precis_username(text, out, len);
    if (e != OK)
        return e;
    // asked after the mapping, which makes '@' of its full-width form
    for (size_t i = 0; i < *len; i++)
        if ((uint8_t)out[i] < 0x80 && !is_one_of(local_chars, out[i]))
            return ERR_MALFORMED;
    return OK;
}

enum { LABEL_MOST = 63 };

/* An ASCII label that is neither reserved nor encoded. */
static bool is_plain_label(struct str label)
{
    return label.len > 0 && label.len <= LABEL_MOST && label.at[0] != '-' &&
           label.at[label.len - 1] != '-' &&
           !(label.len >= 4 && label.at[2] == '-' && label.at[3] == '-');
}

static bool is_domain(struct str domain)
{
    for (struct str rest = domain; rest.at != NULL;) {
        struct str label = str_cut(&rest, '.');
        if (is_ascii(label) ? !is_plain_label(label) : !precis_is_label(label))
            return false;
    }
    return true;
}

static UIDNA *idna_open(void)
{
    UErrorCode status = U_ZERO_ERROR;
    UIDNA *idna = uidna_openUTS46(UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                      UIDNA_CHECK_CONTEXTO | UIDNA_NONTRANSITIONAL_TO_ASCII |
                                      UIDNA_NONTRANSITIONAL_TO_UNICODE,
                                  &status);
    must(U_SUCCESS(status)); // part of the library's data
    return idna;
}

/* IDNA2008 by UTS 46, nontransitional; the result has U-labels. */
static enum err prepare_unicode_domain(struct str text, bool had_dot, char *out, size_t *len)
{
    // shorter than this in any encoding that could still become a domain
    if (text.len > 4U * JID_PART_MOST)
        return ERR_LIMIT;
    if (!str_is_utf8(text))
        return ERR_MALFORMED;
    UErrorCode status = U_ZERO_ERROR;
    UIDNA *idna = idna_open();
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    int32_t n = uidna_nameToUnicodeUTF8(idna, text.at, (int32_t)text.len, out, JID_PART_MOST, &info,
                                        &status);
    uint32_t errors = info.errors;
    if (U_SUCCESS(status) && errors == 0) {
        // the encoded form has limits of its own, and must be the same domain
        char ascii[4 * JID_PART_MOST];
        UIDNAInfo back = UIDNA_INFO_INITIALIZER;
        uidna_nameToASCII_UTF8(idna, out, n, ascii, (int32_t)sizeof ascii, &back, &status);
        errors = back.errors & ~(uint32_t)UIDNA_ERROR_DOMAIN_NAME_TOO_LONG;
    }
    uidna_close(idna);
    if (status == U_BUFFER_OVERFLOW_ERROR)
        return ERR_LIMIT;
    if (U_FAILURE(status) || errors != 0)
        return ERR_MALFORMED;
    struct str domain = {out, (size_t)n};
    if (!had_dot && str_ends(domain, STR("."))) // of another kind before it was mapped
        domain.len--;
    *len = domain.len;
    return is_domain(domain) ? OK : ERR_MALFORMED;
}

/* "[2001:db8::1]" */
static enum err prepare_ip_literal(struct str text, char *out, size_t *len)
{
    char inner[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (!str_ends(text, STR("]")) ||
        str_to_z((struct str){text.at + 1, text.len - 2}, inner, sizeof inner) != OK ||
        inet_pton(AF_INET6, inner, &address) != 1)
        return ERR_MALFORMED;
    must(inet_ntop(AF_INET6, &address, inner, sizeof inner) != NULL);
    size_t n = strlen(inner);
    out[0] = '[';
    memcpy(out + 1, inner, n);
    out[n + 1] = ']';
    *len = n + 2;
    return OK;
}

static enum err prepare_domain(struct str text, char *out, size_t *len)
{
    if (str_starts(text, STR("[")))
        return text.len > 2 ? prepare_ip_literal(text, out, len) : ERR_MALFORMED;
    // RFC 7622 section 3.2: the final dot goes first
    bool had_dot = str_ends(text, STR("."));
    if (had_dot)
        text.len--;
    size_t i = 0, label = 0; // label: where the current one begins
    bool is_plain = text.len > 0 && text.len <= JID_PART_MOST;
    for (; is_plain && i < text.len; i++) {
        out[i] = lower(text.at[i]);
        is_plain = is_one_of(domain_chars, text.at[i]);
        if (text.at[i] == '.') {
            is_plain = is_plain_label((struct str){out + label, i - label});
            label = i + 1;
        }
    }
    if (is_plain && is_plain_label((struct str){out + label, i - label})) {
        *len = i;
        return OK;
    }
    if (text.len == 0)
        return ERR_MALFORMED;
    if (is_ascii(text) && text.len > JID_PART_MOST)
        return ERR_LIMIT;
    return prepare_unicode_domain(text, had_dot, out, len);
}

static enum err prepare_resource(struct str text, char *out, size_t *len)
{
    if (text.len == 0)
        return ERR_MALFORMED;
    bool is_plain = text.len <= JID_PART_MOST;
    for (size_t i = 0; is_plain && i < text.len; i++)
        is_plain = text.at[i] >= ' ' && text.at[i] <= '~';
    if (is_plain) {
        memcpy(out, text.at, text.len);
        *len = text.len;
        return OK;
    }
    if (text.len > JID_PART_MOST && is_ascii(text))
        return ERR_LIMIT;
    return precis_opaque(text, out, len);
}

/* Absent parts have at == NULL; those present are not empty when this succeeds. */
static enum err make(struct arena *arena, struct str local, struct str domain, struct str resource,
                     struct jid *out)
{
    char full[JID_MOST];
    size_t n_local = 0, n_domain, n_resource = 0, at = 0;
    enum err e = OK;
    if (local.at != NULL) {
        e = prepare_local(local, full, &n_local);
        if (e != OK)
            return e;
        full[n_local] = '@';
        at = n_local + 1;
    }
    e = prepare_domain(domain, full + at, &n_domain);
    if (e != OK)
        return e;
    at += n_domain;
    if (resource.at != NULL) {
        full[at++] = '/';
        e = prepare_resource(resource, full + at, &n_resource);
        if (e != OK)
            return e;
        at += n_resource;
    }
    if (!arena_fits(arena, at))
        return ERR_LIMIT;
    char *text = arena_alloc(arena, at);
    memcpy(text, full, at);
    size_t domain_at = local.at != NULL ? n_local + 1 : 0;
    *out = (struct jid){
        .local = {text,                   n_local   },
        .domain = {text + domain_at,       n_domain  },
        .resource = {text + at - n_resource, n_resource},
        .full = {text,                   at        },
    };
    return OK;
}

/* Cuts at the first '/', then at the first '@' before it (RFC 7622 section 3.2). */
static void cut(struct str text, struct str *local, struct str *domain, struct str *resource)
{
    struct str rest = text;
    struct str bare = str_cut(&rest, '/');
    *resource = rest; // at == NULL without a '/'
    rest = bare;
    struct str before = str_cut(&rest, '@');
    *local = rest.at != NULL ? before : (struct str){NULL, 0};
    *domain = rest.at != NULL ? rest : bare;
}

enum err jid_parse(struct arena *arena, struct str text, struct jid *out)
{
    struct str local, domain, resource;
    cut(text, &local, &domain, &resource);
    return make(arena, local, domain, resource, out);
}

static struct str absent_if_empty(struct str text)
{
    return text.len > 0 ? text : (struct str){NULL, 0};
}

enum err jid_make(struct arena *arena, struct str local, struct str domain, struct str resource,
                  struct jid *out)
{
    return make(arena, absent_if_empty(local), domain, absent_if_empty(resource), out);
}

struct jid jid_of_prepared(struct str full)
{
    struct str local, domain, resource;
    cut(full, &local, &domain, &resource);
    return (struct jid){
        .local = local.at != NULL ? local : (struct str){full.at,            0},
        .domain = domain,
        .resource = resource.at != NULL ? resource : (struct str){full.at + full.len, 0},
        .full = full,
    };
}

struct jid jid_bare_of(const struct jid *jid)
{
    struct jid bare = *jid;
    bare.full = jid_bare(jid);
    bare.resource = (struct str){bare.full.at + bare.full.len, 0};
    return bare;
}

struct jid jid_copy(struct arena *arena, const struct jid *jid)
{
    return jid_of_prepared(arena_str(arena, jid->full));
}

struct jid jid_with_resource(struct arena *arena, const struct jid *bare, struct str resource)
{
    must(resource.len > 0);
    struct str text = jid_bare(bare);
    size_t len = text.len + 1 + resource.len;
    char *full = arena_alloc(arena, len);
    memcpy(full, text.at, text.len);
    full[text.len] = '/';
    memcpy(full + text.len + 1, resource.at, resource.len);
    return jid_of_prepared((struct str){full, len});
}

typedef enum err prepare_fn(struct str text, char *out, size_t *len);

static enum err prepare_part(prepare_fn *prepare, struct arena *arena, struct str text,
                             struct str *out)
{
    char part[JID_PART_MOST];
    size_t len;
    enum err e = prepare(text, part, &len);
    if (e != OK)
        return e;
    if (!arena_fits(arena, len + 1))
        return ERR_LIMIT;
    *out = arena_str(arena, (struct str){part, len});
    return OK;
}

enum err jid_prepare_local(struct arena *arena, struct str text, struct str *out)
{
    return prepare_part(prepare_local, arena, text, out);
}

enum err jid_prepare_domain(struct arena *arena, struct str text, struct str *out)
{
    return prepare_part(prepare_domain, arena, text, out);
}

enum err jid_domain_ascii(struct arena *arena, struct str domain, struct str *out)
{
    if (is_ascii(domain)) { // an address too
        *out = domain;
        return OK;
    }
    char ascii[4 * JID_PART_MOST];
    UErrorCode status = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UIDNA *idna = idna_open();
    int32_t n = uidna_nameToASCII_UTF8(idna, domain.at, (int32_t)domain.len, ascii,
                                       (int32_t)sizeof ascii, &info, &status);
    uidna_close(idna);
    if (U_FAILURE(status) || info.errors != 0)
        return ERR_MALFORMED;
    *out = arena_str(arena, str_make(ascii, (size_t)n));
    return OK;
}

enum err jid_prepare_resource(struct arena *arena, struct str text, struct str *out)
{
    return prepare_part(prepare_resource, arena, text, out);
}

enum err jid_is_safe_new_localpart(struct str text)
{
    char ours[JID_PART_MOST], theirs[JID_PART_MOST];
    size_t n_ours, n_theirs;
    enum err e = prepare_local(text, ours, &n_ours);
    if (e != OK)
        return e;
    // both what was typed and what we make of it: others see the one or the other
    struct str seen[] = {
        text, {ours, n_ours}
    };
    for (size_t i = 0; i < COUNT_OF(seen); i++) {
        if (stringprep(STRINGPREP_NODE, seen[i], theirs, &n_theirs) != OK ||
            !str_eq((struct str){theirs, n_theirs}, (struct str){ours, n_ours}))
            return ERR_DENIED;
    }
    return OK;
}
