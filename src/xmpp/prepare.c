#include "xmpp/prepare.h"

#include "xmpp/jid.h"
#include "xmpp/precis_internal.h"

#include <sodium.h>

_Static_assert((int)PASSWORD_MOST == (int)PRECIS_OUT_MOST, "one buffer for both");

static bool is_printable_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return true;
}

enum err prepare_password(struct arena *arena, struct str text, struct str *out)
{
    if (text.len == 0)
        return ERR_MALFORMED;
    char prepared[PASSWORD_MOST];
    size_t len;
    if (is_printable_ascii(text)) { // neither profile changes it
        if (text.len > PASSWORD_MOST)
            return ERR_LIMIT;
        memcpy(prepared, text.at, text.len);
        len = text.len;
    } else {
        enum err e = stringprep(STRINGPREP_SASL, text, prepared, &len);
        if (e == ERR_MALFORMED)
            e = precis_opaque(text, prepared, &len);
        if (e != OK)
            return e;
    }
    enum err e = arena_fits(arena, len + 1) ? OK : ERR_LIMIT;
    if (e == OK)
        *out = arena_str(arena, (struct str){prepared, len});
    sodium_memzero(prepared, sizeof prepared);
    return e;
}

void prepare_start(void)
{
    char out[PRECIS_OUT_MOST];
    size_t len;
    struct arena arena;
    struct str domain;
    arena_init(&arena, 4096);
    // what they answer does not matter, only that each has read its tables
    enum err answers[] = {
        stringprep(STRINGPREP_NODE, STR("\xC3\xA9"), out, &len),
        stringprep(STRINGPREP_SASL, STR("\xC3\xA9"), out, &len),
        precis_username(STR("\xC3\xA9\xD7\x90"), out, &len),
        precis_opaque(STR("\xC3\xA9"), out, &len),
        jid_prepare_domain(&arena, STR("\xC3\xA9.example"), &domain),
    };
    (void)answers;
    arena_done(&arena);
}
