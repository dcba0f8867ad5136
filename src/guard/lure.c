/*
 * The list of lures: putting links and files into it, once each.
 *
 * Parsing works in a scratch arena of its own; only what is kept is copied into
 * the list's, and only while it fits: a stanza full of giant links ends as an
 * overflowed list, never as an exhausted arena.
 */
#include "guard/find16.h"
#include "guard/lure_internal.h"

#include "base/must.h"

#include <sodium.h>

enum {
    SCRATCH_MOST = 4 * 1024 * 1024,
    NAME_MOST = 512,
    URL_READ = URL_MOST - 64, // room for a scheme
    EXTENSION_MOST = 8,
};

const char *lure_kind_name(enum lure_kind kind)
{
    static const char *const names[] = {"link", "file", "words", "encrypted"};
    must((size_t)kind < COUNT_OF(names));
    return names[kind];
}

const char *lure_width_name(enum lure_width width)
{
    static const char *const names[] = {"link", "template", "host", "domain"};
    must((size_t)width < COUNT_OF(names));
    return names[width];
}

struct str lure_lower_slowly(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len);
    for (size_t i = 0; i < text.len; i++)
        out[i] = ascii_lower(text.at[i]);
    return str_make(out, text.len);
}

bool lure_is_invisible(uint32_t point)
{
    return point == 0xAD || point == 0x34F || point == 0x61C || point == 0x180E ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x202A && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || (point >= 0xFE00 && point <= 0xFE0F) ||
           point == 0xFEFF || (point >= 0xE0000 && point <= 0xE0FFF);
}

struct lure *lure_list_room(struct lure_list *list)
{
    if (list->n == LURES_MOST)
        list->overflowed = true;
    if (list->overflowed)
        return NULL;
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 4 : 2 * list->room;
        if (!arena_fits(list->arena, room * sizeof *list->lures)) {
            list->overflowed = true;
            return NULL;
        }
        struct lure *lures = arena_alloc(list->arena, room * sizeof *lures);
        if (list->n > 0)
            memcpy(lures, list->lures, list->n * sizeof *lures);
        list->lures = lures;
        list->room = room;
    }
    struct lure *lure = &list->lures[list->n];
    *lure = (struct lure){.shown = STR_EMPTY,
                          .host = STR_EMPTY,
                          .domain = STR_EMPTY,
                          .url = STR_EMPTY,
                          .media_type = STR_EMPTY,
                          .digest_name = STR_EMPTY,
                          .digest = STR_EMPTY};
    return lure;
}

/* A copy in the list's arena; without room the list has overflowed. */
static struct str keep(struct lure_list *list, struct str text)
{
    if (text.len == 0)
        return STR_EMPTY;
    if (!arena_fits(list->arena, text.len + 1)) {
        list->overflowed = true;
        return STR_EMPTY;
    }
    return arena_str(list->arena, text);
}

/* Without case; the list's are padded with zeros. */
static bool has_extension(struct str extension, const char (*list)[EXTENSION_MOST], size_t n)
{
    char padded[EXTENSION_MOST] = {0};
    if (extension.len == 0 || extension.len > sizeof padded)
        return false;
    for (size_t i = 0; i < extension.len; i++)
        padded[i] = ascii_lower(extension.at[i]);
    for (size_t i = 0; i < n; i++)
        if (memcmp(padded, list[i], sizeof padded) == 0)
            return true;
    return false;
}

/* Cuts the last extension off; empty when there is none, or it is longer than any that is listed.
 */
static struct str cut_extension(struct str *name)
{
    size_t least = name->len > EXTENSION_MOST + 1 ? name->len - EXTENSION_MOST - 1 : 0;
    for (size_t i = name->len; i-- > least;) {
        if (name->at[i] == '/')
            break;
        if (name->at[i] == '.') {
            struct str extension = str_skip(*name, i + 1);
            *name = str_first(*name, i);
            return extension;
        }
    }
    return STR_EMPTY;
}

static const char innocent[][EXTENSION_MOST] = {
    "jpg", "jpeg", "png", "gif", "bmp", "webp", "pdf", "doc", "docx", "xls", "xlsx", "ppt",  "pptx",
    "txt", "rtf",  "csv", "mp3", "mp4", "avi",  "mov", "mkv", "zip",  "rar", "htm",  "html", "eml",
};

static struct str trim_end(struct str name)
{
    while (name.len > 0 && (name.at[name.len - 1] == ' ' || name.at[name.len - 1] == '.'))
        name.len--; // Windows drops them
    return name;
}

bool lure_name_is_innocent(struct str name)
{
    name = trim_end(name);
    return has_extension(cut_extension(&name), innocent, COUNT_OF(innocent));
}

unsigned lure_name_flags(struct str name)
{
    static const char programs[][EXTENSION_MOST] = {
        "exe", "scr",  "pif", "com", "bat", "cmd", "vbs", "vbe", "js",   "jse",  "wsf", "wsh",
        "ps1", "msi",  "msp", "cpl", "hta", "lnk", "jar", "dll", "reg",  "apk",  "app", "dmg",
        "pkg", "appx", "iso", "img", "vhd", "chm", "scf", "url", "docm", "xlsm", "ade", "gadget",
    };
    unsigned flags = 0;
    if (memchr(name.at, 0xE2, name.len) != NULL &&
        str_find(name, STR("\xE2\x80\xAE")) < name.len) // U+202E turns "gpj.exe" around
        flags |= LURE_DISGUISED;
    name = trim_end(name);
    struct str extension = cut_extension(&name);
    if (!has_extension(extension, programs, COUNT_OF(programs)))
        return flags;
    flags |= LURE_EXECUTABLE;
    extension = str_trim(cut_extension(&name));
    if (has_extension(extension, innocent, COUNT_OF(innocent)))
        flags |= LURE_DISGUISED;
    return flags;
}

bool lure_host_ends(struct str link)
{
    for (size_t i = 0; i < link.len; i++)
        if (link.at[i] == '/' || link.at[i] == '\\' || link.at[i] == '?' || link.at[i] == '#')
            return true;
    return false;
}

void lure_put_url(struct lure_list *list, struct arena *scratch, const struct url *url,
                  unsigned flags)
{
    struct str text = url_format(scratch, url);
    for (size_t i = 0; i < list->n; i++)
        if (list->lures[i].kind == LURE_LINK && str_eq(list->lures[i].url, text)) {
            list->lures[i].flags |= flags & ~(unsigned)(LURE_DEFANGED | LURE_SPELLED | LURE_BARE);
            if ((flags & LURE_DEFANGED) == 0) // somewhere it can be clicked
                list->lures[i].flags &= ~(unsigned)(LURE_DEFANGED | LURE_SPELLED);
            return;
        }
    struct lure *lure = lure_list_room(list);
    if (lure != NULL) {
        lure->kind = LURE_LINK;
        lure->url = keep(list, text);
        // parts of the canonical form need no copies of their own
        if (url->host.len > 0 && lure->url.len > 0)
            lure->host = str_make(lure->url.at + url->scheme.len + strlen("://"), url->host.len);
        if (lure->host.len > 0) {
            struct host_facts facts = host_facts(list->rules, lure->host);
            lure->domain = str_skip(lure->host, lure->host.len - facts.n_domain);
            lure->keys[LURE_HOST] = facts.host;
            lure->keys[LURE_DOMAIN] = facts.domain;
            flags |= facts.flags;
        }
        struct str scheme = url->scheme;
        if (!str_eq(scheme, STR("http")) && !str_eq(scheme, STR("https")) &&
            !str_eq(scheme, STR("ftp")))
            flags |= LURE_ODD_SCHEME;
        flags |= url->ip ? LURE_IP_HOST : 0;
        flags |= url->idn ? LURE_IDN : 0;
        flags |= url->userinfo ? LURE_USERINFO : 0;
        flags |= lure_name_flags(url->path);
        lure->flags = flags;
        list->n += list->overflowed ? 0 : 1;
    }
}

/* Whether the text that a person sees names a host of another registrable domain. */
static bool label_lies(const struct lure_rules *rules, struct str label, struct str host)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_MOST);
    struct lure_list seen;
    lure_list_init(&seen, rules, &scratch);
    lure_scan_text(&seen, str_first(label, label.len < URL_MOST ? label.len : URL_MOST));
    struct str domain = url_domain(rules, host);
    bool lies = false;
    for (size_t i = 0; i < seen.n; i++)
        lies |= seen.lures[i].domain.len > 0 && !str_eq(seen.lures[i].domain, domain);
    arena_done(&scratch);
    return lies;
}

/* Whether no host of what was cut off can lie beyond the cut. */
static bool shows_its_host(struct str link)
{
    size_t slashes = str_find(link, STR("//")), colon = str_find_char(link, ':');
    if (slashes < link.len)
        link = str_skip(link, slashes);
    else if (colon < link.len)
        link = str_skip(link, colon + 1); // "https:host", "data:image/png"
    while (link.len > 0 && (link.at[0] == '/' || link.at[0] == '\\'))
        link = str_skip(link, 1);
    return lure_host_ends(link);
}

void lure_add_url(struct lure_list *list, struct str text, struct str label)
{
    static const char *const harmless[] = {"cid", "mailto", "tel", "geo", "urn", "sms", "mid"};
    struct arena scratch;
    if (list->overflowed)
        return;
    arena_init(&scratch, SCRATCH_MOST);
    bool is_cut = text.len > URL_READ;
    if (is_cut)
        text = str_first(text, URL_READ);
    struct url url;
    unsigned flags = 0;
    enum err e = url_parse(list->rules, &scratch, text, &url);
    // a picture that is its own address ("data:") has no host at all
    if (is_cut && (e != OK || url.host.len > 0) && !shows_its_host(text))
        list->overflowed = true;
    if (e != OK) { // without a scheme a client may still open it
        struct str trimmed = str_trim(text);
        const char *prefix = str_starts(trimmed, STR("//")) ? "http:" : "http://";
        e = url_parse(list->rules, &scratch,
                      arena_printf(&scratch, "%s%.*s", prefix, STR_ARGS(trimmed)), &url);
        if (e == OK && !url.ip && !url_has_suffix(list->rules, url.host))
            e = ERR_MALFORMED;
        flags = LURE_BARE;
    }
    for (size_t i = 0; e == OK && i < COUNT_OF(harmless); i++)
        if (str_eq(url.scheme, str_of(harmless[i])))
            e = ERR_UNSUPPORTED;
    if (e == OK) {
        if (label.len > 0 && url.host.len > 0 && label_lies(list->rules, label, url.host))
            flags |= LURE_LABELLED;
        lure_put_url(list, &scratch, &url, flags);
    }
    arena_done(&scratch);
}

int lure_digest_rank(struct str name)
{
    static const char *const worst_first[] = {"md5",         "sha-1",   "blake2b-256",
                                              "sha3-256",    "sha-384", "sha3-512",
                                              "blake2b-512", "sha-512", "sha-256"};
    for (size_t i = 0; i < COUNT_OF(worst_first); i++)
        if (str_eq_nocase(name, str_of(worst_first[i])))
            return (int)i + 1;
    return 0;
}

/* Base64 and hexadecimal of one digest are one digest. */
static struct str raw_digest(struct lure_list *list, struct str text)
{
    unsigned char raw[64];
    size_t len = 0;
    text = str_trim(text);
    bool hex = text.len >= 32 &&
               sodium_hex2bin(raw, sizeof raw, text.at, text.len, NULL, &len, NULL) == 0 &&
               len * 2 == text.len;
    if (!hex && (sodium_base642bin(raw, sizeof raw, text.at, text.len, "\r\n ", &len, NULL,
                                   sodium_base64_VARIANT_ORIGINAL) != 0))
        return keep(list, str_first(text, text.len < 128 ? text.len : 128));
    return keep(list, str_make((const char *)raw, len));
}

void lure_add_file(struct lure_list *list, const struct lure_file *file)
{
    struct str name =
        str_first(file->name, file->name.len < NAME_MOST ? file->name.len : NAME_MOST);
    for (size_t i = name.len; i-- > 0;) // a path shows only its end
        if (name.at[i] == '/' || name.at[i] == '\\') {
            name = str_skip(name, i + 1);
            break;
        }
    struct lure *lure = lure_list_room(list);
    if (lure == NULL)
        return;
    lure->kind = LURE_FILE;
    lure->url = keep(list, name);
    lure->size = file->size;
    lure->media_type = keep(
        list, str_first(file->media_type, file->media_type.len < 128 ? file->media_type.len : 128));
    if (lure_digest_rank(file->digest_name) > 0 && file->digest.len > 0) {
        lure->digest_name = keep(list, lure_lower(list->arena, file->digest_name));
        lure->digest = raw_digest(list, file->digest);
    }
    lure->flags = lure_name_flags(name);
    list->n += list->overflowed ? 0 : 1;
}

void lure_add_words(struct lure_list *list, struct str rule, bool forbids)
{
    struct lure *lure = lure_list_room(list);
    for (size_t i = 0; i < list->n && !forbids; i++)
        list->lures[i].flags |= LURE_SUSPECT;
    if (lure == NULL)
        return;
    lure->kind = LURE_WORDS;
    lure->url = keep(list, str_first(rule, rule.len < NAME_MOST ? rule.len : NAME_MOST));
    lure->flags = forbids ? LURE_FORBIDDEN : LURE_SUSPECT;
    list->n += list->overflowed ? 0 : 1;
}

void lure_add_sealed(struct lure_list *list, const struct lure_key *key)
{
    struct lure *lure = lure_list_room(list);
    if (lure == NULL)
        return;
    lure->kind = LURE_SEALED;
    lure->keys[LURE_EXACT] = *key;
    lure->shown = STR(LURE_SEALED_SHOWN);
    list->n += list->overflowed ? 0 : 1;
}

size_t lure_list_collect(const struct lure_list *list, struct lure_key *keys, size_t room)
{
    static const enum lure_width order[] = {LURE_HOST, LURE_DOMAIN, LURE_TEMPLATE, LURE_EXACT};
    size_t n = 0;
    for (size_t w = 0; w < COUNT_OF(order); w++) {
        size_t first = n; // no key of one width is one of another
        for (size_t i = 0; i < list->n && n < room; i++) {
            const struct lure_key key = list->lures[i].keys[order[w]];
            bool seen = lure_key_is_none(&key);
            for (size_t k = first; k < n && !seen; k++)
                seen = lure_key_eq(&key, &keys[k]);
            if (!seen)
                keys[n++] = key;
        }
    }
    return n;
}
