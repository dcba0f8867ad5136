#include "http/head.h"

#include "base/must.h"

#include <stdalign.h>

enum { METHOD_MOST = 16 };

static const char *const method_names[HTTP_N_METHODS] = {
    [HTTP_GET] = "GET",   [HTTP_HEAD] = "HEAD",     [HTTP_PUT] = "PUT",
    [HTTP_POST] = "POST", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
};

struct str http_method_name(enum http_method method)
{
    must((size_t)method < COUNT_OF(method_names));
    return str_of(method_names[method]);
}

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 9110 §5.6.2
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_alnum((unsigned char)text.at[i]) &&
            (text.at[i] == '\0' || strchr("!#$%&'*+-.^_`|~", text.at[i]) == NULL))
            return false;
    return text.len > 0;
}

// RFC 9110 §5.5: visible, blank, or beyond ASCII; above all no CR, LF or NUL.
static bool is_field_value(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct str trim_blanks(struct str text)
{
    while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = str_skip(text, 1);
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

// The head without its last empty line: each line still with its CR LF.
static bool find_end(struct str bytes, size_t *scanned, struct str *lines)
{
    for (size_t i = *scanned; i + 3 < bytes.len; i++) {
        if (memcmp(bytes.at + i, "\r\n\r\n", 4) == 0) {
            *lines = str_first(bytes, i + 2);
            return true;
        }
    }
    *scanned = bytes.len < 3 ? 0 : bytes.len - 3;
    return false;
}

// Bare CR and bare LF are what a laxer reader would take for the end of a line.
static bool cut_line(struct str *rest, struct str *line)
{
    size_t lf = str_find_char(*rest, '\n');
    if (lf == rest->len || lf == 0 || rest->at[lf - 1] != '\r')
        return false;
    *line = str_first(*rest, lf - 1);
    *rest = str_skip(*rest, lf + 1);
    return str_find_char(*line, '\r') == line->len;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Decodes once.  What could be taken for a separator afterwards is refused: nobody needs it here.
static bool decode_path(struct arena *arena, struct str raw, struct str *out)
{
    char *at = arena_alloc(arena, raw.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.at[i];
        if (c == '%') {
            int high = i + 2 < raw.len ? digit_of(raw.at[i + 1]) : -1;
            int low = high >= 0 ? digit_of(raw.at[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (unsigned char)(high * 16 + low);
            i += 2;
            if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
                return false;
        }
        at[n++] = (char)c;
    }
    *out = str_make(at, n);
    if (!str_is_utf8(*out))
        return false;
    for (struct str rest = str_skip(*out, 1); rest.at != NULL;) {
        struct str segment = str_cut(&rest, '/');
        if (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return false;
    }
    return true;
}

// A name or an address with or without port, lower case.
static bool read_host(struct arena *arena, struct str text, struct str *out)
{
    struct str name;
    if (text.len > 0 && text.at[0] == '[') {
        size_t end = str_find_char(text, ']');
        if (end == text.len)
            return false;
        name = str_first(text, end + 1);
    } else {
        name = str_first(text, str_find_char(text, ':'));
    }
    struct str port = str_skip(text, name.len);
    uint64_t number;
    if (port.len > 0 && port.at[0] != ':')
        return false;
    if (port.len > 1 && str_to_u64(str_skip(port, 1), 0, 65535, &number) != OK)
        return false;
    char *at = arena_alloc(arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (!is_alnum((unsigned char)c) && (c == '\0' || strchr("-._[]:", c) == NULL))
            return false;
        at[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *out = str_make(at, name.len);
    return name.len > 0;
}

// RFC 9112 §3.2.2: who names the whole address says the host there.
static bool cut_authority(struct str *target, struct str *authority)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        struct str scheme = str_of(schemes[i]);
        if (target->len <= scheme.len || !str_eq_nocase(str_first(*target, scheme.len), scheme))
            continue;
        struct str rest = str_skip(*target, scheme.len);
        size_t slash = str_find_char(rest, '/');
        *authority = str_first(rest, slash);
        *target = str_skip(rest, slash);
        return target->len > 0;
    }
    return true;
}

static unsigned read_target(struct arena *arena, struct str target, struct http_head *out)
{
    struct str authority = {NULL, 0};
    for (size_t i = 0; i < target.len; i++) {
        char c = target.at[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}#", c) != NULL)
            return 400;
    }
    if (!cut_authority(&target, &authority) || target.len == 0 || target.at[0] != '/')
        return 400;
    if (authority.at != NULL && !read_host(arena, authority, &out->host))
        return 400;
    size_t mark = str_find_char(target, '?');
    out->query = mark < target.len ? str_skip(target, mark + 1) : (struct str){NULL, 0};
    return decode_path(arena, str_first(target, mark), &out->path) ? HTTP_OK : 400;
}

static unsigned read_request_line(struct arena *arena, struct str line, struct http_head *out)
{
    struct str rest = line;
    struct str method = str_cut(&rest, ' ');
    if (rest.at == NULL || !is_token(method))
        return 400;
    struct str target = str_cut(&rest, ' ');
    if (rest.at == NULL || target.len == 0)
        return 400;
    if (str_eq(rest, STR("HTTP/1.1")))
        out->keep = true;
    else if (!str_eq(rest, STR("HTTP/1.0")))
        return str_starts(rest, STR("HTTP/")) && rest.len == STR("HTTP/1.1").len ? 505 : 400;
    size_t m = 0;
    while (m < HTTP_N_METHODS && !str_eq(method, str_of(method_names[m])))
        m++;
    if (m == HTTP_N_METHODS)
        return method.len > METHOD_MOST ? 400 : 501;
    out->method = (enum http_method)m;
    return read_target(arena, target, out);
}

// Whether a list of words, separated by commas, has one.
static bool names(struct str list, struct str word)
{
    for (struct str rest = list; rest.at != NULL;)
        if (str_eq_nocase(trim_blanks(str_cut(&rest, ',')), word))
            return true;
    return false;
}

static size_t count_fields(const struct http_head *head, struct str name)
{
    size_t n = 0;
    for (size_t i = 0; i < head->n_fields; i++)
        n += str_eq_nocase(head->fields[i].name, name);
    return n;
}

struct str http_head_field(const struct http_head *head, struct str name)
{
    struct str value = {NULL, 0};
    for (size_t i = 0; i < head->n_fields; i++) {
        if (!str_eq_nocase(head->fields[i].name, name))
            continue;
        if (value.at != NULL)
            return (struct str){NULL, 0};
        value = head->fields[i].value;
    }
    return value;
}

static unsigned read_length(struct http_head *head)
{
    struct str length = http_head_field(head, STR("Content-Length"));
    if (count_fields(head, STR("Transfer-Encoding")) > 0)
        return length.at != NULL || count_fields(head, STR("Content-Length")) > 0 ? 400 : 411;
    if (count_fields(head, STR("Content-Length")) > 1)
        return 400;
    if (length.at == NULL)
        return HTTP_OK;
    // digits alone: no sign, no list, no space (RFC 9110 §8.6)
    if (str_to_u64(length, 0, INT64_MAX, &head->body_bytes) != OK)
        return 400;
    head->has_length = true;
    return HTTP_OK;
}

// What the fields say about the message itself.
static unsigned understand(struct arena *arena, struct http_head *head, bool is_1_1)
{
    unsigned status = read_length(head);
    if (status != HTTP_OK)
        return status;
    struct str host = http_head_field(head, STR("Host")), named = head->host;
    if (count_fields(head, STR("Host")) > 1 || (host.at == NULL && is_1_1))
        return 400;
    if (host.at != NULL && !read_host(arena, host, &head->host))
        return 400;
    if (named.at != NULL)
        head->host = named;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (!str_eq_nocase(head->fields[i].name, STR("Connection")))
            continue;
        if (names(head->fields[i].value, STR("close")))
            head->keep = false;
    }
    if (count_fields(head, STR("Expect")) > 0) {
        if (!str_eq_nocase(http_head_field(head, STR("Expect")), STR("100-continue")))
            return 417;
        head->continues = is_1_1 && head->body_bytes > 0;
    }
    return HTTP_OK;
}

size_t http_head_memory(const struct http_head_limits *limits)
{
    return 3 * limits->bytes + (limits->fields + 1) * sizeof(struct http_field) +
           8 * alignof(max_align_t);
}

unsigned http_head_read(struct arena *arena, struct str bytes,
                        const struct http_head_limits *limits, size_t *scanned,
                        struct http_head *out, size_t *used)
{
    struct str lines, line;
    struct str seen = bytes.len > limits->bytes ? str_first(bytes, limits->bytes) : bytes;
    if (!find_end(seen, scanned, &lines))
        return seen.len == limits->bytes ? 431 : HTTP_WANTS_MORE;
    struct http_head head = {
        .host = {NULL, 0}
    };
    struct str rest = arena_str(arena, lines);
    if (!cut_line(&rest, &line))
        return 400;
    unsigned status = read_request_line(arena, line, &head);
    if (status != HTTP_OK)
        return status;
    bool is_1_1 = head.keep;
    struct http_field *fields = arena_make_array(arena, struct http_field, limits->fields + 1);
    while (rest.len > 0) {
        if (!cut_line(&rest, &line))
            return 400;
        if (head.n_fields == limits->fields)
            return 431;
        // a line that begins with a blank would continue the one before: its name is no token
        struct str value = line;
        struct str name = str_cut(&value, ':');
        if (value.at == NULL || !is_token(name) || !is_field_value(value))
            return 400;
        fields[head.n_fields++] = (struct http_field){name, trim_blanks(value)};
    }
    head.fields = fields;
    status = understand(arena, &head, is_1_1);
    if (status != HTTP_OK)
        return status;
    *used = lines.len + 2;
    *out = head;
    return HTTP_OK;
}
