#include "test.h"

#include "xmpp/stanza.h"

static struct str written(const struct stanza *stanza)
{
    struct buf buf;
    buf_init(&buf, 100000);
    stanza_write(&buf, stanza, STR_EMPTY, STR_EMPTY);
    struct str text = arena_str(test_arena(), buf_str(&buf));
    buf_done(&buf);
    return text;
}

TEST(what_was_packed_comes_out_the_same)
{
    static const char *const texts[] = {
        "<presence/>",
        "<presence from='a@x/r' to='b@x'><status xml:lang='de'>weg</status></presence>",
        "<message type='chat' id='1' xml:lang='en'><body>a &lt; b</body><x xmlns='u'/></message>",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct stanza *stanza = stanza_parse(str_of(texts[i]));
        check(stanza != NULL);
        stanza_seal(stanza);
        stanza->lure_keys = arena_str(&stanza->arena, STR("0123456789abcdef"));
        struct str text = written(stanza);
        stanza->lures_from = i > 0 ? arena_str(&stanza->arena, STR("c@x")) : STR_EMPTY;
        stanza->calm = true;
        struct packed_stanza *packed = stanza_pack(stanza);
        enum stanza_type type = stanza->type;
        stanza_unref(&stanza);
        check_str(packed_stanza_text(packed), text);
        check_str(packed_stanza_lures(packed), STR("0123456789abcdef"));
        struct stanza *copy = stanza_unpack(packed);
        packed_stanza_free(&packed);
        check_str(written(copy), text);
        check(copy->type == type && copy->sealed);
        check_str(copy->lure_keys, STR("0123456789abcdef"));
        check_str(copy->lures_from, i > 0 ? STR("c@x") : STR_EMPTY);
        check(copy->calm && !copy->links_protected);
        struct stanza *again = stanza_parse(written(copy));
        stanza_seal(again);
        check_str(written(again), text);
        check_str(copy->from.full, again->from.full);
        check_str(copy->id, again->id);
        stanza_unref(&copy);
        stanza_unref(&again);
    }
}
