/*
 * Lure extraction on any text: bounded, and what it finds has keys and a
 * canonical form that is its own canonical form.
 */
#include "guard/lure.h"
#include "guard/url.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lure_rules *rules;
    if (rules == NULL)
        rules = lure_rules_new();
    struct str text = str_make((const char *)data, size);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct lure_list list;
    lure_list_init(&list, rules, &arena);
    lure_scan_text(&list, text);
    lure_add_url(&list, text, text);
    struct lure_file file = {.name = text, .digest_name = STR("sha-256"), .digest = text};
    lure_add_file(&list, &file);
    must(list.n <= LURES_MOST);
    struct lure_people people = {
        .names = {STR("romeo@montague.example"), str_first(text, size / 2)},
          .n = 2
    };
    lure_list_keys(&list, &people);
    struct lure_key keys[8];
    must(lure_list_collect(&list, keys, COUNT_OF(keys)) <= COUNT_OF(keys));
    (void)lure_text_shape(&list, text, &people);
    (void)lure_text_warns(&list, text);
    for (size_t i = 0; i < list.n && !list.overflowed; i++) {
        const struct lure *lure = &list.lures[i];
        must(!lure_key_is_none(&lure->keys[LURE_EXACT]));
        must(lure->domain.len <= lure->host.len);
        must(str_find_char(lure->shown, '?') == lure->shown.len || lure->kind == LURE_FILE);
    }
    struct arena room;
    struct str dead;
    arena_init(&room, 2 * size + 1024);
    must(lure_defang(rules, &room, text, &dead) == OK);
    arena_done(&room);
    arena_done(&arena);
    return 0;
}
