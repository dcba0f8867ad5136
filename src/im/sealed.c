#include "im/sealed.h"

#include "base/base64.h"

enum { SIGNATURE_MOST = 16384 }; // bytes of one

static const struct str pgp = {"jabber:x:encrypted", 18}, otr = {"?OTR:", 5}; // XEP-0027, XEP-0364

static bool is_omemo(const struct element *child)
{
    return ns_eq(child->ns, NS_OMEMO) || ns_eq(child->ns, NS_OMEMO_2);
}

static bool is_otr(const struct element *child)
{
    return element_is(child, NS_CLIENT, STR("body")) && str_starts(child->text, otr);
}

bool sealed_is_part(const struct element *child)
{
    return is_omemo(child) || ns_eq(child->ns, NS_OPENPGP) || ns_eq(child->ns, NS_ENCRYPTION) ||
           str_eq(child->ns, pgp) || is_otr(child);
}

static bool announces_omemo(const struct element *child)
{
    struct str of = element_attr(child, STR("namespace"));
    return of.at != NULL && (str_eq(of, NS_OMEMO) || str_eq(of, NS_OMEMO_2));
}

// Parts without a text of their own hide nothing, and what stands behind them is read as well.
struct str sealed_text(const struct stanza *stanza)
{
    bool omemo = false, other = false, sets_up = false;
    struct str body = STR_EMPTY;
    ELEMENT_EACH(stanza->root, child)
    {
        struct str text = STR_EMPTY;
        if (is_omemo(child)) { // XEP-0384: without a payload it only sets up keys
            struct str payload = element_child_text(child, child->ns, STR("payload"));
            text = payload.at != NULL ? payload : STR_EMPTY;
            sets_up = true;
        }
        if (ns_eq(child->ns, NS_OPENPGP) || str_eq(child->ns, pgp) || is_otr(child))
            text = child->text;
        if (text.len > 0)
            return text;
        if (ns_eq(child->ns, NS_ENCRYPTION)) {
            omemo |= announces_omemo(child);
            other |= !announces_omemo(child);
        }
        if (element_is(child, NS_CLIENT, STR("body")) && body.len == 0)
            body = child->text;
    }
    return other || (omemo && !sets_up) ? body
                                        : STR_EMPTY; // XEP-0380: another way, which we do not know
}

/* ---- Signed ---- */

static const struct str pgp_signed = {"jabber:x:signed", 15}; // XEP-0027

static unsigned byte_at(struct str bytes, size_t i)
{
    return i < bytes.len ? (unsigned char)bytes.at[i] : 0;
}

// RFC 9580 4.2: the length of a packet's body, and where that begins; 0: not of one piece.
static size_t packet_length(struct str bytes, size_t *at)
{
    unsigned tag = byte_at(bytes, 0), first = byte_at(bytes, 1);
    bool is_new = (tag & 0x40) != 0;
    size_t n_octets = is_new ? (first < 192    ? 1
                                : first < 224  ? 2
                                : first == 255 ? 5
                                               : 0)
                             : (size_t)1 << (tag & 3);
    if (n_octets == 0 || n_octets == 8) // in parts, or of any length: no signature is made so
        return 0;
    *at = 1 + n_octets;
    if (is_new && n_octets == 2)
        return ((first - 192) << 8) + byte_at(bytes, 2) + 192;
    size_t length = 0;
    for (size_t i = *at - (n_octets == 5 ? 4 : n_octets); i < *at; i++)
        length = length << 8 | byte_at(bytes, i);
    return length;
}

// RFC 9580 5.2: a signature of a text or of bytes, and nothing behind it.
static bool is_signature(struct str bytes)
{
    enum { SIGNATURE_LEAST = 16 }; // version, kind, algorithms, a hash's beginning, a number
    size_t at = 0, tag = byte_at(bytes, 0);
    bool is_tagged = (tag & 0xFC) == 0x88 || tag == 0xC2;
    size_t length = is_tagged ? packet_length(bytes, &at) : 0;
    if (length < SIGNATURE_LEAST || at > bytes.len || length != bytes.len - at)
        return false;
    unsigned version = byte_at(bytes, at);
    unsigned kind = byte_at(bytes, at + (version == 3 ? 2 : 1)); // a 3 has a length before it
    return version >= 3 && version <= 6 && kind <= 1;
}

// ASCII armour without its frame: lines of base64, and perhaps a checksum, a line that begins with
// '='.
static struct str unarmoured(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t n = 0;
    while (text.at != NULL) {
        struct str line = str_trim(str_cut(&text, '\n'));
        if (str_starts(line, STR("=")))
            break;
        if (line.len > 0)
            memcpy(out + n, line.at, line.len);
        n += line.len;
    }
    return str_make(out, n);
}

bool sealed_signs_body(const struct element *message)
{
    struct arena arena;
    bool signs = false;
    arena_init(&arena, (size_t)6 * SIGNATURE_MOST);
    ELEMENT_EACH(message, child)
    {
        struct str bytes;
        if (signs || !str_eq(child->ns, pgp_signed) || child->text.len > 2 * SIGNATURE_MOST)
            continue;
        arena_reset(&arena);
        signs =
            base64_decode(&arena, unarmoured(&arena, child->text), SIGNATURE_MOST, &bytes) == OK &&
            is_signature(bytes);
    }
    arena_done(&arena);
    return signs;
}
