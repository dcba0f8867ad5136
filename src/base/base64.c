#include "base/base64.h"

#include "base/must.h"

#include <sodium.h>

enum err base64_decode(struct arena *arena, struct str text, size_t most, struct str *out)
{
    if (text.len % 4 != 0)
        return ERR_MALFORMED;
    // up to two bytes of the last group are padding
    size_t room = text.len / 4 * 3;
    if (room > 2 && room - 2 > most)
        return ERR_LIMIT;
    if (!arena_fits(arena, room + 1))
        return ERR_LIMIT;
    unsigned char *bytes = arena_alloc(arena, room + 1);
    size_t size;
    const char *end;
    if (sodium_base642bin(bytes, room, text.at, text.len, NULL, &size, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text.at + text.len)
        return ERR_MALFORMED;
    if (size > most)
        return ERR_LIMIT;
    bytes[size] = '\0';
    *out = str_make((char *)bytes, size);
    return OK;
}

void base64_add(struct buf *out, struct str bytes)
{
    size_t room = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *at = buf_reserve(out, room);
    if (at == NULL)
        return;
    sodium_bin2base64(at, room, (const unsigned char *)bytes.at, bytes.len,
                      sodium_base64_VARIANT_ORIGINAL);
    out->len += room - 1; // without the NUL
}

struct str base64_encode(struct arena *arena, struct str bytes)
{
    size_t room = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *at = arena_alloc(arena, room);
    sodium_bin2base64(at, room, (const unsigned char *)bytes.at, bytes.len,
                      sodium_base64_VARIANT_ORIGINAL);
    return str_make(at, room - 1);
}
