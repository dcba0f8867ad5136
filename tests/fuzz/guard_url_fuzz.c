/*
 * URLs: what was read once reads the same again.
 */
#include "guard/url.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lure_rules *rules;
    if (rules == NULL)
        rules = lure_rules_new();
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct url url, again;
    if (url_parse(rules, &arena, str_make((const char *)data, size), &url) == OK) {
        struct str text = url_format(&arena, &url);
        for (size_t i = 0; i < url.host.len; i++)
            must((unsigned char)url.host.at[i] > ' ' && (unsigned char)url.host.at[i] < 0x7F);
        if (text.len <= URL_MOST) {
            must(url_parse(rules, &arena, text, &again) == OK);
            must(str_eq(url_format(&arena, &again), text));
            must(str_eq(again.host, url.host));
        }
        struct str domain = url_domain(rules, url.host);
        must(str_ends(url.host, domain));
    }
    arena_done(&arena);
    return 0;
}
