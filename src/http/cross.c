#include "http/cross.h"

bool http_cross_is_origin(struct str text)
{
    if (str_eq(text, STR("*")))
        return true;
    size_t scheme = str_find(text, STR("://"));
    if (!str_starts(text, STR("https://")) && !str_starts(text, STR("http://")))
        return false;
    struct str host = str_skip(text, scheme + 3);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
              c == ':' || c == '[' || c == ']'))
            return false;
    }
    return host.len > 0;
}

static bool is_any(const struct http_cross *cross)
{
    return cross->n == 1 && str_eq(cross->origins[0], STR("*"));
}

static bool may(const struct http_cross *cross, struct str origin)
{
    for (size_t i = 0; i < cross->n; i++)
        if (str_eq(cross->origins[i], origin))
            return true;
    return is_any(cross);
}

size_t http_cross_fields(const struct http_cross *cross, const struct http_head *head,
                         struct http_field fields[HTTP_CROSS_FIELDS_MOST])
{
    struct str origin = http_head_field(head, STR("Origin"));
    size_t n = 0;
    if (cross->n == 0)
        return 0;
    // a picture in a page is asked for without an origin, and shown only with this
    fields[n++] = (struct http_field){STR("Cross-Origin-Resource-Policy"), STR("cross-origin")};
    if (!is_any(cross))
        fields[n++] = (struct http_field){STR("Vary"), STR("Origin")};
    if (origin.at == NULL || !may(cross, origin))
        return n;
    // what is said back is of the list, or no origin at all: nothing of the peer's own
    fields[n++] =
        (struct http_field){STR("Access-Control-Allow-Origin"), is_any(cross) ? STR("*") : origin};
    if (head->method != HTTP_OPTIONS) {
        fields[n++] = (struct http_field){STR("Access-Control-Expose-Headers"), cross->answer};
        return n;
    }
    fields[n++] = (struct http_field){STR("Access-Control-Allow-Methods"), cross->methods};
    fields[n++] = (struct http_field){STR("Access-Control-Allow-Headers"), cross->request};
    fields[n++] = (struct http_field){STR("Access-Control-Max-Age"), STR("7200")};
    return n;
}
