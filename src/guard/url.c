/*
 * URLs as browsers read them.
 *
 * One pass over a copy without tabs and newlines; each part is written in its
 * normal form into the arena.  Stricter than the WHATWG standard in one thing:
 * what its serializer would keep apart but every server treats alike (%7E and ~,
 * a dot at the end of a host) becomes the same text.
 */
#include "guard/url.h"

#include "guard/find16.h"
#include "guard/lure_internal.h"

#include "base/must.h"

#include <arpa/inet.h>

enum { HOST_MOST = 253, LABEL_MOST = 63 };

static const struct special {
    struct str scheme, port;
} specials[] = {
    {{"http", 4},   {"80", 2} },
    {{"https", 5},  {"443", 3}},
    {{"ftp", 3},    {"21", 2} },
    {{"ws", 2},     {"80", 2} },
    {{"wss", 3},    {"443", 3}},
    {{"file", 4},   {"", 0}   },
 // XEP-0454: clients fetch it by https
    {{"aesgcm", 6}, {"443", 3}},
};

static const struct special *find_special(struct str scheme)
{
    for (size_t i = 0; i < COUNT_OF(specials); i++)
        if (str_eq(scheme, specials[i].scheme))
            return &specials[i];
    return NULL;
}

static bytes16 breaks16(bytes16 a)
{
    return (bytes16)(a == '\t') | (bytes16)(a == '\n') | (bytes16)(a == '\r');
}

/* Without blanks at both ends, and without tabs and newlines anywhere. */
static struct str strip(struct arena *arena, struct str text)
{
    while (text.len > 0 && (unsigned char)text.at[0] <= ' ')
        text = str_skip(text, 1);
    while (text.len > 0 && (unsigned char)text.at[text.len - 1] <= ' ')
        text.len--;
    if (find_one16(text, 0, breaks16) == text.len)
        return text;
    char *out = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '\t' && text.at[i] != '\n' && text.at[i] != '\r')
            out[len++] = text.at[i];
    return str_make(out, len);
}

static bool take_scheme(struct arena *arena, struct str *text, struct str *scheme)
{
    size_t n = 0;
    while (n < text->len && (ascii_is_alnum(text->at[n]) || text->at[n] == '+' ||
                             text->at[n] == '-' || text->at[n] == '.'))
        n++;
    if (n == 0 || n == text->len || text->at[n] != ':' || !ascii_is_alpha(text->at[0]))
        return false;
    *scheme = lure_lower(arena, str_first(*text, n));
    *text = str_skip(*text, n + 1);
    return true;
}

/* A set of ASCII characters. */
struct ascii_set {
    uint64_t low, high;
};

#define LOW(c) (UINT64_C(1) << (c))
#define HIGH(c) (UINT64_C(1) << ((c)-64))

static bool in_set(const struct ascii_set *set, unsigned char c)
{
    return c < 128 && ((c < 64 ? set->low >> c : set->high >> (c - 64)) & 1) != 0;
}

/* One byte in the normal form: percent-encoded where the set lists it or it is not printable. */
static size_t put_byte(char *out, unsigned char c, const struct ascii_set *encode)
{
    static const char hex[] = "0123456789ABCDEF";
    if (c > ' ' && c < 0x7F && !in_set(encode, c)) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '%';
    out[1] = hex[c >> 4];
    out[2] = hex[c & 15];
    return 3;
}

static const struct ascii_set
    path_encode = {LOW('"') | LOW('#') | LOW('%') | LOW('<') | LOW('>') | LOW('?'),
                   HIGH('`') | HIGH('{') | HIGH('}')},
    path_guarded = {LOW('/') | LOW('?') | LOW('#') | LOW('%'), HIGH('\\')},
    query_encode = {LOW('"') | LOW('#') | LOW('<') | LOW('>') | LOW('\'') | LOW('%'), 0},
    query_guarded = {LOW('#') | LOW('&') | LOW('=') | LOW('+') | LOW('%') | LOW(';'), 0},
    // what no host may hold
    host_guarded = {LOW('"') | LOW('#') | LOW('%') | LOW('/') | LOW(':') | LOW('<') | LOW('>') |
                        LOW('?'),
                    HIGH('@') | HIGH('[') | HIGH('\\') | HIGH(']') | HIGH('^') | HIGH('`') |
                        HIGH('{') | HIGH('|') | HIGH('}')};

// What any of these sets but the host's has, or is not printable.
static bytes16 odd16(bytes16 a)
{
    return (bytes16)(a <= ' ') | (bytes16)(a >= 0x7F) | (bytes16)(a == '"') | (bytes16)(a == '#') |
           (bytes16)(a == '%') | (bytes16)(a == '<') | (bytes16)(a == '>') | (bytes16)(a == '?') |
           (bytes16)(a == '\'') | (bytes16)(a == '`') | (bytes16)(a == '{') | (bytes16)(a == '}');
}

/* Decodes and encodes again, so that each text has one spelling.  guarded: characters whose
 * encoded form means something else than the plain one, so that neither turns into the other. */
static struct str normalize(struct arena *arena, struct str text, const struct ascii_set *encode,
                            const struct ascii_set *guarded)
{
    // most links are in their normal form
    size_t plain = encode != &host_guarded ? find_one16(text, 0, odd16) : 0;
    while (plain < text.len && (unsigned char)text.at[plain] > ' ' &&
           (unsigned char)text.at[plain] < 0x7F && !in_set(encode, (unsigned char)text.at[plain]))
        plain++;
    if (plain == text.len)
        return text;
    char *out = arena_alloc(arena, array_size(text.len + 1, 3));
    size_t len = plain;
    memcpy(out, text.at, plain);
    for (size_t i = plain; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool may_be_encoded = c == '%' && i + 2 < text.len;
        int high = may_be_encoded ? ascii_hex(text.at[i + 1]) : -1;
        int low = may_be_encoded ? ascii_hex(text.at[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            c = (unsigned char)(high << 4 | low);
            i += 2;
            // an encoded separator stays encoded
            len += put_byte(out + len, c, in_set(guarded, c) ? guarded : encode);
            continue;
        }
        len += put_byte(out + len, c, encode);
    }
    return str_make(out, len);
}

/* Whether a segment begins with a dot. */
static bool has_dots(struct str path)
{
    const char *at = path.at, *end = path.at + path.len;
    while ((at = memchr(at, '.', (size_t)(end - at))) != NULL) {
        if (at > path.at && at[-1] == '/')
            return true;
        at++;
    }
    return false;
}

/* Removes "." and ".." and turns a special scheme's backslashes around. */
static struct str normal_path(struct arena *arena, struct str path, bool special)
{
    if (special && memchr(path.at, '\\', path.len) != NULL) {
        char *turned = arena_alloc(arena, path.len);
        for (size_t i = 0; i < path.len; i++)
            turned[i] = path.at[i] == '\\' ? '/' : path.at[i];
        path.at = turned;
    }
    path = normalize(arena, path, &path_encode, &path_guarded);
    if (path.len > 0 && path.at[0] == '/' && !has_dots(path))
        return path;
    char *out = arena_alloc(arena, path.len + 2);
    size_t len = 0;
    if (path.len > 0 && path.at[0] == '/')
        path = str_skip(path, 1);
    struct str rest = path;
    while (rest.at != NULL) {
        struct str segment = str_cut(&rest, '/');
        bool last = rest.at == NULL;
        if (str_eq(segment, STR(".."))) {
            while (len > 0 && out[len - 1] != '/')
                len--;
            len -= len > 0;
            if (last)
                out[len++] = '/';
        } else if (str_eq(segment, STR("."))) {
            if (last)
                out[len++] = '/';
        } else {
            out[len++] = '/';
            memcpy(out + len, segment.at, segment.len);
            len += segment.len;
        }
    }
    return str_make(out, len);
}

/* A number of an IPv4 address: decimal, 0 octal, 0x hexadecimal. */
static bool ipv4_number(struct str text, uint64_t *out)
{
    unsigned base = 10;
    if (text.len >= 2 && text.at[0] == '0' && ascii_lower(text.at[1]) == 'x') {
        base = 16;
        text = str_skip(text, 2);
    } else if (text.len >= 2 && text.at[0] == '0') {
        base = 8;
        text = str_skip(text, 1);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = ascii_hex(text.at[i]);
        if (digit < 0 || digit >= (int)base)
            return false;
        value = value * base + (unsigned)digit;
        if (value > UINT32_MAX)
            value = UINT64_C(1) << 32; // too large, and stays so
    }
    *out = value;
    return true;
}

static bool ends_in_number(struct str host)
{
    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    size_t at = host.len;
    while (at > 0 && host.at[at - 1] != '.')
        at--;
    struct str last = str_skip(host, at);
    if (last.len == 0)
        return false;
    bool digits = true;
    for (size_t i = 0; i < last.len; i++)
        digits &= ascii_is_digit(last.at[i]);
    uint64_t value;
    return digits || (str_starts(last, STR("0x")) && ipv4_number(last, &value));
}

static enum err ipv4(struct arena *arena, struct str host, struct str *out)
{
    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    uint64_t parts[4];
    size_t n = 0;
    struct str rest = host;
    while (rest.at != NULL) {
        struct str part = str_cut(&rest, '.');
        if (n == 4 || part.len == 0 || !ipv4_number(part, &parts[n]))
            return ERR_MALFORMED;
        n++;
    }
    for (size_t i = 0; i + 1 < n; i++)
        if (parts[i] > 255)
            return ERR_MALFORMED;
    if (n == 0 || parts[n - 1] >= UINT64_C(1) << (8 * (5 - n)))
        return ERR_MALFORMED;
    uint64_t address = parts[n - 1];
    for (size_t i = 0; i + 1 < n; i++)
        address |= parts[i] << (8 * (3 - i));
    *out = arena_printf(arena, "%u.%u.%u.%u", (unsigned)(address >> 24 & 255),
                        (unsigned)(address >> 16 & 255), (unsigned)(address >> 8 & 255),
                        (unsigned)(address & 255));
    return OK;
}

static enum err ipv6(struct arena *arena, struct str text, struct str *out)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (str_to_z(text, z, sizeof z) != OK || inet_pton(AF_INET6, z, &address) != 1)
        return ERR_MALFORMED;
    if (IN6_IS_ADDR_V4MAPPED(&address)) { // the same machine as the IPv4 address
        *out = arena_printf(arena, "%u.%u.%u.%u", address.s6_addr[12], address.s6_addr[13],
                            address.s6_addr[14], address.s6_addr[15]);
        return OK;
    }
    must(inet_ntop(AF_INET6, &address, z, sizeof z) != NULL);
    *out = arena_printf(arena, "[%s]", z);
    return OK;
}

static bool is_plain_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

static bool has_ace(struct str host)
{
    if (str_find_char(host, '-') == host.len)
        return false;
    for (size_t i = 0; i + 4 <= host.len; i++)
        if ((i == 0 || host.at[i - 1] == '.') && memcmp(host.at + i, "xn--", 4) == 0)
            return true;
    return false;
}

static enum err to_ascii(const struct lure_rules *rules, struct arena *arena, struct str host,
                         struct str *out)
{
    // hyphens and lengths are DNS's affair; browsers do not check them (WHATWG: beStrict false)
    static const uint32_t ignored = UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG |
                                    UIDNA_ERROR_DOMAIN_NAME_TOO_LONG | UIDNA_ERROR_LEADING_HYPHEN |
                                    UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4;
    if (!str_is_utf8(host) || host.len > 4 * HOST_MOST)
        return ERR_MALFORMED;
    char ascii[4 * HOST_MOST];
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    UErrorCode code = U_ZERO_ERROR;
    int32_t len = uidna_nameToASCII_UTF8(rules->idna, host.at, (int32_t)host.len, ascii,
                                         sizeof ascii, &info, &code);
    if (U_FAILURE(code) || (info.errors & ~ignored) != 0 || len < 0 || len > HOST_MOST + 1)
        return ERR_MALFORMED;
    *out = lure_lower(arena, arena_str(arena, str_make(ascii, (size_t)len)));
    return OK;
}

static struct str percent_decode(struct arena *arena, struct str text)
{
    if (memchr(text.at, '%', text.len) == NULL)
        return text;
    char *out = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool may_be_encoded = text.at[i] == '%' && i + 2 < text.len;
        int high = may_be_encoded ? ascii_hex(text.at[i + 1]) : -1;
        int low = may_be_encoded ? ascii_hex(text.at[i + 2]) : -1;
        if (high >= 0 && low >= 0) {
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = text.at[i];
        }
    }
    return str_make(out, len);
}

static bytes16 no_usual16(bytes16 a)
{
    return ~((bytes16)((bytes16)(a - 'a') <= 'z' - 'a') | (bytes16)((bytes16)(a - '0') <= 9) |
             (bytes16)(a == '.') | (bytes16)(a == '-'));
}

// Labels without a letter, and what "xn--" is one of.
static bytes16 odd_joints16(bytes16 a, bytes16 b, bytes16 c)
{
    (void)c;
    return ((bytes16)(a == '.') & ((bytes16)(b == '.') | (bytes16)(b == '-'))) |
           ((bytes16)(a == '-') & (bytes16)(b == '-'));
}

/* Most hosts are in their canonical form already.  False: that must be looked into. */
static bool is_usual_host(struct str host)
{
    if (host.len > HOST_MOST || host.at[0] == '.' || host.at[0] == '-' ||
        find_one16(host, 0, no_usual16) < host.len ||
        find_three16(host, 0, odd_joints16) < host.len)
        return false;
    size_t label = host.len; // where the last one begins
    while (label > 0 && host.at[label - 1] != '.')
        label--;
    // digits, or 0x and more of them, are an address
    return label < host.len && !ascii_is_digit(host.at[label]);
}

enum err url_host(const struct lure_rules *rules, struct arena *arena, struct str text,
                  struct str *out, bool *is_ip)
{
    if (text.len == 0 || text.len > URL_MOST)
        return ERR_MALFORMED;
    if (text.at[0] == '[') {
        if (text.at[text.len - 1] != ']')
            return ERR_MALFORMED;
        enum err e = ipv6(arena, str_make(text.at + 1, text.len - 2), out);
        if (e == OK)
            *is_ip = true;
        return e;
    }
    if (is_usual_host(text)) {
        *out = text;
        *is_ip = false;
        return OK;
    }
    struct str host = percent_decode(arena, text);
    if (is_plain_ascii(host) && !has_ace(lure_lower(arena, host))) {
        host = lure_lower(arena, host);
    } else {
        enum err e = to_ascii(rules, arena, host, &host);
        if (e != OK)
            return e;
    }
    size_t n_empty = 0;
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (c <= ' ' || c >= 0x7F || in_set(&host_guarded, c))
            return ERR_MALFORMED;
        n_empty += c == '.' && i > 0 && host.at[i - 1] == '.'; // labels
    }
    if (ends_in_number(host)) {
        enum err e = ipv4(arena, host, out);
        if (e == OK)
            *is_ip = true;
        return e;
    }
    if (host.len > 1 && host.at[host.len - 1] == '.') // the root's dot changes nothing
        host.len--;
    // a name that DNS cannot hold opens nothing
    if (host.len == 0 || host.len > HOST_MOST || host.at[0] == '.' ||
        host.at[host.len - 1] == '.' || n_empty > 0)
        return ERR_MALFORMED;
    *out = host;
    *is_ip = false;
    return OK;
}

bool url_may_have_suffix(const struct lure_rules *rules, struct arena *arena, struct str label)
{
    size_t n_stay = 0, n;
    for (size_t i = 0; i < label.len; i += n)
        n_stay += (point_at(rules, label, i, &n) & POINT_STAYS) != 0;
    if (n_stay > LABEL_MOST) // before anything is done that takes the square of it
        return false;
    struct str ascii = label;
    if (!is_plain_ascii(label) && to_ascii(rules, arena, label, &ascii) != OK)
        return false;
    if (ascii.len > 0 && ascii.at[ascii.len - 1] == '.')
        ascii.len--;
    return ascii.len == 0 || url_has_suffix(rules, ascii); // empty: the label before is the last
}

/* The host of a scheme that browsers know nothing of: no IDN, no IPv4. */
static enum err opaque_host(struct arena *arena, struct str text, struct url *url)
{
    if (text.len > 0 && text.at[0] == '[') {
        if (text.at[text.len - 1] != ']')
            return ERR_MALFORMED;
        url->ip = true;
        return ipv6(arena, str_make(text.at + 1, text.len - 2), &url->host);
    }
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == 0 ||
            (text.at[i] != '%' && in_set(&host_guarded, (unsigned char)text.at[i])))
            return ERR_MALFORMED;
    url->host = lure_lower(arena, normalize(arena, text, &host_guarded, &host_guarded));
    return OK;
}

static bytes16 no_host16(bytes16 a)
{
    return (bytes16)(a == '@') | (bytes16)(a == ':') | (bytes16)(a == '[');
}

/* host[:port] */
static enum err take_authority(const struct lure_rules *rules, struct arena *arena,
                               struct str authority, const struct special *special, struct url *url)
{
    bool is_host = find_one16(authority, 0, no_host16) == authority.len; // and nothing else
    const char *at = is_host ? NULL : memrchr(authority.at, '@', authority.len);
    if (at != NULL) { // the last one ends the userinfo
        url->userinfo = true;
        authority = str_skip(authority, (size_t)(at - authority.at) + 1);
    }
    size_t end = is_host ? authority.len : str_find_char(authority, ':');
    if (!is_host && memchr(authority.at, '[', end) != NULL) { // a colon inside is no port's
        bool bracket = false;
        for (end = 0; end < authority.len && (bracket || authority.at[end] != ':'); end++) {
            bracket |= authority.at[end] == '[';
            bracket &= authority.at[end] != ']';
        }
    }
    struct str host = str_first(authority, end);
    if (end < authority.len) {
        struct str port = str_skip(authority, end + 1);
        uint64_t number = 0;
        if (port.len > 0) {
            if (str_to_u64(port, 0, 65535, &number) != OK)
                return ERR_MALFORMED;
            port = arena_printf(arena, "%u", (unsigned)number);
            if (special == NULL || !str_eq(port, special->port))
                url->port = port;
        }
    }
    if (special == NULL) {
        enum err e = opaque_host(arena, host, url);
        if (e != OK)
            return e;
    } else {
        enum err e = url_host(rules, arena, host, &url->host, &url->ip);
        if (e != OK)
            return e;
        url->idn = has_ace(url->host);
    }
    if (url->host.len == 0 && (url->userinfo || end < authority.len))
        return ERR_MALFORMED;
    return OK;
}

static bytes16 opaque_host_ends16(bytes16 a)
{
    return (bytes16)(a == '/') | (bytes16)(a == '?') | (bytes16)(a == '#');
}

static bytes16 host_ends16(bytes16 a)
{
    return opaque_host_ends16(a) | (bytes16)(a == '\\');
}

static bytes16 marks16(bytes16 a)
{
    return (bytes16)(a == '?') | (bytes16)(a == '#');
}

static bool is_slash(char c, bool special)
{
    return c == '/' || (special && c == '\\');
}

enum err url_parse(const struct lure_rules *rules, struct arena *arena, struct str text,
                   struct url *out)
{
    if (text.len > URL_MOST)
        return ERR_LIMIT;
    struct url url = {.port = STR_EMPTY, .query = STR_EMPTY, .fragment = STR_EMPTY};
    url.host = STR_EMPTY;
    text = strip(arena, text);
    if (!take_scheme(arena, &text, &url.scheme))
        return ERR_MALFORMED;
    const struct special *special = find_special(url.scheme);
    size_t slashes = 0;
    while (slashes < text.len && is_slash(text.at[slashes], special != NULL))
        slashes++;
    bool file = special != NULL && special->port.len == 0;
    bool authority = special != NULL && !file ? true : slashes >= 2;
    if (authority) {
        // browsers skip any number of slashes after http: but exactly two elsewhere
        text = str_skip(text, special != NULL && !file ? slashes : 2);
        size_t end = special != NULL ? find_one16(text, 0, host_ends16)
                                     : find_one16(text, 0, opaque_host_ends16);
        if (end > 0 || !file) {
            enum err e = end == 0 && special == NULL
                             ? OK
                             : take_authority(rules, arena, str_first(text, end), special, &url);
            if (e != OK)
                return e;
        }
        text = str_skip(text, end);
    }
    url.hierarchic = special != NULL || authority;
    size_t mark = find_one16(text, 0, marks16);
    if (mark < text.len) {
        size_t hash = mark + str_find_char(str_skip(text, mark), '#');
        if (hash < text.len)
            url.fragment = normalize(arena, str_skip(text, hash + 1), &path_encode, &path_guarded);
        text = str_first(text, hash);
    }
    if (mark < text.len) {
        url.query = normalize(arena, str_skip(text, mark + 1), &query_encode, &query_guarded);
        text = str_first(text, mark);
    }
    if (special != NULL || authority)
        url.path = text.len == 0 && special == NULL ? STR_EMPTY
                                                    : normal_path(arena, text, special != NULL);
    else
        url.path = normalize(arena, text, &path_encode, &path_guarded);
    *out = url;
    return OK;
}

static inline __attribute__((always_inline)) size_t append(char *out, size_t len,
                                                           const char *before, struct str text)
{
    size_t n = strlen(before);
    memcpy(out + len, before, n);
    if (text.len > 0)
        memcpy(out + len + n, text.at, text.len);
    return len + n + text.len;
}

struct str url_format(struct arena *arena, const struct url *url)
{
    char *out = arena_alloc(arena, url->scheme.len + url->host.len + url->port.len + url->path.len +
                                       url->query.len + url->fragment.len + 8);
    size_t len = append(out, 0, "", url->scheme);
    len = append(out, len, url->hierarchic ? "://" : ":", url->host);
    len = append(out, len, url->port.len > 0 ? ":" : "", url->port);
    len = append(out, len, "", url->path);
    len = append(out, len, url->query.len > 0 ? "?" : "", url->query);
    len = append(out, len, url->fragment.len > 0 ? "#" : "", url->fragment);
    return str_make(out, len);
}
