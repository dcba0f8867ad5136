#include "xml/namespaces.h"

#define TEXT(id, text) .of_##id = text,
const struct namespaces namespaces = {NAMESPACES(TEXT)};

enum { LEN_MOST = 63 };

#define INDEX(id, text) INDEX_##id,
enum { NAMESPACES(INDEX) N_NAMESPACES };

#define ROW(id, text) NS_OF(id),
static const struct str rows[N_NAMESPACES] = {NAMESPACES(ROW)};

// How many rows are shorter than a length: each row raises the count for all lengths above its
// own, and since the list is in order, the last to do so is right.
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
#define RAISE(id, text) [sizeof text... LEN_MOST + 1] = INDEX_##id + 1,
static const uint8_t n_shorter[LEN_MOST + 2] = {NAMESPACES(RAISE)};
#pragma GCC diagnostic pop

#define CHECK_LEN(id, text) _Static_assert(sizeof text <= LEN_MOST + 1, "raise LEN_MOST");
NAMESPACES(CHECK_LEN)
_Static_assert(N_NAMESPACES < 256, "n_shorter is too narrow");

static uint64_t last_eight(struct str text)
{
    uint64_t tail;
    memcpy(&tail, text.at + text.len - sizeof tail, sizeof tail);
    return tail;
}

struct str ns_known(struct str text)
{
    // no name is shorter than eight bytes, and the ends differ where the beginnings do not
    if (text.len > LEN_MOST || text.len < sizeof(uint64_t))
        return text;
    uint64_t tail = last_eight(text);
    for (size_t i = n_shorter[text.len]; i < n_shorter[text.len + 1]; i++)
        if (last_eight(rows[i]) == tail && memcmp(rows[i].at, text.at, text.len) == 0)
            return rows[i];
    return text;
}
