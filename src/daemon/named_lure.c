#include "daemon/named_lure.h"

#include "guard/url.h"

#include <sodium.h>

static const struct {
    const char *word;
    enum lure_width width;
    bool of_files;
} widths[] = {
    {"link",     LURE_EXACT,    false},
    {"template", LURE_TEMPLATE, false},
    {"host",     LURE_HOST,     false},
    {"domain",   LURE_DOMAIN,   false},
    {"name",     LURE_TEMPLATE, true },
};

// Whether it has any characters, and all of them are among these.
static bool is_made_of(struct str text, const char *allowed)
{
    size_t i = 0;
    while (i < text.len && text.at[i] != '\0' && strchr(allowed, text.at[i]) != NULL)
        i++;
    return i == text.len && i > 0;
}

// What stands in a template for what differs from victim to victim.
static bool is_pattern(struct str text)
{
    static const struct str marks[] = {STR("{n}"), STR("{id}"), STR("{name}"), STR("{v}")};
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (str_find(text, marks[i]) < text.len)
            return true;
    return false;
}

// "sha256:…", "SHA-1:…": a digest, rightly written or not.
static bool is_digest(struct str text)
{
    static const struct str names[] = {STR("sha"), STR("md5"), STR("blake2")};
    size_t colon = str_find_char(text, ':');
    bool begins = false;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        begins |=
            text.len >= names[i].len && str_eq_nocase(str_first(text, names[i].len), names[i]);
    if (!begins || colon == text.len || str_starts(str_skip(text, colon), STR("://")))
        return false;
    return is_made_of(str_first(text, colon),
                      "-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

static enum err read_digest(struct named_lure *named, struct str text, struct why *why)
{
    struct str digest = text, name = str_cut(&digest, ':');
    bool ok = str_eq(name, STR("sha-256")) && digest.len == 64 &&
              is_made_of(digest, "0123456789abcdefABCDEF");
    if (!ok)
        return why_say(why, ERR_MALFORMED,
                       "a digest is written sha-256:HEX, with 64 hexadecimal digits");
    lure_add_file(&named->list, &(struct lure_file){.name = STR_EMPTY,
                                                    .media_type = STR_EMPTY,
                                                    .digest_name = name,
                                                    .digest = digest});
    named->width = LURE_EXACT;
    return OK;
}

static void add_name(struct named_lure *named, struct str name)
{
    lure_add_file(&named->list, &(struct lure_file){.name = name,
                                                    .media_type = STR_EMPTY,
                                                    .digest_name = STR_EMPTY,
                                                    .digest = STR_EMPTY});
    named->width = LURE_TEMPLATE;
}

static bool has_any(struct str text, const char *characters)
{
    for (; *characters != '\0'; characters++)
        if (str_find_char(text, *characters) < text.len)
            return true;
    return false;
}

// A name with an extension that says what it is: "photo.jpg.exe", "report.pdf".
static bool may_be_file(struct str text)
{
    return !has_any(text, "/\\:?#") && (lure_name_is_innocent(text) || lure_name_flags(text) != 0);
}

// More hosts end so than programs.
static bool is_dot_com(struct str text)
{
    return text.len > 4 && str_eq_nocase(str_skip(text, text.len - 4), STR(".com")) &&
           (lure_name_flags(text) & LURE_DISGUISED) == 0;
}

static bool is_web(struct str url)
{
    static const struct str schemes[] = {STR("http:"), STR("https:"), STR("ftp:"), STR("aesgcm:")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (str_starts(url, schemes[i]))
            return true;
    return false;
}

static enum err read_lure(struct named_lure *named, struct str text, bool any_width,
                          struct why *why)
{
    bool file = may_be_file(text);
    lure_add_url(&named->list, text, STR_EMPTY);
    const struct lure *link = named->list.n == 1 ? &named->list.lures[0] : NULL;
    if (link != NULL && (link->flags & LURE_IP_HOST) != 0 && !has_any(text, "./:["))
        link = NULL; // "0x7f000001" is an address to a browser, but hardly to a person
    if (link != NULL && file && any_width && !is_dot_com(text))
        return why_say(why, ERR_MALFORMED,
                       "\"%.*s\" may be a host or the name of a file: --width name says the "
                       "file, --width link, template, host or domain the link",
                       STR_ARGS(text));
    if (link != NULL && any_width && !is_web(link->url))
        return why_say(why, ERR_MALFORMED,
                       "\"%.*s\" is no link of the web (http, https, ftp, aesgcm); if it is meant "
                       "nevertheless, say --width link or template",
                       STR_ARGS(text));
    if (link != NULL)
        return OK;
    named->list.n = 0;
    if (!file)
        return why_say(why, ERR_MALFORMED,
                       "\"%.*s\" is no link, and neither the number of an incident, sha-256:HEX "
                       "nor the name of a file (with --width name any text is)",
                       STR_ARGS(text));
    if (!any_width)
        return why_say(why, ERR_MALFORMED,
                       "\"%.*s\" is no link, and of the name of a file "
                       "--width can only be name",
                       STR_ARGS(text));
    add_name(named, text);
    return OK;
}

// Of a path only its end is a name.
static bool says_nothing(const struct lure *lure)
{
    return lure->kind == LURE_FILE && lure->url.len == 0 && lure->digest.len == 0;
}

// Names that differ only in their numbers are one shape; one that is nothing else is anybody's.
static enum err check_shape(const struct named_lure *named, struct str text, struct why *why)
{
    struct lure one = named->list.lures[0];
    struct lure_list list = {
        .rules = named->list.rules, .arena = named->list.arena, .lures = &one, .n = 1, .room = 1};
    lure_list_keys(&list, NULL);
    struct str shape = one.shown, rest = shape;
    size_t n_marks = 0, n_letters = 0, dot = shape.len;
    while (dot > 0 && shape.at[dot - 1] != '.')
        dot--;
    rest.len = dot > 0 ? dot - 1 : shape.len; // without its ending
    while (rest.len > 0) {
        size_t skip = 1;
        if (rest.at[0] == '{') {
            skip = str_find_char(rest, '}') + 1;
            skip = skip < rest.len ? skip : rest.len;
            n_marks++;
        } else if (strchr(" !#$%&'()+,-.;=@[]^_`~", rest.at[0]) == NULL) {
            n_letters++;
        }
        rest = str_skip(rest, skip);
    }
    if (n_marks == 0 || n_letters > 0)
        return OK;
    return why_say(why, ERR_MALFORMED,
                   "\"%.*s\" would convict every file whose name has the shape %.*s, whoever sends "
                   "it; name the file by its digest (sha-256:HEX), or convict the incident",
                   STR_ARGS(str_first(text, text.len < 255 ? text.len : 255)), STR_ARGS(shape));
}

// Who convicts a public suffix by its domain means everything below it, and would get nothing.
static enum err check_domain(const struct named_lure *named, struct why *why)
{
    const struct lure *lure = &named->list.lures[0];
    struct str below = arena_printf(named->list.arena, "x.%.*s", STR_ARGS(lure->host));
    if ((lure->flags & LURE_IP_HOST) != 0 || !str_eq(lure->domain, lure->host) ||
        str_eq(url_domain(named->list.rules, below), lure->host))
        return OK;
    return why_say(why, ERR_MALFORMED,
                   "\"%.*s\" is no registrable domain (names below it belong to different people): "
                   "say --width host, or name one of them",
                   STR_ARGS(lure->host));
}

enum err named_lure_read(const struct lure_rules *rules, struct arena *arena, struct str text,
                         struct str width, struct named_lure *out, struct why *why)
{
    struct named_lure named = {.kind = NAMED_LURE, .width = LURE_TEMPLATE};
    static const struct str rule = STR("rule:");
    bool of_files = false, any_width = width.len == 0;
    enum err e = OK;
    text = str_trim(text);
    for (size_t i = 0; i < COUNT_OF(widths); i++)
        if (str_eq(width, str_of(widths[i].word))) {
            named.width = widths[i].width;
            of_files = widths[i].of_files;
        }
    lure_list_init(&named.list, rules, arena);
    if (of_files && text.len > 0) {
        add_name(&named, text);
    } else if (any_width && str_starts(text, rule) && text.len > rule.len) {
        lure_add_words(&named.list, str_skip(text, rule.len), false);
        named.width = LURE_EXACT;
    } else if (is_made_of(text, "0123456789") || is_pattern(text)) {
        named.kind = is_made_of(text, "0123456789") ? NAMED_INCIDENT : NAMED_PATTERN;
        if (any_width)
            named.width = LURE_WIDTHS;
        // no incident has so great a number
        if (named.kind == NAMED_INCIDENT && str_to_u64(text, 0, UINT64_MAX, &named.incident) != OK)
            named.incident = UINT64_MAX;
    } else if (is_digest(text)) {
        e = !any_width && named.width != LURE_EXACT
                ? why_say(why, ERR_MALFORMED,
                          "a digest is one file: of it --width can only be link")
                : read_digest(&named, text, why);
    } else {
        e = read_lure(&named, text, any_width, why);
    }
    if (e == OK && named.kind == NAMED_LURE && named.list.n == 0)
        e = why_say(why, ERR_MALFORMED, "that is too long for a name");
    if (e == OK && named.kind == NAMED_LURE && says_nothing(&named.list.lures[0]))
        e = why_say(why, ERR_MALFORMED, "\"%.*s\" ends with no name", STR_ARGS(text));
    if (e == OK && named.kind == NAMED_LURE && named.list.lures[0].kind == LURE_FILE &&
        named.list.lures[0].url.len > 0)
        e = check_shape(&named, text, why);
    if (e == OK && named.kind == NAMED_LURE && named.width == LURE_DOMAIN)
        e = check_domain(&named, why);
    if (e == OK)
        *out = named;
    return e;
}

void named_lure_keys(struct named_lure *named)
{
    struct lure *lure = &named->list.lures[0];
    lure_list_keys(&named->list, NULL);
    if (lure->kind != LURE_FILE || lure->url.len > 0)
        return;
    // by its digest alone: it has no name that others could share with it
    lure->keys[LURE_TEMPLATE] = (struct lure_key){0};
    char hex[2 * 32 + 1];
    sodium_bin2hex(hex, sizeof hex, (const unsigned char *)lure->digest.at, lure->digest.len);
    lure->shown = arena_printf(named->list.arena, "%.*s:%s", STR_ARGS(lure->digest_name), hex);
}
