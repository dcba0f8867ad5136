/*
 * Replacing links: after it none is left that should have been replaced, and
 * what counts characters stays within the text.  And sealed links: whatever is
 * no token of ours is none.
 */
#include "base/must.h"
#include "guard/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str instead(void *context, const struct lure *lure)
{
    (void)context;
    if (lure->kind != LURE_LINK || (lure->flags & LURE_DEFANGED) != 0 ||
        str_ends(lure->host, STR("allowed.example")))
        return (struct str){NULL, 0};
    return STR("https://allowed.example/open/TOKEN");
}

static size_t count_chars(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.at[i] & 0xC0) != 0x80;
    return n;
}

static void check_text(const struct lure_rules *rules, struct str text)
{
    struct arena arena;
    struct str out;
    struct lure_edits edits;
    arena_init(&arena, 64 << 20);
    if (lure_rewrite(rules, &arena, text, instead, NULL, &out, &edits) == OK) {
        struct lure_list left;
        lure_list_init(&left, rules, &arena);
        lure_scan_text(&left, out);
        for (size_t i = 0; i < left.n && !left.overflowed; i++)
            must(instead(NULL, &left.lures[i]).at == NULL);
        size_t end = 0;
        for (size_t i = 0; i < edits.n; i++) {
            must(edits.at[i].from >= end && edits.at[i].to > edits.at[i].from);
            end = edits.at[i].to;
        }
        must(end <= count_chars(text));
        must(str_is_utf8(out));
    }
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lure_rules *rules;
    static const struct seal_keys keys = {.keys = {{.id = 1, .secret = {1}}}, .n = 1};
    if (rules == NULL)
        rules = lure_rules_new();
    struct str text = str_make((const char *)data, size);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct sealed_link link;
    must(seal_open(&arena, &keys, text, &link) == ERR_MALFORMED);
    must(!seal_permits(&keys, STR("token"), text, 0));
    arena_done(&arena);
    if (str_is_utf8(text) && size < 16384)
        check_text(rules, text);
    return 0;
}
