/*
 * Heads of HTTP requests: whatever comes, in whatever pieces, is read the same
 * or refused; what was accepted means one thing only.
 */
#include "http/head.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(struct arena *arena, const struct http_head *head)
{
    must(head->path.len > 0 && head->path.at[0] == '/' && str_is_utf8(head->path));
    for (size_t i = 0; i < head->path.len; i++)
        must((unsigned char)head->path.at[i] >= 0x20 && head->path.at[i] != '\\');
    struct str dotted = arena_printf(arena, "%.*s/", STR_ARGS(head->path));
    must(str_find(dotted, STR("/../")) == dotted.len && str_find(dotted, STR("/./")) == dotted.len);
    size_t n_lengths = 0, n_hosts = 0;
    for (size_t i = 0; i < head->n_fields; i++) {
        struct str name = head->fields[i].name, value = head->fields[i].value;
        must(name.len > 0 && str_find_char(name, ' ') == name.len);
        for (size_t k = 0; k < value.len; k++)
            must(value.at[k] != '\r' && value.at[k] != '\n' && value.at[k] != '\0');
        must(!str_eq_nocase(name, STR("Transfer-Encoding")));
        n_lengths += str_eq_nocase(name, STR("Content-Length"));
        n_hosts += str_eq_nocase(name, STR("Host"));
    }
    must(n_lengths <= 1 && n_hosts <= 1);
    must(head->has_length == (n_lengths == 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_head_limits limits = {8192, 32};
    struct str bytes = str_make((const char *)data, size);
    struct arena arena;
    arena_init(&arena, http_head_memory(&limits) + 65536);
    struct http_head head = {0};
    size_t scanned = 0, used = 0;
    unsigned status = http_head_read(&arena, bytes, &limits, &scanned, &head, &used);
    if (status == HTTP_OK) {
        must(used <= size && used <= limits.bytes);
        check_head(&arena, &head);
    }
    arena_done(&arena);

    // byte by byte it is refused or accepted alike, and never earlier
    size_t seen = 0, again_used = 0;
    unsigned again = HTTP_WANTS_MORE;
    for (size_t n = 0; n <= size && again == HTTP_WANTS_MORE; n++) {
        arena_init(&arena, http_head_memory(&limits));
        again = http_head_read(&arena, str_first(bytes, n), &limits, &seen, &head, &again_used);
        arena_done(&arena);
    }
    must(again == status && (status != HTTP_OK || used == again_used));
    return 0;
}
